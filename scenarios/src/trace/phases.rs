//! Phases of a trace.

use glassnet_cluster::kube_proxy::explain::Explained;
use glassnet_kernel::door::Func;
use glassnet_kernel::note::{Note, Outcome};
use glassnet_kernel::trace::StepKind;

use crate::view::{
    End, Fate, Hooked, Leg, Met, Place, Story, drop_text, hook_note, ipvs_words, note_words, place,
};
use glassnet_kernel::drivers::nic::transmits;

/// Kind of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A program sends the packet.
    Sent,
    /// A hook of netfilter.
    Hook,
    /// Routing.
    Route,
    /// A bridge.
    Bridge,
    /// A cable between two devices, or `lo`.
    Cable,
    /// Waits for address resolution.
    Neighbour,
    /// Delivered to a socket, or to the kernel.
    Delivered,
    /// It is dropped.
    Dropped,
}

impl Kind {
    /// Name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Sent => "sent",
            Kind::Hook => "hook",
            Kind::Route => "route",
            Kind::Bridge => "bridge",
            Kind::Cable => "cable",
            Kind::Neighbour => "neighbour",
            Kind::Delivered => "delivered",
            Kind::Dropped => "dropped",
        }
    }
}

/// A phase.
#[derive(Clone, Debug)]
pub struct Phase {
    /// Kind.
    pub kind: Kind,
    /// The machine.
    pub machine: String,
    /// The namespace; empty for the machine's own.
    pub netns: String,
    /// Machine and namespace for people, in a format of `--from`: a pod by its name.
    pub host: String,
    /// The device; empty if there is none yet.
    pub device: String,
    /// What happened.
    pub text: String,
    /// The hook, if it is one.
    pub hook: Option<Hooked>,
    /// Source before the phase, `10.0.0.2:1000`.
    pub src: String,
    /// Destination before the phase.
    pub dst: String,
    /// Source and destination after it, if it changed them.
    pub after: Option<(String, String)>,
    /// Its step, as an index into the trace.
    pub step: usize,
}

/// The phases of a trace.
pub fn phases(story: &Story, way: &[usize]) -> Vec<Phase> {
    let leg = Leg { packet: 0, steps: way.to_vec() };
    let reader = Reader { story, leg: &leg };
    (0..way.len()).filter_map(|position| reader.phase(position)).collect()
}

struct Reader<'r, 'a> {
    story: &'r Story<'a>,
    leg: &'r Leg,
}

impl<'a> Reader<'_, 'a> {
    fn phase(&self, position: usize) -> Option<Phase> {
        let at = self.leg.steps[position];
        let step = self.story.step(at);
        if let StepKind::Drop(reason) = step.kind {
            if self.is_delivered_before(position) || self.is_at_hook(position) {
                return None;
            }
            return Some(self.make(
                Kind::Dropped,
                position,
                drop_text(self.story, self.leg, position, reason),
            ));
        }
        if let Some(hooked) = Hooked::at(self.story, at) {
            return self.at_hook(position, hooked);
        }
        let (kind, text) = match step.func {
            Func::RawSendmsg => (Kind::Sent, self.sent(position)),
            Func::NetifRxInner if position == 0 => (Kind::Sent, "comes in from outside".to_owned()),
            Func::IpRouteInputNoref => (Kind::Route, self.input_route(position)?),
            Func::IpRouteMeHarder => (Kind::Route, self.output_route(position, "routed anew")?),
            Func::BrForward => {
                let bridge = self.bridge(position);
                (
                    Kind::Bridge,
                    format!(
                        "crosses bridge {bridge} to port {}",
                        self.device_of_next(position, Func::BrForwardFinish)
                    ),
                )
            }
            Func::BrFlood => {
                let ports = self.story.flooded(at);
                (
                    Kind::Bridge,
                    format!(
                        "bridge {} does not know where the receiver is: to {ports}",
                        self.bridge(position)
                    ),
                )
            }
            Func::BrPassFrameUp => {
                (Kind::Bridge, format!("goes up from bridge {} to this host", self.bridge(position)))
            }
            Func::VethXmit => (Kind::Cable, self.veth(position)),
            Func::LoopbackXmit => (Kind::Cable, "out of lo, and in again".to_owned()),
            func if transmits(func) => (Kind::Cable, self.wire(position)),
            Func::NeighEventSend if self.waits(position) => {
                (Kind::Neighbour, "waits: ARP asks for the next hop's MAC address".to_owned())
            }
            Func::TcpV4DoRcv | Func::UdpQueueRcvSkb | Func::IcmpEcho => {
                (Kind::Delivered, self.delivered(position))
            }
            _ => return None,
        };
        Some(self.make(kind, position, text))
    }

    fn make(&self, kind: Kind, position: usize, text: String) -> Phase {
        let at = self.leg.steps[position];
        let place = place(self.story, self.leg, position);
        let host = self.story.host(&place);
        let Place { machine, netns, device } = place;
        let headers = self.story.headers_at(at);
        let end = |end: End| headers.map_or(String::new(), |headers| end.of(headers));
        Phase {
            kind,
            machine: machine.to_owned(),
            netns,
            host,
            device: device.to_owned(),
            text,
            hook: None,
            src: end(End::Source),
            dst: end(End::Destination),
            after: None,
            step: at,
        }
    }

    fn func(&self, position: usize) -> Func {
        self.story.step(self.leg.steps[position]).func
    }

    /// The first position from `position` on in this function.
    fn next(&self, position: usize, wanted: &[Func]) -> Option<usize> {
        (position..self.leg.steps.len()).find(|at| wanted.contains(&self.func(*at)))
    }

    fn device_of_next(&self, position: usize, func: Func) -> &'a str {
        self.next(position, &[func]).map_or("?", |at| self.story.place(self.leg.steps[at]).device)
    }

    /// The bridge of a frame: from the note of the step that took it, or the sending device.
    fn bridge(&self, position: usize) -> String {
        let taken = (0..position)
            .rev()
            .take(64)
            .find(|at| [Func::BrHandleFrame, Func::BrDevXmit].contains(&self.func(*at)));
        let at = taken.map(|at| self.leg.steps[at]);
        let noted = at.and_then(|at| self.story.bridge(at));
        noted.or(at.map(|at| self.story.place(at).device)).unwrap_or("").to_owned()
    }

    /// A hook without an effect is not a phase.
    fn at_hook(&self, position: usize, hooked: Hooked) -> Option<Phase> {
        let at = self.leg.steps[position];
        let has_rules = hooked.tables.iter().any(|met| met.tried.len() > 1 || met.matched().next().is_some());
        let nothing = hooked.nat.is_none() && hooked.changed.is_empty() && hooked.dropped.is_none();
        if nothing
            && !has_rules
            && hooked.conntrack.is_empty()
            && hooked.tables.is_empty()
            && hooked.ipvs.is_none()
        {
            return None;
        }
        let what = match (&hooked.nat, hooked.dropped) {
            (_, Some(_)) => match (hooked.dropped_by(), hooked.refused()) {
                (Some(by), Some(answer)) => format!("refused by {by} ({answer})"),
                (Some(by), None) => format!("dropped by {by}"),
                (None, _) => "dropped".to_owned(),
            },
            (Some(nat), None) => format!("{} {} -> {}", nat.kind, nat.from, nat.to),
            (None, None) if hooked.changed.is_empty() => "accepted".to_owned(),
            (None, None) => {
                let changed = hooked.changed.iter().map(|(name, old, new)| format!("{name} {old} -> {new}"));
                changed.collect::<Vec<_>>().join(", ")
            }
        };
        let of_bridge = if hooked.bridged { " for the bridge" } else { "" };
        let mut phase = self.make(Kind::Hook, position, format!("{}{of_bridge}: {what}", hooked.chain));
        if hooked.nat.is_some() {
            let after = hooked.end.and_then(|end| self.story.headers_at(end));
            phase.after = after.map(|headers| (End::Source.of(headers), End::Destination.of(headers)));
        }
        let device = if hooked.output.is_empty() { &hooked.input } else { &hooked.output };
        if !device.is_empty() {
            phase.device = device.clone();
        }
        debug_assert_eq!(phase.step, at);
        phase.hook = Some(hooked);
        Some(phase)
    }

    fn sent(&self, position: usize) -> String {
        let device = self.leaves_by(position);
        match self.output_route(position, "routed") {
            Some(route) => format!("a program sends; {route}"),
            None if device.is_empty() => "a program sends".to_owned(),
            None => format!("a program sends, out by {device}"),
        }
    }

    /// The FIB lookup result between here and the next function that the packet passes into.
    fn fib(&self, position: usize) -> Option<String> {
        let steps = &self.leg.steps[position..];
        let until = steps.iter().skip(1).position(|at| self.story.step(*at).kind != StepKind::Call);
        let steps = &steps[..until.map_or(steps.len(), |until| until + 1)];
        let mut notes = steps.iter().flat_map(|at| self.story.notes(*at));
        // The lookup for the packet is first, that for its source second.
        notes.find(|note| matches!(note, Note::Fib(_))).map(note_words)
    }

    /// The output device, from the next hook or IPv4 output.
    fn leaves_by(&self, position: usize) -> String {
        let Some(next) = self.next(position + 1, &[Func::NfHookSlow, Func::IpFinishOutput]) else {
            return String::new();
        };
        let at = self.leg.steps[next];
        match Hooked::at(self.story, at) {
            Some(hooked) => hooked.output,
            None => self.story.place(at).device.to_owned(),
        }
    }

    fn output_route(&self, position: usize, verb: &str) -> Option<String> {
        let route = self.fib(position)?;
        let device = self.leaves_by(position);
        Some(format!("{verb} by {route}, out by {device}").trim_end_matches(", out by ").to_owned())
    }

    fn input_route(&self, position: usize) -> Option<String> {
        let ends = [
            Func::BrNfPreRoutingFinishBridge,
            Func::IpLocalDeliver,
            Func::IpForward,
            Func::IpError,
            Func::KfreeSkbReason,
        ];
        let next = self.next(position, &ends)?;
        let by = self.fib(position).map_or(String::new(), |fib| format!(" ({fib})"));
        Some(match self.func(next) {
            // DNAT changed the destination of a bridged packet; it is resolved.
            Func::BrNfPreRoutingFinishBridge => {
                let bridge = self.story.place(self.leg.steps[position]).device;
                format!("routing decision: out by {bridge} again, so the frame stays in the bridge{by}")
            }
            Func::IpLocalDeliver => format!("routing decision: for this host{by}"),
            Func::IpForward => {
                let device = self.leaves_by(next);
                format!("routing decision: forward, out by {device}{by}")
            }
            _ => format!("routing decision: no way{by}"),
        })
    }

    fn veth(&self, position: usize) -> String {
        let far = self.next(position, &[Func::NetifRxInner]);
        let Some(far) = far.map(|at| self.story.place(self.leg.steps[at])) else {
            return "out, into the veth cable".to_owned();
        };
        format!("through the veth cable to {} in {}", far.device, self.story.host(&far))
    }

    fn wire(&self, position: usize) -> String {
        match self.next(position + 1, &[Func::NapiGroReceive]).map(|at| self.story.place(self.leg.steps[at]))
        {
            Some(far) => format!("out, on the wire, and in by {} of {}", far.device, far.machine),
            None => "out, on the wire".to_owned(),
        }
    }

    /// The packet is queued until an event of another packet or timer.
    fn waits(&self, position: usize) -> bool {
        let at = self.leg.steps[position];
        let next =
            self.leg.steps[position + 1..].iter().find(|at| self.story.step(**at).kind != StepKind::Call);
        next.is_none_or(|next| self.others_between(at, *next))
    }

    /// Another packet was processed between two steps.
    fn others_between(&self, from: usize, to: usize) -> bool {
        (from..to).any(|at| ![0, self.story.step(from).packet].contains(&self.story.step(at).packet))
    }

    fn delivered(&self, position: usize) -> String {
        let steps = &self.leg.steps[..=position];
        let mut notes = steps.iter().rev().flat_map(|at| self.story.notes(*at));
        match self.func(position) {
            Func::IcmpEcho => "delivered: the kernel answers the echo request".to_owned(),
            Func::UdpQueueRcvSkb => {
                let at = self.leg.steps[position];
                let to =
                    self.story.headers_at(at).map_or(String::new(), |headers| End::Destination.of(headers));
                format!("delivered to a UDP socket that receives {to}")
            }
            _ => {
                let socket = notes.find(|note| matches!(note, Note::Socket(_)));
                format!("delivered to the TCP socket {}", socket.map_or(String::new(), note_words))
            }
        }
    }

    /// The drop is in the phase of the hook already.
    fn is_at_hook(&self, position: usize) -> bool {
        let mut hooks =
            self.leg.steps[..position].iter().rev().filter(|at| hook_note(self.story, **at).is_some());
        let hooked = hooks.next().and_then(|at| Hooked::at(self.story, *at));
        hooked.is_some_and(|hooked| hooked.dropped.is_some())
    }

    fn is_delivered_before(&self, position: usize) -> bool {
        let delivered = [Func::TcpV4DoRcv, Func::UdpQueueRcvSkb, Func::IcmpEcho];
        self.leg.steps[..position].iter().any(|at| delivered.contains(&self.story.step(*at).func))
    }
}

/// What decided at a hook, and what of a cluster stands behind it: the rules that matched and policies, as lines of the kernel's TRACE,
/// and where IPVS sends the packet.
pub fn deciding(hooked: &Hooked) -> Vec<(String, Option<&Explained>)> {
    let by_rules = hooked.tables.iter().flat_map(deciding_in);
    let by_ipvs =
        hooked.ipvs.iter().map(|(note, object)| (format!("ipvs: {}", ipvs_words(note)), object.as_ref()));
    by_rules.chain(by_ipvs).collect()
}

fn deciding_in(met: &Met) -> Vec<(String, Option<&Explained>)> {
    let mut lines = Vec::new();
    let mut skipped = 0;
    for tried in &met.tried {
        match &tried.fate {
            Fate::NoMatch { .. } => skipped += 1,
            Fate::Policy { verdict: Outcome::Accept } if lines.is_empty() && skipped == 0 => {}
            _ => {
                let after = match skipped {
                    0 => String::new(),
                    1 => ", after a rule that did not match".to_owned(),
                    _ => format!(", after {skipped} rules that did not match"),
                };
                lines.push((met.line_of(tried) + &after, tried.object.as_ref()));
                skipped = 0;
            }
        }
    }
    lines
}
