//! The part of netfilter that is IPv4's own.

pub mod ip_tables;
