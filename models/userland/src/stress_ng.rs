//! `stress-ng` 0.15.06: programs that use all the CPU time that they get. Not modelled: stressors other than `--cpu`.

use glassnet_kernel::ids::CpuId;
use glassnet_kernel::tables::cpumask::CpuMask;
use glassnet_sim::Nanos;

use crate::getopt::{self, Long, Takes};
use crate::process::{Process, Running, Signal};
use crate::stop::{Done, Stop};

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        match stress(process).await {
            Ok(()) => 0,
            Err(stop) => stop.say(process),
        }
    })
}

const SHORT: &str = "c:t:qV";

const LONG: &[Long] = &[
    ("cpu", Takes::Value, "c"),
    ("quiet", Takes::Nothing, "q"),
    ("timeout", Takes::Value, "t"),
    ("version", Takes::Nothing, "V"),
];

/// Seconds of a day, the default.
const DAY: u64 = 86_400;

/// The longest run: a century.
const MOST_SECONDS: u64 = 100 * 365 * DAY;

fn failed(text: String) -> Stop {
    Stop::error(1, text)
}

async fn stress(process: &mut Process) -> Done {
    let args = process.args().to_vec();
    if let Some(other) = args.iter().find(|word| is_other_stressor(word)) {
        return Err(Stop::error(2, format!("not modelled yet: stress-ng {other}\n")));
    }
    let parsed = getopt::parse(&args, SHORT, LONG);
    if let Some(error) = parsed.error {
        return Err(failed(format!("stress-ng: {error}\nTry 'stress-ng --help' for more information.\n")));
    }
    let (mut workers, mut seconds, mut is_quiet) = (0, None, false);
    for option in &parsed.options {
        match option.name.as_ref() {
            "c" => workers = count(&option.value)?,
            "t" => seconds = Some(time(&option.value)?),
            "q" => is_quiet = true,
            _ => return Err(Stop::shown("stress-ng, version 0.15.06\n")),
        }
    }
    let pid = process.pid;
    let info = |process: &mut Process, text: String| {
        if !is_quiet {
            process.eprint(format!("stress-ng: info:  [{pid}] {text}\n"));
        }
    };
    match seconds {
        Some(seconds) => info(process, format!("setting to a {seconds} second run per stressor")),
        None => info(process, format!("defaulting to a {DAY} second (1 day, 0.00 secs) run per stressor")),
    }
    if workers == 0 {
        return Err(failed(format!("stress-ng: error: [{pid}] No stress workers invoked\n")));
    }
    info(process, format!("dispatching hogs: {workers} cpu"));
    let cpus = burn(process, workers, true);
    process.signals.catch(Signal::INT);
    process.signals.catch(Signal::TERM);
    let begin = process.now();
    let _ended = process.sleep(Nanos::from_secs(seconds.unwrap_or(DAY))).await;
    cpus.into_iter().for_each(|cpu| process.world().burn(process.machine, cpu, false));
    let took = process.now().since(begin).as_secs_f64();
    info(process, format!("successful run completed in {took:.2}s"));
    Ok(())
}

/// Workers begin, in turn on the CPUs that they may run on.
fn burn(process: &Process, workers: u32, begins: bool) -> Vec<CpuId> {
    let mut world = process.world();
    let all = CpuMask::first(world.kernel(process.machine).cpus.len());
    let may: Vec<CpuId> = CpuMask(process.affinity.0 & all.0).iter().collect();
    let cpus: Vec<CpuId> = (0..workers as usize).map(|worker| may[worker % may.len()]).collect();
    cpus.iter().for_each(|cpu| world.burn(process.machine, *cpu, begins));
    cpus
}

/// Options of the real program for other stressors, and for what it prints.
fn is_other_stressor(word: &str) -> bool {
    [
        "--io",
        "-i",
        "--vm",
        "-m",
        "--hdd",
        "-d",
        "--sock",
        "--udp",
        "--metrics",
        "--metrics-brief",
        "--perf",
        "--cpu-load",
        "-l",
        "--cpu-method",
        "--all",
        "-a",
        "--sequential",
        "--taskset",
        "--help",
        "-h",
    ]
    .contains(&word)
}

fn count(text: &str) -> Done<u32> {
    let wrong = || failed(format!("Value {text} contains non-numeric: '{text}'\n"));
    let number: u32 = text.parse().map_err(|_| wrong())?;
    match number {
        1..=1024 => Ok(number),
        _ => Err(Stop::error(2, format!("not modelled yet: stress-ng --cpu {text}\n"))),
    }
}

/// Seconds, with a unit or without.
fn time(text: &str) -> Done<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let factor = match &text[at..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => DAY,
        unit => return Err(failed(format!("Illegal time specifier {unit}\n"))),
    };
    let number: u64 = text[..at].parse().map_err(|_| failed(format!("Illegal time specifier {text}\n")))?;
    let seconds = number.checked_mul(factor).filter(|seconds| *seconds <= MOST_SECONDS);
    seconds.ok_or_else(|| Stop::error(2, format!("not modelled yet: stress-ng --timeout {text}\n")))
}
