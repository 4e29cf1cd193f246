//! `bridge link`: ports.

use glassnet_kernel::net::bridge::br_netlink::{PortOptions, br_setport};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::bridge::{BridgePort, PortState};
use glassnet_kernel::tables::netdev::NetDevice;

use super::{Bridge, no_bridge_device, no_device, not_modelled, refused};
use crate::ip::link_show::{link_flags, linked, name_and_link};
use crate::iproute2::args::{Args, Done, Stop, matches};
use crate::iproute2::out::Out;
use crate::numbers::decimal;
use crate::procfs::View;

const HELP: &str = include_str!("help/link.txt");

/// States by their numbers.
const STATES: [PortState; 5] = [
    PortState::Disabled,
    PortState::Listening,
    PortState::Learning,
    PortState::Forwarding,
    PortState::Blocking,
];

impl Bridge<'_> {
    pub(super) fn link(&mut self, mut args: Args) -> Done<i32> {
        match args.take() {
            None => self.link_show(args),
            Some(word) if matches(word, "set") || matches(word, "change") => self.link_set(args),
            Some(word) if ["show", "lst", "list"].iter().any(|full| matches(word, full)) => {
                self.link_show(args)
            }
            Some(word) if matches(word, "help") => Err(Stop::usage(HELP)),
            Some(word) => {
                Err(Stop::usage(format!("Command \"{word}\" is unknown, try \"bridge link help\".\n")))
            }
        }
    }

    fn link_show(&mut self, mut args: Args) -> Done<i32> {
        let mut only = None;
        while let Some(word) = args.take() {
            if word == "dev" {
                let name = args.value()?;
                only = Some(self.find_dev(name).ok_or_else(|| no_device(name))?);
            }
        }
        let mut out = self.out();
        self.view(|view| {
            for dev in view.devs().filter(|dev| only.is_none_or(|only| only == dev.id)) {
                if let Some(port) = &dev.port {
                    print_port(&mut out, view, dev, port, self.details);
                }
            }
        });
        self.process.print(out.finish());
        Ok(0)
    }

    fn link_set(&mut self, mut args: Args) -> Done<i32> {
        let (mut dev, mut options) = (None, PortOptions::default());
        while let Some(word) = args.take() {
            match word {
                "dev" => dev = Some(args.value()?.to_owned()),
                // Zero, which is also what no number means, asks for nothing.
                "cost" => options.cost = Some(atoi(args.value()?)).filter(|cost| *cost > 0),
                "priority" => options.priority = Some(u8::try_from(atoi(args.value()?)).unwrap_or(u8::MAX)),
                "state" => options.state = Some(port_state(args.value()?)?),
                "master" => {}
                "self" => return Err(rtnetlink_unsupported()),
                "hwmode" => match args.value()? {
                    "vepa" | "veb" => return Err(rtnetlink_unsupported()),
                    _ => return Err(Stop::usage("Mode argument must be \"vepa\" or \"veb\".\n")),
                },
                "learning_sync" | "mcast_router" | "mcast_to_unicast" | "neigh_suppress" | "vlan_tunnel"
                | "locked" | "backup_port" | "nobackup_port" => {
                    return Err(not_modelled(&format!("link set {word}")));
                }
                word => match flag(&mut options, word) {
                    Some(flag) => *flag = Some(on_off(word, args.value()?)?),
                    None => return Err(Stop::usage(HELP)),
                },
            }
        }
        let name = dev.ok_or_else(|| Stop::usage("Device is a required argument.\n"))?;
        let dev = self.find_dev(&name).ok_or_else(|| no_bridge_device(&name))?;
        if self.view(|view| view.kernel.devs[dev].port.is_none()) {
            return Err(rtnetlink_unsupported());
        }
        self.enter(|cx| br_setport(cx, dev, &options)).map_err(|error| refused(&error))?;
        Ok(0)
    }
}

fn rtnetlink_unsupported() -> Stop {
    refused(&Errno::EOPNOTSUPP.into())
}

/// The number at the start of a word, 0 without one.
fn atoi(word: &str) -> u32 {
    decimal(word).and_then(|digits| u32::try_from(digits.value?).ok()).unwrap_or(0)
}

fn port_state(word: &str) -> Done<PortState> {
    if word.starts_with(|c: char| c.is_ascii_digit()) {
        let invalid = || refused(&Errno::EINVAL.into());
        return STATES.get(atoi(word) as usize).copied().ok_or_else(invalid);
    }
    let found = STATES.into_iter().find(|state| state.name().eq_ignore_ascii_case(word));
    found.ok_or_else(|| Stop::usage("Error: invalid STP port state\n"))
}

fn on_off(key: &str, word: &str) -> Done<bool> {
    match word {
        "on" => Ok(true),
        "off" => Ok(false),
        // The tool exits with -EINVAL.
        other => Err(Stop::error(
            234,
            format!("Error: argument of \"{key}\" must be one of \"off\", \"on\", not \"{other}\"\n"),
        )),
    }
}

fn flag<'o>(options: &'o mut PortOptions, word: &str) -> Option<&'o mut Option<bool>> {
    Some(match word {
        "hairpin" => &mut options.hairpin,
        "guard" => &mut options.guard,
        "root_block" => &mut options.root_block,
        "fastleave" => &mut options.fastleave,
        "learning" => &mut options.learning,
        "flood" => &mut options.flood,
        "mcast_flood" => &mut options.mcast_flood,
        "bcast_flood" => &mut options.bcast_flood,
        "isolated" => &mut options.isolated,
        _ => return None,
    })
}

fn print_port(out: &mut Out, view: &View, dev: &NetDevice, port: &BridgePort, details: bool) {
    out.open(None);
    out.any("ifindex", dev.ifindex, format_args!("{}: ", dev.ifindex));
    // The far end's index is taken for one of this namespace, as the real tool takes it.
    let far = |out: &mut Out, index| {
        let near = view.kernel.dev_by_index(view.netns, index);
        let name = near.map_or_else(|| format!("if{index}"), |dev| view.name(dev).to_owned());
        out.json("link", name.as_str());
        name
    };
    // The bridge tells of the far end only if that has another index, in whatever namespace (`br_fill_ifinfo`).
    let peer = linked(view.kernel, dev).filter(|peer| peer.ifindex != dev.ifindex);
    name_and_link(peer, view.netns, out, dev, far, |name| format!("{name}: "));
    link_flags(view.kernel, view.netns, out, dev);
    out.any("mtu", dev.mtu, format_args!("mtu {} ", dev.mtu));
    let (master, state) = (view.name(port.bridge), port.state.name());
    out.any("master", master, format_args!("master {master} "));
    out.any("state", state, format_args!("state {state} "));
    out.any("priority", port.priority, format_args!("priority {} ", port.priority));
    out.any("cost", port.path_cost, format_args!("cost {} ", port.path_cost));
    if details {
        out.nl();
        out.text("    ");
        print_flags(out, port);
    }
    out.text("\n");
    out.close();
}

fn print_flags(out: &mut Out, port: &BridgePort) {
    let flags = &port.flags;
    let switch = |out: &mut Out, key: &str, on: bool| {
        out.any(key, on, format_args!("{key} {} ", if on { "on" } else { "off" }));
    };
    for (key, on) in [
        ("hairpin", flags.hairpin),
        ("guard", flags.guard),
        ("root_block", flags.root_block),
        ("fastleave", flags.fastleave),
        ("learning", flags.learning),
        ("flood", flags.flood),
        ("mcast_flood", flags.mcast_flood),
        ("bcast_flood", flags.bcast_flood),
    ] {
        switch(out, key, on);
    }
    out.any("mcast_router", 1, "mcast_router 1 ");
    for (key, on) in [
        ("mcast_to_unicast", flags.mcast_to_unicast),
        ("neigh_suppress", flags.neigh_suppress),
        ("vlan_tunnel", false),
        ("isolated", flags.isolated),
        ("locked", flags.locked),
    ] {
        switch(out, key, on);
    }
}
