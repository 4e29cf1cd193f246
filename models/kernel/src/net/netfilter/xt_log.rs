//! `-j LOG` and `-j NFLOG`.
//!
//! Kernel: net/netfilter/xt_LOG.c, net/netfilter/xt_NFLOG.c

use super::nf_log_syslog::{LogFlags, nf_log_packet};
use super::x_tables::{Par, TargetVerdict};
use crate::Cx;
use crate::note::Note;
use crate::tables::xt::targets::{Log, Nflog};

/// A line about the packet goes to the kernel's log.
pub fn log_tg(cx: &mut Cx, par: &mut Par, target: &Log) -> TargetVerdict {
    let flags = LogFlags {
        tcp_sequence: target.tcp_sequence,
        tcp_options: target.tcp_options,
        ip_options: target.ip_options,
        uid: target.uid,
        macdecode: target.macdecode,
    };
    nf_log_packet(cx, par, target.level, flags, &target.prefix);
    TargetVerdict::Continue
}

/// The packet goes to the programs that listen on a netlink group; there are none, so it is only shown.
pub fn nflog_tg(cx: &mut Cx, par: &mut Par, target: &Nflog) -> TargetVerdict {
    let _ = par;
    cx.note(|_| Note::Nflog { group: target.group, prefix: target.prefix.clone() });
    TargetVerdict::Continue
}
