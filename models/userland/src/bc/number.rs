//! Decimal numbers of any length, with a scale: the number of digits after the point.

use num_bigint::{BigInt, BigUint, Sign};

/// A number: `digits` / 10^`scale`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    digits: BigInt,
    /// Digits after the point.
    pub scale: u32,
}

fn ten_to(power: u32) -> BigInt {
    BigInt::from(10).pow(power)
}

impl Number {
    /// A whole number.
    pub fn whole(value: i64) -> Number {
        Number { digits: value.into(), scale: 0 }
    }

    /// Reads digits in a base, with or without a point; a digit is at most the base's last one.
    pub fn parse(text: &str, base: u32) -> Number {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digit = |c: char| c.to_digit(16).unwrap_or(0);
        let lone = text.len() == 1;
        let clamp = |c: char| if lone { digit(c) } else { digit(c).min(base - 1) };
        let number = |text: &str| text.chars().fold(BigInt::ZERO, |sum, c| sum * base + clamp(c));
        let scale = part.len() as u32;
        let fraction = number(part) * ten_to(scale) / BigInt::from(base).pow(scale);
        Number { digits: number(whole) * ten_to(scale) + fraction, scale }
    }

    /// It is zero.
    pub fn is_zero(&self) -> bool {
        self.digits.sign() == Sign::NoSign
    }

    /// The number with this scale, cut.
    pub fn with_scale(&self, scale: u32) -> Number {
        Number { digits: self.at(scale), scale }
    }

    /// Digits at a scale.
    fn at(&self, scale: u32) -> BigInt {
        match scale >= self.scale {
            true => &self.digits * ten_to(scale - self.scale),
            false => &self.digits / ten_to(self.scale - scale),
        }
    }

    /// The whole part, if it is small enough to count with.
    pub fn small(&self) -> Option<i64> {
        self.at(0).try_into().ok()
    }

    /// Number of digits: `length()`.
    pub fn length(&self) -> usize {
        self.digits.magnitude().to_string().len().max(self.scale as usize)
    }

    /// Order of two numbers.
    pub fn compare(&self, other: &Number) -> std::cmp::Ordering {
        let scale = self.scale.max(other.scale);
        self.at(scale).cmp(&other.at(scale))
    }

    /// The number with the other sign.
    pub fn negate(&self) -> Number {
        Number { digits: -&self.digits, scale: self.scale }
    }

    /// Sum.
    pub fn add(&self, other: &Number) -> Number {
        let scale = self.scale.max(other.scale);
        Number { digits: self.at(scale) + other.at(scale), scale }
    }

    /// Product, with at most `scale` digits, or those of the more exact factor.
    pub fn multiply(&self, other: &Number, scale: u32) -> Number {
        let full = self.scale + other.scale;
        let product = Number { digits: &self.digits * &other.digits, scale: full };
        product.with_scale(full.min(scale.max(self.scale).max(other.scale)))
    }

    /// Quotient with `scale` digits; none by zero.
    pub fn divide(&self, other: &Number, scale: u32) -> Option<Number> {
        if other.is_zero() {
            return None;
        }
        let digits = &self.digits * ten_to(scale + other.scale) / (&other.digits * ten_to(self.scale));
        Some(Number { digits, scale })
    }

    /// Remainder of the quotient with `scale` digits; none by zero.
    pub fn remainder(&self, other: &Number, scale: u32) -> Option<Number> {
        let quotient = self.divide(other, scale)?;
        let whole = scale + other.scale;
        let product =
            Number { digits: &quotient.digits * &other.digits, scale: quotient.scale + other.scale };
        Some(self.add(&product.negate()).with_scale(whole.max(self.scale)))
    }

    /// Power of a whole exponent; none for an exponent that is too large, or zero to a negative power.
    pub fn power(&self, exponent: &Number, scale: u32) -> Option<Number> {
        let exponent = exponent.small()?;
        let count = u32::try_from(exponent.unsigned_abs()).ok().filter(|count| *count <= MOST_POWER)?;
        let full = self.scale.checked_mul(count)?;
        let power = Number { digits: self.digits.pow(count), scale: full };
        match exponent < 0 {
            true => Number::whole(1).divide(&power, scale),
            false => Some(power.with_scale(full.min(scale.max(self.scale)))),
        }
    }

    /// Square root; none of a negative number.
    pub fn root(&self, scale: u32) -> Option<Number> {
        if self.digits.sign() == Sign::Minus {
            return None;
        }
        let scale = scale.max(self.scale);
        Some(Number { digits: self.at(scale * 2).sqrt(), scale })
    }

    /// Digits in a base, as bc prints them.
    pub fn show(&self, base: u32) -> String {
        let sign = if self.digits.sign() == Sign::Minus { "-" } else { "" };
        let unit = ten_to(self.scale).magnitude().clone();
        let (whole, mut part) = (self.digits.magnitude() / &unit, self.digits.magnitude() % &unit);
        let mut text = match whole == BigUint::ZERO {
            true => String::new(),
            false if base <= 16 => whole.to_str_radix(base).to_uppercase(),
            false => whole.to_radix_be(base).iter().map(|digit| format!(" {digit:02}")).collect(),
        };
        if self.scale > 0 {
            text.push('.');
            // As many digits as are needed to tell the number apart in this base.
            let mut reach = BigUint::from(1_u32);
            while reach < unit {
                part *= base;
                let digit = &part / &unit;
                part %= &unit;
                reach *= base;
                text += &if base <= 16 {
                    digit.to_str_radix(base).to_uppercase()
                } else {
                    format!(" {digit:02}")
                };
            }
        }
        if text.is_empty() || self.is_zero() { "0".to_owned() } else { format!("{sign}{text}") }
    }
}

/// Largest exponent; the real one takes as long as it takes.
const MOST_POWER: u32 = 1_000_000;
