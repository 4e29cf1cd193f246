//! Writes the output of the commands into a Markdown lesson; prose and commands do not change.

use super::expect::{bless, matches};
use crate::lesson::{Lesson, LessonError, Prompt};
use crate::shell::Outcome;

/// The text of the lesson with the new output.
///
/// # Errors
///
/// Output that would not be read as output: it looks like a prompt, a command's next line or the end of the block.
pub fn blessed(lesson: &Lesson, outcomes: &[Outcome]) -> Result<String, LessonError> {
    let text = rewritten(lesson, outcomes);
    let again = Lesson::parse(&lesson.path, text.clone());
    let read: Vec<&Prompt> = again.iter().flat_map(Lesson::prompts).collect();
    for (at, (prompt, outcome)) in lesson.prompts().zip(outcomes).enumerate() {
        let same = read.get(at).is_some_and(|read| {
            (&read.machine, &read.command) == (&prompt.machine, &prompt.command)
                && matches(&read.expected, &outcome.output)
        });
        if !same {
            return Err(unreadable(lesson, outcomes, prompt));
        }
    }
    match read.len() == outcomes.len() {
        true => Ok(text),
        false => Err(lesson.prompts().last().map_or_else(
            || lesson.error(0..0, "the lesson has no prompt", "here"),
            |prompt| unreadable(lesson, outcomes, prompt),
        )),
    }
}

/// An error at the first prompt whose output makes the lesson another one, or at `prompt`.
fn unreadable(lesson: &Lesson, outcomes: &[Outcome], prompt: &Prompt) -> LessonError {
    let alone = |at: usize| {
        let same = |(index, prompt): (usize, &Prompt)| match index == at {
            true => outcomes[at].clone(),
            false => Outcome { output: prompt.expected.clone(), status: 0 },
        };
        let outcomes: Vec<Outcome> = lesson.prompts().enumerate().map(same).collect();
        let read = Lesson::parse(&lesson.path, rewritten(lesson, &outcomes));
        read.is_ok_and(|read| read.prompts().map(|p| &p.command).eq(lesson.prompts().map(|p| &p.command)))
    };
    let prompt =
        lesson.prompts().enumerate().find(|(at, _)| !alone(*at)).map_or(prompt, |(_, prompt)| prompt);
    let message = "what this prints cannot stand in a lesson: it would be read as a prompt, as more of the command, or as the \
                   end of the block";
    lesson.error(prompt.command_span.clone(), message, "prints it")
}

fn rewritten(lesson: &Lesson, outcomes: &[Outcome]) -> String {
    let first = lesson.source.split_inclusive('\n').next().unwrap_or_default();
    let end = if first.ends_with("\r\n") { "\r\n" } else { "\n" };
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
            end,
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

fn indented(text: &str, indent: &str, end: &str) -> String {
    text.lines().flat_map(|line| [if line.is_empty() { "" } else { indent }, line, end]).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn check(body: &str, outputs: &[&str], expected: &str) {
        for end in ["\n", "\r\n"] {
            let body = format!("{HEAD}{body}").replace('\n', end);
            let lesson = Lesson::parse(Path::new("x.md"), body).expect("a lesson");
            let text = blessed(&lesson, &printed(outputs)).expect("a lesson again");
            assert_eq!(text, format!("{HEAD}{expected}").replace('\n', end));
        }
    }

    const HEAD: &str = "---\ntitle: t\ntopology: { nodes: { n: {} } }\n---\n";

    fn printed(outputs: &[&str]) -> Vec<Outcome> {
        outputs.iter().map(|output| Outcome { output: output.to_string(), status: 0 }).collect()
    }

    #[test]
    fn what_cannot_be_read_back_is_refused() {
        for (body, outputs, command, line) in [
            ("```console\nn# a\nn# b\n```\n", ["1\n", "```\n"], "b", 7),
            ("```console\nn# a\nn# b\n```\n", ["n# x\n", "2\n"], "a", 6),
            ("```console\nn# a\nn# b\n```\n", ["m# x\n", "2\n"], "a", 6),
            ("~~~console\nn# a\nn# b\n~~~\n", ["1\n", "> x\n"], "b", 7),
            ("~~~console\nn# a\nn# b\n~~~\n", ["1\n", "x\n~~~~\n"], "b", 7),
        ] {
            let lesson = Lesson::parse(Path::new("x.md"), format!("{HEAD}{body}")).expect("a lesson");
            let error = blessed(&lesson, &printed(&outputs)).expect_err("an error");
            assert_eq!((error.underlined(), error.line), (command, line), "{outputs:?}");
        }
        let body = "~~~console\nn# a\n~~~\n";
        let lesson = Lesson::parse(Path::new("x.md"), format!("{HEAD}{body}")).expect("a lesson");
        let text = blessed(&lesson, &printed(&["```\nx\n> y\n"])).expect("no fence of this block");
        assert!(text.ends_with("n# a\n```\nx\n> y\n~~~\n"), "{text}");
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
