//! Comparison of output with a lesson, in which `…` matches any text.
//!
//! A line that is only `…` matches any number of lines, including none; `…` inside a line matches any text in that
//! line.

/// The wildcard.
const ANY: char = '…';

fn is_any_lines(line: &str) -> bool {
    line.trim() == "…"
}

/// The output matches the lesson.
pub fn matches(expected: &str, printed: &str) -> bool {
    let (expected, printed): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), printed.lines().collect());
    // reach[p]: the expected lines so far match the first p printed lines.
    let mut reach = vec![false; printed.len() + 1];
    reach[0] = true;
    for line in expected {
        let mut next = vec![false; printed.len() + 1];
        if is_any_lines(line) {
            let first = reach.iter().position(|reached| *reached).unwrap_or(reach.len());
            next[first..].fill(true);
        } else {
            for at in 0..printed.len() {
                next[at + 1] = reach[at] && line_matches(line, printed[at]);
            }
        }
        reach = next;
    }
    reach[printed.len()]
}

/// A line matches the lesson, ignoring trailing spaces.
fn line_matches(expected: &str, printed: &str) -> bool {
    let (expected, mut rest) = (expected.trim_end(), printed.trim_end());
    let Some((first, others)) = expected.split_once(ANY) else { return expected == rest };
    let Some(after) = rest.strip_prefix(first) else { return false };
    rest = after;
    let mut parts: Vec<&str> = others.split(ANY).collect();
    let last = parts.pop().unwrap_or("");
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// The longest common sequence of matching lines (expected, printed), without `…` lines.
fn align(expected: &[&str], printed: &[&str]) -> Vec<(usize, usize)> {
    let pairs = |e: usize, p: usize| !is_any_lines(expected[e]) && line_matches(expected[e], printed[p]);
    let mut longest = vec![vec![0u32; printed.len() + 1]; expected.len() + 1];
    for e in (0..expected.len()).rev() {
        for p in (0..printed.len()).rev() {
            let taken = if pairs(e, p) { longest[e + 1][p + 1] + 1 } else { 0 };
            longest[e][p] = taken.max(longest[e + 1][p]).max(longest[e][p + 1]);
        }
    }
    let (mut e, mut p, mut found) = (0, 0, Vec::new());
    while e < expected.len() && p < printed.len() {
        if pairs(e, p) && longest[e][p] == longest[e + 1][p + 1] + 1 {
            found.push((e, p));
            (e, p) = (e + 1, p + 1);
        } else if longest[e + 1][p] >= longest[e][p + 1] {
            e += 1;
        } else {
            p += 1;
        }
    }
    found
}

/// The new expected text: the printed lines, with the `…` lines that still separate the same lines, and the lines with
/// `…` that still match.
pub fn bless(expected: &str, printed: &str) -> String {
    rewrite(expected, printed, true)
}

/// The expected text with each `…` replaced by what it matches, so that a diff shows only real differences.
pub fn filled(expected: &str, printed: &str) -> String {
    rewrite(expected, printed, false)
}

fn rewrite(expected: &str, printed: &str, bless: bool) -> String {
    if matches(expected, printed) {
        return if bless { expected.to_string() } else { printed.to_string() };
    }
    let (expected, printed): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), printed.lines().collect());
    let mut anchors = align(&expected, &printed);
    anchors.push((expected.len(), printed.len()));
    let (mut e, mut p, mut lines) = (0, 0, Vec::new());
    for (next_e, next_p) in anchors {
        let gap = &expected[e..next_e];
        let only_any = !gap.is_empty() && gap.iter().all(|line| is_any_lines(line));
        match (bless, only_any) {
            (true, true) => lines.push(gap[0]),
            (true, false) | (false, true) => lines.extend(&printed[p..next_p]),
            (false, false) => lines.extend(gap),
        }
        if next_e < expected.len() {
            lines.push(if bless { expected[next_e] } else { printed[next_p] });
        }
        (e, p) = (next_e + 1, next_p + 1);
    }
    lines.iter().flat_map(|line| [*line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        let cases = [
            ("a\nb\n", "a\nb\n", true),
            ("a\n", "a\nb\n", false),
            ("", "", true),
            ("", "a\n", false),
            ("…\n", "", true),
            ("…\n", "a\nb\n", true),
            ("a\n…\nc\n", "a\nc\n", true),
            ("a\n…\nc\n", "a\nb\nc\nb\n", false),
            ("…\nb\n…\n", "a\nb\nb\n", true),
            ("time=… ms\n", "time=0.05 ms\n", true),
            ("time=… ms\n", "time=0.05 s\n", false),
            ("a…b…c\n", "a1b2b3c\n", true),
            ("ab…b\n", "ab\n", false),
            ("a  \n", "a\n", true),
        ];
        for (expected, printed, outcome) in cases {
            assert_eq!(matches(expected, printed), outcome, "{expected:?} {printed:?}");
        }
    }

    #[test]
    fn blessing_keeps_what_still_stands() {
        let cases = [
            ("a\n…\nc\n", "a\n1\n2\nc\nd\n", "a\n…\nc\nd\n"),
            ("a\n…\n", "x\ny\n", "x\ny\n"),
            ("…\n", "x\n", "…\n"),
            ("", "x\n", "x\n"),
            ("x\n", "", ""),
            ("t=… ms\nold\n", "t=5 ms\nnew\n", "t=… ms\nnew\n"),
        ];
        for (expected, printed, blessed) in cases {
            assert_eq!(bless(expected, printed), blessed, "{expected:?} {printed:?}");
        }
    }

    #[test]
    fn a_blessed_text_matches() {
        // All short texts over an alphabet with both wildcards.
        let lines = ["a", "b", "…", "a…"];
        let texts: Vec<String> = (0..4usize.pow(4))
            .map(|number| (0..4).map(|at| lines[number / 4usize.pow(at) % 4].to_string() + "\n").collect())
            .collect();
        let printed = ["", "a\n", "a\nb\n", "ab\nb\na\n", "b\nb\nab\na\nb\n"];
        for expected in &texts {
            for printed in printed {
                let blessed = bless(expected, printed);
                assert!(matches(&blessed, printed), "{expected:?} {printed:?} {blessed:?}");
                if matches(expected, printed) {
                    assert_eq!(filled(expected, printed), printed, "{expected:?}");
                }
            }
        }
    }
}
