//! What rules remember of packets before: lists of addresses, quotas, and what a connection passed.

mod packets;
mod router;

use std::net::Ipv4Addr;

use glassnet_kernel::extension::Kept;
use glassnet_kernel::ids::MachineId;
use glassnet_kernel::net::netfilter::nf_nat_core::NatRange;
use glassnet_kernel::net::netfilter::x_tables::{xt_replace_table, xt_table};
use glassnet_kernel::net::netfilter::xt_conntrack::{CT_INVALID, State};
use glassnet_kernel::net::netfilter::xt_length::Length;
use glassnet_kernel::net::netfilter::xt_mark::{MarkMt, MarkTg};
use glassnet_kernel::net::netfilter::xt_nat::Redirect;
use glassnet_kernel::net::netfilter::xt_quota::Quota;
use glassnet_kernel::net::netfilter::xt_recent::{Recent, RecentMode};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::netfilter::Hook;
use glassnet_kernel::tables::xt::{
    Action, Counters, IpMatch, Match, Rule, Table, TableName, Target, Variant,
};
use glassnet_sim::Nanos;
use packets::udp;
use router::{INSIDE, OUTSIDE, Router};

const MACHINE: MachineId = MachineId(0);

fn rule(matches: Vec<Match>, action: Action) -> Rule {
    Rule { ip: IpMatch::default(), matches, action, counters: Counters::default() }
}

/// Lets time pass.
fn wait(router: &mut Router, millis: u64) {
    let until = router.world.now() + Nanos::from_millis(millis);
    router.world.wake_at(until);
    while router.world.next_event_at().is_some_and(|at| at <= until) {
        router.world.step().expect("an end");
    }
}

/// How many packets come out for a query of `len` bytes from this source.
fn passes(router: &mut Router, source: &str, len: usize) -> usize {
    router.send(INSIDE, &udp(source, 4000, "10.2.0.1", 53, &vec![b'x'; len])).len()
}

/// `recent_mt`: whoever sent within the last 60 s may not send again; what is dropped does not count.
#[test]
fn a_list_of_addresses_knows_when_they_were_seen() {
    let recent = |mode, seconds| {
        Match::new(Recent {
            invert: false,
            mode,
            seconds,
            reap: false,
            hitcount: 0,
            rttl: false,
            name: "seen".to_owned(),
            mask: Ipv4Addr::BROADCAST,
            dest: false,
        })
    };
    let mut router = Router::new();
    let rules = [
        rule(vec![recent(RecentMode::Rcheck, 60)], Action::Drop),
        rule(vec![recent(RecentMode::Set, 0)], Action::None),
    ];
    router.rules(TableName::Filter, rules.map(|rule| (Hook::Forward, rule)).to_vec());
    for (wait_for, first, second) in [(0, 1, 1), (2_000, 0, 0), (28_000, 0, 0), (29_000, 0, 0), (2_000, 1, 1)]
    {
        wait(&mut router, wait_for);
        assert_eq!(passes(&mut router, "10.1.0.1", 1), first, "{wait_for} ms later");
        assert_eq!(passes(&mut router, "10.1.0.2", 1), second, "{wait_for} ms later");
    }
}

/// `quota_mt_check`: whoever puts a table in force gives each of its quotas anew, used or not.
#[test]
fn a_quota_begins_anew_with_each_table() {
    let quota = Match::new(Quota { invert: false, quota: 100, left: Kept(0) });
    let mut router = Router::new();
    let rules = [rule(vec![quota], Action::Accept), rule(vec![], Action::Drop)];
    router.rules(TableName::Filter, rules.map(|rule| (Hook::Forward, rule)).to_vec());
    let netns = router.netns;
    for _ in 0..2 {
        // Packets of 40 bytes; the third does not fit, and takes what a smaller one would have needed.
        let passed = [12, 12, 12, 0].map(|len| passes(&mut router, "10.1.0.1", len));
        assert_eq!(passed, [1, 1, 0, 0]);
        let table = xt_table(router.world.kernel(MACHINE), netns, Variant::Legacy, TableName::Filter);
        router.enter(|cx| {
            xt_replace_table(cx, netns, Variant::Legacy, table.expect("a table")).expect("as before")
        });
    }
}

/// A packet is judged by its own mark, whatever became of the packets of its connection before.
#[test]
fn a_mark_that_others_of_the_connection_do_not_have() {
    let mut router = Router::new();
    let long = Match::new(Length { invert: false, range: (100, 65_535) });
    let mark = Action::Target(Target::new(MarkTg { mark: 1, mask: u32::MAX }));
    router.rules(TableName::Mangle, vec![(Hook::PreRouting, rule(vec![long], mark))]);
    // A state is asked for, so that connections are tracked.
    let invalid = rule(vec![Match::new(State { invert: false, state: CT_INVALID })], Action::Drop);
    let marked = rule(vec![Match::new(MarkMt { invert: false, mark: 1, mask: u32::MAX })], Action::Drop);
    router.rules(TableName::Filter, vec![(Hook::Forward, invalid), (Hook::Forward, marked)]);
    let answer = udp("10.2.0.1", 53, "10.1.0.1", 4000, b"x");
    for _ in 0..3 {
        assert_eq!(passes(&mut router, "10.1.0.1", 10), 1);
        assert_eq!(router.send(OUTSIDE, &answer).len(), 1);
    }
    for (len, passed) in [(100, 0), (10, 1), (71, 1), (72, 0), (10, 1)] {
        assert_eq!(passes(&mut router, "10.1.0.1", len), passed, "{len} bytes");
    }
}

/// `textify_hooks`: the log says from which hooks a rule may be reached, and from which it is.
#[test]
fn the_log_says_where_a_target_may_stand() {
    let redirect = || Action::Target(Target::new(Redirect(NatRange::default())));
    for (hook, used) in [(Hook::LocalIn, "INPUT"), (Hook::PostRouting, "POSTROUTING")] {
        let mut router = Router::new();
        let mut table = Table::initial(TableName::Nat);
        table.chain_mut(hook.chain()).expect("a chain of the table").rules.push(rule(vec![], redirect()));
        let netns = router.netns;
        let put = router.enter(|cx| xt_replace_table(cx, netns, Variant::Legacy, table));
        assert_eq!(put, Err(Errno::EINVAL));
        let log = &router.world.kernel(MACHINE).log;
        let last = log.lines().last().map(|line| line.text.clone());
        let expected = format!(
            "x_tables: ip_tables: REDIRECT target: used from hooks {used}, but only usable from PREROUTING/OUTPUT"
        );
        assert_eq!(last, Some(expected));
    }
}
