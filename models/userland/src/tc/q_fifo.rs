//! `pfifo`, `bfifo`, `pfifo_head_drop`.

use glassnet_kernel::net::sched::sch_fifo::FifoOpt;
use glassnet_kernel::qdisc::{QdiscData, qdisc_data};

use super::kind::{Kind, Options, Shown};
use super::units::{get_size, sprint_size};
use crate::iproute2::args::{Args, Done, Stop};
use crate::iproute2::out::Out;

pub static PFIFO: Kind = Kind::new("pfifo", parse, print);
pub static BFIFO: Kind = Kind::new("bfifo", parse, print);
pub static PFIFO_HEAD_DROP: Kind = Kind::new("pfifo_head_drop", parse, print);

const USAGE: &str = "Usage: ... <[p|b]fifo | pfifo_head_drop> [ limit NUMBER ]\n";

fn parse(args: &mut Args, id: &'static str) -> Done<Options> {
    let mut opt = None;
    while let Some(word) = args.take() {
        match word {
            "limit" => {
                let value = args.value()?;
                let limit = get_size(value).ok_or_else(|| {
                    Stop::failed(format!("{id}: Illegal value for \"limit\": \"{value}\"\n"))
                })?;
                opt = Some(FifoOpt { limit });
            }
            "help" => return Err(Stop::failed(USAGE)),
            _ => return Err(Stop::failed(format!("{id}: unknown parameter \"{word}\"\n{USAGE}"))),
        }
    }
    Ok(opt.map(|opt| Box::new(opt) as Box<dyn QdiscData>))
}

fn print(out: &mut Out, opt: &dyn QdiscData, id: &'static str, _: Shown) {
    let Some(FifoOpt { limit }) = qdisc_data(opt) else { return };
    if id == "bfifo" {
        out.any("limit", *limit, format_args!("limit {}", sprint_size(*limit)));
    } else {
        out.any("limit", *limit, format_args!("limit {limit}p"));
    }
}
