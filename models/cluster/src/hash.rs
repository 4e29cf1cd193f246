//! Hashes in the names of chains and sets, of which kube-proxy and kube-router make them alike.

use data_encoding::BASE32;
use sha2::{Digest, Sha256};

/// The first 16 letters of the hash of some texts, one behind the other.
pub fn hash(parts: &[&str]) -> String {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update(part.as_bytes());
    }
    let mut text = BASE32.encode(&sha.finalize());
    text.truncate(16);
    text
}
