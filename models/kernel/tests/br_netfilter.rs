//! A bridge whose packets meet iptables: three stations, `10.9.0.1` to `.3`, behind three ports.
//!
//! What the tests expect was seen on Linux 6.18 with `bridge-nf-call-iptables` and the same rules.

mod packets;

use std::net::Ipv4Addr;

use glassnet_kernel::door::Door;
use glassnet_kernel::drivers::veth::VethOptions;
use glassnet_kernel::ids::{CpuId, DevId, MachineId, NetnsId, SocketId};
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::net::bridge::br_attrs::Attrs;
use glassnet_kernel::net::bridge::br_attrs_bridge as bridge;
use glassnet_kernel::net::bridge::br_netfilter_hooks::{self, br_netfilter_init};
use glassnet_kernel::net::core::net_namespace::copy_net_ns;
use glassnet_kernel::net::core::rtnetlink::{LinkNew, LinkSet, do_setlink, rtm_newlink};
use glassnet_kernel::net::ipv4::devinet::rtm_newaddr;
use glassnet_kernel::net::ipv4::netfilter::ipt_reject::Reject;
use glassnet_kernel::net::ipv4::sysctl_net_ipv4::devinet_conf_proc;
use glassnet_kernel::net::netfilter::nf_nat_core::NatRange;
use glassnet_kernel::net::netfilter::x_tables::{xt_replace_table, xt_table};
use glassnet_kernel::net::netfilter::xt_nat::Dnat;
use glassnet_kernel::net::socket::{recv, socket};
use glassnet_kernel::netlink::{NLM_F_CREATE, NLM_F_EXCL};
use glassnet_kernel::sysctl::At;
use glassnet_kernel::tables::inet_conf::Conf;
use glassnet_kernel::tables::inet_types::AddrMsg;
use glassnet_kernel::tables::netfilter::Hook;
use glassnet_kernel::tables::socket::SockKind;
use glassnet_kernel::tables::sysctl::ConfOf;
use glassnet_kernel::tables::xt::{
    Action, AddrMask, Counters, IpMatch, Rule, Table, TableName, Target, Variant,
};
use glassnet_kernel::{Cx, World};
use glassnet_wire::Mac;
use packets::{echo, ip, ipv4, show, tcp, udp};

const MACHINE: MachineId = MachineId(0);
const CPU: CpuId = CpuId(0);

/// A frame that a station saw: station, source, destination, packet.
type Seen = (usize, Mac, Mac, Vec<u8>);

struct Lan {
    world: World,
    netns: NetnsId,
    bridge: DevId,
    stations: Vec<(DevId, SocketId)>,
}

fn mac(station: usize) -> Mac {
    Mac([2, 0, 0, 0, 0, station as u8])
}

fn add_addr(cx: &mut Cx, dev: DevId, address: Ipv4Addr) {
    let netns = cx.k.devs[dev].netns;
    let msg = AddrMsg::new(dev, address, 24);
    rtm_newaddr(cx, netns, &msg, NLM_F_CREATE | NLM_F_EXCL).expect("a new address");
}

impl Lan {
    fn new() -> Lan {
        let mut world = World::new(7);
        world.add_machine("m", 1);
        let (netns, bridge, stations) = world.enter(MACHINE, CPU, |cx| {
            let netns = copy_net_ns(cx);
            let up = LinkSet { up: Some(true), ..LinkSet::default() };
            let lo = cx.k.netns[netns].loopback;
            do_setlink(cx, lo, up.clone()).expect("lo comes up");
            let new = LinkNew {
                name: Some("br0".into()),
                set: LinkSet { info: Some(LinkInfo::new("bridge")), ..up.clone() },
                ..LinkNew::default()
            };
            let bridge = rtm_newlink(cx, netns, new).expect("a bridge");
            let stations = (1..=3).map(|n| station(cx, netns, bridge, n)).collect::<Vec<_>>();
            (netns, bridge, stations)
        });
        Lan { world, netns, bridge, stations }
    }

    /// With the module, after the bridge was made.
    fn with_module() -> Lan {
        let mut lan = Lan::new();
        lan.enter(br_netfilter_init);
        lan
    }

    /// The bridge has an address and its host forwards.
    fn host_forwards(&mut self) {
        let (netns, bridge) = (self.netns, self.bridge);
        self.enter(|cx| {
            add_addr(cx, bridge, Ipv4Addr::new(10, 9, 0, 254));
            devinet_conf_proc(cx, netns, ConfOf::All, Conf::Forwarding, 1);
        });
    }

    fn enter<R>(&mut self, work: impl FnOnce(&mut Cx) -> R) -> R {
        self.world.enter(MACHINE, CPU, work)
    }

    fn rules(&mut self, name: TableName, hook: Hook, ip: IpMatch, action: Action) {
        let mut table = Table::initial(name);
        let rule = Rule { ip, matches: Vec::new(), action, counters: Counters::default() };
        table.chain_mut(hook.chain()).expect("a built-in chain").rules.push(rule);
        let netns = self.netns;
        self.enter(|cx| xt_replace_table(cx, netns, Variant::Legacy, table).expect("good rules"));
    }

    /// A rule that needs connection tracking, and means no packet of these tests.
    fn tracks(&mut self) {
        let target = Action::Target(Target::new(Dnat(NatRange::default())));
        self.rules(TableName::Nat, Hook::PreRouting, to("10.9.0.77"), target);
    }

    /// How many packets met the first rule of a chain.
    fn met(&self, name: TableName, hook: Hook) -> u64 {
        let table = xt_table(self.world.kernel(MACHINE), self.netns, Variant::Legacy, name);
        let counted = |table: &Table| table.chain(hook.chain()).map(|chain| chain.rules[0].counters.packets);
        table.as_ref().and_then(counted).unwrap_or(0)
    }

    /// Station `from` sends a packet to a station's address; what all stations see of IPv4.
    fn send(&mut self, from: usize, dest: Mac, packet: &[u8]) -> Vec<Seen> {
        let (dev, _) = self.stations[from - 1];
        self.enter(|cx| {
            let skb = cx.skbs.alloc_skb(14 + packet.len(), dev);
            let bytes = cx.skbs.data_mut(skb);
            bytes[..6].copy_from_slice(&dest.0);
            bytes[6..12].copy_from_slice(&mac(from).0);
            bytes[12..14].copy_from_slice(&[8, 0]);
            bytes[14..].copy_from_slice(packet);
            cx.skbs[skb].protocol = 0x0800;
            cx.walk(Door::DevQueueXmit { skb });
        });
        self.seen()
    }

    fn seen(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        for station in 1..=3 {
            let (_, tap) = self.stations[station - 1];
            while let Some(frame) = self.enter(|cx| recv(cx, tap)).ok().flatten() {
                // Stations answer; what they send is seen where it arrives.
                if frame.protocol == 0x0800 && frame.data[6..12] != mac(station).0 {
                    let address = |at: usize| Mac(frame.data[at..at + 6].try_into().expect("six bytes"));
                    seen.push((station, address(6), address(0), frame.data[14..].to_vec()));
                }
            }
        }
        seen
    }
}

fn station(cx: &mut Cx, netns: NetnsId, bridge: DevId, n: usize) -> (DevId, SocketId) {
    let host = copy_net_ns(cx);
    let up = LinkSet { up: Some(true), ..LinkSet::default() };
    let set = LinkSet { address: Some(mac(n)), ..up.clone() };
    let peer = LinkNew {
        name: Some("eth0".into()),
        set: LinkSet { netns: Some(host), ..set },
        ..LinkNew::default()
    };
    let info = Some(VethOptions { peer }.into());
    let set = LinkSet { master: Some(Some(bridge)), ..up };
    let port = rtm_newlink(
        cx,
        netns,
        LinkNew { name: Some(format!("p{n}")), set: LinkSet { info, ..set }, ifindex: None, link: None },
    );
    let dev = cx.k.devs[port.expect("a cable")].link.expect("its other end");
    add_addr(cx, dev, Ipv4Addr::new(10, 9, 0, n as u8));
    (dev, socket(cx, host, SockKind::Packet { protocol: 3, cooked: false }))
}

fn to(address: &str) -> IpMatch {
    IpMatch {
        dst: AddrMask { addr: ip(address), mask: Ipv4Addr::BROADCAST, invert: false },
        ..IpMatch::default()
    }
}

fn frames(seen: &[Seen]) -> Vec<(usize, Mac, Mac, String)> {
    seen.iter().map(|(at, from, to, packet)| (*at, *from, *to, show(packet))).collect()
}

#[test]
fn a_bridged_packet_meets_forward_if_the_switch_is_on() {
    // An answer that nobody asked for is not answered.
    let packet = echo("10.9.0.1", "10.9.0.2", 0, 7);
    let mut without = Lan::new();
    without.rules(TableName::Filter, Hook::Forward, IpMatch::default(), Action::Drop);
    // The destination is not known to the bridge yet, so all see it.
    assert_eq!(without.send(1, mac(2), &packet).len(), 2);
    let mut lan = Lan::with_module();
    lan.rules(TableName::Filter, Hook::Forward, IpMatch::default(), Action::Drop);
    assert_eq!(lan.send(1, mac(2), &packet), []);
    assert_eq!(lan.met(TableName::Filter, Hook::Forward), 2, "once a port");
    let netns = lan.netns;
    let calls = br_netfilter_hooks::SYSCTLS.row("bridge-nf-call-iptables").expect("a row");
    lan.enter(|cx| calls.write(cx, At { netns, of: ConfOf::All }, 0)).expect("in range");
    assert_eq!(lan.send(1, mac(2), &packet).len(), 2);
    assert_eq!(lan.met(TableName::Filter, Hook::Forward), 2);
    // The bridge's own switch.
    let info = LinkInfo::with("bridge", Attrs::from([(&bridge::NF_CALL_IPTABLES, 1)]));
    let (bridge, set) = (lan.bridge, LinkSet { info: Some(info), ..LinkSet::default() });
    lan.enter(|cx| do_setlink(cx, bridge, set).expect("a setting"));
    assert_eq!(lan.send(1, mac(2), &packet), []);
}

#[test]
fn the_frame_is_what_it_was() {
    let mut lan = Lan::with_module();
    lan.tracks();
    let there = udp("10.9.0.1", 4000, "10.9.0.3", 53, b"a");
    let seen = lan.send(1, mac(2), &there);
    assert_eq!(seen, [(2, mac(1), mac(2), there.clone()), (3, mac(1), mac(2), there)]);
    let table = &lan.world.kernel(MACHINE).conntrack;
    assert_eq!(table.confirmed().len(), 1);
}

/// The destination becomes another station of the bridge: the frame goes there with its own sender, its TTL as it was; the
/// bridge's host must forward and know the network.
#[test]
fn dnat_to_a_station_of_the_bridge() {
    let mut lan = Lan::with_module();
    let range = NatRange { addrs: Some((ip("10.9.0.3"), ip("10.9.0.3"))), ..NatRange::default() };
    lan.rules(TableName::Nat, Hook::PreRouting, to("10.9.0.2"), Action::Target(Target::new(Dnat(range))));
    let there = echo("10.9.0.1", "10.9.0.2", 8, 7);
    assert_eq!(lan.send(1, mac(2), &there), [], "its host does not forward");
    lan.host_forwards();
    for _ in 0..2 {
        // The first frame waits for the answer to an ARP request, the second finds the neighbour.
        let seen = lan.send(1, mac(2), &there);
        let answer = "10.9.0.2>10.9.0.1 0/0 7".to_owned();
        assert_eq!(
            frames(&seen),
            [(1, mac(3), mac(1), answer), (3, mac(1), mac(3), "10.9.0.1>10.9.0.3 8/0 7".to_owned())]
        );
        assert_eq!(seen[1].3[8], 64);
    }
}

#[test]
fn a_packet_for_the_host_meets_prerouting_once() {
    let mut lan = Lan::with_module();
    lan.host_forwards();
    lan.rules(TableName::Mangle, Hook::PreRouting, to("10.9.0.254"), Action::None);
    let own = lan.world.kernel(MACHINE).devs[lan.bridge].addr;
    let seen = lan.send(1, own, &echo("10.9.0.1", "10.9.0.254", 8, 7));
    assert_eq!(frames(&seen), [(1, own, mac(1), "10.9.0.254>10.9.0.1 0/0 7".to_owned())]);
    assert_eq!(lan.met(TableName::Mangle, Hook::PreRouting), 1);
}

/// The reset comes by the port of the segment and from the address of the station that it was for.
#[test]
fn a_reset_of_a_bridged_segment_has_the_stations_address() {
    let mut lan = Lan::with_module();
    lan.host_forwards();
    let only = IpMatch { proto: (6, false), ..IpMatch::default() };
    lan.rules(TableName::Filter, Hook::Forward, only, Action::Target(Target::new(Reject::TcpReset)));
    // The bridge learns where the second station is.
    lan.send(2, mac(1), &echo("10.9.0.2", "10.9.0.1", 0, 7));
    let seen = lan.send(1, mac(2), &tcp("10.9.0.1", 4000, "10.9.0.2", 80, 2, 7));
    assert_eq!(frames(&seen), [(1, mac(2), mac(1), "10.9.0.2:80>10.9.0.1:4000".to_owned())]);
}

/// Connection tracking puts fragments together; they leave as they came, even if a larger first one would do.
#[test]
fn fragments_stay_fragments() {
    for first in [600, 400] {
        fragments_leave_as_they_came(first);
    }
}

fn fragments_leave_as_they_came(len: usize) {
    let mut lan = Lan::with_module();
    lan.tracks();
    let whole = udp("10.9.0.1", 4000, "10.9.0.2", 53, &[7; 1000]);
    lan.send(2, mac(1), &echo("10.9.0.2", "10.9.0.1", 0, 7));
    let mut first = ipv4("10.9.0.1", "10.9.0.2", 17, &whole[20..20 + len]);
    let mut second = ipv4("10.9.0.1", "10.9.0.2", 17, &whole[20 + len..]);
    for (packet, offset) in [(&mut first, 0x2000_u16), (&mut second, len as u16 / 8)] {
        packet[6..8].copy_from_slice(&offset.to_be_bytes());
        packet[10..12].fill(0);
        let check = glassnet_wire::checksum::checksum(&packet[..20]);
        packet[10..12].copy_from_slice(&check.to_be_bytes());
    }
    assert_eq!(lan.send(1, mac(2), &first), []);
    let mut seen = lan.send(1, mac(2), &second);
    // The station answers that nobody listens.
    seen.retain(|frame| frame.0 == 2);
    assert_eq!(seen, [(2, mac(1), mac(2), first), (2, mac(1), mac(2), second)]);
}

/// `br_validate_ipv4`: with the module, a frame whose IPv4 header is wrong is dropped and counted; padding is cut off.
#[test]
fn a_bridged_packet_has_a_right_header() {
    let mut lan = Lan::with_module();
    lan.rules(TableName::Filter, Hook::Forward, to("10.9.0.2"), Action::Return);
    let good = udp("10.9.0.1", 1, "10.9.0.2", 2, b"x");
    let with = |at: usize, value: u8| {
        let mut packet = good.clone();
        packet[at] = value;
        packet
    };
    let mut longer = good.clone();
    longer[3] += 1;
    glassnet_wire::ipv4::ip_send_check(&mut longer);
    let mut shorter = good.clone();
    shorter[3] = 19;
    glassnet_wire::ipv4::ip_send_check(&mut shorter);
    for wrong in [with(0, 0x65), with(0, 0x44), with(10, good[10] ^ 1), shorter, good[..19].to_vec(), longer]
    {
        assert_eq!(frames(&lan.send(1, mac(2), &wrong)), [], "{wrong:?}");
    }
    let snmp = &lan.world.kernel(MACHINE).netns[lan.netns].ipv4.snmp;
    assert_eq!(snmp.ip_ext.InTruncatedPkts, 1);
    let padded = [&good[..], &[0; 7]].concat();
    let seen = lan.send(1, mac(2), &padded);
    let came = seen.iter().find(|seen| seen.0 == 2).expect("it came");
    assert_eq!(came.3, good);
    // Flooded to two ports.
    assert_eq!(lan.met(TableName::Filter, Hook::Forward), 2);
}
