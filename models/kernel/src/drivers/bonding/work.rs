//! What a bond does from time to time.
//!
//! Kernel: drivers/net/bonding/bond_main.c (`bond_work_init_all`)

use glassnet_sim::Nanos;

use super::{arp_monitor, bond_3ad, bond_alb, mii};
use crate::Cx;
use crate::ids::DevId;
use crate::tables::bonding::Work;
use crate::tables::jiffies::wheel_expiry;

/// A work's turn comes after a delay, ms; at once if that is 0. If it waits already, its turn stays when it is.
pub(super) fn queue_delayed_work(cx: &mut Cx, bond: DevId, work: Work, delay: u32) {
    let now = cx.now;
    let after = |delay: u32| wheel_expiry(now, now + Nanos::from_millis(u64::from(delay)));
    let due = if delay == 0 { now } else { after(delay) };
    let Some(bonding) = cx.k.devs[bond].bond_mut() else { return };
    let pending = &mut bonding.works[work as usize];
    if pending.is_none() {
        *pending = Some(due);
        let run: fn(&mut Cx, u32) = match work {
            Work::Mii => |cx, bond| run(cx, bond, Work::Mii, mii::bond_mii_monitor),
            Work::Arp => |cx, bond| run(cx, bond, Work::Arp, arp_monitor::bond_arp_monitor),
            Work::Ad => |cx, bond| run(cx, bond, Work::Ad, bond_3ad::bond_3ad_state_machine_handler),
            Work::Alb => |cx, bond| run(cx, bond, Work::Alb, bond_alb::bond_alb_monitor),
        };
        cx.set_timer(due, run, bond.0);
    }
}

/// The work does not wait any more.
pub(super) fn cancel_delayed_work(cx: &mut Cx, bond: DevId, work: Work) {
    if let Some(bonding) = cx.k.devs[bond].bond_mut() {
        bonding.works[work as usize] = None;
    }
}

/// The work has its turn, if it still waits for it.
fn run(cx: &mut Cx, bond: u32, work: Work, function: fn(&mut Cx, DevId)) {
    let (bond, now) = (DevId(bond), cx.events.now());
    let Some(bonding) = cx.k.devs.get_mut(bond).and_then(|netdev| netdev.bond_mut()) else { return };
    let pending = &mut bonding.works[work as usize];
    if pending.is_some_and(|due| due <= now) {
        *pending = None;
        function(cx, bond);
    }
}
