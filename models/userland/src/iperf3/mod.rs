//! `iperf3` 3.12: streams of TCP or UDP from the client to the server or back, a line an interval.
//!
//! Not modelled: `-Z` and other options that are refused by name, jitter, the CPU's load. Client and server speak the real
//! tool's states over their control connection; of the parameters and results only what they use is in the JSON.

mod client;
mod json;
mod options;
mod report;
mod server;
mod test;

use std::net::Ipv4Addr;

use glassnet_kernel::netlink::Errno;
use glassnet_sim::Nanos;

use crate::hosts::Hosts;
use crate::process::{Process, Running, Woken};
use crate::sock::Sock;
use crate::stream::BUFSIZE;
use test::{Count, Test};

/// States of a test on the control connection.
const TEST_START: u8 = 1;
const TEST_RUNNING: u8 = 2;
const TEST_END: u8 = 4;
const PARAM_EXCHANGE: u8 = 9;
const CREATE_STREAMS: u8 = 10;
const EXCHANGE_RESULTS: u8 = 13;
const DISPLAY_RESULTS: u8 = 14;
const IPERF_DONE: u8 = 16;
/// Length of the cookie, bytes.
const COOKIE: usize = 37;
/// First datagram of a UDP stream, and its reply.
const UDP_CONNECT: &[u8; 4] = b"9876";
const UDP_ANSWER: &[u8; 4] = b"6789";

/// An error, printed after `iperf3: error - `.
type Failure = String;

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let options = match options::parse(process.args()) {
            Ok(options) => options,
            Err(message) => {
                process.eprint(format!("{message}Try `iperf3 --help' for more information.\n"));
                return 1;
            }
        };
        let outcome = if options.server {
            server::run(process, &options).await
        } else {
            client::run(process, &options).await
        };
        match outcome {
            Ok(()) => 0,
            Err(failure) => {
                process.eprint(format!("iperf3: error - {failure}\n"));
                1
            }
        }
    })
}

async fn resolve(process: &mut Process, host: &str) -> Result<Ipv4Addr, Failure> {
    let found = Hosts::read(process).await.address(process, host).await;
    found.map_err(|gai| format!("unable to connect to server: {}", gai.text()))
}

/// The control connection.
struct Control {
    socket: Sock,
    received: Vec<u8>,
}

impl Control {
    fn new(socket: Sock) -> Control {
        Control { socket, received: Vec::new() }
    }

    async fn send(&self, process: &mut Process, bytes: &[u8]) -> Result<(), Failure> {
        match self.socket.write_all(process, bytes, None).await {
            Woken::Ready(Ok(())) => Ok(()),
            Woken::Ready(Err(errno)) => Err(broken(errno)),
            Woken::Elapsed | Woken::Signal(_) => Err("interrupted".to_owned()),
        }
    }

    async fn state(&mut self, process: &mut Process, wanted: u8) -> Result<(), Failure> {
        let got = self.take(process, 1).await?;
        if got == [wanted] { Ok(()) } else { Err("unknown control message".to_owned()) }
    }

    /// Whether the other side sent this state. Does not wait.
    fn ended(&mut self, state: u8) -> Result<bool, Failure> {
        match self.socket.read(1) {
            Ok(Some(bytes)) if bytes.is_empty() => Err("control socket has closed unexpectedly".to_owned()),
            Ok(Some(bytes)) => Ok(bytes == [state]),
            Ok(None) => Ok(false),
            Err(errno) => Err(broken(errno)),
        }
    }

    async fn take(&mut self, process: &mut Process, len: usize) -> Result<Vec<u8>, Failure> {
        while self.received.len() < len {
            match self.socket.read(BUFSIZE) {
                Ok(Some(bytes)) if bytes.is_empty() => {
                    return Err("control socket has closed unexpectedly".to_owned());
                }
                Ok(Some(bytes)) => self.received.extend(bytes),
                Ok(None) => {
                    if !matches!(self.socket.wait(process, None).await, Woken::Ready(())) {
                        return Err("interrupted".to_owned());
                    }
                }
                Err(errno) => return Err(broken(errno)),
            }
        }
        Ok(self.received.drain(..len).collect())
    }

    /// Sends JSON after its length.
    async fn send_json(&self, process: &mut Process, json: &str) -> Result<(), Failure> {
        self.send(process, &(json.len() as u32).to_be_bytes()).await?;
        self.send(process, json.as_bytes()).await
    }

    async fn take_json(&mut self, process: &mut Process) -> Result<String, Failure> {
        let len = self.take(process, 4).await?;
        let len = len.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)).min(1 << 16);
        Ok(String::from_utf8_lossy(&self.take(process, len).await?).into_owned())
    }
}

fn broken(errno: Errno) -> Failure {
    format!("unable to send control message: {}", errno.strerror())
}

/// What each stream sent or received, and how long the test was, by the results of the other side.
fn results(json: &str) -> (Vec<Count>, Nanos) {
    let value = |part: &str, name: &str| number(part, name).unwrap_or(0.0);
    let streams = json.split("{\"id\":").skip(1);
    let count = |part: &str| Count {
        bytes: value(part, "bytes") as u64,
        datagrams: value(part, "packets") as u64,
        retransmits: value(part, "retransmits") as u32,
    };
    let span = Nanos((value(json, "end_time") * 1e9) as u64);
    (streams.map(count).collect(), span)
}

/// The results of this side.
fn results_json(test: &Test<'_>) -> String {
    let end = test.span().as_secs_f64();
    let stream = |at: usize| {
        let (id, count) = (if at == 0 { 1 } else { at + 2 }, test.counted(at));
        format!(
            "{{\"id\":{id},\"bytes\":{},\"retransmits\":{},\"jitter\":0,\"errors\":0,\"packets\":{},\"start_time\":0,\
             \"end_time\":{end}}}",
            count.bytes, count.retransmits, count.datagrams
        )
    };
    let streams: Vec<String> = (0..test.streams.len()).map(stream).collect();
    format!(
        "{{\"cpu_util_total\":0,\"cpu_util_user\":0,\"cpu_util_system\":0,\"sender_has_retransmits\":{},\"streams\":[{}]}}",
        u8::from(test.sends && !test.params.udp),
        streams.join(",")
    )
}

/// A number in flat JSON.
fn number(json: &str, name: &str) -> Option<f64> {
    let rest = &json[json.find(&format!("\"{name}\":"))? + name.len() + 3..];
    let end = rest.find([',', '}']).unwrap_or(rest.len());
    rest[..end].trim().parse().ok()
}
