//! `conntrack … expect`: the table of expected connections.
//!
//! Not modelled: `-I`, `-G` and `-D`.

use std::fmt::Write;

use glassnet_kernel::net::netfilter::nf_conntrack_netlink::{ctnetlink_exp_dump_table, ctnetlink_exp_flush};
use glassnet_kernel::tables::conntrack::event::ExpectEvent;
use glassnet_kernel::tables::conntrack::{EventKind, Expect, Tuple};
use glassnet_sim::Nanos;

use super::NAME;
use super::options::{Command, Options, other};
use super::show::{Format, proto_name};
use crate::process::{BOOT_TIME, Process};
use crate::stop::Done;

/// Head of a document.
pub const XML_HEAD: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<expect>\n";
/// Tail of a document.
pub const XML_TAIL: &str = "</expect>\n";

/// Runs a command on the table.
///
/// # Errors
///
/// A command that is not modelled.
pub fn run(process: &mut Process, options: &Options) -> Done<i32> {
    let netns = process.netns;
    match options.command {
        Some(Command::List) => list(process, options),
        Some(Command::Count) => {
            let count = process.syscall(|cx| ctnetlink_exp_dump_table(&cx.k.conntrack, netns).len());
            process.print(format!("{count}\n"));
        }
        Some(Command::Flush) => {
            process.syscall(|cx| ctnetlink_exp_flush(cx, netns));
            process.eprint(format!("{NAME}: expectation table has been emptied.\n"));
        }
        Some(Command::Stats) => stats(process),
        _ => return Err(other("not modelled yet: -I, -G and -D of expectations")),
    }
    Ok(0)
}

fn list(process: &mut Process, options: &Options) {
    let (netns, format) = (process.netns, options.format);
    let (entries, now) = process.syscall(|cx| (ctnetlink_exp_dump_table(&cx.k.conntrack, netns), cx.now));
    let shown = if options.filter.never { &[] } else { entries.as_slice() };
    if format.xml && !shown.is_empty() {
        process.print(XML_HEAD);
    }
    for entry in shown {
        let text = text(&entry.expect, &entry.master, entry.helper, now, format);
        process.print(format!("{}{text}\n", time(now, format)));
    }
    if format.xml && !shown.is_empty() {
        process.print(XML_TAIL);
    }
    process.eprint(format!("{NAME}: {} expectations have been shown.\n", shown.len()));
}

fn stats(process: &mut Process) {
    let (cpus, stats) = process.syscall(|cx| (cx.k.cpus.len(), cx.k.conntrack.net(process.netns).stats));
    for cpu in 0..cpus {
        let s = if cpu == 0 { stats } else { Default::default() };
        let (new, create, delete) = (s.expect_new, s.expect_create, s.expect_delete);
        process.print(format!(
            "cpu={cpu:<4}\texpect_new={new} expect_create={create} expect_delete={delete} \n"
        ));
    }
}

/// An event, with a newline.
pub fn event(event: &ExpectEvent, format: Format) -> String {
    let kind = match event.kind {
        _ if format.xml => "",
        EventKind::New => "    [NEW] ",
        EventKind::Update => " [UPDATE] ",
        EventKind::Destroy => "[DESTROY] ",
    };
    let text = text(&event.expect, &event.master, event.helper, event.at, format);
    format!("{}{kind}{text}\n", time(event.at, format))
}

/// The time in front of a line (`-o timestamp`).
fn time(at: Nanos, format: Format) -> String {
    if !format.timestamp || format.xml {
        return String::new();
    }
    let micros = at.0 / 1000 + BOOT_TIME * 1_000_000;
    format!("[{}.{:06}]\t", micros / 1_000_000, micros % 1_000_000)
}

fn text(expect: &Expect, master: &Tuple, helper: &str, now: Nanos, format: Format) -> String {
    let timeout = expect.expires_secs(now);
    let Tuple { src, dst, sport, dport, proto } = expect.tuple;
    let Tuple { src: from, dst: to, sport: fport, dport: tport, .. } = *master;
    let mut out = String::new();
    _ = if format.xml {
        write!(
            out,
            "<flow><layer3 protonum=\"2\" protoname=\"ipv4\"><expected><src>{src}</src><dst>{dst}</dst></expected>\
             <mask><src>255.255.255.255</src><dst>255.255.255.255</dst></mask>\
             <master><src>{from}</src><dst>{to}</dst></master></layer3>\
             <layer4 protonum=\"{proto}\" protoname=\"{name}\">\
             <expected><sport>{sport}</sport><dport>{dport}</dport></expected>\
             <mask><sport>0</sport><dport>65535</dport></mask>\
             <master><sport>{fport}</sport><dport>{tport}</dport></master></layer4>\
             <meta><helper-name>{helper}</helper-name><timeout>{timeout}</timeout><class>0</class></meta></flow>",
            name = proto_name(proto)
        )
    } else {
        write!(
            out,
            "{timeout} proto={proto} src={src} dst={dst} sport={sport} dport={dport} \
             mask-src=255.255.255.255 mask-dst=255.255.255.255 sport=0 dport=65535 \
             master-src={from} master-dst={to} sport={fport} dport={tport} class=0 helper={helper}"
        )
    };
    out
}

/// An expectation as `/proc/net/nf_conntrack_expect` shows it.
pub fn proc_line(expect: &Expect, helper: &str, now: Nanos) -> String {
    let Tuple { src, dst, sport, dport, proto } = expect.tuple;
    let timeout = expect.expires_secs(now);
    format!("{timeout} l3proto = 2 proto={proto} src={src} dst={dst} sport={sport} dport={dport} {helper}\n")
}
