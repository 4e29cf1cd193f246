//! `nfacct` 1.0.2: accounting objects, which rules with `-m nfacct` count on.

use glassnet_kernel::net::netfilter::nfnetlink_acct::{
    NFACCT_NAME_LEN, NfAcct, NfAccts, QuotaMode, nfnl_acct_del, nfnl_acct_dump, nfnl_acct_get,
    nfnl_acct_listen, nfnl_acct_new, nfnl_acct_next_event, nfnl_acct_unlisten,
};
use glassnet_kernel::netlink::Errno;

use crate::iptables::ext::words::truncated;
use crate::numbers::decimal;
use crate::process::{BOOT_TIME, Process, Running, Signal, Woken};
use crate::stop::{Done, Stop};

const HELP: &str = "nfacct v1.0.2: utility for the Netfilter extended accounting infrastructure
Usage: nfacct command [parameters]...

Commands:
  list [reset]\t\tList the accounting object table (and reset)
  add object-name\tAdd new accounting object to table
  delete object-name\tDelete existing accounting object
  get object-name\tGet existing accounting object
  flush\t\t\tFlush accounting object table
  restore\t\tRestore accounting object table reading 'list' output from stdin
  monitor\t\tListens for quota attainment notifications
  version\t\tDisplay version and disclaimer
  help\t\t\tDisplay this help message
";
const VERSION: &str = "nfacct v1.0.2: utility for the Netfilter extended accounting infrastructure
Copyright (C) 2011 Pablo Neira Ayuso <pablo@netfilter.org>
Copyright (C) 2011 Intra2net AG <http://www.intra2net.com>
This program comes with ABSOLUTELY NO WARRANTY.
This is free software, and you are welcome to redistribute it under certain 
conditions; see LICENSE file distributed in this package for details.
";
const USAGE: &str = "Usage: nfacct command [parameters]...\n";

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move { nfacct(process).await.map_or_else(|stop| stop.say(process), |()| 0) })
}

async fn nfacct(process: &mut Process) -> Done {
    let args = process.args().to_vec();
    let Some((command, rest)) = args.split_first() else { return Err(Stop::error(1, USAGE)) };
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    // A word may be shortened to its first letters.
    let commands = ["list", "add", "delete", "get", "flush", "help", "version", "restore", "monitor"];
    match full(command, &commands) {
        Some("list") => list(process, &rest),
        Some("add") => add(process, &rest),
        Some("delete") => delete(process, &rest),
        Some("get") => get(process, &rest),
        Some("flush") => flush(process, &rest),
        Some("restore") => restore(process).await,
        Some("monitor") => monitor(process).await,
        Some("help") => Err(Stop::shown(HELP)),
        Some(_) => Err(Stop::shown(VERSION)),
        None => Err(Stop::error(1, format!("nfacct v1.0.2: Unknown command: {command}\n{USAGE}"))),
    }
}

fn wrong<T>(text: &str) -> Done<T> {
    Err(Stop::error(1, format!("nfacct v1.0.2: {text}\n")))
}

fn refused(errno: Errno) -> Stop {
    Stop::error(1, format!("nfacct v1.0.2: error: {}\n", errno.strerror()))
}

/// How objects are printed, and whether their counters are then reset.
#[derive(Clone, Copy, Default)]
struct Look {
    format: Format,
    reset: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Format {
    #[default]
    Plain,
    Xml,
    Json,
}

/// The first of the words that begins with these letters.
fn full(letters: &str, words: &[&'static str]) -> Option<&'static str> {
    words.iter().copied().find(|word| word.starts_with(letters))
}

/// The words `reset`, `xml` and `json` of `list` and `get`, where `get` lets each be repeated or replaced.
fn look(words: &[&str], once: bool) -> Done<Look> {
    let mut look = Look::default();
    for word in words {
        let Some(word) = full(word, &["reset", "xml", "json"]) else { return wrong("unknown argument") };
        let taken = match word {
            "reset" => std::mem::replace(&mut look.reset, true),
            "xml" => std::mem::replace(&mut look.format, Format::Xml) != Format::Plain,
            _ => std::mem::replace(&mut look.format, Format::Json) != Format::Plain,
        };
        if once && taken {
            let text = format!("Error: duplicate \"{word}\" or collision with another option \n");
            return Err(Stop::error(1, text));
        }
    }
    Ok(look)
}

fn list(process: &mut Process, words: &[&str]) -> Done {
    let look = look(words, true)?;
    let netns = process.netns;
    let objects = process.syscall(|cx| nfnl_acct_dump(cx, netns, look.reset));
    print(process, &objects, look.format);
    Ok(())
}

fn get(process: &mut Process, words: &[&str]) -> Done {
    let Some((name, words)) = words.split_first() else { return wrong("missing object name") };
    let look = look(words, false)?;
    let (netns, name) = (process.netns, truncated(name, NFACCT_NAME_LEN));
    let object = process.syscall(|cx| nfnl_acct_get(cx, netns, &name, look.reset)).map_err(refused)?;
    print(process, &[object], look.format);
    Ok(())
}

fn print(process: &mut Process, objects: &[NfAcct], format: Format) {
    match format {
        Format::Plain => {
            let lines: Vec<String> = objects.iter().map(line).collect();
            process.print(lines.concat());
        }
        Format::Xml => {
            let rows: Vec<String> = objects
                .iter()
                .map(|NfAcct { name, pkts, bytes, .. }| {
                    format!(
                        "<obj><name>{name}</name><pkts>{pkts:020}</pkts><bytes>{bytes:020}</bytes></obj>\n"
                    )
                })
                .collect();
            let head = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<nfacct>\n";
            process.print(format!("{head}{}</nfacct>\n", rows.concat()));
        }
        Format::Json => {
            let rows: Vec<String> = objects.iter().map(json).collect();
            let time = BOOT_TIME + process.now().0 / 1_000_000_000;
            let head = format!("{{ \"timestamp\" : {time}, \n  \"nfacct_counters\" : [\n");
            process.print(format!("{head}{}\n] }}\n", rows.join(",\n")));
        }
    }
}

fn mode_name(mode: QuotaMode) -> &'static str {
    match mode {
        QuotaMode::Packets => "packet",
        QuotaMode::Bytes => "byte",
    }
}

fn line(object: &NfAcct) -> String {
    let NfAcct { name, pkts, bytes, .. } = object;
    let quota = object.quota.map_or(String::new(), |(mode, quota)| {
        let over = if object.overquota { "yes" } else { "no" };
        format!(", quota = {quota:020}, mode = {}, overquota = {over}", mode_name(mode))
    });
    format!("{{ pkts = {pkts:020}, bytes = {bytes:020}{quota} }} = {name};\n")
}

fn json(object: &NfAcct) -> String {
    let NfAcct { name, pkts, bytes, .. } = object;
    let quota = object.quota.map_or(String::new(), |(mode, quota)| {
        let (mode, over) = (mode_name(mode), u8::from(object.overquota));
        format!("\"quota\" : {quota}, \"mode\" = \"{mode}\", \"overquota\" = {over}, ")
    });
    format!("  {{ \"pkts\" : {pkts}, \"bytes\" : {bytes}, {quota}\"name\" : \"{name}\" }}")
}

/// A number at the start of a text, as strtoull(3) with base 10 reads it, and what follows.
fn strtoull(text: &str) -> Option<(u64, &str)> {
    let text = text.trim_start_matches(|letter: char| letter.is_ascii_whitespace());
    let (negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let digits = decimal(digits)?;
    let value = digits.value.map_or(u64::MAX, |value| if negative { value.wrapping_neg() } else { value });
    Some((value, digits.rest))
}

fn add(process: &mut Process, words: &[&str]) -> Done {
    let Some((name, words)) = words.split_first() else { return wrong("missing object name") };
    let quota = match words {
        [] => None,
        [_] => return wrong("missing quota value"),
        [mode, quota, rest @ ..] => {
            let mode = match *mode {
                "byte" => QuotaMode::Bytes,
                "packet" => QuotaMode::Packets,
                _ => return wrong("argument must \"byte\" or \"packet\""),
            };
            let Some((quota, _)) = strtoull(quota) else { return wrong("error reading quota") };
            if !rest.is_empty() {
                return wrong("too many arguments");
            }
            Some((mode, quota))
        }
    };
    new(process, NfAcct::new(truncated(name, NFACCT_NAME_LEN), 0, 0, quota))
}

fn new(process: &mut Process, object: NfAcct) -> Done {
    let netns = process.netns;
    process.syscall(|cx| nfnl_acct_new(cx, netns, object)).map_err(refused)
}

fn delete(process: &mut Process, words: &[&str]) -> Done {
    let name = match words {
        [] => return wrong("missing object name"),
        [name] => truncated(name, NFACCT_NAME_LEN),
        _ => return wrong("too many arguments"),
    };
    let netns = process.netns;
    process.syscall(|cx| nfnl_acct_del(cx, netns, Some(&name))).map_err(refused)
}

fn flush(process: &mut Process, words: &[&str]) -> Done {
    if !words.is_empty() {
        return wrong("too many arguments");
    }
    let netns = process.netns;
    process.syscall(|cx| nfnl_acct_del(cx, netns, None)).map_err(refused)
}

/// Words after it have no effect.
async fn restore(process: &mut Process) -> Done {
    let Ok(input) = process.read_to_end().await else { return Ok(()) };
    for line in String::from_utf8_lossy(&input).lines() {
        let Some((line, _)) = line.split_once(';') else { return wrong("invalid line") };
        match restored(line) {
            Some(object) => new(process, object)?,
            None => return wrong("error reading input"),
        }
    }
    Ok(())
}

/// An object as `list` writes it, up to the `;`. As with sscanf(3), blanks may be missing or more. The tool does not read
/// the `overquota` that it writes.
fn restored(line: &str) -> Option<NfAcct> {
    let (pkts, rest) = number_after(line, &["{", "pkts", "="])?;
    let (bytes, rest) = number_after(rest, &[",", "bytes", "="])?;
    let with_quota = || {
        let (quota, rest) = number_after(rest, &[",", "quota", "="])?;
        let (mode, rest) = word(after(rest, &[",", "mode", "="])?)?;
        let mode = if mode == "byte" { QuotaMode::Bytes } else { QuotaMode::Packets };
        Some(((mode, quota), rest))
    };
    let (quota, rest) = match with_quota() {
        Some((quota, rest)) => (Some(quota), rest),
        None => (None, rest),
    };
    let (name, _) = word(after(rest, &["}", "="])?)?;
    Some(NfAcct::new(truncated(name, NFACCT_NAME_LEN), pkts, bytes, quota))
}

/// What stands behind these words. The first word of a line is not looked for behind blanks.
fn after<'l>(text: &'l str, words: &[&str]) -> Option<&'l str> {
    let is_begin = words.first() == Some(&"{");
    let mut rest = if is_begin { text } else { text.trim_start() };
    for word in words {
        rest = rest.strip_prefix(word)?.trim_start();
    }
    Some(rest)
}

fn number_after<'l>(text: &'l str, words: &[&str]) -> Option<(u64, &'l str)> {
    strtoull(after(text, words)?)
}

fn word(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|letter: char| letter.is_ascii_whitespace()).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Prints objects that reach their quota, until a signal arrives.
async fn monitor(process: &mut Process) -> Done {
    for signal in [Signal::INT, Signal::TERM] {
        process.signals.catch(signal);
    }
    let (netns, machine) = (process.netns, process.machine);
    let listener = process.syscall(|cx| nfnl_acct_listen(cx, netns));
    let status = loop {
        let woken = process
            .wait(None, |world| {
                let accts: Option<&NfAccts> = world.kernel(machine).netns[netns].generic.get();
                let queue = accts.and_then(|accts| accts.listeners.get(&listener));
                queue.is_some_and(|queue| !queue.is_empty()).then_some(())
            })
            .await;
        if let Woken::Signal(signal) = woken {
            break signal.exit_status();
        }
        while let Some(object) = process.syscall(|cx| nfnl_acct_next_event(cx, netns, listener)) {
            process.print(line(&object));
        }
    };
    process.syscall(|cx| nfnl_acct_unlisten(cx, netns, listener));
    Err(Stop { status, ..Stop::default() })
}
