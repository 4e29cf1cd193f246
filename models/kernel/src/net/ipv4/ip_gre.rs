//! GRE (RFC 2784): packets of IPv4, and frames, behind a header with key, checksum and number.
//!
//! Kernel: net/ipv4/ip_gre.c

use std::sync::Arc;

use glassnet_wire::Mac;
use glassnet_wire::checksum::checksum;
use glassnet_wire::eth::ETH_P_TEB;
use glassnet_wire::gre::{GRE_CSUM, GRE_KEY, GRE_SEQ, Gre, GreBaseHdr, gre_calc_hlen, gre_set_csum};
use glassnet_wire::icmp::{ICMP_DEST_UNREACH, ICMP_HLEN};
use glassnet_wire::ipv4::{IP_DF, IPPROTO_GRE, IPV4_HLEN, InAddr, Ipv4Hdr};
use zerocopy::IntoBytes;
use zerocopy::big_endian::U16;

use super::icmp::{ICMP_PORT_UNREACH, IcmpError, icmp_send_then_drop};
use super::ip_input::ip_hdr;
use super::ip_tunnel::{
    FEATURES, TunnelOptions, init_fb_tunnels, ip_md_tunnel_xmit, ip_tunnel, ip_tunnel_change_mtu,
    ip_tunnel_changelink, ip_tunnel_delete_net, ip_tunnel_dellink, ip_tunnel_encap_setup, ip_tunnel_err,
    ip_tunnel_get_iflink, ip_tunnel_lookup, ip_tunnel_mut, ip_tunnel_newlink, ip_tunnel_rcv,
    ip_tunnel_uninit, ip_tunnel_xmit, make_fb_tunnel, set_gso,
};
use super::ip_tunnel_core::{iptunnel_handle_offloads, iptunnel_pull_header};
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{DevId, NetnsId, SkbId};
use crate::link::{LinkInfo, LinkOps, NewLink};
use crate::module::{Module, NetdevEvent};
use crate::net::core::gro_cells::gro_cell_poll;
use crate::net::ethernet::eth::ether_setup;
use crate::netlink::{Errno, NlError};
use crate::tables::arphrd::{Arphrd, ipv4_of_link};
use crate::tables::drop_reason::DropReason;
use crate::tables::ip_tunnel::{
    IpTunnel, IpTunnelInfo, IpTunnelKey, IpTunnelParm, TUNNEL_CSUM, TUNNEL_KEY, TUNNEL_SEQ, TunnelKind,
};
use crate::tables::klog::LOG_INFO;
use crate::tables::netdev::{AddrAssign, IFF_NOARP, NetDevice};
use crate::tables::netdev_features::LLTX;

/// The module. Not modelled: `external` tunnels of packets, tunnels to a group, ERSPAN with its fallback device, MPLS inside.
pub static MODULE: Module = Module {
    links: &[&LINK_OPS, &TAP_OPS],
    init: Some(ipgre_init),
    netdevs: &["gre0", "gretap0"],
    err_handler: Some(gre_err),
    net_init: Some(|cx, netns| {
        if cx.k.config.gre {
            FALLBACKS.iter().for_each(|(ops, name)| make_fb_tunnel(cx, netns, ops, name));
        }
    }),
    net_exit: Some(ipgre_exit_net),
    netdevice_event: Some(ipgre_netdevice_event),
    ..Module::named("ip_gre")
};

/// Link kind `gre`: a tunnel of packets.
static LINK_OPS: LinkOps = LinkOps {
    has_tstats: true,
    newlink: Some(ipgre_newlink),
    changelink: Some(ipgre_changelink),
    dellink: Some(ip_tunnel_dellink),
    change_mtu: Some(ip_tunnel_change_mtu),
    poll: Some(gro_cell_poll),
    get_iflink: Some(ip_tunnel_get_iflink),
    get_link_net: Some(|dev| dev.netdev_priv::<IpTunnel>().map_or(dev.netns, |own| own.net)),
    ..LinkOps::new(Some("gre"), ipgre_tunnel_setup, |skb| Door::IpgreXmit { skb })
};

/// Link kind `gretap`: a tunnel of frames.
static TAP_OPS: LinkOps = LinkOps {
    has_tstats: true,
    newlink: Some(ipgre_newlink),
    changelink: Some(ipgre_changelink),
    dellink: Some(ip_tunnel_dellink),
    open: Some(gre_tap_open),
    change_mtu: Some(ip_tunnel_change_mtu),
    poll: Some(gro_cell_poll),
    get_iflink: Some(ip_tunnel_get_iflink),
    get_link_net: LINK_OPS.get_link_net,
    ..LinkOps::new(Some("gretap"), ipgre_tap_setup, |skb| Door::GreTapXmit { skb })
};

/// The devices that take what is for no tunnel.
static FALLBACKS: &[(&LinkOps, &str)] = &[(&LINK_OPS, "gre0"), (&TAP_OPS, "gretap0")];

/// Versions of GRE: that of RFC 2784, and PPTP's.
const GREPROTO_MAX: u8 = 2;

fn ipgre_tunnel_setup(dev: &mut NetDevice) {
    dev.arphrd = Arphrd::Ipgre;
    dev.flags = IFF_NOARP;
    dev.header_ops = Some(ipgre_header);
    dev.no_queue = true;
    gre_setup(dev, TunnelKind::Ipgre);
}

fn ipgre_tap_setup(dev: &mut NetDevice) {
    ether_setup(dev);
    (dev.max_mtu, dev.tx_skb_sharing) = (0, false);
    gre_setup(dev, TunnelKind::GreTap);
}

fn gre_setup(dev: &mut NetDevice, kind: TunnelKind) {
    dev.set_priv(IpTunnel::new(kind, dev.netns));
    (dev.hw_features, dev.features) = (FEATURES, FEATURES | LLTX);
}

/// The module is loaded, by a user or for the first tunnel.
fn ipgre_init(cx: &mut Cx) {
    if !std::mem::replace(&mut cx.k.config.gre, true) {
        cx.printk(LOG_INFO, "gre: GRE over IPv4 demultiplexor driver".to_owned());
        cx.printk(LOG_INFO, "ip_gre: GRE over IPv4 tunneling driver".to_owned());
        FALLBACKS.iter().for_each(|(ops, name)| init_fb_tunnels(cx, ops, name));
    }
}

fn ipgre_exit_net(cx: &mut Cx, netns: NetnsId) {
    for kind in [TunnelKind::Ipgre, TunnelKind::GreTap] {
        ip_tunnel_delete_net(cx, netns, kind);
    }
}

fn ipgre_netdevice_event(cx: &mut Cx, dev: DevId, event: NetdevEvent) {
    for kind in [TunnelKind::Ipgre, TunnelKind::GreTap] {
        ip_tunnel_uninit(cx, dev, event, kind);
    }
}

/// # Errors
///
/// Those of tunnels; tunnels to a group are not modelled.
fn ipgre_newlink(cx: &mut Cx, mut new: NewLink) -> Result<DevId, NlError> {
    ipgre_init(cx);
    let options: TunnelOptions = new.info.data().copied().unwrap_or_default();
    ignore_df(&options, false)?;
    let parms = options.parms;
    if options.collect_md && !new.dev.arphrd.has_mac() {
        return Err(NlError::not_modelled("gre external"));
    }
    if new.dev.arphrd.has_mac() {
        new.dev.addr_assign = AddrAssign::Random;
    }
    if parms.daddr.is_multicast() {
        return Err(NlError::not_modelled("gre to a group"));
    }
    let parms = IpTunnelParm { protocol: IPPROTO_GRE, ..parms };
    ip_tunnel_newlink(cx, new, TunnelOptions { parms, ..options })
}

/// Whether a tunnel fragments what may not be, which did so before or not.
///
/// # Errors
///
/// `EINVAL` with the path's MTU to be learnt, which needs outer packets that may not be fragmented.
fn ignore_df(options: &TunnelOptions, before: bool) -> Result<bool, Errno> {
    let is_asked = options.ignore_df == Some(true);
    if options.parms.df && (before || is_asked) {
        return Err(Errno::EINVAL);
    }
    Ok(options.ignore_df.unwrap_or(before))
}

/// # Errors
///
/// Those of a change.
fn ipgre_changelink(cx: &mut Cx, dev: DevId, info: &LinkInfo) -> Result<(), NlError> {
    let Some(&options) = info.data::<TunnelOptions>() else { return Ok(()) };
    let TunnelOptions { parms, fwmark, encap, .. } = options;
    ip_tunnel_encap_setup(cx, dev, encap)?;
    let ignore_df = ignore_df(&options, ip_tunnel_mut(cx, dev).ignore_df)?;
    ip_tunnel_mut(cx, dev).ignore_df = ignore_df;
    let old = ip_tunnel_mut(cx, dev).parms;
    ip_tunnel_changelink(cx, dev, IpTunnelParm { o_flags: old.o_flags, ..parms }, fwmark)?;
    let longer = gre_calc_hlen(parms.o_flags) as i64 - gre_calc_hlen(old.o_flags) as i64;
    ip_tunnel_mut(cx, dev).parms.o_flags = parms.o_flags;
    let netdev = &mut cx.k.devs[dev];
    netdev.mtu = (i64::from(netdev.mtu) - longer).max(68) as u32;
    set_gso(netdev);
    Ok(())
}

/// # Errors
///
/// `EADDRNOTAVAIL` for the fallback device, which has no address.
fn gre_tap_open(cx: &mut Cx, dev: DevId) -> Result<(), Errno> {
    if cx.k.devs[dev].addr == Mac::ZERO { Err(Errno::EADDRNOTAVAIL) } else { Ok(()) }
}

/// Bytes that a device without an other end writes in front of a packet.
fn link_header_len(parms: &IpTunnelParm) -> usize {
    IPV4_HLEN + gre_calc_hlen(parms.o_flags)
}

/// The header of a device without an other end: that is the neighbour's address. Most of it is written anew when the packet is sent.
fn ipgre_header(cx: &mut Cx, skb: SkbId, dev: DevId, protocol: u16, daddr: Mac) -> bool {
    let parms = ip_tunnel_mut(cx, dev).parms;
    let daddr = ipv4_of_link(daddr);
    let header = Ipv4Hdr {
        version_ihl: 0x45,
        tos: parms.tos,
        tot_len: U16::new(0),
        id: U16::new(0),
        frag_off: U16::new(if parms.df { IP_DF } else { 0 }),
        ttl: parms.ttl,
        protocol: parms.protocol,
        check: U16::new(0),
        saddr: InAddr::new(parms.saddr),
        daddr: InAddr::new(daddr),
    };
    let gre = GreBaseHdr { flags: U16::new(parms.o_flags), protocol: U16::new(protocol) };
    let mut bytes = [header.as_bytes(), gre.as_bytes()].concat();
    bytes.resize(link_header_len(&parms), 0);
    cx.skbs.push(skb, bytes.len());
    cx.skbs.data_mut(skb)[..bytes.len()].copy_from_slice(&bytes);
    let pkt = &mut cx.skbs[skb];
    pkt.mac_header = pkt.data;
    !daddr.is_unspecified()
}

/// Takes that header off, and says how the packet is to be sent; `None`: it is cut off.
fn pull_link_header(cx: &mut Cx, skb: SkbId, dev: DevId) -> Option<IpTunnelParm> {
    let own = ip_tunnel_mut(cx, dev).parms;
    let len = link_header_len(&own);
    let header = *cx.skbs.header::<Ipv4Hdr>(skb, cx.skbs[skb].data)?;
    if cx.skbs[skb].len() < len {
        return None;
    }
    cx.skbs.pull(skb, len);
    let pkt = &mut cx.skbs[skb];
    pkt.mac_header = pkt.data;
    Some(IpTunnelParm {
        saddr: header.saddr.get(),
        daddr: header.daddr.get(),
        tos: header.tos,
        ttl: header.ttl,
        df: header.dont_fragment(),
        ..own
    })
}

/// Puts the GRE header in front and sends (`__gre_xmit`).
fn gre_xmit(cx: &mut Cx, skb: SkbId, dev: DevId, parms: IpTunnelParm, protocol: u16) -> Door {
    iptunnel_handle_offloads(cx, skb);
    let seq = next_seqno(cx, dev, parms.o_flags & GRE_SEQ != 0);
    let key = (parms.o_flags & GRE_KEY != 0).then_some(parms.o_key);
    gre_build_header(cx, skb, Gre { protocol, has_csum: parms.o_flags & GRE_CSUM != 0, key, seq });
    cx.within(Func::IpTunnelXmit, skb, |cx| ip_tunnel_xmit(cx, skb, dev, parms, IPPROTO_GRE))
}

fn not_sent(cx: &mut Cx, skb: SkbId, dev: DevId) -> Door {
    cx.k.devs[dev].stats.tx_dropped += 1;
    cx.kfree_skb(skb, DropReason::NotSpecified)
}

/// A tunnel of packets gets one.
///
/// Kernel: net/ipv4/ip_gre.c
/// Not modelled: what its module does not model.
pub fn ipgre_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    let dev = cx.skbs[skb].dev;
    cx.xmit_succeeded(skb);
    let parms = match cx.k.devs[dev].header_ops {
        Some(_) => pull_link_header(cx, skb, dev),
        None => Some(ip_tunnel_mut(cx, dev).parms),
    };
    let Some(parms) = parms else { return not_sent(cx, skb, dev) };
    let protocol = cx.skbs[skb].protocol;
    gre_xmit(cx, skb, dev, parms, protocol)
}

/// A tunnel of frames gets one.
///
/// Kernel: net/ipv4/ip_gre.c
/// Not modelled: what its module does not model.
pub fn gre_tap_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    let dev = cx.skbs[skb].dev;
    cx.xmit_succeeded(skb);
    if !ip_tunnel_mut(cx, dev).collect_md {
        let parms = ip_tunnel_mut(cx, dev).parms;
        return gre_xmit(cx, skb, dev, parms, ETH_P_TEB);
    }
    match cx.skbs[skb].tun_info.clone().filter(|info| info.is_tx) {
        Some(info) => gre_fb_xmit(cx, skb, dev, &info),
        None => not_sent(cx, skb, dev),
    }
}

/// The number of the next packet of a device, if its packets are numbered.
fn next_seqno(cx: &mut Cx, dev: DevId, is_numbered: bool) -> Option<u32> {
    let tunnel = ip_tunnel_mut(cx, dev);
    let number = tunnel.o_seqno;
    tunnel.o_seqno = number.wrapping_add(u32::from(is_numbered));
    is_numbered.then_some(number)
}

/// Puts a GRE header in front, and returns its length, bytes.
fn gre_build_header(cx: &mut Cx, skb: SkbId, header: Gre) -> usize {
    let bytes = header.write();
    cx.skbs.push(skb, bytes.len());
    cx.skbs.data_mut(skb)[..bytes.len()].copy_from_slice(&bytes);
    if header.has_csum {
        gre_set_csum(cx.skbs.data_mut(skb));
    }
    bytes.len()
}

/// Puts the GRE header in front that the packet asks for, and sends.
fn gre_fb_xmit(cx: &mut Cx, skb: SkbId, dev: DevId, info: &IpTunnelInfo) -> Door {
    iptunnel_handle_offloads(cx, skb);
    let IpTunnelKey { tun_flags, tun_id, .. } = info.key;
    let seq = next_seqno(cx, dev, tun_flags & TUNNEL_SEQ != 0);
    let key = (tun_flags & TUNNEL_KEY != 0).then_some(tun_id as u32);
    let header = Gre { protocol: ETH_P_TEB, has_csum: tun_flags & TUNNEL_CSUM != 0, key, seq };
    let hlen = gre_build_header(cx, skb, header);
    cx.within(Func::IpMdTunnelXmit, skb, |cx| ip_md_tunnel_xmit(cx, (skb, dev), info, IPPROTO_GRE, hlen))
}

/// Takes a packet, or a frame, out of GRE; its sender is told if there is no tunnel for it.
pub fn gre_rcv(cx: &mut Cx, skb: SkbId) -> Door {
    let data = cx.skbs.data(skb);
    let parsed = Gre::parse(data).filter(|(gre, _)| !gre.has_csum || checksum(data) == 0);
    let Some((gre, len)) = parsed else { return cx.kfree_skb(skb, DropReason::NotSpecified) };
    ipgre_rcv(cx, skb, &gre, len).unwrap_or_else(|| {
        let error = IcmpError { kind: ICMP_DEST_UNREACH, code: ICMP_PORT_UNREACH, info: 0 };
        icmp_send_then_drop(cx, skb, error, DropReason::NotSpecified)
    })
}

/// The kind of tunnel that this Ethertype is for.
fn kind_of(protocol: u16) -> TunnelKind {
    if protocol == ETH_P_TEB { TunnelKind::GreTap } else { TunnelKind::Ipgre }
}

fn ipgre_rcv(cx: &mut Cx, skb: SkbId, gre: &Gre, len: usize) -> Option<Door> {
    let outer = *ip_hdr(cx, skb)?;
    let (from, remote, local) = (cx.skbs[skb].dev, outer.saddr.get(), outer.daddr.get());
    let mut dev = ip_tunnel_lookup(cx, kind_of(gre.protocol), from, (remote, local), gre.key);
    if dev.is_none() && gre.protocol == ETH_P_TEB {
        // A tunnel of packets takes frames too, as what it does not know.
        dev = ip_tunnel_lookup(cx, TunnelKind::Ipgre, from, (remote, local), gre.key);
    }
    let dev = dev?;
    if !iptunnel_pull_header(cx, skb, len, gre.protocol, false) {
        return Some(cx.kfree_skb(skb, DropReason::NotSpecified));
    }
    if !cx.k.devs[dev].arphrd.has_mac() {
        cx.skbs[skb].protocol = gre.protocol;
    }
    if ip_tunnel_mut(cx, dev).collect_md {
        let flag = |is_set: bool, flag: u16| if is_set { flag } else { 0 };
        let tun_flags = flag(gre.has_csum, TUNNEL_CSUM) | flag(gre.key.is_some(), TUNNEL_KEY);
        let key = IpTunnelKey {
            tun_id: u64::from(gre.key.unwrap_or(0)),
            src: remote,
            dst: local,
            tun_flags,
            tos: outer.tos,
            ttl: outer.ttl,
            ..IpTunnelKey::default()
        };
        cx.skbs[skb].tun_info = Some(Arc::new(IpTunnelInfo::received(key)));
    }
    Some(cx.within(Func::IpTunnelRcv, skb, |cx| ip_tunnel_rcv(cx, skb, dev, &outer, gre)))
}

/// An ICMP error about a packet that a tunnel sent. A port that is not there is none of GRE's (`gre_err`, `ipgre_err`).
fn gre_err(cx: &mut Cx, skb: SkbId, quoted: &Ipv4Hdr, (kind, code, info): (u8, u8, u32)) -> bool {
    if quoted.protocol != IPPROTO_GRE {
        return false;
    }
    let error = IcmpError { kind, code, info };
    let quote = cx.skbs.data(skb).get(ICMP_HLEN + quoted.header_len()..).unwrap_or_default();
    let has_module = quote.get(1).is_some_and(|version| version & 0x7f < GREPROTO_MAX);
    let parsed = Gre::parse(quote);
    let Some((gre, _)) =
        parsed.filter(|_| (error.kind, error.code) != (ICMP_DEST_UNREACH, ICMP_PORT_UNREACH))
    else {
        return has_module;
    };
    let (from, local, remote) = (cx.skbs[skb].dev, quoted.saddr.get(), quoted.daddr.get());
    if let Some(dev) = ip_tunnel_lookup(cx, kind_of(gre.protocol), from, (remote, local), gre.key)
        && ip_tunnel(cx.k, dev).is_some()
    {
        ip_tunnel_err(cx, skb, dev, remote, error);
    }
    has_module
}
