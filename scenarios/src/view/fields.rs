//! Fields of a packet's headers, by their names in tcpdump and Wireshark.

use glassnet_kernel::tables::vlan_tag::{
    ADDRESSES, VLAN_HLEN, VLAN_PRIO_SHIFT, VLAN_VID_MASK, VlanProto, ethertype_offset,
};
use glassnet_kernel::trace::Headers;
use glassnet_wire::Mac;
use glassnet_wire::arp::ArpHdr;
use glassnet_wire::eth::{ETH_HLEN, ETH_P_ARP, ETH_P_IP, EthHdr};
use glassnet_wire::icmp::{ICMP_HLEN, IcmpHdr};
use glassnet_wire::ipv4::{IP_OFFSET, IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, Ipv4Hdr};
use glassnet_wire::tcp::{TCP_HLEN, TcpHdr};
use glassnet_wire::udp::UdpHdr;
use zerocopy::FromBytes;

/// A field's name and its value.
pub type Field = (&'static str, String);

/// The fields of the headers, outermost first.
pub fn fields(headers: &Headers) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut rest = &headers.bytes[..];
    let mut protocol = ETH_P_IP;
    if headers.link {
        let Ok((eth, behind)) = EthHdr::read_from_prefix(rest) else { return fields };
        protocol = eth.h_proto.get();
        fields.push(("eth.dst", eth.dest().to_string()));
        fields.push(("eth.src", eth.source().to_string()));
        fields.push(("eth.type", format!("0x{protocol:04x}")));
        rest = behind;
        while let (Some(_), Some(([a, b, c, d], behind))) =
            (VlanProto::of(protocol), rest.split_first_chunk())
        {
            let tci = u16::from_be_bytes([*a, *b]);
            protocol = u16::from_be_bytes([*c, *d]);
            fields.push(("vlan.id", (tci & VLAN_VID_MASK).to_string()));
            fields.push(("vlan.priority", (tci >> VLAN_PRIO_SHIFT).to_string()));
            fields.push(("vlan.etype", format!("0x{protocol:04x}")));
            rest = behind;
        }
    }
    match protocol {
        ETH_P_IP => ipv4(rest, &mut fields),
        ETH_P_ARP => arp(rest, &mut fields),
        _ => {}
    }
    fields
}

fn arp(bytes: &[u8], fields: &mut Vec<Field>) {
    let Ok((arp, _)) = ArpHdr::read_from_prefix(bytes) else { return };
    fields.push(("arp.op", arp.ar_op.to_string()));
    fields.push(("arp.sha", Mac(arp.ar_sha).to_string()));
    fields.push(("arp.spa", arp.ar_sip.get().to_string()));
    fields.push(("arp.tha", Mac(arp.ar_tha).to_string()));
    fields.push(("arp.tpa", arp.ar_tip.get().to_string()));
}

fn ipv4(bytes: &[u8], fields: &mut Vec<Field>) {
    let Some((ip, _)) = Ipv4Hdr::read_from_prefix(bytes).ok().filter(|(ip, _)| ip.version() == 4) else {
        return;
    };
    fields.push(("ip.tos", format!("0x{:02x}", ip.tos)));
    fields.push(("ip.len", ip.tot_len.to_string()));
    fields.push(("ip.id", ip.id.to_string()));
    fields.push(("ip.flags", fragment(&ip)));
    fields.push(("ip.ttl", ip.ttl.to_string()));
    fields.push(("ip.proto", ip.protocol.to_string()));
    fields.push(("ip.checksum", format!("0x{:04x}", ip.check.get())));
    fields.push(("ip.src", ip.saddr.get().to_string()));
    fields.push(("ip.dst", ip.daddr.get().to_string()));
    let Some(rest) = bytes.get(ip.header_len()..).filter(|_| ip.frag_off.get() & IP_OFFSET == 0) else {
        return;
    };
    match ip.protocol {
        IPPROTO_ICMP => icmp(rest, fields),
        IPPROTO_TCP => tcp(rest, fields),
        IPPROTO_UDP => udp(rest, fields),
        _ => {}
    }
}

fn fragment(ip: &Ipv4Hdr) -> String {
    let flags = if ip.dont_fragment() { "DF" } else { "-" };
    match ip.is_fragment() {
        true => format!("{flags}, a fragment (0x{:04x})", ip.frag_off.get()),
        false => flags.to_owned(),
    }
}

fn icmp(bytes: &[u8], fields: &mut Vec<Field>) {
    let Ok((icmp, _)) = IcmpHdr::read_from_prefix(bytes) else { return };
    fields.push(("icmp.type", icmp.kind.to_string()));
    fields.push(("icmp.code", icmp.code.to_string()));
    fields.push(("icmp.checksum", format!("0x{:04x}", icmp.checksum.get())));
    fields.push(("icmp.id", icmp.id.to_string()));
    fields.push(("icmp.seq", icmp.sequence.to_string()));
}

fn udp(bytes: &[u8], fields: &mut Vec<Field>) {
    let Ok((udp, _)) = UdpHdr::read_from_prefix(bytes) else { return };
    fields.push(("udp.srcport", udp.source.to_string()));
    fields.push(("udp.dstport", udp.dest.to_string()));
    fields.push(("udp.length", udp.len.to_string()));
    fields.push(("udp.checksum", format!("0x{:04x}", udp.check.get())));
}

fn tcp(bytes: &[u8], fields: &mut Vec<Field>) {
    let Ok((tcp, _)) = TcpHdr::read_from_prefix(bytes) else { return };
    fields.push(("tcp.srcport", tcp.source.to_string()));
    fields.push(("tcp.dstport", tcp.dest.to_string()));
    fields.push(("tcp.seq", tcp.seq.to_string()));
    fields.push(("tcp.ack", tcp.ack_seq.to_string()));
    fields.push(("tcp.flags", tcp_flags(tcp.flags)));
    fields.push(("tcp.window", tcp.window.to_string()));
    fields.push(("tcp.checksum", format!("0x{:04x}", tcp.check.get())));
}

/// The flags by the names of rules.
fn tcp_flags(flags: u8) -> String {
    const NAMES: [&str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
    let set = NAMES.iter().enumerate().filter(|(bit, _)| flags & 1 << bit != 0);
    let names: Vec<&str> = set.map(|(_, name)| *name).collect();
    if names.is_empty() { "NONE".to_owned() } else { names.join(",") }
}

/// Changed fields, with old and new value.
pub fn changes(before: Option<&Headers>, now: &Headers) -> Vec<(&'static str, Option<String>, String)> {
    let old = before.map(fields).unwrap_or_default();
    let value_of = |name| old.iter().find(|field| field.0 == name).map(|field| field.1.clone());
    let changed = fields(now).into_iter().map(|(name, value)| (name, value_of(name), value));
    changed.filter(|(_, old, new)| old.as_ref() != Some(new)).collect()
}

/// The headers in hexadecimal, separated by spaces; of the IPv4 payload, a TCP header or the first eight bytes.
pub fn hex(headers: &Headers) -> String {
    let mut rest = &headers.bytes[..];
    let mut parts = Vec::new();
    let mut cut = |len: usize| {
        let (part, behind) = rest.split_at(len.min(rest.len()));
        rest = behind;
        parts.push(part.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        behind
    };
    let mut network = &headers.bytes[..];
    if headers.link {
        network = cut(ETH_HLEN);
        for _ in (ADDRESSES..ethertype_offset(&headers.bytes)).step_by(VLAN_HLEN) {
            network = cut(VLAN_HLEN);
        }
    }
    match Ipv4Hdr::read_from_prefix(network) {
        Ok((ip, _)) if ip.version() == 4 => {
            cut(ip.header_len());
            cut(if ip.protocol == IPPROTO_TCP { TCP_HLEN } else { ICMP_HLEN });
        }
        _ => {
            cut(network.len());
        }
    }
    parts.retain(|part| !part.is_empty());
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_a_change() {
        let frame = |ttl: u8| {
            let mut bytes = vec![0; 34];
            bytes[12] = 8;
            bytes[14] = 0x45;
            bytes[22] = ttl;
            Headers { step: 0, link: true, len: 34, bytes }
        };
        let expected = vec![("ip.ttl", Some("64".to_owned()), "63".to_owned())];
        assert_eq!(changes(Some(&frame(64)), &frame(63)), expected);
        assert_eq!(changes(None, &frame(64)).len(), 12);
        assert_eq!(hex(&frame(64)).split(' ').map(str::len).collect::<Vec<_>>(), [28, 40]);
    }
}
