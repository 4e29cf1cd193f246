//! `conntrack` of conntrack-tools 1.4.7.
//!
//! The listing is in the order in which connections were made; the real tool's depends on a random seed. `-S` shows
//! all counts with CPU 0.

mod events;
pub mod expect;
mod filter;
mod options;
pub mod show;

use glassnet_kernel::Cx;
use glassnet_kernel::net::netfilter::nf_conntrack_netlink::{
    CtChange, ctnetlink_change_conntrack, ctnetlink_create_conntrack, ctnetlink_del_conntrack,
    ctnetlink_dump_table, ctnetlink_flush_conntrack, ctnetlink_get_conntrack, ctnetlink_zero,
};
use glassnet_kernel::net::netfilter::nf_nat_core::NatRange;
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::conntrack::{Conn, CtId, Tuple};
use glassnet_sim::Nanos;

use crate::process::{Process, Running};
use crate::stop::Done;
use options::{Command, Options, other};
use show::{Format, Shown};

const HELP: &str = include_str!("help.txt");
const NAME: &str = "conntrack v1.4.7 (conntrack-tools)";
const XML_HEAD: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<conntrack>\n";
const XML_TAIL: &str = "</conntrack>\n";

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let outcome = match options::parse(process.args()) {
            Ok(options) if options.command == Some(Command::Events) => events::run(process, &options).await,
            Ok(options) => run(process, &options),
            Err(stop) => Err(stop),
        };
        outcome.unwrap_or_else(|stop| stop.say(process))
    })
}

fn run(process: &mut Process, options: &Options) -> Done<i32> {
    if options.table.as_deref() == Some("expect") {
        return expect::run(process, options);
    }
    match options.command {
        None | Some(Command::Help | Command::Events) => process.print(HELP),
        Some(Command::Version) => process.print(format!("{NAME}\n")),
        Some(Command::List) => list(process, options),
        Some(Command::Get) => return get(process, options),
        Some(Command::Delete) => return Ok(delete(process, options)),
        Some(Command::Create | Command::Add) => return create(process, options),
        Some(Command::Update) => return update(process, options),
        Some(Command::Flush) => {
            let (netns, pid) = (process.netns, process.pid);
            process.syscall(|cx| ctnetlink_flush_conntrack(cx, netns, pid));
            process.eprint(format!("{NAME}: connection tracking table has been emptied.\n"));
        }
        Some(Command::Count) => {
            let count = process.syscall(|cx| cx.k.conntrack.net(process.netns).count);
            process.print(format!("{count}\n"));
        }
        Some(Command::Stats) => stats(process),
    }
    Ok(0)
}

/// The connections that match the options, and the time.
fn chosen(cx: &mut Cx, process: &Process, options: &Options, by_mark: bool) -> (Vec<CtId>, Nanos) {
    let mut found = ctnetlink_dump_table(cx, process.netns);
    found.retain(|id| cx.k.conntrack.get(*id).is_some_and(|conn| options.filter.means(conn, by_mark)));
    (found, cx.now)
}

/// A connection; `more`: how often the request itself holds it beside the table.
fn text(cx: &Cx, id: CtId, now: Nanos, more: u32, format: Format) -> Option<String> {
    let conn = cx.k.conntrack.get(id)?;
    let shown = Shown::entry(conn, now, conn.uses() + more);
    Some(if format.xml { show::xml(shown) } else { show::line(shown, format) })
}

/// Prints connections, then their number.
fn print(process: &mut Process, lines: &[String], format: Format, done: &str) {
    if format.xml && !lines.is_empty() {
        process.print(XML_HEAD);
    }
    for line in lines {
        process.print(format!("{line}\n"));
    }
    if format.xml && !lines.is_empty() {
        process.print(XML_TAIL);
    }
    process.eprint(format!("{NAME}: {} flow entries have been {done}.\n", lines.len()));
}

fn list(process: &mut Process, options: &Options) {
    let pending = matches!(options.table.as_deref(), Some("dying" | "unconfirmed"));
    let lines = process.syscall(|cx| {
        let (found, now) = if pending { (Vec::new(), cx.now) } else { chosen(cx, process, options, true) };
        let mut lines = Vec::new();
        for id in found {
            lines.extend(text(cx, id, now, 0, options.format));
            if options.zero {
                ctnetlink_zero(cx, id);
            }
        }
        lines
    });
    print(process, &lines, options.format, "shown");
}

fn delete(process: &mut Process, options: &Options) -> i32 {
    let pid = process.pid;
    let lines = process.syscall(|cx| {
        let (found, now) = chosen(cx, process, options, true);
        let mut lines = Vec::new();
        for id in found {
            lines.extend(text(cx, id, now, 0, options.format));
            ctnetlink_del_conntrack(cx, id, pid);
        }
        lines
    });
    print(process, &lines, options.format, "deleted");
    i32::from(lines.is_empty())
}

/// The tuples of both directions that the options describe.
fn tuples(options: &Options) -> Option<[Tuple; 2]> {
    let filter = &options.filter;
    let proto = filter.proto?;
    let end = |(src, dst): (Option<filter::Network>, Option<filter::Network>), ports: Option<(u16, u16)>| {
        let (sport, dport) = ports?;
        Some(Tuple { src: src?.0, dst: dst?.0, sport, dport, proto })
    };
    let [sport, dport, rsport, rdport] = filter.ports;
    let (ports, rports) = match proto {
        1 => {
            let [kind, code, id] = filter.icmp.map(|value| value.unwrap_or(0));
            let ports = (id, kind << 8 | code & 0xff);
            let reply = Tuple { sport: ports.0, dport: ports.1, proto, ..Tuple::default() }.inverted();
            (Some(ports), reply.map(|reply| (reply.sport, reply.dport)))
        }
        6 | 17 | 33 | 132 | 136 => (sport.zip(dport), rsport.zip(rdport)),
        _ => (Some((0, 0)), Some((0, 0))),
    };
    // A direction without options is the inverse of the other.
    let one = |network: (Option<_>, Option<_>)| network.0.is_some() || network.1.is_some();
    match (one(filter.orig), one(filter.reply)) {
        (true, true) => Some([end(filter.orig, ports)?, end(filter.reply, rports)?]),
        (true, false) => end(filter.orig, ports).and_then(|original| Some([original, original.inverted()?])),
        (false, _) => {
            // Without reply ports, the tool omits the protocol.
            let reply = match rports {
                Some(_) => end(filter.reply, rports)?,
                None => Tuple { proto: 0, ..end(filter.reply, Some((0, 0)))? },
            };
            Some([reply.inverted()?, reply])
        }
    }
}

fn zones(options: &Options) -> [u16; 2] {
    let both = options.filter.zone.unwrap_or(0);
    [options.filter.zones.0.unwrap_or(both), options.filter.zones.1.unwrap_or(both)]
}

fn get(process: &mut Process, options: &Options) -> Done<i32> {
    let netns = process.netns;
    // Looked up by the original tuple.
    let Some([original, _]) = tuples(options).filter(|_| options.filter.orig.0.is_some()) else {
        return Err(other("Operation failed: invalid parameters"));
    };
    let line = process.syscall(|cx| {
        let id = ctnetlink_get_conntrack(cx, netns, zones(options), &original)?;
        let now = cx.now;
        text(cx, id, now, 1, options.format)
    });
    match line {
        Some(line) => {
            print(process, &[line], options.format, "shown");
            Ok(0)
        }
        None => Err(other("Operation failed: such conntrack doesn't exist")),
    }
}

fn change(options: &Options) -> CtChange {
    CtChange {
        timeout: options.timeout,
        mark: options.filter.mark,
        status: options.filter.status.map(|(set, _)| set),
        state: options.filter.state,
        sctp_state: options.filter.sctp_state,
        vtags: options.vtags,
    }
}

fn create(process: &mut Process, options: &Options) -> Done<i32> {
    let (netns, pid) = (process.netns, process.pid);
    let Some(tuples) = tuples(options) else {
        return Err(other("Operation failed: invalid parameters"));
    };
    let range = |nat: Option<filter::Nat>| {
        let filter::Nat { address, port } = nat?;
        let address = address?;
        let ports = port.map(|port| (port, port));
        Some(NatRange { addrs: Some((address, address)), ports, ..NatRange::default() })
    };
    let nat = [range(options.filter.dst_nat), range(options.filter.src_nat)];
    let (zones, change) = (zones(options), change(options));
    let made = process.syscall(|cx| ctnetlink_create_conntrack(cx, netns, zones, tuples, change, nat, pid));
    let adds = options.command == Some(Command::Add);
    let done = if adds { "added" } else { "created" };
    match made {
        Ok(()) => {
            process.eprint(format!("{NAME}: 1 flow entries have been {done}.\n"));
            Ok(0)
        }
        Err(Errno::EEXIST) if adds => {
            process.eprint(format!("{NAME}: 0 flow entries have been {done}.\n"));
            Ok(0)
        }
        Err(Errno::EEXIST) => Err(other("Operation failed: Such conntrack exists, try -U to update")),
        Err(errno) => Err(other(format!("Operation failed: {}", errno.strerror()))),
    }
}

/// The change has no effect.
fn is_idle(conn: &Conn, change: CtChange) -> bool {
    let mark = change.mark.is_some_and(|(mark, mask)| conn.mark & !mask ^ mark != conn.mark);
    let status = change.status.is_some_and(|status| conn.status & status != status);
    !mark && !status && change.timeout.is_none() && change.state.is_none()
}

fn update(process: &mut Process, options: &Options) -> Done<i32> {
    let (pid, wanted) = (process.pid, change(options));
    let outcome = process.syscall(|cx| {
        let (found, now) = chosen(cx, process, options, false);
        let mut lines = Vec::new();
        for id in found {
            if cx.k.conntrack.get(id).is_none_or(|conn| is_idle(conn, wanted)) {
                continue;
            }
            if !options.family {
                // A request without address family, which the kernel refuses.
                return Err(Errno::EOPNOTSUPP);
            }
            ctnetlink_change_conntrack(cx, id, wanted, pid)?;
            lines.extend(text(cx, id, now, 1, options.format));
        }
        Ok(lines)
    });
    match outcome {
        Ok(lines) => {
            print(process, &lines, options.format, "updated");
            Ok(i32::from(lines.is_empty()))
        }
        Err(errno) => {
            let text = format!("Operation failed: {}", errno.strerror());
            process.eprint(format!("{text}\n"));
            Err(other(text))
        }
    }
}

fn stats(process: &mut Process) {
    let (cpus, stats) = process.syscall(|cx| (cx.k.cpus.len(), cx.k.conntrack.net(process.netns).stats));
    for cpu in 0..cpus {
        let s = if cpu == 0 { stats } else { Default::default() };
        process.print(format!(
            "cpu={cpu:<4}\tfound={} invalid={} insert={} insert_failed={} drop={} early_drop={} error={} \
             search_restart={} clash_resolve={} chaintoolong={} \n",
            s.found,
            s.invalid,
            s.insert,
            s.insert_failed,
            s.drop,
            s.early_drop,
            s.error,
            s.search_restart,
            s.clash_resolve,
            s.chaintoolong,
        ));
    }
}
