//! `tc` of iproute2 6.1.0.
//!
//! | module | owns |
//! |---|---|
//! | `qdisc` | `tc qdisc` |
//! | `class` | `tc class` |
//! | `filter` | `tc filter`; each classifier has a file `f_KIND` |
//! | `action` | actions of filters and `tc actions`; each has a file `m_KIND` |
//! | `kind` | the shape of a kind of discipline; each has a file `q_KIND` with what `tc` reads and prints of it |
//! | `units` | rates, sizes, times, handles |
//!
//! Not modelled: `tc chain`, blocks, `monitor`, `exec`, names of classes, drawings (`-graph`), size tables, estimators.

mod action;
mod class;
mod dist;
mod f_flower;
mod f_fw;
mod f_matchall;
mod f_u32;
mod filter;
mod kind;
mod m_gact;
mod m_mirred;
mod m_police;
mod m_skbedit;
mod m_tunnel_key;
mod m_vlan;
mod q_fifo;
mod q_fq;
mod q_fq_codel;
mod q_htb;
mod q_ingress;
mod q_netem;
mod q_prio;
mod q_tbf;
mod qdisc;
mod units;

use glassnet_kernel::ids::{DevId, NetnsId};
use glassnet_kernel::netlink::{Errno, NLM_F_CREATE, NLM_F_EXCL};

use self::kind::Shown;
use crate::iproute2::args::{Args, Done, Stop, color, matches, nodev};
use crate::iproute2::batch::Batch;
use crate::iproute2::netns_by_name;
use crate::iproute2::out::{Out, Style};
use crate::process::{Process, Running};

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(run(process))
}

/// State of a running `tc`.
struct Tc<'p> {
    process: &'p mut Process,
    netns: NetnsId,
    stats: u32,
    force: bool,
    shown: Shown,
    style: Style,
}

async fn run(process: &mut Process) -> i32 {
    let words = process.args().to_vec();
    let netns = process.netns;
    let (shown, style) = (Shown::default(), Style::default());
    let mut tc = Tc { process, netns, stats: 0, force: false, shown, style };
    tc.start(&words).await.unwrap_or_else(|stop| stop.say(tc.process))
}

/// A command of the real tool that is not modelled.
fn not_modelled(what: &str) -> Stop {
    Stop::error(2, format!("not modelled yet: tc {what}\n"))
}

/// What is to be done with classes or filters.
enum Verb {
    /// They are made or changed, with these `NLM_F_*`; without any, deleted.
    Modify(Option<u16>),
    /// They are shown.
    List,
    /// The usage is.
    Help,
}

impl Verb {
    /// By the word behind `object`, `class` or `filter`.
    fn of(word: &str, object: &str) -> Done<Verb> {
        match word {
            _ if matches(word, "add") => Ok(Verb::Modify(Some(NLM_F_EXCL | NLM_F_CREATE))),
            _ if matches(word, "change") => Ok(Verb::Modify(Some(0))),
            _ if matches(word, "replace") => Ok(Verb::Modify(Some(NLM_F_CREATE))),
            _ if matches(word, "delete") => Ok(Verb::Modify(None)),
            _ if matches(word, "list") || matches(word, "show") || matches(word, "lst") => Ok(Verb::List),
            _ if matches(word, "help") => Ok(Verb::Help),
            _ => {
                let text = format!("Command \"{word}\" is unknown, try \"tc {object} help\".\n");
                Err(Stop::usage(text))
            }
        }
    }
}

const USAGE: &str = include_str!("help/tc.txt");

impl Tc<'_> {
    async fn start(&mut self, words: &[String]) -> Done<i32> {
        let mut args = Args::new(words);
        let mut batch = None;
        while let Some(word) = args.peek().filter(|word| word.starts_with('-')) {
            args.take();
            self.option(word, &mut args, &mut batch)?;
        }
        if let Some(file) = batch {
            return self.batch(&file).await;
        }
        if args.is_empty() {
            self.process.eprint(USAGE);
            return Ok(0);
        }
        self.command(args.rest())
    }

    fn option(&mut self, word: &str, args: &mut Args, batch: &mut Option<String>) -> Done {
        let is = |full: &str| matches(word, full);
        match word {
            _ if is("-stats") || is("-statistics") => self.stats += 1,
            _ if is("-details") => self.shown.details = true,
            _ if is("-raw") => self.shown.raw = true,
            _ if is("-pretty") => self.style.pretty = true,
            _ if is("-graph") => return Err(not_modelled("-graph")),
            _ if is("-Version") => {
                let version = self.process.program.version;
                return Err(Stop::shown(format!("tc utility, iproute2-{version}, libbpf 1.1.2\n")));
            }
            _ if is("-iec") => self.shown.iec = true,
            _ if is("-help") => return Err(Stop::error(0, USAGE)),
            _ if is("-force") => self.force = true,
            _ if is("-batch") => match args.take() {
                Some(file) => *batch = Some(file.to_owned()),
                None => return Err(Stop::error(0, USAGE)),
            },
            _ if is("-netns") => {
                let name = args.value()?;
                self.netns = netns_by_name(self.process, name)?;
            }
            // Numbers of protocols, which are printed of filters only.
            _ if is("-Numeric") => {}
            _ if is("-names") || word == "-nm" => return Err(not_modelled("-names")),
            // A file of names, for -names.
            _ if is("-cf") || is("-conf") => _ = args.value()?,
            _ if color(word).is_some() => self.style.color = color(word) == Some(true),
            _ if is("-timestamp") || is("-tshort") => return Err(not_modelled("-timestamp")),
            _ if is("-json") => self.style.json = true,
            _ if is("-oneline") => self.style.oneline = true,
            // Of filters only.
            _ if is("-brief") => {}
            _ => return Err(Stop::usage(format!("Option \"{word}\" is unknown, try \"tc -help\".\n"))),
        }
        Ok(())
    }

    fn command(&mut self, words: &[String]) -> Done<i32> {
        let mut args = Args::new(words);
        let word = args.take().unwrap_or_default();
        let objects = ["qdisc", "class", "filter", "chain", "actions", "monitor", "exec", "help"];
        match objects.into_iter().find(|object| matches(word, object)) {
            Some("qdisc") => self.qdisc(args),
            Some("class") => self.class(args),
            Some("filter") => self.filter(args),
            Some("actions") => self.actions(args),
            Some("help") => {
                self.process.eprint(USAGE);
                Ok(0)
            }
            Some(other) => Err(not_modelled(other)),
            None => Err(Stop::usage(format!("Object \"{word}\" is unknown, try \"tc help\".\n"))),
        }
    }

    async fn batch(&mut self, file: &str) -> Done<i32> {
        let mut batch = Batch::open(self.process, file, self.force).await?;
        for (number, words) in batch.commands() {
            if let Err(stop) = self.command(&words) {
                self.process.eprint(&stop.stderr);
                if !batch.failed(self.process, number) {
                    break;
                }
            }
        }
        Ok(batch.status)
    }

    /// The device that a request is for. Without one the kernel finds none.
    fn device(&self, name: Option<&str>) -> Done<DevId> {
        match name {
            Some(name) => self.find_dev(name).ok_or_else(|| nodev(name)),
            None => Err(Stop::from(glassnet_kernel::netlink::NlError::from(Errno::ENODEV))),
        }
    }

    fn find_dev(&self, name: &str) -> Option<DevId> {
        self.process.world().kernel(self.process.machine).dev_by_name(self.netns, name)
    }

    fn out(&self) -> Out {
        Out::new(Style { color: self.style.color && !self.style.json, ..self.style })
    }
}
