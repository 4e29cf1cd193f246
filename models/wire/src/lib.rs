//! Bytes on the wire: addresses, headers, checksums, and the buffers that hold a frame.
//!
//! | module | owns |
//! |---|---|
//! | [`mac`] | [`Mac`], an Ethernet address |
//! | [`eth`], [`arp`], [`ipv4`], [`icmp`], [`udp`], [`tcp`], [`vxlan`], [`geneve`], [`gre`], [`gue`], [`lacp`] | where the fields of a header stand, read and written in place |
//! | [`checksum`] | the Internet checksum, whole and incremental |
//! | [`buf`] | [`BufPool`], frames shared by reference count, as an skb's data is |
//!
//! This crate does not contain a table or a decision.

pub mod arp;
pub mod buf;
pub mod checksum;
pub mod eth;
pub mod geneve;
pub mod gre;
pub mod gue;
pub mod icmp;
pub mod igmp;
pub mod ipv4;
pub mod lacp;
pub mod mac;
pub mod tcp;
pub mod udp;
pub mod vxlan;

pub use buf::{BufId, BufPool};
pub use mac::Mac;
