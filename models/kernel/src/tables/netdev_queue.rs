//! Transmit queues of a device (`struct netdev_queue`, include/linux/netdevice.h), with byte queue limits (`struct dql`,
//! include/linux/dynamic_queue_limits.h, lib/dynamic_queue_limits.c).

use super::jiffies::HZ;
use crate::ids::QdiscId;

/// A transmit queue.
#[derive(Debug)]
pub struct NetdevQueue {
    /// The discipline that packets are given to; `noop` while the device cannot transmit.
    pub qdisc: QdiscId,
    /// The discipline when it can.
    pub qdisc_sleeping: QdiscId,
    /// The driver stopped it (`__QUEUE_STATE_DRV_XOFF`).
    pub drv_xoff: bool,
    /// Its byte queue limit stopped it (`__QUEUE_STATE_STACK_XOFF`).
    pub stack_xoff: bool,
    /// When a packet last went to the driver, in ticks.
    pub trans_start: u64,
    /// How often the driver was too late with it.
    pub trans_timeout: u32,
    /// Byte queue limit.
    pub dql: Dql,
    /// CPUs whose packets use it, a bit each (`xps_cpus`); 0: none is asked for.
    pub xps_cpus: u64,
}

impl Default for NetdevQueue {
    fn default() -> NetdevQueue {
        NetdevQueue {
            qdisc: QdiscId::NOOP,
            qdisc_sleeping: QdiscId::NOOP,
            drv_xoff: false,
            stack_xoff: false,
            trans_start: 0,
            trans_timeout: 0,
            dql: Dql::default(),
            xps_cpus: 0,
        }
    }
}

impl NetdevQueue {
    /// It takes no packets at the moment (`netif_xmit_stopped`).
    #[inline]
    pub fn is_stopped(&self) -> bool {
        self.drv_xoff || self.stack_xoff
    }
}

/// Largest limit of bytes (`DQL_MAX_LIMIT`).
pub const DQL_MAX_LIMIT: u32 = (u32::MAX / 2) - (u32::MAX / 32);

/// How many bytes a driver may hold: as few as keep it busy. Counts run over, as the kernel's.
#[derive(Clone, Copy, Debug)]
pub struct Dql {
    /// Bytes given to the driver so far.
    pub num_queued: u32,
    /// The count of given bytes from which on the queue is stopped.
    pub adj_limit: u32,
    /// Bytes of the last packet.
    pub last_obj_cnt: u32,
    /// The limit.
    pub limit: u32,
    /// Bytes that are sent.
    pub num_completed: u32,
    /// Bytes over the limit at the last completion.
    pub prev_ovlimit: u32,
    /// [`num_queued`](Self::num_queued) at the last completion.
    pub prev_num_queued: u32,
    /// [`last_obj_cnt`](Self::last_obj_cnt) at the last completion.
    pub prev_last_obj_cnt: u32,
    /// Least excess of the limit since [`slack_start_time`](Self::slack_start_time).
    pub lowest_slack: u32,
    /// Since when the excess is looked at, in ticks.
    pub slack_start_time: u64,
    /// Largest limit, a setting.
    pub max_limit: u32,
    /// Smallest limit, a setting.
    pub min_limit: u32,
    /// How long an excess has to last before the limit goes down, in ticks; a setting.
    pub slack_hold_time: u64,
}

impl Default for Dql {
    fn default() -> Dql {
        Dql {
            num_queued: 0,
            adj_limit: 0,
            last_obj_cnt: 0,
            limit: 0,
            num_completed: 0,
            prev_ovlimit: 0,
            prev_num_queued: 0,
            prev_last_obj_cnt: 0,
            lowest_slack: u32::MAX,
            slack_start_time: 0,
            max_limit: DQL_MAX_LIMIT,
            min_limit: 0,
            slack_hold_time: HZ,
        }
    }
}

/// How much larger the first count is, 0 if it is not (`POSDIFF`).
fn excess(a: u32, b: u32) -> u32 {
    let difference = a.wrapping_sub(b);
    if (difference as i32) > 0 { difference } else { 0 }
}

impl Dql {
    /// Bytes that may still be given to the driver; negative: too many were (`dql_avail`).
    pub fn avail(&self) -> i32 {
        self.adj_limit.wrapping_sub(self.num_queued) as i32
    }

    /// The driver got `count` bytes (`dql_queued`).
    pub fn queued(&mut self, count: u32) {
        self.last_obj_cnt = count;
        self.num_queued = self.num_queued.wrapping_add(count);
    }

    /// `count` bytes were sent; the limit follows (`dql_completed`).
    ///
    /// It grows where the driver ran out of bytes while more could not be given to it, and shrinks by the least excess of the
    /// last second.
    pub fn completed(&mut self, count: u32, jiffies: u64) {
        let completed = self.num_completed.wrapping_add(count);
        let over = excess(self.num_queued.wrapping_sub(self.num_completed), self.limit);
        let in_progress = self.num_queued.wrapping_sub(completed);
        let prev_in_progress = self.prev_num_queued.wrapping_sub(self.num_completed);
        let all_prev_completed = completed.wrapping_sub(self.prev_num_queued) as i32 >= 0;
        let mut limit = self.limit;
        if over > 0 && in_progress == 0 || self.prev_ovlimit > 0 && all_prev_completed {
            let more = excess(completed, self.prev_num_queued).wrapping_add(self.prev_ovlimit);
            limit = limit.wrapping_add(more);
            (self.slack_start_time, self.lowest_slack) = (jiffies, u32::MAX);
        } else if in_progress > 0 && prev_in_progress > 0 && !all_prev_completed {
            let sent = completed.wrapping_sub(self.num_completed);
            let slack = excess(limit.wrapping_add(self.prev_ovlimit), sent.wrapping_mul(2));
            let of_last = match self.prev_ovlimit {
                0 => 0,
                over => excess(self.prev_last_obj_cnt, over),
            };
            self.lowest_slack = self.lowest_slack.min(slack.max(of_last));
            if jiffies > self.slack_start_time + self.slack_hold_time {
                limit = excess(limit, self.lowest_slack);
                (self.slack_start_time, self.lowest_slack) = (jiffies, u32::MAX);
            }
        }
        limit = limit.max(self.min_limit).min(self.max_limit);
        self.prev_ovlimit = if limit == self.limit { over } else { 0 };
        self.limit = limit;
        self.adj_limit = limit.wrapping_add(completed);
        self.prev_last_obj_cnt = self.last_obj_cnt;
        self.num_completed = completed;
        self.prev_num_queued = self.num_queued;
    }

    /// The driver holds nothing any more (`dql_reset`).
    pub fn reset(&mut self, jiffies: u64) {
        let (max_limit, min_limit, slack_hold_time) = (self.max_limit, self.min_limit, self.slack_hold_time);
        let adj_limit = self.adj_limit;
        *self = Dql {
            limit: min_limit,
            slack_start_time: jiffies,
            adj_limit,
            max_limit,
            min_limit,
            slack_hold_time,
            ..Dql::default()
        };
    }
}
