//! Set operations for packets: `-m set` tests, `-j SET` adds and deletes (`kadt` of each set type).

use std::cmp::Ordering;
use std::net::Ipv4Addr;

use glassnet_sim::Nanos;

use super::adt::with_ports;
use super::bitmap::Bitmap;
use super::hash::{Entry, Hash, Probe, with_prefix};
use super::types::{Adt, Ext, Iface, Key, SetError, SetType, SkbInfo};
use super::{IpSet, IpSets, Storage};

/// The packet fields that sets use.
#[derive(Clone, Debug)]
pub struct SetPacket<'a> {
    /// Source address.
    pub saddr: Ipv4Addr,
    /// Destination address.
    pub daddr: Ipv4Addr,
    /// Protocol.
    pub proto: u8,
    /// Source and destination port; ICMP type and code in both. `None`: not in the packet (a later fragment,
    /// or truncated). Zeros for protocols without ports.
    pub ports: Option<(u16, u16)>,
    /// Length from the IP header on, bytes.
    pub len: u32,
    /// Name of the input device.
    pub input: Option<&'a str>,
    /// Name of the output device.
    pub output: Option<&'a str>,
}

impl Default for SetPacket<'_> {
    fn default() -> Self {
        SetPacket {
            saddr: Ipv4Addr::UNSPECIFIED,
            daddr: Ipv4Addr::UNSPECIFIED,
            proto: 0,
            ports: None,
            len: 0,
            input: None,
            output: None,
        }
    }
}

/// A counter comparison: inverted, operator, value.
pub type Compare = Option<(bool, Ordering, u64)>;

/// Set options of a rule (`struct ip_set_adt_opt`).
#[derive(Clone, Debug, Default)]
pub struct SetOptions {
    /// Number of `src` and `dst` flags.
    pub dim: u8,
    /// Bit n set: dimension n is the source.
    pub source: u8,
    /// `--return-nomatch`.
    pub return_nomatch: bool,
    /// `! --update-counters`.
    pub skip_counters: bool,
    /// `! --update-subcounters`.
    pub skip_subcounters: bool,
    /// `--packets-*`.
    pub packets: Compare,
    /// `--bytes-*`.
    pub bytes: Compare,
    /// `--exist` of `SET`.
    pub exist: bool,
    /// `--timeout` of `SET`, seconds.
    pub timeout: Option<u32>,
}

impl SetOptions {
    /// The address for the dimension (`ip4addrptr`).
    fn address(&self, packet: &SetPacket, dimension: u8) -> Ipv4Addr {
        if self.is_source(dimension) { packet.saddr } else { packet.daddr }
    }

    fn port(&self, packet: &SetPacket, dimension: u8) -> Option<u16> {
        let (source, destination) = packet.ports?;
        Some(if self.is_source(dimension) { source } else { destination })
    }

    fn is_source(&self, dimension: u8) -> bool {
        self.source >> dimension & 1 == 1
    }
}

/// The element of a packet.
struct Wanted {
    key: Key,
    iface: Option<Iface>,
}

impl IpSets {
    /// Tests a packet (`ip_set_test`): metadata of the matching element. Updates the set's counters.
    pub fn test_packet(
        &mut self,
        index: u16,
        packet: &SetPacket,
        options: &SetOptions,
        now: Nanos,
    ) -> Option<SkbInfo> {
        let set = self.by_index_mut(index)?;
        // A list has the features of its members.
        if set.set_type != SetType::ListSet && options.dim < set.set_type.dimension() {
            return None;
        }
        let wanted = wanted(set, packet, options);
        let matched = match &mut set.storage {
            Storage::List(list) => {
                let members: Vec<u16> = list.live(now).map(|member| member.set).collect();
                return self.test_members(index, &members, packet, options, now);
            }
            Storage::Hash(hash) => {
                let wanted = wanted?;
                let probe = Probe { key: wanted.key, iface: wanted.iface.as_ref() };
                let counters = set.ext.counters;
                let mut accept = |entry: &mut Entry| {
                    let info = match_extensions(entry.ext.as_deref_mut(), counters, packet, options)?;
                    Some((entry.nomatch, info))
                };
                if !set.set_type.has_net() {
                    return hash.get(&probe, now).and_then(accept).map(|(_, info)| info);
                }
                let (nomatch, info) = hash.find_covering(&probe, now, &mut accept)?;
                // `nomatch` is -ENOTEMPTY, which `--return-nomatch` inverts.
                return (nomatch == options.return_nomatch).then_some(info);
            }
            Storage::Bitmap(bitmap) => {
                let id = bitmap_id(bitmap, set.set_type, &wanted?.key)?;
                if !bitmap.contains(id, now) {
                    return None;
                }
                bitmap.ext(id)
            }
        };
        match_extensions(matched, set.ext.counters, packet, options)
    }

    fn test_members(
        &mut self,
        list: u16,
        members: &[u16],
        packet: &SetPacket,
        options: &SetOptions,
        now: Nanos,
    ) -> Option<SkbInfo> {
        let inner = SetOptions {
            packets: None,
            bytes: None,
            skip_counters: options.skip_counters || options.skip_subcounters,
            ..options.clone()
        };
        for member in members {
            let Some(info) = self.test_packet(*member, packet, &inner, now) else { continue };
            let IpSet { storage: Storage::List(list), ext, .. } = self.by_index_mut(list)? else {
                return None;
            };
            let counters = ext.counters;
            if !ext.any() {
                return Some(info);
            }
            let entry = list.members.iter_mut().find(|known| known.set == *member)?;
            let matched = match_extensions(entry.ext.as_deref_mut(), counters, packet, options);
            if let Some(own) = matched {
                return Some(if ext.skbinfo { own } else { info });
            }
        }
        None
    }

    /// Adds the packet's element, or deletes it (`ip_set_add`, `ip_set_del`). For a list: tries its members
    /// in turn.
    /// A full bucket is an error: the packet path does not resize.
    ///
    /// # Errors
    ///
    /// [`SetError`]: the element cannot be added or deleted, or the packet lacks a field of the set's type.
    pub fn change_packet(
        &mut self,
        index: u16,
        adt: Adt,
        packet: &SetPacket,
        options: &SetOptions,
        now: Nanos,
    ) -> Result<(), SetError> {
        let set = self.by_index_mut(index).ok_or(SetError::NoSuchSet)?;
        if let Storage::List(list) = &set.storage {
            let members: Vec<u16> = list.live(now).map(|member| member.set).collect();
            let mut results =
                members.into_iter().map(|member| self.change_packet(member, adt, packet, options, now));
            return results.find(Result::is_ok).unwrap_or(Err(SetError::Exist));
        }
        if options.dim < set.set_type.dimension() {
            return Err(SetError::Protocol);
        }
        let wanted = wanted(set, packet, options).ok_or(SetError::Protocol)?;
        let ext = set.ext.any().then(|| {
            let expires = set.expires(options.timeout, now);
            Box::new(Ext { expires, packets: 1, bytes: u64::from(packet.len), ..Ext::default() })
        });
        let set_type = set.set_type;
        match &mut set.storage {
            Storage::Hash(hash) => {
                let key = stored_key(hash, set_type, wanted.key);
                if adt == Adt::Del {
                    return hash.del(&Probe { key, iface: wanted.iface.as_ref() }, now);
                }
                let entry = Entry { key, nomatch: false, iface: wanted.iface.map(Box::new), ext };
                hash.add(entry, options.exist, false, now)
            }
            Storage::Bitmap(bitmap) => {
                let id = bitmap_id(bitmap, set_type, &wanted.key).ok_or(SetError::BitmapRange)?;
                if adt == Adt::Del { bitmap.del(id, now) } else { bitmap.add(id, ext, options.exist, now) }
            }
            Storage::List(_) => Err(SetError::Protocol),
        }
    }
}

/// A network is added and deleted with the longest prefix length in the set (`INIT_CIDR`).
fn stored_key(hash: &Hash, set_type: SetType, key: Key) -> Key {
    match set_type.has_net() {
        true => with_prefix(set_type, key, hash.longest_prefix().unwrap_or(32)),
        false => key,
    }
}

/// The packet's element for this set type; `None` if a field is missing.
fn wanted(set: &IpSet, packet: &SetPacket, options: &SetOptions) -> Option<Wanted> {
    let ip = options.address(packet, 0);
    let with_port = |key: Key| {
        let proto = packet.proto;
        let port = options.port(packet, 1)?;
        Some(Key { port: if with_ports(proto) { port } else { 0 }, proto, ..key })
    };
    let base = Key { ip, ..Key::default() };
    let key = match set.set_type {
        SetType::HashIp => {
            let Storage::Hash(hash) = &set.storage else { return None };
            let ip = super::hash::masked(ip, hash.netmask);
            (!ip.is_unspecified()).then_some(Key { ip, ..base })?
        }
        SetType::BitmapIp => base,
        SetType::BitmapPort => {
            // TCP and UDP only.
            (packet.proto == 6 || packet.proto == 17)
                .then(|| Some(Key { port: options.port(packet, 0)?, ..Key::default() }))??
        }
        SetType::HashIpPort => with_port(base)?,
        SetType::HashIpPortIp => with_port(Key { ip2: options.address(packet, 2), ..base })?,
        SetType::HashIpPortNet => with_port(Key { ip2: options.address(packet, 2), cidr: 32, ..base })?,
        SetType::HashNet => Key { cidr: 32, ..base },
        SetType::HashNetPort => with_port(Key { cidr: 32, ..base })?,
        SetType::HashNetIface => Key { cidr: 32, ..base },
        SetType::ListSet => return None,
    };
    let iface = match set.set_type {
        SetType::HashNetIface => {
            let name = if options.is_source(1) { packet.input } else { packet.output };
            Some(Iface { name: name?.into(), physdev: false, wildcard: false })
        }
        _ => None,
    };
    Some(Wanted { key, iface })
}

fn bitmap_id(bitmap: &Bitmap, set_type: SetType, key: &Key) -> Option<u32> {
    let (value, shift) = match set_type {
        SetType::BitmapPort => (u32::from(key.port), 0),
        _ => (key.ip.to_bits(), 32 - bitmap.netmask),
    };
    (bitmap.first..=bitmap.last).contains(&value).then(|| (value - bitmap.first) >> shift)
}

/// Updates the counters, and compares them as the rule says (`ip_set_match_extensions`).
fn match_extensions(
    ext: Option<&mut Ext>,
    counters: bool,
    packet: &SetPacket,
    options: &SetOptions,
) -> Option<SkbInfo> {
    let Some(ext) = ext else { return Some(SkbInfo::default()) };
    if counters {
        if !options.skip_counters {
            ext.packets = ext.packets.wrapping_add(1);
            ext.bytes = ext.bytes.wrapping_add(u64::from(packet.len));
        }
        if !compare(ext.packets, options.packets) || !compare(ext.bytes, options.bytes) {
            return None;
        }
    }
    Some(ext.skbinfo)
}

fn compare(counter: u64, wanted: Compare) -> bool {
    wanted.is_none_or(|(invert, ordering, value)| (counter.cmp(&value) == ordering) != invert)
}
