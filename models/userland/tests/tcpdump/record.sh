#!/bin/sh
# Writes NAME.txt beside each NAME.pcap: what the tcpdump installed here prints for it. Run it where
# tcpdump is 4.99.3 and time is UTC.
cd "$(dirname "$0")" || exit 2
export TZ=UTC
for pcap in *.pcap; do
    name=${pcap%.pcap}
    : > "$name.txt"
    set -- "-n" "-nt -v" "-nt -vv" "-nt -vvv -e" "-nt -e" "-nt -q -e" "-t" "-t -e -v"
    case $name in
    snap) set -- "$@" "-nt -x" "-nt -X" ;;
    arp) set -- "$@" "-n -tt" "-n -ttt" "-n -tttt" "-n -ttttt" "-n -#" "-n --nano" "-nt -x" "-nt -xx" ;;
    link) set -- "$@" "-nt -x" "-nt -X" ;;
    tcp) set -- "$@" "-nt -q" "-nt -S" "-nt -K -vv" "-nt -X" "-nt -XX" "-nt -A" "-nt -AA" ;;
    udp | ip) set -- "$@" "-nt -q" "-nt -qq" "-nt -K -vv" "-nt -T vxlan" "-nt -T vxlan -q -v" ;;
    esac
    for options; do
        echo "\$ tcpdump $options" >> "$name.txt"
        # shellcheck disable=SC2086 # several options
        tcpdump -r "$pcap" $options 2> /dev/null >> "$name.txt"
    done
done
: > filters.txt
while IFS= read -r filter; do
    printf "%s\n" "$ $filter" >> filters.txt
    tcpdump -n -tt -r icmp.pcap -w /dev/null -- "$filter" 2>&1 | grep '^tcpdump:' >> filters.txt && continue
    for pcap in *.pcap; do
        tcpdump -n -tt -r "$pcap" -- "$filter" 2> /dev/null | awk -v file="${pcap%.pcap}" \
            '/^[0-9]/ { line = line " " substr($1, 7) } END { if (line != "") print file line }' >> filters.txt
    done
done < filters.list
