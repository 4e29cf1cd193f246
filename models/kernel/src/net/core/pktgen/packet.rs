//! The packets of the generator, one after the other.

use std::net::Ipv4Addr;

use glassnet_wire::Mac;
use glassnet_wire::checksum::{fold, pseudo_header, sum};
use glassnet_wire::eth::{ETH_HLEN, ETH_P_IP, EthHdr};
use glassnet_wire::ipv4::{
    IPPROTO_UDP, IPV4_HLEN, InAddr, Ipv4Hdr, ip_fast_csum, is_local_multicast, is_zeronet,
};
use glassnet_wire::udp::{UDP_HLEN, UdpHdr};
use zerocopy::IntoBytes;
use zerocopy::big_endian::{U16, U32};

use super::device::*;
use crate::Cx;
use crate::door::Func;
use crate::ids::SkbId;
use crate::kernel::BOOT_TIME;

/// At the head of each payload (`PKTGEN_MAGIC`).
const PKTGEN_MAGIC: u32 = 0xbe9b_e955;
/// Time to live of each packet.
const TTL: u8 = 32;

/// A number from `min` on: a random one below `max`, or the one after `last`, up to `top`.
fn next(cx: &mut Cx, random: bool, (min, max): (u32, u32), last: u32, top: u32) -> u32 {
    if random {
        min + cx.dice.below(u64::from(max - min)) as u32
    } else if last >= top {
        min
    } else {
        last + 1
    }
}

/// The MAC address so many after `base`; what it has in common with the others is its first byte.
fn offset(base: Mac, by: u32) -> Mac {
    const LOW: u64 = (1 << 40) - 1;
    let number = base.to_u64();
    let number = number & !LOW | number.wrapping_add(u64::from(by)) & LOW;
    let bytes = number.to_be_bytes();
    Mac(std::array::from_fn(|at| bytes[at + 2]))
}

/// Which of `count` MAC addresses the next packet has.
fn mac_offset(cx: &mut Cx, count: u32, random: bool, current: &mut u32) -> u32 {
    if random {
        return cx.dice.below(u64::from(count)) as u32;
    }
    let this = *current;
    *current = if this + 1 >= count { 0 } else { this + 1 };
    this
}

impl PktgenDev {
    /// The next packet, whole (`fill_packet_ipv4`).
    pub(super) fn fill_packet(&mut self, cx: &mut Cx) -> SkbId {
        let (src_mac, dst_mac) = self.mod_cur_headers(cx);
        let (set, cur) = (&self.set, &mut self.cur);
        let headers = ETH_HLEN + IPV4_HLEN + UDP_HLEN;
        // What a datagram can carry: sizes beyond it are refused by the device in the end.
        let data = (cur.pkt_size.max(0) as usize).saturating_sub(headers);
        let data = data.clamp(PKTGEN_HDR, 0xffff - IPV4_HLEN - UDP_HLEN);
        cx.call(Func::PktgenAllocSkb, None);
        let skb = cx.skbs.alloc_skb(headers + data, self.dev);
        let mut iph = Ipv4Hdr {
            version_ihl: 0x45,
            tos: set.tos,
            tot_len: U16::new((IPV4_HLEN + UDP_HLEN + data) as u16),
            id: U16::new(cur.ip_id),
            ttl: TTL,
            protocol: IPPROTO_UDP,
            saddr: InAddr::new(cur.saddr[2]),
            daddr: InAddr::new(cur.daddr[2]),
            ..Ipv4Hdr::default()
        };
        cur.ip_id = cur.ip_id.wrapping_add(1);
        iph.check = U16::new(ip_fast_csum(&iph));
        let udp_len = (UDP_HLEN + data) as u16;
        let mut udp = UdpHdr {
            source: U16::new(cur.udp_src),
            dest: U16::new(cur.udp_dst),
            len: U16::new(udp_len),
            check: U16::ZERO,
        };
        let pgh = self.pktgen_finalize_skb(cx, skb);
        let cur = &self.cur;
        if self.set.flags & F_UDPCSUM != 0 {
            let pseudo = pseudo_header(cur.saddr[2], cur.daddr[2], IPPROTO_UDP, udp_len);
            let check = fold(sum(sum(pseudo, udp.as_bytes()), pgh.as_bytes()));
            udp.check = U16::new(if check == 0 { 0xffff } else { check });
        }
        let bytes = cx.skbs.data_mut(skb);
        let eth = EthHdr::new(dst_mac, src_mac, ETH_P_IP);
        let parts = [eth.as_bytes(), iph.as_bytes(), udp.as_bytes(), pgh.as_bytes()];
        let mut at = 0;
        for part in parts {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        let (queue, priority) = (cur.queue_map, self.set.skb_priority as u32);
        let pkt = &mut cx.skbs[skb];
        pkt.protocol = ETH_P_IP;
        pkt.network_header = pkt.data + ETH_HLEN as u32;
        pkt.transport_header = pkt.network_header + IPV4_HLEN as u32;
        (pkt.queue_mapping, pkt.priority) = (queue, priority);
        skb
    }

    /// The head of the payload: a magic number, the packet's number and the time.
    fn pktgen_finalize_skb(&self, cx: &mut Cx, skb: SkbId) -> [U32; 4] {
        cx.call(Func::PktgenFinalizeSkb, skb);
        let timed = self.set.flags & F_NO_TIMESTAMP == 0;
        let (secs, usecs) = (BOOT_TIME + cx.now.0 / 1_000_000_000, cx.now.0 % 1_000_000_000 / 1000);
        let time = if timed { [secs as u32, usecs as u32] } else { [0; 2] };
        [PKTGEN_MAGIC, self.run.seq_num, time[0], time[1]].map(U32::new)
    }

    /// Goes on to what the next packet has; returns its source and destination MAC addresses.
    fn mod_cur_headers(&mut self, cx: &mut Cx) -> (Mac, Mac) {
        cx.call(Func::ModCurHeaders, None);
        let flow = (self.set.flows > 0).then(|| self.f_pick(cx));
        let (set, cur) = (&self.set, &mut self.cur);
        let has = |flag: u32| set.flags & flag != 0;
        let own = cx.k.devs[self.dev].addr;
        let mut src_mac = if set.src_mac == Mac::default() { own } else { set.src_mac };
        if set.src_mac_count > 0 {
            let by = mac_offset(cx, set.src_mac_count, has(F_MACSRC_RND), &mut cur.src_mac_offset);
            src_mac = offset(src_mac, by);
        }
        let mut dst_mac = set.dst_mac;
        if set.dst_mac_count > 0 {
            let by = mac_offset(cx, set.dst_mac_count, has(F_MACDST_RND), &mut cur.dst_mac_offset);
            dst_mac = offset(dst_mac, by);
        }
        let ports =
            [(set.udp_src, F_UDPSRC_RND, &mut cur.udp_src), (set.udp_dst, F_UDPDST_RND, &mut cur.udp_dst)];
        for ((min, max), random, port) in ports {
            if min < max {
                let (min, max) = (u32::from(min), u32::from(max));
                *port = next(cx, has(random), (min, max), u32::from(*port), max - 1) as u16;
            }
        }
        let [min, max, last] = cur.saddr.map(Ipv4Addr::to_bits);
        if min < max {
            cur.saddr[2] = Ipv4Addr::from_bits(next(cx, has(F_IPSRC_RND), (min, max), last, max));
        }
        let known = flow.and_then(|flow| cur.flow_states[flow].daddr);
        cur.daddr[2] = known.unwrap_or_else(|| next_daddr(cx, has(F_IPDST_RND), cur.daddr));
        if let (Some(flow), None) = (flow, known) {
            cur.flow_states[flow].daddr = Some(cur.daddr[2]);
            cur.nflows += 1;
        }
        if set.min_pkt_size < set.max_pkt_size {
            let (min, max) = (set.min_pkt_size as u32, set.max_pkt_size as u32);
            cur.pkt_size = next(cx, has(F_TXSIZE_RND), (min, max), cur.pkt_size as u32, max) as i32;
        }
        self.set_cur_queue_map(cx);
        if let Some(flow) = flow {
            self.cur.flow_states[flow].count += 1;
        }
        (src_mac, dst_mac)
    }

    /// The flow of the next packet; one that had all its packets begins anew.
    fn f_pick(&mut self, cx: &mut Cx) -> usize {
        let (set, cur) = (&self.set, &mut self.cur);
        cur.flow_states.resize(set.flows as usize, FlowState::default());
        let in_turn = set.flags & F_FLOW_SEQ != 0;
        if !in_turn {
            cur.flow = cx.dice.below(u64::from(set.flows)) as u32;
        }
        cur.flow = if cur.flow < set.flows { cur.flow } else { 0 };
        let state = &mut cur.flow_states[cur.flow as usize];
        if in_turn && state.count >= set.flowlen {
            *state = FlowState::default();
            cur.flow = (cur.flow + 1) % set.flows;
        } else if !in_turn && state.count > set.flowlen {
            *state = FlowState::default();
        }
        cur.flow as usize
    }

    fn set_cur_queue_map(&mut self, cx: &mut Cx) {
        let (set, cur) = (&self.set, &mut self.cur);
        let (min, max) = set.queue_map;
        if set.flags & F_QUEUE_MAP_CPU != 0 {
            cur.queue_map = cx.cpu.0 as u16;
        } else if min <= max {
            let range = (u32::from(min), u32::from(max) + 1);
            let random = set.flags & F_QUEUE_MAP_RND != 0;
            cur.queue_map = next(cx, random, range, u32::from(cur.queue_map), u32::from(max)) as u16;
        }
        cur.queue_map %= cx.k.devs[self.dev].real_num_tx_queues.max(1) as u16;
    }
}

/// The next destination address, of which a random one is never a group's or this host's.
fn next_daddr(cx: &mut Cx, random: bool, daddr: [Ipv4Addr; 3]) -> Ipv4Addr {
    let [min, max, last] = daddr.map(Ipv4Addr::to_bits);
    if min >= max {
        return daddr[2];
    }
    let is_odd = |address: Ipv4Addr| {
        let is_special = address.is_loopback() || address.is_multicast() || address.is_broadcast();
        is_special || is_zeronet(address) || is_local_multicast(address)
    };
    // The kernel would look for another one without end.
    for _ in 0..1000 {
        let address = Ipv4Addr::from_bits(next(cx, random, (min, max), last, max));
        if !random || !is_odd(address) {
            return address;
        }
    }
    daddr[0]
}
