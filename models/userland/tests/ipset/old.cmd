new a hash:ip
n b hash:net
--new c hash:net
list -n
destroy
-N b iphash --hashsize 128 --probes 4 --resize 50
-N c ipporthash --from 2.0.0.1 --to 2.1.0.0
-N d ipmap --from 2.0.0.1 --to 2.1.0.0
-N e portmap --from 5 --to 9
list -n
save d
save e
destroy
create x hash:ip probes 4 resize 9 gc 5
destroy
create x hash:ip --probes 4 --probes 5
destroy
create x hash:ip --probes
create x hash:ip --from 1.1.1.1
create x hash:ip --range 1.1.1.0/24
create x hash:net --gc 5
create x hash:net,port --probes 5
create x hash:ip,port,ip --network 2.0.0.0/16
destroy
create x hash:ip,port,net from a to b
destroy
create x hash:ip --netmask 99
create x list:set --size 4
destroy
create x bitmap:ip from 2.0.0.1
create x bitmap:ip to 2.0.0.1
create x bitmap:ip range 2.0.0.0/24 from 2.0.0.1
create x bitmap:ip from 2.0.0.1 range 2.0.0.0/24
create x bitmap:ip from 2.0.0.9 to 2.0.0.1
save
destroy
create x bitmap:ip from 2.0.0.0/24 to 2.0.1.0
create x bitmap:ip from 2.0.0.1-2.0.0.4 to 2.0.1.0
create x bitmap:ip from 2.0.0.1 from 2.0.0.2 to 2.0.0.5
create x bitmap:ip --from 2.0.0.0 --to 2.0.255.255 --netmask 24
save
destroy
create x bitmap:ip --range 1.1.1.0/24 probes 4
create x bitmap:ip --network 1.1.1.0/24
save
destroy
create x bitmap:port from http to https
save
destroy
create x bitmap:port from 9 to 5
save
destroy
create x bitmap:port to 5
create x bitmap:port from 70000 to 5
create x bitmap:port from 1-5 to 9
create x bitmap:port --network 1-2
create x foohash
create x iptree
