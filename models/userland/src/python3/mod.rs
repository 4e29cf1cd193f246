//! `python3` of Debian 12 (3.11.2), as far as `python3 -m http.server` goes.
//!
//! Not modelled: the language.

mod connection;
mod pages;
mod server;

use crate::process::{Process, Running};

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let args: Vec<String> = process.args().to_vec();
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["-V" | "--version"] => {
                process.print("Python 3.11.2\n");
                0
            }
            ["-m", "http.server", rest @ ..] => server::main(process, rest).await,
            ["-u", "-m", "http.server", rest @ ..] => server::main(process, rest).await,
            _ => {
                process.eprint("python3: not modelled yet: Python beside `python3 -m http.server`\n");
                2
            }
        }
    })
}
