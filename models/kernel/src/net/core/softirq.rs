//! Softirqs: run after an interrupt or task that raised them, or in `ksoftirqd`.
//!
//! A run is suspended where something else happens before its next packet, and goes on in an event of its own: so frames that
//! arrive meanwhile are in the ring when the driver looks for them.
//!
//! Kernel: kernel/softirq.c

use glassnet_sim::Nanos;

use super::{dev, sch_generic};
use crate::Cx;
use crate::event::Event;
use crate::ids::DevId;
use crate::tables::softnet::{SLICE, Softirq, SoftirqRun};
use crate::trace::Context;

/// Iterations before `ksoftirqd` is woken (`MAX_SOFTIRQ_RESTART`).
const MAX_SOFTIRQ_RESTART: u32 = 10;
/// Time before `ksoftirqd` is woken (`MAX_SOFTIRQ_TIME`).
const MAX_SOFTIRQ_TIME: Nanos = Nanos::from_millis(2);

/// Enables bottom halves and runs pending softirqs, unless `ksoftirqd` is to run them.
#[inline]
pub fn local_bh_enable(cx: &mut Cx) {
    let cpu = &cx.k.cpus[cx.cpu.index()];
    if cpu.pending == 0 || cpu.ksoftirqd || cpu.softirq.is_some() {
        return;
    }
    let context = cx.switch_context(Context::SoftIrq);
    handle_softirqs(cx);
    cx.switch_context(context);
}

/// Goes on with suspended softirqs.
pub fn resume(cx: &mut Cx) {
    if let Some(run) = cx.k.cpus[cx.cpu.index()].softirq.take() {
        if run.by_ksoftirqd {
            cx.switch_context(Context::Ksoftirqd);
        }
        cx.resumes = true;
        run_softirqs(cx, run);
    }
}

/// Runs `ksoftirqd`.
pub fn run_ksoftirqd(cx: &mut Cx) {
    cx.k.cpus[cx.cpu.index()].ksoftirqd = false;
    handle_softirqs(cx);
}

fn handle_softirqs(cx: &mut Cx) {
    let (end, by_ksoftirqd) = (cx.now + MAX_SOFTIRQ_TIME, cx.context == Context::Ksoftirqd);
    run_softirqs(cx, SoftirqRun { end, restarts: MAX_SOFTIRQ_RESTART, by_ksoftirqd, pending: 0 });
}

fn run_softirqs(cx: &mut Cx, mut run: SoftirqRun) {
    loop {
        let begin = cx.now;
        let cpu = &mut cx.k.cpus[cx.cpu.index()];
        if cx.resumes {
            dev::net_rx_action(cx);
        } else {
            // What they raise comes in the next round.
            run.pending = std::mem::take(&mut cpu.pending);
            if run.pending & Softirq::NetTx.bit() != 0 {
                sch_generic::net_tx_action(cx);
            }
            if run.pending & Softirq::NetRx.bit() != 0 {
                cx.k.cpus[cx.cpu.index()].stat.net_rx_softirqs += 1;
                dev::net_rx_action(cx);
            }
        }
        if !cx.suspends && run.pending & Softirq::Tasklet.bit() != 0 {
            tasklet_action(cx);
        }
        if run.by_ksoftirqd {
            cx.k.cpus[cx.cpu.index()].lag += cx.now.since(begin).0 as i64;
        }
        if cx.suspends {
            cx.k.cpus[cx.cpu.index()].softirq = Some(run);
            let (machine, cpu) = (cx.machine(), cx.cpu);
            return cx.events.schedule(cx.now, Event::Softirq { machine, cpu });
        }
        run.restarts -= 1;
        let cpu = &mut cx.k.cpus[cx.cpu.index()];
        if cpu.pending == 0 {
            if std::mem::take(&mut cpu.wanted) {
                leave_to_tasks(cx);
            }
            return;
        }
        if cx.now >= run.end || run.restarts == 0 || run.by_ksoftirqd && need_resched(cx) {
            return wakeup_softirqd(cx, run.by_ksoftirqd);
        }
    }
}

/// A device's tasklet is run by the next softirq of this CPU.
pub fn tasklet_schedule(cx: &mut Cx, dev: DevId) {
    let sd = &mut cx.k.cpus[cx.cpu.index()];
    sd.tasklets.push(dev);
    sd.raise(Softirq::Tasklet);
}

#[cold]
fn tasklet_action(cx: &mut Cx) {
    let sd = &mut cx.k.cpus[cx.cpu.index()];
    sd.stat.tasklet_softirqs += 1;
    for dev in std::mem::take(&mut sd.tasklets) {
        if let Some(tasklet) = cx.k.devs.get(dev).and_then(|netdev| netdev.ops.tasklet) {
            tasklet(cx, dev);
        }
    }
}

/// Programs that want the CPU have had less of it of late.
fn need_resched(cx: &Cx) -> bool {
    cx.k.cpus[cx.cpu.index()].lag >= SLICE.0 as i64
}

/// `ksoftirqd` is to go on when its turn comes: after programs that use all the time they get, and after those that are ready.
fn wakeup_softirqd(cx: &mut Cx, ran: bool) {
    let (machine, cpu) = (cx.machine(), cx.cpu);
    let sd = &mut cx.k.cpus[cpu.index()];
    let mut at = cx.now;
    if !std::mem::replace(&mut sd.ksoftirqd, true) && !ran {
        sd.lag = 0;
    } else if sd.lag >= SLICE.0 as i64 {
        if sd.burners > 0 {
            at += Nanos(SLICE.0 * u64::from(sd.burners));
            sd.lag = 0;
        }
        leave_to_tasks(cx);
    }
    let lag = &mut cx.k.cpus[cpu.index()].lag;
    *lag = (*lag).min(2 * SLICE.0 as i64);
    cx.events.schedule(at, Event::Ksoftirqd { machine, cpu });
}

/// Programs and threads that wait for the CPU may have it.
#[cold]
fn leave_to_tasks(cx: &mut Cx) {
    cx.wake_up();
    let machine = cx.machine();
    for thread in std::mem::take(&mut cx.k.cpus[cx.cpu.index()].waiting) {
        cx.events.schedule(cx.now, Event::Kthread { machine, thread });
    }
}
