//! All directories of settings below `/proc/sys`.
//!
//! Only this file knows which rooms have settings.

use crate::net::bridge::br_netfilter_hooks;
use crate::net::core::sysctl_net_core;
use crate::net::ipv4::{
    af_inet, icmp, ip_fragment, ip_output, route, route_errors, route_multipath, sysctl_net_ipv4,
};
use crate::net::netfilter::{nf_conntrack_standalone, nf_log_syslog};
use crate::netlink::Errno;
use crate::sysctl::{Sysctl, SysctlTable};

/// The directories with the files of each; several rows may share a directory.
pub const TABLES: &[&SysctlTable] = &[
    &af_inet::SYSCTLS,
    &br_netfilter_hooks::SYSCTLS,
    &icmp::SYSCTLS,
    &ip_fragment::SYSCTLS,
    &ip_output::SYSCTLS,
    &nf_conntrack_standalone::OTHER_SYSCTLS,
    &nf_conntrack_standalone::SYSCTLS,
    &nf_log_syslog::SYSCTLS,
    &route::SYSCTLS,
    &route_errors::SYSCTLS,
    &route_multipath::SYSCTLS,
    &sysctl_net_core::SYSCTLS,
    &sysctl_net_ipv4::ARP_SYSCTLS,
    &sysctl_net_ipv4::CONF_SYSCTLS,
    &sysctl_net_ipv4::ROUTE_SYSCTLS,
    &sysctl_net_ipv4::SYSCTLS,
    &IPV6_SYSCTLS,
];

/// IPv6 is not modelled, so there is none to enable.
static IPV6_SYSCTLS: SysctlTable = SysctlTable::new(
    "net/ipv6/conf/*",
    &[Sysctl::new(
        "disable_ipv6",
        |_, _, _| 1,
        |_, _, _, value| {
            if value == 0 { Err(Errno::EOPNOTSUPP) } else { Ok(()) }
        },
    )],
);
