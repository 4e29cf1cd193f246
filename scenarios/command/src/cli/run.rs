//! `glassnet run`: lessons on the simulator.

use std::io::{self, Write};
use std::path::Path;

use glassnet_scenarios::lab;
use glassnet_scenarios::lesson::{Lesson, Prompt};
use glassnet_scenarios::output::write_whole;
use glassnet_scenarios::run::{Run, RunError, blessed, filled, matches};
use glassnet_scenarios::shell::Outcome;
use similar::{ChangeTag, TextDiff};

use super::style::{BAD, GOOD, LESS, MORE, PLACE, PROMPT};
use super::{Lessons, Status, complain, could_not, progress, read_lesson};

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    lessons: Lessons,
    /// Write what the commands print into the lessons
    #[arg(long)]
    bless: bool,
    /// Show every prompt with what it prints
    #[arg(short, long)]
    verbose: bool,
    /// Where chance comes from, such as the addresses of new devices
    #[arg(long, default_value_t = lab::SEED)]
    seed: u64,
}

const EXAMPLES: &str = "\
Examples:
  glassnet run scenarios/lessons/bridge.md       check one lesson
  glassnet run -v scenarios/lessons/bridge.md    and see what it does
  glassnet run --bless my-lesson.md              write what it prints into it
  glassnet run - < my-lesson.md                  read it from a pipe";

/// What became of one lesson.
struct Checked {
    prompts: usize,
    differing: usize,
}

pub(super) fn main(args: Args) -> io::Result<Status> {
    let mut worst = Status::Expected;
    for path in &args.lessons.files {
        worst = worst.max(lesson(path, &args)?);
    }
    Ok(worst)
}

fn lesson(path: &Path, args: &Args) -> io::Result<Status> {
    let lesson = match read_lesson(path) {
        Ok(lesson) => lesson,
        Err(report) => {
            complain(&report);
            return Ok(Status::CouldNot);
        }
    };
    if args.bless && path.extension().is_none_or(|ending| ending != "md") {
        return Ok(could_not(format_args!("--bless writes Markdown files only, not {}", path.display())));
    }
    let mut out = anstream::stdout().lock();
    let (outcomes, checked) = match check(&lesson, args, &mut out)? {
        Ok(checked) => checked,
        Err(error) => {
            out.flush()?;
            complain(&error.into());
            return Ok(Status::CouldNot);
        }
    };
    let name = path.display();
    if args.bless && checked.differing > 0 {
        let text = match blessed(&lesson, &outcomes) {
            Ok(text) => text,
            Err(error) => {
                out.flush()?;
                return Ok(complain(&error.into()));
            }
        };
        write_whole(path, text.as_bytes())?;
        writeln!(out, "{GOOD}blessed{GOOD:#} {name}: {} of {} prompts", checked.differing, checked.prompts)?;
        return Ok(Status::Expected);
    }
    if checked.differing > 0 {
        writeln!(out, "{BAD}failed{BAD:#} {name}: {} of {} prompts", checked.differing, checked.prompts)?;
        return Ok(Status::Unexpected);
    }
    writeln!(out, "{GOOD}ok{GOOD:#} {name}: {} prompts", checked.prompts)?;
    Ok(Status::Expected)
}

/// Runs the lesson and shows what differs.
fn check(
    lesson: &Lesson,
    args: &Args,
    out: &mut impl Write,
) -> io::Result<Result<(Vec<Outcome>, Checked), RunError>> {
    let progress = progress(lesson.prompts().count());
    let mut run = match Run::new(lesson, args.seed) {
        Ok(run) => run,
        Err(error) => return Ok(Err(error)),
    };
    let mut outcomes = Vec::new();
    let mut differing = 0;
    for prompt in lesson.prompts() {
        progress.set_message(prompt.command.lines().next().unwrap_or("").to_string());
        let outcome = match run.prompt(prompt) {
            Ok(outcome) => outcome,
            Err(error) => {
                progress.finish_and_clear();
                return Ok(Err(error));
            }
        };
        progress.inc(1);
        let is_expected = matches(&prompt.expected, &outcome.output);
        differing += usize::from(!is_expected);
        progress.suspend(|| match is_expected || args.bless {
            true if args.verbose => show(prompt, &outcome, out),
            true => Ok(()),
            false => show_difference(lesson, prompt, &outcome, out),
        })?;
        outcomes.push(outcome);
    }
    progress.finish_and_clear();
    let checked = Checked { prompts: outcomes.len(), differing };
    Ok(Ok((outcomes, checked)))
}

fn show(prompt: &Prompt, outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{PROMPT}{}#{PROMPT:#} {}", prompt.machine, prompt.command.replace('\n', "\n> "))?;
    out.write_all(outcome.output.as_bytes())?;
    match outcome.output.is_empty() || outcome.output.ends_with('\n') {
        true => Ok(()),
        false => writeln!(out),
    }
}

fn show_difference(
    lesson: &Lesson,
    prompt: &Prompt,
    outcome: &Outcome,
    out: &mut impl Write,
) -> io::Result<()> {
    let place = format!("{}:{}", lesson.path.display(), prompt.line);
    let command = prompt.command.replace('\n', "\n> ");
    writeln!(out, "{PLACE}{place}:{PLACE:#} {PROMPT}{}#{PROMPT:#} {command}", prompt.machine)?;
    let expected = filled(&prompt.expected, &outcome.output);
    for change in TextDiff::from_lines(&expected, &outcome.output).iter_all_changes() {
        let line = change.value().trim_end_matches('\n');
        match change.tag() {
            ChangeTag::Delete => writeln!(out, "{LESS}- {line}{LESS:#}")?,
            ChangeTag::Insert => writeln!(out, "{MORE}+ {line}{MORE:#}")?,
            ChangeTag::Equal => writeln!(out, "  {line}")?,
        }
    }
    if outcome.status != 0 {
        writeln!(out, "  (exit status {})", outcome.status)?;
    }
    writeln!(out)
}
