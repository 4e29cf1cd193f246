//! Values as they are written for a sweep: `64,256,4k`, `fq_codel,pfifo`, `100k..2M/8`, `64..4096/log7`.
//!
//! `A..B/N` is N values from A to B with equal steps, `A..B/logN` the same with equal factors. The suffixes `k` (or `K`), `M` and
//! `G` stand for a thousand, a million and a billion. Between two whole ends all values are whole, rounded to the nearest.

use std::collections::BTreeSet;

/// Most values of one range.
const MOST: usize = 1_000_000;
/// Largest number: up to here every whole number is told from the next.
const LARGEST: f64 = 9e15;

/// Reads values; numbers are written without suffix in the result.
///
/// # Errors
///
/// There is none, one stands twice, or a range is none.
pub fn parse(text: &str) -> Result<Vec<String>, String> {
    let mut values = Vec::new();
    for part in text.split(',') {
        match part.trim() {
            "" if values.is_empty() && text.trim().is_empty() => return Err("there are no values".to_owned()),
            "" => return Err(format!("a value is missing in `{text}`")),
            range if range.contains("..") => values.extend(self::range(range)?),
            word => values.push(number(word).map_or_else(|| word.to_owned(), written)),
        }
    }
    let mut seen = BTreeSet::new();
    match values.iter().find(|value| !seen.insert(value.as_str())) {
        Some(twice) => Err(format!("`{text}` has the value {twice} twice")),
        None => Ok(values),
    }
}

/// A number, with a suffix or without.
fn number(text: &str) -> Option<f64> {
    let factor = match text.chars().next_back()? {
        'k' | 'K' => 1e3,
        'M' => 1e6,
        'G' => 1e9,
        _ => 1.0,
    };
    let digits = if factor > 1.0 { &text[..text.len() - 1] } else { text };
    let is_number = digits.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit());
    let number = digits.parse::<f64>().ok().filter(|_| is_number)? * factor;
    (number.abs() <= LARGEST).then_some(number)
}

/// A number of at most nine digits behind the point.
fn written(number: f64) -> String {
    let rounded = (number * 1e9).round() / 1e9;
    format!("{}", if rounded.fract() == 0.0 { number.round() + 0.0 } else { rounded })
}

fn range(text: &str) -> Result<Vec<String>, String> {
    let form = "a range is FROM..TO/COUNT for equal steps or FROM..TO/logCOUNT for equal factors, such as 100k..2M/8";
    let none = |why: &str| format!("`{text}` is no range: {why}; {form}");
    let (ends, count) = text.split_once('/').ok_or_else(|| none("it has no count"))?;
    let (from, to) = ends.split_once("..").ok_or_else(|| none("the count comes last"))?;
    let end = |end: &str| number(end).ok_or_else(|| none(&format!("{end:?} is no number")));
    let (from, to) = (end(from)?, end(to)?);
    let (is_log, digits) = count.strip_prefix("log").map_or((false, count), |digits| (true, digits));
    let count: usize = digits.parse().map_err(|_| none(&format!("{count:?} is no count")))?;
    if !(2..=MOST).contains(&count) {
        return Err(none(&format!("it can have 2 to {MOST} values, not {count}")));
    }
    if is_log && (from <= 0.0 || to <= 0.0) {
        return Err(none("equal factors need ends above 0"));
    }
    let is_whole = from.fract() == 0.0 && to.fract() == 0.0;
    let value = |at: usize| {
        let share = at as f64 / (count - 1) as f64;
        let value = if is_log { from * (to / from).powf(share) } else { from + (to - from) * share };
        // The ends are what was written, whatever rounding makes of them.
        let value = if at == 0 {
            from
        } else if at == count - 1 {
            to
        } else {
            value
        };
        written(if is_whole { value.round() } else { value })
    };
    Ok((0..count).map(value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges() {
        for (text, expected) in [
            ("64,256,4k", "64 256 4000"),
            (" 1.5k , 2M,3G,K", "1500 2000000 3000000000 K"),
            ("fq_codel,pfifo", "fq_codel pfifo"),
            ("1Gbit,512KB,5us,1%", "1Gbit 512KB 5us 1%"),
            ("100k..500k/5", "100000 200000 300000 400000 500000"),
            ("100k..2M/8", "100000 371429 642857 914286 1185714 1457143 1728571 2000000"),
            ("64..4096/log7", "64 128 256 512 1024 2048 4096"),
            ("3..1/3", "3 2 1"),
            ("0.1..0.4/4", "0.1 0.2 0.3 0.4"),
            ("-1..1/3", "-1 0 1"),
            ("1,10..30/3", "1 10 20 30"),
            ("007", "7"),
            ("inf,nan,0x10", "inf nan 0x10"),
        ] {
            assert_eq!(parse(text).map(|values| values.join(" ")), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_value_is_named() {
        for (text, word) in [
            ("", "no values"),
            ("1,,2", "missing in `1,,2`"),
            ("1,2,", "missing"),
            ("64,64", "64 twice"),
            ("1k,1000", "1000 twice"),
            ("1..3/5", "twice"),
            ("5..", "has no count"),
            ("1..2", "has no count"),
            ("../2", "\"\" is no number"),
            ("a..2/2", "\"a\" is no number"),
            ("1..2/x", "\"x\" is no count"),
            ("1..2/log", "\"log\" is no count"),
            ("1..2/1", "not 1"),
            ("1..2/0", "not 0"),
            ("1..2/1000000000", "not 1000000000"),
            ("1..2/-3", "\"-3\" is no count"),
            ("0..8/log4", "above 0"),
            ("1/2..3", "the count comes last"),
            ("1..1e300/2", "\"1e300\" is no number"),
        ] {
            let why = parse(text).expect_err(text);
            assert!(why.contains(word), "{text}: {why}");
        }
    }
}
