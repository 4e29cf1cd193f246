//! `dhcp`: refused by name, because there is no daemon that asks for leases.

use super::error::Done;
use super::skel::{ALL, Cmd, Plugin};
use crate::process::Boxed;

/// The row.
pub(super) static PLUGIN: Plugin =
    Plugin { name: "dhcp", versions: ALL, add: refuse, check: refuse, del: refuse };

fn refuse<'a>(_: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async { Err("not modelled yet: the plugin dhcp".into()) })
}
