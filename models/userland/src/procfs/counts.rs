//! `/proc/softirqs` and `/proc/stat`.
//!
//! Kernel: fs/proc/softirqs.c, fs/proc/stat.c

use std::fmt::Write;

use glassnet_kernel::kernel::BOOT_TIME;
use glassnet_kernel::tables::cputime::CpuTime;
use glassnet_kernel::tables::softnet::SoftnetData;
use glassnet_sim::Nanos;

use super::{File, View};

/// The files.
pub const FILES: &[File] = &[File::new("softirqs", softirqs), File::new("stat", stat)];

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
            let _ = write!(text, " {:>10}", count(cpu, name));
        }
        text.push('\n');
    }
    text
}

fn count(cpu: &SoftnetData, softirq: &str) -> u32 {
    match softirq {
        "NET_TX" => cpu.stat.net_tx_softirqs,
        "NET_RX" => cpu.stat.net_rx_softirqs,
        "TASKLET" => cpu.stat.tasklet_softirqs,
        _ => 0,
    }
}

/// Time in hundredths of a second (`USER_HZ`).
fn ticks(time: Nanos) -> u64 {
    time.0 / 10_000_000
}

/// Not modelled: context switches and numbers of processes, whose lines are left out.
fn stat(view: &View) -> String {
    let cpus = &view.kernel.cpus;
    let line = |name: &str, times: &[CpuTime]| {
        let sum = |of: fn(&CpuTime) -> Nanos| ticks(Nanos(times.iter().map(|time| of(time).0).sum()));
        let [user, system, irq, softirq] =
            [sum(|t| t.user), sum(|t| t.system), sum(|t| t.irq), sum(|t| t.softirq)];
        let idle = ticks(Nanos(times.iter().map(|time| view.now.since(time.busy()).0).sum()));
        format!("{name} {user} 0 {system} {idle} 0 {irq} {softirq} 0 0 0\n")
    };
    let times: Vec<CpuTime> = cpus.iter().map(|cpu| cpu.time_at(view.now)).collect();
    let mut text = line("cpu ", &times);
    for (cpu, time) in times.iter().enumerate() {
        text += &line(&format!("cpu{cpu}"), &[*time]);
    }
    let irqs: Vec<(u32, u64)> =
        view.kernel.irqs.iter().map(|(irq, desc)| (irq, desc.counts.iter().sum())).collect();
    let _ = write!(text, "intr {}", irqs.iter().map(|(_, count)| count).sum::<u64>());
    for irq in 0..=irqs.last().map_or(0, |(last, _)| *last) {
        let count = irqs.iter().find(|(number, _)| *number == irq).map_or(0, |(_, count)| *count);
        let _ = write!(text, " {count}");
    }
    let counts = SOFTIRQS.map(|name| cpus.iter().map(|cpu| u64::from(count(cpu, name))).sum::<u64>());
    let _ = write!(text, "\nbtime {BOOT_TIME}\nsoftirq {}", counts.iter().sum::<u64>());
    counts.iter().for_each(|count| _ = write!(text, " {count}"));
    text + "\n"
}
