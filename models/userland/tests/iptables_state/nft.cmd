ip link set lo up
ipset create s hash:ip counters initval 1
ipset add s 127.0.0.1
ipset create n hash:net initval 2
ipset add n 127.0.0.0/8
ipset add n 127.0.0.0/30 nomatch
ipset create d hash:ip timeout 0 counters initval 3
ipset create p hash:ip,port initval 4
ipset add p 127.0.0.1,icmp:echo-request
ipset create l list:set
ipset add l n
ipset add l s
ipset create k hash:ip skbinfo initval 5
ipset add k 127.0.0.1 skbmark 0x7
iptables-nft -t mangle -A OUTPUT -j SET --map-set k src --map-mark
iptables-nft -t mangle -A POSTROUTING -m mark --mark 0x7
iptables-nft -t raw -A PREROUTING -m rpfilter
iptables-nft -t raw -A PREROUTING -m rpfilter --invert
iptables-nft -A INPUT -m set --match-set s src
iptables-nft -A INPUT -m set ! --match-set s dst
iptables-nft -A INPUT -m set --match-set s src ! --update-counters --packets-gt 3
iptables-nft -A INPUT -m set --match-set n src
iptables-nft -A INPUT -m set --match-set n src --return-nomatch
iptables-nft -A INPUT -m set --match-set p src,src
iptables-nft -A INPUT -m set --match-set p src
iptables-nft -A INPUT -m set --match-set l src
iptables-nft -A INPUT -m set --match-set d src
iptables-nft -A INPUT -j SET --add-set d src
iptables-nft -A INPUT -m set --match-set d src
iptables-nft -A INPUT -m limit --limit 1/min --limit-burst 3
iptables-nft -A INPUT -m limit --limit 1/hour
iptables-nft -A INPUT -m hashlimit --hashlimit-upto 1/min --hashlimit-burst 4 --hashlimit-mode srcip --hashlimit-name up
iptables-nft -A INPUT -m hashlimit --hashlimit-above 1/min --hashlimit-burst 4 --hashlimit-mode srcip,dstip --hashlimit-name above
iptables-nft -A INPUT -m hashlimit --hashlimit-upto 100b/s --hashlimit-name bytes
iptables-nft -A INPUT -m hashlimit --hashlimit-upto 3/s --hashlimit-name match --hashlimit-rate-match
iptables-nft -A INPUT -m statistic --mode nth --every 3 --packet 0
iptables-nft -A INPUT -m statistic --mode nth --every 3 --packet 2
iptables-nft -A INPUT -m statistic --mode nth ! --every 3 --packet 1
iptables-nft -A INPUT -m statistic --mode random --probability 1
iptables-nft -A INPUT -m recent --rcheck --name a
iptables-nft -A INPUT -m recent --set --name a
iptables-nft -A INPUT -m recent --rcheck --name a --hitcount 5
iptables-nft -A INPUT -m recent ! --rcheck --name a --hitcount 5 --seconds 60
iptables-nft -A INPUT -m recent --update --name b --rdest
iptables-nft -A INPUT -m recent --set --name c --rdest --mask 255.0.0.0
iptables-nft -A INPUT -m recent --remove --name c --rdest
iptables-nft -A INPUT -m u32 --u32 0>>22&0x3C@0>>24=8
iptables-nft -A INPUT -m u32 --u32 0>>22&0x3C@0>>24=0&&6&0xff=1
iptables-nft -A INPUT -m u32 ! --u32 2&0xffff=84
iptables-nft -A INPUT -m string --algo bm --hex-string |101112131415|
iptables-nft -A INPUT -m string --algo kmp --hex-string |101112131415| --to 40
iptables-nft -A INPUT -m string --algo bm ! --string xyzzy
iptables-nft -A INPUT -m time --datestart 2001-01-01
iptables-nft -A INPUT -m time --datestop 2001-01-01
iptables-nft -A INPUT -m cluster --cluster-total-nodes 2 --cluster-local-node 1 --cluster-hash-seed 0x5
iptables-nft -A INPUT -m cluster --cluster-total-nodes 2 ! --cluster-local-node 1 --cluster-hash-seed 0x5
iptables-nft -A INPUT -m socket
ping -c 5 -i 0.2 127.0.0.1
iptables-nft -nvxL INPUT
iptables-nft -t raw -nvxL PREROUTING
iptables-nft -t mangle -nvxL POSTROUTING
ipset list d
ipset save s
ipset destroy s
ipset destroy k
iptables-nft -F INPUT
ipset destroy s
ipset list l
