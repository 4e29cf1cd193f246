//! `bridge`: a veth for each container, on a bridge of the host.

use glassnet_kernel::ids::{DevId, NetnsId};
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::net::bridge::br_attrs::Attrs;
use glassnet_kernel::net::bridge::br_attrs_bridge::VLAN_FILTERING;
use glassnet_kernel::net::bridge::br_attrs_port::HAIRPIN;
use glassnet_kernel::net::bridge::br_vlan::br_vlan_add;
use glassnet_kernel::net::core::rtnetlink::{LinkNew, LinkSet};
use glassnet_kernel::tables::netdev::OperState;
use glassnet_sim::Nanos;

use super::error::{Done, refusal};
use super::iptables::{chain_name, comment};
use super::json::Fields;
use super::link::{VethRequest, parse_mac};
use super::skel::{ALL, Cmd, NetConf, Plugin, args};
use super::types::{CniResult, Interface, IpNet, Route, next_ip};
use crate::process::Boxed;

/// The row.
pub(super) static PLUGIN: Plugin = Plugin { name: "bridge", versions: ALL, add, check, del };

/// How long it waits until the port forwards, ms, one after the other.
const RETRIES: [u64; 5] = [0, 50, 500, 1000, 1000];

/// The configuration.
struct Conf {
    net: NetConf,
    br_name: String,
    is_gw: bool,
    is_default_gw: bool,
    force_address: bool,
    ip_masq: bool,
    mtu: i64,
    hairpin_mode: bool,
    promisc_mode: bool,
    vlan: u16,
    mac: String,
}

impl Conf {
    fn read(cmd: &Cmd) -> Done<Conf> {
        let failed = |error| format!("failed to load netconf: {error}");
        let value = cmd.conf().map_err(failed)?;
        let fields = Fields::of("NetConf", &value).map_err(failed)?;
        let (conf, vlan) = Conf::fields(&fields).map_err(failed)?;
        let vlan = u16::try_from(vlan)
            .ok()
            .filter(|vlan| *vlan <= 4094)
            .ok_or_else(|| format!("invalid VLAN ID {vlan} (must be between 0 and 4094)"))?;
        let in_env = args(&cmd.args, &["MAC"])?.pop().map(|(_, mac)| mac);
        let mac = Some(conf.mac.clone()).filter(|mac| !mac.is_empty()).or(in_env).unwrap_or_default();
        Ok(Conf { vlan, mac, ..conf })
    }

    fn fields(fields: &Fields) -> Result<(Conf, i64), String> {
        let br_name = fields.string("bridge")?;
        let in_args = fields.object("args", "struct")?.object("cni", "BridgeArgs")?.string("mac")?;
        let in_runtime = fields.object("runtimeConfig", "struct")?.string("mac")?;
        if fields.boolean("macspoofchk")? {
            return Err("not modelled yet: macspoofchk".to_owned());
        }
        // Duplicate addresses are a matter of IPv6.
        fields.boolean("enabledad")?;
        let conf = Conf {
            net: NetConf::read(fields)?,
            br_name: if br_name.is_empty() { "cni0".to_owned() } else { br_name },
            is_gw: fields.boolean("isGateway")?,
            is_default_gw: fields.boolean("isDefaultGateway")?,
            force_address: fields.boolean("forceAddress")?,
            ip_masq: fields.boolean("ipMasq")?,
            mtu: fields.int("mtu")?,
            hairpin_mode: fields.boolean("hairpinMode")?,
            promisc_mode: fields.boolean("promiscMode")?,
            vlan: 0,
            mac: if in_runtime.is_empty() { in_args } else { in_runtime },
        };
        Ok((conf, fields.int("vlan")?))
    }
}

fn add<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(cmd_add(cmd))
}

fn check<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(cmd_check(cmd))
}

fn del<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(cmd_del(cmd))
}

async fn cmd_add(cmd: &mut Cmd<'_>) -> Done<String> {
    let mut conf = Conf::read(cmd)?;
    conf.is_gw |= conf.is_default_gw;
    if conf.hairpin_mode && conf.promisc_mode {
        return Err("cannot set hairpin mode and promiscuous mode at the same time.".into());
    }
    let bridge = cmd
        .ensure_bridge(&conf)
        .map_err(|error| format!("failed to create bridge {:?}: {error}", conf.br_name))?;
    // Before a port brings another address.
    let bridge_mac = cmd.mac(bridge);
    let netns = cmd.container()?;
    let (port, inside) = cmd.port(&conf, bridge, netns)?;
    let interfaces = vec![Interface { name: conf.br_name.clone(), ..Interface::default() }, port, inside];
    let mut result = CniResult { interfaces, ..CniResult::default() };
    if conf.net.ipam.is_empty() {
        let dev =
            cmd.link(netns, &cmd.if_name).map_err(|error| format!("failed to retrieve link: {error}"))?;
        cmd.set_up(dev).map_err(|error| format!("failed to set {:?} up: {error}", cmd.if_name))?;
    } else {
        let ipam = cmd.ipam_add(&conf.net.ipam, &conf.net.version).await?;
        let given = Given { conf: &conf, bridge, bridge_mac: &bridge_mac, netns };
        if let Err(error) = cmd.layer3(&given, &mut result, ipam).await {
            // The address is free again; what that says is no matter.
            let _ = cmd.ipam_del(&conf.net.ipam).await;
            return Err(error);
        }
    }
    result.interfaces[0].mac = cmd.mac(bridge);
    Ok(result.json(&conf.net.version)?)
}

/// A bridge with a port that gets addresses.
struct Given<'a> {
    conf: &'a Conf,
    bridge: DevId,
    bridge_mac: &'a str,
    netns: NetnsId,
}

impl Cmd<'_> {
    /// The bridge, which is made if it is not there.
    fn ensure_bridge(&self, conf: &Conf) -> Result<DevId, String> {
        let (name, host) = (&conf.br_name, self.host());
        let vlan_filtering = Attrs::from([(&VLAN_FILTERING, 1)]);
        let info = match conf.vlan {
            0 => LinkInfo::new("bridge"),
            _ => LinkInfo::with("bridge", vlan_filtering),
        };
        let mtu = u32::try_from(conf.mtu).ok().filter(|mtu| *mtu > 0);
        let set = LinkSet { info: Some(info), mtu, ..LinkSet::default() };
        match self.add_link(host, LinkNew { name: Some(name.clone()), set, ..LinkNew::default() }) {
            Err(error) if error != "file exists" => return Err(format!("could not add {name:?}: {error}")),
            _ => {}
        }
        let dev = self.link(host, name).map_err(|error| format!("could not lookup {name:?}: {error}"))?;
        if self.kind(dev) != "bridge" {
            return Err(format!("{name:?} already exists but is not a bridge"));
        }
        if conf.promisc_mode {
            self.set_link(dev, LinkSet { promisc: Some(true), ..LinkSet::default() })
                .map_err(|error| format!("could not set promiscuous mode on {name:?}: {error}"))?;
        }
        self.set_up(dev)?;
        Ok(dev)
    }

    /// A veth with one end on the bridge.
    fn port(&self, conf: &Conf, bridge: DevId, netns: NetnsId) -> Done<(Interface, Interface)> {
        let request = VethRequest { name: &self.if_name, mtu: conf.mtu, mac: &conf.mac };
        let (inside, outside) = self.setup_veth(request, netns, self.host())?;
        self.plug(outside, bridge, conf.hairpin_mode, conf.vlan)?;
        Ok((self.interface(outside, ""), self.interface(inside, &self.netns)))
    }

    /// Makes a device a port.
    fn plug(&self, dev: DevId, bridge: DevId, hairpin: bool, vlan: u16) -> Done {
        let name = self.name(dev);
        self.set_link(dev, LinkSet { master: Some(Some(bridge)), ..LinkSet::default() }).map_err(
            |error| format!("failed to connect {name:?} to bridge {}: {error}", self.name(bridge)),
        )?;
        let attrs = Attrs::from([(&HAIRPIN, u64::from(hairpin))]);
        let slave_info = Some(LinkInfo::with("bridge_slave", attrs));
        self.set_link(dev, LinkSet { slave_info, ..LinkSet::default() })
            .map_err(|error| format!("failed to setup hairpin mode for {name}: {error}"))?;
        if vlan != 0 {
            let added = self.enter(|cx| br_vlan_add(cx, dev, (vlan, vlan), true, true));
            added.map_err(|error| {
                format!("failed to setup vlan tag on interface {name:?}: {}", refusal(error))
            })?;
        }
        Ok(())
    }

    /// Addresses, routes, the gateway and masquerading.
    async fn layer3(&mut self, given: &Given<'_>, result: &mut CniResult, ipam: CniResult) -> Done {
        let Given { conf, netns, .. } = *given;
        (result.ips, result.routes, result.dns) = (ipam.ips, ipam.routes, ipam.dns);
        if result.ips.is_empty() {
            return Err("IPAM plugin returned missing IP config".into());
        }
        let gateways = calc_gateways(conf, result);
        self.notify_arp(netns, &self.if_name);
        self.configure_iface(netns, &self.if_name, result)?;
        self.wait_for_port(&result.interfaces[1].name).await?;
        if conf.is_gw {
            for gateway in gateways {
                self.gateway(given, result, gateway)?;
            }
            self.enable_forward("failed to enable forwarding")?;
        }
        if conf.ip_masq {
            let chain = chain_name(&conf.net.name, &self.container_id);
            let comment = comment(&conf.net.name, &self.container_id);
            for ip in &result.ips {
                self.setup_ip_masq(ip.address, &chain, &comment).await?;
            }
        }
        Ok(())
    }

    /// Waits until the bridge's port is up.
    async fn wait_for_port(&mut self, name: &str) -> Done {
        let mut state = OperState::Unknown;
        for pause in RETRIES {
            // Nobody interrupts it who does not end it.
            let _ = self.process.sleep(Nanos::from_millis(pause)).await;
            let port = self.link(self.host(), name)?;
            state = self.kernel(|kernel| kernel.devs[port].operstate);
            if state == OperState::Up {
                return Ok(());
            }
        }
        Err(format!("bridge port in error state: {}", state.name().to_lowercase()).into())
    }

    /// Gives the bridge, or its VLAN's device, the gateway's address.
    fn gateway(&self, given: &Given, result: &mut CniResult, gateway: IpNet) -> Done {
        let Given { conf, bridge, bridge_mac, .. } = *given;
        if conf.vlan == 0 {
            self.ensure_addr(bridge, bridge_mac, gateway, conf.force_address)
                .map_err(|error| format!("failed to set bridge addr: {error}"))?;
            return Ok(());
        }
        let dev = self
            .vlan_interface(bridge, conf.vlan)
            .map_err(|error| format!("failed to create vlan interface: {error}"))?;
        if result.interfaces.len() == 3 {
            result.interfaces.push(self.interface(dev, ""));
        }
        self.ensure_addr(dev, &self.mac(dev), gateway, conf.force_address)
            .map_err(|error| format!("failed to set vlan interface for bridge with addr: {error}"))?;
        Ok(())
    }

    /// The host's own port in a VLAN of the bridge.
    fn vlan_interface(&self, bridge: DevId, vlan: u16) -> Result<DevId, String> {
        let (host, name) = (self.host(), format!("{}.{vlan}", self.name(bridge)));
        if let Ok(dev) = self.link(host, &name) {
            return Ok(dev);
        }
        let mtu = i64::from(self.kernel(|kernel| kernel.devs[bridge].mtu));
        let made = self.setup_veth(VethRequest { name: &name, mtu, mac: "" }, host, host);
        let made = made.and_then(|(dev, port)| self.plug(port, bridge, false, vlan).map(|()| dev));
        let dev = made.map_err(|error| format!("faild to create vlan gateway {name:?}: {}", error.msg))?;
        self.set_up(dev).map_err(|error| format!("failed to up {name:?}: {error}"))?;
        Ok(dev)
    }

    /// An address on the bridge, which keeps its own MAC address from then on.
    fn ensure_addr(&self, dev: DevId, mac: &str, address: IpNet, force: bool) -> Result<(), String> {
        let (host, name) = (self.host(), self.name(dev));
        for addr in self.addrs(host, dev) {
            if addr.local == address.ip && addr.prefix_len == address.len {
                return Ok(());
            }
            if !force {
                return Err(format!("{name:?} already has an IP address different from {address}"));
            }
            self.del_addr(host, &addr)
                .map_err(|error| format!("could not remove IP address from {name:?}: {error}"))?;
        }
        match self.add_addr(host, dev, address) {
            Err(error) if error != "file exists" => {
                return Err(format!("could not add IP address to {name:?}: {error}"));
            }
            _ => {}
        }
        let own = LinkSet { address: Some(parse_mac(mac)?), ..LinkSet::default() };
        self.set_link(dev, own).map_err(|error| format!("could not set bridge's mac: {error}"))
    }

    /// A device of a result, where it was made (`validateInterface`).
    fn validate_interface(&self, netns: NetnsId, interface: &Interface, in_sandbox: bool) -> Done<DevId> {
        let name = &interface.name;
        if name.is_empty() {
            return Err("Interface name missing ".into());
        }
        let dev = self.link(netns, name).map_err(|_| format!("Interface name {name} not found"))?;
        match (in_sandbox, interface.sandbox.is_empty()) {
            (true, true) => Err(format!("Interface {name} is expected to be in a sandbox").into()),
            (false, false) => Err(format!("Interface {name} should not be in sandbox").into()),
            _ => Ok(dev),
        }
    }

    fn validate_bridge(&self, conf: &Conf, interface: &Interface) -> Done<DevId> {
        let dev = self.validate_interface(self.host(), interface, false)?;
        let (name, mac) = (&interface.name, &interface.mac);
        if self.kind(dev) != "bridge" {
            return Err(format!("Interface {name} does not have link type of bridge").into());
        }
        if !mac.is_empty() && *mac != self.mac(dev) {
            return Err(format!("Bridge interface {name} Mac doesn't match: {mac}").into());
        }
        let is_promisc = self.kernel(|kernel| kernel.devs[dev].promiscuity != 0);
        if is_promisc != conf.promisc_mode {
            let wanted = conf.promisc_mode;
            let text = format!(
                "Bridge interface {name} configured Promisc Mode {wanted} doesn't match current state: {is_promisc} "
            );
            return Err(text.into());
        }
        Ok(dev)
    }

    fn validate_container(&self, netns: NetnsId, interface: &Interface) -> Done<DevId> {
        let dev = self.validate_interface(netns, interface, true)?;
        let (name, mac, own) = (&interface.name, &interface.mac, self.mac(dev));
        if self.kind(dev) != "veth" {
            return Err(format!("Error: Container interface {name} not of type veth").into());
        }
        if !mac.is_empty() && *mac != own {
            return Err(format!("Interface {name} Mac {mac} doesn't match container Mac: {own}").into());
        }
        Ok(dev)
    }

    /// The device is the port that belongs to the one in the container.
    fn is_port_of(&self, interface: &Interface, bridge: DevId, inside: DevId) -> Done<bool> {
        let dev = self.validate_interface(self.host(), interface, false)?;
        let (name, mac) = (&interface.name, &interface.mac);
        let master = self.kernel(|kernel| kernel.devs[dev].master());
        if self.kind(dev) != "veth" || self.peer(dev) != Some(inside) || master != Some(bridge) {
            return Ok(false);
        }
        if !mac.is_empty() && *mac != self.mac(dev) {
            return Err(format!("Interface {name} Mac doesn't match: {mac} not found").into());
        }
        Ok(true)
    }
}

/// Every address is the container's and has a gateway; the bridge gets the gateways' addresses.
fn calc_gateways(conf: &Conf, result: &mut CniResult) -> Vec<IpNet> {
    let default = IpNet { ip: std::net::Ipv4Addr::UNSPECIFIED, len: 0 };
    let mut gateways = Vec::new();
    let mut has_default = false;
    for ip in &mut result.ips {
        ip.interface = Some(2);
        if conf.is_gw && ip.gateway.is_none() {
            ip.gateway = Some(next_ip(ip.address.network()));
        }
        if conf.is_default_gw && !has_default {
            let is_there = result.routes.iter().any(|route| route.gw.is_some() && route.dst == default);
            if !is_there {
                result.routes.push(Route { dst: default, gw: ip.gateway, has_long_mask: true });
            }
            has_default = true;
        }
        gateways.extend(ip.gateway.filter(|_| conf.is_gw).map(|gateway| IpNet { ip: gateway, ..ip.address }));
    }
    gateways
}

async fn cmd_check(cmd: &mut Cmd<'_>) -> Done<String> {
    let conf = Conf::read(cmd)?;
    let netns = cmd.container()?;
    cmd.ipam_check(&conf.net.ipam).await?;
    let result = conf.net.prev("Required prevResult missing")?;
    let (mut bridge, mut inside) = (Interface::default(), Interface::default());
    for interface in &result.interfaces {
        if interface.name == conf.br_name {
            bridge = interface.clone();
        } else if interface.name == cmd.if_name && interface.sandbox == cmd.netns {
            inside = interface.clone();
        }
    }
    let bridge_dev = cmd.validate_bridge(&conf, &bridge)?;
    if cmd.netns != inside.sandbox {
        let text =
            format!("Sandbox in prevResult {} doesn't match configured netns: {}", inside.sandbox, cmd.netns);
        return Err(text.into());
    }
    let inside_dev = cmd.validate_container(netns, &inside)?;
    let mut is_found = false;
    for interface in &result.interfaces {
        if interface.name != bridge.name && interface.name != inside.name {
            is_found = cmd.is_port_of(interface, bridge_dev, inside_dev)?;
            if is_found {
                break;
            }
        }
    }
    if !is_found {
        return Err(format!("CNI veth created for bridge {} was not found", conf.br_name).into());
    }
    cmd.validate_ips(netns, &cmd.if_name, &result.ips)?;
    cmd.validate_routes(netns, &result.routes)?;
    Ok(String::new())
}

async fn cmd_del(cmd: &mut Cmd<'_>) -> Done<String> {
    let conf = Conf::read(cmd)?;
    let has_ipam = !conf.net.ipam.is_empty();
    // A container that is gone has no devices.
    let addresses = match cmd.netns_at(&cmd.netns) {
        Ok(netns) => cmd.del_link_by_name(netns, &cmd.if_name)?,
        Err(_) => Vec::new(),
    };
    if has_ipam {
        cmd.ipam_del(&conf.net.ipam).await?;
    }
    if has_ipam && conf.ip_masq {
        let chain = chain_name(&conf.net.name, &cmd.container_id);
        let comment = comment(&conf.net.name, &cmd.container_id);
        for address in addresses {
            cmd.teardown_ip_masq(address, &chain, &comment).await?;
        }
    }
    Ok(String::new())
}
