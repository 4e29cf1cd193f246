//! A bridge as OpenFlow has it: ports, tables of flows, and stations that were learned.

use std::collections::{BTreeMap, BTreeSet};

use glassnet_kernel::net::openvswitch::flow::{field_to_mac, mac_to_field};
use glassnet_kernel::tables::openvswitch::flow::{KeyField, SwFlowKey};
use glassnet_sim::Nanos;
use glassnet_wire::Mac;

use super::actions::OfpAct;
use super::classifier::{Classifier, RuleId};
use super::groups::{Group, GroupType};
use super::matching::Match;
use super::ports::PortNames;
use super::tunnel::TunnelConfig;
use super::xlate::Counted;

/// Priority of a flow that does not say one (`OFP_DEFAULT_PRIORITY`).
pub const DEFAULT_PRIORITY: u16 = 0x8000;
/// How long a station is remembered, seconds (`MAC_ENTRY_DEFAULT_IDLE_TIME`).
pub const MAC_IDLE: u64 = 300;

/// Which VLANs a port carries, and which of them without a tag (`enum port_vlan_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VlanMode {
    /// One, without a tag.
    Access,
    /// Several, with tags.
    Trunk,
    /// As a trunk; frames without a tag are of the native VLAN, which has tags on the way out.
    NativeTagged,
    /// The same, but the native VLAN has no tags.
    NativeUntagged,
}

/// A port.
#[derive(Clone, Debug)]
pub struct OfPort {
    /// Its name, which is its device's.
    pub name: String,
    /// Its number in the datapath; a patch has none.
    pub dp_port: Option<u32>,
    /// The datapath made its device.
    pub is_internal: bool,
    /// How it has VLANs.
    pub vlan_mode: VlanMode,
    /// Its VLAN without a tag, or of frames without one.
    pub tag: u64,
    /// The VLANs of a trunk; none: all.
    pub trunks: BTreeSet<u64>,
    /// Ports are flooded in the order of these.
    pub added: u64,
    /// What it is, if it is no device of the datapath.
    pub vport: Option<Vport>,
}

/// A port that is no device of the datapath (`struct netdev_vport`).
#[derive(Clone, Debug)]
pub struct Vport {
    /// What it does.
    pub kind: VportKind,
    /// An address by chance, as every port has one.
    pub mac: Mac,
    /// Packets that came in, and their bytes.
    pub rx: (u64, u64),
    /// Packets that went out.
    pub tx: (u64, u64),
}

/// What such a port does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VportKind {
    /// A tunnel, by a device that others use too.
    Tunnel(TunnelConfig),
    /// What goes out comes in by this port, perhaps of another bridge.
    Patch(String),
}

impl VportKind {
    /// The same, perhaps set otherwise.
    pub fn is_like(&self, other: &VportKind) -> bool {
        match (self, other) {
            (VportKind::Tunnel(one), VportKind::Tunnel(other)) => one.kind == other.kind,
            (VportKind::Patch(_), VportKind::Patch(_)) => true,
            _ => false,
        }
    }
}

impl OfPort {
    /// How it is set, if it is a tunnel.
    pub fn tunnel(&self) -> Option<&TunnelConfig> {
        match &self.vport.as_ref()?.kind {
            VportKind::Tunnel(config) => Some(config),
            VportKind::Patch(_) => None,
        }
    }

    /// The port at the other end, if it is a patch.
    pub fn peer(&self) -> Option<&str> {
        match &self.vport.as_ref()?.kind {
            VportKind::Patch(peer) => Some(peer),
            VportKind::Tunnel(_) => None,
        }
    }

    /// A trunk carries the VLAN.
    pub fn trunks_vlan(&self, vid: u64) -> bool {
        let is_native = self.vlan_mode != VlanMode::Trunk && vid == self.tag;
        self.trunks.is_empty() || self.trunks.contains(&vid) || is_native
    }

    /// It carries the VLAN (`xbundle_includes_vlan`).
    pub fn includes_vlan(&self, vid: u64) -> bool {
        match self.vlan_mode {
            VlanMode::Access => vid == self.tag,
            _ => self.trunks_vlan(vid),
        }
    }

    /// The VLAN of a frame that came in with this tag; 0: none.
    pub fn input_vid(&self, vid: u64) -> u64 {
        match (self.vlan_mode, vid) {
            (VlanMode::Access, _) | (VlanMode::NativeTagged | VlanMode::NativeUntagged, 0) => self.tag,
            _ => vid,
        }
    }

    /// The tag that a frame of a VLAN has on the way out; 0: none.
    pub fn output_vid(&self, vid: u64) -> u64 {
        match self.vlan_mode {
            VlanMode::Access => 0,
            VlanMode::NativeUntagged if vid == self.tag => 0,
            _ => vid,
        }
    }
}

/// A flow.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its table.
    pub table: u8,
    /// Which of several is taken: the one with the greatest.
    pub priority: u16,
    /// Which packets it means.
    pub matching: Match,
    /// What is done with them.
    pub acts: Vec<OfpAct>,
    /// A number of the user's.
    pub cookie: u64,
    /// Seconds without a packet after which it goes; 0: it stays.
    pub idle_timeout: u16,
    /// Seconds after which it goes; 0: it stays.
    pub hard_timeout: u16,
    /// It was added as one whose counters begin anew.
    pub reset_counts: bool,
    /// Since when it is there.
    pub created: Nanos,
    /// When it was changed last.
    pub modified: Nanos,
    /// When a packet came last, or it was made.
    pub used: Nanos,
    /// Packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A station.
#[derive(Clone, Copy, Debug)]
pub struct MacEntry {
    /// Its address.
    pub mac: u64,
    /// Its VLAN.
    pub vlan: u64,
    /// The port behind which it is.
    pub port: u32,
    /// When it was heard of last.
    pub used: Nanos,
}

/// A bridge.
#[derive(Debug, Default)]
pub struct Bridge {
    /// Its name.
    pub name: String,
    /// Its ports, by OpenFlow's number.
    pub ports: BTreeMap<u32, OfPort>,
    /// Its flows.
    pub rules: BTreeMap<RuleId, Rule>,
    tables: BTreeMap<u8, Classifier>,
    /// Its groups, by number.
    pub groups: BTreeMap<u32, Group>,
    made: RuleId,
    last_port: u32,
    /// The address that its own device began with.
    pub default_ea: Option<Mac>,
    /// What it does without a controller: nothing (`secure`), or as an ordinary switch.
    pub is_secure: bool,
    /// Stations, the one heard of last at the end.
    pub macs: Vec<MacEntry>,
    /// How long they are remembered, seconds.
    pub mac_idle: u64,
    /// Stations learned so far.
    pub learned: u64,
    /// Stations forgotten for they were not heard of.
    pub expired: u64,
    /// Stations that were heard of behind another port.
    pub moved: u64,
    /// Flows of the datapath may be wrong.
    pub need_revalidate: bool,
}

impl Bridge {
    /// A bridge without ports.
    pub fn new(name: &str, is_secure: bool, now: Nanos) -> Bridge {
        let mut bridge = Bridge { name: name.to_owned(), mac_idle: MAC_IDLE, ..Bridge::default() };
        bridge.set_fail_mode(is_secure, now);
        bridge
    }

    /// All flows go; a bridge that is not `secure` begins with one that does as an ordinary switch does.
    pub fn set_fail_mode(&mut self, is_secure: bool, now: Nanos) {
        self.is_secure = is_secure;
        (self.rules, self.tables) = (BTreeMap::new(), BTreeMap::new());
        self.need_revalidate = true;
        if is_secure {
            return;
        }
        self.add(Rule {
            table: 0,
            priority: 0,
            matching: Match::default(),
            acts: vec![OfpAct::Output(super::ports::NORMAL)],
            cookie: 0,
            idle_timeout: 0,
            hard_timeout: 0,
            reset_counts: false,
            created: now,
            modified: now,
            used: now,
            packets: 0,
            bytes: 0,
        });
    }

    /// Names of its ports.
    pub fn names(&self, show: bool) -> PortNames {
        let ports = self.ports.iter().map(|(number, port)| (*number, port.name.clone())).collect();
        PortNames { ports, show }
    }

    /// The OpenFlow number of the port that a packet came in by; of several tunnels the closest.
    pub fn received_by(&self, flow: &SwFlowKey) -> Option<((bool, bool, u8), u32)> {
        let dp_port = Some(flow[KeyField::InPort] as u32);
        let of_dp_port = self.ports.iter().filter(|(_, port)| port.dp_port == dp_port);
        let fits = |(number, port): (&u32, &OfPort)| match port.tunnel() {
            Some(tunnel) => tunnel.receives(flow).map(|closeness| (closeness, *number)),
            None => Some(((false, false, 0), *number)),
        };
        of_dp_port.filter_map(fits).min()
    }

    /// The next number that no port has; one that was given comes again only when all were (`alloc_ofp_port`).
    pub fn alloc_port(&mut self) -> Option<u32> {
        let next = |n: u32| (self.last_port + n) % (super::ports::MAX - 1) + 1;
        let port = (0..super::ports::MAX - 1).map(next).find(|port| !self.ports.contains_key(port))?;
        self.last_port = port;
        Some(port)
    }

    /// Adds a flow; one with the same match and priority gives way.
    pub fn add(&mut self, rule: Rule) {
        let same = |other: &Rule| {
            (other.table, other.priority, other.matching) == (rule.table, rule.priority, rule.matching)
        };
        let before: Vec<RuleId> =
            self.rules.iter().filter(|(_, other)| same(other)).map(|(id, _)| *id).collect();
        before.into_iter().for_each(|id| self.remove(id));
        self.made += 1;
        self.tables.entry(rule.table).or_default().insert(&rule.matching, rule.priority, self.made);
        self.rules.insert(self.made, rule);
        self.need_revalidate = true;
    }

    /// Removes a flow.
    pub fn remove(&mut self, id: RuleId) {
        let Some(rule) = self.rules.remove(&id) else { return };
        if let Some(table) = self.tables.get_mut(&rule.table) {
            table.remove(&rule.matching, id);
        }
        self.need_revalidate = true;
    }

    /// Flows as they are listed.
    pub fn listed(&self) -> Vec<RuleId> {
        self.tables.values().flat_map(Classifier::iter).collect()
    }

    /// The flow of a packet; `wc` gets the bits that decided.
    pub fn lookup(&self, table: u8, key: &SwFlowKey, wc: &mut SwFlowKey) -> Option<RuleId> {
        self.tables.get(&table)?.lookup(key, wc)
    }

    /// A flow, a bucket or a port counts packets.
    pub fn count(&mut self, what: Counted, (packets, bytes): (u64, u64), used: Nanos) {
        let add = |counted: &mut (u64, u64)| *counted = (counted.0 + packets, counted.1 + bytes);
        match what {
            Counted::Rule(id) => {
                if let Some(rule) = self.rules.get_mut(&id) {
                    rule.packets += packets;
                    rule.bytes += bytes;
                    rule.used = rule.used.max(used);
                }
            }
            Counted::Bucket(id, at) => {
                if let Some(group) = self.groups.get_mut(&id) {
                    // `all` is one packet for the group, however many buckets get it.
                    if at == 0 || group.kind == GroupType::FastFailover {
                        add(&mut group.counted);
                    }
                    group.buckets.get_mut(at).into_iter().for_each(|bucket| add(&mut bucket.counted));
                }
            }
            Counted::Rx(port) | Counted::Tx(port) => {
                if let Some(vport) = self.ports.get_mut(&port).and_then(|port| port.vport.as_mut()) {
                    add(if matches!(what, Counted::Rx(_)) { &mut vport.rx } else { &mut vport.tx });
                }
            }
        }
    }

    /// Removes flows whose time has come.
    pub fn expire(&mut self, now: Nanos) {
        let passed = |since: Nanos, seconds: u16| {
            seconds != 0 && now.since(since) >= Nanos::from_secs(u64::from(seconds))
        };
        let is_over =
            |rule: &Rule| passed(rule.modified, rule.hard_timeout) || passed(rule.used, rule.idle_timeout);
        let over: Vec<RuleId> =
            self.rules.iter().filter(|(_, rule)| is_over(rule)).map(|(id, _)| *id).collect();
        over.into_iter().for_each(|id| self.remove(id));
        let idle = Nanos::from_secs(self.mac_idle);
        let before = self.macs.len();
        self.macs.retain(|entry| now.since(entry.used) < idle);
        self.expired += (before - self.macs.len()) as u64;
        self.need_revalidate |= self.macs.len() != before;
    }

    /// The station is behind this port (`mac_learning_update`).
    pub fn learn(&mut self, mac: u64, vlan: u64, port: u32, now: Nanos) {
        if field_to_mac(mac).is_multicast() {
            return;
        }
        let at = self.macs.iter().position(|entry| (entry.mac, entry.vlan) == (mac, vlan));
        let before = at.map(|at| self.macs.remove(at));
        match before {
            None => self.learned += 1,
            Some(entry) if entry.port != port => self.moved += 1,
            Some(_) => {}
        }
        self.need_revalidate |= before.is_none_or(|entry| entry.port != port);
        self.macs.push(MacEntry { mac, vlan, port, used: now });
    }

    /// The port behind which a station is.
    pub fn mac_port(&self, mac: u64, vlan: u64) -> Option<u32> {
        self.macs.iter().find(|entry| (entry.mac, entry.vlan) == (mac, vlan)).map(|entry| entry.port)
    }

    /// A port is gone, and what was learned behind it.
    pub fn remove_port(&mut self, port: u32) {
        self.ports.remove(&port);
        self.macs.retain(|entry| entry.port != port);
        self.need_revalidate = true;
    }

    /// The ports in the order in which they were added.
    pub fn in_order(&self) -> Vec<u32> {
        let mut ports: Vec<(u64, u32)> =
            self.ports.iter().map(|(number, port)| (port.added, *number)).collect();
        ports.sort_unstable();
        ports.into_iter().map(|(_, number)| number).collect()
    }
}

/// Addresses that no bridge forwards (`eth_addr_is_reserved`).
pub fn is_reserved(mac: u64) -> bool {
    const RANGES: [[u8; 6]; 2] = [[0x01, 0x80, 0xc2, 0, 0, 0], [0x01, 0x80, 0xc2, 0, 0, 0x20]];
    const CISCO: [[u8; 6]; 3] = [
        [0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcc],
        [0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcd],
        [0x01, 0x00, 0x0c, 0xcd, 0xcd, 0xcd],
    ];
    let in_range = |from: [u8; 6]| (mac_to_field(Mac(from))..mac_to_field(Mac(from)) + 16).contains(&mac);
    RANGES.into_iter().any(in_range) || CISCO.into_iter().any(|one| mac_to_field(Mac(one)) == mac)
}

/// Whether an ARP message is gratuitous: the bits that tell are looked at (`is_gratuitous_arp`).
pub fn look_at_arp(key: &SwFlowKey, wc: &mut SwFlowKey) {
    if !key.is_arp() || !field_to_mac(key[KeyField::EthDst]).is_broadcast() {
        return;
    }
    wc[KeyField::IpProto] = KeyField::IpProto.full();
    if key[KeyField::IpProto] == 1 {
        wc[KeyField::Ipv4Src] = KeyField::Ipv4Src.full();
        wc[KeyField::Ipv4Dst] = KeyField::Ipv4Dst.full();
    }
}
