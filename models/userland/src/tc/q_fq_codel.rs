//! `fq_codel`.

use glassnet_kernel::net::sched::sch_fq_codel::{FqCodelClassXstats, FqCodelOpt, FqCodelXstats};
use glassnet_kernel::qdisc::{QdiscData, qdisc_data};

use super::kind::{Kind, Options, Shown};
use super::units::{get_size, get_time, sprint_size, sprint_time};
use crate::iproute2::args::{Args, Done, Stop, number};
use crate::iproute2::out::Out;

pub static FQ_CODEL: Kind = Kind { print_xstats: Some(print_xstats), ..Kind::new("fq_codel", parse, print) };

fn illegal(what: &str) -> Stop {
    Stop::failed(format!("Illegal \"{what}\"\n"))
}

fn parse(args: &mut Args, _: &'static str) -> Done<Options> {
    let mut opt = FqCodelOpt::default();
    while let Some(word) = args.take() {
        let slot = match word {
            "limit" => &mut opt.limit,
            "flows" => &mut opt.flows,
            "quantum" => &mut opt.quantum,
            "drop_batch" => &mut opt.drop_batch,
            "target" => &mut opt.target,
            "interval" => &mut opt.interval,
            "ce_threshold" => &mut opt.ce_threshold,
            "memory_limit" => &mut opt.memory_limit,
            "ce_threshold_selector" => {
                let what = "not modelled yet: tc qdisc … fq_codel ce_threshold_selector\n";
                return Err(Stop::error(2, what));
            }
            "ecn" | "noecn" => {
                opt.ecn = Some(word == "ecn");
                continue;
            }
            "help" => return Err(Stop::failed(include_str!("help/fq_codel.txt"))),
            _ => {
                let usage = include_str!("help/fq_codel.txt");
                return Err(Stop::failed(format!("What is \"{word}\"?\n{usage}")));
            }
        };
        let text = args.value()?;
        let value = match word {
            "target" | "interval" | "ce_threshold" => get_time(text),
            "memory_limit" => get_size(text),
            _ => number(text),
        };
        *slot = Some(value.ok_or_else(|| illegal(word))?);
    }
    // These values stand for "not said".
    for slot in [
        &mut opt.limit,
        &mut opt.flows,
        &mut opt.quantum,
        &mut opt.drop_batch,
        &mut opt.target,
        &mut opt.interval,
    ] {
        *slot = slot.filter(|value| *value != 0);
    }
    for slot in [&mut opt.ce_threshold, &mut opt.memory_limit] {
        *slot = slot.filter(|value| *value != u32::MAX);
    }
    Ok(Some(Box::new(opt)))
}

fn print(out: &mut Out, opt: &dyn QdiscData, _: &'static str, _: Shown) {
    let Some(opt) = qdisc_data::<FqCodelOpt>(opt) else { return };
    let mut one = |key: &str, value: Option<u32>, text: &dyn Fn(u32) -> String| {
        if let Some(value) = value {
            out.any(key, value, format_args!("{key} {} ", text(value)));
        }
    };
    one("limit", opt.limit, &|limit| format!("{limit}p"));
    one("flows", opt.flows, &|flows| flows.to_string());
    one("quantum", opt.quantum, &|quantum| quantum.to_string());
    one("target", opt.target, &sprint_time);
    one("ce_threshold", opt.ce_threshold, &sprint_time);
    one("interval", opt.interval, &sprint_time);
    one("memory_limit", opt.memory_limit, &sprint_size);
    if opt.ecn == Some(true) {
        out.any("ecn", true, "ecn ");
    }
    if let Some(batch) = opt.drop_batch.filter(|batch| *batch > 0) {
        out.any("drop_batch", batch, format_args!("drop_batch {batch} "));
    }
}

fn print_xstats(out: &mut Out, stats: &dyn QdiscData) {
    if let Some(stats) = qdisc_data::<FqCodelXstats>(stats) {
        print_qdisc_xstats(out, stats);
    }
    let Some(stats) = qdisc_data::<FqCodelClassXstats>(stats) else { return };
    out.any("deficit", stats.deficit, format_args!("  deficit {}", stats.deficit));
    out.any("count", stats.count, format_args!(" count {}", stats.count));
    out.any("lastcount", stats.lastcount, format_args!(" lastcount {}", stats.lastcount));
    out.any("ldelay", stats.ldelay, format_args!(" ldelay {}", sprint_time(stats.ldelay)));
    if stats.dropping {
        out.any("dropping", true, " dropping");
        let (sign, next) = (if stats.drop_next < 0 { "-" } else { "" }, stats.drop_next.unsigned_abs());
        out.any("drop_next", stats.drop_next, format_args!(" drop_next {sign}{}", sprint_time(next)));
    }
}

fn print_qdisc_xstats(out: &mut Out, stats: &FqCodelXstats) {
    let mut one = |key: &str, value: u32, indent: &str| {
        out.any(key, value, format_args!("{indent}{key} {value}"));
    };
    one("maxpacket", stats.maxpacket, "  ");
    one("drop_overlimit", stats.drop_overlimit, " ");
    one("new_flow_count", stats.new_flow_count, " ");
    one("ecn_mark", stats.ecn_mark, " ");
    for (key, value) in [
        ("ce_mark", stats.ce_mark),
        ("memory_used", stats.memory_usage),
        ("drop_overmemory", stats.drop_overmemory),
    ] {
        if value > 0 {
            one(key, value, " ");
        }
    }
    out.nl();
    let mut one = |key: &str, value: u32, indent: &str| {
        out.any(key, value, format_args!("{indent}{key} {value}"));
    };
    one("new_flows_len", stats.new_flows_len, "  ");
    one("old_flows_len", stats.old_flows_len, " ");
}
