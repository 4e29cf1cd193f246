//! Tunnels over IPv4 with an IP packet, or a frame, behind the outer header.
//!
//! Kernel: net/ipv4/ip_tunnel.c

use std::net::Ipv4Addr;

use glassnet_sim::Nanos;
use glassnet_wire::eth::{ETH_HLEN, ETH_P_IP, EthHdr};
use glassnet_wire::gre::{GRE_CSUM, GRE_KEY, GRE_SEQ, Gre};
use glassnet_wire::icmp::{ICMP_DEST_UNREACH, ICMP_REDIRECT, ICMP_TIME_EXCEEDED};
use glassnet_wire::ipv4::{IPV4_HLEN, Ipv4Hdr};

use super::fou_core::ip_tunnel_encap;
use super::icmp::{ICMP_EXC_TTL, ICMP_FRAG_NEEDED, ICMP_HOST_UNREACH, IcmpError, icmp_send};
use super::ip_input::ip_hdr;
use super::ip_output::{IpHeader, ttl_or_hoplimit};
use super::ip_tunnel_core::{
    ip_ecn_decapsulate, ip_tunnel_ecn_encap, ip_tunnel_get_df, ip_tunnel_get_dsfield, ip_tunnel_get_ttl,
    iptunnel_xmit,
};
use super::route::{dst_mtu, ip_route_output_flow, ipv4_dst_check, keep};
use super::route_errors::{ip_do_redirect, ip_rt_update_pmtu};
use crate::door::{Door, Func};
use crate::ids::{DevId, NetnsId, SkbId};
use crate::kernel::INIT_NET;
use crate::link::{LinkOps, NewLink};
use crate::module::NetdevEvent;
use crate::net::core::dev::{alloc_netdev, register_netdevice, unregister_netdevice};
use crate::net::core::gro_cells::{gro_cells_destroy, gro_cells_init};
use crate::net::core::gso;
use crate::net::ethernet::eth::eth_type_trans;
use crate::netlink::{Errno, NlError};
use crate::tables::arphrd::ipv4_link_address;
use crate::tables::drop_reason::DropReason;
use crate::tables::ip_tunnel::{
    EncapType, IpTunnel, IpTunnelEncap, IpTunnelInfo, IpTunnelNet, IpTunnelNets, IpTunnelParm,
    TUNNEL_DONT_FRAGMENT, TunnelKind,
};
use crate::tables::jiffies::last_tick;
use crate::tables::netdev::{IFF_POINTOPOINT, NameAssign, NetDevice};
use crate::tables::netdev_features::{FRAGLIST, GSO_SOFTWARE, HIGHDMA, HW_CSUM, NETNS_LOCAL, SG};
use crate::tables::route::{DstCache, FlowOut, Rtable};
use crate::tables::skb::{IpCb, PacketType};
use crate::{Cx, Kernel};

/// Features that tunnels can have (`IPIP_FEATURES`).
pub(super) const FEATURES: u64 = SG | FRAGLIST | HIGHDMA | GSO_SOFTWARE | HW_CSUM;
/// The longest packet of IPv4, bytes (`IP_MAX_MTU`).
pub(super) const IP_MAX_MTU: u32 = 65_535;
/// The least MTU of a tunnel, bytes (`IPV4_MIN_MTU`, `ETH_MIN_MTU`).
pub(super) const MIN_MTU: u32 = 68;
/// The MTU where it is not known by which device packets leave, bytes (`ETH_DATA_LEN`).
const ETH_DATA_LEN: u32 = 1500;
/// How long senders are told of ICMP errors (`IPTUNNEL_ERR_TIMEO`).
const ERR_TIMEO: Nanos = Nanos::from_secs(30);

/// What is known of a device, if it is a tunnel.
pub fn ip_tunnel(kernel: &Kernel, dev: DevId) -> Option<&IpTunnel> {
    kernel.devs.get(dev)?.netdev_priv()
}

pub(super) fn ip_tunnel_mut<'a>(cx: &'a mut Cx, dev: DevId) -> &'a mut IpTunnel {
    cx.k.devs[dev].netdev_priv_mut().expect("a tunnel")
}

pub(super) fn net(kernel: &Kernel, netns: NetnsId, kind: TunnelKind) -> Option<&IpTunnelNet> {
    kernel.netns.get(netns)?.generic.get::<IpTunnelNets>()?.get(kind)
}

pub(super) fn net_mut<'a>(cx: &'a mut Cx, netns: NetnsId, kind: TunnelKind) -> &'a mut IpTunnelNet {
    cx.k.netns[netns].generic.get_mut::<IpTunnelNets>().get_mut(kind)
}

/// The device that outer packets leave by, 0 if any does (`dev_get_iflink`).
pub(super) fn ip_tunnel_get_iflink(dev: &NetDevice) -> u32 {
    dev.netdev_priv::<IpTunnel>().map_or(0, |tunnel| tunnel.parms.link)
}

/// Settings of a device (`IFLA_IPTUN_*`, `IFLA_GRE_*`).
#[derive(Clone, Copy, Debug, Default)]
pub struct TunnelOptions {
    /// How the tunnel is set.
    pub parms: IpTunnelParm,
    /// The mark that outer packets are routed by.
    pub fwmark: u32,
    /// How its packets go in UDP.
    pub encap: IpTunnelEncap,
    /// Outer packets may be fragmented even where that inside may not; `None`: it is not said.
    pub ignore_df: Option<bool>,
    /// Packets say themselves where they go.
    pub collect_md: bool,
}

/// Whether a tunnel with these ends and keys is meant.
type Fits<'a> = &'a dyn Fn(&IpTunnelParm) -> bool;

/// The tunnel that a packet came through: one between these hosts, or from that host, or to this one, or between any; among
/// equals one of the device that it came in by, else the oldest of the first kind and the newest of the others. Last the
/// fallback device.
pub(super) fn ip_tunnel_lookup(
    cx: &mut Cx,
    kind: TunnelKind,
    from: DevId,
    (remote, local): (Ipv4Addr, Ipv4Addr),
    key: Option<u32>,
) -> Option<DevId> {
    cx.call(Func::IpTunnelLookup, None);
    let netdev = &cx.k.devs[from];
    let (kernel, link, net) = (&*cx.k, netdev.ifindex, net(cx.k, netdev.netns, kind)?);
    let is_any = Ipv4Addr::is_unspecified;
    let steps: [(Ipv4Addr, Fits); 4] = [
        (remote, &|parms| (parms.saddr, parms.daddr) == (local, remote) && has_key(parms, key)),
        (remote, &|parms| parms.daddr == remote && is_any(&parms.saddr) && has_key(parms, key)),
        (Ipv4Addr::UNSPECIFIED, &|parms| {
            let is_here = parms.saddr == local && is_any(&parms.daddr);
            (is_here || parms.daddr == local && local.is_multicast()) && has_key(parms, key)
        }),
        (Ipv4Addr::UNSPECIFIED, &|parms| {
            is_any(&parms.saddr) && is_any(&parms.daddr) && parms.i_key == key.unwrap_or(0)
        }),
    ];
    let mut found = None;
    for (step, (bucket, fits)) in steps.into_iter().enumerate() {
        for dev in net.bucket(bucket).iter().copied().filter(|dev| kernel.devs[*dev].is_up()) {
            let Some(parms) = ip_tunnel(kernel, dev).map(|tunnel| &tunnel.parms).filter(|parms| fits(parms))
            else {
                continue;
            };
            if parms.link == link {
                return Some(dev);
            }
            if step == 0 || found.is_none() {
                found = Some(dev);
            }
        }
    }
    let is_up = |dev: &DevId| kernel.devs[*dev].is_up();
    found.or_else(|| net.collect_md_tun.filter(is_up)).or_else(|| net.fb_tunnel_dev.filter(is_up))
}

/// Packets with this key are a tunnel's (`ip_tunnel_key_match`).
fn has_key(parms: &IpTunnelParm, key: Option<u32>) -> bool {
    key == (parms.i_flags & GRE_KEY != 0).then_some(parms.i_key)
}

/// The tunnel with these ends over this device (`ip_tunnel_find`).
pub(super) fn ip_tunnel_find(
    kernel: &Kernel,
    netns: NetnsId,
    kind: TunnelKind,
    parms: &IpTunnelParm,
) -> Option<DevId> {
    let is_it = |dev: &DevId| {
        ip_tunnel(kernel, *dev).is_some_and(|tunnel| {
            let own = &tunnel.parms;
            let key = (parms.i_flags & GRE_KEY != 0).then_some(parms.i_key);
            (own.saddr, own.daddr, own.link) == (parms.saddr, parms.daddr, parms.link) && has_key(own, key)
        })
    };
    net(kernel, netns, kind)?.bucket(parms.daddr).iter().copied().find(is_it)
}

/// Both ends are the addresses of a device that has no others.
fn set_ends(dev: &mut NetDevice) {
    let tunnel = dev.netdev_priv::<IpTunnel>().filter(|_| !dev.arphrd.has_mac());
    let Some(IpTunnelParm { saddr, daddr, .. }) = tunnel.map(|tunnel| tunnel.parms) else { return };
    (dev.addr, dev.broadcast) = (ipv4_link_address(saddr), ipv4_link_address(daddr));
}

/// Finds out by which device outer packets leave, and what MTU that leaves.
pub(super) fn ip_tunnel_bind_dev(cx: &mut Cx, dev: DevId) -> u32 {
    let IpTunnel { parms, net, fwmark, .. } = *ip_tunnel_mut(cx, dev);
    let t_hlen = ip_tunnel_mut(cx, dev).t_hlen();
    let by_index = cx.k.dev_by_index(net, parms.link);
    let mut lower = by_index;
    if !parms.daddr.is_unspecified() {
        let flow = init_flow(cx.k, &parms, (net, fwmark), parms.daddr, parms.tos);
        let routed = ip_route_output_flow(cx, net, flow, None);
        lower = routed.ok().map(|(route, _)| route.dev).or(by_index);
        if !cx.k.devs[dev].arphrd.has_mac() {
            cx.k.devs[dev].flags |= IFF_POINTOPOINT;
        }
        ip_tunnel_mut(cx, dev).dst_cache = DstCache::default();
    }
    let mtu = lower.map_or(ETH_DATA_LEN, |lower| cx.k.devs[lower].mtu.min(IP_MAX_MTU));
    mtu.saturating_sub(t_hlen).max(MIN_MTU)
}

/// The flow of a tunnel's outer packets (`ip_tunnel_init_flow`).
fn init_flow(
    kernel: &Kernel,
    parms: &IpTunnelParm,
    (net, mark): (NetnsId, u32),
    daddr: Ipv4Addr,
    tos: u8,
) -> FlowOut {
    // A device in a VRF stands for the VRF's table.
    let link = kernel.dev_by_index(net, parms.link);
    let oif = link.map(|link| kernel.devs.l3mdev_master(link).unwrap_or(link));
    FlowOut { daddr, saddr: parms.saddr, oif, tos, mark, proto: parms.protocol, ..FlowOut::default() }
}

/// How the packets of a device go in UDP is set or changed.
///
/// # Errors
///
/// `EINVAL` if they are to, and the module `fou` is not loaded; checksums that are left to the receiver are not modelled.
pub(super) fn ip_tunnel_encap_setup(cx: &mut Cx, dev: DevId, encap: IpTunnelEncap) -> Result<(), NlError> {
    check_encap(cx, &encap)?;
    ip_tunnel_mut(cx, dev).encap = encap;
    Ok(())
}

fn check_encap(cx: &Cx, encap: &IpTunnelEncap) -> Result<(), NlError> {
    if encap.kind != EncapType::None && !cx.k.config.fou {
        return Err(Errno::EINVAL.into());
    }
    if encap.remcsum { Err(NlError::not_modelled("encap-remcsum")) } else { Ok(()) }
}

/// Makes a device by a request, in the namespace of whoever asks.
///
/// # Errors
///
/// `EEXIST` if there is a tunnel with these ends; those of [`ip_tunnel_encap_setup`].
pub(super) fn ip_tunnel_newlink(cx: &mut Cx, new: NewLink, options: TunnelOptions) -> Result<DevId, NlError> {
    let NewLink { mut dev, src_net, mtu, .. } = new;
    let TunnelOptions { parms, fwmark, encap, ignore_df, collect_md } = options;
    check_encap(cx, &encap)?;
    let tunnel: &mut IpTunnel = dev.netdev_priv_mut().ok_or(Errno::EINVAL)?;
    (tunnel.net, tunnel.parms, tunnel.fwmark, tunnel.encap) = (src_net, parms, fwmark, encap);
    (tunnel.ignore_df, tunnel.collect_md) = (ignore_df.unwrap_or(false), collect_md);
    let (kind, t_hlen) = (tunnel.kind, tunnel.t_hlen());
    let other = match collect_md {
        true => net(cx.k, src_net, kind).and_then(|net| net.collect_md_tun),
        false => ip_tunnel_find(cx.k, src_net, kind, &parms),
    };
    if other.is_some() {
        return Err(Errno::EEXIST.into());
    }
    let dev = register(cx, dev)?;
    let own = ip_tunnel_bind_dev(cx, dev);
    cx.k.devs[dev].mtu = mtu.map_or(own, |asked| asked.clamp(MIN_MTU, IP_MAX_MTU - t_hlen));
    let net = net_mut(cx, src_net, kind);
    net.add(dev, parms.daddr);
    if collect_md {
        net.collect_md_tun = Some(dev);
    }
    Ok(dev)
}

/// Packets that are numbered cannot be sent merged, nor those with a checksum of GRE in UDP (`__gre_tunnel_init`,
/// `ipgre_link_update`).
pub(super) fn set_gso(dev: &mut NetDevice) {
    let Some(IpTunnel { parms, encap, .. }) = dev.netdev_priv() else { return };
    let flags = parms.o_flags;
    let is_off = flags & GRE_SEQ != 0 || flags & GRE_CSUM != 0 && encap.kind != EncapType::None;
    for features in [&mut dev.hw_features, &mut dev.features] {
        *features = if is_off { *features & !GSO_SOFTWARE } else { *features | GSO_SOFTWARE };
    }
}

/// Registers a device whose ends are known (`ip_tunnel_init`).
pub(super) fn register(cx: &mut Cx, mut dev: NetDevice) -> Result<DevId, NlError> {
    set_gso(&mut dev);
    let to_one = dev.netdev_priv::<IpTunnel>().is_some_and(|tunnel| !tunnel.parms.daddr.is_unspecified());
    dev.header_ops = dev.header_ops.filter(|_| !to_one);
    set_ends(&mut dev);
    let dev = register_netdevice(cx, dev)?;
    gro_cells_init(cx, dev);
    Ok(dev)
}

/// Changes a tunnel.
///
/// # Errors
///
/// `EINVAL` for the fallback device, and for ends that make another kind of link of it; `EEXIST` if another tunnel has these.
pub(super) fn ip_tunnel_changelink(
    cx: &mut Cx,
    dev: DevId,
    parms: IpTunnelParm,
    fwmark: u32,
) -> Result<(), NlError> {
    let IpTunnel { kind, net: netns, .. } = *ip_tunnel_mut(cx, dev);
    if net(cx.k, netns, kind).is_some_and(|net| net.fb_tunnel_dev == Some(dev)) {
        return Err(Errno::EINVAL.into());
    }
    may_change(cx.k, dev, &parms)?;
    ip_tunnel_update(cx, dev, parms, fwmark);
    Ok(())
}

/// A device can get these ends.
pub(super) fn may_change(kernel: &Kernel, dev: DevId, parms: &IpTunnelParm) -> Result<(), Errno> {
    let Some(&IpTunnel { kind, net, .. }) = ip_tunnel(kernel, dev) else { return Err(Errno::EINVAL) };
    match ip_tunnel_find(kernel, net, kind, parms) {
        Some(other) if other != dev => Err(Errno::EEXIST),
        Some(_) => Ok(()),
        None if kernel.devs[dev].arphrd.has_mac() => Ok(()),
        // To a group is a broadcast link, to a host one between two, to any neither.
        None => {
            let flag = !(parms.daddr.is_unspecified() || parms.daddr.is_multicast());
            let was = kernel.devs[dev].flags & IFF_POINTOPOINT != 0;
            if parms.daddr.is_multicast() || flag != was { Err(Errno::EINVAL) } else { Ok(()) }
        }
    }
}

pub(super) fn ip_tunnel_update(cx: &mut Cx, dev: DevId, parms: IpTunnelParm, fwmark: u32) {
    let IpTunnel { kind, net, parms: old, fwmark: old_mark, .. } = *ip_tunnel_mut(cx, dev);
    let net = net_mut(cx, net, kind);
    net.del(dev, old.daddr);
    net.add(dev, parms.daddr);
    let tunnel = ip_tunnel_mut(cx, dev);
    (tunnel.parms, tunnel.fwmark) = (IpTunnelParm { protocol: old.protocol, ..parms }, fwmark);
    tunnel.dst_cache = DstCache::default();
    set_ends(&mut cx.k.devs[dev]);
    if (parms.link, fwmark) != (old.link, old_mark) {
        cx.k.devs[dev].mtu = ip_tunnel_bind_dev(cx, dev);
    }
}

/// Deletes a device at a user's wish; the fallback device stays.
pub(super) fn ip_tunnel_dellink(cx: &mut Cx, dev: DevId) {
    let IpTunnel { kind, net: netns, .. } = *ip_tunnel_mut(cx, dev);
    if net(cx.k, netns, kind).is_none_or(|net| net.fb_tunnel_dev != Some(dev)) {
        unregister_netdevice(cx, dev);
    }
}

/// A tunnel's device goes for good (`ip_tunnel_uninit`).
pub(super) fn ip_tunnel_uninit(cx: &mut Cx, dev: DevId, event: NetdevEvent, kind: TunnelKind) {
    let netdev = &cx.k.devs[dev];
    let tunnel = netdev.netdev_priv::<IpTunnel>().filter(|tunnel| tunnel.kind == kind);
    let Some(&IpTunnel { net, parms, .. }) = tunnel else { return };
    if event != NetdevEvent::Unregister || !netdev.unregistering {
        return;
    }
    gro_cells_destroy(cx, dev);
    if cx.k.netns.get(net).is_some() {
        let net = net_mut(cx, net, kind);
        net.del(dev, parms.daddr);
        net.fb_tunnel_dev = net.fb_tunnel_dev.filter(|fb| *fb != dev);
        net.collect_md_tun = net.collect_md_tun.filter(|md| *md != dev);
    }
}

/// A namespace ends, and the tunnels whose outer packets are in it, wherever their devices are.
pub(super) fn ip_tunnel_delete_net(cx: &mut Cx, netns: NetnsId, kind: TunnelKind) {
    for dev in net(cx.k, netns, kind).map_or(Vec::new(), IpTunnelNet::all) {
        if cx.k.devs.get(dev).is_some() {
            unregister_netdevice(cx, dev);
        }
    }
}

/// # Errors
///
/// `EINVAL` if packets of this length cannot be sent with the outer header.
pub(super) fn ip_tunnel_change_mtu(cx: &mut Cx, dev: DevId, mtu: u32) -> Result<(), Errno> {
    let most = IP_MAX_MTU - ip_tunnel_mut(cx, dev).t_hlen();
    if (MIN_MTU..=most).contains(&mtu) { Ok(()) } else { Err(Errno::EINVAL) }
}

/// Makes the fallback device of each namespace.
pub(super) fn init_fb_tunnels(cx: &mut Cx, ops: &'static LinkOps, name: &str) {
    for netns in cx.k.netns.iter_mut().map(|netns| netns.id).collect::<Vec<_>>() {
        make_fb_tunnel(cx, netns, ops, name);
    }
}

/// Makes a namespace's fallback device (`ip_tunnel_init_net`), unless `fb_tunnels_only_for_init_net` says that it has none. If the
/// name is taken, there is none either.
pub(super) fn make_fb_tunnel(cx: &mut Cx, netns: NetnsId, ops: &'static LinkOps, name: &str) {
    let has_one = match cx.k.core.fb_tunnels_only_for_init_net {
        0 => true,
        1 => netns == INIT_NET,
        _ => false,
    };
    if !has_one || !cx.k.config.fb_tunnels {
        return;
    }
    let mut dev = alloc_netdev(netns, name.to_owned(), NameAssign::User, ops);
    dev.features |= NETNS_LOCAL;
    let Ok(dev) = register(cx, dev) else { return };
    cx.k.devs[dev].mtu = ip_tunnel_bind_dev(cx, dev);
    let kind = ip_tunnel_mut(cx, dev).kind;
    let net = net_mut(cx, netns, kind);
    net.add(dev, Ipv4Addr::UNSPECIFIED);
    net.fb_tunnel_dev = Some(dev);
}

/// A packet cannot be sent.
pub(super) fn tx_error(cx: &mut Cx, skb: SkbId, dev: DevId) -> Door {
    cx.k.devs[dev].stats.tx_errors += 1;
    cx.kfree_skb(skb, DropReason::NotSpecified)
}

/// Sends a packet to the other end of a tunnel that is set like this, with an outer header of this protocol in front.
pub(super) fn ip_tunnel_xmit(cx: &mut Cx, skb: SkbId, dev: DevId, parms: IpTunnelParm, protocol: u8) -> Door {
    cx.skbs[skb].ip = IpCb::default();
    let IpTunnel { net, fwmark, encap, ignore_df, parms: IpTunnelParm { daddr: own, .. }, .. } =
        *ip_tunnel_mut(cx, dev);
    let Some(daddr) = other_end(cx, skb, &parms) else { return tx_error(cx, skb, dev) };
    let inherits_tos = parms.tos & 1 != 0 && cx.skbs[skb].protocol == ETH_P_IP;
    let tos = if inherits_tos { ip_tunnel_get_dsfield(cx, skb) } else { parms.tos & !1 };
    let flow = FlowOut { proto: protocol, ..init_flow(cx.k, &parms, (net, fwmark), daddr, tos) };
    let protocol = ip_tunnel_encap(cx, skb, &encap, protocol, &flow);
    let connected = !own.is_unspecified() && !inherits_tos;
    let Ok((route, flow)) = output_route(cx, (skb, dev), flow, connected) else {
        cx.k.devs[dev].stats.tx_carrier_errors += 1;
        return tx_error(cx, skb, dev);
    };
    if route.dev == dev {
        cx.k.devs[dev].stats.collisions += 1;
        return tx_error(cx, skb, dev);
    }
    let df = parms.df || !ignore_df && ip_tunnel_get_df(cx, skb);
    let t_hlen = ip_tunnel_mut(cx, dev).t_hlen();
    if tnl_update_pmtu(cx, skb, &route, df, t_hlen) {
        return tx_error(cx, skb, dev);
    }
    tell_of_errors(cx, skb, dev);
    let header = IpHeader {
        saddr: flow.saddr,
        daddr,
        protocol,
        ttl: ttl_or_hoplimit(
            cx,
            net,
            &route,
            if parms.ttl == 0 { ip_tunnel_get_ttl(cx, skb) } else { parms.ttl },
        ),
        tos: ip_tunnel_ecn_encap(cx, skb, tos),
        dont_fragment: df,
        ignore_df: false,
    };
    let xnet = net != cx.k.devs[dev].netns;
    iptunnel_xmit(cx, skb, dev, route, header, xnet);
    Door::End
}

/// Sends a packet, with `hlen` bytes in front of it, to where it says, with an outer header of this protocol (`ip_md_tunnel_xmit`).
pub(super) fn ip_md_tunnel_xmit(
    cx: &mut Cx,
    (skb, dev): (SkbId, DevId),
    info: &IpTunnelInfo,
    protocol: u8,
    hlen: usize,
) -> Door {
    cx.skbs[skb].ip = IpCb::default();
    let (net, cpu, mark, key) = (ip_tunnel_mut(cx, dev).net, cx.cpu, cx.skbs[skb].mark, info.key);
    let is_ip = cx.skbs[skb].protocol == ETH_P_IP;
    let tos = if key.tos == 1 && is_ip { ip_tunnel_get_dsfield(cx, skb) } else { key.tos };
    let flow = FlowOut { daddr: key.dst, saddr: key.src, tos, mark, proto: protocol, ..FlowOut::default() };
    let mut kept = if mark == 0 { info.dst_cache_get(cpu) } else { None };
    let found = match ipv4_dst_check(cx.k, net, &mut kept) {
        Some(found) => Ok(found),
        None => {
            ip_route_output_flow(cx, net, flow, Some(skb)).inspect(|found| kept = keep(cx.k, net, *found))
        }
    };
    let Ok((route, flow)) = found else {
        cx.k.devs[dev].stats.tx_carrier_errors += 1;
        return tx_error(cx, skb, dev);
    };
    if mark == 0 {
        info.dst_cache_set(cpu, kept);
    }
    if route.dev == dev {
        cx.k.devs[dev].stats.collisions += 1;
        return tx_error(cx, skb, dev);
    }
    let df = key.tun_flags & TUNNEL_DONT_FRAGMENT != 0;
    let frame = if cx.k.devs[dev].arphrd.has_mac() { ETH_HLEN } else { 0 };
    if tnl_update_pmtu(cx, skb, &route, df, (IPV4_HLEN + hlen + frame) as u32) {
        return tx_error(cx, skb, dev);
    }
    let ttl = if key.ttl == 0 { ip_tunnel_get_ttl(cx, skb) } else { key.ttl };
    let header = IpHeader {
        saddr: flow.saddr,
        daddr: key.dst,
        protocol,
        ttl: ttl_or_hoplimit(cx, net, &route, ttl),
        tos: ip_tunnel_ecn_encap(cx, skb, tos),
        dont_fragment: df,
        ignore_df: false,
    };
    let xnet = net != cx.k.devs[dev].netns;
    iptunnel_xmit(cx, skb, dev, route, header, xnet);
    Door::End
}

/// The route to the other end and the source that it chose; if all packets take the same, this CPU may still know it.
fn output_route(
    cx: &mut Cx,
    (skb, dev): (SkbId, DevId),
    flow: FlowOut,
    connected: bool,
) -> Result<(Rtable, FlowOut), Errno> {
    let (net, cpu) = (ip_tunnel_mut(cx, dev).net, cx.cpu);
    if !connected {
        return ip_route_output_flow(cx, net, flow, Some(skb));
    }
    let mut kept = ip_tunnel_mut(cx, dev).dst_cache.get(cpu);
    let found = match ipv4_dst_check(cx.k, net, &mut kept) {
        Some(found) => found,
        None => {
            let found = ip_route_output_flow(cx, net, flow, Some(skb))?;
            kept = keep(cx.k, net, found);
            found
        }
    };
    ip_tunnel_mut(cx, dev).dst_cache.set(cpu, kept);
    Ok(found)
}

/// The other end of a tunnel, or, of one to any, the next hop of the packet inside.
fn other_end(cx: &Cx, skb: SkbId, parms: &IpTunnelParm) -> Option<Ipv4Addr> {
    if !parms.daddr.is_unspecified() {
        return Some(parms.daddr);
    }
    let (route, iph) = (cx.skbs[skb].dst?, ip_hdr(cx, skb)?);
    if route.gateway.is_unspecified() { Some(iph.daddr.get()) } else { Some(route.gateway) }
}

/// The packet's own route learns what fits through the tunnel; one that does not and must not be fragmented is answered, as far as it
/// was routed: true.
fn tnl_update_pmtu(cx: &mut Cx, skb: SkbId, route: &Rtable, df: bool, t_hlen: u32) -> bool {
    let (own, dev) = (cx.skbs[skb].dst, cx.skbs[skb].dev);
    let mtu = match own {
        _ if df => dst_mtu(cx, route).saturating_sub(t_hlen),
        Some(own) => dst_mtu(cx, &own),
        None => cx.k.devs[dev].mtu,
    };
    let Some(iph) = ip_hdr(cx, skb).copied().filter(|_| cx.skbs[skb].protocol == ETH_P_IP) else {
        return false;
    };
    if let Some(own) = own {
        ip_rt_update_pmtu(cx, cx.k.devs[own.dev].netns, own.dev, iph.daddr.get(), mtu);
    }
    // What is in front of it takes as much as it may take.
    let len = cx.skbs[skb].len() + IPV4_HLEN - t_hlen as usize;
    if !iph.dont_fragment() || gso::fits(cx, skb, len, mtu as usize) {
        return false;
    }
    let error = IcmpError { kind: ICMP_DEST_UNREACH, code: ICMP_FRAG_NEEDED, info: mtu };
    send_error(cx, skb, error);
    true
}

fn send_error(cx: &mut Cx, skb: SkbId, error: IcmpError) {
    if let Some(door) = icmp_send(cx, skb, error) {
        cx.walk(door);
    }
}

/// For each ICMP error that came lately, one sender is told that the other end is not reached; the packet is sent all the same.
fn tell_of_errors(cx: &mut Cx, skb: SkbId, dev: DevId) {
    let now = last_tick(cx.now);
    let tunnel = ip_tunnel_mut(cx, dev);
    if tunnel.err_count == 0 {
        return;
    }
    if now >= tunnel.err_time + ERR_TIMEO {
        tunnel.err_count = 0;
        return;
    }
    tunnel.err_count -= 1;
    send_error(cx, skb, IcmpError { kind: ICMP_DEST_UNREACH, code: ICMP_HOST_UNREACH, info: 0 });
}

/// An ICMP error about a packet that a tunnel sent to `remote` (`ipip_err`, `ipgre_err`).
pub(super) fn ip_tunnel_err(cx: &mut Cx, skb: SkbId, dev: DevId, remote: Ipv4Addr, error: IcmpError) {
    let now = last_tick(cx.now);
    match (error.kind, error.code) {
        (ICMP_REDIRECT, _) => return ip_do_redirect(cx, skb, remote, error.info),
        (ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED) => return,
        (ICMP_DEST_UNREACH, _) | (ICMP_TIME_EXCEEDED, ICMP_EXC_TTL) => {}
        _ => return,
    }
    let tunnel = ip_tunnel_mut(cx, dev);
    let inherits_ttl = tunnel.parms.ttl == 0 && error.kind == ICMP_TIME_EXCEEDED;
    if tunnel.parms.daddr.is_unspecified() || inherits_ttl {
        return;
    }
    let goes_on = now < tunnel.err_time + ERR_TIMEO;
    tunnel.err_count = if goes_on { tunnel.err_count + 1 } else { 1 };
    tunnel.err_time = now;
}

/// A tunnel's packet, whose outer header is taken off, is received by its device.
pub(super) fn ip_tunnel_rcv(cx: &mut Cx, skb: SkbId, dev: DevId, outer: &Ipv4Hdr, gre: &Gre) -> Door {
    let is_group = outer.daddr.get().is_multicast();
    if is_group {
        cx.k.devs[dev].stats.multicast += 1;
    }
    if !as_is_asked(cx, dev, gre) {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    let is_frame = cx.k.devs[dev].arphrd.has_mac();
    let has_header = cx.k.devs[dev].header_ops.is_some();
    let pkt = &mut cx.skbs[skb];
    pkt.mac_header = if has_header { pkt.network_header } else { pkt.data };
    pkt.network_header = pkt.data + if is_frame { ETH_HLEN as u32 } else { 0 };
    if is_frame {
        let proto = cx.skbs.header::<EthHdr>(skb, cx.skbs[skb].data).map_or(0, |eth| eth.h_proto.get());
        cx.skbs[skb].protocol = proto;
    }
    let pkt = &mut cx.skbs[skb];
    if is_group {
        pkt.pkt_type = PacketType::Broadcast;
    }
    if !ip_ecn_decapsulate(cx, (skb, dev), "ip_tunnel", outer) {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    let len = cx.skbs[skb].len();
    cx.k.devs[dev].stats.count_rx(len, false);
    if is_frame {
        eth_type_trans(cx, skb, dev);
    } else {
        cx.skbs[skb].dev = dev;
    }
    Door::GroCellsReceive { skb }
}

/// The packet has a checksum where the tunnel wants one, and only there, and comes in the order of its numbers.
fn as_is_asked(cx: &mut Cx, dev: DevId, gre: &Gre) -> bool {
    let IpTunnel { parms, i_seqno, .. } = *ip_tunnel_mut(cx, dev);
    let stats = &mut cx.k.devs[dev].stats;
    if gre.has_csum != (parms.i_flags & GRE_CSUM != 0) {
        stats.rx_crc_errors += 1;
        stats.rx_errors += 1;
        return false;
    }
    if parms.i_flags & GRE_SEQ == 0 {
        return true;
    }
    let in_order = |seq: &u32| i_seqno == 0 || seq.wrapping_sub(i_seqno) as i32 >= 0;
    let Some(seq) = gre.seq.filter(in_order) else {
        stats.rx_fifo_errors += 1;
        stats.rx_errors += 1;
        return false;
    };
    ip_tunnel_mut(cx, dev).i_seqno = seq.wrapping_add(1);
    true
}
