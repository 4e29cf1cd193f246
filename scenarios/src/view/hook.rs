//! What happened to a packet at one of netfilter's hooks.

use glassnet_kernel::door::Func;
use glassnet_kernel::note::{ConntrackNote, HookNote, Note};
use glassnet_kernel::tables::conntrack::Dir;
use glassnet_kernel::tables::drop_reason::DropReason;
use glassnet_kernel::trace::{Headers, StepKind};

use super::rules::Met;
use super::story::Story;
use super::{fields, notes};

/// A packet at a hook.
#[derive(Clone, Debug)]
pub struct Hooked {
    /// `ip` or `bridge`.
    pub family: &'static str,
    /// The hook by the name of its chain: `PREROUTING`.
    pub chain: &'static str,
    /// The device that it came in by; empty: none.
    pub input: String,
    /// The device that it leaves by; empty: none.
    pub output: String,
    /// A bridge offers it to the hook of IPv4 (`br_netfilter`).
    pub bridged: bool,
    /// What connection tracking made of it here, in order.
    pub conntrack: Vec<ConntrackNote>,
    /// The tables that it met, in order.
    pub tables: Vec<Met>,
    /// What NAT rewrote.
    pub nat: Option<Rewritten>,
    /// Other fields that changed: name, before, after.
    pub changed: Vec<(&'static str, String, String)>,
    /// The packet did not get through, and why.
    pub dropped: Option<DropReason>,
    /// The first step behind the hook, if any.
    pub end: Option<usize>,
}

/// One end of a packet before and after NAT.
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
    /// What happened at the step in `nf_hook_slow`; `None` at another step, or if nobody noted the hook.
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
            let step = story.step(later);
            match step.kind {
                StepKind::Call if step.func == Func::ConsumeSkb => break,
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

    /// Finds what the hook changed in the headers.
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

    /// Where the packet was dropped, in a few words, if rules did it.
    pub fn dropped_by(&self) -> Option<String> {
        self.dropped.and_then(|_| self.tables.iter().rev().find_map(Met::dropped))
    }

    /// What a rule answered as it dropped the packet: `answered with icmp-port-unreachable`.
    pub fn refused(&self) -> Option<String> {
        let last = self.tables.iter().rev().find(|met| met.dropped().is_some())?.decided()?;
        let (_, with) = last.rule.split_once(" -j REJECT")?;
        let with = with.trim_start().strip_prefix("--reject-with ").unwrap_or("an error");
        Some(format!("answered with {with}"))
    }

    /// What NAT did, in a line: `nat POSTROUTING: SNAT 10.0.0.2:1000 -> 10.0.1.1:1000`.
    pub fn nat_line(&self) -> Option<String> {
        let Rewritten { kind, from, to } = self.nat.as_ref()?;
        Some(format!("nat {}: {kind} {from} -> {to}", self.chain))
    }
}

const ENDS: &[&str] =
    &["ip.src", "ip.dst", "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "icmp.id"];

/// The note that names the hook of this step.
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
    /// Address and port, `10.0.0.2:1000`; only the address without ports, for ICMP the source with the identifier.
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
