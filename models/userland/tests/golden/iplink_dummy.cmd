ip link help dummy
ip link add dummy0 address 02:00:00:00:00:11 type dummy
ip link show dummy0
ip -d link show type dummy
ip -d -j link show dummy0
ip link add type dummy
cat /sys/class/net/dummy0/addr_assign_type /sys/class/net/dummy0/name_assign_type
cat /sys/class/net/dummy1/addr_assign_type /sys/class/net/dummy1/name_assign_type
ip link add d2 type dummy foo
ip link set d2 type dummy
ip link set d2 type dummy foo
ip link add dummy0 type dummy
ip link add d3 mtu 0 type dummy
ip link set d3 mtu 65536
ip link add d4 address 01:00:00:00:00:14 type dummy
ip link set dummy0 up
ip link show dummy0
ip addr add 10.9.0.1/24 dev dummy0
ip addr show dummy0
ip route get 10.9.0.2
ping -c 1 -W 1 10.9.0.2
ip -s link show dummy0
ip neigh
ip link set dummy0 carrier off
ip link show dummy0
ip route
cat /sys/class/net/dummy0/carrier_changes /sys/class/net/dummy0/carrier
ip link set dummy0 carrier on
ip link show dummy0
echo 0 > /sys/class/net/dummy0/carrier
echo 0 > /sys/class/net/d2/carrier
echo 0 > /sys/class/net/v1/carrier
cat /sys/class/net/dummy0/carrier_up_count /sys/class/net/dummy0/carrier_down_count
echo 1 > /sys/class/net/dummy0/carrier
ip link set v1 carrier off
ip link set dummy0 arp on multicast on
ip link show dummy0
ip link set dummy0 master br0
bridge link show dev dummy0
ip link show master br0
ip -br link show type bridge_slave
ip link set dummy0 nomaster
ethtool dummy0
ethtool -i dummy0
ethtool -S dummy0
ethtool -k dummy0
ethtool -g dummy0
ethtool -a dummy0
ethtool -c dummy0
ethtool -l dummy0
ethtool -P dummy0
ethtool -T dummy0
cat /sys/class/net/dummy0/speed
cat /sys/class/net/dummy0/duplex
cat /sys/class/net/dummy0/uevent
ip link del dev dummy0
ip link show dummy0
ip link del dummy1
ip route
