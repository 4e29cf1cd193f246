//! The UDP backend: a tun device to which the whole network is routed. flanneld itself carries each packet in a datagram to the node that
//! has the subnet.

use std::net::Ipv4Addr;
use std::sync::Arc;

use glassnet_kernel::tables::socket::SockKind;
use glassnet_kernel::tables::tun::{IFF_NO_PI, IFF_TUN};
use glassnet_userland::sock::Sock;
use glassnet_userland::tun::TunFd;

use super::daemon::Daemon;
use super::interface::Interface;
use super::net_conf::NetConf;
use super::proxy::{self, Proxy, Table};
use super::subnets::{Attributes, Event, Subnets};
use crate::config::Range;

/// The port, where none is given.
const PORT: i64 = 8285;

/// Bytes of the outer headers: IPv4 and UDP.
const OVERHEAD: u32 = 28;

/// The running backend.
pub(super) struct Udp {
    mtu: u32,
    port: u16,
    table: Arc<Table>,
}

impl Udp {
    /// Gets the lease, and opens device and socket, which the proxy is to have.
    pub(super) async fn register(
        daemon: &mut Daemon<'_>,
        subnets: &mut Subnets,
        (outside, conf): (&Interface, &NetConf),
    ) -> Result<(Udp, Range, Proxy), String> {
        let wrong = |why: String| format!("error decoding UDP backend config: {why}");
        let port = conf.backend.number("Port", PORT).map_err(wrong)?;
        // It is told no type of backend.
        let attributes = Attributes { public: outside.public, kind: String::new(), data: "null".to_owned() };
        let subnet = subnets.acquire(daemon, &attributes)?;
        let mtu = outside.mtu.saturating_sub(OVERHEAD);
        let tun = open_tun(daemon, (subnet.first, conf.network), mtu).await?;
        let socket = Sock::open(daemon.process, SockKind::Udp);
        let listening = |why: &str| format!("failed to start listening on UDP socket: {why}");
        let port =
            u16::try_from(port).map_err(|_| listening(&format!("listen udp4: invalid port {port}")))?;
        socket.bind(outside.address, port).map_err(|errno| {
            let (address, why) = (outside.address, errno.strerror().to_lowercase());
            listening(&format!("listen udp4 {address}:{port}: bind: {why}"))
        })?;
        let table = Arc::new(Table::default());
        let proxy = Proxy::new((tun, subnet.first), socket, mtu as usize, table.clone());
        Ok((Udp { mtu, port, table }, subnet, proxy))
    }

    pub(super) fn mtu(&self) -> u32 {
        self.mtu
    }

    /// Another node came, changed or went.
    pub(super) fn handle(&self, daemon: &mut Daemon<'_>, event: &Event) {
        match event {
            Event::Added(lease) => {
                let subnet = lease.subnet;
                daemon.info("udp_network_amd64.go:196", format_args!("Subnet added: {subnet}"));
                proxy::set_route(&self.table, subnet, (lease.attributes.public, self.port));
            }
            Event::Removed(lease) => {
                let subnet = lease.subnet;
                daemon.info("udp_network_amd64.go:201", format_args!("Subnet removed: {subnet}"));
                proxy::remove_route(&self.table, subnet);
            }
        }
    }
}

/// Opens the device, and routes the network to it.
async fn open_tun(
    daemon: &mut Daemon<'_>,
    (address, network): (Ipv4Addr, Range),
    mtu: u32,
) -> Result<TunFd, String> {
    let tun = TunFd::open(daemon.process, daemon.process.netns);
    let name = tun.set_iff("flannel%d", IFF_TUN | IFF_NO_PI).map_err(|refused| {
        let errno = refused.errno.strerror().to_lowercase();
        format!("failed to open TUN device: ioctl failed with '{errno}'")
    })?;
    let network = Range { first: super::net_conf::masked(address, network.len), len: network.len };
    for (line, what) in [
        (
            format!("ip addr add {address}/32 brd {address} dev {name}"),
            format!("failed to add IP address {address}/32 to {name}"),
        ),
        (format!("ip link set {name} mtu {mtu}"), format!("failed to set MTU for {name}")),
        (format!("ip link set {name} up"), format!("failed to set interface {name} to UP state")),
    ] {
        daemon.run(&line).await.map_err(|why| format!("{what}: {why}"))?;
    }
    // A route of somebody else will do.
    match daemon.run(&format!("ip route add {network} dev {name} scope global")).await {
        Err(why) if why != "file exists" => Err(format!("failed to add route ({network} -> {name}): {why}")),
        _ => Ok(tun),
    }
}
