//! `net/core`: what all devices and protocols share.

pub mod dev;
pub mod dev_ioctl;
pub mod link_watch;
pub mod neighbour;
pub mod net_namespace;
pub mod notifier;
pub mod packet;
pub mod rtnetlink;
pub mod skbuff;
pub mod softirq;
pub mod sysctl_net_core;
