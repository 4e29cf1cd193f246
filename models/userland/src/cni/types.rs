//! Results and what they are made of, in all versions of the protocol.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::json::{self, Fields, parse_ip};

/// All versions.
pub(super) const VERSIONS: &[&str] = &["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"];

/// An address with its prefix length, or a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IpNet {
    pub ip: Ipv4Addr,
    pub len: u8,
}

impl IpNet {
    /// Reads CIDR notation; bits of the host stay.
    pub(super) fn parse(text: &str) -> Result<IpNet, String> {
        let invalid = || format!("invalid CIDR address: {text}");
        let (ip, len) = text.split_once('/').ok_or_else(invalid)?;
        let ip = parse_ip(ip, invalid)?;
        let is_number = !len.is_empty() && len.bytes().all(|byte| byte.is_ascii_digit());
        let len = len.parse().ok().filter(|len| is_number && *len <= 32).ok_or_else(invalid)?;
        Ok(IpNet { ip, len })
    }

    /// The network's mask.
    pub(super) fn mask(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - u32::from(self.len)).unwrap_or(0))
    }

    /// The network's address.
    pub(super) fn network(&self) -> Ipv4Addr {
        self.ip & self.mask()
    }

    pub(super) fn contains(&self, ip: Ipv4Addr) -> bool {
        ip & self.mask() == self.network()
    }

    /// The network's last address.
    pub(super) fn broadcast(&self) -> Ipv4Addr {
        self.network() | !self.mask()
    }

    /// As Go prints the struct: `{IP:10.244.0.0 Mask:ffff0000}`.
    pub(super) fn go(&self) -> String {
        format!("{{IP:{} Mask:{:08x}}}", self.ip, self.mask().to_bits())
    }
}

impl fmt::Display for IpNet {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.len)
    }
}

impl Serialize for IpNet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The address after this one.
pub(super) fn next_ip(ip: Ipv4Addr) -> Ipv4Addr {
    Ipv4Addr::from_bits(ip.to_bits().wrapping_add(1))
}

/// A device that a plugin made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Interface {
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mac: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sandbox: String,
}

/// An address that a plugin gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IpConfig {
    /// The device, by its number in the result.
    pub interface: Option<usize>,
    pub address: IpNet,
    pub gateway: Option<Ipv4Addr>,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Route {
    pub dst: IpNet,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gw: Option<Ipv4Addr>,
    /// Its mask has sixteen bytes, which shows where Go prints it.
    #[serde(skip)]
    pub has_long_mask: bool,
}

impl Route {
    pub(super) fn read(fields: &Fields) -> Result<Route, String> {
        let dst = fields.cidr("dst")?.unwrap_or(IpNet { ip: Ipv4Addr::UNSPECIFIED, len: 0 });
        Ok(Route { dst, gw: fields.ip("gw")?, has_long_mask: false })
    }

    /// As Go prints the struct.
    pub(super) fn go(&self) -> String {
        let gw = self.gw.map_or("<nil>".to_owned(), |gw| gw.to_string());
        format!("{{Dst:{} GW:{gw}}}", self.dst.go())
    }
}

/// Name servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Dns {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub domain: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

impl Dns {
    pub(super) fn read(fields: &Fields) -> Result<Dns, String> {
        Ok(Dns {
            nameservers: fields.strings("nameservers")?,
            domain: fields.string("domain")?,
            search: fields.strings("search")?,
            options: fields.strings("options")?,
        })
    }
}

/// What a plugin made, as version 1.0.0 has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CniResult {
    pub interfaces: Vec<Interface>,
    pub ips: Vec<IpConfig>,
    pub routes: Vec<Route>,
    pub dns: Dns,
}

/// An address in a printed result.
#[derive(Serialize)]
struct PrintedIp {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<usize>,
    address: IpNet,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<Ipv4Addr>,
}

/// A result from version 0.3.0 on.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(rename = "cniVersion")]
    version: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    interfaces: &'a [Interface],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ips: Vec<PrintedIp>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    routes: &'a [Route],
    dns: &'a Dns,
}

/// An address in a result of version 0.2.0.
#[derive(Serialize)]
struct Ip4<'a> {
    ip: IpNet,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<Ipv4Addr>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    routes: &'a [Route],
}

/// A result before version 0.3.0: one address.
#[derive(Serialize)]
struct Printed020<'a> {
    #[serde(rename = "cniVersion")]
    version: &'a str,
    ip4: Ip4<'a>,
    dns: &'a Dns,
}

impl CniResult {
    /// As a version of the protocol has it, indented as plugins do.
    pub(super) fn json(&self, version: &str) -> Result<String, String> {
        match version {
            "" | "0.1.0" | "0.2.0" => {
                let ip = self.ips.first().ok_or("cannot convert: no valid IP addresses")?;
                let ip4 = Ip4 { ip: ip.address, gateway: ip.gateway, routes: &self.routes };
                let version = if version.is_empty() { "0.1.0" } else { version };
                Ok(json::print(&Printed020 { version, ip4, dns: &self.dns }, "    "))
            }
            _ => Ok(self.print(version, version != "1.0.0")),
        }
    }

    /// As version 1.0.0 has it, under whatever name.
    pub(super) fn as_latest(&self, version: &str) -> String {
        self.print(version, false)
    }

    fn print(&self, version: &str, has_families: bool) -> String {
        let ip = |ip: &IpConfig| PrintedIp {
            version: has_families.then_some("4"),
            interface: ip.interface,
            address: ip.address,
            gateway: ip.gateway,
        };
        let ips = self.ips.iter().map(ip).collect();
        let (interfaces, routes) = (&self.interfaces, &self.routes);
        json::print(&Printed { version, interfaces, ips, routes, dns: &self.dns }, "    ")
    }

    /// Reads a result of this version.
    pub(super) fn read(version: &str, value: &Value) -> Result<CniResult, String> {
        let version = if version.is_empty() { "0.1.0" } else { version };
        let fields = Fields::of("types.Result", value)?;
        let family: &[&str] = match version {
            "0.1.0" | "0.2.0" => &["", "0.1.0", "0.2.0"],
            "1.0.0" => &["1.0.0"],
            _ => &["0.3.0", "0.3.1", "0.4.0"],
        };
        let result = if family.len() == 3 && family[0].is_empty() {
            Self::read_020(&fields)?
        } else {
            Self::read_030(
                &fields,
                if version == "1.0.0" { "*types100.IPConfig" } else { "*types040.IPConfig" },
            )?
        };
        let said = fields.string("cniVersion")?;
        if !said.is_empty() && !family.contains(&said.as_str()) {
            let family = family.join(" ");
            return Err(format!("result type supports [{family}] but unmarshalled CNIVersion is {said:?}"));
        }
        Ok(result)
    }

    fn read_020(fields: &Fields) -> Result<CniResult, String> {
        let mut result =
            CniResult { dns: Dns::read(&fields.object("dns", "types.DNS")?)?, ..Default::default() };
        let ip4 = fields.object("ip4", "*types020.IPConfig")?;
        if let Some(address) = ip4.cidr("ip")? {
            result.ips.push(IpConfig { interface: None, address, gateway: ip4.ip("gateway")? });
            for route in ip4.objects("routes", "types.Route")? {
                result.routes.push(Route::read(&route)?);
            }
        }
        if fields.get("ip6").is_some() {
            return Err("not modelled yet: a result with IPv6 addresses".to_owned());
        }
        Ok(result)
    }

    fn read_030(fields: &Fields, ip_type: &'static str) -> Result<CniResult, String> {
        let mut result = CniResult::default();
        for interface in fields.objects("interfaces", "*types100.Interface")? {
            result.interfaces.push(Interface {
                name: interface.string("name")?,
                mac: interface.string("mac")?,
                sandbox: interface.string("sandbox")?,
            });
        }
        for ip in fields.objects("ips", ip_type)? {
            let interface = ip.get("interface").map(|_| ip.int("interface")).transpose()?;
            let address = ip.cidr("address")?.ok_or("invalid CIDR address: ")?;
            // One that is out of range is told where it is used.
            let interface = interface.map(|at| usize::try_from(at).unwrap_or(usize::MAX));
            result.ips.push(IpConfig { interface, address, gateway: ip.ip("gateway")? });
        }
        for route in fields.objects("routes", "*types.Route")? {
            result.routes.push(Route::read(&route)?);
        }
        result.dns = Dns::read(&fields.object("dns", "types.DNS")?)?;
        Ok(result)
    }
}
