//! Errors of commands, with libxtables' messages.

use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::xt::Variant;

use super::ext::XtError;
use crate::stop::Stop;

/// The running program.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// `iptables`, `iptables-save` or `iptables-restore`.
    pub name: &'static str,
    /// Variant.
    pub variant: Variant,
}

impl Tool {
    /// `v1.8.9 (nf_tables)`.
    pub fn version(self) -> &'static str {
        match self.variant {
            Variant::Nft => "v1.8.9 (nf_tables)",
            Variant::Legacy => "v1.8.9 (legacy)",
        }
    }

    /// It reads a dump.
    pub fn restores(self) -> bool {
        self.name == "iptables-restore"
    }
}

/// Why a command fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fail {
    /// `xtables_error`: text and exit status (2: with the hint; 3: with the advice to upgrade).
    Xt(String, i32),
    /// Not an option; printed without the program's name.
    BadArgument(String),
    /// Only the hint (`exit_tryhelp`).
    Hint,
    /// A check of the tool failed: a text of `nft_strerror` or `iptc_strerror`.
    Refused(&'static str),
    /// The same where the error is `EINVAL`: one command says that the kernel's log may tell more.
    Invalid(&'static str),
    /// The kernel refused commands of a batch.
    Batch(Vec<Refusal>),
    /// The kernel refused a command: operation, error, object.
    Kernel(&'static str, Errno, String),
    /// Not modelled.
    NotModelled(String),
    /// Done, with this exit status.
    Done(i32),
}

/// A command of a batch that the kernel refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its line.
    pub line: usize,
    /// The operation, such as `RULE_APPEND`.
    pub what: &'static str,
    /// The error.
    pub errno: Errno,
    /// Such as `rule in chain INPUT`.
    pub object: String,
}

/// Result of a step of a command.
pub type Done<T = ()> = Result<T, Fail>;

/// `PARAMETER_PROBLEM`.
pub fn parameter(text: impl Into<String>) -> Fail {
    Fail::Xt(text.into(), 2)
}

impl From<XtError> for Fail {
    fn from(error: XtError) -> Fail {
        match error {
            XtError::Parameter(text) | XtError::Final(text) => Fail::Xt(text, 2),
            XtError::Other(text) => Fail::Xt(text, 1),
            XtError::NotModelled(text) => Fail::NotModelled(text),
        }
    }
}

/// nf_tables' error for one of ip_tables.
fn nft_text(errno: Errno) -> &'static str {
    if errno == Errno::ELOOP { "Too many links" } else { errno.strerror() }
}

impl Fail {
    /// Messages and exit status. `line` is the current line, 0 before the first, `None` outside of a dump; `at` is the
    /// line of the command that failed.
    pub fn render(&self, tool: Tool, line: Option<usize>, at: usize) -> Stop {
        let Tool { name, .. } = tool;
        let version = tool.version();
        let read = line.map_or(String::new(), |line| format!("Error occurred at line: {line}\n"));
        let hint = format!("Try `{name} -h' or '{name} --help' for more information.\n");
        let (text, status) = match self {
            Fail::Xt(text, status) => {
                let end = match status {
                    2 => hint,
                    3 => format!("Perhaps {name} or your kernel needs to be upgraded.\n"),
                    _ => return Stop::error(*status, format!("{name} {version}: {text}\n")),
                };
                (format!("{name} {version}: {text}\n{read}{end}"), *status)
            }
            Fail::BadArgument(word) => (format!("Bad argument `{word}'\n{read}{hint}"), 2),
            Fail::Hint => (format!("{read}{hint}"), 2),
            Fail::Refused(text) => match (line, tool.variant) {
                (None, _) => (format!("{name}: {text}.\n"), 1),
                (Some(_), Variant::Nft) => (format!("{name}: line {at} failed: {text}.\n"), 1),
                (Some(_), Variant::Legacy) => (format!("{name}: line {at} failed\n"), 1),
            },
            Fail::Invalid(text) => match (line, tool.variant) {
                (None, _) => (format!("{name}: {text}. Run `dmesg' for more information.\n"), 1),
                (Some(_), Variant::Nft) => (format!("{name}: line {at} failed: {text}.\n"), 1),
                (Some(_), Variant::Legacy) => (format!("{name}: line {at} failed\n"), 1),
            },
            Fail::Kernel(what, errno, object) => match (line, tool.variant) {
                (None, Variant::Nft) => {
                    (format!("{name} {version}:  {what} failed ({}): {object}\n", nft_text(*errno)), 4)
                }
                (Some(_), Variant::Nft) => {
                    let (errno, object) = (*errno, object.clone());
                    return Fail::Batch(vec![Refusal { line: at, what, errno, object }])
                        .render(tool, line, at);
                }
                (None, Variant::Legacy) => (format!("{name}: {}.\n", legacy_text(*errno)), 1),
                (Some(_), Variant::Legacy) => (format!("{name}: line {at} failed\n"), 1),
            },
            Fail::Batch(all) => {
                let said = all.iter().map(|Refusal { line, what, errno, object }| {
                    format!("line {line}: {what} failed ({}): {object}\n", nft_text(*errno))
                });
                (format!("{name} {version}: \n{}", said.collect::<String>()), 4)
            }
            Fail::NotModelled(what) => (format!("not modelled yet: {name} {what}\n"), 2),
            Fail::Done(status) => (String::new(), *status),
        };
        Stop::error(status, text)
    }
}

/// The legacy tool's message for a refusal of the kernel.
fn legacy_text(errno: Errno) -> &'static str {
    match errno {
        Errno::EINVAL => "Invalid argument. Run `dmesg' for more information",
        Errno::ENOENT => "No chain/target/match by that name",
        other => other.strerror(),
    }
}
