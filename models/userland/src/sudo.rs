//! `sudo` 1.9.13p3 with Debian's `/etc/sudoers`, called by root: no password, a cleaned environment.

use std::collections::BTreeMap;

use crate::getopt::{self, Long, Opt, Takes};
use crate::process::{Process, Running};
use crate::stop::{Done, Stop};

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        match sudo(process).await {
            Ok(status) => status,
            Err(stop) => stop.say(process),
        }
    })
}

const SHORT: &str = "+Aa:BbC:c:D:Eeg:HhiKklNnPp:R:r:SsT:t:U:u:Vv";

const LONG: &[Long] = &[
    ("askpass", Takes::Nothing, "A"),
    ("background", Takes::Nothing, "b"),
    ("bell", Takes::Nothing, "B"),
    ("chdir", Takes::Value, "D"),
    ("chroot", Takes::Value, "R"),
    ("close-from", Takes::Value, "C"),
    ("command-timeout", Takes::Value, "T"),
    ("edit", Takes::Nothing, "e"),
    ("group", Takes::Value, "g"),
    ("help", Takes::Nothing, "h"),
    ("host", Takes::Value, "host"),
    ("list", Takes::Nothing, "l"),
    ("login", Takes::Nothing, "i"),
    ("no-update", Takes::Nothing, "N"),
    ("non-interactive", Takes::Nothing, "n"),
    ("other-user", Takes::Value, "U"),
    ("preserve-env", Takes::Optional, "preserve"),
    ("preserve-groups", Takes::Nothing, "P"),
    ("prompt", Takes::Value, "p"),
    ("remove-timestamp", Takes::Nothing, "K"),
    ("reset-timestamp", Takes::Nothing, "k"),
    ("role", Takes::Value, "r"),
    ("set-home", Takes::Nothing, "H"),
    ("shell", Takes::Nothing, "s"),
    ("stdin", Takes::Nothing, "S"),
    ("type", Takes::Value, "t"),
    ("user", Takes::Value, "u"),
    ("validate", Takes::Nothing, "v"),
    ("version", Takes::Nothing, "V"),
];

const USAGE: &str = "\
usage: sudo -h | -K | -k | -V
usage: sudo -v [-ABkNnS] [-g group] [-h host] [-p prompt] [-u user]
usage: sudo -l [-ABkNnS] [-g group] [-h host] [-p prompt] [-U user] [-u user]
            [command [arg ...]]
usage: sudo [-ABbEHkNnPS] [-r role] [-t type] [-C num] [-D directory] [-g
            group] [-h host] [-p prompt] [-R directory] [-T timeout] [-u user]
            [VAR=value] [-i | -s] [command [arg ...]]
usage: sudo -e [-ABkNnS] [-r role] [-t type] [-C num] [-D directory] [-g group]
            [-h host] [-p prompt] [-R directory] [-T timeout] [-u user] file ...
";

/// `secure_path` of `/etc/sudoers`.
const SECURE_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables that `env_keep` and `env_check` leave, besides `LC_*`.
const KEPT: &[&str] =
    &["COLORTERM", "COLORS", "DISPLAY", "LANG", "LANGUAGE", "LINGUAS", "LS_COLORS", "TERM", "TZ"];

/// Users and groups of Debian's base-passwd, other than root.
const OTHERS: &str = "daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc nobody nogroup adm tty \
    disk kmem dialout fax voice cdrom floppy tape sudo audio dip operator src shadow utmp video sasl plugdev staff users";

/// What a command line asks for.
#[derive(Debug, Default)]
struct Request {
    options: Vec<Opt>,
    /// `VAR=value` before the command.
    assignments: Vec<(String, String)>,
    command: Vec<String>,
}

impl Request {
    fn has(&self, name: &str) -> bool {
        self.options.iter().any(|option| option.name == name)
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|option| option.name == name).map(|option| option.value.as_str())
    }
}

fn failed(text: impl std::fmt::Display) -> Stop {
    Stop::error(1, format!("sudo: {text}\n"))
}

fn usage_after(text: &str) -> Stop {
    Stop::error(1, format!("sudo: {text}\n{USAGE}"))
}

fn usage() -> Stop {
    Stop::error(1, USAGE)
}

/// Options and assignments, which may be mixed, and the command.
fn parse(args: &[String]) -> Done<Request> {
    let mut request = Request::default();
    let mut rest = args;
    loop {
        let parsed = getopt::parse(rest, SHORT, LONG);
        request.options.extend(parsed.options);
        if let Some(error) = parsed.error {
            return Err(usage_after(&error));
        }
        let taken = rest.len() - parsed.operands.len();
        let ended = taken > 0 && rest[taken - 1] == "--";
        rest = &rest[taken..];
        let assignment = rest.first().filter(|_| !ended).and_then(|word| word.split_once('='));
        let Some((name, value)) = assignment.filter(|(name, _)| !name.is_empty() && !name.contains('/'))
        else {
            break;
        };
        request.assignments.push((name.to_owned(), value.to_owned()));
        rest = &rest[1..];
    }
    request.command = rest.to_vec();
    Ok(request)
}

async fn sudo(process: &mut Process) -> Done<i32> {
    let request = parse(process.args())?;
    check(&request)?;
    if let Some(status) = without_command(process, &request).await? {
        return Ok(status);
    }
    let argv = argv(&request);
    let Ok(path) = process.find(&argv[0]).await else { return Err(not_found(&argv[0])) };
    if let Some(option) = request.options.iter().find(|option| option.name == "D" || option.name == "R") {
        return Err(failed(format!("you are not permitted to use the -{} option with {path}", option.name)));
    }
    if request.has("l") {
        process.print(path + "\n");
        return Ok(0);
    }
    let command = std::iter::once(path).chain(argv[1..].iter().cloned()).collect::<Vec<_>>().join(" ");
    process.env = environment(&process.env, &request, command);
    if request.has("i") {
        process.cwd = "/root".to_owned();
    }
    Ok(process.spawn(process.netns, argv).await)
}

/// What no command line may ask of sudo.
fn check(request: &Request) -> Done {
    for (at, option) in request.options.iter().enumerate() {
        let name = option.name.as_str();
        let again = request.options[..at].iter().any(|before| before.name == name);
        match name {
            "u" | "g" | "p" | "U" | "R" | "D" | "T" if again || option.value.is_empty() && name != "p" => {
                return Err(usage());
            }
            "u" | "g" if !matches!(option.value.as_str(), "root" | "#0") => {
                let what = if name == "u" { "user" } else { "group" };
                return Err(unknown(what, &option.value));
            }
            "C" if option.value.parse::<u32>().is_ok_and(|number| number >= 3) => {}
            "C" => return Err(failed("the argument to -C must be a number greater than or equal to 3")),
            "T" => return Err(failed("sorry, you are not allowed set a command timeout")),
            "host" => return Err(failed("a remote host may only be specified when listing privileges.")),
            "U" if !request.has("l") => {
                return Err(usage_after("the -U option may only be used with the -l option"));
            }
            "a" | "b" | "c" | "e" | "r" | "t" => {
                return Err(Stop::error(1, format!("not modelled yet: sudo -{name}\n")));
            }
            _ => {}
        }
    }
    match (
        request.has("i"),
        request.has("s"),
        request.has("E") || request.value("preserve").is_some_and(str::is_empty),
    ) {
        (true, true, _) => Err(usage_after("you may not specify both the -i and -s options")),
        (true, _, true) => Err(usage_after("you may not specify both the -i and -E options")),
        _ => Ok(()),
    }
}

fn unknown(what: &str, name: &str) -> Stop {
    match OTHERS.split_whitespace().any(|known| known == name) {
        true => Stop::error(1, format!("not modelled yet: sudo as {what} {name}\n")),
        false if name.starts_with('#') && name[1..].parse::<u32>().is_ok() => {
            failed(format!("unknown {what} {name}"))
        }
        false => {
            failed(format!("unknown {what} {name}\nsudo: error initializing audit plugin sudoers_audit"))
        }
    }
}

/// Calls that end before a command would run: their exit status.
async fn without_command(process: &mut Process, request: &Request) -> Done<Option<i32>> {
    let has_command = !request.command.is_empty();
    if request.has("h") {
        return Err(Stop::shown(format!(
            "sudo - execute a command as another user\n\n{USAGE}{}",
            include_str!("sudo_help.txt")
        )));
    }
    if request.has("V") {
        let version = process.program.version;
        process.print(format!(
            "Sudo version {version}\nSudoers policy plugin version {version}\nSudoers file grammar version 50\n\
             Sudoers I/O plugin version {version}\nSudoers audit plugin version {version}\n"
        ));
        return Ok(Some(0));
    }
    if request.has("K") || request.has("v") {
        return if has_command { Err(usage()) } else { Ok(Some(0)) };
    }
    if request.has("l") && !has_command {
        let hostname = process.world().kernel(process.machine).hostname.clone();
        process
            .print(list(&hostname, request.options.iter().filter(|option| option.name == "l").count() > 1));
        return Ok(Some(0));
    }
    if has_command || request.has("i") || request.has("s") {
        return Ok(None);
    }
    match request.has("k") && request.options.len() == 1 && request.assignments.is_empty() {
        true => Ok(Some(0)),
        false => Err(usage()),
    }
}

fn list(hostname: &str, long: bool) -> String {
    let path = SECURE_PATH.replace(':', "\\:");
    let rules = match long {
        true => "\nSudoers entry:\n    RunAsUsers: ALL\n    RunAsGroups: ALL\n    Commands:\n\tALL\n",
        false => "    (ALL : ALL) ALL\n",
    };
    format!(
        "Matching Defaults entries for root on {hostname}:\n    env_reset, mail_badpass,\n    secure_path={path},\n    use_pty\n\n\
         User root may run the following commands on {hostname}:\n{rules}"
    )
}

/// The command line to run: itself, or a shell with the words quoted (`-s`, `-i`).
fn argv(request: &Request) -> Vec<String> {
    if !request.has("s") && !request.has("i") {
        return request.command.clone();
    }
    let mut argv = vec!["/bin/bash".to_owned()];
    if !request.command.is_empty() {
        let quoted = |word: &String| -> String {
            word.chars()
                .flat_map(|c| {
                    (!c.is_ascii_alphanumeric() && !"_-$".contains(c)).then_some('\\').into_iter().chain([c])
                })
                .collect()
        };
        argv.push("-c".to_owned());
        argv.push(request.command.iter().map(quoted).collect::<Vec<_>>().join(" "));
    }
    argv
}

fn not_found(name: &str) -> Stop {
    if name != "cd" {
        return failed(format!("{name}: command not found"));
    }
    failed(
        "cd: command not found\n\
         sudo: \"cd\" is a shell built-in command, it cannot be run directly.\n\
         sudo: the -s option may be used to run a privileged shell.\n\
         sudo: the -D option may be used to run a command in a specific directory.",
    )
}

/// `env_reset`, `secure_path` and `env_keep`, and what sudo adds.
fn environment(
    caller: &BTreeMap<String, String>,
    request: &Request,
    command: String,
) -> BTreeMap<String, String> {
    let named: Vec<&str> = request
        .options
        .iter()
        .filter(|option| option.name == "preserve")
        .flat_map(|option| option.value.split(','))
        .collect();
    let all = request.has("E") || named.contains(&"");
    let keeps = |name: &str| all || KEPT.contains(&name) || name.starts_with("LC_") || named.contains(&name);
    let mut env: BTreeMap<String, String> = caller
        .iter()
        .filter(|(name, _)| keeps(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let set = [
        ("HOME", "/root"),
        ("LOGNAME", "root"),
        ("MAIL", "/var/mail/root"),
        ("PATH", SECURE_PATH),
        ("SHELL", "/bin/bash"),
        ("SUDO_COMMAND", &command),
        ("SUDO_GID", "0"),
        ("SUDO_UID", "0"),
        ("SUDO_USER", "root"),
        ("USER", "root"),
    ];
    env.extend(set.map(|(name, value)| (name.to_owned(), value.to_owned())));
    env.extend(request.assignments.iter().cloned());
    env
}
