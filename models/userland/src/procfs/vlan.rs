//! `/proc/net/vlan`: the VLAN devices of a namespace.
//!
//! Kernel: net/8021q/vlanproc.c

use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_kernel::tables::vlan::{VLAN_FLAG_REORDER_HDR, VlanDev};
use glassnet_kernel::tables::vlan_tag::VLAN_PRIO_SHIFT;

use super::{Node, Tree, View};

/// The directory.
pub const TREE: Tree = Tree {
    path: "proc/net/vlan",
    is_there: |_| true,
    list: |view, parts| match parts {
        [] => {
            let devices = vlans(view).into_iter().map(|(dev, _)| dev.name.clone());
            let names = std::iter::once(CONFIG.to_owned()).chain(devices);
            Ok(names.map(|name| (name, Node::File { mode: 0o600 })).collect())
        }
        [name] if *name == CONFIG || find(view, name).is_some() => Err(Errno::ENOTDIR),
        _ => Err(Errno::ENOENT),
    },
    unlisted: |_, _| None,
    read: |view, parts| match parts {
        [] => Err(Errno::EISDIR),
        [name] if *name == CONFIG => Ok(config(view)),
        [name] => find(view, name).map(|(dev, vlan)| device(view, dev, vlan)).ok_or(Errno::ENOENT),
        _ => Err(Errno::ENOENT),
    },
    write: |_, _, _, _| Err(Errno::EIO),
};

/// The file with all devices.
const CONFIG: &str = "config";

/// Private flags of every VLAN device: `IFF_802_1Q_VLAN`, `IFF_UNICAST_FLT`, `IFF_NO_QUEUE`.
const PRIV_FLAGS: u32 = 0x8_1001;
/// The route of a packet is dropped before it is sent; not over a bridge (`IFF_XMIT_DST_RELEASE`).
const IFF_XMIT_DST_RELEASE: u32 = 0x20;
/// It is a port (`IFF_BRIDGE_PORT`).
const IFF_BRIDGE_PORT: u32 = 0x200;

/// The VLAN devices in the order in which they were made.
fn vlans<'w>(view: &View<'w>) -> Vec<(&'w NetDevice, &'w VlanDev)> {
    let mut all: Vec<_> = view.devs().filter_map(|dev| Some((dev, dev.vlan_dev_priv()?))).collect();
    all.sort_by_key(|(dev, _)| dev.id);
    all
}

fn find<'w>(view: &View<'w>, name: &str) -> Option<(&'w NetDevice, &'w VlanDev)> {
    vlans(view).into_iter().find(|(dev, _)| dev.name == name)
}

fn config(view: &View) -> String {
    let head = "VLAN Dev name\t | VLAN ID\nName-Type: VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD\n";
    let lines = vlans(view)
        .into_iter()
        .map(|(dev, vlan)| format!("{:<15}| {}  | {}\n", dev.name, vlan.vlan_id, view.name(vlan.real_dev)));
    std::iter::once(head.to_owned()).chain(lines).collect()
}

/// The device below, or the one below that, is a bridge, which keeps routes.
fn keeps_routes(view: &View, vlan: &VlanDev) -> bool {
    let below = &view.kernel.devs[vlan.real_dev];
    below.bridge().is_some() || below.vlan_dev_priv().is_some_and(|vlan| keeps_routes(view, vlan))
}

fn device(view: &View, dev: &NetDevice, vlan: &VlanDev) -> String {
    let mut flags = PRIV_FLAGS;
    if !keeps_routes(view, vlan) {
        flags |= IFF_XMIT_DST_RELEASE;
    }
    if dev.port.is_some() {
        flags |= IFF_BRIDGE_PORT;
    }
    let reorders = u32::from(vlan.flags & VLAN_FLAG_REORDER_HDR != 0);
    let count = |what: &str, count: u64| format!("{what:>30} {count:>12}\n");
    let stats = &dev.stats;
    let ingress: String = (0..)
        .zip(vlan.ingress_priority_map)
        .map(|(from, to)| match from {
            7 => format!("7:{to}\n"),
            6 => format!("6:{to} "),
            _ => format!("{from}:{to}  "),
        })
        .collect();
    let egress: String =
        vlan.egress_priorities().map(|(from, qos)| format!("{from}:{} ", qos >> VLAN_PRIO_SHIFT)).collect();
    [
        format!(
            "{}  VID: {}\t REORDER_HDR: {reorders}  dev->priv_flags: {flags:x}\n",
            dev.name, vlan.vlan_id
        ),
        count("total frames received", stats.rx_packets),
        count("total bytes received", stats.rx_bytes),
        count("Broadcast/Multicast Rcvd", stats.multicast),
        "\n".to_owned(),
        count("total frames transmitted", stats.tx_packets),
        count("total bytes transmitted", stats.tx_bytes),
        format!("Device: {}\n", view.name(vlan.real_dev)),
        format!("INGRESS priority mappings: {ingress}"),
        format!(" EGRESS priority mappings: {egress}\n"),
    ]
    .concat()
}
