//! IP Virtual Server (IPVS): services, their destinations, and connections.
//!
//! Kernel: include/net/ip_vs.h, include/uapi/linux/ip_vs.h
//!
//! | module | owns |
//! |---|---|
//! | [`svc`] | services and destinations |
//! | [`conn`] | the connection table |
//! | [`sched`] | what a scheduler remembers of a service |
//! | [`stats`] | counters and rates |

pub mod conn;
pub mod sched;
pub mod stats;
pub mod svc;

use std::collections::BTreeMap;

use glassnet_sim::Nanos;

use super::jiffies::HZ;
use crate::ids::NetnsId;
use conn::{ConnTable, TCP_STATES};
use stats::Stats;
use svc::{DestId, Services};

/// The version (`IP_VS_VERSION_CODE`).
pub const IP_VS_VERSION: &str = "1.2.1";
/// Size of the connection hash table (`ip_vs_conn_tab_size`), as the tools print it.
pub const CONN_TAB_SIZE: u32 = 4096;

/// The method bits of connection flags (`IP_VS_CONN_F_FWD_MASK`).
pub const CONN_F_FWD_MASK: u32 = 0x0007;
/// Masquerading (NAT).
pub const CONN_F_MASQ: u32 = 0x0000;
/// A destination on this host.
pub const CONN_F_LOCALNODE: u32 = 0x0001;
/// Tunnelling.
pub const CONN_F_TUNNEL: u32 = 0x0002;
/// Direct routing.
pub const CONN_F_DROUTE: u32 = 0x0003;
/// Past a service without destinations (`cache_bypass`).
pub const CONN_F_BYPASS: u32 = 0x0004;
/// It is in the hash table.
pub const CONN_F_HASHED: u32 = 0x0040;
/// No packet of the other direction was seen, or will be.
pub const CONN_F_NOOUTPUT: u32 = 0x0080;
/// It does not count as active.
pub const CONN_F_INACTIVE: u32 = 0x0100;
/// A template of a persistent service.
pub const CONN_F_TEMPLATE: u32 = 0x1000;
/// One-packet scheduling: it ends with its packet.
pub const CONN_F_ONE_PACKET: u32 = 0x2000;
/// Connection tracking keeps its connection.
pub const CONN_F_NFCT: u32 = 1 << 16;

/// A protocol that is balanced, and its connections' timeouts by state (`struct ip_vs_proto_data`).
#[derive(Clone, Debug)]
pub struct ProtoData {
    /// TCP's timeouts by state.
    pub tcp: [Nanos; TCP_STATES],
    /// UDP's only timeout.
    pub udp: Nanos,
    /// `secure_tcp` is in force: connections are established only by the other side's packets (`tcp_states_dos`).
    pub secure_tcp: bool,
}

impl Default for ProtoData {
    fn default() -> Self {
        ProtoData { tcp: conn::tcp_timeouts(), udp: Nanos::from_secs(300), secure_tcp: false }
    }
}

/// IPVS of a namespace (`struct netns_ipvs`).
#[derive(Debug, Default)]
pub struct NetnsIpvs {
    /// There was a service (`enable`).
    pub enable: bool,
    /// Number of services.
    pub num_services: u32,
    /// Number of services of FTP (`ftpsvc_counter`).
    pub ftp_services: u32,
    /// Number of services of all ports (`nullsvc_counter`).
    pub null_services: u32,
    /// Number of connections.
    pub conn_count: u32,
    /// Timeouts.
    pub proto: ProtoData,
    /// Counters of the namespace.
    pub tot_stats: Stats,
    /// Every so many new connections one is dropped (`drop_rate`); 0: none.
    pub drop_rate: i64,
    /// How many are left until then (`drop_counter`).
    pub drop_counter: i64,
    /// Removed destinations that connections still refer to, newest first (`dest_trash`).
    pub dest_trash: Vec<DestId>,
    /// When the trash is looked through next.
    pub dest_trash_timer: Option<Nanos>,
    /// When rates are measured next (`est_timer`); the timer is set while there is something to measure.
    pub est_timer: Nanos,
    /// It is set.
    pub est_running: bool,
}

/// IPVS of a machine.
#[derive(Debug, Default)]
pub struct IpVs {
    /// The module is loaded.
    pub loaded: bool,
    /// Schedulers that are loaded, by name.
    pub schedulers: Vec<&'static str>,
    /// Services and destinations.
    pub services: Services,
    /// Connections.
    pub conns: ConnTable,
    nets: BTreeMap<NetnsId, NetnsIpvs>,
}

impl IpVs {
    /// IPVS of a namespace, if it has any.
    pub fn net(&self, netns: NetnsId) -> Option<&NetnsIpvs> {
        self.nets.get(&netns)
    }

    /// IPVS of a namespace, made if it has none yet.
    pub fn net_mut(&mut self, netns: NetnsId) -> &mut NetnsIpvs {
        self.nets.entry(netns).or_default()
    }

    /// IPVS of a namespace, connections and services.
    pub fn parts(&mut self, netns: NetnsId) -> (&mut NetnsIpvs, &mut ConnTable, &mut Services) {
        (self.nets.entry(netns).or_default(), &mut self.conns, &mut self.services)
    }

    /// The namespace ends.
    pub fn remove_net(&mut self, netns: NetnsId) {
        self.nets.remove(&netns);
    }
}

/// The greatest timeout that `--set` takes, seconds.
pub const MAX_TIMEOUT: u32 = i32::MAX as u32 / HZ as u32;
