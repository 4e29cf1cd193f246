use super::*;
use crate::simulator::Counted;

fn start(profile: &Profile) -> Result<Box<dyn Bench>, BackendError> {
    Ok(Box::new(Counted::new(profile)))
}

/// The model is a machine whose profile is known.
#[test]
fn a_machine_whose_costs_are_known_gives_them_back() {
    let mut costs: BTreeMap<&str, u64> = rows().zip((0..).map(|at| 30 + 7 * at)).collect();
    // One experiment tells both.
    for (row, as_much_as) in [("schedule", "netdev"), ("memory", "skb")] {
        costs.insert(row, costs[as_much_as]);
    }
    let mut hidden = Profile::free();
    costs.iter().for_each(|(row, ns)| assert!(hidden.set(row, Nanos(*ns)), "{row}"));
    let real = Real { start: &|| start(&hidden), described: "the model", rounds: 1 };
    let made = calibrate(&real, (&start, &hidden), &mut |_| ()).expect("it ends");
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
    let server = Profile::parse(SHIPPED[0].1).expect("a profile");
    let fail = || Err(BackendError::Missing(vec!["a machine".to_owned()]));
    let real = Real { start: &fail, described: "nothing", rounds: 1 };
    let made = calibrate(&real, (&start, &server), &mut |_| ()).expect("it ends");
    assert_eq!(made.failed.len(), EXPERIMENTS.len());
    assert_eq!((made.text.as_str(), made.worst()), (SHIPPED[0].1, None));
}

/// The table that `glassnet calibrate` printed on the machine of the profile `epyc-cloud`: the model's columns are computed again.
#[test]
fn the_shipped_measurement_is_predicted() {
    let kept = include_str!("../../../snapshots/calibration.txt");
    let profile =
        |name| SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, text)| Profile::parse(text));
    let [server, cloud] =
        ["server", "epyc-cloud"].map(|name| profile(name).expect("shipped").expect("a profile"));
    let measured = EXPERIMENTS.iter().map(|experiment| {
        let line =
            kept.lines().find(|line| line.starts_with(&format!("{:<46}", experiment.what))).expect("a line");
        let real = line[45..].split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number");
        let [compared, model] =
            [&server, &cloud].map(|profile| counted(experiment, profile, &start).expect("it is measured"));
        Measured { what: experiment.what, is_fitted: !experiment.rows.is_empty(), real, compared, model }
    });
    let made = Calibration { measured: measured.collect(), ..Calibration::default() };
    let table = made.table("server");
    assert_eq!(table, kept, "if the change is right, this is the new snapshots/calibration.txt:\n{table}");
    assert!(made.worst().is_some_and(|(_, error)| error < 0.2), "{:?}", made.worst());
}
