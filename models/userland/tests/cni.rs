//! Lists of CNI plugins against recordings of the real ones (`snapshots/recordings/kubernetes/cni`): results, and the state of the node
//! and its pods after ADD, CHECK and DEL. MAC addresses and names that chance makes are numbered in the order in which they appear.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use glassnet_kernel::ids::{MachineId, NetnsId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::world::World;
use glassnet_userland::harness::{Launch, MemoryFiles, Outcome, run_launches};
use glassnet_userland::process::SharedWorld;
use serde_json::{Map, Value, json};

const NODE: MachineId = MachineId(0);

/// A node with its files.
struct Node {
    world: SharedWorld,
    files: Arc<MemoryFiles>,
}

impl Node {
    fn new(has_tunnel: bool) -> Node {
        let mut world = World::new(1);
        world.add_machine("node1", 2);
        let node = Node { world: Arc::new(Mutex::new(world)), files: Arc::default() };
        if has_tunnel {
            node.say(INIT_NET, "modprobe ipip");
        }
        for line in [
            "ip link set lo up",
            "ip link add eth0 type veth peer name wan",
            "ip addr add 192.168.0.2/24 dev eth0",
            "ip link set eth0 up",
            "ip link set wan up",
            "ip route add default via 192.168.0.1",
        ] {
            node.say(INIT_NET, line);
        }
        node
    }

    fn netns(&self, name: &str) -> NetnsId {
        self.world.lock().unwrap().kernel(NODE).netns_names[name]
    }

    fn run(&self, netns: NetnsId, argv: &[&str], env: BTreeMap<String, String>, stdin: &str) -> Outcome {
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        let launch = Launch {
            place: (NODE, netns),
            argv,
            env,
            stdin: stdin.to_owned(),
            delay: glassnet_sim::Nanos::ZERO,
        };
        run_launches(&self.world, vec![launch], self.files.clone()).expect("ends").remove(0)
    }

    /// What a command prints.
    fn say(&self, netns: NetnsId, line: &str) -> String {
        let argv: Vec<&str> = line.split(' ').collect();
        let outcome = self.run(netns, &argv, BTreeMap::new(), "");
        outcome.stdout + &outcome.stderr
    }

    /// Runs a plugin as a runtime does.
    fn plugin(&self, command: &str, conf: &Value, pod: &str) -> Outcome {
        let kind = conf["type"].as_str().expect("a type");
        let env = [
            ("CNI_COMMAND", command),
            ("CNI_CONTAINERID", pod),
            ("CNI_NETNS", &format!("/run/netns/{pod}")),
            ("CNI_IFNAME", "eth0"),
            ("CNI_PATH", "/usr/lib/cni"),
            ("CNI_ARGS", "IgnoreUnknown=1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.run(INIT_NET, &[&format!("/usr/lib/cni/{kind}")], env.into(), &conf.to_string())
    }
}

/// A list, its pods, and what the real plugins made of them.
struct Case {
    list: Value,
    pods: Vec<Value>,
    recorded: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../snapshots/recordings/kubernetes/cni")
}

impl Case {
    fn read(name: &str) -> Case {
        let read = |file: &str| std::fs::read_to_string(folder().join(name).join(file));
        let json = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
        let pods =
            read("pods.json").map_or_else(|_| json!([{"id": "pod1"}, {"id": "pod2"}]), |text| json(&text));
        Case {
            list: json(&read("conflist.json").expect("a list")),
            pods: pods.as_array().expect("pods").clone(),
            recorded: read("state.txt").expect("a recording"),
        }
    }

    /// What a plugin of the list gets.
    fn conf(&self, plugin: &Value, pod: &Value, prev: Option<&Value>) -> Value {
        let mut conf = plugin.as_object().expect("a plugin").clone();
        for key in ["cniVersion", "name"] {
            conf.insert(key.to_owned(), self.list[key].clone());
        }
        let can = |key: &str| plugin["capabilities"][key] == Value::Bool(true);
        let known = pod.as_object().expect("a pod").iter().filter(|(key, _)| can(key));
        let runtime: Map<String, Value> = known.map(|(key, value)| (key.clone(), value.clone())).collect();
        if !runtime.is_empty() {
            conf.insert("runtimeConfig".to_owned(), runtime.into());
        }
        if let Some(prev) = prev {
            conf.insert("prevResult".to_owned(), prev.clone());
        }
        conf.into()
    }

    /// The same with the model's plugins, in the form of the recording.
    fn run(&self) -> String {
        let node = Node::new(self.recorded.contains("tunl0"));
        let plugins = self.list["plugins"].as_array().expect("plugins");
        let id = |pod: &Value| pod["id"].as_str().expect("an id").to_owned();
        let pods: Vec<String> = self.pods.iter().map(id).collect();
        let (mut text, mut results) = (String::new(), Vec::new());
        for pod in &self.pods {
            node.say(INIT_NET, &format!("ip netns add {}", id(pod)));
            let mut prev = None;
            for plugin in plugins {
                let ran = node.plugin("ADD", &self.conf(plugin, pod, prev.as_ref()), &id(pod));
                let (kind, status) = (plugin["type"].as_str().unwrap(), ran.status);
                text += &format!("# ADD {kind} {}: exit {status}\n{}{}\n", id(pod), ran.stdout, ran.stderr);
                if status == 0 {
                    prev = Some(serde_json::from_str(&ran.stdout).expect("a result"));
                }
            }
            results.push(prev);
        }
        text += &format!("# state after all ADDs\n{}\n", state(&node, &pods));
        let call = |command: &str, plugin: &Value, at: usize| {
            let pod = &self.pods[at];
            let ran = node.plugin(command, &self.conf(plugin, pod, results[at].as_ref()), &id(pod));
            let kind = plugin["type"].as_str().unwrap();
            format!("# {command} {kind} {}: exit {} {}\n", id(pod), ran.status, ran.stdout.trim())
        };
        for at in 0..pods.len() {
            text.extend(plugins.iter().map(|plugin| call("CHECK", plugin, at)));
        }
        let last = pods.len() - 1;
        text.extend(plugins.iter().rev().map(|plugin| call("DEL", plugin, last)));
        text += &format!("# state after DEL of the last pod\n{}\n", state(&node, &pods));
        for at in 0..last {
            text.extend(plugins.iter().rev().map(|plugin| call("DEL", plugin, at)));
        }
        text + &format!("# state after DEL of all\n{}\n", state(&node, &pods))
    }
}

/// The state of the node, as `record_cni.py` shows it.
fn state(node: &Node, pods: &[String]) -> String {
    let without = |text: String, drop: fn(&str) -> bool| -> String {
        text.lines().filter(|line| !drop(line)).map(|line| format!("{line}\n")).collect()
    };
    let addrs = |netns| {
        let all = node.say(netns, "ip -4 -o addr");
        all.lines()
            .map(|line| line.split("       valid_lft").next().unwrap().trim_end().to_owned() + "\n")
            .collect::<String>()
    };
    let mut text = String::new();
    let mut show = |command: &str, said: String| text += &format!("$ {command}\n{said}\n");
    show("ip -d -o link", node.say(INIT_NET, "ip -d -o link"));
    show("ip -4 -o addr", addrs(INIT_NET));
    for line in ["ip route", "ip rule", "bridge link"] {
        show(line, node.say(INIT_NET, line));
    }
    show("bridge vlan", node.say(INIT_NET, "bridge vlan"));
    show("iptables-save", without(node.say(INIT_NET, "iptables-save"), |line| line.starts_with('#')));
    show("tc qdisc", without(node.say(INIT_NET, "tc qdisc"), |line| line.contains("noqueue")));
    for pod in pods {
        let netns = node.netns(pod);
        show(&format!("## in {pod}"), node.say(netns, "ip -d -o link"));
        show("ip -4 -o addr", addrs(netns));
        show("ip route", node.say(netns, "ip route"));
        show("ip neigh", node.say(netns, "ip neigh"));
    }
    let sysctl = |key: &str| node.say(INIT_NET, &format!("sysctl {key}"));
    let conf = "net.ipv4.conf.all";
    let own = node.say(INIT_NET, "sysctl -a");
    let is_on = |line: &&str| {
        ["route_localnet = 1", "proxy_arp = 1", "rp_filter = 1", "arp_notify = 1"]
            .iter()
            .any(|end| line.contains(end))
            && !line.starts_with(conf)
    };
    let on: String = own.lines().filter(is_on).map(|line| format!("{line}\n")).collect();
    let all = sysctl("net.ipv4.ip_forward")
        + &sysctl(&format!("{conf}.rp_filter"))
        + &sysctl(&format!("{conf}.route_localnet"));
    show("sysctl", all + &on);
    let files = node.files.0.lock().unwrap();
    let of_network = files.iter().filter_map(|(path, bytes)| {
        let name = path.strip_prefix("/var/lib/cni/networks").filter(|name| !name.ends_with("/lock"))?;
        Some(format!(".{name}: {}\n", String::from_utf8_lossy(bytes).replace("\r\n", "  ")))
    });
    show("host-local", of_network.collect());
    text
}

/// A word that chance made, in the recording numbered, or the whole word if it is none.
fn numbered(word: &str, seen: &mut Vec<String>) -> String {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_mac = word.len() == 17
        && word.split(':').count() == 6
        && word.split(':').all(|byte| byte.len() == 2 && is_hex(byte));
    let is_mac = is_mac && !word.starts_with("00:00:00") && !word.starts_with("ff:ff");
    let of = |prefix: &str| {
        word.strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    };
    let is_veth =
        of("veth#") || word.strip_prefix("veth").is_some_and(|rest| rest.len() == 8 && is_hex(rest));
    if !is_mac && !of("MAC") && !is_veth {
        return word.to_owned();
    }
    let at = seen.iter().position(|known| known == word).unwrap_or_else(|| {
        seen.push(word.to_owned());
        seen.len() - 1
    });
    format!("<{at}>")
}

/// A line of `ip -d -o link`: what has to do with plugins. How far the worker had come that looks after the states of links, when they
/// were read, is chance.
fn link(line: &str) -> String {
    let words: Vec<&str> = line.split([' ', '\\']).filter(|word| !word.is_empty()).collect();
    let after = |key: &str| words.iter().position(|word| *word == key).and_then(|at| words.get(at + 1));
    let mut kept = Vec::new();
    let mut head = words.iter().take_while(|word| **word != "promiscuity");
    while let Some(word) = head.next() {
        match *word {
            // The number of a namespace is the kernel's affair.
            "link-netns" | "link-netnsid" | "state" => _ = head.next(),
            word => kept.push(word.replace("NO-CARRIER,", "").replace(",LOWER_UP", "")),
        }
    }
    for key in ["promiscuity", "vlan_filtering", "hairpin"] {
        if let Some(value) = after(key) {
            kept.push(format!("{key} {value}"));
        }
    }
    kept.join(" ")
}

/// A recording, or what the model says, in a form in which they are equal.
fn canon(text: &str, has_vlans: bool) -> Vec<String> {
    let (mut seen, mut lines) = (Vec::new(), Vec::new());
    let mut is_skipped = false;
    for line in text.lines() {
        if line.starts_with("$ ") || line.starts_with("# ") {
            // Seen in the links, too; and its options are not those of this version.
            is_skipped = line == "$ bridge -d link" || line == "$ bridge vlan" && !has_vlans;
        }
        // The log of `sbr` has times and addresses of the heap.
        let log = line.trim_start_matches('}');
        let is_log = log.starts_with("20") && log.get(4..5) == Some("/") && log.get(7..8) == Some("/");
        let is_empty = line.trim().is_empty() || line.contains("can't cd to");
        if is_skipped || is_empty || is_log && !line.starts_with('}') {
            continue;
        }
        let line = if is_log { "}" } else { line };
        let line = line.trim_end().trim_end_matches(['\\', ' ']).replace("    (shortened)", "");
        let is_link = line.contains(" mtu ") && line.contains("link/");
        let line = if is_link { link(&line) } else { line };
        let line = line.replace("<NO-CARRIER,", "<").replace(",LOWER_UP>", ">").replace(" linkdown", "");
        // Columns are as wide as names.
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let separate = |c: char| !(c.is_ascii_alphanumeric() || "#:".contains(c));
        let mut out = String::new();
        let mut rest = line.as_str();
        while !rest.is_empty() {
            let end = rest.find(separate).unwrap_or(rest.len());
            let (word, more) = rest.split_at(end);
            let (name, colon) = word.strip_suffix(':').map_or((word, ""), |name| (name, ":"));
            out += &numbered(name, &mut seen);
            out += colon;
            let next = more.chars().next().map_or(0, char::len_utf8);
            out += &more[..next];
            rest = &more[next..];
        }
        if out != "## in" && !out.starts_with("## in") && !out.starts_with("$ ## in") {
            lines.push(out);
        }
    }
    // The first of what a pod shows stands under its name.
    lines.retain(|line| line != "$ ip -d -o link");
    lines
}

#[test]
fn plugins_make_what_the_real_ones_made() {
    let mut cases: Vec<String> = std::fs::read_dir(folder())
        .expect("recordings")
        .map(|entry| entry.expect("a folder").file_name().to_string_lossy().into_owned())
        .collect();
    cases.sort();
    assert!(cases.len() >= 10, "{cases:?}");
    let mut differences = String::new();
    for name in cases {
        let case = Case::read(&name);
        // The kernel of most recordings has no VLANs of bridges.
        let has_vlans = case.recorded.contains("PVID");
        let (recorded, own) = (canon(&case.recorded, has_vlans), canon(&case.run(), has_vlans));
        if let Some(at) = (0..recorded.len().max(own.len())).find(|at| recorded.get(*at) != own.get(*at)) {
            let near = |lines: &[String]| {
                lines.iter().skip(at.saturating_sub(4)).take(9).cloned().collect::<Vec<_>>().join("\n    ")
            };
            let (recorded, own) = (near(&recorded), near(&own));
            differences += &format!("{name}:\n  recorded\n    {recorded}\n  model\n    {own}\n");
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

/// A call of a plugin by hand, and what the real one answered.
struct Call<'a> {
    command: &'a str,
    plugin: &'a str,
    env: [(&'a str, &'a str); 4],
    conf: &'a str,
    answer: String,
}

/// Reads a file of calls: `$ ADD bridge id=c1 netns=/run/netns/pod1 ifname=eth0 args= {…}`, and the lines of the answer.
fn calls(text: &str) -> Vec<Call<'_>> {
    fn one(block: &str) -> Option<Call<'_>> {
        let (line, answer) = block.split_once('\n')?;
        let mut words = line.splitn(7, ' ');
        let (command, plugin) = (words.next()?, words.next()?);
        let mut value = |key: &str| words.next()?.strip_prefix(key)?.strip_prefix('=');
        let env = [
            ("CNI_CONTAINERID", value("id")?),
            ("CNI_NETNS", value("netns")?),
            ("CNI_IFNAME", value("ifname")?),
            ("CNI_ARGS", value("args")?),
        ];
        let conf = words.next().unwrap_or_default();
        Some(Call { command, plugin, env, conf, answer: answer.trim().to_owned() })
    }
    let blocks = text.strip_prefix("$ ").expect("a call").split("\n$ ");
    blocks.map(|block| one(block).unwrap_or_else(|| panic!("{block}"))).collect()
}

/// The words of a text that chance made.
fn by_chance(text: &str) -> Vec<String> {
    let mut seen = Vec::new();
    for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == ':')) {
        numbered(word, &mut seen);
    }
    seen
}

/// Replays calls of real plugins; returns what differs.
fn replay(text: &str) -> String {
    let node = Node::new(false);
    node.say(INIT_NET, "ip netns add pod1");
    node.say(INIT_NET, "ip link add dum0 address 02:00:00:00:00:77 type veth peer name dum1");
    let resolv = "nameserver 1.2.3.4\n# c\nsearch a b\ndomain x.y\noptions ndots:5\nnameserver 8.8.8.8\noptions x y\nfoo\n";
    node.files.0.lock().unwrap().insert("/run/resolv".to_owned(), resolv.into());
    let (mut differences, mut own_words) = (String::new(), Vec::<(String, String)>::new());
    for call in calls(text) {
        // Addresses of IPv6 are refused by name.
        if call.conf.contains("fd00::") {
            continue;
        }
        let mut conf = call.conf.to_owned();
        for (recorded, own) in &own_words {
            conf = conf.replace(recorded, own);
        }
        let path = format!("/usr/lib/cni/{}", call.plugin);
        let mut env: BTreeMap<String, String> =
            call.env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        env.insert("CNI_COMMAND".to_owned(), call.command.to_owned());
        env.insert("CNI_PATH".to_owned(), "/usr/lib/cni".to_owned());
        let ran = node.run(INIT_NET, &[&path], env, &conf);
        let own = format!("{}\n=> {}", ran.stdout.trim(), ran.status).trim().to_owned();
        let words = by_chance(&call.answer).into_iter().zip(by_chance(&own));
        own_words.extend(words.filter(|(recorded, own)| recorded != own));
        let same = |text: &str| canon(text, true);
        if same(&own) != same(&call.answer) {
            let Call { command, plugin, env, answer, .. } = call;
            differences +=
                &format!("{command} {plugin} {env:?} {conf}\n  recorded\n{answer}\n  model\n{own}\n");
        }
    }
    differences
}

#[test]
fn calls_by_hand_are_answered_as_by_the_real_plugins() {
    let mut differences = String::new();
    for file in ["bridge", "host-local", "others"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cni").join(file).with_extension("txt");
        let text = std::fs::read_to_string(path).expect("calls");
        assert!(calls(&text).len() > 50, "{file}");
        differences += &replay(&text);
    }
    assert!(differences.is_empty(), "{differences}");
}
