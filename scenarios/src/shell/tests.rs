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
