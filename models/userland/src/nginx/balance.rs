//! The choice of an upstream's server: smooth weighted round robin, without servers that failed of late.

use glassnet_sim::Nanos;

use super::config::{Peer, Upstream};

#[derive(Clone, Debug)]
struct State {
    current: i64,
    effective: i64,
    fails: u64,
    /// When it failed last, and when it was chosen after that.
    accessed: Nanos,
    checked: Nanos,
}

/// The servers of an upstream, with what is remembered of them.
#[derive(Clone, Debug)]
pub struct Balancer {
    pub peers: Vec<Peer>,
    states: Vec<State>,
}

impl Balancer {
    /// One that remembers nothing.
    pub fn new(upstream: &Upstream) -> Balancer {
        let state = |peer: &Peer| State {
            current: 0,
            effective: peer.weight,
            fails: 0,
            accessed: Nanos::ZERO,
            checked: Nanos::ZERO,
        };
        Balancer { peers: upstream.peers.clone(), states: upstream.peers.iter().map(state).collect() }
    }

    /// The next server that is not among those that were tried.
    pub fn choose(&mut self, tried: &[usize], now: Nanos) -> Option<usize> {
        if self.peers.len() == 1 {
            return (tried.is_empty() && !self.peers[0].down).then_some(0);
        }
        let (mut best, mut total): (Option<usize>, i64) = (None, 0);
        for (at, peer) in self.peers.iter().enumerate() {
            let state = &mut self.states[at];
            let rests = peer.max_fails > 0
                && state.fails >= peer.max_fails
                && now.since(state.checked) <= peer.fail_timeout;
            if peer.down || rests || tried.contains(&at) {
                continue;
            }
            state.current += state.effective;
            total += state.effective;
            if state.effective < peer.weight {
                state.effective += 1;
            }
            let current = state.current;
            if best.is_none_or(|best| current > self.states[best].current) {
                best = Some(at);
            }
        }
        let best = best?;
        let state = &mut self.states[best];
        state.current -= total;
        if now.since(state.checked) > self.peers[best].fail_timeout {
            state.checked = now;
        }
        Some(best)
    }

    /// A server failed.
    pub fn failed(&mut self, at: usize, now: Nanos) {
        if self.peers.len() == 1 {
            return;
        }
        let (peer, state) = (&self.peers[at], &mut self.states[at]);
        state.fails += 1;
        (state.accessed, state.checked) = (now, now);
        if peer.max_fails > 0 {
            state.effective = (state.effective - peer.weight / peer.max_fails as i64).max(0);
        }
    }

    /// A server answered.
    pub fn succeeded(&mut self, at: usize) {
        let state = &mut self.states[at];
        if state.accessed < state.checked {
            state.fails = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balancer(weights: &[i64]) -> Balancer {
        let peer = |(at, weight): (usize, &i64)| Peer {
            address: ([10, 0, 0, at as u8].into(), 80),
            weight: *weight,
            max_fails: 1,
            fail_timeout: Nanos::from_secs(10),
            down: false,
        };
        let peers = weights.iter().enumerate().map(peer).collect();
        Balancer::new(&Upstream { name: "web".to_owned(), peers })
    }

    #[test]
    fn turns_by_weight() {
        let mut web = balancer(&[2, 1]);
        let turns: Vec<_> = (0..6).filter_map(|_| web.choose(&[], Nanos::ZERO)).collect();
        assert_eq!(turns, [0, 1, 0, 0, 1, 0]);
    }

    #[test]
    fn who_failed_rests() {
        let mut web = balancer(&[1, 1]);
        let at = |seconds| Nanos::from_secs(seconds);
        assert_eq!(web.choose(&[], at(1)), Some(0));
        web.failed(0, at(1));
        assert_eq!((web.choose(&[0], at(1)), web.choose(&[], at(5))), (Some(1), Some(1)));
        web.failed(1, at(5));
        assert_eq!(web.choose(&[], at(6)), None);
        assert_eq!(web.choose(&[], at(12)), Some(0));
        let mut only = balancer(&[1]);
        only.failed(0, at(1));
        assert_eq!((only.choose(&[], at(1)), only.choose(&[0], at(1))), (Some(0), None));
    }
}
