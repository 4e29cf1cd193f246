//! Tracking of UDP and UDP-Lite.
//!
//! Kernel: net/netfilter/nf_conntrack_proto_udp.c

use glassnet_sim::Nanos;
use glassnet_wire::ipv4::IPPROTO_UDP;
use glassnet_wire::udp::{UDP_HLEN, UdpHdr};
use zerocopy::FromBytes;

use super::nf_conntrack_core::{Handled, Packet, nf_ct_refresh_acct};
use super::nf_conntrack_ecache as ecache;
use super::nf_conntrack_proto::{checksum_wanted, transport_checksum};
use super::nf_conntrack_tuple::IPPROTO_UDPLITE;
use crate::Cx;
use crate::door::Func;
use crate::tables::conntrack::event::IPCT_ASSURED;
use crate::tables::conntrack::{
    CtSysctl, IPS_ASSURED, IPS_NAT_CLASH, IPS_SEEN_REPLY, Proto, nfct_time_stamp,
};

/// A flow with packets in both directions for this long is a stream.
const STREAM_AFTER: Nanos = Nanos::from_secs(2);

/// Handles a datagram.
#[inline]
pub(super) fn nf_conntrack_udp_packet(cx: &mut Cx, packet: Packet) -> Handled {
    cx.call(Func::NfConntrackUdpPacket, packet.skb);
    if is_broken(cx, packet) {
        return Handled::Invalid;
    }
    let (now, len) = (cx.now, cx.skbs[packet.skb].len());
    let Some((conn, net)) = cx.k.conntrack.conn_and_net(packet.id) else { return Handled::Invalid };
    if !conn.is_confirmed() {
        conn.proto = Proto::Udp { stream_ts: nfct_time_stamp(now) + STREAM_AFTER };
    }
    let unreplied = net.timeout(CtSysctl::UdpTimeout);
    let dir = packet.info.dir();
    if !conn.has(IPS_SEEN_REPLY) {
        nf_ct_refresh_acct(conn, now, dir, len, unreplied);
        return Handled::Accept;
    }
    let stream = matches!(conn.proto, Proto::Udp { stream_ts } if nfct_time_stamp(now) > stream_ts);
    let timeout = if stream { net.timeout(CtSysctl::UdpTimeoutStream) } else { unreplied };
    nf_ct_refresh_acct(conn, now, dir, len, timeout);
    if stream && !conn.has(IPS_ASSURED | IPS_NAT_CLASH) {
        conn.status |= IPS_ASSURED;
        ecache::cache(conn, IPCT_ASSURED);
    }
    Handled::Accept
}

/// Wrong length or checksum (`udp_error`, `udplite_error`).
fn is_broken(cx: &Cx, packet: Packet) -> bool {
    let data = cx.skbs.data(packet.skb);
    let Some(datagram) = data.get(packet.dataoff..) else { return true };
    let Ok((udp, _)) = UdpHdr::ref_from_prefix(datagram) else { return true };
    let len = usize::from(udp.len.get());
    let lite = data[9] == IPPROTO_UDPLITE;
    if lite {
        // The length field is the checksum coverage.
        let covered = if len == 0 { datagram.len() } else { len };
        // The kernel uses UDP's pseudo header, so correct checksums of UDP-Lite are found wrong.
        let wrong = checksum_wanted(cx, packet.skb, packet.state)
            && transport_checksum(data, datagram, covered, IPPROTO_UDP) != 0;
        return covered < UDP_HLEN || covered > datagram.len() || udp.check.get() == 0 || wrong;
    }
    if len > datagram.len() || len < UDP_HLEN {
        return true;
    }
    udp.check.get() != 0
        && checksum_wanted(cx, packet.skb, packet.state)
        && transport_checksum(data, datagram, datagram.len(), IPPROTO_UDP) != 0
}
