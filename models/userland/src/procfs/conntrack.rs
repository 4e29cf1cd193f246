//! Connection tracking: `/proc/net/nf_conntrack`, `/proc/net/nf_conntrack_expect`, `/proc/net/stat/nf_conntrack`.
//!
//! Kernel: net/netfilter/nf_conntrack_standalone.c

use std::fmt::Write;

use glassnet_kernel::net::netfilter::nf_conntrack_netlink::ctnetlink_exp_dump_table;
use glassnet_kernel::tables::conntrack::CtStats;

use super::View;
use crate::conntrack::expect;
use crate::conntrack::show::proc_line;

/// `/proc/net/nf_conntrack`: all connections in order of creation.
pub fn nf_conntrack(view: &View) -> String {
    let table = &view.kernel.conntrack;
    let conns = table.confirmed().into_iter().filter_map(|id| table.get(id));
    let here = conns.filter(|conn| conn.netns == view.netns && !conn.is_expired(view.now));
    here.map(|conn| proc_line(conn, view.now, conn.uses() + 1)).collect()
}

/// `/proc/net/nf_conntrack_expect`: all expectations, oldest first.
pub fn nf_conntrack_expect(view: &View) -> String {
    let entries = ctnetlink_exp_dump_table(&view.kernel.conntrack, view.netns);
    entries.iter().map(|entry| expect::proc_line(&entry.expect, entry.helper, view.now)).collect()
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
            s.expect_new,
            s.expect_create,
            s.expect_delete,
            s.search_restart,
        );
    }
    text
}
