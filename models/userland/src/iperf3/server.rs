//! The server.

use std::net::Ipv4Addr;

use glassnet_kernel::tables::socket::SockKind;

use super::options::Options;
use super::test::{Count, Params, Side, Test};
use super::{
    COOKIE, CREATE_STREAMS, Control, DISPLAY_RESULTS, EXCHANGE_RESULTS, Failure, IPERF_DONE, PARAM_EXCHANGE,
    TEST_RUNNING, TEST_START, UDP_ANSWER, number, resolve, results, results_json,
};
use crate::process::{Process, Woken};
use crate::sock::Sock;

/// Backlog of listen(2).
const BACKLOG: usize = 128;

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

/// What the client asks for.
fn parameters(json: &str) -> Params {
    let value = |name: &str| number(json, name).unwrap_or(0.0) as u64;
    let is = |name: &str| json.contains(&format!("\"{name}\":true")) || value(name) > 0;
    let some = |name: &str| Some(value(name)).filter(|value| *value > 0);
    Params {
        udp: is("udp"),
        reverse: is("reverse"),
        parallel: some("parallel").unwrap_or(1).min(128) as usize,
        time: value("time"),
        omit: value("omit"),
        bytes: some("num"),
        len: some("len").unwrap_or(1).min(1 << 20) as usize,
        rate: some("bandwidth"),
        window: some("window").map(|window| window as u32),
        mss: some("MSS").map(|mss| mss as u16),
        nodelay: is("nodelay"),
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
    let params = parameters(&control.take_json(process).await?);
    // What connects from now on has what the client asked for.
    params.prepare(listener);
    let datagrams = params.udp.then(|| datagram_socket(process, options, address)).transpose()?;
    control.send(process, &[CREATE_STREAMS]).await?;
    let mut sockets = Vec::new();
    let mut next = datagrams;
    while sockets.len() < params.parallel {
        let Some(socket) = next.take() else {
            let mut stream = Control::new(accept(process, listener).await?);
            stream.take(process, COOKIE).await?;
            sockets.push(stream.socket);
            continue;
        };
        socket.wait(process, None).await;
        let from = socket.peek_sender().unwrap_or((Ipv4Addr::UNSPECIFIED, 0));
        _ = socket.receive();
        _ = socket.connect(from.0, from.1);
        // The next stream's datagrams find another socket.
        if sockets.len() + 1 < params.parallel {
            next = Some(datagram_socket(process, options, address)?);
        }
        _ = socket.write(UDP_ANSWER);
        sockets.push(socket);
    }
    control.send(process, &[TEST_START]).await?;
    control.send(process, &[TEST_RUNNING]).await?;
    let mut test = Test::new(process, options, params, sockets, false);
    test.announce(process);
    test.run(process, control, false).await?;
    control.send(process, &[EXCHANGE_RESULTS]).await?;
    let (theirs, _) = results(&control.take_json(process).await?);
    control.send_json(process, &results_json(&test)).await?;
    control.send(process, &[DISPLAY_RESULTS]).await?;
    let counts: Vec<Count> = (0..test.streams.len()).map(|at| test.counted(at)).collect();
    let ours = Side { counts: &counts, span: test.span() };
    match test.sends {
        true => test.summary(process, Some(ours), None, &[]),
        false => test.summary(process, None, Some(ours), &theirs),
    }
    control.state(process, IPERF_DONE).await
}

/// A socket that shares the port with those that are connected.
fn datagram_socket(process: &mut Process, options: &Options, address: Ipv4Addr) -> Result<Sock, Failure> {
    let socket = Sock::open(process, SockKind::Udp);
    socket.set(|opts| opts.reuseaddr = true);
    let failed = |_| "unable to create a new stream".to_owned();
    socket.bind(address, options.port).map_err(failed)?;
    Ok(socket)
}
