//! The question: packet and start.

use std::fmt;
use std::net::Ipv4Addr;

use etherparse::{IcmpEchoHeader, PacketBuilder, TcpOptionElement};
use glassnet_wire::ipv4::{IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP};

/// The protocol of the packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Protocol {
    /// A SYN, which asks for a connection.
    #[default]
    Tcp,
    /// A datagram.
    Udp,
    /// An echo request.
    Icmp,
}

impl Protocol {
    /// Its number in IPv4 headers.
    pub(super) fn number(self) -> u8 {
        match self {
            Protocol::Tcp => IPPROTO_TCP,
            Protocol::Udp => IPPROTO_UDP,
            Protocol::Icmp => IPPROTO_ICMP,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
            Protocol::Icmp => "ICMP",
        })
    }
}

/// A machine and namespace; `None`: the initial one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The machine.
    pub machine: String,
    /// The namespace.
    pub netns: Option<String>,
}

impl std::str::FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Host, String> {
        let (machine, netns) = match text.split_once('/') {
            Some((machine, netns)) => (machine, Some(netns.to_owned())),
            None => (text, None),
        };
        if machine.is_empty() || netns.as_deref() == Some("") {
            return Err("expected MACHINE or MACHINE/NETNS".to_owned());
        }
        Ok(Host { machine: machine.to_owned(), netns })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.netns {
            Some(netns) => write!(f, "{}/{netns}", self.machine),
            None => f.write_str(&self.machine),
        }
    }
}

/// A packet to trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// Protocol.
    pub protocol: Protocol,
    /// Source port; ICMP: the identifier.
    pub sport: u16,
    /// Destination port; not used by ICMP.
    pub dport: u16,
    /// Start; by default where its source address is.
    pub from: Option<Host>,
    /// Input device; by default a program sends it, or it is received on the device towards its source.
    pub input: Option<String>,
}

impl Question {
    /// The packet from its IPv4 header on, as Linux would send it first.
    pub fn packet(&self) -> Vec<u8> {
        let ip = PacketBuilder::ipv4(self.src.octets(), self.dst.octets(), 64);
        let mut bytes = Vec::new();
        // Writing to a vector does not fail, and the payload fits.
        let written = match self.protocol {
            Protocol::Tcp => {
                let options = [
                    TcpOptionElement::MaximumSegmentSize(1460),
                    TcpOptionElement::SelectiveAcknowledgementPermitted,
                    TcpOptionElement::Noop,
                    TcpOptionElement::WindowScale(7),
                ];
                let tcp = ip.tcp(self.sport, self.dport, 1_000_000, 64_240).syn();
                tcp.options(&options).map(|tcp| tcp.write(&mut bytes, &[]).is_ok()).unwrap_or(false)
            }
            Protocol::Udp => ip.udp(self.sport, self.dport).write(&mut bytes, b"glassnet\n").is_ok(),
            Protocol::Icmp => {
                let echo = IcmpEchoHeader { id: self.sport, seq: 1 };
                ip.icmpv4_echo_request(echo.id, echo.seq).write(&mut bytes, &[0; 56]).is_ok()
            }
        };
        debug_assert!(written, "a packet of fixed shape");
        bytes
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (src, dst) = (self.src, self.dst);
        match self.protocol {
            Protocol::Tcp => write!(f, "TCP SYN {src}:{} > {dst}:{}", self.sport, self.dport),
            Protocol::Udp => write!(f, "UDP {src}:{} > {dst}:{}", self.sport, self.dport),
            Protocol::Icmp => write!(f, "ICMP echo request {src} > {dst}"),
        }
    }
}
