//! `ovs-vsctl` 3.1.0: changes the database, and waits until `ovs-vswitchd` has done what it says now.
//!
//! Not modelled: other databases, bonds, mirrors, QoS, controllers, managers, fake bridges; rows by UUID.

use super::ovsdb::{BridgeRow, Column, Db, PortRow, Row, Shape, Table, Value};
use super::vswitchd::{SOCKET, Vswitchd, ask};
use crate::process::{Process, Running};
use crate::stop::{Done, Stop};

/// A command with its options.
#[derive(Clone, Debug)]
struct Command {
    options: Vec<String>,
    name: String,
    args: Vec<String>,
}

/// Commands: how many arguments each takes.
const COMMANDS: &[(&str, usize, usize)] = &[
    ("add", 4, usize::MAX),
    ("add-br", 1, 3),
    ("add-port", 2, usize::MAX),
    ("br-exists", 1, 1),
    ("clear", 3, usize::MAX),
    ("del-br", 1, 1),
    ("del-fail-mode", 1, 1),
    ("del-port", 1, 2),
    ("find", 1, usize::MAX),
    ("get", 2, usize::MAX),
    ("get-fail-mode", 1, 1),
    ("iface-to-br", 1, 1),
    ("init", 0, 0),
    ("list", 1, usize::MAX),
    ("list-br", 0, 0),
    ("list-ifaces", 1, 1),
    ("list-ports", 1, 1),
    ("port-to-br", 1, 1),
    ("remove", 4, usize::MAX),
    ("set", 3, usize::MAX),
    ("set-fail-mode", 2, 2),
    ("show", 0, 0),
];

/// Commands that are not modelled.
const UNMODELLED: &[&str] = &[
    "add-aa-mapping",
    "add-bond",
    "add-bond-iface",
    "add-zone-tp",
    "br-get-external-id",
    "br-set-external-id",
    "br-to-parent",
    "br-to-vlan",
    "comment",
    "create",
    "del-aa-mapping",
    "del-bond-iface",
    "del-controller",
    "del-manager",
    "del-ssl",
    "del-zone-tp",
    "destroy",
    "emer-reset",
    "get-aa-mapping",
    "get-controller",
    "get-manager",
    "get-ssl",
    "list-dp-cap",
    "list-zone-tp",
    "set-controller",
    "set-manager",
    "set-ssl",
    "wait-until",
];

/// Types of interfaces that are not modelled.
const TUNNELS: &[&str] = &[
    "bareudp",
    "dpdk",
    "dpdkvhostuser",
    "dpdkvhostuserclient",
    "erspan",
    "gtpu",
    "ip6erspan",
    "ip6gre",
    "lisp",
    "srv6",
    "stt",
    "tap",
];

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let commands = match parse(process.args()) {
            Ok(commands) => commands,
            Err(stop) => return stop.say(process),
        };
        match ask(process, move |daemon, cx| daemon.transact(cx, &commands)).await {
            Some(stop) => stop.say(process),
            None => {
                let text = format!("unix:{SOCKET}: database connection failed (No such file or directory)");
                fatal(text).say(process)
            }
        }
    })
}

fn fatal(text: impl AsRef<str>) -> Stop {
    Stop::error(1, format!("ovs-vsctl: {}\n", text.as_ref()))
}

/// Options of the program, and then commands between `--`.
fn parse(args: &[String]) -> Done<Vec<Command>> {
    let mut args = args.iter().map(String::as_str).peekable();
    while let Some(option) = args.peek().copied().filter(|arg| arg.starts_with('-') && *arg != "--") {
        if is_command_option(option) {
            break;
        }
        args.next();
        match option {
            "-V" | "--version" => {
                return Err(Stop::shown("ovs-vsctl (Open vSwitch) 3.1.0\nDB Schema 8.3.1\n"));
            }
            // The daemon has done all when the command ends, whether it waits or not.
            "--no-wait" => {}
            "-t" => _ = args.next(),
            _ if option.starts_with("--timeout=") => {}
            "-h" | "--help" | "--dry-run" | "--oneline" | "--retry" | "--no-syslog" => {
                return Err(fatal(format!("not modelled yet: option {option}")));
            }
            _ if option.starts_with("--db=")
                || option.starts_with("--format=")
                || option.starts_with("-v") =>
            {
                return Err(fatal(format!("not modelled yet: option {option}")));
            }
            _ => return Err(fatal(format!("unrecognized option '{option}'"))),
        }
    }
    let words: Vec<&str> = args.collect();
    let parts = words.split(|word| *word == "--").filter(|part| !part.is_empty());
    let commands = parts.map(command).collect::<Done<Vec<Command>>>()?;
    if commands.is_empty() {
        return Err(fatal("missing command name (use --help for help)"));
    }
    Ok(commands)
}

fn is_command_option(option: &str) -> bool {
    ["--may-exist", "--if-exists"].contains(&option)
        || ["--id=", "--columns=", "--all", "--with-iface", "--fake-iface"]
            .iter()
            .any(|known| option.starts_with(known))
}

fn command(words: &[&str]) -> Done<Command> {
    let count = words.iter().take_while(|word| word.starts_with("--")).count();
    let options: Vec<String> = words[..count].iter().map(|word| (*word).to_owned()).collect();
    let Some(name) = words.get(count) else {
        return Err(fatal("missing command name (use --help for help)"));
    };
    let args: Vec<String> = words[count + 1..].iter().map(|word| (*word).to_owned()).collect();
    let Some((_, least, most)) = COMMANDS.iter().find(|row| row.0 == *name) else {
        return Err(match UNMODELLED.contains(name) {
            true => fatal(format!("not modelled yet: command {name}")),
            false => fatal(format!("unknown command '{name}'; use --help for help")),
        });
    };
    let takes = |option: &str| match *name {
        "add-br" | "add-port" => option == "--may-exist",
        "del-br" | "del-port" | "get" | "set" | "clear" | "remove" => option == "--if-exists",
        "list" | "find" => option == "--if-exists" && *name == "list" || option.starts_with("--columns="),
        _ => false,
    };
    if let Some(option) = options.iter().find(|option| !takes(option)) {
        return Err(fatal(format!("'{name}' command has no '{option}' option")));
    }
    if args.len() < *least {
        return Err(fatal(format!("'{name}' command requires at least {least} arguments")));
    }
    if args.len() > *most {
        return Err(fatal(format!("'{name}' command takes at most {most} arguments")));
    }
    Ok(Command { options, name: (*name).to_owned(), args })
}

impl Vswitchd {
    /// Does all commands, or none.
    fn transact(&mut self, cx: &mut glassnet_kernel::Cx, commands: &[Command]) -> Stop {
        let mut db = self.db.clone();
        let (mut stdout, mut status) = (String::new(), 0);
        for command in commands {
            match run(&mut db, command) {
                Ok(Said::Text(text)) => stdout += &text,
                Ok(Said::Status(said)) => status = said,
                Err(text) => return fatal(text),
            }
        }
        self.db = db;
        self.reconfigure(cx);
        let added = commands.iter().filter_map(|command| match command.name.as_str() {
            "add-port" => command.args.get(1),
            "add-br" => command.args.first(),
            _ => None,
        });
        let mut stderr = String::new();
        for port in added {
            let error = self.db.port(port).and_then(|row| row.interface.one("error").map(str::to_owned));
            if let Some(error) = error {
                stderr += &format!(
                    "ovs-vsctl: Error detected while setting up '{port}': {error}.  See ovs-vswitchd log for details.\n\
                     ovs-vsctl: The default log directory is \"/var/log/openvswitch\".\n"
                );
            }
        }
        Stop { stdout, stderr, status }
    }
}

/// What a command says.
enum Said {
    /// Text on standard output.
    Text(String),
    /// Only an exit status.
    Status(i32),
}

fn lines(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.into_iter().map(|name| name + "\n").collect()
}

fn run(db: &mut Db, command: &Command) -> Result<Said, String> {
    let args: Vec<&str> = command.args.iter().map(String::as_str).collect();
    let has = |option: &str| command.options.iter().any(|given| given == option);
    let none = || Ok(Said::Text(String::new()));
    let bridge = |db: &Db, name: &str| match db.bridge(name) {
        Some(_) => Ok(()),
        None => Err(format!("no bridge named {name}")),
    };
    match (command.name.as_str(), args.as_slice()) {
        ("init", _) => none(),
        ("show", _) => Ok(Said::Text(db.show())),
        ("list-br", _) => Ok(Said::Text(lines(db.bridges.iter().map(|row| row.0.clone())))),
        ("br-exists", [name]) => Ok(Said::Status(if db.bridge(name).is_some() { 0 } else { 2 })),
        ("add-br", [name]) => add_br(db, name, has("--may-exist")).and_then(|()| none()),
        ("add-br", _) => Err("not modelled yet: fake bridges".to_owned()),
        ("del-br", [name]) => {
            if db.bridge(name).is_none() {
                return if has("--if-exists") { none() } else { Err(format!("no bridge named {name}")) };
            }
            db.bridges.retain(|row| row.0 != *name);
            none()
        }
        ("add-port", [bridge, port, settings @ ..]) => {
            add_port(db, bridge, port, settings, has("--may-exist")).and_then(|()| none())
        }
        ("del-port", args) => del_port(db, args, has("--if-exists")).and_then(|()| none()),
        ("list-ports" | "list-ifaces", [name]) => {
            bridge(db, name)?;
            let ports = db.bridge(name).map(|row| row.ports.clone()).unwrap_or_default();
            Ok(Said::Text(lines(ports.into_iter().map(|port| port.0).filter(|port| port != name))))
        }
        ("port-to-br" | "iface-to-br", [port]) => {
            let what = if command.name == "port-to-br" { "port" } else { "interface" };
            let found = db.bridge_of(port).filter(|bridge| bridge != port);
            found.map(|bridge| Said::Text(format!("{bridge}\n"))).ok_or(format!("no {what} named {port}"))
        }
        ("get-fail-mode", [name]) => {
            bridge(db, name)?;
            let mode = db.bridge(name).and_then(|row| row.bridge.one("fail_mode"));
            Ok(Said::Text(mode.map(|mode| format!("{mode}\n")).unwrap_or_default()))
        }
        ("set-fail-mode", [name, mode]) => {
            bridge(db, name)?;
            if !["standalone", "secure"].contains(mode) {
                return Err("fail-mode must be \"standalone\" or \"secure\"".to_owned());
            }
            set_fail_mode(db, name, Some((*mode).to_owned())).and_then(|()| none())
        }
        ("del-fail-mode", [name]) => {
            bridge(db, name)?;
            set_fail_mode(db, name, None).and_then(|()| none())
        }
        ("list" | "find", [table, words @ ..]) => {
            let columns = command.options.iter().find_map(|option| option.strip_prefix("--columns="));
            let Some(columns) = columns else {
                return Err(format!("not modelled yet: {} without --columns", command.name));
            };
            let table = Table::parse(table)?;
            let columns = columns.split(',').map(|name| Column::parse(table, name));
            let columns = columns.collect::<Result<Vec<_>, String>>()?;
            let rows = match command.name.as_str() {
                "list" => listed(db, table, words, has("--if-exists"))?,
                _ => found(db, table, words)?,
            };
            let line = |row: &Row, column: &&Column| {
                format!("{:<20}: {}\n", column.name, row.get(column).format(column))
            };
            let all =
                rows.iter().map(|row| columns.iter().map(|column| line(row, column)).collect::<String>());
            Ok(Said::Text(all.collect::<Vec<_>>().join("\n")))
        }
        (name, [table, record, columns @ ..]) => {
            row_command(db, (name, table, record), columns, has("--if-exists"))
        }
        _ => Err(format!("unknown command '{}'; use --help for help", command.name)),
    }
}

/// The rows of these names, or all.
fn listed(db: &mut Db, table: Table, names: &[&str], if_exists: bool) -> Result<Vec<Row>, String> {
    if names.is_empty() {
        return Ok(db.rows(table).into_iter().cloned().collect());
    }
    let mut rows = Vec::new();
    for name in names {
        match db.row_mut(table, name) {
            Some(row) => rows.push(row.clone()),
            None if if_exists => {}
            None => return Err(format!("no row \"{name}\" in table {}", table.name())),
        }
    }
    Ok(rows)
}

/// The rows that fulfil all conditions: `COLUMN[:KEY]=VALUE` or `COLUMN[:KEY]!=VALUE`.
fn found(db: &Db, table: Table, conditions: &[&str]) -> Result<Vec<Row>, String> {
    let mut rows: Vec<Row> = db.rows(table).into_iter().cloned().collect();
    for condition in conditions {
        let syntax = || {
            format!(
                "{condition}: argument does not end in \"=\", \"!=\", \"<\", \">\", \"<=\", \">=\", \"{{=}}\", \"{{!=}}\", \"{{<}}\", \"{{>}}\", \"{{<=}}\", \"{{>=}}\", \"{{in}}\", or \"{{not-in}}\" followed by a value."
            )
        };
        let (name, wanted) = condition.split_once('=').ok_or_else(syntax)?;
        let (name, is_equal) = name.strip_suffix('!').map_or((name, true), |name| (name, false));
        if name.ends_with(['<', '>', '{']) {
            return Err(format!("not modelled yet: condition {condition}"));
        }
        let (name, key) = name.split_once(':').map_or((name, None), |(name, key)| (name, Some(key)));
        let column = Column::parse(table, name)?;
        let fits = |row: &Row| match key {
            Some(key) => {
                Ok(row.map(column.name).get(key).map(String::as_str) == Some(wanted.trim_matches('"')))
            }
            None => Ok::<bool, String>(row.get(column) == column.values(wanted)?),
        };
        let mut chosen = Vec::new();
        for row in rows {
            if fits(&row)? == is_equal {
                chosen.push(row);
            }
        }
        rows = chosen;
    }
    Ok(rows)
}

fn set_fail_mode(db: &mut Db, name: &str, mode: Option<String>) -> Result<(), String> {
    if let Some(row) = db.bridge_mut(name) {
        row.bridge.put("fail_mode", mode);
    }
    Ok(())
}

/// `set`, `get`, `clear`, `add` and `remove` of a row.
fn row_command(
    db: &mut Db,
    (name, table, record): (&str, &str, &str),
    columns: &[&str],
    if_exists: bool,
) -> Result<Said, String> {
    let table = Table::parse(table)?;
    let Some(row) = db.row_mut(table, record) else {
        return match if_exists {
            true => Ok(Said::Text(String::new())),
            false => Err(format!("no row \"{record}\" in table {}", table.name())),
        };
    };
    let mut text = String::new();
    match name {
        "set" => columns.iter().try_for_each(|setting| set(row, table, setting))?,
        "get" => {
            for column in columns {
                text += &get(row, table, column, if_exists)?;
            }
        }
        "clear" => {
            for column in columns {
                let column = writable(table, column)?;
                if column.shape == Shape::One {
                    return Err(format!(
                        "\"clear\" operation cannot be applied to column {} of table {}, which is not allowed to be empty",
                        column.name,
                        table.name()
                    ));
                }
                let empty = Row::default().get(column);
                row.set(column, empty);
            }
        }
        _ => add_or_remove(row, table, name == "add", columns)?,
    }
    Ok(Said::Text(text))
}

fn writable(table: Table, name: &str) -> Result<&'static Column, String> {
    let column = Column::parse(table, name)?;
    if column.is_config {
        return Ok(column);
    }
    Err(format!("cannot modify read-only column {} in table {}", column.name, table.name()))
}

/// `COLUMN=VALUE`, or `COLUMN:KEY=VALUE`.
fn set(row: &mut Row, table: Table, setting: &str) -> Result<(), String> {
    let syntax = || format!("{setting}: argument does not end in \"=\" followed by a value.");
    let (name, value) = setting.split_once('=').filter(|(_, value)| !value.is_empty()).ok_or_else(syntax)?;
    let (name, key) = name.split_once(':').map_or((name, None), |(name, key)| (name, Some(key)));
    let column = writable(table, name)?;
    let value = match key {
        None => column.values(value)?,
        Some(key) if column.shape == Shape::Map => {
            let mut map = row.map(column.name);
            map.insert(key.to_owned(), value.trim_matches('"').to_owned());
            Value::Map(map)
        }
        Some(_) => return Err(format!("cannot specify key to set for non-map column {}", column.name)),
    };
    if let (Table::Interface, "type", Value::Set(types)) = (table, column.name, &value)
        && let Some(kind) = types.iter().find(|kind| TUNNELS.contains(&kind.as_str()))
    {
        return Err(format!("not modelled yet: interface type {kind}"));
    }
    if let (Table::Port, "vlan_mode", Value::Set(modes)) = (table, column.name, &value)
        && modes.iter().any(|mode| mode == "dot1q-tunnel")
    {
        return Err("not modelled yet: vlan_mode dot1q-tunnel".to_owned());
    }
    row.set(column, value);
    Ok(())
}

fn get(row: &Row, table: Table, name: &str, if_exists: bool) -> Result<String, String> {
    let (name, key) = name.split_once(':').map_or((name, None), |(name, key)| (name, Some(key)));
    let column = Column::parse(table, name)?;
    let value = row.get(column);
    let Some(key) = key else { return Ok(value.format(column) + "\n") };
    match row.map(column.name).get(key) {
        Some(value) => Ok(Value::Set(vec![value.clone()]).format(column) + "\n"),
        None if if_exists => Ok("\n".to_owned()),
        None => Err(format!(
            "no key \"{key}\" in {} record \"{}\" column {}",
            table.name(),
            row.one("name").unwrap_or("."),
            column.name
        )),
    }
}

fn add_or_remove(row: &mut Row, table: Table, adds: bool, columns: &[&str]) -> Result<(), String> {
    let [name, values @ ..] = columns else { return Ok(()) };
    let column = writable(table, name)?;
    for value in values {
        let new = match (column.shape, row.get(column), adds) {
            (Shape::Map, Value::Map(mut map), false) if !value.contains('=') => {
                map.remove(*value);
                Value::Map(map)
            }
            (Shape::Map, Value::Map(mut map), adds) => {
                let Value::Map(given) = column.values(value)? else { continue };
                for (key, value) in given {
                    if adds {
                        map.entry(key).or_insert(value);
                    } else if map.get(&key) == Some(&value) {
                        map.remove(&key);
                    }
                }
                Value::Map(map)
            }
            (_, Value::Set(mut set), adds) => {
                let Value::Set(given) = column.values(value)? else { continue };
                set.retain(|value| !given.contains(value));
                if adds {
                    set.extend(given);
                }
                column.values(&set.join(","))?
            }
            _ => continue,
        };
        row.set(column, new);
    }
    Ok(())
}

fn add_br(db: &mut Db, name: &str, may_exist: bool) -> Result<(), String> {
    if db.bridge(name).is_some() {
        let text =
            format!("cannot create a bridge named {name} because a bridge named {name} already exists");
        return if may_exist { Ok(()) } else { Err(text) };
    }
    if let Some(bridge) = db.bridge_of(name) {
        return Err(format!(
            "cannot create a bridge named {name} because a port named {name} already exists on bridge {bridge}"
        ));
    }
    let mut own = PortRow { port: Row::named(name), interface: Row::named(name) };
    own.interface.put("type", Some("internal".to_owned()));
    let row = BridgeRow { bridge: Row::named(name), ports: vec![(name.to_owned(), own)] };
    db.bridges.push((name.to_owned(), row));
    Ok(())
}

fn add_port(db: &mut Db, bridge: &str, port: &str, settings: &[&str], may_exist: bool) -> Result<(), String> {
    if let Some(found) = db.bridge_of(port) {
        return match found {
            found if may_exist && found == bridge => Ok(()),
            found if may_exist => {
                Err(format!("\"{port}\" is not actually attached to vswitch {bridge}, but to {found}"))
            }
            found if found == port => {
                Err(format!("cannot create a port named {port} because a bridge named {port} already exists"))
            }
            found => Err(format!(
                "cannot create a port named {port} because a port named {port} already exists on bridge {found}"
            )),
        };
    }
    let mut row = PortRow { port: Row::named(port), interface: Row::named(port) };
    settings.iter().try_for_each(|setting| set(&mut row.port, Table::Port, setting))?;
    let bridge_row = db.bridge_mut(bridge).ok_or_else(|| format!("no bridge named {bridge}"))?;
    bridge_row.ports.push((port.to_owned(), row));
    Ok(())
}

fn del_port(db: &mut Db, args: &[&str], if_exists: bool) -> Result<(), String> {
    let (bridge, port) = match args {
        [bridge, port] => (Some(*bridge), *port),
        [port] => (None, *port),
        _ => return Ok(()),
    };
    if let Some(bridge) = bridge
        && db.bridge(bridge).is_none()
    {
        return if if_exists { Ok(()) } else { Err(format!("no bridge named {bridge}")) };
    }
    let Some(found) = db.bridge_of(port).map(str::to_owned) else {
        return if if_exists { Ok(()) } else { Err(format!("no port named {port}")) };
    };
    if found == port {
        return Err(format!(
            "cannot delete port {port} because it is the local port for bridge {port} (deleting this port requires deleting the entire bridge)"
        ));
    }
    if bridge.is_some_and(|bridge| bridge != found) {
        let bridge = bridge.unwrap_or_default();
        return Err(format!(
            "bridge {bridge} does not have a port {port} (although its parent bridge {found} does)"
        ));
    }
    if let Some(row) = db.bridge_mut(&found) {
        row.ports.retain(|other| other.0 != port);
    }
    Ok(())
}
