//! What lies between machines: cables and switches.
//!
//! A machine's NIC plugs into a [`Fabric`]; what one end sends arrives at the other ends after the time that the
//! wire takes. No decision of a kernel is made here, and no frame is read beyond its Ethernet addresses.

pub mod fabric;

pub use fabric::{Arrival, Cable, Fabric, PlugId, SwitchId};
