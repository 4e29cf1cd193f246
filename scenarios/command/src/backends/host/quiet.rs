//! A run of a plan in which nothing but its prompts touches the network: no taps, no dumps, no tracepoints. Whoever asks for it
//! watches in another way.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::plan::Plan;

use super::machine::{Machine, NoStatus};
use super::run::check;
use super::spaces::{Place, present};
use super::{Host, needs};

/// Machines without cards.
pub(in crate::backends) struct Quiet<'a> {
    plan: &'a Plan,
    host: &'a Host,
    machines: BTreeMap<String, Machine>,
}

impl<'a> Quiet<'a> {
    /// Starts them.
    ///
    /// # Errors
    ///
    /// If something is missing, a prompt names a machine that is not there, or a machine cannot be started.
    pub fn start(host: &'a Host, plan: &'a Plan) -> Result<Self, BackendError> {
        needs::check()?;
        check(plan)?;
        let mut machines = BTreeMap::new();
        for name in plan.topology.nodes.keys() {
            let machine = Machine::start(name, host)?;
            let (place, hook) = (Place::of(&machine), machine.hook()?);
            let own = File::open(machine.netns())
                .map_err(BackendError::failed("cannot open a network namespace"))?;
            place.prepare("", &own)?;
            std::thread::spawn(move || answer(&hook, &place));
            run(&machine, &["ip", "link", "set", "lo", "up"])?;
            machines.insert(name.clone(), machine);
        }
        Ok(Self { plan, host, machines })
    }

    /// The process whose namespaces are a machine's.
    pub fn pid(&self, machine: &str) -> Option<u32> {
        self.machines.get(machine).map(|machine| machine.pid)
    }

    /// Runs a program in a machine.
    ///
    /// # Errors
    ///
    /// [`BackendError::Command`] if it fails.
    pub fn run(&self, machine: &str, argv: &[&str]) -> Result<(), BackendError> {
        self.machines.get(machine).map_or(Ok(()), |machine| run(machine, argv))
    }

    /// Types all prompts, one after the other. `before` is called before each, with its number; `after` when it has ended.
    ///
    /// # Errors
    ///
    /// [`BackendError::Prompt`] if one does not return; those of `before` and `after`.
    pub fn play(
        &mut self,
        mut before: impl FnMut(usize) -> Result<(), BackendError>,
        mut after: impl FnMut() -> Result<(), BackendError>,
    ) -> Result<(), BackendError> {
        let prompts = self.plan.blocks.iter().flat_map(|block| &block.prompts);
        for (number, prompt) in prompts.enumerate() {
            before(number)?;
            let machine = self
                .machines
                .get_mut(&prompt.machine)
                .ok_or_else(|| BackendError::Plan(prompt.machine.clone()))?;
            let (output, status) = machine.prompt(&prompt.command, self.host.prompt_timeout);
            status.map_err(|why| {
                let why = match why {
                    NoStatus::TimedOut => {
                        format!("still running after {} s", self.host.prompt_timeout.as_secs())
                    }
                    NoStatus::Ended => "it ended its shell".to_owned(),
                };
                BackendError::prompt(self.plan, prompt, format!("{why}; it printed: {output}"))
            })?;
            after()?;
        }
        Ok(())
    }
}

/// Answers the wrapper around `ip` of one machine: prepares its new namespaces, then lets it go on. Ends with the machine.
fn answer(hook: &UnixListener, place: &Place) {
    let mut known = BTreeSet::new();
    while let Ok((mut caller, _)) = hook.accept() {
        let _ = caller.read(&mut [0]);
        for (inode, (name, path)) in present(place) {
            if name.is_empty() || name.starts_with("pid:") || !known.insert(inode) {
                continue;
            }
            let prepared = File::open(path)
                .map_err(BackendError::failed("cannot open a network namespace"))
                .and_then(|file| place.prepare(&name, &file));
            if let Err(error) = prepared {
                eprintln!("glassnet: {}: {error}", place.machine());
            }
        }
        let _ = caller.write_all(b"\n");
    }
}

fn run(machine: &Machine, argv: &[&str]) -> Result<(), BackendError> {
    let command = || format!("{}# {}", machine.name, argv.join(" "));
    let out = machine.command(argv).output().map_err(BackendError::failed(command()))?;
    if out.status.success() {
        return Ok(());
    }
    let output = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).trim().to_owned();
    Err(BackendError::Command { command: command(), output })
}
