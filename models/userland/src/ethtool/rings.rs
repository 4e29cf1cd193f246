//! `ethtool -g` and `-G`: descriptors of the rings.

use glassnet_kernel::link::RingParam;
use glassnet_kernel::tables::netdev::NetDevice;

use super::{NO_DEVICE, Said, unsupported};
use crate::numbers;
use crate::process::Process;
use crate::procfs::View;
use crate::stop::Stop;

/// Exit status of a setting that was not accepted.
const REFUSED: i32 = 81;
/// Where the first parameter lies in the message to the kernel, and how far the next ones are, bytes.
const OFFSET: (usize, usize) = (36, 8);
/// Parameters that are no ring, and what the kernel calls them.
const OTHERS: [(&str, &str); 3] =
    [("rx-buf-len", "rx buf len"), ("cqe-size", "cqe size"), ("tx-push", "tx push")];

/// `ethtool -g DEVICE`.
pub(super) fn show(view: &View, dev: &NetDevice) -> Said {
    let Some(get) = dev.ops.ethtool.get_ringparam else { return unsupported(view, dev) };
    let RingParam { rx_max, tx_max, rx, tx } = get(dev);
    let numbers = |rx, tx| format!("RX:\t\t{rx}\nRX Mini:\tn/a\nRX Jumbo:\tn/a\nTX:\t\t{tx}\n");
    Ok(format!(
        "Ring parameters for {}:\nPre-set maximums:\n{}Current hardware settings:\n{}\
         RX Buf Len:\t\tn/a\nCQE Size:\t\tn/a\nTX Push:\toff\nTCP data split:\tn/a\n",
        dev.name,
        numbers(rx_max, tx_max),
        numbers(rx, tx)
    ))
}

/// `ethtool -G DEVICE PARAMETER N…`.
pub(super) fn set(process: &Process, name: &str, words: &[&str]) -> Said {
    let wanted = parse(words)?;
    let (id, limits) = {
        let world = process.world();
        let view = View::new(&world, process.caller(&world));
        let dev = view.dev(name).ok_or_else(|| Stop::error(REFUSED, NO_DEVICE))?;
        let refused = || Stop::error(REFUSED, "netlink error: Operation not supported\n");
        (dev.id, dev.ops.ethtool.get_ringparam.ok_or_else(refused)?(dev))
    };
    judge(&wanted, limits)?;
    if let Some((_, rx)) = wanted.iter().find(|(parameter, _)| *parameter == "rx") {
        process.syscall(|cx| {
            if let Some(set) = cx.k.devs[id].ops.ethtool.set_ringparam {
                set(cx, id, *rx);
            }
        });
    }
    Ok(String::new())
}

/// Parameters with their values; `tx-push` is 1 or 0.
fn parse<'a>(words: &[&'a str]) -> Result<Vec<(&'a str, u32)>, Stop> {
    let mut wanted: Vec<(&str, u32)> = Vec::new();
    for pair in words.chunks(2) {
        let refused = |what: String| Stop::error(1, format!("ethtool (-G): {what}\n"));
        let parameter = pair[0];
        let is_ring = ["rx", "rx-mini", "rx-jumbo", "tx"].contains(&parameter);
        if !is_ring && OTHERS.iter().all(|(name, _)| *name != parameter) {
            return Err(refused(format!("unknown parameter '{parameter}'")));
        }
        if wanted.iter().any(|(name, _)| *name == parameter) {
            return Err(refused(format!("duplicate parameter '{parameter}'")));
        }
        let Some(text) = pair.get(1) else {
            return Err(refused(format!("no value for parameter '{parameter}'")));
        };
        let value = match (parameter, *text) {
            ("tx-push", "on") => Some(1),
            ("tx-push", "off") => Some(0),
            ("tx-push", _) => None,
            _ if text.starts_with('-') => None,
            _ => numbers::whole(text).and_then(|number| number.try_into().ok()),
        };
        let wrong = || refused(format!("invalid value '{text}' for parameter '{parameter}'"));
        wanted.push((parameter, value.ok_or_else(wrong)?));
    }
    Ok(wanted)
}

/// What the kernel refuses (`ethnl_set_rings`, net/ethtool/rings.c), and what is not modelled.
fn judge(wanted: &[(&str, u32)], limits: RingParam) -> Result<(), Stop> {
    let place = |parameter: &str| wanted.iter().position(|(name, _)| *name == parameter);
    let refused = |at: usize, what: &str, error: &str| {
        let offset = OFFSET.0 + at * OFFSET.1;
        Stop::error(REFUSED, format!("netlink error: {what} (offset {offset})\nnetlink error: {error}\n"))
    };
    for (parameter, what) in OTHERS {
        if let Some(at) = place(parameter) {
            return Err(refused(at, &format!("setting {what} not supported"), "Operation not supported"));
        }
    }
    for (parameter, max) in [("rx", limits.rx_max), ("rx-mini", 0), ("rx-jumbo", 0), ("tx", limits.tx_max)] {
        if let Some(at) = place(parameter).filter(|at| wanted[*at].1 > max) {
            return Err(refused(at, "requested ring size exceeds maximum", "Invalid argument"));
        }
    }
    match place("tx") {
        Some(at) if wanted[at].1 != limits.tx => Err(Stop::error(2, "not modelled yet: ethtool -G tx\n")),
        _ => Ok(()),
    }
}
