//! `mirred`.
//!
//! iproute2: tc/m_mirred.c

use glassnet_kernel::action::{TcAct, action_data};
use glassnet_kernel::net::sched::act_api::ActionDump;
use glassnet_kernel::net::sched::act_mirred::Mirred;

use super::Tc;
use super::action::{ActionKind, Parsed, bad, control_or, index, print_control, print_index};
use crate::iproute2::args::{Args, Done, Stop, matches, nodev, number};
use crate::iproute2::out::Out;

pub static MIRRED: ActionKind = ActionKind { id: "mirred", parse, print };

const USAGE: &str = include_str!("help/mirred.txt");

/// What was read.
#[derive(Default)]
struct Words {
    /// In or out.
    ingress: Option<bool>,
    redirect: Option<bool>,
    dev: Option<String>,
    index: Option<u32>,
}

impl Words {
    /// Direction, what to do, and the device.
    fn read(&mut self, args: &mut Args) -> Done {
        while let Some(word) = args.peek() {
            let is = |full: &str| matches(word, full);
            match word {
                _ if is("action") => {
                    args.take();
                    break;
                }
                _ if self.ingress.is_none() && is("egress") => self.ingress = Some(false),
                _ if self.ingress.is_none() && is("ingress") => self.ingress = Some(true),
                _ if is("index") => {
                    args.take();
                    let text = args.value()?;
                    self.index = Some(number(text).ok_or_else(|| bad("Illegal \"index\"\n"))?);
                    if self.ingress.is_none() {
                        break;
                    }
                    continue;
                }
                _ if self.ingress.is_none() => {
                    return Err(bad(format!("was expecting egress or ingress ({word})\n")));
                }
                _ if self.redirect.is_none() && is("mirror") => self.redirect = Some(false),
                _ if self.redirect.is_none() && is("redirect") => self.redirect = Some(true),
                _ if self.redirect.is_some() && is("dev") => {
                    args.take();
                    self.dev = Some(args.value()?.to_owned());
                    break;
                }
                _ => {}
            }
            args.take();
            if args.is_empty() {
                args.value()?;
            }
        }
        Ok(())
    }
}

fn parse(tc: &Tc, args: &mut Args) -> Done<Parsed> {
    args.take();
    let Some(word) = args.peek() else { return args.value().and_then(|_| Err(bad(""))) };
    if !["egress", "index", "ingress"].iter().any(|known| matches(word, known)) {
        if matches(word, "help") {
            return Err(Stop::usage(USAGE));
        }
        return Err(bad(format!("mirred option not supported {word}\n")));
    }
    let mut words = Words::default();
    words.read(args)?;
    let dev = match &words.dev {
        Some(name) => Some(tc.find_dev(name).ok_or_else(|| bad(nodev(name).stderr))?),
        None => None,
    };
    let redirect = words.redirect.unwrap_or(false);
    let mut action = if redirect { TcAct::Stolen } else { TcAct::Pipe };
    if words.redirect == Some(false) {
        action = control_or(args, action)?;
    }
    let index = match words.index {
        Some(index) => index,
        None => index(args, "mirred: Illegal \"index\"\n")?,
    };
    let unsaid = words.redirect.is_none();
    let parm = Mirred { redirect, ingress: words.ingress.unwrap_or(false), dev, unsaid };
    Ok((Box::new(parm), action, index))
}

fn print(tc: &Tc, out: &mut Out, dump: &ActionDump) {
    let Some(parm) = action_data::<Mirred>(dump.data.as_ref()) else { return };
    let world = tc.process.world();
    let kernel = world.kernel(tc.process.machine);
    let dev = parm.dev.map_or("*", |dev| kernel.devs[dev].name.as_str());
    let direction = if parm.ingress { ("ingress", "Ingress") } else { ("egress", "Egress") };
    let what = if parm.redirect { ("redirect", "Redirect") } else { ("mirror", "Mirror") };
    out.json("mirred_action", what.0);
    out.json("direction", direction.0);
    out.json("to_dev", dev);
    out.text(format_args!("mirred ({} {} to device {dev})", direction.1, what.1));
    print_control(out, " ", dump.action, "");
    print_index(tc, out, dump, "\t");
}
