//! What all plugins do alike: environment, standard input, versions, commands, results and errors (`pkg/skel` of libcni).

use glassnet_kernel::{Cx, Kernel};
use serde::Serialize;
use serde_json::Value;

use super::error::{
    DECODING_FAILURE, Done, Error, INCOMPATIBLE_VERSION, INVALID_ENVIRONMENT, INVALID_NETWORK_CONFIG, quoted,
};
use super::json::{self, Fields};
use super::types::{CniResult, VERSIONS};
use crate::memory::Memory;
use crate::process::{Boxed, Process};

/// Longest name of a device, bytes, and one more.
const IFNAMSIZ: usize = 16;

/// A command of a plugin, and what it prints.
pub(super) type Command = for<'a, 'p> fn(&'a mut Cmd<'p>) -> Boxed<'a, Done<String>>;

/// A plugin.
pub(super) struct Plugin {
    /// Its name.
    pub name: &'static str,
    /// The versions of the protocol that it speaks.
    pub versions: &'static [&'static str],
    pub add: Command,
    pub check: Command,
    pub del: Command,
}

/// A plugin that runs, with its parameters.
pub(super) struct Cmd<'p> {
    pub process: &'p mut Process,
    pub container_id: String,
    pub netns: String,
    pub if_name: String,
    pub args: String,
    /// The configuration.
    pub stdin: Vec<u8>,
}

/// What every configuration has.
pub(super) struct NetConf {
    pub version: String,
    pub name: String,
    /// The type of the IPAM plugin; empty: none.
    pub ipam: String,
    /// What the plugin before made.
    pub prev_result: Option<CniResult>,
    /// It cannot be read, which some plugins tell only where they use it.
    pub prev_error: Option<String>,
}

impl NetConf {
    /// Reads the fields that all plugins have.
    pub(super) fn read(fields: &Fields) -> Result<NetConf, String> {
        let version = fields.string("cniVersion")?;
        let prev = match fields.get("prevResult") {
            Some(value @ Value::Object(_)) => Some(CniResult::read(&version, value)),
            Some(_) => {
                return Err(fields.object("prevResult", "map[string]interface {}").err().unwrap_or_default());
            }
            None => None,
        };
        let (prev_result, prev_error) = match prev.transpose() {
            Ok(prev) => (prev, None),
            Err(error) => (None, Some(format!("could not parse prevResult: {error}"))),
        };
        fields.string("type")?;
        let ipam = fields.object("ipam", "types.IPAM")?.string("type")?;
        Ok(NetConf { version, name: fields.string("name")?, ipam, prev_result, prev_error })
    }

    /// What the plugin before made.
    pub(super) fn prev(&self, missing: &str) -> Done<CniResult> {
        match (&self.prev_result, &self.prev_error) {
            (_, Some(error)) => Err(error.clone().into()),
            (None, None) => Err(missing.into()),
            (Some(result), None) => Ok(result.clone()),
        }
    }
}

/// The answer to `VERSION`.
#[derive(Serialize)]
struct Versions {
    #[serde(rename = "cniVersion")]
    version: &'static str,
    #[serde(rename = "supportedVersions")]
    supported: &'static [&'static str],
}

/// Runs a plugin.
pub(super) async fn run(process: &mut Process, plugin: &Plugin) -> i32 {
    let said = match started(process, plugin).await {
        Ok(said) => said,
        Err(error) if error.panic.is_some() => {
            process.eprint(format!("panic: {}\n", error.panic.unwrap_or_default()));
            return 2;
        }
        Err(error) => {
            process.print(error.json());
            return 1;
        }
    };
    process.print(said);
    0
}

async fn started(process: &mut Process, plugin: &Plugin) -> Done<String> {
    let var = |name: &str| process.env.get(name).cloned().unwrap_or_default();
    let command = var("CNI_COMMAND");
    let needed: &[&str] = match command.as_str() {
        "ADD" | "CHECK" => &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"],
        "DEL" => &["CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"],
        "" => {
            let (name, versions) = (plugin.name, plugin.versions.join(", "));
            let about =
                format!("CNI {name} plugin version unknown\nCNI protocol versions supported: {versions}\n");
            process.eprint(about);
            return Ok(String::new());
        }
        _ => &[],
    };
    let missing: Vec<&str> = needed.iter().copied().filter(|name| var(name).is_empty()).collect();
    if !missing.is_empty() {
        let missing = missing.join(",");
        let text = format!("required env variables [{missing}] missing");
        return Err(Error::new(INVALID_ENVIRONMENT, text));
    }
    if command == "VERSION" {
        let versions = Versions { version: "1.0.0", supported: plugin.versions };
        return Ok(json::print_line(&versions) + "\n");
    }
    let (container_id, netns) = (var("CNI_CONTAINERID"), var("CNI_NETNS"));
    let (if_name, args) = (var("CNI_IFNAME"), var("CNI_ARGS"));
    let read = process.read_to_end().await;
    let stdin = read.map_err(|error| format!("error reading from stdin: {error}"))?;
    validate(&stdin, &container_id, &if_name)?;
    let mut cmd = Cmd { process, container_id, netns, if_name, args, stdin };
    match command.as_str() {
        "ADD" => {
            check_version(&cmd.stdin, plugin)?;
            (plugin.add)(&mut cmd).await
        }
        "DEL" => {
            check_version(&cmd.stdin, plugin)?;
            (plugin.del)(&mut cmd).await
        }
        "CHECK" => {
            if !has_check(&version(&cmd.stdin)?)? {
                return Err(Error::new(INCOMPATIBLE_VERSION, "config version does not allow CHECK"));
            }
            check_version(&cmd.stdin, plugin)?;
            (plugin.check)(&mut cmd).await
        }
        other => Err(Error::new(INVALID_ENVIRONMENT, format!("unknown CNI_COMMAND: {other}"))),
    }
}

/// The configuration's name, and what stands in the environment.
fn validate(stdin: &[u8], container_id: &str, if_name: &str) -> Done {
    let name = json::parse(stdin).and_then(|value| Fields::of("", &value)?.string("name"));
    let undecoded = |error| Error::new(DECODING_FAILURE, format!("error unmarshall network config: {error}"));
    let name = name.map_err(undecoded)?;
    if name.is_empty() {
        return Err(Error::new(INVALID_NETWORK_CONFIG, "missing network name"));
    }
    if !is_identifier(&name) {
        return Err(Error::with(INVALID_NETWORK_CONFIG, "invalid characters found in network name", name));
    }
    let wrong = |text: &str, details: &str| Err(Error::with(INVALID_ENVIRONMENT, text, details));
    if !is_identifier(container_id) {
        return wrong("invalid characters in containerID", container_id);
    }
    match if_name {
        "" => wrong("interface name is empty", ""),
        _ if if_name.len() >= IFNAMSIZ => wrong(
            "interface name is too long",
            &format!("interface name should be less than {IFNAMSIZ} characters"),
        ),
        "." | ".." => wrong("interface name is . or ..", ""),
        _ if if_name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace()) => {
            wrong("interface name contains / or : or whitespace characters", "")
        }
        _ => Ok(()),
    }
}

/// Letters and digits, behind the first also `_`, `.` and `-`.
fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

/// The version of a configuration.
fn version(stdin: &[u8]) -> Done<String> {
    let read = json::parse(stdin).and_then(|value| Fields::of("", &value)?.string("cniVersion"));
    let undecoded =
        |error| Error::new(DECODING_FAILURE, format!("decoding version from network config: {error}"));
    let version = read.map_err(undecoded)?;
    Ok(if version.is_empty() { "0.1.0".to_owned() } else { version })
}

fn check_version(stdin: &[u8], plugin: &Plugin) -> Done {
    let version = version(stdin)?;
    if plugin.versions.contains(&version.as_str()) {
        return Ok(());
    }
    let supported: Vec<String> = plugin.versions.iter().map(|version| quoted(version)).collect();
    let details = format!("config is {version:?}, plugin supports [{}]", supported.join(" "));
    Err(Error::with(INCOMPATIBLE_VERSION, "incompatible CNI versions", details))
}

/// `CHECK` came with version 0.4.0.
pub(super) fn has_check(version: &str) -> Done<bool> {
    let numbers: Result<Vec<u32>, _> = version.split('.').map(str::parse).collect();
    match numbers.as_deref() {
        Ok([major, minor, ..]) => Ok((*major, *minor) >= (0, 4)),
        Ok([major]) => Ok(*major >= 1),
        _ => Err(Error::new(DECODING_FAILURE, format!("invalid version {version:?}"))),
    }
}

/// What a program answered.
pub(super) struct Answer {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Cmd<'_> {
    /// Reads kernel state.
    pub(super) fn kernel<R>(&self, look: impl FnOnce(&Kernel) -> R) -> R {
        look(self.process.world().kernel(self.process.machine))
    }

    /// Makes a system call.
    pub(super) fn enter<R>(&self, call: impl FnOnce(&mut Cx) -> R) -> R {
        self.process.syscall(call)
    }

    /// The configuration, which has been read once.
    pub(super) fn conf(&self) -> Result<Value, String> {
        json::parse(&self.stdin)
    }

    /// Runs a program in this plugin's namespace.
    pub(super) async fn exec(&mut self, argv: Vec<String>, command: Option<&str>, stdin: &[u8]) -> Answer {
        exec(self.process, argv, command.map(|command| ("CNI_COMMAND", command)), stdin).await
    }
}

/// Runs a program with one variable more, and keeps what it says.
pub(super) async fn exec(
    process: &mut Process,
    argv: Vec<String>,
    variable: Option<(&str, &str)>,
    stdin: &[u8],
) -> Answer {
    process.flush().await;
    let (stdout, stderr) = (Memory::new([]), Memory::new([]));
    let mut child = process.child(process.netns, argv);
    child.env.extend(variable.map(|(name, value)| (name.to_owned(), value.to_owned())));
    child.stdin = Memory::new(stdin);
    (child.stdout, child.stderr) = (stdout.clone(), stderr.clone());
    let status = process.shell.clone().spawn(child).await;
    Answer { status, stdout: stdout.text(), stderr: stderr.text() }
}

/// The parameters of `CNI_ARGS` that a plugin knows; others are an error, unless it is told to ignore them.
pub(super) fn args(text: &str, known: &[&str]) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    let mut unknown = Vec::new();
    for pair in text.split(';').filter(|_| !text.is_empty()) {
        let (key, value) = match pair.split_once('=') {
            Some((key, value)) if !value.contains('=') => (key, value),
            _ => return Err(format!("ARGS: invalid pair {pair:?}")),
        };
        if key == "IgnoreUnknown" {
            let is_on = match value.to_lowercase().as_str() {
                "1" | "true" => true,
                "0" | "false" => false,
                _ => {
                    let why = "boolean unmarshal error: invalid input";
                    return Err(format!("ARGS: error parsing value of pair {pair:?}: {why} {value}"));
                }
            };
            found.push((key.to_owned(), is_on.to_string()));
        } else if known.contains(&key) {
            found.push((key.to_owned(), value.to_owned()));
        } else {
            unknown.push(quoted(pair));
        }
    }
    let is_ignored = found.iter().any(|(key, value)| key == "IgnoreUnknown" && value == "true");
    if !unknown.is_empty() && !is_ignored {
        return Err(format!("ARGS: unknown args [{}]", unknown.join(" ")));
    }
    found.retain(|(key, _)| key != "IgnoreUnknown");
    Ok(found)
}

/// All versions, for plugins without a reason to know less.
pub(super) const ALL: &[&str] = VERSIONS;
