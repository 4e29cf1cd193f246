//! A machine's kernel: all its tables.

use std::collections::{BTreeMap, VecDeque};

use glassnet_sim::Nanos;
use glassnet_wire::Mac;

use crate::cost::{self, Profile};
use crate::ids::{DevId, MachineId, NetnsId, SkbId, SocketId};
use crate::module::{Module, PacketOffload};
use crate::netlink::Errno;
use crate::tables::conntrack::Conntrack;
use crate::tables::drop_reason::DropReason;
use crate::tables::hooks::HooksNeeded;
use crate::tables::inet::InDevices;
use crate::tables::ip_vs::IpVs;
use crate::tables::irq::Irqs;
use crate::tables::klog::KernelLog;
use crate::tables::link_watch::LinkWatch;
use crate::tables::neigh::NeighTable;
use crate::tables::netdev::Devs;
use crate::tables::netns::NetnsTable;
use crate::tables::openvswitch::Datapaths;
use crate::tables::qdisc::Qdiscs;
use crate::tables::rps::SockFlows;
use crate::tables::rtnl::RtnlListeners;
use crate::tables::siphash::SipHashKey;
use crate::tables::socket::{SK_MEM_DEFAULT, Sockets};
use crate::tables::softnet::SoftnetData;
use crate::tables::tc_action::TcActions;
use crate::tables::tun::TunFiles;
use crate::tables::unix::UnixListeners;
use crate::tables::verdicts::Watch;
use crate::timer::{Kthread, TimerBase};

/// When the machines booted, in seconds since 1970: 2023-11-14 22:13:20 UTC.
pub const BOOT_TIME: u64 = 1_700_000_000;

/// The namespace that a machine boots with (`init_net`).
pub const INIT_NET: NetnsId = NetnsId(0);

/// Settings under `/proc/sys/net/core` that are the machine's, not a namespace's.
#[derive(Clone, Debug)]
pub struct CoreSysctl {
    /// `netdev_max_backlog`: packets that may wait for a CPU.
    pub netdev_max_backlog: u32,
    /// `netdev_budget`: packets a run of `net_rx_action`.
    pub netdev_budget: u32,
    /// `netdev_budget_usecs`: time a run of `net_rx_action`, µs.
    pub netdev_budget_usecs: u32,
    /// `dev_weight`: packets a poll of the backlog.
    pub dev_weight: u32,
    /// `rps_sock_flow_entries`: which CPU reads each flow.
    pub rps_sock_flow_table: SockFlows,
    /// A receive queue spreads its packets over CPUs.
    pub rps_needed: bool,
    /// `dev_weight_tx_bias`: how many times as many packets a run of a queueing discipline sends.
    pub dev_weight_tx_bias: u32,
    /// `default_qdisc`: the queueing discipline of a device with a queue.
    pub default_qdisc: &'static str,
    /// `fb_tunnels_only_for_init_net`: 1: other namespaces have no fallback devices of tunnels; 2: none has.
    pub fb_tunnels_only_for_init_net: u32,
    /// `rmem_default`: receive buffer of a new socket, bytes.
    pub rmem_default: u32,
    /// `rmem_max`: the greatest receive buffer that a program may ask for, bytes.
    pub rmem_max: u32,
    /// `wmem_default`: send buffer of a new socket, bytes.
    pub wmem_default: u32,
    /// `wmem_max`: the greatest send buffer that a program may ask for, bytes.
    pub wmem_max: u32,
}

impl Default for CoreSysctl {
    fn default() -> Self {
        CoreSysctl {
            netdev_max_backlog: 1000,
            netdev_budget: 300,
            // Two jiffies at HZ=250.
            netdev_budget_usecs: 8000,
            dev_weight: 64,
            fb_tunnels_only_for_init_net: 0,
            rmem_default: SK_MEM_DEFAULT,
            rmem_max: SK_MEM_DEFAULT,
            wmem_default: SK_MEM_DEFAULT,
            wmem_max: SK_MEM_DEFAULT,
            rps_sock_flow_table: SockFlows::default(),
            rps_needed: false,
            dev_weight_tx_bias: 1,
            // CONFIG_DEFAULT_NET_SCH of Debian's kernel.
            default_qdisc: "fq_codel",
        }
    }
}

/// How the kernel was built, where that shows. The default is Debian's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// `CONFIG_BRIDGE_VLAN_FILTERING`: bridges know VLANs, and every port is in VLAN 1.
    pub bridge_vlan_filtering: bool,
    /// ipset knows `bitmask` (Linux 6.2 and later): revisions and sizes of sets tell.
    pub ipset_bitmask: bool,
    /// NAT does not choose another source port for a connection that is the reverse of another (since Linux 6.12).
    pub nat_keeps_reverse: bool,
    /// `CONFIG_SMP`: locks take room, which shows in sizes of sets.
    pub smp: bool,
    /// The cables are veth pairs, as where a real kernel stands for all machines: at the far end a packet still says that its
    /// next hop answers, as behind every other veth.
    pub veth_cables: bool,
    /// Sockets watch every device and copy its packets, as where a real kernel is observed.
    pub watched: bool,
    /// The key of the hash of flows (`hashrnd` in net/core/flow_dissector.c), random on Linux. It decides which next hop of a
    /// multipath route a flow takes.
    pub flow_hash_key: SipHashKey,
    /// The module `br_netfilter` is loaded.
    pub br_netfilter: bool,
    /// The module `8021q` is loaded.
    pub vlan_8021q: bool,
    /// The module `openvswitch` is loaded.
    pub openvswitch: bool,
    /// It can limit connections: once it is loaded, every namespace tracks them.
    pub ovs_ct_limit: bool,
    /// The module `bonding` is loaded.
    pub bonding: bool,
    /// The module `ipip` is loaded.
    pub ipip: bool,
    /// The module `ip_gre` is loaded.
    pub gre: bool,
    /// The module `fou` is loaded.
    pub fou: bool,
    /// The modules of IPVS are there from the start.
    pub ip_vs: bool,
    /// Rules may ask for IPVS (`CONFIG_NETFILTER_XT_MATCH_IPVS`).
    pub xt_ipvs: bool,
    /// Namespaces get fallback devices of tunnels. Where a namespace of a real kernel stands for a machine, they may be only in the
    /// one that it booted with.
    pub fb_tunnels: bool,
    /// The module `nf_nat_ftp` is loaded.
    pub nf_nat_ftp: bool,
    /// Time of fork, exec and the dynamic linker.
    pub exec_time: Nanos,
    /// How long is waited for what follows from an event or a system call before a program goes on: where computing takes no
    /// time, all of it comes before.
    pub settle_time: Nanos,
}

impl Config {
    /// Open vSwitch has every namespace track connections.
    pub fn ovs_tracks(&self) -> bool {
        self.openvswitch && self.ovs_ct_limit
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            bridge_vlan_filtering: true,
            ipset_bitmask: false,
            nat_keeps_reverse: false,
            smp: true,
            veth_cables: false,
            watched: false,
            flow_hash_key: [0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93],
            br_netfilter: false,
            vlan_8021q: false,
            openvswitch: false,
            ovs_ct_limit: true,
            bonding: false,
            ipip: false,
            gre: false,
            fou: false,
            ip_vs: false,
            xt_ipvs: true,
            fb_tunnels: true,
            nf_nat_ftp: false,
            // A round figure, not measured.
            exec_time: Nanos::from_millis(1),
            settle_time: Nanos::ZERO,
        }
    }
}

/// A device's name at some time, for traces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The namespace that it was in.
    pub netns: NetnsId,
    /// Its name there.
    pub name: String,
}

/// One machine's kernel.
#[derive(Debug)]
pub struct Kernel {
    /// Which machine.
    pub id: MachineId,
    /// `hostname`.
    pub hostname: String,
    /// Each CPU's share of the network.
    pub cpus: Vec<SoftnetData>,
    /// Interrupts.
    pub irqs: Irqs,
    /// Devices.
    pub devs: Devs,
    /// Queueing disciplines.
    pub qdiscs: Qdiscs,
    /// Actions of filters.
    pub tc_actions: TcActions,
    /// The driver does not take the packet that it was given last (`NETDEV_TX_BUSY`), which stays its giver's.
    pub xmit_busy: bool,
    /// Network namespaces.
    pub netns: NetnsTable,
    /// Where any of them has netfilter hooks.
    pub nf_hooks_needed: HooksNeeded,
    /// What `/run/netns` holds: the names that `ip netns add` gave.
    pub netns_names: BTreeMap<String, NetnsId>,
    /// IPv4 on each device.
    pub inet: InDevices,
    /// Neighbours.
    pub neigh: NeighTable,
    /// Programs that run, by process id, with the namespace that each is in.
    pub tasks: BTreeMap<u32, NetnsId>,
    /// Programs that wait, by process id, and whether each was woken.
    pub asleep: BTreeMap<u32, bool>,
    /// The VRFs that tasks are bound to by their control groups, by process id.
    pub vrf_tasks: BTreeMap<u32, String>,
    /// Programs that listen to messages of rtnetlink.
    pub rtnl: RtnlListeners,
    /// Changes of carriers that wait for their consequences.
    pub link_watch: LinkWatch,
    /// Sockets.
    pub sockets: Sockets,
    /// Datapaths of Open vSwitch.
    pub datapaths: Datapaths,
    /// Open files of tun and tap devices.
    pub tun_files: TunFiles,
    /// Unix sockets on which programs listen.
    pub unix: UnixListeners,
    /// Connections.
    pub conntrack: Conntrack,
    /// IPVS.
    pub ip_vs: IpVs,
    /// What it is made of.
    pub modules: &'static [&'static Module],
    /// What functions cost its CPUs.
    pub profile: Profile,
    /// How one of them merges and cuts packets.
    pub packet_offload: Option<&'static PacketOffload>,
    /// How it was built.
    pub config: Config,
    /// Settings of the machine.
    pub core: CoreSysctl,
    /// How many hashes sockets have drawn for their flows.
    pub tx_hashes: u64,
    /// The awaited packet that could not be sent last, and what its sender's call returns.
    pub xmit_error: Option<(SkbId, Errno)>,
    /// The awaited packet at which a queue dropped one last, which is no error of a call (`NET_XMIT_CN`).
    pub xmit_congested: Option<SkbId>,
    /// Packets of a flow may pass hooks as those before them did; off, every function is asked every time. The results
    /// are the same.
    pub remembers_verdicts: bool,
    /// The packet that is watched on its way through a hook.
    pub watch: Watch,
    /// What `dmesg` shows.
    pub log: KernelLog,
    /// How many packets were dropped for each reason.
    pub drops: BTreeMap<DropReason, u64>,
    /// All names that devices had, for traces.
    pub labels: Vec<Label>,
    /// Addresses that new devices get in turn, by name and name of their namespace, where chance would choose: those that a
    /// real kernel chose, so that the same frames appear here.
    pub scripted_macs: BTreeMap<(String, String), VecDeque<Mac>>,
    /// Reachable times of neighbours by device and name of its namespace, where chance would choose: those of a real kernel.
    pub scripted_reach_times: BTreeMap<(String, String), Nanos>,
    /// Names that programs drew on a real kernel for devices, in order: namespace and name.
    pub scripted_names: Vec<(String, String)>,
    /// Its threads. One that has ended has no turns; its number is not given again.
    pub kthreads: Vec<Kthread>,
    /// Its timers, by CPU.
    pub timers: Vec<TimerBase>,
    /// The socket that the system call that runs works on (`sock_owned_by_user`), also while softirqs run in it.
    pub owned_socket: Option<SocketId>,
    /// How many packet sockets are open: none means that no tap needs a look.
    pub packet_sockets: u32,
}

impl Kernel {
    /// The next [scripted](Self::scripted_macs) address for a device: one for its namespace, or one for another, where the
    /// device may have been seen only later.
    pub fn scripted_mac(&mut self, netns: NetnsId, name: &str) -> Option<Mac> {
        let key = (name.to_owned(), self.netns_name(netns).to_owned());
        if let Some(mac) = self.scripted_macs.get_mut(&key).and_then(VecDeque::pop_front) {
            return Some(mac);
        }
        let of_name = self.scripted_macs.iter_mut().filter(|((device, _), _)| device == name);
        of_name.map(|(_, macs)| macs).find_map(VecDeque::pop_front)
    }

    /// The [scripted](Self::scripted_reach_times) reachable time of a device's neighbours.
    pub fn scripted_reach_time(&self, dev: DevId) -> Option<Nanos> {
        if self.scripted_reach_times.is_empty() {
            return None;
        }
        let dev = &self.devs[dev];
        self.scripted_reach_times.get(&(dev.name.to_string(), self.netns_name(dev.netns).to_owned())).copied()
    }

    /// The next [scripted](Self::scripted_names) name for a device of a namespace.
    pub fn scripted_name(&self, netns: NetnsId) -> Option<&str> {
        let netns = self.netns_name(netns);
        self.scripted_names.iter().find(|(of, _)| of == netns).map(|(_, name)| name.as_str())
    }

    /// The name of a namespace; empty for the machine's own, and for one without.
    fn netns_name(&self, netns: NetnsId) -> &str {
        self.netns_names.iter().find(|(_, id)| **id == netns).map_or("", |(name, _)| name)
    }

    /// A kernel of these modules with `cpus` CPUs, before it made its first namespace.
    pub fn new(id: MachineId, hostname: String, cpus: usize, modules: &'static [&'static Module]) -> Kernel {
        Kernel {
            id,
            hostname,
            cpus: (0..cpus.max(1)).map(|_| SoftnetData::default()).collect(),
            irqs: Irqs::default(),
            devs: Devs::default(),
            qdiscs: Qdiscs::default(),
            tc_actions: TcActions::default(),
            xmit_busy: false,
            netns: NetnsTable::default(),
            nf_hooks_needed: HooksNeeded::default(),
            netns_names: BTreeMap::new(),
            tasks: BTreeMap::new(),
            asleep: BTreeMap::new(),
            vrf_tasks: BTreeMap::new(),
            inet: InDevices::default(),
            neigh: NeighTable::default(),
            rtnl: RtnlListeners::default(),
            link_watch: LinkWatch::default(),
            sockets: Sockets::default(),
            datapaths: Datapaths::default(),
            tun_files: TunFiles::default(),
            unix: UnixListeners::default(),
            conntrack: Conntrack::default(),
            ip_vs: IpVs::default(),
            modules,
            profile: cost::DEFAULT.clone(),
            packet_offload: modules.iter().find_map(|module| module.offload),
            config: Config::default(),
            core: CoreSysctl::default(),
            tx_hashes: 0,
            xmit_error: None,
            xmit_congested: None,
            remembers_verdicts: true,
            watch: Watch::default(),
            log: KernelLog::default(),
            drops: BTreeMap::new(),
            labels: Vec::new(),
            scripted_macs: BTreeMap::new(),
            scripted_reach_times: BTreeMap::new(),
            scripted_names: Vec::new(),
            kthreads: Vec::new(),
            timers: (0..cpus.max(1)).map(|_| TimerBase::default()).collect(),
            owned_socket: None,
            packet_sockets: 0,
        }
    }

    /// The device with this name in a namespace (`__dev_get_by_name`).
    pub fn dev_by_name(&self, netns: NetnsId, name: &str) -> Option<DevId> {
        self.netns.get(netns)?.devs.values().copied().find(|dev| self.devs[*dev].name == name)
    }

    /// The device with this ifindex in a namespace (`__dev_get_by_index`).
    pub fn dev_by_index(&self, netns: NetnsId, ifindex: u32) -> Option<DevId> {
        self.netns.get(netns)?.devs.get(&ifindex).copied()
    }

    /// Gives a device a fresh label after it was named or moved.
    pub fn relabel(&mut self, dev: DevId) {
        let netdev = &mut self.devs[dev];
        netdev.label = self.labels.len() as u32;
        self.labels.push(Label { netns: netdev.netns, name: netdev.name.clone() });
    }
}
