//! Printing of connections: as a line, as options, as XML (libnetfilter_conntrack 1.0.9).

use std::fmt::Write;
use std::net::Ipv4Addr;

use chrono::DateTime;
use glassnet_kernel::net::netfilter::nf_conntrack_netlink::event_timeout;
use glassnet_kernel::tables::conntrack::event::{IPCT_DESTROY, IPCT_MARK};
use glassnet_kernel::tables::conntrack::{
    Conn, CtEvent, Dir, EventKind, IPS_ASSURED, IPS_DST_NAT, IPS_EXPECTED, IPS_FIXED_TIMEOUT, IPS_SEEN_REPLY,
    IPS_SRC_NAT, Proto, Tuple,
};
use glassnet_sim::Nanos;
use glassnet_wire::ipv4::{IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP};

use super::options::STATES;
use crate::process::BOOT_TIME;

/// GRE, whose connections have keys.
const IPPROTO_GRE: u8 = 47;

/// Output format (`-o`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Format {
    /// `extended`: with the network protocol.
    pub extended: bool,
    /// `id`.
    pub id: bool,
    /// `timestamp`: time of an event.
    pub timestamp: bool,
    /// `ktimestamp`: start and end of the connection.
    pub ktimestamp: bool,
    /// `save`: as options of `-A`.
    pub save: bool,
    /// `xml`.
    pub xml: bool,
}

/// A connection with the attributes of a message.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// The connection.
    pub conn: &'a Conn,
    /// Timeout, seconds.
    pub timeout: Option<u64>,
    /// With the mark.
    pub mark: bool,
    /// With counters.
    pub counters: bool,
    /// Reference count.
    pub uses: Option<u32>,
    /// With the helper.
    pub helper: bool,
    /// Age in seconds, at `now` or at deletion.
    pub delta: Option<u64>,
    /// Type of an event.
    pub event: Option<EventKind>,
}

impl<'a> Shown<'a> {
    /// A connection in a dump.
    pub fn entry(conn: &'a Conn, now: Nanos, uses: u32) -> Shown<'a> {
        Shown {
            conn,
            timeout: Some(conn.expires_secs(now)),
            mark: true,
            counters: true,
            uses: Some(uses),
            helper: true,
            delta: conn.tstamp().map(|(start, stop)| delta(start, stop.unwrap_or(now))),
            event: None,
        }
    }

    /// A connection in an event.
    pub fn event(event: &'a CtEvent) -> Shown<'a> {
        let conn = &event.conn;
        let destroyed = event.events & IPCT_DESTROY != 0;
        let ended = conn.tstamp().and_then(|(start, stop)| Some((start, stop?)));
        Shown {
            conn,
            timeout: event_timeout(event),
            mark: conn.mark != 0 || event.events & IPCT_MARK != 0 && !destroyed,
            counters: destroyed,
            uses: None,
            helper: !destroyed,
            delta: ended.filter(|_| destroyed).map(|(start, stop)| delta(start, stop)),
            event: Some(event.kind),
        }
    }
}

/// Difference of two times in seconds, as the tool computes it.
fn delta(start: Nanos, stop: Nanos) -> u64 {
    (stop.0 / 1_000_000_000).saturating_sub(start.0 / 1_000_000_000)
}

/// Name of a protocol in the library.
pub fn proto_name(proto: u8) -> &'static str {
    match proto {
        IPPROTO_TCP => "tcp",
        IPPROTO_UDP => "udp",
        IPPROTO_ICMP => "icmp",
        33 => "dccp",
        IPPROTO_GRE => "gre",
        58 => "icmpv6",
        132 => "sctp",
        136 => "udplite",
        _ => "unknown",
    }
}

/// Connection ID. The kernel's is a keyed hash.
pub fn id_of(conn: &Conn) -> u32 {
    (conn.seq as u32).wrapping_mul(0x9e37_79b9)
}

/// A tuple as `src=… dst=… sport=… dport=… `, with a space at the end.
pub fn tuple(tuple: &Tuple, out: &mut String) {
    let (src, dst) = (tuple.src, tuple.dst);
    let _ = write!(out, "src={src} dst={dst} ");
    let _ = match tuple.proto {
        IPPROTO_ICMP => {
            write!(out, "type={} code={} id={} ", tuple.dport >> 8, tuple.dport & 0xff, tuple.sport)
        }
        IPPROTO_GRE => write!(out, "srckey=0x{:x} dstkey=0x{:x} ", tuple.sport, tuple.dport),
        proto if proto_name(proto) == "unknown" => Ok(()),
        _ => write!(out, "sport={} dport={} ", tuple.sport, tuple.dport),
    };
}

/// A direction with its zone and counters.
fn direction(shown: Shown, dir: Dir, out: &mut String) {
    let conn = shown.conn;
    tuple(conn.tuple(dir), out);
    let (own, other) = (conn.zone[dir as usize], conn.zone[dir.other() as usize]);
    if own != 0 && own != other {
        let _ = write!(out, "zone-{}={own} ", if dir == Dir::Original { "orig" } else { "reply" });
    }
    if let Some(counters) = conn.acct.as_deref().filter(|_| shown.counters) {
        let counter = counters[dir as usize];
        let _ = write!(out, "packets={} bytes={} ", counter.packets, counter.bytes);
    }
}

/// Beginning of a line: protocol, timeout, state.
fn head(shown: Shown, out: &mut String) {
    let conn = shown.conn;
    let proto = conn.tuples[0].proto;
    let _ = write!(out, "{:<8} {proto} ", proto_name(proto));
    if let Some(timeout) = shown.timeout {
        let _ = write!(out, "{timeout} ");
    }
    match &conn.proto {
        Proto::Tcp(track) => _ = write!(out, "{} ", track.state.name()),
        Proto::Sctp(track) => _ = write!(out, "{} ", track.state.name()),
        Proto::None | Proto::Udp { .. } => {}
    }
}

/// Both directions.
fn directions(shown: Shown, out: &mut String) {
    direction(shown, Dir::Original, out);
    if !shown.conn.has(IPS_SEEN_REPLY) {
        out.push_str("[UNREPLIED] ");
    }
    direction(shown, Dir::Reply, out);
    if shown.conn.has(IPS_ASSURED) {
        out.push_str("[ASSURED] ");
    }
}

/// The zone, if it is the same in both directions.
pub fn common_zone(conn: &Conn) -> Option<u16> {
    (conn.zone[0] != 0 && conn.zone[0] == conn.zone[1]).then_some(conn.zone[0])
}

fn clock(at: Nanos) -> String {
    let time = DateTime::from_timestamp_nanos((at.0 + BOOT_TIME * 1_000_000_000) as i64);
    time.format("%a %b %e %H:%M:%S %Y").to_string()
}

/// A connection as a line, without mark and later fields.
pub fn line(shown: Shown, format: Format) -> String {
    if format.save {
        return save(shown);
    }
    let conn = shown.conn;
    let mut out = String::new();
    out.push_str(match shown.event {
        Some(EventKind::New) => "    [NEW] ",
        Some(EventKind::Update) => " [UPDATE] ",
        Some(EventKind::Destroy) => "[DESTROY] ",
        None => "",
    });
    if format.extended {
        out.push_str("ipv4     2 ");
    }
    head(shown, &mut out);
    directions(shown, &mut out);
    if shown.mark {
        let _ = write!(out, "mark={} ", conn.mark);
    }
    if let Some(zone) = common_zone(conn) {
        let _ = write!(out, "zone={zone} ");
    }
    if let Some(delta) = shown.delta {
        let _ = write!(out, "delta-time={delta} ");
        if let Some((start, stop)) = conn.tstamp().filter(|_| format.ktimestamp) {
            let _ = write!(out, "[start={}] ", clock(start));
            if let Some(stop) = stop {
                let _ = write!(out, "[stop={}] ", clock(stop));
            }
        }
    }
    if let Some(help) = conn.help().filter(|_| shown.helper) {
        let _ = write!(out, "helper={} ", help.helper.name);
    }
    if let Some(uses) = shown.uses {
        let _ = write!(out, "use={uses} ");
    }
    if format.id {
        let _ = write!(out, "id={} ", id_of(conn));
    }
    out.truncate(out.trim_end().len());
    out
}

/// A connection as `/proc/net/nf_conntrack` shows it.
pub fn proc_line(conn: &Conn, now: Nanos, uses: u32) -> String {
    let shown = Shown::entry(conn, now, uses);
    let mut out = "ipv4     2 ".to_owned();
    head(shown, &mut out);
    if conn.tuples[0].proto == IPPROTO_GRE {
        // Fixed, as GRE's states are not modelled.
        out.push_str("timeout=30, stream_timeout=180 ");
    }
    directions(shown, &mut out);
    let _ = write!(out, "mark={} ", conn.mark);
    if conn.zone[0] == conn.zone[1] {
        let _ = write!(out, "zone={} ", conn.zone[0]);
    }
    if let Some(delta) = shown.delta {
        let _ = write!(out, "delta-time={delta} ");
    }
    let _ = writeln!(out, "use={uses}");
    out
}

/// Status flags as words.
fn status(conn: &Conn) -> String {
    let known = [
        (IPS_EXPECTED, "EXPECTED"),
        (IPS_SEEN_REPLY, "SEEN_REPLY"),
        (IPS_ASSURED, "ASSURED"),
        (IPS_FIXED_TIMEOUT, "FIXED_TIMEOUT"),
    ];
    let set: Vec<_> = known.iter().filter(|(bit, _)| conn.has(*bit)).map(|(_, name)| *name).collect();
    if set.is_empty() { "UNSET".to_owned() } else { set.join(",") }
}

/// As options of `conntrack -A` (`-o save`).
fn save(shown: Shown) -> String {
    let conn = shown.conn;
    let mut out = match shown.event {
        Some(EventKind::Update) => "-U ".to_owned(),
        Some(EventKind::Destroy) => "-D ".to_owned(),
        _ => "-A ".to_owned(),
    };
    if let Some(timeout) = shown.timeout {
        let _ = write!(out, "-t {timeout} ");
    }
    let _ = write!(out, "-u {} ", status(conn));
    match (common_zone(conn), conn.zone) {
        (Some(zone), _) => _ = write!(out, "-w {zone} "),
        (None, [0, 0]) => {}
        (None, [original, 0]) => _ = write!(out, "--orig-zone {original} "),
        (None, [0, reply]) => _ = write!(out, "--reply-zone {reply} "),
        (None, [original, reply]) => _ = write!(out, "--orig-zone {original} --reply-zone {reply} "),
    }
    let [original, reply] = &conn.tuples;
    let ip = Ipv4Addr::from;
    let _ = write!(out, "-s {} -d {} ", ip(original.src), ip(original.dst));
    let dnat = conn.has(IPS_DST_NAT) && reply.src != original.dst;
    let snat = conn.has(IPS_SRC_NAT) && reply.dst != original.src;
    let _ = write!(out, "-{} {} ", if dnat { 'g' } else { 'r' }, ip(reply.src));
    let _ = write!(out, "-{} {} ", if snat { 'n' } else { 'q' }, ip(reply.dst));
    save_proto(conn, &mut out);
    out.truncate(out.trim_end().len());
    out
}

fn save_proto(conn: &Conn, out: &mut String) {
    let [original, reply] = &conn.tuples;
    match proto_name(original.proto) {
        "unknown" => _ = write!(out, "-p {} ", original.proto),
        "icmp" => {
            let (kind, code, id) = (original.dport >> 8, original.dport & 0xff, original.sport);
            let _ = write!(out, "-p icmp --icmp-type {kind} --icmp-code {code} --icmp-id {id} ");
        }
        name => {
            let (sport, dport) = (original.sport, original.dport);
            let _ = write!(out, "-p {name} --sport {sport} --dport {dport} ");
            let _ = write!(out, "--reply-port-src {} --reply-port-dst {} ", reply.sport, reply.dport);
        }
    }
    match &conn.proto {
        Proto::Tcp(track) => _ = write!(out, "--state {} ", track.state.name()),
        Proto::Sctp(track) => {
            // The tags are printed as if their bytes were in this machine's order.
            let [original, reply] = track.vtag.map(u32::swap_bytes);
            let state = track.state.name();
            let _ = write!(out, "--state {state} --orig-vtag {original} --reply-vtag {reply} ");
        }
        Proto::None | Proto::Udp { .. } => {}
    }
}

/// As an element of XML (`-o xml`).
pub fn xml(shown: Shown) -> String {
    let conn = shown.conn;
    let mut out = match shown.event {
        Some(EventKind::New) => "<flow type=\"new\">".to_owned(),
        Some(EventKind::Update) => "<flow type=\"update\">".to_owned(),
        Some(EventKind::Destroy) => "<flow type=\"destroy\">".to_owned(),
        None => "<flow>".to_owned(),
    };
    for dir in [Dir::Original, Dir::Reply] {
        xml_direction(shown, dir, &mut out);
    }
    out.push_str("<meta direction=\"independent\">");
    match &conn.proto {
        Proto::Tcp(track) => _ = write!(out, "<state>{}</state>", track.state.name()),
        // The library takes the state's number for one of TCP.
        Proto::Sctp(track) => _ = write!(out, "<state>{}</state>", STATES[track.state as usize].name()),
        Proto::None | Proto::Udp { .. } => {}
    }
    if let Some(timeout) = shown.timeout {
        let _ = write!(out, "<timeout>{timeout}</timeout>");
    }
    if shown.mark {
        let _ = write!(out, "<mark>{}</mark>", conn.mark);
    }
    if let Some(zone) = common_zone(conn) {
        let _ = write!(out, "<zone>{zone}</zone>");
    }
    if let Some(uses) = shown.uses {
        let _ = write!(out, "<use>{uses}</use>");
    }
    let _ = write!(out, "<id>{}</id>", id_of(conn));
    if !conn.has(IPS_SEEN_REPLY) {
        out.push_str("<unreplied/>");
    }
    if conn.has(IPS_ASSURED) {
        out.push_str("<assured/>");
    }
    if let Some(delta) = shown.delta {
        let _ = write!(out, "<deltatime>{delta}</deltatime>");
    }
    out.push_str("</meta>");
    if let Some(help) = conn.help().filter(|_| shown.helper) {
        let _ = write!(out, "<helper>{}</helper>", help.helper.name);
    }
    out.push_str("</flow>");
    out
}

fn xml_direction(shown: Shown, dir: Dir, out: &mut String) {
    let conn = shown.conn;
    let tuple = conn.tuple(dir);
    let (src, dst, proto) = (tuple.src, tuple.dst, tuple.proto);
    let name = if dir == Dir::Original { "original" } else { "reply" };
    let _ = write!(out, "<meta direction=\"{name}\"><layer3 protonum=\"2\" protoname=\"ipv4\">");
    let _ = write!(out, "<src>{src}</src><dst>{dst}</dst></layer3>");
    let _ = write!(out, "<layer4 protonum=\"{proto}\" protoname=\"{}\">", proto_name(proto));
    match proto_name(proto) {
        "icmp" | "unknown" => {}
        _ => _ = write!(out, "<sport>{}</sport><dport>{}</dport>", tuple.sport, tuple.dport),
    }
    out.push_str("</layer4>");
    let (own, other) = (conn.zone[dir as usize], conn.zone[dir.other() as usize]);
    if own != 0 && own != other {
        let _ = write!(out, "<zone>{own}</zone>");
    }
    if let Some(counters) = conn.acct.as_deref().filter(|_| shown.counters) {
        let counter = counters[dir as usize];
        let _ = write!(out, "<counters><packets>{}</packets>", counter.packets);
        let _ = write!(out, "<bytes>{}</bytes></counters>", counter.bytes);
    }
    out.push_str("</meta>");
}
