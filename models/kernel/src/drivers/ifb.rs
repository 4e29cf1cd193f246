//! `ifb`: gives what an action sends by it back to the device that it is from, so that a queueing discipline can hold what came in.
//!
//! Kernel: drivers/net/ifb.c. Not modelled: several queues (`numtxqueues`).

use std::collections::VecDeque;

use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{DevId, SkbId};
use crate::link::{DrvInfo, EthtoolOps, LinkOps};
use crate::module::Module;
use crate::net::core::dev::unregister_netdevice;
use crate::net::core::dev_queue::{netif_tx_stop_queue, netif_tx_wake_queue};
use crate::net::core::softirq::tasklet_schedule;
use crate::net::ethernet::eth::ether_setup;
use crate::tables::drop_reason::DropReason;
use crate::tables::netdev::{AddrAssign, DevStats, IFF_MULTICAST, IFF_NOARP, NetDevice};
use crate::tables::netdev_features::{
    FRAGLIST, GSO_ENCAP_ALL, GSO_SOFTWARE, HIGHDMA, HW_CSUM, HW_VLAN_CTAG_TX, HW_VLAN_STAG_TX, SG,
};

/// The module. No device is created at load time (`numifbs` is 0, systemd's default).
pub static MODULE: Module = Module { links: &[&LINK_OPS], ..Module::named("ifb") };

/// Link kind `ifb`.
static LINK_OPS: LinkOps = LinkOps {
    dellink: Some(ifb_dellink),
    has_fixed_address: true,
    tasklet: Some(ifb_ri_tasklet),
    ethtool: EthtoolOps {
        get_drvinfo: Some(|_| DrvInfo {
            driver: "ifb".to_owned(),
            version: "",
            fw_version: "",
            bus_info: String::new(),
        }),
        get_ethtool_stats: Some(|_, dev| {
            let DevStats { rx_packets, rx_bytes, tx_packets, tx_bytes, .. } = dev.stats;
            let row = |name: &str, value| (name.to_owned(), value);
            vec![
                row("rx_queue_0_packets", rx_packets),
                row("rx_queue_0_bytes", rx_bytes),
                row("tx_queue_0_packets", tx_packets),
                row("tx_queue_0_bytes", tx_bytes),
            ]
        }),
        ..EthtoolOps::NONE
    },
    ..LinkOps::new(Some("ifb"), ifb_setup, |skb| Door::IfbXmit { skb })
};

/// Length of the transmit queue, packets, and how many wait for the tasklet before it stops.
const TX_Q_LIMIT: u32 = 32;

/// What it has (`struct ifb_q_private`).
#[derive(Debug, Default)]
struct IfbQueue {
    /// Packets that wait for the tasklet.
    rq: VecDeque<SkbId>,
    /// Packets that the tasklet works on.
    tq: VecDeque<SkbId>,
    tasklet_pending: bool,
}

const IFB_FEATURES: u64 =
    SG | FRAGLIST | HW_CSUM | HIGHDMA | GSO_SOFTWARE | GSO_ENCAP_ALL | HW_VLAN_CTAG_TX | HW_VLAN_STAG_TX;

fn ifb_setup(dev: &mut NetDevice) {
    ether_setup(dev);
    dev.tx_queue_len = TX_Q_LIMIT;
    dev.features |= IFB_FEATURES;
    dev.hw_features |= dev.features;
    dev.vlan_features |= IFB_FEATURES & !(HW_VLAN_CTAG_TX | HW_VLAN_STAG_TX);
    dev.flags |= IFF_NOARP;
    dev.flags &= !IFF_MULTICAST;
    dev.tx_skb_sharing = false;
    dev.addr_assign = AddrAssign::Random;
    (dev.min_mtu, dev.max_mtu) = (0, 0);
    dev.set_priv(IfbQueue::default());
}

fn ifb_dellink(cx: &mut Cx, dev: DevId) {
    ifb_dev_uninit(cx, dev);
    unregister_netdevice(cx, dev);
}

/// What waits is lost.
fn ifb_dev_uninit(cx: &mut Cx, dev: DevId) {
    let queue = cx.k.devs[dev].netdev_priv_mut::<IfbQueue>().map(std::mem::take).unwrap_or_default();
    for skb in queue.rq.into_iter().chain(queue.tq) {
        cx.kfree_skb(skb, DropReason::NotSpecified);
    }
}

fn txp<'a>(cx: &'a mut Cx, dev: DevId) -> (&'a mut IfbQueue, &'a mut DevStats) {
    cx.k.devs[dev].priv_and_stats().expect("an ifb has its queue")
}

/// Takes a packet that an action sends, and no other; the tasklet goes on with it.
///
/// Kernel: drivers/net/ifb.c
/// Not modelled: nothing.
pub fn ifb_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    let (dev, len) = (cx.skbs[skb].dev, cx.skbs[skb].len() as u64);
    let is_redirected = cx.skbs[skb].redirected && cx.skbs[skb].skb_iif != 0;
    let limit = cx.k.devs[dev].tx_queue_len as usize;
    let (queue, stats) = txp(cx, dev);
    stats.rx_packets += 1;
    stats.rx_bytes += len;
    if !is_redirected {
        stats.rx_dropped += 1;
        return cx.consume_skb(skb);
    }
    let stops = queue.rq.len() >= limit;
    queue.rq.push_back(skb);
    let schedules = !std::mem::replace(&mut queue.tasklet_pending, true);
    if stops {
        netif_tx_stop_queue(&mut cx.k.devs[dev], 0);
    }
    if schedules {
        tasklet_schedule(cx, dev);
    }
    Door::End
}

/// Gives packets back to their devices, which receive or send them.
fn ifb_ri_tasklet(cx: &mut Cx, dev: DevId) {
    cx.within(Func::IfbRiTasklet, None, |cx| {
        let (queue, _) = txp(cx, dev);
        if queue.tq.is_empty() {
            std::mem::swap(&mut queue.tq, &mut queue.rq);
        }
        let mut goes_on = true;
        while let Some(skb) = txp(cx, dev).0.tq.pop_front().filter(|_| goes_on) {
            goes_on = give_back(cx, dev, skb);
        }
        let (queue, _) = txp(cx, dev);
        queue.tasklet_pending = !queue.rq.is_empty() || !queue.tq.is_empty();
        if queue.tasklet_pending {
            tasklet_schedule(cx, dev);
        } else if cx.k.devs[dev].tx[0].is_stopped() {
            netif_tx_wake_queue(cx, dev, 0);
        }
    });
}

/// A packet goes back to the device that it is from; false if that is gone.
fn give_back(cx: &mut Cx, dev: DevId, skb: SkbId) -> bool {
    let (netns, ifindex) = (cx.k.devs[dev].netns, cx.k.devs[dev].ifindex);
    let len = cx.skbs[skb].len() as u64;
    let to = cx.k.dev_by_index(netns, cx.skbs[skb].skb_iif);
    let (_, stats) = txp(cx, dev);
    stats.tx_packets += 1;
    stats.tx_bytes += len;
    let Some(to) = to else {
        stats.tx_dropped += 1;
        cx.consume_skb(skb);
        return false;
    };
    let pkt = &mut cx.skbs[skb];
    (pkt.redirected, pkt.tc_skip_classify) = (false, true);
    (pkt.dev, pkt.skb_iif) = (to, ifindex);
    if pkt.from_ingress {
        pkt.data = pkt.network_header;
        cx.walk(Door::NetifReceiveSkb { skb });
    } else {
        cx.walk(Door::DevQueueXmit { skb });
    }
    true
}
