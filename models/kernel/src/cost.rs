//! What each function costs a CPU.

use glassnet_sim::Nanos;

/// Nanoseconds of CPU time a function. A packet over one bridge hop passes 20 functions, which a 3 GHz server of
/// 2020 does in about 900 ns; so each counts the same until the cost model is measured function by function.
pub const FUNCTION: Nanos = Nanos(45);

/// Nanoseconds of CPU time for each rule that `ipt_do_table` tries (measured on Linux 6.18: 4 for one that does not
/// match).
pub const LEGACY_RULE: Nanos = Nanos(4);
/// Nanoseconds of CPU time for each rule that `nft_do_chain` tries (measured on Linux 6.18: 6 to 11, by the number
/// of expressions).
pub const NFT_RULE: Nanos = Nanos(8);
