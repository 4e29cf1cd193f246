//! Numbers as parsed by the C library; programs add their own limits and errors.

/// The digits at the start of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digits<'a> {
    /// Their value; `None` if it does not fit in 64 bits.
    pub value: Option<u64>,
    /// What follows them.
    pub rest: &'a str,
}

impl<'a> Digits<'a> {
    fn read(text: &'a str, radix: u32) -> Option<Digits<'a>> {
        let end = text.find(|letter: char| !letter.is_digit(radix)).unwrap_or(text.len());
        let (digits, rest) = text.split_at(end);
        (!digits.is_empty()).then(|| Digits { value: u64::from_str_radix(digits, radix).ok(), rest })
    }
}

/// Decimal digits, as atoi(3) reads them behind white space and sign. `None` if there are none.
pub fn decimal(text: &str) -> Option<Digits<'_>> {
    Digits::read(text, 10)
}

/// Digits as strtoul(3) with base 0 reads them behind white space and sign: hexadecimal after `0x`, octal after `0`,
/// else decimal. `None` if there are none.
pub fn base0(text: &str) -> Option<Digits<'_>> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    // `0x` without hexadecimal digits is a 0.
    let hex = hex.and_then(|digits| Digits::read(digits, 16));
    hex.or_else(|| Digits::read(text, if text.starts_with('0') { 8 } else { 10 }))
}

/// A text that is one number and nothing else, read as [`base0`] does.
pub fn whole(text: &str) -> Option<u64> {
    base0(text).filter(|digits| digits.rest.is_empty())?.value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_what_follows() {
        let max = u64::MAX.to_string();
        for (text, expected) in [
            ("10", Some((Some(10), ""))),
            ("0x1fg", Some((Some(31), "g"))),
            ("0X10", Some((Some(16), ""))),
            ("0x", Some((Some(0), "x"))),
            ("010", Some((Some(8), ""))),
            ("08", Some((Some(0), "8"))),
            (&max, Some((Some(u64::MAX), ""))),
            ("18446744073709551616 ", Some((None, " "))),
            ("-1", None),
            ("+1", None),
            (" 1", None),
            ("", None),
        ] {
            assert_eq!(base0(text), expected.map(|(value, rest)| Digits { value, rest }), "{text:?}");
        }
        assert_eq!(decimal("010x"), Some(Digits { value: Some(10), rest: "x" }));
        assert_eq!((whole("0x10"), whole("08"), whole("")), (Some(16), None, None));
    }
}
