//! The database of Open vSwitch, as far as `ovs-vswitchd` heeds it here: which bridges, ports and interfaces there are.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// One of these words.
    Enum(&'static [&'static str]),
    /// A number from here to there.
    Integer(i64, i64),
}

/// How many values a column has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One.
    One,
    /// One or none.
    Optional,
    /// Any number.
    Set,
    /// Values by keys.
    Map,
}

/// A column.
#[derive(Debug)]
pub struct Column {
    /// Its table.
    pub table: Table,
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub kind: Kind,
    /// How many.
    pub shape: Shape,
    /// A user may change it.
    pub is_config: bool,
}

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// The switch as a whole.
    OpenVSwitch,
    /// Bridges.
    Bridge,
    /// Ports.
    Port,
    /// Interfaces.
    Interface,
}

impl Table {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Table::OpenVSwitch => "Open_vSwitch",
            Table::Bridge => "Bridge",
            Table::Port => "Port",
            Table::Interface => "Interface",
        }
    }

    /// A table by its name in any case, or the beginning of it.
    pub fn parse(name: &str) -> Result<Table, String> {
        const ALL: [Table; 4] = [Table::OpenVSwitch, Table::Bridge, Table::Port, Table::Interface];
        const OTHERS: &[&str] = &[
            "AutoAttach",
            "CT_Timeout_Policy",
            "CT_Zone",
            "Controller",
            "Datapath",
            "Flow_Sample_Collector_Set",
            "Flow_Table",
            "IPFIX",
            "Manager",
            "Mirror",
            "NetFlow",
            "QoS",
            "Queue",
            "SSL",
            "sFlow",
        ];
        let plain = |name: &str| name.to_ascii_lowercase().replace('-', "_");
        let wanted = plain(name);
        let found = ALL.into_iter().find(|table| plain(table.name()).starts_with(&wanted));
        found.ok_or_else(|| match OTHERS.iter().find(|other| plain(other).starts_with(&wanted)) {
            Some(other) => format!("not modelled yet: table {other}"),
            None => format!("unknown table \"{name}\""),
        })
    }
}

const VID: Kind = Kind::Integer(0, 4095);
const VLAN_MODES: &[&str] = &["access", "dot1q-tunnel", "native-tagged", "native-untagged", "trunk"];

const fn column(table: Table, name: &'static str, kind: Kind, shape: Shape, is_config: bool) -> Column {
    Column { table, name, kind, shape, is_config }
}

/// The columns that are modelled.
#[rustfmt::skip] // A line a column.
const COLUMNS: &[Column] = &[
    column(Table::OpenVSwitch, "external_ids", Kind::Text, Shape::Map, true),
    column(Table::OpenVSwitch, "ovs_version", Kind::Text, Shape::Optional, false),
    column(Table::Bridge, "datapath_id", Kind::Text, Shape::Optional, false),
    column(Table::Bridge, "external_ids", Kind::Text, Shape::Map, true),
    column(Table::Bridge, "fail_mode", Kind::Enum(&["secure", "standalone"]), Shape::Optional, true),
    column(Table::Bridge, "name", Kind::Text, Shape::One, false),
    column(Table::Bridge, "other_config", Kind::Text, Shape::Map, true),
    column(Table::Port, "external_ids", Kind::Text, Shape::Map, true),
    column(Table::Port, "name", Kind::Text, Shape::One, false),
    column(Table::Port, "tag", VID, Shape::Optional, true),
    column(Table::Port, "trunks", VID, Shape::Set, true),
    column(Table::Port, "vlan_mode", Kind::Enum(VLAN_MODES), Shape::Optional, true),
    column(Table::Interface, "error", Kind::Text, Shape::Optional, false),
    column(Table::Interface, "external_ids", Kind::Text, Shape::Map, true),
    column(Table::Interface, "mac_in_use", Kind::Text, Shape::Optional, false),
    column(Table::Interface, "mtu", Kind::Integer(0, i64::MAX), Shape::Optional, false),
    column(Table::Interface, "name", Kind::Text, Shape::One, false),
    column(Table::Interface, "ofport", Kind::Integer(-1, i64::MAX), Shape::Optional, false),
    column(Table::Interface, "ofport_request", Kind::Integer(1, 65279), Shape::Optional, true),
    column(Table::Interface, "options", Kind::Text, Shape::Map, true),
    column(Table::Interface, "type", Kind::Text, Shape::One, true),
];

/// Columns that are there and not modelled, by table.
const UNMODELLED: &[(Table, &str)] = &[
    (
        Table::OpenVSwitch,
        "bridges cur_cfg datapath_types datapaths db_version dpdk_initialized dpdk_version iface_types manager_options \
         next_cfg other_config ssl statistics system_type system_version _uuid",
    ),
    (
        Table::Bridge,
        "auto_attach controller datapath_type datapath_version flood_vlans flow_tables ipfix mcast_snooping_enable mirrors \
         netflow ports protocols rstp_enable rstp_status sflow status stp_enable _uuid",
    ),
    (
        Table::Port,
        "bond_active_slave bond_downdelay bond_fake_iface bond_mode bond_updelay cvlans fake_bridge interfaces lacp mac \
         other_config protected qos rstp_statistics rstp_status statistics status _uuid",
    ),
    (
        Table::Interface,
        "admin_state bfd bfd_status cfm_fault cfm_fault_status cfm_flap_count cfm_health cfm_mpid cfm_remote_mpids \
         cfm_remote_opstate duplex ifindex ingress_policing_burst ingress_policing_kpkts_burst \
         ingress_policing_kpkts_rate ingress_policing_rate lacp_current link_resets link_speed link_state lldp mac \
         mtu_request other_config statistics status _uuid",
    ),
];

impl Column {
    /// A column by name.
    pub fn parse(table: Table, name: &str) -> Result<&'static Column, String> {
        let wanted = name.to_ascii_lowercase().replace('-', "_");
        let found = COLUMNS.iter().find(|column| column.table == table && column.name == wanted);
        let others = UNMODELLED.iter().find(|row| row.0 == table).map_or("", |row| row.1);
        found.ok_or_else(|| match others.split_whitespace().any(|other| other == wanted) {
            true => format!("not modelled yet: column {wanted} in table {}", table.name()),
            false => {
                format!("{} does not contain a column whose name matches \"{name}\"", table.name())
            }
        })
    }

    /// A value may stand in the column.
    fn check(&self, value: &str) -> Result<(), String> {
        match self.kind {
            Kind::Text => Ok(()),
            Kind::Enum(words) if words.contains(&value) => Ok(()),
            Kind::Enum(words) => {
                let all = format!("{{{}}}", words.join(", "));
                Err(format!("constraint violation: {value} is not one of the allowed values ({all})"))
            }
            Kind::Integer(from, to) => {
                let number: i64 = value.parse().map_err(|_| format!("\"{value}\" is not a valid integer"))?;
                if (from..=to).contains(&number) {
                    return Ok(());
                }
                Err(format!(
                    "constraint violation: {number} is not in the valid range {from} to {to} (inclusive)"
                ))
            }
        }
    }

    /// Reads values from the command line.
    pub fn values(&self, text: &str) -> Result<Value, String> {
        let text = text.trim();
        let inner = text.strip_prefix(['[', '{']).map_or(text, |rest| rest.trim_end_matches([']', '}']));
        if self.shape == Shape::Map {
            let pairs = inner.split(',').filter(|pair| !pair.trim().is_empty());
            let pair = |pair: &str| {
                let (key, value) =
                    pair.split_once('=').ok_or_else(|| format!("{pair}: syntax error at end of input"))?;
                Ok((unquoted(key), unquoted(value)))
            };
            return Ok(Value::Map(pairs.map(pair).collect::<Result<_, String>>()?));
        }
        let words: Vec<String> = match self.shape {
            Shape::One => vec![unquoted(inner)],
            _ => inner.split(',').map(unquoted).filter(|word| !word.is_empty()).collect(),
        };
        if self.shape == Shape::Optional && words.len() > 1 {
            return Err(format!("{text}: {} value(s) specified but the maximum number is 1", words.len()));
        }
        words.iter().try_for_each(|word| self.check(word))?;
        let mut words = words;
        if matches!(self.kind, Kind::Integer(..)) {
            words.sort_by_key(|word| word.parse::<i64>().unwrap_or_default());
        }
        words.dedup();
        Ok(Value::Set(words))
    }
}

fn unquoted(text: &str) -> String {
    let text = text.trim();
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).to_owned()
}

/// What a row has in a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Values.
    Set(Vec<String>),
    /// Values by keys.
    Map(BTreeMap<String, String>),
}

/// Text as the database prints it: in quotes unless it looks like a word.
fn quoted(text: &str) -> String {
    let mut letters = text.chars();
    let is_word = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || "_-.".contains(letter))
        && !["true", "false"].contains(&text);
    if is_word { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\\\"").replace('\n', "\\n")) }
}

impl Value {
    /// As tools print it.
    pub fn format(&self, column: &Column) -> String {
        let one = |value: &String| match column.kind {
            Kind::Integer(..) => value.clone(),
            _ => quoted(value),
        };
        match self {
            Value::Set(values) if values.len() == 1 => one(&values[0]),
            Value::Set(values) => format!("[{}]", values.iter().map(one).collect::<Vec<_>>().join(", ")),
            Value::Map(map) => {
                let pair = |(key, value): (&String, &String)| format!("{}={}", quoted(key), quoted(value));
                format!("{{{}}}", map.iter().map(pair).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// A row.
#[derive(Clone, Debug, Default)]
pub struct Row {
    values: BTreeMap<&'static str, Value>,
}

impl Row {
    /// A row with a name.
    pub fn named(name: &str) -> Row {
        let mut row = Row::default();
        row.put("name", Some(name.to_owned()));
        row
    }

    /// What stands in a column.
    pub fn get(&self, column: &Column) -> Value {
        let empty = || match column.shape {
            Shape::Map => Value::Map(BTreeMap::new()),
            Shape::One => Value::Set(vec![String::new()]),
            Shape::Optional | Shape::Set => Value::Set(Vec::new()),
        };
        self.values.get(column.name).cloned().unwrap_or_else(empty)
    }

    /// Writes a column.
    pub fn set(&mut self, column: &Column, value: Value) {
        self.values.insert(column.name, value);
    }

    /// The one value of a column.
    pub fn one(&self, column: &str) -> Option<&str> {
        match self.values.get(column)? {
            Value::Set(values) => values.first().map(String::as_str).filter(|value| !value.is_empty()),
            Value::Map(_) => None,
        }
    }

    /// All values of a column.
    pub fn all(&self, column: &str) -> &[String] {
        match self.values.get(column) {
            Some(Value::Set(values)) => values,
            _ => &[],
        }
    }

    /// The pairs of a column.
    pub fn map(&self, column: &str) -> BTreeMap<String, String> {
        match self.values.get(column) {
            Some(Value::Map(map)) => map.clone(),
            _ => BTreeMap::new(),
        }
    }

    /// Writes the one value of a column, or none.
    pub fn put(&mut self, column: &'static str, value: Option<String>) {
        self.values.insert(column, Value::Set(value.into_iter().collect()));
    }
}

/// A port with its interface; several interfaces would be a bond.
#[derive(Clone, Debug, Default)]
pub struct PortRow {
    /// The row in `Port`.
    pub port: Row,
    /// The row in `Interface`.
    pub interface: Row,
}

/// A bridge with its ports.
#[derive(Clone, Debug, Default)]
pub struct BridgeRow {
    /// The row in `Bridge`.
    pub bridge: Row,
    /// Its ports, in the order in which they were added.
    pub ports: Vec<(String, PortRow)>,
}

/// The database.
#[derive(Clone, Debug, Default)]
pub struct Db {
    /// The switch as a whole.
    pub root: Row,
    /// Its identifier.
    pub uuid: String,
    /// Bridges, in the order in which they were added.
    pub bridges: Vec<(String, BridgeRow)>,
}

impl Db {
    /// A bridge by name.
    pub fn bridge(&self, name: &str) -> Option<&BridgeRow> {
        self.bridges.iter().find(|row| row.0 == name).map(|row| &row.1)
    }

    /// The same, to change it.
    pub fn bridge_mut(&mut self, name: &str) -> Option<&mut BridgeRow> {
        self.bridges.iter_mut().find(|row| row.0 == name).map(|row| &mut row.1)
    }

    /// The bridge that has a port.
    pub fn bridge_of(&self, port: &str) -> Option<&str> {
        let has = |row: &&(String, BridgeRow)| row.1.ports.iter().any(|other| other.0 == port);
        self.bridges.iter().find(has).map(|row| row.0.as_str())
    }

    /// A port by name.
    pub fn port(&self, name: &str) -> Option<&PortRow> {
        let ports = self.bridges.iter().flat_map(|row| row.1.ports.iter());
        ports.into_iter().find(|port| port.0 == name).map(|port| &port.1)
    }

    /// The same, to change it.
    pub fn port_mut(&mut self, name: &str) -> Option<&mut PortRow> {
        let ports = self.bridges.iter_mut().flat_map(|row| row.1.ports.iter_mut());
        ports.into_iter().find(|port| port.0 == name).map(|port| &mut port.1)
    }

    /// A row of a table, by name.
    pub fn row_mut(&mut self, table: Table, name: &str) -> Option<&mut Row> {
        match table {
            Table::OpenVSwitch => (name == ".").then_some(&mut self.root),
            Table::Bridge => self.bridge_mut(name).map(|row| &mut row.bridge),
            Table::Port => self.port_mut(name).map(|row| &mut row.port),
            Table::Interface => self.port_mut(name).map(|row| &mut row.interface),
        }
    }

    /// All rows of a table.
    pub fn rows(&self, table: Table) -> Vec<&Row> {
        let ports = self.bridges.iter().flat_map(|row| &row.1.ports);
        match table {
            Table::OpenVSwitch => vec![&self.root],
            Table::Bridge => self.bridges.iter().map(|row| &row.1.bridge).collect(),
            Table::Port => ports.map(|row| &row.1.port).collect(),
            Table::Interface => ports.map(|row| &row.1.interface).collect(),
        }
    }

    /// What `ovs-vsctl show` prints.
    pub fn show(&self) -> String {
        let mut text = format!("{}\n", self.uuid);
        let line = |text: &mut String, indent: usize, row: &Row, name: &str, table: Table| {
            let Ok(column) = Column::parse(table, name) else { return };
            let value = row.get(column);
            let is_empty = match &value {
                Value::Set(values) => values.iter().all(String::is_empty),
                Value::Map(map) => map.is_empty(),
            };
            if !is_empty {
                let _ = writeln!(text, "{:indent$}{name}: {}", "", value.format(column));
            }
        };
        for (name, row) in &self.bridges {
            let _ = writeln!(text, "    Bridge {}", quoted(name));
            line(&mut text, 8, &row.bridge, "fail_mode", Table::Bridge);
            for (name, row) in &row.ports {
                let _ = writeln!(text, "        Port {}", quoted(name));
                line(&mut text, 12, &row.port, "tag", Table::Port);
                line(&mut text, 12, &row.port, "trunks", Table::Port);
                let _ = writeln!(text, "            Interface {}", quoted(name));
                for column in ["type", "options", "error"] {
                    line(&mut text, 16, &row.interface, column, Table::Interface);
                }
            }
        }
        line(&mut text, 4, &self.root, "ovs_version", Table::OpenVSwitch);
        text
    }
}
