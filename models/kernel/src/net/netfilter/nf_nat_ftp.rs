//! NAT of FTP: announced addresses and ports become those that the other end can reach.
//!
//! Kernel: net/netfilter/nf_nat_ftp.c

use super::nf_conntrack_expect::Expected;
use super::nf_conntrack_ftp::{Announced, Kind};
use super::nf_nat_helper::{nf_nat_exp_find_port, nf_nat_mangle_tcp_packet};
use crate::Cx;
use crate::door::Func;
use crate::hook::Verdict;
use crate::ids::SkbId;
use crate::module::Module;
use crate::tables::conntrack::expect::ExpectNat;
use crate::tables::conntrack::{CtId, CtInfo};
use crate::tables::drop_reason::DropReason;

/// The module. Nothing loads it by itself: without it, packets keep the addresses that they announce.
pub static MODULE: Module = Module { init: Some(nf_nat_ftp_init), ..Module::named("nf_nat_ftp") };

fn nf_nat_ftp_init(cx: &mut Cx) {
    cx.k.config.nf_nat_ftp = true;
}

/// Expects the connection at an address of this side of NAT, and writes that into the packet.
pub(super) fn nf_nat_ftp(
    cx: &mut Cx,
    skb: SkbId,
    (id, info): (CtId, CtInfo),
    announced: &Announced,
    mut expected: Expected,
) -> Verdict {
    cx.call(Func::NfNatFtp, skb);
    let drop = Verdict::Drop(DropReason::NetfilterDrop);
    let other = info.dir().other();
    let Some(conn) = cx.k.conntrack.get(id) else { return drop };
    let address = conn.tuple(other).dst;
    expected.nat = Some(ExpectNat { dir: other, saved_port: expected.tuple.dport });
    let Some(port) = nf_nat_exp_find_port(cx, expected, expected.tuple.dport) else { return drop };
    let text = match announced.kind {
        Kind::Port | Kind::Pasv => {
            let [a, b, c, d] = address.octets();
            format!("{a},{b},{c},{d},{},{}", port >> 8, port & 0xff)
        }
        Kind::Eprt => format!("|1|{address}|{port}|"),
        Kind::Epsv => format!("|||{port}|"),
    };
    match nf_nat_mangle_tcp_packet(cx, skb, (id, info), announced.place, text.as_bytes()) {
        true => Verdict::Accept,
        false => drop,
    }
}
