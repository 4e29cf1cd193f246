//! A queue and a NAPI instance a CPU, for what tunnels take out of their packets.
//!
//! Kernel: net/core/gro_cells.c

use super::dev::napi_schedule;
use super::gro::napi_gro_end;
use glassnet_sim::Nanos;

use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{DevId, SkbId};
use crate::tables::drop_reason::DropReason;
use crate::tables::netdev_features::GRO;
use crate::tables::softnet::Napi;

/// Gives a device a queue for each CPU.
pub fn gro_cells_init(cx: &mut Cx, dev: DevId) {
    let cpus = cx.k.cpus.len();
    cx.k.devs[dev].gro_cells.resize_with(cpus, Default::default);
}

/// Frees what waits in them.
pub fn gro_cells_destroy(cx: &mut Cx, dev: DevId) {
    for skb in std::mem::take(&mut cx.k.devs[dev].gro_cells).into_iter().flatten() {
        cx.kfree_skb(skb, DropReason::NotSpecified);
    }
}

/// Queues a packet for its device's poll on this CPU; one that is not to be merged goes to the backlog.
///
/// Kernel: net/core/gro_cells.c
/// Not modelled: nothing.
pub fn gro_cells_receive(cx: &mut Cx, skb: SkbId) -> Door {
    let dev = cx.skbs[skb].dev;
    let netdev = &cx.k.devs[dev];
    // One of several segments has got bytes of its own as it came out (`iptunnel_pull_offloads`).
    let is_cloned = cx.skbs[skb].gso_size == 0 && cx.skbs.is_cloned(skb);
    if netdev.features & GRO == 0 || is_cloned {
        return Door::NetifRx { skb };
    }
    let (cpu, max) = (cx.cpu, cx.k.core.netdev_max_backlog as usize);
    let netdev = &mut cx.k.devs[dev];
    let cell = &mut netdev.gro_cells[cpu.index()];
    if cell.len() > max {
        netdev.stats.rx_dropped += 1;
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    cell.push_back(skb);
    if cell.len() == 1 {
        cx.call(Func::NapiSchedule, None);
        schedule_poll(cx, dev);
    }
    Door::End
}

/// The poll comes behind that of the backlog. Where cables are veth pairs, that is one of all machines, so the poll waits for what they
/// send at this moment, too.
fn schedule_poll(cx: &mut Cx, dev: DevId) {
    if cx.k.config.veth_cables && cx.k.config.exec_time == Nanos::ZERO {
        let behind = Nanos(cx.k.config.settle_time.0 / 8);
        return cx.set_timer(cx.now + behind, poll_now, dev.0);
    }
    poll_now(cx, dev.0);
}

fn poll_now(cx: &mut Cx, dev: u32) {
    let (dev, cpu) = (DevId(dev), cx.cpu);
    // The device may be gone, or about to go.
    if cx.k.devs.get(dev).is_some_and(|netdev| netdev.gro_cells.len() > cpu.index()) {
        napi_schedule(cx, Napi::Device(dev, cpu.0));
    }
}

/// The poll of a CPU's queue: each packet may be merged with those that wait (`LinkOps::poll`).
pub fn gro_cell_poll(cx: &mut Cx, dev: DevId, cpu: u32, budget: u32) -> u32 {
    cx.within_resumable(Func::GroCellPoll, |cx| {
        let mut work = 0;
        while work < budget {
            if cx.suspend(work) {
                return work;
            }
            let cells = cx.k.devs.get_mut(dev).and_then(|dev| dev.gro_cells.get_mut(cpu as usize));
            let Some(skb) = cells.and_then(|cell| cell.pop_front()) else { break };
            cx.walk(Door::NapiGroReceive { skb });
            work += 1;
        }
        if work < budget {
            cx.within(Func::NapiCompleteDone, None, napi_gro_end);
        }
        work
    })
}
