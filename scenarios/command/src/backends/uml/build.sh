#!/bin/bash
# Builds User Mode Linux in virtual time from Debian's Linux 6.1 sources: `build.sh SOURCES FRAGMENT OUTPUT`, in an empty
# folder. SOURCES is linux-source-6.1.tar.xz, FRAGMENT the settings beside this file, OUTPUT the program to make.
#
# Debian's own package user-mode-linux has neither time travel nor tracepoints. Everything is built in: the kernel loads
# no modules.
set -eu
sources=$1 fragment=$2 output=$3
tar xf "$sources" --strip-components=1
# Debian's amd64 kernels tick at 250 Hz; User Mode Linux has 100 without a choice.
sed -i '/^config HZ$/,/^$/s/default 100/default 250/' arch/um/Kconfig
# Every boot is the same: random numbers come from a generator (MAC addresses, ports, hashes), and the clock does not start at
# the host's time, which is mixed into them.
change() {
  sed -i "s/$2/$3/" "$1"
  grep -qF "$3" "$1"
}
change arch/um/os-Linux/util.c 'return getrandom(buf, len, flags);' \
  'static unsigned long s; unsigned char *at = buf; (void)flags; for (size_t n = 0; n < len; n++) at[n] = (s = s * 6364136223846793005UL + 1) >> 56; return len;'
change arch/um/os-Linux/time.c 'clock_gettime(CLOCK_REALTIME, \&realtime_tp);' \
  'realtime_tp.tv_sec = 1700000000; realtime_tp.tv_nsec = 0;'
# Built in, Open vSwitch would have each namespace track connections, for limits that nobody set.
for file in conntrack.c conntrack.h datapath.c datapath.h; do
  change net/openvswitch/$file 'IS_ENABLED(CONFIG_NETFILTER_CONNCOUNT)' 'IS_ENABLED(CONFIG_OVS_CT_LIMIT)'
done
make -s ARCH=um x86_64_defconfig
# `menu FILE PATTERN`: every setting of a menu whose name matches.
menu() { grep -oE "^config $2" "$1" | sed 's/^config /CONFIG_/; s/$/=y/'; }
{
  cat "$fragment"
  menu net/netfilter/Kconfig 'NETFILTER_XT_[A-Z0-9_]+'
  menu net/ipv4/netfilter/Kconfig 'IP_NF_(TARGET|MATCH)_[A-Z0-9_]+'
  menu net/sched/Kconfig 'NET_SCH_[A-Z0-9_]+' | grep -vE 'DEFAULT|ATM'
  menu net/bridge/netfilter/Kconfig 'BRIDGE_(EBT|NF)_[A-Z0-9_]+'
} >all.config
scripts/kconfig/merge_config.sh -m -O . .config all.config >/dev/null 2>&1
make -s ARCH=um olddefconfig
make -s ARCH=um -j"$(nproc)" linux
cp linux "$output"
