//! The doors: every function that a packet passes, with its kernel name.
//!
//! A door is a value: the next function and what it is called with. The [walk](crate::walk) opens one after the
//! other. A *call* is a function that is asked about a packet and returns, such as a look-up; it appears in the
//! trace, and costs time, but does not move the packet.

use crate::Cx;
use crate::ids::{NeighId, SkbId};
use crate::tables::drop_reason::DropReason;
use crate::tables::netfilter::Site;
use crate::{drivers, net};

macro_rules! doors {
    (
        doors { $($door:ident ( $($arg:ident : $type:ty),* ) = $name:literal => $function:path,)* }
        continuations { $($more:ident ( $($more_arg:ident : $more_type:ty),* ) => $more_function:path,)* }
        calls { $($call:ident = $call_name:literal,)* }
    ) => {
        /// The next function of a packet's way.
        #[derive(Clone, Copy, Debug)]
        #[allow(missing_docs)]
        pub enum Door {
            /// The packet's way ends here: it is in a queue, in a socket, or gone.
            End,
            $($door { $($arg: $type),* },)*
            $($more { $($more_arg: $more_type),* },)*
        }

        /// A function of the kernel, by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs)]
        #[repr(u8)]
        pub enum Func { $($door,)* $($call,)* }

        impl Func {
            /// The function's name in Linux 6.1.
            pub fn name(self) -> &'static str {
                match self { $(Func::$door => $name,)* $(Func::$call => $call_name,)* }
            }

            /// All functions.
            pub const ALL: &'static [Func] = &[$(Func::$door,)* $(Func::$call,)*];
        }

        impl Door {
            /// The function behind the door, and the packet that passes; `None` where a function goes on that was
            /// entered before.
            #[inline]
            pub fn func(&self) -> Option<(Func, SkbId)> {
                match *self {
                    Door::End => None,
                    $(Door::$more { .. } => None,)*
                    $(Door::$door { skb, .. } => Some((Func::$door, skb)),)*
                }
            }

            /// Opens the door.
            #[inline(always)]
            pub(crate) fn open(self, cx: &mut Cx) -> Door {
                match self {
                    Door::End => Door::End,
                    $(Door::$door { $($arg),* } => $function(cx, $($arg),*),)*
                    $(Door::$more { $($more_arg),* } => $more_function(cx, $($more_arg),*),)*
                }
            }
        }
    };
}

const _: () = assert!(size_of::<Door>() == 8, "a door is returned in one register");

doors! {
    doors {
        // net/core/dev.c, in
        NetifRx(skb: SkbId) = "__netif_rx" => net::core::dev::__netif_rx,
        NetifRxInternal(skb: SkbId) = "netif_rx_internal" => net::core::dev::netif_rx_internal,
        EnqueueToBacklog(skb: SkbId) = "enqueue_to_backlog" => net::core::dev::enqueue_to_backlog,
        NapiGroReceive(skb: SkbId) = "napi_gro_receive" => net::core::dev::napi_gro_receive,
        NetifReceiveSkb(skb: SkbId) = "netif_receive_skb" => net::core::dev::netif_receive_skb,
        NetifReceiveSkbInner(skb: SkbId) = "__netif_receive_skb" => net::core::dev::__netif_receive_skb,
        NetifReceiveSkbOneCore(skb: SkbId) = "__netif_receive_skb_one_core"
            => net::core::dev::__netif_receive_skb_one_core,
        NetifReceiveSkbCore(skb: SkbId) = "__netif_receive_skb_core" => net::core::dev::__netif_receive_skb_core,
        // net/core/dev.c, out
        DevQueueXmit(skb: SkbId) = "__dev_queue_xmit" => net::core::dev::__dev_queue_xmit,
        ValidateXmitSkb(skb: SkbId) = "validate_xmit_skb" => net::core::dev::validate_xmit_skb,
        DevHardStartXmit(skb: SkbId) = "dev_hard_start_xmit" => net::core::dev::dev_hard_start_xmit,
        // drivers
        VethXmit(skb: SkbId) = "veth_xmit" => drivers::veth::veth_xmit,
        DevForwardSkb(skb: SkbId) = "__dev_forward_skb" => drivers::veth::__dev_forward_skb,
        LoopbackXmit(skb: SkbId) = "loopback_xmit" => drivers::loopback::loopback_xmit,
        NicXmit(skb: SkbId) = "e1000_xmit_frame" => drivers::nic::e1000_xmit_frame,
        BrDevXmit(skb: SkbId) = "br_dev_xmit" => net::bridge::br_device::br_dev_xmit,
        // net/bridge
        BrHandleFrame(skb: SkbId) = "br_handle_frame" => net::bridge::br_input::br_handle_frame,
        BrHandleFrameFinish(skb: SkbId) = "br_handle_frame_finish"
            => net::bridge::br_input::br_handle_frame_finish,
        BrPassFrameUp(skb: SkbId) = "br_pass_frame_up" => net::bridge::br_input::br_pass_frame_up,
        BrForward(skb: SkbId) = "br_forward" => net::bridge::br_forward::br_forward,
        BrForwardInner(skb: SkbId) = "__br_forward" => net::bridge::br_forward::__br_forward,
        BrForwardFinish(skb: SkbId) = "br_forward_finish" => net::bridge::br_forward::br_forward_finish,
        BrDevQueuePushXmit(skb: SkbId) = "br_dev_queue_push_xmit"
            => net::bridge::br_forward::br_dev_queue_push_xmit,
        BrFlood(skb: SkbId, local_rcv: bool) = "br_flood" => net::bridge::br_forward::br_flood,
        // net/core/neighbour.c
        NeighResolveOutput(skb: SkbId) = "neigh_resolve_output" => net::core::neighbour::neigh_resolve_output,
        // net/ipv4: ARP
        ArpRcv(skb: SkbId) = "arp_rcv" => net::ipv4::arp::arp_rcv,
        ArpProcess(skb: SkbId) = "arp_process" => net::ipv4::arp::arp_process,
        ArpXmit(skb: SkbId) = "arp_xmit" => net::ipv4::arp::arp_xmit,
        // net/ipv4, in
        IpRcv(skb: SkbId) = "ip_rcv" => net::ipv4::ip_input::ip_rcv,
        IpRcvFinish(skb: SkbId) = "ip_rcv_finish" => net::ipv4::ip_input::ip_rcv_finish,
        IpError(skb: SkbId) = "ip_error" => net::ipv4::route_errors::ip_error,
        IpLocalDeliver(skb: SkbId) = "ip_local_deliver" => net::ipv4::ip_input::ip_local_deliver,
        IpDefrag(skb: SkbId) = "ip_defrag" => net::ipv4::ip_fragment::ip_defrag,
        IpLocalDeliverFinish(skb: SkbId) = "ip_local_deliver_finish"
            => net::ipv4::ip_input::ip_local_deliver_finish,
        IpProtocolDeliverRcu(skb: SkbId) = "ip_protocol_deliver_rcu"
            => net::ipv4::ip_input::ip_protocol_deliver_rcu,
        IcmpRcv(skb: SkbId) = "icmp_rcv" => net::ipv4::icmp::icmp_rcv,
        IcmpEcho(skb: SkbId) = "icmp_echo" => net::ipv4::icmp::icmp_echo,
        IcmpTimestamp(skb: SkbId) = "icmp_timestamp" => net::ipv4::icmp::icmp_timestamp,
        IcmpUnreach(skb: SkbId) = "icmp_unreach" => net::ipv4::icmp::icmp_unreach,
        IcmpRedirect(skb: SkbId) = "icmp_redirect" => net::ipv4::icmp::icmp_redirect,
        IgmpRcv(skb: SkbId) = "igmp_rcv" => net::ipv4::igmp::igmp_rcv,
        UdpRcv(skb: SkbId) = "udp_rcv" => net::ipv4::udp::udp_rcv,
        // net/ipv4, through
        IpForward(skb: SkbId) = "ip_forward" => net::ipv4::ip_forward::ip_forward,
        IpForwardFinish(skb: SkbId) = "ip_forward_finish" => net::ipv4::ip_forward::ip_forward_finish,
        // net/netfilter and net/bridge/br_netfilter_hooks.c
        NfHookSlow(skb: SkbId, site: Site, from: u16) = "nf_hook_slow" => net::netfilter::core::nf_hook_slow,
        BrNfPreRoutingFinish(skb: SkbId) = "br_nf_pre_routing_finish"
            => net::bridge::br_netfilter_hooks::br_nf_pre_routing_finish,
        BrNfPreRoutingFinishBridge(skb: SkbId) = "br_nf_pre_routing_finish_bridge"
            => net::bridge::br_netfilter_hooks::br_nf_pre_routing_finish_bridge,
        BrNfForwardFinish(skb: SkbId) = "br_nf_forward_finish"
            => net::bridge::br_netfilter_hooks::br_nf_forward_finish,
        BrNfDevQueueXmit(skb: SkbId) = "br_nf_dev_queue_xmit"
            => net::bridge::br_netfilter_hooks::br_nf_dev_queue_xmit,
        // net/ipv4, out
        IpPushPendingFrames(skb: SkbId) = "ip_push_pending_frames"
            => net::ipv4::ip_output::ip_push_pending_frames,
        IpLocalOut(skb: SkbId) = "__ip_local_out" => net::ipv4::ip_output::__ip_local_out,
        IpOutput(skb: SkbId) = "ip_output" => net::ipv4::ip_output::ip_output,
        IpMcOutput(skb: SkbId) = "ip_mc_output" => net::ipv4::ip_output::ip_mc_output,
        DevLoopbackXmit(skb: SkbId) = "dev_loopback_xmit" => net::ipv4::ip_output::dev_loopback_xmit,
        IpFinishOutput(skb: SkbId) = "ip_finish_output" => net::ipv4::ip_output::ip_finish_output,
        IpFinishOutputInner(skb: SkbId) = "__ip_finish_output" => net::ipv4::ip_output::__ip_finish_output,
        IpFragment(skb: SkbId) = "ip_fragment" => net::ipv4::ip_output::ip_fragment,
        IpDoFragment(skb: SkbId) = "ip_do_fragment" => net::ipv4::ip_output::ip_do_fragment,
        IpFinishOutput2(skb: SkbId) = "ip_finish_output2" => net::ipv4::ip_output::ip_finish_output2,
        // net/ipv4: TCP
        TcpV4Rcv(skb: SkbId) = "tcp_v4_rcv" => net::ipv4::tcp_ipv4::tcp_v4_rcv,
        TcpV4DoRcv(skb: SkbId) = "tcp_v4_do_rcv" => net::ipv4::tcp_ipv4::tcp_v4_do_rcv,
        IpQueueXmit(skb: SkbId) = "__ip_queue_xmit" => net::ipv4::ip_output::__ip_queue_xmit,
    }
    continuations {
        Consume(skb: SkbId) => net::core::skbuff::consume_later,
        KfreeSkb(skb: SkbId, reason: DropReason) => net::core::skbuff::kfree_later,
        Refused(skb: SkbId) => net::netfilter::core::refuse,
        NeighProbe(neigh: NeighId) => net::ipv4::arp::neigh_probe,
        NeighConstruct(neigh: NeighId) => net::ipv4::arp::arp_construct,
        IpForwardHook(skb: SkbId) => net::ipv4::ip_forward::ip_forward_hook,
        IpLocalOutHook(skb: SkbId) => net::ipv4::ip_output::ip_local_out_hook,
        IpOutputHook(skb: SkbId) => net::ipv4::ip_output::ip_output_hook,
        IpMcLoopHook(skb: SkbId) => net::ipv4::ip_output::ip_mc_loop_hook,
        LinkFailure(skb: SkbId) => net::ipv4::route_errors::ipv4_link_failure,
        NfHookResume(skb: SkbId, site: Site, from: u16) => net::netfilter::core::nf_hook_slow,
        BrFloodNext(skb: SkbId, from: u16, local_rcv: bool) => net::bridge::br_forward::br_flood_next,
    }
    calls {
        NetRxAction = "net_rx_action",
        NapiPoll = "__napi_poll",
        ProcessBacklog = "process_backlog",
        NicPoll = "e1000e_poll",
        NicIrq = "e1000_intr_msi",
        SkbClone = "skb_clone",
        ConsumeSkb = "consume_skb",
        KfreeSkbReason = "kfree_skb_reason",
        BrFdbUpdate = "br_fdb_update",
        BrFdbFindRcu = "br_fdb_find_rcu",
        BrDoProxySuppressArp = "br_do_proxy_suppress_arp",
        TpacketRcv = "tpacket_rcv",
        DevQueueXmitNit = "dev_queue_xmit_nit",
        PacketSendmsg = "packet_sendmsg",
        RawSendmsg = "raw_sendmsg",
        RawLocalDeliver = "raw_local_deliver",
        RawRcv = "raw_rcv",
        RawRecvmsg = "raw_recvmsg",
        PingRcv = "ping_rcv",
        PingV4Sendmsg = "ping_v4_sendmsg",
        UdpSendmsg = "udp_sendmsg",
        UdpQueueRcvSkb = "udp_queue_rcv_skb",
        IpRcvCore = "ip_rcv_core",
        IpRouteInputNoref = "ip_route_input_noref",
        IpRouteInputSlow = "ip_route_input_slow",
        IpRouteOutputFlow = "ip_route_output_flow",
        IpRouteOutputKeyHashRcu = "ip_route_output_key_hash_rcu",
        FibTableLookup = "fib_table_lookup",
        FibValidateSource = "fib_validate_source",
        IcmpReply = "icmp_reply",
        IcmpPushReply = "icmp_push_reply",
        IcmpSend = "__icmp_send",
        NeighEventSend = "__neigh_event_send",
        NeighUpdate = "neigh_update",
        ArpSolicit = "arp_solicit",
        ArpSendDst = "arp_send_dst",
        ArpCreate = "arp_create",
        // Bridge netfilter
        BrNfPreRouting = "br_nf_pre_routing",
        BrNfLocalIn = "br_nf_local_in",
        BrNfForwardIp = "br_nf_forward_ip",
        BrNfForwardArp = "br_nf_forward_arp",
        BrNfPostRouting = "br_nf_post_routing",
        BrNfHookThresh = "br_nf_hook_thresh",
        IpSabotageIn = "ip_sabotage_in",
        // NAT and refusals
        NfNatIpv4PreRouting = "nf_nat_ipv4_pre_routing",
        NfNatIpv4LocalIn = "nf_nat_ipv4_local_in",
        NfNatIpv4LocalFn = "nf_nat_ipv4_local_fn",
        NfNatIpv4Out = "nf_nat_ipv4_out",
        NfNatInetFn = "nf_nat_inet_fn",
        NfNatSetupInfo = "nf_nat_setup_info",
        NfNatManipPkt = "nf_nat_manip_pkt",
        NfNatIcmpReplyTranslation = "nf_nat_icmp_reply_translation",
        NfNatMasqueradeIpv4 = "nf_nat_masquerade_ipv4",
        NfNatRedirectIpv4 = "nf_nat_redirect_ipv4",
        NfSendUnreach = "nf_send_unreach",
        NfSendReset = "nf_send_reset",
        IpRouteMeHarder = "ip_route_me_harder",
        // net/netfilter/nf_conntrack_*.c
        Ipv4ConntrackDefrag = "ipv4_conntrack_defrag",
        Ipv4ConntrackIn = "ipv4_conntrack_in",
        Ipv4ConntrackLocal = "ipv4_conntrack_local",
        Ipv4Confirm = "ipv4_confirm",
        NfConntrackIn = "nf_conntrack_in",
        NfConntrackConfirm = "__nf_conntrack_confirm",
        InitConntrack = "init_conntrack",
        NfConntrackTcpPacket = "nf_conntrack_tcp_packet",
        NfConntrackUdpPacket = "nf_conntrack_udp_packet",
        NfConntrackIcmpPacket = "nf_conntrack_icmp_packet",
        NfConntrackGrePacket = "nf_conntrack_gre_packet",
        NfConntrackInetError = "nf_conntrack_inet_error",
        GenericPacket = "generic_packet",
        // Rules
        IptDoTable = "ipt_do_table",
        IptableMangleHook = "iptable_mangle_hook",
        NftDoChainIpv4 = "nft_do_chain_ipv4",
        NfRouteTableHook4 = "nf_route_table_hook4",
        NftNatDoChain = "nft_nat_do_chain",
        NftDoChain = "nft_do_chain",
        // net/ipv4: TCP
        InetLookupEstablished = "__inet_lookup_established",
        InetLookupListener = "__inet_lookup_listener",
        TcpRcvEstablished = "tcp_rcv_established",
        TcpRcvStateProcess = "tcp_rcv_state_process",
        TcpDataQueue = "tcp_data_queue",
        TcpConnRequest = "tcp_conn_request",
        TcpMakeSynack = "tcp_make_synack",
        TcpCheckReq = "tcp_check_req",
        TcpTimewaitStateProcess = "tcp_timewait_state_process",
        TcpV4SendReset = "tcp_v4_send_reset",
        TcpV4SendAck = "tcp_v4_send_ack",
        TcpTransmitSkb = "__tcp_transmit_skb",
        TcpRetransmitSkb = "__tcp_retransmit_skb",
    }
}
