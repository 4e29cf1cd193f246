//! `-m connlimit`.
//!
//! Kernel: net/netfilter/xt_connlimit.c, net/netfilter/nf_conncount.c, as they are since Linux 6.19 and in the stable
//! releases of that time. Before, a packet of a connection that is in the table already was counted once more in each
//! jiffy.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use super::nf_conntrack_core::nf_conntrack_find;
use super::nf_conntrack_tuple::nf_ct_get_tuple;
use crate::Cx;
use crate::extension::{Kept, Par, XtMatch};
use crate::ids::NetnsId;
use crate::module::Module;
use crate::tables::conntrack::{Conn, Dir, NfCt, Proto, TcpState, Tuple};
use crate::tables::fib_trie::inet_make_mask;
use crate::tables::jiffies::jiffies;
use crate::tables::xt::Variant;

/// `connlimit` (`struct xt_connlimit_info`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connlimit {
    /// `--connlimit-above` (true) or `--connlimit-upto`.
    pub above: bool,
    /// How many connections.
    pub limit: u32,
    /// `--connlimit-mask`, prefix length.
    pub mask: u8,
    /// `--connlimit-daddr` (true) or `--connlimit-saddr`.
    pub dest: bool,
    /// Counted connections.
    pub counted: Kept<Conncount>,
}

impl XtMatch for Connlimit {
    const NAME: &'static str = "connlimit";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        connlimit_mt(cx, par, self)
    }

    fn init(&mut self, _: &mut Cx, _: NetnsId, variant: Variant) {
        if variant == Variant::Legacy {
            self.counted = Kept::default();
        }
    }

    fn needs_conntrack(&self) -> bool {
        true
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Connlimit::NAME], ..Module::named("xt_connlimit") }];

/// Stale connections that a garbage collection of a list removes at most, and connections that can be added to a list
/// in one jiffy without one (`CONNCOUNT_GC_MAX_NODES`).
const GC_MAX_NODES: usize = 64;
/// `LOOPBACK_IFINDEX`.
const LOOPBACK_IFINDEX: u32 = 1;

/// Counted connections of a rule (`struct nf_conncount_data`), by masked address and zone.
pub type Conncount = HashMap<(Ipv4Addr, u16), ConnList>;

/// Connections of one address (`struct nf_conncount_list`).
#[derive(Clone, Debug, Default)]
pub struct ConnList {
    /// Tuple of the original direction, and the zone of each direction.
    conns: Vec<(Tuple, [u16; 2])>,
    /// Last garbage collection, jiffies.
    last_gc: u64,
    /// Connections left after it.
    last_gc_count: usize,
}

/// What is counted of a packet.
struct Counted {
    tuple: Tuple,
    zone: [u16; 2],
    /// The connection is confirmed.
    confirmed: bool,
    /// Received by `lo`: the packet that was sent may have confirmed the connection.
    by_lo: bool,
}

/// More live connections than the limit have the packet's masked address and zone. A packet without a tuple is
/// dropped.
pub fn connlimit_mt(cx: &mut Cx, par: &mut Par, with: &mut Connlimit) -> bool {
    let Some(counted) = counted(cx, par) else {
        par.hotdrop = true;
        return false;
    };
    let addr = if with.dest { par.iph.daddr.get() } else { par.iph.saddr.get() };
    let mask = inet_make_mask(with.mask);
    let key = (addr & mask, counted.zone[0].max(counted.zone[1]));
    let lists = &mut with.counted.0;
    let connections = match lists.get_mut(&key) {
        Some(list) => nf_conncount_add(cx, par.state.netns, list, &counted),
        None => {
            let conns = vec![(counted.tuple, counted.zone)];
            let list = ConnList { conns, last_gc: jiffies(cx.now), last_gc_count: 0 };
            lists.insert(key, list);
            1
        }
    };
    par.hotdrop |= connections == 0;
    connections != 0 && (connections > with.limit as usize) == with.above
}

fn counted(cx: &Cx, par: &Par) -> Option<Counted> {
    let pkt = &cx.skbs[par.skb];
    let by_lo = pkt.skb_iif == LOOPBACK_IFINDEX;
    match pkt.nfct {
        NfCt::Conn(id, _) | NfCt::Template(id) => {
            let conn = cx.k.conntrack.get(id)?;
            let tuple = *conn.tuple(Dir::Original);
            Some(Counted { tuple, zone: conn.zone, confirmed: conn.is_confirmed(), by_lo })
        }
        NfCt::None | NfCt::Untracked | NfCt::RelatedToNone => {
            let (tuple, _) = nf_ct_get_tuple(cx.skbs.data(par.skb))?;
            Some(Counted { tuple, zone: [0, 0], confirmed: false, by_lo })
        }
    }
}

/// Adds a packet's connection to a list unless it is in it (`__nf_conncount_add`), and returns the list's length.
fn nf_conncount_add(cx: &mut Cx, netns: NetnsId, list: &mut ConnList, new: &Counted) -> usize {
    let now = jiffies(cx.now);
    let just_looked =
        now == list.last_gc && list.conns.len().saturating_sub(list.last_gc_count) < GC_MAX_NODES;
    let is_there = match (new.confirmed, new.by_lo) {
        // Counted before, as a new connection.
        (true, false) => true,
        (false, _) if just_looked => false,
        _ => drop_stale(cx, netns, list, Some(new)),
    };
    if !is_there {
        list.conns.push((new.tuple, new.zone));
    } else if now != list.last_gc {
        drop_stale(cx, netns, list, None);
    }
    list.conns.len()
}

/// Removes closed and deleted connections from a list (`nf_conncount_gc_list`). True: it stopped at `wanted`.
fn drop_stale(cx: &mut Cx, netns: NetnsId, list: &mut ConnList, wanted: Option<&Counted>) -> bool {
    let (mut at, mut collected) = (0, 0);
    while at < list.conns.len() && collected <= GC_MAX_NODES {
        let (tuple, zone) = list.conns[at];
        let conn = nf_conntrack_find(cx, netns, zone, &tuple).and_then(|(id, _)| cx.k.conntrack.get(id));
        match conn {
            Some(_) if wanted.is_some_and(|new| (new.tuple, new.zone) == (tuple, zone)) => return true,
            Some(conn) if !already_closed(conn) => at += 1,
            _ => {
                list.conns.remove(at);
                collected += 1;
            }
        }
    }
    (list.last_gc, list.last_gc_count) = (jiffies(cx.now), list.conns.len());
    false
}

/// Closed, although still in the table.
fn already_closed(conn: &Conn) -> bool {
    matches!(&conn.proto, Proto::Tcp(track) if matches!(track.state, TcpState::TimeWait | TcpState::Close))
}
