//! What an OpenFlow flow does: read and printed as `ovs-ofctl` does.

use glassnet_kernel::tables::openvswitch::flow::{KeyField, SwFlowKey, VLAN_CFI};

use super::field::{self, Field};
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
}

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
    "dec_ttl",
    "dec_nsh_ttl",
    "decap",
    "delete_field",
    "encap",
    "enqueue",
    "exit",
    "fin_timeout",
    "goto_table",
    "group",
    "learn",
    "load",
    "meter",
    "move",
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
    "set_tunnel",
    "set_tunnel64",
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
            mod_of(field.names[0])
                .or(mod_of(field.names[0].replace("tcp_", "tp_").replace("udp_", "tp_").as_str()))
                .ok_or_else(|| format!("not modelled yet: set_field {name}"))?;
            let (value, mask) = field.parse(value)?;
            if mask != field.field.full() {
                return Err(format!("not modelled yet: set_field of some bits of {name}"));
            }
            Ok(OfpAct::Set(field, value))
        }
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
    /// As `ovs-ofctl` prints it.
    pub fn format(&self, ports: &PortNames) -> String {
        match self {
            OfpAct::Output(port) if *port < ports::MAX => format!("output:{}", ports.name(*port)),
            OfpAct::Output(port) => ports::number(*port),
            OfpAct::Set(field, value) => {
                let name = field.names[0].replace("tcp_", "tp_").replace("udp_", "tp_");
                format!("mod_{name}:{}", field.value(*value, field.field.full()))
            }
            OfpAct::SetVlanVid(vid) => format!("mod_vlan_vid:{vid}"),
            OfpAct::SetVlanPcp(pcp) => format!("mod_vlan_pcp:{pcp}"),
            OfpAct::StripVlan => "strip_vlan".to_owned(),
            OfpAct::PushVlan(tpid) => format!("push_vlan:{tpid:#06x}"),
            OfpAct::Resubmit(Some(port), None) => format!("resubmit:{}", ports.name(*port)),
            OfpAct::Resubmit(port, table) => {
                let port = port.map_or_else(String::new, |port| ports.name(port));
                let table = table.map_or_else(String::new, |table| table.to_string());
                format!("resubmit({port},{table})")
            }
        }
    }
}

/// All actions of a flow.
pub fn format(acts: &[OfpAct], ports: &PortNames) -> String {
    match acts {
        [] => "drop".to_owned(),
        acts => acts.iter().map(|act| act.format(ports)).collect::<Vec<_>>().join(","),
    }
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
