//! All machines, cables and the event engine. (Placeholder until the lead's lands: only the clock.)

use glassnet_sim::{EventQueue, Nanos};

/// All machines and the events between them.
#[derive(Debug, Default)]
pub struct World {
    wakeups: EventQueue<()>,
    woke: bool,
}

impl World {
    /// A world without machines.
    pub fn new(_seed: u64) -> World {
        World::default()
    }

    /// Virtual time since boot.
    pub fn now(&self) -> Nanos {
        self.wakeups.now()
    }

    /// Wakes the waiting programs at this point in time, at once if it is past.
    pub fn wake_at(&mut self, at: Nanos) {
        let at = at.max(self.now());
        self.wakeups.schedule(at, ());
    }

    /// Advances to the next event and handles it; false if there is none.
    pub fn step(&mut self) -> bool {
        let popped = self.wakeups.pop().is_some();
        self.woke |= popped;
        popped
    }

    /// Whether an event woke a task since the last call.
    pub fn take_wakeups(&mut self) -> bool {
        std::mem::take(&mut self.woke)
    }
}
