//! Questions as BIND's programs ask them (`dighost.c`).

use std::net::Ipv4Addr;

use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::socket::{PmtuDisc, SockKind};
use glassnet_sim::Nanos;
use simple_dns::rdata::{OPT, OPTCode, RData};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, ResourceRecord};

use crate::process::Process;
use crate::resolver::conf::ResolvConf;
use crate::resolver::exchange::{self, NoAnswer, PORT};
use crate::sock::{self, Sock};

/// The option that holds a cookie (RFC 7873).
pub const COOKIE: u16 = 10;

/// How to ask.
#[derive(Clone, Debug)]
pub struct Asking {
    /// Servers, in order, each with how it was named.
    pub servers: Vec<(Ipv4Addr, String)>,
    /// Their port.
    pub port: u16,
    /// Over TCP.
    pub tcp: bool,
    /// How often a server is asked.
    pub tries: usize,
    /// How long to wait.
    pub timeout: Nanos,
    /// Flags of the query.
    pub flags: PacketFlag,
    /// The size of messages that are taken (EDNS).
    pub edns: Option<u16>,
    /// With a cookie.
    pub cookie: bool,
    /// A truncated answer is taken as it is.
    pub ignores_truncation: bool,
}

impl Asking {
    /// As all three programs ask by default: the servers of `/etc/resolv.conf`.
    pub fn of(conf: &ResolvConf) -> Asking {
        Asking {
            servers: conf.servers.iter().map(|server| (*server, server.to_string())).collect(),
            port: PORT,
            tcp: false,
            tries: 3,
            timeout: conf.timeout,
            flags: PacketFlag::RECURSION_DESIRED,
            edns: None,
            cookie: false,
            ignores_truncation: false,
        }
    }
}

/// An answer.
pub struct Reply {
    /// The message.
    pub bytes: Vec<u8>,
    /// Who sent it, and how it was named.
    pub server: (Ipv4Addr, String),
    /// From this port.
    pub port: u16,
    /// It came over TCP.
    pub tcp: bool,
    /// How long it took.
    pub took: Nanos,
    /// The cookie that was sent.
    pub cookie: Vec<u8>,
}

/// Reads `/etc/resolv.conf`.
pub async fn conf(process: &Process) -> ResolvConf {
    let bytes = process.files.read("/etc/resolv.conf").await.unwrap_or_default();
    ResolvConf::parse(&String::from_utf8_lossy(&bytes))
}

/// The query, with the OPT record at its end as BIND writes it.
fn message(
    asking: &Asking,
    id: u16,
    (name, kind): (&str, QTYPE),
    cookie: &[u8],
) -> simple_dns::Result<Vec<u8>> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(asking.flags);
    packet.questions.push(Question::new(Name::new(name)?, kind, QCLASS::CLASS(CLASS::IN), false));
    if let Some(size) = asking.edns {
        packet.additional_records.push(opt(size, cookie));
    }
    packet.build_bytes_vec_compressed()
}

/// The record of EDNS, with a cookie if there is one.
pub fn opt(size: u16, cookie: &[u8]) -> ResourceRecord<'static> {
    let codes = match cookie {
        [] => Vec::new(),
        bytes => vec![OPTCode { code: COOKIE, data: bytes.to_vec().into() }],
    };
    let data = RData::OPT(OPT { opt_codes: codes, udp_packet_size: size, version: 0 });
    ResourceRecord::new(Name::new_unchecked("."), CLASS::IN, 0, data)
}

/// What BIND calls an error of a socket.
fn error(errno: Errno) -> String {
    match errno {
        Errno::ENETUNREACH => "network unreachable".to_owned(),
        other => other.strerror().to_lowercase(),
    }
}

/// Asks the servers for a name until one answers, and prints what went wrong meanwhile.
///
/// # Errors
///
/// Nobody answers; true: no question could be sent.
pub async fn ask(process: &mut Process, asking: &Asking, name: &str, kind: QTYPE) -> Result<Reply, bool> {
    let mut unsent = false;
    for _ in 0..asking.tries.max(1) {
        for (at, server) in asking.servers.iter().enumerate() {
            let (address, port, user) = (server.0, asking.port, &server.1);
            let reply = match once(process, asking, server, (name, kind)).await {
                Ok(reply) => reply,
                Err(Trouble::Setup(errno)) => {
                    let why = error(errno);
                    process.print(format!(
                        ";; UDP setup with {address}#{port}({user}) for {name} failed: {why}.\n;; no servers could be reached\n"
                    ));
                    unsent = true;
                    continue;
                }
                Err(Trouble::Answer(no)) => {
                    let why = match no {
                        NoAnswer::Failed(errno) => error(errno),
                        NoAnswer::TimedOut => "timed out".to_owned(),
                        NoAnswer::Closed => "end of file".to_owned(),
                    };
                    process.print(format!(";; communications error to {address}#{port}: {why}\n"));
                    continue;
                }
            };
            let failed =
                Packet::parse(&reply.bytes).is_ok_and(|packet| packet.rcode() == RCODE::ServerFailure);
            if failed && at + 1 < asking.servers.len() {
                process.print(format!(";; Got SERVFAIL reply from {address}, trying next server\n"));
                continue;
            }
            return Ok(reply);
        }
    }
    Err(unsent)
}

enum Trouble {
    Setup(Errno),
    Answer(NoAnswer),
}

async fn once(
    process: &mut Process,
    asking: &Asking,
    server: &(Ipv4Addr, String),
    what: (&str, QTYPE),
) -> Result<Reply, Trouble> {
    let (begun, end) = (process.now(), (server.0, asking.port));
    let deadline = begun + asking.timeout;
    let id = sock::random(process, 1 << 16) as u16;
    let wants_cookie = asking.cookie && asking.edns.is_some();
    let cookie: Vec<u8> =
        if wants_cookie { (0..8).map(|_| sock::random(process, 256) as u8).collect() } else { Vec::new() };
    // The name was checked when it was read.
    let query = message(asking, id, what, &cookie).unwrap_or_default();
    let mut tcp = asking.tcp;
    let bytes = loop {
        if tcp {
            break exchange::over_tcp(process, end, &query, deadline).await.map_err(Trouble::Answer)?;
        }
        let bytes = over_udp(process, end, (id, &query), deadline).await?;
        let truncated = Packet::parse(&bytes).is_ok_and(|packet| packet.has_flags(PacketFlag::TRUNCATION));
        if !truncated || asking.ignores_truncation {
            break bytes;
        }
        process.print(";; Truncated, retrying in TCP mode.\n");
        tcp = true;
    };
    let took = process.now().since(begun);
    Ok(Reply { bytes, server: server.clone(), port: asking.port, tcp, took, cookie })
}

/// Sends a query and waits for its answer.
async fn over_udp(
    process: &mut Process,
    (server, port): (Ipv4Addr, u16),
    (id, query): (u16, &[u8]),
    deadline: Nanos,
) -> Result<Vec<u8>, Trouble> {
    let socket = Sock::open(process, SockKind::Udp);
    // As with `IP_PMTUDISC_OMIT`, routers may cut it.
    socket.set(|opts| opts.pmtudisc = PmtuDisc::Dont);
    socket.connect(server, port).map_err(Trouble::Setup)?;
    socket.write(query).map_err(|errno| Trouble::Answer(NoAnswer::Failed(errno)))?;
    loop {
        let bytes = exchange::receive(process, &socket, deadline).await.map_err(Trouble::Answer)?;
        if bytes.get(..2) == Some(&id.to_be_bytes()) {
            return Ok(bytes);
        }
    }
}

/// Why a text is no name, in BIND's words.
pub fn illegal(name: &str) -> Option<&'static str> {
    let labels = name.strip_suffix('.').unwrap_or(name);
    if labels.is_empty() {
        return None;
    }
    if labels.split('.').any(str::is_empty) {
        return Some("empty label");
    }
    if labels.split('.').any(|label| label.len() > 63) {
        return Some("label too long");
    }
    (labels.len() > 253).then_some("ran out of space")
}
