//! A network card: receive rings that it fills without a CPU, and interrupts.
//!
//! Software and card share a ring of descriptors: the driver gives the card empty ones, the card writes frames into them, and the
//! driver takes those that are filled. Each ring has an interrupt vector (MSI-X), which the card masks when it raises it and the
//! driver unmasks; what happens meanwhile is told after that.
//!
//! Source: Intel 82574 datasheet, 7.1 (receive descriptors), 7.4 (interrupts).

use std::collections::VecDeque;

use glassnet_sim::Nanos;
use glassnet_wire::{BufId, BufPool};

use crate::rss::Rss;

/// A frame in a filled descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RxFrame {
    /// The frame.
    pub frame: BufId,
    /// Its RSS hash, and whether ports are in it; `None`: the card gave none.
    pub hash: Option<(u32, bool)>,
}

/// A ring of receive descriptors.
#[derive(Debug)]
struct RxRing {
    /// How many there are.
    descriptors: u32,
    /// Those that the card may fill.
    free: u32,
    /// Those that it filled.
    filled: VecDeque<RxFrame>,
}

impl RxRing {
    /// A full ring cannot be told from an empty one, so one descriptor stays with the driver.
    fn new(descriptors: u32) -> RxRing {
        RxRing { descriptors, free: descriptors - 1, filled: VecDeque::new() }
    }
}

/// An interrupt vector.
#[derive(Clone, Copy, Debug, Default)]
struct Vector {
    masked: bool,
    /// Something happened since it was raised.
    cause: bool,
    /// The interrupt is on its way: whoever was told so will [raise](Card::raise) it.
    due: bool,
    /// The least time between two (`ITR`).
    interval: Nanos,
    /// When the next one may be raised.
    earliest: Nanos,
}

impl Vector {
    fn request(&mut self, now: Nanos) -> Option<Nanos> {
        self.cause = true;
        if self.masked || self.due {
            return None;
        }
        self.due = true;
        Some(now.max(self.earliest))
    }
}

/// A card. Rings and vectors are numbered alike.
#[derive(Debug)]
pub struct Card {
    rings: Vec<RxRing>,
    vectors: Vec<Vector>,
    /// Spreads frames over the rings.
    pub rss: Rss,
}

/// What a card did with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// No descriptor was free in a ring: the frame is lost.
    Missed,
    /// It is in a ring, and no interrupt is due for it.
    Quiet,
    /// It is in a ring, whose interrupt must be [raised](Card::raise) at this time.
    Interrupt {
        /// The ring.
        ring: usize,
        /// When.
        at: Nanos,
    },
}

impl Card {
    /// A card with `rings` receive rings of so many descriptors each.
    pub fn new(rings: usize, descriptors: u32, rss: Rss) -> Card {
        let ring = || RxRing::new(descriptors);
        let vectors = vec![Vector::default(); rings];
        Card { rings: std::iter::repeat_with(ring).take(rings).collect(), vectors, rss }
    }

    /// Receives a frame, which is held from here on unless it was missed.
    #[inline]
    pub fn receive(&mut self, frame: BufId, bufs: &BufPool, now: Nanos) -> Received {
        let hash = if self.rings.len() > 1 { self.rss.hash(bufs.bytes(frame)) } else { None };
        let ring = hash.map_or(0, |(hash, _)| self.rss.queue(hash));
        let queue = &mut self.rings[ring];
        if queue.free == 0 {
            return Received::Missed;
        }
        queue.free -= 1;
        queue.filled.push_back(RxFrame { frame, hash });
        self.vectors[ring].request(now).map_or(Received::Quiet, |at| Received::Interrupt { ring, at })
    }

    /// The driver takes the next filled descriptor.
    #[inline]
    pub fn take(&mut self, ring: usize) -> Option<RxFrame> {
        self.rings[ring].filled.pop_front()
    }

    /// The driver gives descriptors that it took back to the card.
    #[inline]
    pub fn give_back(&mut self, ring: usize, descriptors: u32) {
        self.rings[ring].free += descriptors;
        debug_assert!(
            self.rings[ring].free as usize + self.rings[ring].filled.len()
                < self.rings[ring].descriptors as usize
        );
    }

    /// The time of an interrupt that was due has come: true if it is raised. The vector is masked then.
    #[inline]
    pub fn raise(&mut self, ring: usize, now: Nanos) -> bool {
        let vector = &mut self.vectors[ring];
        vector.due = false;
        if vector.masked || !vector.cause {
            return false;
        }
        *vector = Vector { masked: true, cause: false, earliest: now + vector.interval, ..*vector };
        true
    }

    /// The driver unmasks a vector: when its interrupt must be raised for what happened meanwhile.
    #[inline]
    pub fn unmask(&mut self, ring: usize, now: Nanos) -> Option<Nanos> {
        let vector = &mut self.vectors[ring];
        vector.masked = false;
        if vector.cause { vector.request(now) } else { None }
    }

    /// The least time between two interrupts of a ring.
    pub fn set_interval(&mut self, ring: usize, interval: Nanos) {
        let vector = &mut self.vectors[ring];
        vector.earliest = Nanos(vector.earliest.0.saturating_sub(vector.interval.0)) + interval;
        vector.interval = interval;
    }

    /// The card gets rings anew, and returns the frames that the old ones held. Interrupts are as after a start.
    pub fn reset(&mut self, rings: usize, descriptors: u32) -> Vec<BufId> {
        let lost = self.rings.iter().flat_map(|ring| ring.filled.iter().map(|filled| filled.frame)).collect();
        let intervals: Vec<Nanos> = self.vectors.iter().map(|vector| vector.interval).collect();
        let due: Vec<bool> = self.vectors.iter().map(|vector| vector.due).collect();
        *self = Card::new(rings, descriptors, self.rss.clone());
        for (vector, (interval, due)) in self.vectors.iter_mut().zip(intervals.into_iter().zip(due)) {
            *vector = Vector { interval, due, ..*vector };
        }
        lost
    }

    /// Number of receive rings.
    pub fn rings(&self) -> usize {
        self.rings.len()
    }

    /// Frames in filled descriptors of a ring.
    pub fn waiting(&self, ring: usize) -> usize {
        self.rings[ring].filled.len()
    }
}
