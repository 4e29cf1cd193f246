//! `matchall`: every packet.
//!
//! Kernel: net/sched/cls_matchall.c.

use crate::door::Func;
use crate::filter::{FilterData, Matched, TcfProto, TcfProtoOps, filter_data};
use crate::ids::SkbId;
use crate::module::Module;
use crate::netlink::{Errno, NlError};
use crate::tables::skb::SkbPool;

/// The module.
pub static MODULE: Module = Module { classifiers: &[&CLS_MATCHALL_OPS], ..Module::named("cls_matchall") };

static CLS_MATCHALL_OPS: TcfProtoOps = TcfProtoOps {
    kind: "matchall",
    func: Func::MallClassify,
    is_shared: false,
    init: |_| Box::new(None::<(u32, MatchallFilter)>),
    classify: |_: &SkbPool, tp: &mut TcfProto, _: SkbId, after: Option<u32>| {
        let (handle, _) = tp.root::<Head>().copied().flatten().filter(|_| after.is_none())?;
        if tp.skips_sw(handle) {
            return None;
        }
        let (_, filter) = tp.root_mut::<Head>()?.as_mut()?;
        filter.hits += 1;
        Some(Matched { handle, classid: filter.classid.unwrap_or(0) })
    },
    get: |tp, handle| tp.root::<Head>().copied().flatten().is_some_and(|(known, _)| known == handle),
    change: mall_change,
    delete: |tp, _| {
        tp.root_mut::<Head>().map(Option::take);
        true
    },
    dump: |tp| {
        let filter = tp.root::<Head>().copied().flatten();
        filter.map(|(handle, filter)| (handle, Box::new(filter) as Box<dyn FilterData>)).into_iter().collect()
    },
};

/// The filter, of which a priority has one, and its handle.
type Head = Option<(u32, MatchallFilter)>;

/// The filter.
#[derive(Clone, Copy, Debug, Default)]
pub struct MatchallFilter {
    /// The class of all packets.
    pub classid: Option<u32>,
    /// How many there were.
    pub hits: u64,
}

impl FilterData for MatchallFilter {
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    fn classid(&self) -> Option<u32> {
        self.classid
    }
}

fn mall_change(tp: &mut TcfProto, handle: u32, options: Option<&dyn FilterData>) -> Result<u32, NlError> {
    let filter = *options.and_then(filter_data::<MatchallFilter>).ok_or(Errno::EINVAL)?;
    let head = tp.root_mut::<Head>().ok_or(Errno::EINVAL)?;
    if head.is_some() {
        return Err(Errno::EEXIST.into());
    }
    let handle = if handle == 0 { 1 } else { handle };
    *head = Some((handle, filter));
    Ok(handle)
}
