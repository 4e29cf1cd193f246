//! `-batch FILE`: the lines of a file, or of standard input, as commands.

use super::args::{Done, Stop};
use crate::process::Process;

/// A file of commands.
pub struct Batch {
    file: String,
    text: String,
    /// `-force`: goes on after a failure.
    force: bool,
    /// Exit status of the program.
    pub status: i32,
}

impl Batch {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn open(process: &mut Process, file: &str, force: bool) -> Done<Batch> {
        let bytes = process.read_operand(file).await.map_err(|_| {
            Stop::failed(format!("Cannot open file \"{file}\" for reading: No such file or directory\n"))
        })?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Batch { file: file.to_owned(), text, force, status: 0 })
    }

    /// Commands with the number of their last line; a backslash at its end continues a line.
    pub fn commands(&self) -> Vec<(usize, Vec<String>)> {
        let (mut commands, mut number) = (Vec::new(), 0);
        let mut lines = self.text.split_inclusive('\n');
        while let Some(line) = lines.next() {
            number += 1;
            let mut line = line.to_owned();
            while line.ends_with("\\\n") {
                line.truncate(line.len() - 2);
                line.push_str(lines.next().unwrap_or_default());
                number += 1;
            }
            let words = split_line(&line);
            if !words.is_empty() {
                commands.push((number, words));
            }
        }
        commands
    }

    /// Records that a command failed; true if the batch continues.
    pub fn failed(&mut self, process: &mut Process, number: usize) -> bool {
        process.eprint(format!("Command failed {}:{number}\n", self.file));
        self.status = 1;
        self.force
    }
}

/// Splits a line of a batch file: spaces separate, quotes group, `#` begins a comment.
fn split_line(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '#' => break,
            '\'' | '"' => rest[1..].split_once(first).unwrap_or((&rest[1..], "")),
            _ => rest.split_at(rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len())),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}
