//! `bridge fdb`: the forwarding database.

use glassnet_kernel::net::bridge::br_fdb::{FdbMsg, br_fdb_add, br_fdb_delete, br_fdb_delete_bulk};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::bridge::FdbEntry;
use glassnet_kernel::tables::jiffies::last_tick;
use glassnet_kernel::tables::neigh_types::Nud;
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_sim::Nanos;
use glassnet_wire::Mac;

use super::{Bridge, no_bridge_device, no_device, not_modelled, refused};
use crate::iproute2::args::{Args, Done, Stop, duparg2, invarg, matches};
use crate::iproute2::out::{Color, Out};
use crate::procfs::View;

/// One line of `bridge fdb show`.
struct Row {
    mac: Mac,
    dev: String,
    vlan: u16,
    /// Seconds since last use and last update; entries of a device's address list have none.
    times: Option<(u64, u64)>,
    flags: Vec<&'static str>,
    master: Option<String>,
    state: Nud,
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
    permanent: bool,
    noarp: bool,
    dynamic: bool,
    sticky: bool,
    extern_learn: bool,
}

impl Bridge<'_> {
    pub(super) fn fdb(&mut self, mut args: Args) -> Done<i32> {
        let Some(word) = args.take() else { return self.fdb_show(args) };
        let commands = ["add", "append", "replace", "delete", "show", "lst", "list", "get", "flush", "help"];
        match commands.into_iter().find(|full| matches(word, full)) {
            Some("add") => self.fdb_add(args, true),
            Some("append" | "replace") => self.fdb_add(args, false),
            Some("delete") => self.fdb_delete(args),
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

    fn fdb_add(&mut self, mut args: Args, excl: bool) -> Done<i32> {
        let request = request(&mut args)?;
        let (mac, name) = request.place()?;
        let dev = self.find_dev(name).ok_or_else(|| no_device(name))?;
        self.check_place(dev, &request)?;
        let msg = FdbMsg {
            mac,
            vlan: request.vlan,
            permanent: !request.noarp && !request.dynamic,
            noarp: request.noarp,
            sticky: request.sticky,
            extern_learn: request.extern_learn,
            excl,
            create: true,
        };
        self.enter(|cx| br_fdb_add(cx, dev, msg)).map_err(|error| refused(&error))?;
        Ok(0)
    }

    fn fdb_delete(&mut self, mut args: Args) -> Done<i32> {
        let request = request(&mut args)?;
        let (mac, name) = request.place()?;
        let dev = self.find_dev(name).ok_or_else(|| no_device(name))?;
        self.check_place(dev, &request)?;
        self.enter(|cx| br_fdb_delete(cx, dev, mac, request.vlan)).map_err(|error| refused(&error))?;
        Ok(0)
    }

    /// `self` is modelled only for bridges; `master` needs a port.
    fn check_place(&self, dev: glassnet_kernel::ids::DevId, request: &Request) -> Done {
        let (port, bridge) = self.view(|view| {
            let dev = &view.kernel.devs[dev];
            (dev.port.is_some(), dev.bridge().is_some())
        });
        match (request.master, bridge) {
            (true, _) if !port => Err(refused(&Errno::EOPNOTSUPP.into())),
            (true, _) | (false, true) => Ok(()),
            (false, false) => Err(not_modelled("fdb … self: a device's own address list")),
        }
    }

    fn fdb_get(&mut self, mut args: Args) -> Done<i32> {
        let (mut mac, mut dev, mut bridge, mut vlan) = (None, None, None, 0);
        while let Some(word) = args.take() {
            match word {
                "brport" | "dev" => dev = Some(args.value()?),
                "br" => bridge = Some(args.value()?),
                "vlan" => vlan = vlan_id(args.value()?)?,
                "master" => {}
                "self" | "vni" | "src_vni" | "dynamic" => {
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

    fn fdb_flush(&mut self, mut args: Args) -> Done<i32> {
        let (mut dev, mut vlan, mut local, mut fixed) = (None, None, false, false);
        while let Some(word) = args.take() {
            match word {
                "dev" => dev = Some(args.value()?),
                "vlan" => vlan = Some(vlan_id(args.value()?)?),
                "self" | "master" => {}
                "permanent" | "local" => local = true,
                "static" => fixed = true,
                word if matches(word, "help") => return Err(Stop::usage(include_str!("help/fdb.txt"))),
                word => return Err(not_modelled(&format!("fdb flush {word}"))),
            }
        }
        let name = dev.ok_or_else(|| Stop::usage("Device is a required argument.\n"))?;
        let dev = self.find_dev(name).ok_or_else(|| no_bridge_device(name))?;
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
    let mut request = Request::default();
    while let Some(word) = args.take() {
        match word {
            "dev" => request.dev = Some(args.value()?),
            "self" => request.own = true,
            "master" => request.master = true,
            "permanent" | "local" => request.permanent = true,
            "static" => request.noarp = true,
            "dynamic" => request.dynamic = true,
            "sticky" => request.sticky = true,
            "extern_learn" => request.extern_learn = true,
            "vlan" => request.vlan = vlan_id(args.value()?)?,
            "dst" | "nhid" | "port" | "vni" | "src_vni" | "via" | "use" | "router" | "temp"
            | "activity_notify" | "inactive" | "norefresh" => {
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
    if request.own && request.master {
        return Err(not_modelled("fdb self master"));
    }
    Ok(request)
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
        let own = dev.uc.iter().chain(&dev.mc).map(|(address, _)| Row {
            mac: *address,
            dev: dev.name.clone(),
            vlan: 0,
            times: None,
            flags: vec!["self"],
            master: None,
            state: Nud::Permanent,
        });
        rows.extend(own);
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
    let ageing = bridge.bridge().map_or(Nanos::ZERO, |br| br.conf.ageing_time);
    let seconds = |since: Nanos| last_tick(view.now).since(last_tick(since)).0 / 1_000_000_000;
    let mut flags = Vec::new();
    if entry.added_by_external_learn {
        flags.push("extern_learn");
    }
    if entry.sticky {
        flags.push("sticky");
    }
    let state = match entry {
        _ if entry.is_local => Nud::Permanent,
        _ if entry.is_static => Nud::Noarp,
        _ if !entry.added_by_external_learn && entry.updated + ageing <= view.now => Nud::Stale,
        _ => Nud::Reachable,
    };
    Row {
        mac: entry.mac,
        dev: view.name(entry.port.unwrap_or(bridge.id)).to_owned(),
        vlan: entry.vlan,
        times: Some((seconds(entry.used), seconds(entry.updated))),
        flags,
        master: Some(bridge.name.clone()),
        state,
    }
}

impl Filter {
    /// Filters that the tool applies itself.
    fn shows(&self, row: &Row) -> bool {
        self.vlan.is_none_or(|vlan| vlan == u32::from(row.vlan))
            && self.state.is_none_or(|state| state == row.state || state == Nud::None)
            && !(self.dynamic && row.state == Nud::Permanent)
    }
}

fn print_row(out: &mut Out, row: &Row, with_dev: bool, stats: bool) {
    out.open(None);
    let mac = row.mac.to_string();
    out.color(Some(Color::Mac), "mac", mac.as_str(), format_args!("{mac} "));
    if with_dev {
        out.text("dev ");
        out.color(Some(Color::Ifname), "ifname", row.dev.as_str(), format_args!("{} ", row.dev));
    }
    if row.vlan != 0 {
        out.any("vlan", row.vlan, format_args!("vlan {} ", row.vlan));
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
    let state = match row.state {
        Nud::Permanent => "permanent",
        Nud::Noarp => "static",
        Nud::Stale => "stale",
        _ => "",
    };
    out.any("state", state, format_args!("{state}\n"));
    out.close();
}
