//! What `ip monitor` and `bridge monitor` have in common: a socket that hears messages of rtnetlink.

use chrono::DateTime;
use glassnet_kernel::ids::NetnsId;
use glassnet_kernel::tables::rtnl::RtnlEvent;
use glassnet_sim::Nanos;

use crate::process::{BOOT_TIME, Process, Woken};
use crate::task::Task;

/// An open socket; closed when dropped, also when a signal kills its program.
pub struct Monitor {
    task: Task,
    id: u32,
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let id = self.id;
        self.task.call(|cx| cx.k.rtnl.close(id));
    }
}

impl Monitor {
    /// Begins to listen in a namespace.
    pub fn open(process: &Process, netns: NetnsId) -> Monitor {
        let id = process.syscall(|cx| cx.k.rtnl.listen(netns));
        Monitor { task: Task::of(process), id }
    }

    /// The next message.
    pub async fn next(&self, process: &mut Process) -> RtnlEvent {
        let (machine, id) = (process.machine, self.id);
        loop {
            // A signal ends the program: none is caught.
            if let Woken::Ready(event) =
                process.wait(None, |world| world.kernel_mut(machine).rtnl.next(id)).await
            {
                return event;
            }
        }
    }
}

/// How the time of a message is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timestamp {
    /// Not at all.
    #[default]
    None,
    /// `-timestamp`
    Long,
    /// `-tshort`
    Short,
}

impl Timestamp {
    /// What stands in front of a message.
    pub fn of(self, at: Nanos) -> String {
        let (seconds, micros) = (BOOT_TIME + at.0 / 1_000_000_000, at.0 / 1000 % 1_000_000);
        let time = DateTime::from_timestamp(seconds as i64, 0).unwrap_or_default();
        match self {
            Timestamp::None => String::new(),
            Timestamp::Long => format!("Timestamp: {} {micros} usec\n", time.format("%a %b %e %H:%M:%S %Y")),
            Timestamp::Short => format!("[{}.{micros:06}] ", time.format("%Y-%m-%dT%H:%M:%S")),
        }
    }
}
