//! The IPIP backend: one tunnel device `flannel.ipip` without a fixed other end, and routes through it whose next hops are the other nodes.

use glassnet_kernel::tables::ip_tunnel::{IpTunnel, TunnelKind};

use super::daemon::{Daemon, Level};
use super::interface::Interface;
use super::net_conf::NetConf;
use super::routes::{Bypass, RouteNetwork};
use super::subnets::{Attributes, Subnets};
use crate::config::Range;

const DEVICE: &str = "flannel.ipip";

/// Bytes of the outer header.
const OVERHEAD: u32 = 20;

/// Gets the lease and makes the device.
pub(super) async fn register(
    daemon: &mut Daemon<'_>,
    subnets: &mut Subnets,
    (outside, conf): (&Interface, &NetConf),
) -> Result<(RouteNetwork, Range), String> {
    let direct = conf.backend.flag("DirectRouting");
    let direct = direct.map_err(|why| format!("error decoding IPIP backend config: {why}"))?;
    daemon.info("ipip.go:66", format_args!("IPIP config: DirectRouting={direct}"));
    let kind = "ipip";
    let attributes = Attributes { public: outside.public, kind: kind.to_owned(), data: "null".to_owned() };
    let subnet = subnets.acquire(daemon, &attributes)?;
    let mtu = set_up(daemon, outside, (subnet, conf.network)).await?;
    let mut network = RouteNetwork::new(daemon, kind, mtu, DEVICE);
    network.bypass = Some(Bypass { device: outside.name.clone(), is_on: direct });
    Ok((network, subnet))
}

/// Makes the device; its MTU.
async fn set_up(
    daemon: &mut Daemon<'_>,
    outside: &Interface,
    (subnet, network): (Range, Range),
) -> Result<u32, String> {
    let add = format!("ip link add {DEVICE} txqueuelen 0 type ipip local {} nopmtudisc", outside.address);
    if daemon.device(DEVICE, |_| ()).is_none() {
        daemon.run(&add).await?;
    } else if let Some(found) = difference(daemon, outside)? {
        let text =
            format!("\"{DEVICE}\" already exists with incompatable attributes: {found}; recreating device");
        daemon.log(Level::Warning, "ipip.go:163", text);
        let deleted = daemon.run(&format!("ip link del {DEVICE}")).await;
        deleted.map_err(|why| format!("failed to delete interface: {why}"))?;
        daemon.run(&add).await.map_err(|why| format!("failed to create ipip interface: {why}"))?;
    }
    let mtu = outside.mtu.saturating_sub(OVERHEAD);
    if mtu == 0 {
        let (mtu, name) = (outside.mtu, &outside.name);
        return Err(format!("MTU {mtu} of iface {name} is too small for ipip mode to work"));
    }
    daemon.info("ipip.go:185", format_args!("current MTU of {DEVICE} is 0, setting it to {mtu}"));
    let set = daemon.run(&format!("ip link set {DEVICE} mtu {mtu}")).await;
    set.map_err(|why| format!("failed to set {DEVICE} MTU to {mtu}: {why}"))?;
    let ensured = daemon.ensure_address(DEVICE, subnet.first, network).await;
    ensured.map_err(|why| format!("failed to ensure address of interface {DEVICE}: {why}"))?;
    let up = daemon.run(&format!("ip link set {DEVICE} up")).await;
    up.map_err(|why| format!("failed to set {DEVICE} UP: {why}"))?;
    Ok(mtu)
}

/// What an existing device has otherwise. One of another kind is for its owner to remove.
fn difference(daemon: &Daemon<'_>, outside: &Interface) -> Result<Option<String>, String> {
    let world = daemon.process.world();
    let kernel = world.kernel(daemon.process.machine);
    let dev = kernel.dev_by_name(daemon.process.netns, DEVICE);
    let tunnel = dev.and_then(|dev| kernel.devs[dev].netdev_priv::<IpTunnel>());
    let Some(tunnel) = tunnel.filter(|tunnel| tunnel.kind == TunnelKind::Ipip) else {
        return Err(format!("{DEVICE} isn't an ipip mode device, please remove device and try again"));
    };
    let (local, remote) = (tunnel.parms.saddr, tunnel.parms.daddr);
    let is_right = local == outside.address && remote.is_unspecified();
    Ok((!is_right).then(|| format!("local={local} remote={remote}")))
}
