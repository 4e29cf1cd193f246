//! Expected connections: a helper announces them, their first packet finds them.
//!
//! Kernel: net/netfilter/nf_conntrack_expect.c

use glassnet_sim::Nanos;

use super::nf_conntrack_ecache::report_expect;
use crate::Cx;
use crate::ids::NetnsId;
use crate::tables::conntrack::expect::{Expect, ExpectNat};
use crate::tables::conntrack::{Conn, CtId, EventKind, Tuple, nfct_time_stamp};
use crate::tables::jiffies::wheel_expiry;

/// Why a connection cannot be expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unexpectable {
    /// Another connection expects one with this tuple (`EBUSY`, `EALREADY`).
    Clash,
    /// The table is full (`EMFILE`), or the master has no helper.
    Never,
}

/// Takes the expectation that a new connection fulfils (`nf_ct_find_expectation`).
pub fn nf_ct_find_expectation(cx: &mut Cx, netns: NetnsId, zone: [u16; 2], tuple: &Tuple) -> Option<Expect> {
    if cx.k.conntrack.expectations.is_empty() {
        return None;
    }
    let found = cx.k.conntrack.expectations.iter().find(|expect| expect.means(netns, zone, tuple))?;
    let (number, master) = (found.number, found.master);
    if !cx.k.conntrack.get(master).is_some_and(Conn::is_confirmed) {
        return None;
    }
    nf_ct_unlink_expect(cx, number)
}

/// Takes an expectation out and reports it (`nf_ct_unlink_expect_report`).
pub fn nf_ct_unlink_expect(cx: &mut Cx, number: u32) -> Option<Expect> {
    let expect = cx.k.conntrack.expectations.remove(number)?;
    cx.k.conntrack.net_mut(expect.netns).stats.expect_delete += 1;
    report_expect(cx, &expect, EventKind::Destroy);
    Some(expect)
}

/// A tuple that is expected of the other end of a connection, with NAT of it.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// The connection that announced it.
    pub master: CtId,
    /// The tuple of its first packet, with source port 0.
    pub tuple: Tuple,
    /// What NAT does with it.
    pub nat: Option<ExpectNat>,
}

/// Expects a connection (`nf_ct_expect_related`). The same expectation of the same connection begins anew; if a
/// connection expects too many, its oldest is given up.
///
/// # Errors
///
/// Why it cannot be expected.
pub fn nf_ct_expect_related(cx: &mut Cx, expected: Expected) -> Result<(), Unexpectable> {
    let Some(master) = cx.k.conntrack.get(expected.master) else { return Err(Unexpectable::Never) };
    let Some(helper) = master.help().map(|help| help.helper) else { return Err(Unexpectable::Never) };
    let (netns, zone) = (master.netns, master.zone);
    let all = &cx.k.conntrack.expectations;
    let clash = all.iter().find(|other| other.means(netns, zone, &expected.tuple));
    match clash.map(|other| (other.number, other.master)) {
        Some((number, master)) if master == expected.master => _ = nf_ct_unlink_expect(cx, number),
        Some(_) => return Err(Unexpectable::Clash),
        None => {}
    }
    let own: Vec<u32> = nf_ct_expectations_of(cx, expected.master);
    if own.len() >= helper.max_expected {
        own.first().and_then(|oldest| nf_ct_unlink_expect(cx, *oldest));
    }
    let count = cx.k.conntrack.expectations.iter().filter(|other| other.netns == netns).count();
    if count >= cx.k.conntrack.expect_max as usize {
        cx.printk_limited(4, |_| vec!["nf_conntrack: nf_conntrack: expectation table full".to_owned()]);
        return Err(Unexpectable::Never);
    }
    let timeout = nfct_time_stamp(cx.now) + Nanos::from_secs(helper.timeout);
    let Expected { master, tuple, nat } = expected;
    let expect = Expect { tuple, master, netns, zone, timeout, nat, number: 0 };
    let number = cx.k.conntrack.expectations.insert(expect.clone());
    cx.set_timer(wheel_expiry(cx.now, timeout), nf_ct_expectation_timed_out, number);
    cx.k.conntrack.net_mut(netns).stats.expect_create += 1;
    report_expect(cx, &expect, EventKind::New);
    Ok(())
}

/// A connection was expected long enough.
fn nf_ct_expectation_timed_out(cx: &mut Cx, number: u32) {
    nf_ct_unlink_expect(cx, number);
}

/// Serial numbers of a connection's expectations, oldest first.
fn nf_ct_expectations_of(cx: &Cx, master: CtId) -> Vec<u32> {
    let all = cx.k.conntrack.expectations.iter();
    all.filter(|expect| expect.master == master).map(|expect| expect.number).collect()
}

/// Gives up everything that a connection expects (`nf_ct_remove_expectations`).
pub fn nf_ct_remove_expectations(cx: &mut Cx, master: CtId) {
    for number in nf_ct_expectations_of(cx, master) {
        nf_ct_unlink_expect(cx, number);
    }
}
