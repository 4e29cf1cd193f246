//! Views of a run: the walk of each packet, and capture files.
//!
//! | file | owns |
//! |---|---|
//! | `observe.rs` | running a lesson with everything recorded |
//! | `story.rs` | from steps to packets and exchanges |
//! | `names.rs` | names of namespaces, also of deleted ones |
//! | `notes.rs` | notes of the kernel as words |
//! | `hops.rs` | from device to device |
//! | `lanes.rs` | from CPU to CPU, with the time that a packet waits |
//! | `text.rs` | the text of all zoom levels |
//! | `hook.rs` | a packet at a netfilter hook |
//! | `rules.rs`, `reason.rs`, `literal.rs` | traversal of tables, why a rule did not match, rules as `iptables-save` prints them |
//! | `objects.rs` | objects of a cluster behind rules and virtual servers |
//! | `json.rs` | JSON lines, and the meaning of their fields |
//! | `fields.rs`, `summary.rs` | a packet's headers, and its line of tcpdump |
//! | `select.rs` | which part is shown |
//! | `capture.rs` | pcapng files |
//! | `commands.rs` | what agents of a cluster ran |
//! | `timeline/` | what CPUs and queues did over time, for Perfetto |
//!
//! Nothing here decides what happens to a packet: it only reads the trace.

mod capture;
mod commands;
mod fields;
mod hook;
mod hops;
mod json;
mod lanes;
mod literal;
mod names;
mod notes;
mod objects;
mod observe;
mod reason;
mod rules;
mod select;
mod story;
mod summary;
mod text;
mod timeline;
mod udp_tunnel;

pub use capture::{Written, write_captures};
pub use commands::{CommandsOf, commands, shell_text};
pub use hook::{End, Hooked, Rewritten, hook_note};
pub use hops::{drop_text, place};
pub use json::json;
pub(crate) use json::{Rule, rules as rules_as_json};
pub use names::Namespaces;
pub(crate) use notes::{conntrack as conntrack_words, ipvs as ipvs_words, words as note_words};
pub(crate) use objects::Object;
pub use observe::{Observed, observe};
pub use rules::{Fate, Met, Tried};
pub use select::Selection;
pub use story::{Exchange, Leg, Packet, Place, Story, Typed};
pub use text::{Zoom, text};
pub use timeline::{MOST_BYTES as TIMELINE_BYTES, timeline};

#[cfg(test)]
mod tests;
