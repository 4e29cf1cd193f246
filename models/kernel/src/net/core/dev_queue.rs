//! Transmit queues: which one a packet takes, how drivers stop and wake them, byte queue limits.
//!
//! Kernel: net/core/dev.c, include/linux/netdevice.h

use crate::Cx;
use crate::door::Func;
use crate::ids::{DevId, QdiscId, SkbId};
use crate::netlink::Errno;
use crate::tables::jiffies::jiffies;
use crate::tables::netdev::NetDevice;
use crate::tables::netdev_queue::NetdevQueue;
use crate::tables::softnet::Softirq;

use super::flow_dissector::skb_get_hash;

/// Selects the transmit queue of a packet, and writes it into the packet.
pub fn netdev_core_pick_tx(cx: &mut Cx, skb: SkbId, dev: DevId) -> u16 {
    let queue = if cx.k.devs[dev].real_num_tx_queues == 1 { 0 } else { netdev_pick_tx(cx, skb, dev) };
    cx.skbs[skb].queue_mapping = queue;
    queue
}

/// The queue of the CPU, if some are bound to it; otherwise the one of the receive queue, or one by the hash of the flow.
///
/// Not modelled: sockets that stay with a queue, traffic classes.
fn netdev_pick_tx(cx: &mut Cx, skb: SkbId, dev: DevId) -> u16 {
    cx.call(Func::NetdevPickTx, skb);
    let netdev = &cx.k.devs[dev];
    let count = netdev.real_num_tx_queues as usize;
    let cpu = 1_u64.checked_shl(cx.cpu.0).unwrap_or(0);
    let bound: Vec<usize> = (0..count).filter(|at| netdev.tx[*at].xps_cpus & cpu != 0).collect();
    let hash = |cx: &mut Cx, among: usize| ((u64::from(skb_get_hash(cx, skb)) * among as u64) >> 32) as usize;
    let queue = match (bound.as_slice(), cx.skbs[skb].queue_mapping) {
        ([], 0) => hash(cx, count),
        ([], recorded) => (usize::from(recorded) - 1) % count,
        ([only], _) => *only,
        (several, 0) => several[hash(cx, several.len())],
        (several, recorded) => several[(usize::from(recorded) - 1) % several.len()],
    };
    queue as u16
}

/// Sets how many transmit queues are used. Packets that wait for one that goes are lost.
///
/// # Errors
///
/// `EINVAL` for none, or more than the device has.
pub fn netif_set_real_num_tx_queues(cx: &mut Cx, dev: DevId, count: u32) -> Result<(), Errno> {
    let netdev = &mut cx.k.devs[dev];
    if count < 1 || count > netdev.num_tx_queues {
        return Err(Errno::EINVAL);
    }
    let unused = count..netdev.real_num_tx_queues.max(count);
    netdev.real_num_tx_queues = count;
    for queue in unused {
        let q = cx.k.devs[dev].tx[queue as usize].qdisc_sleeping;
        super::qdisc::qdisc_reset(cx, q);
    }
    Ok(())
}

/// The CPU sends a discipline's packets in its next `NET_TX_SOFTIRQ`.
pub fn __netif_schedule(cx: &mut Cx, q: QdiscId) {
    cx.call(Func::NetifSchedule, None);
    if std::mem::replace(&mut cx.k.qdiscs[q].state.scheduled, true) {
        return;
    }
    let sd = &mut cx.k.cpus[cx.cpu.index()];
    sd.output_queue.push(q);
    sd.raise(Softirq::NetTx);
}

/// The driver has no room for another packet in this queue.
pub fn netif_tx_stop_queue(dev: &mut NetDevice, queue: u16) {
    dev.tx[usize::from(queue)].drv_xoff = true;
}

/// The driver has room again in a queue, or for the first time: nothing is sent yet (`netif_tx_start_queue`).
pub fn netif_tx_start_queue(dev: &mut NetDevice, queue: u16) {
    dev.tx[usize::from(queue)].drv_xoff = false;
}

/// The driver has room again: what waits in the queue is sent.
pub fn netif_tx_wake_queue(cx: &mut Cx, dev: DevId, queue: u16) {
    cx.within(Func::NetifTxWakeQueue, None, |cx| {
        let txq = &mut cx.k.devs[dev].tx[usize::from(queue)];
        if std::mem::replace(&mut txq.drv_xoff, false) {
            let q = txq.qdisc;
            __netif_schedule(cx, q);
        }
    });
}

/// The driver gave `bytes` to its card; true if that is as much as the queue may hold, so that it stops.
pub fn netdev_tx_sent_queue(txq: &mut NetdevQueue, bytes: u32) -> bool {
    txq.dql.queued(bytes);
    txq.stack_xoff = txq.dql.avail() < 0;
    txq.stack_xoff
}

/// The card has sent `bytes` in `packets`.
pub fn netdev_tx_completed_queue(cx: &mut Cx, dev: DevId, queue: u16, packets: u32, bytes: u32) {
    if packets == 0 {
        return;
    }
    let now = jiffies(cx.now);
    let txq = &mut cx.k.devs[dev].tx[usize::from(queue)];
    txq.dql.completed(bytes, now);
    if txq.dql.avail() >= 0 && std::mem::replace(&mut txq.stack_xoff, false) {
        let q = txq.qdisc;
        // netif_schedule_queue
        if !txq.is_stopped() {
            __netif_schedule(cx, q);
        }
    }
}

/// The card holds nothing any more.
pub fn netdev_tx_reset_queue(cx: &mut Cx, dev: DevId, queue: u16) {
    let now = jiffies(cx.now);
    let txq = &mut cx.k.devs[dev].tx[usize::from(queue)];
    txq.stack_xoff = false;
    txq.dql.reset(now);
}
