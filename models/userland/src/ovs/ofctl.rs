//! `ovs-ofctl` 3.1.0: flows and ports of a bridge.
//!
//! Not modelled: instructions, meters, monitors, snooping, packets out.

use std::fmt::Write as _;

use glassnet_kernel::Cx;
use glassnet_kernel::net::core::dev::{dev_close, dev_get_stats, dev_open};
use glassnet_kernel::tables::netdev::IFF_RUNNING;
use glassnet_kernel::tables::openvswitch::flow::{KeyField, VLAN_CFI};
use glassnet_sim::Nanos;

use super::actions::{self, OfpAct};
use super::classifier::RuleId;
use super::field;
use super::flow_mod::{FlowMod, port_of, seconds};
use super::groups::{Group, GroupMod};
use super::matching::Match;
use super::ofproto::{Bridge, DEFAULT_PRIORITY, Rule};
use super::ports::{self, PortNames};
use super::vswitchd::{Vswitchd, ask};
use crate::process::{Process, Running};
use crate::stop::{Done, Stop};

/// Commands: how many arguments each takes.
const COMMANDS: &[(&str, usize, usize)] = &[
    ("add-flow", 2, 2),
    ("add-flows", 2, 2),
    ("add-group", 2, 2),
    ("del-flows", 1, 2),
    ("del-groups", 1, 2),
    ("dump-aggregate", 1, 2),
    ("dump-flows", 1, 2),
    ("dump-group-stats", 1, 2),
    ("dump-groups", 1, 2),
    ("dump-ports", 1, 2),
    ("dump-ports-desc", 1, 2),
    ("mod-flows", 2, 2),
    ("mod-group", 2, 2),
    ("mod-port", 3, 3),
    ("show", 1, 1),
];

/// Commands that are not modelled.
const UNMODELLED: &[&str] = &[
    "add-groups",
    "add-meter",
    "add-tlv-map",
    "benchmark",
    "bundle",
    "compose-packet",
    "ct-flush",
    "ct-flush-zone",
    "del-meter",
    "del-meters",
    "del-tlv-map",
    "diff-flows",
    "dump-group-features",
    "dump-ipfix-bridge",
    "dump-ipfix-flow",
    "dump-meter",
    "dump-meters",
    "dump-table-desc",
    "dump-table-features",
    "dump-tables",
    "dump-tlv-map",
    "get-frags",
    "insert-buckets",
    "meter-features",
    "meter-stats",
    "mod-meter",
    "mod-table",
    "monitor",
    "ofp-parse",
    "packet-out",
    "parse-flow",
    "parse-flows",
    "ping",
    "probe",
    "queue-get-config",
    "queue-stats",
    "remove-buckets",
    "replace-flows",
    "set-controller",
    "set-frags",
    "snoop",
    "watch",
];

/// Options.
#[derive(Clone, Debug, Default)]
struct Options {
    strict: bool,
    no_stats: bool,
    /// Names of ports are printed; otherwise it depends on the terminal.
    names: Option<bool>,
    /// The version of OpenFlow: the digit behind `1.`.
    version: u8,
}

impl Options {
    /// Actions are those of OpenFlow 1.2 and later; if so, whether packets have a tag.
    fn oxm(&self, matching: &Match) -> Option<bool> {
        (self.version >= 2).then_some(matching.key[KeyField::VlanTci] & VLAN_CFI != 0)
    }

    /// How an answer begins: its kind, as OpenFlow calls it, and the number of the request, which is another one if the tool
    /// asks by its own extension of 1.0.
    fn reply(&self, kind: &str, xid: u32) -> String {
        match self.version {
            0 => format!("OFP{kind} reply (xid={xid:#x})"),
            version => format!("OFP{kind} reply (OF1.{version}) (xid={xid:#x})"),
        }
    }
}

/// The versions by their names.
const VERSIONS: [&str; 6] =
    ["OpenFlow10", "OpenFlow11", "OpenFlow12", "OpenFlow13", "OpenFlow14", "OpenFlow15"];

/// The newest of versions between commas.
fn version(text: &str) -> Done<u8> {
    let one = |name: &str| {
        let found = VERSIONS.iter().position(|known| *known == name).map(|at| at as u8);
        found.ok_or_else(|| fatal(format!("Unknown OpenFlow version: \"{name}\"")))
    };
    let all = text.split(',').map(one).collect::<Done<Vec<u8>>>()?;
    Ok(all.into_iter().max().unwrap_or(0))
}

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let stop = match prepare(process).await {
            Ok(stop) => stop,
            Err(stop) => stop,
        };
        stop.say(process)
    })
}

fn fatal(text: impl AsRef<str>) -> Stop {
    Stop::error(1, format!("ovs-ofctl: {}\n", text.as_ref()))
}

async fn prepare(process: &mut Process) -> Done<Stop> {
    let (options, words) = parse(process.args())?;
    let Some(name) = words.first().cloned() else {
        return Err(fatal("missing command name; use --help for help"));
    };
    let Some((_, least, most)) = COMMANDS.iter().find(|row| row.0 == name) else {
        return Err(match UNMODELLED.contains(&name.as_str()) {
            true => fatal(format!("not modelled yet: command {name}")),
            false => fatal(format!("unknown command '{name}'; use --help for help")),
        });
    };
    let mut args = words[1..].to_vec();
    if args.len() < *least {
        return Err(fatal(format!("'{name}' command requires at least {least} arguments")));
    }
    if args.len() > *most {
        return Err(fatal(format!("'{name}' command takes at most {most} arguments")));
    }
    if name == "add-flows" {
        let read = process.read_operand(&args[1]).await;
        let text =
            read.map_err(|error| fatal(format!("{}: open ({})", args[1], crate::process::strerror(&error))))?;
        args[1] = String::from_utf8_lossy(&text).into_owned();
    }
    let mut options = options;
    options.names.get_or_insert(process.stdout.is_terminal());
    let bridge = args[0].clone();
    let asked = move |daemon: &mut Vswitchd, cx: &mut Cx| run(daemon, cx, (&name, &args), &options);
    let answer = ask(process, asked).await;
    let said = answer.ok_or_else(|| fatal(format!("{bridge} is not a bridge or a socket")))?;
    said.map_err(fatal)
}

fn parse(args: &[String]) -> Done<(Options, Vec<String>)> {
    let (mut options, mut words) = (Options::default(), Vec::new());
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--strict" => options.strict = true,
            "--no-stats" => options.no_stats = true,
            "--stats" => options.no_stats = false,
            "--names" => options.names = Some(true),
            "--no-names" => options.names = Some(false),
            "-V" | "--version" => {
                return Err(Stop::shown("ovs-ofctl (Open vSwitch) 3.1.0\nOpenFlow versions 0x1:0x6\n"));
            }
            "-O" => options.version = version(args.next().map_or("", String::as_str))?,
            option if option.starts_with("-O") => options.version = version(&option[2..])?,
            option if option.starts_with("--protocols=") => {
                options.version = version(option.trim_start_matches("--protocols="))?;
            }
            option if option.starts_with('-') && option.len() > 1 => {
                return Err(fatal(match is_known(option) {
                    true => format!("not modelled yet: option {option}"),
                    false => format!("unrecognized option '{option}'"),
                }));
            }
            _ => words.push(arg.clone()),
        }
    }
    Ok((options, words))
}

fn is_known(option: &str) -> bool {
    const KNOWN: &[&str] = &[
        "--bundle",
        "--color",
        "--flow-format",
        "--help",
        "--log-file",
        "--more",
        "--no-read-only",
        "--read-only",
        "--readd",
        "--rsort",
        "--sort",
        "--timeout",
        "--timestamp",
        "--verbose",
        "-F",
        "-h",
        "-m",
        "-t",
        "-v",
    ];
    KNOWN.contains(&option.split_once('=').map_or(option, |(name, _)| name))
}

fn run(
    daemon: &mut Vswitchd,
    cx: &mut Cx,
    (name, args): (&str, &[String]),
    options: &Options,
) -> Result<Stop, String> {
    let not_there = || format!("{} is not a bridge or a socket", args[0]);
    let bridge = daemon.bridges.get(&args[0]).ok_or_else(not_there)?;
    let names = bridge.names(options.names == Some(true));
    let argument = args.get(1).map(String::as_str);
    match name {
        "show" => Ok(Stop::shown(show(daemon, cx, bridge, options))),
        "dump-ports-desc" => {
            let mut text = options.reply("ST_PORT_DESC", 2) + ":\n";
            let ports = bridge
                .ports
                .keys()
                .filter(|port| argument.is_none_or(|argument| port_of(argument, &names) == Ok(**port)));
            ports.for_each(|port| text += &port_desc(daemon, cx, bridge, (*port, options)));
            Ok(Stop::shown(text))
        }
        "dump-ports" => dump_ports(daemon, cx, bridge, (argument, &names, options)),
        "dump-groups" | "dump-group-stats" => {
            let id = argument.map(field::number).map(|id| id.and_then(|id| u32::try_from(id).ok()));
            let wanted = |group: &u32| id.is_none_or(|id| id == Some(*group));
            // A later version cannot ask for the buckets of one.
            let all = name == "dump-groups" && (1..5).contains(&options.version);
            let chosen = bridge.groups.iter().filter(|(group, _)| all || wanted(group));
            let mut text = match (name, options.version) {
                ("dump-groups", 0) => "NXST_GROUP_DESC reply (xid=0x2)".to_owned(),
                ("dump-groups", _) => options.reply("ST_GROUP_DESC", 2),
                (_, 0) => "NXST_GROUP reply (xid=0x6)".to_owned(),
                _ => options.reply("ST_GROUP", 6),
            } + ":\n";
            for (id, group) in chosen {
                match name {
                    "dump-groups" => {
                        text += &group.format(*id, (options.version > 0).then_some(false), &names)
                    }
                    _ => text += &group_stats(bridge, *id, group, cx.now),
                }
            }
            Ok(Stop::shown(text))
        }
        "mod-port" => {
            let port = port_of(&args[1], &names)?;
            let dp_port =
                bridge.ports.get(&port).filter(|port| port.vport.is_none()).map(|port| port.dp_port);
            let dev = dp_port.flatten().and_then(|port| daemon.device(cx.k, port));
            let dev = dev.ok_or_else(|| format!("{}: couldn't find port `{}'", args[0], args[1]))?;
            match args[2].as_str() {
                "up" => dev_open(cx, dev).map_err(|errno| errno.strerror().to_owned())?,
                "down" => dev_close(cx, dev),
                action => return Err(format!("not modelled yet: mod-port {action}")),
            }
            Ok(Stop::default())
        }
        "dump-flows" | "dump-aggregate" => {
            let wanted = FlowMod::parse(argument.unwrap_or(""), &bridge.names(true))?;
            let chosen = chosen(bridge, &wanted, false);
            let text = match name {
                "dump-flows" => dump_flows(bridge, &chosen, (options, &names), cx.now),
                _ => aggregate(bridge, &chosen, options),
            };
            Ok(Stop::shown(text))
        }
        "add-group" | "mod-group" | "del-groups" => change_groups(daemon, cx, (name, args), options),
        _ => change(daemon, cx, (name, args), options),
    }
}

/// What the switch refuses.
fn refused(options: &Options, code: &str, request: &str) -> String {
    let version = if options.version == 0 { String::new() } else { format!(" (OF1.{})", options.version) };
    format!(
        "OFPT_ERROR{version} (xid=0x6): {code}\n{}{version} (xid=0x6):{request}\n",
        if code.starts_with("OFPGMFC") { "OFPT_GROUP_MOD" } else { "OFPT_FLOW_MOD" }
    )
}

fn bridge_mut<'a>(daemon: &'a mut Vswitchd, name: &str) -> Result<&'a mut Bridge, String> {
    daemon.bridges.get_mut(name).ok_or_else(|| format!("{name} is not a bridge or a socket"))
}

/// Commands that change groups.
fn change_groups(
    daemon: &mut Vswitchd,
    cx: &mut Cx,
    (name, args): (&str, &[String]),
    options: &Options,
) -> Result<Stop, String> {
    let bridge = bridge_mut(daemon, &args[0])?;
    let (names, shown_names) = (bridge.names(true), bridge.names(options.names == Some(true)));
    let said = GroupMod::parse(args.get(1).map_or("", String::as_str), &names, cx.now)?;
    if name == "del-groups" {
        let gone: Vec<u32> =
            bridge.groups.keys().copied().filter(|id| said.id.is_none_or(|said| said == *id)).collect();
        for group in gone {
            bridge.groups.remove(&group);
            let of_group = bridge.rules.iter().filter(|(_, rule)| rule.acts.contains(&OfpAct::Group(group)));
            let flows: Vec<RuleId> = of_group.map(|(id, _)| *id).collect();
            flows.into_iter().for_each(|flow| bridge.remove(flow));
        }
        bridge.need_revalidate = true;
        return Ok(Stop::default());
    }
    let id = said.id.ok_or("must specify a group_id")?;
    let group = said.group.ok_or("must specify a type")?;
    let (verb, code) = match (name, bridge.groups.get(&id)) {
        ("add-group", Some(_)) => ("ADD", "OFPGMFC_GROUP_EXISTS"),
        ("mod-group", None) => ("MOD", "OFPGMFC_UNKNOWN_GROUP"),
        (_, before) => {
            let created = before.map_or(group.created, |before| before.created);
            bridge.groups.insert(id, Group { created, ..group });
            bridge.need_revalidate = true;
            return Ok(Stop::default());
        }
    };
    let shown = group.format(id, (options.version > 0).then_some(false), &shown_names);
    let text = refused(options, code, &format!("\n {verb}{}", shown.trim_end()));
    Ok(Stop { stderr: text, status: 1, ..Stop::default() })
}

fn group_stats(bridge: &Bridge, id: u32, group: &Group, now: Nanos) -> String {
    let references = bridge.rules.values().filter(|rule| rule.acts.contains(&OfpAct::Group(id))).count();
    let (packets, bytes) = group.counted;
    let mut text = format!(
        " group_id={id},duration={}s,ref_count={references},packet_count={packets},byte_count={bytes}",
        seconds(now.since(group.created).0)
    );
    for (at, bucket) in group.buckets.iter().enumerate() {
        let (packets, bytes) = bucket.counted;
        let _ = write!(text, ",bucket{at}:packet_count={packets},byte_count={bytes}");
    }
    text + "\n"
}

/// Commands that change flows.
fn change(
    daemon: &mut Vswitchd,
    cx: &mut Cx,
    (name, args): (&str, &[String]),
    options: &Options,
) -> Result<Stop, String> {
    let bridge = bridge_mut(daemon, &args[0])?;
    let (names, shown_names) = (bridge.names(true), bridge.names(options.names == Some(true)));
    let text = args.get(1).map_or("", String::as_str);
    let is_line = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let lines: Vec<&str> =
        if name == "add-flows" { text.lines().map(str::trim).filter(is_line).collect() } else { vec![text] };
    let needs_actions = name != "del-flows";
    let mods = lines.iter().enumerate().map(|(at, line)| {
        if needs_actions && !line.contains("action") {
            return Err("must specify an action".to_owned());
        }
        FlowMod::parse(line, &names).map_err(|error| match name {
            "add-flows" => format!("flow file:{}: {error}", at + 1),
            _ => error,
        })
    });
    let mods = mods.collect::<Result<Vec<FlowMod>, String>>()?;
    let mut stderr = String::new();
    let in_group = |act: &OfpAct| matches!(act, OfpAct::Group(id) if !bridge.groups.contains_key(id));
    if let Some(flow) = mods.iter().find(|flow| flow.acts.iter().flatten().any(in_group)) {
        let acts = flow.acts.as_deref().unwrap_or_default();
        let shown = format!(
            " ADD {} actions={}",
            flow.matching.format(&shown_names),
            actions::format(acts, &shown_names, options.oxm(&flow.matching))
        );
        let text = refused(options, "OFPBAC_BAD_OUT_GROUP", &shown);
        return Ok(Stop { stderr: text, status: 1, ..Stop::default() });
    }
    for flow in mods {
        if let Some(written) = &flow.written {
            stderr += &normalized(written, &flow.matching, cx.now);
        }
        match name {
            "del-flows" => chosen(bridge, &flow, options.strict).into_iter().for_each(|id| bridge.remove(id)),
            "mod-flows" => {
                let acts = flow.acts.clone().ok_or("must specify an action")?;
                let chosen = chosen(bridge, &flow, options.strict);
                if chosen.is_empty() && flow.cookie.1 == 0 {
                    bridge.add(rule(&flow, acts, options, cx.now));
                    continue;
                }
                for id in chosen {
                    if let Some(rule) = bridge.rules.get_mut(&id) {
                        (rule.acts, rule.modified) = (acts.clone(), cx.now);
                    }
                }
                bridge.need_revalidate = true;
            }
            _ => {
                let acts = flow.acts.clone().ok_or("must specify an action")?;
                bridge.add(rule(&flow, acts, options, cx.now));
            }
        }
    }
    Ok(Stop { stderr, ..Stop::default() })
}

fn rule(flow: &FlowMod, acts: Vec<OfpAct>, options: &Options, now: Nanos) -> Rule {
    Rule {
        table: flow.table.unwrap_or(0),
        priority: flow.priority,
        matching: flow.matching,
        acts,
        cookie: flow.cookie.0,
        idle_timeout: flow.idle_timeout,
        hard_timeout: flow.hard_timeout,
        reset_counts: options.version < 2,
        created: now,
        modified: now,
        used: now,
        packets: 0,
        bytes: 0,
    }
}

/// What the tool logs of a match of which parts do not count.
fn normalized(before: &Match, after: &Match, now: Nanos) -> String {
    let ports = PortNames::default();
    let time = crate::date::iso(now);
    let line = |number: u32, text: &str| format!("{time}|{number:05}|ofp_match|INFO|{text}\n");
    line(1, "normalization changed ofp_match, details:")
        + &line(2, &format!(" pre: {}", before.format(&ports)))
        + &line(3, &format!("post: {}", after.format(&ports)))
}

/// The flows that a command means.
fn chosen(bridge: &Bridge, wanted: &FlowMod, strict: bool) -> Vec<RuleId> {
    let is_meant = |rule: &Rule| {
        let matches = match strict {
            true => rule.matching == wanted.matching && rule.priority == wanted.priority,
            false => rule.matching.is_within(&wanted.matching),
        };
        let (cookie, mask) = wanted.cookie;
        matches
            && wanted.table.is_none_or(|table| table == rule.table)
            && rule.cookie & mask == cookie & mask
            && wanted.has_out_port(&rule.acts)
    };
    bridge.listed().into_iter().filter(|id| is_meant(&bridge.rules[id])).collect()
}

fn dump_flows(
    bridge: &Bridge,
    chosen: &[RuleId],
    (options, names): (&Options, &PortNames),
    now: Nanos,
) -> String {
    let mut text = String::new();
    // A program that reads it gets what the switch says.
    if !names.show && !options.no_stats {
        text += &match options.version {
            0 => "NXST_FLOW reply (xid=0x4):\n".to_owned(),
            _ => options.reply("ST_FLOW", 2) + ":\n",
        };
    }
    for id in chosen {
        let rule = &bridge.rules[id];
        text.push(' ');
        if !options.no_stats {
            let _ = write!(
                text,
                "cookie={:#x}, duration={}s, table={}, n_packets={}, n_bytes={}, ",
                rule.cookie,
                seconds(now.since(rule.created).0),
                rule.table,
                rule.packets,
                rule.bytes
            );
        } else {
            if rule.cookie != 0 {
                let _ = write!(text, "cookie={:#x}, ", rule.cookie);
            }
            if rule.table != 0 {
                let _ = write!(text, "table={}, ", rule.table);
            }
        }
        for (name, seconds) in [("idle_timeout", rule.idle_timeout), ("hard_timeout", rule.hard_timeout)] {
            if seconds != 0 {
                let _ = write!(text, "{name}={seconds}, ");
            }
        }
        if !names.show && !options.no_stats && [0, 5].contains(&options.version) {
            let age = |since: Nanos| now.since(since).0 / 1_000_000_000;
            let _ = write!(text, "idle_age={}, ", age(rule.used));
            if rule.modified != rule.created {
                let _ = write!(text, "hard_age={}, ", age(rule.modified));
            }
        }
        // Versions before 1.2 add flows so, and those from 1.3 on tell it.
        if rule.reset_counts && options.version >= 3 && !options.no_stats {
            text += "reset_counts ";
        }
        let matching = rule.matching.format(names);
        if rule.priority != DEFAULT_PRIORITY {
            let comma = if matching.is_empty() { "" } else { "," };
            let _ = write!(text, "priority={}{comma}", rule.priority);
        }
        let is_empty = matching.is_empty() && rule.priority == DEFAULT_PRIORITY;
        let space = if is_empty { "" } else { " " };
        let _ = writeln!(
            text,
            "{matching}{space}actions={}",
            actions::format(&rule.acts, names, options.oxm(&rule.matching))
        );
    }
    text
}

fn aggregate(bridge: &Bridge, chosen: &[RuleId], options: &Options) -> String {
    let sum = |of: fn(&Rule) -> u64| chosen.iter().map(|id| of(&bridge.rules[id])).sum::<u64>();
    let reply = match options.version {
        0 => "NXST_AGGREGATE reply (xid=0x4)".to_owned(),
        _ => options.reply("ST_AGGREGATE", 2),
    };
    format!(
        "{reply}: packet_count={} byte_count={} flow_count={}\n",
        sum(|rule| rule.packets),
        sum(|rule| rule.bytes),
        chosen.len()
    )
}

fn show(daemon: &Vswitchd, cx: &Cx, bridge: &Bridge, options: &Options) -> String {
    let dpid = daemon.db.bridge(&bridge.name).and_then(|row| row.bridge.one("datapath_id")).unwrap_or("");
    let version = if options.version == 0 { String::new() } else { format!(" (OF1.{})", options.version) };
    let mut text = format!(
        "OFPT_FEATURES_REPLY{version} (xid=0x2): dpid:{dpid}\n\
         n_tables:254, n_buffers:0\n\
         capabilities: FLOW_STATS TABLE_STATS PORT_STATS {}QUEUE_STATS{}\n",
        if options.version >= 1 { "GROUP_STATS " } else { "" },
        if options.version == 0 { " ARP_MATCH_IP" } else { "" },
    );
    if options.version == 0 {
        text += "actions: output enqueue set_vlan_vid set_vlan_pcp strip_vlan mod_dl_src mod_dl_dst mod_nw_src mod_nw_dst \
                 mod_nw_tos mod_tp_src mod_tp_dst\n";
    }
    if options.version >= 3 {
        text += &(options.reply("ST_PORT_DESC", 3) + ":\n");
    }
    bridge.ports.keys().for_each(|port| text += &port_desc(daemon, cx, bridge, (*port, options)));
    let xid = if options.version >= 3 { 5 } else { 4 };
    text + &format!("OFPT_GET_CONFIG_REPLY{version} (xid={xid:#x}): frags=normal miss_send_len=0\n")
}

fn port_desc(daemon: &Vswitchd, cx: &Cx, bridge: &Bridge, (number, options): (u32, &Options)) -> String {
    let Some(port) = bridge.ports.get(&number) else { return String::new() };
    let live = if options.version >= 1 { "LIVE" } else { "0" };
    if let Some(vport) = &port.vport {
        return format!(
            " {}({}): addr:{}\n     config:     0\n     state:      {live}\n     speed: 0 Mbps now, 0 Mbps max\n",
            ports::number(number),
            port.name,
            vport.mac
        );
    }
    let dev = port.dp_port.and_then(|port| daemon.device(cx.k, port));
    let Some(dev) = dev.map(|dev| &cx.k.devs[dev]) else { return String::new() };
    let config = if dev.is_up() { "0" } else { "PORT_DOWN" };
    let state = if dev.dev_get_flags() & IFF_RUNNING != 0 { live } else { "LINK_DOWN" };
    let mut text = format!(
        " {}({}): addr:{}\n     config:     {config}\n     state:      {state}\n",
        ports::number(number),
        port.name,
        dev.addr
    );
    let link = dev.ops.ethtool.get_link_ksettings.map(|get| get(cx.k, dev));
    let speed = link.and_then(|link| link.speed).unwrap_or(0);
    if let Some(link) = link.filter(|_| speed > 0) {
        let (unit, amount) = if speed >= 1000 { ("GB", speed / 1000) } else { ("MB", speed) };
        let duplex = if link.full_duplex { "FD" } else { "HD" };
        let plug = if link.twisted_pair { " COPPER" } else { "" };
        let _ = writeln!(text, "     current:    {amount}{unit}-{duplex}{plug}");
    }
    let _ = writeln!(text, "     speed: {speed} Mbps now, 0 Mbps max");
    text
}

fn dump_ports(
    daemon: &Vswitchd,
    cx: &Cx,
    bridge: &Bridge,
    (wanted, names, options): (Option<&str>, &PortNames, &Options),
) -> Result<Stop, String> {
    if options.version > 0 {
        return Err("not modelled yet: dump-ports of OpenFlow later than 1.0".to_owned());
    }
    let number = |text: &str| {
        port_of(text, &bridge.names(true)).map_err(|_| format!("{}: unknown port `{text}'", bridge.name))
    };
    let wanted = wanted.map(number).transpose()?;
    let mut numbers: Vec<u32> =
        bridge.ports.keys().copied().filter(|port| wanted.is_none_or(|wanted| wanted == *port)).collect();
    numbers.sort_by_key(|port| (*port != ports::LOCAL, *port));
    let xid = if wanted.is_some() { 4 } else { 2 };
    let mut text = format!("OFPST_PORT reply (xid={xid:#x}): {} ports\n", numbers.len());
    for number in numbers {
        let Some(port) = bridge.ports.get(&number) else { continue };
        if let Some(vport) = &port.vport {
            let (rx, tx) = (vport.rx, vport.tx);
            let _ = write!(
                text,
                "  port  {}: rx pkts={}, bytes={}, drop=?, errs=?, frame=?, over=?, crc=?\n           \
                 tx pkts={}, bytes={}, drop=?, errs=?, coll=?\n",
                names.name(number),
                rx.0,
                rx.1,
                tx.0,
                tx.1
            );
            continue;
        }
        let dev = port.dp_port.and_then(|port| daemon.device(cx.k, port));
        let Some(dev) = dev.map(|dev| &cx.k.devs[dev]) else { continue };
        let stats = dev_get_stats(cx.k, dev);
        let name =
            if number == ports::LOCAL { "LOCAL".to_owned() } else { format!(" {}", names.name(number)) };
        let _ = write!(
            text,
            "  port {name}: rx pkts={}, bytes={}, drop={}, errs={}, frame={}, over=0, crc={}\n           \
             tx pkts={}, bytes={}, drop={}, errs={}, coll={}\n",
            stats.rx_packets,
            stats.rx_bytes,
            stats.rx_dropped,
            stats.rx_errors,
            stats.rx_frame_errors,
            stats.rx_crc_errors,
            stats.tx_packets,
            stats.tx_bytes,
            stats.tx_dropped,
            stats.tx_errors,
            stats.collisions
        );
    }
    Ok(Stop::shown(text))
}
