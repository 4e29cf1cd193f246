//! `ethtool -x`, `-X`, `-n` and `-N`: how a card spreads flows over its rings.

use glassnet_hardware::rss::HashFields;
use glassnet_kernel::ids::DevId;
use glassnet_kernel::link::{EthtoolOps, Rxfh};
use glassnet_kernel::netlink::Errno;

use super::{Said, bad_command_line};
use crate::process::Process;
use crate::procfs::View;
use crate::stop::Stop;

/// Device and driver, or why there is no answer.
fn find(process: &Process, name: &str) -> Result<(DevId, &'static EthtoolOps), Errno> {
    let world = process.world();
    let view = View::new(&world, process.caller(&world));
    view.dev(name).map(|dev| (dev.id, &dev.ops.ethtool)).ok_or(Errno::ENODEV)
}

fn cannot(what: &str, errno: Errno) -> Stop {
    Stop::error(1, format!("Cannot {what}: {}\n", errno.strerror()))
}

fn rxfh(process: &Process, name: &str) -> Result<(DevId, &'static EthtoolOps, Rxfh), Stop> {
    let (id, ops) = find(process, name).map_err(|errno| cannot("get RX ring count", errno))?;
    let get = ops.get_rxfh.ok_or_else(|| cannot("get RX ring count", Errno::EOPNOTSUPP))?;
    let world = process.world();
    Ok((id, ops, get(&world.kernel(process.machine).devs[id])))
}

/// `ethtool -x DEVICE`.
pub(super) fn show(process: &Process, name: &str, words: &[&str]) -> Said {
    if !words.is_empty() {
        return Err(bad_command_line());
    }
    let (_, _, Rxfh { indirection, rings }) = rxfh(process, name)?;
    let mut text = format!("RX flow hash indirection table for {name} with {rings} RX ring(s):\n");
    for (row, entries) in indirection.chunks(8).enumerate() {
        let entries: String = entries.iter().map(|ring| format!(" {ring:5}")).collect();
        text += &format!("{:5}: {entries}\n", row * 8);
    }
    let hash = "RSS hash key:\nOperation not supported\nRSS hash function:\n    toeplitz: on\n    xor: off\n    crc32: off\n";
    Ok(text + hash)
}

/// `ethtool -X DEVICE equal N | weight W… | default`.
pub(super) fn set(process: &Process, name: &str, words: &[&str]) -> Said {
    let number = |text: &str| text.parse::<u32>().map_err(|_| bad_command_line());
    let weights: Vec<u32> = match words {
        ["equal", rings] => match number(rings)? {
            0 => return Err(bad_command_line()),
            // As many as there can be are refused below.
            rings => vec![1; rings.min(1 << 16) as usize],
        },
        ["weight", weights @ ..] if !weights.is_empty() => {
            weights.iter().map(|weight| number(weight)).collect::<Result<_, _>>()?
        }
        ["default"] => Vec::new(),
        ["hkey" | "hfunc" | "context" | "delete" | "start", ..] => {
            return Err(Stop::error(2, format!("not modelled yet: ethtool -X {name} {}\n", words[0])));
        }
        _ => return Err(bad_command_line()),
    };
    let (id, ops, Rxfh { indirection, rings }) = rxfh(process, name)?;
    let weights = if weights.is_empty() { vec![1; rings] } else { weights };
    if weights.iter().all(|weight| *weight == 0) {
        return Err(Stop::error(2, "At least one weight must be non-zero\n"));
    }
    if weights.iter().filter(|weight| **weight > 0).count() > indirection.len() {
        return Err(Stop::error(2, "Total weight exceeds the size of the indirection table\n"));
    }
    let table = spread(&weights, indirection.len());
    if table.iter().any(|ring| *ring as usize >= rings) {
        return Err(cannot("set RX flow hash configuration", Errno::EINVAL));
    }
    let set = ops.set_rxfh.ok_or_else(|| cannot("set RX flow hash configuration", Errno::EOPNOTSUPP))?;
    process.syscall(|cx| set(cx, id, &table));
    Ok(String::new())
}

/// Entries of a table in the order of the rings, each with its share. Equal shares take turns.
fn spread(weights: &[u32], entries: usize) -> Vec<u32> {
    if weights.iter().all(|weight| *weight == 1) {
        return (0..entries).map(|entry| (entry % weights.len()) as u32).collect();
    }
    let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    let (mut table, mut partial) = (Vec::with_capacity(entries), 0);
    for (ring, weight) in weights.iter().enumerate() {
        partial += u64::from(*weight);
        let end = (entries as u64 * partial / sum) as usize;
        table.resize(end.max(table.len()), ring as u32);
    }
    table
}

/// Kinds of flows that a hash can be asked for, with their headings.
const FLOWS: [(&str, &str); 4] = [
    ("tcp4", "TCP over IPV4 flows"),
    ("udp4", "UDP over IPV4 flows"),
    ("tcp6", "TCP over IPV6 flows"),
    ("udp6", "UDP over IPV6 flows"),
];

/// `ethtool -n DEVICE [rx-flow-hash FLOW]`.
pub(super) fn show_rule(process: &Process, name: &str, words: &[&str]) -> Said {
    let flow = match words {
        [] => return Err(show_rules(process, name)),
        ["rx-flow-hash", flow] => *flow,
        _ => return Err(bad_command_line()),
    };
    let Some((_, heading)) = FLOWS.iter().find(|(known, _)| *known == flow) else {
        return Err(bad_command_line());
    };
    let what = "get RX network flow hashing options";
    let (id, ops) = find(process, name).map_err(|errno| cannot(what, errno))?;
    let get = ops.get_rxnfc.ok_or_else(|| cannot(what, Errno::EOPNOTSUPP))?;
    let fields = get(&process.world().kernel(process.machine).devs[id]);
    let ports = if flow.starts_with("tcp") { fields.tcp_ports } else { fields.udp_ports };
    let ports =
        if ports { "L4 bytes 0 & 1 [TCP/UDP src port]\nL4 bytes 2 & 3 [TCP/UDP dst port]\n" } else { "" };
    Ok(format!("{heading} use these fields for computing Hash flow key:\nIP SA\nIP DA\n{ports}\n"))
}

/// There are no rules: the rings of a card that has several are counted all the same.
fn show_rules(process: &Process, name: &str) -> Stop {
    let rings = find(process, name).and_then(|(id, ops)| {
        let get = ops.get_rxfh.ok_or(Errno::EOPNOTSUPP)?;
        Ok(get(&process.world().kernel(process.machine).devs[id]).rings)
    });
    match rings {
        Ok(rings) => Stop::shown(format!("{rings} RX rings available\nTotal 0 rules\n\n")),
        Err(errno) => {
            let errno = errno.strerror();
            Stop::error(
                1,
                format!(
                    "Cannot get RX rings: {errno}\nrxclass: Cannot get RX class rule count: {errno}\n\
                     RX classification rule retrieval failed\n"
                ),
            )
        }
    }
}

/// `ethtool -N DEVICE rx-flow-hash FLOW FIELDS`. What the driver refuses ends with status 0, as it does with the real tool.
pub(super) fn set_rule(process: &Process, name: &str, words: &[&str]) -> Said {
    let (flow, fields) = match words {
        ["rx-flow-hash", flow, fields] if FLOWS.iter().any(|(known, _)| known == flow) => (*flow, *fields),
        ["flow-type" | "delete", ..] => {
            return Err(Stop::error(2, format!("not modelled yet: ethtool -N {name} {}\n", words[0])));
        }
        _ => return Err(bad_command_line()),
    };
    if fields.is_empty() || !fields.bytes().all(|field| b"mvtsdfnr".contains(&field)) {
        return Err(bad_command_line());
    }
    let refused = |errno: Errno| {
        let text = errno.strerror();
        Stop::error(0, format!("Cannot change RX network flow hashing options: {text}\n"))
    };
    let (id, ops) = find(process, name).map_err(refused)?;
    let (Some(get), Some(set)) = (ops.get_rxnfc, ops.set_rxnfc) else {
        return Err(refused(Errno::EOPNOTSUPP));
    };
    let now = get(&process.world().kernel(process.machine).devs[id]);
    let with_ports = match fields {
        "sd" | "ds" => false,
        "sdfn" => true,
        _ => return Err(refused(Errno::EINVAL)),
    };
    let wanted = match flow {
        "udp4" | "udp6" => HashFields { udp_ports: with_ports, ..now },
        _ if with_ports => now,
        _ => return Err(refused(Errno::EINVAL)),
    };
    process.syscall(|cx| set(cx, id, wanted));
    Ok(String::new())
}
