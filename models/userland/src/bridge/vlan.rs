//! `bridge vlan` and `bridge mdb`: without VLAN filtering every port is in VLAN 1, untagged, and there are no groups.

use glassnet_kernel::net::bridge::br_fdb::DEFAULT_PVID;
use glassnet_kernel::netlink::Errno;

use super::{Bridge, no_bridge_device, no_device, not_modelled, refused};
use crate::iproute2::args::{Args, Done, Stop, matches};
use crate::iproute2::out::{Color, Out};

impl Bridge<'_> {
    pub(super) fn vlan(&mut self, mut args: Args) -> Done<i32> {
        let Some(word) = args.take() else { return self.vlan_show(args) };
        let commands = ["add", "delete", "show", "lst", "list", "tunnelshow", "set", "global", "help"];
        match commands.into_iter().find(|full| matches(word, full)) {
            Some("add" | "delete") => self.vlan_modify(args),
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

    fn vlan_modify(&mut self, mut args: Args) -> Done<i32> {
        let (mut dev, mut vid) = (None, false);
        while let Some(word) = args.take() {
            match word {
                "dev" => dev = Some(args.value()?),
                "vid" => {
                    args.value()?;
                    vid = true;
                }
                _ => {}
            }
        }
        let Some(name) = dev.filter(|_| vid) else {
            return Err(Stop::usage("Device and VLAN ID are required arguments.\n"));
        };
        let dev = self.find_dev(name).ok_or_else(|| no_bridge_device(name))?;
        if self.view(|view| view.kernel.devs[dev].port.is_none() && view.kernel.devs[dev].bridge().is_none())
        {
            return Err(refused(&Errno::EOPNOTSUPP.into()));
        }
        Err(not_modelled("vlan add"))
    }

    fn vlan_show(&mut self, mut args: Args) -> Done<i32> {
        let (mut only, mut vid) = (None, None);
        while let Some(word) = args.take() {
            match word {
                "dev" => {
                    let name = args.value()?;
                    only = Some(self.find_dev(name).ok_or_else(|| no_device(name))?);
                }
                "vid" => vid = args.value()?.parse::<u32>().ok(),
                _ => {}
            }
        }
        let mut out = self.out();
        // With -s the tool does not pad the last column of the header.
        out.text(if self.stats { "port              vlan-id\n" } else { "port              vlan-id  \n" });
        if self.view(|view| view.kernel.config.bridge_vlan_filtering)
            && vid.is_none_or(|vid| vid == u32::from(DEFAULT_PVID))
        {
            let names: Vec<String> = self.view(|view| {
                let members = view.devs().filter(|dev| dev.port.is_some() || dev.bridge().is_some());
                let wanted = members.filter(|dev| only.is_none_or(|only| only == dev.id));
                wanted.map(|dev| dev.name.clone()).collect()
            });
            for name in names {
                self.print_vlan(&mut out, &name);
            }
        }
        self.process.print(out.finish());
        Ok(0)
    }

    fn print_vlan(&self, out: &mut Out, name: &str) {
        out.open(None);
        out.color(Some(Color::Ifname), "ifname", name, format_args!("{name:<18}"));
        out.open_array(Some("vlans"));
        out.open(None);
        out.any("vlan", DEFAULT_PVID, DEFAULT_PVID);
        out.open_array(Some("flags"));
        out.item("PVID", " PVID");
        out.item("Egress Untagged", " Egress Untagged");
        out.close_array();
        out.text("\n");
        let indent = " ".repeat(20);
        if self.stats {
            out.text(format_args!("{indent}RX: 0 bytes 0 packets\n{indent}TX: 0 bytes 0 packets\n"));
            for key in ["rx_bytes", "rx_packets", "tx_bytes", "tx_packets"] {
                out.json(key, 0);
            }
        }
        if self.details {
            out.any("state", "forwarding", format_args!("{indent}state forwarding "));
            out.any("mcast_router", 1, "mcast_router 1 \n");
        }
        out.close();
        out.close_array();
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
