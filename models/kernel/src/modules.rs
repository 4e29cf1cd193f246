//! The top room: all modules of the kernel. A new feature is a file and a row here.
//!
//! The order is that of registration: notifiers are called in it.

mod doors;

use crate::drivers::{bonding, dummy, geneve, ifb, ipvlan, loopback, macvlan, tun, veth, vrf, vxlan};
use crate::module::Module;
use crate::net::{bridge, core, ipv4, netfilter, openvswitch, packet, sched, vlan_8021q};
use crate::netlink::Errno;
use crate::sysctl::{Sysctl, SysctlTable};

/// All modules.
pub static MODULES: &[&Module] = &[
    &bridge::br_if::MODULE,
    &core::rtnetlink::MODULE,
    &core::pktgen::MODULE,
    &loopback::MODULE,
    &veth::MODULE,
    &dummy::MODULE,
    &ifb::MODULE,
    &macvlan::MODULE,
    &ipvlan::ipvlan_main::MODULE,
    &tun::MODULE,
    &vrf::MODULE,
    &bonding::MODULE,
    &vxlan::vxlan_core::MODULE,
    &geneve::MODULE,
    &ipv4::devinet::MODULE,
    &ipv4::fou_core::MODULE,
    &ipv4::ip_gre::MODULE,
    &ipv4::ipip::MODULE,
    &ipv4::tcp_ipv4::MODULE,
    &netfilter::nf_conntrack_standalone::MODULE,
    &netfilter::nf_conntrack_ftp::MODULE,
    &netfilter::nf_nat_ftp::MODULE,
    &netfilter::nf_nat_masquerade::MODULE,
    &netfilter::nfnetlink_acct::MODULE,
    &netfilter::ipvs::ip_vs_core::MODULE,
    &netfilter::ipvs::ip_vs_dh::MODULE,
    &netfilter::ipvs::ip_vs_fo::MODULE,
    &netfilter::ipvs::ip_vs_lblc::MODULE,
    &netfilter::ipvs::ip_vs_lblcr::MODULE,
    &netfilter::ipvs::ip_vs_lc::MODULE,
    &netfilter::ipvs::ip_vs_mh::MODULE,
    &netfilter::ipvs::ip_vs_nq::MODULE,
    &netfilter::ipvs::ip_vs_ovf::MODULE,
    &netfilter::ipvs::ip_vs_rr::MODULE,
    &netfilter::ipvs::ip_vs_sed::MODULE,
    &netfilter::ipvs::ip_vs_sh::MODULE,
    &netfilter::ipvs::ip_vs_wlc::MODULE,
    &netfilter::ipvs::ip_vs_wrr::MODULE,
    &bridge::br_netfilter_hooks::MODULE,
    &packet::af_packet::MODULE,
    &openvswitch::datapath::MODULE,
    &vlan_8021q::vlan::MODULE,
    &NET,
    &sched::MODULE,
    &sched::act_gact::MODULE,
    &sched::act_mirred::MODULE,
    &sched::act_police::MODULE,
    &sched::act_skbedit::MODULE,
    &sched::act_tunnel_key::MODULE,
    &sched::act_vlan::MODULE,
    &sched::cls_flower::MODULE,
    &sched::cls_fw::MODULE,
    &sched::cls_matchall::MODULE,
    &sched::cls_u32::MODULE,
    &sched::sch_fq::MODULE,
    &sched::sch_fq_codel::MODULE,
    &sched::sch_htb::MODULE,
    &sched::sch_ingress::MODULE,
    &sched::sch_netem::MODULE,
    &sched::sch_prio::MODULE,
    &sched::sch_tbf::MODULE,
    &IPV4,
    &IPV6,
    // Modules whose work other parts of the model do, whether they are loaded or not.
    &Module::named("gre"),
    &Module::named("ip_set"),
    &Module::named("ip_tables"),
    &Module::named("iptable_filter"),
    &Module::named("iptable_mangle"),
    &Module::named("iptable_nat"),
    &Module::named("iptable_raw"),
    &Module::named("iptable_security"),
    &Module::named("llc"),
    &Module::named("nf_conntrack_netlink"),
    &Module::named("nf_defrag_ipv4"),
    &Module { sysctls: &[&netfilter::nf_log_syslog::SYSCTLS], ..Module::named("nf_log_syslog") },
    &Module::named("nf_reject_ipv4"),
    &Module::named("nf_tables"),
    &Module::named("nft_chain_nat"),
    &Module::named("nft_compat"),
    &Module::named("overlay"),
    &Module::named("stp"),
    &Module::named("x_tables"),
];

/// The network core.
static NET: Module = Module { sysctls: &[&core::sysctl_net_core::SYSCTLS], ..Module::UNNAMED };

/// IPv4, of which each file has its settings.
static IPV4: Module = Module {
    offload: Some(&ipv4::inet_offload::OFFLOAD),
    sysctls: &[
        &ipv4::af_inet::SYSCTLS,
        &ipv4::fib_semantics::SYSCTLS,
        &ipv4::icmp::SYSCTLS,
        &ipv4::inet_connection_sock::SYSCTLS,
        &ipv4::ip_fragment::SYSCTLS,
        &ipv4::ip_output::SYSCTLS,
        &ipv4::local_ports::SYSCTLS,
        &ipv4::route::SYSCTLS,
        &ipv4::route_errors::SYSCTLS,
        &ipv4::route_multipath::SYSCTLS,
        &ipv4::syncookies::SYSCTLS,
        &ipv4::tcp_minisocks::SYSCTLS,
        &ipv4::tcp_output::SYSCTLS,
        &ipv4::tcp_timer::SYSCTLS,
        &ipv4::sysctl_net_ipv4::ARP_GC_SYSCTLS,
        &ipv4::sysctl_net_ipv4::ARP_SYSCTLS,
        &ipv4::sysctl_net_ipv4::CONF_SYSCTLS,
        &ipv4::sysctl_net_ipv4::OTHER_ARP_SYSCTLS,
        &ipv4::sysctl_net_ipv4::OTHER_CONF_SYSCTLS,
        &ipv4::sysctl_net_ipv4::ROUTE_SYSCTLS,
        &ipv4::sysctl_net_ipv4::SYSCTLS,
        &ipv4::sysctl_net_ipv4::TCP_SYSCTLS,
    ],
    ..Module::UNNAMED
};

/// IPv6 is not modelled, so there is none to enable.
static IPV6: Module = Module { sysctls: &[&IPV6_SYSCTLS], ..Module::named("ipv6") };

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
