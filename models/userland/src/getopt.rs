//! Options as glibc's `getopt_long` parses them, with its error messages.

/// Argument of a long option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// `--name`.
    Nothing,
    /// `--name value` or `--name=value`.
    Value,
    /// `--name` or `--name=value`.
    Optional,
}

/// A long option and the name that is reported for it.
pub type Long = (&'static str, Takes, &'static str);

/// A given option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opt {
    /// The short letter, or the name of [`Long`].
    pub name: String,
    /// Its argument; empty if it takes none.
    pub value: String,
}

/// Options and operands of a command line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Options in order, up to the first error.
    pub options: Vec<Opt>,
    /// Operands in order.
    pub operands: Vec<String>,
    /// The first error, without the program's name, as glibc prints it.
    pub error: Option<String>,
}

/// Reads `args` (without the program's name). `short` is getopt's string of letters, each with `:` if it takes
/// an argument; a leading `+` ends the options at the first operand.
pub fn parse(args: &[String], short: &str, long: &[Long]) -> Parsed {
    let mut parsed = Parsed::default();
    let in_order = short.starts_with('+');
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let outcome = match arg.as_str() {
            "--" => {
                parsed.operands.extend(rest.cloned());
                return parsed;
            }
            text if text.starts_with("--") && !long.is_empty() => {
                parse_long(&text[2..], &mut rest, long, &mut parsed.options)
            }
            text if text.len() > 1 && text.starts_with('-') => {
                parse_cluster(&text[1..], &mut rest, short, &mut parsed.options)
            }
            text => {
                parsed.operands.push(text.to_owned());
                if in_order {
                    parsed.operands.extend(rest.cloned());
                    return parsed;
                }
                Ok(())
            }
        };
        if let Err(error) = outcome {
            parsed.error = Some(error);
            return parsed;
        }
    }
    parsed
}

type Rest<'a> = std::slice::Iter<'a, String>;

fn parse_cluster(letters: &str, rest: &mut Rest, short: &str, options: &mut Vec<Opt>) -> Result<(), String> {
    for (at, letter) in letters.char_indices() {
        let place = short.find(letter).filter(|_| letter != ':' && letter != '+');
        let Some(place) = place else { return Err(format!("invalid option -- '{letter}'")) };
        let name = letter.to_string();
        if !short[place + letter.len_utf8()..].starts_with(':') {
            options.push(Opt { name, value: String::new() });
            continue;
        }
        let attached = &letters[at + letter.len_utf8()..];
        let value = match (attached.is_empty(), attached) {
            (false, attached) => attached.to_owned(),
            (true, _) => match rest.next() {
                Some(next) => next.clone(),
                None => return Err(format!("option requires an argument -- '{letter}'")),
            },
        };
        options.push(Opt { name, value });
        return Ok(());
    }
    Ok(())
}

fn parse_long(text: &str, rest: &mut Rest, long: &[Long], options: &mut Vec<Opt>) -> Result<(), String> {
    let (word, attached) = match text.split_once('=') {
        Some((word, value)) => (word, Some(value)),
        None => (text, None),
    };
    let (full, takes, name) = find_long(word, long)?;
    let value = match (takes, attached) {
        (Takes::Nothing, Some(_)) => return Err(format!("option '--{full}' doesn't allow an argument")),
        (Takes::Nothing | Takes::Optional, None) => String::new(),
        (Takes::Value | Takes::Optional, Some(value)) => value.to_owned(),
        (Takes::Value, None) => match rest.next() {
            Some(next) => next.clone(),
            None => return Err(format!("option '--{full}' requires an argument")),
        },
    };
    options.push(Opt { name: name.to_owned(), value });
    Ok(())
}

fn find_long(word: &str, long: &[Long]) -> Result<Long, String> {
    if let Some(exact) = long.iter().find(|option| option.0 == word) {
        return Ok(*exact);
    }
    let mut matches: Vec<_> = long.iter().filter(|option| option.0.starts_with(word)).collect();
    matches.dedup_by_key(|option| option.2);
    match matches.as_slice() {
        [] => Err(format!("unrecognized option '--{word}'")),
        [one] => Ok(**one),
        several => {
            let names: Vec<_> = several.iter().map(|option| format!("'--{}'", option.0)).collect();
            Err(format!("option '--{word}' is ambiguous; possibilities: {}", names.join(" ")))
        }
    }
}

/// Splits a command line at blanks; for tests.
#[cfg(test)]
pub fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &[Long] = &[
        ("count", Takes::Nothing, "count"),
        ("interface", Takes::Value, "i"),
        ("nano", Takes::Nothing, "nano"),
        ("number", Takes::Nothing, "#"),
    ];

    fn check(line: &str, options: &[(&str, &str)], operands: &[&str], error: Option<&str>) {
        let parsed = parse(&words(line), "nvc:", LONG);
        let seen: Vec<_> = parsed.options.iter().map(|opt| (opt.name.as_str(), opt.value.as_str())).collect();
        assert_eq!(seen, options, "{line}");
        assert_eq!(parsed.operands, operands, "{line}");
        assert_eq!(parsed.error.as_deref(), error, "{line}");
    }

    #[test]
    fn options_in_any_order() {
        check("-nc3 host -v", &[("n", ""), ("c", "3"), ("v", "")], &["host"], None);
        check("-c 3 -- -v", &[("c", "3")], &["-v"], None);
        check("--int eth0 --count", &[("i", "eth0"), ("count", "")], &[], None);
    }

    #[test]
    fn errors_as_glibc_words_them() {
        check("-z", &[], &[], Some("invalid option -- 'z'"));
        check("-c", &[], &[], Some("option requires an argument -- 'c'"));
        check("--foo=1", &[], &[], Some("unrecognized option '--foo'"));
        check("--count=1", &[], &[], Some("option '--count' doesn't allow an argument"));
        check("--n", &[], &[], Some("option '--n' is ambiguous; possibilities: '--nano' '--number'"));
        check("--interface", &[], &[], Some("option '--interface' requires an argument"));
    }
}
