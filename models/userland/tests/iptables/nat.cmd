iptables -t nat -A PREROUTING -j DNAT --to-destination 10.0.0.1
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1-10.0.0.5:80-90
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1-10.0.0.5:80-90/8080
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:80
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination :80
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:80-90 --random --persistent
iptables -t nat -A PREROUTING -p udp -j DNAT --to-destination 10.0.0.1:53 --persistent --random
iptables -t nat -A PREROUTING -j DNAT --to-destination 10.0.0.1:80
iptables -t nat -A PREROUTING -p icmp -j DNAT --to-destination 10.0.0.1:80
iptables -t nat -A PREROUTING -p ! tcp -j DNAT --to-destination 10.0.0.1:80
iptables -t nat -A PREROUTING ! -p tcp -j DNAT --to-destination 10.0.0.1:80
iptables -t nat -A PREROUTING -j DNAT
iptables -t nat -A PREROUTING -j DNAT --random
iptables -t nat -A PREROUTING -j DNAT --to-destination 10.0.0.1 --to-destination 10.0.0.2
iptables -t nat -A PREROUTING -j DNAT --to-destination foo
iptables -t nat -A PREROUTING -j DNAT --to-destination 10.0.0.5-10.0.0.1
iptables -t nat -A PREROUTING -j DNAT --to-destination 10.0.0.1/24
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:0
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:70000
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:http
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:http-https
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:90-80
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:80-70000
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:80/90
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:80-90/0
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:80-90/70000
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:80-90/http
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:80-90/
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:80:90
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination ""
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination :
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1-
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1-:80
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0:80
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination localhost
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:80-
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:-80
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination '10.0.0.1:80 '
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:0x50
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:080
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:+80
iptables -t nat -A PREROUTING -p tcp -j DNAT ! --to-destination 10.0.0.1:80
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:80-80
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1-10.0.0.1:80
iptables -t nat -A PREROUTING -p sctp -j DNAT --to-destination 10.0.0.1:80
iptables -t nat -A PREROUTING -p dccp -j DNAT --to-destination 10.0.0.1:80
iptables -t nat -A PREROUTING -p udplite -j DNAT --to-destination 10.0.0.1:80
iptables -t nat -A PREROUTING -p tcp -j DNAT --random --random --to-destination 10.0.0.1
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1 --random-fully
iptables -t nat -A PREROUTING -p tcp -j DNAT --to 10.0.0.1
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-ports 80
iptables -t nat -A POSTROUTING -j SNAT --to-source 10.0.0.1
iptables -t nat -A POSTROUTING -j SNAT --to-source 10.0.0.1-10.0.0.9 --persistent
iptables -t nat -A POSTROUTING -p tcp -j SNAT --to-source 10.0.0.1-10.0.0.9:1024-2000 --random --random-fully --persistent
iptables -t nat -A POSTROUTING -p tcp -j SNAT --to-source 10.0.0.1:1000 --random-fully
iptables -t nat -A POSTROUTING -p tcp -j SNAT --to-source :1000
iptables -t nat -A POSTROUTING -j SNAT --to-source :1000
iptables -t nat -A POSTROUTING -j SNAT
iptables -t nat -A POSTROUTING -j SNAT --to-source 10.0.0.1 --to-source 10.0.0.2
iptables -t nat -A POSTROUTING -j SNAT --to-source 10.0.0.1-10.0.0.x
iptables -t nat -A POSTROUTING -p tcp -j SNAT --to-source 10.0.0.1:1000-900
iptables -t nat -A POSTROUTING -p tcp -j SNAT --to-source 10.0.0.1:http
iptables -t nat -A POSTROUTING -p tcp -j SNAT --to-source 10.0.0.1:80/90
iptables -t nat -A POSTROUTING -p tcp -j SNAT --to-source 10.0.0.1:80-90/90
iptables -t nat -A POSTROUTING -p tcp -j SNAT --to-source 10.0.0.1:80-90x
iptables -t nat -A POSTROUTING -p tcp -j SNAT --to-source ""
iptables -t nat -A POSTROUTING -j SNAT --to-source 10.0.0.300
iptables -t nat -A POSTROUTING -j SNAT --random
iptables -t nat -A POSTROUTING -j MASQUERADE
iptables -t nat -A POSTROUTING -j MASQUERADE --random
iptables -t nat -A POSTROUTING -j MASQUERADE --random-fully
iptables -t nat -A POSTROUTING -j MASQUERADE --random --random-fully
iptables -t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports 1024-31000
iptables -t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports 1024
iptables -t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports 1024 --random
iptables -t nat -A POSTROUTING -p udp -j MASQUERADE --to-ports 1024-31000 --random-fully
iptables -t nat -A POSTROUTING -j MASQUERADE --to-ports 1024
iptables -t nat -A POSTROUTING -p icmp -j MASQUERADE --to-ports 1024
iptables -t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports 31000-1024
iptables -t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports http
iptables -t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports 70000
iptables -t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports 0
iptables -t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports 1-70000
iptables -t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports 10-
iptables -t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports 10-x
iptables -t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports 1024 --to-ports 1025
iptables -t nat -A POSTROUTING -p tcp -j MASQUERADE --persistent
iptables -t nat -A PREROUTING -p tcp -j REDIRECT
iptables -t nat -A PREROUTING -j REDIRECT
iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 8080
iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 8080-8090
iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 8080-8090 --random
iptables -t nat -A PREROUTING -p tcp -j REDIRECT --random
iptables -t nat -A PREROUTING -j REDIRECT --to-ports 8080
iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports http
iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports http-https
iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports nope
iptables -t nat -A PREROUTING -p udp -j REDIRECT --to-ports domain
iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 0
iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 8090-8080
iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 70000
iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 80-
iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 80-90x
iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 80-80
iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 80 --to-ports 81
iptables -t nat -A PREROUTING -p icmp -j REDIRECT --to-ports 80
iptables -t nat -A PREROUTING -j NETMAP --to 10.1.0.0/16
iptables -t nat -A PREROUTING -d 10.0.0.0/24 -j NETMAP --to 10.1.0.0/24
iptables -t nat -A POSTROUTING -j NETMAP --to 10.1.2.3/24
iptables -t nat -A POSTROUTING -j NETMAP --to 10.1.2.3
iptables -t nat -A POSTROUTING -j NETMAP --to 10.1.2.3/32
iptables -t nat -A POSTROUTING -j NETMAP --to 10.1.2.3/255.255.0.0
iptables -t nat -A POSTROUTING -j NETMAP --to 10.1.2.3/255.0.255.0
iptables -t nat -A POSTROUTING -j NETMAP --to 10.1.2.3/33
iptables -t nat -A POSTROUTING -j NETMAP --to 10.1.2.3/0
iptables -t nat -A POSTROUTING -j NETMAP --to 300.0.0.1/24
iptables -t nat -A POSTROUTING -j NETMAP --to 10.1.2.0/24-
iptables -t nat -A POSTROUTING -j NETMAP
iptables -t nat -A POSTROUTING -j NETMAP --to 10.1.2.0/24 --to 10.1.3.0/24
iptables -t nat -A POSTROUTING -j NETMAP --to 10.1.2/24
iptables -t nat -A POSTROUTING -j NETMAP --to localhost
iptables -A INPUT -j REJECT
iptables -A INPUT -p tcp -j REJECT --reject-with icmp-net-unreachable
iptables -A INPUT -p tcp -j REJECT --reject-with icmp-host-unreachable
iptables -A INPUT -p tcp -j REJECT --reject-with icmp-proto-unreachable
iptables -A INPUT -p tcp -j REJECT --reject-with icmp-port-unreachable
iptables -A INPUT -p tcp -j REJECT --reject-with icmp-net-prohibited
iptables -A INPUT -p tcp -j REJECT --reject-with icmp-host-prohibited
iptables -A INPUT -p tcp -j REJECT --reject-with icmp-admin-prohibited
iptables -A INPUT -p tcp -j REJECT --reject-with tcp-reset
iptables -A INPUT -p tcp -j REJECT --reject-with net-unreach
iptables -A INPUT -p tcp -j REJECT --reject-with host-unreach
iptables -A INPUT -p tcp -j REJECT --reject-with proto-unreach
iptables -A INPUT -p tcp -j REJECT --reject-with port-unreach
iptables -A INPUT -p tcp -j REJECT --reject-with net-prohib
iptables -A INPUT -p tcp -j REJECT --reject-with host-prohib
iptables -A INPUT -p tcp -j REJECT --reject-with admin-prohib
iptables -A INPUT -p tcp -j REJECT --reject-with tcp-rst
iptables -A INPUT -p tcp -j REJECT --reject-with icmp-net
iptables -A INPUT -p tcp -j REJECT --reject-with icmp
iptables -A INPUT -p tcp -j REJECT --reject-with icmp-host
iptables -A INPUT -p tcp -j REJECT --reject-with icmp-p
iptables -A INPUT -p tcp -j REJECT --reject-with tcp
iptables -A INPUT -p tcp -j REJECT --reject-with x
iptables -A INPUT -p tcp -j REJECT --reject-with ''
iptables -A INPUT -p tcp -j REJECT --reject-with icmp-net-unreachablex
iptables -A INPUT -p tcp -j REJECT --reject-with ICMP-NET-unreachable
iptables -A INPUT -j REJECT --reject-with tcp-reset
iptables -A INPUT ! -p tcp -j REJECT --reject-with tcp-reset
iptables -A INPUT -p udp -j REJECT --reject-with tcp-reset
iptables -A INPUT -j REJECT --reject-with icmp-net-unreachable --reject-with icmp-net-unreachable
iptables -t nat -A PREROUTING -j REJECT
iptables -t nat -A PREROUTING -j SNAT --to-source 1.2.3.4
iptables -t nat -A POSTROUTING -j DNAT --to-destination 1.2.3.4
iptables -t nat -A PREROUTING -j MASQUERADE
iptables -t nat -A POSTROUTING -j REDIRECT
iptables -A INPUT -j DNAT --to-destination 1.2.3.4
iptables -A INPUT -j MASQUERADE
iptables -t nat -A INPUT -j SNAT --to-source 1.2.3.4
iptables -t nat -A OUTPUT -j DNAT --to-destination 1.2.3.4
iptables -t nat -A INPUT -j NETMAP --to 1.2.3.0/24
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:80-90/5x
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:90-80/5
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:80-90/5-
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:80x-90
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:http-90
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination "10.0.0.1: 80"
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination "10.0.0.1:domain"
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination "10.0.0.1:ntp"
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination ::80
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination -10.0.0.1
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1-10.0.0.2-10.0.0.3
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 010.0.0.1
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 0.0.0.0
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination :0-0
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:80-80/5
iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 80-90/5
iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 80/5
iptables -t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports 80-90/5
iptables -t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports 80:90
iptables -t nat -A POSTROUTING -p tcp -j SNAT --to-source 10.0.0.1:80-90/x
iptables -t nat -A POSTROUTING -p tcp -j NETMAP --to 10.1.2.3/24/5
iptables -t nat -A POSTROUTING -p tcp -j NETMAP --to 10.1.2.3/
iptables -t nat -A POSTROUTING -p tcp -j NETMAP --to ''
iptables -t nat -A POSTROUTING -p tcp -j NETMAP --to 10.1.2.3/0x18
iptables -t nat -A POSTROUTING -p tcp -j NETMAP --to 10.1.2.3/-1
iptables -t nat -A POSTROUTING -p tcp -j NETMAP --to 10.1.2.3/40
iptables -t nat -A POSTROUTING -p tcp -j NETMAP --to 10.1.2.3/255.0
iptables -t nat -A POSTROUTING -p tcp -j NETMAP --to 300.1.2.3/24
iptables -t nat -A POSTROUTING -p tcp -j NETMAP --to 10.1.2.3.4/24
iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 80:90
iptables -t nat -A PREROUTING -j REDIRECT --to-ports 80:90
iptables -t nat -A POSTROUTING -j MASQUERADE --to-ports 80:90
iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports ""
iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports -5
iptables -t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports 90-80/5
iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 80-90/0
iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 80-90/x
iptables -t nat -A POSTROUTING -p tcp -j SNAT --random --to-source 10.0.0.1:1-2/3
iptables -S
iptables -t nat -S
iptables -t nat -nL
iptables -nvL --line-numbers
iptables-save
