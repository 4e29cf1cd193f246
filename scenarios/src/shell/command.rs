//! Programs of `glassnet_userland` as shell commands, and command lines started by programs.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::task::Poll;

use bashkit::{
    Command, CommandContext, CommandInput, CommandOutput, CommandStatus, ExecOptions, FileSystem, async_trait,
};
use glassnet_userland::cni;
use glassnet_userland::process::{
    self, Boxed, Child, Exit, Files, Input, Nowhere, Output, Process, Program, Signals, Spawner,
};

use super::builder;
use super::files::{MachineFs, ProgramFiles};
use super::limits::{self, PROGRAM_DEPTH};
use super::live::{self, Job};
use super::machine::Place;

/// A program as a shell command.
pub(super) struct ProgramCommand {
    pub place: Place,
    pub program: &'static Program,
}

#[async_trait]
impl Command for ProgramCommand {
    async fn execute(&self, ctx: CommandContext<'_>) -> bashkit::Result<CommandStatus> {
        let mut env: BTreeMap<String, String> = ctx.env.clone().into_iter().collect();
        let job = env.remove(live::JOB).and_then(|mark| Job::parse(&mark));
        let on_terminal = env.remove(live::TERMINAL).is_some();
        let child = Child {
            netns: self.place.netns,
            argv: std::iter::once(ctx.name.to_string()).chain(ctx.args.iter().cloned()).collect(),
            env,
            cwd: ctx.cwd.to_string_lossy().into_owned(),
            stdin: Arc::new(ShellInput(ctx.stdin)),
            stdout: Arc::new(ShellOutput { to: ctx.stdout, on_terminal }),
            stderr: Arc::new(ShellOutput { to: ctx.stderr, on_terminal: false }),
            signals: self.place.signals.clone().unwrap_or_default(),
            affinity: self.place.affinity,
            vrf: self.place.vrf.clone(),
            mounts: self.place.mounts.clone(),
        };
        Ok(CommandStatus::with_code(start(&self.place, self.program, child, job).await))
    }
}

/// Runs a program to its end.
async fn start(place: &Place, program: &'static Program, child: Child, job: Option<Job>) -> i32 {
    let machine = &place.machine;
    let name = child.argv.first().cloned().unwrap_or_default();
    let pid = machine.new_pid();
    let _listed = machine.programs.list((&name, pid), job, child.signals.clone());
    let (is_background, depth) = (place.is_background || job.is_some(), place.depth + 1);
    let place = Place {
        netns: child.netns,
        affinity: child.affinity,
        vrf: child.vrf.clone(),
        mounts: child.mounts.clone(),
        signals: Some(child.signals.clone()),
        is_background,
        depth,
        ..place.clone()
    };
    let mut process = Process {
        world: machine.world.clone(),
        machine: machine.id,
        netns: child.netns,
        affinity: child.affinity,
        vrf: child.vrf,
        mounts: child.mounts,
        program,
        pid,
        argv: child.argv,
        env: child.env,
        cwd: child.cwd,
        stdin: child.stdin,
        stdout: child.stdout,
        stderr: child.stderr,
        files: Arc::new(ProgramFiles(Arc::new(MachineFs { place: place.clone() }))),
        signals: child.signals,
        shell: Arc::new(ShellSpawner { place: place.clone() }),
        sleepers: machine.sleepers.clone(),
        printed: Vec::new(),
        unread: Vec::new(),
    };
    // The next line is typed when a job and what it starts, such as the command of `timeout`, have been loaded.
    let exec_time = process.world().kernel(machine.id).config.exec_time;
    if !place.is_background && process.sleep(exec_time).await.is_err() {
        return 0;
    }
    process::run(&mut process).await
}

struct ShellInput(CommandInput);

impl Input for ShellInput {
    fn read(&self) -> Boxed<'_, io::Result<Vec<u8>>> {
        Box::pin(async { Ok(self.0.read_chunk().await.map_err(to_io)?.unwrap_or_default()) })
    }
}

struct ShellOutput {
    to: CommandOutput,
    on_terminal: bool,
}

impl Output for ShellOutput {
    fn write<'a>(&'a self, bytes: &'a [u8]) -> Boxed<'a, io::Result<()>> {
        Box::pin(async move { self.to.write_all(bytes).await.map_err(to_io) })
    }

    fn is_terminal(&self) -> bool {
        self.on_terminal
    }
}

fn to_io(error: bashkit::Error) -> io::Error {
    match error {
        bashkit::Error::Io(error) => error,
        other => io::Error::other(other.to_string()),
    }
}

/// Runs the command lines of `ip netns exec`, `nsenter` and `timeout`: programs directly, anything else in a new shell
/// with the machine's files.
struct ShellSpawner {
    place: Place,
}

impl Spawner for ShellSpawner {
    fn find<'a>(&'a self, name: &'a str, cwd: &'a str) -> Boxed<'a, io::Result<String>> {
        Box::pin(async move {
            let files = MachineFs { place: self.place.clone() };
            let directories = match name.contains('/') {
                true => vec![cwd],
                false => builder::PATH.split(':').collect(),
            };
            let mut found = Err(io::ErrorKind::NotFound.into());
            for directory in directories {
                let path = Path::new(directory).join(name);
                let Ok(file) = files.stat(&path).await else { continue };
                match file.file_type.is_file() && file.mode & 0o111 != 0 {
                    true => return Ok(path.to_string_lossy().into_owned()),
                    false => found = Err(io::ErrorKind::PermissionDenied.into()),
                }
            }
            found
        })
    }

    fn detach(&self, child: Child) -> Arc<Exit> {
        let place = Place { is_background: true, depth: 0, ..self.place.clone() };
        let (machine, exit) = (self.place.machine.clone(), Arc::new(Exit::default()));
        let (world, ended) = (machine.world.clone(), exit.clone());
        machine.detach(Box::pin(async move {
            ended.set(ShellSpawner { place }.spawn(child).await);
            world.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).wake_programs();
        }));
        exit
    }

    fn spawn(&self, child: Child) -> Boxed<'_, i32> {
        Box::pin(async move {
            if self.place.depth >= PROGRAM_DEPTH {
                let name = child.argv.first().map_or("", String::as_str);
                let text = format!(
                    "{name}: not started: more than {PROGRAM_DEPTH} programs that start each other\n"
                );
                // Nobody is told when standard error is closed.
                let _ = child.stderr.write(text.as_bytes()).await;
                return 126;
            }
            let name = child.argv.first().and_then(|name| command_name(name));
            let plugin = child.argv.first().and_then(|path| cni::plugin(path));
            match name.and_then(glassnet_cluster::program).or(plugin) {
                Some(program) => start(&self.place, program, child, None).await,
                None if name == Some("kill") => {
                    let (status, text) = self.place.machine.kill(child.argv.get(1..).unwrap_or_default());
                    // Nobody is told when standard error is closed.
                    let _ = child.stderr.write(text.as_bytes()).await;
                    status
                }
                None => unless_killed(child.signals.clone(), self.shell(child)).await,
            }
        })
    }
}

/// The log of a program of the system.
struct LogFile {
    files: ProgramFiles,
    path: String,
}

impl Output for LogFile {
    fn write<'a>(&'a self, bytes: &'a [u8]) -> Boxed<'a, io::Result<()>> {
        self.files.append(&self.path, bytes)
    }
}

/// Starts a program of the system at boot; what it says is in `/var/log`.
pub(super) fn daemon(place: &Place, name: &str) {
    let nowhere = Arc::new(Nowhere);
    let files = ProgramFiles(Arc::new(MachineFs { place: place.clone() }));
    let log = Arc::new(LogFile { files, path: format!("/var/log/{name}.log") });
    let child = Child {
        netns: place.netns,
        argv: vec![name.to_owned()],
        env: place.machine.env.clone(),
        cwd: "/".to_owned(),
        stdin: nowhere,
        stdout: log.clone(),
        stderr: log,
        signals: Arc::default(),
        affinity: place.affinity,
        vrf: None,
        mounts: place.mounts.clone(),
    };
    ShellSpawner { place: place.clone() }.detach(child);
}

impl ShellSpawner {
    /// Runs the child in a shell in its namespace.
    async fn shell(&self, child: Child) -> i32 {
        let stdin = match read_to_end(&*child.stdin).await {
            Ok(bytes) => bytes,
            Err(_) => return 1,
        };
        let mut bash = builder::bash(&self.inside(&child), &child.cwd, &child.env);
        let options = ExecOptions::new().arg0("bash").positional(child.argv).stdin(stdin);
        let (stdout, stderr) = (child.stdout.clone(), child.stderr.clone());
        let ended = bash
            .execute("\"$@\"")
            .options(options)
            .stdout_fn(move |bytes| deliver(stdout.clone(), bytes))
            .stderr_fn(move |bytes| {
                let text = limits::as_bash_says(&String::from_utf8_lossy(&bytes));
                deliver(stderr.clone(), text.into_bytes())
            })
            .await;
        match ended {
            Ok(result) => result.exit_code,
            Err(error) => {
                let _ = child.stderr.write(format!("bash: {error}\n").as_bytes()).await;
                1
            }
        }
    }

    fn inside(&self, child: &Child) -> Place {
        let signals = Some(child.signals.clone());
        let (netns, affinity, vrf) = (child.netns, child.affinity, child.vrf.clone());
        Place { netns, affinity, vrf, mounts: child.mounts.clone(), signals, ..self.place.clone() }
    }
}

async fn deliver(to: Arc<dyn Output>, bytes: Vec<u8>) -> bashkit::Result<()> {
    Ok(to.write(&bytes).await?)
}

async fn read_to_end(input: &dyn Input) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let more = input.read().await?;
        if more.is_empty() {
            return Ok(all);
        }
        all.extend_from_slice(&more);
    }
}

/// Ends a shell when its parent was sent a fatal signal.
async fn unless_killed(signals: Arc<Signals>, shell: impl Future<Output = i32> + Send) -> i32 {
    let mut shell = Box::pin(shell);
    poll_fn(|cx| match signals.fatal(cx.waker()) {
        Some(signal) => Poll::Ready(signal.exit_status()),
        None => shell.as_mut().poll(cx),
    })
    .await
}

/// The name of a command of the system: itself, or without a directory of the system's commands.
fn command_name(path: &str) -> Option<&str> {
    let Some((directory, name)) = path.rsplit_once('/') else { return Some(path) };
    ["/bin", "/sbin", "/usr/bin", "/usr/sbin"].contains(&directory).then_some(name)
}
