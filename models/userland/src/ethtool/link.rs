//! `ethtool DEVICE`, `-s`, `-a`, `-A` and `-r`: the link, and what else a driver tells without being asked for more.

use glassnet_kernel::ids::DevId;
use glassnet_kernel::link::{Copper, LINK_MODES, LinkKsettings, LinkRequest, PauseParam};
use glassnet_kernel::tables::netdev::NetDevice;

use super::params::Takes::{Number, OnOff, Word};
use super::params::{self, Takes};
use super::{NO_DEVICE, Said, unsupported, yes_no};
use crate::numbers;
use crate::process::Process;
use crate::procfs::View;
use crate::stop::Stop;

/// Exit statuses of `-s` and `-A` if the kernel refuses.
const REFUSED: i32 = 75;
const PAUSE_REFUSED: i32 = 76;

/// `ethtool DEVICE`. Each part of the answer fails on its own if there is no such device.
pub(super) fn settings_of(process: &Process, name: &str) -> Said {
    let world = process.world();
    let view = View::new(&world, process.caller(&world));
    match view.dev(name) {
        Some(dev) => settings(&view, dev).ok_or_else(|| Stop::error(75, "No data available\n")),
        None => Err(Stop::error(75, NO_DEVICE.repeat(5) + "No data available\n")),
    }
}

/// `None` if the driver tells nothing at all.
fn settings(view: &View, dev: &NetDevice) -> Option<String> {
    let ethtool = &dev.ops.ethtool;
    let mut text = format!("Settings for {}:\n", dev.name);
    if let Some(get) = ethtool.get_link_ksettings {
        text += &link(get(view.kernel, dev));
    }
    if let Some(get) = ethtool.get_wol {
        let supported = Some(get(dev).supported).filter(|letters| !letters.is_empty()).unwrap_or("d");
        text += &format!("\tSupports Wake-on: {supported}\n\tWake-on: d\n");
    }
    if let Some(get) = ethtool.get_msglevel {
        let level = get(dev);
        let names = MESSAGES.iter().enumerate().filter(|(bit, _)| level >> bit & 1 == 1);
        let names: String = names.map(|(_, name)| format!(" {name}")).collect();
        let (indent, deeper) = (" ".repeat(8), " ".repeat(30));
        text += &format!("{indent}Current message level: {level:#010x} ({level})\n{deeper}{names}\n");
    }
    if ethtool.get_link {
        text += &format!("\tLink detected: {}\n", yes_no(dev.is_up() && dev.carrier));
    }
    let tells = ethtool.get_link || ethtool.get_msglevel.is_some() || ethtool.get_link_ksettings.is_some();
    tells.then_some(text)
}

fn link(LinkKsettings { speed, full_duplex, twisted_pair, copper }: LinkKsettings) -> String {
    let none = Copper { autoneg: false, supported: 0, advertising: 0, pause: false, mdix_known: false };
    let is_real = copper.is_some();
    let Copper { autoneg, supported, advertising, pause, mdix_known } = copper.unwrap_or(none);
    let speed = speed.map_or("Unknown!".to_owned(), |speed| format!("{speed}Mb/s"));
    let duplex = if full_duplex { "Full" } else { "Unknown! (255)" };
    let (ports, phy) = if is_real { ("TP", 1) } else { ("", 0) };
    let pause = |offers| if pause && offers { "Symmetric" } else { "No" };
    let port = if twisted_pair { "Twisted Pair" } else { "Other" };
    let yes = |yes| if yes { "Yes" } else { "No" };
    let mdix = match (mdix_known, is_real) {
        _ if !twisted_pair => "",
        (true, _) => "\tMDI-X: off (auto)\n",
        (false, true) => "\tMDI-X: Unknown (auto)\n",
        (false, false) => "\tMDI-X: Unknown\n",
    };
    format!(
        "\tSupported ports: [ {ports} ]\n\tSupported link modes:   {}\n\tSupported pause frame use: {}\n\
         \tSupports auto-negotiation: {}\n\tSupported FEC modes: Not reported\n\tAdvertised link modes:  {}\n\
         \tAdvertised pause frame use: {}\n\tAdvertised auto-negotiation: {}\n\
         \tAdvertised FEC modes: Not reported\n\tSpeed: {speed}\n\tDuplex: {duplex}\n\
         \tAuto-negotiation: {}\n\tPort: {port}\n\tPHYAD: {phy}\n\tTransceiver: internal\n{mdix}",
        modes(supported),
        pause(true),
        yes(is_real),
        modes(advertising),
        pause(autoneg),
        yes(autoneg),
        if autoneg { "on" } else { "off" },
    )
}

/// Modes, a line for each speed.
fn modes(modes: u32) -> String {
    let line = |(speed, half, full): &(u32, u32, u32)| {
        let names = [(half, "Half"), (full, "Full")].into_iter().filter(|(bit, _)| modes & **bit != 0);
        names.map(|(_, duplex)| format!("{speed}baseT/{duplex}")).collect::<Vec<_>>().join(" ")
    };
    let lines: Vec<_> = LINK_MODES.iter().map(line).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { "Not reported".to_owned() } else { lines.join(&format!("\n\t{}", " ".repeat(24))) }
}

/// What drivers write to the log, by bits (`NETIF_MSG_*`).
const MESSAGES: [&str; 15] = [
    "drv",
    "probe",
    "link",
    "timer",
    "ifdown",
    "ifup",
    "rx_err",
    "tx_err",
    "tx_queued",
    "intr",
    "tx_done",
    "rx_status",
    "pktdata",
    "hw",
    "wol",
];

/// Parameters of `-s`.
const PARAMETERS: [(&str, Takes); 11] = [
    ("speed", Number),
    ("lanes", Number),
    ("duplex", Word(&["half", "full"])),
    ("port", Word(&["tp", "aui", "bnc", "mii", "fibre", "da", "none"])),
    ("mdix", Word(&["auto", "on", "off"])),
    ("autoneg", OnOff),
    ("advertise", Takes::Hex),
    ("phyad", Number),
    ("wol", Takes::Letters("pumbagsfd")),
    ("msglvl", Takes::Number),
    ("master-slave", Word(&["preferred-master", "preferred-slave", "forced-master", "forced-slave"])),
];

/// `ethtool -s DEVICE PARAMETER VALUE…`.
pub(super) fn set(process: &Process, name: &str, words: &[&str]) -> Said {
    if let Some(at) = words.iter().position(|word| *word == "msglvl")
        && let Some(flag) = words.get(at + 1).filter(|word| numbers::whole(word).is_none())
    {
        return Err(match words.get(at + 2) {
            Some(&("on" | "off")) => Stop::error(2, "not modelled yet: ethtool -s … msglvl by names\n"),
            _ => Stop::error(
                1,
                format!(
                    "ethtool (-s): flag '{flag}' for parameter 'msglvl' is not followed by 'on' or 'off'\n"
                ),
            ),
        });
    }
    if words.iter().step_by(2).any(|word| *word == "xcvr") {
        return Err(Stop::error(1, "ethtool (-s): deprecated parameter 'xcvr' not supported by kernel\n"));
    }
    let wanted = params::parse("-s", words, &PARAMETERS)?;
    let value = |name: &str| wanted.iter().find(|(parameter, _)| *parameter == name).map(|(_, value)| *value);
    let (id, request) = {
        let world = process.world();
        let view = View::new(&world, process.caller(&world));
        let dev = view.dev(name).ok_or_else(|| Stop::error(REFUSED, NO_DEVICE))?;
        (dev.id, judge(&view, dev, &value)?)
    };
    if let Some(request) = request {
        process.syscall(|cx| set_link(cx, id, request))?;
    }
    if let Some(level) = value("msglvl") {
        process.syscall(|cx| {
            if let Some(set) = cx.k.devs[id].ops.ethtool.set_msglevel {
                set(cx, id, level);
            }
        });
    }
    Ok(String::new())
}

fn set_link(cx: &mut glassnet_kernel::Cx, id: DevId, request: LinkRequest) -> Result<(), Stop> {
    let Some(set) = cx.k.devs[id].ops.ethtool.set_link_ksettings else { return Ok(()) };
    set(cx, id, request).map_err(|errno| {
        let text =
            format!("netlink error: link settings update failed\nnetlink error: {}\n", errno.strerror());
        Stop::error(REFUSED, text)
    })
}

/// How the link is to be made after this, if anything of it is to change (`ethnl_set_linkmodes`).
fn judge(
    view: &View,
    dev: &NetDevice,
    value: &dyn Fn(&str) -> Option<u32>,
) -> Result<Option<LinkRequest>, Stop> {
    let ops = &dev.ops.ethtool;
    let refused = || Stop::error(REFUSED, "netlink error: Operation not supported\n");
    let invalid = |what: &str| {
        Stop::error(REFUSED, format!("netlink error: {what} (offset 36)\nnetlink error: Invalid argument\n"))
    };
    let not_modelled = |what: &str| Stop::error(2, format!("not modelled yet: ethtool -s … {what}\n"));
    let of_link =
        ["speed", "lanes", "duplex", "port", "mdix", "autoneg", "advertise", "phyad", "master-slave"];
    let changes_link = of_link.iter().any(|parameter| value(parameter).is_some());
    let mut request = None;
    if changes_link {
        let only_autoneg = value("autoneg") == Some(1)
            && ["speed", "duplex", "lanes", "advertise"].iter().all(|parameter| value(parameter).is_none());
        if only_autoneg && ops.get_link_ksettings.is_none() {
            let text =
                "netlink error: failed to retrieve link settings\nnetlink error: Operation not supported\n";
            return Err(Stop::error(REFUSED, text));
        }
        let (Some(get), Some(_)) = (ops.get_link_ksettings, ops.set_link_ksettings) else {
            return Err(refused());
        };
        if value("master-slave").is_some() {
            let what = "netlink error: master/slave configuration not supported by device (offset 36)\n";
            return Err(Stop::error(REFUSED, format!("{what}netlink error: Operation not supported\n")));
        }
        if value("mdix").is_some_and(|word| word > 0) {
            return Err(not_modelled("mdix on and off"));
        }
        let now = get(view.kernel, dev);
        request = now.copper.map(|copper| link_request(copper, now.speed, value)).transpose()?;
    }
    match (value("wol"), ops.get_wol) {
        (Some(_), None) => return Err(refused()),
        (Some(letters), Some(get)) if letters != 0 => {
            let can = params::letters("pumbagsfd", get(dev).supported);
            return Err(match letters & !can {
                0 => not_modelled("wol: machines do not sleep"),
                _ => invalid("cannot enable unsupported WoL mode"),
            });
        }
        _ => {}
    }
    if value("msglvl").is_some() && ops.set_msglevel.is_none() {
        return Err(refused());
    }
    Ok(request)
}

/// The link of a card for twisted pairs, by what was asked for and what holds now.
fn link_request(
    copper: Copper,
    speed: Option<u32>,
    value: &dyn Fn(&str) -> Option<u32>,
) -> Result<LinkRequest, Stop> {
    let half = || Stop::error(2, "not modelled yet: ethtool -s … a link that is half duplex\n");
    let autoneg = value("autoneg").map_or(copper.autoneg, |on| on == 1);
    let asks = (value("speed"), value("duplex"));
    if !autoneg {
        let speed = asks.0.or(speed).unwrap_or(1000);
        if asks.1 == Some(0) && speed < 1000 {
            return Err(half());
        }
        // What a card of 1 Gbit/s does not know at all.
        let refused = if asks.1 == Some(0) { 0 } else { speed };
        return Ok(LinkRequest::Force(refused));
    }
    let matching = LINK_MODES.iter().flat_map(|(speed, half, full)| [(*speed, 0, *half), (*speed, 1, *full)]);
    let matching = matching
        .filter(|(speed, duplex, _)| {
            asks.0.is_none_or(|asked| asked == *speed) && asks.1.is_none_or(|asked| asked == *duplex)
        })
        .fold(0, |modes, (.., bit)| modes | bit);
    let modes = match (value("advertise"), asks) {
        (Some(modes), _) => modes,
        (None, (None, None)) if value("autoneg").is_some() => copper.supported,
        (None, (None, None)) => copper.advertising,
        _ => matching,
    } & copper.supported;
    if modes != 0 && LINK_MODES.iter().all(|(.., full)| modes & full == 0) {
        return Err(half());
    }
    Ok(LinkRequest::Negotiate(modes))
}

/// `ethtool -a DEVICE`.
pub(super) fn pause(view: &View, dev: &NetDevice) -> Said {
    let Some(get) = dev.ops.ethtool.get_pauseparam else { return unsupported(view, dev) };
    let PauseParam { autoneg, rx, tx } = get(dev);
    let on = |on| if on { "on" } else { "off" };
    let (name, autoneg, rx, tx) = (&dev.name, on(autoneg), on(rx), on(tx));
    Ok(format!("Pause parameters for {name}:\nAutonegotiate:\t{autoneg}\nRX:\t\t{rx}\nTX:\t\t{tx}\n\n"))
}

/// `ethtool -A DEVICE PARAMETER on|off…`.
pub(super) fn set_pause(process: &Process, name: &str, words: &[&str]) -> Said {
    let wanted = params::parse("-A", words, &[("autoneg", OnOff), ("rx", OnOff), ("tx", OnOff)])?;
    let (id, now) = {
        let world = process.world();
        let view = View::new(&world, process.caller(&world));
        let dev = view.dev(name).ok_or_else(|| Stop::error(PAUSE_REFUSED, NO_DEVICE))?;
        let refused = || Stop::error(PAUSE_REFUSED, "netlink error: Operation not supported\n");
        (dev.id, dev.ops.ethtool.get_pauseparam.ok_or_else(refused)?(dev))
    };
    let of = |parameter: &str, now: bool| {
        wanted.iter().find(|(name, _)| *name == parameter).map_or(now, |(_, on)| *on == 1)
    };
    let after =
        PauseParam { autoneg: of("autoneg", now.autoneg), rx: of("rx", now.rx), tx: of("tx", now.tx) };
    if !after.autoneg && (after.rx || after.tx) {
        return Err(Stop::error(2, "not modelled yet: pause frames\n"));
    }
    if !wanted.is_empty() {
        process.syscall(|cx| {
            if let Some(set) = cx.k.devs[id].ops.ethtool.set_pauseparam {
                set(cx, id, after);
            }
        });
    }
    Ok(String::new())
}

/// `ethtool -r DEVICE`.
pub(super) fn negotiate(process: &Process, name: &str, words: &[&str]) -> Said {
    if !words.is_empty() {
        return Err(super::bad_command_line());
    }
    let failed = |why: &str| Stop::error(255, format!("Cannot restart autonegotiation: {why}\n"));
    let (id, reset) = {
        let world = process.world();
        let view = View::new(&world, process.caller(&world));
        let dev = view.dev(name).ok_or_else(|| failed("No such device"))?;
        (dev.id, dev.ops.ethtool.nway_reset.ok_or_else(|| failed("Operation not supported"))?)
    };
    process.syscall(|cx| reset(cx, id));
    Ok(String::new())
}
