//! `hops bridge|forward K PACKETS` and `hops forward_ct K PACKETS [FLOWS]`: sends packets over a chain of K hops;
//! `hops vxlan PACKETS`: through a tunnel between two hosts; `hops hostgw PACKETS`: by two hosts that route; `hops udp PACKETS`: from
//! one connected socket to another over a veth pair; `hops service_iptables|service_ipvs SERVICES PACKETS`: over a router, each packet the
//! first of a connection to one of so many services; `hops card PACKETS`: through a card, NAPI and a bridge to a socket, one each
//! microsecond. Prints ns per packet as its last word.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::process::ExitCode;
use std::time::Instant;

use glassnet_benches::card::Receiver;
use glassnet_benches::service::{Mode, services};
use glassnet_benches::vxlan::vxlan;
use glassnet_benches::{BURST, Chain, Pair, bridges, routers, routers_ct};
use glassnet_sim::Nanos;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [kind, packets] = args.as_slice()
        && kind == "udp"
        && let Ok(packets @ 1..) = packets.parse()
    {
        return udp(packets);
    }
    if let [kind, packets] = args.as_slice()
        && kind == "card"
        && let Ok(packets @ 1..) = packets.parse()
    {
        return card(packets);
    }
    if let [kind, packets] = args.as_slice()
        && let Some(chain) = pair_of_hosts(kind)
        && let Ok(packets @ 1..) = packets.parse()
    {
        return run(kind, chain, 2, packets);
    }
    if let [kind, count, packets] = args.as_slice()
        && let Some(mode) = mode(kind)
        && let (Ok(count @ 1..=100_000), Ok(packets @ 1..)) = (count.parse(), packets.parse())
    {
        return run(&format!("{kind}, {count} services"), services(mode, count), 1, packets);
    }
    let (kind, hops, packets, flows) = match args.as_slice() {
        [kind, hops, packets] => (kind, hops, packets, "4000"),
        [kind, hops, packets, flows] if kind == "forward_ct" => (kind, hops, packets, flows.as_str()),
        _ => return usage(),
    };
    let Ok(flows @ 1..=1_000_000) = flows.parse::<u32>() else { return usage() };
    let (Ok(hops @ 1..=100), Ok(packets @ 1..)) = (hops.parse::<usize>(), packets.parse::<usize>()) else {
        return usage();
    };
    let chain = match kind.as_str() {
        "bridge" => bridges(hops),
        "forward" => routers(hops),
        "forward_ct" => routers_ct(hops, flows),
        _ => return usage(),
    };
    run(kind, chain, hops, packets)
}

/// How a router knows services.
fn mode(kind: &str) -> Option<Mode> {
    match kind {
        "service_iptables" => Some(Mode::Iptables),
        "service_ipvs" => Some(Mode::Ipvs),
        _ => None,
    }
}

/// From one host to another.
fn pair_of_hosts(kind: &str) -> Option<Chain> {
    match kind {
        "vxlan" => Some(vxlan()),
        "hostgw" => Some(routers(2)),
        _ => None,
    }
}

fn run(kind: &str, mut chain: Chain, hops: usize, packets: usize) -> ExitCode {
    let bursts = packets.div_ceil(BURST);
    chain.burst();
    let before = chain.arrived();
    let start = Instant::now();
    for _ in 0..bursts {
        chain.burst();
    }
    let elapsed = start.elapsed();
    let sent = bursts * BURST;
    let arrived = chain.arrived() - before;
    let ns = elapsed.as_nanos() as f64 / sent as f64;
    println!("{kind}: {sent} packets over {hops} hops, {arrived} arrived, ns per packet: {ns:.1}");
    if arrived == sent as u64 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn udp(packets: usize) -> ExitCode {
    let mut pair = Pair::new();
    pair.exchange();
    let start = Instant::now();
    let arrived = (0..packets).filter(|_| pair.exchange() > 0).count();
    let ns = start.elapsed().as_nanos() as f64 / packets as f64;
    println!("udp: {packets} packets from socket to socket, {arrived} arrived, ns per packet: {ns:.1}");
    if arrived == packets { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn card(packets: usize) -> ExitCode {
    let mut receiver = Receiver::new(Nanos(1_000));
    receiver.burst();
    let bursts = packets.div_ceil(BURST);
    let start = Instant::now();
    let arrived: usize = (0..bursts).map(|_| receiver.burst()).sum();
    let (sent, missed) = (bursts * BURST, receiver.missed());
    let ns = start.elapsed().as_nanos() as f64 / sent as f64;
    println!("card: {sent} packets, {arrived} read from the socket, {missed} missed, ns per packet: {ns:.1}");
    if arrived == sent { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn usage() -> ExitCode {
    eprintln!(
        "usage: hops bridge|forward K PACKETS\n       hops forward_ct K PACKETS [FLOWS]\n       hops udp|card|vxlan|hostgw PACKETS\n       \
         hops service_iptables|service_ipvs SERVICES PACKETS\nK: 1 to 100 hops. \
         PACKETS: at least 1, rounded up to bursts of {BURST}. FLOWS: 1 to 1000000, without it 4000. SERVICES: 1 to 100000."
    );
    ExitCode::from(2)
}
