//! `conntrack -E`: prints events.

use glassnet_kernel::net::netfilter::nf_conntrack_netlink::{
    ctnetlink_listen, ctnetlink_next_event, ctnetlink_unlisten,
};
use glassnet_kernel::tables::conntrack::CtEvent;
use glassnet_kernel::tables::conntrack::event::Message;

use super::expect;
use super::options::Options;
use super::show::{self, Shown};
use super::{NAME, XML_HEAD, XML_TAIL};
use crate::process::{BOOT_TIME, Process, Signal, Woken};
use crate::stop::Done;

/// Prints events until a signal arrives.
pub async fn run(process: &mut Process, options: &Options) -> Done<i32> {
    let about_expectations = options.table.as_deref() == Some("expect");
    for signal in [Signal::INT, Signal::TERM] {
        process.signals.catch(signal);
    }
    let (netns, machine) = (process.netns, process.machine);
    let kinds = if options.kinds == 0 { 7 } else { options.kinds };
    let listener = process.syscall(|cx| ctnetlink_listen(cx, netns, kinds, about_expectations));
    let mut shown = 0;
    loop {
        let woken = process
            .wait(None, |world| {
                let table = &world.kernel(machine).conntrack;
                table
                    .listeners
                    .get(&listener)
                    .is_some_and(|listener| !listener.queue.is_empty())
                    .then_some(())
            })
            .await;
        if matches!(woken, Woken::Signal(_)) {
            break;
        }
        while let Some(message) = process.syscall(|cx| ctnetlink_next_event(cx, listener)) {
            let text = match &message {
                Message::Conn(event) if options.filter.means(&event.conn, true) => line(event, options),
                Message::Conn(_) => continue,
                Message::Expect(event) => expect::event(event, options.format),
            };
            if options.format.xml && shown == 0 {
                process.print(if about_expectations { expect::XML_HEAD } else { XML_HEAD });
            }
            shown += 1;
            process.print(text);
        }
    }
    process.syscall(|cx| ctnetlink_unlisten(cx, listener));
    if options.format.xml && shown > 0 {
        process.print(if about_expectations { expect::XML_TAIL } else { XML_TAIL });
    }
    let what = if about_expectations { "expectation" } else { "flow" };
    process.eprint(format!("{NAME}: {shown} {what} events have been shown.\n"));
    Ok(0)
}

fn line(event: &CtEvent, options: &Options) -> String {
    let format = options.format;
    if format.xml {
        return show::xml(Shown::event(event)) + "\n";
    }
    let mut out = String::new();
    if format.timestamp {
        let micros = event.at.0 / 1000 + BOOT_TIME * 1_000_000;
        out.push_str(&format!("[{}.{:06}]\t", micros / 1_000_000, micros % 1_000_000));
    }
    out.push_str(&show::line(Shown::event(event), format));
    if let Some(portid) = event.portid.filter(|_| !format.save) {
        out.push_str(&format!(" [USERSPACE] portid={portid}"));
    }
    out.push('\n');
    out
}
