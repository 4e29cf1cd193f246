//! A run of a plan of [plain commands](glassnet_scenarios::plain): without a shell and with few processes.
//!
//! `ip` and `bridge` stay for the whole run, sysctls and sleeps are this process's own; other programs are started. What is
//! observed, and how, is as in [`super::run`].

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::sync::atomic::{AtomicU32, Ordering};

use glassnet_scenarios::backend::Running;
use glassnet_scenarios::canary::Eye;
use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::observation::{Captured, Printed, SETTLE, Tables};
use glassnet_scenarios::plain::{Act, Plain};
use glassnet_scenarios::plan::{Plan, PlannedPrompt};
use serde_json::Value;

use super::bare::{BareMachine, Ends, Program};
use super::card::complete_checksums;
use super::log::KernelLog;
use super::run::{check, known, now_ns, placed};
use super::spaces::{Place, Spaces, within};
use super::tool::Tool;
use super::topology::Plugs;
use super::tracer::Instance;
use super::{Host, clock, dumps, journeys, needs, topology};

/// Options of the tools that stay.
const OPTIONS: [&str; 3] = ["-j", "-d", "-s"];

/// A plan that runs.
pub(super) struct PlainRun<'a> {
    plan: &'a Plan,
    blind: Option<Eye>,
    // Before the machines: it ends with its input.
    tools: BTreeMap<(String, String, &'static str), Tool>,
    jobs: Vec<Program>,
    spaces: Spaces,
    machines: BTreeMap<String, (BareMachine, Place)>,
    /// What is between them is there as long as this is open.
    _fabric: File,
    tracer: Instance,
    log: KernelLog,
    traced: Vec<u8>,
    /// Wall-clock start of each prompt, in nanoseconds since the epoch.
    starts: Vec<u128>,
}

impl<'a> PlainRun<'a> {
    /// Starts the machines.
    pub fn start(host: &Host, plan: &'a Plan) -> Result<Self, BackendError> {
        needs::check()?;
        check(plan)?;
        let failed = || BackendError::failed("cannot start a run");
        // Runs of one process may overlap.
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let number = RUNS.fetch_add(1, Ordering::Relaxed);
        let instance = format!("glassnet-plain-{number}-{}", std::process::id());
        let tracer = Instance::open(&instance).map_err(failed())?;
        let log = KernelLog::open(&plan.topology)?;
        let (fabric, plugs) = (topology::new_fabric()?, Plugs::of(&plan.topology)?);
        let (tools, jobs, spaces, machines, traced, starts) = Default::default();
        let blind = host.blind;
        let mut run =
            Self { plan, blind, tools, jobs, spaces, machines, _fabric: fabric, tracer, log, traced, starts };
        for (name, lines) in &plugs.machines {
            let machine = BareMachine::start(name)?;
            let place = Place::bare(name, topology::path(&machine.netns).into(), &machine.root);
            run.spaces.rescan(&place)?;
            let fabric = run._fabric.try_clone().map_err(failed())?;
            machine.on_thread(move |_| topology::show_fabric(&fabric)).map_err(failed())?;
            run.machines.insert(name.clone(), (machine, place));
            for line in lines.lines() {
                run.must(name, line)?;
            }
            let (machine, _) = run.machine(name)?;
            let cards = plugs.cabled.get(name).cloned().unwrap_or_default();
            machine
                .on_thread(move |_| complete_checksums(&cards).and_then(|()| topology::hide_fabric()))
                .map_err(failed())?;
            run.spaces.plugged();
            run.rescan(name)?;
        }
        topology::build_fabric(&run._fabric, &plugs)?;
        clock::begin()?;
        // What was written of the set-up, and of the end of the run before.
        run.log.take()?;
        Ok(run)
    }

    /// Runs a line of `ip` that must succeed.
    fn must(&mut self, machine: &str, line: &str) -> Result<(), BackendError> {
        let Printed { output, status } = self.ask(machine, "", "ip", line)?;
        if status == 0 {
            Ok(())
        } else {
            Err(BackendError::Command { command: format!("ip {line}"), output })
        }
    }

    /// Looks at a machine's namespaces and devices again.
    fn rescan(&mut self, machine: &str) -> Result<(), BackendError> {
        match self.machines.get(machine) {
            Some((_, place)) => self.spaces.rescan(place),
            None => Ok(()),
        }
    }

    fn machine(&self, name: &str) -> Result<&(BareMachine, Place), BackendError> {
        self.machines.get(name).ok_or_else(|| BackendError::Plan(format!("no machine {name}")))
    }

    /// Asks a tool of a namespace, which is started if it is not there.
    fn ask(
        &mut self,
        machine: &str,
        netns: &str,
        tool: &'static str,
        words: &str,
    ) -> Result<Printed, BackendError> {
        let failed = || BackendError::failed(format!("{machine}: {tool} {words}"));
        let key = (machine.to_owned(), netns.to_owned(), tool);
        if !self.tools.contains_key(&key) {
            let (machine, _) = self.machine(machine)?;
            let started = Tool::start(machine, netns, tool, &OPTIONS).map_err(failed())?;
            self.tools.insert(key.clone(), started);
        }
        let Some(asked) = self.tools.get_mut(&key) else { return Ok(Printed::default()) };
        let answer = asked.ask(words).map_err(failed())?;
        if !answer.stays {
            self.tools.remove(&key);
        }
        // A tool remembers numbers of devices, and does not hear of the end of one that it did not end itself.
        let renames =
            words.starts_with("link set") && (words.contains(" name ") || words.contains(" netns "));
        if words.starts_with("link del") || words.starts_with("netns del") || renames {
            self.tools.retain(|(of, _, _), _| of != machine);
        }
        Ok(Printed { output: answer.text, status: i32::from(!answer.succeeded) })
    }

    fn act(&mut self, machine: &str, netns: &str, act: &Act) -> Result<Printed, BackendError> {
        let failed = || BackendError::failed(format!("{machine}: {act:?}"));
        let nothing = Printed::default();
        match act {
            Act::Tool { name, words } => {
                let printed = self.ask(machine, netns, name, words)?;
                if ["link add", "netns"].iter().any(|changes| words.starts_with(changes)) {
                    self.rescan(machine)?;
                }
                Ok(printed)
            }
            Act::Sleep(time) => {
                std::thread::sleep(*time);
                Ok(nothing)
            }
            Act::Sysctl { path, value } => {
                let space = self.space(machine, netns)?;
                if within(&space, || fs::write(path, value)).is_ok() {
                    return Ok(nothing);
                }
                // What the real one says of it.
                let name = path.strip_prefix("/proc/sys").unwrap_or(path).display().to_string();
                let setting = format!("{}={value}", name.replace('/', "."));
                let argv = ["sysctl", "-q", "-w", &setting].map(str::to_owned);
                self.program(machine, netns, &argv, "")
            }
            Act::Job(argv) => {
                let job = self.machine(machine)?.0.spawn(netns, argv, Ends::Background).map_err(failed())?;
                self.jobs.push(job);
                clock::until_it_sleeps();
                Ok(nothing)
            }
            Act::Program { argv, input } => self.program(machine, netns, argv, input),
        }
    }

    /// Runs a program to its end.
    fn program(
        &self,
        machine: &str,
        netns: &str,
        argv: &[String],
        input: &str,
    ) -> Result<Printed, BackendError> {
        let failed = || BackendError::failed(format!("{machine}: {argv:?}"));
        let ends = Ends::Foreground(input.to_owned());
        let mut program = self.machine(machine)?.0.spawn(netns, argv, ends).map_err(failed())?;
        let output = program.terminal.take().map(|mut terminal| whole(&mut terminal));
        let status = program.child.wait().map_err(failed())?;
        Ok(Printed { output: output.unwrap_or_default(), status: i32::from(!status.success()) })
    }

    /// A namespace of a machine.
    fn space(&self, machine: &str, netns: &str) -> Result<File, BackendError> {
        let missing = || std::io::Error::other(format!("no namespace {netns}"));
        let spaces = self.spaces.of(machine).map_err(BackendError::failed("cannot open a namespace"))?;
        spaces
            .into_iter()
            .find_map(|(name, file)| (name == netns).then_some(file))
            .ok_or_else(|| BackendError::failed(machine.to_owned())(missing()))
    }

    fn read(&mut self, machine: &str, netns: &str, space: &File, dump: &str) -> Result<Value, BackendError> {
        let tool = ["ip", "bridge"].into_iter().find_map(|tool| {
            let words = dump.strip_prefix(tool)?.strip_prefix(" -j -d -s ")?;
            Some((tool, words))
        });
        let said = match tool {
            Some((tool, words)) => self.ask(machine, netns, tool, words)?.output,
            None => {
                within(space, || dumps::dump(dump)).map_err(BackendError::failed("cannot read tables"))?
            }
        };
        dumps::understood(dump, &said)
    }

    fn trace(&self, on: bool) -> Result<(), BackendError> {
        self.tracer
            .switch(on && self.blind != Some(Eye::Tracepoints))
            .map_err(BackendError::failed("cannot switch tracing"))
    }

    fn take_trace(&mut self) -> Result<(), BackendError> {
        self.tracer.take(&mut self.traced).map_err(BackendError::failed("cannot read the trace"))
    }
}

/// All that a program writes on its terminal.
fn whole(terminal: &mut File) -> String {
    let mut seen = Vec::new();
    // The end of a terminal that nobody writes on any more is an error.
    let _ = terminal.read_to_end(&mut seen);
    String::from_utf8_lossy(&seen).into_owned()
}

impl Running for PlainRun<'_> {
    fn prompt(&mut self, number: usize, prompt: &PlannedPrompt) -> Result<Printed, BackendError> {
        let plain =
            Plain::parse(&prompt.command).map_err(|why| BackendError::prompt(self.plan, prompt, why))?;
        clock::until_prompt()?;
        self.trace(true)?;
        let threads = self.machines.values().map(|(machine, _)| format!(" {}", machine.thread));
        let mark = format!("glassnet prompt {number} pids{}", threads.collect::<String>());
        // Marks are taken only while it records.
        if self.blind != Some(Eye::Tracepoints) {
            self.tracer.mark(&mark).map_err(BackendError::failed("cannot mark the trace"))?;
        }
        self.starts.push(now_ns());
        let mut printed = self.act(&prompt.machine, &plain.netns, &plain.act)?;
        self.spaces.note_reach_times(number)?;
        if self.blind == Some(Eye::Output) {
            printed.output.clear();
        }
        self.take_trace()?;
        Ok(printed)
    }

    fn settle(&mut self) -> Result<(), BackendError> {
        std::thread::sleep(SETTLE);
        Ok(())
    }

    fn tables(&mut self, machines: &[&str]) -> Result<Tables, BackendError> {
        self.trace(false)?;
        self.take_trace()?;
        let mut all = Tables::new();
        let machines = if self.blind == Some(Eye::Tables) { &[] } else { machines };
        for machine in machines.iter().copied() {
            let spaces = self.spaces.of(machine).map_err(BackendError::failed("cannot read tables"))?;
            for (netns, file) in spaces {
                let key = if netns.is_empty() { machine.to_owned() } else { format!("{machine}/{netns}") };
                let read = self.plan.dumps_of(&key);
                let read = read.map(|dump| Ok((dump.to_owned(), self.read(machine, &netns, &file, dump)?)));
                let read = read.collect::<Result<_, BackendError>>()?;
                all.insert(key, read);
            }
        }
        Ok(all)
    }

    fn log(&mut self) -> Result<Vec<String>, BackendError> {
        let lines = self.log.take()?;
        Ok(if self.blind == Some(Eye::Log) { Vec::new() } else { lines })
    }

    fn finish(mut self: Box<Self>) -> Result<Captured, BackendError> {
        let _ = self.take_trace();
        let trace: Vec<String> = String::from_utf8_lossy(&self.traced).lines().map(str::to_owned).collect();
        let (mut frames, captured) = std::mem::take(&mut self.spaces).finish();
        let told = journeys::from_trace(&trace, known(self.plan, &frames, &captured.macs))?;
        frames.retain(|_| self.blind != Some(Eye::Frames));
        Ok(Captured {
            frames: frames.into_iter().filter_map(|frame| placed(frame, &self.starts)).collect(),
            journeys: told.journeys,
            events: told.events,
            ..captured
        })
    }
}

impl Drop for PlainRun<'_> {
    fn drop(&mut self) {
        for job in &mut self.jobs {
            let _ = job.child.kill();
            let _ = job.child.wait();
        }
    }
}
