//! IPv4 settings of a device: `/proc/sys/net/ipv4/conf/DEVICE/*`.
//!
//! Kernel: include/uapi/linux/ip.h (IPV4_DEVCONF_*), net/ipv4/devinet.c

/// A setting, named as its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Conf {
    /// IPv4 forwarding.
    Forwarding,
    /// Proxy ARP.
    ProxyArp,
    /// Accept ICMP redirects.
    AcceptRedirects,
    /// Accept redirects only from gateways in use.
    SecureRedirects,
    /// Send ICMP redirects.
    SendRedirects,
    /// Several subnets share the link.
    SharedMedia,
    /// Reverse path filter: 0 off, 1 strict, 2 loose.
    RpFilter,
    /// BOOTP relay; Linux does not read it.
    BootpRelay,
    /// Log packets with martian addresses.
    LogMartians,
    /// A number for whoever writes it; Linux does not read it.
    Tag,
    /// Answer ARP only on the device that routes to the requester.
    ArpFilter,
    /// The medium that the device is attached to, for proxy ARP; 0: a medium of its own, -1: no proxy ARP.
    MediumId,
    /// No IPsec encryption; there are no IPsec policies.
    DisableXfrm,
    /// No IPsec policy; there are none.
    DisablePolicy,
    /// Restriction level of the source address of ARP requests.
    ArpAnnounce,
    /// Restriction level of replies to ARP requests.
    ArpIgnore,
    /// Promote a secondary address when its primary is deleted.
    PromoteSecondaries,
    /// Create neighbour entries from gratuitous ARP.
    ArpAccept,
    /// Send gratuitous ARP when the device comes up or its MAC address changes.
    ArpNotify,
    /// Accept packets with a local source address.
    AcceptLocal,
    /// The reverse path filter uses the mark.
    SrcValidMark,
    /// Proxy ARP on private VLANs.
    ProxyArpPvlan,
    /// Route 127.0.0.0/8 off the loopback device.
    RouteLocalnet,
    /// Ignore routes without carrier.
    IgnoreRoutesWithLinkdown,
    /// Drop unicast IPv4 in link-layer multicast frames.
    DropUnicastInL2Multicast,
    /// Drop gratuitous ARP.
    DropGratuitousArp,
    /// Flush neighbours when the carrier is lost.
    ArpEvictNocarrier,
}

/// Number of settings.
pub const CONF_COUNT: usize = Conf::ArpEvictNocarrier as usize + 1;

/// Every setting: file name and default.
pub const CONF_TABLE: [(Conf, &str, i32); CONF_COUNT] = [
    (Conf::Forwarding, "forwarding", 0),
    (Conf::ProxyArp, "proxy_arp", 0),
    (Conf::AcceptRedirects, "accept_redirects", 1),
    (Conf::SecureRedirects, "secure_redirects", 1),
    (Conf::SendRedirects, "send_redirects", 1),
    (Conf::SharedMedia, "shared_media", 1),
    (Conf::RpFilter, "rp_filter", 0),
    (Conf::BootpRelay, "bootp_relay", 0),
    (Conf::LogMartians, "log_martians", 0),
    (Conf::Tag, "tag", 0),
    (Conf::ArpFilter, "arp_filter", 0),
    (Conf::MediumId, "medium_id", 0),
    (Conf::DisableXfrm, "disable_xfrm", 0),
    (Conf::DisablePolicy, "disable_policy", 0),
    (Conf::ArpAnnounce, "arp_announce", 0),
    (Conf::ArpIgnore, "arp_ignore", 0),
    (Conf::PromoteSecondaries, "promote_secondaries", 0),
    (Conf::ArpAccept, "arp_accept", 0),
    (Conf::ArpNotify, "arp_notify", 0),
    (Conf::AcceptLocal, "accept_local", 0),
    (Conf::SrcValidMark, "src_valid_mark", 0),
    (Conf::ProxyArpPvlan, "proxy_arp_pvlan", 0),
    (Conf::RouteLocalnet, "route_localnet", 0),
    (Conf::IgnoreRoutesWithLinkdown, "ignore_routes_with_linkdown", 0),
    (Conf::DropUnicastInL2Multicast, "drop_unicast_in_l2_multicast", 0),
    (Conf::DropGratuitousArp, "drop_gratuitous_arp", 0),
    (Conf::ArpEvictNocarrier, "arp_evict_nocarrier", 1),
];

impl Conf {
    /// The setting with this file name.
    pub fn from_name(name: &str) -> Option<Conf> {
        CONF_TABLE.iter().find(|entry| entry.1 == name).map(|entry| entry.0)
    }
}

/// The settings of a device, of `all` or of `default`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipv4Conf {
    values: [i32; CONF_COUNT],
    /// Settings that were set explicitly, a bit each; these no longer follow `default` (`state`).
    state: u64,
}

impl Default for Ipv4Conf {
    fn default() -> Self {
        Ipv4Conf { values: CONF_TABLE.map(|entry| entry.2), state: 0 }
    }
}

impl Ipv4Conf {
    /// A value.
    #[inline]
    pub fn get(&self, conf: Conf) -> i32 {
        self.values[conf as usize]
    }

    /// Sets a value (`ipv4_devconf_set`).
    pub fn set(&mut self, conf: Conf, value: i32) {
        self.state |= 1 << conf as u32;
        self.values[conf as usize] = value;
    }

    /// `default` changed: updates the setting unless it was set explicitly (`devinet_copy_dflt_conf`).
    pub fn follow(&mut self, conf: Conf, value: i32) {
        if self.state & (1 << conf as u32) == 0 {
            self.values[conf as usize] = value;
        }
    }

    /// Marks all settings as explicit (`ipv4_devconf_setall`): the device got an address.
    pub fn set_all(&mut self) {
        self.state = u64::MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (at, entry) in CONF_TABLE.iter().enumerate() {
            assert_eq!(entry.0 as usize, at, "{}", entry.1);
        }
    }
}
