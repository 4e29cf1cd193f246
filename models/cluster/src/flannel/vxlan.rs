//! The VXLAN backend: a device `flannel.VNI` without learning. Of each other node it has a permanent neighbour, an entry of the FDB and a
//! route, so that nobody ever asks for an address. With DirectRouting, nodes without a router in between get a route past the tunnel.
//!
//! The kernel draws the real device's MAC address. Here flanneld does, as later releases do, so that the same commands give the same
//! addresses again.

use std::net::Ipv4Addr;

use glassnet_kernel::drivers::vxlan::vxlan_core::vxlan;
use glassnet_userland::sock;
use glassnet_wire::Mac;
use serde::{Deserialize, Serialize};

use super::daemon::{Daemon, Level};
use super::interface::Interface;
use super::net_conf::NetConf;
use super::subnets::{Attributes, Event, Lease, Subnets};
use crate::config::Range;

/// Bytes of the outer headers, with the inner frame's Ethernet header.
const OVERHEAD: u32 = 50;

/// The port of Linux for VXLAN where none is given.
const PORT: u16 = 8472;

/// What other nodes need to know of its device.
#[derive(Deserialize, Serialize)]
struct Told {
    #[serde(rename = "VNI", default)]
    vni: u16,
    #[serde(rename = "VtepMAC")]
    mac: String,
}

/// The running backend.
pub(super) struct Vxlan {
    device: String,
    mtu: u32,
    direct_routing: bool,
}

/// The device as it is to be.
struct Wanted<'a> {
    name: String,
    vni: i64,
    port: i64,
    learning: bool,
    gbp: bool,
    outside: &'a Interface,
}

impl Wanted<'_> {
    /// The command that makes it.
    fn command(&self, mac: Mac) -> String {
        let Wanted { name, vni, outside, .. } = self;
        let (address, outside) = (outside.address, &outside.name);
        let port = u16::try_from(self.port).ok().filter(|port| *port > 0).unwrap_or(PORT);
        let learning = if self.learning { "learning" } else { "nolearning" };
        let gbp = if self.gbp { " gbp" } else { "" };
        format!(
            "ip link add {name} txqueuelen 0 address {mac} type vxlan id {vni} local {address} dev {outside} dstport {port} {learning}{gbp}"
        )
    }

    /// What an existing device of the name has otherwise; none: it will do.
    fn difference(&self, daemon: &Daemon<'_>) -> Option<String> {
        let world = daemon.process.world();
        let kernel = world.kernel(daemon.process.machine);
        let dev = kernel.dev_by_name(daemon.process.netns, &self.name)?;
        let Some(found) = vxlan(kernel, dev) else {
            let kind = kernel.devs[dev].ops.kind.unwrap_or("device");
            return Some(format!("link type: vxlan vs {kind}"));
        };
        let (cfg, address) = (&found.cfg, self.outside.address);
        match () {
            () if i64::from(cfg.vni) != self.vni => Some(format!("vni: {} vs {}", self.vni, cfg.vni)),
            () if cfg.remote_ifindex != 0 && cfg.remote_ifindex != self.outside.ifindex => {
                Some(format!("vtep (external) interface: {} vs {}", self.outside.ifindex, cfg.remote_ifindex))
            }
            () if !cfg.saddr.is_unspecified() && cfg.saddr != address => {
                Some(format!("vtep (external) IP: {address} vs {}", cfg.saddr))
            }
            () if cfg.l2miss => Some("l2miss: false vs true".to_owned()),
            () if self.port > 0 && i64::from(cfg.dst_port) != self.port => {
                Some(format!("port: {} vs {}", self.port, cfg.dst_port))
            }
            () => None,
        }
    }

    /// Makes the device, if there is none that will do.
    async fn ensure(&self, daemon: &mut Daemon<'_>) -> Result<(), String> {
        let name = &self.name;
        if daemon.device(name, |_| ()).is_some() {
            daemon.verbose(1, "device.go:75", "VXLAN device already exists");
            let Some(why) = self.difference(daemon) else {
                daemon.verbose(1, "device.go:83", "Returning existing device");
                return Ok(());
            };
            let text = format!(
                "\"{name}\" already exists with incompatable configuration: {why}; recreating device"
            );
            daemon.log(Level::Warning, "device.go:88", text);
            let deleted = daemon.run(&format!("ip link del {name}")).await;
            deleted.map_err(|why| format!("failed to delete interface: {why}"))?;
        }
        let command = self.command(random_mac(daemon));
        daemon.run(&command).await
    }
}

/// A random address of one station, locally administered.
fn random_mac(daemon: &Daemon<'_>) -> Mac {
    let mut bytes = [0; 6];
    bytes.fill_with(|| sock::random(daemon.process, 256) as u8);
    bytes[0] = bytes[0] & 0xfe | 0x02;
    Mac(bytes)
}

impl Vxlan {
    /// Makes the device and gets the lease.
    pub(super) async fn register(
        daemon: &mut Daemon<'_>,
        subnets: &mut Subnets,
        (outside, conf): (&Interface, &NetConf),
    ) -> Result<(Vxlan, Range), String> {
        let decoded = |result: Result<bool, String>| {
            result.map_err(|why| format!("error decoding VXLAN backend config: {why}"))
        };
        let number = |name: &str, default: i64| {
            let number = conf.backend.number(name, default);
            number.map_err(|why| format!("error decoding VXLAN backend config: {why}"))
        };
        let (vni, port) = (number("VNI", 1)?, number("Port", 0)?);
        let gbp = decoded(conf.backend.flag("GBP"))?;
        let learning = decoded(conf.backend.flag("Learning"))?;
        let direct_routing = decoded(conf.backend.flag("DirectRouting"))?;
        daemon.info(
            "vxlan.go:123",
            format_args!("VXLAN config: VNI={vni} Port={port} GBP={gbp} Learning={learning} DirectRouting={direct_routing}"),
        );
        let device = format!("flannel.{vni}");
        let wanted = Wanted { name: device.clone(), vni, port, learning, gbp, outside };
        wanted.ensure(daemon).await?;
        let mac = daemon.device(&device, |dev| dev.addr).ok_or("can't locate created vxlan device")?;
        let told = Told { vni: vni as u16, mac: mac.to_string() };
        let data = serde_json::to_string(&told).map_err(|error| error.to_string())?;
        let attributes = Attributes { public: outside.public, kind: "vxlan".to_owned(), data };
        let subnet = subnets.acquire(daemon, &attributes)?;
        let failed = |why: String| format!("failed to configure interface {device}: {why}");
        let ensured = daemon.ensure_address(&device, subnet.first, conf.network).await;
        ensured.map_err(|why| failed(format!("failed to ensure address of interface {device}: {why}")))?;
        let up = daemon.run(&format!("ip link set {device} up")).await;
        up.map_err(|why| failed(format!("failed to set interface {device} to UP state: {why}")))?;
        Ok((Vxlan { device, mtu: outside.mtu.saturating_sub(OVERHEAD), direct_routing }, subnet))
    }

    pub(super) fn mtu(&self) -> u32 {
        self.mtu
    }

    /// Another node came, changed or went.
    pub(super) async fn handle(&self, daemon: &mut Daemon<'_>, event: &Event) {
        let (Event::Added(lease) | Event::Removed(lease)) = event;
        let (subnet, kind) = (lease.subnet, &lease.attributes.kind);
        if kind != "vxlan" {
            let text = format!("ignoring non-vxlan subnet({subnet}): type={kind}");
            return daemon.log(Level::Warning, "vxlan_network.go:96", text);
        }
        let told: Result<Told, _> = serde_json::from_str(&lease.attributes.data);
        let mac = told.map_err(|error| error.to_string()).and_then(|told| {
            let mac: Result<Mac, _> = told.mac.parse();
            mac.map_err(|_| format!("address {}: invalid MAC address", told.mac))
        });
        let mac = match mac {
            Ok(mac) => mac,
            Err(why) => {
                let text = format!("error decoding subnet lease JSON: {why}");
                return daemon.error("vxlan_network.go:102", text);
            }
        };
        let is_direct = self.direct_routing
            && match daemon.reaches_directly(lease.attributes.public) {
                Ok(direct) => direct,
                Err(why) => {
                    daemon.error("vxlan_network.go:123", why);
                    false
                }
            };
        match (event, is_direct) {
            (Event::Added(_), true) => self.add_direct(daemon, lease).await,
            (Event::Added(_), false) => self.add(daemon, lease, mac).await,
            (Event::Removed(_), true) => self.remove_direct(daemon, lease).await,
            (Event::Removed(_), false) => self.remove(daemon, lease, mac).await,
        }
    }

    async fn add_direct(&self, daemon: &mut Daemon<'_>, lease: &Lease) {
        let (subnet, public) = (lease.subnet, lease.attributes.public);
        let text = format!("Adding direct route to subnet: {subnet} PublicIP: {public}");
        daemon.verbose(2, "vxlan_network.go:132", text);
        if let Err(why) = daemon.run(&format!("ip route replace {subnet} via {public}")).await {
            let text = format!("Error adding route to {subnet} via {public}: {why}");
            daemon.error("vxlan_network.go:135", text);
        }
    }

    async fn remove_direct(&self, daemon: &mut Daemon<'_>, lease: &Lease) {
        let (subnet, public) = (lease.subnet, lease.attributes.public);
        let text = format!("Removing direct route to subnet: {subnet} PublicIP: {public}");
        daemon.verbose(2, "vxlan_network.go:175", text);
        if let Err(why) = daemon.run(&format!("ip route del {subnet} via {public}")).await {
            let text = format!("Error deleting route to {subnet} via {public}: {why}");
            daemon.error("vxlan_network.go:177", text);
        }
    }

    /// The neighbour and the entry of the FDB come before the route: with the route first the kernel would ask for the neighbour.
    async fn add(&self, daemon: &mut Daemon<'_>, lease: &Lease, mac: Mac) {
        let (subnet, public, device) = (lease.subnet, lease.attributes.public, &self.device);
        let gateway = subnet.first;
        let text = format!("adding subnet: {subnet} PublicIP: {public} VtepMAC: {mac}");
        daemon.verbose(2, "vxlan_network.go:139", text);
        let line = format!("ip neigh replace {gateway} lladdr {mac} dev {device} nud permanent");
        if let Err(why) = daemon.run(&line).await {
            return daemon.error("vxlan_network.go:141", format_args!("AddARP failed: {why}"));
        }
        let line = format!("bridge fdb replace {mac} dev {device} dst {public} self permanent");
        if let Err(why) = daemon.run(&line).await {
            daemon.error("vxlan_network.go:146", format_args!("AddFDB failed: {why}"));
            return self.forget_neighbour(daemon, gateway, "150").await;
        }
        let line = format!("ip route replace {subnet} via {gateway} dev {device} onlink");
        if let Err(why) = daemon.run(&line).await {
            let text = format!("failed to add vxlanRoute ({subnet} -> {gateway}): {why}");
            daemon.error("vxlan_network.go:159", text);
            self.forget_neighbour(daemon, gateway, "163").await;
            self.forget_station(daemon, (mac, public), "167").await;
        }
    }

    /// Removes all that there is, whatever fails.
    async fn remove(&self, daemon: &mut Daemon<'_>, lease: &Lease, mac: Mac) {
        let (subnet, public, device) = (lease.subnet, lease.attributes.public, &self.device);
        let gateway = subnet.first;
        let text = format!("removing subnet: {subnet} PublicIP: {public} VtepMAC: {mac}");
        daemon.verbose(2, "vxlan_network.go:180", text);
        self.forget_neighbour(daemon, gateway, "184").await;
        self.forget_station(daemon, (mac, public), "188").await;
        let line = format!("ip route del {subnet} via {gateway} dev {device} onlink");
        if let Err(why) = daemon.run(&line).await {
            let text = format!("failed to delete vxlanRoute ({subnet} -> {gateway}): {why}");
            daemon.error("vxlan_network.go:192", text);
        }
    }

    async fn forget_neighbour(&self, daemon: &mut Daemon<'_>, gateway: Ipv4Addr, place: &str) {
        if let Err(why) = daemon.run(&format!("ip neigh del {gateway} dev {}", self.device)).await {
            daemon.error(&format!("vxlan_network.go:{place}"), format_args!("DelARP failed: {why}"));
        }
    }

    async fn forget_station(&self, daemon: &mut Daemon<'_>, (mac, public): (Mac, Ipv4Addr), place: &str) {
        let line = format!("bridge fdb del {mac} dev {} dst {public} self", self.device);
        if let Err(why) = daemon.run(&line).await {
            daemon.error(&format!("vxlan_network.go:{place}"), format_args!("DelFDB failed: {why}"));
        }
    }
}
