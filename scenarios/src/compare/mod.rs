//! Comparison of two runs of a lesson: observations, removal of noise, differences.

pub mod canon;
pub mod causes;
pub mod diff;
pub mod divergences;
pub mod report;
pub mod summary;
pub mod verify;

pub use divergences::Divergences;
pub use report::{LessonReport, Report};
