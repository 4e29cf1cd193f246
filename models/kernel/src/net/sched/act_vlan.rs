//! `vlan`: puts a VLAN tag in, takes one out, or changes it.
//!
//! Kernel: net/sched/act_vlan.c, net/core/skbuff.c (`skb_vlan_push`, `skb_vlan_pop`). Not modelled: whole Ethernet headers
//! (`push_eth`, `pop_eth`).

use super::act_api::tcf_action_update;
use crate::Cx;
use crate::action::{ActionData, TcAct, TcActionOps, action_data};
use crate::door::Func;
use crate::ids::{NetnsId, SkbId, TcActionId};
use crate::module::Module;
use crate::netlink::{Errno, NlError};
use crate::tables::vlan_tag::{VLAN_HLEN, VLAN_PRIO_SHIFT, VLAN_VID_MASK, VlanProto, VlanTag};
use glassnet_wire::eth::ETH_HLEN;

/// The module.
pub static MODULE: Module = Module { actions: &[&ACT_VLAN_OPS], ..Module::named("act_vlan") };

static ACT_VLAN_OPS: TcActionOps =
    TcActionOps { kind: "vlan", func: Func::TcfVlanAct, init: tcf_vlan_init, act: tcf_vlan_act };

/// What it is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vlan {
    /// Nothing: only an index was said.
    #[default]
    Unsaid,
    /// The outer tag is taken out.
    Pop,
    /// A tag is put in.
    Push(VlanParm),
    /// The outer tag becomes this one.
    Modify(VlanParm),
}

/// A tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VlanParm {
    /// The VLAN.
    pub id: u16,
    /// The kind of tag.
    pub proto: VlanProto,
    /// The priority; `None`: not said.
    pub priority: Option<u8>,
}

fn tcf_vlan_init(_: &mut Cx, _: NetnsId, parm: &dyn ActionData) -> Result<Box<dyn ActionData>, NlError> {
    match *action_data::<Vlan>(parm).ok_or(Errno::EINVAL)? {
        Vlan::Unsaid => Err(Errno::EINVAL.into()),
        Vlan::Push(tag) | Vlan::Modify(tag) if tag.id >= VLAN_VID_MASK => Err(Errno::ERANGE.into()),
        // What is pushed has a priority.
        Vlan::Push(tag) => Ok(Box::new(Vlan::Push(VlanParm { priority: tag.priority.or(Some(0)), ..tag }))),
        parm => Ok(Box::new(parm)),
    }
}

fn tcf_vlan_act(cx: &mut Cx, id: TcActionId, skb: SkbId) -> TcAct {
    tcf_action_update(cx, id, skb);
    let action = &cx.k.tc_actions[id];
    let (parm, said) = (action_data::<Vlan>(action.data.as_ref()).copied(), action.action);
    let at_ingress = cx.skbs[skb].tc_at_ingress;
    if at_ingress {
        cx.skbs.push_mac_header(skb);
    }
    let prio = |tag: VlanParm| u16::from(tag.priority.unwrap_or(0)) << VLAN_PRIO_SHIFT;
    let done = match parm.unwrap_or_default() {
        Vlan::Unsaid => true,
        Vlan::Pop => skb_vlan_pop(cx, skb),
        Vlan::Push(tag) => {
            skb_vlan_push(cx, skb, VlanTag { proto: tag.proto, tci: tag.id | prio(tag) });
            true
        }
        Vlan::Modify(tag) => {
            let is_tagged = cx.skbs[skb].vlan_tag.is_some() || pull_tag(cx, skb);
            if let Some(old) = cx.skbs[skb].vlan_tag.filter(|_| is_tagged) {
                let kept = old.tci & !VLAN_VID_MASK;
                let kept = if tag.priority.is_some() { kept & !(7 << VLAN_PRIO_SHIFT) } else { kept };
                cx.skbs[skb].vlan_tag = Some(VlanTag { proto: tag.proto, tci: kept | tag.id | prio(tag) });
            }
            true
        }
    };
    if at_ingress {
        let pkt = &mut cx.skbs[skb];
        pkt.data = pkt.network_header;
    }
    if done {
        return said;
    }
    cx.k.tc_actions[id].qstats.drops += 1;
    TcAct::Shot
}

/// A tag in the frame, whose data begins at the Ethernet header, stands beside it afterwards. False if there is none, or the frame
/// ends in it.
fn pull_tag(cx: &mut Cx, skb: SkbId) -> bool {
    if VlanProto::of(cx.skbs[skb].protocol).is_none() || !cx.skbs.pull(skb, ETH_HLEN) {
        return false;
    }
    let taken = cx.skbs.pull_tag(skb);
    let pkt = &mut cx.skbs[skb];
    if taken {
        pkt.network_header = pkt.data;
    }
    cx.skbs.push_mac_header(skb);
    taken
}

/// The outer tag goes; the next one stands beside the frame, as a card would put it.
fn skb_vlan_pop(cx: &mut Cx, skb: SkbId) -> bool {
    if cx.skbs[skb].vlan_tag.take().is_none() && VlanProto::of(cx.skbs[skb].protocol).is_some() {
        if !pull_tag(cx, skb) {
            return false;
        }
        cx.skbs[skb].vlan_tag = None;
    }
    VlanProto::of(cx.skbs[skb].protocol).is_none() || pull_tag(cx, skb)
}

/// The tag that stands beside a frame is put into it, and another one stands beside it.
fn skb_vlan_push(cx: &mut Cx, skb: SkbId, tag: VlanTag) {
    if let Some(inner) = cx.skbs[skb].vlan_tag {
        let network = cx.skbs[skb].network_header - cx.skbs[skb].data;
        cx.skbs.push_tag(skb);
        let pkt = &mut cx.skbs[skb];
        pkt.protocol = inner.proto.ethertype();
        pkt.network_header = pkt.data + network + VLAN_HLEN as u32;
    }
    cx.skbs[skb].vlan_tag = Some(tag);
}
