//! L3 masters (VRFs): which routing table the IP packets of a device are routed by.
//!
//! Kernel: net/l3mdev/l3mdev.c

use super::fib_trie::Flow;
use super::netdev::Devs;
use super::sysctl::Setting;
use crate::ids::DevId;

/// TCP sockets that are bound to no device get what comes in by L3 masters.
pub static TCP_L3MDEV_ACCEPT: Setting = Setting::new("tcp_l3mdev_accept", 0);
/// The same for UDP.
pub static UDP_L3MDEV_ACCEPT: Setting = Setting::new("udp_l3mdev_accept", 0);
/// The same for raw sockets.
pub static RAW_L3MDEV_ACCEPT: Setting = Setting::new("raw_l3mdev_accept", 1);

impl Devs {
    /// The L3 master of a device, which may be the device itself (`l3mdev_master_ifindex_rcu`).
    #[inline]
    pub fn l3mdev_master(&self, dev: DevId) -> Option<DevId> {
        let netdev = self.get(dev)?;
        if netdev.l3mdev_fib_table.is_some() {
            return Some(dev);
        }
        netdev.master().filter(|master| self[*master].l3mdev_fib_table.is_some())
    }

    /// The table of its L3 master (`l3mdev_fib_table`).
    pub fn l3mdev_fib_table(&self, dev: DevId) -> Option<u32> {
        self[self.l3mdev_master(dev)?].l3mdev_fib_table
    }

    /// The same flow with its L3 master's table, if the device that it goes out by, or else the one that it came in by, has a
    /// master. It may go out by any device of a master (`l3mdev_update_flow`).
    pub fn l3mdev_update_flow(&self, flow: &Flow) -> Flow {
        let mut flow = *flow;
        flow.l3mdev_table =
            flow.l3mdev_table.or_else(|| flow.oif.or(flow.iif).and_then(|dev| self.l3mdev_fib_table(dev)));
        flow.oif = flow.oif.filter(|oif| self.l3mdev_master(*oif) != Some(*oif));
        flow
    }
}
