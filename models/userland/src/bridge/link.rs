//! `bridge link`: ports.

use glassnet_kernel::net::bridge::br_attrs::{Access, Attrs, BrAttr, Unit};
use glassnet_kernel::net::bridge::br_attrs_port as port;
use glassnet_kernel::net::bridge::br_netlink::br_setport;
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

/// What `-d` prints of a port, in order; a flag is also an option of `bridge link set`.
const DETAILS: &[&BrAttr] = &[
    &port::HAIRPIN,
    &port::GUARD,
    &port::ROOT_BLOCK,
    &port::FASTLEAVE,
    &port::LEARNING,
    &port::FLOOD,
    &port::MCAST_FLOOD,
    &port::BCAST_FLOOD,
    &port::MCAST_ROUTER,
    &port::MCAST_TO_UNICAST,
    &port::NEIGH_SUPPRESS,
    &port::VLAN_TUNNEL,
    &port::ISOLATED,
    &port::LOCKED,
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
        let (mut dev, mut attrs) = (None, Attrs::default());
        while let Some(word) = args.take() {
            match word {
                "dev" => dev = Some(args.value()?.to_owned()),
                // 0, also the result for a word without digits, sets nothing.
                "cost" => match atoi(args.value()?) {
                    0 => {}
                    cost => attrs.put(&port::COST, cost),
                },
                "priority" => attrs.put(&port::PRIORITY, atoi(args.value()?)),
                "state" => attrs.put(&port::STATE, port_state(args.value()?)?),
                "master" => {}
                "self" => return Err(rtnetlink_unsupported()),
                "hwmode" => match args.value()? {
                    "vepa" | "veb" => return Err(rtnetlink_unsupported()),
                    _ => return Err(Stop::usage("Mode argument must be \"vepa\" or \"veb\".\n")),
                },
                "learning_sync" | "backup_port" | "nobackup_port" => {
                    return Err(not_modelled(&format!("link set {word}")));
                }
                word => match DETAILS.iter().find(|attr| attr.name == word) {
                    Some(attr) if matches!(attr.access, Access::Fixed(_)) => {
                        return Err(not_modelled(&format!("link set {word}")));
                    }
                    Some(attr) => attrs.put(attr, u64::from(on_off(word, args.value()?)?)),
                    None => return Err(Stop::usage(HELP)),
                },
            }
        }
        let name = dev.ok_or_else(|| Stop::usage("Device is a required argument.\n"))?;
        let dev = self.find_dev(&name).ok_or_else(|| no_bridge_device(&name))?;
        if self.view(|view| view.kernel.devs[dev].port.is_none()) {
            return Err(rtnetlink_unsupported());
        }
        self.enter(|cx| br_setport(cx, dev, &attrs)).map_err(|error| refused(&error))?;
        Ok(0)
    }
}

fn rtnetlink_unsupported() -> Stop {
    refused(&Errno::EOPNOTSUPP.into())
}

/// The number at the start of a word; 0 if there is none.
fn atoi(word: &str) -> u64 {
    decimal(word).and_then(|digits| digits.value.filter(|value| *value <= u64::from(u32::MAX))).unwrap_or(0)
}

fn port_state(word: &str) -> Done<u64> {
    if word.starts_with(|c: char| c.is_ascii_digit()) {
        let state = Some(atoi(word)).filter(|state| *state <= port::STATE.max);
        return state.ok_or_else(|| refused(&Errno::EINVAL.into()));
    }
    let found = PortState::ALL.into_iter().find(|state| state.name().eq_ignore_ascii_case(word));
    found.map(|state| state as u64).ok_or_else(|| Stop::usage("Error: invalid STP port state\n"))
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

fn print_port(out: &mut Out, view: &View, dev: &NetDevice, port: &BridgePort, details: bool) {
    out.open(None);
    out.any("ifindex", dev.ifindex, format_args!("{}: ", dev.ifindex));
    // The peer's ifindex is looked up in this namespace, as the real tool does.
    let far = |out: &mut Out, index| {
        let near = view.kernel.dev_by_index(view.netns, index);
        let name = near.map_or_else(|| format!("if{index}"), |dev| view.name(dev).to_owned());
        out.json("link", name.as_str());
        name
    };
    // The kernel sends the peer's ifindex only if it differs, in whatever namespace (`br_fill_ifinfo`).
    let peer = linked(view.kernel, dev).filter(|peer| peer.ifindex != dev.ifindex);
    name_and_link(peer, view.netns, out, dev, far, |name| format!("{name}: "));
    // The real tool takes whatever device has the peer's number here.
    let lower = peer.and_then(|peer| view.kernel.dev_by_index(view.netns, peer.ifindex));
    link_flags(out, dev, lower.map(|lower| &view.kernel.devs[lower]));
    out.any("mtu", dev.mtu, format_args!("mtu {} ", dev.mtu));
    let (master, state) = (view.name(port.bridge), port.state.name());
    out.any("master", master, format_args!("master {master} "));
    out.any("state", state, format_args!("state {state} "));
    out.any("priority", port.priority, format_args!("priority {} ", port.priority));
    out.any("cost", port.path_cost, format_args!("cost {} ", port.path_cost));
    if details {
        out.nl();
        out.text("    ");
        print_details(out, view, dev);
    }
    out.text("\n");
    out.close();
}

fn print_details(out: &mut Out, view: &View, dev: &NetDevice) {
    for attr in DETAILS {
        let (name, Some(value)) = (attr.name, attr.get(view.kernel, dev, view.now)) else { continue };
        if attr.unit == Unit::Bool {
            out.any(name, value != 0, format_args!("{name} {} ", if value != 0 { "on" } else { "off" }));
        } else {
            out.any(name, value, format_args!("{name} {value} "));
        }
    }
}
