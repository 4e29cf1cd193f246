//! Requests of `ip tunnel` (`SIOCGETTUNNEL`, `SIOCADDTUNNEL`, `SIOCCHGTUNNEL`, `SIOCDELTUNNEL`).
//!
//! Kernel: net/ipv4/ip_tunnel.c

use super::ip_tunnel::{
    IP_MAX_MTU, MIN_MTU, ip_tunnel, ip_tunnel_bind_dev, ip_tunnel_find, ip_tunnel_mut, ip_tunnel_update,
    may_change, net, net_mut, register,
};
use crate::ids::NetnsId;
use crate::net::core::dev::{alloc_netdev, unregister_netdevice};
use crate::net::core::rtnetlink::rtnl_link_ops_get;
use crate::netlink::Errno;
use crate::tables::ip_tunnel::{IpTunnel, IpTunnelParm};
use crate::tables::netdev::NameAssign;
use crate::{Cx, Kernel};

/// Loads the module of a fallback device that does not exist.
fn dev_load(cx: &mut Cx, netns: NetnsId, name: &str) {
    let of_device = cx.k.modules.iter().find(|module| module.netdevs.contains(&name));
    if let Some(init) = of_device.and_then(|module| module.init)
        && cx.k.dev_by_name(netns, name).is_none()
    {
        init(cx);
    }
}

/// How a tunnel is set (`SIOCGETTUNNEL`).
///
/// # Errors
///
/// `ENODEV` if there is no such device, `EOPNOTSUPP` if it is no tunnel.
pub fn tunnel_get(kernel: &Kernel, netns: NetnsId, name: &str) -> Result<IpTunnelParm, Errno> {
    let dev = kernel.dev_by_name(netns, name).ok_or(Errno::ENODEV)?;
    ip_tunnel(kernel, dev).map(|tunnel| tunnel.parms).ok_or(Errno::EOPNOTSUPP)
}

/// Makes a tunnel of the kind of the device `basedev` (`SIOCADDTUNNEL`, `ip_tunnel_create`); an empty name is chosen.
///
/// # Errors
///
/// `EEXIST` if there is one with these ends, and those of [`tunnel_get`].
pub fn tunnel_add(
    cx: &mut Cx,
    netns: NetnsId,
    basedev: &str,
    name: &str,
    parms: IpTunnelParm,
) -> Result<(), Errno> {
    dev_load(cx, netns, basedev);
    tunnel_get(cx.k, netns, basedev)?;
    let base = cx.k.dev_by_name(netns, basedev).ok_or(Errno::ENODEV)?;
    let ops = cx.k.devs[base].ops;
    let kind = ip_tunnel_mut(cx, base).kind;
    if ip_tunnel_find(cx.k, netns, kind, &parms).is_some() {
        return Err(Errno::EEXIST);
    }
    let name = if name.is_empty() { format!("{}%d", ops.kind.unwrap_or_default()) } else { name.to_owned() };
    let ops = ops.kind.and_then(|kind| rtnl_link_ops_get(cx.k, kind)).unwrap_or(ops);
    let mut dev = alloc_netdev(netns, name, NameAssign::User, ops);
    let tunnel: &mut IpTunnel = dev.netdev_priv_mut().ok_or(Errno::EINVAL)?;
    tunnel.parms = parms;
    let t_hlen = tunnel.t_hlen();
    (dev.min_mtu, dev.max_mtu) = (MIN_MTU, IP_MAX_MTU - t_hlen);
    let dev = register(cx, dev).map_err(|error| error.errno)?;
    cx.k.devs[dev].mtu = ip_tunnel_bind_dev(cx, dev);
    net_mut(cx, netns, kind).add(dev, parms.daddr);
    Ok(())
}

/// Changes a tunnel (`SIOCCHGTUNNEL`).
///
/// # Errors
///
/// `EEXIST` if another has these ends, `EINVAL` if they make another kind of link of it, `ENOENT` for the fallback device and ends
/// that no tunnel has, and those of [`tunnel_get`].
pub fn tunnel_change(cx: &mut Cx, netns: NetnsId, name: &str, parms: IpTunnelParm) -> Result<(), Errno> {
    tunnel_get(cx.k, netns, name)?;
    let dev = cx.k.dev_by_name(netns, name).ok_or(Errno::ENODEV)?;
    let IpTunnel { kind, net: outer, fwmark, .. } = *ip_tunnel_mut(cx, dev);
    let is_fallback = net(cx.k, outer, kind).is_some_and(|net| net.fb_tunnel_dev == Some(dev));
    if is_fallback {
        // Its tunnel is whichever has these ends.
        let other = ip_tunnel_find(cx.k, outer, kind, &parms).ok_or(Errno::ENOENT)?;
        ip_tunnel_update(cx, other, parms, fwmark);
        return Ok(());
    }
    may_change(cx.k, dev, &parms)?;
    ip_tunnel_update(cx, dev, parms, 0);
    Ok(())
}

/// Deletes a tunnel (`SIOCDELTUNNEL`); asked of the fallback device, whichever has these ends.
///
/// # Errors
///
/// `EPERM` for the fallback device itself, `ENOENT` for ends that no tunnel has, and those of [`tunnel_get`].
pub fn tunnel_del(cx: &mut Cx, netns: NetnsId, name: &str, parms: &IpTunnelParm) -> Result<(), Errno> {
    tunnel_get(cx.k, netns, name)?;
    let dev = cx.k.dev_by_name(netns, name).ok_or(Errno::ENODEV)?;
    let IpTunnel { kind, net: outer, .. } = *ip_tunnel_mut(cx, dev);
    let is_fallback = net(cx.k, outer, kind).is_some_and(|net| net.fb_tunnel_dev == Some(dev));
    let ends = |parms: &IpTunnelParm| (parms.saddr, parms.daddr, parms.link);
    let dev = match ip_tunnel_find(cx.k, outer, kind, parms) {
        _ if !is_fallback => dev,
        Some(other) => other,
        None if ends(parms) == ends(&IpTunnelParm::default()) => return Err(Errno::EPERM),
        None => return Err(Errno::ENOENT),
    };
    unregister_netdevice(cx, dev);
    Ok(())
}
