//! `htb`.

use glassnet_kernel::net::sched::psched::RateSpec;
use glassnet_kernel::net::sched::sch_htb::{HtbGlob, HtbOpt, HtbXstats};
use glassnet_kernel::qdisc::{QdiscData, qdisc_data};

use super::kind::{Kind, Options, Shown};
use super::q_tbf::{linklayer, rate};
use super::units::{get_size_and_cell, sprint_rate, sprint_size, xmitsize, xmittime};
use crate::iproute2::args::{Args, Done, Stop, matches};
use crate::iproute2::out::Out;

pub static HTB: Kind = Kind {
    print_xstats: Some(print_xstats),
    parse_class: Some(parse_class),
    ..Kind::new("htb", parse, print)
};

const USAGE: &str = include_str!("help/htb.txt");

fn usage(text: &str) -> Stop {
    Stop::failed(format!("{text}{USAGE}"))
}

fn illegal(what: &str) -> Stop {
    usage(&format!("Illegal \"{what}\"\n"))
}

fn decimal(args: &mut Args, what: &str) -> Done<u32> {
    args.value()?.parse().map_err(|_| illegal(what))
}

fn parse(args: &mut Args, _: &'static str) -> Done<Options> {
    let mut glob = HtbGlob { r2q: 10, ..HtbGlob::default() };
    while let Some(word) = args.take() {
        match word {
            _ if matches(word, "r2q") => glob.r2q = decimal(args, "r2q")?,
            _ if matches(word, "default") => {
                let text = args.value()?;
                let digits = text.strip_prefix("0x").unwrap_or(text);
                glob.defcls = u32::from_str_radix(digits, 16).map_err(|_| illegal("default"))?;
            }
            // A number that the kernel does not use.
            _ if matches(word, "debug") => _ = args.value()?,
            _ if matches(word, "direct_qlen") => glob.direct_qlen = Some(decimal(args, "direct_qlen")?),
            _ if matches(word, "offload") => {
                return Err(Stop::error(2, "not modelled yet: tc qdisc … htb offload\n"));
            }
            _ => return Err(usage(&format!("What is \"{word}\"?\n"))),
        }
    }
    // The largest number stands for "not said".
    glob.direct_qlen = glob.direct_qlen.filter(|len| *len != u32::MAX);
    Ok(Some(Box::new(glob)))
}

/// What was read of a class; 0: not said.
struct Words {
    opt: HtbOpt,
    mtu: u32,
    buffer: u32,
    cbuffer: u32,
}

impl Words {
    fn word(&mut self, word: &str, args: &mut Args) -> Done {
        match word {
            _ if matches(word, "prio") => self.opt.prio = decimal(args, "prio")?,
            _ if matches(word, "mtu") => self.mtu = decimal(args, "mtu")?,
            _ if matches(word, "mpu") => {
                self.opt.rate.mpu = args.value()?.parse().map_err(|_| illegal("mpu"))?;
            }
            _ if matches(word, "overhead") => {
                self.opt.rate.overhead = args.value()?.parse().map_err(|_| illegal("overhead"))?;
            }
            _ if matches(word, "linklayer") => {
                self.opt.rate.atm = linklayer(args.value()?).ok_or_else(|| illegal("linklayer"))?;
            }
            _ if matches(word, "quantum") => self.opt.quantum = decimal(args, "quantum")?,
            _ if matches(word, "burst") || word == "buffer" || word == "maxburst" => {
                self.buffer = get_size_and_cell(args.value()?).ok_or_else(|| illegal(word))?;
            }
            _ if matches(word, "cburst") || word == "cbuffer" || word == "cmaxburst" => {
                self.cbuffer = get_size_and_cell(args.value()?).ok_or_else(|| illegal(word))?;
            }
            "ceil" | "rate" => {
                let text = args.value()?;
                let spec = if word == "ceil" { &mut self.opt.ceil } else { &mut self.opt.rate };
                if spec.rate != 0 {
                    return Err(Stop::failed(format!("Double \"{word}\" spec\n")));
                }
                spec.rate = rate(text, || illegal(word))?;
            }
            "help" => return Err(usage("")),
            _ => return Err(usage(&format!("What is \"{word}\"?\n"))),
        }
        Ok(())
    }
}

fn parse_class(args: &mut Args) -> Done<Options> {
    /// Ticks of a second that programs see (`get_hz`): the resolution of the kernel's timers.
    const HZ: u64 = 1_000_000_000;
    let mut words = Words { opt: HtbOpt::default(), mtu: 1600, buffer: 0, cbuffer: 0 };
    while let Some(word) = args.take() {
        words.word(word, args)?;
    }
    let Words { mut opt, mtu, mut buffer, mut cbuffer } = words;
    if opt.rate.rate == 0 {
        return Err(Stop::failed("\"rate\" is required.\n"));
    }
    let ceil = if opt.ceil.rate == 0 { opt.rate.rate } else { opt.ceil.rate };
    opt.ceil = RateSpec { rate: ceil, ..opt.rate };
    if buffer == 0 {
        buffer = (opt.rate.rate / HZ) as u32 + mtu;
    }
    if cbuffer == 0 {
        cbuffer = (ceil / HZ) as u32 + mtu;
    }
    (opt.buffer, opt.cbuffer) = (xmittime(opt.rate.rate, buffer), xmittime(ceil, cbuffer));
    Ok(Some(Box::new(opt)))
}

fn print(out: &mut Out, opt: &dyn QdiscData, _: &'static str, shown: Shown) {
    if let Some(opt) = qdisc_data::<HtbOpt>(opt) {
        print_class(out, opt, shown);
    }
    let Some(glob) = qdisc_data::<HtbGlob>(opt) else { return };
    out.any("r2q", glob.r2q, format_args!("r2q {}", glob.r2q));
    // C's "%#x" has no prefix for 0.
    let default = if glob.defcls == 0 { "0".to_owned() } else { format!("{:#x}", glob.defcls) };
    out.any("default", default.as_str(), format_args!(" default {default}"));
    let direct = glob.direct_pkts;
    out.any("direct_packets_stat", direct, format_args!(" direct_packets_stat {direct}"));
    if shown.details {
        out.any("ver", "3.17", " ver 3.17");
    }
    if let Some(len) = glob.direct_qlen {
        out.any("direct_qlen", len, format_args!(" direct_qlen {len}"));
    }
}

fn print_class(out: &mut Out, opt: &HtbOpt, shown: Shown) {
    if opt.level == 0 {
        out.text(format_args!("prio {} ", opt.prio));
        if shown.details {
            out.text(format_args!("quantum {} ", opt.quantum as i32));
        }
    }
    out.text(format_args!("rate {} ", sprint_rate(opt.rate.rate, shown.iec)));
    if opt.rate.overhead > 0 {
        out.text(format_args!("overhead {} ", opt.rate.overhead));
    }
    out.text(format_args!("ceil {} ", sprint_rate(opt.ceil.rate, shown.iec)));
    let (buffer, cbuffer) = (xmitsize(opt.rate.rate, opt.buffer), xmitsize(opt.ceil.rate, opt.cbuffer));
    if opt.rate.atm || shown.details {
        out.text(format_args!("linklayer {} ", if opt.rate.atm { "atm" } else { "ethernet" }));
    }
    if shown.details {
        // The kernel keeps no size of cells.
        for (name, size, mpu) in [("burst", buffer, opt.rate.mpu), ("cburst", cbuffer, opt.ceil.mpu)] {
            let mpu = sprint_size(u32::from(mpu));
            out.text(format_args!("{name} {}/1 mpu {mpu} ", sprint_size(size)));
        }
        out.text(format_args!("level {} ", opt.level));
    } else {
        out.text(format_args!("burst {} cburst {} ", sprint_size(buffer), sprint_size(cbuffer)));
    }
    if shown.raw {
        out.text(format_args!("buffer [{:08x}] cbuffer [{:08x}] ", opt.buffer, opt.cbuffer));
    }
}

fn print_xstats(out: &mut Out, stats: &dyn QdiscData) {
    let Some(HtbXstats { lends, borrows, giants, tokens, ctokens }) = qdisc_data(stats) else { return };
    out.text(format_args!(" lended: {lends} borrowed: {borrows} giants: {giants}\n"));
    out.text(format_args!(" tokens: {tokens} ctokens: {ctokens}\n"));
}
