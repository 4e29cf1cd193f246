#!/bin/bash
# Records what iptables 1.8.9 says to each rule of `rules.txt`, and how it prints it, in a network namespace of its own.
#   record.sh > recorded.txt     needs: root, iptables of Debian 12
# A rule is a line of arguments; a block of the recording is `## RULE`, then `[status]: what it printed` if it printed
# something or failed, `S:` (-S), `n:` (-L -n) and `L:` (-L) without the columns; `--- legacy:` begins what
# iptables-legacy does otherwise.
cd "$(dirname "$0")" || exit 1
ns=golden-iptables-rules
ip netns add $ns; trap 'ip netns del $ns' EXIT
one() {
    local v=$1 line=$2 t=filter out rc
    [[ $line =~ -t\ ([a-z]+) ]] && t=${BASH_REMATCH[1]}
    ip netns exec $ns iptables-$v -t $t -F >/dev/null 2>&1
    out=$(ip netns exec $ns bash -c "iptables-$v $line" 2>&1 \
        | sed "s/Try .iptables -h.*/(Try)/; s/v1.8.9 ([a-z_]*)/V/"; exit ${PIPESTATUS[0]}); rc=$?
    if [ -n "$out" ] || [ $rc != 0 ]; then echo "[$rc]: $out"; fi
    [ $rc = 0 ] || return
    ip netns exec $ns iptables-$v -t $t -S 2>/dev/null | grep -- '^-A' | sed 's/^/S: /'
    ip netns exec $ns iptables-$v -t $t -L -n 2>/dev/null | grep -v '^Chain\|^target\|^$\|^#' \
        | sed 's/   *0.0.0.0.0            0.0.0.0.0          / @ /; s/^/n: /; s/$/|/'
    ip netns exec $ns iptables-$v -t $t -L 2>/dev/null | grep -v '^Chain\|^target\|^$\|^#' \
        | sed 's/  *anywhere             anywhere          / @ /; s/^/L: /; s/$/|/'
}
while IFS= read -r line; do
    echo "## $line"
    nft=$(one nft "$line"); legacy=$(one legacy "$line")
    echo "$nft"
    if [ "$nft" != "$legacy" ]; then echo '--- legacy:'; echo "$legacy"; fi
done < rules.txt
