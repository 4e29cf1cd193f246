//! What IPv4 does when a device changes.
use crate::Cx;
use crate::ids::DevId;
use crate::net::core::rtnetlink::NetdevEvent;
/// Called after each change of a device. Placeholder until IPv4 lands.
pub fn inetdev_event(_cx: &mut Cx, _dev: DevId, _event: NetdevEvent) {}
