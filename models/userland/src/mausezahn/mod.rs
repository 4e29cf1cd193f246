//! `mausezahn` 0.6.8 of netsniff-ng, in its direct mode: frames from bytes or from a few words.
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | sending |
//! | `options.rs` | the command line |
//! | `packet.rs` | the bytes of a packet |

mod options;
mod packet;

use std::net::Ipv4Addr;

use glassnet_kernel::net::socket::{SendTo, sendto};
use glassnet_kernel::tables::netdev::IFF_UP;
use glassnet_kernel::tables::socket::SockKind;
use glassnet_sim::Nanos;
use glassnet_wire::Mac;

use self::options::{MacWord, Options, What};
use self::packet::Transport;
use crate::process::{Process, Running, Woken};
use crate::sock::{self, Sock};

/// Minimum length of a frame, bytes; shorter ones are padded.
const LEAST_FRAME: usize = 15;

/// How long it sends before others run: a tick of the scheduler (HZ 250).
const TIME_SLICE: Nanos = Nanos::from_millis(4);

/// A raw socket that only sends.
const IPPROTO_RAW: u8 = 255;

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        match mausezahn(process).await {
            Ok(status) => status,
            Err(said) => {
                process.eprint(format!("{said}\n"));
                1
            }
        }
    })
}

async fn mausezahn(process: &mut Process) -> Result<i32, String> {
    let options = options::parse(process.args())?;
    let device =
        sock::device(process, &options.device, |dev| (dev.addr, dev.ifindex, dev.flags & IFF_UP != 0));
    let (own, ifindex) = match device {
        Some((own, ifindex, true)) => (own, ifindex),
        Some(_) => return Err(no_device(&format!("libnet_check_iface(): {} is down", options.device))),
        None => return Err(no_device("libnet_check_iface() ioctl: No such device")),
    };
    let message = message(process, &options, own)?;
    if let What::Packet(packet) = &options.what {
        if !options.quiet {
            process.eprint(format!("Mausezahn will send {} frames... ", options.count));
        }
        // The real tool shows the text of a datagram only.
        if let (Some(text), Transport::Udp { .. }) = (&packet.text, &packet.transport) {
            process.print(format!("[{text}]\n"));
        }
    }
    let (kind, is_frame) = match message {
        Message::Frame(_) => (SockKind::Packet { protocol: 0, cooked: false }, true),
        Message::Packet { .. } => (SockKind::Raw { protocol: IPPROTO_RAW }, false),
    };
    let socket = Sock::open(process, kind);
    socket.set(|opts| (opts.hdrincl, opts.broadcast) = (true, true));
    if is_frame && let Err(errno) = socket.packet_bind(ifindex) {
        return Err(format!("mausezahn: {}", errno.strerror()));
    }
    Ok(send(process, &options, &socket, &message).await)
}

fn no_device(reason: &str) -> String {
    format!(" mz/getopts: libnet_init() failed ({reason}\n) Invalid command line parameters!")
}

/// Sends the message. Errors of sending are not reported, as in the real tool.
async fn send(process: &mut Process, options: &Options, socket: &Sock, message: &Message) -> i32 {
    let mut busy = Nanos::ZERO;
    let mut ran = process.now();
    for number in (0..).take_while(|number| options.count == 0 || *number < options.count) {
        let pause = if number == 0 { Nanos::ZERO } else { options.delay };
        // Without a delay, others run when the time slice is over.
        if pause > Nanos::ZERO || process.now().since(ran) >= TIME_SLICE {
            if let Err(signal) = process.sleep(pause).await {
                return signal.exit_status();
            }
            ran = process.now();
        }
        let begin = process.now();
        if let Woken::Signal(signal) = socket.wait_for_room(process, None).await {
            return signal.exit_status();
        }
        let _ = match message {
            Message::Frame(frame) => socket.call(|cx| sendto(cx, socket.id, SendTo::Connected, frame)),
            Message::Packet { to, bytes } => socket.send_to(*to, 0, bytes),
        };
        busy += process.now().since(begin);
    }
    if !options.quiet {
        let rate = options.count * 1_000_000_000 / busy.0.max(1);
        process.eprint(format!("{:.2} seconds ({rate} packets per second)\n", busy.0 as f64 / 1e9));
    }
    0
}

/// The message to send.
enum Message {
    /// A whole frame.
    Frame(Vec<u8>),
    /// An IPv4 packet, which the kernel routes.
    Packet { to: Ipv4Addr, bytes: Vec<u8> },
}

fn message(process: &Process, options: &Options, own: Mac) -> Result<Message, String> {
    let mac = |word: MacWord| match word {
        MacWord::Own => own,
        MacWord::Is(mac) => mac,
    };
    match &options.what {
        What::Frame(bytes) => {
            let ends = options.dest.into_iter().chain(options.source).map(mac);
            let mut frame: Vec<u8> = ends.flat_map(|mac| mac.0).chain(bytes.iter().copied()).collect();
            frame.resize(frame.len().max(LEAST_FRAME).max(options.pad), 0);
            Ok(Message::Frame(frame))
        }
        What::Packet(packet) => {
            let src = match packet.src.or_else(|| sock::addresses(process, &options.device).first().copied())
            {
                Some(src) => src,
                None => return Err(format!("mausezahn: {} has no address: say one with -A", options.device)),
            };
            let bytes = packet.bytes(src, options.pad);
            // With an Ethernet address the tool makes the frame itself, otherwise the kernel does.
            Ok(match options.dest.or(options.source) {
                None => Message::Packet { to: packet.dst, bytes },
                Some(_) => {
                    let dest = options.dest.map_or(Mac([0xff; 6]), mac);
                    let source = options.source.map_or(own, mac);
                    Message::Frame([&dest.0[..], &source.0, &[8, 0], &bytes].concat())
                }
            })
        }
    }
}
