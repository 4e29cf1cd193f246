//! CoDel: drops at the head of a queue in which packets wait too long (RFC 8289).
//!
//! Kernel: include/net/codel_impl.h. Times are in units of 1,024 ns, and run over.

use glassnet_sim::Nanos;
use glassnet_wire::checksum;
use glassnet_wire::eth::ETH_P_IP;
use glassnet_wire::ipv4::Ipv4Hdr;
use zerocopy::big_endian::U16;

use crate::Cx;
use crate::ids::SkbId;

/// `ce_threshold` of a queue without one.
pub const DISABLED_THRESHOLD: u32 = i32::MAX as u32;

/// A time (`codel_get_time`).
pub fn codel_time(now: Nanos) -> u32 {
    (now.0 >> 10) as u32
}

/// Microseconds as such a time.
pub fn from_us(us: u32) -> u32 {
    ((u64::from(us) * 1000) >> 10) as u32
}

/// Such a time in microseconds.
pub fn to_us(time: u32) -> u32 {
    ((u64::from(time) << 10) / 1000) as u32
}

fn is_after(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) as i32 > 0
}

/// Settings (`struct codel_params`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodelParams {
    /// How long packets may wait.
    pub target: u32,
    /// Packets that waited longer are marked.
    pub ce_threshold: u32,
    /// For how long they have to wait too long before one is dropped.
    pub interval: u32,
    /// A queue of no more bytes is never too long.
    pub mtu: u32,
    /// Packets that can be marked are not dropped.
    pub ecn: bool,
}

impl CodelParams {
    /// Those of a new queue.
    pub fn new(mtu: u32, ecn: bool) -> CodelParams {
        CodelParams {
            target: from_us(5000),
            ce_threshold: DISABLED_THRESHOLD,
            interval: from_us(100_000),
            mtu,
            ecn,
        }
    }
}

/// State of a queue (`struct codel_vars`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodelVars {
    /// Drops since it began to drop.
    pub count: u32,
    /// `count` when it began.
    pub lastcount: u32,
    /// It drops.
    pub dropping: bool,
    /// 1/√count, in units of 2⁻¹⁶.
    pub rec_inv_sqrt: u16,
    /// When packets will have waited too long for an interval; 0: they do not.
    pub first_above_time: u32,
    /// When the next packet is dropped, or the last was.
    pub drop_next: u32,
    /// How long the last packet waited.
    pub ldelay: u32,
}

/// Counters (`struct codel_stats`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodelStats {
    /// The longest packet, bytes.
    pub maxpacket: u32,
    /// Packets that were dropped, and the disciplines above do not know yet.
    pub drop_count: u32,
    /// Their bytes.
    pub drop_len: u32,
    /// Packets that were marked instead of dropped.
    pub ecn_mark: u32,
    /// Packets that were marked because they waited longer than `ce_threshold`.
    pub ce_mark: u32,
}

impl CodelVars {
    /// A step of Newton's method towards 1/√count.
    fn newton_step(&mut self) {
        let invsqrt = u64::from(u32::from(self.rec_inv_sqrt) << 16);
        let invsqrt2 = (invsqrt * invsqrt) >> 32;
        let val = (3_u64 << 32).wrapping_sub(u64::from(self.count).wrapping_mul(invsqrt2)) >> 2;
        self.rec_inv_sqrt = (val.wrapping_mul(invsqrt) >> (32 - 2 + 1) >> 16) as u16;
    }

    /// `interval`/√count after a time.
    fn control_law(&self, time: u32, interval: u32) -> u32 {
        let factor = u64::from(u32::from(self.rec_inv_sqrt) << 16);
        time.wrapping_add(((u64::from(interval) * factor) >> 32) as u32)
    }
}

/// What a discipline gives CoDel to work with.
pub trait CodelQueue {
    /// The state of the queue, the settings and the counters.
    fn codel<'a>(&self, cx: &'a mut Cx) -> (&'a mut CodelVars, CodelParams, &'a mut CodelStats);
    /// Bytes that wait.
    fn backlog(&self, cx: &Cx) -> u32;
    /// Takes the first packet, with the time at which it came.
    fn dequeue(&self, cx: &mut Cx) -> Option<(SkbId, u32)>;
    /// Frees a packet and counts the drop.
    fn drop(&self, cx: &mut Cx, skb: SkbId);
}

/// The next packet that is not dropped (`codel_dequeue`).
pub fn codel_dequeue(cx: &mut Cx, queue: &impl CodelQueue) -> Option<SkbId> {
    let now = codel_time(cx.ktime());
    let mut next = queue.dequeue(cx);
    if next.is_none() {
        let (vars, ..) = queue.codel(cx);
        (vars.first_above_time, vars.dropping) = (0, false);
        return None;
    }
    let drop = codel_should_drop(cx, queue, next, now);
    let (vars, ..) = queue.codel(cx);
    if vars.dropping && !drop {
        vars.dropping = false;
    } else if vars.dropping {
        next = drop_in_time(cx, queue, next, now);
    } else if drop {
        next = begin_to_drop(cx, queue, next, now);
    }
    let (vars, params, _) = queue.codel(cx);
    let waited_long = is_after(vars.ldelay, params.ce_threshold);
    if let Some((skb, _)) = next
        && waited_long
        && inet_ecn_set_ce(cx, skb)
    {
        queue.codel(cx).2.ce_mark += 1;
    }
    next.map(|(skb, _)| skb)
}

/// Packets have waited too long for an interval.
fn codel_should_drop(cx: &mut Cx, queue: &impl CodelQueue, next: Option<(SkbId, u32)>, now: u32) -> bool {
    let backlog = queue.backlog(cx);
    let len = next.map(|(skb, _)| cx.skbs[skb].len() as u32);
    let (vars, params, stats) = queue.codel(cx);
    let (Some((_, came)), Some(len)) = (next, len) else {
        vars.first_above_time = 0;
        return false;
    };
    vars.ldelay = now.wrapping_sub(came);
    stats.maxpacket = stats.maxpacket.max(len);
    if is_after(params.target, vars.ldelay) || backlog <= params.mtu {
        vars.first_above_time = 0;
        return false;
    }
    if vars.first_above_time == 0 {
        vars.first_above_time = now.wrapping_add(params.interval);
        return false;
    }
    is_after(now, vars.first_above_time)
}

/// Marks a packet, or drops it and takes the next one. True: it was marked.
fn mark_or_drop(
    cx: &mut Cx,
    queue: &impl CodelQueue,
    next: Option<(SkbId, u32)>,
) -> (Option<(SkbId, u32)>, bool) {
    let Some((skb, _)) = next else { return (None, false) };
    let marked = queue.codel(cx).1.ecn && inet_ecn_set_ce(cx, skb);
    let len = cx.skbs[skb].len() as u32;
    let (.., stats) = queue.codel(cx);
    if marked {
        stats.ecn_mark += 1;
        return (next, true);
    }
    stats.drop_len += len;
    stats.drop_count += 1;
    queue.drop(cx, skb);
    (queue.dequeue(cx), false)
}

/// It drops already: once more if it is time.
fn drop_in_time(
    cx: &mut Cx,
    queue: &impl CodelQueue,
    mut next: Option<(SkbId, u32)>,
    now: u32,
) -> Option<(SkbId, u32)> {
    loop {
        let (vars, ..) = queue.codel(cx);
        if !vars.dropping || is_after(vars.drop_next, now) {
            return next;
        }
        vars.count = vars.count.wrapping_add(1);
        vars.newton_step();
        let (after, marked) = mark_or_drop(cx, queue, next);
        next = after;
        let goes_on = marked || codel_should_drop(cx, queue, next, now);
        let (vars, params, _) = queue.codel(cx);
        if goes_on {
            vars.drop_next = vars.control_law(vars.drop_next, params.interval);
        } else {
            vars.dropping = false;
        }
        if marked {
            return next;
        }
    }
}

/// The first drop, with the rate of the last time if that is not long ago.
fn begin_to_drop(
    cx: &mut Cx,
    queue: &impl CodelQueue,
    next: Option<(SkbId, u32)>,
    now: u32,
) -> Option<(SkbId, u32)> {
    let (next, marked) = mark_or_drop(cx, queue, next);
    if !marked {
        codel_should_drop(cx, queue, next, now);
    }
    let (vars, params, _) = queue.codel(cx);
    vars.dropping = true;
    let delta = vars.count.wrapping_sub(vars.lastcount);
    let recently = is_after(params.interval.wrapping_mul(16), now.wrapping_sub(vars.drop_next));
    if delta > 1 && recently {
        vars.count = delta;
        vars.newton_step();
    } else {
        (vars.count, vars.rec_inv_sqrt) = (1, u16::MAX);
    }
    vars.lastcount = vars.count;
    vars.drop_next = vars.control_law(now, params.interval);
    next
}

/// Marks a packet as having met congestion, if its sender understands (`INET_ECN_set_ce`). True: it is marked.
pub fn inet_ecn_set_ce(cx: &mut Cx, skb: SkbId) -> bool {
    const CE: u8 = 3;
    let pkt = &cx.skbs[skb];
    let (at, is_ip) = (pkt.network_header, pkt.protocol == ETH_P_IP);
    let Some(iph) = cx.skbs.header::<Ipv4Hdr>(skb, at).filter(|_| is_ip) else { return false };
    match iph.tos & CE {
        0 => return false,
        CE => return true,
        _ => {}
    }
    if let Some(iph) = cx.skbs.header_mut::<Ipv4Hdr>(skb, at) {
        let word = |tos: u8| u16::from_be_bytes([iph.version_ihl, tos]);
        iph.check = U16::new(checksum::replace(iph.check.get(), word(iph.tos), word(iph.tos | CE)));
        iph.tos |= CE;
    }
    true
}
