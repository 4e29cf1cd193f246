//! Devices, addresses and routes, as plugins ask the kernel for them (`pkg/ip`, `pkg/ipam`, `pkg/ns` of the plugins).

use std::net::Ipv4Addr;

use glassnet_kernel::drivers::veth::VethOptions;
use glassnet_kernel::ids::{DevId, NetnsId};
use glassnet_kernel::net::core::dev::MAX_NAME;
use glassnet_kernel::net::core::rtnetlink::{LinkNew, LinkSet, do_setlink, rtm_dellink, rtm_newlink};
use glassnet_kernel::net::ipv4::devinet::{dump_addrs, rtm_deladdr, rtm_newaddr};
use glassnet_kernel::net::ipv4::fib_frontend::{dump_routes, rtm_newroute};
use glassnet_kernel::netlink::{Errno, NLM_F_CREATE, NLM_F_EXCL};
use glassnet_kernel::tables::inet_types::AddrMsg;
use glassnet_kernel::tables::route_types::{NexthopMsg, RTPROT_BOOT, RouteMsg, Scope};
use glassnet_wire::Mac;

use super::error::{Done, refusal};
use super::skel::Cmd;
use super::types::{CniResult, Interface, IpConfig, IpNet, Route};
use crate::nsenter::netns_by_path;
use crate::procfs;

/// How often a name is drawn for a veth.
const NAMES: usize = 10;
/// Longest prefix of a network with a broadcast address.
const MAX_BROADCAST_PREFIX: u8 = 30;

/// What a veth is to be.
#[derive(Clone, Copy, Default)]
pub(super) struct VethRequest<'a> {
    /// The name inside.
    pub name: &'a str,
    /// 0: the kernel's.
    pub mtu: i64,
    /// The address inside; empty: the kernel's.
    pub mac: &'a str,
}

/// Reads a MAC address.
pub(super) fn parse_mac(text: &str) -> Result<Mac, String> {
    let bytes: Option<Vec<u8>> = text
        .split([':', '-'])
        .map(|byte| u8::from_str_radix(byte, 16).ok().filter(|_| byte.len() == 2))
        .collect();
    let mac = bytes.and_then(|bytes| bytes.try_into().ok()).map(Mac);
    mac.ok_or_else(|| format!("address {text}: invalid MAC address"))
}

impl Cmd<'_> {
    /// The namespace in which the plugin was called.
    pub(super) fn host(&self) -> NetnsId {
        self.process.netns
    }

    /// The namespace at a path.
    pub(super) fn netns_at(&self, path: &str) -> Result<NetnsId, String> {
        netns_by_path(self.process, path)
            .ok_or_else(|| format!("failed to Statfs {path:?}: no such file or directory"))
    }

    /// The container's namespace.
    pub(super) fn container(&self) -> Result<NetnsId, String> {
        let path = &self.netns;
        self.netns_at(path).map_err(|error| format!("failed to open netns {path:?}: {error}"))
    }

    /// The device of this name.
    pub(super) fn link(&self, netns: NetnsId, name: &str) -> Result<DevId, String> {
        self.kernel(|kernel| kernel.dev_by_name(netns, name)).ok_or_else(|| "Link not found".to_owned())
    }

    /// The same, with a message about what was looked for.
    pub(super) fn lookup(&self, netns: NetnsId, name: &str) -> Result<DevId, String> {
        self.link(netns, name).map_err(|error| format!("failed to lookup {name:?}: {error}"))
    }

    /// Makes a device.
    pub(super) fn add_link(&self, netns: NetnsId, new: LinkNew) -> Result<DevId, String> {
        if new.name.as_ref().is_some_and(|name| name.len() > MAX_NAME) {
            return Err("numerical result out of range".to_owned());
        }
        self.enter(|cx| rtm_newlink(cx, netns, new)).map_err(refusal)
    }

    /// Changes a device.
    pub(super) fn set_link(&self, dev: DevId, set: LinkSet) -> Result<(), String> {
        self.enter(|cx| do_setlink(cx, dev, set)).map_err(refusal)
    }

    pub(super) fn set_up(&self, dev: DevId) -> Result<(), String> {
        self.set_link(dev, LinkSet { up: Some(true), ..LinkSet::default() })
    }

    pub(super) fn delete_link(&self, dev: DevId) -> Result<(), String> {
        self.enter(|cx| rtm_dellink(cx, dev)).map_err(refusal)
    }

    pub(super) fn mac(&self, dev: DevId) -> String {
        self.kernel(|kernel| kernel.devs[dev].addr.to_string())
    }

    /// A name that chance makes, for a device of a namespace.
    pub(super) fn random_veth_name(&self, netns: NetnsId) -> String {
        self.enter(|cx| {
            if let Some(scripted) = cx.k.scripted_name(netns) {
                return scripted.to_owned();
            }
            let mut bytes = [0; 4];
            cx.dice.fill(&mut bytes);
            format!("veth{:08x}", u32::from_be_bytes(bytes))
        })
    }

    /// The device of a drawn name is there: the next one gets another.
    pub(super) fn named(&self, name: &str) {
        self.enter(|cx| cx.k.scripted_names.retain(|(_, scripted)| scripted != name));
    }

    /// Makes a veth: one end in the container, the other, with a drawn name, in the host (`SetupVeth`). Returns both, the container's
    /// first.
    pub(super) fn setup_veth(
        &self,
        request: VethRequest,
        container: NetnsId,
        host: NetnsId,
    ) -> Done<(DevId, DevId)> {
        let failed = |error: String| format!("failed to make veth pair: {error}");
        let address = Some(request.mac).filter(|mac| !mac.is_empty()).map(parse_mac).transpose();
        let address = address.map_err(failed)?;
        for _ in 0..NAMES {
            let peer = self.random_veth_name(host);
            let new = |name: &str, netns, address| LinkNew {
                name: Some(name.to_owned()),
                set: LinkSet { netns: Some(netns), address, ..sized(request.mtu) },
                ..LinkNew::default()
            };
            let options = VethOptions { peer: new(&peer, host, None) };
            let mut own = new(request.name, container, address);
            own.set.info = Some(options.into());
            match self.add_link(container, own) {
                Ok(inside) => {
                    self.named(&peer);
                    let outside = self.link(host, &peer)?;
                    self.set_up(outside).map_err(|error| format!("failed to set {peer:?} up: {error}"))?;
                    return Ok((inside, outside));
                }
                Err(error) if error == "file exists" => {
                    if self.link(host, &peer).is_ok() {
                        continue;
                    }
                    let name = request.name;
                    return Err(format!("container veth name provided ({name}) already exists").into());
                }
                Err(error) => return Err(failed(error).into()),
            }
        }
        Err("failed to find a unique veth name".into())
    }

    /// A device as a result has it.
    pub(super) fn interface(&self, dev: DevId, sandbox: &str) -> Interface {
        let name = self.kernel(|kernel| kernel.devs[dev].name.clone());
        Interface { name, mac: self.mac(dev), sandbox: sandbox.to_owned() }
    }

    /// Adds an address as the library does, with the broadcast address of its network.
    pub(super) fn add_addr(&self, netns: NetnsId, dev: DevId, address: IpNet) -> Result<(), String> {
        let broadcast = (address.len <= MAX_BROADCAST_PREFIX).then(|| address.broadcast());
        let msg = AddrMsg { broadcast, peer: Some(address.ip), ..AddrMsg::new(dev, address.ip, address.len) };
        self.enter(|cx| rtm_newaddr(cx, netns, &msg, NLM_F_CREATE | NLM_F_EXCL)).map_err(refusal)
    }

    pub(super) fn del_addr(&self, netns: NetnsId, addr: &AddrMsg) -> Result<(), String> {
        self.enter(|cx| rtm_deladdr(cx, netns, addr)).map_err(refusal)
    }

    /// The addresses of a device.
    pub(super) fn addrs(&self, netns: NetnsId, dev: DevId) -> Vec<AddrMsg> {
        let now = self.process.now();
        let mut all = self.kernel(|kernel| dump_addrs(kernel, netns, now));
        all.retain(|addr| addr.dev == dev);
        all
    }

    /// Adds a route; `more` are further flags of the request.
    pub(super) fn add_route(&self, netns: NetnsId, route: &RouteMsg, more: u16) -> Result<(), String> {
        self.enter(|cx| rtm_newroute(cx, netns, route, NLM_F_CREATE | more)).map_err(refusal)
    }

    /// The routes of the main table.
    pub(super) fn routes(&self, netns: NetnsId, table: u32) -> Vec<RouteMsg> {
        let mut all = self.kernel(|kernel| dump_routes(kernel, netns));
        all.retain(|route| route.table == table);
        all
    }

    /// Gives a device in the container its addresses and routes, and sets it up (`ConfigureIface`).
    pub(super) fn configure_iface(&self, netns: NetnsId, name: &str, result: &CniResult) -> Done {
        if result.interfaces.is_empty() {
            return Err("no interfaces to configure".into());
        }
        let dev = self.lookup(netns, name)?;
        let mut gateway = None;
        for ip in result.ips.iter().filter(|ip| ip.interface.is_some()) {
            let go = || format!("failed to add IP addr {} to {name:?}", go_ip(ip));
            let own = ip.interface.and_then(|at| result.interfaces.get(at)).filter(|own| own.name == name);
            if own.is_none() {
                return Err(format!("{}: invalid interface index", go()).into());
            }
            self.add_addr(netns, dev, ip.address).map_err(|error| format!("{}: {error}", go()))?;
            gateway = gateway.or(ip.gateway);
        }
        self.set_up(dev).map_err(|error| format!("failed to set {name:?} UP: {error}"))?;
        for route in &result.routes {
            let via = route.gw.or(gateway);
            let msg = route_to(route.dst, dev, via, Scope::UNIVERSE);
            self.add_route(netns, &msg, 0).map_err(|error| {
                let (dst, via) = (go_dst(route), via.map_or("<nil>".to_owned(), |via| via.to_string()));
                format!("failed to add route '{dst} via {via} dev {name}': {error}")
            })?;
        }
        Ok(())
    }

    /// Deletes a device of the container, and returns its addresses (`DelLinkByNameAddr`); none if there is no such device.
    pub(super) fn del_link_by_name(&self, netns: NetnsId, name: &str) -> Done<Vec<IpNet>> {
        let Ok(dev) = self.link(netns, name) else { return Ok(Vec::new()) };
        let addrs = self.addrs(netns, dev);
        self.delete_link(dev).map_err(|error| format!("failed to delete {name:?}: {error}"))?;
        let is_global = |ip: &Ipv4Addr| {
            !ip.is_loopback()
                && !ip.is_link_local()
                && !ip.is_multicast()
                && !ip.is_unspecified()
                && !ip.is_broadcast()
        };
        let address = |addr: AddrMsg| IpNet { ip: addr.local, len: addr.prefix_len };
        Ok(addrs.into_iter().map(address).filter(|address| is_global(&address.ip)).collect())
    }

    /// A file below `/proc/sys`, as a namespace sees it.
    pub(super) fn read_proc(&self, netns: NetnsId, path: &str) -> Result<String, String> {
        let world = self.process.world();
        let caller = procfs::Caller { netns, ..self.process.caller(&world) };
        procfs::read(&world, caller, path).map_err(|errno| refused("open", path, errno))
    }

    pub(super) fn write_proc(&self, netns: NetnsId, path: &str, text: &str) -> Result<(), String> {
        let mut world = self.process.world();
        let caller = procfs::Caller { netns, ..self.process.caller(&world) };
        procfs::node(&world, caller, path).map_err(|errno| refused("open", path, errno))?;
        procfs::write(&mut world, caller, path, text).map_err(|errno| refused("write", path, errno))
    }

    /// Lets the host forward.
    pub(super) fn enable_forward(&self, failed: &str) -> Done {
        const FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";
        if self.read_proc(self.host(), FORWARD).is_ok_and(|text| text.trim() == "1") {
            return Ok(());
        }
        let written = self.write_proc(self.host(), FORWARD, "1");
        Ok(written.map_err(|error| format!("{failed}: {error}"))?)
    }

    /// A new device tells others of its address.
    pub(super) fn notify_arp(&self, netns: NetnsId, name: &str) {
        // One that cannot is as good.
        let _ = self.write_proc(netns, &format!("/proc/sys/net/ipv4/conf/{name}/arp_notify"), "1");
    }

    /// The addresses of a result are those of the device (`ValidateExpectedInterfaceIPs`).
    pub(super) fn validate_ips(&self, netns: NetnsId, name: &str, ips: &[IpConfig]) -> Done {
        for ip in ips {
            let dev = self.link(netns, name).map_err(|_| format!("Cannot find container link {name}"))?;
            let address = ip.address;
            let has = |addr: &AddrMsg| addr.local == address.ip && addr.prefix_len == address.len;
            if !self.addrs(netns, dev).iter().any(has) {
                return Err(format!("Failed to match addr {address} on interface {name}").into());
            }
            let to = |route: &RouteMsg| (route.dst, route.dst_len) == (address.network(), address.len);
            if !self.routes(netns, MAIN).iter().any(to) {
                let gateway = ip.gateway.map_or("<nil>".to_owned(), |gateway| gateway.to_string());
                return Err(format!("Failed to find Gateway {gateway} for interface {name}").into());
            }
        }
        Ok(())
    }

    /// The routes of a result are there (`ValidateExpectedRoute`).
    pub(super) fn validate_routes(&self, netns: NetnsId, routes: &[Route]) -> Done {
        let present = self.routes(netns, MAIN);
        for route in routes {
            let is_default = route.dst.ip.is_unspecified() && route.dst.len == 0;
            let is_it = |found: &RouteMsg| {
                (found.dst, found.dst_len) == (route.dst.ip, route.dst.len)
                    && (is_default || found.nexthops.first().and_then(|hop| hop.via) == route.gw)
            };
            if !present.iter().any(is_it) {
                return Err(format!("Expected Route {} not found in routing table", route.go()).into());
            }
        }
        Ok(())
    }

    /// The name of a device.
    pub(super) fn name(&self, dev: DevId) -> String {
        self.kernel(|kernel| kernel.devs[dev].name.clone())
    }

    /// What kind of device it is.
    pub(super) fn kind(&self, dev: DevId) -> &'static str {
        self.kernel(|kernel| kernel.devs[dev].ops.kind.unwrap_or("device"))
    }

    /// The other end of a veth.
    pub(super) fn peer(&self, dev: DevId) -> Option<DevId> {
        self.kernel(|kernel| kernel.devs[dev].link)
    }
}

/// A file of `/proc/sys` that cannot be read or written; of one that is not modelled that is told.
fn refused(what: &str, path: &str, errno: Errno) -> String {
    match errno {
        Errno::EOPNOTSUPP => format!("not modelled yet: {path}"),
        _ => format!("{what} {path}: {}", refusal(errno)),
    }
}

/// `RT_TABLE_MAIN`.
pub(super) use glassnet_kernel::tables::route_types::RT_TABLE_MAIN as MAIN;

/// A new device's settings that plugins give: they say 0 for the transmit queue's length, and an MTU only if they have one.
pub(super) fn sized(mtu: i64) -> LinkSet {
    let mtu = u32::try_from(mtu).ok().filter(|mtu| *mtu > 0);
    LinkSet { mtu, txqueuelen: Some(0), ..LinkSet::default() }
}

/// A route as the library asks for it.
pub(super) fn route_to(dst: IpNet, dev: DevId, via: Option<Ipv4Addr>, scope: Scope) -> RouteMsg {
    let nexthops = vec![NexthopMsg { dev: Some(dev), via, ..NexthopMsg::default() }];
    let (dst, dst_len) = (dst.ip, dst.len);
    RouteMsg { table: MAIN, dst, dst_len, scope, protocol: RTPROT_BOOT, nexthops, ..RouteMsg::default() }
}

/// An address as Go prints the struct, without its number in the heap.
fn go_ip(ip: &IpConfig) -> String {
    let gateway = ip.gateway.map_or("<nil>".to_owned(), |gateway| gateway.to_string());
    format!(
        "{{Interface:{} Address:{} Gateway:{gateway}}}",
        ip.interface.unwrap_or_default(),
        ip.address.go()
    )
}

/// A destination as Go prints it.
fn go_dst(route: &Route) -> String {
    let before = if route.has_long_mask { "00000000000000000000ffff" } else { "" };
    format!("{{{} {before}{:08x}}}", route.dst.ip, route.dst.mask().to_bits())
}
