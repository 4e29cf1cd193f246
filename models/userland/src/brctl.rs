//! `brctl` of bridge-utils 1.7.1.

use glassnet_kernel::ids::DevId;
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::net::bridge::br_attrs::{BrAttr, clock_t};
use glassnet_kernel::net::bridge::br_if::{br_add_if, br_del_if};
use glassnet_kernel::net::bridge::{br_attrs_bridge as bridge, br_attrs_port as port};
use glassnet_kernel::net::core::dev::MAX_NAME;
use glassnet_kernel::net::core::rtnetlink::{LinkNew, LinkSet, rtm_dellink, rtm_newlink};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::bridge::{Bridge, PortState};
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_sim::Nanos;

use crate::numbers::base0;
use crate::process::{Process, Running};
use crate::procfs::{self, View};
use crate::sysfs::bridge::bridge_id;
use crate::sysfs::errno;

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move { run(process) })
}

type Command = fn(&mut Process, &[&str]) -> i32;

/// Name, least number of arguments, help text, function.
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
    // Options may stand anywhere.
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

/// Truncates device names as `strncpy` does.
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

/// Writes an attribute's file, as the library of `brctl` does. A device that is not a bridge is `EOPNOTSUPP`, a missing
/// one `ENODEV`: the answers of the ioctls that it tries next.
fn store_file(process: &Process, bridge: &str, dir: &str, attr: &BrAttr, value: u64) -> Result<(), Errno> {
    view(process, |view| match view.dev(bridge) {
        None => Err(Errno::ENODEV),
        Some(dev) if dev.bridge().is_none() => Err(Errno::EOPNOTSUPP),
        Some(_) => Ok(()),
    })?;
    let file = attr.file.ok_or(Errno::EOPNOTSUPP)?;
    let mut world = process.world();
    let caller = process.caller(&world);
    procfs::write(&mut world, caller, &format!("/sys/class/net/{bridge}/{dir}/{file}"), &format!("{value}\n"))
}

/// Sets an attribute of a bridge.
fn store(process: &Process, bridge: &str, attr: &BrAttr, value: u64) -> Result<(), Errno> {
    store_file(process, bridge, "bridge", attr, value)
}

/// Sets an attribute of a port.
fn store_port(process: &Process, bridge: &str, port: &str, attr: &BrAttr, value: u64) -> Result<(), Errno> {
    let exists = find(process, port).is_some() || find(process, bridge).is_none();
    if exists {
        store_file(process, bridge, &format!("brif/{port}"), attr, value)
    } else {
        Err(Errno::ENODEV)
    }
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

/// The exit status of a setting, after the message if the kernel refused it.
fn set(process: &mut Process, what: &str, done: Result<(), Errno>) -> i32 {
    match done {
        Ok(()) => 0,
        Err(error) => fail(process, format!("set {what} failed: {}", error.strerror())),
    }
}

/// Sets a time; the errors call it by `name`.
fn set_time(process: &mut Process, args: &[&str], attr: &BrAttr, name: &str) -> i32 {
    let Some(time) = seconds(args[1]) else { return fail(process, format!("bad {name} value")) };
    // Hundredths of a second; a negative time wraps to a value that is out of range.
    let hundredths = if time < 0.0 { u64::MAX } else { (time * 100.0) as u64 };
    let done = store(process, args[0], attr, hundredths);
    set(process, name, done)
}

fn setageing(process: &mut Process, args: &[&str]) -> i32 {
    set_time(process, args, &bridge::AGEING_TIME, "ageing time")
}

fn setfd(process: &mut Process, args: &[&str]) -> i32 {
    set_time(process, args, &bridge::FORWARD_DELAY, "forward delay")
}

fn sethello(process: &mut Process, args: &[&str]) -> i32 {
    set_time(process, args, &bridge::HELLO_TIME, "hello timer")
}

fn setmaxage(process: &mut Process, args: &[&str]) -> i32 {
    set_time(process, args, &bridge::MAX_AGE, "max age")
}

fn setbridgeprio(process: &mut Process, args: &[&str]) -> i32 {
    let Some(priority) = integer(args[1]) else { return fail(process, "bad priority".to_owned()) };
    let done = store(process, args[0], &bridge::PRIORITY, priority as u64 & 0xffff);
    set(process, "bridge priority", done)
}

fn set_port(process: &mut Process, args: &[&str], attr: &BrAttr, what: &str, failed: &str) -> i32 {
    let Some(value) = integer(args[2]) else { return fail(process, format!("bad {what} value")) };
    let done = store_port(process, args[0], args[1], attr, value as u64);
    set(process, failed, done)
}

fn setpathcost(process: &mut Process, args: &[&str]) -> i32 {
    set_port(process, args, &port::COST, "path cost", "path cost")
}

fn setportprio(process: &mut Process, args: &[&str]) -> i32 {
    set_port(process, args, &port::PRIORITY, "path priority", "port priority")
}

fn hairpin(process: &mut Process, args: &[&str]) -> i32 {
    let (bridge, port) = (args[0], args[1]);
    let Some(on) = on_off(args[2]) else { return fail(process, "expect on/off for argument".to_owned()) };
    match store_port(process, bridge, port, &port::HAIRPIN, on) {
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
    match store(process, args[0], &bridge::STP_STATE, on) {
        Ok(()) => 0,
        Err(error) => fail(process, format!("set stp status failed: {}", error.strerror())),
    }
}

/// The ports of a bridge sorted by name, as in a directory listing.
fn ports<'v>(view: &View<'v>, bridge: &Bridge) -> Vec<&'v NetDevice> {
    let mut ports: Vec<&NetDevice> = bridge.ports.iter().map(|port| &view.kernel.devs[*port]).collect();
    ports.sort_by(|a, b| a.name.cmp(&b.name));
    ports
}

fn number(view: &View, dev: &NetDevice, attr: &BrAttr) -> u64 {
    attr.get(view.kernel, dev, view.now).unwrap_or_default()
}

fn id_of(view: &View, dev: &NetDevice, attr: &BrAttr) -> String {
    bridge_id(number(view, dev, attr))
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
    let stp = if number(view, dev, &bridge::STP_STATE) != 0 { "yes" } else { "no" };
    let names: Vec<&str> = ports(view, bridge).iter().map(|port| port.name.as_str()).collect();
    format!(
        "{}\t\t{}\t{stp}\t\t{}\n",
        dev.name,
        id_of(view, dev, &bridge::BRIDGE_ID),
        names.join("\n\t\t\t\t\t\t\t")
    )
}

/// Hundredths of a second as seconds with two decimals, four places before the point.
fn timer(hundredths: u64) -> String {
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
            // The kernel does not return entries of the bridge itself.
            let Some(port) = port else { continue };
            let local = if entry.is_local { "yes" } else { "no" };
            let age = if entry.is_static { Nanos::ZERO } else { view.now.since(entry.updated) };
            text += &format!("{:3}\t{}\t{local}\t\t{}\n", port.port_no, entry.mac, timer(clock_t(age)));
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
        let ports = ports(view, dev.bridge()?);
        let ports = ports.iter().map(|port| port_stp(view, port));
        Some(bridge_stp(view, dev) + &ports.collect::<String>())
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

fn bridge_stp(view: &View, dev: &NetDevice) -> String {
    let number = |attr| number(view, dev, attr);
    let time = |attr| timer(number(attr));
    let (age, hello, delay) =
        (time(&bridge::MAX_AGE), time(&bridge::HELLO_TIME), time(&bridge::FORWARD_DELAY));
    format!(
        "{}\n bridge id\t\t{}\n designated root\t{}\n root port\t\t{:4}\t\t\tpath cost\t\t{:4}\n \
         max age\t\t{age}\t\t\tbridge max age\t\t{age}\n hello time\t\t{hello}\t\t\tbridge hello time\t{hello}\n \
         forward delay\t\t{delay}\t\t\tbridge forward delay\t{delay}\n ageing time\t\t{}\n \
         hello timer\t\t{}\t\t\ttcn timer\t\t{}\n topology change timer\t{}\t\t\tgc timer\t\t{}\n \
         flags\t\t\t\n\n\n",
        dev.name,
        id_of(view, dev, &bridge::BRIDGE_ID),
        id_of(view, dev, &bridge::DESIGNATED_ROOT),
        number(&bridge::ROOT_PORT),
        number(&bridge::ROOT_PATH_COST),
        time(&bridge::AGEING_TIME),
        time(&bridge::HELLO_TIMER),
        time(&bridge::TCN_TIMER),
        time(&bridge::TOPOLOGY_CHANGE_TIMER),
        time(&bridge::GC_TIMER),
    )
}

fn port_stp(view: &View, dev: &NetDevice) -> String {
    let number = |attr| number(view, dev, attr);
    let time = |attr| timer(number(attr));
    let hairpin = if number(&port::HAIRPIN) != 0 { " hairpin mode\t\t   1\n" } else { "" };
    format!(
        "{} ({})\n port id\t\t{:04x}\t\t\tstate\t\t{:>15}\n designated root\t{}\tpath cost\t\t{:4}\n \
         designated bridge\t{}\tmessage age timer\t{}\n \
         designated port\t{:04x}\t\t\tforward delay timer\t{}\n \
         designated cost\t{:4}\t\t\thold timer\t\t{}\n flags\t\t\t\n{hairpin}\n",
        dev.name,
        number(&port::PORT_NO),
        number(&port::PORT_ID),
        PortState::ALL[number(&port::STATE) as usize].name(),
        id_of(view, dev, &port::DESIGNATED_ROOT),
        number(&port::COST),
        id_of(view, dev, &port::DESIGNATED_BRIDGE),
        time(&port::MESSAGE_AGE_TIMER),
        number(&port::DESIGNATED_PORT),
        time(&port::FORWARD_DELAY_TIMER),
        number(&port::DESIGNATED_COST),
        time(&port::HOLD_TIMER),
    )
}
