//! Netlink requests to bridges and ports.
//!
//! Kernel: net/bridge/br_netlink.c

use super::br_attrs::Attrs;
use super::br_attrs_bridge::BRIDGE_ATTRS;
use super::br_attrs_port::PORT_ATTRS;
use crate::ids::DevId;
use crate::netlink::{Errno, NlError};
use crate::tables::netdev::NetDevice;
use crate::{Cx, Kernel};

/// Refuses what is not modelled, before the bridge exists. What the kernel refuses, it refuses in [`br_changelink`].
///
/// # Errors
///
/// [`NlError::not_modelled`].
pub fn br_validate(kernel: &Kernel, dev: &NetDevice, attrs: &Attrs) -> Result<(), NlError> {
    let mut errors = attrs.of(BRIDGE_ATTRS).filter_map(|(attr, value)| attr.check(kernel, dev, value).err());
    errors.find(|error| error.not_modelled.is_some()).map_or(Ok(()), Err)
}

/// Sets attributes of a bridge: all or, after an error, none.
///
/// # Errors
///
/// Those of [`BrAttr::check`](super::br_attrs::BrAttr::check).
pub fn br_changelink(cx: &mut Cx, dev: DevId, attrs: &Attrs) -> Result<(), NlError> {
    for (attr, value) in attrs.of(BRIDGE_ATTRS) {
        attr.check(cx.k, &cx.k.devs[dev], value)?;
    }
    for (attr, value) in attrs.of(BRIDGE_ATTRS) {
        attr.set(cx, dev, value);
    }
    Ok(())
}

/// Sets attributes of a port: all or, after an error, none.
///
/// # Errors
///
/// `EINVAL` if the device is not a port and there is an attribute; those of
/// [`BrAttr::check`](super::br_attrs::BrAttr::check).
pub fn br_setport(cx: &mut Cx, dev: DevId, attrs: &Attrs) -> Result<(), NlError> {
    for (attr, value) in attrs.of(PORT_ATTRS) {
        attr.check(cx.k, &cx.k.devs[dev], value)?;
    }
    if !attrs.is_empty() && cx.k.devs[dev].port.is_none() {
        return Err(Errno::EINVAL.into());
    }
    for (attr, value) in attrs.of(PORT_ATTRS) {
        attr.set(cx, dev, value);
    }
    Ok(())
}
