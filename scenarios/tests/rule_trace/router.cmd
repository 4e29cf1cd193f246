ip netns add x
ip link add c0 address 02:00:00:00:01:00 type veth peer name c1 netns x
ip link add s0 address 02:00:00:00:01:01 type veth peer name s1 netns x
ip link set lo up
ip link set c0 up
ip link set s0 up
ip -n x link set c1 up
ip -n x link set s1 up
ip addr add 10.0.0.1/24 dev c0
ip addr add 10.0.1.1/24 dev s0
ip neigh add 10.0.0.2 lladdr 02:00:00:00:10:02 dev c0
ip neigh add 10.0.1.2 lladdr 02:00:00:00:11:02 dev s0
sysctl -q -w net.ipv4.ip_forward=1
sleep 1.2
