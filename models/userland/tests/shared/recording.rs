//! Recordings of what real programs print: `$ COMMAND`, the text, `[STATUS]`, and so on.

use std::fmt::Write;
use std::path::Path;

/// Plays each row of `DIRECTORY/NAME.cmd` below `tests` and compares with `DIRECTORY/RECORDING.txt`, which
/// `DIRECTORY/record.sh` makes. `run` gives what a row prints, and its status; `same` takes the two texts of a row.
///
/// # Panics
///
/// Where they differ.
pub fn check(
    (directory, name, recording): (&str, &str, &str),
    mut run: impl FnMut(&str) -> (String, i32),
    same: impl Fn(&str, &str) -> bool,
) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(directory);
    let read = |name: String| std::fs::read_to_string(directory.join(name)).expect("a file of the recording");
    let (commands, recorded) = (read(format!("{name}.cmd")), read(format!("{recording}.txt")));
    let mut differences = String::new();
    let mut rest = recorded.as_str();
    for row in commands.lines() {
        let (text, status) = run(row);
        let played = format!("$ {row}\n{text}[{status}]\n");
        // A recording goes up to the next prompt.
        let end = rest.get(1..).and_then(|rest| rest.find("\n$ ")).map_or(rest.len(), |at| at + 2);
        let (expected, after) = rest.split_at(end);
        rest = after;
        if !same(expected, &played) {
            let _ = write!(differences, "--- recorded\n{expected}--- played\n{played}");
        }
    }
    assert!(differences.is_empty(), "{recording}.txt:\n{differences}");
    assert!(rest.is_empty(), "{recording}.txt has more:\n{rest}");
}
