//! `skbedit`.
//!
//! iproute2: tc/m_skbedit.c

use glassnet_kernel::action::{TcAct, action_data};
use glassnet_kernel::net::sched::act_api::ActionDump;
use glassnet_kernel::net::sched::act_skbedit::Skbedit;
use glassnet_kernel::tables::skb::PacketType;

use super::Tc;
use super::action::{ActionKind, Parsed, bad, control_or, index, print_control, print_index};
use super::units::{get_tc_classid, sprint_classid};
use crate::iproute2::args::{Args, Done, Stop, matches, number};
use crate::iproute2::out::{Out, Value};

pub static SKBEDIT: ActionKind = ActionKind { id: "skbedit", parse, print };

const USAGE: &str = include_str!("help/skbedit.txt");

/// Names of `ptype`.
const PTYPES: [(&str, PacketType); 4] = [
    ("host", PacketType::Host),
    ("broadcast", PacketType::Broadcast),
    ("multicast", PacketType::Multicast),
    ("otherhost", PacketType::OtherHost),
];

fn mark(parm: &mut Skbedit, text: &str) -> Done {
    let (mark, mask) = text.split_once('/').map_or((text, None), |(mark, mask)| (mark, Some(mask)));
    parm.mark = Some(number(mark).ok_or_else(|| bad("Illegal mark\n"))?);
    if let Some(mask) = mask {
        parm.mask = Some(number(mask).ok_or_else(|| bad("Illegal mask\n"))?);
    }
    Ok(())
}

fn parse(_: &Tc, args: &mut Args) -> Done<Parsed> {
    args.take();
    if args.is_empty() {
        args.value()?;
    }
    let (mut parm, mut ok) = (Skbedit::default(), false);
    while let Some(word) = args.peek() {
        let is = |full: &str| matches(word, full);
        match word {
            _ if is("inheritdsfield") && !is("index") => parm.inheritdsfield = true,
            _ if is("help") => return Err(Stop::usage(USAGE)),
            _ => {
                let names = ["queue_mapping", "priority", "mark", "ptype"];
                let Some(name) = names.into_iter().find(|name| is(name)) else { break };
                args.take();
                let text = args.value()?;
                match name {
                    "queue_mapping" => {
                        let queue = number(text).ok_or_else(|| bad("Illegal queue_mapping\n"))?;
                        parm.queue_mapping = Some(queue);
                    }
                    "priority" => {
                        let priority = get_tc_classid(text).ok_or_else(|| bad("Illegal priority\n"))?;
                        parm.priority = Some(priority);
                    }
                    "mark" => mark(&mut parm, text)?,
                    _ => {
                        let ptype = PTYPES.into_iter().find(|(name, _)| matches(text, name));
                        let illegal = || bad(format!("Illegal ptype ({text})\n"));
                        parm.ptype = Some(ptype.ok_or_else(illegal)?.1);
                    }
                }
                ok = true;
                continue;
            }
        }
        ok = true;
        args.take();
    }
    let action = control_or(args, TcAct::Pipe)?;
    let index = index(args, "skbedit: Illegal \"index\"\n")?;
    if !ok && index == 0 {
        return Err(bad(USAGE));
    }
    Ok((Box::new(parm), action, index))
}

fn print(tc: &Tc, out: &mut Out, dump: &ActionDump) {
    let Some(parm) = action_data::<Skbedit>(dump.data.as_ref()) else { return };
    out.text("skbedit ");
    if let Some(queue) = parm.queue_mapping {
        out.any("queue_mapping", queue, format_args!("queue_mapping {queue}"));
    }
    if let Some(priority) = parm.priority {
        let priority = sprint_classid(priority);
        out.any("priority", priority.as_str(), format_args!(" priority {priority}"));
    }
    if let Some(mark) = parm.mark {
        out.any("mark", mark, format_args!(" mark {mark}"));
    }
    if let Some(mask) = parm.mask {
        out.any("mask", format!("{mask:x}"), format_args!("/{mask:#x}"));
    }
    if let Some((name, _)) = PTYPES.into_iter().find(|(_, ptype)| parm.ptype == Some(*ptype)) {
        out.any("ptype", name, format_args!(" ptype {name}"));
    }
    if parm.inheritdsfield {
        out.any("inheritdsfield", Value::Null, " inheritdsfield");
    }
    print_control(out, " ", dump.action, "");
    print_index(tc, out, dump, "\t ");
}
