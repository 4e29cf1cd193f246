arp -n
arp
arp -a
arp -e
arp -s 10.0.0.7 02:00:00:00:00:77
arp -s 10.0.0.8 02:00:00:00:00:88 pub
arp -n
arp -a
arp -an
arp -v -n
arp -n -e
arp -n 10.0.0.7
arp -n 10.0.0.9
arp -a 10.0.0.9
arp -n -i br0
arp -n -i v2
arp -n -i nope
arp -s 10.0.0.9 xx
arp -s 10.0.0.9
arp -s 192.0.2.1 02:00:00:00:00:99
arp -i br0 -s 10.0.0.10 02:00:00:00:00:10
arp -s 10.0.0.11 02:00:00:00:00:11 temp
arp -Ds 10.0.0.12 br0 pub
arp -n
arp -d 10.0.0.7
arp -d 10.0.0.7
arp -d 10.0.0.99
arp -d 10.0.0.8 pub
arp -d 10.0.0.10 -i br0
arp -d
arp -n
arp -V
arp -x
