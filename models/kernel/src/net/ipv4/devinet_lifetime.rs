//! Addresses that last for a time: they become deprecated, and go.
//!
//! Kernel: `check_lifetime` in net/ipv4/devinet.c

use glassnet_sim::Nanos;

use super::devinet::inet_del_ifa;
use crate::Cx;
use crate::ids::DevId;
use crate::tables::inet::InIfaddr;
use crate::tables::inet_types::{IFA_F_DEPRECATED, IFA_F_PERMANENT, INFINITY_LIFE_TIME};
use crate::tables::jiffies::{HZ, JIFFY, jiffies, wheel_expiry};

/// Jiffies by which an address is taken for older than it is, so that several are handled at once.
const FUZZ_MINUS: u64 = HZ / 50;
/// Jiffies by which a check may be late to be at a full second.
const FUZZ: u64 = HZ / 4;
/// Jiffies between two checks.
const LEAST: u64 = HZ;
/// Jiffies to the next check if no address asks for an earlier one (`ADDR_CHECK_FREQUENCY`).
const MOST: u64 = 120 * HZ;

/// What is due for an address.
enum Due {
    Nothing,
    Deprecate,
    Delete,
}

/// Deprecates and deletes addresses, and sets the time of the next check, if any address does not last.
pub(super) fn check_lifetime(cx: &mut Cx) {
    let now = jiffies(cx.now);
    let mut next = now + MOST;
    let mut mortal = false;
    let devices: Vec<DevId> = cx.k.devs.iter().map(|dev| dev.id).collect();
    for dev in devices {
        let addresses = cx.k.inet.get(dev).map_or(Vec::new(), |inet| inet.addrs.clone());
        for ifa in addresses.iter().filter(|ifa| ifa.flags & IFA_F_PERMANENT == 0) {
            mortal = true;
            match due(ifa, now, &mut next) {
                Due::Nothing => {}
                Due::Deprecate => {
                    let own =
                        cx.k.inet.get_mut(dev).and_then(|inet| inet.addrs.iter_mut().find(|own| *own == ifa));
                    if let Some(own) = own {
                        own.flags |= IFA_F_DEPRECATED;
                    }
                }
                Due::Delete => {
                    let netns = cx.k.devs[dev].netns;
                    let at = cx.k.inet.get(dev).and_then(|inet| inet.addrs.iter().position(|own| own == ifa));
                    if let Some(at) = at {
                        inet_del_ifa(cx, netns, dev, at);
                    }
                }
            }
        }
    }
    // The kernel checks also when there is nothing to check.
    cx.k.inet.check_at = mortal.then(|| {
        let full_second = next.next_multiple_of(HZ);
        let next = if full_second < next + FUZZ { full_second } else { next };
        let at = wheel_expiry(cx.now, Nanos(next.max(now + LEAST) * JIFFY));
        cx.set_timer(at, expired, 0);
        at
    });
}

/// The timer of the last check; an earlier one is no longer wanted.
fn expired(cx: &mut Cx, _: u32) {
    if cx.k.inet.check_at.is_some_and(|at| at <= cx.now) {
        check_lifetime(cx);
    }
}

/// What is due at `now`; `next` becomes the time of what is due next, if that is sooner.
fn due(ifa: &InIfaddr, now: u64, next: &mut u64) -> Due {
    let set = jiffies(ifa.changed);
    let age = (now - set + FUZZ_MINUS) / HZ;
    let (valid, preferred) = (u64::from(ifa.valid_lft), u64::from(ifa.preferred_lft));
    if ifa.valid_lft != INFINITY_LIFE_TIME && age >= valid {
        return Due::Delete;
    }
    if ifa.preferred_lft == INFINITY_LIFE_TIME {
        return Due::Nothing;
    }
    if age < preferred {
        *next = (*next).min(set + preferred * HZ);
        return Due::Nothing;
    }
    *next = (*next).min(set + valid * HZ);
    if ifa.flags & IFA_F_DEPRECATED == 0 { Due::Deprecate } else { Due::Nothing }
}
