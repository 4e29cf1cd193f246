//! `-m connmark` and `-j CONNMARK`.
//!
//! Kernel: net/netfilter/xt_connmark.c

use super::x_tables::{Par, TargetVerdict};
use crate::Cx;
use crate::tables::conntrack::event::IPCT_MARK;
use crate::tables::conntrack::{CtId, NfCt};
use crate::tables::xt::matches;
use crate::tables::xt::targets::{Connmark, ConnmarkMode};

fn connection(cx: &Cx, par: &Par) -> Option<CtId> {
    match cx.skbs[par.skb].nfct {
        NfCt::Conn(id, _) | NfCt::Template(id) => Some(id),
        NfCt::None | NfCt::Untracked | NfCt::RelatedToNone => None,
    }
}

/// The packet's connection has this mark.
pub fn connmark_mt(cx: &mut Cx, par: &mut Par, with: &matches::Mark) -> bool {
    let conn = connection(cx, par).and_then(|id| cx.k.conntrack.get(id));
    conn.is_some_and(|conn| (conn.mark & with.mask == with.mark) != with.invert)
}

/// The packet's connection gets a mark, or one is copied to the other.
pub fn connmark_tg(cx: &mut Cx, par: &mut Par, target: &Connmark) -> TargetVerdict {
    let Some(conn) = connection(cx, par).and_then(|id| cx.k.conntrack.get_mut(id)) else {
        return TargetVerdict::Continue;
    };
    let packet_mark = &mut cx.skbs[par.skb].mark;
    let new = match target.mode {
        ConnmarkMode::Set => shifted((conn.mark & !target.ctmask) ^ target.ctmark, target.shift),
        ConnmarkMode::Save => {
            (conn.mark & !target.ctmask) ^ shifted(*packet_mark & target.nfmask, target.shift)
        }
        ConnmarkMode::Restore => {
            let mark = shifted(conn.mark & target.ctmask, target.shift);
            *packet_mark = (*packet_mark & !target.nfmask) ^ mark;
            return TargetVerdict::Continue;
        }
    };
    if conn.mark != new {
        conn.mark = new;
        conn.event_cache |= IPCT_MARK;
    }
    TargetVerdict::Continue
}

fn shifted(mark: u32, shift: i8) -> u32 {
    let bits = u32::from(shift.unsigned_abs());
    let moved = if shift < 0 { mark.checked_shr(bits) } else { mark.checked_shl(bits) };
    moved.unwrap_or(0)
}
