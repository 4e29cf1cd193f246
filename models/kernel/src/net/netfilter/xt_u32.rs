//! `-m u32`.
//!
//! Kernel: net/netfilter/xt_u32.c

use crate::Cx;
use crate::extension::{Par, XtMatch};
use crate::module::Module;

/// An operation of a `u32` location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum U32Op {
    /// `&`.
    And(u32),
    /// `<<`.
    Shl(u32),
    /// `>>`.
    Shr(u32),
    /// `@`.
    At(u32),
}

/// A test of `u32`: a location and ranges of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct U32Test {
    /// First offset, bytes.
    pub start: u32,
    /// Operations on the loaded word.
    pub ops: Vec<U32Op>,
    /// Values.
    pub values: Vec<(u32, u32)>,
}

/// `u32`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct U32 {
    /// `!`.
    pub invert: bool,
    /// Tests joined by `&&`.
    pub tests: Vec<U32Test>,
}

impl XtMatch for U32 {
    const NAME: &'static str = "u32";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        u32_mt(cx, par, self)
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[U32::NAME], ..Module::named("xt_u32") }];

/// All tests are true.
pub fn u32_mt(cx: &mut Cx, par: &mut Par, with: &U32) -> bool {
    let bytes = cx.skbs.data(par.skb);
    with.tests.iter().all(|test| holds(bytes, test)) != with.invert
}

fn holds(bytes: &[u8], test: &U32Test) -> bool {
    let value = located(bytes, test);
    value.is_some_and(|value| test.values.iter().any(|(low, high)| (*low..=*high).contains(&value)))
}

/// The word that a test compares; `None` if it is outside of the packet.
fn located(bytes: &[u8], test: &U32Test) -> Option<u32> {
    let read = |at: u32, offset: u32| {
        let at = (at as usize).checked_add(offset as usize)?;
        let word = bytes.get(at..at.checked_add(4)?)?;
        Some(u32::from_be_bytes([word[0], word[1], word[2], word[3]]))
    };
    let mut base: u32 = 0;
    let mut value = read(0, test.start)?;
    for op in &test.ops {
        value = match *op {
            U32Op::And(number) => value & number,
            U32Op::Shl(number) => value.wrapping_shl(number),
            U32Op::Shr(number) => value.wrapping_shr(number),
            U32Op::At(offset) => {
                base = base.checked_add(value)?;
                read(base, offset)?
            }
        };
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_follows_the_length_of_the_header() {
        let mut bytes = [0; 40];
        bytes[0] = 0x46; // a header of 24 bytes
        bytes[24..28].copy_from_slice(&[0x12, 0x34, 0x00, 0x50]);
        let port = U32Test {
            start: 0,
            ops: vec![U32Op::Shr(22), U32Op::And(0x3c), U32Op::At(0), U32Op::And(0xffff)],
            values: vec![(80, 81)],
        };
        assert!(holds(&bytes, &port));
        assert!(!holds(&bytes[..26], &port), "cut short");
        assert!(!holds(&bytes, &U32Test { start: 37, ops: vec![], values: vec![(0, u32::MAX)] }));
    }
}
