//! What NAT does for helpers: other words in a segment, and the mapping of expected connections.
//!
//! Kernel: net/netfilter/nf_nat_helper.c

use glassnet_wire::checksum;
use glassnet_wire::ipv4::{IPPROTO_TCP, Ipv4Hdr};
use glassnet_wire::tcp::TcpHdr;
use zerocopy::big_endian::U16;

use super::nf_conntrack_expect::{Expected, Unexpectable, nf_ct_expect_related};
use super::nf_conntrack_proto::transport_checksum;
use super::nf_conntrack_seqadj::nf_ct_seqadj_set;
use super::nf_nat_core::{Manip, NatRange, nf_nat_setup};
use crate::Cx;
use crate::door::Func;
use crate::ids::SkbId;
use crate::tables::conntrack::expect::Expect;
use crate::tables::conntrack::{CtId, CtInfo};

/// How many ports are tried.
const MAX_ATTEMPTS: u16 = 128;

/// Replaces `len` bytes at `offset` of a segment's payload, and remembers how that moves the sequence numbers behind it
/// (`nf_nat_mangle_tcp_packet`); false if the packet is cut short.
pub(super) fn nf_nat_mangle_tcp_packet(
    cx: &mut Cx,
    skb: SkbId,
    (id, info): (CtId, CtInfo),
    (offset, len): (usize, usize),
    text: &[u8],
) -> bool {
    cx.call(Func::NfNatMangleTcpPacket, skb);
    let network = cx.skbs[skb].network_header;
    let Some(iph) = cx.skbs.header::<Ipv4Hdr>(skb, network).copied() else { return false };
    let l4 = network + iph.header_len() as u32;
    let Some(tcp) = cx.skbs.header::<TcpHdr>(skb, l4).copied() else { return false };
    let at = l4 + (tcp.header_len() + offset) as u32;
    cx.skbs.splice(skb, at, len, text);
    let total = cx.skbs[skb].tail - network;
    let Some(iph) = cx.skbs.header_mut::<Ipv4Hdr>(skb, network) else { return false };
    let old = std::mem::replace(&mut iph.tot_len, U16::new(total as u16));
    iph.check = U16::new(checksum::replace(iph.check.get(), old.get(), total as u16));
    let Some(tcp) = cx.skbs.header_mut::<TcpHdr>(skb, l4) else { return false };
    tcp.check = U16::new(0);
    let data = &cx.skbs.bufs.bytes(cx.skbs[skb].buf)[network as usize..cx.skbs[skb].tail as usize];
    let segment = &data[(l4 - network) as usize..];
    let check = transport_checksum(data, segment, segment.len(), IPPROTO_TCP);
    let Some(tcp) = cx.skbs.header_mut::<TcpHdr>(skb, l4) else { return false };
    tcp.check = U16::new(check);
    let seq = tcp.seq.get();
    if let Some(conn) = cx.k.conntrack.get_mut(id) {
        nf_ct_seqadj_set(conn, info.dir(), seq, text.len() as i32 - len as i32);
    }
    true
}

/// Expects a connection to the announced port, or else to a higher one that nobody else expects
/// (`nf_nat_exp_find_port`). Returns the port.
pub(super) fn nf_nat_exp_find_port(cx: &mut Cx, mut expected: Expected, port: u16) -> Option<u16> {
    let range = u16::MAX - port;
    let mut attempts = range.min(MAX_ATTEMPTS);
    expected.tuple.dport = port;
    loop {
        match nf_ct_expect_related(cx, expected) {
            Ok(()) => return Some(expected.tuple.dport),
            Err(Unexpectable::Clash) if attempts > 0 => attempts -= 1,
            Err(_) => return None,
        }
        expected.tuple.dport = port + cx.dice.below(u64::from(range)) as u16;
    }
}

/// An expected connection gets the addresses of its master: it comes from where the master's packets go, and goes to
/// where they come from, at the announced port (`nf_nat_follow_master`).
pub(super) fn nf_nat_follow_master(cx: &mut Cx, id: CtId, expect: &Expect) {
    let (Some(nat), Some(master)) = (expect.nat, cx.k.conntrack.get(expect.master)) else { return };
    let back = *master.tuple(nat.dir.other());
    let one = |address| NatRange { addrs: Some((address, address)), ..NatRange::default() };
    nf_nat_setup(cx, id, &one(back.dst), Manip::Src);
    let ports = Some((nat.saved_port, nat.saved_port));
    nf_nat_setup(cx, id, &NatRange { ports, ..one(back.src) }, Manip::Dst);
}
