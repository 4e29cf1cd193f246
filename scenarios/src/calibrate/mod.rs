//! Measures what the kernel's work costs on a machine, and makes a [profile](glassnet_kernel::cost) of it.
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | measuring, and the profile |
//! | `experiments.rs` | the networks and their load |
//!
//! The same commands build the same network on the machine and in the model, and the same packets are sent into both. The
//! machine tells how long one took. The model's time is linear in its profile: where only one row costs something, it tells
//! how often that row counts. An experiment whose other rows are known then gives its own. What two networks that differ in
//! one thing have in common, such as the system call that sends, cancels out.

mod experiments;

use std::collections::BTreeMap;

use glassnet_kernel::class::Class;
use glassnet_kernel::cost::{OTHERS, Profile, SHIPPED};
use glassnet_sim::Nanos;

use crate::error::BackendError;
use crate::rig::{Programs, must};

pub use experiments::{EXPERIMENTS, Experiment};

/// What is sent, over and over.
#[derive(Clone, Debug)]
pub enum Load {
    /// Frames, in turn, by the device `t` of the namespace `x`.
    Frames(Vec<Vec<u8>>),
    /// Datagrams of so many bytes, to 127.0.0.1, each read before the next is sent.
    Datagrams(usize),
    /// Datagrams of so many bytes, to and fro between two programs on one CPU, each of which waits for the other's.
    Turns(usize),
    /// Interrupts of a CPU by another.
    Interrupts,
}

/// A machine on which costs are measured.
pub trait Bench: Programs {
    /// CPU time of one packet of the load, ns; infinite if that cannot be told this time.
    ///
    /// # Errors
    ///
    /// It cannot be sent.
    fn spend(&mut self, load: &Load) -> Result<f64, BackendError>;
}

/// Starts a machine.
pub type Start<'a> = &'a dyn Fn() -> Result<Box<dyn Bench>, BackendError>;
/// Starts a machine of the model, with this profile.
pub type StartModel<'a> = &'a dyn Fn(&Profile) -> Result<Box<dyn Bench>, BackendError>;

/// Passes through the experiments, so that all of them meet the machine's good moments.
const PASSES: usize = 8;

/// What is measured.
#[derive(Clone, Copy)]
pub struct Real<'a> {
    /// Starts it.
    pub start: Start<'a>,
    /// What it is, as the source of the profile's numbers.
    pub described: &'a str,
    /// How often it is asked in each pass through the experiments, both networks of one in turn. The shortest time counts:
    /// whatever else a machine does makes it longer.
    pub rounds: usize,
}

/// The machines of an experiment, with the shortest time of each so far.
struct Running {
    units: f64,
    machines: Vec<(Box<dyn Bench>, Load, f64)>,
}

impl Running {
    fn start(experiment: &Experiment, start: Start) -> Result<Running, BackendError> {
        let mut machines = Vec::new();
        for size in experiment.sizes.into_iter().filter(|size| *size > 0) {
            let mut bench = start()?;
            (experiment.set_up)(size).iter().try_for_each(|command| must(&mut *bench, command))?;
            let load = (experiment.load)(size);
            // Connections and neighbours are known from then on.
            bench.spend(&load)?;
            machines.push((bench, load, f64::INFINITY));
        }
        Ok(Running { units: experiment.units, machines })
    }

    fn measure(&mut self, rounds: usize) -> Result<(), BackendError> {
        for _ in 0..rounds {
            for (bench, load, best) in &mut self.machines {
                *best = best.min(bench.spend(load)?);
            }
        }
        Ok(())
    }

    /// CPU time of a unit, ns.
    fn unit(&self) -> f64 {
        let time = match self.machines.as_slice() {
            [(_, _, small), (_, _, large)] => large - small,
            _ => self.machines.iter().map(|(_, _, only)| only).sum(),
        };
        time / self.units
    }
}

/// CPU time of a unit of an experiment in the model, which needs no second round.
fn counted(experiment: &Experiment, profile: &Profile, model: StartModel) -> Result<f64, BackendError> {
    let mut running = Running::start(experiment, &|| model(profile))?;
    running.measure(1)?;
    Ok(running.unit())
}

/// What an experiment showed, ns for each unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// What was measured.
    pub what: &'static str,
    /// Whether a row of the profile was made of it; otherwise it shows how well the rows predict.
    pub is_fitted: bool,
    /// By the machine.
    pub real: f64,
    /// By the model with the profile that is compared.
    pub compared: f64,
    /// By the model with the profile that was made.
    pub model: f64,
}

/// A profile that was made, and how it was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibration {
    /// In the order of the experiments.
    pub measured: Vec<Measured>,
    /// What could not be measured, and why.
    pub failed: Vec<(&'static str, String)>,
    /// The profile, as its file is.
    pub text: String,
}

impl Measured {
    /// How far the model is off with the profile that was made, as a share.
    fn error(&self) -> f64 {
        (self.model / self.real - 1.0).abs()
    }
}

impl Calibration {
    /// What was predicted worst, and how far it is off, as a share of what was measured.
    pub fn worst(&self) -> Option<(&'static str, f64)> {
        let predicted = self.measured.iter().filter(|row| !row.is_fitted);
        let worst = predicted.max_by(|a, b| a.error().total_cmp(&b.error()));
        worst.map(|row| (row.what, row.error()))
    }

    /// What was measured, in ns and, to compare machines, in bridge hops.
    pub fn table(&self, compared: &str) -> String {
        let hop = self.measured.first().map_or([1.0; 3], |hop| [hop.real, hop.compared, hop.model]);
        let columns = ["measured", compared, "fitted"].map(|name| format!(" {name:>17}")).concat();
        let mut text = format!("{:<45}{columns}\n{:<45}{}\n", "", "", "         ns   hops".repeat(3));
        for row in &self.measured {
            text += &format!("{:<45}", row.what);
            for (ns, hop) in [row.real, row.compared, row.model].into_iter().zip(hop) {
                text += &format!(" {ns:>10.1} {:>6.2}", ns / hop);
            }
            text += if row.is_fitted { "\n" } else { "  predicted\n" };
        }
        text
    }
}

/// Functions that are measured apart from their class: with them, tunnels put outer headers in front and take them off. Linux makes
/// room there, and looks into the packet for its flow.
const FUNCTIONS: [&str; 2] = ["iptunnel_xmit", "__iptunnel_pull_header"];

/// Names of the rows that a profile is made of.
pub fn rows() -> impl Iterator<Item = &'static str> {
    Class::ALL.iter().map(|(_, name)| *name).chain(OTHERS).chain(FUNCTIONS)
}

/// A profile in which only this row costs something: 1024 ns, so that a byte of a KiB costs a whole number.
fn only(row: &str) -> Profile {
    let mut profile = Profile::free();
    profile.set(row, Nanos(1024));
    for function in FUNCTIONS.iter().filter(|function| **function != row) {
        profile.set(function, Nanos::ZERO);
    }
    profile
}

/// How often each row counts for a unit of an experiment.
fn counts(experiment: &Experiment, model: StartModel) -> Result<BTreeMap<&'static str, f64>, BackendError> {
    rows()
        .map(|row| Ok((row, counted(experiment, &only(row), model)? / 1024.0)))
        .filter(|counted| !matches!(counted, Ok((_, count)) if *count == 0.0))
        .collect()
}

/// Each experiment's time, or why there is none.
type Times = (Vec<(&'static Experiment, f64)>, Vec<(&'static str, String)>);

fn ask(real: &Real, told: &mut dyn FnMut(&str)) -> Times {
    let (mut running, mut failed) = (Vec::new(), Vec::new());
    for experiment in EXPERIMENTS {
        told(experiment.what);
        match Running::start(experiment, real.start) {
            Ok(started) => running.push((experiment, started)),
            Err(why) => failed.push((experiment.what, why.to_string())),
        }
    }
    for _ in 0..PASSES {
        running.retain_mut(|(experiment, running)| {
            told(experiment.what);
            let done = running.measure(real.rounds);
            failed.extend(done.as_ref().err().map(|why| (experiment.what, why.to_string())));
            done.is_ok()
        });
    }
    let mut times = Vec::new();
    for (experiment, running) in running {
        match running.unit() {
            time if time.is_finite() => times.push((experiment, time)),
            _ => failed.push((experiment.what, "the machine was too busy".to_owned())),
        }
    }
    (times, failed)
}

/// How many things [`calibrate`] tells of.
pub const STEPS: usize = EXPERIMENTS.len() * (1 + PASSES);

/// Measures a machine.
///
/// # Errors
///
/// The model failed. What the machine cannot do is part of the result.
pub fn calibrate(
    real: &Real,
    (model, compared): (StartModel, &Profile),
    told: &mut dyn FnMut(&str),
) -> Result<Calibration, BackendError> {
    let (times, failed) = ask(real, told);
    let mut made = Calibration { failed, ..Calibration::default() };
    let mut known: BTreeMap<&str, (f64, String)> = BTreeMap::new();
    for (experiment, time) in &times {
        if experiment.rows.is_empty() {
            continue;
        }
        let counts = counts(experiment, model)?;
        let own: f64 = experiment.rows.iter().filter_map(|row| counts.get(row)).sum();
        let others: f64 = counts
            .iter()
            .filter(|(row, _)| !experiment.rows.contains(row))
            .filter_map(|(row, count)| Some(count * known.get(row)?.0))
            .sum();
        let each = ((time - others) / own).max(0.0);
        let source = format!("{}: {} takes {time:.1} ns", real.described, experiment.what);
        known.extend(experiment.rows.iter().map(|row| (*row, (each, source.clone()))));
    }
    made.text = text(&known);
    let profile = Profile::parse(&made.text)
        .map_err(|why| BackendError::failed("the profile is none")(std::io::Error::other(why)))?;
    for (experiment, real) in times {
        let by = |profile: &Profile| counted(experiment, profile, model);
        let (compared, by_it) = (by(compared)?, by(&profile)?);
        let is_fitted = !experiment.rows.is_empty();
        made.measured.push(Measured { what: experiment.what, is_fitted, real, compared, model: by_it });
    }
    Ok(made)
}

/// The file of a profile: what is known, and the shipped numbers for the rest.
fn text(known: &BTreeMap<&str, (f64, String)>) -> String {
    let mut lines = SHIPPED[0].1.lines();
    let mut text = format!("{}\n", lines.next().unwrap_or_default());
    for line in lines {
        let name = line.split(',').next().unwrap_or_default();
        match known.get(name) {
            Some((ns, source)) => text += &format!("{name},{ns:.0},{source}\n"),
            None => text += &format!("{line}\n"),
        }
    }
    text
}
