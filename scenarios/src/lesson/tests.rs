use std::path::Path;

use super::*;

fn parse(name: &str, text: &str) -> Result<Lesson, LessonError> {
    Lesson::parse(Path::new(name), text.to_string())
}

/// A minimal lesson with this body.
fn lesson(body: &str) -> String {
    format!("---\ntitle: t\ntopology: {{ nodes: {{ node1: {{}}, node2: {{}} }} }}\n---\n{body}")
}

/// Machine, command, line and expected output of a prompt.
type Expected = (&'static str, &'static str, usize, &'static str);

#[test]
fn prompts_and_output() {
    let cases: &[(&str, &'static [Expected])] = &[
        ("```console\nnode1# ip a\nout\n…\n```\n", &[("node1", "ip a", 6, "out\n…\n")]),
        (
            "prose\n\n```console\nnode1# a\n\nnode2# b\n```\n\n```sh\nnode9# no\n```\n",
            &[("node1", "a", 8, "\n"), ("node2", "b", 10, "")],
        ),
        ("```console\nnode1# a \\\n  b\nx\n```\n", &[("node1", "a \\\n  b", 6, "x\n")]),
        ("```console\nnode1# cat <<E\n> hi\n> E\nhi\n```\n", &[("node1", "cat <<E\nhi\nE", 6, "hi\n")]),
        (
            "```console\nnode1# a\n# not a prompt\n12# neither\n```\n",
            &[("node1", "a", 6, "# not a prompt\n12# neither\n")],
        ),
        ("- item\n\n  ```console\n  node1# a\n  out\n  ```\n", &[("node1", "a", 8, "out\n")]),
        ("```console\nnode1#\nnode1# a\n```\n", &[("node1", "a", 7, "")]),
    ];
    let ends = |(body, expected): &(&str, &'static [Expected])| {
        [(body.to_string(), *expected), (body.replace('\n', "\r\n"), *expected)]
    };
    for (body, expected) in cases.iter().flat_map(ends) {
        let lesson = parse("x.md", &lesson(&body)).unwrap_or_else(|error| panic!("{body}: {error}"));
        let found: Vec<_> = lesson
            .prompts()
            .map(|p| (p.machine.as_str(), p.command.as_str(), p.line, p.expected.as_str()))
            .collect();
        assert_eq!(found, expected, "{body}");
    }
}

#[test]
fn errors_underline_the_text() {
    let topology = |yaml: &str| format!("---\ntitle: t\ntopology:\n  nodes: {{ a: {{}} }}\n{yaml}\n---\n");
    // (name, text, line, underlined, part of the message)
    let cases: &[(&str, String, usize, &str, &str)] = &[
        ("x.md", "".into(), 1, "", "no front matter"),
        ("x.md", "# Title\n".into(), 1, "# Title", "no front matter"),
        ("x.md", "---\ntitle: t\n".into(), 1, "---", "never closed"),
        ("x.md", "---\ntitle: t\n---\n".into(), 2, "title", "topology"),
        ("x.md", topology("  machines: 3"), 5, "machines", "machines"),
        ("x.md", topology("  links: [{ endpoints: [\"a:eth0\", \"b:eth0\"] }]"), 5, "b:eth0", "nowhere"),
        ("x.md", topology("  links: [{ endpoints: [\"a:eth0\"] }]"), 5, "[", "two endpoints"),
        ("x.md", topology("  links: [{ endpoints: [\"a:e\", \"a:e\"] }]"), 5, "a:e", "already has a cable"),
        ("x.md", topology("  links: [{ endpoints: [a, \"a:e\"] }]"), 5, "a", "not an endpoint"),
        (
            "x.md",
            topology("  links: [{ endpoints: [\"a:e\", \"a:f\"], rate: fast }]"),
            5,
            "fast",
            "not a rate",
        ),
        ("x.md", topology("  links: [{ endpoints: [\"a:e\", \"a:f\"], delay: 5 }]"), 5, "5", "not a delay"),
        (
            "x.md",
            topology(
                "  switches: { s: {}, t: {} }\n  links: [{ endpoints: [\"s:1\", \"t:1\"] }, { endpoints: [\"s:2\", \"t:2\"] }]",
            ),
            6,
            "[",
            "never end",
        ),
        (
            "x.md",
            "---\ntitle: t\ntopology:\n  nodes: { a: { nics: { e: { queues: 4 } } } }\n---\n".into(),
            4,
            "4",
            "a card of e1000e has 1 to 1 for `queues`",
        ),
        ("x.md", lesson("```console\nnode1# a\n"), 5, "```console", "never closed"),
        ("x.md", lesson("```console\nnode7# a\n```\n"), 6, "node7", "no machine `node7`"),
        ("x.md", lesson("```console\nhello\n```\n"), 6, "hello", "begins with a prompt"),
        (
            "x.yaml",
            "topology: { nodes: { a: {} } }\nsteps: [{ on: b, run: x }]\n".into(),
            2,
            "b",
            "no machine `b`",
        ),
        ("x.yaml", "steps: []\n".into(), 1, "steps", "topology"),
        ("x.yaml", "a: [\n".into(), 1, "", ""),
    ];
    check_errors(cases);
}

/// Name, text, line, underlined, part of the message.
fn check_errors(cases: &[(&str, String, usize, &str, &str)]) {
    for (name, text, line, underlined, message) in cases {
        let error = parse(name, text).err().unwrap_or_else(|| panic!("accepted: {text}"));
        assert!(error.message.contains(message), "{text}: {error}");
        if !message.is_empty() {
            let found = error.underlined().trim_matches('"');
            assert_eq!(
                (error.line, found.get(..underlined.len())),
                (*line, Some(*underlined)),
                "{text}: {error}"
            );
        }
    }
}

#[test]
fn names_and_drivers_are_checked() {
    let topology = |yaml: &str| format!("---\ntitle: t\ntopology:\n  nodes: {{ a: {{}} }}\n{yaml}\n---\n");
    check_errors(&[
        (
            "x.yaml",
            "topology:\n  nodes:\n    a b: {}\nsteps: []\n".into(),
            3,
            "a b",
            "cannot be the name of a machine",
        ),
        (
            "x.yaml",
            "topology:\n  nodes: { 1a: {} }\nsteps: []\n".into(),
            2,
            "1a",
            "cannot be the name of a machine",
        ),
        (
            "x.yaml",
            "topology:\n  nodes: { \"\": {} }\nsteps: []\n".into(),
            2,
            "{",
            "cannot be the name of a machine",
        ),
        (
            "x.yaml",
            "topology:\n  nodes: { a: }\n  switches: { x/y: }\nsteps: []\n".into(),
            3,
            "x/y",
            "or switch",
        ),
        (
            "x.yaml",
            "topology:\n  nodes: { a: { nics: {\n  ../x: } } }\nsteps: []\n".into(),
            3,
            "../x",
            "network card",
        ),
        (
            "x.yaml",
            "topology:\n  nodes: { a: { nics: {\n  \"n\\0\": } } }\nsteps: []\n".into(),
            2,
            "a",
            "network card",
        ),
        (
            "x.yaml",
            "topology:\n  nodes: { a: { nics: { lo: } } }\nsteps: []\n".into(),
            2,
            "lo",
            "network card",
        ),
        ("x.md", topology("  links: [{ endpoints: [\"a:e\", \"a:a/b\"] }]"), 5, "a:a/b", "network card"),
        (
            "x.md",
            topology("  links: [{ endpoints: [\"a:e\", \"a:0123456789abcdef\"] }]"),
            5,
            "a:0",
            "network card",
        ),
        (
            "x.yaml",
            "topology:\n  nodes: { a: { nics: {\n  e: { driver: nosuchdriver } } } }\nsteps: []\n".into(),
            3,
            "nosuchdriver",
            "no driver `nosuchdriver`",
        ),
    ]);
}

#[test]
fn who_enforces_network_policies_is_somebody_that_is_there() {
    let cluster = |policy: &str| {
        format!(
            "---\ntitle: t\ntopology:\n  nodes: {{ a: {{}} }}\n  switches: {{ s: {{}} }}\n  links: [{{ endpoints: [\"a:e\", \"s:1\"] }}]\n\
             cluster: {{ policy: {policy} }}\n---\n"
        )
    };
    check_errors(&[("x.md", cluster("cilium"), 7, "cilium", "there is kube-router")]);
    for policy in ["none", "kube-router"] {
        let lesson = parse("x.md", &cluster(policy)).unwrap_or_else(|error| panic!("{error}"));
        let enforced = lesson.front.topology.cluster.and_then(|cluster| cluster.policy).is_some();
        assert_eq!(enforced, policy == "kube-router");
    }
}

#[test]
fn a_profile_is_one_that_is_there() {
    check_errors(&[
        (
            "x.yaml",
            "topology:\n  nodes: { a: { profile: fast } }\nsteps: []\n".into(),
            2,
            "fast",
            "no profile `fast`",
        ),
        (
            "x.yaml",
            "topology:\n  nodes: { a: { profile: gone.csv } }\nsteps: []\n".into(),
            2,
            "gone.csv",
            "No such file or directory",
        ),
    ]);
}

#[test]
fn topology_is_read() {
    let text = "---\ntitle: t\ntopology:\n  nodes:\n    node1: { cpus: 2, nics: { eth0: { driver: virtio_net, queues: 1, rx_ring: 256, address: \"52:54:00:00:00:01\" } } }\n    node2:\n  switches: { sw: {} }\n  links:\n    - { endpoints: [\"node1:eth0\", \"sw:1\"], rate: 1Gbit, delay: 5us }\n    - { endpoints: [\"node2:eth0\", \"sw:2\"] }\n---\n";
    let topology = parse("x.md", text).unwrap().front.topology;
    assert_eq!(topology.nodes["node1"].cpus, 2);
    let nic = &topology.nodes["node1"].nics["eth0"];
    assert_eq!(nic.driver, "virtio_net");
    assert_eq!(nic.address.map(|mac| mac.0), Some([0x52, 0x54, 0, 0, 0, 1]));
    assert_eq!(topology.nodes["node2"].nics["eth0"], Nic::default());
    assert_eq!(topology.switches["sw"].ports, ["1", "2"]);
    assert_eq!((topology.links[0].rate, topology.links[0].delay.0), (1_000_000_000, 5_000));
}

#[test]
fn yaml_scenarios_have_the_same_structure() {
    let text = "topology: { nodes: { a: {} } }\nsteps:\n  - { on: a, run: ip addr }\n  - on: a\n    run: |\n      for i in 1 2; do\n        echo $i\n      done\n    prints: |\n      1\n      2\n";
    let lesson = parse("x.yaml", text).unwrap();
    let found: Vec<_> = lesson.prompts().map(|p| (p.command.as_str(), p.expected.as_str())).collect();
    assert_eq!(found, [("ip addr", "…\n"), ("for i in 1 2; do\n  echo $i\ndone", "1\n2\n")]);
}

#[test]
fn no_text_makes_the_reader_panic() {
    // Prefixes of a lesson, and a lesson without one line, are parsed or refused.
    let whole = lesson("é\n\n```console\nnode1# a \\\n> b\nout …\n```\n~~~console\nnode2# b\n~~~\n");
    for end in (0..=whole.len()).filter(|end| whole.is_char_boundary(*end)) {
        let _ = parse("x.md", &whole[..end]);
        let _ = parse("x.yaml", &whole[..end]);
    }
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    for skipped in 0..lines.len() {
        let text: String =
            lines.iter().enumerate().filter(|(at, _)| *at != skipped).map(|(_, line)| *line).collect();
        let _ = parse("x.md", &text);
    }
}

#[test]
fn values_of_a_topology_can_be_others() {
    let nodes = "a: { cpus: 2 }, a.b: { nics: { eth0.1: } }, c: ~";
    let links = "[{ endpoints: [\"a:eth0\", \"sw:1\"] }, { endpoints: [\"c:eth0\", \"sw:2\"], rate: 1Gbit }, { endpoints: [\"a.b:eth0.1\", \"sw:3\"] }]";
    let topology = format!("{{ nodes: {{ {nodes} }}, switches: {{ sw: }}, links: {links} }}");
    let cluster = "{ nodes: { a: }, proxy: iptables }";
    let markdown =
        format!("---\ntitle: 5\ntopology: {topology}\ncluster: {cluster}\n---\n```console\na# x\n```\n");
    let yaml = format!("topology: {topology}\ncluster: {cluster}\nsteps: [{{ on: a, run: x }}]\n");
    for (name, text) in [("x.md", markdown), ("x.yaml", yaml)] {
        let lesson = parse(name, &text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let template = Template::of(&lesson).expect("a topology");
        assert_eq!(template.with(std::iter::empty()).expect("as it is"), lesson.front.topology);
        let with = |values: &[(&str, &str)]| {
            let places: Vec<Places> = values
                .iter()
                .map(|(path, _)| {
                    Places::find(path, &lesson.front.topology).unwrap_or_else(|why| panic!("{why}"))
                })
                .collect();
            let values = places.iter().zip(values).map(|(places, (_, value))| (places, *value));
            template.with(values).map_err(|error| error.to_string())
        };
        let varied = with(&[
            ("nodes.a.cpus", "4"),
            ("nodes.a.b.cpus", "3"),
            ("nics.eth0.rx_ring", "128"),
            ("nodes.a.b.nics.eth0.1.driver", "igb"),
            ("nodes.c.nics.eth0.rx_ring", "64"),
            ("links.sw:2.rate", "100Mbit"),
            ("links.a.b:eth0.1.delay", "5us"),
            ("switches.sw.queue", "1000"),
            ("cluster.proxy", "userspace"),
            ("cluster.version", "1.20"),
        ])
        .expect("values");
        let ring = |node: &str, card: &str| varied.nodes[node].nics[card].rx_ring;
        assert_eq!((varied.nodes["a"].cpus, varied.nodes["a.b"].cpus), (4, 3));
        assert_eq!(
            (ring("a", "eth0"), ring("c", "eth0"), ring("a.b", "eth0.1")),
            (Some(128), Some(64), None)
        );
        assert_eq!(varied.nodes["a.b"].nics["eth0.1"].driver, "igb");
        assert_eq!((varied.links[0].rate, varied.links[1].rate), (10_000_000_000, 100_000_000));
        assert_eq!((varied.links[2].delay.0, varied.switches["sw"].queue), (5_000, Some(1000)));
        assert!(varied.cluster.is_some_and(|cluster| cluster.has_userspace_proxy()));
        assert!(with(&[("cluster.proxy", "userspace")]).expect_err("of 1.20").contains("unknown proxy mode"));
        assert!(with(&[("nodes.a.speed", "1")]).expect_err("no such key").contains("speed"));
        for (path, word) in [
            ("nodes.d.cpus", "no machine `d`: the topology has a, a.b, c"),
            ("nodes.a.nics.eth1.rx_ring", "no card `eth1`: the topology has eth0"),
            ("nodes.a.", "is no place"),
            ("nodes.a.nics.eth0.", "is no place"),
            ("nodes.a.x.y", "is no place"),
            ("links.a:eth1.rate", "no end of a cable `a:eth1`"),
            ("steps.0", "is no place"),
            ("cluster.nodes.a", "is no place"),
            ("", "is no place"),
        ] {
            let why = Places::find(path, &lesson.front.topology).expect_err(path);
            assert!(why.contains(word), "{path}: {why}");
        }
    }
}

#[test]
fn measures_name_a_machine_and_a_command() {
    let front = |measures: &str| {
        format!("---\ntitle: t\ntopology: {{ nodes: {{ a: }} }}\nmeasures: {{ {measures} }}\n---\n")
    };
    let lesson = parse("x.md", &front("z: \"a: x y\", b_1: \"a:: x\"")).expect("measures");
    let found: Vec<_> = lesson.front.measures.iter().map(|m| (m.name.as_str(), m.command.as_str())).collect();
    assert_eq!(found, [("b_1", ": x"), ("z", "x y")]);
    for (measures, word) in [
        ("z: \"c: x\"", "no machine `c`"),
        ("z: x", "names no machine"),
        ("z: \"a: \"", "has no command"),
        ("\"\": \"a: x\"", "cannot be the name"),
        ("\"a b\": \"a: x\"", "cannot be the name"),
    ] {
        let error = parse("x.md", &front(measures)).expect_err(measures);
        assert!(error.to_string().contains(word) && error.line == 4, "{measures}: {error}");
    }
}

/// A lesson on two machines with a cable, with this body.
fn cabled(body: &str) -> String {
    let links = "links: [{ endpoints: [\"a:eth0\", \"b:eth0\"] }]";
    format!("---\ntitle: t\ntopology: {{ nodes: {{ a: {{}}, b: {{}} }}, {links} }}\n---\n{body}")
}

#[test]
fn cables_change_before_the_next_prompt() {
    let text =
        "```cable\npull a:eth0\n\nset b:eth0 loss 10% jitter 2us\n```\n\n```console\na# x\na# y\n```\n";
    let lesson = parse("x.md", &cabled(text)).expect("a lesson");
    let [first, second] = lesson.prompts().collect::<Vec<_>>()[..] else { panic!("two prompts") };
    assert_eq!(first.before.len(), 2);
    assert_eq!((first.before[0].end.node.as_str(), &first.before[0].what), ("a", &Change::Pull));
    assert_eq!(second.before, []);
    let Change::Set(set) = &first.before[1].what else { panic!("it is set") };
    let cable = changed(glassnet_hardware::Cable::default(), set);
    let faults = cable.faults;
    assert_eq!((faults.loss, faults.late.0, faults.reorder), (100_000, 2_000, 1_000_000));
    let yaml = "topology: { nodes: { a: , b: }, links: [{ endpoints: [\"a:eth0\", \"b:eth0\"] }] }\n\
                steps: [{ cable: \"plug b:eth0\", on: a, run: x }]\n";
    let lesson = parse("x.yaml", yaml).expect("a scenario");
    assert_eq!(lesson.prompts().next().map(|prompt| &prompt.before[0].what), Some(&Change::Plug));
}

#[test]
fn what_no_hand_can_do_to_a_cable_is_told() {
    let cases = [
        ("pull", "pull", "names one of its ends"),
        ("pull a:eth1", "a:eth1", "no cable ends at"),
        ("pull a:eth0 now", "now", "nothing follows"),
        ("cut a:eth0", "cut", "cannot be told to `cut`"),
        ("set a:eth0", "set", "nothing is set"),
        ("set a:eth0 colour red", "colour", "a cable has no `colour`"),
        ("set a:eth0 loss", "loss", "no value"),
        ("set a:eth0 loss 200%", "200%", "not a share such as 1%"),
    ];
    for (line, underlined, message) in cases {
        let text = cabled(&format!("```cable\n{line}\n```\n```console\na# x\n```\n"));
        let error = parse("x.md", &text).expect_err(line);
        assert_eq!((error.line, error.underlined()), (6, underlined), "{line}");
        assert!(error.message.contains(message), "{line}: {}", error.message);
    }
    let error = parse("x.md", &cabled("```cable\npull a:eth0\n```\n")).expect_err("nobody looks");
    assert!(error.message.contains("no prompt follows"), "{}", error.message);
}
