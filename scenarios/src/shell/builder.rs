//! Creates shells: bashkit with our programs, and without commands that Linux does not have.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, LazyLock};

use bashkit::{Bash, Builtin, BuiltinRegistry, CommandResolver, SessionLimits};

use glassnet_userland::cni;

use super::files::MachineFs;
use super::limits;
use super::machine::Place;
use super::prompt::NotFound;

/// Builtins of bash 5.2.
const SHELL_COMMANDS: &str = ". : [ alias bg break builtin caller cd command compgen complete compopt continue \
    declare dirs disown echo enable eval exec exit export false fc fg getopts hash help history jobs kill let \
    local logout mapfile popd printf pushd pwd read readarray readonly return set shift shopt source test times \
    trap true type typeset ulimit umask unalias unset wait";

/// Commands of Debian 12 without networking: bash, coreutils, grep, sed, mawk, findutils, diffutils, bsdextra.
const FILE_COMMANDS: &str = "[ awk base64 basename bash cat chmod chown cksum cmp column comm cp cut dd diff \
    dirname echo egrep env expand expr false fgrep find fmt fold grep head hexdump hostname install join jq kill ln ls \
    md5sum mkdir mkfifo mktemp mv nl nproc numfmt od paste pkill printenv printf pwd readlink realpath rev rm rmdir sed \
    seq sh sha1sum sha256sum sha512sum sort split stat sum tac tail tar test touch tr true truncate tsort uniq \
    wc which whoami xargs xxd yes";

/// All commands that are bashkit's own. A shell asks for each of them, and agents start many shells.
static LISTED: LazyLock<HashSet<&str>> =
    LazyLock::new(|| SHELL_COMMANDS.split_whitespace().chain(file_commands()).collect());

/// Debian's `PATH` of root.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Commands on Debian's `PATH`, other than our programs.
pub(super) fn file_commands() -> impl Iterator<Item = &'static str> {
    FILE_COMMANDS.split_whitespace()
}

/// A shell at `place`.
pub(super) fn bash(place: &Place, cwd: &str, env: &BTreeMap<String, String>) -> Bash {
    bash_with(place, cwd, env, Vec::new())
}

/// A shell with additional commands.
pub(super) fn bash_with(
    place: &Place,
    cwd: &str,
    env: &BTreeMap<String, String>,
    more: Vec<(&str, Arc<dyn Builtin>)>,
) -> Bash {
    let registry = BuiltinRegistry::new();
    for program in glassnet_cluster::installed() {
        let command = super::command::ProgramCommand { place: place.clone(), program };
        registry.insert_command(program.name(), command);
    }
    for program in cni::PLUGINS {
        for path in cni::paths(program) {
            registry.insert_command(path, super::command::ProgramCommand { place: place.clone(), program });
        }
    }
    registry.insert("pkill", Arc::new(super::prompt::Pkill(place.machine.clone())));
    for (name, builtin) in more {
        registry.insert(name, builtin);
    }
    let mut builder = Bash::builder()
        .fs(Arc::new(MachineFs { place: place.clone() }))
        .rootfs(false)
        .cwd(cwd)
        .username("root")
        .hostname(place.machine.name.as_str())
        .fixed_epoch(glassnet_userland::process::BOOT_TIME as i64)
        .limits(limits::execution())
        .session_limits(SessionLimits::unlimited())
        .memory_limits(limits::memory())
        .builtin_filter(|name| LISTED.contains(name))
        .builtin_registry(registry)
        .command_resolver(Arc::new(Unknown));
    for (name, value) in env {
        builder = builder.env(name, value);
    }
    let mut bash = limits::bound(builder, place.machine.clone()).build();
    bash.set_interactive(true);
    // bashkit's user has the id 1000, and read-only variables cannot be assigned. It separates words by IFS, but does not set it.
    let mut state = bash.shell_state();
    for (name, value) in [("UID", "0"), ("EUID", "0"), ("IFS", " \t\n")] {
        state.variables.insert(name.to_string(), value.to_string());
    }
    bash.restore_shell_state(&state);
    bash
}

/// Environment of a root login.
pub(super) fn login_env() -> BTreeMap<String, String> {
    [("PATH", PATH), ("HOME", "/root"), ("USER", "root"), ("TERM", "dumb"), ("LC_ALL", "C"), ("TZ", "UTC")]
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .into()
}

/// "command not found" as bash prints it, without bashkit's hint.
struct Unknown;

impl CommandResolver for Unknown {
    fn resolve(&self, name: &str) -> Option<Arc<dyn Builtin>> {
        Some(Arc::new(NotFound(name.to_string())))
    }
}
