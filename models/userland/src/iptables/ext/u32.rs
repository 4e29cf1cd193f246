//! `-m u32`: compares 32-bit words of the packet (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_u32::{U32, U32Op, U32Test};
use glassnet_kernel::tables::xt::Match;

use super::words::parameter;
use super::{Context, Draw, Given, MatchExt, Opt, Place, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "u32",
    options: &[Opt::invertible("u32")],
    parse,
    show,
    arbitrary: None,
    drawn: (2, drawn),
};

/// Maximum number of tests, operators and values (`XT_U32_MAXSIZE` - 1).
const MAX: usize = 10;

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let given = x6::mandatory("u32", given, "u32")?;
    let mut reader = Reader { text: given.value(), at: 0 };
    let mut tests = Vec::new();
    loop {
        let (start, ops) = reader.location()?;
        let values = reader.values()?;
        if tests.len() == MAX {
            return reader.error("too many \"&&\"s");
        }
        tests.push(U32Test { start, ops, values });
        if reader.rest().is_empty() {
            break;
        }
        reader.at += 2;
    }
    Ok(Match::new(U32 { invert: given.invert, tests }))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn error<T>(&self, text: &str) -> Result<T, XtError> {
        parameter(format!("u32: at char {}: {text}", self.at))
    }

    fn number(&mut self) -> Result<u32, XtError> {
        match x6::strtoul(self.rest()).filter(|(value, _)| *value <= u64::from(u32::MAX)) {
            Some((value, rest)) => {
                self.at = self.text.len() - rest.len();
                Ok(value as u32)
            }
            None => self.error("not a number or out of range"),
        }
    }

    /// `OFFSET`, operators and numbers, up to and including `=`.
    fn location(&mut self) -> Result<(u32, Vec<U32Op>), XtError> {
        let mut start = None;
        let mut ops = Vec::new();
        let mut make: Option<fn(u32) -> U32Op> = None;
        loop {
            self.skip_blanks();
            let Some(letter) = self.rest().chars().next() else {
                // Missing number after an operator.
                return match make {
                    Some(_) => self.error("not a number or out of range"),
                    None => parameter("u32: abrupt end of input after location specifier"),
                };
            };
            if start.is_none() {
                start = Some(self.number()?);
                continue;
            }
            if let Some(make) = make.take() {
                if ops.len() + 1 == MAX {
                    self.number()?;
                    return self.error("too many operators");
                }
                ops.push(make(self.number()?));
                continue;
            }
            self.at += letter.len_utf8();
            make = Some(match letter {
                '=' => return Ok((start.unwrap_or(0), ops)),
                '&' => U32Op::And,
                '@' => U32Op::At,
                '<' | '>' => {
                    if !self.rest().starts_with(letter) {
                        return self.error(&format!("a second '{letter}' was expected"));
                    }
                    self.at += 1;
                    if letter == '<' { U32Op::Shl } else { U32Op::Shr }
                }
                _ => {
                    self.at -= letter.len_utf8();
                    return self.error("operator expected");
                }
            });
        }
    }

    /// Numbers and ranges, up to `&&` or the end.
    fn values(&mut self) -> Result<Vec<(u32, u32)>, XtError> {
        let mut values: Vec<(u32, u32)> = Vec::new();
        self.skip_blanks();
        if self.rest().is_empty() {
            return parameter("u32: test ended with no value specified");
        }
        loop {
            self.skip_blanks();
            let low = self.number()?;
            self.skip_blanks();
            let high = match self.rest().starts_with(':') {
                true => {
                    self.at += 1;
                    self.skip_blanks();
                    self.number()?
                }
                false => low,
            };
            values.push((low, high));
            self.skip_blanks();
            match self.rest().as_bytes() {
                [] => return Ok(values),
                [b'&', b'&', ..] => return Ok(values),
                [b'&', ..] => {
                    self.at += 1;
                    return self.error("a second '&' was expected");
                }
                [b',', ..] => {
                    self.at += 1;
                    if values.len() == MAX {
                        self.number()?;
                        return self.error("too many \",\"s");
                    }
                }
                _ => return self.error("expected \",\" or \"&&\""),
            }
        }
    }
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<U32>() else { return };
    let not = if with.invert { " !" } else { "" };
    let _ = match style {
        Style::Save => write!(out, "{not} --u32 \""),
        _ => write!(out, " u32{not} \""),
    };
    for (at, test) in with.tests.iter().enumerate() {
        out.push_str(if at > 0 { "&&" } else { "" });
        let _ = write!(out, "0x{:x}", test.start);
        for op in &test.ops {
            let _ = match op {
                U32Op::And(value) => write!(out, "&0x{value:x}"),
                U32Op::Shl(value) => write!(out, "<<0x{value:x}"),
                U32Op::Shr(value) => write!(out, ">>0x{value:x}"),
                U32Op::At(value) => write!(out, "@0x{value:x}"),
            };
        }
        let values = test.values.iter().map(|(low, high)| match low == high {
            true => format!("0x{low:x}"),
            false => format!("0x{low:x}:0x{high:x}"),
        });
        let _ = write!(out, "={}", values.collect::<Vec<_>>().join(","));
    }
    out.push('"');
}

fn drawn(draw: &mut Draw, _: Place) -> String {
    let tests = [
        "6&0xFF=0x6",                             // TCP
        "4&0x3FFF=0",                             // no fragment
        "0&0xFFFF=0x28:0x40",                     // length
        "8>>24=0x40",                             // TTL
        "0>>22&0x3C@0>>16=1000,1001",             // source port
        "0>>22&0x3C@8=0x61626364",                // the data of UDP
        "0>>22&0x3C@12>>26&0x3C@0&0xFFFF=0x6364", // the data of TCP
        "16=0x0A000100:0x0A0001FF",               // destination
        "6&0xFF=0x11&&0>>22&0x3C@0&0xFFFF=53",    // DNS
        "200=0",                                  // behind the end
    ];
    format!("-m u32 {}--u32 \"{}\"", draw.not(), draw.pick(&tests))
}
