//! Endpoints take turns, as in the userspace mode's `LoadBalancerRR`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};

use glassnet_sim::Nanos;

/// The endpoints of a service port.
#[derive(Debug, Default)]
pub(super) struct Balancer {
    endpoints: Vec<SocketAddrV4>,
    /// Whose turn it is.
    index: usize,
    /// For how long a client stays with its endpoint, if it does.
    affinity: Option<Nanos>,
    /// The endpoints of clients, and when they were used last.
    clients: BTreeMap<Ipv4Addr, (SocketAddrV4, Nanos)>,
}

impl Balancer {
    /// Takes other endpoints, in an order that chance decides. The same ones go on as they were.
    pub(super) fn update(
        &mut self,
        endpoints: &[SocketAddrV4],
        affinity: Option<u32>,
        mut below: impl FnMut(u64) -> u64,
    ) {
        self.affinity = affinity.map(|seconds| Nanos::from_secs(u64::from(seconds)));
        let now: BTreeSet<_> = endpoints.iter().copied().collect();
        if now == self.endpoints.iter().copied().collect() {
            return;
        }
        self.clients.retain(|_, (endpoint, _)| now.contains(endpoint));
        self.endpoints = endpoints.to_vec();
        self.index = 0;
        for last in (1..self.endpoints.len()).rev() {
            self.endpoints.swap(last, below(last as u64 + 1) as usize);
        }
    }

    /// The endpoint for a client; another than the client had, if that did not answer.
    pub(super) fn next(&mut self, client: Ipv4Addr, now: Nanos, another: bool) -> Option<SocketAddrV4> {
        if let (Some(affinity), false) = (self.affinity, another)
            && let Some((endpoint, used)) = self.clients.get_mut(&client)
            && now.since(*used) < affinity
        {
            *used = now;
            return Some(*endpoint);
        }
        let endpoint = *self.endpoints.get(self.index)?;
        self.index = (self.index + 1) % self.endpoints.len();
        if self.affinity.is_some() {
            self.clients.insert(client, (endpoint, now));
        }
        Some(endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENTS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 244, 0, 9), Ipv4Addr::new(10, 244, 0, 10)];

    fn endpoints(count: u8) -> Vec<SocketAddrV4> {
        (0..count).map(|at| SocketAddrV4::new(Ipv4Addr::new(10, 244, 0, 2 + at), 80)).collect()
    }

    /// The last octets of the endpoints that so many connections get.
    fn asked(balancer: &mut Balancer, client: usize, count: u64) -> Vec<u8> {
        let next = |at| balancer.next(CLIENTS[client], Nanos::from_secs(at), false);
        (0..count).map(next).map(|endpoint| endpoint.expect("an endpoint").ip().octets()[3]).collect()
    }

    #[test]
    fn endpoints_take_turns() {
        let mut balancer = Balancer::default();
        assert_eq!(balancer.next(CLIENTS[0], Nanos::ZERO, false), None);
        balancer.update(&endpoints(3), None, |bound| bound - 1);
        assert_eq!(asked(&mut balancer, 0, 4), [2, 3, 4, 2]);
        // The same endpoints in another order are no change.
        balancer.update(&endpoints(3).into_iter().rev().collect::<Vec<_>>(), None, |_| 0);
        assert_eq!(asked(&mut balancer, 1, 2), [3, 4]);
        // Others begin anew, shuffled.
        balancer.update(&endpoints(2), None, |_| 0);
        assert_eq!(asked(&mut balancer, 0, 3), [3, 2, 3]);
    }

    #[test]
    fn a_client_stays_with_its_endpoint() {
        let mut balancer = Balancer::default();
        balancer.update(&endpoints(2), Some(10), |bound| bound - 1);
        assert_eq!(asked(&mut balancer, 0, 3), [2, 2, 2]);
        assert_eq!(asked(&mut balancer, 1, 2), [3, 3]);
        // It is used at 2 s last, so its time is over at 12 s.
        let at = |seconds| Nanos::from_secs(seconds);
        let [first, second] = [endpoints(2)[0], endpoints(2)[1]];
        assert_eq!(
            balancer.next(CLIENTS[0], at(12), false),
            Some(first),
            "the next one's turn is the first's"
        );
        assert_eq!(balancer.next(CLIENTS[0], at(13), true), Some(second), "the first did not answer");
        assert_eq!(balancer.next(CLIENTS[0], at(14), false), Some(second));
        // Its endpoint is gone.
        balancer.update(&endpoints(1), Some(10), |_| 0);
        assert_eq!(balancer.next(CLIENTS[0], at(15), false), Some(first));
    }
}
