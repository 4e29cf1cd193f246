//! A router with services of Kubernetes, each with two endpoints: as kube-proxy's rules of iptables, or as virtual servers of IPVS.

use std::net::Ipv4Addr;

use glassnet_kernel::Cx;
use glassnet_kernel::ids::{DevId, NetnsId};
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::net::core::rtnetlink::{LinkNew, LinkSet, rtm_newlink};
use glassnet_kernel::net::ipv4::devinet::rtm_newaddr;
use glassnet_kernel::net::netfilter::ipvs::ip_vs_core::ip_vs_init;
use glassnet_kernel::net::netfilter::ipvs::ip_vs_ctl::{ip_vs_add_dest, ip_vs_add_service};
use glassnet_kernel::net::netfilter::nf_nat_core::NatRange;
use glassnet_kernel::net::netfilter::x_tables::xt_replace_table;
use glassnet_kernel::net::netfilter::xt_nat::Dnat;
use glassnet_kernel::net::netfilter::xt_statistic::{Statistic, StatisticMode};
use glassnet_kernel::net::netfilter::xt_tcpudp::Udp;
use glassnet_kernel::netlink::NLM_F_CREATE;
use glassnet_kernel::tables::inet_types::AddrMsg;
use glassnet_kernel::tables::ip_vs::CONN_F_MASQ;
use glassnet_kernel::tables::ip_vs::svc::{DestSpec, ServiceSpec, SvcKey, TunType};
use glassnet_kernel::tables::xt::{
    Action, AddrMask, Chain as XtChain, Counters, IpMatch, Match, Ports, Rule, Table, TableName, Target,
    Variant,
};
use glassnet_wire::ipv4::IPPROTO_UDP;

use crate::{CPU, Chain, MACHINE, TARGET, routers};

/// The port of all services, to which the frame goes.
const PORT: u16 = 9;
/// Ports of a service's endpoints, which all have the address behind the router.
const ENDPOINTS: [u16; 2] = [8_080, 8_081];
/// The router's namespace: init_net comes first, then that of the sender.
const ROUTER: NetnsId = NetnsId(2);

/// Who knows the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Rules, which are tried one by one.
    Iptables,
    /// A hash table.
    Ipvs,
}

/// The address of a service.
pub(crate) fn address(service: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 96, 0, 0).to_bits() + 1 + service)
}

/// A router between two cables. Each packet begins a connection, to one service after the other.
pub fn services(mode: Mode, count: u32) -> Chain {
    let mut chain = routers(1);
    (chain.flows, chain.services) = (crate::MOST_FLOWS, count);
    chain.world.enter(MACHINE, CPU, |cx| {
        cx.k.conntrack.max = 0;
        match mode {
            Mode::Iptables => {
                xt_replace_table(cx, ROUTER, Variant::Nft, table(count)).expect("a table that fits");
            }
            Mode::Ipvs => {
                let dev = dummy(cx);
                (0..count).for_each(|service| serve(cx, dev, service));
            }
        }
    });
    chain
}

/// A table `nat` as kube-proxy writes it, without what is tried once only.
fn table(count: u32) -> Table {
    let rule = |ip: IpMatch, matches: Vec<Match>, action: Action| Rule {
        ip,
        matches,
        action,
        counters: Counters::default(),
    };
    let jump = |chain: &str| Action::Jump(chain.to_owned());
    let user = |name: String, rules: Vec<Rule>| XtChain { name, base: None, rules };
    let udp = || IpMatch { proto: (IPPROTO_UDP, false), ..IpMatch::default() };
    let mut table = Table::initial(TableName::Nat);
    table.chains[0].rules.push(rule(IpMatch::default(), Vec::new(), jump("KUBE-SERVICES")));
    let (mut all, mut chains) = (Vec::new(), Vec::new());
    for service in 0..count {
        let name = format!("KUBE-SVC-{service:016X}");
        let dst = AddrMask { invert: false, addr: address(service), mask: Ipv4Addr::BROADCAST };
        let dport = Ports { invert: false, range: (PORT, PORT) };
        let port = Match::new(Udp { sport: Ports::default(), dport });
        all.push(rule(IpMatch { dst, ..udp() }, vec![port], jump(&name)));
        let mut endpoints = Vec::new();
        for (at, port) in ENDPOINTS.into_iter().enumerate() {
            let endpoint = format!("KUBE-SEP-{:016X}", service * 2 + at as u32);
            let mode = StatisticMode::Random(0x7fff_ffff / 2);
            let chance = (at == 0).then(|| Match::new(Statistic { invert: false, mode }));
            endpoints.push(rule(IpMatch::default(), chance.into_iter().collect(), jump(&endpoint)));
            let range =
                NatRange { addrs: Some((TARGET, TARGET)), ports: Some((port, port)), ..NatRange::default() };
            let dnat = rule(udp(), Vec::new(), Action::Target(Target::new(Dnat(range))));
            chains.push(user(endpoint, vec![dnat]));
        }
        chains.push(user(name, endpoints));
    }
    table.chains.push(user("KUBE-SERVICES".to_owned(), all));
    table.chains.append(&mut chains);
    table
}

/// The device that has the addresses of services (`kube-ipvs0`).
fn dummy(cx: &mut Cx) -> DevId {
    ip_vs_init(cx);
    let info = Some(LinkInfo::new("dummy"));
    let set = LinkSet { info, ..LinkSet::default() };
    let new = LinkNew { name: Some("kube-ipvs0".to_owned()), set, ifindex: None, link: None };
    rtm_newlink(cx, ROUTER, new).expect("a new dummy")
}

fn serve(cx: &mut Cx, dev: DevId, service: u32) {
    rtm_newaddr(cx, ROUTER, &AddrMsg::new(dev, address(service), 32), NLM_F_CREATE).expect("a new address");
    let key = SvcKey::Addr(IPPROTO_UDP, address(service), PORT);
    let spec = ServiceSpec {
        key,
        scheduler: "rr".to_owned(),
        pe: String::new(),
        flags: 0,
        timeout: 0,
        netmask: u32::MAX,
    };
    ip_vs_add_service(cx, ROUTER, &spec).expect("a new service");
    for port in ENDPOINTS {
        let dest = DestSpec {
            addr: TARGET,
            port,
            fwd: CONN_F_MASQ,
            weight: 1,
            u_threshold: 0,
            l_threshold: 0,
            tun_type: TunType::Ipip,
            tun_port: 0,
            tun_flags: 0,
        };
        ip_vs_add_dest(cx, ROUTER, key, dest).expect("a new destination");
    }
}
