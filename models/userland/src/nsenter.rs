//! `nsenter` of util-linux 2.38, for network namespaces: `--net=PATH`, `-nPATH`, and `-t PID -n`.

use glassnet_kernel::Kernel;
use glassnet_kernel::ids::NetnsId;
use glassnet_kernel::kernel::INIT_NET;

use crate::process::{Process, Running};
use crate::stop::{Done, Stop};
use crate::timeout::not_run;

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(run(process))
}

/// Options.
#[derive(Default)]
struct Request {
    target: Option<String>,
    /// `-n`, with the path if one is attached.
    net: Option<Option<String>>,
    command: Vec<String>,
}

const TRY: &str = "Try 'nsenter --help' for more information.\n";

async fn run(process: &mut Process) -> i32 {
    let request = match parse(process.args()) {
        Ok(request) => request,
        Err(stop) => return stop.say(process),
    };
    let netns = match find(process, &request) {
        Ok(netns) => netns,
        Err(text) => {
            process.eprint(format!("nsenter: {text}\n"));
            return 1;
        }
    };
    if request.command.is_empty() {
        process.eprint("not modelled yet: nsenter without a command\n");
        return 2;
    }
    let name = &request.command[0];
    if let Err(error) = process.find(name).await {
        process.eprint(format!("nsenter: failed to execute {name}: {error}\n"));
        return not_run(&error);
    }
    process.spawn(netns, request.command).await
}

fn parse(args: &[String]) -> Done<Request> {
    let mut request = Request::default();
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--" => break,
            "-t" | "--target" => {
                let missing = || format!("nsenter: option requires an argument -- 't'\n{TRY}");
                request.target = Some(words.next().ok_or_else(|| Stop::error(1, missing()))?.clone());
            }
            "-n" | "--net" => request.net = Some(None),
            word if word.starts_with("--target=") => request.target = Some(word[9..].to_owned()),
            word if word.starts_with("--net=") => request.net = Some(Some(word[6..].to_owned())),
            word if word.starts_with("-n") => request.net = Some(Some(word[2..].to_owned())),
            "-V" | "--version" => return Err(Stop::error(0, "nsenter from util-linux 2.38.1\n")),
            word if word.starts_with("--") || word.starts_with('-') && word.len() > 1 => {
                return Err(Stop::error(2, format!("not modelled yet: nsenter {word}\n")));
            }
            word => {
                request.command.push(word.to_owned());
                break;
            }
        }
    }
    request.command.extend(words.cloned());
    Ok(request)
}

/// The namespace of a process.
fn of_pid(kernel: &Kernel, pid: u32) -> Option<NetnsId> {
    if pid == 1 { Some(INIT_NET) } else { kernel.tasks.get(&pid).copied() }
}

/// The namespace that a file stands for.
pub(crate) fn netns_by_path(process: &Process, path: &str) -> Option<NetnsId> {
    let world = process.world();
    let kernel = world.kernel(process.machine);
    let name = path.strip_prefix("/run/netns/").or_else(|| path.strip_prefix("/var/run/netns/"));
    if let Some(name) = name {
        return kernel.netns_names.get(name).copied();
    }
    match path.strip_prefix("/proc/")?.strip_suffix("/ns/net")? {
        "self" => Some(process.netns),
        pid => of_pid(kernel, pid.parse().ok()?),
    }
}

/// The requested namespace; without `-n` the present one.
fn find(process: &Process, request: &Request) -> Result<NetnsId, String> {
    let world = process.world();
    let kernel = world.kernel(process.machine);
    let cannot_open = |path: &str| format!("cannot open {path}: No such file or directory");
    match (&request.net, &request.target) {
        (None, None) => Ok(process.netns),
        (None, Some(_)) => Ok(process.netns),
        (Some(Some(path)), _) => {
            drop(world);
            netns_by_path(process, path).ok_or_else(|| cannot_open(path))
        }
        (Some(None), Some(pid)) => {
            let number = pid.parse().map_err(|_| format!("failed to parse pid: '{pid}'"))?;
            of_pid(kernel, number).ok_or_else(|| cannot_open(&format!("/proc/{pid}/ns/net")))
        }
        (Some(None), None) => Err("neither filename nor target pid supplied for ns/net".to_owned()),
    }
}
