//! One machine's kernel, and the world that machines live in.
//!
//! | module | owns |
//! |---|---|
//! | [`tables`] | nouns: devices, namespaces, bridges, routes, neighbours, sockets |
//! | [`net`], [`drivers`] | verbs: the doors, a file a kernel file |
//! | [`class`] | kinds of work, by which functions cost |
//! | [`door`] | the functions of the kernel, and doors as values |
//! | `encap` | how a tunnel takes what its socket receives |
//! | [`walk`] | the loop that opens door after door, records and charges it |
//! | [`link`] | the shape of a kind of device |
//! | [`qdisc`] | the shape of a queueing discipline |
//! | [`module`] | the shape of a feature's row: what it registers |
//! | [`modules`] | the list of all features, and the function behind each door |
//! | [`modules`] | the list of all features |
//! | [`extension`] | the shape of a match or a target of iptables |
//! | [`hook`] | the shape of a netfilter hook function |
//! | [`event`] | what happens to a CPU from outside |
//! | [`world`] | machines, cables and the clock |
//! | [`chance`] | what chance decides in rules, and what-ifs |
//! | [`netlink`] | what a configuration request and its refusal look like |
//! | [`sysctl`], [`sysctls`] | the shape of a setting, and the list of all |
//! | [`trace`] | what an observer sees |
//! | [`note`] | what a function found or decided, for the observer |
//!
//! This crate neither prints nor parses commands: that is user space.

pub mod action;
pub mod chance;
pub mod class;
pub mod cost;
pub mod cx;
pub mod door;
mod door_row;
pub mod drivers;
mod encap;
pub mod event;
pub mod extension;
pub mod filter;
pub mod hook;
pub mod ids;
pub mod kernel;
pub mod link;
pub mod module;
pub mod modules;
pub mod net;
pub mod netlink;
pub mod note;
pub mod qdisc;
pub mod sysctl;
pub mod tables;
pub mod timer;
pub mod trace;
pub mod walk;
pub mod world;

pub use cx::Cx;
pub use kernel::Kernel;
pub use world::World;
