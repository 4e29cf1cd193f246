//! When a connection sends again: round trips, the timer of retransmissions, and the congestion window.
//!
//! Kernel: include/net/inet_connection_sock.h (`struct inet_connection_sock`), net/ipv4/tcp_input.c
//! (`tcp_rtt_estimator`), net/ipv4/tcp_timer.c

use glassnet_sim::Nanos;

/// What a connection's timer is for (`icsk_pending`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XmitTimer {
    /// To send again (`ICSK_TIME_RETRANS`).
    Retrans,
    /// To send something when the last acknowledgements do not come (`ICSK_TIME_LOSS_PROBE`).
    LossProbe,
    /// To ask for the window that the peer closed (`ICSK_TIME_PROBE0`).
    Probe0,
    /// To repeat a SYN-ACK (the timer of a request).
    SynAck,
}

/// Least timeout (`TCP_RTO_MIN`).
pub const TCP_RTO_MIN: Nanos = Nanos::from_millis(200);
/// Greatest timeout (`TCP_RTO_MAX`).
pub const TCP_RTO_MAX: Nanos = Nanos::from_secs(120);
/// Timeout before anything was measured (`TCP_TIMEOUT_INIT`).
pub const TCP_TIMEOUT_INIT: Nanos = Nanos::from_secs(1);
/// Congestion window of a new connection, segments (`TCP_INIT_CWND`).
pub const TCP_INIT_CWND: u32 = 10;
/// The measured round trip of a connection, and its timer.
#[derive(Clone, Debug)]
pub struct Icsk {
    /// Time until a segment is sent again (`icsk_rto`).
    pub rto: Nanos,
    /// Its least value: that of the route, or [`TCP_RTO_MIN`] (`tcp_rto_min`).
    pub rto_min: Nanos,
    /// How often that was doubled (`icsk_backoff`).
    pub backoff: u32,
    /// How often the timer sent again since the last acknowledgement (`icsk_retransmits`; of a request, `num_timeout`).
    pub retransmits: u32,
    /// Window probes that nobody answered (`icsk_probes_out`).
    pub probes_out: u32,
    /// When it was meant to send again (`icsk_timeout`): the timer expires at the end of its slot.
    pub timeout: Nanos,
    /// The timer, and when it expires.
    pub timer: Option<(XmitTimer, Nanos)>,
    /// When it was first sent again (`retrans_stamp`).
    pub retrans_stamp: Option<Nanos>,
    /// The segment whose round trip is measured: the sequence number behind it, and when it was sent.
    pub timed: Option<(u32, Nanos)>,
    /// The end of what was sent when the timer expired: until it is acknowledged, nothing is sent early (`high_seq`).
    pub high_seq: Option<u32>,
    /// The end of what was sent when a loss probe went out (`tlp_high_seq`).
    pub tlp_high_seq: Option<u32>,
    /// Segments that may be under way (`snd_cwnd`).
    pub cwnd: u32,
    /// It grows no further (`snd_cwnd_clamp`).
    pub cwnd_clamp: u32,
    /// From here on the congestion window grows slowly (`snd_ssthresh`).
    ssthresh: u32,
    /// Acknowledged segments that did not make it grow yet (`snd_cwnd_cnt`).
    cwnd_count: u32,
    /// Eight times the smoothed round trip, µs (`srtt_us`); 0: not measured.
    srtt_us: i64,
    /// Four times its mean deviation, µs (`mdev_us`).
    mdev_us: i64,
    /// The greatest deviation in this round trip, µs (`mdev_max_us`).
    mdev_max_us: i64,
    /// The deviation that the timeout counts with, µs (`rttvar_us`).
    rttvar_us: i64,
    /// Where this round trip ends (`rtt_seq`).
    rtt_seq: u32,
}

impl Default for Icsk {
    fn default() -> Self {
        Icsk {
            rto: TCP_TIMEOUT_INIT,
            rto_min: TCP_RTO_MIN,
            backoff: 0,
            retransmits: 0,
            probes_out: 0,
            timeout: Nanos::ZERO,
            timer: None,
            retrans_stamp: None,
            timed: None,
            high_seq: None,
            tlp_high_seq: None,
            cwnd: TCP_INIT_CWND,
            cwnd_clamp: u32::MAX,
            ssthresh: u32::MAX,
            cwnd_count: 0,
            srtt_us: 0,
            mdev_us: 0,
            mdev_max_us: 0,
            rttvar_us: 0,
            rtt_seq: 0,
        }
    }
}

/// `a` is before `b` in sequence space.
fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

impl Icsk {
    /// The smoothed round trip, if one was measured.
    pub fn srtt(&self) -> Option<Nanos> {
        (self.srtt_us > 0).then_some(Nanos(self.srtt_us as u64 / 8 * 1000))
    }

    /// A round trip of `rtt_us` was measured (`tcp_rtt_estimator`, `tcp_set_rto`).
    pub fn measured(&mut self, rtt_us: i64, snd_una: u32, snd_nxt: u32) {
        let (mut m, rto_min_us) = (rtt_us, (self.rto_min.0 / 1000) as i64);
        if self.srtt_us == 0 {
            self.srtt_us = (m << 3).max(1);
            self.mdev_us = m << 1;
            self.rttvar_us = self.mdev_us.max(rto_min_us);
            (self.mdev_max_us, self.rtt_seq) = (self.rttvar_us, snd_nxt);
        } else {
            m -= self.srtt_us >> 3;
            self.srtt_us = (self.srtt_us + m).max(1);
            if m < 0 {
                m = -m - (self.mdev_us >> 2);
                // A round trip that got shorter counts less.
                m = if m > 0 { m >> 3 } else { m };
            } else {
                m -= self.mdev_us >> 2;
            }
            self.mdev_us += m;
            self.mdev_max_us = self.mdev_max_us.max(self.mdev_us);
            self.rttvar_us = self.rttvar_us.max(self.mdev_max_us);
            if before(self.rtt_seq, snd_una) {
                self.rttvar_us -= (self.rttvar_us - self.mdev_max_us).max(0) >> 2;
                (self.rtt_seq, self.mdev_max_us) = (snd_nxt, rto_min_us);
            }
        }
        let rto = (self.srtt_us >> 3) + self.rttvar_us;
        self.rto = Nanos(rto as u64 * 1000).min(TCP_RTO_MAX);
        self.backoff = 0;
    }

    /// The peer acknowledged `segments` of new data, up to `snd_una`; `limited`: the window was what held data back
    /// (`tcp_slow_start`, `tcp_cong_avoid_ai`).
    pub fn acknowledged(&mut self, segments: u32, snd_una: u32, limited: bool) {
        (self.retransmits, self.retrans_stamp) = (0, None);
        self.high_seq = self.high_seq.filter(|high| before(snd_una, *high));
        self.tlp_high_seq = self.tlp_high_seq.filter(|high| before(snd_una, *high));
        if !limited {
            return;
        }
        let slow_start = segments.min(self.ssthresh.saturating_sub(self.cwnd));
        self.cwnd += slow_start;
        self.cwnd_count += segments - slow_start;
        if self.cwnd_count >= self.cwnd {
            self.cwnd_count -= self.cwnd;
            self.cwnd += 1;
        }
        self.cwnd = self.cwnd.min(self.cwnd_clamp);
    }

    /// The timer expired: what was sent counts as lost (`tcp_enter_loss`).
    pub fn enter_loss(&mut self, snd_nxt: u32) {
        if self.high_seq.is_none() {
            self.ssthresh = (self.cwnd * 7 / 10).max(2);
        }
        (self.cwnd, self.cwnd_count) = (1, 0);
        (self.high_seq, self.tlp_high_seq, self.timed) = (Some(snd_nxt), None, None);
    }

    /// The timeout doubles.
    pub fn back_off(&mut self) {
        self.backoff += 1;
        self.rto = Nanos(self.rto.0 * 2).min(TCP_RTO_MAX);
    }

    /// Time until the next window probe (`tcp_probe0_when`).
    pub fn probe0_when(&self) -> Nanos {
        Nanos(self.rto.max(TCP_RTO_MIN).0 << self.backoff.min(10)).min(TCP_RTO_MAX)
    }

    /// How long `boundary` retransmissions take from the first to the last, with doubling timeouts from the least one on
    /// (`tcp_model_timeout`).
    pub fn model_timeout(boundary: u32) -> Nanos {
        const DOUBLES: u32 = (TCP_RTO_MAX.0 / TCP_RTO_MIN.0).ilog2();
        let doubling = (2_u64 << boundary.min(DOUBLES)) - 1;
        Nanos(doubling * TCP_RTO_MIN.0 + u64::from(boundary.saturating_sub(DOUBLES)) * TCP_RTO_MAX.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_gives_a_timeout_of_at_least_200_ms() {
        let mut icsk = Icsk::default();
        icsk.measured(100, 1, 2);
        assert_eq!(icsk.rto, Nanos::from_micros(200_100));
        let mut far = Icsk::default();
        far.measured(300_000, 1, 2);
        assert_eq!(far.rto, Nanos::from_millis(900));
        // A steady round trip has no deviation after a while.
        for una in 0..200 {
            far.measured(300_000, una, una + 1);
        }
        assert!(far.rto < Nanos::from_millis(520), "{:?}", far.rto);
    }

    /// Linux's numbers, µs: a round trip that gets longer counts at once, one that gets shorter slowly, and the deviation
    /// is the greatest of a round trip, at least 200 ms.
    #[test]
    fn timeouts_follow_round_trips() {
        let steady = [&[300_000; 5][..], &[100_000; 4], &[900_000; 3]].concat();
        let wild = [&[100_000, 500_000, 500_000, 20_000, 20_000, 2_000_000][..], &[20_000; 6]].concat();
        // The samples, how many of them a round trip has, and the timeouts.
        let cases: [(&[i64], u32, [u64; 12]); 4] = [
            (
                &steady,
                1,
                [
                    900_000, 900_000, 900_000, 900_000, 813_282, 788_282, 694_151, 675_010, 609_443,
                    1_169_657, 1_624_985, 1_901_137,
                ],
            ),
            (
                &steady,
                3,
                [
                    900_000, 900_000, 900_000, 900_000, 900_000, 875_000, 853_125, 833_984, 728_674,
                    1_169_657, 1_624_985, 1_901_137,
                ],
            ),
            (
                &wild,
                1,
                [
                    300_000, 700_000, 956_250, 934_531, 911_309, 2_764_310, 2_718_822, 2_679_021, 2_531_672,
                    2_501_199, 2_292_200, 2_268_869,
                ],
            ),
            (
                &wild,
                3,
                [
                    300_000, 700_000, 956_250, 934_531, 915_527, 2_764_310, 2_718_822, 2_679_021, 2_644_195,
                    2_613_722, 2_587_058, 2_563_727,
                ],
            ),
        ];
        for (samples, per_round, timeouts) in cases {
            let mut icsk = Icsk::default();
            let found: Vec<u64> = (1..)
                .zip(samples)
                .map(|(una, rtt)| {
                    icsk.back_off();
                    icsk.measured(*rtt, una, una + per_round);
                    assert_eq!(icsk.backoff, 0);
                    icsk.rto.0 / 1000
                })
                .collect();
            assert_eq!(found, timeouts, "{per_round} in a round trip");
        }
        let mut far = Icsk::default();
        far.measured(60_000_000, 1, 2);
        assert_eq!((far.rto, far.srtt()), (TCP_RTO_MAX, Some(Nanos::from_secs(60))));
        let mut near = Icsk::default();
        assert_eq!(near.srtt(), None);
        near.measured(0, 1, 2);
        assert_eq!((near.rto, near.srtt()), (TCP_RTO_MIN, Some(Nanos(0))));
    }

    /// A window probe is due after the timeout, which doubles, at least 200 ms, at most two minutes.
    #[test]
    fn window_probes_double_too() {
        let mut icsk = Icsk { rto: Nanos::from_millis(50), ..Icsk::default() };
        let times: Vec<u64> = (0..12)
            .map(|_| {
                let at = icsk.probe0_when().0 / 1_000_000;
                icsk.backoff += 1;
                at
            })
            .collect();
        let expected = [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 102_400, 120_000, 120_000];
        assert_eq!(times, expected);
    }

    #[test]
    fn timeouts_double_up_to_two_minutes() {
        let mut icsk = Icsk::default();
        let times: Vec<u64> = (0..9)
            .map(|_| {
                icsk.back_off();
                icsk.rto.0 / 1_000_000_000
            })
            .collect();
        assert_eq!(times, [2, 4, 8, 16, 32, 64, 120, 120, 120]);
    }

    /// The numbers of Documentation/networking/ip-sysctl.rst for `tcp_retries2` 15, and `tcp_orphan_retries` 8.
    #[test]
    fn how_long_retries_take() {
        assert_eq!(Icsk::model_timeout(15), Nanos::from_millis(924_600));
        assert_eq!(Icsk::model_timeout(8), Nanos::from_millis(102_200));
        let few = [0, 1, 2, 3, 9, 10].map(|retries| Icsk::model_timeout(retries).0 / 1_000_000);
        assert_eq!(few, [200, 600, 1400, 3_000, 204_600, 324_600]);
    }

    /// Slow start takes one segment for each up to the threshold; from there, one for each window (RFC 5681, 3.1).
    #[test]
    fn the_window_grows_as_in_rfc_5681() {
        for lost_at in [10, 20, 37, 100] {
            let mut icsk = Icsk { cwnd: lost_at, ..Icsk::default() };
            icsk.enter_loss(1000);
            let threshold = (lost_at * 7 / 10).max(2);
            let (mut window, mut acked) = (1, 0);
            for una in 0..600 {
                icsk.acknowledged(1, una, true);
                match window < threshold {
                    true => window += 1,
                    false => acked += 1,
                }
                if acked >= window {
                    (window, acked) = (window + 1, acked - window);
                }
                assert_eq!(icsk.cwnd, window, "{una} after a loss at {lost_at}");
            }
        }
        // What was sent before the loss is acknowledged: the loss is over.
        let mut icsk = Icsk::default();
        icsk.enter_loss(10);
        (icsk.retransmits, icsk.retrans_stamp, icsk.tlp_high_seq) = (3, Some(Nanos(1)), Some(20));
        icsk.acknowledged(1, 9, false);
        assert_eq!((icsk.high_seq, icsk.tlp_high_seq), (Some(10), Some(20)));
        assert_eq!((icsk.retransmits, icsk.retrans_stamp), (0, None));
        icsk.acknowledged(1, 10, false);
        assert_eq!((icsk.high_seq, icsk.tlp_high_seq), (None, Some(20)));
        icsk.acknowledged(1, 20, false);
        assert_eq!((icsk.high_seq, icsk.tlp_high_seq), (None, None));
        // Sequence numbers go round.
        icsk.enter_loss(5);
        icsk.acknowledged(1, u32::MAX, false);
        assert_eq!(icsk.high_seq, Some(5));
    }

    #[test]
    fn the_window_grows_with_acknowledgements_and_closes_when_the_timer_expires() {
        let mut icsk = Icsk::default();
        icsk.acknowledged(10, 10, true);
        assert_eq!(icsk.cwnd, 20);
        icsk.acknowledged(5, 15, false);
        assert_eq!(icsk.cwnd, 20);
        icsk.enter_loss(100);
        icsk.enter_loss(100);
        assert_eq!(icsk.cwnd, 1);
        icsk.acknowledged(13, 50, true);
        assert_eq!((icsk.cwnd, icsk.high_seq), (14, Some(100)));
        // Beyond 14 segments, one more for each window.
        icsk.acknowledged(14, 100, true);
        assert_eq!((icsk.cwnd, icsk.high_seq), (15, None));
    }
}
