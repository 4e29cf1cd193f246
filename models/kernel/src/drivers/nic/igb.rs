//! igb: up to eight rings each way, an interrupt vector for each pair, and RSS.
//!
//! Kernel: drivers/net/ethernet/intel/igb/igb_main.c, drivers/net/ethernet/intel/igb/igb_ethtool.c

use glassnet_hardware::Vectors;

use super::{
    Chip, Driver, NapiDriver, close, ethtool, fix_features, napi_interrupt, nic, open, poll, setup,
    xmit_frame,
};
use crate::door::{Door, Func};
use crate::ids::SkbId;
use crate::link::{EthtoolOps, LinkOps};
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
    fix_features: Some(|_, _, features| fix_features(features)),
    ethtool: EthtoolOps {
        get_ethtool_stats: Some(get_ethtool_stats),
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

/// Not modelled: those of the driver's counters that this card never counts.
fn get_ethtool_stats(_: &Kernel, dev: &NetDevice) -> Vec<(String, u64)> {
    let stats = &dev.stats;
    let mut all: Vec<(String, u64)> = [
        ("rx_packets", stats.rx_packets),
        ("tx_packets", stats.tx_packets),
        ("rx_bytes", stats.rx_bytes),
        ("tx_bytes", stats.tx_bytes),
        ("rx_missed_errors", stats.rx_missed_errors),
        ("rx_errors", stats.rx_errors),
        ("rx_crc_errors", stats.rx_crc_errors),
    ]
    .map(|(name, count)| (name.to_owned(), count))
    .into();
    for (at, ring) in nic(dev).into_iter().flat_map(|nic| nic.rings.iter().enumerate()) {
        all.push((format!("tx_queue_{at}_packets"), ring.tx_packets));
        all.push((format!("tx_queue_{at}_bytes"), ring.tx_bytes));
        all.push((format!("tx_queue_{at}_restart"), ring.tx_restarts));
        all.push((format!("rx_queue_{at}_packets"), ring.rx_packets));
        all.push((format!("rx_queue_{at}_bytes"), ring.rx_bytes));
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
