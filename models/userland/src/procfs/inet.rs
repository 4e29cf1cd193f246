//! IPv4's files in `/proc/net`.
//!
//! Kernel: net/ipv4/arp.c, net/ipv4/fib_trie.c, net/ipv4/proc.c, net/ipv4/igmp.c, net/ipv4/route.c

use std::fmt::Write;
use std::net::Ipv4Addr;

use glassnet_kernel::net::ipv4::ip_output::IP_DEFAULT_TTL;
use glassnet_kernel::tables::fib_trie::inet_make_mask;
use glassnet_kernel::tables::inet_conf::Conf;
use glassnet_kernel::tables::neigh_types::Nud;
use glassnet_kernel::tables::route_types::{
    RT_TABLE_MAIN, RTAX_ADVMSS, RTAX_RTT, RTAX_WINDOW, RouteMsg, RouteType,
};
use glassnet_wire::Mac;

use super::{View, hex};

/// `ATF_COM`, `ATF_PERM`, `ATF_PUBL` (include/uapi/linux/if_arp.h).
const ATF_COM: u8 = 0x02;
const ATF_PERM: u8 = 0x04;
const ATF_PUBL: u8 = 0x08;

/// A row of the ARP table: IPv4 address, flags (`ATF_*`), link-layer address, device.
pub struct ArpRow {
    /// IPv4 address.
    pub ip: Ipv4Addr,
    /// `ATF_*`.
    pub flags: u8,
    /// Link-layer address; zero if unknown.
    pub mac: Mac,
    /// Device, or `*`.
    pub dev: String,
}

/// The ARP table as in `/proc/net/arp`: neighbours that need resolution, then proxy entries.
pub fn arp_rows(view: &View) -> Vec<ArpRow> {
    let here = |dev| view.kernel.devs.get(dev).is_some_and(|dev| dev.netns == view.netns);
    let neighbours = view.kernel.neigh.iter().map(|(_, entry)| entry);
    let mut rows: Vec<ArpRow> = neighbours
        .filter(|entry| here(entry.dev) && !matches!(entry.nud, Nud::None | Nud::Noarp))
        .map(|entry| ArpRow {
            ip: entry.ip,
            flags: match entry.nud {
                Nud::Permanent => ATF_PERM | ATF_COM,
                nud if nud.valid() => ATF_COM,
                _ => 0,
            },
            mac: entry.ha,
            dev: view.name(entry.dev).to_owned(),
        })
        .collect();
    let proxies = view.kernel.neigh.proxies.iter().filter(|proxy| proxy.0.is_none_or(here));
    rows.extend(proxies.map(|proxy| ArpRow {
        ip: proxy.1,
        flags: ATF_PUBL | ATF_PERM,
        mac: Mac::ZERO,
        dev: proxy.0.map_or("*", |dev| view.name(dev)).to_owned(),
    }));
    rows
}

pub(super) fn arp(view: &View) -> String {
    let mut text =
        "IP address       HW type     Flags       HW address            Mask     Device\n".to_owned();
    for row in arp_rows(view) {
        let ip = row.ip.to_string();
        let _ = writeln!(
            text,
            "{ip:<16} 0x{:<10}0x{:<10}{:<17}     *        {}",
            1,
            format!("{:x}", row.flags),
            row.mac.to_string(),
            row.dev
        );
    }
    text
}

/// `RTF_*` (include/uapi/linux/route.h).
const RTF_UP: u32 = 1;
const RTF_GATEWAY: u32 = 2;
const RTF_HOST: u32 = 4;
const RTF_REJECT: u32 = 0x200;

/// The main table without broadcast routes, as in `/proc/net/route`: the first next hop of each route, with `RTF_*`.
pub fn route_rows(view: &View) -> Vec<(RouteMsg, u32)> {
    let fib = &view.net().ipv4.fib;
    let messages = fib.table_rows(RT_TABLE_MAIN).into_iter().map(|row| fib.message(&row));
    let shown = messages.filter(|msg| !matches!(msg.kind, RouteType::Broadcast | RouteType::Multicast));
    shown.map(|msg| (rtf(&msg), msg)).map(|(flags, msg)| (msg, flags)).collect()
}

fn rtf(msg: &RouteMsg) -> u32 {
    let refused = matches!(msg.kind, RouteType::Unreachable | RouteType::Prohibit);
    let gateway = msg.nexthops.first().is_some_and(|nh| nh.via.is_some());
    let mut flags = RTF_UP;
    for (on, flag) in [(refused, RTF_REJECT), (gateway, RTF_GATEWAY), (msg.dst_len == 32, RTF_HOST)] {
        flags |= if on { flag } else { 0 };
    }
    flags
}

/// Length of TCP and IPv4 headers, bytes: MTU minus `advmss`.
const HEADERS: u32 = 40;

pub(super) fn route(view: &View) -> String {
    let head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";
    let mut text = format!("{head:<127}\n");
    for (msg, flags) in route_rows(view) {
        let nexthop = msg.nexthops.first();
        let dev = nexthop.and_then(|nh| nh.dev).map_or("*", |dev| view.name(dev));
        let gateway = nexthop.and_then(|nh| nh.via).unwrap_or(Ipv4Addr::UNSPECIFIED);
        let metric = |which: usize| msg.metrics.0[which];
        let mtu = if metric(RTAX_ADVMSS) > 0 { metric(RTAX_ADVMSS) + HEADERS } else { 0 };
        let line = format!(
            "{dev}\t{}\t{}\t{flags:04X}\t0\t0\t{}\t{}\t{mtu}\t{}\t{}",
            hex(msg.dst),
            hex(gateway),
            msg.priority,
            hex(inet_make_mask(msg.dst_len)),
            metric(RTAX_WINDOW),
            metric(RTAX_RTT) >> 3
        );
        let _ = writeln!(text, "{line:<127}");
    }
    text
}

pub(super) fn rt_cache(_: &View) -> String {
    let head = "Iface\tDestination\tGateway \tFlags\t\tRefCnt\tUse\tMetric\tSource\t\tMTU\tWindow\tIRTT\tTOS\tHHRef\t\
                HHUptod\tSpecDst";
    format!("{head:<127}\n")
}

/// ICMP types in the file's order.
const ICMP_TYPES: [(&str, u8); 11] = [
    ("DestUnreachs", 3),
    ("TimeExcds", 11),
    ("ParmProbs", 12),
    ("SrcQuenchs", 4),
    ("Redirects", 5),
    ("Echos", 8),
    ("EchoReps", 0),
    ("Timestamps", 13),
    ("TimestampReps", 14),
    ("AddrMasks", 17),
    ("AddrMaskReps", 18),
];

/// A line of names and a line of values.
fn pair(text: &mut String, group: &str, entries: &[(String, i64)]) {
    let names: Vec<&str> = entries.iter().map(|entry| entry.0.as_str()).collect();
    let values: Vec<String> = entries.iter().map(|entry| entry.1.to_string()).collect();
    let _ = writeln!(text, "{group}: {}\n{group}: {}", names.join(" "), values.join(" "));
}

fn named(entries: impl Iterator<Item = (&'static str, u64)>) -> Vec<(String, i64)> {
    entries.map(|entry| (entry.0.to_owned(), entry.1 as i64)).collect()
}

pub(super) fn snmp(view: &View) -> String {
    let (ipv4, mut text) = (&view.net().ipv4, String::new());
    let snmp = &ipv4.snmp;
    let forwarding = if ipv4.conf_all.get(Conf::Forwarding) == 1 { 1 } else { 2 };
    let mut ip = vec![
        ("Forwarding".to_owned(), forwarding),
        ("DefaultTTL".to_owned(), view.net().sysctls.get(&IP_DEFAULT_TTL)),
    ];
    ip.extend(named(snmp.ip.entries()));
    pair(&mut text, "Ip", &ip);

    let of_types = |way: &str, counts: &std::collections::BTreeMap<u8, u64>| -> Vec<(String, i64)> {
        let value = |kind| counts.get(&kind).copied().unwrap_or(0) as i64;
        ICMP_TYPES.iter().map(|(name, kind)| (format!("{way}{name}"), value(*kind))).collect()
    };
    let all = named(snmp.icmp.entries());
    let (received, sent) = all.split_at(3);
    let icmp = [received, &of_types("In", &snmp.icmp_in), sent, &of_types("Out", &snmp.icmp_out)].concat();
    pair(&mut text, "Icmp", &icmp);

    let present = |way: &'static str, counts: &std::collections::BTreeMap<u8, u64>| -> Vec<(String, i64)> {
        let seen = counts.iter().filter(|entry| *entry.1 > 0);
        seen.map(|(kind, count)| (format!("{way}Type{kind}"), *count as i64)).collect()
    };
    let messages = [present("In", &snmp.icmp_in), present("Out", &snmp.icmp_out)].concat();
    if !messages.is_empty() {
        pair(&mut text, "IcmpMsg", &messages);
    }
    pair(&mut text, "Tcp", &super::tcp::counters(view));
    pair(&mut text, "Udp", &named(snmp.udp.entries()));
    // UDP-Lite is not modelled: its counters are 0.
    pair(&mut text, "UdpLite", &named(snmp.udp.entries().map(|entry| (entry.0, 0))));
    text
}

/// Names of `TcpExt` in Linux 6.1; most are not counted.
const TCP_EXT: &str = include_str!("tcp_ext.txt");

pub(super) fn netstat(view: &View) -> String {
    let (snmp, mut text) = (&view.net().ipv4.snmp, String::new());
    let value = |name: &str| match name {
        "ArpFilter" => snmp.arp_filter as i64,
        "IPReversePathFilter" => snmp.ip_reverse_path_filter as i64,
        _ => snmp.tcp_ext.entries().find(|entry| entry.0 == name).map_or(0, |entry| entry.1 as i64),
    };
    let entries: Vec<_> = TCP_EXT.split_whitespace().map(|name| (name.to_owned(), value(name))).collect();
    pair(&mut text, "TcpExt", &entries);
    pair(&mut text, "IpExt", &named(snmp.ip_ext.entries()));
    text
}

pub(super) fn igmp(view: &View) -> String {
    let mut text = "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n".to_owned();
    for dev in view.devs() {
        let inet = view.kernel.inet.get(dev.id).filter(|inet| !inet.groups.is_empty());
        let Some(inet) = inet else { continue };
        let _ = writeln!(text, "{}\t{:<10}: {:>5} {:>7}", dev.ifindex, dev.name, inet.groups.len(), "V3");
        for group in &inet.groups {
            let address = hex(group.group);
            let _ = writeln!(text, "\t\t\t\t{address} {:>5} 0:00000000\t\t0", group.users);
        }
    }
    text
}
