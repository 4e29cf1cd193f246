//! `firewall`: lets the host forward what is for a container, whatever its policy is.

use super::error::Done;
use super::iptables::Failed;
use super::json::Fields;
use super::skel::{Cmd, NetConf, Plugin};
use super::types::CniResult;
use crate::process::Boxed;

/// The row.
pub(super) static PLUGIN: Plugin =
    Plugin { name: "firewall", versions: &["0.4.0", "1.0.0"], add, check, del };

/// All containers' rules.
const FORWARD: &str = "CNI-FORWARD";
/// The administrator's, which come first.
const ADMIN: &str = "CNI-ADMIN";
/// What comes from a bridge goes from the first to the second, which drops what would leave by another bridge.
const ISOLATION: [&str; 2] = ["CNI-ISOLATION-STAGE-1", "CNI-ISOLATION-STAGE-2"];

/// The configuration.
struct Conf {
    net: NetConf,
    backend: String,
    admin: String,
    ingress_policy: String,
}

impl Conf {
    fn read(cmd: &Cmd) -> Done<Conf> {
        let failed = |error| format!("failed to load netconf: {error}");
        let value = cmd.conf().map_err(failed)?;
        let read = |fields: Fields| {
            // The zone is firewalld's.
            fields.string("firewalldZone")?;
            let admin = fields.string("iptablesAdminChainName")?;
            Ok(Conf {
                net: NetConf::read(&fields)?,
                backend: fields.string("backend")?,
                admin: if admin.is_empty() { ADMIN.to_owned() } else { admin },
                ingress_policy: fields.string("ingressPolicy")?,
            })
        };
        let conf = Fields::of("FirewallNetConf", &value).and_then(read).map_err(failed)?;
        if let Some(error) = &conf.net.prev_error {
            return Err(error.clone().into());
        }
        Ok(conf)
    }
}

/// A container's rules.
fn rules(result: &CniResult) -> Vec<Vec<String>> {
    let mut rules = Vec::new();
    for ip in &result.ips {
        let own = format!("{}/32", ip.address.ip);
        let answers = ["-d", &own, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"];
        let others = ["-s", &own, "-j", "ACCEPT"];
        rules
            .extend([&answers[..], &others].map(|rule| rule.iter().map(|word| (*word).to_owned()).collect()));
    }
    rules
}

fn words(rule: &[String]) -> Vec<&str> {
    rule.iter().map(String::as_str).collect()
}

/// The first rule of the host's chain, and of all containers' chain.
fn first_rules(admin: &str) -> [(&'static str, Vec<&str>); 2] {
    let rule = |why, to| vec!["-m", "comment", "--comment", why, "-j", to];
    [
        ("FORWARD", rule("CNI firewall plugin rules", FORWARD)),
        (FORWARD, rule("CNI firewall plugin admin overrides", admin)),
    ]
}

impl Cmd<'_> {
    /// Looks for what filters: iptables, unless firewalld is asked for, which does not run here.
    async fn backend(&mut self, conf: &Conf) -> Done {
        if conf.backend == "firewalld" {
            return Err(
                "dial unix /var/run/dbus/system_bus_socket: connect: no such file or directory".into()
            );
        }
        let opened = self.iptables_version().await;
        Ok(opened.map_err(|error| format!("could not initialize iptables protocol 0: {error}"))?)
    }

    async fn ensure(&mut self, chain: &str) -> Done {
        if !self.chain_exists("filter", chain).await? {
            self.new_chain("filter", chain).await?;
        }
        Ok(())
    }

    async fn add_rules(&mut self, conf: &Conf, result: &CniResult) -> Done {
        if result.ips.is_empty() {
            return Ok(());
        }
        self.ensure(FORWARD).await?;
        self.ensure(&conf.admin).await?;
        for (chain, rule) in first_rules(&conf.admin) {
            self.prepend_unique("filter", chain, &rule).await?;
        }
        for rule in rules(result) {
            self.append_unique("filter", FORWARD, &words(&rule)).await?;
        }
        Ok(())
    }

    /// What comes from another bridge does not get in.
    async fn isolate(&mut self, result: &CniResult) -> Done {
        let policy = "same-bridge";
        let Some(bridge) = result.interfaces.first() else {
            let text = "interface needs to be set for ingress policy";
            let chain = "make sure to chain \"firewall\" plugin with \"bridge\"";
            return Err(format!("{text} {policy:?}, {chain}").into());
        };
        let bridge = bridge.name.as_str();
        if bridge.is_empty() {
            return Err("got empty bridge name".into());
        }
        self.iptables_version().await?;
        let [first, second] = ISOLATION;
        self.ensure(first).await?;
        self.ensure(second).await?;
        let why = format!("CNI firewall plugin rules (ingressPolicy: {policy})");
        let rule = |rule: &[&'_ str]| -> Vec<String> {
            let why = ["-m", "comment", "--comment", &why];
            [rule, &why].concat().into_iter().map(str::to_owned).collect()
        };
        let jump = rule(&["-j", first]);
        self.prepend_unique("filter", "FORWARD", &words(&jump)).await?;
        let from = rule(&["-i", bridge, "!", "-o", bridge, "-j", second]);
        let back = rule(&["-j", "RETURN"]);
        let to = rule(&["-o", bridge, "-j", "DROP"]);
        for (chain, special) in [(first, from), (second, to)] {
            self.prepend_unique("filter", chain, &words(&special)).await?;
            self.append_unique("filter", chain, &words(&back)).await?;
        }
        Ok(())
    }

    async fn check_rules(&mut self, conf: &Conf, result: &CniResult) -> Done {
        if result.ips.is_empty() {
            return Ok(());
        }
        self.ensure(FORWARD).await?;
        self.ensure(&conf.admin).await?;
        for (chain, rule) in first_rules(&conf.admin) {
            if !self.rule_exists("filter", chain, &rule).await? {
                return Err(format!("expected {chain} rule [{}] not found", rule.join(" ")).into());
            }
        }
        for rule in rules(result) {
            if !self.rule_exists("filter", FORWARD, &words(&rule)).await? {
                return Err(format!("expected rule [{}] not found", rule.join(" ")).into());
            }
        }
        Ok(())
    }
}

fn add<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let conf = Conf::read(cmd)?;
        let result = conf.net.prev("missing prevResult from earlier plugin")?;
        cmd.backend(&conf).await?;
        cmd.add_rules(&conf, &result).await?;
        match conf.ingress_policy.as_str() {
            "" | "open" => {}
            "same-bridge" => cmd.isolate(&result).await?,
            other => return Err(format!("unknown ingress policy: {other:?}").into()),
        }
        Ok(result.json(&conf.net.version)?)
    })
}

fn check<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let conf = Conf::read(cmd)?;
        let result = conf.net.prev("missing prevResult from earlier plugin")?;
        cmd.backend(&conf).await?;
        cmd.check_rules(&conf, &result).await?;
        Ok(String::new())
    })
}

fn del<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let conf = Conf::read(cmd)?;
        cmd.backend(&conf).await?;
        for rule in conf.net.prev_result.iter().flat_map(rules) {
            // What is not there need not be deleted.
            let _: Result<(), Failed> = cmd.delete_rule("filter", FORWARD, &words(&rule)).await;
        }
        Ok(String::new())
    })
}
