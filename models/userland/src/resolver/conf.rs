//! `/etc/resolv.conf` and `/etc/nsswitch.conf`.

use std::net::Ipv4Addr;

use glassnet_sim::Nanos;

/// Most name servers and search domains that count, and the bounds of options (`resolv.h`).
const MAX_SERVERS: usize = 3;
const MAX_NDOTS: usize = 15;
const MAX_TIMEOUT: u64 = 30;
const MAX_ATTEMPTS: usize = 5;

/// What `/etc/resolv.conf` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// Name servers, in order.
    pub servers: Vec<Ipv4Addr>,
    /// Domains that are tried behind a name.
    pub search: Vec<String>,
    /// A name with fewer dots is tried behind the domains of the search list first.
    pub ndots: usize,
    /// How long to wait for an answer.
    pub timeout: Nanos,
    /// How often each server is asked.
    pub attempts: usize,
}

impl Default for ResolvConf {
    fn default() -> ResolvConf {
        ResolvConf {
            servers: vec![Ipv4Addr::LOCALHOST],
            search: Vec::new(),
            ndots: 1,
            timeout: Nanos::from_secs(5),
            attempts: 2,
        }
    }
}

impl ResolvConf {
    /// Reads the file's text. Lines and options that are unknown are skipped, as by the resolver; without a server the machine
    /// itself is asked.
    pub fn parse(text: &str) -> ResolvConf {
        let mut conf = ResolvConf { servers: Vec::new(), ..ResolvConf::default() };
        for line in text.lines().filter(|line| !line.starts_with([';', '#'])) {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let server: Option<Ipv4Addr> = words.next().and_then(|word| word.parse().ok());
                    let has_room = conf.servers.len() < MAX_SERVERS;
                    conf.servers.extend(server.filter(|_| has_room));
                }
                Some("search") => conf.search = words.map(str::to_owned).collect(),
                Some("domain") => conf.search = words.take(1).map(str::to_owned).collect(),
                Some("options") => words.for_each(|word| conf.option(word)),
                _ => {}
            }
        }
        if conf.servers.is_empty() {
            conf.servers.push(Ipv4Addr::LOCALHOST);
        }
        conf
    }

    fn option(&mut self, word: &str) {
        let Some((name, value)) = word.split_once(':') else { return };
        // As atoi(3).
        let value = crate::numbers::decimal(value).and_then(|digits| digits.value).unwrap_or(0);
        match name {
            "ndots" => self.ndots = (value as usize).min(MAX_NDOTS),
            "timeout" => self.timeout = Nanos::from_secs(value.clamp(1, MAX_TIMEOUT)),
            "attempts" => self.attempts = (value as usize).clamp(1, MAX_ATTEMPTS),
            _ => {}
        }
    }
}

/// `/etc/nsswitch.conf` says that hosts are looked up by DNS; so does a system without that file.
pub fn asks_dns(nsswitch: Option<&str>) -> bool {
    let Some(text) = nsswitch else { return true };
    let mut lines = text.lines().filter_map(|line| line.split('#').next()?.trim().strip_prefix("hosts:"));
    lines.next().is_none_or(|sources| sources.split_whitespace().any(|source| source == "dns"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pods_file() {
        let text = "search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\n\
                    options ndots:5 timeout:2 attempts:9 edns0\n";
        let conf = ResolvConf::parse(text);
        assert_eq!(conf.servers, [Ipv4Addr::new(10, 96, 0, 10)]);
        assert_eq!(conf.search.len(), 3);
        assert_eq!((conf.ndots, conf.timeout, conf.attempts), (5, Nanos::from_secs(2), 5));
    }

    #[test]
    fn what_is_wrong_is_skipped() {
        let conf = ResolvConf::parse("# nameserver 10.0.0.1\nnameserver x\nfoo\noptions ndots:x ndots\n");
        assert_eq!(conf, ResolvConf { ndots: 0, ..ResolvConf::default() });
    }

    #[test]
    fn sources_of_hosts() {
        assert!(asks_dns(None) && asks_dns(Some("passwd: files\n")));
        assert!(asks_dns(Some("hosts:          files dns # both\n")) && !asks_dns(Some("hosts: files\n")));
    }
}
