//! Where a packet goes, once it was routed (`struct rtable`, include/net/route.h).

use crate::ids::DevId;

/// The decision of routing, carried by the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtable {
    /// The device that it leaves by.
    pub dev: DevId,
    /// The router to send it to; 0: the destination itself.
    pub gateway: u32,
}
