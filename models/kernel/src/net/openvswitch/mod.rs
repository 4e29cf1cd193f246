//! Open vSwitch's datapath: `net/openvswitch`. What it does not know it asks the daemon in user space.

pub mod actions;
pub mod conntrack;
pub mod datapath;
pub mod flow;
pub mod vport;
pub mod vport_internal_dev;
pub mod vport_netdev;
