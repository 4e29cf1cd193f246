//! Sysctls of the machine's queues, most of them visible only in the initial namespace.
//!
//! Kernel: net/core/sysctl_net_core.c

use super::qdisc::qdisc_lookup_ops;
use super::rps::set_sock_flow_entries;
use super::sock::{SOCK_MIN_RCVBUF, SOCK_MIN_SNDBUF, TXREHASH};
use crate::netlink::Errno;
use crate::sysctl::{INT, Shown, Sysctl, SysctlTable, Word};

macro_rules! core_sysctl {
    ($name:ident) => {
        Sysctl::new(
            stringify!($name),
            |k, _, _| {
                // The kernel's type is int.
                i64::from(k.core.$name as i32)
            },
            |cx, _, _, value| {
                cx.k.core.$name = value as u32;
                Ok(())
            },
        )
        .shown(Shown::InInit)
    };
}

/// Sysctls of the machine.
pub static SYSCTLS: SysctlTable = SysctlTable::new(
    "net/core",
    &[
        Sysctl::word(
            "default_qdisc",
            Word {
                get: |k, _| k.core.default_qdisc.to_owned(),
                set: |cx, _, id| {
                    cx.k.core.default_qdisc = qdisc_lookup_ops(cx.k, id).ok_or(Errno::ENOENT)?.id;
                    Ok(())
                },
            },
        )
        .shown(Shown::InInit),
        core_sysctl!(dev_weight),
        core_sysctl!(dev_weight_tx_bias),
        core_sysctl!(fb_tunnels_only_for_init_net).range(0, 2),
        core_sysctl!(netdev_budget),
        core_sysctl!(netdev_budget_usecs).range(0, INT.1),
        core_sysctl!(netdev_max_backlog),
        core_sysctl!(rmem_default).range(SOCK_MIN_RCVBUF as i64, INT.1),
        core_sysctl!(rmem_max).range(SOCK_MIN_RCVBUF as i64, INT.1),
        core_sysctl!(wmem_default).range(SOCK_MIN_SNDBUF as i64, INT.1),
        core_sysctl!(wmem_max).range(SOCK_MIN_SNDBUF as i64, INT.1),
        Sysctl::new(
            "rps_sock_flow_entries",
            |k, _, _| k.core.rps_sock_flow_table.len() as i64,
            |cx, _, _, value| set_sock_flow_entries(cx, value),
        )
        .shown(Shown::InInit),
        Sysctl::net(&TXREHASH).range(0, 1),
    ],
);
