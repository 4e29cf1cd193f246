//! `ethtool` 6.1: what it says of virtual devices, and of a plain card.
//!
//! The features are those of Linux 6.1, read and not changed: offloads are not modelled. A bridge's are those of a
//! bridge with veth ports.

use glassnet_kernel::tables::netdev::{DevKind, NetDevice};

use crate::process::{Process, Running};
use crate::procfs::View;
use crate::stop::{Done, Stop};
use crate::sysfs::device::speed;

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move { run(process) })
}

/// What a command says: text for standard output, or for standard error with a status.
type Said = Done<String>;
type Command = fn(&View, &NetDevice) -> Said;

/// Options that are modelled, what they say, and what they say of a device that is missing.
const COMMANDS: &[(&[&str], Command, Missing)] = &[
    (&["-i", "--driver"], driver, Missing::Ioctl("Cannot get driver information", 71)),
    (&["-S", "--statistics"], statistics, Missing::Ioctl("Cannot get stats strings information", 96)),
    (&["-k", "--show-features", "--show-offload"], features, Missing::Netlink),
    (&["-g", "--show-ring"], unsupported, Missing::Netlink),
    (&["-a", "--show-pause"], unsupported, Missing::Netlink),
    (&["-c", "--show-coalesce"], unsupported, Missing::Netlink),
    (&["-l", "--show-channels"], channels, Missing::Netlink),
    (&["-P", "--show-permaddr"], permanent_address, Missing::Plain),
    (&["-T", "--show-time-stamping"], time_stamping, Missing::Netlink),
];

/// Options that the real tool has and this one does not.
const NOT_MODELLED: &[&str] = &[
    "-s",
    "--change",
    "-A",
    "--pause",
    "-C",
    "--coalesce",
    "-G",
    "--set-ring",
    "-K",
    "--features",
    "--offload",
    "-d",
    "--register-dump",
    "-e",
    "--eeprom-dump",
    "-E",
    "--change-eeprom",
    "-r",
    "--negotiate",
    "-p",
    "--identify",
    "-t",
    "--test",
    "--phy-statistics",
    "-n",
    "-u",
    "--show-nfc",
    "--show-ntuple",
    "-N",
    "-U",
    "--config-nfc",
    "--config-ntuple",
    "-x",
    "--show-rxfh-indir",
    "--show-rxfh",
    "-X",
    "--set-rxfh-indir",
    "--rxfh",
    "-f",
    "--flash",
    "-w",
    "--get-dump",
    "-W",
    "--set-dump",
    "-L",
    "--set-channels",
    "-m",
    "--dump-module-eeprom",
    "--module-info",
    "--show-priv-flags",
    "--set-priv-flags",
    "--show-eee",
    "--set-eee",
    "--set-phy-tunable",
    "--get-phy-tunable",
    "--get-tunable",
    "--set-tunable",
    "--reset",
    "--show-fec",
    "--set-fec",
    "-Q",
    "--per-queue",
    "--cable-test",
    "--cable-test-tdr",
    "--show-tunnels",
    "--show-module",
    "--set-module",
    "--monitor",
    "--json",
    "--debug",
    "-I",
    "--include-statistics",
    "-h",
    "--help",
];

#[derive(Clone, Copy)]
enum Missing {
    /// An ioctl fails: what could not be had, and the status.
    Ioctl(&'static str, i32),
    /// Netlink of ethtool's own family says which device.
    Netlink,
    /// Netlink of routes does not.
    Plain,
}

const NO_DEVICE: &str = "netlink error: no device matches name (offset 24)\nnetlink error: No such device\n";

fn run(process: &mut Process) -> i32 {
    let words = process.args().to_vec();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let said = match words.as_slice() {
        ["--version"] => Ok("ethtool version 6.1\n".to_owned()),
        [option, ..] if NOT_MODELLED.contains(option) => {
            Err(Stop::error(2, format!("not modelled yet: ethtool {option}\n")))
        }
        [option, name] if option.starts_with('-') => match find(option) {
            Some((_, command, missing)) => on_device(process, name, *command, *missing),
            None => Err(bad_command_line()),
        },
        [name] if !name.starts_with('-') => settings_of(process, name),
        _ => Err(bad_command_line()),
    };
    match said {
        Ok(text) => {
            process.print(text);
            0
        }
        Err(stop) => stop.say(process),
    }
}

fn bad_command_line() -> Stop {
    Stop::error(1, "ethtool: bad command line argument(s)\nFor more information run ethtool -h\n")
}

fn find(option: &str) -> Option<&'static (&'static [&'static str], Command, Missing)> {
    COMMANDS.iter().find(|command| command.0.contains(&option))
}

fn on_device(process: &Process, name: &str, command: Command, missing: Missing) -> Said {
    let world = process.world();
    let view = View::new(&world, process.caller(&world));
    match (view.dev(name), missing) {
        (Some(dev), _) => command(&view, dev),
        (None, Missing::Ioctl(what, status)) => Err(Stop::error(status, format!("{what}: No such device\n"))),
        (None, Missing::Netlink) => Err(Stop::error(1, NO_DEVICE)),
        (None, Missing::Plain) => Err(Stop::error(1, "netlink error: No such device\n")),
    }
}

fn yes_no(on: bool) -> &'static str {
    if on { "yes" } else { "no" }
}

fn driver(_: &View, dev: &NetDevice) -> Said {
    let (driver, version, unknown) = match &dev.kind {
        DevKind::Veth { .. } => ("veth", "1.0", ""),
        DevKind::Bridge(_) => ("bridge", "2.3", "N/A"),
        DevKind::Nic(nic) => (nic.driver.as_str(), "6.1.0", ""),
        DevKind::Loopback => {
            return Err(Stop::error(71, "Cannot get driver information: Operation not supported\n"));
        }
    };
    let statistics = yes_no(matches!(dev.kind, DevKind::Veth { .. }));
    Ok(format!(
        "driver: {driver}\nversion: {version}\nfirmware-version: {unknown}\nexpansion-rom-version: \n\
         bus-info: {unknown}\nsupports-statistics: {statistics}\nsupports-test: no\n\
         supports-eeprom-access: no\nsupports-register-dump: no\nsupports-priv-flags: no\n"
    ))
}

fn statistics(view: &View, dev: &NetDevice) -> Said {
    let DevKind::Veth { .. } = dev.kind else { return Err(Stop::error(94, "no stats available\n")) };
    let peer = dev.veth_peer().map_or(0, |peer| view.kernel.devs[peer].ifindex);
    let mut text = format!("NIC statistics:\n     peer_ifindex: {peer}\n");
    for counter in
        ["xdp_packets", "xdp_bytes", "drops", "xdp_redirect", "xdp_drops", "xdp_tx", "xdp_tx_errors"]
    {
        text += &format!("     rx_queue_0_{counter}: 0\n");
    }
    for counter in ["xdp_xmit", "xdp_xmit_errors"] {
        text += &format!("     tx_queue_0_{counter}: 0\n");
    }
    Ok(text)
}

fn features(_: &View, dev: &NetDevice) -> Said {
    let list = match dev.kind {
        DevKind::Veth { .. } => include_str!("features_veth.txt"),
        DevKind::Bridge(_) => include_str!("features_bridge.txt"),
        DevKind::Loopback => include_str!("features_loopback.txt"),
        DevKind::Nic(_) => return Err(Stop::error(2, "not modelled yet: ethtool -k of a network card\n")),
    };
    Ok(format!("Features for {}:\n{list}", dev.name))
}

fn unsupported(_: &View, dev: &NetDevice) -> Said {
    if let DevKind::Nic(_) = dev.kind {
        return Err(Stop::error(2, "not modelled yet: ethtool -g, -a and -c of a network card\n"));
    }
    Err(Stop::error(1, "netlink error: Operation not supported\n"))
}

/// A veth has room for a queue a CPU and uses one.
fn channels(view: &View, dev: &NetDevice) -> Said {
    let DevKind::Veth { .. } = dev.kind else { return unsupported(view, dev) };
    let cpus = view.kernel.cpus.len();
    Ok(format!(
        "Channel parameters for {}:\nPre-set maximums:\nRX:\t\t{cpus}\nTX:\t\t{cpus}\nOther:\t\tn/a\n\
         Combined:\tn/a\nCurrent hardware settings:\nRX:\t\t1\nTX:\t\t1\nOther:\t\tn/a\nCombined:\tn/a\n",
        dev.name
    ))
}

fn permanent_address(_: &View, dev: &NetDevice) -> Said {
    match dev.kind {
        DevKind::Nic(_) => Ok(format!("Permanent address: {}\n", dev.addr)),
        _ => Ok("Permanent address: not set\n".to_owned()),
    }
}

fn time_stamping(_: &View, dev: &NetDevice) -> Said {
    let transmit = if dev.bridge().is_some() { "" } else { "\tsoftware-transmit\n" };
    Ok(format!(
        "Time stamping parameters for {}:\nCapabilities:\n{transmit}\tsoftware-receive\n\
         \tsoftware-system-clock\nPTP Hardware Clock: none\nHardware Transmit Timestamp Modes: none\n\
         Hardware Receive Filter Modes: none\n",
        dev.name
    ))
}

/// `ethtool DEVICE`. Each part of the answer fails on its own if there is no such device.
fn settings_of(process: &Process, name: &str) -> Said {
    let world = process.world();
    let view = View::new(&world, process.caller(&world));
    match view.dev(name) {
        Some(dev) => Ok(settings(&view, dev)),
        None => Err(Stop::error(75, NO_DEVICE.repeat(5) + "No data available\n")),
    }
}

fn settings(view: &View, dev: &NetDevice) -> String {
    let mut text = format!("Settings for {}:\n", dev.name);
    if !dev.is_loopback() {
        let speed = match speed(view, dev) {
            Ok(Some(speed)) => format!("{speed}Mb/s"),
            Err(_) if dev.veth_peer().is_some() => "10000Mb/s".to_owned(),
            _ => "Unknown!".to_owned(),
        };
        let (duplex, port, mdix) = match dev.kind {
            DevKind::Bridge(_) => ("Unknown! (255)", "Other", ""),
            _ => ("Full", "Twisted Pair", "\tMDI-X: Unknown\n"),
        };
        text += &format!(
            "\tSupported ports: [  ]\n\tSupported link modes:   Not reported\n\
             \tSupported pause frame use: No\n\tSupports auto-negotiation: No\n\
             \tSupported FEC modes: Not reported\n\tAdvertised link modes:  Not reported\n\
             \tAdvertised pause frame use: No\n\tAdvertised auto-negotiation: No\n\
             \tAdvertised FEC modes: Not reported\n\tSpeed: {speed}\n\tDuplex: {duplex}\n\
             \tAuto-negotiation: off\n\tPort: {port}\n\tPHYAD: 0\n\tTransceiver: internal\n{mdix}"
        );
    }
    text + &format!("\tLink detected: {}\n", yes_no(dev.is_up() && dev.carrier))
}
