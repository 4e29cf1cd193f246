//! `tc filter`.

use glassnet_kernel::filter::{ETH_P_ALL, ExtsRequest, FilterData};
use glassnet_kernel::net::sched::cls_api::{
    FilterDump, FilterMsg, tc_del_tfilter, tc_dump_tfilter, tc_get_tfilter, tc_new_tfilter,
};
use glassnet_kernel::netlink::{Errno, NLM_F_CREATE, NlError};
use glassnet_kernel::tables::qdisc::{TC_H_INGRESS, TC_H_MIN_EGRESS, TC_H_MIN_INGRESS, TC_H_ROOT, tc_h_maj};

use super::units::{get_tc_classid, sprint_classid};
use super::{Tc, Verb, action, f_flower, f_fw, f_matchall, f_u32, m_police, not_modelled};
use crate::iproute2::args::{Args, Done, Stop, duparg, invarg, matches, nodev, number};
use crate::iproute2::ll_proto::{ll_proto_a2n, ll_proto_n2a};
use crate::iproute2::out::Out;

const USAGE: &str = include_str!("help/filter.txt");

/// A filter that was read.
pub type Options = Option<Box<dyn FilterData>>;

/// What is read for a filter.
pub struct Request<'t> {
    /// The program.
    pub tc: &'t Tc<'t>,
    /// What comes with the handle, or was read so far.
    pub options: Options,
    /// The Ethertype; 0: not said.
    pub protocol: u16,
    /// Actions and flags.
    pub exts: ExtsRequest,
}

/// What is shown of a filter.
pub struct Shown<'s> {
    /// The filter.
    pub filter: &'s dyn FilterData,
    /// All that is told of it.
    pub dump: &'s FilterDump,
    /// With counters.
    pub stats: bool,
    tc: &'s Tc<'s>,
}

impl Shown<'_> {
    /// The name of a device of the namespace.
    pub fn ifname(&self, ifindex: u32) -> String {
        let world = self.tc.process.world();
        let kernel = world.kernel(self.tc.process.machine);
        let dev = kernel.dev_by_index(self.tc.netns, ifindex);
        dev.map_or_else(|| format!("if{ifindex}"), |dev| kernel.devs[dev].name.clone())
    }
}

/// What `tc` knows of a classifier (`struct filter_util`).
pub struct FilterKind {
    /// Its name.
    pub id: &'static str,
    /// Reads the handle, and what it says beside a number, which goes to the filter; otherwise what is said then.
    pub handle: fn(&str) -> Result<(u32, Options), &'static str>,
    /// Reads the words behind its name.
    pub parse: fn(&mut Args, &mut Request) -> Done,
    /// Prints a filter with its handle, up to its actions.
    pub print: fn(&mut Out, u32, &Shown) -> Done,
}

/// A handle that is none.
pub const ILLEGAL_HANDLE: &str = "Illegal \"handle\"\n";

static KINDS: &[&FilterKind] = &[&f_flower::FLOWER, &f_fw::FW, &f_matchall::MATCHALL, &f_u32::U32];

/// Classifiers that the real `tc` knows and the model does not.
const NOT_MODELLED: &str = "basic bpf cgroup flow route rsvp tcindex";

/// The words before the classifier; 0: not said.
#[derive(Default)]
struct Words {
    dev: Option<String>,
    parent: u32,
    prio: u16,
    protocol: u16,
    handle: Option<String>,
    chain: Option<u32>,
    block: Option<u32>,
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
            "root" | "ingress" | "egress" if self.parent != 0 => {
                return Err(Stop::usage(format!("Error: \"{word}\" is duplicate parent ID\n")));
            }
            "parent" if self.parent != 0 => return Err(duparg("parent", args.value()?)),
            "root" => self.parent = TC_H_ROOT,
            "parent" => {
                let text = args.value()?;
                self.parent = get_tc_classid(text).ok_or_else(|| invarg("Invalid parent ID", text))?;
            }
            "ingress" => self.parent = tc_h_maj(TC_H_INGRESS) | TC_H_MIN_INGRESS,
            "egress" => self.parent = tc_h_maj(TC_H_INGRESS) | TC_H_MIN_EGRESS,
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
            // Blocks belong to disciplines that were made with one, which is not modelled: there are none.
            "block" => {
                let text = args.value()?;
                let block: u32 = number(text).ok_or_else(|| invarg("invalid block index value", text))?;
                self.block = Some(block);
            }
            "chain" => {
                let text = args.value()?;
                if self.chain.is_some() {
                    return Err(duparg("chain", text));
                }
                self.chain = Some(number(text).ok_or_else(|| invarg("invalid chain index value", text))?);
            }
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
            return self.get_filter(args);
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

    /// Reads the words before the classifier, which is the word that is returned.
    fn filter_words<'a>(&self, args: &mut Args<'a>) -> Done<(Words, Option<&'a str>)> {
        let mut words = Words::default();
        while let Some(word) = args.take() {
            if words.word(word, args)? {
                continue;
            }
            if matches(word, "help") {
                return Err(Stop::error(0, USAGE));
            }
            if matches(word, "estimator") {
                return Err(not_modelled("filter … estimator"));
            }
            if NOT_MODELLED.split_whitespace().any(|known| known == word) {
                return Err(not_modelled(&format!("filter … {word}")));
            }
            return Ok((words, Some(word)));
        }
        Ok((words, None))
    }

    /// Reads handle and options of a classifier.
    fn filter_options(&self, args: &mut Args, words: &Words, kind: Option<&str>) -> Done<(u32, Request<'_>)> {
        let known = kind.and_then(|kind| KINDS.iter().find(|known| known.id == kind));
        let (mut handle, mut options) = (0, None);
        if let Some(text) = &words.handle {
            let read = known.map_or(Err(ILLEGAL_HANDLE), |known| (known.handle)(text));
            (handle, options) = read.map_err(Stop::failed)?;
        }
        let (protocol, exts) = (words.protocol, ExtsRequest::default());
        let mut request = Request { tc: self, options, protocol, exts };
        if let Some(known) = known {
            (known.parse)(args, &mut request)?;
        }
        Ok((handle, request))
    }

    /// Makes or changes one; without flags, deletes it.
    fn modify_filter(&mut self, mut args: Args, flags: Option<u16>) -> Done<i32> {
        let (mut words, kind) = self.filter_words(&mut args)?;
        if flags.is_some_and(|flags| flags & NLM_F_CREATE != 0) && words.protocol == 0 {
            words.protocol = ETH_P_ALL;
        }
        let (handle, request) = self.filter_options(&mut args, &words, kind)?;
        if words.block.is_some() {
            let error = NlError::with(Errno::EINVAL, "Block of given index was not found");
            return Err(while_talking(&error));
        }
        let msg = FilterMsg { flags: flags.unwrap_or(0), ..self.filter_msg(&words, kind, handle, &request)? };
        let done = self.process.syscall(|cx| match flags {
            Some(_) => tc_new_tfilter(cx, &msg),
            None => tc_del_tfilter(cx, &msg),
        });
        done.map_err(|error| while_talking(&error))?;
        Ok(0)
    }

    /// Which filter a request means.
    fn filter_msg<'a>(
        &self,
        words: &Words,
        kind: Option<&'a str>,
        handle: u32,
        request: &'a Request,
    ) -> Done<FilterMsg<'a>> {
        let dev = match words.dev.as_deref() {
            Some(name) => self.find_dev(name).ok_or_else(|| nodev(name))?,
            None => return Err(while_talking(&NlError::from(Errno::ENODEV))),
        };
        Ok(FilterMsg {
            dev,
            parent: words.parent,
            prio: words.prio,
            protocol: words.protocol,
            handle,
            flags: 0,
            kind,
            options: request.options.as_deref(),
            exts: &request.exts,
            chain: words.chain.unwrap_or(0),
        })
    }

    /// `tc filter get`.
    fn get_filter(&mut self, mut args: Args) -> Done<i32> {
        let (words, kind) = self.filter_words(&mut args)?;
        let missing = match kind {
            _ if words.protocol == 0 => Some("filter protocol"),
            _ if words.prio == 0 => Some("filter priority"),
            None => Some("filter type"),
            _ if words.handle.is_none() => Some("filter handle"),
            _ => None,
        };
        if let Some(what) = missing {
            return Err(Stop::usage(format!("Must specify {what}\n")));
        }
        let (handle, request) = self.filter_options(&mut args, &words, kind)?;
        let msg = self.filter_msg(&words, kind, handle, &request)?;
        let found = self.process.syscall(|cx| tc_get_tfilter(cx, &msg));
        let dump = found.map_err(|error| while_talking(&error))?;
        let mut out = self.out();
        self.print_filter(&mut out, &dump, &Words::default())?;
        self.process.print(out.finish());
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
        if let Some(block) = words.block {
            return Err(Stop::failed(format!("Cannot find block \"{block}\"\n")));
        }
        let dumps = match words.dev.as_deref() {
            Some(name) => {
                let dev = self.find_dev(name).ok_or_else(|| nodev(name))?;
                self.process.syscall(|cx| tc_dump_tfilter(cx, dev, words.parent))
            }
            // Without a device, of blocks only.
            None => Vec::new(),
        };
        let mut out = self.out();
        for dump in dumps {
            let is_meant = (words.prio == 0 || words.prio == dump.prio)
                && (words.protocol == 0 || words.protocol == dump.protocol)
                && words.chain.is_none_or(|chain| chain == dump.chain);
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
            print_parent(out, dump.parent);
        }
        if words.protocol == 0 {
            let protocol = ll_proto_n2a(dump.protocol);
            out.any("protocol", protocol.as_str(), format_args!("protocol {protocol} "));
        }
        if words.prio == 0 {
            out.any("pref", dump.prio, format_args!("pref {} ", dump.prio));
        }
        out.any("kind", dump.kind, format_args!("{} ", dump.kind));
        if words.chain.is_none() {
            out.any("chain", dump.chain, format_args!("chain {} ", dump.chain));
        }
        if let (Some((handle, filter)), Some(kind)) =
            (&dump.filter, KINDS.iter().find(|kind| kind.id == dump.kind))
        {
            out.open(Some("options"));
            let shown = Shown { filter: filter.as_ref(), dump, stats: self.stats > 0, tc: self };
            (kind.print)(out, *handle, &shown)?;
            action::print_actions(self, out, &dump.actions)?;
            out.close();
        }
        out.nl();
        if let Some(old) = dump.actions.first().filter(|dump| dump.is_old && self.stats > 0) {
            let (sent, queue) = (old.bstats, old.qstats);
            out.text(format_args!(" Sent {} bytes {} pkts ", sent.bytes, sent.packets));
            out.text(format_args!("(dropped {}, overlimits {}) ", queue.drops, queue.overlimits));
            out.nl();
        }
        out.close();
        Ok(())
    }
}

/// The class behind `classid` or `flowid`.
pub fn classid(args: &mut Args) -> Done<u32> {
    let text = args.value()?;
    get_tc_classid(text).ok_or_else(|| Stop::failed("Illegal \"classid\"\n"))
}

/// The place of a filter.
fn print_parent(out: &mut Out, parent: u32) {
    let at = |minor: u32| tc_h_maj(TC_H_INGRESS) | minor;
    match parent {
        TC_H_ROOT => out.any("root", true, "root "),
        _ if parent == at(TC_H_MIN_INGRESS) => out.any("parent", "ingress", "ingress "),
        _ if parent == at(TC_H_MIN_EGRESS) => out.any("parent", "egress", "egress "),
        _ => {
            let parent = sprint_classid(parent);
            out.any("parent", parent.as_str(), format_args!("parent {parent} "));
        }
    }
}

/// Prints the flags of a filter, each behind `before` and in front of `after`.
pub fn print_flags(out: &mut Out, dump: &FilterDump, (before, after): (&str, &str)) {
    let flags = [(dump.skip_hw, "skip_hw"), (dump.skip_sw, "skip_sw"), (true, "not_in_hw")];
    for (_, flag) in flags.into_iter().filter(|(is_set, _)| *is_set) {
        if !before.is_empty() {
            out.nl();
        }
        out.any(flag, true, format_args!("{before}{flag}{after}"));
    }
}

/// A word that classifiers share: actions, and flags. For another one the usage.
pub fn common(kind: &str, word: &str, args: &mut Args, request: &mut Request, usage: &str) -> Done {
    const REAL: [&str; 8] = ["divisor", "hashkey", "ht", "indev", "link", "offset", "order", "sample"];
    match word {
        "help" => return Err(Stop::failed(usage)),
        "action" => request.exts.actions = action::of_filter(request.tc, args)?,
        "police" if kind != "matchall" && kind != "flower" => {
            request.exts.actions = m_police::parse_old(args)?;
        }
        "skip_hw" if kind != "fw" => request.exts.skip_hw = true,
        "skip_sw" if kind != "fw" => request.exts.skip_sw = true,
        _ if REAL.contains(&word) => return Err(not_modelled(&format!("filter … {kind} {word}"))),
        _ => return Err(Stop::failed(format!("What is \"{word}\"?\n{usage}"))),
    }
    Ok(())
}
