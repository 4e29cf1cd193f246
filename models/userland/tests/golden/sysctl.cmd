sysctl
sysctl net.ipv4.ip_forward
sysctl -n net.ipv4.ip_forward
sysctl net/ipv4/ip_forward
sysctl -w net.ipv4.ip_forward=1
sysctl net.ipv4.ip_forward
sysctl net.ipv4.ip_forward=0
sysctl -q -w net.ipv4.ip_forward=1
sysctl -n -w net.ipv4.ip_forward=0
sysctl -w net.ipv4.ip_forward
sysctl -w net.ipv4.ip_forward=yes
sysctl -w net.ipv4.ip_forward = 1
sysctl -w net.ipv4.ip_default_ttl=300
sysctl -w net.ipv4.nope=1
sysctl -e -w net.ipv4.nope=1
sysctl net.ipv4.nope
sysctl -e net.ipv4.nope
sysctl -w net.ipv4.conf.v1.mc_forwarding=1
sysctl net.ipv4.conf.v1.rp_filter net.ipv4.conf.br0.rp_filter
sysctl net.ipv4.conf.v1.nope net.ipv4.ip_forward
sysctl -w net/ipv4/conf/v1/rp_filter=2 net.ipv4.conf.all.arp_ignore=1
sysctl -b net.ipv4.ip_forward
sysctl -N net.ipv4.ip_forward
sysctl -N net.ipv4.neigh.v1
sysctl net.ipv4.neigh.v1
sysctl net.ipv4.conf.v1
sysctl net.ipv4.route
sysctl -w net.ipv4.route.flush=1
sysctl net.ipv4.route.flush
sysctl -V
sysctl -x
sysctl -p /nope
sysctl net.ipv4.conf.*.rp_filter
sysctl -w net.ipv4.conf.*.rp_filter=1
sysctl -r rp_filter net.ipv4
