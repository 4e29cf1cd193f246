//! `/usr/share/openvswitch/scripts/ovs-ctl` 3.1.0: starts the daemons.
//!
//! Not modelled: other options, stopping and restarting, files of the database and of logs.

use std::sync::Arc;

use glassnet_kernel::Cx;
use glassnet_kernel::net::openvswitch::datapath::dp_init;

use super::vswitchd::{SOCKET, Service};
use crate::process::{Process, Running, Woken};

/// Options without effect on what is modelled.
const IGNORED: &[&str] = &["--no-mlockall", "--no-monitor", "--no-record-hostname", "--no-full-hostname"];

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let args = process.args().to_vec();
        let (options, words): (Vec<&String>, Vec<&String>) =
            args.iter().partition(|arg| arg.starts_with("--"));
        let is_known =
            |option: &&&String| IGNORED.contains(&option.as_str()) || option.starts_with("--system-id=");
        if let Some(option) = options.iter().find(|option| !is_known(option)) {
            process.eprint(format!("not modelled yet: ovs-ctl {option}\n"));
            return 1;
        }
        let has_id = options.iter().any(|option| option.starts_with("--system-id="));
        match words.iter().map(|word| word.as_str()).collect::<Vec<_>>().as_slice() {
            ["start"] => start(process, has_id).await,
            ["status"] => status(process),
            ["version"] => {
                process.print("ovsdb-server (Open vSwitch) 3.1.0\novs-vswitchd (Open vSwitch) 3.1.0\n");
                0
            }
            [] => {
                process.eprint("ovs-ctl: missing command name (use --help for help)\n");
                1
            }
            [word, ..] => {
                process.eprint(format!("not modelled yet: ovs-ctl {word}\n"));
                1
            }
        }
    })
}

fn is_running(cx: &Cx) -> bool {
    cx.k.unix.connect::<Service>(SOCKET).is_some()
}

async fn start(process: &mut Process, has_id: bool) -> i32 {
    if process.syscall(|cx| is_running(cx)) {
        process.print("ovsdb-server is already running.\novs-vswitchd is already running.\n");
        process.print("Enabling remote OVSDB managers.\n");
        return 0;
    }
    process.print("/etc/openvswitch/conf.db does not exist ... (warning).\n");
    process.print("Creating empty database /etc/openvswitch/conf.db.\nStarting ovsdb-server.\n");
    if !has_id {
        process.print("system ID not configured, please use --system-id ... failed!\n");
    }
    process.syscall(dp_init);
    process.print("Configuring Open vSwitch system IDs.\nStarting ovs-vswitchd.\n");
    let daemon = process.daemon(process.netns, vec!["ovs-vswitchd".to_owned()]);
    let shell: Arc<_> = process.shell.clone();
    shell.detach(daemon);
    let machine = process.machine;
    let ready = move |world: &mut glassnet_kernel::World| {
        world.kernel(machine).unix.connect::<Service>(SOCKET).map(|_| ())
    };
    if let Woken::Ready(()) = process.wait(None, ready).await {
        process.print("Enabling remote OVSDB managers.\n");
    }
    0
}

fn status(process: &mut Process) -> i32 {
    if process.syscall(|cx| is_running(cx)) {
        process.eprint("not modelled yet: process ids of ovsdb-server and ovs-vswitchd\n");
        return 1;
    }
    process.print("ovsdb-server is not running\novs-vswitchd is not running\n");
    1
}
