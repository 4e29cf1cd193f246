//! `-m cluster`.
//!
//! Kernel: net/netfilter/xt_cluster.c

use crate::Cx;
use crate::extension::{Par, XtMatch};
use crate::module::Module;
use crate::tables::conntrack::{Dir, NfCt};
use crate::tables::ipset::jhash::jhash2;
use crate::tables::skb::PacketType;

/// `cluster` (`struct xt_cluster_match_info`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// `--cluster-total-nodes`.
    pub total_nodes: u32,
    /// `--cluster-local-node(mask)`: a bit for each node.
    pub node_mask: u32,
    /// `--cluster-hash-seed`.
    pub hash_seed: u32,
    /// `!`.
    pub invert: bool,
}

impl XtMatch for Cluster {
    const NAME: &'static str = "cluster";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        cluster_mt(cx, par, self)
    }

    fn needs_conntrack(&self) -> bool {
        true
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Cluster::NAME], ..Module::named("xt_cluster") }];

/// The hash of the connection's source selects one of the local nodes.
///
/// Not modelled: master connections of expected connections.
pub fn cluster_mt(cx: &mut Cx, par: &mut Par, with: &Cluster) -> bool {
    // The nodes share a multicast MAC address; such frames are for this host.
    let is_multicast = par.iph.daddr.get().is_multicast();
    let pkt = &mut cx.skbs[par.skb];
    if !is_multicast && pkt.pkt_type == PacketType::Multicast {
        pkt.pkt_type = PacketType::Host;
    }
    let hash = match pkt.nfct {
        NfCt::Conn(id, _) => {
            let Some(conn) = cx.k.conntrack.get(id) else { return false };
            jhash2(&[u32::from_le_bytes(conn.tuple(Dir::Original).src.octets())], with.hash_seed)
        }
        // A template has no addresses: the kernel logs a warning and takes the first node.
        NfCt::Template(_) => 0,
        NfCt::None | NfCt::Untracked | NfCt::RelatedToNone => return false,
    };
    let node = (u64::from(hash) * u64::from(with.total_nodes)) >> 32;
    (with.node_mask >> node & 1 == 1) != with.invert
}
