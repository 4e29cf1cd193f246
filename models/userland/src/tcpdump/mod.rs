//! `tcpdump`: captures packets and prints them.

pub mod print;
