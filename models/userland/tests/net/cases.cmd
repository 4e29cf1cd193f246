# nc to nc
b nc -l -n -v 81
a 'hello\n' | nc -N -n -v 10.0.0.2 81
# the server speaks first
b 'hi\n' | nc -N -l -n 81
a nc -n 10.0.0.2 81
# quit after the end of input
b nc -l -n 81
a 'hello\n' | nc -q 1 -n 10.0.0.2 81
# a port range
b timeout 3 nc -l -k -n 80
a nc -n -v -z 10.0.0.2 79-81
# names of ports
b timeout 3 nc -l -k -n 80
a nc -v -z 10.0.0.2 http
# refused
a nc -n -v 10.0.0.2 82
a nc -n 10.0.0.2 82
# nobody there
a nc -n -v -w 1 10.0.0.9 80
# no route
a nc -n -v 10.9.0.9 80
# an unreachable host
a nc -n -v 10.0.0.9 80
# loopback by name
a timeout 2 nc -l -n 127.0.0.1 80
a 'x' | nc -N -v localhost 80
# a name that nobody knows
a nc -v nosuch 80
# datagrams
b timeout 4 nc -u -l -n -v 5000
a 'hello\n' | nc -u -n -w 1 -v 10.0.0.2 5000
# datagrams to nobody
a nc -u -n -v 10.0.0.2 5001
# source address and port
b nc -l -n -v 81
a 'x\n' | nc -N -n -p 4000 -s 10.0.0.1 10.0.0.2 81
# a source that is not ours
a nc -n -s 10.0.0.77 10.0.0.2 81
# a listener at an address that is not ours
b nc -l -n 10.0.0.77 81
# a reader that leaves
b nc -l -n -W 1 81
a 'one\n' | nc -n -v -w 2 10.0.0.2 81
# bad command lines
a nc
a nc 10.0.0.2
a nc -l
a nc 10.0.0.2 abc
a nc 10.0.0.2 0
a nc 10.0.0.2 70000
a nc -w abc 10.0.0.2 80
a nc -w -1 10.0.0.2 80
a nc -Y
a nc -w
a nc -l -z 82
a nc -l -p abc
a nc -M 300 10.0.0.2 80
a nc -h
# a page
b timeout 3 python3 -m http.server 80 -d /tmp/golden-www
a curl -s http://10.0.0.2/
a curl -s -v -o /dev/null http://10.0.0.2/sub/a.txt
a curl -i -s 10.0.0.2/sub
a curl -s http://10.0.0.2/sub/
# errors of a page
b timeout 4 python3 -m http.server 80 -d /tmp/golden-www
a curl -s -v http://10.0.0.2/none
a curl -s -S -f http://10.0.0.2/none
a curl -s -o /dev/null -w '%{http_code}\n' http://10.0.0.2/none
a curl -s -v -I http://10.0.0.2/none
a curl -s -v -d a=b -d c=d http://10.0.0.2/x
a curl -s -v -H 'X-A: b' -H 'Host: web' -H 'Accept:' -A me -X PUT -d a http://10.0.0.2/x
# redirects
b timeout 4 python3 -m http.server 80 -d /tmp/golden-www
a curl -s -v -L -o /dev/null http://10.0.0.2/sub
a curl -s -L -o /dev/null -w '%{num_redirects} %{num_connects} %{url_effective} %{size_header} %{size_request}\n' http://10.0.0.2/sub
a curl -s -o /dev/null -w '%{http_code} %{size_download} %{remote_ip} %{remote_port} %{local_ip} %{redirect_url} %{nosuch} %%\n' http://10.0.0.2/sub
a curl -s -S -L --max-redirs 0 http://10.0.0.2/sub
# sources of curl
b timeout 4 python3 -m http.server 80 -d /tmp/golden-www
a curl -s -v --local-port 4000 -o /dev/null http://10.0.0.2/
a curl -s -v --interface eth0 -o /dev/null http://10.0.0.2/
a curl -s -v --interface 10.0.0.77 -o /dev/null http://10.0.0.2/
a curl -s -v --interface nodev0 -o /dev/null http://10.0.0.2/
a curl -s -v --resolve web.test:80:10.0.0.2 -o /dev/null http://web.test/
# curl cannot connect
a curl -s -S http://10.0.0.2:81/
a curl -s -v http://10.0.0.2:81/
a curl -s -S -v http://10.9.0.9/
a curl -s -S -m 1 http://10.0.0.9/
a curl -s -S --connect-timeout 1 http://10.0.0.9/
a curl -s -S http://nosuch/
a curl -s -S foo://10.0.0.2/
a curl -s -S http://10.0.0.2:70000/
a curl -s -w '%{exitcode} %{http_code} %{errormsg}\n' http://10.0.0.2:81/
# the progress meter
b timeout 2 python3 -m http.server 80 -d /tmp/golden-www
a curl http://10.0.0.2/
a curl -f http://10.0.0.2/none
# broken servers
b nc -N -l -n 81
b 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc' | nc -N -l -n 82
b 'hello\r\n' | nc -N -l -n 83
b 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n' | nc -N -l -n 84
b 'HTTP/1.1 200 OK\r\n\r\nabc\n' | nc -N -l -n 85
b timeout 5 nc -l -n 86
a curl -s -S -v -o /dev/null http://10.0.0.2:81/
a curl -s -S -v http://10.0.0.2:82/
a curl -s -S http://10.0.0.2:83/
a curl -s -S -v http://10.0.0.2:84/
a curl -s -S -v http://10.0.0.2:85/
a curl -s -S -m 1 http://10.0.0.2:86/
# bad command lines of curl
a curl
a curl -s
a curl --foo x
a curl -m
a curl -m x http://10.0.0.2
# requests by hand
b timeout 3 python3 -m http.server 80 -d /tmp/golden-www
a 'hello\r\n' | nc -N -n 10.0.0.2 80
a 'GET /sub/a.txt\r\n' | nc -N -n 10.0.0.2 80
a 'GET / FOO/1\r\n\r\n' | nc -N -n 10.0.0.2 80
a 'FOO / HTTP/1.0\r\n\r\n' | nc -N -n 10.0.0.2 80
# bad command lines of the server
b timeout 3 python3 -m http.server 80
b python3 -m http.server 80
b python3 -m http.server abc
b python3 -m http.server --foo
b python3 -m http.server -h
b python3 -m http.server --bind 10.0.0.77 8000
b python3 -m http.server 8002 8003
# sockets listed
b timeout 8 nc -l -k -n 80
b timeout 8 nc -l -n 10.0.0.2 81
b timeout 8 nc -u -l -n 5000
a timeout 7 nc -d -p 4000 -n 10.0.0.2 81
a timeout 6 nc -u -d -p 4001 -n 10.0.0.2 5000
a 'x\n' | nc -N -p 4002 -n 10.0.0.2 80
b ss -t
b ss -tan
b ss -tln
b ss -tl
b ss -tuln
b ss -uan
b ss -tanH
b ss -tan state established
b ss -tan '( sport = :80 or sport = :81 )' and not dst 10.0.0.1
a ss -tan sport = :4002
a ss -tan
a ss -tan dst 10.0.0.2:81
a ss -tan state time-wait
a ss -ua
a ss -ta dport = :http
a ss -tan src 10.0.0.2
# bad filters
a ss -tan state bogus
a ss -tan state
a ss -tan sport = :nosuch
a ss -tan foo
a ss -tan dst 10.0.0.300
a ss -V
a ss -tan sport
a ss -Q
