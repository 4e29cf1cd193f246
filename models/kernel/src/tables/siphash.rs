//! SipHash (Aumasson and Bernstein, 2012), with two and four rounds or with one and three.
//!
//! Kernel: lib/siphash.c

/// A key (`siphash_key_t`).
pub type SipHashKey = [u64; 2];

/// The hash of some bytes under a key.
pub fn siphash(bytes: &[u8], key: SipHashKey) -> u64 {
    sip(bytes, key, 2, 4)
}

/// The faster hash of few bytes (`hsiphash`): SipHash-1-3, of which the kernel takes half.
pub fn hsiphash(bytes: &[u8], key: SipHashKey) -> u32 {
    sip(bytes, key, 1, 3) as u32
}

/// SipHash with so many rounds for each word, and at the end.
fn sip(bytes: &[u8], key: SipHashKey, each: usize, last_rounds: usize) -> u64 {
    let mut v = [
        key[0] ^ 0x736f_6d65_7073_6575,
        key[1] ^ 0x646f_7261_6e64_6f6d,
        key[0] ^ 0x6c79_6765_6e65_7261,
        key[1] ^ 0x7465_6462_7974_6573,
    ];
    let mut words = bytes.chunks_exact(8);
    for word in words.by_ref() {
        let mut le = [0; 8];
        le.copy_from_slice(word);
        mix(&mut v, u64::from_le_bytes(le), each);
    }
    let mut last = [0; 8];
    last[..words.remainder().len()].copy_from_slice(words.remainder());
    last[7] = bytes.len() as u8;
    mix(&mut v, u64::from_le_bytes(last), each);
    v[2] ^= 0xff;
    for _ in 0..last_rounds {
        round(&mut v);
    }
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

fn mix(v: &mut [u64; 4], word: u64, rounds: usize) {
    v[3] ^= word;
    for _ in 0..rounds {
        round(v);
    }
    v[0] ^= word;
}

fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the paper's appendix and the reference implementation.
    #[test]
    fn test_vectors() {
        let key = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        let bytes: Vec<u8> = (0..15).collect();
        assert_eq!(siphash(&bytes, key), 0xa129_ca61_49be_45e5);
        assert_eq!(siphash(&[], key), 0x726f_db47_dd0e_0e31);
    }
}
