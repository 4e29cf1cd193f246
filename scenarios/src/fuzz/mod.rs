//! Random rules and packets on the model and on a real kernel: what nobody chose by hand is compared too.
//!
//! A [`Case`] is a set of rules and a sequence of packets for a router with two cables and a bridge. Both sides run
//! it; compared are the frames that leave by each port after each packet, then rules with their counters,
//! connections and sets. A case that differs is made as small as it can be while it still differs, and printed as a
//! case that can be kept and as a lesson.
//!
//! | file | owns |
//! |---|---|
//! | `case.rs` | what a case is, and the bytes of its packets |
//! | `generate/` | random cases |
//! | `rig.rs` | the router and what both sides can do with it; running a case |
//! | `simulated.rs` | the rig in the model; `host/rig.rs` is the one on a real kernel |
//! | `outcome.rs` | what is compared, and what noise is taken out |
//! | `shrink.rs` | making a case smaller |
//! | `lesson.rs` | a case as a lesson |

pub mod case;
pub mod generate;
pub mod lesson;
pub mod outcome;
pub mod rig;
pub mod shrink;
pub mod simulated;

pub use case::Case;
pub use outcome::Outcome;
pub use rig::{CameIn, Rig, RigError, play, run};
