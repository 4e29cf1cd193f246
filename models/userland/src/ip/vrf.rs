//! `ip vrf`, and VRFs by name elsewhere in `ip`.
//!
//! iproute2: ip/ipvrf.c

use glassnet_kernel::ids::DevId;
use glassnet_kernel::tables::route_types::RT_TABLE_MAIN;

use super::args::{Args, Done, Stop, invarg, matches, number};
use super::{Ip, Then};
use crate::process::Vrf;

/// What stands for no VRF.
const DEFAULT: &str = "default";

const USAGE: &str = "Usage:\tip vrf show [NAME] ...\n\tip vrf exec [NAME] cmd ...\n\tip vrf identify [PID]\n\tip vrf pids [NAME]\n";

impl Ip<'_> {
    pub(super) fn vrf(&mut self, mut args: Args) -> Done<Then> {
        let Some(word) = args.take() else { return self.vrf_show(args) };
        let is = |full| matches(word, full);
        match word {
            _ if is("identify") => self.vrf_identify(args),
            _ if is("pids") => self.vrf_pids(args),
            _ if is("exec") => self.vrf_exec(args),
            _ if is("show") || is("lst") || is("list") => self.vrf_show(args),
            _ if is("help") => Err(Stop::usage(USAGE)),
            _ => Err(Stop::usage(format!("Command \"{word}\" is unknown, try \"ip vrf help\".\n"))),
        }
    }

    fn vrf_show(&mut self, mut args: Args) -> Done<Then> {
        if let Some(name) = args.take() {
            let table = self.vrf_table(name).ok_or_else(|| Stop::error(1, "Invalid VRF\n"))?;
            self.process.print(format!("{name} {table}\n"));
            return Ok(Then::Done);
        }
        let vrfs: Vec<(String, u32)> = self.kernel(|kernel| {
            let devs = kernel.netns[self.netns].devs.values().map(|dev| &kernel.devs[*dev]);
            devs.filter_map(|dev| Some((dev.name.clone(), dev.l3mdev_fib_table?))).collect()
        });
        let mut out = self.out();
        if vrfs.is_empty() {
            out.text("No VRF has been configured\n");
        } else {
            out.text(format_args!("{:<16}  {:>5}\n{}\n", "Name", "Table", "-".repeat(23)));
        }
        for (name, table) in &vrfs {
            out.open(None);
            out.any("name", name.as_str(), format_args!("{name:<16}"));
            out.any("table", *table, format_args!(" {table:>5}\n"));
            out.close();
        }
        self.show(out);
        Ok(Then::Done)
    }

    fn vrf_identify(&mut self, mut args: Args) -> Done<Then> {
        let name = match args.take() {
            None => self.process.vrf.as_ref().map(|vrf| vrf.name.clone()),
            Some(pid) => {
                let bad = || Stop::error(255, format!("Invalid PID: {pid}\n"));
                let pid: u32 = number(pid).ok_or_else(bad)?;
                self.kernel(|kernel| kernel.vrf_tasks.get(&pid).cloned())
            }
        };
        if let Some(name) = name {
            self.process.print(format!("{name}\n"));
        }
        Ok(Then::Done)
    }

    fn vrf_pids(&mut self, mut args: Args) -> Done<Then> {
        let name = args.take().ok_or_else(no_name)?;
        self.vrf_table(name).ok_or_else(|| Stop::error(255, "Invalid VRF name\n"))?;
        let pids: Vec<u32> = self.kernel(|kernel| {
            let of_it = |task: &(&u32, &String)| task.1 == name;
            kernel.vrf_tasks.iter().filter(of_it).map(|(pid, _)| *pid).collect()
        });
        for pid in pids {
            self.process.print(format!("{pid}\n"));
        }
        Ok(Then::Done)
    }

    /// Sockets that the command opens are bound to the VRF.
    fn vrf_exec(&mut self, mut args: Args) -> Done<Then> {
        let name = args.take().ok_or_else(no_name)?;
        if args.is_empty() {
            return Err(Stop::error(255, "No command specified\n"));
        }
        self.process.vrf = match self.find_vrf(name) {
            Some(dev) => {
                Some(Vrf { name: name.to_owned(), ifindex: self.kernel(|kernel| kernel.devs[dev].ifindex) })
            }
            None if name == DEFAULT => None,
            None => return Err(Stop::error(255, "Invalid VRF name\n")),
        };
        Ok(Then::Exec { places: vec![(None, self.netns)], argv: args.rest().to_vec() })
    }

    /// The VRF of this name (`name_is_vrf`).
    pub(super) fn find_vrf(&self, name: &str) -> Option<DevId> {
        let dev = self.find_dev(name)?;
        self.kernel(|kernel| kernel.devs[dev].l3mdev_fib_table.map(|_| dev))
    }

    /// The same as the value of an argument, which must be one.
    pub(super) fn vrf_arg(&self, args: &mut Args, error: &str) -> Done<DevId> {
        let name = args.value()?;
        self.find_vrf(name).ok_or_else(|| invarg(error, name))
    }

    /// Its table (`ipvrf_get_table`).
    pub(super) fn vrf_table(&self, name: &str) -> Option<u32> {
        let table =
            self.find_vrf(name).and_then(|dev| self.kernel(|kernel| kernel.devs[dev].l3mdev_fib_table));
        table.or((name == DEFAULT).then_some(RT_TABLE_MAIN))
    }

    /// The same of the value of an argument.
    pub(super) fn vrf_table_arg(&self, args: &mut Args) -> Done<u32> {
        let name = args.value()?;
        self.vrf_table(name).ok_or_else(|| invarg("Invalid VRF\n", name))
    }
}

fn no_name() -> Stop {
    Stop::error(255, "No VRF name specified\n")
}
