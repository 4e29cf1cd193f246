//! `-m connbytes`.
//!
//! Kernel: net/netfilter/xt_connbytes.c

use crate::Cx;
use crate::extension::{Par, XtMatch};
use crate::ids::NetnsId;
use crate::module::Module;
use crate::tables::conntrack::{CtCounter, CtSysctl};
use crate::tables::klog::LOG_WARNING;
use crate::tables::xt::Variant;

/// Packets of which direction (`enum xt_connbytes_direction`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnbytesDir {
    /// `original`.
    Original,
    /// `reply`.
    Reply,
    /// `both`.
    Both,
}

/// What is compared (`enum xt_connbytes_what`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnbytesMode {
    /// `packets`.
    Packets,
    /// `bytes`.
    Bytes,
    /// `avgpkt`: average length of a packet, bytes.
    Avgpkt,
}

/// `connbytes` (`struct xt_connbytes_info`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connbytes {
    /// `!`.
    pub invert: bool,
    /// `--connbytes`: smallest and greatest value.
    pub range: (u64, u64),
    /// `--connbytes-dir`.
    pub dir: ConnbytesDir,
    /// `--connbytes-mode`.
    pub mode: ConnbytesMode,
}

impl XtMatch for Connbytes {
    const NAME: &'static str = "connbytes";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        connbytes_mt(cx, par, self)
    }

    fn init(&mut self, cx: &mut Cx, netns: NetnsId, _: Variant) {
        if !cx.k.conntrack.net(netns).is_on(CtSysctl::Acct) {
            cx.printk(LOG_WARNING, "xt_connbytes: Forcing CT accounting to be enabled".to_owned());
            cx.k.conntrack.net_mut(netns).set_sysctl(CtSysctl::Acct, 1);
        }
    }

    fn needs_conntrack(&self) -> bool {
        true
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Connbytes::NAME], ..Module::named("xt_connbytes") }];

/// What the packet's connection has counted is in the range; without counters it matches in no case.
pub fn connbytes_mt(cx: &mut Cx, par: &mut Par, with: &Connbytes) -> bool {
    let conn = cx.nf_ct_get(par.skb).and_then(|(id, _)| cx.k.conntrack.get(id));
    let Some(counters) = conn.and_then(|conn| conn.acct.as_deref()) else { return false };
    let [original, reply] = *counters;
    let CtCounter { packets, bytes } = match with.dir {
        ConnbytesDir::Original => original,
        ConnbytesDir::Reply => reply,
        ConnbytesDir::Both => {
            CtCounter { packets: original.packets + reply.packets, bytes: original.bytes + reply.bytes }
        }
    };
    let what = match with.mode {
        ConnbytesMode::Packets => packets,
        ConnbytesMode::Bytes => bytes,
        ConnbytesMode::Avgpkt => bytes.checked_div(packets).unwrap_or(0),
    };
    (with.range.0..=with.range.1).contains(&what) != with.invert
}
