//! `ipset` 7.17.
//!
//! | module | owns |
//! |---|---|
//! | this one | options, commands, and error messages |
//! | [`words`] | parsing of numbers, addresses and ports |
//! | [`elem`] | elements: reading and printing |
//! | [`args`] | options of `create`, `add`, `del` and `test` |
//! | [`show`] | `list` and `save` |
//! | [`restore`] | `restore` |
//!
//! Refused by name: IPv6, `-resolve`, interactive mode, help on a type, `bitmask`, and types other than those of
//! [`SetType`](glassnet_kernel::tables::ipset::types::SetType). The program parses `forceadd` and does not send it,
//! as 7.17 does on Linux 6.1 and 6.18.

mod args;
mod elem;
mod restore;
mod show;
mod words;

pub use args::is_type_modelled;

use glassnet_kernel::net::netfilter::ipset::ip_set_core::{self, IpSetCall};
use glassnet_kernel::tables::ipset::types::{Adt, Request, SetError, SetType};

use crate::hosts::Hosts;
use crate::process::{Process, Running};

/// Prefix of every message.
const NAME: &str = "ipset v7.17";
/// Maximum length of a set's name, bytes (`IPSET_MAXNAMELEN` without the terminating zero).
const MAX_NAME: usize = 31;

/// Why a command fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fail {
    /// Wrong arguments: exit status 2, with a hint to the help.
    Parameter(String),
    /// Another error, or a refusal of the kernel: exit status 1.
    Other(String),
    /// Not modelled: exit status 2.
    NotModelled(String),
    /// An exit status without a message.
    Status(i32),
}

fn syntax<T>(text: impl std::fmt::Display) -> Result<T, Fail> {
    Err(Fail::Other(format!("Syntax error: {text}")))
}

fn not_modelled<T>(what: impl std::fmt::Display) -> Result<T, Fail> {
    Err(Fail::NotModelled(format!("not modelled yet: ipset {what}")))
}

/// Output format (`-output`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Plain,
    Save,
    Xml,
}

/// Options; they stay set for the lines of `restore`.
#[derive(Clone, Debug, Default)]
struct Session {
    exist: bool,
    quiet: bool,
    sorted: bool,
    name: bool,
    terse: bool,
    mode: Option<Mode>,
    file: Option<String>,
    hosts: Hosts,
}

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let mut session = Session { hosts: Hosts::read(process).await, ..Session::default() };
        let words = process.args().to_vec();
        let result = match session.command(words) {
            Ok((command, words)) => match command {
                Command::Restore => restore::run(process, &mut session, &words).await,
                Command::List | Command::Save => show::run(process, &mut session, command, &words).await,
                _ => session.run(process, command, &words),
            },
            Err(fail) => Err(fail),
        };
        match result {
            Ok(()) => 0,
            Err(fail) => tell(process, &session, fail, None),
        }
    })
}

/// Prints the message for a failure, with its line in `restore`, and returns the exit status.
fn tell(process: &mut Process, session: &Session, fail: Fail, line: Option<usize>) -> i32 {
    let at = line.map_or(String::new(), |line| format!("Error in line {line}: "));
    let (text, status) = match fail {
        Fail::Parameter(text) => (format!("{NAME}: {text}\nTry `ipset help' for more information.\n"), 2),
        Fail::Other(text) => (format!("{NAME}: {at}{text}\n"), 1),
        Fail::NotModelled(text) => (format!("{text}\n"), 2),
        Fail::Status(status) => return status,
    };
    if !session.quiet {
        process.eprint(text);
    }
    status
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Create,
    Add,
    Del,
    Test,
    Destroy,
    List,
    Save,
    Restore,
    Flush,
    Rename,
    Swap,
    Help,
    Version,
    Quit,
}

/// Commands with their names; an abbreviation stands for the first that begins with it.
#[rustfmt::skip]
const COMMANDS: &[(Command, &[&str])] = &[
    (Command::Create, &["create", "new", "-N"]), (Command::Add, &["add", "-A"]), (Command::Del, &["del", "-D"]),
    (Command::Test, &["test", "-T"]), (Command::Destroy, &["destroy", "x", "-X"]),
    (Command::List, &["list", "-L"]), (Command::Save, &["save", "-S"]),
    (Command::Restore, &["restore", "-R"]), (Command::Flush, &["flush", "-F"]),
    (Command::Rename, &["rename", "e", "-E"]), (Command::Swap, &["swap", "w", "-W"]),
    (Command::Help, &["help", "-h", "-H"]), (Command::Version, &["version", "-v", "-V"]),
    (Command::Quit, &["quit"]),
];

impl Command {
    fn find(word: &str) -> Option<Command> {
        let begin = word.strip_prefix("--").unwrap_or(word);
        if begin.is_empty() || begin == "-" {
            return None;
        }
        let named = |names: &[&str]| names.iter().any(|name| name.starts_with(begin));
        COMMANDS.iter().find(|(_, names)| named(names)).map(|(command, _)| *command)
    }

    fn name(self) -> &'static str {
        COMMANDS.iter().find(|(command, _)| *command == self).map_or("", |(_, names)| names[0])
    }
}

impl Session {
    /// Removes the options from a command line and parses the command.
    fn command(&mut self, words: Vec<String>) -> Result<(Command, Vec<String>), Fail> {
        let mut rest = Vec::new();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            if !self.option(&word, &mut words)? {
                rest.push(word);
            }
        }
        let Some(word) = rest.first() else {
            return Err(Fail::Parameter("No command specified.".to_owned()));
        };
        if word == "-" {
            return not_modelled("-: interactive mode");
        }
        match Command::find(word) {
            Some(command) => Ok((command, rest.split_off(1))),
            None => Err(Fail::Parameter(format!("No command specified: unknown argument {word}"))),
        }
    }

    fn option(&mut self, word: &str, rest: &mut dyn Iterator<Item = String>) -> Result<bool, Fail> {
        let mut value = |letter: &str| match rest.next() {
            Some(value) => Ok(value),
            None => Err(Fail::Parameter(format!("Missing mandatory argument to option -{letter}"))),
        };
        match word.strip_prefix("--").map_or(word, |long| if long.len() > 1 { &word[1..] } else { word }) {
            "-!" | "-exist" => self.exist = true,
            "-q" | "-quiet" => self.quiet = true,
            "-s" | "-sorted" => self.sorted = true,
            "-n" | "-name" => self.name = true,
            "-t" | "-terse" => self.terse = true,
            "-r" | "-resolve" => return not_modelled("-resolve"),
            "-o" | "-output" => {
                self.mode = match value("o")?.as_str() {
                    "plain" => Some(Mode::Plain),
                    "save" => Some(Mode::Save),
                    "xml" => Some(Mode::Xml),
                    other => return syntax(format!("unknown output mode '{other}'")),
                }
            }
            "-f" | "-file" => self.file = Some(value("f")?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Runs a command without output.
    fn run(&mut self, process: &mut Process, command: Command, words: &[String]) -> Result<(), Fail> {
        match command {
            Command::Create => self.create(process, words),
            Command::Add => self.adt(process, command, Adt::Add, words),
            Command::Del => self.adt(process, command, Adt::Del, words),
            Command::Test => self.adt(process, command, Adt::Test, words),
            Command::Destroy | Command::Flush => {
                let name = optional_name(words)?;
                let call = match command {
                    Command::Destroy => IpSetCall::Destroy(name),
                    _ => IpSetCall::Flush(name),
                };
                self.call(process, command, call)
            }
            Command::Rename | Command::Swap => {
                let [from, to] = two(command, words)?;
                extra(&words[2..])?;
                let (from, to) = (set_name(&from)?, set_name(&to)?);
                let call = match command {
                    Command::Rename => IpSetCall::Rename(from, to),
                    _ => IpSetCall::Swap(from, to),
                };
                self.call(process, command, call)
            }
            Command::Help => help(process, words),
            Command::Version => {
                process.print(format!("{NAME}, protocol version: 7\n"));
                Ok(())
            }
            Command::Quit | Command::List | Command::Save | Command::Restore => Ok(()),
        }
    }

    fn create(&mut self, process: &mut Process, words: &[String]) -> Result<(), Fail> {
        let [name, type_name] = two(Command::Create, words)?;
        let name = set_name(&name)?;
        let mut warnings = String::new();
        let create = args::create(&type_name, &words[2..], &mut warnings)?;
        let result = self.call(process, Command::Create, IpSetCall::Create(name, Box::new(create)));
        if !self.quiet && !warnings.is_empty() && result.is_ok() {
            process.eprint(format!("Warning: {warnings}"));
        }
        result
    }

    /// The type of an existing set.
    fn set_type(&self, process: &Process, name: &str) -> Result<SetType, Fail> {
        let netns = process.netns;
        let found = process.syscall(|cx| cx.k.netns[netns].ipsets.get(name).map(|set| set.set_type));
        found.ok_or_else(|| Fail::Other(kernel_text(Command::List, SetError::NoSuchSet)))
    }

    /// Reads the element of `add`, `del` or `test`.
    fn element(
        &self,
        process: &Process,
        command: Command,
        what: Adt,
        words: &[String],
    ) -> Result<(SetType, String, Request), Fail> {
        let [name, element] = two(command, words)?;
        let name = set_name(&name)?;
        let set_type = self.set_type(process, &name)?;
        let mut request = elem::parse(set_type, what, &element, &self.hosts)?;
        args::element(set_type, what, &words[2..], &mut request)?;
        elem::refuse_ranges(set_type, what, &request)?;
        Ok((set_type, name, request))
    }

    fn adt(
        &mut self,
        process: &mut Process,
        command: Command,
        what: Adt,
        words: &[String],
    ) -> Result<(), Fail> {
        let (set_type, name, request) = self.element(process, command, what, words)?;
        if what != Adt::Test {
            return self.call(process, command, IpSetCall::Adt(name, what, Box::new(request)));
        }
        let shown = elem::show_request(set_type, &request);
        let call = IpSetCall::Adt(name.clone(), what, Box::new(request));
        match self.kernel(process, call) {
            Ok(()) => {
                self.say(process, format!("Warning: {shown} is in set {name}.\n"));
                Ok(())
            }
            Err(SetError::Exist) => {
                self.say(process, format!("{shown} is NOT in set {name}.\n"));
                Err(Fail::Status(1))
            }
            Err(error) => Err(Fail::Other(kernel_text(command, error))),
        }
    }

    fn say(&self, process: &mut Process, text: String) {
        if !self.quiet {
            process.eprint(text);
        }
    }

    fn kernel(&self, process: &Process, call: IpSetCall) -> Result<(), SetError> {
        let (netns, exist) = (process.netns, self.exist);
        process.syscall(|cx| ip_set_core::call(cx, netns, call, exist))
    }

    fn call(&self, process: &Process, command: Command, call: IpSetCall) -> Result<(), Fail> {
        self.kernel(process, call).map_err(|error| Fail::Other(kernel_text(command, error)))
    }
}

/// The two mandatory arguments of a command.
fn two(command: Command, words: &[String]) -> Result<[String; 2], Fail> {
    let missing = |which: &str| {
        Fail::Parameter(format!("Missing {which}mandatory argument to command {}", command.name()))
    };
    match words {
        [] => Err(missing("")),
        [_] => Err(missing("second ")),
        [first, second, ..] => Ok([first.clone(), second.clone()]),
    }
}

fn extra(words: &[String]) -> Result<(), Fail> {
    match words.first() {
        Some(word) => Err(Fail::Parameter(format!("Unknown argument {word}"))),
        None => Ok(()),
    }
}

fn optional_name(words: &[String]) -> Result<Option<String>, Fail> {
    extra(words.get(1..).unwrap_or(&[]))?;
    words.first().map(|name| set_name(name)).transpose()
}

fn set_name(name: &str) -> Result<String, Fail> {
    if name.len() > MAX_NAME {
        return syntax(format!("setname '{name}' is longer than {MAX_NAME} characters"));
    }
    Ok(name.to_owned())
}

fn help(process: &mut Process, words: &[String]) -> Result<(), Fail> {
    let text = include_str!("help.txt");
    match words.first() {
        None => {
            process.print(text);
            Ok(())
        }
        Some(word) if args::type_by_name(word).is_some() => not_modelled(format!("help {word}")),
        Some(word) => {
            process.eprint(format!(
                "{NAME}: Unknown settype: `{word}'\nTry `ipset help' for more information.\n"
            ));
            process.print(text.split("\nSupported set types").next().unwrap_or(text));
            Err(Fail::Status(2))
        }
    }
}

/// The message for a refusal of the kernel.
fn kernel_text(command: Command, error: SetError) -> String {
    let text = match (error, command) {
        (SetError::NoSuchSet, _) => "The set with the given name does not exist",
        (SetError::SetExists, _) => "Set cannot be created: set with the same name already exists",
        (SetError::NoMemory, _) => "Kernel error received: Cannot allocate memory",
        (SetError::Protocol, _) => "Kernel error received: Invalid argument",
        (SetError::MaxSets, _) => {
            "Kernel error received: maximal number of sets reached, cannot create more."
        }
        (SetError::Busy, _) => "Set cannot be destroyed: it is in use by a kernel component",
        (SetError::SecondName, Command::Swap) => "Sets cannot be swapped: the second set does not exist",
        (SetError::SecondName, _) => "Set cannot be renamed: a set with the new name already exists",
        (SetError::TypeMismatch, _) => "The sets cannot be swapped: their type does not match",
        (SetError::Referenced, _) => "Set cannot be renamed: it is in use by another system",
        (SetError::Exist, Command::Del) => "Element cannot be deleted from the set: it's not added",
        (SetError::Exist, _) => "Element cannot be added to the set: it's already added",
        (SetError::InvalidCidr, _) => "The value of the CIDR parameter of the IP address is invalid",
        (SetError::InvalidNetmask, _) => "The value of the netmask parameter is invalid",
        (SetError::Timeout, _) => "Timeout cannot be used: set was created without timeout support",
        (SetError::Counter, _) => {
            "Packet/byte counters cannot be used: set was created without counter support"
        }
        (SetError::Comment, _) => "Comment cannot be used: set was created without comment support",
        (SetError::SkbInfo, _) => "Skbinfo mapping cannot be used: set was created without skbinfo support",
        (SetError::BitmapRange, _) => "Element is out of the range of the set",
        (SetError::BitmapRangeSize, _) => "The range you specified exceeds the size limit of the set type",
        (SetError::HashFull, _) => "Hash is full, cannot add more elements",
        (SetError::HashElem, _) => "Null-valued element, cannot be stored in a hash type of set",
        (SetError::InvalidProto, _) => "Invalid protocol specified",
        (SetError::HashRange, _) => "Invalid range, covers the whole address space",
        (SetError::Range, _) => "Kernel error received: Numerical result out of range",
        (SetError::Name, _) => "Set to be added/deleted/tested as element does not exist.",
        (SetError::Loop, _) => "Sets with list:set type cannot be added to the set.",
        (SetError::NameRef, _) => "The set to which you referred with 'before' or 'after' does not exist.",
        (SetError::RefExist, _) => {
            "The set to which you referred with 'before' or 'after' is not added to the set."
        }
    };
    text.to_owned()
}
