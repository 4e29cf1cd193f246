//! The packet generator: threads, one a CPU, that make packets and give them to a driver.
//!
//! Kernel: net/core/pktgen.c
//! Not modelled: IPv6, VLAN tags, MPLS, IPsec, pages (`frags`), `imix_weights`, `debug`; a driver is not told that more of a
//! burst follows, and a run does not wait until a card has sent its last packet.

pub mod device;
mod packet;

use std::mem;

use glassnet_sim::Nanos;

use self::device::{DELAY_NEVER, PktgenDev, XmitMode};
use crate::Cx;
use crate::Kernel;
use crate::door::{Door, Func};
use crate::event::Event;
use crate::ids::{CpuId, DevId, NetnsId, SkbId};
use crate::kernel::INIT_NET;
use crate::module::{Module, NetdevEvent};
use crate::net::ethernet::eth::eth_type_trans;
use crate::netlink::Errno;
use crate::tables::drop_reason::DropReason;
use crate::tables::klog::{LOG_ERR, LOG_INFO};
use crate::timer::Kthread;

/// The module.
pub static MODULE: Module = Module {
    init: Some(pg_init),
    netdevice_event: Some(pktgen_device_event),
    net_init: Some(pg_net_init),
    ..Module::named("pktgen")
};

/// What it says of itself.
pub const VERSION: &str = "Packet Generator for packet performance testing. Version: 2.75";

/// How often an idle thread looks for something to do (`HZ / 10`).
const LOOKS_EVERY: Nanos = Nanos::from_millis(100);
/// How long whoever starts a run waits at least, and then from one look to the next.
const START_TAKES: Nanos = Nanos::from_millis(125);
/// How often the driver is asked whether it has room again: the kernel does nothing else meanwhile.
const ASKS_EVERY: Nanos = Nanos::from_micros(1);
/// The longest delay that is waited for without giving the CPU away.
const SPINS_UP_TO: Nanos = Nanos::from_micros(100);

/// The generator in a namespace (`struct pktgen_net`).
#[derive(Debug, Default)]
pub struct PktgenNet {
    /// A thread for each CPU; none before the module is loaded.
    pub threads: Vec<PktgenThread>,
    /// Whoever wrote `start` waits.
    pub waiting: bool,
}

/// A thread, `kpktgend_N` (`struct pktgen_thread`).
#[derive(Debug)]
pub struct PktgenThread {
    /// Its devices, the newest first.
    pub if_list: Vec<PktgenDev>,
    /// What the last command said.
    pub result: String,
    /// Its number among [`Kernel::kthreads`].
    kthread: u32,
    /// It is to start its devices.
    run: bool,
    /// Since when it sleeps, if it has no turn.
    asleep_since: Option<Nanos>,
}

impl PktgenNet {
    /// The device of this name, of whatever thread.
    pub fn dev_mut(&mut self, name: &str) -> Option<&mut PktgenDev> {
        self.threads.iter_mut().flat_map(|thread| &mut thread.if_list).find(|dev| dev.name == name)
    }

    fn is_running(&self) -> bool {
        let mut devs = self.threads.iter().flat_map(|thread| &thread.if_list);
        devs.any(|dev| dev.run.running) || self.threads.iter().any(|thread| thread.run)
    }
}

/// The generator in a namespace, once the module is loaded.
pub fn pktgen_net(kernel: &Kernel, netns: NetnsId) -> Option<&PktgenNet> {
    let net: &PktgenNet = kernel.netns.get(netns)?.generic.get()?;
    (!net.threads.is_empty()).then_some(net)
}

fn pktgen_net_mut(kernel: &mut Kernel, netns: NetnsId) -> &mut PktgenNet {
    kernel.netns[netns].generic.get_mut()
}

fn pg_init(cx: &mut Cx) {
    if pktgen_net(cx.k, INIT_NET).is_some() {
        return;
    }
    cx.printk(LOG_INFO, format!("pktgen: {VERSION}"));
    for netns in cx.k.netns.iter_mut().map(|netns| netns.id).collect::<Vec<_>>() {
        start_threads(cx, netns);
    }
}

fn pg_net_init(cx: &mut Cx, netns: NetnsId) {
    if netns != INIT_NET && pktgen_net(cx.k, INIT_NET).is_some() {
        start_threads(cx, netns);
    }
}

/// A thread for each CPU (`pktgen_create_thread`).
fn start_threads(cx: &mut Cx, netns: NetnsId) {
    for cpu in 0..cx.k.cpus.len() {
        let (cpu, kthread) = (CpuId(cpu as u32), cx.k.kthreads.len() as u32);
        let turn = pktgen_thread_worker;
        cx.k.kthreads.push(Kthread { comm: "kpktgend", cpu, netns, turn, ran: Nanos::ZERO });
        let thread = PktgenThread {
            if_list: Vec::new(),
            result: String::new(),
            kthread,
            run: false,
            asleep_since: Some(cx.now),
        };
        pktgen_net_mut(cx.k, netns).threads.push(thread);
    }
}

/// Devices are known by name; one that goes ends its run.
fn pktgen_device_event(cx: &mut Cx, dev: DevId, event: NetdevEvent) {
    let netns = cx.k.devs[dev].netns;
    if pktgen_net(cx.k, netns).is_none() {
        return;
    }
    match event {
        NetdevEvent::ChangeName => {
            let name = cx.k.devs[dev].name.clone();
            let threads = &mut pktgen_net_mut(cx.k, netns).threads;
            let devs = threads.iter_mut().flat_map(|thread| &mut thread.if_list);
            devs.filter(|entry| entry.dev == dev).for_each(|entry| entry.name.clone_from(&name));
        }
        NetdevEvent::Unregister => remove(cx, netns, None, |entry| entry.dev == dev),
        _ => {}
    }
}

/// Ends the runs of devices of all threads, or of one, and forgets them.
fn remove(cx: &mut Cx, netns: NetnsId, thread: Option<usize>, which: impl Fn(&PktgenDev) -> bool) {
    let threads = pktgen_net_mut(cx.k, netns).threads.iter_mut().enumerate();
    let mut gone = Vec::new();
    for (_, thread) in threads.filter(|(at, _)| thread.is_none_or(|thread| thread == *at)) {
        gone.extend(thread.if_list.extract_if(.., |dev| which(dev)));
    }
    gone.iter_mut().filter(|dev| dev.run.running).for_each(|dev| dev.stop(cx));
}

/// Gives a thread a device; `name` may have an `@` and more behind the device's name (`pktgen_add_device`).
///
/// # Errors
///
/// `EBUSY` for a name that a thread has, `ENODEV` for no such device, `ENETDOWN` for one that is down.
pub fn pktgen_add_device(cx: &mut Cx, netns: NetnsId, thread: usize, name: &str) -> Result<(), Errno> {
    if pktgen_net_mut(cx.k, netns).dev_mut(name).is_some() {
        cx.printk(LOG_ERR, "pktgen: ERROR: interface already used".to_owned());
        return Err(Errno::EBUSY);
    }
    let device = name.split('@').next().unwrap_or_default();
    let Some(dev) = cx.k.dev_by_name(netns, device) else {
        cx.printk(LOG_ERR, format!("pktgen: no such netdevice: \"{name}\""));
        return Err(Errno::ENODEV);
    };
    if !cx.k.devs[dev].is_up() {
        cx.printk(LOG_ERR, format!("pktgen: device is down: \"{name}\""));
        return Err(Errno::ENETDOWN);
    }
    let dev = PktgenDev::new(name.to_owned(), dev);
    pktgen_net_mut(cx.k, netns).threads[thread].if_list.insert(0, dev);
    Ok(())
}

/// A thread forgets its devices.
pub fn pktgen_rem_all_ifs(cx: &mut Cx, netns: NetnsId, thread: usize) {
    remove(cx, netns, Some(thread), |_| true);
}

/// All threads forget their devices.
pub fn pktgen_reset_all_threads(cx: &mut Cx, netns: NetnsId) {
    remove(cx, netns, None, |_| true);
}

/// All runs end, and who waits for them waits no longer.
pub fn pktgen_stop_all_threads(cx: &mut Cx, netns: NetnsId) {
    let net = pktgen_net_mut(cx.k, netns);
    net.waiting = false;
    for at in 0..net.threads.len() {
        let thread = &mut pktgen_net_mut(cx.k, netns).threads[at];
        thread.run = false;
        let mut devs = mem::take(&mut thread.if_list);
        devs.iter_mut().filter(|dev| dev.run.running).for_each(|dev| dev.stop(cx));
        pktgen_net_mut(cx.k, netns).threads[at].if_list = devs;
    }
    cx.wake_up();
}

/// All threads start their devices as soon as they look. Whoever asks for it waits until all runs have ended.
pub fn pktgen_run_all_threads(cx: &mut Cx, netns: NetnsId) {
    let now = cx.now;
    let net = pktgen_net_mut(cx.k, netns);
    net.waiting = true;
    let mut turns = Vec::new();
    for thread in net.threads.iter_mut().filter(|thread| !thread.if_list.is_empty()) {
        thread.run = true;
        if let Some(since) = thread.asleep_since.take() {
            let looks = now.since(since).0.div_ceil(LOOKS_EVERY.0);
            turns.push((thread.kthread, since + Nanos(LOOKS_EVERY.0 * looks)));
        }
    }
    let machine = cx.machine();
    for (thread, at) in turns {
        cx.events.schedule(at, Event::Kthread { machine, thread });
    }
    cx.set_timer(now + START_TAKES, pktgen_wait_all_threads_run, netns.0);
}

/// Whoever started the runs looks whether one still goes on.
fn pktgen_wait_all_threads_run(cx: &mut Cx, netns: u32) {
    if pktgen_net(cx.k, NetnsId(netns)).is_none() {
        return;
    }
    let net = pktgen_net_mut(cx.k, NetnsId(netns));
    if net.waiting && net.is_running() {
        cx.set_timer(cx.now + LOOKS_EVERY, pktgen_wait_all_threads_run, netns);
        return;
    }
    net.waiting = false;
    cx.wake_up();
}

/// A turn of a thread: it starts its devices if it is to, and sends one packet, or one burst.
fn pktgen_thread_worker(cx: &mut Cx, netns: NetnsId) -> Option<Nanos> {
    pktgen_net(cx.k, netns)?;
    let at = cx.cpu.index();
    let thread = &mut pktgen_net_mut(cx.k, netns).threads[at];
    let starts = mem::take(&mut thread.run);
    let mut devs = mem::take(&mut thread.if_list);
    if starts {
        devs.iter_mut().filter(|dev| !dev.run.running).for_each(|dev| pktgen_run(cx, dev));
    }
    // The first of those that are due first (`next_to_run`).
    let due = devs.iter_mut().filter(|dev| dev.run.running && dev.set.delay != DELAY_NEVER);
    let turn = due.min_by_key(|dev| dev.run.next_tx).map(|dev| pktgen_xmit(cx, dev));
    let thread = &mut pktgen_net_mut(cx.k, netns).threads[at];
    thread.if_list = devs;
    thread.asleep_since = turn.is_none().then_some(cx.now);
    turn
}

fn pktgen_run(cx: &mut Cx, dev: &mut PktgenDev) {
    dev.setup_inject(cx);
    dev.clear_counters();
    dev.run.running = true;
    (dev.run.started_at, dev.run.next_tx) = (cx.now, cx.now);
    dev.result = "Starting".to_owned();
}

/// Sends a packet when it is due; returns when to go on.
fn pktgen_xmit(cx: &mut Cx, dev: &mut PktgenDev) -> Nanos {
    let netdev = &cx.k.devs[dev.dev];
    if !netdev.is_up() || !netdev.carrier {
        dev.stop(cx);
        return cx.now;
    }
    end_spin(cx, dev);
    cx.within(Func::PktgenXmit, None, |cx| {
        if !mem::replace(&mut dev.run.is_ready, true) {
            make_ready(cx, dev);
        }
        if dev.set.delay > 0 && dev.run.last_ok {
            if cx.now < dev.run.next_tx {
                begin_spin(cx, dev);
                return dev.run.next_tx;
            }
            dev.run.next_tx += Nanos(dev.set.delay);
        }
        send(cx, dev);
        if dev.set.count != 0 && dev.run.sofar >= dev.set.count {
            dev.stop(cx);
        } else if !dev.run.last_ok {
            begin_spin(cx, dev);
            return cx.now + ASKS_EVERY;
        }
        cx.now
    })
}

/// It waits; that it waits without giving its CPU away for shorter times shows in the CPU's time.
fn begin_spin(cx: &Cx, dev: &mut PktgenDev) {
    dev.run.spins = Some((cx.now, cx.k.cpus[cx.cpu.index()].time.busy()));
}

fn end_spin(cx: &mut Cx, dev: &mut PktgenDev) {
    let Some((since, busy)) = dev.run.spins.take() else { return };
    let waited = cx.now.since(since);
    if dev.run.last_ok {
        dev.run.idle += waited;
    }
    let time = &mut cx.k.cpus[cx.cpu.index()].time;
    if waited < SPINS_UP_TO {
        time.system += Nanos(waited.0.saturating_sub(time.busy().since(busy).0));
    }
}

/// Makes a packet, unless the last is to be sent again.
fn make_ready(cx: &mut Cx, dev: &mut PktgenDev) {
    let run = &mut dev.run;
    run.clone_count += 1;
    if run.skb.is_some() && run.clone_count < dev.set.clone_skb {
        return;
    }
    if let Some(skb) = run.skb.take() {
        cx.discard_skb(skb);
    }
    let skb = dev.fill_packet(cx);
    (dev.run.skb, dev.run.clone_count) = (Some(skb), 0);
}

/// Sends the packet, as often as a burst says, or until the driver takes no more.
fn send(cx: &mut Cx, dev: &mut PktgenDev) {
    for _ in 0..dev.set.burst {
        *cx.polled += 1;
        dev.run.last_ok = match dev.set.xmit_mode {
            XmitMode::StartXmit => start_xmit(cx, dev),
            XmitMode::NetifReceive => netif_receive(cx, dev),
            XmitMode::QueueXmit => queue_xmit(cx, dev),
        };
        if !dev.run.last_ok {
            return;
        }
        dev.run.is_ready = false;
        dev.run.sofar += 1;
        dev.run.seq_num = dev.run.seq_num.wrapping_add(1);
    }
}

/// The packet, or another handle of it if it will be needed once more.
fn handle(cx: &mut Cx, dev: &mut PktgenDev) -> Option<SkbId> {
    if dev.set.clone_skb > 0 || dev.set.burst > 1 {
        return dev.run.skb.map(|skb| cx.skbs.clone_skb(skb));
    }
    dev.run.skb.take()
}

fn start_xmit(cx: &mut Cx, dev: &mut PktgenDev) -> bool {
    let netdev = &cx.k.devs[dev.dev];
    if netdev.tx[usize::from(dev.cur.queue_map)].is_stopped() {
        return false;
    }
    let xmit = netdev.ops.xmit;
    let Some(skb) = handle(cx, dev) else { return false };
    cx.walk(xmit(skb));
    if !mem::take(&mut cx.k.xmit_busy) {
        return true;
    }
    if let Some(copy) = dev.run.skb.replace(skb) {
        cx.discard_skb(copy);
    }
    false
}

/// Not modelled: the queue that is chosen here and not by the settings.
fn queue_xmit(cx: &mut Cx, dev: &mut PktgenDev) -> bool {
    let Some(skb) = handle(cx, dev) else { return false };
    if cx.xmit_and_wait(skb, Door::DevQueueXmit { skb }).is_err() {
        dev.run.errors += 1;
    }
    true
}

/// A packet that is dropped before a protocol has it is an error.
fn netif_receive(cx: &mut Cx, dev: &mut PktgenDev) -> bool {
    let Some(skb) = handle(cx, dev) else { return false };
    let drops = |cx: &Cx| {
        let after = [DropReason::NoSocket, DropReason::SocketRcvbuff];
        let all = cx.k.drops.iter().filter(|(reason, _)| !after.contains(reason));
        all.map(|(_, count)| count).sum::<u64>()
    };
    let before = drops(cx);
    eth_type_trans(cx, skb, dev.dev);
    cx.walk(Door::NetifReceiveSkb { skb });
    dev.run.errors += u64::from(drops(cx) > before);
    true
}
