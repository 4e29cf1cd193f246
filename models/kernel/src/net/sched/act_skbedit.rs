//! `skbedit`: changes what the kernel notes beside a packet.
//!
//! Kernel: net/sched/act_skbedit.c. Not modelled: queues by hash (`txqskbhash`), IPv6.

use super::act_api::tcf_action_update;
use crate::Cx;
use crate::action::{ActionData, TcAct, TcActionOps, action_data};
use crate::door::Func;
use crate::ids::{NetnsId, SkbId, TcActionId};
use crate::module::Module;
use crate::netlink::{Errno, NlError};
use crate::tables::skb::PacketType;
use glassnet_wire::eth::ETH_P_IP;
use glassnet_wire::ipv4::Ipv4Hdr;

/// The module.
pub static MODULE: Module = Module { actions: &[&ACT_SKBEDIT_OPS], ..Module::named("act_skbedit") };

static ACT_SKBEDIT_OPS: TcActionOps =
    TcActionOps { kind: "skbedit", func: Func::TcfSkbeditAct, init: tcf_skbedit_init, act: tcf_skbedit_act };

/// What it is told; `None`: it stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct Skbedit {
    /// The transmit queue.
    pub queue_mapping: Option<u16>,
    /// The priority.
    pub priority: Option<u32>,
    /// The mark.
    pub mark: Option<u32>,
    /// The bits of the mark that change; `None`: all.
    pub mask: Option<u32>,
    /// Whom it is for.
    pub ptype: Option<PacketType>,
    /// The DS field becomes the priority.
    pub inheritdsfield: bool,
}

fn tcf_skbedit_init(_: &mut Cx, _: NetnsId, parm: &dyn ActionData) -> Result<Box<dyn ActionData>, NlError> {
    let parm = *action_data::<Skbedit>(parm).ok_or(Errno::EINVAL)?;
    let Skbedit { queue_mapping, priority, mark, mask: _, ptype, inheritdsfield } = parm;
    if queue_mapping.is_none() && priority.or(mark).is_none() && ptype.is_none() && !inheritdsfield {
        return Err(Errno::EINVAL.into());
    }
    Ok(Box::new(parm))
}

fn tcf_skbedit_act(cx: &mut Cx, id: TcActionId, skb: SkbId) -> TcAct {
    tcf_action_update(cx, id, skb);
    let action = &cx.k.tc_actions[id];
    let parm = action_data::<Skbedit>(action.data.as_ref()).copied().unwrap_or_default();
    if let Some(priority) = parm.priority {
        cx.skbs[skb].priority = priority;
    }
    if parm.inheritdsfield && cx.skbs[skb].protocol == ETH_P_IP {
        let Some(iph) = cx.skbs.header::<Ipv4Hdr>(skb, cx.skbs[skb].network_header) else {
            cx.k.tc_actions[id].qstats.drops += 1;
            return TcAct::Shot;
        };
        let priority = u32::from(iph.tos >> 2);
        cx.skbs[skb].priority = priority;
    }
    if let Some(queue) = parm.queue_mapping
        && cx.k.devs[cx.skbs[skb].dev].real_num_tx_queues > u32::from(queue)
    {
        cx.k.cpus[cx.cpu.index()].skip_txqueue = true;
        cx.skbs[skb].queue_mapping = queue;
    }
    let pkt = &mut cx.skbs[skb];
    if let Some(mark) = parm.mark {
        let mask = parm.mask.unwrap_or(u32::MAX);
        pkt.mark = pkt.mark & !mask | mark & mask;
    }
    if let Some(ptype) = parm.ptype {
        pkt.pkt_type = ptype;
    }
    cx.k.tc_actions[id].action
}
