//! Netfilter: hooks, connection tracking, NAT, and what rules match and do.

pub mod core;
pub mod nf_conntrack_proto;
pub mod x_tables;
pub mod xt_commit;
