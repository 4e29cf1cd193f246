//! How a congestion window grows: CUBIC with HyStart, which Linux has by default (RFC 9438, RFC 9406's forerunner).
//!
//! Kernel: net/ipv4/tcp_cubic.c

use glassnet_sim::Nanos;

use super::tcp_sock::before;

/// A loss makes the window this fraction of what it was, of 1024 (`beta`).
const BETA: u64 = 717;
/// From this window on, HyStart looks for the end of slow start, segments (`hystart_low_window`).
const LOW_WINDOW: u32 = 16;
/// Acknowledgements that a round trip is estimated from (`HYSTART_MIN_SAMPLES`).
const MIN_SAMPLES: u32 = 8;
/// Acknowledgements closer than this belong to one train (`hystart_ack_delta_us`).
const ACK_DELTA: Nanos = Nanos::from_millis(2);

/// What CUBIC remembers of a connection (`struct bictcp`).
#[derive(Clone, Debug, Default)]
pub struct Cubic {
    /// Acknowledged segments that did not make the window grow yet (`snd_cwnd_cnt`).
    count: u32,
    /// The window when the last loss came (`last_max_cwnd`).
    last_max: u32,
    /// When this growth began (`epoch_start`), the window that it aims at (`bic_origin_point`) and the time until then, s
    /// (`bic_K`).
    epoch: Option<(Nanos, f64, f64)>,
    /// The window that Reno would have, as a fraction (`tcp_cwnd`).
    reno: f64,
    /// The least round trip, µs (`delay_min`).
    delay_min: Option<u64>,
    /// The round trip that HyStart looks at.
    round: Round,
}

/// `found` of HyStart: what ended slow start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Acknowledgements came for half of a round trip without a pause (`HYSTART_ACK_TRAIN`).
    Train,
    /// Round trips got longer (`HYSTART_DELAY`).
    Delay,
}

#[derive(Clone, Copy, Debug, Default)]
struct Round {
    end: u32,
    start: Nanos,
    last: Nanos,
    least: Option<u64>,
    samples: u32,
    found: bool,
}

impl Cubic {
    /// The threshold of slow start after a loss (`cubictcp_recalc_ssthresh`).
    pub fn ssthresh(&mut self, cwnd: u32) -> u32 {
        self.epoch = None;
        // A window that shrinks leaves room to others (fast convergence).
        let part = if cwnd < self.last_max { 1024 + BETA } else { 2 * 1024 };
        self.last_max = (u64::from(cwnd) * part / (2 * 1024)) as u32;
        ((u64::from(cwnd) * BETA / 1024) as u32).max(2)
    }

    /// The timer expired: everything begins anew, but for what was found in slow start (`cubictcp_state`).
    pub fn reset(&mut self, now: Nanos, snd_nxt: u32) {
        *self = Cubic::default();
        self.restart_round(now, snd_nxt);
    }

    /// A round trip begins (`bictcp_hystart_reset`).
    pub fn restart_round(&mut self, now: Nanos, snd_nxt: u32) {
        self.round =
            Round { end: snd_nxt, start: now, last: now, least: None, samples: 0, found: self.round.found };
    }

    /// The acknowledged segments that slow start is over for make the window grow (`bictcp_update`, `tcp_cong_avoid_ai`).
    pub fn avoid(&mut self, cwnd: u32, acked: u32, now: Nanos) -> u32 {
        const C: f64 = 0.4;
        let window = f64::from(cwnd);
        let last_max = f64::from(self.last_max);
        let (start, origin, k) = *self.epoch.get_or_insert_with(|| {
            self.reno = window;
            match last_max > window {
                true => (now, last_max, ((last_max - window) / C).cbrt()),
                false => (now, window, 0.0),
            }
        });
        let delay = self.delay_min.unwrap_or(0) as f64 / 1e6;
        let t = now.since(start).as_secs_f64() + delay;
        let target = origin + C * (t - k).powi(3);
        // Segments that one more is for.
        let mut count = if target > window { window / (target - window) } else { 100.0 * window };
        // Before there was a loss, it grows at least as fast as 5 % a round trip.
        if self.last_max == 0 {
            count = count.min(20.0);
        }
        let beta = BETA as f64 / 1024.0;
        self.reno += 3.0 * (1.0 - beta) / (1.0 + beta) * f64::from(acked) / window;
        if self.reno > window {
            count = count.min(window / (self.reno - window));
        }
        let count = (count as u32).max(2);
        self.count += acked;
        let grown = self.count / count;
        self.count %= count;
        cwnd + grown
    }

    /// A round trip of `rtt` was measured; in slow start HyStart may have found that its end has come (`cubictcp_acked`).
    pub fn measured(
        &mut self,
        rtt: u64,
        now: Nanos,
        snd: (u32, u32),
        slow_start: Option<u32>,
    ) -> Option<Found> {
        let rtt = rtt.max(1);
        let least = self.delay_min.map_or(rtt, |least| least.min(rtt));
        self.delay_min = Some(least);
        slow_start.filter(|cwnd| *cwnd >= LOW_WINDOW && !self.round.found)?;
        let (una, nxt) = snd;
        if before(self.round.end, una) {
            self.restart_round(now, nxt);
        }
        let found = self.hystart(rtt, now, least);
        self.round.found = found.is_some();
        found
    }

    fn hystart(&mut self, rtt: u64, now: Nanos, least: u64) -> Option<Found> {
        let round = &mut self.round;
        if now.since(round.last) <= ACK_DELTA {
            round.last = now;
            // The train of what is sent in a round trip may be this long: half, as nothing is paced here.
            if now.since(round.start).0 / 1000 > least / 2 {
                return Some(Found::Train);
            }
        }
        let current = round.least.map_or(rtt, |current| current.min(rtt));
        round.least = Some(current);
        if round.samples < MIN_SAMPLES {
            round.samples += 1;
            return None;
        }
        let late = (least / 8).clamp(4_000, 16_000);
        (current > least + late).then_some(Found::Delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_takes_three_tenths() {
        let mut cubic = Cubic::default();
        assert_eq!((cubic.ssthresh(100), cubic.last_max), (70, 100));
        // The second loss came earlier: somebody else is there.
        assert_eq!((cubic.ssthresh(80), cubic.last_max), (56, 68));
        assert_eq!(cubic.ssthresh(2), 2);
    }

    /// From 70 segments up to 100 in K = (30/0.4)^(1/3) = 4.2 s, flat there, and beyond.
    #[test]
    fn the_window_comes_back_as_a_cubic_function_of_time() {
        let mut cubic = Cubic::default();
        let mut cwnd = cubic.ssthresh(100);
        let mut at = |seconds: f64, cubic: &mut Cubic| {
            let now = Nanos((seconds * 1e9) as u64);
            cwnd = cubic.avoid(cwnd, cwnd, now);
            cwnd
        };
        let mut seen = Vec::new();
        // Round trips of 200 ms.
        for round in 0..40 {
            seen.push(at(f64::from(round) * 0.2, &mut cubic));
        }
        assert!((93..=99).contains(&seen[10]), "{seen:?}");
        assert!((98..=103).contains(&seen[21]), "{seen:?}");
        assert!(seen[39] > 110, "{seen:?}");
    }

    #[test]
    fn slow_start_ends_when_round_trips_get_longer() {
        let mut cubic = Cubic::default();
        let now = |at: u64| Nanos::from_millis(at);
        assert_eq!(cubic.measured(20_000, now(20), (10, 20), Some(20)), None);
        for at in 0..8 {
            assert_eq!(cubic.measured(40_000, now(100 + 3 * at), (30, 40), Some(20)), None);
        }
        assert_eq!(cubic.measured(40_000, now(130), (30, 40), Some(20)), Some(Found::Delay));
        assert_eq!(cubic.measured(40_000, now(131), (30, 40), Some(20)), None, "once");
    }
}
