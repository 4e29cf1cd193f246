//! From a packet and the flows of a bridge to actions of the datapath, and which bits of the packet decided: a "megaflow".

use glassnet_kernel::tables::openvswitch::flow::{FlowAction, KeyField, SwFlowKey, VLAN_CFI};
use glassnet_kernel::tables::vlan_tag::VlanProto;
use glassnet_sim::Nanos;

use super::actions::{OfpAct, with_vlan};
use super::classifier::RuleId;
use super::field::{DSCP, Needs, has};
use super::matching::{PCP, PCP_SHIFT, VID};
use super::ofproto::{Bridge, VlanMode, is_reserved, look_at_arp};
use super::ports::{self, PortNames};

/// How often a packet may be looked up again (`MAX_DEPTH`).
const MAX_DEPTH: u32 = 64;

/// The result.
#[derive(Debug, Default)]
pub struct Xlated {
    /// Actions of the datapath; none: drop.
    pub actions: Vec<FlowAction>,
    /// Which bits of the packet decided, `in_port` in OpenFlow's number.
    pub wc: SwFlowKey,
    /// The flows that it met.
    pub rules: Vec<RuleId>,
    /// What was learned: address, VLAN and port.
    pub learned: Option<(u64, u64, u32)>,
    /// What `ofproto/trace` tells.
    pub report: Vec<String>,
    /// The packet's fields at the end.
    pub flow: SwFlowKey,
}

/// Translation of one packet.
struct Xlate<'b> {
    bridge: &'b Bridge,
    out: Xlated,
    flow: SwFlowKey,
    /// The fields as the datapath has them by now.
    base: SwFlowKey,
    in_port: u32,
    depth: u32,
    /// How many of them stand within others in the report.
    nested: usize,
}

/// Translates a packet, whose `in_port` is OpenFlow's number.
pub fn xlate(bridge: &Bridge, flow: &SwFlowKey) -> Xlated {
    let in_port = flow[KeyField::InPort] as u32;
    let mut out = Xlated::default();
    for field in [KeyField::InPort, KeyField::EthType] {
        out.wc[field] = field.full();
    }
    if flow.is_ipv4() {
        out.wc[KeyField::IpFrag] = KeyField::IpFrag.full();
    }
    let mut ctx = Xlate { bridge, out, flow: *flow, base: *flow, in_port, depth: 0, nested: 0 };
    ctx.table(0, in_port);
    ctx.finish()
}

impl Bridge {
    /// What follows from a packet is remembered: counters, and where its sender is.
    pub fn apply(&mut self, done: &Xlated, counted: (u64, u64), now: Nanos) {
        for rule in &done.rules {
            self.credit(*rule, counted, now);
        }
        if let Some((mac, vlan, port)) = done.learned {
            self.learn(mac, vlan, port, now);
        }
    }
}

impl Xlate<'_> {
    fn say(&mut self, indent: usize, line: impl AsRef<str>) {
        self.out.report.push(format!("{:indent$}{}", "", line.as_ref()));
    }

    /// Where actions stand in the report.
    fn margin(&self) -> usize {
        8 * self.nested + 4
    }

    /// A note below an action.
    fn detail(&mut self, line: &str) {
        self.say(self.margin() + 1, format!("-> {line}"));
    }

    /// Why the packet is not taken.
    fn refuse(&mut self, line: &str) {
        self.say(self.margin() + 1, format!(">>>> {line} <<<<"));
        self.say(self.margin() + 1, ">> disallowed VLAN VID for this input port, dropping");
    }

    fn table(&mut self, table: u8, in_port: u32) {
        let start = (8 * self.nested).saturating_sub(4);
        let mut key = self.flow;
        key[KeyField::InPort] = u64::from(in_port);
        let Some(id) = self.bridge.lookup(table, &key, &mut self.out.wc) else {
            self.say(start, format!("{table:2}. No match."));
            return self.say(self.margin(), "drop");
        };
        self.out.rules.push(id);
        let rule = &self.bridge.rules[&id];
        let matching = rule.matching.format(&PortNames::default());
        let comma = if matching.is_empty() { "" } else { ", " };
        let cookie = if rule.cookie == 0 { String::new() } else { format!(", cookie {:#x}", rule.cookie) };
        self.say(start, format!("{table:2}. {matching}{comma}priority {}{cookie}", rule.priority));
        let acts = rule.acts.clone();
        if acts.is_empty() {
            self.say(self.margin(), "drop");
        }
        for (at, act) in acts.iter().enumerate() {
            self.act(act, (table, in_port), at + 1 == acts.len());
        }
    }

    fn act(&mut self, act: &OfpAct, (table, in_port): (u8, u32), is_last: bool) {
        self.say(self.margin(), act.format(&PortNames::default()));
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
            OfpAct::Resubmit(port, to) => {
                self.resubmit(port.unwrap_or(in_port), to.unwrap_or(table), is_last)
            }
        }
    }

    fn resubmit(&mut self, in_port: u32, table: u8, is_last: bool) {
        if self.depth >= MAX_DEPTH {
            return self.detail("over max translation depth 64");
        }
        self.depth += 1;
        let deeper = usize::from(!is_last);
        self.nested += deeper;
        self.table(table, in_port);
        self.nested -= deeper;
        self.depth -= 1;
    }

    fn set(&mut self, field: KeyField, value: u64, needs: Needs) {
        let all = SwFlowKey::default();
        let mut exact = all;
        KeyField::ALL.into_iter().for_each(|field| exact[field] = field.full());
        if !has(&self.flow, &exact, needs) {
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
            port if port == self.in_port => self.detail("skipping output to input port"),
            port => self.compose_output(port),
        }
    }

    /// Sends the packet as it is now to a port.
    fn compose_output(&mut self, port: u32) {
        let Some(dp_port) = self.bridge.ports.get(&port).map(|port| port.dp_port) else {
            return self.detail("Nonexistent output port");
        };
        self.commit();
        self.out.actions.push(FlowAction::Output(dp_port));
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
        self.out.learned = Some((self.flow[KeyField::EthSrc], vlan, self.in_port));
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

    fn finish(mut self) -> Xlated {
        // Whether there is a tag is always looked at with what is in it.
        if self.out.wc[KeyField::VlanTci] != 0 {
            self.out.wc[KeyField::VlanTci] |= VLAN_CFI;
        }
        self.out.flow = self.flow;
        self.out
    }
}
