//! What ends a program before its work is done.

use crate::process::Process;

/// The end of a program: what it still says, and its exit status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stop {
    /// Text for standard output.
    pub stdout: String,
    /// Text for standard error.
    pub stderr: String,
    /// Exit status.
    pub status: i32,
}

/// What a step of a program gives.
pub type Done<T = ()> = Result<T, Stop>;

impl Stop {
    /// Nothing is left to do after this text on standard output (`--help`, `--version`).
    pub fn shown(text: impl Into<String>) -> Stop {
        Stop { stdout: text.into(), ..Stop::default() }
    }

    /// A failure with this text, newline included, on standard error.
    pub fn error(status: i32, text: impl Into<String>) -> Stop {
        Stop { stderr: text.into(), status, ..Stop::default() }
    }

    /// Says it and gives the exit status.
    pub fn say(self, process: &mut Process) -> i32 {
        process.print(self.stdout);
        process.eprint(self.stderr);
        self.status
    }
}
