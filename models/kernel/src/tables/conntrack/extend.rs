//! What few connections have.
//!
//! Kernel: include/net/netfilter/nf_conntrack_extend.h, nf_conntrack_timestamp.h, nf_conntrack_helper.h,
//! nf_conntrack_seqadj.h

use glassnet_sim::Nanos;

use super::{CtId, Dir};

/// A helper reads the packets of a connection that announces others (`struct nf_conntrack_helper`); its functions are
/// [`crate::module::HelperOps`].
#[derive(Debug)]
pub struct CtHelper {
    /// The name that `CT --helper` takes.
    pub name: &'static str,
    /// The IP protocol of its connections.
    pub proto: u8,
    /// How many connections one may expect at a time (`max_expected`).
    pub max_expected: usize,
    /// For how long each is expected, seconds.
    pub timeout: u64,
}

/// What few connections have (`struct nf_ct_ext`).
#[derive(Clone, Debug, Default)]
pub struct CtExt {
    /// Confirmation and deletion time, if `nf_conntrack_timestamp` was on at creation.
    pub tstamp: Option<(Nanos, Option<Nanos>)>,
    /// Its helper.
    pub help: Option<Help>,
    /// Event mask of its expectations (`expmask`, `IPEXP_*` bits).
    pub expmask: u16,
    /// How far NAT moved TCP's sequence numbers, by direction; meant if `IPS_SEQ_ADJUST` is set.
    pub seqadj: [SeqAdj; 2],
    /// The connection whose helper expected this one; holds a reference (`ct->master`).
    pub master: Option<CtId>,
}

/// A connection's helper and what it remembers (`struct nf_conn_help`).
#[derive(Clone, Debug)]
pub struct Help {
    /// The helper.
    pub helper: &'static CtHelper,
    /// FTP's lines.
    pub ftp: FtpMaster,
}

impl Help {
    /// A helper that has read nothing yet.
    pub fn new(helper: &'static CtHelper) -> Help {
        Help { helper, ftp: FtpMaster::default() }
    }
}

/// Sequence numbers of the last two line ends in each direction (`struct nf_ct_ftp_master`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FtpMaster {
    /// By direction, at most two.
    pub seq_aft_nl: [Vec<u32>; 2],
}

/// How far the sequence numbers of one direction were moved (`struct nf_ct_seqadj`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeqAdj {
    /// The sequence number of the segment of which the length changed last.
    pub correction_pos: u32,
    /// By how much up to there, bytes.
    pub offset_before: i32,
    /// By how much behind it, bytes.
    pub offset_after: i32,
}

impl SeqAdj {
    /// By how much a sequence number of this direction is moved (`nf_ct_seq_offset`), bytes.
    pub fn offset(&self, seq: u32) -> i32 {
        let behind = (self.correction_pos.wrapping_sub(seq) as i32) < 0;
        if behind { self.offset_after } else { self.offset_before }
    }
}

impl CtExt {
    /// The sequence adjustment of a direction.
    pub fn seqadj(&self, dir: Dir) -> &SeqAdj {
        &self.seqadj[dir as usize]
    }
}
