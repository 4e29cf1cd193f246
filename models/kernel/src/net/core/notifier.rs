//! Who is told of addresses that go. The kernel keeps lists to which modules add themselves; here the list is written
//! down.
//!
//! Kernel: net/core/dev.c (`call_netdevice_notifiers`), net/ipv4/devinet.c (`inetaddr_chain`)

use crate::Cx;
use crate::ids::DevId;
use crate::net::netfilter::nf_nat_masquerade::masq_device_event;

/// An address of a device was removed, or the device went down with all of them.
pub fn call_inetaddr_notifiers(cx: &mut Cx, dev: DevId, address: Option<u32>) {
    masq_device_event(cx, dev, address);
}
