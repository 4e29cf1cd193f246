//! What happens next: events in the order of their time, and of their scheduling where times are equal.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::Nanos;

/// A queue of events. Equal times come out in the order in which they were scheduled, so a run repeats
/// bit for bit.
#[derive(Debug)]
pub struct EventQueue<E> {
    heap: BinaryHeap<Reverse<Entry<E>>>,
    scheduled: u64,
    now: Nanos,
}

#[derive(Debug)]
struct Entry<E> {
    at: Nanos,
    order: u64,
    event: E,
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl<E> Default for EventQueue<E> {
    fn default() -> Self {
        EventQueue { heap: BinaryHeap::new(), scheduled: 0, now: Nanos::ZERO }
    }
}

impl<E> EventQueue<E> {
    /// The time of the event that was taken last.
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// How many events were scheduled so far.
    pub fn scheduled(&self) -> u64 {
        self.scheduled
    }

    /// Schedules `event` at `at`; a time that has passed means now.
    pub fn schedule(&mut self, at: Nanos, event: E) {
        let at = at.max(self.now);
        self.heap.push(Reverse(Entry { at, order: self.scheduled, event }));
        self.scheduled += 1;
    }

    /// Takes the next event and moves the clock to its time.
    pub fn pop(&mut self) -> Option<(Nanos, E)> {
        let Reverse(entry) = self.heap.pop()?;
        self.now = entry.at;
        Some((entry.at, entry.event))
    }

    /// When the next event is due.
    pub fn next_at(&self) -> Option<Nanos> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_times_keep_their_order_and_past_times_mean_now() {
        let mut queue = EventQueue::default();
        for (at, event) in [(5, 'b'), (5, 'c'), (1, 'a')] {
            queue.schedule(Nanos(at), event);
        }
        assert_eq!(queue.pop(), Some((Nanos(1), 'a')));
        assert_eq!(queue.pop(), Some((Nanos(5), 'b')));
        queue.schedule(Nanos(2), 'd');
        assert_eq!(queue.pop(), Some((Nanos(5), 'c')));
        assert_eq!(queue.pop(), Some((Nanos(5), 'd')));
        assert_eq!(queue.pop(), None);
    }
}
