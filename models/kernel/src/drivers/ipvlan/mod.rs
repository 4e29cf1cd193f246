//! `ipvlan`: devices that share the MAC address of the one below, which sorts packets by IP addresses.
//!
//! Kernel: drivers/net/ipvlan

pub mod ipvlan_core;
mod ipvlan_l3s;
pub mod ipvlan_main;
