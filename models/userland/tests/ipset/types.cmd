create ip hash:ip initval 0x2eef
create ipt hash:ip timeout 100 counters comment initval 0x4dde
create nm hash:ip netmask 24 initval 0x6ccd
create net hash:net initval 0x8bbc
create netx hash:net timeout 10 counters comment skbinfo initval 0xaaab
create ipp hash:ip,port initval 0xc99a
create ippi hash:ip,port,ip initval 0xe889
create ippn hash:ip,port,net initval 0x10778
create np hash:net,port initval 0x12667
create ni hash:net,iface initval 0x14556
create bp bitmap:port range 80-90
create bi bitmap:ip range 10.0.0.0/24
create bin bitmap:ip range 10.0.0.0/16 netmask 24
create l list:set size 4
create lt list:set timeout 100 counters comment
add ip 0.0.0.0
add ip 0.0.0.0/0
add ip 10.0.0.1-10.0.0.3
add ip 10.0.0.3/31
add ip 10.0.0.9-10.0.0.3/31
add ip 10.0.0.9-
add ip -10.0.0.9
add ip 10.0.0.1/
add ip 10.0.0.1/x
add ip 10.0.0.1/24/24
add ip localhost
add ip [localhost]
add ip [localhost
add ip fe80::1
add ip 010.0.0.1
add ip 10.0.0.256
add ip ""
add ip " "
add ipt 1.1.1.1
add ipt 1.1.1.2 timeout 0
add ipt 1.1.1.3 timeout 2147483
add ipt 1.1.1.4 timeout 2147484
add ipt 1.1.1.4 timeout -1
add ipt 1.1.1.4 timeout x
add ipt 1.1.1.4 timeout 0x10
add ipt 1.1.1.5 packets 5 bytes 6 comment "hello world" timeout 50
add ipt 1.1.1.6 comment 'a"b'
add ipt 1.1.1.6 comment ""
add ipt 1.1.1.7 packets 18446744073709551615
add ipt 1.1.1.8 packets 18446744073709551616
add ipt 1.1.1.9 packets 5 packets 6
add ipt 1.1.1.1 comment again -exist
add ipt 1.1.1.5 -exist
del ipt 1.1.1.1 timeout 5
del ipt 1.1.1.1 comment x
test ipt 1.1.1.1 timeout 5
add nm 10.1.2.3
add nm 10.1.2.4
test nm 10.1.2.99
add net 10.1.2.3
add net 10.1.2.3/8
add net 0.0.0.0/0
add net 1.2.3.4/0
add net 10.1.0.0/16 nomatch
add net 10.2.0.0-10.2.0.5
add net 10.3.0.0-10.4.255.255
add net 10.5.0.0/33
test net 10.9.9.9
test net 10.1.9.9
test net 10.1.9.9 nomatch
test net 10.1.0.0/16
test net 10.1.0.0/16 nomatch
test net 10.9.0.0/16
test net 10.2.0.0-10.2.0.5
del net 10.1.0.0/16
del net 10.1.0.0/16
list net
add ipp 1.1.1.1
add ipp 1.1.1.1,80
add ipp 1.1.1.1,tcp:80
add ipp 1.1.1.1,udp:53
add ipp 1.1.1.1,http
add ipp 1.1.1.1,udp:domain
add ipp 1.1.1.1,sctp:9
add ipp 1.1.1.1,udplite:9
add ipp 1.1.1.1,icmp:echo-request
add ipp 1.1.1.1,icmp:8/0
add ipp 1.1.1.1,icmp:3/1
add ipp 1.1.1.1,icmp:8
add ipp 1.1.1.1,icmp:foo
add ipp 1.1.1.1,icmpv6:1/1
add ipp 1.1.1.1,gre:0
add ipp 1.1.1.1,gre:5
add ipp 1.1.1.1,47:0
add ipp 1.1.1.1,foo:80
add ipp 1.1.1.1,nosuchport
add ipp 1.1.1.1,70000
add ipp 1.1.1.1,90-92
add ipp 1.1.1.1,92-90
add ipp 1.1.1.0/30,100-101
add ipp 1.1.1.1,tcp:200-201
add ipp 1.1.1.1,tcp:200,1.1.1.1
add ipp ,80
add ipp 1.1.1.1,
add ipp 1.1.1.1,tcp:
add ipp 1.1.1.1,0
del ipp 1.1.1.1,100-101
test ipp 1.1.1.1,80
test ipp 1.1.1.1,81
test ipp 1.1.1.1,80-81
test ipp 1.1.1.0/24,80
list ipp
add ippi 1.1.1.1,80,2.2.2.2
add ippi 1.1.1.1,80
add ippi 1.1.1.1,80,2.2.2.2/30
add ippi 1.1.1.0/31,80,3.2.2.2
add ippi 1.1.1.1,80,2.2.2.2,5
list ippi
add ippn 1.1.1.1,80,2.2.2.0/24
add ippn 1.1.1.1,80,2.2.2.9 nomatch
add ippn 1.1.1.1,80,2.2.2.0-2.2.2.7
add ippn 1.1.1.1,80,0.0.0.0/0
test ippn 1.1.1.1,80,2.2.2.9
test ippn 1.1.1.1,80,2.2.2.10
list ippn
add np 10.0.0.0/8,80
add np 10.0.0.0/8,0-3
add np 10.0.0.0/9,udp:53 nomatch
test np 10.1.2.3,80
test np 10.1.2.3,udp:53
list np
add ni 10.0.0.0/8,eth0
add ni 10.0.0.0/8,eth wildcard
add ni 10.0.0.0/8,abcdefghijklmnopq
add ni 0.0.0.0/0,eth1
list ni
add bp 80
add bp 81-83
add bp 79
add bp 85-95
add bp http
add bp tcp:84
add bp udp:84
add bp udp:domain
test bp 84
test bp 70
test bp 85-86
del bp 82
list bp
add bi 10.0.0.1
add bi 10.0.0.5-10.0.0.9
add bi 10.0.1.1
add bi 10.0.0.16/30
add bi 10.0.0.0/23
list bi
add bin 10.0.5.77
add bin 10.0.5.77
list bin
add l ip
add l ip
add l nope
add l l
add l net before ip
add l ipp after ip
add l np before nope
add l np before ipt
add l np after
add l np after net before ip
add l np
add l ni
list l
test l net
test l net before ip
test l net after ip
test l np
del l np after ip
del l np after ipp
list l
destroy ip
rename ip ip2
list l
swap net np
swap net netx
swap ip ipp
destroy l
destroy ip
destroy
list -n
