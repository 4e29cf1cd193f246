//! The metrics of a route: `mtu`, `advmss`, `rtt`, …

use glassnet_kernel::tables::route_types::{
    Metrics, RTAX_ADVMSS, RTAX_CWND, RTAX_FEATURES, RTAX_HOPLIMIT, RTAX_INITCWND, RTAX_INITRWND, RTAX_LOCK,
    RTAX_MTU, RTAX_QUICKACK, RTAX_REORDERING, RTAX_RTO_MIN, RTAX_RTT, RTAX_RTTVAR, RTAX_SLOTS, RTAX_SSTHRESH,
    RTAX_WINDOW,
};

use super::args::{Args, Done, invarg, matches, number};
use super::out::{Out, Value};

/// `RTAX_FEATURE_ECN`.
const FEATURE_ECN: u32 = 1;

/// A metric: number, name, and whether it can be locked.
const METRICS: &[(usize, &str, bool)] = &[
    (RTAX_MTU, "mtu", true),
    (RTAX_HOPLIMIT, "hoplimit", true),
    (RTAX_ADVMSS, "advmss", true),
    (RTAX_REORDERING, "reordering", true),
    (RTAX_RTT, "rtt", true),
    (RTAX_RTO_MIN, "rto_min", false),
    (RTAX_WINDOW, "window", true),
    (RTAX_CWND, "cwnd", true),
    (RTAX_INITCWND, "initcwnd", false),
    (RTAX_INITRWND, "initrwnd", false),
    (RTAX_FEATURES, "features", false),
    (RTAX_QUICKACK, "quickack", false),
    (RTAX_RTTVAR, "rttvar", true),
    (RTAX_SSTHRESH, "ssthresh", true),
];

/// Parses a metric and its value; false if the word is none.
pub(super) fn metric_word(word: &str, args: &mut Args, metrics: &mut Metrics) -> Done<bool> {
    let whole = ["mtu", "rto_min", "rttvar", "features", "quickack"];
    let is = |name: &str| word == name || !whole.contains(&name) && matches(word, name);
    let Some((slot, name, lockable)) = METRICS.iter().find(|metric| is(metric.1)) else { return Ok(false) };
    if *lockable && args.peek() == Some("lock") {
        args.take();
        metrics.0[RTAX_LOCK] |= 1 << slot;
    }
    let text = args.value()?;
    let value = match *slot {
        RTAX_FEATURES => {
            let known = text == "ecn";
            known.then_some(FEATURE_ECN).ok_or_else(|| invarg("\"features\" value not valid\n", text))?
        }
        _ => {
            let bad = || invarg(&format!("\"{name}\" value is invalid\n"), text);
            measure(*slot, text).ok_or_else(bad)?
        }
    };
    if *slot == RTAX_RTO_MIN {
        metrics.0[RTAX_LOCK] |= 1 << slot;
    }
    metrics.0[*slot] = value;
    Ok(true)
}

/// Kernel units per millisecond.
fn units(slot: usize) -> Option<u32> {
    match slot {
        RTAX_RTT => Some(8),
        RTAX_RTTVAR => Some(4),
        RTAX_RTO_MIN => Some(1),
        _ => None,
    }
}

fn measure(slot: usize, text: &str) -> Option<u32> {
    let Some(units) = units(slot) else { return number(text) };
    for (suffix, factor) in [("msecs", 1), ("msec", 1), ("ms", 1), ("secs", 1000), ("sec", 1000), ("s", 1000)]
    {
        if let Some(time) = text.strip_suffix(suffix) {
            let time: f64 = time.parse().ok()?;
            return Some((time * f64::from(factor * units)) as u32);
        }
    }
    number(text)
}

/// Prints the metrics that are set.
pub(super) fn print_metrics(out: &mut Out, metrics: &Metrics) {
    let is_set = |slot: usize| metrics.0[slot] != 0;
    if !(RTAX_MTU..RTAX_SLOTS).any(is_set) {
        return;
    }
    out.open_array(Some("metrics"));
    out.open(None);
    for slot in (RTAX_MTU..RTAX_SLOTS).filter(|slot| is_set(*slot)) {
        let Some((_, name, _)) = METRICS.iter().find(|metric| metric.0 == slot) else { continue };
        let value = metrics.0[slot];
        out.text(format_args!("{name} "));
        if metrics.0[RTAX_LOCK] & 1 << slot != 0 {
            out.text("lock ");
        }
        match units(slot) {
            _ if slot == RTAX_FEATURES => out.any("ecn", Value::Null, "ecn "),
            None => out.any(name, value, format_args!("{value} ")),
            Some(units) => {
                let ms = value / units;
                out.json(name, ms);
                match ms {
                    0..1000 => out.text(format_args!("{ms}ms ")),
                    _ => out.text(format_args!("{}s ", f64::from(ms) / 1000.0)),
                }
            }
        }
    }
    out.close();
    out.close_array();
}
