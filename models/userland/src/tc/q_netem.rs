//! `netem`.

use glassnet_kernel::net::sched::psched::{ns_to_ticks, ticks_to_ns};
use glassnet_kernel::net::sched::sch_netem::{Correlated, NetemCorr, NetemOpt, NetemRate};
use glassnet_kernel::qdisc::{QdiscData, qdisc_data};

use super::dist;
use super::kind::{Kind, Options, Shown};
use super::q_tbf;
use super::units::{
    format_g, get_percent, get_size, get_time, sprint_rate, sprint_time, tick2time, time2tick,
};
use crate::iproute2::args::{Args, Done, Stop, matches, number};
use crate::iproute2::out::{Out, Value};

pub static NETEM: Kind = Kind::new("netem", parse, print);

fn illegal(what: &str) -> Stop {
    Stop::failed(format!("Illegal \"{what}\"\n"))
}

fn usage(text: &str) -> Stop {
    Stop::failed(format!("{text}{}", include_str!("help/netem.txt")))
}

/// The next word, if it is a number.
fn next_number<'a>(args: &mut Args<'a>, signed: bool) -> Option<&'a str> {
    let begins =
        |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) || signed && word.starts_with('-');
    args.peek().filter(begins)?;
    args.take()
}

/// A time as ticks of the kernel, in ns.
fn ticks(text: &str, what: &str) -> Done<i64> {
    let time = get_time(text).ok_or_else(|| illegal(what))?;
    if f64::from(time) * 15.625 >= 4_294_967_296.0 {
        return Err(Stop::failed(format!("Illegal {time} time (too large)\nIllegal \"{what}\"\n")));
    }
    Ok(ticks_to_ns(time2tick(time)) as i64)
}

fn percent(text: &str, what: &str) -> Done<u32> {
    get_percent(text).ok_or_else(|| illegal(what))
}

/// A probability and, if a number follows, a correlation.
fn correlated(args: &mut Args, what: &str) -> Done<(u32, Option<u32>)> {
    let probability = percent(args.value()?, what)?;
    let correlation = next_number(args, false).map(|text| percent(text, what)).transpose()?;
    Ok((probability, correlation))
}

/// A table of delays.
fn distribution(name: &str) -> Done<&'static [i16]> {
    match name {
        "experimental" => Err(Stop::error(2, "not modelled yet: tc … netem distribution experimental\n")),
        _ => dist::table(name).ok_or_else(|| {
            let file = format!("/usr/lib/x86_64-linux-gnu/tc//{name}.dist");
            Stop::failed(format!("No distribution data for {name} ({file}: No such file or directory)\n"))
        }),
    }
}

#[derive(Default)]
struct Words {
    opt: NetemOpt,
    corr: NetemCorr,
    /// `TCA_NETEM_CORR` is sent.
    has_corr: bool,
}

impl Words {
    fn word(&mut self, word: &str, args: &mut Args) -> Done {
        let not_modelled = |what: &str| Stop::error(2, format!("not modelled yet: tc … netem {what}\n"));
        match word {
            _ if matches(word, "limit") => {
                self.opt.limit = get_size(args.value()?).ok_or_else(|| illegal("limit"))?;
            }
            _ if matches(word, "latency") || matches(word, "delay") => self.delay(args)?,
            _ if matches(word, "loss") || matches(word, "drop") => self.loss(args)?,
            _ if matches(word, "ecn") => self.opt.ecn = Some(true),
            _ if matches(word, "reorder") || matches(word, "corrupt") => {
                let what = if matches(word, "reorder") { "reorder" } else { "corrupt" };
                let (probability, correlation) = correlated(args, what)?;
                self.has_corr |= correlation.is_some();
                let set = Some(Correlated { probability, correlation: correlation.unwrap_or(0) });
                if what == "reorder" {
                    self.opt.reorder = set;
                } else {
                    self.opt.corrupt = set;
                }
            }
            _ if matches(word, "gap") => {
                self.opt.gap = number(args.value()?).ok_or_else(|| illegal("gap"))?;
            }
            _ if matches(word, "duplicate") => {
                let (probability, correlation) = correlated(args, "duplicate")?;
                (self.opt.duplicate, self.corr.dup) = (probability, correlation.unwrap_or(self.corr.dup));
            }
            _ if matches(word, "distribution") => self.opt.dist = Some(distribution(args.value()?)?),
            _ if matches(word, "rate") => self.rate(args)?,
            _ if matches(word, "slot") => return Err(not_modelled("slot")),
            "help" => return Err(usage("")),
            _ => return Err(usage(&format!("What is \"{word}\"?\n"))),
        }
        Ok(())
    }

    fn delay(&mut self, args: &mut Args) -> Done {
        self.opt.latency = ticks(args.value()?, "latency")?;
        let Some(jitter) = next_number(args, false) else { return Ok(()) };
        self.opt.jitter = ticks(jitter, "latency")?;
        if let Some(correlation) = next_number(args, false) {
            self.has_corr = true;
            self.corr.delay = percent(correlation, "latency")?;
        }
        Ok(())
    }

    fn loss(&mut self, args: &mut Args) -> Done {
        if self.opt.loss > 0 {
            return Err(illegal("duplicate loss argument\n"));
        }
        let mut text = args.value()?;
        match text {
            "random" => text = args.value()?,
            "state" | "gemodel" => {
                return Err(Stop::error(2, format!("not modelled yet: tc … netem loss {text}\n")));
            }
            _ if text.starts_with(|c: char| c.is_ascii_digit()) => {}
            _ => return Err(Stop::failed(format!("Unknown loss parameter: {text}\n"))),
        }
        self.opt.loss = percent(text, "loss percent")?;
        if let Some(correlation) = next_number(args, false) {
            self.has_corr = true;
            self.corr.loss = percent(correlation, "loss correlation")?;
        }
        Ok(())
    }

    fn rate(&mut self, args: &mut Args) -> Done {
        let mut rate =
            NetemRate { rate: q_tbf::rate(args.value()?, || illegal("rate"))?, ..NetemRate::default() };
        let signed = |text: &str| text.parse::<i32>().map_err(|_| illegal("rate"));
        if let Some(overhead) = next_number(args, true) {
            rate.packet_overhead = signed(overhead)?;
        }
        if let Some(cell) = next_number(args, false) {
            rate.cell_size = number(cell).ok_or_else(|| illegal("rate"))?;
        }
        if let Some(overhead) = next_number(args, true) {
            rate.cell_overhead = signed(overhead)?;
        }
        self.opt.rate = Some(rate);
        Ok(())
    }
}

fn parse(args: &mut Args, _: &'static str) -> Done<Options> {
    let mut words = Words { opt: NetemOpt { limit: 1000, ..NetemOpt::default() }, ..Words::default() };
    while let Some(word) = args.take() {
        words.word(word, args)?;
    }
    let opt = &mut words.opt;
    if opt.reorder.is_some_and(|reorder| reorder.probability > 0) {
        if opt.latency == 0 {
            return Err(usage("reordering not possible without specifying some delay\n"));
        }
        opt.gap = opt.gap.max(1);
    } else if opt.gap > 0 {
        return Err(usage("gap specified without reorder probability\n"));
    }
    if opt.ecn.is_some() && opt.loss == 0 {
        return Err(usage("ecn requested without loss model\n"));
    }
    if opt.dist.is_some() && (opt.latency == 0 || opt.jitter == 0) {
        return Err(usage("distribution specified but no latency and jitter values\n"));
    }
    opt.corr = words.has_corr.then_some(words.corr);
    Ok(Some(Box::new(words.opt)))
}

fn print(out: &mut Out, opt: &dyn QdiscData, _: &'static str, shown: Shown) {
    let Some(opt) = qdisc_data::<NetemOpt>(opt) else { return };
    out.any("limit", opt.limit, format_args!("limit {}", opt.limit as i32));
    let corr = opt.corr.unwrap_or_default();
    print_delay(out, opt, corr.delay);
    let mut one = |object: &str, what: &str, probability: u32, correlation: u32| {
        if probability > 0 {
            out.open(Some(object));
            print_percent(out, what, probability, true);
            print_corr(out, correlation > 0, correlation);
            out.close();
        }
    };
    one("loss-random", "loss", opt.loss, corr.loss);
    one("duplicate", "duplicate", opt.duplicate, corr.dup);
    let (reorder, corrupt) = (opt.reorder.unwrap_or_default(), opt.corrupt.unwrap_or_default());
    one("reorder", "reorder", reorder.probability, reorder.correlation);
    one("corrupt", "corrupt", corrupt.probability, corrupt.correlation);
    if let Some(rate) = opt.rate.filter(|rate| rate.rate > 0) {
        out.open(Some("rate"));
        out.any("rate", rate.rate, format_args!(" rate {}", sprint_rate(rate.rate, shown.iec)));
        let mut one = |key: &str, value: i64| {
            out.json(key, value);
            if value != 0 {
                out.text(format_args!(" {key} {value}"));
            }
        };
        one("packetoverhead", i64::from(rate.packet_overhead));
        one("cellsize", i64::from(rate.cell_size));
        one("celloverhead", i64::from(rate.cell_overhead));
        out.close();
    }
    out.json("ecn", opt.ecn == Some(true));
    if opt.ecn == Some(true) {
        out.text(" ecn ");
    }
    out.json("gap", opt.gap);
    if opt.gap > 0 {
        out.text(format_args!(" gap {}", opt.gap));
    }
}

fn print_delay(out: &mut Out, opt: &NetemOpt, correlation: u32) {
    let us = |ns: i64| tick2time(ns_to_ticks(ns as u64).min(u64::from(u32::MAX)) as u32);
    let (latency, jitter) = (us(opt.latency), us(opt.jitter));
    if opt.latency == 0 {
        return;
    }
    out.open(Some("delay"));
    out.text(format_args!(" delay {}", sprint_time(latency)));
    if opt.jitter != 0 {
        out.text(format_args!("  {}", sprint_time(jitter)));
    }
    for (key, time) in [("delay", latency), ("jitter", jitter)] {
        out.json(key, Value::Raw(format_g(f64::from(time) / 1_000_000.0, 6)));
    }
    print_corr(out, opt.jitter != 0 && correlation > 0, correlation);
    out.close();
}

fn print_percent(out: &mut Out, key: &str, value: u32, named: bool) {
    let part = f64::from(value) / f64::from(u32::MAX);
    let name = if named { key } else { "" };
    let space = if named { " " } else { "" };
    let percent = format_g(100.0 * f64::from(value) / f64::from(u32::MAX), 6);
    out.any(key, Value::Raw(format_g(part, 6)), format_args!("{space}{name} {percent}%"));
}

fn print_corr(out: &mut Out, present: bool, value: u32) {
    if out.is_json() || present {
        print_percent(out, "correlation", value, false);
    }
}
