//! `macvlan`: a device of its own address on one of the host.

use glassnet_kernel::drivers::macvlan::{MacvlanOptions, macvlan};
use glassnet_kernel::tables::macvlan::MacvlanMode;

use super::error::Done;
use super::json::Fields;
use super::on_master::OnMaster;
use super::skel::{ALL, Cmd, Plugin, args};
use super::types::CniResult;
use crate::process::Boxed;

/// The row.
pub(super) static PLUGIN: Plugin = Plugin { name: "macvlan", versions: ALL, add, check, del };

fn read(cmd: &Cmd, is_del: bool) -> Done<(OnMaster, String)> {
    let failed = |error| format!("failed to load netconf: {error}");
    let value = cmd.conf().map_err(failed)?;
    let read = |fields: Fields| {
        let in_args = fields.object("args", "struct")?.object("cni", "struct")?.string("mac")?;
        let in_runtime = fields.object("runtimeConfig", "struct")?.string("mac")?;
        let mac = [fields.string("mac")?, in_args, in_runtime].into_iter().rfind(|mac| !mac.is_empty());
        if fields.boolean("linkInContainer")? {
            return Err("not modelled yet: linkInContainer".to_owned());
        }
        Ok((OnMaster { mac: mac.unwrap_or_default(), ..OnMaster::read(&fields)? }, fields.string("mode")?))
    };
    let (mut conf, mode) = Fields::of("NetConf", &value).and_then(read).map_err(failed)?;
    if !is_del {
        if conf.master.is_empty() {
            conf.master = cmd.default_route_interface()?;
        }
        cmd.check_mtu(&conf)?;
    }
    let in_env = args(&cmd.args, &["MAC"])?.pop().map(|(_, mac)| mac);
    if conf.mac.is_empty() {
        conf.mac = in_env.unwrap_or_default();
    }
    Ok((conf, mode))
}

fn mode(word: &str) -> Result<MacvlanMode, String> {
    let word = if word.is_empty() { "bridge" } else { word };
    let known = MacvlanMode::ALL.iter().find(|(_, name)| *name == word);
    known.map(|(mode, _)| *mode).ok_or_else(|| format!("unknown macvlan mode: {word:?}"))
}

fn add<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let (conf, word) = read(cmd, false)?;
        let netns =
            cmd.netns_at(&cmd.netns).map_err(|error| format!("failed to open netns %!q(<nil>): {error}"))?;
        let options = MacvlanOptions { mode: Some(mode(&word)?), ..MacvlanOptions::default() };
        let inside = cmd.make_on_master(&conf, netns, options.into())?;
        if !conf.net.ipam.is_empty() {
            return cmd.configure_on_master(&conf, netns, inside, None).await;
        }
        let name = cmd.if_name.clone();
        let dev = cmd
            .link(netns, &name)
            .map_err(|error| format!("failed to find interface name {name:?}: {error}"))?;
        cmd.set_up(dev).map_err(|error| format!("failed to set {name:?} UP: {error}"))?;
        let result = CniResult { interfaces: vec![inside], dns: conf.dns, ..CniResult::default() };
        Ok(result.json(&conf.net.version)?)
    })
}

fn check<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let (conf, word) = read(cmd, false)?;
        let (dev, result, netns) = cmd.check_on_master(&conf, "macvlan").await?;
        let wanted = mode(&word)?;
        let current = cmd.kernel(|kernel| macvlan(kernel, dev).map(|vlan| vlan.mode));
        if let Some(current) = current.filter(|current| *current != wanted) {
            let (current, wanted) = (current.name(), wanted.name());
            return Err(
                format!("Container macvlan mode {current} does not match expected value: {wanted}").into()
            );
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
