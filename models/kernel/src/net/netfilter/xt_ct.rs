//! Targets `CT` and `NOTRACK`.
//!
//! Kernel: net/netfilter/xt_CT.c

use super::nf_conntrack_ecache::nf_ct_ecache_masks;
use super::nf_conntrack_helper::nf_conntrack_helper_find;
use crate::Cx;
use crate::extension::{Kept, Limits, Par, Refused, TargetVerdict, XtTarget};
use crate::ids::NetnsId;
use crate::module::Module;
use crate::netlink::Errno;
use crate::tables::conntrack::extend::Help;
use crate::tables::conntrack::{Conn, IPS_ZONE_MARK, NfCt, Tuple};
use crate::tables::xt::{Rule, TableName, Variant};

/// Zone of `CT`, and the directions that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CtZone {
    /// The zone; `None`: the packet's mark.
    pub id: Option<u16>,
    /// `--zone-orig` or `--zone`.
    pub original: bool,
    /// `--zone-reply` or `--zone`.
    pub reply: bool,
}

/// `CT` (`struct xt_ct_target_info_v1`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ct {
    /// `--notrack`.
    pub notrack: bool,
    /// `--helper`; empty: none.
    pub helper: String,
    /// `--ctevents`: `IPCT_*` bits.
    pub ctevents: u16,
    /// `--expevents`: `IPEXP_*` bits.
    pub expevents: u16,
    /// `--zone`, or the mark.
    pub zone: Option<CtZone>,
    /// `--timeout`.
    pub timeout: Option<String>,
    /// Event masks of the template: none if nobody listened when the rule came into force.
    pub masks: Kept<(u16, u16)>,
}

impl XtTarget for Ct {
    const NAME: &'static str = "CT";

    fn target(&mut self, cx: &mut Cx, par: &mut Par) -> TargetVerdict {
        xt_ct_target(cx, par, self)
    }

    fn limits(_: Variant) -> Limits {
        Limits::table(TableName::Raw)
    }

    fn check_named(&self, cx: &Cx, rule: &Rule) -> Result<(), Refused> {
        if self.notrack || self.helper.is_empty() {
            return Ok(());
        }
        let log = match rule.ip.proto {
            (0, _) | (_, true) => "You must specify a L4 protocol and not use inversions on it".to_owned(),
            (proto, false) if nf_conntrack_helper_find(cx, &self.helper, proto).is_some() => return Ok(()),
            _ => format!("No such helper \"{}\"", self.helper),
        };
        Err(Refused { errno: Errno::ENOENT, log: Some(format!("xt_CT: {log}")) })
    }

    fn init(&mut self, cx: &mut Cx, netns: NetnsId) {
        let asked = (self.ctevents, self.expevents);
        self.masks.0 = match asked {
            (0, 0) => asked,
            _ => nf_ct_ecache_masks(cx.k.conntrack.net(netns), asked),
        };
    }

    fn needs_conntrack(&self) -> bool {
        !self.notrack
    }
}

/// `NOTRACK`, in the kernel an alias of `CT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notrack;

impl XtTarget for Notrack {
    const NAME: &'static str = "NOTRACK";

    fn target(&mut self, cx: &mut Cx, par: &mut Par) -> TargetVerdict {
        notrack_tg(cx, par)
    }

    fn kernel_name() -> &'static str {
        "CT"
    }

    fn limits(_: Variant) -> Limits {
        Limits::table(TableName::Raw)
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { targets: &[Ct::NAME, Notrack::NAME], ..Module::named("xt_CT") }];

/// Marks the packet as untracked (`notrack_tg`), unless it is tracked already, as after lo.
pub fn notrack_tg(cx: &mut Cx, par: &mut Par) -> TargetVerdict {
    let pkt = &mut cx.skbs[par.skb];
    if pkt.nfct == NfCt::None {
        pkt.nfct = NfCt::Untracked;
    }
    TargetVerdict::Continue
}

/// Attaches a template for the packet's connection (`xt_ct_target`).
///
/// The kernel makes one template with the rule; here each packet gets a new one.
///
/// Not modelled: a mark that `CONNMARK` sets on a template, for the rule's next packet.
pub fn xt_ct_target(cx: &mut Cx, par: &mut Par, ct: &Ct) -> TargetVerdict {
    if ct.notrack {
        return notrack_tg(cx, par);
    }
    if cx.skbs[par.skb].nfct != NfCt::None {
        return TargetVerdict::Continue;
    }
    let mut template = Conn::new(par.state.netns, Tuple::default(), Tuple::default(), [0, 0]);
    if let Some(zone) = ct.zone {
        let side = |wanted: bool| if wanted { zone.id.unwrap_or(u16::MAX) } else { 0 };
        template.zone = [side(zone.original), side(zone.reply)];
        template.status |= if zone.id.is_none() { IPS_ZONE_MARK } else { 0 };
    }
    let (ctmask, expmask) = ct.masks.0;
    template.ctmask = ctmask;
    if expmask != 0 {
        template.ext_mut().expmask = expmask;
    }
    if let Some(ops) = nf_conntrack_helper_find(cx, &ct.helper, par.iph.protocol) {
        template.ext_mut().help = Some(Help::new(ops.helper));
    }
    let id = cx.k.conntrack.alloc_template(template);
    cx.nf_ct_set(par.skb, NfCt::Template(id));
    TargetVerdict::Continue
}
