//! `portmap`: ports of the host that lead to a container.

use glassnet_kernel::net::ipv4::route_get::rtm_getroute;
use glassnet_kernel::net::netfilter::nf_conntrack_netlink::{ctnetlink_del_conntrack, ctnetlink_dump_table};
use glassnet_kernel::tables::conntrack::Tuple;
use glassnet_kernel::tables::route_types::RouteQuery;

use super::error::{Done, Error};
use super::iptables::{Failed, chain_name_with, unless_missing};
use super::json::Fields;
use super::skel::{ALL, Cmd, NetConf, Plugin};
use super::types::{CniResult, IpNet};
use crate::process::Boxed;

/// The row.
pub(super) static PLUGIN: Plugin = Plugin { name: "portmap", versions: ALL, add, check, del };

/// All containers' ports.
const DNAT: &str = "CNI-HOSTPORT-DNAT";
/// Of older versions.
const SNAT: &str = "CNI-HOSTPORT-SNAT";
/// Marks what is to be masqueraded.
const SETMARK: &str = "CNI-HOSTPORT-SETMARK";
/// Masquerades what is marked.
const MASQ: &str = "CNI-HOSTPORT-MASQ";
/// The bit of the mark.
const MARK_BIT: i64 = 13;
/// `IPPROTO_UDP`.
const UDP: u8 = 17;
/// How many ports a rule of `multiport` has.
const MULTIPORT: usize = 15;

/// A port of the host.
struct Mapping {
    host_port: i64,
    container_port: i64,
    protocol: String,
    host_ip: String,
}

/// The configuration.
struct Conf {
    net: NetConf,
    snat: bool,
    conditions: Vec<String>,
    mark_bit: i64,
    set_mark: Option<String>,
    mappings: Vec<Mapping>,
    /// The container's address.
    container: Option<IpNet>,
}

impl Conf {
    fn read(cmd: &Cmd) -> Done<Conf> {
        let failed = |error| format!("failed to parse network configuration: {error}");
        let value = cmd.conf().map_err(failed)?;
        let fields = Fields::of("PortMapConf", &value).map_err(failed)?;
        let conf = Conf::fields(&fields).map_err(failed)?;
        if let Some(error) = &conf.net.prev_error {
            return Err(error.clone().into());
        }
        conf.checked(fields.get("markMasqBit").is_some(), &cmd.if_name)
    }

    fn fields(fields: &Fields) -> Result<Conf, String> {
        let backend = fields.string("backend")?;
        if !matches!(backend.as_str(), "" | "iptables") {
            return Err(format!("not modelled yet: portmap with the backend {backend}"));
        }
        let mut mappings = Vec::new();
        let runtime = fields.object("runtimeConfig", "struct")?;
        for entry in runtime.objects("portMappings", "main.PortMapEntry")? {
            mappings.push(Mapping {
                host_port: entry.int("hostPort")?,
                container_port: entry.int("containerPort")?,
                protocol: entry.string("protocol")?,
                host_ip: entry.string("hostIP")?,
            });
        }
        // Conditions of IPv6 have no packets.
        fields.strings("conditionsV6")?;
        Ok(Conf {
            net: NetConf::read(fields)?,
            snat: fields.flag("snat")?.unwrap_or(true),
            conditions: fields.strings("conditionsV4")?,
            mark_bit: fields.int("markMasqBit")?,
            set_mark: Some(fields.string("externalSetMarkChain")?).filter(|chain| !chain.is_empty()),
            mappings,
            container: None,
        })
    }

    fn checked(mut self, has_mark: bool, if_name: &str) -> Done<Conf> {
        let wrong = |why: String| Err(wrong_config(why));
        if self.set_mark.is_some() && has_mark {
            return wrong("Cannot specify externalSetMarkChain and markMasqBit".to_owned());
        }
        if !has_mark {
            self.mark_bit = MARK_BIT;
        }
        if !(0..=31).contains(&self.mark_bit) {
            return wrong("MasqMarkBit must be between 0 and 31".to_owned());
        }
        for mapping in &self.mappings {
            if mapping.container_port <= 0 {
                return wrong(format!("Invalid container port number: {}", mapping.container_port));
            }
            if mapping.host_port <= 0 {
                return wrong(format!("Invalid host port number: {}", mapping.host_port));
            }
        }
        let Some(prev) = &self.net.prev_result else { return Ok(self) };
        self.container = container_address(prev, if_name).map_err(wrong_config)?;
        Ok(self)
    }

    /// What is masqueraded is marked with this.
    fn mark(&self) -> String {
        let mark = 1_u32 << self.mark_bit;
        format!("{mark:#x}/{mark:#x}")
    }
}

fn wrong_config(why: String) -> Error {
    format!("failed to parse config: {why}").into()
}

/// The first address of the container's device.
fn container_address(prev: &CniResult, if_name: &str) -> Result<Option<IpNet>, String> {
    for ip in &prev.ips {
        if let Some(at) = ip.interface {
            let Some(interface) = prev.interfaces.get(at) else {
                return Err("invalid network interface index".to_owned());
            };
            if interface.sandbox.is_empty() || interface.name != if_name {
                continue;
            }
        }
        return Ok(Some(ip.address));
    }
    Ok(None)
}

/// A rule.
type Rule = Vec<String>;

fn rule(words: &[&str]) -> Rule {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A chain with what is in it, and who jumps there.
struct Chain {
    name: String,
    entries: Vec<&'static str>,
    entry_rules: Vec<Rule>,
    prepend_entry: bool,
    rules: Vec<Rule>,
}

impl Chain {
    fn top() -> Chain {
        Chain {
            name: DNAT.to_owned(),
            entries: vec!["PREROUTING", "OUTPUT"],
            entry_rules: vec![rule(&["-m", "addrtype", "--dst-type", "LOCAL"])],
            prepend_entry: false,
            rules: Vec::new(),
        }
    }

    fn set_mark(conf: &Conf) -> Chain {
        let mark = conf.mark();
        let why = ["-m", "comment", "--comment", "CNI portfwd masquerade mark"];
        let words = [&why[..], &["-j", "MARK", "--set-xmark", &mark]].concat();
        Chain {
            name: SETMARK.to_owned(),
            entries: Vec::new(),
            entry_rules: Vec::new(),
            prepend_entry: false,
            rules: vec![rule(&words)],
        }
    }

    fn masquerade(conf: &Conf) -> Chain {
        Chain {
            name: MASQ.to_owned(),
            entries: vec!["POSTROUTING"],
            entry_rules: vec![rule(&["-m", "comment", "--comment", "CNI portfwd requiring masquerade"])],
            prepend_entry: true,
            rules: vec![rule(&["-m", "mark", "--mark", &conf.mark(), "-j", "MASQUERADE"])],
        }
    }

    /// The container's own.
    fn dnat(conf: &Conf, container_id: &str) -> Chain {
        let network = &conf.net.name;
        let comment = format!("dnat name: {network:?} id: {container_id:?}");
        let mut chain = Chain {
            name: chain_name_with("DN-", network, container_id),
            entries: vec![DNAT],
            entry_rules: Vec::new(),
            prepend_entry: false,
            rules: Vec::new(),
        };
        for (protocol, ports) in group_by_protocol(&conf.mappings) {
            for ports in ports.chunks(MULTIPORT) {
                let ports = ports.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
                let why = ["-m", "comment", "--comment", &comment, "-m", "multiport"];
                let mut words = rule(&[&why[..], &["-p", protocol, "--destination-ports", &ports]].concat());
                words.extend(conf.conditions.iter().cloned());
                chain.entry_rules.push(words);
            }
        }
        let Some(container) = conf.container else { return chain };
        for mapping in &conf.mappings {
            chain.rules.extend(mapping.rules(conf, container));
        }
        chain
    }
}

impl Mapping {
    /// It is one of IPv4, or of any address.
    fn is_v4(&self) -> bool {
        self.host_ip.is_empty() || self.host_ip.parse::<std::net::Ipv4Addr>().is_ok()
    }

    fn rules(&self, conf: &Conf, container: IpNet) -> Vec<Rule> {
        if !self.is_v4() {
            return Vec::new();
        }
        let (host, inside) =
            (self.host_port.to_string(), format!("{}:{}", container.ip, self.container_port));
        let mut of_port = rule(&["-p", &self.protocol, "--dport", &host]);
        if !self.host_ip.is_empty() && self.host_ip != "0.0.0.0" {
            of_port.extend(rule(&["-d", &self.host_ip]));
        }
        let with = |more: &[&str]| [of_port.clone(), rule(more)].concat();
        let mut rules = Vec::new();
        if conf.snat {
            let set_mark = conf.set_mark.as_deref().unwrap_or(SETMARK);
            // Hairpin, and what the host sends itself.
            rules.push(with(&["-s", &container.to_string(), "-j", set_mark]));
            rules.push(with(&["-s", "127.0.0.1", "-j", set_mark]));
        }
        rules.push(with(&["-j", "DNAT", "--to-destination", &inside]));
        rules
    }
}

/// Ports of the host by protocol, in the order of protocols' names.
fn group_by_protocol(mappings: &[Mapping]) -> Vec<(&str, Vec<i64>)> {
    let mut groups: Vec<(&str, Vec<i64>)> = Vec::new();
    for mapping in mappings {
        match groups.iter_mut().find(|(protocol, _)| *protocol == mapping.protocol) {
            Some((_, ports)) => ports.push(mapping.host_port),
            None => groups.push((&mapping.protocol, vec![mapping.host_port])),
        }
    }
    groups.sort_by(|a, b| a.0.cmp(b.0));
    groups
}

fn words(rule: &[String]) -> Vec<&str> {
    rule.iter().map(String::as_str).collect()
}

impl Cmd<'_> {
    /// Makes a chain with its rules and entries.
    async fn setup_chain(&mut self, chain: &Chain) -> Result<(), String> {
        self.ensure_chain("nat", &chain.name).await?;
        for rule in &chain.rules {
            self.append_unique("nat", &chain.name, &words(rule)).await?;
        }
        for entry in &chain.entries {
            for rule in &chain.entry_rules {
                let rule = [words(rule), vec!["-j", &chain.name]].concat();
                match chain.prepend_entry {
                    true => self.prepend_unique("nat", entry, &rule).await?,
                    false => self.append_unique("nat", entry, &rule).await?,
                }
            }
        }
        Ok(())
    }

    /// Takes a chain away, and all rules that jump there.
    async fn teardown_chain(&mut self, chain: &str, entry: &str) -> Done {
        unless_missing(self.clear_chain("nat", chain).await)?;
        // Without the entry nobody jumps there.
        let listed = self.list("nat", entry).await.unwrap_or_default();
        for line in listed.iter().filter(|line| line.ends_with(&format!("-j {chain}"))) {
            let words = shell_words(line);
            let rule: Vec<&str> = words.iter().skip(2).map(String::as_str).collect();
            let failed = |error: Failed| {
                format!("Failed to delete referring rule {chain} {line}: {}", String::from(error))
            };
            self.delete_rule("nat", entry, &rule).await.map_err(failed)?;
        }
        unless_missing(self.delete_chain("nat", chain).await)
    }

    /// A chain is there with its rules and entries.
    async fn check_chain(&mut self, chain: &Chain) -> Result<(), String> {
        if !self.chain_exists("nat", &chain.name).await? {
            return Err(format!("chain {} not found in iptables table nat", chain.name));
        }
        for rule in chain.rules.iter().rev() {
            if !self.rule_exists("nat", &chain.name, &words(rule)).await? {
                let (rule, name) = (rule.join(" "), &chain.name);
                return Err(format!("rule {rule} in chain {name} not found in table nat"));
            }
        }
        for entry in &chain.entries {
            for rule in chain.entry_rules.iter().rev() {
                let rule = [words(rule), vec!["-j", &chain.name]].concat();
                if !self.rule_exists("nat", entry, &rule).await? {
                    let rule = rule.join(" ");
                    return Err(format!("rule {rule} in chain {entry} not found in table nat"));
                }
            }
        }
        Ok(())
    }

    /// Packets from this host to itself may leave by the device towards the container.
    fn route_localnet(&self, container: IpNet) -> Done {
        let (host, query) = (self.host(), RouteQuery { dst: container.ip, ..RouteQuery::default() });
        let answer = self.enter(|cx| rtm_getroute(cx, host, &query));
        let Some(dev) = answer.ok().and_then(|answer| answer.oif) else { return Ok(()) };
        let path = format!("/proc/sys/net/ipv4/conf/{}/route_localnet", self.name(dev));
        let written = self.write_proc(host, &path, "1");
        Ok(written.map_err(|error| format!("unable to enable route_localnet: {error}"))?)
    }

    /// Connections of UDP that began before are to take the new way.
    fn forget_udp(&self, conf: &Conf) {
        let ports: Vec<i64> = conf
            .mappings
            .iter()
            .filter(|mapping| mapping.protocol == "udp")
            .map(|mapping| mapping.host_port)
            .collect();
        let (host, pid) = (self.host(), self.process.pid);
        self.enter(|cx| {
            for id in ctnetlink_dump_table(cx, host) {
                let tuple = cx.k.conntrack.get(id).map(|conn| conn.tuples[0]);
                let is_it = |tuple: &Tuple| tuple.proto == UDP && ports.contains(&i64::from(tuple.dport));
                if tuple.as_ref().is_some_and(is_it) {
                    ctnetlink_del_conntrack(cx, id, pid);
                }
            }
        });
    }

    /// Takes away what an earlier or this version made for the container.
    async fn unforward(&mut self, conf: &Conf) -> Done {
        // Without iptables there are no rules.
        if self.iptables_version().await.is_err() || self.list("nat", "OUTPUT").await.is_err() {
            return Ok(());
        }
        for (prefix, entry) in [("DN-", DNAT), ("SN-", SNAT)] {
            let chain = chain_name_with(prefix, &conf.net.name, &self.container_id);
            let done = self.teardown_chain(&chain, entry).await;
            done.map_err(|error| format!("could not teardown ipv4 dnat: {}", error.msg))?;
        }
        Ok(())
    }
}

/// The words of a line of `iptables -S`, where quotes and quotes in quotes are as for a shell.
fn shell_words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut in_quotes, mut has_word) = (Vec::new(), String::new(), false, false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.extend(chars.next()),
            '"' => (in_quotes, has_word) = (!in_quotes, true),
            ' ' if !in_quotes => {
                if has_word || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                has_word = false;
            }
            _ => word.push(c),
        }
    }
    if has_word || !word.is_empty() {
        words.push(word);
    }
    words
}

fn add<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(cmd_add(cmd))
}

async fn cmd_add(cmd: &mut Cmd<'_>) -> Done<String> {
    let conf = Conf::read(cmd)?;
    let prev = conf.net.prev("must be called as chained plugin")?;
    if let Some(container) = conf.container.filter(|_| !conf.mappings.is_empty()) {
        forward(cmd, &conf, container).await?;
    }
    Ok(prev.json(&conf.net.version)?)
}

async fn forward(cmd: &mut Cmd<'_>, conf: &Conf, container: IpNet) -> Done {
    let opened = cmd.iptables_version().await;
    opened.map_err(|error| format!("failed to open iptables: {error}"))?;
    if conf.snat {
        if conf.set_mark.is_none() {
            let made = cmd.setup_chain(&Chain::set_mark(conf)).await;
            made.map_err(|error| format!("unable to create chain {SETMARK}: {error}"))?;
            let made = cmd.setup_chain(&Chain::masquerade(conf)).await;
            made.map_err(|error| format!("unable to create chain {MASQ}: {error}"))?;
        }
        cmd.route_localnet(container)?;
    }
    let made = cmd.setup_chain(&Chain::top()).await;
    made.map_err(|error| format!("failed to create top-level DNAT chain: {error}"))?;
    let own = Chain::dnat(conf, &cmd.container_id);
    let made = cmd.setup_chain(&own).await;
    made.map_err(|error| format!("unable to setup DNAT: {error}"))?;
    cmd.forget_udp(conf);
    Ok(())
}

fn check<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let conf = Conf::read(cmd)?;
        conf.net.prev("Required prevResult missing")?;
        if conf.mappings.is_empty() || conf.container.is_none() {
            return Ok(String::new());
        }
        let own = Chain::dnat(&conf, &cmd.container_id);
        if cmd.iptables_version().await.is_ok() && cmd.list("nat", "OUTPUT").await.is_ok() {
            let checked = cmd.check_chain(&own).await;
            checked.map_err(|error| format!("could not check ipv4 dnat: {error}"))?;
        }
        // It looks for the chain in the tables of IPv6, too, where nobody has made it.
        let name = &own.name;
        Err(format!("could not check ipv6 dnat: chain {name} not found in iptables table nat").into())
    })
}

fn del<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let conf = Conf::read(cmd)?;
        if !conf.mappings.is_empty() {
            cmd.unforward(&conf).await?;
        }
        Ok(String::new())
    })
}
