//! Calls of `iptables` (go-iptables), and names of chains.

use sha2::{Digest, Sha512};

use super::error::Done;
use super::skel::{Answer, Cmd};
use super::types::IpNet;

/// The program.
const IPTABLES: &str = "/usr/sbin/iptables";
/// Longest name of a chain of plugins, bytes.
const MAX_CHAIN: usize = 28;
/// What all chains of plugins begin with.
const PREFIX: &str = "CNI-";

/// A call that failed.
pub(super) struct Failed {
    status: i32,
    stderr: String,
    argv: Vec<String>,
}

impl Failed {
    /// The rule or the chain is not there.
    pub(super) fn is_not_exist(&self) -> bool {
        self.status == 1
            && [
                "iptables: Bad rule (does a matching rule exist in that chain?).\n",
                "iptables: No chain/target/match by that name.\n",
            ]
            .iter()
            .any(|text| self.stderr.contains(text))
    }
}

impl From<Failed> for String {
    fn from(failed: Failed) -> String {
        let Failed { status, stderr, argv } = failed;
        format!("running [{}]: exit status {status}: {stderr}", argv.join(" "))
    }
}

impl From<Failed> for super::error::Error {
    fn from(failed: Failed) -> Self {
        String::from(failed).into()
    }
}

/// The name of a network's and a container's chain.
pub(super) fn chain_name(network: &str, container: &str) -> String {
    chain_name_with("", network, container)
}

/// The same with a prefix, in the place of as many digits.
pub(super) fn chain_name_with(prefix: &str, network: &str, container: &str) -> String {
    let hash = hash(&format!("{network}{container}"));
    format!("{PREFIX}{prefix}{}", &hash[..MAX_CHAIN - PREFIX.len() - prefix.len()])
}

/// The hash behind names, hexadecimal.
pub(super) fn hash(text: &str) -> String {
    Sha512::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The comment on a container's rules.
pub(super) fn comment(network: &str, container: &str) -> String {
    format!("name: {network:?} id: {container:?}")
}

impl Cmd<'_> {
    /// Runs iptables on a table.
    async fn iptables(&mut self, table: &str, words: &[&str]) -> Result<String, Failed> {
        let words = [&[IPTABLES, "-t", table], words, &["--wait"]].concat();
        let argv: Vec<String> = words.into_iter().map(str::to_owned).collect();
        let Answer { status, stdout, stderr } = self.exec(argv.clone(), None, &[]).await;
        if status == 0 { Ok(stdout) } else { Err(Failed { status, stderr, argv }) }
    }

    /// Asks for the version, as each new client does.
    pub(super) async fn iptables_version(&mut self) -> Result<(), String> {
        let argv = [IPTABLES, "--version"].map(str::to_owned).to_vec();
        let Answer { status, .. } = self.exec(argv, None, &[]).await;
        match status {
            0 => Ok(()),
            _ => Err(format!("could not get iptables version: exit status {status}")),
        }
    }

    /// A chain is there.
    pub(super) async fn chain_exists(&mut self, table: &str, chain: &str) -> Result<bool, Failed> {
        let listed = self.iptables(table, &["-S"]).await?;
        let is_it = |line: &str| {
            let mut words = line.split(' ');
            matches!(words.next(), Some("-P" | "-N")) && words.next() == Some(chain)
        };
        Ok(listed.lines().any(is_it))
    }

    /// Makes a chain unless it is there.
    pub(super) async fn ensure_chain(&mut self, table: &str, chain: &str) -> Result<(), String> {
        let is_there = self.chain_exists(table, chain).await;
        if !is_there.map_err(|error| format!("failed to list iptables chains: {}", String::from(error)))? {
            self.new_chain(table, chain).await?;
        }
        Ok(())
    }

    pub(super) async fn new_chain(&mut self, table: &str, chain: &str) -> Result<(), Failed> {
        self.iptables(table, &["-N", chain]).await.map(|_| ())
    }

    /// Makes a chain, or empties the one that is there.
    pub(super) async fn clear_chain(&mut self, table: &str, chain: &str) -> Result<(), Failed> {
        match self.new_chain(table, chain).await {
            Err(failed) if failed.status == 1 => self.iptables(table, &["-F", chain]).await.map(|_| ()),
            made => made,
        }
    }

    pub(super) async fn delete_chain(&mut self, table: &str, chain: &str) -> Result<(), Failed> {
        self.iptables(table, &["-X", chain]).await.map(|_| ())
    }

    /// The rules of a chain, as iptables prints them.
    pub(super) async fn list(&mut self, table: &str, chain: &str) -> Result<Vec<String>, Failed> {
        let listed = self.iptables(table, &["-S", chain]).await?;
        Ok(listed.lines().map(str::to_owned).collect())
    }

    /// A rule is there.
    pub(super) async fn rule_exists(
        &mut self,
        table: &str,
        chain: &str,
        rule: &[&str],
    ) -> Result<bool, Failed> {
        match self.iptables(table, &[&["-C", chain], rule].concat()).await {
            Ok(_) => Ok(true),
            Err(failed) if failed.status == 1 => Ok(false),
            Err(failed) => Err(failed),
        }
    }

    /// Appends a rule unless it is there.
    pub(super) async fn append_unique(
        &mut self,
        table: &str,
        chain: &str,
        rule: &[&str],
    ) -> Result<(), Failed> {
        if !self.rule_exists(table, chain, rule).await? {
            self.iptables(table, &[&["-A", chain], rule].concat()).await?;
        }
        Ok(())
    }

    /// Puts a rule first unless it is there.
    pub(super) async fn prepend_unique(
        &mut self,
        table: &str,
        chain: &str,
        rule: &[&str],
    ) -> Result<(), Failed> {
        if !self.rule_exists(table, chain, rule).await? {
            self.iptables(table, &[&["-I", chain, "1"], rule].concat()).await?;
        }
        Ok(())
    }

    pub(super) async fn delete_rule(
        &mut self,
        table: &str,
        chain: &str,
        rule: &[&str],
    ) -> Result<(), Failed> {
        self.iptables(table, &[&["-D", chain], rule].concat()).await.map(|_| ())
    }

    /// Masquerades what an address sends out of its network (`SetupIPMasq`).
    pub(super) async fn setup_ip_masq(&mut self, address: IpNet, chain: &str, comment: &str) -> Done {
        self.iptables_version().await.map_err(|error| format!("failed to locate iptables: {error}"))?;
        let is_there = self.chain_exists("nat", chain).await;
        if !is_there.map_err(|error| format!("failed to list chains: {}", String::from(error)))? {
            self.new_chain("nat", chain).await?;
        }
        let why = ["-m", "comment", "--comment", comment];
        let (network, own) = (address.to_string(), address.ip.to_string());
        self.append_unique("nat", chain, &[&["-d", &network, "-j", "ACCEPT"][..], &why].concat()).await?;
        let others = ["!", "-d", "224.0.0.0/4", "-j", "MASQUERADE"];
        self.append_unique("nat", chain, &[&others[..], &why].concat()).await?;
        self.append_unique("nat", "POSTROUTING", &[&["-s", &own, "-j", chain][..], &why].concat()).await?;
        Ok(())
    }

    /// Undoes it (`TeardownIPMasq`).
    pub(super) async fn teardown_ip_masq(&mut self, address: IpNet, chain: &str, comment: &str) -> Done {
        self.iptables_version().await.map_err(|error| format!("failed to locate iptables: {error}"))?;
        // Older versions wrote the prefix, too.
        for source in [address.ip.to_string(), address.to_string()] {
            let rule = ["-s", &source, "-j", chain, "-m", "comment", "--comment", comment];
            unless_missing(self.delete_rule("nat", "POSTROUTING", &rule).await)?;
        }
        unless_missing(self.clear_chain("nat", chain).await)?;
        unless_missing(self.delete_chain("nat", chain).await)
    }
}

/// What is not there need not be deleted.
pub(super) fn unless_missing(done: Result<(), Failed>) -> Done {
    match done {
        Err(failed) if !failed.is_not_exist() => Err(failed.into()),
        _ => Ok(()),
    }
}
