//! Tokens of a command line as glibc's `getopt_long` returns them.
//!
//! Unlike in [`crate::getopt`], long options are added while the line is parsed, and the parser sees neighbouring
//! words.

use super::ext::Opt;

/// Argument of a base option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Nothing,
    Value,
    /// Only in the same word.
    Attached,
}

/// The short options.
#[rustfmt::skip] // A table.
const SHORT: &[(char, Takes)] = {
    use Takes::{Attached, Nothing, Value};
    &[('A', Value), ('C', Value), ('D', Value), ('R', Value), ('I', Value), ('L', Attached), ('S', Attached),
      ('M', Value), ('F', Attached), ('Z', Attached), ('N', Value), ('X', Attached), ('E', Value), ('P', Value),
      ('V', Nothing), ('h', Attached), ('o', Value), ('p', Value), ('s', Value), ('d', Value), ('j', Value),
      ('i', Value), ('f', Nothing), ('b', Nothing), ('v', Nothing), ('w', Attached), ('W', Attached), ('n', Nothing), ('t', Value),
      ('m', Value), ('x', Nothing), ('c', Value), ('g', Value), ('4', Nothing), ('6', Nothing)]
};

/// Long options and their short ones; `0` is `--line-numbers`.
#[rustfmt::skip] // A table.
const LONG: &[(&str, char)] = &[
    ("append", 'A'), ("delete", 'D'), ("check", 'C'), ("insert", 'I'), ("replace", 'R'), ("list", 'L'),
    ("list-rules", 'S'), ("flush", 'F'), ("zero", 'Z'), ("new-chain", 'N'), ("delete-chain", 'X'),
    ("rename-chain", 'E'), ("policy", 'P'), ("source", 's'), ("destination", 'd'), ("src", 's'), ("dst", 'd'),
    ("protocol", 'p'), ("in-interface", 'i'), ("jump", 'j'), ("table", 't'), ("match", 'm'), ("numeric", 'n'),
    ("out-interface", 'o'), ("verbose", 'v'), ("wait", 'w'), ("wait-interval", 'W'), ("exact", 'x'),
    ("fragments", 'f'), ("version", 'V'), ("help", 'h'), ("line-numbers", '0'), ("modprobe", 'M'),
    ("set-counters", 'c'), ("goto", 'g'), ("ipv4", '4'), ("ipv6", '6'),
];

/// A token.
#[derive(Clone, Copy, Debug)]
pub enum Word<'a> {
    /// An option of the tool, by its letter, with its value.
    Base(char, Option<&'a str>),
    /// An option of an extension: index of the extension, option and value.
    Ext(usize, &'static Opt, Option<&'a str>),
    /// Not an option.
    Operand(&'a str),
    /// Unknown option.
    Unknown,
    /// Option without its value.
    Missing,
}

/// Tokenizer.
pub struct Words<'a> {
    args: &'a [&'a str],
    /// `optind`: the next word.
    next: usize,
    /// Rest of a cluster of short options.
    cluster: &'a str,
}

/// Options of the loaded extensions, the latest last.
pub type Known<'k> = &'k [&'static [Opt]];

impl<'a> Words<'a> {
    /// The words; the first is the program's name.
    pub fn new(args: &'a [&'a str]) -> Words<'a> {
        Words { args, next: 1, cluster: "" }
    }

    /// The word before the next one, which error messages name.
    pub fn last(&self) -> &'a str {
        self.args.get(self.next - 1).copied().unwrap_or("")
    }

    /// Takes the next word unless it is an option (`xs_has_arg`).
    pub fn take(&mut self) -> Option<&'a str> {
        let word = self.args.get(self.next)?;
        let is_value = !word.starts_with(['-', '!']);
        is_value.then(|| {
            self.next += 1;
            *word
        })
    }

    /// Goes back by one word, to read it again.
    pub fn again(&mut self) {
        self.next -= 1;
    }

    /// Not all words were parsed.
    pub fn is_left(&self) -> bool {
        self.next < self.args.len()
    }

    /// The next token; `None` at the end.
    pub fn read(&mut self, known: Known) -> Option<Word<'a>> {
        if !self.cluster.is_empty() {
            return Some(self.short());
        }
        let word = *self.args.get(self.next)?;
        if word == "--" {
            self.next += 1;
            return None;
        }
        if let Some(long) = word.strip_prefix("--") {
            self.next += 1;
            return Some(self.long(long, known));
        }
        match word.strip_prefix('-').filter(|rest| !rest.is_empty()) {
            Some(cluster) => {
                self.cluster = cluster;
                Some(self.short())
            }
            None => {
                self.next += 1;
                Some(Word::Operand(word))
            }
        }
    }

    fn short(&mut self) -> Word<'a> {
        let mut letters = self.cluster.chars();
        let Some(letter) = letters.next() else { return Word::Unknown };
        let rest = letters.as_str();
        self.cluster = "";
        let Some((_, takes)) = SHORT.iter().find(|(known, _)| *known == letter) else {
            self.go_on(rest);
            return Word::Unknown;
        };
        if *takes == Takes::Nothing {
            self.go_on(rest);
            return Word::Base(letter, None);
        }
        self.next += 1;
        match (rest.is_empty(), takes) {
            (false, _) => Word::Base(letter, Some(rest)),
            (true, Takes::Attached) => Word::Base(letter, None),
            (true, _) => match self.value() {
                Some(value) => Word::Base(letter, Some(value)),
                None => Word::Missing,
            },
        }
    }

    fn go_on(&mut self, rest: &'a str) {
        self.cluster = rest;
        if rest.is_empty() {
            self.next += 1;
        }
    }

    fn value(&mut self) -> Option<&'a str> {
        let value = self.args.get(self.next).copied();
        self.next += usize::from(value.is_some());
        value
    }

    fn long(&mut self, word: &'a str, known: Known) -> Word<'a> {
        let (name, attached) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        let takes_of = |letter: char| {
            SHORT.iter().find(|(known, _)| *known == letter).map_or(Takes::Nothing, |(_, takes)| *takes)
        };
        let found = match find(name, known) {
            Some(Found::Base(letter)) => (takes_of(letter), Ok(letter)),
            Some(Found::Ext(at, opt)) => {
                (if opt.args == 0 { Takes::Nothing } else { Takes::Value }, Err((at, opt)))
            }
            None => return Word::Unknown,
        };
        let value = match (found.0, attached) {
            (Takes::Nothing, Some(_)) => return Word::Unknown,
            (Takes::Nothing | Takes::Attached, value) => value,
            (Takes::Value, Some(value)) => Some(value),
            (Takes::Value, None) => match self.value() {
                Some(value) => Some(value),
                None => return Word::Missing,
            },
        };
        match found.1 {
            Ok(letter) => Word::Base(letter, value),
            Err((at, opt)) => Word::Ext(at, opt, value),
        }
    }
}

enum Found {
    Base(char),
    Ext(usize, &'static Opt),
}

/// A long option by name or unambiguous abbreviation.
fn find(name: &str, known: Known) -> Option<Found> {
    if let Some((_, letter)) = LONG.iter().find(|(long, _)| *long == name) {
        return Some(Found::Base(*letter));
    }
    let options =
        || known.iter().enumerate().rev().flat_map(|(at, opts)| opts.iter().map(move |opt| (at, opt)));
    if let Some((at, opt)) = options().find(|(_, opt)| opt.name == name) {
        return Some(Found::Ext(at, opt));
    }
    let mut letters: Vec<char> =
        LONG.iter().filter(|(long, _)| long.starts_with(name)).map(|(_, letter)| *letter).collect();
    letters.dedup();
    let mut longer = options().filter(|(_, opt)| opt.name.starts_with(name));
    match (letters.as_slice(), longer.next(), longer.next()) {
        ([letter], None, _) => Some(Found::Base(*letter)),
        ([], Some((at, opt)), None) => Some(Found::Ext(at, opt)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abbreviations_mean_one_option_or_none() {
        const TCP: &[Opt] = &[Opt::invertible("dport"), Opt::invertible("destination-port")];
        assert!(matches!(find("dest", &[]), Some(Found::Base('d'))));
        assert!(find("dest", &[TCP]).is_none());
        assert!(matches!(find("destination", &[TCP]), Some(Found::Base('d'))));
        assert!(matches!(find("dp", &[TCP]), Some(Found::Ext(0, _))));
        assert!(find("li", &[]).is_none());
        assert!(matches!(find("list", &[]), Some(Found::Base('L'))));
    }

    #[test]
    fn clusters_and_values() {
        let args = ["iptables", "-nvL", "-tnat", "--line-numbers", "x", "--", "-y"];
        let mut words = Words::new(&args);
        let mut seen = String::new();
        while let Some(word) = words.read(&[]) {
            seen += &format!("{word:?};");
        }
        assert_eq!(
            seen,
            "Base('n', None);Base('v', None);Base('L', None);Base('t', Some(\"nat\"));Base('0', None);Operand(\"x\");"
        );
        assert!(words.is_left());
    }
}
