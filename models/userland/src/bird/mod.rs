//! `bird` 2.0.12: a routing daemon, with BGP; and `birdc`, which asks it.
//!
//! | file | owns |
//! |---|---|
//! | `config/` | `bird.conf` |
//! | `value.rs`, `filter.rs` | the filter language: values, and what filters do to routes |
//! | `route.rs`, `table.rs` | routes, and the choice of the best |
//! | `proto.rs` | a protocol that runs, and its channel to a table |
//! | `daemon.rs` | how routes go from protocols to tables and on to protocols |
//! | `iface.rs`, `locals.rs` | interfaces; `protocol direct` and `protocol static` |
//! | `krt.rs` | `protocol kernel` |
//! | `bgp/` | `protocol bgp` |
//! | `commands.rs`, `show.rs` | commands, and what they print |
//! | `birdc.rs` | the client |
//!
//! Messages of BGP are rustbgpd-wire's; the state machine is ours, because BIRD's has two connections at once and waits of its own.
//! Not modelled: IPv6, other protocols than these, VRFs, passwords, what `debug` tells of routes, filters and interfaces; `krt_tunnel`, which
//! Debian's BIRD does not know either.

mod bgp;
pub mod birdc;
mod commands;
mod config;
mod daemon;
mod filter;
mod iface;
mod krt;
mod locals;
mod proto;
mod route;
mod show;
mod table;
#[cfg(test)]
mod tests;
mod value;

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};

use glassnet_kernel::ids::SocketId;
use glassnet_kernel::world::World;
use glassnet_sim::Nanos;

use crate::getopt;
use crate::process::{Process, Running, Signal, Woken, strerror};
use crate::sock::readable;
use crate::stop::{Done, Stop};
use crate::task::Task;

use bgp::{ConnState, Listener};
use commands::Answer;
use config::{Config, Included, LogTo, Refused};
use daemon::Daemon;
use proto::{Running as Kind, State};

/// Where the daemon's configuration and its control socket are.
const CONFIG: &str = "/etc/bird/bird.conf";
const CONTROL: &str = "/run/bird/bird.ctl";
const HELP: &str = include_str!("help.txt");

/// A command of a client.
pub struct Request {
    line: String,
    answer: Arc<Mutex<Option<String>>>,
}

/// The daemon, as its clients have it.
#[derive(Default)]
pub struct Service {
    requests: Mutex<VecDeque<Request>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The daemon's control socket; closed with it.
struct Control {
    task: Task,
    path: String,
    service: Arc<Service>,
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.call(|cx| {
            cx.k.unix.close(&self.path);
            cx.wake_up();
        });
    }
}

/// What the command line asks for.
struct Options {
    config: String,
    control: String,
    pid: Option<String>,
    test: bool,
    foreground: bool,
    debug: bool,
}

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move { bird(process).await.unwrap_or_else(|stop| stop.say(process)) })
}

fn parse(args: &[String]) -> Done<Options> {
    match args {
        [only] if only == "--version" => {
            return Err(Stop::error(0, format!("BIRD version {}\n", show::VERSION)));
        }
        [only] if only == "--help" => return Err(Stop::shown(HELP)),
        _ => {}
    }
    let parsed = getopt::parse(args, "c:dD:fg:hlpP:Rs:u:", &[]);
    if let Some(error) = parsed.error {
        let usage = HELP.lines().next().unwrap_or_default();
        return Err(Stop::error(1, format!("bird: {error}\n\n{usage}\n")));
    }
    let mut options = Options {
        config: CONFIG.to_owned(),
        control: CONTROL.to_owned(),
        pid: None,
        test: false,
        foreground: false,
        debug: false,
    };
    for option in parsed.options {
        match option.name.as_str() {
            "c" => options.config = option.value,
            "s" => options.control = option.value,
            "P" => options.pid = Some(option.value),
            "p" => options.test = true,
            "f" => options.foreground = true,
            "d" => (options.foreground, options.debug) = (true, true),
            "l" => {
                "bird.conf".clone_into(&mut options.config);
                "bird.ctl".clone_into(&mut options.control);
            }
            "h" => return Err(Stop::shown(HELP)),
            // Nothing shows of who it is.
            "u" | "g" => {}
            other => return Err(Stop::error(1, format!("bird: not modelled yet: -{other}\n"))),
        }
    }
    if !parsed.operands.is_empty() {
        let usage = HELP.lines().next().unwrap_or_default();
        return Err(Stop::error(1, format!("\n{usage}\n")));
    }
    Ok(options)
}

/// Reads a configuration and the files that it includes.
async fn read(process: &Process, name: &str) -> Result<Config, String> {
    let path = process.path(name);
    let files = process.files.clone();
    let bytes = files.read(&path).await;
    let bytes =
        bytes.map_err(|error| format!("Unable to open configuration file {name}: {}", strerror(&error)))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut included = Included::new();
    loop {
        match Config::parse(&path, &text, &included) {
            Ok(config) => return Ok(config),
            Err(Refused::Error(why)) => return Err(why),
            Err(Refused::Include(pattern)) => {
                let found = include(process, &pattern).await;
                included.insert(pattern, found);
            }
        }
    }
}

/// The files of a path or pattern, in order.
async fn include(process: &Process, pattern: &str) -> Vec<(String, String)> {
    let files = process.files.clone();
    let (folder, last) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    let mut names = match last.contains(['*', '?']) {
        true => files.list(if folder.is_empty() { "/" } else { folder }).await.unwrap_or_default(),
        false => vec![(last.to_owned(), false)],
    };
    names.retain(|(name, is_folder)| !is_folder && (name == last || value::matches_pattern(last, name)));
    names.sort();
    let mut found = Vec::new();
    for (name, _) in names {
        let path = format!("{folder}/{name}");
        if let Ok(bytes) = files.read(&path).await {
            found.push((path, String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    found
}

/// The router ID when none is configured: the lowest address that is no loopback's.
fn lowest_address(ifaces: &[iface::Iface]) -> Option<Ipv4Addr> {
    let addresses = ifaces.iter().filter(|iface| iface.is_up()).flat_map(|iface| &iface.addresses);
    addresses.map(|own| own.ip).filter(|ip| !ip.is_loopback()).min()
}

async fn bird(process: &mut Process) -> Done<i32> {
    let options = parse(process.args())?;
    let refuse = |why: String| Err(Stop::error(1, format!("bird: {why}\n")));
    let config = match read(process, &options.config).await {
        Ok(config) => config,
        Err(why) => return refuse(why),
    };
    if options.test {
        return Ok(0);
    }
    let control = process.path(&options.control);
    if process.syscall(|cx| cx.k.unix.connect::<Service>(&control)).is_some() {
        return refuse("I found another BIRD running.".to_owned());
    }
    let ifaces = scan(process);
    if config.router_id.is_none() && lowest_address(&ifaces).is_none() {
        return refuse(format!(
            "{}:1:0 Cannot determine router ID, please configure it manually",
            process.path(&options.config)
        ));
    }
    if !options.foreground {
        let mut argv = process.argv.clone();
        argv.insert(1, "-f".to_owned());
        let child = process.daemon(process.netns, argv);
        process.shell.clone().detach(child);
        // The socket is there when the command ends.
        let machine = process.machine;
        let is_there =
            move |world: &mut World| world.kernel(machine).unix.connect::<Service>(&control).map(|_| ());
        let deadline = process.now() + Nanos::from_secs(1);
        process.wait(Some(deadline), is_there).await;
        return Ok(0);
    }
    if let Some(file) = &options.pid {
        let (path, text) = (process.path(file), format!("{}\n", process.pid));
        if let Err(error) = process.files.clone().write(&path, text.as_bytes()).await {
            return refuse(format!("Cannot create PID file {file}: {}", strerror(&error)));
        }
    }
    for signal in [Signal::HUP, Signal::TERM, Signal::INT] {
        process.signals.catch(signal);
    }
    let service = Arc::new(Service::default());
    let control = Control { task: Task::of(process), path: control, service: service.clone() };
    process.syscall(|cx| {
        cx.k.unix.bind(&control.path, service);
        cx.wake_up();
    });
    let mut daemon = Daemon::new(config, process.now());
    if daemon.config.router_id.is_none() {
        daemon.router_id = lowest_address(&ifaces).unwrap_or(Ipv4Addr::UNSPECIFIED);
    }
    daemon.ifaces = ifaces;
    (0..daemon.protos.len()).for_each(|id| daemon.start(id));
    daemon.log.push("<INFO> Started".to_owned());
    let server = Server { daemon, control, listeners: Vec::new(), failed: Vec::new(), options };
    Ok(server.run(process).await)
}

/// The interfaces of the daemon's namespace.
fn scan(process: &Process) -> Vec<iface::Iface> {
    let world = process.world();
    iface::scan(world.kernel(process.machine), process.netns)
}

struct Server {
    daemon: Daemon,
    control: Control,
    listeners: Vec<Listener>,
    /// Why sockets could not be opened, as far as it was said.
    failed: Vec<String>,
    options: Options,
}

impl Server {
    async fn run(mut self, process: &mut Process) -> i32 {
        loop {
            self.work(process);
            self.requests(process).await;
            self.work(process);
            self.write_log(process).await;
            if self.daemon.shutting_down {
                break;
            }
            match self.wait(process).await {
                Woken::Signal(Signal::HUP) => {
                    if let Err(why) = self.configure(process, None, false, false).await {
                        self.daemon.log.push(format!("<ERR> {why}"));
                    }
                }
                Woken::Signal(_) => self.shut_down(),
                Woken::Ready(()) | Woken::Elapsed => {}
            }
        }
        self.daemon.log.push("<FATAL> Shutdown completed".to_owned());
        self.write_log(process).await;
        0
    }

    /// All protocols end; neighbours are told.
    fn shut_down(&mut self) {
        self.daemon.now = self.daemon.now.max(Nanos::ZERO);
        self.daemon.log.push("<INFO> Shutting down".to_owned());
        self.daemon.shutting_down = true;
        for id in 0..self.daemon.protos.len() {
            self.daemon.bgp_operator(id, 2);
        }
        // First those that hear of routes: what they were told stays or goes as they are configured.
        for id in (0..self.daemon.protos.len()).rev() {
            self.daemon.stop(id);
        }
    }

    /// Does all that can be done now.
    fn work(&mut self, process: &mut Process) {
        loop {
            self.daemon.now = process.now();
            let ifaces = scan(process);
            self.daemon.interfaces(ifaces);
            self.daemon.tell_interfaces();
            let failed = bgp::listen(&self.daemon, process, &mut self.listeners);
            let new: Vec<String> = failed.iter().filter(|why| !self.failed.contains(why)).cloned().collect();
            self.failed = failed;
            self.daemon.log.extend(new);
            let mut worked = false;
            for listener in &self.listeners {
                while let Ok(Some(socket)) = listener.socket.accept() {
                    self.daemon.bgp_accept(process, socket);
                    worked = true;
                }
            }
            let netns = process.netns;
            for id in 0..self.daemon.protos.len() {
                match self.daemon.protos[id].running {
                    Kind::Kernel(_) => process.syscall(|cx| self.daemon.krt_scan(id, cx, netns)),
                    Kind::Bgp(_) => worked |= self.daemon.bgp_step(process, id),
                    Kind::Device | Kind::Direct | Kind::Static => {}
                }
            }
            self.daemon.settle();
            for id in 0..self.daemon.protos.len() {
                match self.daemon.protos[id].running {
                    Kind::Kernel(_) => process.syscall(|cx| self.daemon.krt_sync(id, cx, netns)),
                    Kind::Bgp(_) => worked |= self.daemon.bgp_transmit(id),
                    Kind::Device | Kind::Direct | Kind::Static => {}
                }
            }
            if !worked {
                return;
            }
        }
    }

    /// Does what clients ask.
    async fn requests(&mut self, process: &mut Process) {
        loop {
            let Some(request) = lock(&self.control.service.requests).pop_front() else { return };
            self.daemon.now = process.now();
            let hostname = hostname(process);
            let text = match self.daemon.command(&request.line, &hostname) {
                Ok(Answer::Text(text)) => text,
                Ok(Answer::Down) => {
                    self.shut_down();
                    "Shutdown requested\n".to_owned()
                }
                Ok(Answer::Configure { file, soft, check }) => {
                    let path = file.clone().unwrap_or_else(|| self.options.config.clone());
                    let head = format!("Reading configuration from {path}\n");
                    match self.configure(process, file, soft, check).await {
                        Ok(done) => format!("{head}{done}\n"),
                        Err(why) => format!("{head}{why}\n"),
                    }
                }
                Err(Refused::Error(why)) => format!("{why}\n"),
                Err(Refused::Include(_)) => "Include is not allowed in a command\n".to_owned(),
            };
            *lock(&request.answer) = Some(text);
            process.syscall(|cx| cx.wake_up());
        }
    }

    async fn configure(
        &mut self,
        process: &Process,
        file: Option<String>,
        soft: bool,
        check: bool,
    ) -> Result<&'static str, String> {
        let path = file.unwrap_or_else(|| self.options.config.clone());
        let config = read(process, &path).await?;
        if check {
            return Ok("Configuration OK");
        }
        self.daemon.now = process.now();
        self.daemon.reconfigure(config, soft);
        self.options.config = path;
        Ok("Reconfigured")
    }

    /// Writes what was logged.
    async fn write_log(&mut self, process: &mut Process) {
        let format = self.daemon.config.time_format("log");
        for line in std::mem::take(&mut self.daemon.log) {
            let class = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
            let at = show::time(&format, self.daemon.now, self.daemon.now);
            let line = format!("{at} {line}\n");
            if self.options.debug {
                process.eprint(&line);
            }
            let logs = self.daemon.config.logs.clone();
            for log in logs.iter().filter(|log| log.classes.contains(&class.as_str())) {
                match &log.to {
                    LogTo::Stderr if !self.options.debug => process.eprint(&line),
                    // There is no syslog.
                    LogTo::Stderr | LogTo::Syslog => {}
                    LogTo::File(path) => {
                        let path = process.path(path);
                        // A log that cannot be written is lost.
                        let _ = process.files.clone().append(&path, line.as_bytes()).await;
                    }
                }
            }
        }
    }

    /// Waits for whatever comes next.
    async fn wait(&self, process: &mut Process) -> Woken<()> {
        let (machine, netns) = (process.machine, process.netns);
        let mut conns: Vec<(SocketId, bool)> = Vec::new();
        let (mut deadline, mut generations) = (None::<Nanos>, Vec::new());
        for proto in &self.daemon.protos {
            let due = match &proto.running {
                Kind::Bgp(bgp) => {
                    for conn in [&bgp.outgoing, &bgp.incoming].into_iter().flatten() {
                        let writes = conn.state == ConnState::Connect;
                        conns.push((conn.socket.id, writes));
                        if !writes && !conn.to_send.is_empty() {
                            conns.push((conn.socket.id, true));
                        }
                    }
                    bgp.deadline()
                }
                Kind::Kernel(krt) => {
                    if krt.config.learn && proto.state == State::Up {
                        generations.push(krt.generation);
                    }
                    krt.scan_at
                }
                Kind::Device | Kind::Direct | Kind::Static => None,
            };
            deadline = deadline.into_iter().chain(due).min();
        }
        let listeners: Vec<SocketId> = self.listeners.iter().map(|listener| listener.socket.id).collect();
        let (ifaces, service) = (self.daemon.ifaces.clone(), self.control.service.clone());
        process
            .wait(deadline, move |world| {
                let kernel = world.kernel(machine);
                let generation = kernel.netns.get(netns).map(|space| space.ipv4.fib.generation);
                let ready = !lock(&service.requests).is_empty()
                    || listeners.iter().any(|id| readable(world, machine, *id))
                    || conns.iter().any(|conn| bgp::is_ready(world, machine, *conn))
                    || generations.iter().any(|known| *known != generation)
                    || iface::differs(kernel, netns, &ifaces);
                ready.then_some(())
            })
            .await
    }
}

/// The name of the machine.
fn hostname(process: &Process) -> String {
    let world = process.world();
    world.kernel(process.machine).hostname.clone()
}
