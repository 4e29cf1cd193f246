//! Tables: what a kernel knows. Nouns, tested alone; the doors in `net` read and change them.

pub mod bridge;
pub mod conntrack;
pub mod drop_reason;
pub mod fast_hash;
pub mod fib;
pub mod fib_rules;
pub mod fib_trie;
pub mod frag;
pub mod inet;
pub mod inet_conf;
pub mod inet_types;
pub mod ipv4;
pub mod neigh;
pub mod neigh_parms;
pub mod neigh_types;
pub mod netdev;
pub mod netfilter;
pub mod netns;
pub mod prefix_map;
pub mod route;
pub mod route_types;
pub mod skb;
pub mod snmp;
pub mod socket;
pub mod softnet;
pub mod xt;
