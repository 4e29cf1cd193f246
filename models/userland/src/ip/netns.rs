//! `ip netns`.

use glassnet_kernel::ids::NetnsId;
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::net::core::net_namespace::{
    cleanup_net_if_unused, copy_net_ns, peernet2id, rtm_newnsid,
};

use super::args::{Args, Done, Stop, invarg, matches, number};
use super::{Ip, Then};

/// Maximum length of a file name, bytes.
const NAME_MAX: usize = 255;

fn invalid_name(name: &str) -> bool {
    name.is_empty() || name.len() > NAME_MAX || name.contains('/') || name == "." || name == ".."
}

const COMMANDS: &[&str] = &[
    "list", "show", "lst", "list-id", "help", "add", "set", "delete", "identify", "pids", "exec", "monitor",
    "attach",
];

impl Ip<'_> {
    pub(super) fn netns_command(&mut self, mut args: Args) -> Done<Then> {
        let Some(word) = args.take() else {
            self.netns_list();
            return Ok(Then::Done);
        };
        if let Some(name) = args.peek().filter(|name| !self.opts.all && invalid_name(name)) {
            return Err(Stop::usage(format!("Invalid netns name \"{name}\"\n")));
        }
        let command = COMMANDS.iter().find(|command| matches(word, command)).copied();
        match command.unwrap_or_default() {
            "list" | "show" | "lst" => self.netns_list(),
            "list-id" => self.netns_list_id(args)?,
            "help" => return Err(Stop::usage(include_str!("help/netns.txt"))),
            "add" => self.netns_add(args.take())?,
            "set" => self.netns_set(args)?,
            "delete" => self.netns_delete(args.take())?,
            "identify" => self.netns_identify(args)?,
            "pids" => self.netns_pids(args.take())?,
            "exec" => return self.netns_exec(args),
            "monitor" => return Err(Stop::not_modelled("netns monitor")),
            "attach" => self.netns_attach(args)?,
            _ => {
                let text = format!("Command \"{word}\" is unknown, try \"ip netns help\".\n");
                return Err(Stop::usage(text));
            }
        }
        Ok(Then::Done)
    }

    /// The names as a directory listing of /run/netns gives them: newest first.
    fn netns_names(&self) -> Vec<(String, NetnsId)> {
        let mut names: Vec<_> =
            self.kernel(|kernel| kernel.netns_names.iter().map(|(name, id)| (name.clone(), *id)).collect());
        names.sort_by_key(|(_, id)| std::cmp::Reverse(*id));
        names
    }

    fn netns_list(&mut self) {
        let mut out = self.out();
        for (name, netns) in self.netns_names() {
            let id = self.kernel(|kernel| peernet2id(kernel, self.netns, netns));
            out.open(None);
            out.any("name", name.as_str(), &name);
            if let Some(id) = id {
                out.any("id", id, format_args!(" (id: {id})"));
            }
            out.text("\n");
            out.close();
        }
        self.show(out);
    }

    fn netns_list_id(&mut self, mut args: Args) -> Done {
        let mut only = None;
        while let Some(word) = args.take() {
            match word {
                "nsid" => only = Some(args.number::<u32>("\"nsid\" value is invalid")?),
                "target-nsid" => return Err(Stop::not_modelled("netns list-id target-nsid")),
                other => {
                    let text = format!("What is \"{other}\"?\n");
                    return Err(Stop::usage(text));
                }
            }
        }
        let names = self.netns_names();
        let ids = self.kernel(|kernel| kernel.netns[self.netns].nsids.clone());
        let mut out = self.out();
        for (id, netns) in ids {
            if only.is_some_and(|only| only != id) {
                continue;
            }
            out.open(None);
            out.any("nsid", id, format_args!("nsid {id} "));
            if let Some((name, _)) = names.iter().find(|(_, named)| *named == netns) {
                out.any("name", name.as_str(), format_args!("(iproute2 netns name: {name})"));
            }
            out.text("\n");
            out.close();
        }
        self.show(out);
        Ok(())
    }

    fn netns_add(&mut self, name: Option<&str>) -> Done {
        let name = name.ok_or_else(no_name)?.to_owned();
        self.check_free(&name)?;
        self.enter(|cx| {
            let netns = copy_net_ns(cx);
            cx.k.netns_names.insert(name, netns);
        });
        Ok(())
    }

    fn check_free(&self, name: &str) -> Done {
        if self.kernel(|kernel| kernel.netns_names.contains_key(name)) {
            let text = format!("Cannot create namespace file \"/run/netns/{name}\": File exists\n");
            return Err(Stop::failed(text));
        }
        Ok(())
    }

    fn netns_set(&mut self, mut args: Args) -> Done {
        let name = args.take().ok_or_else(no_name)?;
        let id = args.take().ok_or_else(|| Stop::failed("No nsid specified\n"))?;
        let wanted = match id {
            "auto" => None,
            _ => Some(number::<u32>(id).ok_or_else(|| invarg("Invalid \"netnsid\" value", id))?),
        };
        let peer = self.netns_by_name(name).map_err(|stop| Stop { status: 1, ..stop })?;
        let here = self.netns;
        self.enter(|cx| rtm_newnsid(cx, here, peer, wanted))?;
        Ok(())
    }

    fn netns_delete(&mut self, name: Option<&str>) -> Done {
        let names: Vec<String> = match name {
            Some(name) => vec![name.to_owned()],
            None if self.opts.all => self.netns_names().into_iter().map(|(name, _)| name).collect(),
            None => return Err(no_name()),
        };
        for name in names {
            let known = self.enter(|cx| {
                let netns = cx.k.netns_names.remove(&name)?;
                cleanup_net_if_unused(cx, netns);
                Some(())
            });
            if known.is_none() {
                let text = format!(
                    "Cannot remove namespace file \"/run/netns/{name}\": No such file or directory\n"
                );
                return Err(Stop::failed(text));
            }
        }
        Ok(())
    }

    /// The namespace of a process.
    pub(super) fn netns_of_pid(&self, pid: u32) -> Option<NetnsId> {
        match pid {
            1 => Some(INIT_NET),
            _ => self.kernel(|kernel| kernel.tasks.get(&pid).copied()),
        }
    }

    fn netns_identify(&mut self, mut args: Args) -> Done {
        let netns = match args.take() {
            None | Some("self") => self.netns,
            Some(pid) => {
                let pid = number::<u32>(pid)
                    .ok_or_else(|| Stop::failed(format!("Specified string '{pid}' is not a pid\n")))?;
                self.netns_of_pid(pid).ok_or_else(|| {
                    Stop::failed("Cannot open network namespace: No such file or directory\n")
                })?
            }
        };
        if !args.is_empty() {
            return Err(Stop::failed("extra arguments specified\n"));
        }
        let names: Vec<String> = self
            .netns_names()
            .into_iter()
            .filter_map(|(name, named)| (named == netns).then_some(name))
            .collect();
        if names.is_empty() {
            self.process.print("\n");
        }
        for name in names {
            self.process.print(format!("{name}\n"));
        }
        Ok(())
    }

    fn netns_pids(&mut self, name: Option<&str>) -> Done {
        let name = name.ok_or_else(no_name)?;
        let netns = self
            .netns_by_name(name)
            .map_err(|_| Stop::failed("Cannot open network namespace: No such file or directory\n"))?;
        let pids: Vec<u32> = self.kernel(|kernel| {
            kernel.tasks.iter().filter(|(_, home)| **home == netns).map(|(pid, _)| *pid).collect()
        });
        for pid in pids {
            self.process.print(format!("{pid}\n"));
        }
        Ok(())
    }

    fn netns_exec(&mut self, mut args: Args) -> Done<Then> {
        if self.opts.all {
            if args.is_empty() {
                return Err(Stop::failed("No command specified\n"));
            }
            let places = self.netns_names().into_iter().map(|(name, id)| (Some(name), id)).collect();
            return Ok(Then::Exec { places, argv: args.rest().to_vec() });
        }
        let name = args.take().ok_or_else(no_name)?;
        if args.is_empty() {
            return Err(Stop::failed("No command specified\n"));
        }
        let netns = self.netns_by_name(name)?;
        Ok(Then::Exec { places: vec![(None, netns)], argv: args.rest().to_vec() })
    }

    fn netns_attach(&mut self, mut args: Args) -> Done {
        let (Some(name), Some(pid)) = (args.take(), args.take()) else {
            return Err(Stop::failed("No netns name and PID specified\n"));
        };
        let number = number::<u32>(pid).ok_or_else(|| Stop::failed(format!("Invalid PID: {pid}\n")))?;
        self.check_free(name)?;
        let netns = self.netns_of_pid(number).ok_or_else(|| {
            Stop::failed(format!(
                "Bind /proc/{number}/ns/net -> /run/netns/{name} failed: No such file or directory\n"
            ))
        })?;
        self.enter(|cx| cx.k.netns_names.insert(name.to_owned(), netns));
        Ok(())
    }
}

fn no_name() -> Stop {
    Stop::failed("No netns name specified\n")
}
