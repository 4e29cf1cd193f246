//! `python3 -m http.server`: the command line and the loop.

use std::net::Ipv4Addr;

use glassnet_kernel::netlink::Errno;

use crate::getopt::{self, Long, Takes};
use crate::hosts::Hosts;
use crate::process::{Process, Signal, Woken};
use crate::sock::{Sock, readable};
use crate::stream::writable;

use super::connection::{Connection, Next};

const USAGE: &str = "usage: server.py [-h] [--cgi] [-b ADDRESS] [-d DIRECTORY] [-p VERSION] [port]\n";
const HELP: &str = "
positional arguments:
  port                  bind to this port (default: 8000)

options:
  -h, --help            show this help message and exit
  --cgi                 run as CGI server
  -b ADDRESS, --bind ADDRESS
                        bind to this address (default: all interfaces)
  -d DIRECTORY, --directory DIRECTORY
                        serve this directory (default: current directory)
  -p VERSION, --protocol VERSION
                        conform to this HTTP version (default: HTTP/1.0)
";
const LONG: &[Long] = &[
    ("help", Takes::Nothing, "h"),
    ("cgi", Takes::Nothing, "cgi"),
    ("bind", Takes::Value, "b"),
    ("directory", Takes::Value, "d"),
    ("protocol", Takes::Value, "p"),
];
/// Backlog of listen(2) (`request_queue_size`).
const BACKLOG: usize = 5;

struct Options {
    bind: Option<String>,
    directory: Option<String>,
    port: u16,
}

/// Runs the server until a signal arrives.
pub async fn main(process: &mut Process, args: &[&str]) -> i32 {
    let options = match parse(process, args) {
        Ok(options) => options,
        Err(status) => return status,
    };
    let address = match &options.bind {
        None => Ipv4Addr::UNSPECIFIED,
        Some(bind) => match Hosts::read(process).await.address(process, bind).await {
            Ok(address) => address,
            Err(gai) => {
                process.eprint(format!(
                    "{TRACEBACK_HEAD}{TRACEBACK_NAME}socket.gaierror: [Errno {}] {}\n",
                    gai.number(),
                    gai.text()
                ));
                return 1;
            }
        },
    };
    let socket = Sock::stream(process);
    socket.set(|opts| opts.reuseaddr = true);
    if let Err(errno) = socket.bind(address, options.port) {
        process.eprint(traceback(errno));
        return 1;
    }
    ask_own_name(process, address).await;
    if let Err(errno) = socket.listen(BACKLOG) {
        process.eprint(traceback(errno));
        return 1;
    }
    let (address, port) = socket.local();
    process.print(format!("Serving HTTP on {address} port {port} (http://{address}:{port}/) ...\n"));
    process.signals.catch(Signal::INT);
    let root = options.directory.map_or_else(|| process.cwd.clone(), |directory| process.path(&directory));
    serve(process, &socket, &root).await;
    process.print("\nKeyboard interrupt received, exiting.\n");
    0
}

/// Asks what the server's name is (`socket.getfqdn`), of which nothing shows but the time that it takes: before, nobody is listened to.
async fn ask_own_name(process: &mut Process, address: Ipv4Addr) {
    let name = match address.is_unspecified() {
        true => process.world().kernel(process.machine).hostname.clone(),
        false => address.to_string(),
    };
    let mut hosts = Hosts::read(process).await;
    if let Ok(address) = hosts.address(process, &name).await {
        // Without an answer the server goes by its address.
        _ = hosts.learn(process, address).await;
    }
}

fn parse(process: &mut Process, args: &[&str]) -> Result<Options, i32> {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let parsed = getopt::parse(&args, "hb:d:p:", LONG);
    let mut options = Options { bind: None, directory: None, port: 8000 };
    let mut refuse = |text: String| {
        process.eprint(format!("{USAGE}server.py: error: {text}\n"));
        2
    };
    for option in parsed.options {
        match option.name.as_str() {
            "b" => options.bind = Some(option.value),
            "d" => options.directory = Some(option.value),
            "h" => {
                process.print(format!("{USAGE}{HELP}"));
                return Err(0);
            }
            other => return Err(refuse(format!("not modelled yet: {other}"))),
        }
    }
    if parsed.error.is_some() {
        let unknown = args.iter().find(|arg| arg.starts_with('-')).cloned().unwrap_or_default();
        return Err(refuse(format!("unrecognized arguments: {unknown}")));
    }
    if let Some(port) = parsed.operands.first() {
        match port.parse::<i64>() {
            Ok(port) => options.port = port as u16,
            Err(_) => return Err(refuse(format!("argument port: invalid int value: '{port}'"))),
        }
    }
    match parsed.operands.get(1..) {
        Some(rest) if !rest.is_empty() => Err(refuse(format!("unrecognized arguments: {}", rest.join(" ")))),
        _ => Ok(options),
    }
}

/// Serves connections concurrently, as with threads.
async fn serve(process: &mut Process, socket: &Sock, root: &str) {
    let mut connections: Vec<Connection> = Vec::new();
    loop {
        while let Ok(Some(accepted)) = socket.accept() {
            connections.push(Connection::new(accepted));
        }
        let mut open = Vec::new();
        for mut connection in connections {
            if connection.advance(process, root).await == Next::Wait {
                open.push(connection);
            }
        }
        connections = open;
        let machine = socket.task.machine;
        let listener = socket.id;
        let waiting: Vec<_> = connections
            .iter()
            .filter(|open| open.ends_at.is_none())
            .map(|open| (open.socket.id, open.is_writing()))
            .collect();
        let deadline = connections.iter().filter_map(|open| open.ends_at).min();
        let woken = process
            .wait(deadline, move |world| {
                let ready = |&(id, writes): &(_, bool)| {
                    if writes { writable(world, machine, id) } else { readable(world, machine, id) }
                };
                (readable(world, machine, listener) || waiting.iter().any(ready)).then_some(())
            })
            .await;
        if matches!(woken, Woken::Signal(_)) {
            return;
        }
    }
}

const TRACEBACK_HEAD: &str = "Traceback (most recent call last):
  File \"<frozen runpy>\", line 198, in _run_module_as_main
  File \"<frozen runpy>\", line 88, in _run_code
  File \"/usr/lib/python3.11/http/server.py\", line 1309, in <module>
    test(
";
const TRACEBACK_NAME: &str = "  File \"/usr/lib/python3.11/http/server.py\", line 1254, in test
    ServerClass.address_family, addr = _get_best_family(bind, port)
                                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File \"/usr/lib/python3.11/http/server.py\", line 1237, in _get_best_family
    infos = socket.getaddrinfo(
            ^^^^^^^^^^^^^^^^^^^
  File \"/usr/lib/python3.11/socket.py\", line 962, in getaddrinfo
    for res in _socket.getaddrinfo(host, port, family, type, proto, flags):
               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
";
const TRACEBACK_BIND: &str = "  File \"/usr/lib/python3.11/http/server.py\", line 1256, in test
    with ServerClass(addr, HandlerClass) as httpd:
         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File \"/usr/lib/python3.11/socketserver.py\", line 456, in __init__
    self.server_bind()
  File \"/usr/lib/python3.11/http/server.py\", line 1303, in server_bind
    return super().server_bind()
           ^^^^^^^^^^^^^^^^^^^^^
  File \"/usr/lib/python3.11/http/server.py\", line 136, in server_bind
    socketserver.TCPServer.server_bind(self)
  File \"/usr/lib/python3.11/socketserver.py\", line 472, in server_bind
    self.socket.bind(self.server_address)
";

fn traceback(errno: Errno) -> String {
    format!("{TRACEBACK_HEAD}{TRACEBACK_BIND}OSError: [Errno {}] {}\n", errno.number(), errno.strerror())
}
