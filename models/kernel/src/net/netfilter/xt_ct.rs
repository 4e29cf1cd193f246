//! Targets `CT` and `NOTRACK`: what connection tracking will do with a packet.
//!
//! Kernel: net/netfilter/xt_CT.c

use super::x_tables::{Par, TargetVerdict};
use crate::Cx;
use crate::tables::conntrack::{Conn, IPS_ZONE_MARK, NfCt, Tuple};
use crate::tables::xt::targets::Ct;

/// The packet is not to be tracked (`notrack_tg`), unless it is already, as on its way in from lo.
pub fn notrack_tg(cx: &mut Cx, par: &mut Par) -> TargetVerdict {
    let pkt = &mut cx.skbs[par.skb];
    if pkt.nfct == NfCt::None {
        pkt.nfct = NfCt::Untracked;
    }
    TargetVerdict::Continue
}

/// The packet's connection will begin as this rule says (`xt_ct_target`): the packet takes a template along.
///
/// The kernel makes the template with the rule; here each packet gets one of its own.
///
/// Not modelled: that a mark which `CONNMARK` gives to a template is there for the rule's next packet.
pub fn xt_ct_target(cx: &mut Cx, par: &mut Par, ct: &Ct) -> TargetVerdict {
    if ct.notrack {
        return notrack_tg(cx, par);
    }
    if cx.skbs[par.skb].nfct != NfCt::None {
        return TargetVerdict::Continue;
    }
    let mut template = Conn::new(par.state.netns, Tuple::default(), Tuple::default(), [0, 0]);
    template.ctmask = ct.ctevents;
    if let Some(zone) = ct.zone {
        let side = |wanted: bool| if wanted { zone.id.unwrap_or(u16::MAX) } else { 0 };
        template.zone = [side(zone.original), side(zone.reply)];
        template.status |= if zone.id.is_none() { IPS_ZONE_MARK } else { 0 };
    }
    let id = cx.k.conntrack.alloc_template(template);
    cx.nf_ct_set(par.skb, NfCt::Template(id));
    TargetVerdict::Continue
}
