//! Which function is behind each door. The one place that knows all rooms: they return doors and do not call each other.
//!
//! Opening a door costs the CPU what the function costs. A continuation, where a function goes on that was entered
//! before, costs as much again; one that a timer or a request begins costs as much as the function that does the same
//! for a packet.

use crate::door::{Door, Func};
use crate::{Cx, drivers, net};

macro_rules! doors {
    (
        functions { $($door:ident ( $($arg:ident),* ) => $function:path,)* }
        continuations { $($more:ident ( $($more_arg:ident),* ) of $func:ident => $more_function:path,)* }
    ) => {
        impl Door {
            /// Opens the door: runs the function, which returns the next one.
            #[inline(always)]
            pub(crate) fn open(self, cx: &mut Cx) -> Door {
                match self {
                    Door::End => Door::End,
                    $(Door::$door { $($arg),* } => {
                        cx.charge(Func::$door);
                        $function(cx, $($arg),*)
                    })*
                    $(Door::$more { $($more_arg),* } => {
                        cx.charge(Func::$func);
                        $more_function(cx, $($more_arg),*)
                    })*
                }
            }
        }
    };
}

doors! {
    functions {
        // net/core/dev.c, in
        NetifRx(skb) => net::core::dev::netif_rx,
        NetifRxInner(skb) => net::core::dev::__netif_rx,
        NetifRxInternal(skb) => net::core::dev::netif_rx_internal,
        EnqueueToBacklog(skb, cpu) => net::core::dev::enqueue_to_backlog,
        NapiGroReceive(skb) => net::core::gro::napi_gro_receive,
        NetifReceiveSkb(skb) => net::core::dev::netif_receive_skb,
        NetifReceiveSkbInner(skb) => net::core::dev::__netif_receive_skb,
        NetifReceiveSkbOneCore(skb) => net::core::dev::__netif_receive_skb_one_core,
        NetifReceiveSkbCore(skb) => net::core::dev::__netif_receive_skb_core,
        // net/core/dev.c, out
        DevQueueXmit(skb) => net::core::dev::__dev_queue_xmit,
        ValidateXmitSkb(skb) => net::core::dev::validate_xmit_skb,
        DevHardStartXmit(skb) => net::core::dev::dev_hard_start_xmit,
        // drivers
        VethXmit(skb) => drivers::veth::veth_xmit,
        VlanDevHardStartXmit(skb) => net::vlan_8021q::vlan_dev::vlan_dev_hard_start_xmit,
        TunNetXmit(skb) => drivers::tun::tun_net_xmit,
        DummyXmit(skb) => drivers::dummy::dummy_xmit,
        IfbXmit(skb) => drivers::ifb::ifb_xmit,
        GreTapXmit(skb) => net::ipv4::ip_gre::gre_tap_xmit,
        IpgreXmit(skb) => net::ipv4::ip_gre::ipgre_xmit,
        GreRcv(skb) => net::ipv4::gre_demux::gre_rcv,
        IpipTunnelXmit(skb) => net::ipv4::ipip::ipip_tunnel_xmit,
        Tunnel4Rcv(skb) => net::ipv4::tunnel4::tunnel4_rcv,
        FouUdpRecv(skb, protocol) => net::ipv4::fou_core::fou_udp_recv,
        GueUdpRecv(skb) => net::ipv4::fou_core::gue_udp_recv,
        GeneveXmit(skb) => drivers::geneve::geneve_xmit,
        GeneveUdpEncapRecv(skb) => drivers::geneve::geneve_udp_encap_recv,
        VxlanXmit(skb) => drivers::vxlan::vxlan_core::vxlan_xmit,
        VxlanRcv(skb) => drivers::vxlan::vxlan_core::vxlan_rcv,
        GroCellsReceive(skb) => net::core::gro_cells::gro_cells_receive,
        DevForwardSkb(skb) => net::core::dev_forward::__dev_forward_skb,
        MacvlanHandleFrame(skb) => drivers::macvlan::macvlan_handle_frame,
        MacvlanStartXmit(skb) => drivers::macvlan::macvlan_start_xmit,
        IpvlanHandleFrame(skb) => drivers::ipvlan::ipvlan_core::ipvlan_handle_frame,
        IpvlanStartXmit(skb) => drivers::ipvlan::ipvlan_core::ipvlan_start_xmit,
        BondHandleFrame(skb) => drivers::bonding::xmit::bond_handle_frame,
        BondStartXmit(skb) => drivers::bonding::xmit::bond_start_xmit,
        BondXmitBroadcast(skb) => drivers::bonding::xmit::bond_xmit_broadcast,
        BondDevQueueXmit(skb) => drivers::bonding::xmit::bond_dev_queue_xmit,
        VrfXmit(skb) => drivers::vrf::vrf_xmit,
        LoopbackXmit(skb) => drivers::loopback::loopback_xmit,
        EiStartXmit(skb) => drivers::nic::ne2k_pci::ei_start_xmit,
        E1000ReceiveSkb(skb) => drivers::nic::e1000e::e1000_receive_skb,
        E1000XmitFrame(skb) => drivers::nic::e1000e::e1000_xmit_frame,
        IgbXmitFrame(skb) => drivers::nic::igb::igb_xmit_frame,
        BrDevXmit(skb) => net::bridge::br_device::br_dev_xmit,
        NetdevFrameHook(skb) => net::openvswitch::vport_netdev::netdev_frame_hook,
        InternalDevXmit(skb) => net::openvswitch::vport_internal_dev::internal_dev_xmit,
        InternalDevRecv(skb) => net::openvswitch::vport_internal_dev::internal_dev_recv,
        // net/bridge
        BrHandleFrame(skb) => net::bridge::br_input::br_handle_frame,
        BrHandleFrameFinish(skb) => net::bridge::br_input::br_handle_frame_finish,
        BrPassFrameUp(skb) => net::bridge::br_input::br_pass_frame_up,
        BrForward(skb) => net::bridge::br_forward::br_forward,
        BrForwardInner(skb) => net::bridge::br_forward::__br_forward,
        BrForwardFinish(skb) => net::bridge::br_forward::br_forward_finish,
        BrDevQueuePushXmit(skb) => net::bridge::br_forward::br_dev_queue_push_xmit,
        BrFlood(skb, local_rcv) => net::bridge::br_forward::br_flood,
        // net/core/neighbour.c
        NeighConnectedOutput(skb) => net::core::neighbour::neigh_connected_output,
        NeighResolveOutput(skb) => net::core::neighbour::neigh_resolve_output,
        PneighEnqueue(skb) => net::core::pneigh::pneigh_enqueue,
        // net/ipv4: ARP
        ArpRcv(skb) => net::ipv4::arp::arp_rcv,
        ArpProcess(skb) => net::ipv4::arp::arp_process,
        ParpRedo(skb) => net::ipv4::arp::parp_redo,
        ArpXmit(skb) => net::ipv4::arp::arp_xmit,
        // net/ipv4, in
        IpRcv(skb) => net::ipv4::ip_input::ip_rcv,
        IpRcvFinish(skb) => net::ipv4::ip_input::ip_rcv_finish,
        IpError(skb) => net::ipv4::route_errors::ip_error,
        IpLocalDeliver(skb) => net::ipv4::ip_input::ip_local_deliver,
        IpDefrag(skb) => net::ipv4::ip_fragment::ip_defrag,
        IpLocalDeliverFinish(skb) => net::ipv4::ip_input::ip_local_deliver_finish,
        IpProtocolDeliverRcu(skb) => net::ipv4::ip_input::ip_protocol_deliver_rcu,
        IcmpRcv(skb) => net::ipv4::icmp::icmp_rcv,
        IcmpEcho(skb) => net::ipv4::icmp::icmp_echo,
        IcmpTimestamp(skb) => net::ipv4::icmp::icmp_timestamp,
        IcmpUnreach(skb) => net::ipv4::icmp::icmp_unreach,
        IcmpRedirect(skb) => net::ipv4::icmp::icmp_redirect,
        IgmpRcv(skb) => net::ipv4::igmp::igmp_rcv,
        UdpRcv(skb) => net::ipv4::udp::udp_rcv,
        // net/ipv4, through
        IpForward(skb) => net::ipv4::ip_forward::ip_forward,
        IpForwardFinish(skb) => net::ipv4::ip_forward::ip_forward_finish,
        // net/netfilter and net/bridge/br_netfilter_hooks.c
        NfHookSlow(skb, site, from) => net::netfilter::core::nf_hook_slow,
        BrNfPreRoutingFinish(skb) => net::bridge::br_netfilter_hooks::br_nf_pre_routing_finish,
        BrNfPreRoutingFinishBridge(skb) => net::bridge::br_netfilter_hooks::br_nf_pre_routing_finish_bridge,
        BrNfForwardFinish(skb) => net::bridge::br_netfilter_hooks::br_nf_forward_finish,
        BrNfDevQueueXmit(skb) => net::bridge::br_netfilter_hooks::br_nf_dev_queue_xmit,
        // net/ipv4, out
        IpSendSkb(skb) => net::ipv4::ip_output::ip_send_skb,
        IpPushPendingFrames(skb) => net::ipv4::ip_output::ip_push_pending_frames,
        IpLocalOut(skb) => net::ipv4::ip_output::__ip_local_out,
        IpOutput(skb) => net::ipv4::ip_output::ip_output,
        IpMcOutput(skb) => net::ipv4::ip_output::ip_mc_output,
        DevLoopbackXmit(skb) => net::ipv4::ip_output::dev_loopback_xmit,
        IpFinishOutput(skb) => net::ipv4::ip_output::ip_finish_output,
        IpFinishOutputInner(skb) => net::ipv4::ip_output::__ip_finish_output,
        IpFragment(skb) => net::ipv4::ip_output::ip_fragment,
        IpDoFragment(skb) => net::ipv4::ip_output::ip_do_fragment,
        IpFinishOutput2(skb) => net::ipv4::ip_output::ip_finish_output2,
        // net/ipv4: TCP
        TcpV4Rcv(skb) => net::ipv4::tcp_ipv4::tcp_v4_rcv,
        TcpV4DoRcv(skb) => net::ipv4::tcp_ipv4::tcp_v4_do_rcv,
        IpQueueXmit(skb) => net::ipv4::ip_output::__ip_queue_xmit,
    }
    continuations {
        BondXmitBroadcastNext(skb, from) of BondXmitBroadcast => drivers::bonding::xmit::bond_xmit_broadcast_next,
        Consume(skb) of ConsumeSkb => net::core::skbuff::consume_later,
        KfreeSkb(skb, reason) of KfreeSkbReason => net::core::skbuff::kfree_later,
        XmitOne(skb) of DevHardStartXmit => net::core::dev::dev_hard_start_xmit,
        Refused(skb) of NfHookSlow => net::netfilter::core::refuse,
        NeighProbe(neigh) of NeighEventSend => net::ipv4::arp::neigh_probe,
        NeighConstruct(neigh) of IpFinishOutput2 => net::ipv4::arp::arp_construct,
        IpSublistAccepted(skb) of IpRcvFinish => net::ipv4::ip_input::ip_sublist_accepted,
        IpForwardHook(skb) of IpForward => net::ipv4::ip_forward::ip_forward_hook,
        IpLocalOutHook(skb) of IpLocalOut => net::ipv4::ip_output::ip_local_out_hook,
        IpOutputHook(skb) of IpOutput => net::ipv4::ip_output::ip_output_hook,
        IpResubmit(skb, protocol) of IpProtocolDeliverRcu => net::ipv4::ip_input::ip_resubmit,
        IpMcLoopHook(skb) of IpMcOutput => net::ipv4::ip_output::ip_mc_loop_hook,
        LinkFailure(skb) of IpError => net::ipv4::route_errors::ipv4_link_failure,
        NfHookResume(skb, site, from) of NfHookSlow => net::netfilter::core::nf_hook_slow,
        BrFloodNext(skb, from, local_rcv) of BrFlood => net::bridge::br_forward::br_flood_next,
    }
}
