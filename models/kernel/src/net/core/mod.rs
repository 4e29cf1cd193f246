//! `net/core`: devices, neighbours, namespaces, softirqs.

pub mod dev;
pub mod dev_addr_lists;
pub mod dev_features;
pub mod dev_list;
pub mod dev_queue;
mod dev_recursion;
pub mod dev_rx_mode;
mod dev_taps;
pub mod flow_dissector;
pub mod gro;
pub mod gro_cells;
pub mod gso;
pub mod link_watch;
pub mod neighbour;
pub mod net_namespace;
pub mod notifier;
pub mod pktgen;
pub mod pneigh;
pub mod qdisc;
pub mod rps;
pub mod rtnetlink;
pub mod sch_generic;
pub mod skbuff;
pub mod sock;
pub mod softirq;
pub mod sysctl_net_core;
pub mod vlan_core;
