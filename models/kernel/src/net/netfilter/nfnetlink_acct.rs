//! Accounting objects: named counters of a namespace, which rules with `nfacct` count on.
//!
//! Kernel: net/netfilter/nfnetlink_acct.c

use std::collections::{BTreeMap, VecDeque};

use crate::Cx;
use crate::ids::NetnsId;
use crate::module::Module;
use crate::netlink::Errno;

/// Longest name, bytes (`NFACCT_NAME_MAX` without the NUL).
pub const NFACCT_NAME_LEN: usize = 31;

/// What a quota limits (`NFACCT_F_QUOTA_PKTS`, `NFACCT_F_QUOTA_BYTES`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaMode {
    /// Packets.
    Packets,
    /// Bytes.
    Bytes,
}

/// An object (`struct nf_acct`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NfAcct {
    /// Its name, at most [`NFACCT_NAME_LEN`] bytes.
    pub name: String,
    /// Packets.
    pub pkts: u64,
    /// Bytes, from the IPv4 header on.
    pub bytes: u64,
    /// Its limit.
    pub quota: Option<(QuotaMode, u64)>,
    /// The limit was reached since the counters were reset (`NFACCT_F_OVERQUOTA`).
    pub overquota: bool,
    /// Rules that use it.
    refs: u32,
}

impl NfAcct {
    /// An object that no rule uses.
    pub fn new(name: impl Into<String>, pkts: u64, bytes: u64, quota: Option<(QuotaMode, u64)>) -> NfAcct {
        NfAcct { name: name.into(), pkts, bytes, quota, overquota: false, refs: 0 }
    }
}

/// The objects of a namespace (`struct nfnl_acct_net`), in the order in which they were made.
#[derive(Debug, Default)]
pub struct NfAccts {
    objects: Vec<NfAcct>,
    /// Programs that wait for objects to reach their quota, with what they did not read yet.
    pub listeners: BTreeMap<u32, VecDeque<NfAcct>>,
}

/// The module.
pub static MODULE: Module = Module::named("nfnetlink_acct");

fn accts<'cx>(cx: &'cx mut Cx, netns: NetnsId) -> &'cx mut NfAccts {
    cx.k.netns[netns].generic.get_mut()
}

fn find<'cx>(cx: &'cx mut Cx, netns: NetnsId, name: &str) -> Option<&'cx mut NfAcct> {
    accts(cx, netns).objects.iter_mut().find(|object| object.name == name)
}

/// Makes an object (`nfnl_acct_new`).
///
/// # Errors
///
/// `EINVAL` without a name, `EBUSY` if there is one of this name.
pub fn nfnl_acct_new(cx: &mut Cx, netns: NetnsId, new: NfAcct) -> Result<(), Errno> {
    if new.name.is_empty() {
        return Err(Errno::EINVAL);
    }
    if find(cx, netns, &new.name).is_some() {
        return Err(Errno::EBUSY);
    }
    accts(cx, netns).objects.push(new);
    Ok(())
}

/// Copies of all objects; with `reset` their counters are then 0 (`nfnl_acct_dump`).
pub fn nfnl_acct_dump(cx: &mut Cx, netns: NetnsId, reset: bool) -> Vec<NfAcct> {
    accts(cx, netns).objects.iter_mut().map(|object| fill_info(object, reset)).collect()
}

/// A copy of an object; with `reset` its counters are then 0 (`nfnl_acct_get`).
///
/// # Errors
///
/// `ENOENT` if there is none of this name.
pub fn nfnl_acct_get(cx: &mut Cx, netns: NetnsId, name: &str, reset: bool) -> Result<NfAcct, Errno> {
    find(cx, netns, name).map(|object| fill_info(object, reset)).ok_or(Errno::ENOENT)
}

fn fill_info(object: &mut NfAcct, reset: bool) -> NfAcct {
    let copy = object.clone();
    if reset {
        (object.pkts, object.bytes, object.overquota) = (0, 0, false);
    }
    copy
}

/// Deletes an object, or without a name all that no rule uses (`nfnl_acct_del`).
///
/// # Errors
///
/// `ENOENT` if there is none of this name, `EBUSY` if a rule uses it.
pub fn nfnl_acct_del(cx: &mut Cx, netns: NetnsId, name: Option<&str>) -> Result<(), Errno> {
    if let Some(name) = name {
        let object = find(cx, netns, name).ok_or(Errno::ENOENT)?;
        if object.refs > 0 {
            return Err(Errno::EBUSY);
        }
    }
    let is_kept = |object: &NfAcct| object.refs > 0 || name.is_some_and(|name| object.name != name);
    accts(cx, netns).objects.retain(is_kept);
    Ok(())
}

/// There is an object of this name.
pub fn nfnl_acct_exists(cx: &Cx, netns: NetnsId, name: &str) -> bool {
    let accts: Option<&NfAccts> = cx.k.netns[netns].generic.get();
    accts.is_some_and(|accts| accts.objects.iter().any(|object| object.name == name))
}

/// A rule begins to use an object (`nfnl_acct_find_get`).
pub fn nfnl_acct_hold(cx: &mut Cx, netns: NetnsId, name: &str) {
    if let Some(object) = find(cx, netns, name) {
        object.refs += 1;
    }
}

/// A rule ends to use an object (`nfnl_acct_put`).
pub fn nfnl_acct_put(cx: &mut Cx, netns: NetnsId, name: &str) {
    if let Some(object) = find(cx, netns, name) {
        object.refs -= 1;
    }
}

/// Counts a packet of `len` bytes (`nfnl_acct_update`, `nfnl_acct_overquota`). Returns whether the object is above its
/// quota; `None` without a quota.
pub fn nfnl_acct_update(cx: &mut Cx, netns: NetnsId, name: &str, len: usize) -> Option<bool> {
    let accts = accts(cx, netns);
    let object = accts.objects.iter_mut().find(|object| object.name == name)?;
    object.pkts += 1;
    object.bytes += len as u64;
    let (mode, quota) = object.quota?;
    let now = match mode {
        QuotaMode::Packets => object.pkts,
        QuotaMode::Bytes => object.bytes,
    };
    if now >= quota && !object.overquota {
        object.overquota = true;
        accts.listeners.values_mut().for_each(|queue| queue.push_back(object.clone()));
    }
    Some(now > quota)
}

/// Subscribes a program to `NFNLGRP_ACCT_QUOTA`; returns the listener's number.
pub fn nfnl_acct_listen(cx: &mut Cx, netns: NetnsId) -> u32 {
    let listeners = &mut accts(cx, netns).listeners;
    let number = listeners.last_key_value().map_or(0, |last| last.0 + 1);
    listeners.insert(number, VecDeque::new());
    number
}

/// Takes the next object that reached its quota.
pub fn nfnl_acct_next_event(cx: &mut Cx, netns: NetnsId, listener: u32) -> Option<NfAcct> {
    accts(cx, netns).listeners.get_mut(&listener)?.pop_front()
}

/// Ends a subscription.
pub fn nfnl_acct_unlisten(cx: &mut Cx, netns: NetnsId, listener: u32) {
    accts(cx, netns).listeners.remove(&listener);
}
