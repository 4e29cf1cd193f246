//! `fw`: a packet's mark is the handle of its filter.
//!
//! Kernel: net/sched/cls_fw.c. Not modelled: `indev`.

use crate::door::Func;
use crate::filter::{FilterData, Matched, TcfProto, TcfProtoOps, filter_data};
use crate::ids::SkbId;
use crate::module::Module;
use crate::netlink::{Errno, NlError};
use crate::tables::skb::SkbPool;

/// The module.
pub static MODULE: Module = Module { classifiers: &[&CLS_FW_OPS], ..Module::named("cls_fw") };

static CLS_FW_OPS: TcfProtoOps = TcfProtoOps {
    kind: "fw",
    func: Func::FwClassify,
    is_shared: false,
    init: |_| Box::new(FwHead::default()),
    classify: fw_classify,
    get: |tp, handle| head(tp).is_some_and(|head| head.filters.iter().any(|(mark, _)| *mark == handle)),
    change: fw_change,
    delete: |tp, handle| {
        let Some(head) = tp.root_mut::<FwHead>() else { return false };
        head.filters.retain(|(mark, _)| *mark != handle);
        head.filters.is_empty()
    },
    dump: |tp| {
        let filters = head(tp).into_iter().flat_map(|head| &head.filters);
        filters.map(|(mark, filter)| (*mark, Box::new(*filter) as Box<dyn FilterData>)).collect()
    },
};

/// A filter.
#[derive(Clone, Copy, Debug, Default)]
pub struct FwFilter {
    /// The class.
    pub classid: Option<u32>,
    /// The bits of marks that count; `None`: all.
    pub mask: Option<u32>,
}

impl FilterData for FwFilter {
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    fn classid(&self) -> Option<u32> {
        self.classid
    }
}

/// The filters of a priority, which share their mask. None: marks are classes themselves.
#[derive(Debug, Default)]
struct FwHead {
    mask: Option<u32>,
    filters: Vec<(u32, FwFilter)>,
}

fn head(tp: &TcfProto) -> Option<&FwHead> {
    tp.root()
}

fn fw_classify(skbs: &SkbPool, tp: &mut TcfProto, skb: SkbId, after: Option<u32>) -> Option<Matched> {
    let (head, mark) = (head(tp)?, skbs[skb].mark);
    if head.filters.is_empty() {
        return Some(Matched { handle: 0, classid: mark }).filter(|_| mark != 0 && after.is_none());
    }
    // A mark has one filter.
    let mark = mark & head.mask.unwrap_or(u32::MAX);
    let (handle, filter) = head.filters.iter().find(|(handle, _)| *handle == mark && after.is_none())?;
    Some(Matched { handle: *handle, classid: filter.classid.unwrap_or(0) })
}

fn fw_change(tp: &mut TcfProto, handle: u32, options: Option<&dyn FilterData>) -> Result<u32, NlError> {
    let head = tp.root_mut::<FwHead>().ok_or(Errno::EINVAL)?;
    let Some(filter) = options.and_then(filter_data::<FwFilter>) else {
        // Without a filter marks are classes themselves.
        return if handle == 0 { Ok(0) } else { Err(Errno::EINVAL.into()) };
    };
    if handle == 0
        || !head.filters.is_empty() && filter.mask.unwrap_or(u32::MAX) != head.mask.unwrap_or(u32::MAX)
    {
        return Err(Errno::EINVAL.into());
    }
    head.mask = filter.mask;
    match head.filters.iter_mut().find(|(mark, _)| *mark == handle) {
        Some((_, known)) => known.classid = filter.classid.or(known.classid),
        None => head.filters.push((handle, *filter)),
    }
    Ok(handle)
}
