//! One run of a plan on the host.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::socket::{Shutdown, shutdown};
use nix::time::{ClockId, clock_gettime};

use super::journeys::Known;
use super::machine::{Machine, NoStatus};
use super::spaces::{Place, Spaces};
use super::topology::{self, Lab};
use super::tracer::Tracer;
use super::{HostError, Options, Plan, PlannedPrompt, dumps, frames, journeys, needs};
use crate::compare::SETTLE;
use crate::compare::observation::{BlockSeen, ChosenMac, Frame, KernelConfig, Observation, PromptSeen};

/// Runs a plan and returns what was seen.
pub fn observe(plan: &Plan, options: &Options) -> Result<Observation, HostError> {
    needs::check()?;
    check(plan)?;
    let tracer = Tracer::start(options)?;
    let spaces = Arc::new(Mutex::new(Spaces::default()));
    let mut lab = Lab { machines: BTreeMap::new(), fabric: Machine::start("fabric", options)? };
    let mut hooks = Vec::new();
    for planned in &plan.machines {
        let machine = Machine::start(&planned.name, options)?;
        hooks.push(serve_hook(&machine, spaces.clone())?);
        locked(&spaces).rescan(&Place::of(&machine))?;
        lab.machines.insert(planned.name.clone(), machine);
    }
    topology::build(&lab, plan)?;
    let mut run =
        Run { plan, options, lab, spaces, tracer, starts: Vec::new(), seen: Observation::default() };
    run.rescan_all()?;
    std::thread::sleep(SETTLE);
    run.blocks()?;
    Ok(run.finish())
}

/// A prompt on a machine that is not there is found before anything is made.
fn check(plan: &Plan) -> Result<(), HostError> {
    for prompt in plan.blocks.iter().flat_map(|b| &b.prompts) {
        if !plan.machines.iter().any(|m| m.name == prompt.machine) {
            let (lesson, line, machine) = (&plan.lesson, prompt.line, &prompt.machine);
            return Err(HostError::Plan(format!("{lesson}:{line}: no machine {machine} in the topology")));
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
fn serve_hook(machine: &Machine, spaces: Arc<Mutex<Spaces>>) -> Result<Hook, HostError> {
    let place = Place::of(machine);
    let hook = machine.hook()?;
    let keeper = Hook(hook.try_clone().map_err(HostError::failed("cannot listen in a machine"))?);
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

struct Run<'a> {
    plan: &'a Plan,
    options: &'a Options,
    lab: Lab,
    spaces: Arc<Mutex<Spaces>>,
    tracer: Tracer,
    /// Wall-clock start of each prompt, in nanoseconds since the epoch.
    starts: Vec<u128>,
    seen: Observation,
}

impl Run<'_> {
    fn blocks(&mut self) -> Result<(), HostError> {
        for (at, block) in self.plan.blocks.iter().enumerate() {
            self.tracer.switch(true)?;
            for prompt in &block.prompts {
                self.prompt(at, prompt)?;
            }
            std::thread::sleep(SETTLE);
            self.tracer.switch(false)?;
            let tables = self.tables()?;
            self.seen.blocks.push(BlockSeen { line: block.line, tables });
        }
        Ok(())
    }

    fn prompt(&mut self, block: usize, prompt: &PlannedPrompt) -> Result<(), HostError> {
        let machine = self
            .lab
            .machines
            .get_mut(&prompt.machine)
            .ok_or_else(|| HostError::Plan(prompt.machine.clone()))?;
        let (number, [init, shell]) = (self.starts.len(), machine.pids());
        self.tracer.mark(&format!("glassnet prompt {number} pids {init} {shell}"))?;
        self.starts.push(now_ns());
        let (output, status) = machine.prompt(&prompt.command, self.options.prompt_timeout);
        let place = Place::of(machine);
        let status = status.map_err(|why| self.stuck(prompt, why, &output))?;
        let (line, command) = (prompt.line, prompt.command.clone());
        self.seen.prompts.push(PromptSeen {
            block,
            line,
            machine: prompt.machine.clone(),
            command,
            status,
            output,
        });
        locked(&self.spaces).rescan(&place)
    }

    fn stuck(&self, prompt: &PlannedPrompt, why: NoStatus, output: &str) -> HostError {
        let why = match why {
            NoStatus::TimedOut => format!("still running after {} s", self.options.prompt_timeout.as_secs()),
            NoStatus::Ended => "it ended its shell".to_owned(),
        };
        let last = output.lines().last().map(|l| format!("; its last words: {l}")).unwrap_or_default();
        HostError::Prompt {
            lesson: self.plan.lesson.clone(),
            line: prompt.line,
            machine: prompt.machine.clone(),
            command: prompt.command.clone(),
            why: why + &last,
        }
    }

    fn rescan_all(&self) -> Result<(), HostError> {
        let mut spaces = locked(&self.spaces);
        self.lab.machines.values().try_for_each(|m| spaces.rescan(&Place::of(m)))
    }

    fn tables(&self) -> Result<BTreeMap<String, BTreeMap<String, serde_json::Value>>, HostError> {
        let mut all = BTreeMap::new();
        for machine in self.lab.machines.values() {
            for netns in locked(&self.spaces).names(&machine.name) {
                let key =
                    if netns.is_empty() { machine.name.clone() } else { format!("{}/{netns}", machine.name) };
                all.insert(key, dumps::read(machine, &netns)?);
            }
        }
        Ok(all)
    }

    fn finish(self) -> Observation {
        // What softirqs still have in hand reaches the taps well within this.
        std::thread::sleep(Duration::from_millis(20));
        let Self { plan, lab, spaces, tracer, starts, mut seen, .. } = self;
        let trace = tracer.finish();
        let (frames, macs, mut notices) = std::mem::take(&mut *locked(&spaces)).finish();
        let told = journeys::from_trace(&trace, known(plan, &frames, &macs));
        (seen.journeys, seen.events) = (told.journeys, told.events);
        seen.frames = frames.into_iter().filter_map(|f| placed(f, &starts)).collect();
        seen.macs = macs;
        seen.nics = plan.nic_names().into_iter().collect();
        seen.notices.append(&mut notices);
        seen.lesson.clone_from(&plan.lesson);
        seen.kernel = kernel();
        seen.config = config();
        seen.tools = lab.machines.values().next().map(tools).unwrap_or_default();
        seen
    }
}

/// Asks a bridge and a set, in a namespace of their own, what this kernel's can do.
pub fn config() -> KernelConfig {
    let ask = |asked: &str| {
        let said = Command::new("unshare").args(["--net", "sh", "-c", asked]).output();
        said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned()).unwrap_or_default()
    };
    let bridge = ask("ip link add probe0 type bridge && ip -d link show probe0");
    let set = ask("ipset create probe0 hash:ip && ipset list probe0");
    KernelConfig {
        bridge_vlan_filtering: bridge.contains("vlan_default_pvid"),
        ipset_bitmask: set.contains("Revision: 6"),
        reject_closes: is_since(6, 3),
        nat_keeps_reverse: is_since(6, 12),
    }
}

/// What tells the lesson's packets from the host's own.
fn known(plan: &Plan, frames: &[frames::SeenFrame], macs: &[ChosenMac]) -> Known {
    let mut known = Known { devices: macs.iter().map(|m| m.device.clone()).collect(), ..Known::default() };
    known.nics = plan.nic_names();
    known.ports = topology::hidden_names(plan);
    known.devices.extend(known.nics.iter().chain(&known.ports).cloned());
    let since_boot = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
    let offset = now_ns() - since_boot.as_nanos();
    for frame in frames {
        let at_ns = frame.at_ns.saturating_sub(offset) as u64;
        known.sightings.entry((frame.device.clone(), frame.bytes.len())).or_default().push(at_ns);
    }
    known
}

fn now_ns() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
}

/// Puts a frame under the prompt that ran when it was stamped; none for what came before the first.
fn placed(frame: frames::SeenFrame, starts: &[u128]) -> Option<Frame> {
    let prompt = starts.partition_point(|start| *start <= frame.at_ns).checked_sub(1)?;
    let at_us = ((frame.at_ns - starts[0]) / 1000) as u64;
    let bytes = frame.bytes.iter().map(|b| format!("{b:02x}")).collect();
    let frames::SeenFrame { machine, netns, device, direction, .. } = frame;
    Some(Frame { prompt, machine, netns, device, direction, at_us, bytes })
}

/// The running kernel is of this version or newer.
pub(super) fn is_since(major: u32, minor: u32) -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (major, minor)
}

fn kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("linux {} (host)", release.trim())
}

/// The version lines of the tools that lessons use.
fn tools(machine: &Machine) -> BTreeMap<String, String> {
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
