//! Tracking of ICMP: queries have connections, errors are RELATED to the quoted packet's connection.
//!
//! Kernel: net/netfilter/nf_conntrack_proto_icmp.c

use std::net::Ipv4Addr;

use glassnet_wire::checksum::checksum;
use glassnet_wire::icmp::{
    ICMP_DEST_UNREACH, ICMP_ECHO, ICMP_HLEN, ICMP_PARAMETERPROB, ICMP_REDIRECT, ICMP_TIME_EXCEEDED,
    ICMP_TIMESTAMP,
};
use glassnet_wire::ipv4::Ipv4Hdr;
use zerocopy::FromBytes;

use super::nf_conntrack_core::{Handled, Packet, nf_conntrack_find, nf_ct_refresh_acct};
use super::nf_conntrack_proto::checksum_wanted;
use super::nf_conntrack_tuple::nf_ct_get_tuple;
use crate::Cx;
use crate::door::Func;
use crate::ids::SkbId;
use crate::note::{ConntrackNote, Note};
use crate::tables::conntrack::{CtInfo, CtSysctl, Dir, NfCt};
use crate::tables::netfilter::HookState;

/// Source quench.
const ICMP_SOURCE_QUENCH: u8 = 4;
/// Information request.
const ICMP_INFO_REQUEST: u8 = 15;
/// Address mask request.
const ICMP_ADDRESS: u8 = 17;
/// Greatest known type.
const NR_ICMP_TYPES: u8 = 18;

/// Result of the check for an ICMP error.
pub(super) enum Error {
    /// Not an error: a query or its reply.
    No,
    /// An error; the packet got the connection of the quoted packet.
    Related,
    /// Malformed, or the quoted packet has no connection.
    Invalid,
}

/// Handles a query or reply. Only queries create a connection.
pub(super) fn nf_conntrack_icmp_packet(cx: &mut Cx, packet: Packet) -> Handled {
    cx.call(Func::NfConntrackIcmpPacket, packet.skb);
    let (now, len) = (cx.now, cx.skbs[packet.skb].len());
    let Some((conn, net)) = cx.k.conntrack.conn_and_net(packet.id) else { return Handled::Invalid };
    let kind = (conn.tuples[0].dport >> 8) as u8;
    if !matches!(kind, ICMP_ECHO | ICMP_TIMESTAMP | ICMP_INFO_REQUEST | ICMP_ADDRESS) {
        return Handled::Invalid;
    }
    nf_ct_refresh_acct(conn, now, packet.info.dir(), len, net.timeout(CtSysctl::IcmpTimeout));
    Handled::Accept
}

/// Checks an ICMP message, and attaches an error to the connection of the packet that it quotes.
pub(super) fn nf_conntrack_icmpv4_error(
    cx: &mut Cx,
    skb: SkbId,
    dataoff: usize,
    state: HookState,
    zone: [u16; 2],
) -> Error {
    let data = cx.skbs.data(skb);
    let message = data.get(dataoff..).unwrap_or(&[]);
    if message.len() < ICMP_HLEN || checksum_wanted(cx, skb, state) && checksum(message) != 0 {
        return Error::Invalid;
    }
    match message[0] {
        ICMP_DEST_UNREACH | ICMP_SOURCE_QUENCH | ICMP_REDIRECT | ICMP_TIME_EXCEEDED | ICMP_PARAMETERPROB => {
            nf_conntrack_inet_error(cx, skb, dataoff + ICMP_HLEN, state, zone)
        }
        kind if kind > NR_ICMP_TYPES => Error::Invalid,
        _ => Error::No,
    }
}

/// Finds the connection of the packet quoted at `inner`, in either direction. The error must be addressed to the
/// quoted packet's source.
fn nf_conntrack_inet_error(cx: &mut Cx, skb: SkbId, inner: usize, state: HookState, zone: [u16; 2]) -> Error {
    cx.call(Func::NfConntrackInetError, skb);
    let data = cx.skbs.data(skb);
    let outer = Ipv4Hdr::ref_from_prefix(data).map_or(Ipv4Addr::UNSPECIFIED, |(iph, _)| iph.daddr.get());
    let quoted = data.get(inner..).and_then(nf_ct_get_tuple);
    // Looked up by the inverse tuple, the direction of the error.
    let Some(answer) = quoted.and_then(|(tuple, _)| tuple.inverted()) else { return Error::Invalid };
    let Some((id, dir)) = nf_conntrack_find(cx, state.netns, zone, &answer) else { return Error::Invalid };
    let expected = cx.k.conntrack.get(id).map_or(Ipv4Addr::UNSPECIFIED, |conn| conn.tuple(dir).dst);
    if expected != outer {
        cx.note(|_| Note::Conntrack(ConntrackNote::ErrorAstray { to: outer, expected }));
        return Error::Invalid;
    }
    let info = match dir {
        Dir::Original => CtInfo::Related,
        Dir::Reply => CtInfo::RelatedReply,
    };
    cx.k.conntrack.hold(id);
    cx.nf_ct_set(skb, NfCt::Conn(id, info));
    Error::Related
}
