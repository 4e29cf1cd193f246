//! The forwarding database of VXLAN devices: where stations are.
//!
//! Kernel: drivers/net/vxlan/vxlan_core.c

use std::net::Ipv4Addr;

use glassnet_sim::Nanos;
use glassnet_wire::Mac;

use super::vxlan_core::{vxlan, vxlan_mut};
use crate::Cx;
use crate::Kernel;
use crate::door::Func;
use crate::ids::{DevId, SkbId};
use crate::link::{FdbDst, FdbOps, FdbRequest, FdbRow};
use crate::netlink::{Errno, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NlError};
use crate::note::{FdbNote, Note};
use crate::tables::jiffies::{last_tick, wheel_expiry};
use crate::tables::klog::LOG_INFO;
use crate::tables::neigh_types::Nud;
use crate::tables::netdev::NetDevice;
use crate::tables::rtnl::RtnlMsg;
use crate::tables::vxlan::{AgeTimer, VxlanDev, VxlanFdb, VxlanRdst, VxlanRemote};

/// How often it looks for entries that nobody uses (`FDB_AGE_INTERVAL`).
const FDB_AGE_INTERVAL: Nanos = Nanos::from_secs(10);

/// The state of the entry for unknown stations.
pub(super) const DEFAULT_STATE: u16 = Nud::Permanent as u16 | Nud::Reachable as u16;

/// What `bridge fdb` does with such a device.
pub static FDB_OPS: FdbOps = FdbOps {
    add: |cx, dev, request| {
        vxlan_fdb_add(cx, dev, request)?;
        rtnl_fdb_notify(cx, dev, request, false);
        Ok(())
    },
    del: |cx, dev, request| {
        vxlan_fdb_delete(cx, dev, request)?;
        rtnl_fdb_notify(cx, dev, request, true);
        Ok(())
    },
    dump: vxlan_fdb_dump,
};

/// The entry of a station, which counts as used (`vxlan_find_mac`).
#[inline]
pub fn vxlan_find_mac<'a>(cx: &'a mut Cx, skb: SkbId, dev: DevId, mac: Mac) -> Option<&'a mut VxlanFdb> {
    cx.call(Func::VxlanFindMac, skb);
    let now = cx.now;
    let entry = vxlan_mut(cx, dev).find_mut(mac)?;
    entry.used = now;
    Some(entry)
}

/// Learns that a station is at the other end that sent a frame; false: the frame is dropped, since its source is none or the
/// station's place is fixed (`vxlan_snoop`).
pub fn vxlan_snoop(cx: &mut Cx, skb: SkbId, dev: DevId, source: Mac, from: Ipv4Addr) -> bool {
    cx.within(Func::VxlanSnoop, skb, |cx| {
        if !source.is_valid() {
            return false;
        }
        let now = cx.now;
        if let Some(entry) = vxlan_find_mac(cx, skb, dev, source) {
            let is_there = |remote: &VxlanRemote| remote.to.ip == from && remote.to.ifindex == 0;
            if entry.remotes.first().is_some_and(is_there) {
                cx.note(|_| Note::Fdb(FdbNote::Known(source, from.to_string())));
                return true;
            }
            return moved(cx, dev, source, from, now);
        }
        let device = vxlan_mut(cx, dev);
        let to = VxlanRdst { ip: from, port: device.cfg.dst_port, vni: device.cfg.vni, ifindex: 0 };
        let is_full = device.cfg.addrmax != 0 && device.addrcnt() >= device.cfg.addrmax as usize;
        if cx.k.devs[dev].is_up() && !is_full {
            // `vxlan_fdb_update` looks again.
            cx.call(Func::VxlanFindMac, skb);
            vxlan_mut(cx, dev).insert(source, (Nud::Reachable as u16, 0), to, now);
            vxlan_fdb_notify(cx, dev, source, to, false);
            arm(cx, dev);
            cx.note(|_| Note::Fdb(FdbNote::Learned(source, from.to_string())));
        }
        true
    })
}

/// A known station sent a frame from another end than before.
#[cold]
fn moved(cx: &mut Cx, dev: DevId, source: Mac, from: Ipv4Addr, now: Nanos) -> bool {
    let Some(entry) = vxlan_mut(cx, dev).find_mut(source) else { return true };
    let is_fixed = entry.is_fixed();
    let Some(remote) = entry.remotes.first_mut() else { return true };
    let before = remote.to.ip;
    if is_fixed {
        return false;
    }
    let to = VxlanRdst { ip: from, ..remote.to };
    *remote = to.into();
    entry.updated = now;
    vxlan_fdb_notify(cx, dev, source, to, false);
    cx.printk_limited(LOG_INFO, |cx| {
        vec![format!("{}: {source} migrated from {before} to {from}", cx.k.devs[dev].name)]
    });
    cx.note(|_| Note::Fdb(FdbNote::Moved(source, from.to_string())));
    true
}

/// Makes the entry for unknown stations.
///
/// # Errors
///
/// `ENOSPC` if there may be no more entries.
pub fn default_entry(cx: &mut Cx, dev: DevId, to: VxlanRdst) -> Result<(), NlError> {
    create(cx, dev, Mac::ZERO, (DEFAULT_STATE, 0), to)
}

fn create(
    cx: &mut Cx,
    dev: DevId,
    mac: Mac,
    state_and_flags: (u16, u8),
    to: VxlanRdst,
) -> Result<(), NlError> {
    let now = cx.now;
    let device = vxlan_mut(cx, dev);
    if device.cfg.addrmax != 0 && device.addrcnt() >= device.cfg.addrmax as usize {
        return Err(Errno::ENOSPC.into());
    }
    device.insert(mac, state_and_flags, to, now);
    vxlan_fdb_notify(cx, dev, mac, to, false);
    arm(cx, dev);
    Ok(())
}

/// Where a request's entry leads, with what it leaves out (`vxlan_fdb_parse`).
fn place(cx: &Cx, dev: DevId, request: &FdbRequest) -> Result<VxlanRdst, NlError> {
    let Some(device) = vxlan(cx.k, dev) else { return Err(Errno::EOPNOTSUPP.into()) };
    let ifindex = request.to.via.unwrap_or(0);
    if ifindex != 0 && cx.k.dev_by_index(cx.k.devs[dev].netns, ifindex).is_none() {
        return Err(NlError::with(Errno::EADDRNOTAVAIL, "Device not found"));
    }
    Ok(VxlanRdst {
        ip: request.to.dst.unwrap_or(Ipv4Addr::UNSPECIFIED),
        port: request.to.port.unwrap_or(device.cfg.dst_port),
        vni: request.to.vni.unwrap_or(device.cfg.vni),
        ifindex,
    })
}

/// Tells programs of a request that was done, beside what the device tells (net/core/rtnetlink.c).
fn rtnl_fdb_notify(cx: &mut Cx, dev: DevId, request: &FdbRequest, deleted: bool) {
    let (netns, now) = (cx.k.devs[dev].netns, cx.now);
    let FdbRequest { mac, state, .. } = *request;
    let row = FdbRow { mac, state, flags: 0, used: now, updated: now, to: FdbDst::default() };
    cx.rtnl_notify(netns, deleted, |_| Some(RtnlMsg::Fdb(dev, row)));
}

/// Adds an entry, or a place to one (`ndo_fdb_add`).
fn vxlan_fdb_add(cx: &mut Cx, dev: DevId, request: &FdbRequest) -> Result<(), NlError> {
    if request.state & (Nud::Permanent as u16 | Nud::Reachable as u16) == 0 {
        cx.printk(LOG_INFO, format!("vxlan: RTM_NEWNEIGH with invalid state {:#x}", request.state));
        return Err(Errno::EINVAL.into());
    }
    let to = place(cx, dev, request)?;
    if request.to.dst.is_none() {
        return Err(Errno::EINVAL.into());
    }
    let (mac, now) = (request.mac, cx.now);
    let has = |flag| request.nlmsg_flags & flag != 0;
    let Some(entry) = vxlan_mut(cx, dev).find_mut(mac) else {
        if !has(NLM_F_CREATE) {
            return Err(Errno::ENOENT.into());
        }
        if has(NLM_F_REPLACE) && (mac == Mac::ZERO || mac.is_multicast()) {
            return Err(Errno::EOPNOTSUPP.into());
        }
        create(cx, dev, mac, (request.state, request.flags), to)?;
        if let Some(entry) = vxlan_mut(cx, dev).find_mut(mac) {
            entry.added_by_user = true;
        }
        return Ok(());
    };
    if has(NLM_F_EXCL) {
        return Err(Errno::EEXIST.into());
    }
    let mut notify = false;
    if (entry.state, entry.flags, entry.added_by_user) != (request.state, request.flags, true) {
        notify = (entry.state, entry.flags) != (request.state, request.flags);
        (entry.state, entry.flags, entry.added_by_user) = (request.state, request.flags, true);
        entry.updated = now;
    }
    if has(NLM_F_REPLACE) {
        if entry.is_flooded() {
            return Err(NlError::with(Errno::EOPNOTSUPP, "Cannot replace non-unicast fdb entries"));
        }
        if entry.find_rdst(&to).is_none()
            && let Some(first) = entry.remotes.first_mut()
        {
            *first = to.into();
            notify = true;
        }
    }
    if has(NLM_F_APPEND) && entry.is_flooded() && entry.find_rdst(&to).is_none() {
        entry.remotes.push(to.into());
        notify = true;
    }
    let at = entry.find_rdst(&to).unwrap_or(0);
    if let Some(told) = entry.remotes.get(at).map(|remote| remote.to).filter(|_| notify) {
        vxlan_fdb_notify(cx, dev, mac, told, false);
    }
    arm(cx, dev);
    Ok(())
}

/// Deletes a place of an entry, or all of it (`ndo_fdb_del`). One that the entry does not lead to is no error.
fn vxlan_fdb_delete(cx: &mut Cx, dev: DevId, request: &FdbRequest) -> Result<(), NlError> {
    let to = place(cx, dev, request)?;
    let device = vxlan_mut(cx, dev);
    let entry = device.find_mut(request.mac).ok_or(Errno::ENOENT)?;
    if !to.ip.is_unspecified() {
        let Some(at) = entry.find_rdst(&to) else { return Ok(()) };
        if entry.remotes.len() > 1 {
            vxlan_fdb_notify(cx, dev, request.mac, to, true);
            if let Some(entry) = vxlan_mut(cx, dev).find_mut(request.mac) {
                entry.remotes.remove(at);
            }
            return Ok(());
        }
    }
    vxlan_fdb_destroy(cx, dev, |entry| entry.mac == request.mac);
    Ok(())
}

/// Deletes the entries that `goes` selects, and tells programs of each place.
pub(super) fn vxlan_fdb_destroy(cx: &mut Cx, dev: DevId, mut goes: impl FnMut(&VxlanFdb) -> bool) {
    let gone: Vec<Mac> =
        vxlan_mut(cx, dev).iter().filter(|entry| goes(entry)).map(|entry| entry.mac).collect();
    for mac in gone {
        let remotes = vxlan_mut(cx, dev).find(mac).map_or(Vec::new(), |entry| entry.remotes.clone());
        remotes.iter().for_each(|remote| vxlan_fdb_notify(cx, dev, mac, remote.to, true));
        vxlan_mut(cx, dev).remove(mac);
    }
}

/// Tells programs of a place of an entry.
pub(super) fn vxlan_fdb_notify(cx: &mut Cx, dev: DevId, mac: Mac, to: VxlanRdst, deleted: bool) {
    cx.rtnl_notify(cx.k.devs[dev].netns, deleted, |kernel| {
        let device = vxlan(kernel, dev)?;
        let entry = device.find(mac)?;
        let row = rows(device, entry).zip(&entry.remotes).find(|(_, remote)| remote.to == to);
        row.map(|(row, _)| RtnlMsg::Fdb(dev, row))
    });
}

/// All entries, a row for each place (`ndo_fdb_dump`).
fn vxlan_fdb_dump(kernel: &Kernel, dev: &NetDevice) -> Vec<FdbRow> {
    let Some(device) = vxlan(kernel, dev.id) else { return Vec::new() };
    device.dump().into_iter().flat_map(|entry| rows(device, entry)).collect()
}

fn rows(device: &VxlanDev, entry: &VxlanFdb) -> impl Iterator<Item = FdbRow> {
    let cfg = &device.cfg;
    entry.remotes.iter().map(|remote| remote.to).map(move |to| FdbRow {
        mac: entry.mac,
        state: entry.state,
        flags: entry.flags,
        used: entry.used,
        updated: entry.updated,
        to: FdbDst {
            dst: Some(to.ip).filter(|ip| !ip.is_unspecified()),
            port: Some(to.port).filter(|port| *port != cfg.dst_port),
            vni: Some(to.vni).filter(|vni| *vni != cfg.vni),
            via: Some(to.ifindex).filter(|via| *via != 0),
        },
    })
}

/// The device comes up: the first search is in ten seconds.
pub fn start_ageing(cx: &mut Cx, dev: DevId) {
    let now = last_tick(cx.now);
    set(cx, dev, now, now + FDB_AGE_INTERVAL);
}

/// The time that a station is kept changed: searches at the next tick.
pub fn expire_now(cx: &mut Cx, dev: DevId) {
    let now = last_tick(cx.now);
    if vxlan(cx.k, dev).is_some_and(|device| device.age_timer.is_some()) {
        set(cx, dev, now, now);
    }
}

/// There may be an entry that ages. What the searches would have set while there was none is made up for.
fn arm(cx: &mut Cx, dev: DevId) {
    let now = last_tick(cx.now);
    let Some(mut timer) = vxlan_mut(cx, dev).age_timer else { return };
    if timer.armed {
        return;
    }
    while due(timer) <= now {
        let then = due(timer);
        timer = AgeTimer { set: then, expires: then + FDB_AGE_INTERVAL, armed: false };
    }
    set(cx, dev, timer.set, timer.expires);
}

/// When the timer really expires.
fn due(timer: AgeTimer) -> Nanos {
    wheel_expiry(timer.set, timer.expires)
}

fn set(cx: &mut Cx, dev: DevId, now: Nanos, expires: Nanos) {
    let device = vxlan_mut(cx, dev);
    let timer = AgeTimer { set: now, expires, armed: device.iter().any(|entry| !entry.is_fixed()) };
    device.age_timer = Some(timer);
    if timer.armed {
        cx.set_timer(due(timer), vxlan_cleanup, dev.0);
    }
}

/// The timer: deletes entries that nobody used for long. Ignored if it was set anew, or the device is gone or down.
fn vxlan_cleanup(cx: &mut Cx, dev: u32) {
    let (dev, now) = (DevId(dev), last_tick(cx.now));
    let timer = cx.k.devs.get(dev).and_then(|netdev| netdev.netdev_priv::<VxlanDev>()?.age_timer);
    if !timer.is_some_and(|timer| timer.armed && due(timer) <= now) {
        return;
    }
    let device = vxlan_mut(cx, dev);
    let age = Nanos::from_secs(u64::from(device.cfg.age_interval));
    let mut next = now + FDB_AGE_INTERVAL;
    vxlan_fdb_destroy(cx, dev, |entry| {
        let end = last_tick(entry.used) + age;
        let ages = !entry.is_fixed();
        if ages && end > now {
            next = next.min(end);
        }
        ages && end <= now
    });
    set(cx, dev, now, next);
}
