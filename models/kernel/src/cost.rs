//! What each function costs a CPU.

use glassnet_sim::Nanos;

/// Nanoseconds of CPU time a function. A packet over one bridge hop passes 20 functions, which a 3 GHz server of
/// 2020 does in about 900 ns; so each counts the same until the cost model is measured function by function.
pub const FUNCTION: Nanos = Nanos(45);
