//! Devices: receive and transmit path, registration, and changes.
//!
//! Kernel: net/core/dev.c

use glassnet_sim::Nanos;
use glassnet_wire::Mac;
use glassnet_wire::eth::{ETH_P_ARP, ETH_P_IP};

use super::dev_features::netdev_fix_features;
use super::dev_recursion::{XMIT_RECURSION_LIMIT, recursion_alert};
use super::dev_rx_mode::dev_set_rx_mode;
use super::dev_taps::{deliver_to_taps, dev_queue_xmit_nit};
use super::gro::napi_gro_end;
use super::gso::{netif_needs_gso, skb_gso_segment};
use super::link_watch::{linkwatch_forget_dev, linkwatch_init_dev};
use super::net_namespace::peernet2id_alloc;
use super::notifier::call_netdevice_notifiers;
use super::rps;
use super::sch_generic::{
    dev_activate, dev_deactivate, dev_qdisc_change_tx_queue_len, dev_shutdown, dev_xmit_skb,
};
use super::skbuff::skb_vlan_untag;
use super::vlan_core::{ToVlan, validate_xmit_vlan, vlan_do_receive, vlan_left_over};
use crate::door::{Door, Func};
use crate::event::Event;
use crate::ids::{CpuId, DevId, NetnsId, SkbId};
use crate::link::LinkOps;
use crate::module::NetdevEvent;
use crate::net::ethernet::eth::eth_hw_addr_random;
use crate::net::netfilter::nf_conntrack_prefetch::{PREFETCH, prefetch};
use crate::netlink::{Errno, NlError};
use crate::tables::drop_reason::DropReason;
use crate::tables::klog::LOG_INFO;
use crate::tables::netdev::{AddrAssign, DevStats, IFF_UP, NameAssign, NetDevice};
use crate::tables::netdev_features::{HIGHDMA, NOCACHE_COPY, SOFT_FEATURES, SOFT_FEATURES_OFF};
use crate::tables::netdev_queue::NetdevQueue;
use crate::tables::skb::PacketType;
use crate::tables::softnet::{Napi, NetRxRun, Softirq};
use crate::tables::vlan_tag::VlanProto;
use crate::{Cx, Kernel};

/// Receives a packet of a driver without NAPI, in any context.
///
/// Kernel: net/core/dev.c
/// Not modelled: nothing.
pub fn netif_rx(cx: &mut Cx, skb: SkbId) -> Door {
    cx.pass(Door::NetifRxInternal { skb })
}

/// The same where softirqs cannot run meanwhile.
///
/// Kernel: net/core/dev.c
/// Not modelled: receive timestamps.
#[inline]
pub fn __netif_rx(cx: &mut Cx, skb: SkbId) -> Door {
    cx.pass(Door::NetifRxInternal { skb })
}

/// Selects the CPU for the packet's backlog.
///
/// Kernel: net/core/dev.c
/// Not modelled: generic XDP.
#[inline]
pub fn netif_rx_internal(cx: &mut Cx, skb: SkbId) -> Door {
    let steered = if cx.k.core.rps_needed { rps::get_rps_cpu(cx, skb) } else { None };
    let cpu = steered.unwrap_or(cx.cpu).0 as u16;
    cx.pass(Door::EnqueueToBacklog { skb, cpu })
}

/// Appends the packet to a CPU's `input_pkt_queue` and schedules its backlog.
///
/// Kernel: net/core/dev.c
/// Not modelled: flow limits.
pub fn enqueue_to_backlog(cx: &mut Cx, skb: SkbId, cpu: u16) -> Door {
    let cpu = CpuId(u32::from(cpu));
    let max_backlog = cx.k.core.netdev_max_backlog as usize;
    let sd = &mut cx.k.cpus[cpu.index()];
    if sd.input_pkt_queue.len() > max_backlog {
        sd.stat.dropped += 1;
        let dev = cx.skbs[skb].dev;
        cx.k.devs[dev].stats.rx_dropped += 1;
        return cx.kfree_skb(skb, DropReason::CpuBacklog);
    }
    cx.skbs[skb].xmit_recursion = 0;
    sd.input_pkt_queue.push_back(skb);
    let is_scheduled = std::mem::replace(&mut sd.backlog_scheduled, true);
    if cx.k.core.rps_needed {
        rps::input_queue_tail_incr_save(cx, skb, cpu);
    }
    if !is_scheduled {
        if cpu == cx.cpu {
            napi_schedule(cx, Napi::Backlog);
        } else {
            napi_schedule_rps(cx, cpu);
        }
    }
    Door::End
}

/// Another CPU is to poll its backlog: it is told at the end of this softirq.
#[cold]
fn napi_schedule_rps(cx: &mut Cx, cpu: CpuId) {
    let sd = &mut cx.k.cpus[cx.cpu.index()];
    sd.rps_ipi_list.push(cpu);
    sd.raise(Softirq::NetRx);
}

/// Tells other CPUs of the packets in their backlogs (`net_rps_action_and_irq_enable`, `net_rps_send_ipi`).
fn net_rps_action(cx: &mut Cx) {
    let machine = cx.machine();
    for cpu in std::mem::take(&mut cx.k.cpus[cx.cpu.index()].rps_ipi_list) {
        cx.call(Func::NetRpsSendIpi, None);
        cx.events.schedule(cx.now, Event::CallFunction { machine, cpu });
    }
}

/// Another CPU has told this one of packets in its backlog.
pub fn rps_trigger_softirq(cx: &mut Cx) {
    cx.call(Func::RpsTriggerSoftirq, None);
    let stat = &mut cx.k.cpus[cx.cpu.index()].stat;
    stat.received_rps += 1;
    napi_schedule(cx, Napi::Backlog);
}

/// Adds to the CPU's poll list and raises `NET_RX_SOFTIRQ` (`____napi_schedule`).
pub fn napi_schedule(cx: &mut Cx, napi: Napi) {
    let sd = &mut cx.k.cpus[cx.cpu.index()];
    sd.poll_list.push_back(napi);
    sd.raise(Softirq::NetRx);
}

/// `NET_RX_SOFTIRQ`: polls the poll list until the budget is used up.
pub fn net_rx_action(cx: &mut Cx) {
    cx.within_resumable(Func::NetRxAction, |cx| {
        let mut run = cx.k.cpus[cx.cpu.index()].net_rx.take().unwrap_or_else(|| NetRxRun {
            until: cx.now + Nanos::from_micros(u64::from(cx.k.core.netdev_budget_usecs)),
            budget: cx.k.core.netdev_budget as i64,
            rest: cx.k.cpus[cx.cpu.index()].poll_list.len(),
            polled: None,
        });
        let mut squeezed = false;
        while run.rest > 0 {
            let next = || cx.k.cpus[cx.cpu.index()].poll_list.pop_front().map(|napi| (napi, 0));
            let Some((napi, before)) = run.polled.take().or_else(next) else { break };
            let work = __napi_poll(cx, napi, before);
            if cx.suspends {
                run.polled = Some((napi, work));
                cx.k.cpus[cx.cpu.index()].net_rx = Some(run);
                return;
            }
            run.rest -= 1;
            run.budget -= i64::from(work);
            if run.budget <= 0 || cx.now >= run.until {
                cx.k.cpus[cx.cpu.index()].stat.time_squeeze += 1;
                squeezed = true;
                break;
            }
        }
        if cx.observed {
            let budget = i64::from(cx.k.core.netdev_budget);
            cx.record_polled((budget - run.budget) as u32, budget as u32, squeezed);
        }
        let sd = &mut cx.k.cpus[cx.cpu.index()];
        if !sd.poll_list.is_empty() {
            sd.raise(Softirq::NetRx);
        }
        if !sd.rps_ipi_list.is_empty() {
            net_rps_action(cx);
        }
    })
}

/// Polls once and returns the number of packets, with those `before` it was suspended; re-adds to the poll list if the weight
/// was used up.
fn __napi_poll(cx: &mut Cx, napi: Napi, before: u32) -> u32 {
    cx.within_resumable(Func::NapiPoll, |cx| {
        let weight = cx.k.core.dev_weight;
        // It may have been lowered meanwhile.
        let quota = weight.saturating_sub(before).max(1);
        let now = match napi {
            Napi::Backlog => process_backlog(cx, quota),
            Napi::Device(dev, ring) => poll_device(cx, dev, ring, quota),
        };
        *cx.polled += u64::from(now);
        let work = before + now;
        if work >= weight && !cx.suspends {
            if napi != Napi::Backlog {
                napi_gro_end(cx);
            }
            cx.k.cpus[cx.cpu.index()].poll_list.push_back(napi);
        }
        if cx.observed && !cx.suspends {
            cx.record_polled(work, weight, false);
        }
        work
    })
}

/// Calls a driver's poll function.
#[inline(never)]
fn poll_device(cx: &mut Cx, dev: DevId, ring: u32, quota: u32) -> u32 {
    let poll = cx.k.devs.get(dev).and_then(|netdev| netdev.ops.poll);
    poll.map_or(0, |poll| poll(cx, dev, ring, quota))
}

/// Processes up to `quota` packets of the backlog.
fn process_backlog(cx: &mut Cx, quota: u32) -> u32 {
    cx.within_resumable(Func::ProcessBacklog, |cx| {
        let mut work = 0;
        if !cx.k.cpus[cx.cpu.index()].rps_ipi_list.is_empty() {
            net_rps_action(cx);
        }
        loop {
            loop {
                if cx.suspend(work) {
                    return work;
                }
                if work % PREFETCH == 0 && cx.k.conntrack.is_large() {
                    prefetch(cx);
                }
                let Some(skb) = cx.k.cpus[cx.cpu.index()].process_queue.pop_front() else { break };
                cx.walk(Door::NetifReceiveSkbInner { skb });
                work += 1;
                let sd = &mut cx.k.cpus[cx.cpu.index()];
                sd.stat.processed += 1;
                sd.input_queue_head = sd.input_queue_head.wrapping_add(1);
                if work >= quota {
                    return work;
                }
            }
            let sd = &mut cx.k.cpus[cx.cpu.index()];
            if sd.input_pkt_queue.is_empty() {
                sd.backlog_scheduled = false;
                return work;
            }
            std::mem::swap(&mut sd.input_pkt_queue, &mut sd.process_queue);
        }
    })
}

/// Receives a packet in softirq context, or lets another CPU do it.
///
/// Kernel: net/core/dev.c
/// Not modelled: nothing.
#[inline]
pub fn netif_receive_skb(cx: &mut Cx, skb: SkbId) -> Door {
    if cx.k.core.rps_needed
        && let Some(cpu) = rps::get_rps_cpu(cx, skb)
    {
        return Door::EnqueueToBacklog { skb, cpu: cpu.0 as u16 };
    }
    cx.k.cpus[cx.cpu.index()].stat.processed += 1;
    cx.pass(Door::NetifReceiveSkbInner { skb })
}

/// Receives a packet, with memory reserves for sockets of swap devices.
///
/// Kernel: net/core/dev.c
/// Not modelled: memory reserves.
#[inline]
pub fn __netif_receive_skb(cx: &mut Cx, skb: SkbId) -> Door {
    cx.pass(Door::NetifReceiveSkbOneCore { skb })
}

/// Receives a single packet, not a list.
///
/// Kernel: net/core/dev.c
/// Not modelled: nothing.
#[inline]
pub fn __netif_receive_skb_one_core(cx: &mut Cx, skb: SkbId) -> Door {
    cx.pass(Door::NetifReceiveSkbCore { skb })
}

/// Delivers the packet to the taps, to the device's `rx_handler` (a bridge), and to its protocol.
///
/// Kernel: net/core/dev.c
/// Not modelled: XDP of all devices, netfilter's ingress hook.
pub fn __netif_receive_skb_core(cx: &mut Cx, skb: SkbId) -> Door {
    let pkt = &mut cx.skbs[skb];
    pkt.network_header = pkt.data;
    let dev = pkt.dev;
    let netdev = &cx.k.devs[dev];
    if pkt.skb_iif == 0 {
        pkt.skb_iif = netdev.ifindex;
    }
    let rx_handler = netdev.rx_handler;
    let (filters, skips) = (netdev.miniq_ingress, std::mem::take(&mut pkt.tc_skip_classify));
    let mut tagged = pkt.vlan_tag.is_some() || VlanProto::of(pkt.protocol).is_some();
    if tagged && !skb_vlan_untag(cx, skb) {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    let (has_sockets, seen_as) = (cx.k.packet_sockets > 0, cx.skbs[skb].pkt_type);
    let seen = (has_sockets || cx.trace.capture) && seen_as != PacketType::Loopback && !skips;
    let watched = cx.k.config.watched && seen_as != PacketType::Loopback && !skips;
    let tapped = seen && deliver_to_taps(cx, skb, dev, seen_as) || watched;
    if let Some(filters) = filters.filter(|_| !skips) {
        if !filters(cx, skb) {
            return Door::End;
        }
        tagged = cx.skbs[skb].vlan_tag.is_some();
    }
    cx.skbs[skb].redirected = false;
    if tagged {
        match vlan_do_receive(cx, skb) {
            ToVlan::Nobody => {}
            ToVlan::Device => return another_round(cx, skb),
            ToVlan::Dropped => return Door::End,
        }
    }
    match rx_handler {
        Some(rx_handler) => rx_handler(skb),
        // Whoever listens has it already where a filter or a VLAN might have taken it.
        None => deliver_to_protocol(cx, skb, tapped && filters.is_none() && !tagged),
    }
}

/// A handler gave the packet to another device, whose it is from here on (`RX_HANDLER_ANOTHER`).
pub fn another_round(cx: &mut Cx, skb: SkbId) -> Door {
    cx.skbs[skb].skb_iif = 0;
    cx.k.cpus[cx.cpu.index()].stat.processed += 1;
    __netif_receive_skb_core(cx, skb)
}

/// The packet is for nobody but those who look at just this device (`RX_HANDLER_EXACT`); `pass`: for others, too.
pub fn deliver_exact(cx: &mut Cx, skb: SkbId, pass: bool) -> Door {
    if pass {
        return deliver_to_protocol(cx, skb, false);
    }
    let dev = cx.skbs[skb].dev;
    cx.k.devs[dev].stats.rx_nohandler += 1;
    cx.kfree_skb(skb, DropReason::UnhandledProto)
}

/// Delivers the packet to the sockets and the protocol of its type; `tapped`: a tap takes it, too. A device's `rx_handler` may
/// leave a packet to them (`RX_HANDLER_PASS`).
pub fn deliver_to_protocol(cx: &mut Cx, mut skb: SkbId, tapped: bool) -> Door {
    if cx.skbs[skb].vlan_tag.is_some() {
        match vlan_left_over(cx, skb) {
            ToVlan::Nobody => {}
            ToVlan::Device => return another_round(cx, skb),
            ToVlan::Dropped => return Door::End,
        }
    }
    let (dev, protocol) = (cx.skbs[skb].dev, cx.skbs[skb].protocol);
    if cx.k.packet_sockets > 0 && cx.skbs[skb].pkt_type != PacketType::Loopback {
        match deliver_to_sockets(cx, skb, matches!(protocol, ETH_P_IP | ETH_P_ARP)) {
            Some(left) => skb = left,
            None => return Door::End,
        }
    }
    match protocol {
        ETH_P_IP => Door::IpRcv { skb },
        ETH_P_ARP => Door::ArpRcv { skb },
        _ if tapped => cx.consume_skb(skb),
        _ => {
            cx.k.devs[dev].stats.rx_dropped += 1;
            cx.kfree_skb(skb, DropReason::UnhandledProto)
        }
    }
}

/// Delivers a received packet to the modules that take some protocols (`ptype_base`, `ptype_specific`); returns what is left for
/// its own.
#[cold]
#[inline(never)]
fn deliver_to_sockets(cx: &mut Cx, skb: SkbId, goes_on: bool) -> Option<SkbId> {
    let mut left = Some(skb);
    for receive in cx.k.modules.iter().filter_map(|module| module.receive) {
        left = receive(cx, left?, goes_on);
    }
    left
}

/// Queues a packet on the device's qdisc; without a queue it is transmitted at once.
///
/// Kernel: net/core/dev.c
/// Not modelled: netfilter's egress hook.
pub fn __dev_queue_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    let pkt = &mut cx.skbs[skb];
    pkt.mac_header = pkt.data;
    pkt.tc_at_ingress = false;
    if let Some(filters) = cx.k.devs[pkt.dev].miniq_egress {
        cx.k.cpus[cx.cpu.index()].skip_txqueue = false;
        if !filters(cx, skb) {
            return Door::End;
        }
    }
    let pkt = &mut cx.skbs[skb];
    if cx.k.devs[pkt.dev].direct_xmit {
        if pkt.xmit_recursion > XMIT_RECURSION_LIMIT {
            return recursion_alert(cx, skb);
        }
        pkt.xmit_recursion += 1;
        return cx.pass(Door::ValidateXmitSkb { skb });
    }
    dev_xmit_skb(cx, skb)
}

/// Software fallbacks for features that the device lacks.
///
/// Kernel: net/core/dev.c
/// Not modelled: checksums, which every device here computes.
#[inline]
pub fn validate_xmit_skb(cx: &mut Cx, skb: SkbId) -> Door {
    if netif_needs_gso(cx, skb) {
        return xmit_segments(cx, skb);
    }
    validate_xmit_vlan(cx, skb);
    cx.pass(Door::DevHardStartXmit { skb })
}

/// Sends what a merged packet is cut into, one after the other.
#[cold]
fn xmit_segments(cx: &mut Cx, skb: SkbId) -> Door {
    let segments = skb_gso_segment(cx, skb);
    segments.iter().for_each(|skb| validate_xmit_vlan(cx, *skb));
    let mut segments = segments.into_iter();
    let first = segments.next();
    segments.rev().for_each(|skb| cx.afterwards(Door::XmitOne { skb }));
    first.map_or(Door::End, |skb| Door::DevHardStartXmit { skb })
}

/// Delivers the packet to the taps and calls `ndo_start_xmit`.
///
/// Kernel: net/core/dev.c
/// Not modelled: nothing; the caller goes through a list of packets.
pub fn dev_hard_start_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    let dev = cx.skbs[skb].dev;
    if cx.k.packet_sockets > 0 || cx.trace.capture {
        dev_queue_xmit_nit(cx, skb, dev);
    }
    (cx.k.devs[dev].ops.xmit)(skb)
}

/// Allocates an unregistered device of a kind. `%d` in the name is replaced at registration.
pub fn alloc_netdev(
    netns: NetnsId,
    name: String,
    name_assign: NameAssign,
    ops: &'static LinkOps,
) -> NetDevice {
    let mut dev = NetDevice::new(netns, name, name_assign, ops);
    (ops.setup)(&mut dev);
    dev
}

/// Registers a device: assigns handle, name, ifindex and, if it needs one, a random address. It is down.
///
/// # Errors
///
/// `EINVAL` for an invalid name, also one of a directory of settings; `EEXIST` for a name in use, `EBUSY` for an ifindex in
/// use.
pub fn register_netdevice(cx: &mut Cx, mut dev: NetDevice) -> Result<DevId, NlError> {
    let netns = dev.netns;
    dev.name = dev_get_valid_name(cx, netns, &dev.name)?;
    if dev.ifindex == 0 {
        dev.ifindex = cx.k.netns[netns].new_ifindex();
    } else if cx.k.dev_by_index(netns, dev.ifindex).is_some() {
        return Err(Errno::EBUSY.into());
    }
    if !sysctl_dev_name_is_allowed(&dev.name) {
        return Err(Errno::EINVAL.into());
    }
    if dev.addr_assign == AddrAssign::Random && dev.addr == Mac::ZERO {
        dev.addr = eth_hw_addr_random(cx, netns, &dev.name);
    }
    if dev.addr_assign == AddrAssign::Perm {
        dev.perm_addr = dev.addr;
    }
    dev.hw_features |= SOFT_FEATURES | SOFT_FEATURES_OFF;
    dev.features |= SOFT_FEATURES;
    dev.vlan_features |= HIGHDMA;
    dev.wanted_features = dev.features & dev.hw_features;
    dev.features = netdev_fix_features(dev.features);
    if !dev.is_loopback() {
        dev.hw_features |= NOCACHE_COPY;
    }
    dev.tx.resize_with(dev.num_tx_queues as usize, NetdevQueue::default);
    let (id, ifindex) = (cx.k.devs.next_id(), dev.ifindex);
    dev.id = id;
    cx.k.devs.insert(dev);
    cx.k.netns[netns].devs.insert(ifindex, id);
    cx.k.relabel(id);
    linkwatch_init_dev(cx, id);
    call_netdevice_notifiers(cx, id, NetdevEvent::Register);
    Ok(id)
}

/// Unregisters a device.
pub fn unregister_netdevice(cx: &mut Cx, dev: DevId) {
    dev_close(cx, dev);
    dev_shutdown(cx, dev);
    cx.k.devs[dev].unregistering = true;
    call_netdevice_notifiers(cx, dev, NetdevEvent::Unregister);
    linkwatch_forget_dev(cx, dev);
    let (netns, ifindex) = (cx.k.devs[dev].netns, cx.k.devs[dev].ifindex);
    cx.k.netns[netns].devs.remove(&ifindex);
    cx.k.devs.remove(dev);
}

/// Moves a device to another namespace: it goes down and loses its addresses, but keeps its ifindex if that is free.
pub fn dev_change_net_namespace(cx: &mut Cx, dev: DevId, netns: NetnsId) {
    let old = cx.k.devs[dev].netns;
    if old == netns {
        return;
    }
    dev_close(cx, dev);
    dev_shutdown(cx, dev);
    call_netdevice_notifiers(cx, dev, NetdevEvent::Unregister);
    peernet2id_alloc(cx, old, netns);
    let ifindex = cx.k.devs[dev].ifindex;
    cx.k.netns[old].devs.remove(&ifindex);
    let target = &mut cx.k.netns[netns];
    let ifindex = if target.devs.contains_key(&ifindex) { target.new_ifindex() } else { ifindex };
    target.devs.insert(ifindex, dev);
    let netdev = &mut cx.k.devs[dev];
    (netdev.ifindex, netdev.netns) = (ifindex, netns);
    cx.k.relabel(dev);
    call_netdevice_notifiers(cx, dev, NetdevEvent::Register);
}

/// Maximum length of a device name, bytes (`IFNAMSIZ` without the terminating zero).
pub const MAX_NAME: usize = 15;

/// Valid device names.
pub fn dev_valid_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME
        && name != "."
        && name != ".."
        && !name.bytes().any(|b| b == b'/' || b == b':' || b.is_ascii_whitespace())
}

/// Directories of `net.ipv4.conf` and `net.ipv4.neigh` have the names of devices, and two more.
///
/// Kernel: net/sysctl_net.c
fn sysctl_dev_name_is_allowed(name: &str) -> bool {
    name != "all" && name != "default"
}

/// The name for a request of `name`: `%d` becomes the lowest free number.
fn dev_get_valid_name(cx: &Cx, netns: NetnsId, name: &str) -> Result<String, NlError> {
    if !dev_valid_name(name) {
        return Err(Errno::EINVAL.into());
    }
    let in_use = |name: &str| cx.k.dev_by_name(netns, name).is_some();
    let Some((prefix, rest)) = name.split_once('%') else {
        return if in_use(name) { Err(Errno::EEXIST.into()) } else { Ok(name.to_owned()) };
    };
    let suffix = rest.strip_prefix('d').filter(|rest| !rest.contains('%')).ok_or(Errno::EINVAL)?;
    let free = (0..).map(|n| format!("{prefix}{n}{suffix}")).find(|name| !in_use(name));
    Ok(free.expect("numbers do not end"))
}

/// Renames a device that is down.
///
/// # Errors
///
/// `EBUSY` if it is up, and those of an invalid name.
pub fn dev_change_name(cx: &mut Cx, dev: DevId, name: &str) -> Result<(), NlError> {
    if cx.k.devs[dev].name == name {
        return Ok(());
    }
    if cx.k.devs[dev].is_up() {
        return Err(Errno::EBUSY.into());
    }
    let name = dev_get_valid_name(cx, cx.k.devs[dev].netns, name)?;
    if !sysctl_dev_name_is_allowed(&name) {
        return Err(Errno::EINVAL.into());
    }
    let line = format!("{name}: renamed from {}", cx.k.devs[dev].name);
    cx.k.devs[dev].name = name;
    cx.k.relabel(dev);
    cx.printk(LOG_INFO, line);
    call_netdevice_notifiers(cx, dev, NetdevEvent::ChangeName);
    Ok(())
}

/// The MTU lies within the device's limits.
///
/// # Errors
///
/// `EINVAL` if it does not.
pub fn dev_validate_mtu(netdev: &NetDevice, mtu: u32) -> Result<(), NlError> {
    if mtu < netdev.min_mtu {
        return Err(NlError::with(Errno::EINVAL, "mtu less than device minimum"));
    }
    if netdev.max_mtu > 0 && mtu > netdev.max_mtu {
        return Err(NlError::with(Errno::EINVAL, "mtu greater than device maximum"));
    }
    Ok(())
}

/// Sets the MTU.
///
/// # Errors
///
/// `EINVAL` outside of the device's limits, and what its driver refuses.
pub fn dev_set_mtu(cx: &mut Cx, dev: DevId, mtu: u32) -> Result<(), NlError> {
    let netdev = &cx.k.devs[dev];
    dev_validate_mtu(netdev, mtu)?;
    if netdev.mtu != mtu {
        if let Some(change_mtu) = netdev.ops.change_mtu {
            change_mtu(cx, dev, mtu)?;
        }
        let old = std::mem::replace(&mut cx.k.devs[dev].mtu, mtu);
        call_netdevice_notifiers(cx, dev, NetdevEvent::ChangeMtu { old });
    }
    Ok(())
}

/// Sets the length of the transmit queue, packets.
///
/// # Errors
///
/// Those of its queueing disciplines; the length stays as it was.
pub fn dev_change_tx_queue_len(cx: &mut Cx, dev: DevId, len: u32) -> Result<(), NlError> {
    let old = std::mem::replace(&mut cx.k.devs[dev].tx_queue_len, len);
    if old == len {
        return Ok(());
    }
    dev_qdisc_change_tx_queue_len(cx, dev).inspect_err(|_| cx.k.devs[dev].tx_queue_len = old)
}

/// Sets flags that others only take note of (`dev_change_flags`).
pub fn dev_change_flags(cx: &mut Cx, dev: DevId, flags: u32) {
    let netdev = &mut cx.k.devs[dev];
    let changed = netdev.flags ^ flags;
    netdev.flags = flags;
    if changed != 0 && netdev.is_up() {
        call_netdevice_notifiers(cx, dev, NetdevEvent::Change { flags: changed });
    }
}

/// Sets a device up.
///
/// # Errors
///
/// Those of its kind; it stays down.
pub fn dev_open(cx: &mut Cx, dev: DevId) -> Result<(), Errno> {
    if cx.k.devs[dev].is_up() {
        return Ok(());
    }
    cx.k.devs[dev].flags |= IFF_UP;
    if let Some(open) = cx.k.devs[dev].ops.open {
        open(cx, dev).inspect_err(|_| cx.k.devs[dev].flags &= !IFF_UP)?;
    }
    dev_set_rx_mode(cx, dev);
    dev_activate(cx, dev);
    call_netdevice_notifiers(cx, dev, NetdevEvent::Up);
    Ok(())
}

/// Sets a device down.
pub fn dev_close(cx: &mut Cx, dev: DevId) {
    if !cx.k.devs[dev].is_up() {
        return;
    }
    call_netdevice_notifiers(cx, dev, NetdevEvent::GoingDown);
    cx.k.devs[dev].flags &= !IFF_UP;
    dev_deactivate(cx, dev);
    if let Some(stop) = cx.k.devs[dev].ops.stop {
        stop(cx, dev);
    }
    call_netdevice_notifiers(cx, dev, NetdevEvent::Down);
}

/// Sets the address.
///
/// # Errors
///
/// `EADDRNOTAVAIL` for one that no device can have, `EOPNOTSUPP` for a device without such addresses, and what the device says.
pub fn dev_set_mac_address(cx: &mut Cx, dev: DevId, address: Mac) -> Result<(), NlError> {
    if !cx.k.devs[dev].can_set_address() {
        return Err(Errno::EOPNOTSUPP.into());
    }
    if !address.is_valid() {
        return Err(Errno::EADDRNOTAVAIL.into());
    }
    let addr = match cx.k.devs[dev].ops.set_mac_address {
        Some(set_mac_address) => set_mac_address(cx, dev, address)?,
        None => address,
    };
    let netdev = &mut cx.k.devs[dev];
    (netdev.addr, netdev.addr_assign) = (addr, AddrAssign::Set);
    call_netdevice_notifiers(cx, dev, NetdevEvent::ChangeAddr);
    Ok(())
}

/// The counters of a device.
pub fn dev_get_stats(k: &Kernel, dev: &NetDevice) -> DevStats {
    dev.ops.get_stats64.map_or(dev.stats, |get_stats64| get_stats64(k, dev))
}
