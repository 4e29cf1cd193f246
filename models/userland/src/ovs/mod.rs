//! Open vSwitch 3.1.0 in user space: the daemon, and the tools that ask it or the kernel.
//!
//! | module | owns |
//! |---|---|
//! | [`vswitchd`] | `ovs-vswitchd`: packets that the datapath has no flow for, and what its flows count |
//! | `reconfigure` | what the database says becomes so |
//! | `ovsdb` | the database |
//! | `ofproto` | a bridge: ports, flows, stations |
//! | `classifier` | a table of flows, and which bits decided |
//! | `xlate` | from flows to actions of the datapath |
//! | `field`, `matching`, `actions`, `flow_mod`, `ports` | OpenFlow as people write it |
//! | `odp`, `report` | flows of the datapath, and what `ofproto/trace` tells, as text |
//! | `tunnel`, `groups` | ports that are no devices; lists of actions by number |
//! | [`ctl`], [`vsctl`], [`ofctl`], [`appctl`] | `ovs-ctl`, `ovs-vsctl`, `ovs-ofctl`, `ovs-appctl` and `ovs-dpctl` |

mod actions;
pub mod appctl;
mod classifier;
pub mod ctl;
mod field;
mod flow_mod;
mod groups;
mod matching;
mod odp;
pub mod ofctl;
mod ofproto;
mod ovsdb;
mod ports;
mod reconfigure;
mod report;
mod tunnel;
pub mod vsctl;
pub mod vswitchd;
mod xlate;
