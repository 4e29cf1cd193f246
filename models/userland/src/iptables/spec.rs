//! The rule of a command: matches and target.

use std::net::Ipv4Addr;

use glassnet_kernel::tables::xt::{Action, Counters, IpMatch, Match, Rule, TableName, Variant};

use super::address;
use super::ext::{Context, Given, MATCHES, MatchExt, Opt, TARGETS, TargetExt, XtError};
use super::fail::{Done, Fail, Tool, parameter};
use super::native;
use super::parse::{NAME_MAX, Place};
use super::words::{Known, Words};
use crate::hosts::Hosts;
use crate::services;

/// Matches of Debian's iptables; some are not modelled.
#[rustfmt::skip] // A list of words.
const REAL_MATCHES: &[&str] = &[
    "addrtype", "ah", "bpf", "cgroup", "cluster", "comment", "connbytes", "connlabel", "connlimit", "connmark",
    "conntrack", "cpu", "dccp", "devgroup", "dscp", "ecn", "esp", "hashlimit", "helper", "icmp", "ipcomp",
    "iprange", "ipvs", "length", "limit", "mac", "mark", "multiport", "nfacct", "osf", "owner", "physdev",
    "pkttype", "policy", "quota", "rateest", "realm", "recent", "rpfilter", "sctp", "set", "socket", "state",
    "statistic", "string", "tcp", "tcpmss", "time", "tos", "ttl", "u32", "udp",
];

/// Targets of Debian's iptables; some are not modelled.
#[rustfmt::skip] // A list of words.
const REAL_TARGETS: &[&str] = &[
    "AUDIT", "CHECKSUM", "CLASSIFY", "CLUSTERIP", "CONNMARK", "CONNSECMARK", "CT", "DNAT", "DSCP", "ECN",
    "HMARK", "IDLETIMER", "LED", "LOG", "MARK", "MASQUERADE", "NETMAP", "NFLOG", "NFQUEUE", "NOTRACK",
    "QUEUE", "RATEEST", "REDIRECT", "REJECT", "SECMARK", "SET", "SNAT", "SYNPROXY", "TCPMSS", "TCPOPTSTRIP",
    "TEE", "TOS", "TPROXY", "TRACE", "TTL", "ULOG",
];

/// The name of a match or target of Debian's iptables.
pub fn is_real_extension(name: &str) -> bool {
    REAL_MATCHES.contains(&name) || REAL_TARGETS.contains(&name)
}

/// The name of a verdict, which needs no extension.
pub fn is_standard(name: &str) -> bool {
    matches!(name, "ACCEPT" | "DROP" | "QUEUE" | "RETURN")
}

/// The name of a target, which a chain must not have.
pub fn is_target(name: &str) -> bool {
    name.is_empty() || is_standard(name) || REAL_TARGETS.contains(&name)
}

/// A loaded extension with its options.
struct Loaded<E: 'static> {
    ext: &'static E,
    given: Vec<Given>,
}

/// Target of a rule, as parsed so far.
enum Goal {
    None,
    Standard(Action),
    Chain(String),
    Goto(String),
    Target(Loaded<TargetExt>),
}

/// A rule, as parsed so far.
pub struct Spec {
    tool: Tool,
    /// `-s` and whether it is inverted.
    pub source: Option<(String, bool)>,
    /// `-d`.
    pub destination: Option<(String, bool)>,
    /// Protocol, interfaces and fragments; addresses are added last.
    pub ip: IpMatch,
    matches: Vec<Loaded<MatchExt>>,
    goal: Goal,
    /// Options of the loaded matches and target, in order.
    known: Vec<&'static [Opt]>,
    /// For each of [`Self::known`] the match, or the target (`None`).
    owners: Vec<Option<usize>>,
    /// For each option of an extension that was read: its match, or the target (`None`), and the `-p` up to there.
    read: Vec<(Option<usize>, (u8, bool))>,
    proto_tried: bool,
}

impl Spec {
    /// An empty rule.
    pub fn new(tool: Tool) -> Spec {
        Spec {
            tool,
            source: None,
            destination: None,
            ip: IpMatch::default(),
            matches: Vec::new(),
            goal: Goal::None,
            known: Vec::new(),
            owners: Vec::new(),
            read: Vec::new(),
            proto_tried: false,
        }
    }

    /// Options of the loaded extensions.
    pub fn known(&self) -> Known<'_> {
        &self.known
    }

    /// `-p`.
    pub fn set_protocol(&mut self, number: u8, invert: bool) {
        self.ip.proto = (number, invert);
        self.proto_tried = false;
    }

    /// `-m NAME`.
    ///
    /// # Errors
    ///
    /// A name that is too long or unknown, or a match that is not modelled yet.
    pub fn load_match(&mut self, name: &str) -> Done {
        if name.len() > NAME_MAX {
            return Err(parameter(format!("Invalid match name \"{name}\" (28 chars max)")));
        }
        match MATCHES.iter().find(|ext| ext.name == name) {
            Some(ext) => self.add_match(ext),
            None if REAL_MATCHES.contains(&name) => return Err(Fail::NotModelled(format!("-m {name}"))),
            None => {
                return Err(parameter(format!("Couldn't load match `{name}':No such file or directory\n")));
            }
        }
        Ok(())
    }

    fn add_match(&mut self, ext: &'static MatchExt) {
        self.known.push(ext.options);
        self.owners.push(Some(self.matches.len()));
        self.matches.push(Loaded { ext, given: Vec::new() });
    }

    /// Loads the match of the protocol for an unknown option (`-p` without `-m`). True if it was loaded now.
    ///
    /// # Errors
    ///
    /// The match is not modelled yet.
    pub fn load_protocol(&mut self) -> Done<bool> {
        let Some(name) = services::protocol_name(self.ip.proto.0).filter(|_| self.ip.proto.0 != 0) else {
            return Ok(false);
        };
        if self.proto_tried || self.matches.iter().any(|loaded| loaded.ext.name == name) {
            return Ok(false);
        }
        self.proto_tried = true;
        match MATCHES.iter().find(|ext| ext.name == name) {
            Some(ext) => self.add_match(ext),
            None if REAL_MATCHES.contains(&name) => return Err(Fail::NotModelled(format!("-m {name}"))),
            None => return Ok(false),
        }
        Ok(true)
    }

    /// Parses an option of an extension.
    ///
    /// # Errors
    ///
    /// The option is repeated or inverted, which it does not allow.
    pub fn option(
        &mut self,
        at: usize,
        opt: &'static Opt,
        value: Option<&str>,
        invert: bool,
        words: &mut Words,
    ) -> Done {
        let mut values: Vec<String> = Vec::with_capacity(opt.args);
        values.extend(value.map(str::to_owned));
        while values.len() < opt.args {
            let Some(word) = words.take() else { break };
            values.push(word.to_owned());
        }
        let owner = self.owners.get(at).copied().flatten();
        let (name, given) = match owner {
            Some(of) => (self.matches[of].ext.name, &mut self.matches[of].given),
            None => match &mut self.goal {
                Goal::Target(target) => (target.ext.name, &mut target.given),
                _ => return Ok(()),
            },
        };
        if !opt.multi && given.iter().any(|known| known.name == opt.name) {
            return Err(parameter(format!("{name}: option \"--{}\" can only be used once.\n", opt.name)));
        }
        if invert && !opt.invert {
            return Err(parameter(format!("{name}: option \"--{}\" cannot be inverted.\n", opt.name)));
        }
        given.push(Given { name: opt.name, invert, values });
        self.read.push((owner, self.ip.proto));
        Ok(())
    }

    /// `-j NAME`.
    ///
    /// # Errors
    ///
    /// A name that is empty, too long or contains blanks, or a target that is not modelled yet.
    pub fn jump(&mut self, name: &str) -> Done {
        target_name(name)?;
        self.goal = match name {
            "ACCEPT" => Goal::Standard(Action::Accept),
            "DROP" => Goal::Standard(Action::Drop),
            "RETURN" => Goal::Standard(Action::Return),
            _ => match TARGETS.iter().find(|ext| ext.name == name) {
                Some(ext) => {
                    self.known.push(ext.options);
                    self.owners.push(None);
                    Goal::Target(Loaded { ext, given: Vec::new() })
                }
                None if REAL_TARGETS.contains(&name) => {
                    return Err(Fail::NotModelled(format!("-j {name}")));
                }
                None => Goal::Chain(name.to_owned()),
            },
        };
        Ok(())
    }

    /// `-g NAME`.
    ///
    /// # Errors
    ///
    /// A name that is empty, too long or contains blanks.
    pub fn goto(&mut self, name: &str) -> Done {
        target_name(name)?;
        self.goal = Goal::Goto(name.to_owned());
        Ok(())
    }

    /// `-j NAME` was given.
    pub fn jumps_to(&self, name: &str) -> bool {
        name == "DROP" && matches!(self.goal, Goal::Standard(Action::Drop))
    }

    /// Output of `-h`: the tool's options, then those of the loaded extensions.
    pub fn help(&self, tool: Tool, out: &mut String) -> Fail {
        if let Some(ext) = self.matches.first() {
            return Fail::NotModelled(format!("-m {} -h", ext.ext.name));
        }
        if self.ip.proto.0 != 0 {
            return Fail::NotModelled("-p PROTOCOL -h".to_owned());
        }
        if let Goal::Target(target) = &self.goal {
            return Fail::NotModelled(format!("-j {} -h", target.ext.name));
        }
        let name = tool.name;
        *out += &format!("{name} {}\n", tool.version());
        *out += &include_str!("help.txt").replace("iptables -", &format!("{name} -"));
        Fail::Done(0)
    }

    fn context<'p>(&self, place: Place<'p>, table: &str) -> Context<'p> {
        Context {
            proto: self.ip.proto,
            table: TableName::parse(table).unwrap_or(TableName::Filter),
            variant: place.tool.variant,
            hosts: place.hosts,
            sets: place.sets,
        }
    }

    /// Judges the options of extensions one by one, as the real tool does when it reads them: each with those before it
    /// and the `-p` that came before. Their warnings go to `warnings`.
    ///
    /// # Errors
    ///
    /// The first one.
    pub fn judge(&self, place: Place, table: &str, warnings: &mut String) -> Done {
        let mut counts = vec![0; self.matches.len()];
        let mut of_target = 0;
        for (owner, proto) in &self.read {
            let context = Context { proto: *proto, ..self.context(place, table) };
            let (name, given, judged) = match (owner, &self.goal) {
                (Some(at), _) => {
                    counts[*at] += 1;
                    let Loaded { ext, given } = &self.matches[*at];
                    let given = &given[..counts[*at]];
                    (ext.name, given, (ext.parse)(given, &context).map(drop))
                }
                (None, Goal::Target(Loaded { ext, given })) => {
                    of_target += 1;
                    let given = &given[..of_target];
                    (ext.name, given, (ext.parse)(given, &context).map(drop))
                }
                (None, _) => continue,
            };
            match judged {
                Ok(()) | Err(XtError::Final(_)) => {}
                Err(error) => return Err(error.into()),
            }
            for line in super::ext::words::warnings(name, &given[given.len() - 1..]) {
                *warnings += &line;
                warnings.push('\n');
            }
        }
        Ok(())
    }

    /// Some option may be wrong, or have a warning: [`Spec::judge`] is to be asked.
    pub fn is_doubtful(&self) -> bool {
        let is_late = self.read.iter().any(|(_, proto)| *proto != self.ip.proto);
        let may_warn = |name: &str| super::ext::words::WITH_WARNINGS.contains(&name);
        is_late
            || self.matches.iter().any(|loaded| may_warn(loaded.ext.name))
            || matches!(&self.goal, Goal::Target(target) if may_warn(target.ext.name))
    }

    /// Parses the options of each extension. What is to be said when all were read goes to `warnings`.
    ///
    /// # Errors
    ///
    /// The first error of an extension.
    pub fn parse_extensions(&mut self, place: Place, table: &str, warnings: &mut String) -> Done<Vec<Match>> {
        let context = self.context(place, table);
        let mut matches = Vec::with_capacity(self.matches.len());
        for loaded in &self.matches {
            matches.push((loaded.ext.parse)(&loaded.given, &context)?);
        }
        if let Goal::Target(Loaded { ext, given }) = &self.goal {
            let target = (ext.parse)(given, &context)?;
            *warnings += super::ext::words::final_warning(ext.name, given).unwrap_or_default();
            self.goal = Goal::Standard(Action::Target(target));
        }
        Ok(matches)
    }

    /// The rules, one per source and destination. `letter` is the operation's.
    ///
    /// # Errors
    ///
    /// An address that is invalid, several addresses where one is needed, and those of `native::rewrite`.
    pub fn rules(&mut self, hosts: &Hosts, letter: char, matches: Vec<Match>) -> Done<Vec<Rule>> {
        if !matches!(letter, 'A' | 'C' | 'D' | 'I' | 'R') {
            return Ok(Vec::new());
        }
        let sources = addresses(self.source.as_ref(), hosts)?;
        let destinations = addresses(self.destination.as_ref(), hosts)?;
        let inverted = |given: &Option<(String, bool)>| given.as_ref().is_some_and(|(_, invert)| *invert);
        let (not_source, not_destination) = (inverted(&self.source), inverted(&self.destination));
        if sources.len() > 1 && not_source || destinations.len() > 1 && not_destination {
            return Err(parameter("! not allowed with multiple source or destination IP addresses"));
        }
        if letter == 'R' && sources.len() * destinations.len() > 1 {
            return Err(parameter("Replacement rule does not specify a unique address"));
        }
        let action = match std::mem::replace(&mut self.goal, Goal::None) {
            Goal::None => Action::None,
            Goal::Standard(action) => action,
            Goal::Chain(name) => Action::Jump(name),
            Goal::Goto(name) => Action::Goto(name),
            Goal::Target(_) => Action::None,
        };
        let mut ip = std::mem::take(&mut self.ip);
        (ip.src.invert, ip.dst.invert) = (not_source, not_destination);
        let mut rule = Rule { ip, matches, action, counters: Counters::default() };
        if self.tool.variant == Variant::Nft {
            native::rewrite(&mut rule)?;
        }
        let mut rules = Vec::with_capacity(sources.len() * destinations.len());
        for source in &sources {
            for destination in &destinations {
                let mut rule = rule.clone();
                (rule.ip.src.addr, rule.ip.src.mask) = *source;
                (rule.ip.dst.addr, rule.ip.dst.mask) = *destination;
                rules.push(rule);
            }
        }
        Ok(rules)
    }
}

fn target_name(name: &str) -> Done {
    if name.is_empty() {
        return Err(parameter("Invalid target name (too short)"));
    }
    if name.len() > NAME_MAX {
        return Err(parameter(format!("Invalid target name `{name}' (28 chars max)")));
    }
    if name.contains([' ', '\t', '\n', '\r']) {
        return Err(parameter(format!("Invalid target name `{name}'")));
    }
    Ok(())
}

fn addresses(given: Option<&(String, bool)>, hosts: &Hosts) -> Done<Vec<(Ipv4Addr, Ipv4Addr)>> {
    match given {
        Some((text, _)) => Ok(address::address_list(text, hosts)?),
        None => Ok(vec![(Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED)]),
    }
}
