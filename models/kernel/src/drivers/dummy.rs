//! `dummy`: drops every frame; for addresses of the host and blackhole routes.
//!
//! Kernel: drivers/net/dummy.c

use crate::Cx;
use crate::door::Door;
use crate::ids::{DevId, SkbId};
use crate::link::{EthtoolOps, LinkOps};
use crate::module::Module;
use crate::net::core::link_watch::{netif_carrier_off, netif_carrier_on};
use crate::net::ethernet::eth::ether_setup;
use crate::netlink::Errno;
use crate::tables::netdev::{AddrAssign, IFF_MULTICAST, IFF_NOARP, NetDevice};
use crate::tables::netdev_features::{FRAGLIST, GSO_ENCAP_ALL, GSO_SOFTWARE, HIGHDMA, HW_CSUM, LLTX, SG};

/// The module. Not modelled: `numdummies`; no device is created at load time (0, systemd's default).
pub static MODULE: Module = Module { links: &[&LINK_OPS], ..Module::named("dummy") };

/// Link kind `dummy`.
static LINK_OPS: LinkOps = LinkOps {
    change_carrier: Some(dummy_change_carrier),
    ethtool: EthtoolOps { tx_timestamps: true, ..EthtoolOps::NONE },
    ..LinkOps::new(Some("dummy"), dummy_setup, |skb| Door::DummyXmit { skb })
};

fn dummy_setup(dev: &mut NetDevice) {
    ether_setup(dev);
    dev.flags |= IFF_NOARP;
    dev.flags &= !IFF_MULTICAST;
    dev.no_queue = true;
    dev.addr_assign = AddrAssign::Random;
    (dev.min_mtu, dev.max_mtu) = (0, 0);
    dev.hw_features = SG | FRAGLIST | GSO_SOFTWARE | HW_CSUM | HIGHDMA | GSO_ENCAP_ALL;
    dev.features = dev.hw_features | LLTX;
}

fn dummy_change_carrier(cx: &mut Cx, dev: DevId, on: bool) -> Result<(), Errno> {
    if on {
        netif_carrier_on(cx, dev)
    } else {
        netif_carrier_off(cx, dev)
    }
    Ok(())
}

/// Counts and frees the frame.
///
/// Kernel: drivers/net/dummy.c
/// Not modelled: nothing.
pub fn dummy_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    let (dev, len) = (cx.skbs[skb].dev, cx.skbs[skb].len() as u64);
    let stats = &mut cx.k.devs[dev].stats;
    stats.tx_packets += 1;
    stats.tx_bytes += len;
    cx.consume_skb(skb)
}
