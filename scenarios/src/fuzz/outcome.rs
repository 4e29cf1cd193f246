//! Comparison of outcomes, and the noise that is removed.
//!
//! | noise | where | becomes |
//! |---|---|---|
//! | ports chosen at random by NAT: those not in the case | frames, connections, sets, `hashlimit` | `drawn` |
//! | identifications that the kernel chose | IPv4 headers of packets that the router made | 0 |
//! | TCP checksums that are left to the device | packets that the router made | 0 |
//! | order of hash tables | `/proc/net/nf_conntrack`, `ipset save` | sorted |
//! | the time of day | ICMP timestamp replies | 0 |
//! | seconds that passed | timeouts of connections and of elements of sets | equal if at most 2 s apart |
//! | `initval` of sets | `ipset save` | left out |
//! | jiffies | lists of `recent` | how many times |
//! | seconds left, credit that time refills | tables of `hashlimit` | left out, in whole packets |
//! | dates | comment lines of `iptables-save` | left out |

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use glassnet_wire::checksum;

use crate::compare::summary;
use crate::rig::case::{Case, Port, Proto, Step, sctp_crc};
use crate::rig::{Outcome, Said, loading};

/// A line, and its remaining seconds.
type Timed = (Option<u64>, String);

/// Allowed difference of timeouts, seconds.
const SLACK: u64 = 2;

/// Differences between two outcomes, a line for each place and side.
pub fn differences(case: &Case, real: &Outcome, model: &Outcome) -> Vec<String> {
    let mut found = Vec::new();
    let mut both = |what: &str, real: &[String], model: &[String]| {
        if real != model {
            found.push(what.to_owned());
            found.extend(real.iter().filter(|line| !model.contains(line)).map(|line| format!("  - {line}")));
            found.extend(model.iter().filter(|line| !real.contains(line)).map(|line| format!("  + {line}")));
        }
    };
    let ports = Ports::of(case);
    for (at, command) in loading(case).iter().enumerate() {
        let name = &command.argv.join(" ");
        let words = |outcome: &Outcome| outcome.said.get(at).map(said).unwrap_or_default();
        both(name, &words(real), &words(model));
    }
    for (at, (r, m)) in real.frames.iter().zip(&model.frames).enumerate() {
        let (r, m) = (frames(&ports, r), frames(&ports, m));
        both(&format!("step {}: {}", at + 1, describe(&case.steps[at])), &r, &m);
    }
    both("iptables-save -c", &rules(case, &real.rules), &rules(case, &model.rules));
    let (r, m) = connections(&ports, &real.connections, &model.connections);
    both("/proc/net/nf_conntrack", &r, &m);
    let (r, m) = sets(&ports, &real.sets, &model.sets);
    both("ipset save", &r, &m);
    both("nfacct list", &said(&real.accounts), &said(&model.accounts));
    for ((path, r), (_, m)) in real.lists.iter().zip(&model.lists) {
        both(path, &list(&ports, r), &list(&ports, m));
    }
    found
}

fn said(said: &Said) -> Vec<String> {
    let mut lines = vec![format!("status {}", said.status)];
    lines.extend(said.text.lines().map(str::to_owned));
    lines
}

/// Rules without comments, of the tables of the case. A legacy table of an earlier case still exists, empty.
fn rules(case: &Case, text: &Said) -> Vec<String> {
    let mut tables: Vec<Vec<String>> = vec![Vec::new()];
    for line in said(text).into_iter().filter(|line| !line.starts_with('#')) {
        if line.starts_with('*') {
            tables.push(Vec::new());
        }
        if let Some(table) = tables.last_mut() {
            table.push(line);
        }
    }
    if case.legacy {
        // The kernel's order is that of creation.
        tables.retain(|table| {
            table.first().is_none_or(|name| !name.starts_with('*') || case.rules.contains(name))
        });
        tables[1..].sort();
    }
    tables.concat()
}

/// Sets of both sides with sorted elements, without the random `initval`.
fn sets(ports: &Ports, real: &Said, model: &Said) -> (Vec<String>, Vec<String>) {
    let lines = |text: &Said| {
        said(text)
            .iter()
            .map(|line| {
                let (line, _) = without(line, "initval");
                // The timeout in `create` is not a remaining time.
                if line.starts_with("add") { without(&ports.hide_in(&line), "timeout") } else { (line, None) }
            })
            .map(|(line, timeout)| (timeout, line))
            .collect()
    };
    alike(lines(real), lines(model))
}

/// A line without an option and its value, and the value.
fn without(line: &str, option: &str) -> (String, Option<u64>) {
    let words: Vec<&str> = line.split(' ').collect();
    let Some(at) = words.iter().position(|word| *word == option) else { return (line.to_owned(), None) };
    let rest = words[..at].iter().chain(words.iter().skip(at + 2));
    (rest.copied().collect::<Vec<_>>().join(" "), words.get(at + 1).and_then(|value| value.parse().ok()))
}

/// Content of a `recent` or `hashlimit` file, without times, sorted by address.
fn list(ports: &Ports, text: &Said) -> Vec<String> {
    if text.status != 0 {
        return vec!["not there".to_owned()];
    }
    let mut lines: Vec<String> = text.text.lines().map(|line| remembered(ports, line)).collect();
    lines.sort();
    lines
}

fn remembered(ports: &Ports, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        // src=10.0.0.2 ttl: 64 last_seen: J oldest_pkt: 1 J, J
        [src, "ttl:", ttl, "last_seen:", _, "oldest_pkt:", oldest, ref stamps @ ..] => {
            format!("{src} ttl {ttl} oldest {oldest}, {} times", stamps.len())
        }
        // 3599 10.0.0.2:0->0.0.0.0:0 CREDIT CAP COST
        [_, whom, credit, cap, cost] => {
            let number = |text: &str| text.parse::<u64>().unwrap_or(0);
            let packets = number(credit).checked_div(number(cost)).unwrap_or(0);
            // ADDRESS:PORT->ADDRESS:PORT
            let ends = whom.split("->").map(|end| ports.hide_end(end)).collect::<Vec<_>>().join("->");
            format!("{ends} credit for {packets} cap {cap} cost {cost}")
        }
        _ => line.to_owned(),
    }
}

fn describe(step: &Step) -> String {
    serde_json::to_string(step).unwrap_or_default()
}

/// Ports in the text of the case.
struct Ports {
    named: BTreeSet<u16>,
}

impl Ports {
    fn of(case: &Case) -> Ports {
        let mut named = BTreeSet::from([0]);
        for step in &case.steps {
            let packet = match step {
                Step::Send(send) => &send.packet,
                Step::Local(packet) => packet,
                Step::Reply(_) | Step::Wait(_) => continue,
            };
            match packet.proto {
                Proto::Tcp { sport, dport, .. }
                | Proto::Udp { sport, dport }
                | Proto::Sctp { sport, dport, .. } => named.extend([sport, dport]),
                Proto::Icmp { id, .. } => named.extend([id]),
                Proto::Other(_) => {}
            }
        }
        // Ranges are those of NAT; timeouts are not ports.
        let lines = case.rules.iter().chain(&case.sets).map(|line| without(line, "timeout").0);
        let lines: Vec<String> = lines.collect();
        let words = lines.iter().flat_map(|line| line.split(' ')).filter(|word| !word.contains('-'));
        // Nor are parts of addresses.
        let is_part = |c: char| c.is_ascii_digit() || c == '.';
        let numbers =
            words.flat_map(|word| word.split(move |c| !is_part(c))).filter(|part| !part.contains('.'));
        named.extend(numbers.filter_map(|number| number.parse::<u16>().ok()));
        Ports { named }
    }

    /// Overwrites a port chosen at random.
    fn hide(&self, header: &mut [u8], at: usize) {
        if let Some(port) = header.get_mut(at..at + 2)
            && !self.named.contains(&u16::from_be_bytes([port[0], port[1]]))
        {
            port.fill(0xff);
        }
    }

    /// A port, alone or after a colon.
    fn hide_end(&self, text: &str) -> String {
        let (before, port) = text.split_at(text.find(':').map_or(0, |colon| colon + 1));
        port.parse().map_or_else(|_| text.to_owned(), |port| format!("{before}{}", self.show(port)))
    }

    /// An element of a set, `add SET ELEMENT …`, without random ports: `tcp:PORT`, or alone in a `bitmap:port`.
    fn hide_in(&self, line: &str) -> String {
        let words = line.split(' ').enumerate().map(|(at, word)| match at {
            2 => word.split(',').map(|part| self.hide_end(part)).collect::<Vec<_>>().join(","),
            _ => word.to_owned(),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// A port. Whether two random ports are equal is random, too.
    fn show(&self, port: u16) -> String {
        if self.named.contains(&port) { port.to_string() } else { "drawn".to_owned() }
    }
}

/// Frames of a step by port, each as a line like tcpdump's and its bytes without noise.
fn frames(ports: &Ports, frames: &[(Port, Vec<u8>)]) -> Vec<String> {
    let mut lines: Vec<(Port, String)> = Vec::new();
    for (port, frame) in frames {
        let mut frame = frame.clone();
        let shown = transport_ports(&frame).map(|[a, b]| format!(" {} {}", ports.show(a), ports.show(b)));
        clean(&mut frame, ports);
        let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        let shown = shown.unwrap_or_default();
        lines.push((*port, format!("{} {}{shown} {hex}", port.name(), summary::frame(&frame, false))));
    }
    // The order of frames between ports is not defined.
    lines.sort_by_key(|(port, _)| *port);
    lines.into_iter().map(|(_, line)| line).collect()
}

/// Source and destination port of TCP, UDP and SCTP, the identifier of ICMP.
fn transport_ports(frame: &[u8]) -> Option<[u16; 2]> {
    let packet = frame.get(14..).filter(|_| frame.get(12..14) == Some(&[8, 0]))?;
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let word =
        |at: usize| Some(u16::from_be_bytes(packet.get(header + at..header + at + 2)?.try_into().ok()?));
    match packet.get(9)? {
        6 | 17 | 132 => Some([word(0)?, word(2)?]),
        1 => Some([word(4)?, 0]),
        _ => None,
    }
}

/// Removes values chosen at random by the kernel. A checksum over such fields becomes correct or wrong.
fn clean(frame: &mut [u8], ports: &Ports) {
    if frame.get(12..14) != Some(&[8, 0]) {
        return;
    }
    let packet = &mut frame[14..];
    ipv4(packet, ports);
}

fn ipv4(packet: &mut [u8], ports: &Ports) {
    let header = usize::from(packet.first().map_or(0, |byte| byte & 0x0f)) * 4;
    if header < 20 || packet.len() < header {
        return;
    }
    let right = checksum::checksum(&packet[..header]) == 0;
    packet[10..12].copy_from_slice(&u16::from(!right).to_be_bytes());
    // Packets of a case have identification 1.
    let made_here = packet[4..6] != [0, 1];
    if made_here {
        packet[4..6].fill(0);
    }
    let total = usize::from(u16::from_be_bytes([packet[2], packet[3]])).clamp(header, packet.len());
    let address = |at: usize| Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3]);
    let pseudo = checksum::pseudo_header(address(12), address(16), packet[9], (total - header) as u16);
    let (proto, quoted) = (packet[9], total < usize::from(u16::from_be_bytes([packet[2], packet[3]])));
    let body = &mut packet[header..total];
    let check = match proto {
        6 if body.len() >= 20 => Some((16, pseudo)),
        17 if body.len() >= 8 => Some((6, pseudo)),
        1 if body.len() >= 8 => Some((2, 0)),
        _ => None,
    };
    if let Some((at, pseudo)) = check {
        let absent = proto == 17 && body[at..at + 2] == [0, 0];
        let left_to_device = made_here && proto == 6;
        let wrong = !quoted && !absent && !left_to_device && checksum::fold(checksum::sum(pseudo, body)) != 0;
        body[at..at + 2].copy_from_slice(&(u16::from(wrong) + 2 * u16::from(absent)).to_be_bytes());
    }
    match (proto, body.first()) {
        (1, Some(3 | 4 | 5 | 11 | 12)) if body.len() >= 8 => ipv4(&mut body[8..], ports),
        (1, kind) => {
            let tells_time = kind == Some(&14);
            ports.hide(body, 4);
            if let Some(times) = body.get_mut(12..20).filter(|_| tells_time) {
                times.fill(0);
            }
        }
        (6 | 17, _) => {
            ports.hide(body, 0);
            ports.hide(body, 2);
        }
        (132, _) => sctp(body, quoted, ports),
        _ => {}
    }
}

/// The checksum of a whole packet becomes right or wrong; that of a part depends on the ports.
fn sctp(body: &mut [u8], quoted: bool, ports: &Ports) {
    let wrong = body.get(8..12).is_some_and(|sum| sum != sctp_crc(body));
    let before = body.to_vec();
    ports.hide(body, 0);
    ports.hide(body, 2);
    let is_drawn = body != before;
    if let Some(sum) = body.get_mut(8..12).filter(|_| !quoted || is_drawn) {
        sum.fill(u8::from(wrong && !quoted));
    }
}

/// A line of `/proc/net/nf_conntrack`: its timeout, and the rest.
fn entry(ports: &Ports, line: &str) -> Timed {
    let mut timeout = None;
    let mut words = Vec::new();
    for (at, word) in line.split_whitespace().enumerate() {
        match word.split_once('=') {
            None if at == 4 => timeout = word.parse().ok(),
            Some(("use", _)) => {}
            Some((key @ ("sport" | "dport" | "id"), port)) => {
                let shown = port.parse().map_or_else(|_| port.to_owned(), |port| ports.show(port));
                words.push(format!("{key}={shown}"));
            }
            _ => words.push(word.to_owned()),
        }
    }
    (timeout, words.join(" "))
}

/// Connections of both sides.
fn connections(ports: &Ports, real: &Said, model: &Said) -> (Vec<String>, Vec<String>) {
    let entries = |said: &Said| said.text.lines().map(|line| entry(ports, line)).collect();
    alike(entries(real), entries(model))
}

/// Lines of both sides, sorted; timeouts within the allowed difference become equal.
fn alike(mut real: Vec<Timed>, mut model: Vec<Timed>) -> (Vec<String>, Vec<String>) {
    // Lines that are equal but for their time are sorted by it.
    real.sort_by(|a, b| (&a.1, a.0).cmp(&(&b.1, b.0)));
    model.sort_by(|a, b| (&a.1, a.0).cmp(&(&b.1, b.0)));
    for (r, m) in real.iter().zip(&mut model) {
        if let (Some(r), Some(m)) = (r.0, m.0.as_mut())
            && r.abs_diff(*m) <= SLACK
        {
            *m = r;
        }
    }
    let show = |(timeout, rest): Timed| match timeout {
        Some(seconds) => format!("{rest} ({seconds} s)"),
        None => rest,
    };
    (real.into_iter().map(show).collect(), model.into_iter().map(show).collect())
}
