//! `/proc/net/pktgen`: the packet generator's control, threads and devices.
//!
//! Kernel: net/core/pktgen.c. What it answers to each word was recorded from Linux 6.1.
//!
//! Two commands at which the real kernel's writer never comes to an end, a line without a word and one whose number is
//! missing after `rate`, are refused with `EINVAL`.

use std::fmt::{Display, Write};
use std::net::Ipv4Addr;

use glassnet_kernel::Cx;
use glassnet_kernel::ids::NetnsId;
use glassnet_kernel::net::core::pktgen::device::{
    Current, DELAY_NEVER, F_FLOW_SEQ, MAX_CFLOWS, MIN_PKT_SIZE, PktgenDev, Settings, XmitMode, in_aton,
};
use glassnet_kernel::net::core::pktgen::{
    PktgenNet, VERSION, pktgen_add_device, pktgen_net, pktgen_rem_all_ifs, pktgen_reset_all_threads,
    pktgen_run_all_threads, pktgen_stop_all_threads,
};
use glassnet_kernel::netlink::Errno;
use glassnet_wire::Mac;

use super::{Blocking, Node, Tree, View};

/// The directory.
pub const TREE: Tree = Tree {
    path: "proc/net/pktgen",
    is_there: |view| pktgen_net(view.kernel, view.netns).is_some(),
    list: |view, parts| match parts {
        [] => Ok(names(view).into_iter().map(|name| (name, Node::File { mode: 0o600 })).collect()),
        [name] if names(view).iter().any(|known| known == name) => Err(Errno::ENOTDIR),
        _ => Err(Errno::ENOENT),
    },
    unlisted: |_, _| None,
    read,
    write: |cx, netns, parts, text| match parts {
        ["pgctrl"] => write_control(cx, netns, text),
        [name] if name.starts_with(THREAD) => write_thread(cx, netns, thread(name)?, text),
        [name] => write_device(cx, netns, name, text),
        _ => Err(Errno::ENOENT),
    },
};

/// The file that starts and ends runs: whoever wrote `start` waits for their end.
pub const CONTROL: Blocking = Blocking {
    path: "proc/net/pktgen/pgctrl",
    goes_on: |view| net(view).is_ok_and(|net| net.waiting),
    interrupt: pktgen_stop_all_threads,
};
/// Name of a thread, before the number of its CPU.
const THREAD: &str = "kpktgend_";

/// Names of flags; the bit is the place.
const FLAGS: [&str; 18] = [
    "IPV6",
    "IPSRC_RND",
    "IPDST_RND",
    "TXSIZE_RND",
    "UDPSRC_RND",
    "UDPDST_RND",
    "UDPCSUM",
    "NO_TIMESTAMP",
    "MPLS_RND",
    "QUEUE_MAP_RND",
    "QUEUE_MAP_CPU",
    "FLOW_SEQ",
    "IPSEC",
    "MACSRC_RND",
    "MACDST_RND",
    "VID_RND",
    "SVID_RND",
    "NODE",
];

/// Place of `FLOW_SEQ`.
const FLOW_SEQ: usize = F_FLOW_SEQ.trailing_zeros() as usize;

const FLAGS_HELP: &str = "IPSRC_RND, IPDST_RND, UDPSRC_RND, UDPDST_RND, MACSRC_RND, MACDST_RND, TXSIZE_RND, IPV6, \
    MPLS_RND, VID_RND, SVID_RND, FLOW_SEQ, QUEUE_MAP_RND, QUEUE_MAP_CPU, UDPCSUM, NO_TIMESTAMP, NODE_ALLOC";

/// Flags of what is not modelled: `IPV6` cannot be set in Linux either.
const UNSETTABLE: [&str; 2] = ["IPV6", "IPSEC"];

/// Settings that Linux has and this does not.
const NOT_MODELLED: &[&str] = &[
    "debug",
    "dst6",
    "dst6_max",
    "dst6_min",
    "frags",
    "imix_weights",
    "mpls",
    "spi",
    "src6",
    "svlan_cfi",
    "svlan_id",
    "svlan_p",
    "traffic_class",
    "vlan_cfi",
    "vlan_id",
    "vlan_p",
];

fn net<'v>(view: &View<'v>) -> Result<&'v PktgenNet, Errno> {
    pktgen_net(view.kernel, view.netns).ok_or(Errno::ENOENT)
}

fn names(view: &View) -> Vec<String> {
    let Ok(net) = net(view) else { return Vec::new() };
    let devs = net.threads.iter().flat_map(|thread| &thread.if_list).map(|dev| dev.name.clone());
    let threads = (0..net.threads.len()).map(|cpu| format!("{THREAD}{cpu}"));
    devs.chain(threads).chain(["pgctrl".to_owned()]).collect()
}

/// The number of a thread.
fn thread(name: &str) -> Result<usize, Errno> {
    name.strip_prefix(THREAD).and_then(|cpu| cpu.parse().ok()).ok_or(Errno::ENOENT)
}

fn read(view: &View, parts: &[&str]) -> Result<String, Errno> {
    let net = net(view)?;
    let [name] = parts else { return Err(Errno::ENOENT) };
    if *name == "pgctrl" {
        return Ok(format!("{VERSION}\n"));
    }
    if name.starts_with(THREAD) {
        let thread = net.threads.get(thread(name)?).ok_or(Errno::ENOENT)?;
        let devs = |running: bool| {
            let devs = thread.if_list.iter().filter(|dev| dev.run.running == running);
            devs.map(|dev| format!("{} ", dev.name)).collect::<String>()
        };
        let result = if thread.result.is_empty() { "NA" } else { &thread.result };
        return Ok(format!("Running: {}\nStopped: {}\nResult: {result}\n", devs(true), devs(false)));
    }
    let mut devs = net.threads.iter().flat_map(|thread| &thread.if_list);
    devs.find(|dev| dev.name == *name).map(|dev| show(view, dev)).ok_or(Errno::ENOENT)
}

/// A device with its settings, the state of its run and the result of the last command (`pktgen_if_show`).
fn show(view: &View, dev: &PktgenDev) -> String {
    let PktgenDev { name, set, cur, run, .. } = dev;
    let mut text = String::new();
    let mut line = |line: String| text += &format!("{line}\n");
    let (min, max) = (set.min_pkt_size, set.max_pkt_size);
    line(format!("Params: count {}  min_pkt_size: {min}  max_pkt_size: {max}", set.count));
    line(format!("     frags: 0  delay: {}  clone_skb: {}  ifname: {name}", set.delay, set.clone_skb));
    line(format!("     flows: {} flowlen: {}", set.flows, set.flowlen));
    line(format!("     queue_map_min: {}  queue_map_max: {}", set.queue_map.0, set.queue_map.1));
    if set.skb_priority != 0 {
        line(format!("     skb_priority: {}", set.skb_priority));
    }
    line(format!("     dst_min: {}  dst_max: {}", set.dst_min, set.dst_max));
    line(format!("     src_min: {}  src_max: {}", set.src_min, set.src_max));
    let own = view.kernel.devs[dev.dev].addr;
    let src_mac = if set.src_mac == Mac::default() { own } else { set.src_mac };
    line(format!("     src_mac: {src_mac} dst_mac: {}", set.dst_mac));
    let ((src_min, src_max), (dst_min, dst_max)) = (set.udp_src, set.udp_dst);
    line(format!(
        "     udp_src_min: {src_min}  udp_src_max: {src_max}  udp_dst_min: {dst_min}  udp_dst_max: {dst_max}"
    ));
    line(format!("     src_mac_count: {}  dst_mac_count: {}", set.src_mac_count, set.dst_mac_count));
    if set.tos != 0 {
        line(format!("     tos: 0x{:02x}", set.tos));
    }
    if set.burst > 1 {
        line(format!("     burst: {}", set.burst));
    }
    if set.node >= 0 {
        line(format!("     node: {}", set.node));
    }
    match set.xmit_mode {
        XmitMode::StartXmit => {}
        XmitMode::NetifReceive => line("     xmit_mode: netif_receive".to_owned()),
        XmitMode::QueueXmit => line("     xmit_mode: xmit_queue".to_owned()),
    }
    let flags = (0..FLAGS.len()).filter(|bit| set.flags >> bit & 1 != 0);
    let mut flags: Vec<&str> = flags.map(|bit| FLAGS[bit]).collect();
    if set.flows > 0 && set.flags & F_FLOW_SEQ == 0 {
        // The place of FLOW_SEQ, before flags of MAC addresses.
        let at = (0..FLOW_SEQ).filter(|bit| set.flags >> bit & 1 != 0).count();
        flags.insert(at, "FLOW_RND");
    }
    line(format!("     Flags: {}", flags.iter().map(|flag| format!("{flag}  ")).collect::<String>()));
    let us = |time: glassnet_sim::Nanos| time.0 / 1000;
    let stopped = if run.running { view.now } else { run.stopped_at };
    let (started, stopped, idle) = (us(run.started_at), us(stopped), us(run.idle));
    line(format!("Current:\n     pkts-sofar: {}  errors: {}", run.sofar, run.errors));
    line(format!("     started: {started}us  stopped: {stopped}us idle: {idle}us"));
    let (src, dst) = (cur.src_mac_offset, cur.dst_mac_offset);
    line(format!("     seq_num: {}  cur_dst_mac_offset: {dst}  cur_src_mac_offset: {src}", run.seq_num));
    line(format!("     cur_saddr: {}  cur_daddr: {}", cur.saddr[2], cur.daddr[2]));
    line(format!("     cur_udp_dst: {}  cur_udp_src: {}", cur.udp_dst, cur.udp_src));
    line(format!("     cur_queue_map: {}\n     flows: {}", cur.queue_map, cur.nflows));
    let result = if dev.result.is_empty() { "Idle" } else { &dev.result };
    let _ = writeln!(text, "Result: {result}");
    text
}

/// `start`, `stop` or `reset`. The last character of a write, a newline, does not count.
fn write_control(cx: &mut Cx, netns: NetnsId, text: &str) -> Result<(), Errno> {
    let mut chars = text.chars();
    chars.next_back();
    match chars.as_str() {
        "start" => pktgen_run_all_threads(cx, netns),
        "stop" => pktgen_stop_all_threads(cx, netns),
        "reset" => pktgen_reset_all_threads(cx, netns),
        _ => return Err(Errno::EINVAL),
    }
    Ok(())
}

/// A word of at most `max` characters, and what follows behind white space.
fn word(text: &str, max: usize) -> (&str, &str) {
    const SPACE: [char; 5] = ['"', '\n', '\r', '\t', ' '];
    let end = text.find(|c| SPACE.contains(&c) || c == '\0').unwrap_or(text.len());
    let end = text.char_indices().map(|(at, _)| at).nth(max).map_or(end, |most| most.min(end));
    (&text[..end], text[end..].trim_start_matches(|c| SPACE.contains(&c) || c == '='))
}

/// The number at the start of a text, of at most ten digits; 0 if there is none. And how many digits it has.
fn num_arg(text: &str) -> (u64, usize) {
    let digits = text.bytes().take(10).take_while(u8::is_ascii_digit);
    digits.fold((0, 0), |(value, count), digit| (value * 10 + u64::from(digit - b'0'), count + 1))
}

fn write_thread(cx: &mut Cx, netns: NetnsId, thread: usize, text: &str) -> Result<(), Errno> {
    let threads = pktgen_net(cx.k, netns).map_or(0, |net| net.threads.len());
    if thread >= threads {
        return Err(Errno::ENOENT);
    }
    let (name, rest) = word(word(text, 0).1, 39);
    let mut done = Ok(());
    let result = match name {
        "add_device" => {
            let (device, _) = word(rest, 31);
            done = pktgen_add_device(cx, netns, thread, device);
            match done {
                Ok(()) => format!("OK: add_device={device}"),
                Err(_) => format!("ERROR: can not add device {device}"),
            }
        }
        "rem_device_all" => {
            pktgen_rem_all_ifs(cx, netns, thread);
            "OK: rem_device_all".to_owned()
        }
        "max_before_softirq" => "OK: Note! max_before_softirq is obsoleted -- Do not use".to_owned(),
        _ => return Err(Errno::EINVAL),
    };
    let net: &mut PktgenNet = cx.k.netns[netns].generic.get_mut();
    net.threads[thread].result = result;
    done
}

fn write_device(cx: &mut Cx, netns: NetnsId, name: &str, text: &str) -> Result<(), Errno> {
    let net: &mut PktgenNet = cx.k.netns[netns].generic.get_mut();
    let dev = net.dev_mut(name).ok_or(Errno::ENOENT)?;
    let (parameter, value) = word(word(text, 0).1, 15);
    if NOT_MODELLED.contains(&parameter) {
        dev.result = format!("not modelled yet: {parameter}");
        return Err(Errno::EOPNOTSUPP);
    }
    let sharing = cx.k.devs[dev.dev].tx_skb_sharing;
    dev.result = set(dev, parameter, value, sharing)?;
    Ok(())
}

/// Changes a setting, and returns what is said of it.
///
/// # Errors
///
/// `EINVAL` for an unknown setting and an address that is none, `ENOTSUPP` for what the device or the mode cannot do.
fn set(dev: &mut PktgenDev, parameter: &str, value: &str, sharing: bool) -> Result<String, Errno> {
    let (number, digits) = num_arg(value);
    let PktgenDev { set, cur, .. } = dev;
    let said = match parameter {
        // What was not taken of a write is written once more: so the word without its first letter follows.
        "rate" | "ratep" if number == 0 => return unknown(dev, &parameter[digits.min(1)..]),
        "clone_skb" if number > 0 && (set.xmit_mode == XmitMode::NetifReceive || !sharing) => {
            return Err(Errno::ENOTSUPP);
        }
        "burst" if number > 1 && set.xmit_mode == XmitMode::QueueXmit => return Err(Errno::ENOTSUPP),
        "burst" if number > 1 && set.xmit_mode == XmitMode::StartXmit && !sharing => {
            return Err(Errno::ENOTSUPP);
        }
        "node" if number > 0 => return Ok("ERROR: node not possible".to_owned()),
        "xmit_mode" => return set_mode(set, word(value, 31).0),
        "flag" => return Ok(set_flag(set, word(value, 31).0)),
        "tos" => return Ok(set_tos(set, value)),
        "dst" | "dst_min" => set_address(&mut set.dst_min, "dst_min", value, &mut cur.daddr),
        "dst_max" => set_address(&mut set.dst_max, "dst_max", value, &mut cur.daddr),
        "src_min" => set_address(&mut set.src_min, "src_min", value, &mut cur.saddr),
        "src_max" => set_address(&mut set.src_max, "src_max", value, &mut cur.saddr),
        "dst_mac" => {
            set.dst_mac = mac_pton(value)?;
            format!("dstmac {}", set.dst_mac)
        }
        "src_mac" => {
            set.src_mac = mac_pton(value)?;
            format!("srcmac {}", set.src_mac)
        }
        "clear_counters" => {
            dev.clear_counters();
            "Clearing counters.\n".to_owned()
        }
        _ => match set_number(set, cur, parameter, number) {
            Some(said) => said,
            None => return unknown(dev, parameter),
        },
    };
    Ok(format!("OK: {said}"))
}

fn unknown(dev: &mut PktgenDev, parameter: &str) -> Result<String, Errno> {
    dev.result = format!("No such parameter \"{parameter}\"");
    Err(Errno::EINVAL)
}

/// Changes a setting that is a number; `None`: there is no such setting.
fn set_number(set: &mut Settings, cur: &mut Current, parameter: &str, number: u64) -> Option<String> {
    /// Sets, and returns how it is shown.
    fn put<T: Copy + Display>(setting: &mut T, to: T) -> String {
        *setting = to;
        to.to_string()
    }
    /// The same for a setting with which what the next packet has begins anew.
    fn begin<T: PartialEq + Copy + Display>(setting: &mut T, to: T, current: &mut T, first: T) -> String {
        if *setting != to {
            *current = first;
        }
        put(setting, to)
    }
    let size = (number as i32).max(MIN_PKT_SIZE);
    let (port, count) = (number as u16, number as u32);
    let value = match parameter {
        "count" => put(&mut set.count, number),
        "min_pkt_size" => begin(&mut set.min_pkt_size, size, &mut cur.pkt_size, size),
        "max_pkt_size" => begin(&mut set.max_pkt_size, size, &mut cur.pkt_size, size),
        "pkt_size" => {
            set.max_pkt_size = size;
            begin(&mut set.min_pkt_size, size, &mut cur.pkt_size, size)
        }
        "delay" => {
            let delay = if number == 0x7fff_ffff { DELAY_NEVER } else { number };
            put(&mut set.delay, delay)
        }
        "rate" => {
            set.delay = set.min_pkt_size as u64 * 8 * 1000 / number;
            number.to_string()
        }
        "ratep" => {
            set.delay = 1_000_000_000 / number;
            return Some(format!("rate={number}"));
        }
        "udp_src_min" => begin(&mut set.udp_src.0, port, &mut cur.udp_src, port),
        "udp_src_max" => begin(&mut set.udp_src.1, port, &mut cur.udp_src, port),
        "udp_dst_min" => begin(&mut set.udp_dst.0, port, &mut cur.udp_dst, port),
        "udp_dst_max" => begin(&mut set.udp_dst.1, port, &mut cur.udp_dst, port),
        "clone_skb" => put(&mut set.clone_skb, number as i32),
        "burst" => put(&mut set.burst, count.max(1)),
        "src_mac_count" => begin(&mut set.src_mac_count, count, &mut cur.src_mac_offset, 0),
        "dst_mac_count" => begin(&mut set.dst_mac_count, count, &mut cur.dst_mac_offset, 0),
        "node" => put(&mut set.node, 0),
        "flows" => put(&mut set.flows, count.min(MAX_CFLOWS)),
        "flowlen" => put(&mut set.flowlen, count),
        "queue_map_min" => put(&mut set.queue_map.0, port),
        "queue_map_max" => put(&mut set.queue_map.1, port),
        "skb_priority" => put(&mut set.skb_priority, number as i32),
        _ => return None,
    };
    Some(format!("{parameter}={value}"))
}

fn set_tos(set: &mut Settings, value: &str) -> String {
    let hex: String = value.chars().take(2).take_while(char::is_ascii_hexdigit).collect();
    match (hex.len(), u8::from_str_radix(&hex, 16)) {
        (2, Ok(tos)) => {
            set.tos = tos;
            format!("OK: tos=0x{tos:02x}")
        }
        _ => "ERROR: tos must be 00-ff".to_owned(),
    }
}

fn set_mode(set: &mut Settings, mode: &str) -> Result<String, Errno> {
    set.xmit_mode = match mode {
        "start_xmit" => XmitMode::StartXmit,
        "netif_receive" if set.clone_skb > 0 => return Err(Errno::ENOTSUPP),
        "netif_receive" => XmitMode::NetifReceive,
        "queue_xmit" => XmitMode::QueueXmit,
        other => {
            let modes = "Available modes: start_xmit, netif_receive";
            return Ok(format!("xmit_mode -:{other}:- unknown\n{modes}\n"));
        }
    };
    Ok(format!("OK: xmit_mode={mode}"))
}

/// Sets a flag, or takes it away after `!`.
fn set_flag(set: &mut Settings, flag: &str) -> String {
    let (name, is_off) = flag.strip_prefix('!').map_or((flag, false), |name| (name, true));
    let known = FLAGS.iter().position(|known| *known == name);
    let Some(bit) = known.filter(|_| is_off || !UNSETTABLE.contains(&name)) else {
        let help = "Available flags, (prepend ! to un-set flag):";
        return format!("Flag -:{flag}:- unknown\n{help}\n{FLAGS_HELP}\n");
    };
    set.flags = if is_off { set.flags & !(1 << bit) } else { set.flags | 1 << bit };
    format!("OK: flags=0x{:x}", set.flags)
}

/// Keeps an address as it was written. It is also the next.
fn set_address(
    setting: &mut String,
    parameter: &str,
    value: &str,
    [first, last, next]: &mut [Ipv4Addr; 3],
) -> String {
    let (text, _) = word(value, 31);
    if text != setting {
        text.clone_into(setting);
        let address = in_aton(text);
        *if parameter.ends_with("_max") { last } else { first } = address;
        *next = address;
    }
    format!("{parameter}={text}")
}

/// Six bytes in hexadecimal with colons between, at the start of the text.
fn mac_pton(text: &str) -> Result<Mac, Errno> {
    text.get(..17).and_then(|mac| mac.parse().ok()).ok_or(Errno::EINVAL)
}
