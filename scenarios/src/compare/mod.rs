//! The comparison of two runs of a lesson: what is observed, how noise is taken out, what differs.

pub mod canon;
pub mod diff;
pub mod divergences;
pub mod report;
pub mod summary;
pub mod verify;

pub use divergences::Divergences;
pub use report::{LessonReport, Report};
