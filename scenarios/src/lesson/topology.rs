//! Machines, NICs, switches and cables, shaped like containerlab's.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};
use std::path::Path;

use glassnet_cluster::config::Config;
use glassnet_hardware::Faults;
use glassnet_kernel::cost::{Profile, ProfileError, SHIPPED};
use glassnet_kernel::drivers::nic;
use glassnet_sim::Nanos;
use glassnet_wire::Mac;
use petgraph::unionfind::UnionFind;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::LessonError;
use super::error::Reader;

/// Longest host name of Linux, in bytes.
const MOST_HOSTNAME: usize = 64;
/// Size of a device name with the terminating zero, bytes.
const IFNAMSIZ: usize = 16;
/// Ethernet drivers of Linux 6.1 (drivers/net/ethernet, drivers/net).
const DRIVERS: &str = "3c59x 8139cp 8139too alx amd-xgbe aqc111 asix atl1 atl1c atl1e atl2 atlantic ax88179_178a b44 be2net \
    bnx2 bnx2x bnxt_en cdc_ether cdc_ncm cxgb3 cxgb4 cxgb4vf dpaa2-eth e100 e1000 e1000e ena enic fec fm10k forcedeth \
    genet gve hinic hns3 hv_netvsc i40e iavf ibmvnic ice igb igbvf igc ionic ixgbe ixgbevf jme lan743x lan78xx macb mlx4_en \
    mlx5_core mv88e6xxx mvneta mvpp2 myri10ge natsemi ne2k-pci netxen_nic nfp niu ns83820 pcnet32 pch_gbe qede qlcnic \
    r6040 r8152 r8169 ravb sfc sis190 sis900 skge sky2 smsc75xx smsc95xx smsc9420 stmmac sundance sungem tehuti tg3 tulip \
    typhoon via-rhine via-velocity virtio_net vmxnet3 xen_netfront";

/// Machines and connections.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Topology {
    /// Machines by name.
    pub nodes: BTreeMap<String, Node>,
    /// Switches by name; each port is an endpoint of a link.
    pub switches: BTreeMap<String, Switch>,
    /// Cables.
    pub links: Vec<Link>,
    /// The Kubernetes cluster on these machines, if there is one.
    pub cluster: Option<Config>,
}

/// A machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Number of CPUs, by default 1.
    pub cpus: u32,
    /// What functions cost them, if not as by default.
    pub profile: Option<Profile>,
    /// NICs by name: those listed and those of links.
    pub nics: BTreeMap<String, Nic>,
}

/// A network card.
#[derive(Clone, Debug, PartialEq)]
pub struct Nic {
    /// Kernel driver, by default `e1000e`.
    pub driver: String,
    /// Receive queues; by default the driver's choice.
    pub queues: Option<u32>,
    /// Descriptors of each; by default the driver's choice.
    pub rx_ring: Option<u32>,
    /// Permanent address, if given.
    pub address: Option<Mac>,
}

/// A learning Ethernet switch. Links name its ports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Switch {
    /// Ports in order of the links.
    pub ports: Vec<String>,
    /// What may wait for a port at most, bytes; by default 512 KiB.
    pub queue: Option<u64>,
}

/// A cable.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// Its two ends.
    pub endpoints: [Endpoint; 2],
    /// Bits per second, by default 10 Gbit.
    pub rate: u64,
    /// Propagation delay, by default 500 ns (100 m of copper).
    pub delay: Nanos,
    /// What goes wrong on it, by default nothing.
    pub faults: Faults,
}

/// One end of a cable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// The machine or the switch.
    pub node: String,
    /// The NIC or the port.
    pub port: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTopology {
    nodes: Spanned<BTreeMap<String, Option<RawNode>>>,
    #[serde(default)]
    switches: BTreeMap<String, Option<RawSwitch>>,
    #[serde(default)]
    links: Vec<RawLink>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawSwitch {
    queue: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawNode {
    cpus: Option<Spanned<u32>>,
    profile: Option<Spanned<String>>,
    #[serde(default)]
    nics: BTreeMap<String, Option<RawNic>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawNic {
    driver: Option<Spanned<String>>,
    queues: Option<Spanned<u32>>,
    rx_ring: Option<Spanned<u32>>,
    address: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLink {
    endpoints: Spanned<Vec<Spanned<String>>>,
    rate: Option<Spanned<String>>,
    delay: Option<Spanned<String>>,
    jitter: Option<Spanned<String>>,
    loss: Option<Spanned<String>>,
    duplicate: Option<Spanned<String>>,
    corrupt: Option<Spanned<String>>,
    reorder: Option<Spanned<String>>,
}

/// Checks the parsed topology. `base` is the offset of the YAML in the text.
pub(super) struct Checker<'a> {
    pub reader: &'a Reader<'a>,
    pub base: usize,
}

impl Checker<'_> {
    pub(super) fn span<T>(&self, value: &Spanned<T>) -> Range<usize> {
        let span = value.referenced.span();
        let start = self.base + span.byte_offset().unwrap_or(0) as usize;
        start..start + span.byte_len().unwrap_or(0) as usize
    }

    pub(super) fn topology(&self, raw: RawTopology) -> Result<Topology, LessonError> {
        let mut topology = Topology::default();
        if raw.nodes.value.is_empty() {
            return Err(self.reader.error(
                self.span(&raw.nodes),
                "the topology has no machines",
                "no node here",
            ));
        }
        let nodes = self.span(&raw.nodes).start;
        for (name, node) in raw.nodes.value {
            let key = self.key(&name, nodes);
            self.machine_name(&name, key.clone())?;
            topology.nodes.insert(name, self.node(node.unwrap_or_default(), key)?);
        }
        for (name, switch) in raw.switches {
            self.machine_name(&name, self.key(&name, self.base))?;
            let queue = switch.unwrap_or_default().queue;
            let queue = queue.map(|text| self.quantity(Some(&text), 0, parse_size, "a size such as 512KB"));
            topology.switches.insert(name, Switch { ports: Vec::new(), queue: queue.transpose()? });
        }
        let mut used = BTreeSet::new();
        let mut joined = UnionFind::new(topology.switches.len());
        for link in raw.links {
            let span = self.span(&link.endpoints);
            let link = self.link(link, &mut topology, &mut used)?;
            if !joins(&link, &topology, &mut joined) {
                return Err(self.reader.error(
                    span,
                    "the cables between switches make a loop, in which a broadcast would never end",
                    "this cable closes it",
                ));
            }
            topology.links.push(link);
        }
        Ok(topology)
    }

    /// The range of a key that follows `from`; the rest of that line if it is written in another way.
    pub(super) fn key(&self, name: &str, from: usize) -> Range<usize> {
        let text = self.reader.source.get(from..).unwrap_or_default();
        let inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let found = text.match_indices(name).find(|(at, _)| {
            !name.is_empty()
                && !inside(text[..*at].chars().next_back())
                && !inside(text[at + name.len()..].chars().next())
        });
        match found {
            Some((at, _)) => from + at..from + at + name.len(),
            None => from..from + text.lines().next().map_or(0, str::len),
        }
    }

    /// A machine is named in prompts and endpoints, and is a host name.
    fn machine_name(&self, name: &str, span: Range<usize>) -> Result<(), LessonError> {
        if super::markdown::is_machine(name) && name.len() <= MOST_HOSTNAME {
            return Ok(());
        }
        Err(self.reader.error_with_help(
            span,
            format!("{name:?} cannot be the name of a machine or switch: no prompt could name it"),
            "not a name",
            "a letter, and then letters, digits, `-`, `_` and `.`, at most 64",
        ))
    }

    /// What Linux takes for a device (`dev_valid_name`).
    fn device_name(&self, name: &str, span: Range<usize>) -> Result<(), LessonError> {
        let plain = |c: char| c != '/' && c != ':' && !c.is_whitespace() && !c.is_control();
        if !name.is_empty()
            && name.len() < IFNAMSIZ
            && name != "."
            && name != ".."
            && name.chars().all(plain)
            && !["lo", "all", "default"].contains(&name)
        {
            return Ok(());
        }
        Err(self.reader.error_with_help(
            span,
            format!("{name:?} cannot be the name of a network card"),
            "not a name",
            "1 to 15 bytes without blanks, `/` and `:`, and not `.`, `..`, `lo`, `all` or `default`",
        ))
    }

    fn driver(&self, text: Spanned<String>) -> Result<String, LessonError> {
        if DRIVERS.split_whitespace().any(|known| known == text.value) {
            return Ok(text.value);
        }
        Err(self.reader.error_with_help(
            self.span(&text),
            format!("Linux has no driver `{}` of a network card", text.value),
            "not a driver",
            "e1000e, igb and ne2k-pci are modelled; another works like e1000e, under its own name",
        ))
    }

    fn node(&self, raw: RawNode, key: Range<usize>) -> Result<Node, LessonError> {
        let cpus = self.count(raw.cpus.as_ref(), 1, 1..=64, "cpus")?;
        let mut nics = BTreeMap::new();
        for (name, nic) in raw.nics {
            self.device_name(&name, self.key(&name, key.start))?;
            nics.insert(name, self.nic(nic.unwrap_or_default())?);
        }
        let profile = raw.profile.map(|profile| self.profile(&profile)).transpose()?;
        Ok(Node { cpus, profile, nics })
    }

    /// A profile that comes with the model, or that of a file beside the lesson.
    fn profile(&self, text: &Spanned<String>) -> Result<Profile, LessonError> {
        let beside = self.reader.path.parent().unwrap_or(Path::new(""));
        profile(&text.value, beside).map_err(|[message, help]| {
            self.reader.error_with_help(self.span(text), message, "no profile", help)
        })
    }

    fn nic(&self, raw: RawNic) -> Result<Nic, LessonError> {
        let address = match &raw.address {
            None => None,
            Some(text) => Some(parse_mac(&text.value).ok_or_else(|| {
                self.reader.error_with_help(
                    self.span(text),
                    format!("`{}` is not a MAC address of a card", text.value),
                    "not an address",
                    "six bytes such as 52:54:00:12:34:56, not a group address, not zero",
                )
            })?),
        };
        let default = Nic::default();
        let driver = raw.driver.map_or(Ok(default.driver), |driver| self.driver(driver))?;
        let most = nic::driver(&driver).map_or(1, |driver| driver.max_rings) as u32;
        let limited = |value: Option<Spanned<u32>>, range: RangeInclusive<u32>, key: &str| match value {
            Some(value) if !range.contains(&value.value) => Err(self.reader.error(
                self.span(&value),
                format!("a card of {driver} has {} to {} for `{key}`", range.start(), range.end()),
                "out of range",
            )),
            value => Ok(value.map(|value| value.value)),
        };
        let queues = limited(raw.queues, 1..=most, "queues")?;
        let [_, least, most] = nic::DESCRIPTORS;
        let rx_ring = limited(raw.rx_ring, least..=most, "rx_ring")?;
        Ok(Nic { driver, queues, rx_ring, address })
    }

    fn count(
        &self,
        value: Option<&Spanned<u32>>,
        default: u32,
        range: RangeInclusive<u32>,
        key: &str,
    ) -> Result<u32, LessonError> {
        match value {
            None => Ok(default),
            Some(value) if range.contains(&value.value) => Ok(value.value),
            Some(value) => Err(self.reader.error(
                self.span(value),
                format!("`{key}` must be {} to {}", range.start(), range.end()),
                "out of range",
            )),
        }
    }

    fn link(
        &self,
        raw: RawLink,
        topology: &mut Topology,
        used: &mut BTreeSet<Endpoint>,
    ) -> Result<Link, LessonError> {
        let [first, second] = raw.endpoints.value.as_slice() else {
            return Err(self.reader.error_with_help(
                self.span(&raw.endpoints),
                "a link has two endpoints",
                format!("{} here", raw.endpoints.value.len()),
                "endpoints: [\"node1:eth0\", \"node2:eth0\"]",
            ));
        };
        let endpoints = [self.endpoint(first, topology, used)?, self.endpoint(second, topology, used)?];
        let rate = self.quantity(raw.rate.as_ref(), 10_000_000_000, parse_rate, "a rate such as 10Gbit")?;
        let delay = self.quantity(raw.delay.as_ref(), 500, parse_delay, "a delay such as 5us")?;
        let share = |text: Option<Spanned<String>>| {
            self.quantity(text.as_ref(), 0, parse_share, "a share such as 1%").map(|share| share as u32)
        };
        let late = self.quantity(raw.jitter.as_ref(), 0, parse_delay, "a time such as 5us")?;
        // Jitter alone makes every frame late by chance.
        let reorder = match &raw.reorder {
            None if late > 0 => MILLION as u32,
            _ => share(raw.reorder)?,
        };
        let [loss, duplicate, corrupt] = [share(raw.loss)?, share(raw.duplicate)?, share(raw.corrupt)?];
        let faults = Faults { loss, duplicate, corrupt, reorder, late: Nanos(late) };
        Ok(Link { endpoints, rate, delay: Nanos(delay), faults })
    }

    fn quantity(
        &self,
        text: Option<&Spanned<String>>,
        default: u64,
        parse: fn(&str) -> Option<u64>,
        what: &str,
    ) -> Result<u64, LessonError> {
        let Some(text) = text else { return Ok(default) };
        parse(&text.value).ok_or_else(|| {
            self.reader.error(
                self.span(text),
                format!("`{}` is not {what}", text.value),
                format!("not {what}"),
            )
        })
    }

    fn endpoint(
        &self,
        text: &Spanned<String>,
        topology: &mut Topology,
        used: &mut BTreeSet<Endpoint>,
    ) -> Result<Endpoint, LessonError> {
        let span = self.span(text);
        let Some((node, port)) = text.value.split_once(':').filter(|(_, port)| !port.is_empty()) else {
            return Err(self.reader.error_with_help(
                span,
                format!("`{}` is not an endpoint", text.value),
                "machine and NIC, please",
                "write it as node1:eth0",
            ));
        };
        if let Some(machine) = topology.nodes.get_mut(node) {
            self.device_name(port, span.clone())?;
            machine.nics.entry(port.to_string()).or_default();
        } else if let Some(switch) = topology.switches.get_mut(node) {
            switch.ports.push(port.to_string());
        } else {
            let known: Vec<&str> =
                topology.nodes.keys().chain(topology.switches.keys()).map(String::as_str).collect();
            return Err(self.reader.error_with_help(
                span,
                format!("a cable to nowhere: there is no machine or switch `{node}`"),
                "goes nowhere",
                format!("the topology has {}", known.join(", ")),
            ));
        }
        let endpoint = Endpoint { node: node.to_string(), port: port.to_string() };
        if !used.insert(endpoint.clone()) {
            return Err(self.reader.error(
                span,
                format!("`{}` already has a cable", text.value),
                "the second cable in one socket",
            ));
        }
        Ok(endpoint)
    }
}

impl Default for Node {
    fn default() -> Node {
        Node { cpus: 1, profile: None, nics: BTreeMap::new() }
    }
}

impl Default for Nic {
    fn default() -> Nic {
        Nic { driver: "e1000e".to_string(), queues: None, rx_ring: None, address: None }
    }
}

fn parse_mac(text: &str) -> Option<Mac> {
    let bytes: Vec<u8> = text
        .split(':')
        .map(|part| u8::from_str_radix(part, 16).ok().filter(|_| part.len() == 2))
        .collect::<Option<_>>()?;
    let bytes: [u8; 6] = bytes.try_into().ok()?;
    (bytes[0] & 1 == 0 && bytes != [0; 6]).then_some(Mac(bytes))
}

/// Splits `2.5Gbit` into number and unit.
fn split_unit(text: &str) -> Option<(f64, &str)> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    Some((text[..at].parse().ok()?, text[at..].trim()))
}

/// A rate as `tc` writes it, in bits per second.
pub(super) fn parse_rate(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "bit" => 1.0,
        "kbit" => 1e3,
        "mbit" => 1e6,
        "gbit" => 1e9,
        "tbit" => 1e12,
        _ => return None,
    };
    let rate = (number * factor) as u64;
    (rate > 0).then_some(rate)
}

/// The longest time of a cable: an hour, ns.
const LONGEST: f64 = 3.6e12;

/// A delay as `tc` writes it, in nanoseconds.
pub(super) fn parse_delay(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let factor = match unit {
        "ns" => 1.0,
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        _ => return None,
    };
    let delay = number * factor;
    (delay <= LONGEST).then_some(delay as u64)
}

pub(super) const MILLION: u64 = 1_000_000;

/// A share as `tc` writes it, such as `0.1%`, in millionths.
pub(super) fn parse_share(text: &str) -> Option<u64> {
    let percent: f64 = text.strip_suffix('%')?.trim().parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some((percent * MILLION as f64 / 100.0).round() as u64)
}

/// A size as `tc` writes it, in bytes.
fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1024.0,
        "m" | "mb" => 1024.0 * 1024.0,
        _ => return None,
    };
    Some((number * factor) as u64)
}

/// Merges the switches of a link; false if they are connected already.
fn joins(link: &Link, topology: &Topology, joined: &mut UnionFind<usize>) -> bool {
    let switch = |end: &Endpoint| topology.switches.keys().position(|name| *name == end.node);
    match [switch(&link.endpoints[0]), switch(&link.endpoints[1])] {
        [Some(a), Some(b)] => joined.union(a, b),
        _ => true,
    }
}

/// A profile that comes with the model, or, with `.csv`, that of a file.
///
/// # Errors
///
/// What is wrong, and what would be right.
pub fn profile(name: &str, folder: &Path) -> Result<Profile, [String; 2]> {
    if !name.ends_with(".csv") {
        let known = SHIPPED.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(" and ");
        let (_, text) = SHIPPED.iter().find(|(known, _)| *known == name).ok_or_else(|| {
            [format!("there is no profile `{name}`"), format!("{known} are there, or a file: {name}.csv")]
        })?;
        return Ok(Profile::parse(text).expect("a test reads them"));
    }
    let path = folder.join(name);
    let text = std::fs::read_to_string(&path)
        .map_err(|error| [format!("{}: {error}", path.display()), "a file with a profile".to_owned()])?;
    Profile::parse(&text).map_err(|ProfileError { line, what }| {
        let place = if line == 0 { String::new() } else { format!(":{line}") };
        [format!("{}{place}: {what}", path.display()), "its columns are what, ns and source".to_owned()]
    })
}
