//! `tracepath` of iputils 20221126: the path and its MTU, with UDP probes that must not be fragmented.
//!
//! Not modelled: IPv6, and routers that return a changed payload.

use std::net::{IpAddr, Ipv4Addr};

use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::socket::{PmtuDisc, SockError, SockKind};
use glassnet_sim::Nanos;

use crate::getopt;
use crate::hosts::Hosts;
use crate::ping::integer;
use crate::process::{Process, Running};
use crate::sock::Sock;
use crate::stop::{Done, Stop};

const USAGE: &str = "
Usage
  tracepath [options] <destination>

Options:
  -4             use IPv4
  -6             use IPv6
  -b             print both name and ip
  -l <length>    use packet <length>
  -m <hops>      use maximum <hops>
  -n             no dns name resolution
  -p <port>      use destination <port>
  -V             print version and exit
  <destination>  dns name or ip address

For more details see tracepath(8).
";

const VERSION: &str = "tracepath from iputils 20221126
libcap: yes, IDN: yes, NLS: no, error.h: yes, getrandom(): yes, __fpending(): yes
";

/// Bytes of the IPv4 and UDP headers.
const OVERHEAD: usize = 28;
/// Number of recorded probes, one per port.
const HISTORY: usize = 64;
/// Number of attempts to send a probe.
const TRIES: usize = 10;
/// Width of the host column.
const HOST_COLUMNS: usize = 52;
const USAGE_STATUS: i32 = 255;
/// Greater than any packet, bytes.
const LONGEST: usize = 66_000;

fn error<T>(status: i32, text: &str) -> Done<T> {
    Err(Stop::error(status, format!("tracepath: {text}\n")))
}

struct Options {
    target: String,
    numeric: bool,
    both: bool,
    length: usize,
    hops: u8,
    port: u16,
}

/// Result of a probe (`progress` of tracepath).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// No reply.
    Silent,
    /// A reply; the trace continues.
    Next,
    /// The trace ends.
    Done,
}

struct State {
    options: Options,
    hosts: Hosts,
    socket: Sock,
    to: Ipv4Addr,
    mtu: usize,
    ttl: u8,
    history: [Option<(u8, Nanos)>; HISTORY],
    slot: usize,
    hops_to: Option<u8>,
    hops_back: Option<i32>,
}

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move { tracepath(process).await.map_or_else(|stop| stop.say(process), |()| 0) })
}

fn parse(args: &[String]) -> Done<Options> {
    let parsed = getopt::parse(args, "46nbh?l:m:p:V", &[]);
    let mut options = Options {
        target: String::new(),
        numeric: false,
        both: false,
        length: 65_535,
        hops: 30,
        port: 44_444,
    };
    let number = |text: &str, least, most| integer(text, least, most).or_else(|reason| error(1, &reason));
    for opt in &parsed.options {
        match opt.name.as_str() {
            "4" => {}
            "6" => return error(2, "not modelled yet: -6"),
            "n" => options.numeric = true,
            "b" => options.both = true,
            "l" => options.length = number(&opt.value, 0, i32::MAX.into())? as usize,
            "m" => options.hops = number(&opt.value, 0, 255)? as u8,
            "p" => options.port = number(&opt.value, 0, 65_535)? as u16,
            "V" => return Err(Stop::shown(VERSION)),
            _ => return Err(Stop::error(USAGE_STATUS, USAGE)),
        }
    }
    if let Some(text) = parsed.error {
        return error(USAGE_STATUS, &format!("{text}\n{}", USAGE.trim_end_matches('\n')));
    }
    let [target] = parsed.operands.as_slice() else {
        return Err(Stop::error(USAGE_STATUS, USAGE));
    };
    if options.length <= OVERHEAD {
        return error(1, &format!("pktlen must be within: {OVERHEAD} < value <= {}", i32::MAX));
    }
    options.target = target.clone();
    Ok(options)
}

async fn tracepath(process: &mut Process) -> Done {
    let options = parse(process.args())?;
    let hosts = Hosts::read(process).await;
    let to = match hosts.address(process, &options.target).await {
        Ok(address) => address,
        Err(gai) => return error(1, &format!("{}: {}", options.target, gai.text())),
    };
    let socket = Sock::open(process, SockKind::Udp);
    socket.set(|opts| (opts.pmtudisc, opts.recverr) = (PmtuDisc::Do, true));
    let mtu = options.length;
    let history = [None; HISTORY];
    let state =
        State { options, hosts, socket, to, mtu, ttl: 1, history, slot: 0, hops_to: None, hops_back: None };
    state.run(process).await;
    Ok(())
}

impl State {
    async fn run(mut self, process: &mut Process) {
        if !self.trace(process).await {
            process.print(format!("     Too many hops: pmtu {}\n", self.mtu));
        }
        let mut line = format!("     Resume: pmtu {} ", self.mtu);
        if let Some(hops) = self.hops_to {
            line += &format!("hops {hops} ");
        }
        if let Some(hops) = self.hops_back {
            line += &format!("back {hops} ");
        }
        process.print(line + "\n");
    }

    /// Traces hop by hop; false after the last hop.
    async fn trace(&mut self, process: &mut Process) -> bool {
        for ttl in 1..=self.options.hops {
            self.ttl = ttl;
            self.socket.set(|opts| opts.ttl = Some(ttl));
            let mut tries = 0;
            let mut answer = Progress::Silent;
            while tries < 3 {
                let before = self.mtu;
                answer = self.probe(process).await;
                if self.mtu != before {
                    tries = 0;
                    continue;
                }
                match answer {
                    Progress::Done => return true,
                    Progress::Next => break,
                    Progress::Silent => tries += 1,
                }
            }
            if answer == Progress::Silent {
                process.print(format!("{ttl:2}:  no reply\n"));
            }
        }
        false
    }

    /// Sends a probe and waits for its result.
    async fn probe(&mut self, process: &mut Process) -> Progress {
        let mut tries = 0;
        let sent = loop {
            if tries == TRIES {
                break false;
            }
            let now = process.now();
            self.history[self.slot] = Some((self.ttl, now));
            let port = self.options.port.wrapping_add(self.slot as u16);
            if self.socket.send_to(self.to, port, &self.payload(now)).is_ok() {
                break true;
            }
            let answer = self.errors(process).await;
            self.history[self.slot] = None;
            match answer {
                Progress::Done => return Progress::Done,
                Progress::Next => tries = 0,
                Progress::Silent => tries += 1,
            }
        };
        self.slot = (self.slot + 1) % HISTORY;
        if !sent {
            process.print(format!("{:2}:  send failed\n", self.ttl));
            return Progress::Done;
        }
        let deadline = process.now() + Nanos::from_secs(1);
        self.socket.wait(process, Some(deadline)).await;
        if self.socket.has_message() {
            process.print(format!("{:2}?: reply received 8)\n", self.ttl));
            return Progress::Done;
        }
        self.errors(process).await
    }

    /// Payload: TTL and time, then zeros.
    fn payload(&self, now: Nanos) -> Vec<u8> {
        // The kernel refuses longer packets.
        let mut data = vec![0; (self.mtu - OVERHEAD).min(LONGEST)];
        let mut header = u64::from(self.ttl).to_le_bytes().to_vec();
        header.extend((now.0 / 1_000_000_000).to_le_bytes());
        header.extend((now.0 % 1_000_000_000).to_le_bytes());
        let length = header.len().min(data.len());
        data[..length].copy_from_slice(&header[..length]);
        data
    }

    /// Prints all queued errors.
    async fn errors(&mut self, process: &mut Process) -> Progress {
        let mut progress = Progress::Silent;
        while let Some(error) = self.socket.receive_error() {
            progress = Progress::Next;
            let now = process.now();
            if error.from_icmp && (!self.options.numeric || self.options.both) {
                // Without a name it is printed as a number.
                let _ = self.hosts.learn(process, error.offender).await;
            }
            if self.error(process, &error, now) {
                return Progress::Done;
            }
        }
        progress
    }

    /// Prints one error; true if it ends the trace.
    fn error(&mut self, process: &mut Process, error: &SockError, now: Nanos) -> bool {
        let slot = usize::from(error.to.1.wrapping_sub(self.options.port));
        // A local error has no address.
        let probe = self.history.get_mut(slot).filter(|_| error.from_icmp).and_then(Option::take);
        let sent_hops = probe.map(|probe| probe.0);
        let mut line = match (error.from_icmp, sent_hops) {
            (false, _) => format!("{:2}?: {:<32} ", self.ttl, "[LOCALHOST]"),
            (true, Some(hops)) => format!("{hops:2}:  {}", self.host(error.offender)),
            (true, None) => format!("{:2}?: {}", self.ttl, self.host(error.offender)),
        };
        if let Some((_, sent)) = probe {
            let took = now.since(sent).0;
            line += &format!("{:3}.{:03}ms ", took / 1_000_000, took % 1_000_000 / 1000);
        }
        let ttl = i32::from(error.ttl);
        let back = match ttl {
            ..=64 => 65 - ttl,
            65..=128 => 129 - ttl,
            _ => 256 - ttl,
        };
        let (text, ends) = self.outcome(error, sent_hops, back);
        process.print(line + &text + "\n");
        ends
    }

    fn outcome(&mut self, error: &SockError, sent_hops: Option<u8>, back: i32) -> (String, bool) {
        match error.errno {
            Errno::ETIMEDOUT => (String::new(), false),
            Errno::EMSGSIZE => {
                self.mtu = (error.info as usize).max(OVERHEAD + 1);
                (format!("pmtu {}", error.info), false)
            }
            Errno::ECONNREFUSED => {
                self.hops_to = Some(sent_hops.unwrap_or(self.ttl));
                self.hops_back = Some(back);
                ("reached".to_owned(), true)
            }
            Errno::EPROTO => ("!P".to_owned(), true),
            Errno::EHOSTUNREACH if error.from_icmp && (error.kind, error.code) == (11, 0) => {
                let expected = i32::from(sent_hops.unwrap_or(self.ttl));
                (if back == expected { String::new() } else { format!("asymm {back:2} ") }, false)
            }
            Errno::EHOSTUNREACH => ("!H".to_owned(), true),
            Errno::ENETUNREACH => ("!N".to_owned(), true),
            Errno::EACCES => ("!A".to_owned(), true),
            errno => (format!("\ntracepath: NET ERROR: {}", errno.strerror()), true),
        }
    }

    fn host(&self, address: Ipv4Addr) -> String {
        let name = self.hosts.name(IpAddr::V4(address)).unwrap_or("???").to_owned();
        let digits = address.to_string();
        let text = match (self.options.numeric, self.options.both) {
            (true, true) => format!("{digits} ({name})"),
            (true, false) => digits,
            (false, true) => format!("{name} ({digits})"),
            (false, false) => name,
        };
        let columns = text.len().min(HOST_COLUMNS - 1);
        text + &" ".repeat(HOST_COLUMNS - columns)
    }
}
