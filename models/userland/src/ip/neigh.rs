//! `ip neigh`.

use std::net::Ipv4Addr;

use glassnet_kernel::ids::DevId;
use glassnet_kernel::net::core::neighbour::{dump_neigh, rtm_delneigh, rtm_newneigh};
use glassnet_kernel::netlink::{Errno, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NlError};
use glassnet_kernel::tables::fib_trie::inet_make_mask;
use glassnet_kernel::tables::neigh_types::{
    NTF_EXT_LEARNED, NTF_PROXY, NTF_ROUTER, NTF_USE, NeighMsg, NeighRow, Nud,
};
use glassnet_wire::Mac;

use super::addr::{get_addr, get_prefix};
use super::args::{Args, Done, Stop, duparg2, invarg, lladdr, matches, number};
use super::link_show::{View, What};
use super::names::Names;
use super::out::{Color, Out, Value};
use super::{Family, Ip};

/// Maximum number of rounds of a flush.
const MAX_FLUSH_LOOPS: u32 = 10;
/// The bit for [`Nud::None`] in a set of states.
const STATE_NONE: u16 = 0x100;

const STATES: &[(&str, Nud)] = &[
    ("permanent", Nud::Permanent),
    ("reachable", Nud::Reachable),
    ("noarp", Nud::Noarp),
    ("none", Nud::None),
    ("stale", Nud::Stale),
    ("incomplete", Nud::Incomplete),
    ("delay", Nud::Delay),
    ("probe", Nud::Probe),
    ("failed", Nud::Failed),
];

/// The state with this name or number; abbreviations as iproute2 tries them.
fn state(text: &str) -> Done<Nud> {
    let named = STATES.iter().find(|(name, _)| matches(text, name)).map(|(_, state)| *state);
    let numbered = || {
        let bits: u8 = number(text)?;
        STATES.iter().find(|(_, state)| state.bit() == bits).map(|(_, state)| *state)
    };
    named.or_else(numbered).ok_or_else(|| invarg("nud state is bad", text))
}

/// An address of a device whose addresses have so many bytes; what is longer is cut off.
fn link_address(bytes: &[u8], addr_len: usize) -> Done<Mac> {
    let mut address = Mac::ZERO;
    let known = bytes.get(..addr_len);
    let known = known.ok_or_else(|| Stop::refused(&NlError::with(Errno::EINVAL, "Invalid link address")))?;
    address.0[..addr_len].copy_from_slice(known);
    Ok(address)
}

fn bit(state: Nud) -> u16 {
    if state == Nud::None { STATE_NONE } else { u16::from(state.bit()) }
}

/// Filter of neighbours. A device in the filter is not printed.
#[derive(Clone, Debug)]
struct NeighFilter {
    dev: Option<DevId>,
    prefix: Option<(Ipv4Addr, u8)>,
    /// Bit mask of states.
    states: u16,
    states_given: bool,
    unused: bool,
    proxy: bool,
    protocol: Option<u8>,
    master: Option<DevId>,
    nomaster: bool,
}

impl NeighFilter {
    fn new(states: u16) -> NeighFilter {
        NeighFilter {
            dev: None,
            prefix: None,
            states,
            states_given: false,
            unused: false,
            proxy: false,
            protocol: None,
            master: None,
            nomaster: false,
        }
    }

    fn takes(&self, row: &NeighRow, master: Option<DevId>) -> bool {
        let within = |(prefix, len): (Ipv4Addr, u8)| {
            let mask = inet_make_mask(len);
            prefix & mask == row.msg.dst & mask
        };
        let is_proxy = row.msg.flags & NTF_PROXY != 0;
        is_proxy == self.proxy
            && (is_proxy || row.msg.flags & NTF_EXT_LEARNED != 0 || bit(row.msg.state) & self.states != 0)
            && self.dev.is_none_or(|dev| dev == row.msg.dev)
            && self.prefix.is_none_or(within)
            && (!self.unused || row.refcnt == 0)
            && self.protocol.is_none_or(|protocol| protocol == row.msg.protocol)
            && self.master.is_none_or(|wanted| master == Some(wanted))
            && (!self.nomaster || master.is_none())
    }
}

impl Ip<'_> {
    pub(super) fn neigh(&mut self, mut args: Args) -> Done {
        let Some(word) = args.take() else { return self.neigh_show(args) };
        let is = |full| matches(word, full);
        match word {
            _ if is("add") => self.neigh_modify(args, Some(NLM_F_CREATE | NLM_F_EXCL)),
            _ if is("change") || word == "chg" => self.neigh_modify(args, Some(NLM_F_REPLACE)),
            _ if is("replace") => self.neigh_modify(args, Some(NLM_F_CREATE | NLM_F_REPLACE)),
            _ if is("delete") => self.neigh_modify(args, None),
            _ if is("get") => self.neigh_get(args),
            _ if is("show") || is("lst") || is("list") => self.neigh_show(args),
            _ if is("flush") => self.neigh_flush(args),
            _ if is("help") => Err(usage()),
            _ => Err(Stop::usage(format!("Command \"{word}\" is unknown, try \"ip neigh help\".\n"))),
        }
    }

    /// Adds or changes an entry; without flags deletes it.
    fn neigh_modify(&mut self, mut args: Args, flags: Option<u16>) -> Done {
        let (mut dev, mut dst, mut address) = (None, None, None);
        let (mut nud, mut ntf, mut protocol) = (Nud::Permanent, 0, 0);
        while let Some(word) = args.take() {
            match word {
                "lladdr" => address = Some(args.value()?),
                "nud" => nud = state(args.value()?)?,
                _ if matches(word, "proxy") => {
                    let text = args.value()?;
                    if dst.is_some() {
                        return Err(duparg2("to", text));
                    }
                    dst = Some(get_addr(text, self.opts.family)?);
                    ntf |= NTF_PROXY;
                }
                "router" => ntf |= NTF_ROUTER,
                _ if matches(word, "extern_learn") => ntf |= NTF_EXT_LEARNED,
                "use" => ntf |= NTF_USE,
                "managed" => return Err(Stop::not_modelled("neigh add … managed")),
                "dev" => dev = Some(args.value()?),
                _ if matches(word, "protocol") => protocol = self.neigh_protocol(&mut args)?,
                _ => self.neigh_dst(word, &mut args, &mut dst)?,
            }
        }
        let (Some(dev), Some(dst)) = (dev, dst) else {
            return Err(Stop::usage("Device and destination are required arguments.\n"));
        };
        let bytes = address.map(lladdr).transpose()?;
        let dev = self.dev(dev)?;
        let addr_len = self.kernel(|kernel| kernel.devs[dev].arphrd.addr_len());
        let lladdr = bytes.map(|bytes| link_address(&bytes, addr_len)).transpose()?;
        let msg = NeighMsg { dev, dst, lladdr, state: nud, flags: ntf, protocol };
        let netns = self.netns;
        self.enter(|cx| match flags {
            Some(flags) => rtm_newneigh(cx, netns, &msg, flags),
            None => rtm_delneigh(cx, netns, &msg),
        })?;
        Ok(())
    }

    /// `[to] ADDRESS`.
    fn neigh_dst(&self, word: &str, args: &mut Args, dst: &mut Option<Ipv4Addr>) -> Done {
        let text = if word == "to" { args.value()? } else { word };
        if matches(text, "help") {
            return Err(usage());
        }
        if dst.is_some() {
            return Err(duparg2("to", text));
        }
        *dst = Some(get_addr(text, self.opts.family)?);
        Ok(())
    }

    fn neigh_protocol(&self, args: &mut Args) -> Done<u8> {
        let text = args.value()?;
        let number = Names::Proto.number(text);
        Ok(number.ok_or_else(|| invarg("\"protocol\" value is invalid\n", text))? as u8)
    }

    fn neigh_get(&mut self, mut args: Args) -> Done {
        let (mut dev, mut dst, mut proxy) = (None, None, false);
        while let Some(word) = args.take() {
            match word {
                "dev" => dev = Some(args.value()?),
                _ if matches(word, "proxy") => {
                    (proxy, dst) = (true, Some(get_addr(args.value()?, self.opts.family)?));
                }
                _ => self.neigh_dst(word, &mut args, &mut dst)?,
            }
        }
        let (Some(dev), Some(dst)) = (dev, dst) else {
            return Err(Stop::failed("Device and address are required arguments.\n"));
        };
        let dev = self.dev(dev)?;
        let text = if proxy { "Proxy neighbour entry not found" } else { "Neighbour entry not found" };
        let rows = self.neigh_rows();
        let wanted = |row: &&NeighRow| row.msg.dev == dev && row.msg.dst == dst && is_proxy(row) == proxy;
        let row = rows.iter().find(wanted).ok_or_else(|| NlError::with(Errno::ENOENT, text))?;
        self.print_neigh(std::slice::from_ref(row), None, self.opts.stats > 0);
        Ok(())
    }

    /// All neighbours of the namespace, with proxy entries.
    fn neigh_rows(&self) -> Vec<NeighRow> {
        let now = self.process.now();
        self.kernel(|kernel| {
            let mut rows = dump_neigh(kernel, self.netns, now);
            let here = |dev: DevId| kernel.devs.get(dev).is_some_and(|dev| dev.netns == self.netns);
            for (dev, ip, protocol) in &kernel.neigh.proxies {
                if let Some(dev) = dev.filter(|dev| here(*dev)) {
                    rows.push(proxy_row(dev, *ip, *protocol));
                }
            }
            rows
        })
    }

    fn chosen_neigh(&self, filter: &NeighFilter) -> Vec<NeighRow> {
        if !matches!(self.opts.family, Family::Unspec | Family::Inet) {
            return Vec::new();
        }
        let mut rows = self.neigh_rows();
        self.kernel(|kernel| {
            rows.retain(|row| {
                let master = kernel.devs.get(row.msg.dev).and_then(|dev| dev.master());
                filter.takes(row, master)
            });
        });
        rows
    }

    fn neigh_filter(&self, mut args: Args, states: u16) -> Done<NeighFilter> {
        let mut filter = NeighFilter::new(states);
        let mut dev = None;
        while let Some(word) = args.take() {
            match word {
                "dev" => dev = Some(args.value()?),
                "master" => {
                    let name = args.value()?;
                    let bad = || invarg("Device does not exist\n", name);
                    filter.master = Some(self.find_dev(name).ok_or_else(bad)?);
                }
                "vrf" => filter.master = Some(self.vrf_arg(&mut args, "Not a valid VRF name\n")?),
                "nomaster" => filter.nomaster = true,
                "unused" => filter.unused = true,
                "nud" => {
                    if !std::mem::replace(&mut filter.states_given, true) {
                        filter.states = 0;
                    }
                    filter.states |= match args.value()? {
                        "all" => u16::MAX,
                        text => bit(state(text)?),
                    };
                }
                "proxy" => filter.proxy = true,
                _ if matches(word, "protocol") => {
                    let text = args.value()?;
                    let bad = || invarg("invalid \"protocol\"\n", text);
                    filter.protocol = Some(Names::Proto.number(text).ok_or_else(bad)? as u8);
                }
                _ => {
                    let text = if word == "to" { args.value()? } else { word };
                    if matches(text, "help") {
                        return Err(usage());
                    }
                    let family = if filter.prefix.is_some() { Family::Inet } else { self.opts.family };
                    let (prefix, len) = get_prefix(text, family)?;
                    filter.prefix = Some((prefix, len.unwrap_or(32)));
                }
            }
        }
        filter.dev = dev.map(|name| self.dev(name)).transpose()?;
        Ok(filter)
    }

    fn neigh_show(&mut self, args: Args) -> Done {
        let usual = 0xff & !bit(Nud::Noarp);
        let filter = self.neigh_filter(args, usual)?;
        let rows = self.chosen_neigh(&filter);
        self.print_neigh(&rows, filter.dev, self.opts.stats > 0);
        Ok(())
    }

    fn print_neigh(&mut self, rows: &[NeighRow], hidden: Option<DevId>, stats: bool) {
        let mut out = self.out();
        self.view(What::Addr, |view| {
            for row in rows {
                out.open(None);
                view.neigh(&mut out, row, hidden, stats);
                out.close();
            }
        });
        self.show(out);
    }

    fn neigh_flush(&mut self, args: Args) -> Done {
        if args.is_empty() {
            return Err(Stop::failed("Flush requires arguments.\n"));
        }
        let usual = !(bit(Nud::Permanent) | bit(Nud::Noarp));
        let filter = self.neigh_filter(args, usual)?;
        let mut round = 0;
        while round < MAX_FLUSH_LOOPS {
            let rows = self.chosen_neigh(&filter);
            if rows.is_empty() {
                break;
            }
            round += 1;
            if self.opts.stats > 1 {
                self.print_neigh(&rows, filter.dev, true);
            }
            let netns = self.netns;
            for row in &rows {
                // The entry may have been deleted meanwhile.
                let _gone_before = self.enter(|cx| rtm_delneigh(cx, netns, &row.msg));
            }
            if self.opts.stats > 0 {
                let count = rows.len();
                self.process.print(format!("\n*** Round {round}, deleting {count} entries ***\n"));
            }
        }
        self.flush_complete(round);
        Ok(())
    }
}

fn usage() -> Stop {
    Stop::usage(include_str!("help/neigh.txt"))
}

fn is_proxy(row: &NeighRow) -> bool {
    row.msg.flags & NTF_PROXY != 0
}

fn proxy_row(dev: DevId, dst: Ipv4Addr, protocol: u8) -> NeighRow {
    NeighRow {
        msg: NeighMsg { dev, dst, lladdr: None, state: Nud::None, flags: NTF_PROXY, protocol },
        kind: 0,
        used: 0,
        confirmed: 0,
        updated: 0,
        refcnt: 0,
        probes: 0,
    }
}

/// Nanoseconds as whole seconds.
fn seconds(span: u64) -> u64 {
    span / 1_000_000_000
}

impl View<'_> {
    fn neigh(&self, out: &mut Out, row: &NeighRow, hidden: Option<DevId>, stats: bool) {
        let msg = &row.msg;
        let dst = msg.dst.to_string();
        let netdev = self.kernel.devs.get(msg.dev);
        let dev = netdev.map_or("", |dev| &dev.name);
        let arphrd = netdev.map(|dev| dev.arphrd).unwrap_or_default();
        // Of an address without bytes the tool prints the byte behind it, the length of the next attribute (NDA_PROBES).
        let shown = |mac| if arphrd.addr_len() == 0 { "08".to_owned() } else { arphrd.address(mac) };
        let lladdr = msg.lladdr.map(shown);
        if self.opts.brief {
            return brief(out, &dst, dev, lladdr, hidden.is_some());
        }
        out.color(Some(Color::Inet), "dst", dst.as_str(), format_args!("{dst} "));
        if hidden.is_none() {
            out.text("dev ");
            out.color(Some(Color::Ifname), "dev", dev, format_args!("{dev} "));
        }
        if let Some(lladdr) = lladdr {
            out.text("lladdr ");
            out.color(Some(Color::Mac), "lladdr", lladdr.as_str(), format_args!("{lladdr} "));
        }
        for (flag, name) in [(NTF_ROUTER, "router"), (NTF_PROXY, "proxy"), (NTF_EXT_LEARNED, "extern_learn")]
        {
            if msg.flags & flag != 0 {
                out.any(name, Value::Null, format_args!("{name} "));
            }
        }
        if stats && msg.flags & NTF_PROXY == 0 {
            neigh_stats(out, row);
        }
        if msg.state != Nud::None {
            out.open_array(Some("state"));
            out.item(msg.state.name(), format_args!("{} ", msg.state.name()));
            out.close_array();
        }
        if msg.protocol != 0 {
            let protocol = Names::Proto.name(u32::from(msg.protocol), self.opts.numeric);
            out.any("protocol", protocol.as_str(), format_args!("proto {protocol} "));
        }
        out.text("\n");
    }
}

fn brief(out: &mut Out, dst: &str, dev: &str, lladdr: Option<String>, hidden: bool) {
    out.color(Some(Color::Inet), "dst", dst, format_args!("{dst:<39} "));
    if !hidden {
        out.color(Some(Color::Ifname), "dev", dev, format_args!("{dev:<16} "));
    }
    if let Some(lladdr) = lladdr {
        out.color(Some(Color::Mac), "lladdr", lladdr.as_str(), &lladdr);
    }
    out.text("\n");
}

fn neigh_stats(out: &mut Out, row: &NeighRow) {
    if row.refcnt != 0 {
        out.any("refcnt", row.refcnt, format_args!(" ref {}", row.refcnt));
    }
    let (used, confirmed, updated) = (seconds(row.used), seconds(row.confirmed), seconds(row.updated));
    out.text(format_args!(" used {used}/{confirmed}/{updated}"));
    out.json("used", used);
    out.json("confirmed", confirmed);
    out.json("updated", updated);
    out.any("probes", row.probes, format_args!("probes {} ", row.probes));
}
