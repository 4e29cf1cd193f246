//! Creating and deleting network namespaces.
//!
//! Kernel: net/core/net_namespace.c

use super::dev::{dev_change_net_namespace, dev_open, unregister_netdevice};
use super::link_watch::linkwatch_turn;
use super::rtnetlink::rtnl_delete_link;
use crate::Cx;
use crate::Kernel;
use crate::ids::NetnsId;
use crate::kernel::INIT_NET;
use crate::netlink::{Errno, NlError};
use crate::tables::ipv4::Ipv4Netns;
use crate::tables::netdev_features::NETNS_LOCAL;
use crate::tables::netns::Netns;

/// Boots the machine: creates `init_net`, whose `lo` the boot scripts set up.
pub fn boot(cx: &mut Cx) {
    let init = copy_net_ns(cx);
    debug_assert_eq!(init, INIT_NET);
    let lo = cx.k.netns[init].loopback;
    dev_open(cx, lo).expect("nothing keeps lo down");
}

/// Creates a namespace (`net_init` of all modules): it has a `lo` that is down.
pub fn copy_net_ns(cx: &mut Cx) -> NetnsId {
    let id = cx.k.netns.next_id();
    let lo = cx.k.devs.next_id();
    let ipv4 =
        cx.k.netns.get(INIT_NET).map_or_else(Ipv4Netns::default, |init| Ipv4Netns::inherit(&init.ipv4));
    cx.k.netns.insert(Netns::new(id, lo, ipv4));
    for init in cx.k.modules.iter().filter_map(|module| module.net_init) {
        init(cx, id);
    }
    id
}

/// Deletes a namespace without references: virtual devices are deleted, NICs move to `init_net` (`cleanup_net`,
/// `default_device_exit_net`).
pub fn cleanup_net(cx: &mut Cx, netns: NetnsId) {
    for dev in cx.k.netns[netns].devs.values().copied().collect::<Vec<_>>() {
        let Some(netdev) = cx.k.devs.get(dev) else { continue };
        if netdev.ops.kind.is_some() {
            rtnl_delete_link(cx, dev);
        } else if netdev.features & NETNS_LOCAL == 0 {
            dev_change_net_namespace(cx, dev, INIT_NET);
        }
    }
    for dev in cx.k.netns[netns].devs.values().copied().collect::<Vec<_>>() {
        unregister_netdevice(cx, dev);
    }
    for exit in cx.k.modules.iter().filter_map(|module| module.net_exit) {
        exit(cx, netns);
    }
    cx.k.netns.remove(netns);
    unhash_nsid(cx, netns);
    linkwatch_turn(cx);
}

/// Deletes a namespace without name and processes (the last `put_net`).
pub fn cleanup_net_if_unused(cx: &mut Cx, netns: NetnsId) {
    let mut users = cx.k.netns_names.values().chain(cx.k.tasks.values());
    if netns != INIT_NET && cx.k.netns.get(netns).is_some() && !users.any(|user| *user == netns) {
        cleanup_net(cx, netns);
    }
}

/// The nsid of `peer` in `netns`.
pub fn peernet2id(kernel: &Kernel, netns: NetnsId, peer: NetnsId) -> Option<u32> {
    kernel.netns[netns].nsids.iter().find(|(_, other)| **other == peer).map(|(id, _)| *id)
}

/// The nsid of `peer` in `netns`, allocated if there is none.
pub fn peernet2id_alloc(cx: &mut Cx, netns: NetnsId, peer: NetnsId) -> u32 {
    if let Some(id) = peernet2id(cx.k, netns, peer) {
        return id;
    }
    let ids = &mut cx.k.netns[netns].nsids;
    let id = (0..).zip(ids.keys()).find(|(free, taken)| free != *taken);
    let id = id.map_or(ids.len() as u32, |(free, _)| free);
    ids.insert(id, peer);
    id
}

/// Assigns `peer` an nsid in `netns`: this one, or the lowest free (`RTM_NEWNSID`).
///
/// # Errors
///
/// `EEXIST` if it has one, or if the number is in use.
pub fn rtm_newnsid(cx: &mut Cx, netns: NetnsId, peer: NetnsId, id: Option<u32>) -> Result<(), NlError> {
    if peernet2id(cx.k, netns, peer).is_some() {
        return Err(NlError::with(Errno::EEXIST, "Peer netns already has a nsid assigned"));
    }
    match id {
        None => {
            peernet2id_alloc(cx, netns, peer);
        }
        Some(id) if cx.k.netns[netns].nsids.contains_key(&id) => {
            return Err(NlError::with(Errno::EEXIST, "The specified nsid is already used"));
        }
        Some(id) => {
            cx.k.netns[netns].nsids.insert(id, peer);
        }
    }
    Ok(())
}

/// Frees the nsids of a deleted namespace (`unhash_nsid`).
fn unhash_nsid(cx: &mut Cx, netns: NetnsId) {
    for other in cx.k.netns.iter_mut() {
        other.nsids.retain(|_, peer| *peer != netns);
    }
}
