//! `add`, `del` and `test` commands: ranges are expanded element by element (`uadt` of each set type).

use std::net::Ipv4Addr;

use glassnet_sim::Nanos;

use super::bitmap::Bitmap;
use super::hash::{Entry, Hash, Probe, host_mask, masked};
use super::list::{List, Member};
use super::types::{Adt, Ext, Key, Request, SetError, SetType};
use super::{IpSet, IpSets, Storage};

const IPPROTO_TCP: u8 = 6;
const IPPROTO_UDP: u8 = 17;
const IPPROTO_ICMP: u8 = 1;
const IPPROTO_SCTP: u8 = 132;
const IPPROTO_UDPLITE: u8 = 136;

/// The protocol has ports, or an ICMP type and code (`ip_set_proto_with_ports`).
pub fn with_ports(proto: u8) -> bool {
    matches!(proto, IPPROTO_TCP | IPPROTO_UDP | IPPROTO_ICMP | IPPROTO_SCTP | IPPROTO_UDPLITE)
}

/// The part of a request common to all of its elements.
struct Call<'a> {
    request: &'a Request,
    what: Adt,
    exist: bool,
    ext: Option<Box<Ext>>,
    now: Nanos,
}

impl IpSets {
    /// Adds, deletes or tests an element or a range (`ip_set_utest`).
    ///
    /// # Errors
    ///
    /// [`SetError`]; a failed test is always [`SetError::Exist`].
    pub fn adt(
        &mut self,
        name: &str,
        what: Adt,
        request: &Request,
        exist: bool,
        now: Nanos,
    ) -> Result<(), SetError> {
        let index = self.index(name).ok_or(SetError::NoSuchSet)?;
        let result = self.uadt(index, what, request, exist, now);
        if what == Adt::Test { result.map_err(|_| SetError::Exist) } else { result }
    }

    fn uadt(
        &mut self,
        index: u16,
        what: Adt,
        request: &Request,
        exist: bool,
        now: Nanos,
    ) -> Result<(), SetError> {
        let Some(set) = self.by_index_mut(index) else { return Err(SetError::NoSuchSet) };
        let ext = set.request_ext(request, now)?;
        let call = Call { request, what, exist, ext, now };
        let set_type = set.set_type;
        match &mut set.storage {
            Storage::Hash(hash) => hash_uadt(hash, set_type, &call),
            Storage::Bitmap(bitmap) => bitmap_uadt(bitmap, set_type, &call),
            Storage::List(_) => self.list_uadt(index, &call),
        }
    }

    fn list_uadt(&mut self, index: u16, call: &Call) -> Result<(), SetError> {
        let member = self.index(&call.request.name).ok_or(SetError::Name)?;
        if self.by_index(member).is_some_and(|set| set.set_type == SetType::ListSet) {
            return Err(SetError::Loop);
        }
        let near = match &call.request.place {
            Some((before, name)) => Some((*before, self.index(name).ok_or(SetError::NameRef)?)),
            None => None,
        };
        let Some(IpSet { storage: Storage::List(list), .. }) = self.by_index_mut(index) else {
            return Err(SetError::Protocol);
        };
        let expired = list.sweep(call.now);
        let (result, held) = change_list(list, member, near, call);
        expired.into_iter().for_each(|set| self.put(set));
        match held {
            Some(true) => {
                if let Some(set) = self.by_index_mut(member) {
                    set.references += 1;
                }
            }
            Some(false) => self.put(member),
            None => {}
        }
        result
    }
}

/// The result, and whether a reference to the member set was taken (true) or dropped (false).
fn change_list(
    list: &mut List,
    set: u16,
    near: Option<(bool, u16)>,
    call: &Call,
) -> (Result<(), SetError>, Option<bool>) {
    match call.what {
        Adt::Test if list.contains(set, near) => (Ok(()), None),
        Adt::Test => (Err(SetError::Exist), None),
        Adt::Add => match list.add(Member { set, ext: call.ext.clone() }, near, call.exist) {
            Ok(is_new) => (Ok(()), is_new.then_some(true)),
            Err(error) => (Err(error), None),
        },
        Adt::Del => match list.del(set, near) {
            Ok(()) => (Ok(()), Some(false)),
            Err(SetError::Exist) if call.exist => (Ok(()), None),
            Err(error) => (Err(error), None),
        },
    }
}

/// Iteration over a range: the first address of the rest, or the end.
fn next(ip: Ipv4Addr, step: u32, last: Ipv4Addr) -> Option<Ipv4Addr> {
    ip.to_bits().checked_add(step).map(Ipv4Addr::from_bits).filter(|ip| *ip <= last)
}

/// The largest network that begins at `from` and ends by `to`, and its last address (`ip_set_range_to_cidr`).
/// As in the kernel, addresses are compared as sequence numbers, so ranges of half the address space are
/// split.
pub fn range_to_cidr(from: Ipv4Addr, to: Ipv4Addr) -> (u8, Ipv4Addr) {
    for cidr in 1..=32u8 {
        if masked(from, cidr) != from {
            continue;
        }
        let last = from | host_mask(cidr);
        if to.to_bits().wrapping_sub(last.to_bits()) as i32 >= 0 {
            return (cidr, last);
        }
    }
    (32, from)
}

/// First and last address of a request's first dimension.
fn addresses(request: &Request, from: Ipv4Addr) -> Result<(Ipv4Addr, Ipv4Addr), SetError> {
    match (request.ip_to, request.cidr) {
        (Some(to), _) => Ok((from.min(to), from.max(to))),
        (None, Some(cidr)) if cidr == 0 || cidr > 32 => Err(SetError::InvalidCidr),
        (None, Some(cidr)) => Ok((masked(from, cidr), from | host_mask(cidr))),
        (None, None) => Ok((from, from)),
    }
}

/// The networks of a network dimension: a prefix, or the fewest that cover a range.
fn networks(ip: Ipv4Addr, to: Option<Ipv4Addr>, cidr: Option<u8>, zero: bool) -> Result<Networks, SetError> {
    if cidr.is_some_and(|cidr| cidr > 32 || cidr == 0 && !zero) {
        return Err(SetError::InvalidCidr);
    }
    let cidr = cidr.unwrap_or(32);
    let Some(to) = to else {
        let first = masked(ip, cidr);
        return Ok(Networks { next: Some(first), last: first, fixed: Some(cidr) });
    };
    let (first, last) = (ip.min(to), ip.max(to));
    match (first, last) {
        (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST) => Err(SetError::HashRange),
        _ => Ok(Networks { next: Some(first), last, fixed: None }),
    }
}

/// Iterator over networks.
#[derive(Clone)]
struct Networks {
    next: Option<Ipv4Addr>,
    last: Ipv4Addr,
    fixed: Option<u8>,
}

impl Iterator for Networks {
    type Item = (Ipv4Addr, u8);

    fn next(&mut self) -> Option<(Ipv4Addr, u8)> {
        let ip = self.next?;
        let (cidr, end) = match self.fixed {
            Some(cidr) => (cidr, self.last),
            None => range_to_cidr(ip, self.last),
        };
        self.next = next(end, 1, self.last);
        Some((ip, cidr))
    }
}

fn hash_uadt(hash: &mut Hash, set_type: SetType, call: &Call) -> Result<(), SetError> {
    match set_type {
        SetType::HashIp => hash_ip(hash, call),
        SetType::HashNet | SetType::HashNetIface => hash_net(hash, set_type, call),
        SetType::HashNetPort => hash_net_port(hash, call),
        _ => hash_ip_port(hash, set_type, call),
    }
}

fn hash_ip(hash: &mut Hash, call: &Call) -> Result<(), SetError> {
    let ip = masked(call.request.ip, hash.netmask);
    if ip.is_unspecified() {
        return Err(SetError::HashElem);
    }
    if call.what == Adt::Test {
        return hash_one(hash, Key { ip, ..Key::default() }, call);
    }
    if call.request.ip_to == Some(Ipv4Addr::UNSPECIFIED) {
        return Err(SetError::HashElem);
    }
    let (first, last) = addresses(call.request, ip)?;
    let step = 1u32.checked_shl(32 - u32::from(hash.netmask)).unwrap_or(0);
    let mut at = Some(first);
    while let Some(ip) = at {
        hash_one(hash, Key { ip, ..Key::default() }, call)?;
        at = next(ip, step, last);
    }
    Ok(())
}

fn hash_net(hash: &mut Hash, set_type: SetType, call: &Call) -> Result<(), SetError> {
    let request = call.request;
    let any_length = set_type == SetType::HashNetIface;
    for (ip, cidr) in networks(request.ip, request.ip_to, request.cidr, any_length)? {
        hash_one(hash, Key { ip, cidr, ..Key::default() }, call)?;
    }
    Ok(())
}

/// First and last port; 0 for protocols without ports.
fn ports(request: &Request) -> Result<(u16, u16), SetError> {
    if request.proto == 0 {
        return Err(SetError::InvalidProto);
    }
    if !with_ports(request.proto) {
        return Ok((0, 0));
    }
    let to = request.port_to.unwrap_or(request.port);
    Ok((request.port.min(to), request.port.max(to)))
}

fn hash_net_port(hash: &mut Hash, call: &Call) -> Result<(), SetError> {
    let request = call.request;
    let (first, last) = ports(request)?;
    for (ip, cidr) in networks(request.ip, request.ip_to, request.cidr, false)? {
        for port in first..=last {
            hash_one(hash, Key { ip, cidr, port, proto: request.proto, ip2: Ipv4Addr::UNSPECIFIED }, call)?;
        }
    }
    Ok(())
}

fn hash_ip_port(hash: &mut Hash, set_type: SetType, call: &Call) -> Result<(), SetError> {
    let request = call.request;
    let proto = request.proto;
    let (first_port, last_port) = ports(request)?;
    let second = match set_type {
        SetType::HashIpPortNet => networks(request.ip2, request.ip2_to, request.cidr2, false)?,
        _ => Networks { next: Some(request.ip2), last: request.ip2, fixed: Some(0) },
    };
    let (first, last) = addresses(request, request.ip)?;
    let mut at = Some(first);
    while let Some(ip) = at {
        for port in first_port..=last_port {
            for (ip2, cidr) in second.clone() {
                hash_one(hash, Key { ip, ip2, port, proto, cidr }, call)?;
            }
        }
        at = next(ip, 1, last);
    }
    Ok(())
}

fn hash_one(hash: &mut Hash, key: Key, call: &Call) -> Result<(), SetError> {
    let probe = Probe { key, iface: call.request.iface.as_ref() };
    match call.what {
        Adt::Add => {
            let iface = call.request.iface.clone().map(Box::new);
            let entry = Entry { key, nomatch: call.request.nomatch, iface, ext: call.ext.clone() };
            hash.add(entry, call.exist, true, call.now)
        }
        Adt::Del => match hash.del(&probe, call.now) {
            Err(SetError::Exist) if call.exist => Ok(()),
            other => other,
        },
        Adt::Test => {
            let nomatch = match key.cidr {
                32 => hash.find_covering(&probe, call.now, |entry| Some(entry.nomatch)),
                _ => hash.get(&probe, call.now).map(|entry| entry.nomatch),
            };
            if nomatch == Some(call.request.nomatch) { Ok(()) } else { Err(SetError::Exist) }
        }
    }
}

fn bitmap_uadt(bitmap: &mut Bitmap, set_type: SetType, call: &Call) -> Result<(), SetError> {
    let request = call.request;
    let (from, to, shift) = match set_type {
        SetType::BitmapPort => {
            let from = u32::from(request.port);
            (from, request.port_to.map_or(from, u32::from), 0)
        }
        _ => {
            let from = request.ip;
            let (first, last) = addresses(request, from)?;
            let to = if request.ip_to.is_none() && request.cidr.is_none() { from } else { last };
            let from = if call.what == Adt::Test { from } else { first };
            (from.to_bits(), to.to_bits(), 32 - bitmap.netmask)
        }
    };
    let (from, to) = if call.what == Adt::Test { (from, from) } else { (from.min(to), from.max(to)) };
    if from < bitmap.first || to > bitmap.last {
        return Err(SetError::BitmapRange);
    }
    for id in (from - bitmap.first) >> shift..=(to - bitmap.first) >> shift {
        match call.what {
            Adt::Add => bitmap.add(id, call.ext.clone(), call.exist, call.now)?,
            Adt::Del => match bitmap.del(id, call.now) {
                Err(SetError::Exist) if call.exist => {}
                other => other?,
            },
            Adt::Test if bitmap.contains(id, call.now) => {}
            Adt::Test => return Err(SetError::Exist),
        }
    }
    Ok(())
}
