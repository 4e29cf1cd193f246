//! The client.

use std::net::Ipv4Addr;

use glassnet_kernel::tables::socket::SockKind;
use glassnet_sim::Nanos;

use super::json::Json;
use super::options::Options;
use super::test::{Count, Params, Seen, Side, Test};
use super::{
    COOKIE, CREATE_STREAMS, Control, DISPLAY_RESULTS, EXCHANGE_RESULTS, Failure, IPERF_DONE, PARAM_EXCHANGE,
    TEST_END, TEST_RUNNING, TEST_START, UDP_CONNECT, resolve, results, results_json,
};
use crate::process::{Process, Woken};
use crate::sock::{Sock, random, wall};

/// Where the server is, and the client's own address.
type Ends = (Ipv4Addr, Option<Ipv4Addr>);

pub async fn run(process: &mut Process, options: &Options) -> Result<(), Failure> {
    let host = options.client.clone().unwrap_or_default();
    let server = resolve(process, &host).await?;
    let source = match &options.bind {
        Some(bind) => Some(resolve(process, bind).await?),
        None => None,
    };
    let (ends, params) = ((server, source), Params::of(options));
    let mut control = Control::new(connect(process, options, None, ends).await?);
    if !options.json {
        process.print(format!("Connecting to host {host}, port {}\n", options.port));
        if options.reverse {
            process.print(format!("Reverse mode, remote host {host} is sending\n"));
        }
    }
    let letters = (0..COOKIE).map(|at| if at + 1 < COOKIE { letter(process) } else { 0 });
    let cookie: Vec<u8> = letters.collect();
    control.send(process, &cookie).await?;
    control.state(process, PARAM_EXCHANGE).await?;
    control.send_json(process, &parameters(&params)).await?;
    control.state(process, CREATE_STREAMS).await?;
    let mut sockets = Vec::new();
    for _ in 0..params.parallel {
        let stream = connect(process, options, Some(&params), ends).await?;
        let opening: &[u8] = if params.udp { UDP_CONNECT } else { &cookie };
        stream
            .write(opening)
            .map_err(|errno| format!("unable to create a new stream: {}", errno.strerror()))?;
        if params.udp {
            stream.wait(process, None).await;
            _ = stream.receive();
        }
        sockets.push(stream);
    }
    control.state(process, TEST_START).await?;
    control.state(process, TEST_RUNNING).await?;
    let mut test = Test::new(process, options, params, sockets, true);
    test.announce(process);
    test.run(process, &mut control, true).await?;
    control.send(process, &[TEST_END]).await?;
    control.state(process, EXCHANGE_RESULTS).await?;
    control.send_json(process, &results_json(&test)).await?;
    let theirs = results(&control.take_json(process).await?);
    control.state(process, DISPLAY_RESULTS).await?;
    finish(process, options, &test, theirs, (&host, &cookie));
    control.send(process, &[IPERF_DONE]).await
}

fn letter(process: &Process) -> u8 {
    b"abcdefghijklmnopqrstuvwxyz234567"[random(process, 32) as usize]
}

/// What the server must know of a test.
fn parameters(params: &Params) -> String {
    let protocol = if params.udp { "udp" } else { "tcp" };
    let mut json = format!(
        "{{\"{protocol}\":true,\"omit\":{},\"time\":{},\"num\":{},\"blockcount\":0",
        params.omit,
        if params.bytes.is_some() { 0 } else { params.time },
        params.bytes.unwrap_or(0)
    );
    let mut number = |name: &str, value: u64| {
        if value > 0 {
            json += &format!(",\"{name}\":{value}");
        }
    };
    number("MSS", params.mss.unwrap_or(0).into());
    number("nodelay", params.nodelay.into());
    number("parallel", params.parallel as u64);
    number("reverse", params.reverse.into());
    number("window", params.window.unwrap_or(0).into());
    number("len", params.len as u64);
    number("bandwidth", params.rate.unwrap_or(0));
    json + ",\"pacing_timer\":1000,\"client_version\":\"3.12\"}"
}

/// Connects the control connection, or a stream of a test.
async fn connect(
    process: &mut Process,
    options: &Options,
    stream: Option<&Params>,
    (server, source): Ends,
) -> Result<Sock, Failure> {
    let kind = if stream.is_some_and(|params| params.udp) { SockKind::Udp } else { SockKind::Tcp };
    let socket = Sock::open(process, kind);
    if let Some(params) = stream {
        params.prepare(&socket);
    }
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

/// Prints the results of both sides.
fn finish(
    process: &mut Process,
    options: &Options,
    test: &Test<'_>,
    (theirs, span): (Vec<Count>, Nanos),
    who: (&str, &[u8]),
) {
    let ours: Vec<Count> = (0..test.streams.len()).map(|at| test.counted(at)).collect();
    let mut theirs = theirs;
    theirs.resize(ours.len(), Count::default());
    let (ours, theirs) = (Side { counts: &ours, span: test.span() }, Side { counts: &theirs, span });
    let (sent, received) = if test.sends { (ours, theirs) } else { (theirs, ours) };
    if options.json {
        let json = whole(process, options, test, (sent, received), who);
        process.print(json.text(0) + "\n");
        return;
    }
    test.summary(process, Some(sent), Some(received), sent.counts);
    process.print("\niperf Done.\n");
}

/// All of a test in JSON.
fn whole(
    process: &Process,
    options: &Options,
    test: &Test<'_>,
    (sent, received): (Side<'_>, Side<'_>),
    who: (&str, &[u8]),
) -> Json {
    let whole = |side: Side<'_>| (Nanos::ZERO, side.span);
    let sum = |side: Side<'_>| {
        let all = side.counts.iter().fold(Count::default(), |sum, count| sum.add(count));
        Json::Object(test.numbers(whole(side), &all))
    };
    let streams = test.streams.iter().enumerate().map(|(at, stream)| {
        let numbers = |side: Side<'_>| {
            let mut members = vec![("socket", Json::Int(stream.name.into()))];
            members.extend(test.numbers(whole(side), &side.counts[at]));
            members
        };
        let mut sender = numbers(sent);
        if test.sends && !test.params.udp {
            let of = |value: fn(&Seen) -> u64| stream.seen.iter().map(value);
            let mean = of(|seen| seen.rtt).sum::<u64>() / (stream.seen.len() as u64).max(1);
            sender.extend([
                ("max_snd_cwnd", Json::Int(of(|seen| seen.cwnd).max().unwrap_or(0))),
                ("max_snd_wnd", Json::Int(of(|seen| seen.wnd).max().unwrap_or(0))),
                ("max_rtt", Json::Int(of(|seen| seen.rtt).max().unwrap_or(0))),
                ("min_rtt", Json::Int(of(|seen| seen.rtt).min().unwrap_or(0))),
                ("mean_rtt", Json::Int(mean)),
            ]);
        }
        sender.push(("sender", Json::Bool(test.sends)));
        let mut receiver = numbers(received);
        receiver.push(("sender", Json::Bool(test.sends)));
        Json::Object(vec![("sender", Json::Object(sender)), ("receiver", Json::Object(receiver))])
    });
    let end = vec![
        ("streams", Json::Array(streams.collect())),
        ("sum_sent", sum(sent)),
        ("sum_received", sum(received)),
        ("sender_tcp_congestion", Json::Text("cubic".to_owned())),
        ("receiver_tcp_congestion", Json::Text("cubic".to_owned())),
    ];
    Json::Object(vec![
        ("start", start_json(process, options, test, who)),
        ("intervals", test.intervals_json()),
        ("end", Json::Object(end)),
    ])
}

/// Who was connected, and what for.
fn start_json(process: &Process, options: &Options, test: &Test<'_>, (host, cookie): (&str, &[u8])) -> Json {
    let int = |value: usize| Json::Int(value as u64);
    let connected = test.streams.iter().map(|stream| {
        let (local, peer) = (stream.socket.local(), stream.socket.peer().unwrap_or(stream.socket.local()));
        Json::Object(vec![
            ("socket", Json::Int(stream.name.into())),
            ("local_host", Json::Text(local.0.to_string())),
            ("local_port", Json::Int(local.1.into())),
            ("remote_host", Json::Text(peer.0.to_string())),
            ("remote_port", Json::Int(peer.1.into())),
        ])
    });
    let to = [("host", Json::Text(host.to_owned())), ("port", Json::Int(options.port.into()))];
    let cookie = String::from_utf8_lossy(&cookie[..COOKIE - 1]).into_owned();
    let params = &test.params;
    Json::Object(vec![
        ("connected", Json::Array(connected.collect())),
        ("version", Json::Text("iperf 3.12".to_owned())),
        ("timestamp", Json::Object(vec![("timesecs", Json::Int(wall(process.now()) / 1_000_000_000))])),
        ("connecting_to", Json::Object(to.into())),
        ("cookie", Json::Text(cookie)),
        ("target_bitrate", Json::Int(params.rate.unwrap_or(0))),
        (
            "test_start",
            Json::Object(vec![
                ("protocol", Json::Text(if params.udp { "UDP" } else { "TCP" }.to_owned())),
                ("num_streams", int(params.parallel)),
                ("blksize", int(params.len)),
                ("omit", Json::Int(params.omit)),
                ("duration", Json::Int(if params.bytes.is_some() { 0 } else { params.time })),
                ("bytes", Json::Int(params.bytes.unwrap_or(0))),
                ("blocks", Json::Int(0)),
                ("reverse", Json::Int(params.reverse.into())),
                ("tos", Json::Int(0)),
                ("target_bitrate", Json::Int(params.rate.unwrap_or(0))),
            ]),
        ),
    ])
}
