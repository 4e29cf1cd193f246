//! `tcpdump`: captures packets and prints them.

pub mod filter;
pub mod options;
pub mod print;
