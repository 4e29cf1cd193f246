//! `prio`, and what is shown of `pfifo_fast`.

use glassnet_kernel::net::sched::sch_generic::{PRIO2BAND, PrioOpt};
use glassnet_kernel::qdisc::{QdiscData, qdisc_data};

use super::kind::{Kind, Options, Shown};
use crate::iproute2::args::{Args, Done, Stop, number};
use crate::iproute2::out::Out;

pub static PRIO: Kind = Kind::new("prio", parse, print);
/// No options are read for it; `tc` looks for a function that it does not have.
pub static PFIFO_FAST: Kind = Kind::new("pfifo_fast", parse_none, print);

fn parse_none(args: &mut Args, id: &'static str) -> Done<Options> {
    match args.peek() {
        Some(_) => Err(Stop::usage(format!("qdisc '{id}' does not support option parsing\n"))),
        None => Ok(None),
    }
}

fn parse(args: &mut Args, _: &'static str) -> Done<Options> {
    let usage = include_str!("help/prio.txt");
    let (mut opt, mut at, mut mapping) = (PrioOpt { bands: 3, priomap: PRIO2BAND }, 0, false);
    while let Some(word) = args.take() {
        match word {
            "bands" => {
                let bands = args.value()?;
                opt.bands = bands.parse().map_err(|_| Stop::failed("Illegal \"bands\"\n"))?;
            }
            "priomap" if mapping => return Err(Stop::failed("Error: duplicate priomap\n")),
            "priomap" => mapping = true,
            "multiqueue" => return Err(Stop::error(2, "not modelled yet: tc qdisc … prio multiqueue\n")),
            "help" => return Err(Stop::failed(usage)),
            _ if !mapping => return Err(Stop::failed(format!("What is \"{word}\"?\n{usage}"))),
            _ => {
                let band: u32 = number(word).ok_or_else(|| Stop::failed("Illegal \"priomap\" element\n"))?;
                if i64::from(band) >= i64::from(opt.bands) {
                    return Err(Stop::failed("\"priomap\" element is out of bands\n"));
                }
                let slot = opt.priomap.get_mut(at);
                *slot.ok_or_else(|| Stop::failed("\"priomap\" index > TC_PRIO_MAX=15\n"))? = band as u8;
                at += 1;
            }
        }
    }
    Ok(Some(Box::new(opt)))
}

fn print(out: &mut Out, opt: &dyn QdiscData, _: &'static str, _: Shown) {
    let Some(PrioOpt { bands, priomap }) = qdisc_data(opt) else { return };
    out.any("bands", *bands, format_args!("bands {bands} "));
    out.open_array(Some("priomap"));
    out.text("priomap");
    for band in priomap {
        out.item(*band, format_args!(" {band}"));
    }
    out.close_array();
    out.json("multiqueue", false);
}
