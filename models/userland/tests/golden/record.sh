#!/bin/bash
# Records what the real programs of Debian 12 print on Linux 6.1 (User Mode Linux) for each *.cmd file here.
#   record.sh [NAME…]     needs: apt-get install user-mode-linux iproute2 bridge-utils ethtool procps net-tools kmod
# NAME.cmd has a command a line; NAME.txt gets, for each, `$ command`, what it printed and `[status]`. Both are put
# before the same small network, which golden.rs builds in the simulator.
set -eu
cd "$(dirname "$0")"
names=${*:-$(ls -- *.cmd | sed 's/\.cmd$//')}
guest=$(mktemp -d /var/tmp/golden.XXXXXX); trap 'rm -rf "$guest"' EXIT
setup() {
    cat <<'END'
export LANG=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
ip link set lo up
ip netns add test
ip netns exec test bash "$1"
END
}
inner() {
    cat <<'END'
sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
ip link set lo up
ip link add br0 type bridge
for n in 1 2; do
    ip link add v$n type veth peer name v${n}p
    ip link set v$n address 02:00:00:00:00:0$((2 * n - 1))
    ip link set v${n}p address 02:00:00:00:00:0$((2 * n))
done
ip link set v1 master br0
for dev in br0 v1 v1p v2; do ip link set $dev up; done
ip addr add 10.0.0.1/24 dev br0
sleep 16   # the timers of the ports run out
run() { echo "\$ $1"; bash -c "$1" 2>&1; echo "[$?]"; }
END
    sed "s/'/'\\\\''/g; s/^/run '/; s/\$/'/" "$1"
}
for name in $names; do
    { echo 'mount --bind /usr/lib/uml/modules /lib/modules'; echo 'for m in ipv6 veth bridge dummy; do modprobe $m; done'
      setup | sed "s|\"\$1\"|$guest/$name.sh|"; } > "$guest/boot.sh"
    inner "$name.cmd" > "$guest/$name.sh"
    sed -i "s|bash $guest/$name.sh|bash $guest/$name.sh > $guest/out 2>\&1|" "$guest/boot.sh"
    mkdir -p /lib/modules
    init=$guest/init
    cat > "$init" <<END
#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t tmpfs tmpfs /run; mkdir -p /run/netns
bash $guest/boot.sh
poweroff -f
END
    chmod +x "$init"
    linux.uml quiet rootfstype=hostfs rootflags=/ rw mem=256M con=null con0=fd:0,fd:1 init="$init" \
        </dev/null >"$guest/console" 2>&1 || true
    # sed drops what differs: timers, and the name of the kernel, which here is Debian's.
    sed -E 's/gc timer\t\t.*/gc timer\t\t   0.00/; s#(/lib/modules/|^version: )6\.1\.[0-9]+#\16.1.0-28-amd64#' "$guest/out" > "$name.txt"
done
