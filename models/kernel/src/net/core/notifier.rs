//! Notifier chains for device and address events. The receivers are rows of [`crate::module`].
//!
//! Kernel: net/core/dev.c (`call_netdevice_notifiers`), net/ipv4/devinet.c (`inetaddr_chain`)

use std::net::Ipv4Addr;

use crate::Cx;
use crate::ids::DevId;
use crate::module::NetdevEvent;

/// Notifies every module of a device event.
pub fn call_netdevice_notifiers(cx: &mut Cx, dev: DevId, event: NetdevEvent) {
    for notify in cx.k.modules.iter().filter_map(|module| module.netdevice_event) {
        notify(cx, dev, event);
    }
}

/// Tells every module in turn that an address of a device was removed, or that the device went down with all of them
/// (`None`).
pub fn call_inetaddr_notifiers(cx: &mut Cx, dev: DevId, address: Option<Ipv4Addr>) {
    for notify in cx.k.modules.iter().filter_map(|module| module.inetaddr_event) {
        notify(cx, dev, address);
    }
}
