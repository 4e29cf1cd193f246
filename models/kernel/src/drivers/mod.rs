//! `drivers/net`: kinds of devices.

pub mod bonding;
pub mod dummy;
pub mod geneve;
pub mod ifb;
pub mod ipvlan;
pub mod loopback;
pub mod macvlan;
pub mod nic;
pub mod tun;
pub mod veth;
pub mod vrf;
pub mod vxlan;
