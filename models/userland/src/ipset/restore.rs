//! `restore`: commands from a file.
//!
//! The real program collects `add`s and `del`s of one set and sends them together; a wrong word in a later line
//! makes it forget those that it had not sent. So does this one. A `test` ends the whole run, also as there.

use glassnet_kernel::net::netfilter::ipset::ip_set_core::IpSetCall;
use glassnet_kernel::tables::ipset::types::{Adt, Request};

use super::{Command, Fail, Session, extra, kernel_text, show, tell};
use crate::process::Process;

/// Elements that were not sent yet.
#[derive(Default)]
struct Pending {
    target: Option<(Command, String)>,
    requests: Vec<(usize, Request)>,
}

/// Runs the lines of the file of `-file`, or of standard input.
pub async fn run(process: &mut Process, session: &mut Session, words: &[String]) -> Result<(), Fail> {
    extra(words)?;
    let bytes = match &session.file {
        Some(file) => {
            let path = process.path(file);
            process.files.clone().read(&path).await.map_err(|_| Fail::Status(255))?
        }
        None => process.read_to_end().await.unwrap_or_default(),
    };
    session.file = None;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut pending = Pending::default();
    for (at, line) in text.split_inclusive('\n').enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') || matches!(line, "COMMIT\n" | "COMMIT\r\n") {
            continue;
        }
        let words = split(line);
        match one(process, session, &mut pending, (at + 1, words)) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err((line, fail)) => return Err(Fail::Status(tell(process, session, fail, Some(line)))),
        }
    }
    match pending.send(process, session) {
        Ok(()) => Ok(()),
        Err((line, fail)) => Err(Fail::Status(tell(process, session, fail, Some(line)))),
    }
}

/// Splits a line at spaces outside of double quotes. A word is dropped if it is empty, unterminated, or if its first
/// quote is not at its start.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let mut quoted = false;
        let end = rest.find(|letter: char| {
            quoted ^= letter == '"';
            letter.is_whitespace() && !quoted
        });
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        let is_whole = !quoted && (word.starts_with('"') || !word.contains('"'));
        let word = word.replace('"', "");
        words.extend(Some(word).filter(|word| is_whole && !word.is_empty()));
        rest = after.trim_start();
    }
    words
}

type Outcome<T> = Result<T, (usize, Fail)>;

/// Runs a line; false if it ends the run.
fn one(
    process: &mut Process,
    session: &mut Session,
    pending: &mut Pending,
    (line, words): (usize, Vec<String>),
) -> Outcome<bool> {
    let here = |fail: Fail| (line, fail);
    let (command, words) = session.command(words).map_err(here)?;
    let what = match command {
        Command::Add => Adt::Add,
        Command::Del => Adt::Del,
        _ => {
            return other(process, session, pending, (line, command, &words));
        }
    };
    let is_same = pending
        .target
        .as_ref()
        .is_some_and(|(known, name)| *known == command && words.first().is_some_and(|first| first == name));
    if !is_same {
        pending.send(process, session)?;
    }
    let (_, name, request) = session.element(process, command, what, &words).map_err(here)?;
    pending.target = Some((command, name));
    pending.requests.push((line, request));
    Ok(true)
}

fn other(
    process: &mut Process,
    session: &mut Session,
    pending: &mut Pending,
    (line, command, words): (usize, Command, &[String]),
) -> Outcome<bool> {
    let here = |fail: Fail| (line, fail);
    match command {
        Command::Help | Command::Version | Command::Restore => {
            let text = format!("Command `{}' is invalid in restore mode.", command.name());
            return Err(here(Fail::Parameter(text)));
        }
        Command::Quit => {
            pending.send(process, session)?;
            return Ok(false);
        }
        Command::List | Command::Save => {
            pending.send(process, session)?;
            let text = show::text(process, session, command, words).map_err(here)?;
            process.print(text);
            return Ok(true);
        }
        _ => {}
    }
    pending.send(process, session)?;
    session.run(process, command, words).map_err(here)?;
    Ok(command != Command::Test)
}

impl Pending {
    fn send(&mut self, process: &Process, session: &Session) -> Outcome<()> {
        let Some((command, name)) = self.target.take() else { return Ok(()) };
        let what = if command == Command::Add { Adt::Add } else { Adt::Del };
        let requests = std::mem::take(&mut self.requests);
        let calls = requests
            .into_iter()
            .map(|(line, request)| (line, IpSetCall::Adt(name.clone(), what, Box::new(request))));
        for (line, call) in calls {
            let result = session.kernel(process, call);
            result.map_err(|error| (line, Fail::Other(kernel_text(command, error))))?;
        }
        Ok(())
    }
}
