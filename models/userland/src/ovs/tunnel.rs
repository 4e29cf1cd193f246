//! Ports that are no devices of the datapath: tunnels, of which all of one kind and port share a device, and patches between bridges
//! (`lib/netdev-vport.c`, `ofproto/tunnel.c`).
//!
//! Not modelled: other kinds, IPv6, options of headers.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use glassnet_kernel::drivers::geneve::GeneveOptions;
use glassnet_kernel::drivers::vxlan::vxlan_config::VxlanOptions;
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::net::ipv4::ip_tunnel::TunnelOptions;
use glassnet_kernel::tables::ip_tunnel::{IpTunnelParm, TUNNEL_CSUM, TUNNEL_DONT_FRAGMENT, TUNNEL_KEY};
use glassnet_kernel::tables::openvswitch::flow::{KeyField, SwFlowKey};

use super::field;

/// Types of interfaces that are tunnels.
pub const KINDS: [(&str, TunnelKind); 3] =
    [("vxlan", TunnelKind::Vxlan), ("geneve", TunnelKind::Geneve), ("gre", TunnelKind::Gre)];
/// TTL of outer headers (`DEFAULT_TTL`).
const DEFAULT_TTL: u8 = 64;
/// Bits of a type of service that tell of congestion, and their values.
const ECN: u64 = 3;
const ECT_0: u64 = 2;
/// Congestion was met.
const CE: u64 = 3;
/// The other bits.
const DSCP: u64 = 0xfc;

/// A kind of tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelKind {
    /// `vxlan`.
    Vxlan,
    /// `geneve`.
    Geneve,
    /// `gre`.
    Gre,
}

impl TunnelKind {
    /// The type of its interfaces.
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|row| row.1 == self).map_or("", |row| row.0)
    }

    /// The assigned port; 0: it has none.
    fn port(self) -> u16 {
        match self {
            TunnelKind::Vxlan => 4789,
            TunnelKind::Geneve => 6081,
            TunnelKind::Gre => 0,
        }
    }

    /// The device that all tunnels with this port share (`netdev_vport_get_dpif_port`).
    pub fn device(self, port: u16) -> String {
        match self {
            TunnelKind::Vxlan => format!("vxlan_sys_{port}"),
            TunnelKind::Geneve => format!("genev_sys_{port}"),
            TunnelKind::Gre => "gre_sys".to_owned(),
        }
    }

    /// How that device is made (`dpif_netlink_rtnl_create`).
    pub fn link(self, port: u16) -> LinkInfo {
        match self {
            TunnelKind::Vxlan => {
                let (port, learning) = (Some(port), Some(false));
                VxlanOptions {
                    port,
                    learning,
                    collect_md: Some(true),
                    udp_zero_csum6_rx: true,
                    ..VxlanOptions::default()
                }
                .into()
            }
            TunnelKind::Geneve => {
                GeneveOptions { port: Some(port), collect_md: true, ..GeneveOptions::default() }.into()
            }
            TunnelKind::Gre => {
                let parms = IpTunnelParm { df: true, ..IpTunnelParm::default() };
                LinkInfo::with(
                    "gretap",
                    TunnelOptions { parms, collect_md: true, ..TunnelOptions::default() },
                )
            }
        }
    }
}

/// What the packet says, or what the port says.
type OrFlow<T> = Option<T>;

/// How a tunnel's port is set (`struct netdev_tunnel_config`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelConfig {
    /// Its kind.
    pub kind: TunnelKind,
    /// The port, here and there.
    pub dst_port: u16,
    /// The other end; `None`: the flow says it.
    remote: OrFlow<Ipv4Addr>,
    /// The own address; `None`: the flow says it; unspecified: any.
    local: OrFlow<Ipv4Addr>,
    /// The number of the network of what comes in; `None`: any, which the flow gets.
    in_key: OrFlow<u64>,
    /// That of what goes out; `None`: the flow says it.
    out_key: OrFlow<u64>,
    /// A number was given for what comes in, and for what goes out.
    key_present: (bool, bool),
    /// The outer TTL; `None`: that of the packet.
    ttl: Option<u8>,
    /// The outer TOS; `None`: that of the packet.
    tos: Option<u8>,
    /// Outer headers have a checksum.
    csum: bool,
    /// Outer packets are not to be fragmented.
    df: bool,
}

impl TunnelConfig {
    /// Reads `options` of an interface (`set_tunnel_config`).
    ///
    /// # Errors
    ///
    /// What the database is told.
    pub fn parse(
        name: &str,
        kind: TunnelKind,
        options: &BTreeMap<String, String>,
    ) -> Result<TunnelConfig, String> {
        let mut errors = Vec::new();
        let of = kind.name();
        let mut config = TunnelConfig {
            kind,
            dst_port: kind.port(),
            remote: Some(Ipv4Addr::UNSPECIFIED),
            local: Some(Ipv4Addr::UNSPECIFIED),
            in_key: Some(0),
            out_key: Some(0),
            key_present: (false, false),
            ttl: Some(DEFAULT_TTL),
            tos: Some(0),
            csum: false,
            df: true,
        };
        let number = |value: &str| field::number(value).unwrap_or(0);
        for (option, value) in options {
            let or_flow = |value: &str| (value != "flow").then(|| number(value));
            match option.as_str() {
                "remote_ip" | "local_ip" => {
                    let address = if value == "flow" { Some(None) } else { value.parse().ok().map(Some) };
                    match address {
                        Some(address) if option == "remote_ip" => config.remote = address,
                        Some(address) => config.local = address,
                        None => errors.push(format!("{name}: bad {of} '{option}'")),
                    }
                }
                "dst_port" if kind != TunnelKind::Gre => config.dst_port = number(value) as u16,
                "ttl" => config.ttl = (value != "inherit").then(|| number(value) as u8),
                "tos" => config.tos = (value != "inherit").then(|| number(value) as u8),
                "csum" => config.csum = value == "true",
                "df_default" => config.df = value != "false",
                "key" | "in_key" | "out_key" => {
                    if option != "out_key" && (option == "in_key" || !options.contains_key("in_key")) {
                        (config.in_key, config.key_present.0) = (or_flow(value), true);
                    }
                    if option != "in_key" && (option == "out_key" || !options.contains_key("out_key")) {
                        (config.out_key, config.key_present.1) = (or_flow(value), true);
                    }
                }
                _ => errors.push(format!("{name}: unknown {of} argument '{option}'")),
            }
        }
        if config.remote == Some(Ipv4Addr::UNSPECIFIED) {
            errors.push(format!("{name}: {of} type requires valid 'remote_ip' argument"));
            return Err(errors.join("\n"));
        }
        Ok(config)
    }

    /// The name of its device.
    pub fn device(&self) -> String {
        self.kind.device(self.dst_port)
    }

    /// The options as `dpif/show` tells them, sorted (`get_tunnel_config`).
    pub fn format(&self) -> String {
        let mut shown = Vec::new();
        let mut show = |name: &str, value: String| shown.push(format!("{name}={value}"));
        let or_flow = |key: OrFlow<u64>| key.map_or_else(|| "flow".to_owned(), |key| key.to_string());
        if self.csum {
            show("csum", "true".to_owned());
        }
        if !self.df {
            show("df_default", "false".to_owned());
        }
        if self.dst_port != self.kind.port() {
            show("dst_port", self.dst_port.to_string());
        }
        let is_one = self.in_key == self.out_key && self.key_present.0 == self.key_present.1;
        if !is_one && self.key_present.0 {
            show("in_key", or_flow(self.in_key));
        }
        if is_one && self.key_present.0 {
            show("key", or_flow(self.in_key));
        }
        let address = |ip: OrFlow<Ipv4Addr>| ip.map_or_else(|| "flow".to_owned(), |ip| ip.to_string());
        if self.local != Some(Ipv4Addr::UNSPECIFIED) {
            show("local_ip", address(self.local));
        }
        if !is_one && self.key_present.1 {
            show("out_key", or_flow(self.out_key));
        }
        show("remote_ip", address(self.remote));
        match self.tos {
            None => show("tos", "inherit".to_owned()),
            Some(0) => {}
            Some(tos) => show("tos", format!("{tos:#x}")),
        }
        match self.ttl {
            None => show("ttl", "inherit".to_owned()),
            Some(DEFAULT_TTL) => {}
            Some(ttl) => show("ttl", ttl.to_string()),
        }
        shown.join(", ")
    }

    /// Two ports would take the same packets (`struct tnl_match`).
    pub fn collides(&self, other: &TunnelConfig) -> bool {
        let ends = |config: &TunnelConfig| (config.remote, config.local, config.in_key);
        (self.kind, self.dst_port) == (other.kind, other.dst_port) && ends(self) == ends(other)
    }

    /// How closely a packet that came by the device is meant, the closest first; `None`: it is not this port's (`tnl_find`).
    pub fn receives(&self, flow: &SwFlowKey) -> Option<(bool, bool, u8)> {
        let tunnel = flow.tunnel();
        let is_key = self.in_key.is_none_or(|key| key == tunnel.tun_id);
        let is_remote = self.remote.is_none_or(|remote| remote == tunnel.src);
        let local = match self.local {
            Some(local) if local.is_unspecified() => 1,
            Some(local) if local == tunnel.dst => 0,
            Some(_) => return None,
            None => 2,
        };
        (is_key && is_remote).then_some((self.in_key.is_none(), self.remote.is_none(), local))
    }

    /// What the outer headers of a packet are to say; the bits of it that decide are added to `wc` (`tnl_port_send`).
    pub fn send(&self, flow: &mut SwFlowKey, wc: &mut SwFlowKey) {
        let address = |ip: Ipv4Addr| u64::from(ip.to_bits());
        if let Some(local) = self.local {
            flow[KeyField::TunSrc] = address(local);
        }
        if let Some(remote) = self.remote {
            flow[KeyField::TunDst] = address(remote);
        }
        flow[KeyField::TunTpDst] = u64::from(self.dst_port);
        if let Some(key) = self.out_key {
            flow[KeyField::TunId] = key;
        }
        let is_ip = flow.is_ipv4();
        flow[KeyField::TunTtl] = match self.ttl {
            None if is_ip => {
                wc[KeyField::IpTtl] = KeyField::IpTtl.full();
                flow[KeyField::IpTtl]
            }
            ttl => u64::from(ttl.unwrap_or(DEFAULT_TTL)),
        };
        flow[KeyField::TunTos] = match self.tos {
            None if is_ip => {
                wc[KeyField::IpTos] |= DSCP;
                flow[KeyField::IpTos] & DSCP
            }
            tos => u64::from(tos.unwrap_or(0)),
        };
        if is_ip {
            wc[KeyField::IpTos] |= ECN;
            let ecn = flow[KeyField::IpTos] & ECN;
            flow[KeyField::TunTos] |= if ecn == CE { ECT_0 } else { ecn };
        }
        let bit = |is_set: bool, bit: u16| if is_set { u64::from(bit) } else { 0 };
        flow[KeyField::TunFlags] = bit(self.df, TUNNEL_DONT_FRAGMENT)
            | bit(self.csum, TUNNEL_CSUM)
            | bit(self.key_present.1, TUNNEL_KEY);
    }
}

/// The bits of outer headers that decide about every packet that came through a tunnel (`tnl_wc_init`).
pub fn tnl_wc_init(flow: &SwFlowKey, wc: &mut SwFlowKey) {
    if flow.tunnel().dst.is_unspecified() {
        return;
    }
    for field in [KeyField::TunId, KeyField::TunSrc, KeyField::TunDst, KeyField::TunTos] {
        wc[field] = field.full();
    }
    wc[KeyField::TunFlags] = u64::from(TUNNEL_DONT_FRAGMENT | TUNNEL_CSUM | TUNNEL_KEY);
    if flow.is_ipv4() && flow[KeyField::TunTos] & ECN == CE {
        wc[KeyField::IpTos] |= ECN;
    }
}

/// Tells the packet inside what the outer header tells of congestion; false: the two cannot be (`tnl_process_ecn`).
pub fn tnl_process_ecn(flow: &mut SwFlowKey) -> bool {
    let is_marked =
        !flow.tunnel().dst.is_unspecified() && flow.is_ipv4() && flow[KeyField::TunTos] & ECN == CE;
    if !is_marked {
        return true;
    }
    let can_be = flow[KeyField::IpTos] & ECN != 0;
    if can_be {
        flow[KeyField::IpTos] |= CE;
    }
    can_be
}

/// The other end of a patch.
///
/// # Errors
///
/// What the database is told.
pub fn parse_patch(name: &str, options: &BTreeMap<String, String>) -> Result<String, String> {
    match options.get("peer") {
        None => Err(format!("{name}: patch type requires valid 'peer' argument")),
        Some(_) if options.len() > 1 => Err(format!("{name}: patch type takes only a 'peer' argument")),
        Some(peer) if peer == name => Err(format!("{name}: patch peer must not be self")),
        Some(peer) => Ok(peer.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(options: &[(&str, &str)]) -> Result<TunnelConfig, String> {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        TunnelConfig::parse("vx0", TunnelKind::Vxlan, &options)
    }

    #[test]
    fn the_closest_port_takes_a_packet() {
        let exact = config(&[("remote_ip", "10.0.0.2"), ("key", "100")]).expect("a tunnel");
        let any = config(&[("remote_ip", "flow"), ("key", "flow")]).expect("a tunnel");
        let mut flow = SwFlowKey::default();
        flow[KeyField::TunId] = 100;
        flow[KeyField::TunSrc] = 0x0a00_0002;
        assert!(exact.receives(&flow) < any.receives(&flow) && exact.receives(&flow).is_some());
        flow[KeyField::TunId] = 101;
        assert_eq!(exact.receives(&flow), None);
        assert!(any.receives(&flow).is_some());
        assert_eq!(any.format(), "key=flow, remote_ip=flow");
    }

    #[test]
    fn a_tunnel_has_another_end() {
        let error = config(&[("remote_ip", "x")]).expect_err("no address");
        assert_eq!(error, "vx0: bad vxlan 'remote_ip'\nvx0: vxlan type requires valid 'remote_ip' argument");
    }
}
