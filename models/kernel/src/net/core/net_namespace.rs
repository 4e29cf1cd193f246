//! Making and removing network namespaces.
//!
//! Kernel: net/core/net_namespace.c

use glassnet_wire::Mac;

use super::dev_ioctl;
use super::rtnetlink;
use crate::Cx;
use crate::ids::NetnsId;
use crate::kernel::INIT_NET;
use crate::tables::ipv4::Ipv4Netns;
use crate::tables::netdev::DevKind;
use crate::tables::netns::Netns;

/// The machine boots: `init_net`, whose `lo` the boot scripts bring up.
pub fn boot(cx: &mut Cx) {
    let init = copy_net_ns(cx);
    debug_assert_eq!(init, INIT_NET);
    let lo = cx.k.netns[init].loopback;
    dev_ioctl::dev_open(cx, lo);
}

/// A new namespace with nothing but a `lo` that is down.
pub fn copy_net_ns(cx: &mut Cx) -> NetnsId {
    let id = cx.k.netns.next_id();
    let lo = cx.k.devs.next_id();
    let ipv4 =
        cx.k.netns.get(INIT_NET).map_or_else(Ipv4Netns::default, |init| Ipv4Netns::inherit(&init.ipv4));
    cx.k.netns.insert(Netns::new(id, lo, ipv4));
    rtnetlink::register_netdevice(cx, id, "lo".to_owned(), DevKind::Loopback, Mac::ZERO);
    id
}

/// The last holder of a namespace let go: its virtual devices are removed, its NICs return to `init_net`
/// (`cleanup_net`, `default_device_exit_net`).
pub fn cleanup_net(cx: &mut Cx, netns: NetnsId) {
    for dev in cx.k.netns[netns].devs.values().copied().collect::<Vec<_>>() {
        let Some(netdev) = cx.k.devs.get(dev) else { continue };
        match netdev.kind {
            DevKind::Nic(_) => rtnetlink::dev_change_net_namespace(cx, dev, INIT_NET),
            DevKind::Loopback => {}
            DevKind::Veth { .. } | DevKind::Bridge(_) => rtnetlink::rtnl_delete_link(cx, dev),
        }
    }
    let lo = cx.k.netns[netns].loopback;
    rtnetlink::unregister_netdevice(cx, lo);
    cx.k.netns.remove(netns);
}
