//! Netfilter: hooks, connection tracking, NAT, and what rules match and do.

pub mod core;
pub mod nf_conntrack_core;
pub mod nf_conntrack_ecache;
pub mod nf_conntrack_gc;
pub mod nf_conntrack_proto;
mod nf_conntrack_proto_generic;
mod nf_conntrack_proto_icmp;
mod nf_conntrack_proto_tcp;
mod nf_conntrack_proto_udp;
mod nf_conntrack_tcp_window;
pub mod nf_nat_core;
pub mod nf_nat_masquerade;
pub mod nf_nat_proto;
pub mod nf_nat_redirect;
pub mod x_tables;
pub mod xt_check;
pub mod xt_commit;
pub mod xt_nat;
