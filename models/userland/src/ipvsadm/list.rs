//! What `-L` and `-S` print.

use std::net::{IpAddr, Ipv4Addr};

use glassnet_kernel::Kernel;
use glassnet_kernel::ids::NetnsId;
use glassnet_kernel::net::netfilter::ipvs::ip_vs_sched::ip_vs_proto_name;
use glassnet_kernel::tables::ip_vs::stats::{Counters, Stats};
use glassnet_kernel::tables::ip_vs::svc::{
    Dest, DestSpec, SVC_F_ONEPACKET, SVC_F_PERSISTENT, Service, SvcId, SvcKey, TunType,
};
use glassnet_kernel::tables::ip_vs::{
    CONN_F_DROUTE, CONN_F_LOCALNODE, CONN_F_TUNNEL, CONN_TAB_SIZE, IP_VS_VERSION,
};
use glassnet_kernel::tables::jiffies::last_tick;
use glassnet_sim::Nanos;
use glassnet_wire::ipv4::IPPROTO_TCP;

use super::options::{ENCAP_FLAG_CSUM, ENCAP_FLAG_REMCSUM, Options, SCHED_FLAGS};
use crate::hosts::Hosts;
use crate::services::{tcp_port_name, udp_port_name};

/// What is shown of services and destinations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Plain,
    Stats,
    Rate,
    Thresholds,
    PersistentConn,
    TunInfo,
}

/// How the list is printed.
pub struct Lister<'a> {
    kernel: &'a Kernel,
    netns: NetnsId,
    hosts: &'a Hosts,
    format: Format,
    numeric: bool,
    exact: bool,
    sorted: bool,
}

impl<'a> Lister<'a> {
    /// As the options say.
    pub fn new(kernel: &'a Kernel, netns: NetnsId, hosts: &'a Hosts, options: &Options) -> Lister<'a> {
        let formats = [
            ("stats", Format::Stats),
            ("rate", Format::Rate),
            ("thresholds", Format::Thresholds),
            ("persistent-conn", Format::PersistentConn),
            ("tun-info", Format::TunInfo),
        ];
        let format =
            formats.iter().find(|(option, _)| options.has(option)).map_or(Format::Plain, |found| found.1);
        Lister {
            kernel,
            netns,
            hosts,
            format,
            numeric: options.has("numeric"),
            exact: options.has("exact"),
            sorted: !options.has("nosort"),
        }
    }

    /// Address and port, by name unless they are to be numbers.
    fn end(&self, addr: Ipv4Addr, port: u16, protocol: u8) -> String {
        let name = if protocol == IPPROTO_TCP { tcp_port_name(port) } else { udp_port_name(port) };
        match (self.hosts.name(IpAddr::V4(addr)), name) {
            _ if self.numeric => format!("{addr}:{port}"),
            (None, None) => format!("{addr}:{port}"),
            (None, Some(name)) => format!("{addr}:{name}"),
            (Some(host), None) => format!("{host}:{port}"),
            (Some(host), Some(name)) => format!("{host}:{name}"),
        }
    }

    /// The services, sorted.
    fn services(&self) -> Vec<(SvcId, &'a Service)> {
        let services = &self.kernel.ip_vs.services;
        let mut all: Vec<_> =
            services.list(self.netns).into_iter().filter_map(|id| Some((id, services.svc(id)?))).collect();
        if self.sorted {
            all.sort_by_key(|(_, svc)| (svc.key.fwmark(), svc.key));
        }
        all
    }

    fn dests(&self, id: SvcId) -> Vec<&'a Dest> {
        let mut all: Vec<_> = self.kernel.ip_vs.services.dests_of(id).map(|(_, dest)| dest).collect();
        if self.sorted {
            all.sort_by_key(|dest| (dest.spec.addr, dest.spec.port));
        }
        all
    }

    /// `-L` of everything.
    pub fn list_all(&self) -> String {
        let head = format!("IP Virtual Server version {IP_VS_VERSION} (size={CONN_TAB_SIZE})\n");
        let services = self.services().into_iter().map(|(id, svc)| self.service(id, svc));
        std::iter::once(head + self.title()).chain(services).collect()
    }

    /// `-L` of one service.
    pub fn list_service(&self, id: SvcId, svc: &Service) -> String {
        self.title().to_owned() + &self.service(id, svc)
    }

    fn title(&self) -> &'static str {
        match self.format {
            Format::Stats => {
                "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes\n  -> \
                 RemoteAddress:Port\n"
            }
            Format::Rate => {
                "Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS\n  -> \
                 RemoteAddress:Port\n"
            }
            Format::Thresholds => {
                "Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn\n  -> \
                 RemoteAddress:Port\n"
            }
            Format::PersistentConn => {
                "Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn\n  -> \
                 RemoteAddress:Port\n"
            }
            Format::TunInfo => {
                "Prot LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port           Forward \
                 TunnelInfo    Weight ActiveConn InActConn\n"
            }
            Format::Plain => {
                "Prot LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port           Forward Weight \
                 ActiveConn InActConn\n"
            }
        }
    }

    fn service(&self, id: SvcId, svc: &Service) -> String {
        let protocol = svc.key.protocol();
        let name = match svc.key {
            SvcKey::FwMark(mark) => format!("FWM  {mark}"),
            SvcKey::Addr(_, addr, port) => {
                format!("{}  {}", ip_vs_proto_name(protocol), self.end(addr, port, protocol))
            }
        };
        let mut text = match self.format {
            Format::Stats | Format::Rate => format!("{name:<33}{}", self.counted(&svc.stats)),
            _ => format!("{name} {}{}", svc.scheduler, self.flags(svc)),
        };
        text.push('\n');
        self.dests(id).into_iter().for_each(|dest| text += &self.dest(dest, protocol));
        text
    }

    fn flags(&self, svc: &Service) -> String {
        let mut text = sched_flags(svc).map_or(String::new(), |flags| format!(" ({flags})"));
        if svc.has(SVC_F_PERSISTENT) {
            text += &format!(" persistent {}", svc.timeout.0 / 1_000_000_000);
            if svc.netmask != u32::MAX {
                text += &format!(" mask {}", Ipv4Addr::from_bits(svc.netmask));
            }
        }
        text + if svc.has(SVC_F_ONEPACKET) { " ops" } else { "" }
    }

    fn dest(&self, dest: &Dest, protocol: u8) -> String {
        let spec = &dest.spec;
        let end = self.end(spec.addr, spec.port, protocol);
        let (active, inactive, weight) = (dest.activeconns, dest.inactconns(), spec.weight);
        let fwd = forward(dest);
        let rest = match self.format {
            Format::Stats | Format::Rate => return format!("  -> {end:<28}{}\n", self.counted(&dest.stats)),
            Format::Thresholds => {
                format!("{:<10} {:<10} {active:<10} {inactive:<10}", spec.u_threshold, spec.l_threshold)
            }
            Format::PersistentConn => {
                format!("{weight:<9} {:<11} {active:<10} {inactive:<10}", dest.persistconns)
            }
            Format::TunInfo => {
                format!("{fwd:<7} {:<13} {weight:<6} {active:<10} {inactive:<10}", tunnel_info(dest))
            }
            Format::Plain => format!("{fwd:<7} {weight:<6} {active:<10} {inactive:<10}"),
        };
        format!("  -> {end:<28} {rest}\n")
    }

    fn counted(&self, stats: &Stats) -> String {
        let shown = stats.shown();
        let Counters { conns, inpkts, outpkts, inbytes, outbytes } =
            if self.format == Format::Stats { shown.counters } else { shown.rates };
        [conns, inpkts, outpkts, inbytes, outbytes].map(|number| self.large(number)).concat()
    }

    /// A number, shortened where it is large.
    fn large(&self, number: u64) -> String {
        const UNITS: [(u64, u64, char); 4] = [
            (1_000_000_000, 1_000, 'K'),
            (100_000_000_000, 1_000_000, 'M'),
            (100_000_000_000_000, 1_000_000_000, 'G'),
            (u64::MAX, 1_000_000_000_000, 'T'),
        ];
        if self.exact || number < 100_000_000 {
            return format!(" {number:>8}");
        }
        let (_, unit, letter) = UNITS.into_iter().find(|unit| number < unit.0).unwrap_or(UNITS[3]);
        format!("{:>8}{letter}", number / unit)
    }

    /// `-S`: the commands that make everything anew.
    pub fn save(&self) -> String {
        let mut text = String::new();
        for (id, svc) in self.services() {
            let protocol = svc.key.protocol();
            let name = match svc.key {
                SvcKey::FwMark(mark) => format!("-f {mark}"),
                SvcKey::Addr(_, addr, port) => {
                    let letter = if protocol == IPPROTO_TCP { 't' } else { 'u' };
                    format!("-{letter} {}", self.end(addr, port, protocol))
                }
            };
            text += &format!("-A {name} -s {}", svc.scheduler);
            if svc.has(SVC_F_PERSISTENT) {
                text += &format!(" -p {}", svc.timeout.0 / 1_000_000_000);
                if svc.netmask != u32::MAX {
                    text += &format!(" -M {}", Ipv4Addr::from_bits(svc.netmask));
                }
            }
            text += if svc.has(SVC_F_ONEPACKET) { " -o" } else { "" };
            text += &sched_flags(svc).map_or(String::new(), |flags| format!(" -b {flags}"));
            text.push('\n');
            for dest in self.dests(id) {
                let DestSpec { addr, port, weight, .. } = dest.spec;
                let end = self.end(addr, port, protocol);
                text += &format!(
                    "-a {name} -r {end} {} -w {weight}{}\n",
                    forward_option(dest),
                    tunnel_options(dest)
                );
            }
        }
        text
    }

    /// `-L -c`: connections.
    pub fn connections(&self, now: Nanos) -> String {
        let mut text =
            "IPVS connection entries\npro expire state       source             virtual            \
                        destination\n"
                .to_owned();
        let conns = &self.kernel.ip_vs.conns;
        for conn in conns.list(self.netns).into_iter().filter_map(|id| conns.get(id)) {
            let (param, protocol) = (&conn.param, conn.param.protocol);
            let left = conn.expires.since(last_tick(now)).0 / 1_000_000_000;
            text += &format!(
                "{:<3} {:<6} {:<11} {:<18} {:<18} {}\n",
                ip_vs_proto_name(protocol),
                format!("{:02}:{:02}", left / 60, left % 60),
                conn.state_name(),
                self.end(param.caddr, param.cport, protocol),
                self.end(param.vaddr, param.vport, protocol),
                self.end(conn.daddr, conn.dport, protocol),
            );
        }
        text
    }
}

/// The scheduler's flags of a service, by their names for it.
fn sched_flags(svc: &Service) -> Option<String> {
    let own = SCHED_FLAGS.iter().any(|(_, of, _)| *of == svc.scheduler);
    let named = |(name, of, flag): &(&'static str, &str, u32)| {
        let fits = if own { *of == svc.scheduler || *name == "flag-3" } else { of.is_empty() };
        (fits && svc.has(*flag)).then_some(*name)
    };
    let names: Vec<&str> = SCHED_FLAGS.iter().filter_map(named).collect();
    (!names.is_empty()).then(|| names.join(","))
}

fn forward(dest: &Dest) -> &'static str {
    match dest.fwd() {
        CONN_F_TUNNEL => "Tunnel",
        CONN_F_DROUTE => "Route",
        CONN_F_LOCALNODE => "Local",
        _ => "Masq",
    }
}

fn forward_option(dest: &Dest) -> &'static str {
    match dest.fwd() {
        CONN_F_TUNNEL => "-i",
        CONN_F_DROUTE => "-g",
        CONN_F_LOCALNODE => "-l",
        _ => "-m",
    }
}

/// How a tunnel's header is summed: for `--tun-info`, and as an option.
fn checksums(spec: &DestSpec) -> (&'static str, &'static str) {
    match spec.tun_flags {
        flags if flags & ENCAP_FLAG_CSUM != 0 => ("+c", "--tun-csum"),
        flags if flags & ENCAP_FLAG_REMCSUM != 0 => ("r+c", "--tun-remcsum"),
        _ => ("-c", "--tun-nocsum"),
    }
}

fn tunnel_info(dest: &Dest) -> String {
    let (spec, sums) = (&dest.spec, checksums(&dest.spec).0);
    match spec.tun_type {
        _ if dest.fwd() != CONN_F_TUNNEL => "n/a".to_owned(),
        TunType::Ipip => "ipip".to_owned(),
        TunType::Gue => format!("gue:{}:{sums}", spec.tun_port),
        TunType::Gre => format!("gre:{sums}"),
    }
}

fn tunnel_options(dest: &Dest) -> String {
    let (spec, sums) = (&dest.spec, checksums(&dest.spec).1);
    match spec.tun_type {
        _ if dest.fwd() != CONN_F_TUNNEL => String::new(),
        TunType::Ipip => " --tun-type ipip".to_owned(),
        TunType::Gue => format!(" --tun-type gue --tun-port {} {sums}", spec.tun_port),
        TunType::Gre => format!(" --tun-type gre {sums}"),
    }
}
