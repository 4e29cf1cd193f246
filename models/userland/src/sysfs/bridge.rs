//! The files of bridges and of their ports.
//!
//! Kernel: net/bridge/br_sysfs_br.c, net/bridge/br_sysfs_if.c

use glassnet_kernel::Cx;
use glassnet_kernel::ids::DevId;
use glassnet_kernel::net::bridge::br_netlink::{BridgeOptions, PortOptions, br_changelink, br_setport};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::bridge::{Bridge, BridgePort, PortState};
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_sim::Nanos;
use glassnet_wire::Mac;

use super::{Attr, errno};
use crate::procfs::View;
use crate::procfs::number::kstrtoul;

/// A time in hundredths of a second, the unit of user space (`jiffies_to_clock_t`).
pub fn clock_t(time: Nanos) -> u64 {
    time.0 / 10_000_000
}

/// A bridge's identifier, as `brctl` prints it: priority and address.
pub fn bridge_id(priority: u16, mac: Mac) -> String {
    let digits: String = mac.0.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{priority:04x}.{digits}")
}

fn id_of(dev: &NetDevice) -> String {
    dev.bridge().map_or(String::new(), |bridge| bridge_id(bridge.conf.priority, id_mac(dev, bridge)))
}

/// The address in the identifier: zero until a port or a user gave the bridge one.
pub fn id_mac(dev: &NetDevice, bridge: &Bridge) -> Mac {
    if bridge.ports.is_empty() && !bridge.conf.addr_is_set { Mac::ZERO } else { dev.addr }
}

/// A port's identifier: six bits of priority, ten of its number.
pub fn port_id(port: &BridgePort) -> u16 {
    u16::from(port.priority) << 10 | port.port_no
}

/// A port's state as a number (`BR_STATE_*`).
pub fn state_number(state: PortState) -> u8 {
    match state {
        PortState::Disabled => 0,
        PortState::Listening => 1,
        PortState::Learning => 2,
        PortState::Forwarding => 3,
        PortState::Blocking => 4,
    }
}

macro_rules! bridge_show {
    ($value:expr) => {
        |_, dev| {
            let value: fn(&Bridge) -> u64 = $value;
            Ok(value(dev.bridge().ok_or(Errno::ENOENT)?).to_string())
        }
    };
}

macro_rules! bridge_store {
    ($field:ident, $convert:expr) => {
        |cx, dev, text| {
            let value = kstrtoul(text)?;
            let convert: fn(u64) -> Result<_, Errno> = $convert;
            change(cx, dev, BridgeOptions { $field: Some(convert(value)?), ..BridgeOptions::default() })
        }
    };
}

/// A setting that has one value here: reading gives it, writing another is not modelled.
macro_rules! fixed {
    ($name:literal, $value:literal) => {
        Attr::rw(
            $name,
            |_, _| Ok($value.to_string()),
            |_, _, text| if kstrtoul(text)? == $value { Ok(()) } else { Err(Errno::EOPNOTSUPP) },
        )
    };
}

fn change(cx: &mut Cx, dev: DevId, options: BridgeOptions) -> Result<(), Errno> {
    br_changelink(cx, dev, &options).map_err(errno)
}

fn narrow<T: TryFrom<u64>>(value: u64) -> Result<T, Errno> {
    T::try_from(value).map_err(|_| Errno::ERANGE)
}

fn zero(_: &View, _: &NetDevice) -> Result<String, Errno> {
    Ok("0".to_owned())
}

/// `brforward`: the forwarding database in a binary form, which only `brctl` reads; empty as text.
pub const FORWARD: &[Attr] = &[Attr::ro("brforward", |_, _| Err(Errno::EOPNOTSUPP))];

/// The files in `bridge`.
pub const BRIDGE: &[Attr] = &[
    Attr::rw(
        "ageing_time",
        bridge_show!(|bridge| clock_t(bridge.conf.ageing_time)),
        bridge_store!(ageing_time, narrow),
    ),
    Attr::ro("bridge_id", |_, dev| Ok(id_of(dev))),
    fixed!("default_pvid", 1),
    Attr::wo("flush", |cx, dev, text| {
        kstrtoul(text)?;
        change(cx, dev, BridgeOptions { fdb_flush: true, ..BridgeOptions::default() })
    }),
    Attr::rw(
        "forward_delay",
        bridge_show!(|bridge| clock_t(bridge.conf.forward_delay)),
        bridge_store!(forward_delay, narrow),
    ),
    Attr::ro("gc_timer", zero),
    Attr::ro("group_addr", |_, _| Ok("01:80:c2:00:00:00".to_owned())),
    Attr::rw(
        "group_fwd_mask",
        |_, dev| Ok(format!("{:#x}", dev.bridge().ok_or(Errno::ENOENT)?.conf.group_fwd_mask)),
        bridge_store!(group_fwd_mask, |value| u16::try_from(value).map_err(|_| Errno::EINVAL)),
    ),
    fixed!("hash_elasticity", 16),
    fixed!("hash_max", 4096),
    Attr::rw(
        "hello_time",
        bridge_show!(|bridge| clock_t(bridge.conf.hello_time)),
        bridge_store!(hello_time, narrow),
    ),
    Attr::ro("hello_timer", zero),
    Attr::rw("max_age", bridge_show!(|bridge| clock_t(bridge.conf.max_age)), bridge_store!(max_age, narrow)),
    fixed!("multicast_igmp_version", 2),
    fixed!("multicast_last_member_count", 2),
    fixed!("multicast_last_member_interval", 100),
    fixed!("multicast_membership_interval", 26000),
    fixed!("multicast_mld_version", 1),
    fixed!("multicast_querier", 0),
    fixed!("multicast_querier_interval", 25500),
    fixed!("multicast_query_interval", 12500),
    fixed!("multicast_query_response_interval", 1000),
    fixed!("multicast_query_use_ifaddr", 0),
    fixed!("multicast_router", 1),
    Attr::rw(
        "multicast_snooping",
        bridge_show!(|bridge| u64::from(bridge.conf.mcast_snooping)),
        bridge_store!(mcast_snooping, |value| Ok(value != 0)),
    ),
    fixed!("multicast_startup_query_count", 2),
    fixed!("multicast_startup_query_interval", 3124),
    fixed!("multicast_stats_enabled", 0),
    Attr::rw(
        "nf_call_arptables",
        bridge_show!(|bridge| u64::from(bridge.conf.nf_call.arptables)),
        bridge_store!(nf_call_arptables, |value| Ok(value != 0)),
    ),
    Attr::rw(
        "nf_call_ip6tables",
        bridge_show!(|bridge| u64::from(bridge.conf.nf_call.ip6tables)),
        bridge_store!(nf_call_ip6tables, |value| Ok(value != 0)),
    ),
    Attr::rw(
        "nf_call_iptables",
        bridge_show!(|bridge| u64::from(bridge.conf.nf_call.iptables)),
        bridge_store!(nf_call_iptables, |value| Ok(value != 0)),
    ),
    fixed!("no_linklocal_learn", 0),
    Attr::rw(
        "priority",
        bridge_show!(|bridge| u64::from(bridge.conf.priority)),
        bridge_store!(priority, |value| Ok(value as u16)),
    ),
    Attr::ro("root_id", |_, dev| Ok(id_of(dev))),
    Attr::ro("root_path_cost", zero),
    Attr::ro("root_port", zero),
    Attr::rw(
        "stp_state",
        bridge_show!(|bridge| u64::from(bridge.conf.stp_state)),
        bridge_store!(stp_state, |value| Ok(value != 0)),
    ),
    Attr::ro("tcn_timer", zero),
    Attr::ro("topology_change", zero),
    Attr::ro("topology_change_detected", zero),
    Attr::ro("topology_change_timer", zero),
    Attr::rw(
        "vlan_filtering",
        bridge_show!(|bridge| u64::from(bridge.conf.vlan_filtering)),
        bridge_store!(vlan_filtering, |value| Ok(value != 0)),
    ),
    Attr::rw(
        "vlan_protocol",
        |_, _| Ok("0x8100".to_owned()),
        |_, _, text| {
            if kstrtoul(text)? == 0x8100 { Ok(()) } else { Err(Errno::EOPNOTSUPP) }
        },
    ),
    fixed!("vlan_stats_enabled", 0),
    fixed!("vlan_stats_per_port", 0),
];

macro_rules! port_show {
    ($value:expr) => {
        |_, dev| {
            let value: fn(&BridgePort) -> u64 = $value;
            Ok(value(dev.port.as_ref().ok_or(Errno::ENOENT)?).to_string())
        }
    };
}

macro_rules! port_flag {
    ($name:literal, $flag:ident) => {
        Attr::rw($name, port_show!(|port| u64::from(port.flags.$flag)), |cx, dev, text| {
            let on = kstrtoul(text)? != 0;
            set_port(cx, dev, PortOptions { $flag: Some(on), ..PortOptions::default() })
        })
    };
}

fn set_port(cx: &mut Cx, dev: DevId, options: PortOptions) -> Result<(), Errno> {
    br_setport(cx, dev, &options).map_err(errno)
}

fn designated(view: &View, dev: &NetDevice) -> Result<String, Errno> {
    let bridge = dev.master().ok_or(Errno::ENOENT)?;
    Ok(id_of(&view.kernel.devs[bridge]))
}

/// The files in `brport`.
pub const PORT: &[Attr] = &[
    Attr::rw("backup_port", |_, _| Ok(String::new()), |_, _, _| Err(Errno::EOPNOTSUPP)),
    port_flag!("bpdu_guard", guard),
    port_flag!("broadcast_flood", bcast_flood),
    Attr::ro("change_ack", zero),
    Attr::ro("config_pending", zero),
    Attr::ro("designated_bridge", designated),
    Attr::ro("designated_cost", zero),
    Attr::ro("designated_port", port_show!(|port| u64::from(port_id(port)))),
    Attr::ro("designated_root", designated),
    Attr::wo("flush", |cx, dev, text| {
        kstrtoul(text)?;
        set_port(cx, dev, PortOptions { fdb_flush: true, ..PortOptions::default() })
    }),
    Attr::ro("forward_delay_timer", zero),
    Attr::rw(
        "group_fwd_mask",
        |_, dev| Ok(format!("{:#x}", dev.port.as_ref().ok_or(Errno::ENOENT)?.group_fwd_mask)),
        |cx, dev, text| {
            let mask = u16::try_from(kstrtoul(text)?).map_err(|_| Errno::EINVAL)?;
            set_port(cx, dev, PortOptions { group_fwd_mask: Some(mask), ..PortOptions::default() })
        },
    ),
    port_flag!("hairpin_mode", hairpin),
    Attr::ro("hold_timer", zero),
    port_flag!("isolated", isolated),
    port_flag!("learning", learning),
    Attr::ro("message_age_timer", zero),
    port_flag!("multicast_fast_leave", fastleave),
    port_flag!("multicast_flood", mcast_flood),
    fixed!("multicast_router", 1),
    fixed!("multicast_to_unicast", 0),
    fixed!("neigh_suppress", 0),
    Attr::rw("path_cost", port_show!(|port| u64::from(port.path_cost)), |cx, dev, text| {
        let cost = narrow(kstrtoul(text)?)?;
        set_port(cx, dev, PortOptions { cost: Some(cost), ..PortOptions::default() })
    }),
    Attr::ro("port_id", |_, dev| Ok(format!("{:#x}", port_id(dev.port.as_ref().ok_or(Errno::ENOENT)?)))),
    Attr::ro("port_no", |_, dev| Ok(format!("{:#x}", dev.port.as_ref().ok_or(Errno::ENOENT)?.port_no))),
    Attr::rw("priority", port_show!(|port| u64::from(port.priority)), |cx, dev, text| {
        let priority = narrow(kstrtoul(text)?)?;
        set_port(cx, dev, PortOptions { priority: Some(priority), ..PortOptions::default() })
    }),
    fixed!("proxyarp", 0),
    fixed!("proxyarp_wifi", 0),
    port_flag!("root_block", root_block),
    Attr::ro("state", port_show!(|port| u64::from(state_number(port.state)))),
    port_flag!("unicast_flood", flood),
];
