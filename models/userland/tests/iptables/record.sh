#!/bin/bash
# Records what the real iptables 1.8.9 prints, in a network namespace of the running kernel (as root).
#   record.sh [NAME…]
# NAME.cmd has a command line a row (bash). NAME.nft.txt and NAME.legacy.txt get, for each, `$ command`, what it printed and
# `[status]`: iptables.rs plays the same rows with the model's programs. Dates are taken out.
set -eu
cd "$(dirname "$0")"
names=${*:-$(ls -- *.cmd | sed 's/\.cmd$//')}
bin=$(mktemp -d)
netns=glassnet-record-$$
trap 'rm -rf "$bin"; ip netns del "$netns" 2>/dev/null || true' EXIT
for name in $names; do
    for variant in nft legacy; do
        mkdir -p "$bin/$variant"
        for tool in iptables iptables-save iptables-restore; do
            ln -sf "$(command -v xtables-$variant-multi)" "$bin/$variant/$tool"
        done
        ip netns add "$netns"
        while IFS= read -r line; do
            echo "\$ $line"
            status=0
            PATH=$bin/$variant:$PATH LANG=C ip netns exec "$netns" bash -c "$line" 2>&1 </dev/null || status=$?
            echo "[$status]"
        done < "$name.cmd" | sed -E 's/ on (Mon|Tue|Wed|Thu|Fri|Sat|Sun) .*/ on DATE/' > "$name.$variant.txt"
        ip netns del "$netns"
    done
done
