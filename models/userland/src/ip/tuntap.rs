//! `ip tuntap`.
//!
//! iproute2: ip/iptuntap.c

use glassnet_kernel::netlink::NlError;
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_kernel::tables::tun::{
    IFF_NO_PI, IFF_ONE_QUEUE, IFF_PERSIST, IFF_TAP, IFF_TUN, IFF_TUN_EXCL, TunStruct,
};

use super::Ip;
use super::args::{Args, Done, Stop, check_ifname, duparg2, matches};
use super::out::Out;
use crate::passwd::{self, GROUPS, USERS};
use crate::tun::TunFd;

/// Flags as they are printed, in order, and what is to be found of each.
const FLAGS: &[(&str, u16, bool)] = &[
    ("tun", IFF_TUN, true),
    ("tap", IFF_TAP, true),
    ("pi", IFF_NO_PI, false),
    ("one_queue", IFF_ONE_QUEUE, true),
    ("persist", IFF_PERSIST, true),
    // Meant for IFF_NOFILTER, which has the bit of IFF_NO_PI.
    ("filter", IFF_NO_PI, false),
];

/// A device that is asked for.
#[derive(Default)]
struct Request {
    name: String,
    flags: u16,
    user: Option<u32>,
    group: Option<u32>,
}

impl Ip<'_> {
    pub(super) fn tuntap(&mut self, mut args: Args) -> Done {
        const COMMANDS: &[&str] = &["add", "delete", "show", "lst", "list", "help"];
        let Some(word) = args.take() else { return self.tuntap_show() };
        match COMMANDS.iter().find(|command| matches(word, command)).copied().unwrap_or_default() {
            "add" => self.tuntap_add(&mut args),
            "delete" => self.tuntap_delete(&mut args),
            "show" | "lst" | "list" => self.tuntap_show(),
            "help" => Err(usage()),
            _ => Err(Stop::usage(format!("Command \"{word}\" is unknown, try \"ip tuntap help\".\n"))),
        }
    }

    fn tuntap_add(&mut self, args: &mut Args) -> Done {
        let request = parse(args, true)?;
        self.tuntap_change(&request, IFF_TUN_EXCL, |tun| {
            tun.owner = request.user;
            tun.group = request.group;
            tun.flags |= IFF_PERSIST;
        })
    }

    fn tuntap_delete(&mut self, args: &mut Args) -> Done {
        let request = parse(args, false)?;
        self.tuntap_change(&request, 0, |tun| tun.flags &= !IFF_PERSIST)
    }

    /// Attaches to the device, changes it, and lets go of it.
    fn tuntap_change(&mut self, request: &Request, more: u16, change: impl FnOnce(&mut TunStruct)) -> Done {
        if request.flags & (IFF_TUN | IFF_TAP) == 0 {
            return Err(Stop::error(1, "You failed to specify a tunnel mode\n"));
        }
        let refused =
            |error: NlError| Stop::error(1, format!("ioctl(TUNSETIFF): {}\n", error.errno.strerror()));
        let fd = TunFd::open(self.process, self.netns);
        fd.set_iff(&request.name, request.flags | more).map_err(refused)?;
        fd.change(change).map_err(|errno| refused(errno.into()))
    }

    fn tuntap_show(&mut self) -> Done {
        if self.opts.details > 0 && self.opts.style.json {
            // The real tool prints what is no JSON.
            return Err(Stop::not_modelled("-d -j tuntap"));
        }
        let mut out = self.out();
        self.kernel(|kernel| {
            let devs = kernel.netns[self.netns].devs.values().map(|dev| &kernel.devs[*dev]);
            for (dev, tun) in devs.filter_map(|dev| Some((dev, dev.tun()?))) {
                out.open(None);
                show(&mut out, dev, tun);
                if self.opts.details > 0 {
                    out.text("\n\tAttached to processes:");
                    // Found by the name of the device, in whatever namespace.
                    let attached = kernel.tun_files.iter().filter(|file| {
                        file.tun.and_then(|tun| kernel.devs.get(tun)).is_some_and(|tun| tun.name == dev.name)
                    });
                    let mut owners: Vec<(String, &str)> =
                        attached.map(|file| (file.owner.0.to_string(), file.owner.1.as_str())).collect();
                    owners.sort();
                    owners.iter().for_each(|(pid, name)| out.text(format_args!("{name}({pid})")));
                }
                out.text("\n");
                out.close();
            }
        });
        self.show(out);
        Ok(())
    }
}

fn show(out: &mut Out, dev: &NetDevice, tun: &TunStruct) {
    out.any("ifname", dev.name.as_str(), format_args!("{}:", dev.name));
    out.open_array(Some("flags"));
    for (word, bit, set) in FLAGS {
        if (tun.flags & bit != 0) == *set {
            out.item(*word, format_args!(" {word}"));
        }
    }
    out.close_array();
    for (key, id) in [("user", tun.owner), ("group", tun.group)] {
        if let Some(id) = id {
            out.any(key, id, format_args!(" {key} {id}"));
        }
    }
}

fn usage() -> Stop {
    Stop::usage(include_str!("help/tuntap.txt"))
}

/// Reads the arguments; users and groups are known only to `add`.
fn parse(args: &mut Args, with_owner: bool) -> Done<Request> {
    let mut request = Request { flags: IFF_NO_PI, ..Request::default() };
    while let Some(word) = args.take() {
        let is = |full: &str| matches(word, full);
        if is("mode") {
            request.flags |= mode(args.value()?, request.flags)?;
        } else if with_owner && is("user") {
            request.user = Some(id(args.value()?, USERS, "user")?);
        } else if with_owner && is("group") {
            request.group = Some(id(args.value()?, GROUPS, "group")?);
        } else if is("pi") {
            request.flags &= !IFF_NO_PI;
        } else if let Some(option) = ["vnet_hdr", "multi_queue"].iter().find(|option| is(option)) {
            return Err(Stop::not_modelled(&format!("tuntap … {option}")));
        } else if is("one_queue") {
            request.flags |= IFF_ONE_QUEUE;
        } else if is("dev") {
            let name = args.value()?;
            check_ifname("dev", name)?;
            request.name = name.to_owned();
        } else {
            let name = match word {
                _ if is("name") => args.value()?,
                _ if is("help") => return Err(usage()),
                word => word,
            };
            if !request.name.is_empty() {
                return Err(duparg2("name", name));
            }
            check_ifname("name", name)?;
            request.name = name.to_owned();
        }
    }
    Ok(request)
}

fn mode(word: &str, flags: u16) -> Done<u16> {
    let (mode, other) = match word {
        _ if matches(word, "tun") => (IFF_TUN, IFF_TAP),
        _ if matches(word, "tap") => (IFF_TAP, IFF_TUN),
        _ => return Err(Stop::usage(format!("Unknown tunnel mode \"{word}\"\n"))),
    };
    if flags & other != 0 {
        return Err(Stop::usage("You managed to ask for more than one tunnel mode.\n"));
    }
    Ok(mode)
}

fn id(text: &str, names: &[(&str, u32)], what: &str) -> Done<u32> {
    let found = text.parse().ok().or_else(|| passwd::number(names, text));
    found.ok_or_else(|| Stop::usage(format!("invalid {what} \"{text}\"\n")))
}
