//! FTP: reads on the control connection where the next data connection will go (RFC 959, RFC 2428).
//!
//! Kernel: net/netfilter/nf_conntrack_ftp.c

use std::net::Ipv4Addr;

use glassnet_wire::ipv4::IPPROTO_TCP;
use glassnet_wire::tcp::TcpHdr;
use zerocopy::FromBytes;

use super::nf_conntrack_expect::{Expected, nf_ct_expect_related};
use super::nf_nat_ftp::nf_nat_ftp;
use super::nf_nat_helper::nf_nat_follow_master;
use crate::Cx;
use crate::door::Func;
use crate::hook::Verdict;
use crate::ids::SkbId;
use crate::module::{HelperOps, Module};
use crate::tables::conntrack::extend::CtHelper;
use crate::tables::conntrack::{CtId, CtInfo, Dir, IPS_NAT_MASK, Tuple};
use crate::tables::drop_reason::DropReason;

/// The helper.
pub static FTP: CtHelper = CtHelper { name: "ftp", proto: IPPROTO_TCP, max_expected: 1, timeout: 5 * 60 };

/// The module. The target `CT` loads it.
pub static MODULE: Module = Module {
    helpers: &[&HelperOps { helper: &FTP, help, expectfn: nf_nat_follow_master }],
    ..Module::named("nf_conntrack_ftp")
};

/// A command or an answer that announces a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `PORT 10,0,0,1,78,32`.
    Port,
    /// `227 … (10,0,0,1,78,32)`, the answer to `PASV`.
    Pasv,
    /// `EPRT |1|10.0.0.1|20000|`.
    Eprt,
    /// `229 … (|||20000|)`, the answer to `EPSV`.
    Epsv,
}

/// What a line announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Announced {
    pub kind: Kind,
    /// Offset and length of address and port in the payload, as they are written.
    pub place: (usize, usize),
    /// The address; `EPSV` tells none.
    address: Option<Ipv4Addr>,
    port: u16,
}

/// Result of reading a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    /// The line begins like one that announces a connection, but it is cut off or malformed.
    Partial,
    Announced(Announced),
}

/// Address and port as read, and how many bytes they are.
type Numbers = (Option<Ipv4Addr>, u16, usize);

/// The lines of a direction that announce a connection.
fn search(dir: Dir) -> [(Kind, &'static str); 2] {
    match dir {
        Dir::Original => [(Kind::Port, "PORT"), (Kind::Eprt, "EPRT")],
        Dir::Reply => [(Kind::Pasv, "227 "), (Kind::Epsv, "229 ")],
    }
}

/// Reads a segment of a control connection (`help`).
fn help(cx: &mut Cx, skb: SkbId, dataoff: usize, id: CtId, info: CtInfo) -> Verdict {
    if !matches!(info, CtInfo::Established | CtInfo::EstablishedReply) {
        return Verdict::Accept;
    }
    cx.call(Func::NfConntrackFtp, skb);
    let segment = cx.skbs.data(skb).get(dataoff..).unwrap_or(&[]);
    let Ok((tcp, _)) = TcpHdr::ref_from_prefix(segment) else { return Verdict::Accept };
    let payload = segment.get(tcp.header_len()..).unwrap_or(&[]);
    let Some(&last) = payload.last() else { return Verdict::Accept };
    let dir = info.dir();
    let (seq, next) = (tcp.seq.get(), tcp.seq.get().wrapping_add(payload.len() as u32));
    let begins_line =
        cx.k.conntrack
            .get(id)
            .and_then(|conn| conn.help())
            .is_some_and(|help| help.ftp.seq_aft_nl[dir as usize].contains(&seq));
    let mut verdict = Verdict::Accept;
    if begins_line {
        match find(dir, payload) {
            Found::Nothing => {}
            Found::Partial => return Verdict::Drop(DropReason::NetfilterDrop),
            Found::Announced(announced) => verdict = expect(cx, skb, (id, info), &announced),
        }
    }
    if last == b'\n' {
        update_nl_seq(cx, id, dir, next);
    }
    verdict
}

/// A line ends before this sequence number (`update_nl_seq`): the last two of a direction are remembered.
fn update_nl_seq(cx: &mut Cx, id: CtId, dir: Dir, nl_seq: u32) {
    let Some(conn) = cx.k.conntrack.get_mut(id) else { return };
    let Some(help) = &mut conn.ext_mut().help else { return };
    let known = &mut help.ftp.seq_aft_nl[dir as usize];
    let is_before = |a: u32, b: u32| (a.wrapping_sub(b) as i32) < 0;
    match known.as_mut_slice() {
        known if known.contains(&nl_seq) => {}
        [one, other] => {
            let oldest = if is_before(*one, *other) { one } else { other };
            if is_before(*oldest, nl_seq) {
                *oldest = nl_seq;
            }
        }
        _ => known.push(nl_seq),
    }
}

/// Expects the announced connection, with NAT if the control connection has it.
fn expect(cx: &mut Cx, skb: SkbId, (id, info): (CtId, CtInfo), announced: &Announced) -> Verdict {
    let Some(conn) = cx.k.conntrack.get(id) else { return Verdict::Accept };
    let (own, other) = (*conn.tuple(info.dir()), *conn.tuple(info.dir().other()));
    if announced.address.is_some_and(|address| address != own.src) {
        // An address of another host: that would open a way to it (parameter `loose`).
        return Verdict::Accept;
    }
    let tuple = Tuple { src: other.src, dst: other.dst, sport: 0, dport: announced.port, proto: IPPROTO_TCP };
    let expected = Expected { master: id, tuple, nat: None };
    if cx.k.config.nf_nat_ftp && conn.has(IPS_NAT_MASK) {
        return nf_nat_ftp(cx, skb, (id, info), announced, expected);
    }
    match nf_ct_expect_related(cx, expected) {
        Ok(()) => Verdict::Accept,
        Err(_) => Verdict::Drop(DropReason::NetfilterDrop),
    }
}

/// The first of a direction's lines that the payload is, if not whole.
fn find(dir: Dir, payload: &[u8]) -> Found {
    let found =
        search(dir).into_iter().map(|(kind, pattern)| find_pattern(kind, pattern.as_bytes(), payload));
    found.into_iter().find(|found| *found != Found::Nothing).unwrap_or(Found::Nothing)
}

fn find_pattern(kind: Kind, pattern: &[u8], payload: &[u8]) -> Found {
    let len = pattern.len();
    if payload.len() <= len {
        let begins = pattern[..payload.len()].eq_ignore_ascii_case(payload);
        return if begins { Found::Partial } else { Found::Nothing };
    }
    if !payload[..len].eq_ignore_ascii_case(pattern) {
        return Found::Nothing;
    }
    let rest = &payload[len..];
    let behind = |skip: u8| rest.iter().position(|byte| *byte == skip).map(|at| at + 1);
    let start = match kind {
        Kind::Port | Kind::Eprt => behind(b' '),
        Kind::Epsv => behind(b'('),
        // RFC 1123: the text before the numbers may be anything.
        Kind::Pasv => rest.iter().position(u8::is_ascii_digit),
    };
    let Some(start) = start else { return Found::Partial };
    let numbers = match kind {
        Kind::Port => read_port(&rest[start..], Some(b'\r')),
        Kind::Pasv => read_port(&rest[start..], None),
        Kind::Eprt => read_eprt(&rest[start..]),
        Kind::Epsv => read_epsv(&rest[start..]),
    };
    match numbers {
        Some((address, port, size)) => {
            Found::Announced(Announced { kind, place: (len + start, size), address, port })
        }
        None => Found::Partial,
    }
}

/// `N` numbers with a separator between them, and how many bytes they are; behind them stands `term`, or any other
/// character (`try_number`).
fn read_numbers<const N: usize>(text: &[u8], sep: u8, term: Option<u8>) -> Option<([u32; N], usize)> {
    let (mut numbers, mut at) = ([0u32; N], 0);
    for (len, &byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                numbers[at] = numbers[at].wrapping_mul(10).wrapping_add(u32::from(byte - b'0'));
            }
            _ if byte == sep && at + 1 < N => at += 1,
            _ if byte == sep => return None,
            _ => return (at == N - 1 && term.is_none_or(|term| term == byte)).then_some((numbers, len)),
        }
    }
    None
}

fn address([a, b, c, d]: [u32; 4]) -> Ipv4Addr {
    Ipv4Addr::from_bits(a << 24 | b << 16 | c << 8 | d)
}

/// `10,0,0,1,78,32` (`try_rfc959`).
fn read_port(text: &[u8], term: Option<u8>) -> Option<Numbers> {
    let ([a, b, c, d, high, low], len) = read_numbers::<6>(text, b',', term)?;
    Some((Some(address([a, b, c, d])), (high << 8 | low) as u16, len))
}

/// The character between the parts of `EPRT` and `EPSV`.
fn delimiter(text: &[u8]) -> Option<u8> {
    text.first().copied().filter(|byte| text.len() > 3 && byte.is_ascii_graphic() && !byte.is_ascii_digit())
}

/// `|1|10.0.0.1|20000|` (`try_eprt`).
fn read_eprt(text: &[u8]) -> Option<Numbers> {
    let delim = delimiter(text)?;
    if text[1] != b'1' || text[2] != delim {
        return None;
    }
    let (parts, len) = read_numbers::<4>(&text[3..], b'.', Some(delim))?;
    let (port, end) = read_last_port(text, 3 + len + 1, delim)?;
    Some((Some(address(parts)), port, end))
}

/// `|||20000|` (`try_epsv_response`).
fn read_epsv(text: &[u8]) -> Option<Numbers> {
    let delim = delimiter(text)?;
    if text[1] != delim || text[2] != delim {
        return None;
    }
    let (port, end) = read_last_port(text, 3, delim)?;
    Some((None, port, end))
}

/// The port that begins at `start`, and where the delimiter behind it ends (`get_port`). Port 0 is none.
fn read_last_port(text: &[u8], start: usize, delim: u8) -> Option<(u16, usize)> {
    let mut port = 0u16;
    for (at, &byte) in text.iter().enumerate().skip(start) {
        match byte {
            _ if byte == delim => return (port != 0).then_some((port, at + 1)),
            b'0'..=b'9' => port = port.wrapping_mul(10).wrapping_add(u16::from(byte - b'0')),
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(dir: Dir, line: &str) -> Option<(Kind, String, Option<String>, u16)> {
        match find(dir, line.as_bytes()) {
            Found::Announced(Announced { kind, place: (at, len), address, port }) => {
                Some((kind, line[at..at + len].to_owned(), address.map(|address| address.to_string()), port))
            }
            Found::Nothing | Found::Partial => None,
        }
    }

    #[test]
    fn announcements_are_read_as_they_are_written() {
        let some = |kind, place: &str, address: &str, port| {
            let address = Some(address.to_owned()).filter(|address| !address.is_empty());
            Some((kind, place.to_owned(), address, port))
        };
        let port = some(Kind::Port, "10,0,1,2,78,32", "10.0.1.2", 20_000);
        assert_eq!(read(Dir::Original, "PORT 10,0,1,2,78,32\r\n"), port);
        assert_eq!(read(Dir::Original, "port  10,0,1,2,78,32\r\n"), None, "one space only");
        assert_eq!(read(Dir::Original, "port 10,0,1,2,78,32\r\n"), port);
        assert_eq!(read(Dir::Original, "PORT 10,0,1,2,78,32\n"), None, "a line ends with CR");
        assert_eq!(read(Dir::Reply, "PORT 10,0,1,2,78,32\r\n"), None);
        let pasv = some(Kind::Pasv, "10,0,2,2,78,33", "10.0.2.2", 20_001);
        assert_eq!(read(Dir::Reply, "227 Entering Passive Mode (10,0,2,2,78,33)\r\n"), pasv);
        assert_eq!(read(Dir::Reply, "227 x =10,0,2,2,78,33\r\n"), pasv);
        let eprt = some(Kind::Eprt, "|1|10.0.1.2|20002|", "10.0.1.2", 20_002);
        assert_eq!(read(Dir::Original, "EPRT |1|10.0.1.2|20002|\r\n"), eprt);
        assert_eq!(read(Dir::Original, "EPRT |2|::1|20002|\r\n"), None, "IPv6");
        let epsv = some(Kind::Epsv, "|||20034|", "", 20_034);
        assert_eq!(read(Dir::Reply, "229 Extended (|||20034|)\r\n"), epsv);
        assert_eq!(read(Dir::Reply, "229 Extended (|||0|)\r\n"), None);
    }

    #[test]
    fn what_is_cut_off_is_partial() {
        for line in ["P", "PORT", "PORT 10,0,1,2,78,32", "PORT 10,0,1,2,78,", "PORT10", "eprt |1|10.0.1.2|"] {
            assert_eq!(find(Dir::Original, line.as_bytes()), Found::Partial, "{line}");
        }
        for line in ["22", "227 Entering", "229 (|||2", "229 |||20034|"] {
            assert_eq!(find(Dir::Reply, line.as_bytes()), Found::Partial, "{line}");
        }
        for (dir, line) in
            [(Dir::Original, "USER a\r\n"), (Dir::Original, "227 "), (Dir::Reply, "220 hi\r\n")]
        {
            assert_eq!(find(dir, line.as_bytes()), Found::Nothing, "{line}");
        }
    }
}
