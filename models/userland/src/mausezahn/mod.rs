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
use glassnet_kernel::tables::vlan_tag::VlanProto;
use glassnet_sim::Nanos;
use glassnet_wire::Mac;
use glassnet_wire::eth::ETH_P_IP;

use self::options::{MacWord, Options, What};
use self::packet::Transport;
use crate::process::{Process, Running, Signal, Woken};
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
    let address = address(process, &options)?;
    let sent = options.count * messages(&options, own, address).count() as u64;
    if let What::Packet(packet) = &options.what {
        if !options.quiet {
            process.eprint(format!("Mausezahn will send {sent} frames... "));
        }
        // The real tool shows the text of a datagram only.
        if let (Some(text), Transport::Udp) = (&packet.text, &packet.transport) {
            process.print(format!("[{text}]\n"));
        }
    }
    let is_frame = matches!(options.what, What::Frame(_)) || options.makes_frames();
    let kind = match is_frame {
        true => SockKind::Packet { protocol: 0, cooked: false },
        false => SockKind::Raw { protocol: IPPROTO_RAW },
    };
    let socket = Sock::open(process, kind);
    socket.set(|opts| (opts.hdrincl, opts.broadcast) = (true, true));
    if is_frame && let Err(errno) = socket.packet_bind(ifindex) {
        return Err(format!("mausezahn: {}", errno.strerror()));
    }
    let endless = (0..).take_while(|number| options.count == 0 || *number < options.count);
    let all = endless.flat_map(|_| messages(&options, own, address));
    let busy = match send(process, options.delay, &socket, all).await {
        Ok(busy) => busy,
        Err(signal) => return Ok(signal.exit_status()),
    };
    if !options.quiet {
        let rate = sent * 1_000_000_000 / busy.0.max(1);
        process.eprint(format!("{:.2} seconds ({rate} packets per second)\n", busy.0 as f64 / 1e9));
    }
    Ok(0)
}

fn no_device(reason: &str) -> String {
    format!(" mz/getopts: libnet_init() failed ({reason}\n) Invalid command line parameters!")
}

/// Sends messages, and returns how long that took. Errors of sending are not reported, as in the real tool.
///
/// # Errors
///
/// The signal that ended it.
async fn send(
    process: &mut Process,
    delay: Nanos,
    socket: &Sock,
    messages: impl Iterator<Item = Message>,
) -> Result<Nanos, Signal> {
    let mut busy = Nanos::ZERO;
    let mut ran = process.now();
    for (number, message) in messages.enumerate() {
        let pause = if number == 0 { Nanos::ZERO } else { delay };
        // Without a delay, others run when the time slice is over.
        if pause > Nanos::ZERO || process.now().since(ran) >= TIME_SLICE {
            process.sleep(pause).await?;
            ran = process.now();
        }
        let begin = process.now();
        if let Woken::Signal(signal) = socket.wait_for_room(process, None).await {
            return Err(signal);
        }
        let _ = match &message {
            Message::Frame(frame) => socket.call(|cx| sendto(cx, socket.id, SendTo::Connected, frame)),
            Message::Packet { to, bytes } => socket.send_to(*to, 0, bytes),
        };
        busy += process.now().since(begin);
    }
    Ok(busy)
}

/// A message to send.
enum Message {
    /// A whole frame.
    Frame(Vec<u8>),
    /// An IPv4 packet, which the kernel routes.
    Packet { to: Ipv4Addr, bytes: Vec<u8> },
}

/// The source of packets for which the command line says none.
fn address(process: &Process, options: &Options) -> Result<Ipv4Addr, String> {
    match &options.what {
        What::Packet(packet) if packet.src.is_none() => {
            let own = sock::addresses(process, &options.device).first().copied();
            own.ok_or_else(|| format!("mausezahn: {} has no address: say one with -A", options.device))
        }
        _ => Ok(Ipv4Addr::UNSPECIFIED),
    }
}

/// What is sent by one round.
fn messages(options: &Options, own: Mac, address: Ipv4Addr) -> Box<dyn Iterator<Item = Message> + Send + '_> {
    let mac = move |word: MacWord| match word {
        MacWord::Own => own,
        MacWord::Is(mac) => mac,
    };
    match &options.what {
        What::Frame(bytes) => {
            let ends = options.dest.into_iter().chain(options.source).map(mac);
            let mut frame: Vec<u8> = ends.flat_map(|mac| mac.0).chain(bytes.iter().copied()).collect();
            frame.resize(frame.len().max(LEAST_FRAME).max(options.pad), 0);
            Box::new(std::iter::once(Message::Frame(frame)))
        }
        What::Packet(packet) => {
            let dest = options.dest.map_or(Mac([0xff; 6]), mac);
            let mut head = [dest.0, options.source.map_or(own, mac).0].concat();
            let tags = options.tags.iter().flat_map(|tag| [VlanProto::Dot1Q.ethertype(), *tag]);
            head.extend(tags.flat_map(u16::to_be_bytes));
            head.extend(ETH_P_IP.to_be_bytes());
            Box::new(packet.flows(address).map(move |flow| {
                let bytes = packet.bytes(flow, options.pad);
                match options.makes_frames() {
                    true => Message::Frame([&head[..], &bytes].concat()),
                    false => Message::Packet { to: flow.addresses[1], bytes },
                }
            }))
        }
    }
}
