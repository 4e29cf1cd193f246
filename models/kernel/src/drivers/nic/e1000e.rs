//! e1000e: one ring each way, and an interrupt vector for each.
//!
//! Kernel: drivers/net/ethernet/intel/e1000e/netdev.c, drivers/net/ethernet/intel/e1000e/ethtool.c

use glassnet_hardware::Vectors;

use super::link::LinkRow;
use super::{
    Chip, Driver, NapiDriver, close, ethtool, fix_features, mac, napi_interrupt, nic, open, poll, setup,
    xmit_frame,
};
use crate::door::{Door, Func};
use crate::ids::SkbId;
use crate::link::{EthtoolOps, LinkOps, Wol};
use crate::tables::netdev::NetDevice;
use crate::tables::netdev_features::{
    HIGHDMA, HW_CSUM, HW_VLAN_CTAG_FILTER, HW_VLAN_CTAG_RX, HW_VLAN_CTAG_TX, RXALL, RXCSUM, RXFCS, RXHASH,
    SG, TSO, TSO_MANGLEID, TSO6,
};
use crate::{Cx, Kernel};

/// The driver.
pub static DRIVER: Driver = Driver {
    name: "e1000e",
    fw_version: "2.1-0",
    version: "",
    link: &LINK_OPS,
    chip: Chip::Msi,
    rx_page: 0,
    max_rings: 1,
    rx_filters: &[
        "none",
        "all",
        "ptpv1-l4-sync",
        "ptpv1-l4-delay-req",
        "ptpv2-l4-sync",
        "ptpv2-l4-delay-req",
        "ptpv2-l2-sync",
        "ptpv2-l2-delay-req",
        "ptpv2-event",
        "ptpv2-sync",
        "ptpv2-delay-req",
    ],
    phy: Some(LinkRow { log_word: |_| String::new(), pause: false }),
    counts_by_itself: true,
    vectors: |name, _| vec![format!("{name}-rx-0"), format!("{name}-tx-0"), name.to_owned()],
    use_of: |_| Vectors { rx: 0, tx: 1, count: 3 },
    xmit: Func::E1000XmitFrame,
    handler: napi_interrupt,
    napi: Some(NapiDriver {
        interrupt: Func::E1000IntrMsixRx,
        poll: Func::E1000ePoll,
        interrupt_tx: Some(Func::E1000IntrMsixTx),
        clean_tx: Func::E1000CleanTxIrq,
        clean_rx: Func::E1000CleanRxIrq,
        alloc_rx: Func::E1000AllocRxBuffers,
        rx_checksum: Some(Func::E1000RxChecksum),
        receive: |skb| Door::E1000ReceiveSkb { skb },
    }),
};

static LINK_OPS: LinkOps = LinkOps {
    open: Some(open),
    stop: Some(close),
    poll: Some(poll),
    urgent_carrier: true,
    fix_features: Some(|_, _, features| fix_features(features)),
    ethtool: EthtoolOps {
        get_ethtool_stats: Some(get_ethtool_stats),
        get_wol: Some(|_| Wol { supported: "" }),
        priv_flags: &["s0ix-enabled"],
        get_rxnfc: Some(ethtool::get_rxnfc),
        ..ethtool::OPS
    },
    ..LinkOps::new(None, setup_82574, |skb| Door::E1000XmitFrame { skb })
};

/// Offloads that are on, and others that can be switched on.
const FEATURES: u64 = RXCSUM
    | HW_CSUM
    | SG
    | TSO
    | TSO6
    | HW_VLAN_CTAG_RX
    | HW_VLAN_CTAG_TX
    | HW_VLAN_CTAG_FILTER
    | RXHASH
    | HIGHDMA;
const HW_FEATURES: u64 = FEATURES & !(HW_VLAN_CTAG_FILTER | HIGHDMA) | TSO_MANGLEID | RXFCS | RXALL;

/// Largest MTU of an 82574, bytes.
pub const MAX_MTU: u32 = 9212;

/// An 82574.
fn setup_82574(dev: &mut NetDevice) {
    setup(dev, MAX_MTU, FEATURES, HW_FEATURES);
}

/// Counters that this model has, by name; the others stay 0.
fn counter(dev: &NetDevice, name: &str) -> u64 {
    let (stats, Some(nic)) = (&dev.stats, nic(dev)) else { return 0 };
    match name {
        "rx_packets" => stats.rx_packets,
        "tx_packets" => stats.tx_packets,
        "rx_bytes" => stats.rx_bytes,
        "tx_bytes" => stats.tx_bytes,
        "rx_csum_offload_good" => nic.rings[0].csum_good,
        "rx_csum_offload_errors" => nic.rings[0].csum_err,
        "tx_restart_queue" => nic.rings[0].tx_restarts,
        _ => mac::counter(dev, name),
    }
}

/// Names of the driver's counters, in order.
const COUNTERS: [&str; 53] = [
    "rx_packets",
    "tx_packets",
    "rx_bytes",
    "tx_bytes",
    "rx_broadcast",
    "tx_broadcast",
    "rx_multicast",
    "tx_multicast",
    "rx_errors",
    "tx_errors",
    "tx_dropped",
    "multicast",
    "collisions",
    "rx_length_errors",
    "rx_over_errors",
    "rx_crc_errors",
    "rx_frame_errors",
    "rx_no_buffer_count",
    "rx_missed_errors",
    "tx_aborted_errors",
    "tx_carrier_errors",
    "tx_fifo_errors",
    "tx_heartbeat_errors",
    "tx_window_errors",
    "tx_abort_late_coll",
    "tx_deferred_ok",
    "tx_single_coll_ok",
    "tx_multi_coll_ok",
    "tx_timeout_count",
    "tx_restart_queue",
    "rx_long_length_errors",
    "rx_short_length_errors",
    "rx_align_errors",
    "tx_tcp_seg_good",
    "tx_tcp_seg_failed",
    "rx_flow_control_xon",
    "rx_flow_control_xoff",
    "tx_flow_control_xon",
    "tx_flow_control_xoff",
    "rx_csum_offload_good",
    "rx_csum_offload_errors",
    "rx_header_split",
    "alloc_rx_buff_failed",
    "tx_smbus",
    "rx_smbus",
    "dropped_smbus",
    "rx_dma_failed",
    "tx_dma_failed",
    "rx_hwtstamp_cleared",
    "uncorr_ecc_errors",
    "corr_ecc_errors",
    "tx_hwtstamp_timeouts",
    "tx_hwtstamp_skipped",
];

fn get_ethtool_stats(_: &Kernel, dev: &NetDevice) -> Vec<(String, u64)> {
    COUNTERS.iter().map(|name| ((*name).to_owned(), counter(dev, name))).collect()
}

/// Transmits the frame.
///
/// Kernel: drivers/net/ethernet/intel/e1000e/netdev.c
/// Not modelled: descriptors of offloads, several for one packet.
pub fn e1000_xmit_frame(cx: &mut Cx, skb: SkbId) -> Door {
    xmit_frame(cx, skb)
}

/// Hands a received packet on.
///
/// Kernel: drivers/net/ethernet/intel/e1000e/netdev.c
/// Not modelled: nothing; a tag that the card took off stands beside the packet already.
pub fn e1000_receive_skb(cx: &mut Cx, skb: SkbId) -> Door {
    cx.pass(Door::NapiGroReceive { skb })
}
