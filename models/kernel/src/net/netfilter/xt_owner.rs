//! `-m owner`.
//!
//! Kernel: net/netfilter/xt_owner.c

use crate::Cx;
use crate::extension::{Limits, Par, Place, Refused, XtMatch};
use crate::module::Module;
use crate::netlink::Errno;
use crate::tables::netfilter::Hook;
use crate::tables::skb::IPSKB_SENT;
use crate::tables::xt::{Rule, Variant};

/// `owner`. Each: inverted, first, last id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// `--uid-owner`.
    pub uid: Option<(bool, u32, u32)>,
    /// `--gid-owner`.
    pub gid: Option<(bool, u32, u32)>,
    /// `--socket-exists`: inverted.
    pub socket_exists: Option<bool>,
    /// `--suppl-groups`.
    pub suppl_groups: bool,
}

impl XtMatch for Owner {
    const NAME: &'static str = "owner";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        owner_mt(cx, par, self)
    }

    fn limits(_: Variant) -> Limits {
        Limits::hooks(Hook::LocalOut.bit() | Hook::PostRouting.bit())
    }

    fn check(&self, _: Place, _: &Rule) -> Result<(), Refused> {
        let is_reversed = |ids: Option<(bool, u32, u32)>| ids.is_some_and(|(_, low, high)| low > high);
        if is_reversed(self.uid) || is_reversed(self.gid) {
            return Err(Refused::silent(Errno::EINVAL));
        }
        Ok(())
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Owner::NAME], ..Module::named("xt_owner") }];

/// Sender of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// A program; all run as root.
    Program,
    /// A socket of the kernel, without owner.
    Kernel,
    /// No socket.
    Nobody,
}

/// The packet's sender.
pub(super) fn sender(cx: &Cx, par: &Par) -> Sender {
    let from_here =
        par.state.hook == Hook::LocalOut || par.state.hook == Hook::PostRouting && par.state.input.is_none();
    match cx.skbs[par.skb].sk.and_then(|sk| cx.k.sockets.get(sk)) {
        Some(sk) if sk.netns == par.state.netns => Sender::Program,
        Some(_) => Sender::Nobody,
        // ICMP and TCP reply through kernel sockets; the RST of `REJECT` has none.
        None if from_here && cx.skbs[par.skb].ip.flags & IPSKB_SENT != 0 => Sender::Kernel,
        None => Sender::Nobody,
    }
}

/// The sender has these ids. Without a socket, a rule matches if all its options are inverted.
pub fn owner_mt(cx: &mut Cx, par: &mut Par, with: &Owner) -> bool {
    let is_inverted = |rule: Option<(bool, u32, u32)>| rule.is_none_or(|rule| rule.0);
    let denies_ids = is_inverted(with.uid) && is_inverted(with.gid);
    let denies_socket = with.socket_exists == Some(true);
    match sender(cx, par) {
        Sender::Nobody => denies_ids && with.socket_exists.is_none_or(|invert| invert) && !with.suppl_groups,
        _ if denies_socket => false,
        Sender::Kernel => denies_ids,
        Sender::Program => {
            let root = |rule: Option<(bool, u32, u32)>| rule.is_none_or(|rule| (rule.1 == 0) != rule.0);
            root(with.uid) && root(with.gid)
        }
    }
}
