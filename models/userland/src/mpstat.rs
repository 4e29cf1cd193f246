//! `mpstat` from sysstat 12.6.1: what the CPUs do with their time.

use chrono::{DateTime, Utc};
use glassnet_kernel::tables::cpumask::CpuMask;
use glassnet_kernel::tables::cputime::CpuTime;
use glassnet_sim::Nanos;

use crate::identity::RELEASE;
use crate::process::{BOOT_TIME, Process, Running, Signal};
use crate::stop::{Done, Stop};

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        match mpstat(process).await {
            Ok(()) => 0,
            Err(stop) => stop.say(process),
        }
    })
}

const USAGE: &str = "\
Usage: mpstat [ options ] [ <interval> [ <count> ] ]
Options are:
[ -A ] [ -n ] [ -T ] [ -u ] [ -V ]
[ -I { SUM | CPU | SCPU | ALL } ] [ -N { <node_list> | ALL } ]
[ --dec={ 0 | 1 | 2 } ] [ -o JSON ] [ -P { <cpu_list> | ALL } ]
";

/// The longest interval, and the most lines: a century in seconds.
const MOST_SECONDS: u64 = 3_153_600_000;

const COLUMNS: [&str; 10] =
    ["%usr", "%nice", "%sys", "%iowait", "%irq", "%soft", "%steal", "%guest", "%gnice", "%idle"];

/// What is asked for.
struct Request {
    /// The line of all CPUs together.
    together: bool,
    /// Lines of single CPUs.
    single: CpuMask,
    /// Seconds; none: since boot.
    interval: Option<u64>,
    /// How many lines; none: until it is interrupted.
    count: Option<u64>,
}

fn usage() -> Stop {
    Stop::error(1, USAGE)
}

fn parse(args: &[String], cpus: usize) -> Done<Request> {
    let mut request = Request { together: true, single: CpuMask::default(), interval: None, count: None };
    let mut words = args.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "-P" => {
                let list = words.next().ok_or_else(usage)?;
                request.together = list.split(',').any(|item| item == "ALL" || item == "all");
                let numbers: Vec<&str> =
                    list.split(',').filter(|item| !item.eq_ignore_ascii_case("all")).collect();
                request.single = match list.split(',').any(|item| item == "ALL") {
                    true => CpuMask::first(cpus),
                    false => CpuMask::parse_list(&numbers.join(","), cpus).map_err(|_| usage())?,
                };
            }
            "-u" => {}
            "-V" => {
                return Err(Stop::shown(
                    "sysstat version 12.6.1\n(C) Sebastien Godard (sysstat <at> orange.fr)\n",
                ));
            }
            "-A" | "-n" | "-T" | "-I" | "-N" | "-o" => {
                return Err(Stop::error(2, format!("not modelled yet: mpstat {word}\n")));
            }
            _ if word.starts_with("--dec=") => {
                return Err(Stop::error(2, format!("not modelled yet: mpstat {word}\n")));
            }
            _ => {
                let number = word.parse().ok().filter(|number| *number <= MOST_SECONDS).ok_or_else(usage)?;
                match (request.interval, request.count) {
                    (None, _) => request.interval = Some(number),
                    (Some(_), None) if number > 0 => request.count = Some(number),
                    _ => return Err(usage()),
                }
            }
        }
    }
    // An interval of 0 is none.
    request.interval = request.interval.filter(|interval| *interval > 0);
    Ok(request)
}

/// What each CPU did so far, and when that was.
type Sample = (Nanos, Vec<CpuTime>);

fn sample(process: &Process) -> Sample {
    let world = process.world();
    let now = world.now();
    (now, world.kernel(process.machine).cpus.iter().map(|cpu| cpu.time_at(now)).collect())
}

async fn mpstat(process: &mut Process) -> Done {
    let cpus = process.world().kernel(process.machine).cpus.len();
    let request = parse(process.args(), cpus)?;
    let host = process.world().kernel(process.machine).hostname.clone();
    let day = clock(process, "%m/%d/%y");
    process.print(format!("Linux {RELEASE} ({host}) \t{day} \t_x86_64_\t({cpus} CPU)\n\n"));
    let boot: Sample = (Nanos::ZERO, vec![CpuTime::default(); cpus]);
    let Some(interval) = request.interval else {
        let now = sample(process);
        let at = clock(process, TIME);
        process.print(table(&request, &at, &boot, &now, true));
        return Ok(());
    };
    process.signals.catch(Signal::INT);
    let first = sample(process);
    let (mut before, mut lines) = (first.clone(), 0);
    let has_several = !request.single.is_empty();
    while request.count.is_none_or(|count| lines < count) {
        let begin = clock(process, TIME);
        if process.sleep(Nanos::from_secs(interval)).await.is_err() {
            break;
        }
        let now = sample(process);
        let headed = lines == 0 || has_several;
        let gap = if lines > 0 && has_several { "\n" } else { "" };
        let rows = table(&request, &clock(process, TIME), &before, &now, false);
        let heading = if headed { heading(&begin) } else { String::new() };
        process.print(format!("{gap}{heading}{rows}"));
        (before, lines) = (now, lines + 1);
    }
    let rows = table(&request, "Average:", &first, &before, false);
    let heading = if has_several { format!("\n{}", heading("Average:")) } else { String::new() };
    process.print(format!("{heading}{rows}"));
    Ok(())
}

/// The wall clock, as `strftime` writes it.
fn clock(process: &Process, format: &str) -> String {
    let nanos = process.now().0 + BOOT_TIME * 1_000_000_000;
    let time: DateTime<Utc> = DateTime::from_timestamp_nanos(nanos as i64);
    time.format(format).to_string()
}

/// The format of the first column.
const TIME: &str = "%H:%M:%S";

fn heading(at: &str) -> String {
    let columns: String = COLUMNS.iter().map(|column| format!("{column:>8}")).collect();
    format!("{at:<11}  CPU{columns}\n")
}

fn table(request: &Request, at: &str, before: &Sample, now: &Sample, headed: bool) -> String {
    let elapsed = now.0.since(before.0).0;
    let mut text = if headed { heading(at) } else { String::new() };
    let rows: Vec<(String, Vec<usize>)> = std::iter::once(("all".to_owned(), (0..now.1.len()).collect()))
        .filter(|_| request.together)
        .chain(request.single.iter().map(|cpu| (cpu.0.to_string(), vec![cpu.index()])))
        .collect();
    for (name, cpus) in rows {
        let whole = (elapsed * cpus.len() as u64).max(1) as f64;
        let spent = |of: fn(&CpuTime) -> Nanos| {
            let sum: u64 = cpus.iter().map(|cpu| of(&now.1[*cpu]).since(of(&before.1[*cpu])).0).sum();
            sum as f64 * 100.0 / whole
        };
        let [user, system, irq, softirq] =
            [spent(|t| t.user), spent(|t| t.system), spent(|t| t.irq), spent(|t| t.softirq)];
        let idle = (100.0 - user - system - irq - softirq).max(0.0);
        let columns = [user, 0.0, system, 0.0, irq, softirq, 0.0, 0.0, 0.0, idle];
        let columns: String = columns.iter().map(|column| format!("{column:8.2}")).collect();
        text += &format!("{at:<11} {name:>4}{columns}\n");
    }
    text
}
