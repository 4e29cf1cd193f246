//! Addresses: `KEYWORD:PARAMETER:…,OPTION=VALUE,…`.

use std::net::Ipv4Addr;

use crate::hosts::{TEMPORARY_FAILURE, inet_aton};
use crate::services::ports_by_name;

use super::options::number;
use super::{Fail, Res, error, not_modelled};

/// Kinds of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `-` and `STDIO`.
    Stdio,
    /// `STDIN`.
    Stdin,
    /// `STDOUT`.
    Stdout,
    /// `TUN`.
    Tun,
    /// `TCP-CONNECT`.
    TcpConnect,
    /// `TCP-LISTEN`.
    TcpListen,
    /// `UDP-CONNECT`.
    UdpConnect,
    /// `UDP-LISTEN`: connects to the sender of the first datagram.
    UdpListen,
    /// `UDP-DATAGRAM`: to one address, from all.
    UdpDatagram,
    /// `UDP-SENDTO`: to one address and from it.
    UdpSendto,
    /// `UDP-RECV`: only receives.
    UdpRecv,
    /// `UDP-RECVFROM`: one datagram, and answers to its sender.
    UdpRecvfrom,
}

/// Keywords in lower case, and how many parameters follow.
const KEYWORDS: &[(&str, Kind, usize)] = &[
    ("-", Kind::Stdio, 0),
    ("stdio", Kind::Stdio, 0),
    ("stdin", Kind::Stdin, 0),
    ("stdout", Kind::Stdout, 0),
    ("tun", Kind::Tun, 0),
    ("tcp", Kind::TcpConnect, 2),
    ("tcp-connect", Kind::TcpConnect, 2),
    ("tcp4", Kind::TcpConnect, 2),
    ("tcp4-connect", Kind::TcpConnect, 2),
    ("tcp-listen", Kind::TcpListen, 1),
    ("tcp-l", Kind::TcpListen, 1),
    ("tcp4-listen", Kind::TcpListen, 1),
    ("tcp4-l", Kind::TcpListen, 1),
    ("udp", Kind::UdpConnect, 2),
    ("udp-connect", Kind::UdpConnect, 2),
    ("udp4", Kind::UdpConnect, 2),
    ("udp4-connect", Kind::UdpConnect, 2),
    ("udp-listen", Kind::UdpListen, 1),
    ("udp-l", Kind::UdpListen, 1),
    ("udp4-listen", Kind::UdpListen, 1),
    ("udp4-l", Kind::UdpListen, 1),
    ("udp-datagram", Kind::UdpDatagram, 2),
    ("udp-dgram", Kind::UdpDatagram, 2),
    ("udp4-datagram", Kind::UdpDatagram, 2),
    ("udp4-dgram", Kind::UdpDatagram, 2),
    ("udp-sendto", Kind::UdpSendto, 2),
    ("udp4-sendto", Kind::UdpSendto, 2),
    ("udp-recv", Kind::UdpRecv, 1),
    ("udp4-recv", Kind::UdpRecv, 1),
    ("udp-recvfrom", Kind::UdpRecvfrom, 1),
    ("udp4-recvfrom", Kind::UdpRecvfrom, 1),
];

/// Addresses of the real program that are refused by name, each with its kinds (`EXEC`, `SCTP4-LISTEN`, …).
const NOT_MODELLED: &[&str] = &[
    "abstract",
    "create",
    "exec",
    "fd",
    "file",
    "gopen",
    "if",
    "interface",
    "ip",
    "ip4",
    "ip6",
    "local",
    "open",
    "openssl",
    "pipe",
    "fifo",
    "echo",
    "proxy",
    "pty",
    "sctp",
    "sctp4",
    "sctp6",
    "socket",
    "socks",
    "socks4",
    "socks4a",
    "ssl",
    "stderr",
    "system",
    "tcp6",
    "udp6",
    "unix",
    "vsock",
    "dtls",
    "udplite",
    "readline",
];

/// getaddrinfo(3)'s error for what can be no name.
const NOT_KNOWN: &str = "Name or service not known";

/// Names of all options of the real program.
const OPTIONS: &str = include_str!("options.txt");

impl Kind {
    fn is_stdio(self) -> bool {
        matches!(self, Kind::Stdio | Kind::Stdin | Kind::Stdout)
    }

    fn is_tcp(self) -> bool {
        matches!(self, Kind::TcpConnect | Kind::TcpListen)
    }

    /// It waits for somebody at a port, and its only parameter is that.
    pub fn is_passive(self) -> bool {
        matches!(self, Kind::TcpListen | Kind::UdpListen | Kind::UdpRecv | Kind::UdpRecvfrom)
    }
}

/// What options say.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `bind`.
    pub bind: Option<(Ipv4Addr, u16)>,
    /// `sourceport`.
    pub source_port: Option<u16>,
    /// `fork`.
    pub fork: bool,
    /// `reuseaddr`.
    pub reuseaddr: bool,
    /// `reuseport`.
    pub reuseport: bool,
    /// `broadcast`.
    pub broadcast: bool,
    /// `ttl`.
    pub ttl: Option<u8>,
    /// `tos`.
    pub tos: u8,
    /// `bindtodevice`.
    pub device: Option<String>,
    /// `backlog`.
    pub backlog: Option<usize>,
    /// `nodelay`.
    pub nodelay: bool,
    /// `keepalive`.
    pub keepalive: bool,
    /// `tun-name`.
    pub tun_name: String,
    /// `tun-type=tap`.
    pub tap: bool,
    /// `iff-no-pi`.
    pub no_pi: bool,
    /// `iff-up`.
    pub up: bool,
    /// `iff-promisc`.
    pub promisc: bool,
    /// `iff-noarp`.
    pub noarp: bool,
}

/// An address as it was written.
#[derive(Clone, Debug)]
pub struct Address {
    /// Its kind.
    pub kind: Kind,
    /// Its parameters.
    pub params: Vec<String>,
    /// Its options.
    pub set: Settings,
}

impl Address {
    /// Reads an address.
    pub fn parse(text: &str) -> Res<Address> {
        if text.contains("!!") {
            return not_modelled("ADDRESS!!ADDRESS");
        }
        if text.contains(['"', '\'', '\\', '[', '(', '{']) {
            return not_modelled(format!("{text}: quotes and brackets"));
        }
        let mut parts = text.split(',');
        let mut words = parts.next().unwrap_or_default().split(':');
        let keyword = words.next().unwrap_or_default();
        let (kind, count) = keyword_of(keyword)?;
        let params: Vec<String> = words.map(str::to_owned).collect();
        let expected = match kind {
            Kind::Tun if params.len() > 1 => "0 or 1".to_owned(),
            Kind::Tun => params.len().to_string(),
            _ => count.to_string(),
        };
        if expected != params.len().to_string() {
            let given = params.len();
            return error(format!("{keyword}: wrong number of parameters ({given} instead of {expected})"));
        }
        let mut address = Address { kind, params, set: Settings::default() };
        for option in parts.filter(|option| !option.is_empty()) {
            address.option(option)?;
        }
        Ok(address)
    }

    /// It goes on after it has accepted.
    pub fn forks(&self) -> bool {
        self.set.fork && self.kind.is_passive()
    }

    fn option(&mut self, text: &str) -> Res {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let lower = name.to_ascii_lowercase();
        let on = || number(value.unwrap_or("1"), text).map(|value| value != 0);
        let needs = || match value {
            Some(value) => Ok(value.to_owned()),
            None => error(format!("option \"{name}\": value required")),
        };
        let is_tun = self.kind == Kind::Tun;
        let (is_ip, is_tcp) = (!is_tun && !self.kind.is_stdio(), self.kind.is_tcp());
        let set = &mut self.set;
        let fits = match lower.as_str() {
            "tun-name" | "tun-type" | "tun-device" | "iff-no-pi" | "no-pi" | "tun-no-pi" | "iff-up"
            | "up" | "iff-promisc" | "promisc" | "iff-noarp" | "noarp" => is_tun,
            "nodelay" | "tcp-nodelay" => is_tcp,
            "backlog" => self.kind == Kind::TcpListen,
            "bind" | "sourceport" | "sp" | "fork" | "so-reuseaddr" | "reuseaddr" | "so-reuseport"
            | "reuseport" | "so-broadcast" | "broadcast" | "ttl" | "ip-ttl" | "ipttl" | "tos" | "ip-tos"
            | "iptos" | "keepalive" | "so-keepalive" | "so-bindtodevice" | "bindtodevice" | "if"
            | "interface" | "pf" | "protocol-family" => is_ip,
            known if OPTIONS.split_ascii_whitespace().any(|option| option == known) => {
                return not_modelled(format!("… {name}"));
            }
            _ => return error(format!("parseopts_table(): unknown option \"{name}\"")),
        };
        if !fits {
            return error(format!(
                "parseopts_table(): option \"{name}\" not supported with this address type"
            ));
        }
        match lower.as_str() {
            "tun-name" => set.tun_name = needs()?,
            "tun-type" => set.tap = tun_type(&needs()?)?,
            "tun-device" if needs()? != "/dev/net/tun" => return not_modelled(format!("… {text}")),
            "iff-no-pi" | "no-pi" | "tun-no-pi" => set.no_pi = on()?,
            "iff-up" | "up" => set.up = on()?,
            "iff-promisc" | "promisc" => set.promisc = on()?,
            "iff-noarp" | "noarp" => set.noarp = on()?,
            "nodelay" | "tcp-nodelay" => set.nodelay = on()?,
            "backlog" => set.backlog = Some(number(value.unwrap_or("1"), text)? as usize),
            "bind" => set.bind = Some(bind(&needs()?, self.kind)?),
            "sourceport" | "sp" => set.source_port = Some(number(value.unwrap_or_default(), text)? as u16),
            "fork" => set.fork = on()?,
            "so-reuseaddr" | "reuseaddr" => set.reuseaddr = on()?,
            "so-reuseport" | "reuseport" => set.reuseport = on()?,
            "so-broadcast" | "broadcast" => set.broadcast = on()?,
            "ttl" | "ip-ttl" | "ipttl" => set.ttl = Some(number(value.unwrap_or("1"), text)? as u8),
            "tos" | "ip-tos" | "iptos" => set.tos = number(value.unwrap_or("1"), text)? as u8,
            "keepalive" | "so-keepalive" => set.keepalive = on()?,
            "so-bindtodevice" | "bindtodevice" | "if" | "interface" => set.device = Some(needs()?),
            "pf" | "protocol-family" if !["ip4", "ipv4", "inet", "2"].contains(&needs()?.as_str()) => {
                return not_modelled(format!("… {text}"));
            }
            _ => {}
        }
        Ok(())
    }
}

fn keyword_of(keyword: &str) -> Res<(Kind, usize)> {
    let lower = keyword.to_ascii_lowercase();
    if let Some((_, kind, count)) = KEYWORDS.iter().find(|(known, ..)| *known == lower) {
        return Ok((*kind, *count));
    }
    let family = lower.split('-').next().unwrap_or_default();
    let is_number = !lower.is_empty() && lower.bytes().all(|byte| byte.is_ascii_digit());
    if NOT_MODELLED.contains(&family) || is_number || lower.contains('/') {
        return not_modelled(keyword);
    }
    error(format!("unknown device/address \"{keyword}\""))
}

fn tun_type(text: &str) -> Res<bool> {
    match text {
        "tun" => Ok(false),
        "tap" => Ok(true),
        other => error(format!("unknown tun-type \"{other}\"")),
    }
}

/// `bind=ADDRESS:PORT`, of which an address that waits at a port gives only the first.
fn bind(text: &str, kind: Kind) -> Res<(Ipv4Addr, u16)> {
    let hints = if kind.is_tcp() { "2,1,6" } else { "2,2,17" };
    let (host, port) = match text.split_once(':') {
        Some((host, port)) if !kind.is_passive() => (host, Some(port)),
        _ => (text, None),
    };
    let addr = if host.is_empty() { Ipv4Addr::UNSPECIFIED } else { resolve(host, hints)? };
    let port = port.map_or(Ok(0), |port| service(host, port, "2"))?;
    Ok((addr, port))
}

/// An IPv4 address; `hints` are those of getaddrinfo(3) behind the first, as they are told.
pub fn resolve(host: &str, hints: &str) -> Res<Ipv4Addr> {
    let why = if host.contains(':') { NOT_KNOWN } else { TEMPORARY_FAILURE };
    inet_aton(host)
        .map_or_else(|| error(format!("getaddrinfo(\"{host}\", \"NULL\", {{1,{hints}}}, {{}}): {why}")), Ok)
}

/// A port, by number or name.
pub fn service(host: &str, text: &str, family: &str) -> Res<u16> {
    if text.is_empty() {
        return error("empty port/service");
    }
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return number(text, text).map(|port| port as u16);
    }
    let (tcp, udp) = ports_by_name(text);
    tcp.or(udp).ok_or_else(|| {
        let servname = "Servname not supported for ai_socktype";
        Fail::Error(format!("getaddrinfo\"{host}\", \"{text}\", {{1,{family},1,0}}, {{}}): {servname}"))
    })
}
