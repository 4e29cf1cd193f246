ip netns exec x mausezahn c1 -q -a 02:00:00:00:10:02 -b 02:00:00:00:01:00 -A 10.0.0.2 -B 10.0.1.2 -t udp sp=1000,dp=7,ttl=64,id=1
ip netns exec x mausezahn c1 -q -a 02:00:00:00:10:02 -b 02:00:00:00:01:00 -A 10.0.0.2 -B 10.0.1.2 -t udp sp=1000,dp=13,ttl=64,id=2
ip netns exec x mausezahn c1 -q -a 02:00:00:00:10:02 -b 02:00:00:00:01:00 -A 10.0.0.2 -B 10.0.1.2 -t udp sp=1000,dp=14,ttl=64,id=3
ip netns exec x mausezahn c1 -q -a 02:00:00:00:10:02 -b 02:00:00:00:01:00 -A 10.0.0.2 -B 10.0.1.2 -t udp sp=1000,dp=15,ttl=64,id=4,df
ip netns exec x mausezahn c1 -q -a 02:00:00:00:10:02 -b 02:00:00:00:01:00 -A 10.0.0.2 -B 10.0.1.2 -t udp sp=1000,dp=17,ttl=64,id=5,tos=10
ip netns exec x mausezahn c1 -q -a 02:00:00:00:10:02 -b 02:00:00:00:01:00 -A 10.0.0.2 -B 10.0.1.2 -t udp sp=1000,dp=18,ttl=64,id=6
ip netns exec x mausezahn c1 -q -a 02:00:00:00:10:02 -b 02:00:00:00:01:00 -A 10.0.0.2 -B 10.0.0.1 -t udp sp=1000,dp=90,ttl=64,id=7
ip netns exec x mausezahn s1 -q -a 02:00:00:00:11:02 -b 02:00:00:00:01:01 -A 10.0.1.2 -B 10.0.1.1 -t udp sp=9,dp=1000,ttl=64,id=8
ip netns exec x mausezahn c1 -q -a 02:00:00:00:10:02 -b 02:00:00:00:01:00 -A 10.0.0.2 -B 10.0.0.1 -t udp sp=1000,dp=99,ttl=64,id=9
ip netns exec x mausezahn c1 -q -a 02:00:00:00:10:02 -b 02:00:00:00:01:00 -A 10.0.0.2 -B 10.0.1.2 -t icmp ping,id=10,ttl=64
ip netns exec x mausezahn s1 -q -a 02:00:00:00:11:02 -b 02:00:00:00:01:01 -A 10.0.1.2 -B 10.0.0.2 -t icmp ping,id=11,ttl=64
ip netns exec x mausezahn c1 -q -a 02:00:00:00:10:02 -b 02:00:00:00:01:00 -A 10.0.0.2 -B 10.0.1.2 -t tcp sp=1000,dp=80,flags=syn,ttl=64,id=12
mausezahn c0 -q -A 10.0.0.1 -B 10.0.0.2 -t udp sp=1000,dp=99,ttl=64,id=13
