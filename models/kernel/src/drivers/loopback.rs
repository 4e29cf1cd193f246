//! `lo`.
//!
//! Kernel: drivers/net/loopback.c

use crate::Cx;
use crate::door::Door;
use crate::ids::{NetnsId, SkbId};
use crate::link::{EthtoolOps, LinkOps};
use crate::module::Module;
use crate::net::core::dev::{alloc_netdev, register_netdevice};
use crate::net::ethernet::eth::eth_type_trans;
use crate::tables::arphrd::Arphrd;
use crate::tables::drop_reason::DropReason;
use crate::tables::netdev::{IFF_LOOPBACK, NameAssign, NetDevice, TSO_MAX_SIZE};
use crate::tables::netdev_features::{
    FRAGLIST, GSO_SOFTWARE, HIGHDMA, HW_CSUM, LLTX, LOOPBACK, NETNS_LOCAL, RXCSUM, SCTP_CRC, SG,
    VLAN_CHALLENGED,
};

/// What it adds to the kernel.
pub static MODULE: Module = Module { net_init: Some(loopback_net_init), ..Module::UNNAMED };

/// Link operations. The kind has no name, as `lo` is created with its namespace.
static LINK_OPS: LinkOps = LinkOps {
    ethtool: EthtoolOps { get_link: true, tx_timestamps: true, ..EthtoolOps::NONE },
    ..LinkOps::new(None, loopback_setup, |skb| Door::LoopbackXmit { skb })
};

fn loopback_setup(dev: &mut NetDevice) {
    dev.arphrd = Arphrd::Loopback;
    dev.mtu = 65_536;
    dev.flags = IFF_LOOPBACK;
    dev.no_queue = true;
    dev.tso_max_size = TSO_MAX_SIZE;
    dev.hw_features = GSO_SOFTWARE;
    dev.features = SG | FRAGLIST | GSO_SOFTWARE | HW_CSUM | RXCSUM | SCTP_CRC | HIGHDMA | LLTX;
    dev.features |= NETNS_LOCAL | VLAN_CHALLENGED | LOOPBACK;
}

/// Creates `lo`, the first device of a namespace.
fn loopback_net_init(cx: &mut Cx, netns: NetnsId) {
    let dev = alloc_netdev(netns, "lo".to_owned(), NameAssign::Predictable, &LINK_OPS);
    register_netdevice(cx, dev).expect("a new namespace has no device");
}

/// Receives the transmitted packet.
///
/// Kernel: drivers/net/loopback.c
/// Not modelled: timestamps.
pub fn loopback_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    let dev = cx.skbs[skb].dev;
    cx.skb_orphan(skb);
    if !eth_type_trans(cx, skb, dev) {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    // Counted without the Ethernet header, unlike on other devices.
    let len = cx.skbs[skb].len() as u64;
    let stats = &mut cx.k.devs[dev].stats;
    stats.rx_packets += 1;
    stats.rx_bytes += len;
    stats.tx_packets += 1;
    stats.tx_bytes += len;
    cx.skbs[skb].ip_summed = true;
    Door::NetifRxInner { skb }
}
