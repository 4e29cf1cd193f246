//! Attributes of a bridge.
//!
//! Kernel: net/bridge/br_netlink.c (`br_changelink`, `br_fill_info`), net/bridge/br_sysfs_br.c

use super::br_attrs::{Access, BrAttr, Unit, attrs, clock_t, from_clock_t};
use super::br_fdb::br_fdb_flush;
use super::br_fdb_gc::{last_set, run_gc};
use super::br_multicast::br_multicast_toggle;
use super::br_vlan::{br_vlan_filter_toggle, br_vlan_set_default_pvid, check_stats_per_port};
use crate::ids::DevId;
use crate::netlink::{Errno, NlError};
use crate::tables::bridge::BridgeConf;
use crate::tables::jiffies::last_tick;
use crate::tables::netdev::NetDevice;
use crate::tables::vlan_tag::{VLAN_VID_MASK, VlanProto};
use crate::{Cx, Kernel};

/// Groups that are never forwarded: BPDUs, pause frames, LACP (`BR_GROUPFWD_RESTRICTED`).
const BR_GROUPFWD_RESTRICTED: u64 = 0b111;

fn set_conf(cx: &mut Cx, dev: DevId, set: impl FnOnce(&mut BridgeConf)) {
    if let Some(bridge) = cx.k.devs[dev].bridge_mut() {
        set(&mut bridge.conf);
    }
}

/// A time of [`BridgeConf`].
macro_rules! time {
    ($field:ident) => {
        Access::ReadWrite(
            |_, dev| Some(clock_t(dev.bridge()?.conf.$field)),
            |cx, dev, value| set_conf(cx, dev, |conf| conf.$field = from_clock_t(value)),
        )
    };
}

/// A flag of [`BridgeConf`].
macro_rules! flag {
    ($($field:ident).+) => {
        Access::ReadWrite(
            |_, dev| Some(u64::from(dev.bridge()?.conf.$($field).+)),
            |cx, dev, value| set_conf(cx, dev, |conf| conf.$($field).+ = value != 0),
        )
    };
}

/// The spanning tree does not run: there is no other root, no change of topology, no timer.
const NO_STP: Access = Access::ReadOnly(|_, _| Some(0));

fn range(value: u64, min: u64, max: u64) -> Result<(), NlError> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(Errno::ERANGE.into()) }
}

fn fits_u32(_: &Kernel, _: &NetDevice, value: u64) -> Result<(), NlError> {
    range(value, 0, u64::from(u32::MAX))
}

/// The bridge identifier (`struct bridge_id`); its address is zero until a port or a user set the bridge's.
pub(super) fn bridge_id(dev: &NetDevice) -> Option<u64> {
    let bridge = dev.bridge()?;
    let has_addr = bridge.conf.addr_is_set || !bridge.ports.is_empty();
    Some(u64::from(bridge.conf.priority) << 48 | if has_addr { dev.addr.to_u64() } else { 0 })
}

const fn clock(name: &'static str, access: Access) -> BrAttr {
    BrAttr::new(name, Some(name), Unit::ClockT, access).valid(fits_u32)
}

const fn status(name: &'static str, unit: Unit) -> BrAttr {
    BrAttr::new(name, Some(name), unit, NO_STP)
}

const fn fixed(name: &'static str, file: &'static str, unit: Unit, value: u64) -> BrAttr {
    BrAttr::new(name, Some(file), unit, Access::Fixed(value))
}

attrs! {
    /// All, in the order in which `ip link` looks an abbreviated name up.
    BRIDGE_ATTRS:

    /// Forward delay: time in the listening and in the learning state. Without STP any value is accepted.
    FORWARD_DELAY = clock("forward_delay", time!(forward_delay));
    /// Hello time.
    HELLO_TIME = clock("hello_time", time!(hello_time)).valid(|_, _, value| range(value, 100, 1000));
    /// Max age of received BPDUs.
    MAX_AGE = clock("max_age", time!(max_age)).valid(|_, _, value| range(value, 600, 4000));
    /// Ageing time of learned FDB entries.
    AGEING_TIME = clock("ageing_time", Access::ReadWrite(
        |_, dev| Some(clock_t(dev.bridge()?.conf.ageing_time)),
        |cx, dev, value| {
            set_conf(cx, dev, |conf| conf.ageing_time = from_clock_t(value));
            run_gc(cx, dev);
        },
    ));
    /// STP is enabled.
    STP_STATE = BrAttr::new("stp_state", Some("stp_state"), Unit::Bool, flag!(stp_state)).valid(|_, _, value| {
        if value == 0 { Ok(()) } else { Err(NlError::not_modelled("stp_state 1")) }
    });
    /// Bridge priority; the upper bits of a longer number are cut off.
    PRIORITY = BrAttr::new("priority", Some("priority"), Unit::Number, Access::ReadWrite(
        |_, dev| Some(u64::from(dev.bridge()?.conf.priority)),
        |cx, dev, value| set_conf(cx, dev, |conf| conf.priority = value as u16),
    )).max(u16::MAX as u64);
    /// VLAN filtering.
    VLAN_FILTERING = BrAttr::new("vlan_filtering", Some("vlan_filtering"), Unit::Bool, Access::ReadWrite(
        |_, dev| Some(u64::from(dev.bridge()?.conf.vlan_filtering)),
        |cx, dev, value| br_vlan_filter_toggle(cx, dev, value != 0),
    ));
    /// EtherType of the VLAN tags.
    VLAN_PROTOCOL =
        BrAttr::new("vlan_protocol", Some("vlan_protocol"), Unit::EtherType, Access::ReadWrite(
            |_, dev| Some(u64::from(dev.bridge()?.conf.vlan_proto.ethertype())),
            |cx, dev, value| set_conf(cx, dev, |conf| {
                conf.vlan_proto = VlanProto::of(value as u16).unwrap_or_default();
            }),
        )).max(u16::MAX as u64).valid(|_, _, value| match VlanProto::of(value as u16) {
            Some(_) => Ok(()),
            None => Err(Errno::EPROTONOSUPPORT.into()),
        });
    /// Link-local groups that are forwarded.
    GROUP_FWD_MASK = BrAttr::new("group_fwd_mask", Some("group_fwd_mask"), Unit::GroupMask, Access::ReadWrite(
        |_, dev| Some(u64::from(dev.bridge()?.conf.group_fwd_mask)),
        |cx, dev, value| set_conf(cx, dev, |conf| conf.group_fwd_mask = value as u16),
    )).valid(|_, _, value| {
        let bad = value & BR_GROUPFWD_RESTRICTED != 0;
        if bad { Err(Errno::EINVAL.into()) } else { Ok(()) }
    });
    /// Deletes the learned FDB entries.
    FDB_FLUSH = BrAttr::new("fdb_flush", Some("flush"), Unit::Bool, Access::WriteOnly(|cx, dev, _| {
        br_fdb_flush(cx, dev);
    }));
    /// IGMP snooping.
    MCAST_SNOOPING = BrAttr::new("mcast_snooping", Some("multicast_snooping"), Unit::Bool, Access::ReadWrite(
        |_, dev| Some(u64::from(dev.bridge()?.conf.mcast_snooping)),
        |cx, dev, value| br_multicast_toggle(cx, dev, value != 0),
    ));
    /// Bridged IPv4 packets pass iptables.
    NF_CALL_IPTABLES =
        BrAttr::new("nf_call_iptables", Some("nf_call_iptables"), Unit::Bool, flag!(nf_call.iptables));
    /// Bridged IPv6 packets pass ip6tables.
    NF_CALL_IP6TABLES =
        BrAttr::new("nf_call_ip6tables", Some("nf_call_ip6tables"), Unit::Bool, flag!(nf_call.ip6tables));
    /// Bridged ARP packets pass arptables.
    NF_CALL_ARPTABLES =
        BrAttr::new("nf_call_arptables", Some("nf_call_arptables"), Unit::Bool, flag!(nf_call.arptables));
    /// Link-local frames are not learned from.
    NO_LINKLOCAL_LEARN = fixed("no_linklocal_learn", "no_linklocal_learn", Unit::Bool, 0);
    /// PVID of new ports.
    VLAN_DEFAULT_PVID =
        BrAttr::new("vlan_default_pvid", Some("default_pvid"), Unit::Number, Access::ReadWrite(
            |_, dev| Some(u64::from(dev.bridge()?.conf.default_pvid)),
            |cx, dev, value| br_vlan_set_default_pvid(cx, dev, value as u16),
        )).max(u16::MAX as u64).valid(|_, _, value| {
            if value < u64::from(VLAN_VID_MASK) { Ok(()) } else { Err(Errno::EINVAL.into()) }
        });
    /// Statistics of each VLAN.
    VLAN_STATS_ENABLED =
        BrAttr::new("vlan_stats_enabled", Some("vlan_stats_enabled"), Unit::Bool, flag!(vlan_stats_enabled))
            .valid(|_, _, value| if value <= 1 { Ok(()) } else { Err(Errno::EINVAL.into()) });
    /// Statistics of each VLAN and port.
    VLAN_STATS_PER_PORT =
        BrAttr::new("vlan_stats_per_port", Some("vlan_stats_per_port"), Unit::Bool, flag!(vlan_stats_per_port))
            .valid(check_stats_per_port);
    /// IGMP snooping in each VLAN.
    MCAST_VLAN_SNOOPING = BrAttr::new("mcast_vlan_snooping", None, Unit::Bool, Access::Fixed(0));
    /// Multicast router: 0 never, 1 if queries are seen, 2 always.
    MCAST_ROUTER = fixed("mcast_router", "multicast_router", Unit::Number, 1);
    /// Queries are sent with the bridge's IPv4 address.
    MCAST_QUERY_USE_IFADDR = fixed("mcast_query_use_ifaddr", "multicast_query_use_ifaddr", Unit::Bool, 0);
    /// The bridge sends IGMP queries.
    MCAST_QUERIER = fixed("mcast_querier", "multicast_querier", Unit::Bool, 0);
    /// Unused since Linux 5.1; always 16.
    MCAST_HASH_ELASTICITY = fixed("mcast_hash_elasticity", "hash_elasticity", Unit::Number, 16);
    /// Greatest number of groups.
    MCAST_HASH_MAX = fixed("mcast_hash_max", "hash_max", Unit::Number, 4096);
    /// Queries before a group without members is left.
    MCAST_LAST_MEMBER_COUNT =
        fixed("mcast_last_member_count", "multicast_last_member_count", Unit::Number, 2);
    /// Queries after the start.
    MCAST_STARTUP_QUERY_COUNT =
        fixed("mcast_startup_query_count", "multicast_startup_query_count", Unit::Number, 2);
    /// Time between queries before a group is left.
    MCAST_LAST_MEMBER_INTERVAL =
        fixed("mcast_last_member_interval", "multicast_last_member_interval", Unit::ClockT, 100);
    /// Time until a membership that was not reported again ends.
    MCAST_MEMBERSHIP_INTERVAL =
        fixed("mcast_membership_interval", "multicast_membership_interval", Unit::ClockT, 26_000);
    /// Time until another querier is taken for gone.
    MCAST_QUERIER_INTERVAL =
        fixed("mcast_querier_interval", "multicast_querier_interval", Unit::ClockT, 25_500);
    /// Time between queries.
    MCAST_QUERY_INTERVAL = fixed("mcast_query_interval", "multicast_query_interval", Unit::ClockT, 12_500);
    /// Longest time until a query is answered.
    MCAST_QUERY_RESPONSE_INTERVAL =
        fixed("mcast_query_response_interval", "multicast_query_response_interval", Unit::ClockT, 1000);
    /// Time between queries after the start.
    MCAST_STARTUP_QUERY_INTERVAL =
        fixed("mcast_startup_query_interval", "multicast_startup_query_interval", Unit::ClockT, 3124);
    /// Statistics of IGMP and MLD.
    MCAST_STATS_ENABLED = fixed("mcast_stats_enabled", "multicast_stats_enabled", Unit::Bool, 0);
    /// IGMP version of queries.
    MCAST_IGMP_VERSION = fixed("mcast_igmp_version", "multicast_igmp_version", Unit::Number, 2);
    /// MLD version of queries.
    MCAST_MLD_VERSION = fixed("mcast_mld_version", "multicast_mld_version", Unit::Number, 1);
    /// Bridge identifier.
    BRIDGE_ID = BrAttr::new(
        "bridge_id", Some("bridge_id"), Unit::BridgeId, Access::ReadOnly(|_, dev| bridge_id(dev)));
    /// Bridge identifier of the root bridge: this one.
    DESIGNATED_ROOT = BrAttr::new(
        "designated_root", Some("root_id"), Unit::BridgeId, Access::ReadOnly(|_, dev| bridge_id(dev)));
    /// Number of the root port.
    ROOT_PORT = status("root_port", Unit::Number);
    /// Path cost to the root bridge.
    ROOT_PATH_COST = status("root_path_cost", Unit::Number);
    /// The topology changes.
    TOPOLOGY_CHANGE = status("topology_change", Unit::Number);
    /// This bridge detected the change.
    TOPOLOGY_CHANGE_DETECTED = status("topology_change_detected", Unit::Number);
    /// Until the next hello.
    HELLO_TIMER = status("hello_timer", Unit::Timer);
    /// Until the next topology change notification.
    TCN_TIMER = status("tcn_timer", Unit::Timer);
    /// Until the topology change ends.
    TOPOLOGY_CHANGE_TIMER = status("topology_change_timer", Unit::Timer);
    /// Until the FDB is next searched for aged entries.
    GC_TIMER = BrAttr::new("gc_timer", Some("gc_timer"), Unit::Timer, Access::Timer(
        |dev, now| Some(last_set(dev.bridge()?, last_tick(now))?.expires)));
    /// Destination address of BPDUs.
    GROUP_ADDRESS = BrAttr::new(
        "group_address", Some("group_addr"), Unit::Mac, Access::ReadOnly(|_, dev| {
            Some(0x0180_c200_0000 | u64::from(dev.bridge()?.conf.group()))
        }));
}
