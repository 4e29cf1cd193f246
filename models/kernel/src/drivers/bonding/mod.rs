//! `bonding`: several devices as one.
//!
//! | module | owns |
//! |---|---|
//! | `mod` | the bond, its slaves, what it has of them |
//! | [`active`] | which slave works |
//! | [`mii`], [`arp_monitor`] | watch the links of slaves |
//! | [`bond_3ad`] | LACP |
//! | [`bond_alb`] | shares what is sent by load |
//! | [`xmit`] | packets in and out |
//! | [`work`] | what is done from time to time |
//! | [`bond_options`] | a row an option |
//! | [`bond_netlink`] | requests |
//!
//! Kernel: drivers/net/bonding/bond_main.c
//! Not modelled: the mode balance-alb, `resend_igmp`, queue numbers of slaves.

mod active;
mod arp_monitor;
mod bond_3ad;
mod bond_alb;
pub mod bond_netlink;
pub mod bond_options;
mod mii;
mod work;
pub mod xmit;

use glassnet_wire::Mac;
use glassnet_wire::lacp::LACPDU_MCAST_ADDR;

use self::active::{FAIL_OVER_MAC_ACTIVE, bond_change_active_slave, bond_select_active_slave};
use self::bond_netlink::BondAttrs;
use self::bond_options::bond_opt_default;
use self::work::{cancel_delayed_work, queue_delayed_work};
use crate::door::Door;
use crate::ids::{DevId, NetnsId};
use crate::link::{DrvInfo, EthtoolOps, LinkInfo, LinkKsettings, LinkOps, NewLink};
use crate::module::{Module, NetdevEvent};
use crate::net::core::dev::{
    alloc_netdev, dev_close, dev_get_stats, dev_open, dev_set_mac_address, dev_set_mtu, register_netdevice,
    unregister_netdevice,
};
use crate::net::core::dev_addr_lists::{dev_mc_add, dev_mc_del};
use crate::net::core::dev_features::{netdev_increment_features, netdev_update_features};
use crate::net::core::dev_rx_mode::sync_rx_mode;
use crate::net::core::dev_upper::{
    netdev_master_upper_dev_link, netdev_rx_handler_register, netdev_rx_handler_unregister,
    netdev_upper_dev_unlink,
};
use crate::net::core::link_watch::{netif_carrier_off, netif_carrier_on};
use crate::net::core::notifier::call_netdevice_notifiers;
use crate::net::ethernet::eth::{ETH_MAX_MTU, eth_hw_addr_random, ether_setup};
use crate::netlink::{Errno, NlError};
use crate::tables::bond_3ad::{AdSlaveInfo, Aggregator, Port};
use crate::tables::bonding::{BOND_MAX_ARP_TARGETS, BondLink, Bonding, Mode, NEVER, Opt, Slave, Work};
use crate::tables::klog::{LOG_INFO, LOG_WARNING};
use crate::tables::netdev::{
    AddrAssign, DevStats, IFF_MASTER, IFF_SLAVE, NameAssign, NetDevice, RxMode, TSO_MAX_SIZE,
};
use crate::tables::netdev_features::{
    ALL_FOR_ALL, ALL_TSO, FRAGLIST, GSO_ENCAP_ALL, GSO_SOFTWARE, HIGHDMA, HW_CSUM, HW_VLAN_CTAG_FILTER,
    HW_VLAN_CTAG_RX, HW_VLAN_CTAG_TX, HW_VLAN_STAG_FILTER, HW_VLAN_STAG_RX, HW_VLAN_STAG_TX, LLTX, LRO,
    NETNS_LOCAL, ONE_FOR_ALL, SG, VLAN_CHALLENGED,
};
use crate::{Cx, Kernel};

/// The module. No bond is created at load time (`max_bonds` is 0, as Debian's modprobe.d sets it).
pub static MODULE: Module = Module {
    links: &[&LINK_OPS],
    init: Some(bonding_init),
    netdevice_event: Some(bond_netdev_event),
    ..Module::named("bonding")
};

/// Transmit and receive queues of a bond (`tx_queues`).
const TX_QUEUES: u32 = 16;

/// Link kind `bond`.
static LINK_OPS: LinkOps = LinkOps {
    newlink: Some(bond_newlink),
    changelink: Some(|cx, dev, info| {
        info.data().map_or(Ok(()), |attrs| bond_netlink::bond_changelink(cx, dev, attrs))
    }),
    slave_changelink: Some(|cx, dev, info| {
        info.data().map_or(Ok(()), |attrs| bond_netlink::bond_slave_changelink(cx, dev, attrs))
    }),
    dellink: Some(bond_uninit),
    open: Some(bond_open),
    stop: Some(bond_close),
    change_mtu: Some(bond_change_mtu),
    set_mac_address: Some(bond_set_mac_address),
    set_rx_mode: Some(bond_set_rx_mode),
    get_stats64: Some(bond_get_stats),
    fix_features: Some(bond_fix_features),
    add_slave: Some(bond_enslave),
    del_slave: Some(|cx, bond, dev| bond_release(cx, bond, dev, false)),
    devtype: Some("bond"),
    ethtool: EthtoolOps {
        get_drvinfo: Some(|_| DrvInfo {
            driver: "bonding".to_owned(),
            version: "",
            // The version of the interface that programs like ifenslave use (`BOND_ABI_VERSION`).
            fw_version: "2",
            bus_info: String::new(),
        }),
        get_link_ksettings: Some(bond_get_link_ksettings),
        get_link: true,
        ..EthtoolOps::NONE
    },
    ..LinkOps::new(Some("bond"), bond_setup, |skb| Door::BondStartXmit { skb })
};

/// Offloads that a bond can have.
const HW_FEATURES: u64 = SG
    | FRAGLIST
    | HW_CSUM
    | HIGHDMA
    | GSO_SOFTWARE
    | LRO
    | HW_VLAN_CTAG_RX
    | HW_VLAN_CTAG_FILTER
    | HW_VLAN_STAG_RX
    | HW_VLAN_STAG_FILTER
    | GSO_ENCAP_ALL;

fn bond_setup(dev: &mut NetDevice) {
    ether_setup(dev);
    dev.max_mtu = ETH_MAX_MTU;
    dev.flags |= IFF_MASTER;
    dev.no_queue = true;
    dev.unicast_flt = true;
    dev.tx_skb_sharing = false;
    dev.addr_assign = AddrAssign::Random;
    (dev.num_tx_queues, dev.real_num_tx_queues, dev.num_rx_queues) = (TX_QUEUES, TX_QUEUES, TX_QUEUES);
    dev.hw_features = HW_FEATURES;
    dev.features = HW_FEATURES | HW_VLAN_CTAG_TX | HW_VLAN_STAG_TX | LLTX | NETNS_LOCAL;
    dev.set_priv(Bonding::new(bond_opt_default()));
}

/// The module is loaded, by a user or for the first bond.
fn bonding_init(cx: &mut Cx) {
    cx.k.config.bonding = true;
}

fn bond_newlink(cx: &mut Cx, mut new: NewLink) -> Result<DevId, NlError> {
    bonding_init(cx);
    if let Some(attrs) = new.info.data::<BondAttrs>() {
        bond_netlink::set_before_registration(cx, &mut new.dev, attrs)?;
    }
    let bond = register_netdevice(cx, new.dev)?;
    netif_carrier_off(cx, bond);
    netdev_update_features(cx, bond);
    Ok(bond)
}

/// Makes a bond as a write to `/sys/class/net/bonding_masters` does (`bond_create`).
///
/// # Errors
///
/// `EEXIST` for a name in use, `EINVAL` for an invalid one.
pub fn bond_create(cx: &mut Cx, netns: NetnsId, name: &str) -> Result<DevId, NlError> {
    let dev = alloc_netdev(netns, name.to_owned(), NameAssign::User, &LINK_OPS);
    bond_newlink(
        cx,
        NewLink { dev, src_net: netns, link: None, address: None, mtu: None, info: &LinkInfo::new("bond") },
    )
}

/// Its slaves leave, then it goes.
fn bond_uninit(cx: &mut Cx, bond: DevId) {
    dev_close(cx, bond);
    cx.k.devs[bond].unregistering = true;
    for slave in slaves(cx.k, bond) {
        bond_release(cx, bond, slave, true);
    }
    cx.printk(LOG_INFO, format!("{} (unregistering): Released all slaves", cx.k.devs[bond].name));
    unregister_netdevice(cx, bond);
}

/// The devices of a bond's slaves.
fn slaves(k: &Kernel, bond: DevId) -> Vec<DevId> {
    k.devs[bond].bond().map(|bond| bond.slaves.iter().map(|slave| slave.dev).collect()).unwrap_or_default()
}

/// Writes a line about a slave to the log (`slave_info`).
fn slave_log(cx: &mut Cx, level: u8, bond: DevId, slave: DevId, text: &str) {
    let (bond, slave) = (&cx.k.devs[bond], &cx.k.devs[slave].name);
    let gone = if bond.unregistering { " (unregistering)" } else { "" };
    cx.printk(level, format!("{}{gone}: (slave {slave}): {text}", bond.name));
}

/// Makes a device a slave (`bond_enslave`).
///
/// # Errors
///
/// `EPERM` for the bond itself or a device that is up, `EBUSY` for one that has a master or another user, and those of its MTU
/// and its address.
fn bond_enslave(cx: &mut Cx, bond: DevId, dev: DevId) -> Result<(), NlError> {
    if bond == dev {
        return Err(NlError::with(Errno::EPERM, "Cannot enslave bond to itself"));
    }
    if cx.k.devs[dev].arphrd.header_len() == 0 {
        return Err(NlError::not_modelled("a bond of tunnels"));
    }
    if cx.k.devs[dev].features & VLAN_CHALLENGED != 0 {
        let text =
            "enslaved VLAN challenged slave. Adding VLANs will be blocked as long as it is part of bond.";
        slave_log(cx, LOG_WARNING, bond, dev, text);
    }
    if cx.k.devs[dev].is_up() {
        return Err(NlError::with(Errno::EPERM, "Device can not be enslaved while up"));
    }
    if cx.k.devs[dev].rx_handler.is_some() || cx.k.devs[dev].master().is_some() {
        return Err(Errno::EBUSY.into());
    }
    let (perm_hwaddr, original_mtu) = (cx.k.devs[dev].addr, cx.k.devs[dev].mtu);
    if slaves(cx.k, bond).is_empty() && cx.k.devs[bond].addr_assign != AddrAssign::Set {
        bond_set_dev_addr(cx, bond, perm_hwaddr);
    }
    dev_set_mtu(cx, dev, cx.k.devs[bond].mtu)?;
    if !keeps_addresses(cx.k, bond) {
        dev_set_mac_address(cx, dev, cx.k.devs[bond].addr)?;
    }
    cx.k.devs[dev].flags |= IFF_SLAVE;
    dev_open(cx, dev)?;
    let stats_before = dev_get_stats(cx.k, &cx.k.devs[dev]);
    if is_tlb(cx.k, bond) {
        bond_alb::bond_alb_init_slave(cx, bond, dev, perm_hwaddr);
    }
    let link = first_link(cx.k, bond, dev);
    netdev_rx_handler_register(cx, dev, |skb| Door::BondHandleFrame { skb })?;
    netdev_master_upper_dev_link(cx, dev, bond)?;
    let slave = new_slave(cx, bond, dev, link);
    let Some(bonding) = cx.k.devs[bond].bond_mut() else { return Err(Errno::EINVAL.into()) };
    let (mode, is_backup) = (bonding.mode(), bonding.uses_primary());
    let is_first = bonding.slaves.is_empty();
    bonding.slaves.push(Slave { perm_hwaddr, original_mtu, stats_before, ..slave });
    match mode {
        Mode::ActiveBackup | Mode::Tlb => {}
        Mode::Ieee8023ad => {
            if is_first {
                bond_3ad::bond_3ad_initialize(cx, bond);
            }
            bond_3ad::bond_3ad_bind_slave(cx, bond, dev);
            if cx.k.devs[bond].is_up() {
                dev_mc_add(cx, dev, LACPDU_MCAST_ADDR);
            }
        }
        _ if bonding.curr_active_slave.is_none() && link == BondLink::Up => {
            bonding.curr_active_slave = Some(dev);
        }
        _ => {}
    }
    follow_slaves(cx, bond);
    bond_set_carrier(cx, bond);
    if is_backup {
        let is_primary = is_primary(cx.k, bond, dev);
        if let Some(bonding) = cx.k.devs[bond].bond_mut() {
            bonding.force_primary |= is_primary;
        }
        bond_select_active_slave(cx, bond);
    }
    bond_set_rx_mode(cx, bond);
    let is_active = cx.k.devs[bond].bond().and_then(|bond| bond.slave(dev)).is_some_and(|slave| slave.active);
    let (role, state) = (
        if is_active { "an active" } else { "a backup" },
        if link == BondLink::Down { "a down" } else { "an up" },
    );
    slave_log(cx, LOG_INFO, bond, dev, &format!("Enslaving as {role} interface with {state} link"));
    Ok(())
}

/// A slave that a device becomes, with its link in this state (`bond_alloc_slave`).
fn new_slave(cx: &Cx, bond: DevId, dev: DevId, link: BondLink) -> Slave {
    let (settings, last) = (link_settings(cx.k, dev), arp_monitor::before_interval(cx, bond));
    let bonding = cx.k.devs[bond].bond();
    let opt = |opt: Opt| bonding.map_or(0, |bond| bond.opt(opt));
    let waits = bonding.is_some_and(|bond| bond.uses_primary() || bond.mode() == Mode::Ieee8023ad);
    let before = bonding.and_then(|bond| bond.slaves.last());
    let number = before.map_or(1, |slave| slave.ad.port.actor_port_number.wrapping_add(1));
    let user_key = opt(Opt::AdUserPortKey) as u16;
    let port = Port::new(number, user_key, opt(Opt::LacpActive) != 0, opt(Opt::LacpRate) != 0);
    Slave {
        dev,
        link,
        active: !waits || is_tlb(cx.k, bond),
        inactive: waits && opt(Opt::AllSlavesActive) == 0,
        delay: if link == BondLink::Back { opt(Opt::Updelay) } else { 0 },
        link_failure_count: 0,
        prio: 0,
        perm_hwaddr: Mac::ZERO,
        original_mtu: 0,
        speed: settings.speed,
        full_duplex: settings.full_duplex,
        stats_before: DevStats::default(),
        last_link_up: if link == BondLink::Down { NEVER } else { arp_monitor::now(cx) },
        last_tx: last,
        last_rx: last,
        tlb_load: 0,
        target_last_arp_rx: [last; BOND_MAX_ARP_TARGETS],
        ad: AdSlaveInfo { aggregator: Aggregator::default(), port },
    }
}

/// The state of a new slave's link.
fn first_link(k: &Kernel, bond: DevId, dev: DevId) -> BondLink {
    let Some(bonding) = k.devs[bond].bond() else { return BondLink::Down };
    match bonding.opt(Opt::Miimon) {
        0 if bonding.opt(Opt::ArpInterval) > 0 && !k.devs[dev].carrier => BondLink::Down,
        0 => BondLink::Up,
        _ if !mii::bond_check_dev_link(k, dev) => BondLink::Down,
        _ if bonding.opt(Opt::Updelay) > 0 => BondLink::Back,
        _ => BondLink::Up,
    }
}

/// The name of the device is that of the slave that is preferred.
fn is_primary(k: &Kernel, bond: DevId, dev: DevId) -> bool {
    let primary = k.devs[bond].bond().and_then(|bond| bond.primary.as_ref());
    primary == Some(&k.devs[dev].name)
}

/// A slave is to work rather than another one.
fn is_better(k: &Kernel, bond: DevId, dev: DevId, current: DevId) -> bool {
    let prio = |dev: DevId| k.devs[bond].bond().and_then(|bond| bond.slave(dev)).map(|slave| slave.prio);
    is_primary(k, bond, dev) || prio(dev) > prio(current)
}

/// A slave's device is up and has a carrier.
fn bond_slave_is_up(k: &Kernel, dev: DevId) -> bool {
    k.devs[dev].is_up() && k.devs[dev].carrier
}

/// In this mode, a slave whose speed is unknown does not work.
fn needs_speed_duplex(bond: &Bonding) -> bool {
    matches!(bond.mode(), Mode::Ieee8023ad | Mode::Tlb)
}

fn is_tlb(k: &Kernel, bond: DevId) -> bool {
    k.devs[bond].bond().is_some_and(|bond| bond.mode() == Mode::Tlb)
}

/// Slaves keep their addresses, and the bond has that of the one that works.
fn keeps_addresses(k: &Kernel, bond: DevId) -> bool {
    let keeps = |bond: &Bonding| bond.mode() == Mode::ActiveBackup && bond.opt(Opt::FailOverMac) != 0;
    k.devs[bond].bond().is_some_and(keeps)
}

/// A slave goes; `all`: because the bond does.
fn bond_release(cx: &mut Cx, bond: DevId, dev: DevId, all: bool) {
    let is_8023ad = cx.k.devs[bond].bond().is_some_and(|bond| bond.mode() == Mode::Ieee8023ad);
    // What it sends while it leaves is no more the bond's.
    let stats = dev_get_stats(cx.k, &cx.k.devs[dev]);
    set_rx_mode_of(cx, bond, dev, false);
    netdev_rx_handler_unregister(cx, dev);
    if is_8023ad {
        bond_3ad::bond_3ad_unbind_slave(cx, bond, dev);
    }
    netdev_upper_dev_unlink(cx, dev, bond);
    let role = if is_tlb(cx.k, bond) { "active" } else { "backup" };
    slave_log(cx, LOG_INFO, bond, dev, &format!("Releasing {role} interface"));
    let Some(bonding) = cx.k.devs[bond].bond_mut() else { return };
    let Some(at) = bonding.slaves.iter().position(|slave| slave.dev == dev) else { return };
    let slave = bonding.slaves.remove(at);
    bonding.stats_of_gone = bonding.stats_of_gone + (stats - slave.stats_before);
    let was_active = bonding.curr_active_slave == Some(dev);
    bonding.current_arp_slave = None;
    let is_last = bonding.slaves.is_empty();
    let follows =
        bonding.mode() == Mode::ActiveBackup && bonding.opt(Opt::FailOverMac) == FAIL_OVER_MAC_ACTIVE;
    if !all && !follows && cx.k.devs[bond].addr == slave.perm_hwaddr && !is_last {
        let text = format!(
            "the permanent HWaddr of slave - {} - is still in use by bond - set the HWaddr of slave to a different \
             address to avoid conflicts",
            slave.perm_hwaddr
        );
        slave_log(cx, LOG_WARNING, bond, dev, &text);
    }
    if was_active {
        bond_change_active_slave(cx, bond, None);
    }
    if is_tlb(cx.k, bond) {
        bond_alb::bond_alb_deinit_slave(cx, bond, dev, slave.perm_hwaddr);
    }
    if was_active && !all {
        bond_select_active_slave(cx, bond);
    }
    bond_set_carrier(cx, bond);
    if is_last && !all {
        let (netns, name) = (cx.k.devs[bond].netns, cx.k.devs[bond].name.clone());
        let random = eth_hw_addr_random(cx, netns, &name);
        cx.k.devs[bond].addr = random;
        cx.k.devs[bond].addr_assign = AddrAssign::Random;
    }
    follow_slaves(cx, bond);
    if is_8023ad && cx.k.devs[bond].is_up() {
        dev_mc_del(cx, dev, LACPDU_MCAST_ADDR);
    }
    dev_close(cx, dev);
    cx.k.devs[dev].flags &= !IFF_SLAVE;
    // They were accepted before it was a slave.
    let _accepted = dev_set_mac_address(cx, dev, slave.perm_hwaddr);
    let _accepted = dev_set_mtu(cx, dev, slave.original_mtu);
}

/// The bond takes a slave's address.
fn bond_set_dev_addr(cx: &mut Cx, bond: DevId, addr: Mac) {
    let netdev = &mut cx.k.devs[bond];
    (netdev.addr, netdev.addr_assign) = (addr, AddrAssign::Stolen);
    call_netdevice_notifiers(cx, bond, NetdevEvent::ChangeAddr);
}

/// A bond has a carrier if the link of a slave works; true if that changed, or if LACP looked after it.
fn bond_set_carrier(cx: &mut Cx, bond: DevId) -> bool {
    let netdev = &cx.k.devs[bond];
    if netdev.bond().is_some_and(|bond| bond.mode() == Mode::Ieee8023ad && !bond.slaves.is_empty()) {
        bond_3ad::bond_3ad_set_carrier(cx, bond);
        return true;
    }
    let works = netdev.bond().is_some_and(|bond| bond.slaves.iter().any(|slave| slave.link == BondLink::Up));
    if netdev.carrier == works {
        return false;
    }
    if works {
        netif_carrier_on(cx, bond)
    } else {
        netif_carrier_off(cx, bond)
    }
    true
}

fn bond_open(cx: &mut Cx, bond: DevId) -> Result<(), Errno> {
    let Some(bonding) = cx.k.devs[bond].bond_mut() else { return Ok(()) };
    let (mode, is_backup) = (bonding.mode(), bonding.uses_primary());
    let all_active = bonding.opt(Opt::AllSlavesActive) != 0;
    let [miimon, arp_interval] = [Opt::Miimon, Opt::ArpInterval].map(|opt| bonding.opt(opt) > 0);
    let is_dynamic = bonding.opt(Opt::TlbDynamicLb) != 0;
    let works = bonding.curr_active_slave;
    for slave in bonding.slaves.iter_mut().filter(|_| mode != Mode::Ieee8023ad) {
        let is_active = !is_backup || works == Some(slave.dev);
        slave.active = is_active || mode == Mode::Tlb;
        slave.inactive = !is_active && !all_active;
    }
    bond_set_rx_mode(cx, bond);
    // Timers of one time run the last first, and these works in the other order.
    if mode == Mode::Ieee8023ad {
        queue_delayed_work(cx, bond, Work::Ad, 0);
        bond_3ad::bond_3ad_initiate_agg_selection(cx, bond);
        slaves(cx.k, bond).into_iter().for_each(|slave| dev_mc_add(cx, slave, LACPDU_MCAST_ADDR));
    }
    if mode == Mode::Tlb {
        if let Some(bonding) = cx.k.devs[bond].bond_mut() {
            bond_alb::bond_alb_initialize(bonding);
        }
        if is_dynamic {
            queue_delayed_work(cx, bond, Work::Alb, 0);
        }
    }
    if arp_interval {
        queue_delayed_work(cx, bond, Work::Arp, 0);
    }
    if miimon {
        queue_delayed_work(cx, bond, Work::Mii, 0);
    }
    Ok(())
}

fn bond_close(cx: &mut Cx, bond: DevId) {
    for work in [Work::Mii, Work::Arp, Work::Ad, Work::Alb] {
        cancel_delayed_work(cx, bond, work);
    }
    let Some(bonding) = cx.k.devs[bond].bond_mut() else { return };
    bonding.send_peer_notif = 0;
    if bonding.mode() == Mode::Ieee8023ad {
        slaves(cx.k, bond).into_iter().for_each(|slave| dev_mc_del(cx, slave, LACPDU_MCAST_ADDR));
    }
}

/// The MTU holds for the slaves, too.
fn bond_change_mtu(cx: &mut Cx, bond: DevId, mtu: u32) -> Result<(), Errno> {
    for slave in slaves(cx.k, bond) {
        // One that cannot keeps its own; the kernel takes the others' back.
        let _refused = dev_set_mtu(cx, slave, mtu);
    }
    Ok(())
}

/// And the address, unless they keep their own.
fn bond_set_mac_address(cx: &mut Cx, bond: DevId, addr: Mac) -> Result<Mac, Errno> {
    if keeps_addresses(cx.k, bond) {
        return Ok(cx.k.devs[bond].addr);
    }
    for slave in slaves(cx.k, bond) {
        // The address is one that devices can have.
        let _accepted = dev_set_mac_address(cx, slave, addr);
    }
    Ok(addr)
}

/// What the bond is to receive its slaves receive: where only one works, that one; addresses only while the bond is up.
fn bond_set_rx_mode(cx: &mut Cx, bond: DevId) {
    let Some(bonding) = cx.k.devs[bond].bond() else { return };
    let only = bonding.uses_primary().then_some(bonding.curr_active_slave);
    let receives = |dev: &DevId| only.is_none_or(|works| works == Some(*dev));
    let (on, off): (Vec<DevId>, Vec<DevId>) = slaves(cx.k, bond).into_iter().partition(receives);
    off.into_iter().for_each(|dev| set_rx_mode_of(cx, bond, dev, false));
    on.into_iter().for_each(|dev| set_rx_mode_of(cx, bond, dev, true));
}

fn set_rx_mode_of(cx: &mut Cx, bond: DevId, dev: DevId, receives: bool) {
    let netdev = &cx.k.devs[bond];
    let mut wanted = if receives { RxMode::of(netdev) } else { RxMode::default() };
    if !netdev.is_up() {
        (wanted.uc, wanted.mc) = Default::default();
    }
    sync_rx_mode(cx, bond, dev, wanted);
}

/// What its slaves counted since they are its own, and what it dropped itself.
fn bond_get_stats(k: &Kernel, dev: &NetDevice) -> DevStats {
    let Some(bonding) = dev.bond() else { return dev.stats };
    let of_slave = |slave: &Slave| dev_get_stats(k, &k.devs[slave.dev]) - slave.stats_before;
    bonding.slaves.iter().map(of_slave).fold(dev.stats + bonding.stats_of_gone, |all, one| all + one)
}

/// Features and limits of a bond follow those of its slaves (`bond_compute_features`).
fn follow_slaves(cx: &mut Cx, bond: DevId) {
    let lowest = slaves(cx.k, bond).iter().map(|slave| cx.k.devs[*slave].tso_max_size).min();
    cx.k.devs[bond].tso_max_size = lowest.unwrap_or(TSO_MAX_SIZE);
    netdev_update_features(cx, bond);
}

fn bond_fix_features(cx: &Cx, bond: DevId, features: u64) -> u64 {
    let first = features & !ONE_FOR_ALL | ALL_FOR_ALL;
    let of_slaves = slaves(cx.k, bond)
        .iter()
        .fold(first, |all, slave| netdev_increment_features(all, cx.k.devs[*slave].features, features));
    of_slaves | ALL_TSO & ONE_FOR_ALL & features
}

/// All slaves that send are as fast together, but where every packet goes by each.
fn bond_get_link_ksettings(k: &Kernel, dev: &NetDevice) -> LinkKsettings {
    let unknown = LinkKsettings { speed: None, full_duplex: false, twisted_pair: false, copper: None };
    let Some(bonding) = dev.bond() else { return unknown };
    let working = || bonding.slaves.iter().filter(|slave| xmit::bond_slave_can_tx(k, slave));
    let speeds = working().filter_map(|slave| slave.speed);
    let speed = match bonding.mode() {
        Mode::Broadcast => speeds.min(),
        _ => speeds.reduce(|all, one| all + one),
    };
    LinkKsettings { speed, full_duplex: working().any(|slave| slave.full_duplex), ..unknown }
}

/// Speed and duplex of a slave (`bond_update_speed_duplex`).
fn link_settings(k: &Kernel, dev: DevId) -> LinkKsettings {
    let netdev = &k.devs[dev];
    let unknown = LinkKsettings { speed: None, full_duplex: false, twisted_pair: false, copper: None };
    netdev.ops.ethtool.get_link_ksettings.map_or(unknown, |get| get(k, netdev))
}

/// Events of a slave.
fn bond_netdev_event(cx: &mut Cx, dev: DevId, event: NetdevEvent) {
    let Some(bond) = cx.k.devs[dev].master().filter(|master| cx.k.devs[*master].bond().is_some()) else {
        return;
    };
    match event {
        NetdevEvent::Unregister => bond_release(cx, bond, dev, false),
        NetdevEvent::Up | NetdevEvent::Change { .. } => {
            let settings = link_settings(cx.k, dev);
            let Some(bonding) = cx.k.devs[bond].bond_mut() else { return };
            let is_8023ad = bonding.mode() == Mode::Ieee8023ad;
            let Some(slave) = bonding.slave_mut(dev) else { return };
            (slave.speed, slave.full_duplex) = (settings.speed, settings.full_duplex);
            if is_8023ad && settings.speed.is_none() {
                slave.link = if slave.last_link_up == NEVER { BondLink::Down } else { BondLink::Fail };
            }
            if is_8023ad {
                bond_3ad::bond_3ad_adapter_speed_duplex_changed(cx, bond, dev);
            }
        }
        NetdevEvent::FeatChange => follow_slaves(cx, bond),
        _ => {}
    }
}
