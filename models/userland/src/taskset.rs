//! `taskset` from util-linux 2.38.1: on which CPUs a program may run.

use glassnet_kernel::tables::cpumask::CpuMask;

use crate::process::{Process, Running};
use crate::stop::{Done, Stop};

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        match taskset(process).await {
            Ok(status) => status,
            Err(stop) => stop.say(process),
        }
    })
}

const TRY: &str = "Try 'taskset --help' for more information.\n";

const HELP: &str = "\
Usage: taskset [options] [mask | cpu-list] [pid|cmd [args...]]


Show or change the CPU affinity of a process.

Options:
 -a, --all-tasks         operate on all the tasks (threads) for a given pid
 -p, --pid               operate on existing given pid
 -c, --cpu-list          display and specify cpus in list format
 -h, --help              display this help
 -V, --version           display version

The default behavior is to run a new command:
    taskset 03 sshd -b 1024
You can retrieve the mask of an existing task:
    taskset -p 700
Or set it:
    taskset -p 03 700
List format uses a comma-separated list instead of a mask:
    taskset -pc 0,3,7-11 700
Ranges in list format can take a stride argument:
    e.g. 0-31:2 is equivalent to mask 0x55555555

For more details see taskset(1).
";

/// The most CPUs that a mask can name.
const MOST: usize = 64;

fn failed(text: impl std::fmt::Display) -> Stop {
    Stop::error(1, format!("taskset: {text}\n"))
}

async fn taskset(process: &mut Process) -> Done<i32> {
    let (mut is_list, mut of_pid) = (false, false);
    let args = process.args().to_vec();
    let mut words = args.iter().map(String::as_str).peekable();
    while let Some(word) = words.next_if(|word| word.len() > 1 && word.starts_with('-')) {
        match word {
            "--" => break,
            "--help" => return Err(Stop::shown(HELP)),
            "--version" => return Err(Stop::shown("taskset from util-linux 2.38.1\n")),
            "--cpu-list" => is_list = true,
            "--pid" => of_pid = true,
            "--all-tasks" => {}
            _ if word.starts_with("--") => {
                return Err(failed(format!("unrecognized option '{word}'\n{}", TRY.trim_end())));
            }
            _ => {
                for letter in word[1..].chars() {
                    match letter {
                        'c' => is_list = true,
                        'p' => of_pid = true,
                        'a' => {}
                        'h' => return Err(Stop::shown(HELP)),
                        'V' => return Err(Stop::shown("taskset from util-linux 2.38.1\n")),
                        _ => return Err(failed(format!("invalid option -- '{letter}'\n{}", TRY.trim_end()))),
                    }
                }
            }
        }
    }
    let rest: Vec<&str> = words.collect();
    if of_pid {
        return shown(process, &rest, is_list);
    }
    let [mask, command @ ..] = rest.as_slice() else { return Err(bad_usage()) };
    if command.is_empty() {
        return Err(bad_usage());
    }
    let affinity = parse(mask, is_list)?;
    let cpus = process.world().kernel(process.machine).cpus.len();
    if CpuMask(affinity.0 & CpuMask::first(cpus).0).is_empty() {
        return Err(failed(format!("failed to set pid {}'s affinity: Invalid argument", process.pid)));
    }
    if let Err(error) = process.find(command[0]).await {
        return Err(Stop::error(127, format!("taskset: failed to execute {}: {error}\n", command[0])));
    }
    process.affinity = affinity;
    let (netns, argv) = (process.netns, command.iter().map(|word| (*word).to_owned()).collect());
    Ok(process.spawn(netns, argv).await)
}

fn bad_usage() -> Stop {
    failed(format!("bad usage\n{}", TRY.trim_end()))
}

fn parse(text: &str, is_list: bool) -> Done<CpuMask> {
    let what = if is_list { "list" } else { "mask" };
    let wrong = |_| failed(format!("failed to parse CPU {what}: {text}"));
    if is_list {
        let empty = text.split(',').any(str::is_empty);
        return CpuMask::parse_list(if empty { "?" } else { text }, MOST).map_err(wrong);
    }
    CpuMask::parse(text.strip_prefix("0x").unwrap_or(text), MOST).map_err(wrong)
}

/// Ranges such as `0-2,5`; two CPUs in a row are no range.
fn list(affinity: CpuMask) -> String {
    let text = affinity.list();
    let pair = |range: &str| {
        let (first, last) = range.split_once('-')?;
        (first.parse::<u32>().ok()? + 1 == last.parse::<u32>().ok()?).then(|| format!("{first},{last}"))
    };
    text.split(',').map(|range| pair(range).unwrap_or(range.to_owned())).collect::<Vec<_>>().join(",")
}

/// `taskset -p [MASK] PID`.
fn shown(process: &Process, words: &[&str], is_list: bool) -> Done<i32> {
    let pid = words.last().copied().unwrap_or("-p");
    let Ok(number) = pid.parse::<u32>() else {
        return Err(failed(format!("invalid PID argument: '{pid}'")));
    };
    let world = process.world();
    let kernel = world.kernel(process.machine);
    let affinity = match number {
        1 => Some(CpuMask::ALL),
        _ if number == process.pid => Some(process.affinity),
        _ => kernel.tasks.get(&number).map(|_| CpuMask::ALL),
    };
    let Some(affinity) = affinity else {
        return Err(failed(format!("failed to get pid {number}'s affinity: No such process")));
    };
    if words.len() > 1 {
        return Err(Stop::error(
            2,
            "not modelled yet: taskset -p with a mask, for a program that runs already\n",
        ));
    }
    let cpus = kernel.cpus.len();
    let affinity = CpuMask(affinity.0 & CpuMask::first(cpus).0);
    let text = match is_list {
        true => format!("pid {number}'s current affinity list: {}\n", list(affinity)),
        false => format!("pid {number}'s current affinity mask: {:x}\n", affinity.0),
    };
    Err(Stop::shown(text))
}
