//! What a card does with a frame without its rings: it looks at the address, pads, checks sums and counts.
//!
//! The filter holds what a driver writes there with each change of the device (`ndo_set_rx_mode`), so it is read from the device.
//!
//! QEMU's 82574 counts what it receives as the datasheet says, with the checksum, but what it sends without checksum and padding; here
//! the datasheet holds both ways.
//!
//! Not modelled: the filter of VLANs, which drops frames with tags that nobody asked for; that the filter of groups is a table of hashes, which lets some others pass.
//!
//! Kernel: `e1000e_set_rx_mode` and `e1000e_get_stats64` in drivers/net/ethernet/intel/e1000e/netdev.c; Intel 82574 datasheet, 7.1.1
//! (filters) and 10.2.7 (statistics registers)

use glassnet_wire::eth::ETH_HLEN;
use glassnet_wire::{BufId, BufPool, Mac};

use super::Nic;
use super::cable::was_tagged;
use crate::tables::netdev::{IFF_ALLMULTI, IFF_PROMISC, NetDevice};
use crate::tables::netdev_features::HW_VLAN_CTAG_RX;
use crate::tables::vlan_tag::{VLAN_HLEN, VlanProto};

/// Bytes of the shortest frame without its checksum (`ETH_ZLEN`).
pub(super) const ETH_ZLEN: usize = 60;
/// Bytes of a frame's checksum (`ETH_FCS_LEN`).
const ETH_FCS_LEN: u64 = 4;

/// Statistics registers of one direction: frames that were whole and passed the filter, with their checksum.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Registers {
    pub packets: u64,
    pub octets: u64,
    pub broadcast: u64,
    /// To a group; broadcasts are no part of it.
    pub multicast: u64,
}

/// Where a frame goes to.
pub(super) fn dest(frame: &[u8]) -> Mac {
    frame.first_chunk().map_or(Mac::ZERO, |dest| Mac(*dest))
}

impl Registers {
    fn count(&mut self, frame: &[u8]) {
        self.packets += 1;
        self.octets += frame.len() as u64 + ETH_FCS_LEN;
        let dest = dest(frame);
        if dest.is_broadcast() {
            self.broadcast += 1;
        } else if dest.is_multicast() {
            self.multicast += 1;
        }
    }
}

/// The card takes frames with this destination.
#[inline]
pub fn accepts(dev: &NetDevice, frame: &[u8]) -> bool {
    let dest = dest(frame);
    dest == dev.addr
        || dest.is_broadcast()
        || dev.uc.iter().any(|(other, _)| *other == dest)
        || dev.flags & IFF_PROMISC != 0
        || dest.is_multicast()
            && (dev.flags & IFF_ALLMULTI != 0 || dev.mc.iter().any(|(group, _)| *group == dest))
}

/// The card wrote a frame into its ring.
#[inline]
pub fn count_received(dev: &mut NetDevice, frame: &[u8]) {
    let Some(nic) = dev.netdev_priv_mut::<Nic>() else { return };
    nic.received.count(frame);
    let (received, row) = (nic.received, nic.row);
    if row.counts_by_itself {
        (dev.stats.rx_packets, dev.stats.rx_bytes) = (received.packets, received.octets);
    }
    if row.napi.is_some() {
        dev.stats.multicast = received.multicast;
    }
}

/// What `ethtool -S` of both Intel drivers counts, by name; what the card never counts is 0.
pub(super) fn counter(dev: &NetDevice, name: &str) -> u64 {
    let (stats, Some(nic)) = (&dev.stats, dev.netdev_priv::<Nic>()) else { return 0 };
    match name {
        "rx_broadcast" => nic.received.broadcast,
        "tx_broadcast" => nic.sent.broadcast,
        "rx_multicast" | "multicast" => nic.received.multicast,
        "tx_multicast" => nic.sent.multicast,
        "rx_errors" => stats.rx_errors,
        "rx_crc_errors" => stats.rx_crc_errors,
        "rx_missed_errors" => stats.rx_missed_errors,
        _ => 0,
    }
}

/// The card sent a frame.
#[inline]
pub(super) fn count_sent(dev: &mut NetDevice, frame: &[u8]) {
    let Some(nic) = dev.netdev_priv_mut::<Nic>() else { return };
    nic.sent.count(frame);
    let sent = nic.sent;
    if nic.row.counts_by_itself {
        (dev.stats.tx_packets, dev.stats.tx_bytes) = (sent.packets, sent.octets);
    }
}

/// Bytes of the VLAN tag that the card takes out of a frame: a customer's or, on a cable that is a veth pair, one that stood beside
/// the packet at the other end.
pub(super) fn strips_tag(bufs: &BufPool, frame: BufId, features: u64, veth_cables: bool) -> usize {
    let strips = if veth_cables {
        was_tagged(bufs, frame)
    } else {
        features & HW_VLAN_CTAG_RX != 0
            && bufs.bytes(frame).get(ETH_HLEN - 2..ETH_HLEN)
                == Some(&VlanProto::Dot1Q.ethertype().to_be_bytes())
    };
    if strips { VLAN_HLEN } else { 0 }
}
