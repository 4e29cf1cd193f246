//! The kernel log, as `dmesg` shows it.
//!
//! Kernel: kernel/printk/printk.c

use std::collections::{BTreeSet, VecDeque};

use glassnet_sim::Nanos;

/// Size of the log buffer in bytes of text (`CONFIG_LOG_BUF_SHIFT=17` of Debian).
const CAPACITY: usize = 1 << 17;
/// Burst of `net_ratelimit` (`net.core.message_burst`), and its interval (`net.core.message_cost`).
const RATELIMIT: (u32, Nanos) = (10, Nanos::from_secs(5));

/// `KERN_CRIT`.
pub const LOG_CRIT: u8 = 2;
/// `KERN_ERR`.
pub const LOG_ERR: u8 = 3;
/// `KERN_WARNING`.
pub const LOG_WARNING: u8 = 4;
/// `KERN_NOTICE`.
pub const LOG_NOTICE: u8 = 5;
/// `KERN_INFO`.
pub const LOG_INFO: u8 = 6;

/// A log record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelLine {
    /// Time stamp, by the CPU's clock.
    pub at: Nanos,
    /// Level: `KERN_EMERG` 0 to `KERN_DEBUG` 7.
    pub level: u8,
    /// Text without newline.
    pub text: String,
}

/// The log of a machine; the oldest records are overwritten.
#[derive(Clone, Debug, Default)]
pub struct KernelLog {
    lines: VecDeque<KernelLine>,
    bytes: usize,
    /// Records written so far, also those that are overwritten.
    written: u64,
    /// Records cleared by `dmesg -C`.
    cleared: usize,
    /// Lines that are written only once, and were.
    written_once: BTreeSet<&'static str>,
    /// State of `net_ratelimit`: start of the interval, messages printed, messages suppressed.
    ratelimit: (Nanos, u32, u32),
    /// `nf_log_all_netns`: unless 0, rules of namespaces other than the first one log too.
    pub nf_log_all_netns: i32,
}

impl KernelLog {
    /// Appends a record (`printk`).
    pub fn push(&mut self, at: Nanos, level: u8, text: String) {
        self.bytes += text.len();
        self.written += 1;
        self.lines.push_back(KernelLine { at, level, text });
        while self.bytes > CAPACITY
            && let Some(oldest) = self.lines.pop_front()
        {
            self.bytes -= oldest.text.len();
            self.cleared = self.cleared.saturating_sub(1);
        }
    }

    /// Rate limit for messages that packets can trigger; false: suppress (`net_ratelimit`).
    pub fn net_ratelimit(&mut self, at: Nanos) -> bool {
        let (burst, interval) = RATELIMIT;
        let (begin, printed, missed) = self.ratelimit;
        if printed == 0 || at.since(begin) > interval {
            if missed > 0 {
                self.push(at, LOG_WARNING, format!("net_ratelimit: {missed} callbacks suppressed"));
            }
            self.ratelimit = (at, 0, 0);
        }
        let (_, printed, missed) = &mut self.ratelimit;
        if *printed == burst {
            *missed += 1;
            return false;
        }
        *printed += 1;
        true
    }

    /// The records that are not cleared, oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &KernelLine> {
        self.lines.iter().skip(self.cleared)
    }

    /// Number of records written so far, also those that are overwritten.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The records behind the first `count` that were written, as far as they are not overwritten.
    pub fn since(&self, count: u64) -> impl Iterator<Item = &KernelLine> {
        let new = self.written.saturating_sub(count) as usize;
        self.lines.iter().skip(self.lines.len().saturating_sub(new))
    }

    /// It is the first time that a line is to be written which is written only once (`printk_once`).
    pub fn is_first(&mut self, line: &'static str) -> bool {
        self.written_once.insert(line)
    }

    /// Clears all records so far (`SYSLOG_ACTION_CLEAR`).
    pub fn clear(&mut self) {
        self.cleared = self.lines.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_lines_go_when_the_log_is_full() {
        let mut log = KernelLog::default();
        for n in 0..200_u32 {
            log.push(Nanos::ZERO, LOG_INFO, format!("{n:01024}"));
        }
        assert_eq!((log.lines().count(), log.written()), (128, 200));
        assert_eq!(log.since(198).map(|line| line.text.len()).collect::<Vec<_>>(), [1024, 1024]);
        assert_eq!(log.since(0).count(), 128);
        assert!(log.lines().next().is_some_and(|line| line.text.ends_with("072")));
        log.clear();
        assert_eq!(log.lines().count(), 0);
        log.push(Nanos::ZERO, LOG_INFO, "new".to_owned());
        assert_eq!(log.lines().count(), 1);
    }

    #[test]
    fn ten_messages_in_five_seconds() {
        let mut log = KernelLog::default();
        let passed = |log: &mut KernelLog, s| log.net_ratelimit(Nanos::from_secs(s));
        assert_eq!((0..12).filter(|_| passed(&mut log, 1)).count(), 10);
        assert!(passed(&mut log, 7));
        let text: Vec<&str> = log.lines().map(|line| line.text.as_str()).collect();
        assert_eq!(text, ["net_ratelimit: 2 callbacks suppressed"]);
    }
}
