//! IPv4 packets inside of IPv4 packets: who takes them.
//!
//! Kernel: net/ipv4/tunnel4.c

use glassnet_wire::icmp::ICMP_DEST_UNREACH;

use super::icmp::{ICMP_PORT_UNREACH, IcmpError, icmp_send_then_drop};
use super::ipip::ipip_rcv;
use crate::Cx;
use crate::door::Door;
use crate::ids::SkbId;
use crate::tables::drop_reason::DropReason;

/// Hands the packet to the tunnel that it came through; its sender is told if there is none.
///
/// Kernel: net/ipv4/tunnel4.c
/// Not modelled: other handlers than that of IPIP: those of IPsec, SIT and MPLS.
pub fn tunnel4_rcv(cx: &mut Cx, skb: SkbId) -> Door {
    ipip_rcv(cx, skb).unwrap_or_else(|| {
        let error = IcmpError { kind: ICMP_DEST_UNREACH, code: ICMP_PORT_UNREACH, info: 0 };
        icmp_send_then_drop(cx, skb, error, DropReason::NotSpecified)
    })
}
