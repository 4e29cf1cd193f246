//! `flannel` (of flannel's own project): delegates to `bridge` or another plugin, with the subnet that flanneld gave this node.

use serde_json::{Map, Value};

use super::error::{Done, Error};
use super::json::{self, Fields};
use super::skel::{ALL, Cmd, Plugin};
use super::types::IpNet;
use crate::process::{Boxed, strerror};

/// The row.
pub(super) static PLUGIN: Plugin = Plugin { name: "flannel", versions: ALL, add, check, del };

/// What flanneld writes.
const SUBNET_FILE: &str = "/run/flannel/subnet.env";
/// Where the delegates' configurations are kept until DEL.
const DATA_DIR: &str = "/var/lib/cni/flannel";

/// The configuration.
struct Conf {
    name: String,
    version: String,
    subnet_file: String,
    data_dir: String,
    ipam: Map<String, Value>,
    delegate: Map<String, Value>,
    runtime: Option<Value>,
}

impl Conf {
    fn read(cmd: &Cmd) -> Done<Conf> {
        let failed = |error| format!("failed to load netconf: {error}");
        let value = cmd.conf().map_err(failed)?;
        let read = |fields: Fields| {
            let or = |text: String, default: &str| if text.is_empty() { default.to_owned() } else { text };
            let map = |key| fields.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
            for key in ["ipam", "delegate", "runtimeConfig"] {
                fields.object(key, "map[string]interface {}")?;
            }
            Ok(Conf {
                name: fields.string("name")?,
                version: fields.string("cniVersion")?,
                subnet_file: or(fields.string("subnetFile")?, SUBNET_FILE),
                data_dir: or(fields.string("dataDir")?, DATA_DIR),
                ipam: map("ipam"),
                delegate: map("delegate"),
                runtime: fields.get("runtimeConfig").cloned(),
            })
        };
        Ok(Fields::of("NetConf", &value).and_then(read).map_err(failed)?)
    }

    fn check_delegate(&self) -> Result<(), &'static str> {
        if self.delegate.get("type").is_some_and(|kind| !kind.is_string()) {
            return Err("'delegate' dictionary, if present, must have (string) 'type' field");
        }
        if self.delegate.contains_key("name") {
            return Err("'delegate' dictionary must not have 'name' field, it'll be set by flannel");
        }
        if self.delegate.contains_key("ipam") {
            return Err("'delegate' dictionary must not have 'ipam' field, it'll be set by flannel");
        }
        Ok(())
    }

    /// The delegate's configuration.
    fn delegated(&self, env: &SubnetEnv) -> Map<String, Value> {
        let mut conf = self.delegate.clone();
        conf.insert("name".to_owned(), self.name.as_str().into());
        let kind = conf.entry("type").or_insert_with(|| "bridge".into()).clone();
        conf.entry("ipMasq").or_insert(Value::Bool(!env.ip_masq));
        conf.entry("mtu").or_insert(env.mtu.into());
        if kind == "bridge" {
            conf.entry("isGateway").or_insert(Value::Bool(true));
        }
        if let Some(runtime) = &self.runtime {
            conf.insert("runtimeConfig".to_owned(), runtime.clone());
        }
        if !self.version.is_empty() {
            conf.insert("cniVersion".to_owned(), self.version.as_str().into());
        }
        let mut ipam = self.ipam.clone();
        ipam.entry("type").or_insert_with(|| "host-local".into());
        let subnet = IpNet { ip: env.subnet.network(), ..env.subnet };
        ipam.insert("ranges".to_owned(), serde_json::json!([[{ "subnet": subnet.to_string() }]]));
        let mut routes = ipam.get("routes").and_then(Value::as_array).cloned().unwrap_or_default();
        routes.extend(env.networks.iter().map(|network| serde_json::json!({ "dst": network.to_string() })));
        ipam.insert("routes".to_owned(), routes.into());
        conf.insert("ipam".to_owned(), ipam.into());
        conf
    }
}

/// What flanneld gave the node.
struct SubnetEnv {
    networks: Vec<IpNet>,
    subnet: IpNet,
    mtu: u64,
    ip_masq: bool,
}

impl SubnetEnv {
    async fn load(cmd: &Cmd<'_>, path: &str) -> Done<SubnetEnv> {
        let read = cmd.process.files.read(&cmd.process.path(path)).await;
        let text = read.map_err(|error| format!("open {path}: {}", strerror(&error).to_lowercase()))?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let value = |key: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once('='));
            lines.find(|(name, _)| *name == key).map(|(_, value)| value.to_owned())
        };
        let keys = ["FLANNEL_NETWORK", "FLANNEL_SUBNET", "FLANNEL_MTU", "FLANNEL_IPMASQ"];
        let [Some(networks), Some(subnet), Some(mtu), Some(ip_masq)] = keys.map(value) else {
            let missing: Vec<&str> = keys.into_iter().filter(|key| value(key).is_none()).collect();
            return Err(format!("{path} is missing {}", missing.join(", ")).into());
        };
        let mtu = mtu.parse().map_err(|_| format!("strconv.ParseUint: parsing {mtu:?}: invalid syntax"))?;
        Ok(SubnetEnv {
            networks: networks.split(',').map(IpNet::parse).collect::<Result<_, _>>()?,
            subnet: IpNet::parse(&subnet)?,
            mtu,
            ip_masq: ip_masq == "true",
        })
    }
}

fn add<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let conf = Conf::read(cmd)?;
        let env = SubnetEnv::load(cmd, &conf.subnet_file).await?;
        conf.check_delegate()?;
        let delegated = conf.delegated(&env);
        let text = json::print_line(&delegated);
        let files = &cmd.process.files;
        let failed = |error: std::io::Error| {
            let dir = &conf.data_dir;
            Error::from(format!("failed to create the flannel data directory({dir:?}): {}", strerror(&error)))
        };
        files.make_dir(&conf.data_dir).await.map_err(failed)?;
        files
            .write(&format!("{}/{}", conf.data_dir, cmd.container_id), text.as_bytes())
            .await
            .map_err(failed)?;
        let kind = delegated.get("type").and_then(Value::as_str).unwrap_or_default();
        let printed = cmd.delegate(kind, "ADD", text.as_bytes()).await?;
        Ok(super::invoke::result(&conf.version, &printed)?.json(&conf.version)?)
    })
}

fn check<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        Conf::read(cmd)?;
        Ok(String::new())
    })
}

fn del<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let conf = Conf::read(cmd)?;
        let path = format!("{}/{}", conf.data_dir, cmd.container_id);
        // A container that was never added, or is gone, has no file.
        let Ok(text) = cmd.process.files.read(&path).await else { return Ok(String::new()) };
        let value = json::parse(&text).map_err(|error| format!("failed to parse netconf: {error}"))?;
        let kind = value.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        cmd.delegate(&kind, "DEL", &text).await?;
        // It is gone anyway.
        let _ = cmd.process.files.remove(&path).await;
        Ok(String::new())
    })
}
