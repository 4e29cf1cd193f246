//! Packets of GRE go to the module for their version.
//!
//! Kernel: net/ipv4/gre_demux.c

use super::ip_gre;
use crate::Cx;
use crate::door::Door;
use crate::ids::SkbId;
use crate::tables::drop_reason::DropReason;

/// Looks at the version, and drops what is cut off or of another one than 0.
///
/// Kernel: net/ipv4/gre_demux.c
/// Not modelled: version 1, which is PPTP's.
pub fn gre_rcv(cx: &mut Cx, skb: SkbId) -> Door {
    /// The longest header that is looked at before its flags are, bytes.
    const LEAST: usize = 12;
    let data = cx.skbs.data(skb);
    if data.len() < LEAST || data[1] & 0x7f != 0 {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    ip_gre::gre_rcv(cx, skb)
}
