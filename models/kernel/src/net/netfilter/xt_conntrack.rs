//! `-m conntrack` and `-m state`.
//!
//! Kernel: net/netfilter/xt_conntrack.c, net/netfilter/xt_state.c

use std::net::Ipv4Addr;

use crate::Cx;
use crate::extension::{Par, XtMatch};
use crate::module::Module;
use crate::tables::conntrack::{Conn, CtInfo, Dir, IPS_DST_NAT, IPS_SRC_NAT, NfCt, Tuple};
use crate::tables::xt::Ports;

/// `conntrack` (`struct xt_conntrack_mtinfo3`). Each field: inverted, value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conntrack {
    /// `--ctstate`: `CT_*` bits.
    pub state: Option<(bool, u16)>,
    /// `--ctproto`.
    pub proto: Option<(bool, u8)>,
    /// `--ctorigsrc`: inverted, address, mask.
    pub origsrc: Option<(bool, Ipv4Addr, Ipv4Addr)>,
    /// `--ctorigdst`.
    pub origdst: Option<(bool, Ipv4Addr, Ipv4Addr)>,
    /// `--ctreplsrc`.
    pub replsrc: Option<(bool, Ipv4Addr, Ipv4Addr)>,
    /// `--ctrepldst`.
    pub repldst: Option<(bool, Ipv4Addr, Ipv4Addr)>,
    /// `--ctorigsrcport`.
    pub origsrcport: Option<Ports>,
    /// `--ctorigdstport`.
    pub origdstport: Option<Ports>,
    /// `--ctreplsrcport`.
    pub replsrcport: Option<Ports>,
    /// `--ctrepldstport`.
    pub repldstport: Option<Ports>,
    /// `--ctstatus`: `CT_STATUS_*` bits.
    pub status: Option<(bool, u16)>,
    /// `--ctexpire`, seconds.
    pub expire: Option<(bool, u32, u32)>,
    /// `--ctdir`: true for `REPLY`.
    pub reply: Option<bool>,
}

/// `--ctstate INVALID`.
pub const CT_INVALID: u16 = 1;
/// `--ctstate ESTABLISHED`.
pub const CT_ESTABLISHED: u16 = 1 << 1;
/// `--ctstate RELATED`.
pub const CT_RELATED: u16 = 1 << 2;
/// `--ctstate NEW`.
pub const CT_NEW: u16 = 1 << 3;
/// `--ctstate SNAT`.
pub const CT_SNAT: u16 = 1 << 6;
/// `--ctstate DNAT`.
pub const CT_DNAT: u16 = 1 << 7;
/// `--ctstate UNTRACKED`.
pub const CT_UNTRACKED: u16 = 1 << 8;

impl XtMatch for Conntrack {
    const NAME: &'static str = "conntrack";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        conntrack_mt(cx, par, self)
    }

    fn depends_on_flow_only(&self) -> bool {
        self.expire.is_none()
    }

    fn needs_conntrack(&self) -> bool {
        true
    }
}

/// `state`: the same bits as [`Conntrack::state`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// `!`.
    pub invert: bool,
    /// `CT_*` bits.
    pub state: u16,
}

impl XtMatch for State {
    const NAME: &'static str = "state";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        state_mt(cx, par, self)
    }

    fn depends_on_flow_only(&self) -> bool {
        true
    }

    fn needs_conntrack(&self) -> bool {
        true
    }
}

/// The modules.
pub static MODULES: &[Module] = &[
    Module { matches: &[Conntrack::NAME], ..Module::named("xt_conntrack") },
    Module { matches: &[State::NAME], ..Module::named("xt_state") },
];

/// The packet's connection and `ctinfo` (`nf_ct_get`).
fn nf_ct_get<'a>(cx: &'a Cx, par: &Par) -> Option<(&'a Conn, CtInfo)> {
    match cx.skbs[par.skb].nfct {
        NfCt::Conn(id, info) => Some((cx.k.conntrack.get(id)?, info)),
        NfCt::Template(id) => Some((cx.k.conntrack.get(id)?, CtInfo::New)),
        NfCt::None | NfCt::Untracked | NfCt::RelatedToNone => None,
    }
}

/// The packet's state as a bit of `--ctstate`.
fn state_bit(cx: &Cx, par: &Par) -> u16 {
    let Some((conn, info)) = nf_ct_get(cx, par) else {
        let untracked = cx.skbs[par.skb].nfct == NfCt::Untracked;
        return if untracked { CT_UNTRACKED } else { CT_INVALID };
    };
    let mut bit = match info {
        CtInfo::Established | CtInfo::EstablishedReply => CT_ESTABLISHED,
        CtInfo::Related | CtInfo::RelatedReply => CT_RELATED,
        CtInfo::New => CT_NEW,
    };
    if conn.has(IPS_SRC_NAT) {
        bit |= CT_SNAT;
    }
    if conn.has(IPS_DST_NAT) {
        bit |= CT_DNAT;
    }
    bit
}

/// The connection fits the rule. Without a connection only the state is compared.
pub fn conntrack_mt(cx: &mut Cx, par: &mut Par, with: &Conntrack) -> bool {
    if let Some((invert, states)) = with.state
        && (states & state_bit(cx, par) != 0) == invert
    {
        return false;
    }
    let Some((conn, info)) = nf_ct_get(cx, par) else { return with.state.is_some() };
    if with.reply.is_some_and(|reply| reply != (info.dir() == Dir::Reply)) {
        return false;
    }
    let fits = |rule: Option<(bool, bool)>| rule.is_none_or(|(invert, found)| found != invert);
    // 0 before the connection is confirmed, as its timeout is a duration then.
    let expires = if conn.is_confirmed() { conn.expires_secs(cx.now) } else { 0 };
    addresses_fit(conn, with)
        && ports_fit(conn, with)
        && fits(with.status.map(|(invert, mask)| (invert, conn.status & mask != 0)))
        && fits(
            with.expire
                .map(|(invert, low, high)| (invert, (u64::from(low)..=u64::from(high)).contains(&expires))),
        )
}

fn addresses_fit(conn: &Conn, with: &Conntrack) -> bool {
    let (orig, reply) = (conn.tuple(Dir::Original), conn.tuple(Dir::Reply));
    // An address that has bits outside its mask is never found.
    let fits = |rule: Option<(bool, Ipv4Addr, Ipv4Addr)>, addr: Ipv4Addr| {
        rule.is_none_or(|(invert, wanted, mask)| (addr & mask == wanted) != invert)
    };
    fits(with.origsrc, orig.src)
        && fits(with.origdst, orig.dst)
        && fits(with.replsrc, reply.src)
        && fits(with.repldst, reply.dst)
}

fn ports_fit(conn: &Conn, with: &Conntrack) -> bool {
    let (orig, reply): (&Tuple, &Tuple) = (conn.tuple(Dir::Original), conn.tuple(Dir::Reply));
    let fits = |rule: Option<Ports>, port: u16| {
        rule.is_none_or(|rule| (rule.range.0..=rule.range.1).contains(&port) != rule.invert)
    };
    with.proto.is_none_or(|(invert, proto)| (orig.proto == proto) != invert)
        && fits(with.origsrcport, orig.sport)
        && fits(with.origdstport, orig.dport)
        && fits(with.replsrcport, reply.sport)
        && fits(with.repldstport, reply.dport)
}

/// The packet's state is one of these.
pub fn state_mt(cx: &mut Cx, par: &mut Par, with: &State) -> bool {
    (with.state & state_bit(cx, par) != 0) != with.invert
}
