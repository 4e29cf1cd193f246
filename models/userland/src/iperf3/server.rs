//! The server, which receives.

use std::net::Ipv4Addr;

use glassnet_kernel::tables::socket::SockKind;
use glassnet_sim::Nanos;

use super::options::Options;
use super::report::{RULE, STREAM, head};
use super::{
    COOKIE, CREATE_STREAMS, Control, DISPLAY_RESULTS, EXCHANGE_RESULTS, Failure, IPERF_DONE, PARAM_EXCHANGE,
    TEST_END, TEST_RUNNING, TEST_START, UDP_ANSWER, number, resolve,
};
use crate::process::{Process, Woken};
use crate::sock::{Sock, wait_any};

/// Backlog of listen(2).
const BACKLOG: usize = 128;

/// Counters of a stream.
#[derive(Default)]
struct Count {
    bytes: u64,
    datagrams: u64,
    /// Smoothed difference of transit times, ms.
    jitter: f64,
    last_arrival: Option<Nanos>,
}

pub async fn run(process: &mut Process, options: &Options) -> Result<(), Failure> {
    let address = match &options.bind {
        Some(bind) => resolve(process, bind).await?,
        None => Ipv4Addr::UNSPECIFIED,
    };
    let listener = Sock::stream(process);
    listener.set(|opts| opts.reuseaddr = true);
    listener
        .bind(address, options.port)
        .and_then(|()| listener.listen(BACKLOG))
        .map_err(|errno| format!("unable to start listener for connections: {}", errno.strerror()))?;
    let rule = "-".repeat(59);
    for test in 1.. {
        process.print(format!("{rule}\nServer listening on {} (test #{test})\n{rule}\n", options.port));
        let mut control = Control::new(accept(process, &listener).await?);
        let outcome = serve(process, options, &listener, &mut control, address).await;
        match outcome {
            Err(failure) if !options.once => process.eprint(format!("iperf3: error - {failure}\n")),
            Err(failure) => return Err(failure),
            Ok(()) if options.once => return Ok(()),
            Ok(()) => {}
        }
    }
    Ok(())
}

async fn accept(process: &mut Process, listener: &Sock) -> Result<Sock, Failure> {
    loop {
        if let Ok(Some(accepted)) = listener.accept() {
            return Ok(accepted);
        }
        if !matches!(listener.wait(process, None).await, Woken::Ready(())) {
            return Err("interrupted".to_owned());
        }
    }
}

async fn serve(
    process: &mut Process,
    options: &Options,
    listener: &Sock,
    control: &mut Control,
    address: Ipv4Addr,
) -> Result<(), Failure> {
    let peer = control.socket.peer().unwrap_or((Ipv4Addr::UNSPECIFIED, 0));
    control.take(process, COOKIE).await?;
    process.print(format!("Accepted connection from {}, port {}\n", peer.0, peer.1));
    control.send(process, &[PARAM_EXCHANGE]).await?;
    let udp = control.take_json(process).await?.contains("\"udp\":true");
    let datagrams = udp.then(|| Sock::open(process, SockKind::Udp));
    if let Some(socket) = &datagrams {
        let failed = |_| "unable to create a new stream".to_owned();
        socket.bind(address, options.port).map_err(failed)?;
    }
    control.send(process, &[CREATE_STREAMS]).await?;
    let stream = match datagrams {
        None => {
            let mut stream = Control::new(accept(process, listener).await?);
            stream.take(process, COOKIE).await?;
            stream.socket
        }
        Some(socket) => {
            socket.wait(process, None).await;
            let from = socket.peek_sender().unwrap_or((Ipv4Addr::UNSPECIFIED, 0));
            _ = socket.receive();
            _ = socket.connect(from.0, from.1);
            _ = socket.write(UDP_ANSWER);
            socket
        }
    };
    control.send(process, &[TEST_START]).await?;
    control.send(process, &[TEST_RUNNING]).await?;
    let (local, remote) = (stream.local(), stream.peer().unwrap_or(peer));
    process.print(format!(
        "[{STREAM:3}] local {} port {} connected to {} port {}\n",
        local.0, local.1, remote.0, remote.1
    ));
    receive(process, control, &stream, udp).await
}

fn columns(udp: bool) -> &'static str {
    if udp { "         Jitter    Lost/Total Datagrams" } else { "" }
}

/// Receives until the client ends the test, then exchanges the results.
async fn receive(
    process: &mut Process,
    control: &mut Control,
    stream: &Sock,
    udp: bool,
) -> Result<(), Failure> {
    process.print(format!("[ ID] Interval           Transfer     Bitrate{}\n", columns(udp)));
    let began = process.now();
    let (mut count, mut interval) = (Count::default(), (began, 0, 0));
    loop {
        drain(stream, udp, &mut count);
        if control.socket.read(1).is_ok_and(|read| read.is_some_and(|bytes| bytes == [TEST_END])) {
            break;
        }
        let next = interval.0 + Nanos::from_secs(1);
        if process.now() >= next {
            line(process, began, interval, next, &count, udp);
            interval = (next, count.bytes, count.datagrams);
        }
        match process.wait(Some(next), wait_any(vec![stream, &control.socket])).await {
            Woken::Signal(_) => return Err("interrupted".to_owned()),
            Woken::Ready(()) | Woken::Elapsed => {}
        }
        if control.socket.peer().is_none() {
            return Err("control socket has closed unexpectedly".to_owned());
        }
    }
    drain(stream, udp, &mut count);
    let now = process.now();
    if count.bytes > interval.1 {
        line(process, began, interval, now, &count, udp);
    }
    control.send(process, &[EXCHANGE_RESULTS]).await?;
    let theirs = control.take_json(process).await?;
    let sent = number(&theirs, "packets").unwrap_or(0.0) as u64;
    let lost = sent.saturating_sub(count.datagrams);
    let json = format!("{{\"bytes\":{},\"lost\":{lost},\"jitter\":{:.3}}}", count.bytes, count.jitter);
    control.send_json(process, &json).await?;
    control.send(process, &[DISPLAY_RESULTS]).await?;
    process.print(format!("{RULE}[ ID] Interval           Transfer     Bitrate{}\n", columns(udp)));
    let head = head(Nanos::ZERO, now.since(began), count.bytes);
    let tail = if udp { udp_tail(&count, lost, sent) } else { "                ".to_owned() };
    process.print(
        format!("{head}  {tail}  receiver\n")
            .replace("                    receiver", "                  receiver"),
    );
    control.state(process, IPERF_DONE).await
}

fn udp_tail(count: &Count, lost: u64, total: u64) -> String {
    let percent = if total > 0 { lost as f64 * 100.0 / total as f64 } else { 0.0 };
    let percent = if lost == 0 { "0".to_owned() } else { format!("{percent:.2}") };
    format!("{:5.3} ms  {lost}/{total} ({percent}%)", count.jitter)
}

fn drain(stream: &Sock, udp: bool, count: &mut Count) {
    if !udp {
        while let Ok(Some(bytes)) = stream.read(1 << 20) {
            if bytes.is_empty() {
                return;
            }
            count.bytes += bytes.len() as u64;
        }
        return;
    }
    while let Ok(Some(message)) = stream.receive() {
        count.bytes += message.data.len() as u64;
        count.datagrams += 1;
        count.last_arrival = Some(message.at);
    }
}

fn line(
    process: &mut Process,
    began: Nanos,
    from: (Nanos, u64, u64),
    until: Nanos,
    count: &Count,
    udp: bool,
) {
    let head = head(from.0.since(began), until.since(began), count.bytes - from.1);
    let got = count.datagrams - from.2;
    let tail = if udp { udp_tail(count, 0, got) + "  " } else { "                ".to_owned() };
    process.print(format!("{head}  {tail}\n"));
}
