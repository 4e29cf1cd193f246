//! The client, which sends.

use glassnet_kernel::tables::socket::SockKind;
use glassnet_sim::Nanos;

use super::options::Options;
use super::report::{RULE, STREAM, bytes, head};
use super::{
    COOKIE, CREATE_STREAMS, Control, DISPLAY_RESULTS, EXCHANGE_RESULTS, Failure, IPERF_DONE, PARAM_EXCHANGE,
    TEST_END, TEST_RUNNING, TEST_START, UDP_CONNECT, number, resolve,
};
use crate::process::{Process, Woken};
use crate::sock::{Sock, random};
use crate::stream::writable;

/// Bytes per write, of TCP; a UDP datagram fits an Ethernet frame.
const TCP_LEN: usize = 131_072;
const UDP_LEN: usize = 1448;
/// Default rate of UDP, bits per second.
const UDP_RATE: u64 = 1 << 20;

/// State of a test.
struct Test<'o> {
    options: &'o Options,
    stream: Sock,
    began: Nanos,
    sent: u64,
    datagrams: u64,
    len: usize,
    rate: Option<u64>,
    /// Start of the interval: time, bytes, datagrams, retransmissions.
    interval: (Nanos, u64, u64, u32),
}

pub async fn run(process: &mut Process, options: &Options) -> Result<(), Failure> {
    let host = options.client.clone().unwrap_or_default();
    let server = resolve(process, &host).await?;
    let source = match &options.bind {
        Some(bind) => Some(resolve(process, bind).await?),
        None => None,
    };
    let control = connect(process, options, SockKind::Tcp, (server, source)).await?;
    process.print(format!("Connecting to host {host}, port {}\n", options.port));
    let mut control = Control::new(control);
    let cookie: Vec<u8> = (0..COOKIE).map(|at| if at + 1 < COOKIE { letter(process) } else { 0 }).collect();
    control.send(process, &cookie).await?;
    control.state(process, PARAM_EXCHANGE).await?;
    let protocol = if options.udp { "udp" } else { "tcp" };
    let json = format!("{{\"{protocol}\":true,\"omit\":0,\"time\":{},\"parallel\":1}}", options.time);
    control.send_json(process, &json).await?;
    control.state(process, CREATE_STREAMS).await?;
    let kind = if options.udp { SockKind::Udp } else { SockKind::Tcp };
    let stream = connect(process, options, kind, (server, source)).await?;
    let opening: &[u8] = if options.udp { UDP_CONNECT } else { &cookie };
    stream.write(opening).map_err(|errno| format!("unable to create a new stream: {}", errno.strerror()))?;
    if options.udp {
        stream.wait(process, None).await;
        _ = stream.receive();
    }
    control.state(process, TEST_START).await?;
    control.state(process, TEST_RUNNING).await?;
    let local = stream.local();
    let port = options.port;
    process.print(format!(
        "[{STREAM:3}] local {} port {} connected to {server} port {port}\n",
        local.0, local.1
    ));
    let columns = if options.udp { "Total Datagrams" } else { "Retr  Cwnd" };
    process.print(format!("[ ID] Interval           Transfer     Bitrate         {columns}\n"));
    let mut test = Test::new(process, options, stream);
    test.run(process).await;
    finish(process, &mut control, &test).await
}

fn letter(process: &Process) -> u8 {
    b"abcdefghijklmnopqrstuvwxyz234567"[random(process, 32) as usize]
}

async fn connect(
    process: &mut Process,
    options: &Options,
    kind: SockKind,
    (server, source): (std::net::Ipv4Addr, Option<std::net::Ipv4Addr>),
) -> Result<Sock, Failure> {
    let socket = Sock::open(process, kind);
    let failed =
        |errno: glassnet_kernel::netlink::Errno| format!("unable to connect to server: {}", errno.strerror());
    if let Some(source) = source {
        socket.bind(source, 0).map_err(failed)?;
    }
    socket.connect(server, options.port).map_err(failed)?;
    if kind == SockKind::Tcp {
        match socket.connected(process, None).await {
            Woken::Ready(outcome) => outcome.map_err(failed)?,
            Woken::Elapsed | Woken::Signal(_) => return Err("interrupted".to_owned()),
        }
    }
    Ok(socket)
}

impl<'o> Test<'o> {
    fn new(process: &Process, options: &'o Options, stream: Sock) -> Test<'o> {
        let len = options.len.unwrap_or(if options.udp { UDP_LEN } else { TCP_LEN });
        let rate = options.bitrate.or(options.udp.then_some(UDP_RATE)).filter(|rate| *rate > 0);
        let began = process.now();
        let interval = (began, 0, 0, 0);
        Test { options, stream, began, sent: 0, datagrams: 0, len, rate, interval }
    }

    fn is_done(&self, now: Nanos) -> bool {
        match self.options.bytes {
            Some(bytes) => self.sent >= bytes,
            None => now.since(self.began) >= Nanos::from_secs(self.options.time),
        }
    }

    /// When the next write is due.
    fn due(&self) -> Nanos {
        let span = self.rate.map_or(0, |rate| u128::from(self.sent) * 8_000_000_000 / u128::from(rate));
        self.began + Nanos(span as u64)
    }

    async fn run(&mut self, process: &mut Process) {
        let end = self.began + Nanos::from_secs(self.options.time);
        let block = vec![0; self.len];
        let mut room: &[u8] = &[];
        while !self.is_done(process.now()) {
            let next_line = self.interval.0 + Nanos::from_secs(1);
            if process.now() >= next_line {
                self.line(process, next_line);
                // Resets the world's limit of steps: this much traffic is no endless loop.
                process.world().reset_limit();
            }
            let mut deadline = next_line;
            if self.options.bytes.is_none() {
                deadline = deadline.min(end);
            }
            if self.due() > process.now() {
                let due = self.due().min(deadline);
                _ = process.wait::<()>(Some(due), |_| None).await;
                continue;
            }
            if room.is_empty() {
                room = &block;
            }
            match self.stream.wait_for_room(process, Some(deadline)).await {
                Woken::Ready(()) => {}
                Woken::Elapsed => continue,
                Woken::Signal(_) => return,
            }
            match self.stream.write(room) {
                Ok(0) => {
                    let (machine, id) = (self.stream.machine, self.stream.id);
                    let ready = move |world: &mut _| writable(world, machine, id).then_some(());
                    if let Woken::Signal(_) = process.wait(Some(deadline), ready).await {
                        return;
                    }
                }
                Ok(taken) => {
                    self.sent += taken as u64;
                    room = &room[taken..];
                    self.datagrams += u64::from(self.options.udp);
                }
                Err(_) => return,
            }
        }
        let now = process.now();
        if now > self.interval.0 {
            let until = if self.options.bytes.is_none() { end.min(now) } else { now };
            self.line(process, until);
        }
    }

    fn retransmits(&self, process: &Process) -> u32 {
        let world = process.world();
        let socket = world.kernel(process.machine).sockets.get(self.stream.id);
        socket.and_then(|socket| socket.tcp.as_ref()).map_or(0, |tp| tp.total_retrans)
    }

    fn line(&mut self, process: &mut Process, until: Nanos) {
        let (from, sent, datagrams, retransmits) = self.interval;
        let now_retransmits = self.retransmits(process);
        let head = head(from.since(self.began), until.since(self.began), self.sent - sent);
        let tail = if self.options.udp {
            format!("{}  ", self.datagrams - datagrams)
        } else {
            format!("{:3}   {}       ", now_retransmits - retransmits, bytes(65_536))
        };
        process.print(format!("{head}  {tail}\n"));
        self.interval = (until, self.sent, self.datagrams, now_retransmits);
    }
}

/// Exchanges and prints the results.
async fn finish(process: &mut Process, control: &mut Control, test: &Test<'_>) -> Result<(), Failure> {
    let span = test.interval.0.since(test.began);
    control.send(process, &[TEST_END]).await?;
    control.state(process, EXCHANGE_RESULTS).await?;
    let json = format!("{{\"bytes\":{},\"packets\":{}}}", test.sent, test.datagrams);
    control.send_json(process, &json).await?;
    let theirs = control.take_json(process).await?;
    control.state(process, DISPLAY_RESULTS).await?;
    let value = |name: &str| number(&theirs, name).unwrap_or(0.0);
    let (got, lost) = (value("bytes") as u64, value("lost") as u64);
    let sender = head(Nanos::ZERO, span, test.sent);
    let receiver = head(Nanos::ZERO, span, got);
    process.print(RULE);
    if test.options.udp {
        let total = test.datagrams;
        let percent = if total > 0 { lost as f64 * 100.0 / total as f64 } else { 0.0 };
        let jitter = value("jitter");
        process
            .print("[ ID] Interval           Transfer     Bitrate         Jitter    Lost/Total Datagrams\n");
        process.print(format!("{sender}  0.000 ms  0/{total} (0%)  sender\n"));
        process.print(
            format!("{receiver}  {jitter:5.3} ms  {lost}/{total} ({percent:.2}%)  receiver\n")
                .replace("(0.00%)", "(0%)"),
        );
    } else {
        let retransmits = test.retransmits(process);
        process.print("[ ID] Interval           Transfer     Bitrate         Retr\n");
        process.print(format!("{sender}  {retransmits:3}             sender\n"));
        process.print(format!("{receiver}                  receiver\n"));
    }
    process.print("\niperf Done.\n");
    control.send(process, &[IPERF_DONE]).await
}
