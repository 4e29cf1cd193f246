//! Groups of a bridge: lists of actions of which all, the first or one that works is done.
//!
//! Not modelled: `select`, whose choice is a hash with a recirculation; properties; buckets by number.

use glassnet_sim::Nanos;

use super::actions::{self, OfpAct};
use super::field;
use super::ports::PortNames;

/// Which buckets of a group are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupType {
    /// All of them, each with the packet as it came.
    All,
    /// The only one.
    Indirect,
    /// The first whose port works.
    FastFailover,
}

/// Words for them.
const TYPES: [(&str, GroupType); 4] = [
    ("all", GroupType::All),
    ("indirect", GroupType::Indirect),
    ("ff", GroupType::FastFailover),
    ("fast_failover", GroupType::FastFailover),
];

/// Actions of a group.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// It works if this port does.
    pub watch_port: Option<u32>,
    /// What is done.
    pub acts: Vec<OfpAct>,
    /// Packets and bytes.
    pub counted: (u64, u64),
}

/// A group.
#[derive(Clone, Debug)]
pub struct Group {
    /// Which buckets are done.
    pub kind: GroupType,
    /// The buckets.
    pub buckets: Vec<Bucket>,
    /// Since when it is there.
    pub created: Nanos,
    /// Packets and bytes.
    pub counted: (u64, u64),
}

/// What a command says of a group: `group_id=N,type=T,bucket=…,bucket=…`; `None` for all.
pub struct GroupMod {
    /// Its number.
    pub id: Option<u32>,
    /// What it is to be.
    pub group: Option<Group>,
}

impl GroupMod {
    /// Reads a group.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str, ports: &PortNames, now: Nanos) -> Result<GroupMod, String> {
        let (head, buckets) = match text.find("bucket=") {
            Some(at) => (&text[..at], &text[at..]),
            None => (text, ""),
        };
        let (mut id, mut kind) = (None, None);
        for part in head.split([',', ' ', '\t']).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match name {
                "group_id" if value == "all" => {}
                "group_id" => {
                    let number =
                        field::number(value).ok_or_else(|| format!("invalid numeric format {value}"))?;
                    let number = u32::try_from(number).ok().filter(|id| *id <= 0xffff_ff00);
                    id = Some(number.ok_or_else(|| format!("invalid group id {value}"))?);
                }
                "type" if value == "select" => return Err("not modelled yet: group type select".to_owned()),
                "type" => {
                    let found = TYPES.iter().find(|row| row.0 == value).map(|row| row.1);
                    kind = Some(found.ok_or_else(|| format!("invalid group type {value}"))?);
                }
                "selection_method" | "selection_method_param" | "fields" | "command_bucket_id" => {
                    return Err(format!("not modelled yet: {name}"));
                }
                _ => return Err(format!("unknown keyword {name}")),
            }
        }
        let buckets = buckets.split("bucket=").filter(|text| !text.is_empty());
        let buckets = buckets.map(|text| bucket(text, ports)).collect::<Result<Vec<_>, _>>()?;
        if kind == Some(GroupType::Indirect) && buckets.len() > 1 {
            return Err("Indirect groups can have at most one bucket.".to_owned());
        }
        let group = kind.map(|kind| Group { kind, buckets, created: now, counted: (0, 0) });
        Ok(GroupMod { id, group })
    }
}

/// `[watch_port:PORT,][actions=]ACTIONS`.
fn bucket(text: &str, ports: &PortNames) -> Result<Bucket, String> {
    let mut rest = text.trim_end_matches([',', ' ']);
    let mut watch_port = None;
    while let Some((name, value)) = rest.split(',').next().and_then(|part| part.split_once([':', '='])) {
        match name {
            "watch_port" => {
                let port = ports.parse(value).filter(|port| *port < super::ports::MAX);
                watch_port = Some(port.ok_or_else(|| format!("{value}: invalid watch_port"))?);
            }
            "weight" | "bucket_id" | "watch_group" => return Err(format!("not modelled yet: {name}")),
            _ => break,
        }
        rest = rest.split_once(',').map_or("", |(_, rest)| rest);
    }
    let rest = rest.strip_prefix("actions=").or(rest.strip_prefix("actions:")).unwrap_or(rest);
    Ok(Bucket { watch_port, acts: actions::parse(rest, ports)?, counted: (0, 0) })
}

impl Group {
    /// As `dump-groups` prints it; `oxm` as for actions: without, buckets have numbers.
    pub fn format(&self, id: u32, oxm: Option<bool>, ports: &PortNames) -> String {
        let kind = TYPES.iter().find(|row| row.1 == self.kind).map_or("", |row| row.0);
        let mut text = format!(" group_id={id},type={kind}");
        for (at, bucket) in self.buckets.iter().enumerate() {
            text += ",bucket=";
            if oxm.is_none() {
                text += &format!("bucket_id:{at},");
            }
            if let Some(port) = bucket.watch_port {
                text += &format!("watch_port:{},", ports.name(port));
            }
            text += &format!("actions={}", actions::format(&bucket.acts, ports, oxm));
        }
        text + "\n"
    }
}
