iptables -L nope
iptables -A nope -j nope2
iptables -A INPUT -v ! -s 1.1.1.1 ! -d 2.2.2.2 -i eth0 -f -p udp --dport 53 -j ACCEPT
iptables -A INPUT -v -g nope
iptables -N foo
iptables -A INPUT -v -g foo -s 1.2.3.0/24
iptables -A INPUT -v ! -p tcp
iptables -A INPUT -v ! -f -p icmp --icmp-type echo-request
iptables -A INPUT -v -s 1.1.1.1,2.2.2.2 -c 5 6 -j ACCEPT
iptables -S -v
iptables -S INPUT 4 -v
iptables -C INPUT -v -s 1.1.1.1 -j ACCEPT
iptables -C INPUT -c 1 1 -s 1.1.1.1 -j ACCEPT
iptables -D INPUT -c 1 1 -s 1.1.1.1 -j ACCEPT
iptables -P INPUT ACCEPT -c 7 8
iptables -S -v
iptables -Z INPUT 4
iptables -Z INPUT 2 -v
iptables -S -v
iptables -R INPUT 2 -s 9.9.9.9
iptables -R INPUT 2 -s 9.9.9.9 -c 3 4
iptables -S -v
iptables -n -n -L
iptables -x -x -L
iptables -w -w -L foo
iptables --line-numbers --line-numbers -L foo
iptables ! -V
iptables ! -t nat -L
iptables --foo-bar=3 -L
iptables -qv
iptables -vq
iptables -L -t nat -vq
iptables -A INPUT -p tcp -vq
iptables -A INPUT -vs
iptables -L INPUT -Z 1
iptables -Z -L INPUT -n -v -x
iptables -S -Z
iptables -S INPUT -Z
iptables -A INPUT -j INPUT
iptables -A OUTPUT -j INPUT
iptables -A FORWARD -j INPUT
iptables -N goto
iptables -A INPUT -j REJECT --reject-with foo
iptables -A INPUT -j DNAT --to 1.1.1.1
iptables -A INPUT -m state --state NEW -p tcp --dport 5
iptables -A INPUT -m comment --comment "-t foo"
iptables-restore -n <<< $'*filter\n-A INPUT -m comment --comment "-t foo"\nCOMMIT'
iptables-restore -n <<< $'*filter\n-A INPUT -m comment --comment "hello \\"w\\" \'x\'" -j ACCEPT\nCOMMIT'
iptables-restore -n <<< $'*filter\n-A INPUT -ptcp\nCOMMIT'
iptables-restore -n <<< $'*filter\n-6 -A INPUT -p foo\nCOMMIT'
iptables-restore -n <<< $'*filter\n-4 -A INPUT -s 66.6.6.6\nCOMMIT'
iptables-restore -n <<< $'*filter\n-A INPUT -m comment --comment \'a b\'\nCOMMIT'
iptables-restore -n <<< $'*filter\n-A INPUT -v -s 4.4.4.4\nCOMMIT'
iptables-restore -n <<< $'*filter\n-V\nCOMMIT'
iptables-restore -n <<< $'*filter\n-A INPUT -s 1.1.1.1,2.2.2.2 -j ACCEPT\n-A INPUT -w -s 1.1.1.1\nCOMMIT'
iptables-restore -n <<< $'*filter\n-D INPUT -s 1.1.1.1,2.2.2.2 -j ACCEPT\nCOMMIT'
iptables-restore -n <<< $'*filter\n-C INPUT -s 1.1.1.1\n-C INPUT -s 1.1.1.77\nCOMMIT'
iptables-restore -n <<< $'*filter\n:INPUT DROP [5:5]\n:OUTPUT - [3:3]\n:new -\nCOMMIT'
iptables-restore -n -c <<< $'*filter\n:INPUT DROP [5:5]\n:OUTPUT - [3:3]\n:new2 -\nCOMMIT'
iptables-restore -c <<< $'*filter\n:INPUT DROP\nCOMMIT'
iptables-restore -c <<< $'*filter\n:INPUT -\nCOMMIT'
iptables-restore -c <<< $'*filter\n:INPUT DROP [5:5\nCOMMIT'
iptables-restore -c <<< $'*filter\n:INPUT DROP 5:5\nCOMMIT'
iptables-restore -c <<< $'*filter\n:INPUT DROP [5]\nCOMMIT'
iptables-save -c
iptables-restore -n <<< $'*filter\n:REJECT - [0:0]\nCOMMIT'
iptables-restore -n <<< $'*filter\n:tcp - [0:0]\n:a\tb - [0:0]\nCOMMIT'
iptables-restore -n <<< $'*filter\n-N foo9\n:foo9 - [0:0]\n-A foo9\nCOMMIT\n'
iptables-restore -n <<< $'*filter\n-A foo9 -j ACCEPT\n:foo9 - [0:0]\n-A foo9 -s 1.1.1.1\nCOMMIT\n'
iptables-restore <<< $'*filter\n-A INPUT -s 1.1.1.1\nCOMMIT\n*filter\n-A INPUT -s 1.1.1.2\nCOMMIT\n'
iptables-save
iptables-restore -t <<< $'*filter\n-A INPUT -m icmp --icmp-type 8\nCOMMIT\n'
iptables-restore -t <<< $'*filter\n-D INPUT -s 7.7.7.7\nCOMMIT\n'
iptables-restore -n <<< $'*filter\n-A nochain -j ACCEPT\nCOMMIT\n'
iptables-restore -n <<< $'*filter\n-A INPUT -s 4.4.4.4 -j ACCEPT\n-A INPUT -p udp --dport 5 -g nochain\nCOMMIT\n'
iptables-restore -n <<< $'*filter\n-A INPUT -s 4.4.4.4\r\nCOMMIT\r\n'
iptables-restore -n <<< $'*filter  \nCOMMIT\n'
iptables-restore -n <<< $'*filter foo\nCOMMIT\n'
iptables-restore -n <<< $'*filter\nCOMMIT'
iptables-restore -n <<< $'#foo\n  # bar\n*filter\nCOMMIT'
iptables-restore -n <<< $'\n\n \nCOMMIT'
iptables-restore -n <<< $'*filter\n \nCOMMIT'
iptables-restore -n <<< $'*filter\n# bar\n\t# foo\nCOMMIT'
iptables-restore -n -v <<< $'*filter\n# bar\n:INPUT ACCEPT\n:foo -\n-A INPUT -s 1.1.1.1\n-D INPUT 1\n-F INPUT\n-X foo\nCOMMIT'
iptables-restore -v <<< $'*filter\nCOMMIT\n*raw\nCOMMIT\n*filter\nCOMMIT'
iptables-restore --tab
iptables-restore --no <<< $'*filter\nCOMMIT'
iptables-restore -T
iptables-save -t
