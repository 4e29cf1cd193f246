iptables -N ABCDEFGHIJKLMNOPQRSTUVWXYZ12
iptables -N ABCDEFGHIJKLMNOPQRSTUVWXYZ123
iptables -N foo
iptables -E foo ABCDEFGHIJKLMNOPQRSTUVWXYZ12
iptables -E foo ABCDEFGHIJKLMNOPQRSTUVWXYZ123
iptables -S
iptables -A INPUT -j ABCDEFGHIJKLMNOPQRSTUVWXYZ123
iptables -S INPUT
iptables -E ABCDEFGHIJKLMNOPQRSTUVWXYZ123 short
iptables -X ABCDEFGHIJKLMNOPQRSTUVWXYZ123
iptables -A ABCDEFGHIJKLMNOPQRSTUVWXYZ123 -j ACCEPT
iptables -X
iptables -N foo
iptables -E foo ABCDEFGHIJKLMNOPQRSTUVWXYZ1234
iptables -S
iptables -X
iptables -N foo
iptables -E foo ABCDEFGHIJKLMNOPQRSTUVWXYZ123456
iptables -S
iptables -X
iptables -N foo
iptables -E foo ABCDEFGHIJKLMNOPQRSTUVWXYZ1234567
iptables -S
iptables -X
iptables -N foo
iptables -E foo ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ
iptables -S
iptables -X
iptables -N bar
iptables -N foo4
iptables -E foo4 INPUT
iptables -E foo4 FORWARD
iptables -E foo4 bar
iptables -E foo4 foo4
iptables -E foo4 ACCEPT
iptables -S
iptables -X
iptables -N foo5
iptables -E foo5 DNAT
iptables -E DNAT RETURN
iptables -S
iptables -X
iptables -N foo6
iptables -E foo6 'a b'
iptables -S
iptables -X
iptables -N foo7
iptables -E foo7 -x
iptables -E foo7 '!x'
iptables -E foo7 -- '!x'
iptables -E foo7 ''
iptables -S
iptables -E '' foo7
iptables -E foo7 tcp
iptables -S
iptables -N bar
iptables -E nope foo3
iptables -E nope bar
iptables -E nope ACCEPT
iptables -E OUTPUT foo3
iptables -E OUTPUT bar
iptables -t nat -E INPUT foo3
iptables -E tcp
iptables -E tcp a b
iptables -E ABCDEFGHIJKLMNOPQRSTUVWXYZ12345678 k
iptables -F ABCDEFGHIJKLMNOPQRSTUVWXYZ12345678
iptables -X ABCDEFGHIJKLMNOPQRSTUVWXYZ12345678
iptables -P ABCDEFGHIJKLMNOPQRSTUVWXYZ12345678 DROP
iptables -S ABCDEFGHIJKLMNOPQRSTUVWXYZ12345678
iptables -L ABCDEFGHIJKLMNOPQRSTUVWXYZ12345678
iptables -Z ABCDEFGHIJKLMNOPQRSTUVWXYZ12345678
iptables -N ren
iptables -A OUTPUT -j ren
iptables -E ren ren2
iptables -S OUTPUT
iptables -t nat -N ren
iptables -t nat -E ren ABCDEFGHIJKLMNOPQRSTUVWXYZ123
iptables -t nat -S
iptables-restore <<< $'*filter\n:DNAT - [0:0]\nCOMMIT'
iptables-restore <<< $'*filter\n:DROP - [0:0]\nCOMMIT'
iptables-restore <<< $'*filter\n:-x - [0:0]\nCOMMIT'
iptables-restore <<< $'*filter\n:!x - [0:0]\nCOMMIT'
iptables-restore <<< $'*filter\n:ABCDEFGHIJKLMNOPQRSTUVWXYZ12 - [0:0]\nCOMMIT'
iptables-restore <<< $'*filter\n:ABCDEFGHIJKLMNOPQRSTUVWXYZ123 - [0:0]\nCOMMIT'
iptables-restore <<< $'*filter\n:  sp - [0:0]\nCOMMIT'
iptables-restore <<< $'*filter\n:sp2\t-\t[0:0]\nCOMMIT'
iptables-restore <<< $'*filter\n:sp3 - [0:0]\n-E sp3 sp4\nCOMMIT'
iptables -S
