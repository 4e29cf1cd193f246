//! The Linux bridge.

pub mod br_attrs;
pub mod br_attrs_bridge;
pub mod br_attrs_port;
pub mod br_device;
pub mod br_fdb;
mod br_fdb_gc;
pub mod br_forward;
pub mod br_if;
pub mod br_input;
pub mod br_multicast;
pub mod br_netfilter_hooks;
pub mod br_netlink;
mod br_promisc;
mod br_stp;
pub mod br_vlan;
