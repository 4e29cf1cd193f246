//! `cnitool` 1.1.2: runs a list of plugins by hand.

use serde_json::{Map, Value};

use super::iptables::hash;
use super::json;
use super::libcni::{Attachment, List};
use crate::process::{Process, Running};

/// Where lists are.
const NET_CONF_PATH: &str = "/etc/cni/net.d";
/// How long a container's name is behind `cnitool-`.
const ID: usize = 20;

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        match run(process).await {
            Ok(said) => {
                process.print(said);
                0
            }
            Err(said) => {
                process.eprint(said);
                1
            }
        }
    })
}

fn usage(name: &str) -> String {
    let name = name.rsplit('/').next().unwrap_or(name);
    let lines = ["add   ", "check ", "del   "].map(|verb| format!("  {name} {verb}<net> <netns>\n"));
    format!("{name}: Add, check, or remove network interfaces from a network namespace\n{}", lines.concat())
}

async fn run(process: &mut Process) -> Result<String, String> {
    let [command, network, netns, ..] = process.args() else { return Err(usage(process.name())) };
    let (command, network, netns) = (command.clone(), network.clone(), process.path(netns));
    let var = |name: &str| process.env.get(name).cloned().filter(|value| !value.is_empty());
    let folder = var("NETCONFPATH").unwrap_or_else(|| NET_CONF_PATH.to_owned());
    let capabilities = match var("CAP_ARGS") {
        None => Map::new(),
        Some(text) => match json::parse(text.as_bytes()) {
            Ok(Value::Object(map)) => map,
            Ok(_) => return Err("CAP_ARGS is no JSON object\n".to_owned()),
            Err(error) => return Err(format!("{error}\n")),
        },
    };
    let to = Attachment {
        container_id: format!("cnitool-{}", &hash(&netns)[..ID]),
        netns,
        if_name: var("CNI_IFNAME").unwrap_or_else(|| "eth0".to_owned()),
        path: var("CNI_PATH").unwrap_or_default(),
        args: var("CNI_ARGS").unwrap_or_default(),
        capabilities,
    };
    let line = |error: String| format!("{error}\n");
    let list = List::load(process, &folder, &network).await.map_err(line)?;
    match command.as_str() {
        "add" => list.add(process, &to).await,
        "check" => list.check(process, &to).await.map(|()| String::new()),
        "del" => list.del(process, &to).await.map(|()| String::new()),
        _ => return Err(usage(process.name())),
    }
    .map_err(line)
}
