//! `host-device`: moves a device of the host into the container.

use glassnet_kernel::ids::{DevId, NetnsId};
use glassnet_kernel::net::core::rtnetlink::LinkSet;

use super::error::Done;
use super::json::Fields;
use super::link::parse_mac;
use super::skel::{ALL, Cmd, NetConf, Plugin};
use super::types::{CniResult, Dns, Interface};
use crate::process::Boxed;

/// The row.
pub(super) static PLUGIN: Plugin = Plugin { name: "host-device", versions: ALL, add, check, del };

/// The configuration.
struct Conf {
    net: NetConf,
    device: String,
    hwaddr: String,
    dns: Dns,
}

impl Conf {
    fn read(cmd: &Cmd) -> Done<Conf> {
        let failed = |error| format!("failed to load netconf: {error}");
        let value = cmd.conf().map_err(failed)?;
        let fields = Fields::of("NetConf", &value).map_err(failed)?;
        let read = || {
            let other = [fields.string("kernelpath")?, fields.string("pciBusID")?];
            let in_runtime = fields.object("runtimeConfig", "struct")?.string("deviceID")?;
            let conf = Conf {
                net: NetConf::read(&fields)?,
                device: fields.string("device")?,
                hwaddr: fields.string("hwaddr")?,
                dns: Dns::read(&fields.object("dns", "types.DNS")?)?,
            };
            Ok((conf, other.into_iter().any(|field| !field.is_empty()) || !in_runtime.is_empty()))
        };
        let (conf, is_other) = read().map_err(failed)?;
        if is_other {
            return Err("not modelled yet: host-device by kernelpath, pciBusID or deviceID".into());
        }
        if conf.device.is_empty() && conf.hwaddr.is_empty() {
            return Err("specify either \"device\", \"hwaddr\", \"kernelpath\" or \"pciBusID\"".into());
        }
        Ok(conf)
    }
}

impl Cmd<'_> {
    /// The device that the configuration means.
    fn host_device(&self, conf: &Conf) -> Result<DevId, String> {
        if !conf.device.is_empty() {
            return self.link(self.host(), &conf.device);
        }
        let mac = parse_mac(&conf.hwaddr)
            .map_err(|error| format!("failed to parse MAC address {:?}: {error}", conf.hwaddr))?;
        let host = self.host();
        let found = self.kernel(|kernel| {
            let mut devs = kernel.netns[host].devs.values();
            devs.find(|dev| kernel.devs[**dev].addr == mac).copied()
        });
        found.ok_or_else(|| "failed to find physical interface".to_owned())
    }

    /// Moves it in, with the container's name for it; its old one becomes its alias.
    fn move_in(&self, dev: DevId, netns: NetnsId) -> Done {
        let (old, name) = (self.name(dev), &self.if_name);
        let set = |what: LinkSet| self.set_link(dev, what);
        set(LinkSet { netns: Some(netns), ..LinkSet::default() })?;
        set(LinkSet { up: Some(false), ..LinkSet::default() })
            .map_err(|error| format!("failed to set {old:?} down: {error}"))?;
        set(LinkSet { alias: Some(old.clone()), ..LinkSet::default() })
            .map_err(|error| format!("failed to set alias to {old:?}: {error}"))?;
        set(LinkSet { name: Some(name.clone()), ..LinkSet::default() })
            .map_err(|error| format!("failed to rename device {old:?} to {name:?}: {error}"))?;
        Ok(self.set_up(dev).map_err(|error| format!("failed to set {name:?} up: {error}"))?)
    }

    /// Moves it out, with its old name.
    fn move_out(&self, netns: NetnsId) -> Done {
        let name = &self.if_name;
        let dev = self.link(netns, name).map_err(|error| format!("failed to find {name:?}: {error}"))?;
        let set = |what: LinkSet| self.set_link(dev, what);
        set(LinkSet { up: Some(false), ..LinkSet::default() })
            .map_err(|error| format!("failed to set {name:?} down: {error}"))?;
        let old = self.kernel(|kernel| kernel.devs[dev].alias.clone()).unwrap_or_default();
        set(LinkSet { name: Some(old.clone()), ..LinkSet::default() })
            .map_err(|error| format!("failed to restore {name:?} to original name {old:?}: {error}"))?;
        let host = LinkSet { netns: Some(self.host()), ..LinkSet::default() };
        set(host).map_err(|error| format!("failed to move {old:?} to host netns: {error}"))?;
        Ok(())
    }

    async fn addressed_device(&mut self, conf: &Conf, netns: NetnsId, inside: Interface) -> Done<CniResult> {
        let mut result = self.ipam_add(&conf.net.ipam, &conf.net.version).await?;
        let configured = (|| {
            if result.ips.is_empty() {
                return Err("IPAM plugin returned missing IP config".into());
            }
            for ip in &mut result.ips {
                ip.interface = Some(0);
            }
            result.interfaces = vec![inside];
            self.configure_iface(netns, &self.if_name, &result)
        })();
        if let Err(error) = configured {
            // The address is free again; what that says is no matter.
            let _ = self.ipam_del(&conf.net.ipam).await;
            return Err(error);
        }
        result.dns = conf.dns.clone();
        Ok(result)
    }
}

fn add<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let conf = Conf::read(cmd)?;
        let netns = cmd.container()?;
        let dev = cmd.host_device(&conf).map_err(|error| format!("failed to find host device: {error}"))?;
        cmd.move_in(dev, netns).map_err(|error| format!("failed to move link {}", error.msg))?;
        let inside = cmd.interface(dev, &cmd.netns);
        let result = match conf.net.ipam.is_empty() {
            true => CniResult { interfaces: vec![inside], ..CniResult::default() },
            false => cmd.addressed_device(&conf, netns, inside).await?,
        };
        Ok(result.json(&conf.net.version)?)
    })
}

fn check<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let conf = Conf::read(cmd)?;
        let netns = cmd.container()?;
        if !conf.net.ipam.is_empty() {
            cmd.ipam_check(&conf.net.ipam).await?;
        }
        let result = conf.net.prev("Required prevResult missing")?;
        let inside = cmd.inside(&result)?;
        cmd.validate_inside(netns, &inside, "")?;
        cmd.validate_ips(netns, &cmd.if_name, &result.ips)?;
        cmd.validate_routes(netns, &result.routes)?;
        Ok(String::new())
    })
}

fn del<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let conf = Conf::read(cmd)?;
        if cmd.netns.is_empty() {
            return Ok(String::new());
        }
        let netns = cmd.container()?;
        if !conf.net.ipam.is_empty() {
            cmd.ipam_del(&conf.net.ipam).await?;
        }
        cmd.move_out(netns)?;
        Ok(String::new())
    })
}
