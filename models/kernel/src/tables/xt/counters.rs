//! Counters of rules and policies.

/// How many packets and bytes met a rule or a policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets.
    pub packets: u64,
    /// Bytes of their IP length.
    pub bytes: u64,
}

impl Counters {
    /// One more packet, of this length in bytes.
    #[inline]
    pub fn count(&mut self, len: usize) {
        self.packets += 1;
        self.bytes += len as u64;
    }
}

impl std::ops::AddAssign for Counters {
    fn add_assign(&mut self, more: Counters) {
        self.packets += more.packets;
        self.bytes += more.bytes;
    }
}
