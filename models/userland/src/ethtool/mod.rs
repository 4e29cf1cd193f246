//! `ethtool` 6.1.
//!
//! | module | owns |
//! |---|---|
//! | [`channels`] | `-l`, `-L` |
//! | [`coalesce`] | `-c`, `-C` |
//! | [`features`] | `-k`, `-K` |
//! | [`link`] | no option, `-s`, `-a`, `-A`, `-r` |
//! | [`params`] | how parameters are read |
//! | [`rings`] | `-g`, `-G` |
//! | [`rxfh`] | `-x`, `-X`, `-n`, `-N` |
//!
//! The features are those of Linux 6.1.

mod channels;
mod coalesce;
mod features;
mod link;
mod params;
mod rings;
mod rxfh;

use glassnet_kernel::link::{DrvInfo, TsInfo};
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_sim::Nanos;
use glassnet_wire::Mac;

use self::features::features;
use crate::identity::RELEASE;
use crate::numbers;
use crate::process::{Process, Running};
use crate::procfs::View;
use crate::sleep::FOREVER;
use crate::stop::{Done, Stop};

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let words = process.args().to_vec();
        match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["-p" | "--identify", name, ref seconds @ ..] if seconds.len() <= 1 => {
                identify(process, name, seconds.first().copied()).await
            }
            _ => run(process),
        }
    })
}

/// `ethtool -p DEVICE [N]`: a lamp of the card blinks for so long, or until the program is interrupted.
async fn identify(process: &mut Process, name: &str, seconds: Option<&str>) -> i32 {
    let span = match seconds.map(numbers::whole) {
        None | Some(Some(0)) => FOREVER,
        Some(Some(seconds)) => Nanos::from_secs(seconds),
        Some(None) => return bad_command_line().say(process),
    };
    let error = {
        let world = process.world();
        let view = View::new(&world, process.caller(&world));
        match view.dev(name) {
            None => Some("No such device"),
            Some(dev) if !dev.ops.ethtool.is_hardware => Some("Operation not supported"),
            Some(_) => None,
        }
    };
    if let Some(error) = error {
        return Stop::error(255, format!("Cannot identify NIC: {error}\n")).say(process);
    }
    match process.sleep(span).await {
        Ok(()) => 0,
        Err(signal) => signal.exit_status(),
    }
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
    (&["-a", "--show-pause"], link::pause, Missing::Netlink),
    (&["-c", "--show-coalesce"], coalesce::show, Missing::Netlink),
    (&["-l", "--show-channels"], channels::show, Missing::Netlink),
    (&["-P", "--show-permaddr"], permanent_address, Missing::Plain),
    (&["-T", "--show-time-stamping"], time_stamping, Missing::Netlink),
    (&["-m", "--dump-module-eeprom", "--module-info"], unsupported, Missing::Netlink),
    (&["--show-eee"], unsupported, Missing::Netlink),
    (&["--show-fec"], unsupported, Missing::Netlink),
    (&["--show-module"], module, Missing::Netlink),
    (&["--show-tunnels"], tunnels, Missing::Netlink),
    (&["--show-priv-flags"], priv_flags, Missing::Netlink),
    (&["--phy-statistics"], phy_statistics, Missing::Ioctl("Cannot get stats strings information", 96)),
    (&["-w", "--get-dump"], dump, Missing::Ioctl("Can not get dump level", 1)),
    (&["-d", "--register-dump"], registers, Missing::Ioctl("Cannot get driver information", 72)),
    (&["-e", "--eeprom-dump"], eeprom, Missing::Ioctl("Cannot get driver information", 74)),
    (&["-t", "--test"], test, Missing::Ioctl("Cannot get strings", 74)),
];

/// A command that takes words behind the device, or has errors of its own for a missing device.
type Setter = fn(&Process, &str, &[&str]) -> Said;

/// Modelled options with words behind the device.
const SETTERS: &[(&[&str], Setter)] = &[
    (&["-A", "--pause"], link::set_pause),
    (&["-r", "--negotiate"], link::negotiate),
    (&["-s", "--change"], link::set),
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
    "-E",
    "--change-eeprom",
    "-f",
    "--flash",
    "-W",
    "--set-dump",
    "--set-priv-flags",
    "--set-eee",
    "--set-phy-tunable",
    "--get-phy-tunable",
    "--get-tunable",
    "--set-tunable",
    "--reset",
    "--set-fec",
    "-Q",
    "--per-queue",
    "--cable-test",
    "--cable-test-tdr",
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
        ([name], _) if !name.starts_with('-') => link::settings_of(process, name),
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

fn module(_: &View, dev: &NetDevice) -> Said {
    Ok(format!("Module parameters for {}:\n", dev.name))
}

fn tunnels(_: &View, _: &NetDevice) -> Said {
    let what = "netlink error: device does not report tunnel offload info\n";
    Err(Stop::error(1, format!("{what}netlink error: Operation not supported\n")))
}

fn priv_flags(view: &View, dev: &NetDevice) -> Said {
    let flags = dev.ops.ethtool.priv_flags;
    if flags.is_empty() {
        return unsupported(view, dev);
    }
    let lines = flags.iter().map(|flag| format!("{flag}: off\n")).collect::<String>();
    Ok(format!("Private flags for {}:\n{lines}", dev.name))
}

fn phy_statistics(_: &View, _: &NetDevice) -> Said {
    Err(Stop::error(94, "no stats available\n"))
}

fn dump(_: &View, _: &NetDevice) -> Said {
    Err(Stop::error(1, "Can not get dump level: Operation not supported\n"))
}

fn registers(_: &View, dev: &NetDevice) -> Said {
    of_hardware(dev, "-d", 72, "get register dump")
}

fn eeprom(_: &View, dev: &NetDevice) -> Said {
    of_hardware(dev, "-e", 74, "get EEPROM data")
}

fn test(_: &View, dev: &NetDevice) -> Said {
    match dev.ops.ethtool.is_hardware {
        true => Err(Stop::error(2, "not modelled yet: ethtool -t of a network card\n")),
        false => Err(Stop::error(74, "Cannot test: Operation not supported\n")),
    }
}

/// What a real card has and others do not, whom the program first asks for their names; `status` is for those without.
fn of_hardware(dev: &NetDevice, option: &str, status: i32, what: &str) -> Said {
    let has_name = dev.ops.ethtool.get_drvinfo.is_some() || dev.ops.kind.is_some();
    Err(match (dev.ops.ethtool.is_hardware, has_name) {
        (true, _) => Stop::error(2, format!("not modelled yet: ethtool {option} of a network card\n")),
        (false, true) => Stop::error(74, format!("Cannot {what}: Operation not supported\n")),
        (false, false) => Stop::error(status, "Cannot get driver information: Operation not supported\n"),
    })
}

fn permanent_address(_: &View, dev: &NetDevice) -> Said {
    Ok(match dev.perm_addr {
        Mac::ZERO => "Permanent address: not set\n".to_owned(),
        address => format!("Permanent address: {address}\n"),
    })
}

fn time_stamping(_: &View, dev: &NetDevice) -> Said {
    let lines = |what: &str, words: &[&str]| match words {
        [] => format!("{what}: none\n"),
        _ => format!("{what}:\n{}", words.iter().map(|word| format!("\t{word}\n")).collect::<String>()),
    };
    let ethtool = &dev.ops.ethtool;
    let (clock, transmit, filters) = match ethtool.get_ts_info.map(|get| get(dev)) {
        Some(TsInfo { phc_index, rx_filters }) => (phc_index.to_string(), &["off", "on"][..], rx_filters),
        None => ("none".to_owned(), &[][..], &[][..]),
    };
    let (is_hardware, software) = (ethtool.get_ts_info.is_some(), ethtool.tx_timestamps);
    let can = [
        (is_hardware, "hardware-transmit"),
        (software, "software-transmit"),
        (is_hardware, "hardware-receive"),
        (true, "software-receive"),
        (true, "software-system-clock"),
        (is_hardware, "hardware-raw-clock"),
    ];
    let can: Vec<&str> = can.into_iter().filter(|(can, _)| *can).map(|(_, word)| word).collect();
    Ok(format!(
        "Time stamping parameters for {}:\n{}PTP Hardware Clock: {clock}\n{}{}",
        dev.name,
        lines("Capabilities", &can),
        lines("Hardware Transmit Timestamp Modes", transmit),
        lines("Hardware Receive Filter Modes", filters),
    ))
}
