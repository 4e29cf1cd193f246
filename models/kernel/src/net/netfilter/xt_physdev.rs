//! `-m physdev`.
//!
//! Kernel: net/netfilter/xt_physdev.c

use crate::Cx;
use crate::extension::{Par, Place, Refused, XtMatch};
use crate::ids::DevId;
use crate::module::Module;
use crate::tables::netfilter::Hook;
use crate::tables::xt::{Iface, Rule};

/// `physdev` (`struct xt_physdev_info`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Physdev {
    /// `--physdev-in`.
    pub input: Option<Iface>,
    /// `--physdev-out`.
    pub output: Option<Iface>,
    /// `--physdev-is-in`: inverted.
    pub is_in: Option<bool>,
    /// `--physdev-is-out`: inverted.
    pub is_out: Option<bool>,
    /// `--physdev-is-bridged`: inverted.
    pub is_bridged: Option<bool>,
}

impl XtMatch for Physdev {
    const NAME: &'static str = "physdev";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        physdev_mt(cx, par, self)
    }

    fn check(&self, place: Place, _: &Rule) -> Result<(), Refused> {
        let asks_out = self.output.is_some() || self.is_out.is_some();
        if asks_out && self.is_bridged != Some(false) && place.option_hooks() & Hook::LocalOut.bit() != 0 {
            return Err(Refused::einval(
                "xt_physdev: --physdev-out and --physdev-is-out only supported in the FORWARD and POSTROUTING \
                 chains with bridged traffic",
            ));
        }
        Ok(())
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Physdev::NAME], ..Module::named("xt_physdev") }];

/// The packet's bridge ports are these.
pub fn physdev_mt(cx: &mut Cx, par: &mut Par, with: &Physdev) -> bool {
    let is_inverted = |flag: Option<bool>| flag.is_none_or(|invert| invert);
    let is_iface_inverted = |iface: &Option<Iface>| iface.as_ref().is_none_or(|iface| iface.invert);
    let Some(bridge) = cx.skbs[par.skb].nf_bridge else {
        // A packet that is not bridged matches if all options are inverted.
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

/// The port's name matches. An unknown port never matches, inverted or not; an empty name matches every port.
fn is_port(cx: &Cx, iface: &Iface, port: Option<DevId>) -> bool {
    let Some(dev) = port.and_then(|port| cx.k.devs.get(port)) else { return false };
    if iface.name.is_empty() { !iface.invert } else { iface.matches(&dev.name) }
}
