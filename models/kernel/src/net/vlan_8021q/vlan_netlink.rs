//! What a VLAN device may be told.
//!
//! Kernel: net/8021q/vlan_netlink.c

use super::vlan::{register_vlan_dev, vlan_check_real_dev};
use super::vlan_dev::vlan_dev_init;
use crate::Cx;
use crate::ids::DevId;
use crate::link::{LinkInfo, NewLink};
use crate::netlink::{Errno, NlError};
use crate::tables::netdev::AddrAssign;
use crate::tables::vlan::{VLAN_FLAG_REORDER_HDR, VlanDev};
use crate::tables::vlan_tag::{VLAN_VID_MASK, VlanProto};

/// Attributes of a VLAN device (`IFLA_VLAN_*`).
#[derive(Clone, Debug, Default)]
pub struct VlanOptions {
    /// VLAN ID.
    pub id: Option<u16>,
    /// Ethertype of the tag.
    pub protocol: Option<u16>,
    /// `VLAN_FLAG_*`, and which of them are said.
    pub flags: (u32, u32),
    /// Priorities in the tag, with the packet's each.
    pub ingress_qos: Vec<(u32, u32)>,
    /// The packet's priorities, with those in the tag.
    pub egress_qos: Vec<(u32, u32)>,
}

impl From<VlanOptions> for LinkInfo {
    fn from(options: VlanOptions) -> LinkInfo {
        LinkInfo::with("vlan", options)
    }
}

const fn invalid(errno: Errno, extack: &'static str) -> NlError {
    NlError::with(errno, extack)
}

/// Refuses attributes by themselves (`vlan_validate`); returns what the tag's protocol is.
fn vlan_validate(options: &VlanOptions) -> Result<VlanProto, NlError> {
    let proto = match options.protocol {
        None => VlanProto::Dot1Q,
        Some(ethertype) => {
            VlanProto::of(ethertype).ok_or(invalid(Errno::EPROTONOSUPPORT, "8021q: Invalid VLAN protocol"))?
        }
    };
    if options.id.is_some_and(|id| id >= VLAN_VID_MASK) {
        return Err(invalid(Errno::ERANGE, "8021q: Invalid VLAN id"));
    }
    Ok(proto)
}

/// Registers a VLAN device over another device.
pub(super) fn vlan_newlink(cx: &mut Cx, new: NewLink) -> Result<DevId, NlError> {
    let NewLink { mut dev, link, info, address, mtu, .. } = new;
    if address.is_some_and(|address| !address.is_valid()) {
        return Err(invalid(Errno::EADDRNOTAVAIL, "8021q: Invalid link address"));
    }
    let options: &VlanOptions =
        info.data().ok_or(invalid(Errno::EINVAL, "8021q: VLAN properties not specified"))?;
    let proto = vlan_validate(options)?;
    let id = options.id.ok_or(invalid(Errno::EINVAL, "8021q: VLAN id not specified"))?;
    let real_dev = link.ok_or(invalid(Errno::EINVAL, "8021q: link not specified"))?;
    vlan_check_real_dev(cx, real_dev, proto, id)?;
    let below = &cx.k.devs[real_dev];
    dev.mtu = mtu.unwrap_or(below.mtu);
    if dev.mtu > below.mtu {
        return Err(Errno::EINVAL.into());
    }
    if let Some(address) = address {
        (dev.addr, dev.addr_assign) = (address, AddrAssign::Set);
    }
    let mut vlan = VlanDev {
        vlan_proto: proto,
        vlan_id: id,
        flags: VLAN_FLAG_REORDER_HDR,
        real_dev,
        real_dev_addr: below.addr,
        ingress_priority_map: [0; 8],
        egress_priority_map: Vec::new(),
    };
    change(&mut vlan, options);
    vlan_dev_init(&mut dev, below, vlan.clone());
    register_vlan_dev(cx, dev, vlan)
}

/// Changes flags and priorities. The kernel takes no notice of another VLAN ID or protocol.
pub(super) fn vlan_changelink(cx: &mut Cx, dev: DevId, info: &LinkInfo) -> Result<(), NlError> {
    let Some(options) = info.data() else { return Ok(()) };
    vlan_validate(options)?;
    if let Some(vlan) = cx.k.devs[dev].vlan_dev_priv_mut() {
        change(vlan, options);
    }
    Ok(())
}

fn change(vlan: &mut VlanDev, options: &VlanOptions) {
    let (flags, mask) = options.flags;
    vlan.flags = vlan.flags & !mask | flags & mask;
    for (from, to) in &options.ingress_qos {
        vlan.ingress_priority_map[(*from & 7) as usize] = *to;
    }
    for (from, to) in &options.egress_qos {
        vlan.set_egress_priority(*from, (*to & 7) as u16);
    }
}
