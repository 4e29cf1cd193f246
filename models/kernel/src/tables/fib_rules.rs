//! Policy rules, which select the routing table.
//!
//! Kernel: net/core/fib_rules.c, net/ipv4/fib_rules.c

use std::net::Ipv4Addr;

use crate::ids::DevId;
use crate::netlink::{Errno, NLM_F_EXCL, NlError};
use crate::tables::fib_trie::{Flow, inet_make_mask};
use crate::tables::route_types::{
    RT_TABLE_DEFAULT, RT_TABLE_LOCAL, RT_TABLE_MAIN, RTPROT_KERNEL, RouteType, RuleAction, RuleMsg,
    validate_rule_tos,
};

/// A rule as configured, and the devices to which its names resolve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FibRule {
    /// The rule as configured, with its priority set.
    pub msg: RuleMsg,
    iif: Option<DevId>,
    oif: Option<DevId>,
}

/// Action of a matching rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Look up this table; routes with a prefix no longer than this are suppressed.
    Table(u32, Option<u8>),
    /// `goto`: continue at this rule.
    Jump(usize),
    /// Continue with the next rule.
    Next,
    /// Fail with this route type.
    Refuse(RouteType),
}

/// The rules of a namespace, by priority.
#[derive(Clone, Debug)]
pub struct FibRules {
    rules: Vec<FibRule>,
    /// Rules were changed by a user, so they are evaluated (`fib_has_custom_rules`).
    pub custom: bool,
}

impl Default for FibRules {
    fn default() -> Self {
        let default = |priority, table| {
            let msg =
                RuleMsg { priority: Some(priority), table, protocol: RTPROT_KERNEL, ..RuleMsg::default() };
            FibRule { msg, iif: None, oif: None }
        };
        FibRules {
            rules: vec![
                default(0, RT_TABLE_LOCAL),
                default(32766, RT_TABLE_MAIN),
                default(32767, RT_TABLE_DEFAULT),
            ],
            custom: false,
        }
    }
}

fn in_range(range: Option<(u16, u16)>, port: u16) -> bool {
    range.is_none_or(|(low, high)| (low..=high).contains(&port))
}

impl FibRule {
    fn priority(&self) -> u32 {
        self.msg.priority.unwrap_or(0)
    }

    fn matches(&self, flow: &Flow) -> bool {
        let msg = &self.msg;
        let covers = |(prefix, len): (Ipv4Addr, u8), address: Ipv4Addr| {
            let mask = inet_make_mask(len);
            prefix & mask == address & mask
        };
        let found = (msg.iif.is_none() || self.iif.is_some() && self.iif == flow.iif)
            && (msg.oif.is_none() || self.oif.is_some() && self.oif == flow.oif)
            && (!msg.l3mdev || flow.l3mdev_table.is_some())
            && (msg.mark ^ flow.mark) & msg.mask.unwrap_or(0) == 0
            && covers(msg.src, flow.src)
            && covers(msg.dst, flow.dst)
            && (msg.tos == 0 || msg.tos == flow.tos)
            && (msg.ip_proto == 0 || msg.ip_proto == flow.proto)
            && in_range(msg.sport, flow.sport)
            && in_range(msg.dport, flow.dport);
        found != msg.invert
    }
}

impl FibRules {
    /// The next matching rule from `at` on, and its action.
    pub fn next_match(&self, at: usize, flow: &Flow) -> Option<(usize, Verdict)> {
        let (index, rule) = self.rules.iter().enumerate().skip(at).find(|(_, rule)| rule.matches(flow))?;
        let verdict = match rule.msg.action {
            RuleAction::ToTable => {
                let l3mdev = flow.l3mdev_table.filter(|_| rule.msg.l3mdev);
                Verdict::Table(l3mdev.unwrap_or(rule.msg.table), rule.msg.suppress_prefixlen)
            }
            RuleAction::Nop => Verdict::Next,
            RuleAction::Blackhole => Verdict::Refuse(RouteType::Blackhole),
            RuleAction::Unreachable => Verdict::Refuse(RouteType::Unreachable),
            RuleAction::Prohibit => Verdict::Refuse(RouteType::Prohibit),
            RuleAction::Goto => match self.target(rule) {
                Some(to) => Verdict::Jump(to),
                None => Verdict::Next,
            },
        };
        Some((index, verdict))
    }

    fn target(&self, rule: &FibRule) -> Option<usize> {
        self.rules.iter().position(|other| other.priority() == rule.msg.goto)
    }

    /// The default priority: one less than the second rule's (`fib_default_rule_pref`).
    fn default_priority(&self) -> u32 {
        match self.rules.get(1) {
            Some(second) if second.priority() > 0 => second.priority() - 1,
            _ => 0,
        }
    }

    /// Adds a rule (`fib_nl_newrule`). `find` resolves device names.
    ///
    /// # Errors
    ///
    /// `EINVAL`: a prefix longer than 32 bits, a backward goto, table 0. `EEXIST`: an equal rule
    /// (`NLM_F_EXCL`).
    pub fn add(
        &mut self,
        msg: &RuleMsg,
        flags: u16,
        find: impl Fn(&str) -> Option<DevId>,
    ) -> Result<(), NlError> {
        let mut msg = msg.clone();
        if msg.src.1 > 32 || msg.dst.1 > 32 {
            return Err(Errno::EINVAL.into());
        }
        let asked = msg.priority;
        let priority = asked.unwrap_or_else(|| self.default_priority());
        msg.priority = Some(priority);
        if msg.action == RuleAction::Goto && msg.goto <= priority {
            return Err(NlError::with(Errno::EINVAL, "Backward goto not supported"));
        }
        validate_rule_tos(msg.tos)?;
        if msg.l3mdev && (msg.table != 0 || msg.action != RuleAction::ToTable) {
            return Err(NlError::with(Errno::EINVAL, "l3mdev and table are mutually exclusive"));
        }
        if msg.action == RuleAction::ToTable && msg.table == 0 && !msg.l3mdev {
            return Err(NlError::with(Errno::EINVAL, "Invalid table"));
        }
        msg.mask = msg.mask.or((msg.mark != 0).then_some(u32::MAX));
        let twin = |rule: &FibRule| rule.msg == msg && asked.is_some();
        if flags & NLM_F_EXCL != 0 && self.rules.iter().any(twin) {
            return Err(Errno::EEXIST.into());
        }
        let device = |name: &Option<String>| name.as_deref().and_then(&find);
        let (iif, oif) = (device(&msg.iif), device(&msg.oif));
        let at = self.rules.partition_point(|rule| rule.priority() <= msg.priority.unwrap_or(0));
        self.rules.insert(at, FibRule { msg, iif, oif });
        self.custom = true;
        Ok(())
    }

    /// Deletes the first rule that has every attribute of `msg`, inverted or not (`fib_nl_delrule`).
    ///
    /// # Errors
    ///
    /// `ENOENT` if no rule matches.
    pub fn remove(&mut self, msg: &RuleMsg) -> Result<(), NlError> {
        let wanted = |rule: &FibRule| {
            let own = &rule.msg;
            msg.priority.is_none_or(|priority| own.priority == Some(priority))
                && (msg.table == 0 || own.table == msg.table)
                && (msg.action == RuleAction::ToTable && msg.table == 0 || own.action == msg.action)
                && (msg.src.1 == 0 || own.src == msg.src)
                && (msg.dst.1 == 0 || own.dst == msg.dst)
                && (msg.tos == 0 || own.tos == msg.tos)
                && (msg.iif.is_none() || own.iif == msg.iif)
                && (msg.oif.is_none() || own.oif == msg.oif)
                && (msg.mark == 0 || own.mark == msg.mark)
                && (!msg.l3mdev || own.l3mdev)
                && (msg.mask.is_none() || own.mask == msg.mask)
                && (msg.ip_proto == 0 || own.ip_proto == msg.ip_proto)
                && (msg.sport.is_none() || own.sport == msg.sport)
                && (msg.dport.is_none() || own.dport == msg.dport)
                && (msg.protocol == 0 || own.protocol == msg.protocol)
        };
        let at = self.rules.iter().position(wanted).ok_or(Errno::ENOENT)?;
        self.rules.remove(at);
        self.custom = true;
        Ok(())
    }

    /// A device with this name appeared: attaches the rules that name it (`attach_rules`).
    pub fn attach(&mut self, name: &str, dev: DevId) {
        for rule in &mut self.rules {
            if rule.msg.iif.as_deref() == Some(name) {
                rule.iif = Some(dev);
            }
            if rule.msg.oif.as_deref() == Some(name) {
                rule.oif = Some(dev);
            }
        }
    }

    /// A device was removed or renamed: detaches the rules that name it (`detach_rules`).
    pub fn detach(&mut self, dev: DevId) {
        for rule in &mut self.rules {
            rule.iif = rule.iif.filter(|iif| *iif != dev);
            rule.oif = rule.oif.filter(|oif| *oif != dev);
        }
    }

    /// The rules in dump order.
    pub fn messages(&self) -> Vec<RuleMsg> {
        let report = |rule: &FibRule| RuleMsg {
            iif_detached: rule.msg.iif.is_some() && rule.iif.is_none(),
            oif_detached: rule.msg.oif.is_some() && rule.oif.is_none(),
            unresolved: rule.msg.action == RuleAction::Goto && self.target(rule).is_none(),
            ..rule.msg.clone()
        };
        self.rules.iter().map(report).collect()
    }
}
