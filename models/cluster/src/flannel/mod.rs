//! flanneld 0.14.0 with its Kubernetes subnet manager: each node's range of pods is its lease, which annotations of the node tell to the
//! others, and a backend carries packets between them.
//!
//! It runs in the pods of the DaemonSet `kube-flannel-ds`. The real one speaks netlink; here it runs commands that have the same effect, in
//! its node's shell. `iptables` it runs as the real one does.
//!
//! | file | owns |
//! |---|---|
//! | `addon.rs` | the objects: ConfigMap and DaemonSet |
//! | `agent.rs` | flanneld as a program: from its start to its loop |
//! | `daemon.rs` | what all parts of it use: commands, the log, reads of the kernel's tables |
//! | `interface.rs` | the interface between nodes |
//! | `iptables.rs` | its rules, and how they are kept |
//! | `net_conf.rs` | `net-conf.json` |
//! | `options.rs` | the command line |
//! | `subnets.rs` | leases of nodes |
//! | `backend.rs` | the backends by name |
//! | `vxlan.rs`, `ipip.rs`, `host_gw.rs`, `udp.rs` | one backend each |
//! | `proxy.rs` | packets of the UDP backend in user space |
//! | `routes.rs` | routes of ipip and host-gw, and how they are kept |
//!
//! Not modelled: subnets from etcd; the backends of clouds, `alloc`, `extension` and `ipsec`; `accept_ra` of its device, as there is no
//! IPv6; the health check's port.

mod addon;
mod agent;
mod backend;
mod daemon;
mod host_gw;
mod interface;
mod ipip;
mod iptables;
mod net_conf;
mod options;
mod proxy;
mod routes;
mod subnets;
mod udp;
mod vxlan;

pub use addon::objects;
pub use agent::main;

/// Its release.
pub const RELEASE: &str = "0.14.0";

/// What it tells the CNI plugin of its node.
pub const SUBNET_FILE: &str = "/run/flannel/subnet.env";
