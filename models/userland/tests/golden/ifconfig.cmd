ifconfig lo
ifconfig v2p
ifconfig v2p 10.1.0.1
ifconfig v2p
ifconfig v2p 10.2.0.1/24
ifconfig v2p 10.2.0.2 netmask 255.255.0.0 broadcast 10.2.255.255
ifconfig v2p mtu 1400
ifconfig v2p mtu 60
ifconfig v2p down
ifconfig v2p up
ifconfig v2p promisc
ifconfig v2p -arp
ifconfig v2p
ifconfig v2p hw ether 02:00:00:00:00:44
ifconfig v2p hw ether xx
ifconfig v2p 0.0.0.0
ifconfig nope
ifconfig nope up
ifconfig v2p txqueuelen 500
ifconfig v2p
ifconfig -V
