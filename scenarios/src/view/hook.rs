//! A packet at a netfilter hook.

use glassnet_cluster::kube_proxy::explain::Explained;
use glassnet_kernel::note::{ConntrackNote, HookNote, IpvsNote, Note, Outcome};
use glassnet_kernel::tables::conntrack::Dir;
use glassnet_kernel::tables::drop_reason::DropReason;
use glassnet_kernel::trace::{Headers, StepKind};

use super::rules::{Fate, Met, Tried};
use super::story::Story;
use super::{fields, notes};

/// A packet at a hook.
#[derive(Clone, Debug)]
pub struct Hooked {
    /// `ip` or `bridge`.
    pub family: &'static str,
    /// The hook by its chain's name: `PREROUTING`.
    pub chain: &'static str,
    /// The input device; empty: none.
    pub input: String,
    /// The output device; empty: none.
    pub output: String,
    /// A bridged packet at an IPv4 hook (`br_netfilter`).
    pub bridged: bool,
    /// Notes of connection tracking.
    pub conntrack: Vec<ConntrackNote>,
    /// Traversed tables.
    pub tables: Vec<Met>,
    /// Where IPVS sends the packet, and what of a cluster stands behind that.
    pub ipvs: Option<(IpvsNote, Option<Explained>)>,
    /// Address rewritten by NAT.
    pub nat: Option<Rewritten>,
    /// Other changed fields: name, before, after.
    pub changed: Vec<(&'static str, String, String)>,
    /// Drop reason, if it was dropped.
    pub dropped: Option<DropReason>,
    /// The first step after the hook, if any.
    pub end: Option<usize>,
}

/// A rewritten address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// `SNAT`, `DNAT`, or for a reply `reverse SNAT`, `reverse DNAT`.
    pub kind: &'static str,
    /// Address and port before.
    pub from: String,
    /// Address and port after.
    pub to: String,
}

impl Hooked {
    /// The hook of the step in `nf_hook_slow`; `None` for another step, or without a note.
    pub fn at(story: &Story, at: usize) -> Option<Hooked> {
        let step = story.step(at);
        let note = hook_note(story, at)?;
        let mut hooked = Hooked {
            family: notes::family(note.pf),
            chain: note.hook.chain(),
            input: note.input.clone(),
            output: note.output.clone(),
            bridged: note.physin.is_some() || note.physout.is_some(),
            conntrack: Vec::new(),
            tables: Vec::new(),
            ipvs: None,
            nat: None,
            changed: Vec::new(),
            dropped: None,
            end: None,
        };
        for later in story.steps_of(step.packet, at) {
            hooked.conntrack.extend(story.notes(later).filter_map(|note| match note {
                Note::Conntrack(note) => Some(note.clone()),
                _ => None,
            }));
            hooked.ipvs = hooked.ipvs.or_else(|| story.ipvs(later));
            let step = story.step(later);
            match step.kind {
                StepKind::Call if step.func.is_end() => break,
                StepKind::Call => hooked.tables.extend(story.met(later)),
                StepKind::Door if later == at => {}
                StepKind::Door => {
                    hooked.end = Some(later);
                    break;
                }
                StepKind::Drop(reason) => {
                    hooked.dropped = Some(reason);
                    break;
                }
            }
        }
        hooked.compare(story, at);
        Some(hooked)
    }

    /// Records the header fields that the hook changed.
    fn compare(&mut self, story: &Story, at: usize) {
        let after = self.end.and_then(|end| story.headers_at(end));
        let (Some(before), Some(after)) = (story.headers_at(at), after) else { return };
        let found = self.conntrack.iter().filter_map(|note| match note {
            ConntrackNote::Found(info, _) => Some(*info),
            _ => None,
        });
        let is_reply = found.chain(story.ctstate(at).flatten()).any(|info| info.dir() == Dir::Reply);
        let kinds = if is_reply { ["reverse DNAT", "reverse SNAT"] } else { ["SNAT", "DNAT"] };
        for (kind, end) in kinds.into_iter().zip([End::Source, End::Destination]) {
            let (from, to) = (end.of(before), end.of(after));
            if from != to {
                self.nat = Some(Rewritten { kind, from, to });
            }
        }
        let kept =
            |name: &str| !name.ends_with("checksum") && !name.starts_with("eth.") && !ENDS.contains(&name);
        let changes = fields::changes(Some(before), after).into_iter().filter(|change| kept(change.0));
        self.changed = changes.filter_map(|(name, old, new)| Some((name, old?, new))).collect();
    }

    /// The dropping rule, in a few words.
    pub fn dropped_by(&self) -> Option<String> {
        self.dropped?;
        self.tables.iter().rev().find_map(Met::dropped).or_else(|| self.without_destination())
    }

    /// IPVS, if it refused the packet because no destination takes it.
    fn without_destination(&self) -> Option<String> {
        let (IpvsNote { service: (_, address, port), dest: None, .. }, object) = self.ipvs.as_ref()? else {
            return None;
        };
        let object = object.as_ref().map_or(String::new(), |object| format!(" ({})", object.objects()));
        Some(format!("IPVS, which has no destination for {address}:{port}{object}"))
    }

    /// The reply of a rule that dropped the packet: `answered with icmp-port-unreachable`.
    pub fn refused(&self) -> Option<String> {
        if self.without_destination().is_some() {
            return Some("answered with icmp-port-unreachable".to_owned());
        }
        let last = self.tables.iter().rev().find(|met| met.dropped().is_some())?.decided()?;
        let (_, with) = last.rule.split_once(" -j REJECT")?;
        let with = with.trim_start().strip_prefix("--reject-with ").unwrap_or("an error");
        Some(format!("answered with {with}"))
    }

    /// The change by NAT: `nat POSTROUTING: SNAT 10.0.0.2:1000 -> 10.0.1.1:1000`.
    pub fn nat_line(&self) -> Option<String> {
        let Rewritten { kind, from, to } = self.nat.as_ref()?;
        let objects = self.about().map_or(String::new(), |about| format!(" ({about})"));
        Some(format!("nat {}: {kind} {from} -> {to}{objects}", self.chain))
    }

    /// What of a cluster stands behind the rules that matched and what IPVS chose, in order.
    pub fn explained(&self) -> impl DoubleEndedIterator<Item = &Explained> {
        let by_ipvs = self.ipvs.iter().filter_map(|(_, object)| object.as_ref());
        self.matched().filter_map(|tried| tried.object.as_ref()).chain(by_ipvs)
    }

    fn matched(&self) -> impl DoubleEndedIterator<Item = &Tried> {
        self.tables.iter().flat_map(|met| met.tried.iter())
    }

    /// Service and endpoint that the packet was for, and why it is masqueraded.
    fn about(&self) -> Option<String> {
        let with_endpoint = self.explained().rev().find(|object| object.endpoint.is_some());
        let known = with_endpoint.or_else(|| self.explained().rev().find(|object| object.service.is_some()));
        let Some(known) = known else {
            return self.explained().next_back().map(|object| format!("{}: {}", object.agent, object.why));
        };
        let is_marked = |tried: &&Tried| match &tried.fate {
            Fate::Match { verdict: Outcome::Jump(chain) } => chain == "KUBE-MARK-MASQ",
            _ => false,
        };
        let marked = self.matched().find(is_marked).and_then(|tried| tried.object.as_ref());
        let why = marked.map_or(String::new(), |object| format!("; {}", object.why));
        Some(known.objects() + &why)
    }
}

const ENDS: &[&str] =
    &["ip.src", "ip.dst", "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "icmp.id"];

/// The hook note of this step.
pub fn hook_note<'a>(story: &Story<'a>, at: usize) -> Option<&'a HookNote> {
    story.notes(at).find_map(|note| match note {
        Note::Hook(note) => Some(note),
        _ => None,
    })
}

/// An end of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where it comes from.
    Source,
    /// Where it goes to.
    Destination,
}

impl End {
    /// Address and port, `10.0.0.2:1000`; the address alone without ports, for ICMP the source with the identifier.
    pub fn of(self, headers: &Headers) -> String {
        let fields = fields::fields(headers);
        let value = |names: &[&str]| {
            fields.iter().find(|field| names.contains(&field.0)).map(|field| field.1.as_str())
        };
        let (address, port) = match self {
            End::Source => ("ip.src", value(&["tcp.srcport", "udp.srcport", "icmp.id"])),
            End::Destination => ("ip.dst", value(&["tcp.dstport", "udp.dstport"])),
        };
        let address = value(&[address]).unwrap_or("?");
        port.map_or(address.to_owned(), |port| format!("{address}:{port}"))
    }
}
