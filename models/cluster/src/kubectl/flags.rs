//! The command line, as `pflag` and `cobra` read it, with their error messages.

use std::collections::BTreeMap;

use super::failure::{Done, Failure};

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// `--name` or `--name=false`.
    Nothing,
    /// `--name TEXT` or `--name=TEXT`.
    Text,
    /// `--name NUMBER`.
    Number,
    /// `--name` alone means this; otherwise `--name=TEXT`.
    Optional(&'static str),
    /// A real flag that is not modelled.
    Refused,
}

/// A flag.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flag {
    name: &'static str,
    letter: Option<char>,
    takes: Takes,
}

/// A switch.
pub(super) const fn switch(name: &'static str) -> Flag {
    Flag { name, letter: None, takes: Takes::Nothing }
}

/// A flag with a text.
pub(super) const fn text(name: &'static str) -> Flag {
    Flag { name, letter: None, takes: Takes::Text }
}

/// A flag with a number.
pub(super) const fn number(name: &'static str) -> Flag {
    Flag { name, letter: None, takes: Takes::Number }
}

/// A flag that may stand alone.
pub(super) const fn optional(name: &'static str, alone: &'static str) -> Flag {
    Flag { name, letter: None, takes: Takes::Optional(alone) }
}

/// A real flag that is not modelled.
pub(super) const fn refused(name: &'static str) -> Flag {
    Flag { name, letter: None, takes: Takes::Refused }
}

impl Flag {
    /// It has a letter too.
    pub(super) const fn letter(self, letter: char) -> Flag {
        Flag { letter: Some(letter), ..self }
    }
}

/// Flags that every command takes.
const GLOBAL: &[Flag] = &[
    text("namespace").letter('n'),
    text("context"),
    text("kubeconfig"),
    text("cluster"),
    text("user"),
    refused("server").letter('s'),
    refused("request-timeout"),
    refused("v").letter('v'),
    refused("help").letter('h'),
    refused("as"),
    refused("token"),
    refused("certificate-authority"),
    refused("client-certificate"),
    refused("client-key"),
    refused("insecure-skip-tls-verify"),
    refused("cache-dir"),
    refused("profile"),
    refused("warnings-as-errors"),
    refused("kuberc"),
];

/// A command and its flags.
#[derive(Clone, Copy, Debug)]
pub(super) struct Command {
    /// Its words, such as `create deployment`.
    pub words: &'static str,
    /// Its flags, in groups.
    pub flags: &'static [&'static [Flag]],
}

/// What was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Given {
    /// Words of the command, such as `create deployment`.
    pub command: &'static str,
    values: BTreeMap<&'static str, Vec<String>>,
    /// What is no flag, before `--`.
    pub words: Vec<String>,
    /// What stands behind `--`.
    pub rest: Option<Vec<String>>,
}

impl Given {
    /// A switch is on.
    pub(super) fn is(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// The last text that was given.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.last().map(String::as_str)
    }

    /// All texts that were given.
    pub(super) fn all(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    /// All texts, each split at its commas.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        self.all(name).iter().flat_map(|text| text.split(',')).map(str::to_owned).collect()
    }

    /// The number that was given; it was checked when it was read.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }
}

/// The command that the arguments name, and what is given to it.
pub(super) fn parse(commands: &'static [Command], args: &[String]) -> Done<Given> {
    let places = words(args);
    let mut found: Option<(&Command, usize)> = None;
    for command in commands {
        let wanted: Vec<&str> = command.words.split(' ').collect();
        let given = places.iter().take(wanted.len()).map(|at| args[*at].as_str());
        if given.eq(wanted.iter().copied()) && found.is_none_or(|(_, count)| count < wanted.len()) {
            found = Some((command, wanted.len()));
        }
    }
    let Some((command, count)) = found else {
        return Err(match places.first() {
            Some(at) => unknown_command(commands, &args[*at]),
            None => Failure::unmodelled("--help"),
        });
    };
    let without = |(at, _): &(usize, &String)| !places[..count].contains(at);
    let args: Vec<String> = args.iter().enumerate().filter(without).map(|(_, word)| word.clone()).collect();
    Reader { command, given: Given { command: command.words, ..Given::default() } }.read(&args)
}

/// Places of the words that are no flags, up to `--`, as far as the flags of all commands tell.
fn words(args: &[String]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut at = 0;
    while at < args.len() && args[at] != "--" {
        let word = &args[at];
        if !word.starts_with('-') || word == "-" {
            places.push(at);
        } else if let Some(flag) = GLOBAL.iter().find(|flag| {
            word.strip_prefix("--") == Some(flag.name)
                || flag.letter.is_some_and(|letter| *word == format!("-{letter}"))
        }) && flag.takes == Takes::Text
        {
            at += 1;
        }
        at += 1;
    }
    places
}

fn unknown_command(commands: &[Command], word: &str) -> Failure {
    let mut names: Vec<&str> =
        commands.iter().filter_map(|command| command.words.split(' ').next()).collect();
    names.sort_unstable();
    names.dedup();
    let near = |name: &&str| distance(word, name) <= 2 || name.starts_with(&word.to_lowercase());
    let near: Vec<&str> = names.into_iter().filter(near).collect();
    let mut text = format!("unknown command {word:?} for \"kubectl\"");
    if !near.is_empty() {
        text.push_str("\n\nDid you mean this?\n");
        near.iter().for_each(|name| text.push_str(&format!("\t{name}\n")));
    }
    Failure::Own(text)
}

/// The Levenshtein distance of two words.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.to_lowercase().chars().enumerate() {
        let mut left = at + 1;
        let mut corner = row[0];
        row[0] = left;
        for (column, known) in other.iter().enumerate() {
            let changed = corner + usize::from(*known != letter);
            corner = row[column + 1];
            left = changed.min(left + 1).min(corner + 1);
            row[column + 1] = left;
        }
    }
    row[other.len()]
}

struct Reader {
    command: &'static Command,
    given: Given,
}

impl Reader {
    fn read(mut self, args: &[String]) -> Done<Given> {
        let mut rest = args.iter();
        while let Some(word) = rest.next() {
            if word == "--" {
                self.given.rest = Some(rest.cloned().collect());
                break;
            }
            if let Some(long) = word.strip_prefix("--") {
                self.long(long, &mut rest)?;
            } else if word.len() > 1 && word.starts_with('-') {
                self.letters(&word[1..], &mut rest)?;
            } else {
                self.given.words.push(word.clone());
                // What a command in a pod gets is not kubectl's.
                if self.command.words == "exec" && self.given.words.len() == 2 {
                    self.given.words.extend(rest.cloned());
                    break;
                }
            }
        }
        Ok(self.given)
    }

    fn usage(&self, text: String) -> Failure {
        Failure::Own(format!("{text}\nSee 'kubectl {} --help' for usage.", self.command.words))
    }

    fn find(&self, is: impl Fn(&Flag) -> bool) -> Option<Flag> {
        self.command.flags.iter().copied().flatten().chain(GLOBAL).copied().find(is)
    }

    fn long(&mut self, word: &str, rest: &mut std::slice::Iter<String>) -> Done {
        let (name, attached) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word, None),
        };
        let Some(flag) = self.find(|flag| flag.name == name) else {
            return Err(self.usage(format!("unknown flag: --{name}")));
        };
        let next = || rest.next().cloned();
        let missing = format!("flag needs an argument: --{name}");
        self.take(flag, attached, next, missing)
    }

    fn letters(&mut self, letters: &str, rest: &mut std::slice::Iter<String>) -> Done {
        for (at, letter) in letters.char_indices() {
            let Some(flag) = self.find(|flag| flag.letter == Some(letter)) else {
                return Err(self.usage(format!("unknown shorthand flag: '{letter}' in -{letters}")));
            };
            let behind = &letters[at + letter.len_utf8()..];
            let attached = behind.strip_prefix('=').map(str::to_owned);
            let takes_text = matches!(flag.takes, Takes::Text | Takes::Number);
            let attached = match attached {
                None if takes_text && !behind.is_empty() => Some(behind.to_owned()),
                attached => attached,
            };
            let ends = attached.is_some() || takes_text;
            let missing = format!("flag needs an argument: '{letter}' in -{letters}");
            self.take(flag, attached, || rest.next().cloned(), missing)?;
            if ends {
                break;
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        flag: Flag,
        attached: Option<String>,
        next: impl FnOnce() -> Option<String>,
        missing: String,
    ) -> Done {
        let value = match (flag.takes, attached) {
            (Takes::Refused, _) => {
                return Err(Failure::unmodelled(&format!("{} --{}", self.command.words, flag.name)));
            }
            (_, Some(value)) => value,
            (Takes::Nothing, None) => "true".to_owned(),
            (Takes::Optional(alone), None) => alone.to_owned(),
            (Takes::Text | Takes::Number, None) => next().ok_or_else(|| self.usage(missing))?,
        };
        let shown = match flag.letter {
            Some(letter) => format!("-{letter}, --{}", flag.name),
            None => format!("--{}", flag.name),
        };
        let invalid = |what: &str| {
            let why = format!("strconv.{what}: parsing {value:?}: invalid syntax");
            self.usage(format!("invalid argument {value:?} for {shown:?} flag: {why}"))
        };
        let value = match flag.takes {
            Takes::Nothing => match value.as_str() {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => "true".to_owned(),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => "false".to_owned(),
                _ => return Err(invalid("ParseBool")),
            },
            Takes::Number if value.parse::<i64>().is_err() => return Err(invalid("ParseInt")),
            _ => value,
        };
        self.given.values.entry(flag.name).or_default().push(value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glassnet_userland::stop::Stop;

    const COMMANDS: &[Command] = &[
        Command { words: "get", flags: &[&[switch("watch").letter('w'), text("output").letter('o')]] },
        Command { words: "scale", flags: &[&[number("replicas"), refused("timeout")]] },
        Command { words: "create", flags: &[&[text("filename").letter('f')]] },
        Command { words: "create deployment", flags: &[&[text("image")]] },
        Command { words: "exec", flags: &[&[switch("stdin").letter('i'), switch("tty").letter('t')]] },
    ];

    fn given(line: &str) -> Result<Given, String> {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        parse(COMMANDS, &args).map_err(|failure| Stop::from(failure).stderr)
    }

    #[test]
    fn flags_stand_anywhere() {
        let get = given("-n a get pods -owide web -w").unwrap();
        assert_eq!(
            (get.command, get.text("namespace"), get.text("output")),
            ("get", Some("a"), Some("wide"))
        );
        assert_eq!((get.is("watch"), get.words.join(" ").as_str()), (true, "pods web"));
        let create = given("create deployment web --image=nginx -- sleep 1").unwrap();
        assert_eq!((create.command, create.words.len()), ("create deployment", 1));
        assert_eq!(create.rest, Some(vec!["sleep".to_owned(), "1".to_owned()]));
        let exec = given("exec -it web ls -l").unwrap();
        assert_eq!((exec.is("tty"), exec.words.join(" ").as_str()), (true, "web ls -l"));
    }

    #[test]
    fn errors_as_cobra_words_them() {
        let error = |line: &str| given(line).unwrap_err();
        assert_eq!(error("foo"), "error: unknown command \"foo\" for \"kubectl\"\n");
        assert_eq!(
            error("gte"),
            "error: unknown command \"gte\" for \"kubectl\"\n\nDid you mean this?\n\tget\n"
        );
        assert_eq!(error("get --foo"), "error: unknown flag: --foo\nSee 'kubectl get --help' for usage.\n");
        assert_eq!(
            error("get -z"),
            "error: unknown shorthand flag: 'z' in -z\nSee 'kubectl get --help' for usage.\n"
        );
        assert_eq!(
            error("scale --replicas=x"),
            "error: invalid argument \"x\" for \"--replicas\" flag: strconv.ParseInt: parsing \"x\": invalid syntax\n\
             See 'kubectl scale --help' for usage.\n"
        );
        assert_eq!(
            error("get -o"),
            "error: flag needs an argument: 'o' in -o\nSee 'kubectl get --help' for usage.\n"
        );
        assert_eq!(error("scale --timeout=3s"), "not modelled yet: kubectl scale --timeout\n");
    }
}
