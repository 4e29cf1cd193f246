//! Tables of rules: what is put in force, how a packet passes chains, and that the fast scan sees what a look at every
//! rule sees.

use std::net::Ipv4Addr;

use glassnet_kernel::drivers::veth::VethOptions;
use glassnet_kernel::hook::Verdict;
use glassnet_kernel::ids::{CpuId, DevId, MachineId, NetnsId, SkbId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::net::core::rtnetlink::{LinkNew, LinkSet, rtm_newlink};
use glassnet_kernel::net::ipv4::netfilter::ip_tables::{hook_ops, ipt_do_table};
use glassnet_kernel::net::netfilter::nf_nat_core::NatRange;
use glassnet_kernel::net::netfilter::x_tables::{
    xt_find_table_lock, xt_replace_table, xt_splice_rules, xt_table, xt_unregister_table, xt_zero_counters,
};
use glassnet_kernel::net::netfilter::xt_conntrack::State;
use glassnet_kernel::net::netfilter::xt_mark::MarkTg;
use glassnet_kernel::net::netfilter::xt_multiport::{Multiport, MultiportSide};
use glassnet_kernel::net::netfilter::xt_nat::Masquerade;
use glassnet_kernel::net::netfilter::xt_tcpudp::{Tcp, Udp};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::note::{AtRule, Note, Outcome, Part, RuleNote};
use glassnet_kernel::tables::netfilter::{Hook, HookState, Pf, Site};
use glassnet_kernel::tables::xt::Ports;
use glassnet_kernel::tables::xt::{
    Action, AddrMask, Base, Chain, Counters, Iface, IpMatch, Match, Policy, Rule, Table, TableName, Target,
    Variant,
};
use glassnet_kernel::trace::Level;
use glassnet_kernel::{Cx, World};
use glassnet_sim::Nanos;
use glassnet_wire::ipv4::{IP_MF, IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, InAddr, Ipv4Hdr};
use proptest::prelude::*;
use zerocopy::IntoBytes;

const MACHINE: MachineId = MachineId(0);
const CPU: CpuId = CpuId(0);
use Variant::{Legacy, Nft};

fn world() -> (World, [DevId; 2]) {
    let mut world = World::new(1);
    world.add_machine("m", 1);
    let devs = world.enter(MACHINE, CPU, |cx| {
        let peer = LinkNew { name: Some("eth1".into()), ..LinkNew::default() };
        let info = Some(VethOptions { peer }.into());
        let new = LinkNew {
            name: Some("eth0".into()),
            set: LinkSet { info, ..LinkSet::default() },
            ifindex: None,
            link: None,
        };
        let dev = rtm_newlink(cx, INIT_NET, new).expect("a new pair");
        [dev, cx.k.devs[dev].link.expect("a peer")]
    });
    (world, devs)
}

fn rule(ip: IpMatch, matches: Vec<Match>, action: Action) -> Rule {
    Rule { ip, matches, action, counters: Counters::default() }
}

fn jump(action: Action) -> Rule {
    rule(IpMatch::default(), Vec::new(), action)
}

fn to(chain: &str) -> Action {
    Action::Jump(chain.into())
}

/// An address that none but the rule or packet of one test has.
fn host(n: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(n)
}

fn from(addr: Ipv4Addr) -> IpMatch {
    let src = AddrMask { invert: false, addr, mask: Ipv4Addr::BROADCAST };
    IpMatch { src, ..IpMatch::default() }
}

fn proto(proto: u8) -> IpMatch {
    IpMatch { proto: (proto, false), ..IpMatch::default() }
}

fn user(name: &str, rules: Vec<Rule>) -> Chain {
    Chain { name: name.into(), base: None, rules }
}

/// The table with the chains that a tool makes at first, some of them filled, and user chains.
fn table(name: TableName, built_in: Vec<(Hook, Vec<Rule>)>, users: Vec<Chain>) -> Table {
    let mut table = Table::initial(name);
    for (hook, rules) in built_in {
        table.chain_mut(hook.chain()).expect("a hook of the table").rules = rules;
    }
    table.chains.extend(users);
    table
}

#[derive(Clone, Copy, Debug)]
struct Packet {
    src: Ipv4Addr,
    dst: Ipv4Addr,
    proto: u8,
    ports: (u16, u16),
    frag_off: u16,
    /// Bytes behind the IP header.
    payload: usize,
}

const PACKET: Packet = Packet {
    src: Ipv4Addr::new(10, 0, 0, 1),
    dst: Ipv4Addr::new(10, 0, 0, 2),
    proto: IPPROTO_UDP,
    ports: (1000, 53),
    frag_off: 0,
    payload: 20,
};

fn skb(cx: &mut Cx, dev: DevId, packet: Packet) -> SkbId {
    let skb = cx.skbs.alloc_skb(20 + packet.payload, dev);
    let iph = Ipv4Hdr {
        version_ihl: 0x45,
        tot_len: (20 + packet.payload as u16).into(),
        frag_off: packet.frag_off.into(),
        ttl: 64,
        protocol: packet.proto,
        saddr: InAddr::new(packet.src),
        daddr: InAddr::new(packet.dst),
        ..Ipv4Hdr::default()
    };
    let data = cx.skbs.data_mut(skb);
    data[..20].copy_from_slice(iph.as_bytes());
    let mut header = [0; 20];
    header[..2].copy_from_slice(&packet.ports.0.to_be_bytes());
    header[2..4].copy_from_slice(&packet.ports.1.to_be_bytes());
    header[12] = 0x50;
    let len = packet.payload.min(20);
    data[20..20 + len].copy_from_slice(&header[..len]);
    cx.skbs[skb].transport_header = cx.skbs[skb].network_header + 20;
    skb
}

/// Sends a packet through a table; returns whether it was accepted.
fn send(
    world: &mut World,
    dev: DevId,
    variant: Variant,
    (name, hook): (TableName, Hook),
    packet: Packet,
) -> bool {
    world.enter(MACHINE, CPU, |cx| {
        let skb = skb(cx, dev, packet);
        let site = if hook == Hook::Forward { Site::IpForward } else { Site::IpLocalDeliver };
        let state = HookState { site, hook, netns: INIT_NET, input: Some(dev), output: None };
        let verdict = ipt_do_table(cx, skb, state, variant, name);
        cx.skbs.release(skb);
        matches!(verdict, Verdict::Accept)
    })
}

const FILTER: (TableName, Hook) = (TableName::Filter, Hook::LocalIn);

fn put(world: &mut World, variant: Variant, table: Table) -> Result<(), Errno> {
    world.enter(MACHINE, CPU, |cx| xt_replace_table(cx, INIT_NET, variant, table))
}

fn filter(rules: Vec<Rule>, users: Vec<Chain>) -> Table {
    table(TableName::Filter, vec![(Hook::LocalIn, rules)], users)
}

/// Packets that each rule of a chain met, the policy last.
fn packets(world: &World, variant: Variant, chain: &str) -> Vec<u64> {
    let table = xt_table(world.kernel(MACHINE), INIT_NET, variant, TableName::Filter).expect("a table");
    let chain = table.chain(chain).expect("a chain");
    let rules = chain.rules.iter().map(|rule| rule.counters.packets);
    rules.chain(chain.base.iter().map(|base| base.counters.packets)).collect()
}

#[test]
fn chains_are_called_left_and_gone_to() {
    let (mut world, [dev, _]) = world();
    let users = vec![
        user(
            "A",
            vec![jump(to("B")), jump(Action::None), jump(Action::Goto("B".into())), jump(Action::Drop)],
        ),
        user("B", vec![rule(from(host(1)), vec![], Action::Drop), jump(Action::Return)]),
    ];
    put(&mut world, Legacy, filter(vec![jump(to("A")), jump(Action::None)], users)).expect("fits");
    assert!(send(&mut world, dev, Legacy, FILTER, PACKET));
    // The last RETURN leaves A, which went to B without a way back, for INPUT.
    assert_eq!(packets(&world, Legacy, "A"), [1, 1, 1, 0]);
    assert_eq!(packets(&world, Legacy, "B"), [0, 2]);
    assert_eq!(packets(&world, Legacy, "INPUT"), [1, 1, 1]);
    assert!(!send(&mut world, dev, Legacy, FILTER, Packet { src: host(1), ..PACKET }));
    assert_eq!(packets(&world, Legacy, "INPUT"), [2, 1, 1]);
}

#[test]
fn return_of_a_built_in_chain_and_its_end_ask_the_policy() {
    let (mut world, [dev, _]) = world();
    let mut table =
        filter(vec![rule(proto(IPPROTO_UDP), vec![], Action::Return), jump(Action::Accept)], vec![]);
    table.chains[0].base.as_mut().expect("built in").policy = Policy::Drop;
    put(&mut world, Nft, table).expect("fits");
    assert!(!send(&mut world, dev, Nft, FILTER, PACKET));
    assert!(send(&mut world, dev, Nft, FILTER, Packet { proto: IPPROTO_ICMP, ..PACKET }));
    assert_eq!(packets(&world, Nft, "INPUT"), [1, 1, 1]);
    let table = xt_table(world.kernel(MACHINE), INIT_NET, Nft, TableName::Filter).expect("a table");
    assert_eq!(table.chains[0].base.as_ref().expect("built in").counters, Counters { packets: 1, bytes: 40 });
}

#[test]
fn counters_go_to_zero_together_or_alone() {
    let (mut world, [dev, _]) = world();
    put(&mut world, Legacy, filter(vec![jump(Action::None), jump(Action::None)], vec![])).expect("fits");
    send(&mut world, dev, Legacy, FILTER, PACKET);
    let mut zero = |chain, rule| {
        world.enter(MACHINE, CPU, |cx| {
            xt_zero_counters(cx.k, INIT_NET, Legacy, TableName::Filter, chain, rule)
        })
    };
    assert!(zero(Some("INPUT"), Some(0)));
    assert!(!zero(Some("INPUT"), Some(2)));
    assert!(!zero(Some("NONE"), None));
    assert_eq!(packets(&world, Legacy, "INPUT"), [0, 1, 1]);
    let zero_all = |cx: &mut Cx| xt_zero_counters(cx.k, INIT_NET, Legacy, TableName::Filter, None, None);
    assert!(world.enter(MACHINE, CPU, zero_all));
    assert_eq!(packets(&world, Legacy, "INPUT"), [0, 0, 0]);
}

/// A rule that does not match costs the simulated CPU what it costs the kernel, however fast the scan is.
#[test]
fn rules_cost_time_in_proportion() {
    for (variant, each) in [(Legacy, 4), (Nft, 8)] {
        let took = |rules: usize| {
            let (mut world, [dev, _]) = world();
            let rules = (0..rules).map(|n| rule(from(host(n as u32)), vec![], Action::Drop)).collect();
            put(&mut world, variant, filter(rules, vec![])).expect("fits");
            world.enter(MACHINE, CPU, |cx| {
                let skb = skb(cx, dev, PACKET);
                let before = cx.now;
                let hook = Hook::LocalIn;
                let (site, input) = (Site::IpLocalDeliver, Some(dev));
                let state = HookState { site, hook, netns: INIT_NET, input, output: None };
                ipt_do_table(cx, skb, state, variant, TableName::Filter);
                cx.skbs.release(skb);
                cx.now.since(before)
            })
        };
        assert_eq!(took(1000).0 - took(0).0, 1000 * each);
        assert_eq!(took(1).0 - took(0).0, each);
    }
}

#[test]
fn loops_are_refused_where_a_packet_could_come() {
    let (mut world, _) = world();
    let circle = || vec![user("A", vec![jump(to("B"))]), user("B", vec![jump(Action::Goto("A".into()))])];
    for (variant, errno) in [(Legacy, Errno::ELOOP), (Nft, Errno::EMLINK)] {
        put(&mut world, variant, filter(vec![], circle())).expect("nobody comes to the circle");
        let before = xt_table(world.kernel(MACHINE), INIT_NET, variant, TableName::Filter);
        assert_eq!(put(&mut world, variant, filter(vec![jump(to("A"))], circle())), Err(errno));
        let after = xt_table(world.kernel(MACHINE), INIT_NET, variant, TableName::Filter);
        assert_eq!(before, after);
    }
    // The legacy kernel looks no further than a rule that decides about every packet.
    let behind = || vec![user("A", vec![jump(Action::Accept), jump(to("A"))])];
    assert_eq!(put(&mut world, Legacy, filter(vec![jump(to("A"))], behind())), Ok(()));
    assert_eq!(put(&mut world, Nft, filter(vec![jump(to("A"))], behind())), Err(Errno::EMLINK));
}

#[test]
fn nf_tables_goes_sixteen_chains_deep_and_legacy_any() {
    let (mut world, [dev, _]) = world();
    let deep = |depth: usize| {
        let name = |n: usize| format!("C{n}");
        let chain = |n| {
            user(&name(n), vec![if n + 1 == depth { jump(Action::Drop) } else { jump(to(&name(n + 1))) }])
        };
        filter(vec![jump(to("C0"))], (0..depth).map(chain).collect())
    };
    assert_eq!(put(&mut world, Nft, deep(15)), Ok(()));
    assert_eq!(put(&mut world, Nft, deep(16)), Err(Errno::EMLINK));
    assert_eq!(put(&mut world, Legacy, deep(50_000)), Ok(()));
    assert!(!send(&mut world, dev, Legacy, FILTER, PACKET));
}

#[test]
fn jumps_need_a_user_chain_and_names_their_length() {
    let (mut world, _) = world();
    for target in ["NONE", "FORWARD"] {
        assert_eq!(put(&mut world, Legacy, filter(vec![jump(to(target))], vec![])), Err(Errno::EINVAL));
        assert_eq!(put(&mut world, Nft, filter(vec![jump(to(target))], vec![])), Err(Errno::ENOENT));
    }
    for (variant, longest) in [(Legacy, 29), (Nft, 255)] {
        let named = |len: usize| filter(vec![], vec![user(&"a".repeat(len), vec![])]);
        assert_eq!(put(&mut world, variant, named(longest)), Ok(()));
        assert_eq!(put(&mut world, variant, named(longest + 1)), Err(Errno::EINVAL));
    }
    let twice = vec![user("A", vec![]), user("A", vec![])];
    assert_eq!(put(&mut world, Legacy, filter(vec![], twice)), Err(Errno::EINVAL));
}

fn masquerade() -> Rule {
    jump(Action::Target(Target::new(Masquerade(NatRange::default()))))
}

#[test]
fn a_target_stands_where_packets_of_its_hooks_alone_can_come() {
    let (mut world, _) = world();
    assert_eq!(put(&mut world, Legacy, filter(vec![masquerade()], vec![])), Err(Errno::EINVAL));
    let nat = |hook, before: Vec<Rule>| {
        let chain = user("A", before.into_iter().chain([masquerade()]).collect());
        table(TableName::Nat, vec![(hook, vec![jump(to("A"))])], vec![chain])
    };
    for variant in [Legacy, Nft] {
        assert_eq!(put(&mut world, variant, nat(Hook::PostRouting, vec![])), Ok(()));
        assert_eq!(put(&mut world, variant, nat(Hook::PreRouting, vec![])), Err(Errno::EINVAL));
    }
    assert_eq!(put(&mut world, Legacy, nat(Hook::PreRouting, vec![jump(Action::Accept)])), Ok(()));
    assert_eq!(put(&mut world, Nft, nat(Hook::PreRouting, vec![jump(Action::Accept)])), Err(Errno::EINVAL));
    let tcp = || Match::new(Tcp::default());
    let bare = rule(IpMatch::default(), vec![tcp()], Action::Accept);
    assert_eq!(put(&mut world, Legacy, filter(vec![bare], vec![])), Err(Errno::EINVAL));
    let with_proto = rule(proto(IPPROTO_TCP), vec![tcp()], Action::Accept);
    assert_eq!(put(&mut world, Legacy, filter(vec![with_proto], vec![])), Ok(()));
}

fn functions(world: &World, hook: Hook) -> Vec<(&'static str, u32)> {
    let netns = &world.kernel(MACHINE).netns[INIT_NET];
    netns.hooks.at(Pf::Ipv4, hook).iter().map(|ops| (ops.name, ops.private)).collect()
}

#[test]
fn tables_register_their_hooks_and_take_them_back() {
    let (mut world, _) = world();
    world.enter(MACHINE, CPU, |cx| xt_find_table_lock(cx, INIT_NET, TableName::Mangle)).expect("a table");
    let hook_fn = |variant, table| {
        let ops = hook_ops(variant, table, Hook::LocalIn);
        (ops.name, ops.private)
    };
    let mangle = hook_fn(Legacy, TableName::Mangle);
    assert_eq!(functions(&world, Hook::Forward), [mangle]);
    // iptables-nft makes only the built-in chains that it needs.
    let mut input = filter(vec![], vec![]);
    input.chains.truncate(1);
    put(&mut world, Nft, input).expect("fits");
    assert_eq!(functions(&world, Hook::LocalIn), [mangle, hook_fn(Nft, TableName::Filter)]);
    world.enter(MACHINE, CPU, |cx| xt_find_table_lock(cx, INIT_NET, TableName::Filter)).expect("a table");
    // The last one that came looks first.
    let [legacy, nft] = [Legacy, Nft].map(|variant| hook_fn(variant, TableName::Filter));
    assert_eq!(functions(&world, Hook::LocalIn), [mangle, legacy, nft]);
    world.enter(MACHINE, CPU, |cx| xt_unregister_table(cx, INIT_NET, Legacy, TableName::Filter));
    assert_eq!(functions(&world, Hook::Forward), [mangle]);
    world.enter(MACHINE, CPU, |cx| xt_unregister_table(cx, INIT_NET, Legacy, TableName::Mangle));
    assert_eq!(functions(&world, Hook::Forward), []);
}

#[test]
fn nat_is_there_once_for_both_variants_and_brings_connection_tracking_with_its_first_target() {
    let (mut world, _) = world();
    let post = |rules| Table {
        name: TableName::Nat,
        chains: vec![Chain {
            name: "POSTROUTING".into(),
            base: Some(Base {
                hook: Hook::PostRouting,
                policy: Policy::Accept,
                counters: Counters::default(),
                counted: true,
            }),
            rules,
        }],
    };
    put(&mut world, Nft, post(vec![])).expect("fits");
    put(&mut world, Legacy, Table::initial(TableName::Nat)).expect("fits");
    let lookups = |world: &World, hook| world.kernel(MACHINE).netns[INIT_NET].xt.nat_lookups(hook).to_vec();
    assert_eq!(lookups(&world, Hook::PostRouting), [Legacy, Nft]);
    assert_eq!(lookups(&world, Hook::PreRouting), [Legacy]);
    assert_eq!(functions(&world, Hook::LocalIn), [("nf_nat_ipv4_local_in", 0)]);
    put(&mut world, Nft, post(vec![masquerade()])).expect("fits");
    assert_eq!(functions(&world, Hook::LocalIn), [("nf_nat_ipv4_local_in", 0), ("ipv4_confirm", 0)]);
    put(&mut world, Nft, post(vec![])).expect("fits");
    assert_eq!(functions(&world, Hook::LocalIn), [("nf_nat_ipv4_local_in", 0)]);
}

fn splice(world: &mut World, at: (&str, usize, usize), rules: Vec<Rule>) -> Result<(), Errno> {
    world.enter(MACHINE, CPU, |cx| xt_splice_rules(cx, INIT_NET, Nft, TableName::Filter, at, rules))
}

#[test]
fn single_rules_come_and_go_as_with_the_whole_table() {
    let (mut world, [dev, _]) = world();
    put(&mut world, Nft, filter(vec![], vec![user("A", vec![])])).expect("fits");
    let state =
        || rule(IpMatch::default(), vec![Match::new(State { invert: false, state: 8 })], Action::Drop);
    splice(&mut world, ("A", 0, 0), vec![state(), jump(Action::None)]).expect("fits");
    splice(&mut world, ("INPUT", 0, 0), vec![jump(to("A"))]).expect("fits");
    assert_eq!(functions(&world, Hook::LocalIn).len(), 2);
    assert_eq!(splice(&mut world, ("A", 2, 0), vec![jump(to("A"))]), Err(Errno::EMLINK));
    assert_eq!(splice(&mut world, ("A", 1, 0), vec![masquerade()]), Err(Errno::EINVAL));
    assert_eq!(splice(&mut world, ("A", 1, 2), vec![]), Err(Errno::ERANGE));
    assert_eq!(splice(&mut world, ("B", 0, 0), vec![]), Err(Errno::ENOENT));
    splice(&mut world, ("A", 0, 1), vec![rule(from(host(9)), vec![], Action::Drop)]).expect("fits");
    assert_eq!(functions(&world, Hook::LocalIn).len(), 1);
    assert!(send(&mut world, dev, Nft, FILTER, PACKET));
    assert_eq!(packets(&world, Nft, "A"), [0, 1]);
    assert!(!send(&mut world, dev, Nft, FILTER, Packet { src: host(9), ..PACKET }));
    assert_eq!(packets(&world, Nft, "A"), [1, 1]);
}

#[test]
fn the_detail_view_says_why_each_rule_did_not_match() {
    let (mut world, [dev, _]) = world();
    world.trace.level = Level::Detail;
    let iface = |name: &str| Some(Iface { invert: false, name: name.into() });
    let rules = vec![
        rule(from(host(7)), vec![], Action::Drop),
        rule(IpMatch { input: iface("eth1"), ..IpMatch::default() }, vec![], Action::Drop),
        rule(proto(IPPROTO_TCP), vec![], Action::Drop),
        rule(IpMatch { input: iface("eth+"), ..IpMatch::default() }, vec![], to("A")),
    ];
    put(&mut world, Nft, filter(rules, vec![user("A", vec![jump(Action::None)])])).expect("fits");
    send(&mut world, dev, Nft, FILTER, PACKET);
    let notes: Vec<&Note> = world.trace.notes.iter().map(|noted| &noted.note).collect();
    let no = |rule, option| AtRule::NoMatch { rule, part: Part::Option(option) };
    let wanted = [
        ("INPUT", no(1, "-s")),
        ("INPUT", no(2, "-i")),
        ("INPUT", no(3, "-p")),
        ("INPUT", AtRule::Match { rule: 4, outcome: Outcome::Jump("A".to_owned()) }),
        ("A", AtRule::Match { rule: 1, outcome: Outcome::Continue }),
        ("A", AtRule::Return),
        ("INPUT", AtRule::Policy(Outcome::Accept)),
    ]
    .map(|(chain, what)| Note::Rule(RuleNote { table: TableName::Filter, chain: chain.to_owned(), what }));
    let wanted: Vec<&Note> = wanted.iter().collect();
    assert_eq!(notes, wanted);
}

/// The kernel's own numbers: a rule without conditions passes for the end of its chain, an end counts as one more rule.
#[test]
fn traced_packets_are_logged_where_they_match() {
    let (mut world, [dev, _]) = world();
    let udp = |action| rule(proto(IPPROTO_UDP), vec![], action);
    let users = vec![user("A", vec![udp(Action::None)]), user("B", vec![jump(Action::Return)])];
    let rules =
        vec![jump(Action::Target(Target::new(MarkTg { mark: 1, mask: 0 }))), jump(to("A")), jump(to("B"))];
    put(&mut world, Legacy, filter(rules, users)).expect("fits");
    world.enter(MACHINE, CPU, |cx| {
        let skb = skb(cx, dev, PACKET);
        cx.skbs[skb].nf_trace = true;
        let (site, hook, input) = (Site::IpLocalDeliver, Hook::LocalIn, Some(dev));
        let state = HookState { site, hook, netns: INIT_NET, input, output: None };
        ipt_do_table(cx, skb, state, Legacy, TableName::Filter);
        cx.skbs.release(skb);
    });
    let log = world.kernel(MACHINE).log.lines();
    let places: Vec<&str> = log.filter_map(|line| line.text.split(" IN=").next()).collect();
    let wanted = [
        "TRACE: filter:INPUT:rule:1",
        "TRACE: filter:INPUT:rule:2",
        "TRACE: filter:A:rule:1",
        "TRACE: filter:A:return:2",
        "TRACE: filter:INPUT:rule:3",
        "TRACE: filter:B:return:1",
        "TRACE: filter:INPUT:policy:4",
    ];
    assert_eq!(places, wanted);
}

// Random rules and packets from a small stock of values, so that many agree.

fn some_addr() -> impl Strategy<Value = Ipv4Addr> {
    let stock = [[10, 0, 0, 1], [10, 0, 0, 2], [10, 0, 1, 0], [192, 168, 0, 1]];
    prop::sample::select(stock.map(Ipv4Addr::from).to_vec())
}

fn some_mask() -> impl Strategy<Value = AddrMask> {
    let stock = [[0; 4], [255; 4], [255, 255, 255, 0], [255, 0, 0, 0], [0, 0, 0, 255]];
    let mask = prop::sample::select(stock.map(Ipv4Addr::from).to_vec());
    (some_addr(), mask, any::<bool>()).prop_map(|(addr, mask, invert)| AddrMask {
        invert,
        addr: addr & mask,
        mask,
    })
}

fn some_iface() -> impl Strategy<Value = Option<Iface>> {
    let name = prop_oneof![Just("eth0"), Just("eth1"), Just("eth+"), Just("e+"), Just("lo"), Just("+")];
    let iface = (name, any::<bool>()).prop_map(|(name, invert)| Iface { invert, name: name.to_owned() });
    prop::option::weighted(0.3, iface)
}

fn some_port() -> impl Strategy<Value = u16> {
    prop_oneof![Just(0), Just(53), Just(80), Just(81), Just(1000), Just(65535)]
}

fn some_ports() -> impl Strategy<Value = Ports> {
    (some_port(), some_port(), prop::bool::weighted(0.2))
        .prop_map(|(a, b, invert)| Ports { invert, range: (a.min(b), a.max(b)) })
}

fn some_matches() -> impl Strategy<Value = (u8, Vec<Match>)> {
    let tcp = (some_ports(), some_ports()).prop_map(|(sport, dport)| {
        (IPPROTO_TCP, vec![Match::new(Tcp { sport, dport, flags: None, option: None })])
    });
    let udp = (some_ports(), some_ports())
        .prop_map(|(sport, dport)| (IPPROTO_UDP, vec![Match::new(Udp { sport, dport })]));
    let side = prop_oneof![
        Just(MultiportSide::Source),
        Just(MultiportSide::Destination),
        Just(MultiportSide::Either)
    ];
    let multiport = (side, any::<bool>(), prop::collection::vec((some_port(), some_port()), 1..4)).prop_map(
        |(side, invert, ports)| {
            let ports = ports.into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect();
            (IPPROTO_TCP, vec![Match::new(Multiport { side, invert, ports })])
        },
    );
    let protos = prop_oneof![Just(0), Just(IPPROTO_ICMP), Just(IPPROTO_TCP), Just(IPPROTO_UDP), Just(132)];
    let plain = protos.prop_map(|proto| (proto, Vec::new()));
    prop_oneof![3 => plain, 1 => tcp, 1 => udp, 1 => multiport]
}

fn some_rule(chains: usize) -> impl Strategy<Value = Rule> {
    let action = prop_oneof![
        4 => Just(Action::None),
        1 => Just(Action::Accept),
        1 => Just(Action::Drop),
        1 => Just(Action::Return),
        3 => (0..chains.max(1)).prop_map(move |n| if chains == 0 { Action::None } else { to(&format!("C{n}")) }),
        1 => (0..chains.max(1)).prop_map(move |n| {
            if chains == 0 { Action::None } else { Action::Goto(format!("C{n}")) }
        }),
    ];
    let fragment = prop::option::weighted(0.1, any::<bool>());
    let ip = (some_mask(), some_mask(), some_iface(), some_iface(), prop::bool::weighted(0.2), fragment);
    (ip, some_matches(), action).prop_map(|(ip, (proto, matches), action)| {
        let (src, dst, input, output, invert, fragment) = ip;
        let invert = invert && matches.is_empty() && proto != 0;
        let ip = IpMatch { src, dst, input, output, proto: (proto, invert), fragment };
        rule(ip, matches, action)
    })
}

/// Chains C0 to C3, each leading only to those before it.
fn some_table() -> impl Strategy<Value = Table> {
    let rules = |chains| prop::collection::vec(some_rule(chains), 0..20);
    (rules(0), rules(1), rules(2), rules(3), rules(4)).prop_map(|(c0, c1, c2, c3, input)| {
        let users = [c0, c1, c2, c3].into_iter().enumerate();
        filter(input, users.map(|(n, rules)| user(&format!("C{n}"), rules)).collect())
    })
}

fn some_packet() -> impl Strategy<Value = Packet> {
    let protos = prop_oneof![Just(IPPROTO_ICMP), Just(IPPROTO_TCP), Just(IPPROTO_UDP), Just(132)];
    let frag_off = prop_oneof![8 => Just(0), 1 => Just(IP_MF), 1 => Just(1), 1 => Just(IP_MF | 100)];
    let payload = prop_oneof![4 => Just(20_usize), 1 => Just(30), 1 => 0_usize..20];
    (some_addr(), some_addr(), protos, (some_port(), some_port()), frag_off, payload).prop_map(
        |(src, dst, proto, ports, frag_off, payload)| Packet { src, dst, proto, ports, frag_off, payload },
    )
}

/// Verdicts, the table with its counters, and the time that it took.
fn run(level: Level, variant: Variant, table: &Table, packets: &[Packet]) -> (Vec<bool>, Table, Nanos) {
    let (mut world, devs) = world();
    world.trace.level = level;
    put(&mut world, variant, table.clone()).expect("fits");
    let start = world.enter(MACHINE, CPU, |cx| cx.now);
    let mut verdicts = Vec::new();
    for (n, packet) in packets.iter().enumerate() {
        verdicts.push(send(&mut world, devs[n % 2], variant, FILTER, *packet));
    }
    let took = world.enter(MACHINE, CPU, |cx| cx.now.since(start));
    let table = xt_table(world.kernel(MACHINE), INIT_NET, variant, TableName::Filter).expect("there");
    (verdicts, table.clone(), took)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// An observed packet is held against every rule in full; one that nobody observes goes by the scan.
    #[test]
    fn the_scan_sees_what_a_look_at_every_rule_sees(
        table in some_table(),
        packets in prop::collection::vec(some_packet(), 1..12),
        nft in any::<bool>(),
    ) {
        let variant = if nft { Nft } else { Legacy };
        let plain = run(Level::Detail, variant, &table, &packets);
        let fast = run(Level::Off, variant, &table, &packets);
        prop_assert_eq!(plain, fast);
    }

    /// Rules put in and taken out one by one leave the table that they make together.
    #[test]
    fn splices_add_up(
        rules in prop::collection::vec(some_rule(0), 0..40),
        at in prop::collection::vec(any::<prop::sample::Index>(), 40),
        packets in prop::collection::vec(some_packet(), 1..6),
    ) {
        let (mut one, devs) = world();
        put(&mut one, Nft, filter(vec![], vec![])).expect("fits");
        let mut together: Vec<Rule> = Vec::new();
        for (rule, at) in rules.into_iter().zip(at) {
            let at = at.index(together.len() + 1);
            let remove = usize::from(at < together.len() && at % 3 == 0);
            splice(&mut one, ("INPUT", at, remove), vec![rule.clone()]).expect("fits");
            together.splice(at..at + remove, [rule]);
        }
        let (mut all, _) = world();
        put(&mut all, Nft, filter(together, vec![])).expect("fits");
        for packet in packets {
            for world in [&mut one, &mut all] {
                send(world, devs[0], Nft, FILTER, packet);
            }
        }
        let table = |world: &World| {
            xt_table(world.kernel(MACHINE), INIT_NET, Nft, TableName::Filter).expect("there")
        };
        prop_assert_eq!(table(&one), table(&all));
    }
}

#[test]
fn a_namespace_knows_only_its_own_tables() {
    let (mut world, _) = world();
    put(&mut world, Legacy, filter(vec![], vec![])).expect("fits");
    let kernel = world.kernel(MACHINE);
    assert!(xt_table(kernel, INIT_NET, Nft, TableName::Filter).is_none());
    assert!(xt_table(kernel, INIT_NET, Legacy, TableName::Mangle).is_none());
    assert!(xt_table(kernel, NetnsId(99), Legacy, TableName::Filter).is_none());
}
