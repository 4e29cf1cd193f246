//! The hash of an Ethernet address that chooses one of 256 lists (`eth_hash` of VXLAN, `macvlan_eth_hash`).

use glassnet_wire::Mac;

/// Bits that choose the list (`FDB_HASH_BITS`, `MACVLAN_HASH_BITS`).
const HASH_BITS: u32 = 8;

/// The list of an address.
pub fn eth_hash(mac: Mac) -> u64 {
    /// The golden ratio of 64 bits (`GOLDEN_RATIO_64`).
    const GOLDEN_RATIO: u64 = 0x61c8_8646_80b5_83eb;
    let [a, b, c, d, e, f] = mac.0;
    u64::from_le_bytes([0, 0, a, b, c, d, e, f]).wrapping_mul(GOLDEN_RATIO) >> (64 - HASH_BITS)
}
