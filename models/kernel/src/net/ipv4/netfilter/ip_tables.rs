//! Traversal of a table's chains.
//!
//! Kernel: net/ipv4/netfilter/ip_tables.c, net/netfilter/nf_tables_core.c
//!
//! Both variants traverse the same way; they differ in the names of their functions and in the cost of a rule.

use glassnet_wire::ipv4::Ipv4Hdr;

use crate::Cx;
use crate::door::Func;
use crate::extension::{Par, TargetVerdict};
use crate::hook::{HookOps, Verdict};
use crate::ids::{DevId, NetnsId, SkbId};
use crate::net::ipv4::ip_input::ip_hdr;
use crate::net::ipv4::netfilter::ip_route_me_harder;
use crate::net::ipv4::netfilter::nf_dup_ipv4::nf_dup_ipv4_send;
use crate::net::netfilter::nf_log_syslog::nf_log_trace;
use crate::note::{AtRule, Note, Outcome, Part, RuleNote};
use crate::tables::drop_reason::DropReason;
use crate::tables::netfilter::{Hook, HookState, Pf};
use crate::tables::verdicts::Counter;
use crate::tables::xt::installed::{BaseChain, is_unconditional, table_number};
use crate::tables::xt::scan::{self, Key};
use crate::tables::xt::{Action, IpMatch, Policy, Rule, TABLES, TableName, Variant, XtTable};
use crate::trace::{Level, SeenTable};

/// The hook function of a table that is not `nat` (`xt_hook_ops_alloc`, and of nf_tables the base chain's own). It works on
/// the table of that [`table_number`].
pub fn hook_ops(variant: Variant, table: TableName, hook: Hook) -> HookOps {
    let name = hook_function(variant, table, hook).unwrap_or(Func::IptDoTable).name();
    let (priority, private) = (table.priority(variant, hook), table_number(variant, table));
    HookOps { name, pf: Pf::Ipv4, hook, priority, function: table_hook, private, depends_on_flow_only: true }
}

/// Traverses the table's base chain of this hook.
fn table_hook(cx: &mut Cx, skb: SkbId, state: &HookState, table: u32) -> Verdict {
    if !cx.observed && pass_empty_chain(cx, skb, state, table) {
        return Verdict::Accept;
    }
    rules(cx, skb, state, table)
}

/// The part of [`table_hook`] that traverses rules.
#[inline(never)]
fn rules(cx: &mut Cx, skb: SkbId, state: &HookState, table: u32) -> Verdict {
    let (variant, table) = of_number(table);
    match hook_function(variant, table, state.hook) {
        Some(func) => cx.within(func, skb, |cx| match (table, state.hook) {
            (TableName::Mangle, Hook::LocalOut) => mangle_out(cx, skb, *state, variant),
            _ => ipt_do_table(cx, skb, *state, variant, table),
        }),
        None => ipt_do_table(cx, skb, *state, variant, table),
    }
}

/// The registered hook function; `None`: the one that traverses the rules itself.
#[inline(always)]
fn hook_function(variant: Variant, table: TableName, hook: Hook) -> Option<Func> {
    match (variant, table, hook) {
        (Variant::Legacy, TableName::Mangle, _) => Some(Func::IptableMangleHook),
        (Variant::Legacy, ..) => None,
        (Variant::Nft, TableName::Mangle, Hook::LocalOut) => Some(Func::NfRouteTableHook4),
        (Variant::Nft, ..) => Some(Func::NftDoChainIpv4),
    }
}

/// The function that traverses the rules of a table.
#[inline(always)]
fn table_function(variant: Variant) -> Func {
    if variant == Variant::Legacy { Func::IptDoTable } else { Func::NftDoChain }
}

/// Routes a local packet again if the rules changed its addresses, mark or TOS (`ipt_mangle_out`,
/// `nf_route_table_hook4`).
fn mangle_out(cx: &mut Cx, skb: SkbId, state: HookState, variant: Variant) -> Verdict {
    let routed_by = |cx: &Cx| ip_hdr(cx, skb).map(|iph| (iph.saddr, iph.daddr, iph.tos, cx.skbs[skb].mark));
    let before = routed_by(cx);
    let verdict = ipt_do_table(cx, skb, state, variant, TableName::Mangle);
    let changed = matches!(verdict, Verdict::Accept) && routed_by(cx) != before;
    if changed && let Err(errno) = ip_route_me_harder(cx, skb) {
        return Verdict::DropErr(errno);
    }
    verdict
}

/// The table of a [`table_number`].
#[inline(always)]
fn of_number(table: u32) -> (Variant, TableName) {
    const NFT: u32 = TABLES.len() as u32;
    (if table < NFT { Variant::Legacy } else { Variant::Nft }, TABLES[(table % NFT) as usize])
}

/// The fast path of [`rules`] for an unobserved packet and an empty chain with policy ACCEPT, which most chains are.
/// False: not taken.
#[inline(always)]
fn pass_empty_chain(cx: &mut Cx, skb: SkbId, state: &HookState, table: u32) -> bool {
    let pkt = &cx.skbs[skb];
    match cx.k.netns[state.netns].xt.base_at_mut(state.hook, table) {
        Some(base) if base.empty && base.policy == Policy::Accept && !pkt.nf_trace => {
            _ = policy(base, pkt.len());
        }
        _ => return false,
    }
    cx.k.watch.counts(Counter::Policy { hook: state.hook, table });
    let (variant, table) = of_number(table);
    if let Some(func) = hook_function(variant, table, state.hook) {
        cx.charge(func);
    }
    cx.charge(table_function(variant));
    true
}

/// Traverses the base chain of the hook and the chains that rules jump to. Without a chain the packet is accepted.
pub fn ipt_do_table(cx: &mut Cx, skb: SkbId, state: HookState, variant: Variant, name: TableName) -> Verdict {
    cx.within(table_function(variant), skb, |cx| {
        let at = cx.skbs[skb].network_header;
        let detail = cx.observed && cx.trace.level == Level::Detail;
        let Some(iph) = cx.skbs.header::<Ipv4Hdr>(skb, at).copied() else { return Verdict::Accept };
        let Some(mut table) = cx.k.netns[state.netns].xt.take(variant, name) else { return Verdict::Accept };
        let (verdict, copied) = match table.entries[state.hook as usize] {
            Some(base) => {
                let (thoff, fragoff) = (at + iph.header_len() as u32, iph.fragment_offset() as u16);
                let (hotdrop, copied) = (false, false);
                let par = Par { skb, state, table: name, variant, iph, thoff, fragoff, hotdrop, copied };
                if detail {
                    observe_table(cx, &mut table, state.netns, variant);
                }
                let key = if detail { None } else { key(cx, &mut table, &par) };
                let mut walk = Walk { table: &mut table, par, base, chain: base, next: 0, key, detail };
                let verdict = walk.run(cx);
                let copied = walk.par.copied;
                table.stack.clear();
                (verdict, copied)
            }
            None => (Verdict::Accept, false),
        };
        cx.k.netns[state.netns].xt.put(variant, table);
        if copied {
            nf_dup_ipv4_send(cx, state.netns);
        }
        verdict
    })
}

/// The detail view keeps a copy of the table for the text of its rules.
fn observe_table(cx: &mut Cx, table: &mut XtTable, netns: NetnsId, variant: Variant) {
    let machine = cx.machine();
    let keep = || {
        let mut seen = table.table.clone();
        cx.k.netns[netns].write_counters(variant, &mut seen);
        SeenTable { machine, netns, variant, table: seen }
    };
    table.seen = Some(cx.trace.visit(table.seen, keep));
}

/// The packet's key for the rule index; `None` if every rule is to be evaluated in full: for fragments and truncated
/// headers, which some matches drop.
#[inline(always)]
fn key(cx: &Cx, table: &mut XtTable, par: &Par) -> Option<Key> {
    let iph = &par.iph;
    let mut ports = 0;
    if table.ports
        && let Some(len) = scan::header_with_ports(iph.protocol)
    {
        let pkt = &cx.skbs[par.skb];
        let bytes = cx.skbs.bufs.bytes(pkt.buf).get(par.thoff as usize..pkt.tail as usize)?;
        if par.fragoff != 0 || bytes.len() < len {
            return None;
        }
        ports = u32::from_be_bytes(*bytes.first_chunk()?);
    }
    let mut key = scan::key(iph.saddr.get(), iph.daddr.get(), ports, iph.protocol, par.fragoff != 0);
    if !table.ifaces.is_empty() {
        let device = |dev: Option<DevId>| match dev.and_then(|dev| cx.k.devs.get(dev)) {
            Some(dev) => (dev.label, dev.name.as_str()),
            None => (u32::MAX, ""),
        };
        table.ifaces.write(&mut key, device(par.state.input), device(par.state.output));
    }
    Some(key)
}

/// A traversal.
struct Walk<'t> {
    table: &'t mut XtTable,
    par: Par,
    /// The base chain.
    base: u32,
    /// The present chain and the index of its next rule.
    chain: u32,
    next: u32,
    /// The key for the rule index, if it is used.
    key: Option<Key>,
    /// The detail view observes: each rule is noted.
    detail: bool,
}

impl Walk<'_> {
    fn run(&mut self, cx: &mut Cx) -> Verdict {
        loop {
            let Some(rule) = self.next_match(cx) else {
                match self.end_of_chain(cx) {
                    Some(verdict) => return verdict,
                    None => continue,
                }
            };
            if self.par.hotdrop {
                return Verdict::Drop(DropReason::NetfilterDrop);
            }
            if let Some(verdict) = self.act(cx, rule) {
                return verdict;
            }
        }
    }

    /// The next rule of this chain that matches or sets `hotdrop`; `None` at the end of the chain.
    fn next_match(&mut self, cx: &mut Cx) -> Option<u32> {
        loop {
            let at = self.next_to_try(cx)?;
            match self.try_rule(cx, at) {
                Ok(()) => return Some(at),
                Err(part) if self.par.hotdrop => {
                    self.note(cx, || AtRule::Broken { rule: at as usize + 1, part });
                    return Some(at);
                }
                Err(part) => self.note(cx, || AtRule::NoMatch { rule: at as usize + 1, part }),
            }
        }
    }

    /// The next rule that the index does not rule out. The CPU is charged for those before it.
    fn next_to_try(&mut self, cx: &mut Cx) -> Option<u32> {
        let scan = &self.table.plans[self.chain as usize].scan;
        let (from, len) = (self.next as usize, scan.len());
        let found = match &self.key {
            Some(key) => scan.next(from, key),
            None => (from < len).then_some(from),
        };
        self.next = found.map_or(len, |at| at + 1) as u32;
        self.charge(cx, u64::from(self.next) - from as u64);
        found.map(|at| at as u32)
    }

    fn charge(&self, cx: &mut Cx, rules: u64) {
        let profile = &cx.k.profile;
        let each = if self.par.variant == Variant::Legacy { profile.legacy_rule } else { profile.nft_rule };
        cx.now.0 += each.0 * rules;
    }

    fn rule(&mut self, at: u32) -> &mut Rule {
        &mut self.table.table.chains[self.chain as usize].rules[at as usize]
    }

    fn try_rule(&mut self, cx: &mut Cx, at: u32) -> Result<(), Part> {
        let rule = &mut self.table.table.chains[self.chain as usize].rules[at as usize];
        if self.key.is_none() || !self.table.plans[self.chain as usize].scan.is_complete(at as usize) {
            ip_packet_match(cx, &self.par, &rule.ip).map_err(Part::Option)?;
        }
        for with in &mut rule.matches {
            if !with.depends_on_flow_only() {
                cx.k.watch.depends_on_more();
            }
            if !with.matches(cx, &mut self.par) {
                return Err(Part::Match(with.name()));
            }
        }
        Ok(())
    }

    /// Executes a matching rule; `Some`: the table's verdict.
    fn act(&mut self, cx: &mut Cx, at: u32) -> Option<Verdict> {
        let len = cx.skbs[self.par.skb].len();
        self.rule(at).counters.count(len);
        let table = table_number(self.par.variant, self.par.table);
        cx.k.watch.counts(Counter::Rule { table, chain: self.chain, rule: at });
        self.note_action(cx, at);
        // Legacy tables trace a rule before its target, nf_tables after it.
        if self.par.variant == Variant::Legacy || !matches!(self.rule(at).action, Action::Target(_)) {
            self.trace(cx, Some(at as usize), None);
        }
        let target = self.table.plans[self.chain as usize].jumps[at as usize];
        match &self.rule(at).action {
            Action::None => None,
            Action::Accept => Some(Verdict::Accept),
            Action::Drop => Some(Verdict::Drop(DropReason::NetfilterDrop)),
            Action::Return => self.leave(cx),
            Action::Jump(_) => {
                self.table.stack.push((self.chain, self.next));
                (self.chain, self.next) = (target, 0);
                None
            }
            Action::Goto(_) => {
                (self.chain, self.next) = (target, 0);
                None
            }
            Action::Target(_) => self.target(cx, at),
        }
    }

    fn target(&mut self, cx: &mut Cx, at: u32) -> Option<Verdict> {
        let rule = &mut self.table.table.chains[self.chain as usize].rules[at as usize];
        let Action::Target(target) = &mut rule.action else { return None };
        cx.k.watch.depends_on_more();
        let verdict = target.target(cx, &mut self.par);
        self.note(cx, || AtRule::Match { rule: at as usize + 1, outcome: said(&verdict) });
        if self.par.variant == Variant::Nft {
            self.trace(cx, Some(at as usize), Some(&verdict));
        }
        match verdict {
            TargetVerdict::Verdict(verdict) => Some(verdict),
            TargetVerdict::Return => self.leave(cx),
            TargetVerdict::Continue => {
                if let Some(iph) = ip_hdr(cx, self.par.skb) {
                    self.par.iph = *iph;
                    if let Some(key) = &mut self.key {
                        scan::set_addresses(key, iph.saddr.get(), iph.daddr.get());
                    }
                }
                None
            }
        }
    }

    /// The chain has no more rules.
    fn end_of_chain(&mut self, cx: &mut Cx) -> Option<Verdict> {
        if self.chain != self.base {
            self.note(cx, || AtRule::Return);
            self.trace(cx, None, None);
        }
        self.leave(cx)
    }

    /// Returns to the calling chain, or applies the policy.
    fn leave(&mut self, cx: &mut Cx) -> Option<Verdict> {
        match self.table.stack.pop() {
            Some((chain, next)) => {
                (self.chain, self.next) = (chain, next);
                None
            }
            None => Some(self.policy(cx)),
        }
    }

    fn policy(&mut self, cx: &mut Cx) -> Verdict {
        self.chain = self.base;
        self.trace(cx, None, None);
        let (par, len) = (&self.par, cx.skbs[self.par.skb].len());
        let xt = &mut cx.k.netns[par.state.netns].xt;
        let Some(base) = xt.base_mut(par.variant, par.state.hook, par.table) else { return Verdict::Accept };
        let verdict = policy(base, len);
        let policy = base.policy;
        let table = table_number(par.variant, par.table);
        cx.k.watch.counts(Counter::Policy { hook: par.state.hook, table });
        self.note(cx, || AtRule::Policy(policy_outcome(policy)));
        verdict
    }

    /// Traces a rule, or the end of a chain, for a packet marked by `TRACE` (`trace_packet`, `nft_trace_packet`).
    /// `said` is the target's verdict, if it was called already.
    #[inline]
    fn trace(&self, cx: &mut Cx, rule: Option<usize>, said: Option<&TargetVerdict>) {
        if cx.skbs[self.par.skb].nf_trace {
            match self.par.variant {
                Variant::Legacy => self.trace_legacy(cx, rule),
                Variant::Nft => self.trace_nft(cx, rule, said),
            }
        }
    }

    /// To the kernel log. An unconditional rule with a verdict is traced as the end of its chain.
    #[cold]
    fn trace_legacy(&self, cx: &mut Cx, rule: Option<usize>) {
        let chain = &self.table.table.chains[self.chain as usize];
        let is_end = rule.is_none_or(|at| {
            let rule = &chain.rules[at];
            matches!(rule.action, Action::Accept | Action::Drop | Action::Return) && is_unconditional(rule)
        });
        let what = match (is_end, self.chain == self.base) {
            (false, _) => "rule",
            (true, true) => "policy",
            (true, false) => "return",
        };
        nf_log_trace(cx, &self.par, &chain.name, what, rule.unwrap_or(chain.rules.len()) + 1);
    }

    /// To the detail view. The end of a user-defined chain is not traced.
    #[cold]
    fn trace_nft(&self, cx: &mut Cx, rule: Option<usize>, verdict: Option<&TargetVerdict>) {
        let chain = &self.table.table.chains[self.chain as usize];
        let what = match (rule, &chain.base) {
            (None, None) => return,
            (None, Some(base)) => AtRule::Policy(policy_outcome(base.policy)),
            (Some(at), _) => {
                let decided = outcome(&chain.rules[at].action).or(verdict.map(said));
                AtRule::Match { rule: at + 1, outcome: decided.unwrap_or(Outcome::Continue) }
            }
        };
        cx.note(|_| Note::NftTrace(self.rule_note(what)));
    }

    fn rule_note(&self, what: AtRule) -> RuleNote {
        let chain = self.table.table.chains[self.chain as usize].name.clone();
        RuleNote { table: self.par.table, chain, what }
    }

    fn note(&self, cx: &mut Cx, what: impl FnOnce() -> AtRule) {
        if self.detail {
            cx.note(|_| Note::Rule(self.rule_note(what())));
        }
    }

    /// Notes a rule that matched. The verdict of a target is noted after the call.
    fn note_action(&self, cx: &mut Cx, at: u32) {
        let action = &self.table.table.chains[self.chain as usize].rules[at as usize].action;
        if self.detail
            && let Some(outcome) = outcome(action)
        {
            self.note(cx, || AtRule::Match { rule: at as usize + 1, outcome });
        }
    }
}

/// The outcome of a rule without a target.
fn outcome(action: &Action) -> Option<Outcome> {
    Some(match action {
        Action::None => Outcome::Continue,
        Action::Accept => Outcome::Accept,
        Action::Drop => Outcome::Drop,
        Action::Return => Outcome::Return,
        Action::Jump(chain) => Outcome::Jump(chain.clone()),
        Action::Goto(chain) => Outcome::Goto(chain.clone()),
        Action::Target(_) => return None,
    })
}

/// The outcome of a target.
fn said(verdict: &TargetVerdict) -> Outcome {
    match verdict {
        TargetVerdict::Continue => Outcome::Continue,
        TargetVerdict::Return => Outcome::Return,
        TargetVerdict::Verdict(Verdict::Accept) => Outcome::Accept,
        // A stolen packet is dropped after its reply.
        TargetVerdict::Verdict(Verdict::Drop(_) | Verdict::DropErr(_) | Verdict::Stolen(_)) => Outcome::Drop,
    }
}

fn policy_outcome(policy: Policy) -> Outcome {
    match policy {
        Policy::Accept => Outcome::Accept,
        Policy::Drop => Outcome::Drop,
    }
}

/// Applies the policy of a base chain and counts the packet.
fn policy(base: &mut BaseChain, len: usize) -> Verdict {
    base.count(len);
    match base.policy {
        Policy::Accept => Verdict::Accept,
        Policy::Drop => Verdict::Drop(DropReason::NetfilterDrop),
    }
}

/// The built-in conditions of a rule (`ip_packet_match`); the error is the option that does not match.
fn ip_packet_match(cx: &Cx, par: &Par, ip: &IpMatch) -> Result<(), &'static str> {
    if !ip.src.matches(par.iph.saddr.get()) {
        return Err("-s");
    }
    if !ip.dst.matches(par.iph.daddr.get()) {
        return Err("-d");
    }
    let name = |dev: Option<_>| dev.and_then(|dev| cx.k.devs.get(dev)).map_or("", |dev| dev.name.as_str());
    if ip.input.as_ref().is_some_and(|iface| !iface.matches(name(par.state.input))) {
        return Err("-i");
    }
    if ip.output.as_ref().is_some_and(|iface| !iface.matches(name(par.state.output))) {
        return Err("-o");
    }
    let (proto, invert) = ip.proto;
    if proto != 0 && (par.iph.protocol == proto) == invert {
        return Err("-p");
    }
    if ip.fragment.is_some_and(|wanted| (par.fragoff != 0) != wanted) {
        return Err("-f");
    }
    Ok(())
}
