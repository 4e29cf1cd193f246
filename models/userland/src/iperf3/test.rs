//! A running test: its streams, what they sent or received, and a line for each interval.

use glassnet_kernel::ids::{MachineId, SocketId};
use glassnet_kernel::net::core::sock::{set_rcvbuf, set_sndbuf};
use glassnet_kernel::world::World;
use glassnet_sim::Nanos;

use super::json::Json;
use super::options::Options;
use super::report::{RULE, bytes, head, percent};
use super::{Control, Failure, TEST_END};
use crate::process::{Process, Woken};
use crate::sock::{Sock, readable};
use crate::stream::writable;

/// Bytes per write, of TCP; a UDP datagram fits an Ethernet frame.
const TCP_LEN: usize = 131_072;
const UDP_LEN: usize = 1448;
/// Default rate of UDP, bits per second.
const UDP_RATE: u64 = 1 << 20;
/// The file descriptor of the real tool's first stream; the others of a client follow by twos, of a server by ones.
const FIRST: u32 = 5;

/// What a stream sent or received.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// Bytes of data.
    pub bytes: u64,
    /// Datagrams.
    pub datagrams: u64,
    /// Segments that were sent again.
    pub retransmits: u32,
}

impl Count {
    fn since(&self, before: &Count) -> Count {
        Count {
            bytes: self.bytes - before.bytes,
            datagrams: self.datagrams - before.datagrams,
            retransmits: self.retransmits - before.retransmits,
        }
    }

    /// Both together.
    pub fn add(&self, other: &Count) -> Count {
        Count {
            bytes: self.bytes + other.bytes,
            datagrams: self.datagrams + other.datagrams,
            retransmits: self.retransmits + other.retransmits,
        }
    }
}

/// What one side of a test has: of each stream, and how long it was.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// Of each stream.
    pub counts: &'a [Count],
    /// How long it was.
    pub span: Nanos,
}

/// A stream.
pub struct Stream {
    /// Its socket.
    pub socket: Sock,
    /// Its number in what is printed.
    pub name: u32,
    /// Since the test began.
    pub count: Count,
    /// Bytes of the block that is being written which had no room yet.
    rest: usize,
    /// When the interval began, and when what counts began.
    last: Count,
    first: Count,
    /// Of the interval and of the whole: congestion windows, bytes, and round trips, µs.
    pub seen: Vec<Seen>,
}

/// What the kernel tells of a connection (`TCP_INFO`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// The congestion window, bytes.
    pub cwnd: u64,
    /// The peer's window, bytes.
    pub wnd: u64,
    /// The round trip, µs.
    pub rtt: u64,
    /// Its deviation, µs.
    pub rttvar: u64,
    /// The path MTU, bytes.
    pub pmtu: u64,
}

/// What both sides of a test know.
#[derive(Clone, Debug)]
pub struct Params {
    /// UDP, not TCP.
    pub udp: bool,
    /// The server sends.
    pub reverse: bool,
    /// Streams.
    pub parallel: usize,
    /// Seconds; of those at the beginning that do not count.
    pub time: u64,
    /// See `time`.
    pub omit: u64,
    /// Bytes, in place of a time.
    pub bytes: Option<u64>,
    /// Bytes per write.
    pub len: usize,
    /// Bits a second of each stream.
    pub rate: Option<u64>,
    /// Buffers of sockets.
    pub window: Option<u32>,
    /// Greatest segment.
    pub mss: Option<u16>,
    /// `TCP_NODELAY`.
    pub nodelay: bool,
}

impl Params {
    /// Those of a client's command line.
    pub fn of(options: &Options) -> Params {
        let udp = options.udp;
        Params {
            udp,
            reverse: options.reverse,
            parallel: options.parallel,
            time: options.time,
            omit: options.omit,
            bytes: options.bytes,
            len: options.len.unwrap_or(if udp { UDP_LEN } else { TCP_LEN }),
            rate: options.bitrate.or(udp.then_some(UDP_RATE)).filter(|rate| *rate > 0),
            window: options.window,
            mss: options.mss,
            nodelay: options.nodelay,
        }
    }

    /// Sets a socket's options before it connects or listens.
    pub fn prepare(&self, socket: &Sock) {
        let (mss, nodelay) = (self.mss.unwrap_or(0), self.nodelay);
        socket.set(|opts| (opts.maxseg, opts.nodelay) = (mss, nodelay));
        if let Some(size) = self.window {
            socket.call(|cx| {
                set_sndbuf(cx, socket.id, size);
                set_rcvbuf(cx, socket.id, size);
            });
        }
    }
}

/// An interval, for JSON.
pub struct Interval {
    span: (Nanos, Nanos),
    streams: Vec<(u32, Count, Seen)>,
    omitted: bool,
}

/// A test on one of its sides.
pub struct Test<'o> {
    options: &'o Options,
    /// What both sides know.
    pub params: Params,
    /// Its streams.
    pub streams: Vec<Stream>,
    /// This side sends.
    pub sends: bool,
    began: Nanos,
    interval: Nanos,
    omitting: bool,
    lines: u32,
    /// All intervals.
    pub intervals: Vec<Interval>,
}

impl<'o> Test<'o> {
    /// A test that begins. `step`: the distance between descriptors of streams.
    pub fn new(
        process: &Process,
        options: &'o Options,
        params: Params,
        sockets: Vec<Sock>,
        client: bool,
    ) -> Self {
        let step = if client { 2 } else { 1 };
        let name = |at: usize| FIRST + at as u32 * step;
        let streams = sockets.into_iter().enumerate().map(|(at, socket)| Stream {
            socket,
            name: name(at),
            count: Count::default(),
            rest: 0,
            last: Count::default(),
            first: Count::default(),
            seen: Vec::new(),
        });
        let (streams, began) = (streams.collect(), process.now());
        let (sends, omitting) = (client != params.reverse, params.omit > 0);
        let (lines, intervals) = (0, Vec::new());
        Test { options, params, streams, sends, began, interval: began, omitting, lines, intervals }
    }

    /// Prints who is connected to whom, and the names of the columns.
    pub fn announce(&self, process: &mut Process) {
        for stream in &self.streams {
            let (local, peer) =
                (stream.socket.local(), stream.socket.peer().unwrap_or(stream.socket.local()));
            self.print(
                process,
                format!(
                    "[{:3}] local {} port {} connected to {} port {}\n",
                    stream.name, local.0, local.1, peer.0, peer.1
                ),
            );
        }
        let columns = match (self.params.udp, self.sends) {
            (true, true) => "         Total Datagrams",
            (true, false) => "         Jitter    Lost/Total Datagrams",
            (false, true) => "         Retr  Cwnd",
            (false, false) => "",
        };
        self.print(process, format!("[ ID] Interval           Transfer     Bitrate{columns}\n"));
    }

    /// Prints a line of the report, unless it is JSON.
    pub fn print(&self, process: &mut Process, line: String) {
        if !self.options.json {
            process.print(line);
        }
    }

    fn is_done(&self, now: Nanos) -> bool {
        match self.params.bytes {
            Some(bytes) => self.streams.iter().map(|stream| stream.count.bytes).sum::<u64>() >= bytes,
            None => now >= self.ends_at(),
        }
    }

    fn ends_at(&self) -> Nanos {
        let omit = if self.omitting { self.params.omit } else { 0 };
        self.began + Nanos::from_secs(self.params.time + omit)
    }

    /// When a stream's next write is due.
    fn due(&self, stream: &Stream) -> Nanos {
        let sent = stream.count.bytes - stream.first.bytes;
        let span = self.params.rate.map_or(0, |rate| u128::from(sent) * 8_000_000_000 / u128::from(rate));
        self.began + Nanos(span as u64)
    }

    /// When something is to be done whatever the streams do: a line, or what does not count is over.
    fn deadline(&self) -> Option<Nanos> {
        let line = self.options.interval.map(|every| self.interval + every);
        let omitted = self.omitting.then(|| self.began + Nanos::from_secs(self.params.omit));
        [line, omitted].into_iter().flatten().min()
    }

    /// Sends or receives until the test ends: by time or bytes for a client, by the client's word for a server.
    pub async fn run(
        &mut self,
        process: &mut Process,
        control: &mut Control,
        client: bool,
    ) -> Result<(), Failure> {
        let block = vec![0; self.params.len];
        while !(client && self.is_done(process.now())) {
            self.tick(process);
            let mut deadline = self.deadline();
            let mut waits: Vec<Wait> = Vec::new();
            for at in 0..self.streams.len() {
                let wait = match self.sends {
                    true => self.send(process, at, &block, client),
                    false => self.receive(at),
                };
                match wait {
                    Ok(Some(due)) => deadline = Some(deadline.map_or(due, |before| before.min(due))),
                    Ok(None) => waits.push(self.wait_of(at)),
                    Err(()) => return Ok(()),
                }
            }
            if client && self.params.bytes.is_none() {
                let end = self.ends_at();
                deadline = Some(deadline.map_or(end, |before| before.min(end)));
            }
            if client && self.is_done(process.now()) {
                break;
            }
            if !client && control.ended(TEST_END)? {
                break;
            }
            waits.push((control.socket.task.machine, control.socket.id, false));
            let ready = move |world: &mut World| any(world, &waits).then_some(());
            if let Woken::Signal(_) = process.wait(deadline, ready).await {
                return Err("interrupt - the test was ended".to_owned());
            }
        }
        let now = process.now();
        for at in 0..self.streams.len() {
            if !self.sends {
                _ = self.receive(at);
            }
        }
        let until = if client && self.params.bytes.is_none() { self.ends_at().min(now) } else { now };
        let got: u64 = self.streams.iter().map(|stream| stream.count.bytes - stream.last.bytes).sum();
        if until > self.interval && (client || got > 0) {
            self.line(process, until);
        }
        Ok(())
    }

    fn wait_of(&self, at: usize) -> Wait {
        (self.streams[at].socket.task.machine, self.streams[at].socket.id, self.sends)
    }

    /// Lines whose time has come.
    fn tick(&mut self, process: &mut Process) {
        let now = process.now();
        if let Some(next) = self.deadline().filter(|next| now >= *next) {
            self.line(process, next);
            // Resets the world's limit of steps: this much traffic is no endless loop.
            process.world().reset_limit();
        }
        let omitted = self.began + Nanos::from_secs(self.params.omit);
        if self.omitting && now >= omitted {
            (self.omitting, self.began, self.interval) = (false, omitted, omitted);
            for stream in &mut self.streams {
                (stream.first, stream.last) = (stream.count, stream.count);
            }
        }
    }

    /// Writes until there is no room; `Ok(Some(…))`: when the next is due, `Err`: the connection is gone.
    fn send(
        &mut self,
        process: &Process,
        at: usize,
        block: &[u8],
        client: bool,
    ) -> Result<Option<Nanos>, ()> {
        loop {
            if client && self.is_done(process.now()) {
                return Ok(None);
            }
            let (due, stream) = (self.due(&self.streams[at]), &self.streams[at]);
            if due > process.now() {
                return Ok(Some(due));
            }
            let room = writable(&process.world(), stream.socket.task.machine, stream.socket.id);
            if !room {
                return Ok(None);
            }
            let part = if stream.rest > 0 { stream.rest } else { block.len() };
            match stream.socket.write(&block[..part]) {
                Ok(0) => return Ok(None),
                Ok(taken) => {
                    self.streams[at].rest = part - taken.min(part);
                    let count = &mut self.streams[at].count;
                    count.bytes += taken as u64;
                    count.datagrams += u64::from(self.params.udp);
                }
                Err(_) => return Err(()),
            }
        }
    }

    fn receive(&mut self, at: usize) -> Result<Option<Nanos>, ()> {
        let stream = &mut self.streams[at];
        if self.params.udp {
            while let Ok(Some(message)) = stream.socket.receive() {
                stream.count.bytes += message.data.len() as u64;
                stream.count.datagrams += 1;
            }
            return Ok(None);
        }
        while let Ok(Some(bytes)) = stream.socket.read(1 << 20) {
            if bytes.is_empty() {
                return Err(());
            }
            stream.count.bytes += bytes.len() as u64;
        }
        Ok(None)
    }

    /// What the kernel says of a stream's connection.
    fn look(&mut self, process: &Process, at: usize) -> Seen {
        let stream = &mut self.streams[at];
        let world = process.world();
        let socket = world.kernel(process.machine).sockets.get(stream.socket.id);
        let Some(tp) = socket.and_then(|socket| socket.tcp.as_ref()) else { return Seen::default() };
        stream.count.retransmits = tp.total_retrans;
        let (srtt, deviation) = (tp.icsk.srtt().unwrap_or(Nanos::ZERO), tp.icsk.mdev());
        let seen = Seen {
            cwnd: u64::from(tp.icsk.cwnd) * u64::from(tp.mss()),
            wnd: u64::from(tp.snd_wnd),
            rtt: srtt.0 / 1000,
            rttvar: deviation.0 / 1000,
            pmtu: u64::from(tp.mtu),
        };
        stream.seen.push(seen);
        seen
    }

    /// A line for each stream, and one for their sum.
    fn line(&mut self, process: &mut Process, until: Nanos) {
        let span = (self.interval.since(self.began), until.since(self.began));
        let (format, omitted) = (self.options.format, self.omitting);
        let mark = if omitted { "(omitted)" } else { "" };
        if self.streams.len() > 1 && self.lines > 0 {
            self.print(process, RULE.to_owned());
        }
        let mut sum = Count::default();
        let mut streams = Vec::new();
        for at in 0..self.streams.len() {
            let seen = self.look(process, at);
            let stream = &mut self.streams[at];
            let count = stream.count.since(&stream.last);
            (stream.last, sum) = (stream.count, sum.add(&count));
            let name = stream.name;
            let head = head(Some(name), span, count.bytes, format);
            let tail = self.tail(&count, Some(seen));
            self.print(process, format!("{head}  {tail}{mark}\n"));
            streams.push((name, count, seen));
        }
        if self.streams.len() > 1 {
            let head = head(None, span, sum.bytes, format);
            let tail = self.tail(&sum, None);
            self.print(process, format!("{head}  {tail}{mark}\n"));
        }
        self.intervals.push(Interval { span, streams, omitted });
        self.interval = until;
        self.lines += 1;
    }

    fn tail(&self, count: &Count, seen: Option<Seen>) -> String {
        match (self.params.udp, self.sends, seen) {
            (true, true, _) => format!("{}  ", count.datagrams),
            (true, false, _) => format!("0.000 ms  0/{} (0%)  ", count.datagrams),
            (false, true, Some(seen)) => format!("{:3}   {}       ", count.retransmits, bytes(seen.cwnd)),
            (false, true, None) => format!("{:3}             ", count.retransmits),
            (false, false, _) => " ".repeat(16),
        }
    }

    /// What a stream has of the time that counts.
    pub fn counted(&self, at: usize) -> Count {
        self.streams[at].count.since(&self.streams[at].first)
    }

    /// How long that was.
    pub fn span(&self) -> Nanos {
        self.interval.since(self.began)
    }

    /// The summary: what was sent and what was received, as far as it is printed here; `totals`: what was sent.
    pub fn summary(
        &self,
        process: &mut Process,
        sent: Option<Side<'_>>,
        received: Option<Side<'_>>,
        totals: &[Count],
    ) {
        let (format, udp) = (self.options.format, self.params.udp);
        let whole = |side: Option<Side<'_>>| (Nanos::ZERO, side.map_or(Nanos::ZERO, |side| side.span));
        let columns = match (udp, sent.is_some()) {
            (true, _) => "         Jitter    Lost/Total Datagrams",
            (false, true) => "         Retr",
            (false, false) => "",
        };
        self.print(process, format!("{RULE}[ ID] Interval           Transfer     Bitrate{columns}\n"));
        let sum = |counts: &[Count]| counts.iter().fold(Count::default(), |sum, count| sum.add(count));
        let total = |at: usize| totals.get(at).copied().unwrap_or_default();
        let mut rows: Vec<Row> = (0..self.streams.len())
            .map(|at| {
                let name = Some(self.streams[at].name);
                (name, sent.map(|all| all.counts[at]), received.map(|all| all.counts[at]), total(at))
            })
            .collect();
        if rows.len() > 1 {
            let of = |side: Side<'_>| sum(side.counts);
            rows.push((None, sent.map(of), received.map(of), sum(totals)));
        }
        for (name, sent_one, received_one, total) in rows {
            if let Some(count) = sent_one {
                let head = head(name, whole(sent), count.bytes, format);
                let tail = match udp {
                    true => format!("0.000 ms  0/{} (0%)  sender", count.datagrams),
                    false => format!("{:3}             sender", count.retransmits),
                };
                self.print(process, format!("{head}  {tail}\n"));
            }
            if let Some(count) = received_one {
                let head = head(name, whole(received), count.bytes, format);
                let total = total.datagrams;
                let lost = total.saturating_sub(count.datagrams);
                let tail = match udp {
                    true => format!("0.000 ms  {lost}/{total} ({}%)  receiver", percent(lost, total)),
                    false => format!("{:16}receiver", ""),
                };
                self.print(process, format!("{head}  {tail}\n"));
            }
        }
    }

    /// The intervals in JSON.
    pub fn intervals_json(&self) -> Json {
        Json::Array(self.intervals.iter().map(|interval| self.interval_json(interval)).collect())
    }

    fn interval_json(&self, interval: &Interval) -> Json {
        let streams = interval.streams.iter().map(|(name, count, seen)| {
            let mut members = vec![("socket", Json::Int(u64::from(*name)))];
            members.extend(self.numbers(interval.span, count));
            if self.sends && !self.params.udp {
                members.extend([
                    ("snd_cwnd", Json::Int(seen.cwnd)),
                    ("snd_wnd", Json::Int(seen.wnd)),
                    ("rtt", Json::Int(seen.rtt)),
                    ("rttvar", Json::Int(seen.rttvar)),
                    ("pmtu", Json::Int(seen.pmtu)),
                ]);
            }
            members.extend([("omitted", Json::Bool(interval.omitted)), ("sender", Json::Bool(self.sends))]);
            Json::Object(members)
        });
        let sum = interval.streams.iter().fold(Count::default(), |sum, stream| sum.add(&stream.1));
        let streams = Json::Array(streams.collect());
        let mut members = self.numbers(interval.span, &sum);
        members.extend([("omitted", Json::Bool(interval.omitted)), ("sender", Json::Bool(self.sends))]);
        Json::Object(vec![("streams", streams), ("sum", Json::Object(members))])
    }

    /// The numbers of an interval or of the whole.
    pub fn numbers(&self, (from, until): (Nanos, Nanos), count: &Count) -> Vec<(&'static str, Json)> {
        let seconds = until.since(from).as_secs_f64();
        let rate = if seconds > 0.0 { count.bytes as f64 * 8.0 / seconds } else { 0.0 };
        let mut members = vec![
            ("start", Json::Real(from.as_secs_f64())),
            ("end", Json::Real(until.as_secs_f64())),
            ("seconds", Json::Real(seconds)),
            ("bytes", Json::Int(count.bytes)),
            ("bits_per_second", Json::Real(rate)),
        ];
        match (self.params.udp, self.sends) {
            (true, _) => members.push(("packets", Json::Int(count.datagrams))),
            (false, true) => members.push(("retransmits", Json::Int(u64::from(count.retransmits)))),
            (false, false) => {}
        }
        members
    }
}

/// Of a summary: a stream, or the sum; what was sent and received, as far as it is printed; and what was sent.
type Row = (Option<u32>, Option<Count>, Option<Count>, Count);

/// A socket, and whether room in it is waited for.
type Wait = (MachineId, SocketId, bool);

fn any(world: &World, waits: &[Wait]) -> bool {
    waits.iter().any(|(machine, id, to_write)| match to_write {
        true => writable(world, *machine, *id),
        false => readable(world, *machine, *id),
    })
}
