//! `conntrack`, /proc/net/nf_conntrack and the settings, as the real ones print (conntrack-tools 1.4.7).

use std::sync::{Arc, Mutex};

use glassnet_kernel::ids::{CpuId, MachineId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::net::netfilter::nf_conntrack_proto::nf_ct_netns_get;
use glassnet_kernel::world::World;
use glassnet_userland::harness::{Outcome, run, run_together};
use glassnet_userland::process::SharedWorld;
use glassnet_userland::procfs::{self, Caller};

/// A machine that tracks connections, of which it has one that `ping` made.
struct Bench {
    world: SharedWorld,
    machine: MachineId,
}

impl Bench {
    fn new() -> Bench {
        let mut world = World::new(7);
        let machine = world.add_machine("node1", 1);
        world.enter(machine, CpuId(0), |cx| nf_ct_netns_get(cx.k, INIT_NET));
        Bench { world: Arc::new(Mutex::new(world)), machine }
    }

    fn run(&self, line: &str) -> Outcome {
        let argv: Vec<&str> = line.split_whitespace().collect();
        run(&self.world, (self.machine, INIT_NET), &argv, "").expect("the program ends")
    }

    /// What it prints, what it complains, and its status.
    fn says(&self, line: &str) -> (String, String, i32) {
        let outcome = self.run(line);
        (outcome.stdout.clone(), outcome.stderr.clone(), outcome.status)
    }

    fn caller(&self) -> Caller {
        Caller { machine: self.machine, cpu: CpuId(0), netns: INIT_NET }
    }

    fn read(&self, path: &str) -> String {
        procfs::read(&self.world.lock().unwrap(), self.caller(), path).unwrap()
    }

    fn write(&self, path: &str, text: &str) {
        procfs::write(&mut self.world.lock().unwrap(), self.caller(), path, text).unwrap();
    }
}

fn summary(count: usize, done: &str) -> String {
    format!("conntrack v1.4.7 (conntrack-tools): {count} flow entries have been {done}.\n")
}

/// The texts of this test were printed by the real tool, but for the id and the time left.
#[test]
fn made_entries_are_listed_changed_and_deleted() {
    let bench = Bench::new();
    let make =
        "conntrack -I -p tcp -s 1.1.1.1 -d 2.2.2.2 --sport 10 --dport 20 --state SYN_SENT --timeout 100";
    assert_eq!(bench.says(make), (String::new(), summary(1, "created"), 0));
    let make = "conntrack -I -p udp -s 1.1.1.1 -d 2.2.2.2 --sport 10 --dport 20 --timeout 100";
    assert_eq!(bench.says(make), (String::new(), summary(1, "created"), 0));
    let exists =
        "conntrack v1.4.7 (conntrack-tools): Operation failed: Such conntrack exists, try -U to update\n";
    assert_eq!(bench.says(make), (String::new(), exists.to_owned(), 1));

    let tcp = "tcp      6 100 SYN_SENT src=1.1.1.1 dst=2.2.2.2 sport=10 dport=20 [UNREPLIED] src=2.2.2.2 dst=1.1.1.1 \
               sport=20 dport=10 mark=0 use=1\n";
    let udp = "udp      17 100 src=1.1.1.1 dst=2.2.2.2 sport=10 dport=20 [UNREPLIED] src=2.2.2.2 dst=1.1.1.1 sport=20 \
               dport=10 mark=0 use=1\n";
    assert_eq!(bench.says("conntrack -L"), (format!("{tcp}{udp}"), summary(2, "shown"), 0));
    assert_eq!(bench.says("conntrack -L -p 17"), (udp.to_owned(), summary(1, "shown"), 0));
    assert_eq!(bench.says("conntrack -L -p tcp --sport 20"), (String::new(), summary(0, "shown"), 0));
    assert_eq!(bench.says("conntrack -L -s 1.0.0.0/8 -o extended -p udp").0, format!("ipv4     2 {udp}"));
    assert_eq!(
        bench.says("conntrack -L -o save -p tcp").0,
        "-A -t 100 -u UNSET -s 1.1.1.1 -d 2.2.2.2 -r 2.2.2.2 -q 1.1.1.1 -p tcp --sport 10 --dport 20 --reply-port-src 20 \
         --reply-port-dst 10 --state SYN_SENT\n"
    );
    let used = udp.replace("use=1", "use=2");
    let get = "conntrack -G -p udp -s 1.1.1.1 -d 2.2.2.2 --sport 10 --dport 20";
    assert_eq!(bench.says(get), (used.clone(), summary(1, "shown"), 0));
    let marked = used.replace("mark=0", "mark=7");
    assert_eq!(bench.says("conntrack -U -p udp -s 1.1.1.1 --mark 7"), (marked, summary(1, "updated"), 0));
    assert_eq!(bench.says("conntrack -U -p udp -s 1.1.1.1 --mark 7").2, 1);
    let refused = "Operation failed: Operation not supported\nconntrack v1.4.7 (conntrack-tools): Operation failed: \
                   Operation not supported\n";
    assert_eq!(bench.says("conntrack -U -p udp --timeout 300"), (String::new(), refused.to_owned(), 1));
    assert_eq!(bench.says("conntrack -C").0, "2\n");
    assert_eq!(bench.read("/proc/sys/net/netfilter/nf_conntrack_count"), "2\n");
    let proc_lines = format!("ipv4     2 {tcp}ipv4     2 {}", udp.replace("mark=0", "mark=7"));
    let proc_lines = proc_lines.replace("use=1", "zone=0 use=2");
    assert_eq!(bench.read("/proc/net/nf_conntrack"), proc_lines);
    assert_eq!(bench.says("conntrack -D -p tcp"), (tcp.to_owned(), summary(1, "deleted"), 0));
    assert_eq!(bench.says("conntrack -D -p tcp"), (String::new(), summary(0, "deleted"), 1));
    let emptied = "conntrack v1.4.7 (conntrack-tools): connection tracking table has been emptied.\n";
    assert_eq!(bench.says("conntrack -F"), (String::new(), emptied.to_owned(), 0));
    assert_eq!(bench.says("conntrack -C").0, "0\n");
    assert_eq!(
        bench.says("conntrack -S").0,
        "cpu=0   \tfound=0 invalid=0 insert=2 insert_failed=0 drop=0 early_drop=0 error=0 search_restart=0 \
         clash_resolve=0 chaintoolong=0 \n"
    );
}

#[test]
fn wrong_words_are_refused_with_the_real_texts() {
    let bench = Bench::new();
    let cases = [
        ("-L -o foo", "Bad parameter `foo'"),
        ("-L -p foo", "`foo' unsupported protocol"),
        ("-L -p tcp --state FOO", "unknown TCP state `FOO'"),
        ("-L -u FOO", "Bad parameter `FOO'"),
        ("-L -f foo", "`foo' unsupported protocol"),
        ("-L --dport 80", "unknown option `--dport'"),
        ("-L foo", "unknown type `foo'"),
        ("-G -p tcp", "you have to specify `--src' and `--dst'"),
        (
            "-I -p udp -s 1.1.1.1 -d 2.2.2.2 --sport 10",
            "You need to supply the `--timeout' option for this command",
        ),
        (
            "-I -p tcp -s 1.1.1.1 -d 2.2.2.2 --sport 11 --dport 20 --timeout 100",
            "You need to supply the `--state' option for this command",
        ),
        ("-L -D", "Invalid commands combination"),
        ("-X", "unknown option `-X'"),
        ("-L --foo", "unknown option `--foo'"),
        ("-L -s", "option `-s' requires an argument"),
        ("-L -s foo", "Invalid IP address `foo'"),
        ("-E -e FOO", "Bad parameter `FOO'"),
        ("-C -p udp", "Illegal option `--protonum' with this command"),
        ("-S -p udp", "Illegal option `--protonum' with this command"),
        ("-F -p udp", "Illegal option `--protonum' with this command"),
        ("-L -z -p icmp", "Can't use -z with filtering parameters"),
    ];
    for (args, text) in cases {
        let expected = format!(
            "conntrack v1.4.7 (conntrack-tools): {text}\nTry `conntrack -h' or 'conntrack --help' for more information.\n"
        );
        assert_eq!(bench.says(&format!("conntrack {args}")), (String::new(), expected, 2), "{args}");
    }
    assert_eq!(bench.says("conntrack -V").0, "conntrack v1.4.7 (conntrack-tools)\n");
    assert!(
        bench.says("conntrack").0.starts_with("Command line interface for the connection tracking system.")
    );
}

#[test]
fn events_are_shown_as_they_happen() {
    let bench = Bench::new();
    bench.write("/proc/sys/net/netfilter/nf_conntrack_acct", "1");
    let place = (bench.machine, INIT_NET);
    let watch: &[&str] = &["timeout", "-s", "INT", "3", "conntrack", "-E"];
    let ping: &[&str] = &["ping", "-q", "-c", "1", "127.0.0.1"];
    let programs = [(place, watch), (place, ping)];
    let outcomes = run_together(&bench.world, &programs, "").expect("the programs end");
    let events: Vec<String> = outcomes[0].stdout.lines().map(without_id).collect();
    let reply = "src=127.0.0.1 dst=127.0.0.1 type=0 code=0 id=N";
    assert_eq!(
        events,
        [
            format!(
                "    [NEW] icmp     1 30 src=127.0.0.1 dst=127.0.0.1 type=8 code=0 id=N [UNREPLIED] {reply}"
            ),
            format!(" [UPDATE] icmp     1 30 src=127.0.0.1 dst=127.0.0.1 type=8 code=0 id=N {reply}"),
        ]
    );
    assert_eq!(outcomes[0].stderr, "conntrack v1.4.7 (conntrack-tools): 2 flow events have been shown.\n");
}

fn without_id(line: &str) -> String {
    let words = line.split(' ').map(|word| if word.starts_with("id=") { "id=N" } else { word });
    words.collect::<Vec<_>>().join(" ")
}
