//! Filter expressions: the language of pcap-filter(7), compiled to tests of packet bytes.
//!
//! Not modelled: `gateway`, `protochain`, 802.11, ATM, MPLS, PPPoE and Geneve primitives, and the optimiser's
//! discovery that an expression rejects all packets.

mod eval;
mod generate;
mod lex;
mod parse;
mod primitive;

use std::net::{IpAddr, Ipv4Addr};

pub use eval::Packet;

use crate::tcpdump::print::LinkType;

/// Environment of the compiler.
pub struct Environment<'a> {
    /// Link-layer header type of the capture.
    pub link: LinkType,
    /// Addresses of a host name (`/etc/hosts`).
    pub resolve: &'a dyn Fn(&str) -> Vec<IpAddr>,
    /// Netmask of the device, for `ip broadcast`; 0 if unknown.
    pub netmask: Ipv4Addr,
    /// Packets come from a device, not from a file.
    pub live: bool,
}

/// Where the outermost VLAN tag of a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// In the frame, if there is one.
    InFrame,
    /// Beside the frame, as a device gave it.
    Beside,
}

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Filter {
    test: eval::Test,
    /// The same for packets of a device with a VLAN tag beside them.
    beside: Option<eval::Test>,
}

impl Filter {
    /// Compiles an expression; an empty one accepts every packet.
    ///
    /// # Errors
    ///
    /// libpcap's error.
    pub fn compile(text: &str, environment: &Environment) -> Result<Filter, String> {
        if text.trim().is_empty() {
            return Ok(Filter { test: eval::Test::Always(true), beside: None });
        }
        let test = parse::parse(text, environment, Tag::InFrame)?;
        let beside = environment.live.then(|| parse::parse(text, environment, Tag::Beside)).transpose()?;
        Ok(Filter { test, beside })
    }

    /// The packet passes.
    pub fn matches(&self, packet: Packet) -> bool {
        let test = packet.tag.and(self.beside.as_ref()).unwrap_or(&self.test);
        test.matches(packet)
    }
}
