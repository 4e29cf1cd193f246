//! `ip link add`, `set` and `delete`, and the link kinds: a file and a row each.
//!
//! iproute2: ip/iplink.c

mod iplink_bond;
mod iplink_bond_slave;
mod iplink_bridge;
mod iplink_bridge_slave;
mod iplink_dummy;
mod iplink_geneve;
mod iplink_ifb;
mod iplink_ipvlan;
mod iplink_macvlan;
mod iplink_tun;
mod iplink_veth;
mod iplink_vlan;
mod iplink_vrf;
mod iplink_vxlan;
pub(super) mod link_gre;
pub(super) mod link_iptnl;
mod udp_tunnel;

use glassnet_kernel::ids::{DevId, NetnsId};
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::net::core::dev::MAX_NAME;
use glassnet_kernel::net::core::rtnetlink::{LinkNew, LinkSet, do_setlink, rtm_dellink, rtm_newlink};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_wire::Mac;

use super::args::{
    Args, Done, Stop, check_altifname, check_ifname, duparg, duparg2, invarg, lladdr, mac, matches, number,
};
use super::link_show::View;
use super::names::Names;
use super::out::Out;
use super::{Ip, link_show};

/// Size of an alias, bytes.
const IFALIASZ: usize = 256;

/// Arguments of `ip link add` or `set`.
#[derive(Default)]
struct Parsed {
    /// The device.
    dev: Option<String>,
    /// `name`.
    name: Option<String>,
    index: Option<u32>,
    netns: Option<NetnsId>,
    address: Option<Vec<u8>>,
    broadcast: Option<Vec<u8>>,
    group: Option<u32>,
    /// `link`: the device that it lies on.
    link: Option<String>,
    /// `type`; the kind's own arguments follow.
    kind: Option<String>,
    set: LinkSet,
}

/// Parses what changes of a device.
type ParseChange = fn(&Ip, &mut Args, DevId) -> Done<LinkInfo>;

/// A link kind (`struct link_util` of iproute2).
struct LinkUtil {
    /// The word after `type`.
    id: &'static str,
    /// Parses the kind's arguments; `None`: they are ignored.
    parse_opt: Option<fn(&Ip, &mut Args) -> Done<LinkInfo>>,
    /// The same for a device that is changed, where what is not said stays as it is.
    parse_change: Option<ParseChange>,
    /// Looks at what was parsed, of a new device or of one that is changed (false).
    check_opt: Option<fn(&mut Ip, &LinkInfo, bool) -> Done>,
    /// Prints the kind's attributes (`ip -d link`).
    print_opt: Option<fn(&View, &mut Out, &NetDevice)>,
    /// What `ip link help TYPE` prints.
    help: &'static str,
    /// The kind is modelled.
    is_modelled: bool,
}

impl LinkUtil {
    /// The base of a row: a kind without options.
    const fn new(id: &'static str, help: &'static str) -> LinkUtil {
        LinkUtil {
            id,
            parse_opt: None,
            parse_change: None,
            check_opt: None,
            print_opt: None,
            help,
            is_modelled: true,
        }
    }

    /// A kind of iproute2 6.1 that is not modelled.
    const fn not_modelled(id: &'static str) -> LinkUtil {
        LinkUtil { is_modelled: false, ..LinkUtil::new(id, "") }
    }
}

/// All kinds.
static LINK_UTILS: &[&LinkUtil] = &[
    &iplink_bond::LINK_UTIL,
    &iplink_bond_slave::LINK_UTIL,
    &iplink_bridge::LINK_UTIL,
    &iplink_bridge_slave::LINK_UTIL,
    &iplink_dummy::LINK_UTIL,
    &iplink_ifb::LINK_UTIL,
    &iplink_tun::LINK_UTIL,
    &iplink_veth::LINK_UTIL,
    &iplink_macvlan::LINK_UTIL,
    &iplink_ipvlan::LINK_UTIL,
    &iplink_vlan::LINK_UTIL,
    &iplink_vrf::LINK_UTIL,
    &iplink_vrf::SLAVE_LINK_UTIL,
    &iplink_vxlan::LINK_UTIL,
    &iplink_geneve::LINK_UTIL,
    &link_gre::LINK_UTIL,
    &link_gre::TAP_LINK_UTIL,
    &link_iptnl::LINK_UTIL,
    &LinkUtil::not_modelled("amt"),
    &LinkUtil::not_modelled("bareudp"),
    &LinkUtil::not_modelled("dsa"),
    &LinkUtil::not_modelled("erspan"),
    &LinkUtil::not_modelled("gtp"),
    &LinkUtil::not_modelled("ip6erspan"),
    &LinkUtil::not_modelled("ip6gre"),
    &LinkUtil::not_modelled("ip6gretap"),
    &LinkUtil::not_modelled("ip6tnl"),
    &LinkUtil::not_modelled("ipoib"),
    &LinkUtil::not_modelled("ipvtap"),
    &LinkUtil::not_modelled("macsec"),
    &LinkUtil::not_modelled("macvtap"),
    &LinkUtil::not_modelled("netdevsim"),
    &LinkUtil::not_modelled("nlmon"),
    &LinkUtil::not_modelled("rmnet"),
    &LinkUtil::not_modelled("sit"),
    &LinkUtil::not_modelled("team"),
    &LinkUtil::not_modelled("team_slave"),
    &LinkUtil::not_modelled("vcan"),
    &LinkUtil::not_modelled("vti"),
    &LinkUtil::not_modelled("vxcan"),
    &LinkUtil::not_modelled("wwan"),
    &LinkUtil::not_modelled("xfrm"),
    &LinkUtil::not_modelled("virt_wifi"),
    // Kinds of the kernel for which iproute2 has no file.
    &LinkUtil::not_modelled("batadv"),
    &LinkUtil::not_modelled("hsr"),
    &LinkUtil::not_modelled("wireguard"),
];

fn link_util(id: &str) -> Option<&'static LinkUtil> {
    LINK_UTILS.iter().copied().find(|util| util.id == id)
}

/// Refuses an option that is not modelled; if it belongs to a kind that is not, by the name of the kind.
fn other_option(option: &str, args: &Args) -> Stop {
    let mut words = args.rest().iter().skip_while(|word| !matches(word, "type")).skip(1);
    match words.next().filter(|kind| link_util(kind).is_some_and(|util| !util.is_modelled)) {
        Some(kind) => Stop::not_modelled(&format!("link add type {kind}")),
        None => Stop::not_modelled(&format!("link … {option}")),
    }
}

/// Options of `ip link` that are not modelled, and whether they can be abbreviated.
const OTHER_OPTIONS: &[(&str, bool)] = &[
    ("xdpgeneric", false),
    ("xdpdrv", false),
    ("xdpoffload", false),
    ("xdp", false),
    ("trailers", false),
    ("vf", false),
    ("dynamic", true),
    ("mode", false),
    ("state", false),
    ("numtxqueues", true),
    ("numrxqueues", true),
    ("addrgenmode", true),
    ("link-netns", true),
    ("link-netnsid", true),
    ("protodown", false),
    ("protodown_reason", false),
    ("gso_max_size", false),
    ("gso_max_segs", false),
    ("gro_max_size", false),
    ("parentdev", false),
];

impl Ip<'_> {
    pub(super) fn link(&mut self, mut args: Args) -> Done {
        let Some(word) = args.take() else { return self.link_show(args, link_show::What::Link) };
        let is = |full| matches(word, full);
        match word {
            _ if is("add") => self.link_add(args),
            _ if is("set") || is("change") => self.link_set(args),
            _ if is("replace") => Err(Stop::not_modelled("link replace")),
            _ if is("delete") => self.link_delete(args),
            _ if is("show") || is("lst") || is("list") => self.link_show(args, link_show::What::Link),
            _ if is("xstats") || is("afstats") || is("property") => {
                Err(Stop::not_modelled(&format!("link {word}")))
            }
            _ if is("help") => Err(link_help(args.peek())),
            _ => Err(Stop::usage(format!("Command \"{word}\" is unknown, try \"ip link help\".\n"))),
        }
    }

    /// Parses arguments up to and including `type KIND`, of a device or of a veth's peer.
    fn link_words(&self, args: &mut Args) -> Done<Parsed> {
        let mut parsed = Parsed::default();
        while let Some(word) = args.take() {
            if self.link_flag(word, args, &mut parsed)? || self.link_value(word, args, &mut parsed)? {
                continue;
            }
            if matches(word, "type") {
                parsed.kind = Some(args.value()?.to_owned());
                break;
            }
            if let Some((option, _)) =
                OTHER_OPTIONS.iter().find(|(full, short)| word == *full || *short && matches(word, full))
            {
                return Err(other_option(option, args));
            }
            if matches(word, "help") {
                return Err(link_help(None));
            }
            let name = if word == "dev" { args.value()? } else { word };
            if parsed.dev.is_some() {
                return Err(duparg2("dev", name));
            }
            check_altifname("dev", name)?;
            parsed.dev = Some(name.to_owned());
        }
        Ok(parsed)
    }

    /// Parses options without a value, or with on and off.
    fn link_flag(&self, word: &str, args: &mut Args, parsed: &mut Parsed) -> Done<bool> {
        let set = &mut parsed.set;
        match word {
            "up" => set.up = Some(true),
            "down" => set.up = Some(false),
            "multicast" => set.multicast = Some(args.on_off(word)?),
            "allmulticast" => set.allmulticast = Some(args.on_off(word)?),
            "promisc" => set.promisc = Some(args.on_off(word)?),
            "arp" => set.arp = Some(args.on_off(word)?),
            "carrier" => set.carrier = Some(args.on_off(word)?),
            _ if matches(word, "nomaster") => set.master = Some(None),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Parses options with a value.
    fn link_value(&self, word: &str, args: &mut Args, parsed: &mut Parsed) -> Done<bool> {
        let is = |full| matches(word, full);
        match word {
            "name" => {
                let name = args.value()?;
                if parsed.name.is_some() {
                    return Err(duparg("name", name));
                }
                check_ifname("name", name)?;
                parsed.name = Some(name.to_owned());
            }
            "index" => {
                let text = args.value()?;
                let bad = || invarg("Invalid \"index\" value", text);
                let index = number(text).filter(|index| (1..=i32::MAX as u32).contains(index));
                once(&mut parsed.index, "index", text, index.ok_or_else(bad)?)?;
            }
            _ if is("link") => parsed.link = Some(args.value()?.to_owned()),
            _ if is("address") => parsed.address = Some(lladdr(args.value()?)?),
            _ if is("broadcast") || word == "brd" => parsed.broadcast = Some(lladdr(args.value()?)?),
            _ if is("txqueuelen") || word == "qlen" || is("txqlen") => {
                unsigned(&mut parsed.set.txqueuelen, args, "txqueuelen")?;
            }
            "mtu" => unsigned(&mut parsed.set.mtu, args, "mtu")?,
            "netns" => {
                let text = args.value()?;
                let netns = self.netns_by_name_or_pid(text)?;
                once(&mut parsed.netns, "netns", text, netns)?;
            }
            _ if is("master") => {
                let name = args.value()?;
                let master = self.find_dev(name).ok_or_else(|| invarg("Device does not exist\n", name))?;
                parsed.set.master = Some(Some(master));
            }
            "vrf" => {
                let name = args.value()?;
                self.find_dev(name).ok_or_else(|| invarg("Device does not exist\n", name))?;
                let vrf = self.find_vrf(name).ok_or_else(|| invarg("Not a valid VRF name\n", name))?;
                parsed.set.master = Some(Some(vrf));
            }
            _ if is("alias") => {
                let alias = args.value()?;
                if alias.len() >= IFALIASZ {
                    return Err(invarg("alias too long\n", alias));
                }
                parsed.set.alias = Some(alias.to_owned());
            }
            "group" => {
                let group = args.value()?;
                let number = Names::Group.number(group);
                let number = number.ok_or_else(|| invarg("Invalid \"group\" value\n", group))?;
                once(&mut parsed.group, "group", group, number)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn netns_by_name_or_pid(&self, text: &str) -> Done<NetnsId> {
        let bad = || invarg("Invalid \"netns\" value\n", text);
        let named = self.kernel(|kernel| kernel.netns_names.get(text).copied());
        if let Some(netns) = named {
            return Ok(netns);
        }
        let pid: u32 = number(text).ok_or_else(bad)?;
        self.netns_of_pid(pid).ok_or_else(|| Stop::refused(&Errno::ESRCH.into()))
    }

    fn link_add(&mut self, mut args: Args) -> Done {
        let parsed = self.link_words(&mut args)?;
        let Some(kind) = parsed.kind.clone() else {
            return Err(Stop::failed("Not enough information: \"type\" argument is required\n"));
        };
        let info = match link_util(&kind) {
            Some(util) if !util.is_modelled => {
                return Err(Stop::not_modelled(&format!("link add type {kind}")));
            }
            Some(util) => self.link_info(util, &mut args, None, true)?,
            None if args.is_empty() => {
                return Err(Stop::error(2, "Error: Unknown device type.\n"));
            }
            None => return Err(garbage(&args)),
        };
        let mut new = parsed.into_new(self)?;
        new.set.info = Some(info);
        let netns = self.netns;
        self.enter(|cx| rtm_newlink(cx, netns, new))?;
        Ok(())
    }

    /// Parses the arguments after `type KIND`.
    fn link_info(
        &mut self,
        util: &LinkUtil,
        args: &mut Args,
        changed: Option<DevId>,
        is_new: bool,
    ) -> Done<LinkInfo> {
        let info = match util.parse_opt {
            _ if args.is_empty() => return Ok(LinkInfo::new(util.id)),
            Some(parse_opt) => match util.parse_change.zip(changed) {
                Some((parse_change, dev)) => parse_change(self, args, dev)?,
                None => parse_opt(self, args)?,
            },
            None => LinkInfo::with(util.id, ()),
        };
        if let Some(check_opt) = util.check_opt {
            check_opt(self, &info, is_new)?;
        }
        Ok(info)
    }

    fn link_set(&mut self, mut args: Args) -> Done {
        let mut parsed = self.link_words(&mut args)?;
        if let Some(name) = parsed.dev.as_ref().or(parsed.name.as_ref()) {
            let dev = self.dev(name)?;
            let addr_len = self.kernel(|kernel| kernel.devs[dev].arphrd.addr_len());
            parsed.check_addresses(addr_len)?;
        }
        if let Some(kind) = parsed.kind.take() {
            self.link_set_kind(&kind, &mut args, &mut parsed)?;
        }
        if parsed.index.is_some() {
            return Err(Stop::usage(
                "index can be used only when creating devices or when moving device to another netns.\n",
            ));
        }
        let Some(name) = parsed.dev.clone().or_else(|| parsed.name.clone()) else {
            return self.link_set_group(parsed);
        };
        if parsed.dev.is_none() {
            parsed.name = None;
        }
        let dev = self.dev(&name)?;
        if let Some(link) = &parsed.link {
            // The kernel takes no notice of it where a device is changed.
            self.dev(link)?;
        }
        let set = parsed.into_set()?;
        self.enter(|cx| do_setlink(cx, dev, set))?;
        Ok(())
    }

    /// Sets all devices of a group.
    fn link_set_group(&mut self, parsed: Parsed) -> Done {
        let Some(group) = parsed.group else {
            return Err(Stop::usage("Not enough information: \"dev\" argument is required.\n"));
        };
        let set = LinkSet { group: None, ..parsed.into_set()? };
        for dev in self.group(group) {
            self.enter(|cx| do_setlink(cx, dev, set.clone()))?;
        }
        Ok(())
    }

    fn group(&self, group: u32) -> Vec<DevId> {
        self.kernel(|kernel| {
            let all = kernel.netns[self.netns].devs.values().copied();
            all.filter(|dev| kernel.devs[*dev].group == group).collect()
        })
    }

    fn link_set_kind(&mut self, kind: &str, args: &mut Args, parsed: &mut Parsed) -> Done {
        let dev = parsed.dev.as_ref().or(parsed.name.as_ref()).and_then(|name| self.find_dev(name));
        let set = &mut parsed.set;
        match link_util(kind) {
            Some(util) if !util.is_modelled => {
                return Err(Stop::not_modelled(&format!("link set type {kind}")));
            }
            Some(util) if kind.ends_with("_slave") => {
                set.slave_info = Some(self.link_info(util, args, None, false)?)
            }
            Some(util) => set.info = Some(self.link_info(util, args, dev, false)?),
            None if args.is_empty() => {}
            None => return Err(garbage(args)),
        }
        Ok(())
    }

    fn link_delete(&mut self, mut args: Args) -> Done {
        let parsed = self.link_words(&mut args)?;
        if let Some(group) = parsed.group.filter(|_| parsed.dev.is_none()) {
            let group = match self.group(group) {
                _ if group == 0 => return Err(Stop::refused(&Errno::EPERM.into())),
                devs if devs.is_empty() => return Err(Stop::refused(&Errno::ENODEV.into())),
                devs => devs,
            };
            for dev in group {
                // The peer of a veth is deleted with it.
                if self.kernel(|kernel| kernel.devs.get(dev).is_some()) {
                    self.enter(|cx| rtm_dellink(cx, dev))?;
                }
            }
            return Ok(());
        }
        let Some(name) = parsed.dev.clone().or(parsed.name.clone()) else {
            return Err(Stop::usage("Not enough information: \"dev\" argument is required.\n"));
        };
        let dev = self.dev(&name)?;
        self.enter(|cx| rtm_dellink(cx, dev))?;
        Ok(())
    }
}

/// Arguments after an unknown kind.
fn garbage(args: &Args) -> Stop {
    match args.peek() {
        Some(word) if matches(word, "help") => link_help(None),
        word => Stop::usage(format!(
            "Garbage instead of arguments \"{} ...\". Try \"ip link help\".\n",
            word.unwrap_or_default()
        )),
    }
}

impl View<'_> {
    /// Prints the attributes of the device's kind and of its master's kind.
    pub(super) fn linkinfo(&self, out: &mut Out, dev: &NetDevice) {
        let slave_kind = dev.master().and_then(|master| self.kernel.devs[master].ops.kind);
        if dev.ops.kind.is_none() && slave_kind.is_none() {
            return;
        }
        out.open(Some("linkinfo"));
        if let Some(kind) = dev.ops.kind {
            out.nl();
            out.any("info_kind", kind, format_args!("    {kind} "));
            self.info_data(out, dev, kind, "info_data");
        }
        if let Some(kind) = slave_kind {
            out.nl();
            out.any("info_slave_kind", kind, format_args!("    {kind}_slave "));
            self.info_data(out, dev, &format!("{kind}_slave"), "info_slave_data");
        }
        out.close();
    }

    fn info_data(&self, out: &mut Out, dev: &NetDevice, kind: &str, key: &str) {
        let Some(print_opt) = link_util(kind).and_then(|util| util.print_opt) else { return };
        out.open(Some(key));
        print_opt(self, out, dev);
        out.close();
    }
}

impl Parsed {
    fn check_addresses(&self, addr_len: usize) -> Done {
        // A device without addresses tells of none to compare with.
        match &self.address {
            Some(address) if addr_len != 0 && address.len() != addr_len => Err(Stop::failed(format!(
                "Invalid address length {} - must be {addr_len} bytes\n",
                address.len()
            ))),
            _ => Ok(()),
        }
    }

    /// The changes.
    fn into_set(mut self) -> Done<LinkSet> {
        self.set.address = self.address.as_deref().map(link_address).transpose()?;
        self.set.broadcast = self.broadcast.as_deref().map(link_address).transpose()?;
        self.set.netns = self.netns;
        self.set.group = self.group;
        self.set.name = self.name;
        Ok(self.set)
    }

    /// The new device.
    fn into_new(self, ip: &Ip) -> Done<LinkNew> {
        if self.name.is_some() && self.dev.is_some() && self.name != self.dev {
            return Err(Stop::not_modelled("link add dev … name"));
        }
        let name = self.name.clone().or(self.dev.clone());
        if name.as_ref().is_some_and(|name| name.len() > MAX_NAME) {
            let stderr = "Error: Attribute failed policy validation.\n";
            return Err(Stop::error(2, stderr));
        }
        let link = self.link.as_deref().map(|name| ip.dev(name)).transpose()?;
        let ifindex = self.index;
        let mut set = self.into_set()?;
        set.name = None;
        Ok(LinkNew { name, set, ifindex, link })
    }
}

/// An address as devices have it: of six bytes, or of four at the beginning.
fn link_address(bytes: &[u8]) -> Done<Mac> {
    let bytes = if let [a, b, c, d] = *bytes { &[a, b, c, d, 0, 0] } else { bytes };
    mac(bytes).map_err(|_| Stop::refused(&Errno::EINVAL.into()))
}

/// Sets a value that may be given only once.
fn once<T>(slot: &mut Option<T>, key: &str, text: &str, value: T) -> Done {
    if slot.is_some() {
        return Err(duparg(key, text));
    }
    *slot = Some(value);
    Ok(())
}

fn unsigned(slot: &mut Option<u32>, args: &mut Args, key: &str) -> Done {
    let text = args.value()?;
    if slot.is_some() {
        return Err(duparg(key, text));
    }
    let bad = || invarg(&format!("Invalid \"{key}\" value\n"), text);
    *slot = Some(number(text).ok_or_else(bad)?);
    Ok(())
}

fn link_help(kind: Option<&str>) -> Stop {
    match kind.and_then(link_util).filter(|util| util.is_modelled) {
        Some(util) => Stop::shown(util.help),
        None => Stop::usage(include_str!("../help/link.txt")),
    }
}
