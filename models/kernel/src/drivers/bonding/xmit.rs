//! Packets into a bond and out of it.
//!
//! Kernel: drivers/net/bonding/bond_main.c

use glassnet_wire::eth::ETH_P_IP;
use glassnet_wire::ipv4::{IPPROTO_ICMP, IPPROTO_IGMP, Ipv4Hdr};

use super::arp_monitor::bond_rcv_validate;
use super::bond_3ad::bond_3ad_lacpdu_recv;
use super::bond_alb::bond_tlb_xmit;
use crate::door::Door;
use crate::ids::{DevId, SkbId};
use crate::net::core::dev::{another_round, deliver_exact};
use crate::net::core::flow_dissector::ports_at;
use crate::netlink::Errno;
use crate::tables::bonding::{BondLink, Bonding, Mode, Opt, Slave};
use crate::tables::drop_reason::DropReason;
use crate::{Cx, Kernel};

/// Policies of the hash (`BOND_XMIT_POLICY_*`).
const LAYER34: u32 = 1;
const LAYER23: u32 = 2;
const VLAN_SRCMAC: u32 = 5;

/// Receives a frame of a slave.
///
/// Kernel: drivers/net/bonding/bond_main.c
/// Not modelled: nothing.
pub fn bond_handle_frame(cx: &mut Cx, skb: SkbId) -> Door {
    let dev = cx.skbs[skb].dev;
    let Some(bond) = cx.k.devs[dev].master() else {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    };
    let netdev = &cx.k.devs[bond];
    let Some(bonding) = netdev.bond() else { return cx.kfree_skb(skb, DropReason::NotSpecified) };
    if netdev.is_up() && bonding.mode() == Mode::Ieee8023ad {
        if bond_3ad_lacpdu_recv(cx, bond, skb) {
            return cx.consume_skb(skb);
        }
    } else if netdev.is_up() && bonding.opt(Opt::ArpInterval) > 0 {
        bond_rcv_validate(cx, bond, skb);
    }
    if cx.k.devs[bond].bond().and_then(|bond| bond.slave(dev)).is_some_and(|slave| slave.inactive) {
        return deliver_exact(cx, skb, cx.skbs.eth_hdr(skb).dest().is_link_local());
    }
    cx.skbs[skb].dev = bond;
    another_round(cx, skb)
}

/// Chooses the slave that a packet leaves by.
///
/// Kernel: drivers/net/bonding/bond_main.c
/// Not modelled: queue numbers of slaves.
pub fn bond_start_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    let bond = cx.skbs[skb].dev;
    let Some(bonding) = cx.k.devs[bond].bond() else {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    };
    let slave = match bonding.mode() {
        Mode::Broadcast => return Door::BondXmitBroadcast { skb },
        Mode::ActiveBackup => bonding.curr_active_slave,
        Mode::Tlb => bond_tlb_xmit(cx, bond, skb),
        Mode::RoundRobin => bond_xmit_roundrobin_slave_get(cx, bond, skb),
        Mode::Xor | Mode::Ieee8023ad => {
            let count = usable_slaves(cx, bonding).count() as u32;
            let at = bond_xmit_hash(cx, bonding, skb).checked_rem(count);
            at.and_then(|at| usable_slaves(cx, bonding).nth(at as usize)).map(|slave| slave.dev)
        }
    };
    match slave {
        Some(slave) => to_slave(cx, skb, slave),
        None => bond_tx_drop(cx, bond, skb),
    }
}

/// A door holds no more than a packet, so the packet knows the slave.
fn to_slave(cx: &mut Cx, skb: SkbId, slave: DevId) -> Door {
    cx.skbs[skb].dev = slave;
    Door::BondDevQueueXmit { skb }
}

/// Hands the packet to a slave.
///
/// Kernel: drivers/net/bonding/bond_main.c
/// Not modelled: nothing.
pub fn bond_dev_queue_xmit(_: &mut Cx, skb: SkbId) -> Door {
    Door::DevQueueXmit { skb }
}

/// Sends the packet by every slave.
///
/// Kernel: drivers/net/bonding/bond_main.c
/// Not modelled: nothing.
pub fn bond_xmit_broadcast(cx: &mut Cx, skb: SkbId) -> Door {
    bond_xmit_broadcast_next(cx, skb, 0)
}

/// Sends it by the next slave that works, from this one on, and then by the others.
pub fn bond_xmit_broadcast_next(cx: &mut Cx, skb: SkbId, from: u16) -> Door {
    let bond = cx.skbs[skb].dev;
    let works = |slave: &Slave| slave.link == BondLink::Up && cx.k.devs[slave.dev].carries();
    let slaves = cx.k.devs[bond].bond().map_or(&[][..], |bond| &bond.slaves).iter().enumerate();
    let mut left =
        slaves.skip(usize::from(from)).filter(|(_, slave)| works(slave)).map(|(at, slave)| (at, slave.dev));
    let (next, is_last) = (left.next(), left.next().is_none());
    let Some((at, slave)) = next else { return bond_tx_drop(cx, bond, skb) };
    if is_last {
        return to_slave(cx, skb, slave);
    }
    let clone = cx.skb_clone(skb);
    cx.afterwards(Door::BondXmitBroadcastNext { skb, from: at as u16 + 1 });
    to_slave(cx, clone, slave)
}

/// No slave can take the packet.
fn bond_tx_drop(cx: &mut Cx, bond: DevId, skb: SkbId) -> Door {
    cx.k.devs[bond].stats.tx_dropped += 1;
    cx.xmit_failed(skb, Errno::ENOBUFS);
    cx.kfree_skb(skb, DropReason::NotSpecified)
}

/// The slave can send.
pub(super) fn bond_slave_can_tx(k: &Kernel, slave: &Slave) -> bool {
    slave.link == BondLink::Up && slave.active && k.devs[slave.dev].carries()
}

/// The slaves that a hash chooses among (`bond_update_slave_arr`): with LACP, those of one aggregator.
pub(super) fn usable_slaves<'a>(cx: &'a Cx, bond: &'a Bonding) -> impl Iterator<Item = &'a Slave> {
    let is_8023ad = bond.mode() == Mode::Ieee8023ad;
    let active = bond.active_aggregator().map(|agg| agg.aggregator_identifier);
    bond.slaves.iter().filter(move |slave| {
        bond_slave_can_tx(cx.k, slave) && (!is_8023ad || Some(slave.ad.port.aggregator) == active)
    })
}

/// The next slave in turn. What concerns groups leaves by one slave only, so that the answers come by it.
fn bond_xmit_roundrobin_slave_get(cx: &mut Cx, bond: DevId, skb: SkbId) -> Option<DevId> {
    let is_igmp = ipv4(cx, skb).is_some_and(|iph| iph.protocol == IPPROTO_IGMP);
    let bonding = cx.k.devs[bond].bond_mut()?;
    if is_igmp && bonding.curr_active_slave.is_some() {
        return bonding.curr_active_slave;
    }
    let count = bonding.slaves.len() as u32;
    let turn = match bonding.opt(Opt::PacketsPerSlave) {
        0 => cx.dice.below(1 << 32) as u32,
        each => {
            bonding.rr_tx_counter = bonding.rr_tx_counter.wrapping_add(1);
            bonding.rr_tx_counter / each
        }
    };
    let first = turn.checked_rem(count)?;
    let bonding = cx.k.devs[bond].bond()?;
    let mut order = bonding.slaves.iter().cycle().skip(first as usize).take(count as usize);
    order.find(|slave| bond_slave_can_tx(cx.k, slave)).map(|slave| slave.dev)
}

fn ipv4<'a>(cx: &'a Cx, skb: SkbId) -> Option<&'a Ipv4Hdr> {
    let pkt = &cx.skbs[skb];
    (pkt.protocol == ETH_P_IP).then(|| cx.skbs.header(skb, pkt.network_header))?
}

/// The hash that chooses a slave (`bond_xmit_hash`): numbers of the packet as a little-endian machine has them in memory.
pub(super) fn bond_xmit_hash(cx: &Cx, bonding: &Bonding, skb: SkbId) -> u32 {
    let eth = cx.skbs.eth_hdr(skb);
    let layer2 = u32::from(eth.dest().0[5] ^ eth.source().0[5]) ^ u32::from(eth.h_proto.get());
    let policy = bonding.opt(Opt::XmitHashPolicy);
    if policy == VLAN_SRCMAC {
        return vlan_srcmac(cx, skb);
    }
    let Some(iph) = ipv4(cx, skb).filter(|_| matches!(policy, LAYER34 | LAYER23)) else { return layer2 };
    let number = |addr: std::net::Ipv4Addr| u32::from_le_bytes(addr.octets());
    let first = if policy == LAYER23 { layer2 } else { layer4(cx, skb, iph, cx.skbs[skb].network_header) };
    let mut hash = first ^ number(iph.daddr.get()) ^ number(iph.saddr.get());
    hash ^= hash >> 16;
    hash ^= hash >> 8;
    // The lowest bit is the same for many ports.
    if policy == LAYER34 { hash >> 1 } else { hash }
}

/// The VLAN, and both halves of the source address (`bond_vlan_srcmac_hash`).
fn vlan_srcmac(cx: &Cx, skb: SkbId) -> u32 {
    let [a, b, c, d, e, f] = cx.skbs.eth_hdr(skb).source().0;
    let tci = cx.skbs[skb].vlan_tag.map_or(0, |tag| tag.tci);
    u32::from(tci) ^ u32::from_be_bytes([0, a, b, c]) ^ u32::from_be_bytes([0, d, e, f])
}

/// Ports; type, code and number of an ICMP packet that has a number; and of an ICMP error those of the packet that it is about, which
/// has the same addresses. `at`: where the header begins.
fn layer4(cx: &Cx, skb: SkbId, iph: &Ipv4Hdr, at: u32) -> u32 {
    /// Echo, timestamp, information and address mask, asked and answered.
    const HAVE_ID: [u8; 8] = [0, 8, 13, 14, 15, 16, 17, 18];
    /// Unreachable, source quench, redirect, time exceeded, parameter problem.
    const ERRORS: [u8; 5] = [3, 4, 5, 11, 12];
    const ICMP_HLEN: u32 = 8;
    let payload = at + iph.header_len() as u32;
    if iph.protocol != IPPROTO_ICMP {
        let [source, dest] = ports_at(cx, skb, iph, payload).map(u16::to_be_bytes);
        return u32::from_le_bytes([source[0], source[1], dest[0], dest[1]]);
    }
    match cx.skbs.header::<[u8; 6]>(skb, payload) {
        Some([kind, code, _, _, high, low]) if HAVE_ID.contains(kind) => {
            let id = u16::from_be_bytes([*high, *low]).max(1);
            u32::from(*kind) | u32::from(*code) << 8 | u32::from(id) << 16
        }
        Some([kind, ..]) if ERRORS.contains(kind) => {
            let quoted = payload + ICMP_HLEN;
            let inner = cx.skbs.header::<Ipv4Hdr>(skb, quoted).filter(|inner| inner.protocol != IPPROTO_ICMP);
            inner.map_or(0, |inner| layer4(cx, skb, inner, quoted))
        }
        _ => 0,
    }
}
