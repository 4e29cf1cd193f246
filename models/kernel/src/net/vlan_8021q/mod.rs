//! VLAN devices: `net/8021q`.

pub mod vlan;
pub mod vlan_dev;
pub mod vlan_netlink;
