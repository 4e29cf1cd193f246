//! `u32`: compares words of the packet, from the IPv4 header on, with values.
//!
//! Kernel: net/sched/cls_u32.c. Not modelled: hash tables but the first, links between them, offsets that a packet gives, marks,
//! counters (built without `CONFIG_CLS_U32_PERF`).

use crate::door::Func;
use crate::filter::{FilterData, Matched, TcfProto, TcfProtoOps, filter_data};
use crate::ids::SkbId;
use crate::module::Module;
use crate::netlink::{Errno, NlError};
use crate::tables::skb::SkbPool;

/// The module.
pub static MODULE: Module = Module { classifiers: &[&CLS_U32_OPS], ..Module::named("cls_u32") };

static CLS_U32_OPS: TcfProtoOps = TcfProtoOps {
    kind: "u32",
    func: Func::U32Classify,
    is_shared: true,
    init: |others| {
        let tables = others.iter().filter_map(|tp| tp.root::<U32Root>());
        let last = tables.map(|root| root.htid).max();
        Box::new(U32Root { htid: last.map_or(FIRST_HTID, |last| last + 1), knodes: Vec::new() })
    },
    classify: u32_classify,
    get: |tp, handle| root(tp).is_some_and(|root| root.lookup(handle).is_some() || handle == root.handle(0)),
    change: u32_change,
    delete: |tp, handle| {
        let Some(root) = tp.root_mut::<U32Root>() else { return false };
        let htid = root.htid;
        root.knodes.retain(|(id, _)| htid << 20 | id != handle);
        handle != htid << 20 && root.knodes.is_empty()
    },
    dump: |tp| {
        let Some(root) = root(tp) else { return Vec::new() };
        let table: Box<dyn FilterData> = Box::new(U32Table { divisor: 1 });
        let filters = root.knodes.iter().map(|(id, filter)| {
            let filter: Box<dyn FilterData> = Box::new(filter.clone());
            (root.handle(*id), filter)
        });
        std::iter::once((root.handle(0), table)).chain(filters).collect()
    },
};

/// The number of the first hash table.
const FIRST_HTID: u32 = 0x800;
/// The number of the first filter whose number nobody chose.
const FIRST_NODE: u32 = 0x800;

/// A hash table, as it is shown.
#[derive(Clone, Copy, Debug)]
pub struct U32Table {
    /// How many buckets it has.
    pub divisor: u32,
}

impl FilterData for U32Table {
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// A word that is compared (`struct tc_u32_key`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct U32Key {
    /// The value, already masked.
    pub val: u32,
    /// The bits that count.
    pub mask: u32,
    /// Where the word is, bytes from the network header on.
    pub off: i32,
    /// It was meant from the next header on, of which nothing says where it is (`offmask`).
    pub nexthdr: bool,
}

/// A filter (`struct tc_u32_sel` and `TCA_U32_CLASSID`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct U32Filter {
    /// What has to fit.
    pub keys: Option<Vec<U32Key>>,
    /// The class of packets that do.
    pub classid: Option<u32>,
    /// It decides about a packet: it has a class or actions (`TC_U32_TERMINAL`).
    pub terminal: bool,
}

impl FilterData for U32Filter {
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    fn classid(&self) -> Option<u32> {
        self.classid
    }
}

/// The filters of a priority: a hash table with one bucket, in the order of their numbers.
#[derive(Debug)]
struct U32Root {
    htid: u32,
    knodes: Vec<(u32, U32Filter)>,
}

impl U32Root {
    fn handle(&self, id: u32) -> u32 {
        self.htid << 20 | id
    }

    fn lookup(&self, handle: u32) -> Option<usize> {
        self.knodes.iter().position(|(id, _)| self.handle(*id) == handle)
    }
}

fn root(tp: &TcfProto) -> Option<&U32Root> {
    tp.root()
}

fn u32_classify(skbs: &SkbPool, tp: &mut TcfProto, skb: SkbId, after: Option<u32>) -> Option<Matched> {
    let at = skbs[skb].network_header;
    let bytes = skbs.bufs.bytes(skbs[skb].buf);
    let end = skbs[skb].tail as usize;
    let root = root(tp)?;
    for (id, filter) in &root.knodes {
        let handle = root.handle(*id);
        if !filter.terminal || after.is_some_and(|after| handle <= after) || tp.skips_sw(handle) {
            continue;
        }
        let mut fits = true;
        for key in filter.keys.iter().flatten() {
            let from = usize::try_from(i64::from(at) + i64::from(key.off)).ok()?;
            // A packet that ends before the word matches no filter of this priority.
            let word = bytes.get(from..from + 4).filter(|_| from + 4 <= end)?;
            let word = u32::from_be_bytes(word.try_into().ok()?);
            if (word ^ key.val) & key.mask != 0 {
                fits = false;
                break;
            }
        }
        if fits {
            return Some(Matched { handle, classid: filter.classid.unwrap_or(0) });
        }
    }
    None
}

fn u32_change(tp: &mut TcfProto, handle: u32, options: Option<&dyn FilterData>) -> Result<u32, NlError> {
    let root = tp.root_mut::<U32Root>().ok_or(Errno::EINVAL)?;
    let Some(filter) = options.and_then(filter_data::<U32Filter>) else {
        return match handle {
            0 => Ok(0),
            _ => Err(NlError::with(Errno::EINVAL, "cls_u32: Filter handle requires options")),
        };
    };
    if let Some(at) = root.lookup(handle) {
        // What is compared stays as it was.
        root.knodes[at].1.classid = filter.classid.or(root.knodes[at].1.classid);
        return Ok(handle);
    }
    if handle >> 20 != 0 && handle >> 20 != root.htid {
        return Err(NlError::with(Errno::EINVAL, "cls_u32: Handle specified hash table address mismatch"));
    }
    if filter.keys.is_none() {
        return Err(NlError::with(Errno::EINVAL, "cls_u32: Selector not specified"));
    }
    let is_free = |id: &u32| root.knodes.iter().all(|(taken, _)| taken != id);
    let id = match handle & 0xfff {
        0 => (FIRST_NODE..0xfff).find(is_free).ok_or(Errno::ENOSPC)?,
        id => id,
    };
    let at = root.knodes.partition_point(|(other, _)| *other < id);
    root.knodes.insert(at, (id, filter.clone()));
    Ok(root.handle(id))
}
