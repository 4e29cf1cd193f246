//! `worlds machines COUNT NAMESPACES`: makes so many machines, each with a bridge and so many namespaces at it, and prints the seconds that it took
//! and the most memory that the process had, MiB. `worlds vteps ENDS STATIONS PACKETS`: sends packets from one end of a tunnel to
//! so many stations behind so many other ends, in turn, and prints ns per packet as its last word.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::process::ExitCode;
use std::time::Instant;

use glassnet_benches::many::{machines, vteps};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<u32> = args.iter().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    match (args.first().map(String::as_str), numbers.as_slice()) {
        (Some("machines"), [count @ 1..=u32::MAX, namespaces]) => {
            let start = Instant::now();
            let world = machines(*count, *namespaces);
            let seconds = start.elapsed().as_secs_f64();
            let made = world.machines.iter().map(|machine| machine.netns.iter().count()).sum::<usize>();
            println!(
                "machines: {count} with {made} namespaces in all, {seconds:.2} s, at most {} MiB",
                memory().map_or("an unknown number of".to_owned(), |mib| mib.to_string())
            );
            ExitCode::SUCCESS
        }
        (Some("vteps"), [ends @ 1..=60_000, stations @ 1..=60_000, packets @ 1..=u32::MAX]) => {
            let mut tunnel = vteps(*ends, *stations);
            // Once to each, so that everything is known and in place.
            (0..*stations).for_each(|_| tunnel.next());
            let (before, start) = (tunnel.arrived(), Instant::now());
            (0..*packets).for_each(|_| tunnel.next());
            let ns = start.elapsed().as_nanos() as f64 / f64::from(*packets);
            let arrived = tunnel.arrived() - before;
            println!(
                "vteps: {packets} packets to {stations} stations at {ends} ends, {arrived} arrived, ns per packet: {ns:.1}"
            );
            if arrived == u64::from(*packets) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        _ => {
            eprintln!("usage: worlds machines COUNT NAMESPACES\n       worlds vteps ENDS STATIONS PACKETS");
            ExitCode::from(2)
        }
    }
}

/// The most memory that this process had, MiB, where the system tells (`VmHWM`).
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}
