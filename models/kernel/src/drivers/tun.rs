//! `tun` and `tap`: devices whose other end is a program. Packets without a link header, or frames.
//!
//! Kernel: drivers/net/tun.c
//!
//! A program opens `/dev/net/tun` and attaches the file to a device. It reads what the device sends, and the device receives
//! what it writes.

use glassnet_wire::eth::{ETH_HLEN, ETH_P_IP, ETH_P_IPV6};

use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{DevId, NetnsId, SkbId, TunFileId};
use crate::link::{DrvInfo, EthtoolOps, LinkKsettings, LinkOps, NewLink};
use crate::module::Module;
use crate::net::core::dev::{alloc_netdev, register_netdevice, unregister_netdevice};
use crate::net::core::link_watch::{linkwatch_turn, netif_carrier_off, netif_carrier_on};
use crate::net::ethernet::eth::{ETH_MAX_MTU, ETH_MIN_MTU, eth_type_trans, ether_setup};
use crate::netlink::{Errno, NlError};
use crate::tables::arphrd::Arphrd;
use crate::tables::drop_reason::DropReason;
use crate::tables::netdev::{AddrAssign, IFF_MULTICAST, IFF_NOARP, IFF_POINTOPOINT, NameAssign, NetDevice};
use crate::tables::netdev_features::{
    FRAGLIST, HW_CSUM, HW_VLAN_CTAG_TX, HW_VLAN_STAG_TX, LLTX, SG, TSO, TSO_ECN, TSO6,
};
use crate::tables::tun::{IFF_NO_PI, IFF_PERSIST, IFF_TAP, IFF_TUN, IFF_TUN_EXCL, TunFile, TunStruct};

/// The module. Not modelled: headers of virtio, several queues, NAPI, filters of addresses, BPF, and what a shorter queue does to
/// packets that wait.
pub static MODULE: Module = Module { links: &[&LINK_OPS], ..Module::named("tun") };

/// Length of the transmit queue, and so of what waits for the program, packets (`TUN_READQ_SIZE`).
const TUN_READQ_SIZE: u32 = 500;

/// Bytes of the packet information in front of each packet: flags and Ethertype (`struct tun_pi`).
const TUN_PI_LEN: usize = 4;
/// A packet was too long for the program's buffer (`TUN_PKT_STRIP`).
const TUN_PKT_STRIP: u16 = 1;

/// Features that only a program that can handle them switches on (`TUN_USER_FEATURES`).
const TUN_USER_FEATURES: u64 = HW_CSUM | TSO_ECN | TSO | TSO6;

/// Link kind `tun`, of both.
static LINK_OPS: LinkOps = LinkOps {
    has_tstats: true,
    newlink: Some(tun_newlink),
    dellink: Some(tun_dellink),
    open: Some(tun_net_open),
    change_carrier: Some(tun_net_change_carrier),
    fix_features: Some(|_, _, features| features & !TUN_USER_FEATURES),
    ethtool: EthtoolOps {
        get_drvinfo: Some(tun_get_drvinfo),
        get_link_ksettings: Some(|_, _| LinkKsettings {
            speed: Some(10),
            full_duplex: true,
            twisted_pair: true,
            copper: None,
        }),
        get_msglevel: Some(|_| 0),
        get_link: true,
        tx_timestamps: true,
        ..EthtoolOps::NONE
    },
    ..LinkOps::new(Some("tun"), |_| (), |skb| Door::TunNetXmit { skb })
};

/// The program may write.
fn tun_net_open(cx: &mut Cx, _: DevId) -> Result<(), Errno> {
    cx.wake_up();
    Ok(())
}

fn tun_newlink(_: &mut Cx, _: NewLink) -> Result<DevId, NlError> {
    Err(NlError::with(Errno::EOPNOTSUPP, "tun/tap creation via rtnetlink is not supported"))
}

/// Without a program there is no carrier.
fn tun_net_change_carrier(cx: &mut Cx, dev: DevId, on: bool) -> Result<(), Errno> {
    let attached = cx.k.devs[dev].tun().is_some_and(|tun| tun.file.is_some());
    match on {
        true if !attached => return Err(Errno::EPERM),
        true => netif_carrier_on(cx, dev),
        false => netif_carrier_off(cx, dev),
    }
    Ok(())
}

fn tun_get_drvinfo(dev: &NetDevice) -> DrvInfo {
    DrvInfo {
        driver: "tun".to_owned(),
        version: "1.6",
        fw_version: "",
        bus_info: if is_tap(dev) { "tap" } else { "tun" }.to_owned(),
    }
}

impl NetDevice {
    /// What only a tun or tap device has.
    pub fn tun(&self) -> Option<&TunStruct> {
        self.netdev_priv()
    }
}

fn flags_of(dev: &NetDevice) -> u16 {
    dev.tun().map_or(0, |tun| tun.flags)
}

fn is_tap(dev: &NetDevice) -> bool {
    flags_of(dev) & IFF_TAP != 0
}

fn has_pi(dev: &NetDevice) -> bool {
    flags_of(dev) & IFF_NO_PI == 0
}

/// Defaults by the kind of device (`tun_net_init`).
fn tun_net_initialize(dev: &mut NetDevice, flags: u16) {
    if flags & IFF_TAP != 0 {
        ether_setup(dev);
        dev.tx_skb_sharing = false;
        dev.addr_assign = AddrAssign::Random;
    } else {
        dev.arphrd = Arphrd::None;
        dev.mtu = 1500;
        dev.flags = IFF_POINTOPOINT | IFF_NOARP | IFF_MULTICAST;
        dev.tx_queue_len = TUN_READQ_SIZE;
    }
    dev.min_mtu = ETH_MIN_MTU;
    dev.max_mtu = ETH_MAX_MTU - dev.arphrd.header_len() as u32;
    dev.hw_features = SG | FRAGLIST | TUN_USER_FEATURES | HW_VLAN_CTAG_TX | HW_VLAN_STAG_TX;
    dev.features = dev.hw_features & !TUN_USER_FEATURES | LLTX;
    dev.vlan_features = dev.hw_features & !(HW_VLAN_CTAG_TX | HW_VLAN_STAG_TX);
    dev.set_priv(TunStruct { flags, ..TunStruct::default() });
}

/// Opens `/dev/net/tun` for a program, with its process id and name (`tun_chr_open`).
pub fn tun_chr_open(cx: &mut Cx, netns: NetnsId, owner: (u32, String)) -> TunFileId {
    cx.k.tun_files.open(netns, owner)
}

/// Closes the file; a device that is not to stay goes with it (`tun_chr_close`).
pub fn tun_chr_close(cx: &mut Cx, file: TunFileId) {
    tun_detach(cx, file);
    cx.k.tun_files.close(file);
    linkwatch_turn(cx);
}

fn tun_detach(cx: &mut Cx, file: TunFileId) {
    let Some(dev) = cx.k.tun_files.get_mut(file).and_then(|file| file.tun.take()) else { return };
    purge(cx, file);
    let Some(tun) = cx.k.devs.get_mut(dev).and_then(|dev| dev.netdev_priv_mut::<TunStruct>()) else { return };
    tun.file = None;
    let stays = tun.flags & IFF_PERSIST != 0;
    netif_carrier_off(cx, dev);
    if !stays {
        unregister_netdevice(cx, dev);
    }
}

/// Drops what waits for the program (`tun_queue_purge`).
fn purge(cx: &mut Cx, file: TunFileId) {
    let Some(file) = cx.k.tun_files.get_mut(file) else { return };
    for skb in std::mem::take(&mut file.tx_ring) {
        cx.kfree_skb(skb, DropReason::NotSpecified);
    }
}

/// A user deletes the device; its file is attached to nothing from then on.
fn tun_dellink(cx: &mut Cx, dev: DevId) {
    if let Some(file) = cx.k.devs[dev].tun().and_then(|tun| tun.file) {
        purge(cx, file);
        if let Some(file) = cx.k.tun_files.get_mut(file) {
            file.tun = None;
        }
        cx.wake_up();
    }
    unregister_netdevice(cx, dev);
}

fn file_mut<'c>(cx: &'c mut Cx, file: TunFileId) -> Result<&'c mut TunFile, Errno> {
    cx.k.tun_files.get_mut(file).ok_or(Errno::EBADF)
}

/// Attaches a file to a device, which is made if there is none of that name (`TUNSETIFF`); an empty name is the next free one.
/// Returns the device's name.
///
/// # Errors
///
/// `EBUSY` if it has a file already or must not exist, `EINVAL` if it is of another kind, and those of its name.
pub fn tun_set_iff(cx: &mut Cx, file: TunFileId, name: &str, flags: u16) -> Result<String, NlError> {
    let netns = file_mut(cx, file)?.netns;
    let excl = flags & IFF_TUN_EXCL != 0;
    let flags = flags & !IFF_TUN_EXCL;
    let dev = match cx.k.dev_by_name(netns, name) {
        Some(_) if excl => return Err(Errno::EBUSY.into()),
        Some(dev) => {
            tun_attach(cx, dev, flags)?;
            dev
        }
        None => tun_new(cx, netns, name, flags)?,
    };
    file_mut(cx, file)?.tun = Some(dev);
    if let Some(tun) = cx.k.devs[dev].netdev_priv_mut::<TunStruct>() {
        tun.file = Some(file);
    }
    netif_carrier_on(cx, dev);
    linkwatch_turn(cx);
    Ok(cx.k.devs[dev].name.clone())
}

/// The device is of the kind, and nobody has it.
fn tun_attach(cx: &mut Cx, dev: DevId, flags: u16) -> Result<(), Errno> {
    const KIND: u16 = IFF_TUN | IFF_TAP;
    let tun = cx.k.devs[dev].netdev_priv_mut::<TunStruct>().ok_or(Errno::EINVAL)?;
    if flags & tun.flags & KIND == 0 {
        return Err(Errno::EINVAL);
    }
    if tun.file.is_some() {
        return Err(Errno::EBUSY);
    }
    tun.flags = tun.flags & (KIND | IFF_PERSIST) | flags;
    Ok(())
}

fn tun_new(cx: &mut Cx, netns: NetnsId, name: &str, flags: u16) -> Result<DevId, NlError> {
    let pattern = match flags {
        _ if flags & IFF_TUN != 0 => "tun%d",
        _ if flags & IFF_TAP != 0 => "tap%d",
        _ => return Err(Errno::EINVAL.into()),
    };
    let name = if name.is_empty() { pattern } else { name };
    let mut dev = alloc_netdev(netns, name.to_owned(), NameAssign::Unknown, &LINK_OPS);
    tun_net_initialize(&mut dev, flags);
    register_netdevice(cx, dev)
}

/// Changes the device that a file is attached to (`TUNSETPERSIST`, `TUNSETOWNER`, `TUNSETGROUP`).
///
/// # Errors
///
/// `EBADFD` if it is attached to none.
pub fn tun_chr_ioctl(cx: &mut Cx, file: TunFileId, change: impl FnOnce(&mut TunStruct)) -> Result<(), Errno> {
    let dev = file_mut(cx, file)?.tun.ok_or(Errno::EBADFD)?;
    if let Some(tun) = cx.k.devs[dev].netdev_priv_mut::<TunStruct>() {
        change(tun);
    }
    Ok(())
}

/// Puts the packet into the ring of the program that has the device.
///
/// Kernel: drivers/net/tun.c
/// Not modelled: several queues, filters.
pub fn tun_net_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    let dev = cx.skbs[skb].dev;
    let most = cx.k.devs[dev].tx_queue_len as usize;
    let file = cx.k.devs[dev].tun().and_then(|tun| tun.file);
    let Some(file) = file.and_then(|file| cx.k.tun_files.get(file).map(|open| (file, open.tx_ring.len())))
    else {
        return drop(cx, skb, dev, DropReason::DevReady);
    };
    cx.skb_orphan(skb);
    cx.nf_reset_ct(skb);
    let (file, waiting) = file;
    if waiting >= most {
        return drop(cx, skb, dev, DropReason::FullRing);
    }
    if let Some(open) = cx.k.tun_files.get_mut(file) {
        open.tx_ring.push_back(skb);
    }
    cx.wake_up();
    Door::End
}

fn drop(cx: &mut Cx, skb: SkbId, dev: DevId, reason: DropReason) -> Door {
    cx.k.devs[dev].stats.tx_dropped += 1;
    cx.kfree_skb(skb, reason)
}

/// The program reads a packet of at most `max` bytes, if one waits; a longer one is cut (`tun_chr_read_iter`).
///
/// # Errors
///
/// `EBADFD` if the file is attached to no device, `EINVAL` if not even the packet information fits.
pub fn tun_do_read(cx: &mut Cx, file: TunFileId, max: usize) -> Result<Option<Vec<u8>>, Errno> {
    let open = file_mut(cx, file)?;
    let dev = open.tun.ok_or(Errno::EBADFD)?;
    let Some(skb) = open.tx_ring.pop_front() else { return Ok(None) };
    cx.within(Func::TunDoRead, skb, |cx| {
        let packet = cx.skbs.tagged_frame(skb);
        let pi = has_pi(&cx.k.devs[dev]);
        if pi && max < TUN_PI_LEN {
            cx.kfree_skb(skb, DropReason::NotSpecified);
            return Err(Errno::EINVAL);
        }
        let mut bytes = Vec::with_capacity(TUN_PI_LEN + packet.len());
        if pi {
            let flags = if packet.len() + TUN_PI_LEN > max { TUN_PKT_STRIP } else { 0 };
            bytes.extend(flags.to_ne_bytes());
            bytes.extend(cx.skbs[skb].protocol.to_be_bytes());
        }
        bytes.extend(&packet);
        bytes.truncate(max);
        let stats = &mut cx.k.devs[dev].stats;
        stats.tx_packets += 1;
        stats.tx_bytes += packet.len() as u64;
        cx.system_call(bytes.len());
        cx.consume_skb(skb);
        Ok(Some(bytes))
    })
}

/// The program writes a packet, which the device receives in its context (`tun_chr_write_iter`).
///
/// # Errors
///
/// `EBADFD` if the file is attached to no device, `EINVAL` for what is no packet of its kind, `EIO` if it is down.
pub fn tun_get_user(cx: &mut Cx, file: TunFileId, bytes: &[u8]) -> Result<usize, Errno> {
    let dev = file_mut(cx, file)?.tun.ok_or(Errno::EBADFD)?;
    let (tap, pi) = (is_tap(&cx.k.devs[dev]), has_pi(&cx.k.devs[dev]));
    let (pi, packet) =
        if pi { bytes.split_at_checked(TUN_PI_LEN).ok_or(Errno::EINVAL)? } else { (&[][..], bytes) };
    if tap && packet.len() < ETH_HLEN {
        return Err(Errno::EINVAL);
    }
    cx.system_call(bytes.len());
    let skb = cx.skbs.alloc_skb(packet.len(), dev);
    cx.skbs.data_mut(skb).copy_from_slice(packet);
    cx.within(Func::TunGetUser, skb, |cx| {
        if tap {
            eth_type_trans(cx, skb, dev);
        } else {
            let version = packet.first().map(|byte| byte >> 4);
            cx.skbs[skb].protocol = match (pi, version) {
                ([_, _, high, low], _) => u16::from_be_bytes([*high, *low]),
                (_, Some(4)) => ETH_P_IP,
                (_, Some(6)) => ETH_P_IPV6,
                _ => return refuse(cx, skb, dev, (Errno::EINVAL, DropReason::NotSpecified)),
            };
        }
        if !cx.k.devs[dev].is_up() {
            return refuse(cx, skb, dev, (Errno::EIO, DropReason::DevReady));
        }
        cx.walk(Door::NetifReceiveSkb { skb });
        if let Some(netdev) = cx.k.devs.get_mut(dev) {
            netdev.stats.rx_packets += 1;
            netdev.stats.rx_bytes += packet.len() as u64;
        }
        Ok(bytes.len())
    })
}

fn refuse(cx: &mut Cx, skb: SkbId, dev: DevId, (errno, reason): (Errno, DropReason)) -> Result<usize, Errno> {
    cx.k.devs[dev].stats.rx_dropped += 1;
    cx.kfree_skb(skb, reason);
    Err(errno)
}
