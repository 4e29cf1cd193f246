//! VXLAN: frames of an Ethernet that lies over IPv4 (RFC 7348).
//!
//! | module | owns |
//! |---|---|
//! | [`vxlan_core`] | the kind of device, up and down, frames out and in |
//! | [`vxlan_config`] | what a request for a device may say |
//! | [`vxlan_fdb`] | the forwarding database: learning, lookup, ageing, entries of users |
//! | `vxlan_proxy` | ARP that is answered here, and questions to programs |

pub mod vxlan_config;
pub mod vxlan_core;
pub mod vxlan_fdb;
mod vxlan_proxy;
