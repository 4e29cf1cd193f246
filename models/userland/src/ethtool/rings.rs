//! `ethtool -g` and `-G`: descriptors of the rings.

use glassnet_kernel::link::RingParam;
use glassnet_kernel::tables::netdev::NetDevice;

use super::params::Takes::{Number, OnOff};
use super::params::{self, Takes};
use super::{NO_DEVICE, Said, unsupported};
use crate::process::Process;
use crate::procfs::View;
use crate::stop::Stop;

/// Exit status of a setting that was not accepted.
const REFUSED: i32 = 81;
/// All parameters.
const PARAMETERS: [(&str, Takes); 7] = [
    ("rx", Number),
    ("rx-mini", Number),
    ("rx-jumbo", Number),
    ("tx", Number),
    ("rx-buf-len", Number),
    ("cqe-size", Number),
    ("tx-push", OnOff),
];
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
    let wanted = params::parse("-G", words, &PARAMETERS)?;
    let (id, limits) = {
        let world = process.world();
        let view = View::new(&world, process.caller(&world));
        let dev = view.dev(name).ok_or_else(|| Stop::error(REFUSED, NO_DEVICE))?;
        let refused = || Stop::error(REFUSED, "netlink error: Operation not supported\n");
        (dev.id, dev.ops.ethtool.get_ringparam.ok_or_else(refused)?(dev))
    };
    judge(&wanted, limits)?;
    let of = |parameter: &str, now: u32| {
        wanted.iter().find(|(name, _)| *name == parameter).map_or(now, |(_, count)| *count)
    };
    let (rx, tx) = (of("rx", limits.rx), of("tx", limits.tx));
    process.syscall(|cx| {
        if let Some(set) = cx.k.devs[id].ops.ethtool.set_ringparam {
            set(cx, id, rx, tx);
        }
    });
    Ok(String::new())
}

/// What the kernel refuses (`ethnl_set_rings`, net/ethtool/rings.c).
fn judge(wanted: &[(&str, u32)], limits: RingParam) -> Result<(), Stop> {
    let place = |parameter: &str| wanted.iter().position(|(name, _)| *name == parameter);
    let refused = |at: usize, what: &str, error: &str| params::refused(REFUSED, at, what, error);
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
    Ok(())
}
