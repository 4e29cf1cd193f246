//! Helpers of connection tracking. Only the target `CT` gives one to a connection: since Linux 6.0 none is chosen by port.
//!
//! Kernel: net/netfilter/nf_conntrack_helper.c

use crate::Cx;
use crate::module::HelperOps;
use crate::tables::conntrack::extend::{CtHelper, Help};
use crate::tables::conntrack::{Conn, CtId, IPS_HELPER};

/// The helper of this name for a protocol (`nf_conntrack_helper_try_module_get`).
pub fn nf_conntrack_helper_find(cx: &Cx, name: &str, proto: u8) -> Option<&'static HelperOps> {
    let mut all = cx.k.modules.iter().flat_map(|module| module.helpers);
    all.find(|ops| ops.helper.name == name && ops.helper.proto == proto).copied()
}

/// The functions of a connection's helper.
pub(super) fn helper_of(cx: &Cx, id: CtId) -> Option<&'static HelperOps> {
    let helper = cx.k.conntrack.get(id)?.help()?.helper;
    nf_conntrack_helper_find(cx, helper.name, helper.proto)
}

/// Gives a new connection the helper of its template (`__nf_ct_try_assign_helper`). `expmask`: which events of its
/// expectations are reported.
pub(super) fn nf_ct_try_assign_helper(conn: &mut Conn, helper: Option<&'static CtHelper>, expmask: u16) {
    let Some(helper) = helper else { return };
    conn.status |= IPS_HELPER;
    let ext = conn.ext_mut();
    (ext.help, ext.expmask) = (Some(Help::new(helper)), expmask);
}
