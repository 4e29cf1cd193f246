//! `gact`.
//!
//! iproute2: tc/m_gact.c

use glassnet_kernel::action::TcAct;
use glassnet_kernel::net::sched::act_api::ActionDump;
use glassnet_kernel::net::sched::act_gact::Gact;

use super::action::{ActionKind, FAILED, Parsed, control, index, print_control, print_index};
use super::{Tc, not_modelled};
use crate::iproute2::args::{Args, Done, Stop, matches};
use crate::iproute2::out::Out;

pub static GACT: ActionKind = ActionKind { id: "gact", parse, print };

/// The usage, behind another text: the real tool exits with it.
pub fn usage(text: &str) -> Stop {
    Stop::usage(format!("{text}{}", include_str!("help/gact.txt")))
}

fn parse(_: &Tc, args: &mut Args) -> Done<Parsed> {
    if args.peek() == Some("gact") {
        args.take();
        if args.peek().is_some_and(|word| matches(word, "index")) {
            return Ok((Box::new(Gact), TcAct::Ok, index(args, "Illegal \"index\"\n")?));
        }
    }
    let action = control(args).map_err(|stop| match stop.status {
        FAILED => usage(&stop.stderr),
        _ => stop,
    })?;
    if args.peek().is_some_and(|word| word.len() > 1 && matches(word, "random")) {
        return Err(not_modelled("… action gact random"));
    }
    Ok((Box::new(Gact), action, index(args, "Illegal \"index\"\n")?))
}

fn print(tc: &Tc, out: &mut Out, dump: &ActionDump) {
    out.text("gact ");
    print_control(out, "action ", dump.action, "");
    out.nl();
    out.open(Some("prob"));
    out.any("random_type", "none", "\t random type none");
    print_control(out, " ", TcAct::Ok, " ");
    out.any("val", 0, "val 0");
    out.close();
    print_index(tc, out, dump, "\t ");
}
