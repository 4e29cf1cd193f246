//! `birdc` 2.0.12: asks the daemon over its control socket.
//!
//! Not modelled: completion, history and help of a terminal.

use std::sync::{Arc, Mutex};

use super::commands::COMMANDS;
use super::show::VERSION;
use super::{CONTROL, Request, Service, lock};
use crate::getopt;
use crate::process::{Process, Running, Woken};
use crate::stop::{Done, Stop};

const USAGE: &str = "Usage: birdc [-s <control-socket>] [-v] [-r] [-l]\n";

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move { birdc(process).await.unwrap_or_else(|stop| stop.say(process)) })
}

async fn birdc(process: &mut Process) -> Done<i32> {
    let args = process.args().to_vec();
    let parsed = getopt::parse(&args, "s:vrl", &[]);
    if let Some(error) = parsed.error {
        return Err(Stop::error(1, format!("birdc: {error}\n{USAGE}")));
    }
    let (mut path, mut restricted) = (CONTROL.to_owned(), false);
    for option in parsed.options {
        match option.name.as_str() {
            "s" => path = option.value,
            "r" => restricted = true,
            "l" => "bird.ctl".clone_into(&mut path),
            other => return Err(Stop::error(1, format!("birdc: not modelled yet: -{other}\n"))),
        }
    }
    let full = process.path(&path);
    let Some(service) = process.syscall(|cx| cx.k.unix.connect::<Service>(&full)) else {
        let text =
            format!("Unable to connect to server control socket ({path}): No such file or directory\n");
        return Err(Stop::error(1, text));
    };
    process.print(format!("BIRD {VERSION} ready.\n"));
    if restricted {
        process.print("Access restricted\n");
    }
    let mut client = Client { service, path: full, restricted };
    if !parsed.operands.is_empty() {
        client.line(process, &parsed.operands.join(" ")).await;
        return Ok(0);
    }
    loop {
        let Ok(line) = process.read_line().await else { return Ok(1) };
        if line.is_empty() {
            return Ok(0);
        }
        let line = String::from_utf8_lossy(&line).trim().to_owned();
        if !client.line(process, &line).await {
            return Ok(0);
        }
    }
}

struct Client {
    service: Arc<Service>,
    path: String,
    restricted: bool,
}

impl Client {
    /// Does a line; false: it was the last.
    async fn line(&mut self, process: &mut Process, line: &str) -> bool {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return true;
        }
        let expanded = match expand(line) {
            Ok(expanded) => expanded,
            Err(text) => {
                process.print(text);
                return true;
            }
        };
        match expanded.as_str() {
            "quit" | "exit" => return false,
            "help" => process.print("not modelled yet: help\n"),
            "restrict" => {
                self.restricted = true;
                process.print("Access restricted\n");
            }
            _ => return self.ask(process, &expanded).await,
        }
        true
    }

    async fn ask(&self, process: &mut Process, line: &str) -> bool {
        let changes = |(command, changes): &&(&str, bool)| {
            *changes && line.split(' ').next() == command.split(' ').next()
        };
        if self.restricted && COMMANDS.iter().find(changes).is_some() {
            process.print("Access denied\n");
            return true;
        }
        let answer = Arc::new(Mutex::new(None));
        let request = Request { line: line.to_owned(), answer: answer.clone() };
        lock(&self.service.requests).push_back(request);
        process.syscall(|cx| cx.wake_up());
        // The daemon may end before it answers.
        let (path, machine) = (self.path.clone(), process.machine);
        let woken = process
            .wait(None, move |world| {
                let answered = lock(&answer).take();
                let is_there = || world.kernel(machine).unix.connect::<Service>(&path).is_some();
                answered.map(Some).or_else(|| (!is_there()).then_some(None))
            })
            .await;
        match woken {
            Woken::Ready(Some(text)) => {
                process.print(text);
                true
            }
            Woken::Ready(None) => {
                process.print("Connection closed by server\n");
                false
            }
            Woken::Elapsed | Woken::Signal(_) => false,
        }
    }
}

/// Completes the words of a command that are shortened.
///
/// # Errors
///
/// There is no such command, or there are several.
fn expand(line: &str) -> Result<String, String> {
    let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let mut at = 0;
    let mut known: Vec<Vec<&str>> =
        COMMANDS.iter().map(|(command, _)| command.split(' ').collect()).collect();
    loop {
        // A command is whole where its next word is none of the longer ones.
        let is_whole = known.iter().any(|command| command.len() == at);
        let Some(word) = words.get(at).cloned() else {
            return if is_whole { Ok(words.join(" ")) } else { Err(NO_COMMAND.to_owned()) };
        };
        let mut fitting: Vec<&str> = known
            .iter()
            .filter_map(|command| command.get(at))
            .filter(|next| next.starts_with(&word))
            .copied()
            .collect();
        fitting.dedup();
        let exact = fitting.iter().find(|next| **next == word).copied();
        match (exact.or_else(|| fitting.first().copied()), fitting.len()) {
            (Some(next), count) if exact.is_some() || count == 1 => {
                next.clone_into(&mut words[at]);
                known.retain(|command| command.get(at) == Some(&next));
                at += 1;
            }
            _ if is_whole => return Ok(words.join(" ")),
            (None, _) => return Err(NO_COMMAND.to_owned()),
            (Some(_), _) => {
                let all = COMMANDS.iter().map(|(command, _)| *command);
                let starts = words[..at].join(" ");
                let prefix = if starts.is_empty() { word.clone() } else { format!("{starts} {word}") };
                let all: Vec<&str> = all.filter(|command| command.starts_with(&prefix)).collect();
                return Err(format!("Ambiguous command, possible expansions are:\n{}\n", all.join("\n")));
            }
        }
    }
}

const NO_COMMAND: &str = "No such command. Press `?' for help.\n";

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn shortened_commands() {
        assert_eq!(expand("sh pr all").as_deref(), Ok("show protocols all"));
        assert_eq!(expand("show protocols peer").as_deref(), Ok("show protocols peer"));
        assert_eq!(expand("conf").as_deref(), Ok("configure"));
        assert!(expand("show").is_err() && expand("frob").is_err() && expand("show nosuch").is_err());
        assert!(expand("re x").is_err_and(|text| text.starts_with("Ambiguous")));
    }
}
