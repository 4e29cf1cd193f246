//! The sets of a network namespace (net/netfilter/ipset).
//!
//! | module | owns |
//! |---|---|
//! | this one | [`IpSets`]: names, references, operations on whole sets |
//! | [`types`] | set types, requests and errors |
//! | [`adt`] | `add`, `del` and `test` commands |
//! | [`packet`] | the same for packets: `-m set` and `-j SET` |
//! | [`hash`], [`bitmap`], [`list`] | the three storage methods |
//! | [`jhash`] | the kernel's hash function |

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::net::Ipv4Addr;

use glassnet_sim::Nanos;

use super::fast_hash::FastHasher;

pub mod adt;
pub mod bitmap;
pub mod hash;
pub mod jhash;
pub mod list;
pub mod packet;
#[cfg(test)]
mod tests;
pub mod types;

use bitmap::{Bitmap, MAX_ELEMENTS};
use hash::Hash;
use list::List;
use types::{Create, Ext, Extensions, Iface, Key, Range, Request, SetError, SetType, SkbInfo};

/// Storage method of a set.
#[derive(Clone, Debug)]
pub enum Storage {
    /// `hash:*`.
    Hash(Hash),
    /// `bitmap:*`.
    Bitmap(Bitmap),
    /// `list:set`.
    List(List),
}

/// A set.
#[derive(Clone, Debug)]
pub struct IpSet {
    /// Its name, at most 31 bytes.
    pub name: String,
    /// Its type.
    pub set_type: SetType,
    /// Revision of the type.
    pub revision: u8,
    /// Enabled extensions.
    pub ext: Extensions,
    /// Reference count: rules and lists that use it.
    pub references: u32,
    /// Creation time, from which its garbage collection interval is counted.
    created: Nanos,
    /// Its elements.
    pub storage: Storage,
}

/// An element in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Addresses, port, protocol; for bitmaps the address or port is in `ip` or `port`.
    pub key: Key,
    /// Interface.
    pub iface: Option<Iface>,
    /// Member of a `list:set`.
    pub name: String,
    /// `nomatch`: the network is an exception.
    pub nomatch: bool,
    /// Extensions, if the set has any.
    pub ext: Option<Ext>,
}

/// The sets of a network namespace.
#[derive(Clone, Debug, Default)]
pub struct IpSets {
    slots: Vec<Option<IpSet>>,
    names: HashMap<String, u16, BuildHasherDefault<FastHasher>>,
}

impl IpSet {
    /// Last run of the garbage collection of bitmaps and lists (`IPSET_GC_PERIOD`).
    fn swept(&self, now: Nanos) -> Nanos {
        let Some(timeout) = self.ext.timeout else { return now };
        let period = Nanos::from_secs(u64::from((timeout / 3).clamp(1, 180))).0;
        let runs = now.since(self.created).0 / period;
        self.created + Nanos(runs * period)
    }

    /// Memory size as the kernel reports it, bytes.
    pub fn memory(&self) -> usize {
        match &self.storage {
            Storage::Hash(hash) => hash.memory(),
            Storage::Bitmap(bitmap) => bitmap.memory(),
            Storage::List(list) => list.memory(),
        }
    }

    /// `Number of entries`: bitmaps and lists count expired elements until garbage collection.
    pub fn count(&self, now: Nanos) -> u32 {
        match &self.storage {
            Storage::Hash(hash) => hash.entries(now).count() as u32,
            Storage::Bitmap(bitmap) => bitmap.count(self.swept(now)),
            Storage::List(list) => list.live(self.swept(now)).count() as u32,
        }
    }

    /// Extensions of a request, with the set's defaults filled in (`ip_set_get_extensions`).
    fn request_ext(&self, request: &Request, now: Nanos) -> Result<Option<Box<Ext>>, SetError> {
        let counters = request.packets.is_some() || request.bytes.is_some();
        let skbinfo = request.skbmark.is_some() || request.skbprio.is_some() || request.skbqueue.is_some();
        let asked = [
            (request.timeout.is_some(), self.ext.timeout.is_some(), SetError::Timeout),
            (counters, self.ext.counters, SetError::Counter),
            (request.comment.is_some(), self.ext.comment, SetError::Comment),
            (skbinfo, self.ext.skbinfo, SetError::SkbInfo),
        ];
        if let Some((.., error)) = asked.into_iter().find(|(asked, has, _)| *asked && !*has) {
            return Err(error);
        }
        if !self.ext.any() {
            return Ok(None);
        }
        let (mark, mask) = request.skbmark.unwrap_or_default();
        let comment = request.comment.as_deref().filter(|comment| !comment.is_empty());
        Ok(Some(Box::new(Ext {
            expires: self.expires(request.timeout, now),
            packets: request.packets.unwrap_or(Ext::NOT_SAID),
            bytes: request.bytes.unwrap_or(Ext::NOT_SAID),
            comment: comment.map(Box::from),
            skbinfo: SkbInfo {
                mark,
                mask,
                prio: request.skbprio.unwrap_or(0),
                queue: request.skbqueue.unwrap_or(0),
            },
        })))
    }

    fn expires(&self, timeout: Option<u32>, now: Nanos) -> Option<Nanos> {
        let seconds = timeout.or(self.ext.timeout).filter(|_| self.ext.timeout.is_some())?;
        (seconds != 0).then(|| now + Nanos::from_secs(u64::from(seconds)))
    }

    /// Created with the same parameters (`same_set`).
    fn is_like(&self, other: &IpSet) -> bool {
        let same_storage = match (&self.storage, &other.storage) {
            (Storage::Hash(a), Storage::Hash(b)) => (a.maxelem, a.netmask) == (b.maxelem, b.netmask),
            (Storage::Bitmap(a), Storage::Bitmap(b)) => {
                (a.first, a.last, a.netmask) == (b.first, b.last, b.netmask)
            }
            (Storage::List(a), Storage::List(b)) => a.size == b.size,
            _ => false,
        };
        self.set_type == other.set_type && self.ext == other.ext && same_storage
    }

    /// Features of its type; only sets with equal features can be swapped.
    fn features(&self) -> SetType {
        match self.set_type {
            SetType::BitmapIp => SetType::HashIp,
            other => other,
        }
    }
}

impl IpSets {
    /// Looks up a set by name.
    pub fn get(&self, name: &str) -> Option<&IpSet> {
        self.by_index(self.index(name)?)
    }

    /// Index of a set. Rules and lists keep the index.
    pub fn index(&self, name: &str) -> Option<u16> {
        self.names.get(name).copied()
    }

    /// Looks up a set by index.
    pub fn by_index(&self, index: u16) -> Option<&IpSet> {
        self.slots.get(usize::from(index))?.as_ref()
    }

    fn by_index_mut(&mut self, index: u16) -> Option<&mut IpSet> {
        self.slots.get_mut(usize::from(index))?.as_mut()
    }

    /// All sets in the kernel's dump order: by index, lists last.
    pub fn iter(&self) -> impl Iterator<Item = &IpSet> {
        let is_list = |set: &&IpSet| set.set_type == SetType::ListSet;
        let sets = || self.slots.iter().flatten();
        sets().filter(move |set| !is_list(set)).chain(sets().filter(is_list))
    }

    /// Elements of a set, in the kernel's dump order.
    pub fn elements(&self, set: &IpSet, now: Nanos) -> Vec<Listed> {
        let blank =
            Listed { key: Key::default(), iface: None, name: String::new(), nomatch: false, ext: None };
        match &set.storage {
            Storage::Hash(hash) => hash
                .entries(now)
                .map(|entry| Listed {
                    key: entry.key,
                    iface: entry.iface.as_deref().cloned(),
                    nomatch: entry.nomatch,
                    ext: entry.ext.as_deref().cloned(),
                    ..blank.clone()
                })
                .collect(),
            Storage::Bitmap(bitmap) => bitmap
                .entries(now)
                .map(|(id, ext)| {
                    let key = match set.set_type {
                        SetType::BitmapPort => Key { port: (bitmap.first + id) as u16, ..Key::default() },
                        _ => {
                            let ip = bitmap.first + (id << (32 - bitmap.netmask));
                            Key { ip: Ipv4Addr::from_bits(ip), ..Key::default() }
                        }
                    };
                    Listed { key, ext: ext.cloned(), ..blank.clone() }
                })
                .collect(),
            Storage::List(list) => list
                .live(now)
                .filter_map(|member| {
                    let name = self.by_index(member.set)?.name.clone();
                    Some(Listed { name, ext: member.ext.as_deref().cloned(), ..blank.clone() })
                })
                .collect(),
        }
    }

    /// Takes a reference for a rule or a list (`ip_set_get_byname`).
    pub fn hold(&mut self, name: &str) -> Option<u16> {
        let index = self.index(name)?;
        self.by_index_mut(index)?.references += 1;
        Some(index)
    }

    /// Drops the reference of a rule or a list (`ip_set_put_byindex`).
    pub fn put(&mut self, index: u16) {
        if let Some(set) = self.by_index_mut(index) {
            set.references = set.references.saturating_sub(1);
        }
    }

    /// `create`. With `exist`, no error if a set with the same parameters exists.
    ///
    /// # Errors
    ///
    /// [`SetError::SetExists`], [`SetError::MaxSets`], or the parameters are not those of the type.
    pub fn create(&mut self, name: &str, create: &Create, exist: bool, now: Nanos) -> Result<(), SetError> {
        let set = IpSet {
            name: name.to_owned(),
            set_type: create.set_type,
            revision: create.set_type.revision(create.bitmask_known),
            ext: create.ext,
            references: 0,
            created: now,
            storage: storage(create)?,
        };
        if let Some(known) = self.get(name) {
            return if exist && known.is_like(&set) { Ok(()) } else { Err(SetError::SetExists) };
        }
        let free = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        let index = u16::try_from(free).ok().filter(|index| *index != u16::MAX).ok_or(SetError::MaxSets)?;
        if free == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[free] = Some(set);
        self.names.insert(name.to_owned(), index);
        Ok(())
    }

    /// `destroy`: one set, or all. No set is destroyed if one of them is referenced.
    ///
    /// # Errors
    ///
    /// [`SetError::NoSuchSet`], or [`SetError::Busy`] if a set is referenced.
    pub fn destroy(&mut self, name: Option<&str>) -> Result<(), SetError> {
        let Some(name) = name else {
            if self.slots.iter().flatten().any(|set| set.references > 0) {
                return Err(SetError::Busy);
            }
            *self = IpSets::default();
            return Ok(());
        };
        let index = self.index(name).ok_or(SetError::NoSuchSet)?;
        if self.by_index(index).is_some_and(|set| set.references > 0) {
            return Err(SetError::Busy);
        }
        self.flush(Some(name))?;
        self.slots[usize::from(index)] = None;
        self.names.remove(name);
        Ok(())
    }

    /// `flush`: one set, or all.
    ///
    /// # Errors
    ///
    /// [`SetError::NoSuchSet`].
    pub fn flush(&mut self, name: Option<&str>) -> Result<(), SetError> {
        let indices: Vec<u16> = match name {
            Some(name) => vec![self.index(name).ok_or(SetError::NoSuchSet)?],
            None => (0..self.slots.len() as u16).collect(),
        };
        for index in indices {
            let members = match self.by_index_mut(index).map(|set| &mut set.storage) {
                Some(Storage::Hash(hash)) => {
                    hash.flush();
                    continue;
                }
                Some(Storage::Bitmap(bitmap)) => {
                    bitmap.flush();
                    continue;
                }
                Some(Storage::List(list)) => std::mem::take(&mut list.members),
                None => continue,
            };
            members.iter().for_each(|member| self.put(member.set));
        }
        Ok(())
    }

    /// `rename`.
    ///
    /// # Errors
    ///
    /// [`SetError::NoSuchSet`]; [`SetError::Referenced`]; [`SetError::SecondName`]: the new name is in use.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), SetError> {
        let index = self.index(from).ok_or(SetError::NoSuchSet)?;
        if self.by_index(index).is_some_and(|set| set.references > 0) {
            return Err(SetError::Referenced);
        }
        if self.index(to).is_some() {
            return Err(SetError::SecondName);
        }
        self.names.remove(from);
        self.names.insert(to.to_owned(), index);
        if let Some(set) = self.by_index_mut(index) {
            set.name = to.to_owned();
        }
        Ok(())
    }

    /// `swap`: exchanges the contents; names and references stay.
    ///
    /// # Errors
    ///
    /// [`SetError::NoSuchSet`]; [`SetError::SecondName`]: there is no set `to`; [`SetError::TypeMismatch`].
    pub fn swap(&mut self, from: &str, to: &str) -> Result<(), SetError> {
        let from = self.index(from).ok_or(SetError::NoSuchSet)?;
        let to = self.index(to).ok_or(SetError::SecondName)?;
        let features = |index| self.by_index(index).map(IpSet::features);
        if features(from) != features(to) {
            return Err(SetError::TypeMismatch);
        }
        self.slots.swap(usize::from(from), usize::from(to));
        if let [Some(a), Some(b)] = [from, to].map(|index| self.slots[usize::from(index)].clone()) {
            for (index, was) in [(from, b), (to, a)] {
                if let Some(set) = self.by_index_mut(index) {
                    (set.name, set.references) = (was.name, was.references);
                }
            }
        }
        Ok(())
    }
}

fn storage(create: &Create) -> Result<Storage, SetError> {
    match create.set_type {
        SetType::ListSet => Ok(Storage::List(List::new(create.size, &create.ext))),
        SetType::BitmapIp => bitmap_ip(create).map(Storage::Bitmap),
        SetType::BitmapPort => {
            let Some(Range::Port(from, to)) = create.range else { return Err(SetError::Protocol) };
            let (first, last) = (u32::from(from.min(to)), u32::from(from.max(to)));
            Ok(Storage::Bitmap(Bitmap::new((first, last), 32, last - first + 1, &create.ext, 72)))
        }
        _ => Hash::new(create).map(Storage::Hash),
    }
}

fn bitmap_ip(create: &Create) -> Result<Bitmap, SetError> {
    let (from, to) = match create.range {
        Some(Range::Ip(from, to)) => (from.to_bits(), to.to_bits()),
        Some(Range::Cidr(_, cidr)) if cidr >= 32 => return Err(SetError::InvalidCidr),
        Some(Range::Cidr(ip, cidr)) => {
            let first = hash::masked(ip, cidr);
            (first.to_bits(), (first | hash::host_mask(cidr)).to_bits())
        }
        _ => return Err(SetError::Protocol),
    };
    let (mut first, mut last) = (from.min(to), from.max(to));
    let netmask = create.netmask.unwrap_or(32);
    let mut elements = u64::from(last - first) + 1;
    if create.netmask.is_some() && netmask != 32 {
        let host_bits = hash::host_mask(netmask).to_bits();
        (first, last) = (first & !host_bits, last | host_bits);
        let prefix = common_prefix(first, last);
        if netmask <= prefix || prefix == 0 && (first, last) != (0, u32::MAX) {
            return Err(SetError::BitmapRange);
        }
        elements = 1 << (netmask - prefix);
    }
    if elements > MAX_ELEMENTS {
        return Err(SetError::BitmapRangeSize);
    }
    Ok(Bitmap::new((first, last), netmask, elements as u32, &create.ext, 88))
}

/// The prefix length at which `last` masks to `first`; 0 if there is none (`range_to_mask`).
fn common_prefix(first: u32, last: u32) -> u8 {
    (1..32).rev().find(|cidr| last & !hash::host_mask(*cidr).to_bits() == first).unwrap_or(0)
}
