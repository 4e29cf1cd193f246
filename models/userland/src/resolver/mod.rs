//! Names to addresses as the C library finds them (getaddrinfo(3), getnameinfo(3)): `/etc/hosts`, then DNS.
//!
//! | file | owns |
//! |---|---|
//! | `conf.rs` | `/etc/resolv.conf`, `/etc/nsswitch.conf` |
//! | `exchange.rs` | messages to and from a name server |
//!
//! Of a name without a family both addresses are asked for, and IPv6 addresses are not modelled. Programs whose arguments are rules
//! (`iptables`, `ipset`, filters of `tcpdump`) look names up in `/etc/hosts` only; `socat` takes numbers only.

pub mod conf;
pub mod exchange;

use std::net::{IpAddr, Ipv4Addr};

use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::socket::SockKind;
use glassnet_sim::Nanos;
use simple_dns::rdata::RData;
use simple_dns::{Packet, PacketFlag, RCODE, ResourceRecord, TYPE};

use crate::hosts::{Hosts, TEMPORARY_FAILURE};
use crate::process::Process;
use crate::sock::{self, Sock};
use conf::ResolvConf;
use exchange::{Answer, NoAnswer, PORT};

/// Why a name has no address (`EAI_…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gai {
    /// There is no such name.
    NoName,
    /// It has no address.
    NoData,
    /// No server answered.
    Again,
    /// An answer makes no sense.
    Fail,
}

impl Gai {
    /// Its number (`netdb.h`).
    pub fn number(self) -> i32 {
        match self {
            Gai::NoName => -2,
            Gai::Again => -3,
            Gai::Fail => -4,
            Gai::NoData => -5,
        }
    }

    /// gai_strerror(3).
    pub fn text(self) -> &'static str {
        match self {
            Gai::NoName => "Name or service not known",
            Gai::NoData => "No address associated with hostname",
            Gai::Again => TEMPORARY_FAILURE,
            Gai::Fail => "Non-recoverable failure in name resolution",
        }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `AF_UNSPEC`.
    Any,
    /// `AF_INET`.
    Ipv4,
    /// `AF_INET6`.
    Ipv6,
}

impl Family {
    fn types(self) -> &'static [TYPE] {
        match self {
            Family::Any => &[TYPE::A, TYPE::AAAA],
            Family::Ipv4 => &[TYPE::A],
            Family::Ipv6 => &[TYPE::AAAA],
        }
    }
}

/// A name's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// In order of preference; at least one.
    pub addresses: Vec<Ipv4Addr>,
    /// The name that has them.
    pub canonical: String,
    /// Other names that lead to it.
    pub aliases: Vec<String>,
}

impl Hosts {
    /// The addresses of a name, as getaddrinfo(3) gives them.
    ///
    /// # Errors
    ///
    /// It has none, or nobody says.
    pub async fn look_up(&self, process: &mut Process, name: &str, family: Family) -> Result<Found, Gai> {
        if let Some((IpAddr::V4(address), names)) = self.line(name, IpAddr::is_ipv4)
            && family != Family::Ipv6
            && let [canonical, aliases @ ..] = names
        {
            let (canonical, aliases) = (canonical.clone(), aliases.to_vec());
            return Ok(Found { addresses: vec![address], canonical, aliases });
        }
        let Some(conf) = &self.dns else { return Err(Gai::NoName) };
        let found = search(process, conf, name, family.types()).await?;
        let mut found = addresses(&found.0, &found.1).ok_or(Gai::NoData)?;
        prefer(process, &mut found.addresses);
        Ok(found)
    }

    /// The first address of a name or numeric address, as most programs use it.
    ///
    /// # Errors
    ///
    /// As of [`Hosts::look_up`].
    pub async fn address(&self, process: &mut Process, name: &str) -> Result<Ipv4Addr, Gai> {
        match crate::hosts::inet_aton(name) {
            Some(address) => Ok(address),
            None => Ok(self.look_up(process, name, Family::Any).await?.addresses[0]),
        }
    }

    /// Asks for the name of an address (getnameinfo(3)) and keeps it, so that [`Hosts::name`] knows it if there is one.
    ///
    /// # Errors
    ///
    /// Nobody says.
    pub async fn learn(&mut self, process: &mut Process, address: Ipv4Addr) -> Result<(), Gai> {
        if self.name(address.into()).is_some() || self.unnamed.contains(&address) {
            return Ok(());
        }
        let Some(conf) = &self.dns else { return Ok(()) };
        match reverse(process, conf, address).await {
            Ok(name) => self.keep(address, name),
            Err(Gai::Again) => return Err(Gai::Again),
            Err(_) => self.unnamed.push(address),
        }
        Ok(())
    }
}

/// The name of an address in `in-addr.arpa`.
pub fn arpa(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("{d}.{c}.{b}.{a}.in-addr.arpa")
}

/// The name of an address by DNS.
async fn reverse(process: &mut Process, conf: &ResolvConf, address: Ipv4Addr) -> Result<String, Gai> {
    let answers = query(process, conf, &arpa(address), &[TYPE::PTR]).await.map_err(Missed::gai)?;
    let mut records = answers.iter().flat_map(|answer| &answer.answers);
    let name = records.find_map(|record| match &record.rdata {
        RData::PTR(name) => Some(name.to_string()),
        _ => None,
    });
    name.ok_or(Gai::NoData)
}

/// Why one name of the search list was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missed {
    NoName,
    NoData,
    ServFail,
    /// No other name is asked for.
    Over(Gai),
}

impl Missed {
    fn gai(self) -> Gai {
        match self {
            Missed::NoName => Gai::NoName,
            Missed::NoData => Gai::NoData,
            Missed::ServFail => Gai::Again,
            Missed::Over(gai) => gai,
        }
    }
}

/// The names to try in order (`res_search`), without dots at their ends.
pub fn candidates(conf: &ResolvConf, name: &str) -> Vec<String> {
    let as_is = name.trim_end_matches('.').to_owned();
    if name.ends_with('.') {
        return vec![as_is];
    }
    let behind = |domain: &String| format!("{as_is}.{}", domain.trim_end_matches('.'));
    let mut all: Vec<String> = conf.search.iter().filter(|domain| *domain != ".").map(behind).collect();
    let at = if name.matches('.').count() >= conf.ndots { 0 } else { all.len() };
    all.insert(at, as_is);
    all
}

/// Asks for a name behind each domain of the search list; the name that was found, and the answers.
async fn search(
    process: &mut Process,
    conf: &ResolvConf,
    name: &str,
    types: &[TYPE],
) -> Result<(String, Vec<Answer>), Gai> {
    let as_is = name.trim_end_matches('.');
    // The first word is that of the name itself, if it was tried first.
    let (mut own, mut no_data, mut servfail) = (None, false, false);
    let names = candidates(conf, name);
    let asked_first = names.first().is_some_and(|first| first == as_is);
    for (at, candidate) in names.iter().enumerate() {
        let missed = match query(process, conf, candidate, types).await {
            Ok(answers) => return Ok((candidate.clone(), answers)),
            Err(missed) => missed,
        };
        match missed {
            Missed::Over(gai) => return Err(gai),
            missed if at == 0 && asked_first => own = Some(missed.gai()),
            Missed::NoData => no_data = true,
            Missed::ServFail => servfail = true,
            Missed::NoName => {}
        }
    }
    Err(match own {
        Some(gai) => gai,
        None if no_data => Gai::NoData,
        None if servfail => Gai::Again,
        None => Gai::NoName,
    })
}

/// Asks for one name (`res_query`).
async fn query(
    process: &mut Process,
    conf: &ResolvConf,
    name: &str,
    types: &[TYPE],
) -> Result<Vec<Answer>, Missed> {
    let answers = ask(process, conf, name, types).await?;
    if answers.iter().any(|answer| answer.rcode == RCODE::NoError && !answer.answers.is_empty()) {
        return Ok(answers);
    }
    let has = |rcode: RCODE| answers.iter().any(|answer| answer.rcode == rcode);
    Err(match () {
        () if has(RCODE::NameError) => Missed::NoName,
        () if has(RCODE::NoError) => Missed::NoData,
        () => Missed::Over(Gai::Fail),
    })
}

/// Sends the questions to one server after the other (`res_send`).
async fn ask(
    process: &mut Process,
    conf: &ResolvConf,
    name: &str,
    types: &[TYPE],
) -> Result<Vec<Answer>, Missed> {
    let mut missed = Missed::Over(Gai::Again);
    for _ in 0..conf.attempts {
        for (at, server) in conf.servers.iter().enumerate() {
            let mut wait = conf.timeout.0 << at;
            if at > 0 {
                wait = (wait / conf.servers.len() as u64).max(1_000_000_000);
            }
            let deadline = process.now() + Nanos(wait);
            match ask_server(process, *server, name, types, deadline).await {
                Ok(answers) => return Ok(answers),
                Err(Missed::ServFail) => missed = Missed::ServFail,
                Err(Missed::Over(Gai::Fail)) => return Err(Missed::Over(Gai::Fail)),
                Err(_) => {}
            }
        }
    }
    Err(missed)
}

/// Sends all questions, and waits for as many answers.
async fn ask_server(
    process: &mut Process,
    server: Ipv4Addr,
    name: &str,
    types: &[TYPE],
    deadline: Nanos,
) -> Result<Vec<Answer>, Missed> {
    let again = |_: Errno| Missed::Over(Gai::Again);
    let socket = exchange::connect(process, (server, PORT)).map_err(again)?;
    let mut open = Vec::new();
    for kind in types {
        let id = sock::random(process, 1 << 16) as u16;
        let message = exchange::query(id, name, *kind).map_err(|_| Missed::Over(Gai::NoName))?;
        socket.write(&message).map_err(again)?;
        open.push((id, message));
    }
    let (mut answers, mut servfail) = (Vec::new(), false);
    while !open.is_empty() {
        let bytes = match exchange::receive(process, &socket, deadline).await {
            Ok(bytes) => bytes,
            Err(NoAnswer::Failed(_) | NoAnswer::TimedOut | NoAnswer::Closed) => {
                return Err(Missed::Over(Gai::Again));
            }
        };
        let Ok(packet) = Packet::parse(&bytes) else { continue };
        let Some(at) = open.iter().position(|(id, _)| *id == packet.id()) else { continue };
        let (_, message) = open.remove(at);
        let refused = [RCODE::ServerFailure, RCODE::NotImplemented, RCODE::Refused];
        if refused.contains(&packet.rcode()) {
            servfail = true;
            continue;
        }
        if !packet.has_flags(PacketFlag::TRUNCATION) {
            answers.push(answer(packet));
            continue;
        }
        let whole = exchange::over_tcp(process, (server, PORT), &message, deadline).await;
        let whole = whole.map_err(|_| Missed::Over(Gai::Again))?;
        answers.extend(Packet::parse(&whole).ok().map(answer));
    }
    match answers.is_empty() {
        true if servfail => Err(Missed::ServFail),
        true => Err(Missed::Over(Gai::Again)),
        false => Ok(answers),
    }
}

fn answer(packet: Packet) -> Answer {
    let answers = packet.answers.iter().cloned().map(ResourceRecord::into_owned).collect();
    Answer { rcode: packet.rcode(), answers }
}

/// The addresses that answers give a name, behind its aliases.
fn addresses(name: &str, answers: &[Answer]) -> Option<Found> {
    let records = || answers.iter().flat_map(|answer| &answer.answers);
    let (mut canonical, mut aliases) = (name.to_owned(), Vec::new());
    // An alias leads to each name once.
    for _ in 0..records().count() {
        let is = |record: &ResourceRecord| record.name.to_string().eq_ignore_ascii_case(&canonical);
        let alias = records().filter(|record| is(record)).find_map(|record| match &record.rdata {
            RData::CNAME(target) => Some(target.to_string()),
            _ => None,
        });
        match alias {
            Some(target) => aliases.push(std::mem::replace(&mut canonical, target)),
            None => break,
        }
    }
    let addresses: Vec<Ipv4Addr> = records()
        .filter(|record| record.name.to_string().eq_ignore_ascii_case(&canonical))
        .filter_map(|record| match &record.rdata {
            RData::A(a) => Some(Ipv4Addr::from_bits(a.address)),
            _ => None,
        })
        .collect();
    (!addresses.is_empty()).then_some(Found { addresses, canonical, aliases })
}

/// Sorts addresses as getaddrinfo(3) does (RFC 3484, section 6): those that have a route first, then those in a network of this machine, by
/// the length of the prefix that they share with its address.
fn prefer(process: &Process, addresses: &mut [Ipv4Addr]) {
    if addresses.len() < 2 {
        return;
    }
    addresses.sort_by_cached_key(|address| {
        let probe = Sock::open(process, SockKind::Udp);
        if probe.connect(*address, PORT).is_err() {
            return (true, 0);
        }
        let source = probe.local().0;
        let len = prefix_len(process, source).unwrap_or(0);
        let common = (source.to_bits() ^ address.to_bits()).leading_zeros();
        (false, if common >= len { 32 - common } else { 32 })
    });
}

/// The length of the prefix of the network of an address of this machine.
fn prefix_len(process: &Process, own: Ipv4Addr) -> Option<u32> {
    let names = sock::interfaces(process);
    let (_, name) = names.iter().find(|(_, name)| sock::addresses(process, name).contains(&own))?;
    Some(sock::netmask(process, name).to_bits().leading_ones())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_behind_the_search_list() {
        let conf = ResolvConf {
            search: vec!["default.svc.cluster.local".to_owned(), "cluster.local.".to_owned()],
            ndots: 5,
            ..ResolvConf::default()
        };
        assert_eq!(candidates(&conf, "web"), ["web.default.svc.cluster.local", "web.cluster.local", "web"]);
        assert_eq!(candidates(&conf, "web."), ["web"]);
        let few = ResolvConf { ndots: 1, ..conf };
        assert_eq!(candidates(&few, "a.example")[0], "a.example");
    }
}
