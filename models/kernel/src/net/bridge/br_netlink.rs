//! Settings of bridges and ports.
//!
//! Kernel: net/bridge/br_netlink.c

use glassnet_sim::Nanos;

use super::br_fdb::br_fdb_flush;
use super::br_multicast::br_multicast_toggle;
use crate::Cx;
use crate::ids::DevId;
use crate::link::LinkInfo;
use crate::netlink::{Errno, NlError};
use crate::tables::bridge::PortState;

/// Settings of a bridge (`ip link set … type bridge …`); what is `None` stays as it is. Times in hundredths of a
/// second, as user space gives them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BridgeOptions {
    /// How long a silent station is remembered.
    pub ageing_time: Option<u32>,
    /// Time in the listening and in the learning state.
    pub forward_delay: Option<u32>,
    /// Time between hellos.
    pub hello_time: Option<u32>,
    /// How long a hello counts.
    pub max_age: Option<u32>,
    /// Spanning tree.
    pub stp_state: Option<bool>,
    /// Priority of the bridge.
    pub priority: Option<u16>,
    /// VLAN filtering.
    pub vlan_filtering: Option<bool>,
    /// Multicast snooping.
    pub mcast_snooping: Option<bool>,
    /// Link-local groups to forward, a bit each.
    pub group_fwd_mask: Option<u16>,
    /// This bridge calls iptables.
    pub nf_call_iptables: Option<bool>,
    /// This bridge calls ip6tables.
    pub nf_call_ip6tables: Option<bool>,
    /// This bridge calls arptables.
    pub nf_call_arptables: Option<bool>,
    /// Forget what was learned.
    pub fdb_flush: bool,
}

impl From<BridgeOptions> for LinkInfo {
    fn from(options: BridgeOptions) -> LinkInfo {
        LinkInfo::with("bridge", options)
    }
}

/// Settings of a port (`bridge link set dev …`); what is `None` stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct PortOptions {
    pub state: Option<PortState>,
    pub cost: Option<u32>,
    pub priority: Option<u8>,
    pub group_fwd_mask: Option<u16>,
    pub hairpin: Option<bool>,
    pub guard: Option<bool>,
    pub root_block: Option<bool>,
    pub fastleave: Option<bool>,
    pub learning: Option<bool>,
    pub flood: Option<bool>,
    pub mcast_flood: Option<bool>,
    pub bcast_flood: Option<bool>,
    pub isolated: Option<bool>,
    pub fdb_flush: bool,
}

impl From<PortOptions> for LinkInfo {
    fn from(options: PortOptions) -> LinkInfo {
        LinkInfo::with("bridge_slave", options)
    }
}

/// Groups that are never forwarded: BPDUs, pause frames, LACP (`BR_GROUPFWD_RESTRICTED`).
const BR_GROUPFWD_RESTRICTED: u16 = 0b111;
/// Pause frames, which no port ever forwards (`BR_GROUPFWD_MACPAUSE`).
const BR_GROUPFWD_MACPAUSE: u16 = 0b10;

/// What the model can do of what the kernel can.
///
/// # Errors
///
/// `EINVAL` as the kernel, [`NlError::not_modelled`] where the model has a gap.
pub fn br_validate(options: &BridgeOptions) -> Result<(), NlError> {
    if options.group_fwd_mask.is_some_and(|mask| mask & BR_GROUPFWD_RESTRICTED != 0) {
        return Err(Errno::EINVAL.into());
    }
    if options.vlan_filtering == Some(true) {
        return Err(NlError::not_modelled("vlan_filtering 1"));
    }
    if options.stp_state == Some(true) {
        return Err(NlError::not_modelled("stp_state 1"));
    }
    Ok(())
}

fn centiseconds(time: u32) -> Nanos {
    Nanos::from_millis(u64::from(time) * 10)
}

/// Changes a bridge.
///
/// # Errors
///
/// What [`br_validate`] says; `ERANGE` for times that the standard forbids.
pub fn br_changelink(cx: &mut Cx, dev: DevId, options: &BridgeOptions) -> Result<(), NlError> {
    br_validate(options)?;
    for (time, from, to) in
        [(options.forward_delay, 200, 3000), (options.hello_time, 100, 1000), (options.max_age, 600, 4000)]
    {
        // Without spanning tree any forward delay is good.
        if time.is_some_and(|time| from != 200 && !(from..=to).contains(&time)) {
            return Err(Errno::ERANGE.into());
        }
    }
    let Some(bridge) = cx.k.devs[dev].bridge_mut() else { return Ok(()) };
    let conf = &mut bridge.conf;
    for (value, time) in [
        (&mut conf.ageing_time, options.ageing_time),
        (&mut conf.forward_delay, options.forward_delay),
        (&mut conf.hello_time, options.hello_time),
        (&mut conf.max_age, options.max_age),
    ] {
        *value = time.map_or(*value, centiseconds);
    }
    conf.priority = options.priority.unwrap_or(conf.priority);
    conf.group_fwd_mask = options.group_fwd_mask.unwrap_or(conf.group_fwd_mask);
    let calls = &mut conf.nf_call;
    calls.iptables = options.nf_call_iptables.unwrap_or(calls.iptables);
    calls.ip6tables = options.nf_call_ip6tables.unwrap_or(calls.ip6tables);
    calls.arptables = options.nf_call_arptables.unwrap_or(calls.arptables);
    if let Some(on) = options.mcast_snooping {
        br_multicast_toggle(cx, dev, on);
    }
    if options.fdb_flush {
        br_fdb_flush(cx, dev);
    }
    Ok(())
}

/// Greatest cost of a port (`BR_MAX_PATH_COST`).
const MAX_PATH_COST: u32 = 65_535;
/// Greatest priority of a port (`BR_MAX_PORT_PRIORITY`).
const MAX_PORT_PRIORITY: u8 = 63;

fn validate_port(cx: &Cx, dev: DevId, options: &PortOptions) -> Result<(), NlError> {
    let netdev = &cx.k.devs[dev];
    if options.cost.is_some_and(|cost| !(1..=MAX_PATH_COST).contains(&cost))
        || options.priority.is_some_and(|priority| priority > MAX_PORT_PRIORITY)
    {
        return Err(Errno::ERANGE.into());
    }
    if options.group_fwd_mask.is_some_and(|mask| mask & BR_GROUPFWD_MACPAUSE != 0) {
        return Err(Errno::EINVAL.into());
    }
    let dead = |state| !netdev.is_up() || !netdev.carrier && state != PortState::Disabled;
    if options.state.is_some_and(dead) {
        return Err(Errno::ENETDOWN.into());
    }
    Ok(())
}

/// Changes a port.
///
/// # Errors
///
/// `EINVAL` if the device is not a port and a setting is given.
pub fn br_setport(cx: &mut Cx, dev: DevId, options: &PortOptions) -> Result<(), NlError> {
    if *options == PortOptions::default() {
        return Ok(());
    }
    validate_port(cx, dev, options)?;
    let Some(port) = cx.k.devs[dev].port.as_mut() else { return Err(Errno::EINVAL.into()) };
    let flags = &mut port.flags;
    for (flag, wanted) in [
        (&mut flags.hairpin, options.hairpin),
        (&mut flags.guard, options.guard),
        (&mut flags.root_block, options.root_block),
        (&mut flags.fastleave, options.fastleave),
        (&mut flags.learning, options.learning),
        (&mut flags.flood, options.flood),
        (&mut flags.mcast_flood, options.mcast_flood),
        (&mut flags.bcast_flood, options.bcast_flood),
        (&mut flags.isolated, options.isolated),
    ] {
        *flag = wanted.unwrap_or(*flag);
    }
    // Without a spanning tree, a port that is not disabled goes on to forward (`br_port_state_selection`).
    port.state = match options.state {
        None => port.state,
        Some(PortState::Disabled) => PortState::Disabled,
        Some(_) => PortState::Forwarding,
    };
    port.path_cost = options.cost.unwrap_or(port.path_cost);
    port.admin_cost |= options.cost.is_some();
    port.priority = options.priority.unwrap_or(port.priority);
    port.group_fwd_mask = options.group_fwd_mask.unwrap_or(port.group_fwd_mask);
    if options.fdb_flush {
        let bridge = port.bridge;
        super::br_fdb::br_fdb_delete_by_port(cx, bridge, dev, false);
    }
    Ok(())
}
