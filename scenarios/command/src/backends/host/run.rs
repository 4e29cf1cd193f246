//! One run of a plan on the host.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use glassnet_scenarios::backend::Running;
use glassnet_scenarios::canary::Eye;
use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::observation::{Captured, Printed};
use glassnet_scenarios::observation::{ChosenMac, Frame, SETTLE, Tables};
use glassnet_scenarios::plan::{Plan, PlannedPrompt};
use nix::sys::socket::{Shutdown, shutdown};
use nix::time::{ClockId, clock_gettime};

use super::journeys::Known;
use super::log::KernelLog;
use super::machine::{Machine, NoStatus};
use super::spaces::{Place, Spaces};
use super::topology;
use super::tracer::Tracer;
use super::{Host, clock, dumps, frames, journeys, needs, probe};

/// A prompt on a machine that is not there is found before anything is made.
pub(super) fn check(plan: &Plan) -> Result<(), BackendError> {
    for prompt in plan.blocks.iter().flat_map(|b| &b.prompts) {
        if !plan.topology.nodes.contains_key(&prompt.machine) {
            let (lesson, line, machine) = (&plan.lesson, prompt.line, &prompt.machine);
            return Err(BackendError::Plan(format!("{lesson}:{line}: no machine {machine} in the topology")));
        }
        if let Some(change) = prompt.before.first() {
            let (lesson, line, end) = (&plan.lesson, prompt.line, &change.end);
            return Err(BackendError::Plan(format!(
                "{lesson}:{line}: the cable of {}:{} changes before this prompt: not modelled on the host yet",
                end.node, end.port
            )));
        }
    }
    Ok(())
}

/// A thread that died with the lock has already reported its error; the state itself stays usable.
fn locked(spaces: &Mutex<Spaces>) -> MutexGuard<'_, Spaces> {
    spaces.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A listener that ends its thread when it goes away.
struct Hook(UnixListener);

impl Drop for Hook {
    fn drop(&mut self) {
        let _ = shutdown(self.0.as_raw_fd(), Shutdown::Both);
    }
}

/// Answers the wrapper around `ip` of one machine: looks at its namespaces again, then lets it go on.
fn serve_hook(machine: &Machine, spaces: Arc<Mutex<Spaces>>) -> Result<Hook, BackendError> {
    let place = Place::of(machine);
    let hook = machine.hook()?;
    let keeper = Hook(hook.try_clone().map_err(BackendError::failed("cannot listen in a machine"))?);
    std::thread::spawn(move || {
        while let Ok((mut caller, _)) = hook.accept() {
            let _ = caller.read(&mut [0]);
            if let Err(e) = locked(&spaces).rescan(&place) {
                eprintln!("glassnet: {}: {e}", place.machine());
            }
            let _ = caller.write_all(b"\n");
        }
    });
    Ok(keeper)
}

/// A plan that runs.
pub(super) struct Run<'a> {
    plan: &'a Plan,
    host: &'a Host,
    machines: BTreeMap<String, Machine>,
    /// What is between them is there as long as this is open.
    _fabric: File,
    spaces: Arc<Mutex<Spaces>>,
    /// One for each machine, to be dropped with it.
    _hooks: Vec<Hook>,
    tracer: Tracer,
    log: KernelLog,
    /// The tracer records.
    traces: bool,
    /// Wall-clock start of each prompt, in nanoseconds since the epoch.
    starts: Vec<u128>,
}

impl<'a> Run<'a> {
    /// Starts the machines.
    pub fn start(host: &'a Host, plan: &'a Plan) -> Result<Self, BackendError> {
        needs::check()?;
        check(plan)?;
        let (tracer, log) = (Tracer::start(host)?, KernelLog::open(&plan.topology)?);
        let spaces = Arc::new(Mutex::new(Spaces::default()));
        let (mut machines, mut own) = (BTreeMap::new(), BTreeMap::new());
        let mut hooks = Vec::new();
        for name in plan.topology.nodes.keys() {
            let machine = Machine::start(name, host)?;
            hooks.push(serve_hook(&machine, spaces.clone())?);
            locked(&spaces).rescan(&Place::of(&machine))?;
            let netns =
                File::open(machine.netns()).map_err(BackendError::failed("cannot open a namespace"))?;
            own.insert(name.clone(), netns);
            machines.insert(name.clone(), machine);
        }
        let (fabric, starts) = (topology::new_fabric()?, Vec::new());
        topology::build(&own, &fabric, &plan.topology)?;
        let mut run = Self {
            plan,
            host,
            machines,
            _fabric: fabric,
            spaces,
            _hooks: hooks,
            tracer,
            log,
            traces: false,
            starts,
        };
        locked(&run.spaces).plugged();
        run.rescan_all()?;
        // It is found out with devices of its own: before the wait, because changes of carriers hold back others that follow.
        probe::config();
        clock::begin()?;
        // What was written of the set-up, and of the end of the run before.
        run.log.take()?;
        Ok(run)
    }

    fn is_blind(&self, eye: Eye) -> bool {
        self.host.blind == Some(eye)
    }

    fn trace(&mut self, on: bool) -> Result<(), BackendError> {
        let on = on && !self.is_blind(Eye::Tracepoints);
        if self.traces != on {
            self.tracer.switch(on)?;
            self.traces = on;
        }
        Ok(())
    }

    fn stuck(&self, prompt: &PlannedPrompt, why: NoStatus, output: &str) -> BackendError {
        let why = match why {
            NoStatus::TimedOut => format!("still running after {} s", self.host.prompt_timeout.as_secs()),
            NoStatus::Ended => "it ended its shell".to_owned(),
        };
        let last = output.lines().last().map(|l| format!("; its last words: {l}")).unwrap_or_default();
        BackendError::prompt(self.plan, prompt, why + &last)
    }

    fn rescan_all(&self) -> Result<(), BackendError> {
        let mut spaces = locked(&self.spaces);
        self.machines.values().try_for_each(|m| spaces.rescan(&Place::of(m)))
    }
}

impl Running for Run<'_> {
    fn prompt(&mut self, number: usize, prompt: &PlannedPrompt) -> Result<Printed, BackendError> {
        clock::until_prompt()?;
        self.trace(true)?;
        let machine = self
            .machines
            .get_mut(&prompt.machine)
            .ok_or_else(|| BackendError::Plan(prompt.machine.clone()))?;
        let [init, shell] = machine.pids();
        if self.traces {
            self.tracer.mark(&format!("glassnet prompt {number} pids {init} {shell}"))?;
        }
        self.starts.push(now_ns());
        let (mut output, status) = machine.prompt(&prompt.command, self.host.prompt_timeout);
        if probe::config().virtual_time {
            // Whatever follows at this moment comes before the next prompt, as it does in the model.
            clock::until_all_wait();
            output += &machine.printed();
        }
        let place = Place::of(machine);
        let status = status.map_err(|why| self.stuck(prompt, why, &output))?;
        let mut spaces = locked(&self.spaces);
        spaces.rescan(&place)?;
        spaces.note_reach_times(number)?;
        drop(spaces);
        if self.is_blind(Eye::Output) {
            output.clear();
        }
        Ok(Printed { output, status })
    }

    fn settle(&mut self) -> Result<(), BackendError> {
        std::thread::sleep(SETTLE);
        Ok(())
    }

    fn tables(&mut self, machines: &[&str]) -> Result<Tables, BackendError> {
        self.trace(false)?;
        let mut all = Tables::new();
        for machine in machines {
            let spaces =
                locked(&self.spaces).of(machine).map_err(BackendError::failed("cannot read tables"))?;
            for (netns, file) in spaces {
                let key = if netns.is_empty() { (*machine).to_owned() } else { format!("{machine}/{netns}") };
                if !self.is_blind(Eye::Tables) {
                    let read = dumps::read(&file, self.plan.dumps_of(&key))?;
                    all.insert(key, read);
                }
            }
        }
        Ok(all)
    }

    fn log(&mut self) -> Result<Vec<String>, BackendError> {
        let lines = self.log.take()?;
        Ok(if self.is_blind(Eye::Log) { Vec::new() } else { lines })
    }

    fn finish(self: Box<Self>) -> Result<Captured, BackendError> {
        // What softirqs still have in hand reaches the taps well within this.
        std::thread::sleep(Duration::from_millis(20));
        let sees_frames = !self.is_blind(Eye::Frames);
        let Self { plan, machines, spaces, tracer, starts, .. } = *self;
        let trace = tracer.finish();
        let (mut frames, captured) = std::mem::take(&mut *locked(&spaces)).finish();
        let told = journeys::from_trace(&trace, known(plan, &frames, &captured.macs))?;
        frames.retain(|_| sees_frames);
        Ok(Captured {
            tools: machines.values().next().map(tools).unwrap_or_default(),
            frames: frames.into_iter().filter_map(|f| placed(f, &starts)).collect(),
            journeys: told.journeys,
            events: told.events,
            ..captured
        })
    }
}

/// What tells the lesson's packets from the host's own.
pub(super) fn known(plan: &Plan, frames: &[frames::SeenFrame], macs: &[ChosenMac]) -> Known {
    let mut known = Known { devices: macs.iter().map(|m| m.device.clone()).collect(), ..Known::default() };
    known.alone = probe::place() == "uml";
    known.nics = plan.nic_names();
    known.ports = topology::hidden_names(&plan.topology);
    known.devices.extend(known.nics.iter().chain(&known.ports).cloned());
    let since_boot = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
    let offset = now_ns() - since_boot.as_nanos();
    known.devices.extend(frames.iter().map(|frame| frame.device.clone()));
    for frame in frames {
        let at_ns = frame.at_ns.saturating_sub(offset) as u64;
        known.sightings.entry((frame.device.clone(), frame.bytes.len())).or_default().push(at_ns);
    }
    known
}

pub(super) fn now_ns() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
}

/// Puts a frame under the prompt that ran when it was stamped; none for what came before the first.
pub(super) fn placed(frame: frames::SeenFrame, starts: &[u128]) -> Option<Frame> {
    let prompt = starts.partition_point(|start| *start <= frame.at_ns).checked_sub(1)?;
    let at_us = ((frame.at_ns - starts[0]) / 1000) as u64;
    let bytes = frame.bytes.iter().map(|b| format!("{b:02x}")).collect();
    let frames::SeenFrame { machine, netns, device, direction, raw, .. } = frame;
    Some(Frame { prompt, machine, netns, device, direction, at_us, raw, bytes })
}

/// The version lines of the tools that lessons use; they are asked once.
fn tools(machine: &Machine) -> BTreeMap<String, String> {
    static TOOLS: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    TOOLS.get_or_init(|| ask_tools(machine)).clone()
}

fn ask_tools(machine: &Machine) -> BTreeMap<String, String> {
    let ask = |argv: &[&str]| {
        let out = machine.command(argv).output().ok()?;
        let text = [out.stdout, out.stderr].concat();
        Some((argv[0].to_owned(), String::from_utf8_lossy(&text).lines().next()?.to_owned()))
    };
    let asks = [
        &["ip", "-V"][..],
        &["bridge", "-V"],
        &["ping", "-V"],
        &["brctl", "--version"],
        &["tcpdump", "--version"],
        &["bash", "--version"],
    ];
    asks.into_iter().filter_map(ask).collect()
}
