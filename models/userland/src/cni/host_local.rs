//! `host-local`: addresses from ranges, one file each.

use std::net::Ipv4Addr;

use super::error::Done;
use super::json::{Fields, parse_ip};
use super::skel::{ALL, Cmd, Plugin, args};
use super::types::{CniResult, Dns, IpConfig, IpNet, Route, next_ip};
use crate::process::Boxed;

/// The row.
pub(super) static PLUGIN: Plugin = Plugin { name: "host-local", versions: ALL, add, check, del };

/// Where networks' folders are.
const DATA_DIR: &str = "/var/lib/cni/networks";
/// Shortest prefix of a network that has no addresses to give.
const TOO_SMALL: u8 = 31;

/// A range of addresses.
#[derive(Clone, Copy)]
struct Range {
    subnet: IpNet,
    start: Ipv4Addr,
    end: Ipv4Addr,
    gateway: Ipv4Addr,
}

impl Range {
    fn read(fields: &Fields) -> Result<[Option<IpOrNet>; 4], String> {
        let ip = |key| Ok::<_, String>(fields.ip(key)?.map(IpOrNet::Ip));
        Ok([fields.cidr("subnet")?.map(IpOrNet::Net), ip("rangeStart")?, ip("rangeEnd")?, ip("gateway")?])
    }

    /// With what is not said filled in, and what is said looked at (`Canonicalize`).
    fn canonical(read: [Option<IpOrNet>; 4]) -> Result<Range, String> {
        let [subnet, start, end, gateway] = read;
        let Some(IpOrNet::Net(subnet)) = subnet else {
            return Err("IPNet is nil".to_owned());
        };
        if subnet.len >= TOO_SMALL {
            return Err(format!("Network {subnet} too small to allocate from"));
        }
        let network = subnet.network();
        if subnet.ip != network {
            let len = subnet.len;
            return Err(format!(
                "Network has host bits set. For a subnet mask of length {len} the network address is {network}"
            ));
        }
        let ip = |given: Option<IpOrNet>| given.map(IpOrNet::ip);
        let last = Ipv4Addr::from_bits(subnet.broadcast().to_bits() - 1);
        let mut range = Range {
            subnet,
            start: network,
            end: last,
            gateway: ip(gateway).unwrap_or_else(|| next_ip(network)),
        };
        let (start, end) = (ip(start), ip(end));
        if let Some(end) = end {
            range.start = network;
            range.end = end;
        }
        match start {
            Some(start) => {
                let within = range.subnet.contains(start) && end.is_none_or(|end| start <= end);
                if !within {
                    return Err(format!("RangeStart {start} not in network {subnet}"));
                }
                range.start = start;
            }
            None => range.start = next_ip(network),
        }
        if let Some(end) = end
            && !range.contains(end)
        {
            return Err(format!("RangeEnd {end} not in network {subnet}"));
        }
        Ok(range)
    }

    fn contains(&self, ip: Ipv4Addr) -> bool {
        self.subnet.contains(ip) && (self.start..=self.end).contains(&ip)
    }

    fn overlaps(&self, other: &Range) -> bool {
        self.contains(other.start)
            || self.contains(other.end)
            || other.contains(self.start)
            || other.contains(self.end)
    }

    fn text(&self) -> String {
        format!("{}-{}", self.start, self.end)
    }
}

/// A field of a range.
#[derive(Clone, Copy)]
enum IpOrNet {
    Ip(Ipv4Addr),
    Net(IpNet),
}

impl IpOrNet {
    fn ip(self) -> Ipv4Addr {
        match self {
            IpOrNet::Ip(ip) => ip,
            IpOrNet::Net(net) => net.ip,
        }
    }
}

/// Ranges of which an address is from any.
type RangeSet = Vec<Range>;

fn set_text(set: &RangeSet) -> String {
    set.iter().map(Range::text).collect::<Vec<_>>().join(",")
}

/// The configuration.
struct Conf {
    version: String,
    name: String,
    sets: Vec<RangeSet>,
    routes: Vec<Route>,
    data_dir: String,
    resolv_conf: String,
    /// Addresses that are asked for.
    wanted: Vec<Ipv4Addr>,
}

impl Conf {
    fn read(cmd: &Cmd) -> Done<Conf> {
        let value = cmd.conf()?;
        let fields = Fields::of("allocator.Net", &value)?;
        if fields.get("ipam").is_none() {
            return Err("IPAM config missing 'ipam' key".into());
        }
        let ipam = fields.object("ipam", "allocator.IPAMConfig")?;
        let mut wanted = Vec::new();
        for (_, text) in args(&cmd.args, &["IP"])? {
            let pair = format!("IP={text}");
            let bad = |error| format!("ARGS: error parsing value of pair {pair:?}: {error}");
            wanted.push(parse_ip(&text, || format!("invalid IP address {text}")).map_err(bad)?);
        }
        let in_args = fields.object("args", "struct")?.object("cni", "IPAMArgs")?.strings("ips")?;
        let runtime = fields.object("runtimeConfig", "struct")?;
        for text in in_args.into_iter().chain(runtime.strings("ips")?) {
            // With a prefix length, or without.
            let address = text.split('/').next().unwrap_or_default();
            wanted.push(parse_ip(address, || format!("invalid IP address {text}"))?);
        }
        let mut read = Vec::new();
        let own = Range::read(&ipam)?;
        if own[0].is_some() {
            read.push(vec![own]);
        }
        read.extend(sets(&ipam, "ranges")?);
        let mut runtime_sets = sets(&runtime, "ipRanges")?;
        runtime_sets.append(&mut read);
        let mut routes = Vec::new();
        for route in ipam.objects("routes", "*types.Route")? {
            routes.push(Route::read(&route)?);
        }
        Ok(Conf {
            version: fields.string("cniVersion")?,
            name: fields.string("name")?,
            sets: canonical(runtime_sets)?,
            routes,
            data_dir: ipam.string("dataDir")?,
            resolv_conf: ipam.string("resolvConf")?,
            wanted,
        })
    }
}

/// Ranges as they stand in the configuration.
fn sets(fields: &Fields, key: &'static str) -> Result<Vec<Vec<[Option<IpOrNet>; 4]>>, String> {
    let of_set = |set: &serde_json::Value| {
        let list = set.as_array().map_or(&[][..], Vec::as_slice);
        let ranges = list.iter().map(|range| Range::read(&Fields::of("allocator.Range", range)?));
        ranges.collect::<Result<Vec<_>, String>>()
    };
    fields.list(key, "[]allocator.RangeSet")?.iter().map(of_set).collect()
}

fn canonical(read: Vec<Vec<[Option<IpOrNet>; 4]>>) -> Result<Vec<RangeSet>, String> {
    if read.is_empty() {
        return Err("no IP ranges specified".to_owned());
    }
    let mut sets: Vec<RangeSet> = Vec::new();
    for (at, ranges) in read.into_iter().enumerate() {
        let set = canonical_set(ranges).map_err(|error| format!("invalid range set {at}: {error}"))?;
        sets.push(set);
    }
    for (at, set) in sets.iter().enumerate() {
        let overlaps = |other: &RangeSet| set.iter().any(|a| other.iter().any(|b| a.overlaps(b)));
        if let Some(other) = sets[at + 1..].iter().position(overlaps) {
            return Err(format!("range set {at} overlaps with {}", at + 1 + other));
        }
    }
    Ok(sets)
}

fn canonical_set(ranges: Vec<[Option<IpOrNet>; 4]>) -> Result<RangeSet, String> {
    if ranges.is_empty() {
        return Err("empty range set".to_owned());
    }
    let set: RangeSet = ranges.into_iter().map(Range::canonical).collect::<Result<_, _>>()?;
    for (at, range) in set.iter().enumerate() {
        if let Some(other) = set[at + 1..].iter().find(|other| range.overlaps(other)) {
            return Err(format!("subnets {} and {} overlap", range.text(), other.text()));
        }
    }
    Ok(set)
}

/// The folder of a network: a file for each address that is taken.
struct Store {
    folder: String,
}

impl Store {
    async fn open(cmd: &Cmd<'_>, conf: &Conf) -> Done<Store> {
        let dir = if conf.data_dir.is_empty() { DATA_DIR } else { conf.data_dir.trim_end_matches('/') };
        let folder = cmd.process.path(&format!("{dir}/{}", conf.name));
        let files = &cmd.process.files;
        let failed = |what: &str, path: &str, error: std::io::Error| {
            format!("{what} {path}: {}", crate::process::strerror(&error).to_lowercase())
        };
        files.make_dir(&folder).await.map_err(|error| failed("mkdir", &folder, error))?;
        let lock = format!("{folder}/lock");
        if files.read(&lock).await.is_err() {
            files.write(&lock, &[]).await.map_err(|error| failed("open", &lock, error))?;
        }
        Ok(Store { folder })
    }

    fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    async fn read(&self, cmd: &Cmd<'_>, name: &str) -> Option<String> {
        let bytes = cmd.process.files.read(&self.file(name)).await.ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Takes an address; false: it is taken.
    async fn reserve(&self, cmd: &Cmd<'_>, ip: Ipv4Addr, set: usize) -> Done<bool> {
        let name = ip.to_string();
        if self.read(cmd, &name).await.is_some() {
            return Ok(false);
        }
        let last = format!("last_reserved_ip.{set}");
        for (file, text) in [(&name, key(cmd)), (&last, name.clone())] {
            let path = self.file(file);
            let written = cmd.process.files.write(&path, text.as_bytes()).await;
            written.map_err(|error| {
                format!("open {path}: {}", crate::process::strerror(&error).to_lowercase())
            })?;
        }
        Ok(true)
    }

    /// The addresses of a container's device.
    async fn taken(&self, cmd: &Cmd<'_>) -> Vec<Ipv4Addr> {
        let own = key(cmd);
        let mut taken = Vec::new();
        for (name, _) in cmd.process.files.list(&self.folder).await.unwrap_or_default() {
            let Ok(ip) = name.parse() else { continue };
            if self.read(cmd, &name).await.is_some_and(|text| text.trim() == own) {
                taken.push(ip);
            }
        }
        taken.sort();
        taken
    }

    async fn release(&self, cmd: &Cmd<'_>) -> Done {
        for ip in self.taken(cmd).await {
            let path = self.file(&ip.to_string());
            let removed = cmd.process.files.remove(&path).await;
            removed.map_err(|error| {
                format!("remove {path}: {}", crate::process::strerror(&error).to_lowercase())
            })?;
        }
        Ok(())
    }
}

/// What stands in the file of an address.
fn key(cmd: &Cmd) -> String {
    format!("{}\r\n{}", cmd.container_id, cmd.if_name)
}

/// The addresses of a set, beginning behind the one that was last given, in a circle.
struct Iter<'a> {
    set: &'a RangeSet,
    range: usize,
    now: Option<Ipv4Addr>,
    start: Option<Ipv4Addr>,
}

impl Iter<'_> {
    fn next(&mut self) -> Option<(IpNet, Ipv4Addr)> {
        loop {
            let mut range = self.set[self.range];
            let ip = match self.now {
                None => {
                    self.start = Some(range.start);
                    range.start
                }
                Some(now) => {
                    let next = if now == range.end {
                        self.range = (self.range + 1) % self.set.len();
                        range = self.set[self.range];
                        range.start
                    } else {
                        next_ip(now)
                    };
                    if self.start == Some(next) {
                        return None;
                    }
                    self.start.get_or_insert(next);
                    next
                }
            };
            self.now = Some(ip);
            if ip != range.gateway {
                return Some((IpNet { ip, len: range.subnet.len }, range.gateway));
            }
        }
    }
}

/// An address of a set, one that is wanted or the next.
async fn get(
    cmd: &Cmd<'_>,
    store: &Store,
    (at, set): (usize, &RangeSet),
    wanted: Option<Ipv4Addr>,
) -> Done<IpConfig> {
    if let Some(ip) = wanted {
        let Some(range) = set.iter().find(|range| range.contains(ip)) else {
            return Err(format!("{ip} not in range set {}", set_text(set)).into());
        };
        if range.gateway == ip {
            return Err(format!("requested ip {ip} is subnet's gateway").into());
        }
        if !store.reserve(cmd, ip, at).await? {
            return Err(
                format!("requested IP address {ip} is not available in range set {}", set_text(set)).into()
            );
        }
        let address = IpNet { ip, len: range.subnet.len };
        return Ok(IpConfig { interface: None, address, gateway: Some(range.gateway) });
    }
    let taken = store.taken(cmd).await;
    if let Some(ip) = taken.iter().find(|ip| set.iter().any(|range| range.contains(**ip))) {
        let id = &cmd.container_id;
        return Err(format!("{ip} has been allocated to {id}, duplicate allocation is not allowed").into());
    }
    let last = store.read(cmd, &format!("last_reserved_ip.{at}")).await.and_then(|text| text.parse().ok());
    let range = last.and_then(|last| set.iter().position(|range| range.contains(last)));
    let mut iter = Iter { set, range: range.unwrap_or_default(), now: range.and(last), start: None };
    while let Some((address, gateway)) = iter.next() {
        if store.reserve(cmd, address.ip, at).await? {
            return Ok(IpConfig { interface: None, address, gateway: Some(gateway) });
        }
    }
    Err(format!("no IP addresses available in range set: {}", set_text(set)).into())
}

fn add<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let mut conf = Conf::read(cmd)?;
        let mut result = CniResult { routes: conf.routes.clone(), ..CniResult::default() };
        if !conf.resolv_conf.is_empty() {
            result.dns = resolv_conf(cmd, &conf.resolv_conf).await?;
        }
        if conf.sets.len() > 1 && !super::skel::has_check(&conf.version)? && conf.version.as_str() < "0.3.0" {
            let version = &conf.version;
            return Err(
                format!("CNI version {version} does not support more than 1 address per family").into()
            );
        }
        let store = Store::open(cmd, &conf).await?;
        for (at, set) in conf.sets.iter().enumerate() {
            let place = conf.wanted.iter().position(|ip| set.iter().any(|range| range.contains(*ip)));
            let wanted = place.map(|place| conf.wanted.remove(place));
            match get(cmd, &store, (at, set), wanted).await {
                Ok(ip) => result.ips.push(ip),
                Err(error) => {
                    if !result.ips.is_empty() {
                        store.release(cmd).await?;
                    }
                    return Err(format!("failed to allocate for range {at}: {}", error.msg).into());
                }
            }
        }
        if !conf.wanted.is_empty() {
            store.release(cmd).await?;
            let left: Vec<String> = conf.wanted.iter().map(Ipv4Addr::to_string).collect();
            return Err(format!("failed to allocate all requested IPs: {}", left.join(" ")).into());
        }
        Ok(result.json(&conf.version)?)
    })
}

fn check<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let conf = Conf::read(cmd)?;
        let store = Store::open(cmd, &conf).await?;
        if store.taken(cmd).await.is_empty() {
            let id = &cmd.container_id;
            return Err(format!("host-local: Failed to find address added by container {id}").into());
        }
        Ok(String::new())
    })
}

fn del<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let conf = Conf::read(cmd)?;
        Store::open(cmd, &conf).await?.release(cmd).await?;
        Ok(String::new())
    })
}

/// Name servers from a file.
async fn resolv_conf(cmd: &Cmd<'_>, path: &str) -> Done<Dns> {
    let read = cmd.process.files.read(&cmd.process.path(path)).await;
    let text =
        read.map_err(|error| format!("open {path}: {}", crate::process::strerror(&error).to_lowercase()))?;
    let mut dns = Dns::default();
    for line in String::from_utf8_lossy(&text).lines() {
        let line = line.trim();
        let mut words = line.split_whitespace().map(str::to_owned);
        let Some(keyword) = words.next().filter(|word| !word.starts_with(['#', ';'])) else { continue };
        let mut words = words.peekable();
        if words.peek().is_none() {
            continue;
        }
        match keyword.as_str() {
            "nameserver" => dns.nameservers.extend(words.next()),
            "domain" => dns.domain = words.next().unwrap_or_default(),
            "search" => dns.search.extend(words),
            "options" => dns.options.extend(words),
            _ => {}
        }
    }
    Ok(dns)
}
