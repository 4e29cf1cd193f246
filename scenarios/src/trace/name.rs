//! Names in place of addresses: services, pods, nodes and machines, as they are when the lesson has run.

use std::net::Ipv4Addr;

use glassnet_cluster::history::{Named, NoAddress, pod_word};
use glassnet_cluster::kube_proxy::explain::Objects;
use glassnet_cluster::object::Kind;
use glassnet_kernel::World;
use similar::get_close_matches;

use super::place::{addresses_of, find};
use super::question::{Host, Protocol, Question};

/// Most names that an error tells, and how alike they are at least (0 to 1).
const NEAR: (usize, f32) = (3, 0.5);
/// Most names that an error lists where none is near.
const LISTED: usize = 10;

/// An address or a name of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An address.
    Ip(Ipv4Addr),
    /// The name of something that has one.
    Name(String),
}

impl std::str::FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        match text.parse() {
            Ok(address) => Ok(Address::Ip(address)),
            Err(_) if text.is_empty() || text.chars().all(is_number) => {
                Err("expected an IPv4 address, or a name such as web.default.svc, pod/NAME or a machine"
                    .to_owned())
            }
            Err(_) => Ok(Address::Name(text.to_owned())),
        }
    }
}

/// What the command line asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Who sends.
    pub src: Address,
    /// Who is to receive.
    pub dst: Address,
    /// Protocol.
    pub protocol: Protocol,
    /// Source port; ICMP: the identifier.
    pub sport: u16,
    /// Destination port; without it that of a service that has one.
    pub dport: Option<u16>,
    /// Start.
    pub from: Option<Host>,
    /// Input device.
    pub input: Option<String>,
}

/// What a name stands for.
struct Found {
    address: Ipv4Addr,
    /// Where it is, if that is known.
    host: Option<Host>,
    named: Option<Named>,
}

impl Asked {
    /// The packet, where names are addresses.
    ///
    /// # Errors
    ///
    /// A name that stands for no address, or a missing port.
    pub(super) fn question(&self, world: &World, objects: Option<&Objects>) -> Result<Question, String> {
        let around = Around { world, objects };
        let src = around.resolve("-s", &self.src)?;
        if let Some(named) = src.named.filter(|named| named.key.kind == Kind::Service) {
            return Err(format!("-s: {} is a service: it sends nothing", named.key));
        }
        let dst = around.resolve("-d", &self.dst)?;
        let from = match &self.from {
            Some(host) => Some(around.host(host)?),
            None => src.host,
        };
        Ok(Question {
            src: src.address,
            dst: dst.address,
            protocol: self.protocol,
            sport: self.sport,
            dport: self.port(dst.named.as_ref())?,
            from,
            input: self.input.clone(),
        })
    }

    fn port(&self, dst: Option<&Named>) -> Result<u16, String> {
        match (self.protocol, self.dport) {
            (Protocol::Icmp, Some(_)) => return Err("--port: ICMP has no ports".to_owned()),
            (Protocol::Icmp, None) => return Ok(0),
            (_, Some(port)) => return Ok(port),
            (_, None) => {}
        }
        let service = dst.filter(|named| named.key.kind == Kind::Service);
        let Some(service) = service else {
            return Err(format!("--port is missing: {} goes to a port", self.protocol));
        };
        let of_protocol = |(_, protocol): &&(u16, String)| *protocol == self.protocol.to_string();
        let ports: Vec<u16> = service.ports.iter().filter(of_protocol).map(|(port, _)| *port).collect();
        match ports[..] {
            [port] => Ok(port),
            [] => Err(format!("--port is missing: service {} has no port of {}", service.key, self.protocol)),
            _ => {
                let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
                let ports = ports.join(" and ");
                Err(format!(
                    "--port is missing: service {} has the ports {ports} of {}",
                    service.key, self.protocol
                ))
            }
        }
    }
}

struct Around<'a> {
    world: &'a World,
    objects: Option<&'a Objects>,
}

impl Around<'_> {
    fn resolve(&self, option: &str, asked: &Address) -> Result<Found, String> {
        let name = match asked {
            Address::Ip(address) => return Ok(Found { address: *address, host: None, named: None }),
            Address::Name(name) => name,
        };
        let found = self.objects.map_or(Err(NoAddress::Unknown), |objects| objects.history.find(name));
        match found {
            Ok(named) => Ok(Found { address: named.address, host: self.host_of(&named), named: Some(named) }),
            Err(NoAddress::Without(why)) => Err(format!("{option}: {why}")),
            Err(NoAddress::Unknown) => {
                let machine = name.parse().ok().and_then(|host: Host| self.machine(&host));
                machine.unwrap_or_else(|| Err(self.unknown(name))).map_err(|why| format!("{option}: {why}"))
            }
        }
    }

    /// The namespace of a pod that has one of its own.
    fn host_of(&self, named: &Named) -> Option<Host> {
        let pods = self.objects?.history.pods();
        let (_, machine, netns, _) = pods.into_iter().find(|(key, ..)| *key == named.key)?;
        Some(Host { machine, netns: Some(netns) })
    }

    /// A host of `--from`, where a pod stands for its namespace.
    fn host(&self, host: &Host) -> Result<Host, String> {
        let name = format!("{host}");
        if find(self.world, host).is_ok() || !name.starts_with("pod/") {
            return Ok(host.clone());
        }
        let found = self.resolve("--from", &Address::Name(name))?;
        found.host.ok_or_else(|| format!("--from: {host} has no network namespace of its own"))
    }

    /// The address of a machine or of a namespace; `None`: there is none of this name.
    fn machine(&self, host: &Host) -> Option<Result<Found, String>> {
        let room = find(self.world, host).ok()?;
        let node = self.objects.and_then(|objects| objects.history.config.nodes.get(&host.machine));
        let own = node.filter(|_| host.netns.is_none()).map(|node| vec![node.address.0]);
        let addresses = own.unwrap_or_else(|| addresses_of(self.world, room));
        Some(match addresses[..] {
            [address] => Ok(Found { address, host: Some(host.clone()), named: None }),
            [] => Err(format!("{host} has no address")),
            _ => {
                let all: Vec<String> = addresses.iter().map(Ipv4Addr::to_string).collect();
                Err(format!("{host} has the addresses {}: say which one", all.join(" and ")))
            }
        })
    }

    fn unknown(&self, name: &str) -> String {
        let machines = self.world.machines.iter().map(|kernel| kernel.hostname.clone());
        let objects = self.objects.map_or(Vec::new(), |objects| objects.history.names());
        let what = if self.objects.is_some() { "service, pod, node or machine" } else { "machine" };
        let all: Vec<String> = objects.into_iter().chain(machines).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let (most, alike) = NEAR;
        let near = get_close_matches(name, &all, most, alike);
        if !near.is_empty() {
            return format!("there is no {what} `{name}`: near it is {}", near.join(", "));
        }
        let more = match all.len().saturating_sub(LISTED) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let listed = all[..all.len().min(LISTED)].join(", ");
        format!("there is no {what} `{name}`: there are {listed}{more}")
    }
}

/// A pod or node that has an address, or the service that has it with this port, for people.
pub(super) fn describe(objects: &Objects, question: &Question, world: &World) -> String {
    let now = world.now();
    let holder = |address| objects.history.holder(address, now).filter(|holder| !holder.is_gone);
    let name = |address: Ipv4Addr| {
        let holder = holder(address)?;
        Some(if holder.key.kind == Kind::Pod {
            pod_word(&holder.key)
        } else {
            format!("node/{}", holder.key)
        })
    };
    let service = objects.service_at(question.protocol.number(), (question.dst, question.dport), now);
    let dst = service.or_else(|| name(question.dst)).unwrap_or_else(|| question.dst.to_string());
    let src = name(question.src).unwrap_or_else(|| question.src.to_string());
    format!("from {src} to {dst}")
}
