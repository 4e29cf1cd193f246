//! (to be written)

pub mod compare;
pub mod host;
