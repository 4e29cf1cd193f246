//! Network cards of a lesson as devices of QEMU, and its cables as hubs.
//!
//! A cable, or a switch with its cables, is a hub: each frame reaches all other cards of it, and a card takes what is addressed to
//! it. What a switch learns is not seen by any machine's kernel.

use std::ffi::OsString;

use glassnet_hardware::Faults;
use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::lesson::{Endpoint, Topology};
use glassnet_wire::Mac;
use serde::{Deserialize, Serialize};

/// A driver of Linux whose card QEMU has.
struct Emulated {
    /// As `ethtool -i` tells it.
    driver: &'static str,
    /// QEMU's device.
    device: &'static str,
    /// The kernel's module.
    module: &'static str,
}

/// All of them.
const EMULATED: [Emulated; 3] = [
    Emulated { driver: "e1000e", device: "e1000e", module: "e1000e" },
    // QEMU 8.0 and later.
    Emulated { driver: "igb", device: "igb", module: "igb" },
    Emulated { driver: "ne2k-pci", device: "ne2k_pci", module: "ne2k-pci" },
];

/// A card that the guest has, and where it belongs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Card {
    /// The machine.
    pub machine: String,
    /// The device's name there.
    pub name: String,
    /// The card's address, by which it is found.
    pub address: String,
    /// The module of its driver.
    pub module: String,
    /// Length of its receive ring, if the lesson says.
    pub rx_ring: Option<u32>,
    /// QEMU's device.
    device: String,
    /// The hub that it is plugged into.
    hub: usize,
}

/// The cards of a topology.
///
/// # Errors
///
/// [`BackendError::Plan`] if QEMU cannot have them.
pub(super) fn of(topology: &Topology) -> Result<Vec<Card>, BackendError> {
    let plan = |why: String| BackendError::Plan(why);
    if let Some(link) = topology.links.iter().find(|link| link.faults != Faults::default()) {
        let [a, b] = &link.endpoints;
        let why = "what chance decides cannot be compared";
        return Err(plan(format!("a cable with faults ({} to {}): {why}", a.node, b.node)));
    }
    let mut cards: Vec<Card> = Vec::new();
    for (machine, node) in &topology.nodes {
        for (name, nic) in &node.nics {
            let at = format!("{machine}:{name}");
            let emulated = EMULATED.iter().find(|row| row.driver == nic.driver).ok_or_else(|| {
                let known: Vec<_> = EMULATED.iter().map(|row| row.driver).collect();
                plan(format!(
                    "{at}: QEMU has no card of the driver {}; it has {}",
                    nic.driver,
                    known.join(", ")
                ))
            })?;
            if nic.queues.is_some_and(|queues| queues > 1) {
                return Err(plan(format!(
                    "{at}: `queues`: the guest's cards have as many as their drivers choose"
                )));
            }
            let hub = hub(topology, machine, name)
                .ok_or_else(|| plan(format!("{at}: a card without a cable: QEMU would give it a carrier")))?;
            let address = nic.address.unwrap_or(Mac([0x52, 0x54, 0, 0, 0, cards.len() as u8 + 1]));
            cards.push(Card {
                machine: machine.clone(),
                name: name.clone(),
                address: address.to_string(),
                module: emulated.module.to_owned(),
                rx_ring: nic.rx_ring,
                device: emulated.device.to_owned(),
                hub,
            });
        }
    }
    Ok(cards)
}

/// Which hub a card is plugged into: one for each switch, and one for each cable between machines.
fn hub(topology: &Topology, machine: &str, name: &str) -> Option<usize> {
    let is_it = |end: &Endpoint| end.node == machine && end.port == name;
    let at = topology.links.iter().position(|link| link.endpoints.iter().any(is_it))?;
    let ends = &topology.links[at].endpoints;
    let switch = topology.switches.keys().position(|switch| ends.iter().any(|end| end.node == *switch));
    Some(switch.unwrap_or(topology.switches.len() + at))
}

/// Arguments of QEMU; `devices` is what `-device help` says.
///
/// # Errors
///
/// [`BackendError::Missing`] if this QEMU does not have one of them.
pub(super) fn arguments(cards: &[Card], devices: &str) -> Result<Vec<OsString>, BackendError> {
    let mut arguments = Vec::new();
    for (at, Card { device, hub, address, .. }) in cards.iter().enumerate() {
        if !devices.contains(&format!("name \"{device}\"")) {
            return Err(BackendError::Missing(vec![format!("QEMU: this one has no device {device}")]));
        }
        arguments.push("-netdev".into());
        arguments.push(format!("hubport,id=cable{at},hubid={hub}").into());
        arguments.push("-device".into());
        arguments.push(format!("{device},netdev=cable{at},mac={address},romfile=").into());
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use glassnet_scenarios::lesson::{Lesson, LessonError};
    use std::path::Path;

    fn topology(nics: &str, links: &str) -> Result<Topology, LessonError> {
        let text = format!(
            "---\ntitle: x\ntopology:\n  nodes:\n    a: {{ nics: {{ eth0: {nics} }} }}\n    b: {{}}\n  links: [{links}]\n---\n"
        );
        Ok(Lesson::parse(Path::new("x.md"), text)?.front.topology)
    }

    const CABLE: &str = "{ endpoints: [\"a:eth0\", \"b:eth0\"] }";

    #[test]
    fn cards_of_one_cable_are_in_one_hub() {
        let cards = of(&topology("{ driver: e1000e }", CABLE).unwrap()).unwrap();
        assert_eq!(cards.iter().map(|card| card.hub).collect::<Vec<_>>(), [0, 0]);
        let arguments = arguments(&cards, "name \"e1000e\", bus PCI").unwrap();
        assert_eq!(arguments[3], "e1000e,netdev=cable0,mac=52:54:00:00:00:01,romfile=");
    }

    #[test]
    fn what_qemu_cannot_have_is_told() {
        let says = |nics: &str, links: &str| of(&topology(nics, links).unwrap()).unwrap_err().to_string();
        assert!(says("{ driver: mlx5_core }", CABLE).contains("QEMU has no card of the driver mlx5_core"));
        assert!(says("{ driver: igb, queues: 2 }", CABLE).contains("queues"));
        assert!(says("{}", "").contains("without a cable"));
        let lossy = "{ endpoints: [\"a:eth0\", \"b:eth0\"], loss: 1% }";
        assert!(says("{}", lossy).contains("chance"));
    }

    #[test]
    fn a_device_that_this_qemu_does_not_have_is_missing() {
        let cards = of(&topology("{ driver: igb }", CABLE).unwrap()).unwrap();
        let error = arguments(&cards, "name \"e1000e\", bus PCI").unwrap_err();
        assert!(error.to_string().contains("no device igb"), "{error}");
    }
}
