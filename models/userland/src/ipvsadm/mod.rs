//! `ipvsadm` 1.31: services of IPVS, their destinations and connections.
//!
//! Connections are listed in the order in which they were made; in the kernel's list a random seed decides.
//! Not modelled: synchronisation daemons, SCTP, IPv6.

mod list;
mod options;

use glassnet_kernel::Cx;
use glassnet_kernel::ids::NetnsId;
use glassnet_kernel::net::netfilter::ipvs::ip_vs_core::ip_vs_init;
use glassnet_kernel::net::netfilter::ipvs::ip_vs_ctl::{
    ip_vs_add_dest, ip_vs_add_service, ip_vs_del_dest, ip_vs_del_service, ip_vs_edit_dest,
    ip_vs_edit_service, ip_vs_flush, ip_vs_set_timeout, ip_vs_zero,
};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::ip_vs::IP_VS_VERSION;
use glassnet_kernel::tables::ip_vs::conn::{TCP_S_ESTABLISHED, TCP_S_FIN_WAIT};

use crate::hosts::Hosts;
use crate::process::{Process, Running};
use crate::stop::{Done, Stop};
use list::Lister;
use options::{Command, FAILED, Options};

const HELP: &str = include_str!("help.txt");

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let mut args = process.args().to_vec();
        if args.is_empty() {
            args.push("-L".to_owned());
        }
        ipvsadm(process, &args).await
    })
}

/// Entry point of `ipvsadm-save`.
pub fn save(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let mut args = vec!["-S".to_owned()];
        if process.args().iter().any(|arg| arg == "-n") {
            args.push("-n".to_owned());
        }
        ipvsadm(process, &args).await
    })
}

/// Entry point of `ipvsadm-restore`, which begins with an empty table.
pub fn restore(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        ipvsadm(process, &["-C".to_owned()]).await;
        ipvsadm(process, &["-R".to_owned()]).await
    })
}

async fn ipvsadm(process: &mut Process, args: &[String]) -> i32 {
    process.syscall(ip_vs_init);
    let hosts = Hosts::read(process).await;
    let done = match options::parse(args, &hosts) {
        Ok(options) if options.command == Command::Restore => read_commands(process, &hosts).await,
        Ok(options) => run(process, &options, &hosts),
        Err(stop) => Err(stop),
    };
    done.map_or_else(|stop| stop.say(process), |()| 0)
}

/// `-R`: commands from standard input. What the kernel refuses ends nothing, and the status is that of the last command.
async fn read_commands(process: &mut Process, hosts: &Hosts) -> Done {
    let mut last = Ok(());
    loop {
        let line = process.read_line().await.unwrap_or_default();
        if line.is_empty() {
            return last;
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        if words.first().is_some_and(|word| word == "ipvsadm") {
            words.remove(0);
        }
        if words.is_empty() {
            continue;
        }
        if let Err(stop) = std::mem::replace(&mut last, Ok(())) {
            stop.say(process);
        }
        last = run(process, &options::parse(&words, hosts)?, hosts);
    }
}

fn run(process: &mut Process, options: &Options, hosts: &Hosts) -> Done {
    let (netns, key) = (process.netns, options.service.key);
    match options.command {
        Command::Help => process.print(format!("{}{HELP}", version())),
        Command::Version => process.print(version()),
        Command::List | Command::Save => return list(process, options, hosts),
        _ => {
            let done = process.syscall(|cx| change(cx, netns, options));
            let one = !matches!(options.command, Command::Zero if key.fwmark() == 0 && key.protocol() == 0);
            done.map_err(|errno| refused(options.command, errno, one))?;
        }
    }
    Ok(())
}

fn version() -> String {
    format!("ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v{IP_VS_VERSION})\n")
}

/// What a command changes.
fn change(cx: &mut Cx, netns: NetnsId, options: &Options) -> Result<(), Errno> {
    let (service, dest) = (&options.service, options.dest);
    let key = service.key;
    match options.command {
        Command::AddService => ip_vs_add_service(cx, netns, service),
        Command::EditService => ip_vs_edit_service(cx, netns, service),
        Command::DeleteService => ip_vs_del_service(cx, netns, key),
        Command::AddServer => ip_vs_add_dest(cx, netns, key, dest),
        Command::EditServer => ip_vs_edit_dest(cx, netns, key, dest),
        Command::DeleteServer => ip_vs_del_dest(cx, netns, key, (dest.addr, dest.port)),
        Command::Set => ip_vs_set_timeout(cx, netns, options.timeouts),
        Command::Zero => ip_vs_zero(cx, netns, options.has("service-address").then_some(key)),
        Command::Flush => {
            ip_vs_flush(cx, netns);
            Ok(())
        }
        Command::List | Command::Save | Command::Restore | Command::Help | Command::Version => Ok(()),
    }
}

/// What the kernel's refusal means (`ipvs_strerror`).
fn refused(command: Command, errno: Errno, of_service: bool) -> Stop {
    let of_dest = matches!(command, Command::AddServer | Command::EditServer | Command::DeleteServer);
    let text = match (errno, of_dest) {
        (Errno::EEXIST, false) => "Service already exists",
        (Errno::EEXIST, true) => "Destination already exists",
        (Errno::ENOENT, false) => "Scheduler or persistence engine not found",
        (Errno::ENOENT, true) => "No such destination",
        (Errno::ESRCH, true) => "Service not defined",
        (Errno::ESRCH, false) if of_service => "No such service",
        (Errno::EINVAL, _) => "Invalid operation.  Possibly wrong module version, address not unicast, ...",
        _ => errno.strerror(),
    };
    Stop::error(FAILED, format!("{text}\n"))
}

fn list(process: &mut Process, options: &Options, hosts: &Hosts) -> Done {
    let (netns, key) = (process.netns, options.service.key);
    let text = process.syscall(|cx| {
        let lister = Lister::new(cx.k, netns, hosts, options);
        let services = &cx.k.ip_vs.services;
        if options.command == Command::Save {
            return Some(lister.save());
        }
        if options.has("connection") {
            return Some(lister.connections(cx.now));
        }
        if options.has("timeout") {
            let proto = cx.k.ip_vs.net(netns).map(|net| net.proto.clone()).unwrap_or_default();
            let tcp = [TCP_S_ESTABLISHED, TCP_S_FIN_WAIT].map(|state| proto.tcp[usize::from(state)]);
            let [tcp, tcpfin, udp] = [tcp[0], tcp[1], proto.udp].map(|timeout| timeout.0 / 1_000_000_000);
            return Some(format!("Timeout (tcp tcpfin udp): {tcp} {tcpfin} {udp}\n"));
        }
        if !options.has("service-address") {
            return Some(lister.list_all());
        }
        let found = services.find(netns, key).and_then(|id| Some((id, services.svc(id)?)));
        found.map(|(id, svc)| lister.list_service(id, svc))
    });
    match text {
        Some(text) => process.print(text),
        None => return Err(Stop::error(1, "No such service\n")),
    }
    Ok(())
}
