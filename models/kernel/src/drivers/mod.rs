//! `drivers/net`: how each kind of device sends and receives.

pub mod dummy;
pub mod loopback;
pub mod nic;
pub mod veth;
