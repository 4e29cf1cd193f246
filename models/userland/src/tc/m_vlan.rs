//! `vlan`.
//!
//! iproute2: tc/m_vlan.c

use glassnet_kernel::action::{TcAct, action_data};
use glassnet_kernel::net::sched::act_api::ActionDump;
use glassnet_kernel::net::sched::act_vlan::{Vlan, VlanParm};
use glassnet_kernel::tables::vlan_tag::VlanProto;

use super::action::{ActionKind, Parsed, bad, control_or, index, print_control, print_index};
use super::{Tc, not_modelled};
use crate::iproute2::args::{Args, Done, Stop, invarg, matches, number};
use crate::iproute2::ll_proto::{ll_proto_a2n, ll_proto_n2a};
use crate::iproute2::out::Out;

pub static VLAN: ActionKind = ActionKind { id: "vlan", parse, print };

const USAGE: &str = include_str!("help/vlan.txt");

/// What was read.
#[derive(Default)]
struct Words {
    what: Option<&'static str>,
    id: Option<u16>,
    proto: Option<u16>,
    priority: Option<u8>,
}

impl Words {
    fn read(&mut self, args: &mut Args) -> Done {
        let known = ["pop", "push", "modify", "pop_eth", "push_eth"];
        loop {
            let Some(word) = args.peek() else { return Ok(()) };
            let what = known.into_iter().find(|known| matches(word, known));
            match what {
                Some(_) if self.what.is_some() => {
                    return Err(bad(format!("unexpected \"{word}\"\n{USAGE}")));
                }
                Some(eth @ ("pop_eth" | "push_eth")) => {
                    return Err(not_modelled(&format!("… action vlan {eth}")));
                }
                Some(what) => self.what = Some(what),
                None => {
                    let name = ["id", "protocol", "priority"].into_iter().find(|name| matches(word, name));
                    let Some(name) = name else { break };
                    if !self.has_tag() {
                        return Err(invarg("only valid for push/modify", word));
                    }
                    args.take();
                    self.of_tag(name, args.value()?)?;
                    continue;
                }
            }
            args.take();
        }
        match args.peek() {
            Some(word) if matches(word, "help") => Err(Stop::usage(USAGE)),
            _ => Ok(()),
        }
    }

    fn has_tag(&self) -> bool {
        matches!(self.what, Some("push" | "modify"))
    }

    fn of_tag(&mut self, name: &str, text: &str) -> Done {
        match name {
            "id" => self.id = Some(number(text).ok_or_else(|| invarg("id is invalid", text))?),
            "protocol" => {
                self.proto = Some(ll_proto_a2n(text).ok_or_else(|| invarg("protocol is invalid", text))?);
            }
            _ => {
                let priority = number::<u8>(text).filter(|priority| *priority < 8);
                self.priority = Some(priority.ok_or_else(|| invarg("prio is invalid", text))?);
            }
        }
        Ok(())
    }
}

fn parse(_: &Tc, args: &mut Args) -> Done<Parsed> {
    args.take();
    if args.is_empty() {
        args.value()?;
    }
    let mut words = Words::default();
    words.read(args)?;
    let action = control_or(args, TcAct::Pipe)?;
    let index = index(args, "vlan: Illegal \"index\"\n")?;
    let what = words.what.unwrap_or_default();
    let Some(id) = words.id.or(if words.has_tag() { None } else { Some(0) }) else {
        return Err(bad(format!("id needs to be set for {what}\n{USAGE}")));
    };
    let Some(proto) = words.proto.map_or(Some(VlanProto::Dot1Q), VlanProto::of) else {
        return Err(bad(format!("protocol not supported\n{USAGE}")));
    };
    let parm = VlanParm { id, proto, priority: words.priority };
    let vlan = match what {
        "pop" => Vlan::Pop,
        "push" => Vlan::Push(parm),
        "modify" => Vlan::Modify(parm),
        _ => Vlan::Unsaid,
    };
    Ok((Box::new(vlan), action, index))
}

fn print(tc: &Tc, out: &mut Out, dump: &ActionDump) {
    let Some(vlan) = action_data::<Vlan>(dump.data.as_ref()) else { return };
    let (what, parm) = match vlan {
        Vlan::Unsaid => return,
        Vlan::Pop => ("pop", None),
        Vlan::Push(parm) => ("push", Some(parm)),
        Vlan::Modify(parm) => ("modify", Some(parm)),
    };
    out.text("vlan ");
    out.any("vlan_action", what, format_args!(" {what}"));
    if let Some(VlanParm { id, proto, priority }) = parm {
        out.any("id", *id, format_args!(" id {id}"));
        let proto = ll_proto_n2a(proto.ethertype());
        out.any("protocol", proto.as_str(), format_args!(" protocol {proto}"));
        if let Some(priority) = priority {
            out.any("priority", *priority, format_args!(" priority {priority}"));
        }
    }
    print_control(out, " ", dump.action, "");
    print_index(tc, out, dump, "\t ");
}
