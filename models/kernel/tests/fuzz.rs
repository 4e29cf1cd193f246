//! Frames that nobody chose by hand, into a bridge and a router: nothing panics, nothing leaks, everything ends.

use glassnet_kernel::World;
use glassnet_kernel::door::Door;
use glassnet_kernel::drivers::veth::VethOptions;
use glassnet_kernel::ids::{CpuId, DevId, MachineId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::net::core::net_namespace::copy_net_ns;
use glassnet_kernel::net::core::rtnetlink::{LinkNew, LinkSet, rtm_newlink};
use glassnet_kernel::net::ipv4::devinet::rtm_newaddr;
use glassnet_kernel::net::ipv4::sysctl_net_ipv4::devinet_conf_proc;
use glassnet_kernel::netlink::NLM_F_CREATE;
use glassnet_kernel::tables::inet_conf::Conf;
use glassnet_kernel::tables::inet_types::AddrMsg;
use glassnet_kernel::tables::sysctl::ConfOf;
use glassnet_kernel::trace::Level;
use glassnet_sim::Nanos;
use proptest::prelude::*;

const MACHINE: MachineId = MachineId(0);
const CPU: CpuId = CpuId(0);

/// Two namespaces on a bridge that has an address and forwards.
fn world() -> (World, [DevId; 2]) {
    let mut world = World::new(3);
    world.add_machine("m", 2);
    world.trace.level = Level::Detail;
    world.trace.capture = true;
    let stations = world.enter(MACHINE, CPU, |cx| {
        let up = LinkSet { up: Some(true), ..LinkSet::default() };
        let new = LinkNew {
            name: Some("br0".into()),
            set: LinkSet { info: Some(LinkInfo::new("bridge")), ..up.clone() },
            ..LinkNew::default()
        };
        let bridge = rtm_newlink(cx, INIT_NET, new).unwrap();
        devinet_conf_proc(cx, INIT_NET, ConfOf::All, Conf::Forwarding, 1);
        rtm_newaddr(cx, INIT_NET, &AddrMsg::new(bridge, [10, 0, 0, 1].into(), 24), NLM_F_CREATE).unwrap();
        [1, 2].map(|n| {
            let netns = copy_net_ns(cx);
            let peer = LinkNew {
                name: Some("eth0".into()),
                set: LinkSet { netns: Some(netns), ..up.clone() },
                ..LinkNew::default()
            };
            let info = Some(VethOptions { peer }.into());
            let set = LinkSet { master: Some(Some(bridge)), ..up.clone() };
            let port = LinkNew {
                name: Some(format!("p{n}")),
                set: LinkSet { info, ..set },
                ifindex: None,
                link: None,
            };
            let port = rtm_newlink(cx, INIT_NET, port).unwrap();
            let station = cx.k.devs[port].link.unwrap();
            let address = AddrMsg::new(station, [10, 0, 0, 100 + n].into(), 24);
            rtm_newaddr(cx, netns, &address, NLM_F_CREATE).unwrap();
            station
        })
    });
    (world, stations)
}

/// A frame with a header that often makes sense, and a body that seldom does.
fn frame() -> impl Strategy<Value = (Vec<u8>, u16)> {
    let mac = prop_oneof![
        Just([0xff; 6]),
        Just([0x01, 0x00, 0x5e, 0, 0, 1]),
        any::<[u8; 6]>(),
        Just([0x01, 0x80, 0xc2, 0, 0, 0x0e]),
    ];
    let proto = prop_oneof![4 => Just(0x0800_u16), 4 => Just(0x0806), 1 => any::<u16>()];
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..120),
        (any::<[u8; 20]>(), prop::collection::vec(any::<u8>(), 0..80)).prop_map(|(mut ip, rest)| {
            ip[0] = 0x45;
            ip[2..4].copy_from_slice(&(20 + rest.len() as u16).to_be_bytes());
            ip[9] = [1, 2, 17, ip[9]][usize::from(ip[9]) % 4];
            ip[12..16].copy_from_slice(&[10, 0, 0, 101]);
            let [net, host] = [ip[18] % 2, ip[19]];
            ip[16..20].copy_from_slice(&[10, 0, net, host]);
            ip[10..12].fill(0);
            let check = glassnet_wire::checksum::checksum(&ip);
            ip[10..12].copy_from_slice(&check.to_be_bytes());
            [ip.to_vec(), rest].concat()
        }),
        any::<[u8; 28]>().prop_map(|mut arp| {
            arp[..7].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0]);
            arp[7] = 1 + arp[7] % 2;
            let [sender, target] = [arp[17], 100 + arp[27] % 4];
            arp[14..18].copy_from_slice(&[10, 0, 0, sender]);
            arp[24..28].copy_from_slice(&[10, 0, 0, target]);
            arp.to_vec()
        }),
    ];
    (mac, any::<[u8; 6]>(), proto, body).prop_map(|(dest, mut source, proto, body)| {
        source[0] &= 0xfe;
        ([&dest[..], &source, &proto.to_be_bytes(), &body].concat(), proto)
    })
}

proptest! {
    #[test]
    fn fuzz_frames(frames in prop::collection::vec((frame(), 0usize..2), 1..8)) {
        let (mut world, stations) = world();
        for ((bytes, proto), from) in frames {
            world.enter(MACHINE, CPU, |cx| {
                let skb = cx.skbs.alloc_skb(bytes.len(), stations[from]);
                cx.skbs.data_mut(skb).copy_from_slice(&bytes);
                cx.skbs[skb].protocol = proto;
                cx.walk(Door::DevQueueXmit { skb });
            });
        }
        // Neighbours fail, fragments expire and stations age within ten minutes.
        while world.next_event_at().is_some_and(|at| at < Nanos::from_secs(600)) {
            prop_assert!(world.step().unwrap());
        }
        prop_assert_eq!((world.skbs.alive(), world.skbs.bufs.held()), (0, 0));
    }
}
