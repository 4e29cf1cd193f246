//! Routing errors, redirects and path MTU exceptions.
//!
//! Kernel: net/ipv4/route.c

use glassnet_sim::Nanos;
use glassnet_wire::eth::ETH_HLEN;
use glassnet_wire::icmp::{ICMP_DEST_UNREACH, ICMP_REDIRECT};
use glassnet_wire::ipv4::is_zeronet;
use std::net::Ipv4Addr;

use super::arp::arp_neigh;
use super::fib_frontend::inet_addr_type;
use super::icmp::{self, IcmpError};
use super::ip_input::ip_hdr;
use super::route::{in_dev, ip_route_output_key};
use crate::Cx;
use crate::door::Door;
use crate::ids::{DevId, NetnsId, SkbId};
use crate::net::core::neighbour::neigh_start;
use crate::netlink::Errno;
use crate::sysctl::{Shown, Sysctl, SysctlTable};
use crate::tables::drop_reason::DropReason;
use crate::tables::inet::{and_conf, or_conf};
use crate::tables::inet_conf::Conf;
use crate::tables::jiffies::{JIFFY, last_tick};
use crate::tables::klog::LOG_WARNING;
use crate::tables::route::{DstInput, FlowOut};
use crate::tables::route_types::RouteType;
use crate::tables::sysctl::Setting;

static MIN_PMTU: Setting = Setting::new("min_pmtu", 552);
static MTU_EXPIRES: Setting = Setting::new("mtu_expires", 600);
static GC_TIMEOUT: Setting = Setting::new("gc_timeout", 300);
static REDIRECT_NUMBER: Setting = Setting::new("redirect_number", 9);
static REDIRECT_LOAD: Setting = Setting::new("redirect_load", 5);
static REDIRECT_SILENCE: Setting = Setting::new("redirect_silence", 5120);
static ERROR_COST: Setting = Setting::new("error_cost", 250);
static ERROR_BURST: Setting = Setting::new("error_burst", 1250);

/// Sysctls of exceptions and errors; times in jiffies, but `mtu_expires` and `gc_timeout` in seconds.
pub static SYSCTLS: SysctlTable = SysctlTable::new(
    "net/ipv4/route",
    &[
        Sysctl::net(&MIN_PMTU).range(68, i32::MAX as i64),
        Sysctl::net(&MTU_EXPIRES),
        Sysctl::net(&GC_TIMEOUT).shown(Shown::InInit),
        Sysctl::net(&REDIRECT_NUMBER).shown(Shown::InInit),
        Sysctl::net(&REDIRECT_LOAD).shown(Shown::InInit),
        Sysctl::net(&REDIRECT_SILENCE).shown(Shown::InInit),
        Sysctl::net(&ERROR_COST).shown(Shown::InInit),
        Sysctl::net(&ERROR_BURST).shown(Shown::InInit),
    ],
);

/// Drops a packet without a route, and sends an ICMP error if forwarding is on.
///
/// Kernel: net/ipv4/route.c
/// Not modelled: nothing.
pub fn ip_error(cx: &mut Cx, skb: SkbId) -> Door {
    let dev = cx.skbs[skb].dev;
    let Some(route) = cx.skbs[skb].dst else { return cx.kfree_skb(skb, DropReason::NotSpecified) };
    let DstInput::Error(errno) = route.input else { return cx.kfree_skb(skb, DropReason::NotSpecified) };
    let netns = cx.k.devs[dev].netns;
    let forwarding = cx.k.inet.get(dev).is_some_and(|inet| inet.conf.get(Conf::Forwarding) != 0);
    let snmp = &mut cx.k.netns[netns].ipv4.snmp;
    let (code, reason) = match (errno, forwarding) {
        (Errno::EHOSTUNREACH, false) => {
            snmp.ip.InAddrErrors += 1;
            return cx.kfree_skb(skb, DropReason::IpInaddrerrors);
        }
        (Errno::ENETUNREACH, false) => {
            snmp.ip_ext.InNoRoutes += 1;
            return cx.kfree_skb(skb, DropReason::IpInnoroutes);
        }
        (Errno::EHOSTUNREACH, true) => (icmp::ICMP_HOST_UNREACH, DropReason::NotSpecified),
        (Errno::ENETUNREACH, true) => {
            snmp.ip_ext.InNoRoutes += 1;
            (icmp::ICMP_NET_UNREACH, DropReason::IpInnoroutes)
        }
        (Errno::EACCES, true) => (icmp::ICMP_PKT_FILTERED, DropReason::NotSpecified),
        _ => return cx.kfree_skb(skb, DropReason::NotSpecified),
    };
    let error = IcmpError { kind: ICMP_DEST_UNREACH, code, info: 0 };
    if may_send_error(cx, netns, skb) {
        icmp::icmp_send_then_drop(cx, skb, error, reason)
    } else {
        cx.kfree_skb(skb, reason)
    }
}

/// Rate limit of errors: `route/error_cost` and `error_burst`, in jiffies.
fn may_send_error(cx: &mut Cx, netns: NetnsId, skb: SkbId) -> bool {
    let Some(saddr) = ip_hdr(cx, skb).map(|iph| iph.saddr.get()) else { return false };
    let (now, master) = (last_tick(cx.now), cx.k.devs.l3mdev_master(cx.skbs[skb].dev));
    let net = &mut cx.k.netns[netns];
    let cost = net.sysctls.get(&ERROR_COST).max(0) as u64 * JIFFY;
    let burst = net.sysctls.get(&ERROR_BURST).max(0) as u64 * JIFFY;
    net.ipv4.peer((saddr, master), now).take(cost, burst, now)
}

/// Sends a redirect, with exponential backoff (`ip_rt_send_redirect`). `None` if rate limited.
pub fn ip_rt_send_redirect(cx: &mut Cx, skb: SkbId) -> Option<Door> {
    let route = cx.skbs[skb].dst?;
    let (saddr, daddr) = ip_hdr(cx, skb).map(|iph| (iph.saddr.get(), iph.daddr.get()))?;
    let (netns, now) = (cx.k.devs[route.dev].netns, last_tick(cx.now));
    let master = cx.k.devs.l3mdev_master(route.dev);
    let net = &mut cx.k.netns[netns];
    let silence = net.sysctls.get(&REDIRECT_SILENCE).max(0) as u64 * JIFFY;
    let load = net.sysctls.get(&REDIRECT_LOAD).max(0) as u64 * JIFFY;
    let number = net.sysctls.get(&REDIRECT_NUMBER).max(0) as u32;
    let peer = net.ipv4.peer((saddr, master), now);
    if now.since(peer.filled).0 > silence {
        (peer.tokens, peer.redirects) = (0, 0);
    }
    if peer.redirects >= number {
        peer.filled = now;
        return None;
    }
    if peer.redirects > 0 && now.since(peer.filled).0 <= load << peer.redirects {
        return None;
    }
    peer.filled = now;
    peer.redirects += 1;
    let gateway = if !route.gateway.is_unspecified() { route.gateway } else { daddr };
    let error = IcmpError { kind: ICMP_REDIRECT, code: icmp::ICMP_REDIR_HOST, info: gateway.to_bits() };
    icmp::icmp_send(cx, skb, error)
}

/// The next hop did not resolve: sends host unreachable (`ipv4_link_failure`, `arp_error_report`).
pub fn ipv4_link_failure(cx: &mut Cx, skb: SkbId) -> Door {
    let error = IcmpError { kind: ICMP_DEST_UNREACH, code: icmp::ICMP_HOST_UNREACH, info: 0 };
    icmp::icmp_send_then_drop(cx, skb, error, DropReason::NeighFailed)
}

/// A smaller MTU on the way to a destination was told (`__ip_rt_update_pmtu`).
pub fn ip_rt_update_pmtu(cx: &mut Cx, netns: NetnsId, dev: DevId, daddr: Ipv4Addr, mtu: u32) {
    let now = last_tick(cx.now);
    let net = &mut cx.k.netns[netns];
    let least = net.sysctls.get(&MIN_PMTU) as u32;
    let lifetime = Nanos::from_secs(net.sysctls.get(&MTU_EXPIRES).max(0) as u64);
    let ipv4 = &mut net.ipv4;
    let known = ipv4.exceptions.find(dev, daddr, now).unwrap_or_default();
    let old = if known.pmtu == 0 { cx.k.devs[dev].mtu } else { known.pmtu };
    if known.locked || old < mtu {
        return;
    }
    let locked = mtu < least;
    let pmtu = if locked { old.min(least) } else { mtu };
    // What is known is not refreshed before half of its time is over.
    if known.pmtu == pmtu && !locked && now + Nanos(lifetime.0 / 2) < known.expires {
        return;
    }
    ipv4.fib.generation += 1;
    ipv4.exceptions.update((dev, daddr), now, now + lifetime, |found| {
        (found.pmtu, found.locked) = (pmtu, locked);
    });
}

/// A router told of a better gateway (`__ip_do_redirect`): taken only from the gateway in use, and only once the new
/// one's address is known. Before, it is asked for.
pub fn ip_do_redirect(cx: &mut Cx, skb: SkbId, daddr: Ipv4Addr, new_gateway: u32) {
    let (dev, new_gateway) = (cx.skbs[skb].dev, Ipv4Addr::from_bits(new_gateway));
    let Some(from) = ip_hdr(cx, skb).map(|iph| iph.saddr.get()) else { return };
    let Some((inet, ipv4)) = in_dev(cx, dev) else { return };
    let all = &ipv4.conf_all;
    let accepts = if inet.conf.get(Conf::Forwarding) != 0 {
        and_conf(inet, all, Conf::AcceptRedirects)
    } else {
        or_conf(inet, all, Conf::AcceptRedirects)
    };
    let shared = or_conf(inet, all, Conf::SharedMedia);
    let secure = or_conf(inet, all, Conf::SecureRedirects);
    let netns = cx.k.devs[dev].netns;
    let bad = new_gateway == from
        || !accepts
        || new_gateway.is_multicast()
        || daddr.is_multicast()
        || new_gateway.is_broadcast()
        || is_zeronet(new_gateway);
    let off_link = !shared && !inet.onlink(new_gateway, from);
    let kind = inet_addr_type(&ipv4.fib, new_gateway).0;
    let gateways = |k: &crate::Kernel| {
        let fib = &k.netns[netns].ipv4.fib;
        let rows = fib.rows();
        rows.iter()
            .any(|row| fib.infos.get(row.alias.info).nexthops.iter().any(|nh| nh.gateway == new_gateway))
    };
    let unlisted = !shared && secure && !gateways(cx.k);
    if bad || off_link || unlisted || kind != RouteType::Unicast {
        return;
    }
    let flow = FlowOut { daddr, ..FlowOut::default() };
    let Ok((route, _)) = ip_route_output_key(cx, netns, flow, None) else { return };
    if route.gateway != from || route.dev != dev {
        return;
    }
    let Some(neigh) = arp_neigh(cx, dev, new_gateway, skb) else { return };
    if cx.k.neigh.get(neigh).is_some_and(|entry| !entry.nud.valid()) {
        return neigh_start(cx, neigh);
    }
    let now = last_tick(cx.now);
    let net = &mut cx.k.netns[netns];
    let expires = now + Nanos::from_secs(net.sysctls.get(&GC_TIMEOUT).max(0) as u64);
    net.ipv4.fib.generation += 1;
    net.ipv4.exceptions.update((dev, daddr), now, expires, |found| found.gateway = new_gateway);
}

/// Logs a martian, with `log_martians` (`ip_handle_martian_source`, and `martian_destination` of
/// `ip_route_input_slow`). Multicast and broadcast are not logged.
pub fn ip_handle_martian(cx: &mut Cx, skb: SkbId, dev: DevId) {
    let Some(iph) = ip_hdr(cx, skb).copied() else { return };
    let (saddr, daddr) = (iph.saddr.get(), iph.daddr.get());
    let Some((inet, ipv4)) = in_dev(cx, dev) else { return };
    if daddr.is_multicast() || !or_conf(inet, &ipv4.conf_all, Conf::LogMartians) {
        return;
    }
    let localnet = or_conf(inet, &ipv4.conf_all, Conf::RouteLocalnet);
    let source_is_wrong = saddr.is_multicast() || saddr.is_broadcast() || is_zeronet(saddr);
    let by_destination = !source_is_wrong && (is_zeronet(daddr) || daddr.is_loopback() && !localnet);
    cx.printk_limited(LOG_WARNING, |cx| {
        let name = &cx.k.devs[dev].name;
        if by_destination {
            return vec![format!("IPv4: martian destination {daddr} from {saddr}, dev {name}")];
        }
        let mac = cx.skbs[skb].mac_header as usize;
        let frame = cx.skbs.bufs.bytes(cx.skbs[skb].buf).get(mac..mac + ETH_HLEN).unwrap_or_default();
        let frame: Vec<String> = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        vec![
            format!("IPv4: martian source {daddr} from {saddr}, on dev {name}"),
            format!("ll header: 00000000: {}", frame.join(" ")),
        ]
    });
}
