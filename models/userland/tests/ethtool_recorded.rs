//! `ethtool` for an 82574 and an NE2000 as Debian 12's printed it under QEMU on Linux 6.1.192, with the exit status of each command
//! behind `=`.
//! The release and the slot of the bus are the model's.

use std::sync::{Arc, Mutex};

use glassnet_kernel::drivers::nic::NicSettings;
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::world::World;
use glassnet_userland::harness;

#[test]
fn a_card_answers_as_it_did_on_linux() {
    assert_eq!(answers("eth0", "e1000e", include_str!("ethtool/e1000e.txt")), 117);
}

#[test]
fn a_card_without_rings_answers_as_it_did_on_linux() {
    assert_eq!(answers("eth1", "ne2k-pci", include_str!("ethtool/ne2k-pci.txt")), 31);
}

/// Holds the answers of a card against recorded ones; returns how many commands were asked.
fn answers(name: &str, driver: &str, recorded: &str) -> usize {
    let mut world = World::new(1);
    let machine = world.add_machine("node1", 2);
    world.add_nic(machine, name, &NicSettings::new(driver));
    let world = Arc::new(Mutex::new(world));
    let mut commands = 0;
    for record in recorded.split("$ ").skip(1) {
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
    commands
}
