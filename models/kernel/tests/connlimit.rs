//! `-m connlimit`: how often rules of several limits matched, as recorded from Linux 6.18 with the same packets at
//! `OUTPUT`.

use glassnet_kernel::extension::Kept;
use glassnet_kernel::net::netfilter::x_tables::xt_table;
use glassnet_kernel::net::netfilter::xt_connlimit::Connlimit;
use glassnet_kernel::tables::netfilter::Hook;
use glassnet_kernel::tables::xt::{Action, Counters, IpMatch, Match, Rule, TableName, Variant};
use glassnet_sim::Nanos;
use packets::{tcp, udp};
use router::{INSIDE, OUTSIDE, Router};

mod packets;
mod router;

const LIMITS: std::ops::Range<u32> = 0..4;

fn above(limit: u32) -> Connlimit {
    Connlimit { above: true, limit, mask: 32, dest: false, counted: Kept::default() }
}

fn rule(with: Option<Connlimit>, action: Action) -> (Hook, Rule) {
    let matches = with.into_iter().map(Match::new).collect();
    (Hook::Forward, Rule { ip: IpMatch::default(), matches, action, counters: Counters::default() })
}

/// A router with a rule for each limit, and perhaps one more.
fn router(of: impl Fn(u32) -> Connlimit, last: Option<Action>) -> Router {
    let mut router = Router::new();
    let mut rules: Vec<_> = LIMITS.map(|limit| rule(Some(of(limit)), Action::None)).collect();
    rules.extend(last.map(|action| rule(None, action)));
    router.rules(TableName::Filter, rules);
    router
}

/// How often the rule of each limit matched.
fn matched(router: &mut Router) -> Vec<u64> {
    let netns = router.netns;
    let table =
        router.enter(|cx| xt_table(cx.k, netns, Variant::Legacy, TableName::Filter)).expect("a table");
    let rules = &table.chain("FORWARD").expect("a chain").rules[..LIMITS.len()];
    rules.iter().map(|rule| rule.counters.packets).collect()
}

/// More than a jiffy goes by.
fn wait(router: &mut Router) {
    let until = router.enter(|cx| cx.now) + Nanos::from_millis(20);
    router.world.wake_at(until);
    while router.enter(|cx| cx.now) < until {
        assert!(router.world.step().expect("no loop"), "time goes on");
    }
}

#[test]
fn each_connection_counts_once() {
    let mut router = router(above, None);
    for _ in 0..6 {
        router.send(INSIDE, &udp("10.1.0.1", 4000, "10.2.0.1", 1000, b"a"));
    }
    assert_eq!(matched(&mut router), [6, 0, 0, 0]);
    for port in [1001, 1002, 1003] {
        for _ in 0..2 {
            router.send(INSIDE, &udp("10.1.0.1", 4000, "10.2.0.1", port, b"a"));
        }
        wait(&mut router);
    }
    assert_eq!(matched(&mut router), [12, 6, 4, 2]);
    router.send(INSIDE, &udp("10.1.0.2", 4000, "10.2.0.1", 1000, b"a"));
    assert_eq!(matched(&mut router), [13, 6, 4, 2], "another address");
}

#[test]
fn what_was_dropped_counts_until_the_next_jiffy() {
    let mut router = router(above, Some(Action::Drop));
    let packet = udp("10.1.0.1", 4000, "10.2.0.1", 1000, b"a");
    for _ in 0..6 {
        router.send(INSIDE, &packet);
    }
    assert_eq!(matched(&mut router), [6, 5, 4, 3]);
    for _ in 0..6 {
        wait(&mut router);
        router.send(INSIDE, &packet);
    }
    assert_eq!(matched(&mut router), [12, 5, 4, 3]);
}

#[test]
fn addresses_count_together_as_the_mask_says() {
    let by_source = |limit| Connlimit { mask: 24, ..above(limit) };
    let by_dest = |limit| Connlimit { dest: true, ..above(limit) };
    let upto = |limit| Connlimit { above: false, ..above(limit) };
    for (of, expected) in [
        (&by_source as &dyn Fn(u32) -> Connlimit, [4, 3, 2, 1]),
        (&by_dest, [4, 2, 0, 0]),
        (&above, [4, 1, 0, 0]),
        (&upto, [0, 3, 4, 4]),
    ] {
        let mut router = router(of, None);
        for (from, to) in [
            ("10.1.0.1", "10.2.0.1"),
            ("10.1.0.2", "10.2.0.1"),
            ("10.1.0.3", "10.2.0.2"),
            ("10.1.0.1", "10.2.0.2"),
        ] {
            router.send(INSIDE, &udp(from, 4000, to, 1000, b"a"));
        }
        assert_eq!(matched(&mut router), expected);
    }
}

#[test]
fn a_closed_connection_counts_no_more() {
    const SYN: u8 = 0x02;
    const RST_ACK: u8 = 0x14;
    let mut router = router(above, None);
    router.send(INSIDE, &tcp("10.1.0.1", 4000, "10.2.0.1", 80, SYN, 8));
    router.send(INSIDE, &tcp("10.1.0.1", 4001, "10.2.0.1", 80, SYN, 8));
    assert_eq!(matched(&mut router), [2, 1, 0, 0]);
    router.send(OUTSIDE, &tcp("10.2.0.1", 80, "10.1.0.1", 4000, RST_ACK, 0));
    // It acknowledges the SYN. Its source is another address, of one connection.
    assert_eq!(matched(&mut router), [3, 1, 0, 0]);
    wait(&mut router);
    router.send(INSIDE, &tcp("10.1.0.1", 4002, "10.2.0.1", 80, SYN, 8));
    assert_eq!(matched(&mut router), [4, 2, 0, 0]);
}
