//! `matchall`.

use glassnet_kernel::filter::{FilterData, filter_data};
use glassnet_kernel::net::sched::cls_matchall::MatchallFilter;

use super::filter::{FilterKind, ILLEGAL_HANDLE, Options, Request, Shown, classid, common, print_flags};
use super::units::sprint_classid;
use crate::iproute2::args::{Args, Done, number};
use crate::iproute2::out::Out;

pub static MATCHALL: FilterKind = FilterKind { id: "matchall", handle, parse, print };

fn handle(text: &str) -> Result<(u32, Options), &'static str> {
    Ok((number(text).ok_or(ILLEGAL_HANDLE)?, None))
}

fn parse(args: &mut Args, request: &mut Request) -> Done {
    let mut filter = None::<MatchallFilter>;
    while let Some(word) = args.take() {
        match word {
            "classid" | "flowid" => filter.get_or_insert_default().classid = Some(classid(args)?),
            _ => {
                common("matchall", word, args, request, include_str!("help/matchall.txt"))?;
                filter.get_or_insert_default();
            }
        }
    }
    request.options = filter.map(|filter| Box::new(filter) as Box<dyn FilterData>);
    Ok(())
}

fn print(out: &mut Out, handle: u32, shown: &Shown) -> Done {
    let Some(filter) = filter_data::<MatchallFilter>(shown.filter) else { return Ok(()) };
    out.any("handle", handle, format_args!("handle 0x{handle:x} "));
    if let Some(classid) = filter.classid {
        let classid = sprint_classid(classid);
        out.any("flowid", classid.as_str(), format_args!("flowid {classid} "));
    }
    print_flags(out, shown.dump, ("  ", ""));
    if shown.stats {
        out.any("rule_hit", filter.hits, format_args!(" (rule hit {})", filter.hits));
    }
    Ok(())
}
