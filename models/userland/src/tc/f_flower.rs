//! `flower`.
//!
//! iproute2: tc/f_flower.c

use std::net::Ipv4Addr;

use glassnet_kernel::filter::{ETH_P_ALL, FilterData, filter_data};
use glassnet_kernel::net::sched::cls_flower::{FlowField, FlowKey, FlowerFilter};
use glassnet_kernel::tables::vlan_tag::VlanProto;
use glassnet_wire::Mac;
use glassnet_wire::eth::{ETH_P_ARP, ETH_P_IP};
use glassnet_wire::ipv4::{IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP};

use super::filter::{FilterKind, ILLEGAL_HANDLE, Options, Request, Shown, classid, common, print_flags};
use super::units::sprint_classid;
use super::{Tc, not_modelled};
use crate::iproute2::args::{Args, Done, Stop, lladdr, mac, number, prefix};
use crate::iproute2::ll_proto::{ll_proto_a2n, ll_proto_n2a};
use crate::iproute2::out::Out;

pub static FLOWER: FilterKind = FilterKind { id: "flower", handle, parse, print };

/// Words of the real tool that the model does not know.
const NOT_MODELLED: &str = "verbose cvlan_id cvlan_prio cvlan_ethtype mpls mpls_label mpls_tc mpls_bos mpls_ttl num_of_vlans \
     geneve_opts vxlan_opts erspan_opts gtp_opts ct_state \
     ct_zone ct_mark ct_label pppoe_sid ppp_proto hw_tc";

/// IP protocols that have names here.
const PROTOS: [(&str, u8); 5] =
    [("tcp", IPPROTO_TCP), ("udp", IPPROTO_UDP), ("sctp", 132), ("icmp", IPPROTO_ICMP), ("icmpv6", 58)];

fn handle(text: &str) -> Result<(u32, Options), &'static str> {
    Ok((number(text).ok_or(ILLEGAL_HANDLE)?, None))
}

/// What was read so far.
struct Words {
    filter: FlowerFilter,
    /// The Ethertype of the packets.
    eth_type: u16,
    /// The one behind the tag.
    vlan_ethtype: u16,
    ip_proto: u8,
}

fn illegal(what: &str) -> Stop {
    Stop::failed(format!("Illegal \"{what}\"\n"))
}

/// `VALUE` or `VALUE/MASK` of so many bits.
fn value_and_mask(text: &str, bits: u32) -> Option<(u64, u64)> {
    let all = (1 << bits) - 1;
    let (value, mask) = text.split_once('/').map_or((text, None), |(value, mask)| (value, Some(mask)));
    let mask = mask.map_or(Some(all), number)?;
    let value = number::<u64>(value)?;
    (value <= all && mask <= all).then_some((value, mask))
}

/// A MAC address, with the length of a prefix or a mask.
fn mac_and_mask(text: &str) -> Option<(u64, u64)> {
    let bits = |text: &str| {
        let address = mac(&lladdr(text).ok()?).ok()?;
        Some(address.0.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    let (address, mask) = text.split_once('/').map_or((text, None), |(address, mask)| (address, Some(mask)));
    let all = (1 << 48) - 1;
    let mask = match mask.map(|mask| (number::<u32>(mask), mask)) {
        None => all,
        Some((Some(len), _)) if len <= 48 => all & !((1_u64 << (48 - len)) - 1),
        Some((_, mask)) => bits(mask)?,
    };
    Some((bits(address)?, mask))
}

fn ip_and_mask(text: &str) -> Option<(u64, u64)> {
    let (address, len) = prefix(text)?;
    let mask = u32::MAX.checked_shl(32 - u32::from(len.unwrap_or(32))).unwrap_or(0);
    Some((u64::from(address.to_bits()), u64::from(mask)))
}

impl Words {
    fn set(&mut self, field: FlowField, (value, mask): (u64, u64)) {
        self.filter.keys.retain(|key| key.field != field);
        self.filter.keys.push(FlowKey { field, value: value & mask, mask, range: None });
    }

    /// True: the word and its value were read.
    fn word(&mut self, tc: &Tc, word: &str, args: &mut Args) -> Done<bool> {
        let is_tagged = VlanProto::of(self.eth_type).is_some();
        let inner = if is_tagged { self.vlan_ethtype } else { self.eth_type };
        match word {
            "indev" => {
                let name = args.value()?;
                let unknown = "Error: Network device not found.\nWe have an error talking to the kernel\n";
                let dev = tc.find_dev(name).ok_or_else(|| Stop::error(2, unknown))?;
                let ifindex = tc.process.world().kernel(tc.process.machine).devs[dev].ifindex;
                self.set(FlowField::Indev, (u64::from(ifindex), u64::from(u32::MAX)));
            }
            "vlan_id" | "vlan_prio" | "vlan_ethtype" => {
                let text = args.value()?;
                if !is_tagged {
                    let text = format!("Can't set \"{word}\" if ethertype isn't 802.1Q or 802.1AD");
                    return Err(Stop::failed(text + " and num_of_vlans is 0\n"));
                }
                self.vlan(word, text)?;
            }
            "dst_mac" | "src_mac" => {
                let text = args.value()?;
                let field = if word == "dst_mac" { FlowField::DstMac } else { FlowField::SrcMac };
                self.set(field, mac_and_mask(text).ok_or_else(|| illegal(word))?);
            }
            "ip_proto" => {
                let text = args.value()?;
                if inner != ETH_P_IP && inner != 0x86dd {
                    return Err(Stop::failed("Illegal \"eth_type\" for ip proto\nIllegal \"ip_proto\"\n"));
                }
                let named = PROTOS.into_iter().find(|(name, _)| *name == text).map(|(_, proto)| proto);
                let hex = || u8::from_str_radix(text.trim_start_matches("0x"), 16).ok();
                self.ip_proto = named.or_else(hex).ok_or_else(|| illegal("ip_proto"))?;
                self.set(FlowField::IpProto, (u64::from(self.ip_proto), 0xff));
            }
            "ip_tos" | "ip_ttl" => {
                let text = args.value()?;
                let field = if word == "ip_tos" { FlowField::IpTos } else { FlowField::IpTtl };
                self.set(field, value_and_mask(text, 8).ok_or_else(|| illegal(word))?);
            }
            "ip_flags" => {
                let text = args.value()?;
                self.ip_flags(text)?;
            }
            "dst_ip" | "src_ip" => {
                let text = args.value()?;
                let field = if word == "dst_ip" { FlowField::DstIp } else { FlowField::SrcIp };
                if inner != ETH_P_IP {
                    return Err(illegal(word));
                }
                let expected =
                    || Stop::failed(format!("Error: inet prefix is expected rather than \"{text}\".\n"));
                self.set(field, ip_and_mask(text).ok_or_else(expected)?);
            }
            "enc_dst_ip" | "enc_src_ip" | "enc_key_id" | "enc_dst_port" | "enc_tos" | "enc_ttl" => {
                self.tunnel(word, args.value()?)?;
            }
            "dst_port" | "src_port" => self.port(word, args.value()?)?,
            "tcp_flags" => {
                let text = args.value()?;
                let found = (self.ip_proto == IPPROTO_TCP).then(|| hex_and_mask(text)).flatten();
                self.set(FlowField::TcpFlags, found.ok_or_else(|| illegal(word))?);
            }
            "type" | "code" => {
                let text = args.value()?;
                let field = if word == "type" { FlowField::IcmpType } else { FlowField::IcmpCode };
                let found = (self.ip_proto == IPPROTO_ICMP).then(|| value_and_mask(text, 8)).flatten();
                let what = if word == "type" { "icmp type" } else { "icmp code" };
                self.set(field, found.ok_or_else(|| illegal(what))?);
            }
            _ => return self.arp(word, args, inner),
        }
        Ok(true)
    }

    fn vlan(&mut self, word: &str, text: &str) -> Done {
        match word {
            "vlan_id" => {
                let id = number::<u16>(text).filter(|id| *id < 4096).ok_or_else(|| illegal("vlan_id"))?;
                self.set(FlowField::VlanId, (u64::from(id), 0xfff));
            }
            "vlan_prio" => {
                let prio = number::<u8>(text).filter(|prio| *prio < 8).ok_or_else(|| illegal("vlan_prio"))?;
                self.set(FlowField::VlanPrio, (u64::from(prio), 7));
            }
            _ => {
                let kind = ll_proto_a2n(text).ok_or_else(|| illegal("vlan_ethtype"))?;
                self.vlan_ethtype = kind;
                self.set(FlowField::EthType, (u64::from(kind), 0xffff));
            }
        }
        Ok(())
    }

    fn port(&mut self, word: &str, text: &str) -> Done {
        let field = if word == "dst_port" { FlowField::DstPort } else { FlowField::SrcPort };
        if !matches!(self.ip_proto, IPPROTO_TCP | IPPROTO_UDP | 132) {
            return Err(illegal(word));
        }
        let Some((from, to)) = text.split_once('-') else {
            self.set(field, value_and_mask(text, 16).ok_or_else(|| illegal(word))?);
            return Ok(());
        };
        let (Some(from), Some(to)) = (number::<u16>(from), number::<u16>(to)) else {
            return Err(illegal(word));
        };
        if to <= from {
            let text = format!("max value should be greater than min value\nIllegal \"{word}\"\n");
            return Err(Stop::failed(text));
        }
        let range = Some(u64::from(from)..=u64::from(to));
        self.filter.keys.push(FlowKey { field, value: 0, mask: 0xffff, range });
        Ok(())
    }

    /// The headers of the tunnel that a packet came through.
    fn tunnel(&mut self, word: &str, text: &str) -> Done {
        let decimal =
            |most: u64| text.parse().ok().filter(|value| *value <= most).map(|value: u64| (value, most));
        let (field, found) = match word {
            "enc_dst_ip" => (FlowField::EncDstIp, ip_and_mask(text)),
            "enc_src_ip" => (FlowField::EncSrcIp, ip_and_mask(text)),
            "enc_key_id" => (FlowField::EncKeyId, decimal(u64::from(u32::MAX))),
            "enc_dst_port" => (FlowField::EncDstPort, decimal(0xffff)),
            "enc_tos" => (FlowField::EncIpTos, value_and_mask(text, 8)),
            _ => (FlowField::EncIpTtl, value_and_mask(text, 8)),
        };
        if text.contains(':') {
            return Err(not_modelled(&format!("filter … flower {word} {text}")));
        }
        let expected =
            || Stop::failed(format!("Error: any valid prefix is expected rather than \"{text}\".\n"));
        self.set(field, found.ok_or_else(|| if word.ends_with("_ip") { expected() } else { illegal(word) })?);
        Ok(())
    }

    fn ip_flags(&mut self, text: &str) -> Done {
        let (mut value, mut mask) = (0, 0);
        for flag in text.split('/') {
            let (flag, is_set) = flag.strip_prefix("no").map_or((flag, true), |flag| (flag, false));
            let bit = match flag {
                "frag" => 1,
                "firstfrag" => 2,
                _ => return Err(illegal("ip_flags")),
            };
            mask |= bit;
            value |= if is_set { bit } else { 0 };
        }
        self.set(FlowField::IpFlags, (value, mask));
        Ok(())
    }

    fn arp(&mut self, word: &str, args: &mut Args, inner: u16) -> Done<bool> {
        let field = match word {
            "arp_sip" => FlowField::ArpSip,
            "arp_tip" => FlowField::ArpTip,
            "arp_op" => FlowField::ArpOp,
            "arp_sha" => FlowField::ArpSha,
            "arp_tha" => FlowField::ArpTha,
            _ => return Ok(false),
        };
        let text = args.value()?;
        let found = match field {
            _ if inner != ETH_P_ARP && inner != 0x8035 => None,
            FlowField::ArpSip | FlowField::ArpTip => ip_and_mask(text),
            FlowField::ArpOp => match text {
                "request" => Some((1, 0xff)),
                "reply" => Some((2, 0xff)),
                _ => value_and_mask(text, 8),
            },
            _ => mac_and_mask(text),
        };
        self.set(field, found.ok_or_else(|| illegal(word))?);
        Ok(true)
    }
}

/// Flags of TCP: hexadecimal, perhaps with a mask.
fn hex_and_mask(text: &str) -> Option<(u64, u64)> {
    let hex = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    let (value, mask) = text.split_once('/').map_or((text, None), |(value, mask)| (value, Some(mask)));
    let (value, mask) = (hex(value)?, mask.map_or(Some(0xfff), hex)?);
    (value <= 0xfff && mask <= 0xfff).then_some((value, mask))
}

fn parse(args: &mut Args, request: &mut Request) -> Done {
    let usage = include_str!("help/flower.txt");
    let eth_type = request.protocol;
    let mut words = Words { filter: FlowerFilter::default(), eth_type, vlan_ethtype: 0, ip_proto: 0 };
    while let Some(word) = args.take() {
        if NOT_MODELLED.split_whitespace().any(|known| known == word) {
            return Err(not_modelled(&format!("filter … flower {word}")));
        }
        match word {
            "classid" | "flowid" => words.filter.classid = Some(classid(args)?),
            _ if words.word(request.tc, word, args)? => {}
            _ => common("flower", word, args, request, usage)?,
        }
    }
    if VlanProto::of(eth_type).is_some() {
        words.set(FlowField::VlanTpid, (u64::from(eth_type), 0xffff));
    } else if eth_type != ETH_P_ALL && eth_type != 0 {
        words.set(FlowField::EthType, (u64::from(eth_type), 0xffff));
    }
    words.filter.keys.sort_by_key(|key| key.field);
    request.options = Some(Box::new(words.filter) as Box<dyn FilterData>);
    Ok(())
}

fn print(out: &mut Out, handle: u32, shown: &Shown) -> Done {
    let Some(filter) = filter_data::<FlowerFilter>(shown.filter) else { return Ok(()) };
    out.any("handle", handle, format_args!("handle {handle:#x} "));
    if let Some(classid) = filter.classid {
        let classid = sprint_classid(classid);
        out.any("classid", classid.as_str(), format_args!("classid {classid} "));
    }
    let of = |field| filter.keys.iter().find(|key| key.field == field);
    if let Some(indev) = of(FlowField::Indev) {
        let name = shown.ifname(indev.value as u32);
        line(out, "indev", &name);
    }
    out.open(Some("keys"));
    let is_tagged = of(FlowField::VlanTpid).is_some();
    for key in &filter.keys {
        if key.field == FlowField::EthType && is_tagged {
            line(out, "vlan_ethtype", &ll_proto_n2a(key.value as u16));
        }
        match key.range.is_some() || matches!(key.field, FlowField::DstPort | FlowField::SrcPort) {
            true => print_port(out, key),
            false => print_key(out, key),
        }
    }
    out.close();
    print_flags(out, shown.dump, ("  ", ""));
    Ok(())
}

fn line(out: &mut Out, name: &str, text: &str) {
    out.nl();
    out.any(name, text, format_args!("  {name} {text}"));
}

fn number_line(out: &mut Out, name: &str, value: u64) {
    out.nl();
    out.any(name, value, format_args!("  {name} {value}"));
}

/// A number, and its mask behind a slash unless it is `all`.
fn masked_line(out: &mut Out, name: &str, key: &FlowKey, all: u64) {
    number_line(out, name, key.value);
    if key.mask != all {
        out.any(&format!("{name}_mask"), format!("{:x}", key.mask), format_args!("/{:#x}", key.mask));
    }
}

fn print_port(out: &mut Out, key: &FlowKey) {
    let name = if key.field == FlowField::DstPort { "dst_port" } else { "src_port" };
    let Some(range) = &key.range else { return masked_line(out, name, key, 0xffff) };
    out.nl();
    out.open(Some(name));
    out.json("start", *range.start());
    out.json("end", *range.end());
    out.text(format_args!("  {name} {}-{}", range.start(), range.end()));
    out.close();
}

fn ip(key: &FlowKey) -> String {
    let address = Ipv4Addr::from_bits(key.value as u32);
    match (key.mask as u32).leading_ones() {
        32 => address.to_string(),
        len => format!("{address}/{len}"),
    }
}

fn mac_text(key: &FlowKey) -> String {
    let of = |bits: u64| Mac(bits.to_be_bytes()[2..].try_into().unwrap_or_default());
    let len = (key.mask << 16).leading_ones();
    match key.mask {
        mask if mask == (1 << 48) - 1 => of(key.value).to_string(),
        mask if mask.count_ones() == len => format!("{}/{len}", of(key.value)),
        mask => format!("{}/{}", of(key.value), of(mask)),
    }
}

fn print_key(out: &mut Out, key: &FlowKey) {
    let FlowKey { field, value, mask, .. } = key;
    match field {
        FlowField::Indev | FlowField::VlanTpid | FlowField::DstPort | FlowField::SrcPort => {}
        FlowField::VlanId => number_line(out, "vlan_id", *value),
        FlowField::VlanPrio => number_line(out, "vlan_prio", *value),
        FlowField::DstMac => line(out, "dst_mac", &mac_text(key)),
        FlowField::SrcMac => line(out, "src_mac", &mac_text(key)),
        FlowField::EthType => line(out, "eth_type", &eth_type(*value as u16)),
        FlowField::IpProto => {
            let named = PROTOS.into_iter().find(|(_, known)| u64::from(*known) == *value);
            line(out, "ip_proto", &named.map_or(format!("{value:02x}"), |(name, _)| name.to_owned()));
        }
        FlowField::IpTos => masked_line(out, "ip_tos", key, 0xff),
        FlowField::IpTtl => masked_line(out, "ip_ttl", key, 0xff),
        FlowField::IpFlags => ip_flags(out, *value, *mask),
        FlowField::DstIp => line(out, "dst_ip", &ip(key)),
        FlowField::SrcIp => line(out, "src_ip", &ip(key)),
        FlowField::TcpFlags if *mask == 0xfff => line(out, "tcp_flags", &format!("{value:#x}")),
        FlowField::TcpFlags => line(out, "tcp_flags", &format!("{value:#x}/{mask:x}")),
        FlowField::IcmpType => line(out, "icmp_type", &value.to_string()),
        FlowField::IcmpCode => line(out, "icmp_code", &value.to_string()),
        FlowField::ArpSip => line(out, "arp_sip", &ip(key)),
        FlowField::ArpTip => line(out, "arp_tip", &ip(key)),
        FlowField::ArpOp => match value {
            1 => line(out, "arp_op", "request"),
            2 => line(out, "arp_op", "reply"),
            other => line(out, "arp_op", &other.to_string()),
        },
        FlowField::ArpSha => line(out, "arp_sha", &mac_text(key)),
        FlowField::ArpTha => line(out, "arp_tha", &mac_text(key)),
        FlowField::EncDstIp => line(out, "enc_dst_ip", &ip(key)),
        FlowField::EncSrcIp => line(out, "enc_src_ip", &ip(key)),
        FlowField::EncKeyId => number_line(out, "enc_key_id", *value),
        FlowField::EncDstPort => number_line(out, "enc_dst_port", *value),
        FlowField::EncIpTos => masked_line(out, "enc_tos", key, 0xff),
        FlowField::EncIpTtl => masked_line(out, "enc_ttl", key, 0xff),
    }
}

fn eth_type(kind: u16) -> String {
    match kind {
        ETH_P_IP => "ipv4".to_owned(),
        ETH_P_ARP => "arp".to_owned(),
        0x86dd => "ipv6".to_owned(),
        0x8035 => "rarp".to_owned(),
        other => format!("{other:04x}"),
    }
}

fn ip_flags(out: &mut Out, value: u64, mask: u64) {
    out.nl();
    out.open(Some("ip_flags"));
    out.text("  ip_flags ");
    let flags = [(1, "frag"), (2, "firstfrag")].into_iter().filter(|(bit, _)| mask & bit != 0);
    for (at, (bit, name)) in flags.enumerate() {
        let is_set = value & bit != 0;
        out.json(name, is_set);
        let (slash, no) = (if at == 0 { "" } else { "/" }, if is_set { "" } else { "no" });
        out.text(format_args!("{slash}{no}{name}"));
    }
    out.close();
}
