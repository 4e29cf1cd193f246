#!/bin/bash
# Records what rules with a memory count, in a network namespace of its own on the running kernel (as root).
#   record.sh [NAME…]     A line of NAME.cmd is a command of plain words; what `ping` prints is left out.
set -u
cd "$(dirname "$0")"
space=glassnet-record-$$
for name in ${*:-$(ls -- *.cmd | sed 's/\.cmd$//')}; do
    ip netns add $space
    while IFS= read -r line; do
        echo "\$ $line"
        IFS=' ' read -ra words <<< "$line"
        if [ "${words[0]}" = ping ]; then
            ip netns exec $space "${words[@]}" > /dev/null 2>&1; status=$?
        else
            ip netns exec $space "${words[@]}" 2>&1 </dev/null; status=$?
        fi
        echo "[$status]"
    done < "$name.cmd" > "$name.txt"
    ip netns del $space
done
