//! What writing a setting under `/proc/sys/net/ipv4` does beyond storing it.
//!
//! Kernel: net/ipv4/devinet.c, net/ipv4/sysctl_net_ipv4.c, net/core/neighbour.c

use super::fib_semantics::fib_ignore_linkdown;
use crate::Cx;
use crate::ids::{DevId, NetnsId};
use crate::netlink::Errno;
use crate::tables::inet_conf::Conf;
use crate::tables::ipv4::Sysctl;
use crate::tables::neigh_parms::NeighVar;

/// Whose settings: a directory below `conf` or `neigh`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfOf {
    /// `all`.
    All,
    /// `default`, which new devices start with.
    Default,
    /// A device.
    Dev(DevId),
}

/// Sets a device setting (`devinet_conf_proc`, `devinet_sysctl_forward`): forwarding of `all` is everybody's, and
/// devices follow `default` until somebody sets them.
pub fn devinet_conf_proc(cx: &mut Cx, netns: NetnsId, of: ConfOf, conf: Conf, value: i32) {
    let net = &mut cx.k.netns[netns];
    let devs: Vec<DevId> = net.devs.values().copied().collect();
    match of {
        ConfOf::All if conf == Conf::Forwarding => {
            if net.ipv4.conf_all.get(conf) == value {
                return;
            }
            net.ipv4.conf_default.set(conf, value);
            net.ipv4.conf_all.set(conf, value);
            net.ipv4.conf_all.set(Conf::AcceptRedirects, i32::from(value == 0));
            for dev in devs {
                if let Some(inet) = cx.k.inet.get_mut(dev) {
                    inet.conf.set(conf, value);
                }
            }
        }
        ConfOf::All => net.ipv4.conf_all.set(conf, value),
        ConfOf::Default => {
            net.ipv4.conf_default.set(conf, value);
            for dev in devs.into_iter().filter(|_| conf != Conf::Forwarding) {
                if let Some(inet) = cx.k.inet.get_mut(dev) {
                    inet.conf.follow(conf, value);
                }
            }
        }
        ConfOf::Dev(dev) => {
            if let Some(inet) = cx.k.inet.get_mut(dev) {
                inet.conf.set(conf, value);
            }
            if conf == Conf::IgnoreRoutesWithLinkdown {
                fib_ignore_linkdown(&mut cx.k.netns[netns].ipv4.fib, dev, value != 0);
            }
        }
    }
    rt_cache_flush(cx, netns);
}

/// Sets a setting of ARP on a device (`neigh_proc_update`); `value` in ns, bytes, or a number.
pub fn neigh_proc_update(cx: &mut Cx, netns: NetnsId, of: ConfOf, var: NeighVar, value: u64) {
    if let ConfOf::Dev(dev) = of {
        if let Some(inet) = cx.k.inet.get_mut(dev) {
            inet.arp.set(var, value);
        }
        return;
    }
    let net = &mut cx.k.netns[netns];
    net.ipv4.arp_default.set(var, value);
    for dev in net.devs.values() {
        if let Some(inet) = cx.k.inet.get_mut(*dev) {
            inet.arp.follow(var, value);
        }
    }
}

/// Settings that the model shows and does not follow, so they keep their value.
const NOT_MODELLED: [Sysctl; 3] =
    [Sysctl::IpfragMaxDist, Sysctl::FibMultipathHashPolicy, Sysctl::FibMultipathUseNeigh];

/// Sets a setting of the namespace.
///
/// # Errors
///
/// `EINVAL` if the value is out of its range; `EOPNOTSUPP` for a change that is not modelled yet.
pub fn set_sysctl(cx: &mut Cx, netns: NetnsId, which: Sysctl, value: i64) -> Result<(), Errno> {
    let ipv4 = &mut cx.k.netns[netns].ipv4;
    if NOT_MODELLED.contains(&which) && value != ipv4.sysctl(which) {
        return Err(Errno::EOPNOTSUPP);
    }
    let fits = match which {
        Sysctl::IpfragHighThresh => value >= ipv4.sysctl(Sysctl::IpfragLowThresh),
        Sysctl::IpfragLowThresh => value <= ipv4.sysctl(Sysctl::IpfragHighThresh),
        _ => true,
    };
    if fits && ipv4.set_sysctl(which, value) { Ok(()) } else { Err(Errno::EINVAL) }
}

/// Forgets what was learned of paths (`route/flush`).
pub fn rt_cache_flush(cx: &mut Cx, netns: NetnsId) {
    let ipv4 = &mut cx.k.netns[netns].ipv4;
    ipv4.exceptions.clear();
    ipv4.fib.generation += 1;
}
