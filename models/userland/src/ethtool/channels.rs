//! `ethtool -l` and `-L`: numbers of queues.

use glassnet_kernel::link::{ChannelCounts, Channels};
use glassnet_kernel::tables::netdev::NetDevice;

use super::params::{self, Takes};
use super::{NO_DEVICE, Said, unsupported};
use crate::process::Process;
use crate::procfs::View;
use crate::stop::Stop;

const PARAMETERS: [(&str, Takes); 4] =
    [("rx", Takes::Number), ("tx", Takes::Number), ("other", Takes::Number), ("combined", Takes::Number)];

/// `ethtool -l DEVICE`.
pub(super) fn show(view: &View, dev: &NetDevice) -> Said {
    let Some(get) = dev.ops.ethtool.get_channels else { return unsupported(view, dev) };
    let Channels { max, now } = get(view.kernel, dev);
    let rows = |counts: ChannelCounts| {
        let row = |(name, max, count): (&str, usize, usize)| match max {
            0 => format!("{name}n/a\n"),
            _ => format!("{name}{count}\n"),
        };
        let ChannelCounts { rx, tx, other, combined } = counts;
        [
            ("RX:\t\t", max.rx, rx),
            ("TX:\t\t", max.tx, tx),
            ("Other:\t\t", max.other, other),
            ("Combined:\t", max.combined, combined),
        ]
        .map(row)
        .concat()
    };
    Ok(format!(
        "Channel parameters for {}:\nPre-set maximums:\n{}Current hardware settings:\n{}",
        dev.name,
        rows(max),
        rows(now)
    ))
}

/// `ethtool -L DEVICE PARAMETER N…`.
pub(super) fn set(process: &Process, name: &str, words: &[&str]) -> Said {
    let wanted = params::parse("-L", words, &PARAMETERS)?;
    let (id, Channels { max, now }, set) = {
        let world = process.world();
        let view = View::new(&world, process.caller(&world));
        let dev = view.dev(name).ok_or_else(|| Stop::error(1, NO_DEVICE))?;
        let refused = || Stop::error(1, "netlink error: Operation not supported\n");
        let get = dev.ops.ethtool.get_channels.ok_or_else(refused)?;
        (dev.id, get(view.kernel, dev), dev.ops.ethtool.set_channels)
    };
    let of = |parameter: &str, now: usize| {
        wanted.iter().find(|(name, _)| *name == parameter).map_or(now, |(_, count)| *count as usize)
    };
    let after = ChannelCounts {
        rx: of("rx", now.rx),
        tx: of("tx", now.tx),
        other: of("other", now.other),
        combined: of("combined", now.combined),
    };
    judge(&wanted, max, after)?;
    match set {
        None if (after.rx, after.tx) != (now.rx, now.tx) => {
            Err(Stop::error(2, format!("not modelled yet: ethtool -L {name}\n")))
        }
        Some(set) if after.combined != now.combined => {
            let done = process.syscall(|cx| set(cx, id, after.combined));
            done.map_err(|errno| Stop::error(1, format!("netlink error: {}\n", errno.strerror())))?;
            Ok(String::new())
        }
        _ => Ok(String::new()),
    }
}

/// What the kernel refuses (`ethnl_set_channels`, net/ethtool/channels.c).
fn judge(wanted: &[(&str, u32)], max: ChannelCounts, after: ChannelCounts) -> Result<(), Stop> {
    let limits = [("rx", max.rx), ("tx", max.tx), ("other", max.other), ("combined", max.combined)];
    for (parameter, limit) in limits {
        let beyond = |(name, count): &(&str, u32)| *name == parameter && *count as usize > limit;
        if let Some(at) = wanted.iter().position(beyond) {
            return Err(refused(at, "requested channel count exceeds maximum"));
        }
    }
    if after.combined == 0 && (after.rx == 0 || after.tx == 0) {
        let what = "requested channel counts would result in no RX or TX channel being configured";
        let zero = wanted.iter().position(|(_, count)| *count == 0);
        return Err(refused(zero.unwrap_or_default(), what));
    }
    Ok(())
}

/// This message has one header less than others, so its parameters lie earlier.
fn refused(at: usize, what: &str) -> Stop {
    let offset = 32 + at * 8;
    Stop::error(1, format!("netlink error: {what} (offset {offset})\nnetlink error: Invalid argument\n"))
}
