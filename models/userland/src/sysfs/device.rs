//! Files of all devices.
//!
//! Kernel: net/core/net-sysfs.c, Documentation/ABI/testing/sysfs-class-net

use glassnet_kernel::Cx;
use glassnet_kernel::ids::DevId;
use glassnet_kernel::link::LinkKsettings;
use glassnet_kernel::net::core::dev::dev_get_stats;
use glassnet_kernel::net::core::link_watch::dev_get_iflink;
use glassnet_kernel::net::core::rtnetlink::{LinkSet, do_setlink};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::netdev::{
    DevStats, IFF_ALLMULTI, IFF_MULTICAST, IFF_NOARP, IFF_PROMISC, IFF_UP, NameAssign, NetDevice, OperState,
};
use glassnet_wire::Mac;

use super::{Attr, errno};
use crate::procfs::View;
use crate::procfs::number::kstrtoul;

/// Files in a device's directory, without those of bridges and ports.
pub const FILES: &[Attr] = &[
    Attr::ro("addr_assign_type", |_, dev| Ok((dev.addr_assign as u8).to_string())),
    Attr::ro("addr_len", |_, dev| Ok(dev.arphrd.addr_len().to_string())),
    Attr::ro("address", |_, dev| Ok(link_address(dev, dev.addr))),
    Attr::ro("broadcast", |_, dev| Ok(link_address(dev, dev.broadcast))),
    Attr::rw("carrier", carrier, store_carrier),
    Attr::ro("carrier_changes", |_, dev| Ok((dev.carrier_up_count + dev.carrier_down_count).to_string())),
    Attr::ro("carrier_down_count", |_, dev| Ok(dev.carrier_down_count.to_string())),
    Attr::ro("carrier_up_count", |_, dev| Ok(dev.carrier_up_count.to_string())),
    Attr::ro("dev_id", |_, dev| Ok(format!("{:#x}", dev.dev_id))),
    Attr::ro("dev_port", |_, _| Ok("0".to_owned())),
    Attr::ro("dormant", never_while_up),
    Attr::ro("duplex", duplex),
    Attr::rw("flags", |_, dev| Ok(format!("0x{:x}", dev.flags)), store_flags),
    Attr::rw("ifalias", |_, dev| Ok(dev.alias.clone().unwrap_or_default()), store_ifalias),
    Attr::ro("ifindex", |_, dev| Ok(dev.ifindex.to_string())),
    Attr::ro("iflink", iflink),
    Attr::ro("link_mode", |_, _| Ok("0".to_owned())),
    Attr::rw("mtu", |_, dev| Ok(dev.mtu.to_string()), store_mtu),
    Attr::ro("name_assign_type", |_, dev| match dev.name_assign {
        NameAssign::Unknown => Err(Errno::EINVAL),
        known => Ok((known as u8).to_string()),
    }),
    Attr::rw("netdev_group", |_, dev| Ok(dev.group.to_string()), store_group),
    Attr::ro("operstate", |_, dev| Ok(operstate(dev).to_owned())),
    Attr::ro("speed", |view, dev| Ok(speed(view, dev)?.map_or("-1".to_owned(), |mbit| mbit.to_string()))),
    Attr::ro("testing", never_while_up),
    Attr::rw("tx_queue_len", |_, dev| Ok(dev.tx_queue_len.to_string()), store_tx_queue_len),
    Attr::ro("type", |_, dev| Ok((dev.arphrd as u16).to_string())),
    Attr::ro("uevent", uevent),
];

macro_rules! statistics {
    ($($name:literal => $value:expr),* $(,)?) => {
        /// Files in `statistics`; unmodelled counters are 0.
        pub const STATISTICS: &[Attr] = &[$(Attr::ro($name, |view, dev| {
            let value: fn(&DevStats) -> u64 = $value;
            Ok(value(&dev_get_stats(view.kernel, dev)).to_string())
        })),*];
    };
}

statistics! {
    "collisions" => |stats| stats.collisions,
    "multicast" => |stats| stats.multicast,
    "rx_bytes" => |stats| stats.rx_bytes,
    "rx_compressed" => |_| 0,
    "rx_crc_errors" => |stats| stats.rx_crc_errors,
    "rx_dropped" => |stats| stats.rx_dropped,
    "rx_errors" => |stats| stats.rx_errors,
    "rx_fifo_errors" => |stats| stats.rx_fifo_errors,
    "rx_frame_errors" => |stats| stats.rx_frame_errors,
    "rx_length_errors" => |_| 0,
    "rx_missed_errors" => |stats| stats.rx_missed_errors,
    "rx_nohandler" => |stats| stats.rx_nohandler,
    "rx_over_errors" => |_| 0,
    "rx_packets" => |stats| stats.rx_packets,
    "tx_aborted_errors" => |_| 0,
    "tx_bytes" => |stats| stats.tx_bytes,
    "tx_carrier_errors" => |stats| stats.tx_carrier_errors,
    "tx_compressed" => |_| 0,
    "tx_dropped" => |stats| stats.tx_dropped,
    "tx_errors" => |stats| stats.tx_errors,
    "tx_fifo_errors" => |_| 0,
    "tx_heartbeat_errors" => |_| 0,
    "tx_packets" => |stats| stats.tx_packets,
    "tx_window_errors" => |_| 0,
}

fn carrier(_: &View, dev: &NetDevice) -> Result<String, Errno> {
    if !dev.is_up() {
        return Err(Errno::EINVAL);
    }
    Ok(u8::from(dev.carrier).to_string())
}

fn never_while_up(_: &View, dev: &NetDevice) -> Result<String, Errno> {
    if dev.is_up() { Ok("0".to_owned()) } else { Err(Errno::EINVAL) }
}

/// Speed in Mbit/s; `None` if unknown.
///
/// # Errors
///
/// `EINVAL` for `lo` and devices that are down.
pub fn speed(view: &View, dev: &NetDevice) -> Result<Option<u32>, Errno> {
    if !dev.is_up() {
        return Err(Errno::EINVAL);
    }
    settings(view, dev).map(|settings| settings.speed)
}

fn settings(view: &View, dev: &NetDevice) -> Result<LinkKsettings, Errno> {
    dev.ops.ethtool.get_link_ksettings.map(|get| get(view.kernel, dev)).ok_or(Errno::EINVAL)
}

fn duplex(view: &View, dev: &NetDevice) -> Result<String, Errno> {
    if !dev.is_up() {
        return Err(Errno::EINVAL);
    }
    Ok(if settings(view, dev)?.full_duplex { "full" } else { "unknown" }.to_owned())
}

fn iflink(view: &View, dev: &NetDevice) -> Result<String, Errno> {
    Ok(dev_get_iflink(view.kernel, dev.id).to_string())
}

/// An address of the device's kind of link as hexadecimal bytes.
fn link_address(dev: &NetDevice, addr: Mac) -> String {
    let bytes: Vec<String> =
        addr.0[..dev.arphrd.addr_len()].iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(":")
}

/// Content of `operstate`.
pub fn operstate(dev: &NetDevice) -> &'static str {
    match dev.operstate {
        _ if !dev.is_up() => "down",
        OperState::Unknown => "unknown",
        OperState::Down => "down",
        OperState::LowerLayerDown => "lowerlayerdown",
        OperState::Up => "up",
    }
}

fn uevent(_: &View, dev: &NetDevice) -> Result<String, Errno> {
    let kind = dev.ops.devtype.map_or(String::new(), |devtype| format!("DEVTYPE={devtype}\n"));
    Ok(format!("{kind}INTERFACE={}\nIFINDEX={}", dev.name, dev.ifindex))
}

fn set(cx: &mut Cx, dev: DevId, set: LinkSet) -> Result<(), Errno> {
    do_setlink(cx, dev, set).map_err(errno)
}

fn number(text: &str) -> Result<u32, Errno> {
    u32::try_from(kstrtoul(text)?).map_err(|_| Errno::ERANGE)
}

fn store_carrier(cx: &mut Cx, dev: DevId, text: &str) -> Result<(), Errno> {
    let netdev = &cx.k.devs[dev];
    if netdev.ops.change_carrier.is_some() && !netdev.is_up() {
        return Err(Errno::EINVAL);
    }
    set(cx, dev, LinkSet { carrier: Some(kstrtoul(text)? != 0), ..LinkSet::default() })
}

fn store_mtu(cx: &mut Cx, dev: DevId, text: &str) -> Result<(), Errno> {
    let mtu = u32::try_from(kstrtoul(text)?).map_err(|_| Errno::EINVAL)?;
    set(cx, dev, LinkSet { mtu: Some(mtu), ..LinkSet::default() })
}

fn store_tx_queue_len(cx: &mut Cx, dev: DevId, text: &str) -> Result<(), Errno> {
    set(cx, dev, LinkSet { txqueuelen: Some(number(text)?), ..LinkSet::default() })
}

fn store_group(cx: &mut Cx, dev: DevId, text: &str) -> Result<(), Errno> {
    set(cx, dev, LinkSet { group: Some(kstrtoul(text)? as u32), ..LinkSet::default() })
}

fn store_flags(cx: &mut Cx, dev: DevId, text: &str) -> Result<(), Errno> {
    let flags = kstrtoul(text)? as u32;
    let has = |flag: u32| Some(flags & flag != 0);
    let wanted = LinkSet {
        up: has(IFF_UP),
        promisc: has(IFF_PROMISC),
        allmulticast: has(IFF_ALLMULTI),
        arp: has(IFF_NOARP).map(|noarp| !noarp),
        multicast: has(IFF_MULTICAST),
        ..LinkSet::default()
    };
    set(cx, dev, wanted)
}

/// Size of an alias, bytes (`IFALIASZ`).
const IFALIASZ: usize = 256;

fn store_ifalias(cx: &mut Cx, dev: DevId, text: &str) -> Result<(), Errno> {
    let alias = text.strip_suffix('\n').unwrap_or(text);
    if alias.len() >= IFALIASZ {
        return Err(Errno::EINVAL);
    }
    set(cx, dev, LinkSet { alias: Some(alias.to_owned()), ..LinkSet::default() })
}
