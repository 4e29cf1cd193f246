//! Network devices (`struct net_device`, include/linux/netdevice.h).

use glassnet_hardware::PlugId;
use glassnet_wire::Mac;

use super::bridge::{Bridge, BridgePort};
use crate::ids::{DevId, NetnsId};

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
}

/// A plain network card: one queue, no ring, an interrupt a burst.
#[derive(Debug)]
pub struct Nic {
    /// Where its cable is plugged in.
    pub plug: PlugId,
    /// The driver's name, as `ethtool -i` prints it.
    pub driver: String,
    /// Frames that came in and wait to be polled.
    pub rx: std::collections::VecDeque<glassnet_wire::BufId>,
    /// It is in a poll list; its interrupt is masked.
    pub napi_scheduled: bool,
}

/// What a device is.
#[derive(Debug)]
pub enum DevKind {
    /// `lo`.
    Loopback,
    /// One end of a virtual cable; `None` while the peer is being removed.
    Veth {
        /// The other end.
        peer: Option<DevId>,
    },
    /// A bridge.
    Bridge(Box<Bridge>),
    /// A network card.
    Nic(Box<Nic>),
}

impl DevKind {
    /// The name of the kind, as in `type veth`; `None` for devices that a user cannot add.
    pub fn name(&self) -> Option<&'static str> {
        match self {
            DevKind::Veth { .. } => Some("veth"),
            DevKind::Bridge(_) => Some("bridge"),
            DevKind::Loopback | DevKind::Nic(_) => None,
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

/// A network device. What each packet needs stands first, so that it lies in the first cache lines.
#[derive(Debug)]
#[repr(C)]
pub struct NetDevice {
    /// What it is.
    pub kind: DevKind,
    /// `IFF_*` as a user set them; `IFF_RUNNING` and `IFF_LOWER_UP` are derived in [`NetDevice::dev_get_flags`].
    pub flags: u32,
    /// Its handle.
    pub id: DevId,
    /// Its number in its namespace.
    pub ifindex: u32,
    /// The largest packet without the link header, bytes.
    pub mtu: u32,
    /// Its namespace.
    pub netns: NetnsId,
    /// Packet sockets that listen on this device alone.
    pub taps: u32,
    /// Its address.
    pub addr: Mac,
    /// A signal is on the wire.
    pub carrier: bool,
    /// Its name in traces, as an index into [`crate::Kernel::labels`]; a renamed or moved device gets a new one.
    pub label: u32,
    /// Its place in a bridge, which then takes all its frames (`rx_handler`).
    pub port: Option<BridgePort>,
    /// Counters.
    pub stats: DevStats,
    /// Its name.
    pub name: String,
    /// State of the link.
    pub operstate: OperState,
    /// The address to send to all.
    pub broadcast: Mac,
    /// How it got its address.
    pub addr_assign: AddrAssign,
    /// `IFF_PROMISC` and `IFF_ALLMULTI` as a user set them, who sees only these (`gflags`).
    pub gflags: u32,
    /// Who asked for promiscuous mode, counted.
    pub promiscuity: u32,
    /// Who asked for all multicast, counted.
    pub allmulti: u32,
    /// Length of the transmit queue, packets.
    pub tx_queue_len: u32,
    /// The name of the queueing discipline.
    pub qdisc: &'static str,
    /// Group number (`ip link set … group`).
    pub group: u32,
    /// A remark of the user's.
    pub alias: Option<String>,
    /// Smallest MTU that is accepted, bytes.
    pub min_mtu: u32,
    /// Largest MTU that is accepted, bytes.
    pub max_mtu: u32,
    /// How often the carrier came.
    pub carrier_up_count: u32,
    /// How often the carrier went.
    pub carrier_down_count: u32,
    /// Multicast groups on the link layer, with how many users each has.
    pub mc: Vec<(Mac, u32)>,
}

impl NetDevice {
    /// The device is administratively up (`netif_running`).
    #[inline]
    pub fn is_up(&self) -> bool {
        self.flags & IFF_UP != 0
    }

    /// It can carry traffic (`netif_oper_up` with the carrier).
    pub fn is_running(&self) -> bool {
        self.is_up() && matches!(self.operstate, OperState::Up | OperState::Unknown)
    }

    /// It is `lo`.
    pub fn is_loopback(&self) -> bool {
        matches!(self.kind, DevKind::Loopback)
    }

    /// The flags as user space sees them (`dev_get_flags`, net/core/dev.c).
    pub fn dev_get_flags(&self) -> u32 {
        let mut flags = self.flags & !(IFF_PROMISC | IFF_ALLMULTI) | self.gflags;
        if self.is_up() {
            if matches!(self.operstate, OperState::Up | OperState::Unknown) {
                flags |= IFF_RUNNING;
            }
            if self.carrier {
                flags |= IFF_LOWER_UP;
            }
        }
        flags
    }

    /// The bridge that it is a port of (`master`).
    #[inline]
    pub fn master(&self) -> Option<DevId> {
        self.port.as_ref().map(|port| port.bridge)
    }

    /// The bridge, if it is one.
    #[inline]
    pub fn bridge(&self) -> Option<&Bridge> {
        match &self.kind {
            DevKind::Bridge(bridge) => Some(bridge),
            _ => None,
        }
    }

    /// The bridge, if it is one, to change it.
    #[inline]
    pub fn bridge_mut(&mut self) -> Option<&mut Bridge> {
        match &mut self.kind {
            DevKind::Bridge(bridge) => Some(bridge),
            _ => None,
        }
    }

    /// The other end, if it is a veth that still has one.
    #[inline]
    pub fn veth_peer(&self) -> Option<DevId> {
        match self.kind {
            DevKind::Veth { peer } => peer,
            _ => None,
        }
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
