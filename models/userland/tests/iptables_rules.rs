//! The extensions of iptables against a recording of the real tool: see `iptables_rules/record.sh`.

use glassnet_kernel::net::netfilter::x_tables::xt_check_table;
use glassnet_kernel::net::netfilter::xt_tcpudp::Tcp;
use glassnet_kernel::tables::xt::{
    Action, Counters, IpMatch, Match, Rule, Table, TableName, Target, Variant,
};
use glassnet_userland::hosts::Hosts;
use glassnet_userland::iptables::ext::{self, Context, Given, MATCHES, Opt, Style, TARGETS, XtError, x6};
use words::words;

#[path = "shared/words.rs"]
mod words;

/// A line with one extension of ours, taken apart.
struct Line {
    table: TableName,
    chain: String,
    ip: IpMatch,
    /// `--syn` and the like stood there.
    tcp: Option<Tcp>,
    name: String,
    is_target: bool,
    options: Vec<(bool, Vec<String>)>,
}

fn line(text: &str) -> Option<Line> {
    let words = words(text);
    let mut found = Line {
        table: TableName::Filter,
        chain: String::new(),
        ip: IpMatch::default(),
        tcp: None,
        name: String::new(),
        is_target: false,
        options: Vec::new(),
    };
    let (mut not, mut at) = (false, 0);
    while at < words.len() {
        let next = || words.get(at + 1).cloned();
        let mut taken = 2;
        match words[at].as_str() {
            "-t" => found.table = TableName::parse(&next()?)?,
            "-A" => found.chain = next()?,
            "-p" => found.ip.proto = (x6::protocol(&next()?).ok()?, std::mem::take(&mut not)),
            "-m" | "-j" if !found.name.is_empty() => return None,
            "-m" | "-j" => (found.is_target, found.name) = (words[at] == "-j", next()?),
            // Of the tcp match, only that SYN is asked for counts here.
            "--syn" if found.name.is_empty() => {
                (found.tcp, taken) = (Some(syn(std::mem::take(&mut not), 0x17, 2)), 1);
            }
            "--tcp-flags" if found.name.is_empty() => {
                let flag = |name: &str| words[at + 2].split(',').any(|word| word == name);
                let compare = if flag("SYN") { 2 } else { 4 };
                (found.tcp, taken) = (Some(syn(std::mem::take(&mut not), 0x06, compare)), 3);
            }
            "!" => (not, taken) = (true, 1),
            option if option.starts_with("--") => {
                taken = 1 + words[at + 1..].iter().take_while(|word| !is_option(word)).count();
                found.options.push((std::mem::take(&mut not), words[at..at + taken].to_vec()));
            }
            _ => return None,
        }
        at += taken;
    }
    Some(found)
}

fn is_option(word: &str) -> bool {
    word.starts_with("--") || matches!(word, "!" | "-p" | "-m" | "-j")
}

fn syn(invert: bool, mask: u8, compare: u8) -> Tcp {
    Tcp { flags: Some((invert, mask, compare)), ..Tcp::default() }
}

/// What the frame does: finds options, refuses `!`, repetitions and missing arguments.
fn given(name: &str, options: &[Opt], line: &Line) -> Result<Vec<Given>, String> {
    let mut found: Vec<Given> = Vec::new();
    for (not, words) in &line.options {
        let option = words[0].trim_start_matches("--");
        let Some(option) = options.iter().find(|known| known.name == option) else {
            return Err(format!("unknown option \"{}\"", words[0]));
        };
        if words.len() - 1 != option.args {
            return Err(format!("option \"{}\" requires an argument", words[0]));
        }
        if *not && !option.invert {
            return Err(format!("{name}: option \"--{}\" cannot be inverted.\n", option.name));
        }
        if !option.multi && found.iter().any(|given| given.name == option.name) {
            return Err(format!("{name}: option \"--{}\" can only be used once.\n", option.name));
        }
        found.push(Given { name: option.name, invert: *not, values: words[1..].to_vec() });
    }
    Ok(found)
}

enum Extension {
    Match(Match),
    Target(Target),
}

/// Plays a line and gives what the recording has for it, without what the frame and the columns say.
fn play(line: &Line, variant: Variant) -> Option<String> {
    let hosts = Hosts::parse("127.0.0.1 localhost");
    let context = Context { proto: line.ip.proto, table: line.table, variant, hosts: &hosts, sets: &[] };
    let (with, target) = (
        MATCHES.iter().find(|ext| !line.is_target && ext.name == line.name),
        TARGETS.iter().find(|ext| line.is_target && ext.name == line.name),
    );
    let options = with.map(|ext| ext.options).or(target.map(|ext| ext.options))?;
    let mut out = String::new();
    let parsed = given(&line.name, options, line).map_err(XtError::Parameter).and_then(|given| {
        for warning in ext::words::warnings(&line.name, &given) {
            out += &format!("{warning}\n");
        }
        out += ext::words::final_warning(&line.name, &given).unwrap_or_default();
        match (with, target) {
            (Some(ext), _) => (ext.parse)(&given, &context).map(Extension::Match),
            (_, Some(ext)) => (ext.parse)(&given, &context).map(Extension::Target),
            _ => unreachable!("one is found"),
        }
    });
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(XtError::NotModelled(text)) => panic!("{text}"),
        Err(XtError::Parameter(text) | XtError::Final(text) | XtError::Other(text)) => {
            return Some(format!("[2]: {out}iptables V: {text}\n(Try)\n"));
        }
    };
    if is_refused(line, &parsed, variant) {
        return Some(match variant {
            Variant::Nft => {
                format!(
                    "[4]: iptables V:  RULE_APPEND failed (Invalid argument): rule in chain {}\n",
                    line.chain
                )
            }
            Variant::Legacy => {
                "[1]: iptables: Invalid argument. Run `dmesg' for more information.\n".to_owned()
            }
        });
    }
    if !out.is_empty() {
        out = format!("[0]: {out}");
    }
    let proto = line.ip.proto.0;
    let numeric = |numeric| Style::List { numeric, proto };
    for (head, style) in [("S: ", Style::Save), ("n: ", numeric(true)), ("L: ", numeric(false))] {
        let mut text = String::new();
        match &parsed {
            Extension::Match(found) => (with?.show)(found, style, &mut text),
            Extension::Target(found) => (target?.show)(found, style, &mut text),
        }
        out += &format!("{head}{text}\n");
    }
    Some(out)
}

/// The kernel refuses the rule where it is to stand.
fn is_refused(line: &Line, parsed: &Extension, variant: Variant) -> bool {
    let mut matches: Vec<Match> = line.tcp.into_iter().map(Match::new).collect();
    let mut action = Action::None;
    match parsed {
        Extension::Match(found) => matches.push(found.clone()),
        Extension::Target(found) => action = Action::Target(found.clone()),
    }
    let rule = Rule { ip: line.ip.clone(), matches, action, counters: Counters::default() };
    let mut table = Table::initial(line.table);
    table.chain_mut(&line.chain).expect("a chain of the table").rules.push(rule);
    xt_check_table(variant, table).is_err()
}

/// The recording without what the frame prints: only what stands behind `-m NAME`, `-j NAME` or the columns.
fn stripped(recorded: &str, line: &Line) -> String {
    let mut out = String::new();
    for text in recorded.lines() {
        let (head, rest) = text.split_at(text.len().min(3));
        let flag = format!("{} {}", if line.is_target { "-j" } else { "-m" }, line.name);
        let text = match head {
            "S: " => rest.rsplit_once(&flag).map_or(rest, |(_, options)| options).to_owned(),
            "n: " | "L: " => {
                let rest = rest.strip_suffix('|').unwrap_or(rest);
                let text = rest.split_once(" @ ").map_or(rest, |(_, text)| text);
                // A space ends the columns; `-L` has one more.
                let text = text.strip_prefix(if head == "n: " { " " } else { "  " }).unwrap_or(text);
                // What `--syn` shows comes first.
                let shown = text.strip_prefix(" tcp flags:").filter(|_| line.tcp.is_some());
                shown
                    .and_then(|text| text.split_once(' '))
                    .map_or(text.to_owned(), |(_, text)| format!(" {text}"))
            }
            _ => text.to_owned(),
        };
        out += &if matches!(head, "S: " | "n: " | "L: ") { format!("{head}{text}\n") } else { text + "\n" };
    }
    out
}

#[test]
fn extensions_are_read_and_printed_as_the_real_ones() {
    let recorded = include_str!("iptables_rules/recorded.txt");
    let (mut played, mut differences) = (0, String::new());
    for block in recorded.split("## ").skip(1) {
        let (text, said) = block.split_once('\n').expect("a rule and what came");
        let Some(line) = line(text) else { continue };
        let (nft, legacy) = said.split_once("--- legacy:\n").unwrap_or((said, said));
        for (variant, said) in [(Variant::Nft, nft), (Variant::Legacy, legacy)] {
            let Some(ours) = play(&line, variant) else { continue };
            played += 1;
            let said = stripped(said, &line);
            if ours != said {
                differences += &format!("## {text}\n--- recorded {variant:?}\n{said}--- played\n{ours}");
            }
        }
    }
    assert!(differences.is_empty(), "{differences}");
    assert!(played > 800, "only {played} rules were played");
}
