//! Extensions: parsing and printing of matches and targets.
//!
//! One module per extension, listed in [`MATCHES`] or [`TARGETS`]. The common code splits the command line into
//! [`Given`] options by the tables of [`Opt`]; `parse` makes the kernel's structure of them, `show` prints it.

pub mod addrtype;
pub mod ah;
pub mod audit;
pub mod checksum;
pub mod classify;
pub mod cluster;
pub mod comment;
pub mod connbytes;
pub mod connlimit;
pub mod connmark;
pub mod connmark_target;
pub mod conntrack;
pub mod ct;
pub mod dscp;
pub mod ecn;
pub mod ecn_target;
pub mod esp;
pub mod hashlimit;
pub mod helper;
pub mod icmp;
pub mod iprange;
pub mod ipvs;
pub mod length;
pub mod limit;
pub mod log;
pub mod mac;
pub mod mark;
pub mod mark_target;
pub mod multiport;
pub mod nat;
pub mod nfacct;
pub mod nflog;
pub mod owner;
pub mod physdev;
pub mod pkttype;
pub mod policy;
pub mod quota;
pub mod recent;
pub mod reject;
pub mod rpfilter;
pub mod sctp;
pub mod set;
pub mod socket;
mod spi;
pub mod state;
pub mod statistic;
pub mod string;
pub mod tcp;
pub mod tcpmss;
pub mod tcpmss_target;
pub mod tee;
pub mod time;
pub mod tos;
pub mod tproxy;
pub mod trace;
pub mod ttl;
pub mod ttl_target;
pub mod u32;
pub mod udp;
pub mod words;
pub mod x6;

use glassnet_kernel::tables::xt::{Match, TableName, Target, Variant};

use super::arbitrary::Maker;
use super::draw::{Draw, DrawnTarget, Place};
use crate::hosts::Hosts;

/// An option of an extension.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// Name without the dashes. An alias is an option of its own.
    pub name: &'static str,
    /// Number of arguments.
    pub args: usize,
    /// May be inverted with `!`; otherwise the error is `NAME: option "--X" cannot be inverted.`
    pub invert: bool,
    /// May be repeated, or `parse` checks it; otherwise the error is `NAME: option "--X" can only be used once.`
    pub multi: bool,
}

impl Opt {
    /// An option with one argument, that may be inverted.
    pub const fn invertible(name: &'static str) -> Opt {
        Opt { name, args: 1, invert: true, multi: false }
    }

    /// An option with one argument.
    pub const fn value(name: &'static str) -> Opt {
        Opt { name, args: 1, invert: false, multi: false }
    }

    /// An option without an argument.
    pub const fn flag(name: &'static str) -> Opt {
        Opt { name, args: 0, invert: false, multi: false }
    }

    /// An option without an argument, that may be inverted.
    pub const fn invertible_flag(name: &'static str) -> Opt {
        Opt { name, args: 0, invert: true, multi: false }
    }

    /// An option with this many arguments.
    pub const fn words(name: &'static str, args: usize) -> Opt {
        Opt { name, args, invert: false, multi: false }
    }

    /// Allows inversion.
    pub const fn not(self) -> Opt {
        Opt { invert: true, ..self }
    }

    /// Allows repetition.
    pub const fn many(self) -> Opt {
        Opt { multi: true, ..self }
    }
}

/// An option as given.
#[derive(Clone, Debug)]
pub struct Given {
    /// Which option.
    pub name: &'static str,
    /// `!` stood before it.
    pub invert: bool,
    /// Arguments, as many as [`Opt::args`]; fewer if the next words are options (`requires two args`).
    pub values: Vec<String>,
}

impl Given {
    /// The argument.
    pub fn value(&self) -> &str {
        self.values.first().map_or("", String::as_str)
    }
}

/// The other parts of the command.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The rule's `-p`: protocol number, 0: all; and whether it is inverted.
    pub proto: (u8, bool),
    /// The table.
    pub table: TableName,
    /// The variant.
    pub variant: Variant,
    /// The names of `/etc/hosts`.
    pub hosts: &'a Hosts,
    /// The names of the namespace's ipsets.
    pub sets: &'a [String],
}

/// Why a rule is refused by the parser. The common code adds the prefix `iptables v1.8.9 (nf_tables): ` and a newline;
/// if the real tool prints an empty line after its message, the text ends with a newline itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum XtError {
    /// `PARAMETER_PROBLEM`: exit status 2, with a hint to `--help`; said as the option is read.
    Parameter(String),
    /// The same, said when all options were read (`final_check`).
    Final(String),
    /// `OTHER_PROBLEM`: exit status 1 without the hint.
    Other(String),
    /// Not modelled: `-m NAME --option`, printed after `not modelled yet: iptables `.
    NotModelled(String),
}

/// Output format of an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As options (`-S`, `iptables-save`).
    Save,
    /// As a listing (`-L`).
    List {
        /// `-n`: ports and addresses as numbers.
        numeric: bool,
        /// The rule's protocol, for port names; 0: all.
        proto: u8,
    },
}

/// A match extension.
pub struct MatchExt {
    /// The name after `-m`.
    pub name: &'static str,
    /// Its options.
    pub options: &'static [Opt],
    /// Makes the kernel's structure.
    pub parse: fn(&[Given], &Context) -> Result<Match, XtError>,
    /// Appends the options, each word after a space; not `-m name`.
    pub show: fn(&Match, Style, &mut String),
    /// Adds it to a random rule with any of its options and any values, where it is allowed. `None`: the effect of
    /// such a rule depends on earlier rules.
    pub arbitrary: Option<fn(&mut Maker)>,
    /// For random cases: weight, and a function for its options; empty where it is not allowed.
    pub drawn: (usize, fn(&mut Draw, Place) -> String),
}

/// A target extension.
pub struct TargetExt {
    /// The name after `-j`.
    pub name: &'static str,
    /// Its options.
    pub options: &'static [Opt],
    /// Makes the kernel's structure.
    pub parse: fn(&[Given], &Context) -> Result<Target, XtError>,
    /// Appends the options, each word after a space; not `-j NAME`.
    pub show: fn(&Target, Style, &mut String),
    /// As [`MatchExt::arbitrary`].
    pub arbitrary: Option<fn(&mut Maker)>,
    /// As [`MatchExt::drawn`], with the protocol that the rule needs.
    pub drawn: (usize, fn(&mut Draw, Place) -> DrawnTarget),
}

/// All match extensions.
pub const MATCHES: &[&MatchExt] = &[
    &addrtype::EXT,
    &ah::EXT,
    &cluster::EXT,
    &comment::EXT,
    &connbytes::EXT,
    &connlimit::EXT,
    &connmark::EXT,
    &conntrack::EXT,
    &dscp::EXT,
    &ecn::EXT,
    &esp::EXT,
    &hashlimit::EXT,
    &helper::EXT,
    &icmp::EXT,
    &iprange::EXT,
    &ipvs::EXT,
    &length::EXT,
    &limit::EXT,
    &mac::EXT,
    &mark::EXT,
    &multiport::EXT,
    &nfacct::EXT,
    &owner::EXT,
    &physdev::EXT,
    &pkttype::EXT,
    &policy::EXT,
    &quota::EXT,
    &recent::EXT,
    &rpfilter::EXT,
    &sctp::EXT,
    &set::EXT,
    &socket::EXT,
    &state::EXT,
    &statistic::EXT,
    &string::EXT,
    &tcp::EXT,
    &tcpmss::EXT,
    &time::EXT,
    &tos::EXT,
    &ttl::EXT,
    &u32::EXT,
    &udp::EXT,
];

/// All target extensions.
pub const TARGETS: &[&TargetExt] = &[
    &audit::TARGET,
    &checksum::TARGET,
    &classify::TARGET,
    &connmark_target::TARGET,
    &ct::CT,
    &ct::NOTRACK,
    &dscp::TARGET,
    &ecn_target::TARGET,
    &log::TARGET,
    &mark_target::TARGET,
    &nat::DNAT,
    &nat::MASQUERADE,
    &nat::NETMAP,
    &nat::REDIRECT,
    &nat::SNAT,
    &nflog::TARGET,
    &reject::EXT,
    &set::TARGET,
    &tcpmss_target::TARGET,
    &tee::TARGET,
    &tos::TARGET,
    &tproxy::TARGET,
    &trace::TARGET,
    &ttl_target::TARGET,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use glassnet_kernel::net::netfilter::EXTENSIONS;

    use super::*;

    /// The kernel's rows, which `modprobe` reads, have the same matches and targets.
    #[test]
    fn the_kernel_has_what_the_tool_has() {
        let modules = || EXTENSIONS.iter().copied().flatten();
        let matches: BTreeSet<&str> = modules().flat_map(|module| module.matches).copied().collect();
        let targets: BTreeSet<&str> = modules().flat_map(|module| module.targets).copied().collect();
        assert_eq!(matches, MATCHES.iter().map(|ext| ext.name).collect());
        assert_eq!(targets, TARGETS.iter().map(|ext| ext.name).collect());
    }
}
