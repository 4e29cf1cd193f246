//! `-j TRACE`: every rule that the packet matches from here on is told (iptables-extensions(8)).

use glassnet_kernel::net::netfilter::xt_trace::Trace;
use glassnet_kernel::tables::xt::Target;

use super::TargetExt;

/// The extension.
pub const TARGET: TargetExt =
    TargetExt { name: "TRACE", options: &[], parse: |_, _| Ok(Target::new(Trace)), show: |_, _, _| {} };
