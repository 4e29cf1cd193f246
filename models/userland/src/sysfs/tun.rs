//! The files that only tun and tap devices have.
//!
//! Kernel: drivers/net/tun.c

use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_kernel::tables::tun::TunStruct;

use super::Attr;

/// Files in the device's directory.
pub const FILES: &[Attr] = &[
    Attr::ro("group", |_, dev| Ok(id(dev, |tun| tun.group))),
    Attr::ro("owner", |_, dev| Ok(id(dev, |tun| tun.owner))),
    Attr::ro("tun_flags", |_, dev| Ok(format!("{:#x}", dev.tun().map_or(0, |tun| tun.flags)))),
];

fn id(dev: &NetDevice, of: impl Fn(&TunStruct) -> Option<u32>) -> String {
    dev.tun().and_then(of).map_or("-1".to_owned(), |id| id.to_string())
}
