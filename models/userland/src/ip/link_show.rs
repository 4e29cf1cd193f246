//! `ip link show`, and its part of `ip addr show`.

use glassnet_kernel::ids::{DevId, NetnsId};
use glassnet_kernel::kernel::Kernel;
use glassnet_kernel::net::core::net_namespace::{peernet2id, peernet2id_alloc};
use glassnet_kernel::net::core::rtnetlink::rtnl_link_ops_get;
use glassnet_kernel::tables::arphrd::Arphrd;
use glassnet_kernel::tables::netdev::{IFF_POINTOPOINT, NetDevice, OperState};
use glassnet_sim::Nanos;
use glassnet_wire::Mac;

use super::args::{Args, Done, Stop, duparg2, invarg};
use super::link_stats::print_stats;
use super::names::Names;
use super::out::{Color, Out, Value};
use super::{Family, Ip, Options};

/// The command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// `ip link show`.
    Link,
    /// `ip addr show`.
    Addr,
}

/// Filter of devices.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    pub(super) dev: Option<DevId>,
    pub(super) up: bool,
    pub(super) group: Option<u32>,
    pub(super) master: Option<DevId>,
    pub(super) nomaster: bool,
    pub(super) kind: Option<String>,
}

/// State for printing a device.
pub(super) struct View<'a> {
    pub(super) kernel: &'a Kernel,
    pub(super) netns: NetnsId,
    pub(super) opts: &'a Options,
    pub(super) what: What,
    pub(super) now: Nanos,
}

const FLAGS: &[(u32, &str)] = &[
    (0x8, "LOOPBACK"),
    (0x2, "BROADCAST"),
    (0x10, "POINTOPOINT"),
    (0x1000, "MULTICAST"),
    (0x80, "NOARP"),
    (0x200, "ALLMULTI"),
    (0x100, "PROMISC"),
    (0x400, "MASTER"),
    (0x800, "SLAVE"),
    (0x1, "UP"),
    (0x10000, "LOWER_UP"),
];

const IFF_UP: u32 = 0x1;
const IFF_RUNNING: u32 = 0x40;

/// Smallest MTU for IPv6, bytes (RFC 8200 section 5).
const IPV6_MIN_MTU: u32 = 1280;

impl Ip<'_> {
    pub(super) fn link_show(&mut self, mut args: Args, what: What) -> Done {
        let mut filter = Filter::default();
        let mut dev = None;
        while let Some(word) = args.take() {
            if !self.link_filter(word, &mut args, &mut filter)? {
                let name = if word == "dev" { args.value()? } else { word };
                if dev.is_some() {
                    return Err(duparg2("dev", name));
                }
                dev = Some(name.to_owned());
            }
        }
        filter.dev = self.shown_dev(dev.as_deref())?;
        let devs = self.visible_devs();
        let mut out = self.out();
        self.view(what, |view| {
            for dev in devs {
                if filter.is_left_out(view.kernel, dev) {
                    continue;
                }
                out.open(None);
                if filter.passes(view.kernel, dev) {
                    view.link(&mut out, &view.kernel.devs[dev]);
                    out.text("\n");
                }
                out.close();
            }
        });
        self.show(out);
        Ok(())
    }

    /// The only device to show.
    pub(super) fn shown_dev(&self, name: Option<&str>) -> Done<Option<DevId>> {
        let Some(name) = name else { return Ok(None) };
        let missing = || Stop::failed(format!("Device \"{name}\" does not exist.\n"));
        self.find_dev(name).ok_or_else(missing).map(Some)
    }

    /// Parses a filter argument; false if it is none.
    pub(super) fn link_filter(&self, word: &str, args: &mut Args, filter: &mut Filter) -> Done<bool> {
        match word {
            "up" => filter.up = true,
            "group" => {
                let group = args.value()?;
                let number = Names::Group.number(group);
                filter.group = Some(number.ok_or_else(|| invarg("Invalid \"group\" value\n", group))?);
            }
            "master" => {
                let name = args.value()?;
                let master = self.find_dev(name).ok_or_else(|| invarg("Device does not exist\n", name))?;
                filter.master = Some(master);
            }
            "vrf" => filter.master = Some(self.vrf_arg(args, "Not a valid VRF name\n")?),
            "nomaster" => filter.nomaster = true,
            "type" => filter.kind = Some(args.value()?.to_owned()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The devices of the namespace by ifindex. As in a kernel dump, their peers' namespaces get nsids.
    pub(super) fn visible_devs(&mut self) -> Vec<DevId> {
        let netns = self.netns;
        self.enter(|cx| {
            let devs: Vec<DevId> = cx.k.netns[netns].devs.values().copied().collect();
            for dev in &devs {
                let netdev = &cx.k.devs[*dev];
                let peer = netdev.link.map(|peer| cx.k.devs[peer].netns).or_else(|| netdev.link_net());
                if let Some(peer) = peer.filter(|peer| *peer != netns) {
                    peernet2id_alloc(cx, netns, peer);
                }
            }
            devs
        })
    }

    /// Reads kernel state for printing.
    pub(super) fn view<R>(&self, what: What, look: impl FnOnce(&View) -> R) -> R {
        let now = self.process.now();
        self.kernel(|kernel| look(&View { kernel, netns: self.netns, opts: &self.opts, what, now }))
    }
}

impl Filter {
    /// The kernel does not return the device. One that only `ip` hides is an empty object in its JSON.
    pub(super) fn is_left_out(&self, kernel: &Kernel, dev: DevId) -> bool {
        let by_kernel = Filter {
            dev: self.dev,
            master: self.master,
            kind: self.kind.clone().filter(|kind| rtnl_link_ops_get(kernel, kind).is_some()),
            ..Filter::default()
        };
        !by_kernel.passes(kernel, dev)
    }

    pub(super) fn passes(&self, kernel: &Kernel, dev: DevId) -> bool {
        let netdev = &kernel.devs[dev];
        let kind = match self.kind.as_deref() {
            None => true,
            Some(kind) => match kind.strip_suffix("_slave") {
                Some(master) => netdev.master().is_some_and(|dev| kernel.devs[dev].ops.kind == Some(master)),
                None => netdev.ops.kind == Some(kind),
            },
        };
        kind && self.dev.is_none_or(|only| only == dev)
            && (!self.up || netdev.is_up())
            && self.group.is_none_or(|group| group == netdev.group)
            && self.master.is_none_or(|master| netdev.master() == Some(master))
            && (!self.nomaster || netdev.master().is_none())
    }
}

pub(crate) fn linked<'k>(kernel: &'k Kernel, dev: &NetDevice) -> Option<&'k NetDevice> {
    let by_index = |index| kernel.dev_by_index(dev.link_net().unwrap_or(dev.netns), index);
    let link = dev.link.or_else(|| dev.ops.get_iflink.and_then(|get_iflink| by_index(get_iflink(dev))));
    link.and_then(|link| kernel.devs.get(link))
}

/// The name with the peer: `v1@v2`, or `v1@if7` in another namespace, which `far` prints in JSON.
pub(crate) fn name_and_link(
    peer: Option<&NetDevice>,
    netns: NetnsId,
    out: &mut Out,
    dev: &NetDevice,
    far: impl Fn(&mut Out, u32) -> String,
    layout: impl Fn(&str) -> String,
) {
    let name = match peer {
        None => dev.name.clone(),
        Some(peer) if peer.netns == netns => {
            out.json("link", peer.name.as_str());
            format!("{}@{}", dev.name, peer.name)
        }
        Some(peer) => {
            format!("{}@{}", dev.name, far(out, peer.ifindex))
        }
    };
    out.color(Some(Color::Ifname), "ifname", dev.name.as_str(), layout(&name));
}

/// The flags of a device in angle brackets; `lower` is what the tool takes for the device below it.
pub(crate) fn link_flags(out: &mut Out, dev: &NetDevice, lower: Option<&NetDevice>) {
    let flags = dev.dev_get_flags();
    let mut words = Vec::new();
    if flags & IFF_UP != 0 && flags & IFF_RUNNING == 0 {
        words.push("NO-CARRIER");
    }
    words.extend(FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name));
    if lower.is_some_and(|lower| !lower.is_up()) {
        words.push("M-DOWN");
    }
    out.open_array(Some("flags"));
    out.text(format_args!("<{}> ", words.join(",")));
    for word in words {
        out.item(word, "");
    }
    out.close_array();
}

impl View<'_> {
    /// Prints a device, without the final line end.
    pub(super) fn link(&self, out: &mut Out, dev: &NetDevice) {
        if self.opts.brief {
            return self.brief(out, dev);
        }
        out.any("ifindex", dev.ifindex, format_args!("{}: ", dev.ifindex));
        self.name(out, dev, |name| format!("{name}: "));
        self.flags(out, dev);
        out.any("mtu", dev.mtu, format_args!("mtu {} ", dev.mtu));
        let qdisc = self.kernel.qdiscs[dev.qdisc].ops.id;
        out.any("qdisc", qdisc, format_args!("qdisc {qdisc} "));
        if let Some(master) = dev.master() {
            let master = self.kernel.devs[master].name.as_str();
            out.any("master", master, format_args!("master {master} "));
        }
        out.text("state ");
        self.operstate(out, dev, |state| format!("{state} "));
        if self.what == What::Link {
            out.any("linkmode", "DEFAULT", "mode DEFAULT ");
        }
        let group = Names::Group.name(dev.group, self.opts.numeric);
        out.any("group", group.as_str(), format_args!("group {group} "));
        if dev.tx_queue_len > 0 {
            out.any("txqlen", dev.tx_queue_len, format_args!("qlen {}", dev.tx_queue_len));
        }
        let family = self.opts.family;
        if self.what == What::Link || family == Family::Unspec || family == Family::Link || self.details() {
            self.addresses(out, dev);
        }
        if let Some(alias) = dev.alias.as_deref().filter(|_| self.what == What::Link || self.details()) {
            out.nl();
            out.any("ifalias", alias, format_args!("    alias {alias}"));
        }
        if self.opts.stats > 0 && self.what == What::Link {
            out.nl();
            print_stats(out, self.kernel, dev, self.opts);
        }
    }

    fn details(&self) -> bool {
        self.opts.details > 0
    }

    fn brief(&self, out: &mut Out, dev: &NetDevice) {
        self.name(out, dev, |name| format!("{name:<16} "));
        self.operstate(out, dev, |state| format!("{state:<14} "));
        if self.what == What::Link || self.opts.family == Family::Link {
            if dev.arphrd.addr_len() != 0 {
                let addr = dev.arphrd.address(dev.addr);
                out.color(Some(Color::Mac), "address", addr.as_str(), format_args!("{addr} "));
            }
            self.flags(out, dev);
        }
    }

    fn name(&self, out: &mut Out, dev: &NetDevice, layout: impl Fn(&str) -> String) {
        let far = |out: &mut Out, index| {
            out.json("link_index", index);
            format!("if{index}")
        };
        if let (Some(get_iflink), None) = (dev.ops.get_iflink, self.linked(dev)) {
            // It could be linked to a device, and is not, or to one that is gone.
            let (json, link) = match get_iflink(dev) {
                0 => (Value::Null, "NONE".to_owned()),
                index => (format!("if{index}").into(), format!("if{index}")),
            };
            out.json("link", json);
            let text = layout(&format!("{}@{link}", dev.name));
            out.color(Some(Color::Ifname), "ifname", dev.name.as_str(), text);
            return;
        }
        // What is only linked to a namespace has itself in place of a peer.
        let peer = if dev.link_net().is_some() { Some(dev) } else { self.linked(dev) };
        name_and_link(peer, dev.link_net().unwrap_or(self.netns), out, dev, far, layout);
    }

    fn linked(&self, dev: &NetDevice) -> Option<&NetDevice> {
        linked(self.kernel, dev)
    }

    fn flags(&self, out: &mut Out, dev: &NetDevice) {
        let lower = linked(self.kernel, dev).filter(|peer| peer.netns == self.netns);
        link_flags(out, dev, lower);
    }

    fn operstate(&self, out: &mut Out, dev: &NetDevice, layout: impl Fn(&str) -> String) {
        // A device that is set down is DOWN, whatever its operational state (`rtnl_fill_ifinfo`).
        let state = if dev.is_up() { dev.operstate } else { OperState::Down };
        let color = match state {
            OperState::Up => Some(Color::Up),
            OperState::Down => Some(Color::Down),
            _ => None,
        };
        out.color(color, "operstate", state.name(), layout(state.name()));
    }

    fn addresses(&self, out: &mut Out, dev: &NetDevice) {
        out.nl();
        let kind = match dev.arphrd {
            kind if self.opts.numeric => format!("[{}]", kind as u16),
            Arphrd::Ether => "ether".to_owned(),
            Arphrd::Loopback => "loopback".to_owned(),
            Arphrd::None => "none".to_owned(),
            Arphrd::Tunnel => "ipip".to_owned(),
            Arphrd::Ipgre => "gre".to_owned(),
        };
        out.any("link_type", kind.as_str(), format_args!("    link/{kind} "));
        if dev.arphrd.addr_len() != 0 {
            let (addr, broadcast) = (dev.arphrd.address(dev.addr), dev.arphrd.address(dev.broadcast));
            out.color(Some(Color::Mac), "address", addr.as_str(), &addr);
            if dev.flags & IFF_POINTOPOINT != 0 {
                out.any("link_pointtopoint", true, " peer ");
            } else {
                out.text(" brd ");
            }
            out.color(Some(Color::Mac), "broadcast", broadcast.as_str(), &broadcast);
        }
        if dev.perm_addr != Mac::ZERO && dev.perm_addr != dev.addr {
            let perm_addr = dev.arphrd.address(dev.perm_addr);
            out.text(" permaddr ");
            out.color(Some(Color::Mac), "permaddr", perm_addr.as_str(), &perm_addr);
        }
        let peer = self.linked(dev).map(|peer| peer.netns).or_else(|| dev.link_net());
        if let Some(peer) = peer.filter(|netns| *netns != self.netns) {
            self.link_netns(out, peer);
        }
        if self.details() {
            self.detail(out, dev);
        }
    }

    fn link_netns(&self, out: &mut Out, peer: NetnsId) {
        let Some(id) = peernet2id(self.kernel, self.netns, peer) else { return };
        let name = self.kernel.netns_names.iter().find(|(_, netns)| **netns == peer);
        out.json("link_netnsid", id);
        match name {
            Some((name, _)) => out.text(format_args!(" link-netns {name}")),
            None => out.text(format_args!(" link-netnsid {id}")),
        }
    }

    fn detail(&self, out: &mut Out, dev: &NetDevice) {
        out.any("promiscuity", dev.promiscuity, format_args!(" promiscuity {} ", dev.promiscuity));
        out.any("allmulti", dev.allmulti, format_args!(" allmulti {} ", dev.allmulti));
        out.any("min_mtu", dev.min_mtu, format_args!("minmtu {} ", dev.min_mtu));
        out.any("max_mtu", dev.max_mtu, format_args!("maxmtu {} ", dev.max_mtu));
        self.linkinfo(out, dev);
        if self.what == What::Link && dev.mtu >= IPV6_MIN_MTU {
            out.any("inet6_addr_gen_mode", "eui64", "addrgenmode eui64 ");
        }
        for (key, word, value) in [
            ("num_tx_queues", "numtxqueues", dev.num_tx_queues),
            ("num_rx_queues", "numrxqueues", dev.num_rx_queues),
            ("gso_max_size", "gso_max_size", 65_536),
            ("gso_max_segs", "gso_max_segs", 65_535),
            ("tso_max_size", "tso_max_size", dev.tso_max_size),
            ("tso_max_segs", "tso_max_segs", 65_535),
            ("gro_max_size", "gro_max_size", 65_536),
        ] {
            // A kernel for one CPU has no RPS, so it does not tell of receive queues.
            if self.kernel.config.smp || key != "num_rx_queues" {
                out.any(key, value, format_args!("{word} {value} "));
            }
        }
    }
}
