//! Random cases.
//!
//! Values are drawn from few, so that rules and packets meet: hosts 2 to 5 of three networks, a handful of ports, of
//! marks and of names (`iptables::draw` of the userland crate). What a rule asks and does each extension of iptables
//! draws itself. (`iptables::arbitrary` draws rules from all values, to compare how they are printed; such rules meet no
//! packet.)
//!
//! | module | draws |
//! |---|---|
//! | `accounts.rs` | accounting objects |
//! | `rules.rs` | tables, chains and rules |
//! | `sets.rs` | sets |
//! | `traffic.rs` | packets |

mod accounts;
mod rules;
mod sets;
mod traffic;

use glassnet_userland::iptables::draw::Draw;

use crate::rig::case::Case;

/// A random case; equal seeds give equal cases.
pub fn case(seed: u64) -> Case {
    let mut draw = CaseDraw(Draw::new(seed));
    let (legacy, bridge_nf) = (draw.one_in(4), draw.one_in(2));
    let sets = if draw.one_in(2) { draw.make_sets() } else { Vec::new() };
    let accounts = if draw.one_in(2) { draw.make_accounts() } else { Vec::new() };
    let rules = draw.rules();
    let steps = draw.steps();
    Case { name: format!("seed {seed}"), legacy, bridge_nf, sets, accounts, rules, steps }
}

/// Draws rules, sets and packets of a case from the values of [`Draw`].
struct CaseDraw(Draw);

impl std::ops::Deref for CaseDraw {
    type Target = Draw;

    fn deref(&self) -> &Draw {
        &self.0
    }
}

impl std::ops::DerefMut for CaseDraw {
    fn deref_mut(&mut self) -> &mut Draw {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::KernelConfig;
    use crate::rig::run;
    use crate::simulator::Router;

    #[test]
    fn the_same_seed_gives_the_same_case_and_another_seed_another() {
        assert_eq!(case(1), case(1));
        assert_ne!(case(1), case(2));
        let kept = case(3);
        let text = serde_json::to_string(&kept).unwrap_or_default();
        assert_eq!(serde_json::from_str::<Case>(&text).ok(), Some(kept));
    }

    /// All modelled matches, targets and set types.
    #[rustfmt::skip]
    const WORDS: &[&str] = &[
        "-m tcp", "-m udp", "-m icmp", "-m multiport", "-m conntrack", "-m state", "-m mark", "-m connmark",
        "--limit-iface-in", "--limit-iface-out", "-m comment", "--mode nth", "--mode random", "-m physdev",
        "-m set", "-m recent", "-m limit", "-m hashlimit", "-m mac", "-m iprange", "-m length", "-m ttl",
        "-m pkttype", "-m rpfilter", "-m string", "-m u32", "-m owner", "-m cluster", "-m socket", "-m tcpmss",
        "-m ah", "-m esp", "-m sctp", "--chunk-types", "-m ecn", "-m quota", "-m connbytes", "-m helper", "-m policy",
        "-m nfacct", "-j ECN", "-j CHECKSUM", "-j TPROXY", "-j TEE", "-m dscp", "-m tos", "-m time", "--ctexpire", "--ctstatus", "--ctrepldst ", "--ctorigsrcport",
        "-j ACCEPT", "-j DROP", "-j RETURN", "-j LOG", "-j NFLOG", "-j MARK", "-j CONNMARK", "-j DNAT", "-j SNAT",
        "-j MASQUERADE", "-j REDIRECT", "-j NETMAP", "--random", "--random-fully", "--persistent", "-j NOTRACK",
        "-j CT", "--zone ", "--zone-orig", "--zone-reply", "-j TRACE", "-j TCPMSS", "-j TTL", "-j TOS", "-j DSCP",
        "-j CLASSIFY", "-j SET --add-set", "-j SET --del-set", "-j SET --map-set", "-j AUDIT", "-j own", "-g own",
        "icmp-net-unreachable", "icmp-host-unreachable", "icmp-port-unreachable", "icmp-proto-unreachable",
        "icmp-net-prohibited", "icmp-host-prohibited", "icmp-admin-prohibited", "tcp-reset",
        "hash:ip ", "hash:net ", "hash:ip,port ", "hash:ip,port,ip ", "hash:ip,port,net ", "bitmap:port ", "list:set ",
    ];

    #[test]
    fn every_extension_is_drawn() {
        let lines = (0..1000).map(case).flat_map(|case| [case.sets, case.rules].concat());
        let all = lines.map(|line| line + " \n").collect::<String>();
        let missing: Vec<_> = WORDS.iter().filter(|word| !all.contains(**word)).collect();
        assert!(missing.is_empty(), "{missing:?} never come");
    }

    /// Rules that match no packet test nothing: more than one in eight must match one.
    #[test]
    fn packets_meet_rules() {
        let (mut met, mut all) = (0, 0);
        for seed in 0..200 {
            let mut rig = Router::new(1, KernelConfig::default()).expect("a router");
            let outcome = run(&mut rig, &case(seed)).expect("a case");
            assert!(outcome.said.iter().all(|said| said.status == 0), "seed {seed}: {:?}", outcome.said);
            let rules = outcome.rules.text.lines().filter(|line| line.starts_with('['));
            let counts: Vec<bool> = rules.map(|line| !line.starts_with("[0:0]")).collect();
            all += counts.len();
            met += counts.into_iter().filter(|met| *met).count();
        }
        assert!(met * 8 > all, "{met} of {all} rules");
    }
}
