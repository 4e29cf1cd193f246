//! Noise in frames: what differs on each run becomes a number in order of first appearance, or zero.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::LazyLock;

use glassnet_kernel::tables::vlan_tag::ethertype_offset;
use glassnet_wire::checksum::{checksum, fold, pseudo_header, sum};
use glassnet_wire::eth::{ETH_HLEN, ETH_P_IP, ETH_P_TEB};
use glassnet_wire::geneve::GeneveHdr;
use glassnet_wire::gre::Gre;
use glassnet_wire::gue::Gue;
use glassnet_wire::ipv4::{IPPROTO_GRE, IPPROTO_IPIP};
use glassnet_wire::udp::UDP_HLEN;
use glassnet_wire::vxlan::{VXLAN_HLEN, VxlanHdr};
use regex::Regex;
use zerocopy::FromBytes;

use super::dns;
use crate::observation::{Direction, Frame, Observation};

/// Numbers for values that differ on each run, in order of first appearance.
#[derive(Debug, Default)]
pub struct Numbers {
    /// Identifications of IPv4, with addresses, protocol and ports: each connection begins with one of its own.
    ids: BTreeMap<(Ipv4Addr, Ipv4Addr, u8, [u8; 4], u16), u16>,
    echoes: BTreeMap<u16, u16>,
    /// Questions of DNS.
    questions: BTreeMap<u16, u16>,
    ports: BTreeMap<u16, u16>,
    /// Ports that NAT chose.
    chosen: ChosenPorts,
    /// First sequence number of each direction of a TCP connection.
    starts: BTreeMap<(Ipv4Addr, Ipv4Addr, u16, u16), u32>,
}

fn number<K: Ord>(map: &mut BTreeMap<K, u16>, key: K) -> [u8; 2] {
    let next = map.len() as u16 + 1;
    map.entry(key).or_insert(next).to_be_bytes()
}

/// The port of name servers.
const DNS: u16 = 53;

/// Ports that `tracepath` sends to, one after the other.
const TRACEPATH: std::ops::RangeInclusive<u16> = 44_444..=44_543;

/// Ephemeral ports (`net.ipv4.ip_local_port_range`).
pub(super) const EPHEMERAL: std::ops::RangeInclusive<u16> = 32768..=60999;

impl Numbers {
    /// None yet.
    pub fn new(chosen: &ChosenPorts) -> Self {
        Self { chosen: chosen.clone(), ..Self::default() }
    }

    /// A frame, or packet without a link header, without noise. All frames of a run use the same numbers, in order.
    pub fn frame(&mut self, bytes: &[u8], raw: bool) -> Vec<u8> {
        let mut frame = bytes.to_vec();
        if raw {
            self.ipv4(&mut frame)
        } else {
            self.ethernet(&mut frame)
        }
        frame
    }

    fn ethernet(&mut self, frame: &mut [u8]) {
        let kind = ethertype_offset(frame);
        if u16_at(frame, kind) == Some(0x0800) {
            self.ipv4(&mut frame[kind + 2..]);
        }
    }

    /// An IPv4 packet, or the part that an ICMP error quotes.
    fn ipv4(&mut self, packet: &mut [u8]) {
        let header = usize::from(packet.first().unwrap_or(&0) & 0x0f) * 4;
        if header < 20 || packet.len() < header {
            return;
        }
        restore_length(packet, header);
        mark_checksum(packet, 10, header);
        let address = |at| Ipv4Addr::from_bits(u32_at(packet, at));
        let (src, dst, proto) = (address(12), address(16), packet[9]);
        let id = u16_at(packet, 4).unwrap_or(0);
        let fragment = u16_at(packet, 6).unwrap_or(0) & 0x3fff;
        if id != 0 {
            // No fragment but the first has ports, and all have the same number.
            let has_ports = matches!(proto, 6 | 17) && fragment == 0;
            let ports = packet.get(header..header + 4).filter(|_| has_ports);
            let ports = ports.map_or([0; 4], |ports| [ports[0], ports[1], ports[2], ports[3]]);
            packet[4..6].copy_from_slice(&number(&mut self.ids, (src, dst, proto, ports, id)));
        }
        // A header that is not finished yet tells of no length.
        let total = match u16_at(packet, 2).unwrap_or(0) {
            0 => packet.len(),
            total => usize::from(total).clamp(header, packet.len()),
        };
        let whole = fragment == 0 && usize::from(u16_at(packet, 2).unwrap_or(0)) == total;
        match proto {
            1 if fragment & 0x1fff == 0 => self.icmp(&mut packet[header..total], whole),
            47 if fragment & 0x1fff == 0 => self.gre(&mut packet[header..total]),
            4 if fragment & 0x1fff == 0 => self.ipv4(&mut packet[header..total]),
            6 | 17 if fragment & 0x1fff == 0 => {
                let (transport, at) = (&mut packet[header..total], if proto == 6 { 16 } else { 6 });
                if whole {
                    mark_transport_checksum(transport, at, (src, dst, proto));
                } else if let Some(sum) = transport.get_mut(at..at + 2) {
                    sum.fill(0);
                }
                if proto == 6 { self.tcp(transport, (src, dst)) } else { self.udp(transport) }
            }
            _ => {}
        }
    }

    /// What is behind the header of GRE; a checksum over it only says whether it is right, or left to the device.
    fn gre(&mut self, packet: &mut [u8]) {
        let Some((gre, length)) = Gre::parse(packet) else { return };
        if gre.has_csum && u16_at(packet, 4) != Some(0) {
            let whole = packet.len();
            mark_checksum(packet, 4, whole);
        }
        match gre.protocol {
            ETH_P_IP => self.ipv4(&mut packet[length..]),
            ETH_P_TEB => self.ethernet(&mut packet[length..]),
            _ => {}
        }
    }

    fn icmp(&mut self, message: &mut [u8], whole: bool) {
        if message.len() < 8 {
            return;
        }
        let length = message.len();
        if whole {
            mark_checksum(message, 2, length);
        } else {
            message[2..4].fill(0);
        }
        match message[0] {
            0 | 8 => {
                let id = u16_at(message, 4).unwrap_or(0);
                message[4..6].copy_from_slice(&number(&mut self.echoes, id));
                let time = length.min(24);
                message[8..time].fill(0);
            }
            3 | 5 | 11 | 12 => self.ipv4(&mut message[8..]),
            _ => {}
        }
    }

    /// Ephemeral ports become numbers.
    fn udp(&mut self, datagram: &mut [u8]) {
        if datagram.len() < 8 {
            return;
        }
        if u16_at(datagram, 2).is_some_and(|port| TRACEPATH.contains(&port)) {
            let end = datagram.len().min(8 + 24);
            datagram[16.min(end)..end].fill(0);
        }
        let by_flow = u16_at(datagram, 0).is_some_and(|port| EPHEMERAL.contains(&port));
        match self.frame_inside(datagram) || by_flow && carries_flow(&datagram[UDP_HLEN..]) {
            true => datagram[..2].fill(0),
            false => self.program_ports(datagram, false),
        }
        let is_dns = [0, 2].iter().any(|at| u16_at(datagram, *at) == Some(DNS));
        let payload = &mut datagram[UDP_HLEN..];
        if is_dns && dns::zero_cookies(payload) {
            let id = u16_at(payload, 0).unwrap_or(0);
            payload[..2].copy_from_slice(&number(&mut self.questions, id));
            return;
        }
        match Gue::parse(payload) {
            Some(Gue { len, protocol: IPPROTO_IPIP }) if len != 0 => self.ipv4(&mut payload[len..]),
            Some(Gue { len, protocol: IPPROTO_GRE }) if len != 0 => self.gre(&mut payload[len..]),
            _ if Gre::parse(payload).is_some_and(|(gre, _)| matches!(gre.protocol, ETH_P_IP | ETH_P_TEB)) => {
                self.gre(payload);
            }
            _ => self.carried(payload),
        }
    }

    /// A packet that FOU carries in a datagram, or a program that has read it from a tun or tap device: behind packet information or not.
    fn carried(&mut self, payload: &mut [u8]) {
        const PI: usize = 4;
        let is_packet = |at: &usize| {
            let behind_type = *at == 0 || payload.get(at - 2..*at) == Some(&[0x08, 0x00]);
            let header = payload.get(*at..at + 20).unwrap_or_default();
            behind_type && header.first() == Some(&0x45) && checksum(header) == 0
        };
        if let Some(at) = [0, PI, ETH_HLEN, PI + ETH_HLEN].into_iter().find(is_packet) {
            self.ipv4(&mut payload[at..]);
        }
    }

    /// A frame in a VXLAN or in Geneve, on whatever port: whether the outer source port may follow from what the kernel chose for a socket
    /// by chance (`sk_txhash`), as it may where the frame is of TCP or UDP.
    fn frame_inside(&mut self, datagram: &mut [u8]) -> bool {
        const FRAME: usize = UDP_HLEN + VXLAN_HLEN;
        let Some(header) = datagram.get(UDP_HLEN..FRAME) else { return false };
        let is_vxlan = VxlanHdr::ref_from_bytes(header).is_ok_and(VxlanHdr::is_plain);
        let is_geneve = GeneveHdr::ref_from_bytes(header).is_ok_and(|header| {
            (header.ver_opt_len, header.proto_type.get()) == (0, ETH_P_TEB) && header.rsvd == 0
        });
        if !(is_vxlan || is_geneve) || datagram.len() < FRAME + ETH_HLEN {
            return false;
        }
        let frame = &mut datagram[FRAME..];
        let is_ip = u16_at(frame, 12) == Some(0x0800);
        let by_chance = is_ip && matches!(frame.get(ETH_HLEN + 9), Some(6 | 17));
        self.ethernet(frame);
        by_chance
    }

    /// Sequence numbers are relative to the first of their connection and direction; window and timestamps are not compared.
    fn tcp(&mut self, segment: &mut [u8], (src, dst): (Ipv4Addr, Ipv4Addr)) {
        if segment.len() < 8 {
            return;
        }
        let (sport, dport) = (u16_at(segment, 0).unwrap_or(0), u16_at(segment, 2).unwrap_or(0));
        let seq = u32_at(segment, 4);
        // What comes from a server's port, and is no SYN alone; an ICMP error may quote as much as the ports of it.
        let is_answer =
            !EPHEMERAL.contains(&sport) && segment.get(13).is_none_or(|flags| flags & 0x12 != 0x02);
        self.program_ports(segment, is_answer);
        if segment.len() < 20 {
            segment[4..8].fill(0);
            return;
        }
        // A connection may have the ports of an earlier one.
        if segment[13] & 0x02 != 0 {
            self.starts.insert((src, dst, sport, dport), seq);
        }
        let own = *self.starts.entry((src, dst, sport, dport)).or_insert(seq);
        let ack = u32_at(segment, 8);
        let acks = segment[13] & 0x10 != 0;
        let other = if acks {
            *self.starts.entry((dst, src, dport, sport)).or_insert(ack.wrapping_sub(1))
        } else {
            ack
        };
        segment[4..8].copy_from_slice(&seq.wrapping_sub(own).to_be_bytes());
        segment[8..12].copy_from_slice(&ack.wrapping_sub(other).to_be_bytes());
        segment[14..16].fill(0);
        let header = (usize::from(segment[12] >> 4) * 4).clamp(20, segment.len());
        machine_dependent(&mut segment[20..header]);
        http_dates(&mut segment[header..]);
    }

    /// Ports that a program or NAT got by chance become numbers. Those that a packet goes to are left if no packet came from
    /// them, as a program was told them (`traceroute`); but those that TCP answers had sent something.
    fn program_ports(&mut self, header: &mut [u8], is_answer: bool) {
        for (at, is_source) in [(0, true), (2, false)] {
            let port = u16_at(header, at).unwrap_or(0);
            let program = match is_source || is_answer {
                true => EPHEMERAL.contains(&port),
                false => self.ports.contains_key(&port),
            };
            if program || self.chosen.0.contains(&port) {
                header[at..at + 2].copy_from_slice(&number(&mut self.ports, port));
            }
        }
    }
}

/// Ports that NAT chose on one side: the client's in the answers of a connection, if it is another than in its packets and no
/// prompt names it.
#[derive(Clone, Debug, Default)]
pub struct ChosenPorts(BTreeSet<u16>);

/// A port in a line of a connection.
static TUPLE_PORT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\b([sd])port=([0-9]+)").ok());

impl ChosenPorts {
    /// From what one side printed and from its tables of connections.
    pub fn of(seen: &Observation) -> Self {
        let typed: BTreeSet<u16> =
            seen.prompts.iter().flat_map(|prompt| numbers_in(&prompt.command)).collect();
        let mut chosen = Self::default();
        seen.prompts.iter().for_each(|prompt| chosen.add(&prompt.output));
        for table in seen.blocks.iter().flat_map(|block| block.tables.values()).flat_map(BTreeMap::values) {
            chosen.add(table.as_str().unwrap_or_default());
        }
        chosen.0.retain(|port| !typed.contains(port));
        chosen
    }

    fn add(&mut self, text: &str) {
        let Some(pattern) = TUPLE_PORT.as_ref() else { return };
        for line in text.lines().filter(|line| line.contains("dport=")) {
            let ports = |which: &str| -> Vec<u16> {
                let found = pattern.captures_iter(line).filter(|port| &port[1] == which);
                found.filter_map(|port| port[2].parse().ok()).collect()
            };
            if let ([first, ..], [_, answer]) = (ports("s").as_slice(), ports("d").as_slice())
                && first != answer
            {
                self.0.insert(*answer);
            }
        }
    }

    /// Text with stars in their place.
    pub fn hide(&self, text: &str) -> String {
        let Some(pattern) = TUPLE_PORT.as_ref().filter(|_| !self.0.is_empty()) else {
            return text.to_owned();
        };
        let star = |port: &regex::Captures| match port[2].parse() {
            Ok(number) if self.0.contains(&number) => format!("{}port=*", &port[1]),
            _ => port[0].to_owned(),
        };
        pattern.replace_all(text, star).into_owned()
    }
}

/// The frames of an observation. The fragments of a packet that a card sends stand together: a veth pair in its place brings the answer
/// to the first, an error, before the second is sent.
pub fn with_fragments_together(seen: &Observation) -> Vec<&Frame> {
    let mut frames: Vec<&Frame> = Vec::with_capacity(seen.frames.len());
    for frame in &seen.frames {
        let packet = fragment_sent(frame, &seen.nics).filter(|(_, is_first)| !is_first);
        let since = frames.iter().rev().take_while(|other| other.prompt == frame.prompt);
        let behind = packet.and_then(|(packet, _)| {
            let mut since = since;
            since.position(|other| fragment_sent(other, &seen.nics).is_some_and(|(own, _)| own == packet))
        });
        frames.insert(frames.len() - behind.unwrap_or(0), frame);
    }
    frames
}

/// Of a fragment that a card sends: what tells its packet from others, and whether it is the first.
fn fragment_sent<'f>(frame: &'f Frame, nics: &[String]) -> Option<([&'f str; 6], bool)> {
    const BYTE: usize = 2;
    let (machine, netns, device) = (frame.machine.as_str(), frame.netns.as_str(), frame.device.as_str());
    if frame.direction != Direction::Out || !nics.iter().any(|nic| nic == device) {
        return None;
    }
    let bytes = |from: usize, to: usize| frame.bytes.get(from * BYTE..to * BYTE);
    let offset = u16::from_str_radix(bytes(20, 22)?, 16).ok()? & 0x3fff;
    let is_fragment = bytes(12, 14)? == "0800" && offset != 0;
    let packet = [machine, netns, device, bytes(18, 20)?, bytes(23, 24)?, bytes(26, 34)?];
    is_fragment.then_some((packet, offset & 0x1fff == 0))
}

/// All numbers in a text that can be ports.
fn numbers_in(text: &str) -> impl Iterator<Item = u16> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok())
}

/// Zeroes window scale and timestamps among the TCP options (RFC 7323), which depend on memory size and boot time.
fn machine_dependent(mut options: &mut [u8]) {
    while let [kind, rest @ ..] = options {
        let length = match (*kind, rest.first()) {
            (0, _) => return,
            (1, _) => 1,
            (_, Some(length)) if *length >= 2 => usize::from(*length),
            _ => return,
        };
        let value = match *kind {
            3 => 1..2,
            8 => 1..9,
            _ => 0..0,
        };
        if let Some(value) = rest.get_mut(value) {
            value.fill(0);
        }
        options = options.get_mut(length..).unwrap_or_default();
    }
}

/// A payload is a packet of TCP or UDP in IPIP or GRE, perhaps behind a header of GUE: the outer source port follows from its flow.
fn carries_flow(payload: &[u8]) -> bool {
    let in_gre = |bytes: &[u8]| {
        let (gre, len) = Gre::parse(bytes)?;
        let frame = if gre.protocol == ETH_P_TEB { ETH_HLEN } else { 0 };
        Some(bytes.get(len + frame..)?.to_vec())
    };
    let packet = match Gue::parse(payload) {
        Some(Gue { len, protocol: IPPROTO_IPIP }) => Some(payload[len..].to_vec()),
        Some(Gue { len, protocol: IPPROTO_GRE }) => in_gre(&payload[len..]),
        _ => in_gre(payload),
    };
    let header = packet.as_ref().and_then(|packet| packet.first_chunk::<20>());
    header.is_some_and(|ip| ip[0] == 0x45 && checksum(ip) == 0 && matches!(ip[9], 6 | 17))
}

/// A packet has the length that its checksum is for: FOU cuts what it takes out of a datagram from the length in the outer header, while
/// packet sockets still share that.
fn restore_length(packet: &mut [u8], header: usize) {
    let (Some(total), Some(udp_len)) = (u16_at(packet, 2), u16_at(packet, header + 4)) else { return };
    let whole = udp_len.saturating_add(header as u16);
    if packet[9] == 17 && whole > total && usize::from(whole) <= packet.len() {
        packet[2..4].copy_from_slice(&whole.to_be_bytes());
        if checksum(&packet[..header]) != 0 {
            packet[2..4].copy_from_slice(&total.to_be_bytes());
        }
    }
}

/// Replaces the Internet checksum at `at` over the first `length` bytes: 0 if it is correct, 1 if not.
fn mark_checksum(bytes: &mut [u8], at: usize, length: usize) {
    let wrong = u16::from(checksum(&bytes[..length]) != 0);
    bytes[at..at + 2].copy_from_slice(&wrong.to_be_bytes());
}

/// Replaces the checksum of UDP or TCP: 0 if there is none, 1 if it is right or left to the device, whose part it then holds
/// (the sum of the pseudo-header, `CHECKSUM_PARTIAL`), 2 if it is wrong.
fn mark_transport_checksum(segment: &mut [u8], at: usize, (src, dst, proto): (Ipv4Addr, Ipv4Addr, u8)) {
    let Some(stored) = u16_at(segment, at) else { return };
    let pseudo = pseudo_header(src, dst, proto, segment.len() as u16);
    let is_right = fold(sum(pseudo, segment)) == 0 || stored == !fold(pseudo);
    let mark = if stored == 0 && proto == 17 { 0 } else { 2 - u16::from(is_right) };
    segment[at..at + 2].copy_from_slice(&mark.to_be_bytes());
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// Zeroes the dates in an HTTP header (RFC 9110, 29 bytes each).
fn http_dates(payload: &mut [u8]) {
    for name in [&b"Date: "[..], b"Last-Modified: "] {
        let found = payload.windows(name.len()).position(|window| window == name);
        if let Some(date) = found.and_then(|at| payload.get_mut(at + name.len()..at + name.len() + 29)) {
            date.fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_request_loses_ids_times_and_right_checksums() {
        let hex = "5ebfdc20867562e1cb78a3970800450000544bfb40004001d9e30a0000650a000066080088a700420001";
        let mut frame: Vec<u8> = (0..hex.len())
            .step_by(2)
            .filter_map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok())
            .collect();
        frame.resize(98, 0xaa);
        let mut numbers = Numbers::default();
        let clean = numbers.frame(&frame, false);
        assert_eq!(clean[18..20], [0, 1], "first identification");
        assert_eq!(clean[24..26], [0, 0], "right header checksum");
        assert_eq!(clean[36..38], [0, 1], "the data is made up, so the ICMP checksum is wrong");
        assert_eq!(clean[38..40], [0, 1], "first echo identifier");
        assert_eq!(clean[42..58], [0; 16]);
        assert_eq!(clean[58..], frame[58..]);
        assert_eq!(numbers.frame(&frame, false), clean, "equal stays equal");
    }

    #[test]
    fn a_connection_with_the_ports_of_an_earlier_one_is_counted_anew() {
        let mut numbers = Numbers::default();
        let mut relative = |flags: u8, seq: u32| {
            let mut segment = vec![0x13, 0x88, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0];
            segment[4..8].copy_from_slice(&seq.to_be_bytes());
            numbers.tcp(&mut segment, (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)));
            u32_at(&segment, 4)
        };
        assert_eq!([(2, 1000), (2, 1000), (1, 1005)].map(|(flags, seq)| relative(flags, seq)), [0, 0, 5]);
        assert_eq!([(2, 70_000), (1, 70_007)].map(|(flags, seq)| relative(flags, seq)), [0, 7]);
    }

    #[test]
    fn a_checksum_is_absent_right_left_to_the_device_or_wrong() {
        let (src, dst) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        let datagram = |sum: u16| {
            let mut bytes = vec![0, 53, 0, 53, 0, 9, 0, 0, 7];
            bytes[6..8].copy_from_slice(&sum.to_be_bytes());
            mark_transport_checksum(&mut bytes, 6, (src, dst, 17));
            bytes[7]
        };
        let pseudo = pseudo_header(src, dst, 17, 9);
        let right = fold(sum(pseudo, &[0, 53, 0, 53, 0, 9, 0, 0, 7]));
        assert_eq!([0, right, !fold(pseudo), right ^ 1].map(datagram), [0, 1, 1, 2]);
    }

    #[test]
    fn a_port_is_chosen_by_nat_if_answers_name_another_and_no_prompt_does() {
        let prompt = |command: &str, output: &str| crate::observation::PromptSeen {
            command: command.into(),
            output: output.into(),
            ..Default::default()
        };
        let line = |client, answer| {
            format!(
                "udp 17 29 src=10.0.0.2 dst=9.9.9.9 sport={client} dport=53 src=9.9.9.9 dst=1.1.1.1 sport=53 dport={answer}"
            )
        };
        let seen = Observation {
            prompts: vec![
                prompt("conntrack -L", &line(5000, 12207)),
                prompt("conntrack -L --to-source 1.1.1.1:6000", &line(5000, 6000)),
                prompt("conntrack -L", &line(7000, 7000)),
            ],
            ..Observation::default()
        };
        let chosen = ChosenPorts::of(&seen);
        assert_eq!(chosen.0, BTreeSet::from([12207]));
        assert!(chosen.hide(&line(5000, 12207)).ends_with("dport=*"));
        assert_eq!(chosen.hide(&line(5000, 6000)), line(5000, 6000));
    }

    #[test]
    fn each_connection_counts_its_own_identifications() {
        let segment = |port: u16, id: u16| {
            let header = [0x45, 0, 0, 40, (id >> 8) as u8, id as u8, 0x40, 0, 64, 6, 0, 0];
            let addresses = [10, 0, 0, 1, 10, 0, 0, 2];
            let tcp =
                [(port >> 8) as u8, port as u8, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0];
            [&header[..], &addresses, &tcp].concat()
        };
        let seen = |ids: [u16; 3]| {
            let mut numbers = Numbers::default();
            let frames = [segment(40_000, ids[0]), segment(40_001, ids[1]), segment(40_000, ids[2])];
            frames.map(|frame| u16_at(&numbers.frame(&frame, true), 4))
        };
        // The second connection begins where the first has been, or elsewhere.
        assert_eq!(seen([7, 7, 8]), seen([7, 9, 8]));
        assert_ne!(seen([7, 7, 8]), seen([7, 7, 7]));
    }

    #[test]
    fn fragments_of_a_card_stand_together_and_nothing_else_does() {
        let frame = |device: &str, direction, offset: u16| Frame {
            prompt: 0,
            machine: "a".into(),
            netns: String::new(),
            device: device.into(),
            direction,
            at_us: 0,
            raw: false,
            bytes: format!(
                "{}0800450000540001{offset:04x}40010000{}{}",
                "02".repeat(12),
                "0a000002",
                "0a000301"
            ),
        };
        let order = |device: &str| {
            let seen = Observation {
                nics: vec!["eth0".into()],
                frames: vec![
                    frame(device, Direction::Out, 0x2000),
                    frame(device, Direction::Host, 0),
                    frame(device, Direction::Out, 0),
                    frame(device, Direction::Out, 0x00b9),
                ],
                ..Observation::default()
            };
            let offset = |frame: &&Frame| frame.bytes[40..44].to_owned();
            with_fragments_together(&seen).iter().map(offset).collect::<Vec<_>>()
        };
        assert_eq!(order("eth0"), ["2000", "00b9", "0000", "0000"]);
        assert_eq!(order("v0"), ["2000", "0000", "0000", "00b9"]);
    }

    #[test]
    fn a_broken_frame_is_left_alone() {
        for length in 0..40 {
            let mut frame = vec![0x4f; length];
            if length > 13 {
                frame[12..14].copy_from_slice(&[8, 0]);
            }
            Numbers::default().frame(&frame, false);
        }
    }
}
