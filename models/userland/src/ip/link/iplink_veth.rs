//! `type veth`.
//!
//! iproute2: ip/link_veth.c

use glassnet_kernel::drivers::veth::VethOptions;
use glassnet_kernel::link::LinkInfo;

use super::LinkUtil;
use crate::ip::Ip;
use crate::ip::args::{Args, Done, Stop};

/// The row.
pub(super) static LINK_UTIL: LinkUtil =
    LinkUtil { parse_opt: Some(parse), ..LinkUtil::new("veth", include_str!("iplink_veth.txt")) };

fn parse(ip: &Ip, args: &mut Args) -> Done<LinkInfo> {
    let usage = || Stop::failed(LINK_UTIL.help);
    if args.take() != Some("peer") {
        return Err(usage());
    }
    let peer = ip.link_words(args)?;
    if peer.kind.is_some() {
        return Err(usage());
    }
    Ok(VethOptions { peer: peer.into_new(ip)? }.into())
}
