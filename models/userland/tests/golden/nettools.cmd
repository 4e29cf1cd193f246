arp -n
arp
arp -a
arp -e
arp -s 10.0.0.7 02:00:00:00:00:77
arp -s 10.0.0.8 02:00:00:00:00:88 pub
arp -n
arp -a
arp -an
arp -v -n
arp -n -e
arp -n 10.0.0.7
arp -n 10.0.0.9
arp -a 10.0.0.9
arp -n -i br0
arp -n -i v2
arp -n -i nope
arp -s 10.0.0.9 xx
arp -s 10.0.0.9
arp -s 192.0.2.1 02:00:00:00:00:99
arp -i br0 -s 10.0.0.10 02:00:00:00:00:10
arp -s 10.0.0.11 02:00:00:00:00:11 temp
arp -Ds 10.0.0.12 br0 pub
arp -n
arp -d 10.0.0.7
arp -d 10.0.0.7
arp -d 10.0.0.99
arp -d 10.0.0.8 pub
arp -d 10.0.0.10 -i br0
arp -d
arp -n
arp -V
arp -x
route -n
route
route -n -e
route -ne
route add default gw 10.0.0.254
route add -net 10.9.0.0 netmask 255.255.0.0 gw 10.0.0.7
route add -net 10.8.0.0/16 dev v2
route add -host 10.7.0.1 gw 10.0.0.7
route add -net 10.6.0.0/16 reject
route add -net 10.5.0.0/16 gw 10.0.0.7 metric 5 dev br0
route -n
route add default gw 10.0.0.254
route add default gw 192.0.2.1
route add -net 10.9.0.1 netmask 255.255.0.0 gw 10.0.0.7
route add -net 10.4.0.0 gw 10.0.0.7
route add default
route add
route del default
route del default
route del -net 10.9.0.0 netmask 255.255.0.0
route del -net 10.8.0.0/16
route del -host 10.7.0.1
route del -net 10.6.0.0/16 reject
route del -net 10.5.0.0/16 gw 10.0.0.7
route -n
route -C -n
route -V
route add -net 10.3.0.0/16 dev nope
ifconfig lo
ifconfig br0
ifconfig v2p
ifconfig -s
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
ifconfig v2p nope
ifconfig v2p:1 10.3.0.1 netmask 255.255.255.0
ifconfig v2p:1
ifconfig v2p:1 down
ifconfig v2p txqueuelen 500
ifconfig v2p
ifconfig -V
