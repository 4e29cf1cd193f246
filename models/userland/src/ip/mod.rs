//! `ip` of iproute2 6.1.0.
//!
//! | module | owns |
//! |---|---|
//! | [`names`] | tables, protocols, scopes by name |
//! | `netns`, `link`, `addr`, `route`, `neigh`, `rule`, `tunnel`, `fou`, `monitor` | an object each |
//!
//! Not modelled: IPv6 (as with `disable_ipv6`), kinds of devices that `link` lists as such.

mod addr;
mod addr_show;
mod fou;
mod iproute_lwtunnel;
mod link;
pub(crate) mod link_show;
mod link_stats;
mod monitor;
pub mod names;
mod neigh;
mod netns;
mod route;
mod route_get;
mod route_metrics;
mod route_show;
mod rule;
mod tunnel;
mod tuntap;
mod vrf;

use glassnet_kernel::ids::{DevId, NetnsId};
use glassnet_kernel::{Cx, Kernel};

use self::args::{Args, Done, Stop, color, invarg, matches};
use self::monitor::Listened;
use self::out::{Out, Style};
use crate::iproute2::batch::Batch;
use crate::iproute2::monitor::Timestamp;
use crate::iproute2::{args, netns_by_name, out};
use crate::process::{Process, Running};

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(run(process))
}

/// Address family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// Unspecified.
    #[default]
    Unspec,
    /// `-4`.
    Inet,
    /// `-6`.
    Inet6,
    /// `-0`.
    Link,
    /// `-M`.
    Mpls,
    /// `-B`.
    Bridge,
}

/// The options before the object.
#[derive(Clone, Debug, Default)]
pub struct Options {
    family: Family,
    stats: u32,
    details: u32,
    brief: bool,
    human: bool,
    iec: bool,
    numeric: bool,
    all: bool,
    force: bool,
    style: Style,
    /// `ip monitor` prints times.
    timestamp: Timestamp,
}

/// What is left after the synchronous part of a command.
enum Then {
    /// Nothing.
    Done,
    /// `ip netns exec`, `ip vrf exec`: run a command in each of these namespaces; named ones are announced.
    Exec { places: Vec<(Option<String>, NetnsId)>, argv: Vec<String> },
    /// `ip monitor`: prints messages until a signal comes.
    Listen(Listened),
}

/// State of a running `ip`.
pub struct Ip<'p> {
    process: &'p mut Process,
    netns: NetnsId,
    opts: Options,
}

async fn run(process: &mut Process) -> i32 {
    let words = process.args().to_vec();
    let netns = process.netns;
    let mut ip = Ip { process, netns, opts: Options::default() };
    ip.start(&words).await.unwrap_or_else(|stop| stop.say(ip.process))
}

const OBJECTS: &[&str] = &[
    "address",
    "addrlabel",
    "maddress",
    "route",
    "rule",
    "neighbor",
    "neighbour",
    "ntable",
    "ntbl",
    "link",
    "l2tp",
    "fou",
    "ila",
    "macsec",
    "tunnel",
    "tunl",
    "tuntap",
    "tap",
    "token",
    "tcpmetrics",
    "tcp_metrics",
    "monitor",
    "xfrm",
    "mroute",
    "mrule",
    "netns",
    "netconf",
    "vrf",
    "sr",
    "nexthop",
    "mptcp",
    "ioam",
    "help",
    "stats",
    "amt",
];

impl Ip<'_> {
    async fn start(&mut self, words: &[String]) -> Done<i32> {
        let mut args = Args::new(words);
        let mut batch = None;
        while let Some(word) = args.peek() {
            if word == "--" {
                args.take();
                break;
            }
            if !word.starts_with('-') {
                break;
            }
            args.take();
            self.option(word, &mut args, &mut batch)?;
        }
        if let Some(file) = batch {
            return self.batch(&file).await;
        }
        if args.is_empty() {
            return Err(usage());
        }
        self.command(args.rest()).await
    }

    /// One option before the object, in the order in which iproute2 tries abbreviations.
    fn option(&mut self, word: &str, args: &mut Args, batch: &mut Option<String>) -> Done {
        let opt = if word.starts_with("--") { &word[1..] } else { word };
        let is = |full: &str| matches(opt, full);
        let opts = &mut self.opts;
        match opt {
            _ if is("-loops") || is("-rcvbuf") && !is("-resolve") => {
                args.number::<u32>("Invalid value")?;
            }
            _ if is("-family") => opts.family = family(args.value()?)?,
            "-4" => opts.family = Family::Inet,
            "-6" => opts.family = Family::Inet6,
            "-0" => opts.family = Family::Link,
            "-M" => opts.family = Family::Mpls,
            "-B" => opts.family = Family::Bridge,
            _ if is("-human") || is("-human-readable") => opts.human = true,
            _ if is("-iec") => opts.iec = true,
            _ if is("-stats") || is("-statistics") => opts.stats += 1,
            _ if is("-details") => opts.details += 1,
            _ if is("-resolve") => return Err(Stop::not_modelled("-resolve")),
            _ if is("-oneline") => opts.style.oneline = true,
            _ if is("-timestamp") => opts.timestamp = Timestamp::Long,
            _ if is("-tshort") => opts.timestamp = Timestamp::Short,
            _ if is("-Version") => {
                let version = self.process.program.version;
                return Err(Stop::shown(format!("ip utility, iproute2-{version}, libbpf 1.1.2\n")));
            }
            _ if is("-force") => opts.force = true,
            _ if is("-batch") => *batch = Some(args.value()?.to_owned()),
            _ if is("-brief") => opts.brief = true,
            _ if is("-json") => opts.style.json = true,
            _ if color(opt).is_some() => opts.style.color = color(opt) == Some(true),
            _ if is("-help") => return Err(usage()),
            _ if is("-netns") => {
                let name = args.take().unwrap_or("(null)");
                self.netns = self.netns_by_name(name)?;
            }
            _ if is("-Numeric") => opts.numeric = true,
            _ if is("-all") => opts.all = true,
            _ if is("-pretty") => opts.style.pretty = true,
            "-echo" => return Err(Stop::not_modelled("-echo")),
            _ => return Err(Stop::usage(format!("Option \"{word}\" is unknown, try \"ip -help\".\n"))),
        }
        Ok(())
    }

    /// Runs a command.
    async fn command(&mut self, words: &[String]) -> Done<i32> {
        match self.object(words)? {
            Then::Done => Ok(0),
            Then::Exec { places, argv } => self.exec(places, argv).await,
            Then::Listen(listened) => Ok(self.listen(listened).await),
        }
    }

    fn object(&mut self, words: &[String]) -> Done<Then> {
        let mut args = Args::new(words);
        let word = args.take().unwrap_or_default();
        let Some(object) = OBJECTS.iter().find(|object| matches(word, object)) else {
            return Err(Stop::failed(format!("Object \"{word}\" is unknown, try \"ip help\".\n")));
        };
        match *object {
            "address" => self.addr(args).map(|()| Then::Done),
            "fou" => self.fou(args).map(|()| Then::Done),
            "link" => self.link(args).map(|()| Then::Done),
            "neighbor" | "neighbour" => self.neigh(args).map(|()| Then::Done),
            "netns" => self.netns_command(args),
            "monitor" => self.monitor(args).map(Then::Listen),
            "route" => self.route(args).map(|()| Then::Done),
            "tunnel" | "tunl" => self.tunnel(args).map(|()| Then::Done),
            "rule" => self.rule(args).map(|()| Then::Done),
            "tuntap" | "tap" => self.tuntap(args).map(|()| Then::Done),
            "vrf" => self.vrf(args),
            "help" => Err(usage()),
            other => Err(Stop::not_modelled(other)),
        }
    }

    async fn exec(&mut self, places: Vec<(Option<String>, NetnsId)>, argv: Vec<String>) -> Done<i32> {
        let all = self.opts.all;
        for (name, netns) in places {
            if let Some(name) = name {
                self.process.print(format!("\nnetns: {name}\n"));
            }
            let name = argv.first().map_or("", String::as_str);
            if let Err(error) = self.process.find(name).await {
                return Err(Stop::failed(format!("exec of \"{name}\" failed: {error}\n")));
            }
            let own = self.process.mounts.clone();
            self.bind_etc(netns).await;
            let status = self.process.spawn(netns, argv.clone()).await;
            // A child has the mounts: the next one does not see them.
            self.process.mounts = own;
            if !all {
                return Ok(status);
            }
        }
        Ok(0)
    }

    /// Files in `/etc/netns/NAME` are bound over those of `/etc`.
    async fn bind_etc(&mut self, netns: NetnsId) {
        let name = self.kernel(|kernel| {
            let mut names = kernel.netns_names.iter();
            names.find(|(_, known)| **known == netns).map(|(name, _)| name.clone())
        });
        let Some(name) = name else { return };
        let files = self.process.files.clone();
        let Ok(entries) = files.list(&format!("/etc/netns/{name}")).await else { return };
        let mut mounts = self.process.mounts.to_vec();
        for (entry, _) in entries {
            let (from, to) = (format!("/etc/netns/{name}/{entry}"), format!("/etc/{entry}"));
            if files.read(&to).await.is_err() && files.list(&to).await.is_err() {
                self.process.eprint(format!("Bind {from} -> {to} failed: No such file or directory\n"));
            } else {
                mounts.push((to, from));
            }
        }
        self.process.mounts = mounts.into();
    }

    async fn batch(&mut self, file: &str) -> Done<i32> {
        let mut batch = Batch::open(self.process, file, self.opts.force).await?;
        for (number, words) in batch.commands() {
            let failed = match self.command(&words).await {
                Ok(0) => false,
                Ok(_) => true,
                // exit(-1) ends the program.
                Err(stop) if stop.status == 255 => return Err(stop),
                Err(stop) => {
                    self.process.eprint(&stop.stderr);
                    true
                }
            };
            if failed && !batch.failed(self.process, number) {
                break;
            }
        }
        Ok(batch.status)
    }

    /// Makes a system call.
    fn enter<R>(&mut self, call: impl FnOnce(&mut Cx) -> R) -> R {
        self.process.syscall(call)
    }

    /// Reads kernel state.
    fn kernel<R>(&self, look: impl FnOnce(&Kernel) -> R) -> R {
        look(self.process.world().kernel(self.process.machine))
    }

    /// The device of this name (`ll_name_to_index`).
    fn find_dev(&self, name: &str) -> Option<DevId> {
        self.kernel(|kernel| kernel.dev_by_name(self.netns, name))
    }

    /// The device of this name, or the error message.
    fn dev(&self, name: &str) -> Done<DevId> {
        self.find_dev(name).ok_or_else(|| args::nodev(name))
    }

    /// The namespace with this name.
    fn netns_by_name(&self, name: &str) -> Done<NetnsId> {
        netns_by_name(self.process, name)
    }

    fn out(&self) -> Out {
        let style = self.opts.style;
        Out::new(Style { color: style.color && !style.json, ..style })
    }

    fn show(&mut self, out: Out) {
        let text = out.finish();
        self.process.print(text);
    }
}

fn usage() -> Stop {
    usage_of(include_str!("help/ip.txt"))
}

/// The help of an object.
fn usage_of(text: &str) -> Stop {
    Stop::usage(text)
}

impl Stop {
    /// An option of `ip` that is not modelled.
    fn not_modelled(what: &str) -> Stop {
        Stop::error(2, format!("not modelled yet: ip {what}\n"))
    }
}

fn family(word: &str) -> Done<Family> {
    match word {
        "inet" => Ok(Family::Inet),
        "inet6" => Ok(Family::Inet6),
        "link" => Ok(Family::Link),
        "mpls" => Ok(Family::Mpls),
        "bridge" => Ok(Family::Bridge),
        "help" => Err(usage()),
        other => Err(invarg("invalid protocol family", other)),
    }
}
