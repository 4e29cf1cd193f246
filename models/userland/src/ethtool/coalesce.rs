//! `ethtool -c` and `-C`: interrupt moderation.

use glassnet_kernel::link::Coalesce;
use glassnet_kernel::tables::netdev::NetDevice;

use super::params::Takes::{Number, OnOff};
use super::params::{self, Takes};
use super::{NO_DEVICE, Said, unsupported};
use crate::process::Process;
use crate::procfs::View;
use crate::stop::Stop;

/// All parameters.
const PARAMETERS: [(&str, Takes); 24] = [
    ("adaptive-rx", OnOff),
    ("adaptive-tx", OnOff),
    ("sample-interval", Number),
    ("stats-block-usecs", Number),
    ("pkt-rate-low", Number),
    ("pkt-rate-high", Number),
    ("rx-usecs", Number),
    ("rx-frames", Number),
    ("rx-usecs-irq", Number),
    ("rx-frames-irq", Number),
    ("tx-usecs", Number),
    ("tx-frames", Number),
    ("tx-usecs-irq", Number),
    ("tx-frames-irq", Number),
    ("rx-usecs-low", Number),
    ("rx-frames-low", Number),
    ("tx-usecs-low", Number),
    ("tx-frames-low", Number),
    ("rx-usecs-high", Number),
    ("rx-frames-high", Number),
    ("tx-usecs-high", Number),
    ("tx-frames-high", Number),
    ("cqe-mode-rx", OnOff),
    ("cqe-mode-tx", OnOff),
];

/// `ethtool -c DEVICE`.
pub(super) fn show(view: &View, dev: &NetDevice) -> Said {
    let Some(get) = dev.ops.ethtool.get_coalesce else { return unsupported(view, dev) };
    let Coalesce { rx_usecs } = get(dev);
    let lines = |names: &[&str]| names.iter().map(|name| format!("{name}: n/a\n")).collect::<String>();
    let quartet = |end: &str| {
        let frames = if end.is_empty() || end == "-irq" { "frames" } else { "frame" };
        lines(&[
            &format!("rx-usecs{end}"),
            &format!("rx-{frames}{end}"),
            &format!("tx-usecs{end}"),
            &format!("tx-{frames}{end}"),
        ])
    };
    Ok(format!(
        "Coalesce parameters for {}:\nAdaptive RX: n/a  TX: n/a\n{}\nrx-usecs: {rx_usecs}\n{}\n{}\n{}\n{}\n\
         CQE mode RX: n/a  TX: n/a\n\n",
        dev.name,
        lines(&["stats-block-usecs", "sample-interval", "pkt-rate-low", "pkt-rate-high"]),
        lines(&["rx-frames", "rx-usecs-irq", "rx-frames-irq"]),
        lines(&["tx-usecs", "tx-frames", "tx-usecs-irq", "tx-frames-irq"]),
        quartet("-low"),
        quartet("-high"),
    ))
}

/// `ethtool -C DEVICE PARAMETER N…`. The drivers of the model know `rx-usecs` only.
pub(super) fn set(process: &Process, name: &str, words: &[&str]) -> Said {
    let wanted = params::parse("-C", words, &PARAMETERS)?;
    let (id, set) = {
        let world = process.world();
        let view = View::new(&world, process.caller(&world));
        let dev = view.dev(name).ok_or_else(|| Stop::error(1, NO_DEVICE))?;
        let refused = || Stop::error(1, "netlink error: Operation not supported\n");
        (dev.id, dev.ops.ethtool.set_coalesce.ok_or_else(refused)?)
    };
    if let Some(at) = wanted.iter().position(|(parameter, _)| *parameter != "rx-usecs") {
        return Err(params::refused(1, at, "cannot modify an unsupported parameter", "Invalid argument"));
    }
    if let Some((_, rx_usecs)) = wanted.first() {
        let done = process.syscall(|cx| set(cx, id, Coalesce { rx_usecs: *rx_usecs }));
        done.map_err(|errno| Stop::error(1, format!("netlink error: {}\n", errno.strerror())))?;
    }
    Ok(String::new())
}
