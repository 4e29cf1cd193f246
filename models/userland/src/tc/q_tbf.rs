//! `tbf`.

use glassnet_kernel::net::sched::psched::{RateSpec, ns_to_ticks};
use glassnet_kernel::net::sched::sch_tbf::TbfOpt;
use glassnet_kernel::qdisc::{QdiscData, qdisc_data};

use super::kind::{Kind, Options, Shown};
use super::units::{
    TIME_UNITS_PER_SEC, get_rate64, get_size, get_size_and_cell, get_time, sprint_rate, sprint_size,
    sprint_time, tick2time, to_u32, xmitsize,
};
use crate::iproute2::args::{Args, Done, Stop, matches, number};
use crate::iproute2::out::Out;

pub static TBF: Kind = Kind::new("tbf", parse, print);

/// What was read; 0: not said.
#[derive(Default)]
struct Words {
    limit: u32,
    latency: u32,
    buffer: u32,
    mtu: u32,
    mpu: u32,
    overhead: u16,
    rate: u64,
    peakrate: u64,
    atm: bool,
}

fn usage(text: &str) -> Stop {
    Stop::failed(format!("{text}{}", include_str!("help/tbf.txt")))
}

fn duplicate(what: &str) -> Stop {
    Stop::failed(format!("tbf: duplicate \"{what}\" specification\n"))
}

/// A rate; a percentage of the device's speed is not modelled.
pub(super) fn rate(text: &str, illegal: impl FnOnce() -> Stop) -> Done<u64> {
    if text.contains('%') {
        return Err(Stop::error(2, "not modelled yet: tc … rate in percent of the device's speed\n"));
    }
    get_rate64(text).ok_or_else(illegal)
}

/// The link layer; true: ATM.
pub(super) fn linklayer(text: &str) -> Option<bool> {
    match text {
        _ if matches(text, "ethernet") => Some(false),
        _ if matches(text, "atm") || matches(text, "adsl") => Some(true),
        _ => None,
    }
}

impl Words {
    fn limits(&mut self, word: &str, args: &mut Args) -> Done<bool> {
        let illegal =
            |word: &str, text: &str| Stop::failed(format!("tbf: illegal value for \"{word}\": \"{text}\"\n"));
        if matches(word, "limit") {
            let text = args.value()?;
            if self.limit != 0 {
                return Err(duplicate("limit"));
            }
            if self.latency != 0 {
                let text = "tbf: specifying both \"latency\" and \"limit\" is not allowed\n";
                return Err(Stop::failed(text));
            }
            self.limit = get_size(text).ok_or_else(|| illegal("limit", text))?;
        } else if matches(word, "latency") {
            let text = args.value()?;
            if self.latency != 0 {
                return Err(duplicate("latency"));
            }
            if self.limit != 0 {
                let text = "tbf: specifying both \"limit\" and \"/latency\" is not allowed\n";
                return Err(Stop::failed(text));
            }
            self.latency = get_time(text).ok_or_else(|| illegal("latency", text))?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn sizes_and_rates(&mut self, word: &str, args: &mut Args) -> Done<bool> {
        let illegal =
            |word: &str, text: &str| Stop::failed(format!("tbf: illegal value for \"{word}\": \"{text}\"\n"));
        let (slot, name) = match word {
            _ if matches(word, "burst") || word == "buffer" || word == "maxburst" => {
                (&mut self.buffer, "buffer/burst/maxburst")
            }
            "mtu" | "minburst" => (&mut self.mtu, "mtu/minburst"),
            "mpu" => (&mut self.mpu, "mpu"),
            _ => {
                let (slot, name) = match word {
                    "rate" => (&mut self.rate, "rate"),
                    _ if matches(word, "peakrate") => (&mut self.peakrate, "peakrate"),
                    _ => return Ok(false),
                };
                let text = args.value()?;
                if *slot != 0 {
                    return Err(duplicate(name));
                }
                *slot = rate(text, || illegal(name, text))?;
                return Ok(true);
            }
        };
        let text = args.value()?;
        if *slot != 0 {
            return Err(duplicate(name));
        }
        let size = if word == "mpu" { get_size(text) } else { get_size_and_cell(text) };
        *slot = size.ok_or_else(|| illegal(word, text))?;
        Ok(true)
    }

    fn rest(&mut self, word: &str, args: &mut Args) -> Done<bool> {
        let illegal =
            |word: &str, text: &str| Stop::failed(format!("tbf: illegal value for \"{word}\": \"{text}\"\n"));
        if matches(word, "overhead") {
            let text = args.value()?;
            if self.overhead != 0 {
                return Err(duplicate("overhead"));
            }
            self.overhead = number(text).ok_or_else(|| illegal("overhead", text))?;
        } else if matches(word, "linklayer") {
            let text = args.value()?;
            self.atm = linklayer(text).ok_or_else(|| illegal("linklayer", text))?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn check(&self) -> Done {
        let mut missing = String::new();
        let mut say = |wrong: bool, text: &str| {
            if wrong {
                missing.push_str(text);
            }
        };
        say(self.rate == 0, "tbf: the \"rate\" parameter is mandatory.\n");
        say(self.buffer == 0, "tbf: the \"burst\" parameter is mandatory.\n");
        let no_mtu = self.peakrate != 0 && self.mtu == 0;
        say(no_mtu, "tbf: when \"peakrate\" is specified, \"mtu\" must also be specified.\n");
        let no_limit = self.limit == 0 && self.latency == 0;
        say(no_limit, "tbf: either \"limit\" or \"latency\" is required.\n");
        if missing.is_empty() { Ok(()) } else { Err(usage(&missing)) }
    }

    /// The limit in bytes.
    fn limit(&self) -> u32 {
        if self.limit != 0 {
            return self.limit;
        }
        let bytes = |rate: u64, more: u32| {
            rate as f64 * f64::from(self.latency) / TIME_UNITS_PER_SEC + f64::from(more)
        };
        let limit = bytes(self.rate, self.buffer);
        to_u32(if self.peakrate > 0 { limit.min(bytes(self.peakrate, self.mtu)) } else { limit })
    }
}

fn parse(args: &mut Args, _: &'static str) -> Done<Options> {
    let mut words = Words::default();
    while let Some(word) = args.take() {
        if words.limits(word, args)? || words.sizes_and_rates(word, args)? || words.rest(word, args)? {
            continue;
        }
        if word == "help" {
            return Err(usage(""));
        }
        return Err(usage(&format!("tbf: unknown parameter \"{word}\"\n")));
    }
    words.check()?;
    let spec = |rate| RateSpec { rate, overhead: words.overhead, mpu: words.mpu as u16, atm: words.atm };
    Ok(Some(Box::new(TbfOpt {
        rate: spec(words.rate),
        peakrate: if words.peakrate > 0 { spec(words.peakrate) } else { RateSpec::default() },
        limit: words.limit(),
        burst: u64::from(words.buffer),
        pburst: u64::from(words.mtu),
    })))
}

fn print(out: &mut Out, opt: &dyn QdiscData, _: &'static str, shown: Shown) {
    let Some(opt) = qdisc_data::<TbfOpt>(opt) else { return };
    let (rate, peak) = (opt.rate.rate, opt.peakrate.rate);
    let (buffer, mtu) = (ns_to_ticks(opt.burst) as u32, ns_to_ticks(opt.pburst) as u32);
    out.any("rate", rate, format_args!("rate {} ", sprint_rate(rate, shown.iec)));
    bucket(out, ("burst", "burst", "burst_raw"), (rate, buffer), &opt.rate, shown);
    if peak > 0 {
        out.text(format_args!("peakrate {} ", sprint_rate(peak, shown.iec)));
        if mtu != 0 || opt.peakrate.mpu != 0 {
            bucket(out, ("mtu", "minburst", "mtu_raw"), (peak, mtu), &opt.peakrate, shown);
        }
    }
    let lateness = |rate: u64, ticks: u32| {
        TIME_UNITS_PER_SEC * (f64::from(opt.limit) / rate as f64) - f64::from(tick2time(ticks))
    };
    let mut latency = lateness(rate, buffer);
    if peak > 0 {
        latency = latency.max(lateness(peak, mtu));
    }
    if latency >= 0.0 {
        out.any("lat", latency as u64, format_args!("lat {} ", sprint_time(to_u32(latency))));
    }
    if shown.raw || latency < 0.0 {
        out.any("limit", opt.limit, format_args!("limit {} ", sprint_size(opt.limit)));
    }
    if opt.rate.overhead > 0 {
        out.any("overhead", opt.rate.overhead, format_args!("overhead {} ", opt.rate.overhead));
    }
    if opt.rate.atm || shown.details {
        let layer = if opt.rate.atm { "atm" } else { "ethernet" };
        out.any("linklayer", layer, format_args!("linklayer {layer} "));
    }
}

/// The depth of a bucket: its names in detail, otherwise and raw.
fn bucket(
    out: &mut Out,
    (long, short, raw): (&str, &str, &str),
    (rate, ticks): (u64, u32),
    spec: &RateSpec,
    shown: Shown,
) {
    let size = xmitsize(rate, ticks);
    if shown.details {
        // The kernel keeps no size of cells.
        let text = format!("{}/1", sprint_size(size));
        out.any(long, text.as_str(), format_args!("{long} {text} "));
        out.any("mpu", spec.mpu, format_args!("mpu {} ", sprint_size(u32::from(spec.mpu))));
    } else {
        out.any(short, size, format_args!("{short} {} ", sprint_size(size)));
    }
    if shown.raw {
        out.any(raw, format!("{ticks:x}"), format_args!("[{ticks:08x}] "));
    }
}
