//! Netfilter: hooks, connection tracking, NAT, and what rules match and do.

pub mod core;
pub mod ipset;
pub mod nf_conntrack_core;
pub mod nf_conntrack_ecache;
pub mod nf_conntrack_gc;
pub mod nf_conntrack_netlink;
pub mod nf_conntrack_prefetch;
pub mod nf_conntrack_proto;
mod nf_conntrack_proto_generic;
mod nf_conntrack_proto_icmp;
pub mod nf_conntrack_proto_tcp;
mod nf_conntrack_proto_udp;
mod nf_conntrack_tcp_window;
pub mod nf_log_syslog;
pub mod nf_nat_core;
pub mod nf_nat_masquerade;
pub mod nf_nat_proto;
pub mod nf_nat_redirect;
pub mod x_tables;
pub mod xt_check;

use crate::module::Module;
use crate::net::ipv4::netfilter::{ipt_icmp, ipt_reject, ipt_rpfilter};

/// Matches and targets of iptables: a file each, and a line here.
macro_rules! extensions {
    ($($file:ident)*) => {
        $(pub mod $file;)*

        /// The modules of the matches and targets.
        pub static EXTENSIONS: &[&[Module]] =
            &[$($file::MODULES,)* ipt_icmp::MODULES, ipt_reject::MODULES, ipt_rpfilter::MODULES];
    };
}

extensions! {
    xt_addrtype
    xt_audit
    xt_classify
    xt_cluster
    xt_comment
    xt_connmark
    xt_conntrack
    xt_ct
    xt_dscp
    xt_hashlimit
    xt_hl
    xt_iprange
    xt_length
    xt_limit
    xt_log
    xt_mac
    xt_mark
    xt_multiport
    xt_nat
    xt_owner
    xt_physdev
    xt_pkttype
    xt_recent
    xt_set
    xt_socket
    xt_statistic
    xt_string
    xt_tcpmss
    xt_tcpudp
    xt_time
    xt_trace
    xt_u32
}
