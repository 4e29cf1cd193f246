//! Bob Jenkins' hash of 32-bit words (lookup3, public domain), which selects the bucket of an element
//! (`jhash2`, include/linux/jhash.h). With a known `initval` the listing order follows from it.

const INITIAL: u32 = 0xdead_beef;

/// Hash of `words`, seeded with `initval`.
pub fn jhash2(words: &[u32], initval: u32) -> u32 {
    let seed = INITIAL.wrapping_add((words.len() as u32) << 2).wrapping_add(initval);
    let mut state = [seed; 3];
    let mut rest = words;
    while rest.len() > 3 {
        add(&mut state, &rest[..3]);
        mix(&mut state);
        rest = &rest[3..];
    }
    if !rest.is_empty() {
        add(&mut state, rest);
        finish(&mut state);
    }
    state[2]
}

fn add(state: &mut [u32; 3], words: &[u32]) {
    for (lane, word) in state.iter_mut().zip(words) {
        *lane = lane.wrapping_add(*word);
    }
}

fn mix([a, b, c]: &mut [u32; 3]) {
    *a = a.wrapping_sub(*c) ^ c.rotate_left(4);
    *c = c.wrapping_add(*b);
    *b = b.wrapping_sub(*a) ^ a.rotate_left(6);
    *a = a.wrapping_add(*c);
    *c = c.wrapping_sub(*b) ^ b.rotate_left(8);
    *b = b.wrapping_add(*a);
    *a = a.wrapping_sub(*c) ^ c.rotate_left(16);
    *c = c.wrapping_add(*b);
    *b = b.wrapping_sub(*a) ^ a.rotate_left(19);
    *a = a.wrapping_add(*c);
    *c = c.wrapping_sub(*b) ^ b.rotate_left(4);
    *b = b.wrapping_add(*a);
}

fn finish([a, b, c]: &mut [u32; 3]) {
    *c = (*c ^ *b).wrapping_sub(b.rotate_left(14));
    *a = (*a ^ *c).wrapping_sub(c.rotate_left(11));
    *b = (*b ^ *a).wrapping_sub(a.rotate_left(25));
    *c = (*c ^ *b).wrapping_sub(b.rotate_left(16));
    *a = (*a ^ *c).wrapping_sub(c.rotate_left(4));
    *b = (*b ^ *a).wrapping_sub(a.rotate_left(14));
    *c = (*c ^ *b).wrapping_sub(b.rotate_left(24));
}
