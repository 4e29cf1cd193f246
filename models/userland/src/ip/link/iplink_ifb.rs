//! `type ifb`.
//!
//! iproute2: ip/iplink_ifb.c

use super::LinkUtil;

/// The row.
pub(super) static LINK_UTIL: LinkUtil = LinkUtil::new("ifb", "Usage: ... ifb\n");
