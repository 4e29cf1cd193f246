//! `geneve`: Ethernet frames in UDP, to one other end.
//!
//! Kernel: drivers/net/geneve.c. Not modelled: IPv6, options, packets without an Ethernet header inside.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use glassnet_wire::eth::ETH_P_TEB;
use glassnet_wire::geneve::{GENEVE_CRIT_OPT, GENEVE_HLEN, GENEVE_PORT, GeneveHdr};
use glassnet_wire::ipv4::{IPPROTO_UDP, IPV4_HLEN};
use glassnet_wire::udp::{UDP_HLEN, UdpHdr};
use zerocopy::IntoBytes;

use crate::door::{Door, Func};
use crate::encap::UdpTunnelSockCfg;
use crate::ids::{DevId, NetnsId, SkbId, SocketId};
use crate::link::{DrvInfo, EthtoolOps, LinkInfo, LinkOps, NewLink};
use crate::module::Module;
use crate::net::core::dev::{dev_close, register_netdevice, unregister_netdevice};
use crate::net::core::gro::for_same_flow;
use crate::net::core::gro_cells::{gro_cell_poll, gro_cells_destroy, gro_cells_init};
use crate::net::ethernet::eth::{eth_gro_complete, eth_gro_receive, eth_type_trans, ether_setup};
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
use crate::tables::ip_tunnel::{
    IpTunnelInfo, IpTunnelKey, TUNNEL_CRIT_OPT, TUNNEL_CSUM, TUNNEL_DONT_FRAGMENT, TUNNEL_KEY, TUNNEL_OAM,
    TunnelDf,
};
use crate::tables::netdev::{AddrAssign, NetDevice};
use crate::tables::netdev_features::{FRAGLIST, GSO_SOFTWARE, HW_CSUM, LLTX, RXCSUM, SG};
use crate::tables::route::{DstCache, FlowOut, Rtable};
use crate::{Cx, Kernel};

/// The module.
pub static MODULE: Module =
    Module { links: &[&LINK_OPS], net_exit: Some(geneve_exit_net), ..Module::named("geneve") };

/// Link kind `geneve`.
static LINK_OPS: LinkOps = LinkOps {
    has_tstats: true,
    newlink: Some(geneve_newlink),
    changelink: Some(geneve_changelink),
    dellink: Some(geneve_dellink),
    open: Some(geneve_open),
    stop: Some(geneve_stop),
    poll: Some(gro_cell_poll),
    devtype: Some("geneve"),
    ethtool: EthtoolOps {
        get_drvinfo: Some(|_| DrvInfo {
            driver: "geneve".to_owned(),
            version: "0.6",
            fw_version: "",
            bus_info: String::new(),
        }),
        get_link: true,
        ..EthtoolOps::NONE
    },
    ..LinkOps::new(Some("geneve"), geneve_setup, |skb| Door::GeneveXmit { skb })
};

/// What the sockets of these devices do with datagrams.
static TUNNEL: UdpTunnelSockCfg = UdpTunnelSockCfg {
    encap_rcv: |_, _, skb| Door::GeneveUdpEncapRecv { skb },
    err_lookup: true,
    gro_receive: |cx, _, skb, at| {
        cx.within(Func::GeneveGroReceive, skb, |cx| geneve_gro_receive(cx, skb, at))
    },
    gro_complete: |cx, _, skb, at| {
        cx.within(Func::GeneveGroComplete, skb, |cx| {
            if let Some(header) = cx.skbs.header::<GeneveHdr>(skb, at) {
                let len = GENEVE_HLEN + header.options_len();
                eth_gro_complete(cx, skb, at + len as u32);
            }
        });
    },
};

/// Bytes in front of a packet inside (`GENEVE_IPV4_HLEN`).
const GENEVE_IPV4_HLEN: u32 = (14 + IPV4_HLEN + UDP_HLEN + GENEVE_HLEN) as u32;
/// By how much the header of IPv6 is longer, bytes.
const IPV6_LONGER: u32 = 20;
/// The greatest MTU, bytes.
const MAX_MTU: u32 = 65_535 - GENEVE_IPV4_HLEN;

/// How a device is set (`struct geneve_config`).
#[derive(Clone, Copy, Debug)]
pub struct GeneveConfig {
    /// The number of its network.
    pub vni: u32,
    /// The other end.
    pub remote: Ipv4Addr,
    /// The port, here and there.
    pub port: u16,
    /// The outer TOS; 1: that of the packet inside.
    pub tos: u8,
    /// The outer TTL, 0: the route's.
    pub ttl: u8,
    /// The outer TTL is that of the packet inside.
    pub ttl_inherit: bool,
    /// The outer "do not fragment".
    pub df: TunnelDf,
    /// Computes the outer checksum.
    pub udp_csum: bool,
    /// Packets say themselves where they go and what network they are of.
    pub collect_md: bool,
}

/// Attributes of a device (`IFLA_GENEVE_*`); `None`: not given.
#[derive(Clone, Copy, Debug, Default)]
pub struct GeneveOptions {
    /// The VNI.
    pub id: Option<u32>,
    /// The other end.
    pub remote: Option<Ipv4Addr>,
    /// The port.
    pub port: Option<u16>,
    /// The outer TOS.
    pub tos: Option<u8>,
    /// The outer TTL.
    pub ttl: Option<u8>,
    /// The outer TTL is that inside.
    pub ttl_inherit: bool,
    /// The outer "do not fragment".
    pub df: Option<TunnelDf>,
    /// Computes the outer checksum.
    pub udp_csum: Option<bool>,
    /// Packets say themselves where they go.
    pub collect_md: bool,
}

impl From<GeneveOptions> for LinkInfo {
    fn from(options: GeneveOptions) -> LinkInfo {
        LinkInfo::with("geneve", options)
    }
}

/// A device (`struct geneve_dev`).
#[derive(Clone, Debug)]
pub struct GeneveDev {
    /// How it is set.
    pub cfg: GeneveConfig,
    /// The namespace that its outer packets are in; it may be in another one itself.
    net: NetnsId,
    dst_cache: DstCache,
}

/// Geneve in a namespace (`struct geneve_net`).
#[derive(Debug, Default)]
struct GeneveNet {
    devs: Vec<DevId>,
    /// The socket of each port that some of them are up on, and these, by VNI and other end.
    socks: BTreeMap<u16, GeneveSock>,
}

#[derive(Debug)]
struct GeneveSock {
    sock: SocketId,
    devs: BTreeMap<(u32, Ipv4Addr), DevId>,
}

/// What is known of a device, if it is of this kind.
pub fn geneve(kernel: &Kernel, dev: DevId) -> Option<&GeneveDev> {
    kernel.devs.get(dev)?.netdev_priv()
}

fn geneve_mut<'a>(cx: &'a mut Cx, dev: DevId) -> &'a mut GeneveDev {
    cx.k.devs[dev].netdev_priv_mut().expect("a device of this kind")
}

fn geneve_net(kernel: &Kernel, netns: NetnsId) -> Option<&GeneveNet> {
    kernel.netns.get(netns)?.generic.get()
}

fn geneve_net_mut<'a>(cx: &'a mut Cx, netns: NetnsId) -> &'a mut GeneveNet {
    cx.k.netns[netns].generic.get_mut()
}

fn geneve_setup(dev: &mut NetDevice) {
    ether_setup(dev);
    dev.no_queue = true;
    dev.tx_skb_sharing = false;
    dev.max_mtu = MAX_MTU;
    dev.addr_assign = AddrAssign::Random;
    dev.hw_features = SG | FRAGLIST | HW_CSUM | RXCSUM | GSO_SOFTWARE;
    dev.features = dev.hw_features | LLTX;
}

/// Writes what is given over what was there (`geneve_nl2info`); `old`: of a device that is changed.
fn nl2info(options: &GeneveOptions, old: Option<GeneveConfig>) -> Result<GeneveConfig, NlError> {
    const FIXED: &str = "Changing VNI, Port, endpoint IP address family, external, inner_proto_inherit, and UDP \
                         checksum attributes are not supported";
    let fixed = old.is_some_and(|old| options.id.is_some_and(|id| id != old.vni))
        || old.is_some() && (options.port.is_some() || options.udp_csum.is_some() || options.collect_md);
    if options.remote.is_some_and(|remote| remote.is_multicast()) {
        return Err(NlError::with(Errno::EINVAL, "Remote IPv4 address cannot be Multicast"));
    }
    if fixed {
        return Err(NlError::with(Errno::EOPNOTSUPP, FIXED));
    }
    let old = old.unwrap_or(GeneveConfig {
        vni: 0,
        remote: Ipv4Addr::UNSPECIFIED,
        port: GENEVE_PORT,
        tos: 0,
        ttl: 0,
        ttl_inherit: false,
        df: TunnelDf::Unset,
        udp_csum: false,
        collect_md: false,
    });
    Ok(GeneveConfig {
        vni: options.id.unwrap_or(old.vni),
        remote: options.remote.unwrap_or(old.remote),
        port: options.port.unwrap_or(old.port),
        tos: options.tos.unwrap_or(old.tos),
        ttl: options.ttl.unwrap_or(old.ttl),
        ttl_inherit: options.ttl_inherit || options.ttl.is_none() && old.ttl_inherit,
        df: options.df.unwrap_or(old.df),
        udp_csum: options.udp_csum.unwrap_or(old.udp_csum),
        collect_md: options.collect_md || old.collect_md,
    })
}

/// The outer packets are in the namespace of whoever asks, wherever the device is.
fn geneve_newlink(cx: &mut Cx, new: NewLink) -> Result<DevId, NlError> {
    let missing = "Not enough attributes provided to perform the operation";
    let options: &GeneveOptions = new.info.data().ok_or(NlError::with(Errno::EINVAL, missing))?;
    let (net, mtu, cfg) = (new.src_net, new.mtu, nl2info(options, None)?);
    let same = |dev: &DevId| {
        let other = geneve(cx.k, *dev).map(|other| other.cfg);
        other.is_some_and(|it| (it.vni, it.remote, it.port) == (cfg.vni, cfg.remote, cfg.port))
    };
    let all = geneve_net(cx.k, net).map_or(&[][..], |net| &net.devs);
    let is_zero =
        (cfg.vni, cfg.remote, cfg.tos, cfg.ttl, cfg.udp_csum) == (0, Ipv4Addr::UNSPECIFIED, 0, 0, false);
    if cfg.collect_md && !is_zero {
        return Err(NlError::with(
            Errno::EINVAL,
            "Device is externally controlled, so attributes (VNI, Port, and so on) must not be specified",
        ));
    }
    if all.iter().any(same) {
        return Err(Errno::EBUSY.into());
    }
    let mut on_port = all.iter().filter_map(|dev| geneve(cx.k, *dev)).filter(|it| it.cfg.port == cfg.port);
    if cfg.collect_md && on_port.next().is_some() {
        let text = "There can be only one externally controlled device on a destination port";
        return Err(NlError::with(Errno::EPERM, text));
    }
    if on_port.any(|it| it.cfg.collect_md) {
        let text = "There already exists an externally controlled device on this destination port";
        return Err(NlError::with(Errno::EPERM, text));
    }
    let mut dev = new.dev;
    dev.set_priv(GeneveDev { cfg, net, dst_cache: DstCache::default() });
    if cfg.collect_md {
        // The other end may be one of IPv6.
        dev.max_mtu -= IPV6_LONGER;
    }
    let dev = register_netdevice(cx, dev)?;
    gro_cells_init(cx, dev);
    geneve_net_mut(cx, net).devs.insert(0, dev);
    if mtu.is_none() {
        geneve_link_config(cx, dev);
    }
    Ok(dev)
}

/// The MTU leaves room for the outer headers, if there is a route.
fn geneve_link_config(cx: &mut Cx, dev: DevId) {
    let GeneveDev { cfg, net, .. } = *geneve_mut(cx, dev);
    let flow = FlowOut { daddr: cfg.remote, ..FlowOut::default() };
    if let Ok((route, _)) = ip_route_output_flow(cx, net, flow, None) {
        let mtu = cx.k.devs[route.dev].mtu.saturating_sub(GENEVE_IPV4_HLEN);
        let netdev = &mut cx.k.devs[dev];
        if mtu > 0 {
            netdev.mtu = mtu.clamp(netdev.min_mtu, netdev.max_mtu);
        }
    }
}

fn geneve_changelink(cx: &mut Cx, dev: DevId, info: &LinkInfo) -> Result<(), NlError> {
    let Some(options) = info.data::<GeneveOptions>() else { return Ok(()) };
    let old = geneve_mut(cx, dev).cfg;
    if old.collect_md {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let cfg = nl2info(options, Some(old))?;
    let is_up = cx.k.devs[dev].is_up();
    if is_up {
        geneve_unhash(cx, dev);
    }
    let device = geneve_mut(cx, dev);
    (device.cfg, device.dst_cache) = (cfg, DstCache::default());
    if is_up {
        geneve_hash(cx, dev);
    }
    if cfg.remote != old.remote {
        geneve_link_config(cx, dev);
    }
    Ok(())
}

fn geneve_dellink(cx: &mut Cx, dev: DevId) {
    let net = geneve_mut(cx, dev).net;
    dev_close(cx, dev);
    gro_cells_destroy(cx, dev);
    unregister_netdevice(cx, dev);
    if cx.k.netns.get(net).is_some() {
        geneve_net_mut(cx, net).devs.retain(|other| *other != dev);
    }
}

/// A namespace ends, and the devices whose outer packets are in it.
fn geneve_exit_net(cx: &mut Cx, netns: NetnsId) {
    let all = geneve_net(cx.k, netns).map_or(Vec::new(), |net| net.devs.clone());
    all.into_iter().for_each(|dev| geneve_dellink(cx, dev));
}

/// The device listens on its port, with others that have another VNI or another end there.
///
/// # Errors
///
/// `EADDRINUSE` if a program has the port.
fn geneve_open(cx: &mut Cx, dev: DevId) -> Result<(), Errno> {
    let GeneveDev { cfg, net, .. } = *geneve_mut(cx, dev);
    if !geneve_net_mut(cx, net).socks.contains_key(&cfg.port) {
        let sock = udp_sock_create4(cx, net, UdpPortCfg::of_port(cfg.port), &TUNNEL)?;
        geneve_net_mut(cx, net).socks.insert(cfg.port, GeneveSock { sock, devs: BTreeMap::new() });
    }
    geneve_hash(cx, dev);
    Ok(())
}

/// The last device of a port closes its socket.
fn geneve_stop(cx: &mut Cx, dev: DevId) {
    let GeneveDev { cfg, net, .. } = *geneve_mut(cx, dev);
    if cx.k.netns.get(net).is_none() {
        return;
    }
    geneve_unhash(cx, dev);
    let socks = &mut geneve_net_mut(cx, net).socks;
    if socks.get(&cfg.port).is_some_and(|shared| shared.devs.is_empty())
        && let Some(shared) = socks.remove(&cfg.port)
    {
        udp_tunnel_sock_release(cx, shared.sock);
    }
}

fn geneve_hash(cx: &mut Cx, dev: DevId) {
    let GeneveDev { cfg, net, .. } = *geneve_mut(cx, dev);
    if let Some(shared) = geneve_net_mut(cx, net).socks.get_mut(&cfg.port) {
        shared.devs.insert((cfg.vni, cfg.remote), dev);
    }
}

fn geneve_unhash(cx: &mut Cx, dev: DevId) {
    let GeneveDev { cfg, net, .. } = *geneve_mut(cx, dev);
    if let Some(shared) = geneve_net_mut(cx, net).socks.get_mut(&cfg.port) {
        shared.devs.remove(&(cfg.vni, cfg.remote));
    }
}

/// Looks for the held packet that one continues in the same network, with the same options.
fn geneve_gro_receive(cx: &mut Cx, skb: SkbId, at: u32) -> GroVerdict {
    let header = cx.skbs.header::<GeneveHdr>(skb, at).copied();
    let Some(header) = header.filter(|header| header.version() == 0 && header.proto_type.get() == ETH_P_TEB)
    else {
        return GroVerdict::FLUSH;
    };
    let is_same = |its: &GeneveHdr| its.as_bytes() == header.as_bytes();
    // Options are compared as little as they are read: a packet with some is not merged.
    for_same_flow(cx, skb, at, |held, its: &GeneveHdr, _| {
        held.same_flow = is_same(its) && header.options_len() == 0;
    });
    eth_gro_receive(cx, skb, at + (GENEVE_HLEN + header.options_len()) as u32)
}

/// Sends a frame to the other end.
///
/// Kernel: drivers/net/geneve.c
/// Not modelled: what its module does not model.
pub fn geneve_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    let dev = cx.skbs[skb].dev;
    cx.xmit_succeeded(skb);
    let info = cx.skbs[skb].tun_info.clone().filter(|info| info.is_tx);
    if geneve_mut(cx, dev).cfg.collect_md && info.is_none() {
        cx.k.devs[dev].stats.tx_dropped += 1;
        return cx.consume_skb(skb);
    }
    match geneve_xmit_skb(cx, skb, dev, info) {
        Ok(()) => Door::End,
        Err(errno) => {
            cx.k.devs[dev].stats.count_tx_error(errno);
            if errno == Errno::EMSGSIZE { back_to_sender(cx, skb, dev) } else { cx.consume_skb(skb) }
        }
    }
}

/// The ICMP error that the packet was made into comes in by the device.
fn back_to_sender(cx: &mut Cx, skb: SkbId, dev: DevId) -> Door {
    if !eth_type_trans(cx, skb, dev) {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    Door::NetifRxInner { skb }
}

/// What the outer headers say.
struct Outer {
    vni: u32,
    saddr: Ipv4Addr,
    remote: Ipv4Addr,
    tos: u8,
    ttl: u8,
    df: bool,
    csum: bool,
    /// The packet says it, and keeps the last route to the other end; `None`: the device does.
    info: Option<Arc<IpTunnelInfo>>,
    /// The device keeps the last route, unless the packet inside decides.
    may_keep: bool,
}

/// What the device or, if it is `external`, the packet says.
fn outer(cx: &Cx, (skb, dev): (SkbId, DevId), info: Option<Arc<IpTunnelInfo>>) -> Option<Outer> {
    let GeneveConfig { vni, remote, tos, ttl, ttl_inherit, df, udp_csum, collect_md, .. } =
        geneve(cx.k, dev)?.cfg;
    if let Some(info) = info.filter(|_| collect_md) {
        let IpTunnelKey { src, dst, tun_flags, tos, ttl, .. } = info.key;
        return Some(Outer {
            vni: info.key.vni(),
            saddr: src,
            remote: dst,
            tos,
            ttl,
            df: tun_flags & TUNNEL_DONT_FRAGMENT != 0,
            csum: tun_flags & TUNNEL_CSUM != 0,
            info: Some(info),
            may_keep: true,
        });
    }
    Some(Outer {
        vni,
        saddr: Ipv4Addr::UNSPECIFIED,
        remote,
        tos: if tos == 1 { ip_tunnel_get_dsfield(cx, skb) } else { tos },
        ttl: if ttl_inherit { ip_tunnel_get_ttl(cx, skb) } else { ttl },
        df: outer_df(cx, skb, df),
        csum: udp_csum,
        info: None,
        may_keep: tos != 1,
    })
}

/// # Errors
///
/// `EMSGSIZE`: the packet is now the ICMP error about itself; else why it cannot be sent.
fn geneve_xmit_skb(
    cx: &mut Cx,
    skb: SkbId,
    dev: DevId,
    info: Option<Arc<IpTunnelInfo>>,
) -> Result<(), Errno> {
    let outer = outer(cx, (skb, dev), info).ok_or(Errno::EINVAL)?;
    let (vni, remote) = (outer.vni, outer.remote);
    let (port, net) = (geneve_mut(cx, dev).cfg.port, geneve_mut(cx, dev).net);
    let source = udp_flow_src_port(cx, skb, (1, u16::MAX));
    let flow = FlowOut {
        daddr: remote,
        saddr: outer.saddr,
        tos: outer.tos,
        mark: cx.skbs[skb].mark,
        proto: IPPROTO_UDP,
        sport: source,
        dport: port,
        ..FlowOut::default()
    };
    let (route, flow) =
        cx.within(Func::GeneveGetV4Rt, skb, |cx| geneve_get_v4_rt(cx, (skb, dev), flow, &outer))?;
    let mtu = dst_mtu(cx, &route);
    let is_port = cx.k.devs[dev].port.is_some();
    if skb_tunnel_check_pmtu(cx, skb, mtu, GENEVE_IPV4_HLEN, is_port) {
        if let Some(info) = &outer.info {
            cx.skbs[skb].tun_info = Some(Arc::new(info.turned(flow.saddr)));
        }
        return Err(Errno::EMSGSIZE);
    }
    let header = IpHeader {
        saddr: flow.saddr,
        daddr: remote,
        protocol: 0,
        // What a packet says is written as it is.
        ttl: if outer.info.is_some() { outer.ttl } else { ttl_or_hoplimit(cx, net, &route, outer.ttl) },
        tos: ip_tunnel_ecn_encap(cx, skb, outer.tos),
        dont_fragment: outer.df,
        ignore_df: false,
    };
    cx.note(|_| Note::Tunnel(TunnelNote { kind: UdpTunnel::Geneve, vni: Some(vni), to: remote, port }));
    cx.within(Func::GeneveBuildSkb, skb, |cx| geneve_build_skb(cx, skb, vni));
    udp_tunnel_xmit_skb(cx, (skb, dev), route, header, (source, port), outer.csum);
    Ok(())
}

/// The route to the other end, which this CPU may still know, and the source that it chose.
///
/// # Errors
///
/// `ENETUNREACH` if there is none, `ELOOP` if it leads through this device.
fn geneve_get_v4_rt(
    cx: &mut Cx,
    (skb, dev): (SkbId, DevId),
    flow: FlowOut,
    outer: &Outer,
) -> Result<(Rtable, FlowOut), Errno> {
    let (net, cpu) = (geneve_mut(cx, dev).net, cx.cpu);
    let may_keep = outer.may_keep && flow.mark == 0;
    let mut kept = match &outer.info {
        _ if !may_keep => None,
        Some(info) => info.dst_cache_get(cpu),
        None => geneve_mut(cx, dev).dst_cache.get(cpu),
    };
    let found = match ipv4_dst_check(cx.k, net, &mut kept) {
        Some(found) => found,
        None => {
            let found = ip_route_output_flow(cx, net, flow, Some(skb)).map_err(|_| Errno::ENETUNREACH)?;
            if found.0.dev == dev {
                return Err(Errno::ELOOP);
            }
            kept = keep(cx.k, net, found);
            found
        }
    };
    match &outer.info {
        _ if !may_keep => {}
        Some(info) => info.dst_cache_set(cpu, kept),
        None => geneve_mut(cx, dev).dst_cache.set(cpu, kept),
    }
    Ok(found)
}

/// Puts the Geneve header in front of a frame.
fn geneve_build_skb(cx: &mut Cx, skb: SkbId, vni: u32) {
    iptunnel_handle_offloads(cx, skb);
    cx.skbs.push(skb, GENEVE_HLEN);
    let at = cx.skbs[skb].data;
    if let Some(place) = cx.skbs.header_mut::<GeneveHdr>(skb, at) {
        *place = GeneveHdr::new(vni, ETH_P_TEB);
    }
}

/// Takes a frame out of a datagram, and gives it to the device of its network and of its sender.
///
/// Kernel: drivers/net/geneve.c
/// Not modelled: what its module does not model.
pub fn geneve_udp_encap_recv(cx: &mut Cx, skb: SkbId) -> Door {
    let dev = decapsulate(cx, skb);
    udp_tunnel_received(cx, skb, dev)
}

/// The device that gets the frame; `None`: it is dropped.
fn decapsulate(cx: &mut Cx, skb: SkbId) -> Option<DevId> {
    let (at, net) = (cx.skbs[skb].transport_header, cx.k.devs[cx.skbs[skb].dev].netns);
    let header = *cx.skbs.header::<GeneveHdr>(skb, at + UDP_HLEN as u32)?;
    if header.version() != 0 {
        return None;
    }
    let (udp, outer) = (*cx.skbs.header::<UdpHdr>(skb, at)?, *ip_hdr(cx, skb)?);
    let port = udp.dest.get();
    cx.call(Func::GeneveLookup, skb);
    let saddr = outer.saddr.get();
    let shared = geneve_net(cx.k, net)?.socks.get(&port)?;
    let of_all = shared.devs.get(&(0, Ipv4Addr::UNSPECIFIED)).copied();
    let of_all = of_all.filter(|dev| geneve(cx.k, *dev).is_some_and(|it| it.cfg.collect_md));
    let dev = of_all.or_else(|| shared.devs.get(&(header.vni(), saddr)).copied())?;
    let len = UDP_HLEN + GENEVE_HLEN + header.options_len();
    let crosses_netns = cx.k.devs[dev].netns != net;
    if header.proto_type.get() != ETH_P_TEB || !iptunnel_pull_header(cx, skb, len, ETH_P_TEB, crosses_netns) {
        cx.k.devs[dev].stats.rx_dropped += 1;
        return None;
    }
    if of_all.is_some() {
        let oam = if header.is_oam() { TUNNEL_OAM } else { 0 };
        let crit = if header.flags & GENEVE_CRIT_OPT != 0 { TUNNEL_CRIT_OPT } else { 0 };
        let info = udp_tun_rx_dst(&outer, &udp, TUNNEL_KEY | oam | crit, u64::from(header.vni()));
        cx.skbs[skb].tun_info = Some(info);
    } else if header.flags & GENEVE_CRIT_OPT != 0 {
        let stats = &mut cx.k.devs[dev].stats;
        stats.rx_frame_errors += 1;
        stats.rx_errors += 1;
        return None;
    }
    eth_type_trans(cx, skb, dev);
    if cx.skbs.eth_hdr(skb).source() == cx.k.devs[dev].addr {
        cx.k.devs[dev].stats.rx_errors += 1;
        return None;
    }
    let pkt = &mut cx.skbs[skb];
    pkt.network_header = pkt.data;
    ip_ecn_decapsulate(cx, (skb, dev), "geneve", &outer).then_some(dev)
}
