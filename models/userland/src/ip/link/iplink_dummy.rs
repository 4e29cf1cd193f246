//! `type dummy`.
//!
//! iproute2: ip/iplink_dummy.c

use super::LinkUtil;

/// The row.
pub(super) static LINK_UTIL: LinkUtil = LinkUtil::new("dummy", "Usage: ... dummy\n");
