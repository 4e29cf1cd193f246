conntrack -I -p sctp -s 1.1.1.1 -d 2.2.2.2 --sport 1 --dport 2 -t 1000
conntrack -I -p sctp -s 1.1.1.1 -d 2.2.2.2 --sport 1 --dport 2 -t 1000 --state ESTABLISHED
conntrack -I -p sctp -s 1.1.1.1 -d 2.2.2.2 --sport 1 --dport 2 -t 1000 --state ESTABLISHED --orig-vtag 5
conntrack -I -p sctp -s 1.1.1.1 -d 2.2.2.2 --sport 1 --dport 2 -t 1000 --state ESTABLISHED --orig-vtag 5 --reply-vtag 6
conntrack -I -p sctp -s 1.1.1.1 -d 2.2.2.2 --sport 3 --dport 2 -t 1000 --state COOKIE_WAIT --orig-vtag 5 --reply-vtag 0x60
conntrack -L -p sctp
conntrack -L -p sctp -o save
conntrack -L -p sctp --state COOKIE_WAIT
conntrack -L -p sctp --orig-vtag 5
conntrack -L -p tcp --orig-vtag 5
conntrack -L -p tcp --state COOKIE_WAIT
conntrack -L -p sctp --sport 3
conntrack -L -j -n
conntrack -L -g -j 1.2.3.4
conntrack -L -n -g
conntrack -D -n -j
conntrack -D -p sctp --state COOKIE_WAIT
conntrack -L
