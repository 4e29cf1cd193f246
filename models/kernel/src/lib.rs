//! One machine's kernel.
pub mod ids;
pub mod netlink;
pub mod tables;
pub mod world;
