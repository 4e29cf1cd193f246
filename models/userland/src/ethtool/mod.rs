//! `ethtool` 6.1.
//!
//! | module | owns |
//! |---|---|
//! | [`channels`] | `-l`, `-L` |
//! | [`coalesce`] | `-c`, `-C` |
//! | [`features`] | `-k`, `-K` |
//! | [`params`] | how parameters are read |
//! | [`rings`] | `-g`, `-G` |
//! | [`rxfh`] | `-x`, `-X`, `-n`, `-N` |
//!
//! The features are those of Linux 6.1.

mod channels;
mod coalesce;
mod features;
mod params;
mod rings;
mod rxfh;

use glassnet_kernel::link::{DrvInfo, LinkKsettings};
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_wire::Mac;

use self::features::features;
use crate::identity::RELEASE;
use crate::process::{Process, Running};
use crate::procfs::View;
use crate::stop::{Done, Stop};

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move { run(process) })
}

/// Result of a command: text for standard output, or an error with a status.
type Said = Done<String>;
type Command = fn(&View, &NetDevice) -> Said;

/// Modelled options, their function, and their error for a missing device.
const COMMANDS: &[(&[&str], Command, Missing)] = &[
    (&["-i", "--driver"], driver, Missing::Ioctl("Cannot get driver information", 71)),
    (&["-S", "--statistics"], statistics, Missing::Ioctl("Cannot get stats strings information", 96)),
    (&["-k", "--show-features", "--show-offload"], features, Missing::Netlink),
    (&["-g", "--show-ring"], rings::show, Missing::Netlink),
    (&["-a", "--show-pause"], pause, Missing::Netlink),
    (&["-c", "--show-coalesce"], coalesce::show, Missing::Netlink),
    (&["-l", "--show-channels"], channels::show, Missing::Netlink),
    (&["-P", "--show-permaddr"], permanent_address, Missing::Plain),
    (&["-T", "--show-time-stamping"], time_stamping, Missing::Netlink),
];

/// A command that takes words behind the device, or has errors of its own for a missing device.
type Setter = fn(&Process, &str, &[&str]) -> Said;

/// Modelled options with words behind the device.
const SETTERS: &[(&[&str], Setter)] = &[
    (&["-C", "--coalesce"], coalesce::set),
    (&["-G", "--set-ring"], rings::set),
    (&["-K", "--features", "--offload"], features::set),
    (&["-L", "--set-channels"], channels::set),
    (&["-N", "-U", "--config-nfc", "--config-ntuple"], rxfh::set_rule),
    (&["-X", "--set-rxfh-indir", "--rxfh"], rxfh::set),
    (&["-n", "-u", "--show-nfc", "--show-ntuple"], rxfh::show_rule),
    (&["-x", "--show-rxfh-indir", "--show-rxfh"], rxfh::show),
];

/// Options of the real tool that are not modelled.
const NOT_MODELLED: &[&str] = &[
    "-s",
    "--change",
    "-A",
    "--pause",
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
    "-f",
    "--flash",
    "-w",
    "--get-dump",
    "-W",
    "--set-dump",
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
    /// ioctl: description of the failed request, and exit status.
    Ioctl(&'static str, i32),
    /// ethtool netlink: the error names the device.
    Netlink,
    /// rtnetlink: the error does not name the device.
    Plain,
}

const NO_DEVICE: &str = "netlink error: no device matches name (offset 24)\nnetlink error: No such device\n";

fn run(process: &mut Process) -> i32 {
    let words = process.args().to_vec();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let setter = words.first().and_then(|option| setter(option));
    let said = match (words.as_slice(), setter) {
        ([_, name, words @ ..], Some(set)) => set(process, name, words),
        (["--version"], _) => Ok("ethtool version 6.1\n".to_owned()),
        ([option, ..], _) if NOT_MODELLED.contains(option) => {
            Err(Stop::error(2, format!("not modelled yet: ethtool {option}\n")))
        }
        ([option, name], _) if option.starts_with('-') => match find(option) {
            Some((_, command, missing)) => on_device(process, name, *command, *missing),
            None => Err(bad_command_line()),
        },
        ([name], _) if !name.starts_with('-') => settings_of(process, name),
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

fn setter(option: &str) -> Option<Setter> {
    SETTERS.iter().find(|(options, _)| options.contains(&option)).map(|(_, set)| *set)
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

/// Defaults of `ethtool_get_drvinfo`: kind and kernel release.
fn driver(_: &View, dev: &NetDevice) -> Said {
    let generic = dev.ops.kind.map(|kind| DrvInfo {
        driver: kind.to_owned(),
        version: "",
        fw_version: "",
        bus_info: String::new(),
    });
    let Some(info) = dev.ops.ethtool.get_drvinfo.map(|get| get(dev)).or(generic) else {
        return Err(Stop::error(71, "Cannot get driver information: Operation not supported\n"));
    };
    let statistics = yes_no(dev.ops.ethtool.get_ethtool_stats.is_some());
    let version = if info.version.is_empty() { RELEASE } else { info.version };
    let hardware = yes_no(dev.ops.ethtool.is_hardware);
    Ok(format!(
        "driver: {}\nversion: {}\nfirmware-version: {}\nexpansion-rom-version: \n\
         bus-info: {}\nsupports-statistics: {statistics}\nsupports-test: {hardware}\n\
         supports-eeprom-access: {hardware}\nsupports-register-dump: {hardware}\nsupports-priv-flags: {hardware}\n",
        info.driver, version, info.fw_version, info.bus_info
    ))
}

fn statistics(view: &View, dev: &NetDevice) -> Said {
    let Some(get) = dev.ops.ethtool.get_ethtool_stats else {
        return Err(Stop::error(94, "no stats available\n"));
    };
    let lines = get(view.kernel, dev).into_iter().map(|(name, value)| format!("     {name}: {value}\n"));
    Ok(format!("NIC statistics:\n{}", lines.collect::<String>()))
}

fn unsupported(_: &View, _: &NetDevice) -> Said {
    Err(Stop::error(1, "netlink error: Operation not supported\n"))
}

fn pause(view: &View, dev: &NetDevice) -> Said {
    if dev.ops.ethtool.is_hardware {
        return Err(Stop::error(2, "not modelled yet: ethtool -a of a network card\n"));
    }
    unsupported(view, dev)
}

fn permanent_address(_: &View, dev: &NetDevice) -> Said {
    Ok(match dev.perm_addr {
        Mac::ZERO => "Permanent address: not set\n".to_owned(),
        address => format!("Permanent address: {address}\n"),
    })
}

fn time_stamping(_: &View, dev: &NetDevice) -> Said {
    let transmit = if dev.ops.ethtool.tx_timestamps { "\tsoftware-transmit\n" } else { "" };
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
        Some(dev) => settings(&view, dev).ok_or_else(|| Stop::error(75, "No data available\n")),
        None => Err(Stop::error(75, NO_DEVICE.repeat(5) + "No data available\n")),
    }
}

/// `None` if the driver reports neither settings nor link state.
fn settings(view: &View, dev: &NetDevice) -> Option<String> {
    let ethtool = &dev.ops.ethtool;
    let mut text = format!("Settings for {}:\n", dev.name);
    if let Some(get) = ethtool.get_link_ksettings {
        let LinkKsettings { speed, full_duplex, twisted_pair } = get(view.kernel, dev);
        let speed = speed.map_or("Unknown!".to_owned(), |speed| format!("{speed}Mb/s"));
        let duplex = if full_duplex { "Full" } else { "Unknown! (255)" };
        let (port, mdix) = if twisted_pair { ("Twisted Pair", "\tMDI-X: Unknown\n") } else { ("Other", "") };
        text += &format!(
            "\tSupported ports: [  ]\n\tSupported link modes:   Not reported\n\
             \tSupported pause frame use: No\n\tSupports auto-negotiation: No\n\
             \tSupported FEC modes: Not reported\n\tAdvertised link modes:  Not reported\n\
             \tAdvertised pause frame use: No\n\tAdvertised auto-negotiation: No\n\
             \tAdvertised FEC modes: Not reported\n\tSpeed: {speed}\n\tDuplex: {duplex}\n\
             \tAuto-negotiation: off\n\tPort: {port}\n\tPHYAD: 0\n\tTransceiver: internal\n{mdix}"
        );
    }
    if ethtool.get_link {
        text += &format!("\tLink detected: {}\n", yes_no(dev.is_up() && dev.carrier));
    }
    (ethtool.get_link || ethtool.get_link_ksettings.is_some()).then_some(text)
}
