//! `ip addr show`.

use std::net::Ipv4Addr;

use glassnet_kernel::ids::DevId;
use glassnet_kernel::net::ipv4::devinet::dump_addrs;
use glassnet_kernel::tables::fib_trie::inet_make_mask;
use glassnet_kernel::tables::inet_types::{
    AddrMsg, IFA_F_DEPRECATED, IFA_F_NOPREFIXROUTE, IFA_F_PERMANENT, IFA_F_SECONDARY, INFINITY_LIFE_TIME,
};

use super::addr::get_prefix;
use super::args::{Args, Done, duparg2, invarg};
use super::link_show::{Filter, View, What};
use super::link_stats::print_stats;
use super::names::Names;
use super::out::{Color, Out};
use super::{Family, Ip};

/// Flags by name, for filters; `-` inverts.
const FLAG_NAMES: &[(&str, u32, bool)] = &[
    ("secondary", IFA_F_SECONDARY, true),
    ("temporary", IFA_F_SECONDARY, true),
    ("primary", IFA_F_SECONDARY, false),
    ("nodad", 0x02, true),
    ("optimistic", 0x04, true),
    ("dadfailed", 0x08, true),
    ("home", 0x10, true),
    ("deprecated", IFA_F_DEPRECATED, true),
    ("tentative", 0x40, true),
    ("permanent", IFA_F_PERMANENT, true),
    ("dynamic", IFA_F_PERMANENT, false),
    ("mngtmpaddr", 0x100, true),
    ("noprefixroute", IFA_F_NOPREFIXROUTE, true),
    ("autojoin", 0x400, true),
    ("stable-privacy", 0x800, true),
];

/// Filter of addresses and devices.
#[derive(Clone, Debug, Default)]
pub(super) struct AddrFilter {
    link: Filter,
    prefix: Option<(Ipv4Addr, u8)>,
    scope: Option<u8>,
    label: Option<String>,
    pub(super) flags: u32,
    pub(super) flagmask: u32,
}

impl AddrFilter {
    /// The filter matches this address.
    pub(super) fn takes(&self, addr: &AddrMsg) -> bool {
        let within = |(prefix, len): (Ipv4Addr, u8)| {
            let mask = inet_make_mask(len);
            prefix & mask == addr.local & mask
        };
        self.link.dev.is_none_or(|dev| dev == addr.dev)
            && self.prefix.is_none_or(within)
            && self.scope.is_none_or(|scope| scope == addr.scope.0)
            && (self.flags ^ addr.flags) & self.flagmask == 0
            && self
                .label
                .as_deref()
                .is_none_or(|pattern| fnmatch(pattern, addr.label.as_deref().unwrap_or_default()))
    }

    fn flag(&mut self, word: &str) -> bool {
        let (name, inverse) = match word.strip_prefix('-') {
            Some(name) => (name, true),
            None => (word, false),
        };
        let Some((_, flag, set)) = FLAG_NAMES.iter().find(|entry| entry.0 == name) else { return false };
        self.flagmask |= flag;
        if *set != inverse {
            self.flags |= flag;
        } else {
            self.flags &= !flag;
        }
        true
    }
}

/// The text matches a shell pattern of `*` and `?`.
fn fnmatch(pattern: &str, text: &str) -> bool {
    let mut rest = text.chars();
    match (pattern.chars().next(), rest.next()) {
        (None, None) => true,
        (Some('*'), None) => fnmatch(&pattern[1..], text),
        (Some('*'), Some(_)) => fnmatch(&pattern[1..], text) || fnmatch(pattern, rest.as_str()),
        (Some('?'), Some(_)) => fnmatch(&pattern[1..], rest.as_str()),
        (Some(a), Some(b)) if a == b => fnmatch(&pattern[a.len_utf8()..], rest.as_str()),
        _ => false,
    }
}

impl Ip<'_> {
    /// Parses the arguments of `show` and `flush`.
    pub(super) fn addr_filter(&mut self, mut args: Args) -> Done<AddrFilter> {
        let mut filter = AddrFilter::default();
        let mut dev = None;
        while let Some(word) = args.take() {
            match word {
                "to" => {
                    let (prefix, len) = get_prefix(args.value()?, self.opts.family)?;
                    filter.prefix = Some((prefix, len.unwrap_or(32)));
                    if self.opts.family == Family::Unspec {
                        self.opts.family = Family::Inet;
                    }
                }
                "scope" => {
                    let text = args.value()?;
                    let bad = || invarg("invalid \"scope\"\n", text);
                    filter.scope = match text {
                        "all" => None,
                        _ => Some(Names::Scope.number(text).ok_or_else(bad)? as u8),
                    };
                }
                "label" => filter.label = Some(args.value()?.to_owned()),
                _ if filter.flag(word) => {}
                _ if self.link_filter(word, &mut args, &mut filter.link)? => {}
                _ => {
                    let name = if word == "dev" { args.value()? } else { word };
                    if dev.is_some() {
                        return Err(duparg2("dev", name));
                    }
                    dev = Some(name);
                }
            }
        }
        filter.link.dev = self.shown_dev(dev)?;
        Ok(filter)
    }

    /// Every IPv4 address of the namespace.
    pub(super) fn all_addrs(&self) -> Vec<AddrMsg> {
        let now = self.process.now();
        self.kernel(|kernel| dump_addrs(kernel, self.netns, now))
    }

    pub(super) fn addr_show(&mut self, args: Args) -> Done {
        let filter = self.addr_filter(args)?;
        let devs = self.visible_devs();
        let addrs = self.all_addrs();
        let family = self.opts.family;
        let addrs = if matches!(family, Family::Unspec | Family::Inet) { addrs } else { Vec::new() };
        let mut out = self.out();
        self.view(What::Addr, |view| {
            for dev in devs {
                let own: Vec<&AddrMsg> = addrs.iter().filter(|addr| addr.dev == dev).collect();
                let chosen = own.iter().any(|addr| filter.takes(addr));
                let empty = own.is_empty() && matches!(family, Family::Unspec | Family::Link);
                if filter.link.is_left_out(view.kernel, dev) || !(chosen || empty) {
                    continue;
                }
                out.open(None);
                view.addrs(&mut out, &filter, dev, &own);
                out.close();
            }
        });
        self.show(out);
        Ok(())
    }
}

impl View<'_> {
    /// A device and its addresses.
    fn addrs(&self, out: &mut Out, filter: &AddrFilter, dev: DevId, addrs: &[&AddrMsg]) {
        let netdev = &self.kernel.devs[dev];
        let no_link = filter.label.is_some() || self.opts.style.oneline && !self.opts.brief;
        if !no_link {
            if !filter.link.passes(self.kernel, dev) {
                return;
            }
            self.link(out, netdev);
            if !self.opts.brief {
                out.text("\n");
            }
        }
        if self.opts.family != Family::Link {
            out.open_array(Some("addr_info"));
            for addr in addrs {
                out.open(None);
                self.addr(out, filter, addr, false);
                out.close();
            }
            out.close_array();
        }
        if self.opts.brief {
            out.text("\n");
        } else if self.opts.stats > 0 && !no_link {
            print_stats(out, self.kernel, netdev, self.opts);
            out.text("\n");
        }
    }

    /// Prints an address that matches the filter; after its device when `named` or with `-o`.
    pub(super) fn addr(&self, out: &mut Out, filter: &AddrFilter, addr: &AddrMsg, named: bool) {
        if !filter.takes(addr) {
            return;
        }
        let dev = &self.kernel.devs[addr.dev];
        if !self.opts.brief {
            if named || self.opts.style.oneline {
                out.any("index", dev.ifindex, format_args!("{}: ", dev.ifindex));
                out.any("dev", dev.name.as_str(), &dev.name);
            }
            out.any("family", "inet", "    inet ");
        }
        self.prefix(out, addr);
        if self.opts.brief {
            return;
        }
        if let Some(broadcast) = addr.broadcast {
            out.text("brd ");
            let text = broadcast.to_string();
            out.color(Some(Color::Inet), "broadcast", text.as_str(), &text);
            out.text(" ");
        }
        let scope = Names::Scope.name(u32::from(addr.scope.0), self.opts.numeric);
        out.any("scope", scope.as_str(), format_args!("scope {scope} "));
        print_flags(out, addr.flags);
        if let Some(label) = &addr.label {
            out.any("label", label.as_str(), label);
        }
        out.nl();
        out.text("       valid_lft ");
        lifetime(out, "valid_life_time", addr.valid_lft);
        out.text(" preferred_lft ");
        lifetime(out, "preferred_life_time", addr.preferred_lft);
        out.text("\n");
    }

    fn prefix(&self, out: &mut Out, addr: &AddrMsg) {
        let local = addr.local.to_string();
        out.color(Some(Color::Inet), "local", local.as_str(), &local);
        if let Some(peer) = addr.peer.filter(|peer| *peer != addr.local) {
            let peer = peer.to_string();
            out.text(" peer ");
            out.color(Some(Color::Inet), "address", peer.as_str(), &peer);
        }
        out.any("prefixlen", addr.prefix_len, format_args!("/{} ", addr.prefix_len));
        if addr.metric != 0 {
            out.any("metric", addr.metric, format_args!("metric {} ", addr.metric));
        }
    }
}

fn print_flags(out: &mut Out, flags: u32) {
    for (flag, name, when) in [
        (IFA_F_SECONDARY, "secondary", true),
        (IFA_F_DEPRECATED, "deprecated", true),
        (IFA_F_PERMANENT, "dynamic", false),
        (IFA_F_NOPREFIXROUTE, "noprefixroute", true),
    ] {
        if (flags & flag != 0) == when {
            out.any(name, true, format_args!("{name} "));
        }
    }
}

fn lifetime(out: &mut Out, key: &str, seconds: u32) {
    out.json(key, seconds);
    match seconds {
        INFINITY_LIFE_TIME => out.text("forever"),
        _ => out.text(format_args!("{seconds}sec")),
    }
}
