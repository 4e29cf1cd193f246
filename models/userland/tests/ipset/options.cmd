create ipt hash:ip timeout 100 counters comment initval 0x2eef
create sk hash:ip skbinfo counters comment initval 0x4dde
create l list:set timeout 100 counters comment
create b bitmap:port range 1-10 timeout 20 counters comment
create nx hash:net comment timeout 0 counters initval 0xaaab
add ipt 1.1.1.5 packets 5 bytes 6 comment "hello world" timeout 50
add ipt 1.1.1.6
add sk 1.1.1.7 skbmark 0x1111/0xff00ffff skbprio 1:10 skbqueue 10
add sk 1.1.1.8 skbmark 0x1111
add sk 1.1.1.9 skbprio 1:10
add nx 10.0.0.0/8 nomatch comment "foo bar" timeout 9 packets 3
add nx 10.0.0.0/9 comment "" nomatch
add l ipt comment x
add b 3 comment y packets 4
list
save
list -sorted
list -o save ipt
list -o xml ipt
list -o json ipt
list -o foo ipt
-o save list ipt
list ipt -o plain
-output save -s list ipt
save -o plain ipt
list ipt sk
list ipt foo bar
-n list ipt
-t list ipt
-n save
-t save
-n -t list
list -name
list -terse ipt
list -terse -name
-L
-L ipt
-A ipt 1.1.1.9
-N x hash:ip
-X x
-D ipt 1.1.1.9
-T ipt 1.1.1.9
-F ipt
-S ipt
-E ipt ipu
-W ipu ipt
-U ipu
-R
-V
--version
v
lis
l
s
sa
d
de
des
f
fl
r
re
ren
res
sw
w
e
x
n
c
cr
a
ad
t
te
--list
--add
-list
--foo
-a
-x
-exist
-q
-q list nope
-q add nope 1.1.1.1
-! destroy nope
destroy ipt extra
flush ipt extra
rename a
rename a b c
swap a
save nope
save ipt extra
version foo
add ipt 1.1.1.1 timeout 5 timeout 6
-exist -exist list -n
-o
create q hash:ip timeout
create q hash:ip timeout 5 timeout 6 initval 0xc066d
create q hash:ip counters counters initval 0xc255c
create q hash:ip -4 initval 0xc444b
create q7 hash:ip family ipv4 initval 0xc633a
create q8 hash:ip family INET initval 0xc8229
create q9 hash:ip hashsize -1 initval 0xca118
create q9 hash:ip hashsize 4294967296 initval 0xcc007
create q10 hash:ip maxelem 0 initval 0xcdef6
create q11 hash:ip hashsize 65 initval 0xcfde5
create q12 hash:ip hashsize 0 initval 0xd1cd4
create q13 hash:ip bucketsize 13 initval 0xd3bc3
create q14 hash:ip bucketsize 256 initval 0xd5ab2
create q15 hash:ip size 4 initval 0xd79a1
create q17 hash:ip hashsize 2048 initval 0xd9890
create q18 hash:ip hashsize 1 maxelem 1 initval 0xdb77f
add q18 1.1.1.1
add q18 1.1.1.2
create q19 hash:ip maxelem 1 forceadd initval 0xe144c
add q19 1.1.1.1
add q19 1.1.1.2
create q20 hash:ip initval 0
create q21 hash:ip initval foo
create q25 list:set size 0
create q26 list:set size x
create q27 bitmap:ip range 10.0.0.0
create q28 bitmap:ip range 10.0.0.9-10.0.0.1
create q29 bitmap:ip range 10.0.0.0/24 netmask 33
create q31 bitmap:ip range 10.0.0.0/24 netmask 20
create q32 bitmap:ip range foo
create q33 bitmap:ip range 10.0.0.5-10.0.0.9
create q34 bitmap:port range x-y
create q35 bitmap:port range 1-70000
create q36 bitmap:port range tcp:http-https
create q37 bitmap:port range udp:1-5
create q38 hash:net range 1-2 initval 0x10222b
create q39 hash:ip nomatch initval 0x10411a
create q40 hash:ip comment comment initval 0x106009
create q41 hash:ip,port range 1.1.1.0/24 initval 0x107ef8
create q42 hash:ip timeout 5 hashsize 64 maxelem 3 netmask 30 counters initval 0x109de7
list
