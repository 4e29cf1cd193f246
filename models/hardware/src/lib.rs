//! What lies between the CPUs of machines: network cards, cables and switches.
//!
//! | module | owns |
//! |---|---|
//! | [`card`] | [`Card`], rings and interrupt vectors |
//! | [`rss`] | which ring a frame goes to |
//! | [`checksum`] | what a card finds of checksums |
//! | [`fabric`] | [`Fabric`], all cards, cables and switches |
//!
//! Hardware takes its own time, never a CPU's. What one end of a cable sends arrives at the other after the time that the wire
//! takes; a switch stores it and sends it on. No decision of a kernel is made here, and no frame is read beyond the addresses
//! and ports by which switches and cards sort them, and its checksums.

pub mod card;
pub mod checksum;
pub mod fabric;
pub mod rss;

pub use card::{Card, Vectors};
pub use fabric::{Arrival, Cable, Fabric, Faults, PlugId, SWITCH_QUEUE, SwitchId};
pub use rss::Rss;
