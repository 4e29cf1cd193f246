#!/bin/bash
# Records how iptables 1.8.9 reads and prints extensions, in a network namespace of its own on the running kernel (as
# root).   record.sh [NAME…]
# A line of NAME.cmd is what follows `-A FORWARD`, or `@TABLE CHAIN …`. NAME.txt gets `# LINE`, the exit status with
# what was printed (`E:` for the tool's name), and if the rule was taken its end in `-S` and in `-nL`. Both
# spellings are tried; the legacy one is written below `legacy:` where it differs.
set -u
cd "$(dirname "$0")"
space=glassnet-record-$$
run() { ip netns exec $space "$@"; }
one() {
    local variant=$1 table=$2 chain=$3
    shift 3
    local out status
    out=$(run iptables-"$variant" -t "$table" -A "$chain" "$@" 2>&1 </dev/null); status=$?
    echo "[$status] $out" | sed 's/iptables v1.8.9 ([a-z_]*): /E: /; /^Try .iptables -h/d; /^$/d'
    [ $status = 0 ] || return
    run iptables-"$variant" -t "$table" -S "$chain" 2>/dev/null | tail -1 | sed 's/-A [A-Z]*//'
    run iptables-"$variant" -t "$table" -nL "$chain" 2>/dev/null | tail -1 | sed 's/$/|/; s/.*0\.0\.0\.0\/0   *//'
    run iptables-"$variant" -t "$table" -F 2>/dev/null
}
for name in ${*:-$(ls -- *.cmd | sed 's/\.cmd$//')}; do
    ip netns add $space
    for set in 's1 hash:ip' 's2 hash:ip,port' 'sl list:set' 'sk hash:ip skbinfo timeout 5 counters'; do
        run ipset create $set
    done
    while IFS= read -r line; do
        table=filter chain=FORWARD spec=$line
        case $line in @*) set -- ${line#@}; table=$1 chain=$2 spec=${line#"@$1 $2 "} ;; esac
        echo "# $line"
        eval "set -- $spec"
        nft=$(one nft $table $chain "$@") legacy=$(one legacy $table $chain "$@")
        echo "$nft"
        [ "$nft" = "$legacy" ] || { echo legacy:; echo "$legacy"; }
    done < "$name.cmd" > "$name.txt"
    ip netns del $space
done
