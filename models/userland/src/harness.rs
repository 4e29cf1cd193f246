//! Runs one program without a shell: for tests of programs and for benchmarks.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use glassnet_kernel::ids::{MachineId, NetnsId};
use glassnet_kernel::tables::cpumask::CpuMask;
use glassnet_sim::Nanos;

use crate::memory::Memory;
use crate::process::{
    self, Boxed, Child, Exit, Files, Mounts, Process, Program, SharedWorld, Signals, Sleepers, Spawner,
};

/// Result of a program.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Exit status.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs `argv` on the machine, in the namespace, with `stdin`, to its end. Steps the world while the program
/// waits. `None` if there is no such program or if it waits for something that never happens.
pub fn run(world: &SharedWorld, place: (MachineId, NetnsId), argv: &[&str], stdin: &str) -> Option<Outcome> {
    run_together(world, &[(place, argv)], stdin)?.pop()
}

/// Runs several programs at once, as [`run`] does with one, until the last has ended.
pub fn run_together(
    world: &SharedWorld,
    programs: &[((MachineId, NetnsId), &[&str])],
    stdin: &str,
) -> Option<Vec<Outcome>> {
    let launch = |(place, argv): &((MachineId, NetnsId), &[&str])| Launch {
        place: *place,
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        env: BTreeMap::new(),
        stdin: stdin.to_owned(),
        delay: Nanos::ZERO,
    };
    run_launches(world, programs.iter().map(launch).collect(), Arc::new(NoFiles))
}

/// A program to be started.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Machine and namespace.
    pub place: (MachineId, NetnsId),
    /// Its name and arguments.
    pub argv: Vec<String>,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// Its standard input.
    pub stdin: String,
    /// Delay of the start.
    pub delay: Nanos,
}

/// Runs several programs at once, each after its delay, until the last has ended.
pub fn run_launches(
    world: &SharedWorld,
    launches: Vec<Launch>,
    files: Arc<dyn Files>,
) -> Option<Vec<Outcome>> {
    let sleepers = Arc::new(Sleepers::default());
    let mut running = Vec::new();
    for launch in launches {
        known(launch.argv.first()?)?;
        let [stdout, stderr] = [(); 2].map(|()| Memory::new([]));
        let streams = (stdout.clone(), stderr.clone());
        let child = Child { env: launch.env, ..child(launch.place.1, launch.argv, &launch.stdin, streams) };
        let spawner = Direct {
            world: world.clone(),
            machine: launch.place.0,
            sleepers: sleepers.clone(),
            files: files.clone(),
            delay: launch.delay,
        };
        let ended: Boxed<'static, i32> = Box::pin(async move { spawner.spawn(child).await });
        running.push((Some(ended), 0, stdout, stderr));
    }
    let together = poll_fn(|cx| {
        for (slot, status, ..) in &mut running {
            if let Some(Poll::Ready(ended)) = slot.as_mut().map(|future| future.as_mut().poll(cx)) {
                (*slot, *status) = (None, ended);
            }
        }
        if running.iter().all(|program| program.0.is_none()) { Poll::Ready(()) } else { Poll::Pending }
    });
    drive(world, &sleepers, together)?;
    let outcome = |(_, status, stdout, stderr): &(_, i32, Arc<Memory>, Arc<Memory>)| Outcome {
        status: *status,
        stdout: stdout.text(),
        stderr: stderr.text(),
    };
    Some(running.iter().map(outcome).collect())
}

fn child(
    netns: NetnsId,
    argv: Vec<String>,
    stdin: &str,
    (stdout, stderr): (Arc<Memory>, Arc<Memory>),
) -> Child {
    Child {
        netns,
        argv,
        env: BTreeMap::new(),
        cwd: "/root".to_string(),
        stdin: Memory::new(stdin.as_bytes()),
        stdout,
        stderr,
        signals: Arc::new(Signals::default()),
        affinity: CpuMask::ALL,
        vrf: None,
        mounts: Mounts::default(),
    }
}

/// Polls `future` to completion, stepping the world while it waits; `None` if no event is left.
pub fn drive<T>(world: &SharedWorld, sleepers: &Sleepers, future: impl Future<Output = T>) -> Option<T> {
    let flag = Arc::new(Flag(AtomicBool::new(true)));
    let waker = Waker::from(flag.clone());
    let mut future = pin!(future);
    loop {
        while flag.0.swap(false, Ordering::Relaxed) {
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Some(value);
            }
        }
        let mut world = world.lock().unwrap_or_else(|e| e.into_inner());
        while !world.take_wakeups() {
            if !world.step().ok()? {
                return None;
            }
        }
        drop(world);
        sleepers.wake_all();
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// No files.
struct NoFiles;

impl Files for NoFiles {
    fn read<'a>(&'a self, _path: &'a str) -> Boxed<'a, io::Result<Vec<u8>>> {
        Box::pin(async { Err(io::ErrorKind::NotFound.into()) })
    }

    fn write<'a>(&'a self, _path: &'a str, _bytes: &'a [u8]) -> Boxed<'a, io::Result<()>> {
        Box::pin(async { Err(io::ErrorKind::NotFound.into()) })
    }

    fn append<'a>(&'a self, path: &'a str, bytes: &'a [u8]) -> Boxed<'a, io::Result<()>> {
        self.write(path, bytes)
    }

    fn remove<'a>(&'a self, path: &'a str) -> Boxed<'a, io::Result<()>> {
        self.write(path, &[])
    }

    fn make_dir<'a>(&'a self, path: &'a str) -> Boxed<'a, io::Result<()>> {
        self.write(path, &[])
    }
}

/// Files in memory, by absolute path; a directory is there if a file is below it.
#[derive(Default)]
pub struct MemoryFiles(pub Mutex<BTreeMap<String, Vec<u8>>>);

impl MemoryFiles {
    fn files(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Files for MemoryFiles {
    fn read<'a>(&'a self, path: &'a str) -> Boxed<'a, io::Result<Vec<u8>>> {
        let content = self.files().get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into());
        Box::pin(async { content })
    }

    fn write<'a>(&'a self, path: &'a str, bytes: &'a [u8]) -> Boxed<'a, io::Result<()>> {
        self.files().insert(path.to_owned(), bytes.to_vec());
        Box::pin(async { Ok(()) })
    }

    fn append<'a>(&'a self, path: &'a str, bytes: &'a [u8]) -> Boxed<'a, io::Result<()>> {
        self.files().entry(path.to_owned()).or_default().extend_from_slice(bytes);
        Box::pin(async { Ok(()) })
    }

    fn remove<'a>(&'a self, path: &'a str) -> Boxed<'a, io::Result<()>> {
        let gone = self.files().remove(path).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into());
        Box::pin(async { gone })
    }

    fn make_dir<'a>(&'a self, _: &'a str) -> Boxed<'a, io::Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn list<'a>(&'a self, path: &'a str) -> Boxed<'a, io::Result<Vec<(String, bool)>>> {
        let below = format!("{}/", path.trim_end_matches('/'));
        let mut entries: Vec<(String, bool)> = Vec::new();
        for rest in self.files().keys().filter_map(|file| file.strip_prefix(&below)) {
            let (name, is_dir) = rest.split_once('/').map_or((rest, false), |(name, _)| (name, true));
            if entries.iter().all(|entry| entry.0 != name) {
                entries.push((name.to_owned(), is_dir));
            }
        }
        let found = if entries.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(entries) };
        Box::pin(async { found })
    }
}

/// The program of a name, or at a path.
fn known(name: &str) -> Option<&'static Program> {
    let at = || crate::installed().find(|program| program.path == name);
    crate::program(name).or_else(at).or_else(|| crate::cni::plugin(name))
}

/// Starts programs of the registry directly. Nobody is there for a program that goes on by itself.
struct Direct {
    world: SharedWorld,
    machine: MachineId,
    sleepers: Arc<Sleepers>,
    files: Arc<dyn Files>,
    delay: Nanos,
}

impl Spawner for Direct {
    fn find<'a>(&'a self, name: &'a str, _cwd: &'a str) -> Boxed<'a, io::Result<String>> {
        let path = known(name).map(|program| program.path.to_owned());
        let found = path.ok_or_else(|| io::ErrorKind::NotFound.into());
        Box::pin(async { found })
    }

    fn detach(&self, _: Child) -> Arc<Exit> {
        Arc::default()
    }

    fn spawn(&self, child: Child) -> Boxed<'_, i32> {
        Box::pin(async move {
            let Some(program) = child.argv.first().and_then(|name| known(name)) else {
                return 127;
            };
            let mut process = Process {
                world: self.world.clone(),
                machine: self.machine,
                netns: child.netns,
                affinity: child.affinity,
                vrf: child.vrf,
                mounts: child.mounts,
                program,
                pid: 1000,
                argv: child.argv,
                env: child.env,
                cwd: child.cwd,
                stdin: child.stdin,
                stdout: child.stdout,
                stderr: child.stderr,
                files: self.files.clone(),
                signals: child.signals,
                shell: Arc::new(Direct {
                    world: self.world.clone(),
                    machine: self.machine,
                    sleepers: self.sleepers.clone(),
                    files: self.files.clone(),
                    delay: Nanos::ZERO,
                }),
                sleepers: self.sleepers.clone(),
                printed: Vec::new(),
                unread: Vec::new(),
            };
            if self.delay > Nanos::ZERO && process.sleep(self.delay).await.is_err() {
                return 0;
            }
            process::run(&mut process).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glassnet_kernel::world::World;

    #[test]
    fn sleep_takes_virtual_time() {
        let mut world = World::new(1);
        world.add_machine("node1", 1);
        let world = Arc::new(Mutex::new(world));
        let place = (MachineId(0), NetnsId(0));
        let outcome = run(&world, place, &["sleep", "3"], "").expect("ends");
        assert_eq!(outcome, Outcome { status: 0, stdout: String::new(), stderr: String::new() });
        assert_eq!(world.lock().unwrap().now(), glassnet_sim::Nanos::from_secs(3));
        let outcome = run(&world, place, &["sleep", "x"], "").expect("ends");
        assert_eq!(outcome.status, 1);
        assert_eq!(
            outcome.stderr,
            "sleep: invalid time interval 'x'\nTry 'sleep --help' for more information.\n"
        );
    }
}
