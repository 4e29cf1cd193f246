//! What an OpenFlow flow does: read and printed as `ovs-ofctl` does.

use glassnet_kernel::tables::openvswitch::flow::{KeyField, SwFlowKey, VLAN_CFI};

use super::field::{self, FIELDS, Field};
use super::matching::{PCP, PCP_SHIFT, VID};
use super::ports::{self, PortNames};

/// An action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfpAct {
    /// To a port, or one of [`ports`].
    Output(u32),
    /// Writes a field.
    Set(&'static Field, u64),
    /// Puts the packet into a VLAN, with a tag if it has none.
    SetVlanVid(u64),
    /// Gives it a priority, with a tag if it has none.
    SetVlanPcp(u64),
    /// Takes the tag off.
    StripVlan,
    /// Adds a tag with this Ethertype.
    PushVlan(u64),
    /// Looks the packet up again: as of another port, in another table.
    Resubmit(Option<u32>, Option<u8>),
    /// The number of the network that a tunnel sends it in.
    SetTunnel(u64),
    /// Writes bits of a field.
    Load(Bits, u64),
    /// Copies bits of a field into another.
    Move(Bits, Bits),
    /// One hop less to live; a packet that has none left is not sent on.
    DecTtl,
    /// Does what a group says.
    Group(u32),
}

/// Bits of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    /// The field.
    pub field: &'static Field,
    /// The first bit, from the lowest on.
    pub from: u32,
    /// How many.
    pub count: u32,
}

impl Bits {
    /// All of a field.
    fn all(field: &'static Field) -> Bits {
        Bits { field, from: 0, count: field.field.full().count_ones() }
    }

    /// Reads `FIELD[]`, `FIELD[BIT]` or `FIELD[FROM..TO]`.
    fn parse(text: &str) -> Result<Bits, String> {
        let (name, range) = text.split_once('[').unwrap_or((text, "]"));
        let named = |field: &&Field| field.nxm == name || field.names.contains(&name);
        let field = FIELDS.iter().find(|field| !name.is_empty() && named(field));
        let field =
            field.ok_or_else(|| match NXM_UNMODELLED.iter().any(|known| name.starts_with(known)) {
                true => format!("not modelled yet: field {name}"),
                false => format!("{text}: unknown field `{name}'"),
            })?;
        let all = Bits::all(field);
        let range = range.strip_suffix(']').ok_or_else(|| format!("{text}: missing ] at end"))?;
        let bit = |text: &str| text.parse::<u32>().ok();
        let (from, to) = match range.split_once("..") {
            _ if range.is_empty() => return Ok(all),
            Some((from, to)) => (bit(from), bit(to)),
            None => (bit(range), bit(range)),
        };
        let syntax = || format!("{text}: syntax error expecting [] or [<bit>] or [<start>..<end>]");
        let (from, to) = from.zip(to).ok_or_else(syntax)?;
        if from > to {
            return Err(format!("{text}: starting bit {from} is after ending bit {to}"));
        }
        if to >= all.count {
            let (which, bit) = if from >= all.count { ("starting", from) } else { ("ending", to) };
            return Err(format!(
                "{text}: {which} bit {bit} is not valid because field is only {} bits wide",
                all.count
            ));
        }
        Ok(Bits { field, from, count: to - from + 1 })
    }

    /// The bits, where they stand in the field.
    pub fn mask(self) -> u64 {
        (u64::MAX >> (64 - self.count)) << self.from
    }

    /// As it is written.
    pub fn format(self) -> String {
        let name = self.field.nxm;
        match self.count {
            count if count == Bits::all(self.field).count => format!("{name}[]"),
            1 => format!("{name}[{}]", self.from),
            count => format!("{name}[{}..{}]", self.from, self.from + count - 1),
        }
    }
}

/// Beginnings of the names of fields that can be copied and are not modelled.
const NXM_UNMODELLED: &[&str] = &[
    "NXM_NX_CT_",
    "NXM_NX_IPV6",
    "NXM_NX_IP_",
    "NXM_NX_ND_",
    "NXM_NX_PKT_MARK",
    "NXM_NX_REG",
    "NXM_NX_TUN_",
    "NXM_NX_XXREG",
    "NXM_OF_IN_PORT",
    "NXM_OF_VLAN_TCI",
    "OXM_OF_",
    "ct_",
    "in_port",
    "metadata",
    "pkt_mark",
    "reg",
    "tun_",
    "vlan_",
    "xreg",
    "xxreg",
];

/// Actions that change a field, and the field.
const MOD: [(&str, &str); 8] = [
    ("mod_dl_src", "dl_src"),
    ("mod_dl_dst", "dl_dst"),
    ("mod_nw_src", "nw_src"),
    ("mod_nw_dst", "nw_dst"),
    ("mod_nw_tos", "nw_tos"),
    ("mod_nw_ttl", "nw_ttl"),
    ("mod_tp_src", "tp_src"),
    ("mod_tp_dst", "tp_dst"),
];

/// What Open vSwitch can do and this model cannot yet.
const UNMODELLED: &[&str] = &[
    "bundle",
    "bundle_load",
    "check_pkt_larger",
    "clear_actions",
    "clone",
    "conjunction",
    "controller",
    "ct",
    "ct_clear",
    "debug_recirc",
    "debug_slow",
    "dec_mpls_ttl",
    "dec_nsh_ttl",
    "decap",
    "delete_field",
    "encap",
    "enqueue",
    "exit",
    "fin_timeout",
    "goto_table",
    "learn",
    "meter",
    "mod_nw_ecn",
    "multipath",
    "nat",
    "note",
    "pop",
    "pop_mpls",
    "pop_queue",
    "push",
    "push_mpls",
    "sample",
    "set_mpls_label",
    "set_mpls_tc",
    "set_mpls_ttl",
    "set_queue",
    "unroll_xlate",
    "write_actions",
    "write_metadata",
];

fn mod_of(field: &str) -> Option<&'static str> {
    MOD.iter().find(|row| row.1 == field).map(|row| row.0)
}

fn field(name: &str) -> Option<&'static Field> {
    field::FIELDS.iter().find(|field| field.names.contains(&name))
}

/// Splits actions at commas that stand in no parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0u32, 0);
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' | ' ' | '\t' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.into_iter().filter(|part| !part.is_empty()).collect()
}

/// Reads actions.
pub fn parse(text: &str, ports: &PortNames) -> Result<Vec<OfpAct>, String> {
    let mut acts = Vec::new();
    let parts = split(text);
    for part in &parts {
        if *part == "drop" {
            if parts.len() > 1 {
                return Err("\"drop\" must not be accompanied by any other action or instruction".to_owned());
            }
            return Ok(acts);
        }
        acts.push(one(part, ports)?);
    }
    Ok(acts)
}

fn one(part: &str, ports: &PortNames) -> Result<OfpAct, String> {
    let at = part.find([':', '(', '=']);
    let (name, argument) = at.map_or((part, ""), |at| (&part[..at], &part[at + 1..]));
    let argument = argument.strip_suffix(')').unwrap_or(argument);
    let name = name.to_ascii_lowercase();
    let number = |full: u64| {
        let value = field::number(argument).filter(|value| *value <= full);
        value.ok_or_else(|| {
            format!("{argument}: not a valid {}", if full == 0xfff { "VLAN VID" } else { "number" })
        })
    };
    if let Some(row) = MOD.iter().find(|row| row.0 == name).and_then(|row| field(row.1)) {
        let value = match row.format {
            field::Format::Decimal => number(row.field.full())?,
            _ => row.parse(argument)?.0,
        };
        return Ok(OfpAct::Set(row, value));
    }
    match name.as_str() {
        "output" => output(argument, ports),
        "mod_vlan_vid" | "set_vlan_vid" => Ok(OfpAct::SetVlanVid(number(0xfff)?)),
        "mod_vlan_pcp" | "set_vlan_pcp" => Ok(OfpAct::SetVlanPcp(number(7)?)),
        "strip_vlan" | "pop_vlan" => Ok(OfpAct::StripVlan),
        "push_vlan" => match field::number(argument) {
            Some(tpid @ (0x8100 | 0x88a8)) => Ok(OfpAct::PushVlan(tpid)),
            _ => Err(format!("{argument}: not a valid VLAN ethertype")),
        },
        "set_field" => set_field(argument),
        "resubmit" => resubmit(argument, ports),
        "set_tunnel" | "set_tunnel64" => {
            let id = field::number(argument).ok_or_else(|| format!("invalid numeric format {argument}"))?;
            Ok(OfpAct::SetTunnel(id))
        }
        "load" => load(argument),
        "move" => {
            let (from, to) = argument.split_once("->").ok_or_else(|| format!("{argument}: missing `->'"))?;
            let (source, dest) = (Bits::parse(from)?, writable(Bits::parse(to)?)?);
            if source.count != dest.count {
                return Err(format!(
                    "{argument}: source field is {} bits wide but destination is {} bits wide",
                    source.count, dest.count
                ));
            }
            Ok(OfpAct::Move(source, dest))
        }
        "dec_ttl" if argument.is_empty() => Ok(OfpAct::DecTtl),
        "dec_ttl" => Err("not modelled yet: dec_ttl with controllers".to_owned()),
        "group" => {
            let id = field::number(argument).and_then(|id| u32::try_from(id).ok());
            id.map(OfpAct::Group).ok_or_else(|| format!("invalid numeric format {argument}"))
        }
        _ if UNMODELLED.contains(&name.as_str()) => Err(format!("not modelled yet: action {name}")),
        _ if at.is_none() => output(part, ports).map_err(|_| format!("unknown action {part}")),
        _ => Err(format!("unknown action {name}")),
    }
}

fn output(port: &str, ports: &PortNames) -> Result<OfpAct, String> {
    match ports.parse(port) {
        Some(ports::CONTROLLER) => Err("not modelled yet: action controller".to_owned()),
        Some(port) => Ok(OfpAct::Output(port)),
        None => Err(format!("{port}: output to unknown port")),
    }
}

/// `VALUE->FIELD`.
fn set_field(argument: &str) -> Result<OfpAct, String> {
    let (value, name) = argument.split_once("->").ok_or_else(|| format!("{argument}: missing `->'"))?;
    match name {
        "vlan_vid" => {
            let value = field::number(value).ok_or_else(|| format!("{value}: not a valid VLAN VID"))?;
            Ok(OfpAct::SetVlanVid(value & VID))
        }
        "vlan_pcp" => {
            let value = field::number(value).filter(|value| *value <= 7);
            value.map(OfpAct::SetVlanPcp).ok_or_else(|| format!("{argument}: not a valid priority"))
        }
        _ => {
            let field = field(name).ok_or_else(|| match field::by_name(name) {
                Err(refused) if refused.starts_with("not modelled") => {
                    format!("not modelled yet: set_field {name}")
                }
                _ => format!("{name} is not a valid OXM field name"),
            })?;
            if matches!(field.field, KeyField::EthType | KeyField::IpProto) {
                return Err(format!("{name} is read-only"));
            }
            let (value, mask) = field.parse(value)?;
            if !TUNNEL.contains(&field.field) {
                mod_of(field.names[0])
                    .or(mod_of(field.names[0].replace("tcp_", "tp_").replace("udp_", "tp_").as_str()))
                    .ok_or_else(|| format!("not modelled yet: set_field {name}"))?;
            }
            if mask != field.field.full() {
                return Err(format!("not modelled yet: set_field of some bits of {name}"));
            }
            Ok(OfpAct::Set(field, value))
        }
    }
}

/// Fields of tunnels, which every packet can be given.
const TUNNEL: [KeyField; 3] = [KeyField::TunId, KeyField::TunSrc, KeyField::TunDst];

/// `VALUE->BITS`.
fn load(argument: &str) -> Result<OfpAct, String> {
    let (text, name) = argument.split_once("->").ok_or_else(|| format!("{argument}: missing `->'"))?;
    let bits = writable(Bits::parse(name)?)?;
    let fits = |value: u64, count: u32| count >= 64 || value >> count == 0;
    let whole = Bits::all(bits.field).count.next_multiple_of(8);
    let value = field::number(text).filter(|value| fits(*value, whole));
    let value = value.ok_or_else(|| format!("{argument}: cannot parse integer value"))?;
    if !fits(value, bits.count) {
        return Err(format!("{argument}: value {value:#x} does not fit into {} bits", bits.count));
    }
    Ok(OfpAct::Load(bits, value))
}

/// Bits that can be written.
fn writable(bits: Bits) -> Result<Bits, String> {
    let name = bits.field.names[0];
    match bits.field.field {
        KeyField::EthType | KeyField::IpProto if name != "arp_op" => Err(format!("{name} is read-only")),
        KeyField::ArpSha | KeyField::ArpTha => Err(format!("not modelled yet: write {name}")),
        _ if name.starts_with("arp_") || name.starts_with("icmp_") => {
            Err(format!("not modelled yet: write {name}"))
        }
        _ => Ok(bits),
    }
}

/// `PORT`, or `PORT,TABLE`, each of which may be empty in parentheses.
fn resubmit(argument: &str, ports: &PortNames) -> Result<OfpAct, String> {
    let (port, table) = argument.split_once(',').unwrap_or((argument, ""));
    let port = match port {
        "" => None,
        port => {
            let port = ports.parse(port).ok_or_else(|| format!("{port}: resubmit to unknown port"))?;
            Some(port).filter(|port| *port != ports::IN_PORT)
        }
    };
    let table = match table {
        "" => None,
        table => {
            let parsed = table.parse::<u8>().ok().filter(|table| *table < 254);
            Some(parsed.ok_or_else(|| format!("{table}: resubmit to unknown table"))?)
        }
    };
    if port.is_none() && table.is_none() {
        return Err("at least one \"in_port\" or \"table\" must be specified  on resubmit".to_owned());
    }
    Ok(OfpAct::Resubmit(port, table))
}

impl OfpAct {
    /// As `ovs-ofctl` prints it; `oxm`: of OpenFlow 1.2 and later, whose actions set fields. Of a packet that has no tag a VLAN makes one.
    pub fn format(&self, ports: &PortNames, oxm: Option<bool>) -> String {
        match (self, oxm) {
            (OfpAct::Set(field, value), Some(_)) if field.field == KeyField::IpTos => {
                return format!("set_field:{}->ip_dscp", value >> 2);
            }
            (OfpAct::Set(field, value), Some(_)) if field.field != KeyField::IpTtl => {
                let name = field.names.get(1).filter(|name| **name != "tunnel_id").unwrap_or(&field.names[0]);
                return format!("set_field:{}->{name}", field.value(*value, field.field.full()));
            }
            (OfpAct::SetTunnel(id), Some(_)) => return format!("set_field:{id:#x}->tun_id"),
            (OfpAct::StripVlan, Some(_)) => return "pop_vlan".to_owned(),
            (OfpAct::SetVlanVid(vid), Some(has_tag)) => {
                let push = if has_tag { "" } else { "push_vlan:0x8100," };
                return format!("{push}set_field:{}->vlan_vid", vid | VLAN_CFI);
            }
            (OfpAct::SetVlanPcp(pcp), Some(has_tag)) => {
                let push = if has_tag { "" } else { "push_vlan:0x8100," };
                return format!("{push}set_field:{pcp}->vlan_pcp");
            }
            _ => {}
        }
        match self {
            OfpAct::Output(port) if *port < ports::MAX => format!("output:{}", ports.name(*port)),
            OfpAct::Output(port) => ports::number(*port),
            OfpAct::Set(field, value) if TUNNEL.contains(&field.field) => {
                format!("load:{value:#x}->{}[]", field.nxm)
            }
            OfpAct::Set(field, value) => {
                let name = field.names[0].replace("tcp_", "tp_").replace("udp_", "tp_");
                format!("mod_{name}:{}", field.value(*value, field.field.full()))
            }
            OfpAct::SetVlanVid(vid) => format!("mod_vlan_vid:{vid}"),
            OfpAct::SetVlanPcp(pcp) => format!("mod_vlan_pcp:{pcp}"),
            OfpAct::StripVlan => "strip_vlan".to_owned(),
            OfpAct::PushVlan(tpid) => format!("push_vlan:{tpid:#06x}"),
            OfpAct::SetTunnel(id @ 0..=0xffff_ffff) => format!("set_tunnel:{id:#x}"),
            OfpAct::SetTunnel(id) => format!("set_tunnel64:{id:#x}"),
            OfpAct::Load(bits, value) => format!("load:{value:#x}->{}", bits.format()),
            OfpAct::Move(from, to) => format!("move:{}->{}", from.format(), to.format()),
            OfpAct::DecTtl => "dec_ttl".to_owned(),
            OfpAct::Group(id) => format!("group:{id}"),
            OfpAct::Resubmit(Some(port), None) => format!("resubmit:{}", ports.name(*port)),
            OfpAct::Resubmit(port, table) => {
                let port = port.map_or_else(String::new, |port| ports.name(port));
                let table = table.map_or_else(String::new, |table| table.to_string());
                format!("resubmit({port},{table})")
            }
        }
    }
}

/// All actions of a flow; `oxm`: of OpenFlow 1.2 and later, and whether packets have a tag.
pub fn format(acts: &[OfpAct], ports: &PortNames, oxm: Option<bool>) -> String {
    let mut has_tag = oxm;
    let mut shown = Vec::new();
    for act in acts {
        shown.push(act.format(ports, has_tag));
        match act {
            OfpAct::SetVlanVid(_) | OfpAct::SetVlanPcp(_) | OfpAct::PushVlan(_) => {
                has_tag = oxm.map(|_| true)
            }
            OfpAct::StripVlan => has_tag = oxm.map(|_| false),
            _ => {}
        }
    }
    if shown.is_empty() { "drop".to_owned() } else { shown.join(",") }
}

/// A packet's tag with another VLAN or priority.
pub fn with_vlan(key: &mut SwFlowKey, vid: Option<u64>, pcp: Option<u64>) {
    let tci = &mut key[KeyField::VlanTci];
    if let Some(vid) = vid {
        *tci = *tci & !VID | vid;
    }
    if let Some(pcp) = pcp {
        *tci = *tci & !PCP | pcp << PCP_SHIFT;
    }
    *tci |= VLAN_CFI;
}
