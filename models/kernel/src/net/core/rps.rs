//! Receive packet steering and receive flow steering: the CPU that handles a received packet.
//!
//! Kernel: net/core/dev.c (`get_rps_cpu`), net/core/net-sysfs.c, net/core/sysctl_net_core.c

use crate::Cx;
use crate::door::Func;
use crate::ids::{CpuId, DevId, SkbId, SocketId};
use crate::net::core::flow_dissector::skb_get_hash;
use crate::netlink::Errno;
use crate::tables::cpumask::CpuMask;
use crate::tables::rps::{RpsDevFlow, RxQueue, SockFlows};

/// The device and the receive queue that a packet came by.
fn rx_queue(cx: &Cx, skb: SkbId) -> (DevId, usize) {
    (cx.skbs[skb].dev, usize::from(cx.skbs[skb].queue_mapping).saturating_sub(1))
}

/// The CPU that a received packet is to go to; `None`: it stays.
pub fn get_rps_cpu(cx: &mut Cx, skb: SkbId) -> Option<CpuId> {
    cx.call(Func::GetRpsCpu, skb);
    let (dev, at) = rx_queue(cx, skb);
    let queue = cx.k.devs[dev].rx_queues.get(at)?;
    if queue.rps_map.is_empty() && queue.flows.is_empty() {
        return None;
    }
    let hash = skb_get_hash(cx, skb);
    let queue = &cx.k.devs[dev].rx_queues[at];
    if let Some((reader, index)) = reader_of(cx, queue, hash) {
        let flow = queue.flows[index];
        // It moves only once the packets before it have been handled, so that none overtakes another.
        let stays = flow.cpu.filter(|cpu| {
            let head = cx.k.cpus[cpu.index()].input_queue_head;
            *cpu == reader || (head.wrapping_sub(flow.last_qtail) as i32) < 0
        });
        let cpu = stays.unwrap_or(reader);
        cx.k.devs[dev].rx_queues[at].flows[index].cpu = Some(cpu);
        return Some(cpu);
    }
    let map = &queue.rps_map;
    // `reciprocal_scale`.
    let index = (u64::from(hash) * map.len() as u64) >> 32;
    map.get(index as usize).copied()
}

/// The CPU that reads a flow, and the flow's place in the queue's table; `None`: nobody does, or nobody asked for it.
fn reader_of(cx: &Cx, queue: &RxQueue, hash: u32) -> Option<(CpuId, usize)> {
    let last = queue.flows.len().checked_sub(1)?;
    Some((cx.k.core.rps_sock_flow_table.reader(hash)?, hash as usize & last))
}

/// A packet of a flow that follows its reader was appended to a backlog: the place behind it is noted.
#[cold]
pub fn input_queue_tail_incr_save(cx: &mut Cx, skb: SkbId, cpu: CpuId) {
    let sd = &cx.k.cpus[cpu.index()];
    let behind = sd.input_queue_head.wrapping_add(sd.input_pkt_queue.len() as u32);
    let (dev, at) = rx_queue(cx, skb);
    let queue = cx.k.devs[dev].rx_queues.get(at);
    if let Some((_, index)) = queue.and_then(|queue| reader_of(cx, queue, cx.skbs[skb].hash)) {
        cx.k.devs[dev].rx_queues[at].flows[index].last_qtail = behind;
    }
}

/// A socket remembers the flow of what it receives (`sock_rps_save_rxhash`).
#[inline]
pub fn sock_rps_save_rxhash(cx: &mut Cx, sock: SocketId, skb: SkbId) {
    let hash = cx.skbs[skb].hash;
    if hash != 0
        && let Some(socket) = cx.k.sockets.get_mut(sock)
    {
        socket.rxhash = hash;
    }
}

/// A program reads from a socket: its flow is read on this CPU (`sock_rps_record_flow`).
#[inline]
pub fn sock_rps_record_flow(cx: &mut Cx, sock: SocketId) {
    if !cx.k.core.rps_sock_flow_table.is_empty() {
        record_flow(cx, sock);
    }
}

#[cold]
fn record_flow(cx: &mut Cx, sock: SocketId) {
    // Only those that have one peer.
    let socket = cx.k.sockets.get(sock).filter(|socket| socket.remote.is_some());
    let hash = socket.map_or(0, |socket| socket.rxhash);
    if hash != 0 {
        let cpu = cx.cpu;
        cx.k.core.rps_sock_flow_table.record(hash, cpu);
    }
}

/// Says which CPUs a receive queue spreads over (`store_rps_map`).
pub fn set_rps_cpus(cx: &mut Cx, dev: DevId, queue: usize, cpus: CpuMask) {
    let queue = queue_mut(cx, dev, queue);
    (queue.rps_cpus, queue.rps_map) = (cpus, cpus.iter().collect());
    count_users(cx);
}

/// Flows of a queue at most (`store_rps_dev_flow_table_cnt`), and entries of the table of readers.
const MOST_FLOWS: u64 = 1 << 30;
const MOST_ENTRIES: i64 = 1 << 29;
/// As many have room in a machine's memory.
const MEMORY: usize = 1 << 22;

/// Says how many flows of a receive queue are told apart, rounded up to a power of two; 0: flows do not follow their readers.
///
/// # Errors
///
/// `EINVAL` for more than 2^30, `ENOMEM` for more than the machine has memory for.
pub fn set_rps_flow_cnt(cx: &mut Cx, dev: DevId, queue: usize, count: u64) -> Result<(), Errno> {
    if count > MOST_FLOWS {
        return Err(Errno::EINVAL);
    }
    let flows = table_len(count)?;
    queue_mut(cx, dev, queue).flows = vec![RpsDevFlow::default(); flows];
    count_users(cx);
    Ok(())
}

/// Sets `net.core.rps_sock_flow_entries`, rounded up to a power of two; 0: readers are not recorded.
///
/// # Errors
///
/// `EINVAL` for more than 2^29, `ENOMEM` for more than the machine has memory for.
pub fn set_sock_flow_entries(cx: &mut Cx, entries: i64) -> Result<(), Errno> {
    if !(0..=MOST_ENTRIES).contains(&entries) {
        return Err(Errno::EINVAL);
    }
    let entries = table_len(entries as u64)?;
    if entries != cx.k.core.rps_sock_flow_table.len() {
        cx.k.core.rps_sock_flow_table = SockFlows::new(entries, cx.k.cpus.len());
    }
    Ok(())
}

/// The next power of two, or none.
fn table_len(count: u64) -> Result<usize, Errno> {
    let len = if count == 0 { 0 } else { count.next_power_of_two() as usize };
    if len > MEMORY { Err(Errno::ENOMEM) } else { Ok(len) }
}

fn queue_mut<'c>(cx: &'c mut Cx, dev: DevId, queue: usize) -> &'c mut RxQueue {
    let queues = &mut cx.k.devs[dev].rx_queues;
    if queues.len() <= queue {
        queues.resize(queue + 1, RxQueue::default());
    }
    &mut queues[queue]
}

/// Packets are steered only where somebody asked for it (`rps_needed`).
fn count_users(cx: &mut Cx) {
    let steers = |queue: &RxQueue| !queue.rps_map.is_empty() || !queue.flows.is_empty();
    cx.k.core.rps_needed = cx.k.devs.iter().any(|dev| dev.rx_queues.iter().any(steers));
}
