//! An exchange hop by hop.

use glassnet_kernel::door::Func;
use glassnet_kernel::drivers::nic::transmits;
use glassnet_kernel::note::{TunnelNote, UdpTunnel};
use glassnet_kernel::tables::drop_reason::DropReason;
use glassnet_kernel::trace::StepKind;
use glassnet_sim::Nanos;

use super::hook::Hooked;
use super::story::{Leg, Place, Story};

/// Events of a packet at one device.
#[derive(Clone, Debug)]
pub struct Hop<'a> {
    /// Start.
    pub at: Nanos,
    /// Place.
    pub place: Place<'a>,
    /// Events in order.
    pub events: Vec<String>,
    /// The packet was dropped here.
    pub dropped: bool,
}

/// The hops of a leg.
pub fn hops<'a>(story: &Story<'a>, leg: &Leg) -> Vec<Hop<'a>> {
    let mut hops: Vec<Hop> = Vec::new();
    for (position, at) in leg.steps.iter().copied().enumerate() {
        let Some(event) = event(story, leg, position) else { continue };
        let place = place(story, leg, position);
        let dropped =
            matches!(story.step(at).kind, StepKind::Drop(_)) && !was_delivered(story, leg, position);
        match hops.last_mut().filter(|hop| hop.place == place) {
            Some(hop) => {
                hop.events.push(event);
                hop.dropped |= dropped;
            }
            None => hops.push(Hop { at: story.step(at).at, place, events: vec![event], dropped }),
        }
    }
    hops
}

/// Place of a step. A packet that is about to be sent has `lo` as its device in the model: until it is processed
/// there, its place is the next device in the same namespace.
pub fn place<'a>(story: &Story<'a>, leg: &Leg, position: usize) -> Place<'a> {
    let here = story.place(leg.steps[position]);
    if !["", LOOPBACK].contains(&here.device) {
        return here;
    }
    let rest = &leg.steps[position..];
    let looped = rest.iter().position(|at| story.step(*at).func == Func::LoopbackXmit);
    let mut next = rest[..looped.unwrap_or(rest.len())].iter().map(|at| story.place(*at));
    let next = next.find(|place| !["", LOOPBACK].contains(&place.device));
    let is_near = |next: &Place| here.device.is_empty() || next.netns == here.netns;
    next.filter(|next| next.machine == here.machine && is_near(next)).unwrap_or(here)
}

const LOOPBACK: &str = "lo";

fn event(story: &Story, leg: &Leg, position: usize) -> Option<String> {
    let at = leg.steps[position];
    let step = story.step(at);
    if let StepKind::Drop(reason) = step.kind {
        return Some(drop_text(story, leg, position, reason));
    }
    if let Some(hooked) = Hooked::at(story, at) {
        return hooked.nat_line();
    }
    if let Some(TunnelNote { kind, vni, to, .. }) = story.packed(at) {
        let kind = match kind {
            UdpTunnel::Vxlan => "VXLAN",
            UdpTunnel::Geneve => "Geneve",
            UdpTunnel::Fou(_) => "FOU",
            UdpTunnel::Gue => "GUE",
        };
        let vni = vni.map_or(String::new(), |vni| format!(" {vni}"));
        return Some(format!("packed for {to} as {kind}{vni}"));
    }
    let device_at = |func| device_of_next(story, leg, position, func);
    let text = match step.func {
        Func::RawSendmsg | Func::PingV4Sendmsg | Func::UdpSendmsg | Func::PacketSendmsg => {
            "a program sends".to_owned()
        }
        Func::TcpTransmitSkb | Func::TcpMakeSynack => "a TCP socket sends".to_owned(),
        Func::TcpV4SendReset => "a RST: no socket took the segment".to_owned(),
        Func::ArpCreate => "an ARP message is made".to_owned(),
        Func::NeighEventSend if waits(story, leg, position) => {
            "waits: the next hop's MAC address is unknown".to_owned()
        }
        Func::VethXmit => "out, through the veth cable".to_owned(),
        Func::LoopbackXmit => "out, and in again".to_owned(),
        func if transmits(func) => "out, on the wire".to_owned(),
        Func::NetifRx | Func::NetifRxInner | Func::NapiGroReceive => "in".to_owned(),
        Func::SkbGroReceive => "appended to the segment before it".to_owned(),
        Func::SkbGsoSegment => "cut into segments again".to_owned(),
        Func::BrHandleFrame => format!("bridge {} takes it", story.bridge(at).unwrap_or("")),
        Func::BrDevXmit => "out, into the bridge".to_owned(),
        Func::BrForward => format!("forwarded to port {}", device_at(Func::BrForwardFinish)?),
        Func::BrFlood => format!("flooded to {}", story.flooded(at)),
        Func::BrPassFrameUp => format!("up to this host, as {}", device_at(Func::NetifReceiveSkb)?),
        Func::IpForward => format!("routed on{}", leaves_by(story, leg, position)),
        Func::IpLocalDeliver => "for this host".to_owned(),
        Func::IcmpEcho => "an echo request, which is answered".to_owned(),
        Func::IcmpSend => "an ICMP error goes back".to_owned(),
        Func::RawRcv => "delivered to a program's raw socket".to_owned(),
        Func::UdpQueueRcvSkb if next_func(story, leg, position) == Some(Func::VxlanRcv) => return None,
        Func::VxlanRcv | Func::GeneveUdpEncapRecv => "unpacked".to_owned(),
        Func::UdpQueueRcvSkb => "delivered to a program's UDP socket".to_owned(),
        Func::TcpV4DoRcv => "taken by a TCP socket".to_owned(),
        Func::ArpProcess => "read by ARP".to_owned(),
        Func::NeighUpdate => "the sender's MAC address is learnt".to_owned(),
        _ => return None,
    };
    Some(text)
}

/// `, out by DEV`, from the next hook or IPv4 output.
fn leaves_by(story: &Story, leg: &Leg, position: usize) -> String {
    let device = leg.steps[position + 1..].iter().find_map(|at| match Hooked::at(story, *at) {
        Some(hooked) => Some(hooked.output).filter(|device| !device.is_empty()),
        None if story.step(*at).func == Func::IpFinishOutput => Some(story.place(*at).device.to_owned()),
        None => None,
    });
    device.map_or(String::new(), |device| format!(", out by {device}"))
}

/// The packet is queued at the neighbour until the end of this leg.
fn waits(story: &Story, leg: &Leg, position: usize) -> bool {
    leg.steps[position + 1..].iter().all(|at| story.step(*at).kind == StepKind::Call)
}

fn next_func(story: &Story, leg: &Leg, position: usize) -> Option<Func> {
    leg.steps.get(position + 1).map(|at| story.step(*at).func)
}

/// The device of the next step in this function.
fn device_of_next<'a>(story: &Story<'a>, leg: &Leg, position: usize, func: Func) -> Option<&'a str> {
    let next = leg.steps[position..].iter().find(|at| story.step(**at).func == func)?;
    Some(story.place(*next).device)
}

/// The dropping function or rule, and the reason.
pub fn drop_text(story: &Story, leg: &Leg, position: usize, reason: DropReason) -> String {
    let by = match dropped_by_rule(story, leg, position) {
        Some(rule) => rule,
        None => dropper(story, leg, position).to_owned(),
    };
    let meaning = reason.meaning().trim_end_matches('.');
    match was_delivered(story, leg, position) {
        true => format!("the original ends in {by}: SKB_DROP_REASON_{}", reason.name()),
        false => format!("dropped by {by}: SKB_DROP_REASON_{} ({meaning})", reason.name()),
    }
}

/// The rule that dropped the packet, if one did.
fn dropped_by_rule(story: &Story, leg: &Leg, position: usize) -> Option<String> {
    let step = story.step(leg.steps[position]);
    let StepKind::Drop(DropReason::NetfilterDrop) = step.kind else { return None };
    let before = leg.steps[..position].iter().rev();
    before.copied().find_map(|at| Hooked::at(story, at))?.dropped_by()
}

/// A socket got a clone of the packet, so its drop is no loss.
pub fn was_delivered(story: &Story, leg: &Leg, position: usize) -> bool {
    leg.steps[..position].iter().any(|at| story.step(*at).func == Func::RawRcv)
}

/// The dropping function: the last door.
pub fn dropper(story: &Story, leg: &Leg, position: usize) -> &'static str {
    let before = leg.steps[..position].iter().rev().map(|at| story.step(*at));
    let door = before.into_iter().find(|step| step.kind == StepKind::Door);
    door.map_or("the kernel", |step| step.func.name())
}
