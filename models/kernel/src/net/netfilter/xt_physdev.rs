//! `-m physdev`.
//!
//! Kernel: net/netfilter/xt_physdev.c

use super::x_tables::Par;
use crate::Cx;
use crate::ids::DevId;
use crate::tables::xt::Iface;
use crate::tables::xt::matches::Physdev;

/// The packet crosses these ports of a bridge.
pub fn physdev_mt(cx: &mut Cx, par: &mut Par, with: &Physdev) -> bool {
    let is_inverted = |flag: Option<bool>| flag.is_none_or(|invert| invert);
    let is_iface_inverted = |iface: &Option<Iface>| iface.as_ref().is_none_or(|iface| iface.invert);
    let Some(bridge) = cx.skbs[par.skb].nf_bridge else {
        // A packet that no bridge forwards fits a rule that only denies.
        return is_inverted(with.is_bridged)
            && is_inverted(with.is_in)
            && is_inverted(with.is_out)
            && is_iface_inverted(&with.input)
            && is_iface_inverted(&with.output);
    };
    let fits = |flag: Option<bool>, port: Option<DevId>| flag.is_none_or(|invert| port.is_some() != invert);
    fits(with.is_bridged, bridge.physout)
        && fits(with.is_in, bridge.physin)
        && fits(with.is_out, bridge.physout)
        && with.input.as_ref().is_none_or(|iface| is_port(cx, iface, bridge.physin))
        && with.output.as_ref().is_none_or(|iface| is_port(cx, iface, bridge.physout))
}

/// The port's name is the rule's. Of a port that is not known yet nothing is true, `!` or not. No name means every port.
fn is_port(cx: &Cx, iface: &Iface, port: Option<DevId>) -> bool {
    let Some(dev) = port.and_then(|port| cx.k.devs.get(port)) else { return false };
    if iface.name.is_empty() { !iface.invert } else { iface.matches(&dev.name) }
}
