//! A node as far as kube-proxy's commands see one: it keeps what they write, answers what they ask, and notes all of them.

use std::collections::{BTreeMap, BTreeSet};

use glassnet_cluster::command::{Answer, Command, Run};

/// A command that was run, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    pub argv: Vec<String>,
    pub stdin: String,
    pub status: i32,
}

type Rules = BTreeMap<String, Vec<Vec<String>>>;

#[derive(Clone, Default)]
pub struct Machine {
    pub calls: Vec<Call>,
    /// Chains of tables, with their rules in words.
    pub tables: BTreeMap<String, Rules>,
    pub sysctls: BTreeMap<String, String>,
    pub counters: BTreeSet<String>,
    /// Lines of `conntrack -L`.
    pub connections: Vec<String>,
    pub sets: BTreeMap<String, (String, BTreeSet<String>)>,
    /// Virtual servers by their address, each with its options and its real servers.
    pub virtual_servers: BTreeMap<String, (String, BTreeMap<String, String>)>,
    pub links: BTreeMap<String, BTreeSet<String>>,
    /// Real servers that have connections.
    pub busy: BTreeSet<String>,
    /// The kernel has nfacct.
    pub counts: bool,
    /// The next command of this name fails.
    pub broken: Option<&'static str>,
}

impl Machine {
    pub fn new() -> Self {
        let chains =
            |names: &[&str]| names.iter().map(|&name| (name.to_owned(), Vec::new())).collect::<Rules>();
        let tables = [
            ("filter".to_owned(), chains(&["INPUT", "FORWARD", "OUTPUT"])),
            ("nat".to_owned(), chains(&["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"])),
            ("mangle".to_owned(), chains(&["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"])),
        ];
        Self { tables: tables.into_iter().collect(), counts: true, ..Self::default() }
    }

    fn answer(&mut self, argv: &[&str], stdin: &str) -> Result<String, i32> {
        if self.broken == Some(argv[0]) {
            self.broken = None;
            return Err(4);
        }
        match argv {
            ["iptables", "--version"] => Ok("iptables v1.8.9 (nf_tables)\n".to_owned()),
            ["iptables", "-w", "5", "-W", "100000", rest @ ..] | ["iptables", "-w", "5", rest @ ..] => {
                self.iptables(rest)
            }
            ["iptables-save", "-t", table] => Ok(self.save(table)),
            ["iptables-restore", .., "--noflush", "--counters"] => self.restore(stdin),
            ["sysctl", "-w", setting] => {
                let (name, value) = setting.split_once('=').unwrap();
                self.sysctls.insert(name.to_owned(), value.to_owned());
                Ok(String::new())
            }
            ["modprobe", "ip_vs"] => Ok(String::new()),
            ["nfacct", "get", name] => self.counters.contains(*name).then(String::new).ok_or(1),
            ["nfacct", "add", name] if self.counts => {
                self.counters.insert((*name).to_owned());
                Ok(String::new())
            }
            ["nfacct", "add", _] => Err(1),
            ["conntrack", "-L", ..] => Ok(self.connections.iter().map(|line| format!("{line}\n")).collect()),
            ["conntrack", "-D", ..] => Ok(String::new()),
            ["ip", rest @ ..] => self.ip(rest),
            ["ipset", rest @ ..] => self.ipset(rest),
            ["ipvsadm", rest @ ..] => self.ipvsadm(rest),
            _ => panic!("what is {argv:?}?"),
        }
    }

    fn iptables(&mut self, argv: &[&str]) -> Result<String, i32> {
        let [operation, chain, "-t", table, rule @ ..] = argv else { panic!("what is iptables {argv:?}?") };
        let chains = self.tables.get_mut(*table).unwrap();
        let rule: Vec<String> = rule.iter().map(|&word| word.to_owned()).collect();
        if *operation == "-N" {
            if chains.contains_key(*chain) {
                return Err(1);
            }
            chains.insert((*chain).to_owned(), Vec::new());
            return Ok(String::new());
        }
        let rules = chains.get_mut(*chain).ok_or(1)?;
        let found = rules.iter().position(|other| *other == rule);
        match *operation {
            "-C" => drop(found.ok_or(1)?),
            "-I" => rules.insert(0, rule),
            "-A" => rules.push(rule),
            "-D" => drop(rules.remove(found.ok_or(1)?)),
            "-F" => rules.clear(),
            _ => panic!("what is iptables {operation}?"),
        }
        Ok(String::new())
    }

    fn save(&self, table: &str) -> String {
        let chains = &self.tables[table];
        let policy = |chain: &str| if chain.starts_with("KUBE-") { "-" } else { "ACCEPT" };
        let declared: String =
            chains.keys().map(|chain| format!(":{chain} {} [0:0]\n", policy(chain))).collect();
        let rules = chains.iter().flat_map(|(chain, rules)| {
            rules.iter().map(move |rule| format!("-A {chain} {}\n", rule.join(" ")))
        });
        format!("*{table}\n{declared}{}COMMIT\n", rules.collect::<String>())
    }

    /// All or nothing, as the program does it for each table.
    fn restore(&mut self, stdin: &str) -> Result<String, i32> {
        let mut tables = self.tables.clone();
        let mut table = String::new();
        for line in stdin.lines() {
            let words = words(line);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            match words[..] {
                [name] if name.starts_with('*') => name[1..].clone_into(&mut table),
                ["COMMIT"] => {}
                [chain, "-", "[0:0]"] => {
                    drop(tables.get_mut(&table).unwrap().insert(chain[1..].to_owned(), Vec::new()))
                }
                ["-A", chain, ref rule @ ..] => {
                    let rules = tables.get_mut(&table).unwrap().get_mut(chain).ok_or(2)?;
                    rules.push(rule.iter().map(|&word| word.to_owned()).collect());
                }
                ["-X", chain] => {
                    let rules = tables.get_mut(&table).unwrap().remove(chain).ok_or(1)?;
                    if !rules.is_empty() {
                        return Err(1);
                    }
                }
                _ => panic!("what is {line:?}?"),
            }
        }
        for chains in tables.values() {
            for target in chains.values().flatten().filter_map(|rule| target(rule)) {
                if target.starts_with("KUBE-") && !chains.contains_key(target) {
                    return Err(2);
                }
            }
        }
        self.tables = tables;
        Ok(String::new())
    }

    /// What `ipvsadm -S -n` prints.
    pub fn virtual_server_lines(&self) -> BTreeSet<String> {
        let mut lines = BTreeSet::new();
        for (server, (options, real_servers)) in &self.virtual_servers {
            lines.insert(format!("-A {server} {options}"));
            lines.extend(
                real_servers.iter().map(|(real, options)| format!("-a {server} -r {real} {options}")),
            );
        }
        lines
    }

    /// What `ipset save` prints.
    pub fn set_lines(&self) -> BTreeSet<String> {
        let mut lines = BTreeSet::new();
        for (name, (kind, entries)) in &self.sets {
            let buckets = if kind.starts_with("hash") { " bucketsize 12" } else { "" };
            lines.insert(format!("create {name} {kind}{buckets}"));
            lines.extend(entries.iter().map(|entry| format!("add {name} {entry}")));
        }
        lines
    }

    fn ip(&mut self, argv: &[&str]) -> Result<String, i32> {
        match argv {
            ["link", "add", name, "type", "dummy"] if self.links.contains_key(*name) => Err(2),
            ["link", "add", name, "type", "dummy"] => {
                self.links.insert((*name).to_owned(), BTreeSet::new());
                Ok(())
            }
            ["addr", "add", address, "dev", name] => {
                self.links.get_mut(*name).unwrap().insert((*address).to_owned()).then_some(()).ok_or(2)
            }
            ["addr", "del", address, "dev", name] => {
                self.links.get_mut(*name).unwrap().remove(*address).then_some(()).ok_or(2)
            }
            _ => panic!("what is ip {argv:?}?"),
        }
        .map(|()| String::new())
    }

    fn ipset(&mut self, argv: &[&str]) -> Result<String, i32> {
        match argv {
            ["create", name, rest @ .., "-exist"] => {
                self.sets.entry((*name).to_owned()).or_insert_with(|| (rest.join(" "), BTreeSet::new()));
                Ok(String::new())
            }
            ["--version"] => Ok("ipset v7.17, protocol version: 7\n".to_owned()),
            ["list", name] => {
                let (kind, entries) = self.sets.get(*name).ok_or(1)?;
                let entries: String = entries.iter().map(|entry| format!("{entry}\n")).collect();
                Ok(format!("Name: {name}\nType: {kind}\nMembers:\n{entries}"))
            }
            ["add", name, entry, "-exist"] => {
                self.sets.get_mut(*name).ok_or(1)?.1.insert((*entry).to_owned());
                Ok(String::new())
            }
            ["del", name, entry] => {
                self.sets.get_mut(*name).ok_or(1)?.1.remove(*entry).then(String::new).ok_or(1)
            }
            _ => panic!("what is ipset {argv:?}?"),
        }
    }

    fn ipvsadm(&mut self, argv: &[&str]) -> Result<String, i32> {
        let server = |kind: &str, address: &str| format!("{kind} {address}");
        match argv {
            ["-A" | "-E", kind, address, options @ ..] => {
                let servers = self.virtual_servers.entry(server(kind, address)).or_default();
                if (argv[0] == "-A") != servers.0.is_empty() {
                    return Err(255);
                }
                servers.0 = options.join(" ");
            }
            ["-D", kind, address] => drop(self.virtual_servers.remove(&server(kind, address)).ok_or(255)?),
            ["-a" | "-e", kind, address, "-r", real, options @ ..] => {
                let servers = self.virtual_servers.get_mut(&server(kind, address)).ok_or(255)?;
                if (argv[0] == "-a") == servers.1.contains_key(*real) {
                    return Err(255);
                }
                servers.1.insert((*real).to_owned(), options.join(" "));
            }
            ["-d", kind, address, "-r", real] => {
                let servers = self.virtual_servers.get_mut(&server(kind, address)).ok_or(255)?;
                drop(servers.1.remove(*real).ok_or(255)?);
            }
            ["-L", "-n", kind, address] => {
                let servers = self.virtual_servers.get(&server(kind, address)).ok_or(255)?;
                let active = |real: &String| u8::from(self.busy.contains(real));
                let line = |real: &String| {
                    format!("  -> {real:<28} Masq    1      {}          0         \n", active(real))
                };
                return Ok(servers.1.keys().map(line).collect());
            }
            ["--set", ..] => {}
            _ => panic!("what is ipvsadm {argv:?}?"),
        }
        Ok(String::new())
    }
}

impl Run for Machine {
    async fn run(&mut self, command: Command) -> Answer {
        let argv: Vec<&str> = command.argv.iter().map(String::as_str).collect();
        let (status, stdout) = self
            .answer(&argv, &command.stdin)
            .map_or_else(|status| (status, String::new()), |stdout| (0, stdout));
        self.calls.push(Call { argv: command.argv, stdin: command.stdin, status });
        Answer { status, stdout, stderr: String::new() }
    }
}

fn target(rule: &[String]) -> Option<&str> {
    let jump = rule.iter().position(|word| word == "-j")?;
    rule.get(jump + 1).map(String::as_str)
}

/// Words of a line, in which quotes hold words with spaces together.
pub fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let (mut quoted, mut letters) = (false, line.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '"' => quoted = !quoted,
            '\\' => words.last_mut().unwrap().extend(letters.next()),
            ' ' if !quoted => words.push(String::new()),
            other => words.last_mut().unwrap().push(other),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
