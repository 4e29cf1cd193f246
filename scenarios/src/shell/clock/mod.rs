//! bashkit's clock, which follows virtual time.
//!
//! | file | for |
//! |---|---|
//! | `tokio.rs` | systems with threads: bashkit reads tokio's clock |
//! | `host.rs` | WebAssembly without a system: bashkit asks its embedder |

#[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
mod tokio;
#[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
pub(super) use tokio::Clock;

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
mod host;
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
pub(super) use host::Clock;
