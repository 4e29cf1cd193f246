//! Generic tracking: protocols without a handler.
//!
//! Kernel: net/netfilter/nf_conntrack_proto_generic.c, nf_conntrack_proto_gre.c

use glassnet_sim::Nanos;

use super::nf_conntrack_core::{Handled, IPPROTO_GRE, Packet, nf_ct_refresh_acct};
use super::nf_conntrack_ecache as ecache;
use crate::Cx;
use crate::door::Func;
use crate::tables::conntrack::event::IPCT_ASSURED;
use crate::tables::conntrack::{CtSysctl, IPS_ASSURED, IPS_SEEN_REPLY};

/// `nf_conntrack_gre_timeout`.
const GRE_TIMEOUT: Nanos = Nanos::from_secs(30);
/// `nf_conntrack_gre_timeout_stream`.
const GRE_TIMEOUT_STREAM: Nanos = Nanos::from_secs(180);

/// Handles a packet of such a protocol. DCCP is handled as generic, apart from its ports.
pub(super) fn generic_packet(cx: &mut Cx, packet: Packet) -> Handled {
    let (now, len) = (cx.now, cx.skbs[packet.skb].len());
    let gre = cx.k.conntrack.get(packet.id).is_some_and(|conn| conn.tuples[0].proto == IPPROTO_GRE);
    cx.call(if gre { Func::NfConntrackGrePacket } else { Func::GenericPacket }, packet.skb);
    let Some((conn, net)) = cx.k.conntrack.conn_and_net(packet.id) else { return Handled::Invalid };
    let replied = conn.has(IPS_SEEN_REPLY);
    let timeout = match (gre, replied) {
        (false, _) => net.timeout(CtSysctl::GenericTimeout),
        (true, false) => GRE_TIMEOUT,
        (true, true) => GRE_TIMEOUT_STREAM,
    };
    nf_ct_refresh_acct(conn, now, packet.info.dir(), len, timeout);
    if gre && replied && !conn.has(IPS_ASSURED) {
        conn.status |= IPS_ASSURED;
        ecache::cache(conn, IPCT_ASSURED);
    }
    Handled::Accept
}
