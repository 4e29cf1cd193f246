//! A machine on the running kernel on which costs are measured: packets are sent by this thread, which stays on one CPU, so
//! that softirqs run within the system call that raises them.

use std::fs::File;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use glassnet_scenarios::calibrate::{Bench, Load};
use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::rig::{Programs, Said};
use nix::errno::Errno;
use nix::libc;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::socket::{MsgFlags, send};
use nix::unistd::Pid;

use super::Host;
use super::machine::Machine;
use super::rig::{packet_socket, prepared};
use super::spaces::within;

/// A machine.
pub(in crate::backends) struct Timed {
    machine: Machine,
    own: File,
    /// The packet socket at the far end of the cable.
    outside: Option<OwnedFd>,
    pair: Option<[UdpSocket; 2]>,
}

/// How many packets are sent for one time, at least.
const PACKETS: usize = 256;

impl Timed {
    /// Starts it, and binds this thread to a CPU.
    pub fn start(host: &Host) -> Result<Timed, BackendError> {
        let (machine, own) = prepared("calibrate", host)?;
        stay_on(*cpus()?.first().unwrap_or(&0))?;
        Ok(Timed { machine, own, outside: None, pair: None })
    }
}

impl Programs for Timed {
    fn run(&mut self, argv: &[&str], stdin: &str) -> Result<Said, BackendError> {
        self.machine.run(argv, stdin)
    }
}

impl Bench for Timed {
    fn spend(&mut self, load: &Load) -> Result<f64, BackendError> {
        match load {
            Load::Frames(frames) => self.frames(frames),
            Load::Datagrams(bytes) => self.datagrams(*bytes),
            Load::Turns(bytes) => self.turns(*bytes),
            Load::Interrupts => interrupts(),
        }
    }
}

impl Timed {
    fn frames(&mut self, frames: &[Vec<u8>]) -> Result<f64, BackendError> {
        let fd = match &self.outside {
            Some(fd) => fd,
            None => {
                let failed = || BackendError::failed("cannot open a packet socket");
                let space = File::open(self.machine.path("/run/netns/x")).map_err(failed())?;
                self.outside.insert(within(&space, || packet_socket("t", None)).map_err(failed())?)
            }
        };
        let packets = frames.len().max(PACKETS);
        let start = Instant::now();
        for frame in frames.iter().cycle().take(packets) {
            send(fd.as_raw_fd(), frame, MsgFlags::empty())
                .map_err(|errno| BackendError::failed("cannot send a frame")(errno.into()))?;
        }
        Ok(each(start.elapsed(), packets))
    }

    /// The sockets of two programs.
    fn pair(&mut self) -> Result<&[UdpSocket; 2], BackendError> {
        let pair = match self.pair.take() {
            Some(pair) => pair,
            None => within(&self.own, connected).map_err(BackendError::failed("cannot open a socket"))?,
        };
        Ok(self.pair.insert(pair))
    }

    /// Another thread on this CPU sends each datagram back.
    fn turns(&mut self, bytes: usize) -> Result<f64, BackendError> {
        let failed = || BackendError::failed("cannot send a datagram");
        let [here, there] = self.pair()?;
        let turns = PACKETS / 2;
        let took = thread::scope(|scope| {
            let other = scope.spawn(|| {
                let mut buffer = vec![0; bytes];
                (0..turns).try_for_each(|_| {
                    there.recv(&mut buffer)?;
                    there.send(&buffer).map(drop)
                })
            });
            let mut buffer = vec![0; bytes];
            let start = Instant::now();
            let sent = (0..turns)
                .try_for_each(|_| here.send(&buffer).and_then(|_| here.recv(&mut buffer)).map(drop));
            let took = start.elapsed();
            let answered = other.join().unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into()));
            sent.and(answered).map(|()| took)
        });
        took.map(|took| each(took, PACKETS)).map_err(failed())
    }

    fn datagrams(&mut self, bytes: usize) -> Result<f64, BackendError> {
        let failed = || BackendError::failed("cannot send a datagram");
        let [from, to] = self.pair()?;
        let mut buffer = vec![0; bytes];
        let start = Instant::now();
        for _ in 0..PACKETS {
            from.send(&buffer).and_then(|_| to.recv(&mut buffer)).map_err(failed())?;
        }
        Ok(each(start.elapsed(), PACKETS))
    }
}

fn each(time: Duration, count: usize) -> f64 {
    time.as_nanos() as f64 / count as f64
}

/// Two sockets that send to each other.
fn connected() -> std::io::Result<[UdpSocket; 2]> {
    let to = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let from = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    from.connect(to.local_addr()?)?;
    to.connect(from.local_addr()?)?;
    Ok([from, to])
}

/// The CPUs that this process may use.
fn cpus() -> Result<Vec<usize>, BackendError> {
    let set = sched_getaffinity(Pid::from_raw(std::process::id().cast_signed()))
        .map_err(|errno| BackendError::failed("cannot ask for this process's CPUs")(errno.into()))?;
    Ok((0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect())
}

/// Binds this thread to a CPU.
fn stay_on(cpu: usize) -> Result<(), BackendError> {
    let mut set = CpuSet::new();
    set.set(cpu)
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &set))
        .map_err(|errno| BackendError::failed("cannot choose a CPU")(errno.into()))
}

/// What an interrupt takes from a CPU that computes, ns: `membarrier` interrupts the CPUs on which other threads of this process
/// run.
fn interrupts() -> Result<f64, BackendError> {
    let cpus = cpus()?;
    let [own, other, ..] = cpus[..] else {
        return Err(BackendError::Missing(vec!["a second CPU, which this one interrupts".to_owned()]));
    };
    stay_on(own)?;
    membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)?;
    let (computed, ended) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            // If it cannot move, it is not interrupted, and no time is lost.
            let _ = stay_on(other);
            while !ended.load(Ordering::Relaxed) {
                computed.fetch_add(1, Ordering::Relaxed);
            }
        });
        let lost = time_lost(&computed);
        ended.store(true, Ordering::Relaxed);
        lost
    })
}

/// How long each interrupt kept another thread from counting, ns: the median of several times; infinite
/// if that cannot be told.
fn time_lost(computed: &AtomicU64) -> Result<f64, BackendError> {
    let (mut quiet, mut interrupted) = (0_f64, Vec::new());
    for _ in 0..10 {
        for is_interrupting in [false, true] {
            let (begin, start, mut sent) = (computed.load(Ordering::Relaxed), Instant::now(), 0_u32);
            while start.elapsed() < Duration::from_millis(1) {
                if is_interrupting {
                    membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED)?;
                    sent += 1;
                }
            }
            let ns = start.elapsed().as_nanos() as f64;
            let speed = (computed.load(Ordering::Relaxed) - begin) as f64 / ns;
            match is_interrupting {
                false => quiet = quiet.max(speed),
                true => interrupted.push((speed, f64::from(sent) / ns)),
            }
        }
    }
    let mut lost: Vec<f64> =
        interrupted.into_iter().map(|(speed, rate)| (1.0 - speed / quiet) / rate).collect();
    lost.sort_by(f64::total_cmp);
    // Something else has slowed the other thread down while it was not interrupted.
    Ok(Some(lost[lost.len() / 2]).filter(|lost| *lost > 0.0).unwrap_or(f64::INFINITY))
}

fn membarrier(command: libc::c_int) -> Result<(), BackendError> {
    // SAFETY: `membarrier` takes three numbers and touches no memory of this process.
    let done = unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) };
    Errno::result(done)
        .map(drop)
        .map_err(|errno| BackendError::failed("cannot interrupt another CPU")(errno.into()))
}
