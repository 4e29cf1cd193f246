//! `tc filter`.

use glassnet_kernel::filter::{ETH_P_ALL, FilterData};
use glassnet_kernel::net::sched::cls_api::{
    FilterDump, FilterMsg, tc_del_tfilter, tc_dump_tfilter, tc_new_tfilter,
};
use glassnet_kernel::netlink::{Errno, NLM_F_CREATE, NlError};
use glassnet_kernel::tables::qdisc::TC_H_ROOT;

use super::units::{get_tc_classid, sprint_classid};
use super::{Tc, Verb, f_fw, f_matchall, f_u32, not_modelled};
use crate::iproute2::args::{Args, Done, Stop, duparg, invarg, matches, nodev, number};
use crate::iproute2::ll_proto::{ll_proto_a2n, ll_proto_n2a};
use crate::iproute2::out::Out;

const USAGE: &str = include_str!("help/filter.txt");

/// A filter that was read.
pub type Options = Option<Box<dyn FilterData>>;

/// What `tc` knows of a classifier (`struct filter_util`).
pub struct FilterKind {
    /// Its name.
    pub id: &'static str,
    /// Reads the handle, and what it says beside a number, which goes to the filter; otherwise what is said then.
    pub handle: fn(&str) -> Result<(u32, Options), &'static str>,
    /// Reads the words behind its name.
    pub parse: fn(&mut Args, Options) -> Done<Options>,
    /// Prints a filter with its handle.
    pub print: fn(&mut Out, u32, &dyn FilterData, bool) -> Done,
}

/// A handle that is none.
pub const ILLEGAL_HANDLE: &str = "Illegal \"handle\"\n";

static KINDS: &[&FilterKind] = &[&f_fw::FW, &f_matchall::MATCHALL, &f_u32::U32];

/// Classifiers that the real `tc` knows and the model does not.
const NOT_MODELLED: &str = "basic bpf cgroup flow flower route rsvp tcindex";

/// The words before the classifier; 0: not said.
#[derive(Default)]
struct Words {
    dev: Option<String>,
    parent: u32,
    prio: u16,
    protocol: u16,
    handle: Option<String>,
}

impl Words {
    /// True: the word and its value were read.
    fn word(&mut self, word: &str, args: &mut Args) -> Done<bool> {
        match word {
            "dev" => {
                let name = args.value()?;
                if self.dev.is_some() {
                    return Err(duparg("dev", name));
                }
                self.dev = Some(name.to_owned());
            }
            "root" | "parent" if self.parent != 0 => {
                let text = if word == "root" { "root" } else { args.value()? };
                return Err(duparg("parent", text));
            }
            "root" => self.parent = TC_H_ROOT,
            "parent" => {
                let text = args.value()?;
                self.parent = get_tc_classid(text).ok_or_else(|| invarg("Invalid parent ID", text))?;
            }
            "ingress" | "egress" => return Err(not_modelled(&format!("filter … {word}"))),
            "handle" => {
                let text = args.value()?;
                if self.handle.is_some() {
                    return Err(duparg("handle", text));
                }
                self.handle = Some(text.to_owned());
            }
            _ if matches(word, "preference") || matches(word, "priority") => {
                let text = args.value()?;
                if self.prio != 0 {
                    return Err(duparg("priority", text));
                }
                self.prio = number(text).ok_or_else(|| invarg("invalid priority value", text))?;
            }
            "block" | "chain" => return Err(not_modelled(&format!("filter … {word}"))),
            _ if matches(word, "protocol") => {
                let text = args.value()?;
                self.protocol = ll_proto_a2n(text).ok_or_else(|| invarg("invalid protocol", text))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// What the real tool adds to a refusal.
fn while_talking(error: &NlError) -> Stop {
    let mut stop = Stop::refused(error);
    if error.not_modelled.is_none() {
        stop.stderr += "We have an error talking to the kernel\n";
    }
    stop
}

impl Tc<'_> {
    /// `tc filter`.
    pub(super) fn filter(&mut self, mut args: Args) -> Done<i32> {
        let Some(word) = args.take() else { return self.list_filters(Args::new(&[])) };
        if matches(word, "get") {
            return Err(not_modelled("filter get"));
        }
        match Verb::of(word, "filter")? {
            Verb::Modify(flags) => self.modify_filter(args, flags),
            Verb::List => self.list_filters(args),
            Verb::Help => {
                self.process.eprint(USAGE);
                Ok(0)
            }
        }
    }

    /// Makes or changes one; without flags, deletes it.
    fn modify_filter(&mut self, mut args: Args, flags: Option<u16>) -> Done<i32> {
        let (mut words, mut kind) = (Words::default(), None);
        while let Some(word) = args.take() {
            if words.word(word, &mut args)? {
                continue;
            }
            if matches(word, "help") {
                self.process.eprint(USAGE);
                return Ok(0);
            }
            if matches(word, "estimator") {
                return Err(not_modelled("filter … estimator"));
            }
            kind = Some(word);
            break;
        }
        if flags.is_some_and(|flags| flags & NLM_F_CREATE != 0) && words.protocol == 0 {
            words.protocol = ETH_P_ALL;
        }
        let known = kind.and_then(|kind| KINDS.iter().find(|known| known.id == kind));
        if let Some(kind) = kind.filter(|kind| NOT_MODELLED.split_whitespace().any(|known| known == *kind)) {
            return Err(not_modelled(&format!("filter … {kind}")));
        }
        let (mut handle, mut options) = (0, None);
        if let Some(text) = &words.handle {
            let read = known.map_or(Err(ILLEGAL_HANDLE), |known| (known.handle)(text));
            (handle, options) = read.map_err(Stop::failed)?;
        }
        if let Some(known) = known {
            options = (known.parse)(&mut args, options)?;
        }
        let dev = match words.dev.as_deref() {
            Some(name) => self.find_dev(name).ok_or_else(|| nodev(name))?,
            None => return Err(while_talking(&NlError::from(Errno::ENODEV))),
        };
        let msg = FilterMsg {
            dev,
            parent: words.parent,
            prio: words.prio,
            protocol: words.protocol,
            handle,
            flags: flags.unwrap_or(0),
            kind,
            options: options.as_deref(),
        };
        let done = self.process.syscall(|cx| match flags {
            Some(_) => tc_new_tfilter(cx, &msg),
            None => tc_del_tfilter(cx, &msg),
        });
        done.map_err(|error| while_talking(&error))?;
        Ok(0)
    }

    fn list_filters(&mut self, mut args: Args) -> Done<i32> {
        let mut words = Words::default();
        while let Some(word) = args.take() {
            if !words.word(word, &mut args)? {
                if matches(word, "help") {
                    self.process.eprint(USAGE);
                    continue;
                }
                let text = format!(" What is \"{word}\"? Try \"tc filter help\"\n");
                return Err(Stop::usage(text));
            }
        }
        if self.style.pretty {
            return Err(not_modelled("-pretty filter"));
        }
        let dumps = match words.dev.as_deref() {
            Some(name) => {
                let dev = self.find_dev(name).ok_or_else(|| nodev(name))?;
                self.process.syscall(|cx| tc_dump_tfilter(cx, dev, words.parent))?
            }
            // Without a device, of blocks only.
            None => Vec::new(),
        };
        let mut out = self.out();
        for dump in dumps {
            let is_meant = (words.prio == 0 || words.prio == dump.prio)
                && (words.protocol == 0 || words.protocol == dump.protocol);
            if is_meant {
                self.print_filter(&mut out, &dump, &words)?;
            }
        }
        self.process.print(out.finish());
        Ok(0)
    }

    fn print_filter(&self, out: &mut Out, dump: &FilterDump, words: &Words) -> Done {
        out.open(None);
        out.text("filter ");
        if words.parent != dump.parent {
            let parent = sprint_classid(dump.parent);
            out.any("parent", parent.as_str(), format_args!("parent {parent} "));
        }
        if words.protocol == 0 {
            let protocol = ll_proto_n2a(dump.protocol);
            out.any("protocol", protocol.as_str(), format_args!("protocol {protocol} "));
        }
        if words.prio == 0 {
            out.any("pref", dump.prio, format_args!("pref {} ", dump.prio));
        }
        out.any("kind", dump.kind, format_args!("{} ", dump.kind));
        out.any("chain", 0, "chain 0 ");
        if let (Some((handle, filter)), Some(kind)) =
            (&dump.filter, KINDS.iter().find(|kind| kind.id == dump.kind))
        {
            out.open(Some("options"));
            (kind.print)(out, *handle, filter.as_ref(), self.stats > 0)?;
            out.close();
        }
        out.nl();
        out.close();
        Ok(())
    }
}

/// The class behind `classid` or `flowid`.
pub fn classid(args: &mut Args) -> Done<u32> {
    let text = args.value()?;
    get_tc_classid(text).ok_or_else(|| Stop::failed("Illegal \"classid\"\n"))
}

/// A word that no classifier here takes: `what` names it, with its usage for one that the real tool does not know either.
pub fn unknown(kind: &str, word: &str, usage: &str) -> Stop {
    const REAL: [&str; 10] =
        ["action", "divisor", "hashkey", "ht", "indev", "link", "offset", "order", "police", "sample"];
    match word {
        "help" => Stop::failed(usage),
        "skip_hw" | "skip_sw" => not_modelled(&format!("filter … {kind} {word}")),
        _ if REAL.contains(&word) => not_modelled(&format!("filter … {kind} {word}")),
        _ => Stop::failed(format!("What is \"{word}\"?\n{usage}")),
    }
}
