//! Selectors of labels (`-l`), as the API server reads them (`k8s.io/apimachinery/pkg/labels/selector.go`).

use std::collections::{BTreeMap, BTreeSet};

use crate::admission::names::{label_value, qualified_name};

/// What a label must be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Want {
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    Exists,
    Missing,
    Greater(i64),
    Less(i64),
}

/// A selector of labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Selector(Vec<(String, Want)>);

/// Labels of an object.
pub(super) type Labels = BTreeMap<String, String>;

impl Selector {
    /// Reads `app=web,tier!=db,env in (a,b),!old`. The error is the API server's text.
    pub(super) fn parse(text: &str) -> Result<Selector, String> {
        let mut tokens = Tokens(tokens(text).into_iter().peekable());
        let mut wants = Vec::new();
        loop {
            match tokens.look().as_str() {
                "" => return Ok(Selector(wants)),
                word if is_identifier(word) || word == "!" => {}
                word => return Err(format!("found '{word}', expected: !, identifier, or 'end of string'")),
            }
            let wanted = tokens.requirement().map_err(|why| format!("unable to parse requirement: {why}"))?;
            wants.push(wanted);
            match tokens.next().as_str() {
                "" => return Ok(Selector(wants)),
                "," => {}
                word => return Err(format!("found '{word}', expected: ',' or 'end of string'")),
            }
            let after = tokens.look();
            if !is_identifier(&after) && after != "!" {
                return Err(format!("found '{after}', expected: identifier after ','"));
            }
        }
    }

    /// Labels are as wanted.
    pub(super) fn matches(&self, labels: Option<&Labels>) -> bool {
        self.0.iter().all(|(key, want)| {
            let value = labels.and_then(|labels| labels.get(key));
            let number = || value.and_then(|value| value.parse::<i64>().ok());
            match want {
                Want::In(all) => value.is_some_and(|value| all.contains(value)),
                Want::NotIn(all) => value.is_none_or(|value| !all.contains(value)),
                Want::Exists => value.is_some(),
                Want::Missing => value.is_none(),
                Want::Greater(than) => number().is_some_and(|number| number > *than),
                Want::Less(than) => number().is_some_and(|number| number < *than),
            }
        })
    }
}

const SPECIAL: &str = "=!(),<>";

/// Words, and signs of one or two characters.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut is_open = false;
    for letter in text.chars() {
        match (letter, tokens.last_mut()) {
            (' ' | '\t' | '\r' | '\n', _) => is_open = false,
            (letter, last) if SPECIAL.contains(letter) => {
                is_open = false;
                match last {
                    Some(sign) if letter == '=' && (sign == "=" || sign == "!") => sign.push('='),
                    _ => tokens.push(letter.to_string()),
                }
            }
            (letter, Some(word)) if is_open => word.push(letter),
            (letter, _) => {
                is_open = true;
                tokens.push(letter.to_string());
            }
        }
    }
    tokens
}

fn is_identifier(token: &str) -> bool {
    !token.is_empty() && !token.contains(|letter| SPECIAL.contains(letter))
}

/// What is left of the text; behind its end are empty words.
struct Tokens(std::iter::Peekable<std::vec::IntoIter<String>>);

impl Tokens {
    fn look(&mut self) -> String {
        self.0.peek().cloned().unwrap_or_default()
    }

    fn next(&mut self) -> String {
        self.0.next().unwrap_or_default()
    }

    /// A key, and what its value must be.
    fn requirement(&mut self) -> Result<(String, Want), String> {
        let is_missing = self.look() == "!";
        if is_missing {
            self.next();
        }
        let key = self.next();
        if !is_identifier(&key) {
            return Err(format!("found '{key}', expected: identifier"));
        }
        if let Some(why) = qualified_name(&key) {
            return Err(format!("key: Invalid value: {key:?}: {why}"));
        }
        if is_missing {
            return Ok((key, Want::Missing));
        }
        if ["", ","].contains(&self.look().as_str()) {
            return Ok((key, Want::Exists));
        }
        let operator = self.next();
        let want = match operator.as_str() {
            "in" | "notin" => {
                let values = self.values()?;
                if values.is_empty() {
                    let why = "for 'in', 'notin' operators, values set can't be empty";
                    return Err(format!("values: Invalid value: []: {why}"));
                }
                if operator == "in" { Want::In(values) } else { Want::NotIn(values) }
            }
            "=" | "==" => Want::In(self.value()?.into()),
            "!=" => Want::NotIn(self.value()?.into()),
            ">" | "<" => {
                let [value] = self.value()?;
                let why = "for 'Gt', 'Lt' operators, the value must be an integer";
                let than =
                    value.parse().map_err(|_| format!("values[0]: Invalid value: {value:?}: {why}"))?;
                if operator == ">" { Want::Greater(than) } else { Want::Less(than) }
            }
            other => return Err(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt")),
        };
        if let Want::In(values) | Want::NotIn(values) = &want {
            let mut wrong = values.iter().enumerate().filter_map(|(at, value)| {
                let why = label_value(value)?;
                Some(format!("values[{at}][{key}]: Invalid value: {value:?}: {why}"))
            });
            if let Some(why) = wrong.next() {
                return Err(why);
            }
        }
        Ok((key, want))
    }

    /// The value behind a sign; it may be empty.
    fn value(&mut self) -> Result<[String; 1], String> {
        if ["", ","].contains(&self.look().as_str()) {
            return Ok([String::new()]);
        }
        let word = self.next();
        if is_identifier(&word) { Ok([word]) } else { Err(format!("found '{word}', expected: identifier")) }
    }

    /// Values in brackets; one between two commas is empty.
    fn values(&mut self) -> Result<BTreeSet<String>, String> {
        let open = self.next();
        if open != "(" {
            return Err(format!("found '{open}', expected: '('"));
        }
        let mut values = BTreeSet::new();
        match self.look().as_str() {
            ")" => {
                self.next();
                return Ok(values);
            }
            "," => {}
            word if is_identifier(word) => {}
            word => return Err(format!("found '{word}', expected: ',', ')' or identifier")),
        }
        loop {
            values.insert(if is_identifier(&self.look()) { self.next() } else { String::new() });
            match self.next().as_str() {
                "," => {}
                ")" => return Ok(values),
                word => return Err(format!("found '{word}', expected: ',' or ')'")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_operators() {
        let labels: Labels = [("app", "web"), ("n", "5")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        for (text, expected) in [
            ("app=web", true),
            ("app==web,n", true),
            ("app!=web", false),
            ("tier!=db", true),
            ("app in (web, db)", true),
            ("app notin (web,db)", false),
            ("tier in (,a)", false),
            ("!app", false),
            ("!tier", true),
            ("! tier , in", false),
            ("n>4,n<6", true),
            ("app=", false),
            ("", true),
        ] {
            let selector = Selector::parse(text).unwrap();
            assert_eq!(selector.matches(Some(&labels)), expected, "{text}");
        }
    }

    #[test]
    fn a_wrong_one_is_refused_with_the_word() {
        for (text, why) in [
            ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
            ("app in (web", "unable to parse requirement: found '', expected: ',' or ')'"),
            ("app in web)", "unable to parse requirement: found 'web', expected: '('"),
            (
                "app in ()",
                "unable to parse requirement: values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty",
            ),
            ("app=a=b", "found '=', expected: ',' or 'end of string'"),
            ("=x", "found '=', expected: !, identifier, or 'end of string'"),
            ("a,", "found '', expected: identifier after ','"),
            ("!,a", "unable to parse requirement: found ',', expected: identifier"),
            (
                "n>x",
                "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
            ),
        ] {
            assert_eq!(Selector::parse(text), Err(why.to_owned()), "{text}");
        }
    }
}
