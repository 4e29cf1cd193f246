create a hash:ip initval 0x2eef
create a hash:ip initval 0x4dde
create a hash:ip -exist initval 0x6ccd
create a hash:net -exist initval 0x8bbc
create a hash:ip timeout 5 -exist initval 0xaaab
add a 1.2.3.4
add a 1.2.3.4
add a 1.2.3.4 -exist
-exist add a 1.2.3.4
-! add a 1.2.3.4
add a 1.2.3.4/30
list a
del a 1.2.3.4
del a 1.2.3.4
-! del a 1.2.3.4
test a 1.2.3.5
test a 1.2.3.4
test a 1.2.3.4/30
-q test a 1.2.3.4
add nope 1.2.3.4
del nope 1.2.3.4
test nope 1.2.3.4
list nope
flush nope
destroy nope
rename nope x
rename a a
swap a nope
add a foo
add a 1.2.3
add a 1.2.3.4/33
add a 1.2.3.4-1.2.3.3
add a 1.2.3.4,5
add a 1.2.3.4 timeout 5
add a 1.2.3.4 packets 5
add a 1.2.3.4 comment x
add a 1.2.3.4 nomatch
add a 1.2.3.4 foo
add a 1.2.3.4 timeout
add a
add
create
create b
create b foo
create b hash:ip foo
create b hash:ip family inet7
create b hash:ip hashsize 0 initval 0x5bde1
create b hash:ip maxelem 0 initval 0x5dcd0
create b2 hash:ip hashsize 3 initval 0x5fbbf
create b3 hash:ip netmask 24 initval 0x61aae
create b4 hash:ip netmask 33 initval 0x6399d
create b5 hash:ip netmask 0 initval 0x6588c
create b6 hash:ip timeout 10 counters comment forceadd skbinfo initval 0x6777b
create b7 hash:ip bucketsize 2 initval 0x6966a
create b8 hash:ip bucketsize 200 initval 0x6b559
create b9 hash:ip bucketsize 1 initval 0x6d448
create c1 hash:ip initval 5
create c2 hash:ip initval 0x5
create c3 hash:ip timeout 4294968 initval 0x73115
create c4 hash:ip timeout 0 initval 0x75004
create c5 hash:ip range 1.2.3.4-1.2.3.5 initval 0x76ef3
create c6 hash:net netmask 24 initval 0x78de2
create averyveryverylongnameforthesetofthirtytwochars hash:ip initval 0x7acd1
create 1234567890123456789012345678901 hash:ip initval 0x7cbc0
create 12345678901234567890123456789012 hash:ip initval 0x7eaaf
create a:b hash:ip initval 0x8099e
create d1 bitmap:port
create d1 bitmap:port range 0-65535
create d2 bitmap:port range 80
create d3 bitmap:port range 90-80
create d4 bitmap:ip range 10.0.0.0/16
create d5 bitmap:ip range 10.0.0.0/8
create d6 bitmap:ip range 10.0.0.0-10.0.0.255 netmask 28
create d7 bitmap:ip range 10.0.0.0/8 netmask 24
create e1 list:set
create e2 list:set size 3
create e3 list:set timeout 30 counters comment
create f1 hash:ip,port initval 0x97cd2
create f2 hash:ip,port,ip initval 0x99bc1
create f3 hash:ip,port,net initval 0x9bab0
create f4 hash:net,port initval 0x9d99f
create f5 hash:net,iface initval 0x9f88e
create f6 hash:net initval 0xa177d
create h1 iphash initval 0xa366c
create h2 nethash initval 0xa555b
create h3 ipporthash initval 0xa744a
create h4 setlist
create h8 ipportiphash initval 0xab228
create h9 ipportnethash initval 0xad117
list
save
-n list
-t list a
list -n
list -t e1
