//! Amounts of resources: `250m`, `1.5`, `64Mi` (apimachinery's `resource.Quantity`).

/// Suffixes with their powers of ten or of two.
const DECIMAL: &[(&str, i32)] = &[
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];
const BINARY: &[(&str, u32)] = &[("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];

/// What the API server says of a text that is no amount.
pub const NO_QUANTITY: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/// An amount in billionths, which is as fine as amounts are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(i128);

/// How an amount was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Decimal,
    Binary,
    Exponent,
}

impl Amount {
    /// So many whole ones.
    pub fn whole(count: i64) -> Amount {
        Amount(i128::from(count) * 1_000_000_000)
    }

    /// The amount that a text says.
    pub fn parse(text: &str) -> Option<Amount> {
        read(text).map(|(amount, _)| amount)
    }

    /// Thousandths, rounded up.
    pub fn milli(self) -> i128 {
        (self.0 + 999_999).div_euclid(1_000_000)
    }

    /// In units of a divisor, rounded up.
    pub fn in_units(self, divisor: Amount) -> i128 {
        let divisor = divisor.0.max(1);
        (self.0 + divisor - 1).div_euclid(divisor)
    }

    /// This and another.
    pub fn plus(self, other: Amount) -> Amount {
        Amount(self.0.saturating_add(other.0))
    }

    /// It is nothing.
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// It is less than nothing.
    pub fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Of another, in percent, cut.
    pub fn percent_of(self, whole: Amount) -> i128 {
        if whole.0 <= 0 { 0 } else { self.0.saturating_mul(100) / whole.0 }
    }
}

fn read(text: &str) -> Option<(Amount, Written)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !"+-.".contains(c)).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (is_negative, digits) = match number.as_bytes().first()? {
        b'-' => (true, &number[1..]),
        b'+' => (false, &number[1..]),
        _ => (false, number),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    // More than is ever asked for; it keeps the arithmetic within its bounds.
    if whole.len() > 18 || fraction.len() > 9 {
        return None;
    }
    let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
    let tens = |power: i32| -> Option<i128> {
        let power = power + 9 - fraction.len() as i32;
        let factor = 10_i128.checked_pow(power.unsigned_abs())?;
        match power >= 0 {
            true => mantissa.checked_mul(factor),
            // Finer than a billionth is rounded up.
            false => Some((mantissa + factor - 1) / factor),
        }
    };
    let (billionths, written) = match suffix {
        _ if DECIMAL.iter().any(|(known, _)| *known == suffix) => {
            let power = DECIMAL.iter().find(|(known, _)| *known == suffix)?.1;
            (tens(power)?, Written::Decimal)
        }
        _ if BINARY.iter().any(|(known, _)| *known == suffix) => {
            let power = BINARY.iter().find(|(known, _)| *known == suffix)?.1;
            (tens(0)?.checked_mul(1 << power)?, Written::Binary)
        }
        _ => {
            let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            (tens(power.clamp(-18, 18))?, Written::Exponent)
        }
    };
    Some((Amount(if is_negative { -billionths } else { billionths }), written))
}

/// The same amount as the API server writes it: no fraction, and the largest suffix that leaves none.
pub fn canonical(text: &str) -> Option<String> {
    let (Amount(billionths), written) = read(text)?;
    let sign = if billionths < 0 { "-" } else { "" };
    let size = billionths.abs();
    if size == 0 {
        return Some("0".to_owned());
    }
    let whole = (size % 1_000_000_000 == 0).then_some(size / 1_000_000_000);
    if let (Written::Binary, Some(whole)) = (written, whole) {
        let fitting = BINARY.iter().rev().find(|(_, power)| whole % (1 << power) == 0);
        return Some(match fitting {
            Some((suffix, power)) => format!("{sign}{}{suffix}", whole >> power),
            None => format!("{sign}{whole}"),
        });
    }
    let (suffix, power) =
        DECIMAL.iter().rev().find(|(_, power)| size % 10_i128.pow((power + 9) as u32) == 0)?;
    let count = size / 10_i128.pow((power + 9) as u32);
    Some(match written {
        Written::Exponent if *power != 0 => format!("{sign}{count}e{power}"),
        _ => format!("{sign}{count}{suffix}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_the_api_server_does() {
        for (given, written) in [
            ("0.5", "500m"),
            ("1000m", "1"),
            ("1500m", "1500m"),
            ("1.5Gi", "1536Mi"),
            ("1024Mi", "1Gi"),
            ("100M", "100M"),
            ("1e3", "1e3"),
            ("0", "0"),
            ("2000", "2k"),
            ("-1", "-1"),
        ] {
            assert_eq!(canonical(given).as_deref(), Some(written), "{given}");
        }
        for wrong in ["", "m", "1x", "1.2.3", "--1", "Mi", "1ki"] {
            assert_eq!(Amount::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn amounts_are_compared_across_suffixes() {
        assert_eq!(Amount::parse("0.1"), Amount::parse("100m"));
        assert!(Amount::parse("1Gi") > Amount::parse("1G"));
        assert_eq!(Amount::parse("250m").map(Amount::milli), Some(250));
        assert_eq!(Amount::parse("1.5Mi").map(|amount| amount.in_units(Amount::whole(1 << 20))), Some(2));
    }
}
