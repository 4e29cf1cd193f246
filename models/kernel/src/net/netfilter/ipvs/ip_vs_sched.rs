//! Schedulers: who of a service's destinations gets a new connection.
//!
//! Kernel: net/netfilter/ipvs/ip_vs_sched.c

use glassnet_wire::ipv4::{IPPROTO_TCP, IPPROTO_UDP};

use super::ip_vs_core::{IpVsIphdr, skb_ports, svc, svc_mut};
use super::ip_vs_ctl::is_loaded;
use super::{
    ip_vs_dh, ip_vs_fo, ip_vs_lblc, ip_vs_lblcr, ip_vs_lc, ip_vs_mh, ip_vs_nq, ip_vs_ovf, ip_vs_rr,
    ip_vs_sed, ip_vs_sh, ip_vs_wlc, ip_vs_wrr,
};
use crate::chance::{Chance, Chooser};
use crate::door::Func;
use crate::ids::SkbId;
use crate::netlink::Errno;
use crate::tables::ip_vs::svc::{Dest, DestId, SVC_F_SCHED2, Services, SvcId, SvcKey};
use crate::tables::klog::{LOG_ERR, LOG_INFO};
use crate::{Cx, Kernel};

/// A scheduler (`struct ip_vs_scheduler`).
pub(super) struct Scheduler {
    /// Its name.
    pub name: &'static str,
    /// Its function.
    pub func: Func,
    /// What it remembers is made anew when destinations change (`init_service`, `add_dest`, `del_dest`, `upd_dest`).
    pub changed: fn(&mut Services, SvcId, Change),
    /// Chooses a destination.
    pub schedule: fn(&mut Cx, SkbId, SvcId, &IpVsIphdr) -> Chosen,
}

/// The destination that a scheduler chose; otherwise what the log says of there being none, if anything.
pub(super) type Chosen = Result<DestId, Option<&'static str>>;

/// What happened to the destinations of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The service got this scheduler.
    Bound,
    /// One came, at the head of the list.
    Added,
    /// One was changed.
    Updated,
    /// One went.
    Deleted {
        /// It.
        dest: DestId,
        /// The one before it in the list.
        previous: Option<DestId>,
    },
}

/// There is no destination.
pub(super) const NO_DEST: Option<&str> = Some("no destination available");

/// All schedulers.
static SCHEDULERS: [&Scheduler; 13] = [
    &ip_vs_dh::SCHEDULER,
    &ip_vs_fo::SCHEDULER,
    &ip_vs_lblc::SCHEDULER,
    &ip_vs_lblcr::SCHEDULER,
    &ip_vs_lc::SCHEDULER,
    &ip_vs_mh::SCHEDULER,
    &ip_vs_nq::SCHEDULER,
    &ip_vs_ovf::SCHEDULER,
    &ip_vs_rr::SCHEDULER,
    &ip_vs_sed::SCHEDULER,
    &ip_vs_sh::SCHEDULER,
    &ip_vs_wlc::SCHEDULER,
    &ip_vs_wrr::SCHEDULER,
];

/// The module of a scheduler is loaded (`register_ip_vs_scheduler`). With IPVS built into the kernel, so are they.
pub(super) fn register_ip_vs_scheduler(cx: &mut Cx, scheduler: &'static Scheduler) {
    if !is_loaded(cx.k) {
        super::ip_vs_core::ip_vs_init(cx);
    }
    if !cx.k.config.ip_vs && !cx.k.ip_vs.schedulers.contains(&scheduler.name) {
        cx.k.ip_vs.schedulers.push(scheduler.name);
        cx.printk(LOG_INFO, format!("IPVS: [{}] scheduler registered.", scheduler.name));
    }
}

fn find(name: &str) -> Option<&'static Scheduler> {
    SCHEDULERS.iter().copied().find(|scheduler| scheduler.name == name)
}

/// The scheduler of this name, whose module is loaded (`ip_vs_scheduler_get`).
pub(super) fn ip_vs_scheduler_get(cx: &mut Cx, name: &str) -> Result<&'static Scheduler, Errno> {
    let Some(scheduler) = find(name) else {
        cx.printk(LOG_INFO, format!("IPVS: Scheduler module ip_vs_{name} not found"));
        return Err(Errno::ENOENT);
    };
    register_ip_vs_scheduler(cx, scheduler);
    Ok(scheduler)
}

/// A service gets a scheduler (`ip_vs_bind_scheduler`).
pub(super) fn ip_vs_bind_scheduler(cx: &mut Cx, id: SvcId, scheduler: &'static Scheduler) {
    ip_vs_unbind_scheduler(cx, id);
    if let Some(svc) = svc_mut(cx.k, id) {
        svc.scheduler = scheduler.name;
    }
    ip_vs_scheduler_changed(cx, id, Change::Bound);
}

/// Its scheduler forgets a service (`ip_vs_unbind_scheduler`).
pub(super) fn ip_vs_unbind_scheduler(cx: &mut Cx, id: SvcId) {
    if let Some(svc) = svc_mut(cx.k, id) {
        svc.sched_data = Default::default();
    }
}

/// The scheduler of a service learns of a change.
pub(super) fn ip_vs_scheduler_changed(cx: &mut Cx, id: SvcId, change: Change) {
    if let Some(scheduler) = svc(cx.k, id).and_then(|svc| find(svc.scheduler)) {
        (scheduler.changed)(&mut cx.k.ip_vs.services, id, change);
    }
}

/// A scheduler that remembers nothing.
pub(super) fn unchanged(_: &mut Services, _: SvcId, _: Change) {}

/// The scheduler of a service chooses a destination.
pub(super) fn schedule(cx: &mut Cx, skb: SkbId, id: SvcId, iph: &IpVsIphdr) -> Option<DestId> {
    let scheduler = svc(cx.k, id).and_then(|svc| find(svc.scheduler))?;
    let turns = if cx.is_scripted(skb) { turns(cx.k, id, scheduler.name) } else { Vec::new() };
    let chosen = cx.within(scheduler.func, skb, |cx| {
        let fall = cx.trace.script.next().filter(|_| turns.len() > 1);
        match fall.and_then(|fall| turns.get(fall)) {
            Some((given, _)) => Ok(*given),
            None => (scheduler.schedule)(cx, skb, id, iph),
        }
    });
    if let (Ok(chosen), true) = (&chosen, turns.len() > 1)
        && let Some(outcome) = turns.iter().position(|(dest, _)| dest == chosen)
    {
        let shares = turns.iter().map(|(_, share)| *share).collect();
        let (packet, by) = (cx.skbs[skb].packet, Chooser::Scheduler(scheduler.name));
        cx.trace.script.met.push(Chance { packet, by, shares, outcome });
    }
    if let Err(Some(text)) = chosen {
        ip_vs_scheduler_err(cx, id, text);
    }
    chosen.ok()
}

/// The destinations among which new connections take turns, and how often each has one. Other schedulers than these decide by load or
/// by address: then the destination is certain.
fn turns(k: &Kernel, id: SvcId, scheduler: &str) -> Vec<(DestId, u32)> {
    let share: fn(&Dest) -> u32 = match scheduler {
        "rr" => |_| 1,
        "wrr" => |dest| dest.spec.weight.unsigned_abs(),
        _ => return Vec::new(),
    };
    let takers = k.ip_vs.services.dests_of(id).filter(|(_, dest)| dest.takes_new());
    let mut turns: Vec<_> = takers.map(|(id, dest)| (id, share(dest))).collect();
    // The list has the newest first.
    turns.reverse();
    turns
}

/// The log tells that a service has no destination (`ip_vs_scheduler_err`).
fn ip_vs_scheduler_err(cx: &mut Cx, id: SvcId, text: &str) {
    let Some(svc) = svc(cx.k, id) else { return };
    let service = match svc.key {
        SvcKey::FwMark(mark) => format!("FWM {mark} 0x{mark:08X}"),
        SvcKey::Addr(protocol, addr, port) => format!("{} {addr}:{port}", ip_vs_proto_name(protocol)),
    };
    let line = format!("IPVS: {}: {service} - {text}", svc.scheduler);
    cx.printk_limited(LOG_ERR, |_| vec![line]);
}

/// The name of a protocol (`ip_vs_proto_name`).
pub fn ip_vs_proto_name(protocol: u8) -> &'static str {
    match protocol {
        IPPROTO_TCP => "TCP",
        IPPROTO_UDP => "UDP",
        _ => "IP",
    }
}

/// The destination with the least load for its weight: of those that take new connections the first, and then each whose load is
/// less. One of weight 0 is never less.
pub(super) fn least_loaded<'a>(
    dests: impl Iterator<Item = (DestId, &'a Dest)>,
    load: impl Fn(&Dest) -> i64,
) -> Option<DestId> {
    let mut least: Option<(DestId, i64, i64)> = None;
    for (id, dest) in dests.filter(|(_, dest)| !dest.overload) {
        let (load, weight) = (load(dest), i64::from(dest.spec.weight));
        let is_less = match least {
            None => weight > 0,
            Some((_, least_load, least_weight)) => least_load * weight > load * least_weight,
        };
        if is_less {
            least = Some((id, load, weight));
        }
    }
    least.map(|(id, ..)| id)
}

/// The same of all destinations of a service.
pub(super) fn least_loaded_of(k: &Kernel, id: SvcId, load: impl Fn(&Dest) -> i64) -> Chosen {
    least_loaded(k.ip_vs.services.dests_of(id), load).ok_or(NO_DEST)
}

/// What a client is hashed by: its address, and its port if the service says so.
pub(super) fn client_hash_input(cx: &Cx, skb: SkbId, id: SvcId, iph: &IpVsIphdr) -> u32 {
    let has_port = svc(cx.k, id).is_some_and(|svc| svc.has(SVC_F_SCHED2));
    let ports = if has_port { skb_ports(cx, skb, iph) } else { None };
    let port = ports.map_or(0, |(source, dest)| if iph.inverse { dest } else { source });
    iph.caddr().to_bits().wrapping_add(u32::from(port))
}

/// The upper bits of a number times the golden ratio (`hash_32`, include/linux/hash.h).
pub(super) fn hash_32(value: u32, bits: u32) -> usize {
    (value.wrapping_mul(0x61c8_8647) >> (32 - bits)) as usize
}

/// Fills a table of buckets with destinations in turn, each as often as `turns` says, and at least once.
pub(super) fn fill_buckets(
    services: &Services,
    id: SvcId,
    size: usize,
    turns: impl Fn(&Dest) -> i32,
) -> Vec<Option<DestId>> {
    let all: Vec<_> = services.dests_of(id).collect();
    let in_turn =
        all.iter().cycle().flat_map(|(id, dest)| std::iter::repeat_n(Some(*id), turns(dest).max(1) as usize));
    if all.is_empty() { vec![None; size] } else { in_turn.take(size).collect() }
}
