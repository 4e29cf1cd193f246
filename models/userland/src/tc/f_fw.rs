//! `fw`.

use glassnet_kernel::filter::{FilterData, filter_data};
use glassnet_kernel::net::sched::cls_fw::FwFilter;

use super::filter::{FilterKind, ILLEGAL_HANDLE, Options, Request, Shown, classid, common};
use super::not_modelled;
use super::units::sprint_classid;
use crate::iproute2::args::{Args, Done, number};
use crate::iproute2::out::Out;

pub static FW: FilterKind = FilterKind { id: "fw", handle, parse, print };

/// A mark, and the bits that count behind a slash.
fn handle(text: &str) -> Result<(u32, Options), &'static str> {
    let (mark, mask) = text.split_once('/').map_or((text, None), |(mark, mask)| (mark, Some(mask)));
    let mask = mask.map(|mask| number::<u32>(mask).ok_or(ILLEGAL_HANDLE)).transpose()?;
    Ok((
        number(mark).ok_or(ILLEGAL_HANDLE)?,
        mask.map(|mask| Box::new(FwFilter { classid: None, mask: Some(mask) }) as _),
    ))
}

fn parse(args: &mut Args, request: &mut Request) -> Done {
    let mut filter = request.options.take().and_then(|filter| filter_data::<FwFilter>(&*filter).copied());
    while let Some(word) = args.take() {
        match word {
            "classid" | "flowid" => filter.get_or_insert_default().classid = Some(classid(args)?),
            _ => {
                common("fw", word, args, request, include_str!("help/fw.txt"))?;
                filter.get_or_insert_default();
            }
        }
    }
    request.options = filter.map(|filter| Box::new(filter) as Box<dyn FilterData>);
    Ok(())
}

fn print(out: &mut Out, handle: u32, shown: &Shown) -> Done {
    if out.is_json() {
        return Err(not_modelled("-json filter … fw"));
    }
    let Some(filter) = filter_data::<FwFilter>(shown.filter) else { return Ok(()) };
    match filter.mask.filter(|mask| *mask != u32::MAX) {
        Some(mask) => out.text(format_args!("handle 0x{handle:x}/0x{mask:x} ")),
        None => out.text(format_args!("handle 0x{handle:x} ")),
    }
    if let Some(classid) = filter.classid {
        out.text(format_args!("classid {} ", sprint_classid(classid)));
    }
    if shown.dump.actions.iter().any(|action| !action.is_old) {
        out.nl();
    }
    Ok(())
}
