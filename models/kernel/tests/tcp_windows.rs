//! The windows of TCP by Linux's formulas: what a receiver offers, and how fast a sender may send.

use glassnet_kernel::tables::inet_csk::Icsk;
use glassnet_kernel::tables::tcp_rcv::{AckState, RcvWindow};
use glassnet_sim::Nanos;

/// The buffer that a connection begins with, and up to where it grows (`tcp_rmem`).
const BUFFER: (u32, Option<u32>) = (131_072, Some(6_291_456));

/// `__tcp_select_window`: less than a sixteenth of the buffer, or than a segment, is no window; what is scaled away is not
/// offered.
#[test]
fn a_buffer_that_is_almost_full_offers_nothing() {
    for (free, mss, room) in [
        (500, 536, 0),
        (4_000, 536, 0),
        (4_095, 536, 0),
        (4_096, 536, 4_096),
        (4_223, 536, 4_096),
        (4_300, 5_000, 0),
        (32_767, 536, 32_640),
        (40_000, 536, 40_064),
    ] {
        let mut window = RcvWindow::new(BUFFER, 65_535, 7, None, 1460);
        (window.mss, window.rmem_alloc) = (mss, window.rcvbuf - 2 * free);
        assert_eq!(window.room(), room, "{free} free, segments of {mss}");
    }
}

/// Without scaling, a window is a multiple of the segment's length, and is kept while it is near what is free. Where not even
/// a segment fits, it grows once it would be more than half of the buffer wider.
#[test]
fn a_window_that_is_not_scaled() {
    for (full, mss, offered, room) in [
        (10_000, 1_000, 9_500, 9_500),
        (10_000, 3_000, 6_500, 9_000),
        (500, 536, 100, 500),
        (500, 536, 249, 500),
        (500, 536, 250, 250),
        (500, 536, 300, 300),
    ] {
        let mut window = RcvWindow::new((2 * full, None), full, 0, None, 1460);
        (window.mss, window.wnd) = (mss, offered);
        assert_eq!(window.room(), room, "{full} free, segments of {mss}, {offered} before");
    }
}

/// `tcp_init_buffer_space`: a segment's room is kept back, unless the window would be less than two segments.
#[test]
fn a_connection_keeps_back_a_segment() {
    for (full, option, clamp) in [
        (65_536, 0, 64_076),
        (65_536, 12, 64_088),
        (4_380, 0, 2_920),
        (3_000, 0, 2_920),
        (2_920, 0, 2_920),
        (2_000, 0, 2_000),
    ] {
        let mut window = RcvWindow::new((2 * full, None), full, 7, None, 1460);
        window.begin(option, Nanos::ZERO);
        assert_eq!(window.clamp(), clamp, "{full}");
    }
}

/// `tcp_rcv_space_adjust`, for segments of 8960 bytes: once a round trip, memory for 32 segments, each with so much that its
/// half is a segment. The 60,000 bytes that were read are 3424 more than the window that the connection began with.
#[test]
fn a_buffer_is_fitted_to_its_reader_once_a_round_trip() {
    let mut window = RcvWindow::new(BUFFER, 65_160, 7, None, 8_960);
    window.begin(0, Nanos::ZERO);
    window.measured(20);
    window.adjust(60_000, Nanos::from_millis(19));
    assert_eq!((window.rcvbuf, window.clamp()), (131_072, 56_576));
    window.adjust(0, Nanos::from_millis(20));
    assert_eq!((window.rcvbuf, window.clamp()), (32 * 17_920, 16 * 17_920));
}

/// `tcp_event_data_recv`: the delay of an acknowledgement follows the time between segments, ms, but is no longer than the
/// timeout of retransmissions.
#[test]
fn an_acknowledgement_waits_as_long_as_segments_are_apart() {
    for (arrivals, rto, delay) in [
        (&[0_u64, 30][..], 200, 50),
        (&[0, 20], 200, 40),
        (&[0, 39], 200, 59),
        (&[0, 40], 200, 40),
        (&[0, 30, 70], 200, 65),
        (&[0, 39, 97], 70, 70),
    ] {
        let (window, mut ack) = (RcvWindow::new(BUFFER, 65_160, 7, None, 1460), AckState::default());
        let rto = Nanos::from_millis(rto);
        for at in arrivals {
            ack.data_received(&window, Nanos::from_millis(*at), rto);
        }
        ack.delay(Nanos::from_millis(1_000), None);
        assert_eq!(ack.timeout, Some(Nanos::from_millis(1_000 + delay)), "{arrivals:?}");
    }
}

/// `tcp_update_pacing_rate`: a window each round trip, twice that while the window is below half of its threshold, else a fifth
/// more.
#[test]
fn a_sender_is_paced_by_its_window() {
    for (ssthresh, rate) in
        [(u32::MAX, 200_000), (22, 200_000), (21, 120_000), (20, 120_000), (10, 120_000), (5, 120_000)]
    {
        let mut icsk = Icsk::default();
        icsk.ssthresh = ssthresh;
        icsk.measured(100_000, 1, 2);
        assert_eq!(icsk.pacing_rate(1_000), rate, "threshold {ssthresh}");
    }
}

/// `tcp_is_cwnd_limited`: a window of ten that the program does not fill grows only while it doubles, and then to twice what
/// was under way.
#[test]
fn a_window_that_is_not_filled_does_not_grow() {
    for (limited, out, ssthresh, cwnd) in [
        (true, 10, u32::MAX, 11),
        (false, 6, u32::MAX, 11),
        (false, 5, u32::MAX, 10),
        (false, 9, 10, 10),
        (false, 9, 11, 11),
    ] {
        let mut icsk = Icsk::default();
        icsk.ssthresh = ssthresh;
        icsk.cwnd_validate(limited, out, (1, 1 + out * 1460));
        icsk.cong_avoid(1, Nanos::ZERO);
        assert_eq!(icsk.cwnd, cwnd, "limited {limited}, {out} under way, threshold {ssthresh}");
    }
}
