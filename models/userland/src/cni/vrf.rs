//! `vrf`: puts a container's device into a VRF of the container.

use glassnet_kernel::drivers::vrf::VrfAttrs;
use glassnet_kernel::ids::{DevId, NetnsId};
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::net::core::rtnetlink::{LinkNew, LinkSet};

use super::error::{Done, Error};
use super::json::Fields;
use super::link::sized;
use super::skel::{Cmd, NetConf, Plugin};
use crate::process::Boxed;

/// The row.
pub(super) static PLUGIN: Plugin =
    Plugin { name: "vrf", versions: &["0.3.1", "0.4.0", "1.0.0"], add, check, del };

fn read(cmd: &Cmd) -> Done<(NetConf, String)> {
    let failed = |error| format!("failed to load netconf: {error}");
    let value = cmd.conf().map_err(failed)?;
    let read = |fields: Fields| Ok((NetConf::read(&fields)?, fields.string("vrfname")?));
    let (net, name) = Fields::of("VRFNetConf", &value).and_then(read).map_err(failed)?;
    if name.is_empty() {
        return Err("configuration is expected to have a valid vrf name".into());
    }
    if let Some(error) = &net.prev_error {
        return Err(error.clone().into());
    }
    Ok((net, name))
}

impl Cmd<'_> {
    /// The VRF of this name.
    fn find_vrf(&self, netns: NetnsId, name: &str) -> Option<DevId> {
        self.link(netns, name).ok().filter(|dev| self.kind(*dev) == "vrf")
    }

    /// Makes one with the first table that no VRF has.
    fn create_vrf(&self, netns: NetnsId, name: &str) -> Result<DevId, String> {
        let table = self.kernel(|kernel| {
            let devs = || kernel.netns[netns].devs.values().map(|dev| &kernel.devs[*dev]);
            (1..).find(|table| devs().all(|dev| dev.l3mdev_fib_table != Some(*table)))
        });
        let info = LinkInfo::with("vrf", VrfAttrs { table });
        let set = LinkSet { info: Some(info), ..sized(0) };
        let new = LinkNew { name: Some(name.to_owned()), set, ..LinkNew::default() };
        let dev = self.add_link(netns, new).map_err(|error| format!("could not add VRF {name}: {error}"))?;
        self.set_up(dev).map_err(|error| format!("could not set link up for VRF {name}: {error}"))?;
        Ok(dev)
    }

    fn enslave(&self, netns: NetnsId, name: &str) -> Result<(), String> {
        let vrf = match self.find_vrf(netns, name) {
            Some(vrf) => vrf,
            None => self.create_vrf(netns, name)?,
        };
        let own = &self.if_name;
        let dev = self.link(netns, own).map_err(|_| format!("could not get link by name {own}"))?;
        if let Some(master) = self.kernel(|kernel| kernel.devs[dev].master()) {
            return Err(format!("interface {own} has already a master set: {}", self.name(master)));
        }
        self.set_link(dev, LinkSet { master: Some(Some(vrf)), ..LinkSet::default() })
            .map_err(|error| format!("could not set vrf {name} as master of {own}: {error}"))
    }

    fn release(&self, netns: NetnsId, name: &str) -> Result<(), String> {
        let Some(vrf) = self.find_vrf(netns, name) else { return Ok(()) };
        let own = &self.if_name;
        let dev = self.link(netns, own).map_err(|_| format!("could not get link by name {own}"))?;
        self.set_link(dev, LinkSet { master: Some(None), ..LinkSet::default() })?;
        let is_used = self.kernel(|kernel| {
            kernel.netns[netns].devs.values().any(|dev| kernel.devs[*dev].master() == Some(vrf))
        });
        if is_used { Ok(()) } else { self.delete_link(vrf) }
    }
}

fn add<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let (net, name) = read(cmd)?;
        let result = net.prev("missing prevResult from earlier plugin")?;
        let netns = cmd.netns_at(&cmd.netns);
        let done = netns.and_then(|netns| cmd.enslave(netns, &name));
        done.map_err(|error| format!("cmdAdd failed: {error}"))?;
        Ok(result.json(&net.version)?)
    })
}

fn check<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let (net, name) = read(cmd)?;
        net.prev("missing prevResult from earlier plugin")?;
        let netns = cmd.netns_at(&cmd.netns)?;
        let Some(vrf) = cmd.find_vrf(netns, &name) else { return Ok(String::new()) };
        let dev = cmd.link(netns, &cmd.if_name).ok();
        let master = dev.and_then(|dev| cmd.kernel(|kernel| kernel.devs[dev].master()));
        match master == Some(vrf) {
            true => Ok(String::new()),
            false => Err(format!("Failed to find {} associated to vrf {name}", cmd.if_name).into()),
        }
    })
}

fn del<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let (_, name) = read(cmd)?;
        // A container that is gone has no devices.
        let Ok(netns) = cmd.netns_at(&cmd.netns) else { return Ok(String::new()) };
        cmd.release(netns, &name).map_err(|error| Error::from(format!("cmdDel failed: {error}")))?;
        Ok(String::new())
    })
}
