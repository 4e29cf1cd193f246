//! `iptables-restore`: commits each table as a whole.

use glassnet_kernel::net::netfilter::x_tables::xt_find_table_lock;
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::xt::{Counters, TableName, Variant};

use super::command::{Command, Op};
use super::draft::Draft;
use super::fail::{Done, Fail, Refusal, Tool, parameter};
use super::parse::{NAME_MAX, Place, parse};
use super::place;
use super::run;
use super::spec::is_standard;
use super::{change_name, changes};
use crate::getopt::{self, Takes};
use crate::hosts::Hosts;
use crate::process::Process;
use crate::stop::Stop;

const LONG: &[getopt::Long] = &[
    ("counters", Takes::Nothing, "c"),
    ("verbose", Takes::Nothing, "v"),
    ("version", Takes::Nothing, "V"),
    ("test", Takes::Nothing, "t"),
    ("help", Takes::Nothing, "h"),
    ("noflush", Takes::Nothing, "n"),
    ("modprobe", Takes::Value, "M"),
    ("table", Takes::Value, "T"),
    ("wait", Takes::Nothing, "w"),
    ("wait-interval", Takes::Nothing, "W"),
    ("ipv4", Takes::Nothing, "4"),
    ("ipv6", Takes::Nothing, "6"),
];

const USAGE_END: &str = "\t   [ --table=<TABLE> ]\n\t   [ --modprobe=<command> ]\n";
const USAGE: &str = "\t   [ --counters ]\n\t   [ --verbose ]\n\t   [ --version]\n\t   [ --test ]\n\t   [ --help ]\n\t   [ --noflush ]\n";

fn usage(tool: Tool) -> String {
    match tool.variant {
        Variant::Nft => format!(
            "Usage: iptables-restore [-c] [-v] [-V] [-t] [-h] [-n] [-T table] [-M command] [-4] [-6] [file]\n{USAGE}{USAGE_END}\t   [ --ipv4 ]\n\t   [ --ipv6 ]\n"
        ),
        Variant::Legacy => format!(
            "Usage: iptables-restore [-c] [-v] [-V] [-t] [-h] [-n] [-w secs] [-W usecs] [-T table] [-M command] [file]\n{USAGE}\t   [ --wait=<seconds>\n{USAGE_END}"
        ),
    }
}

/// Options.
#[derive(Clone, Default)]
struct Options {
    counters: bool,
    verbose: bool,
    test: bool,
    noflush: bool,
    table: Option<String>,
    file: Option<String>,
}

fn options(process: &mut Process, tool: Tool, args: &[String]) -> Result<Options, Stop> {
    let parsed = getopt::parse(&without_waits(args, tool)?, "bcvVthnwWM:T:", LONG);
    let mut options = Options::default();
    for option in &parsed.options {
        match option.name.as_str() {
            "c" => options.counters = true,
            "v" => options.verbose = true,
            "t" => options.test = true,
            "n" => options.noflush = true,
            "T" => options.table = Some(option.value.clone()),
            "h" => {
                return Err(Stop::shown(usage(tool)));
            }
            "V" => {
                return Err(Stop::shown(format!("{} {}\n", tool.name, tool.version())));
            }
            "M" => return Err(Fail::NotModelled("-M".to_owned()).render(tool, None, 0)),
            "6" => return Err(Fail::NotModelled("--ipv6".to_owned()).render(tool, None, 0)),
            "W" if tool.variant == Variant::Legacy => {
                process.eprint("Ignoring deprecated --wait-interval option.\n");
            }
            "b" => process.eprint("-b/--binary option is not implemented\n"),
            _ => {}
        }
    }
    if let Some(error) = parsed.error {
        let name = tool.name;
        return Err(Stop::error(1, format!("{name}: {error}\nTry `{name} -h' for more information.\n")));
    }
    match parsed.operands.as_slice() {
        [] => {}
        [file] => options.file = Some(file.clone()),
        _ => return Err(Stop::error(1, "Unknown arguments found on commandline\n")),
    }
    Ok(options)
}

/// Removes the optional values of `-w` and `-W`. There is no lock.
fn without_waits(args: &[String], tool: Tool) -> Result<Vec<String>, Stop> {
    let mut kept: Vec<String> = Vec::new();
    let mut after_wait = None;
    for arg in args {
        if let Some(option) = after_wait.take()
            && !arg.starts_with('-')
        {
            if option == "-w" && tool.variant == Variant::Legacy && !is_number(arg) {
                return Err(parameter("wait seconds not numeric").render(tool, Some(0), 0));
            }
            continue;
        }
        let wait = ["-w", "--wait", "-W", "--wait-interval"].into_iter().find(|wait| {
            arg == wait || arg.strip_prefix(wait).is_some_and(|rest| rest.starts_with('=') || is_number(rest))
        });
        match wait {
            Some(wait) => {
                let short = if wait.contains('W') || wait.len() > 6 { "-W" } else { "-w" };
                after_wait = (arg == wait).then_some(short);
                kept.push(short.to_owned());
            }
            None => kept.push(arg.clone()),
        }
    }
    Ok(kept)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Runs the program with its arguments; returns the exit status.
pub async fn main(process: &mut Process, tool: Tool, args: &[String]) -> i32 {
    let options = match options(process, tool, args) {
        Ok(options) => options,
        Err(stop) => return stop.say(process),
    };
    let input = match &options.file {
        None => process.read_to_end().await,
        Some(file) => process.read_operand(if file == "-" { "./-" } else { file }).await,
    };
    let bytes = match (input, &options.file) {
        (Ok(bytes), _) => bytes,
        (Err(_), file) => {
            let file = file.as_deref().unwrap_or("-");
            process.eprint(format!("Can't open {file}: No such file or directory\n"));
            return 1;
        }
    };
    let hosts = Hosts::read(process).await;
    let sets = place::sets(process);
    let absent = place::absent_matches(process);
    let text = String::from_utf8_lossy(&bytes);
    let mut reader = Reader {
        process,
        tool,
        options,
        hosts: &hosts,
        sets: &sets,
        absent,
        line: 0,
        failed_at: 0,
        table: None,
        out: String::new(),
        warnings: String::new(),
    };
    let outcome = reader.read(&text);
    let (line, failed_at) = (reader.line, reader.failed_at);
    let (out, warnings) = (std::mem::take(&mut reader.out), std::mem::take(&mut reader.warnings));
    process.eprint(warnings);
    let status = match outcome {
        Ok(()) => 0,
        Err(fail) => fail.render(tool, Some(line), failed_at).say(process),
    };
    process.print(out);
    status
}

/// The current table.
struct Open {
    /// With the changes so far.
    draft: Draft,
    /// Before the changes.
    before: Draft,
    /// Commands so far, with their lines. nft runs them at `COMMIT`.
    commands: Vec<(usize, Command)>,
}

struct Reader<'a> {
    process: &'a Process,
    tool: Tool,
    options: Options,
    hosts: &'a Hosts,
    sets: &'a [String],
    absent: &'static [&'static str],
    /// Current line, from 1.
    line: usize,
    /// The line of the command that failed.
    failed_at: usize,
    /// Current table; `Some(None)`: one that `-T` skips.
    table: Option<Option<Open>>,
    out: String,
    warnings: String,
}

impl Reader<'_> {
    fn read(&mut self, text: &str) -> Done {
        for line in text.split_inclusive('\n') {
            self.line += 1;
            self.failed_at = self.line;
            // C strings end at a NUL.
            self.read_line(line.split('\0').next().unwrap_or(""))?;
        }
        match self.table {
            Some(Some(_)) => {
                let (name, line) = (self.tool.name, self.line + 1);
                self.warnings += &format!("{name}: COMMIT expected at line {line}\n");
                Err(Fail::Done(1))
            }
            _ => Ok(()),
        }
    }

    fn read_line(&mut self, line: &str) -> Done {
        match (line.as_bytes().first(), &mut self.table) {
            (None | Some(b'\n'), _) => Ok(()),
            (Some(b'#'), _) => {
                if self.options.verbose {
                    self.out += line;
                }
                Ok(())
            }
            (Some(b'*'), None | Some(None)) => self.open(line),
            (_, Some(None)) => Ok(()),
            (_, None) => {
                self.warnings += &format!("{}: line {} failed\n", self.tool.name, self.line);
                Err(Fail::Done(1))
            }
            (_, Some(Some(_))) if line == "COMMIT\n" => self.commit(),
            (Some(b':'), Some(Some(_))) => self.chain_line(&line[1..]),
            (_, Some(Some(_))) => self.rule_line(line),
        }
    }

    fn wrong<T>(&self, text: &str) -> Done<T> {
        Err(parameter(format!("{}: {text}", self.tool.name)))
    }

    fn open(&mut self, line: &str) -> Done {
        let Some(name) = tokens(&line[1..]).next() else {
            return self.wrong(&format!("line {} table name invalid", self.line));
        };
        if self.options.table.as_deref().is_some_and(|only| only != name) {
            self.table = Some(None);
            return Ok(());
        }
        let Some(name) = TableName::parse(name) else {
            return match self.tool.variant {
                Variant::Nft => self.wrong(&format!("line {} table name '{name}' invalid", self.line)),
                Variant::Legacy => self.wrong(&format!("unable to initialize table '{name}'")),
            };
        };
        let variant = self.tool.variant;
        if variant == Variant::Legacy {
            let netns = self.process.netns;
            // A table without rules is never refused.
            let _ = self.process.syscall(|cx| xt_find_table_lock(cx, netns, name));
        }
        let before = Draft::new(variant, name, place::table(self.process, variant, name));
        let mut draft = before.clone();
        if !self.options.noflush {
            if variant == Variant::Legacy && self.options.verbose {
                push_flushed(&mut self.out, &draft);
            }
            draft.clear();
        }
        self.table = Some(Some(Open { draft, before, commands: Vec::new() }));
        Ok(())
    }

    fn open_table(&self) -> TableName {
        match &self.table {
            Some(Some(open)) => open.draft.table.name,
            _ => TableName::Filter,
        }
    }

    /// `:CHAIN POLICY [PACKETS:BYTES]`.
    fn chain_line(&mut self, rest: &str) -> Done {
        let mut words = tokens(rest);
        let Some(chain) = words.next() else {
            return self.wrong(&format!("line {} chain name invalid", self.line));
        };
        self.check_chain_name(chain)?;
        let Some(policy) = words.next() else {
            return self.wrong(&format!("line {} policy invalid", self.line));
        };
        let nft = self.tool.variant == Variant::Nft;
        let table = self.open_table();
        let is_builtin = table.hooks().iter().any(|hook| hook.chain() == chain);
        let wants_counters = if nft { is_builtin } else { policy != "-" };
        let counters = match self.options.counters && wants_counters {
            false => None,
            true => match words.next().and_then(counters) {
                Some(counters) => Some(counters),
                None => return Err(parameter(format!("invalid policy counters for chain '{chain}'"))),
            },
        };
        let is_set = policy != "-" && (is_builtin || !nft);
        if is_set && !nft {
            let why = match policy {
                _ if !is_builtin => Some("Bad built-in chain name"),
                "ACCEPT" | "DROP" => None,
                _ => Some("Bad policy name"),
            };
            if let Some(why) = why {
                let line = self.line;
                return Err(Fail::Xt(
                    format!("Can't set policy `{policy}' on `{chain}' line {line}: {why}"),
                    1,
                ));
            }
        }
        let op = Op::Declare(chain.to_owned(), is_set.then(|| (policy.to_owned(), counters)));
        self.add(Command::new(op, table))
    }

    fn check_chain_name(&self, chain: &str) -> Done {
        let is_long = chain.len() > NAME_MAX;
        match (self.tool.variant, chain.chars().next()) {
            (Variant::Nft, _) if is_standard(chain) => {
                Err(parameter("chain name may not clash with target name"))
            }
            (Variant::Legacy, _) if is_standard(chain) => {
                Err(parameter(format!("error creating chain '{chain}':File exists")))
            }
            (Variant::Nft, Some(first @ ('-' | '!'))) => {
                Err(parameter(format!("chain name not allowed to start with `{first}'")))
            }
            (Variant::Nft, _) if is_long => {
                Err(parameter(format!("chain name `{chain}' too long (must be under 29 chars)")))
            }
            (Variant::Legacy, _) if is_long => {
                Err(parameter(format!("Invalid chain name `{chain}' (28 chars max)")))
            }
            _ => Ok(()),
        }
    }

    fn rule_line(&mut self, line: &str) -> Done {
        let (counters, rest) = self.rule_counters(line)?;
        let split = split(rest);
        let mut words: Vec<&str> = vec![self.tool.name];
        if let Some((packets, bytes)) = counters.filter(|_| self.options.counters) {
            words.extend(["--set-counters", packets, bytes]);
        }
        words.extend(split.iter().map(AsRef::as_ref));
        let (table, hosts, sets) = (Some(self.open_table()), self.hosts, self.sets);
        let place = Place { tool: self.tool, table, hosts, sets, absent: self.absent };
        match parse(&words, place, &mut self.out, &mut self.warnings)? {
            Some(mut command) => {
                // Only without --noflush, as in the real tool.
                command.verbose |= self.options.verbose && !self.options.noflush;
                self.add(command)
            }
            None => Ok(()),
        }
    }

    /// The `[PACKETS:BYTES]` before a rule, and the rest of the line.
    fn rule_counters<'l>(&self, line: &'l str) -> Done<(Option<(&'l str, &'l str)>, &'l str)> {
        let Some(inside) = line.strip_prefix('[') else { return Ok((None, line)) };
        let need = |what: &str| Err(parameter(format!("Bad line {}: need {what}", self.line)));
        if !inside.contains(']') {
            return need("]");
        }
        let Some((packets, rest)) = inside.trim_start_matches(':').split_once(':') else { return need("]") };
        let Some((bytes, rest)) = rest.split_once(']') else { return need("]") };
        Ok((Some((packets, bytes)), rest))
    }

    /// Adds a command of the current table; legacy runs it at once.
    fn add(&mut self, command: Command) -> Done {
        let Some(Some(open)) = &mut self.table else { return Ok(()) };
        if self.tool.variant == Variant::Nft {
            open.commands.push((self.line, command));
            return Ok(());
        }
        open.draft.line = self.line;
        run::run(&mut open.draft, command, self.hosts, &mut self.out)
    }

    fn commit(&mut self) -> Done {
        let Some(Some(mut open)) = self.table.take() else { return Ok(()) };
        if self.options.test && self.tool.variant == Variant::Nft {
            return Ok(());
        }
        if self.tool.variant == Variant::Nft && !self.options.noflush && self.options.verbose {
            push_flushed(&mut self.out, &open.before);
        }
        for (line, command) in &open.commands {
            self.failed_at = *line;
            open.draft.line = *line;
            run::run(&mut open.draft, command.clone(), self.hosts, &mut self.out)?;
        }
        if self.options.test {
            return Ok(());
        }
        self.failed_at = self.line;
        let refused = open.draft.take_refused();
        match (self.tool.variant, refused.first()) {
            (_, None) => {}
            (Variant::Legacy, Some(first)) => {
                return Err(Fail::Kernel(first.what, first.errno, first.object.clone()));
            }
            (Variant::Nft, Some(_)) => return Err(self.refusals(&open, refused)),
        }
        if open.commands.iter().all(|(_, command)| !changes(command))
            && self.options.noflush
            && self.tool.variant == Variant::Nft
        {
            return Ok(());
        }
        let netns = self.process.netns;
        let done = self.process.syscall(|cx| place::commit(cx, netns, &open.draft));
        done.map_err(|errno| match self.tool.variant {
            Variant::Legacy => Fail::Kernel("RULE_APPEND", errno, String::new()),
            Variant::Nft => self.refusals(&open, Vec::new()),
        })
    }

    /// What the kernel refuses of a batch: it goes on after a message that it refuses, to tell of all.
    fn refusals(&self, open: &Open, mut refused: Vec<Refusal>) -> Fail {
        let is_refused = |line: &usize| refused.iter().any(|refusal| refusal.line == *line);
        let mut left: Vec<&(usize, Command)> =
            open.commands.iter().filter(|(line, _)| !is_refused(line)).collect();
        while let Err(errno) = self.try_commands(open, &left) {
            let (mut fits, mut fails, mut why) = (0, left.len(), errno);
            while fits + 1 < fails {
                let middle = usize::midpoint(fits, fails);
                match self.try_commands(open, &left[..middle]) {
                    Ok(()) => fits = middle,
                    Err(errno) => (fails, why) = (middle, errno),
                }
            }
            if left.is_empty() {
                break;
            }
            let (line, command) = left.remove(fits);
            let (what, object) = change_name(command);
            refused.push(Refusal { line: *line, what, errno: why, object });
        }
        refused.sort_by_key(|refusal| refusal.line);
        Fail::Batch(refused)
    }

    /// Whether the kernel accepts the table after some commands; the table is restored.
    fn try_commands(&self, open: &Open, commands: &[&(usize, Command)]) -> Result<(), Errno> {
        let mut draft = open.before.clone();
        if !self.options.noflush {
            draft.clear();
        }
        let mut unseen = String::new();
        for (_, command) in commands {
            // They succeeded before; one that needs a refused one is refused by the kernel.
            let _ = run::run(&mut draft, command.clone(), self.hosts, &mut unseen);
        }
        let netns = self.process.netns;
        self.process.syscall(|cx| {
            let name = draft.table.name;
            let tried = place::commit_table(cx, netns, draft.variant, name, draft.to_commit());
            if tried.is_ok() {
                let before = open.before.exists.then(|| open.before.table.clone());
                place::commit_table(cx, netns, draft.variant, name, before)?;
            }
            tried
        })
    }
}

/// Output of `-v` for a flushed table.
fn push_flushed(out: &mut String, draft: &Draft) {
    for chain in draft.listed() {
        *out += &format!("Flushing chain `{}'\n", chain.name);
    }
    for chain in draft.user_chains() {
        *out += &format!("Deleting chain `{}'\n", chain.name);
    }
}

/// Words separated by spaces.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', '\t', '\n']).filter(|word| !word.is_empty())
}

/// `[PACKETS:BYTES]`, as `sscanf` parses it.
fn counters(text: &str) -> Option<Counters> {
    let inside = text.strip_prefix('[')?;
    let (packets, rest) = inside.split_once(':')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let packets = is_number(packets).then(|| packets.parse().unwrap_or(u64::MAX))?;
    (digits > 0).then(|| Counters { packets, bytes: rest[..digits].parse().unwrap_or(u64::MAX) })
}

/// Splits a rule at spaces outside of double quotes, in which a backslash escapes the next character. A closing quote ends a
/// word, which may be empty.
pub fn split(line: &str) -> Vec<std::borrow::Cow<'_, str>> {
    use std::borrow::Cow;
    if !line.contains('"') {
        return tokens(line).map(Cow::Borrowed).collect();
    }
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quoted, mut escaped) = (false, false);
    for letter in line.chars() {
        let ends = match letter {
            _ if escaped => {
                word.push(letter);
                escaped = false;
                false
            }
            '\\' if quoted => {
                escaped = true;
                false
            }
            '"' => {
                quoted = !quoted;
                !quoted
            }
            ' ' | '\t' | '\n' if !quoted => !word.is_empty(),
            _ => {
                word.push(letter);
                false
            }
        };
        if ends {
            words.push(Cow::Owned(std::mem::take(&mut word)));
        }
    }
    if !word.is_empty() {
        words.push(Cow::Owned(word));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_rule() {
        assert_eq!(split("-A  x\t-j y\n"), ["-A", "x", "-j", "y"]);
        assert_eq!(
            split("--comment \"a \\\"b\\\" c\"d 1.1\".1\" \"\" z\n"),
            ["--comment", "a \"b\" c", "d", "1.1.1", "", "z"]
        );
        assert_eq!(split("-s \"1.1\n"), ["-s", "1.1\n"]);
    }
}
