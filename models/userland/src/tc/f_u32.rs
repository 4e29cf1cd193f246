//! `u32`.

use glassnet_kernel::filter::{FilterData, filter_data};
use glassnet_kernel::net::sched::cls_u32::{U32Filter, U32Key, U32Table};

use super::filter::{FilterKind, Options, Request, Shown, classid, common, print_flags};
use super::not_modelled;
use super::units::sprint_classid;
use crate::iproute2::args::{Args, Done, Stop, number, prefix};
use crate::iproute2::out::Out;

pub static U32: FilterKind = FilterKind { id: "u32", handle, parse, print };

fn handle(text: &str) -> Result<(u32, Options), &'static str> {
    Ok((get_u32_handle(text).ok_or("Illegal filter ID\n")?, None))
}

/// Most words that a filter compares.
const MAX_KEYS: usize = 128;

/// `TABLE:BUCKET:FILTER`, hexadecimal; a number alone is a whole handle.
fn get_u32_handle(text: &str) -> Option<u32> {
    let hex = |text: &str, bits: u32| match text {
        "" => Some(0),
        _ => u32::from_str_radix(text.trim_start_matches("0x"), 16).ok().filter(|value| *value < 1 << bits),
    };
    let mut parts = text.split(':');
    let table = parts.next()?;
    let Some(bucket) = parts.next() else { return number(text) };
    let node = parts.next().map_or(Some(0), |node| hex(node, 12))?;
    Some(hex(table, 12)? << 20 | hex(bucket, 8)? << 12 | node)
}

fn parse(args: &mut Args, request: &mut Request) -> Done {
    let mut filter = None::<U32Filter>;
    while let Some(word) = args.take() {
        match word {
            "match" => {
                let keys = filter.get_or_insert_default().keys.get_or_insert_default();
                if !selector(args, keys)? {
                    return Err(Stop::failed("Illegal \"match\"\n"));
                }
            }
            "classid" | "flowid" => {
                let filter = filter.get_or_insert_default();
                (filter.classid, filter.terminal) = (Some(classid(args)?), true);
            }
            _ => {
                common("u32", word, args, request, include_str!("help/u32.txt"))?;
                let filter = filter.get_or_insert_default();
                filter.terminal |= !request.exts.actions.is_empty();
            }
        }
    }
    request.options = filter.map(|filter| Box::new(filter) as Box<dyn FilterData>);
    Ok(())
}

/// What stands behind `match`; false if it is wrong.
fn selector(args: &mut Args, keys: &mut Vec<U32Key>) -> Done<bool> {
    let header = args.value()?;
    match header {
        "u32" => generic(args, keys, 32),
        "u16" => generic(args, keys, 16),
        "u8" => generic(args, keys, 8),
        "ip" => match args.value()? {
            "src" => address(args, keys, 12),
            "dst" => address(args, keys, 16),
            "tos" | "dsfield" | "precedence" => field(args, keys, (1, false), 8),
            "ihl" => field(args, keys, (0, false), 8),
            "protocol" => field(args, keys, (9, false), 8),
            "nofrag" => Ok(pack(keys, (0, 0x3fff), (6, false), 16)),
            "firstfrag" => Ok(pack(keys, (0x2000, 0x3fff), (6, false), 16)),
            "df" => Ok(pack(keys, (0x4000, 0x4000), (6, false), 16)),
            "mf" => Ok(pack(keys, (0x2000, 0x2000), (6, false), 16)),
            "sport" => field(args, keys, (20, false), 16),
            "dport" => field(args, keys, (22, false), 16),
            "icmp_type" => field(args, keys, (20, false), 8),
            "icmp_code" => field(args, keys, (21, false), 8),
            _ => Ok(false),
        },
        "tcp" | "udp" => match args.value()? {
            "src" => field(args, keys, (0, true), 16),
            "dst" => field(args, keys, (2, true), 16),
            _ => Ok(false),
        },
        "icmp" => match args.value()? {
            "type" => field(args, keys, (0, true), 8),
            "code" => field(args, keys, (1, true), 8),
            _ => Ok(false),
        },
        "ip6" | "ether" | "mark" => Err(not_modelled(&format!("filter … u32 match {header}"))),
        _ => Ok(false),
    }
}

/// Adds a field of so many bits to the word that it is part of. False if that word is to have another value already.
fn pack(keys: &mut Vec<U32Key>, (val, mask): (u32, u32), (off, nexthdr): (i32, bool), bits: i32) -> bool {
    let shift = match bits {
        8 => 24 - (off & 3) * 8,
        // A half word anywhere but at the beginning of a word is its second half.
        16 if off & 3 == 0 => 16,
        16 => 0,
        _ if off & 3 == 0 => 0,
        _ => return false,
    };
    let (mask, off) = (mask << shift, off & !3);
    let val = val << shift & mask;
    let is_full = keys.len() >= MAX_KEYS;
    match keys.iter_mut().find(|key| key.off == off && key.nexthdr == nexthdr) {
        Some(key) if (val ^ key.val) & mask & key.mask != 0 => return false,
        Some(key) => (key.val, key.mask) = (key.val | val, key.mask | mask),
        None if is_full => return false,
        None => keys.push(U32Key { val, mask, off, nexthdr }),
    }
    true
}

/// A value, and a mask that is hexadecimal, both of so many bits.
fn value_and_mask(args: &mut Args, bits: i32) -> Done<Option<(u32, u32)>> {
    let fits = |value: &u32| bits == 32 || *value < 1 << bits;
    let value = number::<u32>(args.value()?).filter(fits);
    let mask = args.value()?;
    let digits = mask.strip_prefix("0x").or_else(|| mask.strip_prefix("0X")).unwrap_or(mask);
    let mask = u32::from_str_radix(digits, 16).ok().filter(fits);
    Ok(value.zip(mask))
}

fn field(args: &mut Args, keys: &mut Vec<U32Key>, at: (i32, bool), bits: i32) -> Done<bool> {
    Ok(value_and_mask(args, bits)?.is_some_and(|packed| pack(keys, packed, at, bits)))
}

/// `VALUE MASK at OFFSET`, from the network header on or, with `nexthdr+`, from the one behind it.
fn generic(args: &mut Args, keys: &mut Vec<U32Key>, bits: i32) -> Done<bool> {
    let Some(packed) = value_and_mask(args, bits)? else { return Ok(false) };
    let mut at = (0, false);
    if args.peek() == Some("at") {
        args.take();
        let text = args.value()?;
        let (text, nexthdr) = text.strip_prefix("nexthdr+").map_or((text, false), |off| (off, true));
        let Ok(off) = text.parse() else { return Ok(false) };
        at = (off, nexthdr);
    }
    Ok(pack(keys, packed, at, bits))
}

/// An address, perhaps with the length of a prefix.
fn address(args: &mut Args, keys: &mut Vec<U32Key>, off: i32) -> Done<bool> {
    let Some((address, len)) = prefix(args.value()?) else { return Ok(false) };
    let len = u32::from(len.unwrap_or(32));
    let mask = u32::MAX.checked_shl(32 - len).unwrap_or(0);
    Ok(pack(keys, (address.to_bits(), mask), (off, false), 32))
}

fn print(out: &mut Out, handle: u32, shown: &Shown) -> Done {
    let (table, bucket, node) = (handle >> 20, handle >> 12 & 0xff, handle & 0xfff);
    if let Some(U32Table { divisor }) = filter_data(shown.filter) {
        let fh = format!("{table:x}:");
        out.any("fh", fh.as_str(), format_args!("fh {fh} "));
        out.any("ht_divisor", *divisor, format_args!("ht divisor {divisor} "));
        return Ok(());
    }
    let Some(filter) = filter_data::<U32Filter>(shown.filter) else { return Ok(()) };
    let keys = filter.keys.as_deref().unwrap_or_default();
    if out.is_json() && keys.len() > 1 {
        // The real tool gives one name to all, and leaves objects open.
        return Err(not_modelled("-json filter … u32 with several matches"));
    }
    let fh = format!("{table:x}::{node:x}");
    out.any("fh", fh.as_str(), format_args!("fh {fh} "));
    out.any("order", node, format_args!("order {node} "));
    out.any("key_ht", format!("{table:x}"), format_args!("key ht {table:x} "));
    out.any("bkt", format!("{bucket:x}"), format_args!("bkt {bucket:x} "));
    if let Some(classid) = filter.classid {
        let classid = sprint_classid(classid);
        out.any("flowid", classid.as_str(), format_args!("*flowid {classid} "));
    } else if filter.terminal {
        out.text("terminal flowid ");
    }
    print_flags(out, shown.dump, ("", " "));
    for key in keys {
        let U32Key { val, mask, off, nexthdr } = key;
        let offmask = if *nexthdr { "nexthdr+" } else { "" };
        out.nl();
        out.open(Some("match"));
        out.json("value", format!("{val:x}"));
        out.json("mask", format!("{mask:x}"));
        out.json("offmask", offmask);
        out.json("off", *off);
        out.text(format_args!("  match {val:08x}/{mask:08x} at {offmask}{off}"));
        out.close();
    }
    Ok(())
}
