//! `ipvlan`: a device on one of the host, with that one's address.

use glassnet_kernel::drivers::ipvlan::ipvlan_main::{IpvlanOptions, ipvlan, ipvlan_port};
use glassnet_kernel::tables::ipvlan::IpvlanMode;

use super::error::Done;
use super::json::Fields;
use super::on_master::OnMaster;
use super::skel::{ALL, Cmd, Plugin};
use crate::process::Boxed;

/// The row.
pub(super) static PLUGIN: Plugin = Plugin { name: "ipvlan", versions: ALL, add, check, del };

fn read(cmd: &Cmd, is_check: bool) -> Done<(OnMaster, String)> {
    let failed = |error| format!("failed to load netconf: {error}");
    let value = cmd.conf().map_err(failed)?;
    let read = |fields: Fields| {
        if fields.boolean("linkInContainer")? {
            return Err("not modelled yet: linkInContainer".to_owned());
        }
        Ok((OnMaster::read(&fields)?, fields.string("mode")?))
    };
    let (mut conf, mode) = Fields::of("NetConf", &value).and_then(read).map_err(failed)?;
    if let Some(error) = &conf.net.prev_error {
        return Err(error.clone().into());
    }
    if conf.master.is_empty() {
        conf.master = match conf.net.prev_result.as_ref().filter(|_| !is_check) {
            None => cmd.default_route_interface()?,
            Some(prev) => match prev.interfaces.as_slice() {
                [only] if !only.name.is_empty() => only.name.clone(),
                _ => return Err("chained master failure. PrevResult lacks a single named interface".into()),
            },
        };
    }
    Ok((conf, mode))
}

fn mode(word: &str) -> Result<IpvlanMode, String> {
    let word = if word.is_empty() { "l2" } else { word };
    let known = IpvlanMode::ALL.iter().find(|(_, name)| *name == word);
    known.map(|(mode, _)| *mode).ok_or_else(|| format!("unknown ipvlan mode: {word:?}"))
}

fn add<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let (conf, word) = read(cmd, false)?;
        let netns = cmd.container()?;
        let options = IpvlanOptions { mode: Some(mode(&word)?), flags: Some(0) };
        let inside = cmd.make_on_master(&conf, netns, options.into())?;
        // The plugin before may have asked for addresses.
        let given =
            conf.net.prev_result.clone().filter(|prev| conf.net.ipam.is_empty() && !prev.ips.is_empty());
        cmd.configure_on_master(&conf, netns, inside, given).await
    })
}

fn check<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let (conf, word) = read(cmd, true)?;
        let (dev, result, netns) = cmd.check_on_master(&conf, "ipvlan").await?;
        let wanted = mode(&word)?;
        let current = cmd.kernel(|kernel| {
            let ipvlan = ipvlan(kernel, dev)?;
            ipvlan_port(kernel, ipvlan.phy_dev).map(|port| port.mode)
        });
        if let Some(current) = current.filter(|current| *current != wanted) {
            let (current, wanted) = (current.name(), wanted.name());
            return Err(
                format!("Container IPVlan mode {current} does not match expected value: {wanted}").into()
            );
        }
        cmd.validate_ips(netns, &cmd.if_name, &result.ips)?;
        cmd.validate_routes(netns, &result.routes)?;
        Ok(String::new())
    })
}

fn del<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let (conf, _) = read(cmd, false)?;
        cmd.del_on_master(&conf).await
    })
}
