//! `-j TRACE`: traces the packet through all following rules (iptables-extensions(8)).

use glassnet_kernel::net::netfilter::xt_trace::Trace;
use glassnet_kernel::tables::xt::{TableName, Target};

use super::{Draw, DrawnTarget, Maker, Place, TargetExt};

/// The extension.
pub const TARGET: TargetExt = TargetExt {
    name: "TRACE",
    options: &[],
    parse: |_, _| Ok(Target::new(Trace)),
    show: |_, _, _| {},
    arbitrary: Some(arbitrary),
    drawn: (1, drawn),
};

fn arbitrary(make: &mut Maker) {
    if make.table == TableName::Raw {
        make.add("-j TRACE");
    }
}

fn drawn(_: &mut Draw, place: Place) -> DrawnTarget {
    if place.table != "raw" {
        return DrawnTarget::NONE;
    }
    DrawnTarget::plain("-j TRACE")
}
