//! Headers and checksums held against etherparse, for packets that nobody chose by hand.

use std::net::Ipv4Addr;

use etherparse::{ArpPacket, Ethernet2HeaderSlice, Ipv4HeaderSlice, PacketBuilder, UdpHeaderSlice};
use glassnet_wire::arp::{ARPOP_REQUEST, ArpHdr};
use glassnet_wire::checksum;
use glassnet_wire::eth::{ETH_P_IP, EthHdr};
use glassnet_wire::ipv4::{IPPROTO_UDP, IPV4_HLEN, InAddr, Ipv4Hdr, ip_send_check};
use glassnet_wire::udp::UdpHdr;
use glassnet_wire::{BufPool, Mac};
use proptest::prelude::*;
use zerocopy::{FromBytes, IntoBytes};

proptest! {
    #[test]
    fn headers_are_read_as_etherparse_writes_them(
        macs: ([u8; 6], [u8; 6]), addresses: ([u8; 4], [u8; 4]), ttl: u8, ports: (u16, u16),
        payload in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(macs.0, macs.1)
            .ipv4(addresses.0, addresses.1, ttl)
            .udp(ports.0, ports.1)
            .write(&mut frame, &payload)
            .unwrap();
        let (eth, rest) = EthHdr::ref_from_prefix(&frame).unwrap();
        let (ip, rest) = Ipv4Hdr::ref_from_prefix(rest).unwrap();
        let (udp, data) = UdpHdr::ref_from_prefix(rest).unwrap();
        prop_assert_eq!((eth.source().0, eth.dest().0, eth.h_proto.get()), (macs.0, macs.1, ETH_P_IP));
        prop_assert_eq!(ip.saddr.get().octets(), addresses.0);
        prop_assert_eq!(ip.daddr.get().octets(), addresses.1);
        prop_assert_eq!((ip.version(), ip.header_len(), ip.ttl), (4, IPV4_HLEN, ttl));
        prop_assert_eq!((udp.source.get(), udp.dest.get()), ports);
        prop_assert_eq!(data, payload.as_slice());
        prop_assert_eq!(checksum::checksum(&frame[14..34]), 0, "a header holds its own checksum");
        let pseudo = checksum::pseudo_header(ip.saddr.get(), ip.daddr.get(), IPPROTO_UDP, udp.len.get());
        prop_assert_eq!(checksum::fold(checksum::sum(pseudo, &frame[34..])), 0);
    }

    #[test]
    fn headers_are_written_as_etherparse_reads_them(
        macs: ([u8; 6], [u8; 6]), saddr: Ipv4Addr, daddr: Ipv4Addr, ttl in 1u8.., id: u16, tos: u8,
    ) {
        let mut frame = EthHdr::new(Mac(macs.0), Mac(macs.1), ETH_P_IP).as_bytes().to_vec();
        let ip = Ipv4Hdr {
            version_ihl: 0x45, tos, tot_len: 28.into(), id: id.into(), ttl, protocol: IPPROTO_UDP,
            saddr: InAddr::new(saddr), daddr: InAddr::new(daddr), ..Ipv4Hdr::default()
        };
        frame.extend(ip.as_bytes());
        frame.extend(UdpHdr { source: 1.into(), dest: 2.into(), len: 8.into(), check: 0.into() }.as_bytes());
        ip_send_check(&mut frame[14..]);
        let eth = Ethernet2HeaderSlice::from_slice(&frame).unwrap();
        let read = Ipv4HeaderSlice::from_slice(&frame[14..]).unwrap().to_header();
        prop_assert_eq!((eth.destination(), eth.source()), macs);
        prop_assert_eq!((read.source, read.destination), (saddr.octets(), daddr.octets()));
        prop_assert_eq!((read.time_to_live, read.identification), (ttl, id));
        prop_assert_eq!(read.header_checksum, read.calc_header_checksum());
        prop_assert_eq!(UdpHeaderSlice::from_slice(&frame[34..]).unwrap().destination_port(), 2);

        let (hop, _) = Ipv4Hdr::mut_from_prefix(&mut frame[14..]).unwrap();
        hop.decrease_ttl();
        let read = Ipv4HeaderSlice::from_slice(&frame[14..]).unwrap().to_header();
        prop_assert_eq!(read.time_to_live, ttl - 1);
        let exact = read.calc_header_checksum();
        // 0 and 0xffff are the same sum (RFC 1624).
        prop_assert!(read.header_checksum == exact || read.header_checksum ^ exact == 0xffff);
    }

    #[test]
    fn arp_is_written_as_etherparse_reads_it(sha: [u8; 6], sip: Ipv4Addr, tha: [u8; 6], tip: Ipv4Addr) {
        let arp = ArpHdr::new(ARPOP_REQUEST, (Mac(sha), sip), (Mac(tha), tip));
        let read = ArpPacket::read(&mut std::io::Cursor::new(arp.as_bytes())).unwrap();
        prop_assert_eq!(read.operation.0, ARPOP_REQUEST);
        prop_assert_eq!((read.sender_hw_addr(), read.sender_protocol_addr()), (&sha[..], &sip.octets()[..]));
        prop_assert_eq!((read.target_hw_addr(), read.target_protocol_addr()), (&tha[..], &tip.octets()[..]));
    }

    #[test]
    fn a_mac_address_survives_its_text(mac: [u8; 6]) {
        prop_assert_eq!(Mac(mac).to_string().parse(), Ok(Mac(mac)));
    }

    #[test]
    fn buffers_come_back_whatever_the_order(steps in prop::collection::vec((0u8..4, any::<prop::sample::Index>()), 0..100)) {
        let mut pool = BufPool::default();
        let mut held = Vec::new();
        for (step, which) in steps {
            match (step, held.is_empty()) {
                (0, _) | (_, true) => held.push(pool.alloc(8)),
                (1, _) => { let id = held[which.index(held.len())]; pool.hold(id); held.push(id); }
                (2, _) => { let copy = pool.copy_expand(held[which.index(held.len())], 3, 1); held.push(copy); }
                _ => pool.release(held.swap_remove(which.index(held.len()))),
            }
        }
        for id in held { pool.release(id); }
        prop_assert_eq!(pool.held(), 0);
    }
}
