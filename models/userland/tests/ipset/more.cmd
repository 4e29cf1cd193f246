create a hash:ip bucketsize 3 initval 0x2eef
create b hash:ip bucketsize 11 initval 0x4dde
create c hash:ip bucketsize 0 initval 0x6ccd
create d hash:ip bucketsize 10 initval 0x8bbc
create e hash:ip bucketsize 14 initval 0xaaab
create l list:set
add l a
destroy
list -t
list l
flush
list l
add l a
swap a b
list -t
swap l a
create l2 list:set
swap l l2
list
test l b
create f hash:ip initval 0x2999b
destroy c
create g hash:ip initval 0x2d779
list -n
create h hash:net initval 0x31557
create ni hash:net,iface initval 0x33446
add ni 10.0.0.0/8,eth0
add ni 10.0.0.0/8,eth1
test ni 10.0.0.0/8,eth0
test ni 10.1.1.1,eth0
test ni 10.1.1.1,physdev:eth0
test ni 10.1.1.1,eth2
add ni 10.1.1.1,
create ipn hash:ip,port,net initval 0x42bbe
add ipn 1.1.1.0/31,80-81,10.0.0.0-10.0.0.2
list ipn
create np hash:net,port initval 0x4888b
add np 10.0.0.0-10.0.0.2,udp:5-6
list np
add np 10.0.0.0/8,5 timeout 3
create tt hash:ip timeout 3 initval 0x50447
add tt 1.2.3.4 skbmark 0x1
add tt 1.2.3.4 comment x
add tt 1.2.3.4 bytes 1
add tt 1.2.3.4 packets x
add tt 1.2.3.4 comment
create cc hash:ip comment skbinfo initval 0x5bde1
add cc 1.2.3.4 comment aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
add cc 1.2.3.6 skbmark x
add cc 1.2.3.6 skbmark 1/
add cc 1.2.3.6 skbmark 0x1/0x2
add cc 1.2.3.7 skbprio 1
add cc 1.2.3.7 skbprio 1:x
add cc 1.2.3.7 skbprio 1:ffff
add cc 1.2.3.8 skbqueue 70000
add cc 1.2.3.8 skbqueue 3
add cc 1.2.3.9 skbmark 0x0
list cc
create p hash:ip,port initval 0x73115
add p 1.1.1.1,tcp:80-70000
add p 1.1.1.1,tcp:x-y
add p 1.1.1.1,tcp:http-https
add p 1.1.1.1,[http]
add p 1.1.1.1,udp:[domain]
add p 1.1.1.1,http-81
add p 1.1.1.1,ftp-data
add p 1.1.1.1,[ftp-data]
add p 1.1.1.1,[ftp-data]-[ftp]
add p 1.1.1.1,0:80
add p 1.1.1.1,6:80
add p 1.1.1.1,256:80
add p 1.1.1.1,ospf:0
add p 1.1.1.1,esp:0
add p 1.1.1.1,vrrp:0
add p 1.1.1.1,icmp:ping
add p 1.1.1.1,icmp:any
add p 1.1.1.1,icmp:0/0
add p 1.1.1.1,icmp:3/3
add p 1.1.1.1,icmp:256/0
add p 1.1.1.1,icmp:network-unreachable
add p 1.1.1.1,icmp:99/9
add p 1.1.1.1,tcp:080
add p 1.1.1.1,0x50
add p 1.1.1.1/32,22
list p
destroy
list -t
flush
destroy
list l
