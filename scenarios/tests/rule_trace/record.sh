#!/bin/bash
# Records what the real tools tell of packets on which `-j TRACE` lies, on the running kernel (as root): into
# legacy.txt the kernel's log, into nft.txt `xtables-monitor --trace` and `nft monitor trace`. Needs Debian's iptables,
# nftables, netsniff-ng. The namespaces are its own and go with it; the kernel's log is only read.
set -u
cd "$(dirname "$0")"
if [ $# = 0 ]; then
    all=/proc/sys/net/netfilter/nf_log_all_netns
    before=$(cat $all)
    trap 'echo "$before" > $all' EXIT
    echo 1 > $all
    for variant in legacy nft; do unshare --net --mount --pid --fork --mount-proc ./record.sh $variant > $variant.txt; done
    exit
fi
variant=$1
mount -t tmpfs none /run && mkdir /run/netns
. ./router.cmd
iptables-$variant-restore < rules.txt
out=$(mktemp -d)
seen() { dmesg -t | grep '^TRACE: '; }
if [ $variant = nft ]; then
    stdbuf -oL xtables-monitor --trace >> $out/monitor & stdbuf -oL nft monitor trace >> $out/nft &
    sleep 1
    seen() { cat $out/monitor; grep -v '^#' $out/nft; }
fi
told=$(seen | wc -l)
while IFS= read -r line; do
    echo "\$ $line"
    $line
    sleep 0.3
    # Identifiers of packets and sequences are drawn by lot, and so are the sources of what was sent here.
    if [ $variant = nft ]; then
        cat $out/monitor $out/nft | sed '/^#/d; /^PACKET: /d; / packet: /d; s/ *$//; s/^trace id [0-9a-f]* /trace id * /; s/: 2 [0-9a-f]* /: 2 * /'
        : > $out/monitor; : > $out/nft
    else
        seen | tail -n +$((told + 1)) | sed 's/ *$//'; told=$(seen | wc -l)
    fi
done < packets.cmd
