//! Messages that go to a neighbour: routes, with the attributes that the session gives them.

use std::net::Ipv4Addr;

use bytes::Bytes;
use rustbgpd_wire::{
    AddPathMode, Afi, AsPath, AsPathSegment, Ipv4NlriEntry, Ipv4Prefix, Ipv4UnicastMode, LargeCommunity,
    Message, Origin, PathAttribute, RawAttribute, RouteRefreshMessage, RouteRefreshSubtype, Safi,
    UpdateMessage,
};

use super::receive::{OPTIONAL, PARTIAL, TRANSITIVE};
use super::{Bgp, graceful};
use crate::bird::config::{ChannelConfig, Debug};
use crate::bird::daemon::Daemon;
use crate::bird::filter::prepend;
use crate::bird::proto::Key;
use crate::bird::route::{Attr, Rte};
use crate::bird::value::{Segment, Value};

/// Routes that are told in one message: with the same attributes.
type Group = (Vec<PathAttribute>, Vec<Key>);

impl Daemon {
    /// Sends the routes that are yet to be told. True: there were some.
    pub fn bgp_transmit(&mut self, id: usize) -> bool {
        let Some(channel) = self.protos[id].channel.as_ref().map(|channel| channel.config.clone()) else {
            return false;
        };
        let own_id = self.protos[id].config.router_id.unwrap_or(self.router_id);
        let Some(bgp) = self.protos[id].bgp_mut() else { return false };
        let Some(side) = bgp.established else { return false };
        let has_work = !bgp.pending.is_empty() || bgp.end_of_rib || bgp.refreshing;
        if !has_work {
            return false;
        }
        let pending = std::mem::take(&mut bgp.pending);
        let (mut withdrawn, mut groups): (Vec<Key>, Vec<Group>) = (Vec::new(), Vec::new());
        for (key, rte) in pending {
            match rte.and_then(|rte| attributes(bgp, &channel, own_id, &rte)) {
                None => withdrawn.push(key),
                Some(attrs) => match groups.iter_mut().find(|(known, _)| *known == attrs) {
                    Some((_, keys)) => keys.push(key),
                    None => groups.push((attrs, vec![key])),
                },
            }
        }
        let (ends, refreshes) = (std::mem::take(&mut bgp.end_of_rib), std::mem::take(&mut bgp.refreshing));
        let mut said = Vec::new();
        let Some(conn) = bgp.conn_mut(side) else { return false };
        let (as4, paths, enhanced) =
            (conn.has_as4(), conn.adds_paths(AddPathMode::Send), conn.has_enhanced_refresh());
        let refresh = |subtype| {
            Message::RouteRefresh(RouteRefreshMessage::new_with_subtype(Afi::Ipv4, Safi::Unicast, subtype))
        };
        if refreshes && enhanced {
            conn.queue(&refresh(RouteRefreshSubtype::BoRR));
            said.push("Sending BEGIN-OF-RR");
        }
        // A message has room for so many prefixes beside the attributes.
        let room = usize::from(conn.limit() / 16);
        for part in withdrawn.chunks(room) {
            let update = UpdateMessage::build(&[], &entries(part), &[], as4, paths, Ipv4UnicastMode::Body);
            conn.queue(&Message::Update(update));
            said.push("Sending UPDATE");
        }
        for (attrs, keys) in &groups {
            for part in keys.chunks(room) {
                let update =
                    UpdateMessage::build(&entries(part), &[], attrs, as4, paths, Ipv4UnicastMode::Body);
                conn.queue(&Message::Update(update));
                said.push("Sending UPDATE");
            }
        }
        if refreshes && enhanced {
            conn.queue(&refresh(RouteRefreshSubtype::EoRR));
            said.push("Sending END-OF-RR");
        }
        let hears_end = conn.remote.as_ref().and_then(graceful).is_some();
        if ends && hears_end {
            let end = UpdateMessage::build(&[], &[], &[], as4, paths, Ipv4UnicastMode::Body);
            conn.queue(&Message::Update(end));
            said.push("Sending END-OF-RIB");
        }
        for text in said {
            self.trace(id, Debug::PACKETS, text);
        }
        true
    }

    /// Asks a neighbour for all its routes once more; false: it cannot be asked.
    pub fn bgp_ask_again(&mut self, id: usize) -> bool {
        let Some(bgp) = self.protos[id].bgp_mut() else { return true };
        let Some(side) = bgp.established else { return true };
        let Some(conn) = bgp.conn_mut(side).filter(|conn| conn.has_refresh()) else { return false };
        conn.queue(&Message::RouteRefresh(RouteRefreshMessage::new(Afi::Ipv4, Safi::Unicast)));
        self.trace(id, Debug::PACKETS, "Sending ROUTE-REFRESH");
        true
    }
}

fn entries(keys: &[Key]) -> Vec<Ipv4NlriEntry> {
    let entry = |(net, path_id): &Key| Ipv4NlriEntry {
        path_id: *path_id,
        prefix: Ipv4Prefix::new(net.address, net.len),
    };
    keys.iter().map(entry).collect()
}

/// The next hop that a neighbour is told; `None`: there is none that it could use.
fn next_hop(bgp: &Bgp, channel: &ChannelConfig, rte: &Rte) -> Option<Ipv4Addr> {
    let internal = bgp.config.is_internal();
    let own = channel.next_hop_address.or(bgp.local).or_else(|| Some(bgp.session()?.socket.local().0));
    if channel.next_hop_self.holds(rte) {
        return own;
    }
    let on_its_link = |index: Option<u32>| bgp.link.as_ref().is_some_and(|link| Some(link.index) == index);
    let hop = match rte.dest.hops() {
        [hop] => Some(hop),
        _ => None,
    };
    let told = rte.address(Attr::NextHop).filter(|address| !address.is_unspecified());
    if let Some(address) = told {
        let stays = channel.next_hop_keep.holds(rte)
            || rte.set_by_filter.contains(&Attr::NextHop)
            || internal
            // Between neighbours on one link none has to go through here.
            || rte.recursive.is_none() && on_its_link(hop.map(|hop| hop.link.index));
        if stays {
            return Some(address);
        }
    }
    let gateway = hop.and_then(|hop| Some((hop.via?, hop.link.index)));
    match gateway {
        Some((via, _)) if internal => Some(via),
        Some((via, index)) if on_its_link(Some(index)) => Some(via),
        _ => own,
    }
}

/// The attributes with which a route is told; `None`: it is not.
fn attributes(bgp: &Bgp, channel: &ChannelConfig, own_id: Ipv4Addr, rte: &Rte) -> Option<Vec<PathAttribute>> {
    let (config, internal) = (&bgp.config, bgp.config.is_internal());
    let next_hop = next_hop(bgp, channel, rte)?;
    // A neighbour is not sent to itself.
    if next_hop == bgp.neighbor() {
        return None;
    }
    let mut all = Vec::new();
    all.push(PathAttribute::Origin(match rte.int(Attr::Origin) {
        None | Some(0) => Origin::Igp,
        Some(1) => Origin::Egp,
        Some(_) => Origin::Incomplete,
    }));
    let mut path = rte.path().to_vec();
    if !internal && !config.rs_client {
        path = prepend(path, config.local_as);
    }
    let segment = |segment: Segment| match segment {
        Segment::Sequence(all) => AsPathSegment::AsSequence(all),
        Segment::Set(all) => AsPathSegment::AsSet(all),
    };
    all.push(PathAttribute::AsPath(AsPath { segments: path.into_iter().map(segment).collect() }));
    all.push(PathAttribute::NextHop(next_hop));
    // A MED is for one AS: it goes no further, unless the filter says so.
    let keeps_med = internal || rte.set_by_filter.contains(&Attr::Med) || config.allow_med;
    if let Some(med) = rte.int(Attr::Med).filter(|_| keeps_med) {
        all.push(PathAttribute::Med(med));
    }
    if internal || config.allow_local_pref {
        all.push(PathAttribute::LocalPref(rte.int(Attr::LocalPref).unwrap_or(config.default_local_pref)));
    }
    if rte.attrs.contains_key(&Attr::AtomicAggr) {
        all.push(raw(TRANSITIVE, 6, Vec::new()));
    }
    if !rte.communities().is_empty() {
        let mut communities = rte.communities().to_vec();
        communities.sort_unstable();
        all.push(PathAttribute::Communities(communities));
    }
    // A route between two neighbours of this AS is reflected (RFC 4456).
    let reflected = rte.peer.filter(|peer| internal && peer.internal);
    if let Some(peer) = reflected {
        all.push(PathAttribute::OriginatorId(rte.address(Attr::OriginatorId).unwrap_or(peer.id)));
        let mut clusters = vec![config.rr_cluster_id.unwrap_or(own_id)];
        if let Some(Value::Clusters(known)) = rte.attrs.get(&Attr::ClusterList) {
            clusters.extend(known);
        }
        all.push(PathAttribute::ClusterList(clusters));
    }
    for (attr, value) in &rte.attrs {
        match (attr, value) {
            (Attr::LargeCommunity, Value::LargeCommunities(many)) if !many.is_empty() => {
                let mut many = many.clone();
                many.sort_unstable();
                let one = |[a, b, c]: [u32; 3]| LargeCommunity::new(a, b, c);
                all.push(PathAttribute::LargeCommunities(many.into_iter().map(one).collect()));
            }
            (Attr::Unknown(code), Value::Text(text)) => {
                let bytes = text.split(' ').filter_map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
                all.push(raw(OPTIONAL | TRANSITIVE | PARTIAL, *code, bytes));
            }
            _ => {}
        }
    }
    Some(all)
}

fn raw(flags: u8, type_code: u8, data: Vec<u8>) -> PathAttribute {
    PathAttribute::Unknown(RawAttribute { flags, type_code, data: Bytes::from(data) })
}
