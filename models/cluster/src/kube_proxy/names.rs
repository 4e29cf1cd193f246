//! Names of chains: a prefix, and the first 16 letters of a hash of what the chain is for, because a name may have 28 letters.

use sha2::{Digest, Sha256};

use crate::hash::hash;

/// The hash in the names of the chains of a service port (`ns/name` or `ns/name:port`).
pub fn service_hash(service_port: &str, protocol: &str) -> String {
    hash(&[service_port, protocol])
}

/// The chain of an endpoint (`10.244.1.2:8080`) of a service port.
pub fn endpoint_chain(service_port: &str, protocol: &str, endpoint: &str) -> String {
    format!("KUBE-SEP-{}", hash(&[service_port, protocol, endpoint]))
}

/// A number that depends on a name only: where the userspace mode begins to look for a free port.
pub fn number(name: &str) -> u32 {
    let sha = Sha256::digest(name.as_bytes());
    u32::from_be_bytes([sha[0], sha[1], sha[2], sha[3]])
}
