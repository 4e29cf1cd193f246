//! Messages that come from a neighbour.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use bytes::Bytes;
use rustbgpd_wire::{
    AddPathMode, AsPathSegment, Capability, DecodeError, Message, OpenMessage, Origin, PathAttribute,
    UpdateMessage, decode_message,
};

use super::{ConnState, Side};
use crate::bird::config::{BgpConfig, Debug};
use crate::bird::daemon::Daemon;
use crate::bird::iface::{Reach, reach};
use crate::bird::route::{Attr, Dest, FromPeer, Hop, Rte, Source};
use crate::bird::value::{Net, Segment, Value, members};
use crate::process::Process;

/// The flags of an attribute on the wire: optional, transitive, partial.
pub const OPTIONAL: u8 = 0x80;
pub const TRANSITIVE: u8 = 0x40;
pub const PARTIAL: u8 = 0x20;
/// `ATOMIC_AGGREGATE`.
const ATOMIC_AGGR: u8 = 6;

impl Daemon {
    /// A whole message.
    pub(super) fn bgp_receive(&mut self, process: &Process, id: usize, side: Side, bytes: Bytes) {
        let Some(conn) = self.protos[id].bgp().and_then(|bgp| bgp.conn(side)) else { return };
        let (state, limit) = (conn.state, conn.limit());
        let message = match decode_message(&mut bytes.clone(), limit) {
            Ok(message) => message,
            Err(error) => {
                let (code, subcode, data) = notification(&error, &bytes);
                return self.bgp_error(id, side, (code, subcode, &data));
            }
        };
        // What comes out of turn (RFC 6608).
        let out_of_turn = match state {
            ConnState::Connect | ConnState::OpenSent => 1,
            ConnState::OpenConfirm => 2,
            ConnState::Established => 3,
        };
        match (message, state) {
            (Message::Notification(message), _) => self.bgp_notified(id, side, &message),
            (Message::Open(open), ConnState::OpenSent) => self.bgp_opened(process, id, side, open),
            (Message::Keepalive, ConnState::OpenConfirm) => {
                self.trace(id, Debug::PACKETS, "Got KEEPALIVE");
                self.bgp_established(id, side);
                self.bgp_alive(process, id, side);
            }
            (Message::Keepalive, ConnState::Established) => {
                self.trace(id, Debug::PACKETS, "Got KEEPALIVE");
                self.bgp_alive(process, id, side);
            }
            (Message::Update(update), ConnState::Established) => {
                self.trace(id, Debug::PACKETS, "Got UPDATE");
                self.bgp_alive(process, id, side);
                if let Err(error) = self.bgp_update(id, &update) {
                    let (code, subcode, data) = error.to_notification();
                    self.bgp_error(id, side, (code.as_u8(), subcode, &data));
                }
            }
            (Message::RouteRefresh(message), ConnState::Established) => {
                self.trace(id, Debug::PACKETS, "Got ROUTE-REFRESH");
                self.bgp_refreshed(id, message.subtype_raw);
            }
            _ => self.bgp_error(id, side, (5, out_of_turn, &[])),
        }
    }

    fn bgp_opened(&mut self, process: &Process, id: usize, side: Side, open: OpenMessage) {
        let (asn, hold, remote_id) = (open.four_byte_as(), open.hold_time, open.bgp_identifier);
        self.trace(id, Debug::PACKETS, &format!("Got OPEN(as={asn},hold={hold},id={remote_id})"));
        let own_id = self.protos[id].config.router_id.unwrap_or(self.router_id);
        let Some(bgp) = self.protos[id].bgp_mut() else { return };
        let config = &bgp.config;
        if hold == 1 || hold == 2 {
            return self.bgp_error(id, side, (2, 6, &hold.to_be_bytes()));
        }
        if remote_id.is_unspecified() {
            return self.bgp_error(id, side, (2, 3, &remote_id.octets()));
        }
        let is_expected = match (config.neighbor_as, config.neighbor_kind) {
            (Some(expected), _) => asn == expected,
            (None, Some(internal)) => (asn == config.local_as) == internal,
            (None, None) => true,
        };
        if !is_expected {
            let has_as4 = open.capabilities.iter().any(|one| matches!(one, Capability::FourOctetAs { .. }));
            let data = if has_as4 { asn.to_be_bytes().to_vec() } else { open.my_as.to_be_bytes().to_vec() };
            return self.bgp_error(id, side, (2, 2, &data));
        }
        if remote_id == own_id && config.is_internal() {
            return self.bgp_error(id, side, (2, 3, &remote_id.octets()));
        }
        // Of two connections the one of the neighbour with the higher ID stays (RFC 4271, section 6.8).
        let own_as = config.local_as;
        let other = bgp.conn(side.other()).map(|conn| conn.state);
        if let Some(conn) = bgp.conn_mut(side) {
            conn.remote = Some(open);
        }
        match other {
            None => {}
            Some(ConnState::Established) => return self.bgp_error(id, side, (6, 7, &[])),
            Some(_) => {
                let they_win = (own_id, own_as) < (remote_id, asn);
                let this_stays = they_win == (side == Side::Incoming);
                if !this_stays {
                    return self.bgp_error(id, side, (6, 7, &[]));
                }
                let is_open = other.is_some_and(|state| state > ConnState::Connect);
                match (is_open, self.protos[id].bgp_mut()) {
                    (true, _) => self.bgp_error(id, side.other(), (6, 7, &[])),
                    (false, Some(bgp)) => _ = bgp.take_conn(side.other()),
                    (false, None) => {}
                }
            }
        }
        if let Some(bgp) = self.protos[id].bgp_mut() {
            bgp.connect_timer = None;
        }
        self.bgp_confirm(process, id, side, hold);
    }

    /// Routes come or go.
    fn bgp_update(&mut self, id: usize, update: &UpdateMessage) -> Result<(), DecodeError> {
        let Some(bgp) = self.protos[id].bgp() else { return Ok(()) };
        let Some(conn) = bgp.session() else { return Ok(()) };
        let parsed = update.parse(conn.has_as4(), conn.adds_paths(AddPathMode::Receive), &[])?;
        let is_end =
            parsed.withdrawn.is_empty() && parsed.announced.is_empty() && parsed.attributes.is_empty();
        if is_end {
            self.trace(id, Debug::PACKETS, "Got END-OF-RIB");
            self.drop_stale(id);
            return Ok(());
        }
        for entry in &parsed.withdrawn {
            let net = Net::new(entry.prefix.addr, entry.prefix.len);
            self.import(id, (net, entry.path_id), None);
        }
        if parsed.announced.is_empty() {
            return Ok(());
        }
        let internal = bgp_config(self, id).is_some_and(BgpConfig::is_internal);
        let checked =
            rustbgpd_wire::validate::validate_update_attributes(&parsed.attributes, true, true, !internal);
        if let Err(error) = checked {
            // Attributes that are wrong take the routes with them, not the session (RFC 7606).
            let name = self.protos[id].name.clone();
            let said = super::errors::text(3, error.subcode);
            self.log.push(format!("<RMT> {name}: Malformed UPDATE: {said}"));
            for entry in &parsed.announced {
                let net = Net::new(entry.prefix.addr, entry.prefix.len);
                self.import(id, (net, entry.path_id), None);
            }
            return Ok(());
        }
        let attrs = attributes(&parsed.attributes);
        for entry in &parsed.announced {
            let net = Net::new(entry.prefix.addr, entry.prefix.len);
            let rte = self.bgp_route(id, net, entry.path_id, &attrs);
            self.import(id, (net, entry.path_id), rte);
        }
        Ok(())
    }

    /// A route as the session takes it; `None`: it does not.
    fn bgp_route(&self, id: usize, net: Net, path_id: u32, attrs: &BTreeMap<Attr, Value>) -> Option<Rte> {
        let proto = &self.protos[id];
        let (bgp, config) = (proto.bgp()?, &proto.bgp()?.config);
        let internal = config.is_internal();
        let own_id = proto.config.router_id.unwrap_or(self.router_id);
        let mut rte = Rte::new(net, (id, proto.name.clone()), Source::Bgp, Dest::Unreachable);
        (rte.path_id, rte.attrs) = (path_id, attrs.clone());
        let own = members(rte.path()).iter().filter(|asn| **asn == config.local_as).count();
        if own as u64 > u64::from(config.allow_local_as) {
            return None;
        }
        if config.enforce_first_as && !internal && members(rte.path()).first().copied() != bgp.neighbor_as() {
            return None;
        }
        if internal {
            let clusters = match rte.attrs.get(&Attr::ClusterList) {
                Some(Value::Clusters(all)) => all.clone(),
                _ => Vec::new(),
            };
            let cluster = config.rr_cluster_id.unwrap_or(own_id);
            if rte.address(Attr::OriginatorId) == Some(own_id)
                || config.rr_client && clusters.contains(&cluster)
            {
                return None;
            }
        } else {
            rte.attrs.remove(&Attr::OriginatorId);
            rte.attrs.remove(&Attr::ClusterList);
            if !config.allow_local_pref {
                rte.attrs.remove(&Attr::LocalPref);
            }
        }
        rte.attrs.entry(Attr::LocalPref).or_insert(Value::Int(config.default_local_pref));
        let peer = FromPeer {
            internal,
            rr_client: config.rr_client,
            id: bgp.neighbor_id().unwrap_or(Ipv4Addr::UNSPECIFIED),
            address: bgp.neighbor(),
        };
        (rte.peer, rte.from) = (Some(peer), Some(peer.address));
        let via = rte.address(Attr::NextHop)?;
        let gateway = proto.channel.as_ref().and_then(|channel| channel.config.gateway_recursive);
        if bgp.is_recursive(gateway) {
            rte.recursive = Some(via);
            self.resolve(&mut rte);
            return Some(rte);
        }
        match reach(&self.ifaces, via, bgp.link.as_ref().map(|link| &*link.name)) {
            Reach::On(link) => rte.dest = Dest::Unicast(vec![Hop { via: Some(via), link, weight: 1 }]),
            Reach::Own => return None,
            // The neighbour itself knows the way.
            Reach::Nowhere => {
                let link = bgp.link.clone()?;
                rte.dest = Dest::Unicast(vec![Hop { via: Some(bgp.neighbor()), link, weight: 1 }]);
            }
        }
        Some(rte)
    }

    /// The neighbour wants all routes again, or says where such an answer begins and ends.
    fn bgp_refreshed(&mut self, id: usize, subtype: u8) {
        match subtype {
            0 => {
                if let Some(bgp) = self.protos[id].bgp_mut() {
                    bgp.refreshing = true;
                }
                self.feed(id);
            }
            1 => self.set_stale(id),
            2 => self.drop_stale(id),
            _ => {}
        }
    }
}

fn bgp_config(daemon: &Daemon, id: usize) -> Option<&BgpConfig> {
    daemon.protos[id].bgp().map(|bgp| &bgp.config)
}

/// What a message is answered with that cannot be read.
fn notification(error: &DecodeError, bytes: &[u8]) -> (u8, u8, Vec<u8>) {
    match error {
        // The version that would have been right.
        DecodeError::UnsupportedVersion { .. } => (2, 1, vec![0, 4]),
        DecodeError::InvalidKeepaliveLength { .. } => {
            (1, 2, bytes.get(16..18).map(<[u8]>::to_vec).unwrap_or_default())
        }
        other => {
            let (code, subcode, data) = other.to_notification();
            (code.as_u8(), subcode, data.to_vec())
        }
    }
}

/// Attributes as filters see them.
fn attributes(all: &[PathAttribute]) -> BTreeMap<Attr, Value> {
    let mut attrs = BTreeMap::new();
    for attribute in all {
        let (attr, value) = match attribute {
            PathAttribute::Origin(origin) => {
                let number = match origin {
                    Origin::Igp => 0,
                    Origin::Egp => 1,
                    Origin::Incomplete => 2,
                };
                (Attr::Origin, Value::Enum("bgp_origin", number))
            }
            PathAttribute::AsPath(path) => {
                let segment = |segment: &AsPathSegment| match segment {
                    AsPathSegment::AsSet(all) => Segment::Set(all.clone()),
                    AsPathSegment::AsSequence(all) => Segment::Sequence(all.clone()),
                };
                (Attr::AsPath, Value::Path(path.segments.iter().map(segment).collect()))
            }
            PathAttribute::NextHop(address) => (Attr::NextHop, Value::Ip(*address)),
            PathAttribute::LocalPref(number) => (Attr::LocalPref, Value::Int(*number)),
            PathAttribute::Med(number) => (Attr::Med, Value::Int(*number)),
            PathAttribute::Communities(all) => {
                let mut all = all.clone();
                all.sort_unstable();
                (Attr::Community, Value::Communities(all))
            }
            PathAttribute::LargeCommunities(all) => {
                let mut all: Vec<[u32; 3]> =
                    all.iter().map(|one| [one.global_admin, one.local_data1, one.local_data2]).collect();
                all.sort_unstable();
                (Attr::LargeCommunity, Value::LargeCommunities(all))
            }
            PathAttribute::OriginatorId(address) => (Attr::OriginatorId, Value::Quad(*address)),
            PathAttribute::ClusterList(all) => (Attr::ClusterList, Value::Clusters(all.clone())),
            PathAttribute::Unknown(raw) if raw.type_code == ATOMIC_AGGR => (Attr::AtomicAggr, Value::Void),
            PathAttribute::Unknown(raw) if raw.flags & (OPTIONAL | TRANSITIVE) == OPTIONAL | TRANSITIVE => {
                let text = raw.data.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
                (Attr::Unknown(raw.type_code), Value::Text(text))
            }
            // What is not for this daemon ends here.
            _ => continue,
        };
        attrs.insert(attr, value);
    }
    attrs
}
