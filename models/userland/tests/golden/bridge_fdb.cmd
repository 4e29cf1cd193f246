bridge
bridge nope
bridge -V
bridge -x
bridge fdb
bridge fdb show
bridge f
bridge fdb show br br0
bridge fdb show dev v1
bridge fdb show brport v1
bridge fdb show dev br0
bridge fdb show dev nope
bridge fdb show br nope
bridge fdb show br v1
bridge fdb show vlan 1
bridge fdb show vlan 5000
bridge fdb show state permanent
bridge fdb show state reachable
bridge fdb show state nope
bridge fdb show nope
bridge fdb show v1 v2
bridge fdb foo
bridge -j fdb show br br0
bridge -j -p fdb show dev v1
bridge -c fdb show dev v1
bridge -d fdb show dev v1
bridge fdb add 02:00:00:00:00:a1 dev v1 master
bridge fdb add 02:00:00:00:00:a1 dev v1 master
bridge fdb add 02:00:00:00:00:a2 dev v1 master static
bridge fdb add 02:00:00:00:00:a3 dev v1 master dynamic
bridge fdb add 02:00:00:00:00:a4 dev v1 master static sticky
bridge fdb add 02:00:00:00:00:a5 dev v1 master dynamic extern_learn
bridge fdb add 02:00:00:00:00:a6 dev v1 master static vlan 1
bridge fdb add 02:00:00:00:00:a7 dev v1 master static vlan 7
bridge fdb add 02:00:00:00:00:a7 dev v1 master static vlan 5000
bridge fdb add 02:00:00:00:00:a8 dev v2 master static
bridge fdb add 02:00:00:00:00:a9 dev br0 self
bridge fdb add 02:00:00:00:00:a9 dev br0 self local
bridge fdb add 02:00:00:00:00:b1 dev br0 master
bridge fdb add xx dev v1 master
bridge fdb add 02:00:00:00:00:aa dev nope master
bridge fdb add 02:00:00:00:00:aa master
bridge fdb add dev v1 master
bridge fdb add
bridge fdb add 02:00:00:00:00:aa dev v1 master foo
bridge fdb add 02:00:00:00:00:aa dev v1 master static nud
bridge fdb add 00:00:00:00:00:00 dev v1 master static
bridge fdb add ff:ff:ff:ff:ff:ff dev v1 master static
bridge fdb show br br0
bridge -d fdb show dev v1
bridge -j fdb show dev v1
bridge fdb show dev v1 dynamic
bridge fdb show dynamic
bridge fdb replace 02:00:00:00:00:a2 dev v1 master dynamic
bridge fdb replace 02:00:00:00:00:c1 dev v1 master static
bridge fdb append 02:00:00:00:00:c2 dev v1 master static
bridge fdb append 02:00:00:00:00:c2 dev v1 master static
bridge fdb get 02:00:00:00:00:a1 br br0
bridge fdb get 02:00:00:00:00:a1 dev v1 master
bridge fdb get 02:00:00:00:00:a1 brport v1
bridge fdb get 02:00:00:00:00:ff br br0
bridge fdb get 02:00:00:00:00:a6 br br0 vlan 1
bridge fdb get br br0
bridge fdb get 02:00:00:00:00:a1
bridge fdb get 02:00:00:00:00:a1 dev nope
bridge -j fdb get 02:00:00:00:00:a1 br br0
bridge fdb del 02:00:00:00:00:a1 dev v1 master
bridge fdb del 02:00:00:00:00:a1 dev v1 master
bridge fdb delete 02:00:00:00:00:a6 dev v1 master vlan 1
bridge fdb del 02:00:00:00:00:01 dev v1 master
bridge fdb del 02:00:00:00:00:01 dev v1 master vlan 1
bridge fdb del dev v1
bridge fdb del 02:00:00:00:00:a9 dev br0 self
bridge fdb show br br0
bridge fdb flush
bridge fdb flush dev br0
bridge fdb flush dev v1 master
bridge fdb flush dev nope
bridge fdb show br br0
bridge fdb flush dev br0 static
bridge fdb flush dev br0 permanent
bridge fdb flush dev br0 vlan 5
bridge fdb show br br0
