//! Features of a device are switched, and follow each other.
//!
//! Kernel: net/core/dev.c (`__netdev_update_features`, `netdev_fix_features`), net/ethtool/features.c

use super::notifier::call_netdevice_notifiers;
use crate::Cx;
use crate::ids::DevId;
use crate::module::NetdevEvent;
use crate::tables::netdev_features::{
    ALL_FOR_ALL, ALL_TSO, CSUM_MASK, GRO_HW, GSO, HW_CSUM, HW_TLS_RX, HW_TLS_TX, IP_CSUM, IPV6_CSUM, LRO,
    ONE_FOR_ALL, RXCSUM, RXFCS, SG, TSO, TSO_ECN, TSO_MANGLEID, TSO6, VLAN_CHALLENGED,
};

/// What became of a wish.
#[derive(Clone, Copy, Debug)]
pub struct Changed {
    /// Features that were asked for and are not as asked for.
    pub refused: u64,
    /// Features that changed.
    pub changed: u64,
    /// All that are on now.
    pub active: u64,
}

/// Switches those features of `mask` on that are in `wanted`, and the others of `mask` off (`ethnl_set_features`).
pub fn ethnl_set_features(cx: &mut Cx, dev: DevId, wanted: u64, mask: u64) -> Changed {
    let netdev = &mut cx.k.devs[dev];
    let (before, hw_features) = (netdev.features, netdev.hw_features);
    netdev.wanted_features = netdev.wanted_features & !(mask & hw_features) | wanted & mask & hw_features;
    netdev_update_features(cx, dev);
    let active = cx.k.devs[dev].features;
    Changed { refused: (wanted ^ active) & mask, changed: before ^ active, active }
}

/// A device's features follow what is wanted, what its driver can and what others need.
pub fn netdev_update_features(cx: &mut Cx, dev: DevId) {
    let netdev = &cx.k.devs[dev];
    let mut features = netdev.features & !netdev.hw_features | netdev.wanted_features;
    if let Some(fix_features) = netdev.ops.fix_features {
        features = fix_features(cx, dev, features);
    }
    features = netdev_fix_features(features);
    if std::mem::replace(&mut cx.k.devs[dev].features, features) != features {
        call_netdevice_notifiers(cx, dev, NetdevEvent::FeatChange);
    }
}

/// Features without those that need others.
pub fn netdev_fix_features(mut features: u64) -> u64 {
    let mut needs = |some: u64, needed: u64| {
        if features & needed == 0 {
            features &= !some;
        }
    };
    needs(ALL_TSO, SG);
    needs(TSO | TSO_ECN, HW_CSUM | IP_CSUM);
    needs(TSO6, HW_CSUM | IPV6_CSUM);
    needs(TSO_MANGLEID, TSO);
    needs(GSO, SG);
    needs(GRO_HW | HW_TLS_RX, RXCSUM);
    needs(HW_TLS_TX, HW_CSUM | IP_CSUM);
    if features & HW_CSUM != 0 {
        features &= !(IP_CSUM | IPV6_CSUM);
    }
    if features & ALL_TSO == TSO_ECN {
        features &= !TSO_ECN;
    }
    if features & RXFCS != 0 {
        features &= !(LRO | GRO_HW);
    }
    features
}

/// The features that two sets have both; what computes any checksum computes those of IP (`netdev_intersect_features`).
pub fn netdev_intersect_features(mut one: u64, mut other: u64) -> u64 {
    if (one ^ other) & HW_CSUM != 0 {
        let some = if one & HW_CSUM != 0 { &mut one } else { &mut other };
        *some |= IP_CSUM | IPV6_CSUM;
    }
    one & other
}

/// The features of a device over others, after one of them (`netdev_increment_features`).
pub fn netdev_increment_features(all: u64, one: u64, mut mask: u64) -> u64 {
    if mask & HW_CSUM != 0 {
        mask |= CSUM_MASK;
    }
    mask |= VLAN_CHALLENGED;
    let all = (all | one & (ONE_FOR_ALL | CSUM_MASK) & mask) & (one | !ALL_FOR_ALL);
    if all & HW_CSUM != 0 { all & !(CSUM_MASK & !HW_CSUM) } else { all }
}
