//! The functions of the kernel that a packet meets, a row each, and the doors.
//!
//! A row says what Linux 6.1 calls the function and in which file it stands, what it does for somebody who has never
//! read the kernel, and what kind of work it is, which [decides its cost](crate::cost).
//!
//! A door is a value: the next function and what it is called with. The [walk](crate::walk) opens one after the
//! other. A *call* is a function that is asked about a packet and returns, such as a look-up; it appears in the
//! trace, and costs time, but does not move the packet. A row with arguments is a door, one without is a call.

use crate::class::Class;
pub use crate::door_row::Function;
use crate::door_row::functions;
use crate::ids::{NeighId, SkbId};
use crate::tables::drop_reason::DropReason;
use crate::tables::netfilter::Site;

impl Func {
    /// The function's row.
    pub const fn row(self) -> &'static Function {
        &FUNCTIONS[self as usize]
    }

    /// The function's name in Linux 6.1.
    pub const fn name(self) -> &'static str {
        self.row().name
    }
}

const _: () = assert!(size_of::<Door>() == 8, "a door is returned in one register");

functions! {
    functions {
        "drivers/net/veth.c" { VethXmit(skb: SkbId) = veth_xmit, Netdev, "into the veth cable, out of its other end"; }
        "drivers/net/dummy.c" { DummyXmit(skb: SkbId) = dummy_xmit, Netdev, "a dummy counts the frame as sent and frees it"; }
        "drivers/net/ifb.c" {
            IfbXmit(skb: SkbId) = ifb_xmit, Netdev, "waits for the tasklet, which gives it back";
            IfbRiTasklet = ifb_ri_tasklet, Netdev, "packets go back to the device that they are from";
        }
        "drivers/net/macvlan.c" {
            MacvlanHandleFrame(skb: SkbId) = macvlan_handle_frame, Netdev, "which macvlan device has this address?";
            MacvlanStartXmit(skb: SkbId) = macvlan_start_xmit, Netdev, "a macvlan device sends: to one beside it, or out";
            MacvlanForwardSource = macvlan_forward_source, Netdev, "does a device take frames by their source?";
            MacvlanHashLookup = macvlan_hash_lookup, Netdev, "looks for a device with the address";
            MacvlanBroadcast = macvlan_broadcast, Netdev, "a copy for each device that listens to the group";
        }
        "drivers/net/ipvlan/ipvlan_core.c" {
            IpvlanHandleFrame(skb: SkbId) = ipvlan_handle_frame, Netdev, "which ipvlan device has this IP address?";
            IpvlanGetL3Hdr = ipvlan_get_L3_hdr, Netdev, "where is the IP address in the packet?";
            IpvlanAddrLookup = ipvlan_addr_lookup, Netdev, "looks for a device with the IP address";
            IpvlanRcvFrame = ipvlan_rcv_frame, Netdev, "an ipvlan device receives it", inlined: "ipvlan_rcv_frame.isra.0";
            IpvlanQueueXmit = ipvlan_queue_xmit, Netdev, "as a frame (l2), or routed by the namespace below (l3)?";
            IpvlanProcessV4Outbound = ipvlan_process_v4_outbound, Netdev, "the namespace of the device below routes and sends it";
            IpvlanMulticastEnqueue = ipvlan_multicast_enqueue, Netdev, "a frame to a group waits for a worker";
            IpvlanProcessMulticast = ipvlan_process_multicast, Netdev, "a copy for each device that listens to the group";
        }
        "drivers/net/ipvlan/ipvlan_main.c" {
            IpvlanStartXmit(skb: SkbId) = ipvlan_start_xmit, Netdev, "an ipvlan device sends: to one beside it, or out";
        }
        "drivers/net/ipvlan/ipvlan_l3s.c" {
            IpvlanL3Rcv = ipvlan_l3_rcv, Netdev, "l3s: the namespace above finds the route, before INPUT here";
            IpvlanNfInput = ipvlan_nf_input, Netfilter, "l3s: past INPUT it is the ipvlan device's";
        }
        "drivers/net/geneve.c" {
            GeneveXmit(skb: SkbId) = geneve_xmit, Netdev, "a Geneve device sends a frame to its other end";
            GeneveGetV4Rt = geneve_get_v4_rt, Netdev, "the route to the other end";
            GeneveBuildSkb = geneve_build_skb, Netdev, "puts the Geneve header in front";
            GeneveUdpEncapRecv(skb: SkbId) = geneve_udp_encap_recv, Netdev, "takes a frame out of a datagram";
            GeneveLookup = geneve_lookup, Netdev, "which device has this VNI and this sender?";
            GeneveGroReceive = geneve_gro_receive, Netdev, "does the packet continue one in the same network?";
            GeneveGroComplete = geneve_gro_complete, Netdev, "a merged packet gets its inner headers";
        }
        "drivers/net/vrf.c" {
            VrfXmit(skb: SkbId) = vrf_xmit, Netdev, "routes by the VRF's table what was sent to the VRF";
            VrfLocalXmit = vrf_local_xmit, Netdev, "to this machine: the VRF is its own loopback";
            VrfL3Rcv = vrf_l3_rcv, Netdev, "a device of a VRF received it: it is the VRF's";
            VrfL3Out = vrf_l3_out, Netdev, "leaves by a device of a VRF: passes the hooks with the VRF";
            VrfFinishDirect = vrf_finish_direct, Netdev, "shows it to who listens at the VRF";
        }
        "drivers/net/tun.c" {
            TunNetXmit(skb: SkbId) = tun_net_xmit, Netdev, "into the queue of the program that has the device";
            TunDoRead = tun_do_read, Netdev, "the program reads the packet";
            TunGetUser = tun_get_user, Netdev, "a program wrote a packet: the device receives it";
        }
        "drivers/net/bonding/bond_main.c" {
            BondHandleFrame(skb: SkbId) = bond_handle_frame, Netdev, "a slave received it: now its bond has it";
            BondStartXmit(skb: SkbId) = bond_start_xmit, Netdev, "a bond chooses the slave that sends";
            BondXmitBroadcast(skb: SkbId) = bond_xmit_broadcast, Netdev, "every slave sends it";
            BondDevQueueXmit(skb: SkbId) = bond_dev_queue_xmit, Netdev, "to the slave that sends";
        }
        "drivers/net/vxlan/vxlan_core.c" {
            VxlanXmit(skb: SkbId) = vxlan_xmit, Netdev, "at which other end of the tunnel is the station?";
            VxlanFindMac = __vxlan_find_mac, Netdev, "looks the address up in the tunnel's FDB";
            VxlanXmitOne = vxlan_xmit_one, Netdev, "the frame is to go to one other end";
            VxlanGetRoute = vxlan_get_route, Netdev, "the route to the other end, perhaps still known";
            VxlanEncapBypass = vxlan_encap_bypass, Netdev, "the other end is this host: no headers are needed";
            VxlanRcv(skb: SkbId) = vxlan_rcv, Netdev, "takes the frame out of the tunnel's datagram";
            VxlanVsFindVni = vxlan_vs_find_vni, Netdev, "which device has this VNI?";
            VxlanGroPrepareReceive = vxlan_gro_prepare_receive, Netdev, "is it of the same virtual network?";
            VxlanGroReceive = vxlan_gro_receive, Netdev, "looks at the frame inside of the datagram";
            VxlanGroComplete = vxlan_gro_complete, Netdev, "a merged packet of the tunnel";
            VxlanIpMiss = vxlan_ip_miss, Netdev, "asks programs which station has the address";
            VxlanFdbMiss = vxlan_fdb_miss, Netdev, "asks programs where the station is";
            VxlanSnoop = vxlan_snoop, Netdev, "learns at which other end the station is";
        }
        "drivers/net/loopback.c" { LoopbackXmit(skb: SkbId) = loopback_xmit, Netdev, "lo: what goes out comes straight in"; }
        "drivers/net/ethernet/intel/e1000e/netdev.c" {
            E1000XmitFrame(skb: SkbId) = e1000_xmit_frame, Netdev, "the network card puts the frame on the wire";
            E1000IntrMsixRx = e1000_intr_msix_rx, Interrupt, "the network card interrupts: a frame is there";
            E1000ePoll = e1000e_poll, Netdev, "the driver collects frames from its card";
            E1000IntrMsixTx = e1000_intr_msix_tx, Interrupt, "the network card interrupts: frames are sent";
            E1000CleanTxIrq = e1000_clean_tx_irq, Netdev, "takes sent frames back from the transmit ring";
            E1000CleanRxIrq = e1000_clean_rx_irq, Netdev, "goes through the receive ring";
            E1000RxChecksum = e1000_rx_checksum, Netdev, "has the card checked the checksum?";
            E1000ReceiveSkb(skb: SkbId) = e1000_receive_skb, Netdev, "the driver hands the frame to the stack";
            E1000AllocRxBuffers = e1000_alloc_rx_buffers, Memory, "gives empty buffers back to the card";
        }
        "drivers/net/ethernet/intel/igb/igb_main.c" {
            IgbXmitFrame(skb: SkbId) = igb_xmit_frame, Netdev, "the network card puts the frame on the wire";
            IgbMsixRing = igb_msix_ring, Interrupt, "a ring of the network card interrupts: a frame is there";
            IgbPoll = igb_poll, Netdev, "the driver collects frames from one ring of its card";
            IgbCleanTxIrq = igb_clean_tx_irq, Netdev, "takes sent frames back from the transmit ring",
                inlined: "static, in igb_poll";
            IgbCleanRxIrq = igb_clean_rx_irq, Netdev, "goes through the receive ring", inlined: "static, in igb_poll";
            IgbAllocRxBuffers = igb_alloc_rx_buffers, Memory, "gives empty buffers back to the card";
        }
        "drivers/net/ethernet/8390/8390.c" {
            EiStartXmit(skb: SkbId) = ei_start_xmit, Netdev, "the old network card sends the frame";
            EiInterrupt = ei_interrupt, Interrupt, "the old network card interrupts: a frame is there, or sent";
        }
        "drivers/net/ethernet/8390/lib8390.c" {
            EiInterruptInner = __ei_interrupt, Netdev, "what has happened on the card?";
            EiReceive = ei_receive, Netdev, "takes frames from the card, still in its interrupt";
            EiTxIntr = ei_tx_intr, Netdev, "a frame has left: there is room for another";
        }
        "drivers/net/ethernet/8390/ne2k-pci.c" {
            Ne2kPciGet8390Hdr = ne2k_pci_get_8390_hdr, Netdev, "reads how long the next frame is";
            Ne2kPciBlockInput = ne2k_pci_block_input, Netdev, "the CPU copies the frame from the card";
            Ne2kPciBlockOutput = ne2k_pci_block_output, Netdev, "the CPU copies the frame to the card";
        }
        "net/core/neighbour.c" {
            NeighResolveOutput(skb: SkbId) = neigh_resolve_output, Netdev, "the next hop's MAC address is not certain: ask first";
            NeighConnectedOutput(skb: SkbId) = neigh_connected_output, Netdev,
                "the next hop is known: its link header, if any, is written";
            NeighEventSend = __neigh_event_send, Netdev, "waits while ARP asks, or uses the entry on probation";
            NeighUpdate = neigh_update, Netdev, "the neighbour table learns the MAC address";
            PneighEnqueue(skb: SkbId) = pneigh_enqueue, Netdev, "may answer for another machine, after a random time";
        }
        "net/core/pktgen.c" {
            PktgenXmit = pktgen_xmit, Netdev, "the packet generator sends a packet";
            ModCurHeaders = mod_cur_headers, Netdev, "which addresses, ports and size come next?";
            PktgenAllocSkb = pktgen_alloc_skb, Memory, "memory for the packet";
            PktgenFinalizeSkb = pktgen_finalize_skb, Skb, "writes number and time into the packet";
        }
        "net/core/dev.c" {
            DevQueueXmit(skb: SkbId) = __dev_queue_xmit, Netdev, "queues the frame for its device; virtual devices have no queue";
            NetdevPickTx = netdev_pick_tx, Netdev, "which of the device's transmit queues?";
            DevQdiscEnqueue = dev_qdisc_enqueue, Netdev, "the frame goes to the device's queueing discipline";
            NetifSchedule = __netif_schedule, Schedule, "a softirq will send what waits",
                inlined: "in netif_schedule_queue and netif_tx_wake_queue";
            NetifTxWakeQueue = netif_tx_wake_queue, Schedule, "the device has room for frames again";
            NetTxAction = net_tx_action, Schedule, "the transmit softirq starts: who has frames to send?";
            ValidateXmitSkbList = validate_xmit_skb_list, Netdev, "prepares the frames that leave together";
            SkbGsoSegment = __skb_gso_segment, Netdev, "the device cannot cut a merged packet: done here";
            ValidateXmitSkb(skb: SkbId) = validate_xmit_skb, Netdev, "does in software what the device cannot";
            DevHardStartXmit(skb: SkbId) = dev_hard_start_xmit, Netdev,
                "hands the frame to the device's driver; tcpdump sees it here";
            DevQueueXmitNit = dev_queue_xmit_nit, Netdev, "shows the frame that leaves to tcpdump";
            DevLoopbackXmit(skb: SkbId) = dev_loopback_xmit, Netdev, "a copy comes back to this host";
            DevForward = dev_forward_skb, Netdev, "what one device sends another one receives";
            DevForwardSkb(skb: SkbId) = __dev_forward_skb, Netdev, "the frame changes sides, perhaps into another namespace";
            NetifRx(skb: SkbId) = netif_rx, Netdev, "a frame came in by a card without NAPI";
            NetifRxInner(skb: SkbId) = __netif_rx, Netdev, "a frame came in by a virtual device";
            NetifRxInternal(skb: SkbId) = netif_rx_internal, Netdev, "chooses the CPU that will handle it";
            GetRpsCpu = get_rps_cpu, Netdev, "which CPU is to handle the flow?";
            EnqueueToBacklog(skb: SkbId, cpu: u16) = enqueue_to_backlog, Netdev, "waits in the CPU's backlog for a softirq";
            NapiSchedule = __napi_schedule, Schedule, "its ring is to be polled by the receive softirq of this CPU";
            NetRxAction = net_rx_action, Schedule, "the receive softirq starts: who has frames?";
            NapiPoll = __napi_poll, Schedule, "polls one source of frames";
            NetRpsSendIpi = net_rps_send_ipi, Schedule, "tells another CPU of packets in its backlog";
            RpsTriggerSoftirq = rps_trigger_softirq, Interrupt, "another CPU put packets into the backlog";
            NapiCompleteDone = napi_complete_done, Schedule, "no frame is left: interrupts may come again";
            ProcessBacklog = process_backlog, Netdev, "takes the waiting frames from the CPU's backlog";
            NetifReceiveSkbListInternal = netif_receive_skb_list_internal, Netdev,
                "the frames of a poll enter the network stack together";
            NetifReceiveSkbListCore = __netif_receive_skb_list_core, Netdev,
                "one frame after the other; a protocol gets its own together";
            NetifReceiveSkb(skb: SkbId) = netif_receive_skb, Netdev, "the frame enters the network stack";
            NetifReceiveSkbInner(skb: SkbId) = __netif_receive_skb, Netdev, "enters the network stack";
            NetifReceiveSkbOneCore(skb: SkbId) = __netif_receive_skb_one_core, Netdev, "enters alone, not in a list";
            NetifReceiveSkbCore(skb: SkbId) = __netif_receive_skb_core, Netdev, "tcpdump first, then a bridge, then the protocol";
        }
        "net/sched/sch_generic.c" {
            SchDirectXmit = sch_direct_xmit, Netdev, "hands frames to the driver; what it refuses waits";
            QdiscRun = __qdisc_run, Netdev, "sends what the queueing discipline gives";
            NoopEnqueue = noop_enqueue, Netdev, "the device cannot send: every frame is dropped";
            PfifoFastEnqueue = pfifo_fast_enqueue, Netdev, "waits in the band of its priority";
            PfifoFastDequeue = pfifo_fast_dequeue, Netdev, "the oldest frame of the first band that has one";
        }
        "net/sched/sch_fifo.c" {
            PfifoEnqueue = pfifo_enqueue, Netdev, "waits in one queue of so many frames";
            BfifoEnqueue = bfifo_enqueue, Netdev, "waits in one queue of so many bytes";
            PfifoTailEnqueue = pfifo_tail_enqueue, Netdev, "waits; the oldest frame gives way";
        }
        "net/sched/sch_fq_codel.c" {
            FqCodelEnqueue = fq_codel_enqueue, Netdev, "waits in the queue of its flow";
            FqCodelDequeue = fq_codel_dequeue, Netdev, "flows take turns; who waited too long is dropped";
        }
        "net/sched/sch_tbf.c" {
            TbfEnqueue = tbf_enqueue, Netdev, "waits for tokens of the bucket";
            TbfDequeue = tbf_dequeue, Netdev, "are there tokens for the next frame?";
        }
        "net/sched/sch_netem.c" {
            NetemEnqueue = netem_enqueue, Netdev, "lost, copied, changed or delayed, as a network would";
            NetemDequeue = netem_dequeue, Netdev, "has the first frame's delay passed?";
        }
        "net/sched/sch_prio.c" {
            PrioEnqueue = prio_enqueue, Netdev, "waits in the band of its priority, as prio has it";
            PrioDequeue = prio_dequeue, Netdev, "the first band that has a frame";
        }
        "net/sched/sch_htb.c" {
            HtbEnqueue = htb_enqueue, Netdev, "waits in the queue of its class";
            HtbDequeue = htb_dequeue, Netdev, "which class may send, and whose turn is it?";
        }
        "net/sched/sch_fq.c" {
            FqEnqueue = fq_enqueue, Netdev, "waits in the queue of its flow, for its time";
            FqDequeue = fq_dequeue, Netdev, "flows take turns, each at its rate";
        }
        "net/sched/cls_api.c" { TcfClassify = tcf_classify, Netdev, "asks filters, those of the lowest priority first"; }
        "net/sched/cls_flower.c" { FlClassify = fl_classify, Netdev, "do addresses, ports and the like fit a flower filter?"; }
        "net/sched/cls_fw.c" { FwClassify = fw_classify, Netdev, "is its mark the handle of a filter?"; }
        "net/sched/cls_matchall.c" { MallClassify = mall_classify, Netdev, "a filter that takes every packet"; }
        "net/sched/cls_u32.c" { U32Classify = u32_classify, Netdev, "do words of its headers fit a filter?"; }
        "net/sched/act_api.c" { TcfActionExec = tcf_action_exec, Netdev, "does what the filter says, one action after the other"; }
        "net/sched/act_gact.c" { TcfGactAct = tcf_gact_act, Netdev, "passed, dropped, or on with the next action or filter"; }
        "net/sched/act_mirred.c" { TcfMirredAct = tcf_mirred_act, Netdev, "the packet, or a copy, goes by another device"; }
        "net/sched/act_police.c" { TcfPoliceAct = tcf_police_act, Netdev, "are there tokens for the packet?"; }
        "net/sched/act_skbedit.c" { TcfSkbeditAct = tcf_skbedit_act, Netdev, "changes what the kernel notes beside the packet"; }
        "net/sched/act_tunnel_key.c" {
            TunnelKeyAct = tunnel_key_act, Netdev, "tells a tunnel's device what to write into outer headers";
        }
        "net/sched/act_vlan.c" { TcfVlanAct = tcf_vlan_act, Netdev, "puts a VLAN tag in, takes it out, or changes it"; }
        "net/sched/sch_api.c" {
            QdiscWatchdogScheduleRangeNs = qdisc_watchdog_schedule_range_ns, Schedule, "nothing may be sent yet: sets a timer";
            QdiscWatchdog = qdisc_watchdog, Schedule, "the time that a queueing discipline waited for";
        }
        "net/core/gro.c" {
            NapiGroReceive(skb: SkbId) = napi_gro_receive, Netdev,
                "may be merged with others of its stream, or waits for its poll";
            DevGroReceive = dev_gro_receive, Netdev, "is it the next of a stream that is held?";
            SkbGroReceive = skb_gro_receive, Skb, "it is: appended to the packet before it";
            NapiGroComplete = napi_gro_complete, Netdev, "a held packet is complete";
            NapiGroFlush = napi_gro_flush, Netdev, "the poll ends: no packet is held longer";
        }
        "net/ethernet/eth.c" {
            EthGroReceive = eth_gro_receive, Netdev, "are the Ethernet headers inside equal?";
            EthGroComplete = eth_gro_complete, Netdev, "then what the frame inside carries";
        }
        "net/core/gro_cells.c" {
            GroCellsReceive(skb: SkbId) = gro_cells_receive, Netdev, "what came out of a tunnel waits for a poll of its own";
            GroCellPoll = gro_cell_poll, Netdev, "takes what came out of a tunnel";
        }
        "net/core/skbuff.c" {
            SkbClone = skb_clone, Skb, "a second handle of the same bytes";
            PskbCopyFclone = __pskb_copy_fclone, Skb, "a second packet with bytes of its own";
            SkbVlanUntag = skb_vlan_untag, Skb, "the VLAN tag moves from the frame to beside it";
            SkbSegment = skb_segment, Skb, "a merged packet becomes frames that fit the device";
            DevKfreeSkbAny = __dev_kfree_skb_any, Skb, "frees a sent packet, in an interrupt a little later";
            ConsumeSkb = consume_skb, Skb, "done with this packet: its memory is free";
            KfreeSkbReason = kfree_skb_reason, Skb, "the packet is dropped";
            KfreeSkbList = kfree_skb_list_reason, Skb, "the fragments of a packet are freed with it";
            SkbQueuePurge = skb_queue_purge, Skb, "its socket is closed, so nobody reads it";
        }
        "net/core/stream.c" { SkStreamKillQueues = sk_stream_kill_queues, Skb, "its connection is over, so nobody reads it"; }
        "net/packet/af_packet.c" {
            PacketSendmsg = packet_sendmsg, Netdev, "a program sends a frame that it wrote itself";
            TpacketRcv = tpacket_rcv, Netdev, "tcpdump gets a copy";
            PacketRcv = packet_rcv, Netdev, "a program that reads this protocol's frames gets it";
        }
        "net/8021q/vlan_dev.c" {
            VlanDevHardStartXmit(skb: SkbId) = vlan_dev_hard_start_xmit, Netdev, "a VLAN device: the frame gets its tag";
        }
        "net/8021q/vlan_core.c" { VlanDoReceive = vlan_do_receive, Netdev, "a tagged frame: is there a device for its VLAN?"; }
        "net/openvswitch/vport-netdev.c" {
            NetdevFrameHook(skb: SkbId) = netdev_frame_hook, Netdev, "the device is a port of Open vSwitch, which takes the frame";
        }
        "net/openvswitch/vport-internal_dev.c" {
            InternalDevXmit(skb: SkbId) = internal_dev_xmit, Netdev, "this host sends into its own Open vSwitch";
            InternalDevRecv(skb: SkbId) = internal_dev_recv, Netdev, "up to this host: comes in by the switch's device";
        }
        "net/openvswitch/vport.c" {
            OvsVportReceive = ovs_vport_receive, Netdev, "a port of the switch receives";
            OvsVportSend = ovs_vport_send, Netdev, "a port of the switch sends, if it fits";
        }
        "net/openvswitch/flow.c" {
            OvsFlowKeyExtract = ovs_flow_key_extract, Netdev, "reads what flows can tell packets by";
            OvsFlowStatsUpdate = ovs_flow_stats_update, Netdev, "the flow counts the packet";
        }
        "net/openvswitch/flow_table.c" {
            OvsFlowTblLookupStats = ovs_flow_tbl_lookup_stats, Netdev, "is there a flow, under any mask?";
        }
        "net/openvswitch/datapath.c" {
            OvsDpProcessPacket = ovs_dp_process_packet, Netdev, "by its flow, or up to ovs-vswitchd";
            OvsDpUpcall = ovs_dp_upcall, Netdev, "no flow: ovs-vswitchd has to decide";
            QueueUserspacePacket = queue_userspace_packet, Netdev, "copies the packet for ovs-vswitchd";
            OvsPacketCmdExecute = ovs_packet_cmd_execute, Netdev, "ovs-vswitchd says what to do with one packet";
        }
        "net/openvswitch/actions.c" {
            OvsExecuteActions = ovs_execute_actions, Netdev, "does what the flow says";
            DoExecuteActions = do_execute_actions, Netdev, "one action after the other";
            DoOutput = do_output, Netdev, "out by a port, if that works";
        }
        "net/bridge/br_device.c" { BrDevXmit(skb: SkbId) = br_dev_xmit, Netdev, "this host sends into its own bridge"; }
        "net/bridge/br_input.c" {
            BrHandleFrame(skb: SkbId) = br_handle_frame, Netdev, "the device is a port of a bridge, which takes the frame";
            BrHandleFrameFinish(skb: SkbId) = br_handle_frame_finish, Netdev, "where to: one port, all ports, or this host?";
            BrPassFrameUp(skb: SkbId) = br_pass_frame_up, Netdev, "up to this host: the frame comes in by the bridge device";
        }
        "net/bridge/br_fdb.c" {
            BrFdbUpdate = br_fdb_update, Netdev, "the bridge learns behind which port the sender is";
            BrFdbFindRcu = br_fdb_find_rcu, Netdev, "behind which port is the receiver?";
        }
        "net/bridge/br_arp_nd_proxy.c" {
            BrDoProxySuppressArp = br_do_proxy_suppress_arp, Netdev, "could the bridge answer this ARP itself?";
        }
        "net/bridge/br_forward.c" {
            BrForward(skb: SkbId) = br_forward, Netdev, "to one port: the bridge knows the receiver";
            BrFlood(skb: SkbId, local_rcv: bool) = br_flood, Netdev, "to all other ports: a copy each";
            BrForwardInner(skb: SkbId) = __br_forward, Netdev, "towards the port; the firewall's bridge FORWARD hook is here";
            BrForwardFinish(skb: SkbId) = br_forward_finish, Netdev, "past FORWARD; the bridge POSTROUTING hook is here";
            BrDevQueuePushXmit(skb: SkbId) = br_dev_queue_push_xmit, Netdev, "the frame leaves by the port";
        }
        "net/bridge/br_netfilter_hooks.c" {
            BrNfPreRoutingFinish(skb: SkbId) = br_nf_pre_routing_finish, Netfilter,
                "past PREROUTING of IPv4: back into the bridge";
            BrNfForwardFinish(skb: SkbId) = br_nf_forward_finish, Netfilter, "past FORWARD of IPv4: back into the bridge";
            BrNfDevQueueXmit(skb: SkbId) = br_nf_dev_queue_xmit, Netfilter, "past POSTROUTING of IPv4: back into the bridge";
            BrNfPreRouting = br_nf_pre_routing, Netfilter, "a bridged packet is shown to the IPv4 hook PREROUTING";
            BrNfPreRoutingFinishBridge(skb: SkbId) = br_nf_pre_routing_finish_bridge, Netfilter,
                "its destination changed: the frame gets its MAC address";
            BrNfLocalIn = br_nf_local_in, Netfilter, "a bridged packet goes up to this host";
            BrNfForwardIp = br_nf_forward_ip, Netfilter, "a bridged packet is shown to the IPv4 hook FORWARD";
            BrNfForwardArp = br_nf_forward_arp, Netfilter, "a bridged ARP message, for arptables";
            BrNfPostRouting = br_nf_post_routing, Netfilter, "a bridged packet is shown to the IPv4 hook POSTROUTING";
            BrNfHookThresh = br_nf_hook_thresh, Netfilter, "the bridge hooks behind bridge netfilter look too";
            IpSabotageIn = ip_sabotage_in, Netfilter, "met PREROUTING in the bridge already: not again";
        }
        "net/ipv4/arp.c" {
            ArpSolicit = arp_solicit, Protocol, "asks with ARP: who has this address?";
            ArpSendDst = arp_send_dst, Protocol, "makes and sends an ARP message";
            ArpCreate = arp_create, Protocol, "writes the ARP message and its Ethernet header";
            ArpXmit(skb: SkbId) = arp_xmit, Protocol, "the ARP message goes out";
            ArpRcv(skb: SkbId) = arp_rcv, Protocol, "an ARP message came in";
            ArpProcess(skb: SkbId) = arp_process, Protocol, "is the question for us? is the answer one that we wait for?";
            ParpRedo(skb: SkbId) = parp_redo, Protocol, "answers for the other machine, which did not itself";
        }
        "net/ipv4/raw.c" {
            RawSendmsg = raw_sendmsg, Protocol, "a program sends through a raw socket, as ping does";
            RawLocalDeliver = raw_local_deliver, Protocol, "does a raw socket, such as ping's, want a copy?";
            RawRcv = raw_rcv, Protocol, "the raw socket has it: ping can read it";
            RawRecvmsg = raw_recvmsg, Protocol, "a program reads from its raw socket";
        }
        "net/ipv4/ping.c" {
            PingV4Sendmsg = ping_v4_sendmsg, Protocol, "a program sends through a ping socket";
            PingRcv = ping_rcv, Protocol, "an echo reply: does a ping socket wait for it?";
        }
        "net/ipv4/ipip.c" {
            IpipTunnelXmit(skb: SkbId) = ipip_tunnel_xmit, Netdev, "an IPIP tunnel gets a packet to send";
            IpipRcv = ipip_rcv, Protocol, "an IP packet inside: which tunnel did it come through?";
        }
        "net/ipv4/ip_gre.c" {
            IpgreXmit(skb: SkbId) = ipgre_xmit, Netdev, "a GRE tunnel gets a packet to send";
            GreTapXmit(skb: SkbId) = gre_tap_xmit, Netdev, "a GRE tunnel of frames gets one to send";
        }
        "net/ipv4/gre_demux.c" { GreRcv(skb: SkbId) = gre_rcv, Protocol, "GRE: which tunnel did it come through?"; }
        "net/ipv4/ip_tunnel.c" {
            IpTunnelLookup = ip_tunnel_lookup, Protocol, "looks for the tunnel between these hosts";
            IpMdTunnelXmit = ip_md_tunnel_xmit, Protocol, "sends a packet through a tunnel to where it says";
            IpTunnelXmit = ip_tunnel_xmit, Protocol, "where is the other end, and does it fit?";
            IpTunnelRcv = ip_tunnel_rcv, Protocol, "the tunnel's device receives what was inside";
        }
        "net/ipv4/tunnel4.c" { Tunnel4Rcv(skb: SkbId) = tunnel4_rcv, Protocol, "an IP packet in an IP packet came in"; }
        "net/ipv4/ip_tunnel_core.c" {
            IptunnelPullHeader = __iptunnel_pull_header, Protocol, "takes the outer headers off";
            SkbTunnelCheckPmtu = skb_tunnel_check_pmtu, Protocol, "does it fit with the outer headers?";
            IptunnelXmit = iptunnel_xmit, Protocol, "writes the outer IP header";
        }
        "net/ipv4/fou_core.c" {
            FouBuildHeader = fou_build_header, Protocol, "puts a tunnel's packet into UDP";
            GueBuildHeader = gue_build_header, Protocol, "puts a tunnel's packet into UDP, behind a header of GUE";
            FouUdpRecv(skb: SkbId, protocol: u8) = fou_udp_recv, Protocol, "takes what the port is for out of UDP";
            GueUdpRecv(skb: SkbId) = gue_udp_recv, Protocol, "takes what the header of GUE says out of UDP";
            FouGroReceive = fou_gro_receive, Protocol, "looks at what is in the datagram";
            FouGroComplete = fou_gro_complete, Protocol, "a merged packet gets the headers of what is inside";
            GueGroReceive = gue_gro_receive, Protocol, "is it of the same header of GUE? looks at what is inside";
            GueGroComplete = gue_gro_complete, Protocol, "then the headers of what is behind that of GUE";
        }
        "net/ipv4/udp_tunnel_core.c" { UdpTunnelXmitSkb = udp_tunnel_xmit_skb, Protocol, "writes the outer UDP header"; }
        "net/ipv4/udp.c" {
            UdpSendmsg = udp_sendmsg, Protocol, "a program sends a UDP datagram";
            SkbConsumeUdp = skb_consume_udp, Skb, "a program has read the datagram: its memory is free";
            UdpRcv(skb: SkbId) = udp_rcv, Protocol, "a UDP datagram came in";
            UdpQueueRcvSkb = udp_queue_rcv_skb, Protocol, "into the socket's receive queue";
        }
        "net/ipv4/route.c" {
            IpRouteOutputFlow = ip_route_output_flow, Protocol, "which way out? asks the routing tables";
            IpRouteOutputKeyHashRcu = ip_route_output_key_hash_rcu, Protocol, "chooses source address and device of a way out";
            IpRouteInputNoref = ip_route_input_noref, Protocol, "for this host, or to be forwarded? asks the routing tables";
            IpRouteInputSlow = ip_route_input_slow, Protocol, "finds the route of a packet that came in";
            IpError(skb: SkbId) = ip_error, Protocol, "answers for a packet that has no route";
        }
        "net/ipv4/fib_trie.c" {
            FibTableLookup = fib_table_lookup, Protocol, "looks for the longest matching prefix in a routing table";
        }
        "net/ipv4/fib_frontend.c" { FibValidateSource = fib_validate_source, Protocol, "may this sender come in by this device?"; }
        "net/ipv4/ip_output.c" {
            IpSendSkb(skb: SkbId) = ip_send_skb, Protocol, "sends a datagram whose IP header is written";
            IpPushPendingFrames(skb: SkbId) = ip_push_pending_frames, Protocol, "writes the IP header and sends";
            IpLocalOut(skb: SkbId) = __ip_local_out, Protocol, "sets length and checksum; the firewall's OUTPUT hook is here";
            IpOutput(skb: SkbId) = ip_output, Protocol, "on its way out; the firewall's POSTROUTING hook is here";
            IpMcOutput(skb: SkbId) = ip_mc_output, Protocol, "on its way out to a group or to all, and perhaps to itself";
            IpFinishOutput(skb: SkbId) = ip_finish_output, Protocol, "past the firewall";
            IpFinishOutputInner(skb: SkbId) = __ip_finish_output, Protocol, "does it fit the device's MTU?";
            IpFragment(skb: SkbId) = ip_fragment, Protocol, "too long: cut into fragments, unless that is forbidden";
            IpDoFragment(skb: SkbId) = ip_do_fragment, Protocol, "cuts the packet into fragments";
            IpFinishOutput2(skb: SkbId) = ip_finish_output2, Protocol, "who is the next hop on the link?";
            IpQueueXmit(skb: SkbId) = __ip_queue_xmit, Protocol, "a segment gets its route and its IPv4 header";
        }
        "net/ipv4/ip_input.c" {
            IpRcv(skb: SkbId) = ip_rcv, Protocol, "an IP packet came in; the firewall's PREROUTING hook is here";
            IpRcvCore = ip_rcv_core, Protocol, "is the IP header sound?";
            IpRcvFinish(skb: SkbId) = ip_rcv_finish, Protocol, "past PREROUTING: looks for the route",
                inlined: "in ip_rcv, where nobody is registered at PREROUTING";
            IpRcvFinishCore = ip_rcv_finish_core, Protocol, "the route of one packet, and its options";
            IpListRcv = ip_list_rcv, Protocol, "IP packets that came in together";
            IpSublistRcv = ip_sublist_rcv, Protocol, "PREROUTING for each, then the route of each";
            IpSublistRcvFinish = ip_sublist_rcv_finish, Protocol, "those with one route go on together";
            IpLocalDeliver(skb: SkbId) = ip_local_deliver, Protocol, "it is for this host; the firewall's INPUT hook is here";
            IpLocalDeliverFinish(skb: SkbId) = ip_local_deliver_finish, Protocol, "past INPUT";
            IpProtocolDeliverRcu(skb: SkbId) = ip_protocol_deliver_rcu, Protocol, "hands it to raw sockets and to its protocol";
        }
        "net/ipv4/af_inet.c" {
            InetGroReceive = inet_gro_receive, Protocol, "which held packets have these addresses?";
            InetGroComplete = inet_gro_complete, Protocol, "the IP header of a merged packet gets its length";
            IpipGroReceive = ipip_gro_receive, Protocol, "looks at the packet inside of the packet";
            IpipGroComplete = ipip_gro_complete, Protocol, "then that of the packet inside";
        }
        "net/ipv4/gre_offload.c" {
            GreGroReceive = gre_gro_receive, Protocol, "is it of the same tunnel? looks at what is inside";
            GreGroComplete = gre_gro_complete, Protocol, "then the headers of what is inside";
        }
        "net/ipv4/tcp_offload.c" {
            Tcp4GroComplete = tcp4_gro_complete, Protocol, "the checksum of a merged packet is not computed";
            Tcp4GroReceive = tcp4_gro_receive, Protocol, "is the checksum of the segment right?";
            TcpGroReceive = tcp_gro_receive, Protocol, "does the segment follow the one before it?";
            TcpGroComplete = tcp_gro_complete, Protocol, "a merged packet says of how many it consists";
        }
        "net/ipv4/udp_offload.c" {
            Udp4GroReceive = udp4_gro_receive, Protocol, "is the datagram whole?";
            UdpGroReceive = udp_gro_receive, Protocol, "does its socket want datagrams merged?";
            Udp4GroComplete = udp4_gro_complete, Protocol, "the datagram of a merged packet gets its length";
            UdpGroComplete = udp_gro_complete, Protocol, "then the headers of what its tunnel carries";
        }
        "net/ipv4/ip_fragment.c" { IpDefrag(skb: SkbId) = ip_defrag, Protocol, "a fragment: waits for the rest"; }
        "net/ipv4/ip_forward.c" {
            IpForward(skb: SkbId) = ip_forward, Protocol, "it is for somebody else: one hop less to live; FORWARD hook";
            IpForwardFinish(skb: SkbId) = ip_forward_finish, Protocol, "past FORWARD";
        }
        "net/ipv4/icmp.c" {
            IcmpRcv(skb: SkbId) = icmp_rcv, Protocol, "an ICMP message came in";
            IcmpEcho(skb: SkbId) = icmp_echo, Protocol, "an echo request: answer it";
            IcmpTimestamp(skb: SkbId) = icmp_timestamp, Protocol, "asked for the time: answer it";
            IcmpReply = icmp_reply, Protocol, "makes the answer to an ICMP message";
            IcmpPushReply = icmp_push_reply, Protocol, "copies the data into the answer";
            IcmpSend = __icmp_send, Protocol, "an error is reported to the sender";
            IcmpUnreach(skb: SkbId) = icmp_unreach, Protocol, "an ICMP error came in: who sent the packet that it quotes?";
            IcmpRedirect(skb: SkbId) = icmp_redirect, Protocol, "a router tells of a shorter way";
        }
        "net/ipv4/tcp_ipv4.c" {
            TcpV4Rcv(skb: SkbId) = tcp_v4_rcv, Protocol, "a TCP segment came in";
            TcpV4DoRcv(skb: SkbId) = tcp_v4_do_rcv, Protocol, "the socket takes the segment";
            TcpV4SendReset = tcp_v4_send_reset, Protocol, "no socket wants it: a RST goes back";
            TcpV4SendAck = tcp_v4_send_ack, Protocol, "an acknowledgement without a socket";
        }
        "net/ipv4/inet_hashtables.c" {
            InetLookupEstablished = __inet_lookup_established, Protocol, "does it belong to a connection?";
            InetLookupListener = __inet_lookup_listener, Protocol, "does a program listen on this port?";
        }
        "net/ipv4/tcp_input.c" {
            TcpRcvEstablished = tcp_rcv_established, Protocol, "a segment of an established connection";
            TcpRcvStateProcess = tcp_rcv_state_process, Protocol, "a segment that may change the connection's state";
            TcpDataQueue = tcp_data_queue, Protocol, "its data is in the socket: the program can read it";
            TcpConnRequest = tcp_conn_request, Protocol, "a SYN for a listener: somebody wants to connect";
        }
        "net/ipv4/tcp_output.c" {
            TcpMakeSynack = tcp_make_synack, Protocol, "the listener's answer: SYN and ACK";
            TcpTransmitSkb = __tcp_transmit_skb, Protocol, "a connection sends a segment";
            TcpRetransmitSkb = __tcp_retransmit_skb, Protocol, "not acknowledged in time: sent again";
        }
        "net/ipv4/syncookies.c" { CookieV4Check = cookie_v4_check, Protocol, "does it answer a SYN that was not remembered?"; }
        "net/ipv4/tcp_minisocks.c" {
            TcpCheckReq = tcp_check_req, Protocol, "the third segment of a handshake";
            TcpTimewaitStateProcess = tcp_timewait_state_process, Protocol, "a late segment for a connection that is over";
        }
        "net/ipv4/igmp.c" { IgmpRcv(skb: SkbId) = igmp_rcv, Protocol, "a message about multicast groups came in"; }
        "net/netfilter/core.c" {
            NfHookSlow(skb: SkbId, site: Site, from: u16) = nf_hook_slow, Netfilter, "asks all who look at packets at this hook";
        }
        "net/netfilter/nf_conntrack_proto.c" {
            Ipv4ConntrackDefrag = ipv4_conntrack_defrag, Netfilter, "connection tracking wants whole packets";
            Ipv4ConntrackIn = ipv4_conntrack_in, Netfilter, "connection tracking of a packet that came in";
            Ipv4ConntrackLocal = ipv4_conntrack_local, Netfilter, "connection tracking of a packet that this host sends";
            Ipv4Confirm = ipv4_confirm, Netfilter, "it got through: a new connection may be entered";
        }
        "net/netfilter/nf_conntrack_core.c" {
            NfConntrackIn = nf_conntrack_in, Netfilter, "finds the packet's connection";
            InitConntrack = init_conntrack, Memory, "no connection is known: a new one begins";
            NfConntrackConfirm = __nf_conntrack_confirm, Netfilter, "enters the new connection in the table";
            NfConntrackInetError = nf_conntrack_inet_error, Netfilter, "an ICMP error: whose connection does it quote?";
        }
        "net/netfilter/nf_conntrack_ftp.c" {
            NfConntrackFtp = help, Netfilter, "FTP: does the packet announce a data connection?";
        }
        "net/netfilter/nf_conntrack_seqadj.c" {
            NfCtSeqAdjust = nf_ct_seq_adjust, Netfilter, "moves TCP's numbers by what NAT made longer or shorter";
        }
        "net/netfilter/nf_conntrack_proto_tcp.c" {
            NfConntrackTcpPacket = nf_conntrack_tcp_packet, Netfilter, "follows TCP's states and windows";
        }
        "net/netfilter/nf_conntrack_proto_udp.c" {
            NfConntrackUdpPacket = nf_conntrack_udp_packet, Netfilter, "one direction, or both: sets the timeout";
        }
        "net/netfilter/nf_conntrack_proto_icmp.c" {
            NfConntrackIcmpPacket = nf_conntrack_icmp_packet, Netfilter, "a request or its reply: sets the timeout";
        }
        "net/netfilter/nf_conntrack_proto_sctp.c" {
            NfConntrackSctpPacket = nf_conntrack_sctp_packet, Netfilter, "follows SCTP's states and tags";
        }
        "net/netfilter/nf_conntrack_proto_gre.c" {
            NfConntrackGrePacket = nf_conntrack_gre_packet, Netfilter, "follows a GRE flow";
        }
        "net/netfilter/nf_conntrack_proto_generic.c" {
            GenericPacket = generic_packet, Netfilter, "another protocol: sets the timeout", inlined: "static, in nf_conntrack_in";
        }
        "net/netfilter/nft_chain_filter.c" {
            NftDoChainIpv4 = nft_do_chain_ipv4, Netfilter, "a chain of nf_tables hangs on this hook";
        }
        "net/netfilter/nft_chain_route.c" {
            NfRouteTableHook4 = nf_route_table_hook4, Netfilter, "a chain that may change the way of this host's packets";
        }
        "net/netfilter/nft_chain_nat.c" {
            NftNatDoChain = nft_nat_do_chain, Netfilter, "a first packet: asks the chain of table nat";
        }
        "net/netfilter/nf_tables_core.c" { NftDoChain = nft_do_chain, Netfilter, "tries the rules of a table"; }
        "net/netfilter/nf_nat_proto.c" {
            NfNatIpv4PreRouting = nf_nat_ipv4_pre_routing, Netfilter, "NAT: may the destination change?";
            NfNatIpv4LocalIn = nf_nat_ipv4_local_in, Netfilter, "NAT: may the source of a packet for this host change?";
            NfNatIpv4LocalFn = nf_nat_ipv4_local_fn, Netfilter, "NAT: may the destination of this host's packet change?";
            NfNatIpv4Out = nf_nat_ipv4_out, Netfilter, "NAT: may the source change?";
            NfNatManipPkt = nf_nat_manip_pkt, Netfilter, "rewrites address and port in the packet";
            NfNatIcmpReplyTranslation = nf_nat_icmp_reply_translation, Netfilter, "rewrites the packet that an ICMP error quotes";
        }
        "net/netfilter/nf_nat_core.c" {
            NfNatInetFn = nf_nat_inet_fn, Netfilter, "a first packet asks the rules; later ones do as was decided";
            NfNatSetupInfo = nf_nat_setup_info, Netfilter, "decides the connection's addresses and ports, once for all";
        }
        "net/netfilter/nf_nat_ftp.c" { NfNatFtp = nf_nat_ftp, Netfilter, "FTP: announces an address on this side of NAT instead"; }
        "net/netfilter/nf_nat_helper.c" {
            NfNatMangleTcpPacket = __nf_nat_mangle_tcp_packet, Netfilter, "writes other words into the segment";
        }
        "net/netfilter/nf_nat_masquerade.c" {
            NfNatMasqueradeIpv4 = nf_nat_masquerade_ipv4, Netfilter,
                "MASQUERADE: the source becomes the outgoing device's address";
        }
        "net/netfilter/nf_nat_redirect.c" { NfNatRedirectIpv4 = nf_nat_redirect_ipv4, Netfilter, "REDIRECT: to this host itself"; }
        "net/netfilter/ipvs/ip_vs_core.c" {
            IpVsInHook = ip_vs_in_hook, Netfilter, "IPVS: is the packet for a service?";
            IpVsOutHook = ip_vs_out_hook, Netfilter, "IPVS: is the packet of a service's destination?";
            IpVsForwardIcmp = ip_vs_forward_icmp, Netfilter, "IPVS: an ICMP message passes through";
            IpVsInIcmp = ip_vs_in_icmp, Netfilter, "is it an error about a connection to a destination?";
            IpVsOutIcmp = ip_vs_out_icmp, Netfilter, "is it an error about a connection from a destination?";
            HandleResponse = handle_response, Netfilter, "the packet of a destination becomes one of the service";
            HandleResponseIcmp = handle_response_icmp, Netfilter, "the error of a destination becomes one of the service",
                inlined: "handle_response_icmp.constprop.0";
            IpVsNatIcmp = ip_vs_nat_icmp, Netfilter, "rewrites the packet that an ICMP error quotes, for IPVS";
            IpVsSchedule = ip_vs_schedule, Netfilter, "a new connection needs a destination";
            IpVsSchedPersist = ip_vs_sched_persist, Netfilter, "where did the client's last connection go?";
            IpVsLeave = ip_vs_leave, Netfilter, "the service has no destination";
            IpVsRouteMeHarder = ip_vs_route_me_harder, Netfilter, "routes it as this host's own";
        }
        "net/netfilter/ipvs/ip_vs_conn.c" {
            IpVsConnInGet = ip_vs_conn_in_get_proto, Netfilter, "looks for the client's connection";
            IpVsConnOutGet = ip_vs_conn_out_get_proto, Netfilter, "looks for the destination's connection";
            IpVsCtInGet = ip_vs_ct_in_get, Netfilter, "looks for the client's template";
            IpVsCheckTemplate = ip_vs_check_template, Netfilter, "is the template's destination still there?";
            IpVsConnNew = ip_vs_conn_new, Memory, "a connection to a destination begins";
            IpVsConnPut = ip_vs_conn_put, Netfilter, "the connection's time begins anew";
            IpVsConnExpire = ip_vs_conn_expire, Netfilter, "the connection's time is over";
        }
        "net/netfilter/ipvs/ip_vs_ctl.c" {
            IpVsServiceFind = ip_vs_service_find, Netfilter, "which service has this mark, or address and port?";
        }
        "net/netfilter/ipvs/ip_vs_nfct.c" {
            IpVsUpdateConntrack = ip_vs_update_conntrack, Netfilter, "connection tracking learns of the destination";
            IpVsConfirmConntrack = ip_vs_confirm_conntrack, Netfilter, "the packet inside of a tunnel got through";
        }
        "net/netfilter/ipvs/ip_vs_proto_tcp.c" {
            TcpConnSchedule = tcp_conn_schedule, Netfilter, "does the segment begin a connection to a service?";
            TcpStateTransition = tcp_state_transition, Netfilter, "follows TCP's states, of one direction or both";
            TcpDnatHandler = tcp_dnat_handler, Netfilter, "writes the destination's port into the segment";
            TcpSnatHandler = tcp_snat_handler, Netfilter, "writes the service's port into the segment";
        }
        "net/netfilter/ipvs/ip_vs_proto_udp.c" {
            UdpConnSchedule = udp_conn_schedule, Netfilter, "does the datagram begin a connection to a service?";
            UdpStateTransition = udp_state_transition, Netfilter, "sets the timeout";
            UdpDnatHandler = udp_dnat_handler, Netfilter, "writes the destination's port into the datagram";
            UdpSnatHandler = udp_snat_handler, Netfilter, "writes the service's port into the datagram";
        }
        "net/netfilter/ipvs/ip_vs_xmit.c" {
            IpVsGetOutRt = __ip_vs_get_out_rt, Netfilter, "the route to the destination, perhaps still known";
            IpVsNatXmit = ip_vs_nat_xmit, Netfilter, "to the destination, whose address is written into it";
            IpVsNatSendOrCont = ip_vs_nat_send_or_cont, Netfilter, "it leaves, or the destination is this host";
            IpVsDrXmit = ip_vs_dr_xmit, Netfilter, "as it is, to the destination's MAC address";
            IpVsTunnelXmit = ip_vs_tunnel_xmit, Netfilter, "in another packet to the destination";
            IpVsNullXmit = ip_vs_null_xmit, Netfilter, "the destination is this host";
            IpVsBypassXmit = ip_vs_bypass_xmit, Netfilter, "past the service without destinations";
            IpVsIcmpXmit = ip_vs_icmp_xmit, Netfilter, "the error goes to the destination";
        }
        "net/netfilter/ipvs/ip_vs_dh.c" { IpVsDhSchedule = ip_vs_dh_schedule, Netfilter, "a destination by the address that it is for"; }
        "net/netfilter/ipvs/ip_vs_fo.c" { IpVsFoSchedule = ip_vs_fo_schedule, Netfilter, "the destination of the greatest weight"; }
        "net/netfilter/ipvs/ip_vs_lblc.c" { IpVsLblcSchedule = ip_vs_lblc_schedule, Netfilter, "where did packets for this address go?"; }
        "net/netfilter/ipvs/ip_vs_lblcr.c" {
            IpVsLblcrSchedule = ip_vs_lblcr_schedule, Netfilter, "where did packets for this address go, of a set?";
        }
        "net/netfilter/ipvs/ip_vs_lc.c" { IpVsLcSchedule = ip_vs_lc_schedule, Netfilter, "the destination with the fewest connections"; }
        "net/netfilter/ipvs/ip_vs_mh.c" {
            IpVsMhSchedule = ip_vs_mh_schedule, Netfilter, "a destination by the client, of Maglev's table";
        }
        "net/netfilter/ipvs/ip_vs_nq.c" {
            IpVsNqSchedule = ip_vs_nq_schedule, Netfilter, "an idle destination, or the one that is idle soonest";
        }
        "net/netfilter/ipvs/ip_vs_ovf.c" { IpVsOvfSchedule = ip_vs_ovf_schedule, Netfilter, "the first destination that is not full"; }
        "net/netfilter/ipvs/ip_vs_rr.c" { IpVsRrSchedule = ip_vs_rr_schedule, Netfilter, "the next destination"; }
        "net/netfilter/ipvs/ip_vs_sed.c" {
            IpVsSedSchedule = ip_vs_sed_schedule, Netfilter, "the destination with the shortest expected delay";
        }
        "net/netfilter/ipvs/ip_vs_sh.c" { IpVsShSchedule = ip_vs_sh_schedule, Netfilter, "a destination by the client"; }
        "net/netfilter/ipvs/ip_vs_wlc.c" {
            IpVsWlcSchedule = ip_vs_wlc_schedule, Netfilter, "the destination with the fewest connections for its weight";
        }
        "net/netfilter/ipvs/ip_vs_wrr.c" {
            IpVsWrrSchedule = ip_vs_wrr_schedule, Netfilter, "the next destination, as often as its weight says";
        }
        "net/ipv4/netfilter/ip_tables.c" { IptDoTable = ipt_do_table, Netfilter, "tries the rules of a table"; }
        "net/ipv4/netfilter/iptable_mangle.c" {
            IptableMangleHook = iptable_mangle_hook, Netfilter, "table mangle, which rewrites headers and marks";
        }
        "net/ipv4/netfilter/nf_dup_ipv4.c" { NfDupIpv4 = nf_dup_ipv4, Netfilter, "TEE sends a copy to another host"; }
        "net/ipv4/netfilter/nf_reject_ipv4.c" {
            NfSendUnreach = nf_send_unreach, Netfilter, "REJECT answers with an ICMP error";
            NfSendReset = nf_send_reset, Netfilter, "REJECT answers with a TCP reset";
        }
        "net/ipv4/netfilter.c" {
            IpRouteMeHarder = ip_route_me_harder, Netfilter, "netfilter changed this host's packet: it is routed anew";
        }
    }
    continuations {
        BondXmitBroadcastNext(skb: SkbId, from: u16),
        Consume(skb: SkbId),
        KfreeSkb(skb: SkbId, reason: DropReason),
        XmitOne(skb: SkbId),
        Refused(skb: SkbId),
        NeighProbe(neigh: NeighId),
        NeighConstruct(neigh: NeighId),
        IpSublistAccepted(skb: SkbId),
        IpForwardHook(skb: SkbId),
        IpLocalOutHook(skb: SkbId),
        IpOutputHook(skb: SkbId),
        IpMcLoopHook(skb: SkbId),
        IpResubmit(skb: SkbId, protocol: u8),
        LinkFailure(skb: SkbId),
        NfHookResume(skb: SkbId, site: Site, from: u16),
        BrFloodNext(skb: SkbId, from: u16, local_rcv: bool),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glosses_are_short_and_names_unique() {
        for (at, row) in FUNCTIONS.iter().enumerate() {
            assert!(row.gloss.len() <= 62 && !row.gloss.ends_with('.'), "{}", row.gloss);
            assert!(FUNCTIONS[..at].iter().all(|other| other.name != row.name), "{} twice", row.name);
        }
    }
}
