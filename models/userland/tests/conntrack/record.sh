#!/bin/bash
# Records what conntrack 1.4.7 prints for each *.cmd file here, in a network namespace of its own on the running kernel
# (as root).   record.sh [NAME…]
# NAME.cmd has a command line a row (bash); NAME.txt gets, for each, `$ command`, what it printed and `[status]`.
set -u
cd "$(dirname "$0")"
space=glassnet-record-$$
for name in ${*:-$(ls -- *.cmd | sed 's/\.cmd$//')}; do
    ip netns add $space; trap 'ip netns del $space' EXIT
    while IFS= read -r line; do
        echo "\$ $line"
        timeout 3 ip netns exec $space bash -c "$line" 2>&1 </dev/null
        echo "[$?]"
    done < "$name.cmd" > "$name.txt"
    ip netns del $space; trap - EXIT
done
