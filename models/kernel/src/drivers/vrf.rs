//! `vrf`: devices under it are routed by a table of their own.
//!
//! Its packets pass the hooks twice, once with the device that they came in by or leave by, and once with the VRF.
//!
//! Kernel: drivers/net/vrf.c. Not modelled: a queueing discipline of the VRF; packets without a source address.

use glassnet_wire::Mac;
use glassnet_wire::eth::{ETH_P_IP, EthHdr};

use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{DevId, NetnsId, SkbId};
use crate::link::{DrvInfo, EthtoolOps, L3mdevOps, LinkOps, NewLink};
use crate::module::{Module, NetdevEvent};
use crate::net::core::dev::{dev_close, dev_open, register_netdevice, unregister_netdevice};
use crate::net::core::dev_rx_mode::dev_change_gflags;
use crate::net::core::dev_taps::{dev_queue_xmit_nit, has_tap_of_its_own};
use crate::net::core::dev_upper::{netdev_master_upper_dev_link, netdev_upper_dev_unlink};
use crate::net::core::notifier::call_netdevice_notifiers;
use crate::net::core::skbuff::skb_dst_set;
use crate::net::ethernet::eth::{eth_type_trans, ether_setup};
use crate::net::ipv4::fib_rules::rtm_newrule;
use crate::net::ipv4::ip_input::ip_hdr;
use crate::net::ipv4::route::ip_route_output_flow;
use crate::net::netfilter::core::{nf_hook, nf_hook_in_passing};
use crate::netlink::{Errno, NLM_F_EXCL, NlError};
use crate::sysctl::{At, Sysctl, SysctlTable, set_net};
use crate::tables::conntrack::NfCt;
use crate::tables::drop_reason::DropReason;
use crate::tables::netdev::{
    AddrAssign, IFF_ALLMULTI, IFF_MASTER, IFF_NOARP, IFF_PROMISC, NetDevice, OperState,
};
use crate::tables::netdev_features::{
    FRAGLIST, GSO_SOFTWARE, HIGHDMA, HW_CSUM, LLTX, NETNS_LOCAL, RXCSUM, SCTP_CRC, SG, VLAN_CHALLENGED,
};
use crate::tables::netfilter::Site;
use crate::tables::route::{FlowOut, Rtable};
use crate::tables::route_types::{RTPROT_KERNEL, RuleMsg};
use crate::tables::skb::{IpCb, PacketType};
use crate::tables::sysctl::Setting;

/// The module.
pub static MODULE: Module = Module {
    links: &[&LINK_OPS],
    sysctls: &[&SYSCTLS],
    netdevice_event: Some(vrf_device_event),
    ..Module::named("vrf")
};

static STRICT_MODE: Setting = Setting::new("strict_mode", 0);

static SYSCTLS: SysctlTable =
    SysctlTable::new("net/vrf", &[Sysctl::net(&STRICT_MODE).range(0, 1).set(set_strict_mode)]);

/// Link kind `vrf`.
static LINK_OPS: LinkOps = LinkOps {
    newlink: Some(vrf_newlink),
    dellink: Some(vrf_dellink),
    add_slave: Some(vrf_add_slave),
    del_slave: Some(vrf_del_slave),
    devtype: Some("vrf"),
    ethtool: EthtoolOps {
        get_drvinfo: Some(|_| DrvInfo {
            driver: "vrf".to_owned(),
            version: "1.0",
            fw_version: "",
            bus_info: String::new(),
        }),
        ..EthtoolOps::NONE
    },
    ..LinkOps::new(Some("vrf"), vrf_setup, |skb| Door::VrfXmit { skb })
};

/// Of the VRF, which receives what it sent to itself.
static MASTER_OPS: L3mdevOps = L3mdevOps { l3_rcv: vrf_l3_rcv, l3_out: None };
/// Of a device under it.
static SLAVE_OPS: L3mdevOps = L3mdevOps { l3_rcv: vrf_l3_rcv, l3_out: Some(vrf_l3_out) };

/// Priority of the rule that makes VRFs use their tables (`FIB_RULE_PREF`).
const FIB_RULE_PREF: u32 = 1000;
/// The least MTU, bytes (`IPV6_MIN_MTU`).
const MIN_MTU: u32 = 1280;
/// The greatest, and what it begins with, bytes (`IP6_MAX_MTU`).
const MAX_MTU: u32 = 65_575;

const FEATURES: u64 = LLTX
    | NETNS_LOCAL
    | VLAN_CHALLENGED
    | GSO_SOFTWARE
    | RXCSUM
    | HW_CSUM
    | SCTP_CRC
    | SG
    | FRAGLIST
    | HIGHDMA;

/// `IFLA_VRF_*`.
#[derive(Clone, Copy, Debug, Default)]
pub struct VrfAttrs {
    /// `IFLA_VRF_TABLE`.
    pub table: Option<u32>,
}

/// What the module knows of a namespace (`struct netns_vrf`).
#[derive(Clone, Copy, Debug, Default)]
struct NetnsVrf {
    /// The first VRF has made the rule.
    has_rule: bool,
}

fn vrf_setup(dev: &mut NetDevice) {
    ether_setup(dev);
    dev.flags = IFF_MASTER | IFF_NOARP;
    dev.mtu = MAX_MTU;
    (dev.min_mtu, dev.max_mtu) = (MIN_MTU, MAX_MTU);
    dev.operstate = OperState::Up;
    dev.no_queue = true;
    dev.no_rx_handler = true;
    dev.tx_skb_sharing = false;
    dev.addr_assign = AddrAssign::Random;
    (dev.features, dev.hw_features) = (FEATURES, FEATURES);
    dev.l3mdev_ops = Some(&MASTER_OPS);
}

fn vrf_newlink(cx: &mut Cx, new: NewLink) -> Result<DevId, NlError> {
    let invalid = |text| NlError::with(Errno::EINVAL, text);
    let attrs: VrfAttrs = new.info.data().copied().unwrap_or_default();
    let table = attrs.table.ok_or(invalid("VRF table id is missing"))?;
    if table == 0 {
        return Err(invalid("Invalid VRF table id"));
    }
    let netns = new.dev.netns;
    let used = tables(cx, netns).contains(&table);
    let mut dev = new.dev;
    dev.l3mdev_fib_table = Some(table);
    let dev = register_netdevice(cx, dev)?;
    if used && cx.k.netns[netns].sysctls.get(&STRICT_MODE) != 0 {
        unregister_netdevice(cx, dev);
        return Err(NlError::with(Errno::EBUSY, "Table is used by another VRF"));
    }
    cx.k.netns[netns].ipv4.fib.new_table(table);
    let state: &mut NetnsVrf = cx.k.netns[netns].generic.get_mut();
    if !std::mem::replace(&mut state.has_rule, true) {
        let rule = RuleMsg {
            priority: Some(FIB_RULE_PREF),
            protocol: RTPROT_KERNEL,
            l3mdev: true,
            ..RuleMsg::default()
        };
        let _there_by_a_user = rtm_newrule(cx, netns, &rule, NLM_F_EXCL);
    }
    Ok(dev)
}

/// The tables of the VRFs of a namespace.
fn tables(cx: &Cx, netns: NetnsId) -> Vec<u32> {
    let devs = cx.k.netns[netns].devs.values();
    devs.filter_map(|dev| cx.k.devs[*dev].l3mdev_fib_table).collect()
}

/// With `strict_mode` a table has one VRF.
fn set_strict_mode(cx: &mut Cx, at: At, sysctl: &Sysctl, value: i64) -> Result<(), Errno> {
    let mut tables = tables(cx, at.netns);
    let count = tables.len();
    tables.sort_unstable();
    tables.dedup();
    if value != 0 && tables.len() < count {
        return Err(Errno::EBUSY);
    }
    set_net(cx, at, sysctl, value)
}

fn vrf_dellink(cx: &mut Cx, vrf: DevId) {
    for slave in cx.k.devs[vrf].lowers.clone() {
        vrf_del_slave(cx, vrf, slave);
    }
    unregister_netdevice(cx, vrf);
}

fn vrf_add_slave(cx: &mut Cx, vrf: DevId, dev: DevId) -> Result<(), NlError> {
    if cx.k.devs[dev].is_loopback() {
        return Err(NlError::with(Errno::EOPNOTSUPP, "Can not enslave loopback device to a VRF"));
    }
    if cx.k.devs[dev].l3mdev_fib_table.is_some() {
        return Err(NlError::with(Errno::EINVAL, "Can not enslave an L3 master device to a VRF"));
    }
    netdev_master_upper_dev_link(cx, dev, vrf)?;
    cx.k.devs[dev].l3mdev_ops = Some(&SLAVE_OPS);
    cycle_netdev(cx, dev);
    Ok(())
}

fn vrf_del_slave(cx: &mut Cx, vrf: DevId, dev: DevId) {
    netdev_upper_dev_unlink(cx, dev, vrf);
    cx.k.devs[dev].l3mdev_ops = None;
    cycle_netdev(cx, dev);
}

/// A device that came or went is set down and up, so that its routes are in the right table.
fn cycle_netdev(cx: &mut Cx, dev: DevId) {
    call_netdevice_notifiers(cx, dev, NetdevEvent::ChangeUpper);
    if !cx.k.devs[dev].is_up() {
        return;
    }
    let flags = cx.k.devs[dev].flags;
    let is_set = |flag| Some(flags & flag != 0);
    dev_close(cx, dev);
    // The flags are written back as they were read, so what was set for another's sake is from now on set by the user.
    dev_change_gflags(cx, dev, is_set(IFF_PROMISC), is_set(IFF_ALLMULTI));
    // It was up, so its driver lets it.
    let _opened = dev_open(cx, dev);
}

/// A device under a VRF is gone.
fn vrf_device_event(cx: &mut Cx, dev: DevId, event: NetdevEvent) {
    let is_slave = |master: &DevId| cx.k.devs[*master].l3mdev_fib_table.is_some();
    if event == NetdevEvent::Unregister
        && let Some(vrf) = cx.k.devs[dev].master().filter(is_slave)
    {
        vrf_del_slave(cx, vrf, dev);
    }
}

/// What a device under a VRF received, or the VRF itself, is the VRF's from here on.
fn vrf_l3_rcv(cx: &mut Cx, dev: DevId, skb: SkbId) -> bool {
    cx.within(Func::VrfL3Rcv, skb, |cx| {
        let Some(vrf) = cx.k.devs.l3mdev_master(dev) else { return true };
        let ifindex = cx.k.devs[vrf].ifindex;
        let to_group = ip_hdr(cx, skb).is_some_and(|iph| iph.daddr.get().is_multicast());
        let pkt = &mut cx.skbs[skb];
        (pkt.dev, pkt.skb_iif) = (vrf, ifindex);
        if to_group {
            return true;
        }
        if pkt.pkt_type == PacketType::Loopback {
            // It was counted and seen as it was sent.
            pkt.pkt_type = PacketType::Host;
            return true;
        }
        let len = pkt.len();
        cx.k.devs[vrf].stats.count_rx(len, false);
        if has_tap_of_its_own(cx, vrf) {
            dev_queue_xmit_nit(cx, skb, vrf);
        }
        nf_hook_in_passing(cx, Site::VrfRcv, skb)
    })
}

/// A packet of this machine that is to leave by a device under a VRF passes OUTPUT and POSTROUTING with the VRF, untracked, and then
/// again with the device (`vrf_ip_out_direct`).
fn vrf_l3_out(cx: &mut Cx, dev: DevId, skb: SkbId) -> bool {
    cx.within(Func::VrfL3Out, skb, |cx| {
        let to = ip_hdr(cx, skb).map(|iph| iph.daddr.get());
        let Some(vrf) = cx.k.devs.l3mdev_master(dev) else { return true };
        if to.is_none_or(|to| to.is_multicast() || to.is_broadcast()) {
            return true;
        }
        cx.skbs[skb].dev = vrf;
        let untracked = cx.skbs[skb].nfct == NfCt::None;
        if untracked {
            cx.nf_ct_set(skb, NfCt::Untracked);
        }
        if !nf_hook_in_passing(cx, Site::VrfLocalOut, skb) || !nf_hook_in_passing(cx, Site::VrfOutput, skb) {
            return false;
        }
        cx.within(Func::VrfFinishDirect, skb, |cx| {
            if has_tap_of_its_own(cx, vrf) {
                let source = cx.k.devs[vrf].addr;
                let data = cx.skbs[skb].data;
                cx.skbs.push_eth(skb, EthHdr::new(Mac::ZERO, source, ETH_P_IP));
                dev_queue_xmit_nit(cx, skb, vrf);
                cx.skbs[skb].data = data;
            }
            if untracked {
                cx.nf_reset_ct(skb);
            }
        });
        true
    })
}

/// Sends a packet that is routed to the VRF itself: to this machine, or by the VRF's table to a device under it.
///
/// Kernel: drivers/net/vrf.c
/// Not modelled: nothing of IPv4.
pub fn vrf_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    let (vrf, len) = (cx.skbs[skb].dev, cx.skbs[skb].len());
    let Some(route) = process_v4_outbound(cx, vrf, skb) else {
        let stats = &mut cx.k.devs[vrf].stats;
        stats.tx_errors += 1;
        stats.tx_dropped += 1;
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    };
    cx.k.devs[vrf].stats.count_tx(len);
    skb_dst_set(cx, skb, route);
    if route.dev == vrf {
        return vrf_local_xmit(cx, skb, vrf);
    }
    let pkt = &mut cx.skbs[skb];
    pkt.data = pkt.network_header;
    pkt.ip = IpCb::default();
    nf_hook(cx, Site::IpLocalOut, skb)
}

/// Routes a packet by the VRF's table (`vrf_process_v4_outbound`); none if it is no IPv4, or there is no route.
fn process_v4_outbound(cx: &mut Cx, vrf: DevId, skb: SkbId) -> Option<Rtable> {
    if cx.skbs[skb].protocol != ETH_P_IP {
        return None;
    }
    let iph = *ip_hdr(cx, skb)?;
    let netns = cx.k.devs[vrf].netns;
    let flow = FlowOut {
        daddr: iph.daddr.get(),
        saddr: iph.saddr.get(),
        oif: Some(vrf),
        tos: iph.tos,
        proto: iph.protocol,
        any_source: true,
        ..FlowOut::default()
    };
    ip_route_output_flow(cx, netns, flow, Some(skb)).ok().map(|(route, _)| route)
}

/// To this machine: the VRF receives it.
fn vrf_local_xmit(cx: &mut Cx, skb: SkbId, vrf: DevId) -> Door {
    cx.call(Func::VrfLocalXmit, skb);
    let len = cx.skbs[skb].len();
    cx.skb_orphan(skb);
    if !eth_type_trans(cx, skb, vrf) {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    cx.skbs[skb].pkt_type = PacketType::Loopback;
    cx.skbs[skb].ip_summed = true;
    cx.k.devs[vrf].stats.count_rx(len, false);
    Door::NetifRxInner { skb }
}
