//! Random cases on two kernels: rules and packets, and whole [networks].
//!
//! A [case](crate::rig::case) is a set of rules and a sequence of packets for a router with two cables and a bridge
//! ([`crate::rig`]). Both sides run it; compared are the frames that leave by each port after each packet, then rules
//! with their counters, connections and sets. A case that differs is made as small as it can be while it still
//! differs, and printed as a case that can be kept and as a lesson.
//!
//! | file | owns |
//! |---|---|
//! | `generate/` | random cases |
//! | `outcome.rs` | what is compared, and what noise is taken out |
//! | `shrink.rs` | making a case smaller |
//! | `lesson.rs` | a case as a lesson |
//! | `networks/` | random networks, which are lessons from the start |

pub mod generate;
pub mod lesson;
pub mod networks;
pub mod outcome;
pub mod shrink;
