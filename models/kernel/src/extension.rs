//! The shape of a match or a target of iptables (include/linux/netfilter/x_tables.h).
//!
//! Each has a file named as the kernel's (`net/netfilter/xt_NAME.rs`): what a rule says of it is a struct, with
//! [`XtMatch`] or [`XtTarget`] for what the kernel does with it. A rule holds a [`Match`] or [`Target`] and knows none by
//! name.

use std::any::Any;
use std::fmt::{self, Debug};
use std::ops::{Deref, DerefMut};

use glassnet_wire::ipv4::Ipv4Hdr;

use crate::Cx;
use crate::hook::Verdict;
use crate::ids::{NetnsId, SkbId};
use crate::netlink::Errno;
use crate::tables::netfilter::HookState;
use crate::tables::xt::{Ports, Rule, TableName, Variant};

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
    /// A target made a copy of the packet, which leaves after the table.
    pub copied: bool,
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
    pub fn option_hooks(&self) -> u8 {
        if self.variant == Variant::Legacy { self.hooks } else { self.own_hook }
    }
}

/// What an extension allows; `None`: everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The table.
    pub table: Option<TableName>,
    /// The hooks, a bit each.
    pub hooks: Option<u8>,
    /// The protocol that the rule has to ask for.
    pub proto: Option<u8>,
}

impl Limits {
    /// Everything.
    pub const NONE: Limits = Limits { table: None, hooks: None, proto: None };

    /// Only these hooks.
    pub const fn hooks(hooks: u8) -> Limits {
        Limits { hooks: Some(hooks), ..Limits::NONE }
    }

    /// Only this table.
    pub const fn table(table: TableName) -> Limits {
        Limits { table: Some(table), ..Limits::NONE }
    }

    /// Only rules that ask for this protocol.
    pub const fn proto(proto: u8) -> Limits {
        Limits { proto: Some(proto), ..Limits::NONE }
    }
}

/// A rule that the kernel refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What it answers.
    pub errno: Errno,
    /// What it writes to its log, if anything.
    pub log: Option<String>,
}

impl Refused {
    /// `EINVAL`, with a line for the log.
    pub fn einval(log: impl Into<String>) -> Refused {
        Refused { errno: Errno::EINVAL, log: Some(log.into()) }
    }

    /// Nothing for the log.
    pub fn silent(errno: Errno) -> Refused {
        Refused { errno, log: None }
    }
}

/// What an extension remembers from packet to packet. It is no part of what the rule says, so it makes no two rules
/// different.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kept<T>(
    /// The state.
    pub T,
);

impl<T> PartialEq for Kept<T> {
    fn eq(&self, _: &Kept<T>) -> bool {
        true
    }
}

impl<T> Eq for Kept<T> {}

/// A match extension with its options (`struct xt_match`).
pub trait XtMatch: Clone + Debug + PartialEq + Send + Sync + 'static {
    /// The name after `-m`.
    const NAME: &'static str;

    /// The packet is one that the match means. Inversion is the match's own business.
    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool;

    /// Where it may stand.
    fn limits(_: Variant) -> Limits {
        Limits::NONE
    }

    /// What the kernel says to its options and to the rest of its rule (`checkentry`).
    ///
    /// # Errors
    ///
    /// What it answers if they do not fit, or not there.
    fn check(&self, _: Place, _: &Rule) -> Result<(), Refused> {
        Ok(())
    }

    /// What the kernel says where something that the options name is not there (`checkentry`).
    ///
    /// # Errors
    ///
    /// What it answers then.
    fn check_named(&self, _: &Cx, _: NetnsId) -> Result<(), Refused> {
        Ok(())
    }

    /// A rule with it comes into force: what it remembers begins (`checkentry`). Of the legacy variant every change of
    /// a table puts all its rules in force anew; `nf_tables` leaves those that stay alone, or hands them over with what
    /// they remember.
    fn init(&mut self, _: &mut Cx, _: NetnsId, _: Variant) {}

    /// A rule with it is in force no more (`destroy`).
    fn destroy(&self, _: &mut Cx, _: NetnsId) {}

    /// It needs connection tracking (`nf_ct_netns_get`).
    fn needs_conntrack(&self) -> bool {
        false
    }

    /// It says the same of all packets of a connection and direction, as long as the connection's status and mark, the
    /// packet's mark and the devices are the same, and it remembers nothing ([`crate::tables::verdicts`]).
    fn depends_on_flow_only(&self) -> bool {
        false
    }

    /// The sets that it uses, by name.
    fn sets(&self) -> Vec<&str> {
        Vec::new()
    }

    /// The ports that it lets through, source and destination, if it does nothing but ask a packet for such: the scan
    /// may then leave out packets of other ports. `None`: it has to see every packet that comes so far.
    fn ports(&self) -> Option<[Ports; 2]> {
        None
    }
}

/// A target extension with its options (`struct xt_target`).
pub trait XtTarget: Clone + Debug + PartialEq + Send + Sync + 'static {
    /// The name after `-j`.
    const NAME: &'static str;

    /// It does what it is for.
    fn target(&mut self, cx: &mut Cx, par: &mut Par) -> TargetVerdict;

    /// The name by which the kernel knows it, where the tools have another.
    fn kernel_name() -> &'static str {
        Self::NAME
    }

    /// Where it may stand.
    fn limits(_: Variant) -> Limits {
        Limits::NONE
    }

    /// What the kernel says to its options and to the rest of its rule (`checkentry`).
    ///
    /// # Errors
    ///
    /// What it answers if they do not fit, or not there.
    fn check(&self, _: Place, _: &Rule) -> Result<(), Refused> {
        Ok(())
    }

    /// What the kernel says where something that the options name is not there (`checkentry`).
    ///
    /// # Errors
    ///
    /// What it answers then.
    fn check_named(&self, _: &Cx, _: &Rule) -> Result<(), Refused> {
        Ok(())
    }

    /// A rule with it comes into force, as of [`XtMatch::init`].
    fn init(&mut self, _: &mut Cx, _: NetnsId) {}

    /// It needs connection tracking (`nf_ct_netns_get`).
    fn needs_conntrack(&self) -> bool {
        false
    }

    /// The sets that it uses, by name.
    fn sets(&self) -> Vec<&str> {
        Vec::new()
    }
}

/// [`XtMatch`] of any type: what a [`Match`] in a rule can be asked.
pub trait AnyMatch: Any + Debug + Send + Sync {
    /// As [`XtMatch::NAME`].
    fn name(&self) -> &'static str;
    /// As [`XtMatch::matches`].
    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool;
    /// As [`XtMatch::limits`].
    fn limits(&self, variant: Variant) -> Limits;
    /// As [`XtMatch::check`].
    ///
    /// # Errors
    ///
    /// As of [`XtMatch::check`].
    fn check(&self, place: Place, rule: &Rule) -> Result<(), Refused>;
    /// As [`XtMatch::check_named`].
    ///
    /// # Errors
    ///
    /// As of [`XtMatch::check_named`].
    fn check_named(&self, cx: &Cx, netns: NetnsId) -> Result<(), Refused>;
    /// As [`XtMatch::init`].
    fn init(&mut self, cx: &mut Cx, netns: NetnsId, variant: Variant);
    /// As [`XtMatch::destroy`].
    fn destroy(&self, cx: &mut Cx, netns: NetnsId);
    /// As [`XtMatch::needs_conntrack`].
    fn needs_conntrack(&self) -> bool;
    /// As [`XtMatch::depends_on_flow_only`].
    fn depends_on_flow_only(&self) -> bool;
    /// As [`XtMatch::sets`].
    fn sets(&self) -> Vec<&str>;
    /// As [`XtMatch::ports`].
    fn ports(&self) -> Option<[Ports; 2]>;
    /// A copy.
    fn boxed(&self) -> Box<dyn AnyMatch>;
    /// Type and options are the same.
    fn is_same(&self, other: &dyn AnyMatch) -> bool;
}

impl<T: XtMatch> AnyMatch for T {
    fn name(&self) -> &'static str {
        T::NAME
    }

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        XtMatch::matches(self, cx, par)
    }

    fn limits(&self, variant: Variant) -> Limits {
        <T as XtMatch>::limits(variant)
    }

    fn check(&self, place: Place, rule: &Rule) -> Result<(), Refused> {
        XtMatch::check(self, place, rule)
    }

    fn check_named(&self, cx: &Cx, netns: NetnsId) -> Result<(), Refused> {
        XtMatch::check_named(self, cx, netns)
    }

    fn init(&mut self, cx: &mut Cx, netns: NetnsId, variant: Variant) {
        XtMatch::init(self, cx, netns, variant);
    }

    fn destroy(&self, cx: &mut Cx, netns: NetnsId) {
        XtMatch::destroy(self, cx, netns);
    }

    fn needs_conntrack(&self) -> bool {
        XtMatch::needs_conntrack(self)
    }

    fn depends_on_flow_only(&self) -> bool {
        XtMatch::depends_on_flow_only(self)
    }

    fn sets(&self) -> Vec<&str> {
        XtMatch::sets(self)
    }

    fn ports(&self) -> Option<[Ports; 2]> {
        XtMatch::ports(self)
    }

    fn boxed(&self) -> Box<dyn AnyMatch> {
        Box::new(self.clone())
    }

    fn is_same(&self, other: &dyn AnyMatch) -> bool {
        (other as &dyn Any).downcast_ref::<T>() == Some(self)
    }
}

/// A match extension in a rule.
pub struct Match(Box<dyn AnyMatch>);

impl Match {
    /// With these options.
    pub fn new<T: XtMatch>(options: T) -> Match {
        Match(Box::new(options))
    }

    /// Its options, if it is this one.
    pub fn get<T: XtMatch>(&self) -> Option<&T> {
        (&*self.0 as &dyn Any).downcast_ref()
    }

    /// Its options, to change them, if it is this one.
    pub fn get_mut<T: XtMatch>(&mut self) -> Option<&mut T> {
        (&mut *self.0 as &mut dyn Any).downcast_mut()
    }
}

impl Deref for Match {
    type Target = dyn AnyMatch;

    fn deref(&self) -> &dyn AnyMatch {
        &*self.0
    }
}

impl DerefMut for Match {
    fn deref_mut(&mut self) -> &mut dyn AnyMatch {
        &mut *self.0
    }
}

impl Clone for Match {
    fn clone(&self) -> Match {
        Match(self.0.boxed())
    }
}

impl PartialEq for Match {
    fn eq(&self, other: &Match) -> bool {
        self.0.is_same(&*other.0)
    }
}

impl Debug for Match {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// [`XtTarget`] of any type: what a [`Target`] in a rule can be asked.
pub trait AnyTarget: Any + Debug + Send + Sync {
    /// As [`XtTarget::NAME`].
    fn name(&self) -> &'static str;
    /// As [`XtTarget::kernel_name`].
    fn kernel_name(&self) -> &'static str;
    /// As [`XtTarget::target`].
    fn target(&mut self, cx: &mut Cx, par: &mut Par) -> TargetVerdict;
    /// As [`XtTarget::limits`].
    fn limits(&self, variant: Variant) -> Limits;
    /// As [`XtTarget::check`].
    ///
    /// # Errors
    ///
    /// As of [`XtTarget::check`].
    fn check(&self, place: Place, rule: &Rule) -> Result<(), Refused>;
    /// As [`XtTarget::check_named`].
    ///
    /// # Errors
    ///
    /// As of [`XtTarget::check_named`].
    fn check_named(&self, cx: &Cx, rule: &Rule) -> Result<(), Refused>;
    /// As [`XtTarget::init`].
    fn init(&mut self, cx: &mut Cx, netns: NetnsId);
    /// As [`XtTarget::needs_conntrack`].
    fn needs_conntrack(&self) -> bool;
    /// As [`XtTarget::sets`].
    fn sets(&self) -> Vec<&str>;
    /// A copy.
    fn boxed(&self) -> Box<dyn AnyTarget>;
    /// Type and options are the same.
    fn is_same(&self, other: &dyn AnyTarget) -> bool;
}

impl<T: XtTarget> AnyTarget for T {
    fn name(&self) -> &'static str {
        T::NAME
    }

    fn kernel_name(&self) -> &'static str {
        <T as XtTarget>::kernel_name()
    }

    fn target(&mut self, cx: &mut Cx, par: &mut Par) -> TargetVerdict {
        XtTarget::target(self, cx, par)
    }

    fn limits(&self, variant: Variant) -> Limits {
        <T as XtTarget>::limits(variant)
    }

    fn check(&self, place: Place, rule: &Rule) -> Result<(), Refused> {
        XtTarget::check(self, place, rule)
    }

    fn check_named(&self, cx: &Cx, rule: &Rule) -> Result<(), Refused> {
        XtTarget::check_named(self, cx, rule)
    }

    fn init(&mut self, cx: &mut Cx, netns: NetnsId) {
        XtTarget::init(self, cx, netns);
    }

    fn needs_conntrack(&self) -> bool {
        XtTarget::needs_conntrack(self)
    }

    fn sets(&self) -> Vec<&str> {
        XtTarget::sets(self)
    }

    fn boxed(&self) -> Box<dyn AnyTarget> {
        Box::new(self.clone())
    }

    fn is_same(&self, other: &dyn AnyTarget) -> bool {
        (other as &dyn Any).downcast_ref::<T>() == Some(self)
    }
}

/// A target extension in a rule.
pub struct Target(Box<dyn AnyTarget>);

impl Target {
    /// With these options.
    pub fn new<T: XtTarget>(options: T) -> Target {
        Target(Box::new(options))
    }

    /// Its options, if it is this one.
    pub fn get<T: XtTarget>(&self) -> Option<&T> {
        (&*self.0 as &dyn Any).downcast_ref()
    }
}

impl Deref for Target {
    type Target = dyn AnyTarget;

    fn deref(&self) -> &dyn AnyTarget {
        &*self.0
    }
}

impl DerefMut for Target {
    fn deref_mut(&mut self) -> &mut dyn AnyTarget {
        &mut *self.0
    }
}

impl Clone for Target {
    fn clone(&self) -> Target {
        Target(self.0.boxed())
    }
}

impl PartialEq for Target {
    fn eq(&self, other: &Target) -> bool {
        self.0.is_same(&*other.0)
    }
}

impl Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.fmt(f)
    }
}
