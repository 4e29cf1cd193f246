//! `bridge vlan`, and `bridge mdb` of bridges without groups.

use glassnet_kernel::ids::DevId;
use glassnet_kernel::net::bridge::br_vlan::{br_vlan_add, br_vlan_delete, br_vlan_get_stats, vlan_group};
use glassnet_kernel::netlink::{Errno, NlError};
use glassnet_kernel::tables::bridge::VlanStats;

use super::{Bridge, no_bridge_device, no_device, not_modelled, refused};
use crate::iproute2::args::{Args, Done, Stop, matches};
use crate::iproute2::out::{Color, Out};
use crate::procfs::View;

/// Numbers from which on there are no VLANs; 4095 is left to the kernel to refuse.
const VLAN_N_VID: u64 = 4096;

/// A line of `bridge vlan show`, or several VLANs of which only one is shown.
#[derive(Clone, Copy)]
struct Row {
    first: u16,
    last: u16,
    pvid: bool,
    untagged: bool,
    stats: VlanStats,
}

/// Arguments of `bridge vlan add` and `delete`.
struct Request {
    dev: DevId,
    vids: (u16, u16),
    own: bool,
    master: bool,
    pvid: bool,
    untagged: bool,
}

impl Bridge<'_> {
    pub(super) fn vlan(&mut self, mut args: Args) -> Done<i32> {
        let Some(word) = args.take() else { return self.vlan_show(args) };
        let commands = ["add", "delete", "show", "lst", "list", "tunnelshow", "set", "global", "help"];
        match commands.into_iter().find(|full| matches(word, full)) {
            Some("add") => self.vlan_modify(args, |cx, request, dev| {
                br_vlan_add(cx, dev, request.vids, request.pvid, request.untagged)
            }),
            Some("delete") => {
                self.vlan_modify(args, |cx, request, dev| br_vlan_delete(cx, dev, request.vids))
            }
            Some("show" | "lst" | "list") => self.vlan_show(args),
            Some("tunnelshow") => {
                self.process.print("port              vlan-id    tunnel-id\n");
                Ok(0)
            }
            Some("help") => Err(Stop::usage(include_str!("help/vlan.txt"))),
            Some(other) => Err(not_modelled(&format!("vlan {other}"))),
            None => Err(Stop::usage(format!("Command \"{word}\" is unknown, try \"bridge vlan help\".\n"))),
        }
    }

    fn vlan_request(&self, mut args: Args) -> Done<Request> {
        let (mut dev, mut vids) = (None, None);
        let [mut own, mut master, mut pvid, mut untagged] = [false; 4];
        while let Some(word) = args.take() {
            match word {
                "dev" => dev = Some(args.value()?),
                "vid" => vids = Some(args.value()?),
                "self" => own = true,
                "master" => master = true,
                "pvid" => pvid = true,
                "untagged" => untagged = true,
                "tunnel_info" => return Err(not_modelled("vlan … tunnel_info")),
                word if matches(word, "help") => return Err(Stop::usage(include_str!("help/vlan.txt"))),
                _ => {}
            }
        }
        let (Some(name), Some(vids)) = (dev, vids) else {
            return Err(Stop::usage("Device and VLAN ID are required arguments.\n"));
        };
        let dev = self.find_dev(name).ok_or_else(|| no_bridge_device(name))?;
        Ok(Request { dev, vids: range(vids, pvid)?, own, master, pvid, untagged })
    }

    /// Changes the VLANs of a port (`master`, as without a word) or of the device itself (`self`), which only bridges have.
    fn vlan_modify(
        &mut self,
        args: Args,
        modify: impl Fn(&mut glassnet_kernel::Cx, &Request, DevId) -> Result<(), NlError>,
    ) -> Done<i32> {
        let request = self.vlan_request(args)?;
        let (is_port, is_bridge) = self.view(|view| {
            let dev = &view.kernel.devs[request.dev];
            (dev.port.is_some(), dev.bridge().is_some())
        });
        for (wanted, there) in [(request.master || !request.own, is_port), (request.own, is_bridge)] {
            if wanted && !there {
                return Err(refused(&Errno::EOPNOTSUPP.into()));
            }
            if wanted {
                self.enter(|cx| modify(cx, &request, request.dev)).map_err(|error| refused(&error))?;
            }
        }
        Ok(0)
    }

    fn vlan_show(&mut self, mut args: Args) -> Done<i32> {
        let (mut only, mut vid) = (None, None);
        while let Some(word) = args.take() {
            match word {
                "dev" => {
                    let name = args.value()?;
                    only = Some(self.find_dev(name).ok_or_else(|| no_device(name))?);
                }
                "vid" => vid = args.value()?.parse::<u16>().ok(),
                _ => {}
            }
        }
        let mut out = self.out();
        // With -s alone the tool does not pad the last column of the header.
        let is_padded = self.details || !self.stats;
        out.text(if is_padded { "port              vlan-id  \n" } else { "port              vlan-id\n" });
        let devices = self.view(|view| {
            let wanted = view.devs().filter(|dev| only.is_none_or(|only| only == dev.id));
            wanted.map(|dev| (dev.name.clone(), rows(view, dev.id, self.compresses()))).collect::<Vec<_>>()
        });
        for (name, rows) in devices {
            let shown = |row: &Row| vid.is_none_or(|vid| (row.first..=row.last).contains(&vid));
            let rows: Vec<Row> = rows.into_iter().filter(shown).collect();
            if !rows.is_empty() {
                self.print_vlans(&mut out, &name, &rows);
            }
        }
        self.process.print(out.finish());
        Ok(0)
    }

    /// Several VLANs stand in one line.
    fn compresses(&self) -> bool {
        self.compress && !self.stats && !self.details
    }

    fn print_vlans(&self, out: &mut Out, name: &str, rows: &[Row]) {
        out.open(None);
        out.color(Some(Color::Ifname), "ifname", name, format_args!("{name:<18}"));
        out.open_array(Some("vlans"));
        for (at, row) in rows.iter().enumerate() {
            if at > 0 {
                out.text(format_args!("{:18}", ""));
            }
            self.print_vlan(out, row);
        }
        out.close_array();
        out.close();
    }

    fn print_vlan(&self, out: &mut Out, row: &Row) {
        out.open(None);
        out.any("vlan", u32::from(row.first), row.first);
        if row.last != row.first {
            out.any("vlanEnd", u32::from(row.last), format_args!("-{}", row.last));
        }
        // The tool prints an empty list for several VLANs, none for one.
        if row.pvid || row.untagged || row.last != row.first {
            out.open_array(Some("flags"));
            if row.pvid {
                out.item("PVID", " PVID");
            }
            if row.untagged {
                out.item("Egress Untagged", " Egress Untagged");
            }
            out.close_array();
        }
        out.text("\n");
        let indent = " ".repeat(20);
        if self.details {
            out.any("state", "forwarding", format_args!("{indent}state forwarding "));
            out.any("mcast_router", 1, "mcast_router 1 \n");
        }
        if self.stats {
            let VlanStats { rx_packets, rx_bytes, tx_packets, tx_bytes } = row.stats;
            out.any("rx_bytes", rx_bytes, format_args!("{indent}RX: {rx_bytes} bytes"));
            out.any("rx_packets", rx_packets, format_args!(" {rx_packets} packets\n"));
            out.any("tx_bytes", tx_bytes, format_args!("{indent}TX: {tx_bytes} bytes"));
            out.any("tx_packets", tx_packets, format_args!(" {tx_packets} packets\n"));
        }
        out.close();
    }

    pub(super) fn mdb(&mut self, mut args: Args) -> Done<i32> {
        let word = args.take();
        match word {
            Some(word) if ["add", "replace", "delete"].iter().any(|full| matches(word, full)) => {
                return Err(not_modelled(&format!("mdb {word}")));
            }
            Some(word) if matches(word, "help") => return Err(Stop::usage(include_str!("help/mdb.txt"))),
            Some(word) if !["show", "lst", "list"].iter().any(|full| matches(word, full)) => {
                return Err(Stop::usage(format!(
                    "Command \"{word}\" is unknown, try \"bridge mdb help\".\n"
                )));
            }
            _ => {}
        }
        while let Some(word) = args.take() {
            if word == "dev" {
                let name = args.value()?;
                self.find_dev(name).ok_or_else(|| no_device(name))?;
            }
        }
        if self.style.json {
            let pretty = "[ {\n        \"mdb\": [ ],\n        \"router\": {}\n    } ]\n";
            self.process.print(if self.style.pretty { pretty } else { "[{\"mdb\":[],\"router\":{}}]\n" });
        }
        Ok(0)
    }
}

/// The numbers of `VID` or `FIRST-LAST`; a word without digits is 0, which the kernel refuses.
fn range(text: &str, pvid: bool) -> Done<(u16, u16)> {
    let number = |word: &str| {
        let digits = word.trim_start_matches(|c: char| c.is_ascii_whitespace());
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        digits[..end].parse::<u64>().unwrap_or(0)
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (number(first), Some(number(last))),
        None => (number(text), None),
    };
    if first >= VLAN_N_VID {
        return Err(Stop::usage(format!("Invalid VLAN ID \"{}\"\n", first as u16)));
    }
    let Some(last) = last else { return Ok((first as u16, first as u16)) };
    if last >= VLAN_N_VID || first >= last {
        return Err(Stop::usage(format!("Invalid VLAN range \"{}-{}\"\n", first as u16, last as u16)));
    }
    if pvid {
        return Err(Stop::usage("pvid cannot be configured for a vlan range\n"));
    }
    Ok((first as u16, last as u16))
}

/// The VLANs of a port or bridge; with `compress`, those that follow each other and are alike in one row.
fn rows(view: &View, dev: DevId, compress: bool) -> Vec<Row> {
    let netdev = &view.kernel.devs[dev];
    let Some(group) = vlan_group(netdev) else { return Vec::new() };
    let bridge = netdev.port.as_ref().map_or(dev, |port| port.bridge);
    let Some(bridge) = view.kernel.devs[bridge].bridge() else { return Vec::new() };
    let mut rows: Vec<Row> = Vec::new();
    for (vid, vlan) in &group.vlans {
        let row = Row {
            first: *vid,
            last: *vid,
            pvid: group.pvid == *vid,
            untagged: vlan.untagged,
            stats: br_vlan_get_stats(bridge, netdev.port.is_some(), *vid, vlan),
        };
        match rows.last_mut() {
            Some(last)
                if compress
                    && last.last + 1 == *vid
                    && !last.pvid
                    && !row.pvid
                    && last.untagged == row.untagged =>
            {
                last.last = *vid;
            }
            _ => rows.push(row),
        }
    }
    rows
}
