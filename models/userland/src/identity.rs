//! `uname` and `id` of coreutils 9.1: who the machine and its user are.

use crate::process::{Process, Running};

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

/// Entry point of `id`.
pub fn id(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let args: Vec<&str> = process.args().iter().map(String::as_str).collect();
        let line = match args[..] {
            [] | ["root"] => "uid=0(root) gid=0(root) groups=0(root)\n",
            ["-u" | "-g" | "-G"] => "0\n",
            ["-un" | "-gn" | "-Gn"] | ["-u" | "-g" | "-G", "-n"] | ["-n", "-u" | "-g" | "-G"] => "root\n",
            _ => {
                let args = args.join(" ");
                process
                    .eprint(format!("id: not modelled yet: {args}\nTry 'id --help' for more information.\n"));
                return 1;
            }
        };
        process.print(line);
        0
    })
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
}
