//! `ip monitor`: neighbours, and entries of forwarding databases, as the kernel tells of them.
//!
//! iproute2: ip/ipmonitor.c
//! Not modelled: messages about anything else.

use glassnet_kernel::Kernel;
use glassnet_kernel::ids::DevId;
use glassnet_kernel::tables::neigh_types::{NTF_EXT_LEARNED, NTF_ROUTER, Nud};
use glassnet_kernel::tables::rtnl::{RtnlEvent, RtnlMsg};
use glassnet_wire::Mac;

use super::args::{Args, Done, Stop, invarg, matches};
use super::{Ip, usage_of};
use crate::iproute2::monitor::Monitor;

/// What is listened to.
pub(super) struct Listened {
    /// `label`: each message says what it is.
    label: bool,
    /// Only messages of this device.
    dev: Option<DevId>,
}

impl Ip<'_> {
    pub(super) fn monitor(&self, mut args: Args) -> Done<Listened> {
        const OTHERS: [&str; 9] =
            ["link", "address", "route", "mroute", "prefix", "netconf", "rule", "nexthop", "nsid"];
        let (mut listened, mut chosen) = (Listened { label: false, dev: None }, false);
        let not_modelled = |what: &str| Stop::not_modelled(&format!("monitor {what}"));
        while let Some(word) = args.take() {
            match word {
                _ if matches(word, "file") => return Err(not_modelled("file")),
                _ if matches(word, "label") => listened.label = true,
                _ if matches(word, "neigh") => chosen = true,
                _ if OTHERS.iter().any(|other| matches(word, other)) || matches(word, "stats") => {
                    return Err(not_modelled(word));
                }
                "all" => return Err(not_modelled("all")),
                _ if matches(word, "all-nsid") => return Err(not_modelled("all-nsid")),
                _ if matches(word, "help") => return Err(usage_of(include_str!("help/monitor.txt"))),
                "dev" => {
                    let name = args.value()?;
                    let bad = || invarg("Device does not exist\n", name);
                    listened.dev = Some(self.find_dev(name).ok_or_else(bad)?);
                }
                _ => {
                    let text = format!("Argument \"{word}\" is unknown, try \"ip monitor help\".\n");
                    return Err(Stop::usage(text));
                }
            }
        }
        if !chosen {
            return Err(not_modelled("without `neigh`"));
        }
        if self.opts.style.json {
            return Err(Stop::not_modelled("-json monitor"));
        }
        Ok(listened)
    }

    /// Prints messages until a signal ends the program.
    pub(super) async fn listen(&mut self, listened: Listened) -> i32 {
        let monitor = Monitor::open(self.process, self.netns);
        loop {
            let event = monitor.next(self.process).await;
            let label = if listened.label { "[NEIGH]" } else { "" };
            self.process.print(format!("{}{label}", self.opts.timestamp.of(event.at)));
            // The tool itself prints no end of the line here for another device's.
            if listened.dev.is_none_or(|only| only == event.msg.devices().0) {
                let text = self.kernel(|kernel| line(kernel, &event, listened.dev.is_none()));
                let deleted = if event.deleted { "Deleted " } else { "" };
                self.process.print(format!("{deleted}{text}\n"));
            }
        }
    }
}

/// A message as text (`print_neigh`).
fn line(kernel: &Kernel, event: &RtnlEvent, with_dev: bool) -> String {
    let (miss, dst, dev, lladdr, flags, state) = match &event.msg {
        RtnlMsg::Neigh(row) => {
            let msg = &row.msg;
            ("", Some(msg.dst), msg.dev, msg.lladdr, msg.flags, msg.state as u16)
        }
        RtnlMsg::Fdb(dev, row) => ("", row.to.dst, *dev, Some(row.mac), row.flags, row.state),
        RtnlMsg::BridgeFdb(bridge, entry, state) => {
            ("", None, entry.port.unwrap_or(*bridge), Some(entry.mac), 0, *state as u16)
        }
        RtnlMsg::Miss { dev, dst, lladdr } => ("miss ", *dst, *dev, *lladdr, 0, Nud::Stale as u16),
    };
    let (netdev, name) = (kernel.devs.get(dev), &event.dev);
    let dst = dst.map_or(String::new(), |dst| format!("{dst} "));
    let arphrd = netdev.map(|dev| dev.arphrd).unwrap_or_default();
    let lladdr = lladdr.map_or(String::new(), |mac: Mac| format!("lladdr {} ", arphrd.address(mac)));
    let flag = |flag: u8, word| if flags & flag != 0 { word } else { "" };
    let (router, learned) = (flag(NTF_ROUTER, "router "), flag(NTF_EXT_LEARNED, "extern_learn "));
    let states = Nud::ALL.iter().filter(|nud| state & u16::from(nud.bit()) != 0);
    let states: String = states.map(|nud| format!("{} ", nud.name())).collect();
    let name = if with_dev { format!("dev {name} ") } else { String::new() };
    format!("{miss}{dst}{name}{lladdr}{router}{learned}{states}")
}
