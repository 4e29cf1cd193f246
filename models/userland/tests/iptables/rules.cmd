iptables -A INPUT -s 10.0.0.1 -j ACCEPT
iptables -A INPUT -s 10.0.0.1/24 -j ACCEPT
iptables -A INPUT -d 10.0.0.1/255.255.0.0 -j ACCEPT
iptables -A INPUT -d 10.1.2.3/255.0.255.0 -j ACCEPT
iptables -A INPUT -d 10.1.2.3/0.255.0.255 -j ACCEPT
iptables -A INPUT -s 0.0.0.0/0 -d 0/0 -j DROP
iptables -A INPUT -s any -j DROP
iptables -A INPUT ! -s 0.0.0.0/0 -j DROP
iptables -A INPUT ! -s 10.0.0.0/8 ! -d 10.0.0.1 -j DROP
iptables -A INPUT -s 10.0.0.1,10.0.0.2/31,10.5.0.0/16 -j ACCEPT
iptables -A INPUT -s 10.0.0.1,10.0.0.2 -d 1.1.1.1,2.2.2.2 -j ACCEPT
iptables -I INPUT -s 9.0.0.1,9.0.0.2,9.0.0.3 -j DROP
iptables -S
iptables -D INPUT -s 9.0.0.1,9.0.0.2 -j DROP
iptables -C INPUT -s 9.0.0.3 -j DROP
iptables -C INPUT -s 9.0.0.4 -j DROP
iptables -C INPUT -s 9.0.0.3,9.0.0.4 -j DROP
iptables -D INPUT -s 9.0.0.4 -j DROP
iptables -R INPUT 1 -s 8.0.0.1 -j DROP
iptables -R INPUT 100 -s 8.0.0.1 -j DROP
iptables -R INPUT 0 -s 8.0.0.1 -j DROP
iptables -R INPUT 1 -s 8.0.0.1,8.0.0.2 -j DROP
iptables -R INPUT -s 8.0.0.1 -j DROP
iptables -R INPUT
iptables -R nope 1 -j DROP
iptables -I INPUT 2 -s 7.0.0.1 -j RETURN
iptables -I INPUT 100 -s 7.0.0.2
iptables -I INPUT 0 -s 7.0.0.2
iptables -I INPUT abc -s 7.0.0.2
iptables -S INPUT 2
iptables -S INPUT 100
iptables -S INPUT abc
iptables -L INPUT 2
iptables -L INPUT 100
iptables -L INPUT 2 --line-numbers -v
iptables -L -n
iptables -L -n -v --line-numbers
iptables -nvxL INPUT
iptables -F INPUT
iptables -A FORWARD -i eth0 -o eth1 -j ACCEPT
iptables -A FORWARD -i eth+ ! -o lo -j ACCEPT
iptables -A FORWARD ! -i + -j ACCEPT
iptables -A FORWARD -i + -j ACCEPT
iptables -A FORWARD -o + -j ACCEPT
iptables -A FORWARD ! -o + -j ACCEPT
iptables -A FORWARD -i '' -j ACCEPT
iptables -A FORWARD -i 123456789012345 -o a/b -j ACCEPT
iptables -A FORWARD -i 1234567890123456 -j ACCEPT
iptables -A FORWARD -i 12345678901234+ -j ACCEPT
iptables -A FORWARD -i 'a b' -j ACCEPT
iptables -A FORWARD -i e+h
iptables -A INPUT -o eth0
iptables -A OUTPUT -i eth0
iptables -A foo -i eth0
iptables -t nat -A PREROUTING -o eth0
iptables -t nat -A POSTROUTING -i eth0
iptables -P INPUT ACCEPT -s 1.1.1.1
iptables -A FORWARD -p tcp
iptables -A FORWARD -p TCP
iptables -A FORWARD -p 6
iptables -A FORWARD -p 0
iptables -A FORWARD ! -p 0
iptables -A FORWARD -p all
iptables -A FORWARD ! -p all
iptables -A FORWARD -p ALL
iptables -A FORWARD -p ip
iptables -A FORWARD -p 255
iptables -A FORWARD -p 256
iptables -A FORWARD -p ''
iptables -A FORWARD -p foo
iptables -A FORWARD ! -p udp
iptables -A FORWARD -p gre
iptables -A FORWARD -p 253
iptables -A FORWARD -p esp
iptables -A FORWARD -p icmpv6
iptables -A FORWARD -p ipv6-icmp
iptables -A FORWARD -p 0x11
iptables -A FORWARD -p sctp
iptables -A FORWARD -f -j DROP
iptables -A FORWARD ! -f -j DROP
iptables -A FORWARD -f -p tcp -j DROP
iptables -S FORWARD
iptables -L FORWARD
iptables -L FORWARD -n -v
iptables -F
iptables -A INPUT -p tcp --dport 80 -j ACCEPT
iptables -A INPUT -p tcp --sport 1000:2000 ! --dport 80 -j ACCEPT
iptables -A INPUT -p tcp ! --sport 1: --dport :80 -j ACCEPT
iptables -A INPUT -p tcp --sport 0:65535 -j ACCEPT
iptables -A INPUT -p tcp ! --sport 0:65535 -j ACCEPT
iptables -A INPUT -p tcp --sport 5:5 --dport http:https
iptables -A INPUT -p tcp --tcp-flags SYN,ACK SYN
iptables -A INPUT -p tcp --tcp-flags ALL NONE
iptables -A INPUT -p tcp --tcp-flags ALL ALL
iptables -A INPUT -p tcp ! --tcp-flags FIN,SYN,RST,PSH,ACK,URG FIN,URG,PSH
iptables -A INPUT -p tcp --tcp-flags NONE NONE
iptables -A INPUT -p tcp --tcp-flags fin,Rst,URG fin
iptables -A INPUT -p tcp --syn
iptables -A INPUT -p tcp ! --syn
iptables -A INPUT -p tcp --tcp-option 5
iptables -A INPUT -p tcp ! --tcp-option 5 --syn
iptables -A INPUT -p tcp --tcp-option 0
iptables -A INPUT -p tcp -m tcp
iptables -A INPUT -p tcp -m tcp --dport 22 -m tcp --sport 23
iptables -A INPUT -p tcp -m tcp -m tcp --sport 23
iptables -A INPUT -p tcp -m tcp -m udp
iptables -A INPUT -p udp --dport 53
iptables -A INPUT -p udp ! --dport 53 --sport 1024:
iptables -A INPUT -p udp -m udp
iptables -A INPUT -p 17 --dport domain
iptables -A INPUT -p udp --dport 0
iptables -A INPUT -p udp --source-port 1 --destination-port 2:3
iptables -A INPUT ! -p udp -m udp --dport 1
iptables -A INPUT -p tcp -m udp --dport 1
iptables -A INPUT -m tcp --dport 1
iptables -A INPUT -p icmp
iptables -A INPUT -p icmp -m icmp
iptables -A INPUT -p icmp --icmp-type any
iptables -A INPUT -p icmp --icmp-type echo-request -j ACCEPT
iptables -A INPUT -p icmp --icmp-type 8
iptables -A INPUT -p icmp --icmp-type 8/0
iptables -A INPUT -p icmp ! --icmp-type 3/4
iptables -A INPUT -p icmp --icmp-type fragmentation-needed
iptables -A INPUT -p icmp --icmp-type port-unreachable
iptables -A INPUT -p icmp --icmp-type 255
iptables -A INPUT -p icmp --icmp-type 255/3
iptables -A INPUT -p icmp --icmp-type 3/77
iptables -A INPUT -p icmp --icmp-type 100
iptables -A INPUT -p icmp --icmp-type address-mask-reply
iptables -A INPUT -p icmp --icmp-type ttl-exceeded
iptables -A INPUT -p icmp --icmp-type time-exceeded
iptables -A INPUT -p icmp --icmp-type pong
iptables -A INPUT -p icmp --icmp-type PING
iptables -A INPUT -p icmp --icmp-type echo-re
iptables -A INPUT -p icmp --icmp-type echo
iptables -A INPUT -p icmp --icmp-type host-
iptables -A INPUT -p icmp --icmp-type 8/
iptables -A INPUT -p icmp --icmp-type /
iptables -A INPUT -p icmp --icmp-type ''
iptables -A INPUT -p icmp --icmp-type 8/256
iptables -A INPUT -p icmp --icmp-type 8/x
iptables -A INPUT -p icmp --icmp-type 8x
iptables -A INPUT -p icmp --icmp-type 8 --icmp-type 0
iptables -A INPUT -p icmp --icmp-type
iptables -A INPUT -m icmp --icmp-type 8
iptables -A INPUT -p tcp -m icmp --icmp-type 8
iptables -S
iptables -L
iptables -n -L INPUT
iptables-save -c
