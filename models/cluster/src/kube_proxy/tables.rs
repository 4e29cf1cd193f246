//! The programs of iptables as kube-proxy runs them, and the input of `iptables-restore`.

use std::fmt;

use super::SyncError;
use super::config::Version;
use crate::command::{Answer, Command, Run};

/// Lines of an input.
#[derive(Default)]
pub struct Lines(String);

impl Lines {
    /// Adds a line.
    pub fn push(&mut self, line: fmt::Arguments<'_>) {
        // A string takes everything.
        let _ = fmt::write(&mut self.0, line);
        self.0.push('\n');
    }

    /// Declares a chain, which also empties it.
    pub fn chain(&mut self, chain: &str) {
        self.push(format_args!(":{chain} - [0:0]"));
    }
}

/// One table in an input: its chains are declared before its rules.
#[derive(Default)]
pub struct Table {
    /// Declarations.
    pub chains: Lines,
    /// Rules, and deletions of chains.
    pub rules: Lines,
}

impl Table {
    /// Adds it to an input.
    pub fn write(&self, name: &str, input: &mut String) {
        for text in ["*", name, "\n", &self.chains.0, &self.rules.0, "COMMIT\n"] {
            input.push_str(text);
        }
    }

    /// How long it is in an input, nearly.
    pub fn len(&self) -> usize {
        self.chains.0.len() + self.rules.0.len() + 16
    }
}

/// Where a rule goes in its chain.
#[derive(Clone, Copy)]
pub enum Position {
    /// To its end.
    Append,
    /// Before all others.
    Prepend,
}

/// A jump from a built-in chain, or another that is not kube-proxy's alone.
pub struct Jump {
    /// Of both chains.
    pub table: &'static str,
    /// The chain that is made.
    pub to: &'static str,
    /// The chain that gets the rule.
    pub from: &'static str,
    /// Its comment; empty for none.
    pub comment: &'static str,
    /// For first packets of connections only.
    pub only_new: bool,
}

/// Runs a command.
pub async fn run<R: Run>(run: &mut R, argv: &[&str]) -> Answer {
    run.run(Command { argv: argv.iter().map(|&word| word.to_owned()).collect(), stdin: String::new() }).await
}

/// Runs a command that must not fail.
pub async fn must<R: Run>(runner: &mut R, argv: &[&str]) -> Result<Answer, SyncError> {
    let answer = run(runner, argv).await;
    if answer.status == 0 { Ok(answer) } else { Err(SyncError::new(&argv.join(" "), &answer)) }
}

/// How the programs are called: all wait for the lock of others; older versions say how often they look.
#[derive(Clone, Copy)]
pub struct Iptables {
    wait: &'static [&'static str],
}

impl Iptables {
    /// As a version of kube-proxy calls it.
    pub fn new(version: Version) -> Self {
        Self { wait: if version >= Version::V1_36 { &["-w", "5"] } else { &["-w", "5", "-W", "100000"] } }
    }

    async fn iptables<R: Run>(
        self,
        runner: &mut R,
        operation: &str,
        table: &str,
        chain: &str,
        rule: &[&str],
    ) -> Answer {
        let argv = [&["iptables"], self.wait, &[operation, chain, "-t", table], rule].concat();
        run(runner, &argv).await
    }

    /// Makes a chain if it is not there.
    pub async fn ensure_chain<R: Run>(
        self,
        runner: &mut R,
        table: &str,
        chain: &str,
    ) -> Result<(), SyncError> {
        let answer = self.iptables(runner, "-N", table, chain, &[]).await;
        // With 1 it says that there is one.
        if matches!(answer.status, 0 | 1) { Ok(()) } else { Err(SyncError::new("iptables -N", &answer)) }
    }

    /// Empties a chain.
    pub async fn flush_chain<R: Run>(
        self,
        runner: &mut R,
        table: &str,
        chain: &str,
    ) -> Result<(), SyncError> {
        let answer = self.iptables(runner, "-F", table, chain, &[]).await;
        if answer.status == 0 { Ok(()) } else { Err(SyncError::new("iptables -F", &answer)) }
    }

    async fn has_rule<R: Run>(
        self,
        runner: &mut R,
        table: &str,
        chain: &str,
        rule: &[&str],
    ) -> Result<bool, SyncError> {
        let answer = self.iptables(runner, "-C", table, chain, rule).await;
        match answer.status {
            0 => Ok(true),
            1 => Ok(false),
            _ => Err(SyncError::new("iptables -C", &answer)),
        }
    }

    /// Adds a rule if it is not there.
    pub async fn ensure_rule<R: Run>(
        self,
        runner: &mut R,
        position: Position,
        table: &str,
        chain: &str,
        rule: &[&str],
    ) -> Result<(), SyncError> {
        if self.has_rule(runner, table, chain, rule).await? {
            return Ok(());
        }
        let operation = match position {
            Position::Append => "-A",
            Position::Prepend => "-I",
        };
        let answer = self.iptables(runner, operation, table, chain, rule).await;
        if answer.status == 0 { Ok(()) } else { Err(SyncError::new("iptables", &answer)) }
    }

    /// Deletes a rule if it is there.
    pub async fn delete_rule<R: Run>(
        self,
        runner: &mut R,
        table: &str,
        chain: &str,
        rule: &[&str],
    ) -> Result<(), SyncError> {
        if !self.has_rule(runner, table, chain, rule).await? {
            return Ok(());
        }
        let answer = self.iptables(runner, "-D", table, chain, rule).await;
        if answer.status == 0 { Ok(()) } else { Err(SyncError::new("iptables -D", &answer)) }
    }

    /// Makes the rule of a jump if it is not there.
    pub async fn ensure_jump<R: Run>(self, runner: &mut R, jump: &Jump) -> Result<(), SyncError> {
        let mut rule = if jump.only_new { vec!["-m", "conntrack", "--ctstate", "NEW"] } else { Vec::new() };
        if !jump.comment.is_empty() {
            rule.extend(["-m", "comment", "--comment", jump.comment]);
        }
        rule.extend(["-j", jump.to]);
        self.ensure_rule(runner, Position::Prepend, jump.table, jump.from, &rule).await
    }

    /// The rules of a table; none if the program fails, as when there is no such table.
    pub async fn save<R: Run>(self, runner: &mut R, table: &str) -> Option<String> {
        let answer = run(runner, &["iptables-save", "-t", table]).await;
        (answer.status == 0).then_some(answer.stdout)
    }

    /// Writes chains and rules, all or nothing.
    pub async fn restore<R: Run>(self, runner: &mut R, tables: &[(&str, &Table)]) -> Result<(), SyncError> {
        let mut stdin = String::with_capacity(tables.iter().map(|(_, table)| table.len()).sum());
        for (name, table) in tables {
            table.write(name, &mut stdin);
        }
        let argv = [&["iptables-restore"], self.wait, &["--noflush", "--counters"]].concat();
        let command = Command { argv: argv.into_iter().map(str::to_owned).collect(), stdin };
        let answer = runner.run(command).await;
        if answer.status == 0 { Ok(()) } else { Err(SyncError::new("iptables-restore", &answer)) }
    }
}

/// The chains that `iptables-save` printed, each with its line.
pub fn chains(saved: &str) -> impl Iterator<Item = (&str, &str)> {
    saved.lines().filter_map(|line| Some((line.strip_prefix(':')?.split(' ').next()?, line)))
}

/// The mark that says "masquerade", as rules spell it.
pub fn masquerade_mark(bit: u8) -> String {
    format!("0x{:08x}", 1_u32 << bit)
}

/// Writes the rules that masquerade marked packets, and the one that marks.
pub fn masquerade(nat: &mut Table, mark: &str) {
    nat.rules.push(format_args!("-A KUBE-POSTROUTING -m mark ! --mark {mark}/{mark} -j RETURN"));
    // The mark is taken off, so that the packet is not masqueraded again when it comes back.
    nat.rules.push(format_args!("-A KUBE-POSTROUTING -j MARK --xor-mark {mark}"));
    nat.rules.push(format_args!(
        "-A KUBE-POSTROUTING -m comment --comment \"kubernetes service traffic requiring SNAT\" -j MASQUERADE --random-fully"
    ));
    nat.rules.push(format_args!("-A KUBE-MARK-MASQ -j MARK --or-mark {mark}"));
}
