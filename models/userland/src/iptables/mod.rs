//! `iptables`, `iptables-save`, `iptables-restore`, in the nf_tables (Debian's default) and the legacy spelling.

pub mod ext;
