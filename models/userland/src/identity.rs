//! `uname` and `id` of coreutils 9.1: who the machine and its user are.

use crate::getopt::{self, Long, Parsed, Takes};
use crate::process::{Process, Running};
use crate::stop::{Done, Stop};

/// The kernel that is modelled, as Debian 12 packages it.
pub const RELEASE: &str = "6.1.0-28-amd64";
const VERSION: &str = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.119-1 (2024-11-22)";

/// Entry point of `uname`.
pub fn uname(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let hostname = process.world().kernel(process.machine).hostname.clone();
        match uname_line(process.args(), &hostname) {
            Ok(line) => {
                process.print(line);
                0
            }
            Err(message) => {
                process.eprint(format!("{message}Try 'uname --help' for more information.\n"));
                1
            }
        }
    })
}

fn uname_line(args: &[String], hostname: &str) -> Result<String, String> {
    let fields = [
        ('s', "Linux"),
        ('n', hostname),
        ('r', RELEASE),
        ('v', VERSION),
        ('m', "x86_64"),
        ('o', "GNU/Linux"),
    ];
    let mut wanted = String::new();
    for arg in args {
        match arg.strip_prefix('-') {
            Some("-all") => wanted.push('a'),
            Some(letters) if !letters.is_empty() && !letters.starts_with('-') => wanted.push_str(letters),
            Some(_) => return Err(format!("uname: unrecognized option '{arg}'\n")),
            None => return Err(format!("uname: extra operand '{arg}'\n")),
        }
    }
    if let Some(unknown) = wanted.chars().find(|letter| !"asnrvmo".contains(*letter)) {
        return Err(format!("uname: invalid option -- '{unknown}'\n"));
    }
    if wanted.is_empty() {
        wanted.push('s');
    }
    let is_wanted = |letter: &char| wanted.contains('a') || wanted.contains(*letter);
    let shown: Vec<&str> =
        fields.iter().filter(|(letter, _)| is_wanted(letter)).map(|(_, text)| *text).collect();
    Ok(shown.join(" ") + "\n")
}

const ID_LONG: &[Long] = &[
    ("context", Takes::Nothing, "Z"),
    ("group", Takes::Nothing, "g"),
    ("groups", Takes::Nothing, "G"),
    ("help", Takes::Nothing, "help"),
    ("name", Takes::Nothing, "n"),
    ("real", Takes::Nothing, "r"),
    ("user", Takes::Nothing, "u"),
    ("version", Takes::Nothing, "version"),
    ("zero", Takes::Nothing, "z"),
];

/// Entry point of `id`.
pub fn id(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let parsed = getopt::parse(process.args(), "agnruzGZ", ID_LONG);
        match id_text(&parsed) {
            Ok((text, unknown)) => {
                process.print(text);
                process.eprint(&unknown);
                i32::from(!unknown.is_empty())
            }
            Err(stop) => stop.say(process),
        }
    })
}

/// What is printed of the users, and the errors about unknown ones: the only user is root.
fn id_text(parsed: &Parsed) -> Done<(String, String)> {
    let failed = |text: &str| Err(Stop::error(1, format!("id: {text}\n")));
    if let Some(error) = &parsed.error {
        return failed(&format!("{error}\nTry 'id --help' for more information."));
    }
    let has = |name: &str| parsed.options.iter().any(|option| option.name == name);
    let choices = parsed.options.iter().filter(|option| ["u", "g", "G"].contains(&option.name.as_str()));
    let mut choices: Vec<&str> = choices.map(|option| option.name.as_str()).collect();
    choices.sort_unstable();
    choices.dedup();
    if has("help") || has("version") {
        let option = if has("help") { "help" } else { "version" };
        return Err(Stop::error(1, format!("not modelled yet: id --{option}\n")));
    }
    if has("Z") {
        return failed("--context (-Z) works only on an SELinux-enabled kernel");
    }
    let line = match choices[..] {
        [_, _, ..] => return failed("cannot print \"only\" of more than one choice"),
        [] if has("n") || has("r") => return failed("cannot print only names or real IDs in default format"),
        [] if has("z") => return failed("option --zero not permitted in default format"),
        [] => "uid=0(root) gid=0(root) groups=0(root)",
        [_] if has("n") => "root",
        [_] => "0",
    };
    let root = ["root".to_owned()];
    let users = if parsed.operands.is_empty() { &root[..] } else { &parsed.operands };
    let (mut text, mut unknown) = (String::new(), String::new());
    for user in users {
        match user.as_str() {
            "root" | "0" | "+0" => text += &format!("{line}{}", if has("z") { '\0' } else { '\n' }),
            user => unknown += &format!("id: '{user}': no such user\n"),
        }
    }
    Ok((text, unknown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_in_their_order() {
        for (args, expected) in [
            (vec![], Ok("Linux\n".to_string())),
            (vec!["-rn"], Ok(format!("node1 {RELEASE}\n"))),
            (vec!["-a"], Ok(format!("Linux node1 {RELEASE} {VERSION} x86_64 GNU/Linux\n"))),
            (vec!["-z"], Err("uname: invalid option -- 'z'\n".to_string())),
            (vec!["x"], Err("uname: extra operand 'x'\n".to_string())),
        ] {
            let args: Vec<String> = args.into_iter().map(str::to_string).collect();
            assert_eq!(uname_line(&args, "node1"), expected);
        }
    }
    #[test]
    fn id_prints_root_and_refuses_as_coreutils() {
        for (args, text, error) in [
            ("", "uid=0(root) gid=0(root) groups=0(root)\n", ""),
            ("-u", "0\n", ""),
            ("-run root", "root\n", ""),
            ("--groups -z", "0\0", ""),
            ("-u root nosuch", "0\n", "id: 'nosuch': no such user\n"),
            ("-u -g", "", "id: cannot print \"only\" of more than one choice\n"),
            ("-r", "", "id: cannot print only names or real IDs in default format\n"),
            ("-z", "", "id: option --zero not permitted in default format\n"),
            ("-x", "", "id: invalid option -- 'x'\nTry 'id --help' for more information.\n"),
        ] {
            let parsed = getopt::parse(&getopt::words(args), "agnruzGZ", ID_LONG);
            let said = id_text(&parsed).unwrap_or_else(|stop| (stop.stdout, stop.stderr));
            assert_eq!(said, (text.to_owned(), error.to_owned()), "{args}");
        }
    }
}
