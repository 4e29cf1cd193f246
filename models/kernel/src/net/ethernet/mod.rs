//! What all Ethernet devices share.

pub mod eth;
