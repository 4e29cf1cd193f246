//! Extensions of iptables against recordings of the real tool: see `iptables_ext/record.sh`.

use std::fmt::Write;
use std::path::Path;

use glassnet_kernel::tables::xt::{TableName, Variant};
use glassnet_userland::hosts::Hosts;
use glassnet_userland::iptables::ext::{
    Context, Given, MATCHES, MatchExt, Opt, Style, TARGETS, TargetExt, XtError,
};
use words::words;

#[path = "shared/words.rs"]
mod words;

/// Which extension a line is about.
enum Ext {
    Match(&'static MatchExt),
    Target(&'static TargetExt),
}

/// The options of a line; `None` where the frame of the tool has something to say.
fn given(options: &'static [Opt], words: &[String]) -> Option<Vec<Given>> {
    let mut given: Vec<Given> = Vec::new();
    let mut rest = words.iter();
    let mut invert = false;
    while let Some(word) = rest.next() {
        if word == "!" {
            invert = true;
            continue;
        }
        let option = options.iter().find(|option| word.strip_prefix("--") == Some(option.name))?;
        let again = given.iter().any(|before| before.name == option.name);
        if invert && !option.invert || again && !option.multi {
            return None;
        }
        let values: Vec<String> = rest.by_ref().take(option.args).cloned().collect();
        given.push(Given { name: option.name, invert, values });
        invert = false;
    }
    Some(given)
}

/// What is printed for a line as the recording has it.
fn play(line: &str, variant: Variant) -> Option<String> {
    let mut words = words(line);
    let mut table = TableName::Filter;
    if let Some(name) = words[0].strip_prefix('@') {
        table = TableName::parse(name).expect("a table");
        words.drain(..2);
    }
    let ext = match words[0].as_str() {
        "-m" => Ext::Match(MATCHES.iter().find(|ext| ext.name == words[1]).expect("a match")),
        _ => Ext::Target(TARGETS.iter().find(|ext| ext.name == words[1]).expect("a target")),
    };
    let sets = ["s1", "s2", "sl", "sk"].map(str::to_owned);
    let hosts = Hosts::default();
    let context = Context { proto: (0, false), table, variant, hosts: &hosts, sets: &sets };
    let (mut save, mut list) = (String::new(), String::new());
    let numeric = Style::List { numeric: true, proto: 0 };
    let parsed = match ext {
        Ext::Match(ext) => (ext.parse)(&given(ext.options, &words[2..])?, &context).map(|with| {
            (ext.show)(&with, Style::Save, &mut save);
            (ext.show)(&with, numeric, &mut list);
        }),
        Ext::Target(ext) => (ext.parse)(&given(ext.options, &words[2..])?, &context).map(|with| {
            (ext.show)(&with, Style::Save, &mut save);
            (ext.show)(&with, numeric, &mut list);
        }),
    };
    Some(match parsed {
        Ok(()) => {
            format!("[0] \n {} {}{save}\n{}|\n", words[0], words[1], list.trim_start_matches(' '))
        }
        Err(XtError::Parameter(text) | XtError::Final(text)) => {
            format!("[2] E: {}\n", text.trim_end_matches('\n'))
        }
        Err(XtError::Other(text)) => format!("[1] E: {}\n", text.trim_end_matches('\n')),
        Err(XtError::NotModelled(text)) => format!("{text}\n"),
    })
}

#[test]
fn stateful() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/iptables_ext/stateful.txt");
    let recorded = std::fs::read_to_string(path).expect("a recording");
    let mut differences = String::new();
    let mut compared = 0;
    for block in recorded.split("# ").skip(1) {
        let (line, printed) = block.split_once('\n').expect("a line");
        let (nft, legacy) = printed.split_once("legacy:\n").unwrap_or((printed, printed));
        for (variant, printed) in [(Variant::Nft, nft), (Variant::Legacy, legacy)] {
            let Some(played) = play(line, variant) else { continue };
            compared += 1;
            // Warnings are the frame's; what the kernel refuses is tried in its own tests.
            let printed: String = match printed.split_once(']') {
                Some(("[0", rest)) => format!("[0] \n{}", rest.split_once('\n').map_or("", |rest| rest.1)),
                _ => printed.to_owned(),
            };
            let by_kernel = !printed.starts_with("[0]") && !printed.starts_with("[2]");
            if by_kernel && played.starts_with("[0]") || played == printed {
                continue;
            }
            let _ = write!(differences, "# {line}\n--- recorded\n{printed}--- played\n{played}");
        }
    }
    assert!(differences.is_empty(), "{differences}");
    assert!(compared > 500, "only {compared} lines were compared");
}
