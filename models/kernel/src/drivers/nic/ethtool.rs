//! What all drivers tell `ethtool` and are told by it.
//!
//! Kernel: drivers/net/ethernet/intel/e1000e/ethtool.c, drivers/net/ethernet/intel/igb/igb_ethtool.c

use glassnet_hardware::rss::HashFields;

use super::{
    DESCRIPTORS, FIRST_SLOT, Itr, Nic, close, descriptors, itr, link, nic, nic_mut, open, reset, set_rings,
};
use crate::ids::DevId;
use crate::link::{
    ChannelCounts, Channels, Coalesce, DrvInfo, EthtoolOps, PauseParam, RingParam, Rxfh, TsInfo,
};
use crate::net::core::dev_queue::netif_set_real_num_tx_queues;
use crate::netlink::Errno;
use crate::tables::netdev::NetDevice;
use crate::{Cx, Kernel};

/// What all drivers answer.
pub(super) const OPS: EthtoolOps = EthtoolOps {
    get_drvinfo: Some(get_drvinfo),
    get_link_ksettings: Some(link::get_link_ksettings),
    set_link_ksettings: Some(link::set_link_ksettings),
    nway_reset: Some(link::nway_reset),
    get_pauseparam: Some(get_pauseparam),
    set_pauseparam: Some(set_pauseparam),
    get_msglevel: Some(get_msglevel),
    set_msglevel: Some(set_msglevel),
    get_ts_info: Some(get_ts_info),
    get_ringparam: Some(get_ringparam),
    set_ringparam: Some(set_ringparam),
    get_coalesce: Some(get_coalesce),
    set_coalesce: Some(set_coalesce),
    is_hardware: true,
    get_link: true,
    tx_timestamps: true,
    ..EthtoolOps::NONE
};

pub(super) fn get_drvinfo(dev: &NetDevice) -> DrvInfo {
    let (name, version, firmware, bus_info) = nic(dev).map_or(("", "", "", String::new()), |nic| {
        (&*nic.name, nic.row.version, nic.row.fw_version, bus_info(nic))
    });
    DrvInfo { driver: name.to_owned(), version, fw_version: firmware, bus_info }
}

/// Where the card is plugged in.
pub(super) fn bus_info(nic: &Nic) -> String {
    format!("0000:00:{:02x}.0", nic.slot)
}

/// As the ends agreed; before that, as this one wants it.
fn get_pauseparam(dev: &NetDevice) -> PauseParam {
    let wants = nic(dev).is_some_and(|nic| nic.pause_autoneg) && !(dev.is_up() && dev.carrier);
    PauseParam { autoneg: nic(dev).is_some_and(|nic| nic.pause_autoneg), rx: wants, tx: wants }
}

/// No other end offers them, so there is nothing else to set.
fn set_pauseparam(cx: &mut Cx, dev: DevId, wanted: PauseParam) {
    let Some(nic) = nic_mut(cx, dev) else { return };
    nic.pause_autoneg = wanted.autoneg;
    if wanted.autoneg {
        link::nway_reset(cx, dev);
    }
}

/// `drv`, `probe` and `link`.
pub(super) const DEFAULT_MSG_ENABLE: u32 = 7;

pub(super) fn get_msglevel(dev: &NetDevice) -> u32 {
    nic(dev).map_or(0, |nic| nic.msg_enable)
}

pub(super) fn set_msglevel(cx: &mut Cx, dev: DevId, level: u32) {
    if let Some(nic) = nic_mut(cx, dev) {
        nic.msg_enable = level;
    }
}

/// Clocks are numbered as the cards were found.
fn get_ts_info(dev: &NetDevice) -> TsInfo {
    let (slot, rx_filters) = nic(dev).map_or((FIRST_SLOT, &[][..]), |nic| (nic.slot, nic.row.rx_filters));
    TsInfo { phc_index: (slot - FIRST_SLOT) as usize, rx_filters }
}

fn get_ringparam(dev: &NetDevice) -> RingParam {
    let [default, _, max] = DESCRIPTORS;
    let (rx, tx) = nic(dev).map_or((default, default), |nic| (nic.rx_pending, nic.tx_pending));
    RingParam { rx_max: max, tx_max: max, rx, tx }
}

/// The rings are made anew; the real driver also lets the link go for a moment, which is not modelled.
fn set_ringparam(cx: &mut Cx, dev: DevId, rx: u32, tx: u32) {
    let Some(nic) = nic_mut(cx, dev) else { return };
    let wanted = (descriptors(rx), descriptors(tx));
    if (nic.rx_pending, nic.tx_pending) != wanted {
        (nic.rx_pending, nic.tx_pending) = wanted;
        reset(cx, dev);
    }
}

fn get_coalesce(dev: &NetDevice) -> Coalesce {
    Coalesce { rx_usecs: nic(dev).map_or(0, |nic| nic.rx_usecs) }
}

fn set_coalesce(cx: &mut Cx, dev: DevId, wanted: Coalesce) -> Result<(), Errno> {
    itr::check(wanted.rx_usecs)?;
    let Some(nic) = nic_mut(cx, dev) else { return Ok(()) };
    nic.rx_usecs = wanted.rx_usecs;
    let itr = Itr::new(wanted.rx_usecs);
    nic.rings.iter_mut().for_each(|ring| ring.itr = itr);
    let (plug, vectors) = (nic.plug, nic.irqs.len());
    itr::set_intervals(cx, plug, vectors, itr.interval());
    Ok(())
}

pub(super) fn get_channels(kernel: &Kernel, dev: &NetDevice) -> Channels {
    let (most, now) = nic(dev).map_or((1, 1), |nic| (nic.row.max_rings, nic.rings.len()));
    let counts = |combined: usize| ChannelCounts { other: 1, combined, ..ChannelCounts::default() };
    Channels { max: counts(most.min(kernel.cpus.len().max(now))), now: counts(now) }
}

/// Rings and their interrupts are made anew, and RSS spreads over them in turn (`igb_reinit_queues`).
pub(super) fn set_channels(cx: &mut Cx, dev: DevId, combined: usize) -> Result<(), Errno> {
    let (name, up, cpus) = (cx.k.devs[dev].name.clone(), cx.k.devs[dev].is_up(), cx.k.cpus.len());
    if up {
        close(cx, dev);
    }
    let netdev = &mut cx.k.devs[dev];
    netdev.num_rx_queues = combined as u32;
    let Some(nic) = netdev.netdev_priv_mut::<Nic>() else { return Err(Errno::EOPNOTSUPP) };
    set_rings(&mut cx.k.irqs, cpus, nic, &name, combined);
    nic.rss.spread(combined);
    netif_set_real_num_tx_queues(cx, dev, combined as u32)?;
    if up {
        open(cx, dev)?;
    } else {
        reset(cx, dev);
    }
    Ok(())
}

/// The key can neither be read nor set (`igb_set_rxfh`).
pub(super) fn get_rxfh(dev: &NetDevice) -> Rxfh {
    let indirection = nic(dev).map(|nic| nic.rss.indirection.map(u32::from).to_vec()).unwrap_or_default();
    Rxfh { indirection, rings: nic(dev).map_or(1, |nic| nic.rings.len()) }
}

pub(super) fn set_rxfh(cx: &mut Cx, dev: DevId, indirection: &[u32]) {
    let Some(nic) = nic_mut(cx, dev) else { return };
    for (entry, queue) in nic.rss.indirection.iter_mut().zip(indirection) {
        *entry = *queue as u8;
    }
    tell_card(cx, dev);
}

pub(super) fn get_rxnfc(dev: &NetDevice) -> HashFields {
    nic(dev).map_or_else(HashFields::default, |nic| nic.rss.fields)
}

pub(super) fn set_rxnfc(cx: &mut Cx, dev: DevId, fields: HashFields) {
    if let Some(nic) = nic_mut(cx, dev) {
        nic.rss.fields = fields;
    }
    tell_card(cx, dev);
}

fn tell_card(cx: &mut Cx, dev: DevId) {
    let Some((plug, rss)) = cx.k.devs.get(dev).and_then(nic).map(|nic| (nic.plug, nic.rss.clone())) else {
        return;
    };
    if let Some(card) = cx.fabric.card(plug) {
        card.rss = rss;
    }
}
