//! `ovs-ofctl` 3.1.0: flows and ports of a bridge.
//!
//! Not modelled: OpenFlow later than 1.0, groups, meters, monitors, snooping, packets out.

use std::fmt::Write as _;

use glassnet_kernel::Cx;
use glassnet_kernel::net::core::dev::{dev_close, dev_get_stats, dev_open};
use glassnet_kernel::tables::netdev::IFF_RUNNING;
use glassnet_sim::Nanos;

use super::actions;
use super::classifier::RuleId;
use super::flow_mod::{FlowMod, port_of, seconds};
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
    ("del-flows", 1, 2),
    ("dump-aggregate", 1, 2),
    ("dump-flows", 1, 2),
    ("dump-ports", 1, 2),
    ("dump-ports-desc", 1, 2),
    ("mod-flows", 2, 2),
    ("mod-port", 3, 3),
    ("show", 1, 1),
];

/// Commands that are not modelled.
const UNMODELLED: &[&str] = &[
    "add-group",
    "add-groups",
    "add-meter",
    "add-tlv-map",
    "benchmark",
    "bundle",
    "compose-packet",
    "ct-flush",
    "ct-flush-zone",
    "del-groups",
    "del-meter",
    "del-meters",
    "del-tlv-map",
    "diff-flows",
    "dump-group-features",
    "dump-group-stats",
    "dump-groups",
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
    "mod-group",
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
            "-O" => {
                let version = args.next().map_or("", String::as_str);
                return Err(fatal(format!("not modelled yet: option -O {version}")));
            }
            option if option.starts_with('-') && option.len() > 1 => {
                return Err(fatal(match option.starts_with("-O") || is_known(option) {
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
        "--protocols",
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
        "show" => Ok(Stop::shown(show(daemon, cx, bridge))),
        "dump-ports-desc" => {
            let mut text = "OFPST_PORT_DESC reply (xid=0x2):\n".to_owned();
            let ports = bridge
                .ports
                .keys()
                .filter(|port| argument.is_none_or(|argument| port_of(argument, &names) == Ok(**port)));
            ports.for_each(|port| text += &port_desc(daemon, cx, bridge, *port));
            Ok(Stop::shown(text))
        }
        "dump-ports" => dump_ports(daemon, cx, bridge, (argument, &names)),
        "mod-port" => {
            let port = port_of(&args[1], &names)?;
            let dp_port = bridge.ports.get(&port).map(|port| port.dp_port);
            let dev = dp_port.and_then(|port| daemon.device(cx.k, port));
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
                _ => aggregate(bridge, &chosen),
            };
            Ok(Stop::shown(text))
        }
        _ => change(daemon, cx, (name, args), options),
    }
}

/// Commands that change flows.
fn change(
    daemon: &mut Vswitchd,
    cx: &mut Cx,
    (name, args): (&str, &[String]),
    options: &Options,
) -> Result<Stop, String> {
    let Some(bridge) = daemon.bridges.get_mut(&args[0]) else {
        return Err(format!("{} is not a bridge or a socket", args[0]));
    };
    let names = bridge.names(true);
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
                    bridge.add(rule(&flow, acts, cx.now));
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
                bridge.add(rule(&flow, acts, cx.now));
            }
        }
    }
    Ok(Stop { stderr, ..Stop::default() })
}

fn rule(flow: &FlowMod, acts: Vec<actions::OfpAct>, now: Nanos) -> Rule {
    Rule {
        table: flow.table.unwrap_or(0),
        priority: flow.priority,
        matching: flow.matching,
        acts,
        cookie: flow.cookie.0,
        idle_timeout: flow.idle_timeout,
        hard_timeout: flow.hard_timeout,
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
        text += "NXST_FLOW reply (xid=0x4):\n";
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
        if !names.show && !options.no_stats {
            let age = |since: Nanos| now.since(since).0 / 1_000_000_000;
            let _ = write!(text, "idle_age={}, ", age(rule.used));
            if rule.modified != rule.created {
                let _ = write!(text, "hard_age={}, ", age(rule.modified));
            }
        }
        let matching = rule.matching.format(names);
        if rule.priority != DEFAULT_PRIORITY {
            let comma = if matching.is_empty() { "" } else { "," };
            let _ = write!(text, "priority={}{comma}", rule.priority);
        }
        let is_empty = matching.is_empty() && rule.priority == DEFAULT_PRIORITY;
        let space = if is_empty { "" } else { " " };
        let _ = writeln!(text, "{matching}{space}actions={}", actions::format(&rule.acts, names));
    }
    text
}

fn aggregate(bridge: &Bridge, chosen: &[RuleId]) -> String {
    let sum = |of: fn(&Rule) -> u64| chosen.iter().map(|id| of(&bridge.rules[id])).sum::<u64>();
    format!(
        "NXST_AGGREGATE reply (xid=0x4): packet_count={} byte_count={} flow_count={}\n",
        sum(|rule| rule.packets),
        sum(|rule| rule.bytes),
        chosen.len()
    )
}

fn show(daemon: &Vswitchd, cx: &Cx, bridge: &Bridge) -> String {
    let dpid = daemon.db.bridge(&bridge.name).and_then(|row| row.bridge.one("datapath_id")).unwrap_or("");
    let mut text = format!(
        "OFPT_FEATURES_REPLY (xid=0x2): dpid:{dpid}\n\
         n_tables:254, n_buffers:0\n\
         capabilities: FLOW_STATS TABLE_STATS PORT_STATS QUEUE_STATS ARP_MATCH_IP\n\
         actions: output enqueue set_vlan_vid set_vlan_pcp strip_vlan mod_dl_src mod_dl_dst mod_nw_src mod_nw_dst \
         mod_nw_tos mod_tp_src mod_tp_dst\n"
    );
    bridge.ports.keys().for_each(|port| text += &port_desc(daemon, cx, bridge, *port));
    text += "OFPT_GET_CONFIG_REPLY (xid=0x4): frags=normal miss_send_len=0\n";
    text
}

fn port_desc(daemon: &Vswitchd, cx: &Cx, bridge: &Bridge, number: u32) -> String {
    let Some(port) = bridge.ports.get(&number) else { return String::new() };
    let Some(dev) = daemon.device(cx.k, port.dp_port).map(|dev| &cx.k.devs[dev]) else {
        return String::new();
    };
    let config = if dev.is_up() { "0" } else { "PORT_DOWN" };
    let state = if dev.dev_get_flags() & IFF_RUNNING != 0 { "0" } else { "LINK_DOWN" };
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
    (wanted, names): (Option<&str>, &PortNames),
) -> Result<Stop, String> {
    let wanted = wanted.map(|text| port_of(text, &bridge.names(true))).transpose()?;
    let mut numbers: Vec<u32> =
        bridge.ports.keys().copied().filter(|port| wanted.is_none_or(|wanted| wanted == *port)).collect();
    numbers.sort_by_key(|port| (*port != ports::LOCAL, *port));
    let xid = if wanted.is_some() { 4 } else { 2 };
    let mut text = format!("OFPST_PORT reply (xid={xid:#x}): {} ports\n", numbers.len());
    for number in numbers {
        let dev = bridge.ports.get(&number).and_then(|port| daemon.device(cx.k, port.dp_port));
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
