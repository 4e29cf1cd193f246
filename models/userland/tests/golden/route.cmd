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
