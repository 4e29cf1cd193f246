//! What the plugins do alike whose device lies on another one of the host (`macvlan`, `ipvlan`, `vlan`).

use glassnet_kernel::ids::{DevId, NetnsId};
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::net::core::rtnetlink::{LinkNew, LinkSet};

use super::error::Done;
use super::json::Fields;
use super::link::{MAIN, parse_mac, sized};
use super::skel::{Cmd, NetConf};
use super::types::{CniResult, Dns, Interface};

/// What their configurations have alike.
pub(super) struct OnMaster {
    pub net: NetConf,
    pub master: String,
    pub mtu: i64,
    pub dns: Dns,
    /// The address that is asked for; empty: the kernel's.
    pub mac: String,
}

impl OnMaster {
    pub(super) fn read(fields: &Fields) -> Result<OnMaster, String> {
        Ok(OnMaster {
            net: NetConf::read(fields)?,
            master: fields.string("master")?,
            mtu: fields.int("mtu")?,
            dns: Dns::read(&fields.object("dns", "types.DNS")?)?,
            mac: String::new(),
        })
    }

    fn has_ipam(&self) -> bool {
        !self.net.ipam.is_empty()
    }
}

impl Cmd<'_> {
    /// The device of the first default route.
    pub(super) fn default_route_interface(&self) -> Result<String, String> {
        let routes = self.routes(self.host(), MAIN);
        let default = routes.iter().find(|route| route.dst.is_unspecified() && route.dst_len == 0);
        let dev = default.and_then(|route| route.nexthops.first()?.dev);
        dev.map(|dev| self.name(dev)).ok_or_else(|| "no default route interface found".to_owned())
    }

    /// The MTU is one that the lower device has room for.
    pub(super) fn check_mtu(&self, conf: &OnMaster) -> Result<(), String> {
        let master = self.link(self.host(), &conf.master)?;
        let most = self.kernel(|kernel| kernel.devs[master].mtu);
        match (0..=i64::from(most)).contains(&conf.mtu) {
            true => Ok(()),
            false => Err(format!("invalid MTU {}, must be [0, master MTU({most})]", conf.mtu)),
        }
    }

    /// Makes the device in the container, first with a drawn name: its own may be one of the host's.
    pub(super) fn make_on_master(&self, conf: &OnMaster, netns: NetnsId, info: LinkInfo) -> Done<Interface> {
        let (kind, name) = (info.kind, &self.if_name);
        let link = self.link(self.host(), &conf.master);
        let link = link.map_err(|error| format!("failed to lookup master {:?}: {error}", conf.master))?;
        let mac = Some(conf.mac.as_str()).filter(|mac| !mac.is_empty());
        let address = mac.map(parse_mac).transpose();
        let address = address.map_err(|error| format!("invalid args {} for MAC addr: {error}", conf.mac))?;
        let drawn = self.random_veth_name(netns);
        let set = LinkSet { netns: Some(netns), address, info: Some(info), ..sized(conf.mtu) };
        let new = LinkNew { name: Some(drawn.clone()), set, link: Some(link), ..LinkNew::default() };
        let dev =
            self.add_link(self.host(), new).map_err(|error| format!("failed to create {kind}: {error}"))?;
        self.named(&drawn);
        if let Err(error) = self.set_link(dev, LinkSet { name: Some(name.clone()), ..LinkSet::default() }) {
            // It goes again; whether it does is not told.
            let _ = self.delete_link(dev);
            return Err(format!("failed to rename {kind} to {name:?}: {error}").into());
        }
        Ok(self.interface(dev, &self.netns))
    }

    /// Gives the device its addresses, or takes it away again.
    pub(super) async fn configure_on_master(
        &mut self,
        conf: &OnMaster,
        netns: NetnsId,
        inside: Interface,
        given: Option<CniResult>,
    ) -> Done<String> {
        let mut is_asked = false;
        match self.addressed(conf, netns, inside, given, &mut is_asked).await {
            Ok(result) => Ok(result.json(&conf.net.version)?),
            Err(error) => {
                // What was made goes again; what that says is no matter.
                if is_asked {
                    let _ = self.ipam_del(&conf.net.ipam).await;
                }
                let _ = self.del_link_by_name(netns, &self.if_name);
                Err(error)
            }
        }
    }

    async fn addressed(
        &mut self,
        conf: &OnMaster,
        netns: NetnsId,
        inside: Interface,
        given: Option<CniResult>,
        is_asked: &mut bool,
    ) -> Done<CniResult> {
        let mut result = match given {
            Some(given) => given,
            None => {
                let ipam = self.ipam_add(&conf.net.ipam, &conf.net.version).await?;
                *is_asked = true;
                ipam
            }
        };
        if result.ips.is_empty() {
            return Err("IPAM plugin returned missing IP config".into());
        }
        for ip in &mut result.ips {
            ip.interface = Some(0);
        }
        result.interfaces = vec![inside];
        self.notify_arp(netns, &self.if_name);
        self.configure_iface(netns, &self.if_name, &result)?;
        result.dns = conf.dns.clone();
        Ok(result)
    }

    /// Takes the device away; a container that is gone has none.
    pub(super) async fn del_on_master(&mut self, conf: &OnMaster) -> Done<String> {
        if conf.has_ipam() {
            self.ipam_del(&conf.net.ipam).await?;
        }
        if let Ok(netns) = self.netns_at(&self.netns) {
            self.del_link_by_name(netns, &self.if_name)?;
        }
        Ok(String::new())
    }

    /// The device of the result before is there, of this kind; returns it.
    pub(super) async fn check_on_master(
        &mut self,
        conf: &OnMaster,
        kind: &str,
    ) -> Done<(DevId, CniResult, NetnsId)> {
        let netns = self.container()?;
        if conf.has_ipam() {
            self.ipam_check(&conf.net.ipam).await?;
        }
        let result = conf.net.prev("Required prevResult missing")?;
        let inside = self.inside(&result)?;
        let master = &conf.master;
        self.link(self.host(), master)
            .map_err(|error| format!("failed to lookup master {master:?}: {error}"))?;
        let dev = self.validate_inside(netns, &inside, kind)?;
        Ok((dev, result, netns))
    }

    /// The device of the container in a result.
    pub(super) fn inside(&self, result: &CniResult) -> Done<Interface> {
        let is_it =
            |interface: &&Interface| interface.name == self.if_name && interface.sandbox == self.netns;
        let inside = result.interfaces.iter().find(is_it).cloned().unwrap_or_default();
        if inside.sandbox != self.netns {
            let text = format!(
                "Sandbox in prevResult {} doesn't match configured netns: {}",
                inside.sandbox, self.netns
            );
            return Err(text.into());
        }
        Ok(inside)
    }

    /// It is there, of this kind; empty: of any.
    pub(super) fn validate_inside(&self, netns: NetnsId, inside: &Interface, kind: &str) -> Done<DevId> {
        let (name, mac) = (&inside.name, &inside.mac);
        let dev = self
            .link(netns, name)
            .map_err(|_| format!("Container Interface name in prevResult: {name} not found"))?;
        let own = self.mac(dev);
        if !kind.is_empty() && self.kind(dev) != kind {
            return Err(format!("Error: Container interface {name} not of type {kind}").into());
        }
        if !mac.is_empty() && *mac != own {
            return Err(format!("Interface {name} Mac {mac} doesn't match container Mac: {own}").into());
        }
        Ok(dev)
    }
}
