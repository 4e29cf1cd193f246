iptables -A OUTPUT -s 1.1.1.1 -c 5 6
iptables -A OUTPUT -s 1.1.1.2 -c 7 8
iptables -A INPUT -s 1.1.1.3 -c 9 10
iptables -Z OUTPUT 1 -L
iptables -nvxL OUTPUT
iptables -R OUTPUT 1 -s 1.1.1.1 -c 5 6
iptables -Z OUTPUT 1 -L -v
iptables -R OUTPUT 1 -s 1.1.1.1 -c 5 6
iptables -Z OUTPUT 2 -L OUTPUT -v
iptables -L OUTPUT -v
iptables -R OUTPUT 1 -s 1.1.1.1 -c 5 6
iptables -R OUTPUT 2 -s 1.1.1.2 -c 5 6
iptables -Z OUTPUT 3 -L
iptables -Z OUTPUT 99 -L OUTPUT
iptables -L -Z OUTPUT 1
iptables -L OUTPUT -v
iptables -R OUTPUT 1 -s 1.1.1.1 -c 5 6
iptables -Z OUTPUT 1 -S -v
iptables -S -v
iptables -R OUTPUT 1 -s 1.1.1.1 -c 5 6
iptables -S -Z OUTPUT 1
iptables -S -v
iptables -R OUTPUT 1 -s 1.1.1.1 -c 5 6
iptables -Z OUTPUT 1 -L OUTPUT
iptables -S -v
iptables -R OUTPUT 1 -s 1.1.1.1 -c 5 6
iptables -Z OUTPUT 1 -L INPUT
iptables -S -v
iptables -R OUTPUT 1 -s 1.1.1.1 -c 5 6
iptables -Z OUTPUT 1 -L OUTPUT 1
iptables -S -v
iptables -R OUTPUT 1 -s 1.1.1.1 -c 5 6
iptables -Z OUTPUT -S OUTPUT 1
iptables -S -v
iptables -Z nope 1 -L OUTPUT
iptables -Z nope -L
iptables -Z OUTPUT 0 -L
iptables -Z OUTPUT x -L
iptables -Z OUTPUT x
iptables -Z OUTPUT 1 x
iptables -Z 1
iptables -L -Z 1
iptables -R OUTPUT 1 -s 1.1.1.1 -c 5 6
iptables -L OUTPUT 1 -Z OUTPUT 1
iptables -S -v
iptables -R OUTPUT 1 -s 1.1.1.1 -c 5 6
iptables -R OUTPUT 2 -s 1.1.1.2 -c 5 6
iptables -L OUTPUT 1 -Z
iptables -S -v
iptables -R OUTPUT 1 -s 1.1.1.1 -c 5 6
iptables -L OUTPUT -Z INPUT
iptables -S -v
iptables -R OUTPUT 1 -s 1.1.1.1 -c 5 6
iptables -ZL OUTPUT
iptables -S -v
iptables -R OUTPUT 1 -s 1.1.1.1 -c 5 6
iptables -LZ OUTPUT
iptables -S -v
iptables -R OUTPUT 1 -s 1.1.1.1 -c 5 6
iptables -ZnvL OUTPUT
iptables -S -v
iptables -Z INPUT -Z OUTPUT
iptables -Z INPUT -A OUTPUT
iptables -Z OUTPUT 1 -F
iptables -Z OUTPUT 1 -D OUTPUT 1
iptables -N user
iptables -A user -s 1.1.1.9 -c 3 4
iptables -L user -Z -v
iptables -S user -v
