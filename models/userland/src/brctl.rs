//! `brctl` of bridge-utils 1.7.1.

use glassnet_kernel::ids::DevId;
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::net::bridge::br_if::{br_add_if, br_del_if};
use glassnet_kernel::net::core::dev::MAX_NAME;
use glassnet_kernel::net::core::rtnetlink::{LinkNew, LinkSet, rtm_dellink, rtm_newlink};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::bridge::{Bridge, BridgePort};
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_sim::Nanos;

use crate::numbers::base0;
use crate::process::{Process, Running};
use crate::procfs::{self, View};
use crate::sysfs::bridge::{bridge_id, id_mac, port_id};
use crate::sysfs::errno;

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move { run(process) })
}

type Command = fn(&mut Process, &[&str]) -> i32;

/// Name, how many arguments it needs, what the help says of them, and what it does.
const COMMANDS: &[(&str, usize, &str, Command)] = &[
    ("addbr", 1, "<bridge>\t\tadd bridge", addbr),
    ("delbr", 1, "<bridge>\t\tdelete bridge", delbr),
    ("addif", 2, "<bridge> <device>\tadd interface to bridge", addif),
    ("delif", 2, "<bridge> <device>\tdelete interface from bridge", delif),
    ("hairpin", 3, "<bridge> <port> {on|off}\tturn hairpin on/off", hairpin),
    ("setageing", 2, "<bridge> <time>\t\tset ageing time", setageing),
    ("setbridgeprio", 2, "<bridge> <prio>\t\tset bridge priority", setbridgeprio),
    ("setfd", 2, "<bridge> <time>\t\tset bridge forward delay", setfd),
    ("sethello", 2, "<bridge> <time>\t\tset hello time", sethello),
    ("setmaxage", 2, "<bridge> <time>\t\tset max message age", setmaxage),
    ("setpathcost", 3, "<bridge> <port> <cost>\tset path cost", setpathcost),
    ("setportprio", 3, "<bridge> <port> <prio>\tset port priority", setportprio),
    ("show", 0, "[ <bridge> ]\t\tshow a list of bridges", show),
    ("showmacs", 1, "<bridge>\t\tshow a list of mac addrs", showmacs),
    ("showstp", 1, "<bridge>\t\tshow bridge stp info", showstp),
    ("stp", 2, "<bridge> {on|off}\tturn stp on/off", stp),
];

fn usage() -> String {
    let lines = COMMANDS.iter().map(|command| format!("\t{:<10}\t{}\n", command.0, command.2));
    format!("Usage: brctl [commands]\ncommands:\n{}", lines.collect::<String>())
}

fn run(process: &mut Process) -> i32 {
    let words = process.args().to_vec();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    // Options are taken wherever they stand.
    match words.iter().find(|word| word.len() > 1 && word.starts_with('-')) {
        Some(&("-h" | "--help")) => {
            process.print(usage());
            return 0;
        }
        Some(&("-V" | "--version")) => {
            process.print("bridge-utils, 1.7\n");
            return 0;
        }
        Some(option) => {
            let invalid = match option.strip_prefix("--") {
                Some(_) => format!("brctl: unrecognized option '{option}'\n"),
                None => format!("brctl: invalid option -- '{}'\n", option[1..].chars().next().unwrap_or('-')),
            };
            process.eprint(format!("{invalid}Unknown option '?'\n{}", usage()));
            return 1;
        }
        None => {}
    }
    match words.split_first() {
        None => {
            process.eprint(usage());
            1
        }
        Some((name, args)) => match COMMANDS.iter().find(|command| command.0 == *name) {
            Some((name, needed, help, _)) if args.len() < *needed => {
                process.eprint(format!(
                    "Incorrect number of arguments for command\nUsage: brctl {name} {help}\n"
                ));
                1
            }
            Some((.., command)) => command(process, args),
            None => {
                process.eprint(format!("never heard of command [{name}]\n{}", usage()));
                1
            }
        },
    }
}

fn fail(process: &mut Process, text: String) -> i32 {
    process.eprint(text);
    process.eprint("\n");
    1
}

fn view<R>(process: &Process, look: impl FnOnce(&View) -> R) -> R {
    let world = process.world();
    look(&View::new(&world, process.caller(&world)))
}

fn find(process: &Process, name: &str) -> Option<DevId> {
    view(process, |view| view.dev(name).map(|dev| dev.id))
}

/// Device names that are too long are cut, as `strncpy` does.
fn cut(name: &str) -> String {
    String::from_utf8_lossy(&name.as_bytes()[..name.len().min(MAX_NAME)]).into_owned()
}

fn addbr(process: &mut Process, args: &[&str]) -> i32 {
    let (name, netns) = (cut(args[0]), process.netns);
    let new = LinkNew {
        name: Some(name.clone()),
        set: LinkSet { info: Some(LinkInfo::new("bridge")), ..LinkSet::default() },
        ..LinkNew::default()
    };
    let made = process.syscall(|cx| rtm_newlink(cx, netns, new));
    match made.map_err(errno) {
        Ok(_) => 0,
        Err(Errno::EEXIST) => {
            fail(process, format!("device {name} already exists; can't create bridge with the same name"))
        }
        Err(error) => fail(process, format!("add bridge failed: {}", error.strerror())),
    }
}

fn delbr(process: &mut Process, args: &[&str]) -> i32 {
    let name = args[0];
    let found = view(process, |view| view.dev(name).map(|dev| (dev.id, dev.bridge().is_some(), dev.is_up())));
    let (dev, is_bridge, is_up) = match found {
        Some(found) => found,
        None => return fail(process, format!("bridge {name} doesn't exist; can't delete it")),
    };
    if !is_bridge {
        return fail(process, format!("can't delete bridge {name}: {}", Errno::EPERM.strerror()));
    }
    if is_up {
        return fail(process, format!("bridge {name} is still up; can't delete it"));
    }
    let gone = process.syscall(|cx| rtm_dellink(cx, dev));
    match gone {
        Ok(()) => 0,
        Err(error) => fail(process, format!("can't delete bridge {name}: {}", error.errno.strerror())),
    }
}

fn addif(process: &mut Process, args: &[&str]) -> i32 {
    let bridge = args[0];
    for name in &args[1..] {
        let Some(dev) = find(process, name) else {
            return fail(process, format!("interface {name} does not exist!"));
        };
        let Some(id) = find(process, bridge) else {
            return fail(process, format!("bridge {bridge} does not exist!"));
        };
        let added = process.syscall(|cx| match cx.k.devs[id].bridge() {
            Some(_) => br_add_if(cx, id, dev).map_err(errno),
            None => Err(Errno::EOPNOTSUPP),
        });
        let text = match added {
            Ok(()) => continue,
            Err(Errno::EBUSY) => {
                format!("device {name} is already a member of a bridge; can't add it to bridge {bridge}.")
            }
            Err(Errno::ELOOP) => format!(
                "device {name} is a bridge device itself; can't add a bridge device to a bridge device."
            ),
            Err(error) => format!("can't add {name} to bridge {bridge}: {}", error.strerror()),
        };
        return fail(process, text);
    }
    0
}

fn delif(process: &mut Process, args: &[&str]) -> i32 {
    let bridge = args[0];
    for name in &args[1..] {
        let Some(dev) = find(process, name) else {
            return fail(process, format!("interface {name} does not exist!"));
        };
        let Some(id) = find(process, bridge) else {
            return fail(process, format!("bridge {bridge} does not exist!"));
        };
        let removed = process.syscall(|cx| {
            if cx.k.devs[id].bridge().is_none() {
                return Err(Errno::EOPNOTSUPP);
            }
            if cx.k.devs[dev].master() != Some(id) {
                return Err(Errno::EINVAL);
            }
            br_del_if(cx, id, dev);
            Ok(())
        });
        let text = match removed {
            Ok(()) => continue,
            Err(Errno::EINVAL) => format!("device {name} is not a port of {bridge}"),
            Err(error) => format!("can't delete {name} from {bridge}: {}", error.strerror()),
        };
        return fail(process, text);
    }
    0
}

/// Writes a file in a bridge's directory, as the library of `brctl` does. What is no bridge is `EOPNOTSUPP`, what
/// is missing `ENODEV`, as the ioctls say that it then tries.
fn store(process: &Process, bridge: &str, file: &str, value: u64) -> Result<(), Errno> {
    view(process, |view| match view.dev(bridge) {
        None => Err(Errno::ENODEV),
        Some(dev) if dev.bridge().is_none() => Err(Errno::EOPNOTSUPP),
        Some(_) => Ok(()),
    })?;
    let path = format!("/sys/class/net/{bridge}/{file}");
    let mut world = process.world();
    let caller = process.caller(&world);
    procfs::write(&mut world, caller, &path, &format!("{value}\n"))
}

/// Writes a file in a port's directory.
fn store_port(process: &Process, bridge: &str, port: &str, file: &str, value: u64) -> Result<(), Errno> {
    let there = find(process, port).is_some() || find(process, bridge).is_none();
    if there { store(process, bridge, &format!("brif/{port}/{file}"), value) } else { Err(Errno::ENODEV) }
}

/// The number at the start of a word, as `sscanf("%lf")` reads it, in seconds.
fn seconds(word: &str) -> Option<f64> {
    let end = word.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').unwrap_or(word.len());
    word[..end].parse().ok()
}

/// The number at the start of a word, as `sscanf("%i")` reads it.
fn integer(word: &str) -> Option<i64> {
    let (sign, digits) = word.strip_prefix('-').map_or((1, word), |digits| (-1, digits));
    Some(sign * i64::try_from(base0(digits)?.value?).ok()?)
}

fn on_off(word: &str) -> Option<u64> {
    match word {
        "on" | "yes" | "1" => Some(1),
        "off" | "no" | "0" => Some(0),
        _ => None,
    }
}

/// The exit status of a setting, with what the kernel has against it.
fn set(process: &mut Process, what: &str, done: Result<(), Errno>) -> i32 {
    match done {
        Ok(()) => 0,
        Err(error) => fail(process, format!("set {what} failed: {}", error.strerror())),
    }
}

fn set_time(process: &mut Process, args: &[&str], file: &str, bad: &str, failed: &str) -> i32 {
    let Some(time) = seconds(args[1]) else { return fail(process, format!("bad {bad} value")) };
    // Hundredths of a second; a negative time wraps to one that is far too long.
    let hundredths = if time < 0.0 { u64::MAX } else { (time * 100.0) as u64 };
    let done = store(process, args[0], &format!("bridge/{file}"), hundredths);
    set(process, failed, done)
}

fn setageing(process: &mut Process, args: &[&str]) -> i32 {
    set_time(process, args, "ageing_time", "ageing time", "ageing time")
}

fn setfd(process: &mut Process, args: &[&str]) -> i32 {
    set_time(process, args, "forward_delay", "forward delay", "forward delay")
}

fn sethello(process: &mut Process, args: &[&str]) -> i32 {
    set_time(process, args, "hello_time", "hello timer", "hello timer")
}

fn setmaxage(process: &mut Process, args: &[&str]) -> i32 {
    set_time(process, args, "max_age", "max age", "max age")
}

fn setbridgeprio(process: &mut Process, args: &[&str]) -> i32 {
    let Some(priority) = integer(args[1]) else { return fail(process, "bad priority".to_owned()) };
    let done = store(process, args[0], "bridge/priority", priority as u64 & 0xffff);
    set(process, "bridge priority", done)
}

fn set_port(process: &mut Process, args: &[&str], file: &str, what: &str, failed: &str) -> i32 {
    let Some(value) = integer(args[2]) else { return fail(process, format!("bad {what} value")) };
    let done = store_port(process, args[0], args[1], file, value as u64);
    set(process, failed, done)
}

fn setpathcost(process: &mut Process, args: &[&str]) -> i32 {
    set_port(process, args, "path_cost", "path cost", "path cost")
}

fn setportprio(process: &mut Process, args: &[&str]) -> i32 {
    set_port(process, args, "priority", "path priority", "port priority")
}

fn hairpin(process: &mut Process, args: &[&str]) -> i32 {
    let (bridge, port) = (args[0], args[1]);
    let Some(on) = on_off(args[2]) else { return fail(process, "expect on/off for argument".to_owned()) };
    match store_port(process, bridge, port, "hairpin_mode", on) {
        Ok(()) => 0,
        Err(Errno::ENODEV) if find(process, port).is_none() => {
            fail(process, format!("interface {port} does not exist!"))
        }
        Err(Errno::ENODEV) => fail(process, format!("bridge {bridge} does not exist!")),
        Err(error) => {
            fail(process, format!("can't set {port} to hairpin on bridge {bridge}: {}", error.strerror()))
        }
    }
}

fn stp(process: &mut Process, args: &[&str]) -> i32 {
    let Some(on) = on_off(args[1]) else { return fail(process, "expect on/off for argument".to_owned()) };
    if on == 1 && view(process, |view| view.dev(args[0]).is_some_and(|dev| dev.bridge().is_some())) {
        process.eprint("not modelled yet: stp on\n");
        return 2;
    }
    match store(process, args[0], "bridge/stp_state", on) {
        Ok(()) => 0,
        Err(error) => fail(process, format!("set stp status failed: {}", error.strerror())),
    }
}

/// The ports of a bridge in the order of their names, as their directory is read.
fn ports<'v>(view: &View<'v>, bridge: &Bridge) -> Vec<&'v NetDevice> {
    let mut ports: Vec<&NetDevice> = bridge.ports.iter().map(|port| &view.kernel.devs[*port]).collect();
    ports.sort_by(|a, b| a.name.cmp(&b.name));
    ports
}

fn id_of(dev: &NetDevice, bridge: &Bridge) -> String {
    bridge_id(bridge.conf.priority, id_mac(dev, bridge))
}

fn show(process: &mut Process, args: &[&str]) -> i32 {
    let mut names: Vec<String> = args.iter().map(|name| name.to_string()).collect();
    if args.is_empty() {
        names = view(process, |view| {
            view.devs().filter(|dev| dev.bridge().is_some()).map(|dev| dev.name.clone()).collect()
        });
        names.sort();
    }
    let (mut status, mut head) = (0, "bridge name\tbridge id\t\tSTP enabled\tinterfaces\n");
    for name in names {
        match view(process, |view| view.dev(&name).map(|dev| Some(show_one(view, dev, dev.bridge()?)))) {
            Some(Some(text)) => {
                process.print(std::mem::take(&mut head));
                process.print(text);
            }
            Some(None) => status = fail(process, format!("device {name} is not a bridge!")),
            None => status = fail(process, format!("bridge {name} does not exist!")),
        }
    }
    status
}

fn show_one(view: &View, dev: &NetDevice, bridge: &Bridge) -> String {
    let stp = if bridge.conf.stp_state { "yes" } else { "no" };
    let names: Vec<&str> = ports(view, bridge).iter().map(|port| port.name.as_str()).collect();
    format!("{}\t\t{}\t{stp}\t\t{}\n", dev.name, id_of(dev, bridge), names.join("\n\t\t\t\t\t\t\t"))
}

/// Seconds with two decimals, four places before the point.
fn timer(time: Nanos) -> String {
    let hundredths = time.0 / 10_000_000;
    format!("{:4}.{:02}", hundredths / 100, hundredths % 100)
}

fn showmacs(process: &mut Process, args: &[&str]) -> i32 {
    let text = view(process, |view| {
        let bridge = view.dev(args[0])?.bridge()?;
        let mut entries: Vec<_> = bridge.fdb.iter().collect();
        entries.sort_by_key(|entry| entry.mac);
        let mut text = "port no\tmac addr\t\tis local?\tageing timer\n".to_owned();
        for entry in entries {
            let port = entry.port.and_then(|port| view.kernel.devs.get(port)?.port.as_ref());
            // The kernel does not hand out entries of the bridge itself.
            let Some(port) = port else { continue };
            let local = if entry.is_local { "yes" } else { "no" };
            let age = if entry.is_static { Nanos::ZERO } else { view.now.since(entry.updated) };
            text += &format!("{:3}\t{}\t{local}\t\t{}\n", port.port_no, entry.mac, timer(age));
        }
        Some(text)
    });
    match text {
        Some(text) => {
            process.print(text);
            0
        }
        None => {
            let error = if find(process, args[0]).is_some() { Errno::EOPNOTSUPP } else { Errno::ENODEV };
            fail(process, format!("read of forward table failed: {}", error.strerror()))
        }
    }
}

fn showstp(process: &mut Process, args: &[&str]) -> i32 {
    let name = args[0];
    let text = view(process, |view| {
        let dev = view.dev(name)?;
        let bridge = dev.bridge()?;
        let ports = ports(view, bridge);
        let ports =
            ports.iter().filter_map(|port| Some(port_stp(port, port.port.as_ref()?, &id_of(dev, bridge))));
        Some(bridge_stp(dev, bridge) + &ports.collect::<String>())
    });
    match text {
        Some(text) => {
            process.print(text);
            0
        }
        None if find(process, name).is_some() => fail(process, format!("device {name} is not a bridge!")),
        None => fail(process, format!("bridge {name} does not exist!")),
    }
}

/// The spanning tree does not run, so its own timers stand at zero.
fn bridge_stp(dev: &NetDevice, bridge: &Bridge) -> String {
    let id = id_of(dev, bridge);
    let conf = &bridge.conf;
    let (age, hello, delay) = (timer(conf.max_age), timer(conf.hello_time), timer(conf.forward_delay));
    let zero = timer(Nanos::ZERO);
    format!(
        "{}\n bridge id\t\t{id}\n designated root\t{id}\n root port\t\t{:4}\t\t\tpath cost\t\t{:4}\n \
         max age\t\t{age}\t\t\tbridge max age\t\t{age}\n hello time\t\t{hello}\t\t\tbridge hello time\t{hello}\n \
         forward delay\t\t{delay}\t\t\tbridge forward delay\t{delay}\n ageing time\t\t{}\n \
         hello timer\t\t{zero}\t\t\ttcn timer\t\t{zero}\n topology change timer\t{zero}\t\t\tgc timer\t\t{zero}\n \
         flags\t\t\t\n\n\n",
        dev.name,
        0,
        0,
        timer(conf.ageing_time)
    )
}

fn port_stp(dev: &NetDevice, port: &BridgePort, bridge: &str) -> String {
    let zero = timer(Nanos::ZERO);
    let id = port_id(port);
    let hairpin = if port.flags.hairpin { " hairpin mode\t\t   1\n" } else { "" };
    format!(
        "{} ({})\n port id\t\t{id:04x}\t\t\tstate\t\t{:>15}\n designated root\t{bridge}\tpath cost\t\t{:4}\n \
         designated bridge\t{bridge}\tmessage age timer\t{zero}\n \
         designated port\t{id:04x}\t\t\tforward delay timer\t{zero}\n \
         designated cost\t{:4}\t\t\thold timer\t\t{zero}\n flags\t\t\t\n{hairpin}\n",
        dev.name,
        port.port_no,
        port.state.name(),
        port.path_cost,
        0
    )
}
