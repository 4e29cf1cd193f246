//! Tables of rules for the benchmarks, and a packet that matches none of them.

use std::net::Ipv4Addr;

use glassnet_kernel::World;
use glassnet_kernel::ids::{DevId, SkbId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::net::ipv4::netfilter::ip_tables::ipt_do_table;
use glassnet_kernel::net::netfilter::nf_nat_core::NatRange;
use glassnet_kernel::net::netfilter::x_tables::{xt_replace_table, xt_splice_rules};
use glassnet_kernel::net::netfilter::xt_comment::Comment;
use glassnet_kernel::net::netfilter::xt_nat::Dnat;
use glassnet_kernel::net::netfilter::xt_statistic::{Statistic, StatisticMode};
use glassnet_kernel::net::netfilter::xt_tcpudp::{Tcp, Udp};
use glassnet_kernel::tables::netfilter::{Hook, HookState, Site};
use glassnet_kernel::tables::xt::Ports;
use glassnet_kernel::tables::xt::{
    Action, AddrMask, Chain, Counters, Iface, IpMatch, Match, Rule, Table, TableName, Target, Variant,
};
use glassnet_wire::ipv4::{IPPROTO_TCP, IPPROTO_UDP};

use crate::{CPU, MACHINE, frame};

/// What a rule asks that does not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `-s ADDRESS`.
    Source,
    /// `-p udp --dport PORT`.
    Port,
    /// `-i NAME`.
    Iface,
    /// `-d ADDRESS -p tcp -m comment --comment … -m tcp --dport PORT`, as kube-proxy writes a service.
    Service,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 4] = [Kind::Source, Kind::Port, Kind::Iface, Kind::Service];

    /// What the rule looks like.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Source => "-s",
            Kind::Port => "-p udp --dport",
            Kind::Iface => "-i",
            Kind::Service => "-d -p tcp --dport, commented",
        }
    }

    fn rule(self, n: u32) -> Rule {
        let port = Ports { invert: false, range: (1000 + n as u16 % 50_000, 1000 + n as u16 % 50_000) };
        let host = |n| AddrMask {
            invert: false,
            addr: Ipv4Addr::from_bits(0x0b00_0000 + n),
            mask: Ipv4Addr::BROADCAST,
        };
        let (ip, matches) = match self {
            Kind::Source => (IpMatch { src: host(n), ..IpMatch::default() }, Vec::new()),
            Kind::Port => {
                let udp = Match::new(Udp { sport: Ports::default(), dport: port });
                (IpMatch { proto: (IPPROTO_UDP, false), ..IpMatch::default() }, vec![udp])
            }
            Kind::Iface => {
                let input = Some(Iface { invert: false, name: format!("eth{}", n % 500) });
                (IpMatch { input, ..IpMatch::default() }, Vec::new())
            }
            Kind::Service => {
                let dst = host(n);
                let comment = Comment(format!("default/service-{n}:http cluster IP"));
                let tcp = Tcp { dport: port, ..Tcp::default() };
                let ip = IpMatch { dst, proto: (IPPROTO_TCP, false), ..IpMatch::default() };
                (ip, vec![Match::new(comment), Match::new(tcp)])
            }
        };
        Rule { ip, matches, action: Action::Drop, counters: Counters::default() }
    }
}

/// A table `filter` whose `INPUT` has many rules, and a packet.
pub struct Bench {
    world: World,
    kind: Kind,
    variant: Variant,
    dev: DevId,
    skb: SkbId,
    rules: usize,
}

impl Bench {
    /// So many rules of a kind.
    pub fn new(kind: Kind, rules: usize, variant: Variant) -> Bench {
        let mut world = World::new(1);
        world.add_machine("bench", 1);
        let (dev, skb) = world.enter(MACHINE, CPU, |cx| {
            let dev = cx.k.netns[INIT_NET].loopback;
            let packet = &frame()[14..];
            let skb = cx.skbs.alloc_skb(packet.len(), dev);
            cx.skbs.data_mut(skb).copy_from_slice(packet);
            cx.skbs[skb].transport_header = cx.skbs[skb].network_header + 20;
            (dev, skb)
        });
        let mut bench = Bench { world, kind, variant, dev, skb, rules };
        let mut table = Table::initial(TableName::Filter);
        table.chains[0].rules = (0..rules as u32).map(|n| kind.rule(n)).collect();
        bench.put(table);
        bench
    }

    /// Puts a table in force.
    pub fn put(&mut self, table: Table) {
        self.world
            .enter(MACHINE, CPU, |cx| xt_replace_table(cx, INIT_NET, self.variant, table))
            .expect("fits");
    }

    /// Appends rules one by one.
    pub fn append(&mut self, rules: usize) {
        for _ in 0..rules {
            let (rule, at) = (self.kind.rule(self.rules as u32), ("INPUT", self.rules, 0));
            self.world
                .enter(MACHINE, CPU, |cx| {
                    xt_splice_rules(cx, INIT_NET, self.variant, TableName::Filter, at, vec![rule])
                })
                .expect("fits");
            self.rules += 1;
        }
    }

    /// The packet passes the chain.
    pub fn send(&mut self) {
        let (skb, variant) = (self.skb, self.variant);
        let (site, hook, input) = (Site::IpLocalDeliver, Hook::LocalIn, Some(self.dev));
        let state = HookState { site, hook, netns: INIT_NET, input, output: None };
        self.world.enter(MACHINE, CPU, |cx| ipt_do_table(cx, skb, state, variant, TableName::Filter));
    }
}

/// A table `nat` as kube-proxy writes it: services of three backends, ten rules each with their chains.
pub fn kube_proxy(rules: usize) -> Table {
    let mut table = Table::initial(TableName::Nat);
    let rule = |ip: IpMatch, matches: Vec<Match>, action: Action| Rule {
        ip,
        matches,
        action,
        counters: Counters::default(),
    };
    let all = |action| rule(IpMatch::default(), Vec::new(), action);
    let jump = |chain: &str| Action::Jump(chain.to_owned());
    let user = |name: String, rules: Vec<Rule>| Chain { name, base: None, rules };
    table.chains[0].rules.push(all(jump("KUBE-SERVICES")));
    let mut services = Vec::new();
    let mut chains = vec![user("KUBE-MARK-MASQ".to_owned(), vec![all(Action::Return)])];
    for n in 0..rules as u32 / 10 {
        let service = format!("KUBE-SVC-{n:016X}");
        let mut to_service = Kind::Service.rule(n);
        to_service.action = jump(&service);
        services.push(to_service);
        let mut backends = Vec::new();
        for backend in 0..3_u32 {
            let name = format!("KUBE-SEP-{:016X}", n * 3 + backend);
            let addr = Ipv4Addr::from_bits(0x0af4_0000 + n * 3 + backend);
            let src = AddrMask { invert: false, addr, mask: Ipv4Addr::BROADCAST };
            let own = rule(IpMatch { src, ..IpMatch::default() }, Vec::new(), jump("KUBE-MARK-MASQ"));
            let range = NatRange { addrs: Some((addr, addr)), ports: Some((80, 80)), ..NatRange::default() };
            let ip = IpMatch { proto: (IPPROTO_TCP, false), ..IpMatch::default() };
            let dnat = rule(ip, vec![Match::new(Tcp::default())], Action::Target(Target::new(Dnat(range))));
            let mode = StatisticMode::Random(0x7fff_ffff / (3 - backend));
            let chance = Match::new(Statistic { invert: false, mode });
            backends.push(rule(IpMatch::default(), vec![chance], jump(&name)));
            chains.push(user(name, vec![own, dnat]));
        }
        chains.push(user(service, backends));
    }
    table.chains.push(user("KUBE-SERVICES".to_owned(), services));
    table.chains.append(&mut chains);
    table
}
