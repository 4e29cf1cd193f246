//! One machine's kernel, and the world that machines live in.
//!
//! | module | owns |
//! |---|---|
//! | [`tables`] | nouns: devices, namespaces, bridges, routes, neighbours, sockets |
//! | [`net`], [`drivers`] | verbs: the doors, a file a kernel file |
//! | [`door`] | the list of all doors |
//! | [`walk`] | the loop that opens door after door, records and charges it |
//! | [`world`] | machines, cables and the clock |
//! | [`chance`] | what chance decides in rules, and what-ifs |
//! | [`netlink`] | what a configuration request and its refusal look like |
//! | [`sysctl`], [`sysctls`] | the shape of a setting, and the list of all |
//! | [`trace`] | what an observer sees |
//!
//! This crate neither prints nor parses commands: that is user space.

pub mod chance;
pub mod cost;
pub mod cx;
pub mod door;
pub mod drivers;
pub mod ids;
pub mod kernel;
pub mod net;
pub mod netlink;
pub mod sysctl;
pub mod sysctls;
pub mod tables;
pub mod timer;
pub mod trace;
pub mod walk;
pub mod world;

pub use cx::Cx;
pub use kernel::Kernel;
pub use world::World;
