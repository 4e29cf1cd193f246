//! `ethtool` for an 82574 as Debian 12's printed it under QEMU on Linux 6.1.192, with the exit status of each command behind `=`.
//! The release and the slot of the bus are the model's.

use std::sync::{Arc, Mutex};

use glassnet_kernel::drivers::nic::NicSettings;
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::world::World;
use glassnet_userland::harness;

const RECORDED: &str = include_str!("ethtool/e1000e.txt");

#[test]
fn a_card_answers_as_it_did_on_linux() {
    let mut world = World::new(1);
    let machine = world.add_machine("node1", 2);
    world.add_nic(machine, "eth0", &NicSettings::new("e1000e"));
    let world = Arc::new(Mutex::new(world));
    let mut commands = 0;
    for record in RECORDED.split("$ ").skip(1) {
        let (command, rest) = record.split_once('\n').expect("a command line");
        let (expected, status) = rest.rsplit_once("= ").expect("a status");
        let argv: Vec<&str> = command.split(' ').collect();
        let outcome = harness::run(&world, (machine, INIT_NET), &argv, "").expect("it ends");
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert_eq!(
            (said.as_str(), outcome.status.to_string().as_str()),
            (expected, status.trim()),
            "{command}"
        );
        commands += 1;
    }
    assert_eq!(commands, 54, "all of them");
}
