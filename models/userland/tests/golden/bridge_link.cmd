bridge link
bridge link show
bridge link list
bridge l
bridge -d link
bridge -s link show dev v1
bridge -o -d link show dev v1
bridge -j link
bridge -j -p -d link show dev v1
bridge -c link
bridge link show dev v2
bridge link show dev nope
bridge link show nope
bridge link foo
bridge link help
bridge link set
bridge link set dev
bridge link set dev nope hairpin on
bridge link set dev v1
bridge link set dev v1 hairpin on
bridge link set dev v1 hairpin maybe
bridge link set dev v1 hairpin
bridge link set dev v1 guard on root_block on fastleave on learning off flood off mcast_flood off bcast_flood off
bridge link set dev v1 isolated on
bridge -d link show dev v1
bridge -j -d link show dev v1
bridge link set dev v1 cost 55 priority 10
bridge link set dev v1 cost 0
bridge link set dev v1 cost 70000
bridge link set dev v1 priority 64
bridge link set dev v1 priority x
bridge link set dev v1 state 5
bridge link set dev v1 state 4
bridge link show
bridge link set dev v1 state forwarding
bridge link set dev v1 state nope
bridge link set dev v1 state 3
bridge link show
bridge link set dev v2 hairpin on
bridge link set dev v1 self
bridge link set dev v1 hwmode veb
bridge link set dev v1 hwmode foo
bridge link set v1 hairpin off
bridge link set dev br0 hairpin on
bridge vlan
bridge vlan show
bridge vlan list
bridge -d vlan show
bridge -s vlan show
bridge -j vlan show
bridge -j -p -d vlan show
bridge -c vlan show
bridge vlan show dev v1
bridge vlan show dev v2
bridge vlan show dev nope
bridge vlan show vid 1
bridge vlan show vid 5
bridge vlan show vid 5000
bridge vlan foo
bridge vlan show foo
bridge vlan tunnelshow
bridge vlan add
bridge vlan add dev v1
bridge vlan add dev nope vid 5
bridge vlan add vid 5 dev v2
bridge mdb
bridge mdb show
bridge -d mdb
bridge -j mdb
bridge mdb show dev br0
bridge mdb show dev nope
bridge mdb foo
bridge link set dev v1 foo
