cat /proc/net/dev_mcast
cat /proc/net/igmp
cat /proc/net/arp
cat /proc/net/route
cat /proc/net/raw
cat /proc/net/udp
cat /proc/net/tcp
cat /proc/net/icmp
cat /proc/net/packet
cat /proc/net/rt_cache
cat /proc/net/nope
cat /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/ipv4/ip_forward
cat /proc/sys/net/ipv4/conf/v1/forwarding
echo yes > /proc/sys/net/ipv4/ip_forward
echo 300 > /proc/sys/net/ipv4/ip_default_ttl
echo 0 > /proc/sys/net/ipv4/ip_default_ttl
echo 33 > /proc/sys/net/ipv4/ip_default_ttl
cat /proc/sys/net/ipv4/ip_default_ttl
echo 4 > /proc/sys/net/ipv4/ip_no_pmtu_disc
echo 2 > /proc/sys/net/ipv4/icmp_echo_ignore_all
echo -1 > /proc/sys/net/ipv4/icmp_ratelimit
echo 2147483648 > /proc/sys/net/ipv4/icmp_ratemask
echo 67 > /proc/sys/net/ipv4/route/min_pmtu
echo 1 > /proc/sys/net/ipv4/route/flush
cat /proc/sys/net/ipv4/route/flush
cat /proc/sys/net/ipv4/route/min_pmtu /proc/sys/net/ipv4/route/mtu_expires /proc/sys/net/ipv4/route/min_adv_mss
cat /proc/sys/net/ipv4/route/redirect_number
cat /proc/sys/net/ipv4/icmp_msgs_per_sec
echo 1 > /proc/sys/net/ipv4/conf/v1/mc_forwarding
echo 7 > /proc/sys/net/ipv4/conf/v1/rp_filter
cat /proc/sys/net/ipv4/conf/v1/rp_filter
echo 2 > /proc/sys/net/ipv4/conf/default/arp_ignore
cat /proc/sys/net/ipv4/conf/v1/arp_ignore
cat /proc/sys/net/ipv4/conf/br0/arp_ignore
cat /proc/sys/net/ipv4/conf/all/arp_ignore
echo 1 > /proc/sys/net/ipv4/conf/nope/arp_ignore
cat /proc/sys/net/ipv4/conf/v1/nope
cat /proc/sys/net/ipv4/conf/v1
cat /proc/sys/net/ipv4/neigh/default/gc_stale_time
cat /proc/sys/net/ipv4/neigh/v1/anycast_delay /proc/sys/net/ipv4/neigh/v1/app_solicit /proc/sys/net/ipv4/neigh/v1/base_reachable_time
cat /proc/sys/net/ipv4/neigh/v1/base_reachable_time_ms /proc/sys/net/ipv4/neigh/v1/delay_first_probe_time
cat /proc/sys/net/ipv4/neigh/v1/gc_stale_time /proc/sys/net/ipv4/neigh/v1/interval_probe_time_ms
cat /proc/sys/net/ipv4/neigh/v1/locktime /proc/sys/net/ipv4/neigh/v1/mcast_resolicit /proc/sys/net/ipv4/neigh/v1/mcast_solicit
cat /proc/sys/net/ipv4/neigh/v1/proxy_delay /proc/sys/net/ipv4/neigh/v1/proxy_qlen /proc/sys/net/ipv4/neigh/v1/retrans_time
cat /proc/sys/net/ipv4/neigh/v1/retrans_time_ms /proc/sys/net/ipv4/neigh/v1/ucast_solicit
cat /proc/sys/net/ipv4/neigh/v1/unres_qlen /proc/sys/net/ipv4/neigh/v1/unres_qlen_bytes
echo 20 > /proc/sys/net/ipv4/neigh/v1/base_reachable_time
cat /proc/sys/net/ipv4/neigh/v1/base_reachable_time_ms
echo 2000 > /proc/sys/net/ipv4/neigh/v1/retrans_time_ms
cat /proc/sys/net/ipv4/neigh/v1/retrans_time
echo -1 > /proc/sys/net/ipv4/neigh/v1/mcast_solicit
echo 0 > /proc/sys/net/ipv4/neigh/v1/mcast_solicit
cat /proc/sys/net/ipv4/neigh/v1/mcast_solicit
cat /proc/sys/net/core/netdev_max_backlog
cat /sys/class/net/v1/address /sys/class/net/v1/flags /sys/class/net/v1/operstate /sys/class/net/v1/carrier
cat /sys/class/net/v1/carrier_changes /sys/class/net/v1/carrier_up_count /sys/class/net/v1/carrier_down_count
cat /sys/class/net/v1/speed /sys/class/net/v1/duplex /sys/class/net/v1/mtu /sys/class/net/v1/iflink
cat /sys/class/net/v2/carrier /sys/class/net/v2/operstate /sys/class/net/v2p/operstate /sys/class/net/v2p/carrier
cat /sys/class/net/v2/speed /sys/class/net/v2p/speed /sys/class/net/v2/duplex
cat /sys/class/net/lo/type /sys/class/net/lo/operstate /sys/class/net/lo/flags /sys/class/net/lo/speed
cat /sys/class/net/br0/address /sys/class/net/br0/speed /sys/class/net/br0/duplex /sys/class/net/br0/flags
cat /sys/class/net/br0/addr_assign_type /sys/class/net/v1/addr_assign_type /sys/class/net/lo/addr_assign_type
cat /sys/class/net/br0/name_assign_type /sys/class/net/v1/name_assign_type /sys/class/net/lo/name_assign_type
cat /sys/class/net/v1/uevent /sys/class/net/br0/uevent
cat /sys/class/net/br0/bridge/bridge_id /sys/class/net/br0/bridge/root_id /sys/class/net/br0/bridge/priority
cat /sys/class/net/br0/bridge/vlan_filtering /sys/class/net/br0/bridge/default_pvid /sys/class/net/br0/bridge/vlan_protocol
cat /sys/class/net/v1/brport/port_id /sys/class/net/v1/brport/state /sys/class/net/v1/brport/designated_port
cat /sys/class/net/v1/brport/learning /sys/class/net/br0/brif/v1/unicast_flood /sys/class/net/v1/master/ifindex
cat /sys/class/net/br0/bridge/flush
cat /sys/class/net/v1/bridge/priority
cat /sys/class/net/nope/mtu
cat /sys/class/net/v1
echo 1400 > /sys/class/net/v1/mtu
cat /sys/class/net/v1/mtu /sys/class/net/br0/mtu
echo 60 > /sys/class/net/v1/mtu
echo 70000 > /sys/class/net/v1/mtu
echo x > /sys/class/net/v1/mtu
echo 1 > /sys/class/net/v1/address
echo 0 > /sys/class/net/v1/carrier
echo 500 > /sys/class/net/v1/tx_queue_len
cat /sys/class/net/v1/tx_queue_len
echo uplink > /sys/class/net/v1/ifalias
cat /sys/class/net/v1/ifalias
echo 0x1003 > /sys/class/net/v2p/flags
cat /sys/class/net/v2p/operstate /sys/class/net/v2p/flags /sys/class/net/v2/operstate
echo 100 > /sys/class/net/br0/bridge/hello_time
echo 99 > /sys/class/net/br0/bridge/hello_time
echo x > /sys/class/net/br0/bridge/hello_time
echo 4 > /sys/class/net/br0/bridge/group_fwd_mask
echo 8 > /sys/class/net/br0/bridge/group_fwd_mask
cat /sys/class/net/br0/bridge/group_fwd_mask
echo 1 > /sys/class/net/v1/brport/hairpin_mode
cat /sys/class/net/v1/brport/hairpin_mode
echo 0 > /sys/class/net/v1/brport/path_cost
echo 64 > /sys/class/net/v1/brport/priority
echo 2 > /sys/class/net/v1/brport/group_fwd_mask
echo 1 > /sys/class/net/v1/brport/group_fwd_mask
echo 8 > /sys/class/net/v1/brport/group_fwd_mask
echo 1 > /sys/class/net/v1/brport/state
