//! `ptp`: a veth for each container, whose other end is a router of the host.

use std::net::Ipv4Addr;

use glassnet_kernel::ids::{DevId, NetnsId};
use glassnet_kernel::net::ipv4::fib_frontend::rtm_delroute;
use glassnet_kernel::tables::route_types::{RouteMsg, Scope};

use super::error::{Done, refusal};
use super::iptables::{chain_name, comment};
use super::json::Fields;
use super::link::{VethRequest, route_to};
use super::skel::{ALL, Cmd, NetConf, Plugin};
use super::types::{CniResult, Dns, Interface, IpConfig, IpNet};
use crate::process::Boxed;

/// The row.
pub(super) static PLUGIN: Plugin = Plugin { name: "ptp", versions: ALL, add, check, del };

/// The configuration.
struct Conf {
    net: NetConf,
    ip_masq: bool,
    mtu: i64,
    dns: Dns,
}

impl Conf {
    fn read(cmd: &Cmd) -> Done<Conf> {
        let failed = |error| format!("failed to load netconf: {error}");
        let value = cmd.conf().map_err(failed)?;
        let read = |fields: Fields| {
            let dns = Dns::read(&fields.object("dns", "types.DNS")?)?;
            Ok(Conf {
                net: NetConf::read(&fields)?,
                ip_masq: fields.boolean("ipMasq")?,
                mtu: fields.int("mtu")?,
                dns,
            })
        };
        let conf = Fields::of("NetConf", &value).and_then(read).map_err(failed)?;
        Ok(conf)
    }
}

fn add<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(cmd_add(cmd))
}

fn check<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(cmd_check(cmd))
}

fn del<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(cmd_del(cmd))
}

async fn cmd_add(cmd: &mut Cmd<'_>) -> Done<String> {
    let conf = Conf::read(cmd)?;
    let ipam = cmd.ipam_add(&conf.net.ipam, &conf.net.version).await?;
    match setup(cmd, &conf, ipam).await {
        Ok(result) => Ok(result.json(&conf.net.version)?),
        Err(error) => {
            // The address is free again; what that says is no matter.
            let _ = cmd.ipam_del(&conf.net.ipam).await;
            Err(error)
        }
    }
}

async fn setup(cmd: &mut Cmd<'_>, conf: &Conf, mut result: CniResult) -> Done<CniResult> {
    if result.ips.is_empty() {
        return Err("IPAM plugin returned missing IP config".into());
    }
    cmd.enable_forward("could not enable IP forwarding")?;
    let netns = cmd.container()?;
    let (host, inside) = cmd.container_veth(conf, netns, &mut result)?;
    cmd.host_veth(host, &result)?;
    if conf.ip_masq {
        let chain = chain_name(&conf.net.name, &cmd.container_id);
        let comment = comment(&conf.net.name, &cmd.container_id);
        for ip in &result.ips {
            cmd.setup_ip_masq(ip.address, &chain, &comment).await?;
        }
    }
    // DNS of the configuration goes before that of the IPAM plugin.
    if conf.dns != Dns::default() {
        result.dns = conf.dns.clone();
    }
    result.interfaces = vec![cmd.interface(host, ""), inside];
    Ok(result)
}

impl Cmd<'_> {
    /// The container's end: its addresses lie behind the other end, which is a gateway.
    fn container_veth(
        &self,
        conf: &Conf,
        netns: NetnsId,
        result: &mut CniResult,
    ) -> Done<(DevId, Interface)> {
        let request = VethRequest { name: &self.if_name, mtu: conf.mtu, mac: "" };
        let (dev, host) = self.setup_veth(request, netns, self.host())?;
        let inside = self.interface(dev, &self.netns);
        for ip in &mut result.ips {
            ip.interface = Some(1);
        }
        result.interfaces = vec![Interface::default(), inside.clone()];
        self.notify_arp(netns, &self.if_name);
        self.configure_iface(netns, &self.if_name, result)?;
        for ip in &result.ips {
            self.behind_gateway(netns, dev, ip)?;
        }
        Ok((host, inside))
    }

    /// Replaces the route to an address's network by one over its gateway.
    fn behind_gateway(&self, netns: NetnsId, dev: DevId, ip: &IpConfig) -> Done {
        let network = IpNet { ip: ip.address.network(), len: ip.address.len };
        let old = RouteMsg { kind: Default::default(), ..route_to(network, dev, None, Scope::NOWHERE) };
        let old = RouteMsg { protocol: 0, ..old };
        let gone = self.enter(|cx| rtm_delroute(cx, netns, &old)).map_err(refusal);
        gone.map_err(|error| format!("failed to delete route {network}: {error}"))?;
        let Some(gateway) = ip.gateway else { return Ok(()) };
        let prefsrc = Some(ip.address.ip);
        let to_gateway = route_to(IpNet { ip: gateway, len: 32 }, dev, None, Scope::LINK);
        let to_network = route_to(network, dev, Some(gateway), Scope::UNIVERSE);
        for route in [to_gateway, to_network] {
            let text = go_route(&route);
            let route = RouteMsg { prefsrc, ..route };
            self.add_route(netns, &route, glassnet_kernel::netlink::NLM_F_EXCL)
                .map_err(|error| format!("failed to add route {text}: {error}"))?;
        }
        Ok(())
    }

    /// The host's end: the gateway's address, and a route to the container.
    fn host_veth(&self, dev: DevId, result: &CniResult) -> Done {
        let host = self.host();
        for ip in &result.ips {
            let gateway = ip.gateway.unwrap_or(Ipv4Addr::UNSPECIFIED);
            let own = IpNet { ip: gateway, len: 32 };
            self.add_addr(host, dev, own)
                .map_err(|error| format!("failed to add IP addr ({own}) to veth: {error}"))?;
            let to = IpNet { ip: ip.address.ip, len: 32 };
            match self.add_route(
                host,
                &route_to(to, dev, None, Scope::HOST),
                glassnet_kernel::netlink::NLM_F_EXCL,
            ) {
                Err(error) if error != "file exists" => {
                    return Err(format!("failed to add route on host: {error}").into());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn go_route(route: &RouteMsg) -> String {
    format!("{}/{}", route.dst, route.dst_len)
}

async fn cmd_check(cmd: &mut Cmd<'_>) -> Done<String> {
    let conf = Conf::read(cmd)?;
    let netns = cmd.container()?;
    cmd.ipam_check(&conf.net.ipam).await?;
    let result = conf.net.prev("ptp: Required prevResult missing")?;
    let is_it = |interface: &&Interface| interface.name == cmd.if_name && interface.sandbox == cmd.netns;
    let inside = result.interfaces.iter().find(is_it).cloned().unwrap_or_default();
    if cmd.netns != inside.sandbox {
        let text =
            format!("Sandbox in prevResult {} doesn't match configured netns: {}", inside.sandbox, cmd.netns);
        return Err(text.into());
    }
    let name = &inside.name;
    let dev = cmd
        .link(netns, name)
        .map_err(|_| format!("ptp: Container Interface name in prevResult: {name} not found"))?;
    if cmd.kind(dev) != "veth" {
        return Err(format!("Error: Container interface {name} not of type veth/p2p").into());
    }
    let own = cmd.mac(dev);
    if !inside.mac.is_empty() && inside.mac != own {
        return Err(
            format!("ptp: Interface {name} Mac {} doesn't match container Mac: {own}", inside.mac).into()
        );
    }
    cmd.validate_ips(netns, &cmd.if_name, &result.ips)?;
    cmd.validate_routes(netns, &result.routes)?;
    Ok(String::new())
}

async fn cmd_del(cmd: &mut Cmd<'_>) -> Done<String> {
    let conf = Conf::read(cmd)?;
    cmd.ipam_del(&conf.net.ipam).await?;
    let addresses = match cmd.netns_at(&cmd.netns) {
        Ok(netns) => cmd.del_link_by_name(netns, &cmd.if_name)?,
        Err(_) => Vec::new(),
    };
    if conf.ip_masq {
        let chain = chain_name(&conf.net.name, &cmd.container_id);
        let comment = comment(&conf.net.name, &cmd.container_id);
        for address in addresses {
            cmd.teardown_ip_masq(address, &chain, &comment).await?;
        }
    }
    Ok(String::new())
}
