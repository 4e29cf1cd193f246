//! The host-gw backend: routes through the other nodes, without a tunnel. It works between nodes of one link only: elsewhere the kernel
//! refuses the route.

use super::daemon::Daemon;
use super::interface::Interface;
use super::routes::RouteNetwork;
use super::subnets::{Attributes, Subnets};
use crate::config::Range;

/// Gets the lease.
pub(super) fn register(
    daemon: &mut Daemon<'_>,
    subnets: &mut Subnets,
    outside: &Interface,
) -> Result<(RouteNetwork, Range), String> {
    let kind = "host-gw";
    let attributes = Attributes { public: outside.public, kind: kind.to_owned(), data: "null".to_owned() };
    let subnet = subnets.acquire(daemon, &attributes)?;
    Ok((RouteNetwork::new(daemon, kind, outside.mtu, &outside.name), subnet))
}

/// It does not work behind NAT, where other nodes reach the node by an address that it has not.
pub(super) fn check(outside: &Interface) -> Result<(), String> {
    match outside.public == outside.address {
        true => Ok(()),
        false => Err(
            "your PublicIP differs from interface IP, meaning that probably you're on a NAT, which is not supported by host-gw backend"
                .to_owned(),
        ),
    }
}
