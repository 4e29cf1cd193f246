//! Notifier chains for device and address events. The receivers are rows of [`crate::module`].
//!
//! Kernel: net/core/dev.c (`call_netdevice_notifiers`), net/ipv4/devinet.c (`inetaddr_chain`)

use std::net::Ipv4Addr;

use crate::ids::DevId;
use crate::module::{InetaddrEvent, NetdevEvent};
use crate::netlink::NlError;
use crate::{Cx, Kernel};

/// Notifies every module of a device event.
pub fn call_netdevice_notifiers(cx: &mut Cx, dev: DevId, event: NetdevEvent) {
    for notify in cx.k.modules.iter().filter_map(|module| module.netdevice_event) {
        notify(cx, dev, event);
    }
}

/// Tells every module of an address that a device got or lost.
pub fn call_inetaddr_notifiers(cx: &mut Cx, dev: DevId, event: InetaddrEvent) {
    for notify in cx.k.modules.iter().filter_map(|module| module.inetaddr_event) {
        notify(cx, dev, event);
    }
}

/// Asks every module whether a device may get an address (`inetaddr_validator_chain`).
///
/// # Errors
///
/// That of the first module that refuses it.
pub fn call_inetaddr_validators(kernel: &Kernel, dev: DevId, addr: Ipv4Addr) -> Result<(), NlError> {
    kernel
        .modules
        .iter()
        .filter_map(|module| module.inetaddr_validator)
        .try_for_each(|ask| ask(kernel, dev, addr))
}
