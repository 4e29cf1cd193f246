//! `police`: packets for which there are no tokens go another way.
//!
//! Kernel: net/sched/act_police.c. Not modelled: `peakrate`, `avrate`.

use super::act_api::tcf_action_update;
use super::psched::{RateCfg, RateSpec, ticks_to_ns};
use crate::Cx;
use crate::action::{ActionData, TcAct, TcActionOps, action_data, action_data_mut};
use crate::door::Func;
use crate::ids::{NetnsId, SkbId, TcActionId};
use crate::module::Module;
use crate::netlink::{Errno, NlError};

/// The module.
pub static MODULE: Module = Module { actions: &[&ACT_POLICE_OPS], ..Module::named("act_police") };

static ACT_POLICE_OPS: TcActionOps =
    TcActionOps { kind: "police", func: Func::TcfPoliceAct, init: tcf_police_init, act: tcf_police_act };

/// What it is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Police {
    /// The rate; 0: none.
    pub rate: RateSpec,
    /// The time that a full bucket takes at the rate, in ticks of 64 ns.
    pub burst: u32,
    /// The largest packet, bytes; 0: not said.
    pub mtu: u32,
    /// Packets a second; 0: not said.
    pub pkts_rate: u64,
    /// Packets in a full bucket.
    pub pkts_burst: u64,
    /// What is said of packets for which there are tokens.
    pub conform: TcAct,
    bucket: Bucket,
}

/// What it remembers.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    cfg: RateCfg,
    /// When tokens were counted last.
    t_c: u64,
    /// Tokens, in ns at the rate.
    toks: i64,
    /// The same of packets.
    pkttoks: i64,
}

/// The largest packet where none is said but there is a rate: the last of 256 cells of 8 bytes in its table.
const RATE_TABLE_MTU: u32 = 255 << 3;

fn tcf_police_init(cx: &mut Cx, _: NetnsId, parm: &dyn ActionData) -> Result<Box<dyn ActionData>, NlError> {
    let mut police = *action_data::<Police>(parm).ok_or(Errno::EINVAL)?;
    let has_rate = police.rate.rate > 0;
    if has_rate && police.pkts_rate > 0 {
        let text = "packet-per-second and byte-per-second rate limits not allowed in same action";
        return Err(NlError::with(Errno::EINVAL, text));
    }
    if police.mtu == 0 {
        police.mtu = if has_rate { RATE_TABLE_MTU } else { u32::MAX };
    }
    police.bucket = Bucket {
        cfg: RateCfg::new(police.rate),
        t_c: cx.ktime().0,
        toks: ticks_to_ns(police.burst) as i64,
        pkttoks: police.pkt_burst_ns(),
    };
    Ok(Box::new(police))
}

impl Police {
    /// The time that so many packets take, ns.
    fn pkt_ns(&self, packets: u64) -> i64 {
        (packets.saturating_mul(1_000_000_000)).checked_div(self.pkts_rate).unwrap_or(0) as i64
    }

    fn pkt_burst_ns(&self) -> i64 {
        self.pkt_ns(self.pkts_burst)
    }

    /// There are tokens at this time for a packet of so many bytes, which are gone then.
    fn takes_tokens(&mut self, now: u64, bytes: u32) -> bool {
        let (burst, pkt_burst, one) = (ticks_to_ns(self.burst) as i64, self.pkt_burst_ns(), self.pkt_ns(1));
        let (has_rate, has_pps) = (self.rate.rate > 0, self.pkts_rate > 0);
        let since = now.saturating_sub(self.bucket.t_c) as i64;
        let (mut toks, mut pkttoks) = (0, 0);
        if has_rate {
            toks = (since.min(burst) + self.bucket.toks).min(burst) - self.bucket.cfg.l2t_ns(bytes);
        } else if has_pps {
            pkttoks = (since.min(pkt_burst) + self.bucket.pkttoks).min(pkt_burst) - one;
        }
        let enough = toks >= 0 && pkttoks >= 0;
        if enough {
            (self.bucket.t_c, self.bucket.toks, self.bucket.pkttoks) = (now, toks, pkttoks);
        }
        enough
    }
}

fn tcf_police_act(cx: &mut Cx, id: TcActionId, skb: SkbId) -> TcAct {
    tcf_action_update(cx, id, skb);
    let (now, bytes, len) = (cx.ktime().0, cx.skbs[skb].pkt_len, cx.skbs[skb].len() as u32);
    let action = &mut cx.k.tc_actions[id];
    let mut said = action.action;
    let Some(police) = action_data_mut::<Police>(action.data.as_mut()) else { return said };
    let fits = len <= police.mtu || cx.skbs[skb].gso_size > 0;
    let has_rate = police.rate.rate > 0 || police.pkts_rate > 0;
    if fits && !has_rate {
        return police.conform;
    }
    if fits && police.takes_tokens(now, bytes) {
        said = police.conform;
    } else {
        action.qstats.overlimits += 1;
    }
    action.qstats.drops += u32::from(said == TcAct::Shot);
    said
}
