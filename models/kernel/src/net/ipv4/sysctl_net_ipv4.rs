//! Sysctls below `/proc/sys/net/ipv4` that belong to no other file, and writing those of devices.
//!
//! Kernel: net/ipv4/devinet.c, net/ipv4/sysctl_net_ipv4.c, net/core/neighbour.c

use glassnet_sim::Nanos;

use super::fib_semantics::fib_ignore_linkdown;
use crate::ids::{DevId, NetnsId};
use crate::kernel::INIT_NET;
use crate::net::core::neighbour::schedule_gc;
use crate::netlink::Errno;
use crate::sysctl::{At, INT, Sysctl, SysctlTable, Word};
use crate::tables::inet_conf::{CONF_COUNT, CONF_TABLE, Conf};
use crate::tables::neigh_parms::{NEIGH_SYSCTLS, NeighSysctl, NeighVar};
use crate::tables::sysctl::ConfOf;
use crate::{Cx, Kernel};

const SECOND: u64 = 1_000_000_000;

/// A file that holds these words, and takes no others.
macro_rules! only {
    ($name:literal, $words:literal) => {
        Sysctl::word(
            $name,
            Word {
                get: |_, _| $words.to_owned(),
                set: |_, _, text| if text == $words { Ok(()) } else { Err(Errno::EOPNOTSUPP) },
            },
        )
    };
}

/// Settings of the namespace. Not modelled: IGMP reports and the groups of sockets.
pub static SYSCTLS: SysctlTable = SysctlTable::new(
    "net/ipv4",
    &[
        Sysctl::new("ip_forward", ip_forward, set_ip_forward),
        Sysctl::not_followed("igmp_max_memberships", |_, _, _| 20),
        Sysctl::not_followed("igmp_qrv", |_, _, _| 2).range(1, INT.1),
    ],
);

/// Settings of TCP that keep their values. Not modelled: another congestion control than CUBIC, ECN of connections, fast open, probes for
/// a path's MTU, ports in TIME_WAIT that a connection to the same end takes over.
pub static TCP_SYSCTLS: SysctlTable = SysctlTable::new(
    "net/ipv4",
    &[
        Sysctl::not_followed("tcp_abort_on_overflow", |_, _, _| 0).range(0, 1),
        only!("tcp_allowed_congestion_control", "reno cubic"),
        only!("tcp_available_congestion_control", "reno cubic").mode(0o444),
        only!("tcp_congestion_control", "cubic"),
        Sysctl::not_followed("tcp_ecn", |_, _, _| 2).range(0, 2),
        Sysctl::not_followed("tcp_fastopen", |_, _, _| 1),
        Sysctl::not_followed("tcp_moderate_rcvbuf", |_, _, _| 1).range(0, 1),
        Sysctl::not_followed("tcp_mtu_probing", |_, _, _| 0).range(0, 2),
        Sysctl::not_followed("tcp_rfc1337", |_, _, _| 0).range(0, 1),
        Sysctl::not_followed("tcp_sack", |_, _, _| 1).range(0, 1),
        Sysctl::not_followed("tcp_tw_reuse", |_, _, _| 2).range(0, 2),
        Sysctl::not_followed("tcp_window_scaling", |_, _, _| 1).range(0, 1),
    ],
);

/// Sysctls of routes.
pub static ROUTE_SYSCTLS: SysctlTable = SysctlTable::new(
    "net/ipv4/route",
    &[
        Sysctl::not_followed("min_adv_mss", |_, _, _| 256),
        Sysctl::new("flush", |_, _, _| 0, flush).mode(0o200),
    ],
);

/// Sysctls of IPv4 per device.
pub static CONF_SYSCTLS: SysctlTable = SysctlTable::new("net/ipv4/conf/*", &CONF_ROWS);

/// Those that keep their values. Not modelled: source routes, IGMP reports, multicast routing, the forwarding of directed
/// broadcasts.
pub static OTHER_CONF_SYSCTLS: SysctlTable = SysctlTable::new(
    "net/ipv4/conf/*",
    &[
        Sysctl::not_followed("accept_source_route", |_, at, _| i64::from(at.of != ConfOf::All)),
        Sysctl::not_followed("bc_forwarding", |_, _, _| 0),
        Sysctl::not_followed("force_igmp_version", |_, _, _| 0),
        Sysctl::not_followed("igmpv2_unsolicited_report_interval", |_, _, _| 10_000),
        Sysctl::not_followed("igmpv3_unsolicited_report_interval", |_, _, _| 1000),
        Sysctl::not_followed("mc_forwarding", |_, _, _| 0).mode(0o444),
    ],
);

/// Settings of ARP on a device.
pub static ARP_SYSCTLS: SysctlTable = SysctlTable::new("net/ipv4/neigh/*", &NEIGH_ROWS).only(has_arp_sysctls);

/// Those that keep their values. Not modelled: managed entries.
pub static OTHER_ARP_SYSCTLS: SysctlTable = SysctlTable::new(
    "net/ipv4/neigh/*",
    &[Sysctl::not_followed("interval_probe_time_ms", |_, _, _| 5000).range(0, INT.1)],
)
.only(has_arp_sysctls);

/// Limits of the ARP table, which is the whole machine's.
pub static ARP_GC_SYSCTLS: SysctlTable = SysctlTable::new(
    "net/ipv4/neigh/*",
    &[
        // Linux 6.1 keeps it, and collects by the reachable time.
        Sysctl::new(
            "gc_interval",
            |k, _, _| (k.neigh.gc.interval.0 / SECOND) as i64,
            |cx, _, _, value| {
                cx.k.neigh.gc.interval = Nanos(value as u64 * SECOND);
                Ok(())
            },
        )
        .range(0, INT.1),
        Sysctl::new("gc_thresh1", |k, _, _| i64::from(k.neigh.gc.thresh1), set_gc_thresh1).range(0, INT.1),
        Sysctl::new(
            "gc_thresh2",
            |k, _, _| i64::from(k.neigh.gc.thresh2),
            |cx, _, _, value| {
                cx.k.neigh.gc.thresh2 = value as u32;
                Ok(())
            },
        )
        .range(0, INT.1),
        Sysctl::new(
            "gc_thresh3",
            |k, _, _| i64::from(k.neigh.gc.thresh3),
            |cx, _, _, value| {
                cx.k.neigh.gc.thresh3 = value as u32;
                Ok(())
            },
        )
        .range(0, INT.1),
    ],
)
.only(|_, at| at.of == ConfOf::Default && at.netns == INIT_NET);

fn set_gc_thresh1(cx: &mut Cx, _: At, _: &Sysctl, value: i64) -> Result<(), Errno> {
    cx.k.neigh.gc.thresh1 = value as u32;
    schedule_gc(cx);
    Ok(())
}

/// There is no `all`, and only the machine's first namespace shows `default`.
fn has_arp_sysctls(_: &Kernel, at: At) -> bool {
    match at.of {
        ConfOf::All => false,
        ConfOf::Default => at.netns == INIT_NET,
        ConfOf::Dev(_) => true,
    }
}

static CONF_ROWS: [Sysctl; CONF_COUNT] = {
    let mut rows = [Sysctl::new("", conf, set_conf); CONF_COUNT];
    let mut at = 0;
    while at < rows.len() {
        rows[at].name = CONF_TABLE[at].1;
        at += 1;
    }
    rows
};

static NEIGH_ROWS: [Sysctl; NEIGH_SYSCTLS.len()] = {
    let mut rows = [Sysctl::new("", neigh, set_neigh).range(0, INT.1); NEIGH_SYSCTLS.len()];
    let mut at = 0;
    while at < rows.len() {
        rows[at].name = NEIGH_SYSCTLS[at].name;
        at += 1;
    }
    rows
};

/// `ip_forward` is `conf/all/forwarding`.
fn ip_forward(k: &Kernel, at: At, _: &Sysctl) -> i64 {
    i64::from(k.netns[at.netns].ipv4.conf_all.get(Conf::Forwarding))
}

fn set_ip_forward(cx: &mut Cx, at: At, _: &Sysctl, value: i64) -> Result<(), Errno> {
    devinet_conf_proc(cx, at.netns, ConfOf::All, Conf::Forwarding, value as i32);
    Ok(())
}

fn flush(cx: &mut Cx, at: At, _: &Sysctl, _: i64) -> Result<(), Errno> {
    rt_cache_flush(cx, at.netns);
    Ok(())
}

fn conf(k: &Kernel, at: At, row: &Sysctl) -> i64 {
    let ipv4 = &k.netns[at.netns].ipv4;
    let conf = match at.of {
        ConfOf::All => Some(&ipv4.conf_all),
        ConfOf::Default => Some(&ipv4.conf_default),
        ConfOf::Dev(dev) => k.inet.get(dev).map(|inet| &inet.conf),
    };
    conf.zip(Conf::from_name(row.name)).map_or(0, |(conf, which)| i64::from(conf.get(which)))
}

fn set_conf(cx: &mut Cx, at: At, row: &Sysctl, value: i64) -> Result<(), Errno> {
    let conf = Conf::from_name(row.name).ok_or(Errno::ENOENT)?;
    devinet_conf_proc(cx, at.netns, at.of, conf, value as i32);
    Ok(())
}

fn neigh_sysctl(row: &Sysctl) -> Option<&'static NeighSysctl> {
    NEIGH_SYSCTLS.iter().find(|file| file.name == row.name)
}

fn neigh(k: &Kernel, at: At, row: &Sysctl) -> i64 {
    let parms = match at.of {
        ConfOf::Dev(dev) => k.inet.get(dev).map(|inet| inet.arp),
        ConfOf::All | ConfOf::Default => Some(k.netns[at.netns].ipv4.arp_default),
    };
    parms.zip(neigh_sysctl(row)).map_or(0, |(parms, file)| (parms.get(file.target) / file.unit) as i64)
}

fn set_neigh(cx: &mut Cx, at: At, row: &Sysctl, value: i64) -> Result<(), Errno> {
    let file = neigh_sysctl(row).ok_or(Errno::ENOENT)?;
    neigh_proc_update(cx, at.netns, at.of, file.target, value as u64 * file.unit);
    Ok(())
}

/// Sets a device's sysctl (`devinet_conf_proc`, `devinet_sysctl_forward`): `all/forwarding` sets it on every device,
/// and a device follows `default` until it is set itself.
pub fn devinet_conf_proc(cx: &mut Cx, netns: NetnsId, of: ConfOf, conf: Conf, value: i32) {
    let net = &mut cx.k.netns[netns];
    let devs: Vec<DevId> = net.devs.values().copied().collect();
    match of {
        ConfOf::All if conf == Conf::Forwarding => {
            if net.ipv4.conf_all.get(conf) == value {
                return;
            }
            net.ipv4.conf_default.set(conf, value);
            net.ipv4.conf_all.set(conf, value);
            net.ipv4.conf_all.set(Conf::AcceptRedirects, i32::from(value == 0));
            for dev in devs {
                if let Some(inet) = cx.k.inet.get_mut(dev) {
                    inet.conf.set(conf, value);
                }
            }
        }
        ConfOf::All => net.ipv4.conf_all.set(conf, value),
        ConfOf::Default => {
            net.ipv4.conf_default.set(conf, value);
            for dev in devs.into_iter().filter(|_| conf != Conf::Forwarding) {
                if let Some(inet) = cx.k.inet.get_mut(dev) {
                    inet.conf.follow(conf, value);
                }
            }
        }
        ConfOf::Dev(dev) => {
            if let Some(inet) = cx.k.inet.get_mut(dev) {
                inet.conf.set(conf, value);
            }
        }
    }
    if conf == Conf::IgnoreRoutesWithLinkdown {
        fib_ignore_linkdown(cx, netns);
    }
    cx.k.netns[netns].ipv4.fib.generation += 1;
}

/// Sets an ARP sysctl of a device (`neigh_proc_update`); `value` in ns, bytes, or a number.
pub fn neigh_proc_update(cx: &mut Cx, netns: NetnsId, of: ConfOf, var: NeighVar, value: u64) {
    if let ConfOf::Dev(dev) = of {
        if let Some(inet) = cx.k.inet.get_mut(dev) {
            inet.arp.set(var, value);
        }
        return;
    }
    let net = &mut cx.k.netns[netns];
    net.ipv4.arp_default.set(var, value);
    for dev in net.devs.values() {
        if let Some(inet) = cx.k.inet.get_mut(*dev) {
            inet.arp.follow(var, value);
        }
    }
}

/// Deletes the route exceptions (`route/flush`, `ipv4_sysctl_rtcache_flush`).
pub fn rt_cache_flush(cx: &mut Cx, netns: NetnsId) {
    let ipv4 = &mut cx.k.netns[netns].ipv4;
    ipv4.exceptions.clear();
    ipv4.fib.generation += 1;
}
