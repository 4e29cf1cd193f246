//! How a tunnel over UDP takes what its socket receives.
//!
//! Kernel: include/linux/udp.h

use crate::door::Door;
use crate::ids::SkbId;

/// The door by which a tunnel takes the datagrams of its socket (`encap_rcv`).
pub type EncapRcv = fn(SkbId) -> Door;
