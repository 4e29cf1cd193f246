//! Sends the packet and runs the world until the trace ends.

use glassnet_kernel::World;
use glassnet_kernel::chance::{Script, Whose};
use glassnet_kernel::door::Door;
use glassnet_kernel::ids::CpuId;
use glassnet_kernel::net::ethernet::eth::eth_type_trans;
use glassnet_kernel::net::ipv4::{af_inet, raw};
use glassnet_kernel::net::socket;
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::socket::SockKind;
use glassnet_kernel::trace::Level;
use glassnet_sim::Nanos;
use glassnet_wire::eth::{ETH_HLEN, ETH_P_IP, EthHdr};
use zerocopy::IntoBytes;

use super::place::{Start, addresses};
use super::question::Question;

/// Maximum virtual time; address resolution fails after three seconds.
const PATIENCE: Nanos = Nanos::from_secs(10);

/// A packet that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Number (`Skb::packet`).
    pub packet: u32,
    /// Error of its system call.
    pub refused: Option<Errno>,
}

/// Sends the packet under observation; `falls` gives the decisions.
///
/// # Errors
///
/// The world does not settle.
pub fn send(
    world: &mut World,
    question: &Question,
    start: &Start,
    falls: Option<Vec<usize>>,
) -> Result<Sent, String> {
    let packet = world.skbs.last_packet() + 1;
    world.trace.level = Level::Detail;
    // What is not given falls as the first of the outcomes, so that all can be asked for in turn.
    let then = falls.is_some().then_some(0);
    let falls = falls.unwrap_or_default();
    world.trace.script = Script { whose: Whose::Packet(packet), falls, then, ..Script::default() };
    let refused = match start.input {
        None => by_a_program(world, question, start).err(),
        Some(_) => {
            from_outside(world, question, start);
            None
        }
    };
    let deadline = world.now() + PATIENCE;
    world.reset_limit();
    while world.next_event_at().is_some_and(|at| at <= deadline) {
        world.step().map_err(|endless| endless.to_string())?;
    }
    Ok(Sent { packet, refused })
}

/// Sends the packet from a raw socket; the kernel routes it.
fn by_a_program(world: &mut World, question: &Question, start: &Start) -> Result<(), Errno> {
    world.enter(start.machine, CpuId(0), |cx| {
        // A send-only raw socket (IPPROTO_RAW).
        let sock = socket::socket(cx, start.netns, SockKind::Raw { protocol: 255 });
        let opts = &mut socket::get_mut(cx, sock)?.opts;
        (opts.hdrincl, opts.broadcast) = (true, true);
        af_inet::inet_bind(cx, sock, question.src, 0)?;
        raw::raw_sendmsg(cx, sock, question.dst, &question.packet()).map(|_| ())
    })
}

/// Receives a frame on a device.
fn from_outside(world: &mut World, question: &Question, start: &Start) {
    let Some(input) = start.input else { return };
    let (dest, source) = addresses(world, start, input, question);
    let frame = [EthHdr::new(dest, source, ETH_P_IP).as_bytes(), &question.packet()].concat();
    world.enter(start.machine, CpuId(0), |cx| {
        let skb = cx.skbs.alloc_skb(frame.len(), input);
        cx.skbs.data_mut(skb).copy_from_slice(&frame);
        cx.skbs[skb].network_header += ETH_HLEN as u32;
        if eth_type_trans(cx, skb, input) {
            cx.walk(Door::NetifRxInner { skb });
        }
    });
}
