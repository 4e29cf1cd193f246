//! What the extensions of iptables see of a packet and do to it, one by one.

use std::net::Ipv4Addr;

use glassnet_kernel::drivers::veth::VethOptions;
use glassnet_kernel::extension::{Kept, Par, TargetVerdict};
use glassnet_kernel::hook::Verdict;
use glassnet_kernel::ids::{CpuId, DevId, MachineId, SkbId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::net::core::net_namespace::copy_net_ns;
use glassnet_kernel::net::core::rtnetlink::{LinkNew, LinkSet, rtm_newlink};
use glassnet_kernel::net::netfilter::nf_log_syslog::nf_log_trace;
use glassnet_kernel::net::netfilter::xt_addrtype::Addrtype;
use glassnet_kernel::net::netfilter::xt_connmark::{ConnmarkMode, ConnmarkMt, ConnmarkTg};
use glassnet_kernel::net::netfilter::xt_conntrack::{
    CT_DNAT, CT_ESTABLISHED, CT_INVALID, CT_NEW, CT_SNAT, CT_UNTRACKED, Conntrack, State,
};
use glassnet_kernel::net::netfilter::xt_dscp::{DscpMt, DscpTg, TosMt, TosTg};
use glassnet_kernel::net::netfilter::xt_hl::{TtlMt, TtlMtMode, TtlTg, TtlTgMode};
use glassnet_kernel::net::netfilter::xt_iprange::Iprange;
use glassnet_kernel::net::netfilter::xt_length::Length;
use glassnet_kernel::net::netfilter::xt_limit::{Limit, limit_mt, overflows};
use glassnet_kernel::net::netfilter::xt_log::Log;
use glassnet_kernel::net::netfilter::xt_mac::MacSource;
use glassnet_kernel::net::netfilter::xt_mark::{MarkMt, MarkTg};
use glassnet_kernel::net::netfilter::xt_multiport::{Multiport, MultiportSide};
use glassnet_kernel::net::netfilter::xt_owner::Owner;
use glassnet_kernel::net::netfilter::xt_physdev::Physdev;
use glassnet_kernel::net::netfilter::xt_pkttype::Pkttype;
use glassnet_kernel::net::netfilter::xt_tcpmss::{TcpmssMt, TcpmssTg};
use glassnet_kernel::tables::conntrack::{
    Conn, CtInfo, IPS_ASSURED, IPS_CONFIRMED, IPS_DST_NAT, NfCt, Tuple,
};
use glassnet_kernel::tables::fib_trie::inet_make_mask;
use glassnet_kernel::tables::netfilter::{Hook, HookState, NfBridge, Site};
use glassnet_kernel::tables::skb::IPSKB_SENT;
use glassnet_kernel::tables::skb::PacketType;
use glassnet_kernel::tables::socket::SockKind;
use glassnet_kernel::tables::xt::{Iface, Match, Ports, TableName, Target, Variant};
use glassnet_kernel::{Cx, World};
use glassnet_wire::Mac;
use glassnet_wire::checksum::{checksum, fold, pseudo_header, sum};
use glassnet_wire::ipv4::{Ipv4Hdr, ip_send_check};

const MACHINE: MachineId = MachineId(0);

/// Runs `work` with a veth pair in the machine's first namespace.
fn with<R>(work: impl FnOnce(&mut Cx, DevId) -> R) -> R {
    let mut world = World::new(1);
    world.add_machine("m", 1);
    world.enter(MACHINE, CpuId(0), |cx| {
        let peer = LinkNew { name: Some("eth1".into()), ..LinkNew::default() };
        let info = Some(VethOptions { peer }.into());
        let new = LinkNew {
            name: Some("eth0".into()),
            set: LinkSet { info, ..LinkSet::default() },
            ifindex: None,
            link: None,
        };
        let dev = rtm_newlink(cx, INIT_NET, new).expect("a new pair");
        work(cx, dev)
    })
}

/// An Ethernet frame with this IPv4 packet; its IP header is completed.
fn skb(cx: &mut Cx, dev: DevId, packet: &[u8]) -> SkbId {
    let skb = cx.skbs.alloc_skb(14 + packet.len(), dev);
    let data = cx.skbs.data_mut(skb);
    data[..14].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]);
    data[14..].copy_from_slice(packet);
    ip_send_check(&mut data[14..]);
    cx.skbs.pull(skb, 14);
    let pkt = &mut cx.skbs[skb];
    (pkt.network_header, pkt.transport_header) = (pkt.data, pkt.data + 20);
    skb
}

fn ipv4(proto: u8, tos: u8, ttl: u8, payload: &[u8]) -> Vec<u8> {
    let len = (20 + payload.len()) as u16;
    let mut packet = vec![0x45, tos, 0, 0, 0xfb, 0x88, 0x40, 0, ttl, proto, 0, 0, 127, 0, 0, 1, 10, 0, 0, 2];
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

/// A SYN from port 40162 to 9 with these options, its checksum right.
fn syn(options: &[u8]) -> Vec<u8> {
    let mut th = vec![0x9c, 0xe2, 0, 9, 6, 0xd7, 0x3e, 0xd4, 0, 0, 0, 0, 0, 2, 0xff, 0xd7, 0, 0, 0, 0];
    th[12] = ((20 + options.len()) as u8 / 4) << 4;
    th.extend_from_slice(options);
    let pseudo = pseudo_header(Ipv4Addr::LOCALHOST, Ipv4Addr::new(10, 0, 0, 2), 6, th.len() as u16);
    let check = fold(sum(pseudo, &th));
    th[16..18].copy_from_slice(&check.to_be_bytes());
    ipv4(6, 0, 64, &th)
}

fn udp() -> Vec<u8> {
    ipv4(17, 0x10, 64, &[0xa8, 0x88, 0, 9, 0, 10, 0, 0, b'x', b'\n'])
}

fn par(cx: &Cx, skb: SkbId, hook: Hook, (input, output): (Option<DevId>, Option<DevId>)) -> Par {
    let iph = *cx.skbs.header::<Ipv4Hdr>(skb, cx.skbs[skb].network_header).expect("an IPv4 header");
    let site = if hook == Hook::LocalOut { Site::IpLocalOut } else { Site::IpLocalDeliver };
    Par {
        skb,
        state: HookState { site, hook, netns: INIT_NET, input, output },
        table: TableName::Filter,
        variant: Variant::Legacy,
        iph,
        thoff: cx.skbs[skb].network_header + 20,
        fragoff: 0,
        hotdrop: false,
        copied: false,
    }
}

/// The packet as it comes in at INPUT fits the match.
fn fits(packet: &[u8], prepare: impl FnOnce(&mut Cx, SkbId), mut with_match: Match) -> bool {
    with(|cx, dev| {
        let skb = skb(cx, dev, packet);
        prepare(cx, skb);
        let mut par = par(cx, skb, Hook::LocalIn, (Some(dev), None));
        with_match.matches(cx, &mut par)
    })
}

fn plain(_: &mut Cx, _: SkbId) {}

#[test]
fn headers() {
    let packet = udp();
    let multiport =
        |side, ports: &[(u16, u16)], invert| Match::new(Multiport { side, invert, ports: ports.to_vec() });
    use MultiportSide::{Destination, Either, Source};
    let range = |low, high| Some((false, low, high));
    for (expected, with_match) in [
        (true, multiport(Destination, &[(80, 80), (5, 10)], false)),
        (false, multiport(Source, &[(80, 80), (5, 10)], false)),
        (true, multiport(Either, &[(43144, 43144)], false)),
        (false, multiport(Either, &[(9, 9)], true)),
        (true, Match::new(Length { invert: false, range: (30, 30) })),
        (false, Match::new(Length { invert: true, range: (0, 30) })),
        (true, Match::new(TtlMt { mode: TtlMtMode::Gt, ttl: 63 })),
        (false, Match::new(TtlMt { mode: TtlMtMode::Ne, ttl: 64 })),
        (true, Match::new(TosMt { invert: false, value: 0x10, mask: 0x3f })),
        (false, Match::new(TosMt { invert: false, value: 0x11, mask: 0x10 })),
        (true, Match::new(DscpMt { invert: false, dscp: 4 })),
        (true, Match::new(MacSource { invert: false, addr: Mac([2, 0, 0, 0, 0, 1]) })),
        (false, Match::new(MacSource { invert: true, addr: Mac([2, 0, 0, 0, 0, 1]) })),
        (
            true,
            Match::new(Iprange {
                source: None,
                dest: range(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)),
            }),
        ),
        (
            false,
            Match::new(Iprange {
                source: range(Ipv4Addr::new(10, 0, 0, 9), Ipv4Addr::new(10, 0, 0, 1)),
                dest: None,
            }),
        ),
        (true, Match::new(Addrtype { source: Some((false, 1 << 2)), ..Default::default() })),
        (false, Match::new(Addrtype { source: Some((false, 1 << 2)), limit_in: true, ..Default::default() })),
        (true, Match::new(Addrtype { dest: Some((true, 1 << 2)), ..Default::default() })),
    ] {
        assert_eq!(fits(&packet, plain, with_match.clone()), expected, "{with_match:?}");
    }
}

#[test]
fn a_packet_without_ports_is_dropped_by_multiport() {
    with(|cx, dev| {
        let skb = skb(cx, dev, &ipv4(17, 0, 64, &[0, 1]));
        let mut par = par(cx, skb, Hook::LocalIn, (Some(dev), None));
        let ports = vec![(1, 1)];
        let mut with = Match::new(Multiport { side: MultiportSide::Either, invert: false, ports });
        assert!(!with.matches(cx, &mut par));
        assert!(par.hotdrop);
    });
}

#[test]
fn frames_and_marks() {
    let broadcast = |cx: &mut Cx, skb: SkbId| cx.skbs[skb].pkt_type = PacketType::Broadcast;
    let marked = |cx: &mut Cx, skb: SkbId| cx.skbs[skb].mark = 0x1ff;
    assert!(fits(&udp(), broadcast, Match::new(Pkttype { invert: false, kind: 1 })));
    assert!(!fits(&udp(), broadcast, Match::new(Pkttype { invert: false, kind: 0 })));
    assert!(fits(&udp(), marked, Match::new(MarkMt { invert: false, mark: 0xf, mask: 0xf })));
    assert!(!fits(&udp(), marked, Match::new(MarkMt { invert: true, mark: 0x1ff, mask: u32::MAX })));
    // A packet without a connection has no mark of one, whether or not the rule denies.
    for invert in [false, true] {
        assert!(!fits(&udp(), plain, Match::new(ConnmarkMt { invert, mark: 0, mask: 0 })));
    }
}

#[test]
fn bridge_ports() {
    let iface = |name: &str, invert| Some(Iface { invert, name: name.to_owned() });
    let bridged = |cx: &mut Cx, skb: SkbId| {
        let physin = Some(cx.skbs[skb].dev);
        cx.skbs[skb].nf_bridge = Some(NfBridge { physin, ..NfBridge::default() });
    };
    let physdev =
        |input, is_in, is_bridged| Match::new(Physdev { input, is_in, is_bridged, ..Physdev::default() });
    for (expected, with_match) in [
        (true, physdev(iface("eth+", false), Some(false), None)),
        (false, physdev(iface("eth0", true), None, None)),
        (false, physdev(None, None, Some(false))),
        (true, physdev(None, None, Some(true))),
        (true, physdev(iface("", false), None, None)),
    ] {
        assert_eq!(fits(&udp(), bridged, with_match.clone()), expected, "{with_match:?}");
    }
    for invert in [false, true] {
        let output = Match::new(Physdev { output: iface("eth1", invert), ..Physdev::default() });
        assert!(!fits(&udp(), bridged, output), "it is not yet known by which port it leaves");
    }
    assert!(!fits(&udp(), plain, physdev(iface("eth0", false), None, None)));
    assert!(fits(&udp(), plain, physdev(iface("eth0", true), Some(true), Some(true))));
}

/// Gives the packet a connection from 10.0.0.1:1000 to 10.0.0.9:80 that DNAT sent to 10.0.0.2:8080.
fn connected(info: CtInfo) -> impl FnOnce(&mut Cx, SkbId) {
    move |cx, skb| {
        let tuple = Tuple {
            src: Ipv4Addr::new(10, 0, 0, 1),
            dst: Ipv4Addr::new(10, 0, 0, 9),
            sport: 1000,
            dport: 80,
            proto: 6,
        };
        let reply = Tuple {
            src: Ipv4Addr::new(10, 0, 0, 2),
            dst: Ipv4Addr::new(10, 0, 0, 1),
            sport: 8080,
            dport: 1000,
            proto: 6,
        };
        let mut conn = Conn::new(INIT_NET, tuple, reply, [0, 0]);
        (conn.status, conn.mark) = (IPS_ASSURED | IPS_CONFIRMED | IPS_DST_NAT, 0xab);
        conn.timeout = cx.now + glassnet_sim::Nanos::from_secs(100);
        cx.skbs[skb].nfct = NfCt::Conn(cx.k.conntrack.alloc(conn), info);
    }
}

#[test]
fn connections() {
    let state = |invert, state| Conntrack { state: Some((invert, state)), ..Conntrack::default() };
    let ports = |low, high| Some(Ports { invert: false, range: (low, high) });
    let none = Conntrack::default;
    for (expected, with) in [
        (true, state(false, CT_ESTABLISHED)),
        (true, state(false, CT_DNAT)),
        (false, state(false, CT_NEW | CT_SNAT)),
        (false, state(true, CT_ESTABLISHED)),
        (true, Conntrack { reply: Some(true), ..none() }),
        (false, Conntrack { reply: Some(false), ..none() }),
        (
            true,
            Conntrack { origdst: Some((false, Ipv4Addr::new(10, 0, 0, 0), inet_make_mask(24))), ..none() },
        ),
        // Bits outside the mask: never.
        (
            false,
            Conntrack { origdst: Some((false, Ipv4Addr::new(10, 0, 0, 9), inet_make_mask(24))), ..none() },
        ),
        (true, Conntrack { replsrcport: ports(8000, 9000), origdstport: ports(80, 80), ..none() }),
        (false, Conntrack { repldstport: ports(8080, 8080), ..none() }),
        (true, Conntrack { proto: Some((false, 6)), status: Some((false, IPS_ASSURED)), ..none() }),
        (false, Conntrack { status: Some((false, 0)), ..none() }),
        (true, Conntrack { expire: Some((false, 90, 100)), ..none() }),
        (false, Conntrack { expire: Some((true, 90, 100)), ..none() }),
    ] {
        let connected = connected(CtInfo::EstablishedReply);
        assert_eq!(fits(&udp(), connected, Match::new(with.clone())), expected, "{with:?}");
    }
    let unconfirmed = |cx: &mut Cx, skb: SkbId| {
        connected(CtInfo::New)(cx, skb);
        let NfCt::Conn(id, _) = cx.skbs[skb].nfct else { panic!("no connection") };
        cx.k.conntrack.get_mut(id).expect("a connection").status &= !IPS_CONFIRMED;
    };
    let none_left = Conntrack { expire: Some((false, 0, 0)), ..none() };
    assert!(fits(&udp(), unconfirmed, Match::new(none_left)));
    let untracked = |cx: &mut Cx, skb: SkbId| cx.skbs[skb].nfct = NfCt::Untracked;
    assert!(fits(&udp(), untracked, Match::new(state(false, CT_UNTRACKED))));
    assert!(fits(&udp(), plain, Match::new(State { invert: false, state: CT_INVALID })));
    assert!(!fits(&udp(), plain, Match::new(Conntrack { reply: Some(false), ..none() })));
    let mark = ConnmarkMt { invert: false, mark: 0xa0, mask: 0xf0 };
    assert!(fits(&udp(), connected(CtInfo::New), Match::new(mark)));
}

#[test]
fn owners() {
    enum From {
        Program,
        Kernel,
        Nobody,
    }
    use From::{Kernel, Nobody, Program};
    let owner = |uid, socket_exists| Match::new(Owner { uid, socket_exists, ..Owner::default() });
    let sent = |from: From, packet: &[u8], mut with_match: Match| {
        with(|cx, dev| {
            let skb = skb(cx, dev, packet);
            match from {
                Program => cx.skbs[skb].sk = Some(cx.k.sockets.open(SockKind::Udp, INIT_NET)),
                Kernel => cx.skbs[skb].ip.flags |= IPSKB_SENT,
                Nobody => {}
            }
            let mut par = par(cx, skb, Hook::LocalOut, (None, Some(dev)));
            with_match.matches(cx, &mut par)
        })
    };
    let (root, user) = (Some((false, 0, 0)), Some((false, 1000, 2000)));
    assert!(sent(Program, &udp(), owner(root, None)));
    assert!(!sent(Program, &udp(), owner(user, None)));
    assert!(sent(Program, &udp(), owner(None, Some(false))));
    assert!(!sent(Program, &udp(), owner(None, Some(true))));
    assert!(!sent(Nobody, &udp(), owner(root, None)));
    assert!(sent(Nobody, &udp(), owner(Some((true, 0, 0)), Some(true))));
    // The kernel's own answers, of ICMP and of TCP, have a socket, but no owner.
    let icmp = ipv4(1, 0, 64, &[0, 0, 0, 0, 0, 1, 0, 1]);
    for answer in [&icmp, &syn(&[])] {
        assert!(sent(Kernel, answer, owner(None, Some(false))));
        assert!(!sent(Kernel, answer, owner(root, None)));
    }
    assert!(!sent(Nobody, &syn(&[]), owner(None, Some(false))), "a reset of REJECT");
}

/// What becomes of the packet under a target of PREROUTING, and the verdict.
fn after(packet: &[u8], mut target: Target) -> (Vec<u8>, u32, u32, bool) {
    with(|cx, dev| {
        let skb = skb(cx, dev, packet);
        connected(CtInfo::New)(cx, skb);
        cx.skbs[skb].mark = 0xf0;
        let mut par = par(cx, skb, Hook::PreRouting, (Some(dev), None));
        let verdict = target.target(cx, &mut par);
        let NfCt::Conn(id, _) = cx.skbs[skb].nfct else { panic!("it keeps its connection") };
        let mark = cx.k.conntrack.get(id).expect("a connection").mark;
        let dropped = matches!(verdict, TargetVerdict::Verdict(Verdict::Drop(_)));
        let bytes = cx.skbs.data(skb).to_vec();
        assert_eq!(checksum(&bytes[..20]), 0, "the header's checksum is right");
        (bytes, cx.skbs[skb].mark, mark, dropped)
    })
}

#[test]
fn targets_that_rewrite_the_header() {
    let ttl = |mode, ttl| after(&udp(), Target::new(TtlTg { mode, ttl })).0[8];
    assert_eq!(ttl(TtlTgMode::Set, 7), 7);
    assert_eq!(ttl(TtlTgMode::Inc, 255), 255);
    assert_eq!(ttl(TtlTgMode::Dec, 65), 0);
    assert_eq!(after(&udp(), Target::new(DscpTg { dscp: 0x2e })).0[1], 0xb8);
    assert_eq!(after(&udp(), Target::new(TosTg { value: 0x03, mask: 0x10 })).0[1], 0x03);
}

#[test]
fn targets_that_mark() {
    let mark = |mark, mask| after(&udp(), Target::new(MarkTg { mark, mask })).1;
    assert_eq!(mark(0x5, 0xff), 0x5);
    assert_eq!(mark(0xff, 0), 0x0f);
    let connmark = |mode, ctmask, nfmask, shift| {
        let (_, mark, ctmark, _) =
            after(&udp(), Target::new(ConnmarkTg { mode, ctmark: 0x100, ctmask, nfmask, shift }));
        (mark, ctmark)
    };
    use ConnmarkMode::{Restore, Save, Set};
    assert_eq!(connmark(Set, u32::MAX, u32::MAX, 0), (0xf0, 0x100));
    assert_eq!(connmark(Set, 0, u32::MAX, 4), (0xf0, 0x1ab0));
    assert_eq!(connmark(Save, 0x0f, 0xff, -4), (0xf0, 0xaf));
    assert_eq!(connmark(Restore, 0xff, 0xf0, 0), (0xab, 0xab));
}

#[test]
fn the_segment_size_of_a_syn() {
    let set = |packet: &[u8], mss| {
        let (bytes, _, _, dropped) = after(packet, Target::new(TcpmssTg { mss: Some(mss) }));
        assert!(!dropped);
        let pseudo =
            pseudo_header(Ipv4Addr::LOCALHOST, Ipv4Addr::new(10, 0, 0, 2), 6, (bytes.len() - 20) as u16);
        assert_eq!(fold(sum(pseudo, &bytes[20..])), 0, "TCP's checksum is right");
        assert_eq!(usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), bytes.len());
        bytes[40..].to_vec()
    };
    let with_mss = syn(&[1, 3, 3, 7, 2, 4, 5, 0xb4]);
    assert_eq!(set(&with_mss, 1400), [1, 3, 3, 7, 2, 4, 5, 120]);
    assert_eq!(set(&with_mss, 1500), [1, 3, 3, 7, 2, 4, 5, 0xb4], "it is never raised");
    assert_eq!(set(&syn(&[1, 3, 3, 7]), 1400), [2, 4, 2, 24, 1, 3, 3, 7], "536 where it was not told");
    assert_eq!(set(&syn(&[]), 100), [2, 4, 0, 100]);
    let tcpmss = |invert, low, high| Match::new(TcpmssMt { invert, range: (low, high) });
    assert!(fits(&with_mss, plain, tcpmss(false, 1460, 1460)));
    assert!(!fits(&with_mss, plain, tcpmss(true, 1, 1460)));
    assert!(fits(&syn(&[]), plain, tcpmss(true, 1, 1460)));
    // A header that says more than there is.
    let mut cut = syn(&[]);
    cut[32] = 0x80;
    assert!(after(&cut, Target::new(TcpmssTg { mss: Some(1400) })).3, "dropped");
}

fn log(prefix: &str, all: bool) -> Target {
    Target::new(Log {
        level: 6,
        prefix: prefix.to_owned(),
        tcp_sequence: all,
        tcp_options: all,
        ip_options: all,
        uid: all,
        macdecode: false,
    })
}

/// The lines that a log of this packet with mark 0x1f leaves.
fn logged(packet: &[u8], hook: Hook, socket: bool, mut target: Target) -> Vec<String> {
    with(|cx, dev| {
        let skb = skb(cx, dev, packet);
        cx.skbs[skb].mark = 0x1f;
        if socket {
            cx.skbs[skb].sk = Some(cx.k.sockets.open(SockKind::Udp, INIT_NET));
        }
        let devs = if hook == Hook::LocalOut { (None, Some(dev)) } else { (Some(dev), None) };
        let mut par = par(cx, skb, hook, devs);
        target.target(cx, &mut par);
        cx.k.log.lines().map(|line| line.text.clone()).collect()
    })
}

/// A sender's packet has no MAC header; its socket and its mark are told last.
#[test]
fn the_line_of_a_packet_that_goes_out() {
    assert_eq!(
        logged(&udp(), Hook::LocalOut, true, log("out: ", true)),
        [
            "out: IN= OUT=eth0 SRC=127.0.0.1 DST=10.0.0.2 LEN=30 TOS=0x10 PREC=0x00 TTL=64 ID=64392 DF PROTO=UDP \
             SPT=43144 DPT=9 LEN=10 UID=0 GID=0 MARK=0x1f "
        ]
    );
}

/// What Linux 6.1 logged at PREROUTING, behind a rule that marks: `all` or `plain` for the flags, the packet, and the line behind its MAC header.
#[test]
fn lines_of_the_log_are_the_recorded_kernels() {
    const DEVICES: &str = "IN=eth0 OUT= MAC=02:00:00:00:00:02:02:00:00:00:00:01:08:00 ";
    let mut wrong = Vec::new();
    for row in include_str!("recordings/log.txt").lines() {
        let mut words = row.strip_suffix('|').expect("the line's end").splitn(3, ' ');
        let mut word = || words.next().expect("three columns");
        let (flags, packet, expected) = (word(), word(), format!("{DEVICES}{}", word()));
        let bytes = packet.as_bytes().chunks(2).map(|digits| {
            u8::from_str_radix(str::from_utf8(digits).expect("ASCII"), 16).expect("two hexadecimal digits")
        });
        let lines = logged(&bytes.collect::<Vec<u8>>(), Hook::PreRouting, false, log("", flags == "all"));
        if lines != [&*expected] {
            wrong.push(format!("{packet}\n  {lines:?}\n  {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `--log-macdecode` names the fields of the Ethernet header.
#[test]
fn the_mac_header_decoded() {
    let target = Target::new(Log {
        level: 6,
        prefix: String::new(),
        tcp_sequence: false,
        tcp_options: false,
        ip_options: false,
        uid: false,
        macdecode: true,
    });
    let lines = logged(&udp(), Hook::PreRouting, false, target);
    let expected =
        "IN=eth0 OUT= MACSRC=02:00:00:00:00:01 MACDST=02:00:00:00:00:02 MACPROTO=0800 SRC=127.0.0.1 ";
    assert!(lines[0].starts_with(expected), "{lines:?}");
}

#[test]
fn other_namespaces_are_silent_unless_told() {
    with(|cx, dev| {
        let netns = copy_net_ns(cx);
        let skb = skb(cx, dev, &udp());
        let mut par = par(cx, skb, Hook::LocalIn, (Some(dev), None));
        par.state.netns = netns;
        log("", false).target(cx, &mut par);
        assert_eq!(cx.k.log.lines().count(), 0);
        cx.k.log.nf_log_all_netns = 1;
        log("", false).target(cx, &mut par);
        nf_log_trace(cx, &par, "INPUT", "policy", 3);
        let last = cx.k.log.lines().last().expect("a line").clone();
        assert_eq!((cx.k.log.lines().count(), last.level), (2, 4));
        assert!(last.text.starts_with("TRACE: filter:INPUT:policy:3 IN=eth0 OUT= MAC="), "{}", last.text);
    });
}

/// `-m limit`, counted in ticks of 4 ms: a packet costs the time between two, and the bucket has that for `burst` packets. For
/// nft it counts nanoseconds.
#[test]
fn a_limit_is_a_bucket_that_fills() {
    const TICK: u64 = 4_000_000;
    // Packets per second that divide 250 ticks.
    for (rate, burst) in [(1, 5), (2, 1), (5, 3), (10, 5), (25, 20), (125, 2), (250, 1)] {
        for variant in [Variant::Legacy, Variant::Nft] {
            let cost = 250 / u64::from(rate) * TICK;
            let most = cost * u64::from(burst);
            let mut limit = Limit { avg: 10_000 / rate, burst, credit: Kept(None) };
            with(|cx, dev| {
                let skb = skb(cx, dev, &udp());
                let mut par = par(cx, skb, Hook::LocalIn, (Some(dev), None));
                par.variant = variant;
                cx.now = glassnet_sim::Nanos(1_000_000_000);
                let (mut credit, mut last) = (most, cx.now.0);
                for step in 0..400_u64 {
                    let mut now = cx.now.0;
                    if variant == Variant::Legacy {
                        now = now / TICK * TICK;
                    }
                    credit = (credit + (now - last)).min(most);
                    let fits = credit >= cost;
                    credit -= if fits { cost } else { 0 };
                    last = now;
                    assert_eq!(limit_mt(cx, &mut par, &mut limit), fits, "{rate}/s, {burst}, packet {step}");
                    // A flood, the right pace, and silences between.
                    cx.now.0 +=
                        [0, TICK / 2, cost / 3, cost, cost - 1, 3 * cost, 1][(step * step % 7) as usize];
                }
            });
        }
    }
}

/// A rule whose credits do not fit in 32 bits is refused (`limit_mt_check`: "Overflow, try lower"): 2 a day, 38 an hour at once.
#[test]
fn a_limit_has_a_greatest_burst() {
    const HOUR: u32 = 36_000_000;
    for (avg, burst, refused) in [
        (24 * HOUR, 1, false),
        (24 * HOUR, 2, true),
        (24 * HOUR, 5, true),
        (HOUR, 5, false),
        (HOUR, 37, false),
        (HOUR, 38, true),
        (600_000, 2236, false),
        (600_000, 2237, true),
        (1000, 10_000, false),
        (1, 0, true),
        (10_000, 0, true),
        (1, 1, false),
    ] {
        assert_eq!(overflows(&Limit { avg, burst, credit: Kept(None) }), refused, "{avg} {burst}");
    }
}
