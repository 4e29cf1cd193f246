//! Capture files: pcap as tcpdump writes it, pcapng for several devices.

use std::borrow::Cow;
use std::time::Duration;

use pcap_file::pcap::{PcapHeader, PcapParser, PcapWriter, RawPcapPacket};
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::{Block, PcapNgParser, PcapNgWriter};
use pcap_file::{DataLink, Endianness, PcapError, TsResolution};

use crate::tcpdump::print::{Captured, LinkType};

/// tcpdump's default snapshot length: bytes kept of a packet.
pub const SNAPSHOT_LENGTH: u32 = 262_144;

const SECOND: u64 = 1_000_000_000;

/// A capture file.
#[derive(Debug)]
pub struct CaptureFile {
    /// Link-layer header type, `LINKTYPE_*`.
    pub link: u32,
    /// Bytes of a packet that were kept.
    pub snapshot: u32,
    /// The packets in the order of the file.
    pub packets: Vec<Captured>,
    /// Error that ended the file early, in libpcap's words.
    pub damage: Option<String>,
}

/// Reads a pcap or pcapng file.
///
/// # Errors
///
/// libpcap's error for a file that is neither.
pub fn read(bytes: &[u8]) -> Result<CaptureFile, String> {
    if bytes.len() < 4 {
        return Err(truncated(4, "file header", bytes.len()));
    }
    if bytes[..4] == [0x0a, 0x0d, 0x0d, 0x0a] {
        return read_ng(bytes);
    }
    match PcapParser::new(bytes) {
        Ok((rest, parser)) => Ok(read_classic(rest, &parser)),
        Err(PcapError::IncompleteBuffer) => Err(truncated(20, "file header", bytes.len() - 4)),
        Err(_) => Err("unknown file format".to_owned()),
    }
}

fn truncated(wanted: usize, what: &str, got: usize) -> String {
    format!("truncated dump file; tried to read {wanted} {what} bytes, only got {got}")
}

fn read_classic(mut rest: &[u8], parser: &PcapParser) -> CaptureFile {
    let header = parser.header();
    let unit = if header.ts_resolution == TsResolution::NanoSecond { 1 } else { 1000 };
    let mut packets = Vec::new();
    let mut damage = None;
    while !rest.is_empty() {
        let Ok((next, raw)) = parser.next_raw_packet(rest) else {
            damage = Some(cut_off(rest, header.endianness));
            break;
        };
        packets.push(Captured {
            time: u64::from(raw.ts_sec) * SECOND + u64::from(raw.ts_frac) * unit,
            data: raw.data.into_owned(),
            length: raw.orig_len as usize,
        });
        rest = next;
    }
    CaptureFile { link: header.datalink.into(), snapshot: header.snaplen, packets, damage }
}

/// libpcap's error for a truncated record.
fn cut_off(rest: &[u8], endianness: Endianness) -> String {
    let Some(length) = rest.get(8..12).filter(|_| rest.len() >= 16) else {
        return truncated(16, "header", rest.len());
    };
    let length = [length[0], length[1], length[2], length[3]];
    let length = match endianness {
        Endianness::Big => u32::from_be_bytes(length),
        Endianness::Little => u32::from_le_bytes(length),
    };
    if length > SNAPSHOT_LENGTH {
        return format!("invalid packet capture length {length}, bigger than snaplen of {SNAPSHOT_LENGTH}");
    }
    truncated(length as usize, "captured", rest.len() - 16)
}

fn read_ng(bytes: &[u8]) -> Result<CaptureFile, String> {
    let (mut rest, mut parser) = PcapNgParser::new(bytes).map_err(|_| "unknown file format".to_owned())?;
    let mut file = CaptureFile {
        link: LinkType::Ethernet.number(),
        snapshot: SNAPSHOT_LENGTH,
        packets: Vec::new(),
        damage: None,
    };
    let mut first = true;
    while !rest.is_empty() {
        let (next, block) = match parser.next_block(rest) {
            Ok(read) => read,
            Err(error) => {
                file.damage = Some(error.to_string());
                break;
            }
        };
        rest = next;
        match block {
            Block::InterfaceDescription(interface) if std::mem::take(&mut first) => {
                file.link = interface.linktype.into();
                file.snapshot = interface.snaplen;
            }
            Block::EnhancedPacket(packet) => {
                let unit = parser.packet_interface(&packet).map_or(1000, nanoseconds_per_tick);
                file.packets.push(Captured {
                    // The parser returns ticks as nanoseconds.
                    time: (packet.timestamp.as_nanos() as u64).saturating_mul(unit),
                    length: packet.original_len as usize,
                    data: packet.data.into_owned(),
                });
            }
            _ => {}
        }
    }
    Ok(file)
}

/// pcapng's `if_tsresol`, by default microseconds.
fn nanoseconds_per_tick(interface: &InterfaceDescriptionBlock) -> u64 {
    let resolution = interface.options.iter().find_map(|option| match option {
        InterfaceDescriptionOption::IfTsResol(value) => Some(u32::from(*value)),
        _ => None,
    });
    10_u64.pow(9_u32.saturating_sub(resolution.unwrap_or(6)))
}

/// The start of a pcap file as tcpdump writes it.
pub fn header(link: LinkType, snapshot: u32, nanoseconds: bool) -> Vec<u8> {
    writer(link, snapshot, nanoseconds).into_writer()
}

fn writer(link: LinkType, snapshot: u32, nanoseconds: bool) -> PcapWriter<Vec<u8>> {
    let header = PcapHeader {
        snaplen: snapshot,
        datalink: DataLink::from(link.number()),
        ts_resolution: if nanoseconds { TsResolution::NanoSecond } else { TsResolution::MicroSecond },
        endianness: Endianness::Little,
        ..PcapHeader::default()
    };
    PcapWriter::with_header(Vec::new(), header).expect("writing to memory")
}

/// One packet of a pcap file.
pub fn record(packet: &Captured, nanoseconds: bool) -> Vec<u8> {
    let fraction = (packet.time % SECOND) as u32;
    let raw = RawPcapPacket {
        ts_sec: (packet.time / SECOND) as u32,
        ts_frac: if nanoseconds { fraction } else { fraction / 1000 },
        incl_len: packet.data.len() as u32,
        orig_len: packet.length as u32,
        data: Cow::Borrowed(&packet.data),
    };
    let mut writer = writer(LinkType::Ethernet, SNAPSHOT_LENGTH, nanoseconds);
    writer.write_raw_packet(&raw).expect("writing to memory");
    writer.into_writer().split_off(FILE_HEADER)
}

/// Bytes of a pcap file before its first packet.
const FILE_HEADER: usize = 24;

/// Direction and destination type of a packet: the low bits of pcapng's `epb_flags`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Received, for this host.
    InUnicast = 0b00101,
    /// Received, multicast.
    InMulticast = 0b01001,
    /// Received, broadcast.
    InBroadcast = 0b01101,
    /// Received, for another host.
    InPromiscuous = 0b10001,
    /// Sent.
    Out = 0b00010,
}

/// A pcapng file of several devices, with times in nanoseconds.
pub struct Capture {
    writer: PcapNgWriter<Vec<u8>>,
}

impl Capture {
    /// An empty file with these devices, each with how its packets begin, in order of index, and a comment on each.
    pub fn new(devices: &[(&str, LinkType)], comment: Option<&str>) -> Capture {
        let mut writer =
            PcapNgWriter::with_endianness(Vec::new(), Endianness::Little).expect("writing to memory");
        for (device, link) in devices {
            let mut options = vec![
                InterfaceDescriptionOption::IfName(Cow::Borrowed(*device)),
                InterfaceDescriptionOption::IfTsResol(9),
            ];
            options.extend(comment.map(|text| InterfaceDescriptionOption::Comment(Cow::Borrowed(text))));
            let linktype = DataLink::from(link.number());
            let block = InterfaceDescriptionBlock { linktype, snaplen: SNAPSHOT_LENGTH, options };
            writer.write_pcapng_block(block).expect("writing to memory");
        }
        Capture { writer }
    }

    /// Adds a packet of the device with this index.
    pub fn packet(&mut self, device: usize, packet: &Captured, way: Way) {
        let block = EnhancedPacketBlock {
            interface_id: device as u32,
            timestamp: Duration::from_nanos(packet.time),
            original_len: packet.length as u32,
            data: Cow::Borrowed(&packet.data),
            options: vec![EnhancedPacketOption::Flags(way as u32)],
        };
        self.writer.write_pcapng_block(block).expect("the device is in the list");
    }

    /// The bytes of the file.
    pub fn finish(self) -> Vec<u8> {
        self.writer.into_inner()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> Captured {
        Captured { time: 1_700_000_000_123_456_789, data: vec![1, 2, 3], length: 60 }
    }

    #[test]
    fn classic_file_comes_back() {
        let mut bytes = header(LinkType::Ethernet, SNAPSHOT_LENGTH, false);
        assert_eq!(bytes[..8], [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0]);
        bytes.extend(record(&packet(), false));
        let file = read(&bytes).expect("readable");
        assert_eq!((file.link, file.snapshot, file.packets.len()), (1, SNAPSHOT_LENGTH, 1));
        assert_eq!(file.packets[0].time, 1_700_000_000_123_456_000);
        assert_eq!((file.packets[0].length, &file.packets[0].data[..]), (60, &[1, 2, 3][..]));
    }

    #[test]
    fn damaged_files_say_what_is_missing() {
        assert_eq!(
            read(b"abc").unwrap_err(),
            "truncated dump file; tried to read 4 file header bytes, only got 3"
        );
        assert_eq!(read(b"hello world, not a capture").unwrap_err(), "unknown file format");
        let mut bytes = header(LinkType::Ethernet, SNAPSHOT_LENGTH, false);
        bytes.extend(record(&packet(), false));
        bytes.pop();
        let damage = read(&bytes).expect("header is whole").damage;
        assert_eq!(
            damage.as_deref(),
            Some("truncated dump file; tried to read 3 captured bytes, only got 2")
        );
    }

    #[test]
    fn pcapng_keeps_nanoseconds() {
        let devices = [("veth-1-a", LinkType::Ethernet), ("br0", LinkType::Ethernet)];
        let mut capture = Capture::new(&devices, None);
        capture.packet(1, &packet(), Way::Out);
        let file = read(&capture.finish()).expect("readable");
        assert_eq!(file.packets[0].time, packet().time);
        assert_eq!(file.damage, None);
    }
}
