//! What random networks showed the model to do otherwise than Linux 6.1, each in a few commands.

use std::path::Path;

use glassnet_scenarios::backend::observe_plain;
use glassnet_scenarios::fuzz::networks::kept;
use glassnet_scenarios::lesson::Lesson;
use glassnet_scenarios::observation::{Frame, Observation};
use glassnet_scenarios::simulator::Simulator;

/// Runs plain commands on one machine `a`.
fn run(commands: &[&str]) -> Observation {
    let prompts: String = commands.iter().map(|command| format!("a# {command}\n")).collect();
    let text =
        format!("---\ntitle: t\ntopology: {{ nodes: {{ a: {{}} }} }}\n---\n```console\n{prompts}```\n");
    let lesson = Lesson::parse(Path::new("t.md"), text).expect("a lesson");
    observe_plain(&Simulator::default(), &kept(&lesson)).expect("it runs")
}

fn last_output(seen: &Observation) -> &str {
    seen.prompts.last().map_or("", |prompt| prompt.output.as_str())
}

#[test]
fn a_socket_that_connects_asks_rules_with_the_source_that_it_got() {
    let seen = run(&[
        "ip link add d0 type dummy",
        "ip link set d0 up",
        "ip addr add 10.0.0.1/24 dev d0",
        "ip route add blackhole 10.0.0.0/24 table 7",
        "ip rule add from 10.0.0.1 table 7",
        "ping -c 1 -W 1 10.0.0.2",
    ]);
    assert_eq!(last_output(&seen), "ping: connect: Invalid argument\n");
}

#[test]
fn a_gratuitous_request_has_no_target_address() {
    let seen = run(&[
        "ip link add v0 type veth peer name v1",
        "ip link set v1 up",
        "ip addr add 10.0.0.1/24 dev v0",
        "sysctl -q -w net.ipv4.conf.v0.arp_notify=1",
        "ip link set v0 up",
    ]);
    let request = seen.frames.iter().find(|frame| frame.device == "v0").expect("a request");
    let target = &request.bytes[2 * (14 + 18)..2 * (14 + 24)];
    assert_eq!(target, "000000000000");
}

#[test]
fn without_path_mtus_a_socket_lets_its_packets_be_fragmented() {
    let sent = |value: u8| {
        let seen = run(&[
            "ip link add v0 type veth peer name v1",
            "ip link set v0 up",
            "ip link set v1 up",
            "ip addr add 10.0.0.1/24 dev v0",
            "ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:77 dev v0",
            &format!("sysctl -q -w net.ipv4.ip_no_pmtu_disc={value}"),
            "nc -u -w 1 10.0.0.2 53 <<< hello",
        ]);
        let is_datagram = |frame: &&Frame| frame.device == "v0" && frame.bytes.get(46..48) == Some("11");
        let datagram = seen.frames.iter().find(is_datagram).expect("a datagram");
        datagram.bytes[2 * (14 + 6)..2 * (14 + 7)].to_owned()
    };
    assert_eq!([0, 1].map(sent), ["40", "00"]);
}

#[test]
fn what_a_device_without_carrier_drops_is_not_counted() {
    let seen = run(&[
        "ip link add v0 type veth peer name v1",
        "ip link set v0 up",
        "ip addr add 10.0.0.1/24 dev v0",
        "ping -c 1 -W 1 10.0.0.2",
    ]);
    let drops = seen.journeys.iter().filter(|journey| journey.end == "QDISC_DROP").count();
    assert!(drops > 0);
    let devices = seen.blocks[0].tables["a"]["ip -j -d -s addr"].as_array().expect("devices");
    let device = devices.iter().find(|device| device["ifname"] == "v0").expect("v0");
    assert_eq!(device["stats64"]["tx"]["dropped"], 0);
}

#[test]
fn the_fragment_that_came_last_goes_on_as_the_whole_packet() {
    let seen = run(&[
        "ip netns add x",
        "ip link add v0 type veth peer name v1 netns x",
        "ip link set v0 up",
        "ip -n x link set v1 up",
        "ip addr add 10.0.0.1/24 dev v0",
        "ip -n x addr add 10.0.0.2/24 dev v1",
        "ping -c 1 -W 1 -s 1500 -M dont 10.0.0.2",
        "ping -c 1 -W 1 -s 2000 -M dont 10.0.0.2",
    ]);
    assert!(last_output(&seen).contains("2008 bytes from 10.0.0.2"), "{}", last_output(&seen));
    // Where it has no room in the first one's buffer, a clone of it is freed with the packet.
    let stepless = seen.journeys.iter().filter(|journey| journey.steps.is_empty());
    let ends: Vec<_> = stepless.map(|journey| (journey.prompt, journey.end.as_str())).collect();
    assert_eq!(ends, [(7, "NOT_SPECIFIED"); 2]);
}

#[test]
fn a_station_is_used_when_a_port_sends_to_it_and_an_own_address_never() {
    let seen = run(&[
        "ip netns add x",
        "ip link add br0 type bridge",
        "ip link add v0 address 02:00:00:00:00:01 type veth peer name v1 address 02:00:00:00:00:02 netns x",
        "ip link set v0 master br0 up",
        "ip link set br0 up",
        "ip -n x link set v1 up",
        "ip addr add 10.0.0.1/24 dev br0",
        "ip -n x addr add 10.0.0.2/24 dev v1",
        "ping -c 1 -W 1 10.0.0.2",
        "sleep 5",
        "ping -c 1 -W 1 10.0.0.2",
    ]);
    let stations = seen.blocks[0].tables["a"]["bridge -j -d -s fdb"].as_array().expect("stations");
    let used = |mac: &str| {
        let of = stations.iter().filter(|row| row["mac"] == mac && row["master"] == "br0");
        of.map(|row| row["used"].as_u64().expect("an age")).max()
    };
    // Only the bridge itself sends to the station, and frames for the own address come in.
    assert!(used("02:00:00:00:00:02") > Some(5) && used("02:00:00:00:00:01") > Some(5), "{stations:?}");
}

#[test]
fn a_route_of_several_next_hops_tells_what_all_of_them_have() {
    let seen = run(&[
        "ip link add v0 type veth peer name v1",
        "ip link set v0 up",
        "ip addr add 10.0.0.1/24 dev v0",
        "ip route add 10.0.1.0/24 nexthop via 10.0.0.2 dev v0 weight 1 nexthop via 10.0.0.2 dev v0 weight 2",
        "sleep 2",
    ]);
    let routes = seen.blocks[0].tables["a"]["ip -j -d -s route show table all"].as_array().expect("routes");
    let route = routes.iter().find(|route| route["dst"] == "10.0.1.0/24").expect("the route");
    assert_eq!(route["flags"], serde_json::json!(["linkdown"]));
}

#[test]
fn what_is_ignored_without_carrier_is_dead_for_a_device_or_for_all() {
    for of in ["all", "v0"] {
        let seen = run(&[
            "ip link add v0 type veth peer name v1",
            "ip link set v0 up",
            "ip addr add 10.0.0.1/24 dev v0",
            &format!("sysctl -q -w net.ipv4.conf.{of}.ignore_routes_with_linkdown=1"),
            "ping -c 1 -W 1 10.0.0.2",
        ]);
        assert_eq!(last_output(&seen), "ping: connect: Network is unreachable\n", "{of}");
        let routes =
            seen.blocks[0].tables["a"]["ip -j -d -s route show table all"].as_array().expect("routes");
        let route = routes.iter().find(|route| route["dst"] == "10.0.0.0/24").expect("the route");
        assert_eq!(route["flags"], serde_json::json!(["dead", "linkdown"]), "{of}");
    }
}

#[test]
fn a_bridge_whose_last_port_left_has_no_station_of_its_own() {
    let seen = run(&[
        "ip link add br0 type bridge",
        "ip link add d0 type dummy",
        "ip link set d0 master br0",
        "ip link set d0 nomaster",
    ]);
    let stations = &seen.blocks[0].tables["a"]["bridge -j -d -s fdb"];
    assert!(!stations.to_string().contains("00:00:00:00:00:00"), "{stations}");
}

#[test]
fn a_packet_to_this_host_comes_in_by_the_device_that_has_the_address() {
    let seen = run(&[
        "ip link add d0 type dummy",
        "ip link set d0 up",
        "ip addr add 10.0.0.1/24 dev d0",
        "ping -c 1 -W 1 -I d0 10.0.0.1",
    ]);
    assert!(last_output(&seen).contains("64 bytes from 10.0.0.1"), "{}", last_output(&seen));
}
