//! Files below `/proc/sys/net` of Debian 12 that are not modelled yet. They are not listed; opening one gives
//! `EOPNOTSUPP`, so that nothing is accepted and ignored.

/// Below `core`, in the initial namespace only.
const CORE_INIT: &str = "bpf_jit_enable bpf_jit_harden bpf_jit_kallsyms bpf_jit_limit busy_poll busy_read \
    dev_weight_rx_bias devconf_inherit_init_net \
    flow_limit_cpu_bitmap flow_limit_table_len gro_normal_batch high_order_alloc_disable max_skb_frags \
    message_burst message_cost netdev_rss_key netdev_tstamp_prequeue optmem_max skb_defer_max \
    tstamp_allow_data warnings";

/// Below `ipv4`; in addition all of `tcp_*` and `udp_*`.
const IPV4: &str = "fib_multipath_hash_fields fib_notify_on_flag_change fib_sync_mem \
    icmp_echo_enable_probe igmp_link_local_mcast_reports igmp_max_msf inet_peer_maxttl inet_peer_minttl \
    inet_peer_threshold ip_autobind_reuse ip_dynaddr ip_early_demux ip_forward_update_priority \
    ipfrag_secret_interval nexthop_compat_mode ping_group_range raw_l3mdev_accept xfrm4_gc_thresh";

/// Below `ipv4/route`, in the initial namespace only.
const ROUTE: &str =
    "gc_elasticity gc_interval gc_min_interval gc_min_interval_ms gc_thresh gc_timeout max_size";

fn has(names: &str, name: &str) -> bool {
    names.split(' ').any(|known| known == name)
}

/// Linux has this file below `/proc/sys/net`, in the initial namespace (`init`) or in another.
pub fn is_known(init: bool, parts: &[&str]) -> bool {
    match parts {
        ["core", name] => init && has(CORE_INIT, name),
        ["ipv4", name] => has(IPV4, name) || name.starts_with("tcp_") || name.starts_with("udp_"),
        ["ipv4", "route", name] => init && has(ROUTE, name),
        _ => false,
    }
}
