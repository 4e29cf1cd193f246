//! Virtual time: the clock, the event queue and the dice of a simulation.
//!
//! | module | owns |
//! |---|---|
//! | [`time`] | [`Nanos`], points and spans of virtual time |
//! | [`queue`] | [`EventQueue`], what happens next |
//! | [`dice`] | [`Dice`], all randomness, from one seed |
//!
//! This crate does not contain a network word: it does not know what an event means.

pub mod dice;
pub mod queue;
pub mod time;

pub use dice::Dice;
pub use queue::EventQueue;
pub use time::Nanos;
