//! Packets as lines of the kernel log.
//!
//! Kernel: net/netfilter/nf_log_syslog.c

use std::fmt::Write;
use std::net::Ipv4Addr;

use glassnet_wire::eth::ETH_HLEN;
use glassnet_wire::ipv4::{IP_DF, IP_MF, IP_OFFSET, IPV4_HLEN, Ipv4Hdr};
use glassnet_wire::tcp::{TCP_HLEN, TcpHdr};
use zerocopy::FromBytes;

use crate::Cx;
use crate::extension::Par;
use crate::ids::DevId;
use crate::kernel::INIT_NET;
use crate::note::Note;
use crate::sysctl::{Shown, Sysctl, SysctlTable};

/// `nf_log_all_netns`.
pub static SYSCTLS: SysctlTable = SysctlTable::new(
    "net/netfilter",
    &[Sysctl::new(
        "nf_log_all_netns",
        |k, _, _| i64::from(k.log.nf_log_all_netns),
        |cx, _, _, value| {
            cx.k.log.nf_log_all_netns = value as i32;
            Ok(())
        },
    )
    .shown(Shown::InInit)],
);

/// What a line contains besides the plain headers (`NF_LOG_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogFlags {
    /// Sequence numbers of TCP.
    pub tcp_sequence: bool,
    /// Options of TCP, in hexadecimal.
    pub tcp_options: bool,
    /// Options of IPv4, in hexadecimal.
    pub ip_options: bool,
    /// User and group of the sender.
    pub uid: bool,
    /// The Ethernet header, field by field.
    pub macdecode: bool,
}

/// Flags of `TRACE` (`NF_LOG_DEFAULT_MASK`).
pub const LOG_DEFAULT: LogFlags =
    LogFlags { tcp_sequence: true, tcp_options: true, ip_options: true, uid: true, macdecode: false };

/// Logs a packet (`nf_log_packet`, `nf_log_ip_packet`). Other namespaces than the initial one log only with
/// `nf_log_all_netns`; the detail view shows the line in any case.
pub fn nf_log_packet(cx: &mut Cx, par: &Par, level: u8, flags: LogFlags, prefix: &str) {
    let heard = par.state.netns == INIT_NET || cx.k.log.nf_log_all_netns != 0;
    if !heard && !cx.observed {
        return;
    }
    let line = line(cx, par, flags, prefix);
    cx.note(|_| Note::Log { heard, line: line.clone() });
    if heard {
        cx.printk(level, line);
    }
}

/// Logs a rule that a traced packet matched (`nf_log_trace` in `trace_packet`). `chain` is the chain's name, `what` is
/// `rule`, `return` or `policy`, `number` is the rule's number, from 1.
pub fn nf_log_trace(cx: &mut Cx, par: &Par, chain: &str, what: &str, number: usize) {
    let prefix = format!("TRACE: {}:{chain}:{what}:{number} ", par.table.name());
    nf_log_packet(cx, par, crate::tables::klog::LOG_WARNING, LOG_DEFAULT, &prefix);
}

fn line(cx: &Cx, par: &Par, flags: LogFlags, prefix: &str) -> String {
    let name = |dev: Option<DevId>| dev.and_then(|dev| cx.k.devs.get(dev)).map_or("", |dev| &dev.name);
    let (input, output) = (par.state.input, par.state.output);
    let mut out = format!("{prefix}IN={} OUT={} ", name(input), name(output));
    if let Some(bridge) = cx.skbs[par.skb].nf_bridge {
        if bridge.physin.is_some() && bridge.physin != input {
            let _ = write!(out, "PHYSIN={} ", name(bridge.physin));
        }
        if bridge.physout.is_some() && bridge.physout != output {
            let _ = write!(out, "PHYSOUT={} ", name(bridge.physout));
        }
    }
    if input.is_some() {
        mac_header(cx, par, flags, &mut out);
    }
    let pkt = &cx.skbs[par.skb];
    let bytes = &cx.skbs.bufs.bytes(pkt.buf)[pkt.network_header as usize..pkt.tail as usize];
    let complete = Dump { bytes, flags, out: &mut out }.ipv4(0);
    if complete {
        if flags.uid
            && pkt.sk.and_then(|sk| cx.k.sockets.get(sk)).is_some_and(|sk| sk.netns == par.state.netns)
        {
            out.push_str("UID=0 GID=0 ");
        }
        if pkt.mark != 0 {
            let _ = write!(out, "MARK={:#x} ", pkt.mark);
        }
    }
    out
}

/// Kernel: `dump_mac_header`
fn mac_header(cx: &Cx, par: &Par, flags: LogFlags, out: &mut String) {
    let pkt = &cx.skbs[par.skb];
    let at = pkt.mac_header as usize;
    let frame = cx.skbs.bufs.bytes(pkt.buf).get(at..at + ETH_HLEN);
    let frame = frame.filter(|_| pkt.mac_header != pkt.network_header);
    if flags.macdecode
        && let Some(frame) = frame
        && !cx.k.devs[pkt.dev].is_loopback()
    {
        let proto = u16::from_be_bytes([frame[12], frame[13]]);
        let (dest, source) = (hex(&frame[..6], ":"), hex(&frame[6..12], ":"));
        let _ = write!(out, "MACSRC={source} MACDST={dest} MACPROTO={proto:04x} ");
        return;
    }
    let _ = write!(out, "MAC={} ", frame.map(|frame| hex(frame, ":")).unwrap_or_default());
}

fn hex(bytes: &[u8], between: &str) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(between)
}

fn hex_upper(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Formats the bytes from the IPv4 header on.
struct Dump<'a> {
    bytes: &'a [u8],
    flags: LogFlags,
    out: &'a mut String,
}

impl Dump<'_> {
    /// Writes the IPv4 packet at this offset, 0 or that of a packet quoted by an ICMP error (`dump_ipv4_packet`); false if
    /// it is truncated.
    fn ipv4(&mut self, at: usize) -> bool {
        let Some((iph, _)) = self.bytes.get(at..).and_then(|b| Ipv4Hdr::read_from_prefix(b).ok()) else {
            self.out.push_str("TRUNCATED");
            return false;
        };
        self.addresses(&iph);
        let fragment = iph.frag_off.get() & IP_OFFSET;
        if fragment != 0 {
            let _ = write!(self.out, "FRAG:{fragment} ");
        }
        let header_len = iph.header_len();
        if self.flags.ip_options && header_len > IPV4_HLEN {
            let Some(options) = self.bytes.get(at + IPV4_HLEN..at + header_len) else {
                self.out.push_str("TRUNCATED");
                return false;
            };
            let _ = write!(self.out, "OPT ({}) ", hex_upper(options));
        }
        let payload = at + header_len;
        match iph.protocol {
            6 => self.tcp(payload, fragment != 0),
            17 => self.udp("UDP", payload, fragment != 0),
            136 => self.udp("UDPLITE", payload, fragment != 0),
            1 => {
                self.out.push_str("PROTO=ICMP ");
                if fragment == 0 {
                    self.icmp(at, payload);
                }
                true
            }
            // A fragment of AH is logged without its protocol.
            51 if fragment != 0 => true,
            51 => self.spi("AH", payload, 4, 12, false),
            50 => self.spi("ESP", payload, 0, 8, fragment != 0),
            protocol => {
                let _ = write!(self.out, "PROTO={protocol} ");
                true
            }
        }
    }

    fn addresses(&mut self, iph: &Ipv4Hdr) {
        let (saddr, daddr) = (iph.saddr.get(), iph.daddr.get());
        let _ = write!(
            self.out,
            "SRC={saddr} DST={daddr} LEN={} TOS=0x{:02X} PREC=0x{:02X} TTL={} ID={} ",
            iph.tot_len.get(),
            iph.tos & 0x1e,
            iph.tos & 0xe0,
            iph.ttl,
            iph.id.get(),
        );
        for (bit, name) in [(0x8000, "CE "), (IP_DF, "DF "), (IP_MF, "MF ")] {
            if iph.frag_off.get() & bit != 0 {
                self.out.push_str(name);
            }
        }
    }

    /// Behind the end the number of bytes wraps round, as in Linux.
    fn incomplete(&mut self, at: usize) -> bool {
        let _ = write!(self.out, "INCOMPLETE [{} bytes] ", (self.bytes.len() as u32).wrapping_sub(at as u32));
        false
    }

    fn word16(&self, at: usize) -> u16 {
        self.bytes.get(at..at + 2).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]))
    }

    fn word32(&self, at: usize) -> u32 {
        u32::from(self.word16(at)) << 16 | u32::from(self.word16(at + 2))
    }

    /// Kernel: `nf_log_dump_tcp_header`
    fn tcp(&mut self, at: usize, fragment: bool) -> bool {
        self.out.push_str("PROTO=TCP ");
        if fragment {
            return true;
        }
        let Some((th, _)) = self.bytes.get(at..).and_then(|b| TcpHdr::read_from_prefix(b).ok()) else {
            return self.incomplete(at);
        };
        let _ = write!(self.out, "SPT={} DPT={} ", th.source.get(), th.dest.get());
        if self.flags.tcp_sequence {
            let _ = write!(self.out, "SEQ={} ACK={} ", th.seq.get(), th.ack_seq.get());
        }
        let reserved = (th.doff_res & 0x0f) << 2;
        let _ = write!(self.out, "WINDOW={} RES=0x{reserved:02x} ", th.window.get());
        for (at, name) in ["CWR ", "ECE ", "URG ", "ACK ", "PSH ", "RST ", "SYN ", "FIN "].iter().enumerate()
        {
            if th.flags & (0x80 >> at) != 0 {
                self.out.push_str(name);
            }
        }
        let _ = write!(self.out, "URGP={} ", th.urg_ptr.get());
        if self.flags.tcp_options && th.header_len() > TCP_HLEN {
            let Some(options) = self.bytes.get(at + TCP_HLEN..at + th.header_len()) else {
                self.out.push_str("OPT (TRUNCATED)");
                return false;
            };
            let _ = write!(self.out, "OPT ({}) ", hex_upper(options));
        }
        true
    }

    /// Kernel: `nf_log_dump_udp_header`
    fn udp(&mut self, name: &str, at: usize, fragment: bool) -> bool {
        let _ = write!(self.out, "PROTO={name} ");
        if fragment {
            return true;
        }
        if self.bytes.len() < at + 8 {
            return self.incomplete(at);
        }
        let (source, dest, len) = (self.word16(at), self.word16(at + 2), self.word16(at + 4));
        let _ = write!(self.out, "SPT={source} DPT={dest} LEN={len} ");
        true
    }

    fn spi(&mut self, name: &str, at: usize, spi: usize, need: usize, fragment: bool) -> bool {
        let _ = write!(self.out, "PROTO={name} ");
        if fragment {
            return true;
        }
        if self.bytes.len() < at + need {
            self.incomplete(at);
            return true;
        }
        let spi = self.word32(at + spi);
        let _ = write!(self.out, "SPI={spi:#x} ");
        true
    }

    fn icmp(&mut self, packet: usize, at: usize) {
        let Some(&[kind, code]) = self.bytes.get(at..at + 8).and_then(|b| b.first_chunk::<2>()) else {
            self.incomplete(at);
            return;
        };
        let _ = write!(self.out, "TYPE={kind} CODE={code} ");
        if self.bytes.len() - at < icmp_len(kind) {
            self.incomplete(at);
            return;
        }
        match kind {
            0 | 8 => {
                let _ = write!(self.out, "ID={} SEQ={} ", self.word16(at + 4), self.word16(at + 6));
            }
            12 => {
                let _ = write!(self.out, "PARAMETER={} ", self.word16(at + 4) >> 8);
            }
            3 | 4 | 5 | 11 => {
                if kind == 5 {
                    let _ = write!(self.out, "GATEWAY={} ", Ipv4Addr::from_bits(self.word32(at + 4)));
                }
                if packet == 0 {
                    self.out.push('[');
                    self.ipv4(at + 8);
                    self.out.push_str("] ");
                }
                if (kind, code) == (3, 4) {
                    let _ = write!(self.out, "MTU={} ", self.word16(at + 6));
                }
            }
            _ => {}
        }
    }
}

/// Minimum length of an ICMP message of this type, bytes.
fn icmp_len(kind: u8) -> usize {
    match kind {
        0 | 8 => 4,
        3 | 4 | 5 | 11 | 12 => 8 + IPV4_HLEN,
        13 | 14 => 20,
        17 | 18 => 12,
        _ => 0,
    }
}
