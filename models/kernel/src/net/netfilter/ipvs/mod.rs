//! IP Virtual Server: load balancing of connections in the kernel (`net/netfilter/ipvs`), for IPv4.

pub mod ip_vs_conn;
pub mod ip_vs_core;
pub mod ip_vs_ctl;
pub mod ip_vs_dh;
mod ip_vs_est;
pub mod ip_vs_fo;
mod ip_vs_icmp;
pub mod ip_vs_lblc;
pub mod ip_vs_lblcr;
pub mod ip_vs_lc;
pub mod ip_vs_mh;
mod ip_vs_nfct;
pub mod ip_vs_nq;
pub mod ip_vs_ovf;
mod ip_vs_proto;
mod ip_vs_proto_tcp;
mod ip_vs_proto_udp;
pub mod ip_vs_rr;
pub mod ip_vs_sched;
pub mod ip_vs_sed;
pub mod ip_vs_sh;
pub mod ip_vs_wlc;
pub mod ip_vs_wrr;
mod ip_vs_xmit;
