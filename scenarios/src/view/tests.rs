use std::net::Ipv4Addr;
use std::path::Path;

use glassnet_kernel::door::Door;
use glassnet_kernel::ids::CpuId;
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::trace::Level;
use glassnet_wire::Mac;
use glassnet_wire::arp::{ARPOP_REQUEST, ArpHdr};
use glassnet_wire::eth::{ETH_HLEN, ETH_P_ARP, EthHdr};
use zerocopy::IntoBytes;

use super::*;
use crate::lesson::Lesson;
use crate::run::Run;

const LESSON: &str = "---
title: A bridge
topology:
  nodes:
    node1: { cpus: 1 }
---
```console
node1# ip link add veth-1-a type veth peer name veth-1-b
node1# ip link add br0 type bridge
node1# ip link set veth-1-b master br0
node1# ip link set br0 up
node1# ip link set veth-1-b up
node1# ip link set veth-1-a up
```
";

/// An ARP question, as a program might write it.
fn question() -> Vec<u8> {
    let sender = Mac([2, 0, 0, 0, 0, 1]);
    let eth = EthHdr::new(Mac::BROADCAST, sender, ETH_P_ARP);
    let [own, asked] = [101, 102].map(|n| Ipv4Addr::new(10, 0, 0, n));
    let arp = ArpHdr::new(ARPOP_REQUEST, (sender, own), (Mac::ZERO, asked));
    [eth.as_bytes(), arp.as_bytes()].concat()
}

/// Sends two requests into a bridge and passes the story to `look`.
fn with_story(look: impl FnOnce(&Story)) {
    let lesson = Lesson::parse(Path::new("bridge.md"), LESSON.to_owned()).expect("a lesson");
    let mut run = Run::new(&lesson, 1).expect("a run");
    for prompt in lesson.prompts() {
        let outcome = run.prompt(prompt).expect("it ends");
        assert_eq!((&*outcome.output, outcome.status), ("", 0));
    }
    let mut world = run.session.world();
    world.trace.level = Level::Detail;
    world.trace.capture = true;
    let node1 = world.machine("node1").expect("node1");
    let dev = world.kernel(node1).dev_by_name(INIT_NET, "veth-1-a").expect("veth-1-a");
    for _ in 0..2 {
        world.enter(node1, CpuId(0), |cx| {
            let frame = question();
            let skb = cx.skbs.alloc_skb(frame.len(), dev);
            cx.skbs.data_mut(skb).copy_from_slice(&frame);
            let pkt = &mut cx.skbs[skb];
            pkt.protocol = ETH_P_ARP;
            pkt.network_header = pkt.data + ETH_HLEN as u32;
            cx.walk(Door::DevQueueXmit { skb });
        });
    }
    let typed =
        Typed { block: 1, line: 8, machine: "node1".into(), command: "arping".into(), ..Typed::default() };
    look(&Story::new(&world, Namespaces::default(), vec![typed]));
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn a_frame_is_shown_from_device_to_device() {
    with_story(|story| {
        assert_eq!(story.packets[0].summary, "ARP, Request who-has 10.0.0.102 tell 10.0.0.101, length 28");
        let text = plain(&text(story, Zoom::Hops, &Selection::default(), true));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "node1# arping");
        assert!(lines[2].starts_with("  packet 1  ARP, Request"), "{text}");
        assert!(lines[3].ends_with("node1  veth-1-a  out, through the veth cable"), "{text}");
        assert!(lines[4].contains("node1  veth-1-b  in; bridge br0 takes it"), "{text}");
        assert!(text.contains("the same way as packet 1"), "{text}");
    });
}

#[test]
fn detail_shows_what_look_ups_found() {
    with_story(|story| {
        let selection = Selection { packet: Some(1), ..Selection::default() };
        let text = plain(&text(story, Zoom::Detail, &selection, false));
        assert!(text.contains("fdb: learned: 02:00:00:00:00:01 is behind veth-1-b"), "{text}");
        assert!(text.contains("arp.tpa 10.0.0.102"), "{text}");
        assert!(!text.contains("packet 2"), "{text}");
        eprintln!("{text}");
    });
}

#[test]
fn every_json_line_is_an_object_with_a_type() {
    with_story(|story| {
        let lines = json(story, &Selection::default());
        let types: Vec<String> = lines
            .lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).expect("an object")["type"].to_string()
            })
            .collect();
        assert_eq!(&types[..3], ["\"prompt\"", "\"packet\"", "\"step\""]);
        assert!(lines.contains("\"function\":\"br_flood\",\"file\":\"net/bridge/br_forward.c\""), "{lines}");
    });
}

#[test]
fn what_is_not_there_cannot_be_selected() {
    with_story(|story| {
        let selection = Selection { packet: Some(3), ..Selection::default() };
        let missing = "there is no packet 3: the lesson has 2, counted from 1".to_owned();
        assert_eq!(selection.check(story), Err(missing));
    });
}

#[test]
fn captures_are_a_file_a_device() {
    let directory = std::env::temp_dir().join(format!("glassnet-captures-{}", std::process::id()));
    with_story(|story| {
        let written = write_captures(story.world(), story.names(), &directory).expect("a folder");
        let names: Vec<_> =
            written.iter().map(|file| file.path.file_name().expect("a name").to_owned()).collect();
        assert_eq!(names, ["node1.br0.pcapng", "node1.veth-1-a.pcapng", "node1.veth-1-b.pcapng"]);
        assert!(written.iter().all(|file| file.frames == 2));
    });
    std::fs::remove_dir_all(&directory).expect("it is ours");
}

const CARDS: &str = "---
title: From card to card
topology:
  nodes: { a: {}, b: { cpus: 2 } }
  links: [{ endpoints: [\"a:eth0\", \"b:eth0\"] }]
---
```console
a# ip addr add 10.0.0.1/24 dev eth0; ip link set eth0 up; ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev eth0
b# ip addr add 10.0.0.2/24 dev eth0; ip link set eth0 address 02:00:00:00:00:02 up
b# echo 2 > /sys/class/net/eth0/queues/rx-0/rps_cpus; nc -u -l -p 7000 > got &
a# sleep 1; echo hello | nc -u -w 1 10.0.0.2 7000
```
";

#[test]
fn a_packet_in_time_tells_cpus_contexts_and_waits() {
    let lesson = Lesson::parse(Path::new("cards.md"), CARDS.to_owned()).expect("a lesson");
    let observed = observe(&lesson, 1, |_| ()).expect("it runs");
    let world = observed.world();
    let text = plain(&text(&observed.story(&world), Zoom::Time, &Selection::default(), false));
    let packet = text.split("\n\n").find(|text| text.contains("UDP, length 6")).expect("the datagram");
    // Where each line stands in the order of time.
    let in_order = [
        "CPU 0 task       a eth0  udp_sendmsg … e1000_xmit_frame",
        "on the cable, and in the receive ring for the interrupt",
        "CPU 0 hardirq    b  e1000_intr_msix_rx … __napi_schedule",
        "CPU 0 softirq    b eth0  net_rx_action …",
        "in the backlog of CPU 1",
        "CPU 1 softirq    b eth0",
        "in the queue of the socket",
        "task       b eth0  skb_consume_udp",
    ];
    let places: Vec<Option<usize>> = in_order.iter().map(|line| packet.find(line)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}\n{packet}");
}
