//! Where an extension may stand: its table, its hooks, its protocol, and what its options ask for.
//!
//! Kernel: net/netfilter/x_tables.c (`xt_check_match`, `xt_check_target`) and the `checkentry` of each extension
//!
//! The limits were held against Linux 6.18 by trying every extension in every chain of every table.

use glassnet_wire::ipv4::{IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP};
use glassnet_wire::tcp;

use super::xt_limit;
use crate::netlink::Errno;
use crate::tables::hashlimit::user2credits;
use crate::tables::netfilter::{HOOKS, Hook};
use crate::tables::xt::matches::RecentMode;
use crate::tables::xt::targets::Reject;
use crate::tables::xt::{Action, Match, Rule, TableName, Target, Variant};

/// A rule that the kernel refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What it answers.
    pub errno: Errno,
    /// What it writes to its log, if anything.
    pub log: Option<String>,
}

impl Refused {
    fn einval(log: String) -> Refused {
        Refused { errno: Errno::EINVAL, log: Some(log) }
    }
}

/// Where a rule stands.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Which set of tables.
    pub variant: Variant,
    /// The table.
    pub table: TableName,
    /// From which hooks it can be reached, a bit each.
    pub hooks: u8,
    /// The hook of its own chain, a bit, if that is a built-in one.
    pub own_hook: u8,
}

impl Place {
    /// The hooks that the options of an extension are held against: `nf_tables` looks at those only as it makes the rule.
    fn option_hooks(&self) -> u8 {
        if self.variant == Variant::Legacy { self.hooks } else { self.own_hook }
    }
}

/// What an extension allows; `None`: everything.
#[derive(Clone, Copy, Default)]
struct Limits {
    table: Option<TableName>,
    hooks: Option<u8>,
    proto: Option<u8>,
}

const PRE: u8 = 1 << Hook::PreRouting as u8;
const IN: u8 = 1 << Hook::LocalIn as u8;
const FORWARD: u8 = 1 << Hook::Forward as u8;
const OUT: u8 = 1 << Hook::LocalOut as u8;
const POST: u8 = 1 << Hook::PostRouting as u8;

const ANYWHERE: Limits = Limits { table: None, hooks: None, proto: None };

fn hooks(hooks: u8) -> Limits {
    Limits { hooks: Some(hooks), ..ANYWHERE }
}

fn table(table: TableName) -> Limits {
    Limits { table: Some(table), ..ANYWHERE }
}

fn proto(proto: u8) -> Limits {
    Limits { proto: Some(proto), ..ANYWHERE }
}

fn nat(hooks: u8) -> Limits {
    Limits { table: Some(TableName::Nat), hooks: Some(hooks), proto: None }
}

fn match_limits(with: &Match, variant: Variant) -> Limits {
    match with {
        // The nft tool writes these two as expressions of its own, for which the kernel has no such limit.
        Match::Tcp(_) if variant == Variant::Legacy => proto(IPPROTO_TCP),
        Match::Udp(_) if variant == Variant::Legacy => proto(IPPROTO_UDP),
        Match::Icmp(_) => proto(IPPROTO_ICMP),
        Match::Tcpmss(_) => proto(IPPROTO_TCP),
        Match::Mac(_) => hooks(PRE | IN | FORWARD),
        Match::Owner(_) => hooks(OUT | POST),
        Match::Rpfilter(_) => hooks(PRE),
        Match::Socket(_) => hooks(PRE | IN),
        _ => ANYWHERE,
    }
}

fn target_limits(target: &Target, variant: Variant) -> Limits {
    match target {
        Target::Reject(_) => Limits { hooks: Some(IN | FORWARD | OUT), ..table(TableName::Filter) },
        Target::Dnat(_) | Target::Redirect(_) => nat(PRE | OUT),
        Target::Snat(_) => nat(POST | IN),
        Target::Masquerade(_) => nat(POST),
        Target::Netmap(_) => nat(PRE | OUT | POST | IN),
        Target::Notrack | Target::Ct(_) => table(TableName::Raw),
        // The nft tool writes `meta nftrace set 1`.
        Target::Trace if variant == Variant::Legacy => table(TableName::Raw),
        Target::Tcpmss(_) => proto(IPPROTO_TCP),
        Target::Ttl(_) | Target::Tos(_) | Target::Dscp(_) => table(TableName::Mangle),
        Target::Classify(_) => hooks(FORWARD | OUT | POST),
        _ => ANYWHERE,
    }
}

/// A rule may stand where it stands.
///
/// # Errors
///
/// What the kernel answers if not.
pub fn check_rule(place: Place, rule: &Rule) -> Result<(), Refused> {
    for with in &rule.matches {
        check_limits(place, rule, match_limits(with, place.variant), with.name(), "match", "valid")?;
        check_match_options(place, with)?;
    }
    let Action::Target(target) = &rule.action else { return Ok(()) };
    // NOTRACK is a use of the CT target.
    let name = if matches!(target, Target::Notrack) { "CT" } else { target.name() };
    check_limits(place, rule, target_limits(target, place.variant), name, "target", "usable")?;
    check_target_options(place, rule, target)
}

fn check_limits(
    place: Place,
    rule: &Rule,
    limits: Limits,
    name: &str,
    kind: &str,
    usable: &str,
) -> Result<(), Refused> {
    let refuse = |why: String| Err(Refused::einval(format!("x_tables: ip_tables: {name} {kind}: {why}")));
    if let Some(table) = limits.table.filter(|table| *table != place.table) {
        return refuse(format!("only valid in {} table, not {}", table.name(), place.table.name()));
    }
    if let Some(hooks) = limits.hooks.filter(|hooks| place.hooks & !hooks != 0) {
        let used = hook_names(place.hooks);
        return refuse(format!("used from hooks {used}, but only {usable} from {}", hook_names(hooks)));
    }
    match limits.proto {
        Some(proto) if rule.ip.proto != (proto, false) => refuse(format!("only valid for protocol {proto}")),
        _ => Ok(()),
    }
}

fn hook_names(hooks: u8) -> String {
    let names: Vec<&str> =
        HOOKS.into_iter().filter(|hook| hooks & hook.bit() != 0).map(Hook::chain).collect();
    names.join("/")
}

fn check_match_options(place: Place, with: &Match) -> Result<(), Refused> {
    let used = place.option_hooks();
    let refuse = |log: &str| Err(Refused::einval(log.to_owned()));
    match with {
        Match::Addrtype(addrtype) if addrtype.limit_in && addrtype.limit_out => {
            refuse("xt_addrtype: both incoming and outgoing interface limitation cannot be selected")
        }
        Match::Addrtype(addrtype) if addrtype.limit_out && used & (PRE | IN) != 0 => {
            refuse("xt_addrtype: output interface limitation not valid in PREROUTING and INPUT")
        }
        Match::Addrtype(addrtype) if addrtype.limit_in && used & (POST | OUT) != 0 => {
            refuse("xt_addrtype: input interface limitation not valid in POSTROUTING and OUTPUT")
        }
        Match::Physdev(dev)
            if (dev.output.is_some() || dev.is_out.is_some())
                && dev.is_bridged != Some(false)
                && used & OUT != 0 =>
        {
            refuse(
                "xt_physdev: --physdev-out and --physdev-is-out only supported in the FORWARD and POSTROUTING \
                 chains with bridged traffic",
            )
        }
        Match::Owner(owner) if is_reversed(owner.uid) || is_reversed(owner.gid) => {
            Err(Refused { errno: Errno::EINVAL, log: None })
        }
        Match::Rpfilter(_) if !matches!(place.table, TableName::Raw | TableName::Mangle) => {
            let table = place.table.name();
            refuse(&format!("ipt_rpfilter: only valid in 'raw' or 'mangle' table, not '{table}'"))
        }
        _ => check_stateful(place, with),
    }
}

/// Longest name of a list of `recent`, bytes (`XT_RECENT_NAME_LEN`).
const RECENT_NAME: usize = 200;
/// Largest `--hitcount`; up to Linux 6.10 it was 255.
const MAX_HITCOUNT: u32 = 65535;

/// What the matches with a memory, and `string`, say to their options.
fn check_stateful(place: Place, with: &Match) -> Result<(), Refused> {
    let refuse = |errno: Errno| Err(Refused { errno, log: None });
    match with {
        Match::Limit(limit) if place.variant == Variant::Legacy && xt_limit::overflows(limit) => {
            refuse(Errno::ERANGE)
        }
        Match::Recent(recent) => {
            let changes = matches!(recent.mode, RecentMode::Set | RecentMode::Remove);
            let asks = recent.seconds != 0 || recent.hitcount != 0 || recent.rttl || recent.reap;
            let named =
                !recent.name.is_empty() && !recent.name.contains('/') && recent.name.len() <= RECENT_NAME;
            let fits = !(changes && asks) && recent.hitcount <= MAX_HITCOUNT && named;
            if fits { Ok(()) } else { refuse(Errno::EINVAL) }
        }
        Match::Hashlimit(limit) => {
            let named = !limit.name.is_empty() && !limit.name.contains('/');
            let prefixes = limit.srcmask <= 32 && limit.dstmask <= 32;
            if limit.gc_interval == 0 || limit.expire == 0 || !named || !prefixes {
                return refuse(Errno::EINVAL);
            }
            let full = user2credits(limit.avg.wrapping_mul(limit.burst));
            let overflows = !limit.bytes && (limit.burst == 0 || full < user2credits(limit.avg));
            if overflows { refuse(Errno::ERANGE) } else { Ok(()) }
        }
        Match::String(string) => match string.algo.as_str() {
            _ if string.from > string.to || string.pattern.is_empty() => refuse(Errno::EINVAL),
            "bm" | "kmp" => Ok(()),
            _ => refuse(Errno::ENOENT),
        },
        _ => Ok(()),
    }
}

/// A range of user or group ids that goes downwards.
fn is_reversed(ids: Option<(bool, u32, u32)>) -> bool {
    ids.is_some_and(|(_, low, high)| low > high)
}

fn check_target_options(place: Place, rule: &Rule, target: &Target) -> Result<(), Refused> {
    let refuse = |log: &str| Err(Refused::einval(log.to_owned()));
    match target {
        Target::Reject(Reject::TcpReset) if rule.ip.proto != (IPPROTO_TCP, false) => {
            refuse("ipt_REJECT: TCP_RESET invalid for non-tcp")
        }
        Target::Set(set) if set.map.is_some() && place.table != TableName::Mangle => {
            refuse("xt_SET: --map-set only usable from mangle table")
        }
        Target::Set(set)
            if set.map.is_some()
                && (set.map_prio || set.map_queue)
                && place.option_hooks() & !(FORWARD | OUT | POST) != 0 =>
        {
            refuse(
                "xt_SET: mapping of prio or/and queue is allowed only from OUTPUT/FORWARD/POSTROUTING chains",
            )
        }
        Target::Connmark(connmark) if connmark.shift.unsigned_abs() >= 32 => {
            Err(Refused { errno: Errno::EINVAL, log: None })
        }
        Target::Tcpmss(tcpmss)
            if tcpmss.mss.is_none() && place.option_hooks() & !(FORWARD | OUT | POST) != 0 =>
        {
            refuse("xt_TCPMSS: path-MTU clamping only supported in FORWARD, OUTPUT and POSTROUTING hooks")
        }
        Target::Tcpmss(_) if place.variant == Variant::Legacy && !asks_for_syn(rule) => {
            refuse("xt_TCPMSS: Only works on TCP SYN packets")
        }
        _ => Ok(()),
    }
}

/// Some `tcp` match of the rule wants SYN.
fn asks_for_syn(rule: &Rule) -> bool {
    rule.matches.iter().any(|with| match with {
        Match::Tcp(with) => {
            with.flags.is_some_and(|(invert, _, compare)| !invert && compare & tcp::TCP_SYN != 0)
        }
        _ => false,
    })
}

/// The rule needs connection tracking: its extensions call `nf_ct_netns_get`.
pub fn needs_conntrack(rule: &Rule) -> bool {
    let by_match = |with: &Match| {
        matches!(with, Match::Conntrack(_) | Match::State(_) | Match::Connmark(_) | Match::Cluster(_))
    };
    let by_target = match &rule.action {
        Action::Target(Target::Ct(ct)) => !ct.notrack,
        Action::Target(
            Target::Connmark(_)
            | Target::Dnat(_)
            | Target::Snat(_)
            | Target::Masquerade(_)
            | Target::Redirect(_)
            | Target::Netmap(_),
        ) => true,
        _ => false,
    };
    by_target || rule.matches.iter().any(by_match)
}
