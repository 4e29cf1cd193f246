//! Lessons, the shell, the runs and the views: everything but the model.
//!
//! It needs no particular system: real kernels and the command line are the `glassnet` crate's. Each module imports only
//! those above it:
//!
//! | module | owns |
//! |---|---|
//! | [`lesson`] | reading lessons |
//! | [`output`] | writing files that users name |
//! | [`observation`] | observation of a run |
//! | [`plan`] | input of a kernel |
//! | [`plain`] | commands that need no shell |
//! | [`canary`] | known packets beside a plan |
//! | [`error`] | errors of backends |
//! | [`rig`] | the router of random cases |
//! | [`calibrate`] | measuring what work costs |
//! | [`backend`] | the trait of what runs plans and routers |
//! | [`lab`] | the world of a topology |
//! | [`shell`] | running prompts in that world |
//! | [`simulator`] | the model as a backend |
//! | [`run`] | running a lesson and comparing its output |
//! | [`sweep`] | a lesson at every point of a grid |
//! | [`view`] | views of a run |
//! | [`replay`] | a lesson with a cluster as one without |
//! | [`trace`] | tracing a hypothetical packet |
//! | [`reach`] | who reaches whom |
//! | [`compare`] | comparing two runs |
//! | [`functions`] | which functions of the kernel ran |
//! | [`fuzz`] | random rules and random networks on both sides |

pub mod backend;
pub mod calibrate;
pub mod canary;
pub mod compare;
pub mod error;
pub mod functions;
pub mod fuzz;
pub mod lab;
pub mod lesson;
pub mod observation;
pub mod output;
pub mod plain;
pub mod plan;
pub mod reach;
pub mod replay;
pub mod rig;
pub mod run;
pub mod shell;
pub mod simulator;
pub mod sweep;
pub mod trace;
pub mod view;
