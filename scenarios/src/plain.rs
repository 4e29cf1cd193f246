//! Plain commands: what random networks consist of. A backend can run them without a shell.
//!
//! ```text
//! ip [-n NETNS] OBJECT CHANGE …     bridge [-n NETNS] OBJECT CHANGE …     ip and bridge with -j -d -s: what is there
//! sysctl -q -w NAME=VALUE           sleep SECONDS
//! PROGRAM ARGUMENT …                PROGRAM ARGUMENT … <<< TEXT     PROGRAM ARGUMENT … &
//! ```
//!
//! The last two lines may begin with `ip netns exec NETNS`. Words are separated by one space and not quoted.

use std::path::PathBuf;
use std::time::Duration;

/// A plain command.
#[derive(Clone, Debug, PartialEq)]
pub struct Plain {
    /// The network namespace, empty for the machine's own.
    pub netns: String,
    /// What is done there.
    pub act: Act,
}

/// What a plain command does.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// `ip` or `bridge`.
    Tool {
        /// Which.
        name: &'static str,
        /// The words behind its options.
        words: String,
    },
    /// Sets a sysctl.
    Sysctl {
        /// Its file.
        path: PathBuf,
        /// The value.
        value: String,
    },
    /// Waits.
    Sleep(Duration),
    /// Runs a program with this standard input to its end.
    Program {
        /// The program and its arguments.
        argv: Vec<String>,
        /// Its input, empty: none.
        input: String,
    },
    /// Starts a program in the background.
    Job(Vec<String>),
}

/// Characters that mean something to a shell.
const SPECIAL: [char; 16] =
    ['|', ';', '$', '`', '"', '\'', '(', ')', '{', '}', '*', '?', '\\', '#', '\n', '~'];

/// What `ip` and `bridge` do without a word, whatever their options.
const CHANGES: [&str; 6] = ["add", "del", "set", "replace", "change", "append"];

/// Options that `ip` and `bridge` print all with.
const ALL: &str = "-j -d -s ";

impl Plain {
    /// Reads a command.
    ///
    /// # Errors
    ///
    /// Why it is not plain.
    pub fn parse(command: &str) -> Result<Plain, String> {
        if command.contains(SPECIAL) {
            return Err("not a plain command: it needs a shell".to_owned());
        }
        let (netns, rest) = match command.strip_prefix("ip netns exec ") {
            Some(rest) => rest.split_once(' ').ok_or("not a plain command: nothing is executed")?,
            None => ("", command),
        };
        let tool = ["ip", "bridge"]
            .into_iter()
            .find_map(|name| Some((name, rest.strip_prefix(name)?.strip_prefix(' ')?)));
        if let Some((name, words)) = tool {
            let (netns, words) = match words.strip_prefix("-n ") {
                Some(rest) => rest.split_once(' ').unwrap_or((rest, "")),
                None => (netns, words),
            };
            let all = words.strip_prefix(ALL);
            let changes = || words.split(' ').nth(1).is_some_and(|verb| CHANGES.contains(&verb));
            if let Some(words) = all.or_else(|| changes().then_some(words)) {
                return Ok(Plain {
                    netns: netns.to_owned(),
                    act: Act::Tool { name, words: words.to_owned() },
                });
            }
        }
        Ok(Plain { netns: netns.to_owned(), act: act(rest)? })
    }
}

fn act(command: &str) -> Result<Act, String> {
    if let Some(setting) = command.strip_prefix("sysctl -q -w ") {
        let (name, value) = setting.split_once('=').ok_or("not a plain command: no value")?;
        let path = PathBuf::from(format!("/proc/sys/{}", name.replace('.', "/")));
        return Ok(Act::Sysctl { path, value: value.to_owned() });
    }
    if let Some(seconds) = command.strip_prefix("sleep ") {
        let seconds: f64 = seconds.parse().map_err(|_| "not a plain command: not seconds")?;
        return Duration::try_from_secs_f64(seconds).map(Act::Sleep).map_err(|e| e.to_string());
    }
    let argv = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    if let Some(job) = command.strip_suffix(" &") {
        return Ok(Act::Job(argv(job.strip_suffix(" >/dev/null").unwrap_or(job))));
    }
    let (program, input) = match command.split_once(" <<< ") {
        Some((program, text)) => (program, format!("{text}\n")),
        None => (command, String::new()),
    };
    if program.contains(['<', '>', '&']) {
        return Err("not a plain command: it needs a shell".to_owned());
    }
    Ok(Act::Program { argv: argv(program), input })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &'static str, words: &str) -> Act {
        Act::Tool { name, words: words.to_owned() }
    }

    fn program(words: &[&str], input: &str) -> Act {
        Act::Program { argv: words.iter().map(|word| (*word).to_owned()).collect(), input: input.to_owned() }
    }

    #[test]
    fn plain_commands_are_read() {
        let sysctl = |path: &str| Act::Sysctl { path: path.into(), value: "1".to_owned() };
        let cases = [
            ("ip link add va type veth", "", tool("ip", "link add va type veth")),
            ("ip -n x -j -d -s route get 10.0.0.1", "x", tool("ip", "route get 10.0.0.1")),
            (
                "bridge fdb add 02:00:00:00:00:01 dev v0",
                "",
                tool("bridge", "fdb add 02:00:00:00:00:01 dev v0"),
            ),
            ("ip -n x neigh flush all", "", program(&["ip", "-n", "x", "neigh", "flush", "all"], "")),
            ("ip netns add x", "", tool("ip", "netns add x")),
            (
                "ip netns exec x sysctl -q -w net.ipv4.ip_forward=1",
                "x",
                sysctl("/proc/sys/net/ipv4/ip_forward"),
            ),
            ("sleep 0.25", "", Act::Sleep(Duration::from_millis(250))),
            ("ip netns exec x ping -c 1 10.0.0.1", "x", program(&["ping", "-c", "1", "10.0.0.1"], "")),
            ("nc -u 10.0.0.1 53 <<< hello", "", program(&["nc", "-u", "10.0.0.1", "53"], "hello\n")),
            ("nc -lk 80 >/dev/null &", "", Act::Job(["nc", "-lk", "80"].map(str::to_owned).to_vec())),
        ];
        for (command, netns, act) in cases {
            assert_eq!(Plain::parse(command), Ok(Plain { netns: netns.to_owned(), act }), "{command}");
        }
        for command in ["ip a | grep x", "ping x; ping y", "nc x >f", "sysctl -q -w a", "sleep x"] {
            assert!(Plain::parse(command).is_err(), "{command}");
        }
    }
}
