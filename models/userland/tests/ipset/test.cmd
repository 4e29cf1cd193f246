create a hash:ip initval 0x2eef
add a 10.0.0.2
add a 10.0.0.10
add a 9.0.0.1
add a 100.0.0.1
list -s a
create p hash:ip,port initval 0xe889
add p 10.0.0.2,udp:9
add p 10.0.0.2,tcp:80
add p 10.0.0.2,tcp:443
add p 9.0.0.2,icmp:8/0
list -s p
create n hash:net comment initval 0x1a223
add n 10.0.0.0/8
add n 10.0.0.0/16 nomatch comment x
add n 9.0.0.0/8
list -s n
create ipi hash:ip,port,ip initval 0x23cce
test ipi 1.1.1.1-1.1.1.2,80,1.1.1.1
test ipi 1.1.1.0/24,80,1.1.1.1
test ipi 1.1.1.0,80-81,1.1.1.1
create ipn hash:ip,port,net initval 0x2b88a
test ipn 1.1.1.1,80,1.1.1.0/24
test ipn 1.1.1.1,80,1.1.1.0-1.1.1.1
test ipn 1.1.1.0/24,80,1.1.1.0
create np hash:net,port initval 0x33446
test np 1.1.1.0/24,80
test np 1.1.1.0-1.1.1.1,80
test np 1.1.1.0,80-81
create ni hash:net,iface initval 0x3b002
test ni 1.1.1.0-1.1.1.1,eth0
test ni 1.1.1.0/24,eth0
add ni 1.1.1.0-1.1.1.1,eth0
add ni 1.1.1.0/24,physdev:
add ni 1.1.1.0/24,foo:eth0
add ni 1.1.1.0/24,a,b
test ni 1.1.1.0/24,eth0 wildcard
del ni 1.1.1.0/24,eth0 wildcard
create bp bitmap:port range 1-100
test bp tcp:80
test bp udp:53
add bp 80,1
add bp foo
test bp tcp:80-81
del a 10.0.0.2-10.0.0.9
del a 10.0.0.2-10.0.0.9 -exist
del a 9.0.0.1 foo
list a extra -t
create l list:set
add l a
add l n,before,a
add l p,after,a
add l p,foo,a
add l p before
test l n,before,a
list l
create s4 hash:ip -4 hashsize 64 initval 0x6f337
create s5 iphash --hashsize 64 initval 0x71226
create s6 hash:ip probes 4 resize 50 initval 0x73115
create s7 hash:ip gc 5 initval 0x75004
create s8 hash:ip hashsize 1024 family inet initval 0x76ef3
create netporthash netporthash initval 0x78de2
create netifacehash netifacehash initval 0x7acd1
create s11 bitmap:port range 5
create s13 hash:ip counters timeout 5 comment skbinfo initval 0x7eaaf
add s13 1.1.1.1 skbmark 0x1/0xff skbprio 1:2 skbqueue 3 packets 1 bytes 2 comment c timeout 0
list s13
-n list s13 -o save
save -n s13
add s13 1.1.1.2 comment c comment d
add s13 1.1.1.2 skbmark 0x1 skbmark 2
add n 1.1.1.1 nomatch nomatch
