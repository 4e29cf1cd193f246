//! The socket buffer: a packet on its way, and the pool that holds all of them.
//!
//! Kernel: include/linux/skbuff.h
//!
//! An skb is named by its handle ([`SkbId`]); doors pass handles, never packets. Its bytes stand in a shared
//! buffer, so a clone costs no copy, and who writes looks for sharing first ([`SkbPool::data_mut`]).

use glassnet_wire::eth::{ETH_HLEN, EthHdr};
use glassnet_wire::{BufId, BufPool};
use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};
use std::sync::Arc;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::conntrack::NfCt;
use super::ip_tunnel::IpTunnelInfo;
use super::netfilter::NfBridge;
use super::route::Rtable;
use super::vlan_tag::VlanTag;
use crate::ids::{DevId, SkbId, SocketId};

/// Room in front of a packet for the headers below it, in bytes (`NET_SKB_PAD` and `LL_MAX_HEADER`).
pub const HEADROOM: usize = 64;

/// Room for the Ethernet header in a packet that is sent, bytes (`LL_RESERVED_SPACE`).
pub const LL_RESERVED_SPACE: usize = 16;

/// Memory of a packet besides its buffer, bytes (`struct sk_buff`, whole cache lines).
const SK_BUFF: u32 = 256;
/// What stands behind the bytes in a buffer, bytes (`struct skb_shared_info`).
const SHARED_INFO: usize = 320;
/// A cache line, bytes (`SMP_CACHE_BYTES`).
const CACHE_LINE: usize = 64;

/// The priority of packets that control the network (include/uapi/linux/pkt_sched.h).
pub const TC_PRIO_CONTROL: u32 = 7;

/// The memory of a packet whose buffer has room for `size` bytes, in bytes (`skb->truesize` after `__alloc_skb`): buffers come from
/// slabs of powers of two.
#[inline]
pub const fn alloc_truesize(size: usize) -> u32 {
    (size.next_multiple_of(CACHE_LINE) + SHARED_INFO).next_power_of_two() as u32 + SK_BUFF
}

/// The memory of a packet with a buffer of just this size, in bytes (`SKB_TRUESIZE`).
pub const fn skb_truesize(size: usize) -> u32 {
    (size + SHARED_INFO) as u32 + SK_BUFF
}

/// The bytes that a buffer has room for, of a packet with this memory (`skb_end_offset`).
pub const fn end_offset(truesize: u32) -> usize {
    (truesize - SK_BUFF) as usize - SHARED_INFO
}

/// Who a frame is for (`pkt_type`, include/uapi/linux/if_packet.h).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum PacketType {
    /// To this host.
    #[default]
    Host,
    /// To all hosts.
    Broadcast,
    /// To a group.
    Multicast,
    /// To another host; seen because the device is promiscuous.
    OtherHost,
    /// From this host (only on taps).
    Outgoing,
    /// A copy of what this host sent to a group or to all hosts; taps do not see it.
    Loopback,
}

/// What a bridge notes in a packet (`struct br_input_skb_cb`, net/bridge/br_private.h).
#[derive(Clone, Copy, Debug, Default)]
pub struct BrCb {
    /// The bridge that the frame is in.
    pub brdev: Option<DevId>,
    /// The port that it is about to leave by.
    pub to: Option<DevId>,
    /// The port that it came in by, once it is about to leave; `None` for a frame of this machine.
    pub from: Option<DevId>,
    /// The port that it came in by is isolated.
    pub src_port_isolated: bool,
    /// The bridge gets it only because it is in promiscuous mode.
    pub promisc: bool,
    /// It was let in by its VLAN, which its tag says, and is let out by it.
    pub vlan_filtered: bool,
}

/// The packet came through `ip_send_skb`, and did not leave it yet: if it cannot be sent, that counts as `OutDiscards`.
pub const IPSKB_SENT: u16 = 1 << 14;
/// Who called to send the packet waits for the result: [`crate::Kernel::xmit_error`].
pub const XMIT_AWAITED: u16 = 1 << 13;

/// What IPv4 notes in a packet (`struct inet_skb_parm`, include/net/ip.h).
#[derive(Clone, Copy, Debug, Default)]
pub struct IpCb {
    /// ifindex of the device that it came in by.
    pub iif: u32,
    /// `IPSKB_*` flags.
    pub flags: u16,
    /// The largest fragment that a reassembled packet came in, bytes; 0: not reassembled.
    pub frag_max_size: u16,
    /// The device that it came in by, once it is about to leave, or is given to another device after INPUT; `None` for a packet of
    /// this machine.
    pub indev: Option<DevId>,
}

/// A packet on its way.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Skb {
    /// Its bytes.
    pub buf: BufId,
    /// Where the data begins in the buffer: the header of the layer that handles it now.
    pub data: u32,
    /// Where the data ends in the buffer.
    pub tail: u32,
    /// Where the Ethernet header begins in the buffer.
    pub mac_header: u32,
    /// Where the network header begins in the buffer.
    pub network_header: u32,
    /// Where the transport header begins in the buffer.
    pub transport_header: u32,
    /// The device that it came in by, or goes out by.
    pub dev: DevId,
    /// Which packet of the user's view it is: clones keep it, an answer gets a new one.
    pub packet: u32,
    /// Ethertype.
    pub protocol: u16,
    /// The VLAN tag that stands beside it, where a card would put it in or took it out.
    pub vlan_tag: Option<VlanTag>,
    /// Who it is for.
    pub pkt_type: PacketType,
    /// Its checksums need no check: it was sent by this machine to itself, or a card found them right.
    pub ip_summed: bool,
    /// Where it goes, once it was routed.
    pub dst: Option<Rtable>,
    /// What a tunnel's device read in the outer headers, or is to write there (`skb_tunnel_info`).
    pub tun_info: Option<Arc<IpTunnelInfo>>,
    /// ifindex of the device that it first came in by in this machine.
    pub skb_iif: u32,
    /// Firewall mark.
    pub mark: u32,
    /// Queueing priority.
    pub priority: u32,
    /// The socket that sent it.
    pub sk: Option<SocketId>,
    /// The memory that it takes, bytes.
    pub truesize: u32,
    /// The bridge's notes.
    pub br: BrCb,
    /// IPv4's notes.
    pub ip: IpCb,
    /// What connection tracking knows of it.
    pub nfct: NfCt,
    /// What bridge netfilter notes in it.
    pub nf_bridge: Option<NfBridge>,
    /// IPVS is done with it.
    pub ipvs_property: bool,
    /// It has no more headroom than [`LL_RESERVED_SPACE`]: programs sent it by sockets other than TCP's.
    pub short_headroom: bool,
    /// TCP keeps its bytes until they are acknowledged, so [others have them, too](SkbPool::is_cloned).
    pub is_tcp_clone: bool,
    /// Its way through the rules is logged (`TRACE`).
    pub nf_trace: bool,
    /// The transmit queue that it takes; of a packet that came in by a card with several receive queues, one more than its queue.
    pub queue_mapping: u16,
    /// It has the fragments that it was made of (`skb_has_frag_list`).
    pub has_frag_list: bool,
    /// Its memory counts for the socket that sent it, until it is freed (`destructor` is `sock_wfree`).
    pub is_charged: bool,
    /// Its sender knows that the next hop answers: the neighbour is confirmed when it goes there.
    pub dst_pending_confirm: bool,
    /// Ports are in its hash.
    pub l4_hash: bool,
    /// The identifications of the packets that it was merged of are equal (`SKB_GSO_TCP_FIXEDID`).
    pub gso_fixedid: bool,
    /// Payload of each packet but the last that it was merged of, bytes; 0: it was not merged.
    pub gso_size: u16,
    /// Of how many packets it was merged; 0: it was not.
    pub gso_segs: u16,
    /// Hash of its flow; 0: not known.
    pub hash: u32,
    /// Where the network header of what a tunnel carries begins in the buffer; 0: no tunnel sent it (`encapsulation`).
    pub inner_network_header: u32,
    /// Where the transport header behind that one begins.
    pub inner_transport_header: u32,
    /// Its length when filters of tc were asked last, bytes, which actions count (`qdisc_skb_cb.pkt_len`).
    pub pkt_len: u32,
    /// It came in, as far as filters of tc are concerned.
    pub tc_at_ingress: bool,
    /// No filter and no tap looks at it the next time.
    pub tc_skip_classify: bool,
    /// An action has sent it by another device.
    pub redirected: bool,
    /// It was received when that happened.
    pub from_ingress: bool,
    /// How many devices without a queue it has gone out by since it was sent or waited last (`xmit.recursion` of the CPU).
    pub xmit_recursion: u8,
}

impl Skb {
    /// Length from the current header on, in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        (self.tail - self.data) as usize
    }

    /// A tunnel has put its headers in front, which are the outer ones (`encapsulation`).
    #[inline]
    pub fn is_encapsulated(&self) -> bool {
        self.inner_network_header != 0
    }

    /// Its route, and what it tells a tunnel's device, are forgotten (`skb_dst_drop`).
    #[inline]
    pub fn drop_dst(&mut self) {
        (self.dst, self.tun_info) = (None, None);
    }

    /// Nothing is left.
    pub fn is_empty(&self) -> bool {
        self.tail == self.data
    }
}

/// All packets of a world.
#[derive(Debug, Default)]
pub struct SkbPool {
    skbs: Vec<Skb>,
    free: Vec<SkbId>,
    packets: u32,
    /// Fragments behind the first, with the bytes of payload of each, by the packet that they were made into
    /// (`skb_shinfo(skb)->frag_list`).
    frag_lists: BTreeMap<SkbId, Vec<(SkbId, usize)>>,
    /// The bytes of the packets, and of frames on cables.
    pub bufs: BufPool,
}

impl Index<SkbId> for SkbPool {
    type Output = Skb;
    #[inline]
    fn index(&self, id: SkbId) -> &Skb {
        &self.skbs[id.index()]
    }
}

impl IndexMut<SkbId> for SkbPool {
    #[inline]
    fn index_mut(&mut self, id: SkbId) -> &mut Skb {
        &mut self.skbs[id.index()]
    }
}

impl SkbPool {
    /// A new packet with `len` zeroed bytes of data behind [`HEADROOM`] (`alloc_skb`).
    pub fn alloc_skb(&mut self, len: usize, dev: DevId) -> SkbId {
        let buf = self.bufs.alloc(HEADROOM + len);
        self.build_skb(buf, HEADROOM, dev)
    }

    /// A new packet around a buffer that the caller holds; its data begins at `data` (`build_skb`).
    pub fn build_skb(&mut self, buf: BufId, data: usize, dev: DevId) -> SkbId {
        let tail = self.bufs.bytes(buf).len() as u32;
        self.packets += 1;
        let skb = Skb {
            buf,
            data: data as u32,
            tail,
            mac_header: data as u32,
            network_header: data as u32,
            transport_header: data as u32,
            dev,
            packet: self.packets,
            protocol: 0,
            vlan_tag: None,
            pkt_type: PacketType::Host,
            ip_summed: false,
            dst: None,
            tun_info: None,
            skb_iif: 0,
            mark: 0,
            priority: 0,
            sk: None,
            truesize: alloc_truesize(tail as usize),
            br: BrCb::default(),
            ip: IpCb::default(),
            nfct: NfCt::None,
            nf_bridge: None,
            ipvs_property: false,
            short_headroom: false,
            is_tcp_clone: false,
            nf_trace: false,
            queue_mapping: 0,
            has_frag_list: false,
            is_charged: false,
            dst_pending_confirm: false,
            l4_hash: false,
            gso_fixedid: false,
            gso_size: 0,
            gso_segs: 0,
            hash: 0,
            inner_network_header: 0,
            inner_transport_header: 0,
            pkt_len: 0,
            tc_at_ingress: false,
            tc_skip_classify: false,
            redirected: false,
            from_ingress: false,
            xmit_recursion: 0,
        };
        self.insert(skb)
    }

    fn insert(&mut self, skb: Skb) -> SkbId {
        if let Some(id) = self.free.pop() {
            self.skbs[id.index()] = skb;
            return id;
        }
        self.skbs.push(skb);
        SkbId(self.skbs.len() as u32 - 1)
    }

    /// A second handle of the same bytes, which belongs to no socket, and of which connection tracking knows nothing. Doors call
    /// [`crate::Cx::skb_clone`].
    pub fn clone_skb(&mut self, id: SkbId) -> SkbId {
        let skb =
            Skb { nfct: NfCt::None, has_frag_list: false, is_charged: false, sk: None, ..self[id].clone() };
        self.bufs.hold(skb.buf);
        self.insert(skb)
    }

    /// A copy with bytes of its own.
    pub fn copy_skb(&mut self, id: SkbId) -> SkbId {
        let copy = self.clone_skb(id);
        self.unshare(copy, 0);
        self.skbs[copy.index()].is_tcp_clone = false;
        copy
    }

    /// Others have the packet's bytes too (`skb_cloned`).
    pub fn is_cloned(&self, id: SkbId) -> bool {
        self[id].is_tcp_clone || self.bufs.is_shared(self[id].buf)
    }

    /// Gives the packet's place and its hold on the bytes back. Only [`crate::Cx`] calls it,
    /// which also says why a packet was freed.
    pub fn release(&mut self, id: SkbId) {
        debug_assert!(
            !matches!(self[id].nfct, NfCt::Conn(..) | NfCt::Template(_)),
            "a packet that holds a connection is freed by way of Cx"
        );
        debug_assert!(!self[id].is_charged, "a packet that counts for its socket is freed by way of Cx");
        self.bufs.release(self[id].buf);
        self.free.push(id);
    }

    /// Gives a packet the fragments behind the first, with the bytes of payload of each, that it was made of.
    pub fn set_frag_list(&mut self, id: SkbId, list: Vec<(SkbId, usize)>) {
        self[id].has_frag_list = true;
        self.frag_lists.insert(id, list);
    }

    /// The fragments behind the first that a packet was made of.
    pub fn frag_list(&self, id: SkbId) -> &[(SkbId, usize)] {
        self.frag_lists.get(&id).filter(|_| self[id].has_frag_list).map_or(&[], Vec::as_slice)
    }

    /// Takes them off.
    pub fn take_frag_list(&mut self, id: SkbId) -> Vec<(SkbId, usize)> {
        self[id].has_frag_list = false;
        self.frag_lists.remove(&id).unwrap_or_default()
    }

    /// Appends the payload of packets, which is the given number of bytes at the end of each, and keeps them with it.
    pub fn append(&mut self, id: SkbId, members: Vec<(SkbId, usize)>) {
        let skb = &self[id];
        let (old, mut tail) = (skb.buf, skb.tail as usize);
        let more: usize = members.iter().map(|(_, payload)| payload).sum();
        let new = self.bufs.alloc(tail + more);
        self.bufs.copy_between(old, 0..tail, new, 0);
        self.bufs.release(old);
        for &(member, payload) in &members {
            let Skb { buf, tail: end, truesize, .. } = self[member];
            self.bufs.copy_between(buf, end as usize - payload..end as usize, new, tail);
            tail += payload;
            self[id].truesize += truesize;
        }
        (self[id].buf, self[id].tail) = (new, tail as u32);
        self.set_frag_list(id, members);
    }

    /// A packet with the first `headers` bytes of the data of another, and `payload` of its bytes behind them.
    pub fn copy_part(&mut self, id: SkbId, headers: usize, payload: std::ops::Range<usize>) -> SkbId {
        let Skb { buf, data, .. } = self[id];
        let (data, at) = (data as usize, data as usize + headers);
        let len = at + payload.len();
        let own = self.bufs.alloc(len);
        self.bufs.copy_between(buf, 0..at, own, 0);
        self.bufs.copy_between(buf, data + payload.start..data + payload.end, own, at);
        let clone = self.clone_skb(id);
        self.bufs.release(buf);
        let skb = &mut self[clone];
        (skb.buf, skb.tail, skb.truesize) = (own, len as u32, alloc_truesize(len));
        (skb.gso_size, skb.gso_segs) = (0, 0);
        clone
    }

    /// Gives each packet's place to the other: who holds the one finds what the other was (`skb_morph`).
    pub fn swap(&mut self, one: SkbId, other: SkbId) {
        self.skbs.swap(one.index(), other.index());
    }

    /// The number of the packet that was made last; the next one's is one more.
    pub fn last_packet(&self) -> u32 {
        self.packets
    }

    /// How many packets are alive, for tests that look for leaks.
    pub fn alive(&self) -> usize {
        self.skbs.len() - self.free.len()
    }

    /// The bytes from the current header on.
    #[inline]
    pub fn data(&self, id: SkbId) -> &[u8] {
        let skb = &self[id];
        &self.bufs.bytes(skb.buf)[skb.data as usize..skb.tail as usize]
    }

    /// The bytes from the current header on, to write; copies them first if they are shared (`skb_cow_data`).
    pub fn data_mut(&mut self, id: SkbId) -> &mut [u8] {
        self.unshare(id, 0);
        let skb = &self.skbs[id.index()];
        &mut self.bufs.bytes_mut(skb.buf)[skb.data as usize..skb.tail as usize]
    }

    /// The whole frame from its Ethernet header on, as a tap sees it.
    pub fn frame(&self, id: SkbId) -> &[u8] {
        let skb = &self[id];
        &self.bufs.bytes(skb.buf)[skb.mac_header as usize..skb.tail as usize]
    }

    /// A copy of the header at offset `at` of the buffer, if the packet is long enough.
    #[inline]
    pub fn header<H: FromBytes + KnownLayout + Immutable + Unaligned>(
        &self,
        id: SkbId,
        at: u32,
    ) -> Option<&H> {
        let skb = &self[id];
        let bytes = self.bufs.bytes(skb.buf).get(at as usize..skb.tail as usize)?;
        H::ref_from_prefix(bytes).ok().map(|(header, _)| header)
    }

    /// The header at offset `at` of the buffer, to write; copies the bytes first if they are shared.
    #[inline(always)]
    pub fn header_mut<H>(&mut self, id: SkbId, at: u32) -> Option<&mut H>
    where
        H: FromBytes + IntoBytes + KnownLayout + Unaligned,
    {
        self.unshare(id, 0);
        let skb = &self.skbs[id.index()];
        let bytes = self.bufs.bytes_mut(skb.buf).get_mut(at as usize..skb.tail as usize)?;
        H::mut_from_prefix(bytes).ok().map(|(header, _)| header)
    }

    /// The Ethernet header. Every packet that reached a device has one.
    #[inline]
    pub fn eth_hdr(&self, id: SkbId) -> &EthHdr {
        self.header(id, self[id].mac_header).expect("a frame on a device has an Ethernet header")
    }

    /// Moves the start of the data past `len` bytes (`skb_pull`); false if there are fewer.
    #[inline]
    pub fn pull(&mut self, id: SkbId, len: usize) -> bool {
        let skb = &mut self[id];
        if skb.len() < len {
            return false;
        }
        skb.data += len as u32;
        true
    }

    /// Moves the start of the data back by `len` bytes that are to be written (`skb_push` after `skb_cow_head`).
    pub fn push(&mut self, id: SkbId, len: usize) {
        self.unshare(id, len);
        self[id].data -= len as u32;
    }

    /// Moves the start of the data back to the Ethernet header, which stands there already.
    pub fn push_mac_header(&mut self, id: SkbId) {
        let skb = &mut self[id];
        skb.data = skb.mac_header;
    }

    /// Cuts the data to `len` bytes (`pskb_trim`).
    pub fn trim(&mut self, id: SkbId, len: usize) {
        let skb = &mut self[id];
        skb.tail = skb.tail.min(skb.data + len as u32);
    }

    /// Puts `bytes` in place of the `len` bytes at offset `at` of the buffer; what stands behind them moves. Headers behind
    /// `at` keep their offsets, so the caller does that behind the last one.
    pub fn splice(&mut self, id: SkbId, at: u32, len: usize, bytes: &[u8]) {
        let skb = &self.skbs[id.index()];
        let (old, at, tail) = (skb.buf, at as usize, skb.tail as usize);
        let new = self.bufs.copy_expand(old, 0, bytes.len());
        self.bufs.release(old);
        let copy = self.bufs.bytes_mut(new);
        copy.copy_within(at + len..tail, at + bytes.len());
        copy[at..at + bytes.len()].copy_from_slice(bytes);
        let skb = &mut self.skbs[id.index()];
        (skb.buf, skb.tail) = (new, (tail - len + bytes.len()) as u32);
    }

    /// Puts an Ethernet header in front of the data.
    pub fn push_eth(&mut self, id: SkbId, header: EthHdr) {
        self.push(id, ETH_HLEN);
        let skb = &mut self[id];
        skb.mac_header = skb.data;
        let at = skb.data;
        *self.header_mut::<EthHdr>(id, at).expect("room was made") = header;
    }

    /// Makes the bytes this packet's own, with at least `headroom` bytes in front of the data.
    #[inline]
    fn unshare(&mut self, id: SkbId, headroom: usize) {
        let skb = &self[id];
        if skb.data as usize >= headroom && !self.bufs.is_shared(skb.buf) {
            return;
        }
        self.expand_head(id, headroom);
    }

    /// Kernel: `pskb_expand_head`.
    #[cold]
    fn expand_head(&mut self, id: SkbId, headroom: usize) {
        let skb = &self.skbs[id.index()];
        let grow = if skb.data as usize >= headroom { 0 } else { headroom + HEADROOM };
        let old = skb.buf;
        let new = self.bufs.copy_expand(old, grow, 0);
        self.bufs.release(old);
        let skb = &mut self.skbs[id.index()];
        skb.buf = new;
        skb.short_headroom &= headroom <= LL_RESERVED_SPACE;
        skb.is_tcp_clone = false;
        for at in [
            &mut skb.data,
            &mut skb.tail,
            &mut skb.mac_header,
            &mut skb.network_header,
            &mut skb.transport_header,
        ] {
            *at += grow as u32;
        }
        if skb.is_encapsulated() {
            skb.inner_network_header += grow as u32;
            skb.inner_transport_header += grow as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_shares_bytes_until_one_writes() {
        let mut pool = SkbPool::default();
        let a = pool.alloc_skb(4, DevId(0));
        pool.data_mut(a).copy_from_slice(&[1, 2, 3, 4]);
        let b = pool.clone_skb(a);
        assert_eq!(pool[a].buf, pool[b].buf);
        pool.data_mut(b)[0] = 9;
        assert_eq!(pool.data(a), [1, 2, 3, 4]);
        assert_eq!(pool.data(b), [9, 2, 3, 4]);
        pool.release(a);
        pool.release(b);
        assert_eq!((pool.alive(), pool.bufs.held()), (0, 0));
    }

    #[test]
    fn headers_are_pushed_and_pulled_even_without_room() {
        let mut pool = SkbPool::default();
        let id = pool.alloc_skb(2, DevId(0));
        pool.data_mut(id).copy_from_slice(&[7, 8]);
        for _ in 0..10 {
            pool.push(id, 14);
        }
        assert_eq!(pool[id].len(), 142);
        assert!(pool.pull(id, 140));
        assert_eq!(pool.data(id), [7, 8]);
        assert!(!pool.pull(id, 3));
        pool.trim(id, 1);
        assert_eq!(pool.data(id), [7]);
    }
}
