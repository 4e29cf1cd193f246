//! `bridge fdb`: the forwarding database.

use std::net::Ipv4Addr;

use glassnet_kernel::ids::DevId;
use glassnet_kernel::link::{FdbDst, FdbRequest, FdbRow};
use glassnet_kernel::net::bridge::br_fdb::{
    FdbMsg, br_fdb_add, br_fdb_delete, br_fdb_delete_bulk, fdb_to_nud,
};
use glassnet_kernel::net::core::net_namespace::peernet2id;
use glassnet_kernel::netlink::{Errno, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use glassnet_kernel::tables::bridge::FdbEntry;
use glassnet_kernel::tables::jiffies::last_tick;
use glassnet_kernel::tables::neigh_types::Nud;
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_kernel::tables::rtnl::{RtnlEvent, RtnlMsg};
use glassnet_sim::Nanos;
use glassnet_wire::Mac;
use glassnet_wire::vxlan::VXLAN_N_VID;

use super::{Bridge, no_bridge_device, no_device, not_modelled, refused};
use crate::iproute2::args::{Args, Done, Stop, duparg2, invarg, ipv4, matches, number};
use crate::iproute2::out::{Color, Out};
use crate::procfs::View;

/// One line of `bridge fdb show`.
pub(super) struct Row {
    mac: Mac,
    dev: String,
    vlan: u16,
    /// Seconds since last use and last update; entries of a device's address list have none.
    times: Option<(u64, u64)>,
    flags: Vec<&'static str>,
    master: Option<String>,
    /// `NUD_*`.
    state: u16,
    /// Where the station is, beyond a tunnel.
    dst: Option<Ipv4Addr>,
    port: Option<u16>,
    vni: Option<u32>,
    via: Option<String>,
    /// The number of the namespace that it leads to.
    link_netnsid: Option<u32>,
}

/// Filter of `bridge fdb show`.
#[derive(Default)]
struct Filter {
    bridge: Option<glassnet_kernel::ids::DevId>,
    dev: Option<glassnet_kernel::ids::DevId>,
    vlan: Option<u32>,
    state: Option<Nud>,
    dynamic: bool,
}

/// Arguments of `bridge fdb add`, `append`, `replace` and `del`.
#[derive(Default)]
struct Request<'a> {
    mac: Option<&'a str>,
    dev: Option<&'a str>,
    vlan: u16,
    own: bool,
    master: bool,
    /// `NUD_*`.
    state: u16,
    sticky: bool,
    extern_learn: bool,
    router: bool,
    dst: FdbDst,
    via: Option<&'a str>,
}

/// `NTF_ROUTER`, `NTF_STICKY` and `NTF_EXT_LEARNED` (include/uapi/linux/neighbour.h).
const NTF_ROUTER: u8 = 0x80;
const NTF_STICKY: u8 = 0x40;
const NTF_EXT_LEARNED: u8 = 0x10;

impl Bridge<'_> {
    pub(super) fn fdb(&mut self, mut args: Args) -> Done<i32> {
        let Some(word) = args.take() else { return self.fdb_show(args) };
        let commands = ["add", "append", "replace", "delete", "show", "lst", "list", "get", "flush", "help"];
        match commands.into_iter().find(|full| matches(word, full)) {
            Some("add") => self.fdb_modify(args, NLM_F_CREATE | NLM_F_EXCL),
            Some("append") => self.fdb_modify(args, NLM_F_CREATE | NLM_F_APPEND),
            Some("replace") => self.fdb_modify(args, NLM_F_CREATE | NLM_F_REPLACE),
            Some("delete") => self.fdb_modify(args, 0),
            Some("get") => self.fdb_get(args),
            Some("flush") => self.fdb_flush(args),
            Some("help") => Err(Stop::usage(include_str!("help/fdb.txt"))),
            Some(_) => self.fdb_show(args),
            None => Err(Stop::usage(format!("Command \"{word}\" is unknown, try \"bridge fdb help\".\n"))),
        }
    }

    fn fdb_show(&mut self, mut args: Args) -> Done<i32> {
        let mut filter = Filter::default();
        while let Some(word) = args.take() {
            match word {
                "brport" | "dev" => {
                    let name = args.value()?;
                    filter.dev = Some(self.find_dev(name).ok_or_else(|| no_device(name))?);
                }
                "br" => {
                    let name = args.value()?;
                    filter.bridge = Some(self.find_dev(name).ok_or_else(|| no_bridge_device(name))?);
                }
                "vlan" => filter.vlan = args.value()?.parse().ok(),
                "state" => filter.state = Some(nud_state(args.value()?)?),
                "dynamic" => filter.dynamic = true,
                word if matches(word, "help") => return Err(Stop::usage(include_str!("help/fdb.txt"))),
                _ => {}
            }
        }
        let rows = self.view(|view| rows(view, &filter));
        let mut out = self.out();
        for row in rows.iter().filter(|row| filter.shows(row)) {
            print_row(&mut out, row, filter.dev.is_none(), self.stats);
        }
        self.process.print(out.finish());
        Ok(0)
    }

    /// `add`, `append` and `replace`, and `del` without flags (`fdb_modify`).
    fn fdb_modify(&mut self, mut args: Args, nlmsg_flags: u16) -> Done<i32> {
        let request = request(&mut args)?;
        let (mac, name) = request.place()?;
        let mut dst = request.dst;
        if let Some(via) = request.via {
            let dev = self.find_dev(via).ok_or_else(|| no_device(via))?;
            dst.via = Some(self.view(|view| view.kernel.devs[dev].ifindex));
        }
        let dev = self.find_dev(name).ok_or_else(|| no_device(name))?;
        let (is_port, is_bridge, fdb) = self.view(|view| {
            let dev = &view.kernel.devs[dev];
            (dev.port.is_some(), dev.bridge().is_some(), dev.ops.fdb)
        });
        if request.master {
            if !is_port {
                return Err(refused(&Errno::EOPNOTSUPP.into()));
            }
            self.bridge_entry(dev, &request, mac, nlmsg_flags)?;
            if !request.own {
                return Ok(0);
            }
        }
        let Some(fdb) = fdb else {
            return match is_bridge {
                true => self.bridge_entry(dev, &request, mac, nlmsg_flags).map(|()| 0),
                false => Err(not_modelled("fdb … self: a device's own address list")),
            };
        };
        let flags = [
            (request.router, NTF_ROUTER),
            (request.sticky, NTF_STICKY),
            (request.extern_learn, NTF_EXT_LEARNED),
        ];
        let flags = flags.iter().filter(|(on, _)| *on).fold(0, |all, (_, flag)| all | flag);
        let msg = FdbRequest { mac, state: request.state, flags, nlmsg_flags, to: dst };
        let modify = if nlmsg_flags == 0 { fdb.del } else { fdb.add };
        self.enter(|cx| modify(cx, dev, &msg)).map_err(|error| refused(&error))?;
        Ok(0)
    }

    /// Changes the bridge's entry of a port, or of the bridge itself, which takes no notice of tunnels.
    fn bridge_entry(&mut self, dev: DevId, request: &Request, mac: Mac, nlmsg_flags: u16) -> Done {
        let permanent = request.state & Nud::Permanent as u16 != 0;
        let msg = FdbMsg {
            mac,
            vlan: request.vlan,
            permanent,
            noarp: request.state & Nud::Noarp as u16 != 0 && !permanent,
            sticky: request.sticky,
            extern_learn: request.extern_learn,
            excl: nlmsg_flags & NLM_F_EXCL != 0,
            create: true,
        };
        let done = self.enter(|cx| match nlmsg_flags {
            0 => br_fdb_delete(cx, dev, mac, msg.vlan),
            _ => br_fdb_add(cx, dev, msg),
        });
        done.map_err(|error| refused(&error))
    }

    fn fdb_get(&mut self, mut args: Args) -> Done<i32> {
        let (mut mac, mut dev, mut bridge, mut vlan, mut own, mut vni) = (None, None, None, 0, false, None);
        while let Some(word) = args.take() {
            match word {
                "brport" | "dev" => dev = Some(args.value()?),
                "br" => bridge = Some(args.value()?),
                "vlan" => vlan = vlan_id(args.value()?)?,
                "master" => {}
                "self" => own = true,
                "vni" => vni = Some(args.value()?),
                "src_vni" | "dynamic" => {
                    return Err(not_modelled(&format!("fdb get {word}")));
                }
                "to" => mac = Some(args.value()?),
                word if mac.is_none() => mac = Some(word),
                word => return Err(duparg2("to", word)),
            }
        }
        let (Some(mac), true) = (mac, dev.is_some() || bridge.is_some()) else {
            return Err(Stop::usage("Device or master and address are required arguments.\n"));
        };
        let mac: Mac = parse_mac(mac)?;
        let find = |name: &str| self.find_dev(name).ok_or_else(|| no_device(name));
        let dev = dev.map(find).transpose()?;
        let bridge = bridge.map(find).transpose()?;
        if own {
            return self.fdb_get_own(mac, dev);
        }
        if vni.is_some() {
            return Err(not_modelled("fdb get vni of a bridge's entry"));
        }
        if dev.is_some_and(|dev| self.view(|view| view.kernel.devs[dev].port.is_none())) {
            return Err(Stop::error(254, "Error: Device is not a bridge port.\n"));
        }
        let row = self.view(|view| {
            let bridge = bridge.or_else(|| view.kernel.devs[dev?].master())?;
            let entry = view.kernel.devs[bridge].bridge()?.fdb.find(mac, vlan)?;
            Some(row_of(view, &view.kernel.devs[bridge], entry))
        });
        let not_found = || Stop::error(254, "Error: Fdb entry not found.\n");
        let row = row.ok_or_else(not_found)?;
        let mut out = self.out();
        print_row(&mut out, &row, true, self.stats);
        self.process.print(out.finish());
        Ok(0)
    }

    /// The entry of a device's own database.
    fn fdb_get_own(&mut self, mac: Mac, dev: Option<DevId>) -> Done<i32> {
        let dev = dev.ok_or_else(|| not_modelled("fdb get br … self"))?;
        let Some(fdb) = self.view(|view| view.kernel.devs[dev].ops.fdb) else {
            return Err(Stop::error(254, "Error: Fdb get operation not supported by device.\n"));
        };
        let row = self.view(|view| {
            let netdev = &view.kernel.devs[dev];
            let found = (fdb.dump)(view.kernel, netdev).into_iter().find(|row| row.mac == mac);
            found.map(|row| tunnel_row(view, Some(netdev), &row))
        });
        let row = row.ok_or_else(|| Stop::error(254, "Error: Fdb entry not found.\n"))?;
        let mut out = self.out();
        print_row(&mut out, &row, true, self.stats);
        self.process.print(out.finish());
        Ok(0)
    }

    fn fdb_flush(&mut self, mut args: Args) -> Done<i32> {
        let (mut dev, mut vlan, mut local, mut fixed, mut master) = (None, None, false, false, false);
        while let Some(word) = args.take() {
            match word {
                "dev" => dev = Some(args.value()?),
                "vlan" => vlan = Some(vlan_id(args.value()?)?),
                "self" => {}
                "master" => master = true,
                "permanent" | "local" => local = true,
                "static" => fixed = true,
                word if matches(word, "help") => return Err(Stop::usage(include_str!("help/fdb.txt"))),
                word => return Err(not_modelled(&format!("fdb flush {word}"))),
            }
        }
        let name = dev.ok_or_else(|| Stop::usage("Device is a required argument.\n"))?;
        let dev = self.find_dev(name).ok_or_else(|| no_bridge_device(name))?;
        if !master && self.view(|view| view.kernel.devs[dev].ops.fdb.is_some()) {
            return Err(refused(&Errno::EOPNOTSUPP.into()));
        }
        let wanted = move |entry: &FdbEntry| {
            vlan.is_none_or(|vlan| vlan == entry.vlan)
                && (!local || entry.is_local)
                && (!fixed || entry.is_static)
        };
        self.enter(|cx| br_fdb_delete_bulk(cx, dev, wanted)).map_err(|error| refused(&error))?;
        Ok(0)
    }
}

fn request<'a>(args: &mut Args<'a>) -> Done<Request<'a>> {
    let (noarp, reachable, permanent) = (Nud::Noarp as u16, Nud::Reachable as u16, Nud::Permanent as u16);
    let mut request = Request { state: noarp, ..Request::default() };
    while let Some(word) = args.take() {
        match word {
            "dev" => request.dev = Some(args.value()?),
            "self" => request.own = true,
            "master" => request.master = true,
            "permanent" | "local" => request.state |= permanent,
            "static" | "temp" => request.state |= reachable,
            "dynamic" => request.state = request.state & !noarp | reachable,
            "sticky" => request.sticky = true,
            "extern_learn" => request.extern_learn = true,
            "router" => request.router = true,
            "vlan" => request.vlan = vlan_id(args.value()?)?,
            "dst" | "port" | "vni" => tunnel_end(&mut request.dst, word, args)?,
            "via" => request.via = Some(args.value()?),
            "nhid" | "src_vni" | "use" | "activity_notify" | "inactive" | "norefresh" => {
                return Err(not_modelled(&format!("fdb {word}")));
            }
            word => {
                let mac = if word == "to" { args.value()? } else { word };
                if matches(mac, "help") {
                    return Err(Stop::usage(include_str!("help/fdb.txt")));
                }
                if request.mac.is_some() {
                    return Err(duparg2("to", mac));
                }
                request.mac = Some(mac);
            }
        }
    }
    if request.state & (permanent | reachable) == 0 {
        request.state |= permanent;
    }
    Ok(request)
}

/// Parses where a station is beyond a tunnel.
fn tunnel_end(dst: &mut FdbDst, word: &str, args: &mut Args) -> Done {
    let value = args.value()?;
    match word {
        "dst" if dst.dst.is_some() => return Err(duparg2("dst", value)),
        "dst" if value.contains(':') => return Err(not_modelled(&format!("fdb dst {value}"))),
        "dst" => {
            let bad =
                || Stop::failed(format!("Error: any valid address is expected rather than \"{value}\".\n"));
            dst.dst = Some(ipv4(value).ok_or_else(bad)?);
        }
        "port" => dst.port = Some(number(value).ok_or_else(|| invarg("invalid port\n", value))?),
        _ => {
            let vni = number(value).filter(|vni| *vni < VXLAN_N_VID);
            dst.vni = Some(vni.ok_or_else(|| invarg("invalid VNI\n", value))?);
        }
    }
    Ok(())
}

impl<'a> Request<'a> {
    fn place(&self) -> Done<(Mac, &'a str)> {
        let (Some(mac), Some(dev)) = (self.mac, self.dev) else {
            return Err(Stop::usage("Device and address are required arguments.\n"));
        };
        Ok((parse_mac(mac)?, dev))
    }
}

fn parse_mac(text: &str) -> Done<Mac> {
    text.parse().map_err(|_| Stop::usage(format!("Invalid mac address {text}\n")))
}

/// A VLAN ID that the kernel accepts.
fn vlan_id(word: &str) -> Done<u16> {
    let vlan = word.parse().unwrap_or(0);
    if vlan >= 4095 {
        Err(refused(&glassnet_kernel::netlink::NlError::with(Errno::EINVAL, "invalid vlan id")))
    } else {
        Ok(vlan)
    }
}

fn nud_state(word: &str) -> Done<Nud> {
    let states = [
        Nud::Permanent,
        Nud::Reachable,
        Nud::Noarp,
        Nud::None,
        Nud::Stale,
        Nud::Incomplete,
        Nud::Delay,
        Nud::Probe,
        Nud::Failed,
    ];
    if matches(word, "static") || matches(word, "temp") {
        return Ok(Nud::Noarp);
    }
    let found = states.into_iter().find(|state| matches(word, &state.name().to_lowercase()));
    found.ok_or_else(|| invarg("invalid state", word))
}

/// The kernel's dump: for each device the entries of its bridge for it, then the device's own address list. A bridge's
/// own list comes before the entries of its ports.
fn rows(view: &View, filter: &Filter) -> Vec<Row> {
    let mut rows = Vec::new();
    for dev in view.devs().filter(|dev| !dev.is_loopback()) {
        let in_bridge = |bridge| dev.id == bridge && dev.bridge().is_some() || dev.master() == Some(bridge);
        if filter.dev.is_some_and(|only| only != dev.id) || !filter.bridge.is_none_or(in_bridge) {
            continue;
        }
        if let Some(master) = dev.master() {
            bridge_rows(view, &view.kernel.devs[master], Some(dev), &mut rows);
        }
        // A kind with a database of its own shows that instead.
        match dev.ops.fdb {
            Some(fdb) => {
                let shown = |row: FdbRow| tunnel_row(view, Some(dev), &row);
                rows.extend((fdb.dump)(view.kernel, dev).into_iter().map(shown));
            }
            None => {
                let state = Nud::Permanent as u16;
                let own = |own: &(Mac, u32)| Row {
                    flags: vec!["self"],
                    ..Row::new(own.0, dev.name.clone(), state)
                };
                rows.extend(dev.uc.iter().chain(&dev.mc).map(own));
            }
        }
        if dev.bridge().is_some() {
            bridge_rows(view, dev, None, &mut rows);
        }
    }
    rows
}

fn bridge_rows(view: &View, bridge: &NetDevice, port: Option<&NetDevice>, rows: &mut Vec<Row>) {
    let Some(br) = bridge.bridge() else { return };
    let behind = br.fdb.iter().filter(|entry| entry.port == port.map(|port| port.id));
    rows.extend(behind.map(|entry| row_of(view, bridge, entry)));
}

fn row_of(view: &View, bridge: &NetDevice, entry: &FdbEntry) -> Row {
    let dev = entry.port.unwrap_or(bridge.id);
    let state = bridge.bridge().map_or(Nud::None, |bridge| fdb_to_nud(bridge, entry, view.now));
    Row {
        dev: view.kernel.devs[dev].name.clone(),
        master: Some(bridge.name.clone()),
        ..bridge_row(view, entry, state)
    }
}

/// What an entry of a bridge tells, without names.
fn bridge_row(view: &View, entry: &FdbEntry, state: Nud) -> Row {
    let mut flags = Vec::new();
    if entry.added_by_external_learn {
        flags.push("extern_learn");
    }
    if entry.sticky {
        flags.push("sticky");
    }
    Row {
        vlan: entry.vlan,
        times: Some((seconds_since(view, entry.used), seconds_since(view, entry.updated))),
        flags,
        ..Row::new(entry.mac, String::new(), state as u16)
    }
}

/// The row of a message of the kernel; `None`: it is about something else.
pub(super) fn message(view: &View, event: &RtnlEvent) -> Option<Row> {
    let row = match &event.msg {
        RtnlMsg::Fdb(dev, row) => tunnel_row(view, view.kernel.devs.get(*dev), row),
        RtnlMsg::BridgeFdb(_, entry, state) => bridge_row(view, entry, *state),
        _ => return None,
    };
    Some(Row { dev: event.dev.clone(), master: event.master.clone(), ..row })
}

/// Seconds since a time, as the kernel counts them.
fn seconds_since(view: &View, since: Nanos) -> u64 {
    last_tick(view.now).since(last_tick(since)).0 / 1_000_000_000
}

/// A row of a device's own database.
fn tunnel_row(view: &View, dev: Option<&NetDevice>, row: &FdbRow) -> Row {
    let mut flags = vec!["self"];
    let words = [(NTF_ROUTER, "router"), (NTF_EXT_LEARNED, "extern_learn"), (NTF_STICKY, "sticky")];
    flags.extend(words.iter().filter(|(flag, _)| row.flags & flag != 0).map(|(_, word)| *word));
    let via = |ifindex| match view.kernel.dev_by_index(view.netns, ifindex) {
        Some(dev) => view.name(dev).to_owned(),
        None => format!("if{ifindex}"),
    };
    Row {
        times: Some((seconds_since(view, row.used), seconds_since(view, row.updated))),
        flags,
        dst: row.to.dst,
        port: row.to.port,
        vni: row.to.vni,
        via: row.to.via.map(via),
        link_netnsid: dev.and_then(|dev| peernet2id(view.kernel, dev.netns, dev.link_net()?)),
        ..Row::new(row.mac, dev.map_or(String::new(), |dev| dev.name.clone()), row.state)
    }
}

impl Row {
    /// An entry of a device of which nothing more is told.
    fn new(mac: Mac, dev: String, state: u16) -> Row {
        Row {
            mac,
            dev,
            vlan: 0,
            times: None,
            flags: Vec::new(),
            master: None,
            state,
            dst: None,
            port: None,
            vni: None,
            via: None,
            link_netnsid: None,
        }
    }
}

impl Filter {
    /// Filters that the tool applies itself.
    fn shows(&self, row: &Row) -> bool {
        self.vlan.is_none_or(|vlan| vlan == u32::from(row.vlan))
            && self.state.is_none_or(|state| row.state & state as u16 != 0 || state == Nud::None)
            && !(self.dynamic && row.state & Nud::Permanent as u16 != 0)
    }
}

pub(super) fn print_row(out: &mut Out, row: &Row, with_dev: bool, stats: bool) {
    out.open(None);
    let mac = row.mac.to_string();
    out.color(Some(Color::Mac), "mac", mac.as_str(), format_args!("{mac} "));
    if with_dev {
        out.text("dev ");
        out.color(Some(Color::Ifname), "ifname", row.dev.as_str(), format_args!("{} ", row.dev));
    }
    if let Some(dst) = row.dst {
        out.color(Some(Color::Inet), "dst", dst.to_string(), format_args!("dst {dst} "));
    }
    if row.vlan != 0 {
        out.any("vlan", row.vlan, format_args!("vlan {} ", row.vlan));
    }
    if let Some(port) = row.port {
        out.any("port", port, format_args!("port {port} "));
    }
    if let Some(vni) = row.vni {
        out.any("vni", vni, format_args!("vni {vni} "));
    }
    if let Some(via) = &row.via {
        out.any("viaIf", via.as_str(), format_args!("via {via} "));
    }
    if let Some(id) = row.link_netnsid {
        out.any("linkNetNsId", id, format_args!("link-netnsid {id} "));
    }
    if let Some((used, updated)) = row.times.filter(|_| stats) {
        out.any("used", used, format_args!("used {used}"));
        out.any("updated", updated, format_args!("/{updated} "));
    }
    out.open_array(Some("flags"));
    for flag in &row.flags {
        out.item(*flag, format_args!("{flag} "));
    }
    out.close_array();
    if let Some(master) = &row.master {
        out.any("master", master.as_str(), format_args!("master {master} "));
    }
    let has = |state: Nud| row.state & state as u16 != 0;
    let state = match () {
        () if has(Nud::Permanent) => "permanent",
        () if has(Nud::Noarp) => "static",
        () if has(Nud::Stale) => "stale",
        () => "",
    };
    out.any("state", state, format_args!("{state}\n"));
    out.close();
}
