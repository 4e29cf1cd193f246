//! When a connection sends again: round trips, the timer of retransmissions, and the congestion window.
//!
//! Kernel: include/net/inet_connection_sock.h (`struct inet_connection_sock`), net/ipv4/tcp_input.c
//! (`tcp_rtt_estimator`), net/ipv4/tcp_timer.c

use glassnet_sim::Nanos;

use super::tcp_cubic::{Cubic, Found};
use super::tcp_sock::before;

/// What a connection's timer is for (`icsk_pending`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XmitTimer {
    /// To send again (`ICSK_TIME_RETRANS`).
    Retrans,
    /// To send something when the last acknowledgements do not come (`ICSK_TIME_LOSS_PROBE`).
    LossProbe,
    /// To look again for what was lost (`ICSK_TIME_REO_TIMEOUT`).
    Reordering,
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

/// How a connection fares (`icsk_ca_state`), as far as it decides what is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CaState {
    /// Nothing is missing.
    #[default]
    Open,
    /// What is missing is sent again.
    Recovery,
    /// The timer expired: everything counts as lost.
    Loss,
}

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
    pub ssthresh: u32,
    /// How it fares, until [`high_seq`](Self::high_seq) is acknowledged.
    pub ca: CaState,
    /// How its window grows.
    pub cubic: Cubic,
    /// The congestion window held it back (`is_cwnd_limited`) when this many segments were out (`max_packets_out`), until what was
    /// sent then is acknowledged (`cwnd_usage_seq`).
    limited: bool,
    max_packets_out: u32,
    cwnd_usage_seq: u32,
    /// In a recovery: the window before it (`prior_cwnd`), segments that arrived (`prr_delivered`) and that were sent (`prr_out`).
    prior_cwnd: u32,
    prr_delivered: u32,
    /// See `prior_cwnd`.
    pub prr_out: u32,
    /// What arrived and was sent last: when, its end, and how long it took, µs (`struct tcp_rack`).
    pub rack: Option<(Nanos, u32, u64)>,
    /// The least round trip, µs (`rtt_min`).
    min_rtt_us: Option<u64>,
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
            ca: CaState::Open,
            cubic: Cubic::default(),
            limited: false,
            max_packets_out: 0,
            cwnd_usage_seq: 0,
            prior_cwnd: 0,
            prr_delivered: 0,
            prr_out: 0,
            rack: None,
            min_rtt_us: None,
            srtt_us: 0,
            mdev_us: 0,
            mdev_max_us: 0,
            rttvar_us: 0,
            rtt_seq: 0,
        }
    }
}

impl Icsk {
    /// The smoothed round trip, if one was measured.
    pub fn srtt(&self) -> Option<Nanos> {
        (self.srtt_us > 0).then_some(Nanos(self.srtt_us as u64 / 8 * 1000))
    }

    /// Its mean deviation.
    pub fn mdev(&self) -> Nanos {
        Nanos(self.mdev_us as u64 / 4 * 1000)
    }

    /// The least round trip that was measured, µs (`tcp_min_rtt`).
    pub fn min_rtt(&self) -> u64 {
        self.min_rtt_us.unwrap_or(u64::from(u32::MAX))
    }

    /// Something is sent again.
    pub fn is_recovering(&self) -> bool {
        self.ca != CaState::Open
    }

    /// The rate that the window gives, bytes a second: twice that while the window doubles, else a fifth more
    /// (`tcp_update_pacing_rate`).
    pub fn pacing_rate(&self, mss: u32) -> u64 {
        let percent = if self.cwnd < self.ssthresh / 2 { 200 } else { 120 };
        let bytes = u64::from(mss) * u64::from(self.cwnd) * percent / 100;
        (bytes * 8_000_000).checked_div(self.srtt_us as u64).unwrap_or(u64::from(u32::MAX))
    }

    /// Segments were sent up to `snd.1`; `limited`: the congestion window held more back (`tcp_cwnd_validate`).
    pub fn cwnd_validate(&mut self, limited: bool, out: u32, (una, nxt): (u32, u32)) {
        if !before(una, self.cwnd_usage_seq) || limited || !self.limited && out > self.max_packets_out {
            (self.limited, self.max_packets_out, self.cwnd_usage_seq) = (limited, out, nxt);
        }
    }

    /// The window is what limits, so it may grow (`tcp_is_cwnd_limited`).
    fn is_cwnd_limited(&self) -> bool {
        self.limited || self.cwnd < self.ssthresh && self.cwnd < 2 * self.max_packets_out
    }

    /// A round trip of `rtt_us` was measured (`tcp_rtt_estimator`, `tcp_set_rto`).
    pub fn measured(&mut self, rtt_us: i64, snd_una: u32, snd_nxt: u32) {
        self.min_rtt_us = Some(self.min_rtt().min(rtt_us.max(1) as u64));
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

    /// The peer acknowledged new data, up to `snd_una` (`tcp_ack`, `tcp_try_undo_recovery`). True: a recovery is over.
    pub fn acknowledged(&mut self, snd_una: u32) -> bool {
        (self.retransmits, self.retrans_stamp) = (0, None);
        self.tlp_high_seq = self.tlp_high_seq.filter(|high| before(snd_una, *high));
        if self.high_seq.is_none_or(|high| before(snd_una, high)) {
            return false;
        }
        self.high_seq = None;
        let was = std::mem::take(&mut self.ca);
        if was == CaState::Recovery {
            self.cwnd = self.ssthresh.min(self.cwnd_clamp);
        }
        was != CaState::Open
    }

    /// `segments` arrived, so the window may grow (`tcp_cong_avoid`): by as many up to the threshold, then as CUBIC says.
    pub fn cong_avoid(&mut self, segments: u32, now: Nanos) {
        if !self.is_cwnd_limited() {
            return;
        }
        let slow_start = segments.min(self.ssthresh.saturating_sub(self.cwnd));
        self.cwnd += slow_start;
        if segments > slow_start {
            self.cwnd = self.cubic.avoid(self.cwnd, segments - slow_start, now);
        }
        self.cwnd = self.cwnd.min(self.cwnd_clamp);
    }

    /// The round trip of what was just acknowledged: slow start may be over (`cubictcp_acked`).
    pub fn look_for_end(&mut self, rtt_us: u64, now: Nanos, snd: (u32, u32)) -> Option<Found> {
        let slow_start = (self.cwnd < self.ssthresh).then_some(self.cwnd);
        let found = self.cubic.measured(rtt_us, now, snd, slow_start);
        if found.is_some() {
            self.ssthresh = self.cwnd;
        }
        found
    }

    /// The timer expired: what was sent counts as lost (`tcp_enter_loss`).
    pub fn enter_loss(&mut self, snd_nxt: u32, now: Nanos) {
        if self.high_seq.is_none() || self.ca == CaState::Recovery && self.retransmits <= 1 {
            self.ssthresh = self.cubic.ssthresh(self.cwnd);
        }
        self.cubic.reset(now, snd_nxt);
        (self.cwnd, self.ca) = (1, CaState::Loss);
        (self.high_seq, self.tlp_high_seq, self.timed) = (Some(snd_nxt), None, None);
    }

    /// Something is missing: it is sent again, and the window closes while it is (`tcp_enter_recovery`).
    pub fn enter_recovery(&mut self, snd_nxt: u32) {
        self.prior_cwnd = self.cwnd;
        (self.prr_delivered, self.prr_out) = (0, 0);
        self.ssthresh = self.cubic.ssthresh(self.cwnd);
        (self.high_seq, self.tlp_high_seq, self.ca) = (Some(snd_nxt), None, CaState::Recovery);
    }

    /// What was sent is too long for its path: it is sent again, and the window stays (`tcp_simple_retransmit`).
    pub fn enter_simple(&mut self, snd_nxt: u32) {
        (self.high_seq, self.timed, self.ca) = (Some(snd_nxt), None, CaState::Loss);
    }

    /// In a recovery, the window for what may be sent now (`tcp_cwnd_reduction`, RFC 6937). `delivered`: segments that arrived;
    /// `advances`: in order, and nothing more is missing.
    pub fn reduce(&mut self, delivered: u32, advances: bool, in_flight: u32) {
        if delivered == 0 || self.prior_cwnd == 0 {
            return;
        }
        self.prr_delivered += delivered;
        let room = i64::from(self.ssthresh) - i64::from(in_flight);
        let more = i64::from(self.prr_delivered) - i64::from(self.prr_out);
        let send = if room < 0 {
            let share = u64::from(self.ssthresh) * u64::from(self.prr_delivered);
            share.div_ceil(u64::from(self.prior_cwnd)) as i64 - i64::from(self.prr_out)
        } else {
            room.min(more.max(i64::from(delivered)) + i64::from(advances))
        };
        // The first lost segment goes at once.
        let send = send.max(i64::from(self.prr_out == 0));
        self.cwnd = (i64::from(in_flight) + send).max(1) as u32;
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

    #[test]
    fn the_window_grows_with_acknowledgements_and_closes_when_the_timer_expires() {
        let now = Nanos::ZERO;
        let mut icsk = Icsk::default();
        icsk.cong_avoid(5, now);
        assert_eq!(icsk.cwnd, 10, "it limited nothing");
        icsk.cwnd_validate(true, 10, (0, 10));
        icsk.cong_avoid(10, now);
        assert_eq!(icsk.cwnd, 20);
        icsk.enter_loss(100, now);
        icsk.enter_loss(100, now);
        assert_eq!((icsk.cwnd, icsk.ssthresh), (1, 14));
        icsk.cong_avoid(13, now);
        assert_eq!((icsk.cwnd, icsk.high_seq), (14, Some(100)));
        // Beyond 14 segments it grows slowly.
        icsk.cong_avoid(14, now);
        assert_eq!(icsk.cwnd, 14);
    }

    #[test]
    fn what_was_sent_before_a_loss_ends_it() {
        let mut icsk = Icsk::default();
        icsk.enter_loss(10, Nanos::ZERO);
        (icsk.retransmits, icsk.retrans_stamp, icsk.tlp_high_seq) = (3, Some(Nanos(1)), Some(20));
        assert!(!icsk.acknowledged(9));
        assert_eq!((icsk.high_seq, icsk.tlp_high_seq), (Some(10), Some(20)));
        assert_eq!((icsk.retransmits, icsk.retrans_stamp), (0, None));
        assert!(icsk.acknowledged(10));
        assert_eq!((icsk.high_seq, icsk.tlp_high_seq, icsk.ca), (None, Some(20), CaState::Open));
        icsk.acknowledged(20);
        assert_eq!(icsk.tlp_high_seq, None);
        // Sequence numbers go round.
        icsk.enter_loss(5, Nanos::ZERO);
        icsk.acknowledged(u32::MAX);
        assert_eq!(icsk.high_seq, Some(5));
    }

    /// A window of 100 shrinks to 70 while what was under way arrives (RFC 6937).
    #[test]
    fn a_recovery_closes_the_window_in_proportion() {
        let mut icsk = Icsk { cwnd: 100, ..Icsk::default() };
        icsk.enter_recovery(1000);
        let mut in_flight = 96;
        for _ in 0..90 {
            icsk.reduce(1, false, in_flight);
            let send = icsk.cwnd.saturating_sub(in_flight);
            icsk.prr_out += send;
            in_flight = (in_flight + send).saturating_sub(1);
        }
        assert!((66..=72).contains(&in_flight), "{in_flight}");
        assert!(icsk.acknowledged(1000));
        assert_eq!((icsk.cwnd, icsk.ca), (70, CaState::Open));
    }
}
