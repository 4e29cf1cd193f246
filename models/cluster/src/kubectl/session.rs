//! A running `kubectl`: what it was given, and the server.

use std::sync::Arc;

use glassnet_sim::Nanos;
use glassnet_userland::process::{Process, Woken};

use super::failure::{Done, Failure};
use super::flags::Given;
use crate::api::ApiServer;
use crate::object::{Key, Object};
use crate::store::Store;

/// A running `kubectl`.
pub(super) struct Session<'a> {
    /// Its process.
    pub process: &'a mut Process,
    /// The API server.
    pub api: Arc<ApiServer>,
    /// Its command line.
    pub given: Given,
}

/// What `--dry-run` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DryRun {
    /// Everything is done.
    None,
    /// The server is not asked.
    Client,
    /// The server checks, and keeps nothing.
    Server,
}

impl DryRun {
    /// What is said behind what was done.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            DryRun::None => "",
            DryRun::Client => " (dry run)",
            DryRun::Server => " (server dry run)",
        }
    }
}

/// A span of time as Go reads it: `90s`, `1m30s`, `0`.
pub(super) fn duration(text: &str) -> Option<Nanos> {
    let mut total = 0.0;
    let mut rest = text;
    if text == "0" {
        return Some(Nanos::ZERO);
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let count: f64 = rest[..end].parse().ok()?;
        let behind = &rest[end..];
        let end = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let unit = match &behind[..end] {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        total += count * unit;
        rest = &behind[end..];
    }
    (!text.is_empty()).then_some(Nanos(total as u64))
}

impl Session<'_> {
    /// The namespace of what has none.
    pub(super) fn namespace(&self) -> String {
        self.given.text("namespace").unwrap_or("default").to_owned()
    }

    /// Prints a line.
    pub(super) fn say(&mut self, line: impl AsRef<str>) {
        self.process.print(format!("{}\n", line.as_ref()));
    }

    /// Prints a line to standard error.
    pub(super) fn complain(&mut self, line: impl AsRef<str>) {
        self.process.eprint(format!("{}\n", line.as_ref()));
    }

    /// An object of the server.
    pub(super) fn object(&self, key: &Key) -> Done<Arc<Object>> {
        let found = self.api.store().object(key).cloned();
        found.ok_or_else(|| crate::error::ApiError::NotFound(key.clone()).into())
    }

    /// What `--dry-run` says.
    pub(super) fn dry_run(&self) -> Done<DryRun> {
        match self.given.text("dry-run") {
            None | Some("none") => Ok(DryRun::None),
            Some("client" | "unchanged") => Ok(DryRun::Client),
            Some("server") => Ok(DryRun::Server),
            Some(other) => Err(Failure::own(format!(
                "Invalid dry-run value ({other}). Must be \"none\", \"server\", or \"client\"."
            ))),
        }
    }

    /// The moment at which a `--timeout` is over; none for 0.
    pub(super) fn deadline(&self, default: &str) -> Done<Option<Nanos>> {
        let text = self.given.text("timeout").unwrap_or(default);
        let span = duration(text).ok_or_else(|| {
            let why = format!("time: invalid duration {text:?}");
            Failure::own(format!(
                "invalid argument {text:?} for \"--timeout\" flag: {why}\nSee 'kubectl {} --help' for usage.",
                self.given.command
            ))
        })?;
        Ok((span > Nanos::ZERO).then(|| self.process.now() + span))
    }

    /// Waits until the store is as wanted; `None`: the deadline passed.
    pub(super) async fn until<T>(
        &mut self,
        deadline: Option<Nanos>,
        mut wanted: impl FnMut(&Store) -> Option<T> + Send,
    ) -> Option<T> {
        let api = self.api.clone();
        match self.process.wait(deadline, |_| wanted(&api.store())).await {
            Woken::Ready(value) => Some(value),
            Woken::Elapsed | Woken::Signal(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_go_s() {
        assert_eq!(duration("1m30s"), Some(Nanos(90_000_000_000)));
        assert_eq!(duration("1.5s"), Some(Nanos(1_500_000_000)));
        assert_eq!(duration("0"), Some(Nanos::ZERO));
        assert_eq!((duration("5"), duration("x"), duration("")), (None, None, None));
    }
}
