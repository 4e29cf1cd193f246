//! Sysctls of connection tracking.
//!
//! Kernel: net/netfilter/nf_conntrack_standalone.c

use super::nf_conntrack_core::nf_conntrack_cleanup_net;
use crate::module::Module;
use crate::netlink::Errno;
use crate::sysctl::{At, Shown, Sysctl, SysctlTable, keep};
use crate::tables::conntrack::CtSysctl;
use crate::tables::conntrack::sysctl::{CT_SYSCTL_COUNT, CT_SYSCTL_TABLE, least};
use crate::{Cx, Kernel};

/// The module.
pub static MODULE: Module = Module {
    sysctls: &[&SYSCTLS, &OTHER_SYSCTLS],
    net_exit: Some(nf_conntrack_cleanup_net),
    ..Module::named("nf_conntrack")
};

/// Per-namespace sysctls.
pub static SYSCTLS: SysctlTable = SysctlTable::new("net/netfilter", &ROWS);

static ROWS: [Sysctl; CT_SYSCTL_COUNT] = {
    let mut rows = [Sysctl::new("", setting, set_setting); CT_SYSCTL_COUNT];
    let mut at = 0;
    while at < rows.len() {
        let (_, name, _, max) = CT_SYSCTL_TABLE[at];
        rows[at].name = name;
        rows[at].range = (least(max), max);
        at += 1;
    }
    rows
};

fn which(row: &Sysctl) -> Option<CtSysctl> {
    CT_SYSCTL_TABLE.iter().find(|entry| entry.1 == row.name).map(|entry| entry.0)
}

fn setting(k: &Kernel, at: At, row: &Sysctl) -> i64 {
    which(row).map_or(0, |which| k.conntrack.net(at.netns).sysctl(which))
}

fn set_setting(cx: &mut Cx, at: At, row: &Sysctl, value: i64) -> Result<(), Errno> {
    if let Some(which) = which(row) {
        cx.k.conntrack.net_mut(at.netns).set_sysctl(which, value);
    }
    Ok(())
}

/// A sysctl of IPv6 or GRE, which are not modelled.
macro_rules! fixed {
    ($name:literal, $value:literal) => {
        Sysctl::not_followed($name, |_, _, _| $value)
    };
}

/// Sysctls of the machine, and those with a fixed value.
pub static OTHER_SYSCTLS: SysctlTable = SysctlTable::new(
    "net/netfilter",
    &[
        Sysctl::new("nf_conntrack_count", |k, at, _| i64::from(k.conntrack.net(at.netns).count), keep)
            .mode(0o444),
        Sysctl::new(
            "nf_conntrack_max",
            |k, _, _| i64::from(k.conntrack.max),
            |cx, _, _, value| {
                cx.k.conntrack.max = value as u32;
                Ok(())
            },
        )
        .range(0, u32::MAX as i64)
        .shown(Shown::WrittenInInit),
        Sysctl::new(
            "nf_conntrack_buckets",
            |k, _, _| i64::from(k.conntrack.buckets),
            |cx, _, _, value| {
                // Rounded up to whole pages of list heads.
                cx.k.conntrack.buckets = (value as u32).max(1).next_multiple_of(512);
                Ok(())
            },
        )
        .range(0, u32::MAX as i64)
        .shown(Shown::WrittenInInit),
        Sysctl::new(
            "nf_conntrack_expect_max",
            |k, _, _| i64::from(k.conntrack.expect_max),
            |cx, _, _, value| {
                cx.k.conntrack.expect_max = value as u32;
                Ok(())
            },
        )
        .range(0, u32::MAX as i64)
        .shown(Shown::WrittenInInit),
        fixed!("nf_conntrack_frag6_high_thresh", 4_194_304),
        fixed!("nf_conntrack_frag6_low_thresh", 3_145_728),
        fixed!("nf_conntrack_frag6_timeout", 60),
        fixed!("nf_conntrack_gre_timeout", 30),
        fixed!("nf_conntrack_gre_timeout_stream", 180),
        fixed!("nf_conntrack_icmpv6_timeout", 30),
        fixed!("nf_conntrack_log_invalid", 0).range(0, 255),
        fixed!("nf_hooks_lwtunnel", 0),
    ],
);
