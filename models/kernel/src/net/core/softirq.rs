//! Softirqs: run after an interrupt or task that raised them, or in `ksoftirqd`.
//!
//! Kernel: kernel/softirq.c

use glassnet_sim::Nanos;

use super::dev;
use crate::Cx;
use crate::event::Event;
use crate::tables::softnet::Softirq;
use crate::trace::Context;

/// Iterations before `ksoftirqd` is woken (`MAX_SOFTIRQ_RESTART`).
const MAX_SOFTIRQ_RESTART: u32 = 10;
/// Time before `ksoftirqd` is woken (`MAX_SOFTIRQ_TIME`).
const MAX_SOFTIRQ_TIME: Nanos = Nanos::from_millis(2);

/// Enables bottom halves and runs pending softirqs, unless `ksoftirqd` is to run them.
#[inline]
pub fn local_bh_enable(cx: &mut Cx) {
    let cpu = &cx.k.cpus[cx.cpu.index()];
    if cpu.pending == 0 || cpu.ksoftirqd {
        return;
    }
    let context = std::mem::replace(&mut cx.context, Context::SoftIrq);
    handle_softirqs(cx);
    cx.context = context;
}

/// Runs `ksoftirqd`.
pub fn run_ksoftirqd(cx: &mut Cx) {
    cx.k.cpus[cx.cpu.index()].ksoftirqd = false;
    handle_softirqs(cx);
}

fn handle_softirqs(cx: &mut Cx) {
    let end = cx.now + MAX_SOFTIRQ_TIME;
    for _ in 0..MAX_SOFTIRQ_RESTART {
        if cx.k.cpus[cx.cpu.index()].take(Softirq::NetRx) {
            cx.k.cpus[cx.cpu.index()].stat.net_rx_softirqs += 1;
            dev::net_rx_action(cx);
        }
        if cx.k.cpus[cx.cpu.index()].pending == 0 {
            return;
        }
        if cx.now >= end {
            break;
        }
    }
    wakeup_softirqd(cx);
}

fn wakeup_softirqd(cx: &mut Cx) {
    let (machine, cpu) = (cx.machine(), cx.cpu);
    cx.k.cpus[cpu.index()].ksoftirqd = true;
    cx.events.schedule(cx.now, Event::Ksoftirqd { machine, cpu });
}
