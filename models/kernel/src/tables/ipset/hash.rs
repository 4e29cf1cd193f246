//! The hash table of all `hash:*` sets (net/netfilter/ipset/ip_set_hash_gen.h).
//!
//! Buckets and resizing follow the kernel's, so with the same `initval` the order of a listing and the memory
//! size are those of the kernel (both were compared on Linux 6.18). Elements of `hash:net` and its relatives
//! are found by one look-up per prefix length in use.
//!
//! Not modelled: the timer that garbage-collects expired elements. Here an expired element occupies its slot,
//! invisible, until its bucket or the whole set needs it; only the memory size shows it.

use std::net::Ipv4Addr;

use glassnet_sim::Nanos;

use super::jhash::jhash2;
use super::types::{Create, Ext, Extensions, Iface, Key, SetError, SetType};

/// Slots by which a bucket grows and shrinks (`AHASH_INIT_SIZE`).
const STEP: usize = 2;
/// Maximum elements of a bucket (`AHASH_MAX_SIZE`).
const MAX_BUCKET: u8 = 12;
/// Maximum elements of a bucket for one network with many interfaces (`AHASH_MAX_TUNED`).
const MAX_TUNED: usize = 64;
/// Size of an empty bucket in the kernel's memory, bytes (`struct hbucket`).
const BUCKET_HEAD: usize = 32;
/// A region of 1024 buckets in the kernel's memory, bytes (`struct ip_set_region`).
const REGION: usize = 24;
/// What of it is a lock with its padding, which a kernel for one CPU does not have, bytes (`spinlock_t`).
const LOCK: usize = 8;

/// An element of a hash set.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Key.
    pub key: Key,
    /// `nomatch`: the network is an exception.
    pub nomatch: bool,
    /// The interface of `hash:net,iface`.
    pub iface: Option<Box<Iface>>,
    /// Its extensions, if the set has any.
    pub ext: Option<Box<Ext>>,
}

impl Entry {
    fn expired(&self, now: Nanos) -> bool {
        self.ext.as_ref().is_some_and(|ext| ext.expired(now))
    }
}

/// Look-up key.
#[derive(Clone, Copy, Debug)]
pub struct Probe<'a> {
    /// The element.
    pub key: Key,
    /// The interface of `hash:net,iface`.
    pub iface: Option<&'a Iface>,
}

/// A bucket: used slots, and holes left by deleted elements.
#[derive(Clone, Debug, Default)]
struct Bucket {
    /// Slots up to the last one used (`pos`).
    places: Vec<Option<Entry>>,
    /// Slots allocated (`size`).
    size: usize,
    /// Packet and byte counters left by deleted elements, by slot.
    left: Vec<(usize, Counters)>,
}

/// Packets and bytes.
type Counters = (u64, u64);

impl Bucket {
    /// Counters in the memory of a slot: of its element, or of its last one.
    fn take_counters(&mut self, at: usize) -> Counters {
        if let Some(ext) = self.places[at].as_ref().and_then(|entry| entry.ext.as_ref()) {
            return (ext.packets, ext.bytes);
        }
        let left = self.left.iter().position(|(place, _)| *place == at);
        left.map_or((0, 0), |left| self.left.swap_remove(left).1)
    }
}

/// Why an element cannot be added directly.
enum Refusal {
    Error(SetError),
    /// The bucket is full: the table must be resized (-EAGAIN).
    Full,
}

/// A hash set.
#[derive(Clone, Debug)]
pub struct Hash {
    set_type: SetType,
    buckets: Vec<Option<Box<Bucket>>>,
    /// log2 of the number of buckets.
    bits: u32,
    /// Maximum elements.
    pub maxelem: u32,
    /// Maximum elements of a bucket.
    pub bucketsize: u8,
    /// Hash seed.
    pub initval: u32,
    /// Prefix length to which addresses are masked.
    pub netmask: u8,
    /// Prefix lengths in use, longest first, with their number of elements.
    nets: Vec<(u8, u32)>,
    elements: u32,
    /// Element size with extensions in the kernel's memory, bytes.
    dsize: usize,
    /// Size of an empty hash set in the kernel's memory, bytes.
    base: usize,
    /// Size of a region of buckets, bytes.
    region: usize,
    /// Size of the buckets by the kernel's accounting, bytes (`ext_size`), which adds the bucket header again
    /// each time a bucket grows.
    taken: usize,
    comments: usize,
}

impl Hash {
    /// An empty hash set.
    ///
    /// # Errors
    ///
    /// [`SetError::NoMemory`]: the table would exceed INT_MAX bytes.
    pub fn new(create: &Create) -> Result<Hash, SetError> {
        let wanted = create.hashsize.unwrap_or(1024).max(64);
        let bits = wanted.checked_next_power_of_two().map_or(32, u32::trailing_zeros);
        // Tables of more than INT_MAX bytes cannot be allocated.
        if bits >= 28 {
            return Err(SetError::NoMemory);
        }
        let bucketsize = create.bucketsize.unwrap_or(MAX_BUCKET);
        let bucketsize = bucketsize.clamp(STEP as u8, MAX_BUCKET).next_multiple_of(STEP as u8);
        Ok(Hash {
            set_type: create.set_type,
            buckets: Vec::new(),
            bits,
            maxelem: create.maxelem.unwrap_or(65536),
            bucketsize,
            initval: create.initval,
            netmask: create.netmask.unwrap_or(32),
            nets: Vec::new(),
            elements: 0,
            dsize: dsize(create.set_type, &create.ext),
            base: base_size(create),
            region: if create.smp { REGION } else { REGION - LOCK },
            taken: 0,
            comments: 0,
        })
    }

    /// Deletes all elements; the table keeps its size.
    pub fn flush(&mut self) {
        self.buckets.clear();
        self.nets.clear();
        self.elements = 0;
        self.taken = 0;
        self.comments = 0;
    }

    /// Number of buckets.
    pub fn size(&self) -> u32 {
        1 << self.bits
    }

    /// Memory size as the kernel reports it, bytes.
    pub fn memory(&self) -> usize {
        let regions = 1usize << self.bits.saturating_sub(10);
        self.base + regions * self.region + self.taken + self.comments
    }

    /// The longest prefix length in use.
    pub fn longest_prefix(&self) -> Option<u8> {
        self.nets.first().map(|(cidr, _)| *cidr)
    }

    /// Elements in the kernel's dump order.
    pub fn entries(&self, now: Nanos) -> impl Iterator<Item = &Entry> {
        let places = self.buckets.iter().flatten().flat_map(|bucket| &bucket.places);
        places.flatten().filter(move |entry| !entry.expired(now))
    }

    fn index_of(&self, probe: &Probe) -> usize {
        let (mut words, count) = hashed_words(self.set_type, &probe.key);
        if let Some(iface) = probe.iface {
            words[1] |= u32::from(iface.physdev);
        }
        jhash2(&words[..count], self.initval) as usize & ((1usize << self.bits) - 1)
    }

    fn bucket(&self, index: usize) -> &[Option<Entry>] {
        self.buckets.get(index).and_then(Option::as_deref).map_or(&[], |bucket| &bucket.places)
    }

    /// The element with exactly this key.
    pub fn get(&mut self, probe: &Probe, now: Nanos) -> Option<&mut Entry> {
        let index = self.index_of(probe);
        let bucket = self.buckets.get_mut(index)?.as_deref_mut()?;
        let mut entries = bucket.places.iter_mut().flatten();
        entries.find(|entry| is_same(entry, probe) && !entry.expired(now))
    }

    /// Longest-prefix match: the result of `accept` for the first covering element that it accepts
    /// (`mtype_test_cidrs`). A network that exists only with other interfaces hides shorter prefixes.
    pub fn find_covering<R>(
        &mut self,
        probe: &Probe,
        now: Nanos,
        mut accept: impl FnMut(&mut Entry) -> Option<R>,
    ) -> Option<R> {
        for at in 0..self.nets.len() {
            let key = with_prefix(self.set_type, probe.key, self.nets[at].0);
            let probe = Probe { key, ..*probe };
            let index = self.index_of(&probe);
            let Some(bucket) = self.buckets.get_mut(index).and_then(Option::as_deref_mut) else { continue };
            let mut elsewhere = false;
            for entry in bucket.places.iter_mut().flatten().filter(|entry| entry.key == key) {
                elsewhere = true;
                if !is_same(entry, &probe) {
                    continue;
                }
                let found = if entry.expired(now) { None } else { accept(entry) };
                if found.is_some() {
                    return found;
                }
                elsewhere = false;
            }
            if elsewhere && self.set_type == SetType::HashNetIface {
                return None;
            }
        }
        None
    }

    /// Adds an element; resizes the table if its bucket is full and `grow` is true. With `exist`, replaces
    /// the extensions of an existing element.
    ///
    /// # Errors
    ///
    /// [`SetError::Exist`]: the element is in the set, and `exist` is false. [`SetError::HashFull`]: `maxelem` is
    /// reached, or the bucket is full and the table cannot grow.
    pub fn add(&mut self, entry: Entry, exist: bool, grow: bool, now: Nanos) -> Result<(), SetError> {
        let mut entry = entry;
        loop {
            match self.try_add(entry, exist, now) {
                Ok(()) => return Ok(()),
                Err((_, Refusal::Error(error))) => return Err(error),
                Err((_, Refusal::Full)) if !grow => return Err(SetError::HashFull),
                Err((back, Refusal::Full)) => {
                    self.resize(now)?;
                    entry = back;
                }
            }
        }
    }

    fn try_add(&mut self, entry: Entry, exist: bool, now: Nanos) -> Result<(), (Entry, Refusal)> {
        if self.elements >= self.maxelem {
            self.collect(now);
        }
        if self.buckets.is_empty() {
            self.buckets = vec![None; 1 << self.bits];
        }
        let is_full = self.elements >= self.maxelem;
        let probe = Probe { key: entry.key, iface: entry.iface.as_deref() };
        let index = self.index_of(&probe);
        let most = self.most_in_bucket(index, &entry);
        let places = self.bucket(index);
        if let Some(at) = places.iter().position(|known| known.as_ref().is_some_and(|k| is_same(k, &probe))) {
            let known = places[at].as_ref().is_some_and(|known| known.expired(now));
            if !known && !exist {
                return Err((entry, Refusal::Error(SetError::Exist)));
            }
            self.put(index, at, entry);
            return Ok(());
        }
        let reusable = |place: &Option<Entry>| place.as_ref().is_none_or(|known| known.expired(now));
        let free = places.iter().position(reusable);
        if let Some(at) = free.filter(|at| !is_full || places[*at].is_some()) {
            self.put(index, at, entry);
            return Ok(());
        }
        if is_full {
            return Err((entry, Refusal::Error(SetError::HashFull)));
        }
        let bucket = self.buckets[index].get_or_insert_default();
        if bucket.places.len() >= bucket.size {
            if bucket.size >= most {
                return Err((entry, Refusal::Full));
            }
            bucket.size += STEP;
            self.taken += BUCKET_HEAD + STEP * self.dsize;
        }
        bucket.places.push(None);
        let at = bucket.places.len() - 1;
        self.put(index, at, entry);
        Ok(())
    }

    /// Elements of one network with many interfaces share a bucket, which may then grow larger
    /// (`tune_bucketsize`).
    fn most_in_bucket(&self, index: usize, entry: &Entry) -> usize {
        let same_net = self.bucket(index).iter().flatten().filter(|known| known.key == entry.key).count();
        let most = usize::from(self.bucketsize);
        match self.set_type == SetType::HashNetIface && same_net >= most {
            true => MAX_TUNED,
            false => most,
        }
    }

    fn put(&mut self, index: usize, at: usize, mut entry: Entry) {
        let cidr = self.set_type.has_net().then_some(entry.key.cidr);
        self.comments += comment_size(&entry);
        let bucket = self.buckets[index].get_or_insert_default();
        let before = bucket.take_counters(at);
        if let Some(ext) = &mut entry.ext {
            ext.init_counters(before);
        }
        let old = bucket.places[at].replace(entry);
        self.elements += 1;
        if let Some(cidr) = cidr {
            self.add_net(cidr);
        }
        if let Some(old) = old {
            self.forget(&old);
        }
    }

    fn forget(&mut self, old: &Entry) {
        self.elements -= 1;
        self.comments -= comment_size(old);
        if self.set_type.has_net() {
            self.del_net(old.key.cidr);
        }
    }

    fn add_net(&mut self, cidr: u8) {
        match self.nets.binary_search_by(|(known, _)| cidr.cmp(known)) {
            Ok(at) => self.nets[at].1 += 1,
            Err(at) => self.nets.insert(at, (cidr, 1)),
        }
    }

    fn del_net(&mut self, cidr: u8) {
        if let Ok(at) = self.nets.binary_search_by(|(known, _)| cidr.cmp(known)) {
            self.nets[at].1 -= 1;
            if self.nets[at].1 == 0 {
                self.nets.remove(at);
            }
        }
    }

    /// Deletes an element; a bucket with two holes is shrunk.
    ///
    /// # Errors
    ///
    /// [`SetError::Exist`]: the element is not in the set.
    pub fn del(&mut self, probe: &Probe, now: Nanos) -> Result<(), SetError> {
        let index = self.index_of(probe);
        let places = self.bucket(index);
        let at = places.iter().position(|known| known.as_ref().is_some_and(|known| is_same(known, probe)));
        let at = at.ok_or(SetError::Exist)?;
        if places[at].as_ref().is_some_and(|known| known.expired(now)) {
            return Err(SetError::Exist);
        }
        self.remove(index, at);
        Ok(())
    }

    fn remove(&mut self, index: usize, at: usize) {
        let Some(bucket) = self.buckets[index].as_deref_mut() else { return };
        let old = bucket.places[at].take();
        if let Some(ext) = old.as_ref().and_then(|old| old.ext.as_ref()) {
            bucket.left.push((at, (ext.packets, ext.bytes)));
        }
        if at + 1 == bucket.places.len() {
            bucket.places.pop();
        }
        let holes = bucket.places.iter().filter(|place| place.is_none()).count();
        if holes == bucket.places.len() {
            self.taken = self.taken.saturating_sub(BUCKET_HEAD + bucket.size * self.dsize);
            self.buckets[index] = None;
        } else if holes >= STEP {
            bucket.places.retain(Option::is_some);
            // The rest is newly allocated memory.
            bucket.left.clear();
            bucket.size -= STEP;
            self.taken = self.taken.saturating_sub(BUCKET_HEAD + STEP * self.dsize);
        }
        if let Some(old) = old {
            self.forget(&old);
        }
    }

    /// Deletes expired elements (`mtype_gc_do`).
    fn collect(&mut self, now: Nanos) {
        for index in 0..self.buckets.len() {
            while let Some(at) = self
                .bucket(index)
                .iter()
                .position(|place| place.as_ref().is_some_and(|entry| entry.expired(now)))
            {
                self.remove(index, at);
            }
        }
    }

    /// Doubles the table, repeatedly while a bucket overflows (`mtype_resize`).
    fn resize(&mut self, now: Nanos) -> Result<(), SetError> {
        self.collect(now);
        let old = std::mem::take(&mut self.buckets);
        let mut entries: Vec<Entry> =
            old.into_iter().flatten().flat_map(|bucket| bucket.places).flatten().collect();
        loop {
            self.bits += 1;
            if self.bits >= 28 {
                return Err(SetError::HashFull);
            }
            match self.rebuilt(entries) {
                Ok(buckets) => {
                    let steps: usize = buckets.iter().flatten().map(|bucket| bucket.size / STEP).sum();
                    self.taken = steps * (BUCKET_HEAD + STEP * self.dsize);
                    self.buckets = buckets;
                    return Ok(());
                }
                Err(back) => entries = back,
            }
        }
    }

    /// A table of the current size with these elements; returns them if a bucket overflows.
    fn rebuilt(&self, entries: Vec<Entry>) -> Result<Vec<Option<Box<Bucket>>>, Vec<Entry>> {
        let most = match self.set_type {
            SetType::HashNetIface => MAX_TUNED,
            _ => usize::from(self.bucketsize),
        };
        let index = |entry: &Entry| self.index_of(&Probe { key: entry.key, iface: entry.iface.as_deref() });
        let indices: Vec<usize> = entries.iter().map(index).collect();
        let mut counts = vec![0usize; 1 << self.bits];
        for index in &indices {
            counts[*index] += 1;
            if counts[*index] > most {
                return Err(entries);
            }
        }
        let mut buckets: Vec<Option<Box<Bucket>>> = vec![None; 1 << self.bits];
        for (index, entry) in indices.into_iter().zip(entries) {
            buckets[index].get_or_insert_default().places.push(Some(entry));
        }
        for bucket in buckets.iter_mut().flatten() {
            bucket.size = bucket.places.len().next_multiple_of(STEP);
        }
        Ok(buckets)
    }
}

fn comment_size(entry: &Entry) -> usize {
    entry.ext.as_ref().map_or(0, |ext| ext.comment_size())
}

fn is_same(entry: &Entry, probe: &Probe) -> bool {
    entry.key == probe.key && same_iface(entry.iface.as_deref(), probe.iface)
}

/// `wildcard` matches by name prefix.
fn same_iface(known: Option<&Iface>, asked: Option<&Iface>) -> bool {
    match (known, asked) {
        (Some(known), Some(asked)) => {
            let same = match known.wildcard {
                true => asked.name.starts_with(&*known.name),
                false => asked.name == known.name,
            };
            known.physdev == asked.physdev && same
        }
        (None, None) => true,
        _ => false,
    }
}

/// The element with its network part masked to a prefix.
pub fn with_prefix(set_type: SetType, key: Key, cidr: u8) -> Key {
    match set_type {
        SetType::HashIpPortNet => Key { ip2: masked(key.ip2, cidr), cidr, ..key },
        _ => Key { ip: masked(key.ip, cidr), cidr, ..key },
    }
}

/// An address masked to a prefix length.
pub fn masked(ip: Ipv4Addr, cidr: u8) -> Ipv4Addr {
    ip & !host_mask(cidr)
}

/// The mask of the bits after a prefix.
pub fn host_mask(cidr: u8) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::MAX.checked_shr(u32::from(cidr)).unwrap_or(0))
}

/// The words of the kernel's element that are hashed, and their number.
fn hashed_words(set_type: SetType, key: &Key) -> ([u32; 3], usize) {
    let ip = u32::from_le_bytes(key.ip.octets());
    let port = u32::from(key.port.swap_bytes());
    let (proto, cidr) = (u32::from(key.proto), u32::from(key.cidr));
    match set_type {
        SetType::HashIpPort => ([ip, port | proto << 16, 0], 2),
        SetType::HashIpPortIp => ([ip, u32::from_le_bytes(key.ip2.octets()), port | proto << 16], 3),
        SetType::HashIpPortNet => {
            let cidr = cidr.wrapping_sub(1) & 0x7f;
            ([ip, u32::from_le_bytes(key.ip2.octets()), port | cidr << 16 | proto << 24], 3)
        }
        SetType::HashNet => ([ip, cidr << 24, 0], 2),
        SetType::HashNetPort => ([ip, port | proto << 16 | (cidr.wrapping_sub(1) & 0x7f) << 24, 0], 2),
        SetType::HashNetIface => ([ip, cidr << 8 | 1 << 24, 0], 2),
        _ => ([ip, 0, 0], 1),
    }
}

fn dsize(set_type: SetType, ext: &Extensions) -> usize {
    ext.sized(set_type.elem_size())
}

/// Sizes of `struct htype` and `struct htable` without their regions, as measured on Linux.
fn base_size(create: &Create) -> usize {
    let bitmask = if create.bitmask_known { 16 } else { 0 };
    match create.set_type {
        SetType::HashIp | SetType::HashIpPort => 176 + bitmask,
        SetType::HashIpPortIp => 184,
        SetType::HashIpPortNet => 440,
        SetType::HashNetIface => 464,
        _ => 432,
    }
}
