//! From a packet and the flows of a bridge to actions of the datapath, and which bits of the packet decided: a "megaflow".

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use glassnet_kernel::tables::ip_tunnel::{IpTunnelInfo, IpTunnelKey};
use glassnet_kernel::tables::openvswitch::flow::{FlowAction, KeyField, SwFlowKey, VLAN_CFI};
use glassnet_kernel::tables::vlan_tag::VlanProto;
use glassnet_sim::Nanos;

use super::actions::{Bits, OfpAct, with_vlan};
use super::classifier::RuleId;
use super::field::{DSCP, Needs, has};
use super::groups::{Bucket, GroupType};
use super::matching::{PCP, PCP_SHIFT, VID};
use super::ofproto::{Bridge, VlanMode, is_reserved, look_at_arp};
use super::ports::{self, PortNames};
use super::report::{Line, Report};
use super::tunnel::{TunnelConfig, tnl_process_ecn, tnl_wc_init};

/// How often a packet may be looked up again (`MAX_DEPTH`).
const MAX_DEPTH: u32 = 64;

/// The result.
#[derive(Debug, Default)]
pub struct Xlated {
    /// Actions of the datapath; none: drop.
    pub actions: Vec<FlowAction>,
    /// Which bits of the packet decided, `in_port` in OpenFlow's number.
    pub wc: SwFlowKey,
    /// What counts the packet.
    pub counts: Vec<Count>,
    /// What was learned: bridge, address, VLAN and port.
    pub learned: Vec<(String, u64, u64, u32)>,
    /// What `ofproto/trace` tells.
    pub report: Report,
    /// The packet's fields at the end.
    pub flow: SwFlowKey,
}

/// What counts a packet, of a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// The bridge.
    pub bridge: String,
    /// What it is there.
    pub what: Counted,
}

/// As [`Count::what`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// A flow.
    Rule(RuleId),
    /// A group and its bucket.
    Bucket(u32, usize),
    /// A port that is no device of the datapath, which got the packet.
    Rx(u32),
    /// The same, which sent it.
    Tx(u32),
}

/// Translation of one packet.
struct Xlate<'b> {
    bridges: &'b BTreeMap<String, Bridge>,
    bridge: &'b Bridge,
    out: Xlated,
    flow: SwFlowKey,
    /// The fields as the datapath has them by now.
    base: SwFlowKey,
    in_port: u32,
    /// Where the packet came to, if it came through a tunnel.
    own_end: Ipv4Addr,
    depth: u32,
    /// Through how many patches it went.
    patches: u32,
    /// The devices of ports work.
    works: &'b dyn Fn(u32) -> bool,
}

/// Translates a packet of a bridge, whose `in_port` is OpenFlow's number; `works`: the device of a port of the datapath does. `None`:
/// there is no such bridge.
pub fn xlate(
    bridges: &BTreeMap<String, Bridge>,
    name: &str,
    flow: &SwFlowKey,
    works: &dyn Fn(u32) -> bool,
) -> Option<Xlated> {
    let bridge = bridges.get(name)?;
    let in_port = flow[KeyField::InPort] as u32;
    let mut out = Xlated::default();
    for field in [KeyField::InPort, KeyField::EthType] {
        out.wc[field] = field.full();
    }
    if flow.is_ipv4() {
        out.wc[KeyField::IpFrag] = KeyField::IpFrag.full();
    }
    tnl_wc_init(flow, &mut out.wc);
    let (base, own_end) = (*flow, flow.tunnel().dst);
    let mut ctx =
        Xlate { bridges, bridge, out, flow: *flow, base, in_port, own_end, depth: 0, patches: 0, works };
    ctx.out.report.enter(Line::Bridge, format!("bridge(\"{name}\")"));
    if bridge.ports.get(&in_port).is_some_and(|port| port.tunnel().is_some()) {
        ctx.count(Counted::Rx(in_port));
    }
    ctx.table(0, in_port, tnl_process_ecn);
    ctx.out.report.leave();
    Some(ctx.finish(flow))
}

/// What follows from a packet is remembered: counters, and where its sender is.
pub fn apply(bridges: &mut BTreeMap<String, Bridge>, done: &Xlated, counted: (u64, u64), now: Nanos) {
    for Count { bridge, what } in &done.counts {
        if let Some(bridge) = bridges.get_mut(bridge) {
            bridge.count(*what, counted, now);
        }
    }
    for (bridge, mac, vlan, port) in &done.learned {
        if let Some(bridge) = bridges.get_mut(bridge) {
            bridge.learn(*mac, *vlan, *port, now);
        }
    }
}

impl<'b> Xlate<'b> {
    fn say(&mut self, line: Line, text: &str) {
        self.out.report.say(line, text);
    }

    /// A note below an action.
    fn detail(&mut self, text: &str) {
        self.say(Line::Detail, text);
    }

    /// Why the packet is not taken.
    fn refuse(&mut self, text: &str) {
        self.say(Line::Error, text);
        self.say(Line::Warn, "disallowed VLAN VID for this input port, dropping");
    }

    fn count(&mut self, what: Counted) {
        self.out.counts.push(Count { bridge: self.bridge.name.clone(), what });
    }

    /// Looks a packet up; `takes` may refuse it once it is found.
    fn table(&mut self, table: u8, in_port: u32, takes: fn(&mut SwFlowKey) -> bool) {
        let mut key = self.flow;
        key[KeyField::InPort] = u64::from(in_port);
        let Some(id) = self.bridge.lookup(table, &key, &mut self.out.wc) else {
            // Behind a patch the flow of what no flow is for is told as it is.
            let text = if self.patches == 0 { "No match." } else { "reg0=0x2, priority 0" };
            self.out.report.enter(Line::Table, format!("{table:2}. {text}"));
            self.say(Line::Action, "drop");
            return self.out.report.leave();
        };
        self.count(Counted::Rule(id));
        let rule = &self.bridge.rules[&id];
        let matching = rule.matching.format(&PortNames::default());
        let comma = if matching.is_empty() { "" } else { ", " };
        let cookie = if rule.cookie == 0 { String::new() } else { format!(", cookie {:#x}", rule.cookie) };
        let text = format!("{table:2}. {matching}{comma}priority {}{cookie}", rule.priority);
        self.out.report.enter(Line::Table, text);
        let acts = rule.acts.clone();
        if acts.is_empty() {
            self.say(Line::Action, "drop");
        }
        if takes(&mut self.flow) {
            self.acts(&acts, (table, in_port));
        }
        self.out.report.leave();
    }

    /// Does actions, up to one that ends them.
    fn acts(&mut self, acts: &[OfpAct], place: (u8, u32)) {
        for act in acts {
            self.say(Line::Action, &act.format(&PortNames::default(), None));
            if !self.act(act, place) {
                return;
            }
        }
    }

    /// Does an action; false: those that follow are not done.
    fn act(&mut self, act: &OfpAct, (table, in_port): (u8, u32)) -> bool {
        match act {
            OfpAct::Output(port) => self.output(*port),
            OfpAct::Set(field, value) => self.set(field.field, *value, field.needs),
            OfpAct::SetVlanVid(vid) => {
                self.out.wc[KeyField::VlanTci] |= VID | VLAN_CFI;
                with_vlan(&mut self.flow, Some(*vid), None);
            }
            OfpAct::SetVlanPcp(pcp) => {
                self.out.wc[KeyField::VlanTci] |= PCP | VLAN_CFI;
                with_vlan(&mut self.flow, None, Some(*pcp));
            }
            OfpAct::StripVlan => self.flow[KeyField::VlanTci] = 0,
            OfpAct::PushVlan(_) => {
                self.out.wc[KeyField::VlanTci] = KeyField::VlanTci.full();
                with_vlan(&mut self.flow, None, None);
            }
            OfpAct::Resubmit(port, to) => self.resubmit(port.unwrap_or(in_port), to.unwrap_or(table)),
            OfpAct::SetTunnel(id) => self.flow[KeyField::TunId] = *id,
            OfpAct::Load(bits, value) => self.write(*bits, *value),
            OfpAct::Move(from, to) => {
                self.out.wc[from.field.field] = from.field.field.full();
                let value = (self.flow[from.field.field] & from.mask()) >> from.from;
                self.write(*to, value);
                self.out.wc[to.field.field] = to.field.field.full();
                let whole = to.mask() == to.field.field.full();
                let now = if whole { to.field.value(value, to.mask()) } else { format!("{value:#x}") };
                self.detail(&format!("{} is now {now}", to.format()));
            }
            OfpAct::DecTtl => return self.dec_ttl(),
            OfpAct::Group(id) => self.group(*id, (table, in_port)),
        }
        true
    }

    /// Writes bits of a field, if the packet has it.
    fn write(&mut self, bits: Bits, value: u64) {
        let field = bits.field.field;
        if self.has(bits.field.needs) {
            self.out.wc[field] |= bits.mask();
            self.flow[field] = self.flow[field] & !bits.mask() | value << bits.from & bits.mask();
        }
    }

    fn has(&self, needs: Needs) -> bool {
        let mut exact = SwFlowKey::default();
        KeyField::ALL.into_iter().for_each(|field| exact[field] = field.full());
        has(&self.flow, &exact, needs)
    }

    /// False: the packet has no hop left, and goes to a controller, of which there is none.
    fn dec_ttl(&mut self) -> bool {
        if !self.flow.is_ipv4() {
            return true;
        }
        for field in [KeyField::IpTtl, KeyField::IpProto] {
            self.out.wc[field] = field.full();
        }
        if self.flow[KeyField::IpTtl] > 1 {
            self.flow[KeyField::IpTtl] -= 1;
            return true;
        }
        self.say(Line::Warn, "IPv4 decrement TTL exception");
        self.out.actions.push(FlowAction::Userspace);
        false
    }

    /// Does what a group says; each bucket gets the packet as it came.
    fn group(&mut self, id: u32, place: (u8, u32)) {
        let Some(group) = self.bridge.groups.get(&id) else { return };
        let is_live = |bucket: &Bucket| {
            let port = bucket.watch_port.and_then(|port| self.bridge.ports.get(&port));
            port.is_some_and(|port| port.dp_port.is_none_or(|port| (self.works)(port)))
        };
        let chosen: Vec<usize> = match group.kind {
            GroupType::All | GroupType::Indirect => (0..group.buckets.len()).collect(),
            GroupType::FastFailover => group.buckets.iter().position(is_live).into_iter().collect(),
        };
        if chosen.is_empty() {
            self.detail("no live bucket");
        }
        for at in chosen {
            self.count(Counted::Bucket(id, at));
            self.out.report.enter(Line::Bucket, format!("bucket {at}"));
            let before = self.flow;
            self.acts(&group.buckets[at].acts, place);
            self.flow = before;
            self.out.report.leave();
        }
    }

    fn resubmit(&mut self, in_port: u32, table: u8) {
        if self.depth >= MAX_DEPTH {
            return self.say(Line::Error, "over max translation depth 64");
        }
        self.depth += 1;
        self.table(table, in_port, |_| true);
        self.depth -= 1;
    }

    /// What goes out by a patch comes in by the port at its other end.
    fn patch(&mut self, port: u32, peer: &str) {
        let own = self.bridge.ports.get(&port).map(|port| port.name.as_str());
        let find = |bridge: &'b Bridge| {
            let of_name = bridge.ports.iter().find(|(_, port)| port.name == peer && port.peer() == own);
            of_name.map(|(number, _)| (bridge, *number))
        };
        let Some((bridge, number)) = self.bridges.values().find_map(find) else { return };
        self.count(Counted::Tx(port));
        let before = (self.bridge, self.flow, self.in_port);
        (self.bridge, self.in_port) = (bridge, number);
        self.flow.set_tunnel(&IpTunnelKey::default());
        self.flow[KeyField::InPort] = u64::from(number);
        self.count(Counted::Rx(number));
        self.out.report.enter(Line::Bridge, format!("bridge(\"{}\")", bridge.name));
        self.patches += 1;
        self.resubmit(number, 0);
        self.patches -= 1;
        self.out.report.leave();
        (self.bridge, self.flow, self.in_port) = before;
    }

    /// Tells the device of a tunnel where to, and what to write; false: it is not sent.
    fn tunnel(&mut self, port: u32, tunnel: &TunnelConfig) -> bool {
        let before = self.flow.tunnel();
        tunnel.send(&mut self.flow, &mut self.out.wc);
        let key = self.flow.tunnel();
        if key.dst == self.own_end {
            self.say(Line::Warn, "Not tunneling to our own address");
            return false;
        }
        self.count(Counted::Tx(port));
        self.detail("output to kernel tunnel");
        if key != self.base.tunnel() {
            self.base.set_tunnel(&key);
            self.out.actions.push(FlowAction::SetTunnel(Arc::new(IpTunnelInfo::to_send(key))));
        }
        self.flow.set_tunnel(&before);
        true
    }

    fn set(&mut self, field: KeyField, value: u64, needs: Needs) {
        if !self.has(needs) {
            return;
        }
        if needs == Needs::Ports || matches!(needs, Needs::Protocol(_)) {
            self.out.wc[KeyField::IpProto] = KeyField::IpProto.full();
        }
        // Of the type of service the two bits of ECN stay.
        let bits = if field == KeyField::IpTos { DSCP } else { field.full() };
        self.out.wc[field] |= bits;
        self.flow[field] = self.flow[field] & !bits | value & bits;
    }

    fn output(&mut self, port: u32) {
        match port {
            ports::NORMAL => self.normal(),
            ports::FLOOD | ports::ALL => {
                let in_port = self.in_port;
                let others = self.bridge.ports.keys().copied().filter(|port| *port != in_port);
                let mut others: Vec<u32> = others.collect();
                // The bridge's own device has the greatest number and comes first.
                others.sort_by_key(|port| (*port != ports::LOCAL, *port));
                others.into_iter().for_each(|port| self.compose_output(port));
            }
            ports::IN_PORT => self.compose_output(self.in_port),
            port if port == self.in_port => self.say(Line::Warn, "skipping output to input port"),
            port => self.compose_output(port),
        }
    }

    /// Sends the packet as it is now to a port.
    fn compose_output(&mut self, port: u32) {
        let Some(to) = self.bridge.ports.get(&port) else {
            return self.detail("Nonexistent output port");
        };
        if let Some(peer) = to.peer() {
            return self.patch(port, peer);
        }
        if to.tunnel().is_some_and(|tunnel| !self.tunnel(port, tunnel)) {
            return;
        }
        self.commit();
        self.out.actions.extend(to.dp_port.map(FlowAction::Output));
    }

    /// What was changed in the packet is changed in the datapath (`commit_odp_actions`).
    fn commit(&mut self) {
        use KeyField::{EthDst, EthSrc, IpTos, IpTtl, Ipv4Dst, Ipv4Src, TpDst, TpSrc};
        for group in [&[EthSrc, EthDst][..], &[Ipv4Src, Ipv4Dst, IpTos, IpTtl], &[TpSrc, TpDst]] {
            if group.iter().all(|field| self.flow[*field] == self.base[*field]) {
                continue;
            }
            let (mut key, mut mask) = (SwFlowKey::default(), SwFlowKey::default());
            for field in group {
                if self.flow[*field] == self.base[*field] {
                    continue;
                }
                (key[*field], mask[*field]) = (self.flow[*field], self.out.wc[*field]);
                self.base[*field] = self.flow[*field];
            }
            key[KeyField::IpProto] = self.flow[KeyField::IpProto];
            self.out.actions.push(FlowAction::Set { key: Box::new(key), mask: Box::new(mask) });
        }
        let (now, before) = (self.flow[KeyField::VlanTci], self.base[KeyField::VlanTci]);
        if now != before {
            if before & VLAN_CFI != 0 {
                self.out.wc[KeyField::VlanTci] = KeyField::VlanTci.full();
                self.out.actions.push(FlowAction::PopVlan);
            }
            if now & VLAN_CFI != 0 {
                self.out.actions.push(FlowAction::PushVlan(VlanProto::Dot1Q.ethertype(), now as u16));
            }
            self.base[KeyField::VlanTci] = now;
        }
    }

    /// As an ordinary switch does.
    fn normal(&mut self) {
        for field in [KeyField::EthSrc, KeyField::EthDst] {
            self.out.wc[field] = field.full();
        }
        self.out.wc[KeyField::VlanTci] |= VID | VLAN_CFI;
        let Some(input) = self.bridge.ports.get(&self.in_port) else {
            return self.detail("no input bundle, dropping");
        };
        let vid = self.flow[KeyField::VlanTci] & VID;
        if input.vlan_mode == VlanMode::Access && vid != 0 {
            let (name, tag) = (&input.name, input.tag);
            let line = format!(
                "dropping VLAN {vid} tagged packet received on port {name} configured as VLAN {tag} access port"
            );
            return self.refuse(&line);
        }
        if input.vlan_mode != VlanMode::Access
            && !(vid == 0 && input.vlan_mode != VlanMode::Trunk)
            && !input.trunks_vlan(vid)
        {
            let name = &input.name;
            let line = format!(
                "dropping VLAN {vid} packet received on port {name} not configured for trunking VLAN {vid}"
            );
            return self.refuse(&line);
        }
        let vlan = input.input_vid(vid);
        if is_reserved(self.flow[KeyField::EthDst]) {
            return self.detail("packet has reserved destination MAC, dropping");
        }
        look_at_arp(&self.flow, &mut self.out.wc);
        let (bridge, source) = (self.bridge.name.clone(), self.flow[KeyField::EthSrc]);
        self.out.learned.push((bridge, source, vlan, self.in_port));
        match self.bridge.mac_port(self.flow[KeyField::EthDst], vlan) {
            Some(port) if port == self.in_port => self.detail("learned port is input port, dropping"),
            Some(port) => {
                self.detail("forwarding to learned port");
                self.output_normal(port, vlan);
            }
            None => {
                self.detail("no learned MAC for destination, flooding");
                let carries =
                    |port: &u32| *port != self.in_port && self.bridge.ports[port].includes_vlan(vlan);
                let others: Vec<u32> = self.bridge.in_order().into_iter().filter(carries).collect();
                others.into_iter().for_each(|port| self.output_normal(port, vlan));
            }
        }
    }

    /// With the tag that the port wants.
    fn output_normal(&mut self, port: u32, vlan: u64) {
        let Some(vid) = self.bridge.ports.get(&port).map(|port| port.output_vid(vlan)) else { return };
        let before = self.flow[KeyField::VlanTci];
        let pcp = before >> PCP_SHIFT;
        self.flow[KeyField::VlanTci] = if vid == 0 { 0 } else { vid | pcp << PCP_SHIFT | VLAN_CFI };
        self.compose_output(port);
        self.flow[KeyField::VlanTci] = before;
    }

    fn finish(mut self, asked: &SwFlowKey) -> Xlated {
        if asked.tunnel().dst.is_unspecified() {
            self.out.wc.set_tunnel(&IpTunnelKey::default());
        }
        // Whether there is a tag is always looked at with what is in it.
        if self.out.wc[KeyField::VlanTci] != 0 {
            self.out.wc[KeyField::VlanTci] |= VLAN_CFI;
        }
        self.out.flow = self.flow;
        self.out.flow[KeyField::InPort] = asked[KeyField::InPort];
        self.out
    }
}
