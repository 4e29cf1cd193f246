//! Addresses that a device takes frames to besides its own.
//!
//! Kernel: net/core/dev_addr_lists.c

use glassnet_wire::Mac;

use super::dev_rx_mode::dev_set_rx_mode;
use crate::Cx;
use crate::ids::DevId;

/// `33:33:00:00:00:01`, the link-layer address of ff02::1. Every device of a kernel with IPv6 has it, even if IPv6 is
/// disabled.
pub const IPV6_ALL_NODES: Mac = Mac([0x33, 0x33, 0, 0, 0, 1]);

/// Adds a reference to another address of one host (`dev_uc_add`).
pub fn dev_uc_add(cx: &mut Cx, dev: DevId, address: Mac) {
    let list = &mut cx.k.devs[dev].uc;
    match list.iter_mut().find(|entry| entry.0 == address) {
        Some(entry) => entry.1 += 1,
        None => list.push((address, 1)),
    }
    dev_set_rx_mode(cx, dev);
}

/// Drops a reference to another address of one host (`dev_uc_del`).
pub fn dev_uc_del(cx: &mut Cx, dev: DevId, address: Mac) {
    let list = &mut cx.k.devs[dev].uc;
    if let Some(entry) = list.iter_mut().find(|entry| entry.0 == address) {
        entry.1 -= 1;
    }
    list.retain(|entry| entry.1 > 0);
    dev_set_rx_mode(cx, dev);
}

/// Adds a reference to a multicast address (`dev_mc_add`).
pub fn dev_mc_add(cx: &mut Cx, dev: DevId, address: Mac) {
    let list = &mut cx.k.devs[dev].mc;
    match list.iter_mut().find(|entry| entry.0 == address) {
        Some(entry) => entry.1 += 1,
        None => {
            list.push((address, 1));
            dev_set_rx_mode(cx, dev);
        }
    }
}

/// Drops a reference to a multicast address (`dev_mc_del`).
pub fn dev_mc_del(cx: &mut Cx, dev: DevId, address: Mac) {
    let list = &mut cx.k.devs[dev].mc;
    if let Some(entry) = list.iter_mut().find(|entry| entry.0 == address) {
        entry.1 -= 1;
    }
    let before = list.len();
    list.retain(|entry| entry.1 > 0);
    if list.len() != before {
        dev_set_rx_mode(cx, dev);
    }
}
