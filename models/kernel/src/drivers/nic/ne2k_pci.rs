//! ne2k-pci: a card without descriptors, whose interrupt handler takes each frame itself (`netif_rx`), without NAPI.
//!
//! The card has 16 KiB of memory of its own: room for two frames that leave, and a ring of pages of 256 bytes for those that come
//! in. The CPU copies each frame from there and there.
//!
//! Not modelled: that the driver stops a card that is full for 10 ms (`ei_rx_overrun`), and that the card counts only 255 missed frames.
//!
//! Kernel: drivers/net/ethernet/8390/ne2k-pci.c, 8390.c, lib8390.c

use glassnet_hardware::{PlugId, Vectors};

use super::{
    Chip, Driver, cable, close, ethtool, frame_len, mac, nic, nic_mut, open, setup, transmit, unmask,
};
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{DevId, SkbId};
use crate::link::{EthtoolOps, LinkOps};
use crate::net::core::dev_queue::{netif_tx_start_queue, netif_tx_stop_queue, netif_tx_wake_queue};
use crate::net::core::skbuff::dev_consume_skb_any;
use crate::net::ethernet::eth::eth_type_trans;
use crate::tables::drop_reason::DropReason;
use crate::tables::netdev::NetDevice;

/// The driver.
pub static DRIVER: Driver = Driver {
    name: "ne2k-pci",
    version: "1.03",
    fw_version: "",
    link: &LINK_OPS,
    max_rings: 1,
    rx_filters: &[],
    phy: None,
    counts_by_itself: false,
    chip: Chip::IoApic,
    rx_page: PAGE,
    vectors: |name, _| vec![name.to_owned()],
    use_of: |_| Vectors { rx: 0, tx: 0, count: 1 },
    xmit: Func::EiStartXmit,
    handler: ei_interrupt,
    napi: None,
};

static LINK_OPS: LinkOps = LinkOps {
    open: Some(open),
    stop: Some(close),
    ethtool: EthtoolOps {
        get_drvinfo: Some(ethtool::get_drvinfo),
        get_msglevel: Some(ethtool::get_msglevel),
        set_msglevel: Some(ethtool::set_msglevel),
        ..EthtoolOps::NONE
    },
    ..LinkOps::new(None, setup_ne2000, |skb| Door::EiStartXmit { skb })
};

/// A page of the card's memory, bytes.
const PAGE: u32 = 256;
/// Pages for frames that come in (`NESM_STOP_PG`, `NESM_START_PG`, less those of frames that leave).
pub(super) const RX_PAGES: u32 = 52;
/// Frames that leave and have room on the card (`EI_PINGPONG`).
const TX_BUFFERS: usize = 2;
/// How often the handler looks again (`MAX_SERVICE`).
const MAX_SERVICE: u32 = 12;
/// Frames that it takes before it looks for something else.
const MOST_AT_ONCE: u32 = 9;

fn setup_ne2000(dev: &mut NetDevice) {
    setup(dev, 1500, 0, 0);
}

/// Copies the frame to the card; the packet is freed at once.
///
/// Kernel: drivers/net/ethernet/8390/8390.c
/// Not modelled: a card that does not take the frame in time.
pub fn ei_start_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    let (dev, len) = (cx.skbs[skb].dev, frame_len(cx, cx.skbs[skb].len()) as u32);
    let Some(nic) = nic_mut(cx, dev) else { return cx.kfree_skb(skb, DropReason::DevReady) };
    if nic.rings[0].on_card >= TX_BUFFERS {
        netif_tx_stop_queue(&mut cx.k.devs[dev], 0);
        cx.k.xmit_busy = true;
        return Door::End;
    }
    let plug = nic.plug;
    nic.rings[0].on_card += 1;
    let is_full = nic.rings[0].on_card == TX_BUFFERS;
    cx.call(Func::Ne2kPciBlockOutput, skb);
    cx.copy(len as usize);
    let sent = transmit(cx, skb, plug);
    if cx.k.config.veth_cables {
        tell_sent(cx, dev, len);
        return cx.consume_skb(skb);
    }
    super::post(cx, plug, 0, sent, len);
    if is_full {
        netif_tx_stop_queue(&mut cx.k.devs[dev], 0);
    } else {
        netif_tx_start_queue(&mut cx.k.devs[dev], 0);
    }
    dev_consume_skb_any(cx, skb);
    Door::End
}

/// A frame has left.
fn tell_sent(cx: &mut Cx, dev: DevId, bytes: u32) {
    let stats = &mut cx.k.devs[dev].stats;
    stats.tx_packets += 1;
    stats.tx_bytes += u64::from(bytes);
    if let Some(nic) = nic_mut(cx, dev) {
        nic.rings[0].on_card -= 1;
    }
}

/// Takes what came in and what was sent, until there is nothing more.
fn ei_interrupt(cx: &mut Cx, dev: DevId, vector: usize) {
    cx.within(Func::EiInterrupt, None, |cx| {
        cx.within(Func::EiInterruptInner, None, |cx| {
            let Some(plug) = cx.k.devs.get(dev).and_then(nic).map(|nic| nic.plug) else { return };
            for _ in 0..MAX_SERVICE {
                let now = cx.now;
                let Some(card) = cx.fabric.card(plug) else { break };
                let (received, sent) = (card.rx_filled(0) > Some(0), card.sent(0, now));
                if received {
                    cx.within(Func::EiReceive, None, |cx| ei_receive(cx, dev, plug));
                }
                if let Some(len) = sent {
                    cx.within(Func::EiTxIntr, None, |cx| {
                        tell_sent(cx, dev, len);
                        netif_tx_wake_queue(cx, dev, 0);
                    });
                }
                if !received && sent.is_none() {
                    break;
                }
            }
            unmask(cx, plug, vector);
        });
    });
}

fn ei_receive(cx: &mut Cx, dev: DevId, plug: PlugId) {
    for _ in 0..MOST_AT_ONCE {
        let Some(received) = cx.fabric.card(plug).and_then(|card| card.take(0)) else { return };
        cx.call(Func::Ne2kPciGet8390Hdr, None);
        let strips = mac::strips_tag(&cx.skbs.bufs, received.frame, 0, cx.k.config.veth_cables);
        let frame = cx.skbs.bufs.bytes(received.frame);
        let (len, to_group) = ((frame.len() - strips) as u64, mac::dest(frame).is_multicast());
        let stats = &mut cx.k.devs[dev].stats;
        stats.rx_packets += 1;
        stats.rx_bytes += len;
        stats.multicast += u64::from(to_group && !cx.k.config.veth_cables);
        let skb = cable::build_skb(cx, dev, received.frame);
        cx.call(Func::Ne2kPciBlockInput, skb);
        cx.copy(len as usize);
        if let Some(card) = cx.fabric.card(plug) {
            card.give_back(0, received.room);
        }
        if !eth_type_trans(cx, skb, dev) {
            cx.kfree_skb(skb, DropReason::HdrTrunc);
        } else {
            if strips > 0 {
                cx.skbs.pull_tag(skb);
            }
            cx.walk(Door::NetifRx { skb });
        }
    }
}
