//! What a card finds of the checksum of TCP or UDP in a frame that it receives.
//!
//! Source: Intel 82574 datasheet, 7.1.10 (receive packet checksum off loading).

use glassnet_wire::checksum::{fold, pseudo_header, sum};
use glassnet_wire::eth::{ETH_HLEN, ETH_P_IP, EthHdr};
use glassnet_wire::ipv4::{IP_MF, IP_OFFSET, IPPROTO_TCP, IPPROTO_UDP, Ipv4Hdr};
use zerocopy::FromBytes;

/// Where the checksum of UDP lies in its header, bytes.
const UDP_CHECK: usize = 6;

/// The checksum is right, or not; `None`: there is none to look at, as in a fragment or in UDP that was sent without.
pub fn verify(frame: &[u8]) -> Option<bool> {
    let (eth, _) = EthHdr::read_from_prefix(frame).ok()?;
    if eth.h_proto.get() != ETH_P_IP {
        return None;
    }
    let packet = &frame[ETH_HLEN..];
    let (ip, _) = Ipv4Hdr::read_from_prefix(packet).ok()?;
    if ip.frag_off.get() & (IP_MF | IP_OFFSET) != 0 {
        return None;
    }
    let segment = packet.get(ip.header_len()..usize::from(ip.tot_len.get()))?;
    match ip.protocol {
        IPPROTO_TCP => {}
        IPPROTO_UDP if segment.get(UDP_CHECK..UDP_CHECK + 2)? != [0, 0] => {}
        _ => return None,
    }
    let pseudo = pseudo_header(ip.saddr.get(), ip.daddr.get(), ip.protocol, segment.len() as u16);
    Some(fold(sum(pseudo, segment)) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A datagram of 10 bytes from 10.0.0.1 port 1 to 10.0.0.2 port 2 with this checksum, in a frame with padding.
    fn datagram(check: u16) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([8, 0, 0x45, 0, 0, 30, 0, 0, 0, 0, 64, IPPROTO_UDP, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend([0, 1, 0, 2, 0, 10]);
        frame.extend(check.to_be_bytes());
        frame.extend(*b"hi");
        frame.resize(60, 0xff);
        frame
    }

    #[test]
    fn a_sum_is_right_wrong_or_not_there() {
        let right = fold(sum(
            pseudo_header([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 17, 10),
            &datagram(0)[34..44],
        ));
        assert_eq!(verify(&datagram(right)), Some(true));
        assert_eq!(verify(&datagram(right ^ 1)), Some(false));
        assert_eq!(verify(&datagram(0)), None, "sent without");
        let mut fragment = datagram(right);
        fragment[20] = 0x20;
        let mut ping = datagram(right);
        ping[23] = 1;
        let mut arp = datagram(right);
        arp[13] = 6;
        assert_eq!([fragment.as_slice(), &ping, &arp, &datagram(right)[..40], &[]].map(verify), [None; 5]);
    }
}
