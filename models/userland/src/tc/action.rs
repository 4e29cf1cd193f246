//! Actions: those of filters, and `tc actions`.
//!
//! iproute2: tc/m_action.c

use glassnet_kernel::action::{ActionData, TcAct};
use glassnet_kernel::filter::ActionRequest;
use glassnet_kernel::net::sched::act_api::{
    ActionDump, tc_dump_action, tca_action_flush, tcf_action_add, tcf_del_notify, tcf_get_notify,
};
use glassnet_kernel::netlink::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NlError};

use super::{Tc, m_gact, m_mirred, m_police, m_skbedit, m_tunnel_key, m_vlan, not_modelled};
use crate::iproute2::args::{Args, Done, Stop, matches, number};
use crate::iproute2::out::Out;

const USAGE: &str = include_str!("help/actions.txt");

/// What `tc` knows of an action (`struct action_util`).
pub struct ActionKind {
    /// Its name.
    pub id: &'static str,
    /// Reads the words from its name on.
    pub parse: fn(&Tc, &mut Args) -> Done<Parsed>,
    /// Prints it up to its index.
    pub print: fn(&Tc, &mut Out, &ActionDump),
}

/// An action that was read: what it is told, what it is to say, and its index.
pub type Parsed = (Box<dyn ActionData>, TcAct, u32);

static KINDS: &[&ActionKind] = &[
    &m_gact::GACT,
    &m_mirred::MIRRED,
    &m_police::POLICE,
    &m_skbedit::SKBEDIT,
    &m_tunnel_key::TUNNEL_KEY,
    &m_vlan::VLAN,
];

/// Actions that the real `tc` knows and the model does not.
const NOT_MODELLED: &str = "bpf connmark csum ct ctinfo gate ife mpls nat pedit sample simple skbmod xt ipt";

/// Words of `action_a2n`; abbreviations are those of the first that fits.
const CONTROLS: [(&str, TcAct); 10] = [
    ("continue", TcAct::Unspec),
    ("drop", TcAct::Shot),
    ("shot", TcAct::Shot),
    ("pass", TcAct::Ok),
    ("ok", TcAct::Ok),
    ("reclassify", TcAct::Reclassify),
    ("pipe", TcAct::Pipe),
    ("goto", TcAct::GotoChain(0)),
    ("jump", TcAct::Jump(0)),
    ("trap", TcAct::Trap),
];

/// The verdict that a word is.
pub fn action_a2n(word: &str) -> Option<TcAct> {
    CONTROLS.into_iter().find(|(name, _)| matches(word, name)).map(|(_, act)| act)
}

/// What a parser that failed returns; the program goes on, and says where that was.
pub const FAILED: i32 = -1;

/// What a failed parser says before the words that put it in context.
pub fn bad(text: impl Into<String>) -> Stop {
    Stop::error(FAILED, text)
}

/// A verdict with its number (`parse_action_control`).
pub fn control(args: &mut Args) -> Done<TcAct> {
    let word = args.value()?;
    let unknown = || bad(format!("Bad action type {word}\n"));
    match action_a2n(word).ok_or_else(unknown)? {
        TcAct::GotoChain(_) => {
            if !matches(args.value()?, "chain") {
                return Err(bad("\"chain index\" expected\n"));
            }
            let chain = number::<u32>(args.value()?).filter(|chain| *chain < 1 << 28);
            Ok(TcAct::GotoChain(chain.ok_or_else(|| bad("Illegal \"chain index\"\n"))?))
        }
        TcAct::Jump(_) => {
            let text = args.value()?;
            let to = number(text).ok_or_else(|| bad(format!("Invalid \"jump count\" ({text})\n")))?;
            Ok(TcAct::Jump(to))
        }
        act => Ok(act),
    }
}

/// The same, or `default` if another word stands there (`parse_action_control_dflt`).
pub fn control_or(args: &mut Args, default: TcAct) -> Done<TcAct> {
    match args.peek().and_then(action_a2n) {
        Some(_) => control(args),
        None => Ok(default),
    }
}

/// `index N`, if it stands there; 0 otherwise.
pub fn index(args: &mut Args, illegal: &str) -> Done<u32> {
    if !args.peek().is_some_and(|word| matches(word, "index")) {
        return Ok(0);
    }
    args.take();
    number(args.value()?).ok_or_else(|| bad(illegal))
}

/// Words that end a list of actions (`new_cmd`).
fn new_cmd(word: &str) -> bool {
    let commands = ["change", "replace", "delete", "get", "add", "list", "show", "help", "flush"];
    commands.iter().any(|command| matches(word, command) && word.len() > 1)
}

/// Reads actions (`parse_action`).
pub fn parse_action(tc: &Tc, args: &mut Args) -> Done<Vec<ActionRequest>> {
    let (mut actions, mut is_empty) = (Vec::new(), false);
    let bad_value = |args: &Args, before: &str| {
        let words = args.rest();
        let word = words.first().map_or("(null)", String::as_str);
        format!("{before}parse_action: bad value ({}:{word})!\n", words.len())
    };
    while let Some(word) = args.peek() {
        match word {
            "action" => {
                args.take();
                is_empty = true;
                continue;
            }
            "flowid" | "classid" => break,
            "help" => return Err(bad("")),
            _ if action_a2n(word).is_none() && new_cmd(word) => break,
            _ => {}
        }
        is_empty = false;
        let kind = if action_a2n(word).is_some() { "gact" } else { word };
        if NOT_MODELLED.split_whitespace().any(|known| known == kind) {
            return Err(not_modelled(&format!("… action {kind}")));
        }
        let Some(known) = KINDS.iter().find(|known| known.id == kind) else {
            return Err(m_gact::usage(&format!("Bad action type {word}\n")));
        };
        let mut words = args.clone();
        let parsed = (known.parse)(tc, &mut words);
        let (data, action, index) = parsed.map_err(|stop| match stop.status {
            FAILED => {
                let text = bad_value(args, "bad action parsing\n");
                Stop { stderr: stop.stderr + &text, ..stop }
            }
            _ => stop,
        })?;
        *args = words;
        for flag in ["cookie", "hw_stats", "no_percpu", "skip_sw", "skip_hw"] {
            if args.peek() == Some(flag) {
                return Err(not_modelled(&format!("… action {kind} {flag}")));
            }
        }
        actions.push(ActionRequest { kind: known.id, index, action, data, is_old: false });
    }
    if is_empty {
        return Err(bad(bad_value(args, "bad action empty 1\n")));
    }
    Ok(actions)
}

/// The actions behind the word `action` of a filter.
pub fn of_filter(tc: &Tc, args: &mut Args) -> Done<Vec<ActionRequest>> {
    if args.is_empty() {
        args.value()?;
    }
    parse_action(tc, args).map_err(|stop| match stop.status {
        FAILED => Stop::failed(stop.stderr + "Illegal \"action\"\n"),
        _ => stop,
    })
}

/// Prints what an action says, between two texts (`print_action_control`).
pub fn print_control(out: &mut Out, before: &str, action: TcAct, after: &str) {
    out.open(Some("control_action"));
    match action {
        TcAct::GotoChain(chain) => {
            out.json("type", "goto");
            out.json("chain", chain);
        }
        TcAct::Jump(to) => {
            out.json("type", "jump");
            out.json("jump", to);
        }
        _ => out.json("type", action.to_string()),
    }
    out.text(format_args!("{before}{action}{after}"));
    out.close();
}

/// Prints index, references and, with `-s`, times.
pub fn print_index(tc: &Tc, out: &mut Out, dump: &ActionDump, indent: &str) {
    out.nl();
    out.any("index", dump.index, format_args!("{indent}index {}", dump.index));
    out.any("ref", dump.refcnt, format_args!(" ref {}", dump.refcnt));
    out.any("bind", dump.bindcnt, format_args!(" bind {}", dump.bindcnt));
    print_tm(tc, out, dump);
    out.nl();
}

/// Prints times, with `-s`.
pub fn print_tm(tc: &Tc, out: &mut Out, dump: &ActionDump) {
    const WORDS: [(&str, &str); 3] =
        [("installed", "installed"), ("last_used", "used"), ("first_used", "firstused")];
    if tc.stats == 0 {
        return;
    }
    for ((key, word), age) in WORDS.into_iter().zip(dump.ages) {
        if age != 0 {
            out.any(key, age / 100, format_args!(" {word} {} sec", age / 100));
        }
    }
}

/// Prints one action (`tc_print_one_action`); `apart`: not of a filter.
fn print_one(tc: &Tc, out: &mut Out, dump: &ActionDump, apart: bool) {
    let Some(kind) = KINDS.iter().find(|kind| kind.id == dump.kind) else { return };
    out.json("kind", dump.kind);
    (kind.print)(tc, out, dump);
    if tc.stats > 0 {
        out.text("\tAction statistics:");
        out.nl();
        out.open(Some("stats"));
        print_counters(out, dump);
        out.close();
        out.nl();
    }
    if apart {
        out.any("not_in_hw", true, "\tnot_in_hw");
        out.nl();
        if dump.is_old {
            out.text("\thw_stats disabled");
            out.nl();
        }
    }
}

fn print_counters(out: &mut Out, dump: &ActionDump) {
    let (sent, stats) = (dump.bstats, dump.qstats);
    out.any("bytes", sent.bytes, format_args!("\tSent {} bytes", sent.bytes));
    out.any("packets", sent.packets, format_args!(" {} pkt", sent.packets));
    out.any("drops", stats.drops, format_args!(" (dropped {}", stats.drops));
    out.any("overlimits", stats.overlimits, format_args!(", overlimits {}", stats.overlimits));
    out.any("requeues", stats.requeues, format_args!(" requeues {}) ", stats.requeues));
    out.nl();
    out.any("backlog", stats.backlog, "\tbacklog 0b");
    out.any("qlen", 0, " 0p");
    out.text(" requeues 0");
}

/// Prints the actions of a filter (`tc_print_action`), or the one that it has in its line.
pub fn print_actions(tc: &Tc, out: &mut Out, actions: &[ActionDump]) -> Done {
    if let Some(old) = actions.iter().find(|dump| dump.is_old) {
        if out.is_json() && tc.stats > 0 {
            // The real tool puts text into the JSON.
            return Err(not_modelled("-json -stats filter … police"));
        }
        out.nl();
        out.json("kind", old.kind);
        m_police::print(tc, out, old);
        return Ok(());
    }
    if actions.is_empty() {
        return Ok(());
    }
    out.open_array(Some("actions"));
    for (order, dump) in actions.iter().enumerate() {
        out.open(None);
        out.nl();
        let order = order as u32 + 1;
        out.any("order", order, format_args!("\taction order {order}: "));
        print_one(tc, out, dump, false);
        out.close();
    }
    out.close_array();
    Ok(())
}

/// What the real tool adds to a refusal.
fn while_talking(error: &NlError) -> Stop {
    let mut stop = Stop::refused(error);
    if error.not_modelled.is_none() {
        stop.stderr += "We have an error talking to the kernel\n";
        stop.status = 255;
    }
    stop
}

impl Tc<'_> {
    /// `tc actions`.
    pub(super) fn actions(&mut self, mut args: Args) -> Done<i32> {
        while let Some(word) = args.peek() {
            let is = |full: &str| matches(word, full);
            args.take();
            match word {
                _ if is("add") => self.modify_actions(&mut args, NLM_F_EXCL | NLM_F_CREATE)?,
                _ if is("change") || is("replace") => {
                    self.modify_actions(&mut args, NLM_F_CREATE | NLM_F_REPLACE)?;
                }
                _ if is("delete") => self.one_action(&mut args, true)?,
                _ if is("get") => self.one_action(&mut args, false)?,
                _ if is("list") || is("show") || is("lst") => return self.list_actions(&mut args),
                _ if is("flush") => return self.flush_actions(&mut args),
                _ if is("help") => {
                    self.process.eprint(USAGE);
                    return Ok(255);
                }
                _ => return Err(unknown(word)),
            }
        }
        Ok(0)
    }

    fn modify_actions(&mut self, args: &mut Args, flags: u16) -> Done {
        let netns = self.netns;
        let actions = parse_action(self, args).map_err(|stop| match stop.status {
            FAILED => Stop::usage(stop.stderr + "Illegal \"action\"\n"),
            _ => stop,
        })?;
        let done = self.process.syscall(|cx| tcf_action_add(cx, netns, &actions, flags));
        done.map_err(|error| while_talking(&error))
    }

    /// The kind and index of an action that is to be shown or deleted.
    fn one_action(&mut self, args: &mut Args, deletes: bool) -> Done {
        let netns = self.netns;
        let command = args.clone();
        if args.peek() == Some("action") {
            args.take();
        }
        let kind = args.value()?.to_owned();
        if args.value()? != "index" {
            return Err(Stop::failed("Error: no index specified action: \"index\"\n"));
        }
        let text = args.value()?;
        let index = number(text).ok_or_else(|| Stop::failed("Illegal \"index\"\n"))?;
        // The real tool takes the next word for a command.
        let fails = |error: NlError| {
            let mut stop = while_talking(&error);
            stop.stderr += &unknown(command.peek().unwrap_or_default()).stderr;
            stop
        };
        if deletes {
            return self.process.syscall(|cx| tcf_del_notify(cx, netns, &kind, index)).map_err(fails);
        }
        let dump = self.process.syscall(|cx| tcf_get_notify(cx, netns, &kind, index)).map_err(fails)?;
        let mut out = self.out();
        self.print_total(&mut out, 0, std::iter::once((1, &dump)));
        self.process.print(out.finish());
        Ok(())
    }

    fn kind_of_list(&self, args: &mut Args) -> Done<String> {
        if args.peek() == Some("action") {
            args.take();
        }
        let kind = args.value()?.to_owned();
        if let Some(word) = args.peek() {
            return Err(not_modelled(&format!("actions … {word}")));
        }
        if NOT_MODELLED.split_whitespace().any(|known| known == kind) {
            return Err(not_modelled(&format!("actions … {kind}")));
        }
        Ok(kind)
    }

    fn list_actions(&mut self, args: &mut Args) -> Done<i32> {
        let (netns, kind) = (self.netns, self.kind_of_list(args)?);
        let dumps = self.process.syscall(|cx| tc_dump_action(cx, netns, &kind));
        let mut out = self.out();
        if KINDS.iter().any(|known| known.id == kind) && !dumps.is_empty() {
            self.print_total(&mut out, dumps.len(), (0_u32..).zip(&dumps));
        }
        self.process.print(out.finish());
        Ok(0)
    }

    fn print_total<'d>(
        &self,
        out: &mut Out,
        total: usize,
        dumps: impl Iterator<Item = (u32, &'d ActionDump)>,
    ) {
        out.open(None);
        out.any("total acts", total as u32, format_args!("total acts {total}"));
        out.nl();
        out.close();
        out.open(None);
        out.open_array(Some("actions"));
        for (order, dump) in dumps {
            out.open(None);
            out.nl();
            out.any("order", order, format_args!("\taction order {order}: "));
            print_one(self, out, dump, true);
            out.close();
        }
        out.close_array();
        out.close();
    }

    fn flush_actions(&mut self, args: &mut Args) -> Done<i32> {
        let (netns, kind) = (self.netns, self.kind_of_list(args)?);
        let done = self.process.syscall(|cx| tca_action_flush(cx, netns, &kind));
        let all = done.map_err(|error| {
            let text = Stop::refused(&error).stderr + "We have an error flushing\n";
            Stop::error(1, text)
        })?;
        if !all {
            self.process.eprint("Warning: Unable to flush all TC actions.\n");
        }
        Ok(0)
    }
}

fn unknown(word: &str) -> Stop {
    Stop::usage(format!("Command \"{word}\" is unknown, try \"tc actions help\".\n"))
}
