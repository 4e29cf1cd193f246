create a hash:ip hashsize 64 initval 1
add a 10.0.0.0/22
list a
del a 10.0.0.0/23
list a
create b hash:ip,port hashsize 64 initval 2 bucketsize 2
add b 10.0.0.0/28,1-8
list b
del b 10.0.0.0/29,1-5
list b
create c hash:net hashsize 64 initval 3 bucketsize 4 comment counters
add c 10.0.0.1-10.3.3.3 comment foo packets 3
del c 10.0.0.1-10.2.0.0
list c
create d hash:ip,port,net hashsize 64 initval 4 timeout 0
add d 10.0.0.0/30,tcp:80-99,10.0.0.0/29
list d
create e hash:ip,port,ip hashsize 64 initval 5 skbinfo
add e 10.0.0.0/26,udp:5-6,10.0.0.4 skbmark 0x5
list e
create f hash:net,port hashsize 64 initval 6
add f 10.0.0.0-10.0.0.250,udp:5-9
list f
create g hash:net,iface hashsize 64 initval 7
add g 10.0.0.0-10.0.0.250,eth0
add g 10.0.0.0-10.0.0.250,physdev:eth1
add g 0.0.0.0/0,eth
list g
create h hash:ip maxelem 5 initval 9
add h 10.0.0.1-10.0.0.9
list h
create i hash:ip netmask 28 initval 9
add i 10.0.0.0/24
list i
create j hash:ip maxelem 5000 hashsize 4096 initval 9
add j 10.0.0.1
list -t j
