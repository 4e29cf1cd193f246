//! The addresses that devices of a network namespace had when they were made: what the kernel told of them (`RTM_NEWLINK`) before anybody
//! could change them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use glassnet_wire::Mac;
use nix::libc::{IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_KIND, IFLA_LINKINFO, RTM_NEWLINK, RTMGRP_LINK};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, setsockopt, socket,
    sockopt,
};

use super::spaces::within;

/// A device with its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub index: u32,
    pub name: String,
    pub mac: Mac,
}

/// A listener to what is told of devices.
pub(super) struct Links {
    socket: OwnedFd,
    /// Indexes of those that were told of.
    told: BTreeSet<u32>,
}

/// Room for messages about a thousand devices, in bytes.
const RECEIVE_BUFFER: usize = 8 << 20;

impl Links {
    /// Hears of every device that is made in the namespace after this returns.
    pub fn listen(netns: &File) -> io::Result<Self> {
        let socket = within(netns, || {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
            setsockopt(&fd, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
            bind(fd.as_raw_fd(), &NetlinkAddr::new(0, RTMGRP_LINK as u32))?;
            Ok(fd)
        })?;
        Ok(Self { socket, told: BTreeSet::new() })
    }

    /// Devices that are new since the last call, in the order in which they were made.
    pub fn take(&mut self) -> Vec<Link> {
        let (mut new, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
        // An error is the end of what is there, or of what there was room for.
        while let Ok(length) = recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            new.extend(
                messages(&buffer[..length]).filter_map(link).filter(|link| self.told.insert(link.index)),
            );
        }
        new
    }

    /// Begins anew: devices that are there now count as never told of.
    pub fn forget(&mut self) {
        self.take();
        self.told.clear();
    }

    /// The device was told of.
    pub fn has(&self, index: u32) -> bool {
        self.told.contains(&index)
    }
}

/// The messages of a datagram: type and contents of each (`struct nlmsghdr`).
pub(super) fn messages(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = number(rest, 0)? as usize;
        let message = rest.get(..length)?;
        let kind = u16::from_ne_bytes(message.get(4..6)?.try_into().ok()?);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, message.get(16..)?))
    })
}

/// A new Ethernet device (`struct ifinfomsg` and its attributes). Not an internal one of Open vSwitch, which gets another address from the
/// daemon that asked for it.
fn link((kind, message): (u16, &[u8])) -> Option<Link> {
    if kind != RTM_NEWLINK {
        return None;
    }
    let (mut name, mut mac) = (None, None);
    for (kind, value) in attributes(message.get(16..)?) {
        match kind {
            IFLA_IFNAME => name = Some(text(value)),
            IFLA_ADDRESS => mac = value.try_into().ok().map(Mac).filter(|mac| *mac != Mac::ZERO),
            IFLA_LINKINFO => {
                let is_internal = |(kind, value)| kind == IFLA_INFO_KIND && text(value) == "openvswitch";
                if attributes(value).any(is_internal) {
                    return None;
                }
            }
            _ => {}
        }
    }
    Some(Link { index: number(message, 4)?, name: name?, mac: mac? })
}

/// Attributes: type and value of each (`struct rtattr`).
pub(super) fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let header = number(rest, 0)?;
        let length = (header & 0xffff) as usize;
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(((header >> 16) as u16, value))
    })
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value.strip_suffix(&[0]).unwrap_or(value)).into_owned()
}

/// The number at a place, in the byte order of the machine; None beyond the end.
pub(super) fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = ((4 + value.len()) as u16).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn message(kind: u16, index: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
        let contents = [&[0; 4][..], &index.to_ne_bytes(), &[0; 8], &attributes.concat()].concat();
        let length = 16 + contents.len() as u32;
        [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], &contents].concat()
    }

    #[test]
    fn devices_are_read_from_messages() {
        let mac = attribute(IFLA_ADDRESS, &[2, 0, 0, 0, 0, 0x1f]);
        let internal = attribute(IFLA_LINKINFO, &attribute(IFLA_INFO_KIND, b"openvswitch\0"));
        let (br0, lo) = (attribute(IFLA_IFNAME, b"br0\0"), attribute(IFLA_IFNAME, b"lo\0"));
        let datagram = [
            message(RTM_NEWLINK, 3, &[br0.clone(), mac.clone()]),
            message(RTM_NEWLINK, 1, &[lo, attribute(IFLA_ADDRESS, &[0; 6])]),
            message(RTM_NEWLINK, 4, &[br0.clone(), mac.clone(), internal]),
            message(RTM_NEWLINK + 1, 3, &[br0, mac]),
        ]
        .concat();
        let found: Vec<_> = messages(&datagram).filter_map(link).collect();
        assert_eq!(found, [Link { index: 3, name: "br0".into(), mac: Mac([2, 0, 0, 0, 0, 0x1f]) }]);
        for cut in 0..datagram.len() {
            assert!(messages(&datagram[..cut]).filter_map(link).count() <= 1, "{cut}");
        }
    }
}
