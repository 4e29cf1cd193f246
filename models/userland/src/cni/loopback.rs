//! `loopback`: sets `lo` up.

use glassnet_kernel::net::core::rtnetlink::LinkSet;

use super::error::{Done, Error};
use super::json::Fields;
use super::skel::{ALL, Cmd, NetConf, Plugin};
use super::types::{CniResult, IpConfig, IpNet};
use crate::process::Boxed;

/// The row.
pub(super) static PLUGIN: Plugin = Plugin { name: "loopback", versions: ALL, add, check, del };

/// The device, whatever `CNI_IFNAME` says.
const LO: &str = "lo";

fn read(cmd: &Cmd) -> Done<NetConf> {
    let failed = |error| Error::from(format!("failed to parse network configuration: {error}"));
    let value = cmd.conf().map_err(failed)?;
    let conf =
        Fields::of("types.NetConf", &value).and_then(|fields| NetConf::read(&fields)).map_err(failed)?;
    conf.prev_error.clone().map_or(Ok(()), Err)?;
    Ok(conf)
}

fn add<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let conf = read(cmd)?;
        let netns = cmd.netns_at(&cmd.netns)?;
        let lo = cmd.link(netns, LO)?;
        cmd.set_up(lo)?;
        if let Some(prev) = conf.prev_result {
            return Ok(prev.json(&conf.version)?);
        }
        let address = |addr: glassnet_kernel::tables::inet_types::AddrMsg| IpConfig {
            interface: Some(0),
            address: IpNet { ip: addr.local, len: addr.prefix_len },
            gateway: None,
        };
        let ips = cmd.addrs(netns, lo).into_iter().map(address).collect();
        let result =
            CniResult { interfaces: vec![cmd.interface(lo, &cmd.netns)], ips, ..CniResult::default() };
        // It is never told in another version's form.
        Ok(result.as_latest(if conf.version.is_empty() { "0.1.0" } else { &conf.version }))
    })
}

fn check<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let netns = cmd.netns_at(&cmd.netns)?;
        let lo = cmd.link(netns, LO)?;
        match cmd.kernel(|kernel| kernel.devs[lo].is_up()) {
            true => Ok(String::new()),
            false => Err("loopback interface is down".into()),
        }
    })
}

fn del<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        // A container that is gone has none.
        if let Ok(netns) = cmd.netns_at(&cmd.netns) {
            let lo = cmd.link(netns, LO)?;
            cmd.set_link(lo, LinkSet { up: Some(false), ..LinkSet::default() })?;
        }
        Ok(String::new())
    })
}
