//! `tc qdisc`.

use glassnet_kernel::net::sched::sch_api::{QdiscDump, TcMsg, tc_del_qdisc, tc_dump_qdisc, tc_modify_qdisc};
use glassnet_kernel::netlink::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use glassnet_kernel::qdisc::{BasicStats, QdiscStats, QueueStats};
use glassnet_kernel::tables::qdisc::{TC_H_INGRESS, TC_H_ROOT};

use super::kind::{Kind, Options, get_qdisc_kind};
use super::units::{get_qdisc_handle, get_tc_classid, sprint_classid, sprint_size};
use super::{Tc, not_modelled};
use crate::iproute2::args::{Args, Done, Stop, duparg, invarg, matches, nodev};
use crate::iproute2::out::{Color, Out};

const USAGE: &str = include_str!("help/qdisc.txt");

/// The words of a request.
#[derive(Default)]
struct Request {
    dev: Option<String>,
    handle: u32,
    parent: u32,
    kind: Option<String>,
    options: Options,
}

impl Request {
    /// A parent by a word that also names a kind.
    fn place(&mut self, word: &str) -> Done {
        if self.parent != 0 {
            let text = format!("Error: \"{word}\" is a duplicate parent ID\n");
            return Err(Stop::usage(text));
        }
        (self.parent, self.handle, self.kind) = (TC_H_INGRESS, 0xffff_0000, Some(word.to_owned()));
        Ok(())
    }
}

/// Which disciplines are listed.
#[derive(Default)]
struct Filter {
    dev: Option<String>,
    parent: u32,
    handle: u32,
    invisible: bool,
}

impl Tc<'_> {
    /// `tc qdisc`.
    pub(super) fn qdisc(&mut self, mut args: Args) -> Done<i32> {
        let Some(word) = args.take() else { return self.list_qdiscs(Filter::default()) };
        let flags = match word {
            _ if matches(word, "add") => NLM_F_EXCL | NLM_F_CREATE,
            _ if matches(word, "change") => 0,
            _ if matches(word, "replace") => NLM_F_CREATE | NLM_F_REPLACE,
            _ if matches(word, "link") => NLM_F_REPLACE,
            _ if matches(word, "delete") => return self.modify_qdisc(args, None),
            _ if matches(word, "list") || matches(word, "show") || matches(word, "lst") => {
                let filter = self.qdisc_filter(args)?;
                return self.list_qdiscs(filter);
            }
            _ if matches(word, "help") => {
                self.process.eprint(USAGE);
                return Ok(0);
            }
            _ => {
                let text = format!("Command \"{word}\" is unknown, try \"tc qdisc help\".\n");
                return Err(Stop::usage(text));
            }
        };
        self.modify_qdisc(args, Some(flags))
    }

    /// Makes or changes one; without flags, deletes it.
    fn modify_qdisc(&mut self, mut args: Args, flags: Option<u16>) -> Done<i32> {
        let mut request = Request::default();
        let mut kind = None;
        while let Some(word) = args.take() {
            match word {
                "dev" => {
                    let name = args.value()?;
                    if request.dev.is_some() {
                        return Err(duparg("dev", name));
                    }
                    request.dev = Some(name.to_owned());
                }
                "handle" => {
                    if request.handle != 0 {
                        return Err(duparg("handle", word));
                    }
                    let text = args.value()?;
                    request.handle =
                        get_qdisc_handle(text).ok_or_else(|| invarg("invalid qdisc ID", text))?;
                }
                "root" if request.parent != 0 => {
                    return Err(Stop::usage("Error: \"root\" is duplicate parent ID\n"));
                }
                "root" => request.parent = TC_H_ROOT,
                "clsact" | "ingress" => {
                    request.place(word)?;
                    kind = get_qdisc_kind(word)?;
                    break;
                }
                "parent" => {
                    let text = args.value()?;
                    if request.parent != 0 {
                        return Err(duparg("parent", text));
                    }
                    request.parent = get_tc_classid(text).ok_or_else(|| invarg("invalid parent ID", text))?;
                }
                _ if matches(word, "estimator") => return Err(not_modelled("qdisc … estimator")),
                _ if matches(word, "stab") => return Err(not_modelled("qdisc … stab")),
                _ if matches(word, "ingress_block") => return Err(not_modelled("qdisc … ingress_block")),
                _ if matches(word, "egress_block") => return Err(not_modelled("qdisc … egress_block")),
                _ if matches(word, "help") => self.process.eprint(USAGE),
                _ => {
                    request.kind = Some(word.chars().take(15).collect());
                    kind = get_qdisc_kind(word)?;
                    break;
                }
            }
        }
        request.options = parse_options(kind, request.kind.as_deref(), &mut args)?;
        self.send_qdisc(&request, flags)
    }

    fn send_qdisc(&mut self, request: &Request, flags: Option<u16>) -> Done<i32> {
        let dev = self.device(request.dev.as_deref())?;
        let msg = TcMsg {
            dev,
            parent: request.parent,
            handle: request.handle,
            flags: flags.unwrap_or(0),
            kind: request.kind.as_deref(),
            options: request.options.as_deref(),
        };
        self.process.syscall(|cx| match flags {
            Some(_) => tc_modify_qdisc(cx, &msg),
            None => tc_del_qdisc(cx, &msg),
        })?;
        Ok(0)
    }

    fn qdisc_filter(&mut self, mut args: Args) -> Done<Filter> {
        let mut filter = Filter::default();
        while let Some(word) = args.take() {
            let selects = matches!(word, "root" | "ingress" | "clsact")
                || matches(word, "parent")
                || matches(word, "handle");
            if selects && filter.parent != 0 {
                return Err(invarg("parent is already specified", word));
            }
            if selects && filter.handle != 0 {
                return Err(invarg("handle is already specified", word));
            }
            match word {
                "dev" => filter.dev = Some(args.value()?.to_owned()),
                "root" => filter.parent = TC_H_ROOT,
                "ingress" | "clsact" => filter.parent = TC_H_INGRESS,
                _ if matches(word, "parent") => {
                    let text = args.value()?;
                    filter.parent = get_tc_classid(text).ok_or_else(|| invarg("invalid parent ID", text))?;
                }
                _ if matches(word, "handle") => {
                    let text = args.value()?;
                    filter.handle =
                        get_qdisc_handle(text).ok_or_else(|| invarg("invalid handle ID", text))?;
                }
                _ if matches(word, "help") => self.process.eprint(USAGE),
                "invisible" => filter.invisible = true,
                _ => {
                    let text = format!("What is \"{word}\"? Try \"tc qdisc help\".\n");
                    return Err(Stop::usage(text));
                }
            }
        }
        Ok(filter)
    }

    fn list_qdiscs(&mut self, filter: Filter) -> Done<i32> {
        let only = match &filter.dev {
            Some(name) => Some(self.find_dev(name).ok_or_else(|| nodev(name))?),
            None => None,
        };
        let netns = self.netns;
        let dumps: Vec<(String, QdiscDump)> = self.process.syscall(|cx| {
            let devs: Vec<_> = cx.k.netns[netns].devs.values().copied().collect();
            let devs = devs.into_iter().filter(|dev| only.is_none_or(|only| *dev == only));
            let dumps = devs.flat_map(|dev| tc_dump_qdisc(cx, dev, filter.invisible));
            dumps.map(|dump| (cx.k.devs[dump.dev].name.clone(), dump)).collect()
        });
        let mut out = self.out();
        for (name, dump) in dumps {
            let is_meant = (filter.handle == 0 || filter.handle == dump.handle)
                && (filter.parent == 0 || filter.parent == dump.parent);
            if is_meant {
                self.print_qdisc(&mut out, &dump, only.is_none().then_some(name.as_str()));
            }
        }
        self.process.print(out.finish());
        Ok(0)
    }

    fn print_qdisc(&self, out: &mut Out, dump: &QdiscDump, dev: Option<&str>) {
        out.open(None);
        out.any("kind", dump.kind, format_args!("qdisc {}", dump.kind));
        let handle = format!("{:x}:", dump.handle >> 16);
        out.any("handle", handle.as_str(), format_args!(" {handle}"));
        if self.shown.raw {
            out.text(format_args!("[{:08x}]", dump.handle));
        }
        out.text(" ");
        if let Some(dev) = dev {
            out.text("dev ");
            out.color(Some(Color::Ifname), "dev", dev, format_args!("{dev} "));
        }
        if dump.parent == TC_H_ROOT {
            out.any("root", true, "root ");
        } else if dump.parent != 0 {
            let parent = sprint_classid(dump.parent);
            out.any("parent", parent.as_str(), format_args!("parent {parent} "));
        }
        if dump.refcnt != 1 {
            out.any("refcnt", dump.refcnt, format_args!("refcnt {} ", dump.refcnt));
        }
        // Every kind that the model has is known.
        let kind = get_qdisc_kind(dump.kind).ok().flatten();
        out.open(Some("options"));
        if let (Some(kind), Some(options)) = (kind, &dump.options) {
            (kind.print)(out, options.as_ref(), dump.kind, self.shown);
        }
        out.close();
        out.nl();
        if self.stats > 0 {
            let QdiscStats { bstats, qstats, qlen } = dump.stats;
            print_stats(out, Some(bstats), Some((qstats, qlen)));
            out.nl();
            if let (Some(print), Some(xstats)) = (kind.and_then(|kind| kind.print_xstats), &dump.xstats) {
                print(out, xstats.as_ref());
                out.nl();
            }
        }
        out.close();
    }
}

fn parse_options(kind: Option<&'static Kind>, id: Option<&str>, args: &mut Args) -> Done<Options> {
    match (kind, id, args.peek()) {
        (Some(kind), ..) => (kind.parse)(args, kind.id),
        (None, Some(id), Some(word)) => {
            Err(Stop::failed(format!("Unknown qdisc \"{id}\", hence option \"{word}\" is unparsable\n")))
        }
        _ => Ok(None),
    }
}

/// The counters that all have, as far as they are told (`print_tcstats2_attr`).
pub(super) fn print_stats(out: &mut Out, bstats: Option<BasicStats>, queue: Option<(QueueStats, u32)>) {
    if let Some(BasicStats { bytes, packets }) = bstats {
        out.any("bytes", bytes, format_args!(" Sent {bytes} bytes"));
        out.any("packets", packets, format_args!(" {packets} pkt"));
    }
    let Some((qstats, qlen)) = queue else { return };
    let QueueStats { backlog, drops, requeues, overlimits } = qstats;
    out.any("drops", drops, format_args!(" (dropped {drops}"));
    out.any("overlimits", overlimits, format_args!(", overlimits {overlimits}"));
    out.any("requeues", requeues, format_args!(" requeues {requeues}) "));
    out.nl();
    out.any("backlog", backlog, format_args!(" backlog {}", sprint_size(backlog)));
    out.any("qlen", qlen, format_args!(" {qlen}p"));
    out.text(format_args!(" requeues {requeues}"));
}
