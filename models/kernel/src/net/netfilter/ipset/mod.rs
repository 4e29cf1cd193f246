//! Sets of addresses and ports (net/netfilter/ipset).

pub mod ip_set_core;
