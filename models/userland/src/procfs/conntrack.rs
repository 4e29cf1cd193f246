//! Connection tracking: `/proc/net/nf_conntrack` and `/proc/net/stat/nf_conntrack`.
//!
//! Kernel: net/netfilter/nf_conntrack_standalone.c

use std::fmt::Write;

use glassnet_kernel::net::netfilter::nf_conntrack_core::nf_ct_queued;
use glassnet_kernel::tables::conntrack::CtStats;

use super::View;
use crate::conntrack::show::proc_line;

/// `/proc/net/nf_conntrack`: all connections in order of creation.
pub fn nf_conntrack(view: &View) -> String {
    let table = &view.kernel.conntrack;
    let conns = table.confirmed().into_iter().filter_map(|id| Some((id, table.get(id)?)));
    let here = conns.filter(|(_, conn)| conn.netns == view.netns && !conn.is_expired(view.now));
    let uses = |id| 2 + nf_ct_queued(view.kernel, view.skbs, id);
    here.map(|(id, conn)| proc_line(conn, view.now, uses(id))).collect()
}

const STAT_HEAD: &str = "entries  clashres found new invalid ignore delete chainlength insert insert_failed drop \
                         early_drop icmp_error  expect_new expect_create expect_delete search_restart\n";

/// `/proc/net/stat/nf_conntrack`: a line per CPU; all counts are in the first.
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
