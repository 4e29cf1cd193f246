iptables-restore <<< $'*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [1:2]\n:foo - [0:0]\n-A INPUT -s 10.0.0.1 -j foo\n-A foo -p tcp --dport 80 -j ACCEPT\nCOMMIT\n'
iptables-save -c
iptables-restore <<< $'*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -s 10.0.0.2 -j ACCEPT\n-A INPUT --foo\nCOMMIT\n'
iptables-restore <<< $'*filter\n-A INPUT -s 10.0.0.2 -j nope\nCOMMIT\n'
iptables-restore <<< $'*filter\n-A nope -s 10.0.0.2\nCOMMIT\n'
iptables-restore <<< $'*filter\n\n# comment\n-A INPUT -s 10.0.0.2\n'
iptables-restore <<< $'-A INPUT -s 10.0.0.2\nCOMMIT\n'
iptables-restore <<< $'*nope\nCOMMIT\n'
iptables-restore <<< $'*filter\n:INPUT\nCOMMIT\n'
iptables-restore <<< $'*filter\n:INPUT FOO [0:0]\nCOMMIT\n'
iptables-restore <<< $'*filter\n:INPUT ACCEPT foo\nCOMMIT\n'
iptables-restore -c <<< $'*filter\n:INPUT ACCEPT foo\nCOMMIT\n'
iptables-restore <<< $'*filter\n:INPUT - [0:0]\nCOMMIT\n'
iptables-restore <<< $'*filter\n:foo ACCEPT [0:0]\nCOMMIT\n'
iptables-restore <<< $'*filter\n:12345678901234567890123456789 - [0:0]\nCOMMIT\n'
iptables-restore <<< $'*filter\n: - [0:0]\nCOMMIT\n'
iptables-restore <<< $'*filter\nfoo bar\nCOMMIT\n'
iptables-restore <<< $'*filter\n-A INPUT -t nat -s 1.1.1.1\nCOMMIT\n'
iptables-restore <<< $'*filter\n-A INPUT --table=nat -s 1.1.1.1\nCOMMIT\n'
iptables-restore <<< $'*filter\n-A INPUT -s 1.1.1.1\n*nat\nCOMMIT\n'
iptables-restore <<< $'*\nCOMMIT\n'
iptables-restore <<< $'*filter\nCOMMIT\nCOMMIT\n'
iptables-restore <<< $'*filter\nCOMMIT foo\n'
iptables-restore <<< $'*filter\n commit\n'
iptables-restore <<< $'*filter\n -A INPUT\nCOMMIT\n'
iptables-restore <<< $'*filter\n-A INPUT -p tcp --dport 70000\nCOMMIT\n'
iptables-restore <<< $'*filter\n-A INPUT -s 1.1.1.1/40\nCOMMIT\n'
iptables-restore <<< $'*filter\n-A\nCOMMIT\n'
iptables-restore <<< $'*filter\n-A INPUT -m foo\nCOMMIT\n'
iptables-restore <<< $'*filter\n-A INPUT -o eth0\nCOMMIT\n'
iptables-restore <<< $'*filter\n-A INPUT -m udp --dport 5\nCOMMIT\n'
iptables-restore <<< $'*filter\n-A INPUT -p icmp -m icmp\nCOMMIT\n'
iptables-restore <<< $'*filter\n-A INPUT -m icmp --icmp-type 8\nCOMMIT\n'
iptables-restore <<< $'*filter\n:a -\n:b -\n-A a -j b\n-A b -j a\n-A INPUT -j a\nCOMMIT\n'
iptables-restore <<< $'*filter\n:a -\n-A a -j FORWARD\nCOMMIT\n'
iptables-restore <<< $'*filter\n-X nope\nCOMMIT\n'
iptables-restore -n <<< $'*filter\n-D INPUT -s 99.9.9.9\nCOMMIT\n'
iptables-restore -n <<< $'*filter\n-A INPUT -s 99.9.9.9\n-D INPUT 77\nCOMMIT\n'
iptables-restore -n <<< $'*filter\n-L\nCOMMIT\n'
iptables-restore -n <<< $'*filter\n-S\nCOMMIT\n'
iptables-restore -n <<< $'*filter\n-N new\n-N new\nCOMMIT\n'
iptables-restore -n <<< $'*filter\n:foo - [0:0]\nCOMMIT\n'
iptables-save
iptables-restore -n <<< $'*filter\n-P INPUT DROP\n-N new\n-I INPUT 1 -s 5.5.5.5 -j new\n-R INPUT 2 -s 6.6.6.6\n-E new newer\nCOMMIT\n'
iptables-save
iptables-restore -n <<< $'*filter\n-I INPUT 1 -s 5.5.5.5\n-R INPUT 2 -s 6.6.6.6\n-D INPUT 1\n-F OUTPUT\n-Z\n-A OUTPUT ! -d 1.1.1.1\nCOMMIT\n'
iptables-save
iptables-restore --test <<< $'*filter\n-A INPUT -s 1.1.1.1\nCOMMIT\n'
iptables-restore -t <<< $'*filter\n-A INPUT --foo\nCOMMIT\n'
iptables-restore -T nat <<< $'*filter\n-A INPUT -s 1.1.1.1\nCOMMIT\n*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -s 1.1.1.1\nCOMMIT\n'
iptables-restore --table=filter <<< $'*nat\n-A INPUT -s 1.1.1.1\nCOMMIT\n'
iptables-restore -T foo <<< $'*nat\n-A INPUT -s 1.1.1.1\nCOMMIT\n'
iptables-save
iptables-restore -v <<< $'*filter\n# hello\n:INPUT ACCEPT [5:6]\n:foo - [0:0]\n-A INPUT -s 1.1.1.1 -j foo\nCOMMIT\n# bye\n'
iptables-restore -c <<< $'*filter\n:INPUT ACCEPT [5:6]\n:foo - [7:8]\n[9:10] -A INPUT -s 1.1.1.1 -j foo\n[3:4] -A foo -c 1 2\n-A foo -s 2.2.2.2\nCOMMIT\n'
iptables-save -c
iptables-save
iptables-restore <<< $'*filter\n:INPUT ACCEPT [5:6]\n:foo - [7:8]\n[9:10] -A INPUT -s 1.1.1.1 -j foo\n[3:4] -A foo -c 1 2\nCOMMIT\n'
iptables-save -c
iptables-restore -c <<< $'*filter\n[9:x] -A INPUT -s 1.1.1.1\nCOMMIT\n'
iptables-restore -c <<< $'*filter\n[9:10 -A INPUT -s 1.1.1.1\nCOMMIT\n'
iptables-restore -c <<< $'*filter\n[9] -A INPUT -s 1.1.1.1\nCOMMIT\n'
iptables-restore -c <<< $'*filter\n[] -A INPUT -s 1.1.1.1\nCOMMIT\n'
iptables-restore -c <<< $'*filter\n[1:2]-A INPUT -s 1.1.1.1\nCOMMIT\n'
iptables-restore <<< $'*filter\n-A INPUT -s "1.1.1.1" -j "ACCEPT"\n-A INPUT -s 1.1.1.2"/24"\nCOMMIT\n'
iptables-restore <<< $'*filter\n-A INPUT -s "1.1.1.1\nCOMMIT\n'
iptables-restore <<< $'*filter\n-A   INPUT\t-s\t1.1.1.1 \nCOMMIT\n'
iptables-save
iptables-restore <<< ''
iptables-restore <<< $'# only\n\n'
iptables-restore /nonexistent
iptables-restore -q
iptables-restore --foo
iptables-restore a b
iptables-restore -h
iptables-restore -V
iptables-restore --version
iptables-restore -w -W 5 <<< $'*filter\nCOMMIT\n'
iptables-restore -w 5 <<< $'*filter\nCOMMIT\n'
iptables-restore -w x <<< $'*filter\nCOMMIT\n'
iptables-restore -4 <<< $'*filter\nCOMMIT\n'
iptables-restore -6 <<< $'*filter\nCOMMIT\n'
iptables-restore --noflush --counters --verbose <<< $'*filter\nCOMMIT\n'
iptables-save
iptables-save -t nope
iptables-save -t ''
iptables-save -q
iptables-save --foo
iptables-save foo
iptables-save -h
iptables-save -V
iptables-save -d
iptables-save -4 -c -t filter
iptables-save -6
iptables-save -f /nonexistent/x
iptables-save -t filter -f /dev/null
iptables-save --counters --table filter
iptables-save -t mangle
iptables -t mangle -L INPUT
iptables-save -t mangle
iptables-restore <<< $'*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A PREROUTING -s 1.1.1.1\nCOMMIT\n*mangle\n-A INPUT --bad\nCOMMIT\n*nat\n-A PREROUTING -s 2.2.2.2\nCOMMIT\n'
iptables-save
iptables-restore <<< $'*raw\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n'
iptables-save
iptables-restore <<< $'*filter\n:INPUT DROP [0:0]\n:z9 - [0:0]\n:KUBE-SVC - [0:0]\n:a - [0:0]\n-A a -s 1.1.1.1 -g z9\n-A z9 -j RETURN\nCOMMIT\n'
iptables-save
iptables -S
iptables -vL z9 -n
