//! Packets between devices and protocols: the receive and the transmit path that all share.
//!
//! Kernel: net/core/dev.c

use glassnet_sim::Nanos;
use glassnet_wire::Mac;
use glassnet_wire::eth::{ETH_HLEN, ETH_P_802_2, ETH_P_802_3_MIN, ETH_P_ARP, ETH_P_IP};

use super::packet;
use crate::Cx;
use crate::door::{Door, Func};
use crate::drivers::nic;
use crate::ids::{DevId, SkbId};
use crate::net::netfilter::nf_conntrack_prefetch::{PREFETCH, prefetch};
use crate::tables::drop_reason::DropReason;
use crate::tables::netdev::DevKind;
use crate::tables::skb::PacketType;
use crate::tables::softnet::{Napi, Softirq};

/// Hands a packet that a driver received outside NAPI to the stack.
///
/// Kernel: net/core/dev.c
/// Not modelled: receive timestamps.
#[inline]
pub fn __netif_rx(cx: &mut Cx, skb: SkbId) -> Door {
    cx.pass(Door::NetifRxInternal { skb })
}

/// Chooses the CPU whose backlog takes the packet.
///
/// Kernel: net/core/dev.c
/// Not modelled: RPS, generic XDP.
#[inline]
pub fn netif_rx_internal(cx: &mut Cx, skb: SkbId) -> Door {
    cx.pass(Door::EnqueueToBacklog { skb })
}

/// Appends the packet to this CPU's `input_pkt_queue` and sees to it that somebody polls the queue.
///
/// Kernel: net/core/dev.c
/// Not modelled: flow limits.
pub fn enqueue_to_backlog(cx: &mut Cx, skb: SkbId) -> Door {
    let max_backlog = cx.k.core.netdev_max_backlog as usize;
    let sd = &mut cx.k.cpus[cx.cpu.index()];
    if sd.input_pkt_queue.len() > max_backlog {
        sd.stat.dropped += 1;
        let dev = cx.skbs[skb].dev;
        cx.k.devs[dev].stats.rx_dropped += 1;
        return cx.kfree_skb(skb, DropReason::CpuBacklog);
    }
    sd.input_pkt_queue.push_back(skb);
    if !sd.backlog_scheduled {
        sd.backlog_scheduled = true;
        napi_schedule(cx, Napi::Backlog);
    }
    Door::End
}

/// Puts something into this CPU's poll list and raises `NET_RX_SOFTIRQ` (`____napi_schedule`).
pub fn napi_schedule(cx: &mut Cx, napi: Napi) {
    let sd = &mut cx.k.cpus[cx.cpu.index()];
    sd.poll_list.push_back(napi);
    sd.raise(Softirq::NetRx);
}

/// The receive softirq: polls what is in the poll list until the budget is used up.
pub fn net_rx_action(cx: &mut Cx) {
    cx.within(Func::NetRxAction, None, |cx| {
        let until = cx.now + Nanos::from_micros(u64::from(cx.k.core.netdev_budget_usecs));
        let mut budget = cx.k.core.netdev_budget as i64;
        for _ in 0..cx.k.cpus[cx.cpu.index()].poll_list.len() {
            let Some(napi) = cx.k.cpus[cx.cpu.index()].poll_list.pop_front() else { break };
            budget -= i64::from(__napi_poll(cx, napi));
            if budget <= 0 || cx.now >= until {
                cx.k.cpus[cx.cpu.index()].stat.time_squeeze += 1;
                break;
            }
        }
        let sd = &mut cx.k.cpus[cx.cpu.index()];
        if !sd.poll_list.is_empty() {
            sd.raise(Softirq::NetRx);
        }
    })
}

/// Polls once and returns how many packets that were; one that has more to do goes back to the list.
fn __napi_poll(cx: &mut Cx, napi: Napi) -> u32 {
    cx.within(Func::NapiPoll, None, |cx| {
        let weight = cx.k.core.dev_weight;
        let work = match napi {
            Napi::Backlog => process_backlog(cx, weight),
            Napi::Device(dev) => nic::poll(cx, dev, weight),
        };
        *cx.polled += u64::from(work);
        if work >= weight {
            cx.k.cpus[cx.cpu.index()].poll_list.push_back(napi);
        }
        work
    })
}

/// Takes up to `quota` packets from the backlog through the stack.
fn process_backlog(cx: &mut Cx, quota: u32) -> u32 {
    cx.within(Func::ProcessBacklog, None, |cx| {
        let mut work = 0;
        loop {
            loop {
                if work % PREFETCH == 0 && cx.k.conntrack.is_large() {
                    prefetch(cx);
                }
                let Some(skb) = cx.k.cpus[cx.cpu.index()].process_queue.pop_front() else { break };
                cx.walk(Door::NetifReceiveSkbInner { skb });
                work += 1;
                cx.k.cpus[cx.cpu.index()].stat.processed += 1;
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

/// A NIC's packet, offered to generic receive offload first.
///
/// Kernel: net/core/gro.c
/// Not modelled: merging packets, receive lists: each packet goes on alone.
pub fn napi_gro_receive(cx: &mut Cx, skb: SkbId) -> Door {
    cx.k.cpus[cx.cpu.index()].stat.processed += 1;
    cx.pass(Door::NetifReceiveSkb { skb })
}

/// A packet enters the stack in softirq context.
///
/// Kernel: net/core/dev.c
/// Not modelled: RPS.
#[inline]
pub fn netif_receive_skb(cx: &mut Cx, skb: SkbId) -> Door {
    cx.pass(Door::NetifReceiveSkbInner { skb })
}

/// A packet enters the stack, with memory reserves if it serves swapping.
///
/// Kernel: net/core/dev.c
/// Not modelled: memory reserves.
#[inline]
pub fn __netif_receive_skb(cx: &mut Cx, skb: SkbId) -> Door {
    cx.pass(Door::NetifReceiveSkbOneCore { skb })
}

/// A packet enters the stack alone, not in a list.
///
/// Kernel: net/core/dev.c
/// Not modelled: nothing.
#[inline]
pub fn __netif_receive_skb_one_core(cx: &mut Cx, skb: SkbId) -> Door {
    cx.pass(Door::NetifReceiveSkbCore { skb })
}

/// Shows the packet to the taps, then to the device's `rx_handler` (a bridge), then to its protocol.
///
/// Kernel: net/core/dev.c
/// Not modelled: tc ingress, VLAN devices.
pub fn __netif_receive_skb_core(cx: &mut Cx, skb: SkbId) -> Door {
    let pkt = &mut cx.skbs[skb];
    pkt.network_header = pkt.data;
    let (dev, protocol) = (pkt.dev, pkt.protocol);
    let netdev = &cx.k.devs[dev];
    if pkt.skb_iif == 0 {
        pkt.skb_iif = netdev.ifindex;
    }
    let is_port = netdev.port.is_some();
    if cx.k.packet_sockets > 0 || cx.trace.capture {
        let seen_as = cx.skbs[skb].pkt_type;
        packet::deliver_to_taps(cx, skb, dev, seen_as);
    }
    if is_port {
        return Door::BrHandleFrame { skb };
    }
    match protocol {
        ETH_P_IP => Door::IpRcv { skb },
        ETH_P_ARP => Door::ArpRcv { skb },
        _ => {
            cx.k.devs[dev].stats.rx_dropped += 1;
            cx.kfree_skb(skb, DropReason::UnhandledProto)
        }
    }
}

/// Notes what the Ethernet header says about a received frame, and pulls it (`eth_type_trans`, net/ethernet/eth.c).
/// False if the frame is shorter than its header.
pub fn eth_type_trans(cx: &mut Cx, skb: SkbId, dev: DevId) -> bool {
    let our_addr = cx.k.devs[dev].addr;
    let at = cx.skbs[skb].data;
    let Some(eth) = cx.skbs.header::<glassnet_wire::eth::EthHdr>(skb, at) else { return false };
    let (dest, proto) = (eth.dest(), eth.h_proto.get());
    let pkt = &mut cx.skbs[skb];
    pkt.dev = dev;
    pkt.mac_header = at;
    pkt.pkt_type = pkt_type(dest, our_addr);
    pkt.protocol = if proto >= ETH_P_802_3_MIN { proto } else { ETH_P_802_2 };
    pkt.data += ETH_HLEN as u32;
    true
}

fn pkt_type(dest: Mac, ours: Mac) -> PacketType {
    if dest == ours {
        PacketType::Host
    } else if dest.is_broadcast() {
        PacketType::Broadcast
    } else if dest.is_multicast() {
        PacketType::Multicast
    } else {
        PacketType::OtherHost
    }
}

/// Queues a packet for its device; one without a queue sends at once.
///
/// Kernel: net/core/dev.c
/// Not modelled: tc egress, queueing disciplines that hold packets back, choice of the queue.
pub fn __dev_queue_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    let pkt = &mut cx.skbs[skb];
    pkt.mac_header = pkt.data;
    let netdev = &mut cx.k.devs[pkt.dev];
    if !netdev.is_up() || !netdev.carrier {
        netdev.stats.tx_dropped += 1;
        return cx.kfree_skb(skb, DropReason::QdiscDrop);
    }
    cx.pass(Door::ValidateXmitSkb { skb })
}

/// Does in software what the device cannot do itself.
///
/// Kernel: net/core/dev.c
/// Not modelled: segmentation; every device here computes checksums.
#[inline]
pub fn validate_xmit_skb(cx: &mut Cx, skb: SkbId) -> Door {
    cx.pass(Door::DevHardStartXmit { skb })
}

/// Shows the packet to the taps and calls the driver (`ndo_start_xmit`).
///
/// Kernel: net/core/dev.c
/// Not modelled: lists of packets.
pub fn dev_hard_start_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    let dev = cx.skbs[skb].dev;
    if cx.k.packet_sockets > 0 || cx.trace.capture {
        packet::dev_queue_xmit_nit(cx, skb, dev);
    }
    match cx.k.devs[dev].kind {
        DevKind::Veth { .. } => Door::VethXmit { skb },
        DevKind::Bridge(_) => Door::BrDevXmit { skb },
        DevKind::Loopback => Door::LoopbackXmit { skb },
        DevKind::Nic(_) => Door::NicXmit { skb },
    }
}

/// A packet that fits the device and may leave or enter by it (`is_skb_forwardable`): up, and not too long.
#[inline]
pub fn is_skb_forwardable(cx: &Cx, dev: DevId, len: usize) -> bool {
    let netdev = &cx.k.devs[dev];
    netdev.is_up() && len <= netdev.mtu as usize + ETH_HLEN + VLAN_HLEN
}

/// Room for one VLAN tag beyond the MTU, bytes.
const VLAN_HLEN: usize = 4;
