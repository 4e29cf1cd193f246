//! Parser of command lines, with the checks of the real tool in order.

use glassnet_kernel::tables::xt::{Counters, TableName, Variant};

use super::address;
use super::command::{Command, Op, Zero};
use super::ext::x6::{strtoui, strtoul};
use super::fail::{Done, Fail, Tool, parameter};
use super::spec::Spec;
use super::words::{Word, Words};
use crate::hosts::Hosts;

/// Maximum length of a chain or extension name, bytes.
pub const NAME_MAX: usize = 28;

/// Context of a line.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The tool.
    pub tool: Tool,
    /// The table of the `*TABLE` line in a dump.
    pub table: Option<TableName>,
    /// The names of `/etc/hosts`.
    pub hosts: &'a Hosts,
    /// The names of the namespace's ipsets.
    pub sets: &'a [String],
    /// The matches for which the kernel has no module.
    pub absent: &'static [&'static str],
}

/// An operation whose arguments are being parsed, with the letter of its option.
struct Begun {
    letter: char,
    chain: Option<String>,
    second: Option<String>,
    rulenum: usize,
}

/// Parser state.
struct Line<'a> {
    place: Place<'a>,
    words: Words<'a>,
    begun: Option<Begun>,
    /// `-Z` beside `-L` or `-S`.
    zero: Zero,
    /// Given options, by the letters of the messages.
    options: Vec<char>,
    table: String,
    verbose: usize,
    wait_interval: bool,
    wait: bool,
    counters: Option<Counters>,
    invert: bool,
    spec: Spec,
    warnings: &'a mut String,
}

/// Parses a line; the first word is the program's name. `None` if the line is for another family. `warnings` go to
/// standard error.
///
/// # Errors
///
/// The real tool's error, or the output of `-V` or `-h`, in `out`.
pub fn parse(args: &[&str], place: Place, out: &mut String, warnings: &mut String) -> Done<Option<Command>> {
    let mut line = Line {
        place,
        words: Words::new(args),
        begun: None,
        zero: Zero::Nothing,
        options: Vec::new(),
        table: place.table.map_or("filter", TableName::name).to_owned(),
        verbose: 0,
        wait_interval: false,
        wait: false,
        counters: None,
        invert: false,
        spec: Spec::new(place.tool),
        warnings,
    };
    while let Some(word) = line.words.read(line.spec.known()) {
        if matches!(word, Word::Base('6', _)) && place.tool.restores() {
            return Ok(None);
        }
        if let Err(fail) = line.word(word, out) {
            // Options before this word are wrong first.
            line.spec.judge(place, &line.table, line.warnings)?;
            return Err(fail);
        }
    }
    line.finish()
}

fn version(tool: Tool, invert: bool, out: &mut String) -> Fail {
    *out += &match invert {
        true => format!("Not {} ;-)\n", tool.version().trim_start_matches('v')),
        false => format!("{} {}\n", tool.name, tool.version()),
    };
    Fail::Done(0)
}

fn rule_number(text: &str) -> Done<usize> {
    match strtoui(text, 1, u64::from(i32::MAX as u32)) {
        Some(number) => Ok(number as usize),
        None => Err(parameter(format!("Invalid rule number `{text}'"))),
    }
}

/// Operations that can be combined: `-Z` with `-L` and `-S`.
fn goes_with(new: char, old: char) -> bool {
    matches!((new, old), ('Z', 'L' | 'S') | ('L' | 'S', 'Z'))
}

impl<'a> Line<'a> {
    fn word(&mut self, word: Word<'a>, out: &mut String) -> Done {
        match word {
            Word::Base('V', _) => return Err(version(self.place.tool, self.invert, out)),
            Word::Base('h', _) => return Err(self.spec.help(self.place.tool, out)),
            Word::Base(letter, value) => {
                self.base(letter, value.unwrap_or(""), value.is_some())?;
                self.invert = false;
            }
            Word::Ext(at, opt, value) => {
                self.spec.option(at, opt, value, self.invert, &mut self.words)?;
                self.invert = false;
            }
            Word::Operand("!") if self.invert => {
                return Err(parameter("multiple consecutive ! not allowed"));
            }
            Word::Operand("!") => self.invert = true,
            Word::Operand(word) => return Err(Fail::BadArgument(word.to_owned())),
            Word::Unknown if self.spec.load_protocol()? => self.words.again(),
            Word::Unknown => return Err(parameter(format!("unknown option \"{}\"", self.words.last()))),
            Word::Missing => {
                return Err(parameter(format!("option \"{}\" requires an argument", self.words.last())));
            }
        }
        Ok(())
    }

    fn base(&mut self, letter: char, value: &'a str, attached: bool) -> Done {
        match letter {
            'A' | 'C' | 'D' | 'R' | 'I' | 'L' | 'S' | 'F' | 'Z' | 'N' | 'X' | 'E' | 'P' => {
                self.operation(letter, attached.then_some(value))
            }
            't' => self.table_option(value),
            'm' if self.invert => Err(parameter("unexpected ! flag before --match")),
            'm' => {
                self.spec.load_match(value)?;
                if self.place.absent.contains(&value) {
                    let warning = format!(
                        "Warning: Extension {value} revision 0 not supported, missing kernel module?\n"
                    );
                    // It is said once, when the extension is registered.
                    if !self.warnings.contains(&warning) {
                        *self.warnings += &warning;
                    }
                }
                Ok(())
            }
            'v' => {
                if self.verbose == 0 {
                    self.option('v')?;
                }
                self.verbose += 1;
                Ok(())
            }
            'w' => self.wait_option(attached.then_some(value)),
            'W' => self.wait_interval_option(attached.then_some(value)),
            'M' => Ok(()),
            '4' => Ok(()),
            '6' => Err(Fail::Hint),
            'c' => self.counters_option(value),
            'b' => Err(parameter("Unknown arg \"(null)\"")),
            _ => self.rule_option(letter, value),
        }
    }

    /// Records an option; each is allowed once, and `!` only before some.
    fn option(&mut self, letter: char) -> Done {
        if self.options.contains(&letter) {
            return Err(parameter(format!("multiple -{letter} flags not allowed")));
        }
        if self.invert && !matches!(letter, 's' | 'd' | 'p' | 'i' | 'o' | 'f') {
            return Err(parameter(format!("cannot have ! before -{letter}")));
        }
        self.options.push(letter);
        Ok(())
    }

    fn rule_option(&mut self, letter: char, value: &'a str) -> Done {
        // In these messages -g counts as -j.
        self.option(if letter == 'g' { 'j' } else { letter })?;
        // The real tool checks the whole word, even if the value is a part of it.
        let word = self.words.last();
        match letter {
            's' => self.spec.source = Some((word.to_owned(), self.invert)),
            'd' => self.spec.destination = Some((word.to_owned(), self.invert)),
            'p' => {
                let number = address::protocol(word)?;
                if number == 0 && self.invert {
                    return Err(parameter("rule would never match protocol"));
                }
                self.spec.set_protocol(number, self.invert);
            }
            'i' | 'o' => {
                let (iface, warning) = address::interface(word, self.invert)?;
                *self.warnings += &warning.unwrap_or_default();
                let place = if letter == 'i' { &mut self.spec.ip.input } else { &mut self.spec.ip.output };
                *place = Some(iface);
            }
            'f' => self.spec.ip.fragment = Some(!self.invert),
            'j' => self.spec.jump(word)?,
            'g' => self.spec.goto(value)?,
            _ => {}
        }
        Ok(())
    }

    fn table_option(&mut self, value: &str) -> Done {
        if self.invert {
            return Err(parameter("unexpected ! flag before --table"));
        }
        if self.place.tool.restores() {
            return Err(parameter("The -t option cannot be used in iptables-restore.\n"));
        }
        self.table = value.to_owned();
        Ok(())
    }

    fn wait_option(&mut self, attached: Option<&str>) -> Done {
        if self.place.tool.restores() {
            return Err(parameter("You cannot use `-w' from iptables-restore"));
        }
        let value = attached.map(str::to_owned).or_else(|| self.words.take().map(str::to_owned));
        if let Some(value) = value
            && !value.bytes().all(|byte| byte.is_ascii_digit())
        {
            return Err(parameter("wait seconds not numeric"));
        }
        self.wait = true;
        Ok(())
    }

    fn wait_interval_option(&mut self, attached: Option<&'a str>) -> Done {
        if self.place.tool.restores() {
            return Err(parameter("You cannot use `-W' from iptables-restore"));
        }
        let Some(value) = attached.or_else(|| self.words.take()) else {
            return Err(parameter("wait interval value required"));
        };
        if strtoul(value).is_none_or(|(_, rest)| !rest.is_empty()) {
            return Err(parameter("wait interval not numeric"));
        }
        *self.warnings += "Ignoring deprecated --wait-interval option.\n";
        self.wait_interval = true;
        Ok(())
    }

    fn counters_option(&mut self, value: &'a str) -> Done {
        self.option('c')?;
        let pair = match value.split_once(',') {
            Some(pair) => Some(pair),
            None => self.words.take().map(|bytes| (value, bytes)),
        };
        let Some((packets, bytes)) = pair else {
            return Err(parameter("-c requires packet and byte counter"));
        };
        let number = |text: &str, what: &str| {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            // As sscanf(3): what follows the digits is ignored.
            match digits {
                0 => Err(parameter(format!("-c {what} counter not numeric"))),
                _ => Ok(text[..digits].parse().unwrap_or(u64::MAX)),
            }
        };
        self.counters = Some(Counters { packets: number(packets, "packet")?, bytes: number(bytes, "byte")? });
        Ok(())
    }

    fn operation(&mut self, letter: char, value: Option<&'a str>) -> Done {
        if self.invert {
            return Err(parameter("unexpected '!' flag"));
        }
        if letter == 'N' {
            self.new_chain_name(value.unwrap_or(""))?;
        }
        if let Some(old) = self.begun.as_ref().map(|begun| begun.letter)
            && (!goes_with(letter, old) || self.zero != Zero::Nothing)
        {
            return Err(parameter(format!("Cannot use -{letter} with -{old}")));
        }
        let takes_chain = matches!(letter, 'L' | 'S' | 'F' | 'Z' | 'X');
        let chain = if takes_chain { value.or_else(|| self.words.take()) } else { value };
        let second = match letter {
            'E' | 'P' => match self.words.take() {
                Some(word) => Some(word.to_owned()),
                None => {
                    let what = if letter == 'E' {
                        "old-chain-name and new-chain-name"
                    } else {
                        "a chain and a policy"
                    };
                    return Err(parameter(format!("-{letter} requires {what}")));
                }
            },
            _ => None,
        };
        let rulenum = match letter {
            'D' | 'I' | 'R' => self.words.take().map(rule_number).transpose()?,
            'L' | 'S' | 'Z' if chain.is_some() => self.words.take().map(rule_number).transpose()?,
            _ => None,
        };
        if letter == 'R' && rulenum.is_none() {
            return Err(parameter("-R requires a rule number"));
        }
        self.begin(Begun { letter, chain: chain.map(str::to_owned), second, rulenum: rulenum.unwrap_or(0) });
        Ok(())
    }

    /// With `-L` and `-S`, `-Z` is an option; the arguments of the last one count. With a rule number it replaces the
    /// other operation.
    fn begin(&mut self, begun: Begun) {
        self.begun = match self.begun.take() {
            None => Some(begun),
            Some(_) if begun.letter == 'Z' && begun.rulenum > 0 => Some(begun),
            Some(old) => {
                let of_rule = old.letter == 'Z' && old.rulenum > 0;
                self.zero = if of_rule { Zero::Rule } else { Zero::Chains };
                let letter = if begun.letter == 'Z' { old.letter } else { begun.letter };
                let chain = begun.chain.or(old.chain);
                let rulenum = if begun.rulenum > 0 { begun.rulenum } else { old.rulenum };
                Some(Begun { letter, chain, second: None, rulenum })
            }
        };
    }

    fn new_chain_name(&self, name: &str) -> Done {
        if let Some(first) = name.chars().next().filter(|first| matches!(first, '-' | '!')) {
            return Err(parameter(format!("chain name not allowed to start with `{first}'")));
        }
        if super::spec::is_target(name) {
            return Err(parameter("chain name may not clash with target name"));
        }
        if name.contains([' ', '\t', '\n']) {
            return Err(parameter(format!("Invalid chain name `{name}'")));
        }
        Ok(())
    }

    fn finish(mut self) -> Done<Option<Command>> {
        if self.spec.is_doubtful() {
            self.spec.judge(self.place, &self.table, self.warnings)?;
        }
        let matches = match self.spec.parse_extensions(self.place, &self.table, self.warnings) {
            Ok(matches) => matches,
            Err(fail) => {
                // What was wrong as it was read comes before what is missing in the end.
                self.spec.judge(self.place, &self.table, &mut String::new())?;
                return Err(fail);
            }
        };
        self.refuse_drop_in_nat()?;
        if self.words.is_left() {
            return Err(parameter("unknown arguments found on commandline"));
        }
        let Some(begun) = self.begun.take() else { return Err(parameter("no command specified")) };
        if self.invert {
            return Err(parameter("nothing appropriate following !"));
        }
        if self.wait_interval && !self.wait {
            return Err(parameter("--wait-interval only makes sense with --wait\n"));
        }
        let ifaces = (self.spec.ip.input.is_some(), self.spec.ip.output.is_some());
        let rules = self.spec.rules(self.place.hosts, begun.letter, matches)?;
        self.check_options(begun.letter, begun.rulenum)?;
        if let Some(chain) = begun.chain.as_deref().filter(|chain| chain.len() > NAME_MAX) {
            return Err(parameter(format!("chain name `{chain}' too long (must be under 29 chars)")));
        }
        check_interfaces(&begun, ifaces)?;
        let table = self.table_name()?;
        if self.verbose > 1 {
            return Err(Fail::NotModelled("-vv".to_owned()));
        }
        let has = |letter: char| self.options.contains(&letter);
        let command = Command {
            op: op(begun),
            table,
            rules,
            counters: self.counters,
            zero: self.zero,
            verbose: self.verbose > 0,
            numeric: has('n'),
            exact: has('x'),
            line_numbers: has('0'),
        };
        Ok(Some(command))
    }

    fn refuse_drop_in_nat(&self) -> Done {
        let policy =
            self.begun.as_ref().filter(|begun| begun.letter == 'P').and_then(|begun| begun.second.as_deref());
        if self.table == "nat" && (policy == Some("DROP") || self.spec.jumps_to("DROP")) {
            return Err(parameter(
                "\nThe \"nat\" table is not intended for filtering, the use of DROP is therefore inhibited.\n\n",
            ));
        }
        Ok(())
    }

    /// Refuses options that the operation does not allow, in the real tool's order.
    fn check_options(&self, letter: char, rulenum: usize) -> Done {
        let lists = matches!(letter, 'L');
        let has_rule = matches!(letter, 'A' | 'C' | 'R' | 'I') || letter == 'D' && rulenum == 0;
        for option in ['n', 's', 'd', 'p', 'j', 'x', 'i', 'o', '0', 'c', 'f'] {
            let allowed = match option {
                'n' | 'x' | '0' => lists,
                'c' => matches!(letter, 'A' | 'I' | 'R' | 'P'),
                _ => has_rule,
            };
            if self.options.contains(&option) && !allowed {
                return Err(parameter(format!("Illegal option `-{option}' with this command")));
            }
        }
        Ok(())
    }

    fn table_name(&self) -> Done<TableName> {
        let table = &self.table;
        TableName::parse(table).ok_or_else(|| match self.place.tool.variant {
            Variant::Nft => Fail::Xt(format!("table '{table}' does not exist"), 3),
            Variant::Legacy => Fail::Xt(
                format!(
                    "can't initialize iptables table `{table}': Table does not exist (do you need to insmod?)"
                ),
                3,
            ),
        })
    }
}

/// `-i` and `-o` are allowed only if the hook has such a device. `(input, output)`: they were given.
fn check_interfaces(begun: &Begun, (input, output): (bool, bool)) -> Done {
    let chain = begun.chain.as_deref().unwrap_or("");
    let (letter, is_there) = match chain {
        "PREROUTING" | "INPUT" => ('o', output),
        "POSTROUTING" | "OUTPUT" => ('i', input),
        _ => return Ok(()),
    };
    if is_there && matches!(begun.letter, 'A' | 'C' | 'D' | 'I' | 'R') {
        return Err(parameter(format!("Can't use -{letter} with {chain}\n")));
    }
    Ok(())
}

fn op(begun: Begun) -> Op {
    let Begun { letter, chain, second, rulenum } = begun;
    let name = |chain: Option<String>| chain.unwrap_or_default();
    match letter {
        'A' => Op::Append(name(chain)),
        'I' => Op::Insert(name(chain), rulenum.max(1)),
        'D' if rulenum > 0 => Op::DeleteAt(name(chain), rulenum),
        'D' => Op::Delete(name(chain)),
        'R' => Op::Replace(name(chain), rulenum),
        'C' => Op::Check(name(chain)),
        'P' => Op::Policy(name(chain), second.unwrap_or_default()),
        'N' => Op::New(name(chain)),
        'X' => Op::DeleteChain(chain),
        'F' => Op::Flush(chain),
        'Z' if rulenum > 0 => Op::ZeroAt(name(chain), rulenum),
        'Z' => Op::Zero(chain),
        'E' => Op::Rename(name(chain), second.unwrap_or_default()),
        'S' => Op::ListRules(chain, rulenum),
        _ => Op::List(chain, rulenum),
    }
}
