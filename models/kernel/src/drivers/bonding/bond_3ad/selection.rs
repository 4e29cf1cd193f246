//! The aggregator of a port, and the one that the bond sends by.
//!
//! Kernel: drivers/net/bonding/bond_3ad.c

use glassnet_wire::lacp::LACP_STATE_SYNCHRONIZATION;

use super::{AD_DUPLEX_KEY_MASKS, Follow, Lacp, SPEEDS, link_speed};
use crate::tables::bond_3ad::{Aggregator, Port};
use crate::tables::bonding::{Opt, Slave};
use crate::tables::klog::{LOG_ERR, LOG_INFO, LOG_WARNING};

/// How the best aggregator is chosen (`BOND_AD_*`); the other way is by bandwidth, again at each change.
const BOND_AD_STABLE: u32 = 0;
const BOND_AD_COUNT: u32 = 2;

impl Lacp<'_> {
    /// The place of the slave that has a port.
    fn port_at(&self, number: u16) -> Option<usize> {
        self.bond.slaves.iter().position(|slave| slave.ad.port.actor_port_number == number)
    }

    fn agg(&self, at: usize) -> &Aggregator {
        &self.bond.slaves[at].ad.aggregator
    }

    /// The place of the slave whose aggregator the bond sends by.
    fn active(&self) -> Option<usize> {
        self.bond.slaves.iter().position(|slave| slave.ad.aggregator.is_active)
    }

    fn ports_of(&self, at: usize) -> Vec<usize> {
        self.agg(at).lag_ports.iter().filter_map(|number| self.port_at(*number)).collect()
    }

    /// The aggregator has no port any more (`ad_clear_agg`).
    pub(super) fn ad_clear_agg(&mut self, at: usize) {
        let agg = &mut self.bond.slaves[at].ad.aggregator;
        *agg = Aggregator { aggregator_identifier: agg.aggregator_identifier, ..Aggregator::default() };
    }

    /// Looks for the aggregator of a port that has none or lost its own: one of ports with the same key and the same partner, or a
    /// free one.
    pub(super) fn ad_port_selection_logic(&mut self, at: usize) {
        let port = &self.bond.slaves[at].ad.port;
        if port.selected {
            return;
        }
        let number = port.actor_port_number;
        self.leave_aggregator(at);
        let port = &self.bond.slaves[at].ad.port;
        let suits = |slave: &Slave| suits(&slave.ad.aggregator, port);
        let is_free = |slave: &Slave| slave.ad.aggregator.lag_ports.is_empty();
        let known = self.bond.slaves.iter().position(suits);
        let Some(chosen) = known.or_else(|| self.bond.slaves.iter().position(is_free)) else {
            return self.log(LOG_ERR, at, format!("Port {number} did not find a suitable aggregator"));
        };
        let (key, partner) = (port.actor_oper_port_key, port.partner_oper);
        let agg = &mut self.bond.slaves[chosen].ad.aggregator;
        if known.is_none() {
            agg.is_individual = key & AD_DUPLEX_KEY_MASKS == 0;
            agg.actor_oper_aggregator_key = key;
            agg.partner_system = partner.system;
            agg.partner_system_priority = partner.system_priority;
            agg.partner_oper_aggregator_key = partner.key;
        }
        agg.lag_ports.insert(0, number);
        let identifier = agg.aggregator_identifier;
        let port = &mut self.bond.slaves[at].ad.port;
        (port.aggregator, port.selected) = (identifier, true);
        self.ad_agg_selection_logic();
        if !self.agg(chosen).is_active {
            self.bond.slaves[at].ad.port.actor_oper_port_state &= !LACP_STATE_SYNCHRONIZATION;
        }
    }

    fn leave_aggregator(&mut self, at: usize) {
        let port = &mut self.bond.slaves[at].ad.port;
        let (number, identifier) = (port.actor_port_number, std::mem::take(&mut port.aggregator));
        let is_its = |slave: &Slave| slave.ad.aggregator.aggregator_identifier == identifier;
        let Some(left) = self.bond.slaves.iter().position(is_its) else { return };
        let ports = &mut self.bond.slaves[left].ad.aggregator.lag_ports;
        ports.retain(|port| *port != number);
        if ports.is_empty() {
            self.ad_clear_agg(left);
        }
    }

    /// Other ports of a slave's aggregator get another one before the slave goes.
    pub(super) fn replace_aggregator(&mut self, at: usize) {
        let number = self.bond.slaves[at].ad.port.actor_port_number;
        let agg = self.agg(at).clone();
        let is_free = |slave: &Slave| {
            let ports = &slave.ad.aggregator.lag_ports;
            ports.is_empty() || *ports == [number]
        };
        match self.bond.slaves.iter().position(is_free) {
            _ if agg.lag_ports.is_empty() => {}
            _ if agg.lag_ports == [number] => {
                self.ad_clear_agg(at);
                if agg.is_active {
                    self.active_aggregator_goes(at);
                }
            }
            Some(new) => {
                let lost_active = self.agg(new).is_active;
                let aggregator_identifier = self.agg(new).aggregator_identifier;
                for port in self.ports_of(at) {
                    self.bond.slaves[port].ad.port.aggregator = aggregator_identifier;
                }
                self.bond.slaves[new].ad.aggregator = Aggregator { aggregator_identifier, ..agg };
                self.ad_clear_agg(at);
                if lost_active {
                    self.active_aggregator_goes(at);
                }
            }
            None => {
                let text = "unbinding aggregator, and could not find a new aggregator for its ports";
                self.log(LOG_WARNING, at, text.to_owned());
            }
        }
    }

    /// The aggregator that the bond sends by went with a slave.
    pub(super) fn active_aggregator_goes(&mut self, at: usize) {
        self.log(LOG_INFO, at, "Removing an active aggregator".to_owned());
        self.ad_agg_selection_logic();
    }

    /// Chooses the aggregator that the bond sends by.
    pub(super) fn ad_agg_selection_logic(&mut self) {
        let active = self.active();
        let mut best = active.filter(|active| self.device_up(*active));
        for at in 0..self.bond.slaves.len() {
            self.bond.slaves[at].ad.aggregator.is_active = false;
            if self.bond.active_ports(self.agg(at)) > 0 && self.device_up(at) {
                best = Some(self.ad_agg_selection_test(best, at));
            }
        }
        if let (Some(new), Some(old)) = (best, active)
            && (new == old || self.bond.opt(Opt::AdSelect) == BOND_AD_STABLE && self.stays(old, new))
        {
            self.bond.slaves[old].ad.aggregator.is_active = true;
            best = None;
        }
        if let Some(best) = best {
            if self.agg(best).is_individual {
                self.follows.push(Follow::NoPartner);
            }
            self.bond.slaves[best].ad.aggregator.is_active = true;
            let former = active.map_or(Vec::new(), |active| self.ports_of(active));
            former.into_iter().for_each(|port| self.disable_port(port));
        }
        if let Some(active) = self.active().filter(|active| !self.agg(*active).has_partner()) {
            self.ports_of(active).into_iter().for_each(|port| self.enable_port(port));
        }
        self.set_carrier();
    }

    /// The aggregator of now stays although another one is better: it works, and it has a partner or neither has one.
    fn stays(&self, old: usize, new: usize) -> bool {
        let (old, new) = (self.agg(old), self.agg(new));
        self.bond.active_ports(old) > 0
            && (old.has_partner() || !new.has_partner())
            && (old.actor_oper_aggregator_key != 0 || new.actor_oper_aggregator_key == 0)
    }

    /// The better one of two aggregators.
    fn ad_agg_selection_test(&self, best: Option<usize>, at: usize) -> usize {
        let Some(best) = best else { return at };
        let rank = |at: usize| {
            let agg = self.agg(at);
            let count =
                if self.bond.opt(Opt::AdSelect) == BOND_AD_COUNT { self.bond.active_ports(agg) } else { 0 };
            (!agg.is_individual, agg.has_partner(), count, self.bandwidth(at))
        };
        if rank(at) > rank(best) { at } else { best }
    }

    /// All ports of an aggregator together, Mbit/s; they are as fast as the first (`__get_agg_bandwidth`).
    fn bandwidth(&self, at: usize) -> u32 {
        let agg = self.agg(at);
        let first = agg.lag_ports.first().and_then(|number| self.port_at(*number));
        let speed = first.map_or(0, |first| link_speed(&self.bond.slaves[first]));
        let speed = usize::from(speed).checked_sub(2).map_or(0, |at| SPEEDS[at]);
        self.bond.active_ports(agg) * speed
    }

    /// The device of one of its ports works (`agg_device_up`).
    fn device_up(&self, at: usize) -> bool {
        self.ports_of(at).into_iter().any(|port| self.up.contains(&self.bond.slaves[port].dev))
    }

    /// The bond has a carrier if the aggregator that it sends by has enough ports.
    pub(super) fn set_carrier(&mut self) {
        let min_links = self.bond.opt(Opt::MinLinks);
        let active = self.bond.active_aggregator();
        let works = active.is_some_and(|agg| self.bond.active_ports(agg) >= min_links);
        if works != self.carrier {
            self.carrier = works;
            self.follows.push(Follow::Carrier(works));
        }
    }
}

/// A port may join the others of an aggregator.
fn suits(agg: &Aggregator, port: &Port) -> bool {
    let partner = &port.partner_oper;
    !agg.lag_ports.is_empty()
        && agg.actor_oper_aggregator_key == port.actor_oper_port_key
        && agg.partner_system == partner.system
        && agg.partner_system_priority == partner.system_priority
        && agg.partner_oper_aggregator_key == partner.key
        && agg.has_partner()
        && !agg.is_individual
}
