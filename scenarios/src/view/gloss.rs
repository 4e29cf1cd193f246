//! What each kernel function does, in a line for somebody who has never read the kernel.

/// A kernel function and what it does.
#[derive(Clone, Copy, Debug)]
pub struct Gloss {
    /// Name in Linux 6.1.
    pub name: &'static str,
    /// Kernel file that it is in.
    pub file: &'static str,
    /// What it does, in a short sentence without a full stop.
    pub text: &'static str,
}

/// The gloss of the function with this name.
pub fn of(name: &str) -> Gloss {
    let missing = Gloss { name: "", file: "", text: "" };
    GLOSSES.iter().copied().find(|gloss| gloss.name == name).unwrap_or(missing)
}

/// All glosses.
pub const GLOSSES: &[Gloss] = &rows();

const fn rows() -> [Gloss; ROWS.len()] {
    let mut rows = [Gloss { name: "", file: "", text: "" }; ROWS.len()];
    let mut at = 0;
    while at < ROWS.len() {
        let (file, name, text) = ROWS[at];
        rows[at] = Gloss { name, file, text };
        at += 1;
    }
    rows
}

/// Kernel file, function, gloss: in the order of a packet's way, from a program to a program.
const ROWS: &[(&str, &str, &str)] = &[
    // A program sends.
    ("net/ipv4/raw.c", "raw_sendmsg", "a program sends through a raw socket, as ping does"),
    ("net/ipv4/ping.c", "ping_v4_sendmsg", "a program sends through a ping socket"),
    ("net/ipv4/udp.c", "udp_sendmsg", "a program sends a UDP datagram"),
    ("net/packet/af_packet.c", "packet_sendmsg", "a program sends a frame that it wrote itself"),
    // Routes.
    ("net/ipv4/route.c", "ip_route_output_flow", "which way out? asks the routing tables"),
    ("net/ipv4/route.c", "ip_route_output_key_hash_rcu", "chooses source address and device of a way out"),
    (
        "net/ipv4/route.c",
        "ip_route_input_noref",
        "for this host, or to be forwarded? asks the routing tables",
    ),
    ("net/ipv4/route.c", "ip_route_input_slow", "finds the route of a packet that came in"),
    ("net/ipv4/fib_trie.c", "fib_table_lookup", "looks for the longest matching prefix in a routing table"),
    ("net/ipv4/fib_frontend.c", "fib_validate_source", "may this sender come in by this device?"),
    ("net/ipv4/route.c", "ip_error", "answers for a packet that has no route"),
    // IPv4 out.
    ("net/ipv4/ip_output.c", "ip_push_pending_frames", "writes the IP header and sends"),
    (
        "net/ipv4/ip_output.c",
        "__ip_local_out",
        "sets length and checksum; the firewall's OUTPUT hook is here",
    ),
    ("net/ipv4/ip_output.c", "ip_output", "on its way out; the firewall's POSTROUTING hook is here"),
    ("net/ipv4/ip_output.c", "ip_mc_output", "on its way out to a group or to all, and perhaps to itself"),
    ("net/ipv4/ip_output.c", "ip_finish_output", "past the firewall"),
    ("net/ipv4/ip_output.c", "__ip_finish_output", "does it fit the device's MTU?"),
    ("net/ipv4/ip_output.c", "ip_fragment", "too long: cut into fragments, unless that is forbidden"),
    ("net/ipv4/ip_output.c", "ip_do_fragment", "cuts the packet into fragments"),
    ("net/ipv4/ip_output.c", "ip_finish_output2", "who is the next hop on the link?"),
    // Neighbours and ARP.
    ("net/core/neighbour.c", "neigh_resolve_output", "the next hop's MAC address is not certain: ask first"),
    ("net/core/neighbour.c", "__neigh_event_send", "waits while ARP asks, or uses the entry on probation"),
    ("net/core/neighbour.c", "neigh_update", "the neighbour table learns the MAC address"),
    ("net/ipv4/arp.c", "arp_solicit", "asks with ARP: who has this address?"),
    ("net/ipv4/arp.c", "arp_send_dst", "makes and sends an ARP message"),
    ("net/ipv4/arp.c", "arp_create", "writes the ARP message and its Ethernet header"),
    ("net/ipv4/arp.c", "arp_xmit", "the ARP message goes out"),
    ("net/ipv4/arp.c", "arp_rcv", "an ARP message came in"),
    ("net/ipv4/arp.c", "arp_process", "is the question for us? is the answer one that we wait for?"),
    // Out by a device.
    ("net/core/dev.c", "__dev_queue_xmit", "queues the frame for its device; virtual devices have no queue"),
    ("net/core/dev.c", "validate_xmit_skb", "does in software what the device cannot"),
    ("net/core/dev.c", "dev_hard_start_xmit", "hands the frame to the device's driver; tcpdump sees it here"),
    ("net/core/dev.c", "dev_queue_xmit_nit", "shows the frame that leaves to tcpdump"),
    ("net/core/dev.c", "dev_loopback_xmit", "a copy comes back to this host"),
    ("drivers/net/veth.c", "veth_xmit", "into the veth cable, out of its other end"),
    ("net/core/dev.c", "__dev_forward_skb", "the frame changes sides, perhaps into another namespace"),
    ("drivers/net/dummy.c", "dummy_xmit", "a dummy counts the frame as sent and frees it"),
    ("drivers/net/loopback.c", "loopback_xmit", "lo: what goes out comes straight in"),
    (
        "drivers/net/ethernet/intel/e1000e/netdev.c",
        "e1000_xmit_frame",
        "the network card puts the frame on the wire",
    ),
    ("net/bridge/br_device.c", "br_dev_xmit", "this host sends into its own bridge"),
    // In from a device.
    (
        "drivers/net/ethernet/intel/e1000e/netdev.c",
        "e1000_intr_msi",
        "the network card interrupts: a frame is there",
    ),
    ("drivers/net/ethernet/intel/e1000e/netdev.c", "e1000e_poll", "the driver collects frames from its card"),
    ("net/core/dev.c", "__netif_rx", "a frame came in by a virtual device"),
    ("net/core/dev.c", "netif_rx_internal", "chooses the CPU that will handle it"),
    ("net/core/dev.c", "enqueue_to_backlog", "waits in the CPU's backlog for a softirq"),
    ("net/core/dev.c", "net_rx_action", "the receive softirq starts: who has frames?"),
    ("net/core/dev.c", "__napi_poll", "polls one source of frames"),
    ("net/core/dev.c", "process_backlog", "takes the waiting frames from the CPU's backlog"),
    ("net/core/gro.c", "napi_gro_receive", "merges frames of one stream; here each goes on alone"),
    ("net/core/dev.c", "netif_receive_skb", "the frame enters the network stack"),
    ("net/core/dev.c", "__netif_receive_skb", "enters the network stack"),
    ("net/core/dev.c", "__netif_receive_skb_one_core", "enters alone, not in a list"),
    ("net/core/dev.c", "__netif_receive_skb_core", "tcpdump first, then a bridge, then the protocol"),
    ("net/packet/af_packet.c", "tpacket_rcv", "tcpdump gets a copy"),
    // Bridge.
    ("net/bridge/br_input.c", "br_handle_frame", "the device is a port of a bridge, which takes the frame"),
    ("net/bridge/br_input.c", "br_handle_frame_finish", "where to: one port, all ports, or this host?"),
    ("net/bridge/br_fdb.c", "br_fdb_update", "the bridge learns behind which port the sender is"),
    ("net/bridge/br_fdb.c", "br_fdb_find_rcu", "behind which port is the receiver?"),
    ("net/bridge/br_arp_nd_proxy.c", "br_do_proxy_suppress_arp", "could the bridge answer this ARP itself?"),
    ("net/bridge/br_forward.c", "br_forward", "to one port: the bridge knows the receiver"),
    ("net/bridge/br_forward.c", "br_flood", "to all other ports: a copy each"),
    (
        "net/bridge/br_forward.c",
        "__br_forward",
        "towards the port; the firewall's bridge FORWARD hook is here",
    ),
    ("net/bridge/br_forward.c", "br_forward_finish", "past FORWARD; the bridge POSTROUTING hook is here"),
    ("net/bridge/br_forward.c", "br_dev_queue_push_xmit", "the frame leaves by the port"),
    ("net/bridge/br_input.c", "br_pass_frame_up", "up to this host: the frame comes in by the bridge device"),
    // IPv4 in.
    ("net/ipv4/ip_input.c", "ip_rcv", "an IP packet came in; the firewall's PREROUTING hook is here"),
    ("net/ipv4/ip_input.c", "ip_rcv_core", "is the IP header sound?"),
    ("net/ipv4/ip_input.c", "ip_rcv_finish", "past PREROUTING: looks for the route"),
    ("net/ipv4/ip_input.c", "ip_local_deliver", "it is for this host; the firewall's INPUT hook is here"),
    ("net/ipv4/ip_input.c", "ip_local_deliver_finish", "past INPUT"),
    ("net/ipv4/ip_input.c", "ip_protocol_deliver_rcu", "hands it to raw sockets and to its protocol"),
    ("net/ipv4/ip_fragment.c", "ip_defrag", "a fragment: waits for the rest"),
    // IPv4 forward.
    ("net/ipv4/ip_forward.c", "ip_forward", "it is for somebody else: one hop less to live; FORWARD hook"),
    ("net/ipv4/ip_forward.c", "ip_forward_finish", "past FORWARD"),
    // Netfilter.
    ("net/netfilter/core.c", "nf_hook_slow", "asks all who look at packets at this hook"),
    (
        "net/bridge/br_netfilter_hooks.c",
        "br_nf_pre_routing_finish",
        "past PREROUTING of IPv4: back into the bridge",
    ),
    ("net/bridge/br_netfilter_hooks.c", "br_nf_forward_finish", "past FORWARD of IPv4: back into the bridge"),
    (
        "net/bridge/br_netfilter_hooks.c",
        "br_nf_dev_queue_xmit",
        "past POSTROUTING of IPv4: back into the bridge",
    ),
    (
        "net/netfilter/nf_conntrack_proto.c",
        "ipv4_conntrack_defrag",
        "connection tracking wants whole packets",
    ),
    (
        "net/netfilter/nf_conntrack_proto.c",
        "ipv4_conntrack_in",
        "connection tracking of a packet that came in",
    ),
    (
        "net/netfilter/nf_conntrack_proto.c",
        "ipv4_conntrack_local",
        "connection tracking of a packet that this host sends",
    ),
    ("net/netfilter/nf_conntrack_proto.c", "ipv4_confirm", "it got through: a new connection may be entered"),
    ("net/netfilter/nf_conntrack_core.c", "nf_conntrack_in", "finds the packet's connection"),
    ("net/netfilter/nf_conntrack_core.c", "init_conntrack", "no connection is known: a new one begins"),
    ("net/netfilter/nf_conntrack_core.c", "__nf_conntrack_confirm", "enters the new connection in the table"),
    (
        "net/netfilter/nf_conntrack_core.c",
        "nf_conntrack_inet_error",
        "an ICMP error: whose connection does it quote?",
    ),
    ("net/netfilter/nf_conntrack_proto_tcp.c", "nf_conntrack_tcp_packet", "follows TCP's states and windows"),
    (
        "net/netfilter/nf_conntrack_proto_udp.c",
        "nf_conntrack_udp_packet",
        "one direction, or both: sets the timeout",
    ),
    (
        "net/netfilter/nf_conntrack_proto_icmp.c",
        "nf_conntrack_icmp_packet",
        "a request or its reply: sets the timeout",
    ),
    ("net/netfilter/nf_conntrack_proto_gre.c", "nf_conntrack_gre_packet", "follows a GRE flow"),
    ("net/netfilter/nf_conntrack_proto_generic.c", "generic_packet", "another protocol: sets the timeout"),
    (
        "net/bridge/br_netfilter_hooks.c",
        "br_nf_pre_routing",
        "a bridged packet is shown to the IPv4 hook PREROUTING",
    ),
    (
        "net/bridge/br_netfilter_hooks.c",
        "br_nf_pre_routing_finish_bridge",
        "its destination changed: the frame gets its MAC address",
    ),
    ("net/bridge/br_netfilter_hooks.c", "br_nf_local_in", "a bridged packet goes up to this host"),
    (
        "net/bridge/br_netfilter_hooks.c",
        "br_nf_forward_ip",
        "a bridged packet is shown to the IPv4 hook FORWARD",
    ),
    ("net/bridge/br_netfilter_hooks.c", "br_nf_forward_arp", "a bridged ARP message, for arptables"),
    (
        "net/bridge/br_netfilter_hooks.c",
        "br_nf_post_routing",
        "a bridged packet is shown to the IPv4 hook POSTROUTING",
    ),
    (
        "net/bridge/br_netfilter_hooks.c",
        "br_nf_hook_thresh",
        "the bridge hooks behind bridge netfilter look too",
    ),
    ("net/bridge/br_netfilter_hooks.c", "ip_sabotage_in", "met PREROUTING in the bridge already: not again"),
    ("net/ipv4/netfilter/ip_tables.c", "ipt_do_table", "tries the rules of a table"),
    (
        "net/ipv4/netfilter/iptable_mangle.c",
        "iptable_mangle_hook",
        "table mangle, which rewrites headers and marks",
    ),
    ("net/netfilter/nft_chain_filter.c", "nft_do_chain_ipv4", "a chain of nf_tables hangs on this hook"),
    (
        "net/netfilter/nft_chain_route.c",
        "nf_route_table_hook4",
        "a chain that may change the way of this host's packets",
    ),
    ("net/netfilter/nft_chain_nat.c", "nft_nat_do_chain", "a first packet: asks the chain of table nat"),
    ("net/netfilter/nf_tables_core.c", "nft_do_chain", "tries the rules of a table"),
    ("net/netfilter/nf_nat_proto.c", "nf_nat_ipv4_pre_routing", "NAT: may the destination change?"),
    (
        "net/netfilter/nf_nat_proto.c",
        "nf_nat_ipv4_local_in",
        "NAT: may the source of a packet for this host change?",
    ),
    (
        "net/netfilter/nf_nat_proto.c",
        "nf_nat_ipv4_local_fn",
        "NAT: may the destination of this host's packet change?",
    ),
    ("net/netfilter/nf_nat_proto.c", "nf_nat_ipv4_out", "NAT: may the source change?"),
    (
        "net/netfilter/nf_nat_core.c",
        "nf_nat_inet_fn",
        "a first packet asks the rules; later ones do as was decided",
    ),
    (
        "net/netfilter/nf_nat_core.c",
        "nf_nat_setup_info",
        "decides the connection's addresses and ports, once for all",
    ),
    ("net/netfilter/nf_nat_proto.c", "nf_nat_manip_pkt", "rewrites address and port in the packet"),
    (
        "net/netfilter/nf_nat_proto.c",
        "nf_nat_icmp_reply_translation",
        "rewrites the packet that an ICMP error quotes",
    ),
    (
        "net/netfilter/nf_nat_masquerade.c",
        "nf_nat_masquerade_ipv4",
        "MASQUERADE: the source becomes the outgoing device's address",
    ),
    ("net/netfilter/nf_nat_redirect.c", "nf_nat_redirect_ipv4", "REDIRECT: to this host itself"),
    ("net/ipv4/netfilter/nf_reject_ipv4.c", "nf_send_unreach", "REJECT answers with an ICMP error"),
    ("net/ipv4/netfilter/nf_reject_ipv4.c", "nf_send_reset", "REJECT answers with a TCP reset"),
    ("net/ipv4/netfilter.c", "ip_route_me_harder", "netfilter changed this host's packet: it is routed anew"),
    // Protocols and sockets.
    ("net/ipv4/raw.c", "raw_local_deliver", "does a raw socket, such as ping's, want a copy?"),
    ("net/ipv4/raw.c", "raw_rcv", "the raw socket has it: ping can read it"),
    ("net/ipv4/raw.c", "raw_recvmsg", "a program reads from its raw socket"),
    ("net/ipv4/icmp.c", "icmp_rcv", "an ICMP message came in"),
    ("net/ipv4/icmp.c", "icmp_echo", "an echo request: answer it"),
    ("net/ipv4/icmp.c", "icmp_timestamp", "asked for the time: answer it"),
    ("net/ipv4/icmp.c", "icmp_reply", "makes the answer to an ICMP message"),
    ("net/ipv4/icmp.c", "icmp_push_reply", "copies the data into the answer"),
    ("net/ipv4/icmp.c", "__icmp_send", "an error is reported to the sender"),
    ("net/ipv4/icmp.c", "icmp_unreach", "an ICMP error came in: who sent the packet that it quotes?"),
    ("net/ipv4/icmp.c", "icmp_redirect", "a router tells of a shorter way"),
    ("net/ipv4/ping.c", "ping_rcv", "an echo reply: does a ping socket wait for it?"),
    ("net/ipv4/udp.c", "udp_rcv", "a UDP datagram came in"),
    ("net/ipv4/udp.c", "udp_queue_rcv_skb", "into the socket's receive queue"),
    // TCP.
    ("net/ipv4/tcp_ipv4.c", "tcp_v4_rcv", "a TCP segment came in"),
    ("net/ipv4/inet_hashtables.c", "__inet_lookup_established", "does it belong to a connection?"),
    ("net/ipv4/inet_hashtables.c", "__inet_lookup_listener", "does a program listen on this port?"),
    ("net/ipv4/tcp_ipv4.c", "tcp_v4_do_rcv", "the socket takes the segment"),
    ("net/ipv4/tcp_input.c", "tcp_rcv_established", "a segment of an established connection"),
    ("net/ipv4/tcp_input.c", "tcp_rcv_state_process", "a segment that may change the connection's state"),
    ("net/ipv4/tcp_input.c", "tcp_data_queue", "its data is in the socket: the program can read it"),
    ("net/ipv4/tcp_input.c", "tcp_conn_request", "a SYN for a listener: somebody wants to connect"),
    ("net/ipv4/tcp_output.c", "tcp_make_synack", "the listener's answer: SYN and ACK"),
    ("net/ipv4/tcp_minisocks.c", "tcp_check_req", "the third segment of a handshake"),
    (
        "net/ipv4/tcp_minisocks.c",
        "tcp_timewait_state_process",
        "a late segment for a connection that is over",
    ),
    ("net/ipv4/tcp_ipv4.c", "tcp_v4_send_reset", "no socket wants it: a RST goes back"),
    ("net/ipv4/tcp_ipv4.c", "tcp_v4_send_ack", "an acknowledgement without a socket"),
    ("net/ipv4/tcp_output.c", "__tcp_transmit_skb", "a connection sends a segment"),
    ("net/ipv4/tcp_output.c", "__tcp_retransmit_skb", "not acknowledged in time: sent again"),
    ("net/ipv4/ip_output.c", "__ip_queue_xmit", "a segment gets its route and its IPv4 header"),
    ("net/ipv4/igmp.c", "igmp_rcv", "a message about multicast groups came in"),
    // Memory.
    ("net/core/skbuff.c", "skb_clone", "a second handle of the same bytes"),
    ("net/core/skbuff.c", "consume_skb", "done with this packet: its memory is free"),
    ("net/core/skbuff.c", "kfree_skb_reason", "the packet is dropped"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use glassnet_kernel::door::Func;

    #[test]
    fn every_function_of_the_model_has_a_gloss() {
        let missing: Vec<&str> =
            Func::ALL.iter().map(|func| func.name()).filter(|name| of(name).text.is_empty()).collect();
        assert!(missing.is_empty(), "no gloss in {}: {missing:?}", file!());
    }

    #[test]
    fn every_gloss_is_of_a_function_of_the_model() {
        let known: Vec<&str> = Func::ALL.iter().map(|func| func.name()).collect();
        let unknown: Vec<&str> =
            GLOSSES.iter().map(|gloss| gloss.name).filter(|name| !known.contains(name)).collect();
        assert!(unknown.is_empty(), "functions that the model has not: {unknown:?}");
    }

    #[test]
    fn glosses_are_short_and_unique() {
        for (at, gloss) in GLOSSES.iter().enumerate() {
            assert!(gloss.text.len() <= 62 && !gloss.text.ends_with('.'), "{}", gloss.text);
            assert!(GLOSSES[..at].iter().all(|other| other.name != gloss.name), "{} twice", gloss.name);
        }
    }
}
