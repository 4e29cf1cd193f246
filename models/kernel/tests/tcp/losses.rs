//! What a sender makes of acknowledgements that tell of gaps (RFC 2018, RFC 8985).

use glassnet_kernel::tables::inet_csk::CaState;
use glassnet_wire::tcp::{TCP_ACK, TCP_PSH};

use crate::net::MACHINE;
use crate::peer::{ISS, OPTIONS, Peer};

const MSS: u32 = 1460;

/// A SACK option with one block.
fn sack(start: u32, end: u32) -> Vec<u8> {
    [&[1, 1, 5, 10][..], &start.to_be_bytes(), &end.to_be_bytes()].concat()
}

/// Three segments arrived behind a gap: what is missing is sent again at once, and nothing else.
#[test]
fn what_is_missing_is_sent_again_at_once() {
    let (mut peer, server, next) = Peer::connected(OPTIONS);
    assert_eq!(peer.net.send(server, &[7; 10 * MSS as usize]), Ok(10 * MSS as usize));
    peer.net.run(2);
    let gap = sack(next.wrapping_add(MSS), next.wrapping_add(4 * MSS));
    let again = peer.send_with(TCP_ACK, (ISS + 1, next), &gap, b"");
    assert_eq!(again, [(TCP_ACK, next, ISS + 1, MSS as usize)]);
    let b = peer.net.b;
    let counts = |peer: &Peer| {
        let snmp = &peer.net.world.kernel(MACHINE).netns[b].ipv4.snmp;
        (snmp.tcp.RetransSegs, snmp.tcp_ext.TCPFastRetrans, snmp.tcp_ext.TCPSackRecovery)
    };
    assert_eq!(counts(&peer), (1, 1, 1));
    let state = |peer: &mut Peer| {
        peer.net.enter(|cx| cx.k.sockets.get(server).and_then(|socket| Some(socket.tcp.as_ref()?.icsk.ca)))
    };
    assert_eq!(state(&mut peer), Some(CaState::Recovery));
    // Everything arrived.
    assert_eq!(peer.send(TCP_ACK, (ISS + 1, next.wrapping_add(10 * MSS)), b""), []);
    assert_eq!((counts(&peer), state(&mut peer)), ((1, 1, 1), Some(CaState::Open)));
    let cwnd =
        peer.net.enter(|cx| cx.k.sockets.get(server).and_then(|socket| Some(socket.tcp.as_ref()?.icsk.cwnd)));
    assert_eq!(cwnd, Some(7), "three tenths less");
}

/// One segment behind a gap may have overtaken it: a quarter of a round trip later the gap counts as lost.
#[test]
fn a_segment_that_may_have_been_overtaken_has_a_little_time() {
    let (mut peer, server, next) = Peer::connected(OPTIONS);
    peer.net.send(server, &[7; 5 * MSS as usize]).expect("sent");
    peer.net.run(98);
    let gap = sack(next.wrapping_add(MSS), next.wrapping_add(2 * MSS));
    assert_eq!(peer.send_with(TCP_ACK, (ISS + 1, next), &gap, b""), []);
    peer.net.run(50);
    assert_eq!(peer.heard().first(), Some(&(TCP_ACK, next, ISS + 1, MSS as usize)));
}

/// What leaves in one packet, acknowledged in parts.
#[test]
fn a_packet_of_several_segments_is_acknowledged_in_parts() {
    let (mut peer, server, next) = Peer::connected(OPTIONS);
    peer.net.world.trace.frames.clear();
    peer.net.send(server, &[7; 5 * MSS as usize]).expect("sent");
    peer.net.run(2);
    assert_eq!(peer.heard(), [(TCP_ACK | TCP_PSH, next, ISS + 1, 5 * MSS as usize)]);
    for segment in 1..=5 {
        assert_eq!(peer.send(TCP_ACK, (ISS + 1, next.wrapping_add(segment * MSS)), b""), []);
    }
    let b = peer.net.b;
    let snmp = &peer.net.world.kernel(MACHINE).netns[b].ipv4.snmp;
    assert_eq!((snmp.tcp_ext.TCPOrigDataSent, snmp.tcp_ext.TCPDelivered), (5, 5));
}

/// RFC 6937, and one segment more for each acknowledgement that goes on without telling of another loss: of ten segments seven are
/// missing, and three are sent again for the three that arrived; then two for one.
#[test]
fn a_recovery_that_goes_on_sends_a_little_more() {
    let (mut peer, server, next) = Peer::connected(OPTIONS);
    assert_eq!(peer.net.send(server, &[7; 10 * MSS as usize]), Ok(10 * MSS as usize));
    peer.net.run(2);
    let arrived = sack(next.wrapping_add(7 * MSS), next.wrapping_add(10 * MSS));
    let mut again = |acked: u32| {
        let heard = peer.send_with(TCP_ACK, (ISS + 1, next.wrapping_add(acked * MSS)), &arrived, b"");
        let first = heard.first().map(|segment| segment.1.wrapping_sub(next) / MSS);
        (first, heard.iter().map(|segment| segment.3 as u32).sum::<u32>() / MSS)
    };
    assert_eq!(again(0), (Some(0), 3));
    assert_eq!(again(1), (Some(3), 2));
    assert_eq!(again(2), (Some(5), 2));
}
