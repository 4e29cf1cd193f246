//! Early exit of a program.

use crate::process::Process;

/// Exit status and output of an early exit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stop {
    /// Text for standard output.
    pub stdout: String,
    /// Text for standard error.
    pub stderr: String,
    /// Exit status.
    pub status: i32,
}

/// Result of a step of a program.
pub type Done<T = ()> = Result<T, Stop>;

impl Stop {
    /// Exits with 0 after this text on standard output (`--help`, `--version`).
    pub fn shown(text: impl Into<String>) -> Stop {
        Stop { stdout: text.into(), ..Stop::default() }
    }

    /// An error with this text on standard error, newline included.
    pub fn error(status: i32, text: impl Into<String>) -> Stop {
        Stop { stderr: text.into(), status, ..Stop::default() }
    }

    /// Prints the text and returns the exit status.
    pub fn say(self, process: &mut Process) -> i32 {
        process.print(self.stdout);
        process.eprint(self.stderr);
        self.status
    }
}
