//! IPv4.

pub mod arp;
pub mod devinet;
pub mod ip_input;
pub mod sysctl_net_ipv4;
