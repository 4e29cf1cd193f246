iptables
iptables foo
iptables -A
iptables -A INPUT foo
iptables -A INPUT -s
iptables -A INPUT -s 1.2.3.4 -s 1.2.3.5
iptables -A INPUT -s 1.2.3.4/33
iptables -A INPUT -s 1.2.3.4/
iptables -A INPUT -s 1.2.3.4/a
iptables -A INPUT -s 1.2.3.4/255.255
iptables -A INPUT -s 1.2.3
iptables -A INPUT -s 1.2/16
iptables -A INPUT -s 1.2.3.4.5
iptables -A INPUT -s 256.1.1.1
iptables -A INPUT -s 01.02.03.04
iptables -A INPUT -s 0x1.2.3.4
iptables -A INPUT -s 1.2.3.4,
iptables -A INPUT -s ,1.2.3.4
iptables -A INPUT -s ''
iptables -A INPUT -s nosuchhost
iptables -A INPUT -s localhost
iptables -A INPUT -s '10.0.0.1, 10.0.0.2'
iptables -A INPUT -s '1.2.3.4 '
iptables -A INPUT -s 1.2.3.4-1.2.3.5
iptables -A INPUT ! -s 1.2.3.4,1.2.3.5
iptables -A INPUT ! ! -s 1.2.3.4
iptables -A INPUT ! -j ACCEPT
iptables -A INPUT ! -m tcp
iptables ! -A INPUT
iptables -A INPUT !
iptables -A INPUT -s ! 1.2.3.4
iptables -A INPUT -p ! tcp
iptables -A INPUT -i ! eth0
iptables -A INPUT -p tcp --dport ! 80
iptables -A INPUT -p tcp ! --dport ! 80
iptables -A INPUT -p tcp --tcp-flags ! SYN SYN
iptables -A INPUT ! -v -s 1.1.1.1
iptables -v ! -L
iptables -A INPUT -m
iptables -A INPUT -j
iptables -A INPUT -j ''
iptables -A INPUT -m ''
iptables -A INPUT -m foo
iptables -A INPUT -m foo --bar
iptables -A INPUT -j FOO
iptables -A INPUT -j FOO --bar
iptables -A INPUT -j ACCEPT --bar
iptables -A INPUT -j ACCEPT -j DROP
iptables -A INPUT -j ACCEPT -g foo
iptables -A INPUT -g
iptables -A INPUT --dport 80
iptables -A INPUT -p tcp --dport
iptables -A INPUT -p tcp --dport 70000
iptables -A INPUT -p tcp --dport 65536
iptables -A INPUT -p tcp --dport -1
iptables -A INPUT -p tcp --dport ''
iptables -A INPUT -p tcp --dport abc
iptables -A INPUT -p tcp --dport 80,90
iptables -A INPUT -p tcp --dport 80 --dport 90
iptables -A INPUT -p tcp --sport 80 --sport 90
iptables -A INPUT -p tcp --dport 5:2
iptables -A INPUT -p tcp --dport 5:2:3
iptables -A INPUT -p tcp --dport 5-9
iptables -A INPUT -p tcp --dport 0x50
iptables -A INPUT -p tcp --dport 080
iptables -A INPUT -p tcp --dport ' 80'
iptables -A INPUT -p tcp --tcp-flags SYN
iptables -A INPUT -p tcp --tcp-flags
iptables -A INPUT -p tcp --tcp-flags SYN FOO
iptables -A INPUT -p tcp --tcp-flags SYN,FOO SYN
iptables -A INPUT -p tcp --tcp-flags SYN -j ACCEPT
iptables -A INPUT -p tcp --tcp-flags SYN SYN --syn
iptables -A INPUT -p tcp --syn --syn
iptables -A INPUT -p tcp --tcp-option
iptables -A INPUT -p tcp --tcp-option 256
iptables -A INPUT -p tcp --tcp-option 5 --tcp-option 6
iptables -A INPUT -p tcp --icmp-type 8
iptables -A INPUT -p tcp --foo
iptables -A INPUT -p tcp --d 80
iptables -A INPUT -p tcp --dst 1.1.1.1 --dpo 80
iptables -A INPUT -p tcp --destination 80
iptables -A INPUT -p tcp --dest 80
iptables -A INPUT --proto tcp --destination-p 81
iptables -A INPUT --pro
iptables -A INPUT --source=1.1.1.1 --jump=ACCEPT
iptables --append INPUT --src 2.2.2.2 --in-interface eth0 --goto INPUT
iptables --list=INPUT
iptables --li INPUT
iptables --list-r INPUT
iptables --line-n -L INPUT
iptables --list-rules INPUT
iptables --new
iptables --new-chain a --verbose=3
iptables --ver
iptables --verb
iptables -q
iptables -A INPUT -q
iptables --foo
iptables -A INPUT -
iptables -A INPUT --
iptables -A INPUT -- foo
iptables -A INPUT -A INPUT
iptables -A INPUT -D INPUT 1
iptables -L -F
iptables -L -S
iptables -N x -X x
iptables -L INPUT -j ACCEPT
iptables -L INPUT -s 1.1.1.1
iptables -F INPUT -s 1.1.1.1
iptables -F INPUT -n
iptables -F INPUT -v
iptables -F --line-numbers
iptables -N foo -j ACCEPT
iptables -N foo -v
iptables -X foo -v
iptables -P INPUT DROP -v
iptables -P INPUT ACCEPT -n
iptables -Z -v
iptables -Z -L
iptables -L -Z
iptables -L -Z INPUT
iptables -Z INPUT -L INPUT
iptables -Z -F
iptables -S -n
iptables -S -v
iptables -S INPUT -x
iptables -A INPUT -n
iptables -A INPUT -x
iptables -A INPUT --line-numbers
iptables -A INPUT -v -s 3.3.3.3 -p tcp --dport 80 -j ACCEPT
iptables -I INPUT -v -s 3.3.3.3 -i eth0 ! -o eth1 -j ACCEPT
iptables -I FORWARD -v -s 3.3.3.3 -i eth0 ! -o eth1 -j ACCEPT
iptables -D INPUT -v -s 3.3.3.3 -p tcp --dport 80 -j ACCEPT
iptables -C INPUT -v -s 3.3.3.3 -p tcp --dport 80 -j ACCEPT
iptables -R INPUT 1 -v -s 3.3.3.9 -p tcp --dport 80 -j ACCEPT
iptables -c 5 6 -A INPUT -s 5.5.5.5
iptables -A INPUT -s 5.5.5.5 -c 7
iptables -A INPUT -s 5.5.5.5 -c 7 -j ACCEPT
iptables -A INPUT -s 5.5.5.5 -c 7 8 -j ACCEPT
iptables -A INPUT -s 5.5.5.5 -c x 8 -j ACCEPT
iptables -A INPUT -s 5.5.5.5 -c 8 x -j ACCEPT
iptables -A INPUT --set-counters 10000000 200000000 -s 6.6.6.6
iptables -A INPUT -c 1234567890123 123456789012345678 -s 6.6.6.7
iptables -A INPUT -c 1,2 -s 6.6.6.8
iptables -L -v
iptables -L -v -x
iptables -L -c 1 2
iptables -w -L INPUT
iptables -w 5 -L INPUT
iptables -w5 -L INPUT
iptables -w foo -L INPUT
iptables -w -W 1000 -L INPUT
iptables -W 1000 -L INPUT
iptables -W
iptables --wait=3 -L INPUT
iptables --wait-interval 3 -L INPUT
iptables -w 5 -W foo -L INPUT
iptables -4 -L INPUT
iptables -6 -L INPUT
iptables -L -4 INPUT
iptables -V
iptables --version
iptables -V foo
iptables -L -V
iptables -t
iptables -t nat
iptables -t foo -L
iptables -t nat -t mangle -L
iptables -D INPUT
iptables -D INPUT 1 2
iptables -D INPUT foo
iptables -D INPUT 1 -j ACCEPT
iptables -I
iptables -I INPUT 1 2
iptables -E
iptables -E a
iptables -E a b c
iptables -P
iptables -P INPUT
iptables -P INPUT ACCEPT foo
iptables -X a b
iptables -F a b
iptables -L a b c
iptables -S a b c
iptables -Z a b c
iptables -C
iptables -A 12345678901234567890123456789
iptables -A INPUT -j 12345678901234567890123456789
iptables -A INPUT -m 12345678901234567890123456789012
iptables -A INPUT -j 123456789012345678901234567890
iptables -A INPUT -g 12345678901234567890123456789
iptables -A '' -j ACCEPT
iptables -A INPUT -f -f
iptables -A INPUT --fragment
iptables -A INPUT -f eth0
iptables -A INPUT -o lo
iptables -A INPUT -io lo
iptables -A INPUT -ilo -ptcp -jACCEPT
iptables -A INPUT -p tcp -p udp
iptables -A INPUT -i lo -i eth0
iptables -nL INPUT
iptables -Ln INPUT
iptables -LINPUT -n
iptables -AINPUT -s 77.1.1.1
iptables -S
