//! Addresses of devices, and IPv4's part of device events.
//!
//! Kernel: net/ipv4/devinet.c

use std::net::Ipv4Addr;

use glassnet_wire::arp::ARPOP_REQUEST;

use super::arp::{arp_evict, arp_send_announcement};
use super::devinet_lifetime::check_lifetime;
use super::fib_frontend::{fib_add_ifaddr, fib_del_ifaddr, fib_disable_ip, fib_netdev_up};
use super::fib_semantics::{Dying, fib_sync_carrier, fib_sync_up};
use super::igmp;
use crate::ids::{DevId, NetnsId};
use crate::module::{InetaddrEvent, Module, NetdevEvent};
use crate::net::core::dev::MAX_NAME;
use crate::net::core::notifier::{call_inetaddr_notifiers, call_inetaddr_validators};
use crate::netlink::{Errno, NLM_F_EXCL, NLM_F_REPLACE, NlError};
use crate::tables::inet::{InDevice, InIfaddr, ifaddr, max_conf, or_conf};
use crate::tables::inet_conf::Conf;
use crate::tables::inet_types::{AddrMsg, IFA_F_DEPRECATED, IFA_F_PERMANENT};
use crate::tables::netdev::IFF_NOARP;
use crate::tables::route_types::Scope;
use crate::{Cx, Kernel};

/// What it adds to the kernel.
pub static MODULE: Module = Module { netdevice_event: Some(inetdev_event), ..Module::UNNAMED };

/// Smallest MTU with which a device has IPv4, bytes (`IPV4_MIN_MTU`).
const IPV4_MIN_MTU: u32 = 68;

/// Adds an address (RTM_NEWADDR, `inet_rtm_newaddr`).
///
/// # Errors
///
/// EEXIST if it is there (and NLM_F_REPLACE is not given), EINVAL for a bad length or scope.
pub fn rtm_newaddr(cx: &mut Cx, netns: NetnsId, msg: &AddrMsg, flags: u16) -> Result<(), NlError> {
    if msg.prefix_len > 32 {
        return Err(Errno::EINVAL.into());
    }
    if msg.valid_lft == 0 || msg.preferred_lft > msg.valid_lft {
        return Err(Errno::EINVAL.into());
    }
    let name = cx.k.devs.get(msg.dev).ok_or(NlError::from(Errno::ENODEV))?.name.clone();
    let ifa = ifaddr(msg, &name, cx.now);
    let inet = cx.k.inet.get_mut(msg.dev).ok_or(NlError::from(Errno::ENOBUFS))?;
    inet.conf.set_all();
    inet.arp.set_all();
    if let Some(at) = inet.find(ifa.local, ifa.address, ifa.mask) {
        if flags & NLM_F_EXCL != 0 || flags & NLM_F_REPLACE == 0 {
            return Err(Errno::EEXIST.into());
        }
        modify(cx, netns, msg.dev, at, ifa);
    } else {
        inet_insert_ifa(cx, netns, msg.dev, ifa)?;
    }
    check_lifetime(cx);
    Ok(())
}

fn modify(cx: &mut Cx, netns: NetnsId, dev: DevId, at: usize, new: InIfaddr) {
    let Some(inet) = cx.k.inet.get_mut(dev) else { return };
    let old = inet.addrs[at].clone();
    const LIFETIME: u32 = IFA_F_PERMANENT | IFA_F_DEPRECATED;
    inet.addrs[at] = InIfaddr {
        flags: old.flags & !LIFETIME | new.flags & LIFETIME,
        metric: new.metric,
        valid_lft: new.valid_lft,
        preferred_lft: new.preferred_lft,
        changed: new.changed,
        ..old.clone()
    };
    if new.metric != old.metric && !old.is_secondary() {
        let new = inet.addrs.remove(at);
        fib_del_ifaddr(cx, netns, dev, &old);
        if let Some(inet) = cx.k.inet.get_mut(dev) {
            inet.addrs.insert(at, new.clone());
        }
        fib_add_ifaddr(cx, netns, dev, &new);
    }
}

/// Inserts an address into its device's list and adds its routes (`__inet_insert_ifa`).
fn inet_insert_ifa(cx: &mut Cx, netns: NetnsId, dev: DevId, ifa: InIfaddr) -> Result<(), NlError> {
    if ifa.local.is_unspecified() {
        return Ok(());
    }
    let inet = cx.k.inet.get(dev).ok_or(Errno::ENOBUFS)?;
    let (at, ifa) = inet.place(ifa)?;
    call_inetaddr_validators(cx.k, dev, ifa.local)?;
    let inet = cx.k.inet.get_mut(dev).ok_or(Errno::ENOBUFS)?;
    inet.addrs.insert(at, ifa);
    let ifa = inet.addrs[at].clone();
    cx.k.netns[netns].ipv4.count_address(ifa.local, true);
    fib_add_ifaddr(cx, netns, dev, &ifa);
    call_inetaddr_notifiers(cx, dev, InetaddrEvent::Up(ifa.local));
    if cx.k.devs[dev].is_up() {
        let carries = cx.k.devs[dev].carries();
        fib_sync_up(&mut cx.k.netns[netns].ipv4.fib, dev, carries);
    }
    Ok(())
}

/// Removes an address (RTM_DELADDR, `inet_rtm_deladdr`).
///
/// # Errors
///
/// EADDRNOTAVAIL if there is no such address.
pub fn rtm_deladdr(cx: &mut Cx, netns: NetnsId, msg: &AddrMsg) -> Result<(), NlError> {
    let inet = cx.k.inet.get(msg.dev).ok_or(NlError::from(Errno::ENODEV))?;
    let at = inet.find_for_delete(msg).ok_or(NlError::from(Errno::EADDRNOTAVAIL))?;
    inet_del_ifa(cx, netns, msg.dev, at);
    Ok(())
}

/// Deletes an address. With a primary one its secondaries are deleted too, or the first of them is promoted
/// (`promote_secondaries`).
///
/// Kernel: `__inet_del_ifa`
pub(super) fn inet_del_ifa(cx: &mut Cx, netns: NetnsId, dev: DevId, at: usize) {
    let all = &cx.k.netns[netns].ipv4.conf_all;
    let Some(inet) = cx.k.inet.get(dev) else { return };
    let promote = or_conf(inet, all, Conf::PromoteSecondaries);
    let gone = inet.addrs[at].clone();
    let depends = |ifa: &InIfaddr| {
        !gone.is_secondary() && ifa.is_secondary() && ifa.mask == gone.mask && gone.contains(ifa.address)
    };
    let dependents: Vec<InIfaddr> = inet.addrs.iter().filter(|ifa| depends(ifa)).cloned().collect();
    for ifa in dependents.iter().chain([&gone]) {
        take_out(cx, netns, dev, ifa);
        fib_del_ifaddr(cx, netns, dev, ifa);
    }
    for ifa in dependents.into_iter().filter(|_| promote) {
        // The first address of a subnet in the list is the primary one.
        let _kept_its_place = inet_insert_ifa(cx, netns, dev, ifa);
    }
    if cx.k.inet.get(dev).is_some_and(|inet| inet.addrs.is_empty()) {
        fib_disable_ip(cx, netns, dev, Dying::NoAddress);
    }
}

fn take_out(cx: &mut Cx, netns: NetnsId, dev: DevId, ifa: &InIfaddr) {
    if let Some(inet) = cx.k.inet.get_mut(dev)
        && let Some(at) = inet.addrs.iter().position(|own| own == ifa)
    {
        inet.addrs.remove(at);
        cx.k.netns[netns].ipv4.count_address(ifa.local, false);
        call_inetaddr_notifiers(cx, dev, InetaddrEvent::Down(ifa.local));
    }
}

/// The addresses of a namespace, device by device.
pub fn dump_addrs(k: &Kernel, netns: NetnsId, now: glassnet_sim::Nanos) -> Vec<AddrMsg> {
    let of_dev = |dev: &DevId| {
        let addrs = k.inet.get(*dev).map_or(&[][..], |inet| &inet.addrs);
        addrs.iter().map(|ifa| ifa.message(*dev, now)).collect::<Vec<_>>()
    };
    k.netns[netns].devs.values().flat_map(of_dev).collect()
}

/// IPv4's part of a device event (`inetdev_event`, `fib_netdev_event`, `arp_netdev_event`).
fn inetdev_event(cx: &mut Cx, dev: DevId, event: NetdevEvent) {
    let netns = cx.k.devs[dev].netns;
    match event {
        NetdevEvent::Register => register(cx, netns, dev),
        NetdevEvent::ChangeName => inetdev_changename(cx, dev),
        NetdevEvent::Up => up(cx, netns, dev),
        NetdevEvent::GoingDown | NetdevEvent::FeatChange => {}
        NetdevEvent::Down => {
            igmp::ip_mc_down(cx, dev);
            fib_disable_ip(cx, netns, dev, Dying::Down);
        }
        NetdevEvent::Unregister => unregister(cx, netns, dev),
        NetdevEvent::Change { flags } => {
            if flags & IFF_NOARP != 0 {
                super::arp::arp_changeaddr(cx, dev);
            }
            let (carrier, carries) = (cx.k.devs[dev].carrier, cx.k.devs[dev].carries());
            fib_sync_carrier(&mut cx.k.netns[netns].ipv4.fib, dev, carries);
            if !carrier {
                arp_evict(cx, dev);
            }
        }
        NetdevEvent::ChangeMtu { old } => {
            if cx.k.devs[dev].mtu < IPV4_MIN_MTU {
                unregister(cx, netns, dev);
            } else if cx.k.inet.get(dev).is_none() {
                register(cx, netns, dev);
            }
            let ipv4 = &mut cx.k.netns[netns].ipv4;
            ipv4.exceptions.update_mtu(dev, cx.k.devs[dev].mtu, old);
            ipv4.fib.generation += 1;
        }
        NetdevEvent::ChangeAddr => {
            super::arp::arp_changeaddr(cx, dev);
            arp_notify(cx, netns, dev);
        }
        NetdevEvent::ChangeUpper => fib_disable_ip(cx, netns, dev, Dying::NoAddress),
        NetdevEvent::NotifyPeers => inetdev_send_gratuitous_arp(cx, dev),
    }
}

/// After a rename: updates labels of addresses, and policy rules that name the device.
fn inetdev_changename(cx: &mut Cx, dev: DevId) {
    let (netns, name) = (cx.k.devs[dev].netns, cx.k.devs[dev].name.clone());
    let rules = &mut cx.k.netns[netns].ipv4.fib.rules;
    rules.detach(dev);
    rules.attach(&name, dev);
    let Some(inet) = cx.k.inet.get_mut(dev) else { return };
    for (at, ifa) in inet.addrs.iter_mut().enumerate() {
        let suffix = match ifa.label.find(':') {
            _ if at == 0 => String::new(),
            Some(colon) => ifa.label[colon..].to_owned(),
            None => format!(":{}", at + 1),
        };
        let kept = MAX_NAME.saturating_sub(suffix.len()).min(name.len());
        ifa.label = format!("{}{suffix}", name.get(..kept).unwrap_or(&name));
    }
}

fn register(cx: &mut Cx, netns: NetnsId, dev: DevId) {
    let ipv4 = &cx.k.netns[netns].ipv4;
    let mut device = InDevice::new(ipv4.conf_default.clone(), ipv4.arp_default);
    if cx.k.devs[dev].is_loopback() {
        device.conf.set(Conf::DisableXfrm, 1);
        device.conf.set(Conf::DisablePolicy, 1);
    }
    cx.k.inet.set(dev, Some(device));
    let name = cx.k.devs[dev].name.clone();
    let fib = &mut cx.k.netns[netns].ipv4.fib;
    fib.rules.attach(&name, dev);
    fib.generation += 1;
    if cx.k.devs[dev].is_up() {
        igmp::ip_mc_up(cx, dev);
    }
}

fn up(cx: &mut Cx, netns: NetnsId, dev: DevId) {
    if cx.k.devs[dev].mtu < IPV4_MIN_MTU {
        return;
    }
    if cx.k.devs[dev].is_loopback() {
        let mut msg = AddrMsg::new(dev, Ipv4Addr::LOCALHOST, 8);
        msg.scope = Scope::HOST;
        let ifa = ifaddr(&msg, "lo", cx.now);
        let _there_since_the_last_time = inet_insert_ifa(cx, netns, dev, ifa);
    }
    igmp::ip_mc_up(cx, dev);
    fib_netdev_up(cx, netns, dev);
    arp_notify(cx, netns, dev);
}

fn unregister(cx: &mut Cx, netns: NetnsId, dev: DevId) {
    while cx.k.inet.get(dev).is_some_and(|inet| !inet.addrs.is_empty()) {
        inet_del_ifa(cx, netns, dev, 0);
    }
    fib_disable_ip(cx, netns, dev, Dying::Unregistered);
    super::ip_fragment::flush_device(cx, netns, dev);
    cx.k.inet.set(dev, None);
    cx.k.netns[netns].ipv4.fib.rules.detach(dev);
}

/// With `arp_notify` the neighbours learn of a device that came up or has another address.
fn arp_notify(cx: &mut Cx, netns: NetnsId, dev: DevId) {
    let all = &cx.k.netns[netns].ipv4.conf_all;
    let Some(inet) = cx.k.inet.get(dev) else { return };
    if max_conf(inet, all, Conf::ArpNotify) != 0 && cx.k.devs[dev].is_up() {
        inetdev_send_gratuitous_arp(cx, dev);
    }
}

/// Sends gratuitous ARP for the device's addresses.
fn inetdev_send_gratuitous_arp(cx: &mut Cx, dev: DevId) {
    let Some(inet) = cx.k.inet.get(dev) else { return };
    for ifa in inet.addrs.clone() {
        if !ifa.local.is_loopback() {
            arp_send_announcement(cx, ARPOP_REQUEST, dev, ifa.local);
        }
    }
}
