//! `tcpdump`: captures packets and prints them.

pub mod options;
pub mod print;
