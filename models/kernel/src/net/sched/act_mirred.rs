//! `mirred`: the packet, or a copy of it, goes by another device, out or in.
//!
//! Kernel: net/sched/act_mirred.c. Not modelled: that a device does not receive the packet does not count as `overlimits`.

use super::act_api::tcf_action_update;
use crate::Cx;
use crate::action::{ActionData, TcAct, TcActionOps, action_data, action_data_mut};
use crate::door::{Door, Func};
use crate::ids::{DevId, NetnsId, SkbId, TcActionId};
use crate::module::{Module, NetdevEvent};
use crate::netlink::{Errno, NlError};
use crate::tables::klog::{LOG_NOTICE, LOG_WARNING};
use crate::tables::skb::{IPSKB_SENT, XMIT_AWAITED};

/// The module.
pub static MODULE: Module = Module {
    actions: &[&ACT_MIRRED_OPS],
    netdevice_event: Some(mirred_device_event),
    ..Module::named("act_mirred")
};

static ACT_MIRRED_OPS: TcActionOps =
    TcActionOps { kind: "mirred", func: Func::TcfMirredAct, init: tcf_mirred_init, act: tcf_mirred_act };

/// How deep such actions may be in each other.
const MIRRED_NEST_LIMIT: u32 = 4;

/// What it is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mirred {
    /// The packet itself goes; otherwise a copy.
    pub redirect: bool,
    /// The device receives it; otherwise it sends it.
    pub ingress: bool,
    /// The device; `None`: it is gone, or was not said.
    pub dev: Option<DevId>,
    /// Neither was said, only an index.
    pub unsaid: bool,
}

fn tcf_mirred_init(_: &mut Cx, _: NetnsId, parm: &dyn ActionData) -> Result<Box<dyn ActionData>, NlError> {
    let parm = *action_data::<Mirred>(parm).ok_or(Errno::EINVAL)?;
    if parm.unsaid {
        return Err(NlError::with(Errno::EINVAL, "act_mirred: Unknown mirred option"));
    }
    if parm.dev.is_none() {
        return Err(NlError::with(Errno::EINVAL, "act_mirred: Specified device does not exist"));
    }
    Ok(Box::new(parm))
}

/// A device ends: actions know it no more.
fn mirred_device_event(cx: &mut Cx, dev: DevId, event: NetdevEvent) {
    if !matches!(event, NetdevEvent::Unregister) {
        return;
    }
    for action in cx.k.tc_actions.iter_mut() {
        let parm = action_data_mut::<Mirred>(action.data.as_mut());
        if let Some(parm) = parm.filter(|parm| parm.dev == Some(dev)) {
            parm.dev = None;
        }
    }
}

fn tcf_mirred_act(cx: &mut Cx, id: TcActionId, skb: SkbId) -> TcAct {
    let level = cx.k.cpus[cx.cpu.index()].mirred_nest_level;
    if level >= MIRRED_NEST_LIMIT {
        let from = cx.k.devs[cx.skbs[skb].dev].name.clone();
        cx.printk_limited(LOG_WARNING, |_| {
            vec![format!("Packet exceeded mirred recursion limit on dev {from}")]
        });
        return TcAct::Shot;
    }
    cx.k.cpus[cx.cpu.index()].mirred_nest_level = level + 1;
    tcf_action_update(cx, id, skb);
    let action = &cx.k.tc_actions[id];
    let parm = action_data::<Mirred>(action.data.as_ref()).copied().unwrap_or_default();
    let mut said = action.action;
    let sent = match parm.dev.filter(|dev| target_is_up(cx, *dev)) {
        None => {
            if parm.dev.is_none() && !std::mem::replace(&mut cx.k.tc_actions.gone_told, true) {
                cx.printk(LOG_NOTICE, "tc mirred: target device is gone".to_owned());
            }
            if parm.redirect {
                said = TcAct::Shot;
            }
            false
        }
        Some(dev) => {
            let reinserts = cx.skbs[skb].tc_at_ingress && parm.redirect && said == TcAct::Stolen;
            let own = if reinserts { skb } else { cx.skb_clone(skb) };
            if reinserts {
                said = TcAct::Consumed;
            }
            mirred_forward(cx, skb, own, dev, parm)
        }
    };
    cx.k.tc_actions[id].qstats.overlimits += u32::from(!sent);
    cx.k.cpus[cx.cpu.index()].mirred_nest_level = level;
    said
}

/// The device sends and receives; otherwise the log has it.
fn target_is_up(cx: &mut Cx, dev: DevId) -> bool {
    let netdev = &cx.k.devs[dev];
    if netdev.is_up() && netdev.carrier {
        return true;
    }
    let line = format!("tc mirred to Houston: device {} is down", netdev.name);
    cx.printk_limited(LOG_NOTICE, |_| vec![line]);
    false
}

/// The packet, or the copy of it that is `own`, goes to another device; false if that does not send it.
fn mirred_forward(cx: &mut Cx, skb: SkbId, own: SkbId, dev: DevId, parm: Mirred) -> bool {
    let (at_ingress, from) = (cx.skbs[skb].tc_at_ingress, cx.k.devs[cx.skbs[skb].dev].ifindex);
    cx.nf_reset_ct(own);
    let expects_nh = parm.ingress || !cx.k.devs[dev].arphrd.has_mac();
    let pkt = &mut cx.skbs[own];
    pkt.ip.flags &= !(IPSKB_SENT | XMIT_AWAITED);
    if parm.ingress && !at_ingress {
        pkt.drop_dst();
    }
    if at_ingress != expects_nh {
        pkt.data = if expects_nh { pkt.network_header } else { pkt.mac_header };
    }
    (pkt.skb_iif, pkt.dev) = (from, dev);
    if parm.redirect {
        (pkt.redirected, pkt.from_ingress) = (true, at_ingress);
    }
    if !parm.ingress {
        return cx.xmit_within(own, Door::DevQueueXmit { skb: own });
    }
    cx.walk(if at_ingress { Door::NetifReceiveSkb { skb: own } } else { Door::NetifRx { skb: own } });
    true
}
