//! Writes the output of the commands into a Markdown lesson; prose and commands do not change.

use std::io::{self, Write};
use std::path::Path;

use super::expect::{bless, matches};
use crate::lesson::Lesson;
use crate::shell::Outcome;

/// The text of the lesson with the new output.
pub fn blessed(lesson: &Lesson, outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    let mut copied = 0;
    for (prompt, outcome) in lesson.prompts().zip(outcomes) {
        if matches(&prompt.expected, &outcome.output) {
            continue;
        }
        let span = &prompt.expected_span;
        text.push_str(&lesson.source[copied..span.start]);
        text.push_str(&indented(
            &bless(&prompt.expected, &outcome.output),
            indent_of(lesson, prompt.command_span.start),
        ));
        copied = span.end;
    }
    text.push_str(&lesson.source[copied..]);
    text
}

/// Indentation of a prompt, for a fence in a list.
fn indent_of(lesson: &Lesson, command: usize) -> &str {
    let start = lesson.source[..command].rfind('\n').map_or(0, |newline| newline + 1);
    let line = &lesson.source[start..];
    &line[..line.len() - line.trim_start_matches(' ').len()]
}

fn indented(text: &str, indent: &str) -> String {
    text.lines().flat_map(|line| [if line.is_empty() { "" } else { indent }, line, "\n"]).collect()
}

/// Replaces a file atomically.
///
/// # Errors
///
/// Those of the file system; the file is unchanged then.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = (|| {
        let mut file = std::fs::File::create_new(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.set_permissions(std::fs::metadata(path)?.permissions())?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, outputs: &[&str], expected: &str) {
        let head = "---\ntitle: t\ntopology: { nodes: { n: {} } }\n---\n";
        let lesson = Lesson::parse(Path::new("x.md"), format!("{head}{body}")).expect("a lesson");
        let outcomes: Vec<Outcome> =
            outputs.iter().map(|output| Outcome { output: output.to_string(), status: 0 }).collect();
        assert_eq!(blessed(&lesson, &outcomes), format!("{head}{expected}"));
    }

    #[test]
    fn only_the_output_changes() {
        check(
            "p\n\n```console\nn# a\nn# b\nold\n```\nq\n",
            &["1\n", "2\n"],
            "p\n\n```console\nn# a\n1\nn# b\n2\n```\nq\n",
        );
        check(
            "- x\n\n  ```console\n  n# a\n  ```\n",
            &["1\n\n2\n"],
            "- x\n\n  ```console\n  n# a\n  1\n\n  2\n  ```\n",
        );
        check("```console\nn# a \\\n  b\n…\n```\n", &["1\n"], "```console\nn# a \\\n  b\n…\n```\n");
        check("```console\nn# a\nx\n```\n", &[""], "```console\nn# a\n```\n");
        check("```console\nn# a\nx\n```\n", &["no newline"], "```console\nn# a\nno newline\n```\n");
    }
}
