//! How a tunnel over UDP takes what its socket receives.
//!
//! Kernel: include/net/udp_tunnel.h

use crate::Cx;
use crate::door::Door;
use crate::ids::{SkbId, SocketId};
use crate::tables::gro::GroVerdict;

/// What a tunnel does with the datagrams of its socket (`struct udp_tunnel_sock_cfg`).
#[derive(Debug)]
pub struct UdpTunnelSockCfg {
    /// The door by which it takes them.
    pub encap_rcv: fn(&Cx, SocketId, SkbId) -> Door,
    /// ICMP errors about what was sent to the port that the socket has itself are its own (`encap_err_lookup`).
    pub err_lookup: bool,
    /// Looks for the held packet that one continues. The header of the tunnel is at `u32` in the buffer, as in
    /// [`Self::gro_complete`].
    pub gro_receive: fn(&mut Cx, SocketId, SkbId, u32) -> GroVerdict,
    /// Writes the headers inside of a merged packet.
    pub gro_complete: fn(&mut Cx, SocketId, SkbId, u32),
}
