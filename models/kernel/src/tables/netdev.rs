//! Network devices (`struct net_device`, include/linux/netdevice.h).

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};

use glassnet_wire::Mac;

use super::arphrd::Arphrd;
use super::bridge::BridgePort;
use super::netdev_queue::NetdevQueue;
use super::rps::RxQueue;
use super::vlan_tag::VlanProto;
use crate::ids::{DevId, NetnsId, QdiscId, SkbId};
use crate::link::{HeaderCreate, L3mdevOps, LinkOps, MiniQdisc, RxHandler};
use crate::netlink::Errno;

/// The device is administratively up.
pub const IFF_UP: u32 = 0x1;
/// It has a broadcast address.
pub const IFF_BROADCAST: u32 = 0x2;
/// It is a loopback.
pub const IFF_LOOPBACK: u32 = 0x8;
/// It has one peer, no neighbours.
pub const IFF_POINTOPOINT: u32 = 0x10;
/// It can carry traffic: up with a carrier.
pub const IFF_RUNNING: u32 = 0x40;
/// It needs no address resolution.
pub const IFF_NOARP: u32 = 0x80;
/// It takes frames for anybody.
pub const IFF_PROMISC: u32 = 0x100;
/// It has slaves.
pub const IFF_MASTER: u32 = 0x400;
/// It is a slave.
pub const IFF_SLAVE: u32 = 0x800;
/// It takes all multicast.
pub const IFF_ALLMULTI: u32 = 0x200;
/// It can send multicast.
pub const IFF_MULTICAST: u32 = 0x1000;
/// Its carrier is on.
pub const IFF_LOWER_UP: u32 = 0x10000;

/// State of a link (RFC 2863; `IF_OPER_*`, include/uapi/linux/if.h).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OperState {
    /// The driver does not say.
    #[default]
    Unknown,
    /// It cannot carry traffic.
    Down,
    /// The device below it, or its peer, is down.
    LowerLayerDown,
    /// It carries traffic.
    Up,
}

impl OperState {
    /// The word that `ip link` prints.
    pub fn name(self) -> &'static str {
        match self {
            OperState::Unknown => "UNKNOWN",
            OperState::Down => "DOWN",
            OperState::LowerLayerDown => "LOWERLAYERDOWN",
            OperState::Up => "UP",
        }
    }
}

/// Counters of a device (`struct rtnl_link_stats64`), in packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DevStats {
    /// Packets received.
    pub rx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Received packets that were dropped.
    pub rx_dropped: u64,
    /// Packets to send that were dropped.
    pub tx_dropped: u64,
    /// Received with an error.
    pub rx_errors: u64,
    /// Not sent because of an error.
    pub tx_errors: u64,
    /// Multicast packets received.
    pub multicast: u64,
    /// Received by a device that waits as a backup, for nobody.
    pub rx_nohandler: u64,
    /// Frames for which the card had no descriptor.
    pub rx_missed_errors: u64,
    /// Frames with a wrong checksum.
    pub rx_crc_errors: u64,
    /// Frames of tunnels whose two headers contradict each other.
    pub rx_frame_errors: u64,
    /// Packets of tunnels that came out of order.
    pub rx_fifo_errors: u64,
    /// Not sent because there was no way.
    pub tx_carrier_errors: u64,
    /// Not sent because the way led back to the device.
    pub collisions: u64,
}

impl DevStats {
    /// Counts a frame of `len` bytes that was received.
    pub fn count_rx(&mut self, len: usize, multicast: bool) {
        self.rx_packets += 1;
        self.rx_bytes += len as u64;
        self.multicast += u64::from(multicast);
    }

    /// Counts a packet that a tunnel did not send, and why.
    pub fn count_tx_error(&mut self, why: Errno) {
        self.tx_errors += 1;
        match why {
            Errno::ELOOP => self.collisions += 1,
            Errno::ENETUNREACH => self.tx_carrier_errors += 1,
            _ => {}
        }
    }

    /// Counts a frame of `len` bytes that was sent.
    pub fn count_tx(&mut self, len: usize) {
        self.tx_packets += 1;
        self.tx_bytes += len as u64;
    }

    /// Each counter of two devices by a function.
    fn each(self, other: DevStats, both: fn(u64, u64) -> u64) -> DevStats {
        DevStats {
            rx_packets: both(self.rx_packets, other.rx_packets),
            rx_bytes: both(self.rx_bytes, other.rx_bytes),
            tx_packets: both(self.tx_packets, other.tx_packets),
            tx_bytes: both(self.tx_bytes, other.tx_bytes),
            rx_dropped: both(self.rx_dropped, other.rx_dropped),
            tx_dropped: both(self.tx_dropped, other.tx_dropped),
            rx_errors: both(self.rx_errors, other.rx_errors),
            tx_errors: both(self.tx_errors, other.tx_errors),
            multicast: both(self.multicast, other.multicast),
            rx_nohandler: both(self.rx_nohandler, other.rx_nohandler),
            rx_missed_errors: both(self.rx_missed_errors, other.rx_missed_errors),
            rx_crc_errors: both(self.rx_crc_errors, other.rx_crc_errors),
            rx_frame_errors: both(self.rx_frame_errors, other.rx_frame_errors),
            rx_fifo_errors: both(self.rx_fifo_errors, other.rx_fifo_errors),
            tx_carrier_errors: both(self.tx_carrier_errors, other.tx_carrier_errors),
            collisions: both(self.collisions, other.collisions),
        }
    }
}

impl std::ops::Add for DevStats {
    type Output = DevStats;
    fn add(self, other: DevStats) -> DevStats {
        self.each(other, u64::wrapping_add)
    }
}

impl std::ops::Sub for DevStats {
    type Output = DevStats;
    fn sub(self, other: DevStats) -> DevStats {
        self.each(other, u64::wrapping_sub)
    }
}

/// What a device receives besides frames to its own address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RxMode {
    /// Frames to these stations.
    pub uc: Vec<Mac>,
    /// Frames to these groups.
    pub mc: Vec<Mac>,
    /// All frames.
    pub promisc: bool,
    /// Frames to all groups.
    pub allmulti: bool,
}

impl RxMode {
    /// What a device is to receive.
    pub fn of(dev: &NetDevice) -> RxMode {
        RxMode {
            uc: dev.uc.iter().map(|entry| entry.0).collect(),
            mc: dev.mc.iter().map(|entry| entry.0).collect(),
            promisc: dev.flags & IFF_PROMISC != 0,
            allmulti: dev.flags & IFF_ALLMULTI != 0,
        }
    }
}

/// How a device got its address (`addr_assign_type` in sysfs).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddrAssign {
    /// It was made with it.
    Perm = 0,
    /// By chance.
    Random = 1,
    /// From another device.
    Stolen = 2,
    /// A user set it.
    Set = 3,
}

/// How a device got its name (`NET_NAME_*`, `name_assign_type` in sysfs).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameAssign {
    /// It is not known.
    Unknown = 0,
    /// The kernel numbered it.
    Enum = 1,
    /// It can only be this one.
    Predictable = 2,
    /// A user named it.
    User = 3,
}

/// A device above another one (`struct netdev_adjacent`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upper {
    /// The upper device.
    pub dev: DevId,
    /// It is the lower device's only master.
    pub master: bool,
}

/// A network device. What each packet needs stands first, so that it lies in the first cache lines.
#[derive(Debug)]
#[repr(C)]
pub struct NetDevice {
    /// Its kind.
    pub ops: &'static LinkOps,
    /// `IFF_*` as a user set them; `IFF_RUNNING` and `IFF_LOWER_UP` are derived in [`NetDevice::dev_get_flags`].
    pub flags: u32,
    /// Its handle; nobody's before it is registered.
    pub id: DevId,
    /// Its number in its namespace; 0 before it is registered, unless one was asked for.
    pub ifindex: u32,
    /// The largest packet without the link header, bytes.
    pub mtu: u32,
    /// What kind of link it is (`type`).
    pub arphrd: Arphrd,
    /// Its namespace.
    pub netns: NetnsId,
    /// The device that it is linked to (`ndo_get_iflink`): a veth's other end, or what a VLAN lies on.
    pub link: Option<DevId>,
    /// Its address.
    pub addr: Mac,
    /// A signal is on the wire.
    pub carrier: bool,
    /// Its name in traces, as an index into [`crate::Kernel::labels`]; a renamed or moved device gets a new one.
    pub label: u32,
    /// Takes every received frame before the protocols do (`rx_handler`): the door into the upper device.
    pub rx_handler: Option<RxHandler>,
    /// Writes its headers, if those are none of Ethernet (`header_ops`).
    pub header_ops: Option<HeaderCreate>,
    /// What takes its IP packets before they are routed, or before they leave (`l3mdev_ops`).
    pub l3mdev_ops: Option<&'static L3mdevOps>,
    /// All packets to send go to the driver at once: no transmit queue has a queueing discipline that holds packets, and the
    /// driver takes all.
    pub direct_xmit: bool,
    /// What its bridge knows of it, if it is a port (`rx_handler_data`). It has a field of its own, and a type, because
    /// each frame in a bridge looks at it three times.
    pub port: Option<BridgePort>,
    /// What the others that take its frames know of it (`rx_handler_data`).
    rx_handler_data: Option<Box<dyn Any + Send + Sync>>,
    /// What only its kind knows of it.
    private: Option<Box<dyn Any + Send + Sync>>,
    /// Counters.
    pub stats: DevStats,
    /// Its name.
    pub name: String,
    /// How it got its name.
    pub name_assign: NameAssign,
    /// State of the link.
    pub operstate: OperState,
    /// Its transmit queues; none before it is registered.
    pub tx: Vec<NetdevQueue>,
    /// The discipline at its root, which `ip link` shows.
    pub qdisc: QdiscId,
    /// The discipline of what comes in (`ingress_queue`).
    pub ingress: Option<QdiscId>,
    /// Asks the filters of what comes in, if there are any.
    pub miniq_ingress: Option<MiniQdisc>,
    /// The same of what goes out.
    pub miniq_egress: Option<MiniQdisc>,
    /// The address to send to all.
    pub broadcast: Mac,
    /// How it got its address.
    pub addr_assign: AddrAssign,
    /// The address that a card was made with; zero: none.
    pub perm_addr: Mac,
    /// `IFF_PROMISC` and `IFF_ALLMULTI` as a user set them, who sees only these (`gflags`).
    pub gflags: u32,
    /// Who asked for promiscuous mode, counted.
    pub promiscuity: u32,
    /// Who asked for all multicast, counted.
    pub allmulti: u32,
    /// Offloads that are on, and other traits of the driver ([`super::netdev_features`]).
    pub features: u64,
    /// Offloads that can be switched.
    pub hw_features: u64,
    /// Offloads that were asked for.
    pub wanted_features: u64,
    /// Offloads that VLAN devices over it may have.
    pub vlan_features: u64,
    /// What its receive queues were told; one without an entry was told nothing.
    pub rx_queues: Vec<RxQueue>,
    /// Transmit queues that it has.
    pub num_tx_queues: u32,
    /// Transmit queues that are used.
    pub real_num_tx_queues: u32,
    /// Receive queues.
    pub num_rx_queues: u32,
    /// The largest packet that it may hand on unsegmented, bytes.
    pub tso_max_size: u32,
    /// Length of the transmit queue, packets.
    pub tx_queue_len: u32,
    /// It works without a queue (`IFF_NO_QUEUE`).
    pub no_queue: bool,
    /// Its driver leaves packets as they were, so one may be sent several times (`IFF_TX_SKB_SHARING`).
    pub tx_skb_sharing: bool,
    /// Group number (`ip link set … group`).
    pub group: u32,
    /// A remark of the user's.
    pub alias: Option<String>,
    /// Smallest MTU that is accepted, bytes.
    pub min_mtu: u32,
    /// Largest MTU that is accepted, bytes; 0: any.
    pub max_mtu: u32,
    /// How often the carrier came.
    pub carrier_up_count: u32,
    /// Carrier losses.
    pub carrier_down_count: u32,
    /// Other addresses that it takes frames to, with how many users each has.
    pub uc: Vec<(Mac, u32)>,
    /// Its driver takes frames to other addresses without promiscuous mode (`IFF_UNICAST_FLT`).
    pub unicast_flt: bool,
    /// Nobody may take its frames before the protocols do (`IFF_NO_RX_HANDLER`).
    pub no_rx_handler: bool,
    /// Tells it apart from others with its address (`dev_id`).
    pub dev_id: u16,
    /// It is in promiscuous mode for the sake of other addresses.
    pub uc_promisc: bool,
    /// Multicast groups on the link layer, with how many users each has.
    pub mc: Vec<(Mac, u32)>,
    /// What devices below it were asked to receive for it.
    pub rx_asked: BTreeMap<DevId, RxMode>,
    /// The table that packets of its slaves are routed by, if it is an L3 master (`l3mdev_fib_table`).
    pub l3mdev_fib_table: Option<u32>,
    /// The devices above it, its master first.
    pub uppers: Vec<Upper>,
    /// The devices below it.
    pub lowers: Vec<DevId>,
    /// The VLAN devices over it (`vlan_info`).
    pub vlans: BTreeMap<(VlanProto, u16), DevId>,
    /// It is about to be gone for good (`NETREG_UNREGISTERING`), not only moved to another namespace.
    pub unregistering: bool,
    /// What a tunnel took out of its packets and is not polled yet, by CPU (`struct gro_cells`).
    pub gro_cells: Vec<VecDeque<SkbId>>,
}

/// Largest packet that a device may hand on unsegmented unless it says otherwise, bytes (`TSO_LEGACY_MAX_SIZE`).
pub const TSO_LEGACY_MAX_SIZE: u32 = 65_536;
/// And the largest that Linux knows (`TSO_MAX_SIZE`).
pub const TSO_MAX_SIZE: u32 = 524_280;

impl NetDevice {
    /// A device that its kind did not set up yet: down, with a carrier (`alloc_netdev`, net/core/dev.c).
    pub fn new(netns: NetnsId, name: String, name_assign: NameAssign, ops: &'static LinkOps) -> NetDevice {
        NetDevice {
            ops,
            flags: 0,
            id: DevId(u32::MAX),
            ifindex: 0,
            mtu: 0,
            arphrd: Arphrd::default(),
            netns,
            link: None,
            addr: Mac::ZERO,
            carrier: true,
            label: 0,
            rx_handler: None,
            l3mdev_ops: None,
            direct_xmit: false,
            port: None,
            rx_handler_data: None,
            private: None,
            stats: DevStats::default(),
            name,
            name_assign,
            operstate: OperState::Unknown,
            tx: Vec::new(),
            qdisc: QdiscId::NOOP,
            ingress: None,
            miniq_ingress: None,
            miniq_egress: None,
            broadcast: Mac::ZERO,
            header_ops: None,
            addr_assign: AddrAssign::Perm,
            perm_addr: Mac::ZERO,
            gflags: 0,
            promiscuity: 0,
            allmulti: 0,
            features: 0,
            hw_features: 0,
            wanted_features: 0,
            vlan_features: 0,
            rx_queues: Vec::new(),
            num_tx_queues: 1,
            real_num_tx_queues: 1,
            num_rx_queues: 1,
            tso_max_size: TSO_LEGACY_MAX_SIZE,
            tx_queue_len: 1000,
            no_queue: false,
            tx_skb_sharing: false,
            group: 0,
            alias: None,
            min_mtu: 0,
            max_mtu: 0,
            carrier_up_count: 0,
            carrier_down_count: 0,
            uc: Vec::new(),
            unicast_flt: false,
            no_rx_handler: false,
            dev_id: 0,
            uc_promisc: false,
            mc: Vec::new(),
            rx_asked: BTreeMap::new(),
            l3mdev_fib_table: None,
            uppers: Vec::new(),
            lowers: Vec::new(),
            vlans: BTreeMap::new(),
            unregistering: false,
            gro_cells: Vec::new(),
        }
    }

    /// Its address is one of Ethernet that can be set.
    pub fn can_set_address(&self) -> bool {
        self.arphrd.has_mac() && !self.ops.has_fixed_address
    }

    /// What only its kind knows of it, if it is of the kind that keeps a `T` (`netdev_priv`).
    #[inline]
    pub fn netdev_priv<T: Any>(&self) -> Option<&T> {
        self.private.as_deref()?.downcast_ref()
    }

    /// The same, to change it.
    #[inline]
    pub fn netdev_priv_mut<T: Any>(&mut self) -> Option<&mut T> {
        self.private.as_deref_mut()?.downcast_mut()
    }

    /// The same, with its counters.
    pub fn priv_and_stats<T: Any>(&mut self) -> Option<(&mut T, &mut DevStats)> {
        Some((self.private.as_deref_mut()?.downcast_mut()?, &mut self.stats))
    }

    /// Sets what only its kind knows of it.
    pub fn set_priv(&mut self, private: impl Any + Send + Sync) {
        self.private = Some(Box::new(private));
    }

    /// What those that take its frames know of it, if they keep a `T` (`rx_handler_data`).
    #[inline]
    pub fn rx_handler_data<T: Any>(&self) -> Option<&T> {
        self.rx_handler_data.as_deref()?.downcast_ref()
    }

    /// The same, to change it.
    #[inline]
    pub fn rx_handler_data_mut<T: Any>(&mut self) -> Option<&mut T> {
        self.rx_handler_data.as_deref_mut()?.downcast_mut()
    }

    /// Sets what those that take its frames know of it.
    pub fn set_rx_handler_data(&mut self, data: impl Any + Send + Sync) {
        self.rx_handler_data = Some(Box::new(data));
    }

    /// Nobody takes its frames any more.
    pub fn clear_rx_handler(&mut self) {
        (self.rx_handler, self.rx_handler_data) = (None, None);
    }

    /// The device is administratively up (`netif_running`).
    #[inline]
    pub fn is_up(&self) -> bool {
        self.flags & IFF_UP != 0
    }

    /// Its operational state allows traffic, as far as it is known (`netif_oper_up`).
    pub fn netif_oper_up(&self) -> bool {
        matches!(self.operstate, OperState::Up | OperState::Unknown)
    }

    /// It is up and its operational state allows traffic (`IFF_RUNNING`).
    pub fn is_running(&self) -> bool {
        self.is_up() && self.netif_oper_up()
    }

    /// `IFF_RUNNING` or `IFF_LOWER_UP`: routes do not count it as down.
    pub fn carries(&self) -> bool {
        self.is_up() && (self.netif_oper_up() || self.carrier)
    }

    /// It is `lo`.
    pub fn is_loopback(&self) -> bool {
        self.flags & IFF_LOOPBACK != 0
    }

    /// The flags as user space sees them (`dev_get_flags`, net/core/dev.c).
    pub fn dev_get_flags(&self) -> u32 {
        let mut flags = self.flags & !(IFF_PROMISC | IFF_ALLMULTI) | self.gflags;
        if self.is_up() {
            if self.netif_oper_up() {
                flags |= IFF_RUNNING;
            }
            if self.carrier {
                flags |= IFF_LOWER_UP;
            }
        }
        flags
    }

    /// The other namespace that it is linked to (`rtnl_fill_link_netnsid`): its own devices' link has none.
    pub fn link_net(&self) -> Option<NetnsId> {
        self.ops.get_link_net.map(|get| get(self)).filter(|netns| *netns != self.netns)
    }

    /// The device that it is a port or a slave of (`netdev_master_upper_dev_get`).
    pub fn master(&self) -> Option<DevId> {
        self.uppers.iter().find(|upper| upper.master).map(|upper| upper.dev)
    }
}

/// The devices of a machine.
#[derive(Debug, Default)]
pub struct Devs {
    slots: Vec<Option<NetDevice>>,
}

impl Devs {
    /// The handle that the next device gets. Handles are never given out twice.
    pub fn next_id(&self) -> DevId {
        DevId(self.slots.len() as u32)
    }

    /// Adds a device, whose handle is [`Devs::next_id`].
    pub fn insert(&mut self, dev: NetDevice) -> DevId {
        let id = self.next_id();
        debug_assert_eq!(id, dev.id);
        self.slots.push(Some(dev));
        id
    }

    /// Removes a device.
    pub fn remove(&mut self, id: DevId) -> Option<NetDevice> {
        self.slots.get_mut(id.index())?.take()
    }

    /// The device, if it exists.
    #[inline]
    pub fn get(&self, id: DevId) -> Option<&NetDevice> {
        self.slots.get(id.index())?.as_ref()
    }

    /// The device, if it exists, to change it.
    #[inline]
    pub fn get_mut(&mut self, id: DevId) -> Option<&mut NetDevice> {
        self.slots.get_mut(id.index())?.as_mut()
    }

    /// All devices, in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = &NetDevice> {
        self.slots.iter().flatten()
    }
}

impl std::ops::Index<DevId> for Devs {
    type Output = NetDevice;
    #[inline]
    fn index(&self, id: DevId) -> &NetDevice {
        self.slots[id.index()].as_ref().expect("a packet on a device that exists")
    }
}

impl std::ops::IndexMut<DevId> for Devs {
    #[inline]
    fn index_mut(&mut self, id: DevId) -> &mut NetDevice {
        self.slots[id.index()].as_mut().expect("a packet on a device that exists")
    }
}
