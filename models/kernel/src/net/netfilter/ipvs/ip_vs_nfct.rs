//! Connections of IPVS in connection tracking (`net.ipv4.vs.conntrack`).
//!
//! Kernel: net/netfilter/ipvs/ip_vs_nfct.c
//! Not modelled: expectations of FTP.

use glassnet_wire::ipv4::IPPROTO_ICMP;

use super::super::nf_conntrack_core::{
    nf_conntrack_alter_reply, nf_conntrack_confirm, nf_conntrack_find, nf_ct_delete,
};
use super::ip_vs_core::conn;
use crate::Cx;
use crate::door::Func;
use crate::hook::Verdict;
use crate::ids::SkbId;
use crate::tables::conntrack::{Dir, IPS_DYING, NfCt, Tuple};
use crate::tables::ip_vs::conn::{ConnId, IpVsConn};
use crate::tables::ip_vs::{CONN_F_MASQ, CONN_F_ONE_PACKET};

/// Connection tracking forgets a packet (`ip_vs_notrack`).
pub(super) fn ip_vs_notrack(cx: &mut Cx, skb: SkbId) {
    if matches!(cx.skbs[skb].nfct, NfCt::Conn(..)) {
        cx.nf_ct_set(skb, NfCt::Untracked);
    }
}

/// Connection tracking expects the answers to a new connection from the destination (`outin`), or those to a destination at the
/// service (`ip_vs_update_conntrack`).
pub(super) fn ip_vs_update_conntrack(cx: &mut Cx, skb: SkbId, id: ConnId, outin: bool) {
    cx.call(Func::IpVsUpdateConntrack, skb);
    let (Some((ct, info)), Some(cp)) = (cx.nf_ct_get(skb), conn(cx.k, id)) else { return };
    let Some(tracked) = cx.k.conntrack.get(ct) else { return };
    let is_fixed = tracked.is_confirmed() || tracked.has(IPS_DYING) || info.dir() != Dir::Original;
    if is_fixed || cp.fwd() != CONN_F_MASQ || cp.has(CONN_F_ONE_PACKET) {
        return;
    }
    let mut reply = *tracked.tuple(Dir::Reply);
    let has_ports = reply.proto != IPPROTO_ICMP;
    if outin {
        reply.src = cp.daddr;
        reply.sport = if has_ports { cp.dport } else { reply.sport };
    } else {
        reply.dst = cp.param.vaddr;
        reply.dport = if has_ports { cp.param.vport } else { reply.dport };
    }
    nf_conntrack_alter_reply(cx, ct, reply);
}

/// The connection of a packet that goes on in another is entered in the table (`ip_vs_confirm_conntrack`).
pub(super) fn ip_vs_confirm_conntrack(cx: &mut Cx, skb: SkbId) -> Verdict {
    cx.within(Func::IpVsConfirmConntrack, skb, |cx| nf_conntrack_confirm(cx, skb))
}

/// Connection tracking forgets a connection that ended (`ip_vs_conn_drop_conntrack`).
pub(super) fn ip_vs_conn_drop_conntrack(cx: &mut Cx, cp: &IpVsConn) {
    if cp.param.cport == 0 {
        return;
    }
    let tuple = Tuple {
        src: cp.param.caddr,
        dst: cp.param.vaddr,
        sport: cp.param.cport,
        dport: cp.param.vport,
        proto: cp.param.protocol,
    };
    if let Some((ct, _)) = nf_conntrack_find(cx, cp.netns, [0, 0], &tuple) {
        nf_ct_delete(cx, ct);
    }
}
