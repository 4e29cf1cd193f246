//! `tc class`. Its output is text, also with `-json`.

use glassnet_kernel::net::sched::sch_api::{TcMsg, tc_ctl_tclass, tc_dump_tclass};
use glassnet_kernel::qdisc::ClassDump;
use glassnet_kernel::tables::qdisc::TC_H_ROOT;

use super::kind::{Options, get_qdisc_kind};
use super::qdisc::print_stats;
use super::units::{get_qdisc_handle, get_tc_classid, sprint_classid};
use super::{Tc, Verb, not_modelled};
use crate::iproute2::args::{Args, Done, Stop, duparg, invarg, matches, nodev};
use crate::iproute2::out::{Out, Style};

const USAGE: &str = include_str!("help/class.txt");

/// The words of a request or a list; 0: not said.
#[derive(Default)]
struct Words {
    dev: Option<String>,
    classid: u32,
    parent: u32,
    qdisc: u32,
}

impl Words {
    /// True: the word and its value were read.
    fn word(&mut self, word: &str, args: &mut Args, stop: &str) -> Done<bool> {
        match word {
            "dev" => {
                let name = args.value()?;
                if self.dev.is_some() {
                    return Err(duparg("dev", name));
                }
                self.dev = Some(name.to_owned());
            }
            "classid" => {
                let text = args.value()?;
                if self.classid != 0 {
                    return Err(duparg("classid", text));
                }
                self.classid = get_tc_classid(text).ok_or_else(|| invarg("invalid class ID", text))?;
            }
            "root" if self.parent != 0 => {
                return Err(Stop::usage(format!("Error: \"root\" is duplicate parent ID{stop}\n")));
            }
            "root" => self.parent = TC_H_ROOT,
            "parent" => {
                let text = args.value()?;
                if self.parent != 0 {
                    return Err(duparg("parent", text));
                }
                self.parent = get_tc_classid(text).ok_or_else(|| invarg("invalid parent ID", text))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Tc<'_> {
    /// `tc class`.
    pub(super) fn class(&mut self, mut args: Args) -> Done<i32> {
        let Some(word) = args.take() else { return self.list_classes(Args::new(&[])) };
        match Verb::of(word, "class")? {
            Verb::Modify(flags) => self.modify_class(args, flags),
            Verb::List => self.list_classes(args),
            Verb::Help => {
                self.process.eprint(USAGE);
                Ok(0)
            }
        }
    }

    fn modify_class(&mut self, mut args: Args, flags: Option<u16>) -> Done<i32> {
        let (mut words, mut kind) = (Words::default(), None);
        let mut options: Options = None;
        while let Some(word) = args.take() {
            if words.word(word, &mut args, ".")? {
                continue;
            }
            match word {
                "handle" => return Err(Stop::usage("Error: try \"classid\" instead of \"handle\"\n")),
                _ if matches(word, "estimator") => return Err(not_modelled("class … estimator")),
                _ if matches(word, "help") => self.process.eprint(USAGE),
                _ => {
                    let known = get_qdisc_kind(word)?.and_then(|kind| kind.parse_class);
                    let parse = known
                        .ok_or_else(|| Stop::failed(format!("Error: Qdisc \"{word}\" is classless.\n")))?;
                    options = parse(&mut args)?;
                    kind = Some(word);
                    break;
                }
            }
        }
        let dev = self.device(words.dev.as_deref())?;
        let msg = TcMsg {
            dev,
            parent: words.parent,
            handle: words.classid,
            flags: flags.unwrap_or(0),
            kind,
            options: options.as_deref(),
        };
        self.process.syscall(|cx| tc_ctl_tclass(cx, &msg, flags.is_none()))?;
        Ok(0)
    }

    fn list_classes(&mut self, mut args: Args) -> Done<i32> {
        let mut words = Words::default();
        while let Some(word) = args.take() {
            if words.word(word, &mut args, "")? {
                continue;
            }
            match word {
                "qdisc" => {
                    let text = args.value()?;
                    if words.qdisc != 0 {
                        return Err(duparg("qdisc", text));
                    }
                    words.qdisc = get_qdisc_handle(text).ok_or_else(|| invarg("invalid qdisc ID", text))?;
                }
                _ if matches(word, "help") => self.process.eprint(USAGE),
                _ => {
                    let text = format!("What is \"{word}\"? Try \"tc class help\".\n");
                    return Err(Stop::usage(text));
                }
            }
        }
        // The kernel tells of the classes of one device only.
        let Some(name) = &words.dev else { return Ok(0) };
        let dev = self.find_dev(name).ok_or_else(|| nodev(name))?;
        let dumps = self.process.syscall(|cx| tc_dump_tclass(cx, dev, words.parent));
        let mut out = Out::new(Style { json: false, ..self.style });
        for (kind, dump) in dumps {
            let is_meant = (words.qdisc == 0 || (dump.handle ^ words.qdisc) >> 16 == 0)
                && (words.classid == 0 || dump.handle == words.classid);
            if is_meant {
                self.print_class(&mut out, kind, &dump, words.qdisc != 0);
            }
        }
        self.process.print(out.finish());
        Ok(0)
    }

    fn print_class(&self, out: &mut Out, id: &'static str, dump: &ClassDump, of_qdisc: bool) {
        let minor = |handle: u32| sprint_classid(if of_qdisc { handle & 0xffff } else { handle });
        let handle = if dump.handle == 0 { String::new() } else { minor(dump.handle) };
        out.text(format_args!("class {id} {handle} "));
        if dump.parent == TC_H_ROOT {
            out.text("root ");
        } else {
            out.text(format_args!("parent {} ", minor(dump.parent)));
        }
        if dump.leaf != 0 {
            out.text(format_args!("leaf {:x}: ", dump.leaf >> 16));
        }
        let kind = get_qdisc_kind(id).ok().flatten();
        if let (Some(kind), Some(options)) = (kind, &dump.options) {
            (kind.print)(out, options.as_ref(), id, self.shown);
        }
        out.text("\n");
        if self.stats > 0 {
            print_stats(out, dump.bstats, dump.qstats);
            out.text("\n");
            if let (Some(print), Some(xstats)) = (kind.and_then(|kind| kind.print_xstats), &dump.xstats) {
                print(out, xstats.as_ref());
                out.text("\n");
            }
        }
    }
}
