//! `vlan`: a VLAN of a device of the host.

use glassnet_kernel::net::vlan_8021q::vlan_netlink::VlanOptions;

use super::error::Done;
use super::json::Fields;
use super::on_master::OnMaster;
use super::skel::{ALL, Cmd, Plugin};
use crate::process::Boxed;

/// The row.
pub(super) static PLUGIN: Plugin = Plugin { name: "vlan", versions: ALL, add, check, del };

fn read(cmd: &Cmd, is_del: bool) -> Done<(OnMaster, u16)> {
    let failed = |error| format!("failed to load netconf: {error}");
    let value = cmd.conf().map_err(failed)?;
    let read = |fields: Fields| {
        if fields.boolean("linkInContainer")? {
            return Err("not modelled yet: linkInContainer".to_owned());
        }
        Ok((OnMaster::read(&fields)?, fields.int("vlanId")?))
    };
    let (conf, id) = Fields::of("NetConf", &value).and_then(read).map_err(failed)?;
    if conf.master.is_empty() {
        let text =
            "\"master\" field is required. It specifies the host interface name to create the VLAN for.";
        return Err(text.into());
    }
    let wrong = || format!("invalid VLAN ID {id} (must be between 0 and 4095 inclusive)");
    let id = u16::try_from(id).ok().filter(|id| *id <= 4094).ok_or_else(wrong)?;
    if !is_del {
        cmd.check_mtu(&conf)?;
    }
    Ok((conf, id))
}

fn add<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let (conf, id) = read(cmd, false)?;
        let netns = cmd.container()?;
        let options = VlanOptions { id: Some(id), ..VlanOptions::default() };
        let inside = cmd.make_on_master(&conf, netns, options.into())?;
        cmd.configure_on_master(&conf, netns, inside, None).await
    })
}

fn check<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let (conf, id) = read(cmd, false)?;
        let (dev, result, netns) = cmd.check_on_master(&conf, "vlan").await?;
        let current = cmd.kernel(|kernel| kernel.devs[dev].vlan_dev_priv().map(|vlan| vlan.vlan_id));
        if let Some(current) = current.filter(|current| *current != id) {
            let name = &cmd.if_name;
            let text =
                format!("Error: Tuning link {name} configured promisc is {id}, current value is {current}");
            return Err(text.into());
        }
        cmd.validate_ips(netns, &cmd.if_name, &result.ips)?;
        cmd.validate_routes(netns, &result.routes)?;
        Ok(String::new())
    })
}

fn del<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let (conf, _) = read(cmd, true)?;
        cmd.del_on_master(&conf).await
    })
}
