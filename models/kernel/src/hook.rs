//! The shape of a hook function (include/linux/netfilter.h).
//!
//! Whoever wants to see packets at a hook has a [`HookOps`] in its own file and registers it with a namespace
//! ([`crate::tables::netfilter::Hooks::register`]); netfilter's core calls what is registered and knows none by name.

use crate::Cx;
use crate::door::Door;
use crate::ids::SkbId;
use crate::netlink::Errno;
use crate::tables::drop_reason::DropReason;
use crate::tables::netfilter::{Hook, HookState, Pf};

/// What a hook function says of a packet.
#[derive(Clone, Copy, Debug)]
pub enum Verdict {
    /// The next function may look (`NF_ACCEPT`).
    Accept,
    /// It is dropped (`NF_DROP`).
    Drop(DropReason),
    /// It is dropped, and whose call sent it gets this error (`NF_DROP_ERR`).
    DropErr(Errno),
    /// The function took it and goes on with this door (`NF_STOLEN`); an answer that is to be sent before the packet is
    /// dropped goes here, with the drop put off by [`crate::Cx::afterwards`].
    Stolen(Door),
}

/// A hook function (`nf_hookfn`). The last argument is [`HookOps::private`].
pub type HookFn = fn(&mut Cx, SkbId, &HookState, u32) -> Verdict;

/// A hook function, and where it wants to be called (`struct nf_hook_ops`). Its name with what it works on says which
/// one it is.
#[derive(Clone, Copy, Debug)]
pub struct HookOps {
    /// The function's name in the kernel.
    pub name: &'static str,
    /// The family.
    pub pf: Pf,
    /// The hook.
    pub hook: Hook,
    /// Small is early (`NF_IP_PRI_*`).
    pub priority: i32,
    /// The function.
    pub function: HookFn,
    /// What it works on, where one function stands for several (`priv`).
    pub private: u32,
    /// What it does with a packet that has a connection depends on no more than the flow, or it says otherwise to
    /// [`crate::tables::verdicts::Watch`].
    pub depends_on_flow_only: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::hooks::{HookEntries, Hooks, HooksNeeded};
    use crate::tables::netfilter::PRI_CONNTRACK_CONFIRM;

    fn accept(_: &mut Cx, _: SkbId, _: &HookState, _: u32) -> Verdict {
        Verdict::Accept
    }

    fn ops(name: &'static str, priority: i32, private: u32) -> HookOps {
        HookOps {
            name,
            pf: Pf::Ipv4,
            hook: Hook::LocalIn,
            priority,
            function: accept,
            private,
            depends_on_flow_only: false,
        }
    }

    fn order(entries: &HookEntries) -> Vec<(&str, u32)> {
        entries.iter().map(|entry| (entry.name, entry.private)).collect()
    }

    #[test]
    fn functions_look_in_the_order_of_priority_and_the_last_first() {
        let (mut hooks, mut needed) = (Hooks::default(), HooksNeeded::default());
        let (confirm, nft, legacy) =
            (ops("ipv4_confirm", PRI_CONNTRACK_CONFIRM, 0), ops("rules", 0, 1), ops("rules", 0, 2));
        for ops in [confirm, nft, legacy, nft] {
            hooks.register(&mut needed, ops);
        }
        let local_in = hooks.at(Pf::Ipv4, Hook::LocalIn);
        assert_eq!(order(local_in), [("rules", 2), ("rules", 1), ("ipv4_confirm", 0)]);
        assert!(needed.at(Pf::Ipv4, Hook::LocalIn) && !needed.at(Pf::Bridge, Hook::LocalIn));
        hooks.unregister(&nft);
        assert_eq!(order(hooks.at(Pf::Ipv4, Hook::LocalIn)), [("rules", 2), ("ipv4_confirm", 0)]);
    }
}
