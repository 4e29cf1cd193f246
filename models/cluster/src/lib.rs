//! Kubernetes as far as networks need it. Agents are compilers from objects to commands and configuration files of real programs,
//! which they run in their node's own shell; nothing here touches a packet.
//!
//! | module | owns |
//! |---|---|
//! | [`command`] | commands that agents run |
//! | [`kube_proxy`] | services as rules of iptables, virtual servers of IPVS, or a proxy |

pub mod command;
pub mod kube_proxy;
