//! `flower`: compares fields of headers, as the flow dissector finds them.
//!
//! Kernel: net/sched/cls_flower.c, net/core/flow_dissector.c. Not modelled: IPv6, MPLS, options and source ports of tunnels, connection tracking,
//! inner VLAN tags, templates of chains.

use std::ops::RangeInclusive;

use crate::door::Func;
use crate::filter::{FilterData, Matched, TcfProto, TcfProtoOps, filter_data};
use crate::ids::SkbId;
use crate::module::Module;
use crate::netlink::{Errno, NlError};
use crate::tables::ip_tunnel::IpTunnelKey;
use crate::tables::skb::SkbPool;
use crate::tables::vlan_tag::VlanProto;
use glassnet_wire::arp::ArpHdr;
use glassnet_wire::eth::{ETH_P_ARP, ETH_P_IP, EthHdr};
use glassnet_wire::ipv4::{IP_MF, IP_OFFSET, IPPROTO_ICMP, IPPROTO_TCP, Ipv4Hdr};

/// The module.
pub static MODULE: Module = Module { classifiers: &[&CLS_FLOWER_OPS], ..Module::named("cls_flower") };

static CLS_FLOWER_OPS: TcfProtoOps = TcfProtoOps {
    kind: "flower",
    func: Func::FlClassify,
    is_shared: false,
    init: |_| Box::new(FlHead::default()),
    classify: fl_classify,
    get: |tp, handle| head(tp).is_some_and(|head| head.filters.iter().any(|(known, _)| *known == handle)),
    change: fl_change,
    delete: |tp, handle| {
        let Some(head) = tp.root_mut::<FlHead>() else { return false };
        head.filters.retain(|(known, _)| *known != handle);
        head.forget_masks();
        head.filters.is_empty()
    },
    dump: |tp| {
        let filters = head(tp).into_iter().flat_map(|head| &head.filters);
        filters.map(|(handle, filter)| (*handle, Box::new(filter.clone()) as Box<dyn FilterData>)).collect()
    },
};

/// A field of a packet. Those that a packet does not have are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlowField {
    /// ifindex of the device that it came in by.
    Indev,
    /// VLAN of the outer tag.
    VlanId,
    /// Its priority.
    VlanPrio,
    /// Its Ethertype.
    VlanTpid,
    /// Receiver on the link layer.
    DstMac,
    /// Sender on the link layer.
    SrcMac,
    /// The Ethertype behind all tags.
    EthType,
    /// Protocol.
    IpProto,
    /// Type of service.
    IpTos,
    /// Time to live.
    IpTtl,
    /// Bit 0: it is a fragment; bit 1: the first one.
    IpFlags,
    /// Destination.
    DstIp,
    /// Source.
    SrcIp,
    /// Destination's port.
    DstPort,
    /// Source's port.
    SrcPort,
    /// Flags of TCP.
    TcpFlags,
    /// Type of an ICMP message.
    IcmpType,
    /// Its code.
    IcmpCode,
    /// Sender's address in ARP.
    ArpSip,
    /// The address that is asked for.
    ArpTip,
    /// Request or reply.
    ArpOp,
    /// Sender's MAC address in ARP.
    ArpSha,
    /// The other's.
    ArpTha,
    /// Destination of the headers of the tunnel that it came through.
    EncDstIp,
    /// Their source.
    EncSrcIp,
    /// The number of the tunnel's network.
    EncKeyId,
    /// Destination's port in the headers of the tunnel.
    EncDstPort,
    /// Type of service there.
    EncIpTos,
    /// Time to live there.
    EncIpTtl,
}

/// A field that is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowKey {
    /// The field.
    pub field: FlowField,
    /// The value.
    pub value: u64,
    /// The bits that count.
    pub mask: u64,
    /// The values that fit, where there are several.
    pub range: Option<RangeInclusive<u64>>,
}

impl FlowKey {
    fn fits(&self, found: u64) -> bool {
        match &self.range {
            Some(range) => range.contains(&found),
            None => (found ^ self.value) & self.mask == 0,
        }
    }

    /// What decides whether two filters compare the same bits.
    fn bits(&self) -> (FlowField, u64, bool) {
        (self.field, self.mask, self.range.is_some())
    }
}

/// A filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowerFilter {
    /// What has to fit, in the order of the fields.
    pub keys: Vec<FlowKey>,
    /// The class of packets that do.
    pub classid: Option<u32>,
}

impl FilterData for FlowerFilter {
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    fn classid(&self) -> Option<u32> {
        self.classid
    }
}

type Mask = Vec<(FlowField, u64, bool)>;

impl FlowerFilter {
    fn mask(&self) -> Mask {
        self.keys.iter().map(FlowKey::bits).collect()
    }
}

/// The filters of a priority by handle, and what they compare, in the order in which that was first said.
#[derive(Debug, Default)]
struct FlHead {
    filters: Vec<(u32, FlowerFilter)>,
    masks: Vec<Mask>,
}

impl FlHead {
    fn forget_masks(&mut self) {
        let filters = &self.filters;
        self.masks.retain(|mask| filters.iter().any(|(_, filter)| filter.mask() == *mask));
    }
}

fn head(tp: &TcfProto) -> Option<&FlHead> {
    tp.root()
}

fn fl_classify(skbs: &SkbPool, tp: &mut TcfProto, skb: SkbId, after: Option<u32>) -> Option<Matched> {
    let head = head(tp).filter(|_| after.is_none())?;
    let flow = Flow::dissect(skbs, skb);
    let fits = |filter: &FlowerFilter| filter.keys.iter().all(|key| key.fits(flow.field(key.field)));
    let found = head.masks.iter().find_map(|mask| {
        let mut of_mask = head.filters.iter().filter(|(_, filter)| filter.mask() == *mask);
        of_mask.find(|(handle, filter)| !tp.skips_sw(*handle) && fits(filter))
    });
    found.map(|(handle, filter)| Matched { handle: *handle, classid: filter.classid.unwrap_or(0) })
}

fn fl_change(tp: &mut TcfProto, handle: u32, options: Option<&dyn FilterData>) -> Result<u32, NlError> {
    let head = tp.root_mut::<FlHead>().ok_or(Errno::EINVAL)?;
    let filter = options.and_then(filter_data::<FlowerFilter>).ok_or(Errno::EINVAL)?.clone();
    let same = |(known, other): &&(u32, FlowerFilter)| *known != handle && other.keys == filter.keys;
    if head.filters.iter().any(|known| same(&known)) {
        return Err(Errno::EEXIST.into());
    }
    if !head.masks.contains(&filter.mask()) {
        head.masks.push(filter.mask());
    }
    let is_free = |id: &u32| head.filters.iter().all(|(known, _)| known != id);
    let handle = if handle == 0 { (1..).find(is_free).ok_or(Errno::ENOSPC)? } else { handle };
    match head.filters.binary_search_by_key(&handle, |(known, _)| *known) {
        Ok(at) => head.filters[at].1 = filter,
        Err(at) => head.filters.insert(at, (handle, filter)),
    }
    head.forget_masks();
    Ok(handle)
}

/// The headers of a packet.
struct Flow<'a> {
    indev: u32,
    vlan: Option<(u16, u16)>,
    eth: Option<&'a EthHdr>,
    eth_type: u16,
    ip: Option<&'a Ipv4Hdr>,
    arp: Option<&'a ArpHdr>,
    /// The payload of IPv4; empty in fragments behind the first.
    transport: &'a [u8],
    tunnel: IpTunnelKey,
}

impl<'a> Flow<'a> {
    fn dissect(skbs: &'a SkbPool, skb: SkbId) -> Flow<'a> {
        let pkt = &skbs[skb];
        let mut flow = Flow {
            indev: pkt.skb_iif,
            vlan: pkt.vlan_tag.map(|tag| (tag.proto.ethertype(), tag.tci)),
            eth: skbs.header(skb, pkt.mac_header),
            eth_type: pkt.protocol,
            ip: None,
            arp: None,
            transport: &[],
            tunnel: pkt.tun_info.as_ref().map_or_else(IpTunnelKey::default, |info| info.key),
        };
        let mut at = pkt.network_header;
        while VlanProto::of(flow.eth_type).is_some()
            && let Some([a, b, c, d]) = skbs.header::<[u8; 4]>(skb, at)
        {
            flow.vlan.get_or_insert((flow.eth_type, u16::from_be_bytes([*a, *b])));
            flow.eth_type = u16::from_be_bytes([*c, *d]);
            at += 4;
        }
        match flow.eth_type {
            ETH_P_IP => flow.ip = skbs.header(skb, at),
            ETH_P_ARP => flow.arp = skbs.header(skb, at),
            _ => {}
        }
        if let Some(ip) = flow.ip.filter(|ip| ip.frag_off.get() & IP_OFFSET == 0) {
            let from = at as usize + ip.header_len();
            let bytes = skbs.bufs.bytes(pkt.buf).get(from..pkt.tail as usize);
            flow.transport = bytes.unwrap_or_default();
        }
        flow
    }

    fn u16_at(&self, at: usize) -> u64 {
        let bytes = self.transport.get(at..at + 2).and_then(|bytes| bytes.first_chunk().copied());
        u64::from(bytes.map_or(0, u16::from_be_bytes))
    }

    fn field(&self, field: FlowField) -> u64 {
        let mac = |mac: [u8; 6]| mac.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let of_ip = |get: fn(&Ipv4Hdr) -> u64| self.ip.map_or(0, get);
        let of_arp = |get: fn(&ArpHdr) -> u64| self.arp.map_or(0, get);
        let has = |protocol: u8| self.ip.is_some_and(|ip| ip.protocol == protocol);
        let tci = self.vlan.map_or(0, |(_, tci)| u64::from(tci));
        let ports = || self.ip.is_some_and(|ip| matches!(ip.protocol, 6 | 17 | 33 | 132 | 136));
        match field {
            FlowField::Indev => u64::from(self.indev),
            FlowField::VlanId => tci & 0xfff,
            FlowField::VlanPrio => tci >> 13,
            FlowField::VlanTpid => self.vlan.map_or(0, |(tpid, _)| u64::from(tpid)),
            FlowField::DstMac => self.eth.map_or(0, |eth| mac(eth.dest().0)),
            FlowField::SrcMac => self.eth.map_or(0, |eth| mac(eth.source().0)),
            FlowField::EthType => u64::from(self.eth_type),
            FlowField::IpProto => of_ip(|ip| u64::from(ip.protocol)),
            FlowField::IpTos => of_ip(|ip| u64::from(ip.tos)),
            FlowField::IpTtl => of_ip(|ip| u64::from(ip.ttl)),
            FlowField::IpFlags => of_ip(|ip| {
                let (is_first, more) = (ip.frag_off.get() & IP_OFFSET == 0, ip.frag_off.get() & IP_MF != 0);
                u64::from(!is_first || more) | u64::from(is_first && more) << 1
            }),
            FlowField::DstIp => of_ip(|ip| u64::from(ip.daddr.get().to_bits())),
            FlowField::SrcIp => of_ip(|ip| u64::from(ip.saddr.get().to_bits())),
            FlowField::SrcPort if ports() => self.u16_at(0),
            FlowField::DstPort if ports() => self.u16_at(2),
            FlowField::TcpFlags if has(IPPROTO_TCP) => self.u16_at(12) & 0xfff,
            FlowField::IcmpType if has(IPPROTO_ICMP) => self.u16_at(0) >> 8,
            FlowField::IcmpCode if has(IPPROTO_ICMP) => self.u16_at(0) & 0xff,
            FlowField::SrcPort
            | FlowField::DstPort
            | FlowField::TcpFlags
            | FlowField::IcmpType
            | FlowField::IcmpCode => 0,
            FlowField::ArpSip => of_arp(|arp| u64::from(arp.ar_sip.get().to_bits())),
            FlowField::ArpTip => of_arp(|arp| u64::from(arp.ar_tip.get().to_bits())),
            FlowField::ArpOp => of_arp(|arp| u64::from(arp.ar_op.get() & 0xff)),
            FlowField::ArpSha => self.arp.map_or(0, |arp| mac(arp.ar_sha)),
            FlowField::ArpTha => self.arp.map_or(0, |arp| mac(arp.ar_tha)),
            FlowField::EncDstIp => u64::from(self.tunnel.dst.to_bits()),
            FlowField::EncSrcIp => u64::from(self.tunnel.src.to_bits()),
            FlowField::EncKeyId => self.tunnel.tun_id & 0xffff_ffff,
            FlowField::EncDstPort => u64::from(self.tunnel.tp_dst),
            FlowField::EncIpTos => u64::from(self.tunnel.tos),
            FlowField::EncIpTtl => u64::from(self.tunnel.ttl),
        }
    }
}
