//! `iptables`, `iptables-save`, `iptables-restore`, in the nf_tables (Debian's default) and the legacy spelling.
//!
//! | module | owns |
//! |---|---|
//! | [`words`], [`parse`], [`spec`], [`address`] | the command line, up to a [`command::Command`] |
//! | [`ext`] | how matches and targets are read and printed |
//! | [`native`] | what nft makes of `tcp` and `udp` |
//! | [`draft`], [`run`] | a table while commands change it |
//! | [`show`], [`list`], [`save`], [`restore`] | what is printed and read |
//! | [`fail`] | errors in the real tools' words |
//! | [`place`] | the tables in the kernel |
//! | [`kube`] | a large dump to try |
//! | [`arbitrary`] | random rules, for tests |

pub mod address;
pub mod arbitrary;
mod batch;
pub mod command;
pub mod draft;
pub mod draw;
pub mod ext;
pub mod fail;
pub mod kube;
pub mod list;
pub mod native;
pub mod parse;
pub mod place;
pub mod restore;
pub mod run;
pub mod save;
pub mod show;
pub mod spec;
pub mod words;

use glassnet_kernel::net::netfilter::x_tables::xt_find_table_lock;
use glassnet_kernel::tables::xt::Variant;

use crate::hosts::Hosts;
use crate::process::{Process, Running};
use command::{Command, Op, Zero};
use draft::Draft;
use fail::{Done, Fail, Refusal, Tool};
pub use kube::kube_dump;
use parse::{Place, parse};

/// Entry point of all names.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        // It may have been called by its path.
        let called = process.program.name();
        let args = process.args().to_vec();
        let multi = matches!(called, "xtables-nft-multi" | "xtables-legacy-multi");
        let (name, args) = match args.split_first() {
            _ if !multi => (called.to_owned(), args),
            Some((name, args)) => (multi_name(called, name), args.to_vec()),
            None => return no_subcommand(process),
        };
        let Some(tool) = tool(&name) else {
            if multi && !is_other_family(&name) {
                return no_subcommand(process);
            }
            process.eprint(format!("not modelled yet: {name}\n"));
            return 2;
        };
        match tool.name {
            "iptables-save" => save::main(process, tool, &args).await,
            "iptables-restore" => restore::main(process, tool, &args).await,
            _ => command_line(process, tool, &args).await,
        }
    })
}

/// `xtables-legacy-multi iptables` is `iptables-legacy`.
fn multi_name(called: &str, name: &str) -> String {
    let variant = if called == "xtables-legacy-multi" { "legacy" } else { "nft" };
    let rest = match name {
        "main4" => "",
        "save4" => "-save",
        "restore4" => "-restore",
        _ => match name.strip_prefix("iptables") {
            Some(rest) => rest.strip_prefix("-nft").or(rest.strip_prefix("-legacy")).unwrap_or(rest),
            None => return name.to_owned(),
        },
    };
    format!("iptables-{variant}{rest}")
}

fn no_subcommand(process: &mut Process) -> i32 {
    let name = process.name().to_owned();
    process.eprint(format!("ERROR: No valid subcommand given.\nValid subcommands:\n * iptables\n * main4\n * iptables-save\n * save4\n * iptables-restore\n * restore4\nnot modelled yet: the other subcommands of {name}\n"));
    1
}

fn is_other_family(name: &str) -> bool {
    ["ip6tables", "arptables", "ebtables", "iptables-translate", "iptables-restore-translate", "iptables-xml"]
        .iter()
        .any(|known| name.starts_with(known))
}

/// The tool of a program name.
fn tool(name: &str) -> Option<Tool> {
    let rest = name.strip_prefix("iptables")?;
    let (variant, rest) = match (rest.strip_prefix("-legacy"), rest.strip_prefix("-nft")) {
        (Some(rest), _) => (Variant::Legacy, rest),
        (_, Some(rest)) => (Variant::Nft, rest),
        _ => (Variant::Nft, rest),
    };
    let name = match rest {
        "" => "iptables",
        "-save" => "iptables-save",
        "-restore" => "iptables-restore",
        _ => return None,
    };
    Some(Tool { name, variant })
}

async fn command_line(process: &mut Process, tool: Tool, args: &[String]) -> i32 {
    let hosts = Hosts::read(process).await;
    let (mut out, mut warnings) = (String::new(), String::new());
    let outcome = one_command(process, tool, args, &hosts, &mut out, &mut warnings);
    process.eprint(warnings);
    let status = match outcome {
        Ok(()) => 0,
        Err(fail) => fail.render(tool, None, 0).say(process),
    };
    process.print(out);
    status
}

fn one_command(
    process: &Process,
    tool: Tool,
    args: &[String],
    hosts: &Hosts,
    out: &mut String,
    warnings: &mut String,
) -> Done {
    let words: Vec<&str> = [tool.name].into_iter().chain(args.iter().map(String::as_str)).collect();
    let sets = place::sets(process);
    let place = Place { tool, table: None, hosts, sets: &sets, absent: place::absent_matches(process) };
    let parsed = parse(&words, place, out, warnings)?;
    let Some(command) = parsed else { return Ok(()) };
    if tool.variant == Variant::Nft && lists(&command) && place::has_legacy(process) {
        *warnings += place::LEGACY_WARNING;
    }
    if tool.variant == Variant::Legacy {
        let netns = process.netns;
        // A table without rules is never refused.
        let _ = process.syscall(|cx| xt_find_table_lock(cx, netns, command.table));
    }
    let mut draft =
        Draft::new(tool.variant, command.table, place::table(process, tool.variant, command.table));
    let changes = changes(&command);
    let (what, object) = change_name(&command);
    run::run(&mut draft, command, hosts, out)?;
    if let Some(Refusal { what, errno, object, .. }) = draft.take_refused().into_iter().next() {
        return Err(Fail::Kernel(what, errno, object));
    }
    if !changes {
        return Ok(());
    }
    let netns = process.netns;
    process.syscall(|cx| place::commit(cx, netns, &draft)).map_err(|errno| Fail::Kernel(what, errno, object))
}

fn lists(command: &Command) -> bool {
    matches!(command.op, Op::List(..) | Op::ListRules(..))
}

/// The command changes the table.
pub fn changes(command: &Command) -> bool {
    match command.op {
        Op::List(..) | Op::ListRules(..) => command.zero != Zero::Nothing,
        Op::Check(_) => false,
        _ => true,
    }
}

/// nft's name of the operation, and the object.
pub fn change_name(command: &Command) -> (&'static str, String) {
    let rule = |chain: &str| format!("rule in chain {chain}");
    match &command.op {
        Op::Append(chain) => ("RULE_APPEND", rule(chain)),
        Op::Insert(chain, _) => ("RULE_INSERT", rule(chain)),
        Op::Replace(chain, _) => ("RULE_REPLACE", rule(chain)),
        Op::Delete(chain) | Op::DeleteAt(chain, _) => ("RULE_DELETE", rule(chain)),
        Op::Flush(chain) => ("RULE_FLUSH", rule(chain.as_deref().unwrap_or(""))),
        Op::New(chain) => ("CHAIN_USER_ADD", format!("chain {chain}")),
        Op::DeleteChain(chain) => ("CHAIN_DEL", format!("chain {}", chain.as_deref().unwrap_or(""))),
        Op::Rename(_, chain) => ("CHAIN_RENAME", format!("chain {chain}")),
        Op::Policy(chain, _) | Op::Declare(chain, _) => ("CHAIN_UPDATE", format!("chain {chain}")),
        _ => ("CHAIN_ZERO", String::new()),
    }
}
