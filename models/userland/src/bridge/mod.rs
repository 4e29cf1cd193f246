//! `bridge` of iproute2 6.1.0.
//!
//! | module | owns |
//! |---|---|
//! | `link` | ports: `bridge link show`, `bridge link set` |
//! | `fdb` | the forwarding database: `show`, `add`, `replace`, `append`, `del`, `get`, `flush` |
//! | `monitor` | `bridge monitor fdb` |
//! | `vlan` | `bridge vlan add`, `del`, `show`; `bridge mdb show`: output without groups |
//!
//! Not modelled: `vni`, states and options of VLANs, changes of multicast groups.

mod fdb;
mod link;
mod monitor;
mod vlan;

use glassnet_kernel::Cx;
use glassnet_kernel::ids::{DevId, NetnsId};
use glassnet_kernel::netlink::NlError;

use crate::iproute2::args::{Args, Done, Stop, color, matches, nodev};
use crate::iproute2::batch::Batch;
use crate::iproute2::monitor::Timestamp;
use crate::iproute2::netns_by_name;
use crate::iproute2::out::{Out, Style};
use crate::process::{Process, Running};
use crate::procfs::{Caller, View};

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(run(process))
}

/// State of a running `bridge`.
struct Bridge<'p> {
    process: &'p mut Process,
    netns: NetnsId,
    stats: bool,
    details: bool,
    force: bool,
    /// `-compressvlans`
    compress: bool,
    style: Style,
    /// `bridge monitor` prints times.
    timestamp: Timestamp,
}

async fn run(process: &mut Process) -> i32 {
    let words = process.args().to_vec();
    let netns = process.netns;
    let (style, timestamp) = (Style::default(), Timestamp::None);
    let mut bridge = Bridge {
        process,
        netns,
        stats: false,
        details: false,
        force: false,
        compress: false,
        style,
        timestamp,
    };
    bridge.start(&words).await.unwrap_or_else(|stop| stop.say(bridge.process))
}

/// A command of the real tool that is not modelled.
fn not_modelled(what: &str) -> Stop {
    Stop::error(2, format!("not modelled yet: bridge {what}\n"))
}

/// A refusal of the kernel: `bridge` exits with 255 where `ip` exits with 2. Unmodelled commands exit with 2.
fn refused(error: &NlError) -> Stop {
    let stop = Stop::refused(error);
    if error.not_modelled.is_some() { stop } else { Stop { status: 255, ..stop } }
}

/// As [`nodev`], with 255.
fn no_device(name: &str) -> Stop {
    Stop { status: 255, ..nodev(name) }
}

fn no_bridge_device(name: &str) -> Stop {
    Stop::usage(format!("Cannot find bridge device \"{name}\"\n"))
}

impl Bridge<'_> {
    async fn start(&mut self, words: &[String]) -> Done<i32> {
        let mut args = Args::new(words);
        let mut batch = None;
        while let Some(word) = args.peek().filter(|word| word.starts_with('-')) {
            args.take();
            if word == "--" {
                break;
            }
            self.option(word, &mut args, &mut batch)?;
        }
        if let Some(file) = batch {
            return self.batch(&file).await;
        }
        if args.is_empty() {
            return Err(Stop::usage(include_str!("help/bridge.txt")));
        }
        let words = args.rest();
        match words.split_first() {
            Some((object, rest)) if matches(object, "monitor") && !matches(object, "m") => {
                self.monitor(rest).await
            }
            _ => self.command(words),
        }
    }

    fn option(&mut self, word: &str, args: &mut Args, batch: &mut Option<String>) -> Done {
        let opt = word.strip_prefix('-').filter(|rest| rest.starts_with('-')).unwrap_or(word);
        let is = |full: &str| matches(opt, full);
        match opt {
            _ if is("-help") => return Err(Stop::usage(include_str!("help/bridge.txt"))),
            _ if is("-Version") => {
                let version = self.process.program.version;
                return Err(Stop::shown(format!("bridge utility, {version}\n")));
            }
            _ if is("-stats") || is("-statistics") => self.stats = true,
            _ if is("-details") => self.details = true,
            _ if is("-oneline") => self.style.oneline = true,
            _ if is("-timestamp") => self.timestamp = Timestamp::Long,
            _ if is("-family") => return Err(not_modelled("-family")),
            "-4" | "-6" => {}
            _ if is("-netns") => {
                let name = args.take().unwrap_or("(null)");
                self.netns = netns_by_name(self.process, name)?;
            }
            _ if color(opt).is_some() => self.style.color = color(opt) == Some(true),
            _ if is("-compressvlans") => self.compress = true,
            _ if is("-force") => self.force = true,
            _ if is("-json") => self.style.json = true,
            _ if is("-pretty") => self.style.pretty = true,
            _ if is("-batch") => *batch = Some(args.value()?.to_owned()),
            _ => return Err(Stop::usage(format!("Option \"{word}\" is unknown, try \"bridge help\".\n"))),
        }
        Ok(())
    }

    fn command(&mut self, words: &[String]) -> Done<i32> {
        let mut args = Args::new(words);
        let word = args.take().unwrap_or_default();
        let objects = ["link", "fdb", "mdb", "vlan", "vni", "monitor", "help"];
        match objects.into_iter().find(|object| matches(word, object)) {
            Some("link") => self.link(args),
            Some("fdb") => self.fdb(args),
            Some("mdb") => self.mdb(args),
            Some("vlan") => self.vlan(args),
            Some("help") => Err(Stop::usage(include_str!("help/bridge.txt"))),
            Some(other) => Err(not_modelled(other)),
            None => Err(Stop::usage(format!("Object \"{word}\" is unknown, try \"bridge help\".\n"))),
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

    /// Reads kernel state.
    fn view<R>(&self, look: impl FnOnce(&View) -> R) -> R {
        let world = self.process.world();
        let caller = Caller { netns: self.netns, ..self.process.caller(&world) };
        look(&View::new(&world, caller))
    }

    /// Makes a system call.
    fn enter<R>(&mut self, call: impl FnOnce(&mut Cx) -> R) -> R {
        self.process.syscall(call)
    }

    fn find_dev(&self, name: &str) -> Option<DevId> {
        self.view(|view| view.dev(name).map(|dev| dev.id))
    }

    fn out(&self) -> Out {
        Out::new(Style { color: self.style.color && !self.style.json, ..self.style })
    }
}
