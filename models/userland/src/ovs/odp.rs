//! Flows of the datapath, as `ovs-dpctl` prints them.

use glassnet_kernel::kernel::Kernel;
use glassnet_kernel::net::openvswitch::flow::field_to_mac;
use glassnet_kernel::tables::ip_tunnel::{IpTunnelKey, TUNNEL_KEY};
use glassnet_kernel::tables::jiffies::{HZ, jiffies};
use glassnet_kernel::tables::openvswitch::flow::{FlowAction, KeyField, SwFlow, SwFlowKey, VLAN_CFI};
use glassnet_sim::Nanos;

use super::field::{ARP, ICMP, IPV4, SCTP, TCP, UDP, masked_ip};
use super::matching::{Match, PCP_SHIFT, VID, tunnel_flags};

/// Names of the datapath's ports; without, numbers are printed.
type DpNames<'a> = Option<&'a dyn Fn(u32) -> String>;

/// How much is printed.
#[derive(Clone, Copy)]
pub struct Style<'a> {
    /// Also fields that do not count (`-m`).
    pub verbose: bool,
    /// Names of ports.
    pub names: DpNames<'a>,
}

impl Style<'_> {
    fn port(&self, port: u32) -> String {
        self.names.map_or_else(|| port.to_string(), |names| names(port))
    }
}

/// Fields of a header: name, and which.
type Fields<'f> = &'f [(&'f str, KeyField)];

const TUNNEL_FIELDS: Fields = &[
    ("tun_id", KeyField::TunId),
    ("src", KeyField::TunSrc),
    ("dst", KeyField::TunDst),
    ("tos", KeyField::TunTos),
    ("ttl", KeyField::TunTtl),
    ("tp_src", KeyField::TunTpSrc),
    ("tp_dst", KeyField::TunTpDst),
];
const ETH: Fields = &[("src", KeyField::EthSrc), ("dst", KeyField::EthDst)];
const IPV4_FIELDS: Fields = &[
    ("src", KeyField::Ipv4Src),
    ("dst", KeyField::Ipv4Dst),
    ("proto", KeyField::IpProto),
    ("tos", KeyField::IpTos),
    ("ttl", KeyField::IpTtl),
];
const ARP_FIELDS: Fields = &[
    ("sip", KeyField::Ipv4Src),
    ("tip", KeyField::Ipv4Dst),
    ("op", KeyField::IpProto),
    ("sha", KeyField::ArpSha),
    ("tha", KeyField::ArpTha),
];
const PORTS: Fields = &[("src", KeyField::TpSrc), ("dst", KeyField::TpDst)];
const ICMP_FIELDS: Fields = &[("type", KeyField::TpSrc), ("code", KeyField::TpDst)];

/// A flow that is printed.
struct Printed<'p> {
    key: &'p SwFlowKey,
    mask: &'p SwFlowKey,
    verbose: bool,
}

impl Printed<'_> {
    /// Fields that count, or all.
    fn fields(&self, fields: Fields) -> String {
        let told = fields.iter().filter(|(_, field)| self.verbose || self.mask[*field] != 0);
        told.map(|(name, field)| format!("{name}={}", self.value(name, *field))).collect::<Vec<_>>().join(",")
    }

    fn value(&self, name: &str, field: KeyField) -> String {
        let (value, mask, full) = (self.key[field], self.mask[field], field.full());
        let hex = |value: u64| if value == 0 { "0".to_owned() } else { format!("{value:#x}") };
        match field {
            KeyField::EthSrc | KeyField::EthDst | KeyField::ArpSha | KeyField::ArpTha if mask == full => {
                field_to_mac(value).to_string()
            }
            KeyField::EthSrc | KeyField::EthDst | KeyField::ArpSha | KeyField::ArpTha => {
                format!("{}/{}", field_to_mac(value), field_to_mac(mask))
            }
            KeyField::Ipv4Src | KeyField::Ipv4Dst | KeyField::TunSrc | KeyField::TunDst if mask == full => {
                masked_ip(value, full)
            }
            KeyField::TunId if mask == full => format!("{value:#x}"),
            KeyField::Ipv4Src | KeyField::Ipv4Dst | KeyField::TunSrc | KeyField::TunDst => {
                format!("{}/{}", masked_ip(value, full), masked_ip(mask, full))
            }
            KeyField::IpTos | KeyField::TunTos if mask == full => hex(value),
            _ if mask == 0 => "0/0".to_owned(),
            // The operation of ARP has two bytes, of which one is told.
            KeyField::IpProto if name == "op" => format!("{value}/{mask:#x}"),
            _ if mask == full => value.to_string(),
            _ => format!("{}/{}", hex(value), hex(mask)),
        }
    }

    fn vlan(&self) -> String {
        let (tci, mask) = (self.key[KeyField::VlanTci], self.mask[KeyField::VlanTci]);
        let part = |name: &str, value: u64, mask: u64, full: u64| match mask {
            0 if !self.verbose => None,
            mask if mask == full => Some(format!("{name}={value}")),
            mask => Some(format!("{name}={value:#x}/{mask:#x}")),
        };
        let vid = part("vid", tci & VID, mask & VID, VID);
        let pcp = part("pcp", tci >> PCP_SHIFT, mask >> PCP_SHIFT, 7);
        [vid, pcp].into_iter().flatten().collect::<Vec<_>>().join(",")
    }

    /// Network and transport layer.
    fn network(&self) -> String {
        match self.key[KeyField::EthType] {
            IPV4 => {
                let fields = self.fields(IPV4_FIELDS);
                let comma = if fields.is_empty() { "" } else { "," };
                let frag = ["no", "first", "later"][self.key[KeyField::IpFrag] as usize % 3];
                format!(",ipv4({fields}{comma}frag={frag}){}", self.transport())
            }
            ARP => match self.fields(ARP_FIELDS) {
                fields if fields.is_empty() => String::new(),
                fields => format!(",arp({fields})"),
            },
            _ => String::new(),
        }
    }

    fn transport(&self) -> String {
        let is_told = self.verbose || PORTS.iter().any(|(_, field)| self.mask[*field] != 0);
        if self.mask[KeyField::IpProto] != KeyField::IpProto.full() || !is_told {
            return String::new();
        }
        let flags = if self.verbose { ",tcp_flags(0/0)" } else { "" };
        match self.key[KeyField::IpProto] {
            TCP => format!(",tcp({}){flags}", self.fields(PORTS)),
            UDP => format!(",udp({})", self.fields(PORTS)),
            SCTP => format!(",sctp({})", self.fields(PORTS)),
            ICMP => format!(",icmp({})", self.fields(ICMP_FIELDS)),
            _ => String::new(),
        }
    }
}

/// The match of a flow.
fn format_key(key: &SwFlowKey, mask: &SwFlowKey, style: Style) -> String {
    let printed = Printed { key, mask, verbose: style.verbose };
    let [before, behind] = match style.verbose {
        true => [
            "dp_hash(0/0),skb_priority(0/0),",
            ",skb_mark(0/0),ct_state(0/0),ct_zone(0/0),ct_mark(0/0),ct_label(0/0)",
        ],
        false => ["", ""],
    };
    let port = style.port(key[KeyField::InPort] as u32);
    let eth_type = format!("eth_type({:#06x}){}", key[KeyField::EthType], printed.network());
    let inner = match key[KeyField::VlanTci] & VLAN_CFI {
        0 => eth_type,
        _ => format!("eth_type(0x8100),vlan({}),encap({eth_type})", printed.vlan()),
    };
    let tunnel = format_tunnel_key(&printed);
    format!("recirc_id(0),{before}{tunnel}in_port({port}){behind},eth({}),{inner}", printed.fields(ETH))
}

/// The outer headers of the tunnel that packets came through.
fn format_tunnel_key(printed: &Printed) -> String {
    let tunnel = printed.key.tunnel();
    if tunnel.dst.is_unspecified() {
        return String::new();
    }
    let flags = Match { key: *printed.key, mask: *printed.mask }.tunnel_flags();
    // Of what is 0 the kernel tells only the TTL.
    let said = |field: KeyField| printed.key[field] != 0 || field == KeyField::TunTtl;
    let fields: Vec<(&str, KeyField)> =
        TUNNEL_FIELDS.iter().copied().filter(|(_, field)| said(*field)).collect();
    format!("tunnel({},flags({flags})),", printed.fields(&fields))
}

/// What is written into outer headers.
fn format_set_tunnel(key: &IpTunnelKey) -> String {
    let mut text = String::new();
    let mut put = |name: &str, is_said: bool, value: String| {
        if is_said {
            text += &format!("{name}={value},");
        }
    };
    put("tun_id", key.tun_flags & TUNNEL_KEY != 0, format!("{:#x}", key.tun_id));
    put("src", !key.src.is_unspecified(), key.src.to_string());
    put("dst", true, key.dst.to_string());
    put("tos", key.tos != 0, format!("{:#x}", key.tos));
    put("ttl", true, key.ttl.to_string());
    put("tp_dst", key.tp_dst != 0, key.tp_dst.to_string());
    format!("set(tunnel({text}flags({})))", tunnel_flags(u64::from(key.tun_flags)))
}

/// The actions of a flow.
pub fn format_actions(actions: &[FlowAction], style: Style) -> String {
    if actions.is_empty() {
        return "drop".to_owned();
    }
    let one = |action: &FlowAction| match action {
        FlowAction::Output(port) => style.port(*port),
        FlowAction::Userspace => "userspace(pid=0)".to_owned(),
        FlowAction::PopVlan => "pop_vlan".to_owned(),
        FlowAction::PushVlan(0x8100, tci) => {
            format!("push_vlan(vid={},pcp={})", u64::from(*tci) & VID, tci >> PCP_SHIFT)
        }
        FlowAction::PushVlan(tpid, tci) => {
            format!("push_vlan(tpid={tpid:#06x},vid={},pcp={})", u64::from(*tci) & VID, tci >> PCP_SHIFT)
        }
        FlowAction::SetTunnel(info) => format_set_tunnel(&info.key),
        FlowAction::Set { key, mask } => format!("set({})", format_set(key, mask)),
    };
    actions.iter().map(one).collect::<Vec<_>>().join(",")
}

fn format_set(key: &SwFlowKey, mask: &SwFlowKey) -> String {
    let fields = |fields: &[(&str, KeyField)]| {
        let told = fields.iter().filter(|(_, field)| mask[*field] != 0);
        let one = |(name, field): &(&str, KeyField)| {
            let value = match field {
                KeyField::EthSrc | KeyField::EthDst => field_to_mac(key[*field]).to_string(),
                KeyField::Ipv4Src | KeyField::Ipv4Dst => masked_ip(key[*field], field.full()),
                KeyField::IpTos => format!("{:#x}", key[*field]),
                _ => key[*field].to_string(),
            };
            let is_whole = mask[*field] == field.full();
            if is_whole { format!("{name}={value}") } else { format!("{name}={value}/{:#x}", mask[*field]) }
        };
        told.map(one).collect::<Vec<_>>().join(",")
    };
    let has = |field: KeyField| mask[field] != 0;
    if has(KeyField::EthSrc) || has(KeyField::EthDst) {
        return format!("eth({})", fields(&[("src", KeyField::EthSrc), ("dst", KeyField::EthDst)]));
    }
    if has(KeyField::TpSrc) || has(KeyField::TpDst) {
        let name = match key[KeyField::IpProto] {
            TCP => "tcp",
            SCTP => "sctp",
            _ => "udp",
        };
        return format!("{name}({})", fields(&[("src", KeyField::TpSrc), ("dst", KeyField::TpDst)]));
    }
    let ipv4 = [
        ("src", KeyField::Ipv4Src),
        ("dst", KeyField::Ipv4Dst),
        ("tos", KeyField::IpTos),
        ("ttl", KeyField::IpTtl),
    ];
    format!("ipv4({})", fields(&ipv4))
}

/// Flags of TCP, a letter each.
fn tcp_flags(flags: u64) -> String {
    const LETTERS: [char; 8] = ['F', 'S', 'R', 'P', '.', 'U', 'E', 'C'];
    LETTERS.iter().enumerate().filter(|(at, _)| flags >> at & 1 != 0).map(|(_, letter)| letter).collect()
}

/// The counters of a flow.
fn format_stats(flow: &SwFlow, now: Nanos) -> String {
    let used = flow.stats.used.map_or_else(
        || "never".to_owned(),
        |used| {
            let msecs = (jiffies(now) - jiffies(used)) * 1000 / HZ;
            format!("{}.{:03}s", msecs / 1000, msecs % 1000)
        },
    );
    let flags = match flow.stats.tcp_flags {
        0 => String::new(),
        flags => format!(", flags:{}", tcp_flags(flags)),
    };
    format!("packets:{}, bytes:{}, used:{used}{flags}", flow.stats.packets, flow.stats.bytes)
}

/// A flow, in a line.
pub fn format_flow(flow: &SwFlow, now: Nanos, style: Style) -> String {
    let (key, stats) = (format_key(&flow.key, &flow.mask, style), format_stats(flow, now));
    let dp = if style.verbose { ", dp:ovs" } else { "" };
    format!("{key}, {stats}{dp}, actions:{}\n", format_actions(&flow.actions, style))
}

/// The name of a datapath's port.
pub fn dp_port_name(kernel: &Kernel, dp: glassnet_kernel::tables::openvswitch::DpId, port: u32) -> String {
    let dev = kernel.datapaths.get(dp).and_then(|dp| dp.ports.get(&port)).map(|port| port.dev);
    dev.and_then(|dev| kernel.devs.get(dev)).map_or_else(|| port.to_string(), |dev| dev.name.clone())
}
