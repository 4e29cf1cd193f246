//! Common parts of the programs of iproute2 6.1.0.
//!
//! | module | owns |
//! |---|---|
//! | [`args`] | words, abbreviations, the errors of a command line |
//! | [`out`] | text and JSON |
//! | [`ll_proto`] | names of Ethertypes |
//! | [`batch`] | the lines of `-batch FILE` |
//! | [`monitor`] | messages of the kernel |

pub mod args;
pub mod batch;
pub mod ll_proto;
pub mod monitor;
pub mod out;

use glassnet_kernel::ids::NetnsId;

use crate::process::Process;
use crate::stop::{Done, Stop};

/// The namespace of this name, for `-netns`.
///
/// # Errors
///
/// There is no such namespace.
pub fn netns_by_name(process: &Process, name: &str) -> Done<NetnsId> {
    let found = process.world().kernel(process.machine).netns_names.get(name).copied();
    found.ok_or_else(|| {
        Stop::usage(format!("Cannot open network namespace \"{name}\": No such file or directory\n"))
    })
}
