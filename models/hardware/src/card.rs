//! A network card: rings that it fills and empties without a CPU, and interrupts.
//!
//! Software and card share a ring of descriptors: the driver gives the card empty ones, the card writes frames into them, and the
//! driver takes those that are filled; the other way the driver gives it frames, which leave one after the other, and takes back
//! what has left. Each ring has an interrupt vector (MSI-X), its own or with another, which the card masks when it raises it and
//! the driver unmasks; what happens meanwhile is told after that.
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
    /// How many places of the ring it takes.
    pub room: u32,
    /// Its RSS hash, and whether ports are in it; `None`: the card gave none.
    pub hash: Option<(u32, bool)>,
}

/// A ring of receive descriptors, or of pages of memory, of which a frame takes several.
#[derive(Debug)]
struct RxRing {
    /// How many there are.
    descriptors: u32,
    /// The size of a page, bytes; 0: a descriptor has room for any frame.
    page: u32,
    /// Those that the card may fill.
    free: u32,
    /// Those that it filled.
    filled: VecDeque<RxFrame>,
}

/// What a card without descriptors writes with a frame, bytes: a header and the checksum (National Semiconductor DP8390D, 7.0).
const EXTRA: u32 = 8;

impl RxRing {
    /// A full ring cannot be told from an empty one, so one descriptor stays with the driver.
    fn new(descriptors: u32, page: u32) -> RxRing {
        RxRing { descriptors, page, free: descriptors - 1, filled: VecDeque::new() }
    }
}

/// Frames that a card is sending or has sent, in their order: when the last bit of each has left, and its length in bytes.
#[derive(Debug, Default)]
struct TxRing {
    posted: VecDeque<(Nanos, u32)>,
}

/// An interrupt vector.
#[derive(Clone, Copy, Debug, Default)]
struct Vector {
    masked: bool,
    /// A frame came in since it was raised.
    cause: bool,
    /// When it is to be raised next: whoever was told so will [raise](Card::raise) it.
    due: Option<Nanos>,
    /// The least time between two (`ITR`).
    interval: Nanos,
    /// When the next one may be raised.
    earliest: Nanos,
}

impl Vector {
    /// There is something to tell at a time. When the interrupt must be raised, unless it is masked or will be raised before.
    #[inline]
    fn request(&mut self, at: Nanos) -> Option<Nanos> {
        let at = at.max(self.earliest);
        if self.masked || self.due.is_some_and(|due| due <= at) {
            return None;
        }
        self.due = Some(at);
        Some(at)
    }
}

/// Which interrupt vectors a card's rings use: those of the first ring each way, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vectors {
    /// The vector of the first receive ring; the others follow.
    pub rx: usize,
    /// The vector of the first transmit ring; the others follow.
    pub tx: usize,
    /// How many there are.
    pub count: usize,
}

/// A card, with as many transmit rings as receive rings.
#[derive(Debug)]
pub struct Card {
    rx: Vec<RxRing>,
    tx: Vec<TxRing>,
    vectors: Vec<Vector>,
    use_of: Vectors,
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
        /// The vector.
        vector: usize,
        /// When.
        at: Nanos,
    },
}

impl Card {
    /// A card with `rings` rings each way, the receive rings of so many descriptors each, or of pages of so many bytes.
    pub fn new(rings: usize, descriptors: u32, page: u32, use_of: Vectors, rss: Rss) -> Card {
        Card {
            rx: std::iter::repeat_with(|| RxRing::new(descriptors, page)).take(rings).collect(),
            tx: std::iter::repeat_with(TxRing::default).take(rings).collect(),
            vectors: vec![Vector::default(); use_of.count],
            use_of,
            rss,
        }
    }

    /// Receives a frame, which is held from here on unless it was missed.
    #[inline]
    pub fn receive(&mut self, frame: BufId, bufs: &BufPool, now: Nanos) -> Received {
        let hash = if self.rx.len() > 1 { self.rss.hash(bufs.bytes(frame)) } else { None };
        let ring = hash.map_or(0, |(hash, _)| self.rss.queue(hash));
        let queue = &mut self.rx[ring];
        let room =
            if queue.page == 0 { 1 } else { (bufs.bytes(frame).len() as u32 + EXTRA).div_ceil(queue.page) };
        if queue.free < room {
            return Received::Missed;
        }
        queue.free -= room;
        queue.filled.push_back(RxFrame { frame, room, hash });
        let vector = self.use_of.rx + ring;
        self.vectors[vector].cause = true;
        let at = self.vectors[vector].request(now);
        at.map_or(Received::Quiet, |at| Received::Interrupt { vector, at })
    }

    /// Filled descriptors of a receive ring; `None`: there is no such ring.
    pub fn rx_filled(&self, ring: usize) -> Option<u32> {
        self.rx.get(ring).map(|ring| ring.filled.len() as u32)
    }

    /// The driver takes the next filled descriptor.
    #[inline]
    pub fn take(&mut self, ring: usize) -> Option<RxFrame> {
        self.rx[ring].filled.pop_front()
    }

    /// The driver gives descriptors that it took back to the card.
    #[inline]
    pub fn give_back(&mut self, ring: usize, descriptors: u32) {
        let ring = &mut self.rx[ring];
        ring.free += descriptors;
        debug_assert!((ring.free as usize + ring.filled.len()) < ring.descriptors as usize);
    }

    /// The card sends a frame of so many bytes, whose last bit leaves at a time: the vector whose interrupt must be raised to
    /// tell that, and when; `None`: it will be raised anyway, or is masked.
    #[inline]
    pub fn post(&mut self, ring: usize, sent: Nanos, bytes: u32) -> Option<(usize, Nanos)> {
        self.tx[ring].posted.push_back((sent, bytes));
        let vector = self.use_of.tx + ring;
        self.vectors[vector].request(sent).map(|at| (vector, at))
    }

    /// The driver takes back a frame that was sent: its length in bytes.
    #[inline]
    pub fn sent(&mut self, ring: usize, now: Nanos) -> Option<u32> {
        let posted = &mut self.tx[ring].posted;
        posted.pop_front_if(|(sent, _)| *sent <= now).map(|(_, bytes)| bytes)
    }

    /// The transmit ring whose end a vector tells.
    fn tx_ring(&self, vector: usize) -> Option<&TxRing> {
        self.tx.get(vector.checked_sub(self.use_of.tx)?)
    }

    /// The time of an interrupt that was due has come: true if it is raised. The vector is masked then.
    #[inline]
    pub fn raise(&mut self, vector: usize, now: Nanos) -> bool {
        let sent =
            self.tx_ring(vector).and_then(|ring| ring.posted.front()).is_some_and(|(sent, _)| *sent <= now);
        let vector = &mut self.vectors[vector];
        if vector.due.is_some_and(|due| due <= now) {
            vector.due = None;
        }
        if vector.masked || !(vector.cause || sent) {
            return false;
        }
        *vector = Vector { masked: true, cause: false, earliest: now + vector.interval, ..*vector };
        true
    }

    /// The driver unmasks a vector: when its interrupt must be raised for what happened meanwhile, or is about to.
    #[inline]
    pub fn unmask(&mut self, vector: usize, now: Nanos) -> Option<Nanos> {
        let sent = self.tx_ring(vector).and_then(|ring| ring.posted.front()).map(|(sent, _)| *sent);
        let vector = &mut self.vectors[vector];
        vector.masked = false;
        let next = if vector.cause { Some(now) } else { sent.map(|sent| sent.max(now)) };
        vector.request(next?)
    }

    /// The least time between two interrupts of a vector.
    pub fn set_interval(&mut self, vector: usize, interval: Nanos) {
        let vector = &mut self.vectors[vector];
        vector.earliest = Nanos(vector.earliest.0.saturating_sub(vector.interval.0)) + interval;
        vector.interval = interval;
    }

    /// The card gets rings anew, and returns the frames that the old ones held.
    pub fn reset(&mut self, rings: usize, descriptors: u32, use_of: Vectors) -> Vec<BufId> {
        let lost = self.rx.iter().flat_map(|ring| ring.filled.iter().map(|filled| filled.frame)).collect();
        let page = self.rx.first().map_or(0, |ring| ring.page);
        *self = Card::new(rings, descriptors, page, use_of, self.rss.clone());
        lost
    }
}
