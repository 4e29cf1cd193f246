//! Connection tracking, held against recordings of a real kernel: each packet's state, and the entry after it.

use std::fmt::Write;
use std::net::Ipv4Addr;

use glassnet_kernel::hook::Verdict;
use glassnet_kernel::ids::{CpuId, MachineId, NetnsId, SkbId};
use glassnet_kernel::net::netfilter::nf_conntrack_proto::{
    ipv4_confirm, ipv4_conntrack_in, nf_ct_netns_get, nf_ct_netns_put,
};
use glassnet_kernel::tables::conntrack::sysctl::CT_SYSCTL_TABLE;
use glassnet_kernel::tables::conntrack::{Conn, CtInfo, CtSysctl, IPS_ASSURED, IPS_SEEN_REPLY, NfCt, Proto};
use glassnet_kernel::tables::netfilter::{Hook, HookState, Site};
use glassnet_kernel::{Cx, World};
use glassnet_sim::Nanos;
use glassnet_wire::checksum::{fold, pseudo_header, sum};
use glassnet_wire::ipv4::ip_send_check;

const MACHINE: MachineId = MachineId(0);
const CPU: CpuId = CpuId(0);
const NETNS: NetnsId = NetnsId(0);
const A: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const B: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 1);

fn world() -> World {
    let mut world = World::new(1);
    world.add_machine("node1", 1);
    world.enter(MACHINE, CPU, |cx| {
        nf_ct_netns_get(cx.k, NETNS);
        cx.k.conntrack.net_mut(NETNS).set_sysctl(CtSysctl::Acct, 1);
    });
    world
}

fn state(hook: Hook) -> HookState {
    let site = if hook == Hook::PreRouting { Site::IpRcv } else { Site::IpOutput };
    HookState { site, hook, netns: NETNS, input: None, output: None }
}

/// An IPv4 packet in direction 0 (A to B) or 1.
fn packet(dir: u8, proto: u8, payload: &[u8]) -> Vec<u8> {
    let (src, dst) = if dir == 0 { (A, B) } else { (B, A) };
    let mut bytes = vec![0x45, 0];
    bytes.extend(((20 + payload.len()) as u16).to_be_bytes());
    bytes.extend([0, 1, 0, 0, 63, proto, 0, 0]);
    bytes.extend(src.octets());
    bytes.extend(dst.octets());
    bytes.extend(payload);
    ip_send_check(&mut bytes);
    bytes
}

/// Writes a transport checksum with the pseudo header at `at` of the payload.
fn seal(dir: u8, proto: u8, payload: &mut [u8], at: usize) {
    let (src, dst) = if dir == 0 { (A, B) } else { (B, A) };
    let check = fold(sum(pseudo_header(src, dst, proto, payload.len() as u16), payload));
    payload[at..at + 2].copy_from_slice(&check.to_be_bytes());
}

fn skb_of(cx: &mut Cx, bytes: &[u8]) -> SkbId {
    let lo = cx.k.netns[NETNS].loopback;
    let skb = cx.skbs.alloc_skb(bytes.len(), lo);
    cx.skbs.data_mut(skb).copy_from_slice(bytes);
    skb
}

/// The packet passes PRE_ROUTING and POST_ROUTING; what `--ctstate` says of it.
fn pass(cx: &mut Cx, bytes: &[u8]) -> &'static str {
    let skb = skb_of(cx, bytes);
    let verdict = ipv4_conntrack_in(cx, skb, &state(Hook::PreRouting), 0);
    let said = match (verdict, cx.skbs[skb].nfct) {
        (Verdict::Accept, NfCt::Conn(_, info)) => match info {
            CtInfo::New => "NEW",
            CtInfo::Established | CtInfo::EstablishedReply => "ESTABLISHED",
            CtInfo::Related | CtInfo::RelatedReply => "RELATED",
        },
        (Verdict::Accept, NfCt::Untracked) => "UNTRACKED",
        (Verdict::Accept, _) => "INVALID",
        _ => "drop",
    };
    if said != "drop" {
        let confirmed = ipv4_confirm(cx, skb, &state(Hook::PostRouting), 0);
        assert!(matches!(confirmed, Verdict::Accept));
    }
    cx.consume_skb(skb);
    said
}

/// All entries as the recordings write them: state, seconds left, answered and assured, packets and bytes.
fn entries(cx: &Cx) -> String {
    let show = |conn: &Conn| {
        let state = match &conn.proto {
            Proto::Tcp(track) => track.state.name(),
            _ => "-",
        };
        let replied = if conn.has(IPS_SEEN_REPLY) { 'r' } else { 'u' };
        let assured = if conn.has(IPS_ASSURED) { 'a' } else { '-' };
        let mut line = format!("{state} {} {replied}{assured}", conn.expires_secs(cx.now));
        for counter in conn.acct.iter().flat_map(|counters| **counters) {
            let _ = write!(line, " {}/{}", counter.packets, counter.bytes);
        }
        line
    };
    let alive = cx.k.conntrack.confirmed().into_iter().filter_map(|id| cx.k.conntrack.get(id));
    alive.filter(|conn| !conn.is_expired(cx.now)).map(show).collect::<Vec<_>>().join(" ; ")
}

/// The same but for a second in the time left.
fn alike(ours: &str, theirs: &str) -> bool {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (ours, theirs) = (words(ours), words(theirs));
    ours.len() == theirs.len()
        && ours.iter().zip(&theirs).enumerate().all(|(at, (a, b))| {
            match (a.parse::<i64>(), b.parse::<i64>()) {
                (Ok(a), Ok(b)) if at > 0 => (a - b).abs() <= 1,
                _ => a == b,
            }
        })
}

fn tcp(words: &[&str]) -> Vec<u8> {
    let number = |at: usize| words[at].parse::<u32>().expect("a number");
    let (dir, flags, options) = (number(0) as u8, number(1) as u8, words[5]);
    let mut options = if options == "-" { Vec::new() } else { hex(&["", options]) };
    options.resize(options.len().next_multiple_of(4), 0);
    let (mut source, mut dest) = (1000_u16, 80_u16);
    if dir == 1 {
        (source, dest) = (dest, source);
    }
    let mut segment = Vec::new();
    segment.extend(source.to_be_bytes());
    segment.extend(dest.to_be_bytes());
    segment.extend(number(2).to_be_bytes());
    segment.extend(number(3).to_be_bytes());
    segment.extend([((20 + options.len()) as u8 / 4) << 4, flags]);
    segment.extend((number(4) as u16).to_be_bytes());
    segment.extend([0; 4]);
    segment.extend(&options);
    segment.resize(segment.len() + number(6) as usize, b'x');
    seal(dir, 6, &mut segment, 16);
    packet(dir, 6, &segment)
}

/// Begins a case: the settings that differ from the defaults.
fn begin(world: &mut World, settings: &str) {
    *world = self::world();
    world.enter(MACHINE, CPU, |cx| {
        for setting in settings.split_whitespace() {
            let (name, value) = setting.split_once('=').expect("name=value");
            let known =
                CT_SYSCTL_TABLE.iter().find(|entry| entry.1.strip_prefix("nf_conntrack_") == Some(name));
            let (which, ..) = *known.expect("a setting that exists");
            cx.k.conntrack.net_mut(NETNS).set_sysctl(which, value.parse().expect("a number"));
        }
    });
}

/// Sends each packet of a recording; what differs from it, by line.
fn replay(recording: &str, build: fn(&[&str]) -> Vec<u8>) -> Vec<String> {
    let mut world = world();
    let mut wrong = Vec::new();
    for (at, line) in recording.lines().enumerate() {
        if let Some(settings) = line.strip_prefix("case") {
            begin(&mut world, settings);
            continue;
        }
        if let Some(millis) = line.strip_prefix("sleep ") {
            let span = Nanos::from_millis(millis.parse().expect("a number"));
            world.enter(MACHINE, CPU, |cx| cx.now += span);
            continue;
        }
        let parts: Vec<&str> = line.split('|').map(str::trim).collect();
        let words: Vec<&str> = parts[0].split_whitespace().collect();
        let bytes = build(&words);
        let (said, entries) = world.enter(MACHINE, CPU, |cx| {
            cx.now += Nanos::from_millis(10);
            let said = pass(cx, &bytes);
            cx.now += Nanos::from_millis(10);
            (said, entries(cx))
        });
        if said != parts[1] || !alike(&entries, parts[2]) {
            wrong.push(format!("line {}: {line}\n   here: {said} | {entries}", at + 1));
        }
    }
    wrong
}

/// Fails with the first of what differs from a recording.
fn assert_nothing_differs(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} packets differ:\n{}", wrong.len(), wrong[..wrong.len().min(15)].join("\n"));
}

#[test]
fn tcp_is_tracked_as_recorded() {
    let local = std::env::var("CT_RECORDING").ok().map(|path| std::fs::read_to_string(path).expect("a file"));
    let recording = local.as_deref().unwrap_or(include_str!("recordings/conntrack-tcp.txt"));
    assert_nothing_differs(&replay(recording, tcp));
}

/// Each kind of segment from each side in each state, and what follows: Linux 6.1.
#[test]
fn each_state_takes_each_segment_as_recorded() {
    assert_nothing_differs(&replay(include_str!("recordings/conntrack-tcp-states.txt"), tcp));
}

/// A picked-up connection is opened anew by a SYN that was ignored at first: the side that sends the SYN/ACK is still not
/// checked against its window (`nf_ct_tcp_state_reset`), the side of the SYN is. As Linux 6.18 has it.
#[test]
fn the_side_of_the_syn_ack_stays_liberal() {
    let mut world = world();
    world.enter(MACHINE, CPU, |cx| {
        let mut send = |segment: &str| {
            let words: Vec<&str> = segment.split_whitespace().collect();
            (pass(cx, &tcp(&words)), entries(cx))
        };
        let mut saw = |segment: &str, said: &'static str, entry: &str| {
            assert_eq!(send(segment), (said, entry.to_owned()), "{segment}");
        };
        saw("0 24 1001 5001 64240 - 0", "NEW", "ESTABLISHED 300 u- 1/40 0/0");
        saw("0 2 1000 0 64240 - 0", "NEW", "ESTABLISHED 300 u- 1/40 0/0");
        saw("1 18 5000 1001 64240 - 0", "ESTABLISHED", "SYN_RECV 60 r- 1/40 1/40");
        saw("1 24 5000 1500 64240 - 0", "ESTABLISHED", "SYN_RECV 60 r- 1/40 2/80");
        saw("0 24 1001 6000 64240 - 0", "INVALID", "SYN_RECV 60 r- 1/40 2/80");
    });
}

/// A segment behind the window of its receiver is passed on, but not recorded, if it is not too long and acknowledges nothing too
/// old: at most 66,000 bytes (`MAXACKWINCONST`) back. Else it is invalid (`tcp_in_window`).
#[test]
fn a_segment_behind_the_window_must_not_acknowledge_what_is_old() {
    for (segment, said) in [
        ("0 24 65242 19001 64240 - 10", "ESTABLISHED"),
        ("0 24 65242 19000 64240 - 10", "INVALID"),
        ("0 24 65241 19000 64240 - 10", "ESTABLISHED"),
        ("0 24 65242 85001 64240 - 10", "ESTABLISHED"),
        ("0 24 65242 85002 64240 - 10", "INVALID"),
    ] {
        let mut world = world();
        world.enter(MACHINE, CPU, |cx| {
            let mut send = |segment: &str| pass(cx, &tcp(&segment.split_whitespace().collect::<Vec<_>>()));
            assert_eq!(send("0 2 1000 0 64240 - 0"), "NEW");
            for before in [
                "1 18 5000 1001 64240 - 0",
                "0 16 1001 5001 64240 - 0",
                "1 24 5001 1001 64240 - 40000",
                "0 16 1001 45001 64240 - 0",
                "1 24 45001 1001 64240 - 40000",
                "0 16 1001 85001 64240 - 0",
            ] {
                assert_eq!(send(before), "ESTABLISHED", "{before}");
            }
            assert_eq!(send(segment), said, "{segment}");
        });
    }
}

fn hex(words: &[&str]) -> Vec<u8> {
    let text = words[1];
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

/// UDP streams, ICMP requests of all kinds, errors with what they quote, UDP-Lite, GRE, unknown protocols, wrong lengths
/// and checksums.
#[test]
fn other_protocols_are_tracked_as_recorded() {
    assert_nothing_differs(&replay(include_str!("recordings/conntrack-others.txt"), hex));
}

#[test]
fn the_last_user_takes_the_hooks_along() {
    let mut world = world();
    world.enter(MACHINE, CPU, |cx| {
        let hooks = |cx: &Cx| {
            let of =
                |hook| cx.k.netns[NETNS].hooks.at(glassnet_kernel::tables::netfilter::Pf::Ipv4, hook).len();
            [
                of(Hook::PreRouting),
                of(Hook::LocalIn),
                of(Hook::Forward),
                of(Hook::LocalOut),
                of(Hook::PostRouting),
            ]
        };
        nf_ct_netns_get(cx.k, NETNS);
        assert_eq!(hooks(cx), [2, 1, 0, 2, 1]);
        nf_ct_netns_put(cx.k, NETNS);
        assert_eq!(hooks(cx), [2, 1, 0, 2, 1]);
        nf_ct_netns_put(cx.k, NETNS);
        assert_eq!(hooks(cx), [0; 5]);
    });
}
