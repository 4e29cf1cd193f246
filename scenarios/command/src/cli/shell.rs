//! `glassnet shell`: a prompt on the simulated machines.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use glassnet_scenarios::lab;
use glassnet_scenarios::lesson::{Lesson, Node, Topology};
use glassnet_scenarios::shell::{Session, is_complete};
use rustyline::error::ReadlineError;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Completer, Editor, Helper, Highlighter, Hinter};

use super::style::PROMPT;
use super::{Status, complain, could_not, read_lesson};

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A lesson whose machines to use; one machine `node1` without it
    file: Option<PathBuf>,
    /// Run the lesson's prompts first
    #[arg(long, requires = "file")]
    play: bool,
    /// Where chance comes from, such as the addresses of new devices
    #[arg(long, default_value_t = lab::SEED)]
    seed: u64,
}

const EXAMPLES: &str = "\
Examples:
  glassnet shell                                        one machine, node1
  glassnet shell --play scenarios/lessons/bridge.md     look around after a lesson
  echo 'ip addr' | glassnet shell                       from a pipe: the exit status is the last command's

At the prompt, @node2 goes to another machine, @ lists them, exit or Ctrl-D leaves.";

pub(super) fn main(args: Args) -> io::Result<Status> {
    let lesson = match &args.file {
        None => None,
        Some(path) => match read_lesson(path) {
            Ok(lesson) => Some(lesson),
            Err(report) => {
                complain(&report);
                return Ok(Status::CouldNot);
            }
        },
    };
    let topology = lesson.as_ref().map_or_else(one_machine, |lesson| lesson.front.topology.clone());
    let session = Session::new(lab::build(&topology, args.seed))?;
    let machine = session.machines().next().unwrap_or_default().to_string();
    let names: Vec<String> = session.machines().map(str::to_string).collect();
    let refused = Refused::default();
    for name in names {
        let refused = refused.clone();
        session.watch(&name, Box::new(move |bytes| print_now(&refused, bytes)));
    }
    let mut prompt = Prompt { session, machine, status: 0, refused };
    if let Some(lesson) = lesson.filter(|_| args.play) {
        prompt.play(&lesson)?;
    }
    match io::stdin().is_terminal() {
        true => prompt.interactive()?,
        false => prompt.piped()?,
    }
    Ok(Status::Other(prompt.status))
}

fn one_machine() -> Topology {
    let node = Node::default();
    Topology { nodes: [("node1".to_string(), node)].into(), ..Topology::default() }
}

/// The first error of standard output, which ends the shell after the line.
type Refused = Arc<Mutex<Option<io::Error>>>;

/// Output appears as it is printed.
fn print_now(refused: &Refused, bytes: &[u8]) {
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_all(bytes).and_then(|()| out.flush()) {
        refused.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

struct Prompt {
    session: Session,
    machine: String,
    status: u8,
    refused: Refused,
}

impl Prompt {
    fn play(&mut self, lesson: &Lesson) -> io::Result<()> {
        for prompt in lesson.prompts() {
            let mut out = anstream::stdout().lock();
            writeln!(out, "{PROMPT}{}#{PROMPT:#} {}", prompt.machine, prompt.command.replace('\n', "\n> "))?;
            drop(out);
            self.run(&prompt.machine, &prompt.command);
            self.is_heard()?;
        }
        Ok(())
    }

    /// Standard output takes what is printed.
    fn is_heard(&self) -> io::Result<()> {
        match self.refused.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(io::Error::new(error.kind(), format!("standard output: {error}"))),
            None => Ok(()),
        }
    }

    /// Runs a command line; false if the shell exited.
    fn run(&mut self, machine: &str, command: &str) -> bool {
        match self.session.run(machine, command) {
            Ok(outcome) => {
                self.status = outcome.status as u8;
                !self.session.has_exited(machine)
            }
            Err(error) => {
                could_not(error);
                could_not(format_args!("{machine} has a new shell now: variables and jobs are gone"));
                self.status = 2;
                true
            }
        }
    }

    /// Handles one complete line; false to leave.
    fn line(&mut self, line: &str) -> bool {
        let word = line.trim();
        if let Some(name) = word.strip_prefix('@') {
            self.switch(name);
            return true;
        }
        let machine = self.machine.clone();
        match word {
            "" => true,
            "logout" => self.run(&machine, "exit"),
            _ => self.run(&machine, line),
        }
    }

    /// The end of the input: the shell exits, which runs its trap.
    fn end(&mut self) {
        self.line(&format!("exit {}", self.status));
    }

    fn switch(&mut self, name: &str) {
        let names: Vec<&str> = self.session.machines().collect();
        if names.contains(&name) {
            self.machine = name.to_string();
            return;
        }
        if !name.is_empty() {
            could_not(format_args!("there is no machine `{name}`"));
            self.status = 1;
        }
        print_now(&self.refused, format!("{}\n", names.join("\n")).as_bytes());
    }

    fn interactive(&mut self) -> io::Result<()> {
        let mut editor: Editor<ShellHelper, _> = Editor::new().map_err(io::Error::other)?;
        editor.set_helper(Some(ShellHelper));
        loop {
            match editor.readline(&format!("{}# ", self.machine)) {
                Ok(line) => {
                    let _ = editor.add_history_entry(&line);
                    if !self.line(&line) {
                        return Ok(());
                    }
                    self.is_heard()?;
                }
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => {
                    self.end();
                    return Ok(());
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }

    fn piped(&mut self) -> io::Result<()> {
        let mut pending = String::new();
        for line in io::stdin().lock().lines() {
            pending.push_str(&line?);
            if is_complete(&pending) {
                if !self.line(&std::mem::take(&mut pending)) {
                    return Ok(());
                }
                self.is_heard()?;
            } else {
                pending.push('\n');
            }
        }
        if self.line(&pending) {
            self.end();
        }
        self.is_heard()
    }
}

/// Asks for more lines while a command line is not complete.
#[derive(Completer, Helper, Highlighter, Hinter)]
struct ShellHelper;

impl Validator for ShellHelper {
    fn validate(&self, ctx: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        Ok(match is_complete(ctx.input()) {
            true => ValidationResult::Valid(None),
            false => ValidationResult::Incomplete,
        })
    }
}
