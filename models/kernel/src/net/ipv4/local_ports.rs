//! Which ports the kernel chooses for sockets that ask for any: the files of a namespace.
//!
//! Kernel: net/ipv4/sysctl_net_ipv4.c (`ipv4_local_port_range`, `ipv4_privileged_ports`), kernel/sysctl.c (`proc_do_large_bitmap`)
//! Not modelled: nothing.

use crate::Cx;
use crate::netlink::Errno;
use crate::sysctl::{At, Sysctl, SysctlTable, Word};
use crate::tables::klog::LOG_ERR;

/// Ports of a namespace.
pub static SYSCTLS: SysctlTable = SysctlTable::new(
    "net/ipv4",
    &[
        Sysctl::word(
            "ip_local_port_range",
            Word {
                get: |k, at| {
                    let (first, last) = k.netns[at.netns].ipv4.local_ports.range;
                    format!("{first}\t{last}")
                },
                set: set_range,
            },
        ),
        Sysctl::word(
            "ip_local_reserved_ports",
            Word {
                get: |k, at| {
                    let reserved = k.netns[at.netns].ipv4.local_ports.reserved.iter();
                    let text = reserved.map(|(first, last)| {
                        if first == last { first.to_string() } else { format!("{first}-{last}") }
                    });
                    text.collect::<Vec<_>>().join(",")
                },
                set: set_reserved,
            },
        ),
        Sysctl::new(
            "ip_unprivileged_port_start",
            |k, at, _| i64::from(k.netns[at.netns].ipv4.local_ports.unprivileged),
            set_unprivileged,
        )
        .range(0, 65_535),
    ],
);

/// One number changes the first port, two change both.
fn set_range(cx: &mut Cx, at: At, text: &str) -> Result<(), Errno> {
    let ports = &cx.k.netns[at.netns].ipv4.local_ports;
    let (mut range, least) = (ports.range, ports.unprivileged);
    let mut words = text.split_ascii_whitespace();
    for port in [&mut range.0, &mut range.1] {
        let Some(word) = words.next() else { break };
        *port = word.parse().ok().filter(|port| *port > 0).ok_or(Errno::EINVAL)?;
    }
    if range.1 < range.0 || range.0 < least {
        return Err(Errno::EINVAL);
    }
    let same_parity = (range.0 ^ range.1) & 1 == 0;
    let ports = &mut cx.k.netns[at.netns].ipv4.local_ports;
    ports.range = range;
    if same_parity && !std::mem::replace(&mut ports.warned, true) {
        let text = "ip_local_port_range: prefer different parity for start/end values.";
        cx.printk(LOG_ERR, text.to_owned());
    }
    Ok(())
}

/// Ranges and single ports, with commas between them.
fn set_reserved(cx: &mut Cx, at: At, text: &str) -> Result<(), Errno> {
    let port = |word: &str| word.parse::<u16>().map_err(|_| Errno::EINVAL);
    let mut ranges = Vec::new();
    for word in text.trim().split(',').filter(|word| !word.is_empty()) {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        ranges.push((port(first)?, port(last)?));
    }
    if ranges.iter().any(|(first, last)| last < first) {
        return Err(Errno::EINVAL);
    }
    cx.k.netns[at.netns].ipv4.local_ports.reserve(ranges);
    Ok(())
}

/// The range does not reach below it.
fn set_unprivileged(cx: &mut Cx, at: At, _: &Sysctl, value: i64) -> Result<(), Errno> {
    let ports = &mut cx.k.netns[at.netns].ipv4.local_ports;
    if i64::from(ports.range.0) < value {
        return Err(Errno::EINVAL);
    }
    ports.unprivileged = value as u16;
    Ok(())
}
