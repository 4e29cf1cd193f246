//! Connection tracking as an action. Not modelled: the action.
//!
//! Kernel: net/openvswitch/conntrack.c

use crate::Cx;
use crate::tables::klog::LOG_INFO;

/// A daemon tries whether the action takes a policy of timeouts, by one that does not exist, and the kernel says so.
pub fn ovs_ct_probe_timeout(cx: &mut Cx) {
    cx.printk(LOG_INFO, "No such timeout policy \"ovs_test_tp\"".to_owned());
}
