#!/bin/bash
# Records what ipset 7.17 prints for each *.cmd file here, in a network namespace of its own on the running kernel
# (Linux 6.18; as root).   record.sh [NAME…]
# A line is an ipset command without `ipset`; `TEXT | COMMAND` gives it TEXT, with \n, as standard input.
set -eu
cd "$(dirname "$0")"
names=${*:-$(ls -- *.cmd | sed 's/\.cmd$//')}
space=glassnet-record-$$
for name in $names; do
    ip netns add $space; trap 'ip netns del $space' EXIT
    while IFS= read -r line; do
        echo "\$ $line"
        case $line in
            *' | '*) input=${line%% | *} command=${line##* | } ;;
            *) input='' command=$line ;;
        esac
        eval "set -- $command"
        status=0
        printf -- "$input" | ip netns exec $space ipset "$@" 2>&1 || status=$?
        echo "[$status]"
    done < "$name.cmd" > "$name.txt"
    ip netns del $space; trap - EXIT
done
