//! IPv4.

pub mod af_inet;
pub mod arp;
pub mod devinet;
pub mod fib_frontend;
pub mod fib_rules;
pub mod fib_semantics;
pub mod icmp;
pub mod igmp;
pub mod ip_forward;
pub mod ip_fragment;
pub mod ip_input;
pub mod ip_output;
pub mod netfilter;
pub mod ping;
pub mod raw;
pub mod route;
pub mod route_errors;
pub mod route_get;
pub mod sysctl_net_ipv4;
pub mod udp;
