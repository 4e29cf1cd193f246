//! One machine's kernel.
pub mod ids;
