//! The link of a card: whether there is a carrier, how fast it is, and what the log says of it.
//!
//! The ends of a cable agree on the best mode that both offer, which takes a while each time. None offers pause frames.
//!
//! Not modelled: the wait before the carrier of a device that comes up; links that are half duplex.
//!
//! Kernel: `e1000_watchdog_task` in drivers/net/ethernet/intel/e1000e/netdev.c, `igb_watchdog_task` in
//! drivers/net/ethernet/intel/igb/igb_main.c, drivers/net/ethernet/intel/e1000e/ethtool.c

use super::{ethtool, nic, nic_mut};
use crate::drivers::veth::VETH_SPEED;
use crate::event::Event;
use crate::ids::DevId;
use crate::link::{Copper, LINK_MODES, LinkKsettings, LinkRequest};
use crate::net::core::link_watch::{linkwatch_settle, netif_carrier_off, netif_carrier_on};
use crate::netlink::Errno;
use crate::tables::klog::LOG_INFO;
use crate::tables::netdev::NetDevice;
use crate::{Cx, Kernel};

/// Modes of a card of 1 Gbit/s, which does that only full duplex.
const MODES: u32 = 0x2f;
/// The fastest, Mbit/s.
const FASTEST: u32 = 1000;

/// What the driver's row says of links.
#[derive(Debug)]
pub struct LinkRow {
    /// What the log has between the device's name and `NIC Link is`.
    pub log_word: fn(&str) -> String,
    /// It offers pause frames, as `ethtool` tells it.
    pub pause: bool,
}

/// How the link is made, and the speed of the one that there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phy {
    request: LinkRequest,
    speed: u32,
}

impl Default for Phy {
    fn default() -> Phy {
        Phy { request: LinkRequest::Negotiate(MODES), speed: FASTEST }
    }
}

/// A cable is connected, before anything happens on the machine.
pub fn boot(cx: &mut Cx, dev: DevId) {
    up(cx, dev);
    linkwatch_settle(cx);
}

/// The ends of the cable have agreed, if there is one and the device is up.
pub fn up(cx: &mut Cx, dev: DevId) {
    let Some((plug, row)) = cx.k.devs.get(dev).and_then(nic).map(|nic| (nic.plug, &nic.row.phy)) else {
        return;
    };
    let netdev = &cx.k.devs[dev];
    if row.is_none() || netdev.carrier || !netdev.is_up() || !cx.fabric.is_connected(plug) {
        return;
    }
    let speed = cx.fabric.agreed(plug).map_or(FASTEST, |agreed| (agreed / 1_000_000) as u32);
    if let Some(nic) = nic_mut(cx, dev) {
        nic.phy.speed = speed;
    }
    tell(cx, dev, &format!("Up {speed} Mbps Full Duplex, Flow Control: None"));
    netif_carrier_on(cx, dev);
}

/// The cable was pulled out, or its ends have to agree anew. A driver that does not look at the link notices nothing.
pub fn down(cx: &mut Cx, dev: DevId) {
    let Some(netdev) = cx.k.devs.get(dev) else { return };
    if netdev.carrier && netdev.ops.ethtool.get_link {
        netif_carrier_off(cx, dev);
        tell(cx, dev, "Down");
    }
}

/// The device goes down and its link with it: a switch forgets who was there, and a driver that looks at the link has none.
pub fn close(cx: &mut Cx, dev: DevId) {
    if cx.k.devs[dev].ops.ethtool.get_link {
        netif_carrier_off(cx, dev);
    }
    if let Some(plug) = nic(&cx.k.devs[dev]).map(|nic| nic.plug) {
        cx.fabric.link_lost(plug);
    }
}

/// Cards of QEMU and real ones say so; the far end of a veth pair that stands for a cable does not.
fn tell(cx: &mut Cx, dev: DevId, what: &str) {
    let netdev = &cx.k.devs[dev];
    let Some(nic) = nic(netdev).filter(|_| netdev.is_up() && !cx.k.config.veth_cables) else { return };
    let Some(row) = &nic.row.phy else { return };
    let (bus, name) = (ethtool::bus_info(nic), &netdev.name);
    let line = format!("{} {bus} {name}: {}NIC Link is {what}", nic.name, (row.log_word)(name));
    cx.printk(LOG_INFO, line);
}

/// The ends of the cable have to agree anew (`nway_reset`).
pub(super) fn nway_reset(cx: &mut Cx, dev: DevId) {
    let Some(nic) = cx.k.devs.get(dev).and_then(nic) else { return };
    let (plug, speed) = (
        nic.plug,
        match nic.phy.request {
            LinkRequest::Force(speed) => speed,
            LinkRequest::Negotiate(modes) => fastest(modes),
        },
    );
    cx.fabric.set_offer(plug, (speed < FASTEST).then_some(u64::from(speed) * 1_000_000));
    if cx.k.devs[dev].is_up() {
        cx.events.schedule(cx.now, Event::Retrain { plug });
    }
}

/// The fastest of some modes, Mbit/s.
fn fastest(modes: u32) -> u32 {
    LINK_MODES.iter().rev().find(|(.., full)| modes & full != 0).map_or(FASTEST, |(speed, ..)| *speed)
}

/// A card of 1 Gbit/s can be forced to less only: that speed is agreed on in any case.
pub(super) fn set_link_ksettings(cx: &mut Cx, dev: DevId, request: LinkRequest) -> Result<(), Errno> {
    let Some(nic) = nic_mut(cx, dev) else { return Ok(()) };
    nic.phy.request = match request {
        LinkRequest::Negotiate(modes) if modes & MODES == 0 => LinkRequest::Negotiate(MODES),
        LinkRequest::Negotiate(modes) => LinkRequest::Negotiate(modes & MODES),
        LinkRequest::Force(FASTEST) => LinkRequest::Negotiate(0x20),
        LinkRequest::Force(speed) if LINK_MODES.iter().any(|mode| mode.0 == speed) => request,
        LinkRequest::Force(_) => return Err(Errno::EINVAL),
    };
    nway_reset(cx, dev);
    Ok(())
}

pub(super) fn get_link_ksettings(kernel: &Kernel, dev: &NetDevice) -> LinkKsettings {
    let has_link = dev.is_up() && dev.carrier;
    let copper = nic(dev).map(|nic| Copper {
        autoneg: matches!(nic.phy.request, LinkRequest::Negotiate(_)),
        supported: MODES,
        advertising: match nic.phy.request {
            LinkRequest::Negotiate(modes) => modes,
            LinkRequest::Force(_) => 0,
        },
        pause: nic.row.phy.as_ref().is_some_and(|row| row.pause),
        mdix_known: has_link,
    });
    // A cable that is a veth pair has that one's speed.
    let of_cable = |phy: &Phy| if kernel.config.veth_cables { VETH_SPEED } else { phy.speed };
    let speed = nic(dev).filter(|_| has_link).map(|nic| of_cable(&nic.phy));
    LinkKsettings { speed, full_duplex: has_link, twisted_pair: true, copper }
}
