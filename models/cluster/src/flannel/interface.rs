//! The interface by which a node reaches the others.

use std::net::Ipv4Addr;

use glassnet_userland::sock;
use regex::Regex;

use super::daemon::Daemon;
use super::options::Options;

/// The interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    pub name: String,
    pub ifindex: u32,
    pub mtu: u32,
    pub address: Ipv4Addr,
    /// The address by which other nodes reach it.
    pub public: Ipv4Addr,
}

/// Chooses it by options, or else by the default route.
///
/// # Errors
///
/// There is none, or it has no address.
pub(super) fn choose(daemon: &mut Daemon<'_>, options: &Options) -> Result<Interface, String> {
    let public = options.text("public-ip");
    let (named, patterns) = (options.list("iface"), options.list("iface-regex"));
    if named.is_empty() && patterns.is_empty() {
        // The first look takes the public address for a name, if there is one.
        let found = match public {
            "" => by_default_route(daemon),
            name => by_name(daemon, name),
        };
        let found = found.and_then(|found| complete(daemon, found, public));
        return found.map_err(|why| format!("Failed to find any valid interface to use: {why}"));
    }
    for name in named {
        match by_name(daemon, name).and_then(|found| complete(daemon, found, public)) {
            Ok(found) => return Ok(found),
            Err(why) => {
                daemon.info(
                    "main.go:213",
                    format_args!("Could not find valid interface matching {name}: {why}"),
                );
            }
        }
    }
    for pattern in patterns {
        match by_pattern(daemon, pattern).and_then(|found| complete(daemon, found, public)) {
            Ok(found) => return Ok(found),
            Err(why) => {
                daemon.info(
                    "main.go:226",
                    format_args!("Could not find valid interface matching {pattern}: {why}"),
                );
            }
        }
    }
    Err("Failed to find interface to use that matches the interfaces and/or regexes provided".to_owned())
}

/// A device, and its address if that is what it was found by.
type Found = (String, Option<Ipv4Addr>);

fn by_default_route(daemon: &mut Daemon<'_>) -> Result<Found, String> {
    daemon.info("main.go:520", "Determining IP address of default interface");
    let route = daemon.routes().into_iter().find(|route| route.to.len == 0);
    let route = route.ok_or("failed to get default interface: Unable to find default route")?;
    Ok((route.device, None))
}

fn by_name(daemon: &mut Daemon<'_>, name: &str) -> Result<Found, String> {
    let wrong = |why: &str| format!("error looking up interface {name}: {why}");
    let Ok(address) = name.parse::<Ipv4Addr>() else {
        let is_there = daemon.device(name, |_| ()).is_some();
        return is_there
            .then(|| (name.to_owned(), None))
            .ok_or_else(|| wrong("route ip+net: no such network interface"));
    };
    daemon.info("main.go:456", format_args!("Searching for interface using {address}"));
    let mut all = sock::interfaces(daemon.process).into_iter().map(|(_, name)| name);
    let found = all.find(|device| sock::addresses(daemon.process, device).contains(&address));
    found.map(|device| (device, Some(address))).ok_or_else(|| wrong("No interface with given IP found"))
}

fn by_pattern(daemon: &Daemon<'_>, pattern: &str) -> Result<Found, String> {
    let all: Vec<String> = sock::interfaces(daemon.process).into_iter().map(|(_, name)| name).collect();
    let Ok(regex) = Regex::new(pattern) else {
        let first = all.first().cloned().unwrap_or_default();
        return Err(format!("regex error matching pattern {pattern} to {first}"));
    };
    let addressed = all.iter().filter_map(|name| Some((name, address_of(daemon, name)?)));
    for (name, address) in addressed {
        if regex.is_match(&address.to_string()) {
            return Ok((name.clone(), Some(address)));
        }
    }
    all.iter().find(|name| regex.is_match(name)).map(|name| (name.clone(), None)).ok_or_else(|| {
        let known = all.iter().map(|name| {
            let address = address_of(daemon, name).map_or("<nil>".to_owned(), |address| address.to_string());
            format!("{name}:{address}")
        });
        let known = known.collect::<Vec<_>>().join(", ");
        format!("Could not match pattern {pattern} to any of the available network interfaces ({known})")
    })
}

/// A device's first address that is not link-local, else the last that is.
fn address_of(daemon: &Daemon<'_>, name: &str) -> Option<Ipv4Addr> {
    let all = sock::addresses(daemon.process, name);
    let global = |address: &&Ipv4Addr| {
        !(address.is_link_local()
            || address.is_loopback()
            || address.is_multicast()
            || address.is_unspecified()
            || address.is_broadcast())
    };
    all.iter().find(global).or_else(|| all.iter().rfind(|address| address.is_link_local())).copied()
}

fn complete(daemon: &mut Daemon<'_>, (name, address): Found, public: &str) -> Result<Interface, String> {
    let address = address.or_else(|| address_of(daemon, &name));
    let address = address.ok_or_else(|| format!("failed to find IPv4 address for interface {name}"))?;
    daemon.info("main.go:533", format_args!("Using interface with name {name} and address {address}"));
    let (ifindex, mtu) = daemon.device(&name, |dev| (dev.ifindex, dev.mtu)).unwrap_or_default();
    if mtu == 0 {
        return Err(format!("failed to determine MTU for {address} interface"));
    }
    let public = match public {
        "" => {
            daemon.info(
                "main.go:550",
                format_args!("Defaulting external address to interface address ({address})"),
            );
            address
        }
        text => {
            let public = text.parse().map_err(|_| format!("invalid public IP address: {text}"))?;
            daemon.info("main.go:546", format_args!("Using {public} as external address"));
            public
        }
    };
    Ok(Interface { name, ifindex, mtu, address, public })
}
