create a hash:ip initval 0x2eef
add a 1.1.1.1 timeout 5 -exist
add a
add -exist
add -exist a 1.1.1.1
add a -exist 1.1.1.1
-exist
create
create -exist x
list -n -n
list -foo
list foo -bar
foo bar
add a 1.1.1.1 -foo
add a 1.1.1.1 -q
add a 1.1.1.2 -q
test a 1.1.1.2 -q
add a 1.1.1.3 -quiet -exist
-o plain add a 1.1.1.4
add a 1.1.1.5 -o save
add a 1.1.1.5 -n
add a 1.1.1.6 -s
list -q a
-t -o save list a
-o
list -o
destroy a -t
flush -n
rename a b -exist
--exist add b 1.1.1.1
--name list
-name
list --name
list -l
ADD b 1.1.1.1
adds b 1.1.1.1
ad b 1.2.2.2
--ad b 1.2.2.3
-A b 1.2.2.4
--append b 1.2.2.2
-v
create nosuch hash:foo
create nosuch foo -exist
create a-very-long-name-that-is-too-long-for-it hash:ip initval 0x56114
add a-very-long-name-that-is-too-long-for-it 1.1.1.1
list a-very-long-name-that-is-too-long-for-it
rename b a-very-long-name-that-is-too-long-for-it
destroy a-very-long-name-that-is-too-long-for-it
test b
del b
test
flush a b
save a b
version -q
quit
create p hash:ip,port initval 0x6d448
test p 1.1.1.1,80-81
test p 1.1.1.1-1.1.1.2,80
del p 1.1.1.1-1.1.1.2,80
create i hash:ip initval 0x75004
test i 1.1.1.1-1.1.1.5
test i 1.1.1.1/30
create bi bitmap:ip range 1.1.1.0/24
test bi 1.1.1.0/30
test bi 1.1.1.1-1.1.1.2
create n hash:net initval 0x8099e
test n 1.1.1.0/24
create l list:set
test l a,b
add l a,b
add l b
add l b before b
add l a:b
create ib hash:ip,port,ip initval 0x90116
add ib 1.1.1.1,80,foo
add ib foo,80,1.1.1.1
add ib 1.1.1.1,80,
add ib ,,
add ib 1.1.1.1,,1.1.1.1
add ib 1.1.1.1,80,1.1.1.1-1.1.1.2
create in hash:ip,port,net initval 0x9d99f
add in 1.1.1.1,80,1.1.1.1/33
add in 1.1.1.1,80,1.1.1.1/0
add in 1.1.1.1,80,x/24
add in 1.1.1.1/33,80,1.1.1.1
add in 1.1.1.1/0,80,1.1.1.1
add in 1.1.1.1-x,80,1.1.1.1
add n x/24
add n 1.1.1.1-x
add n x-1.1.1.1
add n 1.1.1.1/255.255.255.0
add n 1.1.1.1/-1
add n 1.1.1.1/0x18
add i 1.1.1.1.1
add i 1.1.1.1/32
add i 2.2.2.2-2.2.2.2
add i 1.1.1.1 packets
add i 1.1.1.1 -exist timeout 3
create t hash:ip timeout 10 initval 0xc066d
add t 1.1.1.1 timeout 010
add t 1.1.1.2 timeout 1.5
add t 1.1.1.2 timeout ""
add t 1.1.1.2 timeout " 5"
add t 1.1.1.2 timeout +5
add t 1.1.1.2 timeout 5s
create m hash:ip netmask x
create m hash:ip netmask "" initval 0xcfde5
create m hash:ip maxelem 5000000000 initval 0xd1cd4
create m hash:ip family
create m hash:ip comment x
create m hash:ip initval 4294967296
create m hash:ip initval -1
create m hash:ip foo bar
create m bitmap:port range 1-2-3
create m bitmap:port range -
create m bitmap:ip range 1.1.1.0/24-1.1.1.5
create m bitmap:ip range 1.1.1.1/32
create m bitmap:ip range 1.1.1.1/0
create m bitmap:ip range 1.1.1.1-1.1.1.1
create m2 bitmap:ip range 1.1.1.0/33
create m2 bitmap:ip range x/24
create m2 bitmap:ip range 1.1.1.1-x
create m2 bitmap:ip range 0.0.0.0/0 netmask 16
create m2 bitmap:ip range 0.0.0.0/0 netmask 17
create m3 bitmap:ip range 10.0.0.0-10.0.2.255 netmask 24
create m4 bitmap:ip range 10.0.0.0-10.0.3.255 netmask 24
create m5 bitmap:ip netmask 24
