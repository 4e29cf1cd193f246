//! Functions that process packets, a file per kernel file.

pub mod bridge;
pub mod core;
pub mod ethernet;
pub mod ipv4;
pub mod netfilter;
pub mod openvswitch;
pub mod packet;
pub mod sched;
pub mod socket;
pub mod vlan_8021q;
