//! Questions to forwarders, and the memory of their answers.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use glassnet_kernel::tables::socket::{PmtuDisc, SockKind};
use glassnet_sim::Nanos;
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, ResourceRecord};

use super::answer::Answer;
use super::zone::Record;
use super::{Client, Server, after};
use crate::dig::lookup::{COOKIE, opt};
use crate::dig::text::kind_name;
use crate::process::Process;
use crate::resolver::exchange::PORT;
use crate::sock::{self, Sock};

/// How long one forwarder is waited for, and how often all are asked.
const PATIENCE: Nanos = Nanos::from_millis(1_200);
const ROUNDS: usize = 4;
/// How long an answer is kept that says no and names no time, seconds.
const NO_TTL: u32 = 0;
/// How long it is kept that nobody gave an answer (`servfail-ttl`).
const SERVFAIL_TTL: Nanos = Nanos::from_secs(1);
/// The length of a client's part of a cookie, bytes.
const CLIENT_COOKIE: usize = 8;

/// A question that a forwarder was asked.
pub(super) struct Pending {
    pub(super) client: Client,
    /// The client's message.
    query: Vec<u8>,
    /// What is known so far.
    answer: Answer,
    asked: (String, QTYPE),
    pub(super) socket: Sock,
    id: u16,
    /// How many forwarders were asked before.
    tries: usize,
    pub(super) deadline: Nanos,
}

/// An answer that is kept until its time is over.
#[derive(Clone, Debug)]
struct Kept {
    rcode: RCODE,
    answers: Vec<Record>,
    authorities: Vec<Record>,
    at: Nanos,
    until: Nanos,
}

/// What is remembered of forwarders.
#[derive(Default)]
pub(super) struct Cache {
    /// Answers by name and type.
    answers: BTreeMap<(String, u16), Kept>,
    /// Names that do not exist, whatever type is asked for.
    no_names: BTreeMap<String, Kept>,
    /// The cookie of each forwarder: this server's part, and once it has answered its own behind it (RFC 7873).
    cookies: BTreeMap<Ipv4Addr, Vec<u8>>,
}

impl Cache {
    fn get(&self, (name, kind): &(String, QTYPE), now: Nanos) -> Option<Kept> {
        let of_type = self.answers.get(&(name.clone(), u16::from(*kind)));
        let mut known = self.no_names.get(name).into_iter().chain(of_type);
        let mut kept = known.find(|kept| now < kept.until)?.clone();
        let age = (now.since(kept.at).0 / 1_000_000_000) as u32;
        for record in kept.answers.iter_mut().chain(&mut kept.authorities) {
            record.ttl = record.ttl.saturating_sub(age);
        }
        Some(kept)
    }

    fn keep(&mut self, (name, kind): &(String, QTYPE), kept: Kept) {
        if kept.until <= kept.at {
            return;
        }
        if kept.rcode == RCODE::NameError && kept.answers.is_empty() {
            self.no_names.insert(name.clone(), kept);
        } else {
            self.answers.insert((name.clone(), u16::from(*kind)), kept);
        }
    }

    /// The cookie that goes to a forwarder.
    fn cookie(&mut self, process: &Process, server: Ipv4Addr) -> &[u8] {
        let drawn = || (0..CLIENT_COOKIE).map(|_| sock::random(process, 256) as u8).collect();
        self.cookies.entry(server).or_insert_with(drawn)
    }

    /// What a new configuration asks, it asks as a stranger. Answers are kept.
    pub(super) fn forget_cookies(&mut self) {
        self.cookies.clear();
    }

    /// A forwarder's answer has a cookie: the next question brings it back, if it belongs to what was sent.
    fn keep_cookie(&mut self, server: Ipv4Addr, packet: &Packet) {
        let codes = packet.opt().map(|opt| opt.opt_codes.iter()).into_iter().flatten();
        let Some(cookie) = codes.filter(|code| code.code == COOKIE).map(|code| code.data.as_ref()).next()
        else {
            return;
        };
        if let Some(known) = self.cookies.get_mut(&server)
            && cookie.get(..CLIENT_COOKIE) == known.get(..CLIENT_COOKIE)
        {
            *known = cookie.to_vec();
        }
    }
}

/// How long an answer may be kept, seconds.
fn lifetime(answers: &[Record], authorities: &[Record]) -> u32 {
    let least = answers.iter().map(|record| record.ttl).min();
    let no = authorities.iter().find_map(|record| match &record.rdata {
        RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
        _ => None,
    });
    least.or(no).unwrap_or(NO_TTL)
}

impl Server {
    /// Answers from memory, or asks the first forwarder.
    pub(super) fn look_elsewhere(
        &mut self,
        process: &mut Process,
        client: Client,
        (query, answer): (&[u8], Answer),
        asked: (String, QTYPE),
    ) {
        if let Some(kept) = self.cache.get(&asked, process.now()) {
            let Ok(packet) = Packet::parse(query) else { return };
            return self.reply(process, &client, &packet, joined(answer, kept));
        }
        self.ask(process, client, (query.to_vec(), answer), asked, 0);
    }

    fn ask(
        &mut self,
        process: &mut Process,
        client: Client,
        (query, answer): (Vec<u8>, Answer),
        asked: (String, QTYPE),
        mut tries: usize,
    ) {
        let forwarders = self.config.forwarders.clone();
        while tries < forwarders.len() * ROUNDS {
            let server = forwarders[tries % forwarders.len()];
            let id = sock::random(process, 1 << 16) as u16;
            let cookie = self.cache.cookie(process, server);
            if let Some(socket) = send(process, server, id, &asked, cookie) {
                let deadline = after(process, PATIENCE);
                self.pending.push(Pending { client, query, answer, asked, socket, id, tries, deadline });
                return;
            }
            let why = format!("network unreachable resolving '{}': {server}#{PORT}", shown(&asked));
            self.log(process, &why);
            tries += 1;
        }
        let at = process.now();
        let (rcode, until) = (RCODE::ServerFailure, at + SERVFAIL_TTL);
        let kept = Kept { rcode, answers: Vec::new(), authorities: Vec::new(), at, until };
        self.cache.keep(&asked, kept.clone());
        let Ok(packet) = Packet::parse(&query) else { return };
        self.reply(process, &client, &packet, joined(answer, kept));
    }

    /// Takes answers of forwarders, and asks the next where there is none.
    pub(super) fn take_answers(&mut self, process: &mut Process) {
        let now = process.now();
        for pending in std::mem::take(&mut self.pending) {
            let forwarders = self.config.forwarders.len().max(1);
            let server = self.config.forwarders.get(pending.tries % forwarders).copied();
            // Who says nothing of use is not asked again.
            let after_this = pending.tries + if forwarders == 1 { ROUNDS } else { 1 };
            let tries = match pending.socket.receive() {
                Ok(None) if now < pending.deadline => {
                    self.pending.push(pending);
                    continue;
                }
                // After a whole round without one nobody answers.
                Ok(None) => pending.tries + 1,
                Ok(Some(message)) => match read(&message.data, &pending) {
                    Some((packet, kept)) => {
                        if let Some(server) = server {
                            self.cache.keep_cookie(server, &packet);
                        }
                        let kept = Kept { at: now, until: now + kept.until, ..kept };
                        self.cache.keep(&pending.asked, kept.clone());
                        let Ok(packet) = Packet::parse(&pending.query) else { continue };
                        self.reply(process, &pending.client, &packet, joined(pending.answer, kept));
                        continue;
                    }
                    None => after_this,
                },
                Err(errno) => {
                    if let Some(server) = server {
                        let why = errno.strerror().to_lowercase();
                        let what = format!("{why} resolving '{}': {server}#{PORT}", shown(&pending.asked));
                        self.log(process, &what);
                    }
                    after_this
                }
            };
            let Pending { client, query, answer, asked, .. } = pending;
            self.ask(process, client, (query, answer), asked, tries);
        }
    }
}

/// A question as it is logged.
fn shown((name, kind): &(String, QTYPE)) -> String {
    format!("{name}/{}/IN", kind_name(*kind))
}

/// Sends a question to a forwarder.
fn send(
    process: &Process,
    server: Ipv4Addr,
    id: u16,
    (name, kind): &(String, QTYPE),
    cookie: &[u8],
) -> Option<Sock> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED | PacketFlag::CHECKING_DISABLED);
    packet.questions.push(Question::new(Name::new(name).ok()?, *kind, QCLASS::CLASS(CLASS::IN), false));
    packet.additional_records.push(opt(super::UDP_SIZE as u16, cookie));
    let message = packet.build_bytes_vec_compressed().ok()?;
    let socket = Sock::open(process, SockKind::Udp);
    // As with `IP_PMTUDISC_OMIT`, routers may cut it.
    socket.set(|opts| opts.pmtudisc = PmtuDisc::Dont);
    socket.connect(server, PORT).ok()?;
    socket.write(&message).ok()?;
    Some(socket)
}

/// An answer to this question, as it came and as it is kept, with its lifetime as `until`.
fn read<'a>(bytes: &'a [u8], pending: &Pending) -> Option<(Packet<'a>, Kept)> {
    let packet = Packet::parse(bytes).ok().filter(|packet| packet.id() == pending.id)?;
    if !matches!(packet.rcode(), RCODE::NoError | RCODE::NameError) {
        return None;
    }
    let owned = |records: &[ResourceRecord]| -> Vec<Record> {
        records.iter().cloned().map(ResourceRecord::into_owned).collect()
    };
    let (answers, authorities) = (owned(&packet.answers), owned(&packet.name_servers));
    let until = Nanos::from_secs(u64::from(lifetime(&answers, &authorities)));
    // Who has an answer is not told where it came from.
    let authorities = if answers.is_empty() { authorities } else { Vec::new() };
    let kept = Kept { rcode: packet.rcode(), answers, authorities, at: Nanos::ZERO, until };
    Some((packet, kept))
}

/// What is known, with what a forwarder said.
fn joined(mut answer: Answer, kept: Kept) -> Answer {
    if kept.rcode == RCODE::ServerFailure {
        return Answer::of(kept.rcode);
    }
    answer.rcode = kept.rcode;
    answer.answers.extend(kept.answers);
    answer.authorities.extend(kept.authorities);
    answer
}
