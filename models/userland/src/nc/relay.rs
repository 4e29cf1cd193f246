//! Data transfer: standard input to the network, network to standard output.

use glassnet_kernel::netlink::Errno;
use glassnet_sim::Nanos;

use super::options::Options;
use crate::process::{Process, ReadOr, Reading, Woken};
use crate::sock::{Sock, readable};
use crate::stream::{BUFSIZE, writable};

/// State of the transfer.
pub struct Relay<'o> {
    options: &'o Options,
    socket: Sock,
    /// Where datagrams go; none for TCP, or before a peer is known.
    stdin_open: bool,
    net_in_open: bool,
    net_out_open: bool,
    to_net: Vec<u8>,
    reading: Option<Reading>,
    quit_at: Option<Nanos>,
    received: u64,
}

impl<'o> Relay<'o> {
    /// A transfer on a connected socket.
    pub fn new(options: &'o Options, socket: Sock) -> Relay<'o> {
        Relay {
            options,
            socket,
            stdin_open: !options.no_stdin,
            net_in_open: true,
            net_out_open: true,
            to_net: Vec::new(),
            reading: None,
            quit_at: None,
            received: 0,
        }
    }

    /// Transfers until both directions are done; returns the exit status.
    pub async fn run(mut self, process: &mut Process) -> i32 {
        if self.options.no_stdin {
            self.stdin_ended(process);
        }
        while !self.is_done() {
            let idle = self.options.timeout.map(|secs| process.now() + Nanos::from_secs(secs));
            let deadline = [idle, self.quit_at].into_iter().flatten().min();
            match self.wait(process, deadline).await {
                Woken::Ready(ReadOr::Read(bytes)) if bytes.is_empty() => self.stdin_ended(process),
                Woken::Ready(ReadOr::Read(bytes)) => self.to_net.extend(self.lines(bytes)),
                Woken::Ready(ReadOr::Ready(())) => {}
                Woken::Elapsed | Woken::Signal(_) => break,
            }
            if self.net_in_open && !self.take_from_net(process) {
                break;
            }
            self.write_net(process);
        }
        process.flush().await;
        0
    }

    fn is_done(&self) -> bool {
        let written = self.to_net.is_empty() || !self.net_out_open;
        let inputs_gone = !self.net_in_open && (!self.stdin_open || self.options.listen);
        inputs_gone && written
    }

    async fn wait(&mut self, process: &mut Process, deadline: Option<Nanos>) -> Woken<ReadOr<()>> {
        let (machine, id) = (self.socket.task.machine, self.socket.id);
        let (wants_in, wants_out) = (self.net_in_open, self.net_out_open && !self.to_net.is_empty());
        let wants_stdin = self.stdin_open && self.to_net.len() < BUFSIZE;
        let reading = wants_stdin.then_some((&mut self.reading, BUFSIZE));
        process
            .wait_or_read(deadline, reading, move |world| {
                let there = wants_in && readable(world, machine, id);
                (there || wants_out && writable(world, machine, id)).then_some(())
            })
            .await
    }

    fn lines(&self, bytes: Vec<u8>) -> Vec<u8> {
        if !self.options.crlf {
            return bytes;
        }
        let mut lines = Vec::with_capacity(bytes.len() + 8);
        for byte in bytes {
            if byte == b'\n' {
                lines.push(b'\r');
            }
            lines.push(byte);
        }
        lines
    }

    fn stdin_ended(&mut self, process: &Process) {
        self.stdin_open = false;
        if let Some(secs @ 0..) = self.options.quit {
            self.quit_at = Some(process.now() + Nanos::from_secs(secs.unsigned_abs()));
        }
        self.write_net(process);
    }

    /// Prints received data; false if that was the last packet of `-W`.
    fn take_from_net(&mut self, process: &mut Process) -> bool {
        loop {
            let read = if self.options.udp {
                self.socket.receive().map(|message| message.map(|message| message.data))
            } else {
                self.socket.read(BUFSIZE)
            };
            match read {
                Ok(None) => return true,
                Ok(Some(bytes)) if !bytes.is_empty() => {
                    process.print(&bytes);
                    self.received += 1;
                    if self.options.receive_limit.is_some_and(|limit| self.received >= limit) {
                        return false;
                    }
                }
                Ok(Some(_)) | Err(_) => {
                    self.net_in_open = false;
                    // After a refusal or a reset, nothing is sent either.
                    if read.is_err() {
                        self.net_out_open = false;
                    }
                    _ = self.shutdown(true, false);
                    return true;
                }
            }
        }
    }

    /// Writes once, if there is room: `poll` is asked before each write.
    fn write_net(&mut self, process: &Process) {
        let has_room = || writable(&process.world(), self.socket.task.machine, self.socket.id);
        if self.net_out_open && !self.to_net.is_empty() && has_room() {
            match self.socket.write(&self.to_net) {
                Ok(taken) => _ = self.to_net.drain(..taken),
                Err(Errno::EAGAIN) => return,
                Err(_) => {
                    self.net_out_open = false;
                    self.stdin_open = false;
                }
            }
        }
        let ended = !self.stdin_open && self.to_net.is_empty();
        if ended && self.net_out_open {
            if self.options.shutdown {
                _ = self.shutdown(false, true);
            }
            self.net_out_open = false;
        }
    }

    fn shutdown(&self, read: bool, write: bool) -> Result<(), Errno> {
        if self.options.udp {
            return Ok(());
        }
        self.socket.shutdown(read, write)
    }
}
