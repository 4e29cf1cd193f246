//! Netfilter: hooks, connection tracking, NAT, matches and targets.

pub mod core;
pub mod ipset;
pub mod ipvs;
pub mod nf_conntrack_core;
pub mod nf_conntrack_ecache;
pub mod nf_conntrack_expect;
pub mod nf_conntrack_ftp;
pub mod nf_conntrack_gc;
pub mod nf_conntrack_helper;
pub mod nf_conntrack_netlink;
pub mod nf_conntrack_prefetch;
pub mod nf_conntrack_proto;
mod nf_conntrack_proto_generic;
mod nf_conntrack_proto_icmp;
mod nf_conntrack_proto_sctp;
pub mod nf_conntrack_proto_tcp;
mod nf_conntrack_proto_udp;
mod nf_conntrack_seqadj;
pub mod nf_conntrack_standalone;
mod nf_conntrack_tcp_window;
pub mod nf_conntrack_tuple;
pub mod nf_log_syslog;
pub mod nf_nat_core;
pub mod nf_nat_ftp;
mod nf_nat_helper;
pub mod nf_nat_masquerade;
pub mod nf_nat_proto;
pub mod nf_nat_redirect;
pub mod nf_passages;
pub mod nfnetlink_acct;
pub mod x_tables;
pub mod xt_addrtype;
pub mod xt_audit;
pub mod xt_check;
pub mod xt_checksum;
pub mod xt_classify;
pub mod xt_cluster;
pub mod xt_comment;
pub mod xt_connbytes;
pub mod xt_connlimit;
pub mod xt_connmark;
pub mod xt_conntrack;
pub mod xt_ct;
pub mod xt_dscp;
pub mod xt_ecn;
pub mod xt_esp;
pub mod xt_hashlimit;
pub mod xt_helper;
pub mod xt_hl;
pub mod xt_iprange;
pub mod xt_ipvs;
pub mod xt_length;
pub mod xt_limit;
pub mod xt_log;
pub mod xt_mac;
pub mod xt_mark;
pub mod xt_multiport;
pub mod xt_nat;
pub mod xt_nfacct;
pub mod xt_owner;
pub mod xt_physdev;
pub mod xt_pkttype;
pub mod xt_policy;
pub mod xt_quota;
pub mod xt_recent;
pub mod xt_sctp;
pub mod xt_set;
pub mod xt_socket;
pub mod xt_statistic;
pub mod xt_string;
pub mod xt_tcpmss;
pub mod xt_tcpudp;
pub mod xt_tee;
pub mod xt_time;
pub mod xt_tproxy;
pub mod xt_trace;
pub mod xt_u32;

use crate::module::Module;
use crate::net::ipv4::netfilter::{ipt_ah, ipt_ecn, ipt_icmp, ipt_reject, ipt_rpfilter};

/// The modules of the matches and targets of iptables.
pub static EXTENSIONS: &[&[Module]] = &[
    ipt_ah::MODULES,
    ipt_ecn::MODULES,
    ipt_icmp::MODULES,
    ipt_reject::MODULES,
    ipt_rpfilter::MODULES,
    xt_addrtype::MODULES,
    xt_audit::MODULES,
    xt_checksum::MODULES,
    xt_classify::MODULES,
    xt_cluster::MODULES,
    xt_comment::MODULES,
    xt_connbytes::MODULES,
    xt_connlimit::MODULES,
    xt_connmark::MODULES,
    xt_conntrack::MODULES,
    xt_ct::MODULES,
    xt_dscp::MODULES,
    xt_ecn::MODULES,
    xt_esp::MODULES,
    xt_hashlimit::MODULES,
    xt_helper::MODULES,
    xt_hl::MODULES,
    xt_iprange::MODULES,
    xt_ipvs::MODULES,
    xt_length::MODULES,
    xt_limit::MODULES,
    xt_log::MODULES,
    xt_mac::MODULES,
    xt_mark::MODULES,
    xt_multiport::MODULES,
    xt_nat::MODULES,
    xt_nfacct::MODULES,
    xt_owner::MODULES,
    xt_physdev::MODULES,
    xt_pkttype::MODULES,
    xt_policy::MODULES,
    xt_quota::MODULES,
    xt_recent::MODULES,
    xt_sctp::MODULES,
    xt_set::MODULES,
    xt_socket::MODULES,
    xt_statistic::MODULES,
    xt_string::MODULES,
    xt_tcpmss::MODULES,
    xt_tcpudp::MODULES,
    xt_tee::MODULES,
    xt_time::MODULES,
    xt_tproxy::MODULES,
    xt_trace::MODULES,
    xt_u32::MODULES,
];
