//! A question to a name server, and its answer: messages over UDP and TCP.

use std::net::Ipv4Addr;

use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::socket::SockKind;
use glassnet_sim::Nanos;
use simple_dns::{Name, Packet, PacketFlag, QTYPE, Question, RCODE, ResourceRecord, TYPE};

use crate::process::{Process, Woken};
use crate::sock::Sock;
use crate::stream::BUFSIZE;

/// The port of name servers.
pub const PORT: u16 = 53;

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its code.
    pub rcode: RCODE,
    /// Its records.
    pub answers: Vec<ResourceRecord<'static>>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// A socket call failed.
    Failed(Errno),
    /// Nobody answered in time.
    TimedOut,
    /// The server has closed the connection.
    Closed,
}

/// A query of one question, as the C library sends it.
///
/// # Errors
///
/// The name is none.
pub fn query(id: u16, name: &str, kind: TYPE) -> simple_dns::Result<Vec<u8>> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(Question::new(
        Name::new(name)?,
        QTYPE::TYPE(kind),
        simple_dns::QCLASS::CLASS(simple_dns::CLASS::IN),
        false,
    ));
    packet.build_bytes_vec()
}

/// A UDP socket that is connected to a server.
///
/// # Errors
///
/// Those of connect(2).
pub fn connect(process: &Process, server: (Ipv4Addr, u16)) -> Result<Sock, Errno> {
    let socket = Sock::open(process, SockKind::Udp);
    socket.connect(server.0, server.1)?;
    Ok(socket)
}

/// The next datagram.
///
/// # Errors
///
/// Those of the socket, or none has come in time.
pub async fn receive(process: &mut Process, socket: &Sock, deadline: Nanos) -> Result<Vec<u8>, NoAnswer> {
    loop {
        match socket.receive() {
            Ok(Some(message)) => return Ok(message.data),
            Ok(None) => {}
            Err(errno) => return Err(NoAnswer::Failed(errno)),
        }
        if socket.wait(process, Some(deadline)).await != Woken::Ready(()) {
            return Err(NoAnswer::TimedOut);
        }
    }
}

/// Sends a message over a connection of its own, and reads the answer.
///
/// # Errors
///
/// Those of the socket, or no answer has come in time.
pub async fn over_tcp(
    process: &mut Process,
    server: (Ipv4Addr, u16),
    message: &[u8],
    deadline: Nanos,
) -> Result<Vec<u8>, NoAnswer> {
    let woken = |woken: Woken<Result<(), Errno>>| match woken {
        Woken::Ready(Ok(())) => Ok(()),
        Woken::Ready(Err(errno)) => Err(NoAnswer::Failed(errno)),
        Woken::Elapsed | Woken::Signal(_) => Err(NoAnswer::TimedOut),
    };
    let socket = Sock::stream(process);
    socket.connect(server.0, server.1).map_err(NoAnswer::Failed)?;
    woken(socket.connected(process, Some(deadline)).await)?;
    woken(socket.write_all(process, &framed(message), Some(deadline)).await)?;
    let mut received = Vec::new();
    loop {
        match socket.read(BUFSIZE) {
            Ok(Some(bytes)) if bytes.is_empty() => return Err(NoAnswer::Closed),
            Ok(Some(bytes)) => received.extend(bytes),
            Ok(None) if socket.wait(process, Some(deadline)).await == Woken::Ready(()) => {}
            Ok(None) => return Err(NoAnswer::TimedOut),
            Err(errno) => return Err(NoAnswer::Failed(errno)),
        }
        if let Some(message) = take_framed(&mut received) {
            return Ok(message);
        }
    }
}

/// A message with its length before it, as TCP carries it.
pub fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}

/// Takes the first message from bytes of a stream, if it is there in full.
pub fn take_framed(bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = usize::from(u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]));
    let message = bytes.get(2..2 + length)?.to_vec();
    bytes.drain(..2 + length);
    Some(message)
}
