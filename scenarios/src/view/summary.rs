//! A packet in one line, as tcpdump prints it.

use glassnet_kernel::trace::Headers;
use glassnet_userland::tcpdump::print::{Captured, LinkType, Names, PrintOptions, Printer, Timestamps};

/// What `tcpdump -t -n` prints for a packet with these headers.
pub fn summary(headers: &Headers) -> String {
    let options = PrintOptions { timestamps: Timestamps::None, numeric: 1, ..PrintOptions::default() };
    let link = if headers.link { LinkType::Ethernet } else { LinkType::Raw };
    let packet = Captured { time: 0, data: headers.bytes.clone(), length: headers.len };
    let text = Printer::new(options, link, Names::default()).packet(&packet);
    text.lines().next().unwrap_or_default().to_owned()
}
