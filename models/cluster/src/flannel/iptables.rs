//! Rules that let packets of pods pass, and give what leaves the network an address of the node. They are looked at every few seconds: if
//! one is missing, all are deleted and appended again, because their order counts.

use std::sync::LazyLock;

use glassnet_sim::Nanos;
use regex::Regex;

use super::daemon::Daemon;
use crate::command::{Answer, Command};
use crate::config::Range;

/// Where a chain is: a table and its name.
type Chain = (&'static str, &'static str);

/// Rules of a chain, in order.
pub(super) struct Rules {
    chain: Chain,
    rules: Vec<String>,
}

/// Rules that let packets of the network pass, where others drop what nothing was said about.
pub(super) fn forward(network: Range) -> Rules {
    let rules = vec![format!("-s {network} -j ACCEPT"), format!("-d {network} -j ACCEPT")];
    Rules { chain: ("filter", "FORWARD"), rules }
}

/// Rules that leave the addresses of what stays in the network, and of what comes to the node's own subnet.
pub(super) fn masquerade(network: Range, subnet: Range, random_fully: bool) -> Rules {
    let masquerade = if random_fully { "MASQUERADE --random-fully" } else { "MASQUERADE" };
    let rules = vec![
        format!("-s {network} -d {network} -j RETURN"),
        format!("-s {network} ! -d 224.0.0.0/4 -j {masquerade}"),
        format!("! -s {network} -d {subnet} -j RETURN"),
        format!("! -s {network} -d {network} -j {masquerade}"),
    ];
    Rules { chain: ("nat", "POSTROUTING"), rules }
}

/// The installed iptables knows `--random-fully` (1.6.2).
///
/// # Errors
///
/// It says no version.
pub(super) async fn knows_random_fully(daemon: &mut Daemon<'_>) -> Result<bool, String> {
    static VERSION: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"v(\d+)\.(\d+)\.(\d+)").ok());
    let answer = daemon.answer(Command::words("iptables --version")).await;
    let found = VERSION.as_ref().and_then(|regex| regex.captures(&answer.stdout)?.extract::<3>().1.into());
    let Some(numbers) = found.filter(|_| answer.status == 0) else {
        return Err(format!("could not get iptables version: exit status {}", answer.status));
    };
    Ok(numbers.map(|number| number.parse::<u32>().unwrap_or(0)) >= [1, 6, 2])
}

impl Rules {
    async fn call(&self, daemon: &mut Daemon<'_>, what: &str, rule: &str) -> (String, Answer) {
        let (table, chain) = self.chain;
        let line = format!("iptables -t {table} {what} {chain} {rule} --wait");
        let answer = daemon.answer(Command::words(&line)).await;
        (format!("running [{line}]: exit status {}: {}", answer.status, answer.stderr), answer)
    }

    async fn exists(&self, daemon: &mut Daemon<'_>, rule: &str) -> Result<bool, String> {
        match self.call(daemon, "-C", rule).await {
            (_, Answer { status: 0, .. }) => Ok(true),
            (_, Answer { status: 1, .. }) => Ok(false),
            (why, _) => Err(why),
        }
    }

    /// Looks whether they are all there, and makes them anew if not.
    pub(super) async fn ensure(&self, daemon: &mut Daemon<'_>) {
        if let Err(why) = self.try_ensure(daemon).await {
            daemon.error("iptables.go:118", format_args!("Failed to ensure iptables rules: {why}"));
        }
    }

    async fn try_ensure(&self, daemon: &mut Daemon<'_>) -> Result<(), String> {
        let mut all_exist = true;
        for rule in &self.rules {
            let exists = self.exists(daemon, rule).await;
            all_exist = exists.map_err(|why| {
                format!("Error checking rule existence: failed to check rule existence: {why}")
            })?;
            if !all_exist {
                break;
            }
        }
        if all_exist {
            return Ok(());
        }
        daemon.info("iptables.go:148", "Some iptables rules are missing; deleting and recreating rules");
        self.delete(daemon).await.map_err(|why| format!("Error tearing down rules: {why}"))?;
        for rule in &self.rules {
            daemon.info("iptables.go:160", format_args!("Adding iptables rule: {rule}"));
            let wrong = |why| format!("Error setting up rules: failed to insert IPTables rule: {why}");
            if !self.exists(daemon, rule).await.map_err(wrong)?
                && let (why, Answer { status: 1.., .. }) = self.call(daemon, "-A", rule).await
            {
                return Err(wrong(why));
            }
        }
        Ok(())
    }

    /// Deletes them; those that are not there are passed over.
    ///
    /// # Errors
    ///
    /// iptables failed otherwise. What is left is in order then.
    pub(super) async fn delete(&self, daemon: &mut Daemon<'_>) -> Result<(), String> {
        for rule in &self.rules {
            daemon.info("iptables.go:172", format_args!("Deleting iptables rule: {rule}"));
            let (why, answer) = self.call(daemon, "-D", rule).await;
            let is_missing = answer.status == 1
                && [
                    "Bad rule (does a matching rule exist in that chain?).",
                    "No chain/target/match by that name.",
                ]
                .iter()
                .any(|text| answer.stderr.contains(text));
            if answer.status != 0 && !is_missing {
                return Err(why);
            }
        }
        Ok(())
    }
}

/// Rules that are kept.
pub(super) struct Keeper {
    pub all: Vec<Rules>,
    /// When they are looked at next.
    pub due: Nanos,
    pub pause: Nanos,
}

impl Keeper {
    /// Looks at all of them, if it is time to.
    pub(super) async fn keep(&mut self, daemon: &mut Daemon<'_>) {
        if daemon.process.now() < self.due {
            return;
        }
        for rules in &self.all {
            rules.ensure(daemon).await;
        }
        self.due = daemon.process.now() + self.pause;
    }
}
