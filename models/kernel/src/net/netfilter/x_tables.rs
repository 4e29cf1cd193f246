//! What matches and targets have in common, and the way from a rule's extension to its function.
//!
//! Kernel: net/netfilter/x_tables.c

use glassnet_wire::ipv4::Ipv4Hdr;

pub use super::xt_commit::{
    xt_check_table, xt_find_table_lock, xt_replace_table, xt_splice_rules, xt_table, xt_unregister_table,
    xt_zero_counters,
};

use crate::Cx;
use crate::hook::Verdict;
use crate::ids::SkbId;
use crate::net::ipv4::netfilter::nf_reject_ipv4;
use crate::tables::netfilter::HookState;
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

/// The packet is one that the match means. Inversion is the match's own business.
pub fn xt_match(cx: &mut Cx, par: &mut Par, with: &mut Match) -> bool {
    match with {
        Match::Comment(_) => true,

        Match::Tcp(with) => super::xt_tcpudp::tcp_mt(cx, par, with),
        Match::Udp(with) => super::xt_tcpudp::udp_mt(cx, par, with),
        Match::Icmp(with) => super::super::ipv4::netfilter::ipt_icmp::icmp_match(cx, par, with),

        Match::Multiport(with) => super::xt_multiport::multiport_mt(cx, par, with),
        Match::Conntrack(with) => super::xt_conntrack::conntrack_mt(cx, par, with),
        Match::State(with) => super::xt_conntrack::state_mt(cx, par, with),
        Match::Mark(with) => super::xt_mark::mark_mt(cx, par, with),
        Match::Connmark(with) => super::xt_connmark::connmark_mt(cx, par, with),
        Match::Addrtype(with) => super::xt_addrtype::addrtype_mt(cx, par, with),
        Match::Physdev(with) => super::xt_physdev::physdev_mt(cx, par, with),
        Match::Mac(with) => super::xt_mac::mac_mt(cx, par, with),
        Match::Iprange(with) => super::xt_iprange::iprange_mt4(cx, par, with),
        Match::Length(with) => super::xt_length::length_mt(cx, par, with),
        Match::Ttl(with) => super::xt_hl::ttl_mt(cx, par, with),
        Match::Pkttype(with) => super::xt_pkttype::pkttype_mt(cx, par, with),
        Match::Owner(with) => super::xt_owner::owner_mt(cx, par, with),
        Match::Tcpmss(with) => super::xt_tcpmss::tcpmss_mt(cx, par, with),
        Match::Dscp(with) => super::xt_dscp::dscp_mt(cx, par, with),
        Match::Tos(with) => super::xt_dscp::tos_mt(cx, par, with),

        Match::Statistic(with) => super::xt_statistic::statistic_mt(cx, par, with),
        Match::Set(with) => super::xt_set::set_match(cx, par, with),
        Match::Recent(with) => super::xt_recent::recent_mt(cx, par, with),
        Match::Limit(with) => super::xt_limit::limit_mt(cx, par, with),
        Match::Hashlimit(with) => super::xt_hashlimit::hashlimit_mt(cx, par, with),
        Match::Rpfilter(with) => super::super::ipv4::netfilter::ipt_rpfilter::rpfilter_mt(cx, par, with),
        Match::String(with) => super::xt_string::string_mt(cx, par, with),
        Match::U32(with) => super::xt_u32::u32_mt(cx, par, with),
        Match::Cluster(with) => super::xt_cluster::cluster_mt(cx, par, with),
        Match::Socket(with) => super::xt_socket::socket_mt4(cx, par, with),
        Match::Time(with) => super::xt_time::time_mt(cx, par, with),
    }
}

/// The target does what it is for.
pub fn xt_target(cx: &mut Cx, par: &mut Par, target: &mut Target) -> TargetVerdict {
    match target {
        Target::Reject(reject) => nf_reject_ipv4::reject_tg(cx, par, *reject),
        Target::Dnat(range) => super::xt_nat::dnat_tg(cx, par, range),
        Target::Snat(range) => super::xt_nat::snat_tg(cx, par, range),
        Target::Masquerade(range) => super::xt_nat::masquerade_tg(cx, par, range),
        Target::Redirect(range) => super::xt_nat::redirect_tg(cx, par, range),
        Target::Netmap(range) => super::xt_nat::netmap_tg(cx, par, range),

        Target::Notrack => super::xt_ct::notrack_tg(cx, par),
        Target::Ct(t) => super::xt_ct::xt_ct_target(cx, par, t),

        Target::Mark(target) => super::xt_mark::mark_tg(cx, par, target),
        Target::Connmark(target) => super::xt_connmark::connmark_tg(cx, par, target),
        Target::Log(target) => super::xt_log::log_tg(cx, par, target),
        Target::Nflog(target) => super::xt_log::nflog_tg(cx, par, target),
        Target::Trace => super::xt_trace::trace_tg(cx, par),
        Target::Tcpmss(target) => super::xt_tcpmss::tcpmss_tg4(cx, par, target),
        Target::Ttl(target) => super::xt_hl::ttl_tg(cx, par, target),
        Target::Tos(target) => super::xt_dscp::tos_tg(cx, par, target),
        Target::Dscp(target) => super::xt_dscp::dscp_tg(cx, par, target),
        Target::Classify(target) => super::xt_classify::classify_tg(cx, par, target),
        Target::Audit(_) => super::xt_audit::audit_tg(cx, par),

        Target::Set(target) => super::xt_set::set_target(cx, par, target),
    }
}
