//! What programs ask of IPVS: services, destinations, timeouts, settings.
//!
//! Kernel: net/netfilter/ipvs/ip_vs_ctl.c
//! Not modelled: persistence engines, synchronisation daemons, IPv6.

use std::net::Ipv4Addr;

use glassnet_sim::Nanos;
use glassnet_wire::ipv4::IPPROTO_TCP;

use super::super::nf_conntrack_proto::{nf_ct_netns_get, nf_ct_netns_put};
use super::ip_vs_conn::ip_vs_enqueue_expire_nodest_conns;
use super::ip_vs_core::{
    FTP_DATA, FTP_PORT, dest, dest_mut, ip_vs_register_hooks, ip_vs_unregister_hooks, svc, svc_mut,
};
use super::ip_vs_est::ip_vs_start_estimator;
use super::ip_vs_sched::{Change, ip_vs_bind_scheduler, ip_vs_scheduler_changed, ip_vs_scheduler_get};
use crate::door::Func;
use crate::ids::{NetnsId, SkbId};
use crate::net::ipv4::fib_frontend::inet_addr_type;
use crate::netlink::Errno;
use crate::sysctl::{At, Sysctl, SysctlTable, Word, set_net};
use crate::tables::ip_vs::conn::{TCP_S_ESTABLISHED, TCP_S_FIN_WAIT};
use crate::tables::ip_vs::stats::Stats;
use crate::tables::ip_vs::svc::{Dest, DestId, DestSpec, Service, ServiceSpec, SvcId, SvcKey, TunType};
use crate::tables::ip_vs::{CONN_F_INACTIVE, CONN_F_MASQ, CONN_F_NOOUTPUT, MAX_TIMEOUT};
use crate::tables::jiffies::{last_tick, wheel_expiry};
use crate::tables::klog::{LOG_ERR, LOG_INFO};
use crate::tables::route_types::RouteType;
use crate::tables::sysctl::Setting;
use crate::{Cx, Kernel, tables};

/// How long a removed destination stays in the trash once no connection refers to it (`IP_VS_DEST_TRASH_PERIOD`); it is looked
/// through twice as often.
const TRASH_PERIOD: Nanos = Nanos::from_secs(120);
/// Ports below need a privilege, so no FTP server sends data from them.
const UNPRIVILEGED_PORT: u16 = 1024;

static AM_DROPRATE: Setting = Setting::new("am_droprate", 10);
static DROP_ENTRY: Setting = Setting::new("drop_entry", 0);
static DROP_PACKET: Setting = Setting::new("drop_packet", 0);
static SECURE_TCP: Setting = Setting::new("secure_tcp", 0);
/// Connections of IPVS stay in connection tracking.
pub(super) static CONNTRACK: Setting = Setting::new("conntrack", 0);
/// Answers of destinations are routed anew, as if this host had sent them.
pub(super) static SNAT_REROUTE: Setting = Setting::new("snat_reroute", 1);
/// Packets of a marked service without destinations go where they would have gone.
pub(super) static CACHE_BYPASS: Setting = Setting::new("cache_bypass", 0);
/// Connections of removed destinations end.
pub(super) static EXPIRE_NODEST_CONN: Setting = Setting::new("expire_nodest_conn", 0);
/// TCP connections begin with any segment.
pub(super) static SLOPPY_TCP: Setting = Setting::new("sloppy_tcp", 0);
/// Templates of destinations with weight 0 are no longer valid.
pub(super) static EXPIRE_QUIESCENT_TEMPLATE: Setting = Setting::new("expire_quiescent_template", 0);
/// Destinations learn by ICMP that a connection is not known.
pub(super) static NAT_ICMP_SEND: Setting = Setting::new("nat_icmp_send", 0);
/// DF of the packet inside of a tunnel is kept.
pub(super) static PMTU_DISC: Setting = Setting::new("pmtu_disc", 1);
/// What happens to a new connection with ports that are known.
pub(super) static CONN_REUSE_MODE: Setting = Setting::new("conn_reuse_mode", 1);
/// ICMP errors may begin a connection.
pub(super) static SCHEDULE_ICMP: Setting = Setting::new("schedule_icmp", 0);
/// Packets of tunnels are balanced no second time.
pub(super) static IGNORE_TUNNELED: Setting = Setting::new("ignore_tunneled", 0);
/// Rates are measured.
pub(super) static RUN_ESTIMATION: Setting = Setting::new("run_estimation", 1);
/// After so many seconds lblc forgets an address.
pub(super) static LBLC_EXPIRATION: Setting = Setting::new("lblc_expiration", 86_400);
/// After so many seconds lblcr takes a destination out of an address's set.
pub(super) static LBLCR_EXPIRATION: Setting = Setting::new("lblcr_expiration", 86_400);

/// Settings of a namespace, which may be gone.
pub(super) struct Settings<'k>(Option<&'k tables::sysctl::Settings>);

impl Settings<'_> {
    pub(super) fn get(&self, setting: &'static Setting) -> i64 {
        self.0.map_or(setting.default, |settings| settings.get(setting))
    }
}

/// The settings of a namespace.
pub(super) fn settings(k: &Kernel, netns: NetnsId) -> Settings<'_> {
    Settings(k.netns.get(netns).map(|net| &net.sysctls))
}

/// Sysctls (Documentation/networking/ipvs-sysctl.rst). Those of synchronisation have nothing to act on.
pub static SYSCTLS: SysctlTable = SysctlTable::new(
    "net/ipv4/vs",
    &[
        Sysctl::net(&AM_DROPRATE).set(set_defense),
        Sysctl::not_followed("amemthresh", |_, _, _| 1024),
        Sysctl::not_followed("backup_only", |_, _, _| 0),
        Sysctl::net(&CACHE_BYPASS),
        Sysctl::net(&CONN_REUSE_MODE),
        Sysctl::net(&CONNTRACK),
        Sysctl::net(&DROP_ENTRY).range(0, 3).set(set_defense),
        Sysctl::net(&DROP_PACKET).range(0, 3).set(set_defense),
        Sysctl::net(&EXPIRE_NODEST_CONN),
        Sysctl::net(&EXPIRE_QUIESCENT_TEMPLATE),
        Sysctl::net(&IGNORE_TUNNELED),
        Sysctl::net(&LBLC_EXPIRATION),
        Sysctl::net(&LBLCR_EXPIRATION),
        Sysctl::net(&NAT_ICMP_SEND),
        Sysctl::net(&PMTU_DISC),
        Sysctl::net(&RUN_ESTIMATION),
        Sysctl::net(&SCHEDULE_ICMP),
        Sysctl::net(&SECURE_TCP).range(0, 3).set(set_defense),
        Sysctl::not_followed("sloppy_sctp", |_, _, _| 0),
        Sysctl::net(&SLOPPY_TCP),
        Sysctl::net(&SNAT_REROUTE),
        Sysctl::not_followed("sync_persist_mode", |_, _, _| 0),
        Sysctl::not_followed("sync_ports", |_, _, _| 1),
        Sysctl::not_followed("sync_refresh_period", |_, _, _| 0),
        Sysctl::not_followed("sync_retries", |_, _, _| 0).range(0, 3),
        Sysctl::not_followed("sync_sock_size", |_, _, _| 0),
        Sysctl::word("sync_threshold", SYNC_THRESHOLD),
        Sysctl::not_followed("sync_version", |_, _, _| 1).range(0, 1),
    ],
)
.only(|k, _| is_loaded(k));

const SYNC_THRESHOLD: Word = Word {
    get: |_, _| "3\t50".to_owned(),
    set: |_, _, word| match word.split_whitespace().collect::<Vec<_>>()[..] {
        ["3", "50"] => Ok(()),
        _ => Err(Errno::EOPNOTSUPP),
    },
};

/// The module is loaded.
pub fn is_loaded(k: &Kernel) -> bool {
    k.config.ip_vs || k.ip_vs.loaded
}

/// A means of defence is set (`proc_do_defense_mode`, `update_defense_level`). This host never lacks memory, so 1 and 2 wait for
/// that, and 3 is in force.
fn set_defense(cx: &mut Cx, at: At, row: &Sysctl, value: i64) -> Result<(), Errno> {
    if row.name == DROP_ENTRY.name && value == 3 {
        // Connections that are dropped by chance.
        return Err(Errno::EOPNOTSUPP);
    }
    set_net(cx, at, row, if value == 2 && row.name != AM_DROPRATE.name { 1 } else { value })?;
    let drops = settings(cx.k, at.netns).get(&DROP_PACKET) == 3;
    let rate = if drops { settings(cx.k, at.netns).get(&AM_DROPRATE) } else { 0 };
    let secure_tcp = settings(cx.k, at.netns).get(&SECURE_TCP) == 3;
    let net = cx.k.ip_vs.net_mut(at.netns);
    (net.drop_rate, net.proto.secure_tcp) = (rate, secure_tcp);
    Ok(())
}

/// The packet that asks for a new connection is dropped (`ip_vs_todrop`).
pub(super) fn ip_vs_todrop(cx: &mut Cx, netns: NetnsId) -> bool {
    let net = cx.k.ip_vs.net_mut(netns);
    if net.drop_rate == 0 {
        return false;
    }
    net.drop_counter -= 1;
    let drops = net.drop_counter <= 0;
    if drops {
        net.drop_counter = net.drop_rate;
    }
    drops
}

/// The service of a packet: by its mark, by address and port, of FTP's data, or of all ports (`ip_vs_service_find`).
pub(super) fn ip_vs_service_find(
    cx: &mut Cx,
    netns: NetnsId,
    skb: SkbId,
    (protocol, addr, port): (u8, Ipv4Addr, u16),
) -> Option<SvcId> {
    cx.call(Func::IpVsServiceFind, skb);
    let (mark, ip_vs) = (cx.skbs[skb].mark, &cx.k.ip_vs);
    let net = ip_vs.net(netns)?;
    let of_port = |port| ip_vs.services.find(netns, SvcKey::Addr(protocol, addr, port));
    let may_be_data = protocol == IPPROTO_TCP && (port == FTP_DATA || port >= UNPRIVILEGED_PORT);
    let of_mark = (mark != 0).then(|| ip_vs.services.find(netns, SvcKey::FwMark(mark))).flatten();
    of_mark
        .or_else(|| of_port(port))
        .or_else(|| (may_be_data && net.ftp_services > 0).then(|| of_port(FTP_PORT)).flatten())
        .or_else(|| (net.null_services > 0).then(|| of_port(0)).flatten())
}

/// A destination of a masquerading service has this address and port (`ip_vs_has_real_service`).
pub(super) fn ip_vs_has_real_service(
    cx: &Cx,
    netns: NetnsId,
    (protocol, addr, port): (u8, Ipv4Addr, u16),
) -> bool {
    let services = &cx.k.ip_vs.services;
    services.list(netns).into_iter().any(|id| {
        let fits = svc(cx.k, id)
            .is_some_and(|svc| svc.key.protocol() == protocol || matches!(svc.key, SvcKey::FwMark(_)));
        fits && services
            .dests_of(id)
            .any(|(_, dest)| (dest.spec.addr, dest.spec.port) == (addr, port) && dest.fwd() == CONN_F_MASQ)
    })
}

/// A tunnel to this address, of this kind and UDP port (`ip_vs_find_tunnel`).
pub(super) fn ip_vs_find_tunnel(cx: &Cx, netns: NetnsId, addr: Ipv4Addr, port: u16) -> Option<TunType> {
    let services = &cx.k.ip_vs.services;
    let of = |id: SvcId| {
        let tunnels = services.dests_of(id).map(|(_, dest)| dest);
        let mut found = tunnels.filter(|dest| {
            (dest.spec.addr, dest.spec.tun_port) == (addr, port)
                && dest.fwd() == crate::tables::ip_vs::CONN_F_TUNNEL
        });
        found.next().map(|dest| dest.spec.tun_type)
    };
    services.list(netns).into_iter().find_map(of)
}

/// Makes a service (`ip_vs_add_service`).
///
/// # Errors
///
/// `EEXIST` if there is one, `ENOENT` without scheduler or persistence engine.
pub fn ip_vs_add_service(cx: &mut Cx, netns: NetnsId, spec: &ServiceSpec) -> Result<(), Errno> {
    if cx.k.ip_vs.services.find(netns, spec.key).is_some() {
        return Err(Errno::EEXIST);
    }
    let scheduler = ip_vs_scheduler_get(cx, &spec.scheduler)?;
    lookup_pe(cx, &spec.pe)?;
    if cx.k.ip_vs.net(netns).is_none_or(|net| net.num_services == 0) {
        ip_vs_register_hooks(cx, netns);
    }
    let mut svc = Service::new(netns, spec.key, scheduler.name);
    write_service(&mut svc, spec);
    let id = cx.k.ip_vs.services.add(svc);
    ip_vs_bind_scheduler(cx, id, scheduler);
    let net = cx.k.ip_vs.net_mut(netns);
    net.num_services += 1;
    net.ftp_services += u32::from(spec.key.port() == FTP_PORT);
    net.null_services += u32::from(spec.key.port() == 0);
    net.enable = true;
    ip_vs_start_estimator(cx, netns);
    Ok(())
}

fn write_service(svc: &mut Service, spec: &ServiceSpec) {
    svc.flags = spec.flags;
    svc.timeout = Nanos::from_secs(u64::from(spec.timeout));
    svc.netmask = spec.netmask;
}

/// No persistence engine is modelled, nor is one in the kernel of User Mode Linux.
fn lookup_pe(cx: &mut Cx, name: &str) -> Result<(), Errno> {
    if name.is_empty() {
        return Ok(());
    }
    cx.printk(LOG_INFO, format!("IPVS: persistence engine module ip_vs_pe_{name} not found"));
    Err(Errno::ENOENT)
}

/// Changes a service (`ip_vs_edit_service`).
///
/// # Errors
///
/// `ESRCH` if there is none, `ENOENT` without scheduler or persistence engine.
pub fn ip_vs_edit_service(cx: &mut Cx, netns: NetnsId, spec: &ServiceSpec) -> Result<(), Errno> {
    let id = cx.k.ip_vs.services.find(netns, spec.key).ok_or(Errno::ESRCH)?;
    let scheduler = ip_vs_scheduler_get(cx, &spec.scheduler)?;
    lookup_pe(cx, &spec.pe)?;
    if svc(cx.k, id).is_some_and(|svc| svc.scheduler != scheduler.name) {
        ip_vs_bind_scheduler(cx, id, scheduler);
    }
    if let Some(svc) = svc_mut(cx.k, id) {
        write_service(svc, spec);
    }
    Ok(())
}

/// Removes a service (`ip_vs_del_service`).
///
/// # Errors
///
/// `ESRCH` if there is none.
pub fn ip_vs_del_service(cx: &mut Cx, netns: NetnsId, key: SvcKey) -> Result<(), Errno> {
    let id = cx.k.ip_vs.services.find(netns, key).ok_or(Errno::ESRCH)?;
    unlink_service(cx, id);
    Ok(())
}

/// Kernel: `ip_vs_unlink_service`, `__ip_vs_del_service`
fn unlink_service(cx: &mut Cx, id: SvcId) {
    let Some(service) = svc(cx.k, id) else { return };
    let (netns, key, tracks) = (service.netns, service.key, service.tracks);
    let dests = service.destinations.clone();
    if tracks {
        nf_ct_netns_put(cx.k, netns);
    }
    let net = cx.k.ip_vs.net_mut(netns);
    net.num_services -= 1;
    net.ftp_services -= u32::from(key.port() == FTP_PORT);
    net.null_services -= u32::from(key.port() == 0);
    if net.num_services == 0 {
        ip_vs_unregister_hooks(cx, netns);
    }
    super::ip_vs_sched::ip_vs_unbind_scheduler(cx, id);
    for dest in dests {
        unlink_dest(cx, id, dest, false);
    }
    cx.k.ip_vs.services.unhash(id);
}

/// Removes all services of a namespace (`ip_vs_flush`).
pub fn ip_vs_flush(cx: &mut Cx, netns: NetnsId) {
    for id in cx.k.ip_vs.services.list(netns) {
        unlink_service(cx, id);
    }
}

/// What a program says of a destination is held against what can be.
fn check_dest(cx: &mut Cx, function: &str, spec: &DestSpec) -> Result<(), Errno> {
    let (errno, text) = if spec.weight < 0 {
        (Errno::ERANGE, "server weight less than zero")
    } else if spec.l_threshold > spec.u_threshold {
        (Errno::ERANGE, "lower threshold is higher than upper threshold")
    } else if spec.u_threshold > i32::MAX as u32 {
        return Err(Errno::EINVAL);
    } else if spec.tun_type == TunType::Gue && spec.tun_port == 0 {
        (Errno::EINVAL, "tunnel port is zero")
    } else {
        return Ok(());
    };
    cx.printk(LOG_ERR, format!("IPVS: {function}(): {text}"));
    Err(errno)
}

/// Adds a destination to a service (`ip_vs_add_dest`); one that was removed and that connections still refer to comes back.
///
/// # Errors
///
/// `ESRCH` without the service, `EEXIST` if it is there, `ERANGE` for weight and thresholds, `EINVAL` for an address that is no
/// host's or a tunnel without port.
pub fn ip_vs_add_dest(cx: &mut Cx, netns: NetnsId, key: SvcKey, spec: DestSpec) -> Result<(), Errno> {
    let id = cx.k.ip_vs.services.find(netns, key).ok_or(Errno::ESRCH)?;
    check_dest(cx, "ip_vs_add_dest", &spec)?;
    if cx.k.ip_vs.services.lookup_dest(id, spec.addr, spec.port).is_some() {
        return Err(Errno::EEXIST);
    }
    let dest = match trash_get_dest(cx, id, &spec) {
        Some(dest) => dest,
        None => new_dest(cx, id, spec)?,
    };
    update_dest(cx, id, dest, spec, true);
    Ok(())
}

/// Takes a destination of the same service out of the trash (`ip_vs_trash_get_dest`).
fn trash_get_dest(cx: &mut Cx, id: SvcId, spec: &DestSpec) -> Option<DestId> {
    let service = svc(cx.k, id)?;
    let (netns, key) = (service.netns, service.key);
    let is_it = |dest: &Dest| {
        let of = svc(cx.k, dest.svc).map(|svc| svc.key);
        (dest.spec.addr, dest.spec.port) == (spec.addr, spec.port) && of == Some(key)
    };
    let trash = &cx.k.ip_vs.net(netns)?.dest_trash;
    let at = trash.iter().position(|id| dest(cx.k, *id).is_some_and(is_it))?;
    Some(cx.k.ip_vs.net_mut(netns).dest_trash.remove(at))
}

/// Kernel: `ip_vs_new_dest`
fn new_dest(cx: &mut Cx, id: SvcId, spec: DestSpec) -> Result<DestId, Errno> {
    let netns = svc(cx.k, id).ok_or(Errno::ESRCH)?.netns;
    let kind = inet_addr_type(&cx.k.netns[netns].ipv4.fib, spec.addr).0;
    if !matches!(kind, RouteType::Local | RouteType::Unicast) {
        return Err(Errno::EINVAL);
    }
    Ok(cx.k.ip_vs.services.add_dest(Dest {
        // Written right after.
        spec: DestSpec { u_threshold: 0, l_threshold: 0, ..spec },
        last_weight: 0,
        conn_flags: 0,
        available: false,
        overload: false,
        activeconns: 0,
        totalconns: 0,
        persistconns: 0,
        svc: id,
        refs: 0,
        stats: Stats::default(),
        dst: None,
        idle_start: None,
    }))
}

/// Kernel: `__ip_vs_update_dest`
fn update_dest(cx: &mut Cx, id: SvcId, dest: DestId, spec: DestSpec, add: bool) {
    let Some(service) = svc(cx.k, id) else { return };
    let (netns, is_ftp, tracks) = (service.netns, service.key.port() == FTP_PORT, service.tracks);
    // FTP through NAT is changed by connection tracking's helper.
    if spec.fwd == CONN_F_MASQ && is_ftp && !tracks {
        nf_ct_netns_get(cx.k, netns);
        if let Some(svc) = svc_mut(cx.k, id) {
            svc.tracks = true;
        }
    }
    if cx.k.ip_vs.services.dest(dest).is_some_and(|dest| dest.svc != id) {
        cx.k.ip_vs.services.bind(dest, id);
        if let Some(dest) = dest_mut(cx.k, dest) {
            dest.stats.zero();
        }
    }
    let Some(found) = dest_mut(cx.k, dest) else { return };
    if add || spec.weight != 0 {
        found.last_weight = spec.weight;
    }
    let no_output = if spec.fwd == CONN_F_MASQ { 0 } else { CONN_F_NOOUTPUT };
    found.conn_flags = spec.fwd | CONN_F_INACTIVE | no_output;
    found.available = true;
    let limits = |spec: &DestSpec| (spec.u_threshold, spec.l_threshold);
    let moved = limits(&found.spec) != limits(&spec);
    (found.spec, found.dst) = (spec, None);
    if moved {
        found.update_overload(0);
    }
    if add && let Some(svc) = svc_mut(cx.k, id) {
        svc.destinations.insert(0, dest);
    }
    ip_vs_scheduler_changed(cx, id, if add { Change::Added } else { Change::Updated });
}

/// Changes a destination of a service (`ip_vs_edit_dest`).
///
/// # Errors
///
/// `ESRCH` without the service, `ENOENT` without the destination, and as of [`ip_vs_add_dest`].
pub fn ip_vs_edit_dest(cx: &mut Cx, netns: NetnsId, key: SvcKey, spec: DestSpec) -> Result<(), Errno> {
    let id = cx.k.ip_vs.services.find(netns, key).ok_or(Errno::ESRCH)?;
    check_dest(cx, "ip_vs_edit_dest", &spec)?;
    let dest = cx.k.ip_vs.services.lookup_dest(id, spec.addr, spec.port).ok_or(Errno::ENOENT)?;
    update_dest(cx, id, dest, spec, false);
    Ok(())
}

/// Removes a destination of a service (`ip_vs_del_dest`).
///
/// # Errors
///
/// `ESRCH` without the service, `ENOENT` without the destination.
pub fn ip_vs_del_dest(
    cx: &mut Cx,
    netns: NetnsId,
    key: SvcKey,
    (addr, port): (Ipv4Addr, u16),
) -> Result<(), Errno> {
    let id = cx.k.ip_vs.services.find(netns, key).ok_or(Errno::ESRCH)?;
    let dest = cx.k.ip_vs.services.lookup_dest(id, addr, port).ok_or(Errno::ENOENT)?;
    unlink_dest(cx, id, dest, true);
    Ok(())
}

/// A destination goes into the trash (`__ip_vs_unlink_dest`, `__ip_vs_del_dest`).
fn unlink_dest(cx: &mut Cx, id: SvcId, dest: DestId, tell_scheduler: bool) {
    if let Some(dest) = dest_mut(cx.k, dest) {
        (dest.available, dest.idle_start) = (false, None);
    }
    let Some(service) = svc_mut(cx.k, id) else { return };
    let (netns, before) = (service.netns, service.destinations.clone());
    service.destinations.retain(|other| *other != dest);
    if tell_scheduler {
        let at = before.iter().position(|other| *other == dest).unwrap_or(0);
        let previous = at.checked_sub(1).map(|at| before[at]);
        ip_vs_scheduler_changed(cx, id, Change::Deleted { dest, previous });
    }
    let now = cx.now;
    let net = cx.k.ip_vs.net_mut(netns);
    let first = net.dest_trash.is_empty();
    net.dest_trash.insert(0, dest);
    if first {
        let at = wheel_expiry(now, last_tick(now) + Nanos(TRASH_PERIOD.0 / 2));
        net.dest_trash_timer = Some(at);
        cx.set_timer(at, ip_vs_dest_trash_expire, netns.0);
    }
    if settings(cx.k, netns).get(&EXPIRE_NODEST_CONN) != 0 {
        ip_vs_enqueue_expire_nodest_conns(cx, netns);
    }
}

/// Frees destinations that nothing has referred to for long; the argument is the namespace.
fn ip_vs_dest_trash_expire(cx: &mut Cx, netns: u32) {
    let (netns, now) = (NetnsId(netns), cx.now);
    if cx.k.ip_vs.net(netns).is_none_or(|net| net.dest_trash_timer.is_none_or(|at| at > now)) {
        return;
    }
    let tick = last_tick(now);
    let (net, _, services) = cx.k.ip_vs.parts(netns);
    for id in net.dest_trash.clone() {
        let Some(dest) = services.dest_mut(id).filter(|dest| dest.refs == 0) else { continue };
        match dest.idle_start {
            None => dest.idle_start = Some(tick),
            Some(since) if tick < since + TRASH_PERIOD => {}
            Some(_) => {
                net.dest_trash.retain(|other| *other != id);
                services.free_dest(id);
            }
        }
    }
    net.dest_trash_timer =
        (!net.dest_trash.is_empty()).then(|| wheel_expiry(now, tick + Nanos(TRASH_PERIOD.0 / 2)));
    if let Some(at) = net.dest_trash_timer {
        cx.set_timer(at, ip_vs_dest_trash_expire, netns.0);
    }
}

/// Counters of a service begin anew, or of everything in the namespace (`ip_vs_zero_service`, `ip_vs_zero_all`).
///
/// # Errors
///
/// `ESRCH` without the service.
pub fn ip_vs_zero(cx: &mut Cx, netns: NetnsId, key: Option<SvcKey>) -> Result<(), Errno> {
    let ids = match key {
        Some(key) => vec![cx.k.ip_vs.services.find(netns, key).ok_or(Errno::ESRCH)?],
        None => cx.k.ip_vs.services.list(netns),
    };
    let (net, _, services) = cx.k.ip_vs.parts(netns);
    for id in ids {
        let Some(svc) = services.svc_mut(id) else { continue };
        svc.stats.zero();
        for dest in svc.destinations.clone() {
            if let Some(dest) = services.dest_mut(dest) {
                dest.stats.zero();
            }
        }
    }
    if key.is_none() {
        net.tot_stats.zero();
    }
    Ok(())
}

/// Timeouts of established TCP, of TCP after FIN, and of UDP, in seconds (`ip_vs_set_timeout`); 0: as it was.
///
/// # Errors
///
/// `EINVAL` for one that is too long.
pub fn ip_vs_set_timeout(cx: &mut Cx, netns: NetnsId, timeouts: [u32; 3]) -> Result<(), Errno> {
    if timeouts.iter().any(|secs| *secs > MAX_TIMEOUT) {
        return Err(Errno::EINVAL);
    }
    let proto = &mut cx.k.ip_vs.net_mut(netns).proto;
    let [established, fin_wait] =
        proto.tcp.get_disjoint_mut([TCP_S_ESTABLISHED, TCP_S_FIN_WAIT].map(usize::from)).expect("two states");
    for (place, secs) in [established, fin_wait, &mut proto.udp].into_iter().zip(timeouts) {
        if secs != 0 {
            *place = Nanos::from_secs(u64::from(secs));
        }
    }
    Ok(())
}
