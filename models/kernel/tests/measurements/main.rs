//! What a profile that was fitted on some published numbers predicts of others.

mod asked;

use std::net::Ipv4Addr;

use asked::asked;
use glassnet_hardware::{Cable, Faults, PlugId};
use glassnet_kernel::World;
use glassnet_kernel::cost::{Profile, SHIPPED};
use glassnet_kernel::drivers::nic::NicSettings;
use glassnet_kernel::ids::{CpuId, DevId, MachineId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::net::core::neighbour::rtm_newneigh;
use glassnet_kernel::net::core::rtnetlink::{LinkSet, do_setlink};
use glassnet_kernel::net::ipv4::devinet::rtm_newaddr;
use glassnet_kernel::net::ipv4::fib_frontend::rtm_newroute;
use glassnet_kernel::net::ipv4::sysctl_net_ipv4::devinet_conf_proc;
use glassnet_kernel::netlink::{NLM_F_CREATE, NLM_F_EXCL};
use glassnet_kernel::tables::inet_conf::Conf;
use glassnet_kernel::tables::inet_types::AddrMsg;
use glassnet_kernel::tables::neigh_types::{NeighMsg, Nud};
use glassnet_kernel::tables::route_types::{NexthopMsg, RouteMsg, RouteType};
use glassnet_kernel::tables::sysctl::ConfOf;
use glassnet_sim::Nanos;
use glassnet_wire::Mac;
use glassnet_wire::checksum::checksum;

const MACHINE: MachineId = MachineId(0);
const CPU: CpuId = CpuId(0);
const NEW: u16 = NLM_F_CREATE | NLM_F_EXCL;

/// A machine under a load of UDP datagrams of 64 bytes.
struct Lab {
    world: World,
    source: PlugId,
    eth: [DevId; 2],
}

fn lab(cpus: usize, profile: &Profile) -> Lab {
    let mut world = World::new(5);
    let machine = world.add_machine("machine", cpus);
    world.kernel_mut(machine).profile = profile.clone();
    let cable = || Cable { rate: 0, delay: Nanos::ZERO, faults: Faults::default() };
    let eth = ["eth0", "eth1"].map(|name| {
        let (dev, plug) =
            world.add_nic(machine, name, &NicSettings { rx_ring: Some(1024), ..NicSettings::new("igb") });
        let source = world.fabric.add_outside();
        world.connect(source, plug, cable());
        (dev, source)
    });
    let up = LinkSet { up: Some(true), ..LinkSet::default() };
    world.enter(machine, CPU, |cx| {
        for ((dev, _), addr) in eth.iter().zip(["10.1.0.1", "10.2.0.1"]) {
            do_setlink(cx, *dev, up.clone()).expect("it comes up");
            rtm_newaddr(cx, INIT_NET, &AddrMsg::new(*dev, addr.parse().expect("an address"), 24), NEW)
                .expect("an address");
        }
        devinet_conf_proc(cx, INIT_NET, ConfOf::All, Conf::Forwarding, 1);
        let (dst, state, lladdr) =
            ("10.2.0.2".parse().expect("an address"), Nud::Permanent, Some(Mac([2, 0, 0, 0, 0, 7])));
        let neigh = NeighMsg { dev: eth[1].0, dst, lladdr, state, flags: 0, protocol: 0 };
        rtm_newneigh(cx, INIT_NET, &neigh, NEW).expect("a neighbour");
    });
    world.wake_at(world.now() + Nanos::from_secs(1));
    let mut lab = Lab { world, source: eth[0].1, eth: eth.map(|(dev, _)| dev) };
    lab.run_until(Nanos(u64::MAX));
    lab
}

impl Lab {
    fn run_until(&mut self, end: Nanos) {
        self.world.reset_limit();
        while self.world.next_event_at().is_some_and(|at| at < end) && self.world.step().expect("an end") {}
    }

    /// Adds routes to so many networks of 256 addresses.
    fn route(&mut self, count: u32) {
        let nexthop = NexthopMsg { via: "10.2.0.2".parse().ok(), ..NexthopMsg::default() };
        self.world.enter(MACHINE, CPU, |cx| {
            for at in 0..count {
                let (dst, nexthops) = (Ipv4Addr::from(0x1400_0000 + (at << 8)), vec![nexthop]);
                let kind = RouteType::Unicast;
                let route = RouteMsg { kind, dst, dst_len: 24, nexthops, ..RouteMsg::default() };
                rtm_newroute(cx, INIT_NET, &route, NEW).expect("a new route");
            }
        });
    }

    /// Packets a second that the machine handles of so many flows to an address, if more come than it can handle.
    fn rate(&mut self, to: [u8; 4], flows: u16, gap: u64) -> f64 {
        let handled = |lab: &Lab| {
            lab.world.kernel(MACHINE).cpus.iter().map(|cpu| u64::from(cpu.stat.processed)).sum::<u64>()
        };
        let time = Nanos::from_millis(6);
        let begin = self.world.cpu_now(MACHINE, CPU) + Nanos::from_micros(1);
        for at in 0..time.0 / gap {
            let mac = self.world.kernel(MACHINE).devs[self.eth[0]].addr;
            let frame = datagram(mac, to, (at % u64::from(flows)) as u16);
            self.world.inject(self.source, &frame, begin + Nanos(at * gap));
        }
        // Rings and caches are full by then.
        self.run_until(begin + Nanos::from_millis(2));
        let before = handled(self);
        self.run_until(begin + time);
        (handled(self) - before) as f64 / 4e-3
    }
}

/// A datagram to a port where nobody listens, of one of up to 250 senders.
fn datagram(mac: Mac, to: [u8; 4], flow: u16) -> Vec<u8> {
    let mut frame = mac.0.to_vec();
    frame.extend([2, 0, 0, 0, 0, 9, 8, 0]);
    // Cards hash datagrams by their addresses alone.
    let mut ip = vec![0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, 2 + flow as u8];
    ip.extend(to);
    let check = checksum(&ip);
    ip[10..12].copy_from_slice(&check.to_be_bytes());
    frame.extend(ip);
    frame.extend([2_000, 9, 26, 0].map(u16::to_be_bytes).concat());
    frame.resize(60, 0);
    frame
}

/// Datagrams a second, and how many transactions a second were measured beside them.
const FLOODS: [(u64, f64); 10] = [
    (0, 24_333.0),
    (256_000, 23_203.0),
    (500_000, 22_090.0),
    (1_000_000, 18_722.0),
    (2_000_000, 18_665.0),
    (2_500_000, 13_024.0),
    (2_750_000, 10_420.0),
    (2_810_000, 4_809.0),
    (2_910_000, 77.0),
    (3_000_000, 0.0),
];

/// What was published, and what the model says with the profile that three of the numbers were fitted to.
///
/// Source: xdp-project/xdp-paper, benchmarks (Høiland-Jørgensen and others, "The eXpress Data Path", 2018).
#[test]
fn a_profile_that_was_fitted_on_some_numbers_predicts_others() {
    let (name, text) = SHIPPED[1];
    let profile = Profile::parse(text).expect("a profile");
    let closed = |cpus| lab(cpus, &profile).rate([10, 1, 0, 1], 250, 60) / 1e6;
    let forwarded = |cpus| lab(cpus, &profile).rate([10, 2, 0, 2], 250, 60) / 1e6;
    let mut table = format!(
        "# Published numbers, and what the model says\n\nThe profile `{name}`. Packets a second are in millions; a transaction is a byte \
         over TCP and one back, while so many\npackets a second come to a closed port of the server, which has one core. The client asks again within \
         22 µs, as\nchance decides.\n\n\
         | what | measured | model | error | |\n|---|---|---|---|---|\n"
    );
    let mut row = |what: &str, measured: f64, model: f64, how: &str| {
        let error =
            if measured > 0.0 { format!("{:+.1} %", model / measured * 100.0 - 100.0) } else { "".into() };
        let digits =
            if measured < 10.0 && model < 100.0 && !what.starts_with("transactions") { 2 } else { 0 };
        table += &format!("| {what} | {measured:.digits$} | {model:.digits$} | {error} | {how} |\n");
    };
    row("to a closed UDP port, one core", 2.869_798, closed(1), "fitted");
    row("forwarded, one core", 1.739_672, forwarded(1), "fitted");
    for (cpus, measured) in [(2, 3.37), (3, 4.98), (4, 6.49), (5, 7.85), (6, 9.29)] {
        row(&format!("forwarded, {cpus} cores"), measured, forwarded(cpus), "predicted");
    }
    let mut many = lab(1, &profile);
    many.route(752_000);
    row(
        "forwarded with 752,000 routes, one core",
        1.373_550,
        many.rate([10, 2, 0, 2], 250, 60) / 1e6,
        "fitted",
    );
    for (flood, measured) in FLOODS {
        // Where segments are lost, TCP waits for 200 ms.
        let time = Nanos::from_millis(match flood {
            0 => 1_000,
            1..2_800_000 => 100,
            _ => 2_000,
        });
        let model = asked(&profile, Nanos(6_245)).transactions(flood, time);
        let how = if flood == 0 { "fitted: the cables' delay" } else { "predicted" };
        row(&format!("transactions/s, a flood of {:.2}", flood as f64 / 1e6), measured, model, how);
    }
    let kept = include_str!("../../../../snapshots/measurements.md");
    // What follows is held by the tests of models/cluster.
    let kept = kept.split_inclusive("\n\n## ").next().unwrap_or_default().trim_end_matches("\n## ");
    assert_eq!(
        kept, table,
        "if the change is right, this is the new begin of snapshots/measurements.md:\n{table}"
    );
}
