//! What matches and targets have in common, and the way from a rule's extension to its function.
//!
//! Kernel: net/netfilter/x_tables.c

use glassnet_wire::ipv4::Ipv4Hdr;

pub use super::xt_commit::{
    xt_check_table, xt_find_table_lock, xt_replace_table, xt_splice_rules, xt_table, xt_unregister_table,
    xt_zero_counters,
};

use crate::Cx;
use crate::ids::SkbId;
use crate::net::ipv4::netfilter::nf_reject_ipv4;
use crate::tables::netfilter::{HookState, Verdict};
use crate::tables::xt::{Match, TableName, Target, Variant};

/// What a match or a target sees beside its own options (`struct xt_action_param`).
#[derive(Clone, Copy, Debug)]
pub struct Par {
    /// The packet; its data begins at the IPv4 header.
    pub skb: SkbId,
    /// Where it is.
    pub state: HookState,
    /// The table in which the rule stands.
    pub table: TableName,
    /// Which set of tables.
    pub variant: Variant,
    /// Its IPv4 header, as it was when the walk through the table began or after a target rewrote it.
    pub iph: Ipv4Hdr,
    /// Where its transport header begins in the buffer.
    pub thoff: u32,
    /// Fragment offset in bytes; matches on ports see only offset 0.
    pub fragoff: u16,
    /// A match found the packet broken: it is dropped whatever the rules say.
    pub hotdrop: bool,
}

/// What a target says.
#[derive(Clone, Copy, Debug)]
pub enum TargetVerdict {
    /// The next rule follows (`XT_CONTINUE`).
    Continue,
    /// Back to the calling chain (`XT_RETURN`).
    Return,
    /// The table has decided.
    Verdict(Verdict),
}

/// The packet meets a table's chain of this hook.
pub fn rules(cx: &mut Cx, skb: SkbId, state: HookState, variant: Variant, table: TableName) -> Verdict {
    super::super::ipv4::netfilter::ip_tables::rules(cx, skb, state, variant, table)
}

/// The packet is one that the match means. Inversion is the match's own business.
pub fn xt_match(cx: &mut Cx, par: &mut Par, with: &mut Match) -> bool {
    let _ = (&cx, &par);
    match with {
        Match::Comment(_) => true,

        // dora
        Match::Tcp(_) => false,
        Match::Udp(_) => false,
        Match::Icmp(_) => false,

        // emil
        Match::Multiport(_) => false,
        Match::Conntrack(_) => false,
        Match::State(_) => false,
        Match::Mark(_) => false,
        Match::Connmark(_) => false,
        Match::Addrtype(_) => false,
        Match::Physdev(_) => false,
        Match::Mac(_) => false,
        Match::Iprange(_) => false,
        Match::Length(_) => false,
        Match::Ttl(_) => false,
        Match::Pkttype(_) => false,
        Match::Owner(_) => false,
        Match::Tcpmss(_) => false,
        Match::Dscp(_) => false,
        Match::Tos(_) => false,

        // fritz
        Match::Statistic(_) => false,
        Match::Set(_) => false,
        Match::Recent(_) => false,
        Match::Limit(_) => false,
        Match::Hashlimit(_) => false,
        Match::Rpfilter(_) => false,
        Match::String(_) => false,
        Match::U32(_) => false,
        Match::Cluster(_) => false,
        Match::Socket(_) => false,
        Match::Time(_) => false,
    }
}

/// The target does what it is for.
pub fn xt_target(cx: &mut Cx, par: &mut Par, target: &mut Target) -> TargetVerdict {
    let _ = (&cx, &par);
    match target {
        // carl
        Target::Reject(reject) => nf_reject_ipv4::reject_tg(cx, par, *reject),
        Target::Dnat(range) => super::xt_nat::dnat_tg(cx, par, range),
        Target::Snat(range) => super::xt_nat::snat_tg(cx, par, range),
        Target::Masquerade(range) => super::xt_nat::masquerade_tg(cx, par, range),
        Target::Redirect(range) => super::xt_nat::redirect_tg(cx, par, range),
        Target::Netmap(range) => super::xt_nat::netmap_tg(cx, par, range),

        // ben
        Target::Notrack => TargetVerdict::Continue,
        Target::Ct(_) => TargetVerdict::Continue,

        // emil
        Target::Mark(_) => TargetVerdict::Continue,
        Target::Connmark(_) => TargetVerdict::Continue,
        Target::Log(_) => TargetVerdict::Continue,
        Target::Nflog(_) => TargetVerdict::Continue,
        Target::Trace => TargetVerdict::Continue,
        Target::Tcpmss(_) => TargetVerdict::Continue,
        Target::Ttl(_) => TargetVerdict::Continue,
        Target::Tos(_) => TargetVerdict::Continue,
        Target::Dscp(_) => TargetVerdict::Continue,
        Target::Classify(_) => TargetVerdict::Continue,
        Target::Audit(_) => TargetVerdict::Continue,

        // fritz
        Target::Set(_) => TargetVerdict::Continue,
    }
}
