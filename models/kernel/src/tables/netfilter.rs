//! Netfilter's hooks: who looks at a packet at which point of its way, in which order.
//!
//! Kernel: include/linux/netfilter.h, include/uapi/linux/netfilter_ipv4.h, include/uapi/linux/netfilter_bridge.h

use std::net::Ipv4Addr;

use glassnet_wire::Mac;

use crate::ids::{DevId, NetnsId};

/// The five points of the IPv4 and bridge paths (`enum nf_inet_hooks`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Hook {
    /// A packet came in.
    PreRouting,
    /// It is for this machine.
    LocalIn,
    /// It is for another.
    Forward,
    /// This machine sends it.
    LocalOut,
    /// It leaves.
    PostRouting,
}

/// All hooks, in the order of their numbers.
pub const HOOKS: [Hook; 5] =
    [Hook::PreRouting, Hook::LocalIn, Hook::Forward, Hook::LocalOut, Hook::PostRouting];

impl Hook {
    /// The name of the built-in chain that hangs on it.
    pub fn chain(self) -> &'static str {
        match self {
            Hook::PreRouting => "PREROUTING",
            Hook::LocalIn => "INPUT",
            Hook::Forward => "FORWARD",
            Hook::LocalOut => "OUTPUT",
            Hook::PostRouting => "POSTROUTING",
        }
    }

    /// Its bit in a mask of hooks.
    pub const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The family in which a hook function is registered. A further one (`NFPROTO_ARP`, `NFPROTO_IPV6`) is a variant, its
/// place in [`FAMILIES`] and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Pf {
    /// `NFPROTO_IPV4`.
    Ipv4,
    /// `NFPROTO_BRIDGE`.
    Bridge,
}

/// All families, in the order of their numbers.
pub const FAMILIES: [Pf; 2] = [Pf::Ipv4, Pf::Bridge];

impl Pf {
    /// Its name, as nft writes it.
    pub fn name(self) -> &'static str {
        match self {
            Pf::Ipv4 => "ip",
            Pf::Bridge => "bridge",
        }
    }
}

/// A place in the code that offers a packet to a hook (an `NF_HOOK(…, okfn)`): it knows the hook and the function
/// that goes on with an accepted packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Site {
    /// `ip_rcv`, on to `ip_rcv_finish`.
    IpRcv,
    /// `ip_sublist_rcv`, on to the list of those that were accepted.
    IpSublistRcv,
    /// `ip_local_deliver`, on to `ip_local_deliver_finish`.
    IpLocalDeliver,
    /// `ip_forward`, on to `ip_forward_finish`.
    IpForward,
    /// `__ip_local_out`, on to `dst_output`.
    IpLocalOut,
    /// `ip_output` and `ip_mc_output`, on to `ip_finish_output`.
    IpOutput,
    /// `ip_mc_output`, on to `dev_loopback_xmit`.
    IpMcLoop,
    /// `vrf_ip_rcv`, and then the packet is routed.
    VrfRcv,
    /// `vrf_ip_out_direct`, and then the same hook by the device that it leaves by.
    VrfLocalOut,
    /// `vrf_output_direct`, likewise.
    VrfOutput,
    /// `br_handle_frame`, on to `br_handle_frame_finish`.
    BrHandleFrame,
    /// `br_pass_frame_up`, on to `br_netif_receive_skb`.
    BrPassFrameUp,
    /// `__br_forward` of a frame that came in, on to `br_forward_finish`.
    BrForward,
    /// `__br_forward` of a frame of this machine, on to `br_forward_finish`.
    BrLocalOut,
    /// `br_forward_finish`, on to `br_dev_queue_push_xmit`.
    BrForwardFinish,
    /// `br_nf_pre_routing`: the IPv4 hook for a bridged packet, on to `br_nf_pre_routing_finish`.
    BrNfPreRouting,
    /// `br_nf_forward_ip`, on to `br_nf_forward_finish`.
    BrNfForward,
    /// `br_nf_post_routing`, on to `br_nf_dev_queue_xmit`.
    BrNfPostRouting,
    /// `br_nf_pre_routing_finish` of a frame that DNAT sends to another station of the bridge, on to
    /// `br_nf_pre_routing_finish_bridge`.
    BrNfBridgedDnat,
}

impl Site {
    /// The family and the hook that it offers its packets to.
    pub fn point(self) -> (Pf, Hook) {
        match self {
            Site::IpRcv | Site::IpSublistRcv | Site::VrfRcv | Site::BrNfPreRouting => {
                (Pf::Ipv4, Hook::PreRouting)
            }
            Site::IpLocalDeliver => (Pf::Ipv4, Hook::LocalIn),
            Site::IpForward | Site::BrNfForward => (Pf::Ipv4, Hook::Forward),
            Site::IpLocalOut | Site::VrfLocalOut => (Pf::Ipv4, Hook::LocalOut),
            Site::IpOutput | Site::IpMcLoop | Site::VrfOutput | Site::BrNfPostRouting => {
                (Pf::Ipv4, Hook::PostRouting)
            }
            Site::BrHandleFrame | Site::BrNfBridgedDnat => (Pf::Bridge, Hook::PreRouting),
            Site::BrPassFrameUp => (Pf::Bridge, Hook::LocalIn),
            Site::BrForward => (Pf::Bridge, Hook::Forward),
            Site::BrLocalOut => (Pf::Bridge, Hook::LocalOut),
            Site::BrForwardFinish => (Pf::Bridge, Hook::PostRouting),
        }
    }
}

/// Where a packet is and which devices it crosses, as hook functions see it (`struct nf_hook_state`).
#[derive(Clone, Copy, Debug)]
pub struct HookState {
    /// The place that offers the packet.
    pub site: Site,
    /// The hook.
    pub hook: Hook,
    /// The namespace.
    pub netns: NetnsId,
    /// The device that it came in by, where the hook knows one.
    pub input: Option<DevId>,
    /// The device that it leaves by, where the hook knows one.
    pub output: Option<DevId>,
}

/// `NF_IP_PRI_CONNTRACK_DEFRAG`.
pub const PRI_CONNTRACK_DEFRAG: i32 = -400;
/// `NF_IP_PRI_CONNTRACK`.
pub const PRI_CONNTRACK: i32 = -200;
/// `NF_IP_PRI_NAT_DST`.
pub const PRI_NAT_DST: i32 = -100;
/// `NF_IP_PRI_NAT_SRC`.
pub const PRI_NAT_SRC: i32 = 100;
/// `NF_IP_PRI_LAST`.
pub const PRI_LAST: i32 = i32::MAX;
/// `NF_IP_PRI_CONNTRACK_CONFIRM`.
pub const PRI_CONNTRACK_CONFIRM: i32 = i32::MAX;

/// What bridge netfilter notes in a packet (`struct nf_bridge_info`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NfBridge {
    /// The port that it came in by.
    pub physin: Option<DevId>,
    /// The port that it leaves by.
    pub physout: Option<DevId>,
    /// Its destination before NAT, to see whether that changed it.
    pub daddr: Ipv4Addr,
    /// The frame was for another host; its `pkt_type` comes back later.
    pub other_host: bool,
    /// It is in `PREROUTING` of the bridge.
    pub in_prerouting: bool,
    /// DNAT gave it another station of the bridge, whose address is asked for.
    pub bridged_dnat: bool,
    /// It met the IPv4 hooks above the bridge's port already (`sabotage_in_done`).
    pub sabotage_in_done: bool,
    /// The largest fragment that it was put together of, bytes; 0: it was whole.
    pub frag_max_size: u16,
    /// Its sender's address, while the neighbour's code writes another header (`neigh_header`).
    pub neigh_source: Mac,
}

impl Default for NfBridge {
    fn default() -> Self {
        NfBridge {
            physin: None,
            physout: None,
            daddr: Ipv4Addr::UNSPECIFIED,
            other_host: false,
            in_prerouting: false,
            bridged_dnat: false,
            sabotage_in_done: false,
            frag_max_size: 0,
            neigh_source: Mac::default(),
        }
    }
}

/// Which tables bridges call, for a namespace (`/proc/sys/net/bridge`) or for one bridge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BridgeCalls {
    /// `bridge-nf-call-iptables`, `nf_call_iptables`.
    pub iptables: bool,
    /// `bridge-nf-call-ip6tables`, `nf_call_ip6tables`.
    pub ip6tables: bool,
    /// `bridge-nf-call-arptables`, `nf_call_arptables`.
    pub arptables: bool,
}

impl BridgeCalls {
    /// What a namespace begins with.
    pub const ALL: BridgeCalls = BridgeCalls { iptables: true, ip6tables: true, arptables: true };
}
