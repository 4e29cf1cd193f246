//! Connection tracking: `/proc/sys/net/netfilter/nf_conntrack_*`, `/proc/net/nf_conntrack` and
//! `/proc/net/stat/nf_conntrack`.
//!
//! Kernel: net/netfilter/nf_conntrack_standalone.c

use std::fmt::Write;

use glassnet_kernel::Kernel;
use glassnet_kernel::ids::NetnsId;
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::conntrack::sysctl::CT_SYSCTL_TABLE;
use glassnet_kernel::tables::conntrack::{CtStats, CtSysctl};

use super::{Node, View};
use crate::conntrack::show::proc_line;

/// A file of connection tracking below `/proc/sys/net/netfilter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CtFile {
    /// A setting of the namespace.
    Setting(CtSysctl),
    /// `nf_conntrack_count`.
    Count,
    /// `nf_conntrack_max`, the machine's.
    Max,
    /// `nf_conntrack_buckets`, the machine's.
    Buckets,
    /// `nf_conntrack_expect_max`, the machine's.
    ExpectMax,
    /// A setting of what is not modelled; it keeps its value.
    Fixed(i64),
}

/// Settings of IPv6, GRE and SCTP, with the values that they keep.
const FIXED: [(&str, i64); 15] = [
    ("nf_conntrack_frag6_high_thresh", 4_194_304),
    ("nf_conntrack_frag6_low_thresh", 3_145_728),
    ("nf_conntrack_frag6_timeout", 60),
    ("nf_conntrack_gre_timeout", 30),
    ("nf_conntrack_gre_timeout_stream", 180),
    ("nf_conntrack_icmpv6_timeout", 30),
    ("nf_conntrack_sctp_timeout_closed", 10),
    ("nf_conntrack_sctp_timeout_cookie_echoed", 3),
    ("nf_conntrack_sctp_timeout_cookie_wait", 3),
    ("nf_conntrack_sctp_timeout_established", 210),
    ("nf_conntrack_sctp_timeout_heartbeat_sent", 30),
    ("nf_conntrack_sctp_timeout_shutdown_ack_sent", 3),
    ("nf_conntrack_sctp_timeout_shutdown_recd", 3),
    ("nf_conntrack_sctp_timeout_shutdown_sent", 3),
    ("nf_hooks_lwtunnel", 0),
];

const OTHERS: [(&str, CtFile); 4] = [
    ("nf_conntrack_count", CtFile::Count),
    ("nf_conntrack_max", CtFile::Max),
    ("nf_conntrack_buckets", CtFile::Buckets),
    ("nf_conntrack_expect_max", CtFile::ExpectMax),
];

/// The file of this name.
pub fn file(name: &str) -> Option<CtFile> {
    let setting = CT_SYSCTL_TABLE.iter().find(|entry| entry.1 == name).map(|entry| CtFile::Setting(entry.0));
    let other = || OTHERS.iter().find(|entry| entry.0 == name).map(|entry| entry.1);
    let fixed = || FIXED.iter().find(|entry| entry.0 == name).map(|entry| CtFile::Fixed(entry.1));
    setting.or_else(other).or_else(fixed)
}

/// All files with their modes.
pub fn files(netns: NetnsId) -> Vec<(String, Node)> {
    let settings = CT_SYSCTL_TABLE.iter().map(|entry| (entry.1, CtFile::Setting(entry.0)));
    let fixed = FIXED.iter().map(|entry| (entry.0, CtFile::Fixed(entry.1)));
    settings.chain(OTHERS).chain(fixed).map(|(name, file)| (name.to_owned(), file.node(netns))).collect()
}

impl CtFile {
    /// What it is in a namespace: what belongs to the machine is written in its first one only.
    pub fn node(self, netns: NetnsId) -> Node {
        match self {
            CtFile::Count => Node::RO,
            CtFile::Max | CtFile::Buckets | CtFile::ExpectMax if netns != INIT_NET => Node::RO,
            _ => Node::RW,
        }
    }

    /// Its value.
    pub fn value(self, view: &View) -> i64 {
        let table = &view.kernel.conntrack;
        let net = table.net(view.netns);
        match self {
            CtFile::Setting(which) => net.sysctl(which),
            CtFile::Count => i64::from(net.count),
            CtFile::Max => i64::from(table.max),
            CtFile::Buckets => i64::from(table.buckets),
            CtFile::ExpectMax => i64::from(table.expect_max),
            CtFile::Fixed(value) => value,
        }
    }

    /// Sets it.
    ///
    /// # Errors
    ///
    /// `EINVAL` out of its range, `EACCES` where it is only read, `EOPNOTSUPP` where the model does not follow it.
    pub fn set(self, kernel: &mut Kernel, netns: NetnsId, value: i64) -> Result<(), Errno> {
        if self.node(netns) == Node::RO {
            return Err(Errno::EACCES);
        }
        let table = &mut kernel.conntrack;
        match self {
            CtFile::Setting(CtSysctl::LogInvalid) if value != 0 => Err(Errno::EOPNOTSUPP),
            CtFile::Setting(which) if table.net_mut(netns).set_sysctl(which, value) => Ok(()),
            CtFile::Setting(_) => Err(Errno::EINVAL),
            CtFile::Fixed(fixed) if value == fixed => Ok(()),
            CtFile::Fixed(_) => Err(Errno::EOPNOTSUPP),
            CtFile::Count => Err(Errno::EACCES),
            CtFile::Max | CtFile::Buckets | CtFile::ExpectMax => {
                let value = u32::try_from(value).map_err(|_| Errno::EINVAL)?;
                match self {
                    CtFile::Max => table.max = value,
                    CtFile::ExpectMax => table.expect_max = value,
                    // It is rounded up to whole pages of list heads.
                    _ => table.buckets = value.max(1).next_multiple_of(512),
                }
                Ok(())
            }
        }
    }
}

/// `/proc/net/nf_conntrack`: all connections, in the order in which they were made.
pub fn nf_conntrack(view: &View) -> String {
    let table = &view.kernel.conntrack;
    let conns = table.confirmed().into_iter().filter_map(|id| table.get(id));
    let here = conns.filter(|conn| conn.netns == view.netns && !conn.is_expired(view.now));
    here.map(|conn| proc_line(conn, view.now, 2)).collect()
}

const STAT_HEAD: &str = "entries  clashres found new invalid ignore delete chainlength insert insert_failed drop \
                         early_drop icmp_error  expect_new expect_create expect_delete search_restart\n";

/// `/proc/net/stat/nf_conntrack`: a line a CPU; here all is counted with the first.
pub fn stat(view: &View) -> String {
    let net = view.kernel.conntrack.net(view.netns);
    let mut text = STAT_HEAD.to_owned();
    for cpu in 0..view.kernel.cpus.len() {
        let s = if cpu == 0 { net.stats } else { CtStats::default() };
        let _ = writeln!(
            text,
            "{:08x}  {:08x} {:08x} {:08x} {:08x} {:08x} {:08x} {:08x} {:08x} {:08x} {:08x} {:08x} {:08x}  {:08x} \
             {:08x} {:08x} {:08x}",
            net.count,
            s.clash_resolve,
            s.found,
            0,
            s.invalid,
            0,
            0,
            s.chaintoolong,
            s.insert,
            s.insert_failed,
            s.drop,
            s.early_drop,
            s.error,
            0,
            0,
            0,
            s.search_restart,
        );
    }
    text
}
