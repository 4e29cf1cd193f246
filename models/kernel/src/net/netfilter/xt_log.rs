//! `-j LOG` and `-j NFLOG`.
//!
//! Kernel: net/netfilter/xt_LOG.c, net/netfilter/xt_NFLOG.c

use super::nf_log_syslog::{LogFlags, nf_log_packet};
use crate::Cx;
use crate::extension::{Par, TargetVerdict, XtTarget};
use crate::module::Module;
use crate::note::Note;

/// `LOG` (`struct ipt_log_info`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `--log-level`, 0 to 7.
    pub level: u8,
    /// `--log-prefix`, at most 29 bytes.
    pub prefix: String,
    /// `--log-tcp-sequence`.
    pub tcp_sequence: bool,
    /// `--log-tcp-options`.
    pub tcp_options: bool,
    /// `--log-ip-options`.
    pub ip_options: bool,
    /// `--log-uid`.
    pub uid: bool,
    /// `--log-macdecode`.
    pub macdecode: bool,
}

impl XtTarget for Log {
    const NAME: &'static str = "LOG";

    fn target(&mut self, cx: &mut Cx, par: &mut Par) -> TargetVerdict {
        log_tg(cx, par, self)
    }
}

/// `NFLOG` (`struct xt_nflog_info`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nflog {
    /// `--nflog-group`.
    pub group: u16,
    /// `--nflog-prefix`, at most 63 bytes.
    pub prefix: String,
    /// `--nflog-range` (false) or `--nflog-size` (true), bytes.
    pub size: Option<(bool, u32)>,
    /// `--nflog-threshold`, packets.
    pub threshold: u16,
}

impl XtTarget for Nflog {
    const NAME: &'static str = "NFLOG";

    fn target(&mut self, cx: &mut Cx, par: &mut Par) -> TargetVerdict {
        nflog_tg(cx, par, self)
    }
}

/// The modules.
pub static MODULES: &[Module] = &[
    Module { targets: &[Log::NAME], ..Module::named("xt_LOG") },
    Module { targets: &[Nflog::NAME], ..Module::named("xt_NFLOG") },
];

/// Logs the packet.
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

/// Sends the packet to a netlink group. No program listens, so only the note shows it.
pub fn nflog_tg(cx: &mut Cx, par: &mut Par, target: &Nflog) -> TargetVerdict {
    let _ = par;
    cx.note(|_| Note::Nflog { group: target.group, prefix: target.prefix.clone() });
    TargetVerdict::Continue
}
