//! For how long the kernel takes the neighbours of each device of a namespace for reachable, which it chooses by chance
//! (`neigh_rand_reach_time`): what it answers about its table of neighbours (`RTM_GETNEIGHTBL`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::libc::{
    AF_INET, IF_NAMESIZE, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, RTM_GETNEIGHTBL,
    RTM_NEWNEIGHTBL,
};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

use super::links::{attributes, messages, number};
use super::spaces::within;

/// Attributes of a table, and of a device's settings in it (include/uapi/linux/neighbour.h).
const NDTA_PARMS: u16 = 6;
const NDTPA_IFINDEX: u16 = 1;
const NDTPA_REACHABLE_TIME: u16 = 3;
/// The part of an attribute's type that is none of its flags.
const NLA_TYPE_MASK: u16 = 0x3fff;

/// Asks a namespace.
pub(super) struct ReachTimes {
    socket: OwnedFd,
    /// What was told of each device, by ifindex: ms.
    told: BTreeMap<u32, u64>,
}

impl ReachTimes {
    /// Of a namespace.
    pub fn of(netns: &File) -> io::Result<Self> {
        let open = || {
            let flags = SockFlag::SOCK_CLOEXEC;
            Ok(socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?)
        };
        Ok(Self { socket: within(netns, open)?, told: BTreeMap::new() })
    }

    /// Devices with another time than when this was called last, by their present names: ms.
    pub fn take(&mut self, netns: &File) -> io::Result<Vec<(String, u64)>> {
        let now = self.ask()?;
        let changed: Vec<_> = now.iter().filter(|(index, ms)| self.told.get(index) != Some(ms)).collect();
        let named = if changed.is_empty() {
            Vec::new()
        } else {
            within(netns, || {
                Ok(changed.iter().filter_map(|(index, ms)| Some((name(**index)?, **ms))).collect())
            })?
        };
        self.told = now;
        Ok(named)
    }

    fn ask(&self) -> io::Result<BTreeMap<u32, u64>> {
        let mut request = 20_u32.to_ne_bytes().to_vec();
        request.extend(RTM_GETNEIGHTBL.to_ne_bytes());
        request.extend(((NLM_F_REQUEST | NLM_F_DUMP) as u16).to_ne_bytes());
        // Number, sender, and the family with its padding.
        request.extend([0; 8]);
        request.extend([AF_INET as u8, 0, 0, 0]);
        sendto(self.socket.as_raw_fd(), &request, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
        let (mut found, mut buffer) = (BTreeMap::new(), vec![0; 1 << 16]);
        loop {
            let length = recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            for (kind, message) in messages(&buffer[..length]) {
                match kind {
                    RTM_NEWNEIGHTBL => found.extend(reach_time(message)),
                    kind if kind == NLMSG_DONE as u16 => return Ok(found),
                    kind if kind == NLMSG_ERROR as u16 => {
                        return Err(io::Error::other("the table of neighbours is not told"));
                    }
                    _ => {}
                }
            }
        }
    }
}

/// The device and its time of a message (`struct ndtmsg` and its attributes).
fn reach_time(message: &[u8]) -> Option<(u32, u64)> {
    let parms = attributes(message.get(4..)?).find(|(kind, _)| kind & NLA_TYPE_MASK == NDTA_PARMS)?.1;
    let of =
        |wanted: u16| attributes(parms).find(|(kind, _)| kind & NLA_TYPE_MASK == wanted).map(|found| found.1);
    let ms = of(NDTPA_REACHABLE_TIME)?.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes))?;
    Some((number(of(NDTPA_IFINDEX)?, 0)?, ms))
}

/// The name of a device of this thread's namespace.
fn name(index: u32) -> Option<String> {
    let mut name = [0_u8; IF_NAMESIZE];
    // SAFETY: the buffer has the length that if_indextoname(3) writes at most.
    let found = unsafe { nix::libc::if_indextoname(index, name.as_mut_ptr().cast()) };
    let end = name.iter().position(|byte| *byte == 0)?;
    (!found.is_null()).then(|| String::from_utf8_lossy(&name[..end]).into_owned())
}
