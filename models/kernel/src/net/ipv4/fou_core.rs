//! Foo over UDP, and Generic UDP Encapsulation: what an IP protocol carries, in datagrams.
//!
//! Kernel: net/ipv4/fou_core.c. Not modelled: IPv6, checksums that are left to the receiver (`encap-remcsum`).

use glassnet_wire::gre::{GRE_CSUM, GreBaseHdr};
use glassnet_wire::gue::{GUE_HLEN, Gue, GueHdr};
use glassnet_wire::icmp::ICMP_HLEN;
use glassnet_wire::ipv4::{IPPROTO_GRE, IPPROTO_IPIP, IPPROTO_UDP, Ipv4Hdr};
use glassnet_wire::udp::UDP_HLEN;
use zerocopy::IntoBytes;

use super::icmp::{IcmpError, tell_protocol};
use super::inet_offload::{inet_protocol_gro_complete, inet_protocol_gro_receive};
use super::ip_tunnel_core::iptunnel_handle_offloads;
use super::udp_tunnel_core::{
    UdpPortCfg, udp_flow_src_port, udp_push_header, udp_sock_create4, udp_tunnel_sock_release,
};
use crate::door::{Door, Func};
use crate::encap::UdpTunnelSockCfg;
use crate::ids::{NetnsId, SkbId, SocketId};
use crate::module::Module;
use crate::net::core::gro::for_same_flow;
use crate::netlink::{Errno, NlError};
use crate::note::{Note, TunnelNote, UdpTunnel};
use crate::tables::drop_reason::DropReason;
use crate::tables::gro::GroVerdict;
use crate::tables::ip_tunnel::{EncapType, IpTunnelEncap};
use crate::tables::route::FlowOut;
use crate::{Cx, Kernel};

/// The module. Without it there are neither ports nor tunnels that use them.
pub static MODULE: Module =
    Module { init: Some(|cx| cx.k.config.fou = true), net_exit: Some(fou_exit_net), ..Module::named("fou") };

/// What a port does with datagrams that have one protocol in them.
static FOU: UdpTunnelSockCfg = UdpTunnelSockCfg {
    encap_rcv: |cx, sock, skb| Door::FouUdpRecv { skb, protocol: protocol_of(cx.k, sock) },
    err_lookup: false,
    gro_receive: |cx, sock, skb, at| {
        cx.within(Func::FouGroReceive, skb, |cx| {
            let protocol = protocol_of(cx.k, sock);
            gro_receive_inside(cx, skb, at, protocol)
        })
    },
    gro_complete: |cx, sock, skb, at| {
        cx.within(Func::FouGroComplete, skb, |cx| {
            let protocol = protocol_of(cx.k, sock);
            at_transport(cx, skb, at, |cx| inet_protocol_gro_complete(cx, skb, protocol));
        });
    },
};

/// The same for those with the header of GUE.
static GUE: UdpTunnelSockCfg = UdpTunnelSockCfg {
    encap_rcv: |_, _, skb| Door::GueUdpRecv { skb },
    err_lookup: false,
    gro_receive: |cx, _, skb, at| cx.within(Func::GueGroReceive, skb, |cx| gue_gro_receive(cx, skb, at)),
    gro_complete: |cx, _, skb, at| {
        cx.within(Func::GueGroComplete, skb, |cx| {
            if let Some(gue) = gue_at(cx, skb, at) {
                let at = at + gue.len as u32;
                at_transport(cx, skb, at, |cx| inet_protocol_gro_complete(cx, skb, gue.protocol));
            }
        });
    },
};

/// A port (`struct fou_cfg`).
#[derive(Clone, Copy, Debug)]
pub struct FouCfg {
    /// The IP protocol of what is in its datagrams; `None`: the header of GUE tells.
    pub protocol: Option<u8>,
    /// The port, with the address, the device, and the only sender that it is for.
    pub udp_config: UdpPortCfg,
}

/// A port that is open (`struct fou`).
#[derive(Clone, Copy, Debug)]
struct Fou {
    sock: SocketId,
    protocol: Option<u8>,
}

/// The ports of a namespace, the newest first (`struct fou_net`).
#[derive(Debug, Default)]
struct FouNet {
    fou_list: Vec<Fou>,
}

fn fou_list(kernel: &Kernel, netns: NetnsId) -> &[Fou] {
    let net = kernel.netns.get(netns).and_then(|netns| netns.generic.get::<FouNet>());
    net.map_or(&[], |net| &net.fou_list)
}

fn fou_list_mut<'a>(cx: &'a mut Cx, netns: NetnsId) -> &'a mut Vec<Fou> {
    &mut cx.k.netns[netns].generic.get_mut::<FouNet>().fou_list
}

/// How an open port is set: what its socket is bound to tells.
fn cfg_of(kernel: &Kernel, fou: &Fou) -> Option<FouCfg> {
    let socket = kernel.sockets.get(fou.sock)?;
    let udp_config =
        UdpPortCfg { local: socket.local, peer: socket.remote, bind_ifindex: socket.opts.bound_dev_if };
    Some(FouCfg { protocol: fou.protocol, udp_config })
}

/// The ports of a namespace, as they are listed (`FOU_CMD_GET`).
pub fn fou_nl_get_dumpit(kernel: &Kernel, netns: NetnsId) -> Vec<FouCfg> {
    fou_list(kernel, netns).iter().filter_map(|fou| cfg_of(kernel, fou)).collect()
}

/// Opens a port (`FOU_CMD_ADD`).
///
/// # Errors
///
/// `ERANGE` for protocol 0, `EINVAL` for a device without an address; those of binding and connecting the socket.
pub fn fou_nl_add_doit(cx: &mut Cx, netns: NetnsId, cfg: FouCfg) -> Result<(), NlError> {
    check(&cfg)?;
    let tunnel = if cfg.protocol.is_some() { &FOU } else { &GUE };
    let sock = udp_sock_create4(cx, netns, cfg.udp_config, tunnel)?;
    fou_list_mut(cx, netns).insert(0, Fou { sock, protocol: cfg.protocol });
    Ok(())
}

/// Closes a port (`FOU_CMD_DEL`).
///
/// # Errors
///
/// `EINVAL` if there is none that is set so; those of what none can be.
pub fn fou_nl_del_doit(cx: &mut Cx, netns: NetnsId, cfg: FouCfg) -> Result<(), NlError> {
    check(&cfg)?;
    let is_it = |fou: &Fou| cfg_of(cx.k, fou).is_some_and(|own| own.udp_config == cfg.udp_config);
    let at = fou_list(cx.k, netns).iter().position(is_it).ok_or(Errno::EINVAL)?;
    let fou = fou_list_mut(cx, netns).remove(at);
    udp_tunnel_sock_release(cx, fou.sock);
    Ok(())
}

/// `fou_nl_policy`, `parse_nl_config`
fn check(cfg: &FouCfg) -> Result<(), NlError> {
    let UdpPortCfg { local: (local, _), bind_ifindex, .. } = cfg.udp_config;
    if cfg.protocol == Some(0) {
        return Err(NlError::with(Errno::ERANGE, "integer out of range"));
    }
    if bind_ifindex != 0 && local.is_unspecified() { Err(Errno::EINVAL.into()) } else { Ok(()) }
}

/// A namespace ends, and its ports.
fn fou_exit_net(cx: &mut Cx, netns: NetnsId) {
    for fou in std::mem::take(fou_list_mut(cx, netns)) {
        udp_tunnel_sock_release(cx, fou.sock);
    }
}

/// The protocol of what comes to a port.
fn protocol_of(kernel: &Kernel, sock: SocketId) -> u8 {
    let netns = kernel.sockets.get(sock).map(|socket| socket.netns);
    let ports = netns.map_or(&[][..], |netns| fou_list(kernel, netns));
    ports.iter().find(|fou| fou.sock == sock).and_then(|fou| fou.protocol).unwrap_or_default()
}

/// Puts a tunnel's packet into UDP, if its packets go there; returns the protocol of what the outer IP header is to be in front of.
pub fn ip_tunnel_encap(cx: &mut Cx, skb: SkbId, encap: &IpTunnelEncap, protocol: u8, flow: &FlowOut) -> u8 {
    let func = match encap.kind {
        EncapType::None => return protocol,
        EncapType::Fou => Func::FouBuildHeader,
        EncapType::Gue => Func::GueBuildHeader,
    };
    cx.within(func, skb, |cx| {
        iptunnel_handle_offloads(cx, skb);
        let sport = if encap.sport == 0 { udp_flow_src_port(cx, skb, (0, 0)) } else { encap.sport };
        let kind = if encap.kind == EncapType::Gue { UdpTunnel::Gue } else { UdpTunnel::Fou(protocol) };
        cx.note(|_| Note::Tunnel(TunnelNote { kind, vni: None, to: flow.daddr, port: encap.dport }));
        if encap.kind == EncapType::Gue {
            cx.skbs.push(skb, GUE_HLEN);
            cx.skbs.data_mut(skb)[..GUE_HLEN].copy_from_slice(GueHdr::new(protocol).as_bytes());
        }
        // The source may not be known yet, as the route chooses it: then the checksum is wrong. But it is left to a device that sends
        // it away, and nobody looks at it before (`CHECKSUM_PARTIAL`).
        let ends = encap.csum.then_some((flow.saddr, flow.daddr));
        udp_push_header(cx, skb, (sport, encap.dport), ends);
        cx.skbs[skb].ip_summed |= encap.csum;
    });
    IPPROTO_UDP
}

/// Takes what a datagram carries out of it.
///
/// Kernel: net/ipv4/fou_core.c
/// Not modelled: what its module does not model.
pub fn fou_udp_recv(cx: &mut Cx, skb: SkbId, protocol: u8) -> Door {
    fou_recv_pull(cx, skb, UDP_HLEN);
    Door::IpResubmit { skb, protocol }
}

/// Takes what a datagram carries behind a header of GUE out of it; one of version 1 carries a packet of IP and has no header.
///
/// Kernel: net/ipv4/fou_core.c
/// Not modelled: what its module does not model.
pub fn gue_udp_recv(cx: &mut Cx, skb: SkbId) -> Door {
    let at = cx.skbs[skb].data + UDP_HLEN as u32;
    let Some(Gue { len, protocol }) = gue_at(cx, skb, at) else {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    };
    fou_recv_pull(cx, skb, UDP_HLEN + len);
    Door::IpResubmit { skb, protocol }
}

/// The first bytes are no longer the packet's; the outer IP header's checksum stays what it was.
fn fou_recv_pull(cx: &mut Cx, skb: SkbId, len: usize) {
    let at = cx.skbs[skb].network_header;
    if let Some(iph) = cx.skbs.header_mut::<Ipv4Hdr>(skb, at) {
        iph.tot_len.set(iph.tot_len.get().wrapping_sub(len as u16));
    }
    cx.skbs.pull(skb, len);
    let pkt = &mut cx.skbs[skb];
    pkt.transport_header = pkt.data;
}

/// The header of GUE at `at` in the buffer.
fn gue_at(cx: &Cx, skb: SkbId, at: u32) -> Option<Gue> {
    Gue::parse(cx.skbs.data(skb).get((at - cx.skbs[skb].data) as usize..)?)
}

/// Runs what `of` does with a packet whose transport header is at `at` in the buffer.
fn at_transport<T>(cx: &mut Cx, skb: SkbId, at: u32, of: impl FnOnce(&mut Cx) -> T) -> T {
    let outer = std::mem::replace(&mut cx.skbs[skb].transport_header, at);
    let done = of(cx);
    cx.skbs[skb].transport_header = outer;
    done
}

/// Looks for the held packet that one continues by what is inside, which counts as the first tunnel.
fn gro_receive_inside(cx: &mut Cx, skb: SkbId, at: u32, protocol: u8) -> GroVerdict {
    cx.k.cpus[cx.cpu.index()].gro.encap_mark = false;
    let has_csum = |gre: &GreBaseHdr| protocol == IPPROTO_GRE && gre.flags.get() & GRE_CSUM != 0;
    if !matches!(protocol, IPPROTO_GRE | IPPROTO_IPIP) || cx.skbs.header(skb, at).is_some_and(has_csum) {
        return GroVerdict::FLUSH;
    }
    at_transport(cx, skb, at, |cx| inet_protocol_gro_receive(cx, skb, protocol))
}

/// The same behind a header of GUE, which must be equal.
fn gue_gro_receive(cx: &mut Cx, skb: SkbId, at: u32) -> GroVerdict {
    let Some(Gue { len, protocol }) = gue_at(cx, skb, at) else { return GroVerdict::FLUSH };
    for word in 0..len as u32 / 4 {
        for_same_flow(cx, skb, at + word * 4, |held, its: &[u8; 4], own| held.same_flow = its == own);
    }
    gro_receive_inside(cx, skb, at + len as u32, protocol)
}

/// An ICMP error about a datagram that no socket sent: a tunnel may have, if the module is loaded; false: none did. What is in
/// datagrams without a header of GUE is read as one all the same.
pub fn gue_err(cx: &mut Cx, skb: SkbId, quoted: &Ipv4Hdr, error: IcmpError) -> bool {
    if !cx.k.config.fou {
        return false;
    }
    let behind = cx.skbs.data(skb).get(ICMP_HLEN + quoted.header_len() + UDP_HLEN..);
    let Some(Gue { protocol, .. }) = behind.and_then(Gue::parse) else { return false };
    protocol != IPPROTO_UDP && tell_protocol(cx, skb, &Ipv4Hdr { protocol, ..*quoted }, error)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_port_of_a_device_has_an_address() {
        let of = |protocol, local, bind_ifindex| {
            let udp_config = UdpPortCfg { local: (local, 5555), peer: None, bind_ifindex };
            check(&FouCfg { protocol: Some(protocol), udp_config }).map_err(|error| error.errno)
        };
        assert_eq!(of(IPPROTO_IPIP, Ipv4Addr::UNSPECIFIED, 0), Ok(()));
        assert_eq!(of(IPPROTO_IPIP, Ipv4Addr::LOCALHOST, 2), Ok(()));
        assert_eq!(of(IPPROTO_IPIP, Ipv4Addr::UNSPECIFIED, 2), Err(Errno::EINVAL));
        assert_eq!(of(0, Ipv4Addr::UNSPECIFIED, 0), Err(Errno::ERANGE));
    }
}
