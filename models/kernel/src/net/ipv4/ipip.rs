//! IPv4 in IPv4 (RFC 2003).
//!
//! Kernel: net/ipv4/ipip.c

use glassnet_wire::eth::ETH_P_IP;
use glassnet_wire::gre::Gre;
use glassnet_wire::ipv4::{IPPROTO_IPIP, Ipv4Hdr};

use super::icmp::IcmpError;
use super::ip_input::ip_hdr;
use super::ip_tunnel::{
    FEATURES, TunnelOptions, init_fb_tunnels, ip_tunnel, ip_tunnel_change_mtu, ip_tunnel_changelink,
    ip_tunnel_delete_net, ip_tunnel_dellink, ip_tunnel_err, ip_tunnel_get_iflink, ip_tunnel_lookup,
    ip_tunnel_newlink, ip_tunnel_rcv, ip_tunnel_uninit, ip_tunnel_xmit, make_fb_tunnel, tx_error,
};
use super::ip_tunnel_core::{iptunnel_handle_offloads, iptunnel_pull_header};
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{DevId, SkbId};
use crate::link::{LinkInfo, LinkOps, NewLink};
use crate::module::Module;
use crate::net::core::gro_cells::gro_cell_poll;
use crate::netlink::{Errno, NlError};
use crate::tables::arphrd::Arphrd;
use crate::tables::drop_reason::DropReason;
use crate::tables::ip_tunnel::{IpTunnel, IpTunnelParm, TunnelKind};
use crate::tables::klog::LOG_INFO;
use crate::tables::netdev::{IFF_NOARP, IFF_POINTOPOINT, NetDevice};
use crate::tables::netdev_features::LLTX;

/// The module. Not modelled: MPLS inside, `external` devices, encapsulation in UDP (`fou`, `gue`).
pub static MODULE: Module = Module {
    links: &[&LINK_OPS],
    init: Some(ipip_init),
    netdevs: &["tunl0"],
    err_handler: Some(ipip_err),
    net_init: Some(|cx, netns| {
        if cx.k.config.ipip {
            make_fb_tunnel(cx, netns, &LINK_OPS, "tunl0");
        }
    }),
    net_exit: Some(|cx, netns| ip_tunnel_delete_net(cx, netns, TunnelKind::Ipip)),
    netdevice_event: Some(|cx, dev, event| ip_tunnel_uninit(cx, dev, event, TunnelKind::Ipip)),
    ..Module::named("ipip")
};

/// Link kind `ipip`.
static LINK_OPS: LinkOps = LinkOps {
    has_tstats: true,
    newlink: Some(ipip_newlink),
    changelink: Some(ipip_changelink),
    dellink: Some(ip_tunnel_dellink),
    change_mtu: Some(ip_tunnel_change_mtu),
    poll: Some(gro_cell_poll),
    get_iflink: Some(ip_tunnel_get_iflink),
    get_link_net: Some(|dev| dev.netdev_priv::<IpTunnel>().map_or(dev.netns, |own| own.net)),
    ..LinkOps::new(Some("ipip"), ipip_tunnel_setup, |skb| Door::IpipTunnelXmit { skb })
};

fn ipip_tunnel_setup(dev: &mut NetDevice) {
    dev.arphrd = Arphrd::Tunnel;
    dev.flags = IFF_NOARP;
    dev.no_queue = true;
    dev.hw_features = FEATURES;
    dev.features = FEATURES | LLTX;
    dev.set_priv(IpTunnel::new(TunnelKind::Ipip, dev.netns));
}

/// The module is loaded, by a user or for the first tunnel: each namespace gets the device for what is for no tunnel.
fn ipip_init(cx: &mut Cx) {
    if !std::mem::replace(&mut cx.k.config.ipip, true) {
        cx.printk(LOG_INFO, "ipip: IPv4 and MPLS over IPv4 tunneling driver".to_owned());
        init_fb_tunnels(cx, &LINK_OPS, "tunl0");
    }
}

/// What a request says; one without settings means packets of IPv4 between any hosts (`ipip_netlink_parms`).
fn ipip_netlink_parms(info: &LinkInfo) -> TunnelOptions {
    let none = IpTunnelParm { protocol: IPPROTO_IPIP, ..IpTunnelParm::default() };
    info.data().copied().unwrap_or(TunnelOptions { parms: none, ..TunnelOptions::default() })
}

fn ipip_newlink(cx: &mut Cx, new: NewLink) -> Result<DevId, NlError> {
    ipip_init(cx);
    let TunnelOptions { parms, fwmark, .. } = ipip_netlink_parms(new.info);
    ip_tunnel_newlink(cx, new, parms, (fwmark, false))
}

/// # Errors
///
/// `EINVAL` if one end becomes any host or was any, and those of a change.
fn ipip_changelink(cx: &mut Cx, dev: DevId, info: &LinkInfo) -> Result<(), NlError> {
    let TunnelOptions { parms, fwmark, .. } = ipip_netlink_parms(info);
    if parms.daddr.is_unspecified() == (cx.k.devs[dev].flags & IFF_POINTOPOINT != 0) {
        return Err(Errno::EINVAL.into());
    }
    ip_tunnel_changelink(cx, dev, parms, fwmark)
}

/// Only packets of IPv4 go through the tunnel, if it is for those.
///
/// Kernel: net/ipv4/ipip.c
/// Not modelled: what its module does not model.
pub fn ipip_tunnel_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    let dev = cx.skbs[skb].dev;
    cx.xmit_succeeded(skb);
    let protocol = ip_tunnel(cx.k, dev).map(|tunnel| tunnel.parms.protocol);
    if cx.skbs[skb].protocol != ETH_P_IP || !matches!(protocol, Some(0 | IPPROTO_IPIP)) {
        return tx_error(cx, skb, dev);
    }
    iptunnel_handle_offloads(cx, skb);
    cx.within(Func::IpTunnelXmit, skb, |cx| ip_tunnel_xmit(cx, skb, dev, IPPROTO_IPIP))
}

/// A packet of IPv4 in one of IPv4; `None`: it is for no tunnel (`ipip_tunnel_rcv`).
pub fn ipip_rcv(cx: &mut Cx, skb: SkbId) -> Option<Door> {
    cx.within(Func::IpipRcv, skb, |cx| {
        let outer = *ip_hdr(cx, skb)?;
        let from = cx.skbs[skb].dev;
        let dev = ip_tunnel_lookup(cx, TunnelKind::Ipip, from, (outer.saddr.get(), outer.daddr.get()), None)?;
        let protocol = ip_tunnel(cx.k, dev)?.parms.protocol;
        if !matches!(protocol, 0 | IPPROTO_IPIP) || !iptunnel_pull_header(cx, skb, 0, ETH_P_IP, false) {
            return Some(cx.kfree_skb(skb, DropReason::NotSpecified));
        }
        Some(cx.within(Func::IpTunnelRcv, skb, |cx| ip_tunnel_rcv(cx, skb, dev, &outer, &Gre::default())))
    })
}

/// An ICMP error about a packet that a tunnel sent.
fn ipip_err(cx: &mut Cx, skb: SkbId, quoted: &Ipv4Hdr, (kind, code, info): (u8, u8, u32)) {
    if quoted.protocol != IPPROTO_IPIP {
        return;
    }
    let error = IcmpError { kind, code, info };
    let (from, local, remote) = (cx.skbs[skb].dev, quoted.saddr.get(), quoted.daddr.get());
    if let Some(dev) = ip_tunnel_lookup(cx, TunnelKind::Ipip, from, (remote, local), None) {
        ip_tunnel_err(cx, skb, dev, remote, error);
    }
}
