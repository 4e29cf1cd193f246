iptables -A INPUT -p tcp --dport 99999999999999999999
iptables -A INPUT -p tcp --dport 80:70000
iptables -A INPUT -p tcp --dport 70000:80
iptables -A INPUT -p tcp --dport :
iptables -A INPUT -p tcp --dport 80:
iptables -A INPUT -p tcp --dport :80
iptables -A INPUT -p tcp --dport ::
iptables -A INPUT -p tcp --dport http:80
iptables -A INPUT -p udp --sport 70000
iptables -A INPUT -p udp --sport -5
iptables -A INPUT -p tcp --dport +80
iptables -A INPUT -p tcp --dport 80x
iptables -A INPUT -p 256
iptables -A INPUT -p 255
iptables -A INPUT -p -1
iptables -A INPUT -p 0x6
iptables -A INPUT -p 06
iptables -A INPUT -p ''
iptables -A INPUT -p tcpx
iptables -A INPUT -p TCP
iptables -A INPUT -p tcp,udp
iptables -A INPUT -p 6x
iptables -A INPUT ! -p all
iptables -A INPUT ! -p 0
iptables -A INPUT -p all --dport 1
iptables -A INPUT -p icmp --dport 80
iptables -A INPUT -p icmp --icmp-type 256
iptables -A INPUT -p icmp --icmp-type 8/256
iptables -A INPUT -p icmp --icmp-type 8/
iptables -A INPUT -p icmp --icmp-type /0
iptables -A INPUT -p icmp --icmp-type foo
iptables -A INPUT -p icmp --icmp-type echo
iptables -A INPUT -p icmp --icmp-type -1
iptables -A INPUT -p icmp --icmp-type 8/0/1
iptables -A INPUT -p icmp --icmp-type ''
iptables -A INPUT -p icmp -m icmp --icmp-type any --icmp-type 8
iptables -A INPUT -m tcp --dport 80
iptables -A INPUT -m udp
iptables -A INPUT -p udp -m tcp --dport 80
iptables -A INPUT ! -p tcp -m tcp --dport 80
iptables -A INPUT -p tcp -m multiport --dports 70000
iptables -A INPUT -p tcp -m multiport --dports 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16
iptables -A INPUT -p tcp -m multiport --dports 1:
iptables -A INPUT -p tcp -m multiport --dports ,
iptables -A INPUT -p tcp -m multiport --dports 5:1
iptables -A INPUT -p tcp -m multiport
iptables -A INPUT -p icmp -m multiport --dports 1
iptables -A INPUT -m multiport --dports 1
iptables -A INPUT -m conntrack
iptables -A INPUT -m conntrack --ctstate
iptables -A INPUT -m conntrack --ctstate foo
iptables -A INPUT -m conntrack --ctstate NEW,
iptables -A INPUT -m conntrack --ctstate ,NEW
iptables -A INPUT -m conntrack --ctstate new
iptables -A INPUT -m conntrack --ctstate NEW,,RELATED
iptables -A INPUT -m conntrack --ctstate NEW RELATED
iptables -A INPUT -m conntrack --ctproto 300
iptables -A INPUT -m conntrack --ctorigdst 1.1.1.1/40
iptables -A INPUT -m conntrack --ctorigdstport 70000
iptables -A INPUT -m conntrack --ctexpire 5:1
iptables -A INPUT -m conntrack --ctdir FOO
iptables -A INPUT -m conntrack --ctstatus FOO
iptables -A INPUT -m state --state FOO
iptables -A INPUT -m state
iptables -A INPUT -m mark --mark
iptables -A INPUT -m mark --mark x
iptables -A INPUT -m mark --mark 0x100000000
iptables -A INPUT -m mark --mark 1/
iptables -A INPUT -m mark --mark 1/2/3
iptables -A INPUT -m mark --mark -1
iptables -A INPUT -m mark
iptables -A INPUT -m limit --limit 0/s
iptables -A INPUT -m limit --limit 5/x
iptables -A INPUT -m limit --limit x
iptables -A INPUT -m limit --limit 100000/s
iptables -A INPUT -m limit --limit 5/
iptables -A INPUT -m limit --limit /s
iptables -A INPUT -m limit --limit-burst 0
iptables -A INPUT -m limit --limit-burst 10001
iptables -A INPUT -m comment
iptables -A INPUT -m comment --comment
iptables -A INPUT -m comment --comment ''
iptables -A INPUT -m statistic
iptables -A INPUT -m statistic --mode foo
iptables -A INPUT -m statistic --mode random --probability 2
iptables -A INPUT -m statistic --mode random --probability x
iptables -A INPUT -m statistic --mode nth --every 0
iptables -A INPUT -m statistic --mode nth --every 3 --packet 3
iptables -A INPUT -m statistic --mode random --every 3
iptables -A INPUT -m mac --mac-source 1:2:3
iptables -A INPUT -m mac --mac-source 00:00:00:00:00:gg
iptables -A INPUT -m iprange --src-range 1.1.1.1
iptables -A INPUT -m iprange --src-range 2.2.2.2-1.1.1.1
iptables -A INPUT -m iprange --src-range 1.1.1.1-x
iptables -A INPUT -m length --length 70000
iptables -A INPUT -m length --length 5:1
iptables -A INPUT -m ttl --ttl-eq 256
iptables -A INPUT -m addrtype
iptables -A INPUT -m addrtype --dst-type FOO
iptables -A INPUT -m addrtype --limit-iface-in --dst-type LOCAL --limit-iface-out
iptables -A INPUT -m addrtype --dst-type LOCAL --limit-iface-out
iptables -A INPUT -m recent
iptables -A INPUT -m recent --set --rcheck
iptables -A INPUT -m recent --rcheck --hitcount 300
iptables -A INPUT -m recent --set --seconds 5
iptables -A INPUT -m recent --set --name a/b
iptables -A INPUT -m recent --set --name ''
iptables -A INPUT -m string --string a
iptables -A INPUT -m string --algo bm
iptables -A INPUT -m string --algo foo --string a
iptables -A INPUT -m string --algo bm --hex-string '|zz|'
iptables -A INPUT -m string --algo bm --string a --from 9 --to 3
iptables -A INPUT -m u32 --u32 x
iptables -A INPUT -m u32 --u32 ''
iptables -A INPUT -m set
iptables -A INPUT -m set --match-set nope src
iptables -A INPUT -m set --match-set nope
iptables -A INPUT -m physdev
iptables -A INPUT -m physdev --physdev-in thisnameistoolongforadevice
iptables -A INPUT -i thisnameistoolongforadevice
iptables -A INPUT -i ''
iptables -A INPUT -i 'a b'
iptables -A INPUT -i a/b
iptables -A INPUT -i +
iptables -A INPUT -o lo
iptables -A OUTPUT -i lo
iptables -A POSTROUTING -t nat -i lo
iptables -A PREROUTING -t nat -o lo
iptables -A INPUT -j LOG --log-level foo
iptables -A INPUT -j LOG --log-level 9
iptables -A INPUT -j LOG --log-prefix 123456789012345678901234567890
iptables -A INPUT -j LOG --log-prefix $'a\nb'
iptables -A INPUT -j LOG --log-prefix ''
iptables -A INPUT -j REJECT --reject-with foo
iptables -A INPUT -j REJECT --reject-with tcp-reset
iptables -A INPUT -j REJECT --reject-with
iptables -A INPUT -j DNAT --to-destination 1.1.1.1
iptables -t nat -A INPUT -j DNAT --to-destination 1.1.1.1
iptables -t nat -A OUTPUT -j DNAT
iptables -t nat -A OUTPUT -j DNAT --to-destination
iptables -t nat -A OUTPUT -j DNAT --to-destination foo
iptables -t nat -A OUTPUT -j DNAT --to-destination 1.1.1.1:80
iptables -t nat -A OUTPUT -p tcp -j DNAT --to-destination 1.1.1.1:70000
iptables -t nat -A OUTPUT -p tcp -j DNAT --to-destination 1.1.1.1:0
iptables -t nat -A OUTPUT -p tcp -j DNAT --to-destination 1.1.1.1:
iptables -t nat -A OUTPUT -p tcp -j DNAT --to-destination :
iptables -t nat -A OUTPUT -p tcp -j DNAT --to-destination :80
iptables -t nat -A OUTPUT -p tcp -j DNAT --to-destination 1.1.1.1-
iptables -t nat -A OUTPUT -p tcp -j DNAT --to-destination 2.2.2.2-1.1.1.1
iptables -t nat -A OUTPUT -p tcp -j DNAT --to-destination 1.1.1.1:90-80
iptables -t nat -A OUTPUT -p tcp -j DNAT --to-destination 1.1.1.1 --to-destination 1.1.1.2
iptables -t nat -A OUTPUT -p tcp -j REDIRECT --to-ports 70000
iptables -t nat -A OUTPUT -p tcp -j REDIRECT --to-ports x
iptables -t nat -A OUTPUT -j REDIRECT --to-ports 80
iptables -t nat -A POSTROUTING -j REDIRECT --to-ports 80
iptables -t nat -A POSTROUTING -j SNAT
iptables -t nat -A POSTROUTING -j SNAT --to-source 1.1.1.1/24
iptables -t nat -A POSTROUTING -j SNAT --to-source ''
iptables -t nat -A POSTROUTING -p tcp -j SNAT --to-source 1.1.1.1:70000
iptables -t nat -A POSTROUTING -j MASQUERADE --to-ports 80
iptables -t nat -A POSTROUTING -j MASQUERADE --foo
iptables -t nat -A PREROUTING -j MASQUERADE
iptables -t nat -A PREROUTING -j SNAT --to-source 1.1.1.1
iptables -A FORWARD -j MASQUERADE
iptables -t nat -A POSTROUTING -j DROP --random
iptables -t nat -P POSTROUTING FOO
iptables -t foo -L
iptables -t '' -L
iptables -t
iptables -t nat -t filter -L
iptables -P
iptables -P INPUT
iptables -P INPUT RETURN
iptables -P INPUT REJECT
iptables -P nope DROP
iptables -I INPUT 0 -j ACCEPT
iptables -I INPUT 99 -j ACCEPT
iptables -I INPUT -1 -j ACCEPT
iptables -I INPUT x -j ACCEPT
iptables -I INPUT 1x -j ACCEPT
iptables -I INPUT 99999999999999999999 -j ACCEPT
iptables -R INPUT -j ACCEPT
iptables -R INPUT 0 -j ACCEPT
iptables -R INPUT 99 -j ACCEPT
iptables -D INPUT 0
iptables -D INPUT 99
iptables -D INPUT -1
iptables -D INPUT x
iptables -D INPUT -s 9.9.9.9
iptables -D nope 1
iptables -D nope -s 1.1.1.1
iptables -C INPUT -s 9.9.9.9
iptables -C nope -s 9.9.9.9
iptables -C INPUT
iptables -C INPUT 1
iptables -L INPUT 0
iptables -L INPUT 99
iptables -L INPUT x
iptables -L INPUT -1
iptables -S INPUT 99
iptables -L nope
iptables -S nope
iptables -F nope
iptables -X nope
iptables -X INPUT
iptables -N INPUT
iptables -N ''
iptables -N -x
iptables -N '!x'
iptables -N 'a b'
iptables -N ACCEPT
iptables -N a/b
iptables -N $'a\tb'
iptables -N tcp
iptables -N LOG
iptables -j ACCEPT
iptables -s 1.1.1.1
iptables -L -s
iptables -w x -L
iptables -w -1 -L INPUT
iptables -W 5 -L INPUT
iptables -w 1 -W 5 -L INPUT
iptables -M /bin/true -L INPUT
iptables --modprobe=/bin/true -L INPUT
iptables -h foo
iptables -A INPUT -c
iptables -A INPUT -c 1
iptables -A INPUT -c -1 -1
iptables -A INPUT -c 1 2 3
iptables -A INPUT -6 -j ACCEPT
iptables -4 -A INPUT -s 4.4.4.4
iptables -6 -L
iptables -A INPUT -f -p tcp --dport 80
iptables -A INPUT ! -f ! -f
iptables -A INPUT -s ::1
iptables -A INPUT -s fe80::/10
iptables -A INPUT -s 1.2.3.4/255.255.255.0.1
iptables -A INPUT -s 1.2.3.4/-1
iptables -A INPUT -s /24
iptables -A INPUT -s 1.2.3.4//24
iptables -A INPUT -m tcp -m tcp -p tcp --dport 1
iptables -A INPUT -g ACCEPT
iptables -A INPUT -g nope
iptables -A INPUT -j INPUT
iptables -A INPUT -j OUTPUT
iptables -A ACCEPT -j DROP
iptables -A nope -j DROP
iptables -N loop
iptables -A loop -j loop
iptables -N loop2
iptables -A loop -j loop2
iptables -A loop2 -j loop
iptables -A INPUT -j loop
iptables -X loop
iptables -S
iptables-restore foo
iptables-restore /nope
iptables-restore -T
iptables-restore -T foo <<< $'*filter\nCOMMIT'
iptables-restore -x
iptables-restore --foo
iptables-restore -t <<< $'*filter\n-A INPUT -s 8.8.8.8\nCOMMIT'
iptables-restore <<< ''
iptables-restore <<< $'*'
iptables-restore <<< $'*foo\nCOMMIT'
iptables-restore <<< $'*filter'
iptables-restore <<< $'*filter\n-A INPUT -s 8.8.8.8'
iptables-restore <<< $'*filter\n-A INPUT -s 8.8.8.8 -j'
iptables-restore <<< $'*filter\n-A INP'
iptables-restore <<< $'*filter\n:INP'
iptables-restore <<< $'*filter\n:INPUT'
iptables-restore <<< $'*filter\n:INPUT ACC'
iptables-restore <<< $'*filter\n:INPUT ACCEPT [0'
iptables-restore <<< $'*filter\n:INPUT ACCEPT [0:'
iptables-restore <<< $'*filter\n:INPUT ACCEPT [0:0'
iptables-restore <<< $'*filter\n:INPUT ACCEPT [x:y]\nCOMMIT'
iptables-restore <<< $'*filter\n:INPUT ACCEPT 0:0\nCOMMIT'
iptables-restore <<< $'*filter\n:INPUT - [0:0]\nCOMMIT'
iptables-restore <<< $'*filter\n: ACCEPT [0:0]\nCOMMIT'
iptables-restore <<< $'*filter\n:x y [0:0]\nCOMMIT'
iptables-restore <<< $'*filter\nCOMMI'
iptables-restore <<< $'*filter\nCOMMIT x'
iptables-restore <<< $'*filter\nCOMMIT\nCOMMIT'
iptables-restore <<< $'*filter\n*nat\nCOMMIT'
iptables-restore <<< $'COMMIT'
iptables-restore <<< $'-A INPUT -s 8.8.8.8'
iptables-restore <<< $'foo'
iptables-restore <<< $'*filter\nfoo\nCOMMIT'
iptables-restore <<< $'*filter\n[1:2] -A INPUT -s 8.8.8.8\nCOMMIT'
iptables-restore <<< $'*filter\n[1:2 -A INPUT -s 8.8.8.8\nCOMMIT'
iptables-restore <<< $'*filter\n[x:2] -A INPUT -s 8.8.8.8\nCOMMIT'
iptables-restore <<< $'*filter\n-A INPUT -t nat -s 8.8.8.8\nCOMMIT'
iptables-restore <<< $'*filter\n-L\nCOMMIT'
iptables-restore <<< $'*filter\n-A INPUT -m comment --comment "unfinished\nCOMMIT'
iptables-restore <<< $'\x7fELF'
iptables-restore <<< $'*filter\r\n:INPUT ACCEPT [0:0]\r\nCOMMIT\r'
iptables-restore <<< $'*filter\n\t-A INPUT -s 8.8.8.8\nCOMMIT'
iptables-restore <<< $'*filter\n -A INPUT -s 8.8.8.8\nCOMMIT'
iptables-restore <<< $' *filter\nCOMMIT'
iptables-restore <<< $'* filter\nCOMMIT'
iptables-restore <<< $'*filter extra\nCOMMIT'
iptables-save foo
iptables-save -t foo
iptables-save -t
iptables-save -x
iptables-save --foo
iptables-save -f /nope/x
iptables -S
iptables -F INPUT
iptables -A INPUT -p udp --dport 5:2
iptables -A INPUT -p udp --dport http:80
iptables -A INPUT -p udp --dport ''
iptables -A INPUT -p udp --dport 0x50
iptables -A INPUT -p udp --dport 080
iptables -A INPUT -p udp --dport ' 80'
iptables -A INPUT -p udp --dport '80 '
iptables -A INPUT -p udp --dport 80x
iptables -A INPUT -p udp --dport 1:2:3
iptables -A INPUT -p udp --sport 1:2:3
iptables -A INPUT -p udp --dport :
iptables -A INPUT -p udp --dport +80
iptables -A INPUT -p udp --dport 99999999999
iptables -A INPUT -p udp --dport 99999999999999999999
iptables -A INPUT -p udp --dport 70000:domain
iptables -A INPUT -p udp --dport 1 --dport 2
iptables -A INPUT -p udp --dport 1 --destination-port 2
iptables -A INPUT -p udp --source-port 1 --sport 2
iptables -A INPUT -m conntrack --ctorigdstport 1:2:3
iptables -A INPUT -m conntrack --ctorigdstport ''
iptables -A INPUT -m conntrack --ctorigdstport ' 80'
iptables -A INPUT -m conntrack --ctorigdstport 080
iptables -A INPUT -p icmp --icmp-type 8/0x
iptables -S INPUT
