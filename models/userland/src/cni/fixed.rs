//! `static`: the addresses that the configuration says.

use std::net::Ipv4Addr;

use super::error::Done;
use super::json::{Fields, parse_ip};
use super::skel::{ALL, Cmd, NetConf, Plugin, args};
use super::types::{CniResult, Dns, IpConfig, IpNet, Route};
use crate::process::Boxed;

/// The row.
pub(super) static PLUGIN: Plugin = Plugin { name: "static", versions: ALL, add, check, del };

/// The configuration.
struct Conf {
    net: NetConf,
    addresses: Vec<IpConfig>,
    routes: Vec<Route>,
    dns: Dns,
}

fn in_cidr(text: &str, what: &str) -> Result<IpNet, String> {
    IpNet::parse(text).map_err(|error| match error.starts_with("not modelled") {
        true => error,
        false => format!("{what} in CIDR notation, got: '{text}'"),
    })
}

impl Conf {
    fn read(cmd: &Cmd) -> Done<Conf> {
        let value = cmd.conf()?;
        let fields = Fields::of("Net", &value)?;
        let net = NetConf::read(&fields)?;
        if fields.get("ipam").is_none() {
            return Err("IPAM config missing 'ipam' key".into());
        }
        let ipam = fields.object("ipam", "main.IPAMConfig")?;
        let mut addresses = Vec::new();
        for address in ipam.objects("addresses", "main.Address")? {
            let text = address.string("address")?;
            let gateway = address.ip("gateway")?;
            let read = in_cidr(&text, "the 'address' field is expected to be")?;
            addresses.push(IpConfig { interface: None, address: read, gateway });
        }
        from_env(&cmd.args, &mut addresses)?;
        let in_args = fields.object("args", "struct")?.object("cni", "IPAMArgs")?.strings("ips")?;
        let in_runtime = fields.object("runtimeConfig", "struct")?.strings("ips")?;
        for ips in [in_args, in_runtime].into_iter().filter(|ips| !ips.is_empty()) {
            addresses.clear();
            for text in ips {
                let address = in_cidr(&text, "an entry in the 'ips' field is NOT")?;
                addresses.push(IpConfig { interface: None, address, gateway: None });
            }
        }
        let routes = ipam.objects("routes", "*types.Route")?;
        let routes = routes.iter().map(Route::read).collect::<Result<_, _>>()?;
        Ok(Conf { net, addresses, routes, dns: Dns::read(&ipam.object("dns", "types.DNS")?)? })
    }
}

/// Addresses and their gateways in `CNI_ARGS`.
fn from_env(text: &str, addresses: &mut Vec<IpConfig>) -> Done {
    let found = args(text, &["IP", "GATEWAY"])?;
    let of =
        |key: &str| found.iter().find(|pair| pair.0 == key).map(|pair| pair.1.clone()).unwrap_or_default();
    let list = |text: &str| {
        text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
    };
    let (ips, gateways): (Vec<String>, Vec<String>) = (list(&of("IP")), list(&of("GATEWAY")));
    let own = addresses.len();
    for ip in ips {
        let address = in_cidr(&ip, "the 'ip' field is expected to be")?;
        addresses.push(IpConfig { interface: None, address, gateway: None });
    }
    for gateway in gateways {
        let wrong = || format!("the gateway address '{gateway}' is incorrect");
        let gateway: Ipv4Addr = parse_ip(&gateway, wrong)?;
        for ip in addresses.iter_mut().skip(own).filter(|ip| ip.address.contains(gateway)) {
            ip.gateway = Some(gateway);
        }
    }
    Ok(())
}

fn add<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let conf = Conf::read(cmd)?;
        let (ips, routes, dns) = (conf.addresses, conf.routes, conf.dns);
        let result = CniResult { ips, routes, dns, ..CniResult::default() };
        Ok(result.json(&conf.net.version)?)
    })
}

fn check<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let conf = Conf::read(cmd)?;
        let prev = conf.net.prev("Required prevResult missing")?;
        for address in &conf.addresses {
            let mut same = prev.ips.iter().filter(|ip| ip.address.ip == address.address.ip);
            let other = |ip: &IpConfig| address.gateway.is_some() && ip.gateway != address.gateway;
            if same.next().is_some_and(other) {
                let ip = address.address.ip;
                return Err(format!("static: Failed to match addr {ip} on interface {}", cmd.if_name).into());
            }
        }
        Ok(String::new())
    })
}

fn del<'a>(_: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async { Ok(String::new()) })
}
