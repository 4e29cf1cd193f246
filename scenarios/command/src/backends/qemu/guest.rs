//! The first process of a guest: it makes the machine ready, plays one lesson under the function tracer and switches off.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::functions::PAUSE;
use glassnet_scenarios::lesson::Lesson;
use glassnet_scenarios::plan::Plan;
use nix::unistd::{Pid, getpid};

use super::cards::Card;
use super::tracer::{self, Tracer};
use super::{ALL, AVAILABLE, JOB, JOB_TAG, Job, STATUS, TRACE};
use crate::backends::guest::{FOLDER, link_streams, mount_kind, no_fallback_tunnels, switch_off};
use crate::backends::host::{Host, Quiet};

/// Argument of the first process.
pub(super) const NAME: &str = "glassnet-traced-guest";

/// Modules that have functions of the table. Having them loaded does nothing: they wait for devices, rules or disciplines.
const MODULES: [&str; 58] = [
    "8021q",
    "pktgen",
    "veth",
    "dummy",
    "bonding",
    "macvlan",
    "ipvlan",
    "vrf",
    "vxlan",
    "geneve",
    "ipip",
    "ip_gre",
    "tun",
    "bridge",
    "igb",
    "e1000e",
    "ne2k-pci",
    "sch_htb",
    "sch_tbf",
    "sch_prio",
    "sch_netem",
    "sch_fq",
    "sch_ingress",
    "cls_flower",
    "cls_fw",
    "cls_matchall",
    "cls_u32",
    "act_gact",
    "act_mirred",
    "act_police",
    "act_skbedit",
    "act_vlan",
    "ifb",
    "nf_conntrack",
    "nf_nat",
    "nf_tables",
    "nft_chain_nat",
    "ip_tables",
    "iptable_filter",
    "iptable_nat",
    "iptable_mangle",
    "nf_dup_ipv4",
    "nf_reject_ipv4",
    "xt_MASQUERADE",
    "ip_vs",
    "ip_vs_rr",
    "ip_vs_wrr",
    "ip_vs_lc",
    "ip_vs_wlc",
    "ip_vs_sed",
    "ip_vs_nq",
    "ip_vs_fo",
    "ip_vs_ovf",
    "ip_vs_dh",
    "ip_vs_sh",
    "ip_vs_mh",
    "ip_vs_lblc",
    "ip_vs_lblcr",
];

/// Modules that act once they are loaded: they are when a lesson names them.
const ACTING: [&str; 4] = ["br_netfilter", "nf_conntrack_ftp", "nf_nat_ftp", "openvswitch"];

/// Runs the first process of a guest, if this is it.
pub fn reentered() -> Option<ExitCode> {
    if std::env::args_os().nth(1)? != NAME || getpid() != Pid::from_raw(1) {
        return None;
    }
    if let Err(error) = first_process(Path::new(FOLDER)) {
        eprintln!("glassnet guest: {error}");
        // Where the folder of the job is not there, the console has it.
        let _ = fs::write(Path::new(FOLDER).join(STATUS), error.to_string());
    }
    let Err(error) = switch_off();
    eprintln!("glassnet guest: cannot switch off: {error}");
    Some(ExitCode::FAILURE)
}

fn first_process(folder: &Path) -> Result<(), BackendError> {
    let failed = BackendError::failed;
    mounts(folder)?;
    let job = fs::read(folder.join(JOB)).map_err(failed("cannot read the job"))?;
    let job: Job =
        serde_json::from_slice(&job).map_err(io::Error::from).map_err(failed("cannot understand the job"))?;
    let lesson = Lesson::parse(&job.lesson, job.source.clone())
        .map_err(|error| BackendError::Plan(error.to_string()))?;
    let plan = Plan::from(&lesson);
    no_fallback_tunnels()?;
    modules(&job.modules, &job.source)?;
    let tracer = play(&plan, &job.cards)?;
    let write = |name: &'static str, text: &str| fs::write(folder.join(name), text).map_err(failed(name));
    write(AVAILABLE, &tracer.available)?;
    write(TRACE, &tracer.finish()?)?;
    ACTING.iter().try_for_each(|module| modprobe(module))?;
    write(ALL, &tracer::available()?)?;
    write(STATUS, "")
}

/// Runs the lesson; the tracer has seen it.
fn play(plan: &Plan, cards: &[Card]) -> Result<Tracer, BackendError> {
    let helper = std::env::current_exe().map_err(BackendError::failed("cannot find this program"))?;
    let host = Host { helper, prompt_timeout: Duration::from_secs(120), blind: None };
    cards.iter().try_for_each(|card| modprobe(&card.module))?;
    // Before the machines start: what waits in a system call then was seen to enter it.
    let tracer = Tracer::start()?;
    let mut machines = Quiet::start(&host, plan)?;
    cards.iter().try_for_each(|card| plug(card, &machines))?;
    let pause = || {
        std::thread::sleep(PAUSE);
        Ok(())
    };
    machines.play(|number| tracer.begin(number), pause)?;
    // Before the machines end.
    tracer.stop()?;
    Ok(tracer)
}

/// Gives a machine its card.
fn plug(card: &Card, machines: &Quiet<'_>) -> Result<(), BackendError> {
    let failed = || BackendError::failed(format!("no card {}", card.address));
    let has_address = |name: &OsString| {
        let address = fs::read_to_string(Path::new("/sys/class/net").join(name).join("address"));
        address.is_ok_and(|address| address.trim() == card.address)
    };
    let devices = fs::read_dir("/sys/class/net").map_err(failed())?.flatten().map(|entry| entry.file_name());
    let device = devices.into_iter().find(has_address);
    let device = device.ok_or_else(|| failed()(io::Error::other("its driver did not find it")))?;
    let pid = machines.pid(&card.machine).unwrap_or_default().to_string();
    let device = device.to_string_lossy();
    run("ip", &["link", "set", &device, "netns", &pid, "name", &card.name])?;
    match card.rx_ring {
        Some(ring) => machines.run(&card.machine, &["ethtool", "-G", &card.name, "rx", &ring.to_string()]),
        None => Ok(()),
    }
}

/// Loads the modules with functions of the table.
fn modules(folder: &Path, source: &str) -> Result<(), BackendError> {
    let place = Path::new("/lib/modules").join(folder.file_name().unwrap_or_default());
    let failed = || BackendError::failed("cannot prepare /lib/modules");
    fs::create_dir_all(&place).map_err(failed())?;
    nix::mount::mount(Some(folder), &place, None::<&str>, nix::mount::MsFlags::MS_BIND, None::<&str>)
        .map_err(io::Error::from)
        .map_err(failed())?;
    let acting = ACTING.iter().filter(|module| source.contains(**module));
    MODULES.iter().chain(acting).try_for_each(|module| modprobe(module))
}

fn modprobe(module: &str) -> Result<(), BackendError> {
    run("modprobe", &[module])
}

fn run(program: &str, arguments: &[&str]) -> Result<(), BackendError> {
    let command = format!("{program} {}", arguments.join(" "));
    let out = Command::new(program).args(arguments).output();
    let out = out.map_err(BackendError::failed(format!("cannot run {program}")))?;
    if out.status.success() {
        return Ok(());
    }
    let output = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).trim().to_owned();
    Err(BackendError::Command { command, output })
}

fn mounts(folder: &Path) -> Result<(), BackendError> {
    for (kind, at) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/run")] {
        mount_kind(kind, at, kind, "")?;
    }
    for at in [Path::new("/dev/pts"), folder, Path::new("/run/netns")] {
        fs::create_dir(at).map_err(BackendError::failed("cannot prepare /dev"))?;
    }
    link_streams()?;
    mount_kind("devpts", "/dev/pts", "devpts", "")?;
    mount_kind("9p", FOLDER, JOB_TAG, "trans=virtio,version=9p2000.L,msize=262144")
}
