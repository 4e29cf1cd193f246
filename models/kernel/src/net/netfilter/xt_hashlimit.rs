//! `-m hashlimit`.
//!
//! Kernel: net/netfilter/xt_hashlimit.c

use super::x_tables::Par;
use crate::Cx;
use crate::tables::hashlimit::HashlimitKey;
use crate::tables::ipset::hash::masked;
use crate::tables::jiffies::jiffies;
use crate::tables::xt::matches::Hashlimit;

/// Bits of the mode.
const DIP: u8 = 1;
const DPT: u8 = 2;
const SIP: u8 = 4;
const SPT: u8 = 8;

/// Its group of packets is within the limit, or above it.
pub fn hashlimit_mt(cx: &mut Cx, par: &mut Par, with: &Hashlimit) -> bool {
    // Rules that name one table share it, and what its entries are about is as the first of them said.
    let Some(table) = cx.k.netns[par.state.netns].hashlimit.get(&with.name) else { return false };
    let Some(key) = key(cx, par, &table.cfg) else {
        par.hotdrop = true;
        return false;
    };
    let len = cx.skbs.data(par.skb).len() as u64;
    let now = jiffies(cx.now);
    let table = cx.k.netns[par.state.netns].hashlimit.get_mut(&with.name);
    match table.map(|table| table.count(with, key, len, now)) {
        Some(Some(within)) => within != with.above,
        Some(None) => {
            par.hotdrop = true;
            false
        }
        None => false,
    }
}

fn key(cx: &Cx, par: &Par, with: &Hashlimit) -> Option<HashlimitKey> {
    let on = |bit: u8| with.mode & bit != 0;
    let mut key = HashlimitKey {
        dst: if on(DIP) { masked(par.iph.daddr.get(), with.dstmask) } else { 0 },
        src: if on(SIP) { masked(par.iph.saddr.get(), with.srcmask) } else { 0 },
        ..HashlimitKey::default()
    };
    // Only these protocols have ports at this place.
    if !on(DPT) && !on(SPT) || !matches!(par.iph.protocol, 6 | 17 | 33 | 132 | 136 | 50 | 51) {
        return Some(key);
    }
    if par.fragoff != 0 {
        return Some(key);
    }
    let [a, b, c, d] = *cx.skbs.header::<[u8; 4]>(par.skb, par.thoff)?;
    key.sport = if on(SPT) { u16::from_be_bytes([a, b]) } else { 0 };
    key.dport = if on(DPT) { u16::from_be_bytes([c, d]) } else { 0 };
    Some(key)
}
