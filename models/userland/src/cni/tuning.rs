//! `tuning`: settings of a container's namespace and of its device, which it puts back.

use glassnet_kernel::ids::{DevId, NetnsId};
use glassnet_kernel::net::core::rtnetlink::LinkSet;
use glassnet_kernel::tables::netdev::{IFF_ALLMULTI, IFF_PROMISC};
use serde::{Deserialize, Serialize};

use super::error::Done;
use super::json::{self, Fields};
use super::link::parse_mac;
use super::skel::{ALL, Cmd, NetConf, Plugin, args};
use crate::process::{Boxed, strerror};

/// The row.
pub(super) static PLUGIN: Plugin = Plugin { name: "tuning", versions: ALL, add, check, del };

/// Where old settings are kept.
const DATA_DIR: &str = "/run/cni/tuning";
/// The sysctls that are allowed, if this is there.
const ALLOWLIST: &str = "/etc/cni/tuning/allowlist.conf";

/// The configuration.
struct Conf {
    net: NetConf,
    sysctl: Vec<(String, String)>,
    mac: String,
    promisc: bool,
    mtu: i64,
    allmulti: Option<bool>,
    data_dir: String,
}

/// Settings of a device as they were.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Backup {
    #[serde(skip_serializing_if = "String::is_empty")]
    mac: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    promisc: Option<bool>,
    #[serde(skip_serializing_if = "is_zero")]
    mtu: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    allmulti: Option<bool>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Conf {
    fn read(cmd: &Cmd) -> Done<Conf> {
        let failed = |error| format!("failed to load netconf: {error}");
        let value = cmd.conf().map_err(failed)?;
        let mut conf =
            Fields::of("TuningConf", &value).and_then(|fields| Conf::fields(&fields)).map_err(failed)?;
        let in_env = args(&cmd.args, &["MAC"])?.pop().map(|(_, mac)| mac);
        if let Some(mac) = in_env.filter(|mac| !mac.is_empty()) {
            conf.mac = mac;
        }
        let fields = Fields::of("TuningConf", &value).map_err(failed)?;
        conf.more(&fields).map_err(failed)?;
        Ok(conf)
    }

    fn fields(fields: &Fields) -> Result<Conf, String> {
        let data_dir = fields.string("dataDir")?;
        Ok(Conf {
            net: NetConf::read(fields)?,
            sysctl: fields.string_map("sysctl")?,
            mac: fields.string("mac")?,
            promisc: fields.boolean("promisc")?,
            mtu: fields.int("mtu")?,
            allmulti: fields.flag("allmulti")?,
            data_dir: if data_dir.is_empty() { DATA_DIR.to_owned() } else { data_dir },
        })
    }

    /// What stands in `args` and in `runtimeConfig` goes before.
    fn more(&mut self, fields: &Fields) -> Result<(), String> {
        let cni = fields.object("args", "struct")?.object("cni", "IPAMArgs")?;
        self.sysctl.extend(cni.string_map("sysctl")?);
        let in_args = cni.string("mac")?;
        let in_runtime = fields.object("runtimeConfig", "struct")?.string("mac")?;
        if let Some(mac) = [in_args, in_runtime].into_iter().rfind(|mac| !mac.is_empty()) {
            self.mac = mac;
        }
        self.promisc = cni.flag("promisc")?.unwrap_or(self.promisc);
        self.mtu = if cni.get("mtu").is_some() { cni.int("mtu")? } else { self.mtu };
        self.allmulti = cni.flag("allmulti")?.or(self.allmulti);
        Ok(())
    }

    fn changes_device(&self) -> bool {
        !self.mac.is_empty() || self.mtu != 0 || self.promisc || self.allmulti.is_some()
    }
}

/// The file of a sysctl, with its name.
fn sysctl_path(key: &str, if_name: &str) -> Result<String, String> {
    let mut parts: Vec<&str> = Vec::new();
    let path = key.replace('.', "/");
    for part in path.split('/') {
        match part {
            "" => {}
            _ => parts.push(if part == "IFNAME" { if_name } else { part }),
        }
    }
    match parts.first() {
        Some(&"net") if parts.len() > 1 => Ok(format!("/proc/sys/{}", parts.join("/"))),
        _ => Err(format!("invalid net sysctl key: {key:?}")),
    }
}

impl Cmd<'_> {
    fn tuned(&self, netns: NetnsId) -> Done<DevId> {
        let name = &self.if_name;
        Ok(self.link(netns, name).map_err(|error| format!("failed to get {name:?}: {error}"))?)
    }

    /// A new address, while the device is down.
    fn change_mac(&self, dev: DevId, mac: &str) -> Done {
        let name = &self.if_name;
        let parsed = parse_mac(mac).map_err(|error| format!("invalid args {mac} for MAC addr: {error}"))?;
        let set = |what: LinkSet| self.set_link(dev, what);
        set(LinkSet { up: Some(false), ..LinkSet::default() })
            .map_err(|error| format!("failed to set {name:?} down: {error}"))?;
        set(LinkSet { address: Some(parsed), ..LinkSet::default() })
            .map_err(|error| format!("failed to set {name:?} address to {mac:?}: {error}"))?;
        Ok(self.set_up(dev).map_err(|error| format!("failed to set {name:?} up: {error}"))?)
    }

    fn change_promisc(&self, dev: DevId, is_on: bool) -> Result<(), String> {
        self.set_link(dev, LinkSet { promisc: Some(is_on), ..LinkSet::default() })
    }

    fn change_mtu(&self, dev: DevId, mtu: i64) -> Result<(), String> {
        let mtu = u32::try_from(mtu).unwrap_or(u32::MAX);
        self.set_link(dev, LinkSet { mtu: Some(mtu), ..LinkSet::default() })
    }

    fn change_allmulti(&self, dev: DevId, is_on: bool) -> Result<(), String> {
        self.set_link(dev, LinkSet { allmulticast: Some(is_on), ..LinkSet::default() })
    }

    fn backup_path(&self, conf: &Conf) -> String {
        format!("{}/{}_{}.json", conf.data_dir, self.container_id, self.if_name)
    }

    /// Keeps the settings that are about to change.
    async fn keep(&self, conf: &Conf, dev: DevId) -> Done {
        let backup = self.kernel(|kernel| {
            let netdev = &kernel.devs[dev];
            let has = |flag| netdev.dev_get_flags() & flag != 0;
            Backup {
                mac: if conf.mac.is_empty() { String::new() } else { netdev.addr.to_string() },
                promisc: conf.promisc.then(|| has(IFF_PROMISC)),
                mtu: if conf.mtu == 0 { 0 } else { netdev.mtu },
                allmulti: conf.allmulti.map(|_| has(IFF_ALLMULTI)),
            }
        });
        let files = &self.process.files;
        let made = files.make_dir(&conf.data_dir).await;
        made.map_err(|error| format!("failed to create backup directory: {}", strerror(&error)))?;
        let path = self.backup_path(conf);
        if files.read(&path).await.is_err() {
            let written = files.write(&path, json::print(&backup, " ").as_bytes()).await;
            written.map_err(|error| format!("failed to save file {path}: {}", strerror(&error)))?;
        }
        Ok(())
    }

    /// Puts them back, as far as that goes.
    async fn restore(&self, conf: &Conf) {
        let path = self.backup_path(conf);
        let Ok(text) = self.process.files.read(&path).await else { return };
        let backup: Backup = serde_json::from_slice(&text).unwrap_or_default();
        let dev = self.netns_at(&self.netns).and_then(|netns| self.link(netns, &self.if_name));
        if let Ok(dev) = dev {
            // One that cannot be put back hinders no other.
            if !backup.mac.is_empty() {
                let _ = self.change_mac(dev, &backup.mac);
            }
            let _ = backup.promisc.map(|is_on| self.change_promisc(dev, is_on));
            if backup.mtu != 0 {
                let _ = self.change_mtu(dev, i64::from(backup.mtu));
            }
            let _ = backup.allmulti.map(|is_on| self.change_allmulti(dev, is_on));
        }
        let _ = self.process.files.remove(&path).await;
    }
}

fn add<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let conf = Conf::read(cmd)?;
        if cmd.process.files.read(ALLOWLIST).await.is_ok() {
            return Err(format!("not modelled yet: {ALLOWLIST}").into());
        }
        let mut result = conf.net.prev("Required prevResult missing")?;
        let netns = cmd.netns_at(&cmd.netns)?;
        for (key, value) in &conf.sysctl {
            let path = sysctl_path(key, &cmd.if_name)?;
            cmd.write_proc(netns, &path, value)?;
        }
        if conf.changes_device() {
            let dev = cmd.tuned(netns)?;
            cmd.keep(&conf, dev).await?;
            if !conf.mac.is_empty() {
                cmd.change_mac(dev, &conf.mac)?;
                let (name, mac) = (cmd.if_name.clone(), cmd.mac(dev));
                for interface in result.interfaces.iter_mut().filter(|interface| interface.name == name) {
                    interface.mac.clone_from(&mac);
                }
            }
            if conf.promisc {
                cmd.change_promisc(dev, true)?;
            }
            if conf.mtu != 0 {
                cmd.change_mtu(dev, conf.mtu)?;
            }
            if let Some(is_on) = conf.allmulti {
                cmd.change_allmulti(dev, is_on)?;
            }
        }
        Ok(result.json(&conf.net.version)?)
    })
}

fn check<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let conf = Conf::read(cmd)?;
        conf.net.prev("Required prevResult missing")?;
        let netns = cmd.netns_at(&cmd.netns)?;
        for (key, value) in &conf.sysctl {
            let path = sysctl_path(key, &cmd.if_name)?;
            let current = cmd.read_proc(netns, &path)?;
            let current = current.trim_end_matches('\n');
            if !value.is_empty() && value != current {
                let text = format!(
                    "Error: Tuning configured value of {path} is {value}, current value is {current}"
                );
                return Err(text.into());
            }
        }
        let (name, dev) = (cmd.if_name.clone(), cmd.link(netns, &cmd.if_name));
        let dev = dev.map_err(|_| format!("Cannot find container link {name}"))?;
        let (promisc, mtu, allmulti) = cmd.kernel(|kernel| {
            let netdev = &kernel.devs[dev];
            (netdev.promiscuity, netdev.mtu, netdev.dev_get_flags() & IFF_ALLMULTI != 0)
        });
        let mac = cmd.mac(dev);
        let differs = |what: &str, wanted: &str, current: &str| {
            Err(format!("Error: Tuning {what} is {wanted}, current value is {current}").into())
        };
        if !conf.mac.is_empty() && conf.mac != mac {
            return differs(&format!("configured Ethernet of {name}"), &conf.mac, &mac);
        }
        if conf.promisc != (promisc != 0) {
            let what = format!("link {name} configured promisc");
            return differs(&what, &conf.promisc.to_string(), &promisc.to_string());
        }
        if conf.mtu != 0 && conf.mtu != i64::from(mtu) {
            return differs(&format!("configured MTU of {name}"), &conf.mtu.to_string(), &mtu.to_string());
        }
        if conf.allmulti.is_some_and(|wanted| wanted != allmulti) {
            let what = format!("configured all-multicast mode of {name}");
            // It prints where the setting is kept.
            return differs(&what, "0xc000000000", &allmulti.to_string());
        }
        Ok(String::new())
    })
}

fn del<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let conf = Conf::read(cmd)?;
        cmd.restore(&conf).await;
        Ok(String::new())
    })
}
