//! Tables of distributions, which `tc` reads from files of iproute2 (`/usr/lib/x86_64-linux-gnu/tc/NAME.dist`): of 4,096 delays in their
//! order how far each is from the mean, in 8,192nds of the jitter.
//!
//! They are computed here, with arithmetic that is the same on every platform.

use std::sync::LazyLock;

/// Entries of a table.
const SIZE: usize = 4096;
/// The jitter, in a table (`NETEM_DIST_SCALE`).
const SCALE: f64 = 8192.0;

static NORMAL: LazyLock<Vec<i16>> = LazyLock::new(normal);
static PARETO: LazyLock<Vec<i16>> = LazyLock::new(pareto);
/// A quarter of the one and three quarters of the other.
static PARETONORMAL: LazyLock<Vec<i16>> = LazyLock::new(|| {
    let pairs = NORMAL.iter().zip(PARETO.iter());
    pairs.map(|(normal, pareto)| (f64::from(*normal) / 4.0 + f64::from(*pareto) * 0.75) as i16).collect()
});

/// The table of this name; `None`: there is no such file.
pub(super) fn table(name: &str) -> Option<&'static [i16]> {
    match name {
        "normal" => Some(&NORMAL),
        "pareto" => Some(&PARETO),
        "paretonormal" => Some(&PARETONORMAL),
        _ => None,
    }
}

/// The normal distribution: the density is summed up from the mean, and its other half is the mirror image.
fn normal() -> Vec<i16> {
    let mut table = vec![0; SIZE];
    let step = 1.0 / SCALE;
    let (mut density, mut sum) = (0.398_942_280_401_432_7, 0.0);
    let (mut x, mut next) = (0_i16, 1);
    while next < SIZE / 2 && x < i16::MAX {
        // The density falls by the factor e^-(x·step + step²/2).
        let fall = step * (f64::from(x) * step + step / 2.0);
        let after = density * (1.0 - fall + fall * fall / 2.0);
        sum += (density + after) / 2.0 * step;
        (density, x) = (after, x + 1);
        while next < SIZE / 2 && sum * SIZE as f64 >= next as f64 {
            (table[SIZE / 2 + next], table[SIZE / 2 - next]) = (x, -x);
            next += 1;
        }
    }
    table[0] = i16::MIN;
    table
}

/// A Pareto distribution with the exponent 3, its mean 1.5 moved to 0: with u even from 0 to 1, (1-u)^(-1/3).
fn pareto() -> Vec<i16> {
    let mut found = i16::MIN;
    let one = |at: usize| {
        let left = (SIZE - at) as f64 / SIZE as f64;
        let is_below = |entry: i16| {
            let x = f64::from(entry) / SCALE * 0.75 + 1.5;
            x * x * x * left < 1.0
        };
        while found < i16::MAX && is_below(found) {
            found += 1;
        }
        found
    };
    (0..SIZE).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries of the files of iproute2 6.1.0, away from the ends, where its own sums are less exact.
    #[test]
    fn tables_are_as_those_that_are_read() {
        let places = [64, 1024, 2047, 2048, 2049, 3072, 4032];
        let recorded = [("normal", RECORDED[0]), ("pareto", RECORDED[1]), ("paretonormal", RECORDED[2])];
        for (name, entries) in recorded {
            let table = table(name).expect("a table");
            assert_eq!(table.len(), SIZE);
            for (at, entry) in places.into_iter().zip(entries) {
                assert!((table[at] - entry).abs() <= 40, "{name} {at}: {} {entry}", table[at]);
            }
            assert!(table.is_sorted(), "{name}");
        }
        assert!(super::table("uniform").is_none());
    }

    const RECORDED: [[i16; 7]; 3] = [
        [-17638, -5525, -5, 0, 5, 5526, 17651],
        [-5404, -4362, -2625, -2622, -2620, 955, 27307],
        [-8462, -4652, -1970, -1966, -1963, 2097, 24893],
    ];
}
