//! `-m connmark` and `-j CONNMARK`.
//!
//! Kernel: net/netfilter/xt_connmark.c

use crate::Cx;
use crate::extension::{Par, Place, Refused, TargetVerdict, XtMatch, XtTarget};
use crate::module::Module;
use crate::netlink::Errno;
use crate::tables::conntrack::event::IPCT_MARK;
use crate::tables::conntrack::{CtId, NfCt};
use crate::tables::xt::Rule;

/// `connmark` (`struct xt_connmark_mtinfo1`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnmarkMt {
    /// `!`.
    pub invert: bool,
    /// Value.
    pub mark: u32,
    /// Mask.
    pub mask: u32,
}

impl XtMatch for ConnmarkMt {
    const NAME: &'static str = "connmark";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        connmark_mt(cx, par, self)
    }

    fn depends_on_flow_only(&self) -> bool {
        true
    }

    fn needs_conntrack(&self) -> bool {
        true
    }
}

/// Mode of `CONNMARK`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnmarkMode {
    /// `--set-xmark`.
    Set,
    /// `--save-mark`.
    Save,
    /// `--restore-mark`.
    Restore,
}

/// `CONNMARK` (`struct xt_connmark_tginfo2`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnmarkTg {
    /// Mode.
    pub mode: ConnmarkMode,
    /// `--set-xmark` value.
    pub ctmark: u32,
    /// `--set-xmark` or `--ctmask`.
    pub ctmask: u32,
    /// `--nfmask`.
    pub nfmask: u32,
    /// `--left-shift-mark` (positive) or `--right-shift-mark` (negative), bits.
    pub shift: i8,
}

impl XtTarget for ConnmarkTg {
    const NAME: &'static str = "CONNMARK";

    fn target(&mut self, cx: &mut Cx, par: &mut Par) -> TargetVerdict {
        connmark_tg(cx, par, self)
    }

    fn check(&self, _: Place, _: &Rule) -> Result<(), Refused> {
        if self.shift.unsigned_abs() >= 32 {
            return Err(Refused::silent(Errno::EINVAL));
        }
        Ok(())
    }

    fn needs_conntrack(&self) -> bool {
        true
    }
}

/// The module.
pub static MODULES: &[Module] =
    &[Module { matches: &[ConnmarkMt::NAME], targets: &[ConnmarkTg::NAME], ..Module::named("xt_connmark") }];

fn connection(cx: &Cx, par: &Par) -> Option<CtId> {
    match cx.skbs[par.skb].nfct {
        NfCt::Conn(id, _) | NfCt::Template(id) => Some(id),
        NfCt::None | NfCt::Untracked | NfCt::RelatedToNone => None,
    }
}

/// The connection has the mark.
pub fn connmark_mt(cx: &mut Cx, par: &mut Par, with: &ConnmarkMt) -> bool {
    let conn = connection(cx, par).and_then(|id| cx.k.conntrack.get(id));
    conn.is_some_and(|conn| (conn.mark & with.mask == with.mark) != with.invert)
}

/// Sets the connection's mark, or copies it to or from the packet's.
pub fn connmark_tg(cx: &mut Cx, par: &mut Par, target: &ConnmarkTg) -> TargetVerdict {
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
