//! Kinds of work, as far as costs are concerned.

/// What kind of work a function is, as far as its cost is concerned.
///
/// The kinds are those by which the CPU time of Linux's network stack has been measured (Cai and others, "Understanding Host
/// Network Stack Overheads", SIGCOMM 2021), and one for netfilter. Copied bytes
/// [count apart](crate::cost::OTHERS); locks do not count: a CPU here never waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Clones, cuts, merges, queues or frees the buffer of a packet.
    Skb,
    /// Takes other memory.
    Memory,
    /// A hard interrupt, of a device or of another CPU.
    Interrupt,
    /// Softirqs, NAPI and timers, which run once for many packets.
    Schedule,
    /// Network devices: drivers, queueing disciplines, bridges.
    Netdev,
    /// ARP, IPv4 and what stands on it.
    Protocol,
    /// Hooks, connection tracking, NAT. Each rule of a table costs time of its own.
    Netfilter,
}

impl Class {
    /// All classes, by the names that the [profile](crate::cost) uses.
    pub const ALL: &'static [(Class, &'static str)] = &[
        (Class::Skb, "skb"),
        (Class::Memory, "memory"),
        (Class::Interrupt, "interrupt"),
        (Class::Schedule, "schedule"),
        (Class::Netdev, "netdev"),
        (Class::Protocol, "protocol"),
        (Class::Netfilter, "netfilter"),
    ];
}
