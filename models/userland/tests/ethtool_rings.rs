//! `ethtool -g` and `-G`: what ethtool 6.1 prints for a network card (recorded with one of virtio, whose rings have other sizes).

use std::sync::{Arc, Mutex};

use glassnet_kernel::drivers::nic::NicSettings;
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::world::World;
use glassnet_userland::harness::{self, Outcome};

const REFUSED: &str = "netlink error: Operation not supported\n";

fn rings(receive: u32) -> String {
    format!(
        "Ring parameters for eth0:\nPre-set maximums:\nRX:\t\t4096\nRX Mini:\tn/a\nRX Jumbo:\tn/a\nTX:\t\t4096\n\
         Current hardware settings:\nRX:\t\t{receive}\nRX Mini:\tn/a\nRX Jumbo:\tn/a\nTX:\t\t256\n\
         RX Buf Len:\t\tn/a\nCQE Size:\t\tn/a\nTX Push:\toff\nTCP data split:\tn/a\n"
    )
}

fn ethtool() -> impl Fn(&str) -> Outcome {
    let mut world = World::new(1);
    let machine = world.add_machine("node1", 1);
    world.add_nic(machine, "eth0", &NicSettings::new("e1000e"));
    let world = Arc::new(Mutex::new(world));
    move |words| {
        let argv: Vec<&str> = std::iter::once("ethtool").chain(words.split(' ')).collect();
        harness::run(&world, (machine, INIT_NET), &argv, "").expect("it ends")
    }
}

#[test]
fn a_ring_has_as_many_descriptors_as_the_driver_makes_of_the_number() {
    let ethtool = ethtool();
    for (wanted, made) in [("", 256), ("512", 512), ("0", 64), ("1001", 1008), ("0x100", 256), ("4096", 4096)]
    {
        if !wanted.is_empty() {
            let set = ethtool(&format!("-G eth0 rx {wanted}"));
            assert_eq!(set, Outcome { status: 0, stdout: String::new(), stderr: String::new() });
        }
        assert_eq!(ethtool("-g eth0").stdout, rings(made), "{wanted}");
    }
    assert_eq!(ethtool("-G eth0").status, 0);
    assert_eq!(ethtool("-G eth0 tx 256 rx 64").status, 0);
    assert_eq!(ethtool("--show-ring eth0").stdout, rings(64));
}

#[test]
fn what_is_wrong_is_told_as_ethtool_does() {
    let ethtool = ethtool();
    let too_many = |offset| {
        format!(
            "netlink error: requested ring size exceeds maximum (offset {offset})\nnetlink error: Invalid argument\n"
        )
    };
    let missing = "netlink error: no device matches name (offset 24)\nnetlink error: No such device\n";
    let push = format!("netlink error: setting tx push not supported (offset 36)\n{REFUSED}");
    let cases = [
        ("-G eth0 rx 5000", 81, too_many(36)),
        ("-G eth0 rx 256 tx 5000", 81, too_many(44)),
        ("-G eth0 tx 256 rx 5000", 81, too_many(44)),
        ("-G eth0 rx-mini 4", 81, too_many(36)),
        ("-G eth0 tx-push on", 81, push),
        ("-G eth0 rx", 1, "ethtool (-G): no value for parameter 'rx'\n".to_owned()),
        ("-G eth0 foo 3", 1, "ethtool (-G): unknown parameter 'foo'\n".to_owned()),
        ("-G eth0 rx -3", 1, "ethtool (-G): invalid value '-3' for parameter 'rx'\n".to_owned()),
        ("-G eth0 rx abc", 1, "ethtool (-G): invalid value 'abc' for parameter 'rx'\n".to_owned()),
        (
            "-G eth0 rx 4294967296",
            1,
            "ethtool (-G): invalid value '4294967296' for parameter 'rx'\n".to_owned(),
        ),
        ("-G eth0 rx 16 rx 3", 1, "ethtool (-G): duplicate parameter 'rx'\n".to_owned()),
        ("-G lo rx 16", 81, REFUSED.to_owned()),
        ("-g lo", 1, REFUSED.to_owned()),
        ("-G nope rx 16", 81, missing.to_owned()),
        ("-g nope", 1, missing.to_owned()),
    ];
    for (words, status, stderr) in cases {
        assert_eq!(ethtool(words), Outcome { status, stdout: String::new(), stderr }, "{words}");
    }
}
