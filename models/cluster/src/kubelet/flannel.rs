//! The pods of flannel: what its CNI list `10-flannel.conflist` makes of them. The plugin `flannel` reads what flanneld wrote into
//! `/run/flannel/subnet.env`, and delegates to the plugin `bridge` with `host-local`.
//!
//! Here commands have the effect of the plugins. Not modelled: `portmap`, which gives pods ports of their node; other lists.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::sync::Arc;

use glassnet_userland::process::Process;

use super::bridge::{Bridge, Plan};
use super::network::{self, Attached};
use crate::api::ApiServer;
use crate::config::Range;
use crate::flannel::SUBNET_FILE;

/// Where the kubelet's runtime looks for it.
const LIST: &str = "/etc/cni/net.d/10-flannel.conflist";

/// flannel's pods on a node.
#[derive(Debug, Default)]
pub(super) struct Flannel {
    is_ready: bool,
    pub bridge: Bridge,
}

/// What flanneld tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Subnet {
    network: Range,
    range: Range,
    mtu: u32,
}

impl Flannel {
    /// The node has a CNI list.
    pub(super) fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Looks whether the list is there.
    pub(super) async fn set_up(&mut self, process: &mut Process, api: &Arc<ApiServer>) {
        if process.files.clone().read(LIST).await.is_ok() {
            self.is_ready = true;
            network::prepare(process, api).await;
        }
    }

    /// Makes the network of a pod.
    ///
    /// # Errors
    ///
    /// flanneld has not told the subnet, or no address is left.
    pub(super) async fn add(
        &mut self,
        process: &mut Process,
        api: &Arc<ApiServer>,
        uid: &str,
    ) -> Result<Attached, String> {
        let failed = |why: String| format!("plugin type=\"flannel\" failed (add): {why}");
        let text = process.files.clone().read(SUBNET_FILE).await;
        let text = text.map_err(|error| {
            let why = match error.kind() {
                ErrorKind::NotFound => "no such file or directory".to_owned(),
                _ => error.to_string(),
            };
            failed(format!("loadFlannelSubnetEnv failed: open {SUBNET_FILE}: {why}"))
        })?;
        let subnet = parse(&String::from_utf8_lossy(&text)).map_err(failed)?;
        let plan =
            Plan { name: "cni0", range: subnet.range, mtu: Some(subnet.mtu), route: Some(subnet.network) };
        self.bridge.add(process, api, (uid, plan)).await.map_err(failed)
    }
}

/// Reads flanneld's file.
fn parse(text: &str) -> Result<Subnet, String> {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let names = ["FLANNEL_NETWORK", "FLANNEL_SUBNET", "FLANNEL_MTU", "FLANNEL_IPMASQ"];
    let missing: Vec<&str> = names.into_iter().filter(|key| value(key).is_none()).collect();
    let [Some(network), Some(subnet), Some(mtu), Some(masquerades)] = names.map(value) else {
        return Err(format!("{SUBNET_FILE} is missing {}", missing.join(", ")));
    };
    if masquerades != "true" {
        return Err("not modelled yet: ipMasq of the plugin bridge (FLANNEL_IPMASQ=false)".to_owned());
    }
    let network = Range::parse(network).ok_or_else(|| format!("invalid CIDR address: {network}"))?;
    let mtu = mtu.parse().map_err(|_| format!("strconv.ParseUint: parsing \"{mtu}\": invalid syntax"))?;
    // The address is the gateway's.
    let wrong = || format!("invalid CIDR address: {subnet}");
    let (gateway, len) = subnet.split_once('/').ok_or_else(wrong)?;
    let gateway: Ipv4Addr = gateway.parse().map_err(|_| wrong())?;
    let mask = len.parse().ok().and_then(|len: u32| u32::MAX.checked_shl(32u32.checked_sub(len)?));
    let first = Ipv4Addr::from_bits(gateway.to_bits() & mask.ok_or_else(wrong)?);
    let range = Range::parse(&format!("{first}/{len}")).ok_or_else(wrong)?;
    Ok(Subnet { network, range, mtu })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_flanneld_tells_is_read() {
        let text = "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";
        let subnet = parse(text).expect("a subnet");
        assert_eq!((subnet.range.to_string().as_str(), subnet.mtu), ("10.244.1.0/24", 1450));
        assert_eq!(
            parse("FLANNEL_MTU=1450\nFLANNEL_NETWORK=x\n"),
            Err("/run/flannel/subnet.env is missing FLANNEL_SUBNET, FLANNEL_IPMASQ".to_owned())
        );
        assert!(parse(&text.replace("true", "false")).is_err_and(|why| why.starts_with("not modelled yet")));
    }
}
