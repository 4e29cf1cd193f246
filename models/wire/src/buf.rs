//! Frames in memory: buffers shared by reference count, reused when the last reader is done.
//!
//! Kernel: the data area of an skb (`skb_shared_info::dataref`, include/linux/skbuff.h).

/// A handle of a buffer in a [`BufPool`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufId(u32);

#[derive(Debug)]
struct Buf {
    refs: u32,
    tag: u64,
    bytes: Vec<u8>,
}

/// All buffers of a world. A buffer that nobody holds keeps its memory for the next frame, so a steady flow
/// of frames allocates nothing and stays in the cache.
#[derive(Debug, Default)]
pub struct BufPool {
    bufs: Vec<Buf>,
    free: Vec<BufId>,
}

impl BufPool {
    /// A zeroed buffer of `len` bytes, held once.
    pub fn alloc(&mut self, len: usize) -> BufId {
        let id = self.alloc_empty();
        self.bufs[id.0 as usize].bytes.resize(len, 0);
        id
    }

    fn alloc_empty(&mut self) -> BufId {
        if let Some(id) = self.free.pop() {
            let buf = &mut self.bufs[id.0 as usize];
            buf.refs = 1;
            buf.bytes.clear();
            return id;
        }
        self.bufs.push(Buf { refs: 1, tag: 0, bytes: Vec::new() });
        BufId(self.bufs.len() as u32 - 1)
    }

    /// Holds a buffer once more.
    #[inline]
    pub fn hold(&mut self, id: BufId) {
        self.bufs[id.0 as usize].refs += 1;
    }

    /// Lets go of a buffer.
    #[inline]
    pub fn release(&mut self, id: BufId) {
        let buf = &mut self.bufs[id.0 as usize];
        debug_assert!(buf.refs > 0, "a buffer is released once for each hold");
        buf.refs -= 1;
        if buf.refs == 0 {
            self.free.push(id);
        }
    }

    /// Somebody else holds the buffer too, so it must be copied before it is changed.
    #[inline]
    pub fn is_shared(&self, id: BufId) -> bool {
        self.bufs[id.0 as usize].refs > 1
    }

    /// What [`set_tag`](Self::set_tag) noted.
    #[inline]
    pub fn tag(&self, id: BufId) -> u64 {
        self.bufs[id.0 as usize].tag
    }

    /// Notes a number on a buffer, by which its next owner recognises it.
    #[inline]
    pub fn set_tag(&mut self, id: BufId, tag: u64) {
        self.bufs[id.0 as usize].tag = tag;
    }

    /// A copy of `id` with `headroom` more bytes in front and `tailroom` behind, held once. `id` stays held.
    pub fn copy_expand(&mut self, id: BufId, headroom: usize, tailroom: usize) -> BufId {
        let old_len = self.bufs[id.0 as usize].bytes.len();
        let new = self.alloc(headroom + old_len + tailroom);
        let [old, copy] = self.bufs.get_disjoint_mut([id.0 as usize, new.0 as usize]).expect("two buffers");
        copy.bytes[headroom..headroom + old_len].copy_from_slice(&old.bytes);
        new
    }

    /// Copies a part of one buffer to offset `at` of another that has room for it.
    pub fn copy_between(&mut self, from: BufId, part: std::ops::Range<usize>, to: BufId, at: usize) {
        let end = at + part.len();
        let [from, to] = self.bufs.get_disjoint_mut([from.0 as usize, to.0 as usize]).expect("two buffers");
        to.bytes[at..end].copy_from_slice(&from.bytes[part]);
    }

    /// The bytes of a buffer.
    #[inline]
    pub fn bytes(&self, id: BufId) -> &[u8] {
        &self.bufs[id.0 as usize].bytes
    }

    /// The bytes of a buffer, to change them; the caller has seen that it [is not shared](Self::is_shared).
    #[inline]
    pub fn bytes_mut(&mut self, id: BufId) -> &mut [u8] {
        debug_assert!(!self.is_shared(id), "a shared buffer is copied before it is changed");
        &mut self.bufs[id.0 as usize].bytes
    }

    /// How many buffers are held, for tests that look for leaks.
    pub fn held(&self) -> usize {
        self.bufs.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_returns_when_its_last_holder_lets_go() {
        let mut pool = BufPool::default();
        let a = pool.alloc(4);
        pool.bytes_mut(a)[0] = 7;
        pool.hold(a);
        assert!(pool.is_shared(a));
        let b = pool.copy_expand(a, 2, 1);
        assert_eq!(pool.bytes(b), [0, 0, 7, 0, 0, 0, 0]);
        pool.release(a);
        assert_eq!(pool.held(), 2);
        pool.release(a);
        pool.release(b);
        assert_eq!(pool.held(), 0);
        let again = pool.alloc(3);
        assert_eq!(pool.bytes(again), [0, 0, 0], "memory that is used again is zeroed");
    }
}
