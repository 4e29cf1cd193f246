//! `fq`.

use glassnet_kernel::net::sched::sch_fq::{FqOpt, FqXstats};
use glassnet_kernel::qdisc::{QdiscData, qdisc_data};

use super::kind::{Kind, Options, Shown};
use super::q_tbf::rate;
use super::units::{get_time, get_time64, sprint_rate, sprint_size, sprint_time, sprint_time64};
use crate::iproute2::args::{Args, Done, Stop, number};
use crate::iproute2::out::{Out, Value};

pub static FQ: Kind = Kind { print_xstats: Some(print_xstats), ..Kind::new("fq", parse, print) };

fn illegal(what: &str) -> Stop {
    Stop::failed(format!("Illegal \"{what}\"\n"))
}

fn parse(args: &mut Args, _: &'static str) -> Done<Options> {
    let mut opt = FqOpt::default();
    while let Some(word) = args.take() {
        match word {
            "horizon_drop" | "horizon_cap" => opt.horizon_drop = Some(u8::from(word == "horizon_drop")),
            "pacing" | "nopacing" => opt.pacing = Some(u32::from(word == "pacing")),
            "defrate" => return Err(Stop::error(2, "not modelled yet: tc qdisc … fq defrate\n")),
            "help" => return Err(Stop::failed(include_str!("help/fq.txt"))),
            _ => value(&mut opt, word, args)?,
        }
    }
    Ok(Some(Box::new(opt)))
}

fn value(opt: &mut FqOpt, word: &str, args: &mut Args) -> Done {
    let slot = match word {
        "limit" => &mut opt.limit,
        "flow_limit" => &mut opt.flow_limit,
        "buckets" => &mut opt.buckets_log,
        "maxrate" => &mut opt.maxrate,
        "low_rate_threshold" => &mut opt.low_rate_threshold,
        "ce_threshold" => &mut opt.ce_threshold,
        "timer_slack" => &mut opt.timer_slack,
        "horizon" => &mut opt.horizon,
        "quantum" => &mut opt.quantum,
        "initial_quantum" => &mut opt.initial_quantum,
        "orphan_mask" => &mut opt.orphan_mask,
        "refill_delay" => &mut opt.refill_delay,
        _ => {
            let usage = include_str!("help/fq.txt");
            return Err(Stop::failed(format!("What is \"{word}\"?\n{usage}")));
        }
    };
    let text = args.value()?;
    let read = match word {
        "maxrate" | "low_rate_threshold" => u32::try_from(rate(text, || illegal(word))?).ok(),
        "ce_threshold" | "horizon" | "refill_delay" => get_time(text),
        "timer_slack" => {
            let time = get_time64(text).ok_or_else(|| illegal(word))?;
            Some(u32::try_from(time).map_err(|_| Stop::failed("Illegal (out of range) \"timer_slack\"\n"))?)
        }
        _ => number(text),
    };
    // The real one names another option here.
    let name = if word == "orphan_mask" { "initial_quantum" } else { word };
    let read = read.ok_or_else(|| illegal(name))?;
    *slot = match word {
        // 0: not said. Otherwise the power of 2 that has room for so many.
        "buckets" => (read > 0).then(|| u32::BITS - (read - 1).leading_zeros()),
        _ => Some(read),
    };
    Ok(())
}

fn print(out: &mut Out, opt: &dyn QdiscData, _: &'static str, shown: Shown) {
    let Some(opt) = qdisc_data::<FqOpt>(opt) else { return };
    let mut one = |key: &str, value: Option<u32>, text: &dyn Fn(u32) -> String| {
        if let Some(value) = value {
            out.any(key, value, format_args!("{key} {} ", text(value)));
        }
    };
    let rate = |rate: u32| sprint_rate(u64::from(rate), shown.iec);
    one("limit", opt.limit, &|limit| format!("{limit}p"));
    one("flow_limit", opt.flow_limit, &|limit| format!("{limit}p"));
    one("buckets", opt.buckets_log.map(|log| 1 << log), &|buckets| buckets.to_string());
    one("orphan_mask", opt.orphan_mask, &|mask| mask.to_string());
    if opt.pacing == Some(0) {
        out.any("pacing", false, "nopacing ");
    }
    let mut one = |key: &str, value: Option<u32>, text: &dyn Fn(u32) -> String| {
        if let Some(value) = value {
            out.any(key, value, format_args!("{key} {} ", text(value)));
        }
    };
    one("quantum", opt.quantum, &sprint_size);
    one("initial_quantum", opt.initial_quantum, &sprint_size);
    one("maxrate", opt.maxrate.filter(|rate| *rate != u32::MAX), &rate);
    one("low_rate_threshold", opt.low_rate_threshold.filter(|rate| *rate != 0), &rate);
    one("refill_delay", opt.refill_delay, &sprint_time);
    one("ce_threshold", opt.ce_threshold.filter(|time| *time != u32::MAX), &sprint_time);
    one("timer_slack", opt.timer_slack, &|time| sprint_time64(i64::from(time)));
    one("horizon", opt.horizon, &sprint_time);
    let horizon = if opt.horizon_drop == Some(0) { "horizon_cap" } else { "horizon_drop" };
    out.any(horizon, Value::Null, format_args!("{horizon} "));
}

fn print_xstats(out: &mut Out, stats: &dyn QdiscData) {
    let Some(stats) = qdisc_data::<FqXstats>(stats) else { return };
    let (flows, inactive, waiting) = (stats.flows, stats.inactive_flows, stats.throttled_flows);
    out.any("flows", flows, format_args!("  flows {flows}"));
    out.any("inactive", inactive, format_args!(" (inactive {inactive}"));
    out.any("throttled", waiting, format_args!(" throttled {waiting})"));
    if stats.time_next_delayed_flow > 0 {
        let next = stats.time_next_delayed_flow;
        let text = sprint_time64(next);
        out.any("next_packet_delay", next, format_args!(" next_packet_delay {text}"));
    }
    out.nl();
    out.any("gc", 0, "  gc 0");
    out.any("highprio", stats.highprio_packets, format_args!(" highprio {}", stats.highprio_packets));
    out.any("throttled", stats.throttled, format_args!(" throttled {}", stats.throttled));
    if stats.unthrottle_latency_ns > 0 {
        let text = sprint_time64(i64::from(stats.unthrottle_latency_ns));
        out.any("latency", stats.unthrottle_latency_ns, format_args!(" latency {text}"));
    }
    for (key, value) in [("ce_mark", stats.ce_mark), ("flows_plimit", stats.flows_plimit)] {
        if value > 0 {
            out.any(key, value, format_args!(" {key} {value}"));
        }
    }
    if stats.pkts_too_long > 0 {
        out.nl();
        out.any("pkts_too_long", stats.pkts_too_long, format_args!(" pkts_too_long {}", stats.pkts_too_long));
    }
}
