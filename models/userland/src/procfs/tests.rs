//! Reads and writes compared with Linux.

use std::net::Ipv4Addr;

use glassnet_kernel::World;
use glassnet_kernel::drivers::veth::VethOptions;
use glassnet_kernel::ids::{CpuId, MachineId, NetnsId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::net::core::neighbour::neigh_create;
use glassnet_kernel::net::core::net_namespace::copy_net_ns;
use glassnet_kernel::net::core::rtnetlink::{LinkNew, LinkSet, do_setlink, rtm_newlink};
use glassnet_kernel::net::netfilter::xt_hashlimit::{
    Hashlimit, HashlimitKey, HashlimitTable, HashlimitTables,
};
use glassnet_kernel::net::netfilter::xt_recent::use_table;
use glassnet_kernel::netlink::Errno;

use super::*;

const NODE: MachineId = MachineId(0);

fn from(netns: NetnsId) -> Caller {
    Caller { machine: NODE, cpu: CpuId(0), netns }
}

/// A machine with a second namespace: `br0` with the port `v1`, whose peer is `v1p`; all up.
fn world() -> (World, NetnsId) {
    let mut world = World::new(1);
    world.add_machine("node1", 2);
    let netns = world.enter(NODE, CpuId(0), |cx| {
        let netns = copy_net_ns(cx);
        let new = |name: &str, mac: [u8; 6]| LinkNew {
            name: Some(name.to_owned()),
            set: LinkSet { address: Some(glassnet_wire::Mac(mac)), ..LinkSet::default() },
            ..LinkNew::default()
        };
        let bridge = rtm_newlink(
            cx,
            netns,
            LinkNew {
                name: Some("br0".into()),
                set: LinkSet { info: Some(LinkInfo::new("bridge")), ..LinkSet::default() },
                ..LinkNew::default()
            },
        )
        .unwrap();
        let peer = new("v1p", [2, 0, 0, 0, 0, 2]);
        let mut veth = new("v1", [2, 0, 0, 0, 0, 1]);
        veth.set.info = Some(VethOptions { peer }.into());
        let port = rtm_newlink(cx, netns, veth).unwrap();
        do_setlink(cx, port, LinkSet { master: Some(Some(bridge)), ..LinkSet::default() }).unwrap();
        for ifindex in 2..=4 {
            let dev = cx.k.dev_by_index(netns, ifindex).unwrap();
            do_setlink(cx, dev, LinkSet { up: Some(true), ..LinkSet::default() }).unwrap();
        }
        netns
    });
    (world, netns)
}

#[test]
fn what_files_say() {
    let (world, netns) = world();
    for (path, expected) in [
        ("/proc/sys/net/ipv4/ip_forward", Ok("0\n")),
        ("/proc/sys/net/ipv4/conf/v1/rp_filter", Ok("0\n")),
        ("/proc/sys/net/ipv4/neigh/br0/unres_qlen", Ok("101\n")),
        ("/proc/sys/net/ipv4/neigh/br0/retrans_time", Ok("100\n")),
        ("/proc/sys/net/ipv4/neigh/br0/base_reachable_time_ms", Ok("30000\n")),
        ("/proc/sys/net/ipv4/neigh/default/gc_stale_time", Err(Errno::ENOENT)),
        ("/proc/sys/net/ipv4/route/min_pmtu", Ok("552\n")),
        ("/proc/sys/net/ipv4/route/flush", Err(Errno::EACCES)),
        ("/proc/sys/net/ipv4", Err(Errno::EISDIR)),
        ("/proc/sys/net/ipv4/nope", Err(Errno::ENOENT)),
        ("/proc/sys/net/ipv4/tcp_max_syn_backlog", Err(Errno::EOPNOTSUPP)),
        ("/proc/sys/net/core/netdev_max_backlog", Err(Errno::ENOENT)),
        ("/sys/class/net/v1/brport/port_id", Ok("0x8001\n")),
        ("/sys/class/net/v1/brport/designated_port", Ok("32769\n")),
        ("/sys/class/net/br0/brif/v1/designated_root", Ok("8000.020000000001\n")),
        ("/sys/class/net/v1/master/bridge/ageing_time", Ok("30000\n")),
        ("/sys/class/net/v1/flags", Ok("0x1303\n")),
        ("/sys/class/net/v1/iflink", Ok("3\n")),
        ("/sys/class/net/v1/carrier", Ok("1\n")),
        ("/sys/class/net/lo/carrier", Err(Errno::EINVAL)),
        ("/sys/class/net/lo/flags", Ok("0x8\n")),
        ("/sys/class/net/br0/speed", Ok("10000\n")),
        ("/sys/class/net/br0/duplex", Ok("unknown\n")),
        ("/sys/class/net/br0/operstate", Ok("up\n")),
        ("/sys/class/net/br0/uevent", Ok("DEVTYPE=bridge\nINTERFACE=br0\nIFINDEX=2\n")),
        ("/sys/class/net/v1/bridge/ageing_time", Err(Errno::ENOENT)),
        ("/sys/class/net/nope/mtu", Err(Errno::ENOENT)),
    ] {
        assert_eq!(read(&world, from(netns), path).as_deref(), expected.as_ref().map(|s| *s), "{path}");
    }
}

#[test]
fn what_writes_do() {
    for (path, text, expected, shown) in [
        ("/proc/sys/net/ipv4/ip_forward", "1\n", Ok(()), "1\n"),
        ("/proc/sys/net/ipv4/ip_forward", "yes\n", Err(Errno::EINVAL), "0\n"),
        ("/proc/sys/net/ipv4/ip_forward", "", Err(Errno::EINVAL), "0\n"),
        ("/proc/sys/net/ipv4/ip_forward", "5", Ok(()), "5\n"),
        ("/proc/sys/net/ipv4/ip_default_ttl", "256\n", Err(Errno::EINVAL), "64\n"),
        ("/proc/sys/net/ipv4/ip_default_ttl", "0x20\n", Ok(()), "32\n"),
        ("/proc/sys/net/ipv4/conf/v1/mc_forwarding", "1", Err(Errno::EACCES), "0\n"),
        ("/proc/sys/net/ipv4/neigh/v1/locktime", "-1", Err(Errno::EINVAL), "100\n"),
        ("/sys/class/net/v1/mtu", "1400\n", Ok(()), "1400\n"),
        ("/sys/class/net/v1/mtu", "65536\n", Err(Errno::EINVAL), "1500\n"),
        ("/sys/class/net/v1/mtu", "x\n", Err(Errno::EINVAL), "1500\n"),
        ("/sys/class/net/v1/address", "02:00:00:00:00:09", Err(Errno::EACCES), "02:00:00:00:00:01\n"),
        ("/sys/class/net/v1/ifalias", "uplink\n", Ok(()), "uplink\n"),
        ("/sys/class/net/v1/flags", "0x1002\n", Ok(()), "0x1302\n"),
        ("/sys/class/net/v1/brport/hairpin_mode", "1\n", Ok(()), "1\n"),
        ("/sys/class/net/br0/bridge/group_fwd_mask", "1\n", Err(Errno::EINVAL), "0x0\n"),
        ("/sys/class/net/br0/bridge/group_fwd_mask", "65528\n", Ok(()), "0xfff8\n"),
        ("/sys/class/net/br0/bridge/ageing_time", "0\n", Ok(()), "0\n"),
        ("/sys/class/net/br0/bridge/max_age", "5\n", Err(Errno::ERANGE), "2000\n"),
        ("/sys/class/net/br0/bridge/multicast_querier", "1\n", Err(Errno::EOPNOTSUPP), "0\n"),
    ] {
        let (mut world, netns) = world();
        assert_eq!(write(&mut world, from(netns), path, text), expected, "{path} {text:?}");
        assert_eq!(read(&world, from(netns), path).as_deref(), Ok(shown), "{path} {text:?}");
    }
}

#[test]
fn forwarding_of_all_is_everybodys_and_default_leads_who_was_not_set() {
    let (mut world, netns) = world();
    let conf = |of: &str, name: &str| format!("/proc/sys/net/ipv4/conf/{of}/{name}");
    write(&mut world, from(netns), "/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    for of in ["all", "default", "v1", "lo"] {
        assert_eq!(read(&world, from(netns), &conf(of, "forwarding")).as_deref(), Ok("1\n"), "{of}");
    }
    assert_eq!(read(&world, from(INIT_NET), &conf("all", "forwarding")).as_deref(), Ok("0\n"));
    write(&mut world, from(netns), &conf("v1", "rp_filter"), "2").unwrap();
    write(&mut world, from(netns), &conf("default", "rp_filter"), "1").unwrap();
    for (of, expected) in [("all", "0\n"), ("v1", "2\n"), ("v1p", "1\n")] {
        assert_eq!(read(&world, from(netns), &conf(of, "rp_filter")).as_deref(), Ok(expected), "{of}");
    }
}

/// The ARP table is the machine's: only its first namespace shows the limits, which `neigh_alloc` keeps.
#[test]
fn limits_of_the_arp_table_are_the_machines() {
    let (mut world, netns) = world();
    let limit = |name: &str| format!("/proc/sys/net/ipv4/neigh/default/gc_{name}");
    for (name, value) in
        [("interval", "30\n"), ("thresh1", "128\n"), ("thresh2", "512\n"), ("thresh3", "1024\n")]
    {
        assert_eq!(read(&world, from(INIT_NET), &limit(name)).as_deref(), Ok(value), "{name}");
        assert_eq!(read(&world, from(netns), &limit(name)), Err(Errno::ENOENT), "{name}");
        assert_eq!(write(&mut world, from(INIT_NET), &limit(name), "2"), Ok(()), "{name}");
        assert_eq!(read(&world, from(INIT_NET), &limit(name)).as_deref(), Ok("2\n"), "{name}");
        assert_eq!(write(&mut world, from(INIT_NET), &limit(name), "-1"), Err(Errno::EINVAL), "{name}");
    }
    let made = world.enter(NODE, CpuId(0), |cx| {
        let dev = cx.k.dev_by_index(netns, 2).unwrap();
        (1..=3).map(|last| neigh_create(cx, dev, Ipv4Addr::new(10, 0, 0, last)).is_some()).collect::<Vec<_>>()
    });
    assert_eq!(made, [true, true, false]);
}

#[test]
fn what_directories_hold() {
    let (world, netns) = world();
    let names = |netns, path| -> Vec<String> {
        list(&world, from(netns), path).unwrap().into_iter().map(|entry| entry.0).collect()
    };
    assert_eq!(names(netns, "/sys/class/net"), ["br0", "lo", "v1", "v1p"]);
    assert_eq!(names(INIT_NET, "/sys/class/net"), ["lo"]);
    assert_eq!(names(netns, "/proc/sys/net/ipv4/conf"), ["all", "br0", "default", "lo", "v1", "v1p"]);
    assert_eq!(names(INIT_NET, "/proc/sys/net/ipv4/neigh"), ["default", "lo"]);
    assert_eq!(names(netns, "/sys/class/net/br0/brif"), ["v1"]);
    assert_eq!(list(&world, from(netns), "/proc/net/dev"), Err(Errno::ENOTDIR));
    assert_eq!(read_link(&world, from(netns), "/sys/class/net/v1/master").as_deref(), Ok("../br0"));
    assert_eq!(node(&world, from(netns), "/sys/class/net/v1/master"), Ok(Node::Dir));
    assert_eq!(node(&world, from(netns), "/sys/class/net/v1/mtu"), Ok(Node::RW));
    assert_eq!(node(&world, from(netns), "/proc/sys/net/ipv4/tcp_sack"), Ok(Node::RW));
    assert_eq!(node(&world, from(netns), "/proc/nope"), Err(Errno::ENOENT));
}

/// As on Linux 6.18, apart from times.
#[test]
fn a_list_of_recent_is_read_and_written() {
    let (mut world, netns) = world();
    world.enter(NODE, CpuId(0), |cx| {
        use_table(cx.k.netns[netns].generic.get_mut(), "a", Ipv4Addr::BROADCAST, 0)
    });
    let file = "/proc/net/xt_recent/a";
    assert_eq!(list(&world, from(netns), "/proc/net/xt_recent").unwrap().len(), 1);
    let mut write = |text: &str| {
        write(&mut world, from(netns), file, text)?;
        Ok(read(&world, from(netns), file).expect("the file"))
    };
    let line = |address: &str, seen: &str, stamps: usize| {
        let stamps = vec![seen; stamps].join(", ");
        format!(
            "src={address} ttl: 0 last_seen: {seen} oldest_pkt: {} {stamps}\n",
            stamps.split(", ").count()
        )
    };
    let now = "4294892296";
    let twice = line("1.2.3.4", now, 2);
    assert_eq!(write("+1.2.3.4\n"), Ok(line("1.2.3.4", now, 1)));
    assert_eq!(write("+001.2.3.4\n+1.2.3.5\n"), Ok(twice.clone()));
    assert_eq!(write("-9.9.9.9\n"), Ok(twice.clone()));
    assert_eq!(write("+1.2.3.5"), Ok(twice + &line("1.2.3.5", now, 1)));
    assert_eq!(write("-1.2.3.4\n"), Ok(line("1.2.3.5", now, 1)));
    for text in [
        "1.2.3.5\n",
        "+foo\n",
        "+1.2.3.4 \n",
        "+ 1.2.3.4\n",
        "+1.2.3\n",
        "+1.2.3.4/24\n",
        "+\n",
        "\n",
        "clear\n",
        "+1.2.3.999\n",
        "+0x1.2.3.4\n",
        "+1.2.3.4x\n",
        "+1.2.3.4.5\n",
    ] {
        assert_eq!(write(text), Err(Errno::EINVAL), "{text:?}");
    }
    assert_eq!(write("/x\n"), Ok(String::new()));
}

/// As on Linux 6.18 after three packets of 84 bytes to one address, long ago.
#[test]
fn tables_of_hashlimit_are_read_and_not_written() {
    let (mut world, netns) = world();
    let cfg = Hashlimit {
        name: "a".to_owned(),
        above: false,
        bytes: false,
        avg: 12_000_000,
        burst: 3,
        mode: 5,
        srcmask: 32,
        dstmask: 32,
        size: 0,
        max: 0,
        gc_interval: 1000,
        expire: 60_000,
        rate_match: false,
        rate_interval: 1,
    };
    let bytes =
        Hashlimit { name: "b".to_owned(), bytes: true, avg: 1_341_757, burst: 2, mode: 1, ..cfg.clone() };
    world.enter(NODE, CpuId(0), |cx| {
        for cfg in [cfg, bytes] {
            let mut table = HashlimitTable::new(cfg.clone(), 0);
            let src = if cfg.bytes { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
            let key = HashlimitKey { dst: Ipv4Addr::new(127, 0, 0, 2), src, ..HashlimitKey::default() };
            for _ in 0..3 {
                table.count(&cfg, key, 84, 0);
            }
            let tables: &mut HashlimitTables = cx.k.netns[netns].generic.get_mut();
            tables.insert(cfg.name, table);
        }
    });
    let later = glassnet_sim::Nanos::from_millis(640);
    world.wake_at(later);
    while world.next_event_at().is_some_and(|at| at <= later) {
        world.step().expect("no loop");
    }
    let read = |name: &str| read(&world, from(netns), &format!("/proc/net/ipt_hashlimit/{name}"));
    let line = "59 127.0.0.1:0->127.0.0.2:0 87960930222080 4947802308000000 1649267436000000\n";
    assert_eq!(read("a").as_deref(), Ok(line));
    assert_eq!(read("b").as_deref(), Ok("59 0.0.0.0:0->127.0.0.2:0 4194304000 2 1310309\n"));
    assert_eq!(read("c"), Err(Errno::ENOENT));
    assert_eq!(write(&mut world, from(netns), "/proc/net/ipt_hashlimit/a", "1\n"), Err(Errno::EIO));
}
