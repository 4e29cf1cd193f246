//! A dump as kube-proxy's iptables mode leaves it: for tests and benchmarks.

use std::collections::BTreeMap;
use std::fmt::Write;

/// The letters of Kubernetes' chain names (base 32).
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A chain's name: 16 letters of a hash.
fn chain(kind: &str, service: usize, endpoint: usize) -> String {
    let mut hash = (service as u64) << 20 | endpoint as u64;
    // The finaliser of splitmix64 mixes every bit, and no two numbers become one.
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^= hash >> 31;
    let letters = (0..16).map(|at| char::from(LETTERS[(hash >> (4 * at)) as usize % 16 + at % 2 * 16]));
    format!("KUBE-{kind}-{}", letters.collect::<String>())
}

/// What `iptables-save -t nat` prints on a node with so many services of so many endpoints each, without the lines
/// that hold the date: `services * (2 + 3 * endpoints) + 8` rules, the chains by name. At most 65536 services and 250
/// endpoints.
pub fn kube_dump(services: usize, endpoints: usize) -> String {
    let mut chains: BTreeMap<String, String> = BTreeMap::new();
    for (name, rules) in [
        ("KUBE-MARK-MASQ", "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000\n"),
        (
            "KUBE-POSTROUTING",
            "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN\n\
             -A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0\n\
             -A KUBE-POSTROUTING -m comment --comment \"kubernetes service traffic requiring SNAT\" -j MASQUERADE \
             --random-fully\n",
        ),
    ] {
        chains.insert(name.to_owned(), rules.to_owned());
    }
    let mut entry = String::new();
    for service in 0..services {
        push_service(&mut chains, &mut entry, service, endpoints);
    }
    chains.insert(
        "KUBE-SERVICES".to_owned(),
        entry + "-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j RETURN\n",
    );
    let mut out = String::from("*nat\n");
    for builtin in ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"] {
        let _ = writeln!(out, ":{builtin} ACCEPT [0:0]");
    }
    chains.keys().for_each(|name| out += &format!(":{name} - [0:0]\n"));
    for builtin in ["PREROUTING", "OUTPUT"] {
        let comment = "kubernetes service portals";
        let _ = writeln!(out, "-A {builtin} -m comment --comment \"{comment}\" -j KUBE-SERVICES");
    }
    out += "-A POSTROUTING -m comment --comment \"kubernetes postrouting rules\" -j KUBE-POSTROUTING\n";
    chains.values().for_each(|rules| out += rules);
    out + "COMMIT\n"
}

fn push_service(chains: &mut BTreeMap<String, String>, entry: &mut String, service: usize, endpoints: usize) {
    let name = format!("default/web-{service}:http");
    let addr = format!("10.96.{}.{}", service >> 8 & 255, service & 255);
    let svc = chain("SVC", service, 0);
    let goal = format!("-p tcp -m comment --comment \"{name} cluster IP\" -m tcp --dport 80");
    let _ = writeln!(entry, "-A KUBE-SERVICES -d {addr}/32 {goal} -j {svc}");
    let mut rules = format!("-A {svc} ! -s 10.244.0.0/16 -d {addr}/32 {goal} -j KUBE-MARK-MASQ\n");
    for endpoint in 0..endpoints {
        let sep = chain("SEP", service, endpoint + 1);
        let to = format!("10.244.{}.{}", service & 255, (service >> 8 & 127) + endpoint + 2);
        let left = endpoints - endpoint;
        // As the kernel keeps it: a multiple of 2^-31.
        let units = (0x8000_0000_u64 as f64 / left as f64).round();
        let chance = match left {
            1 => String::new(),
            _ => format!(" -m statistic --mode random --probability {:.11}", units / 0x8000_0000_u64 as f64),
        };
        let _ = writeln!(rules, "-A {svc} -m comment --comment \"{name} -> {to}:8080\"{chance} -j {sep}");
        let seps = format!(
            "-A {sep} -s {to}/32 -m comment --comment \"{name}\" -j KUBE-MARK-MASQ\n\
             -A {sep} -p tcp -m comment --comment \"{name}\" -m tcp -j DNAT --to-destination {to}:8080\n"
        );
        chains.insert(sep, seps);
    }
    chains.insert(svc, rules);
}
