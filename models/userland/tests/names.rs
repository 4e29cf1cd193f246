//! `named` and those who ask it, on one machine. Answers are those that BIND 9.18, glibc 2.36 and curl gave for the same files.

use std::sync::{Arc, Mutex};

use glassnet_kernel::ids::{MachineId, NetnsId};
use glassnet_kernel::world::World;
use glassnet_sim::Nanos;
use glassnet_userland::harness::{self, Launch, MemoryFiles};
use glassnet_userland::process::{Files, SharedWorld};

const PLACE: (MachineId, NetnsId) = (MachineId(0), NetnsId(0));

const CONF: &str = "options { directory \"/n\"; pid-file none; session-keyfile none; lock-file none; listen-on-v6 { none; };\n\
    recursion yes; forwarders { 127.0.0.9; }; forward only; dnssec-validation no; empty-zones-enable no; };\ncontrols { };\n\
    zone \"cluster.local\" { type primary; file \"c\"; };\nzone \"10.in-addr.arpa\" { type primary; file \"r\"; };\n";

const ZONE: &str = "$ORIGIN cluster.local.\n$TTL 5\n@ IN SOA ns.dns hostmaster 1 7200 1800 86400 5\n@ IN NS ns.dns\n\
    ns.dns IN A 10.96.0.10\ndns-version IN TXT \"1.1.0\"\nweb.default.svc IN A 10.96.1.2\n\
    a.head.default.svc IN A 10.244.0.2\n_http._tcp.head.default.svc IN SRV 0 50 80 a.head.default.svc\n\
    in.default.svc IN CNAME web.default.svc\n";

const REVERSE: &str = "$ORIGIN 10.in-addr.arpa.\n$TTL 5\n@ IN SOA ns.dns.cluster.local. h.cluster.local. 1 7200 1800 86400 5\n\
    @ IN NS ns.dns.cluster.local.\n2.1.96 IN PTR web.default.svc.cluster.local.\n";

const RESOLV: &str = "search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 127.0.0.1\noptions ndots:5\n";

fn world() -> SharedWorld {
    let mut world = World::new(1);
    world.add_machine("node1", 1);
    let world = Arc::new(Mutex::new(world));
    harness::run(&world, PLACE, &["ip", "link", "set", "lo", "up"], "").expect("ends");
    world
}

/// What a command prints beside a server that runs for ten seconds.
fn ask(line: &str) -> (i32, String) {
    let files = MemoryFiles::default();
    {
        let mut all = files.0.lock().unwrap();
        let texts =
            [("/n/named.conf", CONF), ("/n/c", ZONE), ("/n/r", REVERSE), ("/etc/resolv.conf", RESOLV)];
        all.extend(texts.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec())));
    }
    let files: Arc<dyn Files> = Arc::new(files);
    let launch = |line: &str, delay: u64| Launch {
        env: Default::default(),
        place: PLACE,
        argv: line.split(' ').map(str::to_owned).collect(),
        stdin: String::new(),
        delay: Nanos::from_millis(delay),
    };
    let launches = vec![launch("timeout 30 named -g -c /n/named.conf", 0), launch(line, 100)];
    let mut outcomes = harness::run_launches(&world(), launches, files).expect("ends");
    let outcome = outcomes.pop().expect("two");
    (outcome.status, outcome.stdout + &outcome.stderr)
}

/// The parts of an answer that chance decides.
fn plain(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let line = match (line.split_once(", id: "), line.starts_with("; COOKIE: ")) {
            (Some((before, _)), _) => format!("{before}, id: 0"),
            (_, true) => "; COOKIE: 0 (good)".to_owned(),
            _ => line.to_owned(),
        };
        lines.push(line);
    }
    lines.join("\n")
}

#[test]
fn dig_prints_an_answer() {
    let (status, text) = ask("dig +tries=1 web.default.svc.cluster.local");
    let head = plain(&text);
    assert_eq!(status, 0, "{text}");
    assert!(
        head.starts_with(
            "
; <<>> DiG 9.18.49-1~deb12u3-Debian <<>> +tries=1 web.default.svc.cluster.local
;; global options: +cmd
;; Got answer:
;; WARNING: .local is reserved for Multicast DNS
;; You are currently testing what happens when an mDNS query is leaked to DNS
;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 0
;; flags: qr aa rd ra; QUERY: 1, ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 1

;; OPT PSEUDOSECTION:
; EDNS: version: 0, flags:; udp: 1232
; COOKIE: 0 (good)
;; QUESTION SECTION:
;web.default.svc.cluster.local.	IN	A

;; ANSWER SECTION:
web.default.svc.cluster.local. 5 IN	A	10.96.1.2

;; Query time: 0 msec
;; SERVER: 127.0.0.1#53(127.0.0.1) (UDP)
;; WHEN: "
        ),
        "{head}"
    );
    assert!(text.ends_with(";; MSG SIZE  rcvd: 102\n\n"), "{text}");
}

#[test]
fn answers_are_as_long_as_those_of_bind() {
    for (line, length) in [
        ("dig in.default.svc.cluster.local", 119),
        ("dig -x 10.96.1.2", 122),
        ("dig +noedns +noad web.default.svc.cluster.local", 63),
        ("dig +nocookie web.default.svc.cluster.local", 74),
        ("dig +tcp web.default.svc.cluster.local", 102),
        ("dig dns-version.cluster.local TXT", 100),
        ("dig example.org", 68),
    ] {
        let (_, text) = ask(line);
        assert!(text.ends_with(&format!(";; MSG SIZE  rcvd: {length}\n\n")), "{line}\n{text}");
    }
}

#[test]
fn short_questions() {
    for (line, status, said) in [
        ("dig +short -x 10.96.1.2", 0, "web.default.svc.cluster.local.\n"),
        ("dig +short +search web", 0, "10.96.1.2\n"),
        (
            "dig +short _http._tcp.head.default.svc.cluster.local srv",
            0,
            "0 50 80 a.head.default.svc.cluster.local.\n",
        ),
        ("dig a..b", 10, "dig: 'a..b' is not a legal name (empty label)\n"),
        ("host web", 0, "web.default.svc.cluster.local has address 10.96.1.2\n"),
        (
            "host in",
            0,
            "in.default.svc.cluster.local is an alias for web.default.svc.cluster.local.\n\
             web.default.svc.cluster.local has address 10.96.1.2\n",
        ),
        ("host 10.9.9.9", 1, "Host 9.9.9.10.in-addr.arpa. not found: 3(NXDOMAIN)\n"),
        ("host nosuch", 1, "Host nosuch not found: 2(SERVFAIL)\n"),
        ("host -t aaaa web", 0, "web.default.svc.cluster.local has no AAAA record\n"),
        (
            "nslookup in",
            0,
            "Server:\t\t127.0.0.1\nAddress:\t127.0.0.1#53\n\n\
             in.default.svc.cluster.local\tcanonical name = web.default.svc.cluster.local.\n\
             Name:\tweb.default.svc.cluster.local\nAddress: 10.96.1.2\n\n",
        ),
        (
            "nslookup nosuch",
            1,
            ";; Got SERVFAIL reply from 127.0.0.1\nServer:\t\t127.0.0.1\nAddress:\t127.0.0.1#53\n\n\
             ** server can't find nosuch: SERVFAIL\n\n",
        ),
        ("nslookup 10.96.1.2", 0, "2.1.96.10.in-addr.arpa\tname = web.default.svc.cluster.local.\n\n"),
        ("getent hosts web", 0, "10.96.1.2       web.default.svc.cluster.local\n"),
        (
            "getent hosts in",
            0,
            "10.96.1.2       web.default.svc.cluster.local in.default.svc.cluster.local\n",
        ),
        ("getent hosts 10.96.1.2", 0, "10.96.1.2       web.default.svc.cluster.local\n"),
        (
            "getent ahosts web",
            0,
            "10.96.1.2       STREAM web.default.svc.cluster.local\n10.96.1.2       DGRAM  \n10.96.1.2       RAW    \n",
        ),
        ("getent hosts nosuch", 2, ""),
        ("ping -c 1 nosuch", 2, "ping: nosuch: Temporary failure in name resolution\n"),
        ("curl -sS http://nosuch/", 6, "curl: (6) Could not resolve host: nosuch\n"),
    ] {
        assert_eq!(ask(line), (status, said.to_owned()), "{line}");
    }
}

#[test]
fn nobody_answers() {
    let outcome = harness::run(&world(), PLACE, &["dig", "+tries=2", "@127.0.0.5", "web"], "").expect("ends");
    assert_eq!(outcome.status, 9);
    assert_eq!(
        outcome.stdout,
        ";; communications error to 127.0.0.5#53: connection refused\n\
         ;; communications error to 127.0.0.5#53: connection refused\n\n\
         ; <<>> DiG 9.18.49-1~deb12u3-Debian <<>> +tries=2 @127.0.0.5 web\n; (1 server found)\n\
         ;; global options: +cmd\n;; no servers could be reached\n"
    );
}
