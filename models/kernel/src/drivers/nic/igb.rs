//! igb: up to eight rings each way, an interrupt vector for each pair, and RSS.
//!
//! Kernel: drivers/net/ethernet/intel/igb/igb_main.c, drivers/net/ethernet/intel/igb/igb_ethtool.c

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
    GSO_ENCAP_ALL, GSO_PARTIAL, GSO_UDP_L4, HIGHDMA, HW_CSUM, HW_TC, HW_VLAN_CTAG_FILTER, HW_VLAN_CTAG_RX,
    HW_VLAN_CTAG_TX, NTUPLE, RXALL, RXCSUM, RXHASH, SCTP_CRC, SG, TSO, TSO_MANGLEID, TSO6,
};
use crate::{Cx, Kernel};

/// The driver. The first vector is for changes of the link.
pub static DRIVER: Driver = Driver {
    name: "igb",
    fw_version: "3.25, 0x800005cc",
    version: "",
    link: &LINK_OPS,
    chip: Chip::Msi,
    rx_page: 0,
    max_rings: 8,
    rx_filters: &["none", "all"],
    phy: Some(LinkRow { log_word: |name| format!("igb: {name} "), pause: true }),
    counts_by_itself: false,
    vectors: |name, rings| {
        let of_ring = (0..rings).map(|ring| format!("{name}-TxRx-{ring}"));
        std::iter::once(name.to_owned()).chain(of_ring).collect()
    },
    use_of: |rings| Vectors { rx: 1, tx: 1, count: rings + 1 },
    xmit: Func::IgbXmitFrame,
    handler: napi_interrupt,
    napi: Some(NapiDriver {
        interrupt: Func::IgbMsixRing,
        poll: Func::IgbPoll,
        interrupt_tx: None,
        clean_tx: Func::IgbCleanTxIrq,
        clean_rx: Func::IgbCleanRxIrq,
        alloc_rx: Func::IgbAllocRxBuffers,
        rx_checksum: None,
        receive: |skb| Door::NapiGroReceive { skb },
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
        get_wol: Some(|_| Wol { supported: "pumbg" }),
        priv_flags: &["legacy-rx"],
        get_channels: Some(ethtool::get_channels),
        set_channels: Some(ethtool::set_channels),
        get_rxfh: Some(ethtool::get_rxfh),
        set_rxfh: Some(ethtool::set_rxfh),
        get_rxnfc: Some(ethtool::get_rxnfc),
        set_rxnfc: Some(ethtool::set_rxnfc),
        ..ethtool::OPS
    },
    ..LinkOps::new(None, setup_i350, |skb| Door::IgbXmitFrame { skb })
};

/// Offloads that are on, and others that can be switched on.
const FEATURES: u64 = RXCSUM
    | HW_CSUM
    | SCTP_CRC
    | SG
    | TSO
    | TSO6
    | GSO_UDP_L4
    | GSO_PARTIAL
    | GSO_ENCAP_ALL
    | HW_VLAN_CTAG_RX
    | HW_VLAN_CTAG_TX
    | HW_VLAN_CTAG_FILTER
    | RXHASH
    | HIGHDMA;
const HW_FEATURES: u64 = FEATURES & !(HW_VLAN_CTAG_FILTER | HIGHDMA) | TSO_MANGLEID | NTUPLE | RXALL | HW_TC;

/// An I350.
fn setup_i350(dev: &mut NetDevice) {
    setup(dev, 9216, FEATURES, HW_FEATURES);
}

/// Names of the driver's counters of the card, in order.
const COUNTERS: [&str; 51] = [
    "rx_packets",
    "tx_packets",
    "rx_bytes",
    "tx_bytes",
    "rx_broadcast",
    "tx_broadcast",
    "rx_multicast",
    "tx_multicast",
    "multicast",
    "collisions",
    "rx_crc_errors",
    "rx_no_buffer_count",
    "rx_missed_errors",
    "tx_aborted_errors",
    "tx_carrier_errors",
    "tx_window_errors",
    "tx_abort_late_coll",
    "tx_deferred_ok",
    "tx_single_coll_ok",
    "tx_multi_coll_ok",
    "tx_timeout_count",
    "rx_long_length_errors",
    "rx_short_length_errors",
    "rx_align_errors",
    "tx_tcp_seg_good",
    "tx_tcp_seg_failed",
    "rx_flow_control_xon",
    "rx_flow_control_xoff",
    "tx_flow_control_xon",
    "tx_flow_control_xoff",
    "rx_long_byte_count",
    "tx_dma_out_of_sync",
    "tx_smbus",
    "rx_smbus",
    "dropped_smbus",
    "os2bmc_rx_by_bmc",
    "os2bmc_tx_by_bmc",
    "os2bmc_tx_by_host",
    "os2bmc_rx_by_host",
    "tx_hwtstamp_timeouts",
    "tx_hwtstamp_skipped",
    "rx_hwtstamp_cleared",
    "rx_errors",
    "tx_errors",
    "tx_dropped",
    "rx_length_errors",
    "rx_over_errors",
    "rx_frame_errors",
    "rx_fifo_errors",
    "tx_fifo_errors",
    "tx_heartbeat_errors",
];

/// Counters that this model has, by name; the others stay 0.
fn counter(dev: &NetDevice, name: &str) -> u64 {
    let Some(nic) = nic(dev) else { return 0 };
    match name {
        "rx_packets" => nic.received.packets,
        "tx_packets" => nic.sent.packets,
        "rx_bytes" | "rx_long_byte_count" => nic.received.octets,
        "tx_bytes" => nic.sent.octets,
        _ => mac::counter(dev, name),
    }
}

fn get_ethtool_stats(_: &Kernel, dev: &NetDevice) -> Vec<(String, u64)> {
    let mut all: Vec<_> = COUNTERS.iter().map(|name| ((*name).to_owned(), counter(dev, name))).collect();
    let rings = nic(dev).map_or(&[][..], |nic| &nic.rings);
    for (at, ring) in rings.iter().enumerate() {
        let of = |name: &str, count| (format!("tx_queue_{at}_{name}"), count);
        all.extend([
            of("packets", ring.tx_packets),
            of("bytes", ring.tx_bytes),
            of("restart", ring.tx_restarts),
        ]);
    }
    for (at, ring) in rings.iter().enumerate() {
        let of = |name: &str, count| (format!("rx_queue_{at}_{name}"), count);
        all.extend([
            of("packets", ring.rx_packets),
            of("bytes", ring.rx_bytes),
            of("drops", 0),
            of("csum_err", ring.csum_err),
            of("alloc_failed", 0),
        ]);
    }
    all
}

/// Transmits the frame.
///
/// Kernel: drivers/net/ethernet/intel/igb/igb_main.c
/// Not modelled: descriptors of offloads, several for one packet.
pub fn igb_xmit_frame(cx: &mut Cx, skb: SkbId) -> Door {
    xmit_frame(cx, skb)
}
