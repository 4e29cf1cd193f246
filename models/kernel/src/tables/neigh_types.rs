//! The words of the neighbour tables as rtnetlink spells them.
//!
//! Kernel: include/uapi/linux/neighbour.h

use std::net::Ipv4Addr;

use glassnet_wire::Mac;

use crate::ids::DevId;

/// Neighbour Unreachability Detection state (NUD_*); the value is the kernel's bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Nud {
    /// Not resolved, not tried.
    #[default]
    None = 0x00,
    /// Asked, no answer yet.
    Incomplete = 0x01,
    /// Known to be there.
    Reachable = 0x02,
    /// Known, not confirmed of late.
    Stale = 0x04,
    /// Used while stale: a probe follows soon.
    Delay = 0x08,
    /// Being probed.
    Probe = 0x10,
    /// Did not answer.
    Failed = 0x20,
    /// Needs no resolution.
    Noarp = 0x40,
    /// Set by hand.
    Permanent = 0x80,
}

impl Nud {
    /// All but none, by their bits.
    pub const ALL: [Nud; 8] = [
        Nud::Incomplete,
        Nud::Reachable,
        Nud::Stale,
        Nud::Delay,
        Nud::Probe,
        Nud::Failed,
        Nud::Noarp,
        Nud::Permanent,
    ];

    /// The bit.
    pub const fn bit(self) -> u8 {
        self as u8
    }

    /// NUD_CONNECTED: usable with no question.
    pub const fn connected(self) -> bool {
        self.bit() & (0x80 | 0x40 | 0x02) != 0
    }

    /// NUD_VALID: has a link-layer address.
    pub const fn valid(self) -> bool {
        self.bit() & (0x80 | 0x40 | 0x02 | 0x10 | 0x04 | 0x08) != 0
    }

    /// NUD_IN_TIMER: a timer runs.
    pub const fn in_timer(self) -> bool {
        self.bit() & (0x01 | 0x02 | 0x08 | 0x10) != 0
    }

    /// The name that `ip neigh` prints.
    pub const fn name(self) -> &'static str {
        match self {
            Nud::None => "NONE",
            Nud::Incomplete => "INCOMPLETE",
            Nud::Reachable => "REACHABLE",
            Nud::Stale => "STALE",
            Nud::Delay => "DELAY",
            Nud::Probe => "PROBE",
            Nud::Failed => "FAILED",
            Nud::Noarp => "NOARP",
            Nud::Permanent => "PERMANENT",
        }
    }
}

/// `NTF_USE`: start resolution.
pub const NTF_USE: u8 = 0x01;
/// `NTF_PROXY`: an address answered for.
pub const NTF_PROXY: u8 = 0x08;
/// `NTF_EXT_LEARNED`: kept by a control plane.
pub const NTF_EXT_LEARNED: u8 = 0x10;
/// `NTF_ROUTER`.
pub const NTF_ROUTER: u8 = 0x80;

/// A neighbour, as RTM_NEWNEIGH and RTM_DELNEIGH carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighMsg {
    /// The device.
    pub dev: DevId,
    /// NDA_DST.
    pub dst: Ipv4Addr,
    /// NDA_LLADDR.
    pub lladdr: Option<Mac>,
    /// ndm_state.
    pub state: Nud,
    /// ndm_flags (NTF_*).
    pub flags: u8,
    /// NDA_PROTOCOL, 0 if none.
    pub protocol: u8,
}

/// A neighbour as a dump reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighRow {
    /// The entry itself.
    pub msg: NeighMsg,
    /// ndm_type: local, broadcast, multicast or unicast (RTN_*).
    pub kind: u8,
    /// Time since it was last used, in ns.
    pub used: u64,
    /// Time since it was last confirmed, in ns.
    pub confirmed: u64,
    /// Time since it last changed, in ns.
    pub updated: u64,
    /// Users beside the table itself.
    pub refcnt: u32,
    /// Probes sent (NDA_PROBES).
    pub probes: u32,
}
