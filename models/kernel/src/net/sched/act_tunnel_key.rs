//! `tunnel_key`: tells a tunnel's device what to write into the outer headers of a packet, or forgets what stood there.
//!
//! Kernel: net/sched/act_tunnel_key.c. Not modelled: IPv6, options of Geneve, VXLAN and ERSPAN.

use std::sync::Arc;

use super::act_api::tcf_action_update;
use crate::Cx;
use crate::action::{ActionData, TcAct, TcActionOps, action_data};
use crate::door::Func;
use crate::ids::{NetnsId, SkbId, TcActionId};
use crate::module::Module;
use crate::netlink::{Errno, NlError};
use crate::tables::ip_tunnel::{IpTunnelInfo, IpTunnelKey};

/// The module.
pub static MODULE: Module = Module { actions: &[&ACT_TUNNEL_KEY_OPS], ..Module::named("act_tunnel_key") };

static ACT_TUNNEL_KEY_OPS: TcActionOps =
    TcActionOps { kind: "tunnel_key", func: Func::TunnelKeyAct, init: tunnel_key_init, act: tunnel_key_act };

/// What it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TunnelKey {
    /// Nothing: only an index was said.
    #[default]
    Unsaid,
    /// What a packet came with is forgotten.
    Unset,
    /// Packets are to get this.
    Set(IpTunnelKey),
    /// The same, as the action keeps it.
    Metadata(Arc<IpTunnelInfo>),
}

fn tunnel_key_init(_: &mut Cx, _: NetnsId, parm: &dyn ActionData) -> Result<Box<dyn ActionData>, NlError> {
    match action_data::<TunnelKey>(parm).ok_or(Errno::EINVAL)? {
        TunnelKey::Unsaid => Err(NlError::with(Errno::EINVAL, "Unknown tunnel key action")),
        TunnelKey::Set(key) if key.src.is_unspecified() && key.dst.is_unspecified() => {
            Err(NlError::with(Errno::EINVAL, "Missing either ipv4 or ipv6 src and dst"))
        }
        TunnelKey::Set(key) => Ok(Box::new(TunnelKey::Metadata(Arc::new(IpTunnelInfo::to_send(*key))))),
        parm => Ok(Box::new(parm.clone())),
    }
}

fn tunnel_key_act(cx: &mut Cx, id: TcActionId, skb: SkbId) -> TcAct {
    tcf_action_update(cx, id, skb);
    let action = &cx.k.tc_actions[id];
    let said = action.action;
    let info = match action_data::<TunnelKey>(action.data.as_ref()) {
        Some(TunnelKey::Metadata(info)) => Some(info.clone()),
        _ => None,
    };
    cx.skbs[skb].drop_dst();
    cx.skbs[skb].tun_info = info;
    said
}
