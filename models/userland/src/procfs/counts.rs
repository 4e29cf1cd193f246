//! `/proc/softirqs`.
//!
//! Kernel: fs/proc/softirqs.c

use std::fmt::Write;

use super::{File, View};

/// The files.
pub const FILES: &[File] = &[File::new("softirqs", softirqs)];

/// Names of the softirqs in the order of their numbers (`softirq_to_name`, kernel/softirq.c).
const SOFTIRQS: [&str; 10] =
    ["HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU"];

/// Only the network's softirqs are modelled; the others are 0.
fn softirqs(view: &View) -> String {
    let mut text = " ".repeat(20);
    for cpu in 0..view.kernel.cpus.len() {
        let _ = write!(text, "{:<11}", format!("CPU{cpu}"));
    }
    text.push('\n');
    for name in SOFTIRQS {
        let _ = write!(text, "{name:>12}:");
        for cpu in &view.kernel.cpus {
            let count = match name {
                "NET_TX" => cpu.stat.net_tx_softirqs,
                "NET_RX" => cpu.stat.net_rx_softirqs,
                _ => 0,
            };
            let _ = write!(text, " {count:>10}");
        }
        text.push('\n');
    }
    text
}
