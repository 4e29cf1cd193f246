//! The comparison of two runs of a lesson: what is observed, how noise is taken out, what differs.

pub mod observation;

pub use observation::Observation;
