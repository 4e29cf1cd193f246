//! A frame in one line, as tcpdump prints it.

use glassnet_userland::tcpdump::print::{Captured, LinkType, PrintOptions, Printer, Timestamps};

/// `62:e1:… > ff:ff:…, ethertype ARP (0x0806), length 42: Request who-has …`
pub fn frame(bytes: &[u8], raw: bool) -> String {
    let link = if raw { LinkType::Raw } else { LinkType::Ethernet };
    let options =
        PrintOptions { timestamps: Timestamps::None, link_header: 1, numeric: 1, ..PrintOptions::default() };
    let mut printer = Printer::new(options, link, Default::default());
    printer.packet(&Captured { time: 0, data: bytes.to_vec(), length: bytes.len() }).trim().to_owned()
}
