//! `-m set` and `-j SET`.
//!
//! Kernel: net/netfilter/xt_set.c

use crate::Cx;
use crate::extension::{Par, Place, Refused, TargetVerdict, XtMatch, XtTarget};
use crate::module::Module;
use crate::note::Note;
use crate::tables::ipset::packet::{SetOptions, SetPacket};
use crate::tables::ipset::types::{Adt, SkbInfo};
use crate::tables::netfilter::Hook;
use crate::tables::xt::{Rule, TableName};

/// A counter comparison of `set`: inverted, operator (`eq`, `lt`, `gt` as [`std::cmp::Ordering`]), value.
pub type SetCompare = Option<(bool, std::cmp::Ordering, u64)>;

/// `set` (`struct xt_set_info_match_v4`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetMatch {
    /// `!`.
    pub invert: bool,
    /// Name of the set.
    pub name: String,
    /// For each dimension: source (true) or destination.
    pub source: Vec<bool>,
    /// `--return-nomatch`.
    pub return_nomatch: bool,
    /// Without `! --update-counters`.
    pub update_counters: bool,
    /// Without `! --update-subcounters`.
    pub update_subcounters: bool,
    /// `--packets-eq`, …
    pub packets: SetCompare,
    /// `--bytes-eq`, …
    pub bytes: SetCompare,
}

impl XtMatch for SetMatch {
    const NAME: &'static str = "set";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        set_match(cx, par, self)
    }

    fn sets(&self) -> Vec<&str> {
        vec![&self.name]
    }
}

/// A set that `SET` changes, and for each dimension source (true) or destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetRef {
    /// Its name.
    pub name: String,
    /// Dimensions.
    pub source: Vec<bool>,
}

/// `SET` (`struct xt_set_info_target_v3`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetTarget {
    /// `--add-set`.
    pub add: Option<SetRef>,
    /// `--del-set`.
    pub del: Option<SetRef>,
    /// `--map-set`.
    pub map: Option<SetRef>,
    /// `--exist`.
    pub exist: bool,
    /// `--timeout`, seconds.
    pub timeout: Option<u32>,
    /// `--map-mark`.
    pub map_mark: bool,
    /// `--map-prio`.
    pub map_prio: bool,
    /// `--map-queue`.
    pub map_queue: bool,
}

impl XtTarget for SetTarget {
    const NAME: &'static str = "SET";

    fn target(&mut self, cx: &mut Cx, par: &mut Par) -> TargetVerdict {
        set_target(cx, par, self)
    }

    fn check(&self, place: Place, _: &Rule) -> Result<(), Refused> {
        if self.map.is_some() && place.table != TableName::Mangle {
            return Err(Refused::einval("xt_SET: --map-set only usable from mangle table"));
        }
        let leaves = Hook::Forward.bit() | Hook::LocalOut.bit() | Hook::PostRouting.bit();
        let maps_queue = self.map.is_some() && (self.map_prio || self.map_queue);
        if maps_queue && place.option_hooks() & !leaves != 0 {
            return Err(Refused::einval(
                "xt_SET: mapping of prio or/and queue is allowed only from OUTPUT/FORWARD/POSTROUTING chains",
            ));
        }
        Ok(())
    }

    fn sets(&self) -> Vec<&str> {
        [&self.add, &self.del, &self.map].into_iter().flatten().map(|set| set.name.as_str()).collect()
    }
}

/// The module.
pub static MODULES: &[Module] =
    &[Module { matches: &[SetMatch::NAME], targets: &[SetTarget::NAME], ..Module::named("xt_set") }];

/// Largest `--timeout`, seconds (`IPSET_MAX_TIMEOUT`).
const MAX_TIMEOUT: u32 = u32::MAX / 1000 / 2;

/// `src` and `dst` as [`SetOptions`].
fn options(source: &[bool]) -> SetOptions {
    let bits = source.iter().enumerate().fold(0, |bits, (at, source)| bits | u8::from(*source) << at);
    SetOptions { dim: source.len() as u8, source: bits, ..SetOptions::default() }
}

fn ports(cx: &Cx, par: &Par) -> Option<(u16, u16)> {
    let pair = || {
        let [a, b, c, d] = *cx.skbs.header::<[u8; 4]>(par.skb, par.thoff)?;
        Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
    };
    match (par.iph.protocol, par.fragoff) {
        // TCP, UDP, SCTP, UDP-Lite.
        (6 | 17 | 132 | 136, 0) => pair(),
        // Type and code of ICMP.
        (1, 0) => pair().map(|(both, _)| (both, both)),
        (1 | 6 | 17 | 132 | 136, _) => None,
        _ => Some((0, 0)),
    }
}

/// Calls `ask` with the namespace's sets and the packet's fields.
fn with_sets<R>(
    cx: &mut Cx,
    par: &Par,
    name: &str,
    ask: impl FnOnce(&mut crate::tables::ipset::IpSets, u16, &SetPacket) -> R,
) -> Option<R> {
    let ports = ports(cx, par);
    let len = cx.skbs.data(par.skb).len() as u32;
    let k = &mut *cx.k;
    let (devs, sets) = (&k.devs, &mut k.netns[par.state.netns].ipsets);
    let index = sets.index(name)?;
    let packet = SetPacket {
        saddr: par.iph.saddr.get(),
        daddr: par.iph.daddr.get(),
        proto: par.iph.protocol,
        ports,
        len,
        input: par.state.input.map(|dev| devs[dev].name.as_str()),
        output: par.state.output.map(|dev| devs[dev].name.as_str()),
    };
    Some(ask(sets, index, &packet))
}

/// The packet is in the set.
pub fn set_match(cx: &mut Cx, par: &mut Par, with: &SetMatch) -> bool {
    let options = SetOptions {
        return_nomatch: with.return_nomatch,
        skip_counters: !with.update_counters,
        skip_subcounters: !with.update_subcounters,
        packets: with.packets,
        bytes: with.bytes,
        ..options(&with.source)
    };
    let now = cx.now;
    let found =
        with_sets(cx, par, &with.name, |sets, set, packet| sets.test_packet(set, packet, &options, now));
    let found = found.flatten().is_some();
    cx.note(|_| Note::Set { name: with.name.clone(), found });
    found != with.invert
}

/// Adds or deletes the packet's element, or maps the set's mark and priority to the packet.
///
/// `--map-queue` has no effect: a device has one transmit queue here, and Linux ignores queues that do not exist.
pub fn set_target(cx: &mut Cx, par: &mut Par, target: &SetTarget) -> TargetVerdict {
    let now = cx.now;
    if let Some(SetRef { name, source }) = &target.add {
        let timeout = target.timeout.map(|seconds| seconds.min(MAX_TIMEOUT));
        let options = SetOptions { exist: target.exist, timeout, ..options(source) };
        with_sets(cx, par, name, |sets, set, packet| {
            // A full set, or one that has the element, is not changed.
            let _ = sets.change_packet(set, Adt::Add, packet, &options, now);
        });
    }
    if let Some(SetRef { name, source }) = &target.del {
        let options = options(source);
        with_sets(cx, par, name, |sets, set, packet| {
            let _ = sets.change_packet(set, Adt::Del, packet, &options, now);
        });
    }
    if let Some(SetRef { name, source }) = &target.map {
        let options = options(source);
        let found =
            with_sets(cx, par, name, |sets, set, packet| sets.test_packet(set, packet, &options, now));
        if let Some(info) = found.flatten() {
            map(cx, par, target, info);
        }
    }
    TargetVerdict::Continue
}

fn map(cx: &mut Cx, par: &Par, target: &SetTarget, info: SkbInfo) {
    let pkt = &mut cx.skbs[par.skb];
    if target.map_mark {
        pkt.mark = (pkt.mark & !info.mask) ^ info.mark;
    }
    if target.map_prio {
        pkt.priority = info.prio;
    }
}
