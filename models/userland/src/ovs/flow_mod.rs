//! A flow as it is written on the command line: match, settings and actions.

use super::actions::{self, OfpAct};
use super::field;
use super::matching::Match;
use super::ofproto::DEFAULT_PRIORITY;
use super::ports::{self, PortNames};

/// What a command says of a flow, or of several.
#[derive(Clone, Debug)]
pub struct FlowMod {
    /// Which packets.
    pub matching: Match,
    /// How the match was written, where parts of it do not count.
    pub written: Option<Match>,
    /// The table, if it is said.
    pub table: Option<u8>,
    /// The priority.
    pub priority: u16,
    /// The cookie, and which of its bits are asked for.
    pub cookie: (u64, u64),
    /// Seconds without a packet after which it goes.
    pub idle_timeout: u16,
    /// Seconds after which it goes.
    pub hard_timeout: u16,
    /// Only flows with this action (`out_port`).
    pub out_port: Option<u32>,
    /// What is done, if it is said.
    pub acts: Option<Vec<OfpAct>>,
}

/// Settings that are not modelled.
const UNMODELLED: &[&str] = &[
    "allow_hidden_fields",
    "check_overlap",
    "duration",
    "importance",
    "no_packet_counts",
    "no_byte_counts",
    "out_group",
    "reset_counts",
    "send_flow_rem",
];

impl FlowMod {
    /// Reads a flow.
    pub fn parse(text: &str, ports: &PortNames) -> Result<FlowMod, String> {
        let mut flow = FlowMod {
            matching: Match::default(),
            written: None,
            table: None,
            priority: DEFAULT_PRIORITY,
            cookie: (0, 0),
            idle_timeout: 0,
            hard_timeout: 0,
            out_port: None,
            acts: None,
        };
        let (head, acts) = match text.find("actions=").or_else(|| text.find("action=")) {
            Some(at) => {
                let (head, rest) = text.split_at(at);
                (head, Some(rest.split_once('=').map_or("", |(_, acts)| acts)))
            }
            None => (text, None),
        };
        for part in head.split([',', ' ', '\t', '\n']).filter(|part| !part.is_empty()) {
            let (name, value) =
                part.split_once('=').map_or((part, None), |(name, value)| (name, Some(value)));
            flow.take(name, value, ports)?;
        }
        flow.written = flow.matching.normalize();
        flow.acts = acts.map(|acts| actions::parse(acts, ports)).transpose()?;
        Ok(flow)
    }

    fn take(&mut self, name: &str, value: Option<&str>, ports: &PortNames) -> Result<(), String> {
        let number = |what: &str, most: u64| {
            let text = value.unwrap_or("");
            let number = field::number(text).filter(|number| *number <= most);
            number.ok_or_else(|| format!("invalid {what} \"{text}\""))
        };
        match name {
            "table" => {
                let text = value.unwrap_or("");
                let table = text.parse::<u8>().map_err(|_| format!("unknown table \"{text}\""))?;
                self.table = Some(table).filter(|table| *table != 255);
            }
            "priority" => self.priority = number("priority", 0xffff)? as u16,
            "idle_timeout" => self.idle_timeout = number("idle_timeout", 0xffff)? as u16,
            "hard_timeout" => self.hard_timeout = number("hard_timeout", 0xffff)? as u16,
            "cookie" => {
                let (cookie, mask) =
                    value.unwrap_or("").split_once('/').unwrap_or((value.unwrap_or(""), "0"));
                let one = |text: &str| match text {
                    "-1" => Some(u64::MAX),
                    text => field::number(text),
                };
                let wrong = || format!("invalid cookie \"{cookie}\"");
                self.cookie = (one(cookie).ok_or_else(wrong)?, one(mask).ok_or_else(wrong)?);
            }
            "out_port" => {
                let text = value.unwrap_or("");
                let port = ports.parse(text).ok_or_else(|| format!("{text} is not a valid OpenFlow port"))?;
                self.out_port = Some(port);
            }
            _ if UNMODELLED.contains(&name) => return Err(format!("not modelled yet: {name}")),
            _ => {
                if !self.matching.take(name, value, ports)? {
                    return Err(match value {
                        None => format!("field {name} missing value"),
                        Some(_) => format!("unknown keyword {name}"),
                    });
                }
            }
        }
        Ok(())
    }

    /// A flow's actions send to the port that is asked for, if one is.
    pub fn has_out_port(&self, acts: &[OfpAct]) -> bool {
        self.out_port.is_none_or(|port| acts.contains(&OfpAct::Output(port)))
    }
}

/// A time as OpenFlow prints it: no more digits than it has.
pub fn seconds(nanos: u64) -> String {
    let millis = nanos / 1_000_000;
    let fraction = format!("{:03}", millis % 1000);
    let fraction = fraction.trim_end_matches('0');
    match fraction {
        "" => (millis / 1000).to_string(),
        fraction => format!("{}.{fraction}", millis / 1000),
    }
}

/// The port of a description of flows that a number or a name means, for errors.
pub fn port_of(text: &str, ports: &PortNames) -> Result<u32, String> {
    let port = ports.parse(text).filter(|port| *port < ports::MAX || *port == ports::LOCAL);
    port.ok_or_else(|| format!("{text}: unknown port"))
}
