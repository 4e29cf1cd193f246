#!/bin/bash
# Records what the real programs print for each case of cases.cmd, into cases.txt: as root, on a Debian 12 with
# netcat-openbsd, curl, python3, iproute2. A case is a heading and lines `NAMESPACE COMMAND`, which start 0.3 s after
# each other and run at the same time; `NAMESPACE 'TEXT' | COMMAND` gives standard input, as printf writes TEXT.
# The network: namespaces a (10.0.0.1) and b (10.0.0.2) with a cable; /tmp/golden-www has files to serve.
set -u
cd "$(dirname "$0")"
export LANG=C PYTHONUNBUFFERED=1 PATH=/usr/sbin:/usr/bin:/sbin:/bin
prefix=${PREFIX:-golden}
out=$(mktemp -d /var/tmp/golden.XXXXXX)
www=/tmp/golden-www
end() { for ns in a b; do ip netns del "$prefix-$ns" 2>/dev/null; done; rm -rf "$out" "$www"; }
trap end EXIT

mkdir -p $www/sub/dir
echo '<h1>hello</h1>' > $www/index.html
echo data > $www/sub/a.txt
echo x > "$www/sub/b c&d.txt"
echo y > $www/sub/dir/y
find $www -type f -exec touch -d @1700000000 {} +

network() {
    for ns in a b; do ip netns del "$prefix-$ns" 2>/dev/null; ip netns add "$prefix-$ns"; done
    ip -n "$prefix-a" link add eth0 type veth peer name eth0 netns "$prefix-b"
    for ns in a b; do
        ip netns exec "$prefix-$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
        ip -n "$prefix-$ns" link set lo up
        ip -n "$prefix-$ns" link set eth0 up
    done
    ip -n "$prefix-a" addr add 10.0.0.1/24 dev eth0
    ip -n "$prefix-b" addr add 10.0.0.2/24 dev eth0
    sleep 0.5
}

marked() { # marker file: each line with its marker; one without an end has another
    sed "s/^/$1> /" "$2" | if [ -s "$2" ] && [ -n "$(tail -c1 "$2")" ]; then sed "\$s/^$1> /$1~ /"; echo; else cat; fi
}

play() { # lines of one case
    network
    local n=0 pids=() line
    for line in "$@"; do
        local ns=${line%% *} command=${line#* } input=''
        if [[ $command == \'*\'\ \|\ * ]]; then
            input=${command%%\' | *}; input=${input#\'}; command=${command#*\' | }
        fi
        ( printf "$input" | ip netns exec "$prefix-$ns" bash -c "$command" >"$out/1.$n" 2>"$out/2.$n"
          echo "[${PIPESTATUS[1]}]" >"$out/st.$n" ) 2>/dev/null &
        pids+=($!)
        n=$((n + 1))
        sleep 0.3
    done
    wait "${pids[@]}"
    for ((i = 0; i < n; i++)); do
        local each=("$@")
        echo "\$ ${each[$i]}"
        marked 2 "$out/2.$i"; marked 1 "$out/1.$i"; cat "$out/st.$i"
    done
}

lines=()
flush() { if ((${#lines[@]})); then play "${lines[@]}"; fi; lines=(); }
{
    while IFS= read -r line; do
        case $line in
            '#'*) flush; echo "$line" ;;
            '') ;;
            *) lines+=("$line") ;;
        esac
    done < "${1:-cases.cmd}"
    flush
} > cases.new
mv cases.new "${2:-cases.txt}"
