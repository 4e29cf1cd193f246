//! Lessons, the shell, the runs and the views: everything around the model.
//!
//! | module | owns |
//! |---|---|
//! | [`lesson`] | reading lessons |
//! | [`lab`] | the world of a topology |
//! | [`shell`] | running prompts in that world |
//! | [`run`] | holding a run against what the lesson says |
//! | [`cli`] | the `glassnet` command |
//! | [`host`] | running lessons on the kernel of this host |
//! | [`compare`] | holding two runs against each other |
//! | [`fuzz`] | random rules and packets on both sides |
//! | [`trace`] | what would happen to a packet |
//! | [`view`] | showing what packets did |

pub mod cli;
pub mod compare;
pub mod fuzz;
pub mod host;
pub mod lab;
pub mod lesson;
pub mod run;
pub mod shell;
pub mod trace;
pub mod view;
