//! Random rules: `iptables-save` prints them so that they can be read again, and as the real one does.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use glassnet_kernel::World;
use glassnet_kernel::ids::MachineId;
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::tables::xt::{TABLES, TableName};
use glassnet_sim::Dice;
use glassnet_userland::harness;
use glassnet_userland::iptables::arbitrary::{RuleContext, random_rule};
use glassnet_userland::process::SharedWorld;

/// A dump with `count` random rules in each table.
fn dump(seed: u64, count: usize) -> String {
    let mut dice = Dice::new(seed);
    let context = RuleContext {
        devices: ["eth0", "br-1", "veth12"].map(str::to_owned).to_vec(),
        chains: vec!["user".to_owned()],
    };
    let mut out = String::new();
    for table in TABLES {
        out += &format!("*{}\n:user - [0:0]\n", table.name());
        for _ in 0..count {
            let hooks = table.hooks();
            let chain = hooks[dice.below(hooks.len() as u64) as usize].chain();
            out += &random_rule(&mut dice, table, chain, &context);
            out.push('\n');
        }
        out += "COMMIT\n";
    }
    out
}

fn run(world: &SharedWorld, argv: &[&str], stdin: &str) -> String {
    let outcome = harness::run(world, (MachineId(0), INIT_NET), argv, stdin).expect("the program ends");
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "{argv:?} on\n{stdin}");
    outcome.stdout
}

/// What the model's tools make of a dump.
fn modelled(variant: &str, dump: &str) -> String {
    let mut world = World::new(1);
    world.add_machine("node1", 1);
    let world = Arc::new(Mutex::new(world));
    run(&world, &[&format!("iptables-{variant}-restore")], dump);
    rules_of(&run(&world, &[&format!("iptables-{variant}-save")], ""))
}

/// The rules by table, in the order of the tables' names, without counters and comments.
fn rules_of(saved: &str) -> String {
    let mut tables: Vec<&str> = saved.split("\n*").skip(1).collect();
    tables.sort_unstable();
    let line = |line: &&str| line.starts_with("-A") || TableName::parse(line).is_some();
    let rules: Vec<&str> = tables.iter().flat_map(|table| table.lines().filter(line)).collect();
    rules.join("\n")
}

#[test]
fn what_is_saved_is_restored_to_the_same() {
    for variant in ["nft", "legacy"] {
        for seed in 0..20 {
            let first = modelled(variant, &dump(seed, 20));
            let again: String = first
                .lines()
                .map(|line| match TableName::parse(line) {
                    Some(TableName::Filter) => "*filter\n:user - [0:0]\n".to_owned(),
                    Some(table) => format!("COMMIT\n*{}\n:user - [0:0]\n", table.name()),
                    None => format!("{line}\n"),
                })
                .collect();
            assert_eq!(modelled(variant, &format!("{again}COMMIT\n")), first, "{variant} seed {seed}");
        }
    }
}

/// Runs a real program in the namespace.
fn real(namespace: &str, program: &str, stdin: &str) -> String {
    let mut child = Command::new("ip")
        .args(["netns", "exec", namespace, program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ip netns");
    child.stdin.take().expect("a pipe").write_all(stdin.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {stderr}\n{stdin}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// `GLASSNET_SEEDS=N cargo test … -- --ignored`: 250 rules for each variant and each of N seeds (10 unless told).
#[test]
#[ignore = "needs root and iptables 1.8.9"]
fn the_real_tools_print_the_same() {
    let seeds = std::env::var("GLASSNET_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let (mut rules, mut differences) = (0, String::new());
    for variant in ["nft", "legacy"] {
        for seed in 0..seeds {
            let namespace = format!("random-rules-{}", std::process::id());
            let ip = |word: &str| Command::new("ip").args(["netns", word, &namespace]).status();
            assert!(ip("add").expect("ip").success());
            let dump = dump(1000 + seed, 50);
            real(&namespace, &format!("iptables-{variant}-restore"), &dump);
            let said = rules_of(&real(&namespace, &format!("iptables-{variant}-save"), ""));
            assert!(ip("del").expect("ip").success());
            let ours = modelled(variant, &dump);
            rules += said.lines().count();
            for (real, ours) in said.lines().zip(ours.lines()).filter(|(real, ours)| real != ours) {
                differences += &format!("{variant} real: {real}\n{variant} ours: {ours}\n");
            }
            assert_eq!(said.lines().count(), ours.lines().count(), "{variant} seed {seed}");
        }
    }
    println!("{rules} lines compared");
    assert!(differences.is_empty(), "{differences}");
}
