//! `ovs-appctl` 3.1.0: asks the daemon about stations, flows and what it would do; and `ovs-dpctl`, which asks the kernel.
//!
//! Not modelled: other targets than `ovs-vswitchd`, other commands.

use std::fmt::Write as _;

use glassnet_kernel::Cx;
use glassnet_kernel::kernel::Kernel;
use glassnet_kernel::tables::openvswitch::flow::{KeyField, SwFlowKey};
use glassnet_kernel::tables::openvswitch::flow_table::MASK_CACHE;
use glassnet_kernel::tables::openvswitch::{Datapath, DpId, VportType};

use super::field::{self, Needs};
use super::flow_mod::FlowMod;
use super::matching::{Match, flow_format};
use super::odp::{Style, dp_port_name, format_actions, format_flow};
use super::ofproto::Bridge;
use super::ports::{self, PortNames};
use super::vswitchd::{DATAPATH, Vswitchd, ask};
use crate::process::{Process, Running};
use crate::stop::Stop;

/// Commands of the daemon that are not modelled.
const UNMODELLED: &[&str] = &[
    "autoattach/show",
    "bfd/show",
    "bond/list",
    "bond/show",
    "bridge/dump-flows",
    "bridge/reconnect",
    "cfm/show",
    "coverage/show",
    "dpctl/add-dp",
    "dpctl/add-flow",
    "dpctl/add-if",
    "dpctl/ct-stats-show",
    "dpctl/del-dp",
    "dpctl/del-flow",
    "dpctl/del-flows",
    "dpctl/del-if",
    "dpctl/dump-conntrack",
    "dpctl/dump-dps",
    "dpctl/flush-conntrack",
    "dpctl/get-flow",
    "dpctl/set-if",
    "dpif-netdev/pmd-stats-show",
    "dpif/dump-dps",
    "dpif/dump-flows",
    "dpif/set-dp-features",
    "dpif/show-dp-features",
    "exit",
    "fdb/add",
    "fdb/del",
    "fdb/stats-clear",
    "lacp/show",
    "list-commands",
    "mdb/flush",
    "mdb/show",
    "memory/show",
    "ofproto/trace-packet-out",
    "ovs/route/show",
    "qos/show",
    "revalidator/purge",
    "rstp/show",
    "stp/show",
    "tnl/arp/show",
    "tnl/ports/show",
    "upcall/show",
    "vlog/list",
    "vlog/set",
];

/// Entry point of `ovs-appctl`.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let mut args = process.args().to_vec();
        match args.first().map(String::as_str) {
            Some("-V" | "--version") => {
                process.print("ovs-appctl (Open vSwitch) 3.1.0\n");
                return 0;
            }
            Some("-t" | "--target") if args.get(1).is_some_and(|target| target == "ovs-vswitchd") => {
                args.drain(..2);
            }
            Some(option) if option.starts_with('-') => {
                process.eprint(format!("ovs-appctl: not modelled yet: option {option}\n"));
                return 1;
            }
            _ => {}
        }
        if args.is_empty() {
            process
                .eprint("ovs-appctl: at least one non-option argument is required (use --help for help)\n");
            return 1;
        }
        match ask(process, move |daemon, cx| run(daemon, cx, &args)).await {
            Some(Ok(text)) => Stop::shown(text).say(process),
            Some(Err(text)) => {
                let stderr = format!("{text}\novs-appctl: ovs-vswitchd: server returned an error\n");
                Stop { stderr, status: 2, ..Stop::default() }.say(process)
            }
            None => {
                let file = "/var/run/openvswitch/ovs-vswitchd.pid";
                let time = crate::date::iso(process.now());
                process.eprint(format!(
                    "{time}|00001|daemon_unix|WARN|{file}: open: No such file or directory\n\
                     ovs-appctl: cannot read pidfile \"{file}\" (No such file or directory)\n"
                ));
                1
            }
        }
    })
}

/// Entry point of `ovs-dpctl`.
pub fn dpctl(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let args = process.args().to_vec();
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        let netns = process.netns;
        let said = process.syscall(|cx| {
            let there = cx.k.datapaths.of(netns).next().map(|(id, _)| id);
            match words.as_slice() {
                ["-V" | "--version"] => Ok("ovs-dpctl (Open vSwitch) 3.1.0\n".to_owned()),
                ["show"] => Ok(there.map(|dp| show(cx.k, dp)).unwrap_or_default()),
                ["dump-flows", rest @ ..] => dump_flows(cx, there, rest),
                ["dump-dps"] => Ok(there.map(|_| format!("system@{DATAPATH}\n")).unwrap_or_default()),
                [] => Err("missing command name; use --help for help".to_owned()),
                [
                    name @ ("add-dp" | "add-flow" | "add-if" | "del-dp" | "del-flow" | "del-flows" | "del-if"
                    | "dump-conntrack" | "get-flow" | "mod-flow" | "set-if" | "show"),
                    ..,
                ] => Err(format!("not modelled yet: command {name} with these arguments")),
                [name, ..] if name.starts_with('-') => Err(format!("not modelled yet: option {name}")),
                [name, ..] => Err(format!("unknown command '{name}'; use --help for help")),
            }
        });
        match said {
            Ok(text) => Stop::shown(text).say(process),
            Err(text) => Stop::error(1, format!("ovs-dpctl: {text}\n")).say(process),
        }
    })
}

fn run(daemon: &mut Vswitchd, cx: &mut Cx, args: &[String]) -> Result<String, String> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["version"] => Ok("ovs-vswitchd (Open vSwitch) 3.1.0\n".to_owned()),
        ["fdb/show", name] => bridge(daemon, name).map(|bridge| fdb_show(bridge, cx)),
        ["fdb/stats-show", name] => bridge(daemon, name).map(fdb_stats),
        ["fdb/flush", rest @ ..] => {
            for name in rest {
                bridge(daemon, name)?;
            }
            for bridge in daemon
                .bridges
                .values_mut()
                .filter(|bridge| rest.is_empty() || rest.contains(&bridge.name.as_str()))
            {
                bridge.macs.clear();
                bridge.need_revalidate = true;
            }
            Ok("table successfully flushed\n".to_owned())
        }
        ["ofproto/list"] => Ok(daemon.bridges.keys().map(|name| format!("{name}\n")).collect()),
        ["ofproto/trace", name, flow] => trace(daemon, cx, name, flow),
        ["dpif/show"] => Ok(dpif_show(daemon, cx.k)),
        ["dpctl/show"] => Ok(daemon.dp.map(|dp| show(cx.k, dp)).unwrap_or_default()),
        ["dpctl/dump-flows", rest @ ..] => dump_flows(cx, daemon.dp, rest),
        [name, ..] if is_known(name) => Err(format!("not modelled yet: {}", words.join(" "))),
        [name, ..] => Err(format!(
            "\"{name}\" is not a valid command (use \"list-commands\" to see a list of valid commands)"
        )),
        [] => Ok(String::new()),
    }
}

fn is_known(name: &str) -> bool {
    const KNOWN: &[&str] = &[
        "fdb/show",
        "fdb/stats-show",
        "ofproto/list",
        "ofproto/trace",
        "dpif/show",
        "dpctl/show",
        "version",
    ];
    KNOWN.contains(&name) || UNMODELLED.contains(&name)
}

fn bridge<'d>(daemon: &'d Vswitchd, name: &str) -> Result<&'d Bridge, String> {
    daemon.bridges.get(name).ok_or_else(|| "no such bridge".to_owned())
}

fn fdb_show(bridge: &Bridge, cx: &Cx) -> String {
    let mut text = " port  VLAN  MAC                Age\n".to_owned();
    for entry in &bridge.macs {
        let port = match entry.port {
            ports::LOCAL => "LOCAL".to_owned(),
            port => format!("{port:5}"),
        };
        let mac = glassnet_kernel::net::openvswitch::flow::field_to_mac(entry.mac);
        // The daemon's clock counts whole seconds here.
        let age = cx.now.0 / 1_000_000_000 - entry.used.0 / 1_000_000_000;
        let _ = writeln!(text, "{port:>5}  {:4}  {mac}  {age:3}", entry.vlan);
    }
    text
}

fn fdb_stats(bridge: &Bridge) -> String {
    format!(
        "Statistics for bridge \"{}\":\n  Current/maximum MAC entries in the table: {}/8192\n  \
         Current static MAC entries in the table : 0\n  Total number of learned MAC entries     : {}\n  \
         Total number of expired MAC entries     : {}\n  Total number of evicted MAC entries     : 0\n  \
         Total number of port moved MAC entries  : {}\n",
        bridge.name,
        bridge.macs.len(),
        bridge.learned,
        bridge.expired,
        bridge.moved
    )
}

fn dpif_show(daemon: &Vswitchd, kernel: &Kernel) -> String {
    let Some(dp) = daemon.dp.and_then(|dp| kernel.datapaths.get(dp)) else { return String::new() };
    let mut text = format!("system@{DATAPATH}: hit:{} missed:{}\n", dp.stats.n_hit, dp.stats.n_missed);
    for bridge in daemon.bridges.values() {
        let _ = writeln!(text, "  {}:", bridge.name);
        let mut ports: Vec<_> = bridge.ports.iter().collect();
        ports.sort_by(|one, other| one.1.name.cmp(&other.1.name));
        for (number, port) in ports {
            let kind = match (port.tunnel(), port.peer()) {
                (Some(tunnel), _) => format!("{}: {}", tunnel.kind.name(), tunnel.format()),
                (None, Some(peer)) => format!("patch: peer={peer}"),
                (None, None) => if port.is_internal { "internal" } else { "system" }.to_owned(),
            };
            let dp_port = port.dp_port.map_or_else(|| "none".to_owned(), |port| port.to_string());
            let _ = writeln!(text, "    {} {number}/{dp_port}: ({kind})", port.name);
        }
    }
    // The bridge's own device has a number beyond those of OpenFlow 1.0.
    text.replace(&format!(" {}/", ports::LOCAL), " 65534/")
}

/// What `ofproto/trace` tells of a packet.
fn trace(daemon: &Vswitchd, cx: &Cx, name: &str, flow: &str) -> Result<String, String> {
    let bridge = daemon.bridges.get(name).ok_or_else(|| format!("{name}: unknown bridge"))?;
    let wrong = |error: String| format!("Bad openflow flow syntax: {flow}: {error}");
    let parsed = FlowMod::parse(flow, &bridge.names(true)).map_err(wrong)?;
    if let Some(name) = unmet(flow, &parsed.matching) {
        return Err(wrong(format!("prerequisites not met for setting {name}")));
    }
    let key = parsed.matching.key;
    let done = daemon.translate(cx.k, name, &key).ok_or_else(|| format!("{name}: unknown bridge"))?;
    let mut text = format!("Flow: {}\n{}", flow_format(&key), done.report.text());
    let after = if done.flow == key { "unchanged".to_owned() } else { flow_format(&done.flow) };
    let megaflow = Match { key: key.masked(&done.wc), mask: megaflow_mask(&key, done.wc) };
    let numbers = PortNames::default();
    let dp = Style { verbose: false, names: None };
    let _ = write!(
        text,
        "\nFinal flow: {after}\nMegaflow: recirc_id=0,eth,{}\nDatapath actions: {}\n",
        megaflow.format(&numbers),
        format_actions(&done.actions, dp)
    );
    Ok(text)
}

/// A field of the description that the packet cannot have. By itself `tp_src` is TCP's.
fn unmet<'f>(flow: &'f str, matching: &Match) -> Option<&'f str> {
    let names = flow.split(',').filter_map(|part| part.split_once('=')).map(|(name, _)| name.trim());
    let is_met = |name: &str| {
        let needs = field::by_name(name).map_or(Needs::Nothing, |field| match field.needs {
            Needs::Ports => Needs::Protocol(field::TCP),
            needs => needs,
        });
        field::has(&matching.key, &matching.mask, needs)
    };
    names.into_iter().find(|name| !is_met(name))
}

/// Of a packet without a tag the bits of the tag are not told.
fn megaflow_mask(key: &SwFlowKey, mut mask: SwFlowKey) -> SwFlowKey {
    if key[KeyField::VlanTci] == 0 {
        mask[KeyField::VlanTci] = 0;
    }
    mask
}

fn dump_flows(cx: &Cx, dp: Option<DpId>, options: &[&str]) -> Result<String, String> {
    let (mut verbose, mut names) = (false, None);
    for option in options {
        match *option {
            "-m" | "--more" => verbose = true,
            "--names" => names = Some(true),
            "--no-names" => names = Some(false),
            option if option == DATAPATH || option == format!("system@{DATAPATH}") => {}
            option => return Err(format!("not modelled yet: dump-flows {option}")),
        }
    }
    let Some((id, dp)) = dp.and_then(|id| Some((id, cx.k.datapaths.get(id)?))) else {
        return Err("no datapaths exist".to_owned());
    };
    let name = |port: u32| dp_port_name(cx.k, id, port);
    let style = Style { verbose, names: names.unwrap_or(verbose).then_some(&name) };
    let line = |(flow_id, flow): (u64, &_)| {
        let line = format_flow(flow, cx.now, style);
        // The identifier of a flow is a hash with a random key.
        if verbose { format!("ufid:{flow_id:08x}-0000-0000-0000-000000000000, {line}") } else { line }
    };
    Ok(dp.table.iter().map(line).collect())
}

/// What `ovs-dpctl show` prints.
fn show(kernel: &Kernel, id: DpId) -> String {
    let Some(dp) = kernel.datapaths.get(id) else { return String::new() };
    let (stats, table) = (&dp.stats, &dp.table);
    let packets = stats.n_hit + stats.n_missed;
    let ratio = |part: u64| if packets == 0 { 0.0 } else { part as f64 / packets as f64 };
    let mut text = format!(
        "system@{}:\n  lookups: hit:{} missed:{} lost:{}\n  flows: {}\n  masks: hit:{} total:{} hit/pkt:{:.2}\n",
        dp.name,
        stats.n_hit,
        stats.n_missed,
        stats.n_lost,
        table.len(),
        stats.n_mask_hit,
        table.num_masks(),
        ratio(stats.n_mask_hit)
    );
    if stats.n_cache_hit > 0 {
        let rate = 100.0 * ratio(stats.n_cache_hit);
        let _ = writeln!(text, "  cache: hit:{} hit-rate:{rate:.2}%", stats.n_cache_hit);
    }
    let _ = write!(text, "  caches:\n    masks-cache: size:{MASK_CACHE}\n");
    ports_of(kernel, dp, &mut text);
    text
}

/// Names of tunnels' devices begin so, and of which type the tunnels are.
const TUNNELS: [(&str, &str); 3] = [("vxlan_sys", "vxlan"), ("genev_sys", "geneve"), ("gre_sys", "gre")];

fn ports_of(kernel: &Kernel, dp: &Datapath, text: &mut String) {
    for port in dp.ports.values() {
        let Some(dev) = kernel.devs.get(port.dev) else { continue };
        // The tool knows tunnels by the names of their devices, and not how they are set.
        let tunnel = TUNNELS.iter().find(|(name, _)| dev.name.starts_with(name)).map(|(_, kind)| *kind);
        let kind = match (port.kind, tunnel) {
            (VportType::Internal, _) => " (internal)".to_owned(),
            (VportType::Netdev, Some(kind)) => format!(" ({kind}: packet_type=ptap)"),
            (VportType::Netdev, None) => String::new(),
        };
        let _ = writeln!(text, "  port {}: {}{kind}", port.port_no, dev.name);
    }
}
