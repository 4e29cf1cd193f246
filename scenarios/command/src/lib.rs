//! The `glassnet` command, and the real kernels that it can hold the model against.
//!
//! | module | owns |
//! |---|---|
//! | [`backends`] | real kernels, a row each |
//! | [`cli`] | the command line |

pub mod backends;
pub mod cli;
