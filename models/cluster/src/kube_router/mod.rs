//! kube-router's network policy controller (`--run-firewall`, without its router and service proxy): from NetworkPolicies, pods and
//! namespaces to chains of iptables and sets of ipset.
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | [`Controller`]: what a sync runs, in order |
//! | `agent.rs` | the program: it watches, and syncs |
//! | `names.rs` | names of chains and sets |
//! | `policies.rs` | what policies say of the pods that there are |
//! | `chains.rs` | chains of policies and of pods |
//! | `sets.rs` | sets of addresses |
//! | `top_level.rs` | the jumps from the built-in chains |
//! | [`explain`] | the policies behind rules, for views |
//!
//! Every sync is a whole one: it saves the table, writes all chains anew under names that depend on the time, and restores the table
//! without the old ones. Rules that others add in the meantime are lost, as with the real one.
//!
//! Not modelled: IPv6; the clean-up (`--cleanup-config`); health checks and metrics.

mod agent;
mod chains;
pub mod explain;
mod names;
mod policies;
mod sets;
mod top_level;

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::networking::v1::NetworkPolicy;

use crate::command::{Answer, Command, Run};
use crate::config::Range;

use chains::Chains;
use sets::Sets;

pub use agent::main;

/// The version of kube-router whose behaviour this has.
pub const RELEASE: &str = "1.2.0";

/// What a sync looks at.
pub struct Objects<'a> {
    /// All policies.
    pub policies: Vec<&'a NetworkPolicy>,
    /// All pods.
    pub pods: Vec<&'a Pod>,
    /// All namespaces.
    pub namespaces: Vec<&'a Namespace>,
}

/// A command that failed, because of which a sync stopped.
#[derive(Debug, thiserror::Error)]
#[error("Aborting sync. Failed to {what}: exit status {status} ({stderr})")]
pub struct SyncError {
    what: &'static str,
    status: i32,
    stderr: String,
}

/// The network policy controller of a node.
#[derive(Clone, Debug)]
pub struct Controller {
    /// The node's address: pods with this `hostIP` are its own.
    pub node_ip: String,
    /// Addresses of services (`--service-cluster-ip-range`).
    pub services: Range,
}

impl Controller {
    /// Writes everything anew. `version` is the time in nanoseconds, on which the names of chains depend.
    ///
    /// # Errors
    ///
    /// A command that failed.
    pub async fn sync<R: Run>(
        &self,
        objects: &Objects<'_>,
        version: &str,
        run: &mut R,
    ) -> Result<(), SyncError> {
        top_level::ensure(self.services, run).await?;
        let policies = policies::read(objects);
        let saved = done(run, "run iptables-save", "iptables-save -t filter", "").await?.stdout;
        let mut sets = Sets::saved(&done(run, "save ipsets", "ipset save", "").await?.stdout);
        let mut chains = Chains::new(version);
        let used = chains.add_policies(&policies, &mut sets);
        // The real one also restores no sets. In a shell that would read the shell's own input.
        if sets.names().next().is_some() {
            done(run, "perform ipset restore", "ipset restore -exist", &sets.restore()).await?;
        }
        chains.add_pods(&policies, objects, &self.node_ip);
        let stale = stale_chains(&chains, run).await?;
        let table = chains.table(&saved, &stale);
        done(run, "run iptables-restore", "iptables-restore -T filter", &table).await?;
        remove_sets(&used, run).await
    }
}

/// Chains of former syncs.
async fn stale_chains<R: Run>(chains: &Chains<'_>, run: &mut R) -> Result<Vec<String>, SyncError> {
    let what = "list chains";
    done(run, what, "iptables --version", "").await?;
    let listed = done(run, what, "iptables -t filter -S --wait", "").await?.stdout;
    let declared = listed.lines().take_while(|line| line.starts_with("-P") || line.starts_with("-N"));
    let names = declared.filter_map(|line| line.split_whitespace().nth(1));
    let is_stale = |name: &&str| {
        [names::POLICY, names::POD].iter().any(|prefix| name.starts_with(prefix)) && !chains.has(name)
    };
    Ok(names.filter(is_stale).map(str::to_owned).collect())
}

/// Destroys sets that no policy needs any more.
async fn remove_sets<R: Run>(used: &BTreeSet<String>, run: &mut R) -> Result<(), SyncError> {
    let what = "cleanup stale ipsets";
    let saved = Sets::saved(&done(run, what, "ipset save", "").await?.stdout);
    let is_own = |name: &&str| [names::SOURCES, names::DESTINATIONS].iter().any(|own| name.starts_with(own));
    for name in saved.names().filter(is_own).filter(|name| !used.contains(*name)) {
        done(run, what, &format!("ipset destroy {name}"), "").await?;
    }
    Ok(())
}

/// Runs a command that must succeed.
async fn done<R: Run>(run: &mut R, what: &'static str, line: &str, stdin: &str) -> Result<Answer, SyncError> {
    let answer = run.run(Command { stdin: stdin.to_owned(), ..Command::words(line) }).await;
    match answer.status {
        0 => Ok(answer),
        _ => Err(failed(what, &answer)),
    }
}

fn failed(what: &'static str, answer: &Answer) -> SyncError {
    SyncError { what, status: answer.status, stderr: answer.stderr.trim_end().to_owned() }
}
