//! The top room: all modules of the kernel. A new feature is a file and a row here.
//!
//! The order is that of registration: notifiers are called in it.

mod doors;

use crate::drivers::{dummy, loopback, veth};
use crate::module::Module;
use crate::net::{bridge, core, ipv4, netfilter, packet};

/// All modules.
pub static MODULES: &[&Module] = &[
    &bridge::br_if::MODULE,
    &core::rtnetlink::MODULE,
    &loopback::MODULE,
    &veth::MODULE,
    &dummy::MODULE,
    &ipv4::devinet::MODULE,
    &ipv4::tcp_ipv4::MODULE,
    &netfilter::nf_conntrack_core::MODULE,
    &netfilter::nf_nat_masquerade::MODULE,
    &bridge::br_netfilter_hooks::MODULE,
    &packet::af_packet::MODULE,
    // Modules whose work other parts of the model do, whether they are loaded or not.
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
    &Module::named("nf_reject_ipv4"),
    &Module::named("nf_tables"),
    &Module::named("nft_chain_nat"),
    &Module::named("nft_compat"),
    &Module::named("nft_counter"),
    &Module::named("overlay"),
    &Module::named("stp"),
    &Module::named("x_tables"),
];
