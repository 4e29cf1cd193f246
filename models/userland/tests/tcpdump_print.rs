//! Every packet of `tests/tcpdump/*.pcap` prints as tcpdump 4.99.3 printed it (`tests/tcpdump/record.sh`).

use std::fs;
use std::path::Path;

use glassnet_userland::pcap;
use glassnet_userland::tcpdump::options;
use glassnet_userland::tcpdump::print::{LinkType, Names, Printer};

/// The lines that the model prints for a capture file with these options.
fn print(file: &Path, arguments: &str) -> String {
    let words: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
    let options = options::parse(&words).expect("options of the recording");
    let capture = pcap::read(&fs::read(file).expect("a file")).expect("a capture");
    let link = LinkType::from_number(capture.link).expect("a link type");
    let names = Names {
        hosts: [("127.0.0.1".parse().expect("address"), "localhost".to_owned())].into(),
        ..Names::default()
    };
    let mut printer = Printer::new(options.print, link, names);
    capture.packets.iter().map(|packet| printer.packet(packet)).collect()
}

fn check(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tcpdump");
    let recording = fs::read(folder.join(format!("{name}.txt"))).expect("a recording");
    let recording = String::from_utf8_lossy(&recording).into_owned();
    let mut wrong = Vec::new();
    for section in recording.split("$ tcpdump ").skip(1) {
        let (arguments, expected) = section.split_once('\n').expect("a line of options");
        let printed = print(&folder.join(format!("{name}.pcap")), arguments);
        let mut lines = printed.lines();
        let mut wanted = expected.lines();
        loop {
            match (lines.next(), wanted.next()) {
                (None, None) => break,
                (ours, theirs) if ours == theirs => {}
                (ours, theirs) => {
                    wrong.push(format!("{name} {arguments}\n real:  {theirs:?}\n model: {ours:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} lines differ:\n{}", wrong.len(), wrong[..wrong.len().min(15)].join("\n"));
}

macro_rules! recordings {
    ($($name:ident),*) => {
        $(#[test] fn $name() { check(stringify!($name)); })*
    };
}

recordings!(arp, bgp, icmp, igmp, ip, ip6, link, loopback, sll2, slow, snap, tcp, udp);

/// A capture file may hold anything: whatever it holds is printed, and nothing panics.
#[test]
fn damaged_packets_print() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tcpdump");
    let words: Vec<String> = ["-vvv", "-e", "-X"].map(str::to_owned).to_vec();
    let print = options::parse(&words).expect("options").print;
    let mut seed = 1_u64;
    let mut random = move |bound: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % bound
    };
    for name in ["arp", "bgp", "icmp", "igmp", "ip", "ip6", "link", "loopback", "sll2", "slow", "tcp", "udp"]
    {
        let capture =
            pcap::read(&fs::read(folder.join(format!("{name}.pcap"))).expect("a file")).expect("a capture");
        let link = LinkType::from_number(capture.link).expect("a link type");
        let mut printer = Printer::new(print.clone(), link, Names::default());
        for packet in capture.packets.iter().filter(|packet| packet.data.len() < 300) {
            for round in 0..200 {
                let mut damaged = packet.clone();
                for _ in 0..random(4) {
                    let at = random(damaged.data.len());
                    damaged.data[at] = random(256) as u8;
                }
                if round % 2 == 0 {
                    damaged.data.truncate(random(damaged.data.len()) + 1);
                }
                assert!(printer.packet(&damaged).ends_with('\n'));
            }
        }
    }
}
