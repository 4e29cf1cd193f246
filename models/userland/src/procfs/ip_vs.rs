//! IPVS: `/proc/net/ip_vs*`. Connections are in the order in which they were made; in the kernel's files a random seed decides.
//!
//! Kernel: net/netfilter/ipvs/ip_vs_ctl.c, net/netfilter/ipvs/ip_vs_conn.c

use std::fmt::Write;

use glassnet_kernel::net::netfilter::ipvs::ip_vs_ctl::is_loaded;
use glassnet_kernel::net::netfilter::ipvs::ip_vs_sched::ip_vs_proto_name;
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::ip_vs::conn::IpVsConn;
use glassnet_kernel::tables::ip_vs::stats::{Counters, KStats};
use glassnet_kernel::tables::ip_vs::svc::{Dest, SVC_F_ONEPACKET, SVC_F_PERSISTENT, Service, SvcKey};
use glassnet_kernel::tables::ip_vs::{
    CONN_F_DROUTE, CONN_F_LOCALNODE, CONN_F_TUNNEL, CONN_TAB_SIZE, IP_VS_VERSION,
};
use glassnet_kernel::tables::jiffies::{JIFFY, last_tick};

use super::{File, View};

const fn net_file(path: &'static str, read: fn(&View) -> String) -> File {
    File { refusal: Errno::EACCES, is_there: |view| is_loaded(view.kernel), ..File::new(path, read) }
}

/// The files.
pub const FILES: &[File] = &[
    net_file("net/ip_vs", services),
    net_file("net/ip_vs_conn", |view| {
        connections(view, "PEName PEData", |conn, left| format!("{:<11} {left:>7}", conn.state_name()))
    }),
    net_file("net/ip_vs_conn_sync", |view| {
        connections(view, "", |conn, left| format!("{:<11} {:<6} {left:>7}", conn.state_name(), "LOCAL"))
    }),
    net_file("net/ip_vs_stats", stats),
    net_file("net/ip_vs_stats_percpu", stats_percpu),
];

fn services(view: &View) -> String {
    let mut text = format!(
        "IP Virtual Server version {IP_VS_VERSION} (size={CONN_TAB_SIZE})\nProt LocalAddress:Port Scheduler Flags\n  \
         -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"
    );
    let table = &view.kernel.ip_vs.services;
    for (id, svc) in table.list(view.netns).into_iter().filter_map(|id| Some((id, table.svc(id)?))) {
        text += &service(svc);
        table.dests_of(id).for_each(|(_, found)| text += &dest(found));
    }
    text
}

fn service(svc: &Service) -> String {
    let ops = if svc.has(SVC_F_ONEPACKET) { "ops " } else { "" };
    let mut text = match svc.key {
        SvcKey::Addr(protocol, addr, port) => {
            let name = ip_vs_proto_name(protocol);
            format!("{name}  {:08X}:{port:04X} {} {ops} ", addr.to_bits(), svc.scheduler)
        }
        SvcKey::FwMark(mark) => format!("FWM  {mark:08X} {} {ops}", svc.scheduler),
    };
    if svc.has(SVC_F_PERSISTENT) {
        let _ = write!(text, "persistent {} {:08X}", svc.timeout.0 / JIFFY, svc.netmask);
    }
    text + "\n"
}

fn dest(dest: &Dest) -> String {
    let fwd = match dest.fwd() {
        CONN_F_LOCALNODE => "Local",
        CONN_F_TUNNEL => "Tunnel",
        CONN_F_DROUTE => "Route",
        _ => "Masq",
    };
    let (addr, port, weight) = (dest.spec.addr.to_bits(), dest.spec.port, dest.spec.weight);
    let (active, inactive) = (dest.activeconns, dest.inactconns());
    format!("  -> {addr:08X}:{port:04X}      {fwd:<7} {weight:<6} {active:<10} {inactive:<10}\n")
}

/// Connections, with what `rest` says of each and the seconds that it is left.
fn connections(view: &View, more: &str, rest: fn(&IpVsConn, u64) -> String) -> String {
    let origin = if more.is_empty() { "Origin " } else { "" };
    let head = format!("Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       {origin}Expires {more}");
    let mut text = head.trim_end().to_owned() + "\n";
    let conns = &view.kernel.ip_vs.conns;
    for conn in conns.list(view.netns).into_iter().filter_map(|id| conns.get(id)) {
        let (param, left) = (&conn.param, conn.expires.since(last_tick(view.now)).0 / 1_000_000_000);
        let _ = writeln!(
            text,
            "{:<3} {:08X} {:04X} {:08X} {:04X} {:08X} {:04X} {}",
            ip_vs_proto_name(param.protocol),
            param.caddr.to_bits(),
            param.cport,
            param.vaddr.to_bits(),
            param.vport,
            conn.daddr.to_bits(),
            conn.dport,
            rest(conn, left),
        );
    }
    text
}

fn total(view: &View) -> KStats {
    view.kernel.ip_vs.net(view.netns).map_or(KStats::default(), |net| net.tot_stats.shown())
}

fn row(counters: &Counters) -> String {
    let Counters { conns, inpkts, outpkts, inbytes, outbytes } = counters;
    format!("{conns:8X} {inpkts:8X} {outpkts:8X} {inbytes:16X} {outbytes:16X}\n")
}

fn stats(view: &View) -> String {
    let KStats { counters, rates } = total(view);
    [
        "   Total Incoming Outgoing         Incoming         Outgoing\n",
        "   Conns  Packets  Packets            Bytes            Bytes\n",
        &row(&counters),
        "\n Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n",
        &row(&rates),
    ]
    .concat()
}

/// All counts are with the first CPU.
fn stats_percpu(view: &View) -> String {
    let KStats { counters, rates } = total(view);
    let mut text = "       Total Incoming Outgoing         Incoming         Outgoing\nCPU    Conns  Packets  Packets            \
                    Bytes            Bytes\n"
        .to_owned();
    let counted = view.kernel.ip_vs.net(view.netns).map_or(Counters::default(), |net| net.tot_stats.cnt);
    for cpu in 0..view.kernel.cpus.len() {
        let own = if cpu == 0 { counted } else { Counters::default() };
        let _ = write!(text, "{cpu:3X} {}", row(&own));
    }
    let _ = write!(
        text,
        "  ~ {}\n     Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n    {}",
        row(&counters),
        row(&rates)
    );
    text
}
