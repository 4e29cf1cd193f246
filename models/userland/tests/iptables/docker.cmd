iptables -t nat -N DOCKER
iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
iptables -t nat -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
iptables -t nat -A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE
iptables -t nat -A DOCKER -i docker0 -j RETURN
iptables -t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
iptables -N DOCKER
iptables -N DOCKER-USER
iptables -N DOCKER-ISOLATION-STAGE-1
iptables -N DOCKER-ISOLATION-STAGE-2
iptables -P FORWARD DROP
iptables -A FORWARD -j DOCKER-USER
iptables -A FORWARD -j DOCKER-ISOLATION-STAGE-1
iptables -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables -A FORWARD -o docker0 -j DOCKER
iptables -A FORWARD -i docker0 ! -o docker0 -j ACCEPT
iptables -A FORWARD -i docker0 -o docker0 -j ACCEPT
iptables -A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
iptables -A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
iptables -A DOCKER-ISOLATION-STAGE-1 -j RETURN
iptables -A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
iptables -A DOCKER-ISOLATION-STAGE-2 -j RETURN
iptables -A DOCKER-USER -j RETURN
iptables -C DOCKER-USER -j RETURN
iptables -C FORWARD -o docker0 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
iptables -t nat -C DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
iptables -t nat -C DOCKER ! -i docker0 -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
iptables -t nat -C DOCKER ! -i docker0 -p tcp --dport 8081 -j DNAT --to-destination 172.17.0.2:80
iptables-save
iptables -nvL
iptables -t nat -nvL
iptables -t nat -S
iptables -t nat -D DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
iptables -t nat -X DOCKER
iptables -D FORWARD -o docker0 -j DOCKER
iptables -X DOCKER
iptables -F DOCKER
iptables -X DOCKER
iptables -A INPUT -p tcp --syn -m comment --comment "it's a \"test\"" -j REJECT --reject-with tcp-reset
iptables -A INPUT -p udp -j REJECT --reject-with tcp-reset
iptables -A INPUT -j LOG --log-prefix "dropped: " --log-level 4
iptables -A INPUT -m mark --mark 0x4000/0x4000 -j MARK --set-xmark 0x4000/0x4000
iptables -A INPUT -p tcp -m multiport --dports 80,443,8000:8010 -j ACCEPT
iptables -A INPUT -m multiport --dports 80 -j ACCEPT
iptables -A INPUT -p tcp -m multiport --dports 80 --dport 5 -j ACCEPT
iptables -A INPUT -m conntrack --ctstate FOO
iptables -A INPUT -m state --state NEW,ESTABLISHED -p tcp --dport 22 -j ACCEPT
iptables -A FORWARD -j DNAT --to-destination 1.2.3.4
iptables -t nat -A PREROUTING -j SNAT --to-source 1.2.3.4
iptables -t nat -A POSTROUTING -j MASQUERADE --to-ports 1024-2048
iptables -t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports 1024-2048 --random
iptables -t nat -A PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 8080
iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
iptables -t mangle -A POSTROUTING -j TTL --ttl-set 5
iptables -A INPUT -m comment --comment ""
iptables -A INPUT -m comment --comment plain
iptables -A INPUT -m comment
iptables -A INPUT -m comment --comment a --comment b
iptables -S
iptables -L INPUT
iptables-save
iptables-restore --noflush <<< $'*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-POSTROUTING - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n:KUBE-SVC-NPX46M4PTMTKRN6Y - [0:0]\n:KUBE-SEP-ABCDEFGHIJKLMNOP - [0:0]\n-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES\n-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN\n-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000\n-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully\n-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000\n-A KUBE-SERVICES -m comment --comment "default/kubernetes:https cluster IP" -m tcp -p tcp -d 10.96.0.1 --dport 443 -j KUBE-SVC-NPX46M4PTMTKRN6Y\n-A KUBE-SVC-NPX46M4PTMTKRN6Y -m comment --comment "default/kubernetes:https -> 10.0.0.1:6443" -j KUBE-SEP-ABCDEFGHIJKLMNOP\n-A KUBE-SEP-ABCDEFGHIJKLMNOP -m comment --comment default/kubernetes:https -m tcp -p tcp -j DNAT --to-destination 10.0.0.1:6443\nCOMMIT'
iptables-save -t nat
iptables -t nat -L -n
iptables-restore --noflush <<< $'*nat\n-X KUBE-SEP-ABCDEFGHIJKLMNOP\nCOMMIT'
iptables-restore --noflush <<< $'*nat\n:KUBE-SVC-NPX46M4PTMTKRN6Y - [0:0]\n-X KUBE-SEP-ABCDEFGHIJKLMNOP\nCOMMIT'
iptables-restore --noflush <<< $'*nat\n-F KUBE-SEP-ABCDEFGHIJKLMNOP\n-X KUBE-SEP-ABCDEFGHIJKLMNOP\nCOMMIT'
iptables-save -t nat
