//! `kubectl`.
use glassnet_userland::process::{Process, Running};
/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        process.eprint("kubectl\n");
        1
    })
}
