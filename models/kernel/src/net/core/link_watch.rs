//! Carrier and operational state.
//!
//! Kernel: net/core/link_watch.c, net/sched/sch_generic.c
//!
//! The kernel does this in a work queue, up to a second later; here it is done at once.

use super::notifier::{NetdevEvent, call_netdevice_notifiers};
use crate::Cx;
use crate::ids::DevId;
use crate::tables::netdev::OperState;

/// The carrier is on.
pub fn netif_carrier_on(cx: &mut Cx, dev: DevId) {
    set_carrier(cx, dev, true);
}

/// The carrier is off.
pub fn netif_carrier_off(cx: &mut Cx, dev: DevId) {
    set_carrier(cx, dev, false);
}

fn set_carrier(cx: &mut Cx, dev: DevId, on: bool) {
    let netdev = &mut cx.k.devs[dev];
    if netdev.carrier == on {
        return;
    }
    netdev.carrier = on;
    if on {
        netdev.carrier_up_count += 1;
    } else {
        netdev.carrier_down_count += 1;
    }
    linkwatch_run(cx, dev);
}

/// Updates the operational state after a change of carrier, and notifies.
pub fn linkwatch_run(cx: &mut Cx, dev: DevId) {
    let was = cx.k.devs[dev].is_running();
    let state = default_operstate(cx, dev);
    cx.k.devs[dev].operstate = state;
    if cx.k.devs[dev].is_up() && was != cx.k.devs[dev].is_running() {
        call_netdevice_notifiers(cx, dev, NetdevEvent::Change);
    }
    if let Some(peer) = cx.k.devs[dev].link {
        let state = default_operstate(cx, peer);
        cx.k.devs[peer].operstate = state;
    }
}

/// Operational state by the carrier of the device and of its lower or peer device (RFC 2863).
fn default_operstate(cx: &Cx, dev: DevId) -> OperState {
    let netdev = &cx.k.devs[dev];
    match netdev.link {
        _ if netdev.carrier => OperState::Up,
        Some(link) if !cx.k.devs[link].carrier => OperState::LowerLayerDown,
        _ => OperState::Down,
    }
}
