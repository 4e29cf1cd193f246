sysctl net.bridge.bridge-nf-call-iptables
modprobe nosuch
modprobe
modprobe -q nosuch
modprobe -a nosuch nosuch2
modprobe br_netfilter
sysctl net.bridge
sysctl -w net.bridge.bridge-nf-call-iptables=0
sysctl -w net.bridge.bridge-nf-call-iptables=5
sysctl net.bridge.bridge-nf-call-iptables
sysctl -w net.bridge.bridge-nf-call-arptables=-1
sysctl net.bridge.bridge-nf-call-arptables
sysctl -w net.bridge.bridge-nf-call-ip6tables=x
sysctl -w net.bridge.bridge-nf-filter-vlan-tagged=0
cat /proc/sys/net/bridge/bridge-nf-call-iptables
cat /sys/class/net/br0/bridge/nf_call_iptables
ip link set br0 type bridge nf_call_iptables 1
cat /sys/class/net/br0/bridge/nf_call_iptables
ip link set br0 type bridge nf_call_iptables x
ip link set br0 type bridge nf_call_iptables 256
ip link set br0 type bridge nf_call_ip6tables 2 nf_call_arptables 1
cat /sys/class/net/br0/bridge/nf_call_ip6tables
modprobe br-netfilter
modprobe -a veth br_netfilter
