//! `police`.
//!
//! iproute2: tc/m_police.c

use glassnet_kernel::action::{TcAct, action_data};
use glassnet_kernel::filter::ActionRequest;
use glassnet_kernel::net::sched::act_api::ActionDump;
use glassnet_kernel::net::sched::act_police::Police;
use glassnet_kernel::net::sched::psched::RateSpec;

use super::action::{ActionKind, FAILED, Parsed, action_a2n, bad, control, print_control, print_tm};
use super::units::{get_rate64, get_size_and_cell, sprint_rate, sprint_size, xmitsize, xmittime};
use super::{Tc, not_modelled};
use crate::iproute2::args::{Args, Done, Stop, duparg, invarg, matches, number};
use crate::iproute2::out::Out;

pub static POLICE: ActionKind = ActionKind { id: "police", parse, print };

/// What was read; 0: not said.
struct Words {
    rate: RateSpec,
    burst: u32,
    mtu: u32,
    index: u32,
    pkts_rate: u64,
    pkts_burst: u64,
    action: TcAct,
    conform: TcAct,
}

impl Words {
    /// True: the word was read, and its value.
    fn read(&mut self, word: &str, args: &mut Args) -> Done<bool> {
        let is = |full: &str| matches(word, full);
        let size = |name: &str, slot: &mut u32, args: &mut Args| {
            let text = args.value()?;
            if *slot != 0 {
                return Err(duparg(name, text));
            }
            *slot = get_size_and_cell(text).ok_or_else(|| invarg(name, text))?;
            Ok(true)
        };
        match word {
            _ if is("index") => {
                let text = args.value()?;
                let index = u32::from_str_radix(text.trim_start_matches("0x"), 16);
                self.index = index.map_err(|_| bad("Illegal \"index\"\n"))?;
            }
            _ if is("burst") || matches!(word, "buffer" | "maxburst") => {
                return size("buffer/burst", &mut self.burst, args);
            }
            "mtu" | "minburst" => return size("mtu/minburst", &mut self.mtu, args),
            "rate" => {
                let text = args.value()?;
                if self.rate.rate != 0 {
                    return Err(duparg("rate", text));
                }
                self.rate.rate = get_rate64(text).ok_or_else(|| invarg("rate", text))?;
            }
            "pkts_rate" | "pkts_burst" => {
                let text = args.value()?;
                let slot = if word == "pkts_rate" { &mut self.pkts_rate } else { &mut self.pkts_burst };
                if *slot != 0 {
                    return Err(duparg(word, text));
                }
                *slot = number(text).ok_or_else(|| invarg(word, text))?;
            }
            "overhead" => {
                let text = args.value()?;
                self.rate.overhead = number(text).ok_or_else(|| invarg("overhead", text))?;
            }
            "mpu" => {
                let text = args.value()?;
                self.rate.mpu = number(text).ok_or_else(|| invarg("mpu", text))?;
            }
            "conform-exceed" => self.slash(args.value()?)?,
            "avrate" | "peakrate" | "linklayer" => {
                return Err(not_modelled(&format!("… police {word}")));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What is said of packets without tokens, and behind a slash of those with.
    fn slash(&mut self, text: &str) -> Done {
        let verdict = |word: &str| action_a2n(word).ok_or_else(|| bad(format!("Bad action type {word}\n")));
        let (exceed, conform) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        self.action = verdict(exceed)?;
        if let Some(conform) = conform {
            self.conform = verdict(conform)?;
        }
        if matches!(self.action, TcAct::GotoChain(_) | TcAct::Jump(_)) {
            return Err(not_modelled("… police conform-exceed goto"));
        }
        Ok(())
    }
}

fn words(args: &mut Args) -> Done<Parsed> {
    let mut words = Words {
        rate: RateSpec::default(),
        burst: 0,
        mtu: 0,
        index: 0,
        pkts_rate: 0,
        pkts_burst: 0,
        action: TcAct::Reclassify,
        conform: TcAct::Ok,
    };
    let mut ok = false;
    while let Some(word) = args.peek() {
        if word == "help" {
            return Err(Stop::usage(include_str!("help/police.txt")));
        }
        let mut behind = args.clone();
        behind.take();
        if words.read(word, &mut behind)? {
            *args = behind;
        } else if action_a2n(word).is_some() {
            words.action = control(args)?;
        } else {
            break;
        }
        ok = true;
    }
    if !ok {
        return Err(bad(""));
    }
    let Words { rate, burst, mtu, index, pkts_rate, pkts_burst, action, conform } = words;
    if rate.rate == 0 && index == 0 && mtu == 0 && pkts_rate == 0 {
        return Err(bad("'rate' or 'avrate' or 'mtu' or 'pkts_rate' MUST be specified.\n"));
    }
    if rate.rate != 0 && burst == 0 {
        return Err(bad("'burst' requires 'rate'.\n"));
    }
    if (pkts_rate == 0) != (pkts_burst == 0) {
        return Err(bad("'pkts_burst' requires 'pkts_rate'.\n"));
    }
    let burst = if rate.rate == 0 { 0 } else { xmittime(rate.rate, burst) };
    let mut police = Police::default();
    (police.rate, police.burst, police.mtu, police.conform) = (rate, burst, mtu, conform);
    (police.pkts_rate, police.pkts_burst) = (pkts_rate, pkts_burst);
    Ok((Box::new(police), action, index))
}

fn parse(_: &Tc, args: &mut Args) -> Done<Parsed> {
    args.take();
    if args.is_empty() {
        args.value()?;
    }
    words(args)
}

/// In the line of a filter, without the word `action`.
pub fn parse_old(args: &mut Args) -> Done<Vec<ActionRequest>> {
    let parsed = words(args).map_err(|stop| match stop.status {
        FAILED => Stop::failed(stop.stderr + "Illegal \"police\"\n"),
        _ => stop,
    });
    let (data, action, index) = parsed?;
    Ok(vec![ActionRequest { kind: "police", index, action, data, is_old: true }])
}

/// Prints one, of a filter's line or of a list of actions.
pub fn print(tc: &Tc, out: &mut Out, dump: &ActionDump) {
    let Some(police) = action_data::<Police>(dump.data.as_ref()) else { return };
    out.any("index", dump.index, format_args!(" police {:#x} ", dump.index));
    let rate = police.rate.rate;
    out.text(format_args!("rate {} ", sprint_rate(rate, tc.shown.iec)));
    let burst = if rate == 0 { 0 } else { xmitsize(rate, police.burst) };
    out.text(format_args!("burst {} ", sprint_size(burst)));
    out.text(format_args!("mtu {} ", sprint_size(police.mtu)));
    if police.pkts_rate > 0 {
        out.any("pkts_rate", police.pkts_rate, format_args!("pkts_rate {} ", police.pkts_rate));
        out.any("pkts_burst", police.pkts_burst, format_args!("pkts_burst {} ", police.pkts_burst));
    }
    print_control(out, "action ", dump.action, "");
    if police.conform == TcAct::Ok {
        out.text(" ");
    } else {
        print_control(out, "/", police.conform, " ");
    }
    let overhead = police.rate.overhead;
    out.any("overhead", overhead, format_args!("overhead {} ", sprint_size(u32::from(overhead))));
    if tc.shown.details {
        let layer = if rate == 0 { "unspec" } else { "ethernet" };
        out.any("linklayer", layer, format_args!("linklayer {layer} "));
    }
    out.nl();
    out.any("ref", dump.refcnt, format_args!("\tref {} ", dump.refcnt));
    out.any("bind", dump.bindcnt, format_args!("bind {} ", dump.bindcnt));
    print_tm(tc, out, dump);
    out.nl();
}
