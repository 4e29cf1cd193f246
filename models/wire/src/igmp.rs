//! Membership reports of IGMPv3 (RFC 3376 section 4.2; `struct igmpv3_report`, include/uapi/linux/igmp.h).

use std::net::Ipv4Addr;

use crate::checksum::checksum;

/// The message's type (`IGMPV3_HOST_MEMBERSHIP_REPORT`).
const IGMPV3_HOST_MEMBERSHIP_REPORT: u8 = 0x22;

/// What changed for a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupChange {
    /// Packets of no source are wanted any more (`IGMPV3_CHANGE_TO_INCLUDE`, of no sources).
    Left = 3,
    /// Packets of any source are wanted (`IGMPV3_CHANGE_TO_EXCLUDE`, of no sources).
    Joined = 4,
}

/// The report of these changes, with its checksum.
pub fn report(records: &[(GroupChange, Ipv4Addr)]) -> Vec<u8> {
    let mut message = vec![IGMPV3_HOST_MEMBERSHIP_REPORT, 0, 0, 0, 0, 0];
    message.extend((records.len() as u16).to_be_bytes());
    for (change, group) in records {
        message.extend([*change as u8, 0, 0, 0]);
        message.extend(group.octets());
    }
    let check = checksum(&message);
    message[2..4].copy_from_slice(&check.to_be_bytes());
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_as_linux_sends_it() {
        let report = report(&[(GroupChange::Joined, Ipv4Addr::new(239, 1, 1, 1))]);
        assert_eq!(report, [0x22, 0, 0xe9, 0xfb, 0, 0, 0, 1, 4, 0, 0, 0, 239, 1, 1, 1]);
        assert_eq!(checksum(&report), 0);
    }
}
