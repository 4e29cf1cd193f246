//! Receive side scaling: which receive queue a frame gets.
//!
//! Source: Microsoft, "RSS hash functions" and "Verifying the RSS hash calculation"; Intel 82576 datasheet, 7.1.2.8.

use glassnet_wire::eth::{ETH_HLEN, ETH_P_IP, EthHdr};
use glassnet_wire::ipv4::{IP_MF, IP_OFFSET, IPPROTO_TCP, IPPROTO_UDP, Ipv4Hdr};
use zerocopy::FromBytes;

/// Bytes of the key.
pub const KEY_BYTES: usize = 40;
/// Entries of the indirection table.
pub const TABLE: usize = 128;

/// Which fields of a packet are hashed beside its addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HashFields {
    /// Ports of TCP.
    pub tcp_ports: bool,
    /// Ports of UDP.
    pub udp_ports: bool,
}

/// Key, indirection table and hashed fields of a card.
#[derive(Clone, Debug)]
pub struct Rss {
    /// The secret of the hash.
    pub key: [u8; KEY_BYTES],
    /// Queue of each value of the hash's low seven bits.
    pub indirection: [u8; TABLE],
    /// What is hashed.
    pub fields: HashFields,
}

impl Rss {
    /// Spreads over `queues` queues in turn, with ports of TCP.
    pub fn new(key: [u8; KEY_BYTES], queues: usize) -> Rss {
        let fields = HashFields { tcp_ports: true, udp_ports: false };
        let mut rss = Rss { key, indirection: [0; TABLE], fields };
        rss.spread(queues);
        rss
    }

    /// Fills the indirection table with as many runs of equal length as there are queues.
    pub fn spread(&mut self, queues: usize) {
        for (at, queue) in self.indirection.iter_mut().enumerate() {
            *queue = (at * queues / TABLE) as u8;
        }
    }

    /// Hash of a frame, and whether ports are in it; `None`: it is no IPv4, and goes to the first queue.
    pub fn hash(&self, frame: &[u8]) -> Option<(u32, bool)> {
        let (eth, _) = EthHdr::read_from_prefix(frame).ok()?;
        if eth.h_proto.get() != ETH_P_IP {
            return None;
        }
        let (ip, _) = Ipv4Hdr::read_from_prefix(frame.get(ETH_HLEN..)?).ok()?;
        let addresses = &frame[ETH_HLEN + 12..ETH_HLEN + 20];
        let with_ports = match ip.protocol {
            IPPROTO_TCP => self.fields.tcp_ports,
            IPPROTO_UDP => self.fields.udp_ports,
            _ => false,
        };
        let is_whole = ip.frag_off.get() & (IP_MF | IP_OFFSET) == 0;
        let at = ETH_HLEN + ip.header_len();
        let ports = frame.get(at..at + 4).filter(|_| with_ports && is_whole);
        // Addresses and ports are hashed as they stand in the packet, sources first.
        let input = [addresses, ports.unwrap_or_default()].concat();
        Some((toeplitz(&self.key, &input), ports.is_some()))
    }

    /// Queue of a hash.
    pub fn queue(&self, hash: u32) -> usize {
        usize::from(self.indirection[hash as usize % TABLE])
    }
}

/// Toeplitz hash: for each bit of the input that is set, the 32 bits of the key that begin there.
pub fn toeplitz(key: &[u8; KEY_BYTES], input: &[u8]) -> u32 {
    let mut hash = 0;
    let mut window = u32::from_be_bytes([key[0], key[1], key[2], key[3]]);
    for (at, byte) in input.iter().enumerate() {
        let next = key[at + 4];
        for bit in (0..8).rev() {
            if byte >> bit & 1 == 1 {
                hash ^= window;
            }
            window = window << 1 | u32::from(next >> bit & 1);
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and three of the packets with which Microsoft lets drivers be checked.
    const KEY: [u8; KEY_BYTES] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0,
        0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42,
        0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ];
    type Packet = ([u8; 4], u16, [u8; 4], u16);
    const PACKETS: [(Packet, u32, u32); 3] = [
        (([66, 9, 149, 187], 2794, [161, 142, 100, 80], 1766), 0x323e_8fc2, 0x51cc_c178),
        (([199, 92, 111, 2], 14230, [65, 69, 140, 83], 4739), 0xd718_262a, 0xc626_b0ea),
        (([24, 19, 198, 95], 12898, [12, 22, 207, 184], 38024), 0xd2d0_a5de, 0x5c2b_394a),
    ];

    fn frame((source, sport, dest, dport): Packet, protocol: u8) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([8, 0, 0x45, 0, 0, 24, 0, 0, 0, 0, 64, protocol, 0, 0]);
        frame.extend([source, dest].concat());
        frame.extend([sport, dport].map(u16::to_be_bytes).concat());
        frame
    }

    #[test]
    fn hashes_are_those_that_drivers_are_checked_with() {
        let rss = Rss::new(KEY, 4);
        for (packet, addresses, with_ports) in PACKETS {
            assert_eq!(rss.hash(&frame(packet, IPPROTO_TCP)), Some((with_ports, true)));
            assert_eq!(
                rss.hash(&frame(packet, IPPROTO_UDP)),
                Some((addresses, false)),
                "UDP: addresses only"
            );
        }
    }

    #[test]
    fn what_is_no_whole_packet_of_ports_is_hashed_by_addresses_or_not_at_all() {
        let rss = Rss::new(KEY, 4);
        let (packet, addresses, _) = PACKETS[0];
        let mut fragment = frame(packet, IPPROTO_TCP);
        fragment[20] = 0x20;
        assert_eq!(rss.hash(&fragment), Some((addresses, false)));
        let mut arp = frame(packet, IPPROTO_TCP);
        arp[13] = 6;
        assert_eq!([rss.hash(&arp), rss.hash(&fragment[..30]), rss.hash(&[])], [None; 3]);
    }

    #[test]
    fn the_table_is_shared_out_in_equal_runs() {
        let rss = Rss::new(KEY, 4);
        let queues: Vec<usize> = [0, 31, 32, 127, 128].map(|hash| rss.queue(hash)).to_vec();
        assert_eq!(queues, [0, 0, 1, 3, 0]);
    }
}
