//! Lessons, the shell, the runs and the views: everything around the model.
//!
//! It needs no particular system: real kernels and the command line are the `glassnet` crate's. Each module imports only
//! those above it:
//!
//! | module | owns |
//! |---|---|
//! | [`lesson`] | reading lessons |
//! | [`plan`] | what of a lesson a kernel is given |
//! | [`error`] | why a kernel could not run it |
//! | [`observation`] | what a run showed |
//! | [`rig`] | the router of random cases |
//! | [`backend`] | what can run plans and routers: the trait |
//! | [`lab`] | the world of a topology |
//! | [`shell`] | running prompts in that world |
//! | [`simulator`] | the model as a backend |
//! | [`run`] | holding a run against what the lesson says |
//! | [`view`] | showing what packets did |
//! | [`trace`] | what would happen to a packet |
//! | [`compare`] | holding two runs against each other |
//! | [`fuzz`] | random rules and packets on both sides |

pub mod backend;
pub mod compare;
pub mod error;
pub mod fuzz;
pub mod lab;
pub mod lesson;
pub mod observation;
pub mod plan;
pub mod rig;
pub mod run;
pub mod shell;
pub mod simulator;
pub mod trace;
pub mod view;
