//! The command line of `socat`.

use glassnet_sim::Nanos;

use super::open::Use;
use super::{Fail, Res, error, not_modelled};

/// The options.
#[derive(Debug)]
pub struct Options {
    /// `-d`, counted.
    pub level: u32,
    /// `-b`: most that is read at once, bytes.
    pub block: usize,
    /// `-t`: how long the other direction may be silent after one has ended.
    pub close_wait: Nanos,
    /// `-T`: how long both may be silent.
    pub total: Option<Nanos>,
    /// `-u`.
    pub left_to_right: bool,
    /// `-U`.
    pub right_to_left: bool,
    /// The addresses.
    pub addresses: [String; 2],
}

impl Options {
    /// What the addresses are opened for.
    pub fn uses(&self) -> (Use, Use) {
        match (self.left_to_right, self.right_to_left) {
            (true, _) => (Use::Read, Use::Write),
            (_, true) => (Use::Write, Use::Read),
            _ => (Use::Both, Use::Both),
        }
    }
}

const HINT: &str = "use option \"-h\" for help";

/// Reads the command line.
pub fn parse(args: &[String]) -> Res<Options> {
    let mut options = Options {
        level: 0,
        block: 8192,
        close_wait: Nanos::from_millis(500),
        total: None,
        left_to_right: false,
        right_to_left: false,
        addresses: Default::default(),
    };
    let mut args = args.iter().map(String::as_str).peekable();
    while let Some(arg) = args.next_if(|arg| arg.len() > 1 && arg.starts_with('-')) {
        let (letter, rest) = (&arg[1..2], &arg[2..]);
        let mut value = || match rest {
            "" => args.next().map_or_else(
                || error(format!("option {arg} requires an argument; {HINT}")),
                |value| Ok(value.to_owned()),
            ),
            rest => Ok(rest.to_owned()),
        };
        match letter {
            "h" | "?" => return Err(Fail::Help),
            "d" => options.level += arg[1..].chars().filter(|letter| *letter == 'd').count() as u32,
            "u" if rest.is_empty() => options.left_to_right = true,
            "U" if rest.is_empty() => options.right_to_left = true,
            "4" if rest.is_empty() => {}
            "b" => options.block = number(&value()?, "-b")? as usize,
            "t" => options.close_wait = seconds(&value()?, "-t")?,
            "T" => options.total = Some(seconds(&value()?, "-T")?).filter(|time| *time > Nanos::ZERO),
            "V" | "D" | "l" | "v" | "x" | "r" | "R" | "s" | "g" | "L" | "W" | "6" => {
                return not_modelled(format!("-{letter}"));
            }
            _ => return error(format!("unknown option \"{arg}\"; {HINT}")),
        }
    }
    if options.level > 2 {
        return not_modelled("-d -d -d");
    }
    let addresses: Vec<String> = args.map(str::to_owned).collect();
    let count = addresses.len();
    options.addresses = addresses
        .try_into()
        .or_else(|_| error(format!("exactly 2 addresses required (there are {count}); {HINT}")))?;
    Ok(options)
}

/// A number, of which only the beginning is read.
///
/// # Errors
///
/// It begins with no digit.
pub fn number(text: &str, option: &str) -> Res<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text[..digits].parse().or_else(|_| missing(option))
}

fn seconds(text: &str, option: &str) -> Res<Nanos> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => Ok(Nanos((seconds * 1e9) as u64)),
        _ => missing(option),
    }
}

fn missing<T>(option: &str) -> Res<T> {
    error(format!("parseopts(): missing numerical value of option \"{option}\""))
}
