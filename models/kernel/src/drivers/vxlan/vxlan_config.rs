//! Requests for VXLAN devices.
//!
//! Kernel: drivers/net/vxlan/vxlan_core.c (`vxlan_validate`, `vxlan_nl2conf`, `vxlan_config_validate`, `vxlan_config_apply`,
//! `vxlan_changelink`)

use std::net::Ipv4Addr;

use glassnet_wire::Mac;

use super::vxlan_core::{vxlan, vxlan_mut, vxlan_net};
use super::vxlan_fdb::{DEFAULT_STATE, default_entry, expire_now, vxlan_fdb_notify};
use crate::Cx;
use crate::ids::{DevId, NetnsId};
use crate::link::LinkInfo;
use crate::net::core::dev_upper::{netdev_upper_dev_link, netdev_upper_dev_unlink};
use crate::net::ethernet::eth::{ETH_MAX_MTU, ETH_MIN_MTU};
use crate::netlink::{Errno, NlError};
use crate::tables::ip_tunnel::TunnelDf;
use crate::tables::vxlan::{VxlanConfig, VxlanRdst};

/// Bytes in front of a packet inside (`VXLAN_HEADROOM`): IPv4, UDP, VXLAN and Ethernet.
pub const VXLAN_HEADROOM: u32 = 50;
/// The port before there was an assigned one (`udp_port`).
const VXLAN_PORT: u16 = 8472;
/// How long a learned station is kept, s (`FDB_AGE_DEFAULT`).
const FDB_AGE_DEFAULT: u32 = 300;

/// Flags that stay as they were made, and what the kernel says where one is to be changed. No device has those behind the first four.
const FIXED_FLAGS: [(&str, &str); 8] = [
    ("proxy", "vxlan: cannot change PROXY flag"),
    ("rsc", "vxlan: cannot change RSC flag"),
    ("l2miss", "vxlan: cannot change L2MISS flag"),
    ("l3miss", "vxlan: cannot change L3MISS flag"),
    ("udp6zerocsumtx", "vxlan: cannot change UDP_ZERO_CSUM6_TX flag"),
    ("udp6zerocsumrx", "vxlan: cannot change UDP_ZERO_CSUM6_RX flag"),
    ("remcsumtx", "vxlan: cannot change REMCSUM_TX flag"),
    ("remcsumrx", "vxlan: cannot change REMCSUM_RX flag"),
];

/// Attributes of a device (`IFLA_VXLAN_*`); `None`: not given.
#[derive(Clone, Debug, Default)]
pub struct VxlanOptions {
    /// The VNI.
    pub id: Option<u32>,
    /// The other end, or a group.
    pub group: Option<Ipv4Addr>,
    /// The outer source.
    pub local: Option<Ipv4Addr>,
    /// The ifindex of the device that leads to the other end.
    pub link: Option<u32>,
    /// The port.
    pub port: Option<u16>,
    /// The source ports.
    pub port_range: Option<(u16, u16)>,
    /// The outer TOS.
    pub tos: Option<u8>,
    /// The outer TTL.
    pub ttl: Option<u8>,
    /// The outer TTL is that inside.
    pub ttl_inherit: bool,
    /// The outer "do not fragment".
    pub df: Option<TunnelDf>,
    /// The IPv6 flow label.
    pub label: u32,
    /// Learns where stations are.
    pub learning: Option<bool>,
    /// Flags that it is to have, or not: words of [`FIXED_FLAGS`].
    pub flags: Vec<(&'static str, bool)>,
    /// Packets say themselves where they go.
    pub collect_md: Option<bool>,
    /// Takes datagrams of IPv6 without a checksum.
    pub udp_zero_csum6_rx: bool,
    /// Computes the outer checksum.
    pub udp_csum: Option<bool>,
    /// How long a station is kept, s.
    pub ageing: Option<u32>,
    /// How many entries there may be.
    pub limit: Option<u32>,
}

impl From<VxlanOptions> for LinkInfo {
    fn from(options: VxlanOptions) -> LinkInfo {
        LinkInfo::with("vxlan", options)
    }
}

/// What a new device is to be.
///
/// # Errors
///
/// A range of source ports that ends before it begins, and those of [`validate`].
pub fn config_of_new(
    cx: &Cx,
    netns: NetnsId,
    info: &LinkInfo,
) -> Result<(VxlanConfig, Option<DevId>), NlError> {
    let missing = "Required attributes not provided to perform the operation";
    let options: &VxlanOptions = info.data().ok_or(NlError::with(Errno::EINVAL, missing))?;
    let conf = nl2conf(options, VxlanConfig::default())?;
    validate(cx, netns, options, conf, None)
}

/// Writes what is given over what was there (`vxlan_nl2conf`).
fn nl2conf(options: &VxlanOptions, old: VxlanConfig) -> Result<VxlanConfig, NlError> {
    if options.port_range.is_some_and(|(low, high)| low > high) {
        return Err(NlError::with(Errno::EINVAL, "Invalid source port range"));
    }
    let flag = |name| options.flags.iter().find(|(given, _)| *given == name).map(|(_, on)| *on);
    Ok(VxlanConfig {
        vni: options.id.unwrap_or(old.vni),
        remote_ip: options.group.unwrap_or(old.remote_ip),
        saddr: options.local.unwrap_or(old.saddr),
        remote_ifindex: options.link.unwrap_or(old.remote_ifindex),
        dst_port: options.port.unwrap_or(old.dst_port),
        port_range: options.port_range.unwrap_or(old.port_range),
        tos: options.tos.unwrap_or(old.tos),
        ttl: options.ttl.unwrap_or(old.ttl),
        ttl_inherit: options.ttl_inherit || old.ttl_inherit,
        df: options.df.unwrap_or(old.df),
        learn: options.learning.unwrap_or(old.learn),
        proxy: flag("proxy").unwrap_or(old.proxy),
        rsc: flag("rsc").unwrap_or(old.rsc),
        l2miss: flag("l2miss").unwrap_or(old.l2miss),
        l3miss: flag("l3miss").unwrap_or(old.l3miss),
        collect_md: options.collect_md.unwrap_or(old.collect_md),
        udp_zero_csum6_rx: options.udp_zero_csum6_rx || old.udp_zero_csum6_rx,
        udp_csum: options.udp_csum.unwrap_or(old.udp_csum),
        age_interval: options.ageing.unwrap_or(old.age_interval),
        addrmax: options.limit.unwrap_or(old.addrmax),
    })
}

/// Whether there can be such a device; fills in what is left out, and finds the lower device (`vxlan_config_validate`).
///
/// # Errors
///
/// Addresses or a flow label that do not fit, a lower device that does not exist, a group without one, and a VNI that another
/// device has on this port.
fn validate(
    cx: &Cx,
    netns: NetnsId,
    options: &VxlanOptions,
    mut conf: VxlanConfig,
    own: Option<DevId>,
) -> Result<(VxlanConfig, Option<DevId>), NlError> {
    let invalid = |text| Err(NlError::with(Errno::EINVAL, text));
    if conf.saddr.is_multicast() {
        return invalid("Local address cannot be multicast");
    }
    if options.label != 0 {
        return invalid("Label attribute only applies to IPv6 VXLAN devices");
    }
    let lower = match conf.remote_ifindex {
        0 if conf.remote_ip.is_multicast() => {
            return invalid("Local interface required for multicast remote destination");
        }
        0 => None,
        ifindex => {
            let missing = NlError::with(Errno::ENODEV, "Invalid local interface, device not found");
            Some(cx.k.dev_by_index(netns, ifindex).ok_or(missing)?)
        }
    };
    if conf.dst_port == 0 {
        conf.dst_port = VXLAN_PORT;
    }
    if conf.age_interval == 0 {
        conf.age_interval = FDB_AGE_DEFAULT;
    }
    let listens_for = |cfg: &VxlanConfig| (cfg.vni, cfg.dst_port, cfg.collect_md);
    let is_same = |dev: &DevId| {
        Some(*dev) != own
            && vxlan(cx.k, *dev).is_some_and(|other| listens_for(&other.cfg) == listens_for(&conf))
    };
    if vxlan_net(cx.k, netns).is_some_and(|net| net.devs.iter().any(is_same)) {
        return Err(NlError::with(Errno::EEXIST, "A VXLAN device with the specified VNI already exists"));
    }
    Ok((conf, lower))
}

/// Sets a device (`vxlan_config_apply`); `mtu`: that of a new device, if it was asked for.
pub fn config_apply(
    cx: &mut Cx,
    dev: DevId,
    conf: VxlanConfig,
    lower: Option<DevId>,
    new: Option<Option<u32>>,
) {
    let mut max_mtu = ETH_MAX_MTU;
    if let Some(lower) = lower {
        let (mtu, tso_max_size) = (cx.k.devs[lower].mtu, cx.k.devs[lower].tso_max_size);
        max_mtu = mtu.saturating_sub(VXLAN_HEADROOM).max(ETH_MIN_MTU);
        cx.k.devs[dev].tso_max_size = tso_max_size;
        if new == Some(None) {
            cx.k.devs[dev].mtu = max_mtu;
        }
    }
    cx.k.devs[dev].mtu = cx.k.devs[dev].mtu.min(max_mtu);
    vxlan_mut(cx, dev).cfg = conf;
}

/// Changes a device (`vxlan_changelink`). What goes to unknown stations goes to the new other end.
///
/// # Errors
///
/// What cannot be changed, and those of a new device.
pub fn vxlan_changelink(cx: &mut Cx, dev: DevId, info: &LinkInfo) -> Result<(), NlError> {
    let Some(options) = info.data::<VxlanOptions>() else { return Ok(()) };
    let Some((old, net)) = vxlan(cx.k, dev).map(|vxlan| (vxlan.cfg.clone(), vxlan.net)) else {
        return Ok(());
    };
    may_change(options, &old)?;
    let conf = nl2conf(options, old.clone())?;
    let (conf, lower) = validate(cx, net, options, conf, Some(dev))?;
    if conf.remote_ip != old.remote_ip {
        change_default(cx, dev, &old, &conf)?;
    }
    if conf.age_interval != old.age_interval {
        expire_now(cx, dev);
    }
    let before = cx.k.dev_by_index(net, old.remote_ifindex);
    if before != lower {
        if let Some(before) = before {
            netdev_upper_dev_unlink(cx, before, dev);
        }
        if let Some(lower) = lower {
            netdev_upper_dev_link(cx, lower, dev);
        }
    }
    config_apply(cx, dev, conf, lower, None);
    Ok(())
}

/// What stays as it was made.
fn may_change(options: &VxlanOptions, old: &VxlanConfig) -> Result<(), NlError> {
    let refused = |errno, text| Err(NlError::with(errno, text));
    let flag = |is_given: bool, text| if is_given { refused(Errno::EOPNOTSUPP, text) } else { Ok(()) };
    if options.id.is_some_and(|id| id != old.vni) {
        return refused(Errno::EOPNOTSUPP, "Cannot change VNI");
    }
    flag(options.ttl_inherit, "vxlan: cannot change TTL_INHERIT flag")?;
    for (word, text) in FIXED_FLAGS {
        flag(options.flags.iter().any(|(given, _)| *given == word), text)?;
    }
    flag(options.collect_md.is_some(), "vxlan: cannot change COLLECT_METADATA flag")?;
    flag(options.limit.is_some(), "Cannot change limit")?;
    flag(options.port_range.is_some(), "Cannot change port range")?;
    flag(options.port.is_some(), "Cannot change port")?;
    flag(options.udp_csum.is_some(), "Cannot change UDP_CSUM flag")
}

/// The entry for unknown stations leads to the new other end in place of the old one.
fn change_default(cx: &mut Cx, dev: DevId, old: &VxlanConfig, conf: &VxlanConfig) -> Result<(), NlError> {
    let to = VxlanRdst { ip: conf.remote_ip, ..default_key(old) };
    if !conf.remote_ip.is_unspecified() {
        let to = VxlanRdst { ifindex: conf.remote_ifindex, ..to };
        match vxlan_mut(cx, dev).find_mut(Mac::ZERO) {
            Some(entry) if entry.find_rdst(&to).is_none() => {
                entry.state = DEFAULT_STATE;
                entry.remotes.push(to.into());
                vxlan_fdb_notify(cx, dev, Mac::ZERO, to, false);
            }
            Some(_) => {}
            None => default_entry(cx, dev, to)?,
        }
    }
    if !old.remote_ip.is_unspecified() {
        let gone = default_key(old);
        vxlan_fdb_notify(cx, dev, Mac::ZERO, gone, true);
        let device = vxlan_mut(cx, dev);
        if let Some(entry) = device.find_mut(Mac::ZERO) {
            entry.remotes.retain(|remote| remote.to != gone);
            if entry.remotes.is_empty() {
                device.remove(Mac::ZERO);
            }
        }
    }
    Ok(())
}

/// Where the entry for unknown stations leads as a device is set.
pub fn default_key(conf: &VxlanConfig) -> VxlanRdst {
    VxlanRdst { ip: conf.remote_ip, port: conf.dst_port, vni: conf.vni, ifindex: conf.remote_ifindex }
}
