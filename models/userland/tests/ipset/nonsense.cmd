create a hash:ip initval 1
create p hash:ip,port initval 2
create n hash:net initval 3
create l list:set
create bp bitmap:port range 1-100
create bi bitmap:ip range 10.0.0.0/24
create t hash:ip timeout 5 initval 4
create k hash:ip skbinfo initval 5
create c hash:ip counters initval 6
add a
add a ''
add a 1.2.3
add a 1.2.3.4.5
add a 256.1.1.1
add a 1.2.3.4/33
add a 1.2.3.4/-1
add a 1.2.3.4/x
add a 1.2.3.4-
add a -1.2.3.4
add a 1.2.3.9-1.2.3.4
add a 1.2.3.4-1.2.3.x
add a 0.0.0.0
add a ::1
add a 1.2.3.4,80
add a 1.2.3.4 extra
add a 1.2.3.4 timeout
add a 1.2.3.4 timeout 5
add t 1.2.3.4 timeout x
add t 1.2.3.4 timeout -1
add t 1.2.3.4 timeout 99999999999
add t 1.2.3.4 timeout 5 timeout 6
add k 1.2.3.4 skbmark
add k 1.2.3.4 skbmark x
add k 1.2.3.4 skbmark 0x1/
add k 1.2.3.4 skbmark 1/2/3
add k 1.2.3.4 skbprio 1
add k 1.2.3.4 skbprio 1:x
add k 1.2.3.4 skbprio 1:70000
add k 1.2.3.4 skbqueue 70000
add k 1.2.3.4 skbqueue x
add c 1.2.3.4 packets x
add c 1.2.3.4 packets -1
add c 1.2.3.4 packets 99999999999999999999
add c 1.2.3.4 bytes
add a 1.2.3.4 nomatch
add a 1.2.3.4 comment x
add nope 1.2.3.4
add '' 1.2.3.4
add 1234567890123456789012345678901234 1.2.3.4
add p 1.2.3.4
add p 1.2.3.4,
add p 1.2.3.4,70000
add p 1.2.3.4,-1
add p 1.2.3.4,x
add p 1.2.3.4,tcp:70000
add p 1.2.3.4,tcp:
add p 1.2.3.4,foo:80
add p 1.2.3.4,80-70
add p 1.2.3.4,80:90
add p 1.2.3.4,tcp:80-
add p 1.2.3.4,icmp:8
add p 1.2.3.4,icmp:300/0
add p 1.2.3.4,icmp:foo
add p 1.2.3.4,256:0
add p ,80
add p 1.2.3.4,80,90
add n 1.2.3.4/0
add n 0.0.0.0/0
add n 1.2.3.4/33
add n 1.2.3.4/32 nomatch extra
add l nope
add l l
add l a before
add l a before nope
add l a after nope
add l a before a
add bp 0
add bp 101
add bp 70000
add bp x
add bp 90-10
add bp 1-
add bi 10.0.1.0
add bi 9.255.255.255
add bi 10.0.0.0/16
del a 9.9.9.9
del a
del nope 1.1.1.1
test a
test a 9.9.9.9
test a 1.2.3.4/24
test nope 1.1.1.1
test p 1.2.3.4
create
create x
create x foo
create x hash
create x hash:foo
create x hash:ip extra
create x hash:ip hashsize
create x hash:ip hashsize x
create x hash:ip hashsize -1
create x hash:ip hashsize 99999999999
create x hash:ip maxelem x
create x hash:ip maxelem 0 initval 7
create x hash:ip netmask 0
create x hash:ip netmask 33
create x hash:ip netmask x
create x hash:ip timeout x
create x hash:ip timeout -1
create x hash:ip timeout 99999999999
create x hash:ip family foo
create x hash:ip bucketsize 0
create x hash:ip bucketsize 300
create x hash:ip range 1.1.1.1-1.1.1.2
create x bitmap:ip
create x bitmap:ip range
create x bitmap:ip range x
create x bitmap:ip range 10.0.0.9-10.0.0.1
create x bitmap:port range 1-70000
create x bitmap:port range x-5
create x list:set size x
create a hash:ip
create a hash:net
create '' hash:ip
create 1234567890123456789012345678901234 hash:ip
create 'a b' hash:ip initval 1
destroy nope
destroy a b
destroy ''
flush nope
flush a b
rename a
rename a p
rename nope b
rename a 1234567890123456789012345678901234
rename a b c
swap a
swap a nope
swap a p
swap nope a
list nope
list a p
list -x
list a -o
list a -o foo
list -t -n
save nope
save a p
foo
-x
--foo
''
-q add a 1.2.3.x
-q foo
-exist create a hash:ip
-! add a 1.2.3.4
-! add a 1.2.3.4
-! del a 9.9.9.9
-! destroy nope
version
version extra
help foo
foo\n | restore
add\n | restore
add a\n | restore
create\n | restore
create z hash:ip\nadd z 1.1.1.1\nadd z\n | restore
\n\n | restore
# comment only\n | restore
   add a 7.7.7.7\n | restore
add a 7.7.7.8 | restore
add a 7.7.7.9\nCOMMIT\nadd a 7.7.7.10\n | restore
COMMIT | restore
list a\n | restore
destroy nope\n | restore
quit\nfoo\n | restore
add a "1.1.1.1"\n | restore
add a 'x\n | restore
COMMITx\n | restore
COMMIT\n | restore
COMMIT x\n | restore
COMMIT\r\n | restore
create kk hash:ip skbinfo initval 9
add kk 1.2.3.1 skbmark 5
add kk 1.2.3.2 skbmark 0x
add kk 1.2.3.3 skbmark 0X5
add kk 1.2.3.4 skbmark 0x1/
add kk 1.2.3.5 skbmark 0x1/5
add kk 1.2.3.6 skbmark 0x1/0xg
add kk 1.2.3.7 skbmark 0x1/0xfx
add kk 1.2.3.8 skbmark 0x100000001
add kk 1.2.3.9 skbmark 0x-1
add kk 1.2.3.10 skbmark 0x1x
add kk 1.2.3.11 skbprio 1:70000
add kk 1.2.3.12 skbprio 70000:1
add kk 1.2.3.13 skbprio 12345:12345678
add kk 1.2.3.14 skbprio 1:2x
add kk 1.2.3.15 skbprio 1x:2
add kk 1.2.3.16 skbprio 0x1:0x2
add kk 1.2.3.17 skbprio :2
list kk
