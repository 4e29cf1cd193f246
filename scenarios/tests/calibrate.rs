//! Calibration: a machine whose costs are known, one that is not there, and the one whose profile is shipped.

use std::collections::BTreeMap;

use glassnet_kernel::cost::{Profile, SHIPPED};
use glassnet_scenarios::calibrate::{Bench, Calibration, EXPERIMENTS, Measured, Real, calibrate, rows};
use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::simulator::Counted;
use glassnet_sim::Nanos;

fn start(profile: &Profile) -> Result<Box<dyn Bench>, BackendError> {
    Ok(Box::new(Counted::new(profile)))
}

fn shipped(name: &str) -> Profile {
    let (_, text) = SHIPPED.iter().find(|(known, _)| *known == name).expect("shipped");
    Profile::parse(text).expect("a profile")
}

/// The model is a machine whose profile is known.
fn of_model(hidden: &Profile, compared: &Profile) -> Calibration {
    let real = Real { start: &|| start(hidden), described: "the model", rounds: 1 };
    calibrate(&real, (&start, compared), &mut |_| ()).expect("it ends")
}

#[test]
fn a_machine_whose_costs_are_known_gives_them_back() {
    let mut costs: BTreeMap<&str, u64> = rows().zip((0..).map(|at| 30 + 7 * at)).collect();
    // One experiment tells both.
    for (row, as_much_as) in [
        ("schedule", "netdev"),
        ("memory", "skb"),
        ("context switch", "wake-up"),
        ("__iptunnel_pull_header", "iptunnel_xmit"),
    ] {
        costs.insert(row, costs[as_much_as]);
    }
    let mut hidden = Profile::free();
    // A function counts apart from its class, which comes before.
    rows().for_each(|row| assert!(hidden.set(row, Nanos(costs[row])), "{row}"));
    let made = of_model(&hidden, &hidden);
    assert_eq!(made.failed, []);
    for (row, ns) in costs {
        let line = made.text.lines().find_map(|line| line.strip_prefix(row)?.strip_prefix(',')).expect(row);
        let found: u64 = line.split(',').next().and_then(|ns| ns.parse().ok()).expect("a number");
        // What bytes cost is a whole number for each packet.
        assert!(found.abs_diff(ns) <= 1, "{row}: {found}, not {ns}");
    }
    let (what, error) = made.worst().expect("something is predicted");
    assert!(error < 0.001, "{what}: {error}");
}

#[test]
fn what_cannot_be_measured_is_told_and_keeps_its_number() {
    let fail = || Err(BackendError::Missing(vec!["a machine".to_owned()]));
    let real = Real { start: &fail, described: "nothing", rounds: 1 };
    let made = calibrate(&real, (&start, &shipped("server")), &mut |_| ()).expect("it ends");
    assert_eq!(made.failed.len(), EXPERIMENTS.len());
    assert_eq!((made.text.as_str(), made.worst()), (SHIPPED[0].1, None));
}

/// The table that `glassnet calibrate` printed on the machine of the profile `epyc-cloud`: the model's columns are computed again.
#[test]
fn the_shipped_measurement_is_predicted() {
    let kept = include_str!("../../snapshots/calibration.txt");
    let of_cloud = of_model(&shipped("epyc-cloud"), &shipped("server"));
    // That machine had no module for IPIP.
    let measured = of_cloud.measured.into_iter().filter_map(|row| {
        let line = kept.lines().find(|line| line.starts_with(&format!("{:<46}", row.what)))?;
        let real = line[45..].split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number");
        Some(Measured { real, model: row.real, ..row })
    });
    let made = Calibration { measured: measured.collect(), ..Calibration::default() };
    let table = made.table("server");
    assert_eq!(table, kept, "if the change is right, this is the new snapshots/calibration.txt:\n{table}");
    assert!(made.worst().is_some_and(|(_, error)| error < 0.2), "{:?}", made.worst());
}
