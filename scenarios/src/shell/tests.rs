use super::*;

fn session() -> Session {
    let mut world = World::new(1);
    world.add_machine("node1", 1);
    world.add_machine("node2", 1);
    Session::new(world).expect("a runtime")
}

/// Runs prompts on `node1` and compares output and status of each.
fn check(prompts: &[(&str, &str, i32)]) {
    let mut session = session();
    for (command, output, status) in prompts {
        let outcome = session.run("node1", command).unwrap_or_else(|error| panic!("{command}: {error}"));
        assert_eq!((outcome.output.as_str(), outcome.status), (*output, *status), "{command}");
    }
}

#[test]
fn variables_and_status_live_from_prompt_to_prompt() {
    check(&[
        ("x=1; f() { echo f$1; }", "", 0),
        ("echo $x; f 2", "1\nf2\n", 0),
        ("false", "", 1),
        ("echo $?", "1\n", 0),
        ("cd /tmp", "", 0),
        ("pwd; hostname; whoami", "/tmp\nnode1\nroot\n", 0),
        ("echo a > f; cat f | tr a b; echo err >&2", "b\nerr\n", 0),
        ("cat <<E\nhi $x\nE", "hi 1\n", 0),
        ("exit 3", "", 3),
        ("echo \"$x\"", "\n", 0),
    ]);
}

#[test]
fn what_linux_does_not_have_is_not_found() {
    check(&[
        ("nosuch -x", "bash: nosuch: command not found\n", 127),
        ("xtables-monitor --trace", "not modelled yet: xtables-monitor\n", 2),
        (
            "assert; http; verify",
            &["assert", "http", "verify"].map(|n| format!("bash: {n}: command not found\n")).concat(),
            127,
        ),
        ("nosuch | cat; nosuch 2>/dev/null; echo $?", "bash: nosuch: command not found\n127\n", 0),
        ("sleep x", "sleep: invalid time interval 'x'\nTry 'sleep --help' for more information.\n", 1),
    ]);
}

#[test]
fn files_of_a_namespace_are_bound_over_those_of_etc() {
    check(&[
        (
            "ip netns add a; ip netns add b; mkdir -p /etc/netns/a; echo 1.2.3.4 x > /etc/netns/a/hosts; echo own > /etc/hosts",
            "",
            0,
        ),
        (
            "ip netns exec a cat /etc/hosts; ip netns exec b cat /etc/hosts; cat /etc/hosts",
            "1.2.3.4 x\nown\nown\n",
            0,
        ),
        ("ip -all netns exec cat /etc/hosts", "\nnetns: b\nown\n\nnetns: a\n1.2.3.4 x\n", 0),
        (
            "echo > /etc/netns/a/nosuch; ip netns exec a true",
            "Bind /etc/netns/a/nosuch -> /etc/nosuch failed: No such file or directory\n",
            0,
        ),
    ]);
}

#[test]
fn jobs_take_virtual_time_together() {
    check(&[
        ("sleep 100 & sleep 50 & wait; echo done", "done\n", 0),
        ("sleep 1000 &", "", 0),
        ("jobs", "[1]+  Running                 sleep 1000 &\n", 0),
        ("kill %1; wait $!; echo $?", "143\n", 0),
        ("sleep 1000 & kill -INT $!; wait $!; echo $?", "130\n", 0),
        (
            "tcpdump -ni lo 2>c >&2 & sleep 1; kill $!; wait $!; echo $?; tail -n 3 c",
            "0\n0 packets captured\n0 packets received by filter\n0 packets dropped by kernel\n",
            0,
        ),
        (
            "sleep 999 & tcpdump -ni lo 2>c >&2 & sleep 1; kill -INT %2; wait %2; kill %1; tail -n 1 c",
            "0 packets dropped by kernel\n",
            0,
        ),
        ("while :; do sleep 1; done &", "", 0),
        ("kill $!; wait $!; echo $?", "143\n", 0),
        ("kill %9", "bash: kill: %9: no such job\n", 1),
        (
            "sleep 10 & kill -STOP $! 2>&1 | cut -d'(' -f1; pkill -19 sleep 2>&1 | cut -d'(' -f1; kill $!",
            "kill: not modelled yet: programs that are stopped \npkill: not modelled yet: programs that are stopped \n",
            0,
        ),
        ("for i in 1 2; do echo $i; sleep 1; done", "1\n2\n", 0),
        ("sleep 10 & pkill sleep; wait; echo over", "over\n", 0),
    ]);
}

#[test]
fn endless_scripts_end() {
    let mut session = session();
    for (command, part) in [
        ("while true; do :; done", "loop"),
        ("while :; do sleep 1000; done", "virtual time"),
        ("f() { f; }; f", ""),
    ] {
        match session.run("node1", command) {
            Err(error) => assert!(error.to_string().contains(part), "{command}: {error}"),
            Ok(outcome) => assert!(part.is_empty() && outcome.status != 0, "{command}: {outcome:?}"),
        }
        let after = session.run("node1", "echo on").expect("a new shell");
        assert_eq!(after.output, "on\n");
    }
}

#[test]
fn machines_are_apart_and_errors_are_values() {
    let mut session = session();
    session.run("node1", "echo 1 > /tmp/x; y=1").unwrap();
    let other = session.run("node2", "hostname; cat /tmp/x; echo [$y]").unwrap();
    assert_eq!(other.output, "node2\ncat: /tmp/x: No such file or directory\n[]\n");
    assert!(matches!(session.run("node9", "true"), Err(ShellError::UnknownMachine(_))));
}

#[test]
fn the_same_prompts_give_the_same_bytes() {
    let run = || {
        let mut session = session();
        ["ls -la /", "sleep 1 & sleep 2; echo $RANDOM $$ $!", "cat /proc/net/dev", "date", "env | sort"]
            .map(|command| session.run("node1", command).unwrap())
    };
    assert_eq!(run(), run());
}

#[test]
fn small_programs() {
    check(&[
        ("timeout 2 sleep 5; echo $?", "124\n", 0),
        ("timeout 5 sleep 2; echo $?", "0\n", 0),
        ("timeout -s KILL 2 sleep 5; echo $?", "137\n", 0),
        ("timeout 2 bash -c 'sleep 1; echo a; sleep 5; echo b'; echo $?", "a\n124\n", 0),
        ("timeout 2 nosuch", "timeout: failed to run command 'nosuch': No such file or directory\n", 127),
        ("date +%S; sleep 2; id -u; command -v ip", "28\n0\n/usr/sbin/ip\n", 0),
        ("which iptables; command -v tcpdump ss", "/usr/sbin/iptables\n/usr/bin/tcpdump\n/usr/bin/ss\n", 0),
        ("/usr/bin/sleep 1; /sbin/nosuch", "bash: /sbin/nosuch: No such file or directory\n", 127),
        ("echo a | tee f /nodir/f | cat; cat f", "tee: /nodir/f: No such file or directory\na\na\n", 0),
        ("echo x > /proc/sys/net/ipv4/ip_forward", "bash: echo: write error: Invalid argument\n", 1),
        (
            "echo 9x | tee /proc/sys/net/ipv4/ip_forward",
            "9x\ntee: /proc/sys/net/ipv4/ip_forward: Invalid argument\n",
            1,
        ),
        (
            "echo 1 > /proc/nosuch; echo 1 >> /proc/sys/net",
            "bash: /proc/nosuch: No such file or directory\nbash: /proc/sys/net: Is a directory\n",
            1,
        ),
        ("if then", "bash: syntax error near unexpected token `then'\nbash: `if then'\n", 2),
        (
            "ip netns add x; ip netns exec x nosuch",
            "exec of \"nosuch\" failed: No such file or directory\n",
            1,
        ),
        ("ip netns exec x bash -c 'echo $0 $1; ls /sys/class/net | tee f' a b; cat f", "a b\nlo\nlo\n", 0),
        ("sleep 3 | cat; echo a | timeout 5 cat", "a\n", 0),
    ]);
}

#[test]
fn the_user_is_root() {
    check(&[
        ("echo $EUID $UID $((EUID + 1)); bash -c 'echo $EUID'; whoami", "0 0 1\n0\nroot\n", 0),
        ("UID=5", "bash: UID: readonly variable\n", 1),
        ("sudo id -un; sudo -E -u root -- id -u; sudo -n -k whoami", "root\n0\nroot\n", 0),
        ("cd /tmp; sudo pwd; sudo -s pwd; sudo -i pwd", "/tmp\n/tmp\n/root\n", 0),
        ("sudo -s echo 'a;b' '$HOME'; echo 'echo $PWD' | sudo -i", "a;b /root\n/root\n", 0),
        ("export A=1 B=2; sudo C=3 env | grep '^[ABC]='; sudo -E env | grep ^A", "C=3\nA=1\n", 0),
        ("sudo --preserve-env=B,X env | grep '^[ABX]='", "B=2\n", 0),
        ("echo 1 | sudo tee /proc/sys/net/ipv4/ip_forward", "1\n", 0),
        ("sudo ip netns add x; sudo ip netns exec x sudo bash -c 'ls /sys/class/net; exit 4'", "lo\n", 4),
        ("sudo timeout 2 sleep 5", "", 124),
        ("sudo sleep 100 & sleep 1; sudo kill $!; wait $!", "", 143),
        ("sudo sleep 100 & sleep 1; sudo pkill sleep; wait $!", "", 143),
        ("sudo kill 99", "kill: (99): No such process\n", 1),
    ]);
}

#[test]
fn sudo_refuses_as_the_real_one() {
    let usage = "usage: sudo -h | -K | -k | -V\n";
    let mut session = session();
    for (command, begin) in [
        ("sudo", usage.to_string()),
        ("sudo A=1", usage.to_string()),
        ("sudo -u root -u root id", usage.to_string()),
        ("sudo -z id", format!("sudo: invalid option -- 'z'\n{usage}")),
        ("sudo --pre id", "sudo: option '--pre' is ambiguous; possibilities: '--preserve-env'".to_string()),
        ("sudo -u", format!("sudo: option requires an argument -- 'u'\n{usage}")),
        ("sudo -i -s", format!("sudo: you may not specify both the -i and -s options\n{usage}")),
        ("sudo nosuch", "sudo: nosuch: command not found\n".to_string()),
        ("sudo -- A=1 env", "sudo: A=1: command not found\n".to_string()),
        ("sudo cd /", "sudo: cd: command not found\nsudo: \"cd\" is a shell built-in".to_string()),
        ("sudo -u x id", "sudo: unknown user x\nsudo: error initializing audit plugin".to_string()),
        ("sudo -u nobody id", "not modelled yet: sudo as user nobody\n".to_string()),
        ("sudo -b sleep 1", "not modelled yet: sudo -b\n".to_string()),
        ("sudo -C 2 id", "sudo: the argument to -C must be a number greater".to_string()),
        ("sudo -D / ls", "sudo: you are not permitted to use the -D option with /usr/bin/ls\n".to_string()),
    ] {
        let outcome = session.run("node1", command).expect("ends");
        assert_eq!(outcome.status, 1, "{command}");
        assert!(outcome.output.starts_with(&begin), "{command}: {}", outcome.output);
    }
}

#[test]
fn commands_are_found_as_execvp_finds_them() {
    check(&[
        (
            "tshark; sudo drill x; timeout 1 nft",
            &["tshark", "drill", "nft"].map(|n| format!("not modelled yet: {n}\n")).concat(),
            2,
        ),
        (
            "/sbin/nft; /bin/cat /etc/hostname; /usr/bin/seq 1; /bin/bash -c 'echo a'",
            "not modelled yet: nft\nnode1\n1\na\n",
            0,
        ),
        ("command -v nft; which cat", "/usr/sbin/nft\n/usr/bin/cat\n", 0),
        (
            "ip -j link show lo | jq -r '.[].ifname, .[0].mtu'; echo '[]' | jq -e '.[0]'",
            "lo\n65536\nnull\n",
            1,
        ),
        ("echo a > /var/run/pid; cat /run/pid; ls -d /var/run", "a\n/var/run\n", 0),
        (
            "echo 'echo s $1' >s; chmod +x s; ip netns add x; ip netns exec x ./s 1; timeout 2 ./s 2; sudo ./s 3",
            "s 1\ns 2\ns 3\n",
            0,
        ),
        (
            "echo 'echo t $1' >s; ./s 4; cp s /usr/local/bin/t; chmod +x /usr/local/bin/t; nsenter -n/run/netns/x t 5",
            "t 4\nt 5\n",
            0,
        ),
        ("chmod -x s; timeout 1 ./s", "timeout: failed to run command './s': Permission denied\n", 126),
        ("ip netns exec x ./s", "exec of \"./s\" failed: Permission denied\n", 1),
        ("ip netns exec x /tmp", "exec of \"/tmp\" failed: Permission denied\n", 1),
        (
            "nsenter -n/run/netns/x nosuch",
            "nsenter: failed to execute nosuch: No such file or directory\n",
            127,
        ),
        ("sudo ./s", "sudo: ./s: command not found\n", 1),
    ]);
}

#[test]
fn background_jobs_run_before_the_next_prompt() {
    check(&[
        ("ip link set lo up; timeout 4 nc -u -l -p 5140 >f &", "", 0),
        ("echo x | nc -u -w 1 127.0.0.1 5140; cat f", "x\n", 0),
        (
            "sudo timeout 4 ip netns exec nosuch nc -l 1 &",
            "Cannot open network namespace \"nosuch\": No such file or directory\n",
            0,
        ),
        ("sudo timeout 9 timeout 9 nc -l -p 80 >g &", "", 0),
        ("echo y | nc -N 127.0.0.1 80; cat g", "y\n", 0),
    ]);
}

#[test]
fn a_program_that_never_waits_can_be_ended() {
    check(&[
        ("ip link add va type veth peer name vb; ip link set va up; ip link set vb up", "", 0),
        (
            "timeout 1 mausezahn va -c 10000000 -q -b bcast -A 10.1.1.1 -B 10.1.1.2 -t udp; echo $?; date +%S",
            "124\n21\n",
            0,
        ),
        (
            "timeout -s INT 1 mausezahn va -c 0 -q -b bcast -A 10.1.1.1 -B 10.1.1.2 -t udp; echo $?",
            "124\n",
            0,
        ),
        (
            "mausezahn va -q -b bcast -A 10.1.1.1 -B 10.1.1.2 -t tcp -P a; mausezahn va -q -b bcast -A 10.1.1.1 -B 10.1.1.2 -t udp -P b",
            "[b]\n",
            0,
        ),
    ]);
}

#[test]
fn deep_recursion_ends_with_an_error() {
    let many = |sign: &str, count: usize| vec![sign; count].join(" ");
    let (parentheses, negations) = (many("'('", 20_000), many("!", 5_000));
    let eval = "bash: eval: nested too deeply: more than 1000 parentheses and negations, or no stack is left";
    let started = "bash: not started: more than 10 programs that start each other\n";
    let memory = "ss: bison bellows (while parsing filter): \"memory exhausted!\" Sorry.";
    let mut session = session();
    for (command, begin, status) in [
        ("x='eval $x'; eval $x", eval, 1),
        ("sudo bash -c 'x=\"eval \\$x\"; eval $x' 2>&1", "bash: line 1: eval: ", 1),
        ("ip netns add a; echo 'ip netns exec a bash /root/s' >s; bash s", started, 126),
        ("echo 'timeout 5 bash /root/s' >s; bash s", started, 126),
        ("for i in {1..20000}; do true; done", eval, 1),
        (&format!("[ {parentheses} 1 ]"), "bash: [: nested too deeply: more than 1000", 1),
        (&format!("expr {parentheses} 1"), "bash: expr: nested too deeply: more than 1000", 1),
        (&format!("find / {negations} -name x"), "bash: find: nested too deeply: more than 1000", 1),
        (&format!("ss -t {parentheses} 2>&1 | head -n 1"), memory, 0),
        (&format!("ss -t {negations} 2>&1 | head -n 1"), memory, 0),
        ("for i in $(seq 1 10001); do sleep 0; A=1 true; done; echo $i", "10001\n", 0),
    ] {
        let outcome = session.run("node1", command).unwrap_or_else(|error| panic!("{command:.99}: {error}"));
        let shown: String = outcome.output.chars().take(200).collect();
        assert!(shown.starts_with(begin), "{command:.99}: {shown}");
        assert_eq!(outcome.status, status, "{command:.99}: {shown}");
    }
    let error = session.run("node1", "f() { f; }; f").expect_err("no end").to_string();
    assert!(error.contains("maximum function depth exceeded (16)"), "{error}");
}

#[test]
fn files_have_the_times_of_the_machine() {
    check(&[
        ("touch f; echo $?; ls -l f", "0\n-rw-r--r--        0 2023-11-14 22:13 f\n", 0),
        (
            "sleep 120; touch f g; ls -l",
            "-rw-r--r--        0 2023-11-14 22:15 f\n-rw-r--r--        0 2023-11-14 22:15 g\n",
            0,
        ),
        (
            "touch -d '2020-01-01 00:00:00' h; ls -l h; [ f -nt h ] && echo newer",
            "-rw-r--r--        0 2020-01-01 00:00 h\nnewer\n",
            0,
        ),
        ("chmod 755 h; echo x > h; ls -l h", "-rwxr-xr-x        2 2023-11-14 22:15 h\n", 0),
        ("touch /nodir/x", "touch: cannot touch '/nodir/x': No such file or directory\n", 1),
    ]);
}

#[test]
fn settings_and_sleeps_as_the_real_programs() {
    let bad = "sysctl: command line(0): invalid syntax, continuing...\n";
    check(&[
        ("sysctl -w bad net.ipv4.ip_forward=1", &format!("{bad}net.ipv4.ip_forward = 1\n"), 1),
        ("sysctl -w net.ipv4.ip_forward=0 bad", &format!("net.ipv4.ip_forward = 0\n{bad}"), 1),
        (
            "sysctl -n a net.ipv4.ip_forward b",
            "sysctl: cannot stat /proc/sys/a: No such file or directory\n0\nsysctl: cannot stat /proc/sys/b: No such file or directory\n",
            2,
        ),
        ("timeout 5 sleep infinity; echo $?", "124\n", 0),
        ("sleep inf & kill $!; wait $!", "", 143),
        (
            "brctl addbr default; brctl addbr all",
            "add bridge failed: Invalid argument\nadd bridge failed: Invalid argument\n",
            1,
        ),
        ("x=1; kill -9 $$; echo lives", "", 137),
        ("echo [$x]", "[]\n", 0),
    ]);
    let error = session().run("node1", "sleep infinity").expect_err("a day is the limit").to_string();
    assert_eq!(error, "the command did not end within 24 hours of virtual time");
}

#[test]
fn addresses_last_as_long_as_they_may() {
    let shown = |flags: &str, valid: &str, preferred: &str| {
        format!(
            "    inet 10.1.1.1/24 scope global {flags}v0\n       valid_lft {valid} preferred_lft {preferred}\n"
        )
    };
    check(&[
        ("ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up", "", 0),
        ("ip addr add 10.1.1.1/24 dev v0 valid_lft 3", "preferred_lft is greater than valid_lft\n", 1),
        (
            "ip addr add 10.1.1.1/24 dev v0 valid_lft 2 preferred_lft 1; ip route",
            "10.1.1.0/24 dev v0 proto kernel scope link src 10.1.1.1 \n",
            0,
        ),
        ("ip addr show v0 | tail -n 2", &shown("dynamic ", "2sec", "1sec"), 0),
        ("sleep 1.5; ip addr show v0 | tail -n 2", &shown("deprecated dynamic ", "1sec", "0sec"), 0),
        ("sleep 1; ip -br addr show v0; ip route", "v0@v1            UP             \n", 0),
        ("ip addr add 10.1.1.1/24 dev v0 valid_lft 5 preferred_lft 0; ip addr add 10.1.1.2/24 dev v0", "", 0),
        (
            "sleep 3; ip addr change 10.1.1.1/24 dev v0; sleep 10; ip -br addr show v0",
            "v0@v1            UP             10.1.1.1/24 10.1.1.2/24 \n",
            0,
        ),
        (
            "ip addr change 10.1.1.1/24 dev v0 valid_lft 200 preferred_lft 100; sleep 105; ip addr show v0 | grep -c deprecated",
            "1\n",
            0,
        ),
        ("sleep 110; ip -br addr show v0", "v0@v1            UP             \n", 0),
    ]);
}

#[test]
fn bc_counts_as_far_as_it_takes() {
    check(&[
        (
            "echo '2^64; scale=3; 10/4' | bc; echo '9223372036854775807+1' | bc -l",
            "18446744073709551616\n2.500\n9223372036854775808\n",
            0,
        ),
        ("echo '1/0; 5' | bc", "Runtime error (func=(main), adr=0): Divide by zero\n", 0),
        ("bc <<<'1+'", "(standard_in) 1: syntax error\n", 0),
        (
            "x=$(echo \"$(printf '(%.0s' $(seq 20000))\" | bc 2>&1); echo ${x:0:40}",
            "not modelled yet: bc expressions nested\n",
            0,
        ),
    ]);
}

/// Where computing takes no time, a peer's answer to what a prompt sent comes before the next prompt.
#[test]
fn what_follows_from_a_prompt_belongs_to_it() {
    let mut world = World::new(1);
    world.add_machine("node1", 1);
    for kernel in &mut world.machines {
        (kernel.config.exec_time, kernel.config.settle_time) = (Nanos::ZERO, Nanos::from_micros(50));
    }
    let mut session = Session::new(world).expect("a runtime");
    let setup = "ip netns add a; ip link add v type veth peer name w netns a; ip link set v up; ip addr add 10.0.0.1/24 dev v; \
                 ip -n a link set w up; ip -n a addr add 10.0.0.2/24 dev w; sleep 1";
    let prompts = [(setup, ""), ("ip netns exec a nc -l -k -p 80 &", ""), ("nc -z 10.0.0.2 80", "")];
    for (command, output) in prompts {
        assert_eq!(session.run("node1", command).expect(command).output, output, "{command}");
    }
    // The peer has closed its end, too.
    assert_eq!(session.world().machines[0].netns[INIT_NET].ipv4.snmp.tcp_ext.TW, 1);
}
