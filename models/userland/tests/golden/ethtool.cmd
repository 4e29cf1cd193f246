ethtool
ethtool -i v1
ethtool -i br0
ethtool -i lo
ethtool -i nope
ethtool -i
ethtool --driver v1
ethtool -S v1
ethtool -S br0
ethtool -S lo
ethtool -k v1
ethtool -k br0
ethtool -k lo
ethtool -k nope
ethtool -g v1
ethtool -g br0
ethtool -a v1
ethtool -c v1
ethtool -c br0
ethtool -l v1
ethtool -l br0
ethtool -P v1
ethtool -P br0
ethtool -P lo
ethtool -T v1
ethtool -T br0
ethtool -T lo
ethtool v1
ethtool br0
ethtool lo
ethtool v2
ethtool nope
ethtool --version
