//! The forwarding database: learning, lookup, ageing, and local entries.
//!
//! Kernel: net/bridge/br_fdb.c

use glassnet_sim::Nanos;
use glassnet_wire::Mac;

use super::br_fdb_gc::arm_gc;
use super::br_promisc::fdb_hw_addr;
use super::br_vlan::vlans;
use crate::Cx;
use crate::door::Func;
use crate::ids::{DevId, SkbId};
use crate::net::core::dev_addr_lists::{dev_uc_add, dev_uc_del};
use crate::netlink::{Errno, NlError};
use crate::note::{FdbNote, Note};
use crate::tables::bridge::{Bridge, BridgePort, FdbEntry, PortState};
use crate::tables::klog::{LOG_INFO, LOG_WARNING};
use crate::tables::neigh_types::Nud;
use crate::tables::rtnl::RtnlMsg;

pub(super) fn bridge_mut<'a>(cx: &'a mut Cx, bridge: DevId) -> &'a mut Bridge {
    cx.k.devs[bridge].bridge_mut().expect("a port's bridge is a bridge")
}

/// Learns that `source` is reached through `port`, or refreshes the entry.
pub fn br_fdb_update(cx: &mut Cx, skb: SkbId, bridge: DevId, port: DevId, source: Mac, vid: u16) {
    cx.call(Func::BrFdbUpdate, skb);
    let now = cx.now;
    let br = bridge_mut(cx, bridge);
    if br.conf.ageing_time == Nanos::ZERO {
        return;
    }
    match br.fdb.find_mut(source, vid) {
        Some(entry) if entry.is_local => own_address(cx, bridge, port, source, vid),
        Some(entry) => {
            entry.updated = now;
            if entry.port == Some(port) || entry.sticky {
                cx.note(|cx| Note::Fdb(FdbNote::Known(source, name(cx, port))));
                return;
            }
            entry.port = Some(port);
            entry.added_by_external_learn = false;
            let entry = *entry;
            fdb_notify(cx, bridge, entry, false);
            cx.note(|cx| Note::Fdb(FdbNote::Moved(source, name(cx, port))));
        }
        None => {
            insert(cx, bridge, FdbEntry::new(source, vid, Some(port), now));
            arm_gc(cx, bridge);
            cx.note(|cx| Note::Fdb(FdbNote::Learned(source, name(cx, port))));
        }
    }
}

/// Makes an entry, and tells programs.
#[cold]
fn insert(cx: &mut Cx, bridge: DevId, entry: FdbEntry) {
    let fdb = &mut bridge_mut(cx, bridge).fdb;
    let was_static = fdb.find(entry.mac, entry.vlan).is_some_and(|before| before.is_static);
    fdb.insert(entry);
    match (was_static, entry.is_static) {
        (false, true) => fdb_hw_addr(cx, bridge, entry.mac, dev_uc_add),
        (true, false) => fdb_hw_addr(cx, bridge, entry.mac, dev_uc_del),
        _ => {}
    }
    fdb_notify(cx, bridge, entry, false);
}

/// Deletes the entries that `goes` selects, and tells programs of each (`fdb_delete`); returns how many they were.
pub(super) fn delete_if(cx: &mut Cx, bridge: DevId, mut goes: impl FnMut(&FdbEntry) -> bool) -> usize {
    let mut gone = Vec::new();
    let count = bridge_mut(cx, bridge).fdb.remove_if(|entry| {
        let goes = goes(entry);
        if goes {
            gone.push(*entry);
        }
        goes
    });
    // The kernel's list has the newest first.
    for entry in gone.into_iter().rev() {
        if entry.is_static {
            fdb_hw_addr(cx, bridge, entry.mac, dev_uc_del);
        }
        fdb_notify(cx, bridge, entry, true);
    }
    count
}

/// Tells programs of an entry.
#[cold]
fn fdb_notify(cx: &mut Cx, bridge: DevId, entry: FdbEntry, deleted: bool) {
    let (netns, now) = (cx.k.devs[bridge].netns, cx.now);
    cx.rtnl_notify(netns, deleted, |kernel| {
        Some(RtnlMsg::BridgeFdb(bridge, entry, fdb_to_nud(kernel.devs[bridge].bridge()?, &entry, now)))
    });
}

/// Logs that a station has an address of the bridge or of a port.
#[cold]
fn own_address(cx: &mut Cx, bridge: DevId, port: DevId, source: Mac, vid: u16) {
    cx.printk_limited(LOG_WARNING, |cx| {
        let [bridge, port] = [bridge, port].map(|dev| name(cx, dev));
        let what = "with own address as source address";
        vec![format!("{bridge}: received packet on {port} {what} (addr:{source}, vlan:{vid})")]
    });
}

/// Result of a lookup.
#[derive(Clone, Copy, Debug)]
pub struct Station {
    /// Egress port; `None`: the bridge itself.
    pub port: Option<DevId>,
    /// Local: delivered to this host.
    pub is_local: bool,
}

/// Who asks for a station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The bridge itself, for what it sends and for the senders at a locked port.
    Bridge,
    /// A port that received: another port's station counts as used (`br_handle_frame_finish`).
    Port,
}

/// Looks up a station; expired entries are ignored.
#[inline]
pub fn br_fdb_find_rcu(
    cx: &mut Cx,
    skb: SkbId,
    bridge: DevId,
    (dest, vid): (Mac, u16),
    asker: Asker,
) -> Option<Station> {
    cx.call(Func::BrFdbFindRcu, skb);
    let station = find(cx, bridge, dest, vid, asker);
    cx.note(|cx| {
        Note::Fdb(match station {
            None => FdbNote::Unknown(dest),
            Some(Station { is_local: true, .. }) => FdbNote::Local(dest),
            Some(Station { port, .. }) => FdbNote::Found(dest, name(cx, port.unwrap_or(bridge))),
        })
    });
    station
}

fn name(cx: &Cx, dev: DevId) -> String {
    cx.k.devs[dev].name.clone()
}

#[inline]
fn find(cx: &mut Cx, bridge: DevId, dest: Mac, vid: u16, asker: Asker) -> Option<Station> {
    let now = cx.now;
    let br = cx.k.devs[bridge].bridge_mut()?;
    let ageing = br.conf.ageing_time;
    let entry = br.fdb.find_mut(dest, vid)?;
    if has_expired(entry, now, ageing) {
        return None;
    }
    if asker == Asker::Port && !entry.is_local {
        entry.used = now;
    }
    Some(Station { port: entry.port, is_local: entry.is_local })
}

pub(super) fn has_expired(entry: &FdbEntry, now: Nanos, ageing: Nanos) -> bool {
    !entry.is_static && !entry.added_by_external_learn && entry.updated + ageing <= now
}

/// The state of an entry as rtnetlink tells it.
pub fn fdb_to_nud(bridge: &Bridge, entry: &FdbEntry, now: Nanos) -> Nud {
    match entry {
        _ if entry.is_local => Nud::Permanent,
        _ if entry.is_static => Nud::Noarp,
        _ if has_expired(entry, now, bridge.conf.ageing_time) => Nud::Stale,
        _ => Nud::Reachable,
    }
}

/// VLANs that a port, or the bridge itself, is in.
fn own_vlans(cx: &Cx, bridge: DevId, port: Option<DevId>) -> Vec<u16> {
    vlans(&cx.k.devs[port.unwrap_or(bridge)]).collect()
}

/// Adds local entries for the address of a port, or of the bridge (`port` is `None`): without a VLAN, and in each of its VLANs.
pub fn fdb_add_local(cx: &mut Cx, bridge: DevId, port: Option<DevId>, addr: Mac) {
    fdb_add_local_in(cx, bridge, port, addr, 0);
    for vid in own_vlans(cx, bridge, port) {
        fdb_add_local_in(cx, bridge, port, addr, vid);
    }
}

/// Adds a local entry in one VLAN, unless there is one.
pub(super) fn fdb_add_local_in(cx: &mut Cx, bridge: DevId, port: Option<DevId>, addr: Mac, vid: u16) {
    let now = cx.now;
    let br = bridge_mut(cx, bridge);
    // The bridge's own address is zero when its last port left.
    if addr != Mac::ZERO && !br.fdb.find(addr, vid).is_some_and(|entry| entry.is_local) {
        insert(cx, bridge, FdbEntry::local(addr, vid, port, now));
    }
}

/// Deletes the local entry of a port's, or the bridge's, own address in a VLAN.
pub(super) fn br_fdb_find_delete_local(cx: &mut Cx, bridge: DevId, port: Option<DevId>, addr: Mac, vid: u16) {
    let entry = bridge_mut(cx, bridge).fdb.find(addr, vid);
    if entry.is_some_and(|entry| entry.is_local && !entry.added_by_user && entry.port == port) {
        fdb_delete_local(cx, bridge, port, addr, vid);
    }
}

/// Another port, or the bridge itself, may have the address of a local entry that goes (`fdb_delete_local`).
fn fdb_delete_local(cx: &mut Cx, bridge: DevId, port: Option<DevId>, addr: Mac, vid: u16) {
    let is_in = |cx: &Cx, dev: DevId| {
        cx.k.devs[dev].addr == addr && (vid == 0 || vlans(&cx.k.devs[dev]).any(|other| other == vid))
    };
    let others = bridge_mut(cx, bridge).ports.clone();
    let heir = others.into_iter().find(|other| Some(*other) != port && is_in(cx, *other));
    let heir = heir.map(Some).or_else(|| (port.is_some() && is_in(cx, bridge)).then_some(None));
    match (heir, bridge_mut(cx, bridge).fdb.find_mut(addr, vid)) {
        (Some(heir), Some(entry)) => (entry.port, entry.added_by_user) = (heir, false),
        _ => _ = delete_if(cx, bridge, |entry| entry.mac == addr && entry.vlan == vid),
    }
}

/// Deletes the learned entries of a port, or of the bridge itself, in a VLAN.
pub(super) fn br_fdb_forget_vlan(cx: &mut Cx, bridge: DevId, port: Option<DevId>, vid: u16) {
    let learned = |entry: &FdbEntry| entry.vlan == vid && !entry.is_static && !entry.added_by_external_learn;
    delete_if(cx, bridge, |entry| entry.port == port && learned(entry));
}

/// Deletes the learned entries of a port; with `all`, also its local and static ones (`br_fdb_delete_by_port`).
pub fn br_fdb_delete_by_port(cx: &mut Cx, bridge: DevId, port: DevId, all: bool) {
    delete_if(cx, bridge, |entry| entry.port == Some(port) && (all || !entry.is_static));
}

/// Deletes all learned entries (`ip link set … type bridge fdb_flush`).
pub fn br_fdb_flush(cx: &mut Cx, bridge: DevId) {
    delete_if(cx, bridge, |entry| !entry.is_static);
}

/// Updates the local entry after a change of address.
pub fn fdb_change_local(cx: &mut Cx, bridge: DevId, port: Option<DevId>, addr: Mac) {
    let is_old = |entry: &FdbEntry| entry.is_local && entry.port == port && !entry.added_by_user;
    if port.is_some() {
        // `br_fdb_changeaddr`: also the one of an address that was given again.
        delete_if(cx, bridge, is_old);
        return fdb_add_local(cx, bridge, port, addr);
    }
    // `br_fdb_change_mac_address` goes from VLAN to VLAN.
    for vid in std::iter::once(0).chain(own_vlans(cx, bridge, port)) {
        delete_if(cx, bridge, |entry| is_old(entry) && entry.mac != addr && entry.vlan == vid);
        fdb_add_local_in(cx, bridge, port, addr, vid);
    }
}

/// An entry in a request (`bridge fdb add … master`).
#[derive(Clone, Copy, Debug)]
pub struct FdbMsg {
    /// MAC address.
    pub mac: Mac,
    /// VLAN ID; 0: none.
    pub vlan: u16,
    /// Local entry (`permanent`, the default).
    pub permanent: bool,
    /// It does not age (`static`).
    pub noarp: bool,
    /// Does not move to another port (`sticky`).
    pub sticky: bool,
    /// Learned by a control plane (`extern_learn`).
    pub extern_learn: bool,
    /// `NLM_F_EXCL`: an existing entry is an error.
    pub excl: bool,
    /// `NLM_F_CREATE`: a missing entry is created.
    pub create: bool,
}

/// Adds an entry for a port, or for the bridge itself (`RTM_NEWNEIGH`). Without a VLAN ID it is added untagged and to
/// each VLAN of the port.
///
/// # Errors
///
/// `EEXIST` or `ENOENT` by the request's flags, `EOPNOTSUPP` if the device is not in a bridge, `EPERM` for a dynamic
/// entry of a port that does not learn, `EINVAL` for an invalid address, VLAN or combination of flags.
pub fn br_fdb_add(cx: &mut Cx, dev: DevId, msg: FdbMsg) -> Result<(), NlError> {
    let (bridge, port) = target(cx, dev)?;
    if msg.mac == Mac::ZERO {
        cx.printk(LOG_INFO, "bridge: RTM_NEWNEIGH with invalid ether address".to_owned());
        return Err(Errno::EINVAL.into());
    }
    if msg.vlan != 0 {
        check_vlan(cx, dev, msg.vlan, "RTM_NEWNEIGH")?;
        return fdb_add(cx, bridge, port, msg);
    }
    fdb_add(cx, bridge, port, msg)?;
    for vlan in own_vlans(cx, bridge, port) {
        fdb_add(cx, bridge, port, FdbMsg { vlan, ..msg })?;
    }
    Ok(())
}

/// `__br_fdb_add`
fn fdb_add(cx: &mut Cx, bridge: DevId, port: Option<DevId>, msg: FdbMsg) -> Result<(), NlError> {
    match msg.extern_learn {
        true if port.is_none() && !msg.permanent => {
            Err(NlError::with(Errno::EINVAL, "bridge: FDB entry towards bridge must be permanent"))
        }
        true => {
            br_fdb_external_learn_add(cx, bridge, port, msg);
            Ok(())
        }
        false => fdb_add_entry(cx, bridge, port, msg),
    }
}

/// The port, or the bridge itself, is in the VLAN of a request.
fn check_vlan(cx: &mut Cx, dev: DevId, vid: u16, request: &str) -> Result<(), NlError> {
    if vlans(&cx.k.devs[dev]).any(|known| known == vid) {
        return Ok(());
    }
    let line = format!("bridge: {request} with unconfigured vlan {vid} on {}", cx.k.devs[dev].name);
    cx.printk(LOG_INFO, line);
    Err(Errno::EINVAL.into())
}

/// Adds an entry, or renews it, that a control plane has learned: it does not age, but moves with its station.
fn br_fdb_external_learn_add(cx: &mut Cx, bridge: DevId, port: Option<DevId>, msg: FdbMsg) {
    let now = cx.now;
    let before = bridge_mut(cx, bridge).fdb.find(msg.mac, msg.vlan).copied();
    let known = before.unwrap_or(FdbEntry::new(msg.mac, msg.vlan, port, now));
    let entry = FdbEntry {
        port,
        is_local: known.is_local || port.is_none(),
        added_by_user: true,
        added_by_external_learn: true,
        updated: now,
        used: if known.added_by_external_learn { now } else { known.used },
        ..known
    };
    if before.is_some_and(|before| before.added_by_external_learn && before.port == port) {
        bridge_mut(cx, bridge).fdb.insert(entry);
    } else {
        insert(cx, bridge, entry);
    }
}

fn fdb_add_entry(cx: &mut Cx, bridge: DevId, port: Option<DevId>, msg: FdbMsg) -> Result<(), NlError> {
    let learns = |port: &BridgePort| matches!(port.state, PortState::Learning | PortState::Forwarding);
    if !msg.permanent
        && !msg.noarp
        && port.is_some_and(|dev| !cx.k.devs[dev].port.as_ref().is_some_and(learns))
    {
        return Err(Errno::EPERM.into());
    }
    if port.is_none() && !msg.permanent {
        let line = format!("bridge: RTM_NEWNEIGH {} without NUD_PERMANENT", cx.k.devs[bridge].name);
        cx.printk(LOG_INFO, line);
        return Err(Errno::EINVAL.into());
    }
    if msg.sticky && msg.permanent {
        return Err(Errno::EINVAL.into());
    }
    let now = cx.now;
    let br = bridge_mut(cx, bridge);
    match br.fdb.find(msg.mac, msg.vlan) {
        Some(_) if msg.excl => return Err(Errno::EEXIST.into()),
        None if !msg.create => return Err(Errno::ENOENT.into()),
        _ => {}
    }
    let entry = FdbEntry {
        is_local: msg.permanent,
        is_static: msg.permanent || msg.noarp,
        added_by_user: true,
        sticky: msg.sticky,
        ..FdbEntry::new(msg.mac, msg.vlan, port, now)
    };
    insert(cx, bridge, entry);
    arm_gc(cx, bridge);
    Ok(())
}

/// Deletes an entry (`RTM_DELNEIGH`); without a VLAN ID, in all VLANs.
///
/// # Errors
///
/// `ENOENT` if the port has none, `EINVAL` for a VLAN that it is not in.
pub fn br_fdb_delete(cx: &mut Cx, dev: DevId, mac: Mac, vlan: u16) -> Result<(), NlError> {
    let (bridge, port) = target(cx, dev)?;
    if vlan != 0 {
        check_vlan(cx, dev, vlan, "RTM_DELNEIGH")?;
    }
    let mut vlans = vec![vlan];
    if vlan == 0 {
        vlans.extend(own_vlans(cx, bridge, port));
    }
    let mut gone = 0;
    for vid in vlans {
        gone += delete_if(cx, bridge, |entry| (entry.mac, entry.port, entry.vlan) == (mac, port, vid));
    }
    if gone == 0 { Err(Errno::ENOENT.into()) } else { Ok(()) }
}

/// Deletes the entries of a bridge or port that `matches` selects (`RTM_DELNEIGH` with `NLM_F_BULK`).
///
/// # Errors
///
/// `EOPNOTSUPP` if the device is neither.
pub fn br_fdb_delete_bulk(
    cx: &mut Cx,
    dev: DevId,
    matches: impl Fn(&FdbEntry) -> bool,
) -> Result<(), NlError> {
    let (bridge, port) = target(cx, dev)?;
    delete_if(cx, bridge, |entry| (port.is_none() || entry.port == port) && matches(entry));
    Ok(())
}

fn target(cx: &Cx, dev: DevId) -> Result<(DevId, Option<DevId>), NlError> {
    match &cx.k.devs[dev].port {
        Some(port) => Ok((port.bridge, Some(dev))),
        None if cx.k.devs[dev].bridge().is_some() => Ok((dev, None)),
        None => Err(Errno::EOPNOTSUPP.into()),
    }
}
