//! The host backend: a lesson's prompts run verbatim by bash and the real tools on the running kernel.
//!
//! A machine is a network, mount, UTS, IPC and PID namespace of its own. Nothing of it outlives the
//! process that asked for it: each machine's first process holds the reading end of a pipe and exits when
//! the writing end closes, which the kernel does even for a process that is killed with SIGKILL; the end of
//! a PID namespace's first process ends the namespace, its processes, its mounts and its devices.

#![allow(clippy::disallowed_methods, reason = "a real kernel lives in real time")]

mod bare;
mod bench;
mod card;
mod clock;
mod dumps;
mod frames;
mod inside;
mod journeys;
mod links;
mod log;
mod machine;
mod needs;
mod plain;
mod probe;
mod quiet;
mod reach;
mod rig;
mod ring;
mod run;
mod spaces;
mod tool;
mod topology;
mod tracer;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use glassnet_scenarios::backend::{Backend, Running};
use glassnet_scenarios::calibrate::Bench;
use glassnet_scenarios::canary::Eye;
use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::observation::{Capabilities, KernelConfig};
use glassnet_scenarios::plan::Plan;
use glassnet_scenarios::rig::Rig;
use glassnet_scenarios::shell::TIME_LIMIT;

pub(super) use inside::reentered;
pub(super) use needs::check;
pub(super) use quiet::Quiet;

/// The running kernel.
#[derive(Clone, Debug)]
pub struct Host {
    /// The `glassnet` binary, whose `main` begins with [`reentered`].
    pub helper: PathBuf,
    /// How long one prompt may take.
    pub prompt_timeout: Duration,
    /// What it does not look with, to show that such a run fails.
    pub blind: Option<Eye>,
}

/// The kernel and the CPU, as a source of numbers.
pub fn described() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("\t: an unknown CPU");
    let cpu = cpu.trim_start_matches(['\t', ' ', ':']).replace(',', ";");
    format!("measured on Linux {} ({cpu})", probe::release())
}

impl Host {
    /// With the running binary as helper. A prompt may take a minute, in virtual time what the simulator gives it.
    ///
    /// # Errors
    ///
    /// The binary is not found.
    pub fn of_this_program() -> Result<Host, BackendError> {
        let helper = std::env::current_exe().map_err(BackendError::failed("cannot find this program"))?;
        let prompt_timeout = match probe::place() {
            "uml" => Duration::from_nanos(TIME_LIMIT.0),
            _ => Duration::from_secs(60),
        };
        Ok(Host { helper, prompt_timeout, blind: None })
    }
}

/// Starts a machine on which costs are measured.
///
/// # Errors
///
/// [`BackendError::Missing`] if it cannot run here, others if something failed on the way.
pub fn bench(host: &Host) -> Result<Box<dyn Bench>, BackendError> {
    bench::Timed::start(host).map(|timed| Box::new(timed) as Box<dyn Bench>)
}

/// The running kernel, if it can be used.
pub(super) fn open() -> Result<Box<dyn Backend>, BackendError> {
    Ok(Box::new(Host::of_this_program()?))
}

impl Backend for Host {
    fn version(&self) -> String {
        format!("linux {} ({})", probe::release(), probe::place())
    }

    fn config(&self) -> KernelConfig {
        probe::config()
    }

    fn sees(&self) -> Capabilities {
        Capabilities { tables: needs::tables(), log: log::is_own(), ..Capabilities::default() }
    }

    fn missing(&self, programs: &BTreeSet<&str>) -> Vec<String> {
        needs::missing(programs)
    }

    fn start<'a>(&'a self, plan: &'a Plan) -> Result<Box<dyn Running + 'a>, BackendError> {
        Ok(Box::new(run::Run::start(self, plan)?))
    }

    fn start_plain<'a>(&'a self, plan: &'a Plan) -> Result<Box<dyn Running + 'a>, BackendError> {
        Ok(Box::new(plain::PlainRun::start(self, plan)?))
    }

    fn router(&self) -> Result<Box<dyn Rig>, BackendError> {
        Ok(Box::new(rig::Router::start(self)?))
    }
}
