//! `/proc/sys/net/**`.
//!
//! Kernel: net/core/sysctl_net_core.c, net/ipv4/sysctl_net_ipv4.c, net/ipv4/devinet.c, net/core/neighbour.c

use glassnet_kernel::Cx;
use glassnet_kernel::ids::NetnsId;
use glassnet_kernel::kernel::{CoreSysctl, INIT_NET};
use glassnet_kernel::net::bridge::br_netfilter_hooks::{CALL_SYSCTLS, FIXED_SYSCTLS, brnf_sysctl};
use glassnet_kernel::net::ipv4::sysctl_net_ipv4::{
    ConfOf, devinet_conf_proc, neigh_proc_update, rt_cache_flush, set_sysctl,
};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::inet_conf::{CONF_TABLE, Conf, Ipv4Conf};
use glassnet_kernel::tables::ipv4::{SYSCTL_TABLE, Sysctl};
use glassnet_kernel::tables::neigh_parms::{NEIGH_SYSCTLS, NeighParms, NeighSysctl};

use super::conntrack::{self, CtFile};
use super::number::vector;
use super::{DirEntry, Node, View, unmodelled};

/// A setting of the machine under `core`: its file, where it is kept and its smallest value. Only the machine's
/// first namespace shows them.
struct Core {
    name: &'static str,
    get: fn(&CoreSysctl) -> u32,
    set: fn(&mut CoreSysctl, u32),
    min: i64,
}

const INT_MAX: i64 = i32::MAX as i64;
const INT_MIN: i64 = i32::MIN as i64;

macro_rules! core_sysctls {
    ($($name:ident $min:expr),* $(,)?) => {
        const CORE: &[Core] = &[$(Core {
            name: stringify!($name),
            get: |core| core.$name,
            set: |core, value| core.$name = value,
            min: $min,
        }),*];
    };
}

core_sysctls! {
    dev_weight INT_MIN,
    netdev_budget INT_MIN,
    netdev_budget_usecs 0,
    netdev_max_backlog INT_MIN,
}

/// What a file below `/proc/sys/net` is.
enum Entry {
    Core(&'static Core),
    /// `ipv4/ip_forward`, the same as `ipv4/conf/all/forwarding`.
    IpForward,
    Ipv4(Sysctl),
    RouteFlush,
    Conf(ConfOf, Conf),
    Neigh(ConfOf, &'static NeighSysctl),
    /// `ipv6/conf/*/disable_ipv6`: there is no IPv6 to enable.
    DisableIpv6,
    /// `bridge/bridge-nf-call-*`.
    BridgeCalls(&'static str),
    /// The others in `bridge`, which stay 0.
    BridgeOff,
    /// `netfilter/nf_log_all_netns`, in the machine's first namespace only.
    NfLogAllNetns,
    /// `netfilter/nf_conntrack_*`.
    Conntrack(CtFile),
    /// A file that Linux has and the model does not.
    NotModelled,
}

impl Entry {
    fn node(&self, netns: NetnsId) -> Node {
        match self {
            Entry::RouteFlush => Node::WO,
            Entry::Conntrack(file) => file.node(netns),
            Entry::Conf(_, Conf::McForwarding) => Node::RO,
            _ => Node::RW,
        }
    }
}

/// Settings that only the machine's first namespace shows.
const INIT_ONLY: [Sysctl; 5] = [
    Sysctl::RouteRedirectNumber,
    Sysctl::RouteRedirectLoad,
    Sysctl::RouteRedirectSilence,
    Sysctl::RouteErrorCost,
    Sysctl::RouteErrorBurst,
];

/// The settings of a namespace below `ipv4`, or below `ipv4/route`, by file name.
fn ipv4_files(netns: NetnsId, route: bool) -> impl Iterator<Item = (&'static str, Sysctl)> {
    SYSCTL_TABLE.iter().filter(move |entry| netns == INIT_NET || !INIT_ONLY.contains(&entry.0)).filter_map(
        move |entry| match entry.1.strip_prefix("route/") {
            Some(name) => route.then_some((name, entry.0)),
            None => (!route).then_some((entry.1, entry.0)),
        },
    )
}

fn entry(view: &View, parts: &[&str]) -> Option<Entry> {
    let found = match parts {
        ["core", name] => {
            CORE.iter().find(|core| view.netns == INIT_NET && core.name == *name).map(Entry::Core)
        }
        ["ipv4", "ip_forward"] => Some(Entry::IpForward),
        ["ipv4", name] => {
            ipv4_files(view.netns, false).find(|file| file.0 == *name).map(|file| Entry::Ipv4(file.1))
        }
        ["ipv4", "route", "flush"] => Some(Entry::RouteFlush),
        ["ipv4", "route", name] => {
            ipv4_files(view.netns, true).find(|file| file.0 == *name).map(|file| Entry::Ipv4(file.1))
        }
        ["ipv4", "conf", of, name] => Some(Entry::Conf(conf_of(view, of)?, Conf::from_name(name)?)),
        ["ipv4", "neigh", of, name] => {
            Some(Entry::Neigh(neigh_of(view, of)?, NEIGH_SYSCTLS.iter().find(|file| file.name == *name)?))
        }
        ["bridge", name] if view.kernel.config.br_netfilter => bridge_file(name),
        ["netfilter", name] if conntrack::file(name).is_some() => conntrack::file(name).map(Entry::Conntrack),
        ["netfilter", "nf_log_all_netns"] if view.netns == INIT_NET => Some(Entry::NfLogAllNetns),
        ["ipv6", "conf", of, "disable_ipv6"] => conf_of(view, of).map(|_| Entry::DisableIpv6),
        _ => None,
    };
    found.or_else(|| unmodelled::is_known(view.netns == INIT_NET, parts).then_some(Entry::NotModelled))
}

/// A file in `bridge`, where they are while `br_netfilter` is loaded.
fn bridge_file(name: &str) -> Option<Entry> {
    let calls = CALL_SYSCTLS.into_iter().find(|file| *file == name).map(Entry::BridgeCalls);
    calls.or_else(|| FIXED_SYSCTLS.contains(&name).then_some(Entry::BridgeOff))
}

fn conf_of(view: &View, name: &str) -> Option<ConfOf> {
    match name {
        "all" => Some(ConfOf::All),
        "default" => Some(ConfOf::Default),
        name => view.dev(name).map(|dev| ConfOf::Dev(dev.id)),
    }
}

/// As for `conf`, but there is no `all`, and only the first namespace shows `default`.
fn neigh_of(view: &View, name: &str) -> Option<ConfOf> {
    conf_of(view, name).filter(|of| match of {
        ConfOf::All => false,
        ConfOf::Default => view.netns == INIT_NET,
        ConfOf::Dev(_) => true,
    })
}

fn conf<'v>(view: &View<'v>, of: ConfOf) -> Option<&'v Ipv4Conf> {
    match of {
        ConfOf::All => Some(&view.net().ipv4.conf_all),
        ConfOf::Default => Some(&view.net().ipv4.conf_default),
        ConfOf::Dev(dev) => Some(&view.kernel.inet.get(dev)?.conf),
    }
}

fn neigh_parms(view: &View, of: ConfOf) -> Option<NeighParms> {
    match of {
        ConfOf::Dev(dev) => Some(view.kernel.inet.get(dev)?.arp),
        ConfOf::All | ConfOf::Default => Some(view.net().ipv4.arp_default),
    }
}

/// What a path below `/proc/sys/net` names, also where it is not listed.
pub fn node(view: &View, parts: &[&str]) -> Option<Node> {
    entry(view, parts).map(|entry| entry.node(view.netns))
}

/// Reads a file below `/proc/sys/net`.
///
/// # Errors
///
/// See [`super::read`].
pub fn read(view: &View, parts: &[&str]) -> Result<String, Errno> {
    let Some(entry) = entry(view, parts) else {
        return Err(if list(view, parts).is_ok() { Errno::EISDIR } else { Errno::ENOENT });
    };
    let value = match entry {
        Entry::Core(core) => i64::from((core.get)(&view.kernel.core) as i32),
        Entry::IpForward => i64::from(view.net().ipv4.conf_all.get(Conf::Forwarding)),
        Entry::Ipv4(which) => view.net().ipv4.sysctl(which),
        Entry::Conf(of, which) => i64::from(conf(view, of).ok_or(Errno::ENOENT)?.get(which)),
        Entry::Neigh(of, file) => {
            (neigh_parms(view, of).ok_or(Errno::ENOENT)?.get(file.target) / file.unit) as i64
        }
        Entry::DisableIpv6 => 1,
        Entry::BridgeCalls(name) => i64::from(match name {
            "bridge-nf-call-iptables" => view.net().brnf.iptables,
            "bridge-nf-call-ip6tables" => view.net().brnf.ip6tables,
            _ => view.net().brnf.arptables,
        }),
        Entry::BridgeOff => 0,
        Entry::Conntrack(file) => file.value(view),
        Entry::NfLogAllNetns => i64::from(view.kernel.log.nf_log_all_netns),
        Entry::RouteFlush => return Err(Errno::EACCES),
        Entry::NotModelled => return Err(Errno::EOPNOTSUPP),
    };
    Ok(format!("{value}\n"))
}

/// Writes a file below `/proc/sys/net`.
///
/// # Errors
///
/// See [`super::write`].
pub fn write(cx: &mut Cx, netns: NetnsId, parts: &[&str], text: &str) -> Result<(), Errno> {
    let view = View { kernel: cx.k, netns, now: cx.now };
    match entry(&view, parts).ok_or(Errno::ENOENT)? {
        Entry::Core(core) => {
            let value = int(text, core.min, INT_MAX)?;
            (core.set)(&mut cx.k.core, value as u32);
        }
        Entry::IpForward => {
            let value = int(text, INT_MIN, INT_MAX)? as i32;
            devinet_conf_proc(cx, netns, ConfOf::All, Conf::Forwarding, value);
        }
        Entry::Ipv4(which) => set_sysctl(cx, netns, which, int(text, i64::MIN, i64::MAX)?)?,
        Entry::RouteFlush => {
            int(text, INT_MIN, INT_MAX)?;
            rt_cache_flush(cx, netns);
        }
        Entry::Conf(_, Conf::McForwarding) => return Err(Errno::EACCES),
        Entry::Conf(of, which) => {
            let value = int(text, INT_MIN, INT_MAX)? as i32;
            devinet_conf_proc(cx, netns, of, which, value);
        }
        Entry::Neigh(of, file) => {
            let value = int(text, 0, INT_MAX)? as u64;
            neigh_proc_update(cx, netns, of, file.target, value * file.unit);
        }
        Entry::BridgeCalls(name) => {
            let value = int(text, INT_MIN, INT_MAX)? != 0;
            *brnf_sysctl(cx.k, netns, name).ok_or(Errno::ENOENT)? = value;
        }
        Entry::Conntrack(file) => file.set(cx.k, netns, int(text, i64::MIN, i64::MAX)?)?,
        Entry::BridgeOff if int(text, INT_MIN, INT_MAX)? == 0 => {}
        Entry::NfLogAllNetns => cx.k.log.nf_log_all_netns = int(text, INT_MIN, INT_MAX)? as i32,
        Entry::DisableIpv6 if int(text, INT_MIN, INT_MAX)? != 0 => {}
        Entry::DisableIpv6 | Entry::BridgeOff | Entry::NotModelled => return Err(Errno::EOPNOTSUPP),
    }
    Ok(())
}

/// The files of `netfilter`.
fn netfilter(netns: NetnsId) -> Vec<DirEntry> {
    let mut entries = conntrack::files(netns);
    if netns == INIT_NET {
        entries.push(("nf_log_all_netns".to_owned(), Node::RW));
    }
    entries
}

/// One number in a range (`proc_dointvec_minmax`).
fn int(text: &str, min: i64, max: i64) -> Result<i64, Errno> {
    let value = vector(text, 1)?[0];
    if (min..=max).contains(&value) { Ok(value) } else { Err(Errno::EINVAL) }
}

/// Lists a directory below `/proc/sys/net`.
///
/// # Errors
///
/// See [`super::list`].
pub fn list(view: &View, parts: &[&str]) -> Result<Vec<DirEntry>, Errno> {
    let dirs = |names: &[&str]| names.iter().map(|name| (name.to_string(), Node::Dir)).collect::<Vec<_>>();
    let init = view.netns == INIT_NET;
    let entries = match parts {
        [] if view.kernel.config.br_netfilter => dirs(&["bridge", "core", "ipv4", "ipv6", "netfilter"]),
        [] => dirs(&["core", "ipv4", "ipv6", "netfilter"]),
        ["netfilter"] => netfilter(view.netns),
        ["bridge"] if view.kernel.config.br_netfilter => files(CALL_SYSCTLS.into_iter().chain(FIXED_SYSCTLS)),
        ["core"] if init => files(CORE.iter().map(|core| core.name)),
        ["core"] => Vec::new(),
        ["ipv4"] => {
            let names = ipv4_files(view.netns, false).map(|file| file.0).chain(["ip_forward"]);
            let mut entries = files(names);
            entries.extend(dirs(&["conf", "neigh", "route"]));
            entries
        }
        ["ipv4", "route"] => {
            let mut entries = files(ipv4_files(view.netns, true).map(|file| file.0));
            entries.push(("flush".to_owned(), Node::WO));
            entries
        }
        ["ipv6"] => dirs(&["conf"]),
        ["ipv4" | "ipv6", "conf"] => dirs(
            &["all", "default"]
                .into_iter()
                .chain(view.devs().map(|dev| dev.name.as_str()))
                .collect::<Vec<_>>(),
        ),
        ["ipv4", "neigh"] => {
            let default = if init { Some("default") } else { None };
            dirs(&default.into_iter().chain(view.devs().map(|dev| dev.name.as_str())).collect::<Vec<_>>())
        }
        ["ipv4", "conf", of] if conf_of(view, of).is_some() => conf_files(),
        ["ipv6", "conf", of] if conf_of(view, of).is_some() => files(["disable_ipv6"].into_iter()),
        ["ipv4", "neigh", of] if neigh_of(view, of).is_some() => {
            files(NEIGH_SYSCTLS.iter().map(|file| file.name))
        }
        _ if entry(view, parts).is_some() => return Err(Errno::ENOTDIR),
        _ => return Err(Errno::ENOENT),
    };
    Ok(entries)
}

fn files(names: impl Iterator<Item = &'static str>) -> Vec<DirEntry> {
    names.map(|name| (name.to_owned(), Node::RW)).collect()
}

fn conf_files() -> Vec<DirEntry> {
    let node = |conf| Entry::Conf(ConfOf::All, conf).node(INIT_NET);
    CONF_TABLE.iter().map(|entry| (entry.1.to_owned(), node(entry.0))).collect()
}
