//! `ip` and `bridge` that stay: one process a namespace takes commands by the line (`-batch -`).

use std::fs::File;
use std::io::{self, Read, Write};

use super::bare::{BareMachine, Ends, Program};

/// A tool that waits for commands.
pub(super) struct Tool {
    program: Program,
    /// Lines written so far.
    lines: usize,
    terminal: File,
}

/// An answer.
pub(super) struct Answer {
    /// What was printed, without the notice that a line of the batch failed.
    pub text: String,
    /// The command succeeded.
    pub succeeded: bool,
    /// The tool is still there: it ends at a command that it cannot read.
    pub stays: bool,
}

/// Behind each command comes a line that fails, whose notice tells the end.
const LAST: &str = "glassnet";

impl Tool {
    /// Starts `NAME OPTIONS -force -batch -`.
    pub fn start(machine: &BareMachine, netns: &str, name: &str, options: &[&str]) -> io::Result<Self> {
        let words = [name].into_iter().chain(options.iter().copied()).chain(["-force", "-batch", "-"]);
        let argv: Vec<String> = words.map(str::to_owned).collect();
        let mut program = machine.spawn(netns, &argv, Ends::Asked)?;
        let terminal = program.terminal.take().ok_or_else(|| io::Error::other("no terminal"))?;
        Ok(Self { program, lines: 0, terminal })
    }

    /// Gives it a command.
    pub fn ask(&mut self, command: &str) -> io::Result<Answer> {
        let Some(input) = &mut self.program.input else { return Err(io::Error::other("no input")) };
        input.write_all(format!("{command}\n{LAST}\n").as_bytes())?;
        self.lines += 2;
        let end = failure(self.lines);
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        while !seen.ends_with(end.as_bytes()) {
            match self.terminal.read(&mut buffer) {
                Ok(count) if count > 0 => seen.extend_from_slice(&buffer[..count]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // Nobody has the terminal open any more.
                _ => {
                    let text = String::from_utf8_lossy(&seen).into_owned();
                    return Ok(Answer { text, succeeded: false, stays: false });
                }
            }
        }
        let text = String::from_utf8_lossy(&seen);
        let text = text.strip_suffix(&end).unwrap_or(&text);
        // Object "glassnet" is unknown, try "ip help".
        let text = &text[..text.rfind(&format!("Object \"{LAST}\"")).unwrap_or(text.len())];
        let failed = failure(self.lines - 1);
        let succeeded = !text.contains(&failed);
        Ok(Answer { text: text.replace(&failed, ""), succeeded, stays: true })
    }
}

/// The notice that a line failed.
fn failure(line: usize) -> String {
    format!("Command failed -:{line}\n")
}

impl Drop for Tool {
    fn drop(&mut self) {
        drop(self.program.input.take());
        let _ = self.program.child.wait();
    }
}
