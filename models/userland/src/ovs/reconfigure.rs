//! What the database says becomes so: bridges, their ports, and how ports have VLANs (`vswitchd/bridge.c`).

use glassnet_kernel::Cx;
use glassnet_kernel::ids::DevId;
use glassnet_kernel::net::core::dev::dev_set_mac_address;
use glassnet_kernel::net::core::rtnetlink::{LinkNew, LinkSet, rtm_dellink, rtm_newlink};
use glassnet_kernel::net::ethernet::eth::eth_hw_addr_random;
use glassnet_kernel::net::openvswitch::conntrack::ovs_ct_probe_timeout;
use glassnet_kernel::net::openvswitch::datapath::{
    ovs_dp_cmd_del, ovs_dp_cmd_new, ovs_dp_set_upcall, ovs_vport_cmd_del, ovs_vport_cmd_new,
};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::openvswitch::{DpId, VportType};
use glassnet_wire::Mac;

use super::ofproto::{Bridge, MAC_IDLE, OfPort, VlanMode, Vport, VportKind};
use super::ovsdb::{PortRow, Row};
use super::ports::LOCAL;
use super::tunnel::{self, TunnelConfig, parse_patch};
use super::vswitchd::{DATAPATH, Vswitchd};

/// The MTU that the daemon asks for, bytes.
const TUNNEL_MTU: u32 = 65_000;

impl Vswitchd {
    /// Makes what the database says.
    pub fn reconfigure(&mut self, cx: &mut Cx) {
        self.remove_what_is_not_wanted(cx);
        if self.db.bridges.is_empty() {
            if let Some(dp) = self.dp.take() {
                ovs_dp_cmd_del(cx, dp);
                self.forget_flows();
            }
            return;
        }
        let Some(dp) = self.datapath(cx) else { return };
        let wanted: Vec<(String, bool)> = self
            .db
            .bridges
            .iter()
            .map(|(name, row)| (name.clone(), row.bridge.one("fail_mode") == Some("secure")))
            .collect();
        for (name, is_secure) in wanted {
            let bridge =
                self.bridges.entry(name.clone()).or_insert_with(|| Bridge::new(&name, is_secure, cx.now));
            if bridge.is_secure != is_secure {
                bridge.set_fail_mode(is_secure, cx.now);
            }
            self.add_ports(cx, dp, &name);
            self.configure(cx, &name);
        }
    }

    /// The datapath; one that is there is taken over, without its flows.
    fn datapath(&mut self, cx: &mut Cx) -> Option<DpId> {
        if let Some(dp) = self.dp {
            return Some(dp);
        }
        let there = cx.k.datapaths.of(self.netns).find(|(_, dp)| dp.name == DATAPATH).map(|(id, _)| id);
        let dp = match there {
            Some(dp) => dp,
            None => ovs_dp_cmd_new(cx, self.netns, DATAPATH).ok()?,
        };
        if let Some(dp) = cx.k.datapaths.get_mut(dp) {
            dp.table.flush();
        }
        ovs_dp_set_upcall(cx, dp, true);
        ovs_ct_probe_timeout(cx);
        self.dp = Some(dp);
        self.dp
    }

    fn remove_what_is_not_wanted(&mut self, cx: &mut Cx) {
        let Some(dp) = self.dp else { return };
        let mut lost: Vec<u32> = Vec::new();
        for (name, bridge) in &mut self.bridges {
            let row = self.db.bridge(name);
            let is_wanted = |port: &OfPort| {
                let row = row.and_then(|row| row.ports.iter().find(|other| other.0 == port.name));
                let wanted = row.and_then(|row| wanted(&row.1, &port.name, name).ok());
                wanted.is_some_and(|wanted| wanted.is(port))
            };
            let gone: Vec<(u32, Option<u32>)> = bridge
                .ports
                .iter()
                .filter(|(_, port)| !is_wanted(port))
                .map(|(number, port)| (*number, port.dp_port))
                .collect();
            for (number, dp_port) in gone {
                bridge.remove_port(number);
                lost.extend(dp_port);
            }
        }
        let db = &self.db;
        self.bridges.retain(|name, _| db.bridge(name).is_some());
        self.remove_vports(cx, dp, lost);
    }

    /// Removes ports of the datapath that no port is any more. The device of a tunnel stays while another tunnel uses it.
    fn remove_vports(&mut self, cx: &mut Cx, dp: DpId, mut lost: Vec<u32>) {
        let bridges = &self.bridges;
        let is_used = |lost: u32| {
            bridges.values().any(|bridge| bridge.ports.values().any(|port| port.dp_port == Some(lost)))
        };
        lost.retain(|lost| !is_used(*lost));
        for dp_port in lost {
            let dev = self.device(cx.k, dp_port);
            // Its device may have taken it along.
            let _ = ovs_vport_cmd_del(cx, dp, dp_port);
            if let Some(dev) = dev.filter(|dev| is_tunnel_device(cx, *dev)) {
                let _ = rtm_dellink(cx, dev);
            }
        }
    }

    /// A tunnel or a patch is set anew; it keeps its number.
    fn change_vport(&mut self, cx: &mut Cx, dp: DpId, (bridge, name): (&str, &str), kind: VportKind) {
        let dp_port = match &kind {
            VportKind::Tunnel(tunnel) => self.add_tunnel(cx, dp, name, tunnel).map(Some),
            VportKind::Patch(_) => Ok(None),
        };
        let Some(bridge) = self.bridges.get_mut(bridge) else { return };
        let Some((number, port)) = bridge.ports.iter_mut().find(|(_, port)| port.name == name) else {
            return;
        };
        let (number, before) = (*number, port.dp_port);
        bridge.need_revalidate = true;
        match dp_port {
            Ok(dp_port) => {
                port.dp_port = dp_port;
                port.vport.iter_mut().for_each(|vport| vport.kind = kind.clone());
            }
            Err(error) => {
                bridge.remove_port(number);
                self.port_failed(name, &error);
            }
        }
        self.remove_vports(cx, dp, before.into_iter().collect());
    }

    fn add_ports(&mut self, cx: &mut Cx, dp: DpId, name: &str) {
        let rows = self.db.bridge(name).map(|row| row.ports.clone()).unwrap_or_default();
        for (port, row) in rows {
            let Some(bridge) = self.bridges.get(name) else { return };
            if let Some(before) = bridge.ports.values().find(|other| other.name == port) {
                let before = before.vport.as_ref().map(|vport| vport.kind.clone());
                if let (Some(before), Ok(Wanted::Vport(kind))) = (before, wanted(&row, &port, name))
                    && before != kind
                {
                    self.change_vport(cx, dp, (name, &port), kind);
                }
                continue;
            }
            let added = wanted(&row, &port, name).and_then(|wanted| {
                let dp_port = match &wanted {
                    Wanted::Device(is_internal) => Some(add_vport(cx, dp, &port, *is_internal)?),
                    Wanted::Vport(VportKind::Tunnel(tunnel)) => Some(self.add_tunnel(cx, dp, &port, tunnel)?),
                    Wanted::Vport(VportKind::Patch(_)) => None,
                };
                Ok((wanted, dp_port))
            });
            match added {
                Ok((wanted, dp_port)) => {
                    let is_internal = matches!(wanted, Wanted::Device(true));
                    let vport = match wanted {
                        Wanted::Device(_) => None,
                        Wanted::Vport(kind) => {
                            let mac = eth_hw_addr_random(cx, self.netns, &port);
                            Some(Vport { kind, mac, rx: (0, 0), tx: (0, 0) })
                        }
                    };
                    self.add_port(name, &port, &row.interface, (dp_port, is_internal, vport));
                }
                Err(error) => self.port_failed(&port, &error),
            }
        }
    }

    /// The datapath's port for a tunnel, with its device, which tunnels of a kind and port share.
    fn add_tunnel(
        &mut self,
        cx: &mut Cx,
        dp: DpId,
        name: &str,
        tunnel: &TunnelConfig,
    ) -> Result<u32, String> {
        let others = self.bridges.values().flat_map(|bridge| bridge.ports.values());
        let mut all = others.filter(|port| port.name != name).filter_map(OfPort::tunnel);
        if all.any(|other| other.collides(tunnel)) {
            return Err(format!("could not add network device {name} to ofproto (File exists)"));
        }
        let device = tunnel.device();
        if cx.k.dev_by_name(self.netns, &device).is_none() {
            let set = LinkSet {
                info: Some(tunnel.kind.link(tunnel.dst_port)),
                mtu: Some(TUNNEL_MTU),
                up: Some(true),
                ..LinkSet::default()
            };
            let new = LinkNew { name: Some(device.clone()), set, ..LinkNew::default() };
            rtm_newlink(cx, self.netns, new).map_err(|refused| {
                format!("could not add network device {name} to ofproto ({})", refused.errno.strerror())
            })?;
        }
        add_vport(cx, dp, &device, false)
    }

    fn add_port(
        &mut self,
        bridge: &str,
        name: &str,
        interface: &Row,
        (dp_port, is_internal, vport): (Option<u32>, bool, Option<Vport>),
    ) {
        self.added += 1;
        let added = self.added;
        let Some(bridge) = self.bridges.get_mut(bridge) else { return };
        let asked = interface.one("ofport_request").and_then(|port| port.parse().ok());
        let asked = asked.filter(|port| !bridge.ports.contains_key(port));
        let number = if name == bridge.name { Some(LOCAL) } else { asked.or_else(|| bridge.alloc_port()) };
        let Some(number) = number else { return };
        let port = OfPort {
            name: name.to_owned(),
            dp_port,
            is_internal,
            vport,
            vlan_mode: VlanMode::Trunk,
            tag: 0,
            trunks: Default::default(),
            added,
        };
        bridge.ports.insert(number, port);
        bridge.need_revalidate = true;
        if let Some(row) = self.db.port_mut(name) {
            row.interface.put("error", None);
            row.interface.put("ofport", Some(number.to_string()));
        }
    }

    /// Settings of ports and of the bridge, and what the database is told of them.
    fn configure(&mut self, cx: &mut Cx, name: &str) {
        let Some(row) = self.db.bridge(name).cloned() else { return };
        let Some(bridge) = self.bridges.get_mut(name) else { return };
        let aging = row.bridge.map("other_config").get("mac-aging-time").and_then(|time| time.parse().ok());
        bridge.mac_idle = aging.unwrap_or(MAC_IDLE);
        for (number, port) in &mut bridge.ports {
            let Some((_, row)) = row.ports.iter().find(|row| row.0 == port.name) else { continue };
            let before = (port.vlan_mode, port.tag, port.trunks.clone());
            (port.vlan_mode, port.tag) = vlans(&row.port);
            port.trunks = row.port.all("trunks").iter().filter_map(|vid| vid.parse().ok()).collect();
            if before != (port.vlan_mode, port.tag, port.trunks.clone()) {
                // Stations behind it may be in another VLAN now.
                bridge.macs.retain(|entry| entry.port != *number);
                bridge.need_revalidate = true;
            }
        }
        let devices: Vec<(u32, String, DevId)> = self.bridges[name]
            .ports
            .iter()
            .filter(|(_, port)| port.vport.is_none())
            .filter_map(|(number, port)| {
                Some((*number, port.name.clone(), self.device(cx.k, port.dp_port?)?))
            })
            .collect();
        let vports: Vec<(String, Mac)> = self.bridges[name]
            .ports
            .values()
            .filter_map(|port| Some((port.name.clone(), port.vport.as_ref()?.mac)))
            .collect();
        for (port, mac) in vports {
            if let Some(row) = self.db.port_mut(&port) {
                row.interface.put("mac_in_use", Some(mac.to_string()));
            }
        }
        let local = devices.iter().find(|row| row.0 == LOCAL).map(|row| row.2);
        if let Some(local) = local {
            let asked = row.bridge.map("other_config").get("hwaddr").and_then(|mac| mac.parse().ok());
            let bridge = self.bridges.get_mut(name);
            let own = bridge.map(|bridge| *bridge.default_ea.get_or_insert(cx.k.devs[local].addr));
            pick_local_hw_addr(cx, local, asked, own, devices.iter().map(|row| row.2));
            let dpid = cx.k.devs[local].addr.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            if let Some(row) = self.db.bridge_mut(name) {
                row.bridge.put("datapath_id", Some(format!("0000{dpid}")));
            }
        }
        for (_, port, dev) in devices {
            let (mac, mtu) = (cx.k.devs[dev].addr, cx.k.devs[dev].mtu);
            if let Some(row) = self.db.port_mut(&port) {
                row.interface.put("mac_in_use", Some(mac.to_string()));
                row.interface.put("mtu", Some(mtu.to_string()));
            }
        }
    }
}

/// What a port is to be.
enum Wanted {
    /// A device; the datapath makes it, or it is there.
    Device(bool),
    /// None.
    Vport(VportKind),
}

impl Wanted {
    /// The port is that, perhaps set otherwise.
    fn is(&self, port: &OfPort) -> bool {
        match (self, &port.vport) {
            (Wanted::Device(is_internal), None) => port.is_internal == *is_internal,
            (Wanted::Vport(kind), Some(vport)) => kind.is_like(&vport.kind),
            _ => false,
        }
    }
}

/// What the database says that a port is to be, or what is wrong with it.
fn wanted(row: &PortRow, port: &str, bridge: &str) -> Result<Wanted, String> {
    let options = row.interface.map("options");
    match row.interface.one("type") {
        _ if port == bridge => Ok(Wanted::Device(true)),
        Some("internal") => Ok(Wanted::Device(true)),
        None | Some("system") => Ok(Wanted::Device(false)),
        Some("patch") => parse_patch(port, &options).map(|peer| Wanted::Vport(VportKind::Patch(peer))),
        Some(kind) => match tunnel::KINDS.iter().find(|row| row.0 == kind) {
            Some((_, kind)) => TunnelConfig::parse(port, *kind, &options)
                .map(|tunnel| Wanted::Vport(VportKind::Tunnel(tunnel))),
            None => {
                let why = "Address family not supported by protocol";
                Err(format!("could not open network device {port} ({why})"))
            }
        },
    }
}

/// The daemon made the device, for tunnels.
fn is_tunnel_device(cx: &Cx, dev: DevId) -> bool {
    let name = cx.k.devs.get(dev).map_or("", |dev| dev.name.as_str());
    name.starts_with("vxlan_sys_") || name.starts_with("genev_sys_") || name == "gre_sys"
}

/// Adds a device to the datapath, unless it is there; what the database is told if that fails.
fn add_vport(cx: &mut Cx, dp: DpId, name: &str, is_internal: bool) -> Result<u32, String> {
    let ports = cx.k.datapaths.get(dp).map(|dp| dp.ports.values().copied().collect::<Vec<_>>());
    let there = ports
        .unwrap_or_default()
        .into_iter()
        .find(|port| cx.k.devs.get(port.dev).is_some_and(|dev| dev.name == name));
    if let Some(port) = there {
        return Ok(port.port_no);
    }
    let kind = if is_internal { VportType::Internal } else { VportType::Netdev };
    ovs_vport_cmd_new(cx, dp, kind, name).map_err(|refused| match refused.errno {
        Errno::ENODEV => format!("could not open network device {name} (No such device)"),
        errno => format!("could not add network device {name} to ofproto ({})", errno.strerror()),
    })
}

/// How a port has VLANs: as it says, or by whether it has a tag.
fn vlans(port: &Row) -> (VlanMode, u64) {
    let tag = port.one("tag").and_then(|tag| tag.parse().ok());
    let mode = match (port.one("vlan_mode"), tag) {
        (Some("access"), _) | (None, Some(_)) => VlanMode::Access,
        (Some("native-tagged"), _) => VlanMode::NativeTagged,
        (Some("native-untagged"), _) => VlanMode::NativeUntagged,
        _ => VlanMode::Trunk,
    };
    (mode, tag.unwrap_or(0))
}

/// The bridge's own device has the address that is asked for, else the lowest of a port that was made with one, else the one that
/// the bridge began with, whatever a user sets (`bridge_pick_local_hw_addr`).
fn pick_local_hw_addr(
    cx: &mut Cx,
    local: DevId,
    asked: Option<Mac>,
    own: Option<Mac>,
    ports: impl Iterator<Item = DevId>,
) {
    let is_global = |mac: &Mac| mac.is_valid() && mac.0[0] & 2 == 0;
    let lowest = ports.filter(|dev| *dev != local).map(|dev| cx.k.devs[dev].addr).filter(is_global).min();
    if let Some(mac) = asked.or(lowest).or(own).filter(|mac| *mac != cx.k.devs[local].addr) {
        // A device that the datapath made takes every address.
        let _ = dev_set_mac_address(cx, local, mac);
    }
}
