//! Packets as lines of text, as tcpdump 4.99.3 prints them.
//!
//! Each printer gets the captured bytes from its header on and their length on the wire, appends to the line, and
//! returns [`Truncated`] if the capture ends too early.

mod arp;
mod bgp;
mod bytes;
mod domain;
mod dump;
mod gre;
mod icmp;
mod icmp6;
mod igmp;
mod ip;
mod ip6;
mod link;
mod llc;
mod loopback;
mod names;
mod slow;
mod tcp;
mod text;
mod time;
mod udp;

pub use bytes::{Truncated, checksum};
pub use names::Names;
pub use time::Timestamps;

use bytes::Bytes;
use tcp::Conversations;

/// Link-layer header types that can be printed (`LINKTYPE_*` of pcap files).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkType {
    /// `LINKTYPE_ETHERNET`, 1.
    Ethernet,
    /// `LINKTYPE_RAW`, 101: IP without a link header.
    Raw,
    /// `LINKTYPE_LINUX_SLL`, 113: cooked, version 1.
    LinuxSll,
    /// `LINKTYPE_LINUX_SLL2`, 276: cooked, version 2, what `-i any` gives.
    LinuxSll2,
}

impl LinkType {
    /// The number in a pcap file's header.
    pub fn number(self) -> u32 {
        match self {
            LinkType::Ethernet => 1,
            LinkType::Raw => 101,
            LinkType::LinuxSll => 113,
            LinkType::LinuxSll2 => 276,
        }
    }

    /// The link type with this number in a pcap file.
    pub fn from_number(number: u32) -> Option<LinkType> {
        [LinkType::Ethernet, LinkType::Raw, LinkType::LinuxSll, LinkType::LinuxSll2]
            .into_iter()
            .find(|link| link.number() == number)
    }

    /// The name and the description as in `link-type EN10MB (Ethernet)`.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            LinkType::Ethernet => ("EN10MB", "Ethernet"),
            LinkType::Raw => ("RAW", "Raw IP"),
            LinkType::LinuxSll => ("LINUX_SLL", "Linux cooked v1"),
            LinkType::LinuxSll2 => ("LINUX_SLL2", "Linux cooked v2"),
        }
    }
}

/// Dump format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dump {
    /// No dump.
    #[default]
    None,
    /// `-x`, with the link header `-xx`.
    Hex(WithLink),
    /// `-X`, with the link header `-XX`.
    HexAscii(WithLink),
    /// `-A`, with the link header `-AA`.
    Ascii(WithLink),
}

/// The dump starts at the link-layer header.
pub type WithLink = bool;

/// Print options.
#[derive(Debug, Clone, Default)]
pub struct PrintOptions {
    /// `-t` to `-ttttt`.
    pub timestamps: Timestamps,
    /// `--nano`: nine digits of a second instead of six.
    pub nanoseconds: bool,
    /// How many `-e`: print the link-layer header.
    pub link_header: u8,
    /// How many `-n`: 0 prints names of hosts and ports.
    pub numeric: u8,
    /// `-N`: host names without their domain.
    pub no_domain: bool,
    /// How many `-v`.
    pub verbose: u8,
    /// How many `-q`.
    pub quick: u8,
    /// `-S`: TCP sequence numbers as they stand in the packet.
    pub absolute_sequence: bool,
    /// `-K`: do not verify checksums.
    pub no_checksums: bool,
    /// `-#`: number the lines.
    pub number: bool,
    /// `-x`, `-X`, `-A`.
    pub dump: Dump,
    /// `-T vxlan`: every UDP datagram is of a VXLAN.
    pub vxlan: bool,
}

/// A captured packet.
#[derive(Debug, Clone)]
pub struct Captured {
    /// Time stamp, ns since 1970.
    pub time: u64,
    /// The bytes captured, from the link-layer header on.
    pub data: Vec<u8>,
    /// Length on the wire, bytes.
    pub length: usize,
}

/// Printer of a capture, with state for later lines.
#[derive(Debug)]
pub struct Printer {
    options: PrintOptions,
    link: LinkType,
    names: Names,
    conversations: Conversations,
    reference: Option<u64>,
    count: u64,
}

/// State of a line.
pub(in crate::tcpdump::print) struct Nd<'a> {
    options: &'a PrintOptions,
    names: &'a Names,
    conversations: &'a mut Conversations,
    out: String,
    /// The protocol named by `[|protocol]` for a truncated packet.
    protocol: &'static str,
    /// Length of the link-layer header, for dumps.
    header_length: usize,
}

impl Nd<'_> {
    fn put(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn truncated(&mut self) {
        let text = format!(" [|{}]", self.protocol);
        self.put(&text);
    }

    fn invalid(&mut self) {
        self.put(" (invalid)");
    }

    /// Hex dump for unknown payloads, unless `-q` or a dump option is given.
    fn default_print(&mut self, p: Bytes) {
        let dumped = matches!(self.options.dump, Dump::Hex(_) | Dump::HexAscii(_));
        if dumped || self.options.quick > 0 {
            return;
        }
        dump::hex_and_ascii(&mut self.out, p.0);
    }
}

/// Error for invalid lengths in a record.
fn invalid_header(packet: &Captured) -> Option<String> {
    let (captured, length) = (packet.data.len(), packet.length);
    match (captured, length) {
        (0, 0) => Some(" caplen==0, len==0".to_owned()),
        (0, _) => Some(" caplen==0".to_owned()),
        (_, 0) => Some(" len==0".to_owned()),
        _ => (length < captured).then(|| format!(" len({length}) < caplen({captured})")),
    }
}

impl Printer {
    /// A printer for one capture on `link`.
    pub fn new(options: PrintOptions, link: LinkType, names: Names) -> Printer {
        let conversations = Conversations::default();
        Printer { options, link, names, conversations, reference: None, count: 0 }
    }

    /// The packet's line or lines, with the final newline.
    pub fn packet(&mut self, packet: &Captured) -> String {
        self.count += 1;
        let mut nd = Nd {
            options: &self.options,
            names: &self.names,
            conversations: &mut self.conversations,
            out: String::new(),
            protocol: "",
            header_length: 0,
        };
        if nd.options.number {
            nd.put(&format!("{:5}  ", self.count));
        }
        if let Some(what) = invalid_header(packet) {
            nd.put(&format!("[Invalid header:{what}]\n"));
            return nd.out;
        }
        time::stamp(&mut nd.out, &self.options, &mut self.reference, packet.time);
        let p = Bytes(&packet.data);
        if link::packet(&mut nd, self.link, p, packet.length).is_err() {
            nd.truncated();
            nd.header_length = 0;
        }
        let header = nd.header_length;
        dump::packet(&mut nd.out, self.options.dump, p, header);
        nd.put("\n");
        nd.out
    }
}
