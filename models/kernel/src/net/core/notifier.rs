//! Notifier chains: who is told of changes to devices and addresses. The receivers are rows of [`crate::module`].
//!
//! Kernel: net/core/dev.c (`call_netdevice_notifiers`), net/ipv4/devinet.c (`inetaddr_chain`)

use std::net::Ipv4Addr;

use crate::Cx;
use crate::ids::DevId;

/// What happened to a device (`NETDEV_*`, include/linux/netdevice.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetdevEvent {
    /// It was made, or came into this namespace.
    Register,
    /// It goes away, or leaves this namespace.
    Unregister,
    /// It is up now.
    Up,
    /// It is about to go down.
    GoingDown,
    /// It is down now.
    Down,
    /// Its carrier or its flags changed while it is up.
    Change,
    /// It has another name.
    ChangeName,
    /// Its MTU changed.
    ChangeMtu,
    /// Its address changed.
    ChangeAddr,
}

/// Tells every module in turn that a device changed.
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
