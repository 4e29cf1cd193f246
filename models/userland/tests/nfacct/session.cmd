nfacct
nfacct list
nfacct add
nfacct add a
nfacct add a
nfacct add b byte 1000
nfacct add c packet 5
nfacct add d packet
nfacct add d byte
nfacct add d foo 4
nfacct add d byte foo
nfacct add d byte 4x
nfacct add d byte 4 extra
nfacct list
nfacct list reset
nfacct list xml
nfacct list json
nfacct list reset xml
nfacct list reset foo
nfacct list foo
nfacct list xml reset
nfacct get
nfacct get a
nfacct get zz
nfacct get a reset
nfacct get a xml
nfacct get a json
nfacct get a reset xml
nfacct get a foo
nfacct get b
nfacct get b reset
nfacct get c xml
nfacct add ffffffffffffffffffffffffffffffff
nfacct add fffffffffffffffffffffffffffffff
nfacct add ffffffffffffffffffffffffffffffffffffffff
nfacct add ""
nfacct add "a b"
nfacct list
nfacct delete
nfacct delete zz
nfacct delete a
nfacct del b
nfacct delete c extra
nfacct list
nfacct flush
nfacct flush x
nfacct list
nfacct help
nfacct version
nfacct -h
nfacct --help
nfacct -v
nfacct foo
nfacct restore
nfacct restore x
nfacct restore <<< "{ pkts = 00000000000000000005, bytes = 00000000000000000700 } = zz;"
nfacct list
nfacct restore <<< "{ pkts = 5, bytes = 700, quota = 1000, mode = byte } = zy;"
nfacct restore <<< "{ pkts = 00000000000000000000, bytes = 00000000000000000000, quota = 00000000000000001000, mode = byte   , overquota = 0 } = b;"
nfacct restore <<< "{ pkts = 00000000000000000003, bytes = 00000000000000000000, quota = 00000000000000000005, mode = packet , overquota = 0 } = c;"
nfacct restore <<< "garbage"
nfacct restore flush <<< "{ pkts = 1, bytes = 2 } = q;"
nfacct restore foo <<< "{ pkts = 1, bytes = 2 } = q;"
nfacct list
nfacct list json
nfacct list xml
nfacct l
nfacct a q
nfacct g q
nfacct d q
nfacct f
nfacct h
nfacct v
nfacct r
nfacct listing
nfacct list res
nfacct restore <<< "{ pkts = 1, bytes = 2, quota = 5, mode = byte, overquota = no } = a;"
nfacct restore <<< "{ pkts = 1, bytes = 2, quota = 5, mode = packet, overquota = yes } = b;"
nfacct restore <<< "{ pkts = 1, bytes = 2, quota = 5, mode = packet } = c;"
nfacct restore <<< "{ pkts = 1, bytes = 2, quota = 5 } = d;"
nfacct restore <<< "{ pkts = 1, bytes = 2, quota = 5, mode = foo } = e;"
nfacct restore <<< "{ pkts = 1, bytes = 2, quota = 5, mode = byte, overquota = no } = f; more"
nfacct restore <<< "{pkts=1,bytes=2}=g;"
nfacct restore <<< " { pkts = 1, bytes = 2 } = h;"
nfacct restore <<< "{ pkts = 1,bytes = 2 } = i;"
nfacct restore <<< "{ pkts = 1, bytes = 2 } = j"
nfacct restore <<< "{ pkts = 1, bytes = 2 } =k;"
nfacct restore <<< "{ pkts = 1, bytes = 2 } = l m;"
nfacct restore <<< "{ pkts = -1, bytes = 0x10 } = n;"
nfacct restore <<< "{ pkts = -1, bytes = 10 } = o;"
nfacct restore <<< ""
nfacct restore <<< ";"
nfacct restore <<< "# x;"
nfacct restore <<< "{ pkts = 1, bytes = 2, quota = 5, mode = byte, overquota = 1 } = t;"
nfacct restore <<< "{ pkts = 1, bytes = 2, quota = 5, mode = byte, over = no } = u;"
nfacct restore <<< "{ pkts = 1, bytes = 2, quota = 5, mode =byte , overquota = no } = v;"
nfacct list
nfacct flush
nfacct add q1 packet 3
nfacct add q2 byte 200
nfacct add n
iptables -A INPUT -m nfacct --nfacct-name q1
iptables -A INPUT -m nfacct --nfacct-name q2
iptables -A INPUT -m nfacct --nfacct-name n
iptables-legacy -A INPUT -m nfacct --nfacct-name q1
iptables -A INPUT -m nfacct --nfacct-name zz
iptables-legacy -A INPUT -m nfacct --nfacct-name zz
iptables -A INPUT -m nfacct
iptables -A INPUT -m nfacct ! --nfacct-name q1
iptables -A INPUT -m nfacct --nfacct-name q1 --nfacct-name q2
iptables -A INPUT -m nfacct --nfacct-name fffffffffffffffffffffffffffffff
iptables -A INPUT -m nfacct --nfacct-name ffffffffffffffffffffffffffffffff
iptables -A INPUT -m nfacct --nfacct-name ""
iptables -A INPUT -m nfacct --nfacct-name "a b"
iptables -A INPUT -m nfacct --nfacct-name
nfacct delete q1
nfacct delete n
ip link set lo up
ping -c1 127.0.0.1
nfacct list
ping -c1 127.0.0.1
nfacct list
nfacct list xml
nfacct list json
iptables -L INPUT -vn
iptables-legacy -L INPUT -vn
iptables -S INPUT
nfacct list reset
nfacct list
ping -c1 127.0.0.1
nfacct list
nfacct get q2 reset
nfacct get q2
nfacct flush
nfacct list
iptables -F
iptables-legacy -F
nfacct delete q1
nfacct flush
nfacct list
nfacct add big byte 18446744073709551615
nfacct add huge byte 99999999999999999999999
nfacct add neg byte -1
nfacct add zero byte 0
nfacct add pos packet +5
nfacct add sp packet " 5"
nfacct list
nfacct flush foo
nfacct list reset json
nfacct list xml json
nfacct get big xml json
nfacct get big reset reset
nfacct help x
nfacct version x
nfacct add x packet 5 y
nfacct add x y
nfacct add x packet 0x10
nfacct get x
nfacct list reset reset
nfacct list xml json
nfacct get x json xml
nfacct get x x
nfacct list res
nfacct add y b 5
iptables -Z
nfacct list
