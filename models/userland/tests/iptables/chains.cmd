iptables-save
iptables -L
iptables -t nat -S
iptables-save
iptables -N foo
iptables -N foo
iptables -N INPUT
iptables -N ACCEPT
iptables -N DROP
iptables -N RETURN
iptables -N QUEUE
iptables -N REJECT
iptables -N tcp
iptables -N -foo
iptables -N !foo
iptables -N 'a b'
iptables -N ''
iptables -N 1234567890123456789012345678
iptables -N 12345678901234567890123456789
iptables -N abc
iptables -N Zed
iptables -N
iptables -N x y
iptables-save
iptables -L
iptables -A foo -j nope
iptables -A foo -g nope
iptables -A nope -j ACCEPT
iptables -I nope -j ACCEPT
iptables -A foo -j abc
iptables -A foo -g abc
iptables -A abc -j Zed
iptables -A abc -j INPUT
iptables -A abc -g OUTPUT
iptables -A abc -j RETURN
iptables -A abc -g RETURN
iptables -A abc -g ACCEPT
iptables -A abc
iptables -A INPUT -j foo
iptables -A Zed -j foo
iptables -A INPUT -g foo
iptables -S
iptables -L
iptables -v -L foo
iptables -S foo
iptables -S nope
iptables -L nope
iptables -X abc
iptables -X nope
iptables -X INPUT
iptables -X FORWARD
iptables -X
iptables -E foo bar
iptables -E nope bar2
iptables -E bar abc
iptables -E bar INPUT
iptables -E bar
iptables -S
iptables -D INPUT -j foo
iptables -D INPUT -j bar
iptables -D INPUT 1
iptables -D INPUT 1
iptables -D INPUT 0
iptables -D nope 1
iptables -D nope -j ACCEPT
iptables -F nope
iptables -F abc
iptables -Z nope
iptables -Z abc
iptables -Z abc 1
iptables -Z INPUT 7
iptables -Z INPUT foo
iptables -Z INPUT 0
iptables -Z
iptables -P INPUT DROP
iptables -P bar DROP
iptables -P INPUT RETURN
iptables -P INPUT abc
iptables -P INPUT
iptables -P nope DROP
iptables -P INPUT REJECT
iptables -S INPUT
iptables -S INPUT 0
iptables -F
iptables -X
iptables -S
iptables -X
iptables-save
iptables -t nat -N natchain
iptables -t nat -P PREROUTING DROP
iptables -t nat -P PREROUTING ACCEPT
iptables -t nat -A natchain -j DROP
iptables -t nat -A POSTROUTING -j DROP
iptables -t nat -A natchain -j ACCEPT
iptables -t raw -A FORWARD
iptables -t raw -A PREROUTING -j DROP
iptables -t foo -L
iptables -t '' -L
iptables -t mangle -I PREROUTING -j RETURN
iptables -t security -A FORWARD
iptables-save -t raw
iptables-save
iptables -t nat -L -n
iptables -t nat -X
iptables -t nat -F
iptables -t nat -X
iptables -t security -F
iptables -t security -X
iptables -t filter -P INPUT ACCEPT
iptables -X
iptables-save
iptables -N long-name-with.dots_and:colons
iptables -N b2
iptables -N B1
iptables -N b10
iptables -N 1
iptables -N +
iptables -A INPUT -j 1
iptables -L INPUT 1
iptables -L 1 --line-numbers
iptables -S 1
