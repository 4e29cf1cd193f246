//! The networks that are measured: each in two sizes, so that what they have in common cancels out.

use std::net::Ipv4Addr;

use glassnet_wire::checksum::checksum;

use super::Load;
use crate::rig::{Command, command, plain};

/// A network that can be longer or shorter, and what is sent into it.
#[derive(Clone, Copy)]
pub struct Experiment {
    /// What a unit of it is.
    pub what: &'static str,
    /// The rows of a profile that it tells, when those of the experiments before it are known. None: it shows how well they
    /// predict.
    pub rows: &'static [&'static str],
    /// The sizes of the two networks; 0: nothing is measured, which takes no time.
    pub sizes: [usize; 2],
    /// By how many units they differ.
    pub units: f64,
    /// Builds it.
    pub(super) set_up: fn(usize) -> Vec<Command>,
    /// What is sent.
    pub(super) load: fn(usize) -> Load,
}

/// All of them. The rows of a later one are not needed by an earlier one.
pub const EXPERIMENTS: &[Experiment] = &[
    Experiment {
        what: "a bridge hop",
        rows: &["netdev", "schedule"],
        sizes: [1, 9],
        units: 8.0,
        set_up: bridges,
        load: datagram,
    },
    Experiment {
        what: "a router hop",
        rows: &["protocol"],
        sizes: [1, 9],
        units: 8.0,
        set_up: routers,
        load: datagram,
    },
    Experiment {
        what: "a copy to one more bridge port",
        rows: &["skb", "memory"],
        sizes: [1, 17],
        units: 16.0,
        set_up: flooded,
        load: datagram,
    },
    Experiment {
        what: "a routing table of twice the size",
        rows: &["route doubling"],
        sizes: [10, 15],
        units: 5.0,
        set_up: |doublings| {
            let mut commands = routers(1);
            commands.push(command("ip -n n0 -batch -", routes(1 << doublings)));
            commands
        },
        load: |doublings| Load::Frames(scattered(1 << doublings)),
    },
    Experiment {
        what: "a rule of iptables-legacy",
        rows: &["legacy rule"],
        sizes: [1, 1001],
        units: 1000.0,
        set_up: |rules| ruled("iptables-legacy", rules),
        load: datagram,
    },
    Experiment {
        what: "a rule of iptables-nft",
        rows: &["nft rule"],
        sizes: [1, 1001],
        units: 1000.0,
        set_up: |rules| ruled("iptables-nft", rules),
        load: datagram,
    },
    Experiment {
        what: "a router hop with connection tracking",
        rows: &["netfilter"],
        sizes: [1, 9],
        units: 8.0,
        set_up: |hops| everywhere(hops, "iptables-nft -A FORWARD -m conntrack --ctstate INVALID -j DROP"),
        load: datagram,
    },
    Experiment {
        what: "1024 bytes more in the datagram",
        rows: &["copied KiB"],
        sizes: [18, 16_384],
        units: 16_366.0 / 1024.0,
        set_up: |_| vec![plain("ip link set lo up")],
        load: Load::Datagrams,
    },
    Experiment {
        what: "a datagram from one socket to another",
        rows: &["system call"],
        sizes: [0, 1],
        units: 1.0,
        set_up: |_| vec![plain("ip link set lo up")],
        load: |_| Load::Datagrams(18),
    },
    Experiment {
        what: "a program that waits for the datagram",
        rows: &["wake-up", "context switch"],
        sizes: [1, 2],
        units: 1.0,
        set_up: |_| vec![plain("ip link set lo up")],
        load: |programs| if programs == 1 { Load::Datagrams(18) } else { Load::Turns(18) },
    },
    Experiment {
        what: "a VXLAN tunnel from one router to the next",
        rows: &["iptunnel_xmit", "__iptunnel_pull_header"],
        sizes: [1, 2],
        units: 1.0,
        set_up: |tunnelled| between(tunnelled, "vxlan id 42 dstport 4789 remote"),
        load: datagram,
    },
    Experiment {
        what: "an interrupt",
        rows: &["interrupt"],
        sizes: [0, 1],
        units: 1.0,
        set_up: |_| Vec::new(),
        load: |_| Load::Interrupts,
    },
    Experiment {
        what: "a router hop with 100 rules of iptables-nft",
        rows: &[],
        sizes: [1, 9],
        units: 8.0,
        set_up: |hops| {
            let mut commands = routers(hops);
            commands.extend((0..hops).map(|hop| rules(&format!("ip netns exec n{hop} iptables-nft"), 100)));
            commands
        },
        load: datagram,
    },
    Experiment {
        what: "a router hop with masquerading",
        rows: &[],
        sizes: [1, 9],
        units: 8.0,
        set_up: |hops| everywhere(hops, "iptables-nft -t nat -A POSTROUTING -j MASQUERADE"),
        load: datagram,
    },
    Experiment {
        what: "an IPIP tunnel from one router to the next",
        rows: &[],
        sizes: [1, 2],
        units: 1.0,
        set_up: |tunnelled| between(tunnelled, "ipip remote"),
        load: datagram,
    },
    Experiment {
        what: "a VXLAN tunnel from one bridge to the next",
        rows: &[],
        sizes: [1, 2],
        units: 1.0,
        set_up: |tunnelled| bridged(tunnelled > 1),
        load: datagram,
    },
    Experiment {
        what: "a bridge hop that frames of 1500 bytes take",
        rows: &[],
        sizes: [1, 9],
        units: 8.0,
        set_up: bridges,
        load: |_| Load::Frames(vec![frame(BEHIND, 1450)]),
    },
];

/// Where the frames come from, and where they go.
const FROM: [u8; 6] = [2, 0, 0, 0, 1, 1];
const TO: [u8; 6] = [2, 0, 0, 0, 0, 0];

/// 10.254.0.1, which is behind all routers.
const BEHIND: u32 = 0x0afe_0001;
/// Where the networks of a large routing table begin: 20.0.0.0.
const NETWORKS: u32 = 0x1400_0000;

fn mac(bytes: [u8; 6]) -> String {
    bytes.map(|byte| format!("{byte:02x}")).join(":")
}

/// A datagram from 10.255.0.2, with so many bytes more than an Ethernet frame has at least.
fn frame(dst: u32, more: u16) -> Vec<u8> {
    let len = 46 + more;
    let mut frame = [TO, FROM].concat();
    frame.extend([8, 0]);
    let mut ip = vec![0x45, 0];
    ip.extend(len.to_be_bytes());
    ip.extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 255, 0, 2]);
    ip.extend(dst.to_be_bytes());
    let check = checksum(&ip);
    ip[10..12].copy_from_slice(&check.to_be_bytes());
    frame.extend(ip);
    // Its checksum is not computed.
    frame.extend([4_000, 9, len - 20, 0].map(u16::to_be_bytes).concat());
    frame.resize(14 + usize::from(len), 0);
    frame
}

/// One frame, whatever the size of the network.
fn datagram(_: usize) -> Load {
    Load::Frames(vec![frame(BEHIND, 0)])
}

/// The namespace `x`, whose device `t` is joined to `b0`. That has another address than where frames go to.
fn outside() -> Vec<Command> {
    vec![
        plain("ip netns add x"),
        plain("ip link add b0 address 02:00:00:00:02:02 up type veth peer name t netns x"),
        plain("ip -n x link set dev t up"),
    ]
}

/// The end of a chain: a cable to the namespace `x`, which drops what is not for it.
const SINK: &str = "link add end type veth peer name sink netns x\n";

/// A chain of bridges.
fn bridges(hops: usize) -> Vec<Command> {
    let (mut links, mut fdb) = (String::new(), String::new());
    for hop in 0..hops {
        links += &format!("link add br{hop} type bridge\nlink set br{hop} up\n");
        let (port, far) = match hop + 1 {
            next if next == hops => ("end".to_owned(), SINK.to_owned()),
            next => (format!("a{hop}"), format!("link add a{hop} type veth peer name b{next}\n")),
        };
        links += &far;
        links += &format!("link set {port} master br{hop}\nlink set {port} up\n");
        if hop > 0 {
            links += &format!("link set b{hop} master br{hop}\nlink set b{hop} up\n");
        }
        fdb += &format!("fdb replace {} dev {port} master static\n", mac(TO));
    }
    let mut commands = outside();
    commands.push(command("ip -batch -", links));
    commands.push(plain("ip -n x link set dev sink up"));
    commands.push(plain("ip link set b0 master br0"));
    commands.push(command("bridge -batch -", fdb));
    commands
}

/// A bridge with so many ports that do not know the receiver.
fn flooded(ports: usize) -> Vec<Command> {
    let mut links = "link add br0 type bridge\nlink set br0 up\nlink set b0 master br0\n".to_owned();
    for port in 0..ports {
        links += &format!(
            "link add p{port} type veth peer name sink{port} netns x\nlink set p{port} master br0\nlink set p{port} up\n"
        );
    }
    let mut commands = outside();
    commands.push(command("ip -batch -", links));
    commands.extend((0..ports).map(|port| plain(&format!("ip -n x link set dev sink{port} up"))));
    commands
}

/// A chain of routers, each a namespace.
fn routers(hops: usize) -> Vec<Command> {
    let mut commands = vec![plain("ip netns add x")];
    commands.extend((0..hops).map(|hop| plain(&format!("ip netns add n{hop}"))));
    let mut links = format!("link add r0 address {} netns n0 type veth peer name t netns x\n", mac(TO));
    for next in 1..hops {
        let before = next - 1;
        links += &format!(
            "link add r{next} address {} netns n{next} type veth peer name d{before} netns n{before}\n",
            mac(TO)
        );
    }
    let last = hops - 1;
    links += &format!("link add d{last} netns n{last} type veth peer name sink netns x\n");
    commands.push(command("ip -batch -", links));
    commands.extend(["t", "sink"].map(|end| plain(&format!("ip -n x link set dev {end} up"))));
    for hop in 0..hops {
        let next = hop + 1;
        let own = format!(
            "link set r{hop} up\nlink set d{hop} up\naddr add 10.{hop}.0.1/24 dev r{hop}\n\
             addr add 10.{next}.0.2/24 dev d{hop}\n\
             neigh add 10.{next}.0.1 lladdr {} dev d{hop} nud permanent\n\
             route add 10.254.0.0/16 via 10.{next}.0.1\nroute add default via 10.{next}.0.1\n",
            mac(TO)
        );
        commands.push(command(&format!("ip -n n{hop} -batch -"), own));
        let settings =
            "net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.all.send_redirects=0";
        commands.push(plain(&format!("ip netns exec n{hop} sysctl -q -w {settings}")));
    }
    commands
}

/// A chain of routers, on each of which a command was run.
fn everywhere(hops: usize, line: &str) -> Vec<Command> {
    let mut commands = routers(hops);
    commands.extend((0..hops).map(|hop| plain(&format!("ip netns exec n{hop} {line}"))));
    commands
}

/// Two routers, and from 2 on a tunnel from the first to the second.
fn between(tunnelled: usize, kind: &str) -> Vec<Command> {
    let mut commands = routers(2);
    // What arrives has this address if the tunnel has Ethernet headers.
    let (far, mac) = ("10.200.0.1", mac(TO));
    for (hop, remote, own) in
        [(0, "10.1.0.1", "10.200.0.2"), (1, "10.1.0.2", far)].into_iter().take(2 * (tunnelled - 1))
    {
        let is_ethernet = kind.starts_with("vxlan");
        let address = if is_ethernet && own == far { format!("address {mac} ") } else { String::new() };
        let mut lines = format!(
            "link add tunnel {address}type {kind} {remote}\nlink set tunnel up\naddr add {own}/24 dev tunnel\n"
        );
        if hop == 0 {
            if is_ethernet {
                lines += &format!("neigh add {far} lladdr {mac} dev tunnel nud permanent\n");
            }
            lines += &format!("route replace 10.254.0.0/16 via {far}\n");
        }
        commands.push(command(&format!("ip -n n{hop} -batch -"), lines));
    }
    commands
}

/// Two bridges with a cable between them, or a tunnel over it.
fn bridged(is_tunnelled: bool) -> Vec<Command> {
    let mut commands = routers(2);
    // It would be the bridge's own address.
    commands.push(plain("ip -n n0 link set r0 address 02:00:00:00:02:02"));
    if is_tunnelled {
        for (hop, remote) in [(0, "10.1.0.1"), (1, "10.1.0.2")] {
            let tunnel = format!("link add tunnel type vxlan id 42 dstport 4789 remote {remote}\n");
            commands.push(command(&format!("ip -n n{hop} -batch -"), tunnel));
        }
    }
    let ports =
        if is_tunnelled { [["r0", "tunnel"], ["tunnel", "d1"]] } else { [["r0", "d0"], ["r1", "d1"]] };
    for (hop, ports) in ports.into_iter().enumerate() {
        let mut lines = "link add br0 type bridge\nlink set br0 up\n".to_owned();
        ports.iter().for_each(|port| lines += &format!("link set {port} master br0\nlink set {port} up\n"));
        commands.push(command(&format!("ip -n n{hop} -batch -"), lines));
        let station = format!("bridge -n n{hop} fdb replace {} dev {} master static", mac(TO), ports[1]);
        commands.push(plain(&station));
    }
    if !is_tunnelled {
        commands.push(plain("ip -n n1 link set r1 address 02:00:00:00:02:03"));
    }
    // A bridge hears of its ports' carriers once a second.
    commands.push(plain("sleep 1.1"));
    commands
}

/// A router with so many rules that do not match.
fn ruled(variant: &str, count: usize) -> Vec<Command> {
    let mut commands = routers(1);
    commands.push(rules(&format!("ip netns exec n0 {variant}"), count));
    commands
}

/// Loads rules that do not match.
fn rules(variant: &str, count: usize) -> Command {
    let rules = "-A FORWARD -s 192.0.2.1/32 -j DROP\n".repeat(count);
    command(&format!("{variant}-restore"), format!("*filter\n{rules}COMMIT\n"))
}

/// Routes to so many networks of 256 addresses.
fn routes(count: u32) -> String {
    let route = |at| format!("route add {}/24 via 10.1.0.1\n", Ipv4Addr::from(NETWORKS + (at << 8)));
    (0..count).map(route).collect()
}

/// Frames to 4096 addresses all over so many networks, each far from the last (Knuth's multiplicative hash).
fn scattered(count: u32) -> Vec<Vec<u8>> {
    let network = |n: u32| (n.wrapping_mul(0x9e37_79b1) >> 8) % count;
    (0..4096).map(|n| frame(NETWORKS + (network(n) << 8) + 1, 0)).collect()
}
