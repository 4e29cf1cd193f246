conntrack -L
conntrack -C
conntrack -F
conntrack -I -s 10.0.0.1 -d 10.0.0.2 -p tcp --sport 1111 --dport 80 --state ESTABLISHED -u SEEN_REPLY,ASSURED -t 1000
conntrack -I -s 10.0.0.1 -d 10.0.0.2 -p tcp --sport 1112 --dport 443 --state SYN_SENT -t 1000
conntrack -I -s 10.0.0.3 -d 10.0.1.2 -p udp --sport 53 --dport 53 -t 1000 -m 5
conntrack -I -s 10.0.0.3 -d 10.0.1.2 -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 77 -t 1000
conntrack -I -s 10.0.0.4 -d 10.0.1.2 -p udp --sport 5353 --dport 5353 -t 1000 -w 9
conntrack -I -s 10.0.0.4 -d 10.0.1.3 -p udp --sport 5353 --dport 5353 -t 1000 --orig-zone 3
conntrack -I -s 10.0.0.4 -d 10.0.1.4 -p udp --sport 5353 --dport 5353 -t 1000 --reply-zone 4
conntrack -I -s 10.0.0.5 -d 10.0.1.4 -p tcp --sport 5 --dport 6 -r 192.168.0.9 -q 10.0.0.5 --state ESTABLISHED -t 1000 -u SEEN_REPLY
conntrack -I -s 10.0.0.6 -d 10.0.1.5 -p tcp --sport 5 --dport 6 -n 1.1.1.1 --state TIME_WAIT -t 1000
conntrack -I -s 10.0.0.7 -d 10.0.1.6 -p tcp --sport 5 --dport 6 -g 2.2.2.2:8080 --state CLOSE -t 1000 -m 0x10
conntrack -I -s 10.0.0.8 -d 10.0.1.6 -p udp --sport 5 --dport 6 -n 3.3.3.3:99 -g 4.4.4.4:88 -t 1000
conntrack -I -s 10.0.0.9 -d 10.0.1.7 -p gre -t 1000
conntrack -I -s 10.0.0.9 -d 10.0.1.7 -p 99 -t 1000
conntrack -C
conntrack -L
conntrack -L conntrack
conntrack -L expect
conntrack -L dying
conntrack -L unconfirmed
conntrack -L foo
conntrack -L -p tcp
conntrack -L -p tcp --state ESTABLISHED
conntrack -L -p tcp --state TIME_WAIT
conntrack -L -p tcp --state NONE
conntrack -L -p tcp --state foo
conntrack -L -p tcp --state established
conntrack -L --state ESTABLISHED
conntrack -L -p udp
conntrack -L -p udp --sport 53
conntrack -L -p udp --dport 5353
conntrack -L --dport 5353
conntrack -L --sport 5353 -p udp
conntrack -L -p tcp --dport 70000
conntrack -L -p tcp --dport 65616
conntrack -L -p tcp --dport -1
conntrack -L -p tcp --dport x
conntrack -L -p tcp --dport http
conntrack -L -p tcp --dport ''
conntrack -L -p tcp --orig-port-src 5
conntrack -L -p tcp --orig-port-dst 6
conntrack -L -p tcp --reply-port-src 8080
conntrack -L -p tcp --reply-port-dst 5
conntrack -L -p icmp
conntrack -L -p icmp --icmp-type 8
conntrack -L -p icmp --icmp-id 77
conntrack -L -p icmp --icmp-id 78
conntrack -L -p icmp --icmp-code 1
conntrack -L -p 6
conntrack -L -p 17
conntrack -L -p 99
conntrack -L -p 256
conntrack -L -p -1
conntrack -L -p foo
conntrack -L -p unknown
conntrack -L -p gre
conntrack -L -p sctp
conntrack -L -p TCP
conntrack -L -p ''
conntrack -L -s 10.0.0.1
conntrack -L -s 10.0.0.0/30
conntrack -L -s 10.0.0.3/255.255.255.255
conntrack -L -s 10.0.0.0/33
conntrack -L -s 10.0.0.0/-1
conntrack -L -s 10.0.0.0/x
conntrack -L -s 10.0.0.0/
conntrack -L -s 10.0.0
conntrack -L -s foo
conntrack -L -s ''
conntrack -L -d 10.0.1.2
conntrack -L -d 10.0.1.0/24 -p udp
conntrack -L --orig-src 10.0.0.1
conntrack -L --orig-dst 10.0.0.2
conntrack -L -r 192.168.0.9
conntrack -L --reply-src 2.2.2.2
conntrack -L -q 1.1.1.1
conntrack -L --reply-dst 10.0.0.5
conntrack -L -s 10.0.0.1 -s 10.0.0.3
conntrack -L -s 10.0.0.1 -d 10.0.0.2 -p tcp --sport 1111 --dport 80
conntrack -L -m 5
conntrack -L -m 0x10
conntrack -L -m 0x10/0xff
conntrack -L -m 0/0
conntrack -L -m x
conntrack -L -m 5/
conntrack -L -w 9
conntrack -L -w 0
conntrack -L -w 70000
conntrack -L -w x
conntrack -L --zone 9
conntrack -L --orig-zone 3
conntrack -L --orig-zone 9
conntrack -L --reply-zone 4
conntrack -L --orig-zone 3 --zone 9
conntrack -L -u ASSURED
conntrack -L -u SEEN_REPLY
conntrack -L -u UNREPLIED
conntrack -L -u UNSET
conntrack -L -u FIXED_TIMEOUT
conntrack -L -u foo
conntrack -L -u ASSURED,foo
conntrack -L -u assured
conntrack -L -n
conntrack -L -g
conntrack -L -j
conntrack -L -n 1.1.1.1
conntrack -L -n 1.1.1.2
conntrack -L -n 1.1.1.0/24
conntrack -L -g 2.2.2.2
conntrack -L -g 2.2.2.2:8080
conntrack -L -g :8080
conntrack -L -j 3.3.3.3
conntrack -L --src-nat
conntrack -L --dst-nat 4.4.4.4:88
conntrack -L --any-nat
conntrack -L -n foo
conntrack -L -n 1.1.1.1:x
conntrack -L -n 1.1.1.1:70000
conntrack -L -o extended
conntrack -L -o save
conntrack -L -o xml -p icmp
conntrack -L -o save,extended -p icmp
conntrack -L -o foo
conntrack -L -o extended,foo
conntrack -L -o ''
conntrack -L -o
conntrack -L -z
conntrack -L -z -p tcp
conntrack -L -e NEW
conntrack -L -t 5
conntrack -L -b 5
conntrack -L -f ipv4
conntrack -L -f ipv6
conntrack -L -f foo
conntrack -L -f ipv4 -s 10.0.0.1
conntrack -L --foo
conntrack -L -x
conntrack -L extra words
conntrack -L -L
conntrack -L -D
conntrack -L -h
conntrack --dump -p icmp
conntrack --dum -p icmp
conntrack -Lconntrack -p icmp
conntrack -G
conntrack -G -s 10.0.0.1 -d 10.0.0.2 -p tcp --sport 1111 --dport 80
conntrack -G -s 10.0.0.1 -d 10.0.0.2 -p tcp --sport 9 --dport 80
conntrack -G -s 10.0.0.1 -d 10.0.0.2 -p tcp
conntrack -G -s 10.0.0.1 -d 10.0.0.2
conntrack -G -r 10.0.0.2 -q 10.0.0.1 -p tcp --sport 1111 --dport 80
conntrack -G -p tcp
conntrack -U -p icmp -m 3
conntrack -U -p icmp -m 0x30/0xf0
conntrack -L -p icmp
conntrack -U -s 10.0.0.1 -p tcp --dport 80 -m 9
conntrack -L -s 10.0.0.1 -p tcp
conntrack -U -s 9.9.9.9 -m 9
conntrack -U
conntrack -U -m 7
conntrack -U -p tcp --dport 443 --state ESTABLISHED
conntrack -U -p tcp --dport 443 -t 50
conntrack -U -p tcp --dport 80 -u UNSET
conntrack -U -p tcp --dport 80 -u SEEN_REPLY
conntrack -U -p icmp -o extended -m 1
conntrack -D -p icmp
conntrack -D -p icmp
conntrack -D -s 10.0.0.1 -o extended
conntrack -D -w 9
conntrack -D --orig-zone 3
conntrack -D -m 5
conntrack -D -n
conntrack -D -g
conntrack -D -z
conntrack -D -s 9.9.9.9
conntrack -D -p tcp --state FOO
conntrack -D -p tcp --state CLOSE
conntrack -D -o id -s 9.9.9.9
conntrack -D -o save -p gre
conntrack -C -p tcp
conntrack -C foo
conntrack -C expect
conntrack -S -p tcp
conntrack -S foo
conntrack -F -p tcp
conntrack -F foo
conntrack -F expect
conntrack -F -f ipv4
conntrack -F -f ipv6
conntrack -E foo
conntrack -E -e
conntrack -E -e FOO
conntrack -E -e NEW,FOO
conntrack -E -z
conntrack -E -t 5
conntrack -E -o foo
conntrack -E -p foo
conntrack -I
conntrack -I -s 1.1.1.1
conntrack -I -s 1.1.1.1 -d 2.2.2.2
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p tcp
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p tcp --sport 1 --dport 2
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p tcp --sport 1 --dport 2 -t 10
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p tcp --sport 1 --dport 2 -t 10 --state FOO
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p tcp --sport 1 --dport 2 --state LISTEN -t 1000
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p tcp --sport 1 --dport 2 --state LISTEN -t 1000
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 1 --dport 2
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p udp --dport 2 -t 1000
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 1 -t 1000
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 70000 --dport 2 -t 1000
conntrack -I -s 1.1.1.0/24 -d 2.2.2.2 -p udp --sport 8 --dport 2 -t 1000
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 9 --dport 2 -t x
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 10 --dport 2 -t 99999999999
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p icmp -t 1000
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p icmp --icmp-type 8 --icmp-code 0 -t 1000
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p icmp --icmp-type 3 --icmp-code 0 --icmp-id 1 -t 1000
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 11 --dport 2 -t 1000 -o extended
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 12 --dport 2 -t 1000 -u FOO
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 12 --dport 2 -t 1000 -u ASSURED
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 13 --dport 2 -t 1000 -w 70000
conntrack -A -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 14 --dport 2 -t 1000
conntrack -A -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 14 --dport 2 -t 1000
conntrack -L
conntrack
conntrack -p tcp
conntrack -V
conntrack -M
conntrack foo
conntrack ''
conntrack --
conntrack -
conntrack -F
conntrack -I -p tcp
conntrack -I -p tcp --sport 1 --dport 2 -t 5 --state CLOSE
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p tcp -t 10
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p tcp --state CLOSE -t 10
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p icmp -t 5 --icmp-type 8
conntrack -I -p gre -t 5
conntrack -G -p gre -s 1.1.1.1 -d 2.2.2.2
conntrack -G -p icmp -s 1.1.1.1 -d 2.2.2.2
conntrack -G -p udp -s 1.1.1.1 -d 2.2.2.2 --sport 1
conntrack -G -j -p udp -s 1.1.1.1 -d 2.2.2.2 --sport 1 --dport 2
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p tcp --sport 4 --dport 2 -t 1000 --state SYN_SENT2
conntrack -I -r 1.1.1.1 -q 2.2.2.2 -p udp --sport 21 --dport 22 -t 1000
conntrack -I -r 1.1.1.1 -q 2.2.2.2 -p udp --reply-port-src 23 --reply-port-dst 22 -t 1000
conntrack -I -r 1.1.1.1 -q 2.2.2.2 -p udp -t 10
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -r 3.3.3.3 -p udp --sport 31 --dport 22 -t 1000
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -r 3.3.3.3 -q 1.1.1.1 -p udp --sport 32 --dport 22 --reply-port-src 22 --reply-port-dst 32 -t 1000
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 33 --dport 22 --reply-port-src 5 --reply-port-dst 6 -t 1000
conntrack -I -s 1.1.1.1 -d 2.2.2.0/24 -p udp --sport 33 --dport 22 -t 1000
conntrack -G -s 1.1.1.0/24 -d 2.2.2.2 -p udp --sport 33 --dport 22
conntrack -U -s 1.1.1.0/24 -p udp --sport 33 -m 3
conntrack -L
conntrack -D -u UNSET
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 41 --dport 22 -t 1000 -u UNSET
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 42 --dport 22 -t 1000 -j 5.5.5.5
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 43 --dport 22 -t 1000 -n
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 44 --dport 22 -t 1000 -n 5.5.5.5:10
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 45 --dport 22 -t 1000 -n 5.5.5.5:10 -g 8.8.8.8
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 45 --dport 22 -t 1000 -n :10
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 45 -t 1000 -n 6.6.6.6
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 47 --dport 22 -t 1000 -g 1.1.1.1/24
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 48 --dport 22 -t 1000 -n 1.1.1.1
conntrack -L
conntrack -L -n
conntrack -L -g
conntrack -L -g x
conntrack -L -o EXTENDED -p icmp
conntrack -L -o save
conntrack -E -e new -o foo
conntrack -D -b 5
conntrack -o xml
conntrack -F
conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 99 --dport 22 -t 4294968296
conntrack -L
