//! What is known of a network while it is drawn, and drawing from it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use glassnet_sim::{Dice, Nanos};
use glassnet_wire::Mac;

use super::dumps;
use crate::lesson::{Endpoint, Link, Nic, Node, Switch, Topology};
use crate::plan::{Plan, PlannedBlock, PlannedPrompt};

/// A network namespace of a machine.
#[derive(Clone, Debug)]
pub(super) struct Space {
    pub machine: String,
    /// Empty for the machine's own.
    pub netns: String,
}

/// A device.
#[derive(Clone, Debug)]
pub(super) struct Device {
    /// Index into [`Net::spaces`].
    pub space: usize,
    pub name: String,
    /// The network that it is in by layer 2: `10.0.N.0/24`.
    pub segment: usize,
    /// It is a port of a bridge.
    pub is_port: bool,
    pub is_bridge: bool,
    pub addresses: Vec<Ipv4Addr>,
}

/// A network while it is drawn.
pub(super) struct Net {
    dice: Dice,
    pub topology: Topology,
    blocks: Vec<Vec<PlannedPrompt>>,
    pub spaces: Vec<Space>,
    pub devices: Vec<Device>,
    /// Number of segments.
    pub segments: usize,
    /// Cards of two cables between two machines, for a bond at both ends: first those of one machine.
    pub trunk: Vec<usize>,
    /// Something in it sends every now and then: days would take long.
    pub talks: bool,
    /// Segments of VLANs, by the segment below and the number of the VLAN.
    vlans: BTreeMap<(usize, u16), usize>,
}

impl Net {
    pub fn new(seed: u64) -> Self {
        let (topology, blocks, spaces, devices, vlans) = Default::default();
        let (segments, trunk, talks) = Default::default();
        Self { dice: Dice::new(seed), topology, blocks, spaces, devices, segments, trunk, talks, vlans }
    }

    /// A number below the bound.
    pub fn below(&mut self, bound: usize) -> usize {
        self.dice.below(bound as u64) as usize
    }

    /// True with probability 1/`n`.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of these.
    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        let at = self.below(from.len());
        from[at].clone()
    }

    /// A row by its weight.
    pub fn weighted<T: Copy>(&mut self, rows: &[(usize, T)]) -> T {
        let mut at = self.below(rows.iter().map(|(weight, _)| weight).sum());
        for (weight, row) in rows {
            if at < *weight {
                return *row;
            }
            at -= weight;
        }
        rows[0].1
    }

    /// Machines, with cables between them or on a switch.
    pub fn machines(&mut self) {
        let count = self.pick(&[1, 1, 2, 2, 2, 3, 3, 4]);
        for at in 0..count {
            let machine = ["a", "b", "c", "d"][at].to_owned();
            self.topology.nodes.insert(machine.clone(), Node::default());
            self.spaces.push(Space { machine, netns: String::new() });
        }
        if count >= 2 && (count > 2 && self.one_in(2) || self.one_in(4)) {
            let ports = (1..=count).map(|port| port.to_string()).collect();
            self.topology.switches.insert("sw".to_owned(), Switch { ports, queue: None });
            let segment = self.segment();
            for at in 0..count {
                let near = self.nic(at, segment);
                self.cable(near, Endpoint { node: "sw".to_owned(), port: (at + 1).to_string() });
            }
        }
        for at in 1..count {
            // A second way beside the switch, sometimes; else a chain, mostly.
            let is_wanted = self.topology.switches.is_empty() || self.one_in(4);
            let to = if self.one_in(4) { self.below(at) } else { at - 1 };
            if is_wanted {
                let segment = self.segment();
                let ends = [self.nic(to, segment), self.nic(at, segment)];
                let [near, far] = ends;
                self.cable(near, far);
            }
        }
        if count >= 2 && self.one_in(5) {
            self.trunk();
        }
    }

    /// Two more cables between the first two machines.
    fn trunk(&mut self) {
        let (segment, first) = (self.segment(), self.devices.len());
        for _ in 0..2 {
            let [near, far] = [self.nic(0, segment), self.nic(1, segment)];
            self.cable(near, far);
        }
        self.trunk = vec![first, first + 2, first + 1, first + 3];
    }

    /// A new segment.
    pub fn segment(&mut self) -> usize {
        self.segments += 1;
        self.segments - 1
    }

    /// The segment of a VLAN.
    pub fn vlan_segment(&mut self, below: usize, id: u16) -> usize {
        let new = self.segments;
        let segment = *self.vlans.entry((below, id)).or_insert(new);
        self.segments = self.segments.max(segment + 1);
        segment
    }

    pub fn nic(&mut self, space: usize, segment: usize) -> Endpoint {
        let node = self.spaces[space].machine.clone();
        let number = self.topology.nodes.get(&node).map_or(0, |node| node.nics.len());
        let port = format!("eth{number}");
        let nic = Nic { address: Some(Mac(self.mac())), ..Nic::default() };
        if let Some(node) = self.topology.nodes.get_mut(&node) {
            node.nics.insert(port.clone(), nic);
        }
        self.device(space, &port, segment);
        Endpoint { node, port }
    }

    pub fn cable(&mut self, near: Endpoint, far: Endpoint) {
        let link = Link {
            endpoints: [near, far],
            rate: 10_000_000_000,
            delay: Nanos(500),
            faults: Default::default(),
        };
        self.topology.links.push(link);
    }

    /// An address of a card: which is the lowest one of a bridge's ports is drawn, too.
    pub fn mac(&mut self) -> [u8; 6] {
        [2, 0, 0, 0, self.below(256) as u8, self.devices.len() as u8]
    }

    /// Notes a device.
    pub fn device(&mut self, space: usize, name: &str, segment: usize) -> usize {
        let name = name.to_owned();
        let (is_port, is_bridge, addresses) = (false, false, Vec::new());
        self.devices.push(Device { space, name, segment, is_port, is_bridge, addresses });
        self.devices.len() - 1
    }

    /// Begins a block.
    pub fn block(&mut self) {
        self.blocks.push(Vec::new());
    }

    /// Adds a command to the block.
    pub fn say(&mut self, space: usize, command: String) {
        let machine = self.spaces[space].machine.clone();
        if let Some(block) = self.blocks.last_mut() {
            block.push(PlannedPrompt { machine, command, ..PlannedPrompt::default() });
        }
    }

    /// `ip …` or `bridge …` in a namespace.
    pub fn tool(&mut self, space: usize, command: &str) {
        let netns = self.spaces[space].netns.clone();
        let (tool, words) = command.split_once(' ').unwrap_or((command, ""));
        let inside = if netns.is_empty() { String::new() } else { format!("-n {netns} ") };
        self.say(space, format!("{tool} {inside}{words}"));
    }

    /// A program in a namespace.
    pub fn run(&mut self, space: usize, command: &str) {
        let netns = self.spaces[space].netns.clone();
        let inside = if netns.is_empty() { String::new() } else { format!("ip netns exec {netns} ") };
        self.say(space, format!("{inside}{command}"));
    }

    /// Sets a sysctl.
    pub fn sysctl(&mut self, space: usize, setting: &str) {
        self.run(space, &format!("sysctl -q -w {setting}"));
    }

    /// Devices of a namespace that are no ports.
    pub fn hosts(&self, space: usize) -> Vec<usize> {
        (0..self.devices.len())
            .filter(|at| self.devices[*at].space == space && !self.devices[*at].is_port)
            .collect()
    }

    /// If these segments became one, a machine would have two cards in it, or they are one already: a loop.
    pub fn would_join_cards(&self, one: usize, other: usize) -> bool {
        let cards = |segment: usize| {
            let is_there =
                move |device: &&Device| device.segment == segment && device.name.starts_with("eth");
            self.devices.iter().filter(is_there)
        };
        one == other || cards(one).any(|card| cards(other).any(|second| second.space == card.space))
    }

    /// A random device.
    pub fn any_device(&mut self) -> Option<usize> {
        (!self.devices.is_empty()).then(|| self.below(self.devices.len()))
    }

    /// A random namespace.
    pub fn any_space(&mut self) -> usize {
        self.below(self.spaces.len())
    }

    /// A destination: mostly an address that somebody has, else one of a segment that nobody has, or a distant one.
    pub fn destination(&mut self) -> Ipv4Addr {
        let all: Vec<Ipv4Addr> = self.devices.iter().flat_map(|device| device.addresses.clone()).collect();
        match self.below(8) {
            0 => {
                let segment = self.below(self.segments.max(1)) as u8;
                let host = self.pick(&[0, 77, 255]);
                Ipv4Addr::new(10, 0, segment, host)
            }
            1 => self.pick(&[Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::BROADCAST]),
            _ if all.is_empty() => Ipv4Addr::LOCALHOST,
            _ => self.pick(&all),
        }
    }

    /// An address of another device in the same segment.
    pub fn neighbour(&mut self, device: usize) -> Option<Ipv4Addr> {
        let (own, segment) = (self.devices[device].space, self.devices[device].segment);
        let others = self.devices.iter().filter(|other| other.segment == segment && other.space != own);
        let all: Vec<Ipv4Addr> = others.flat_map(|other| other.addresses.clone()).collect();
        (!all.is_empty()).then(|| self.pick(&all))
    }

    /// The whole plan.
    pub fn plan(self, name: String) -> Plan {
        let blocks = self.blocks.into_iter().filter(|prompts| !prompts.is_empty());
        let mut blocks: Vec<_> = blocks.map(|prompts| PlannedBlock { line: 0, prompts }).collect();
        number(&mut blocks);
        let dumps = dumps(&blocks);
        Plan { lesson: name, topology: self.topology, blocks, dumps }
    }
}

/// Numbers blocks and prompts through, in place of lines.
pub(super) fn number(blocks: &mut [PlannedBlock]) {
    let mut line = 0;
    for block in blocks {
        for prompt in &mut block.prompts {
            line += 1;
            prompt.line = line;
        }
        // Tables are read behind the prompts.
        block.line = line;
    }
}
