//! What a network device points to: its kind, as a row of functions.
//!
//! Each kind of device is a `pub static LINK_OPS: LinkOps` in its own file, as a kernel driver has its
//! `rtnl_link_ops`, `net_device_ops` and `ethtool_ops`; its module's row registers it ([`crate::module`]). The rooms
//! that all devices share know only this shape and no kind.

use std::any::Any;
use std::net::Ipv4Addr;
use std::sync::Arc;

use glassnet_hardware::rss::HashFields;
use glassnet_sim::Nanos;
use glassnet_wire::Mac;

use crate::door::Door;
use crate::ids::{DevId, NetnsId, SkbId};
use crate::netlink::{Errno, NlError};
use crate::tables::netdev::{DevStats, NetDevice};
use crate::{Cx, Kernel};

/// A kind of network device (`struct rtnl_link_ops`, include/net/rtnetlink.h; `struct net_device_ops`,
/// include/linux/netdevice.h). What is `None` the kind does not have.
#[derive(Debug)]
#[expect(
    clippy::type_complexity,
    reason = "one row of functions, each with the type that the kernel gives it"
)]
pub struct LinkOps {
    /// The word after `type` in `ip link add`; `None`: only the kernel makes such devices.
    pub kind: Option<&'static str>,
    /// Gives a new device what all of its kind have (`setup`).
    pub setup: fn(&mut NetDevice),
    /// Registers a new device (`newlink`); `None`: there is no more to it than to register it.
    pub newlink: Option<fn(&mut Cx, NewLink) -> Result<DevId, NlError>>,
    /// Changes what only this kind has (`changelink`).
    pub changelink: Option<fn(&mut Cx, DevId, &LinkInfo) -> Result<(), NlError>>,
    /// The same for a device whose master is of this kind (`slave_changelink`).
    pub slave_changelink: Option<fn(&mut Cx, DevId, &LinkInfo) -> Result<(), NlError>>,
    /// Unregisters a device (`dellink`); `None`: nothing else goes with it.
    pub dellink: Option<fn(&mut Cx, DevId)>,
    /// The device comes up (`ndo_open`).
    pub open: Option<fn(&mut Cx, DevId) -> Result<(), Errno>>,
    /// The device went down (`ndo_stop`, which the kernel calls just before it clears `IFF_UP`).
    pub stop: Option<fn(&mut Cx, DevId)>,
    /// The door that sends a frame (`ndo_start_xmit`).
    pub xmit: fn(SkbId) -> Door,
    /// The MTU is about to become this many bytes, which lie within the device's limits (`ndo_change_mtu`).
    pub change_mtu: Option<fn(&mut Cx, DevId, u32) -> Result<(), Errno>>,
    /// The address is about to become this one, which is valid (`ndo_set_mac_address`); returns the one that the device has then.
    pub set_mac_address: Option<fn(&mut Cx, DevId, Mac) -> Result<Mac, Errno>>,
    /// Its address cannot be set (no `ndo_set_mac_address`).
    pub has_fixed_address: bool,
    /// Its multicast addresses, or whether it takes all frames, changed (`ndo_set_rx_mode`, `ndo_change_rx_flags`).
    pub set_rx_mode: Option<fn(&mut Cx, DevId)>,
    /// Its counters, where they are not just its own (`ndo_get_stats64`).
    pub get_stats64: Option<fn(&Kernel, &NetDevice) -> DevStats>,
    /// Its counters are also those that others than its driver count for it (`dev_get_tstats64`).
    pub has_tstats: bool,
    /// The features that it can have, of those that are wanted (`ndo_fix_features`).
    pub fix_features: Option<fn(&Cx, DevId, u64) -> u64>,
    /// A user switches the carrier (`ndo_change_carrier`).
    pub change_carrier: Option<fn(&mut Cx, DevId, bool) -> Result<(), Errno>>,
    /// The first device gets the second as its lower device (`ndo_add_slave`).
    pub add_slave: Option<fn(&mut Cx, DevId, DevId) -> Result<(), NlError>>,
    /// And loses it (`ndo_del_slave`).
    pub del_slave: Option<fn(&mut Cx, DevId, DevId)>,
    /// Takes up to so many frames, the last number, from a receive ring and returns how many (NAPI's `poll`).
    pub poll: Option<fn(&mut Cx, DevId, u32, u32) -> u32>,
    /// What it put off until the next softirq (`tasklet_struct::func`).
    pub tasklet: Option<fn(&mut Cx, DevId)>,
    /// The namespace in which it reaches others, which may be another than its own (`get_link_net`).
    pub get_link_net: Option<fn(&NetDevice) -> NetnsId>,
    /// The ifindex of the device that it is linked to, 0 if there is none, where that is not known by the device itself
    /// (`ndo_get_iflink`).
    pub get_iflink: Option<fn(&NetDevice) -> u32>,
    /// What follows from its carrier does not wait (`linkwatch_urgent_event`): it comes on once the device is open.
    pub urgent_carrier: bool,
    /// Its own forwarding database (`ndo_fdb_*`).
    pub fdb: Option<&'static FdbOps>,
    /// What `/sys/class/net/DEVICE/uevent` calls the kind (`device_type`).
    pub devtype: Option<&'static str>,
    /// What `ethtool` asks for.
    pub ethtool: EthtoolOps,
}

impl LinkOps {
    /// The base of a row: a device that sends through `xmit` and has nothing of its own.
    pub const fn new(
        kind: Option<&'static str>,
        setup: fn(&mut NetDevice),
        xmit: fn(SkbId) -> Door,
    ) -> LinkOps {
        LinkOps {
            kind,
            setup,
            newlink: None,
            changelink: None,
            slave_changelink: None,
            dellink: None,
            open: None,
            stop: None,
            xmit,
            change_mtu: None,
            set_mac_address: None,
            has_fixed_address: false,
            set_rx_mode: None,
            get_stats64: None,
            has_tstats: false,
            fix_features: None,
            change_carrier: None,
            add_slave: None,
            del_slave: None,
            poll: None,
            tasklet: None,
            get_link_net: None,
            get_iflink: None,
            urgent_carrier: false,
            fdb: None,
            devtype: None,
            ethtool: EthtoolOps::NONE,
        }
    }
}

/// What [`LinkOps::newlink`] works with.
#[derive(Debug)]
pub struct NewLink<'a> {
    /// The device, set up and not registered; its address is zero unless the request gives one.
    pub dev: NetDevice,
    /// The namespace of whoever asks, in which names in `info` are looked up.
    pub src_net: NetnsId,
    /// The device that it is to lie on (`IFLA_LINK`).
    pub link: Option<DevId>,
    /// The address that it is to have (`IFLA_ADDRESS`); it is set in any case.
    pub address: Option<Mac>,
    /// The MTU that it is to have, bytes (`IFLA_MTU`); it is set in any case.
    pub mtu: Option<u32>,
    /// What only this kind understands.
    pub info: &'a LinkInfo,
}

/// A kind, and settings that only it understands (`IFLA_LINKINFO`).
#[derive(Clone, Debug)]
pub struct LinkInfo {
    /// [`LinkOps::kind`].
    pub kind: &'static str,
    /// `IFLA_INFO_DATA`.
    data: Option<Arc<dyn Any + Send + Sync>>,
}

impl LinkInfo {
    /// A kind without settings.
    pub const fn new(kind: &'static str) -> LinkInfo {
        LinkInfo { kind, data: None }
    }

    /// A kind with settings.
    pub fn with(kind: &'static str, data: impl Any + Send + Sync) -> LinkInfo {
        LinkInfo { kind, data: Some(Arc::new(data)) }
    }

    /// The settings, if there are any and they are of this type.
    pub fn data<T: Any>(&self) -> Option<&T> {
        self.data.as_deref()?.downcast_ref()
    }

    /// There are settings.
    pub fn has_data(&self) -> bool {
        self.data.is_some()
    }
}

/// What `bridge fdb` does with a device that has a forwarding database of its own.
#[derive(Debug)]
pub struct FdbOps {
    /// Adds or changes an entry (`ndo_fdb_add`).
    pub add: fn(&mut Cx, DevId, &FdbRequest) -> Result<(), NlError>,
    /// Deletes one (`ndo_fdb_del`).
    pub del: fn(&mut Cx, DevId, &FdbRequest) -> Result<(), NlError>,
    /// All entries, in the kernel's order (`ndo_fdb_dump`).
    pub dump: fn(&Kernel, &NetDevice) -> Vec<FdbRow>,
}

/// A request about an entry (`RTM_NEWNEIGH` and `RTM_DELNEIGH` of `PF_BRIDGE`).
#[derive(Clone, Copy, Debug)]
pub struct FdbRequest {
    /// The station.
    pub mac: Mac,
    /// `NUD_*`.
    pub state: u16,
    /// `NTF_*` beside `NTF_SELF`.
    pub flags: u8,
    /// `NLM_F_*`.
    pub nlmsg_flags: u16,
    /// Where the station is.
    pub to: FdbDst,
}

/// Where a station is, as far as that is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct FdbDst {
    /// The other end of a tunnel (`NDA_DST`).
    pub dst: Option<Ipv4Addr>,
    /// Its port (`NDA_PORT`).
    pub port: Option<u16>,
    /// The network there (`NDA_VNI`).
    pub vni: Option<u32>,
    /// The ifindex of the device that leads there (`NDA_IFINDEX`).
    pub via: Option<u32>,
}

/// An entry as the kernel shows it.
#[derive(Clone, Copy, Debug)]
pub struct FdbRow {
    /// The station.
    pub mac: Mac,
    /// `NUD_*`.
    pub state: u16,
    /// `NTF_*` beside `NTF_SELF`.
    pub flags: u8,
    /// When it was used last.
    pub used: Nanos,
    /// When it was changed last.
    pub updated: Nanos,
    /// Where the station is.
    pub to: FdbDst,
}

/// What a driver tells `ethtool` (`struct ethtool_ops`, include/linux/ethtool.h).
#[derive(Debug)]
#[expect(
    clippy::type_complexity,
    reason = "one row of functions, each with the type that the kernel gives it"
)]
pub struct EthtoolOps {
    /// `ethtool -i`; `None`: the kernel answers with the kind and its own release.
    pub get_drvinfo: Option<fn(&NetDevice) -> DrvInfo>,
    /// `ethtool -S`: counters by name.
    pub get_ethtool_stats: Option<fn(&Kernel, &NetDevice) -> Vec<(String, u64)>>,
    /// Speed and plug, for `ethtool DEVICE` and the files `speed` and `duplex`.
    pub get_link_ksettings: Option<fn(&Kernel, &NetDevice) -> LinkKsettings>,
    /// `ethtool -l`.
    pub get_channels: Option<fn(&Kernel, &NetDevice) -> Channels>,
    /// `ethtool -g`.
    pub get_ringparam: Option<fn(&NetDevice) -> RingParam>,
    /// `ethtool -G`: numbers of receive and of transmit descriptors, at most those of [`RingParam`].
    pub set_ringparam: Option<fn(&mut Cx, DevId, u32, u32)>,
    /// `ethtool -L`: a number of combined queues, at most that of [`Channels::max`].
    pub set_channels: Option<fn(&mut Cx, DevId, usize) -> Result<(), Errno>>,
    /// `ethtool -c`.
    pub get_coalesce: Option<fn(&NetDevice) -> Coalesce>,
    /// `ethtool -C`.
    pub set_coalesce: Option<fn(&mut Cx, DevId, Coalesce) -> Result<(), Errno>>,
    /// `ethtool -x`.
    pub get_rxfh: Option<fn(&NetDevice) -> Rxfh>,
    /// `ethtool -X`: an indirection table.
    pub set_rxfh: Option<fn(&mut Cx, DevId, &[u32])>,
    /// `ethtool -n DEVICE rx-flow-hash`.
    pub get_rxnfc: Option<fn(&NetDevice) -> HashFields>,
    /// `ethtool -N DEVICE rx-flow-hash`.
    pub set_rxnfc: Option<fn(&mut Cx, DevId, HashFields)>,
    /// `ethtool -s`: how the link is made.
    pub set_link_ksettings: Option<fn(&mut Cx, DevId, LinkRequest) -> Result<(), Errno>>,
    /// `ethtool -r`: the link is made anew (`nway_reset`).
    pub nway_reset: Option<fn(&mut Cx, DevId)>,
    /// `ethtool -a`.
    pub get_pauseparam: Option<fn(&NetDevice) -> PauseParam>,
    /// `ethtool -A`: pause frames are agreed on with the other end.
    pub set_pauseparam: Option<fn(&mut Cx, DevId, PauseParam)>,
    /// What the driver writes to the log (`msg_enable`).
    pub get_msglevel: Option<fn(&NetDevice) -> u32>,
    /// `ethtool -s DEVICE msglvl`.
    pub set_msglevel: Option<fn(&mut Cx, DevId, u32)>,
    /// What can wake the machine, and does, as letters of `ethtool`; `None`: the driver knows nothing of it.
    pub get_wol: Option<fn(&NetDevice) -> Wol>,
    /// `ethtool --show-priv-flags`: names of switches that only this driver has, all off.
    pub priv_flags: &'static [&'static str],
    /// It tells whether there is a link (`ethtool_op_get_link`).
    pub get_link: bool,
    /// It stamps packets as they leave (`ethtool_op_get_ts_info`, `ethtool -T`).
    pub tx_timestamps: bool,
    /// Its card stamps packets too (`get_ts_info`).
    pub get_ts_info: Option<fn(&NetDevice) -> TsInfo>,
    /// A real card, which has self-tests, an EEPROM, registers and private flags.
    pub is_hardware: bool,
}

impl EthtoolOps {
    /// A driver that tells nothing.
    pub const NONE: EthtoolOps = EthtoolOps {
        get_drvinfo: None,
        get_ethtool_stats: None,
        get_link_ksettings: None,
        get_channels: None,
        get_ringparam: None,
        set_ringparam: None,
        set_channels: None,
        get_coalesce: None,
        set_coalesce: None,
        get_rxfh: None,
        set_rxfh: None,
        get_rxnfc: None,
        set_rxnfc: None,
        set_link_ksettings: None,
        nway_reset: None,
        get_pauseparam: None,
        set_pauseparam: None,
        get_msglevel: None,
        set_msglevel: None,
        get_wol: None,
        priv_flags: &[],
        get_link: false,
        tx_timestamps: false,
        get_ts_info: None,
        is_hardware: false,
    };
}

/// What a driver calls itself (`struct ethtool_drvinfo`).
#[derive(Clone, Debug)]
pub struct DrvInfo {
    /// Its name.
    pub driver: String,
    /// Its version; empty: the kernel's release.
    pub version: &'static str,
    /// Version of the firmware.
    pub fw_version: &'static str,
    /// Where the device is plugged in.
    pub bus_info: String,
}

/// A link's speed (`struct ethtool_link_ksettings`).
#[derive(Clone, Copy, Debug)]
pub struct LinkKsettings {
    /// Mbit/s, if known.
    pub speed: Option<u32>,
    /// Both directions at once; false: not known.
    pub full_duplex: bool,
    /// The plug is for twisted pairs (`PORT_TP`); false: another (`PORT_OTHER`).
    pub twisted_pair: bool,
    /// What a real card says of its transceiver.
    pub copper: Option<Copper>,
}

impl LinkKsettings {
    /// What a device below another one says, if there is one and it says something.
    pub fn of_lower(kernel: &Kernel, lower: Option<&NetDevice>) -> LinkKsettings {
        let unknown = LinkKsettings { speed: None, full_duplex: false, twisted_pair: false, copper: None };
        lower.and_then(|lower| Some(lower.ops.ethtool.get_link_ksettings?(kernel, lower))).unwrap_or(unknown)
    }
}

/// A transceiver for twisted pairs up to 1 Gbit/s.
#[derive(Clone, Copy, Debug)]
pub struct Copper {
    /// It agrees on a mode with the other end.
    pub autoneg: bool,
    /// The modes that it can have (`ETHTOOL_LINK_MODE_*`), a bit each.
    pub supported: u32,
    /// Those that it offers.
    pub advertising: u32,
    /// It offers pause frames.
    pub pause: bool,
    /// It is known which wires are crossed: none.
    pub mdix_known: bool,
}

/// Speeds in Mbit/s, and the bits of `ETHTOOL_LINK_MODE_*` (include/uapi/linux/ethtool.h) for both directions in turn and at once.
pub const LINK_MODES: [(u32, u32, u32); 3] = [(10, 0x01, 0x02), (100, 0x04, 0x08), (1000, 0x10, 0x20)];

/// How a link is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkRequest {
    /// The best of these modes (`ETHTOOL_LINK_MODE_*`) that both ends offer.
    Negotiate(u32),
    /// This speed, Mbit/s, both directions at once.
    Force(u32),
}

/// Pause frames (`struct ethtool_pauseparam`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PauseParam {
    /// As the ends agree.
    pub autoneg: bool,
    /// They are heeded.
    pub rx: bool,
    /// They are sent.
    pub tx: bool,
}

/// What wakes a machine that sleeps (`struct ethtool_wolinfo`), as letters of `ethtool`.
#[derive(Clone, Copy, Debug)]
pub struct Wol {
    /// What can; empty: nothing.
    pub supported: &'static str,
}

/// How a card stamps packets (`struct ethtool_ts_info`).
#[derive(Clone, Copy, Debug)]
pub struct TsInfo {
    /// The number of its clock.
    pub phc_index: usize,
    /// Which packets it can stamp as they come in.
    pub rx_filters: &'static [&'static str],
}

/// Numbers of queues (`struct ethtool_channels`).
#[derive(Clone, Copy, Debug)]
pub struct Channels {
    /// How many there can be.
    pub max: ChannelCounts,
    /// How many there are.
    pub now: ChannelCounts,
}

/// Queues by kinds; a kind of which there can be none does not exist.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChannelCounts {
    /// Those that only receive.
    pub rx: usize,
    /// Those that only transmit.
    pub tx: usize,
    /// Interrupts for something else.
    pub other: usize,
    /// Those that do both.
    pub combined: usize,
}

/// Interrupt moderation (`struct ethtool_coalesce`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coalesce {
    /// How long a receive interrupt may be put off, µs; small numbers are ways of the driver's to choose.
    pub rx_usecs: u32,
}

/// How a card spreads flows over its rings (`struct ethtool_rxfh`).
#[derive(Clone, Debug)]
pub struct Rxfh {
    /// Ring of each value of the hash.
    pub indirection: Vec<u32>,
    /// How many rings there are.
    pub rings: usize,
}

/// Descriptors of the rings (`struct ethtool_ringparam`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingParam {
    /// How many there can be to receive.
    pub rx_max: u32,
    /// How many there can be to transmit.
    pub tx_max: u32,
    /// How many there are to receive.
    pub rx: u32,
    /// How many there are to transmit.
    pub tx: u32,
}

/// The filters of a device (`struct mini_Qdisc`): true if they let the packet go on, which is no longer there otherwise.
pub type MiniQdisc = fn(&mut Cx, SkbId) -> bool;

/// Writes the header of a link that is none of Ethernet in front of a packet of this Ethertype, to this address; false: it cannot
/// (`header_ops::create`).
pub type HeaderCreate = fn(&mut Cx, SkbId, DevId, u16, Mac) -> bool;

/// The door into the upper device of a device (`rx_handler`).
pub type RxHandler = fn(SkbId) -> Door;

/// What takes the IP packets of a device (`struct l3mdev_ops`, include/net/l3mdev.h). Both get the device, and return false if
/// the packet is no longer there.
#[derive(Debug)]
pub struct L3mdevOps {
    /// Those that it received, after PRE_ROUTING and before they are routed.
    pub l3_rcv: fn(&mut Cx, DevId, SkbId) -> bool,
    /// Those of this machine that are to leave by it, before OUTPUT.
    pub l3_out: Option<fn(&mut Cx, DevId, SkbId) -> bool>,
}
