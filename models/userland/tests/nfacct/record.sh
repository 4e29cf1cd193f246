#!/bin/bash
# Records what nfacct 1.0.2 and iptables 1.8.9 print for each row of session.cmd, in a network namespace of its own.
#   record.sh > session.txt     needs: root, nfacct and iptables of Debian 12
cd "$(dirname "$0")" || exit 1
ns=golden-nfacct
ip netns add $ns; trap 'ip netns del $ns' EXIT
while IFS= read -r row; do
    echo "\$ $row"
    # What ping prints is not compared, times are those of the day.
    text=$(ip netns exec $ns bash -c "$row" 2>&1 </dev/null); status=$?
    [[ $row == ping* || -z $text ]] || sed 's/"timestamp" : [0-9]*/"timestamp" : TIME/' <<<"$text"
    echo "[$status]"
done < session.cmd
