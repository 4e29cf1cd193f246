//! `route` of net-tools 2.10, IPv4.

use std::net::Ipv4Addr;

use glassnet_kernel::net::ipv4::fib_frontend::{rtm_delroute, rtm_newroute};
use glassnet_kernel::netlink::{Errno, NLM_F_CREATE, NLM_F_EXCL, NlError};
use glassnet_kernel::tables::fib_trie::inet_make_mask;
use glassnet_kernel::tables::route_types::{
    NexthopMsg, RT_TABLE_MAIN, RTAX_ADVMSS, RTAX_RTT, RTAX_WINDOW, RTPROT_BOOT, RouteMsg, RouteType, Scope,
};

use crate::process::{Process, Running};
use crate::procfs::View;
use crate::procfs::inet::route_rows;
use crate::stop::{Done, Stop};

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move { run(process) })
}

const USAGE: &str = "Usage: inet_route [-vF] del {-host|-net} Target[/prefix] [gw Gw] [metric M] [[dev] If]\n       \
    inet_route [-vF] add {-host|-net} Target[/prefix] [gw Gw] [metric M]\n                              \
    [netmask N] [mss Mss] [window W] [irtt I]\n                              \
    [mod] [dyn] [reinstate] [[dev] If]\n       \
    inet_route [-vF] add {-host|-net} Target[/prefix] [metric M] reject\n       \
    inet_route [-FC] flush      NOT supported\n";

const VERSION: &str = "net-tools 2.10\n+NEW_ADDRT +RTF_IRTT +RTF_REJECT +I18N +SELINUX\n\
    AF: (inet) +UNIX +INET +INET6 +IPX +AX25 +NETROM +X25 +ATALK +ECONET +ROSE -BLUETOOTH\n\
    HW:  +ETHER +ARC +SLIP +PPP +TUNNEL -TR +AX25 +NETROM +X25 +FR +ROSE +ASH +SIT +FDDI +HIPPI +HDLC/LAPB +EUI64 \n";

fn run(process: &mut Process) -> i32 {
    let (mut extended, mut cache, mut at) = (0, false, 0);
    let words = process.args().to_vec();
    while let Some(word) = words.get(at).filter(|word| word.starts_with('-')) {
        match word.as_str() {
            "-V" | "--version" => {
                process.print(VERSION);
                return 0;
            }
            "--numeric" | "-4" | "--fib" => {}
            "--extend" => extended += 1,
            "--cache" => cache = true,
            letters if !letters.starts_with("--") && letters[1..].chars().all(|c| "nveFC".contains(c)) => {
                extended += letters.matches('e').count();
                cache |= letters.contains('C');
            }
            other => {
                process.eprint(format!("not modelled yet: route {other}\n"));
                return 2;
            }
        }
        at += 1;
    }
    let rest: Vec<&str> = words[at..].iter().map(String::as_str).collect();
    let done = match rest.split_first() {
        None => Ok(show(process, extended, cache)),
        Some((&"add", rest)) => change(process, rest, true),
        Some((&("del" | "delete"), rest)) => change(process, rest, false),
        Some((word, _)) => Err(Stop::error(2, format!("not modelled yet: route {word}\n"))),
    };
    match done {
        Ok(text) => {
            process.print(text);
            0
        }
        Err(stop) => stop.say(process),
    }
}

fn show(process: &Process, extended: usize, cache: bool) -> String {
    if cache {
        return "Kernel IP routing cache\nSource          Destination     Gateway         Flags Metric Ref    Use \
                Iface\n"
            .to_owned();
    }
    let world = process.world();
    let view = View::new(&world, process.caller(&world));
    let mut text = "Kernel IP routing table\n".to_owned();
    text += match extended {
        0 => "Destination     Gateway         Genmask         Flags Metric Ref    Use Iface\n",
        1 => "Destination     Gateway         Genmask         Flags   MSS Window  irtt Iface\n",
        _ => {
            "Destination     Gateway         Genmask         Flags Metric Ref    Use Iface    MSS   Window irtt\n"
        }
    };
    for (msg, flags) in route_rows(&view) {
        text += &line(&view, &msg, flags, extended);
    }
    text
}

/// Length of TCP and IPv4 headers, bytes: column `MSS` minus `advmss`.
const HEADERS: u32 = 40;

fn line(view: &View, msg: &RouteMsg, flags: u32, extended: usize) -> String {
    let reject = flags & 0x200 != 0;
    let nexthop = msg.nexthops.first();
    let via = nexthop.and_then(|nh| nh.via).unwrap_or(Ipv4Addr::UNSPECIFIED).to_string();
    let via = if reject { "-".to_owned() } else { via };
    let dev = nexthop.and_then(|nh| nh.dev).map_or("-", |dev| view.name(dev));
    let known = [(1, 'U'), (2, 'G'), (4, 'H')];
    let letters: String = match reject {
        true if flags & 4 != 0 => "!H".to_owned(),
        true => "!".to_owned(),
        false => known.iter().filter(|(flag, _)| flags & flag != 0).map(|(_, letter)| *letter).collect(),
    };
    let (dst, genmask) = (msg.dst.to_string(), inet_make_mask(msg.dst_len).to_string());
    let metric = |which: usize| msg.metrics.0[which];
    let mss = if metric(RTAX_ADVMSS) > 0 { metric(RTAX_ADVMSS) + HEADERS } else { 0 };
    let (window, irtt) = (metric(RTAX_WINDOW), metric(RTAX_RTT) >> 3);
    let start = format!("{dst:<15} {via:<15} {genmask:<15} {letters:<5}");
    let references = if reject { "-" } else { "0" };
    match extended {
        0 => format!("{start} {:<6} {references:<2} {:>7} {dev}\n", msg.priority, 0),
        1 => format!("{start} {mss:>5} {window:<6} {irtt:>5} {dev}\n"),
        _ => format!(
            "{start} {:<6} {references:<2} {:>7} {dev:<8} {mss:<5} {window:<6} {irtt}\n",
            msg.priority, 0
        ),
    }
}

/// Arguments of a request.
struct Request {
    dst: Ipv4Addr,
    len: u8,
    gateway: Option<Ipv4Addr>,
    metric: u32,
    dev: Option<String>,
    reject: bool,
}

fn usage(text: &str) -> Stop {
    Stop::error(3, format!("{text}{USAGE}"))
}

fn address(word: &str) -> Done<Ipv4Addr> {
    word.parse().map_err(|_| Stop::error(1, format!("{word}: Unknown host\n")))
}

fn parse(words: &[&str]) -> Done<Request> {
    let mut request =
        Request { dst: Ipv4Addr::UNSPECIFIED, len: 0, gateway: None, metric: 0, dev: None, reject: false };
    let (forced, words) = match words.split_first() {
        Some((&"-net", rest)) => (Some(false), rest),
        Some((&"-host", rest)) => (Some(true), rest),
        _ => (None, words),
    };
    let Some((target, words)) = words.split_first() else { return Err(Stop::error(0, USAGE)) };
    let mut netmask = None;
    if *target != "default" {
        let (target, len) = target.split_once('/').map_or((*target, None), |(dst, len)| (dst, Some(len)));
        request.dst = address(target)?;
        if let Some(len) = len {
            let len = len.parse().ok().filter(|len| *len <= 32);
            netmask = Some(len.ok_or_else(|| usage(&format!("route: bogus netmask {target}\n")))?);
        }
    } else {
        netmask = Some(0);
    }
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().copied().ok_or_else(|| Stop::error(3, USAGE));
        match *word {
            "gw" | "gateway" => request.gateway = Some(address(value()?)?),
            "netmask" => {
                let mask = address(value()?)?.to_bits();
                if mask.leading_ones() + mask.trailing_zeros() < 32 {
                    return Err(usage("route: bogus netmask\n"));
                }
                netmask = Some(mask.leading_ones() as u8);
            }
            "metric" => request.metric = value()?.parse().unwrap_or(0),
            "reject" => request.reject = true,
            "dev" | "device" => request.dev = Some(value()?.to_owned()),
            option @ ("mss" | "window" | "irtt" | "mod" | "dyn" | "reinstate") => {
                return Err(Stop::error(2, format!("not modelled yet: route {option}\n")));
            }
            word if request.dev.is_none() => request.dev = Some(word.to_owned()),
            _ => return Err(Stop::error(3, USAGE)),
        }
    }
    request.len = match (forced, netmask) {
        (Some(true), Some(len)) if len != 32 => {
            return Err(usage("route: netmask doesn't make sense with host route\n"));
        }
        (_, Some(len)) => len,
        (Some(false), None) => class_len(request.dst),
        (_, None) => 32,
    };
    if request.dst & inet_make_mask(request.len) != request.dst {
        if netmask.is_none() {
            return Err(Stop::error(7, format!("SIOCADDRT: {}\n", Errno::EINVAL.strerror())));
        }
        return Err(usage("route: netmask doesn't match route address\n"));
    }
    Ok(request)
}

/// The length of the mask of the address's class, or of a host if it has bits beyond it.
fn class_len(dst: Ipv4Addr) -> u8 {
    match dst.to_bits() >> 28 {
        0..8 => 8,
        8..12 => 16,
        _ => 24,
    }
}

fn change(process: &Process, words: &[&str], add: bool) -> Done<String> {
    let request = parse(words)?;
    let (netns, call) = (process.netns, if add { "SIOCADDRT" } else { "SIOCDELRT" });
    let failed = |errno: Errno| Stop::error(7, format!("{call}: {}\n", errno.strerror()));
    let done = process.syscall(|cx| {
        let dev = match &request.dev {
            Some(name) => Some(cx.k.dev_by_name(netns, name).ok_or(NlError::from(Errno::ENODEV))?),
            None => None,
        };
        // A route needs a gateway or a device.
        if add && !request.reject && dev.is_none() && request.gateway.is_none() {
            return Err(Errno::ENODEV.into());
        }
        let msg = message(&request, dev, add);
        match add {
            true => rtm_newroute(cx, netns, &msg, NLM_F_CREATE | NLM_F_EXCL),
            false => rtm_delroute(cx, netns, &msg),
        }
    });
    done.map(|()| String::new()).map_err(|error| failed(error.errno))
}

/// The netlink form of the request (`rtentry_to_fib_config`).
fn message(request: &Request, dev: Option<glassnet_kernel::ids::DevId>, add: bool) -> RouteMsg {
    let nexthop = NexthopMsg { dev, via: request.gateway, ..NexthopMsg::default() };
    let named = dev.is_some() || request.gateway.is_some();
    let scope = match (request.gateway, add) {
        (_, false) => Scope::NOWHERE,
        (None, true) if !request.reject => Scope::LINK,
        _ => Scope::UNIVERSE,
    };
    RouteMsg {
        table: RT_TABLE_MAIN,
        kind: match request.reject {
            true => RouteType::Unreachable,
            false if add => RouteType::Unicast,
            false => RouteType::Unspec,
        },
        dst: request.dst,
        dst_len: request.len,
        scope,
        protocol: if add { RTPROT_BOOT } else { 0 },
        priority: request.metric,
        nexthops: if named && !request.reject { vec![nexthop] } else { Vec::new() },
        ..RouteMsg::default()
    }
}
