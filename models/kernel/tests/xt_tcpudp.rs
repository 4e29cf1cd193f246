//! What `-m tcp`, `-m udp`, `-m sctp`, `-m ah` and `-m esp` look at, and which packets they drop at sight (`hotdrop`).

use glassnet_kernel::extension::{Par, XtMatch};
use glassnet_kernel::ids::{CpuId, MachineId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::net::ipv4::netfilter::ipt_ah::Ah;
use glassnet_kernel::net::netfilter::xt_esp::Esp;
use glassnet_kernel::net::netfilter::xt_sctp::{ChunkMatch, ChunkTypes, Sctp};
use glassnet_kernel::net::netfilter::xt_tcpudp::{Tcp, Udp};
use glassnet_kernel::tables::netfilter::{Hook, HookState, Site};
use glassnet_kernel::tables::xt::{Ports, TableName, Variant};
use glassnet_kernel::{Cx, World};
use glassnet_wire::ipv4::Ipv4Hdr;

use packets::{ipv4, udp};

mod packets;

/// A segment from port 1000 to 80 with these flags and options; its checksum is not looked at.
fn tcp(flags: u8, options: &[u8]) -> Vec<u8> {
    let mut segment = [1000_u16, 80].map(u16::to_be_bytes).concat();
    segment.extend([0; 8]);
    segment.extend([((20 + options.len()) as u8 / 4) << 4, flags, 0x20, 0, 0, 0, 0, 0]);
    segment.extend_from_slice(options);
    ipv4("10.0.0.1", "10.0.0.2", 6, &segment)
}

/// Whether the match fits, and whether it drops the packet at sight.
fn sees(variant: Variant, with: &mut impl XtMatch, packet: &[u8]) -> (bool, bool) {
    let mut world = World::new(1);
    world.add_machine("m", 1);
    world.enter(MachineId(0), CpuId(0), |cx: &mut Cx| {
        let skb = cx.skbs.alloc_skb(packet.len(), cx.k.netns[INIT_NET].loopback);
        cx.skbs.data_mut(skb).copy_from_slice(packet);
        let at = cx.skbs[skb].data;
        cx.skbs[skb].network_header = at;
        let iph = *cx.skbs.header::<Ipv4Hdr>(skb, at).expect("a header");
        let state = HookState {
            site: Site::IpLocalDeliver,
            hook: Hook::LocalIn,
            netns: INIT_NET,
            input: None,
            output: None,
        };
        let (thoff, fragoff) = (at + 20, iph.fragment_offset() as u16);
        let (hotdrop, copied) = (false, false);
        let mut par =
            Par { skb, state, table: TableName::Filter, variant, iph, thoff, fragoff, hotdrop, copied };
        (with.matches(cx, &mut par), par.hotdrop)
    })
}

fn legacy(with: &mut impl XtMatch, packet: &[u8]) -> (bool, bool) {
    sees(Variant::Legacy, with, packet)
}

fn ports(low: u16, high: u16, invert: bool) -> Ports {
    Ports { range: (low, high), invert }
}

#[test]
fn a_range_of_ports_has_both_its_ends() {
    let syn = tcp(2, &[]);
    for (range, fits) in [
        ((1000, 1000), true),
        ((999, 1000), true),
        ((1000, 1001), true),
        ((1001, 1002), false),
        ((1, 999), false),
    ] {
        for invert in [false, true] {
            let mut with = Tcp { sport: ports(range.0, range.1, invert), ..Tcp::default() };
            assert_eq!(legacy(&mut with, &syn), (fits != invert, false), "{range:?} {invert}");
            assert_eq!(sees(Variant::Nft, &mut with, &syn), (fits != invert, false), "{range:?} {invert}");
        }
    }
    let both = |sport, dport| Tcp {
        sport: ports(sport, sport, false),
        dport: ports(dport, dport, false),
        ..Tcp::default()
    };
    assert_eq!(legacy(&mut both(1000, 80), &syn), (true, false));
    assert_eq!(legacy(&mut both(1000, 81), &syn), (false, false));
    assert_eq!(legacy(&mut both(1001, 80), &syn), (false, false));
    let query = udp("10.0.0.1", 7, "10.0.0.2", 53, b"");
    for (sport, dport, fits) in [(7, 53, true), (7, 54, false), (8, 53, false)] {
        let mut with = Udp { sport: ports(sport, sport, false), dport: ports(dport, dport, false) };
        assert_eq!(legacy(&mut with, &query), (fits, false));
        assert_eq!(sees(Variant::Nft, &mut with, &query), (fits, false));
    }
}

/// `--tcp-flags MASK COMP`: of the flags in MASK, those in COMP are set and no others.
#[test]
fn flags_are_compared_under_their_mask() {
    for (flags, mask, compare, fits) in [
        (0x02, 0x17, 0x02, true),
        (0x12, 0x17, 0x02, false),
        (0x42, 0x17, 0x02, true),
        (0x10, 0x02, 0, true),
        (0, 0x3f, 0, true),
    ] {
        for invert in [false, true] {
            let mut with = Tcp { flags: Some((invert, mask, compare)), ..Tcp::default() };
            assert_eq!(legacy(&mut with, &tcp(flags, &[])), (fits != invert, false), "{flags:#x}");
            assert_eq!(
                sees(Variant::Nft, &mut with, &tcp(flags, &[])),
                (fits != invert, false),
                "{flags:#x}"
            );
        }
    }
}

/// `--tcp-option N`. NOP (1) and the end (0) have no length; a length of 0 counts as 1.
#[test]
fn an_option_is_looked_for_in_the_whole_header() {
    let has = |number: u8, options: &[u8]| {
        let found = legacy(&mut Tcp { option: Some((false, number)), ..Tcp::default() }, &tcp(2, options));
        let inverted = legacy(&mut Tcp { option: Some((true, number)), ..Tcp::default() }, &tcp(2, options));
        assert_eq!((found.1, inverted), (false, (!found.0, false)));
        found.0
    };
    let mss_then_sack = [2, 4, 5, 0xb4, 1, 1, 4, 2];
    assert!(has(2, &mss_then_sack) && has(4, &mss_then_sack) && has(1, &mss_then_sack));
    assert!(!has(3, &mss_then_sack) && !has(5, &mss_then_sack), "the value of an option is none");
    assert!(!has(2, &[]), "a header without options");
    assert!(has(9, &[3, 0, 9, 2]), "a length of 0 is one byte");
    assert!(has(7, &[1, 1, 1, 7]), "the last byte may be an option");
}

/// What cannot be looked at is dropped, for it may hide something (RFC 1858, RFC 3128); `nft_payload` only does not match.
#[test]
fn headers_that_are_cut_are_dropped_at_sight() {
    let whole = tcp(2, &[2, 4, 5, 0xb4]);
    let mut any = Tcp { sport: ports(1000, 1000, false), ..Tcp::default() };
    let mut option = Tcp { option: Some((false, 2)), ..Tcp::default() };
    assert_eq!(legacy(&mut any, &whole[..20 + 19]), (false, true), "no whole header");
    assert_eq!(legacy(&mut any, &whole[..20 + 20]), (true, false), "options are not needed for ports");
    assert_eq!(legacy(&mut option, &whole[..20 + 20]), (false, true), "the options are cut");
    assert_eq!(legacy(&mut option, &whole), (true, false));
    let mut short = whole.clone();
    short[20 + 12] = 0x40;
    assert_eq!(legacy(&mut option, &short), (false, true), "an offset below the header");
    assert_eq!(legacy(&mut any, &short), (true, false));
    let mut part = whole.clone();
    for (offset, drops) in [(1, true), (2, false), (100, false)] {
        part[7] = offset;
        assert_eq!(legacy(&mut any, &part), (false, drops), "the fragment at {offset} times 8 bytes");
        assert_eq!(sees(Variant::Nft, &mut any, &part), (false, false));
    }
    assert_eq!(sees(Variant::Nft, &mut any, &whole[..20 + 1]), (false, false));
    let datagram = udp("10.0.0.1", 7, "10.0.0.2", 53, b"");
    let mut with = Udp { sport: ports(7, 7, false), ..Udp::default() };
    assert_eq!(legacy(&mut with, &datagram[..20 + 7]), (false, true));
    assert_eq!(sees(Variant::Nft, &mut with, &datagram[..20 + 1]), (false, false));
}

/// A packet from port 1000 to 80 with these chunks: type, flags and length without padding.
fn sctp(chunks: &[(u8, u8, u16)]) -> Vec<u8> {
    let mut packet = [1000_u16, 80].map(u16::to_be_bytes).concat();
    packet.extend([0; 8]);
    for (kind, flags, len) in chunks {
        packet.extend([*kind, *flags]);
        packet.extend(len.to_be_bytes());
        packet.resize(packet.len() + usize::from(len.max(&4).next_multiple_of(4)) - 4, 0xff);
    }
    ipv4("10.0.0.1", "10.0.0.2", 132, &packet)
}

#[test]
fn ports_of_sctp() {
    let packet = sctp(&[]);
    for (low, high, fits) in [(1000, 1000, true), (999, 1001, true), (0, 999, false), (1001, 65535, false)] {
        for invert in [false, true] {
            let mut with = Sctp { sport: Some(ports(low, high, invert)), ..Sctp::default() };
            assert_eq!(legacy(&mut with, &packet), (fits != invert, false), "{low}:{high} {invert}");
            // The other port is 80.
            with = Sctp { sport: None, dport: with.sport, chunks: None };
            let fits = low <= 80 && 80 <= high;
            assert_eq!(legacy(&mut with, &packet), (fits != invert, false), "{low}:{high} {invert}");
        }
    }
    let mut both =
        Sctp { sport: Some(ports(1000, 1000, false)), dport: Some(ports(81, 81, false)), chunks: None };
    assert_eq!(legacy(&mut both, &packet), (false, false));
    assert_eq!(legacy(&mut Sctp::default(), &packet), (true, false));
    assert_eq!(legacy(&mut Sctp::default(), &packet[..20 + 11]), (false, true), "no whole header");
    let mut later = packet.clone();
    later[7] = 1;
    assert_eq!(legacy(&mut Sctp::default(), &later), (false, false), "not the first fragment");
}

/// `--chunk-types any|all|only`, with flags for one of the types: `any` wants one chunk that fits, `all` one for each type,
/// `only` no other.
#[test]
fn chunks_are_held_against_the_wanted_types() {
    const KINDS: [u8; 4] = [0, 1, 127, 128];
    let lists = (0..KINDS.len()).flat_map(|a| {
        let two = move |b: usize| vec![(KINDS[a], 1, 4), (KINDS[b], 6, 7)];
        let three = move |b: usize| [two(b), vec![(0, 3, 16)]].concat();
        (0..KINDS.len()).flat_map(move |b| [two(b), three(b)]).chain([vec![(KINDS[a], 2, 5)]])
    });
    for list in lists {
        let packet = sctp(&list);
        for set in 1_u8..16 {
            let wanted: Vec<u8> = (0..4).filter(|n| set >> n & 1 != 0).map(|n| KINDS[n]).collect();
            let mut map = [0; 2];
            wanted.iter().for_each(|kind| map[usize::from(kind >> 7)] |= 1 << (kind & 127));
            // Of type 0: none asked for; the lowest set; of the lowest two only the second set.
            for flags in [vec![], vec![(0, 1, 1)], vec![(0, 3, 2)]] {
                let fits = |&(kind, has, _): &(u8, u8, u16)| {
                    let flags_fit = flags.iter().all(|(of, mask, set)| kind != *of || has & mask == *set);
                    wanted.contains(&kind) && flags_fit
                };
                for (how, found) in [
                    (ChunkMatch::Any, list.iter().any(fits)),
                    (ChunkMatch::Only, list.iter().all(fits)),
                    (
                        ChunkMatch::All,
                        wanted.iter().all(|kind| list.iter().any(|chunk| chunk.0 == *kind && fits(chunk))),
                    ),
                ] {
                    for invert in [false, true] {
                        let chunks = Some(ChunkTypes { invert, how, map, flags: flags.clone() });
                        let mut with = Sctp { chunks, ..Sctp::default() };
                        let expected = (found != invert, false);
                        assert_eq!(legacy(&mut with, &packet), expected, "{with:?} {list:?}");
                    }
                }
            }
        }
    }
}

/// A chunk that is cut, or has no length, drops the packet at sight, unless it was decided before.
#[test]
fn broken_chunks_are_dropped_at_sight() {
    let with = |how, invert| Sctp {
        chunks: Some(ChunkTypes { invert, how, map: [1, 0], flags: vec![] }),
        ..Sctp::default()
    };
    let whole = sctp(&[(0, 0, 4), (1, 0, 8)]);
    for invert in [false, true] {
        for broken in
            [sctp(&[]), sctp(&[(0, 0, 0)]), sctp(&[(0, 0, 0), (0, 0, 4)]), whole[..20 + 12 + 3].to_vec()]
        {
            for how in [ChunkMatch::Any, ChunkMatch::All, ChunkMatch::Only] {
                assert_eq!(legacy(&mut with(how, invert), &broken), (invert, true), "{how:?}");
            }
        }
        let cut = &whole[..20 + 12 + 4 + 3];
        assert_eq!(legacy(&mut with(ChunkMatch::Any, invert), cut), (!invert, false), "the first fits");
        assert_eq!(legacy(&mut with(ChunkMatch::All, invert), cut), (invert, true));
        assert_eq!(legacy(&mut with(ChunkMatch::Only, invert), cut), (invert, true));
        // A chunk's value need not be there.
        let header = &whole[..20 + 12 + 4 + 4];
        assert_eq!(legacy(&mut with(ChunkMatch::Only, invert), header), (invert, false));
    }
}

/// `--ahspi` and `--espspi` (RFC 4302, RFC 4303): both ends belong to the range.
#[test]
fn security_parameters_indexes() {
    for spi in [0, 255, 256, 257, 0x0100_0000, u32::MAX] {
        let index = spi.to_be_bytes();
        let ah = ipv4("10.0.0.1", "10.0.0.2", 51, &[&[6, 4, 0, 0][..], &index, &[0, 0, 0, 9]].concat());
        let esp = ipv4("10.0.0.1", "10.0.0.2", 50, &[&index[..], &[0, 0, 0, 9]].concat());
        for spis in [(0, u32::MAX), (256, 256), (255, 257), (257, u32::MAX), (0, 255)] {
            for invert in [false, true] {
                let expected = ((spis.0..=spis.1).contains(&spi) != invert, false);
                assert_eq!(legacy(&mut Ah { invert, spis }, &ah), expected, "{spi} {spis:?}");
                assert_eq!(legacy(&mut Esp { invert, spis }, &esp), expected, "{spi} {spis:?}");
            }
        }
        for invert in [false, true] {
            let spis = (0, u32::MAX);
            assert_eq!(legacy(&mut Ah { invert, spis }, &ah[..20 + 11]), (false, true), "no whole header");
            assert_eq!(legacy(&mut Esp { invert, spis }, &esp[..20 + 7]), (false, true), "no whole header");
            let later = |mut packet: Vec<u8>| {
                packet[7] = 1;
                packet
            };
            assert_eq!(legacy(&mut Ah { invert, spis }, &later(ah.clone())), (false, false));
            assert_eq!(legacy(&mut Esp { invert, spis }, &later(esp.clone())), (false, false));
        }
    }
}
