//! `bitmap:ip` and `bitmap:port`: a bit for each element of a range (net/netfilter/ipset/ip_set_bitmap_gen.h).

use glassnet_sim::Nanos;

use super::types::{Ext, Extensions, SetError};

/// Most elements of a bitmap.
pub const MAX_ELEMENTS: u64 = 65536;

/// A bitmap set; elements are numbered from 0.
#[derive(Clone, Debug)]
pub struct Bitmap {
    /// The first address (its bits) or port.
    pub first: u32,
    /// The last address (its bits) or port.
    pub last: u32,
    /// Prefix length to which addresses are masked; 32: not masked.
    pub netmask: u8,
    /// Capacity.
    pub elements: u32,
    members: Vec<u64>,
    /// Extensions by element; empty if the set has none.
    ext: Vec<Option<Box<Ext>>>,
    base: usize,
    dsize: usize,
}

impl Bitmap {
    /// An empty bitmap of `elements` bits; `base` is its fixed size in the kernel's memory, bytes.
    pub fn new(
        (first, last): (u32, u32),
        netmask: u8,
        elements: u32,
        ext: &Extensions,
        base: usize,
    ) -> Bitmap {
        let words = (elements as usize).div_ceil(64);
        let places = if ext.any() { elements as usize } else { 0 };
        let dsize = ext.sized(0);
        Bitmap {
            first,
            last,
            netmask,
            elements,
            members: vec![0; words],
            ext: vec![None; places],
            base,
            dsize,
        }
    }

    /// Deletes all elements. As in the kernel, counters stay in the slots.
    pub fn flush(&mut self) {
        self.members.fill(0);
        self.ext.iter_mut().flatten().for_each(|ext| ext.comment = None);
    }

    /// Memory size as the kernel reports it, bytes.
    pub fn memory(&self) -> usize {
        let comments: usize = self.ext.iter().flatten().map(|ext| ext.comment_size()).sum();
        self.base + self.members.len() * 8 + self.elements as usize * self.dsize + comments
    }

    fn is_set(&self, id: u32) -> bool {
        self.members[id as usize / 64] >> (id % 64) & 1 == 1
    }

    fn expired(&self, id: u32, now: Nanos) -> bool {
        self.ext.get(id as usize).and_then(Option::as_ref).is_some_and(|ext| ext.expired(now))
    }

    /// The element is in the set.
    pub fn contains(&self, id: u32, now: Nanos) -> bool {
        id < self.elements && self.is_set(id) && !self.expired(id, now)
    }

    /// The element's extensions.
    pub fn ext(&mut self, id: u32) -> Option<&mut Ext> {
        self.ext.get_mut(id as usize)?.as_deref_mut()
    }

    /// Adds an element; with `exist`, replaces the extensions of an existing one.
    ///
    /// # Errors
    ///
    /// [`SetError::Exist`]: the element is in the set, and `exist` is false.
    pub fn add(
        &mut self,
        id: u32,
        mut ext: Option<Box<Ext>>,
        exist: bool,
        now: Nanos,
    ) -> Result<(), SetError> {
        if self.contains(id, now) && !exist {
            return Err(SetError::Exist);
        }
        self.members[id as usize / 64] |= 1 << (id % 64);
        if let Some(place) = self.ext.get_mut(id as usize) {
            if let Some(ext) = &mut ext {
                ext.init_counters(place.as_ref().map_or((0, 0), |before| (before.packets, before.bytes)));
            }
            *place = ext;
        }
        Ok(())
    }

    /// Deletes an element; counters stay in its slot.
    ///
    /// # Errors
    ///
    /// [`SetError::Exist`]: the element is not in the set.
    pub fn del(&mut self, id: u32, now: Nanos) -> Result<(), SetError> {
        let is_there = self.contains(id, now);
        self.members[id as usize / 64] &= !(1 << (id % 64));
        if let Some(ext) = self.ext(id) {
            ext.comment = None;
        }
        if is_there { Ok(()) } else { Err(SetError::Exist) }
    }

    /// Elements with extensions, in order.
    pub fn entries(&self, now: Nanos) -> impl Iterator<Item = (u32, Option<&Ext>)> {
        (0..self.elements)
            .filter(move |id| self.contains(*id, now))
            .map(|id| (id, self.ext.get(id as usize).and_then(Option::as_deref)))
    }

    /// Number of elements as the kernel counts them: expired ones count until garbage collection at `swept`.
    pub fn count(&self, swept: Nanos) -> u32 {
        (0..self.elements).filter(|id| self.contains(*id, swept)).count() as u32
    }
}
