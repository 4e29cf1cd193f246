//! Devices over others, and who takes what a device receives.
//!
//! Kernel: net/core/dev.c

use crate::Cx;
use crate::ids::DevId;
use crate::link::RxHandler;
use crate::netlink::{Errno, NlError};
use crate::tables::netdev::Upper;

/// Puts a device under a master.
///
/// # Errors
///
/// `EBUSY` if it has one, or if the master lies on it.
pub fn netdev_master_upper_dev_link(cx: &mut Cx, dev: DevId, master: DevId) -> Result<(), NlError> {
    if cx.k.devs[dev].master().is_some() || has_upper_dev(cx, master, dev) {
        return Err(Errno::EBUSY.into());
    }
    cx.k.devs[dev].uppers.insert(0, Upper { dev: master, master: true });
    cx.k.devs[master].lowers.push(dev);
    Ok(())
}

/// A device is somewhere above another (`__netdev_has_upper_dev`).
fn has_upper_dev(cx: &Cx, dev: DevId, upper: DevId) -> bool {
    cx.k.devs[dev].uppers.iter().any(|above| above.dev == upper || has_upper_dev(cx, above.dev, upper))
}

/// Puts a device below another one, which is not its master.
pub fn netdev_upper_dev_link(cx: &mut Cx, dev: DevId, upper: DevId) {
    cx.k.devs[dev].uppers.push(Upper { dev: upper, master: false });
    cx.k.devs[upper].lowers.push(dev);
}

/// Unlinks a device from its upper device.
pub fn netdev_upper_dev_unlink(cx: &mut Cx, dev: DevId, upper: DevId) {
    cx.k.devs[dev].uppers.retain(|above| above.dev != upper);
    cx.k.devs[upper].lowers.retain(|below| *below != dev);
}

/// Sets the `rx_handler` of a device.
///
/// # Errors
///
/// `EBUSY` if it has one, `EINVAL` if it may have none.
pub fn netdev_rx_handler_register(cx: &mut Cx, dev: DevId, handler: RxHandler) -> Result<(), NlError> {
    let netdev = &mut cx.k.devs[dev];
    if netdev.rx_handler.is_some() {
        return Err(Errno::EBUSY.into());
    }
    if netdev.no_rx_handler {
        return Err(Errno::EINVAL.into());
    }
    netdev.rx_handler = Some(handler);
    Ok(())
}

/// Clears the `rx_handler`.
pub fn netdev_rx_handler_unregister(cx: &mut Cx, dev: DevId) {
    cx.k.devs[dev].clear_rx_handler();
}
