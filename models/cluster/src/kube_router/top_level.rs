//! kube-router's own chains, the jumps to them from the built-in ones, and what may always pass to the node.

use super::names::{FORWARD, INPUT, OUTPUT};
use super::{SyncError, done, failed};
use crate::command::{Command, Run};
use crate::config::{NODE_PORTS, Range};
use crate::hash::hash;

const WHAT: &str = "ensure top level chains";

/// Makes chains, jumps and rules that are not there, and puts those that are there into their places.
pub async fn ensure<R: Run>(services: Range, run: &mut R) -> Result<(), SyncError> {
    done(run, WHAT, "iptables --version", "").await?;
    for (from, chain) in [("INPUT", INPUT), ("FORWARD", FORWARD), ("OUTPUT", OUTPUT)] {
        let made = run.run(iptables(&["-N", chain], &[])).await;
        // 1: it is there.
        if !matches!(made.status, 0 | 1) {
            return Err(failed(WHAT, &made));
        }
        let jump = ["-m", "comment", "--comment", "kube-router netpol", "-j", chain];
        place(run, from, 1, &jump).await?;
    }
    let services = services.to_string();
    let comment = "allow traffic to cluster IP";
    place(run, INPUT, 1, &["-m", "comment", "--comment", comment, "-d", &services, "-j", "RETURN"]).await?;
    let ports = format!("{}:{}", NODE_PORTS.start(), NODE_PORTS.end());
    for (position, protocol) in [(2, "tcp"), (3, "udp")] {
        let comment = format!("allow LOCAL {} traffic to node ports", protocol.to_uppercase());
        let local = ["-m", "addrtype", "--dst-type", "LOCAL"];
        let ports = ["-m", "multiport", "--dports", &ports, "-j", "RETURN"];
        let rule = [&["-p", protocol, "-m", "comment", "--comment", &comment][..], &local, &ports].concat();
        place(run, INPUT, position, &rule).await?;
    }
    Ok(())
}

fn iptables(operation: &[&str], rule: &[&str]) -> Command {
    let words = [&["iptables", "-t", "filter"][..], operation, rule, &["--wait"]].concat();
    Command { argv: words.into_iter().map(str::to_owned).collect(), stdin: String::new() }
}

/// Sees to it that a rule stands at its place. Its comment gets a hash, by which it is known.
async fn place<R: Run>(run: &mut R, chain: &str, position: usize, rule: &[&str]) -> Result<(), SyncError> {
    let known = hash(&[&[chain], rule].concat());
    let mut rule: Vec<String> = rule.iter().map(|word| (*word).to_owned()).collect();
    if let Some(comment) = rule.iter().position(|word| word == "--comment") {
        rule[comment + 1] += &format!(" - {known}");
    }
    let rule: Vec<&str> = rule.iter().map(String::as_str).collect();
    let place = position.to_string();
    let found = run.run(iptables(&["-C", chain], &rule)).await;
    match found.status {
        0 => {}
        1 => return must(run, iptables(&["-I", chain, &place], &rule)).await.map(drop),
        _ => return Err(failed(WHAT, &found)),
    }
    let listed = must(run, iptables(&["-S", chain], &[])).await?;
    let mut rules = listed.lines().filter(|line| !line.starts_with("-P") && !line.starts_with("-N"));
    let at = rules.position(|line| line.contains(&known)).map_or(0, |at| at + 1);
    if at != position {
        must(run, iptables(&["-I", chain, &place], &rule)).await?;
        must(run, iptables(&["-D", chain, &(at + 1).to_string()], &[])).await?;
    }
    Ok(())
}

/// Runs a command that must succeed; what it printed.
async fn must<R: Run>(run: &mut R, command: Command) -> Result<String, SyncError> {
    let answer = run.run(command).await;
    match answer.status {
        0 => Ok(answer.stdout),
        _ => Err(failed(WHAT, &answer)),
    }
}
