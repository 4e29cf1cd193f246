//! IPv4.

pub mod arp;
pub mod devinet;
pub mod ip_input;
