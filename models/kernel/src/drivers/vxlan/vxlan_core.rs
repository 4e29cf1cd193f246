//! The device: up and down, frames out and in.
//!
//! Kernel: drivers/net/vxlan/vxlan_core.c

use std::net::Ipv4Addr;
use std::sync::Arc;

use glassnet_wire::Mac;
use glassnet_wire::eth::{ETH_P_ARP, ETH_P_IP, ETH_P_TEB};
use glassnet_wire::ipv4::IPPROTO_UDP;
use glassnet_wire::udp::{UDP_HLEN, UdpHdr};
use glassnet_wire::vxlan::{VXLAN_HF_VNI, VXLAN_HLEN, VxlanHdr};
use zerocopy::IntoBytes;

use super::vxlan_config::{VXLAN_HEADROOM, config_apply, config_of_new, default_key, vxlan_changelink};
use super::vxlan_fdb::{
    FDB_OPS, default_entry, start_ageing, vxlan_fdb_destroy, vxlan_find_mac, vxlan_snoop,
};
use super::vxlan_proxy::{arp_reduce, is_bridge_local, leads_to_router, route_shortcircuit, vxlan_fdb_miss};
use crate::door::{Door, Func};
use crate::encap::UdpTunnelSockCfg;
use crate::ids::{DevId, NetnsId, SkbId};
use crate::link::{DrvInfo, EthtoolOps, LinkKsettings, LinkOps, NewLink};
use crate::module::{Module, NetdevEvent};
use crate::net::core::dev::{dev_close, register_netdevice, unregister_netdevice};
use crate::net::core::dev_upper::netdev_upper_dev_link;
use crate::net::core::gro::for_same_flow;
use crate::net::core::gro_cells::{gro_cell_poll, gro_cells_destroy, gro_cells_init};
use crate::net::ethernet::eth::{
    ETH_MAX_MTU, eth_gro_complete, eth_gro_receive, eth_type_trans, ether_setup,
};
use crate::net::ipv4::igmp::{ip_mc_dec_group, ip_mc_inc_group};
use crate::net::ipv4::ip_input::ip_hdr;
use crate::net::ipv4::ip_output::{IpHeader, ttl_or_hoplimit};
use crate::net::ipv4::ip_tunnel_core::{
    ip_ecn_decapsulate, ip_tunnel_ecn_encap, ip_tunnel_get_dsfield, ip_tunnel_get_ttl,
    iptunnel_handle_offloads, iptunnel_pull_header, outer_df, skb_tunnel_check_pmtu,
};
use crate::net::ipv4::route::{dst_mtu, ip_route_output_flow, ipv4_dst_check, keep};
use crate::net::ipv4::udp_tunnel_core::{
    UdpPortCfg, udp_flow_src_port, udp_sock_create4, udp_tun_rx_dst, udp_tunnel_received,
    udp_tunnel_sock_release, udp_tunnel_xmit_skb,
};
use crate::netlink::{Errno, NlError};
use crate::note::{Note, TunnelNote, UdpTunnel};
use crate::tables::drop_reason::DropReason;
use crate::tables::gro::GroVerdict;
use crate::tables::ip_tunnel::{IpTunnelInfo, IpTunnelKey, TUNNEL_CSUM, TUNNEL_DONT_FRAGMENT, TUNNEL_KEY};
use crate::tables::netdev::{AddrAssign, NetDevice};
use crate::tables::netdev_features::{FRAGLIST, GSO_SOFTWARE, HW_CSUM, LLTX, RXCSUM, SG};
use crate::tables::route::{FlowOut, KeptRoute, RTCF_BROADCAST, RTCF_LOCAL, RTCF_MULTICAST, Rtable};
use crate::tables::skb::PacketType;
use crate::tables::vxlan::{VxlanConfig, VxlanDev, VxlanNet, VxlanRdst, VxlanRemote, VxlanSock};
use crate::{Cx, Kernel};

/// The module. Not modelled: IPv6, the filter of VNIs of `external` devices, group policies, GPE, remote checksum offload,
/// nexthop objects.
pub static MODULE: Module = Module {
    links: &[&LINK_OPS],
    netdevice_event: Some(vxlan_netdevice_event),
    net_exit: Some(vxlan_exit_net),
    ..Module::named("vxlan")
};

/// Link kind `vxlan`.
pub static LINK_OPS: LinkOps = LinkOps {
    has_tstats: true,
    newlink: Some(vxlan_newlink),
    changelink: Some(vxlan_changelink),
    dellink: Some(vxlan_dellink),
    open: Some(vxlan_open),
    stop: Some(vxlan_stop),
    change_mtu: Some(vxlan_change_mtu),
    poll: Some(gro_cell_poll),
    devtype: Some("vxlan"),
    get_link_net: Some(|dev| dev.netdev_priv::<VxlanDev>().map_or(dev.netns, |own| own.net)),
    fdb: Some(&FDB_OPS),
    ethtool: EthtoolOps {
        get_drvinfo: Some(|_| DrvInfo {
            driver: "vxlan".to_owned(),
            version: "0.1",
            fw_version: "",
            bus_info: String::new(),
        }),
        get_link_ksettings: Some(vxlan_get_link_ksettings),
        get_link: true,
        ..EthtoolOps::NONE
    },
    ..LinkOps::new(Some("vxlan"), vxlan_setup, |skb| Door::VxlanXmit { skb })
};

/// What the sockets of these devices do with datagrams.
static TUNNEL: UdpTunnelSockCfg = UdpTunnelSockCfg {
    encap_rcv: |_, _, skb| Door::VxlanRcv { skb },
    err_lookup: true,
    gro_receive: |cx, _, skb, at| cx.within(Func::VxlanGroReceive, skb, |cx| vxlan_gro_receive(cx, skb, at)),
    gro_complete: |cx, _, skb, at| {
        cx.within(Func::VxlanGroComplete, skb, |cx| eth_gro_complete(cx, skb, at + VXLAN_HLEN as u32));
    },
};

/// Looks for the held packet that one continues in the same network.
fn vxlan_gro_receive(cx: &mut Cx, skb: SkbId, at: u32) -> GroVerdict {
    cx.call(Func::VxlanGroPrepareReceive, skb);
    if cx.skbs.header::<VxlanHdr>(skb, at).is_none() {
        return GroVerdict::FLUSH;
    }
    for_same_flow(cx, skb, at, |held, its: &VxlanHdr, own| {
        held.same_flow = its.as_bytes() == own.as_bytes();
    });
    eth_gro_receive(cx, skb, at + VXLAN_HLEN as u32)
}

fn vxlan_setup(dev: &mut NetDevice) {
    ether_setup(dev);
    dev.no_queue = true;
    dev.tx_skb_sharing = false;
    dev.max_mtu = ETH_MAX_MTU;
    dev.addr_assign = AddrAssign::Random;
    dev.hw_features = SG | FRAGLIST | HW_CSUM | RXCSUM | GSO_SOFTWARE;
    dev.features = dev.hw_features | LLTX;
    dev.set_priv(VxlanDev::new(dev.netns));
}

/// What is known of a device, if it is of this kind.
pub fn vxlan(kernel: &Kernel, dev: DevId) -> Option<&VxlanDev> {
    kernel.devs.get(dev)?.netdev_priv()
}

pub(super) fn vxlan_mut<'a>(cx: &'a mut Cx, dev: DevId) -> &'a mut VxlanDev {
    cx.k.devs[dev].netdev_priv_mut().expect("a device of this kind")
}

/// VXLAN in a namespace, if there was any.
pub(super) fn vxlan_net(kernel: &Kernel, netns: NetnsId) -> Option<&VxlanNet> {
    kernel.netns.get(netns)?.generic.get()
}

fn vxlan_net_mut<'a>(cx: &'a mut Cx, netns: NetnsId) -> &'a mut VxlanNet {
    cx.k.netns[netns].generic.get_mut()
}

/// The outer packets are in the namespace of whoever asks, wherever the device is.
fn vxlan_newlink(cx: &mut Cx, new: NewLink) -> Result<DevId, NlError> {
    let (net, mtu) = (new.src_net, new.mtu);
    let (conf, lower) = config_of_new(cx, net, new.info)?;
    let to = default_key(&conf);
    let dev = register_netdevice(cx, new.dev)?;
    config_apply(cx, dev, conf, lower, Some(mtu));
    vxlan_mut(cx, dev).net = net;
    gro_cells_init(cx, dev);
    vxlan_net_mut(cx, net).devs.insert(0, dev);
    if let Some(lower) = lower {
        netdev_upper_dev_link(cx, lower, dev);
    }
    if !to.ip.is_unspecified() {
        default_entry(cx, dev, to).inspect_err(|_| vxlan_dellink(cx, dev))?;
    }
    Ok(dev)
}

fn vxlan_dellink(cx: &mut Cx, dev: DevId) {
    let net = vxlan_mut(cx, dev).net;
    unregister_with(cx, dev);
    if cx.k.netns.get(net).is_some() {
        vxlan_net_mut(cx, net).devs.retain(|other| *other != dev);
    }
}

/// Takes a device away, and what belongs to it (`vxlan_uninit`).
fn unregister_with(cx: &mut Cx, dev: DevId) {
    dev_close(cx, dev);
    gro_cells_destroy(cx, dev);
    unregister_netdevice(cx, dev);
}

/// A lower device goes, and the tunnels over it with it (`vxlan_handle_lowerdev_unregister`).
fn vxlan_netdevice_event(cx: &mut Cx, dev: DevId, event: NetdevEvent) {
    if event != NetdevEvent::Unregister {
        return;
    }
    if vxlan(cx.k, dev).is_some() {
        vxlan_fdb_destroy(cx, dev, |_| true);
    }
    let (netns, ifindex) = (cx.k.devs[dev].netns, cx.k.devs[dev].ifindex);
    let lies_on = |upper: &DevId| vxlan(cx.k, *upper).is_some_and(|own| own.cfg.remote_ifindex == ifindex);
    let all = vxlan_net(cx.k, netns).map_or(&[][..], |net| &net.devs);
    for upper in all.iter().copied().filter(lies_on).collect::<Vec<_>>() {
        vxlan_dellink(cx, upper);
    }
}

/// A namespace ends, and the devices whose outer packets are in it.
fn vxlan_exit_net(cx: &mut Cx, netns: NetnsId) {
    let all = vxlan_net(cx.k, netns).map_or(Vec::new(), |net| net.devs.clone());
    all.into_iter().for_each(|dev| vxlan_dellink(cx, dev));
}

/// The device listens on its port, with others that have another VNI there.
///
/// # Errors
///
/// `EADDRINUSE` if a program has the port.
fn vxlan_open(cx: &mut Cx, dev: DevId) -> Result<(), Errno> {
    let device = vxlan_mut(cx, dev);
    let (net, lower) = (device.net, device.cfg.remote_ifindex);
    let VxlanConfig { dst_port, vni, collect_md, .. } = device.cfg;
    let place = (dst_port, master_of(cx.k, net, lower));
    let shared = vxlan_net_mut(cx, net).socks.get(&place).filter(|shared| shared.collect_md == collect_md);
    let sock = match shared.map(|shared| shared.sock) {
        Some(sock) => sock,
        None => {
            let cfg = UdpPortCfg { bind_ifindex: place.1, ..UdpPortCfg::of_port(dst_port) };
            udp_sock_create4(cx, net, cfg, &TUNNEL)?
        }
    };
    let shared = vxlan_net_mut(cx, net).socks.entry(place);
    let new = || VxlanSock { sock, collect_md, devs: Default::default() };
    shared.or_insert_with(new).devs.insert(vni, dev);
    vxlan_mut(cx, dev).sock = Some(sock);
    if let Some((lower, group)) = group(cx.k, dev) {
        ip_mc_inc_group(cx, lower, group);
    }
    start_ageing(cx, dev);
    Ok(())
}

/// What was learned is forgotten; the last device of a port closes its socket.
fn vxlan_stop(cx: &mut Cx, dev: DevId) {
    if let Some((lower, group)) = group(cx.k, dev) {
        ip_mc_dec_group(cx, lower, group);
    }
    vxlan_fdb_destroy(cx, dev, |entry| !entry.is_fixed() && entry.mac != Mac::ZERO);
    let device = vxlan_mut(cx, dev);
    let (net, port, vni) = (device.net, device.cfg.dst_port, device.cfg.vni);
    device.age_timer = None;
    let sock = device.sock.take();
    if cx.k.netns.get(net).is_none() {
        return;
    }
    // Its device below may have another L3 master by now.
    let socks = &mut vxlan_net_mut(cx, net).socks;
    let of_it = |shared: &VxlanSock| shared.devs.get(&vni) == Some(&dev);
    let Some(place) =
        socks.range((port, 0)..=(port, u32::MAX)).find(|(_, shared)| of_it(shared)).map(|found| *found.0)
    else {
        return;
    };
    let Some(shared) = socks.get_mut(&place) else { return };
    shared.devs.remove(&vni);
    if shared.devs.is_empty() {
        socks.remove(&place);
        if let Some(sock) = sock {
            udp_tunnel_sock_release(cx, sock);
        }
    }
}

/// The ifindex of the L3 master of a device; 0: it has none (`l3mdev_master_upper_ifindex_by_index`).
fn master_of(kernel: &Kernel, net: NetnsId, ifindex: u32) -> u32 {
    let master = kernel.dev_by_index(net, ifindex).and_then(|dev| kernel.devs.l3mdev_master(dev));
    master.map_or(0, |master| kernel.devs[master].ifindex)
}

/// The MTU leaves room for the outer headers, if it is known by which device they leave.
///
/// # Errors
///
/// `EINVAL` if it does not.
fn vxlan_change_mtu(cx: &mut Cx, dev: DevId, mtu: u32) -> Result<(), Errno> {
    let lower = lower(cx.k, dev).map(|lower| lower.mtu);
    match lower {
        Some(most) if mtu + VXLAN_HEADROOM > most => Err(Errno::EINVAL),
        _ => Ok(()),
    }
}

/// The device that leads to the other end, if it is set.
fn lower(kernel: &Kernel, dev: DevId) -> Option<&NetDevice> {
    let own = vxlan(kernel, dev)?;
    kernel.dev_by_index(own.net, own.cfg.remote_ifindex).map(|lower| &kernel.devs[lower])
}

/// The group at the other ends, and the device on which it is joined while this one is up (`vxlan_igmp_join`).
fn group(kernel: &Kernel, dev: DevId) -> Option<(DevId, Ipv4Addr)> {
    let group = vxlan(kernel, dev)?.cfg.remote_ip;
    group.is_multicast().then(|| lower(kernel, dev).map(|lower| (lower.id, group)))?
}

/// What the device below says.
fn vxlan_get_link_ksettings(kernel: &Kernel, dev: &NetDevice) -> LinkKsettings {
    LinkKsettings::of_lower(kernel, lower(kernel, dev.id))
}

/// Finds the other ends that a frame's station is at, and sends it to each.
///
/// Kernel: drivers/net/vxlan/vxlan_core.c
/// Not modelled: nexthop objects.
pub fn vxlan_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    let dev = cx.skbs[skb].dev;
    cx.xmit_succeeded(skb);
    let VxlanConfig { proxy, rsc, l2miss, collect_md, .. } = vxlan_mut(cx, dev).cfg;
    if collect_md {
        if !cx.skbs[skb].tun_info.as_ref().is_some_and(|info| info.is_tx) {
            return cx.kfree_skb(skb, DropReason::NotSpecified);
        }
        vxlan_xmit_one(cx, skb, dev, None);
        return Door::End;
    }
    let (mut dest, protocol) = (cx.skbs.eth_hdr(skb).dest(), cx.skbs.eth_hdr(skb).h_proto.get());
    if proxy && protocol == ETH_P_ARP {
        return arp_reduce(cx, skb, dev);
    }
    // How many places the entry has.
    let find = |cx: &mut Cx, mac| vxlan_find_mac(cx, skb, dev, mac).map(|entry| (mac, entry.remotes.len()));
    let mut entry = find(cx, dest);
    let mut did_rsc = false;
    if entry.is_some() && rsc && protocol == ETH_P_IP && leads_to_router(cx, dev, dest) {
        did_rsc = route_shortcircuit(cx, skb, dev);
        if did_rsc {
            dest = cx.skbs.eth_hdr(skb).dest();
            entry = find(cx, dest);
        }
    }
    let Some((mac, count)) = entry.or_else(|| find(cx, Mac::ZERO)) else {
        if l2miss && !dest.is_multicast() {
            vxlan_fdb_miss(cx, skb, dev, dest);
        }
        cx.k.devs[dev].stats.tx_dropped += 1;
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    };
    if did_rsc && is_bridge_local(cx, dev, mac) {
        return vxlan_encap_bypass(cx, skb, dev, dev, true);
    }
    for at in 1..count {
        let clone = cx.skb_clone(skb);
        vxlan_xmit_one(cx, clone, dev, Some((mac, at)));
    }
    vxlan_xmit_one(cx, skb, dev, Some((mac, 0)));
    Door::End
}

/// Sends a frame to a place of an entry, which is the one of a station and a number; `None`: to where the packet says.
fn vxlan_xmit_one(cx: &mut Cx, skb: SkbId, dev: DevId, entry: Option<(Mac, usize)>) {
    cx.within(Func::VxlanXmitOne, skb, |cx| {
        let door = match xmit_to(cx, skb, dev, entry) {
            Ok(door) => door,
            Err(None) => {
                cx.k.devs[dev].stats.tx_dropped += 1;
                cx.consume_skb(skb)
            }
            Err(Some(errno)) => {
                cx.k.devs[dev].stats.count_tx_error(errno);
                cx.kfree_skb(skb, DropReason::NotSpecified)
            }
        };
        cx.walk(door);
    });
}

/// Where a frame goes, and what its outer headers say.
struct Outer {
    to: VxlanRdst,
    saddr: Ipv4Addr,
    tos: u8,
    ttl: u8,
    df: bool,
    csum: bool,
    cache: Cache,
    /// What this CPU keeps there.
    kept: Option<KeptRoute>,
}

/// Who keeps the last route to a place.
enum Cache {
    /// The place of an entry, which is the one of a station and a number.
    Entry(Mac, usize),
    /// What the packet carries.
    Info(Arc<IpTunnelInfo>),
}

/// As the entry and the device say; `None`: nowhere.
fn outer_of_entry(cx: &Cx, (skb, dev): (SkbId, DevId), (mac, at): (Mac, usize)) -> Option<Outer> {
    let device = vxlan(cx.k, dev)?;
    let VxlanRemote { to, dst_cache } = device.find(mac)?.remotes.get(at)?;
    let (to, kept) = (*to, dst_cache.get(cx.cpu));
    let VxlanConfig { tos, ttl, ttl_inherit, df, udp_csum: csum, saddr, .. } = device.cfg;
    let ttl = match (ttl_inherit, ttl) {
        (true, _) => ip_tunnel_get_ttl(cx, skb),
        (false, 0) if to.ip.is_multicast() => 1,
        (false, own) => own,
    };
    let tos = if tos == 1 { ip_tunnel_get_dsfield(cx, skb) } else { tos };
    let df = outer_df(cx, skb, df);
    let cache = Cache::Entry(mac, at);
    (!to.ip.is_unspecified()).then_some(Outer { to, saddr, tos, ttl, df, csum, cache, kept })
}

/// As the packet says.
fn outer_of_info(cx: &Cx, (skb, dev): (SkbId, DevId)) -> Option<Outer> {
    let info = cx.skbs[skb].tun_info.clone()?;
    let IpTunnelKey { src: saddr, dst, tun_flags, tos, ttl, tp_dst, .. } = info.key;
    let port = if tp_dst == 0 { vxlan(cx.k, dev)?.cfg.dst_port } else { tp_dst };
    Some(Outer {
        to: VxlanRdst { ip: dst, port, vni: info.key.vni(), ifindex: 0 },
        saddr,
        tos,
        ttl,
        df: tun_flags & TUNNEL_DONT_FRAGMENT != 0,
        csum: tun_flags & TUNNEL_CSUM != 0,
        kept: info.dst_cache_get(cx.cpu),
        cache: Cache::Info(info),
    })
}

/// # Errors
///
/// Why there is no way; `None`: the entry leads nowhere.
fn xmit_to(cx: &mut Cx, skb: SkbId, dev: DevId, entry: Option<(Mac, usize)>) -> Result<Door, Option<Errno>> {
    let outer = match entry {
        Some(entry) => outer_of_entry(cx, (skb, dev), entry),
        None => outer_of_info(cx, (skb, dev)),
    };
    let mut outer = outer.ok_or(None)?;
    let device = vxlan(cx.k, dev).ok_or(None)?;
    let port_range = device.cfg.port_range;
    if outer.to.ifindex == 0 {
        let sock = device.sock.and_then(|sock| cx.k.sockets.get(sock));
        outer.to.ifindex = sock.map_or(0, |sock| sock.opts.bound_dev_if);
    }
    let to = outer.to;
    let source = udp_flow_src_port(cx, skb, port_range);
    let flow = FlowOut { saddr: outer.saddr, tos: outer.tos, sport: source, ..FlowOut::default() };
    let (route, flow) =
        cx.within(Func::VxlanGetRoute, skb, |cx| vxlan_get_route(cx, (skb, dev), flow, &outer))?;
    let info = match &outer.cache {
        Cache::Info(info) => Some(info),
        Cache::Entry(..) => None,
    };
    if info.is_none()
        && let Some(door) = encap_bypass_if_local(cx, (skb, dev), &to, &route)
    {
        return Ok(door);
    }
    let mtu = dst_mtu(cx, &route);
    let is_port = cx.k.devs[dev].port.is_some();
    if skb_tunnel_check_pmtu(cx, skb, mtu, VXLAN_HEADROOM, is_port) {
        if let Some(info) = info {
            cx.skbs[skb].tun_info = Some(Arc::new(info.turned(flow.saddr)));
        }
        return Ok(vxlan_encap_bypass(cx, skb, dev, dev, false));
    }
    let header = IpHeader {
        saddr: flow.saddr,
        daddr: to.ip,
        protocol: 0,
        ttl: ttl_or_hoplimit(cx, vxlan(cx.k, dev).ok_or(None)?.net, &route, outer.ttl),
        tos: ip_tunnel_ecn_encap(cx, skb, outer.tos),
        dont_fragment: outer.df,
        ignore_df: false,
    };
    cx.note(|_| {
        Note::Tunnel(TunnelNote { kind: UdpTunnel::Vxlan, vni: Some(to.vni), to: to.ip, port: to.port })
    });
    vxlan_build_skb(cx, skb, to.vni);
    udp_tunnel_xmit_skb(cx, (skb, dev), route, header, (source, to.port), outer.csum);
    Ok(Door::End)
}

/// The route to a place, which this CPU may still know, and the source that it chose.
///
/// # Errors
///
/// `ENETUNREACH` if there is none, `ELOOP` if it leads through this device.
fn vxlan_get_route(
    cx: &mut Cx,
    (skb, dev): (SkbId, DevId),
    flow: FlowOut,
    outer: &Outer,
) -> Result<(Rtable, FlowOut), Errno> {
    let (mark, cpu, to) = (cx.skbs[skb].mark, cx.cpu, outer.to);
    let device = vxlan_mut(cx, dev);
    let (net, own_port) = (device.net, device.cfg.dst_port);
    let (by_tos, dport) = match outer.cache {
        Cache::Entry(..) => (flow.tos != 0, own_port),
        Cache::Info(_) => (false, to.port),
    };
    let flow = FlowOut { mark, dport, ..flow };
    if mark != 0 || by_tos {
        return output_route(cx, (skb, dev), net, flow, to);
    }
    let mut kept = outer.kept;
    let is_whole = kept.is_some_and(|kept| kept.route.neigh.is_some());
    let found = match ipv4_dst_check(cx.k, net, &mut kept) {
        Some(found) if is_whole => return Ok(found),
        Some(found) => found,
        None => {
            let found = output_route(cx, (skb, dev), net, flow, to)?;
            kept = keep(cx.k, net, found);
            found
        }
    };
    match &outer.cache {
        Cache::Entry(mac, at) => {
            if let Some(remote) = remote_mut(cx, dev, (*mac, *at)) {
                remote.dst_cache.set(cpu, kept);
            }
        }
        Cache::Info(info) => info.dst_cache_set(cpu, kept),
    }
    Ok(found)
}

/// The place of an entry, which is the one of a station and a number.
fn remote_mut<'a>(cx: &'a mut Cx, dev: DevId, entry: (Mac, usize)) -> Option<&'a mut VxlanRemote> {
    vxlan_mut(cx, dev).find_mut(entry.0)?.remotes.get_mut(entry.1)
}

/// Asks the routing tables for the way to a place.
fn output_route(
    cx: &mut Cx,
    (skb, dev): (SkbId, DevId),
    net: NetnsId,
    flow: FlowOut,
    to: VxlanRdst,
) -> Result<(Rtable, FlowOut), Errno> {
    let oif = cx.k.dev_by_index(net, to.ifindex);
    if to.ifindex != 0 && oif.is_none() {
        return Err(Errno::ENETUNREACH);
    }
    let flow = FlowOut { daddr: to.ip, oif, proto: IPPROTO_UDP, ..flow };
    let routed = ip_route_output_flow(cx, net, flow, Some(skb));
    let (route, flow) = routed.map_err(|_| Errno::ENETUNREACH)?;
    if route.dev == dev { Err(Errno::ELOOP) } else { Ok((route, flow)) }
}

/// A frame to a place on this host goes to its device at once; `None`: it is not on this host.
fn encap_bypass_if_local(
    cx: &mut Cx,
    (skb, dev): (SkbId, DevId),
    to: &VxlanRdst,
    route: &Rtable,
) -> Option<Door> {
    if route.flags & RTCF_LOCAL == 0 || route.flags & (RTCF_BROADCAST | RTCF_MULTICAST) != 0 {
        return None;
    }
    let net = vxlan_mut(cx, dev).net;
    let place = (to.port, master_of(cx.k, net, to.ifindex));
    let shared = vxlan_net(cx.k, net).and_then(|net| net.socks.get(&place));
    let Some(there) = shared.and_then(|shared| shared.devs.get(&to.vni).copied()) else {
        cx.k.devs[dev].stats.tx_errors += 1;
        return Some(cx.kfree_skb(skb, DropReason::NotSpecified));
    };
    Some(vxlan_encap_bypass(cx, skb, dev, there, true))
}

/// Hands a frame to a device of this host without headers; `snoop`: the device learns of its source.
fn vxlan_encap_bypass(cx: &mut Cx, skb: SkbId, from: DevId, to: DevId, snoop: bool) -> Door {
    cx.call(Func::VxlanEncapBypass, skb);
    let len = cx.skbs[skb].len();
    let source = cx.skbs.eth_hdr(skb).source();
    let pkt = &mut cx.skbs[skb];
    (pkt.pkt_type, pkt.dev) = (PacketType::Host, to);
    (pkt.inner_network_header, pkt.inner_transport_header) = (0, 0);
    pkt.data = pkt.network_header;
    if !cx.k.devs[to].is_up() {
        cx.k.devs[to].stats.rx_dropped += 1;
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    if snoop && vxlan_mut(cx, to).cfg.learn {
        vxlan_snoop(cx, skb, to, source, Ipv4Addr::LOCALHOST);
    }
    cx.k.devs[from].stats.count_tx(len);
    cx.k.devs[to].stats.count_rx(len, false);
    Door::NetifRxInner { skb }
}

/// Puts the VXLAN header in front of a frame.
fn vxlan_build_skb(cx: &mut Cx, skb: SkbId, vni: u32) {
    iptunnel_handle_offloads(cx, skb);
    cx.skbs.push(skb, VXLAN_HLEN);
    let at = cx.skbs[skb].data;
    if let Some(place) = cx.skbs.header_mut::<VxlanHdr>(skb, at) {
        *place = VxlanHdr::new(vni);
    }
}

/// Takes a frame out of a datagram, and gives it to the device of its network.
///
/// Kernel: drivers/net/vxlan/vxlan_core.c
/// Not modelled: what its module does not model.
pub fn vxlan_rcv(cx: &mut Cx, skb: SkbId) -> Door {
    let dev = decapsulate(cx, skb);
    udp_tunnel_received(cx, skb, dev)
}

/// The device that gets the frame; `None`: it is dropped.
fn decapsulate(cx: &mut Cx, skb: SkbId) -> Option<DevId> {
    let (at, net) = (cx.skbs[skb].transport_header, cx.k.devs[cx.skbs[skb].dev].netns);
    let vxh = *cx.skbs.header::<VxlanHdr>(skb, at + UDP_HLEN as u32)?;
    if vxh.vx_flags.get() & VXLAN_HF_VNI == 0 {
        return None;
    }
    let udp = *cx.skbs.header::<UdpHdr>(skb, at)?;
    let port = udp.dest.get();
    cx.call(Func::VxlanVsFindVni, skb);
    let below = &cx.k.devs[cx.skbs[skb].dev];
    let bound = below.l3mdev_fib_table.map_or(0, |_| below.ifindex);
    let socks = &vxlan_net(cx.k, net)?.socks;
    let shared = socks.get(&(port, bound)).or_else(|| socks.get(&(port, 0)))?;
    let collect_md = shared.collect_md;
    // A device that takes all networks has the number 0.
    let dev = shared.devs.get(&if collect_md { 0 } else { vxh.vni() }).copied()?;
    let outer = *ip_hdr(cx, skb)?;
    let crosses_netns = cx.k.devs[dev].netns != net;
    if !iptunnel_pull_header(cx, skb, UDP_HLEN + VXLAN_HLEN, ETH_P_TEB, crosses_netns) || !vxh.is_plain() {
        return None;
    }
    if collect_md {
        cx.skbs[skb].tun_info = Some(udp_tun_rx_dst(&outer, &udp, TUNNEL_KEY, u64::from(vxh.vni())));
    }
    eth_type_trans(cx, skb, dev);
    let source = cx.skbs.eth_hdr(skb).source();
    // What this device sent to a group comes back.
    if source == cx.k.devs[dev].addr {
        return None;
    }
    let saddr = outer.saddr.get();
    if vxlan_mut(cx, dev).cfg.learn && !vxlan_snoop(cx, skb, dev, source, saddr) {
        return None;
    }
    let pkt = &mut cx.skbs[skb];
    pkt.network_header = pkt.data;
    if !ip_ecn_decapsulate(cx, (skb, dev), "vxlan", &outer) {
        return None;
    }
    if !cx.k.devs[dev].is_up() {
        cx.k.devs[dev].stats.rx_dropped += 1;
        return None;
    }
    Some(dev)
}
