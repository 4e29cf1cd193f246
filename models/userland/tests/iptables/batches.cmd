iptables -D FORWARD 9
iptables -R FORWARD 9 -j ACCEPT
iptables -Z FORWARD
iptables -Z FORWARD 1
iptables -X FORWARD
iptables-restore -n <<< $'*filter\n-D FORWARD 9\nCOMMIT'
iptables-restore <<< $'*filter\n-R FORWARD 9 -j ACCEPT\nCOMMIT'
iptables -F FORWARD
iptables -D FORWARD 9
iptables -X FORWARD
iptables -Z FORWARD
iptables -N x
iptables -F
iptables -D FORWARD 1
iptables -X
iptables-restore <<< $'*filter\n-P FORWARD RETURN\nCOMMIT'
iptables -P FORWARD RETURN
iptables-restore <<< $'*filter\n-P foo DROP\nCOMMIT'
iptables-restore <<< $'*filter\n-A FORWARD -j FORWARD\nCOMMIT'
iptables -A FORWARD -j FORWARD
iptables -A FORWARD -g FORWARD
iptables -A FORWARD -j INPUT
iptables -A INPUT -j ACCEPT
iptables -A FORWARD -j INPUT
iptables -D INPUT 2
iptables-restore <<< $'*filter\n-A FORWARD -j ACCEPT\n-A FORWARD -j DROP\n-I FORWARD 2 -j RETURN\n-D FORWARD 3\nCOMMIT'
iptables-restore <<< $'*filter\n-A FORWARD -j ACCEPT\n-A FORWARD -j DROP\n-I FORWARD 2 -j RETURN\n-D FORWARD -j DROP\nCOMMIT'
iptables-restore <<< $'*filter\n-A FORWARD -j ACCEPT\n-A FORWARD -j DROP\n-I FORWARD 2 -j RETURN\n-D FORWARD 2\nCOMMIT'
iptables -S
iptables-restore <<< $'*filter\n-A FORWARD -j ACCEPT\n-I FORWARD 1 -j DROP\n-D FORWARD 2\nCOMMIT'
iptables-restore <<< $'*filter\n-A FORWARD -j ACCEPT\n-I FORWARD 2 -j DROP\n-D FORWARD 1\nCOMMIT'
iptables -A FORWARD -j RETURN
iptables-restore -n <<< $'*filter\n-I FORWARD 2 -j LOG\n-D FORWARD 3\nCOMMIT'
iptables-restore -n <<< $'*filter\n-A FORWARD -j ACCEPT\n-A FORWARD -j DROP\n-I FORWARD 4 -j RETURN\n-F FORWARD\nCOMMIT'
iptables -S
iptables-restore -n <<< $'*filter\n-N A\n-E A B\n-X B\nCOMMIT'
iptables -S
iptables -N a
iptables-restore -n <<< $'*filter\n-E a b\n-X b\nCOMMIT'
iptables -X b
iptables -N a
iptables-restore -n <<< $'*filter\n-E a b\n-A b -j ACCEPT\nCOMMIT'
iptables-restore -n <<< $'*filter\n-E a b\n-A a -j ACCEPT\nCOMMIT'
iptables -S
iptables-restore -n <<< $'*filter\n-E b c\n-E c d\nCOMMIT'
iptables-restore -n <<< $'*filter\n-N e\n-E e f\nCOMMIT'
iptables -S
iptables -F
iptables-restore -n <<< $'*filter\n-A FORWARD -m comment --comment "" -j ACCEPT\n-A FORWARD -m comment --comment "a b"\nCOMMIT'
iptables-restore -n <<< $'*filter\n-A FORWARD -m comment --comment "x"y -j ACCEPT\nCOMMIT'
iptables-restore -n <<< $'*filter\n-A FORWARD -m comment --comment x"y" -j ACCEPT\nCOMMIT'
iptables-restore -n <<< $'*filter\n-A FORWARD -i "" -j ACCEPT\nCOMMIT'
iptables -S FORWARD
iptables -AFORWARD -jACCEPT
iptables -A FORWARD -jACCEPT
iptables -A FORWARD --jump=ACCEPT
iptables -A FORWARD -gfoo
iptables -A INPUT -p tcp --dport -j ACCEPT
iptables -A INPUT -m limit --limit -j ACCEPT
iptables -A INPUT -m mark --mark -j ACCEPT
iptables -A INPUT -m state --state -j ACCEPT
iptables -A INPUT -m conntrack --ctstate FOO extra
iptables -A INPUT -p icmp --icmp-type foo extra
iptables -A INPUT -j REJECT --reject-with foo extra
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 192.16 8.1.1:22
iptables -t mangle -A PREROUTING -j TTL --ttl-set --ttl-inc 1
iptables -t mangle -A PREROUTING -j TTL --ttl-dec 1 --ttl-inc 1
iptables -t mangle -A PREROUTING -j TTL --ttl-inc 1 --ttl-set 1
iptables -A INPUT -j NFLOG --nflog-range 4294967296
iptables -A INPUT -j NFLOG --nflog-range 5 --nflog-group foo
iptables -A INPUT -j NFLOG --nflog-group foo --nflog-range 5
iptables -A INPUT -m multiport --dports 5 -p tcp
iptables -A INPUT -m tcp --dport 5 -p tcp
iptables -A INPUT -m physdev --physdev-in a/b --physdev-out -m foo
iptables -A INPUT -m iprange --src-range 3.3.3.3-1.1.1.1 --dst-range x
iptables -A INPUT -p tcp --dport foo --bar
iptables -A INPUT -m limit --limit foo -p bar
iptables -A INPUT -m mark --mark x -m nope
iptables -A INPUT -m mark --mark x -j
iptables -A INPUT -m mark --mark 1 --mark x
iptables -A INPUT -m mark --mark x --mark 1
iptables -A INPUT -m mark --mark x -m limit --limit foo
iptables -A INPUT -m limit --limit foo -m mark --mark x
iptables -A INPUT -m mark -m limit --limit foo
iptables -A INPUT -p tcp ! --dport ! 80
iptables -A INPUT -p tcp --dport ! 80
iptables -t nat -A PREROUTING -j DNAT --to-destination 1.1.1.1:5 -p tcp
iptables -A INPUT -p tcp --dport www -j ACCEPT
iptables -A INPUT -p tcp --dport webcache -j ACCEPT
iptables -A INPUT -p udp --sport krb5:l2tp
iptables -A INPUT -p tcp --dport comsat
iptables -A INPUT -p tcp -m multiport --dports ssh,www,imaps
iptables -A INPUT -p sctp --dport amqp
iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 10-ssh
iptables -t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports 10-ssh
iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 1.1.1.1:www
iptables -t raw -A PREROUTING -j NOTRACK
iptables -t raw -L -n
iptables -t raw -S
iptables -L INPUT
